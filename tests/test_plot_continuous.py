"""The pictures of the continuous limit: what they show is compared with numbers found without `refdiff.plot`."""

import re

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from scipy.stats import kstest, kstwo, norm

from refdiff import plot
from refdiff.continuous import VE, VP, SubVP, diffused
from refdiff.mixture import GaussianMixture
from refdiff.plot.style import GREEN, INK, MODEL, VERMILION
from refdiff.schedule import Schedule
from tests.test_plot import LINE, ONE, labelled, nothing_is_cut_off, rng, words

SIX = (30, 100, 300, 1000, 3000, 10_000)
PICTURES = {
    "flow": lambda r: plot.probability_flow(VP(), LINE, r, n=50, steps=30),
    "limit": lambda r: plot.chain_limit(VP()),
    "log SNR": lambda r: plot.bound_over_log_snr(LINE, cells=12),
    "flow of VE": lambda r: plot.probability_flow(VE(0.01, 3.0), LINE, r, n=50, steps=30, paths=1),
    "limit of two": lambda r: plot.chain_limit(VP(1.0, 1.0), (2, 5)),
    "log SNR of one": lambda r: plot.bound_over_log_snr(LINE, [VE(0.1, 4.0)], high=-1.0, cells=4),
}


def test_the_same_seed_gives_the_same_bytes():
    assert PICTURES["flow"](rng())._repr_png_() == PICTURES["flow"](rng())._repr_png_()


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_nothing_is_cut_off(draw):
    assert nothing_is_cut_off(draw(rng()))


def test_another_seed_gives_other_paths_but_the_same_flow():
    one, two = (PICTURES["flow"](np.random.default_rng(seed)) for seed in (0, 1))
    for k, same in ((1, True), (4, False)):
        paths = [np.array([line.get_ydata() for line in figure.axes[k].lines[:9]]) for figure in (one, two)]
        assert (paths[0] == paths[1]).all() == same


# ----------------------------------------------------------------------------------------------- the flow and the noise


def share_below(sde, s, x):
    """Return the distribution function of x_s, of the data LINE."""
    a, var = sde.signal_rate(s), sde.var(s)
    parts = zip(LINE.weights, LINE.means[:, 0], LINE.variances[:, 0])
    return sum(w * norm.cdf(x, a * m, np.sqrt(a**2 * v + var)) for w, m, v in parts)


@pytest.mark.parametrize("sde", [SubVP(), VE(0.01, 3.0)], ids=repr)
def test_each_trajectory_of_the_flow_keeps_its_quantile(sde):
    figure = plot.probability_flow(sde, LINE, rng(), n=50, paths=5, steps=10)
    flow = figure.axes[1]
    lines = [line for line in flow.lines if line.get_color() == MODEL and line.get_marker() == "None"]
    for line, level in zip(lines, (0.1, 0.3, 0.5, 0.7, 0.9)):
        s, x = line.get_data()
        np.testing.assert_allclose([share_below(sde, *at) for at in zip(s, x)], level, atol=2e-6)
    assert (s[0], s[-1]) == (1, 0)
    squares = [line for line in flow.lines if line.get_marker() == "s"]
    for line, level in zip(squares, (0.1, 0.3, 0.5, 0.7, 0.9)):
        np.testing.assert_allclose([share_below(sde, *at) for at in zip(*line.get_data())], level, atol=2e-6)
    assert len(lines) == len(squares) == 5
    assert "squares: quantiles of $q_s$, from which the flow is at most" in words(figure)


def test_dark_is_the_same_start_in_both_panels():
    figure = plot.probability_flow(VP(), LINE, rng(), n=50, paths=5, steps=10)  # the third of five is the middle one
    starts = []
    for axes in (figure.axes[1], figure.axes[4]):
        (dark,) = [line for line in axes.lines if line.get_color() == INK and line.get_marker() == "None"]
        starts.append([line.get_ydata()[0] for line in (dark, *axes.lines[:5])])
    np.testing.assert_array_equal(*starts)
    assert starts[0][0] == starts[0][3]


def test_both_ways_arrive_at_the_data():
    n = 2000
    figure = plot.probability_flow(VP(), LINE, rng(), n=n, steps=200)
    for data, noise in ((figure.axes[0], figure.axes[2]), (figure.axes[3], figure.axes[5])):
        for axes, s in ((data, 0.0), (noise, 1.0)):
            (histogram,) = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
            values, edges, _ = histogram.get_data()
            below = np.cumsum(values * np.diff(edges))
            assert below[-1] == pytest.approx(1)
            # Kolmogorov's distance exceeds 2.2 / sqrt(n) once in eight thousand; 200 steps of Euler's add some .005
            assert np.abs(below - share_below(VP(), s, edges[1:])).max() < 2.2 / np.sqrt(n) + 0.005
            (density,) = [line for line in axes.lines if len(line.get_xdata()) > 100]
            x = density.get_ydata()
            np.testing.assert_allclose(density.get_xdata(), np.exp(diffused(VP(), LINE, s).log_density(x[:, None])))


def test_how_far_the_points_end_from_the_data_is_written():
    n = 400
    figure = plot.probability_flow(VP(), LINE, rng(), n=n, steps=5)  # too few steps: Euler's method is far off
    written = re.search(r": (\S+) \(flow\) and (\S+) off .* alone: (\S+)", words(figure)).groups()
    flow, reverse, chance = map(float, written)
    start = diffused(VP(), LINE, 1.0).sample(n, rng())[:, 0]
    # quantiles are kept, and the distance with them
    assert flow == pytest.approx(kstest(start, lambda x: share_below(VP(), 1.0, x)).statistic, abs=6e-4)
    assert reverse > 0.1
    assert chance == pytest.approx(kstwo(n).mean(), abs=2e-3)


@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.3])
def test_the_distance_is_that_of_kolmogorov(shift):
    points = LINE.sample(60, rng()) + shift
    exact = kstest(points[:, 0], lambda x: share_below(VP(), 0.0, x)).statistic
    assert plot.continuous._distance(LINE, points) == pytest.approx(exact, abs=1e-6)


def test_the_reverse_equation_is_followed_by_eulers_method():
    data = GaussianMixture([1.0], [[0.0]], 1.0)  # x_s is N(0, 1) at each s, so the score is -x
    steps, paths, n = 20, 3, 4
    figure = plot.probability_flow(VP(), data, rng(), n=n, paths=paths, steps=steps)
    lines = figure.axes[4].lines[:paths]
    r = rng()
    x = np.concatenate([norm.ppf([1 / 6, 1 / 2, 5 / 6]), diffused(VP(), data, 1.0).sample(n, r)[:, 0]])
    for k in range(steps):
        np.testing.assert_allclose([line.get_ydata()[k] for line in lines], x[:paths], atol=1e-6)
        beta = VP().beta(1 - k / steps)
        x = x + (0.5 * beta * x - beta * x) / steps + np.sqrt(beta / steps) * r.standard_normal((n + paths, 1))[:, 0]
    np.testing.assert_allclose([line.get_ydata()[-1] for line in lines], x[:paths], atol=1e-6)


# ------------------------------------------------------------------------------------------------- the limit of a chain


def test_the_chain_tends_to_its_limit_with_order_one():
    sde = VP(0.5, 8.0)
    steps = (10, 40, 160, 640)
    figure = plot.chain_limit(sde, steps)
    curves, errors = figure.axes
    (line,) = [one for one in errors.lines if one.get_color() == VERMILION]
    exact = []
    for T in steps:
        beta = (0.5 + 7.5 * np.arange(1, T + 1) / T) / T
        exact.append(abs(np.sum(np.log1p(-beta)) + 4.25))
    np.testing.assert_allclose(line.get_ydata(), exact)
    order = -np.polyfit(np.log(steps[2:]), np.log(exact[2:]), 1)[0]
    assert f"falls as $T^{{-{order:.2f}}}$" in words(figure)
    assert order == pytest.approx(1, abs=0.02)
    assert f"$T$ = 640 steps lose {-100 * np.expm1(-exact[-1]):.1f} %" in words(figure)
    chains = [one for one in curves.lines if one.get_linestyle() == "--"]
    for one, T in zip(chains, steps):
        beta = (0.5 + 7.5 * np.arange(1, T + 1) / T) / T
        np.testing.assert_allclose(one.get_ydata(), np.cumprod([1.0, *(1 - beta)]))
    assert len(chains) == 3


def test_schedule_vp_is_the_equation_at_any_number_of_steps():
    figure = plot.chain_limit(VP(), SIX)
    curves, errors = figure.axes
    (limit,) = [line for line in curves.lines if line.get_linewidth() == 3]
    s = limit.get_xdata()
    np.testing.assert_allclose(limit.get_ydata(), np.exp(-0.1 * s - 19.9 * s**2 / 2))
    (dots,) = [line for line in curves.lines if line.get_color() == GREEN]
    s = dots.get_xdata()
    np.testing.assert_allclose(s, np.arange(31) / 30)
    np.testing.assert_allclose(dots.get_ydata(), np.exp(-0.1 * s - 19.9 * s**2 / 2))
    (below,) = [line for line in errors.lines if line.get_marker() == "v"]
    np.testing.assert_array_equal(below.get_xdata(), SIX)
    worst = max(abs(np.log(Schedule.vp(T).alpha_bar[-1]) + 10.05) for T in SIX)
    assert worst < 1e-13
    beta = (0.1 + 19.9 * np.arange(1, 1001) / 1000) / 1000
    assert f"$T$ = 1000 steps lose {100 * (1 - np.prod(1 - beta) / np.exp(-10.05)):.1f} %" in words(figure)
    assert "below this axis, off by at most" in words(figure)


# ------------------------------------------------------------------------------------------------------------ the bound


def test_the_integrand_is_one_curve_over_log_snr_and_its_area_is_the_same_over_s():
    figure = plot.bound_over_log_snr(LINE, cells=120)
    left, right = figure.axes
    sdes = {"VP": VP(), "sub-VP": SubVP(), "VE": VE()}
    written = {name: float(area) for name, area in re.findall(r"(VP|sub-VP|VE): ([\d.]+) nats", words(figure))}
    curves = [labelled(left, name) for name in sdes]
    for line in curves[1:]:
        np.testing.assert_allclose(line.get_ydata(), curves[0].get_ydata(), atol=1e-9)
    log_snr, loss = curves[0].get_data()
    # the mean squared error of the ideal denoiser does not depend on the schedule that gets to that ratio
    alpha_bar = 1 / (1 + np.exp(-log_snr[::-1]))
    beta = 1 - alpha_bar / np.concatenate([[1.0], alpha_bar[:-1]])
    np.testing.assert_allclose(loss[::-1], LINE.eps_loss(Schedule.from_betas(beta))[1:] / 2, atol=1e-9)
    area = np.trapezoid(loss, log_snr)

    def information(sde, s):
        """Return what x_s knows of x_0: its entropy less that of the noise."""
        return diffused(sde, LINE, s).entropy() - 0.5 * np.log(2 * np.pi * np.e * sde.var(s))

    for name, sde in sdes.items():
        start, stop = sde.time(log_snr[[-1, 0]]).tolist()
        assert written[name] == pytest.approx(information(sde, start) - information(sde, stop), abs=1e-6)
        assert written[name] == pytest.approx(area, rel=1e-3)
        s, over_s = labelled(right, f"{name}:").get_data()
        np.testing.assert_allclose(sde.log_snr(s), log_snr, atol=1e-8)
        assert abs(np.trapezoid(over_s, s)) == pytest.approx(area, rel=3e-3)
    assert len(set(written.values())) == 1
    assert f"the area is {written['VP']:.4f} nats" in figure.get_suptitle()


def test_the_integral_ends_where_all_equations_can_go():
    left, right = plot.bound_over_log_snr(LINE, [VP(), VE(0.01, 2.0)], cells=3, high=2.0).axes
    lowest = -np.log(2.0**2 - 0.01**2)
    for line in left.lines[:2]:
        np.testing.assert_allclose(line.get_xdata()[[0, -1]], [lowest, 2.0])
    assert labelled(right, "VE").get_xdata()[0] == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------------ bad input


WRONG = {
    "flow of no equation": (TypeError, "sde must be", lambda: plot.probability_flow(None, LINE, rng())),
    "flow of no mixture": (TypeError, "GaussianMixture", lambda: plot.probability_flow(VP(), 1.0, rng())),
    "flow in a plane": (ValueError, "d = 1; got d = 2", lambda: plot.probability_flow(VP(), ONE, rng())),
    "flow without rng": (TypeError, "rng must be", lambda: plot.probability_flow(VP(), LINE, 0)),
    "one point": (ValueError, "n must be at least 2", lambda: plot.probability_flow(VP(), LINE, rng(), n=1)),
    "no paths": (ValueError, "paths must be", lambda: plot.probability_flow(VP(), LINE, rng(), paths=0)),
    "one step": (ValueError, "steps must be", lambda: plot.probability_flow(VP(), LINE, rng(), steps=1)),
    "limit of VE": (TypeError, "sde must be a VP", lambda: plot.chain_limit(VE())),
    "falling T": (ValueError, "steps must be at least two, and increase", lambda: plot.chain_limit(VP(), (100, 30))),
    "one T": (ValueError, "steps must be at least two", lambda: plot.chain_limit(VP(), 100)),
    "T too small": (ValueError, "T must be above beta_max", lambda: plot.chain_limit(VP(), (10, 30))),
    "T no integer": (TypeError, "T must be an integer", lambda: plot.chain_limit(VP(), (30.0, 100.0))),
    "bound of no mixture": (TypeError, "GaussianMixture", lambda: plot.bound_over_log_snr(None)),
    "one equation": (TypeError, "sequence", lambda: plot.bound_over_log_snr(LINE, VP())),
    "no equation": (ValueError, "one to four; got 0", lambda: plot.bound_over_log_snr(LINE, [])),
    "schedules": (TypeError, "sde must be", lambda: plot.bound_over_log_snr(LINE, [Schedule.vp(10)])),
    "too low": (ValueError, "high must be one number above", lambda: plot.bound_over_log_snr(LINE, high=-9.0)),
    "one cell": (ValueError, "cells must be", lambda: plot.bound_over_log_snr(LINE, cells=1)),
}


@pytest.mark.parametrize(("error", "match", "call"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line(error, match, call):
    with pytest.raises(error, match=match) as refused:
        call()
    assert "\n" not in str(refused.value)
