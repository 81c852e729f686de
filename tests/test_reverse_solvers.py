"""The fast solvers and the steps that they take: orders as measured, calls as counted, digits, ends and refusals."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from refdiff import reverse, toys
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.parameterize import x_0_from_eps
from refdiff.reverse import implicit
from refdiff.schedule import Schedule

SHORT = Schedule.from_betas([0.3, 0.1, 0.5, 0.2, 0.4])
LONG = {"linear": Schedule.linear(), "cosine": Schedule.cosine(), "vp": Schedule.vp(50)}
PATHS = {"2M": reverse.dpmpp_2m_path, "Heun": reverse.heun_path}
SAMPLERS = {"2M": reverse.dpmpp_2m, "Heun": reverse.heun}
CALLS = {"2M": lambda K: K, "Heun": lambda K: 2 * K - 1}


def rng(seed=0):
    return np.random.default_rng(seed)


def bent(x_t, t):
    t = np.asarray(t)[..., None] if np.ndim(t) else t
    return np.sin(0.6 * x_t - 0.1 * t)


def zero(x_t, t):
    return np.zeros_like(x_t)


def counted(denoiser):
    """Return a denoiser that keeps the steps that it is asked at."""
    asked = []

    def asking(x_t, t):
        asked.append(t)
        return denoiser(x_t, t)

    return asking, asked


# ------------------------------------------------------------------------------------------ orders, measured
#
# Log SNR is linear in t, so that nothing but the solver limits the order. All walk from T to STOP, at dyadic strides.

T = 2**12
STOP = T // 4
STRIDES = 2 ** np.arange(2, 7)
log_alpha_bar = -np.log1p(np.exp(-(8 - 16 * np.arange(1, T + 1) / T)))
SMOOTH = Schedule.from_betas(-np.expm1(np.diff(log_alpha_bar, prepend=0.0)))
X_T = np.linspace(-2, 2, 9)[:, None]
NORMAL = GaussianMixture([1.0], [[1.5]], 0.3)
MIXTURE = GaussianMixture([0.4, 0.6], [[-1.0], [0.8]], [0.2, 0.1])


def carried_normal(x, s, t):
    """Return where the flow carries x from t to s, for the normal data: what is normal stays as many deviations out."""
    (mean_s, var_s), (mean_t, var_t) = ((q.mean, q.var) for q in (NORMAL.diffused(SMOOTH, one) for one in (s, t)))
    return mean_s + np.sqrt(var_s / var_t) * (x - mean_t)


def carried_quantiles(x, s, t):
    """Return where the flow carries x from t to s, for the mixture: in one dimension each keeps its quantile."""

    def cdf(q):
        return lambda y: q.weights @ ndtr((y - q.means[:, 0]) / np.sqrt(q.variances[:, 0]))

    below_s, below_t = (cdf(MIXTURE.diffused(SMOOTH, one)) for one in (s, t))
    shares = [below_t(one) for one in x[:, 0]]
    return np.array([[brentq(lambda y, p=p: below_s(y) - p, -20, 20, xtol=1e-14, rtol=1e-14)] for p in shares])


DATA = {"normal": (NORMAL, carried_normal), "mixture": (MIXTURE, carried_quantiles)}
ORDERS = {
    "DDIM": (lambda *walk: reverse.ddim_path(*walk[:3], rng(), walk[3], 0.0), 1),
    "2M": (reverse.dpmpp_2m_path, 2),
    "Heun": (reverse.heun_path, 2),
}


def order(errors):
    """Return the slope of log error over log stride."""
    return np.polyfit(np.log(STRIDES), np.log(errors), 1)[0]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("solver", ORDERS)
def test_a_solver_follows_the_flow_to_the_order_that_it_states(solver, data):
    (path, declared), (law, carried) = ORDERS[solver], DATA[data]
    denoiser, truth = law.denoiser(SMOOTH), carried(X_T, STOP, T)
    errors = [
        np.linalg.norm(dict(path(SMOOTH, denoiser, X_T, np.arange(STOP, T + 1, stride)))[STOP] - truth)
        for stride in STRIDES
    ]
    assert abs(order(errors) - declared) <= 0.1


def one_step(solver, denoiser, x_t, stride, carried):
    """Return x_s of one step from the exact x_t at T / 2; what is remembered is exact as well."""
    t = T // 2
    s, t_before = t - stride, t + stride
    if solver == "DDIM":
        return reverse.ddim_transition(SMOOTH, denoiser, x_t, s, t).mean
    if solver == "Heun":
        return reverse.heun_step(SMOOTH, denoiser, x_t, s, t)
    now, before = (
        x_0_from_eps(SMOOTH, x, denoiser(x, at), at) for x, at in ((x_t, t), (carried(x_t, t_before, t), t_before))
    )
    return reverse.dpmpp_2m_step(SMOOTH, now, before, x_t, s, t, t_before)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("solver", ORDERS)
def test_the_error_of_one_step_is_one_order_higher(solver, data):
    declared, (law, carried) = ORDERS[solver][1], DATA[data]
    errors = [
        np.linalg.norm(
            one_step(solver, law.denoiser(SMOOTH), X_T, stride, carried) - carried(X_T, T // 2 - stride, T // 2)
        )
        for stride in STRIDES
    ]
    assert abs(order(errors) - (declared + 1)) <= 0.1


def ancestral_law(mean, var, stride):
    """Return mean and variance at STOP of DDIM with eta = 1, which is ancestral sampling, by recursion from T."""
    denoiser = NORMAL.denoiser(SMOOTH)
    for t, a, b, c in zip(*implicit.ddim_coefficients(SMOOTH, np.arange(STOP, T + 1, stride), 1.0)):
        if t > STOP:  # from there it goes to 0
            intercept, whole = (denoiser(np.array([one]), int(t))[0] for one in (0.0, 1.0))
            slope = a + b * (whole - intercept)
            mean, var = slope * mean + b * intercept, slope**2 * var + c**2
    return mean, var


@pytest.mark.parametrize("given", [True, False])
def test_ancestral_steps_are_of_weak_order_1_in_the_variance_and_exact_in_the_mean(given):
    (mean_s, var_s), (mean_T, var_T) = ((q.mean[0], q.var[0]) for q in (NORMAL.diffused(SMOOTH, t) for t in (STOP, T)))
    begin = (2.0, 0.0) if given else (mean_T, var_T)  # one x_T, or its law
    gain = np.sqrt(SMOOTH.alpha_bar[T] / SMOOTH.alpha_bar[STOP]) * var_s / var_T
    mean, var = mean_s + gain * (begin[0] - mean_T), var_s + gain**2 * (begin[1] - var_T)  # of x at STOP
    laws = np.array([ancestral_law(*begin, stride) for stride in STRIDES])
    # the mean of a step is E[x_s | x_t] if the denoiser is ideal, and for normal data it is affine in x_t
    np.testing.assert_allclose(laws[:, 0], mean, rtol=1e-12)
    assert abs(order(np.abs(laws[:, 1] - var)) - 1) <= 0.1


@pytest.mark.parametrize("solver", ["2M", "Heun"])
def test_a_small_h_beside_a_large_one_does_not_lower_the_order(solver):
    path, denoiser = ORDERS[solver][0], MIXTURE.denoiser(SMOOTH)
    truth, errors = carried_quantiles(X_T, STOP, T), []
    for stride in STRIDES:
        uneven = np.arange(STOP, T + 1, stride)
        uneven[1:-1:2] += stride // 2  # steps of a half and of one and a half
        errors.append(np.linalg.norm(dict(path(SMOOTH, denoiser, X_T, uneven))[STOP] - truth))
    assert abs(order(errors) - 2) <= 0.1


def test_a_few_steps_of_heun_are_better_spread_evenly_than_over_log_snr():
    schedule, x_T = Schedule.vp(1000), rng().standard_normal((100, 2))
    denoiser = GaussianMixture(*toys.eight_gaussians_mixture()).denoiser(schedule)

    def end(path, steps):
        *_, (_, x_0) = path(schedule, denoiser, x_T, steps)
        return x_0

    truth = end(reverse.dpmpp_2m_path, reverse.log_snr_steps(schedule, 200))
    even, over_log_snr = (
        np.linalg.norm(end(reverse.heun_path, choose(schedule, 5)) - truth, axis=1).mean()
        for choose in (reverse.even_steps, reverse.log_snr_steps)
    )
    assert 4 * even < over_log_snr


# --------------------------------------------------------------------------------- what is equal to what


@pytest.mark.parametrize("name", LONG)
def test_with_eta_1_and_all_steps_a_path_of_ddim_is_an_ancestral_path(name):
    schedule, x_T = LONG[name], rng().standard_normal((5, 2))
    own = reverse.ddim_path(schedule, bent, x_T, rng(1), schedule.T, 1.0)
    other = reverse.ancestral(schedule, bent, x_T, rng(1))
    for taken, ((s, x), (k, y)) in enumerate(zip(own, other, strict=True), start=1):
        assert s == k
        assert np.abs(x - y).max() <= 1e-12 * taken * (1 + np.abs(y).max())


@pytest.mark.parametrize("steps", [1, 2, [1, 4], [700, 1000]])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_steps_with_nothing_to_remember_are_those_of_ddim(name, steps):
    schedule, x_T = LONG[name], rng().standard_normal((5, 2))
    own = reverse.dpmpp_2m_path(schedule, bent, x_T, steps)
    other = reverse.ddim_path(schedule, bent, x_T, rng(), steps)
    for (s, x), (k, y) in zip(own, other, strict=True):
        assert s == k
        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-12 * (1 + np.abs(y).max()))


def test_a_prediction_that_stays_makes_the_step_of_ddim_whatever_r_is():
    x_t, x_0 = rng().standard_normal((2, 4, 2))

    def told(x_t, t):
        return (x_t - SHORT.signal_rate[t] * x_0) / SHORT.noise_rate[t]

    expected = reverse.ddim_transition(SHORT, told, x_t, 1, 3).mean
    for t_before in (4, 5):
        found = reverse.dpmpp_2m_step(SHORT, x_0, x_0, x_t, 1, 3, t_before)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_far_away_predictions_count_for_nothing():
    x_t, now, before = rng().standard_normal((3, 4, 2))
    pure = SHORT.zero_terminal_snr()  # lambda_T = -inf: r is infinite
    found = reverse.dpmpp_2m_step(pure, now, before, x_t, 2, 3, 5)
    np.testing.assert_array_equal(found, reverse.dpmpp_2m_step(pure, now, now, x_t, 2, 3, 5))


@pytest.mark.parametrize("solver", PATHS)
def test_where_nothing_is_predicted_every_solver_scales_alike(solver):
    x_T = rng().standard_normal((3, 2))
    for steps in (1, 2, 5, [1, 4, 5]):
        *_, (_, x_0) = PATHS[solver](SHORT, zero, x_T, steps)
        np.testing.assert_allclose(x_0, x_T / SHORT.signal_rate[5], rtol=1e-13)


@pytest.mark.parametrize("solver", PATHS)
@pytest.mark.parametrize("steps", [5, 3, 1, [1, 2, 4]])
def test_the_steps_are_those_of_ddim_and_so_many_are_the_calls(solver, steps):
    denoiser, asked = counted(bent)
    where = [s for s, _ in PATHS[solver](SHORT, denoiser, np.ones((2, 1)), steps)]
    assert where == [s for s, _ in reverse.ddim_path(SHORT, zero, np.ones((2, 1)), rng(), steps)]
    assert len(asked) == CALLS[solver](len(where))
    assert 0 not in asked
    assert {type(t) for t in asked} == {int}


@pytest.mark.parametrize("solver", SAMPLERS)
def test_the_same_seed_begins_at_the_x_T_of_ddim_and_nothing_else_is_drawn(solver):
    generators, first = [rng(4) for _ in range(3)], []

    def asking(x_t, t):
        first.append(x_t)
        return bent(x_t, t)

    for sample, steps, generator in (
        (reverse.ddim, 5, generators[0]),
        (SAMPLERS[solver], 5, generators[1]),
        (SAMPLERS[solver], 2, generators[2]),
    ):
        first.clear()
        sample(SHORT, asking, 300, 2, generator, steps)
        if generator is generators[0]:
            x_T = first[0]
        np.testing.assert_array_equal(first[0], x_T)
    assert generators[0].bit_generator.state == generators[1].bit_generator.state
    assert generators[1].bit_generator.state == generators[2].bit_generator.state


@pytest.mark.parametrize("solver", SAMPLERS)
def test_samples_are_the_end_of_the_path_and_progress_is_told_of_each_step(solver):
    taken, x_T = [], []

    def asking(x_t, t):
        x_T.append(x_t)
        return bent(x_t, t)

    schedule = LONG["vp"]
    x_0 = SAMPLERS[solver](schedule, asking, 4, 2, rng(), progress=taken.append)
    assert taken == list(range(1, 21))  # twenty steps if nothing is said
    path = list(PATHS[solver](schedule, bent, x_T[0]))
    assert [s for s, _ in path] == [50 * k // 20 for k in range(19, -1, -1)]
    np.testing.assert_array_equal(x_0, path[-1][1])


@pytest.mark.parametrize("solver", SAMPLERS)
def test_a_network_and_an_ideal_denoiser_are_denoisers(solver):
    schedule = LONG["vp"]
    for denoiser in (MLP(dim=2, rng=rng(), width=8), GaussianMixture([1.0], [[0.0, 1.0]], 0.5).denoiser(schedule)):
        x_0 = SAMPLERS[solver](schedule, denoiser, 5, 2, rng(), 4)
        assert x_0.shape == (5, 2)
        assert x_0.dtype == np.float64
        assert np.isfinite(x_0).all()


# --------------------------------------------------------------------------------------------------- digits

FADING = Schedule.from_betas([1e-4, *np.full(60, 0.5)])  # alpha_bar_61 = 9e-19


def exact_rates(schedule):
    """Return signal and noise rate at t = 0..T to fifty digits, from the betas as they are."""
    signal = [Decimal(1)]
    for beta in schedule.beta[1:]:
        signal.append(signal[-1] * (1 - Decimal(float(beta))).sqrt())
    return signal, [(1 - a * a).sqrt() for a in signal]


@pytest.mark.parametrize(("s", "t", "t_before"), [(59, 60, 61), (30, 31, 61), (1, 2, 3), (1, 30, 31)])
def test_the_steps_have_their_digits_where_alpha_bar_is_small(s, t, t_before):
    with localcontext() as context:
        context.prec = 50
        signal, noise = exact_rates(FADING)
        log_ratio = [(a / b).ln() if b else None for a, b in zip(signal, noise)]
        h, h_before = log_ratio[s] - log_ratio[t], log_ratio[t] - log_ratio[t_before]
        x_t, now, before = Decimal("0.25"), Decimal("-1.5"), Decimal("2.5")
        D = now + h / (2 * h_before) * (now - before)
        of_multistep = noise[s] / noise[t] * x_t + signal[s] * (1 - (-h).exp()) * D
        of_heun = signal[s] * (x_t / signal[t] + (noise[s] / signal[s] - noise[t] / signal[t]) * now)
    found = reverse.dpmpp_2m_step(FADING, [float(now)], [float(before)], [float(x_t)], s, t, t_before)
    assert found[0] == pytest.approx(float(of_multistep), rel=1e-12, abs=0)
    found = reverse.heun_step(FADING, lambda x, t: np.full_like(x, float(now)), [float(x_t)], s, t)
    assert found[0] == pytest.approx(float(of_heun), rel=1e-12, abs=0)


def test_no_step_of_a_solver_is_lost_where_the_schedule_hardly_moves():
    schedule = Schedule.from_betas(np.full(1000, 1e-12))
    found = reverse.heun_step(schedule, lambda x, t: np.ones_like(x), [0.0], 500, 501)[0]
    # a_s (sigma_s - sigma_t) with sigma = sqrt(t 1e-12), nearly
    assert found == pytest.approx(1e-6 * (np.sqrt(500) - np.sqrt(501)), rel=1e-8)


# ---------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize("K", [1, 3, 7, 999, 1000])
def test_an_integer_means_even_steps(K):
    schedule = LONG["linear"]
    steps = reverse.even_steps(schedule, K)
    np.testing.assert_array_equal(schedule.respace(K).alpha_bar[1:], schedule.alpha_bar[steps])
    where = [s for s, _ in reverse.ddim_path(schedule, zero, np.ones((1, 1)), rng(), K)]
    assert where == [*steps[-2::-1], 0]


@pytest.mark.parametrize("choose", [reverse.log_snr_steps, reverse.edm_steps])
@pytest.mark.parametrize("schedule", [*LONG.values(), Schedule.cosine(1000, max_beta=0.02)], ids=str)
def test_steps_are_as_many_as_asked_for_and_all_different(choose, schedule):
    for first in (1, 2, schedule.T // 2):
        for K in (2, 3, 10, schedule.T - first, schedule.T - first + 1):
            steps = choose(schedule, K, first=first)
            assert steps.shape == (K,)
            assert (np.diff(steps) > 0).all()
            assert (steps[0], steps[-1]) == (first, schedule.T)
        np.testing.assert_array_equal(choose(schedule, 1, first=first), [schedule.T])


def test_steps_that_coincide_move_up_to_the_next_that_is_free_and_at_T_down():
    # log SNR of -t, but for a leap between the first two steps, or the last two
    def leaping(log_snr):
        log_alpha_bar = -np.log1p(np.exp(-np.asarray(log_snr, dtype=float)))
        return Schedule.from_betas(-np.expm1(np.diff(log_alpha_bar, prepend=0.0)))

    # the grid is 7, 4, 1, -2, -5: nearest are 1, 1, 2, 5, 8
    early = leaping([7.0, 1.0, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0])
    np.testing.assert_array_equal(reverse.log_snr_steps(early, 5), [1, 2, 3, 5, 8])
    # the grid is 7, 4, 1, -2, -5: nearest are 1, 4, 7, 8, 8
    late = leaping([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, -5.0])
    np.testing.assert_array_equal(reverse.log_snr_steps(late, 5), [1, 4, 5 + 1, 7, 8])


def test_the_grids_of_karras_tend_to_that_of_log_snr():
    schedule = LONG["linear"]
    np.testing.assert_array_equal(reverse.edm_steps(schedule, 40, rho=1e9), reverse.log_snr_steps(schedule, 40))
    assert (reverse.edm_steps(schedule, 20, rho=7.0)[1:-1] > reverse.log_snr_steps(schedule, 20)[1:-1]).all()
    sigma = np.exp(-schedule.log_snr / 2)
    even = np.linspace(sigma[1], sigma[-1], 6)
    assert np.abs(sigma[reverse.edm_steps(schedule, 6, rho=1.0)] - even).max() < np.diff(sigma[1:]).max() / 2


@pytest.mark.parametrize("rho", [1e-3, 0.1, 1e12])
def test_no_exponent_leads_out_of_range(rho):
    steps = reverse.edm_steps(Schedule.cosine(), 30, rho=rho)
    assert (np.diff(steps) > 0).all()
    assert (steps[0], steps[-1]) == (1, 1000)


# ------------------------------------------------------------------------------------------------- refusals

X = np.full((3, 2), 0.5)
PURE = Schedule.reciprocal(5)
REFUSED = [
    (
        lambda: reverse.dpmpp_2m_step(SHORT, X, X, X, 0, 2, 3),
        "s must be at least 1 in a step of second order; got 0, where lambda is infinite and there is no noise to"
        " predict. The step to 0 is of first order: it returns x_0_hat.",
    ),
    (lambda: reverse.dpmpp_2m_step(SHORT, X, X, X, 2, 2, 3), "s must be below t; got s = 2 and t = 2."),
    (
        lambda: reverse.dpmpp_2m_step(SHORT, X, X, X, 1, 3, 3),
        "t must be below t_before; got t = 3 and t_before = 3. Sampling runs down from t_before to t.",
    ),
    (lambda: reverse.dpmpp_2m_step(SHORT, X, X, X, 1, 3, 6), "t_before runs over 1..5; got 6."),
    (lambda: reverse.dpmpp_2m_step(SHORT, X[:2], X, X, 1, 2, 3), "x_0_hat and x_0_hat_before and x_t must have the"),
    (lambda: reverse.heun_step(SHORT, zero, X, [0, 1, 1], [2, 2, 2]), "s must be at least 1 in a step of second"),
    (lambda: reverse.heun_step(SHORT, zero, X, 3, 2), "s must be below t; got s = 3 and t = 2."),
    (lambda: reverse.heun_step(SHORT, zero, X, [1, 1], 2), "s must be one integer or have one entry per point"),
    (lambda: reverse.heun_step(SHORT, lambda x, t: x[:2], X, 1, 2), "denoiser(x_t, t) must have the shape of x_t"),
    (lambda: reverse.heun_step(PURE, zero, X, 1, 5), "eps determines x_0 only where alpha_bar_t > 0; got t = 5"),
    (lambda: reverse.heun(PURE, zero, 3, 2, rng(), 5), "eps determines x_0 only where alpha_bar_t > 0; got t = 5"),
    (lambda: reverse.dpmpp_2m(PURE, zero, 3, 2, rng(), 5), "eps determines x_0 only where alpha_bar_t > 0; got t = 5"),
    (lambda: reverse.heun(SHORT, zero, 3, 2, rng()), "steps must be at most T = 5; got 20."),
    (lambda: reverse.dpmpp_2m(SHORT, zero, 3, 2, rng(), [2, 1]), "steps must increase strictly within 1..5; got [2 1]"),
    (lambda: reverse.dpmpp_2m(SHORT, zero, 0, 2, rng(), 2), "n must be at least 1; got 0."),
    (lambda: next(reverse.heun_path(SHORT, zero, 1.0, 2)), "x_T must have shape (..., d)"),
    (lambda: reverse.even_steps(SHORT, 6), "number must be at most T = 5; got 6."),
    (lambda: reverse.even_steps(SHORT, 0), "number must be at least 1; got 0."),
    (
        lambda: reverse.log_snr_steps(SHORT, 5, first=2),
        "number must be at most T - first + 1 = 4; got 5.",
    ),
    (lambda: reverse.edm_steps(SHORT, 1, rho=7.0, first=6), "first must be at most T = 5; got 6."),
    (lambda: reverse.edm_steps(SHORT, 2, rho=0.0), "rho must be one number > 0; got 0.0."),
    (
        lambda: reverse.edm_steps(PURE, 2),
        "schedule must have alpha_bar_T > 0; got alpha_bar_T = 0 at T = 5, pure noise: log SNR is -inf there and no"
        " even grid reaches it. Choose even_steps, or steps that end below T.",
    ),
    (lambda: reverse.log_snr_steps(PURE, 2), "schedule must have alpha_bar_T > 0; got alpha_bar_T = 0 at T = 5"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_argument_is_answered_with_the_rule(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the words are compared below
        call()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("solver", SAMPLERS)
def test_below_pure_noise_all_is_well(solver):
    assert np.isfinite(SAMPLERS[solver](PURE, bent, 3, 2, rng(), [1, 2, 4])).all()
