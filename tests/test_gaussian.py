"""Gaussians: many points at a time, and the ends of what is allowed."""

import numpy as np
import pytest

from refdiff.gaussian import FullGaussian, Gaussian, cross_entropy, kl, kl_equal_var, linear_combination, product

MEAN_Q, MEAN_P = np.array([[[0.5, -1.0], [2.0, 0.3]]]), np.array([[[1.0, 0.7], [-0.4, 0.2]]])  # (1, 2, 2)
VAR_Q, VAR_P = np.array([[[0.5, 2.0], [1.5, 0.3]]]), np.array([[[1.2, 0.4], [0.8, 0.9]]])


@pytest.mark.parametrize(
    "measure", [kl, cross_entropy, lambda q, p: product(q, p)[1]], ids=["kl", "cross_entropy", "log of the normaliser"]
)
def test_of_many_pairs_of_gaussians_each_is_measured_alone(measure):
    together = measure(Gaussian(MEAN_Q, VAR_Q), Gaussian(MEAN_P, VAR_P))
    alone = [measure(Gaussian(MEAN_Q[0, k], VAR_Q[0, k]), Gaussian(MEAN_P[0, k], VAR_P[0, k])) for k in range(2)]
    np.testing.assert_allclose(together, [alone], rtol=1e-14)


def test_of_many_pairs_with_equal_variances_each_is_measured_alone():
    together = kl_equal_var(Gaussian(MEAN_Q, VAR_P), Gaussian(MEAN_P, VAR_P))
    np.testing.assert_allclose(together, kl(Gaussian(MEAN_Q, VAR_P), Gaussian(MEAN_P, VAR_P)), rtol=1e-14)


def test_a_full_density_of_points_of_any_leading_shape_has_that_shape():
    joint, x = FullGaussian([1.0, 2.0], [[4.0, 1.0], [1.0, 9.0]]), np.arange(12.0).reshape(2, 3, 2)
    each = [[joint.log_density(x[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(joint.log_density(x), each, rtol=1e-14)


@pytest.mark.parametrize(("cov", "var"), [(1.0, 2.25), (-1.0, 6.25)])
def test_two_that_are_one_but_for_scale_have_a_covariance_of_the_product_of_their_standard_deviations(cov, var):
    p, q = Gaussian([1.0], 4.0), Gaussian([1.0], 0.25)
    assert linear_combination(1.0, p, -1.0, q, cov=cov).var == var
    for beyond in (1.001 * cov, np.nan):
        with pytest.raises(ValueError, match="cov must satisfy"):
            linear_combination(1.0, p, -1.0, q, cov=beyond)


def test_the_difference_of_a_variable_and_itself_is_a_point_mass():
    p = Gaussian([1.0, 2.0], [4.0, 0.1])
    zero = linear_combination(1.0, p, -1.0, p, cov=p.var)
    np.testing.assert_array_equal(zero.mean, 0)
    np.testing.assert_array_equal(zero.var, 0)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_a_covariance_is_symmetric_to_rounding_and_no_less(scale):
    for off, symmetric in ((1e-14, True), (1e-9, False)):
        cov = scale * np.array([[1.0, 0.5], [0.5 * (1 + off), 1.0]])
        if symmetric:
            assert FullGaussian([0.0, 0.0], cov).entropy() == pytest.approx(
                FullGaussian([0.0, 0.0], (cov + cov.T) / 2).entropy(), rel=1e-12
            )
        else:
            with pytest.raises(ValueError, match="cov must be symmetric"):
                FullGaussian([0.0, 0.0], cov)


def test_to_condition_on_nothing_is_refused():
    with pytest.raises(ValueError, match="known must be some"):
        FullGaussian([0.0, 0.0], np.eye(2)).condition(np.array([], dtype=int), np.empty(0))
