r"""Wrong versions of the bound in continuous time: halves, weights and decoders."""

import numpy as np

from refdiff import continuous
from refdiff.gaussian import LOG_2_PI
from refdiff.verify.identity import erratum


@erratum(
    "diffusion-loss-without-half",
    source="a common slip",
    says=r"L_\infty = \mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    correct=r"L_\infty = \tfrac12\,\mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="in the direction of its gradient",
)
def diffusion_loss_without_half(sde, denoiser, x_0, rng, start, stop=1.0):
    return 2 * continuous.diffusion_loss(sde, denoiser, x_0, rng, start, stop)


@erratum(
    "diffusion-loss-per-coordinate",
    source="a common slip: the mean over coordinates that frameworks take by default",
    says=r"L_\infty = \tfrac12\,\mathbb{E}\int \tfrac1d\Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    correct=r"L_\infty = \tfrac12\,\mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="d = 1",
)
def diffusion_loss_per_coordinate(sde, denoiser, x_0, rng, start, stop=1.0):
    return continuous.diffusion_loss(sde, denoiser, x_0, rng, start, stop) / np.shape(x_0)[1]


@erratum(
    "uniform-time-without-weight",
    source="a common slip: the loss that is trained, L_simple, for the bound",
    says=r"L_\infty = \tfrac12\left[\lambda(s) - \lambda(u)\right]"
    r" \mathbb{E}\Vert\epsilon - \hat\epsilon(x_r, r)\Vert^2, \qquad r \sim U(s, u)",
    correct=r"L_\infty = \tfrac12\left[\lambda(s) - \lambda(u)\right]"
    r" \mathbb{E}\Vert\epsilon - \hat\epsilon(x_r, r)\Vert^2, \qquad \lambda(r) \sim U(\lambda(u), \lambda(s))",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="log SNR linear in r; an error that does not depend on r, so that only chance shows the rest",
)
def diffusion_loss_at_uniform_times(sde, denoiser, x_0, rng, start, stop=1.0):
    s = start + (stop - start) * rng.random(len(x_0))
    eps = rng.standard_normal(np.shape(x_0))
    x_s = sde.signal_rate(s)[:, None] * x_0 + sde.noise_rate(s)[:, None] * eps
    width = sde.log_snr(start) - sde.log_snr(stop)
    return 0.5 * width * np.sum((eps - denoiser(x_s, s)) ** 2, axis=-1)


@erratum(
    "information-without-half",
    source="a common slip: complex channels have no half, real ones do",
    says=r"\frac{d}{d\lambda} I(x_0; x_s) = \mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2",
    correct=r"\frac{d}{d\lambda} I(x_0; x_s) = \tfrac12\,\mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2",
    replaces="continuous.mixture_diffusion_loss",
    rejected_by="continuous.mixture_diffusion_loss",
    coincides="nowhere",
)
def mixture_loss_without_half(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    return 2 * continuous.mixture_diffusion_loss(sde, mixture, start, stop, tolerance=tolerance)


@erratum(
    "bound-without-reconstruction",
    source="a common slip: left out as negligible",
    says=r"\mathbb{E}[-\log p(x_0)] \le \mathbb{E}\,\mathrm{KL}(q(x_u \mid x_0) \Vert p) + L_\infty",
    correct=r"\mathbb{E}[-\log p(x_0)] \le \mathbb{E}\,\mathrm{KL}(q(x_u \mid x_0) \Vert p) + L_\infty"
    r" - \mathbb{E}\log p(x_0 \mid x_s)",
    replaces="continuous.mixture_bound",
    rejected_by="continuous.mixture_bound",
    coincides="log SNR(s) = 1 + log 2 pi; it is negligible for discrete data only",
)
def bound_without_reconstruction(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    constant = len(mixture.mean) / 2 * (1 + LOG_2_PI - float(sde.log_snr(start)))
    return continuous.mixture_bound(sde, mixture, start, stop, tolerance=tolerance) - constant


@erratum(
    "decoder-as-wide-as-the-noise",
    source="a common slip",
    says=r"p(x_0 \mid x_s) = \mathcal{N}(x_s / a_s, \sigma_s^2 I), \text{ at a cost of }"
    r" \tfrac d2\log 2\pi e\,\sigma_s^2",
    correct=r"p(x_0 \mid x_s) = \mathcal{N}(x_s / a_s, \sigma_s^2 / a_s^2\,I), \text{ at a cost of }"
    r" \tfrac d2\log 2\pi e\,\sigma_s^2 / a_s^2",
    replaces="continuous.mixture_bound",
    rejected_by="continuous.mixture_bound",
    coincides="a_s = 1: VE",
)
def bound_with_a_narrow_decoder(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    right = continuous.mixture_bound(sde, mixture, start, stop, tolerance=tolerance)
    return right + len(mixture.mean) * float(np.log(sde.signal_rate(start)))
