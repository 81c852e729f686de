r"""Distances between two sets of points: how far samples are from data, when no density is at hand.

All are distances between the two empirical laws, so they are above 0 between two samples of one law too; what to
expect then is said at each. SciPy is loaded by the first call that needs it.
"""

import math

import numpy as np

from refdiff.checks import check_rng, count, table

__all__ = ["energy_distance", "sliced_w2", "sliced_wasserstein"]

BLOCK = 2**20  # distances held at a time: 8 MB


def energy_distance(x, y):
    r"""Return the (squared) energy distance of two samples, the V-statistic, exact.

    .. math:: D(x, y) = \frac{2}{nm} \sum_{i,j} |x_i - y_j| - \frac{1}{n^2} \sum_{i,j} |x_i - x_j|
        - \frac{1}{m^2} \sum_{i,j} |y_i - y_j|

    It is 0 if and only if the two empirical laws agree, and estimates 2 E|X - Y| - E|X - X'| - E|Y - Y'| from above:
    the n + m terms i = j, which are 0, make it too large. For independent samples of **one** law it has the expectation

    .. math:: \mathbb{E}\, D = \left(\frac1n + \frac1m\right) \mathbb{E}\,|X - X'|

    so this is the level that a perfect sampler reaches, 1.8 (1/n + 1/m) in the plane for a standard normal. Its
    spread there is of the same order.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (m, d)

    Returns
    -------
    float
        At least 0, in the units of the points. It takes O(d (n + m)^2) operations and bounded memory.

    Raises
    ------
    TypeError
        If the points are not real numbers.
    ValueError
        If they are not of these shapes, empty or not finite, or so large that a distance overflows.

    Notes
    -----
    Source: Székely & Rizzo (2013), whose test statistic has a factor n m / (n + m) more. Its square root is a metric;
    ``scipy.stats.energy_distance``, for d = 1, returns that root.

    Examples
    --------
    >>> energy_distance([[0.0], [2.0]], [[1.0]])
    1.0
    """
    x, y = _pair(x, y)
    between, within_x, within_y = _mean_distance(x, y), _mean_distance(x, x), _mean_distance(y, y)
    if not math.isfinite(between + within_x + within_y):
        raise ValueError("x and y must have distances within the range of float64; standardise the points.")
    return max(2 * between - within_x - within_y, 0.0)  # below 0 only by rounding


def sliced_w2(x, y, rng=None, directions=64):
    r"""Return the sliced 2-Wasserstein distance of two samples, in the plane without chance.

    .. math:: SW_2(x, y) = \left(\int_{S^{d-1}} W_2^2(u \cdot x, u \cdot y)\,du\right)^{1/2}, \qquad
        W_2^2(a, b) = \int_0^1 \left(F_a^{-1}(q) - F_b^{-1}(q)\right)^2 dq

    with u uniform on the sphere and F the empirical distribution functions. W_2 on the line is exact: samples of one
    size are compared in order, others by their quantiles, which are steps. The mean over u needs one direction on the
    line; in the plane it is over `directions` evenly spaced angles; beyond, or where an `rng` is given, over as many
    random directions.

    Points moved by a vector a are |a| / sqrt(d) away, points scaled by c >= 0 are |c - 1| times the root of the mean of
    |x|^2 / d: both exact in the plane, from two directions on. For two samples of one law it falls as the square root
    of 1/n + 1/m, up to logarithms; what it comes to, two true samples tell.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (m, d)
    rng : numpy.random.Generator, optional
        Needed for d > 2.
    directions : int
        At least 1.

    Returns
    -------
    float
        At least 0, in the units of the points.

    Raises
    ------
    TypeError
        If the points are not real numbers, `rng` is no Generator where one is needed, or `directions` is no integer.
    ValueError
        If the points are not of these shapes, empty or not finite, or so large that a square overflows, or `directions`
        is below 1.

    Notes
    -----
    Source: Rabin, Peyré, Delon & Bernot (2011); Bonneel, Rabin, Peyré & Pfister (2015).

    Examples
    --------
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> round(sliced_w2(x, x + [3.0, 4.0]), 12)  # 5 / sqrt(2)
    3.535533905933
    """
    x, y = _pair(x, y)
    u = _directions(x.shape[1], rng, count(directions, "directions"))
    with np.errstate(over="ignore", invalid="ignore"):
        # a product with a matrix rounds a point as its place in the set has it, and equal sets would not be 0 apart
        square = sum(_squared_w2((x * one).sum(axis=1), (y * one).sum(axis=1)) for one in u.T) / u.shape[1]
    if not math.isfinite(square):
        raise ValueError("x and y must have squared distances within the range of float64; standardise the points.")
    return math.sqrt(square)


def _directions(d, rng, number):
    """Return unit vectors, shape (d, L): the only one of the line, evenly spaced ones of the plane, or random ones."""
    if rng is None and d == 2:
        angle = math.pi * (np.arange(number) + 0.5) / number  # half the circle: u and -u measure the same
        return np.array([np.cos(angle), np.sin(angle)])
    if rng is None and d == 1:
        return np.ones((1, 1))
    u = check_rng(rng).standard_normal((d, number))
    return u / np.linalg.norm(u, axis=0)


def sliced_wasserstein(x, y, rng, directions=100):
    r"""Return the sliced 2-Wasserstein distance of two samples, over random directions whatever d is.

    .. math:: SW(x, y) = \left(\frac1L \sum_{l=1}^{L} \int_0^1
        \left(F^{-1}_{u_l \cdot x}(q) - F^{-1}_{u_l \cdot y}(q)\right)^2 dq\right)^{1/2}

    with u_l uniform on the sphere and F the empirical distribution functions: exact in q, Monte Carlo in u. It is
    :func:`sliced_w2` with an `rng`, which in the plane needs none.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (m, d)
    rng : numpy.random.Generator
    directions : int
        L, at least 1.

    Returns
    -------
    float
        At least 0, in the units of the points.

    Raises
    ------
    TypeError
        If the points are not real numbers, `rng` is not a Generator or `directions` not an integer.
    ValueError
        If the points are not of these shapes, empty or not finite, or `directions` is below 1.

    Notes
    -----
    Source: Bonneel, Rabin, Peyré & Pfister (2015).

    Examples
    --------
    >>> sliced_wasserstein([[0.0], [1.0]], [[3.0], [4.0]], np.random.default_rng(0))
    3.0
    """
    return sliced_w2(x, y, check_rng(rng), directions)


def _squared_w2(a, b):
    """Return the squared 2-Wasserstein distance of two samples on the line, (n,) and (m,)."""
    a, b = np.sort(a), np.sort(b)
    n, m = len(a), len(b)
    if n == m:
        return np.mean((a - b) ** 2)
    # The quantiles jump at k/n and at k/m; in units of 1 / (n m) these are integers, so ties are exact.
    q = np.union1d(m * np.arange(1, n + 1), n * np.arange(1, m + 1))
    return np.diff(q, prepend=0) @ (a[(q - 1) // m] - b[(q - 1) // n]) ** 2 / (n * m)


def _pair(x, y):
    """Check two sets of points of one dimension."""
    x, y = table(x, "x"), table(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same d; got shapes {x.shape} and {y.shape}.")
    return x, y


def _mean_distance(x, y):
    """Return the mean distance over all pairs, a block of rows at a time."""
    from scipy.spatial.distance import cdist

    rows = max(1, BLOCK // len(y))
    return math.fsum(cdist(x[i : i + rows], y).sum() for i in range(0, len(x), rows)) / (len(x) * len(y))
