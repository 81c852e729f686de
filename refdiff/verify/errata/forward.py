"""Wrong versions of the forward process, as found in print."""

import numpy as np

from refdiff.bayes import posterior
from refdiff.forward import walk
from refdiff.gaussian import Gaussian
from refdiff.verify.identity import erratum


@erratum(
    "kernel-variance-wrong-index",
    source="S1, line 194",
    says=r"q(x_t \mid x_{t-1}, x_0) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_{t-1},\; (1 - \alpha_{t-1}) I\right)",
    correct=r"q(x_t \mid x_{t-1}, x_0) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_{t-1},\; (1 - \alpha_t) I\right)",
    replaces="forward.transition",
    rejected_by=("forward.transition", "bayes.markov"),
    coincides="where beta_t = beta_{t-1}; on linear-1000 it is off by 2e-5 at every t",
)
def transition_with_the_variance_before(schedule, x_prev, t):
    t = schedule.index(t, x_prev)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_prev, 1 - schedule.alpha[t - 1], point_mass=True)


@erratum(
    "noise-beta-not-std",
    source="S4, line 66",
    says=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \beta_t\,\epsilon_t",
    correct=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t",
    replaces="forward.transition",
    rejected_by=("forward.transition", "forward.step_size"),
    coincides="only where beta_t is 0 or 1",
)
def transition_adding_beta(schedule, x_prev, t):
    t = schedule.index(t, x_prev)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t] ** 2)


@erratum(
    "faddnoise-not-variance-preserving",
    source="S4, line 32",
    says=r"x_t = (1 - \beta_t)\,x_{t-1} + \beta_t\,\epsilon_t, \quad \operatorname{Var} = (1-\beta_t)^2 + \beta_t^2",
    correct=r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \quad \operatorname{Var} = 1",
    replaces="forward.transition",
    rejected_by=("forward.transition", "forward.step_size", "bayes.rule"),
    coincides="only where beta_t is 0 or 1, the two ends that the text derives it from",
)
def transition_by_interpolation(schedule, x_prev, t):
    t = schedule.index(t, x_prev)
    return Gaussian((1 - schedule.beta[t]) * x_prev, schedule.beta[t] ** 2)


@erratum(
    "faddnoise-name-syntax",
    source="S4, line 42",
    says=r"\texttt{f\_\{addnoise\}(X, noise)}, \text{ LaTeX in Python, and } \lambda \text{ is not passed}",
    correct=r"\texttt{f\_addnoise(X, noise, lam)}",
    replaces="forward.transition",
    rejected_by="forward.transition",
    coincides="never: it does not compile",
    fails=True,
)
def transition_as_printed(schedule, x_prev, t):
    return eval("f_{addnoise}(x_prev, noise)")


@erratum(
    "alpha-bar-in-the-step",
    source="acids-ircam/diffusion_models#1; likewise azad-academy/denoising-diffusion-model#1",
    says=r"q(x_t \mid x_{t-1}) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_{t-1},\; (1 - \bar\alpha_t) I\right)",
    correct=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)",
    replaces="forward.transition",
    rejected_by=("forward.transition", "bayes.markov"),
    coincides="at t = 1, where x_{t-1} is x_0",
)
def transition_with_alpha_bar(schedule, x_prev, t):
    t = schedule.index(t, x_prev)
    return Gaussian(schedule.signal_rate[t] * x_prev, schedule.one_minus_alpha_bar[t])


@erratum(
    "transition-is-not-the-jump",
    source="S3, lines 187, 210",
    says=r"\text{each transition is governed by } q(x_t \mid x_0):\quad"
    r" x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon_t",
    correct=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \quad \operatorname{Corr}(x_{t-1}, x_t"
    r" \mid x_0) = \sqrt{\frac{\alpha_t (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}}",
    replaces="forward.walk",
    rejected_by="forward.walk",
    coincides="in the law of each x_t alone, at every t: only the path differs",
)
def walk_of_independent_jumps(schedule, x_0, rng):
    eps = rng.standard_normal((schedule.T, *np.shape(x_0)))
    signal, noise = schedule.signal_rate[1:, None, None], schedule.noise_rate[1:, None, None]
    return np.concatenate([[x_0], signal * x_0 + noise * eps])


@erratum(
    "only-a-square-root-apart",
    source="S4, line 75",
    says=r"x_t = (1 - \beta_t)\,x_{t-1} + \beta_t\,\epsilon_t \text{ is very similar, but for a square root}",
    correct=r"\text{for constant } \beta \text{ it tends to the variance } \frac{\beta}{2 - \beta}, \text{ not to } 1",
    replaces="forward.walk",
    rejected_by="forward.walk",
    coincides="nowhere for 0 < beta_t < 1",
)
def walk_by_interpolation(schedule, x_0, rng):
    x = [np.asarray(x_0)]
    for beta in schedule.beta[1:]:
        x.append((1 - beta) * x[-1] + beta * rng.standard_normal(x[0].shape))
    return np.array(x)


@erratum(
    "figure3-duplicate-point",
    source="S3, line 187",
    says=r"\text{four inputs: } (10, -10),\; (-10, -10),\; (10, 10),\; (10, -10), \text{ the last of them the first}",
    correct=r"(10, -10),\; (-10, -10),\; (10, 10),\; (-10, 10): \text{ each chain starts at a point of its own}",
    replaces="forward.walk",
    rejected_by="forward.walk",
    coincides="in three of four chains",
)
def walk_from_three_of_four_points(schedule, x_0, rng):
    n = np.arange(len(x_0))
    first = n - n % 4
    last = (n % 4 == 3) | (n == len(x_0) - 1)  # of each four, or of what is left of them
    return walk(schedule, np.asarray(x_0)[np.where(last, first, n)], rng)


@erratum(
    "uniform-noise-times-beta",
    source="acids-ircam/diffusion_models#1 and #8",
    says=r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \beta_t\,u_t, \quad u_t \sim \mathcal{U}[0, 1]",
    correct=r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \quad \epsilon_t \sim \mathcal{N}(0, I)",
    replaces="forward.walk",
    rejected_by="forward.walk",
    coincides="nowhere: the mean drifts upwards and the variance all but vanishes",
)
def walk_with_uniform_noise(schedule, x_0, rng):
    x = [np.asarray(x_0)]
    for beta in schedule.beta[1:]:
        x.append(np.sqrt(1 - beta) * x[-1] + beta * rng.random(x[0].shape))
    return np.array(x)


def chains(schedule, x_0, n, rng):
    """Return n chains from each x_0, shape (T + 1, n, ..., d), as the wrong moments below keep them."""
    x_0 = np.asarray(x_0)
    flat = np.tile(x_0.reshape(-1, x_0.shape[-1]), (n, 1))
    return walk(schedule, flat, rng).reshape(schedule.T + 1, n, *x_0.shape)


@erratum(
    "variance-divided-by-n",
    source="a common slip: it is what numpy.var does by default, as numpy/numpy#7929 found",
    says=r"\mathbb{E}\,\frac1n \sum_i \left(x_t^{(i)} - \bar x_t\right)^2 = 1 - \bar\alpha_t",
    correct=r"\mathbb{E}\,\frac{1}{n - 1} \sum_i \left(x_t^{(i)} - \bar x_t\right)^2 = 1 - \bar\alpha_t",
    replaces="forward.walk_moments",
    rejected_by="forward.walk_moments",
    coincides="as n grows: it is off by 1 / n, which of two chains is half",
)
def moments_divided_by_n(schedule, x_0, n, rng):
    x = chains(schedule, x_0, n, rng)
    return x.mean(axis=1), x.var(axis=1)


@erratum(
    "mean-square-for-a-variance",
    source="a common slip",
    says=r"\operatorname{Var}[x_t \mid x_0] = \mathbb{E}[x_t^2 \mid x_0]",
    correct=r"\operatorname{Var}[x_t \mid x_0] = \mathbb{E}[x_t^2 \mid x_0] - \bar\alpha_t\,x_0^2",
    replaces="forward.walk_moments",
    rejected_by="forward.walk_moments",
    coincides="at x_0 = 0, and as alpha_bar_t goes to 0",
)
def moments_around_zero(schedule, x_0, n, rng):
    x = chains(schedule, x_0, n, rng)
    return x.mean(axis=1), (x**2).mean(axis=1)


@erratum(
    "every-worker-has-the-same-seed",
    source="pytorch/pytorch#5059; likewise facebookresearch/fairseq#1383",
    says=r"\text{half of the chains from each worker, each with its own copy of the generator}",
    correct=r"\text{independent chains: streams of their own, spawned from one seed}",
    replaces="forward.walk_moments",
    rejected_by="forward.walk_moments",
    coincides="in the law of each chain; of many chains only the error of the mean tells, by a factor sqrt(2)",
)
def moments_of_copied_streams(schedule, x_0, n, rng):
    one = chains(schedule, x_0, (n + 1) // 2, rng)
    x = np.concatenate([one, one], axis=1)[:, :n]
    return x.mean(axis=1), x.var(axis=1, ddof=1 if n > 1 else 0)


@erratum(
    "marginal-mean-xtm1",
    source="S4, lines 78, 189",
    says=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_{t-1},\; (1 - \bar\alpha_t) I\right), \quad"
    r" \mathbb{E}[x_t \mid x_0] = \sqrt{\bar\alpha_t \bar\alpha_{t-1}}\,x_0",
    correct=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)",
    replaces="forward.marginal",
    rejected_by="forward.marginal",
    coincides="at t = 1",
)
def marginal_around_the_step_before(schedule, x_0, t):
    t = schedule.index(t, x_0)
    expected_x_prev = schedule.signal_rate[t - 1] * x_0
    return Gaussian(schedule.signal_rate[t] * expected_x_prev, schedule.one_minus_alpha_bar[t])


@erratum(
    "marginal-shown-as-posterior",
    source="S3, lines 738-744",
    says=r"\text{the distribution of } x_t \text{ given } x_0 \text{ is } \mathcal{N}(\tilde\mu_t, \tilde\beta_t I)",
    correct=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)",
    replaces="forward.marginal",
    rejected_by="forward.marginal",
    coincides="nowhere",
)
def marginal_as_posterior(schedule, x_0, t):
    steps = schedule.index(t, x_0)
    return posterior(schedule, x_0, schedule.signal_rate[steps] * x_0, t)  # with the expected x_t for x_t


@erratum(
    "noise-variance-unchanged",
    source="S0, line 31",
    says=r"\text{the variance of the noise stays unchanged: } \operatorname{Var}[x_t \mid x_0] = \beta_1",
    correct=r"\operatorname{Var}[x_t \mid x_0] = 1 - \bar\alpha_t, \text{ which grows; it is } \operatorname{Var}[x_t]"
    r" \text{ that stays 1, if } \operatorname{Var}[x_0] = 1",
    replaces="forward.marginal",
    rejected_by=("forward.marginal", "forward.variance"),
    coincides="at t = 1",
)
def marginal_with_constant_noise(schedule, x_0, t):
    return Gaussian(schedule.signal_rate[schedule.index(t, x_0)] * x_0, schedule.beta[1])


@erratum(
    "same-epsilon-symbol",
    source="S2, lines 33-43",
    says=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon \text{ with one } \epsilon: \quad"
    r" \sigma_t = \sqrt{\alpha_t}\,\sigma_{t-1} + \sqrt{\beta_t}",
    correct=r"\text{independent } \epsilon_t: \quad \sigma_t^2 = \alpha_t\,\sigma_{t-1}^2 + \beta_t",
    replaces="forward.marginal",
    rejected_by=("forward.marginal", "forward.variance"),
    coincides="at t = 1",
)
def marginal_of_one_noise(schedule, x_0, t):
    std = np.zeros(schedule.T + 1)
    for s in range(1, schedule.T + 1):
        std[s] = np.sqrt(schedule.alpha[s]) * std[s - 1] + np.sqrt(schedule.beta[s])
    t = schedule.index(t, x_0)
    return Gaussian(schedule.signal_rate[t] * x_0, std[t] ** 2)


@erratum(
    "marginal-variance-is-a-std",
    source="huggingface/diffusion-models-class#18",
    says=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; \sqrt{1 - \bar\alpha_t}\,I\right)",
    correct=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t)\,I\right)",
    replaces="forward.marginal",
    rejected_by="forward.marginal",
    coincides="as alpha_bar_t goes to 0: at t = T of a long schedule both are 1",
)
def marginal_with_the_std(schedule, x_0, t):
    t = schedule.index(t, x_0)
    return Gaussian(schedule.signal_rate[t] * x_0, schedule.noise_rate[t])


@erratum(
    "noise-scaled-by-the-data",
    source="blt2114/twisted_diffusion_sampler#3",
    says=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,x_0\,\epsilon",
    correct=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon",
    replaces="forward.diffuse",
    rejected_by="forward.diffuse",
    coincides="at x_0 = 1, and in law at x_0 = -1: black and white pixels hide it",
)
def diffuse_with_multiplicative_noise(schedule, x_0, eps, t):
    t = schedule.index(t, x_0)
    return schedule.signal_rate[t] * x_0 + schedule.noise_rate[t] * x_0 * eps


@erratum(
    "noise-without-the-root",
    source="Ryota-Kawamura/How-Diffusion-Models-Work#1",
    says=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + (1 - \bar\alpha_t)\,\epsilon",
    correct=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon",
    replaces="forward.diffuse",
    rejected_by="forward.diffuse",
    coincides="as alpha_bar_t goes to 0",
)
def diffuse_without_root(schedule, x_0, eps, t):
    t = schedule.index(t, x_0)
    return schedule.signal_rate[t] * x_0 + schedule.one_minus_alpha_bar[t] * eps


@erratum(
    "batch-coefficients-broadcast",
    source="S4, lines 86-92",
    says=r"\texttt{mean * X\_0} \text{ with } \sqrt{\bar\alpha_t} \text{ of shape (B,)}",
    correct=r"\text{shape (B, 1, ..., 1): one coefficient for a point, not one for a column}",
    replaces="forward.diffuse",
    rejected_by="forward.diffuse",
    coincides="where t is one number; with a t per point it raises, or scales columns where B is also the last axis",
    fails=True,
)
def diffuse_along_the_wrong_axis(schedule, x_0, eps, t):
    return schedule.signal_rate[t] * x_0 + schedule.noise_rate[t] * eps


@erratum(
    "steps-skipped-with-the-old-beta",
    source="huggingface/diffusers#3006",
    says=r"q(x_t \mid x_s) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_s,\; \beta_t I\right) \text{ when steps are skipped}",
    correct=r"q(x_t \mid x_s) = \mathcal{N}\left(\sqrt{\bar\alpha_t / \bar\alpha_s}\,x_s,\;"
    r" (1 - \bar\alpha_t / \bar\alpha_s) I\right)",
    replaces="forward.jump",
    rejected_by="forward.jump",
    coincides="at s = t - 1, where nothing is skipped",
)
def jump_by_one_transition(schedule, x_s, s, t):
    t = schedule.index(t, x_s)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_s, schedule.beta[t])


@erratum(
    "merged-noise-equals-step-noise",
    source="S3, line 156; likewise S0, lines 42-52",
    says=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon_t \text{ with the } \epsilon_t"
    r" \text{ of step } t: \quad \operatorname{Cov}(x_s, x_t \mid x_0) = 0",
    correct=r"\text{a merged noise } \bar\epsilon_t, \quad \operatorname{Corr}(\bar\epsilon_t, \epsilon_t)"
    r" = \sqrt{\beta_t / (1 - \bar\alpha_t)}, \quad \operatorname{Cov}(x_s, x_t \mid x_0)"
    r" = \sqrt{\bar\alpha_t / \bar\alpha_s}\,(1 - \bar\alpha_s)",
    replaces="forward.covariance",
    rejected_by="forward.covariance",
    coincides="at s = t, and at t = 1 where the merged noise is the step's",
)
def covariance_of_step_noises(schedule, s, t):
    return np.where(np.equal(s, t), schedule.one_minus_alpha_bar[t], 0.0)


@erratum(
    "variance-sum-missing-plus",
    source="S3, line 175",
    says=r"\alpha_t (1 - \bar\alpha_{t-1}) \cdot 1 - \alpha_t = 1 - \bar\alpha_t",
    correct=r"\alpha_t (1 - \bar\alpha_{t-1}) + 1 - \alpha_t = 1 - \bar\alpha_t",
    replaces="forward.covariance",
    rejected_by="forward.covariance",
    coincides="nowhere: the left-hand side is negative",
)
def covariance_without_the_plus(schedule, s, t):
    s, t = np.minimum(s, t), np.maximum(s, t)
    variance = schedule.alpha[s] * schedule.one_minus_alpha_bar[s - 1] * 1 - schedule.alpha[s]
    return schedule.signal_rate[t] / schedule.signal_rate[s] * variance
