"""The pictures of the bound: what they show is compared with numbers found without `refdiff.plot`."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex

from refdiff import elbo, likelihood, plot, reverse
from refdiff.elbo import Rung
from refdiff.mixture import GaussianMixture
from refdiff.plot.scales import label_right, order_of, short_number
from refdiff.plot.style import BLUE, VERMILION
from refdiff.schedule import Schedule
from tests.test_plot import LINE, RUNGS, SCHEDULE, labelled, nothing_is_cut_off, rng, words

VP = tuple(Schedule.vp(T) for T in (5, 10, 20, 40))
NORMAL = GaussianMixture([1.0], [[0.0]], 1.0)


def dots(axes):
    """Return the points of the one scatter plot of the axes."""
    (found,) = [one for one in axes.collections if isinstance(one, PathCollection)]
    return np.array(found.get_offsets())


def curves(axes, marker):
    """Return the ordinates of the lines with that marker."""
    return [line.get_ydata() for line in axes.lines if line.get_marker() == marker]


def whiskers(container):
    """Return the lower and upper ends of the whiskers of an errorbar."""
    (bars,) = container[2]
    return np.array([segment[:, 1] for segment in bars.get_segments()])


# ----------------------------------------------------------------------------------------------------------- the ladder


def test_the_ladder_shows_variance_cost_and_mean_of_each_rung():
    figure = plot.variance_ladder(RUNGS)
    alone, at_cost, means = figure.axes
    rows = [2, 1, 0]  # the first on top
    np.testing.assert_array_equal(dots(alone), np.stack([[0.4, 47, 140], rows], axis=-1))
    np.testing.assert_allclose(dots(at_cost), np.stack([[20, 2350, 140], rows], axis=-1))
    np.testing.assert_array_equal(dots(means), np.stack([[1.21, 1.1, 1.4], rows], axis=-1))
    (bars,) = means.containers[0][2]
    np.testing.assert_allclose([np.ptp(one[:, 0]) for one in bars.get_segments()], [0.04, 0.4, 0.6])
    names = [text.get_text() for text in alone.get_yticklabels()]
    assert names == ["one chain", "a triple for each $t$", "one $t$, $x_t$ drawn"]
    assert [text.get_text() for text in at_cost.texts if "×" in text.get_text()] == ["× 50", "× 50", "× 1"]
    average = (1.21 * 1e4 + 1.1 * 1e2 + 1.4 / 0.15**2) / (1e4 + 1e2 + 1 / 0.15**2)
    (line,) = [line for line in means.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(line.get_xdata(), average)
    assert f"3 unbiased estimators of one bound, {average:.3f} nats" in words(figure)
    assert "differ 350-fold, at equal cost 120-fold" in words(figure)


def test_the_ladder_marks_what_varies_least_and_what_calls_least():
    alone, at_cost, _ = plot.variance_ladder(RUNGS).axes
    for axes, least in ((alone, "0.4"), (at_cost, "20")):
        assert [text.get_text() for text in axes.texts if text.get_weight() == "bold"] == [least]
        (found,) = [one for one in axes.collections if isinstance(one, PathCollection)]
        assert [to_hex(color).upper() for color in found.get_facecolors()] == [BLUE, BLUE, VERMILION]


def test_the_ladder_takes_what_elbo_ladder_returns():
    schedule = VP[0]
    rungs = elbo.ladder(schedule, LINE.denoiser(schedule), LINE.sample(64, rng()), rng(), group=16)
    figure = plot.variance_ladder(rungs)
    assert nothing_is_cut_off(figure)
    np.testing.assert_array_equal(dots(figure.axes[0])[:, 0], [one.var for one in rungs])


# ------------------------------------------------------------------------------------------ the gap, the ideal denoiser


def test_the_gap_is_that_of_the_exact_bound_over_the_entropy():
    figure = plot.bound_gap(LINE, iter(VP))
    (axes,) = figure.axes
    drawn = {marker: curves(axes, marker) for marker in "osD"}
    for schedule, *gaps in zip(VP, *drawn["o"], *drawn["s"], *drawn["D"]):
        best = reverse.optimal_var(schedule, LINE.eps_loss(schedule))
        for gap, choice in zip(gaps, (("beta", "beta_1"), ("posterior", "beta_1"), (best, best[1]))):
            exact = likelihood.mixture_bound(schedule, LINE, *choice).total[0] - LINE.entropy()
            assert gap == pytest.approx(exact, abs=1e-9)
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [5, 10, 20, 40])
    assert f"{drawn['s'][0][-1]:.3f} at $T$ = 40" in words(figure)


def test_the_gap_of_normal_data_is_that_of_the_variances_alone():
    schedules = [Schedule.vp(T) for T in (10, 100)]
    figure = plot.bound_gap(NORMAL, schedules)
    (axes,) = figure.axes
    # x_{t-1} given x_t has the variance beta_t: with it there is no gap, with beta_tilde_t one without randomness
    ratios = [schedule.beta[2:] / schedule.beta_tilde[2:] for schedule in schedules]
    exact = [0.5 * np.sum(ratio - 1 - np.log(ratio)) for ratio in ratios]
    np.testing.assert_allclose(curves(axes, "s")[0], exact, rtol=1e-8)
    assert np.isnan(curves(axes, "o")[0]).all()
    assert np.isnan(curves(axes, "D")[0]).all()
    assert "the gap is 0" in words(figure)
    assert nothing_is_cut_off(figure)


@pytest.mark.parametrize("d", [1, 2])
def test_the_gap_with_the_posterior_variance_tends_to_half_of_eulers_constant_a_coordinate(d):
    figure = plot.bound_gap(GaussianMixture([1.0], [[0.0] * d], 1.0), VP[:2])
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "None"]
    harmonic = np.sum(1 / np.arange(1, 10**6 + 1.0))
    gamma = harmonic - np.log(10**6) - 0.5e-6
    np.testing.assert_allclose(line.get_ydata(), d * gamma / 2, rtol=1e-9)
    assert f"$d\\,\\gamma / 2$ = {d * gamma / 2:.3f}" in words(figure)


def test_the_gap_asks_for_what_takes_time_once_a_schedule(monkeypatch):
    asked = []
    compute = GaussianMixture.eps_loss
    monkeypatch.setattr(
        GaussianMixture, "eps_loss", lambda self, schedule: asked.append(schedule.T) or compute(self, schedule)
    )
    plot.bound_gap(LINE, VP)
    assert asked == [5, 10, 20, 40]


def test_the_gap_is_of_first_order_in_the_steps():
    labels = words(plot.bound_gap(LINE, [Schedule.vp(T) for T in (50, 100, 200)]))
    orders = [float(order) for order in re.findall(r"order ([\d.]+)", labels)]
    assert len(orders) == 2
    np.testing.assert_allclose(orders, 1, atol=0.05)


# ----------------------------------------------------------------------------------------------- the quasi-static limit


def test_quasi_static_shows_how_much_log_w_varies():
    n, noise = 300, 0.7
    figure = plot.quasi_static(LINE, VP, rng(), n, noise=noise)
    (axes,) = figure.axes
    r = rng()
    x_0 = LINE.sample(n, r)
    families = (VP, [Schedule.constant(schedule.T, noise / schedule.T) for schedule in VP])
    for family, container in zip(families, axes.containers):
        log_w = [-elbo.undecomposed(one, LINE.denoiser(one), x_0, r).total for one in family]
        z = np.array(log_w) - LINE.log_density(x_0)
        std = z.std(axis=1)
        np.testing.assert_allclose(container[0].get_ydata(), std)
        fourth = np.mean((z - z.mean(axis=1, keepdims=True)) ** 4, axis=1)
        error = np.sqrt((fourth - std**4) / n) / (2 * std)
        np.testing.assert_allclose(whiskers(container), np.stack([std - error, std + error], axis=-1))
    assert f"$\\beta_t$ = {noise}$/T$" in words(figure)


def test_what_no_number_of_steps_removes_is_the_law_of_the_end():
    mean, var = 0.7, 0.3
    (axes,) = plot.quasi_static(GaussianMixture([1.0], [[mean]], var), VP, rng(), 20).axes
    broken = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"]
    families = (VP, [Schedule.constant(schedule.T, 0.5 / schedule.T) for schedule in VP])
    for rest, family in zip(broken, families):
        alpha_bar = np.array([np.prod(1 - one.beta[1:]) for one in family])
        # x_T = m + s z, so log p(x_T)/q(x_T) = (1 - s^2) z^2 / 2 - m s z + a constant
        m, s_2 = np.sqrt(alpha_bar) * mean, alpha_bar * var + 1 - alpha_bar
        np.testing.assert_allclose(rest, np.sqrt((1 - s_2) ** 2 / 2 + m**2 * s_2), rtol=1e-6)


def test_small_steps_alone_do_not_make_one_chain_enough():
    figure = plot.quasi_static(LINE, [Schedule.vp(T) for T in (30, 300)], rng(), 2000)
    (axes,) = figure.axes
    (full, short), (_, rest) = (
        curves(axes, "o") + curves(axes, "s"),
        [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"],
    )
    assert full[1] < 0.5 * full[0]
    (low, _), (_, high) = whiskers(axes.containers[1])[1], whiskers(axes.containers[1])[1]
    assert low - 4 * (short[1] - low) < rest[1] < high + 4 * (high - short[1])  # five standard errors
    assert short[1] > 2 * full[1]
    assert "Small steps alone do not" in words(figure)


def test_where_log_w_does_not_vary_at_all_no_curve_is_drawn_from_rounding():
    figure = plot.quasi_static(NORMAL, VP[:2], rng(), 20)
    assert nothing_is_cut_off(figure)
    for line in figure.axes[0].lines:
        assert np.isnan(line.get_ydata()).all()
    assert "vary no more" in words(figure)


# --------------------------------------------------------------------------------------------------------- step by step


def table(T, r=None):
    """Return mean and error over t, with entries that are not used set to what may not matter."""
    r = r or rng()
    mean, error = r.random(T + 1) + 0.1, r.random(T + 1) / 20
    mean[:2], error[:2] = np.nan, -1
    return mean, error


@pytest.mark.parametrize("T", [1, 2, 6, 40, 1000])
@pytest.mark.parametrize("first", [-1.5, 0.0, 0.7])
def test_each_term_and_the_running_sum_are_shown(T, first):
    schedule = Schedule.constant(T, 0.3)
    mean, error = table(T)
    figure = plot.bound_per_step(schedule, mean, error, (first, 0.1), (0.02, 0.001), (0.3, 0.05))
    assert nothing_is_cut_off(figure)
    left, right = figure.axes
    terms = left.containers[0][0] if T <= 30 else max(left.lines, key=lambda line: len(line.get_xdata()))
    np.testing.assert_array_equal(terms.get_xdata(), np.arange(2, T + 1))
    np.testing.assert_array_equal(terms.get_ydata(), mean[2:])
    sums = labelled(right, "sum")
    np.testing.assert_array_equal(sums.get_xdata(), np.arange(T + 1, 0, -1))
    exact = [0.02 + mean[t:].sum() for t in range(T + 1, 1, -1)] + [0.02 + mean[2:].sum() + first]
    np.testing.assert_allclose(sums.get_ydata(), exact)
    assert f"bound {exact[-1]:.3f}".replace("-", "−") in words(figure)
    np.testing.assert_array_equal(labelled(right, "exact").get_ydata(), [0.3, 0.3])
    assert "exact 0.30 ± 0.05" in words(figure)
    assert right.get_xlim()[0] > right.get_xlim()[1]
    assert f"$L_0$ = {first:g}".replace("-", "−") in words(figure)
    assert "$L_T$ = 0.02" in words(figure)
    assert ("lies below" in words(figure)) == (first < 0)


def test_each_term_has_its_standard_error():
    for T in (6, 40):
        mean, error = table(T)
        error[4] = 2 * mean[4]  # a whisker that a logarithmic axis has no room for
        left, _ = plot.bound_per_step(Schedule.constant(T, 0.3), mean, error, (1.0, 0.1), (0.02, 0.001)).axes
        if T <= 30:
            ends = whiskers(left.containers[0])
            np.testing.assert_allclose(ends[:, 1], (mean + error)[2:])
            clear = np.arange(2, T + 1) != 4
            np.testing.assert_allclose(ends[clear, 0], (mean - error)[2:][clear])
            assert 0 < ends[2, 0] < left.get_ylim()[0]
        else:
            (band,) = [one for one in left.collections if isinstance(one, PolyCollection)]
            corners = band.get_paths()[0].vertices
            for t in range(2, T + 1):
                here = corners[corners[:, 0] == t, 1]
                assert here.max() == pytest.approx(mean[t] + error[t])
                assert t == 4 or here.min() == pytest.approx(mean[t] - error[t])
            assert (corners[:, 1] > 0).all()


def test_terms_that_are_not_positive_are_missing_from_the_logarithmic_axis_but_not_from_the_sum():
    mean = [0, 0, 0.5, 0.0, -0.1, 0.2, 0.0]
    figure = plot.bound_per_step(SCHEDULE, mean, np.zeros(7), (1.0, 0.0), (0.0, 0.0))
    left, right = figure.axes
    np.testing.assert_array_equal(left.containers[0][0].get_ydata(), [0.5, np.nan, np.nan, 0.2, np.nan])
    assert "3 of 5 terms are not > 0" in words(figure)
    np.testing.assert_allclose(labelled(right, "sum").get_ydata(), [0, 0, 0.2, 0.1, 0.1, 0.6, 1.6])
    assert "$L_T$ = 0" in words(figure)
    nothing = plot.bound_per_step(SCHEDULE, np.zeros(7), np.zeros(7), (0.0, 0.0), (0.0, 0.0))
    assert nothing_is_cut_off(nothing)


def test_the_title_says_by_which_step_half_is_paid():
    for mean, t in (([0, 0, 0.5, 0.2, 0.2, 0.05, 0.05], 2), ([0, 0, 0.1, 0.1, 0.1, 0.1, 0.1], 4)):
        figure = plot.bound_per_step(SCHEDULE, mean, np.zeros(7), (1.0, 0.0), (0.0, 0.0))
        assert figure.get_suptitle().endswith(f"is paid at $t$ ≤ {t}")


def test_the_error_of_the_whole_bound_is_written_only_if_it_is_known():
    given = (SCHEDULE, *table(6), (1.0, 0.2), (0.02, 0.001))
    mean = 1.02 + given[1][2:].sum()
    without = plot.bound_per_step(*given)
    assert f"The bound is {mean:.3f} nats" in words(without)
    assert "exact" not in words(without)
    assert f"The bound is {mean:.2f} ± 0.03 nats" in words(plot.bound_per_step(*given, total=(mean, 0.03)))


# ------------------------------------------------------------------------------------------------ what they are made of


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_order_is_the_slope_of_the_last_half(power):
    T = np.array([10, 20, 50, 100, 200])
    values = 3.0 * T**-power
    assert order_of(T, values) == pytest.approx(power)
    assert order_of(T, np.where(T < 50, 7.0, values)) == pytest.approx(power)
    assert np.isnan(order_of(T, np.where(T > 50, np.nan, values)))
    assert order_of(T[:2], values[:2]) == pytest.approx(power)


def test_labels_of_curves_that_meet_do_not_touch():
    figure = plot.Picture(4.0)
    axes = figure.subplots()
    axes.set(yscale="log", ylim=(1e-3, 1.0))
    label_right(axes, [(0.1, "one\ntwo", "C0"), (0.1, "three", "C1"), (0.099, "four", "C2"), (1e-9, "five", "C3")])
    figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    assert nothing_is_cut_off(figure)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (np.nan, "0"), (1.234, "1.23"), (-12.34, "−12.3"), (2345.6, "2346"), (4.4e-5, r"$4 \times 10^{-5}$")],
)
def test_numbers_are_written_short(value, text):
    assert short_number(value) == text


# ------------------------------------------------------------------------------------------------------------ bad input


PLAIN = np.ones(7)


def steps(schedule=SCHEDULE, mean=PLAIN, error=PLAIN, first=(1.0, 0.1), last=(0.1, 0.0), **given):
    return plot.bound_per_step(schedule, mean, error, first, last, **given)


HIGH = GaussianMixture([1.0], [[0.0, 0.0, 0.0]], 1.0)
WRONG = {
    "no rungs": (ValueError, "at least two", lambda: plot.variance_ladder(())),
    "one rung": (ValueError, "at least two", lambda: plot.variance_ladder(RUNGS[0])),
    "rungs of another kind": (TypeError, "elbo.Rung", lambda: plot.variance_ladder([RUNGS[0], (1.0, 2.0)])),
    "no variance": (ValueError, "var and calls > 0", lambda: plot.variance_ladder([RUNGS[0], Rung("a", 1, 1, 0, 1)])),
    "no mean": (ValueError, "finite mean", lambda: plot.variance_ladder([RUNGS[0], Rung("a", np.nan, 1, 1, 1)])),
    "no mixture": (TypeError, "GaussianMixture", lambda: plot.bound_gap(1.0, VP)),
    "one schedule": (TypeError, "sequence", lambda: plot.bound_gap(LINE, VP[0])),
    "one schedule in a list": (ValueError, "at least two", lambda: plot.bound_gap(LINE, VP[:1])),
    "no schedules": (TypeError, "schedule must be", lambda: plot.bound_gap(LINE, [5, 10])),
    "falling T": (ValueError, "increasing T", lambda: plot.bound_gap(LINE, VP[::-1])),
    "gap in 3-D": (ValueError, "d <= 2", lambda: plot.bound_gap(HIGH, VP)),
    "chains of no mixture": (TypeError, "GaussianMixture", lambda: plot.quasi_static(None, VP, rng())),
    "equal T": (ValueError, "increasing T", lambda: plot.quasi_static(LINE, VP[:1] * 2, rng())),
    "no rng": (TypeError, "rng must be", lambda: plot.quasi_static(LINE, VP, 0)),
    "one chain": (ValueError, "n must be at least 2", lambda: plot.quasi_static(LINE, VP, rng(), 1)),
    "no noise": (ValueError, "noise must be", lambda: plot.quasi_static(LINE, VP, rng(), noise=0.0)),
    "too much noise": (ValueError, "smallest T, 5; got 5", lambda: plot.quasi_static(LINE, VP, rng(), noise=5.0)),
    "chains in 3-D": (ValueError, "d <= 2", lambda: plot.quasi_static(HIGH, VP, rng(), 10)),
    "steps of no schedule": (TypeError, "schedule must be", lambda: steps(6)),
    "short mean": (ValueError, r"mean must have shape \(T \+ 1,\) = \(7,\); got \(6,\)", lambda: steps(mean=PLAIN[1:])),
    "NaN": (ValueError, "mean must be finite at t = 2..T; got nan at t = 2", lambda: steps(mean=PLAIN * np.nan)),
    "negative error": (ValueError, "error must be finite and >= 0", lambda: steps(error=-PLAIN)),
    "L_0 without error": (ValueError, "reconstruction must be a pair", lambda: steps(first=1.0)),
    "L_T of three": (ValueError, "prior must be a pair", lambda: steps(last=(1.0, 1.0, 1.0))),
    "exact of NaN": (ValueError, "exact must be a pair", lambda: steps(exact=(np.nan, 0.0))),
    "exact in words": (TypeError, "exact must be", lambda: steps(exact="none")),
    "another total": (ValueError, "total must be the sum of all terms, 6.1; got 6", lambda: steps(total=(6.0, 0.1))),
}


@pytest.mark.parametrize(("error", "match", "call"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line(error, match, call):
    with pytest.raises(error, match=match) as refused:
        call()
    assert "\n" not in str(refused.value)
