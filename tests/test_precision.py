"""Digits: the schedule and the posterior against arithmetic with 50 of them."""

import warnings

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from refdiff import bayes, gaussian
from refdiff.gaussian import Gaussian
from refdiff.schedule import Schedule

CONSTRUCTORS = {
    "linear": lambda T: Schedule.linear(T, 1e-4, 0.021),
    "scaled_linear": lambda T: Schedule.scaled_linear(T, 0.00085, 0.0121),
    "cosine": Schedule.cosine,
    "sigmoid": lambda T: Schedule.sigmoid(T, 1e-4, 0.021),
    "constant": lambda T: Schedule.constant(T, 0.01),
    "vp": Schedule.vp,
}


def exact_one_minus_alpha_bar(beta, at):
    """Return 1 - alpha_bar at the steps `at`, by multiplying 50-digit numbers."""
    product, found = mpf(1), {}
    for t, b in enumerate(beta, start=1):
        product *= 1 - mpf(float(b))
        if t in at:
            found[t] = 1 - product
    return found


def worst_relative_error(values, truth):
    return max(float(abs(mpf(float(values[t])) / truth[t] - 1)) for t in truth)


def steps_to_look_at(T):
    return {int(t) for t in np.unique(np.round(np.geomspace(1, T, 40)))}


@pytest.mark.parametrize("T", [1, 2, 10, 1_000, 100_000])
@pytest.mark.parametrize("low", [1e-12, 1e-8, 1e-4])
def test_one_minus_alpha_bar_keeps_fourteen_digits(T, low):
    beta = np.geomspace(low, min(1e3 * low, 0.5), T)
    with mpmath.workdps(50):
        truth = exact_one_minus_alpha_bar(beta, steps_to_look_at(T))
        assert worst_relative_error(Schedule.from_betas(beta).one_minus_alpha_bar, truth) < 1e-14


def test_one_minus_alpha_bar_keeps_fourteen_digits_over_a_million_steps():
    beta = np.random.default_rng(0).uniform(1e-12, 2e-6, 1_000_000)
    with mpmath.workdps(50):
        truth = exact_one_minus_alpha_bar(beta, steps_to_look_at(beta.size))
        assert worst_relative_error(Schedule.from_betas(beta).one_minus_alpha_bar, truth) < 1e-14
        plain = np.append(0.0, -np.expm1(np.cumsum(np.log1p(-beta))))
        assert worst_relative_error(plain, truth) > 1e-14, (
            "a plain running sum would do: the compensation proves nothing"
        )


@pytest.mark.parametrize("name", CONSTRUCTORS)
@pytest.mark.parametrize("T", [1, 2, 10, 1_000, 20_000])
def test_named_schedules_keep_fourteen_digits_of_one_minus_alpha_bar(name, T):
    schedule = CONSTRUCTORS[name](T)
    with mpmath.workdps(50):
        truth = exact_one_minus_alpha_bar(schedule.beta[1:], steps_to_look_at(T))
        assert worst_relative_error(schedule.one_minus_alpha_bar, truth) < 1e-14


@pytest.mark.parametrize("T", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("name", [*CONSTRUCTORS, "reciprocal"])
def test_schedules_of_any_length_are_finite_and_silent(name, T):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = {**CONSTRUCTORS, "reciprocal": Schedule.reciprocal}[name](T)
    assert schedule.T == T
    for field in (
        "beta",
        "alpha",
        "alpha_bar",
        "one_minus_alpha_bar",
        "signal_rate",
        "noise_rate",
        "snr",
        "beta_tilde",
    ):
        values = getattr(schedule, field)
        assert values.shape == (T + 1,)
        assert not np.isnan(values).any()
        assert np.isfinite(values[1:]).all()
    assert schedule.alpha_bar[0] == 1
    assert schedule.beta_tilde[1] == 0
    assert (np.diff(schedule.alpha_bar) <= 0).all()
    assert (schedule.beta_tilde[1:] <= schedule.beta[1:]).all()


@pytest.mark.parametrize("schedule", [Schedule.linear(), Schedule.cosine()], ids=["linear-1000", "cosine-1000"])
def test_the_posterior_keeps_twelve_digits_at_every_step(schedule):
    x_0, x_t = np.array([0.7, -1.3]), np.array([1.1, -0.4])  # each coordinate adds up, none cancels
    with mpmath.workdps(50):
        alpha_bar, worst = mpf(1), 0.0
        for t in range(1, schedule.T + 1):
            beta = mpf(float(schedule.beta[t]))
            before, alpha_bar = alpha_bar, alpha_bar * (1 - beta)
            q = bayes.posterior(schedule, x_0, x_t, t)
            c_0 = mpmath.sqrt(before) * beta / (1 - alpha_bar)
            c_t = mpmath.sqrt(1 - beta) * (1 - before) / (1 - alpha_bar)
            for i in range(2):
                mean = c_0 * mpf(float(x_0[i])) + c_t * mpf(float(x_t[i]))
                worst = max(worst, float(abs(mpf(float(q.mean[i])) / mean - 1)))
            var = (1 - before) / (1 - alpha_bar) * beta
            worst = max(worst, float(abs(mpf(float(q.var[0])) / var - 1)) if t > 1 else float(q.var[0]))
    assert worst < 1e-12


@pytest.mark.parametrize("ratio", [1e-12, 1e-3, 0.4, 0.6, 1 - 1e-9, 1.0, 1 + 1e-9, 3.0, 1e12])
def test_the_divergence_keeps_its_digits_for_any_ratio_of_variances(ratio):
    with mpmath.workdps(50):
        exact = (mpf(ratio) - 1 - mpmath.log(mpf(ratio))) / 2
        found = float(gaussian.kl(Gaussian([0.0], ratio), Gaussian([0.0], 1.0)))
        assert found == pytest.approx(float(exact), rel=1e-6, abs=1e-30)
        assert found >= 0


def test_the_rates_stay_finite_where_the_signal_is_lost():
    schedule = Schedule.constant(5_000, 0.5)  # alpha_bar underflows to 0 at t = 1075
    assert schedule.alpha_bar[-1] == 0
    assert np.isfinite(schedule.log_alpha_bar).all()
    assert np.isfinite(schedule.beta_tilde).all()
    q = bayes.posterior(schedule, [1.0], [1.0], schedule.T)
    np.testing.assert_allclose([q.mean[0], q.var[0]], [np.sqrt(0.5), 0.5])
