r"""Wrong versions of Langevin dynamics: noise out of proportion, a Metropolis rule left out or put in wrongly."""

import math

import numpy as np

from refdiff import reverse
from refdiff import score as right
from refdiff.gaussian import Gaussian
from refdiff.verify.identity import erratum


@erratum(
    "langevin-noise-of-variance-h",
    source="a common slip: the drift of one convention with the noise of the other",
    says=r"x' = x + h\,s(x) + \sqrt{h}\,z",
    correct=r"x' = x + h\,s(x) + \sqrt{2h}\,z \quad\text{or}\quad x' = x + \tfrac h2 s(x) + \sqrt{h}\,z",
    replaces="score.langevin_transition",
    rejected_by=("score.langevin_transition", "score.ancestral_vs_langevin"),
    coincides="never: it samples q^2, at half the temperature",
)
def step_with_noise_of_variance_h(score, x, h):
    k = right.langevin_transition(score, x, h)
    return Gaussian(k.mean, k.var / 2)


@erratum(
    "langevin-noise-times-h",
    source="google-research/ibc#6: step_size * (0.5 * gradient + noise)",
    says=r"x' = x + h\left(\tfrac12 s(x) + z\right)",
    correct=r"x' = x + h\,s(x) + \sqrt{2h}\,z",
    replaces="score.langevin_transition",
    rejected_by=("score.langevin_transition", "score.ancestral_vs_langevin"),
    coincides="a step of 1, up to the convention; for small ones it hardly has noise",
)
def step_with_noise_times_h(score, x, h):
    return Gaussian(x + h / 2 * score(x), h**2)


@erratum(
    "langevin-down-the-density",
    source="a common slip: the sign of an energy's gradient, given to the score",
    says=r"x' = x - h\,s(x) + \sqrt{2h}\,z",
    correct=r"x' = x + h\,s(x) + \sqrt{2h}\,z",
    replaces="score.langevin_transition",
    rejected_by=("score.langevin_transition", "score.ancestral_vs_langevin"),
    coincides="where the score is 0",
)
def step_down_the_density(score, x, h):
    return right.langevin_transition(lambda x: -score(x), x, h)


@erratum(
    "langevin-run-with-noise-times-h",
    source="google-research/ibc#6, run for several steps",
    says=r"x_k = x_{k-1} + h\left(\tfrac12 s(x_{k-1}) + z_k\right)",
    correct=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k",
    replaces="score.langevin",
    rejected_by="score.langevin",
    coincides="a step of 1, up to the convention",
)
def run_with_noise_times_h(score, x, rng, h, steps, *, progress=None):
    for k in range(1, steps + 1):
        x = x + h * (score(x) / 2 + rng.standard_normal(np.shape(x)))
        if progress is not None:
            progress(k)
    return x


@erratum(
    "langevin-is-gradient-ascent",
    source="a common slip",
    says=r"x_k = x_{k-1} + h\,s(x_{k-1})",
    correct=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k",
    replaces="score.langevin",
    rejected_by="score.langevin",
    coincides="never: without noise all ends in the modes; for normal data the mean is right",
)
def ascent(score, x, rng, h, steps, *, progress=None):
    for k in range(1, steps + 1):
        x = x + h * score(x)
        if progress is not None:
            progress(k)
    return x


@erratum(
    "langevin-with-one-noise",
    source="a common slip: the noise drawn before the loop",
    says=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z",
    correct=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k, \quad z_1, z_2, \ldots \text{ independent}",
    replaces="score.langevin",
    rejected_by="score.langevin",
    coincides="one step",
)
def run_with_one_noise(score, x, rng, h, steps, *, progress=None):
    z = rng.standard_normal(np.shape(x))
    for k in range(1, steps + 1):
        x = x + h * score(x) + math.sqrt(2 * h) * z
        if progress is not None:
            progress(k)
    return x


@erratum(
    "langevin-chain-one-step-late",
    source="a common slip",
    says=r"x_1 = x_0, \quad x_{k+1} = x_k + h\,s(x_k) + \sqrt{2h}\,z_k",
    correct=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k, \quad k = 1, 2, \ldots",
    replaces="score.langevin_chain",
    rejected_by="score.langevin",
    coincides="late steps, when the start is forgotten",
)
def chain_one_step_late(score, x, rng, h, steps):
    for k in range(1, steps + 1):
        yield k, x
        x = right.langevin_transition(score, x, h).sample(rng)


@erratum(
    "langevin-has-no-bias",
    source="follows from langevin-is-mala",
    says=r"\operatorname{Var} = v \text{ for each } h",
    correct=r"\operatorname{Var} = \frac{v}{1 - h/(2v)}",
    replaces="score.langevin_var",
    rejected_by="score.langevin_var",
    coincides="h near 0",
)
def no_bias(h, var=1.0):
    if h >= 2 * np.min(var):
        raise ValueError("h")
    return np.asarray(var, dtype=float)


@erratum(
    "langevin-var-of-the-other-convention",
    source="a common slip: the formula for (h/2) s and sqrt(h) z, with the h of h s and sqrt(2 h) z",
    says=r"\operatorname{Var} = \frac{v}{1 - h/(4v)}",
    correct=r"\operatorname{Var} = \frac{v}{1 - h/(2v)}",
    replaces="score.langevin_var",
    rejected_by="score.langevin_var",
    coincides="h near 0; and exactly, where h means twice this h",
)
def var_of_half_the_step(h, var=1.0):
    if h >= 2 * np.min(var):
        raise ValueError("h")
    return right.langevin_var(h / 2, var)


def _log_k(score, y, x, h):
    return right.langevin_transition(score, x, h).log_density(y)


@erratum(
    "metropolis-without-hastings",
    source="openturns/openturns#1260, there for any proposal that is not symmetric",
    says=r"a(x, y) = \min\left(1, \frac{q(y)}{q(x)}\right)",
    correct=r"a(x, y) = \min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)",
    replaces="score.mala_log_acceptance",
    rejected_by="score.mala_log_acceptance",
    coincides="a score of 0 everywhere: a random walk, whose steps are symmetric",
)
def acceptance_of_a_random_walk(log_density, score, x, y, h):
    return np.minimum(0.0, log_density(y) - log_density(x))


@erratum(
    "hastings-correction-reversed",
    source="TuringLang/AdvancedMH.jl#1, as its reviewer reads q",
    says=r"a(x, y) = \min\left(1, \frac{q(y)\,k(y \mid x)}{q(x)\,k(x \mid y)}\right)",
    correct=r"a(x, y) = \min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)",
    replaces="score.mala_log_acceptance",
    rejected_by="score.mala_log_acceptance",
    coincides="a score of 0 everywhere",
)
def acceptance_with_the_steps_reversed(log_density, score, x, y, h):
    correction = _log_k(score, y, x, h) - _log_k(score, x, y, h)
    return np.minimum(0.0, log_density(y) - log_density(x) + correction)


@erratum(
    "hastings-correction-of-another-convention",
    source="bat/BAT.jl#532: drift and noise of one convention, their density of the other",
    says=r"\log k(y \mid x) = -\frac{\Vert y - x - 2h\,s(x) \Vert^2}{8h} + \text{const}",
    correct=r"\log k(y \mid x) = -\frac{\Vert y - x - h\,s(x) \Vert^2}{4h} + \text{const}",
    replaces="score.mala_log_acceptance",
    rejected_by="score.mala_log_acceptance",
    coincides="h near 0, where all is accepted",
)
def acceptance_of_another_convention(log_density, score, x, y, h):
    x, y = np.asarray(x), np.asarray(y)

    def log_k(y, x):
        return -np.sum((y - x - 2 * h * score(x)) ** 2, axis=-1) / (8 * h)

    return np.minimum(0.0, log_density(y) - log_density(x) + log_k(x, y) - log_k(y, x))


@erratum(
    "acceptance-ratio-upside-down",
    source="a common slip",
    says=r"a(x, y) = \min\left(1, \frac{q(x)\,k(y \mid x)}{q(y)\,k(x \mid y)}\right)",
    correct=r"a(x, y) = \min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)",
    replaces="score.mala_log_acceptance",
    rejected_by="score.mala_log_acceptance",
    coincides="moves between places of one density",
)
def acceptance_upside_down(log_density, score, x, y, h):
    return right.mala_log_acceptance(log_density, score, y, x, h)


@erratum(
    "langevin-is-mala",
    source="S3, line 652; as code, Ciela-Institute/caustics#388",
    says=r"\text{Langevin dynamics is known as the Metropolis-adjusted Langevin algorithm}",
    correct=r"\text{without the rule of acceptance it is unadjusted: on } \mathcal{N}(0, 1)"
    r" \text{ it settles at } \operatorname{Var} = \frac{1}{1 - h/2} \ne 1",
    replaces="score.mala",
    rejected_by="score.mala",
    coincides="h near 0, where next to nothing is rejected",
)
def unadjusted(log_density, score, x, rng, h, steps, *, progress=None):
    told = None if progress is None else lambda k: progress(k, 1.0)
    return right.langevin(score, x, rng, h, steps, progress=told)


@erratum(
    "rejected-moves-are-drawn-again",
    source="a common slip",
    says=r"\text{draw } y \text{ until it is accepted; then } x' = y",
    correct=r"x' = x \text{ where } y \text{ is rejected, and it counts again}",
    replaces="score.mala",
    rejected_by="score.mala",
    coincides="h near 0, where next to nothing is rejected",
)
def mala_that_always_moves(log_density, score, x, rng, h, steps, *, progress=None):
    for k in range(1, steps + 1):
        waiting, out = np.ones(len(x), dtype=bool), np.array(x, dtype=float)
        for _ in range(50):
            if not waiting.any():
                break
            y = right.langevin_transition(score, x[waiting], h).sample(rng)
            log_a = right.mala_log_acceptance(log_density, score, x[waiting], y, h)
            moved = -rng.standard_exponential(len(y)) < log_a
            rows = np.flatnonzero(waiting)[moved]
            out[rows], waiting[rows] = y[moved], False
        x = out
        if progress is not None:
            progress(k, 1.0)
    return x


@erratum(
    "mala-chain-without-hastings",
    source="openturns/openturns#1260, run as a chain",
    says=r"x' = y \text{ with probability } \min\left(1, \frac{q(y)}{q(x)}\right)",
    correct=r"x' = y \text{ with probability } \min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)",
    replaces="score.mala_chain",
    rejected_by="score.mala",
    coincides="a score of 0 everywhere",
)
def chain_without_hastings(log_density, score, x, rng, h, steps):
    for k in range(1, steps + 1):
        y = right.langevin_transition(score, x, h).sample(rng)
        moved = -rng.standard_exponential(len(x)) < log_density(y) - log_density(x)
        x = np.where(moved[:, None], y, x)
        yield k, x, moved


@erratum(
    "mala-accepts-0-574",
    source="a common slip",
    says=r"\text{MALA accepts } 0.574 \text{ of its moves}",
    correct=r"1 - \tfrac2\pi\arctan\left(\tfrac{h}{2v}\right)^{3/2} \text{ on } \mathcal{N}(m, v);"
    r" \; 0.574 \text{ is the best rate in very many dimensions, reached by one } h",
    replaces="score.mala_acceptance",
    rejected_by="score.mala_acceptance",
    coincides="h = 1.71 v",
)
def optimal_rate(h, var=1.0):
    return 0.574 + 0 * np.asarray(var, dtype=float)


@erratum(
    "mala-acceptance-linear-exponent",
    source="a common slip",
    says=r"1 - \tfrac2\pi\arctan\frac{h}{2v}",
    correct=r"1 - \tfrac2\pi\arctan\left(\frac{h}{2v}\right)^{3/2}",
    replaces="score.mala_acceptance",
    rejected_by="score.mala_acceptance",
    coincides="h = 2 v; a random walk rejects in proportion to its step, sqrt(h), and MALA to its cube",
)
def rate_with_a_linear_exponent(h, var=1.0):
    return 1 - 2 / math.pi * np.arctan(h / (2 * np.asarray(var, dtype=float)))


def _annealed_chain(schedule, score, x, rng, steps, h_of, rescale=True, order=None):
    """Yield t and x after the steps at each level, as the right chain does, but with steps, scales or order changed."""
    for t in order or range(schedule.T, 0, -1):
        x = right.langevin(lambda x, t=t: score(x, t), x, rng, h_of(t), steps)
        yield t, x
        x = x / np.sqrt(schedule.alpha[t]) if rescale else x


def _annealed(chain, schedule, score, denoise, progress):
    """Return what annealed Langevin dynamics makes of a chain."""
    for t, x in chain:  # noqa: B007 the last x is the result
        if progress is not None:
            progress(t)
    return right.tweedie(schedule, score, x, 1) if denoise else x / schedule.signal_rate[1]


@erratum(
    "annealed-with-one-step-size",
    source="a common slip",
    says=r"h_t = h \text{ at each level}",
    correct=r"h_t = h\,(1 - \bar\alpha_t)",
    replaces="score.annealed_langevin",
    rejected_by="score.annealed_langevin",
    coincides="1 - alpha_bar_t near 1; at the low levels such a step is larger than the density is wide",
)
def annealed_with_one_step(schedule, score, x_T, rng, h, steps, *, denoise=False, progress=None):
    chain = _annealed_chain(schedule, score, x_T, rng, steps, lambda t: h)
    return _annealed(chain, schedule, score, denoise, progress)


@erratum(
    "annealed-step-by-standard-deviation",
    source="a common slip",
    says=r"h_t = h\,\sqrt{1 - \bar\alpha_t}",
    correct=r"h_t = h\,(1 - \bar\alpha_t)",
    replaces="score.annealed_langevin",
    rejected_by="score.annealed_langevin",
    coincides="1 - alpha_bar_t near 1",
)
def annealed_by_std(schedule, score, x_T, rng, h, steps, *, denoise=False, progress=None):
    chain = _annealed_chain(schedule, score, x_T, rng, steps, lambda t: h * schedule.noise_rate[t])
    return _annealed(chain, schedule, score, denoise, progress)


@erratum(
    "annealed-not-rescaled",
    source="a common slip: Algorithm 1 of Song & Ermon (2019), where the signal keeps its size, taken over",
    says=r"x \text{ goes on from level } t \text{ to } t - 1 \text{ as it is}",
    correct=r"x \leftarrow x / \sqrt{\alpha_t}: \text{ the signal in } x_{t-1} \text{ is larger by as much}",
    replaces="score.annealed_langevin",
    rejected_by="score.annealed_langevin",
    coincides="so many steps that each level forgets the one before",
)
def annealed_as_it_is(schedule, score, x_T, rng, h, steps, *, denoise=False, progress=None):
    h_of = lambda t: h * schedule.one_minus_alpha_bar[t]  # noqa: E731
    chain = _annealed_chain(schedule, score, x_T, rng, steps, h_of, rescale=False)
    return _annealed(chain, schedule, score, denoise, progress)


@erratum(
    "annealed-upwards",
    source="a common slip",
    says=r"t = 1, 2, \ldots, T",
    correct=r"t = T, T - 1, \ldots, 1",
    replaces="score.annealed_langevin_chain",
    rejected_by="score.annealed_langevin",
    coincides="T = 1",
)
def levels_upwards(schedule, score, x_T, rng, h, steps):
    h_of = lambda t: h * schedule.one_minus_alpha_bar[t]  # noqa: E731
    return _annealed_chain(schedule, score, x_T, rng, steps, h_of, order=range(1, schedule.T + 1))


@erratum(
    "ancestral-with-half-the-drift",
    source="follows from ancestral-step-is-langevin",
    says=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(x_t + \tfrac{\beta_t}{2}\,s(x_t, t),\; \beta_t I\right)",
    correct=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(\frac{x_t + \beta_t\,s(x_t, t)}{\sqrt{\alpha_t}},\;"
    r" \sigma_t^2 I\right)",
    replaces="score.ancestral_transition",
    rejected_by=("score.ancestral_transition", "score.ancestral_vs_langevin"),
    coincides="where s = -x_t, as for data N(0, I), up to terms in beta_t^2",
)
def ancestral_as_langevin(schedule, score, x_t, t, variance="beta"):
    exact = right.ancestral_transition(schedule, score, x_t, t, variance)
    beta = schedule.beta[schedule.index(t, exact.mean)]
    return Gaussian(x_t + beta / 2 * score(x_t, t), exact.var, point_mass=True)


@erratum(
    "ancestral-not-rescaled",
    source="a common slip",
    says=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(x_t + \beta_t\,s(x_t, t),\; \sigma_t^2 I\right)",
    correct=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(\frac{x_t + \beta_t\,s(x_t, t)}{\sqrt{\alpha_t}},\;"
    r" \sigma_t^2 I\right)",
    replaces="score.ancestral_transition",
    rejected_by=("score.ancestral_transition", "score.ancestral_vs_langevin"),
    coincides="a single small step; over all of them the scale 1 / sqrt(alpha_bar_T) is lost",
)
def ancestral_unscaled(schedule, score, x_t, t, variance="beta"):
    exact = right.ancestral_transition(schedule, score, x_t, t, variance)
    alpha = schedule.alpha[schedule.index(t, exact.mean)]
    return Gaussian(np.sqrt(alpha) * exact.mean, exact.var, point_mass=True)


@erratum(
    "ancestral-noise-by-beta",
    source="a common slip",
    says=r"x_{t-1} = \frac{x_t + \beta_t\,s(x_t, t)}{\sqrt{\alpha_t}} + \beta_t z",
    correct=r"x_{t-1} = \frac{x_t + \beta_t\,s(x_t, t)}{\sqrt{\alpha_t}} + \sqrt{\beta_t}\,z",
    replaces="score.ancestral_transition",
    rejected_by=("score.ancestral_transition", "score.ancestral_vs_langevin"),
    coincides="beta_t = 1",
)
def ancestral_with_noise_by_beta(schedule, score, x_t, t, variance="beta"):
    exact = right.ancestral_transition(schedule, score, x_t, t, variance)
    sigma_2 = reverse.var(schedule, t, variance)
    return Gaussian(exact.mean, sigma_2[..., None] ** 2 if np.ndim(sigma_2) else sigma_2**2, point_mass=True)


@erratum(
    "ancestral-step-keeps-the-law",
    source="follows from ancestral-step-is-langevin",
    says=r"\text{iterated at one } t \text{, the step settles at } q(x_t): \; \operatorname{Var} = v",
    correct=r"\operatorname{Var} = \frac{\beta}{1 - a^2} = \frac{v}{2 - v} + O(\beta)",
    replaces="score.ancestral_var",
    rejected_by="score.ancestral_var",
    coincides="v = 1",
)
def variance_kept(beta, var):
    right.ancestral_var(beta, var)
    return np.asarray(var, dtype=float)


@erratum(
    "ancestral-var-to-first-order",
    source="a common slip: the limit of small beta taken for the whole",
    says=r"\operatorname{Var} = \frac{v}{2 - v}",
    correct=r"\operatorname{Var} = \frac{\beta}{1 - a^2}, \quad a = \frac{1 - \beta/v}{\sqrt{1 - \beta}}",
    replaces="score.ancestral_var",
    rejected_by="score.ancestral_var",
    coincides="small beta, and v = 1",
)
def variance_in_the_limit(beta, var):
    right.ancestral_var(beta, var)
    return var / (2 - np.asarray(var))
