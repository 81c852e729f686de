r"""Distances between two sets of points: how far samples are from data, when no density is at hand.

Both are distances between the two empirical laws, so they are above 0 between two samples of one law too; what to
expect then is said at each. SciPy is loaded by the first call.
"""

import math

import numpy as np

from refdiff.checks import check_rng, count, table

__all__ = ["energy_distance", "sliced_wasserstein"]

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


def sliced_wasserstein(x, y, rng, directions=100):
    r"""Return the sliced 2-Wasserstein distance of two samples, over random directions.

    .. math:: SW(x, y) = \left(\frac1L \sum_{l=1}^{L} \int_0^1
        \left(F^{-1}_{u_l \cdot x}(q) - F^{-1}_{u_l \cdot y}(q)\right)^2 dq\right)^{1/2}

    with u_l uniform on the sphere and F the empirical distribution functions, whose quantiles are steps: exact in q,
    Monte Carlo in u. For two samples of one law it falls as the square root of 1/n + 1/m, up to logarithms.

    Parameters
    ----------
    x : array_like, shape (n, d)
    y : array_like, shape (m, d)
    rng : numpy.random.Generator
    directions : int
        L, at least 1. The memory needed is 24 L (n + m) bytes.

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
    (x, y), rng = _pair(x, y), check_rng(rng)
    n, m = len(x), len(y)
    u = rng.standard_normal((x.shape[1], count(directions, "directions")))
    u /= np.linalg.norm(u, axis=0)
    # The quantiles jump at k/n and at k/m; in units of 1 / (n m) these are integers, so ties are exact.
    q = np.union1d(m * np.arange(1, n + 1), n * np.arange(1, m + 1))
    gap = np.sort(x @ u, axis=0)[(q - 1) // m] - np.sort(y @ u, axis=0)[(q - 1) // n]
    return math.sqrt(np.diff(q, prepend=0) @ (gap**2).mean(axis=1) / (n * m))


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
