"""The toy sets: exact moments of each law, independence of the points, and the mixtures behind two of them.

Statistical tests are two-sided at 1e-9 for each number tested: 6.11 standard errors by the central limit theorem.
Skewness left over at the n used here raises that to 1e-7 at the most, for the squares within one of 25 components.
Seeds are fixed, so a pass repeats.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from refdiff import toys

FALSE_ALARM = 1e-9
Z = stats.norm.isf(FALSE_ALARM / 2)
MIXTURES = {"eight_gaussians": toys.eight_gaussians_mixture, "grid": toys.grid_mixture}

each_set = pytest.mark.parametrize("name", toys.NAMES)
each_set_with_classes = pytest.mark.parametrize("name", toys.CLASSES)
each_mixture = pytest.mark.parametrize("name", MIXTURES)


def z_of_zero_mean(values):
    """Return the z-scores of "the mean of each column is 0"."""
    return values.mean(axis=0) / (values.std(axis=0) / math.sqrt(len(values)))


def component_densities(name, x):
    """Return weight times density of each component at each point, shape (n, k)."""
    weights, means, variances = MIXTURES[name]()
    exponent = sum((x[:, None, i] - means[:, i]) ** 2 / variances[:, i] for i in range(2)) / 2
    return weights / (2 * np.pi * np.sqrt(variances.prod(axis=1))) * np.exp(-exponent)


class Net(np.random.Generator):
    """A Generator that answers with a Sobol net, so that a sample mean is a quadrature rule over the law.

    Each variate asked for takes the next coordinate of the net; all that a toy set asks for is here.
    """

    def __init__(self, m):
        super().__init__(np.random.PCG64(0))
        self.net = iter((stats.qmc.Sobol(8, scramble=False).random_base2(m) + 0.5 / 2**m).T)  # cell centres, never 0

    def random(self, size):
        return next(self.net)

    def integers(self, high, size):
        return np.floor(high * next(self.net)).astype(int)

    def standard_normal(self, size):
        return special.ndtri(np.stack([next(self.net) for _ in range(size[1])], axis=-1))


@each_set
def test_mean_and_variance_of_the_law_are_0_and_1_by_quadrature(name):
    m = 16
    x = toys.draw(name, 2**m, Net(m))
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose((x**2).mean(axis=0), 1, atol=2e-4)


@each_set
def test_mean_and_variance_of_half_a_million_points_are_0_and_1(name):
    x = toys.draw(name, 500_000, np.random.default_rng(20))
    scores = np.concatenate([z_of_zero_mean(x), z_of_zero_mean(x**2 - 1)])
    assert np.abs(scores).max() < Z, scores


def sample_means_spread_as_if_independent(draw, n=100, repeats=1000):
    """Return, per axis, whether the mean of n points has variance 1/n: then n mean^2 sums to a chi-square."""
    rng = np.random.default_rng(21)
    means = np.array([draw(n, rng).mean(axis=0) for _ in range(repeats)])
    total = n * (means**2).sum(axis=0)
    law = stats.chi2(repeats)
    return (law.isf(1 - FALSE_ALARM / 2) < total) & (total < law.isf(FALSE_ALARM / 2))


@each_set
def test_the_mean_of_n_points_spreads_as_that_of_independent_points(name):
    assert sample_means_spread_as_if_independent(lambda n, rng: toys.draw(name, n, rng)).all()


@each_set
def test_points_standardised_by_their_own_sample_are_rejected_as_dependent(name):
    def standardised_by_sample(n, rng):
        x = toys.draw(name, n, rng)
        return (x - x.mean(axis=0)) / x.std(axis=0)

    assert not sample_means_spread_as_if_independent(standardised_by_sample).any()


def test_a_regular_grid_of_angles_is_rejected_as_dependent():
    def regular_circle(n, rng):
        theta = 2 * np.pi * (np.arange(n) + rng.random()) / n
        return np.sqrt(2) * np.stack([np.cos(theta), np.sin(theta)], axis=-1)

    assert not sample_means_spread_as_if_independent(regular_circle).any()


@each_set
def test_neighbours_in_a_draw_are_uncorrelated_in_value_and_square(name):
    x = toys.draw(name, 200_001, np.random.default_rng(22))
    features = np.concatenate([x, x**2 - 1], axis=1)
    products = features[1:, :, None] * features[:-1, None, :]
    assert np.abs(z_of_zero_mean(products.reshape(len(products), -1))).max() < Z


@each_mixture
def test_the_mixture_has_mean_0_and_variance_1_exactly(name):
    weights, means, variances = MIXTURES[name]()
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-15)
    np.testing.assert_allclose(weights @ means, 0, atol=1e-15)
    np.testing.assert_allclose(weights @ (means**2 + variances), 1, rtol=1e-14)


def responsibility_scores(name, x):
    """Return the z-scores of what holds for each component k if x comes from the mixture.

    With r_k(x) = p(k | x) and y = x - m_k: E r_k = w_k, E r_k y = 0, E r_k y_1 y_2 = 0, E r_k y^2 = w_k v_k.
    """
    weights, means, variances = MIXTURES[name]()
    density = component_densities(name, x)
    r = density / density.sum(axis=1, keepdims=True)
    away = x[:, None] - means
    within = r[..., None] * np.stack([*np.moveaxis(away, -1, 0), away[..., 0] * away[..., 1]], axis=-1)
    square = r[..., None] * away**2 - weights[:, None] * variances
    return np.concatenate([z_of_zero_mean(part) for part in (r - weights, within, square)], axis=None)


@each_mixture
def test_each_component_of_the_sampler_has_the_weight_mean_and_variance_stated(name):
    x = toys.draw(name, 50_000, np.random.default_rng(23))
    assert np.abs(responsibility_scores(name, x)).max() < Z


@each_mixture
@pytest.mark.parametrize("change", [lambda x: 1.01 * x, lambda x: x + 0.01, lambda x: x[x[:, 0] + x[:, 1] < 1.5]])
def test_a_sampler_that_is_scaled_shifted_or_lacks_a_corner_is_rejected(name, change):
    x = toys.draw(name, 50_000, np.random.default_rng(23))
    assert np.abs(responsibility_scores(name, change(x))).max() > Z


def test_mixture_shapes():
    for name, k in (("eight_gaussians", 8), ("grid", 25)):
        assert [part.shape for part in MIXTURES[name]()] == [(k,), (k, 2), (k, 2)]


def test_checkerboard_fills_its_eight_dark_squares_evenly_and_no_other():
    x = toys.checkerboard(80_000, np.random.default_rng(24))
    column, row = np.floor(x * np.sqrt(4 / 3) + 2).astype(int).T
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (column, row), 1)
    dark = (np.add.outer(np.arange(4), np.arange(4)) % 2) == 0
    assert (counts[~dark] == 0).all()
    assert stats.chisquare(counts[dark]).pvalue > FALSE_ALARM


@each_set
def test_points_are_float64_of_shape_n_2_and_the_draw_by_name_is_the_function(name):
    x = toys.draw(name, 7, np.random.default_rng(3))
    assert x.dtype == np.float64
    assert x.shape == (7, 2)
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, getattr(toys, name)(7, np.random.default_rng(3)))


@settings(deadline=None, max_examples=50)
@given(name=st.sampled_from(toys.NAMES), n=st.integers(1, 50), seed=st.integers(0, 2**63))
def test_same_seed_same_points_and_another_seed_others(name, n, seed):
    first, again, other = (toys.draw(name, n, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(first, again)
    assert not (first == other).any()


def test_the_global_generator_is_neither_read_nor_moved():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    toys.moons(5, np.random.default_rng(0))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_an_unknown_name_is_answered_with_the_list():
    for name in ("moon", "draw", "", None, 3, ["moons"]):
        with pytest.raises(ValueError, match=r"one of moons, swiss_roll, .*, grid; got"):
            toys.draw(name, 5, np.random.default_rng(0))


@each_set
def test_n_and_rng_are_checked(name):
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        toys.draw(name, 0, np.random.default_rng(0))
    for n in (2.0, True, None):
        with pytest.raises(TypeError, match="n must be an integer"):
            toys.draw(name, n, np.random.default_rng(0))
    for rng in (None, 0, np.random, np.random.RandomState(0)):
        with pytest.raises(TypeError, match=r"Pass numpy.random.default_rng\(seed\)"):
            toys.draw(name, 3, rng)


# Classes


def twisted(rho):
    """A blade of the pinwheel along its middle, times the density of rho."""
    return rho * np.exp(1j * np.exp(rho) / 4) * stats.norm.pdf(rho, 1, 0.3)


def along_the_blade(axis):
    return integrate.quad(lambda rho: getattr(twisted(rho), axis), -2, 4, epsabs=1e-12)[0]


MOON = -1 / 2 + 1j * (2 / math.pi - 1 / 4)
ARM = 2 / (9 * math.pi**2) * (-6 * math.pi + 1j * (9 * math.pi**2 - 4))  # E[theta e^(i theta)], by parts
BLADE = along_the_blade("real") + 1j * along_the_blade("imag")
MEANS = {  # of each class, as complex numbers in units of the raw set, from the equations
    "moons": np.array([MOON, -MOON]),
    "circles": np.zeros(2),
    "pinwheel": BLADE * np.exp(2j * math.pi * np.arange(5) / 5),
    "eight_gaussians": np.exp(2j * math.pi * np.arange(8) / 8),
    "spiral": np.array([ARM, -ARM]),
    "grid": np.array([j + 1j * k for j in range(-2, 3) for k in range(-2, 3)]),
}
VARIANCES = {
    "moons": toys.MOONS_VAR,
    "circles": toys.CIRCLES_VAR,
    "pinwheel": toys.PINWHEEL_VAR,
    "eight_gaussians": toys.EIGHT_GAUSSIANS_VAR,
    "spiral": toys.SPIRAL_VAR,
    "grid": toys.GRID_VAR,
}


def class_scores(name, x, y):
    """Return the z-scores of the mean of each class, and of the mean square of its radius for the circles."""
    raw = x * np.sqrt(VARIANCES[name])
    scores = []
    for k, mean in enumerate(MEANS[name]):
        mine = raw[y == k]
        scores.append(z_of_zero_mean(mine - [mean.real, mean.imag]))
        if name == "circles":
            scores.append(z_of_zero_mean((mine**2).sum(axis=1, keepdims=True) - [1, 1 / 4][k] - 2 * 0.05**2))
    return np.abs(np.concatenate(scores))


@each_set_with_classes
def test_points_of_a_class_lie_where_the_equation_puts_them(name):
    x, y = toys.draw_labelled(name, 100_000, np.random.default_rng(25))
    assert class_scores(name, x, y).max() < Z


@each_set_with_classes
def test_classes_counted_from_another_one_are_rejected(name):
    x, y = toys.draw_labelled(name, 100_000, np.random.default_rng(25))
    assert class_scores(name, x, (y + 1) % toys.CLASSES[name]).max() > Z
    assert class_scores(name, x, np.random.default_rng(0).permutation(y)).max() > Z


@each_set_with_classes
def test_classes_are_equally_likely_and_none_is_missing(name):
    y = toys.draw_labelled(name, 50_000, np.random.default_rng(26))[1]
    counts = np.bincount(y)
    assert len(counts) == toys.CLASSES[name]
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


@each_mixture
def test_the_class_of_a_point_is_its_component_of_the_mixture(name):
    x, y = toys.draw_labelled(name, 5_000, np.random.default_rng(27))
    nearest = np.argmax(component_densities(name, x), axis=1)
    assert (y == nearest).mean() > 0.99  # neighbours of the eight are 6.1 standard deviations apart


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from([*toys.CLASSES]), n=st.integers(1, 50), seed=st.integers(0, 2**63))
def test_labelled_points_are_those_without_labels(name, n, seed):
    x, y = toys.draw_labelled(name, n, np.random.default_rng(seed))
    np.testing.assert_array_equal(x, toys.draw(name, n, np.random.default_rng(seed)))
    assert y.shape == (n,)
    assert y.dtype.kind == "i"


@pytest.mark.parametrize("name", ["swiss_roll", "checkerboard", "moon", None])
def test_a_set_that_does_not_come_in_classes_is_answered_with_those_that_do(name):
    with pytest.raises(ValueError, match=r"one of moons, circles, .*, grid, which come in classes; got"):
        toys.draw_labelled(name, 5, np.random.default_rng(0))
