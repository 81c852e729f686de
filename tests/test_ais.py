"""Annealed importance sampling gives p(x_0) where its weights have a second moment, and misleads elsewhere."""

import tracemalloc

import numpy as np
import pytest
from scipy.special import ndtr

from refdiff import elbo, forward, likelihood
from refdiff.gaussian import Gaussian
from refdiff.likelihood import Ais, ais
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
DATA = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])
STEPPED = np.linspace(0.2, 0.8, 5)  # a slope for each t, entry 0 unused


def rng(seed=0):
    return np.random.default_rng(seed)


def linear(schedule, slope, intercept):
    return likelihood.linear_denoiser(schedule, slope, intercept)


def bent(x_t, t):
    return 0.5 * x_t + 0.6 * np.tanh(1.5 * x_t) - 0.2


def std_of_log_weights(schedule, denoiser, x_0, n_chains=100, **choice):
    """Return the standard deviation of log w from chain to chain, the root of its mean square over x_0."""
    log_w = ais(schedule, denoiser, x_0, rng(1), n_chains, **choice).log_weights
    return np.sqrt(np.mean(log_w.var(axis=0, ddof=1)))


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("decoder_var", ["beta_1", "beta_tilde_2", 0.2])
@pytest.mark.parametrize(("slope", "intercept"), [(0.7, 0.0), (0.6, -0.2), (STEPPED, 0.1)], ids=str)
def test_a_linear_model_has_its_exact_density_within_the_exact_standard_error(slope, intercept, variance, decoder_var):
    x_0, n_chains, choice = np.array([[0.3, -0.6], [-1.2, 0.4]]), 20_000, (variance, decoder_var)
    log_p = likelihood.linear_log_density(SCHEDULE, slope, intercept, x_0, *choice)
    log_square = likelihood.linear_log_second_moment(SCHEDULE, slope, intercept, x_0, *choice)
    square = np.exp(log_square - 2 * log_p)
    assert (square < 40).all()
    found = ais(
        SCHEDULE, linear(SCHEDULE, slope, intercept), x_0, rng(), n_chains, variance=variance, decoder_var=decoder_var
    )
    assert (np.abs(np.exp(found.log_density - log_p) - 1) < 5 * np.sqrt((square - 1) / n_chains)).all()


def test_equal_weights_of_the_exact_reverse_process_need_one_chain():
    schedule, x_0 = Schedule.vp(50), rng().standard_normal((3, 2))
    found = ais(schedule, linear(schedule, schedule.noise_rate, 0.0), x_0, rng(), 1)
    np.testing.assert_allclose(found.log_density, Gaussian(np.zeros_like(x_0), 1.0).log_density(x_0), atol=1e-11)


def test_without_a_second_moment_ess_and_standard_error_look_well_and_the_estimate_is_too_low():
    narrow, repeats, n_chains = Schedule.from_betas([0.1]), 1_000, 1_000
    x_0, far_off, below, ess = np.zeros((repeats, 1)), {}, {}, {}
    for decoder_var in (0.1, 1.0):
        log_p = likelihood.linear_log_density(narrow, 0.0, 0.0, x_0[:1], decoder_var=decoder_var)
        found = ais(narrow, linear(narrow, 0.0, 0.0), x_0, rng(), n_chains, decoder_var=decoder_var)
        far_off[decoder_var] = np.mean(np.abs(found.log_density - log_p) > 3 * found.std_error)
        below[decoder_var], ess[decoder_var] = np.mean(found.log_density < log_p), np.median(found.ess)
    finite = [likelihood.linear_log_second_moment(narrow, 0.0, 0.0, x_0[:1], decoder_var=v) < np.inf for v in far_off]
    assert finite == [True, False]
    assert min(ess.values()) > 100
    # of 1,000 repetitions: five standard errors are at most .08
    assert abs(below[0.1] - 0.5) < 0.08
    assert below[1.0] > 0.65
    assert far_off[0.1] < 0.02  # a normal error has .003
    assert far_off[1.0] > 0.1


def test_the_stated_standard_error_is_the_spread_of_repeated_estimates():
    x_0 = np.tile([[0.3, -0.6]], (1_000, 1))
    found = ais(SCHEDULE, linear(SCHEDULE, 0.7, 0.0), x_0, rng(), 200)
    stated = np.sqrt(np.mean(found.std_error**2))
    # five standard errors of a standard deviation are 5 / sqrt(2,000); the stated one is right to first order
    assert found.log_density.std() == pytest.approx(stated, rel=0.13)


def on_a_grid(schedule, denoiser, x_0, variance):
    """Return p(x_0) and E[w^2] of a model in one dimension by trapezoid sums over x_T, ..., x_1 in turn."""
    x, width = np.linspace(-12, 12, 1201)[:, None], 0.02
    sigma_2 = {"beta": schedule.beta, "posterior": schedule.beta_tilde}[variance].copy()
    sigma_2[1] = schedule.beta[1]  # of the decoder

    def normal(at, mean, var):
        return np.exp(-((at - mean) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)

    p = normal(x[:, 0], 0.0, 1.0)
    square = p**2
    for t in range(schedule.T, 0, -1):
        alpha, beta, noise_rate = schedule.alpha[t], schedule.beta[t], schedule.noise_rate[t]
        mean = (x - beta / noise_rate * denoiser(x, t)) / np.sqrt(alpha)
        to = x[:, 0] if t > 1 else np.array([x_0])
        back = normal(to, mean, sigma_2[t])
        p, square = width * p @ back, width * square @ (back**2 / normal(x, np.sqrt(alpha) * to, beta).clip(1e-300))
    return p[0], square[0]


COARSE = Schedule.from_betas([0.2, 0.4, 0.5])


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("x_0", [-2.0, 0.6, 1.5])
def test_a_model_that_is_not_linear_has_the_density_of_nested_integrals(x_0, variance):
    n_chains, (p, square) = 40_000, on_a_grid(COARSE, bent, x_0, variance)
    found = ais(COARSE, bent, [[x_0]], rng(), n_chains, variance=variance)
    std_error = np.sqrt((square / p**2 - 1) / n_chains)
    assert std_error < 0.02
    assert abs(np.exp(found.log_density[0]) / p - 1) < 5 * std_error


@pytest.mark.parametrize("x_0", [-2.0, 0.6, 1.5])
def test_mixture_data_with_their_ideal_denoiser_have_the_density_of_nested_integrals(x_0):
    n_chains, ideal = 40_000, DATA.denoiser(COARSE)
    p, square = on_a_grid(COARSE, ideal, x_0, "posterior")
    found = ais(COARSE, ideal, [[x_0]], rng(), n_chains, variance="posterior")
    std_error = np.sqrt((square / p**2 - 1) / n_chains)
    assert std_error < 0.02
    assert abs(np.exp(found.log_density[0]) / p - 1) < 5 * std_error


@pytest.mark.parametrize("variance", ["beta", "posterior"])
def test_the_grid_knows_linear_models(variance):
    p, square = on_a_grid(COARSE, linear(COARSE, 0.7, -0.2), 0.6, variance)
    log_p = likelihood.linear_log_density(COARSE, 0.7, -0.2, [[0.6]], variance)[0]
    log_square = likelihood.linear_log_second_moment(COARSE, 0.7, -0.2, [[0.6]], variance)[0]
    assert np.log(p) == pytest.approx(log_p, abs=1e-10)
    assert np.log(square) == pytest.approx(log_square, abs=1e-10)


def test_few_steps_of_variance_beta_are_too_wide_for_narrow_data_though_the_denoiser_is_ideal():
    for schedule, finite in ((COARSE, False), (Schedule.vp(10), False), (Schedule.vp(100), True)):
        slope = schedule.noise_rate / (schedule.alpha_bar * 0.09 + schedule.one_minus_alpha_bar)  # for N(0, .09) data
        moments = [
            likelihood.linear_log_second_moment(schedule, slope, 0.0, [[0.3]], v)[0] for v in ("beta", "posterior")
        ]
        assert np.isfinite(moments).tolist() == [finite, True]


def test_the_bounds_tighten_with_each_doubling_and_stay_above_the_surprise():
    x_0, n_chains = np.array([[0.3, -0.6], [-1.2, 0.4]]), 2**14
    found = ais(SCHEDULE, linear(SCHEDULE, 0.5, 0.3), x_0, rng(), n_chains)
    surprise = -likelihood.linear_log_density(SCHEDULE, 0.5, 0.3, x_0)
    bounds = np.array([found.bound(2**j) for j in range(15)])
    assert (np.diff(bounds, axis=0) < 0).all()
    np.testing.assert_allclose(bounds[-1], -found.log_density, atol=1e-12)
    assert (bounds > surprise - 5 * found.std_error).all()
    assert (bounds[:4] > surprise + 0.01).all()
    exact = likelihood.linear_bound(SCHEDULE, 0.5, 0.3, x_0).total
    assert (np.abs(bounds[0] - exact) < 5 * found.log_weights.std(axis=0) / np.sqrt(n_chains)).all()


def test_the_mean_work_is_the_bound_and_exceeds_the_surprise_by_the_gap():
    x_0, n_chains = np.array([[0.3, -0.6]]), 40_000
    found = ais(SCHEDULE, linear(SCHEDULE, 0.5, 0.3), x_0, rng(), n_chains)
    dissipated = -found.log_weights.mean() + likelihood.linear_log_density(SCHEDULE, 0.5, 0.3, x_0)[0]
    gap = likelihood.linear_gap(SCHEDULE, 0.5, 0.3, x_0)[0]
    assert abs(dissipated - gap) < 5 * found.log_weights.std() / np.sqrt(n_chains)
    assert gap > 0.1


def test_one_chain_is_enough_in_the_quasi_static_limit():
    x_0 = DATA.sample(40, rng())
    stds = [std_of_log_weights(s, DATA.denoiser(s), x_0) for s in map(Schedule.vp, (10, 30, 100, 300))]
    falls = np.divide(stds[1:], stds[:-1])
    assert (falls < [0.8, 0.7, 0.7]).all()  # as 1 / sqrt(T): by .58, .55 and .58
    assert stds[-1] < 0.2
    schedule = Schedule.vp(300)
    log_p = ais(schedule, DATA.denoiser(schedule), x_0, rng(), 1).log_density
    assert np.mean(np.abs(log_p - DATA.log_density(x_0))) < 0.2


def test_small_steps_are_not_enough_where_the_prior_is_not_where_they_end():
    x_0, spread = np.linspace(-2.5, 2.0, 20)[:, None], {}
    for T in (10, 40, 160):
        schedule = Schedule.constant(T, 1 - 0.96 ** (1 / T))  # all end at alpha_bar_T = .96
        x_T = forward.marginal(schedule, np.tile(x_0, (1_000, 1)), T).sample(rng(2))
        prior = Gaussian(np.zeros_like(x_T), 1.0).log_density(x_T) - DATA.diffused(schedule, T).log_density(x_T)
        left_over = np.sqrt(np.mean(prior.reshape(1_000, 20).var(axis=0)))
        spread[T] = std_of_log_weights(schedule, DATA.denoiser(schedule), x_0, n_chains=400)
        assert spread[T] == pytest.approx(left_over, rel=0.1)
        assert spread[T] > 0.5


def test_small_steps_are_not_enough_for_another_denoiser():
    x_0 = DATA.sample(20, rng())
    for T in (30, 300):
        schedule = Schedule.vp(T)
        ideal = DATA.denoiser(schedule)
        assert std_of_log_weights(schedule, lambda x_t, t, f=ideal: f(x_t, t) + 0.3, x_0) > 0.7


def test_small_steps_are_not_enough_with_the_variance_of_the_posterior():
    x_0 = DATA.sample(20, rng())
    for T in (30, 300):
        schedule = Schedule.vp(T)
        assert std_of_log_weights(schedule, DATA.denoiser(schedule), x_0, variance="posterior") > 1


def test_without_noise_one_chain_is_enough_for_a_model_that_does_nothing():
    x_0, std = DATA.sample(40, rng()), {}
    for beta in (1e-2, 1e-4):
        schedule = Schedule.constant(4, beta)
        std[beta] = std_of_log_weights(schedule, DATA.denoiser(schedule), x_0)
    assert std[1e-4] < 0.2 * std[1e-2]
    # x_T is x_0 still, and p(x_0) that of the prior, whatever the data
    log_p = ais(schedule, DATA.denoiser(schedule), x_0, rng(), 100).log_density
    assert np.mean(np.abs(log_p - Gaussian(np.zeros_like(x_0), 1.0).log_density(x_0))) < 0.05
    assert np.mean(np.abs(log_p - DATA.log_density(x_0))) > 0.5


def test_the_probabilities_of_all_bins_sum_to_1():
    schedule, slope, intercept, bins, n_chains = Schedule.from_betas([0.6, 0.3, 0.5]), 0.7, 0.2, 9, 40_000
    x_0 = np.linspace(-1, 1, bins)[:, None]
    found = ais(schedule, linear(schedule, slope, intercept), x_0, rng(), n_chains, decoder="discretized", bins=bins)
    p = likelihood.linear_marginal(schedule, slope, intercept, d=1)  # its samples, rounded and clipped, are the data
    edges = np.concatenate([[-np.inf], (x_0[1:, 0] + x_0[:-1, 0]) / 2, [np.inf]])
    exact, estimate = np.diff(ndtr((edges - p.mean) / np.sqrt(p.var))), np.exp(found.log_density)
    std_error = estimate * found.std_error
    assert (np.abs(estimate - exact) < 5 * std_error).all()
    assert abs(estimate.sum() - 1) < 5 * np.sqrt(np.sum(std_error**2))
    assert np.sum(std_error**2) < 1e-4


def test_a_chain_of_one_step():
    schedule, n_chains = Schedule.constant(1, 0.4), 20_000
    found = ais(schedule, linear(schedule, 0.5, 0.1), [[0.5, 1.0]], rng(), n_chains)
    log_p = likelihood.linear_log_density(schedule, 0.5, 0.1, [[0.5, 1.0]])
    log_square = likelihood.linear_log_second_moment(schedule, 0.5, 0.1, [[0.5, 1.0]])
    std_error = np.sqrt(np.expm1(log_square - 2 * log_p) / n_chains)
    assert abs(np.exp(found.log_density - log_p) - 1) < 5 * std_error
    assert (schedule.T, found.log_weights.shape) == (1, (n_chains, 1))


def test_the_weights_are_the_undecomposed_bound_chain_by_chain():
    x_0, n_chains = DATA.sample(3, rng()), 4
    found = ais(SCHEDULE, bent, x_0, rng(), n_chains)
    work = elbo.undecomposed(SCHEDULE, bent, np.tile(x_0, (n_chains, 1)), rng())
    np.testing.assert_array_equal(found.log_weights, -work.total.reshape(n_chains, 3))


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    x_0 = DATA.sample(3, rng())
    one, same, other = (ais(SCHEDULE, bent, x_0, rng(seed), 5).log_weights for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.isin(one, other).any()
    assert len(np.unique(one)) == 15


def test_the_steps_are_reported_as_they_are_taken():
    seen, x_0 = {}, DATA.sample(3, rng())
    found = ais(SCHEDULE, bent, x_0, rng(), 5, progress=lambda t, log_ratio: seen.setdefault(t, log_ratio.copy()))
    assert list(seen) == [1, 2, 3, 4]
    assert all(log_ratio.shape == (15,) for log_ratio in seen.values())
    np.testing.assert_array_equal(found.log_weights, ais(SCHEDULE, bent, x_0, rng(), 5).log_weights)


def test_memory_does_not_grow_with_the_number_of_steps():
    peak, x_0 = {}, np.zeros((20, 2))
    for T in (5, 100):
        schedule = Schedule.vp(T)
        tracemalloc.start()
        ais(schedule, linear(schedule, 0.5, 0.0), x_0, rng(), 500)
        peak[T] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[100] < 1.2 * peak[5]
    assert peak[100] < 20 * 500 * x_0.size * 8  # twenty arrays of all points


def test_what_is_printed_is_short_and_says_how_many():
    found = ais(SCHEDULE, bent, DATA.sample(3, rng()), rng(), 5)
    assert repr(found).startswith("Ais(n_chains=5, n=3, ")
    assert len(repr(found)) < 120


@pytest.mark.parametrize("n_chains", [0, -1, 2.0, True, None, "4"], ids=str)
def test_a_number_of_chains_that_is_none_is_refused(n_chains):
    with pytest.raises((TypeError, ValueError), match="n_chains must be"):
        ais(SCHEDULE, bent, [[0.0]], rng(), n_chains)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x_0": np.zeros(3)}, "x_0 must have shape"),
        ({"x_0": [[np.nan]]}, "x_0 must be finite"),
        ({"rng": 0}, "rng must be a numpy.random.Generator"),
        ({"denoiser": None}, "denoiser must be a callable"),
        ({"denoiser": lambda x_t, t: x_t[:1]}, "must have the shape of x_t"),
        ({"variance": "learned"}, "variance must be"),
        ({"decoder": "laplace"}, "decoder must be"),
        ({"decoder_var": 0.0}, "decoder_var must be"),
        ({"x_0": [[0.3]], "decoder": "discretized", "bins": 4}, "must lie on the 4 values"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_other_bad_input_is_refused_with_its_name(change, match):
    with pytest.raises((TypeError, ValueError), match=match):
        ais(**{"schedule": SCHEDULE, "denoiser": bent, "x_0": np.zeros((2, 1)), "rng": rng(), "n_chains": 3, **change})


@pytest.mark.parametrize(
    "function",
    [
        likelihood.log_mean_weight,
        likelihood.effective_sample_size,
        lambda log_weights: likelihood.importance_weighted_bound(log_weights, 1),
    ],
    ids=["log_mean_weight", "effective_sample_size", "importance_weighted_bound"],
)
@pytest.mark.parametrize(
    "log_weights",
    [0.0, [], np.zeros((0, 3)), [0.0, np.nan], [0.0, np.inf], [[0.0], [np.nan]], ["a"], [None], [1j]],
    ids=repr,
)
def test_log_weights_that_are_no_numbers_are_refused(function, log_weights):
    with pytest.raises((TypeError, ValueError), match="log_weights must"):
        function(log_weights)


@pytest.mark.parametrize("k", [0, -1, 3, 5, 8, 2.0, True, None], ids=str)
def test_groups_that_do_not_come_out_even_are_refused(k):
    with pytest.raises((TypeError, ValueError), match=r"k must"):
        likelihood.importance_weighted_bound(np.zeros(4), k)
    with pytest.raises((TypeError, ValueError), match=r"k must"):
        Ais(np.zeros((4, 2))).bound(k)


def test_weights_that_are_all_0_have_no_effective_sample_size_but_a_density():
    nothing = np.full((4, 2), -np.inf)
    with pytest.raises(ValueError, match="needs a weight > 0"):
        likelihood.effective_sample_size(nothing)
    assert (likelihood.log_mean_weight(nothing) == -np.inf).all()
    assert (likelihood.importance_weighted_bound(nothing, 2) == np.inf).all()


def test_weights_of_0_among_others_count_as_weights():
    log_w = np.array([0.0, -np.inf, 0.0, -np.inf])
    assert likelihood.log_mean_weight(log_w) == pytest.approx(-np.log(2), abs=1e-15)
    assert likelihood.effective_sample_size(log_w) == 2
    assert likelihood.importance_weighted_bound(log_w, 1) == np.inf
    assert likelihood.importance_weighted_bound(log_w, 2) == pytest.approx(np.log(2), abs=1e-15)
