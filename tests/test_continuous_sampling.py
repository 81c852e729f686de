"""Samplers in continuous time: orders that are measured, laws without chance, what is drawn, and what is refused.

Flows are compared with quantiles, which they must carry along. Samplers with noise are affine for normal data, so their
law is exact; for mixtures on a line it is had by quadrature, a step at a time. What samples states its five standard
errors, and how little of them its steps leave as a bias.
"""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.stats import norm

from refdiff import continuous, reverse
from refdiff.continuous import VE, VP, SubVP
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.schedule import Schedule
from refdiff.score import langevin_var, tweedie

SDES = [VP(), VE(0.1, 10.0), SubVP(), VP(0.1, 8.0)]
IDS = [repr(sde) for sde in SDES]
LINE = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])
NORMAL = GaussianMixture([1.0], [[1.5]], 0.3)
GRIDS = {
    "even": lambda sde, K, start, stop: continuous.even_times(K, start, stop),
    "log_snr": continuous.log_snr_times,
    "edm": continuous.edm_times,
}


def rng(seed=0):
    return np.random.default_rng(seed)


def order(errors):
    """Return the order of a method from its errors at steps that are halved each time: the slope of a regression."""
    return -np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0]


# ------------------------------------------------------------------------------------------------------- the flow


def cdf(law, x):
    return float(np.sum(law.weights * norm.cdf((x - law.means[:, 0]) / np.sqrt(law.variances[:, 0]))))


def quantiles(sde, s, levels=(0.1, 0.2, 0.5, 0.8, 0.95)):
    """Return the points of x_s, data on a line, below which its levels lie: the flow carries them to one another."""
    law = continuous.diffused(sde, LINE, s)
    reach = 12 * np.sqrt(law.var[0]) + 3
    return np.array([[brentq(lambda x, p=p: cdf(law, x) - p, -reach, reach, xtol=1e-13)] for p in levels])


FLOWS = {
    "euler": (1, lambda sde, score, x, times: continuous.euler(sde, score, x, times)),
    "heun": (2, lambda sde, score, x, times: continuous.heun(sde, score, x, times)),
    "edm": (2, lambda sde, score, x, times: continuous.edm(sde, score, x, rng(), times)),
}


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_the_quantiles_are_where_the_equation_of_the_flow_leads(sde):
    score, x = continuous.ideal_score(sde, LINE), quantiles(sde, 0.8)

    def velocity(s, x):
        return continuous.probability_flow_drift(sde, score, x[:, None], s)[:, 0]

    found = solve_ivp(velocity, (0.8, 0.1), x[:, 0], method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(found, quantiles(sde, 0.1)[:, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_a_flow_has_the_order_that_it_declares(sde, flow, grid):
    declared, walk = FLOWS[flow]
    score, x, truth = continuous.ideal_score(sde, LINE), quantiles(sde, 0.8), quantiles(sde, 0.1)
    errors = [np.abs(walk(sde, score, x, GRIDS[grid](sde, K, 0.8, 0.1)) - truth).max() for K in (100, 200, 400)]
    assert order(errors) == pytest.approx(declared, abs=0.1)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_the_step_to_data_costs_the_sampler_of_karras_no_order(sde, rho):
    score, x, truth = continuous.ideal_score(sde, LINE), quantiles(sde, 0.6), quantiles(sde, 0.0)
    times = (continuous.edm_times(sde, K, 0.6, 0.0, rho=rho) for K in (100, 200, 400))
    errors = [np.abs(continuous.edm(sde, score, x, rng(), t) - truth).max() for t in times]
    assert order(errors) == pytest.approx(2.0, abs=0.1)


def test_heun_goes_down_to_data_where_the_score_is_known_there():
    for sde in SDES:
        score, x, truth = continuous.ideal_score(sde, LINE), quantiles(sde, 0.6), quantiles(sde, 0.0)
        found = continuous.heun(sde, score, x, continuous.even_times(200, 0.6, 0.0))
        np.testing.assert_allclose(found, truth, rtol=0, atol=2e-3)


# ------------------------------------------------------------------------------------------------ laws without chance


class OneEach(np.random.Generator):
    """A generator whose j-th draw is 1 for the j-th point and 0 for all others: the responses of an affine sampler."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.drawn = 0

    def standard_normal(self, shape):
        self.drawn += 1
        z = np.zeros(shape)
        z[self.drawn] = 1.0
        return z


def law(sampler, start, draws):
    """Return mean and variance of what a sampler makes of N(m, v) on a line, exactly, if each of its steps is affine.

    Point 0 starts at m and gets no noise, points 1, 2, ... one draw each, and the last starts a standard deviation off.
    """
    x, noise = np.full((draws + 2, 1), start.mean[0]), OneEach()
    x[-1] += np.sqrt(start.var[0])
    found = sampler(x, noise)[:, 0]
    assert noise.drawn <= draws
    return found[0], np.sum((found[1:] - found[0]) ** 2)


STOCHASTIC = {  # order, and the sampler in K steps
    "euler_maruyama": (1, lambda sde, score, x, r, t: continuous.euler_maruyama(sde, score, x, r, t)),
    "predictor_corrector": (
        1,
        lambda sde, score, x, r, t: continuous.predictor_corrector(sde, score, x, r, t, h=5 / len(t)),
    ),
    "edm": (2, lambda sde, score, x, r, t: continuous.edm(sde, score, x, r, t, churn=2.0)),
}
WEAK = [VP(), VE(0.3, 3.0), SubVP(), VP(0.1, 8.0)]


def laws(sde, walk, steps, start=0.9, stop=0.3):
    """Return the errors of mean and variance on normal data, a row for each number of steps."""
    score = continuous.ideal_score(sde, NORMAL)
    first, last = (continuous.diffused(sde, NORMAL, s) for s in (start, stop))
    errors = []
    for K in steps:
        times = continuous.log_snr_times(sde, K, start, stop)
        mean, var = law(lambda x, r, times=times: walk(sde, score, x, r, times), first, 2 * K)
        errors.append((mean - last.mean[0], var - last.var[0]))
    return np.array(errors)


@pytest.mark.parametrize("name", STOCHASTIC)
@pytest.mark.parametrize("sde", WEAK, ids=repr)
def test_a_sampler_has_the_weak_order_that_it_declares(sde, name):
    declared, walk = STOCHASTIC[name]
    mean, var = np.abs(laws(sde, walk, (50, 100, 200))).T
    assert order(var) == pytest.approx(declared, abs=0.1)
    if mean.max() > 1e-12:  # that of y = x / a stays where it is, and that of x under VE
        assert order(mean) == pytest.approx(declared, abs=0.1)


@pytest.mark.parametrize("sde", WEAK, ids=repr)
def test_churn_that_grows_with_the_steps_leaves_a_bias_that_they_do_not_remove(sde):
    """So much is cut off at each step: levels are raised by the factor sqrt(2), and no step becomes short."""

    def walk(sde, score, x, r, t):
        return continuous.edm(sde, score, x, r, t, churn=1e9)

    _, var = laws(sde, walk, (100, 200)).T
    assert var[1] > 0.8 * var[0] > 0


@pytest.mark.parametrize("sde", WEAK, ids=repr)
def test_a_corrector_with_one_step_size_leads_to_the_bias_of_langevin_dynamics(sde):
    """More steps bring more corrections, and with these what Langevin dynamics settles at; extrapolated from two K."""

    def walk(sde, score, x, r, t):
        return continuous.predictor_corrector(sde, score, x, r, t, h=0.4)

    _, var = laws(sde, walk, (100, 200)).T
    right = float(continuous.diffused(sde, NORMAL, 0.3).var[0])
    bias = float(langevin_var(0.4 * float(sde.var(0.3)), right)) - right
    assert 2 * var[1] - var[0] == pytest.approx(bias, rel=0.005)
    assert bias > 0.1 * right


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_a_step_with_noise_is_right_to_first_order_and_without_short_of_its_variance(sde):
    """p(x_s | x_u) of normal data is exact; the last step of euler_maruyama has noise for this reason."""
    u, x, score = 0.6, 0.7, continuous.ideal_score(sde, NORMAL)
    mean_error, var_error, without = [], [], []
    for h in 0.02 / 2.0 ** np.arange(5):
        s = u - h
        factor = float(sde.signal_rate(u) / sde.signal_rate(s))
        before, now = (continuous.diffused(sde, NORMAL, r) for r in (s, u))
        gain = factor * before.var[0] / now.var[0]
        mean, var = before.mean[0] + gain * (x - now.mean[0]), before.var[0] * (1 - gain * factor)
        p = continuous.euler_maruyama_transition(sde, score, [x], u, s)
        mean_error.append(abs(p.mean[0] - mean))
        var_error.append(abs(p.var[0] - var))
        without.append(var)
    assert order(mean_error) == pytest.approx(2.0, abs=0.1)
    assert order(var_error) == pytest.approx(2.0, abs=0.1)
    assert order(without) == pytest.approx(1.0, abs=0.1)


# ---------------------------------------------------------------------------------------- samples of a mixture


class Nodes(np.random.Generator):
    """A generator whose j-th draw is a quadrature node for each point: the j-th of a tensor product, tiled."""

    def __init__(self, nodes, draws):
        super().__init__(np.random.PCG64(0))
        self.product = itertools.cycle(np.array(list(itertools.product(nodes, repeat=draws))).T)

    def standard_normal(self, shape):
        z = next(self.product)
        return np.tile(z, shape[0] // len(z))[:, None]


def expected(sde, step, data, times, draws, points=200, nodes=8):
    """Return E x and E x^2 of what a sampler makes of q at the first time, on a line, by quadrature.

    ``step(x, rng, times)`` is one step, and draws `draws` times. It goes backwards, from step to step: what is expected
    of the end is a function of where a point is.
    """
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = np.array([np.prod(one) for one in itertools.product(w / w.sum(), repeat=draws)])
    grids = []
    for s in times:
        at = continuous.diffused(sde, data, s)
        grids.append(at.mean[0] + 10 * np.sqrt(at.var[0]) * np.linspace(-1, 1, points))
    values = np.stack([grids[-1], grids[-1] ** 2], axis=1)
    for k in range(len(times) - 2, -1, -1):
        x = step(np.repeat(grids[k], len(w))[:, None], Nodes(z, draws), times[k : k + 2])
        later = CubicSpline(grids[k + 1], values)(x[:, 0])
        values = np.einsum("j,ijk->ik", w, later.reshape(points, len(w), 2))
    start, spline = continuous.diffused(sde, data, times[0]), CubicSpline(grids[0], values)
    return np.array([start.expectation(lambda x, i=i: spline(x[:, 0])[:, i]) for i in range(2)])


LINES = LINE, GaussianMixture([0.5, 0.5], [[-0.7], [0.9]], [0.1, 0.3])
PLANE = GaussianMixture(  # two coordinates that know nothing of each other, each of them bimodal
    np.outer(LINES[0].weights, LINES[1].weights).ravel(),
    [[a[0], b[0]] for a in LINES[0].means for b in LINES[1].means],
    [[a[0], b[0]] for a in LINES[0].variances for b in LINES[1].variances],
)
SAMPLERS = {  # draws in a step, steps, and the sampler; churn is that of a step
    "euler_maruyama": (1, 150, lambda *a, K: continuous.euler_maruyama(*a)),
    "predictor_corrector": (2, 60, lambda *a, K: continuous.predictor_corrector(*a, h=0.01)),
    "edm with churn": (1, 60, lambda *a, K: continuous.edm(*a, churn=K / 15)),
    "edm": (0, 60, lambda *a, K: continuous.edm(*a)),
    "heun": (0, 60, lambda sde, score, x, r, times, K: continuous.heun(sde, score, x, times)),
    "euler": (0, 400, lambda sde, score, x, r, times, K: continuous.euler(sde, score, x, times)),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("sde", [VP(0.1, 8.0), VE(0.1, 10.0)], ids=repr)
def test_samples_of_a_mixture_have_its_moments(sde, name):
    """Five standard errors, beside which the bias of so many steps, had without chance, is less than one."""
    (draws, K, walk), n, start, stop = SAMPLERS[name], 1500, 1.0, 0.02
    times = continuous.log_snr_times(sde, K, start, stop)
    score = continuous.ideal_score(sde, PLANE)
    x = walk(sde, score, continuous.diffused(sde, PLANE, start).sample(n, rng()), rng(1), times, K=K)
    laws = [continuous.diffused(sde, data, stop) for data in LINES]
    for i, (data, end) in enumerate(zip(LINES, laws)):
        truth = np.array([end.mean[0], end.var[0] + end.mean[0] ** 2])
        fourth = end.expectation(lambda x: x[:, 0] ** 4)
        error = np.sqrt(np.array([end.var[0], fourth - truth[1] ** 2]) / n)
        if name != "predictor_corrector" or i == 0:  # two draws a step are dear
            one = continuous.ideal_score(sde, data)
            found = expected(sde, lambda x, r, t, one=one: walk(sde, one, x, r, t, K=1), data, times, draws)
            assert (np.abs(found - truth) < error).all()
        assert (np.abs([x[:, i].mean(), np.mean(x[:, i] ** 2)] - truth) < 5 * error).all()
    product = (x[:, 0] - laws[0].mean[0]) * (x[:, 1] - laws[1].mean[0])
    assert abs(product.mean()) < 5 * np.sqrt(laws[0].var[0] * laws[1].var[0] / n)


def test_quadrature_has_the_law_that_recursion_has():
    """The two ways to a law without chance, on normal data, where there are both."""
    sde, K = VP(0.1, 8.0), 20
    score, times = continuous.ideal_score(sde, NORMAL), continuous.log_snr_times(sde, K, 0.9, 0.1)
    start = continuous.diffused(sde, NORMAL, 0.9)
    for name, (draws, _, walk) in SAMPLERS.items():
        mean, var = law(lambda x, r, walk=walk: walk(sde, score, x, r, times, K=K), start, draws * K)
        found = expected(sde, lambda x, r, t, walk=walk: walk(sde, score, x, r, t, K=1), NORMAL, times, draws)
        np.testing.assert_allclose(found, [mean, var + mean**2], rtol=1e-6, err_msg=name)


# ---------------------------------------------------------------------------------------------------------- grids


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_a_grid_decreases_from_start_to_stop(sde, grid):
    for K, start, stop in ((1, 1.0, 0.5), (7, 0.9, 1e-6), (500, 1.0, 1e-3)):
        times = GRIDS[grid](sde, K, start, stop)
        assert times.shape == (K + 1,)
        assert (times[0], times[-1]) == (start, stop)
        assert (np.diff(times) < 0).all()
    by_default = GRIDS[grid](sde, 5, 1.0, 1e-3)
    np.testing.assert_array_equal(
        continuous.even_times(5) if grid == "even" else getattr(continuous, f"{grid}_times")(sde, 5), by_default
    )


def test_the_grid_of_karras_is_had_by_a_last_time():
    """Their figures: sigma from 80 to .002 with rho = 7, N = 16 of them and 0."""
    sde, N, rho = VE(1e-4, 100.0), 16, 7.0
    start, stop = (float(sde.time(-2 * np.log(sigma))) for sigma in (80.0, 0.002))
    times = np.append(continuous.edm_times(sde, N - 1, start, stop), 0.0)
    i = np.arange(N)
    sigma = (80 ** (1 / rho) + i / (N - 1) * (0.002 ** (1 / rho) - 80 ** (1 / rho))) ** rho
    np.testing.assert_allclose(sde.noise_rate(times), np.append(sigma, 0.0), rtol=1e-9)


@pytest.mark.parametrize("sde", SDES, ids=IDS)
def test_a_high_power_is_a_logarithm(sde):
    high = continuous.edm_times(sde, 6, 0.9, 0.1, rho=1e18)
    np.testing.assert_allclose(high, continuous.log_snr_times(sde, 6, 0.9, 0.1), rtol=1e-5)


# --------------------------------------------------------------------------------------------- what is asked and drawn


def noting(score, asked):
    def noted(x, s):
        asked.append(s)
        return score(x, s)

    return noted


def test_no_level_is_raised_beyond_the_end_and_the_rest_by_a_share():
    sde, asked = VP(), []
    score = noting(continuous.ideal_score(sde, LINE), asked)
    times = continuous.edm_times(sde, 40)
    continuous.edm(sde, score, np.zeros((3, 1)), rng(), times, churn=8.0)
    raised, ratio = np.array(asked[::2]), np.exp(-sde.log_snr(times[:-1]) / 2)
    assert raised.max() == raised[0] == 1.0
    expected = np.minimum(1.2 * ratio, ratio[0])
    np.testing.assert_allclose(np.exp(-sde.log_snr(raised) / 2), expected, rtol=1e-9)
    np.testing.assert_array_equal(asked[1::2], times[1:])


def test_where_no_noise_is_added_none_is_drawn():
    sde, start = VP(), np.zeros((3, 1))
    score = continuous.ideal_score(sde, LINE)
    for times, churn, draws in (([1.0, 0.5], 0.3, 0), ([1.0, 0.5, 0.2], 0.3, 1), ([0.9, 0.5, 0.2], 0.0, 0)):
        r, replayed = rng(), rng()
        continuous.edm(sde, score, start, r, times, churn)
        replayed.standard_normal((draws, 3, 1))
        assert r.random() == replayed.random()
    r, replayed = rng(), rng()
    continuous.predictor_corrector(sde, score, start, r, [0.5, 0.2, 0.0], 0.1, corrections=2)
    replayed.standard_normal((1 + 2 + 1, 3, 1))  # at s = 0 nothing is corrected
    assert r.random() == replayed.random()


def test_one_step_to_data_is_the_denoiser_s_answer():
    """Both that of the sampler of Karras et al. and that of DDIM, on the chain that looks at the same equation."""
    T, t, x = 10, 7, np.array([[0.4], [-1.3]])
    schedule, sde = Schedule.vp(T), VP()
    score = continuous.ideal_score(sde, LINE)
    found = continuous.edm(sde, score, x, rng(), [t / T, 0.0])
    np.testing.assert_allclose(found, tweedie(schedule, lambda x, t: score(x, t / T), x, t), rtol=1e-12)
    np.testing.assert_allclose(found, reverse.ddim_transition(schedule, LINE.denoiser(schedule), x, 0, t).mean)


def test_without_corrections_the_predictor_is_left():
    sde, x, times = VP(), rng().standard_normal((5, 2)), continuous.even_times(4)
    score = continuous.ideal_score(sde, PLANE)
    alone = continuous.euler_maruyama(sde, score, x, rng(1), times)
    with_none = continuous.predictor_corrector(sde, score, x, rng(1), times, 0.1, corrections=0)
    np.testing.assert_array_equal(alone, with_none)


def test_one_time_per_point_agrees_with_one_alone():
    for sde in SDES:
        score, x = continuous.ideal_score(sde, PLANE), rng().normal(size=(2, 3, 2))
        u, s = rng(1).uniform(0.5, 1.0, (2, 3)), rng(2).uniform(0.0, 0.4, (2, 3))
        whole = continuous.euler_maruyama_transition(sde, score, x, u, s)
        alone = continuous.euler_maruyama_transition(sde, score, x[1, 2], u[1, 2], s[1, 2])
        np.testing.assert_allclose(whole.mean[1, 2], alone.mean, rtol=1e-12)
        np.testing.assert_allclose(whole.var[1, 2], alone.var, rtol=1e-12)


PATHS = {
    "euler_maruyama": lambda *a: continuous.euler_maruyama_path(*a),
    "predictor_corrector": lambda *a: continuous.predictor_corrector_path(*a, 0.1),
    "edm": lambda *a: continuous.edm_path(*a, 2.0),
    "euler": lambda sde, score, x, r, times: continuous.euler_path(sde, score, x, times),
    "heun": lambda sde, score, x, r, times: continuous.heun_path(sde, score, x, times),
}


@pytest.mark.parametrize("name", PATHS)
def test_the_same_seed_gives_the_same_path_and_the_points_given_stay_as_they_are(name):
    sde, x, times = VP(), rng().standard_normal((5, 2)), [0.9, 0.5, 0.2]
    score, kept = continuous.ideal_score(sde, PLANE), x.copy()
    first, again, other = (list(PATHS[name](sde, score, x, rng(seed), times)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(x, kept)
    assert [s for s, _ in first] == times[1:]
    np.testing.assert_array_equal(first[-1][1], again[-1][1])
    assert (first[-1][1] == other[-1][1]).all() == (name in ("euler", "heun"))


@pytest.mark.parametrize("name", PATHS)
def test_points_that_leave_the_finite_numbers_are_an_error(name):
    path = PATHS[name](VP(), lambda x, s: 1e200 * x, np.ones((2, 1)), rng(), [0.9, 0.6, 0.3])
    with pytest.raises(RuntimeError, match=r"left the finite numbers between s = 0\.[69] and 0\.[36]"):
        list(path)


# ------------------------------------------------------------------------------------------------- from denoisers


def missed(data, t, T=1000):
    """Return by how much of its root mean square the ideal denoiser is missed at s = t/T, and how large what is."""
    sde, s = VP(), t / T
    x = sde.marginal(data.sample(2000, rng()), s).sample(rng(1))
    truth = -sde.noise_rate(s) * continuous.ideal_score(sde, data)(x, s)
    found = continuous.denoiser_between_steps(data.denoiser(Schedule.vp(T)), T)(x, s)
    size = np.sqrt(np.mean(truth**2))
    return np.sqrt(np.mean((found - truth) ** 2)) / size, np.sqrt(np.mean(found**2)) / size


def test_how_well_the_ideal_denoiser_is_met_between_the_steps_of_the_vp_schedule():
    """The figures of the docstring; and between steps the error falls with the square of their number."""
    data = GaussianMixture([0.3, 0.7], [[-2.0, 0.5], [1.0, -1.0]], [0.09, 0.25])
    assert missed(data, 1.5)[0] == pytest.approx(0.011, abs=5e-4)
    assert missed(data, 5.5)[0] == pytest.approx(5e-4, abs=5e-5)
    assert max(missed(data, t + 0.5)[0] for t in range(20, 1000, 70)) < 1e-4
    assert missed(data, 500)[0] < 1e-12
    assert missed(data, 0.5)[1] == pytest.approx(1.45, abs=0.005)
    assert missed(data, 0.01)[1] > 10
    coarse = [missed(data, 0.3 * T + 0.5, T)[0] for T in (50, 100, 200)]
    assert order(coarse) == pytest.approx(2.0, abs=0.2)


def test_a_denoiser_of_the_steps_samples_as_the_score_does():
    sde, T = VP(), 1000
    eps_hat = continuous.denoiser_between_steps(LINE.denoiser(Schedule.vp(T)), T)
    x, times = quantiles(sde, 1.0), continuous.edm_times(sde, 60, stop=1 / T)
    found = continuous.edm(sde, continuous.score_from_denoiser(sde, eps_hat), x, rng(), times)
    exact = continuous.edm(sde, continuous.ideal_score(sde, LINE), x, rng(), times)
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", PATHS)
def test_a_network_with_steps_takes_every_path(name):
    T, sde = 50, VP()
    model = MLP(dim=2, rng=rng(), width=8, depth=1)
    score = continuous.score_from_denoiser(sde, continuous.denoiser_between_steps(model, T))
    times = continuous.edm_times(sde, 5, stop=1 / T)
    *_, (s, x) = PATHS[name](sde, score, sde.prior(2).sample(rng()) + np.zeros((4, 2)), rng(), times)
    assert (s, x.shape) == (1 / T, (4, 2))
    assert np.isfinite(x).all()
    drift = continuous.reverse_drift(sde, score, x, np.full(4, 0.31))
    np.testing.assert_allclose(drift[2], continuous.reverse_drift(sde, score, x[2], 0.31), rtol=1e-6)


def test_the_network_is_asked_once_at_a_step_and_twice_between():
    asked = []
    eps_hat = continuous.denoiser_between_steps(lambda x, t: asked.append(t) or x, 100)
    x = np.zeros((2, 1))
    for s in (0.29, 0.295, 0.004, 1.0, np.array([0.29, 0.07]), np.array([0.29, 0.075])):
        eps_hat(x, s)
    assert asked[:5] == [29, 29, 30, 1, 100]
    assert all(type(t) is int for t in asked[:5])
    assert [t.tolist() for t in asked[5:]] == [[29, 7], [29, 7], [29, 8]]
    assert all(t.dtype == np.int64 for t in asked[5:])


# ------------------------------------------------------------------------------------------------- what is refused


SCORE, X = continuous.ideal_score(VP(), PLANE), np.zeros((3, 2))
REFUSED = {
    r"steps must be at least 1; got 0": lambda: continuous.even_times(0),
    r"start must be above stop; got 0.5 and 0.5": lambda: continuous.even_times(3, 0.5, 0.5),
    r"start must be above stop; got 0.1 and 0.2": lambda: continuous.log_snr_times(VP(), 3, 0.1, 0.2),
    r"stop must be > 0: log SNR is infinite at s = 0": lambda: continuous.log_snr_times(VP(), 3, 1.0, 0.0),
    r"start must be one number in \[0, 1\]; got 1000": lambda: continuous.edm_times(VP(), 3, 1000),
    r"start must be where some signal is left": lambda: continuous.edm_times(VP(0.1, 4000.0), 3),
    r"rho must be one number > 0": lambda: continuous.edm_times(VP(), 3, rho=0.0),
    r"times must decrease, from noise to data; got 0.2 before 0.9": lambda: continuous.euler(
        VP(), SCORE, X, [0.2, 0.9]
    ),
    r"times must decrease": lambda: continuous.heun_path(VP(), SCORE, X, [0.9, 0.5, 0.5]),
    r"times must be K \+ 1 numbers": lambda: continuous.heun(VP(), SCORE, X, [0.9]),
    r"times must be K \+ 1 numbers for K >= 1 steps, both ends included; got shape \(\)": lambda: continuous.heun(
        VP(), SCORE, X, 0.9
    ),
    r"times runs over \[0, 1\]; got 999.0. A step t of a schedule\?": lambda: continuous.euler_path(
        VP(), SCORE, X, [999, 0]
    ),
    r"u must be after s; got u = 0.4 and s = 0.5": lambda: continuous.euler_maruyama_transition(
        VP(), SCORE, X, 0.4, 0.5
    ),
    r"u must be after s; got u = 0.5 and s = 0.5": lambda: continuous.euler_maruyama_transition(
        VP(), SCORE, X, 0.5, [0.4, 0.5, 0.3]
    ),
    r"u runs over \[0, 1\]; got 4": lambda: continuous.euler_maruyama_transition(VP(), SCORE, X, 4, 0.5),
    r"u must be one number or have one entry per point": lambda: continuous.euler_maruyama_transition(
        VP(), SCORE, X, [0.9, 0.8], 0.5
    ),
    r"score must be a callable": lambda: continuous.euler_maruyama_path(VP(), 0.0, X, rng(), [1.0, 0.5]),
    r"score\(x, s\) must have the shape of x, \(3, 2\); got \(3, 1\)": lambda: continuous.edm(
        VP(), lambda x, s: x[:, :1], X, rng(), [1.0, 0.5]
    ),
    r"x must have shape \(n, d\)": lambda: continuous.edm_path(VP(), SCORE, X[0], rng(), [1.0, 0.5]),
    r"rng must be a numpy.random.Generator; got None": lambda: continuous.edm_path(VP(), SCORE, X, None, [1.0, 0.5]),
    r"churn must be one number >= 0; got -1.0": lambda: continuous.edm_path(VP(), SCORE, X, rng(), [1.0, 0.5], -1.0),
    r"inflation must be one number > 0": lambda: continuous.edm_path(VP(), SCORE, X, rng(), [1.0, 0.5], 1.0, 0.0),
    r"h must be one number > 0": lambda: continuous.predictor_corrector_path(VP(), SCORE, X, rng(), [1.0, 0.5], 0.0),
    r"corrections must be at least 0; got -1": lambda: continuous.predictor_corrector_path(
        VP(), SCORE, X, rng(), [1.0, 0.5], 0.1, -1
    ),
    r"denoiser must be a callable": lambda: continuous.score_from_denoiser(VP(), None),
    r"denoiser\(x, s\) must have the shape of x, \(3, 2\); got \(1, 2\)": lambda: continuous.score_from_denoiser(
        VP(), lambda x, s: x[:1]
    )(X, 0.5),
    r"s must be > 0: at s = 0 there is no noise": lambda: continuous.score_from_denoiser(VP(), lambda x, s: x)(X, 0.0),
    r"T must be at least 1; got 0": lambda: continuous.denoiser_between_steps(lambda x, t: x, 0),
    r"s runs over \[0, 1\]; got 7.0": lambda: continuous.denoiser_between_steps(lambda x, t: x, 10)(X, 7),
    r"s must be one number or have one entry per point": lambda: continuous.denoiser_between_steps(lambda x, t: x, 10)(
        X, [0.5, 0.2]
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_wrong_argument_is_refused_at_once(message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        REFUSED[message]()
