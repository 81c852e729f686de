"""Samplers beside each other: each has the order that it declares, asks as often as it says, and tends to the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from refdiff import GaussianMixture, Schedule, continuous, distance, guidance, network, reverse, samplers, toys
from refdiff import score as score_module
from refdiff.parameterize import x_0_from_eps
from refdiff.samplers import SAMPLERS, SPACINGS, Process

EIGHT = GaussianMixture(*toys.eight_gaussians_mixture())
MEAN, VAR = 1.5, 0.3
NORMAL = GaussianMixture([1.0], [[MEAN]], VAR)
T, FIRST = 2**18, 2**13  # so many steps that the nearest to a place is there; from s = 1 to s = 1/32


def rng(seed=0):
    return np.random.default_rng(seed)


class Impulse(np.random.Generator):
    """A generator whose k-th draw is 1 at the k-th point and 0 at the others: what comes out is the weight of z_k."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.drawn = 0

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        z = np.zeros(size)
        z[self.drawn] = 1.0
        self.drawn += 1
        return z


def smooth_grid(one, process, steps):
    """Return steps or times that are even in log SNR from s = 1 to s = 1/32, and where that is."""
    sde = process.sde
    times = continuous.log_snr_times(sde, steps, 1.0, FIRST / T)
    if one.in_time:
        return times, times[-1]
    return np.round(times[::-1] * T).astype(int), FIRST


def where_it_gets(one, process, x, rng, steps):
    """Return the points at s = 1/32."""
    grid, last = smooth_grid(one, process, steps)
    return next(x for t, x in one.path(process, x, rng, grid) if t == last)


def law_of(one, process, steps):
    """Return mean and variance of the points at s = 1/32, without chance: their start and all noise enter linearly."""
    start = continuous.diffused(process.sde, NORMAL, 1.0)
    room = 8 * steps
    x = np.full((room + 2, 1), start.mean[0])
    x[-1] += 1.0
    noise = Impulse()
    out = where_it_gets(one, process, x, noise, steps)[:, 0]
    assert noise.drawn < room
    assert (noise.drawn > 0) == one.noisy
    mean = out[-2]
    weights = out[: noise.drawn] - mean
    return mean, (out[-1] - mean) ** 2 * start.var[0] + weights @ weights


def slope(errors):
    """Return the order at which errors fall while the number of steps doubles, by regression."""
    return -np.polyfit(np.arange(len(errors)), np.log2(np.abs(errors)), 1)[0]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_has_the_order_that_it_declares(name):
    one, process = SAMPLERS[name], Process.of_mixture(NORMAL, T)
    truth = continuous.diffused(process.sde, NORMAL, FIRST / T)
    mean, var = np.transpose([law_of(one, process, steps) for steps in (64, 128, 256, 512)])
    assert slope(var - truth.var[0]) == pytest.approx(one.order, abs=0.1)
    # where x is at its mean, all but Euler-Maruyama's steps keep it there, exactly
    exact = np.abs(mean - truth.mean[0]).max() < 1e-13
    assert exact or slope(mean - truth.mean[0]) == pytest.approx(one.order, abs=0.1)
    assert exact == (name not in ("euler_maruyama", "predictor_corrector"))


def counted(process):
    """Return a process that counts how often it is asked, and the list in which it does."""
    asked = []

    def counting(function):
        def called(x, t):
            asked.append(t)
            return function(x, t)

        return called

    return replace(process, denoiser=counting(process.denoiser), score=counting(process.score)), asked


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_asks_as_often_as_it_says_and_ends_at_clean_data(name, spacing):
    one, (process, asked) = SAMPLERS[name], counted(Process.of_mixture(EIGHT, 100))
    for steps in (1, 2, 7):
        asked.clear()
        grid = one.grid(process, steps, spacing)
        walked = list(one.path(process, rng().standard_normal((3, 2)), rng(), grid))
        assert len(asked) == one.calls(steps)
        assert len(walked) == steps == one.steps(one.calls(steps))
        assert walked[-1][0] == 0
        assert 0 not in asked


@pytest.mark.parametrize("name", SAMPLERS)
def test_as_many_calls_as_are_allowed_and_no_more(name):
    one = SAMPLERS[name]
    for allowed in range(one.calls(1), 12):
        assert one.calls(one.steps(allowed)) <= allowed < one.calls(one.steps(allowed) + 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_many_steps_each_sampler_comes_near_the_data(name):
    values = [samplers.error(name, EIGHT, 200, 500, rng(seed), spacing="edm") for seed in range(4)]
    exact = [distance.energy_to_mixture(EIGHT.sample(500, rng(seed)), EIGHT) for seed in range(40)]
    assert np.mean(values) < 5 * np.std(exact) / 2  # five standard errors of the mean of four


def test_a_spacing_starts_at_T_and_knows_where_the_last_step_begins():
    process = Process.of_mixture(EIGHT, 100)
    for spacing in ("log_snr", "edm"):
        of_chain, of_time = (SAMPLERS[name].grid(process, 6, spacing, 5) for name in ("ddim", "edm"))
        assert (of_chain[0], of_chain[-1]) == (5, 100)
        assert of_time[[0, -2, -1]].tolist() == [1.0, 0.05, 0.0]
        np.testing.assert_allclose(of_time[-2::-1] * 100, of_chain, atol=0.5 + 1e-9)
    np.testing.assert_array_equal(SAMPLERS["ddim"].grid(process, 4), [25, 50, 75, 100])
    np.testing.assert_array_equal(SAMPLERS["edm"].grid(process, 4), [1.0, 0.75, 0.5, 0.25, 0.0])


def test_the_same_seed_begins_at_the_same_points_whatever_the_sampler():
    starts = []
    for name in SAMPLERS:
        process = replace(Process.of_mixture(EIGHT, 20))
        x_T = []

        def first(function, x_T=x_T):
            def called(x, t):
                x_T.append(x.copy())
                return function(x, t)

            return called

        process = replace(process, denoiser=first(process.denoiser), score=first(process.score))
        samplers.error(name, EIGHT, 3, 5, rng(3), process=process)
        starts.append(x_T[0])
    for other in starts[1:]:
        np.testing.assert_allclose(other, starts[0], rtol=1e-15)


def gap(worse, better, n=2000, **how):
    """Return by how many standard errors one sampler is further from the data than another, from the same x_T.

    By Student's law with seven degrees of freedom a number above 6 comes once in four thousand by chance.
    """
    _, *scores = samplers.race(EIGHT, [10], range(8), n, names=[better, worse], **how)
    further = np.subtract(scores[1].values, scores[0].values)
    return further.mean() / (further.std(ddof=1) / math.sqrt(len(further)))


def test_at_ten_calls_the_second_order_comes_before_ddim_and_ddim_before_the_posterior_variance():
    assert gap("ddim", "dpmpp_2m") > 6
    assert gap("ancestral", "ddim", n=5000) > 6  # which is the least gap


def test_at_ten_calls_the_variance_beta_comes_before_ddim_which_comes_before_the_posterior_variance():
    """Noise does no harm: its variance did, which with few steps is too small for all data but a point."""
    assert gap("ddim", "ancestral_beta", spacings=["log_snr"]) > 6
    assert gap("ancestral", "ancestral_beta", spacings=["log_snr"]) > 6


def test_a_denoiser_may_use_its_buffer_again():
    """As a network with memory of its own does: each answer is copied before the next is asked for."""
    ideal, schedule, sde = EIGHT.denoiser(Schedule.vp(50)), Schedule.vp(50), continuous.VP()
    room = np.empty((4, 2))

    def reusing(x_t, t):
        room[...] = ideal(x_t, t)
        return room

    def answers(denoiser):
        def half(x_t, t):
            answer = denoiser(x_t, t)
            answer *= 0.5  # in place, as a second answer from the same buffer is
            return answer

        x = rng().standard_normal((4, 2))
        yield samplers.draw("heun", Process(schedule, denoiser), x, rng(), 5)
        yield guidance.classifier_free(denoiser, half, 1.0)(x, 5)
        between = continuous.denoiser_between_steps(denoiser, 50)
        yield between(x, 0.33)
        score = continuous.score_from_denoiser(sde, lambda x, s: denoiser(x, 7))
        yield continuous.divergence(score, x, 0.2)
        yield from score_module.jacobian(lambda x: denoiser(x, 7), x)

    for right, found in zip(answers(ideal), answers(reusing), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)


def test_the_last_step_returns_a_mean_and_leaves_modes_too_narrow_by_the_amount_stated():
    """From t = 20 the mean of x_0 given x_t has the share v / (v + r) of the variance v, r the noise beside x_0."""
    process, v = Process.of_mixture(EIGHT), EIGHT.variances[0, 0]
    r = 1 / process.schedule.snr[20]
    assert math.sqrt(v / (v + r)) == pytest.approx(0.914, abs=5e-4)
    narrow = GaussianMixture(EIGHT.weights, EIGHT.means, v * v / (v + r))
    # of the same components and the same normals, so that only the width is different
    pairs = ((law.sample(1000, rng(seed)) for law in (narrow, EIGHT)) for seed in range(100))
    further = np.array([np.subtract(*(distance.energy_to_mixture(x, EIGHT) for x in pair)) for pair in pairs])
    assert further.mean() == pytest.approx(7.3e-5, abs=5 * further.std() / 10)
    assert further.std() / 10 < 1e-5
    x = EIGHT.diffused(process.schedule, 20).sample(20_000, rng())
    guess = x_0_from_eps(process.schedule, x, process.denoiser(x, 20), 20)
    late = EIGHT.diffused(process.schedule, 60).sample(20_000, rng())
    much = distance.energy_to_mixture(x_0_from_eps(process.schedule, late, process.denoiser(late, 60), 60), EIGHT)
    assert much > 10 * 7.3e-5
    nearest = EIGHT.means[np.argmin(np.linalg.norm(guess[:, None] - EIGHT.means, axis=2), axis=1)]
    assert np.mean((guess - nearest) ** 2) == pytest.approx(v * v / (v + r), rel=5 * math.sqrt(2 / 40_000))


def walked(process, steps, mean, var):
    """Return how far from the eight Gaussians steps with some mean and some variance lead, one value a seed."""
    values = []
    for seed in range(4):
        draws = rng(seed)
        x = draws.standard_normal((2000, 2))
        for t, s in zip(steps[::-1], [*steps[-2::-1], 0]):
            x = mean(x, t, s) + (math.sqrt(var(t, s)) if s else 0.0) * draws.standard_normal(x.shape)
        values.append(distance.energy_to_mixture(x, EIGHT))
    return np.array(values)


def test_what_euler_maruyama_gains_on_the_eight_gaussians_it_gains_by_the_overshoot_of_its_mean():
    process = Process.of_mixture(EIGHT)
    steps, schedule = [int(t) for t in reverse.log_snr_steps(process.schedule, 10, first=20)], process.schedule

    def beta(t, s):
        return -math.expm1(schedule.log_alpha_bar[t] - schedule.log_alpha_bar[s])

    def ancestral(x, t, s):
        score = -process.denoiser(x, t) / schedule.noise_rate[t]
        return (x + beta(t, s) * score) / math.sqrt(1 - beta(t, s))

    def frozen(x, t, s):
        return continuous.euler_maruyama_transition(process.sde, process.score, x, t / 1000, s / 1000).mean

    def frozen_var(t, s):
        return (t - s) / 1000 * process.sde.beta(t / 1000)

    (own_mean, own_var) = (walked(process, steps, *how) for how in ((frozen, beta), (ancestral, frozen_var)))
    assert frozen_var(1000, 912) > 2 * beta(1000, 912)
    assert own_mean.mean() < 1e-3 < 2e-3 < own_var.mean()


def test_with_few_steps_even_in_log_snr_the_second_slope_of_heun_leads_far_out():
    assert gap("heun", "ddim", spacings=["log_snr"]) > 50


def test_a_race_leaves_out_what_so_few_calls_do_not_allow():
    scores = list(samplers.race(EIGHT, [1], range(2), 10, names=["ddim", "edm"], T=20))
    assert [(score.sampler, score.calls) for score in scores] == [("exact", 0), ("ddim", 1), ("edm", 1)]
    assert all(len(score.values) == 2 for score in scores)
    assert math.isnan(next(samplers.race(EIGHT, [5], [0], 10)).standard_error)


def test_a_network_may_take_the_place_of_the_ideal_denoiser():
    """All samplers of a chain and in continuous time take an MLP, which knows whole steps only."""
    model = network.MLP(2, rng=rng(), width=8, depth=1)
    process = Process.of_denoiser(model, 50)
    for name, one in SAMPLERS.items():
        x = samplers.draw(name, process, rng().standard_normal((4, 2)), rng(1), one.steps(9), "log_snr")
        assert np.isfinite(x).all()
    ideal, process = EIGHT.denoiser(Schedule.vp(50)), Process.of_mixture(EIGHT, 50)
    x_T = rng().standard_normal((4, 2))
    for name in ("ddim", "dpmpp_2m"):
        found, right = (samplers.draw(name, one, x_T, rng(), 10) for one in (Process.of_denoiser(ideal, 50), process))
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: samplers.draw("ddpm", None, [[0.0]], rng(), 5),
            "sampler must be one of ancestral,",
        ),
        (lambda: samplers.error("ddpm", EIGHT, 5, 10, rng()), "sampler must be one of ancestral,"),
        (lambda: samplers.error("ddim", EIGHT, 5, 1, rng()), "n must be at least 2; got 1"),
        (lambda: samplers.error("ddim", EIGHT, 0, 10, rng()), "calls must be at least 1; got 0"),
        (
            lambda: next(samplers.race(EIGHT, [5], [0], 10, names=["ddpm"])),
            "names must be one of ancestral,",
        ),
        (lambda: next(samplers.race(EIGHT, [5], [0], 10, spacings=["odd"])), "spacings must be one of even, log_snr"),
        (lambda: SAMPLERS["ddim"].grid(Process.of_mixture(EIGHT), 5, "odd"), "spacing must be one of even, log_snr"),
        (
            lambda: SAMPLERS["edm"].grid(Process.of_mixture(EIGHT), 5, "edm", 1000),
            "first must be below T = 1000",
        ),
        (lambda: SAMPLERS["ddim"].grid(Process.of_mixture(EIGHT), 5, "edm", 1001), "first must be at most T = 1000"),
        (lambda: Process.of_mixture([0.0]), "mixture must be a GaussianMixture; got list"),
        (lambda: Process.of_mixture(EIGHT, sde=continuous.VE()), "sde must be a VP"),
        (lambda: Process.of_denoiser(5, 10), "denoiser must be a callable"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_rule(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
