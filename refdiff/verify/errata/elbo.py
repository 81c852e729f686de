r"""Wrong versions of the variational bound, as found in print and in code."""

import numpy as np
from scipy.special import ndtr

from refdiff import elbo, forward, reverse
from refdiff.bayes import posterior
from refdiff.gaussian import Gaussian, cross_entropy, kl
from refdiff.verify.identity import erratum


@erratum(
    "lt-dropped-as-equality",
    source="S3, lines 762-764",
    says=r"L_T = 0",
    correct=r"L_T = \mathrm{KL}(q(x_T \mid x_0) \Vert \mathcal{N}(0, I)), constant in \theta but not zero",
    replaces="elbo.prior_term",
    rejected_by="elbo.prior_term",
    coincides="in gradients, which do not see a constant; nearly where alpha_bar_T is nearly 0",
)
def no_prior_term(schedule, x_0):
    return np.zeros(np.shape(x_0)[:-1])


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
    "missing-expectation-over-xt",
    source="S3, lines 302, 330, 435, 457, 762-766",
    says=r"L_{t-1} = \mathrm{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))"
    r" \text{ at } x_t = \sqrt{\bar\alpha_t}\,x_0",
    correct=r"L_{t-1} = \mathbb{E}_{q(x_t \mid x_0)}"
    r" \mathrm{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    replaces="elbo.denoising_terms",
    rejected_by="elbo.denoising_terms",
    coincides="where the error of the model's mean does not depend on x_t",
)
def terms_without_expectation(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T, 1, -1):
        x_t = forward.marginal(schedule, x_0, t).mean
        yield t, elbo.denoising_term(schedule, denoiser, x_0, x_t, t, variance)


@erratum(
    "wrong-expectation-on-l",
    source="S3, lines 547, 562, 622",
    says=r"L_{t-1} = \mathbb{E}_{q(x_{t-1} \mid x_t, x_0)}\left[\frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}"
    r" + d\,c_t\right] \text{ at one given } x_t",
    correct=r"the bracket has no x_{t-1} in it; the expectation needed is over q(x_t \mid x_0)",
    replaces="elbo.denoising_terms",
    rejected_by="elbo.denoising_terms",
    coincides="where the error of the model's mean does not depend on x_t",
)
def terms_at_one_x_t(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T, 1, -1):
        x_t = np.tile(forward.marginal(schedule, x_0[:1], t).mean + 2.0, (len(x_0), 1))  # given, so not drawn
        yield t, elbo.denoising_term(schedule, denoiser, x_0, x_t, t, variance)


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
    coincides="to 1.8e-4 in probability; single values in the tails are off by up to 2 bits",
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
    "l0-dropped-as-equality",
    source="S3, lines 766-768; by an assignment that overwrites it, Michedev/DDPMs-Pytorch#5",
    says=r"L = \sum_{t=2}^T L_{t-1} + L_T",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T, \text{ and } L_0 \text{ has parameters to learn}",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_without_reconstruction(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, variance, *args, **kwargs)
    return elbo.Bound(0 * right.reconstruction, right.terms, right.prior, right.d)


@erratum(
    "llr-one-gives-zero-vlb",
    source="S3, line 808",
    says=r"L = \sum_{t=2}^T \mathbb{E}[\mathrm{LLR}], \text{ and } \mathrm{LLR} = 1 \Rightarrow L = 0",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T; \text{ if each } \mathrm{LLR} = 0, \text{ the mean of } L"
    r" \text{ over data is their entropy}",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_of_log_ratios_alone(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, variance, *args, **kwargs)
    return elbo.Bound(0 * right.reconstruction, right.terms, 0 * right.prior, right.d)


@erratum(
    "prior-in-place-of-last-term",
    source="Michedev/DDPMs-Pytorch, variational_loss, which has T places for T + 1 terms",
    says=r"L = L_0 + \sum_{t=2}^{T-1} L_{t-1} + L_T",
    correct=r"L = L_0 + \sum_{t=2}^{T} L_{t-1} + L_T",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_without_last_term(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, variance, *args, **kwargs)
    return elbo.Bound(right.reconstruction, right.terms[:-1], right.prior, right.d)


@erratum(
    "full-cancellation-in-elbo",
    source="S0, line 105",
    says=r"\prod_{t=2}^T \frac{q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} = 1",
    correct=r"\prod_{t=2}^T \frac{q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} = \frac{q(x_1 \mid x_0)}{q(x_T \mid x_0)},"
    r" \quad \mathbb{E}\log = \tfrac d2 \log\tfrac{1 - \bar\alpha_T}{1 - \bar\alpha_1}",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_with_full_cancellation(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, variance, *args, **kwargs)
    one_minus = schedule.one_minus_alpha_bar
    lost = right.d / 2 * np.log(one_minus[schedule.T] / one_minus[1])
    return elbo.Bound(right.reconstruction, right.terms, right.prior + lost, right.d)


@erratum(
    "vlb-equals-simple",
    source="S3, lines 776-777",
    says=r"L = \mathbb{E}_t \Vert\epsilon - \hat\epsilon\Vert^2 = L_{\text{simple}}",
    correct=r"L = L_0 + \sum_{t=2}^T \left[w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon\Vert^2 + d\,c_t\right] + L_T",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_equal_to_simple_loss(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    nothing = np.zeros((schedule.T + 1, len(x_0)))
    return elbo.Bound(elbo.simple_loss(schedule, denoiser, x_0, rng), nothing, nothing[0], np.shape(x_0)[-1])


@erratum(
    "vlb-mean-over-steps",
    source="a reading of the code discussed in openai/improved-diffusion#114 and #147",
    says=r"L = \frac1T\left(L_0 + \sum_{t=2}^T L_{t-1} + L_T\right)",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T; \text{ one random term estimates it only times their number}",
    replaces="elbo.Bound.total",
    rejected_by="elbo.bits_per_dim",
)
@property
def mean_over_steps(self):
    return (self.reconstruction + self.terms.sum(axis=0) + self.prior) / (len(self.terms) - 1)


@erratum(
    "bits-per-dim-in-nats",
    source="S3, line 750",
    says=r"\text{bits per coordinate} = L / d",
    correct=r"\text{bits per coordinate} = L / (d \ln 2)",
    replaces="elbo.Bound.bits_per_dim",
    rejected_by="elbo.bits_per_dim",
)
def nats_per_dim(self):
    return self.total / self.d


@erratum(
    "weight-with-sigma-equal-beta",
    source="S3, lines 474, 567",
    says=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}, \quad \sigma_t = \beta_t"
    r" \text{ or } \tilde\beta_t",
    correct=r"\sigma_t^2 = \beta_t \text{ or } \tilde\beta_t",
    replaces="elbo.weight",
    rejected_by="elbo.weight",
)
def weight_with_sigma_equal_beta(schedule, t, variance="beta"):
    sigma = reverse.var(schedule, t, variance)
    return schedule.beta[t] ** 2 / (2 * sigma**2 * schedule.alpha[t] * schedule.one_minus_alpha_bar[t])


@erratum(
    "weight-without-two",
    source="a common slip",
    says=r"w_t = \frac{\beta_t^2}{\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    correct=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    replaces="elbo.weight",
    rejected_by="elbo.weight",
)
def weight_without_two(schedule, t, variance="beta"):
    return 2 * elbo.weight(schedule, t, variance)


@erratum(
    "randint-excludes-T",
    source="S4, line 95",
    says=r"t \sim \mathtt{randint}(1, T) = U\{1, \ldots, T - 1\}",
    correct=r"t \sim \mathtt{randint}(1, T + 1) = U\{1, \ldots, T\}",
    replaces="elbo.simple_loss",
    rejected_by="elbo.simple_loss",
)
def simple_loss_without_T(schedule, denoiser, x_0, rng):
    t = rng.integers(1, schedule.T, size=len(x_0))
    eps = rng.standard_normal(x_0.shape)
    return np.sum((eps - denoiser(forward.diffuse(schedule, x_0, eps, t), t)) ** 2, axis=-1)


@erratum(
    "loss-not-given-t",
    source="S4, lines 43, 97; S3, line 631",
    says=r"\hat\epsilon = \hat\epsilon(x_t)",
    correct=r"\hat\epsilon = \hat\epsilon(x_t, t)",
    replaces="elbo.simple_loss",
    rejected_by="elbo.simple_loss",
    coincides="for a denoiser that does not look at t; the best of those is worse than the best that does",
)
def simple_loss_without_t(schedule, denoiser, x_0, rng):
    t = rng.integers(1, schedule.T + 1, size=len(x_0))
    eps = rng.standard_normal(x_0.shape)
    x_t = forward.diffuse(schedule, x_0, eps, t)
    return np.sum((eps - denoiser(x_t, np.ones_like(t))) ** 2, axis=-1)  # whatever t was, it hears the same
