r"""Wrong versions of the reverse process: variances for standard deviations, steps left out, noise where none is."""

import numpy as np

from refdiff import bayes, reverse
from refdiff.gaussian import Gaussian
from refdiff.parameterize import score_from_eps, x_0_from_eps
from refdiff.verify.identity import erratum


@erratum(
    "sigma-equals-beta",
    source="S3, lines 474, 670, 675, 789",
    says=r"\sigma_t = \beta_t \text{ or } \tilde\beta_t, \quad x_{t-1} = \mu + \sigma_t z",
    correct=r"\sigma_t^2 = \beta_t \text{ or } \tilde\beta_t, \quad x_{t-1} = \mu + \sigma_t z",
    replaces="reverse.transition",
    rejected_by="reverse.transition_var",
    coincides="beta_t near 1; and at t = 1, where beta_tilde_1 = 0",
)
def transition_with_std_beta(schedule, denoiser, x_t, t, variance="posterior"):
    right = reverse.transition(schedule, denoiser, x_t, t, variance)
    return Gaussian(right.mean, right.var**2, point_mass=True)


@erratum(
    "variance-is-sqrt-beta",
    source="S4, lines 152-154",
    says=r"\sigma_t^2 = \sqrt{\beta_t}",
    correct=r"\sigma_t^2 = \beta_t, \quad \sigma_t = \sqrt{\beta_t}",
    replaces="reverse.var",
    rejected_by="reverse.var",
    coincides="beta_t near 1. The code below the sentence is right, since its `var` is used as a standard deviation",
)
def var_is_sqrt(schedule, t, variance="posterior"):
    return np.sqrt(reverse.var(schedule, t, variance))


@erratum(
    "beta-for-posterior-variance",
    source="jhbastek/PhysicsInformedDiffusionModels#4",
    says=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \beta_t",
    correct=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \tilde\beta_t",
    replaces="reverse.var",
    rejected_by="reverse.var",
    coincides="never exactly; nearly for late t of long schedules",
)
def beta_under_both_names(schedule, t, variance="posterior"):
    return reverse.var(schedule, t, "beta")


@erratum(
    "posterior-variance-clamped",
    source="huggingface/diffusers, DDPMScheduler._get_variance",
    says=r"\tilde\beta_1 = 10^{-20}",
    correct=r"\tilde\beta_1 = 0",
    replaces="reverse.var",
    rejected_by="reverse.var",
    coincides="every t > 1; and 1e-20 is too small for chance to see. Its logarithm, -46, is not",
    by_chance=False,
)
def clamped_var(schedule, t, variance="posterior"):
    return np.maximum(reverse.var(schedule, t, variance), 1e-20)


@erratum(
    "no-noise-because-variance-vanishes",
    source="S4, lines 145, 152-154",
    says=r"\sigma_1^2 = 0, \text{ which is why } z = 0 \text{ at } t = 1",
    correct=r"\tilde\beta_1 = 0, \text{ but } \sigma_1^2 = \beta_1 > 0:"
    r" \text{ to leave out its noise and return the mean is a choice}",
    replaces="reverse.decoder_var",
    rejected_by="reverse.decoder_var",
    coincides="the posterior, which at t = 1 is x_0 itself",
)
def vanishing_decoder_var(schedule, convention="beta_1"):
    return 0.0


@erratum(
    "sampling-missing-fraction",
    source="S3, line 664",
    says=r"\mu = \sqrt{\alpha_t}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\hat\epsilon\right)",
    correct=r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\hat\epsilon\right)",
    replaces="reverse.transition",
    rejected_by="reverse.transition_mean",
    coincides="beta_t near 0, up to a factor 1 - beta_t",
)
def transition_times_sqrt_alpha(schedule, denoiser, x_t, t, variance="posterior"):
    right = reverse.transition(schedule, denoiser, x_t, t, variance)
    return Gaussian(schedule.alpha[schedule.index(t, right.mean)] * right.mean, right.var, point_mass=True)


@erratum(
    "ancestral-step-is-langevin",
    source="S3, lines 652-666",
    says=r"\mu = x_t + \frac{\beta_t}{2}\,s, \qquad s = -\hat\epsilon \,/ \sqrt{1 - \bar\alpha_t}",
    correct=r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t + \beta_t\,s\right):"
    r" \text{ the whole drift, and the scale of } x_{t-1}",
    replaces="reverse.transition",
    rejected_by="reverse.transition_mean",
    coincides="where s = -x_t, as for data N(0, I), up to terms in beta_t^2",
)
def langevin_step(schedule, denoiser, x_t, t, variance="posterior"):
    index = schedule.index(t, x_t)
    score = score_from_eps(schedule, x_t, denoiser(x_t, t), t)
    right = reverse.transition(schedule, denoiser, x_t, t, variance)
    return Gaussian(x_t + schedule.beta[index] / 2 * score, right.var, point_mass=True)


@erratum(
    "clipped-x-0-is-algorithm-2",
    source="hojonathanho/diffusion#5",
    says=r"\mu = \tilde\mu_t\left(x_t, \operatorname{clip}(\hat x_0, -1, 1)\right)",
    correct=r"\mu = \tilde\mu_t(x_t, \hat x_0)",
    replaces="reverse.transition",
    rejected_by="reverse.transition_mean",
    coincides="wherever the x_0 predicted lies in [-1, 1]",
)
def transition_with_clipping(schedule, denoiser, x_t, t, variance="posterior"):
    x_0 = np.clip(x_0_from_eps(schedule, x_t, denoiser(x_t, t), t), -1, 1)
    right = reverse.transition(schedule, denoiser, x_t, t, variance)
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, right.var, point_mass=True)


@erratum(
    "noise-at-the-last-step",
    source="labmlai/annotated_deep_learning_paper_implementations#131; acids-ircam/diffusion_models, p_sample",
    says=r"x_{t-1} = \mu(x_t, t) + \sigma_t z \text{ for } t = T, \ldots, 1",
    correct=r"x_{t-1} = \mu(x_t, t) + \sigma_t z \text{ for } t > 1, \quad x_0 = \mu(x_1, 1)",
    replaces="reverse.ancestral",
    rejected_by="reverse.ancestral",
    coincides='variance="posterior", whose last step has no noise',
)
def ancestral_with_last_noise(schedule, denoiser, x_T, rng, variance="posterior"):
    x_t = x_T
    for t in range(schedule.T, 0, -1):
        x_t = reverse.transition(schedule, denoiser, x_t, t, variance).sample(rng)
        yield t - 1, x_t


@erratum(
    "generation-equation-placeholder",
    source="S3, lines 647-648",
    says=r"x_t = x_{t-1}",
    correct=r"x_{t-1} = \mu(x_t, t) + \sigma_t z",
    replaces="reverse.sample",
    rejected_by="reverse.sample",
    coincides="data N(0, I), whose noise is data already",
)
def sample_by_doing_nothing(schedule, denoiser, n, d, rng, variance="posterior"):
    return reverse.prior(n, d).sample(rng)


@erratum(
    "reverse-mean-uses-x0",
    source="S3, lines 787-788; S4, lines 119 and 227",
    says=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(\tilde\mu_t(x_t, x_0),\; \tilde\beta_t I\right)",
    correct=r"p(x_{t-1} \mid x_t) = \mathcal{N}\left(\mu(x_t, t),\; \sigma_t^2 I\right):"
    r" x_0 \text{ is what is to be found}",
    replaces="reverse.sample",
    rejected_by="reverse.sample",
    coincides="nowhere: told x_0, it returns x_0",
)
def sample_of_what_is_known(schedule, denoiser, n, d, rng, variance="posterior"):
    x_0, x_t = (reverse.prior(n, d).sample(rng) for _ in range(2))  # somebody has to say what x_0 is
    for t in range(schedule.T, 0, -1):
        x_t = bayes.posterior(schedule, x_0, x_t, t).sample(rng)
    return x_t


@erratum(
    "loop-skips-T",
    source="S4, line 161",
    says=r"t = T - 1, \ldots, 1",
    correct=r"t = T, \ldots, 1",
    replaces="reverse.sample",
    rejected_by="reverse.sample",
    coincides="nearly, for T = 1000: one step of many is missing",
)
def sample_without_step_T(schedule, denoiser, n, d, rng, variance="posterior"):
    x_t = reverse.prior(n, d).sample(rng)
    for t in reversed(range(1, schedule.T)):
        step = reverse.transition(schedule, denoiser, x_t, t, variance)
        x_t = step.sample(rng) if t > 1 else step.mean
    return x_t


@erratum(
    "prior-by-rand",
    source="acids-ircam/diffusion_models#1 and #8, there for the noise of the forward process",
    says=r"x_T \sim \mathcal{U}(0, 1)^d, \text{ of mean } \tfrac12 \text{ and variance } \tfrac1{12}",
    correct=r"x_T \sim \mathcal{N}(0, I)",
    replaces="reverse.prior",
    rejected_by="reverse.prior",
    coincides="nowhere: `rand` for `randn`",
)
def prior_by_rand(n, d):
    return Gaussian(np.full((n, d), 1 / 2), 1 / 12)
