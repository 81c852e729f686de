"""Schedules: what they are called, and the ends of what is allowed."""

import warnings

import numpy as np
import pytest

from refdiff.schedule import Schedule


def test_a_schedule_is_printed_with_its_ends():
    assert repr(Schedule.from_betas([0.1, 0.2, 0.4])) == "Schedule(T=3, beta 0.1..0.4, alpha_bar_T=0.432)"


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "sigmoid"])
@pytest.mark.parametrize("T", [2, 499])
def test_the_warning_says_which_schedule_is_too_short_and_what_to_do(name, T):
    with pytest.warns(UserWarning, match="quoted") as caught:
        getattr(Schedule, name)(T)
    assert str(caught[0].message) == (
        f"{name}(T={T}) with the range of beta quoted for T = 1000 ends far from noise, yet sampling starts from"
        " N(0, I). Use Schedule.vp(T) or Schedule.cosine(T), or state the range that is meant."
    )


@pytest.mark.parametrize("name", ["linear", "scaled_linear", "sigmoid"])
def test_a_quoted_range_is_let_pass_from_500_steps_on(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(Schedule, name)(500)


def test_the_warning_points_at_the_line_of_the_caller():
    with pytest.warns(UserWarning, match="quoted") as caught:
        Schedule.linear(50)
    assert caught[0].filename == __file__


def test_a_cosine_schedule_needs_no_offset():
    f = np.cos(np.arange(6) / 5 * np.pi / 2) ** 2
    np.testing.assert_allclose(Schedule.cosine(5, s=0.0).alpha_bar[:5], f[:5] / f[0], rtol=1e-14)


@pytest.mark.parametrize("choices", [{"s": -1e-9}, {"max_beta": 0.0}, {"max_beta": 1.0}, {"max_beta": 1.5}], ids=str)
def test_a_cosine_schedule_says_what_it_needs(choices):
    with pytest.raises(ValueError, match="cosine needs s >= 0 and 0 < max_beta < 1"):
        Schedule.cosine(5, **choices)


def test_steps_kept_stand_in_one_row():
    with pytest.raises(ValueError, match="steps must increase strictly"):
        Schedule.vp(5).respace([[1, 2]])


def test_a_ratio_of_signal_to_noise_that_no_float_holds_is_infinite_and_no_warning():
    with np.errstate(over="raise"):
        assert Schedule.from_betas([1e-310, 0.5]).snr[1] == np.inf


def test_a_signal_that_no_float_holds_is_0_whatever_numpy_is_told():
    with np.errstate(under="raise"):
        schedule = Schedule.constant(2000, 0.9)
    assert schedule.alpha_bar[-1] == schedule.signal_rate[-1] == schedule.snr[-1] == 0
    assert schedule.log_alpha_bar[-1] == pytest.approx(2000 * np.log(0.1), rel=1e-14)
