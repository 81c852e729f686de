"""DDIM and what draws its noise: special cases in closed form, its digits, streams of blocks, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from refdiff import reverse
from refdiff.kernels.streams import BLOCK, Streams
from refdiff.reverse import chain, implicit, walks
from refdiff.schedule import Schedule

SHORT = Schedule.from_betas([0.3, 0.1, 0.5, 0.2, 0.4])
LONG = {"linear": Schedule.linear(), "cosine": Schedule.cosine(), "vp": Schedule.vp(50)}
VARIANCES = ["posterior", "beta", np.array([0.0, 0.0, 0.2, 0.3, 0.1, 0.4])]


def rng(seed=0):
    return np.random.default_rng(seed)


def affine(x_t, t):
    return 0.6 * x_t - 0.1 * np.asarray(t)[..., None] if np.ndim(t) else 0.6 * x_t - 0.1 * t


def zero(x_t, t):
    return np.zeros_like(x_t)


def ideal(schedule, var=1.0):
    """Return E[eps | x_t] for data N(0, var I)."""

    def denoiser(x_t, t):
        one_minus = schedule.one_minus_alpha_bar[t]
        return np.sqrt(one_minus) / (var * schedule.alpha_bar[t] + one_minus) * x_t

    return denoiser


def variance_of_samples(schedule, denoiser, steps, eta):
    """Return the variance of what a sampler with a linear denoiser draws, by the recursion of its coefficients."""
    var = 1.0
    for t, a, b, c in zip(*implicit.ddim_coefficients(schedule, steps, eta)):
        slope = a + b * denoiser(np.ones(1), int(t))[0]
        var = slope**2 * var + c**2
    return var


# ------------------------------------------------------------------------------------- the two ends of eta


@pytest.mark.parametrize("name", LONG)
def test_with_eta_1_each_step_is_the_ancestral_step(name):
    schedule = LONG[name]
    t = np.arange(1, schedule.T + 1)
    x = np.linspace(-2, 2, 2 * schedule.T).reshape(-1, 2)
    own, other = reverse.ddim_transition(schedule, affine, x, t - 1, t, 1.0), reverse.transition(schedule, affine, x, t)
    scale = 1 + np.abs(other.mean).max(axis=1, keepdims=True)
    assert (np.abs(own.mean - other.mean) / scale).max() < 1e-12
    np.testing.assert_allclose(own.var, other.var, rtol=1e-11)


@pytest.mark.parametrize("steps", [1, 7, 50, [3, 4, 90, 700]])
def test_with_eta_1_some_steps_are_ancestral_sampling_of_the_respaced_schedule(steps):
    schedule, respaced = LONG["linear"], LONG["linear"].respace(steps)
    kept, x_T = walks.kept_steps(schedule, steps), rng().standard_normal((5, 2))
    np.testing.assert_array_equal(schedule.alpha_bar[kept], respaced.alpha_bar)
    own = reverse.ddim_path(schedule, affine, x_T, rng(1), steps, eta=1.0)
    other = reverse.ancestral(respaced, lambda x_t, k: affine(x_t, kept[k]), x_T, rng(1))
    for (s, x), (k, y) in zip(own, other, strict=True):
        assert s == kept[k]
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10 * np.abs(y).max())


def test_with_eta_0_a_path_is_a_function_of_where_it_begins():
    x_T, one, other = rng().standard_normal((4, 2)), rng(1), rng(2)
    state = one.bit_generator.state
    paths = [list(reverse.ddim_path(SHORT, affine, x_T, generator, 3)) for generator in (one, other)]
    assert one.bit_generator.state == state
    for (s, x), (t, y) in zip(*paths):
        assert s == t
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_the_last_step_returns_the_x_0_predicted_and_draws_nothing(eta):
    x_T, generator = rng().standard_normal((4, 2)), rng(1)
    path = reverse.ddim_path(SHORT, affine, x_T, generator, 2, eta)
    (_, x_t), state = next(path), generator.bit_generator.state
    ((s, x_0),) = path
    assert generator.bit_generator.state == state
    assert s == 0
    p = reverse.ddim_transition(SHORT, affine, x_t, 0, 2, eta)
    np.testing.assert_array_equal(x_0, p.mean)
    assert (p.var == 0).all()


# --------------------------------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("steps", [1, 10, 1000])
def test_for_standard_normal_data_a_step_multiplies_by_the_cosine_of_an_angle(steps):
    schedule, x_T = LONG["cosine"], rng().standard_normal((6, 2))
    angle = np.arctan2(schedule.noise_rate, schedule.signal_rate)
    for s, x in reverse.ddim_path(schedule, ideal(schedule), x_T, rng(), steps):
        kept = walks.kept_steps(schedule, steps)
        above = kept[kept >= s]
        expected = x_T * np.prod(np.cos(np.diff(angle[above])))
        np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-10)


def test_with_even_angles_the_variance_is_short_by_the_amount_stated():
    K = 400
    angle = np.pi / 2 * np.arange(K) / K  # the last would be pure noise
    schedule = Schedule.from_betas(1 - (np.cos(angle[1:]) / np.cos(angle[:-1])) ** 2)
    short = 1 - variance_of_samples(schedule, ideal(schedule), K - 1, 0.0)
    assert short == pytest.approx((np.pi / 2) ** 2 / K, rel=0.01)


@pytest.mark.parametrize("var", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_with_more_steps_the_samples_of_gaussian_data_come_nearer(var, eta):
    schedule = Schedule.vp(4000)
    off = [abs(variance_of_samples(schedule, ideal(schedule, var), K, eta) - var) for K in (40, 400, 4000)]
    assert off[0] > 4 * off[1] > 16 * off[2]
    assert off[2] < 0.003 * max(var, 1.0)


def test_where_nothing_is_predicted_every_walk_without_noise_scales_alike():
    x_T = rng().standard_normal((3, 2))
    for steps in (1, 2, 5, [1, 4, 5]):
        *_, (_, x_0) = reverse.ddim_path(SHORT, zero, x_T, rng(), steps)
        np.testing.assert_allclose(x_0, x_T / SHORT.signal_rate[5], rtol=1e-14)


def test_what_is_kept_has_its_digits_where_alpha_bar_is_small():
    schedule = Schedule.from_betas([1e-4, *np.full(60, 0.5)])  # alpha_bar_61 = 9e-19
    p = reverse.ddim_transition(schedule, lambda x_t, t: np.ones_like(x_t), [schedule.noise_rate[61]], 1, 61, 1.0)
    # x_t is its noise alone, so that x_0_hat = 0; sqrt(1 - alpha_bar_s - sigma^2) = (1 - alpha_bar_s) sqrt(alpha_bar_t)
    # / sqrt(alpha_bar_s (1 - alpha_bar_t))
    assert p.mean[0] == pytest.approx(1e-4 * np.sqrt(2.0**-60), rel=1e-12, abs=0)


# -------------------------------------------------------------------------------------- steps and coefficients


@pytest.mark.parametrize(("steps", "expected"), [(5, [4, 3, 2, 1, 0]), (3, [3, 1, 0]), (2, [2, 0]), (1, [0])])
def test_the_steps_are_spread_evenly_from_T_down_to_0(steps, expected):
    asked = []

    def denoiser(x_t, t):
        asked.append(t)
        return zero(x_t, t)

    assert [s for s, _ in reverse.ddim_path(SHORT, denoiser, np.ones((2, 1)), rng(), steps)] == expected
    assert asked == [5, *expected[:-1]]
    assert {type(t) for t in asked} == {int}


def test_fifty_steps_and_no_noise_if_nothing_is_said():
    schedule, x_T = LONG["linear"], np.ones((2, 1))
    path = list(reverse.ddim_path(schedule, affine, x_T, rng()))
    assert [s for s, _ in path] == [20 * k for k in range(49, -1, -1)]
    np.testing.assert_array_equal(path[0][1], reverse.ddim_transition(schedule, affine, x_T, 980, 1000).mean)
    samples = [reverse.ddim(schedule, affine, 3, 2, rng(), **choices) for choices in ({}, {"steps": 50, "eta": 0.0})]
    np.testing.assert_array_equal(*samples)


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("steps", [5, 3, [1, 2, 4]])
def test_the_coefficients_of_ddim_are_those_of_its_steps(steps, eta):
    x_t, z = rng().standard_normal((2, 4, 2))
    where = walks.kept_steps(SHORT, steps)
    t, a, b, c = implicit.ddim_coefficients(SHORT, steps, eta)
    np.testing.assert_array_equal(t, where[:0:-1])
    for s, *one in zip(where[-2::-1], t, a, b, c):
        p = reverse.ddim_transition(SHORT, affine, x_t, s, one[0], eta)
        step = one[1] * x_t + one[2] * affine(x_t, one[0]) + one[3] * z
        np.testing.assert_allclose(step, p.mean + p.std * z, rtol=1e-12, atol=1e-13)
    assert c[-1] == 0
    assert (c[:-1] > 0).all() == (eta > 0)


@pytest.mark.parametrize("variance", VARIANCES, ids=["posterior", "beta", "array"])
def test_the_coefficients_of_ancestral_sampling_are_those_of_its_steps(variance):
    x_t, z = rng().standard_normal((2, 4, 2))
    t, a, b, c = chain.ancestral_coefficients(SHORT, variance)
    np.testing.assert_array_equal(t, [5, 4, 3, 2, 1])
    np.testing.assert_allclose(a, SHORT.alpha[t] ** -0.5, rtol=1e-15)
    for one in zip(t[:-1], a, b, c):
        p = reverse.transition(SHORT, affine, x_t, one[0], variance)
        step = one[1] * x_t + one[2] * affine(x_t, one[0]) + one[3] * z
        np.testing.assert_allclose(step, p.mean + p.std * z, rtol=1e-12, atol=1e-13)
    assert c[-1] == 0
    assert (c[:-1] > 0).all()


# ---------------------------------------------------------------------------------------------------- noise


def by_hand(coefficients, n, d, seed):
    """Return what a sampler draws, from its coefficients and the streams of its blocks."""
    draw = Streams(rng(seed), n).standard_normal
    x = draw((n, d))
    for t, a, b, c in zip(*coefficients):
        x = a * x + b * affine(x, int(t)) + (c * draw((n, d)) if c > 0 else 0.0)
    return x


@pytest.mark.parametrize("n", [3, BLOCK + 5])
def test_samplers_draw_from_the_streams_of_their_blocks_first_x_T_and_then_the_noise_of_each_step(n):
    for variance in VARIANCES:
        expected = by_hand(chain.ancestral_coefficients(SHORT, variance), n, 2, seed=1)
        found = reverse.sample(SHORT, affine, n, 2, rng(1), variance)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    for eta in (0.0, 0.6, 1.0):
        expected = by_hand(implicit.ddim_coefficients(SHORT, 3, eta), n, 2, seed=1)
        found = reverse.ddim(SHORT, affine, n, 2, rng(1), 3, eta)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_more_points_leave_whole_blocks_as_they_are():
    few, many = (reverse.ddim(SHORT, affine, n, 2, rng(2), 3, 1.0) for n in (2 * BLOCK, 2 * BLOCK + 9))
    np.testing.assert_array_equal(many[: 2 * BLOCK], few)
    few, many = (reverse.sample(SHORT, affine, n, 2, rng(2)) for n in (2 * BLOCK, 2 * BLOCK + 9))
    np.testing.assert_array_equal(many[: 2 * BLOCK], few)


def test_same_seed_same_samples_and_the_generator_moves_on():
    generator = rng(3)
    one, other = (reverse.ddim(SHORT, affine, 4, 2, generator, 3, 0.5) for _ in range(2))
    np.testing.assert_array_equal(one, reverse.ddim(SHORT, affine, 4, 2, rng(3), 3, 0.5))
    assert (one != other).all()


def test_the_same_seed_begins_at_the_same_x_T_whatever_the_sampler():
    scale = SHORT.signal_rate[5]  # with a denoiser that predicts nothing and no noise, x_0 is x_T over this
    x_T = scale * reverse.ddim(SHORT, zero, 4, 2, rng(4), 2)
    np.testing.assert_allclose(x_T, Streams(rng(4), 4).standard_normal((4, 2)), rtol=1e-14)
    np.testing.assert_allclose(x_T, scale * reverse.ddim(SHORT, zero, 4, 2, rng(4), 5), rtol=1e-14)


def test_sampling_does_not_import_numba():
    code = (
        "import sys, numpy as np; from refdiff import Schedule, reverse\n"
        "for draw in (reverse.sample, reverse.ddim):\n"
        "    draw(Schedule.vp(60), lambda x_t, t: x_t, 2, 2, np.random.default_rng(0))\n"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------- refusals

X = np.full((3, 2), 0.5)
REFUSED = [
    (
        lambda: reverse.ddim_var(SHORT, 2, 2, 1.0),
        "s must be below t; got s = 2 and t = 2. Sampling runs down from t to s.",
    ),
    (
        lambda: reverse.ddim_var(SHORT, [1, 4], [3, 3], 1.0),
        "s must be below t; got s = 4 and t = 3. Sampling runs down from t to s.",
    ),
    (
        lambda: reverse.ddim_transition(SHORT, zero, X, 1, 3, -0.1),
        "eta must be one number in [0, 1]; got -0.1. 0 is DDIM, 1 is ancestral sampling.",
    ),
    (
        lambda: reverse.ddim_var(SHORT, 1, 3, np.array([0.5, 0.5])),
        "eta must be one number in [0, 1]; got array([0.5, 0.5]). 0 is DDIM, 1 is ancestral sampling.",
    ),
    (lambda: reverse.ddim(SHORT, zero, 3, 2, rng(), 5, 1.0001), "eta must be one number in [0, 1]; got 1.0001. 0 is"),
    (lambda: reverse.ddim(SHORT, zero, 3, 2, rng(), 5, np.nan), "eta must be one number in [0, 1]; got nan. 0 is"),
    (lambda: reverse.ddim(SHORT, zero, 3, 2, rng()), "steps must be at most T = 5; got 50."),
    (lambda: reverse.ddim(SHORT, zero, 3, 2, rng(), 0), "steps must be at least 1; got 0."),
    (lambda: reverse.ddim(SHORT, zero, 3, 2, rng(), [2, 1]), "steps must increase strictly within 1..5; got [2 1]."),
    (lambda: reverse.ddim(SHORT, zero, 0, 2, rng(), 2), "n must be at least 1; got 0."),
    (lambda: reverse.ddim_transition(SHORT, zero, X, [0, 1], 2), "s must be one integer or have one entry per point"),
    (
        lambda: reverse.ddim_transition(SHORT, zero, X, [0, 1], [2, 3, 4]),
        "s must be one integer or have one entry per point",
    ),
    (lambda: reverse.ddim_transition(SHORT, lambda x, t: x[:2], X, 0, 2), "denoiser(x_t, t) must have the shape of"),
    (lambda: reverse.ddim_transition(SHORT, zero, X, -1, 2), "s runs over 0..5; got -1."),
    (lambda: next(reverse.ddim_path(SHORT, zero, 1.0, rng(), 2)), "x_T must have shape (..., d)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_argument_is_answered_with_the_rule(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the words are compared below
        call()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("generator", [None, 0, np.random, np.random.RandomState(0)], ids=str)
def test_what_is_no_generator_is_refused_even_where_no_noise_is_added(generator):
    for call in (
        lambda: reverse.ddim(SHORT, zero, 3, 2, generator, 2),
        lambda: next(reverse.ddim_path(SHORT, zero, X, generator, 2)),
    ):
        with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator"):
            call()


@pytest.mark.parametrize("schedule", [Schedule.reciprocal(5), Schedule.vp(5).zero_terminal_snr()], ids=str)
def test_from_pure_noise_eps_says_nothing_of_x_0(schedule):
    for call in (
        lambda: reverse.ddim(schedule, zero, 3, 2, rng(), 5),
        lambda: reverse.ddim_transition(schedule, zero, X, 3, 5),
    ):
        with pytest.raises(ValueError, match=r"t = 5\b.*x_0"):
            call()
    assert reverse.ddim(schedule, zero, 3, 2, rng(), [1, 4]).shape == (3, 2)  # below it all is well
    assert reverse.ddim_var(schedule, 3, 5, 1.0) == schedule.one_minus_alpha_bar[3]


@pytest.mark.parametrize("dtype", [np.uint64, np.int32, np.uint8])
def test_steps_may_be_integers_of_any_kind(dtype):
    steps = np.array([3, 7, 20], dtype)
    schedule = Schedule.vp(20)
    found, expected = (
        reverse.ddim(schedule, lambda x, t: 0.1 * x, 4, 2, np.random.default_rng(0), steps=one)
        for one in (steps, steps.tolist())
    )
    np.testing.assert_array_equal(found, expected)
