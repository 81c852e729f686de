r"""Distances between two sets of points, or points and a law: how far samples are from data.

Those of two sets are distances between the two empirical laws, so they are above 0 between two samples of one law too;
what to expect then is said at each. SciPy is loaded by the first call that needs it.
"""

import math

import numpy as np

from refdiff.checks import check_rng, count, table
from refdiff.mixture import GaussianMixture

__all__ = ["energy_distance", "energy_to_mixture", "sliced_w2"]

BLOCK = 2**20  # distances held at a time: 8 MB
MANY_AXES = 50  # beyond which SciPy's confluent hypergeometric function overflows


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


def energy_to_mixture(x, mixture):
    r"""Return the (squared) energy distance between a sample and mixture data, without bias: the U-statistic.

    .. math:: D = \frac2n \sum_i \mathbb{E}|x_i - Y| - \frac{1}{n(n-1)} \sum_{i \ne j} |x_i - x_j|
        - \mathbb{E}|Y - Y'|, \qquad
        \mathbb{E}|x - Y| = \sum_k w_k \sqrt{2 v_k}\,\frac{\Gamma(\frac{d+1}{2})}{\Gamma(\frac d2)}\;
        {}_1F_1\!\left(-\tfrac12; \tfrac d2; -\frac{|x - m_k|^2}{2 v_k}\right)

    The law is known, so no second sample adds its noise. The mean of D is 2 E|X - Y| - E|X - X'| - E|Y - Y'|, which is
    0 for a perfect sampler and above 0 for all others; so for a good one D falls on either side of 0, by some 1/n.
    Independent samples may be averaged. Near 0 the law of D is skewed, so the standard error of a mean over few of them
    says little.

    Parameters
    ----------
    x : array_like, shape (n, d)
        Independent points, n >= 2.
    mixture : GaussianMixture
        Each component of one variance on all axes.

    Returns
    -------
    float
        In the units of the points.

    Raises
    ------
    TypeError
        If the points are not real numbers, or the law is no GaussianMixture.
    ValueError
        If x is not (n, d), has one point only or is not finite, or a component has several variances.

    Notes
    -----
    Source: Székely & Rizzo (2013); the mean length of a normal vector is that of a noncentral chi variable (Johnson,
    Kotz & Balakrishnan, 1995, chapter 29).

    Examples
    --------
    >>> data = GaussianMixture([1.0], [[0.0, 0.0]], 1.0)
    >>> good, bad = (scale * data.sample(2000, np.random.default_rng(0)) for scale in (1.0, 1.5))
    >>> abs(energy_to_mixture(good, data)) < 0.005, round(energy_to_mixture(bad, data), 2)
    (True, 0.09)
    """
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}. Points? energy_distance.")
    x, d = table(x, "x"), mixture.means.shape[1]
    if x.shape[1] != d:
        raise ValueError(f"x must have d = {d}, as the mixture; got shape {x.shape}.")
    if len(x) < 2:
        raise ValueError("x must have at least two points: the distance between points of x is a part of it.")
    if (mixture.variances != mixture.variances[:, :1]).any():
        raise ValueError("mixture must have one variance on all axes of a component: no closed form is known else.")
    weights, means, variances = mixture.weights, mixture.means, mixture.variances[:, 0]
    to_law = sum(w * _mean_length(x, m, v) for w, m, v in zip(weights, means, variances)).mean()
    within_law = sum(
        w * (weights @ _mean_length(means, m, variances + v)) for w, m, v in zip(weights, means, variances)
    )
    within_x = _mean_distance(x, x) * len(x) / (len(x) - 1)
    return float(2 * to_law - within_x - within_law)


def _mean_length(x, mean, var):
    """Return E|x - Y| for Y ~ N(mean, var I), at each point; var is one number, or one for each."""
    from scipy.special import gammaln, hyp1f1

    d, square = x.shape[1], np.sum((x - mean) ** 2, axis=1) / var
    if d > MANY_AXES:
        return np.sqrt(var) * _mean_root(square, d)
    scale = np.sqrt(2 * var) * math.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return scale * hyp1f1(-0.5, d / 2, -square / 2)


def _mean_root(square, d):
    """Return E sqrt(W) for W = |z|^2 with d normal z whose means have this squared length.

    sqrt(W) is an integral over 1 - exp(-u W), whose mean is known; the trapezoid rule in log u converges at once.
    """
    total, step = 0.0, 0.25  # error e^(-pi^2 / step)
    for y in np.arange(-80.0 - 2 * math.log(d + square.max()), 80.0, step):
        u = math.exp(y)
        log_laplace = -d / 2 * math.log1p(2 * u) - square * u / (1 + 2 * u)
        total = total - np.expm1(log_laplace) * math.exp(-y / 2)
    return total * step / (2 * math.sqrt(math.pi))


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
