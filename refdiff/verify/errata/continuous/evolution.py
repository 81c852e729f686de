r"""Wrong versions of how densities move: Fokker-Planck, the equation that runs backwards, and the flow."""

import numpy as np

from refdiff import continuous
from refdiff.gaussian import LOG_2_PI
from refdiff.mixture import GaussianMixture
from refdiff.verify.identity import erratum


@erratum(
    "component-variance-scaled-once",
    source="a common slip: D(ax) = a D(x)",
    says=r"V_k(s) = a_s v_k + \sigma_s^2",
    correct=r"V_k(s) = a_s^2 v_k + \sigma_s^2",
    replaces="continuous.diffused",
    rejected_by="continuous.diffused",
    coincides="a_s = 1: s = 0, and VE",
)
def diffused_with_variances_scaled_once(sde, mixture, s):
    a = sde.signal_rate(s)
    return GaussianMixture(mixture.weights, a * mixture.means, a * mixture.variances + sde.var(s))


@erratum(
    "continuous-eps-is-the-score",
    source="S3, line 652",
    says=r"\nabla\log q_s(x) = \epsilon^*(x, s)",
    correct=r"\nabla\log q_s(x) = -\frac{\epsilon^*(x, s)}{\sigma_s}",
    replaces="continuous.ideal_score",
    rejected_by="continuous.ideal_score",
    coincides="where the score is 0",
)
def score_is_eps(sde, mixture):
    right = continuous.ideal_score(sde, mixture)

    def score(x, s):
        std = np.asarray(sde.noise_rate(s))
        return -(std[..., None] if std.ndim else std) * right(x, s)

    return score


@erratum(
    "laplacian-of-q-for-that-of-log-q",
    source="a common slip",
    says=r"\Delta\log q = \frac{\Delta q}{q}",
    correct=r"\Delta\log q = \frac{\Delta q}{q} - \Vert\nabla\log q\Vert^2",
    replaces="continuous.ideal_score_divergence",
    rejected_by="continuous.ideal_score_divergence",
    coincides="where the score is 0",
)
def divergence_without_the_square(sde, mixture):
    right, score = continuous.ideal_score_divergence(sde, mixture), continuous.ideal_score(sde, mixture)
    return lambda x, s: right(x, s) + np.sum(score(x, s) ** 2, axis=-1)


@erratum(
    "variance-grows-by-noise-alone",
    source="a common slip: right for VE only",
    says=r"\dot V = g^2",
    correct=r"\dot V = 2 f V + g^2",
    replaces="continuous.log_density_rate",
    rejected_by="continuous.log_density_rate",
    coincides="f = 0",
)
def log_density_rate_without_shrinking(sde, mixture, x, s):
    right = continuous.log_density_rate(sde, mixture, x, s)
    steps = 1e-5
    spared = 0.0
    # what the omitted part of the variances' rate, 2 f V, does to log q: a difference along it
    f, a, var = (np.asarray(one(s), dtype=float) for one in (sde.drift_rate, sde.signal_rate, sde.var))
    f, a, var = (one[..., None, None] if one.ndim else one for one in (f, a, var))
    means, variances = a * mixture.means, a**2 * mixture.variances + var
    for sign in (1, -1):
        moved = variances * (1 + sign * steps * 2 * f)
        quadratic = LOG_2_PI + np.log(moved) + (x[..., None, :] - means) ** 2 / moved
        spared = spared + sign * np.log(np.sum(mixture.weights * np.exp(-0.5 * quadratic.sum(axis=-1)), axis=-1))
    return right - spared / (2 * steps)


@erratum(
    "drift-that-keeps-volumes",
    source="a common slip",
    says=r"\partial_s q = -f x\cdot\nabla q + \tfrac12 g^2\,\Delta q",
    correct=r"\partial_s q = -\nabla\cdot(f x\,q) + \tfrac12 g^2\,\Delta q",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="f = 0",
)
def fokker_planck_without_volume(sde, score, divergence, x, s):
    d = np.shape(x)[-1]
    return continuous.fokker_planck(sde, score, divergence, x, s) + d * sde.drift_rate(s)


@erratum(
    "noise-spreads-twice-as-fast",
    source="a common slip: the half of Ito's formula",
    says=r"\partial_s q = -\nabla\cdot(f x\,q) + g^2\,\Delta q",
    correct=r"\partial_s q = -\nabla\cdot(f x\,q) + \tfrac12 g^2\,\Delta q",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="where the Laplacian of q is 0: at the points of inflection, on a line",
)
def fokker_planck_without_half(sde, score, divergence, x, s):
    spread = 0.5 * sde.diffusion(s) ** 2 * (divergence(x, s) + np.sum(score(x, s) ** 2, axis=-1))
    return continuous.fokker_planck(sde, score, divergence, x, s) + spread


@erratum(
    "drift-without-its-rate",
    source="sony/fp-diffusion#1, which asks why x times the score stands for the drift times the score",
    says=r"\partial_s \log q = -d f + \tfrac12\,x\cdot\nabla\log q + \cdots",
    correct=r"\partial_s \log q = -d f + \tfrac12\beta\,x\cdot\nabla\log q + \cdots",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="beta(s) = 1, or where x and the score are at right angles",
)
def fokker_planck_without_beta(sde, score, divergence, x, s):
    along = np.sum(x * score(x, s), axis=-1)
    return continuous.fokker_planck(sde, score, divergence, x, s) + (0.5 + sde.drift_rate(s)) * along


def with_score_times(factor):
    """Return a drift f x - factor g^2 score."""

    def drift(sde, score, x, s):
        half = continuous.probability_flow_drift(sde, score, x, s) - continuous.reverse_drift(sde, score, x, s)
        return continuous.reverse_drift(sde, score, x, s) + 2 * (1 - factor) * half

    return drift


@erratum(
    "reverse-drift-with-half-the-score",
    source="a common slip: the drift of the flow, with the noise of the reverse equation",
    says=r"dx = \left[f x - \tfrac12 g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_half(sde, score, x, s):
    return with_score_times(0.5)(sde, score, x, s)


@erratum(
    "reverse-drift-with-the-score-twice",
    source="yang-song/score_sde_pytorch#67, which adds it to a drift that has it",
    says=r"dx = \left[f x - 2 g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_score_twice(sde, score, x, s):
    return with_score_times(2.0)(sde, score, x, s)


@erratum(
    "reverse-drift-of-the-other-sign",
    source="a common slip: ds < 0 and the sign of the step, both counted",
    says=r"dx = \left[f x + g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_other_sign(sde, score, x, s):
    return with_score_times(-1.0)(sde, score, x, s)


@erratum(
    "reverse-drift-by-g",
    source="a common slip",
    says=r"dx = \left[f x - g\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="g(s) = 1",
)
def reverse_drift_by_g(sde, score, x, s):
    diffusion = np.asarray(sde.diffusion(s))
    return with_score_times(1 / (diffusion[..., None] if diffusion.ndim else diffusion))(sde, score, x, s)


@erratum(
    "flow-with-the-full-score",
    source="a common slip: the drift of the reverse equation, its noise left out",
    says=r"\frac{dx}{ds} = f x - g^2\,\nabla\log q_s",
    correct=r"\frac{dx}{ds} = f x - \tfrac12 g^2\,\nabla\log q_s",
    replaces="continuous.probability_flow_drift",
    rejected_by="continuous.probability_flow_drift",
    coincides="where the score is 0",
)
def flow_with_full_score(sde, score, x, s):
    return continuous.reverse_drift(sde, score, x, s)
