r"""Wrong versions of the reverse process: variances for standard deviations, steps left out, noise where none is."""

import numpy as np

from refdiff import bayes, forward, reverse
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
    "log-variance-taken-for-variance",
    source='huggingface/diffusers#14569: variance_type "fixed_large_log", whose samples are NaN',
    says=r"\sigma_t^2 = \log\beta_t < 0, \quad x_{t-1} = \mu + \sqrt{\sigma_t^2}\,z",
    correct=r"\log\sigma_t^2 = \log\beta_t, \quad \sigma_t = e^{\frac12 \log\beta_t}",
    replaces="reverse.var",
    rejected_by="reverse.var",
    coincides="never: the logarithm of a variance below 1 is negative",
)
def var_left_as_logarithm(schedule, t, variance="posterior"):
    right = reverse.var(schedule, t, variance)
    return np.log(right) if isinstance(variance, str) and variance == "beta" else right


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
    "pseudo-code-empty",
    source="S0, lines 152-156",
    says=r"\texttt{def training() -> None:} \text{ and } \texttt{def sampling() -> None:} \text{ without a body}",
    correct=r"\text{Algorithm 1: descend } \nabla_\theta \Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2; \quad"
    r" \text{Algorithm 2: } x_{t-1} = \mu(x_t, t) + \sigma_t z, \; t = T, \ldots, 1",
    replaces="reverse.sample",
    rejected_by="reverse.sample",
    coincides="never: it does not compile",
    fails=True,
)
def sample_by_an_empty_program(schedule, denoiser, n, d, rng, variance="posterior"):
    names = {}
    exec("def training() -> None:\n\ndef sampling() -> None:\n", names)
    return names["sampling"]()


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


@erratum(
    "variance-array-counted-from-zero",
    source="a common slip",
    says=r"\sigma_t^2 \text{ is entry } t - 1",
    correct=r"\sigma_t^2 \text{ is entry } t, \text{ and entry } 0 \text{ is not used}",
    replaces="reverse.var",
    rejected_by="reverse.var",
    coincides="both names; an array whose entries are all alike",
)
def var_of_zero_based_array(schedule, t, variance="posterior"):
    right = reverse.var(schedule, t, variance)
    return right if isinstance(variance, str) else np.asarray(variance)[schedule.index(t) - 1]


@erratum(
    "decoder-var-counted-from-zero",
    source="a common slip",
    says=r"\sigma_1^2 = \mathtt{betas[1]} = \beta_2",
    correct=r"\sigma_1^2 = \mathtt{betas[0]} = \beta_1",
    replaces="reverse.decoder_var",
    rejected_by="reverse.decoder_var",
    coincides="betas that are all alike",
)
def decoder_var_of_the_next_step(schedule, convention="beta_1"):
    return float(schedule.beta[2]) if convention == "beta_1" else reverse.decoder_var(schedule, convention)


@erratum(
    "interpolated-without-logarithms",
    source="huggingface/diffusers#2090",
    says=r"\sigma_t^2 = v_t\,\beta_t + (1 - v_t)\,\tilde\beta_t",
    correct=r"\log\sigma_t^2 = v_t \log\beta_t + (1 - v_t) \log\tilde\beta_t",
    replaces="reverse.interpolated_var",
    rejected_by="reverse.interpolated_var",
    coincides="v = 0, but for t = 1, and v = 1; nearly for late steps of long schedules",
)
def interpolated_without_logarithms(schedule, v):
    return v * schedule.beta + (1 - v) * schedule.beta_tilde


@erratum(
    "interpolation-output-not-mapped",
    source="a common slip; that the output is in [-1, 1] is what openai/improved-diffusion#7 asks about",
    says=r"v_t = \text{output} \in [-1, 1]",
    correct=r"v_t = (\text{output} + 1) / 2",
    replaces="reverse.interpolated_var",
    rejected_by="reverse.interpolated_var",
    coincides="v = 1",
)
def interpolated_by_the_output(schedule, v):
    output, sigma_2 = 2 * np.broadcast_to(v, schedule.beta.shape) - 1, np.zeros(schedule.T + 1)
    sigma_2[1:] = schedule.beta[1:] ** output[1:] * schedule.beta_tilde[1:] ** (1 - output[1:])
    return sigma_2


@erratum(
    "interpolation-turned-around",
    source="a common slip",
    says=r"\log\sigma_t^2 = (1 - v_t) \log\beta_t + v_t \log\tilde\beta_t",
    correct=r"\log\sigma_t^2 = v_t \log\beta_t + (1 - v_t) \log\tilde\beta_t",
    replaces="reverse.interpolated_var",
    rejected_by="reverse.interpolated_var",
    coincides="v = 1/2",
)
def interpolated_from_the_other_end(schedule, v):
    return reverse.interpolated_var(schedule, 1 - np.asarray(v))


@erratum(
    "estimated-eps-loss-summed",
    source="a common slip",
    says=r"\ell_t = \mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    correct=r"\ell_t = \tfrac1d\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    replaces="reverse.eps_loss",
    rejected_by="reverse.eps_loss",
    coincides="d = 1",
)
def estimated_eps_loss_summed(schedule, denoiser, x_0, rng):
    return np.shape(x_0)[-1] * reverse.eps_loss(schedule, denoiser, x_0, rng)


@erratum(
    "estimated-eps-loss-by-what-is-said",
    source="a reading of Bao et al. (2022), theorem 1, for a denoiser that is not the ideal one",
    says=r"\ell_t = 1 - \tfrac1d\,\mathbb{E}\Vert\hat\epsilon(x_t, t)\Vert^2",
    correct=r"\ell_t = \tfrac1d\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    replaces="reverse.eps_loss",
    rejected_by="reverse.eps_loss",
    coincides="in the mean for the ideal denoiser; its estimate from samples may fall below 0",
)
def estimated_eps_loss_by_what_is_said(schedule, denoiser, x_0, rng):
    losses = np.zeros(schedule.T + 1)
    for t in range(1, schedule.T + 1):
        x_t = forward.marginal(schedule, x_0, t).sample(rng)
        losses[t] = 1 - np.mean(denoiser(x_t, t) ** 2)
    return losses


@erratum(
    "estimated-eps-loss-of-the-mean-error",
    source="a common slip",
    says=r"\ell_t = \tfrac1d\,\Vert\mathbb{E}[\epsilon - \hat\epsilon(x_t, t)]\Vert^2",
    correct=r"\ell_t = \tfrac1d\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    replaces="reverse.eps_loss",
    rejected_by="reverse.eps_loss",
    coincides="a denoiser that is off by the same everywhere; for the ideal one it is 0",
)
def estimated_eps_loss_of_the_mean_error(schedule, denoiser, x_0, rng):
    losses = np.zeros(schedule.T + 1)
    for t in range(1, schedule.T + 1):
        eps = rng.standard_normal(np.shape(x_0))
        error = eps - denoiser(forward.diffuse(schedule, x_0, eps, t), t)
        losses[t] = np.mean(error.mean(axis=0) ** 2)
    return losses


@erratum(
    "optimal-var-without-posterior",
    source="a common slip",
    says=r"\sigma_t^{*2} = \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\ell_t",
    correct=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\ell_t",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="t = 1, where beta_tilde_1 = 0",
)
def optimal_var_of_the_mean_alone(schedule, eps_loss):
    return reverse.optimal_var(schedule, eps_loss) - schedule.beta_tilde


@erratum(
    "optimal-var-is-a-standard-deviation",
    source="a common slip",
    says=r"\sigma_t^{*2} = \sqrt{\tfrac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_{t-1} \mid x_t]}",
    correct=r"\sigma_t^{*2} = \tfrac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_{t-1} \mid x_t]",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="a variance of 1",
)
def optimal_std(schedule, eps_loss):
    return np.sqrt(reverse.optimal_var(schedule, eps_loss))


@erratum(
    "optimal-var-of-x-0",
    source="a common slip",
    says=r"\sigma_t^{*2} = \tilde\beta_t + \tfrac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_0 \mid x_t]",
    correct=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\bar\alpha_{t-1}\,\beta_t^2}{(1 - \bar\alpha_t)^2}"
    r"\,\tfrac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_0 \mid x_t]",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="t = 1, where x_{t-1} is x_0",
)
def optimal_var_of_x_0(schedule, eps_loss):
    t = slice(1, None)
    left = np.asarray(eps_loss)[t] * schedule.one_minus_alpha_bar[t] / schedule.alpha_bar[t]
    return np.concatenate([[0.0], schedule.beta_tilde[t] + left])


@erratum(
    "optimal-var-of-what-is-said",
    source="a common slip",
    says=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\tfrac1d\,\mathbb{E}\Vert\epsilon^*(x_t, t)\Vert^2",
    correct=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\tfrac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="where the ideal denoiser knows half of the noise",
)
def optimal_var_of_what_is_known(schedule, eps_loss):
    return reverse.optimal_var(schedule, np.append(0.0, np.maximum(1 - np.asarray(eps_loss)[1:], 0.0)))


@erratum(
    "beta-is-optimal",
    source="a reading of Ho, Jain & Abbeel (2020), section 3.2; which one is best for which data is asked in"
    " aqlaboratory/genie#5",
    says=r"\sigma_t^{*2} = \beta_t",
    correct=r"\sigma_t^{*2} = \tfrac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_{t-1} \mid x_t],"
    r" \text{ which is } \beta_t \text{ for data } \mathcal{N}(0, I)",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="data N(0, I); nearly for late steps of long schedules",
)
def beta_as_optimal_var(schedule, eps_loss):
    return schedule.beta


@erratum(
    "posterior-var-is-optimal",
    source="S1, lines 583-589; S4, line 140",
    says=r"x_{t-1} \sim q(x_{t-1} \mid x_t, \hat x_0), \text{ hence } \sigma_t^{*2} = \tilde\beta_t",
    correct=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\tfrac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2",
    replaces="reverse.optimal_var",
    rejected_by=("reverse.optimal_var", "reverse.optimal_var_is_optimal"),
    coincides="data at one point; nearly for late steps of long schedules",
)
def posterior_var_as_optimal_var(schedule, eps_loss):
    return schedule.beta_tilde
