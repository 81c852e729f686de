r"""The probability-flow ODE: points carried between data and noise without chance, and the exact log-likelihood.

A density is carried along with its points, and thins out at the rate of the flow's divergence. That needs the trace of
the score's Jacobian: given as a callable, taken by finite differences, or estimated by Hutchinson's trick.
"""

import numpy as np

from refdiff.checks import check_rng, count, one_number, points, real, table
from refdiff.continuous.evolution import check_divergence, check_score, flow_velocity, probability_flow_drift, score_at
from refdiff.continuous.sde import times

__all__ = ["divergence", "hutchinson", "probability_flow", "probability_flow_log_density"]

STEP = 1e-4  # of finite differences: a score varies over the width of the narrowest component
LEAST_TOLERANCE = 1e-13  # below it rounding keeps a solver from ever being content


def _along(score, x, s, direction, step):
    """Return the derivative of the score along a direction: four points, error O(step^4)."""

    def at(k):
        return np.array(score(x + k * step * direction, s), dtype=float)  # a copy: a score may use its buffer again

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


def divergence(score, x, s, step=STEP):
    r"""Return the divergence of a score by central differences along each coordinate.

    .. math:: \nabla\cdot\nabla \log q_s(x) = \sum_i \frac{\partial}{\partial x_i} \left[\nabla \log q_s(x)\right]_i

    It asks for the score 4 d times. A step costs its fourth power times the fifth derivative of the score, and what
    rounding loses over so short a way. With 1e-4 that is 1e-10 for unit scales; between two components of standard
    deviation .05, six of these apart, 1e-8 of the divergence.

    Parameters
    ----------
    score : callable
        ``score(x, s)``.
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.
    step : float

    Returns
    -------
    ndarray, shape (...)

    Notes
    -----
    Source: Abramowitz & Stegun (1964), table 25.2. Identity: :eq:`eq-continuous.divergence`.

    Examples
    --------
    >>> divergence(lambda x, s: -x / 2, [[1.0, 3.0]], 0.5).round(9)
    array([-1.])
    """
    check_score(score)
    x, step = points(x, "x"), one_number(step, "step")
    times(s, x)  # checked here, and handed on as it is
    axes = np.eye(x.shape[-1])
    return sum(_along(score, x, s, axis, step)[..., i] for i, axis in enumerate(axes))


def hutchinson(score, x, s, probes, step=STEP):
    r"""Estimate the divergence of a score by random probes: their mean, without bias.

    .. math:: \nabla\cdot\nabla \log q_s(x) \approx \frac1K \sum_{k=1}^K \epsilon_k^\top J_s(x)\,\epsilon_k, \qquad
        \mathbb{E}[\epsilon\epsilon^\top] = I, \qquad J_s = \nabla\nabla^\top \log q_s

    It asks for the score 4 K times, whatever d is. Signs, each 1 or -1, make it exact where J is diagonal. For a
    symmetric J, as that of a score is, they have the least variance of all probes with independent coordinates, for
    K = 1 it is 2 sum_{i != j} J_ij^2; normal ones have 2 sum_ij J_ij^2.

    Parameters
    ----------
    score : callable
        ``score(x, s)``.
    x : array_like, shape (..., d)
    s : float or array_like
        In [0, 1]; one number, or one per point.
    probes : array_like, shape (K, ..., d)
        The epsilon: each of them of the shape of x, or of one that broadcasts to it.
    step : float
        Of the differences along a probe.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If there is no probe, or one of another d.

    Notes
    -----
    Source: Hutchinson (1990); Song et al. (2021), eq. 40. Identity: :eq:`eq-continuous.hutchinson`.
    """
    check_score(score)
    x, probes, step = points(x, "x"), points(probes, "probes"), one_number(step, "step")
    times(s, x)  # checked here, and handed on as it is
    if probes.ndim < 2 or len(probes) == 0 or probes.shape[-1] != x.shape[-1]:
        raise ValueError(f"probes must be (K, ..., d) with K >= 1 and d = {x.shape[-1]}; got {probes.shape}.")
    total = 0.0
    for probe in probes:
        total = total + np.sum(probe * _along(score, x, s, probe, step), axis=-1)
    return total / len(probes)


def one_instant(value, name):
    """Return one time in [0, 1]."""
    value = real(value, name)
    if value.ndim or not 0 <= value <= 1:
        raise ValueError(f"{name} must be one number in [0, 1]; got {value}. A step t of a schedule? s = t / T.")
    return float(value)


def _solve(rate, state, start, stop, tolerance):
    """Return the state at `stop`, for any state of several arrays, by a Runge-Kutta method of order 8.

    SciPy bounds the root mean square of the errors of all entries; divided by the root of their number, the tolerance
    holds for each.
    """
    from scipy.integrate import solve_ivp  # heavy, and only here

    shapes = [part.shape for part in state]
    ends = np.cumsum([part.size for part in state])

    def flat(parts):
        return np.concatenate([np.ravel(part) for part in parts])

    def apart(y):
        return [part.reshape(shape) for part, shape in zip(np.split(y, ends[:-1]), shapes)]

    tolerance = max(one_number(tolerance, "tolerance") / np.sqrt(ends[-1]), LEAST_TOLERANCE)
    found = solve_ivp(
        lambda s, y: flat(rate(s, *apart(y))),
        (start, stop),
        flat(state),
        method="DOP853",
        rtol=tolerance,
        atol=tolerance,
    )
    if not found.success:
        raise RuntimeError(
            f"the flow could not be followed from s = {start} to {stop} at tolerance {tolerance:.1e}: {found.message}"
            " A score that grows without bound near s = 0? Start later, or loosen the tolerance."
        )
    return apart(found.y[:, -1])


def probability_flow(sde, score, x, start=1.0, stop=0.0, *, tolerance=1e-8):
    r"""Carry points along the probability flow.

    .. math:: x_{\text{stop}} = x_{\text{start}}
        + \int_{\text{start}}^{\text{stop}} \left[f(s)\,x_s - \tfrac12 g(s)^2\,\nabla\log q_s(x_s)\right] ds

    From noise to data (the default) it is a sampler without chance, from data to noise an encoder; one undoes the
    other. Points of law q_start arrive with law q_stop. In one dimension each keeps its quantile.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number.
    x : array_like, shape (n, d)
    start, stop : float
        In [0, 1], in any order.
    tolerance : float
        The error allowed in each step and coordinate, relative to 1 plus its size. No less than 1e-13 is asked for:
        rounding ends what can be had.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d), a time leaves [0, 1], or the score returns another shape.
    RuntimeError
        If the solver gives up.

    Notes
    -----
    Source: Song et al. (2021), section 4.3. Identity: :eq:`eq-continuous.probability_flow`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, ideal_score
    >>> data = GaussianMixture([1.0], [[3.0]], 0.25)
    >>> probability_flow(VP(), ideal_score(VP(), data), [[1.0]]).round(2)  # one standard deviation above the mean
    array([[3.49]])
    """
    x, start, stop = table(x, "x"), one_instant(start, "start"), one_instant(stop, "stop")
    if start == stop:
        return x.copy()
    return _solve(lambda s, x: [probability_flow_drift(sde, score, x, s)], [x], start, stop, tolerance)[0]


def probability_flow_log_density(
    sde,
    score,
    x,
    *,
    divergence=None,
    probes=None,
    rng=None,
    prior=None,
    start=0.0,
    stop=1.0,
    tolerance=1e-10,
):
    r"""Return the log-density that the probability flow gives to points, in nats.

    .. math:: \log p_{\text{start}}(x) = \log p_{\text{stop}}(x_{\text{stop}})
        + \int_{\text{start}}^{\text{stop}} \nabla\cdot v(x_s, s)\,ds, \qquad
        v = f x - \tfrac12 g^2\,\nabla\log q_s, \qquad
        \nabla\cdot v = d f - \tfrac12 g^2\,\nabla\cdot\nabla\log q_s

    With the exact score and, as `prior`, the exact law of x_stop it is log q_start exactly. With ``sde.prior`` it is
    the log-density of what the flow samples from there, and differs by the log-ratio of the two laws at x_stop. With a
    learnt score it is the likelihood of the flow; the equation with noise has another one.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number.
    x : array_like, shape (n, d)
    divergence : callable, optional
        ``divergence(x, s)`` of the score, (n,): exact. By default :func:`divergence`, finite differences.
    probes : int, optional
        Estimate the divergence by :func:`hutchinson` with so many random signs per point, drawn once and kept all the
        way: that leaves log p without bias, and the ODE smooth. Needs `rng`.
    rng : numpy.random.Generator, optional
    prior : optional
        The law of x_stop: anything with ``log_density``, such as ``diffused(sde, mixture, stop)``. By default
        ``sde.prior(d)``.
    start, stop : float
        In [0, 1], start < stop. For a learnt score that is unbounded near 0, start later.
    tolerance : float
        As for :func:`probability_flow`; the log-density is one more coordinate.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d), times are not in order, a callable returns another shape, or both `divergence` and `probes`
        are given.
    RuntimeError
        If the solver gives up.

    Notes
    -----
    Source: Chen et al. (2018), theorem 1; Song et al. (2021), eq. 39.
    Identity: :eq:`eq-continuous.probability_flow_log_density`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, diffused, ideal_score
    >>> data, sde = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25]), VP()
    >>> log_p = probability_flow_log_density(sde, ideal_score(sde, data), [[0.5]], prior=diffused(sde, data, 1.0))
    >>> bool(abs(log_p[0] - data.log_density([0.5])) < 1e-8)
    True
    """
    x, start, stop = table(x, "x"), one_instant(start, "start"), one_instant(stop, "stop")
    if not start < stop:
        raise ValueError(f"start must be before stop; got {start} and {stop}. Data are at s = 0, noise at s = 1.")
    of_score = _divergence_of(score, x, divergence, probes, rng)

    def both(x, s):
        bend = np.asarray(of_score(x, s), dtype=float)
        if bend.shape != (len(x),):
            raise ValueError(f"divergence(x, s) must have the shape {(len(x),)}; got {bend.shape}.")
        return score_at(score, x, s)[2], bend

    return carried_log_density(sde, both, x, prior, start, stop, tolerance)


def carried_log_density(sde, both, x, prior, start, stop, tolerance):
    """Return the log-density (n,) that a flow gives to points, where both(x, s) is a score and its divergence."""
    if prior is not None and not hasattr(prior, "log_density"):
        raise TypeError(f"prior must be a law with a log_density, such as a Gaussian; got {type(prior).__name__}.")
    d = x.shape[1]

    def rate(s, x, _):
        gradient, bend = both(x, s)
        spread = d * sde.drift_rate(s) - 0.5 * sde.diffusion(s) ** 2 * bend
        return flow_velocity(sde, x, s, gradient), spread

    at_stop, gathered = _solve(rate, [x, np.zeros(len(x))], start, stop, tolerance)
    prior = sde.prior(d) if prior is None else prior
    return prior.log_density(at_stop) + gathered


def _divergence_of(score, x, given, probes, rng):
    """Return the callable that the divergence of the score is to be had from."""
    if given is not None and probes is not None:
        raise ValueError("divergence and probes exclude each other: the one is exact, the other an estimate.")
    if given is not None:
        check_divergence(given)
        return given
    if probes is None:
        if rng is not None:
            check_rng(rng)
        return lambda x, s: divergence(score, x, s)
    number = count(probes, "probes")
    signs = 2.0 * check_rng(rng).integers(0, 2, size=(number, *x.shape)) - 1
    return lambda x, s: hutchinson(score, x, s, signs)
