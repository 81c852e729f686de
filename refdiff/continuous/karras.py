r"""The sampler of Karras et al.: Heun's steps in the noise-to-signal ratio, between which noise may be added.

In coordinates y = x_s / a_s all three equations are one: data plus noise of standard deviation r = sigma_s / a_s. The
flow is then dy/dr = eps_hat, straight where the denoiser's answer stays the same.
"""

import math

import numpy as np

from refdiff.checks import check_rng, one_number, real, table
from refdiff.continuous.evolution import check_score, score_at
from refdiff.continuous.grids import check_times, noise_to_signal
from refdiff.continuous.sampling import descend
from refdiff.reverse.walks import last

__all__ = ["edm", "edm_path"]


def edm_path(sde, score, x, rng, times, churn=0.0, inflation=1.0):
    r"""Walk down a grid of times by the stochastic sampler of Karras et al., as a generator.

    .. math:: \hat y = y + \sqrt{\hat r^2 - r_k^2}\;S z, \qquad \hat r = (1 + \gamma)\,r_k, \qquad
        \tilde y = \hat y + (r_{k+1} - \hat r)\,\hat\epsilon(\hat y, \hat r), \qquad
        y \leftarrow \hat y + \frac{r_{k+1} - \hat r}{2}\left[\hat\epsilon(\hat y, \hat r)
        + \hat\epsilon(\tilde y, r_{k+1})\right]

    Parameters
    ----------
    sde, score, x, rng, times, churn, inflation
        As for :func:`edm`.

    Yields
    ------
    s : float
        From the second of the times to the last.
    x_s : ndarray, shape (n, d)
        a_s y.

    Raises
    ------
    TypeError, ValueError
        As for :func:`edm`; at once, not with the first step.

    Notes
    -----
    Source: Karras et al. (2022), Algorithm 2. Identity: :eq:`eq-continuous.edm`.
    """
    check_score(score)
    x, rng, times = table(x, "x"), check_rng(rng), check_times(times)
    gamma, inflation = _gamma(churn, len(times) - 1), one_number(inflation, "inflation")
    highest = noise_to_signal(sde, 1.0)

    def eps_hat(y, s):
        _, _, gradient = score_at(score, sde.signal_rate(s) * y, s)
        return -sde.noise_rate(s) * gradient

    def step(x, u, s):
        y, r, r_next = x / sde.signal_rate(u), noise_to_signal(sde, u), noise_to_signal(sde, s)
        r_hat = min((1 + gamma) * r, highest)
        if r_hat > r:
            y = y + np.sqrt(r_hat**2 - r**2) * inflation * rng.standard_normal(y.shape)
            u = float(sde.time(-2 * np.log(r_hat)))
        slope = eps_hat(y, u)
        if r_next > 0:
            slope = (slope + eps_hat(y + (r_next - r_hat) * slope, s)) / 2
        return sde.signal_rate(s) * (y + (r_next - r_hat) * slope)

    return descend(step, x, times)


def _gamma(churn, steps):
    """Return by which share of itself each ratio grows before a step."""
    churn = real(churn, "churn")
    if churn.ndim or not 0 <= churn < np.inf:
        raise ValueError(f"churn must be one number >= 0; got {churn}. 0 is the sampler without noise.")
    return min(float(churn) / steps, math.sqrt(2) - 1)


def edm(sde, score, x, rng, times, churn=0.0, inflation=1.0, *, progress=None):
    r"""Return where points are that follow the stochastic sampler of Karras et al. down a grid of times.

    .. math:: \hat y = y + \sqrt{\hat r^2 - r_k^2}\;S z, \qquad \hat r = (1 + \gamma)\,r_k, \qquad
        \tilde y = \hat y + (r_{k+1} - \hat r)\,\hat\epsilon(\hat y, \hat r), \qquad
        y \leftarrow \hat y + \frac{r_{k+1} - \hat r}{2}\left[\hat\epsilon(\hat y, \hat r)
        + \hat\epsilon(\tilde y, r_{k+1})\right]

    .. math:: y = \frac{x_s}{a_s}, \qquad r_k = \frac{\sigma_s}{a_s} \text{ at } s = s_k, \qquad
        \gamma = \min\left(\frac{\text{churn}}{K}, \sqrt2 - 1\right), \qquad
        \hat\epsilon = -\sigma_s\,\nabla\log q_s(x_s)

    First noise is added, so that the point belongs to a higher level; then Heun's step leads down from there. Adding
    noise is exact, so the order is that of Heun's step with or without: of order 2 for churn = 0, which draws nothing
    and gives a function of x, and of weak order 2 for any fixed churn. A churn that grows with K, so that each
    level is raised by the same share of itself, leaves a bias at any last s > 0 that no number of steps removes.

    The scores asked for are two a step. A last step to s = 0 is Euler's, whose end is the denoiser's x_0, and asks for
    none at 0; it is as short as the grid makes it, and with :func:`edm_times` and rho >= 1 costs no order.

    No level goes beyond s = 1: r_hat is at most the ratio there, so that a first step from s = 1 adds nothing. Karras
    et al. add noise between two levels only; here it is added everywhere.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number, at 0 not.
    x : array_like, shape (n, d)
        The points at the first of the times: x_s, not y.
    rng : numpy.random.Generator
        Not used if churn is 0.
    times : array_like, shape (K + 1,)
        Decreasing, in [0, 1]; made for it are :func:`edm_times`.
    churn : float
        At least 0. Over all K steps the ratio is multiplied by (1 + churn / K)^K, on the way down: nearly e^churn,
        if K is so large that gamma is churn / K.
    inflation : float
        S, by which the standard deviation of added noise is multiplied. Karras et al. take numbers barely above 1, to
        make up for denoisers that remove too much; with any number but 1 the law that is sampled is another.
    progress : callable, optional
        Called as ``progress(taken)`` after each step, with how many have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d) and finite, `rng` no Generator, the times do not decrease within [0, 1], churn is negative,
        inflation not > 0, or the score returns another shape.
    RuntimeError
        If the points leave the finite numbers.

    Notes
    -----
    Source: Karras et al. (2022), Algorithm 2. Identity: :eq:`eq-continuous.edm`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, edm_times, ideal_score
    >>> data, sde, rng = GaussianMixture([1.0], [[3.0]], 0.25), VP(), np.random.default_rng(0)
    >>> edm(sde, ideal_score(sde, data), [[1.0]], rng, edm_times(sde, 100, stop=0.0)).round(2)  # as probability_flow
    array([[3.49]])
    """
    return last(edm_path(sde, score, x, rng, times, churn, inflation), progress)
