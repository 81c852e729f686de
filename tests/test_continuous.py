"""The continuous limit: orders and digits that are measured, ends, shapes, and what is refused.

What samples states its bound of five standard errors; all else is exact.
"""

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.stats import norm

from refdiff import continuous, elbo, likelihood
from refdiff.continuous import VE, VP, SubVP
from refdiff.gaussian import Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule
from refdiff.verify.cases import DESIGNED, Case, RandomSource
from refdiff.verify.catalogue.continuous.processes import blend, instants, processes, some_points
from refdiff.verify.catalogue.mixture import decimal_score

SDES = [VP(), VE(), SubVP(), VP(0.5, 0.5), VE(0.5, 2.0), SubVP(2.0, 7.0)]
IDS = [repr(sde) for sde in SDES]
DATA = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])
FLAT = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [0.5, -0.2]], [[0.1, 0.3], [0.3, 0.2]])
CASES = [*DESIGNED, *(Case.draw(RandomSource(np.random.default_rng([7, number]))) for number in range(20))]


def rng(seed=0):
    return np.random.default_rng(seed)


def order(errors):
    """Return the order of a method from its errors at steps that are halved each time: the slope of a regression."""
    return -np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0]


# ------------------------------------------------------------------------------------------------ the equations


@pytest.mark.parametrize("s", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("sde", [VP(), VP(1.0, 3.0)], ids=repr)
def test_the_chain_tends_to_the_equation_with_order_one(sde, s):
    steps = [2000 * 2**k for k in range(5)]
    chains = [sde.schedule(T) for T in steps]
    for of_chain, limit in (("signal_rate", sde.signal_rate(s)), ("one_minus_alpha_bar", sde.var(s))):
        errors = [abs(getattr(chain, of_chain)[round(s * chain.T)] - limit) for chain in chains]
        assert order(errors) == pytest.approx(1.0, abs=0.1)


def test_alpha_bar_of_the_chain_at_the_usual_numbers_of_steps():
    found = [VP().schedule(T).alpha_bar[-1] for T in (100, 1000, 10_000)]
    np.testing.assert_allclose(found, [1.832e-5, 3.996e-5, 4.285e-5], rtol=3e-4)
    assert VP().signal_rate(1.0) ** 2 == pytest.approx(math.exp(-10.05), rel=1e-14)


@pytest.mark.parametrize("T", [1, 7, 1000])
def test_the_vp_schedule_is_the_equation_looked_at_in_T_steps(T):
    schedule, sde, s = Schedule.vp(T, 0.3, 5.0), VP(0.3, 5.0), np.arange(1, T + 1) / T
    np.testing.assert_allclose(schedule.signal_rate[1:], sde.signal_rate(s), rtol=1e-13)
    np.testing.assert_allclose(schedule.one_minus_alpha_bar[1:], sde.var(s), rtol=1e-13)
    np.testing.assert_allclose(schedule.log_snr[1:], sde.log_snr(s), rtol=1e-12, atol=1e-12)
    steps = sde.transition(np.ones((T, 1)), np.arange(T) / T, s)
    np.testing.assert_allclose(steps.var[:, 0], schedule.beta[1:], rtol=1e-12)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_steps_compose(sde):
    x, (s, r, u) = np.array([[1.5], [-2.0]]), (0.2, 0.45, 0.9)
    first = sde.transition(x, s, r)
    second, whole = sde.transition(first.mean, r, u), sde.transition(x, s, u)
    factor = second.mean / first.mean
    np.testing.assert_allclose(second.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(factor**2 * first.var + second.var, whole.var, rtol=1e-12)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_log_snr_falls_at_the_rate_of_noise_over_variance(sde):
    s, h = np.linspace(0.1, 0.9, 9), 1e-4
    slope = (sde.log_snr(s + h) - sde.log_snr(s - h)) / (2 * h)
    np.testing.assert_allclose(slope, -(sde.diffusion(s) ** 2) / sde.var(s), rtol=1e-5)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_time_inverts_log_snr_from_clean_data_to_noise(sde):
    s = np.concatenate([np.geomspace(1e-12, 1e-2, 30), np.linspace(0.01, 1.0, 100)])
    np.testing.assert_allclose(sde.time(sde.log_snr(s)), s, rtol=1e-12)
    assert sde.time(np.inf) == 0
    assert sde.time(sde.log_snr(1.0)) <= 1
    with pytest.raises(ValueError, match="log_snr must be reached"):
        sde.time(sde.log_snr(1.0) - 1e-6)


@pytest.mark.parametrize("s", [1e-14, 1e-9, 1e-4, 0.5, 1.0])
def test_variances_keep_their_digits(s):
    with mpmath.workdps(50):
        at, low, high = (mpmath.mpf(one) for one in (s, 0.1, 20.0))
        lost = low * at + (high - low) * at**2 / 2
        var = -mpmath.expm1(-lost)
        sigma = mpmath.mpf(0.01) ** 2 * mpmath.expm1(2 * at * mpmath.log(mpmath.mpf(50) / mpmath.mpf(0.01)))
        for sde, truth in ((VP(), var), (SubVP(), var**2), (VE(), sigma)):
            assert abs(float(mpmath.mpf(float(sde.var(s))) / truth - 1)) < 1e-14
            near = sde.transition([0.0], 0.0, s).var[0]
            assert abs(float(mpmath.mpf(near) / truth - 1)) < 1e-14
        beta = low + (high - low) * at
        noise = mpmath.sqrt(beta * -mpmath.expm1(-2 * lost))
        assert abs(float(mpmath.mpf(float(SubVP().diffusion(s))) / noise - 1)) < 1e-14


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_two_faces_of_the_processes_that_judge_agree(case):
    """The equation and the law are written down apart from each other; what they say is the same."""
    s = np.linspace(0.05, 1.0, 6)
    for process in processes(case):
        factor, var = process.by_equation(0.0 * s, s)
        np.testing.assert_allclose(process.a(s), factor, rtol=1e-12)
        np.testing.assert_allclose(process.v(s), var, rtol=1e-12)
        u = s + 0.5 * (1 - s)
        later, between = process.by_equation(s, u)
        np.testing.assert_allclose(process.a(u) / process.a(s), later, rtol=1e-12)
        np.testing.assert_allclose(process.v(u) - later**2 * process.v(s), between, rtol=1e-9)
        np.testing.assert_allclose(process.time(process.log_snr(s)), s, rtol=1e-9)


@pytest.mark.parametrize("case", CASES[:6], ids=range(6))
def test_the_score_that_judges_is_the_gradient_in_fifty_digits(case):
    (x, s), law = some_points(case), blend(case)
    for process in processes(case):
        truth = [decimal_score(one, law.weights, *law.at(process, at)) for one, at in zip(x, s)]
        np.testing.assert_allclose(law.score(process)(x, s), truth, rtol=1e-10, atol=1e-11)


def test_the_inverse_of_the_last_log_snr_is_no_later_than_1():
    """Whatever the range: rounding must not carry it to where the equation is not defined."""
    draw = rng()
    for low, more in zip(draw.uniform(0.01, 3.0, 300), draw.uniform(0.01, 30.0, 300)):
        for sde in (VP(low, low + more), VE(low, low + more), SubVP(low, low + more)):
            assert sde.time(sde.log_snr(1.0)) <= 1


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_no_time_at_all_changes_nothing(sde):
    q = sde.transition([[1.0, -2.0]], 0.4, 0.4)
    np.testing.assert_array_equal(q.mean, [[1.0, -2.0]])
    np.testing.assert_array_equal(q.var, [[0.0, 0.0]])


def test_what_is_printed_is_short():
    assert [repr(sde) for sde in SDES[:3]] == [
        "VP(beta_min=0.1, beta_max=20)",
        "VE(sigma_min=0.01, sigma_max=50)",
        "SubVP(beta_min=0.1, beta_max=20)",
    ]


def test_data_are_the_law_at_s_0():
    for sde in SDES:
        law = continuous.diffused(sde, DATA, 0)
        np.testing.assert_array_equal(law.means, DATA.means)
        np.testing.assert_array_equal(law.variances, DATA.variances)
        assert sde.marginal([2.0], 0.0).var == 0
        assert sde.log_snr(0.0) == np.inf


# ------------------------------------------------------------------------------------------------ densities that move


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_both_sides_of_the_fokker_planck_equation_agree(sde):
    x, s = rng().normal(size=(40, 2)), rng(1).uniform(0.01, 1.0, 40)
    score, bend = continuous.ideal_score(sde, FLAT), continuous.ideal_score_divergence(sde, FLAT)
    left = continuous.log_density_rate(sde, FLAT, x, s)
    right = continuous.fokker_planck(sde, score, bend, x, s)
    np.testing.assert_allclose(right, left, rtol=1e-10, atol=1e-10 * np.abs(left).max())
    h = 1e-5
    density = [
        [continuous.diffused(sde, FLAT, at + e).log_density(one) for one, at in zip(x[:5], s[:5])] for e in (h, -h)
    ]
    np.testing.assert_allclose(np.subtract(*density) / (2 * h), left[:5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_mass_is_kept(sde):
    s, x = 0.4, np.linspace(-60, 60, 40_001)
    density = np.exp(continuous.diffused(sde, DATA, s).log_density(x[:, None]))
    change = density * continuous.log_density_rate(sde, DATA, x[:, None], s)
    if sde.noise_rate(s) < 5:  # the grid holds the whole law
        assert abs(np.sum(change) * (x[1] - x[0])) < 1e-9 * np.abs(change).max()


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_the_flow_is_the_mean_of_what_future_and_past_say(sde):
    x, s, score = rng().normal(size=(10, 2)), rng(1).uniform(0.05, 1.0, 10), continuous.ideal_score(sde, FLAT)
    both = (sde.drift(x, s) + continuous.reverse_drift(sde, score, x, s)) / 2
    np.testing.assert_allclose(continuous.probability_flow_drift(sde, score, x, s), both, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_the_variance_of_normal_data_runs_backwards_to_where_it_came_from(sde):
    """Reverse SDE and flow of N(m, v) are linear: their equations for mean and variance, from s = 1, end at m and v."""
    data = GaussianMixture([1.0], [[1.5]], 0.3)
    score, end = continuous.ideal_score(sde, data), continuous.diffused(sde, data, 1.0)
    for drift, noise in ((continuous.probability_flow_drift, 0), (continuous.reverse_drift, 1)):

        def rates(s, state, drift=drift, noise=noise):
            b, a_plus_b = drift(sde, score, np.array([[0.0], [1.0]]), s)[:, 0]
            a = a_plus_b - b
            # with ds < 0 noise adds variance: d var / ds = 2 a var - g^2
            return [a * state[0] + b, 2 * a * state[1] - noise * sde.diffusion(s) ** 2]

        state = [end.mean[0], end.var[0]]
        found = solve_ivp(rates, (1.0, 0.0), state, method="DOP853", rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.y[:, -1], [1.5, 0.3], rtol=1e-6)


def test_one_step_of_the_reverse_equation_is_an_ancestral_step_to_first_order():
    """The mean of x_{s-h} given x_s, exact for normal data, and one Euler step back differ by O(h^2)."""
    sde, v, x, s = VP(), 0.3, 0.7, 0.5
    data = GaussianMixture([1.0], [[0.0]], v)
    drift = continuous.reverse_drift(sde, continuous.ideal_score(sde, data), [x], s)[0]
    errors = []
    for h in 0.01 / 2.0 ** np.arange(6):
        before, now = (continuous.diffused(sde, data, r).var[0] for r in (s - h, s))
        exact = float(sde.signal_rate(s) / sde.signal_rate(s - h)) * before / now * x
        errors.append(abs(exact - (x - h * drift)))
    assert order(errors) == pytest.approx(2.0, abs=0.1)


# ------------------------------------------------------------------------------------------------ the flow


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_the_log_density_of_mixture_data_is_recovered_to_a_millionth_of_a_nat(sde):
    x = np.concatenate([np.linspace(-5, 4, 13)[:, None], DATA.sample(20, rng())])
    score, end = continuous.ideal_score(sde, DATA), continuous.diffused(sde, DATA, 1.0)
    bend = continuous.ideal_score_divergence(sde, DATA)
    exact = continuous.probability_flow_log_density(sde, score, x, divergence=bend, prior=end, tolerance=1e-10)
    np.testing.assert_allclose(exact, DATA.log_density(x), rtol=0, atol=1e-8)
    numerical = continuous.probability_flow_log_density(sde, score, x, prior=end, tolerance=1e-10)
    np.testing.assert_allclose(numerical, DATA.log_density(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_in_two_dimensions_too(sde):
    x, score = FLAT.sample(20, rng()), continuous.ideal_score(sde, FLAT)
    found = continuous.probability_flow_log_density(
        sde,
        score,
        x,
        divergence=continuous.ideal_score_divergence(sde, FLAT),
        prior=continuous.diffused(sde, FLAT, 1.0),
    )
    np.testing.assert_allclose(found, FLAT.log_density(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sde", [VP(), SubVP(), VE(), VP(0.5, 4.0)], ids=repr)
def test_with_the_prior_at_the_end_the_gap_of_the_prior_is_what_is_off(sde):
    """On a line x_1 is the quantile of x: the log-ratio of prior and law there is the whole difference."""
    x, end = np.linspace(-3, 2, 7)[:, None], continuous.diffused(sde, DATA, 1.0)
    score, bend = continuous.ideal_score(sde, DATA), continuous.ideal_score_divergence(sde, DATA)
    found = continuous.probability_flow_log_density(sde, score, x, divergence=bend)
    x_1 = continuous.probability_flow(sde, score, x, 0.0, 1.0, tolerance=1e-10)

    def cdf(law, at):
        return np.sum(law.weights * norm.cdf((at - law.means[:, 0]) / np.sqrt(law.variances[:, 0])), axis=-1)

    np.testing.assert_allclose(cdf(end, x_1), cdf(DATA, x), rtol=0, atol=1e-9)
    gap = sde.prior(1).log_density(x_1) - end.log_density(x_1)
    np.testing.assert_allclose(found - DATA.log_density(x), gap, rtol=0, atol=1e-6)
    assert np.abs(gap).max() > 1e-6


def test_the_default_prior_gap_of_vp_is_small_and_that_of_a_short_one_is_not():
    gaps = []
    for sde in (VP(), VP(0.5, 4.0)):
        end = continuous.diffused(sde, DATA, 1.0)
        gaps.append(end.expectation(lambda x, end=end, sde=sde: end.log_density(x) - sde.prior(1).log_density(x)))
    assert 0 < gaps[0] < 1e-5 < 1e-3 < gaps[1]  # KL(q_1 || N(0, I)): 2.2e-7 and 4.0e-3 nats


def test_one_way_undoes_the_other():
    for sde in SDES:
        score, x = continuous.ideal_score(sde, FLAT), FLAT.sample(10, rng())
        there = continuous.probability_flow(sde, score, x, 0.0, 0.8, tolerance=1e-10)
        back = continuous.probability_flow(sde, score, there, 0.8, 0.0, tolerance=1e-10)
        np.testing.assert_allclose(back, x, rtol=0, atol=1e-7)
    assert continuous.probability_flow(VP(), continuous.ideal_score(VP(), FLAT), x, 0.5, 0.5) is not x


@pytest.mark.parametrize("sde", [VP(), VE(0.05, 20.0), SubVP()], ids=repr)
def test_the_flow_samples_the_mixture_from_its_law_at_the_end(sde):
    n = 4000
    x_1 = continuous.diffused(sde, FLAT, 1.0).sample(n, rng())
    x = continuous.probability_flow(sde, continuous.ideal_score(sde, FLAT), x_1, tolerance=1e-5)
    assert (np.abs(x.mean(axis=0) - FLAT.mean) < 5 * np.sqrt(FLAT.var / n)).all()
    spread = (x - FLAT.mean) ** 2
    assert (np.abs(spread.mean(axis=0) - FLAT.var) < 5 * spread.std(axis=0) / np.sqrt(n)).all()


def test_the_reverse_equation_samples_the_mixture_from_its_law_at_the_end():
    """Euler-Maruyama steps short enough for their bias, which is of their order, to hide in five standard errors."""
    sde, n, steps = VP(0.1, 8.0), 4000, 400
    x, score = continuous.diffused(sde, FLAT, 1.0).sample(n, rng()), continuous.ideal_score(sde, FLAT)
    noise = rng(1)
    for k in range(steps, 0, -1):
        x = x - continuous.reverse_drift(sde, score, x, k / steps) / steps
        x = x + float(sde.diffusion(k / steps)) / math.sqrt(steps) * noise.standard_normal(x.shape)
    assert (np.abs(x.mean(axis=0) - FLAT.mean) < 5 * np.sqrt(FLAT.var / n)).all()
    spread = (x - FLAT.mean) ** 2
    assert (np.abs(spread.mean(axis=0) - FLAT.var) < 5 * spread.std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("step", [0.2, 0.1])
def test_differences_have_the_order_that_they_declare(step):
    sde, x = VP(), np.array([[0.3, -0.4], [1.0, 0.2]])
    score, truth = continuous.ideal_score(sde, FLAT), continuous.ideal_score_divergence(sde, FLAT)(x, 0.5)
    errors = [np.abs(continuous.divergence(score, x, 0.5, step / 2**k) - truth).max() for k in range(4)]
    assert order(errors) == pytest.approx(4.0, abs=0.3)


def test_random_signs_leave_the_log_density_without_bias_and_more_of_them_less_spread():
    sde, x = VP(), np.array([[0.4, -0.1]])
    data = GaussianMixture([0.5, 0.5], [[-1.0, -1.0], [1.0, 1.0]], 0.2)  # its Jacobian is not diagonal
    score, end = continuous.ideal_score(sde, data), continuous.diffused(sde, data, 1.0)
    found = {
        probes: continuous.probability_flow_log_density(
            sde, score, np.repeat(x, 600, axis=0), probes=probes, rng=rng(probes), prior=end, tolerance=1e-4
        )
        for probes in (1, 4)
    }
    for values in found.values():
        assert abs(values.mean() - data.log_density(x)[0]) < 5 * values.std() / math.sqrt(600)
    assert found[4].var() == pytest.approx(found[1].var() / 4, rel=0.4)
    again = continuous.probability_flow_log_density(
        sde, score, np.repeat(x, 600, axis=0), probes=1, rng=rng(1), prior=end, tolerance=1e-4
    )
    np.testing.assert_array_equal(again, found[1])


def test_signs_spread_less_than_normal_probes():
    matrix = np.array([[2.0, 0.5], [0.5, -1.0]])
    draw, x, n = rng(), np.zeros((20_000, 2)), 20_000
    signs, normals = 2.0 * draw.integers(0, 2, (1, n, 2)) - 1, draw.standard_normal((1, n, 2))
    spread = [continuous.hutchinson(lambda x, s: x @ matrix.T, x, 0.5, probes).var() for probes in (signs, normals)]
    truth = [2 * (2 * 0.5**2), 2 * np.sum(matrix**2)]
    np.testing.assert_allclose(spread, truth, rtol=0.1)


# ------------------------------------------------------------------------------------------------ the bound


def discrete(log_snr):
    """Return the sum of the middle terms of the bound on a ladder of log SNR, for DATA and their ideal denoiser."""
    snr = np.exp(log_snr)
    alpha_bar, total = snr / (1 + snr), 0.0
    for t in range(1, len(snr)):
        a = alpha_bar[t]
        law = GaussianMixture(DATA.weights, np.sqrt(a) * DATA.means, a * DATA.variances + 1 - a)
        loss = 1 - (1 - a) * law.expectation(lambda x, law=law: np.sum(law.score(x) ** 2, axis=-1))
        total += 0.5 * (snr[t - 1] - snr[t]) / snr[t] * loss
    return total


def test_the_sum_of_the_bound_tends_to_the_integral():
    limit = continuous.mixture_diffusion_loss(VP(), DATA, VP().time(6.0), VP().time(-6.0))
    assert limit == pytest.approx(2.769108065, abs=1e-8)
    sums = [discrete(np.linspace(6, -6, T + 1)) for T in (10, 40, 160)]
    np.testing.assert_allclose(sums, [4.787, 3.144, 2.857], atol=6e-4)
    finer = [discrete(np.linspace(6, -6, T + 1)) for T in (320, 640)]
    assert finer[1] == pytest.approx(2.791, abs=6e-4)
    assert order([one - limit for one in (sums[-1], *finer)]) == pytest.approx(1.0, abs=0.1)


def test_terms_of_the_discrete_bound_tend_to_the_diffusion_loss():
    """On Schedule.vp the terms t = 2..T of the mixture's bound cover s from 1/T to 1."""
    data, sde, gaps = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1), VP(0.1, 6.0), []
    for T in (50, 100, 200):
        schedule = Schedule.vp(T, 0.1, 6.0)
        first = T // 10
        bound = likelihood.mixture_bound(schedule, data, variance="posterior")
        middle = bound.terms[first + 1 :].sum()
        gaps.append(middle - continuous.mixture_diffusion_loss(sde, data, first / T))
    assert order(gaps) == pytest.approx(1.0, abs=0.1)


def test_what_is_lost_does_not_depend_on_the_schedule_but_for_its_ends():
    ends = (5.0, -3.0)
    found = [
        continuous.mixture_diffusion_loss(sde, DATA, *(sde.time(end) for end in ends))
        for sde in (VP(), VP(3.0, 9.0), VE(), VE(0.02, 90.0), SubVP(), SubVP(1.0, 30.0))
    ]
    np.testing.assert_allclose(found, found[0], rtol=0, atol=1e-8)


def test_the_loss_is_an_integral_over_time_too():
    sde, start = VP(), 0.05

    def weighted(s):
        law = continuous.diffused(sde, DATA, s)
        squares = law.expectation(lambda x: np.sum(law.score(x) ** 2, axis=-1))
        return 0.5 * float(sde.diffusion(s) ** 2 / sde.var(s)) * (1 - float(sde.var(s)) * squares)

    found = continuous.mixture_diffusion_loss(sde, DATA, start)
    assert found == pytest.approx(quad(weighted, start, 1.0, epsabs=1e-9)[0], abs=1e-7)


@pytest.mark.parametrize("sde", [VP(), SubVP(), VE()], ids=repr)
def test_the_estimate_is_unbiased(sde):
    n, score = 20_000, continuous.ideal_score(sde, FLAT)

    def denoiser(x, s):
        return -sde.noise_rate(s)[:, None] * score(x, s)

    start, stop = sde.time(4.0), sde.time(-2.0)
    found = continuous.diffusion_loss(sde, denoiser, FLAT.sample(n, rng()), rng(1), start, stop)
    truth = continuous.mixture_diffusion_loss(sde, FLAT, start, stop, tolerance=1e-6)
    assert abs(found.mean() - truth) < 5 * found.std() / math.sqrt(n)


def test_the_whole_bound_falls_to_the_entropy_and_the_gap_of_the_prior():
    sde = VP(0.5, 4.0)
    end = continuous.diffused(sde, DATA, 1.0)
    gap = end.expectation(lambda x: end.log_density(x) - sde.prior(1).log_density(x))
    above = [continuous.mixture_bound(sde, DATA, start) - DATA.entropy() - gap for start in (1e-2, 1e-3, 1e-4, 1e-5)]
    assert all(before > after > 0 for before, after in pairwise(above))
    assert above[-1] < 1e-4
    assert order(above[1:]) / math.log2(10) == pytest.approx(1.0, abs=0.1)  # of the order of the start


def test_the_bound_of_many_steps_is_that_in_continuous_time():
    """Schedule.vp with T steps, and the equation from s = 1/T on, whose decoder is the last step of the chain's."""
    data, gaps = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1), []
    for T in (100, 200, 400):
        schedule, sde = Schedule.vp(T, 0.1, 6.0), VP(0.1, 6.0)
        wide = float(schedule.one_minus_alpha_bar[1] / schedule.alpha_bar[1])
        bound = likelihood.mixture_bound(schedule, data, variance="beta", decoder_var=wide).total[0]
        gaps.append(abs(bound - continuous.mixture_bound(sde, data, 1 / T)))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.02
    assert elbo.prior_term(schedule, [1.0]) > 0


# ------------------------------------------------------------------------------------------------ what is refused


SCORE, X = continuous.ideal_score(VP(), FLAT), np.zeros((3, 2))
REFUSED = {
    r"s runs over \[0, 1\]; got 500.0. A step t of a schedule\? s = t / T": lambda: VP().drift(X, 500),
    r"s runs over \[0, 1\]; got nan": lambda: VE().var(np.nan),
    r"s must be one number or have one entry per point: shape \(3,\)": lambda: VP().drift(X, np.full(2, 0.5)),
    r"u must not be before s; got s = 0.5 and u = 0.4": lambda: SubVP().transition(X, 0.5, 0.4),
    r"beta_min and beta_max must satisfy 0 < beta_min <= beta_max; got 2.0 and 1.0": lambda: VP(2.0, 1.0),
    r"sigma_min and sigma_max must satisfy 0 < sigma_min": lambda: VE(0.0, 1.0),
    r"sigma_max must be above sigma_min": lambda: VE(1.0, 1.0),
    r"T must be above beta_max = 20": lambda: VP().schedule(20),
    r"d must be at least 1": lambda: VP().prior(0),
    r"mixture must be a GaussianMixture; got list": lambda: continuous.diffused(VP(), [1.0], 0.5),
    r"diffused takes one time s; got shape \(2,\)": lambda: continuous.diffused(VP(), FLAT, [0.1, 0.2]),
    r"x must have d = 2 on its last axis": lambda: SCORE(np.zeros((3, 1)), 0.5),
    r"score must be a callable": lambda: continuous.reverse_drift(VP(), 1.0, X, 0.5),
    r"score\(x, s\) must have the shape of x, \(3, 2\); got \(3, 1\)": lambda: continuous.probability_flow_drift(
        VP(), lambda x, s: x[:, :1], X, 0.5
    ),
    r"divergence\(x, s\) must have the shape \(3,\); got \(3, 2\)": lambda: continuous.fokker_planck(
        VP(), SCORE, SCORE, X, 0.5
    ),
    r"divergence must be a callable": lambda: continuous.fokker_planck(VP(), SCORE, 0.0, X, 0.5),
    r"probes must be \(K, ..., d\)": lambda: continuous.hutchinson(SCORE, X, 0.5, np.zeros((0, 3, 2))),
    r"step must be one number > 0": lambda: continuous.divergence(SCORE, X, 0.5, step=0.0),
    r"start must be before stop": lambda: continuous.probability_flow_log_density(VP(), SCORE, X, start=1.0),
    r"rng must be a numpy.random.Generator; got None": lambda: continuous.probability_flow_log_density(
        VP(), SCORE, X, probes=1
    ),
    r"divergence and probes exclude each other": lambda: continuous.probability_flow_log_density(
        VP(), SCORE, X, divergence=SCORE, probes=1, rng=rng()
    ),
    r"prior must be a law with a log_density": lambda: continuous.probability_flow_log_density(
        VP(), SCORE, X, prior=[0.0]
    ),
    r"x must have shape \(n, d\)": lambda: continuous.probability_flow(VP(), SCORE, X[0]),
    r"start must be one number in \[0, 1\]; got 2.0": lambda: continuous.probability_flow(VP(), SCORE, X, 2.0),
    r"tolerance must be one number > 0": lambda: continuous.probability_flow(VP(), SCORE, X, tolerance=0.0),
    r"start and stop must satisfy 0 < start < stop; got 0.0 and 1.0": lambda: continuous.mixture_bound(VP(), DATA, 0.0),
    r"expectation needs d <= 2": lambda: continuous.mixture_diffusion_loss(
        VP(), GaussianMixture([1.0], np.zeros((1, 3)), 1.0), 0.1
    ),
    r"denoiser\(x_s, s\) must have the shape of x_s": lambda: continuous.diffusion_loss(
        VP(), lambda x, s: x[:1], X, rng(), 0.1
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_wrong_argument_is_refused(message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        REFUSED[message]()


def test_a_flow_that_cannot_be_followed_says_so():
    def falling(x, s):
        return 1e3 * np.exp(np.minimum(np.abs(x), 600)) * np.sign(x)

    with np.errstate(all="ignore"), pytest.raises(RuntimeError, match="could not be followed"):
        continuous.probability_flow(VP(), lambda x, s: -falling(x, s), np.ones((1, 1)), 0.0, 1.0)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_points_of_any_leading_shape_agree_with_one_alone(sde):
    score, bend = continuous.ideal_score(sde, FLAT), continuous.ideal_score_divergence(sde, FLAT)
    x, s = rng().normal(size=(2, 3, 2)), rng(1).uniform(0.1, 0.9, (2, 3))
    for f in (
        sde.drift,
        score,
        bend,
        lambda x, s: continuous.reverse_drift(sde, score, x, s),
        lambda x, s: continuous.fokker_planck(sde, score, bend, x, s),
        lambda x, s: continuous.log_density_rate(sde, FLAT, x, s),
        lambda x, s: continuous.divergence(score, x, s),
        lambda x, s: sde.marginal(x, s).var,
    ):
        np.testing.assert_allclose(f(x, s)[1, 2], f(x[1, 2], s[1, 2]), rtol=1e-12, atol=1e-12)


def test_the_terminal_law_may_be_any_with_a_log_density():
    x = np.array([[0.3], [-0.2]])
    score = continuous.ideal_score(VP(), GaussianMixture([1.0], [[0.0]], 1.0))
    found = continuous.probability_flow_log_density(VP(), score, x, prior=Gaussian([0.0], 1.0))
    np.testing.assert_allclose(found, Gaussian([0.0], 1.0).log_density(x), rtol=0, atol=1e-9)


def test_the_times_of_the_cases_are_in_order():
    assert all(0 < s < u < 1 for s, u in map(instants, CASES))
