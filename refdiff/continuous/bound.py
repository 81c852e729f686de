r"""The bound in continuous time: an integral over the logarithm of the signal-to-noise ratio.

The three equations, and any schedule, differ only in how fast they run through that ratio and in the scale of x_s; what
the integral comes to depends on its ends alone.
"""

import numpy as np

from refdiff.checks import check_denoiser, check_rng, points, table
from refdiff.continuous.evolution import diffused
from refdiff.continuous.flow import one_instant
from refdiff.gaussian import LOG_2_PI

__all__ = ["diffusion_loss", "mixture_bound", "mixture_diffusion_loss"]


def _log_snr_ends(sde, start, stop):
    """Return the logarithms of the signal-to-noise ratio at two times, 0 < start < stop <= 1."""
    start, stop = one_instant(start, "start"), one_instant(stop, "stop")
    if not 0 < start < stop:
        raise ValueError(
            f"start and stop must satisfy 0 < start < stop; got {start} and {stop}. At s = 0 there is no noise, and the"
            " integral diverges as log SNR does."
        )
    return float(sde.log_snr(start)), float(sde.log_snr(stop))


def diffusion_loss(sde, denoiser, x_0, rng, start, stop=1.0):
    r"""Estimate the diffusion loss of a denoiser at one random time per point: the limit of the bound's middle terms.

    .. math:: L_\infty = \tfrac12\,\mathbb{E}\int_{\lambda(\text{stop})}^{\lambda(\text{start})}
        \Vert\epsilon - \hat\epsilon(x_s, s)\Vert^2\,d\lambda
        = -\tfrac12\,\mathbb{E}\int_{\text{start}}^{\text{stop}} \mathrm{SNR}'(s)\,
        \Vert x_0 - \hat x_0(x_s, s)\Vert^2\,ds, \qquad \lambda = \log\mathrm{SNR}

    lambda is drawn uniformly, so that the estimate is (lambda(start) - lambda(stop)) / 2 times a squared error, without
    a weight that would vary; s is the time at which the equation gets there.

    Parameters
    ----------
    sde : VP, VE or SubVP
    denoiser : callable
        ``eps_hat = denoiser(x_s, s)``, with s of shape (n,).
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    start, stop : float
        0 < start < stop <= 1.

    Returns
    -------
    ndarray, shape (n,)
        In nats, one unbiased estimate per point.

    Raises
    ------
    TypeError, ValueError
        If x_0 is not (n, d), the times are not in order, or the denoiser returns another shape.

    Notes
    -----
    Source: Kingma et al. (2021), section 5. Identity: :eq:`eq-continuous.diffusion_loss`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    high, low = _log_snr_ends(sde, start, stop)
    check_denoiser(denoiser)
    s = sde.time(low + (high - low) * rng.random(len(x_0)))
    eps = rng.standard_normal(x_0.shape)
    x_s = sde.signal_rate(s)[:, None] * x_0 + sde.noise_rate(s)[:, None] * eps
    eps_hat = points(denoiser(x_s, s), "denoiser(x_s, s)")
    if eps_hat.shape != x_s.shape:
        raise ValueError(f"denoiser(x_s, s) must have the shape of x_s, {x_s.shape}; got {eps_hat.shape}.")
    return 0.5 * (high - low) * np.sum((eps - eps_hat) ** 2, axis=-1)


def ideal_loss(sde, mixture, s):
    """Return E|eps - eps*(x_s, s)|^2 over mixture data, summed over coordinates: d - sigma_s^2 E|grad log q_s|^2."""
    law = diffused(sde, mixture, s)
    return len(mixture.mean) - float(sde.var(s)) * law.expectation(lambda x: np.sum(law.score(x) ** 2, axis=-1))


def mixture_diffusion_loss(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    r"""Return the mean of the diffusion loss over mixture data with their ideal denoiser, by quadrature.

    .. math:: L_\infty = \tfrac12 \int_{\lambda(\text{stop})}^{\lambda(\text{start})}
        \mathbb{E}\Vert\epsilon - \epsilon^*(x_s, s)\Vert^2\,d\lambda
        = I(x_0; x_{\text{start}}) - I(x_0; x_{\text{stop}})

    Noise destroys information at the rate of half the squared error that it causes. So the loss is what x_start knows
    of x_0 beyond what x_stop does, whichever way the equation takes.

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture
        With d <= 2.
    start, stop : float
        0 < start < stop <= 1.
    tolerance : float
        Of the integral, in nats.

    Returns
    -------
    float
        In nats, at least 0.

    Raises
    ------
    TypeError, ValueError
        If the times are not in order, or d > 2.
    RuntimeError
        If a quadrature does not settle.

    Notes
    -----
    Source: Kingma et al. (2021), section 5.1; Guo, Shamai & Verdú (2005), theorem 1, for the information.
    Identity: :eq:`eq-continuous.mixture_diffusion_loss`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP
    >>> data, sde = GaussianMixture([1.0], [[0.0]], 1.0), VP()  # x_s is N(0, 1) at each s: I = -log(1 - alpha_bar) / 2
    >>> loss, known = mixture_diffusion_loss(sde, data, 0.1), -0.5 * np.log(sde.var([0.1, 1.0]))
    >>> round(loss, 6), round(float(known[0] - known[1]), 6)
    (1.133019, 1.133019)
    """
    from scipy.integrate import quad  # heavy, and only here

    high, low = _log_snr_ends(sde, start, stop)

    def loss(log_snr):
        return ideal_loss(sde, mixture, float(sde.time(log_snr)))

    value, error, *rest = quad(loss, low, high, epsabs=tolerance, epsrel=0.0, limit=200, full_output=True)
    if len(rest) > 1:  # a message beside the record
        raise RuntimeError(f"the integral over log SNR did not settle to {tolerance}: {error:.1e} is left. {rest[1]}")
    return 0.5 * value


def mixture_bound(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    r"""Return the mean of the whole bound over mixture data with their ideal denoiser, by quadrature.

    .. math:: \mathbb{E}\left[-\log p(x_0)\right] \le
        \mathbb{E}\,\mathrm{KL}\left(q(x_{\text{stop}} \mid x_0) \,\Vert\, p(x_{\text{stop}})\right)
        + L_\infty + \tfrac d2\left[1 + \log 2\pi - \lambda(\text{start})\right]

    The last term is the reconstruction by p(x_0 | x_start) = N(x_start / a, sigma^2 / a^2 I), which knows nothing of
    the data but x_start. As start goes to 0 the bound falls to the entropy of the data plus KL(q_stop || p): nothing
    else is lost in continuous time.

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture
        With d <= 2.
    start, stop : float
        0 < start < stop <= 1.
    tolerance : float
        Of the integral, in nats.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As for :func:`mixture_diffusion_loss`.

    Notes
    -----
    Source: Kingma et al. (2021), sections 3.5 and 5. Identity: :eq:`eq-continuous.mixture_bound`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP
    >>> data = GaussianMixture([1.0], [[0.0]], 1.0)
    >>> round(mixture_bound(VP(), data, 0.01) - data.entropy(), 4)
    0.001
    """
    high, _ = _log_snr_ends(sde, start, stop)
    diffusion = mixture_diffusion_loss(sde, mixture, start, stop, tolerance=tolerance)
    d = len(mixture.mean)
    prior_var, var, signal = sde.prior(d).var, float(sde.var(stop)), float(sde.signal_rate(stop))
    square = mixture.mean**2 + mixture.var  # E x_0^2
    prior = 0.5 * float(np.sum((var + signal**2 * square) / prior_var - 1 + np.log(prior_var / var)))
    return prior + diffusion + 0.5 * d * (1 + LOG_2_PI - high)
