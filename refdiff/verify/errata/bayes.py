"""Wrong versions of the posterior, as found in print."""

import numpy as np

from refdiff.bayes import log_c_1, posterior, quadratic_constant
from refdiff.gaussian import Gaussian, from_natural
from refdiff.verify.identity import erratum


def _posterior_with(schedule, x_0, x_t, t, var):
    """Return the posterior with its right mean and another variance, an array over t."""
    return Gaussian(posterior(schedule, x_0, x_t, t).mean, var[schedule.index(t, x_t)], point_mass=True)


@erratum(
    "posterior-var-beta",
    source="jhbastek/PhysicsInformedDiffusionModels#4, where the code has it for the paper's posterior variance",
    says=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \beta_t",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t",
    replaces="bayes.posterior",
    rejected_by="bayes.posterior_var",
    coincides="never exactly; nearly for late t of long schedules",
)
def posterior_with_beta(schedule, x_0, x_t, t):
    return _posterior_with(schedule, x_0, x_t, t, schedule.beta)


@erratum(
    "posterior-sample-variance-sigma",
    source="S1, line 605",
    says=r"x_{t-1} = \tilde\mu_t + \sqrt{\tilde\beta_t}\,z \text{ has the variance } \sqrt{\tilde\beta_t}",
    correct=r"x_{t-1} = \tilde\mu_t + \sqrt{\tilde\beta_t}\,z \text{ has the variance } \tilde\beta_t",
    replaces="bayes.posterior",
    rejected_by="bayes.posterior_var",
    coincides="at t = 1, where both are 0",
)
def posterior_with_the_std(schedule, x_0, x_t, t):
    return _posterior_with(schedule, x_0, x_t, t, np.sqrt(schedule.beta_tilde))


@erratum(
    "posterior-var-divided-by-beta",
    source="varun-ml/diffusion-models-tutorial#1, which mends a denominator that cancels against beta_t",
    says=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \frac{1 - \bar\alpha_{t-1}}{1 - \alpha_t}\,\beta_t"
    r" = 1 - \bar\alpha_{t-1}",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t",
    replaces="bayes.posterior",
    rejected_by="bayes.posterior_var",
    coincides="at t = 1, where both are 0",
)
def posterior_with_the_marginal_variance(schedule, x_0, x_t, t):
    return _posterior_with(schedule, x_0, x_t, t, np.append(0.0, schedule.one_minus_alpha_bar[:-1]))


@erratum(
    "posterior-called-approximate",
    source="S4, lines 124, 230, 250",
    says=r"q(x_{t-1} \mid x_t, x_0) \approx \mathcal{N}(\tilde\mu_t, \tilde\beta_t I), \text{ say to one per cent}",
    correct=r"q(x_{t-1} \mid x_t, x_0) = \mathcal{N}(\tilde\mu_t, \tilde\beta_t I) \text{ for every } \beta;"
    r" \text{ it is } q(x_{t-1} \mid x_t) \text{ that is only nearly Gaussian}",
    replaces="bayes.posterior",
    rejected_by="bayes.posterior_var",
    coincides="at t = 1; chance at n = 4,000 sees a tenth of a variance, not a hundredth",
    by_chance=False,
)
def posterior_to_one_per_cent(schedule, x_0, x_t, t):
    return _posterior_with(schedule, x_0, x_t, t, 1.01 * schedule.beta_tilde)


@erratum(
    "alpha-bar-0-is-alpha-bar-1",
    source="lllyasviel/ControlNet#587; likewise Stability-AI/stablediffusion#345",
    says=r"\bar\alpha_0 = \bar\alpha_1",
    correct=r"\bar\alpha_0 = 1, \quad \tilde\beta_1 = 0",
    replaces="bayes.posterior",
    rejected_by=("bayes.posterior_mean", "bayes.posterior_var"),
    coincides="for t > 1; the walks of these identities are judged at t > 1, so only the exact route sees it",
    by_chance=False,
)
def posterior_that_starts_at_one(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t)
    return _posterior_from(schedule, x_0, x_t, t, schedule.alpha_bar[np.maximum(t - 1, 1)])


@erratum(
    "alpha-bar-prev-padded-on-the-right",
    source="lucidrains/denoising-diffusion-pytorch#18, where the 1 was padded on the wrong side for a while",
    says=r"\bar\alpha_{t-1} \text{ read from } (\bar\alpha_1, \ldots, \bar\alpha_{T-1}, 1): \bar\alpha_t"
    r" \text{ for } t < T \text{ and } 1 \text{ for } t = T",
    correct=r"\bar\alpha_{t-1} \text{ read from } (1, \bar\alpha_1, \ldots, \bar\alpha_{T-1})",
    replaces="bayes.posterior",
    rejected_by=("bayes.posterior_mean", "bayes.posterior_var"),
    coincides="only where T = 1",
)
def posterior_padded_on_the_right(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t)
    return _posterior_from(schedule, x_0, x_t, t, np.append(schedule.alpha_bar[:-1], 1.0)[t])


def _posterior_from(schedule, x_0, x_t, t, alpha_bar_prev):
    """Return the posterior with something else in place of alpha_bar_{t-1}."""
    one_minus, one_minus_prev = schedule.one_minus_alpha_bar[t], 1 - alpha_bar_prev
    c_0 = np.sqrt(alpha_bar_prev) * schedule.beta[t] / one_minus
    c_t = np.sqrt(schedule.alpha[t]) * one_minus_prev / one_minus
    return Gaussian(c_0 * x_0 + c_t * x_t, one_minus_prev / one_minus * schedule.beta[t], point_mass=True)


@erratum(
    "posterior-square-extra-factor",
    source="S0, line 136",
    says=r"q(x_{t-1} \mid x_t, x_0) \propto"
    r" \exp\left(-\frac{(x_{t-1} - \tilde\mu_t\,x_{t-1})^2}{2\tilde\beta_t}\right), \text{ a Gaussian around } 0",
    correct=r"q(x_{t-1} \mid x_t, x_0) \propto \exp\left(-\frac{(x_{t-1} - \tilde\mu_t)^2}{2\tilde\beta_t}\right)",
    replaces="bayes.posterior",
    rejected_by=("bayes.posterior_mean", "bayes.posterior_var", "bayes.rule"),
    coincides="where mu_tilde = 0",
)
def posterior_around_zero(schedule, x_0, x_t, t):
    q = posterior(schedule, x_0, x_t, t)
    return Gaussian(0 * q.mean, q.var / (1 - q.mean) ** 2, point_mass=True)


@erratum(
    "merged-noise-undone-in-one-step",
    source="S3, line 156: one symbol for the noise of a step and for that of t steps",
    says=r"x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \sqrt{\beta_t}\,\epsilon\right)",
    correct=r"\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}"
    r"\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    replaces="bayes.posterior_from_eps",
    rejected_by="bayes.posterior_from_eps",
    coincides="at t = 1, where the merged noise is that of the step",
)
def posterior_undoing_the_step(schedule, eps, x_t, t):
    t = schedule.index(t, x_t)
    mean = (x_t - np.sqrt(schedule.beta[t]) * eps) / np.sqrt(schedule.alpha[t])
    return Gaussian(mean, schedule.beta_tilde[t], point_mass=True)


@erratum(
    "target-index-T-minus-1",
    source="S4, line 105",
    says=r"\epsilon_t \text{ leads to the target } x_{T-1}: \quad"
    r" \frac{1}{\sqrt{\alpha_T}}\left(x_t - \frac{\beta_T}{\sqrt{1 - \bar\alpha_T}}\,\epsilon\right)",
    correct=r"\epsilon_t \text{ leads to the target } x_{t-1}: \quad"
    r" \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    replaces="bayes.posterior_from_eps",
    rejected_by="bayes.posterior_from_eps",
    coincides="at t = T",
)
def posterior_of_the_last_step(schedule, eps, x_t, t):
    beta, noise, alpha = schedule.beta[-1], schedule.noise_rate[-1], schedule.alpha[-1]
    return Gaussian((x_t - beta / noise * eps) / np.sqrt(alpha), schedule.beta_tilde[-1])


@erratum(
    "likelihood-precision-without-alpha",
    source="a common slip",
    says=r"\frac{1}{\tilde\beta_t} = \frac{1}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}",
    correct=r"\frac{1}{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}",
    replaces="bayes.posterior_from_precisions",
    rejected_by="bayes.posterior_from_precisions",
    coincides="as beta_t goes to 0",
)
def precisions_without_alpha(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t, least=2)
    likelihood, prior = 1 / schedule.beta[t], 1 / schedule.one_minus_alpha_bar[t - 1]
    weighted = np.sqrt(schedule.alpha[t]) * likelihood * x_t + schedule.signal_rate[t - 1] * prior * x_0
    return from_natural(likelihood + prior, weighted)


@erratum(
    "completing-square-typos",
    source="S3, line 391",
    says=r"\frac{\tilde\mu_t^2}{\tilde\beta_t} = \tilde\beta_t\,(a\,x_t^2 + b\,x_0)(a\,x_t + b\,x_0^2), \quad"
    r" a = \frac{\sqrt{\alpha_t}}{\beta_t}, \quad b = \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}",
    correct=r"\frac{\tilde\mu_t^2}{\tilde\beta_t} = \tilde\beta_t\,(a\,x_t + b\,x_0)(a\,x_t + b\,x_0)",
    replaces="bayes.quadratic_constant",
    rejected_by="bayes.quadratic_constant",
    coincides="where both x_0 and x_t are 0 or 1",
)
def constant_as_printed(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t, least=2)
    a = np.sqrt(schedule.alpha[t]) / schedule.beta[t]
    b = schedule.signal_rate[t - 1] / schedule.one_minus_alpha_bar[t - 1]
    return np.sum(schedule.beta_tilde[t] * (a * x_t**2 + b * x_0) * (a * x_t + b * x_0**2), axis=-1)


@erratum(
    "normaliser-of-one-coordinate",
    source="a common slip",
    says=r"C_1 = \left(2\pi\tilde\beta_t\right)^{-1/2}",
    correct=r"C_1 = \left(2\pi\tilde\beta_t\right)^{-d/2}",
    replaces="bayes.log_c_1",
    rejected_by="bayes.log_c_1",
    coincides="with d = 1",
)
def log_c_1_of_one_coordinate(schedule, d, t):
    return log_c_1(schedule, 1, t)


@erratum(
    "constant-not-halved",
    source="a common slip",
    says=r"C_2 = C_1 \exp\left(-\frac{\Vert\tilde\mu_t\Vert^2}{\tilde\beta_t}\right)",
    correct=r"C_2 = C_1 \exp\left(-\frac{\Vert\tilde\mu_t\Vert^2}{2\tilde\beta_t}\right)",
    replaces="bayes.log_c_2",
    rejected_by="bayes.log_c_2",
    coincides="where mu_tilde = 0",
)
def log_c_2_without_the_half(schedule, x_0, x_t, t):
    return log_c_1(schedule, np.shape(x_t)[-1], t) - quadratic_constant(schedule, x_0, x_t, t)


@erratum(
    "next-step-left-out",
    source="S0, line 79, where x_t is integrated over q(x_t | x_{t-1}) beside a given x_{t+1}",
    says=r"q(x_t \mid x_{t-1}, x_{t+1}) = q(x_t \mid x_{t-1})",
    correct=r"q(x_t \mid x_{t-1}, x_{t+1}) \propto q(x_t \mid x_{t-1})\,q(x_{t+1} \mid x_t)",
    replaces="bayes.smoothing",
    rejected_by="bayes.smoothing",
    coincides="as beta_{t+1} goes to 1",
)
def smoothing_by_the_step_before(schedule, x_prev, x_next, t):
    t = schedule.index(t, x_prev)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t])
