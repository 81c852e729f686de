r"""Wrong versions of the whole bound, as found in print and in code."""

import numpy as np

from refdiff import elbo, forward
from refdiff.verify.identity import erratum


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
