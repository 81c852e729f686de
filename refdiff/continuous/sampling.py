r"""Samplers with a fixed number of steps: the reverse equation with its noise, and the probability flow without.

Each walks down a grid of times, as a generator of (s, x_s); the function without ``_path`` returns where it ends. The
points are those of the caller at the first time: ``sde.prior(d)`` for new samples, or what :func:`probability_flow` has
made of data.
"""

from itertools import pairwise

import numpy as np

from refdiff.checks import check_rng, count, one_number, points, table
from refdiff.continuous.evolution import check_score, probability_flow_drift, reverse_drift
from refdiff.continuous.grids import check_times
from refdiff.continuous.sde import times as lined_up
from refdiff.gaussian import Gaussian
from refdiff.reverse.walks import last
from refdiff.score import langevin_transition

__all__ = [
    "euler",
    "euler_maruyama",
    "euler_maruyama_path",
    "euler_maruyama_transition",
    "euler_path",
    "heun",
    "heun_path",
    "predictor_corrector",
    "predictor_corrector_path",
]


def descend(step, x, times):
    """Walk down the times by x_s = step(x_u, u, s), as a generator of s and x_s."""
    for u, s in pairwise(times.tolist()):
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error, here below
            x = step(x, u, s)
        if not np.isfinite(x).all():
            raise RuntimeError(
                f"the points left the finite numbers between s = {u:g} and {s:g}: the step is too long for this score,"
                " or the score is not finite there."
            )
        yield s, x


def euler_maruyama_transition(sde, score, x, u, s):
    r"""Return p(x_s | x_u) for s < u: one step of the reverse equation, its coefficients frozen at u.

    .. math:: p(x_s \mid x_u) = \mathcal{N}\left(x_u - (u - s)\left[f(u)\,x_u - g(u)^2\,\nabla\log q_u(x_u)\right],\;
        (u - s)\,g(u)^2 I\right)

    Mean and variance are those of the true p(x_s | x_u) up to (u - s)^2.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, u)``.
    x : array_like, shape (..., d)
        x_u.
    u, s : float or array_like
        In [0, 1], s < u; one number each, or one per point.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If the score returns another shape, a time leaves [0, 1], or s is not below u.

    Notes
    -----
    Source: Maruyama (1955), for the equation of Anderson (1982); Song et al. (2021), section 4.1.
    Identity: :eq:`eq-continuous.euler_maruyama_transition`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> p = euler_maruyama_transition(VP(2.0, 2.0), lambda x, s: -x, [1.0], 0.5, 0.25)  # x_s ~ N(0, 1) at each s
    >>> p.mean, p.var
    (array([0.75]), array([0.5]))
    """
    x = points(x, "x")
    u_x, s_x = lined_up(u, x, "u"), lined_up(s, x)
    if not np.all(s_x < u_x):
        raise ValueError(
            f"u must be after s; got u = {np.min(u)} and s = {np.max(s)}. A sampler runs from u down to s."
        )
    h = u_x - s_x
    return Gaussian(x - h * reverse_drift(sde, score, x, u), h * sde.diffusion(u_x) ** 2)


def euler_maruyama_path(sde, score, x, rng, times):
    r"""Walk the reverse equation down a grid of times by Euler's and Maruyama's steps, as a generator.

    .. math:: x_s = x_u - (u - s)\left[f(u)\,x_u - g(u)^2\,\nabla\log q_u(x_u)\right] + \sqrt{u - s}\;g(u)\,z, \qquad
        z \sim \mathcal{N}(0, I)

    Parameters
    ----------
    sde, score, x, rng, times
        As for :func:`euler_maruyama`.

    Yields
    ------
    s : float
        From the second of the times to the last.
    x_s : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`euler_maruyama`; at once, not with the first step.

    Notes
    -----
    Source: Maruyama (1955); Song et al. (2021), section 4.1. Identity: :eq:`eq-continuous.euler_maruyama`.
    """
    check_score(score)
    x, rng, times = table(x, "x"), check_rng(rng), check_times(times)

    def step(x, u, s):
        return euler_maruyama_transition(sde, score, x, u, s).sample(rng)

    return descend(step, x, times)


def euler_maruyama(sde, score, x, rng, times, *, progress=None):
    r"""Return where points are that follow the reverse equation down a grid of times, by Euler's and Maruyama's steps.

    .. math:: x_s = x_u - (u - s)\left[f(u)\,x_u - g(u)^2\,\nabla\log q_u(x_u)\right] + \sqrt{u - s}\;g(u)\,z, \qquad
        z \sim \mathcal{N}(0, I)

    Of weak order 1: as the steps become short, the error of the mean of any smooth function of x_s falls in proportion.
    It asks for the score once a step.

    **Every step has its noise, the last one too.** What arrives is then a draw from an approximation of q_s at the last
    s, as on every step before. The variance that this step gives is right up to (u - s)^2, and without noise it would
    be short by (u - s) g(u)^2. To leave it out is the better bargain only for data that are narrow beside the last
    step: for them stop at some s > 0, and take the mean of what is left, E[x_0 | x_s], which is a denoiser's answer.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number: each of the times but the last.
    x : array_like, shape (n, d)
        The points at the first of the times, from ``sde.prior(d)`` for new samples.
    rng : numpy.random.Generator
    times : array_like, shape (K + 1,)
        Decreasing, in [0, 1]: :func:`even_times`, :func:`log_snr_times`, :func:`edm_times` or your own.
    progress : callable, optional
        Called as ``progress(taken)`` after each step, with how many have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d) and finite, `rng` no Generator, the times do not decrease within [0, 1], or the score returns
        another shape.
    RuntimeError
        If the points leave the finite numbers.

    Notes
    -----
    Source: Maruyama (1955); Song et al. (2021), section 4.1. Identity: :eq:`eq-continuous.euler_maruyama`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, even_times, ideal_score
    >>> data, sde, rng = GaussianMixture([0.8, 0.2], [[-4.0], [4.0]], 0.1), VP(), np.random.default_rng(0)
    >>> x = euler_maruyama(sde, ideal_score(sde, data), rng.standard_normal((4000, 1)), rng, even_times(200))
    >>> bool(abs(np.mean(x < 0) - 0.8) < 0.03)
    True
    """
    return last(euler_maruyama_path(sde, score, x, rng, times), progress)


def euler_path(sde, score, x, times):
    r"""Walk the probability flow down a grid of times by Euler's steps, as a generator.

    .. math:: x_s = x_u - (u - s)\,v(x_u, u), \qquad v = f x - \tfrac12 g^2\,\nabla\log q_u

    Parameters
    ----------
    sde, score, x, times
        As for :func:`euler`.

    Yields
    ------
    s : float
        From the second of the times to the last.
    x_s : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`euler`; at once, not with the first step.

    Notes
    -----
    Source: Euler (1768); Song et al. (2021), section 4.3. Identity: :eq:`eq-continuous.euler`.
    """
    check_score(score)
    x, times = table(x, "x"), check_times(times)

    def step(x, u, s):
        return x - (u - s) * probability_flow_drift(sde, score, x, u)

    return descend(step, x, times)


def euler(sde, score, x, times, *, progress=None):
    r"""Return where the probability flow carries points down a grid of times, by Euler's steps.

    .. math:: x_s = x_u - (u - s)\,v(x_u, u), \qquad v = f x - \tfrac12 g^2\,\nabla\log q_u

    Of order 1, with one score a step. :func:`heun` is of order 2 with two; :func:`probability_flow` chooses its steps
    so that a tolerance is kept.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number: each of the times but the last.
    x : array_like, shape (n, d)
        The points at the first of the times.
    times : array_like, shape (K + 1,)
        Decreasing, in [0, 1].
    progress : callable, optional
        Called as ``progress(taken)`` after each step, with how many have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d) and finite, the times do not decrease within [0, 1], or the score returns another shape.
    RuntimeError
        If the points leave the finite numbers.

    Notes
    -----
    Source: Euler (1768); Song et al. (2021), section 4.3. Identity: :eq:`eq-continuous.euler`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> euler(VP(2.0, 2.0), lambda x, s: -x / 2, [[4.0]], [1.0, 0.5])  # the velocity is -x / 2
    array([[5.]])
    """
    return last(euler_path(sde, score, x, times), progress)


def heun_path(sde, score, x, times):
    r"""Walk the probability flow down a grid of times by Heun's steps, as a generator.

    .. math:: x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right], \qquad
        \tilde x = x_u - (u - s)\,v(x_u, u)

    Parameters
    ----------
    sde, score, x, times
        As for :func:`heun`.

    Yields
    ------
    s : float
        From the second of the times to the last.
    x_s : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`heun`; at once, not with the first step.

    Notes
    -----
    Source: Heun (1900); Karras et al. (2022), Algorithm 1. Identity: :eq:`eq-continuous.heun`.
    """
    check_score(score)
    x, times = table(x, "x"), check_times(times)

    def step(x, u, s):
        before = probability_flow_drift(sde, score, x, u)
        after = probability_flow_drift(sde, score, x - (u - s) * before, s)
        return x - (u - s) * (before + after) / 2

    return descend(step, x, times)


def heun(sde, score, x, times, *, progress=None):
    r"""Return where the probability flow carries points down a grid of times, by Heun's steps.

    .. math:: x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right], \qquad
        \tilde x = x_u - (u - s)\,v(x_u, u), \qquad v = f x - \tfrac12 g^2\,\nabla\log q

    Of order 2, with two scores a step: the trapezoid rule, with Euler's guess of where it will lead. Its steps are
    straight in s and x; those of :func:`edm`, and of :func:`refdiff.reverse.heun` on a chain's steps, are in the
    noise-to-signal ratio and x_s / a_s.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number: each of the times, the last one too. One that is unbounded at s = 0
        needs times that end before.
    x : array_like, shape (n, d)
        The points at the first of the times.
    times : array_like, shape (K + 1,)
        Decreasing, in [0, 1].
    progress : callable, optional
        Called as ``progress(taken)`` after each step, with how many have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If x is not (n, d) and finite, the times do not decrease within [0, 1], or the score returns another shape.
    RuntimeError
        If the points leave the finite numbers.

    Notes
    -----
    Source: Heun (1900); Karras et al. (2022), Algorithm 1. Identity: :eq:`eq-continuous.heun`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, even_times, ideal_score
    >>> data, sde = GaussianMixture([1.0], [[3.0]], 0.25), VP()
    >>> heun(sde, ideal_score(sde, data), [[1.0]], even_times(50, stop=0.0)).round(2)  # as by probability_flow
    array([[3.49]])
    """
    return last(heun_path(sde, score, x, times), progress)


def predictor_corrector_path(sde, score, x, rng, times, h, corrections=1):
    r"""Walk the reverse equation down a grid of times, each step followed by Langevin dynamics, as a generator.

    .. math:: x \sim p(x_s \mid x_u), \qquad\text{then}\qquad
        x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z \quad (\text{corrections times}), \qquad
        h_s = h\,\sigma_s^2

    Parameters
    ----------
    sde, score, x, rng, times, h, corrections
        As for :func:`predictor_corrector`.

    Yields
    ------
    s : float
        From the second of the times to the last.
    x_s : ndarray, shape (n, d)
        Corrected.

    Raises
    ------
    TypeError, ValueError
        As for :func:`predictor_corrector`; at once, not with the first step.

    Notes
    -----
    Source: Song et al. (2021), section 4.2 and Algorithm 1. Identity: :eq:`eq-continuous.predictor_corrector`.
    """
    check_score(score)
    x, rng, times = table(x, "x"), check_rng(rng), check_times(times)
    h, corrections = one_number(h, "h"), count(corrections, "corrections", least=0)

    def step(x, u, s):
        x = euler_maruyama_transition(sde, score, x, u, s).sample(rng)
        if s > 0:  # at s = 0 the Langevin step is 0 as well
            for _ in range(corrections):
                x = langevin_transition(lambda x: score(x, s), x, h * float(sde.var(s))).sample(rng)
        return x

    return descend(step, x, times)


def predictor_corrector(sde, score, x, rng, times, h, corrections=1, *, progress=None):
    r"""Return where points are that follow the reverse equation, each step corrected by Langevin dynamics.

    .. math:: x \sim p(x_s \mid x_u), \qquad\text{then}\qquad
        x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z \quad (\text{corrections times}), \qquad
        h_s = h\,\sigma_s^2

    The predictor is :func:`euler_maruyama_transition`. The corrector stays at s and pulls the law towards q_s, by the
    steps that :func:`refdiff.score.annealed_langevin` takes, in units of the noise variance.

    Its error is the sum of two: one of the predictor, in proportion to the longest step, and one of the corrector, in
    proportion to h, since Langevin dynamics without Metropolis' rule settles beside q_s. So it is of weak order 1 if h
    shrinks with the steps, as c / K; with one h for all K it tends to a law with the corrector's bias.

    Song et al. choose the corrector's step by the norms of score and noise, 2 (r |z| / |score|)^2, averaged over the
    batch, and for VP times alpha_t (Algorithms 4 and 5). Where noise rules, |score| = |z| / sigma: that is h = 2 r^2,
    or .05 for r = .16. But a step that looks at the batch makes each point depend on all others, and one that looks
    at its own noise is not normal: neither has a transition that could be written down.

    Parameters
    ----------
    sde : VP, VE or SubVP
    score : callable
        ``score(x, s)``, asked with s a number: each of the times, at s = 0 not.
    x : array_like, shape (n, d)
        The points at the first of the times.
    rng : numpy.random.Generator
    times : array_like, shape (K + 1,)
        Decreasing, in [0, 1]. At s = 0 nothing is corrected.
    h : float
        The step of the corrector in units of the noise variance, in (0, 2) for any data.
    corrections : int
        At each time; 0 leaves :func:`euler_maruyama`.
    progress : callable, optional
        Called as ``progress(taken)`` after each step, with how many have been taken.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`euler_maruyama`, and if h is not one number > 0 or `corrections` no integer >= 0.
    RuntimeError
        If the points leave the finite numbers.

    Notes
    -----
    Source: Song et al. (2021), section 4.2 and Algorithm 1. Identity: :eq:`eq-continuous.predictor_corrector`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> from refdiff.continuous import VP, even_times, ideal_score
    >>> data, sde, rng = GaussianMixture([0.8, 0.2], [[-4.0], [4.0]], 0.1), VP(), np.random.default_rng(0)
    >>> noise, times = rng.standard_normal((4000, 1)), even_times(100)
    >>> x = predictor_corrector(sde, ideal_score(sde, data), noise, rng, times, h=0.05)
    >>> bool(abs(np.mean(x < 0) - 0.8) < 0.03)
    True
    """
    return last(predictor_corrector_path(sde, score, x, rng, times, h, corrections), progress)
