"""The pictures: what is drawn is compared with numbers found without `refdiff.plot`, and files are whole or absent."""

import itertools
import os
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from PIL import Image

from refdiff import files, forward, plot
from refdiff.elbo import Bound, Rung
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2, 0.4, 0.6])
ONE = GaussianMixture([1.0], [[0.0, 0.0]], 0.25)
TWO = GaussianMixture([0.5, 0.5], [[-1.0, 0.5], [1.0, 0.0]], 0.04)
LINE = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])
RUNGS = (
    Rung("one chain", 1.21, 0.01, 0.4, 50.0),
    Rung("a triple for each t", 1.1, 0.1, 47.0, 50.0),
    Rung("one t, x_t drawn", 1.4, 0.15, 140.0, 1.0),
)


def rng():
    return np.random.default_rng(0)


def bound(terms, reconstruction, prior):
    return Bound(np.array(reconstruction), np.array(terms), np.array(prior), 2)


def bounds(n=5, shift=0.0):
    """Return the bounds of a trained and an ideal model, and exact values; L_0 is positive for a large shift."""
    r = rng()
    terms = np.zeros((SCHEDULE.T + 1, n))
    terms[2:] = r.random((SCHEDULE.T - 1, n)) + 0.1
    ideal = bound(terms, r.random(n) + shift, r.random(n) / 100)
    more = terms.copy()
    more[2:] += r.random((SCHEDULE.T - 1, n)) / 10
    trained = bound(more, ideal.reconstruction + 0.01, ideal.prior)
    return trained, ideal, ideal.total - 0.2 - r.random(n) / 10


def strip_rows(n=40, schedule=SCHEDULE):
    r = rng()
    return [("normal", r.standard_normal((n, 2)), schedule, r.standard_normal((n // 2 + 3, 2)))]


PICTURES = {
    "forward_figure": lambda: plot.forward_figure(SCHEDULE, rng()),
    "diffusion_strip": lambda: plot.diffusion_strip(strip_rows(), rng()),
    "elbo_terms": lambda: plot.elbo_terms(SCHEDULE, *bounds(shift=-3.0)),
    "posterior_product": lambda: plot.posterior_product(SCHEDULE, 1.5, -0.5, 3),
    "score_field": lambda: plot.score_field(TWO, SCHEDULE, 2, lambda x_t, t: 0.9 * x_t, cells=31, arrows=7),
    "variance_ladder": lambda: plot.variance_ladder(RUNGS),
    "bound_gap": lambda: plot.bound_gap(LINE, [Schedule.vp(T) for T in (4, 8, 16)]),
    "quasi_static": lambda: plot.quasi_static(LINE, [Schedule.vp(T) for T in (4, 8, 16)], rng(), n=50),
    "bound_per_step": lambda: plot.bound_per_step(
        SCHEDULE, [0, 0, 0.9, 0.5, 0.2, 0.1, 0.01], np.full(7, 0.05), (-2.0, 0.1), (1e-3, 1e-5), (-0.4, 0.1)
    ),
}
each_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


def labelled(axes, start):
    """Return the one line of the axes whose label begins so."""
    (line,) = [line for line in axes.lines if line.get_label().startswith(start)]
    return line


def words(figure):
    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def nothing_is_cut_off(figure):
    """Return whether all that is drawn lies within the figure."""
    figure.canvas.draw()
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return min(drawn.x0, drawn.y0) >= -0.01 and drawn.x1 <= width + 0.01 and drawn.y1 <= height + 0.01


# ---------------------------------------------------------------------------------------------------- all of them alike


@each_picture
def test_no_text_is_cut_off_and_the_settings_are_neither_changed_nor_heeded(draw):
    before = dict(matplotlib.rcParams)
    figure = draw()
    assert isinstance(figure, Figure)
    expected = figure._repr_png_()
    assert dict(matplotlib.rcParams) == before
    assert nothing_is_cut_off(figure)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30, "savefig.bbox": "tight", "axes.grid": True}):
        assert draw()._repr_png_() == expected


def test_it_needs_neither_display_nor_pyplot_nor_backend(tmp_path):
    code = (
        "import sys; from refdiff import Schedule, plot;"
        f"plot.save(plot.posterior_product(Schedule.vp(5), 1.0, 0.0, 3), {str(tmp_path / 'a.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "DISPLAY")}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)
    assert (tmp_path / "a.png").exists()


# -------------------------------------------------------------------------------------------------- the forward process


def test_forward_figure_draws_the_chains_of_walk_and_the_rates():
    figure = plot.forward_figure(SCHEDULE, rng(), corner=5.0, repeats=2)
    plane, signal, noise = figure.axes
    x_0 = np.repeat([[5.0, 5.0], [-5.0, 5.0], [-5.0, -5.0], [5.0, -5.0]], 2, axis=0)
    x = forward.walk(SCHEDULE, x_0, rng())
    paths = [line.get_xydata() for line in plane.lines if len(line.get_xydata()) == SCHEDULE.T + 1]
    np.testing.assert_array_equal(np.stack(paths, axis=1), x)
    alpha_bar = np.cumprod([1.0, 0.7, 0.9, 0.5, 0.8, 0.6, 0.4])
    np.testing.assert_allclose(signal.lines[0].get_ydata(), np.sqrt(alpha_bar))
    np.testing.assert_allclose(noise.lines[0].get_ydata(), np.sqrt(1 - alpha_bar), atol=1e-15)
    np.testing.assert_array_equal(noise.lines[0].get_xdata(), np.arange(7))
    assert {patch.radius for patch in plane.patches} == {1, 2}
    assert plane.get_aspect() == 1


def test_forward_figure_of_one_step():
    assert plot.forward_figure(Schedule.from_betas([0.1]), rng()).canvas.draw() is None


def test_the_animation_is_a_gif_with_one_frame_for_each_step_it_returns(tmp_path):
    steps = plot.forward_animation(Schedule.vp(20), tmp_path / "a.gif", rng(), frames=6, fps=10, dpi=40)
    assert steps.size == 6
    assert (steps[0], steps[-1]) == (0, 20)
    assert (np.diff(np.diff(steps)) >= 0).all()
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == 6
        assert gif.info["loop"] == 0
        seen = []
        for k in range(6):
            gif.seek(k)
            seen.append((np.array(gif.convert("RGB")), gif.info["duration"]))
    assert all((a != b).any() for (a, _), (b, _) in itertools.pairwise(seen))
    assert all(image.max() == 255 and image.min() < 80 for image, _ in seen)
    assert [duration for _, duration in seen] == [100] * 5 + [2100]
    assert [file.name for file in tmp_path.iterdir()] == ["a.gif"]


def test_each_frame_shows_x_t_and_the_rates_of_its_t(tmp_path, monkeypatch):
    frames = []

    class Recorder:
        def __init__(self, fps):
            pass

        def setup(self, figure, path, dpi):
            self.figure, self.path = figure, path

        def grab_frame(self):
            plane, *rates = self.figure.axes
            heads = [c for c in plane.collections if isinstance(c, PathCollection) and c.get_animated()]
            dots = [line.get_xydata()[0] for axes in rates for line in axes.lines if line.get_marker() == "o"]
            frames.append((np.array(heads[0].get_offsets()), dots, [text.get_text() for text in plane.texts]))

        def finish(self):
            self.path.write_bytes(b"")

    monkeypatch.setattr(plot.chains, "PillowWriter", Recorder)
    steps = plot.forward_animation(SCHEDULE, tmp_path / "a.gif", rng(), frames=4, fps=1)
    x = forward.walk(SCHEDULE, np.repeat([[10.0, 10], [-10, 10], [-10, -10], [10, -10]], 3, axis=0), rng())
    for t, (heads, dots, texts) in zip(steps, frames):
        np.testing.assert_array_equal(heads, x[t])
        np.testing.assert_allclose(dots, [[t, SCHEDULE.alpha_bar[t] ** 0.5], [t, (1 - SCHEDULE.alpha_bar[t]) ** 0.5]])
        assert f"$t$ = {t}" in texts
    assert len(frames) == len(steps) + 2


def test_a_gif_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    def finish(writer):
        writer.outfile.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(plot.chains.PillowWriter, "finish", finish)
    with pytest.raises(OSError, match="no space left"):
        plot.forward_animation(SCHEDULE, path, rng(), frames=2, fps=1, dpi=20)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------------------ the strip


def test_the_strip_shows_data_its_diffusion_noise_samples_and_other_data():
    ((name, data, schedule, samples),) = rows = strip_rows(n=4000)
    figure = plot.diffusion_strip(rows, rng(), steps=[1, 3, 4, 6], n=1800)
    panels = [axes.lines[0].get_xydata() for axes in figure.axes]
    assert [len(x) for x in panels] == [1800] * 8
    np.testing.assert_array_equal(panels[0], data[:1800])
    np.testing.assert_array_equal(panels[6], samples[:1800])
    np.testing.assert_array_equal(panels[7], data[2000:3800])
    for t, x_t in zip([1, 3, 4, 6], panels[1:5]):
        alpha_bar = np.prod(1 - schedule.beta[1 : t + 1])
        eps = (x_t - np.sqrt(alpha_bar) * panels[0]) / np.sqrt(1 - alpha_bar)
        assert abs(np.mean(eps**2) - 1) < 6 * np.sqrt(2 / eps.size)
        assert abs(np.mean(eps * panels[0])) < 6 / np.sqrt(eps.size)
    titles = [axes.get_title(loc="center") for axes in figure.axes]
    assert titles[2] == "$t$ = 3\n" + r"$\bar\alpha_t$ = 0.32"
    assert len({axes.get_xlim() + axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_ylabel() == name


def test_the_strip_labels_each_row_where_the_schedules_differ():
    rows = strip_rows() + strip_rows(schedule=Schedule.vp(100))
    figure = plot.diffusion_strip(rows, rng())
    below = [axes.get_title(loc="center") for axes in figure.axes[8:]]
    assert below[0] == "data\n$x_0$"
    steps = [int(title.split("\n")[0].split("= ")[1]) for title in below[1:5]]
    noise_rate = np.sqrt(-np.expm1(-np.cumsum(0.1 + 19.9 * (np.arange(100) + 0.5) / 100) / 100))
    assert steps == [1 + int(np.argmax(noise_rate >= rate)) for rate in (0.1, 0.3, 0.6, 0.9)]
    once = plot.diffusion_strip(strip_rows() + strip_rows(), rng())
    assert {axes.get_title(loc="center") for axes in once.axes[8:]} == {""}


# ------------------------------------------------------------------------------------------------------------ the bound


@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_elbo_terms_carries_the_means_of_the_bounds(shift):
    trained, ideal, exact = bounds(shift=shift)
    figure = plot.elbo_terms(SCHEDULE, trained, ideal, exact)
    terms, running, gap = figure.axes
    for name, one in (("ideal denoiser", ideal), ("trained network", trained)):
        line = labelled(terms, f"$L_{{t-1}}$, {name}")
        np.testing.assert_array_equal(line.get_xdata(), np.arange(2, 7))
        np.testing.assert_allclose(line.get_ydata(), one.terms[2:].mean(axis=1))
    np.testing.assert_allclose(labelled(running, "exact").get_ydata(), exact.mean())
    sums = [line.get_ydata() for line in running.lines if len(line.get_ydata()) == SCHEDULE.T]
    for one, drawn in zip((ideal, trained), sums):
        np.testing.assert_allclose(drawn[0], (one.prior + one.reconstruction).mean())
        np.testing.assert_allclose(drawn[-1], one.total.mean())
    bars = [bar for bar in gap.patches if isinstance(bar, Rectangle)]
    best, more = (ideal.total - exact).mean(), (trained.total - ideal.total).mean()
    np.testing.assert_allclose([bar.get_width() for bar in bars], [best, best, more])
    assert bars[2].get_x() == pytest.approx(best)
    for line in (
        "exact $-\\log q(x_0)$",
        "for what it has not learnt",
        "reverse steps are Gaussian of fixed variance",
        f"$L_0$ = {trained.reconstruction.mean():.3g}".replace("-", "−")[:8],
        "$L_T$ = $",
    ):
        assert line in words(figure)
    assert ("lies below" in words(figure)) == (shift < 0)
    (error,) = [c for c in gap.collections if len(c.get_segments()) == 2]
    whisker = np.ptp(error.get_segments()[0][:, 0]) / 2
    assert whisker == pytest.approx((ideal.total - exact).std() / np.sqrt(exact.size))


def test_elbo_terms_takes_the_least_gap_where_it_is_known():
    trained, ideal, exact = bounds()
    figure = plot.elbo_terms(SCHEDULE, trained, ideal, exact, least=0.0123)
    best, also_best, more = (bar for bar in figure.axes[2].patches if isinstance(bar, Rectangle))
    assert best.get_width() == also_best.get_width() == more.get_x() == 0.0123
    assert "ideal denoiser: 0.0123, the least possible" in words(figure)


def test_elbo_terms_averages_the_difference_over_near_t():
    t = np.arange(2, 1001)
    centre, value = plot.bound._averaged(t, 3.0 / t)
    assert centre.size <= 24
    edges = np.unique(np.geomspace(2, 1001, 25).astype(int))
    for k, (a, b) in enumerate(itertools.pairwise(edges)):
        inside = t[(t >= a) & (t < b)]
        assert centre[k] == pytest.approx(inside.mean())
        assert value[k] == pytest.approx((3.0 / inside).mean())


def test_elbo_terms_without_prior_loss_and_with_terms_that_vanish():
    _, ideal, exact = bounds()
    nothing = bound(np.zeros_like(ideal.terms), ideal.reconstruction, np.zeros_like(exact))
    figure = plot.elbo_terms(SCHEDULE, nothing, nothing, exact)
    figure.canvas.draw()
    assert "$L_T$ = 0" in words(figure)


# ---------------------------------------------------------------------------------------------------------- Bayes' rule


def normal(x, mean, var):
    return np.exp(-((x - mean) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)


@pytest.mark.parametrize("t", [2, 3, 6])
def test_posterior_product_draws_the_densities(t):
    x_0, x_t = 1.5, -0.5
    figure = plot.posterior_product(SCHEDULE, x_0, [x_t], t)
    above, below = figure.axes
    beta, before = SCHEDULE.beta[t], np.prod(1 - SCHEDULE.beta[1:t])
    alpha = 1 - beta
    precision = alpha / beta + 1 / (1 - before)
    mean = (np.sqrt(alpha) * x_t / beta + np.sqrt(before) * x_0 / (1 - before)) / precision
    prior, posterior = labelled(above, "prior $"), labelled(above, "posterior")
    likelihood, dots = labelled(above, "likelihood"), labelled(above, "prior ×")
    x = posterior.get_xdata()
    np.testing.assert_allclose(prior.get_ydata(), normal(x, np.sqrt(before) * x_0, 1 - before))
    np.testing.assert_allclose(posterior.get_ydata(), normal(x, mean, 1 / precision), atol=1e-12)
    ratio = likelihood.get_ydata() / normal(x_t, np.sqrt(alpha) * x, beta)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert likelihood.get_ydata().max() == pytest.approx(posterior.get_ydata().max())
    np.testing.assert_allclose(dots.get_ydata(), normal(dots.get_xdata(), mean, 1 / precision), rtol=1e-6)
    points = [line.get_xdata()[0] for line in below.lines if len(line.get_xdata()) == 1 and line.get_marker() == "o"]
    np.testing.assert_allclose(points, [np.sqrt(before) * x_0, x_t / np.sqrt(alpha), mean])
    assert "not a density in it" in labelled(above, "likelihood").get_label()
    for number in (precision, 1 / (1 - before), alpha / beta):
        assert f"{number:.2f}" in words(figure)


# ------------------------------------------------------------------------------------------------------------ the score


def test_score_field_draws_both_scores_and_their_distance():
    t, shift = 3, np.array([0.3, -0.4])
    alpha_bar = np.prod(1 - SCHEDULE.beta[1 : t + 1])
    var = alpha_bar * 0.25 + 1 - alpha_bar
    rate = np.sqrt(1 - alpha_bar)
    figure = plot.score_field(ONE, SCHEDULE, t, lambda x_t, t: rate * (x_t / var - shift), cells=81, arrows=9)
    truth, learnt, distance = figure.axes[:3]
    fields = [axes.findobj(Quiver)[0] for axes in (truth, learnt)]
    at = fields[0].XY
    np.testing.assert_allclose(np.stack([fields[0].U, fields[0].V], axis=-1), -at / var, atol=1e-12)
    np.testing.assert_allclose(np.stack([fields[1].U, fields[1].V], axis=-1), -at / var + shift, atol=1e-12)
    assert fields[0].scale == fields[1].scale
    # the smallest region with 99 % of a Gaussian in the plane is the disc of radius^2 = -2 var log 0.01
    radius = np.sqrt(-2 * var * np.log(0.01))
    far = np.linalg.norm(at, axis=-1)
    clear = fields[0].get_facecolors()[:, 3] == 1
    assert clear[far < 0.97 * radius].all()
    assert not clear[far > 1.03 * radius].any()
    np.testing.assert_allclose(distance.findobj(QuadMesh)[0].get_array(), 0.5)
    assert "the two are 0.5 apart" in words(figure)


def test_score_field_says_250_per_cent_and_not_a_power_of_ten():
    ideal = ONE.denoiser(SCHEDULE)
    figure = plot.score_field(ONE, SCHEDULE, 3, lambda x_t, t: 3.5 * ideal(x_t, t), cells=31, arrows=5)
    assert "250 % of the score's length" in words(figure)


def test_score_field_hides_the_error_where_nothing_was_trained():
    figure = plot.score_field(ONE, SCHEDULE, 3, lambda x_t, t: 0 * x_t, cells=61, arrows=5)
    axes = figure.axes[2]
    axes.set_title("")
    figure.canvas.draw()
    image = np.array(figure.canvas.buffer_rgba())[::-1]

    def colour(x):
        column, row = axes.transData.transform(x).astype(int)
        return tuple(int(c) for c in image[row, column, :3])

    limit = axes.get_xlim()[1]
    assert colour([0.9 * limit, 0.9 * limit]) == (0xED, 0xED, 0xED)
    assert colour([-0.9 * limit, 0.95 * limit]) == (0xED, 0xED, 0xED)
    assert colour([0.3, 0.3]) != (0xED, 0xED, 0xED)


def test_score_field_of_a_perfect_denoiser_is_a_distance_of_zero():
    figure = plot.score_field(TWO, SCHEDULE, 2, TWO.denoiser(SCHEDULE), cells=31, arrows=5)
    np.testing.assert_allclose(figure.axes[2].findobj(QuadMesh)[0].get_array(), 0.0, atol=1e-12)


# --------------------------------------------------------------------------------------------------------------- saving


def test_save_writes_the_same_bytes_again_and_no_date(tmp_path):
    figure = PICTURES["posterior_product"]()
    plot.save(figure, tmp_path / "a.png")
    plot.save(PICTURES["posterior_product"](), str(tmp_path / "b.png"))
    first = (tmp_path / "a.png").read_bytes()
    assert (tmp_path / "b.png").read_bytes() == first
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1350, 780)
        assert set(image.info) <= {"dpi"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def replace(partial, path):
        assert os.path.getsize(partial) > 1000
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "replace", replace)
    with pytest.raises(OSError, match="no space left"):
        plot.save(PICTURES["posterior_product"](), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------------------ bad input


TRAINED, IDEAL, EXACT = bounds()
WRONG = {
    "no schedule": (TypeError, "schedule must be", lambda p: plot.forward_figure(10, rng())),
    "no rng": (TypeError, "rng must be", lambda p: plot.forward_figure(SCHEDULE, 0)),
    "corner": (ValueError, "corner must be > 0", lambda p: plot.forward_figure(SCHEDULE, rng(), corner=0)),
    "gif suffix": (ValueError, r"must end in \.gif", lambda p: plot.forward_animation(SCHEDULE, p / "a.png", rng())),
    "frames": (ValueError, "frames", lambda p: plot.forward_animation(SCHEDULE, p / "a.gif", rng(), frames=1)),
    "fps": (ValueError, "fps", lambda p: plot.forward_animation(SCHEDULE, p / "a.gif", rng(), fps=0)),
    "gif rng": (TypeError, "rng must be", lambda p: plot.forward_animation(SCHEDULE, p / "a.gif", None)),
    "no rows": (ValueError, "at least one", lambda p: plot.diffusion_strip([], rng())),
    "short row": (ValueError, "each row", lambda p: plot.diffusion_strip([("a", EXACT)], rng())),
    "row of 3-D": (
        ValueError,
        r"shape \(n, 2\)",
        lambda p: plot.diffusion_strip([("a", np.ones((4, 3)), SCHEDULE, np.ones((4, 2)))], rng()),
    ),
    "row of NaN": (
        ValueError,
        "finite",
        lambda p: plot.diffusion_strip([("a", np.full((4, 2), np.nan), SCHEDULE, np.ones((4, 2)))], rng()),
    ),
    "strip step": (ValueError, "t runs over", lambda p: plot.diffusion_strip(strip_rows(), rng(), steps=[0])),
    "strip steps": (ValueError, "at least one step", lambda p: plot.diffusion_strip(strip_rows(), rng(), steps=[])),
    "no bound": (TypeError, "ideal must be an elbo.Bound", lambda p: plot.elbo_terms(SCHEDULE, TRAINED, 1.0, EXACT)),
    "other T": (ValueError, r"T \+ 1", lambda p: plot.elbo_terms(Schedule.vp(9), TRAINED, IDEAL, EXACT)),
    "other n": (ValueError, r"T \+ 1", lambda p: plot.elbo_terms(SCHEDULE, TRAINED, IDEAL, EXACT[:2])),
    "terms thrown away": (
        ValueError,
        "keep_terms=False",
        lambda p: plot.elbo_terms(SCHEDULE, Bound(EXACT, None, EXACT, 2, between=EXACT), IDEAL, EXACT),
    ),
    "t = 1": (ValueError, r"2\.\.6", lambda p: plot.posterior_product(SCHEDULE, 0.0, 0.0, 1)),
    "t array": (ValueError, "one step", lambda p: plot.posterior_product(SCHEDULE, 0.0, 0.0, [2, 3])),
    "beta 1": (ValueError, "alpha_t > 0", lambda p: plot.posterior_product(Schedule.reciprocal(3), 0.0, 0.0, 3)),
    "x_0": (ValueError, "one finite number", lambda p: plot.posterior_product(SCHEDULE, [0.0, 1.0], 0.0, 2)),
    "no mixture": (TypeError, "GaussianMixture", lambda p: plot.score_field(None, SCHEDULE, 1, None)),
    "mixture on a line": (
        ValueError,
        "d = 1",
        lambda p: plot.score_field(GaussianMixture([1.0], [[0.0]], 1.0), SCHEDULE, 1, None),
    ),
    "mass": (ValueError, "mass", lambda p: plot.score_field(ONE, SCHEDULE, 1, None, mass=99)),
    "no denoiser": (TypeError, "denoiser must be", lambda p: plot.score_field(ONE, SCHEDULE, 1, None)),
    "no figure": (TypeError, "matplotlib Figure", lambda p: plot.save("picture", p / "a.png")),
    "png suffix": (ValueError, r"must end in \.png", lambda p: plot.save(Figure(), p / "a.jpg")),
}


@pytest.mark.parametrize(("error", "match", "call"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(error, match, call, tmp_path):
    with warnings.catch_warnings(), pytest.raises(error, match=match):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
