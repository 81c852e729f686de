"""Distances of samples: against definitions, closed forms and what is expected between two samples of one law."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

from refdiff import GaussianMixture, distance, toys
from refdiff.distance import energy_distance, energy_to_mixture, sliced_w2

Z = stats.norm.isf(0.5e-9)

quick = settings(deadline=None, max_examples=50)
samples = st.integers(1, 3).flatmap(
    lambda d: st.tuples(
        *[arrays(float, st.tuples(st.integers(1, 6), st.just(d)), elements=st.floats(-100, 100)) for _ in "xy"]
    )
)


def mean_abs_normal(mean, std):
    """Return E|X| for X ~ N(mean, std^2), a folded normal."""
    return std * math.sqrt(2 / math.pi) * math.exp(-(mean**2) / (2 * std**2)) + mean * math.erf(
        mean / std / math.sqrt(2)
    )


def energy_scores(draw_x, draw_y, n, m, expected, repeats=2000):
    """Return the z-score of "the V-statistic has this expectation" over independent repeats."""
    rng = np.random.default_rng(30)
    values = np.array([energy_distance(draw_x(n, rng), draw_y(m, rng)) for _ in range(repeats)])
    return (values.mean() - expected) / (values.std() / math.sqrt(repeats))


def test_energy_distance_of_a_hand_computed_example():
    # distances between: 5, 0, 0, 5; within each: 0, 5, 5, 0
    assert energy_distance([[0.0, 0.0], [3.0, 4.0]], [[3.0, 4.0], [0.0, 0.0]]) == 0
    # between 2, 2; within x 0, 2, 2, 0; within y 0
    assert energy_distance([[1.0, 0.0], [3.0, 0.0]], [[2.0, math.sqrt(3)]]) == pytest.approx(2 * 2 - 1, rel=1e-15)


@quick
@given(samples)
def test_energy_distance_is_the_double_sum_of_its_definition(xy):
    x, y = xy
    between, within_x, within_y = (
        np.mean([math.dist(a, b) for a in left for b in right]) for left, right in ((x, y), (x, x), (y, y))
    )
    assert energy_distance(x, y) == pytest.approx(2 * between - within_x - within_y, rel=1e-10, abs=1e-11)


@quick
@given(samples)
def test_energy_distance_is_symmetric_nonnegative_and_0_between_a_sample_and_itself(xy):
    x, y = xy
    assert energy_distance(x, y) >= 0
    assert energy_distance(x, y) == pytest.approx(energy_distance(y, x), rel=1e-10, abs=1e-11)
    assert energy_distance(x, x) == 0


def test_rounding_never_makes_the_distance_of_a_sample_to_its_reverse_negative():
    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((40, 2))
        assert 0 <= energy_distance(x, x[::-1]) < 1e-14


def test_energy_distance_in_one_dimension_is_the_square_of_scipys():
    rng = np.random.default_rng(31)
    x, y = rng.standard_normal(50), 2 * rng.standard_normal(70) + 1
    assert energy_distance(x[:, None], y[:, None]) == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-12)


def test_the_size_of_a_block_does_not_show(monkeypatch):
    rng = np.random.default_rng(32)
    x, y = rng.standard_normal((57, 3)), rng.standard_normal((31, 3))
    whole = energy_distance(x, y)
    for block in (1, 31, 100, 1000):
        monkeypatch.setattr(distance, "BLOCK", block)
        assert energy_distance(x, y) == pytest.approx(whole, rel=1e-13)


# Nominal 1e-9, two-sided; the statistic is skewed like a chi-square, which makes it less than 1e-6 at 2000 repeats.
@pytest.mark.parametrize(("n", "m"), [(20, 20), (15, 60)])
def test_between_two_samples_of_one_law_it_has_the_null_level_stated(n, m):
    def normal(n, rng):
        return rng.standard_normal((n, 2))

    level = (1 / n + 1 / m) * math.sqrt(math.pi)  # E|X - X'| = sqrt(2) sqrt(pi / 2) in the plane
    assert abs(energy_scores(normal, normal, n, m, level)) < Z
    assert abs(energy_scores(normal, normal, n, m, 0.0)) > Z
    assert abs(energy_scores(normal, normal, n, m, 1.3 * level)) > Z


def test_between_two_gaussians_it_has_the_closed_form_plus_the_terms_i_equal_j():
    n, m, shift, std = 30, 50, 0.7, 1.6
    within_x, within_y = mean_abs_normal(0, math.sqrt(2)), mean_abs_normal(0, math.sqrt(2) * std)
    true = 2 * mean_abs_normal(shift, math.hypot(1, std)) - within_x - within_y

    def x(n, rng):
        return rng.standard_normal((n, 1))

    def y(m, rng):
        return shift + std * rng.standard_normal((m, 1))

    assert abs(energy_scores(x, y, n, m, true + within_x / n + within_y / m)) < Z
    assert abs(energy_scores(x, y, n, m, true)) > Z


def test_a_distance_that_overflows_is_refused():
    with pytest.raises(ValueError, match="within the range of float64"):
        energy_distance([[1e300]], [[-1e300]])


# ------------------------------------------------------------------------------------------ points and a known law

MIXTURE = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [1.0, -0.5]], [0.2, 0.6])


@pytest.mark.parametrize("d", [1, 2, 3, 10, 60, 784])
@pytest.mark.parametrize("far", [0.0, 0.7, 40.0])
def test_the_mean_distance_to_a_normal_law_is_an_integral_over_its_length(d, far):
    # |x - Y|^2 / v is noncentral chi-square; its root is integrated here
    var, at = 0.3, np.full((1, d), far / math.sqrt(d))
    law = stats.ncx2(d, far**2 / var) if far else stats.chi2(d)
    quantiles = (np.polynomial.legendre.leggauss(400)[0] + 1) / 2, np.polynomial.legendre.leggauss(400)[1] / 2
    expected = math.sqrt(var) * float(quantiles[1] @ np.sqrt(law.ppf(quantiles[0])))
    assert distance._mean_length(at, np.zeros(d), var)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("d", [1, 2, 5, 50])
def test_both_ways_to_the_mean_distance_agree(d):
    square = np.array([0.0, 0.3, 7.0, 100.0, 1e6])
    scale = math.sqrt(2) * math.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))
    np.testing.assert_allclose(
        distance._mean_root(square, d), scale * special.hyp1f1(-0.5, d / 2, -square / 2), rtol=1e-12
    )


def test_points_of_many_coordinates_can_be_measured():
    law = GaussianMixture([1.0], np.zeros((1, 784)), 1.0)
    values = [energy_to_mixture(law.sample(100, np.random.default_rng(k)), law) for k in range(30)]
    assert abs(np.mean(values)) < Z * np.std(values) / math.sqrt(30)


def test_the_mean_distance_on_the_line_is_that_of_a_folded_normal():
    for mean, var in ((0.0, 1.0), (0.3, 2.0), (-5.0, 0.1)):
        found = distance._mean_length(np.array([[0.0]]), np.array([mean]), var)[0]
        assert found == pytest.approx(mean_abs_normal(mean, math.sqrt(var)), rel=1e-14)


def test_energy_to_a_mixture_is_on_average_0_for_its_own_samples_and_not_for_others():
    rng, n = np.random.default_rng(36), 40
    own = np.array([energy_to_mixture(MIXTURE.sample(n, rng), MIXTURE) for _ in range(1000)])
    assert abs(own.mean()) < Z * own.std() / math.sqrt(own.size)
    moved = np.array([energy_to_mixture(MIXTURE.sample(n, rng) + np.array([0.5, 0.0]), MIXTURE) for _ in range(200)])
    assert moved.mean() > Z * moved.std() / math.sqrt(moved.size)


def test_energy_to_a_mixture_is_what_the_distance_to_ever_larger_samples_tends_to():
    rng = np.random.default_rng(37)
    x, y = MIXTURE.sample(500, rng) + np.array([0.4, 0.0]), MIXTURE.sample(20_000, rng)
    # the V-statistic counts the 500 distances of points from themselves
    too_large = distance._mean_distance(x, x) / (len(x) - 1)
    assert energy_to_mixture(x, MIXTURE) == pytest.approx(energy_distance(x, y) - too_large, abs=0.01)


def test_energy_to_a_mixture_of_a_shifted_normal_is_known_on_the_line():
    law, shift = GaussianMixture([1.0], [[0.0]], 1.0), 0.8
    expected = 2 * mean_abs_normal(shift, math.sqrt(2)) - 2 * mean_abs_normal(0, math.sqrt(2))
    rng = np.random.default_rng(38)
    values = np.array([energy_to_mixture(rng.standard_normal((50, 1)) + shift, law) for _ in range(2000)])
    assert abs(values.mean() - expected) < Z * values.std() / math.sqrt(values.size)


def test_the_toy_mixtures_can_be_measured():
    for name in ("eight_gaussians", "grid"):
        law = GaussianMixture(*getattr(toys, f"{name}_mixture")())
        assert abs(energy_to_mixture(toys.draw(name, 2000, np.random.default_rng(39)), law)) < 0.01


@pytest.mark.parametrize(
    ("x", "law", "message"),
    [
        ([[0.0, 0.0]] * 3, [[0.0, 0.0]], "mixture must be a GaussianMixture; got list"),
        ([[0.0]] * 3, MIXTURE, "x must have d = 2, as the mixture"),
        ([[0.0, 0.0]], MIXTURE, "x must have at least two points"),
        ([[0.0, 0.0]] * 3, GaussianMixture([1.0], [[0.0, 0.0]], [[1.0, 2.0]]), "one variance on all axes"),
    ],
)
def test_what_cannot_be_measured_against_a_mixture_is_refused(x, law, message):
    with pytest.raises((TypeError, ValueError), match=message):
        energy_to_mixture(x, law)


def test_sliced_w2_in_one_dimension_is_that_of_sorted_samples():
    rng = np.random.default_rng(33)
    x, y = rng.standard_normal((40, 1)), rng.standard_normal((40, 1)) + 1
    expected = math.sqrt(np.mean((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2))
    assert sliced_w2(x, y, rng, directions=3) == pytest.approx(expected, rel=1e-13)


@quick
@given(samples, st.integers(0, 99))
def test_sliced_w2_by_chance_of_unequal_sizes_is_that_of_the_samples_repeated_to_equal_size(xy, seed):
    x, y = xy
    size = math.lcm(len(x), len(y))
    x_all, y_all = (np.repeat(z, size // len(z), axis=0) for z in xy)
    value, expected = (sliced_w2(*pair, np.random.default_rng(seed), 5) for pair in ((x, y), (x_all, y_all)))
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_sliced_w2_by_chance_of_a_shift_is_its_length_over_root_d():
    # SW^2 is the mean of (u . shift)^2; for d = 3, u . shift / |shift| is uniform over [-1, 1], its square has
    # the expectation 1/3 and the variance 4/45
    rng, shift, directions = np.random.default_rng(34), np.array([2.0, -1.0, 2.0]), 20_000
    x = rng.standard_normal((3, 3))
    square = sliced_w2(x, x + shift, rng, directions) ** 2
    assert abs(square - 9 / 3) < Z * math.sqrt(4 / 45 * 81 / directions)


def test_same_seed_same_directions():
    x, y = np.random.default_rng(35).standard_normal((2, 9, 2))
    values = [sliced_w2(x, y, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def turned(x, angle):
    """Return points of the plane, turned."""
    return x @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


@quick
@given(samples)
def test_sliced_w2_of_a_line_is_the_quantile_integral(xy):
    x, y = (np.sort(z[:, 0]) for z in xy)
    size = math.lcm(len(x), len(y))
    expected = math.sqrt(np.mean((np.repeat(x, size // len(x)) - np.repeat(y, size // len(y))) ** 2))
    assert sliced_w2(x[:, None], y[:, None]) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1.0])
def test_sliced_w2_of_a_hand_computed_example(angle):
    # from (0, 0) to (3, 4), seen along four directions: 25 times the mean of their cos^2, which is 1/2
    assert sliced_w2([[0.0, 0.0]], turned(np.array([[3.0, 4.0]]), angle), directions=4) ** 2 == pytest.approx(12.5)
    # two points against one in their middle: half their distance, along each direction
    x, y = turned(np.array([[0.0, 0.0], [2.0, 0.0]]), angle), turned(np.array([[1.0, 0.0]]), angle)
    assert sliced_w2(x, y, directions=4) ** 2 == pytest.approx(0.5)


@quick
@given(samples, st.integers(2, 9))
def test_sliced_w2_is_symmetric_0_between_equal_sets_and_blind_to_order(xy, directions):
    x, y = xy
    seeds = [np.random.default_rng(0) if x.shape[1] > 2 else None for _ in range(4)]
    value, back, same, mixed = (
        sliced_w2(*pair, rng, directions)
        for pair, rng in zip([(x, y), (y, x), (x, x[::-1]), (x[::-1], np.roll(y, 1, axis=0))], seeds)
    )
    assert value == pytest.approx(back, rel=1e-12, abs=1e-12)
    assert value == pytest.approx(mixed, rel=1e-12, abs=1e-12)
    assert value >= 0 == same


@pytest.mark.parametrize("directions", [2, 3, 64])
def test_sliced_w2_of_a_shift_and_of_a_scale_are_exact_in_the_plane(directions):
    rng = np.random.default_rng(36)
    x, shift = rng.standard_normal((50, 2)) * [1.0, 3.0], np.array([2.0, -1.0])
    assert sliced_w2(x, x + shift, directions=directions) == pytest.approx(math.sqrt(5 / 2), rel=1e-12)
    for scale in (0.0, 0.4, 2.0):
        expected = abs(scale - 1) * math.sqrt(np.mean(x**2))  # the mean of |x|^2 / d
        assert sliced_w2(x, scale * x, directions=directions) == pytest.approx(expected, rel=1e-12)


def test_sliced_w2_of_sets_that_are_moved_apart_is_that_of_the_centred_sets_and_of_the_shift():
    rng = np.random.default_rng(37)
    x, y, shift = rng.standard_normal((40, 2)), 2 * rng.standard_normal((30, 2)), np.array([0.7, -1.9])
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = sliced_w2(x, y) ** 2 + shift @ shift / 2
    assert sliced_w2(x, y + shift) ** 2 == pytest.approx(expected, rel=1e-12)


def test_sliced_w2_does_not_see_a_common_move_turn_or_mirror_that_maps_its_directions_to_themselves():
    rng = np.random.default_rng(38)
    x, y = rng.standard_normal((40, 2)), rng.standard_normal((25, 2)) * [1.0, 2.0]
    value = sliced_w2(x, y, directions=12)
    for change in (
        lambda z: z + np.array([5.0, -7.0]),
        lambda z: turned(z, math.pi / 12),
        lambda z: turned(z, math.pi / 2),
        lambda z: z * np.array([1.0, -1.0]),
        lambda z: z[:, ::-1],
    ):
        assert sliced_w2(change(x), change(y), directions=12) == pytest.approx(value, rel=1e-11)
    assert sliced_w2(3 * x, 3 * y, directions=12) == pytest.approx(3 * value, rel=1e-12)


def test_sliced_w2_in_the_plane_is_the_mean_over_all_directions():
    rng = np.random.default_rng(39)
    x, y = rng.standard_normal((60, 2)), rng.standard_normal((45, 2)) * [1.0, 2.0] + [0.5, 0.0]
    fine = sliced_w2(x, y, directions=4096)
    assert sliced_w2(x, y) == pytest.approx(fine, rel=1e-3)
    squares = [sliced_w2(x, y, rng, directions=1) ** 2 for _ in range(2000)]
    assert abs(np.mean(squares) - fine**2) < 5 * np.std(squares) / math.sqrt(2000)


def test_sliced_w2_of_two_large_gaussian_samples_is_near_that_of_their_laws():
    # W_2^2 of N(a, s^2) and N(b, t^2) is (a - b)^2 + (s - t)^2, the same along each direction here but for the shift
    rng, shift, n = np.random.default_rng(40), np.array([1.0, 0.5]), 40_000
    x, y = rng.standard_normal((n, 2)), shift + 1.5 * rng.standard_normal((n, 2))
    # its standard error is of the order of sqrt(s^2 + t^2) / sqrt(n) = .009
    assert sliced_w2(x, y) == pytest.approx(math.sqrt(shift @ shift / 2 + 0.25), abs=0.045)
    null = sliced_w2(x, rng.standard_normal((n, 2)))
    assert 0 < null < 0.045
    assert null < 0.2 * sliced_w2(x[:400], rng.standard_normal((400, 2)))  # a tenth is expected


def test_sliced_w2_beyond_the_plane_needs_a_generator():
    x, y = np.random.default_rng(41).standard_normal((2, 9, 3))
    for rng in (None, 0):
        with pytest.raises(TypeError, match=r"rng must be a numpy.random.Generator"):
            sliced_w2(x, y, rng)


def test_a_square_that_overflows_is_refused():
    for far in (1e200, 1e308):
        with pytest.raises(ValueError, match="within the range of float64"):
            sliced_w2([[far, far]], [[-far, -far]])


@pytest.mark.parametrize(
    "function", [energy_distance, sliced_w2, lambda x, y: sliced_w2(x, y, np.random.default_rng(0))]
)
def test_what_is_not_two_finite_tables_of_one_width_is_refused(function):
    good = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"x and y must have the same d; got shapes \(3, 2\) and \(3, 1\)"):
        function(good, np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"y must have shape \(n, d\); got \(3,\)"):
        function(good, np.zeros(3))
    with pytest.raises(ValueError, match=r"x must be finite; got nan at \[0, 0\]"):
        function(np.full((1, 2), np.nan), good)
    with pytest.raises(TypeError, match="y must be real numbers"):
        function(good, good * 1j)


def test_directions_and_rng_are_checked():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="directions must be at least 1; got 0"):
        sliced_w2(x, x, np.random.default_rng(0), 0)
    with pytest.raises(TypeError, match=r"directions must be an integer; got 2\.0"):
        sliced_w2(x, x, directions=2.0)
    with pytest.raises(TypeError, match=r"rng must be a numpy.random.Generator"):
        sliced_w2(x, x, 0)


def test_importing_the_module_does_not_import_scipy():
    code = "import refdiff.distance, sys; sys.exit(any(name.startswith('scipy') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
