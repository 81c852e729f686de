r"""Eight toy data sets in the plane, each a law with known moments from which n points are drawn i.i.d.

A raw point is a complex number z, so that :math:`e^{i\theta}` turns it; its two parts are then shifted and scaled to
mean 0 and variance 1 by the moments of the **law**, never of the sample, which would tie the points together. Below,
:math:`\varepsilon = \varepsilon_1 + i \varepsilon_2` is standard normal in each part, and signs and indices are fair.
Where the points come from parts, such as two moons, the part is the point's class: :func:`draw_labelled` gives both.
"""

import functools
import math

import numpy as np

from refdiff.checks import check_rng, count

__all__ = [
    "CLASSES",
    "NAMES",
    "checkerboard",
    "circles",
    "draw",
    "draw_labelled",
    "eight_gaussians",
    "eight_gaussians_mixture",
    "grid",
    "grid_mixture",
    "moons",
    "pinwheel",
    "spiral",
    "swiss_roll",
]

# The standard deviation of the noise in units of the raw set, and the shapes that carry a number.
MOONS_NOISE = 0.05
SWISS_ROLL_NOISE = 0.5
CIRCLES_NOISE = 0.05
INNER_RADIUS = 0.5
PINWHEEL_ARMS = 5
PINWHEEL_RADIAL_STD = 0.3
PINWHEEL_TANGENTIAL_STD = 0.1
PINWHEEL_RATE = 0.25
EIGHT_GAUSSIANS_STD = 0.125
SPIRAL_END = 3 * math.pi
SPIRAL_NOISE = 0.3
GRID_SIDE = 5
GRID_STD = 0.1

# The variance of each axis, from the law; where a mean is not 0 by symmetry it is given too.
MOONS_VAR = np.array([3 / 4, 9 / 16 - 1 / math.pi]) + MOONS_NOISE**2
SWISS_ROLL_MEAN = np.array([2, 2 / (3 * math.pi)])
SWISS_ROLL_VAR = 39 * math.pi**2 / 8 + np.array([-1 / 4, 1 / 4]) - SWISS_ROLL_MEAN**2 + SWISS_ROLL_NOISE**2
CIRCLES_VAR = (1 + INNER_RADIUS**2) / 4 + CIRCLES_NOISE**2
CHECKERBOARD_VAR = 4**2 / 12
PINWHEEL_VAR = (1 + PINWHEEL_RADIAL_STD**2 + PINWHEEL_TANGENTIAL_STD**2) / 2
EIGHT_GAUSSIANS_VAR = 1 / 2 + EIGHT_GAUSSIANS_STD**2
SPIRAL_VAR = SPIRAL_END**2 / 4 + np.array([3 / 4, -3 / 4]) + SPIRAL_NOISE**2
GRID_VAR = (GRID_SIDE**2 - 1) / 12 + GRID_STD**2

_WITH_LABELS = {}


def _points_alone(raw):
    """Make a function that draws points and their classes one that draws the points; both are kept, by name."""
    _WITH_LABELS[raw.__name__] = raw

    @functools.wraps(raw)
    def points(n, rng):
        return raw(n, rng)[0]

    return points


@_points_alone
def moons(n, rng):
    r"""Draw from two interleaved half circles with noise.

    .. math:: z = s \left(e^{i\theta} - \tfrac12 - \tfrac i4\right) + 0.05\,\varepsilon,
        \qquad s = \pm 1, \quad \theta \sim U[0, \pi]

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    The sign s makes the mean 0. With E cos = 0, E sin = 2/pi and E cos^2 = E sin^2 = 1/2 on [0, pi], the variances
    are 1/2 + 1/4 and 1/2 - 1/pi + 1/16, plus that of the noise.
    Source: Pedregosa et al. (2011), scikit-learn's ``make_moons``, there with a regular grid of angles.

    Examples
    --------
    >>> moons(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    theta = math.pi * rng.random(n)
    moon = rng.integers(2, size=n)
    z = _sign(moon) * (np.exp(1j * theta) - (0.5 + 0.25j)) + MOONS_NOISE * _normal(n, rng)
    return _standardized(z, MOONS_VAR), moon


@_points_alone
def swiss_roll(n, rng):
    r"""Draw from a band rolled up one and a half times, with noise.

    .. math:: z = \theta e^{i\theta} + 0.5\,\varepsilon, \qquad \theta \sim U\left[\tfrac32\pi, \tfrac92\pi\right]

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    By parts, E[theta cos] = 2 and E[theta sin] = 2 / (3 pi), the mean; E[theta^2] = 39 pi^2 / 4 and
    E[theta^2 cos 2 theta] = -1/2 give the second moments 39 pi^2 / 8 -+ 1/4.
    Source: the plane section of the roll of Tenenbaum, de Silva & Langford (2000), as in Sohl-Dickstein et al. (2015),
    fig. 1.

    Examples
    --------
    >>> swiss_roll(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    theta = 1.5 * math.pi * (1 + 2 * rng.random(n))
    z = theta * np.exp(1j * theta) + SWISS_ROLL_NOISE * _normal(n, rng)
    return _standardized(z, SWISS_ROLL_VAR, SWISS_ROLL_MEAN), None


@_points_alone
def circles(n, rng):
    r"""Draw from two concentric circles, one half as wide as the other, with noise.

    .. math:: z = r e^{i\theta} + 0.05\,\varepsilon, \qquad
        r \in \left\{1, \tfrac12\right\}, \quad \theta \sim U[0, 2\pi]

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    Either radius has probability 1/2, not the share of its length. Without noise the law is unchanged by turning,
    so each axis has the variance E[r^2] / 2 = 5/16.
    Source: Pedregosa et al. (2011), scikit-learn's ``make_circles``, there with a regular grid of angles.

    Examples
    --------
    >>> circles(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    theta = 2 * math.pi * rng.random(n)
    circle = rng.integers(2, size=n)
    radius = np.array([1.0, INNER_RADIUS])[circle]
    return _standardized(radius * np.exp(1j * theta) + CIRCLES_NOISE * _normal(n, rng), CIRCLES_VAR), circle


@_points_alone
def checkerboard(n, rng):
    r"""Draw from the dark squares of a board of four by four.

    .. math:: z = (c + u) + i (r + v) - (2 + 2i), \qquad
        c, r \in \{0, \ldots, 3\} \text{ with } c + r \text{ even}, \quad u, v \sim U[0, 1]

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    Each row and each column of the board has two dark squares, so each axis alone is uniform over [-2, 2], with mean 0
    and variance 4^2 / 12.
    Source: Grathwohl et al. (2019), FFJORD, published code.

    Examples
    --------
    >>> bool(abs(checkerboard(9, np.random.default_rng(0))).max() <= 3**0.5)
    True
    """
    n, rng = count(n, "n"), check_rng(rng)
    column = rng.integers(4, size=n)
    row = 2 * rng.integers(2, size=n) + column % 2
    z = (column + rng.random(n)) + 1j * (row + rng.random(n)) - (2 + 2j)
    return _standardized(z, CHECKERBOARD_VAR), None


@_points_alone
def pinwheel(n, rng):
    r"""Draw from five Gaussian blades, each bent by turning a point the further the farther out it is.

    .. math:: z = \left(\rho + 0.1 i\,\varepsilon_2\right) e^{i (2 \pi k / 5 + e^{\rho} / 4)}, \qquad
        \rho = 1 + 0.3\,\varepsilon_1, \quad k \in \{0, \ldots, 4\}

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    Turns by 2 pi k / 5 average both e^{i angle} and e^{2 i angle} to 0, so E z = E z^2 = 0: the mean is 0, the axes are
    uncorrelated and of equal variance. Turning keeps lengths, so this is E|z|^2 / 2 = (1 + 0.3^2 + 0.1^2) / 2.
    Source: Johnson et al. (2016), with the numbers of Grathwohl et al. (2019).

    Examples
    --------
    >>> pinwheel(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    arm = rng.integers(PINWHEEL_ARMS, size=n)
    noise = _normal(n, rng)
    rho = 1 + PINWHEEL_RADIAL_STD * noise.real
    angle = 2 * math.pi * arm / PINWHEEL_ARMS + PINWHEEL_RATE * np.exp(rho)
    return _standardized((rho + 1j * PINWHEEL_TANGENTIAL_STD * noise.imag) * np.exp(1j * angle), PINWHEEL_VAR), arm


@_points_alone
def eight_gaussians(n, rng):
    r"""Draw from eight Gaussians on a circle.

    .. math:: z = e^{2 \pi i k / 8} + \tfrac18 \varepsilon, \qquad k \in \{0, \ldots, 7\}

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    See Also
    --------
    eight_gaussians_mixture : the same law, as weights, means and variances.

    Notes
    -----
    The variance is E|z|^2 / 2 = 1/2 + 1/64, as E z = E z^2 = 0.
    Source: Grathwohl et al. (2019), FFJORD, published code.

    Examples
    --------
    >>> eight_gaussians(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    k = rng.integers(8, size=n)
    centre = np.exp(2j * math.pi * k / 8)
    return _standardized(centre + EIGHT_GAUSSIANS_STD * _normal(n, rng), EIGHT_GAUSSIANS_VAR), k


def eight_gaussians_mixture():
    r"""Return the exact mixture from which :func:`eight_gaussians` draws.

    .. math:: p(x) = \tfrac18 \sum_{k=0}^{7} \mathcal{N}\left(x; \frac{m_k}{\sigma},
        \frac{1}{64\,\sigma^2} I\right), \qquad
        m_k = \left(\cos\tfrac{2\pi k}{8}, \sin\tfrac{2\pi k}{8}\right), \quad \sigma^2 = \tfrac12 + \tfrac1{64}

    Returns
    -------
    weights : ndarray, shape (8,)
    means : ndarray, shape (8, 2)
    variances : ndarray, shape (8, 2)
        One for each component and axis.

    Examples
    --------
    >>> weights, means, variances = eight_gaussians_mixture()
    >>> np.round(weights @ (variances + means**2), 12)  # the variance of each axis
    array([1., 1.])
    """
    centres = np.exp(2j * math.pi * np.arange(8) / 8)
    return _equal_mixture(centres, EIGHT_GAUSSIANS_STD, EIGHT_GAUSSIANS_VAR)


@_points_alone
def spiral(n, rng):
    r"""Draw from two spiral arms, each the other turned by half a turn, with noise.

    .. math:: z = s\,\theta e^{i\theta} + 0.3\,\varepsilon, \qquad s = \pm 1, \quad \theta^2 \sim U[0, 9\pi^2]

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    Notes
    -----
    Uniform in theta^2, the points lie evenly along the arm, whose length grows like it. The sign s makes the mean 0. By
    the density 2 theta / (3 pi)^2 on [0, 3 pi], E[theta^2] = 9 pi^2 / 2 and, by parts, E[theta^2 cos 2 theta] = 3/2:
    the variances are 9 pi^2 / 4 +- 3/4, plus that of the noise.
    Source: Grathwohl et al. (2019), FFJORD, published code.

    Examples
    --------
    >>> spiral(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    theta = SPIRAL_END * np.sqrt(rng.random(n))
    arm = rng.integers(2, size=n)
    z = _sign(arm) * theta * np.exp(1j * theta) + SPIRAL_NOISE * _normal(n, rng)
    return _standardized(z, SPIRAL_VAR), arm


@_points_alone
def grid(n, rng):
    r"""Draw from 25 narrow Gaussians on a square grid, five by five.

    .. math:: z = j + i k + 0.1\,\varepsilon, \qquad j, k \in \{-2, \ldots, 2\}

    Parameters
    ----------
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If `n` is below 1.

    See Also
    --------
    grid_mixture : the same law, as weights, means and variances.

    Notes
    -----
    Five equally likely integers have the variance (5^2 - 1) / 12 = 2; the noise adds 0.1^2.
    Source: the 2D grid of Srivastava et al. (2017), VEEGAN.

    Examples
    --------
    >>> grid(3, np.random.default_rng(0)).shape
    (3, 2)
    """
    n, rng = count(n, "n"), check_rng(rng)
    column, row = rng.integers(GRID_SIDE, size=n), rng.integers(GRID_SIDE, size=n)
    centre = column + 1j * row - (1 + 1j) * (GRID_SIDE - 1) / 2
    return _standardized(centre + GRID_STD * _normal(n, rng), GRID_VAR), GRID_SIDE * column + row


def grid_mixture():
    r"""Return the exact mixture from which :func:`grid` draws.

    .. math:: p(x) = \tfrac1{25} \sum_{j,k=-2}^{2} \mathcal{N}\left(x; \frac{(j, k)}{\sigma},
        \frac{0.01}{\sigma^2} I\right), \qquad \sigma^2 = 2 + 0.01

    Returns
    -------
    weights : ndarray, shape (25,)
    means : ndarray, shape (25, 2)
    variances : ndarray, shape (25, 2)
        One for each component and axis.

    Examples
    --------
    >>> weights, means, variances = grid_mixture()
    >>> np.round(weights @ (variances + means**2), 12)  # the variance of each axis
    array([1., 1.])
    """
    j = np.arange(GRID_SIDE) - (GRID_SIDE - 1) / 2
    return _equal_mixture((j[:, None] + 1j * j).ravel(), GRID_STD, GRID_VAR)


#: All sets.
NAMES = tuple(_WITH_LABELS)
#: The sets that come in parts, and in how many: moons, circles from the outer one, blades, Gaussians counter-clockwise
#: from (1, 0), arms, and Gaussians column by column, as the mixtures count them.
CLASSES = {"moons": 2, "circles": 2, "pinwheel": 5, "eight_gaussians": 8, "spiral": 2, "grid": GRID_SIDE**2}


def draw(name, n, rng):
    """Draw n points from the set of that name.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If there is no set of that name, or `n` is below 1.

    Examples
    --------
    >>> draw("moons", 3, np.random.default_rng(0)).shape
    (3, 2)
    """
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}.")
    return globals()[name](n, rng)


def draw_labelled(name, n, rng):
    """Draw n points from the set of that name, each with its class: the points of :func:`draw` for the same seed.

    Parameters
    ----------
    name : str
        One of :data:`CLASSES`, which says how many there are; all are equally likely.
    n : int
        The number of points, at least 1.
    rng : numpy.random.Generator

    Returns
    -------
    x : ndarray, shape (n, 2)
    y : ndarray of int, shape (n,)
        In 0..CLASSES[name] - 1.

    Raises
    ------
    TypeError
        If `n` is not an integer or `rng` not a Generator.
    ValueError
        If no set of that name comes in classes, or `n` is below 1.

    Examples
    --------
    >>> x, y = draw_labelled("pinwheel", 6, np.random.default_rng(0))
    >>> x.shape, y
    ((6, 2), array([4, 3, 2, 1, 1, 0]))
    """
    if not isinstance(name, str) or name not in CLASSES:
        raise ValueError(f"name must be one of {', '.join(CLASSES)}, which come in classes; got {name!r}.")
    return _WITH_LABELS[name](n, rng)


def _sign(part):
    """Return +1 for the part 0, -1 for the part 1."""
    return 1 - 2 * part


def _normal(n, rng):
    """Draw n complex numbers whose two parts are independent standard normals."""
    parts = rng.standard_normal((n, 2))
    return parts[:, 0] + 1j * parts[:, 1]


def _standardized(z, var, mean=0.0):
    """Return complex `z` as points, shape (n, 2), shifted and scaled by the moments of its law."""
    return (np.stack([z.real, z.imag], axis=-1) - mean) / np.sqrt(var)


def _equal_mixture(centres, std, var):
    """Return weights, means and variances of equally likely Gaussians of raw width `std`, once standardised."""
    k = len(centres)
    return np.full(k, 1 / k), _standardized(centres, var), np.full((k, 2), std**2 / var)
