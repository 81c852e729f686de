r"""Wrong versions of the terms of the bound, as found in print and in code."""

import numpy as np
from scipy.special import ndtr

from refdiff import elbo, forward, reverse
from refdiff.bayes import posterior, smoothing
from refdiff.gaussian import Gaussian, cross_entropy, kl
from refdiff.verify.identity import erratum


@erratum(
    "lt-dropped-as-equality",
    source="S3, lines 762-764",
    says=r"L_T = 0",
    correct=r"L_T = \mathrm{KL}(q(x_T \mid x_0) \Vert \mathcal{N}(0, I)),"
    r" \text{ constant in } \theta \text{ but not zero}",
    replaces="elbo.prior_term",
    rejected_by="elbo.prior_term",
    coincides="in gradients, which do not see a constant; nearly where alpha_bar_T is nearly 0",
)
def no_prior_term(schedule, x_0):
    return np.zeros(np.shape(x_0)[:-1])


@erratum(
    "per-step-parameters-needed-for-gaussian-limit",
    source="S0, line 16",
    says=r"\text{parameters that vary from step to step guarantee } q(x_T \mid x_0) = \mathcal{N}(0, I): \quad L_T = 0",
    correct=r"L_T > 0 \text{ for every finite } T, \text{ and one } \beta \text{ for all steps does as well:"
    r" with } x_0 = 1, \; L_T = 8.4 \cdot 10^{-10} \text{ for 1000 of } .02, \; 2.0 \cdot 10^{-5} \text{ for}"
    r" \text{ those from } 10^{-4} \text{ to } .02",
    replaces="elbo.prior_term",
    rejected_by="elbo.prior_term",
    coincides="nearly where alpha_bar_T is nearly 0; of a schedule with one beta it says nothing",
)
def no_prior_term_if_betas_vary(schedule, x_0):
    right = elbo.prior_term(schedule, x_0)
    return 0 * right if np.ptp(schedule.beta[1:]) > 0 else right


@erratum(
    "prior-variance-as-std",
    source="Michedev/DDPMs-Pytorch, variational_loss",
    says=r"L_T = \mathrm{KL}\left(\mathcal{N}(\sqrt{\bar\alpha_T}\,x_0, (1 - \bar\alpha_T)^2)"
    r" \,\Vert\, \mathcal{N}(0, I)\right)",
    correct=r"q(x_T \mid x_0) = \mathcal{N}(\sqrt{\bar\alpha_T}\,x_0, 1 - \bar\alpha_T)",
    replaces="elbo.prior_term",
    rejected_by="elbo.prior_term",
    coincides="nearly where 1 - alpha_bar_T is nearly 1",
)
def prior_term_with_variance_as_std(schedule, x_0):
    q_T = forward.marginal(schedule, x_0, schedule.T)
    return kl(Gaussian(q_T.mean, q_T.var**2), Gaussian(np.zeros_like(q_T.mean), 1.0))


@erratum(
    "entropy-forgotten",
    source="Kim-Dongjun/Soft-Truncation#2, there with an earlier time in place of T",
    says=r"L_T = -\mathbb{E}_q \log p(x_T)",
    correct=r"L_T = \mathbb{E}_q[\log q(x_T \mid x_0) - \log p(x_T)]",
    replaces="elbo.prior_term",
    rejected_by="elbo.prior_term",
)
def prior_term_without_entropy(schedule, x_0):
    q_T = forward.marginal(schedule, x_0, schedule.T)
    return cross_entropy(q_T, Gaussian(np.zeros_like(q_T.mean), 1.0))


@erratum(
    "kl-missing-second-argument",
    source="S2, lines 82, 90",
    says=r"L_{t-1} = \mathbb{E}\, D_{KL}(q(x_{t-1} \mid x_t, x_0)) = \mathbb{E}_q \log q(x_{t-1} \mid x_t, x_0)",
    correct=r"L_{t-1} = \mathbb{E}\, D_{KL}(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t))",
    replaces="elbo.denoising_term",
    rejected_by="elbo.denoising_term",
)
def term_with_one_argument(schedule, denoiser, x_0, x_t, t, variance="beta"):
    return -posterior(schedule, x_0, x_t, t).entropy()


@erratum(
    "term-constant-dropped",
    source="S3, lines 519, 547",
    says=r"L_{t-1} = \frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}",
    correct=r"\frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}"
    r" + \frac d2\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]",
    replaces="elbo.denoising_term",
    rejected_by="elbo.denoising_term",
    coincides="where sigma_t^2 = beta_tilde_t",
)
def term_without_constant(schedule, denoiser, x_0, x_t, t, variance="beta"):
    q, p = posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance)
    return np.sum((q.mean - p.mean) ** 2 / (2 * p.var), axis=-1)


@erratum(
    "labml-constant-dropped",
    source="labmlai/annotated_deep_learning_paper_implementations, text of ddpm/__init__.py, with sigma_t^2 = beta_t",
    says=r"c_t = 0",
    correct=r"c_t = \tfrac12\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]",
    replaces="elbo.kl_constant",
    rejected_by="elbo.kl_constant",
    coincides="where sigma_t^2 = beta_tilde_t; summed over linear-1000 it is 0.34 nats a coordinate",
)
def no_constant(schedule, t, variance="beta"):
    return np.zeros(np.shape(t))


@erratum(
    "l0-sign-conflict",
    source="S2, line 83; S3, lines 435, 700",
    says=r"L_0 = \log p(x_0 \mid x_1)",
    correct=r"L_0 = -\log p(x_0 \mid x_1), \text{ a loss like the others}",
    replaces="elbo.reconstruction_term",
    rejected_by=("elbo.reconstruction_gaussian", "elbo.reconstruction_discretized"),
)
def reconstruction_with_other_sign(*args, **kwargs):
    return -elbo.reconstruction_term(*args, **kwargs)


@erratum(
    "l0-as-squared-error",
    source="a reading of Ho, Jain & Abbeel (2020), section 3.4; see lucidrains/denoising-diffusion-pytorch#30",
    says=r"L_0 = \frac{\Vert x_0 - \mu(x_1, 1)\Vert^2}{2\sigma_1^2}",
    correct=r"L_0 = \frac{\Vert x_0 - \mu(x_1, 1)\Vert^2}{2\sigma_1^2} + \frac d2 \log 2\pi\sigma_1^2",
    replaces="elbo.reconstruction_term",
    rejected_by="elbo.reconstruction_gaussian",
    coincides="in gradients; and where 2 pi sigma_1^2 = 1",
)
def reconstruction_as_squared_error(schedule, denoiser, x_0, x_1, decoder="gaussian", decoder_var="beta_1", bins=256):
    mean = reverse.transition(schedule, denoiser, x_1, 1, "beta").mean
    return np.sum((x_0 - mean) ** 2, axis=-1) / (2 * reverse.decoder_var(schedule, decoder_var))


@erratum(
    "beta-tilde-1-clipped",
    source="huggingface/diffusers#3006, where beta_tilde_1 = 0 becomes 1e-20",
    says=r"\sigma_1^2 = \max(\tilde\beta_1, 10^{-20})",
    correct=r"\sigma_1^2 \text{ is a choice of its own: } \beta_1, \text{ or } \tilde\beta_2",
    replaces="elbo.reconstruction_term",
    rejected_by="elbo.reconstruction_gaussian",
    coincides="in a sampler, whose last step adds no noise anyway",
)
def reconstruction_with_clipped_variance(
    schedule, denoiser, x_0, x_1, decoder="gaussian", decoder_var="beta_1", bins=256
):
    clipped = max(float(schedule.beta_tilde[1]), 1e-20)
    return elbo.reconstruction_term(schedule, denoiser, x_0, x_1, decoder, clipped, bins)


@erratum(
    "bins-for-continuous-data",
    source="facebookresearch/DiT#52 and LTH14/mar#51, where the data are codes of an autoencoder and on no bins",
    says=r"L_0 = -\mathbb{E} \sum_i \log \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)}"
    r" \mathcal{N}\left(x; \mu^i(x_1, 1), \sigma_1^2\right) dx \text{ for any } x_0",
    correct=r"L_0 = -\mathbb{E} \log \mathcal{N}\left(x_0; \mu(x_1, 1), \sigma_1^2 I\right)"
    r" \text{ for data that are not on bins}",
    replaces="elbo.reconstruction_term",
    rejected_by="elbo.reconstruction_gaussian",
    coincides="nearly, in gradients, for bins narrow beside sigma_1 and data well inside [-1, 1]",
)
def reconstruction_on_bins(schedule, denoiser, x_0, x_1, decoder="gaussian", decoder_var="beta_1", bins=256):
    if decoder != "gaussian":
        return elbo.reconstruction_term(schedule, denoiser, x_0, x_1, decoder, decoder_var, bins)
    mean, half = reverse.transition(schedule, denoiser, x_1, 1, "beta").mean, 1 / (bins - 1)
    std = np.sqrt(reverse.decoder_var(schedule, decoder_var))
    above = np.where(x_0 > 1 - half, 1.0, ndtr((x_0 + half - mean) / std))
    below = np.where(x_0 < -1 + half, 0.0, ndtr((x_0 - half - mean) / std))
    return -np.sum(np.log(np.maximum(above - below, 1e-12)), axis=-1)


@erratum(
    "discrete-decoder-described-as-density",
    source="S3, line 700",
    says=r"p(x_0 \mid x_1) = \mathcal{N}(x_0; \mu(x_1, 1), \sigma_1^2)\,\tfrac{2}{B - 1}",
    correct=r"p(x_0 \mid x_1) = \int_{\delta_-(x_0)}^{\delta_+(x_0)} \mathcal{N}(x; \mu(x_1, 1), \sigma_1^2)\,dx",
    replaces="elbo.discretized_log_likelihood",
    rejected_by="elbo.discretized_log_likelihood",
    coincides="nearly for bins narrow beside sigma_1, away from the ends",
)
def density_times_width(x, mean, std, bins=256):
    return Gaussian(mean, std**2).log_density(x) + np.shape(x)[-1] * np.log(2 / (bins - 1))


@erratum(
    "decoder-closed-ends",
    source="a common slip",
    says=r"\delta_\pm(x) = x \pm \tfrac{1}{B - 1} \text{ at } x = \pm 1 \text{ too}",
    correct=r"\delta_+(1) = \infty, \quad \delta_-(-1) = -\infty",
    replaces="elbo.discretized_log_likelihood",
    rejected_by="elbo.discretized_log_likelihood",
    coincides="nearly for a mean far from the ends",
)
def closed_ends(x, mean, std, bins=256):
    half = 1 / (bins - 1)
    with np.errstate(divide="ignore"):
        return np.sum(np.log(ndtr((x + half - mean) / std) - ndtr((x - half - mean) / std)), axis=-1)


@erratum(
    "decoder-tanh-cdf",
    source="openai/improved-diffusion and openai/guided-diffusion, losses.py; lucidrains/denoising-diffusion-pytorch",
    says=r"\Phi(z) = \tfrac12\left[1 + \tanh\sqrt{2/\pi}\,(z + 0.044715\,z^3)\right]",
    correct=r"\Phi(z) = \tfrac12\left[1 + \operatorname{erf}(z / \sqrt 2)\right]",
    replaces="elbo.discretized_log_likelihood",
    rejected_by="elbo.discretized_log_likelihood",
    coincides="to 1.8e-4 in Phi and 3.6e-4 in the probability of a bin; single values in the tails are off by up"
    " to 7.5 bits, and without limit below its floor of 1e-12",
    by_chance=False,
)
def tanh_cdf(x, mean, std, bins=256):
    def cdf(z):
        return (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2

    half = 1 / (bins - 1)
    above = np.where(x > 1 - half, 1.0, cdf((x + half - mean) / std))
    below = np.where(x < -1 + half, 0.0, cdf((x - half - mean) / std))
    return np.sum(np.log(np.maximum(above - below, 1e-12)), axis=-1)


@erratum(
    "consistency-term-as-kl",
    source="S0, line 79; with q(x_{t-1}, x_{t+1} | x_0) outside, as taken here, Luo (2022), eq. 45",
    says=r"C_t = \mathbb{E}_{q(x_{t-1}, x_{t+1} \mid x_0)}"
    r" \mathrm{KL}\left(q(x_t \mid x_{t-1}) \,\Vert\, p(x_t \mid x_{t+1})\right)",
    correct=r"C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})},"
    r" \text{ where } x_t \text{ is drawn from } q(x_t \mid x_{t-1}, x_{t+1})",
    replaces="elbo.consistency_term_integrated",
    rejected_by="elbo.consistency_term_integrated",
    coincides="for a model whose mean does not depend on x_{t+1}",
)
def integrated_term_as_one_divergence(schedule, denoiser, x_prev, x_next, t, variance="beta"):
    q = forward.transition(schedule, x_prev, t)
    return kl(q, reverse.transition(schedule, denoiser, x_next, t + 1, variance))


@erratum(
    "consistency-divergence-left-out",
    source="a common slip",
    says=r"C_t = \mathbb{E}\,\mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)",
    correct=r"C_t = \mathbb{E}\left[\mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)"
    r" - \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, q(x_t \mid x_{t-1})\right)\right]",
    replaces="elbo.consistency_term_integrated",
    rejected_by="elbo.consistency_term_integrated",
    coincides="in gradients: what is left out has no parameter in it",
)
def integrated_term_without_second_divergence(schedule, denoiser, x_prev, x_next, t, variance="beta"):
    between = smoothing(schedule, x_prev, x_next, t)
    return kl(between, reverse.transition(schedule, denoiser, x_next, t + 1, variance))


@erratum(
    "consistency-term-sign",
    source="a common slip, where the bound on log p is turned into a loss; its right form stands in S0, line 76",
    says=r"C_t = \mathbb{E}\log\frac{p(x_t \mid x_{t+1})}{q(x_t \mid x_{t-1})}",
    correct=r"C_t = \mathbb{E}\log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}, \text{ a loss like the others}",
    replaces="elbo.consistency_term",
    rejected_by="elbo.consistency_term",
)
def consistency_term_with_other_sign(*args, **kwargs):
    return -elbo.consistency_term(*args, **kwargs)


@erratum(
    "next-step-with-variance-of-this",
    source="a common slip",
    says=r"p(x_t \mid x_{t+1}) = \mathcal{N}(x_t; \mu(x_{t+1}, t + 1), \sigma_t^2)",
    correct=r"p(x_t \mid x_{t+1}) = \mathcal{N}(x_t; \mu(x_{t+1}, t + 1), \sigma_{t+1}^2)",
    replaces="elbo.consistency_term",
    rejected_by="elbo.consistency_term",
    coincides="nearly where sigma_t^2 changes little from step to step, as on linear-1000; with one beta for all steps",
)
def consistency_term_with_variance_of_this_step(schedule, denoiser, x_prev, x_t, x_next, t, variance="beta"):
    p = reverse.transition(schedule, denoiser, x_next, t + 1, variance)
    sigma_2 = reverse.var(schedule, t, variance)
    sigma_2 = np.where(sigma_2 > 0, sigma_2, reverse.var(schedule, t + 1, variance))  # beta_tilde_1 is none
    p = Gaussian(p.mean, np.expand_dims(sigma_2, -1) if np.ndim(t) else sigma_2)
    return forward.transition(schedule, x_prev, t).log_density(x_t) - p.log_density(x_t)


@erratum(
    "next-step-asked-at-this",
    source="a common slip",
    says=r"\mu(x_{t+1}, t + 1) = \frac{1}{\sqrt{\alpha_{t+1}}}\left(x_{t+1}"
    r" - \frac{\beta_{t+1}}{\sqrt{1 - \bar\alpha_{t+1}}}\,\hat\epsilon(x_{t+1}, t)\right)",
    correct=r"\mu(x_{t+1}, t + 1) = \frac{1}{\sqrt{\alpha_{t+1}}}\left(x_{t+1}"
    r" - \frac{\beta_{t+1}}{\sqrt{1 - \bar\alpha_{t+1}}}\,\hat\epsilon(x_{t+1}, t + 1)\right)",
    replaces="elbo.consistency_term",
    rejected_by="elbo.consistency_term",
    coincides="for a denoiser that does not look at t",
)
def consistency_term_asked_at_this_step(schedule, denoiser, x_prev, x_t, x_next, t, variance="beta"):
    return elbo.consistency_term(
        schedule, lambda x, following: denoiser(x, following - 1), x_prev, x_t, x_next, t, variance
    )


@erratum(
    "prior-of-consistency-taken-for-l-t",
    source="a common slip: both forms call the term prior matching",
    says=r"\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert \mathcal{N}(0, I))"
    r" = \tfrac12\left[\bar\alpha_T \Vert x_{T-1}\Vert^2 - d\,\bar\alpha_T - d\log(1 - \bar\alpha_T)\right]",
    correct=r"\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert \mathcal{N}(0, I))"
    r" = \tfrac12\left[\alpha_T \Vert x_{T-1}\Vert^2 - d\,\alpha_T - d\log\beta_T\right]",
    replaces="elbo.consistency_prior",
    rejected_by="elbo.consistency_prior",
    coincides="with T = 1",
)
def consistency_prior_as_l_t(schedule, x_prev):
    return elbo.prior_term(schedule, x_prev)


@erratum(
    "consistency-term-has-no-closed-form",
    source="S0, line 87",
    says=r"C_t \text{ has no closed form; its counterpart } L_t \text{ is all that is known of it: } k_t = 0",
    correct=r"C_t = L_t + \tfrac d2\log\frac{\tilde\beta_{t+1}}{\beta_t}, \text{ for every model}",
    replaces="elbo.consistency_constant",
    rejected_by="elbo.consistency_constant",
    coincides="in gradients, and in the sum over t",
)
def no_consistency_constant(schedule, t):
    return np.zeros(np.shape(t))


@erratum(
    "consistency-constant-of-one-step",
    source="a common slip",
    says=r"k_t = \tfrac12\log\frac{\tilde\beta_{t+1}}{\beta_{t+1}}",
    correct=r"k_t = \tfrac12\log\frac{\tilde\beta_{t+1}}{\beta_t}",
    replaces="elbo.consistency_constant",
    rejected_by="elbo.consistency_constant",
    coincides="with one beta for all steps",
)
def consistency_constant_of_one_step(schedule, t):
    t, k = np.asarray(t), elbo.consistency_constant(schedule, t)
    following = np.minimum(t + 1, schedule.T)
    return k + np.where(t < schedule.T, 0.5 * np.log(schedule.beta[t] / schedule.beta[following]), 0.0)


@erratum(
    "prior-terms-of-both-forms-equal",
    source="a common slip: the sum of the other constants is taken for 0",
    says=r"\mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T)) = L_T",
    correct=r"\mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T)) = L_T"
    r" + \tfrac d2 \log\frac{1 - \bar\alpha_T}{\beta_T}",
    replaces="elbo.consistency_constant",
    rejected_by="elbo.consistency_constant",
    coincides="with T = 1",
)
def consistency_constant_without_the_last(schedule, t):
    return np.where(np.equal(t, schedule.T), 0.0, elbo.consistency_constant(schedule, t))
