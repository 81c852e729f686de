r"""Wrong versions of the whole bound, as found in print and in code."""

from dataclasses import replace

import numpy as np

from refdiff import elbo, forward, reverse
from refdiff.bayes import posterior
from refdiff.gaussian import Gaussian, kl
from refdiff.verify.identity import erratum


@erratum(
    "missing-expectation-over-xt",
    source="S3, lines 302, 330, 435, 457, 762-766; probml/pml2-book#160, mended since",
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
    correct=r"\text{the bracket has no } x_{t-1} \text{ in it; the expectation needed is over } q(x_t \mid x_0)",
    replaces="elbo.denoising_terms",
    rejected_by="elbo.denoising_terms",
    coincides="where the error of the model's mean does not depend on x_t",
)
def terms_at_one_x_t(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T, 1, -1):
        x_t = np.tile(forward.marginal(schedule, x_0[:1], t).mean + 2.0, (len(x_0), 1))  # given, so not drawn
        yield t, elbo.denoising_term(schedule, denoiser, x_0, x_t, t, variance)


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
    return replace(right, reconstruction=0 * right.reconstruction)


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
    return replace(right, reconstruction=0 * right.reconstruction, prior=0 * right.prior)


@erratum(
    "entropies-inside-the-minus-sign",
    source="acids-ircam/diffusion_models, diffusion_02_model.ipynb, where K is defined; the code below it is right",
    says=r"-K = \sum_{t=2}^T L_{t-1} + H(x_T \mid x_0) - H(x_1 \mid x_0) - H_p(x_T)",
    correct=r"-K = \sum_{t=2}^T L_{t-1} - H(x_T \mid x_0) + H(x_1 \mid x_0) + H_p(x_T), \text{ which is } L"
    r" \text{ where } L_0 = H(x_1 \mid x_0) \text{ and } -\mathbb{E}\log p(x_T) = H_p(x_T)",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
    coincides="in gradients: the entropies have no parameters",
)
def form_with_entropies_inside(schedule, denoiser, x_0, rng, *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    first, last = (forward.marginal(schedule, x_0, t).entropy() for t in (1, schedule.T))
    of_p = reverse.prior(*np.shape(x_0)).entropy()
    return replace(right, reconstruction=-first, prior=last - of_p)


@erratum(
    "prior-in-place-of-last-term",
    source="Michedev/DDPMs-Pytorch, variational_loss, which has T places for T + 1 terms",
    says=r"L = L_0 + \sum_{t=2}^{T-1} L_{t-1} + L_T",
    correct=r"L = L_0 + \sum_{t=2}^{T} L_{t-1} + L_T",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
)
def form_without_last_term(schedule, denoiser, x_0, rng, *args, keep_terms=True, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    terms = np.array(right.terms)
    terms[schedule.T] = 0.0
    return replace(right, terms=terms if keep_terms else None, between=terms.sum(axis=0))


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
    return replace(right, prior=right.prior + lost)


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
    source="the reading that openai/improved-diffusion#114 and #147 argue against: one random L_{t-1}, without the"
    " factor T, for the bound",
    says=r"L = \frac1T\left(L_0 + \sum_{t=2}^T L_{t-1} + L_T\right)",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T; \text{ one random term estimates it only times their number}",
    replaces="elbo.Bound.total",
    rejected_by="elbo.bits_per_dim",
)
@property
def mean_over_steps(self):
    steps = 1 if self.terms is None else len(self.terms) - 1
    return (self.reconstruction + self.between + self.prior) / steps


@erratum(
    "bits-per-dim-in-nats",
    source="S3, line 750",
    says=r"\text{bits per coordinate} = L / d",
    correct=r"\text{bits per coordinate} = L / (d \ln 2)",
    replaces="elbo.Bound.bits_per_dim",
    rejected_by="elbo.bits_per_dim",
)
def nats_per_dim(self, std=None):
    return np.log(2) * elbo.Bound.bits_per_dim(self, std)


@erratum(
    "units-forgotten",
    source="tsinghua-fib-lab/Spatio-temporal-Diffusion-Point-Processes#4, on models compared after scaling their data",
    says=r"\text{bits per coordinate of } x = m + s\,x_0 \text{ are those of } x_0: L / (d \ln 2)",
    correct=r"\frac{1}{d \ln 2}\left(L + \sum_{i=1}^d \ln s_i\right)",
    replaces="elbo.Bound.bits_per_dim",
    rejected_by="elbo.bits_per_dim",
    coincides="between models of data in the same units, whose difference is right",
)
def bits_without_units(self, std=None):
    return elbo.Bound.bits_per_dim(self)


@erratum(
    "units-with-the-wrong-sign",
    source="a common slip: the Jacobian of x_0 = (x - m) / s for that of x = m + s x_0",
    says=r"\frac{1}{d \ln 2}\left(L - \sum_{i=1}^d \ln s_i\right)",
    correct=r"\frac{1}{d \ln 2}\left(L + \sum_{i=1}^d \ln s_i\right)",
    replaces="elbo.Bound.bits_per_dim",
    rejected_by="elbo.bits_per_dim",
    coincides="with s = 1",
)
def bits_with_the_inverse_unit(self, std=None):
    return elbo.Bound.bits_per_dim(self, None if std is None else 1 / np.asarray(std))


@erratum(
    "seven-bits-for-all-data",
    source="yang-song/score_sde_pytorch#51, on the offset for 8-bit images in [-1, 1], which is log_2 of 256 / 2",
    says=r"\text{bits per coordinate} = L / (d \ln 2) + 7",
    correct=r"\frac{1}{d \ln 2}\left(L + \sum_{i=1}^d \ln s_i\right),"
    r" \text{ with } s = 128 \text{ for such images alone}",
    replaces="elbo.Bound.bits_per_dim",
    rejected_by="elbo.bits_per_dim",
    coincides="for a density of 8-bit images that were scaled to [-1, 1]",
)
def bits_of_images(self, std=None):
    return elbo.Bound.bits_per_dim(self) + 7


@erratum(
    "terms-along-a-generated-chain",
    source="Weixy21/SafeDiffuser#9, where x_t comes from the model's own sampling",
    says=r"L_{t-1} = \mathbb{E}_{p(x_t)}\,\mathrm{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    correct=r"L_{t-1} = \mathbb{E}_{q(x_t \mid x_0)}\,\mathrm{KL}(q(x_{t-1} \mid x_t, x_0) \Vert p(x_{t-1} \mid x_t))",
    replaces="elbo.denoising_terms",
    rejected_by="elbo.denoising_terms",
    coincides="where the error of the model's mean does not depend on x_t",
)
def terms_along_a_generated_chain(schedule, denoiser, x_0, rng, variance="beta"):
    x_t = rng.standard_normal(np.shape(x_0))
    for t in range(schedule.T, 1, -1):
        yield t, elbo.denoising_term(schedule, denoiser, x_0, x_t, t, variance)
        x_t = reverse.transition(schedule, denoiser, x_t, t, variance).sample(rng)


@erratum(
    "terms-not-kept-not-counted",
    source="a common slip",
    says=r"L = L_0 + L_T \text{ where the } L_{t-1} \text{ are not kept}",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
    coincides="where the terms are kept",
)
def form_of_what_is_kept(schedule, denoiser, x_0, rng, *args, keep_terms=True, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    if keep_terms:
        return right
    return replace(right, terms=None, between=0 * right.between)


@erratum(
    "variances-one-step-late",
    source="a common slip: an array that starts at t = 0 read as one that starts at t = 1",
    says=r"p(x_{t-1} \mid x_t) = \mathcal{N}(\mu(x_t, t), \sigma_{t-1}^2)",
    correct=r"p(x_{t-1} \mid x_t) = \mathcal{N}(\mu(x_t, t), \sigma_t^2)",
    replaces="elbo.denoising_form",
    rejected_by="elbo.denoising_form",
    coincides="with one variance for all steps",
)
def form_with_variances_one_step_late(schedule, denoiser, x_0, rng, variance="beta", *args, **kwargs):
    late = variance if isinstance(variance, str) else np.roll(variance, 1)
    return elbo.denoising_form(schedule, denoiser, x_0, rng, late, *args, **kwargs)


@erratum(
    "undecomposed-without-prior",
    source="a common slip",
    says=r"-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}"
    r" = \sum_{t=1}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}",
    correct=r"-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)} = -\log p(x_T)"
    r" + \sum_{t=1}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}",
    replaces="elbo.undecomposed_on_chain",
    rejected_by="elbo.pathwise",
    coincides="in gradients: p(x_T) has no parameters",
)
def undecomposed_without_prior(*args, **kwargs):
    right = elbo.undecomposed_on_chain(*args, **kwargs)
    return replace(right, prior=0 * right.prior)


@erratum(
    "consistency-step-against-itself",
    source="a common slip: each forward step beside the reverse step that undoes it, both called t",
    says=r"-\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_{t+1} \mid x_t)}{p(x_t \mid x_{t+1})}"
    r" + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}",
    correct=r"-\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}",
    replaces="elbo.consistency_on_chain",
    rejected_by="elbo.pathwise",
    coincides="nearly where beta_1 is beta_T: q(x_T | x_{T-1}) is counted twice, and q(x_1 | x_0) not at all",
)
def consistency_of_each_step_with_itself(schedule, denoiser, chain, *args, **kwargs):
    right = elbo.consistency_on_chain(schedule, denoiser, chain, *args, **kwargs)
    log_q = [forward.transition(schedule, chain[t - 1], t).log_density(chain[t]) for t in range(1, schedule.T + 1)]
    terms = np.array(right.terms)
    terms[1:-1] += np.diff(log_q, axis=0)
    return replace(right, terms=terms, between=terms.sum(axis=0))


@erratum(
    "consistency-with-the-other-prior",
    source="a common slip: both forms call the term prior matching",
    says=r"-\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" + \log\frac{q(x_T \mid x_0)}{p(x_T)}",
    correct=r"-\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}",
    replaces="elbo.consistency_on_chain",
    rejected_by="elbo.pathwise",
    coincides="with T = 1",
)
def consistency_with_prior_of_denoising(schedule, denoiser, chain, *args, **kwargs):
    right = elbo.consistency_on_chain(schedule, denoiser, chain, *args, **kwargs)
    q_T, standard = forward.marginal(schedule, chain[0], schedule.T), Gaussian(np.zeros_like(chain[-1]), 1.0)
    prior = q_T.log_density(chain[-1]) - standard.log_density(chain[-1])
    return replace(right, prior=prior)


@erratum(
    "full-cancellation-on-chain",
    source="S0, line 105",
    says=r"\prod_{t=2}^T \frac{q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} = 1 \text{ on each chain, so that }"
    r" \log q(x_1 \mid x_0) \text{ stays and } \log q(x_T \mid x_0) \text{ does not come}",
    correct=r"\prod_{t=2}^T \frac{q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)} = \frac{q(x_1 \mid x_0)}{q(x_T \mid x_0)}",
    replaces="elbo.denoising_on_chain",
    rejected_by="elbo.pathwise",
    coincides="in gradients: neither has parameters",
)
def denoising_with_full_cancellation(schedule, denoiser, chain, *args, **kwargs):
    right = elbo.denoising_on_chain(schedule, denoiser, chain, *args, **kwargs)
    log_q_1 = forward.marginal(schedule, chain[0], 1).log_density(chain[1])
    log_q_T = forward.marginal(schedule, chain[0], schedule.T).log_density(chain[-1])
    return replace(right, prior=right.prior + log_q_1 - log_q_T)


@erratum(
    "undecomposed-without-first-factor",
    source="a common slip: q(x_{1:T} | x_0) as a product that starts, like that of the reverse steps, at t = 2",
    says=r"-\log p(x_T) - \log p(x_0 \mid x_1) + \sum_{t=2}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}",
    correct=r"-\log p(x_T) - \log p(x_0 \mid x_1) + \log q(x_1 \mid x_0)"
    r" + \sum_{t=2}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}",
    replaces="elbo.undecomposed",
    rejected_by="elbo.undecomposed",
    coincides="in the mean where 2 pi e beta_1 = 1",
)
def undecomposed_without_first_factor(schedule, denoiser, x_0, rng, *args, **kwargs):
    chain = forward.walk(schedule, x_0, rng)
    kwargs.pop("progress", None)
    right = elbo.undecomposed_on_chain(schedule, denoiser, chain, *args, **kwargs)
    between = right.between - forward.transition(schedule, x_0, 1).log_density(chain[1])
    return replace(right, between=between)


@erratum(
    "undecomposed-on-points-of-no-chain",
    source="S3, lines 187, 210, where each step is drawn from q(x_t | x_0)",
    says=r"\mathbb{E}_{\prod_t q(x_t \mid x_0)}\left[-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]",
    correct=r"\mathbb{E}_{q(x_{1:T} \mid x_0)}\left[-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right],"
    r" \quad q(x_{1:T} \mid x_0) = \prod_t q(x_t \mid x_{t-1})",
    replaces="elbo.undecomposed",
    rejected_by="elbo.undecomposed",
    coincides="with T = 1",
)
def undecomposed_on_points_of_no_chain(schedule, denoiser, x_0, rng, *args, **kwargs):
    steps = range(1, schedule.T + 1)
    points = np.array([x_0, *(forward.marginal(schedule, x_0, t).sample(rng) for t in steps)])
    kwargs.pop("progress", None)
    return elbo.undecomposed_on_chain(schedule, denoiser, points, *args, **kwargs)


@erratum(
    "divergences-reversed-on-chain",
    source="a common slip",
    says=r"L_{t-1} = \mathrm{KL}\left(p(x_{t-1} \mid x_t) \,\Vert\, q(x_{t-1} \mid x_t, x_0)\right)",
    correct=r"L_{t-1} = \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)",
    replaces="elbo.denoising_kl_on_chain",
    rejected_by="elbo.denoising_kl_on_chain",
    coincides="where sigma_t^2 = beta_tilde_t",
)
def divergences_reversed(schedule, denoiser, chain, variance="beta", *args, **kwargs):
    right = elbo.denoising_kl_on_chain(schedule, denoiser, chain, variance, *args, **kwargs)
    terms = np.zeros_like(right.terms)
    for t in range(2, schedule.T + 1):
        p = reverse.transition(schedule, denoiser, chain[t], t, variance)
        terms[t] = kl(p, posterior(schedule, chain[0], chain[t], t))
    return replace(right, terms=terms, between=terms.sum(axis=0))


@erratum(
    "divergence-at-the-step-before",
    source="a common slip",
    says=r"\sum_{t=2}^T \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)"
    r" \text{ with } x_{t-1} \text{ in the place of } x_t",
    correct=r"\sum_{t=2}^T \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)"
    r" \text{ at the chain's } x_t",
    replaces="elbo.denoising_kl_on_chain",
    rejected_by="elbo.denoising_kl_on_chain",
    coincides="where the error of the model's mean does not depend on x_t",
)
def divergences_at_the_step_before(schedule, denoiser, chain, variance="beta", *args, **kwargs):
    right = elbo.denoising_kl_on_chain(schedule, denoiser, chain, variance, *args, **kwargs)
    terms = np.zeros_like(right.terms)
    for t in range(2, schedule.T + 1):
        terms[t] = elbo.denoising_term(schedule, denoiser, chain[0], chain[t - 1], t, variance)
    return replace(right, terms=terms, between=terms.sum(axis=0))


@erratum(
    "consistency-term-sampling-pdf",
    source="S0, line 87",
    says=r"C_t = \mathbb{E} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})} \text{ over the product of two }"
    r" q(x_{t-1} \mid x_0)\,q(x_{t+1} \mid x_t), \text{ beside an } x_t \text{ of its own}",
    correct=r"\text{over the product of three } q(x_{t-1} \mid x_0)\,q(x_t \mid x_{t-1})\,q(x_{t+1} \mid x_t)",
    replaces="elbo.consistency_terms",
    rejected_by="elbo.consistency_terms",
    coincides="at t = 1, where x_{t-1} is given",
)
def consistency_terms_of_two_factors(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T - 1, 0, -1):
        x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
        x_t = forward.marginal(schedule, x_0, t).sample(rng)
        x_next = forward.transition(schedule, x_t, t + 1).sample(rng)
        yield t, elbo.consistency_term(schedule, denoiser, x_prev, x_t, x_next, t, variance)


@erratum(
    "consistency-triple-of-marginals",
    source="a common slip: what is right for the denoising form, which needs one x_t at a time",
    says=r"C_t = \mathbb{E}_{q(x_{t-1} \mid x_0)\,q(x_t \mid x_0)\,q(x_{t+1} \mid x_0)}"
    r" \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}",
    correct=r"C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}",
    replaces="elbo.consistency_terms",
    rejected_by="elbo.consistency_terms",
)
def consistency_terms_of_marginals(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T - 1, 0, -1):
        x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
        x_t, x_next = (forward.marginal(schedule, x_0, s).sample(rng) for s in (t, t + 1))
        yield t, elbo.consistency_term(schedule, denoiser, x_prev, x_t, x_next, t, variance)


@erratum(
    "neighbours-drawn-apart",
    source="a common slip: q(x_{t-1}, x_{t+1} | x_0) read as a product",
    says=r"q(x_{t-1}, x_{t+1} \mid x_0) = q(x_{t-1} \mid x_0)\,q(x_{t+1} \mid x_0)",
    correct=r"q(x_{t-1}, x_{t+1} \mid x_0) = q(x_{t-1} \mid x_0)\,q(x_{t+1} \mid x_{t-1})",
    replaces="elbo.consistency_terms_integrated",
    rejected_by="elbo.consistency_terms_integrated",
    coincides="at t = 1, where x_{t-1} is given",
)
def integrated_terms_of_marginals(schedule, denoiser, x_0, rng, variance="beta"):
    for t in range(schedule.T - 1, 0, -1):
        x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
        x_next = forward.marginal(schedule, x_0, t + 1).sample(rng)
        yield t, elbo.consistency_term_integrated(schedule, denoiser, x_prev, x_next, t, variance)


@erratum(
    "consistency-form-with-l-t",
    source="a common slip: both forms call the term prior matching",
    says=r"L = L_0 + \sum_{t=1}^{T-1} C_t + L_T",
    correct=r"L = L_0 + \sum_{t=1}^{T-1} C_t + \mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T)),"
    r" \text{ which is larger than } L_T \text{ by } \tfrac d2\log\tfrac{1 - \bar\alpha_T}{\beta_T}",
    replaces="elbo.consistency_form",
    rejected_by="elbo.consistency_form",
    coincides="with T = 1",
)
def consistency_form_with_l_t(schedule, denoiser, x_0, rng, *args, **kwargs):
    right = elbo.consistency_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    return replace(right, prior=elbo.prior_term(schedule, x_0))


@erratum(
    "consistency-form-from-two",
    source="a common slip: the sum of the denoising form starts at 2",
    says=r"L = L_0 + \sum_{t=2}^{T-1} C_t + \mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T))",
    correct=r"L = L_0 + \sum_{t=1}^{T-1} C_t + \mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T))",
    replaces="elbo.consistency_form",
    rejected_by="elbo.consistency_form",
    coincides="with T = 1",
)
def consistency_form_from_two(schedule, denoiser, x_0, rng, *args, keep_terms=True, **kwargs):
    right = elbo.consistency_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    terms = np.array(right.terms)
    terms[1] = 0.0
    return replace(right, terms=terms if keep_terms else None, between=terms.sum(axis=0))


@erratum(
    "consistency-form-of-divergences",
    source="S0, line 79; Luo (2022), eq. 45",
    says=r"L = L_0 + \sum_{t=1}^{T-1} \mathbb{E}_{q(x_{t-1}, x_{t+1} \mid x_0)}"
    r" \mathrm{KL}\left(q(x_t \mid x_{t-1}) \,\Vert\, p(x_t \mid x_{t+1})\right)"
    r" + \mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T))",
    correct=r"L = L_0 + \sum_{t=1}^{T-1} \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)}"
    r" \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" + \mathbb{E}\,\mathrm{KL}(q(x_T \mid x_{T-1}) \Vert p(x_T))",
    replaces="elbo.consistency_form_integrated",
    rejected_by="elbo.consistency_form_integrated",
    coincides="with T = 1; a term of an affine model with mean a x_{t+1} + b is too large by"
    " d a sqrt(alpha_{t+1}) beta_t / sigma_{t+1}^2, and best for another a",
)
def consistency_form_of_divergences(
    schedule, denoiser, x_0, rng, variance="beta", *args, keep_terms=True, progress=None, **kwargs
):
    right = elbo.consistency_form_integrated(schedule, denoiser, x_0, rng, variance, *args, **kwargs)
    terms = np.zeros_like(right.terms)
    for t in range(schedule.T - 1, 0, -1):
        x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
        x_next = forward.jump(schedule, x_prev, t - 1, t + 1).sample(rng)
        q = forward.transition(schedule, x_prev, t)
        terms[t] = kl(q, reverse.transition(schedule, denoiser, x_next, t + 1, variance))
        if progress is not None:
            progress(t, terms[t])
    return replace(right, terms=terms if keep_terms else None, between=terms.sum(axis=0))
