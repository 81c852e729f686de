"""Equations of the texts that no identity states as they stand: each on its own, by another route.

`refdiff.verify.texts.EQUATIONS` says which of these tests holds which of them.
"""

import math

import numpy as np
import pytest

from refdiff import Schedule, bayes, elbo, forward, gaussian, likelihood, parameterize, plot, verify
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.verify.oracles import dense_joint, gauss_hermite, gradient, log_normal, path_weights

BETA = (0.3, 0.1, 0.5, 0.2, 0.4)
SCHEDULE = Schedule.from_betas(BETA)
STEPS = range(1, len(BETA) + 1)


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------------------------------------------- Gaussian facts


def test_the_log_ratio_of_two_gaussians_of_one_variance_in_y_and_z():
    mean, model, var, x = np.array([0.3, -1.0]), np.array([1.1, 0.4]), 0.7, rng().standard_normal((50, 2))
    y, z = x - mean, model - mean
    ratio = Gaussian(mean, var).log_density(x) - Gaussian(model, var).log_density(x)
    np.testing.assert_allclose(ratio, np.sum(-y * z / var + z**2 / (2 * var), axis=-1), rtol=0, atol=1e-13)
    mean_yz = gauss_hermite(lambda x: np.sum((x - mean) * z), mean, var)
    assert abs(mean_yz) < 1e-14  # so that the mean of the ratio is the second term alone
    assert gaussian.kl_equal_var(Gaussian(mean, var), Gaussian(model, var)) == pytest.approx(np.sum(z**2) / (2 * var))


def test_a_cross_entropy_in_bits_is_the_length_of_huffman_s_code():
    p, lengths = np.array([0.5, 0.25, 0.25]), np.array([1, 2, 2])
    assert gaussian.bits(-np.sum(p * np.log(p))) == pytest.approx(p @ lengths, rel=1e-15)
    q = np.array([0.25, 0.25, 0.5])  # symbols of which the code believes something else
    assert gaussian.bits(-np.sum(q * np.log(p))) == pytest.approx(q @ lengths, rel=1e-15)


def test_the_joint_density_of_a_chain_is_the_product_of_its_steps():
    x_0, var_0 = 1.5, 0.6
    mean, cov = dense_joint(BETA, [x_0], var_0)
    joint = FullGaussian(mean[:, 0], cov)  # of x_0, ..., x_T
    path = joint.sample(20, rng())
    steps = [forward.transition(SCHEDULE, path[:, t - 1, None], t).log_density(path[:, t, None]) for t in STEPS]
    of_data = Gaussian([x_0], var_0).log_density(path[:, :1])
    np.testing.assert_allclose(joint.log_density(path), of_data + np.sum(steps, axis=0), rtol=1e-12)
    chain_mean, chain_cov = dense_joint(BETA, [x_0])
    given_x_0 = FullGaussian(chain_mean[1:, 0], chain_cov[1:, 1:])
    path[:, 0] = x_0
    steps[0] = forward.transition(SCHEDULE, path[:, :1], 1).log_density(path[:, 1, None])
    np.testing.assert_allclose(given_x_0.log_density(path[:, 1:]), np.sum(steps, axis=0), rtol=1e-12)


# ------------------------------------------------------------------------------------------------------ the schedule


def test_alpha_is_what_beta_leaves():
    np.testing.assert_array_equal(SCHEDULE.alpha, 1 - np.array([0.0, *BETA]))
    np.testing.assert_array_equal(SCHEDULE.beta, [0.0, *BETA])


def test_beta_tilde_is_below_beta():
    for schedule in (SCHEDULE, Schedule.linear()):
        ratio = schedule.beta_tilde[1:] / schedule.beta[1:]
        assert ratio[0] == 0
        assert ((ratio[1:] > 0) & (ratio[1:] < 1)).all()
    np.testing.assert_allclose(ratio[[1, 9, 99]], [0.45474, 0.85285, 0.98191], atol=5e-6)


def test_what_is_left_of_the_data_at_the_last_step():
    assert Schedule.linear().alpha_bar[-1] == pytest.approx(4.035830e-05, rel=1e-6)
    gap = elbo.prior_term(Schedule.linear(), [[1.0], [10.0]])
    np.testing.assert_allclose(gap, [2.018e-5, 2.018e-3], rtol=5e-4)
    assert elbo.prior_term(Schedule.constant(1000, 0.02), [1.0]) == pytest.approx(8.415e-10, rel=5e-4)


# ----------------------------------------------------------------------------------------------- the forward process


@pytest.mark.parametrize("t", STEPS[1:])
def test_two_independent_noises_merge_into_one(t):
    alpha, before, beta, beta_before = *SCHEDULE.alpha[[t, t - 1]], *SCHEDULE.beta[[t, t - 1]]
    noise = Gaussian([0.0], 1.0)
    merged = gaussian.linear_combination(np.sqrt(alpha * beta_before), noise, np.sqrt(beta), noise)
    jump = forward.jump(SCHEDULE, [0.0], t - 2, t)
    assert merged.var[0] == pytest.approx(1 - alpha * before, rel=1e-14)
    assert merged.var[0] == pytest.approx(jump.var[0], rel=1e-14)


@pytest.mark.parametrize("t", STEPS)
def test_the_merged_noise_is_correlated_with_the_noise_of_its_last_step(t):
    start, weights = path_weights(BETA)
    x_0 = 2.5
    x_t = start[t] * x_0 + weights[t]  # as far as the noise of each step, set to 1 alone, brings it
    share = parameterize.eps_from_x_0(SCHEDULE, x_t[:, None], np.full((len(BETA), 1), x_0), t)[:, 0]
    assert share @ share == pytest.approx(1, rel=1e-14)  # the merged noise is standard normal
    assert share[t - 1] == pytest.approx(math.sqrt(BETA[t - 1] / SCHEDULE.one_minus_alpha_bar[t]), rel=1e-14)
    assert (share[t - 1] < 1) == (t > 1)


def test_twelve_chains_from_four_corners_end_around_the_origin():
    schedule = Schedule.linear()
    plane, signal, noise = plot.forward_figure(schedule, rng()).axes
    paths = np.array([line.get_xydata() for line in plane.lines if len(line.get_xydata()) == schedule.T + 1])
    assert len(paths) == 12
    corners, repeats = np.unique(paths[:, 0], axis=0, return_counts=True)
    assert {tuple(corner) for corner in corners} == {(10, 10), (-10, 10), (-10, -10), (10, -10)}
    assert (repeats == 3).all()
    left = forward.marginal(schedule, corners, schedule.T).mean
    np.testing.assert_allclose(left, corners / 10 * 0.0635, atol=5e-5)
    rates = signal.lines[0].get_ydata() ** 2 + noise.lines[0].get_ydata() ** 2
    np.testing.assert_allclose(rates, 1, rtol=1e-14)
    assert np.abs(paths[:, -1]).max() < 6  # 24 normals: beyond that once in twenty million figures


def test_interpolation_with_noise_does_not_preserve_the_variance():
    interpolate = verify.ERRATA["faddnoise-not-variance-preserving"].wrong
    x = np.array([[0.0], [1.0]])

    def var(step, schedule, var_before):
        law = step(schedule, x, 1)
        return (law.mean[1, 0] - law.mean[0, 0]) ** 2 * var_before + law.var[0, 0]

    for strength in (0.02, 0.5, 0.9):
        schedule = Schedule.constant(1, strength)
        assert var(interpolate, schedule, 1.0) == pytest.approx((1 - strength) ** 2 + strength**2)
        assert var(forward.transition, schedule, 1.0) == pytest.approx(1.0)
        stays = strength / (2 - strength)
        assert var(interpolate, schedule, stays) == pytest.approx(stays)
    walk = verify.ERRATA["only-a-square-root-apart"].wrong
    x_T = walk(Schedule.constant(1000, 0.02), np.zeros((4_000, 1)), rng())[-1]
    of_mean_square = (0.02 / 1.98) * math.sqrt(2 / 4_000)
    assert abs(np.mean(x_T**2) - 0.02 / 1.98) < 5 * of_mean_square


def test_noise_on_the_input_of_a_linear_model_is_a_penalty_on_its_slope():
    x, y, w, s = 1.3, 0.4, 0.7, 0.5
    answer = Gaussian([w * x], (w * s) ** 2)  # of the model, whose input has noise of standard deviation s
    squared_error = 2 * gaussian.cross_entropy(answer, Gaussian([y], 1.0)) - math.log(2 * math.pi)
    assert squared_error == pytest.approx((y - w * x) ** 2 + s**2 * w**2, rel=1e-14)
    # the best slope for y = 3 x, x standard normal, is that of a regression on the noisy input
    noisy = gaussian.linear_combination(1.0, Gaussian([0.0], 1.0), s, Gaussian([0.0], 1.0))
    assert 3 * 1.0 / noisy.var[0] == pytest.approx(2.4)
    slopes = np.linspace(2.0, 3.0, 1001)
    losses = [gauss_hermite(lambda x, w=w: (3 * x - w * x) ** 2, 0.0, 1.0) + s**2 * w**2 for w in slopes]
    assert slopes[np.argmin(losses)] == pytest.approx(2.4, abs=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.6])
def test_with_one_step_the_bound_is_that_of_a_variational_autoencoder(slope):
    schedule, x_0, intercept = Schedule.constant(1, 0.4), np.array([[1.2, -0.7]]), 0.3
    encoder = forward.transition(schedule, x_0[0], 1)  # q(z | x): linear and Gaussian, of the dimension of the data
    alpha, beta = 0.6, 0.4

    def log_decoder(z):  # p(x | z) with the mean of the reverse step and the variance beta_1
        mean = (z - beta / math.sqrt(1 - alpha) * (slope * z + intercept)) / math.sqrt(alpha)
        return log_normal(x_0[0], mean, beta)

    reconstruction = gauss_hermite(log_decoder, math.sqrt(alpha) * x_0[0], beta)
    regularisation = gaussian.kl(encoder, Gaussian([0.0, 0.0], 1.0))
    bound = likelihood.linear_bound(schedule, slope, intercept, x_0)
    assert -bound.total[0] == pytest.approx(reconstruction - regularisation, rel=1e-12)


# ----------------------------------------------------------------------------------------------------- the posterior


@pytest.mark.parametrize("t", STEPS)
def test_the_coefficients_of_both_forms_of_the_posterior_mean(t):
    alpha, beta, bar = SCHEDULE.alpha[t], SCHEDULE.beta[t], SCHEDULE.alpha_bar
    of_eps = math.sqrt(bar[t - 1]) * beta / math.sqrt(bar[t] * (1 - bar[t]))
    of_x_t = beta / (math.sqrt(alpha) * (1 - bar[t])) + math.sqrt(alpha) * (1 - bar[t - 1]) / (1 - bar[t])
    assert of_eps == pytest.approx(beta / math.sqrt(alpha * (1 - bar[t])), rel=1e-13)
    assert of_x_t == pytest.approx(1 / math.sqrt(alpha), rel=1e-13)
    x_t, eps, nothing = np.ones((1, 1)), np.ones((1, 1)), np.zeros((1, 1))
    assert parameterize.mean_from_eps(SCHEDULE, x_t, nothing, t)[0, 0] == pytest.approx(of_x_t, rel=1e-13)
    assert parameterize.mean_from_eps(SCHEDULE, nothing, eps, t)[0, 0] == pytest.approx(-of_eps, rel=1e-13)


@pytest.mark.parametrize("t", STEPS[1:])
def test_samples_of_the_posterior_take_the_chain_one_step_back(t):
    n, x_0 = 20_000, np.array([2.0])
    x_t = forward.marginal(SCHEDULE, np.tile(x_0, (n, 1)), t).sample(rng())
    q = bayes.posterior(SCHEDULE, np.tile(x_0, (n, 1)), x_t, t)
    z = rng(1).standard_normal((n, 1))
    x_prev = q.sample(rng(1))
    np.testing.assert_allclose(x_prev, q.mean + math.sqrt(SCHEDULE.beta_tilde[t]) * z, rtol=1e-12)
    signal, var = math.sqrt(SCHEDULE.alpha_bar[t - 1]), SCHEDULE.one_minus_alpha_bar[t - 1]
    residual = x_prev - signal * x_0
    assert abs(residual.mean()) < 5 * math.sqrt(var / n)
    assert abs(np.mean(residual**2) - var) < 5 * var * math.sqrt(2 / n)
    product = np.mean(residual * (x_t - math.sqrt(SCHEDULE.alpha_bar[t]) * x_0))  # and beside x_t as in the chain
    cov, var_t = forward.covariance(SCHEDULE, t - 1, t), SCHEDULE.one_minus_alpha_bar[t]
    assert abs(product - cov) < 5 * math.sqrt((var * var_t + cov**2) / n)


# ----------------------------------------------------------------------------------------------- the reverse process

FOUR = Schedule.from_betas([0.1, 0.2, 0.3, 0.4])


def ends(schedule, data_var, variance, last_noise=True):
    """Return the variance of the samples of the ideal denoiser of N(0, data_var)."""
    alpha_bar = schedule.alpha_bar
    slope = schedule.noise_rate / (alpha_bar * data_var + schedule.one_minus_alpha_bar)
    last = float(schedule.beta[1] if variance == "beta" else 1e-300)  # beta_tilde_1 is 0
    var = likelihood.linear_marginal(schedule, slope, 0.0, 1, variance=variance, decoder_var=last).var[0]
    return var - (0 if last_noise else last)


def test_where_a_sampler_of_normal_data_ends():
    many = Schedule.linear()
    assert ends(FOUR, 1.0, "beta") == pytest.approx(1, rel=1e-13)
    assert ends(many, 1.0, "beta") == pytest.approx(1, rel=1e-12)
    assert ends(FOUR, 1.0, "posterior") == pytest.approx(0.632, abs=5e-4)
    assert ends(many, 1.0, "posterior") == pytest.approx(0.991, abs=5e-4)
    assert ends(FOUR, 0.01, "beta") == pytest.approx(0.1019, abs=5e-5)
    assert ends(FOUR, 0.01, "posterior") == pytest.approx(0.0008, abs=5e-5)
    assert ends(many, 0.01, "beta") == pytest.approx(0.01025, abs=5e-6)
    assert ends(many, 0.01, "posterior") == pytest.approx(0.0093, abs=5e-5)


def test_without_the_last_noise_the_variance_falls_short():
    assert ends(FOUR, 1.0, "beta", last_noise=False) == pytest.approx(0.9, rel=1e-13)


# --------------------------------------------------------------------------------------------------------- the bound


def test_the_bound_is_above_the_cross_entropy_and_its_two_expectations_are_one():
    data, n = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25]), 40_000
    slope, intercept = 0.6, -0.2
    cross_entropy = data.expectation(lambda x: -likelihood.linear_log_density(FOUR, slope, intercept, x))
    nested = data.expectation(lambda x: likelihood.linear_bound(FOUR, slope, intercept, x).total)
    assert data.entropy() < cross_entropy < nested
    joint = elbo.undecomposed(FOUR, lambda x_t, t: slope * x_t + intercept, data.sample(n, rng()), rng(1)).total
    assert abs(joint.mean() - nested) < 5 * joint.std() / math.sqrt(n)
    assert nested - cross_entropy > 20 * joint.std() / math.sqrt(n)  # one inequality is strict, the other is none


def test_the_log_ratios_of_the_marginals_telescope():
    x_0, d = np.array([[1.5, -0.5]]), 2
    path = forward.walk(SCHEDULE, x_0, rng())
    log_q = [forward.marginal(SCHEDULE, x_0, t).log_density(path[t])[0] for t in STEPS]
    steps = [bayes.posterior(SCHEDULE, x_0, path[t], t).log_density(path[t - 1])[0] for t in STEPS[1:]]
    forth = [forward.transition(SCHEDULE, path[t - 1], t).log_density(path[t])[0] for t in STEPS[1:]]
    # by Bayes' rule each ratio q(x_{t-1} | x_0) / q(x_t | x_0) is that of the two conditionals
    assert np.sum(steps) - np.sum(forth) == pytest.approx(log_q[0] - log_q[-1], rel=1e-12)
    entropies = [forward.marginal(SCHEDULE, x_0[0], t).entropy() for t in (1, SCHEDULE.T)]
    left = SCHEDULE.one_minus_alpha_bar
    assert entropies[1] - entropies[0] == pytest.approx(d / 2 * math.log(left[-1] / left[1]), rel=1e-13)


# --------------------------------------------------------------------------------------------------------- the score


def test_a_score_needs_no_partition_function():
    data = GaussianMixture([0.3, 0.7], [[-2.0, 0.5], [1.0, -1.0]], [0.3, 0.5])

    def log_unnormalised(x):  # written out, and 100 nats off
        return 100 + np.logaddexp(
            math.log(0.3) - math.log(0.3) + log_kernel(x, data.means[0], 0.3),
            math.log(0.7) - math.log(0.5) + log_kernel(x, data.means[1], 0.5),
        )

    def log_kernel(x, mean, var):
        return -np.sum((x - mean) ** 2) / (2 * var)

    for x in np.array([[0.3, 0.2], [-1.5, 0.7], [2.0, -2.0]]):
        np.testing.assert_allclose(data.score(x), gradient(log_unnormalised, x), rtol=0, atol=1e-9)
        assert log_unnormalised(x) - data.log_density(x) == pytest.approx(100 + math.log(2 * math.pi), rel=1e-12)
