"""What the chapter on the score promises beside its equations: samplers that find modes, one minimiser, errors."""

import math

import numpy as np
import pytest

from refdiff import likelihood, parameterize, reverse, score
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

DATA = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [0.5, -0.2]], [0.1, 0.3])
SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
IDEAL = score.from_denoiser(SCHEDULE, DATA.denoiser(SCHEDULE))


def rng(seed=0):
    return np.random.default_rng(seed)


def standard(x, t=None):
    return -np.asarray(x)


def log_standard(x):
    return -np.sum(x**2, axis=-1) / 2


def z_of_var(x, var):
    """Return how many standard errors the mean square of normal draws is away from what is claimed."""
    return (np.mean(x**2) / var - 1) / math.sqrt(2 / x.size)


# ---------------------------------------------------------------------------------------------- Langevin and Metropolis


@pytest.mark.parametrize("h", [0.1, 0.5, 1.5])
def test_unadjusted_langevin_settles_at_its_own_variance_and_mala_at_that_of_the_target(h):
    # one chain a point, so that the draws are independent; forty steps of the slowest forget all but 2e-4
    start = rng().standard_normal((80_000, 1))
    ula = score.langevin(standard, start, rng(1), h, 40)
    mala = score.mala(log_standard, standard, start, rng(2), h, 40)
    settled = 1 / (1 - h / 2) * (1 - (1 - h) ** 80) + (1 - h) ** 80
    assert abs(z_of_var(ula, settled)) < 5
    assert abs(z_of_var(mala, 1.0)) < 5
    assert abs(z_of_var(ula, 1.0)) > 5


def test_the_seeds_convention_has_half_the_bias():
    """With x' = x + (h/2) s + sqrt(h) z the same h stands for half of the step."""
    h, noise = 1.0, rng()
    x = noise.standard_normal((40_000, 1))
    for _ in range(40):
        x = x + h / 2 * standard(x) + math.sqrt(h) * noise.standard_normal(x.shape)
    assert abs(z_of_var(x, float(score.langevin_var(h / 2)))) < 5
    assert float(score.langevin_var(h / 2)) == pytest.approx(1 / (1 - h / 4))


WEIGHTS, AT, WIDTH = np.array([0.8, 0.2]), 4.0, 0.1  # two modes at -4 and 4, twenty-five of their widths apart


def score_of_two_modes(schedule):
    """Return the score of two modes of one width, in closed form."""

    def two(x, t):
        mode, var = schedule.signal_rate[t] * AT, schedule.alpha_bar[t] * WIDTH + schedule.one_minus_alpha_bar[t]
        return (mode * np.tanh(mode * x / var + math.log(WEIGHTS[1] / WEIGHTS[0]) / 2) - x) / var

    return two


def test_annealed_langevin_finds_the_weights_of_two_far_modes_where_plain_langevin_does_not():
    schedule, n, steps = Schedule.vp(50), 20_000, 20
    two = score_of_two_modes(schedule)
    data = GaussianMixture(WEIGHTS, [[-AT], [AT]], WIDTH)
    x = np.array([[-3.5], [0.1], [2.0]])
    np.testing.assert_allclose(two(x, 7), data.diffused(schedule, 7).score(x), rtol=1e-12)
    annealed = score.annealed_langevin(schedule, two, rng().standard_normal((n, 1)), rng(1), 0.2, steps)
    assert np.mean(annealed < 0) == pytest.approx(0.8, abs=0.03)
    start = AT + math.sqrt(WIDTH) * rng(2).standard_normal((1_000, 1))
    plain = score.langevin(data.score, start, rng(3), 0.02, schedule.T * steps)
    assert (plain > 0).all()
    assert plain.mean() == pytest.approx(AT, abs=5 * math.sqrt(WIDTH / 500))


def test_annealed_langevin_is_the_published_algorithm_in_the_units_of_the_data():
    """In y = x / sqrt(alpha_bar) the noise levels are 1/SNR, the step is h / SNR, and nothing is rescaled."""
    x_T, h, steps = DATA.sample(5, rng()), 0.3, 3
    found = score.annealed_langevin(SCHEDULE, IDEAL, x_T, rng(1), h, steps)
    y, noise = x_T / SCHEDULE.signal_rate[-1], rng(1)
    for t in range(SCHEDULE.T, 0, -1):
        level = GaussianMixture(DATA.weights, DATA.means, DATA.variances + 1 / SCHEDULE.snr[t])
        step = h / SCHEDULE.snr[t]
        for _ in range(steps):
            y = y + step * level.score(y) + math.sqrt(2 * step) * noise.standard_normal(y.shape)
    np.testing.assert_allclose(found, y, rtol=1e-10)


def test_mala_needs_no_normaliser_no_right_score_and_stays_where_there_is_density():
    x = rng().exponential(size=(20_000, 1))
    with np.errstate(all="raise"):
        kept = score.mala(lambda x: np.where(x[:, 0] > 0, 3.0 - x[:, 0], -np.inf), np.zeros_like, x, rng(1), 0.5, 5)
    assert (kept > 0).all()
    assert np.mean(kept) == pytest.approx(1.0, abs=5 / math.sqrt(len(x)))


def test_mala_accepts_as_much_as_its_formula_says():
    shares = []
    x = rng().standard_normal((20_000, 1))
    score.mala(log_standard, standard, x, rng(1), 1.0, 3, progress=lambda k, share: shares.append(share))
    for share in shares:
        assert share == pytest.approx(float(score.mala_acceptance(1.0)), abs=5 * 0.5 / math.sqrt(len(x)))


def test_steps_from_one_level_to_the_next_and_steps_within_it():
    """The numbers of a derivation that calls the one the other: .703 is kept by Langevin and turned to .542 by DDPM."""
    v = 0.702685
    assert float(score.ancestral_var(1e-9, v)) == pytest.approx(0.5417, abs=1e-4)
    assert float(score.langevin_var(1e-9, v)) == pytest.approx(v, abs=1e-8)


# ----------------------------------------------------------------------------------------------------- with the others


def test_a_score_is_a_denoiser_in_other_units():
    x_t, t = DATA.sample(4, rng()), np.array([1, 2, 3, 4])
    again = score.to_denoiser(SCHEDULE, IDEAL)
    np.testing.assert_allclose(again(x_t, t), DATA.denoiser(SCHEDULE)(x_t, t), rtol=1e-14)
    for s in t:
        np.testing.assert_allclose(IDEAL(x_t, s), DATA.diffused(SCHEDULE, s).score(x_t), rtol=1e-12)


def test_the_ancestral_step_of_a_score_is_that_of_its_denoiser():
    x_t, t = DATA.sample(4, rng()), np.array([1, 2, 3, 4])
    for variance in ("beta", "posterior", SCHEDULE.beta):
        p = score.ancestral_transition(SCHEDULE, IDEAL, x_t, t, variance)
        q = reverse.transition(SCHEDULE, DATA.denoiser(SCHEDULE), x_t, t, variance)
        np.testing.assert_allclose(p.mean, q.mean, rtol=1e-12)
        np.testing.assert_array_equal(p.var, q.var)


def test_tweedie_is_what_the_mixture_knows_of_x_0():
    x_t = DATA.sample(6, rng())
    for t in (1, 4):
        known = DATA.posterior_x_0(SCHEDULE, x_t, t)
        np.testing.assert_allclose(score.tweedie(SCHEDULE, IDEAL, x_t, t), known.mean, rtol=1e-10)
        cov = score.tweedie_cov(SCHEDULE, IDEAL, x_t, t)
        np.testing.assert_allclose(np.diagonal(cov, axis1=-2, axis2=-1), known.var, rtol=1e-7)
        np.testing.assert_allclose(cov, np.swapaxes(cov, -1, -2), atol=1e-9)
        assert (np.linalg.eigvalsh(cov) > 0).all()
        at_points = parameterize.x_0_from_score(SCHEDULE, x_t, IDEAL(x_t, t), t)
        np.testing.assert_array_equal(score.tweedie(SCHEDULE, IDEAL, x_t, t), at_points)


def test_the_covariance_is_the_jacobian_of_the_mean():
    x_t, t = DATA.sample(3, rng()), 2
    slope = score.jacobian(lambda x, t: score.tweedie(SCHEDULE, IDEAL, x, t), x_t, t)
    scale = SCHEDULE.one_minus_alpha_bar[t] / SCHEDULE.signal_rate[t]
    np.testing.assert_allclose(score.tweedie_cov(SCHEDULE, IDEAL, x_t, t), scale * slope, rtol=1e-7, atol=1e-9)


def test_a_linear_denoiser_is_a_score_too():
    denoiser = likelihood.linear_denoiser(SCHEDULE, 0.5, 0.1)
    x_t = DATA.sample(3, rng())
    np.testing.assert_allclose(
        score.from_denoiser(SCHEDULE, denoiser)(x_t, 3), -denoiser(x_t, 3) / SCHEDULE.noise_rate[3], rtol=1e-14
    )


# ------------------------------------------------------------------------------------------------------ score matching


def best_slope(loss):
    """Return the a for which the mean loss of s(x) = -a x is least: the vertex of the parabola through three."""
    low, middle, high = (np.mean(loss(lambda x, t=None, a=a: -a * np.asarray(x))) for a in (0.0, 1.0, 2.0))
    return 1 + (low - high) / (2 * (low - 2 * middle + high))


def test_four_losses_have_one_minimiser():
    """Of a normal sample the implicit loss finds 1 / mean square, to many digits; the others the same in the mean."""
    n, v, t = 200_000, 0.6, 2
    x_0 = math.sqrt(v) * rng().standard_normal((n, 2))
    eps = rng(1).standard_normal((n, 2))
    x_t = SCHEDULE.signal_rate[t] * x_0 + SCHEDULE.noise_rate[t] * eps
    var = SCHEDULE.alpha_bar[t] * v + SCHEDULE.one_minus_alpha_bar[t]
    signs = np.where(rng(2).random((n, 2)) < 0.5, -1.0, 1.0)
    truth = 1 / var
    implicit = best_slope(lambda s: score.implicit_loss(s, x_t))
    assert implicit == pytest.approx(1 / np.mean(x_t**2), rel=1e-8)
    assert best_slope(lambda s: score.sliced_loss_reduced(s, x_t, signs)) == pytest.approx(implicit, rel=1e-8)
    assert best_slope(lambda s: score.explicit_loss(s, lambda x: -x / var, x_t)) == pytest.approx(truth, rel=1e-12)
    found = [
        implicit,
        best_slope(lambda s: score.denoising_loss(SCHEDULE, s, x_0, x_t, t)),
        best_slope(lambda s: score.sliced_loss(s, x_t, signs)),
    ]
    assert found == pytest.approx([truth] * 3, rel=0.02)  # a mean of squares of so many is known to .002


def test_unit_directions_do_no_harm_to_the_sliced_loss_but_to_the_reduced_one():
    x, v = rng().standard_normal((100_000, 3)), rng(1).standard_normal((100_000, 3))
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    assert best_slope(lambda s: score.sliced_loss(s, x, unit)) == pytest.approx(1.0, abs=0.05)
    assert best_slope(lambda s: score.sliced_loss_reduced(s, x, unit)) == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("at", [0.5, 3.0])
def test_the_reduced_loss_varies_less_where_the_score_is_large_and_more_near_a_mode(at):
    n = 400_000
    x, v = np.full((n, 2), at), rng(1).standard_normal((n, 2))
    less = score.sliced_loss(standard, x, v).var() - score.sliced_loss_reduced(standard, x, v).var()
    square = 2 * at**2  # |s|^2 = -s' (grad s) s
    assert less == pytest.approx(2 * square**2 - 8 * square, rel=0.1)
    assert (less > 0) == (at == 3.0)


def test_the_gap_of_mixture_data_is_between_its_bounds():
    gap = score.denoising_gap(SCHEDULE, DATA.eps_loss(SCHEDULE), 2)
    assert gap[0] == 0
    assert (gap[1:] > 0).all()
    assert (gap[1:] < 2 / SCHEDULE.one_minus_alpha_bar[1:]).all()


# ------------------------------------------------------------------------------------------------------------ the door


def test_the_same_seed_gives_the_same_points_and_the_start_is_left_alone():
    x = rng().standard_normal((5, 2))
    before = x.copy()
    for run in (
        lambda: score.langevin(standard, x, rng(1), 0.5, 3),
        lambda: score.mala(log_standard, standard, x, rng(1), 0.5, 3),
        lambda: score.annealed_langevin(SCHEDULE, IDEAL, x, rng(1), 0.2, 2),
    ):
        np.testing.assert_array_equal(run(), run())
    np.testing.assert_array_equal(x, before)


def test_a_chain_and_its_end_are_one():
    x = rng().standard_normal((5, 2))
    *_, (_, end) = score.langevin_chain(standard, x, rng(1), 0.5, 3)
    np.testing.assert_array_equal(end, score.langevin(standard, x, rng(1), 0.5, 3))
    *_, (_, end, _) = score.mala_chain(log_standard, standard, x, rng(1), 0.5, 3)
    np.testing.assert_array_equal(end, score.mala(log_standard, standard, x, rng(1), 0.5, 3))
    *_, (_, end) = score.annealed_langevin_chain(SCHEDULE, IDEAL, x, rng(1), 0.2, 2)
    whole = score.annealed_langevin(SCHEDULE, IDEAL, x, rng(1), 0.2, 2)
    np.testing.assert_array_equal(end / SCHEDULE.signal_rate[1], whole)


def test_a_chain_that_stops_and_goes_on_is_the_same_chain():
    """Nothing of a step is left for the next but the point: neither its density nor the law of its proposal."""
    x = rng().standard_normal((200, 2))
    for run in (
        lambda x, noise, steps: score.langevin(standard, x, noise, 1.5, steps),
        lambda x, noise, steps: score.mala(log_standard, standard, x, noise, 1.5, steps),
    ):
        whole, noise, x_k = run(x, rng(1), 6), rng(1), x
        for steps in (1, 2, 3):
            x_k = run(x_k, noise, steps)
        np.testing.assert_array_equal(x_k, whole)


def test_a_step_too_large_is_an_error_and_not_a_warning():
    with pytest.raises(RuntimeError, match="left the finite numbers at step"):
        score.langevin(lambda x: -(x**3), np.full((2, 1), 3.0), rng(), 1.0, 50)
    with pytest.raises(RuntimeError, match="h is too large"):
        score.annealed_langevin(SCHEDULE, lambda x, t: -standard(x), np.ones((2, 1)), rng(), 9.0, 2000)


X = np.ones((4, 2))
REFUSED = {
    "a score that is an array": (lambda: score.tweedie(SCHEDULE, X, X, 1), TypeError, "score must be a callable"),
    "a score of another shape": (
        lambda: score.langevin(lambda x: x[:, 0], X, rng(), 0.1, 1),
        ValueError,
        "must have the shape of x",
    ),
    "zero-based t": (lambda: score.tweedie(SCHEDULE, IDEAL, X, 0), ValueError, "Add 1"),
    "t for other points": (lambda: score.jacobian(standard, X, [1, 2]), ValueError, "t must be one number or one per"),
    "h of 0": (lambda: score.langevin(standard, X, rng(), 0.0, 1), ValueError, "h must be one number > 0"),
    "h of inf": (lambda: score.mala(log_standard, standard, X, rng(), np.inf, 1), ValueError, "h must be one number"),
    "h for each point": (lambda: score.langevin_chain(standard, X, rng(), [0.1], 1), ValueError, "h must be one"),
    "steps of 0": (lambda: score.langevin_chain(standard, X, rng(), 0.1, 0), ValueError, "steps must be at least 1"),
    "steps of 1.5": (lambda: score.mala_chain(log_standard, standard, X, rng(), 0.1, 1.5), TypeError, "steps must be"),
    "a seed for rng": (lambda: score.annealed_langevin_chain(SCHEDULE, IDEAL, X, 0, 0.1, 1), TypeError, "rng must be"),
    "one point": (lambda: score.langevin(standard, X[0], rng(), 0.1, 1), ValueError, r"x must have shape \(n, d\)"),
    "a density that is none": (lambda: score.mala(None, standard, X, rng(), 0.1, 1), TypeError, "log_density must be"),
    "a density per coordinate": (
        lambda: score.mala(lambda x: -(x**2), standard, X, rng(), 0.1, 1),
        ValueError,
        "one entry for each point",
    ),
    "a start without density": (
        lambda: score.mala_chain(lambda x: np.full(len(x), -np.inf), standard, X, rng(), 0.1, 1),
        ValueError,
        "must start where",
    ),
    "h where nothing settles": (lambda: score.langevin_var(2.0), ValueError, "does not settle"),
    "v of 0": (lambda: score.mala_acceptance(1.0, 0.0), ValueError, "var must be > 0"),
    "beta of 1": (lambda: score.ancestral_var(1.0, 0.5), ValueError, r"beta must be in \(0, 1\)"),
    "a wide law under small steps": (lambda: score.ancestral_var(0.01, 2.5), ValueError, "does not settle"),
    "a level without signal": (
        lambda: score.annealed_langevin_chain(Schedule.reciprocal(3), standard, X, rng(), 0.1, 1),
        ValueError,
        "alpha_t > 0",
    ),
    "no signal to go back to": (
        lambda: score.ancestral_transition(Schedule.reciprocal(3), standard, X, 3),
        ValueError,
        "alpha_t > 0",
    ),
    "no signal, covariance": (
        lambda: score.tweedie_cov(Schedule.reciprocal(3), standard, X, 3),
        ValueError,
        "alpha_bar_t > 0",
    ),
    "a Hessian of another shape": (
        lambda: score.tweedie_cov(SCHEDULE, standard, X, 1, hessian=lambda x, t: x),
        ValueError,
        "hessian",
    ),
    "beta_tilde_1 in a weight": (lambda: score.weight_score(SCHEDULE, 1, "posterior"), ValueError, "sigma_t.2 > 0"),
    "losses of T entries": (lambda: score.denoising_gap(SCHEDULE, [0.5] * 4, 2), ValueError, r"\(T \+ 1,\) = \(5,\)"),
    "losses below 0": (lambda: score.denoising_gap(SCHEDULE, [0, -1, 0, 0, 0], 2), ValueError, "must be >= 0"),
    "x_0 of another shape": (
        lambda: score.denoising_loss(SCHEDULE, IDEAL, X[:2], X, 1),
        ValueError,
        "must have the same shape",
    ),
    "one direction for all": (lambda: score.sliced_loss(standard, X, X[0]), ValueError, "must have the same shape"),
    "a step of 0": (lambda: score.jacobian(standard, X, step=0.0), ValueError, "step must be one number > 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_one_line_before_anything_is_drawn(name):
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
