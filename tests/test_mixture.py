"""Mixtures: points of any leading shape, and the ends of what is allowed."""

import numpy as np
import pytest

from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
DATA = GaussianMixture([0.2, 0.5, 0.3], [[-1.0, 0.5], [0.5, -0.2], [2.0, 1.0]], [0.1, 0.3, 0.2])
X = np.random.default_rng(1).standard_normal((2, 3, 4, 2))


@pytest.mark.parametrize("law", [DATA.posterior_x_0, DATA.reverse_kernel])
@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_a_law_at_points_of_any_leading_shape_is_that_of_the_same_points_in_a_row(law, shape):
    x = X if shape else X[0, 0, 0]
    t = np.full(shape, 3)
    t.flat[0] = 2
    together, row = law(SCHEDULE, x, t if shape else 2), law(SCHEDULE, x.reshape(-1, 2), t.reshape(-1))
    y = x + 0.3
    np.testing.assert_array_equal(together.mean.reshape(-1, 2), row.mean)
    np.testing.assert_array_equal(together.var.reshape(-1, 2), row.var)
    np.testing.assert_array_equal(together.log_density(y).reshape(-1), row.log_density(y.reshape(-1, 2)))
    drawn = [one.sample(np.random.default_rng(5)) for one in (together, row)]
    np.testing.assert_array_equal(drawn[0].reshape(-1, 2), drawn[1])


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_density_score_and_denoiser_at_points_of_any_leading_shape_are_those_of_the_same_points_in_a_row(shape):
    x = X if shape else X[0, 0, 0]
    for function in (DATA.log_density, DATA.score, lambda x: DATA.denoiser(SCHEDULE)(x, 2)):
        np.testing.assert_array_equal(function(x).ravel(), function(x.reshape(-1, 2)).ravel())


def test_progress_is_told_each_step_of_the_ideal_loss():
    steps = []
    GaussianMixture([1.0], [[0.0]], 1.0).eps_loss(SCHEDULE, progress=steps.append)
    assert steps == [1, 2, 3, 4]


def test_a_component_that_is_lost_beside_another_counts_for_nothing_whatever_numpy_is_told():
    apart = GaussianMixture([0.5, 0.5], [[-50.0], [50.0]], 0.1)
    with np.errstate(all="raise"):
        np.testing.assert_allclose(apart.score([49.0]), [10.0], rtol=1e-13)
        assert apart.expectation(lambda x: x[:, 0] ** 2) == pytest.approx(2500.1, rel=1e-10)
        assert apart.log_density([50.0]) == np.log(0.5) + GaussianMixture([1.0], [[0.0]], 0.1).log_density([0.0])


def test_a_component_of_weight_0_counts_for_nothing_whatever_numpy_is_told():
    with np.errstate(all="raise"):
        padded = GaussianMixture([0.0, 1.0], [[3.0], [1.0]], [0.1, 0.5])
        alone = GaussianMixture([1.0], [[1.0]], [0.5])
        assert padded.log_density([0.3]) == alone.log_density([0.3])
        np.testing.assert_array_equal(padded.score([0.3]), alone.score([0.3]))


def test_weights_that_sum_to_1_but_for_rounding_are_put_right():
    w = np.array([0.2, 0.5, 0.3])
    given = GaussianMixture(w * (1 + 5e-10), DATA.means, 0.5)
    np.testing.assert_allclose(given.weights, w, rtol=1e-15)


def test_a_mixture_cannot_be_written_to():
    mixture = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], 1.0)
    for array in (mixture.weights, mixture.means, mixture.variances):
        assert not array.flags.writeable


def test_a_mean_of_what_oscillates_between_the_first_grid_s_points_is_right_all_the_same():
    normal = GaussianMixture([1.0], [[0.0]], 1.0)
    assert normal.expectation(lambda x: np.cos(24 * x[:, 0])) == pytest.approx(np.exp(-(24**2) / 2), abs=1e-10)


def test_a_mean_is_settled_when_its_digits_are_and_not_its_units():
    normal = GaussianMixture([1.0], [[0.0]], 1.0)
    k = np.linspace(0.1, 1.7, 9)
    np.testing.assert_allclose(normal.expectation(lambda x: 1e20 * np.exp(k * x)), 1e20 * np.exp(k**2 / 2), rtol=1e-10)


def test_a_needle_in_one_direction_costs_nothing_in_the_other():
    needle = GaussianMixture([1.0], [[0.0, 0.0]], [[1e-10, 1.0]])
    assert needle.expectation(lambda x: x[:, 1] ** 2) == pytest.approx(1, rel=1e-10)
