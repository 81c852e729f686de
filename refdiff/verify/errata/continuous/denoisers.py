r"""Wrong versions of what makes a score of a denoiser, and a denoiser in continuous time of one with steps."""

import numpy as np

from refdiff.verify.errata.shapes import on_points
from refdiff.verify.identity import erratum


def divided(power, sign=-1):
    """Return a wrong score_from_denoiser: sign times eps_hat over a power of sigma_s."""

    def wrong(sde, denoiser):
        def score(x, s):
            std = on_points(sde.noise_rate(s))
            if not np.all(std > 0):
                raise ValueError("s")
            return sign * np.asarray(denoiser(x, s)) / std**power

        return score

    return wrong


@erratum(
    "continuous-eps-hat-for-the-score",
    source="a common slip: the network's answer taken as it is, but for the sign",
    says=r"\nabla\log q_s(x) = -\hat\epsilon(x, s)",
    correct=r"\nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s}",
    replaces="continuous.score_from_denoiser",
    rejected_by="continuous.score_from_denoiser",
    coincides="sigma_s = 1",
)
def score_without_division(sde, denoiser):
    return divided(0)(sde, denoiser)


@erratum(
    "continuous-score-by-the-variance",
    source="a common slip",
    says=r"\nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s^2}",
    correct=r"\nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s}",
    replaces="continuous.score_from_denoiser",
    rejected_by="continuous.score_from_denoiser",
    coincides="sigma_s = 1",
)
def score_by_the_variance(sde, denoiser):
    return divided(2)(sde, denoiser)


@erratum(
    "continuous-score-of-the-other-sign",
    source="acids-ircam/diffusion_models#7, for the kernel's own score",
    says=r"\nabla\log q_s(x) = \frac{\hat\epsilon(x, s)}{\sigma_s}",
    correct=r"\nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s}",
    replaces="continuous.score_from_denoiser",
    rejected_by="continuous.score_from_denoiser",
    coincides="where the score is 0",
)
def score_of_the_other_sign(sde, denoiser):
    return divided(1, sign=1)(sde, denoiser)


def looked_up(row):
    """Return a wrong denoiser_between_steps: the answer at the step row(s T), T."""

    def wrong(denoiser, T):
        def eps_hat(x, s):
            t = np.maximum(row(np.asarray(s), T), 0).astype(np.int64)
            return denoiser(np.asarray(x, dtype=float), t if t.ndim else int(t))

        return eps_hat

    return wrong


@erratum(
    "between-steps-rounded-down",
    source="yang-song/score_sde_pytorch, sampling.py: timesteps cut off by .long(), there for the tables of the chain",
    says=r"\hat\epsilon(x, s) = \hat\epsilon(x, \lfloor sT \rfloor)",
    correct=r"\hat\epsilon(x, s) = (1 - w)\,\hat\epsilon(x, t) + w\,\hat\epsilon(x, t + 1), \quad t + w = sT",
    replaces="continuous.denoiser_between_steps",
    rejected_by="continuous.denoiser_between_steps",
    coincides="s = t/T, unless rounding puts s T just below t: 0.29 * 100 is 28",
)
def the_step_below(denoiser, T):
    return looked_up(lambda s, T: np.maximum(np.floor(s * T), 1))(denoiser, T)


@erratum(
    "between-steps-rounded",
    source="yang-song/score_sde_pytorch#2, which asks for it",
    says=r"\hat\epsilon(x, s) = \hat\epsilon(x, \operatorname{round}(sT))",
    correct=r"\hat\epsilon(x, s) = (1 - w)\,\hat\epsilon(x, t) + w\,\hat\epsilon(x, t + 1), \quad t + w = sT",
    replaces="continuous.denoiser_between_steps",
    rejected_by="continuous.denoiser_between_steps",
    coincides="s = t/T; an approximation as well, of a lower order",
)
def the_nearest_step(denoiser, T):
    return looked_up(lambda s, T: np.maximum(np.rint(s * T), 1))(denoiser, T)


@erratum(
    "between-steps-counted-from-0",
    source="yang-song/score_sde_pytorch, models/utils.py: labels = t (N - 1), right for networks whose steps are"
    " 0..N - 1",
    says=r"\hat\epsilon(x, s) = (1 - w)\,\hat\epsilon(x, t) + w\,\hat\epsilon(x, t + 1), \quad t + w = s\,(T - 1)",
    correct=r"\hat\epsilon(x, s) = (1 - w)\,\hat\epsilon(x, t) + w\,\hat\epsilon(x, t + 1), \quad t + w = sT",
    replaces="continuous.denoiser_between_steps",
    rejected_by="continuous.denoiser_between_steps",
    coincides="nowhere; with T = 1000 off by one step at s = 1, and by less before",
)
def steps_counted_from_zero(denoiser, T):
    def eps_hat(x, s):
        x, at = np.asarray(x, dtype=float), np.asarray(s) * (T - 1)
        low = np.floor(at).astype(np.int64)
        below, above = (denoiser(x, t if t.ndim else int(t)) for t in (low, np.minimum(low + 1, T)))
        return below + on_points(at - low) * (above - below)

    return eps_hat
