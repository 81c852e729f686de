"""The pictures of the score: lines are what the chapter says, dots lie within their errors of the lines."""

import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.patches import StepPatch

from refdiff import plot, score
from refdiff.mixture import GaussianMixture
from refdiff.plot.style import BLUE, GREEN, INK, PURPLE, VERMILION
from refdiff.schedule import Schedule
from tests.test_plot import LINE, ONE, SCHEDULE, labelled, nothing_is_cut_off, rng, words

FAR = GaussianMixture([0.7, 0.3], [[-4.0], [4.0]], [0.25, 0.5])
PLANE = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [1.0, -0.3]], [[0.1, 0.3], [0.2, 0.1]])
VP = Schedule.vp(20)

PICTURES = {
    "langevin_bias": lambda r: plot.langevin_bias(r, n=400, steps=20),
    "langevin_modes": lambda r: plot.langevin_modes(FAR, VP, r, n=200, steps=5),
    "ancestral_vs_langevin": lambda r: plot.ancestral_vs_langevin(VP, 6, r, n=500),
    "score_matching_losses": lambda r: plot.score_matching_losses(LINE, SCHEDULE, 3, r, n=200),
}
drawn_by_chance = pytest.mark.parametrize("name", PICTURES)
OTHERS = {
    "tweedie": lambda r: plot.tweedie(LINE, VP, [2, 6, 12]),
    "bias of one size": lambda r: plot.langevin_bias(r, sizes=[0.3], n=40, steps=20),
    "near modes, lighter start": lambda r: plot.langevin_modes(LINE, Schedule.vp(4), r, n=50, steps=2),
    "wide data": lambda r: plot.ancestral_vs_langevin(VP, 1, r, var=1.3, n=500, steps=2),
    "losses in a plane": lambda r: plot.score_matching_losses(PLANE, Schedule.vp(4), 1, r, n=200),
    "tweedie at one t": lambda r: plot.tweedie(LINE, VP, 6),
}


def of_color(lines, color):
    return [line for line in lines if line.get_color() == color]


def dots(axes, color, marker):
    """Return at, value and standard error of the dots of that colour and marker; the whiskers are two errors long."""
    (found,) = [c for c in axes.containers if c[0].get_color() == color and c[0].get_marker() == marker]
    (bars,) = found[2]
    errors = [np.ptp(segment[:, 1]) / 4 for segment in bars.get_segments()]
    return found[0].get_xdata(), found[0].get_ydata(), np.array(errors)


def agree(values, errors, exact):
    """Assert that values lie within five standard errors; none of them is far off in thousands of runs."""
    assert (np.abs(np.subtract(values, exact)) < 5 * errors + 1e-12).all()


# ---------------------------------------------------------------------------------------------------- all of them alike


@drawn_by_chance
def test_the_same_seed_gives_the_same_bytes(name):
    assert PICTURES[name](rng())._repr_png_() == PICTURES[name](rng())._repr_png_()


@pytest.mark.parametrize("draw", (PICTURES | OTHERS).values(), ids=PICTURES | OTHERS)
def test_nothing_is_cut_off_and_a_minus_sign_is_no_hyphen(draw):
    figure = draw(rng())
    assert nothing_is_cut_off(figure)
    assert not re.search(r"(^|[\s(=])-\d", words(figure))


@drawn_by_chance
def test_another_seed_gives_other_numbers(name):
    def heights(seed):
        figure = PICTURES[name](np.random.default_rng(seed))
        whiskers = [segment for axes in figure.axes for c in axes.containers for segment in c[2][0].get_segments()]
        steps = [patch.get_data().values for patch in figure.findobj(StepPatch)]
        return np.concatenate([np.ravel(one) for one in (*whiskers, *steps)])

    assert (heights(0) == heights(0)).all()
    assert (heights(0) != heights(1)).any()


def test_none_of_them_needs_pyplot():
    code = (
        "import sys, numpy as np; from refdiff import GaussianMixture, Schedule, continuous, plot;"
        "data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1); rng = np.random.default_rng(0);"
        "plot.tweedie(data, Schedule.vp(9), [5])._repr_png_();"
        "plot.langevin_modes(data, Schedule.vp(3), rng, n=9, steps=1)._repr_png_();"
        "plot.probability_flow(continuous.VP(), data, rng, n=9, steps=3)._repr_png_();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# ------------------------------------------------------------------------------------------------------------- Langevin


def test_the_bias_of_langevin_and_the_acceptance_of_mala_are_exact_and_measured():
    sizes = (2.5, 0.2, 1.0, 1.6)
    above, below = plot.langevin_bias(rng(), sizes=sizes, n=4000, steps=60).axes
    line = labelled(above, "exact")
    h = line.get_xdata()
    np.testing.assert_allclose(line.get_ydata(), 1 / (1 - h / 2))
    assert 0 < h[0] < 0.02
    assert 1.98 < h[-1] < 2
    at, var, error = dots(above, VERMILION, "o")
    np.testing.assert_array_equal(at, [0.2, 1.0, 1.6])
    exact = np.array([score.langevin_var(h) for h in at])
    agree(var, error, exact)
    np.testing.assert_allclose(error, exact * np.sqrt(2 / 4000), rtol=0.15)  # the chains end in normal laws
    at, var, error = dots(above, GREEN, "s")
    np.testing.assert_array_equal(at, [0.2, 1.0, 1.6, 2.5])
    agree(var, error, 1)
    line = labelled(below, "exact")
    h = line.get_xdata()
    np.testing.assert_allclose(line.get_ydata(), 1 - 2 / np.pi * np.arctan((h / 2) ** 1.5))
    at, accepted, error = dots(below, GREEN, "s")
    agree(accepted, error, [score.mala_acceptance(h) for h in at])
    np.testing.assert_allclose(error, np.sqrt(accepted * (1 - accepted) / 4000))


def test_the_title_of_the_bias_gives_a_measured_variance_beside_the_exact_one():
    figure = plot.langevin_bias(rng(), sizes=(0.2, 0.8, 1.6), n=4000, steps=60)
    found, error = map(float, re.search(r"variance is ([\d.]+) ± ([\d.]+)", words(figure)).groups())
    assert "at $h$ = 0.8" in words(figure)
    assert "(exact 1.67)" in words(figure)
    assert abs(found - 1 / 0.6) < 5 * error + 0.01
    assert "at $h$ = 2 it accepts 50 %" in words(figure)


def test_plain_langevin_stays_in_its_mode_and_annealed_finds_both():
    n, T = 2000, 30
    figure = plot.langevin_modes(FAR, Schedule.vp(T), rng(), n=n)
    *_, right = figure.axes
    found = re.findall(r"found ([\d.]+) ± ([\d.]+)", words(figure))
    (stayed, none), (one, other) = ([float(value) for value, _ in found[i : i + 2]] for i in (0, 2))
    assert (stayed, none) == (1.0, 0.0)
    errors = [float(error) for _, error in found]
    assert errors[:2] == [0, 0]
    np.testing.assert_allclose(errors[2:], np.sqrt(0.7 * 0.3 / n), atol=1e-3)
    # beside chance: steps so few and so large end at .321, by the exact kernel iterated on a grid
    assert abs(other - 0.3) < 5 * errors[3] + 0.02
    assert one == pytest.approx(1 - other)
    assert "exact 0.7" in words(figure)
    law = FAR.diffused(Schedule.vp(T), 1)
    density, x = labelled(right, "exact").get_data()
    np.testing.assert_allclose(density, np.exp(law.log_density(x[:, None])))
    (histogram,) = [patch for patch in right.patches if isinstance(patch, StepPatch)]
    assert histogram.orientation == "horizontal"
    values, edges, _ = histogram.get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    assert np.sum((values * np.diff(edges))[edges[1:] > 0]) == pytest.approx(other, abs=2e-3)


def test_the_strip_shows_the_chains_of_annealed_langevin_at_each_level():
    schedule, n = Schedule.vp(6), 300
    figure = plot.langevin_modes(FAR, schedule, rng(), n=n, h=0.3, steps=4)
    plain, _, annealed, _ = figure.axes
    r, start = rng(), np.full((n, 1), -4.0)
    aim = FAR.diffused(schedule, 1)
    x = score.langevin(aim.score, start, r, 0.3 * aim.variances.min(), 24)
    levels = score.annealed_langevin_chain(schedule, lambda x, t: FAR.diffused(schedule, t).score(x), start, r, 0.3, 4)
    for axes, last in ((plain, x), (annealed, [x_t for _, x_t in levels][-1])):
        (mesh,) = axes.findobj(QuadMesh)
        shown = np.asarray(mesh.get_array()).reshape(-1, 7)
        edges = mesh.get_coordinates()[:, 0, 1]
        count, _ = np.histogram(last, edges)
        np.testing.assert_allclose(shown[:, -1] ** 2, count / count.max())
        assert shown[np.searchsorted(edges, -4.0, side="right") - 1, 0] == 1
    means = of_color(annealed.lines, BLUE)
    for line, mean in zip(means, (-4, 4)):
        np.testing.assert_allclose(line.get_ydata(), np.sqrt(schedule.alpha_bar[6:0:-1]) * mean)


def test_the_ancestral_step_repeated_goes_elsewhere_and_langevin_stays():
    t, var, steps = 6, 0.05, 40
    figure = plot.ancestral_vs_langevin(VP, t, rng(), var=var, steps=steps, n=4000)
    (axes,) = figure.axes
    beta, alpha_bar = VP.beta[t], np.prod(1 - VP.beta[1 : t + 1])
    v = alpha_bar * var + 1 - alpha_bar
    broken = {line.get_color(): line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"}
    assert broken[VERMILION] == pytest.approx(score.ancestral_var(beta, v))
    assert broken[GREEN] == pytest.approx(score.langevin_var(beta / 2, v))
    assert broken[BLUE] == pytest.approx(v)
    factors = {VERMILION: (1 - beta / v) / np.sqrt(1 - beta), GREEN: 1 - beta / (2 * v)}
    for color, marker in ((VERMILION, "o"), (GREEN, "s")):
        (line,) = [one for one in of_color(axes.lines, color) if len(one.get_ydata()) == steps + 1]
        exact = [v]
        for _ in range(steps):
            exact.append(factors[color] ** 2 * exact[-1] + beta)
        np.testing.assert_allclose(line.get_ydata(), exact)
        at, found, error = dots(axes, color, marker)
        agree(found, error, np.array(exact)[at.astype(int)])
        assert f"{broken[color]:.3f}" in words(figure)
    assert broken[VERMILION] < 0.8 * v
    before = alpha_bar / (1 - beta) * var + 1 - alpha_bar / (1 - beta)
    assert f"Var $x_{{t-1}}$ = {before:.3f}" in words(figure)
    assert "no Langevin step" in words(figure)


# ------------------------------------------------------------------------------------------------------- score matching


def test_the_four_losses_are_parallel_and_their_dots_lie_on_them():
    t, scales = 3, [0.0, 0.6, 1.0, 1.7]
    figure = plot.score_matching_losses(PLANE, Schedule.vp(5), t, rng(), n=4000, scales=scales)
    (axes,) = figure.axes
    schedule = Schedule.vp(5)
    information = PLANE.diffused(schedule, t).expectation(
        lambda x: np.sum(PLANE.diffused(schedule, t).score(x) ** 2, axis=-1)
    )
    gap = 2 / (1 - schedule.alpha_bar[t]) - information
    shifts = {"explicit": 0.0, "denoising": gap, "implicit": -information}
    for name, shift in shifts.items():
        line = labelled(axes, name)
        np.testing.assert_allclose(line.get_ydata(), (line.get_xdata() - 1) ** 2 * information + shift, atol=1e-8)
    kinds = {"denoising": (VERMILION, "o"), "explicit": (BLUE, "s"), "implicit": (GREEN, "D"), "sliced": (PURPLE, "v")}
    for name, (color, marker) in kinds.items():
        _, found, error = dots(axes, color, marker)
        agree(found, error + 1e-9, (np.array(scales) - 1) ** 2 * information + shifts.get(name, -information))
    assert f"+{gap:.3f}" in words(figure)
    assert f"−{information:.3f}" in words(figure)
    least = [float(c) for c in re.findall(r"least at ([\d.]+)", words(figure))]
    np.testing.assert_allclose(least, 1, atol=0.1)
    assert len(least) == 4


# -------------------------------------------------------------------------------------------------------------- Tweedie


def test_tweedie_dots_come_from_the_score_and_the_line_from_bayes_rule():
    steps = (2, 9)
    figure = plot.tweedie(LINE, VP, steps)
    for axes, t in zip(figure.axes, steps):
        line = labelled(axes, "truth")
        x_t, (low, high) = line.get_xdata(), axes.get_ylim()
        # E[x_0 | x_t] by quadrature over x_0
        x_0 = np.linspace(-5, 5, 8001)
        joint = np.exp(
            LINE.log_density(x_0[:, None])[:, None]
            - (x_t - np.sqrt(VP.alpha_bar[t]) * x_0[:, None]) ** 2 / (2 * VP.one_minus_alpha_bar[t])
        )
        mean = (x_0 @ joint) / joint.sum(axis=0)
        std = np.sqrt((x_0**2 @ joint) / joint.sum(axis=0) - mean**2)
        np.testing.assert_allclose(line.get_ydata(), mean, atol=1e-8)
        (container,) = axes.containers
        at, found = container[0].get_data()
        np.testing.assert_allclose(found, np.interp(at, x_t, mean), atol=2e-3)
        (bars,) = container[2]
        half = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
        np.testing.assert_allclose(half, np.interp(at, x_t, std), atol=2e-3)
        assert container[0].get_color() == INK
        band, _ = axes.findobj(PolyCollection)
        for sign in (-1, 1):
            edge = {(x, y) for x, y in band.get_paths()[0].vertices.round(6).tolist()}
            assert edge >= set(zip(x_t.round(6).tolist(), (mean + sign * std).round(6).tolist()))
        assert low < mean.min()
        assert mean.max() < high
        density = np.exp(LINE.diffused(VP, t).log_density(x_t[:, None]))
        share = np.trapezoid(density * std**2, x_t) / np.trapezoid(density, x_t) / LINE.var[0]
        written = float(re.search(r"= [\d.e\-]+: ([\d.]+) % of Var", axes.get_title(loc="left")).group(1))
        assert written == pytest.approx(100 * share, rel=0.1)


# ------------------------------------------------------------------------------------------------------------ bad input


THREE = GaussianMixture([0.2, 0.3, 0.5], [[0.0], [1.0], [2.0]], 0.1)
WRONG = {
    "bias without rng": (TypeError, "rng must be", lambda: plot.langevin_bias(0)),
    "no size": (ValueError, "sizes must be > 0", lambda: plot.langevin_bias(rng(), sizes=())),
    "size 0": (ValueError, "sizes must be > 0", lambda: plot.langevin_bias(rng(), sizes=(0.0, 1.0))),
    "no size that settles": (ValueError, "one below 2", lambda: plot.langevin_bias(rng(), sizes=(2.0,))),
    "sizes in words": (TypeError, "sizes must be", lambda: plot.langevin_bias(rng(), sizes="small")),
    "one chain": (ValueError, "n must be at least 2", lambda: plot.langevin_bias(rng(), n=1)),
    "modes of no mixture": (TypeError, "GaussianMixture", lambda: plot.langevin_modes(None, VP, rng())),
    "modes in a plane": (ValueError, "d = 1; got d = 2", lambda: plot.langevin_modes(ONE, VP, rng())),
    "three modes": (ValueError, "two components; got 3", lambda: plot.langevin_modes(THREE, VP, rng())),
    "modes without schedule": (TypeError, "schedule must be", lambda: plot.langevin_modes(FAR, 20, rng())),
    "h of 2": (ValueError, "h must be below 2", lambda: plot.langevin_modes(FAR, VP, rng(), h=2.0)),
    "h of 0": (ValueError, "h must be one number > 0", lambda: plot.langevin_modes(FAR, VP, rng(), h=0.0)),
    "no steps": (ValueError, "steps must be", lambda: plot.langevin_modes(FAR, VP, rng(), steps=0)),
    "ancestral of no step": (ValueError, "t runs over", lambda: plot.ancestral_vs_langevin(VP, 0, rng())),
    "ancestral of two steps": (ValueError, "one step", lambda: plot.ancestral_vs_langevin(VP, [1, 2], rng())),
    "no variance": (ValueError, "var must be", lambda: plot.ancestral_vs_langevin(VP, 2, rng(), var=0.0)),
    "unsettled": (ValueError, "does not settle", lambda: plot.ancestral_vs_langevin(VP, 1, rng(), var=9.0)),
    "losses without rng": (TypeError, "rng must be", lambda: plot.score_matching_losses(LINE, VP, 2, None)),
    "two scales": (
        ValueError,
        "at least three",
        lambda: plot.score_matching_losses(LINE, VP, 2, rng(), scales=[0, 1, 1]),
    ),
    "losses of no mixture": (TypeError, "GaussianMixture", lambda: plot.score_matching_losses(1, VP, 2, rng())),
    "tweedie in a plane": (ValueError, "d = 1", lambda: plot.tweedie(PLANE, VP, [1])),
    "tweedie at t = 0": (ValueError, "t runs over", lambda: plot.tweedie(LINE, VP, [0])),
    "tweedie at none": (ValueError, "one to four; got 0", lambda: plot.tweedie(LINE, VP, np.zeros(0, int))),
    "tweedie at five": (ValueError, "one to four; got 5", lambda: plot.tweedie(LINE, VP, [1, 2, 3, 4, 5])),
}


@pytest.mark.parametrize(("error", "match", "call"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line(error, match, call):
    with pytest.raises(error, match=match) as refused:
        call()
    assert "\n" not in str(refused.value)
