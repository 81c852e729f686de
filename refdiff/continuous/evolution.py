r"""How densities move: the Fokker-Planck equation, the equation that runs backwards, and the flow without noise.

A score is any callable ``score(x, s)`` that returns the gradient of log q_s, shape (..., d); its divergence, a callable
of the same arguments, returns (...). For mixture data both are closed forms here.
"""

import numpy as np

from refdiff.checks import points
from refdiff.continuous.sde import times
from refdiff.mixture import GaussianMixture, log_components, responsibilities

__all__ = [
    "diffused",
    "fokker_planck",
    "ideal_score",
    "ideal_score_divergence",
    "log_density_rate",
    "probability_flow_drift",
    "reverse_drift",
]


def diffused(sde, mixture, s):
    r"""Return the law of x_s, which is a mixture again.

    .. math:: q_s(x) = \sum_k w_k\,\mathcal{N}\left(x;\; a_s m_k,\; a_s^2 v_k + \sigma_s^2\right)

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture
        The data.
    s : float
        In [0, 1]; 0 is the data.

    Returns
    -------
    GaussianMixture

    Raises
    ------
    TypeError, ValueError
        If `mixture` is none, or s not one number in [0, 1].

    Notes
    -----
    Source: the marginal of Song et al. (2021), eq. 29, integrated over x_0. Identity: :eq:`eq-continuous.diffused`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> diffused(VP(), GaussianMixture([1.0], [[3.0]], 4.0), 1.0).var.round(4)
    array([1.0001])
    """
    _check_mixture(mixture)
    s = times(s)
    if s.ndim:
        raise ValueError(f"diffused takes one time s; got shape {s.shape}.")
    return GaussianMixture(mixture.weights, *_components(sde, mixture, s))


def _check_mixture(mixture):
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")


def _components(sde, mixture, s):
    """Return the means and variances of the components of x_s: (K, d), or (..., K, d) for s of shape (..., 1)."""
    if np.ndim(s):
        s = s[..., None]
    signal = sde.signal_rate(s)
    return signal * mixture.means, signal**2 * mixture.variances + sde.var(s)


class _Pull:
    """What each component of x_s does at x: its probability r_k, and where it pulls, u_k = (m_k - x) / v_k."""

    def __init__(self, sde, mixture, x, s):
        x = points(x, "x")
        if x.shape[-1] != mixture.means.shape[1]:
            raise ValueError(f"x must have d = {mixture.means.shape[1]} on its last axis; got shape {x.shape}.")
        means, self.variances = _components(sde, mixture, times(s, x))
        self.means = means
        self.r = responsibilities(log_components(x, mixture.weights, means, self.variances))
        self.u = (means - x[..., None, :]) / self.variances

    def average(self, values):
        """Return the mean over components of values (..., K)."""
        return np.sum(self.r * values, axis=-1)

    @property
    def score(self):
        return np.sum(self.r[..., None] * self.u, axis=-2)


def ideal_score(sde, mixture):
    r"""Return the score of mixture data as they diffuse.

    .. math:: \nabla \log q_s(x) = \sum_k r_k(x, s)\,u_k(x, s), \qquad
        u_k = -\frac{x - a_s m_k}{a_s^2 v_k + \sigma_s^2}

    with r_k the probability of component k given x.

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture

    Returns
    -------
    callable
        ``score(x, s)``: x of shape (..., d), s one number or one per point.

    Notes
    -----
    Source: differentiating :func:`diffused`. Identity: :eq:`eq-continuous.ideal_score`.
    """
    _check_mixture(mixture)

    def score(x, s):
        return _Pull(sde, mixture, x, s).score

    return score


def ideal_score_divergence(sde, mixture):
    r"""Return the divergence of that score: the Laplacian of log q_s.

    .. math:: \nabla\cdot\nabla \log q_s(x) = \sum_k r_k \left[\Vert u_k\Vert^2
        - \sum_i \frac{1}{a_s^2 v_{ki} + \sigma_s^2}\right] - \Vert\nabla \log q_s(x)\Vert^2

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture

    Returns
    -------
    callable
        ``divergence(x, s)`` of shape (...).

    Notes
    -----
    Source: differentiating :func:`ideal_score`. Identity: :eq:`eq-continuous.ideal_score_divergence`.
    """
    _check_mixture(mixture)

    def divergence(x, s):
        return score_and_divergence(sde, mixture, x, s)[1]

    return divergence


def score_and_divergence(sde, mixture, x, s):
    """Return the score of mixture data at x, and its divergence, which ask for the same numbers."""
    pull = _Pull(sde, mixture, x, s)
    score, bend = pull.score, np.sum(pull.u**2 - 1 / pull.variances, axis=-1)
    return score, pull.average(bend) - np.sum(score**2, axis=-1)


def log_density_rate(sde, mixture, x, s):
    r"""Return how fast log q_s(x) changes with s at a fixed x: each component moves and widens.

    .. math:: \partial_s \log q_s(x) = \sum_k r_k \sum_i \left[-u_{ki}\,\dot m_{ki}
        + \tfrac12\left(u_{ki}^2 - \frac{1}{v_{ki}}\right) \dot v_{ki}\right], \qquad
        \dot m = f m, \quad \dot v = 2 f v + g^2

    with m, v the mean and the variance of component k at s. It is the left side of the Fokker-Planck equation;
    :func:`fokker_planck` is the right one.

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.

    Returns
    -------
    ndarray, shape (...)
        In nats per unit of s.

    Notes
    -----
    Source: Särkkä & Solin (2019), eq. 5.50 and 5.51, in each component. Identity: :eq:`eq-continuous.log_density_rate`.
    """
    _check_mixture(mixture)
    pull, s = _Pull(sde, mixture, x, s), times(s, points(x, "x"))
    s = s[..., None] if s.ndim else s
    drift_rate = sde.drift_rate(s)
    mean_rate = drift_rate * pull.means
    var_rate = 2 * drift_rate * pull.variances + sde.diffusion(s) ** 2
    return pull.average(np.sum(-pull.u * mean_rate + 0.5 * (pull.u**2 - 1 / pull.variances) * var_rate, axis=-1))


def fokker_planck(sde, score, divergence, x, s):
    r"""Return the right side of the Fokker-Planck equation, divided by the density.

    .. math:: \frac{1}{q_s}\left[-\nabla\cdot(f x\,q_s) + \tfrac12 g^2\,\Delta q_s\right]
        = -d f - f\,x\cdot\nabla\log q_s
        + \tfrac12 g^2 \left[\Delta\log q_s + \Vert\nabla\log q_s\Vert^2\right]

    For the density of x_s it equals the rate at which log q_s(x) changes, :func:`log_density_rate` for mixture data.
    For a learnt score it says how fast a density with that score would have to change.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score, divergence : callable
        ``score(x, s)`` and its divergence.
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.

    Returns
    -------
    ndarray, shape (...)
        In nats per unit of s.

    Raises
    ------
    TypeError, ValueError
        If a callable returns another shape, or s leaves [0, 1].

    Notes
    -----
    Source: Särkkä & Solin (2019), theorem 5.4. Identity: :eq:`eq-continuous.fokker_planck`.
    """
    x, s_x, gradient = score_at(score, x, s)
    check_divergence(divergence)
    laplacian = np.asarray(divergence(x, s), dtype=float)
    if laplacian.shape != x.shape[:-1]:
        raise ValueError(f"divergence(x, s) must have the shape {x.shape[:-1]}; got {laplacian.shape}.")
    drift_rate, diffusion = _per_point(sde.drift_rate(s_x)), _per_point(sde.diffusion(s_x))
    transported = -drift_rate * (x.shape[-1] + np.sum(x * gradient, axis=-1))
    return transported + 0.5 * diffusion**2 * (laplacian + np.sum(gradient**2, axis=-1))


def check_score(score):
    """Raise TypeError unless a score can be called."""
    if not callable(score):
        raise TypeError(f"score must be a callable score(x, s); got {type(score).__name__}.")


def check_divergence(divergence):
    """Raise TypeError unless the divergence of a score can be called."""
    if not callable(divergence):
        raise TypeError(f"divergence must be a callable divergence(x, s); got {type(divergence).__name__}.")


def _per_point(of_s):
    """Return a function of s without the axis of the event, if it has one."""
    return of_s[..., 0] if np.ndim(of_s) else of_s


def score_at(score, x, s):
    """Return x, s lined up with it, and score(x, s), checked to have the shape of x."""
    x = points(x, "x")
    check_score(score)
    gradient = points(score(x, s), "score(x, s)")
    if gradient.shape != x.shape:
        raise ValueError(f"score(x, s) must have the shape of x, {x.shape}; got {gradient.shape}.")
    return x, times(s, x), gradient.copy()  # for a score may use its buffer again


def reverse_drift(sde, score, x, s):
    r"""Return the drift of the equation that runs from noise to data, with s falling.

    .. math:: dx = \left[f(s)\,x - g(s)^2\,\nabla\log q_s(x)\right] ds + g(s)\,d\bar W, \qquad ds < 0

    A step of length h back is x - h times this, plus g sqrt(h) z. It is the rate at which the mean of the past changes,
    E[x_{s-h} | x_s] = x_s - h times this + O(h^2), as f x is that of the future; their mean is
    :func:`probability_flow_drift`.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``.
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If the score returns another shape, or s leaves [0, 1].

    Notes
    -----
    Source: Anderson (1982); Song et al. (2021), eq. 6. Identity: :eq:`eq-continuous.reverse_drift`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> reverse_drift(VP(2.0, 2.0), lambda x, s: -x, [1.0], 0.5)  # x_s ~ N(0, 1) at each s: it moves as it came
    array([1.])
    """
    x, s, gradient = score_at(score, x, s)
    return sde.drift_rate(s) * x - sde.diffusion(s) ** 2 * gradient


def probability_flow_drift(sde, score, x, s):
    r"""Return the velocity of the flow without noise that moves the same densities.

    .. math:: \frac{dx}{ds} = f(s)\,x - \tfrac12 g(s)^2\,\nabla\log q_s(x)

    The same field serves both directions: forwards s grows, backwards it falls.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``.
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If the score returns another shape, or s leaves [0, 1].

    Notes
    -----
    Source: Song et al. (2021), eq. 13. Identity: :eq:`eq-continuous.probability_flow_drift`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> probability_flow_drift(VP(2.0, 2.0), lambda x, s: -x, [1.0], 0.5).round(12)  # N(0, 1) stays, each point too
    array([0.])
    """
    return flow_velocity(sde, *score_at(score, x, s))


def flow_velocity(sde, x, s, gradient):
    """Return f x - g^2 / 2 times the score, of which `gradient` is the value at x and s."""
    return sde.drift_rate(s) * x - 0.5 * sde.diffusion(s) ** 2 * gradient
