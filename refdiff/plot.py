r"""Every picture: the chapters' numbers drawn, none of their formulas repeated.

Each function returns a figure, and :func:`save` writes it whole or not at all; only :func:`forward_animation`
writes by itself. Nothing here needs a display, touches pyplot or leaves a trace in matplotlib's settings.
"""

import contextlib
import functools
import io
import itertools
import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from refdiff import bayes, forward, reverse
from refdiff.checks import call_denoiser, check_rng, count, real, table
from refdiff.elbo import Bound
from refdiff.files import whole
from refdiff.gaussian import Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

__all__ = [
    "Picture",
    "diffusion_strip",
    "elbo_terms",
    "forward_animation",
    "forward_figure",
    "posterior_product",
    "save",
    "score_field",
]

# Okabe & Ito's palette, which colour-blind readers can tell apart, and what each colour stands for.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
INK, GREY, PALE = "#262626", "#7A7A7A", "#DADADA"
TRUTH, MODEL, NOISE = BLUE, VERMILION, GREY
CORNER_COLORS = (BLUE, VERMILION, GREEN, PURPLE)
ERROR_MAP = LinearSegmentedColormap.from_list("error", ["#FFFFFF", "#FBD9C0", "#EE9A5E", VERMILION, "#7A2F00"])

WIDTH = 9.0  # inches; at 100 dots per inch the 900 pixels at which a picture must be readable
STYLE = {
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 12,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextlib.contextmanager
def _style():
    """Draw with matplotlib's defaults and STYLE, whatever the user's settings are, and put those back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def _styled(function):
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with _style():
            return function(*args, **kwargs)

    return wrapped


class Picture(Figure):
    """A matplotlib Figure that carries its own style, and that a notebook shows without pyplot."""

    def __init__(self, height, width=WIDTH):
        super().__init__(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")
        FigureCanvasAgg(self)
        self.get_layout_engine().set(w_pad=0.08, h_pad=0.08)

    def draw(self, renderer):
        """Draw in the style of the module, whatever matplotlib's settings are now."""
        with _style():
            super().draw(renderer)

    def _repr_png_(self):
        return _png(self, 100)


def _png(figure, dpi):
    """Return the figure as the bytes of a PNG file; the same figure gives the same bytes."""
    content = io.BytesIO()
    with _style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def _must_end_in(path, suffix):
    if Path(path).suffix.lower() != suffix:
        raise ValueError(f"path must end in {suffix}; got {Path(path).name!r}.")


def save(figure, path, dpi=150):
    """Write a figure to a PNG file, whole or not at all.

    The same figure gives the same bytes: no date and no version are written into the file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path-like
        Ends in ``.png``. A file of that name stays until the new one is complete: see :func:`refdiff.files.whole`.
    dpi : float
        Dots per inch; the pictures of this module are 9 inches wide.

    Raises
    ------
    TypeError
        If `figure` is not a Figure.
    ValueError
        If the path does not end in ``.png``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     save(posterior_product(Schedule.vp(10), 1.5, -0.5, 4), f"{directory}/posterior.png")
    ...     [file.name for file in Path(directory).iterdir()]
    ['posterior.png']
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a matplotlib Figure; got {type(figure).__name__}.")
    _must_end_in(path, ".png")
    with whole(path) as unfinished:
        unfinished.write_bytes(_png(figure, dpi))


# -------------------------------------------------------------------------------------------------- the forward process


def _corners(corner, repeats):
    """Return the starts of the chains, shape (4 * repeats, 2), and the index of the corner of each."""
    corner = float(real(corner, "corner"))
    if not 0 < corner < math.inf:
        raise ValueError(f"corner must be > 0 and finite; got {corner}.")
    which = np.repeat(np.arange(4), count(repeats, "repeats"))
    return corner * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=float)[which], which


def _forward_axes(schedule, corner):
    """Return the figure of the forward process without its chains, and its axes: plane, signal rate, noise rate."""
    figure = Picture(4.9)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.3, 1])
    plane = figure.add_subplot(grid[:, 0])
    signal = figure.add_subplot(grid[0, 1])
    noise = figure.add_subplot(grid[1, 1], sharex=signal)
    figure.suptitle(
        f"The forward process forgets: the mean of $x_t$ shrinks from ±{corner:g} to"
        f" ±{corner * schedule.signal_rate[-1]:.2g}, the noise grows to std {schedule.noise_rate[-1]:.2f}",
        fontsize=11,
    )
    plane.set(xlim=(-1.3 * corner, 1.3 * corner), ylim=(-1.3 * corner, 1.3 * corner), aspect="equal")
    plane.set(xlabel="first coordinate of $x_t$", ylabel="second coordinate of $x_t$")
    for radius in (1, 2):
        plane.add_patch(Circle((0, 0), radius, fill=False, color="white", linewidth=3, alpha=0.7, zorder=4))
        plane.add_patch(Circle((0, 0), radius, fill=False, color=INK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=4))
    _point_out(plane, "1 and 2 std\nof N(0, I)", (2, 0), (0.4 * corner, 0), "left")
    t = np.arange(schedule.T + 1)
    for axes, rate, symbol, name, color in (
        (signal, schedule.signal_rate, r"\sqrt{\bar\alpha_t}", "signal rate", INK),
        (noise, schedule.noise_rate, r"\sqrt{1 - \bar\alpha_t}", "noise rate", INK),
    ):
        axes.plot(t, rate, color=color, linewidth=1.8)
        axes.set(ylim=(-0.05, 1.08), xlim=(0, schedule.T * 1.02), yticks=[0, 0.5, 1])
        axes.set_title(f"{name} ${symbol}$")
    signal.tick_params(labelbottom=False)
    noise.set_xlabel(f"step $t$ of 1..{schedule.T}  (0 is the start)")
    return figure, plane, signal, noise


def _point_out(axes, text, at, beside, side):
    """Write `text` with a thin line to where it belongs."""
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7}
    axes.annotate(text, at, beside, ha=side, va="center", fontsize=9, arrowprops=line, zorder=1)


@_styled
def forward_figure(schedule, rng, *, corner=10.0, repeats=3):
    r"""Draw the forward process from four far corners, whole paths, beside the rates that rule it.

    .. math:: x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t

    Parameters
    ----------
    schedule : Schedule
    rng : numpy.random.Generator
    corner : float
        The chains start at (±corner, ±corner).
    repeats : int
        Chains from each corner.

    Returns
    -------
    matplotlib.figure.Figure
        The paths are those of :func:`refdiff.forward.walk` from the corners, in the order of quadrants.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> figure = forward_figure(Schedule.vp(20), np.random.default_rng(0))
    >>> len(figure.axes)
    3
    """
    _check_schedule(schedule)
    x_0, which = _corners(corner, repeats)
    x = forward.walk(schedule, x_0, rng)
    figure, plane, signal, noise = _forward_axes(schedule, corner)
    for k, color in enumerate(CORNER_COLORS):
        for chain in np.flatnonzero(which == k):
            plane.plot(x[:, chain, 0], x[:, chain, 1], color=color, linewidth=0.7, alpha=0.75, zorder=2)
        start = x_0[which == k][0]
        plane.plot(*start, "s", color=color, markersize=6, zorder=5)
        plane.annotate(
            f"$x_0$ = ({_signed(start[0])}, {_signed(start[1])})",
            start,
            (-4 if start[0] < 0 else 4, 8 if start[1] > 0 else -8),
            textcoords="offset points",
            color=color,
            ha="left" if start[0] < 0 else "right",
            va="bottom" if start[1] > 0 else "top",
            fontsize=9,
        )
        plane.plot(*x[-1, which == k].T, "o", color=color, markeredgecolor="white", markersize=6.5, zorder=6)
    _point_out(plane, f"dots:\n$x_t$ at $t$ = {schedule.T}", (-2, 0), (-0.4 * corner, 0), "right")
    crossing = int(np.argmax(schedule.noise_rate >= schedule.signal_rate))
    if crossing:
        for axes, rate in ((signal, schedule.signal_rate), (noise, schedule.noise_rate)):
            axes.axvline(crossing, color=PALE, linewidth=1, zorder=0)
            axes.plot(crossing, rate[crossing], "o", color=INK, markersize=5)
        signal.annotate(
            f"from $t$ = {crossing} on the\nnoise rate is the higher",
            (crossing, schedule.signal_rate[crossing]),
            (8, 6),
            textcoords="offset points",
            fontsize=9,
            va="bottom",
        )
    return figure


@_styled
def forward_animation(schedule, path, rng, *, corner=10.0, repeats=3, frames=72, fps=12, dpi=100):
    r"""Write the forward process from four far corners as an animated GIF, whole or not at all.

    .. math:: x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t

    The frames are not evenly spaced in t: they go as the power 3/2, slowly at first. The last stays for two seconds.

    Parameters
    ----------
    schedule : Schedule
    path : str or path-like
        Ends in ``.gif``.
    rng : numpy.random.Generator
    corner : float
        The chains start at (±corner, ±corner).
    repeats : int
        Chains from each corner.
    frames : int
        At least 2; fewer are drawn where the schedule has not that many steps.
    fps : float
        Frames per second.
    dpi : float

    Returns
    -------
    ndarray of int
        The t of each frame, from 0 to T.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    """
    _check_schedule(schedule)
    if not 0 < fps < math.inf:
        raise ValueError(f"fps must be > 0 frames per second; got {fps}.")
    steps = schedule.T * np.linspace(0, 1, count(frames, "frames", least=2)) ** 1.5
    steps = np.unique(np.round(steps).astype(int))
    x_0, which = _corners(corner, repeats)
    _must_end_in(path, ".gif")
    x = forward.walk(schedule, x_0, rng)
    with whole(path) as unfinished:
        figure, plane, signal, noise = _forward_axes(schedule, corner)
        colors = np.array([to_rgb(color) for color in CORNER_COLORS])[which]
        plane.scatter(*x_0.T, marker="s", s=22, c=colors, alpha=0.5, linewidths=0)
        trails = plane.add_collection(LineCollection([], linewidths=1.1, zorder=2), autolim=False)
        heads = plane.scatter(*x_0.T, s=34, c=colors, edgecolors="white", linewidths=0.8, zorder=6)
        clock = plane.text(0.5, 0.97, "", transform=plane.transAxes, ha="center", va="top", fontsize=13, weight="bold")
        markers = []
        for axes, rate in ((signal, schedule.signal_rate), (noise, schedule.noise_rate)):
            line = axes.axvline(0, color=PALE, linewidth=1, zorder=0)
            (dot,) = axes.plot(0, rate[0], "o", color=VERMILION, markersize=7, clip_on=False)
            value = axes.text(1, 1, "", transform=axes.transAxes, ha="right", va="bottom", fontsize=10, color=VERMILION)
            markers.append((rate, line, dot, value))
        circles = [child for child in plane.patches if isinstance(child, Circle)]
        _freeze(figure, dpi, [trails, heads, clock, *circles, *itertools.chain(*(moving[1:] for moving in markers))])
        writer = PillowWriter(fps=fps)
        writer.setup(figure, unfinished, dpi=dpi)
        for t in steps:
            trails.set(**_trails(x, int(t), colors))
            heads.set_offsets(x[t])
            clock.set_text(f"$t$ = {t}")
            for rate, line, dot, value in markers:
                line.set_xdata([t, t])
                dot.set_data([t], [rate[t]])
                value.set_text(f"{rate[t]:.3f}")
            writer.grab_frame()
        for _ in range(round(2 * fps)):
            writer.grab_frame()  # equal frames are merged into one that stays
        writer.finish()
    return steps


def _freeze(figure, dpi, moving):
    """Draw all that does not move once and for all, so that a frame costs no more than what moves in it."""
    for artist in moving:
        artist.set_animated(True)  # left out unless the figure is being saved
    figure.set_dpi(dpi)
    figure.canvas.draw()
    still = np.array(figure.canvas.buffer_rgba())
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_axis_off()
    for artist in itertools.chain(figure.texts, *(axes.get_children() for axes in figure.axes)):
        artist.set_visible(artist.get_animated())
    figure.add_artist(_Still(still))


class _Still(Artist):
    """The pixels of a whole figure, put back as they are, beneath all that is drawn after."""

    zorder = -1

    def __init__(self, pixels):
        super().__init__()
        self.pixels = np.ascontiguousarray(pixels[::-1])

    def draw(self, renderer):
        renderer.draw_image(renderer.new_gc(), 0, 0, self.pixels)


def _trails(x, t, colors, pieces=8):
    """Return the segments and colours of the last tenth of the way of each chain, fading into the past."""
    length = max(len(x) // 10, 2)
    cuts = np.unique(np.linspace(max(t - length, 0), t, pieces + 1).round().astype(int))
    segments, shades = [], []
    for first, last in itertools.pairwise(cuts):
        shade = 0.15 + 0.75 * (last - (t - length)) / length
        segments += list(x[first : last + 1].swapaxes(0, 1))
        shades += [to_rgba(color, shade) for color in colors]
    return {"segments": segments, "color": shades}


# ------------------------------------------------------------------------------------------ from data to noise and back


@_styled
def diffusion_strip(rows, rng, *, steps=None, n=1500, limit=None):
    r"""Draw data turning to noise, and what a model makes of noise: one row for each data set.

    From left to right: data x_0, x_t at four steps drawn from q(x_t | x_0), the prior p(x_T), samples of the model,
    and other data to judge them by. All panels of a row hold the same number of points.

    Parameters
    ----------
    rows : sequence of (name, data, schedule, samples)
        `data`, of shape (m, 2), are points that the model has not seen: the first half is diffused, the second
        half stands beside the `samples` of the model, of shape (k, 2).
    rng : numpy.random.Generator
    steps : sequence of int, optional
        The t to show; by default those at which the noise rate first reaches 0.1, 0.3, 0.6 and 0.9.
    n : int
        At most so many points in a panel.
    limit : float, optional
        The axes run over ±limit, the same in all panels; by default 3, or what holds all data.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> data = rng.standard_normal((100, 2))
    >>> figure = diffusion_strip([("noise", data, Schedule.vp(50), data[:50])], rng)
    >>> len(figure.axes)
    8
    """
    check_rng(rng)
    n = count(n, "n")
    rows = [_strip_row(row) for row in rows]
    if not rows:
        raise ValueError("rows must hold at least one (name, data, schedule, samples); got none.")
    if steps is not None and len(steps) == 0:
        raise ValueError("steps must name at least one step t; got none.")
    if limit is None:
        limit = max(3.0, 1.05 * max(np.abs(data).max() for _, data, _, _ in rows))
    steps = [_strip_steps(schedule) if steps is None else steps for _, _, schedule, _ in rows]
    first = rows[0][2]
    alike = all(np.array_equal(schedule.beta, first.beta) for _, _, schedule, _ in rows)  # one line of labels will do
    width = len(steps[0]) + 4
    figure = Picture(0.8 + (1.08 if alike else 1.42) * len(rows))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.0, hspace=0.0)
    grid = figure.add_gridspec(len(rows), width + 2, width_ratios=[1] * (width - 3) + [0.14, 1, 0.14, 1, 1])
    columns = [*range(width - 3), width - 2, width, width + 1]
    for i, ((name, data, schedule, samples), shown) in enumerate(zip(rows, steps)):
        m = min(n, len(data) // 2, len(samples))
        half = len(data) // 2
        x_0, held_out = data[:m], data[half : half + m]
        noise = reverse.prior(m, 2).sample(rng)
        panels = [("data\n$x_0$", x_0, TRUTH)]
        for t in shown:
            fade = _mix(TRUTH, NOISE, float(schedule.noise_rate[schedule.index(t)]))
            label = f"$t$ = {t}\n" + rf"$\bar\alpha_t$ = {_short(schedule.alpha_bar[t])}"
            panels.append((label, forward.marginal(schedule, x_0, t).sample(rng), fade))
        panels += [("noise\n$p(x_T)$", noise, NOISE), ("model\nsamples", samples[:m], MODEL)]
        panels += [("held-out\ndata", held_out, TRUTH)]
        for column, (label, x, color) in zip(columns, panels):
            axes = figure.add_subplot(grid[i, column])
            axes.plot(x[:, 0], x[:, 1], ".", color=color, markersize=1.8, markeredgewidth=0, alpha=0.55)
            axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
            axes.spines[:].set(visible=True, color=PALE)
            if i == 0 or not alike:
                axes.set_title(label, loc="center", fontsize=9, color=color, linespacing=1.3)
            if column == 0:
                axes.set_ylabel(name, fontsize=9)
    figure.suptitle(
        "Forward, $q$ turns data into noise (blue to grey); backward, the model turns noise into data (orange)",
        fontsize=11,
    )
    return figure


def _strip_row(row):
    """Return one row of the strip, checked."""
    try:
        name, data, schedule, samples = row
    except (TypeError, ValueError):
        raise ValueError("each row must be (name, data, schedule, samples).") from None
    _check_schedule(schedule)
    data, samples = table(data, f"data of row {name!r}"), table(samples, f"samples of row {name!r}")
    for what, x, least in (("data", data, 2), ("samples", samples, 1)):
        if x.shape[1] != 2 or len(x) < least:
            raise ValueError(f"{what} of row {name!r} must have shape (n, 2) with n >= {least}; got {x.shape}.")
    return name, data, schedule, samples


def _strip_steps(schedule):
    """Return the four steps at which the noise rate first reaches 0.1, 0.3, 0.6 and 0.9."""
    return np.clip(np.searchsorted(schedule.noise_rate, [0.1, 0.3, 0.6, 0.9]), 1, schedule.T).tolist()


def _mix(one, other, share):
    """Return the colour that holds `share` of the other."""
    return tuple((1 - share) * np.array(to_rgb(one)) + share * np.array(to_rgb(other)))


def _short(value):
    """Return a number in [0, 1] with as many decimals as it needs not to read as 0 or 1."""
    if 0.995 <= value < 1:
        return f"{value:.4f}"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"


# ------------------------------------------------------------------------------------------------------------ the bound


@_styled
def elbo_terms(schedule, trained, ideal, exact):
    r"""Draw the bound of a trained model, term by term, between the best possible one and the exact -log p(x_0).

    .. math:: \mathbb{E}_q\left[L_0 + \sum_{t=2}^T L_{t-1} + L_T\right] - \mathbb{E}_q\left[-\log q(x_0)\right]
        = \mathrm{KL}\left(q(x_{0:T}) \,\Vert\, p(x_{0:T})\right) \ge 0

    No denoiser has a lower expected bound than the ideal one with the same variances. What it still pays is
    for reverse steps that are Gaussian of a fixed variance where q(x_{t-1} | x_t) is not; what the network
    pays beyond that is for what it has not learnt.

    Parameters
    ----------
    schedule : Schedule
    trained, ideal : refdiff.elbo.Bound
        Of the trained and of the ideal denoiser, at the same n points, with the same variances and decoder.
    exact : array_like, shape (n,)
        The true -log q(x_0) of these points, in nats; for mixture data ``-mixture.log_density(x_0)``.

    Returns
    -------
    matplotlib.figure.Figure
        Left the mean of each term over t; right the running sum of the terms, and what the gap consists of.
        Draw both bounds with the same seed: the noise then cancels in their difference.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    """
    _check_schedule(schedule)
    exact = real(exact, "exact")
    for name, bound in (("trained", trained), ("ideal", ideal)):
        if not isinstance(bound, Bound):
            raise TypeError(f"{name} must be an elbo.Bound; got {type(bound).__name__}.")
        if exact.ndim != 1 or bound.terms.shape != (schedule.T + 1, exact.size):
            raise ValueError(
                f"{name}.terms must have shape (T + 1, n) = ({schedule.T + 1}, n) beside exact of shape (n,);"
                f" got {bound.terms.shape} and {exact.shape}."
            )
    if schedule.T < 2:
        raise ValueError("elbo_terms needs T >= 2; with T = 1 there is no L_{t-1} to draw.")
    figure = Picture(6.4)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.2, 1], height_ratios=[2.2, 1])
    _draw_terms(figure.add_subplot(grid[0, 0]), schedule, trained, ideal)
    _draw_running_sum(figure.add_subplot(grid[0, 1]), schedule, trained, ideal, exact.mean())
    _draw_gap(figure.add_subplot(grid[1, :]), ideal.total - exact, trained.total - ideal.total)
    above, unlearnt = (_with_error(*_mean(gap)) for gap in (trained.total - exact, trained.total - ideal.total))
    figure.suptitle(
        rf"The network's bound lies {above} nats above $-\log p(x_0)$, of which {unlearnt} are not learnt yet",
        fontsize=11,
    )
    return figure


# two curves that nearly coincide: the lower one wide, the upper one broken, so that both are seen
BENEATH = {"color": TRUTH, "linewidth": 3.2, "alpha": 0.75}
ON_TOP = {"color": MODEL, "linewidth": 1.4, "linestyle": (0, (4, 3))}


def _draw_terms(axes, schedule, trained, ideal):
    """Draw the mean of each L_{t-1} on logarithmic axes, with L_0 and L_T at the ends."""
    t = np.arange(2, schedule.T + 1)
    means = {}
    for name, bound, style in (("ideal denoiser", ideal, BENEATH), ("trained network", trained, ON_TOP)):
        means[name] = np.where((mean := bound.terms[2:].mean(axis=1)) > 0, mean, np.nan)
        axes.plot(t, means[name], label=f"$L_{{t-1}}$, {name}", **style)
    axes.set(xscale="log", yscale="log")
    L_T, L_0 = ideal.prior.mean(), (ideal.reconstruction.mean(), trained.reconstruction.mean())
    positive = [value for value in (*itertools.chain(*means.values()), L_T, *L_0) if value > 0] or [1e-6, 1.0]
    low, high = min(positive), max(2 * min(positive), *positive)
    low, high = low / (high / low) ** 0.3, high * (high / low) ** 0.4  # room for L_0 below and for the names above
    axes.set_ylim(low, high)
    for value, color in zip(L_0, (TRUTH, MODEL)):
        if value > 0:
            axes.plot(1, value, "s", color=color, markersize=6)
    if min(L_0) > 0:
        text, at = f"$L_0$ = {L_0[1]:.3g} (ideal {L_0[0]:.3g})", (1, L_0[1])
    else:
        axes.plot(1, low * (high / low) ** 0.03, "v", color=MODEL, markersize=7)
        text, at = (
            f"$L_0$ = {_signed(L_0[1], '.2f')} (ideal {_signed(L_0[0], '.2f')}) lies below:\na density may exceed 1",
            (1, low * (high / low) ** 0.03),
        )
    axes.annotate(text, at, (9, -4), textcoords="offset points", va="bottom", fontsize=9)
    if L_T > 0:
        axes.plot(schedule.T, L_T, "D", color=INK, markersize=6)
        text = rf"$L_T$ = ${_scientific(L_T)}$"
        axes.annotate(text, (schedule.T, L_T), (8, 0), textcoords="offset points", va="center", fontsize=9)
    else:
        axes.text(1, 0.02, "$L_T$ = 0", transform=axes.transAxes, ha="right", fontsize=9)
    centre, excess = _averaged(t, (trained.terms - ideal.terms)[2:].mean(axis=1))
    excess = np.where(excess > 0, excess, np.nan)
    axes.plot(
        centre,
        excess,
        ".-",
        color=MODEL,
        linewidth=0.8,
        markersize=4,
        alpha=0.55,
        label="difference where > 0, mean over near $t$",
    )
    axes.legend(loc="upper right", handlelength=1.6)
    axes.set_title("What each step costs, mean over the points")
    axes.set_ylabel("$L_{t-1}$ in nats (logarithmic)")
    _logarithmic_steps(axes, schedule.T)
    axes.set_xlim(right=schedule.T * (schedule.T / 0.8) ** 0.33)  # room for L_T, beyond the last step


def _logarithmic_steps(axes, T):
    """Let the horizontal axis be t = 1..T, logarithmic, with whole numbers at its ticks."""
    axes.set(xscale="log", xlim=(0.8, 1.25 * T), xlabel=f"step $t$ of 1..{T} (logarithmic)")
    digits = (1,) if T >= 100 else (1, 2, 5)
    ticks = [tick for k in range(len(str(T))) for digit in digits if (tick := digit * 10**k) <= T]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.spines["bottom"].set_bounds(0.8, T)


def _averaged(t, values, bins=24):
    """Return the mean of t and of the values over bins of equal width in log t."""
    edges = np.unique(np.geomspace(t[0], t[-1] + 1, bins + 1).astype(int))
    size = np.diff(np.append(np.searchsorted(t, edges[:-1]), t.size))
    return tuple(np.add.reduceat(x, np.searchsorted(t, edges[:-1])) / size for x in (t, values))


def _scientific(value):
    """Write a number as TeX, with one digit and a power of ten."""
    digit, power = f"{value:.0e}".split("e")
    return rf"{digit} \times 10^{{{int(power)}}}"


def _draw_running_sum(axes, schedule, trained, ideal, exact):
    """Draw L_T + L_0 + ... + L_{t-1} over t, which ends at the whole bound, and the exact value."""
    t = np.arange(1, schedule.T + 1)
    axes.axhline(exact, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="exact")
    for bound, style in ((ideal, BENEATH), (trained, ON_TOP)):
        start = bound.prior.mean() + bound.reconstruction.mean()
        axes.plot(t, start + np.cumsum(bound.terms[1:].mean(axis=1)), **style)
    axes.margins(y=0.14)
    axes.annotate(
        rf"exact $-\log p(x_0)$ = {_signed(exact, '.3f')} nats",
        (0.02, exact),
        (0, 3),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        fontsize=9,
    )
    axes.set_title("Running sum $L_T + L_0 + L_1 + \\dots + L_{t-1}$")
    axes.set_ylabel("nats")
    _logarithmic_steps(axes, schedule.T)


def _draw_gap(axes, gap, excess):
    """Draw what the bounds exceed the exact value by: of the ideal denoiser, and what the network adds to it."""
    (best, best_error), (more, more_error) = _mean(gap), _mean(excess)
    bar = {"height": 0.3, "linewidth": 0}
    axes.barh([1, 0], best, color=TRUTH, **bar)
    axes.barh(0, more, left=best, color=MODEL, **bar)
    axes.errorbar(
        [best, best + more], [1, 0], xerr=[best_error, more_error], fmt="none", ecolor=INK, elinewidth=1, capsize=3
    )
    axes.axvline(0, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    words = (
        rf"ideal denoiser: {_with_error(best, best_error)}, the least possible: reverse steps are Gaussian of"
        r" fixed variance, $q(x_{t-1}\,|\,x_t)$ is not",
        f"trained network: {_with_error(more, more_error)} more, for what it has not learnt",
    )
    blank = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for y, text, color in zip((1, 0), words, (TRUTH, MODEL)):
        axes.text(
            0.004, y + 0.2, text, transform=axes.get_yaxis_transform(), color=color, va="bottom", fontsize=9, bbox=blank
        )
    axes.set(
        yticks=[], ylim=(-0.3, 1.65), xlabel="nats above the exact value (whiskers: one standard error of the mean)"
    )
    axes.margins(x=0.04)
    axes.spines["left"].set_visible(False)
    axes.set_title(
        r"The gap of the bound, on average $\mathrm{KL}(q(x_{0:T})\,\|\,p(x_{0:T}))$, and what it consists of"
    )


def _mean(values):
    """Return the mean and its standard error."""
    return values.mean(), values.std() / math.sqrt(values.size)


def _with_error(value, error):
    """Write a value and its standard error with as many decimals as the error allows."""
    decimals = min(max(-math.floor(math.log10(error)), 0), 6) if error > 0 else 3
    return f"{_signed(value, f'.{decimals}f')} ± {error:.{decimals}f}"


# ---------------------------------------------------------------------------------------------------------- Bayes' rule


@_styled
def posterior_product(schedule, x_0, x_t, t):
    r"""Draw Bayes' rule on one step, in one dimension: prior times likelihood is the posterior.

    .. math:: q(x_{t-1} \mid x_t, x_0) = \frac{q(x_t \mid x_{t-1})\,q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)}

    The likelihood is a function of x_{t-1} and no density in it: it is drawn scaled to the height of the posterior.
    Dots are the product of the two, normalised by quadrature; the filled curve is
    :func:`refdiff.bayes.posterior`. That they agree is the theorem.

    Parameters
    ----------
    schedule : Schedule
    x_0, x_t : float
    t : int
        In 2..T; at t = 1 the prior is a point mass.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> figure = posterior_product(Schedule.vp(10), 1.5, -0.5, 4)
    >>> len(figure.axes)
    2
    """
    _check_schedule(schedule)
    x_0, x_t = _number(x_0, "x_0"), _number(x_t, "x_t")
    t = _one_step(schedule, t, least=2)
    if schedule.alpha[t] == 0:
        raise ValueError(
            f"posterior_product needs alpha_t > 0; got t = {t} with beta_t = 1, where x_t forgets x_{{t-1}}."
        )
    prior = forward.marginal(schedule, [x_0], t - 1)
    posterior = bayes.posterior(schedule, [x_0], [x_t], t)
    root_alpha = math.sqrt(schedule.alpha[t])
    # As a function of x_{t-1} the likelihood has the shape of this Gaussian: it peaks where x_t was aimed at.
    shape = Gaussian([x_t / root_alpha], schedule.beta[t] / schedule.alpha[t])
    laws = (prior, shape, posterior)
    low = min((law.mean - 3.6 * law.std).item() for law in laws)
    high = max((law.mean + 3.6 * law.std).item() for law in laws)
    x = np.linspace(low, high, 2001)
    log_prior = prior.log_density(x[:, None])
    log_likelihood = forward.transition(schedule, x[:, None], t).log_density([x_t])
    log_product = log_prior + log_likelihood
    product = np.exp(log_product - log_product.max())
    product /= np.trapezoid(product, x)
    density = np.exp(posterior.log_density(x[:, None]))
    likelihood = density.max() * np.exp(log_likelihood - log_likelihood.max())

    figure = Picture(5.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    above.fill_between(x, density, color=GREEN, alpha=0.3, linewidth=0)
    above.plot(x, np.exp(log_prior), color=BLUE, linewidth=2, label=r"prior $q(x_{t-1}\,|\,x_0)$, a density")
    above.plot(
        x,
        likelihood,
        color=VERMILION,
        linewidth=2,
        linestyle=(0, (5, 2)),
        label="likelihood $q(x_t\\,|\\,x_{t-1})$, a function\nof $x_{t-1}$ but not a density in it:\n"
        "scaled to the posterior's height",
    )
    above.plot(x, density, color=GREEN, linewidth=2, label=r"posterior $q(x_{t-1}\,|\,x_t, x_0)$, closed form")
    inside = np.flatnonzero(np.abs(x - posterior.mean) < 3 * posterior.std)
    dots = inside[np.linspace(0, inside.size - 1, 19).astype(int)]
    above.plot(
        x[dots], product[dots], "o", color=INK, markersize=3.5, label="prior × likelihood, normalised by quadrature"
    )
    above.set(ylim=(0, 1.12 * max(density.max(), np.exp(log_prior).max())), ylabel="density in $x_{t-1}$")
    above.legend(loc="center left", bbox_to_anchor=(1.0, 0.55), handlelength=1.8, labelspacing=1.1)
    rows = (("prior", prior, BLUE), ("likelihood", shape, VERMILION), ("posterior", posterior, GREEN))
    for y, (_, law, color), sign in zip((2, 1, 0), rows, ("   ", "+ ", "= ")):
        mean, std, precision = _signed(law.mean.item(), ".3f"), law.std.item(), 1 / law.var.item()
        below.errorbar(law.mean, y, xerr=law.std, fmt="o", color=color, markersize=6, capsize=4, linewidth=2)
        below.text(
            1.02,
            y,
            f"mean {mean},  std {std:.3f},  precision {sign}{precision:.2f}",
            transform=below.get_yaxis_transform(),
            va="center",
            color=color,
            fontsize=9.5,
        )
    below.set(yticks=[2, 1, 0], yticklabels=[name for name, _, _ in rows], ylim=(-0.6, 2.6), xlim=(low, high))
    below.tick_params(axis="y", length=0)
    below.spines["left"].set_visible(False)
    below.set_xlabel("$x_{t-1}$")
    below.set_title("mean ± one std", fontsize=9)
    figure.suptitle("Bayes' rule on one step: precisions 1/std² add, so the posterior is narrower than either factor")
    above.set_title(
        rf"$t$ = {t} of {schedule.T},  $\beta_t$ = {schedule.beta[t]:.3g},  $\bar\alpha_{{t-1}}$ ="
        rf" {schedule.alpha_bar[t - 1]:.3g},  $x_0$ = {_signed(x_0)},  $x_t$ = {_signed(x_t)}"
    )
    return figure


# ------------------------------------------------------------------------------------------------------------ the score


@_styled
def score_field(mixture, schedule, t, denoiser, *, limit=None, arrows=19, cells=121, mass=0.99):
    r"""Draw the true score of q(x_t) beside the one that a denoiser implies, and how far they are apart.

    .. math:: \nabla_{x_t} \log q(x_t) = -\frac{\epsilon^*(x_t, t)}{\sqrt{1 - \bar\alpha_t}}, \qquad
        \hat s(x_t, t) = -\frac{\hat\epsilon(x_t, t)}{\sqrt{1 - \bar\alpha_t}}

    Outside the smallest region that holds `mass` of q(x_t) a network has hardly seen a point: there the arrows are
    pale and the error is left blank, since it says nothing of how well the network was trained.

    Parameters
    ----------
    mixture : GaussianMixture
        The data, with d = 2.
    schedule : Schedule
    t : int
        In 1..T.
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    limit : float, optional
        The axes run over ±limit; by default what holds q(x_t).
    arrows, cells : int
        Points along each axis, of the arrows and of the error.
    mass : float
        In (0, 1).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    """
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")
    if mixture.means.shape[1] != 2:
        raise ValueError(f"score_field draws a plane: the mixture must have d = 2; got d = {mixture.means.shape[1]}.")
    _check_schedule(schedule)
    t = _one_step(schedule, t)
    if not 0 < mass < 1:
        raise ValueError(f"mass must lie in (0, 1); got {mass}.")
    arrows, cells = count(arrows, "arrows", least=2), count(cells, "cells", least=8)
    law = mixture.diffused(schedule, t)
    if limit is None:
        limit = float(np.max(np.abs(law.means) + 3.2 * np.sqrt(law.variances)))

    ticks = np.linspace(-limit, limit, cells)
    x = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    log_q = law.log_density(x)
    level = _region_level(log_q, mass)
    inside = log_q >= level
    truth, learnt = law.score(x), _score(schedule, denoiser, x, t)
    error = np.linalg.norm(learnt - truth, axis=-1)
    share = np.exp(log_q - log_q.max())
    share /= share.sum()
    expected, norm = (share * error).sum(), (share * np.linalg.norm(truth, axis=-1)).sum()

    figure = Picture(3.7)
    figure.get_layout_engine().set(w_pad=0.05, wspace=0.02)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    ticks = np.linspace(-0.94 * limit, 0.94 * limit, arrows)
    at = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    fields = law.score(at), _score(schedule, denoiser, at, t)
    near = law.log_density(at) >= level
    longest = np.quantile(np.linalg.norm(fields[0], axis=-1), 0.9)
    scale = longest / (1.7 * (ticks[1] - ticks[0]))
    titles = (r"true score $\nabla\log q(x_t)$", r"the denoiser's $\hat{s}(x_t, t)$, same scale")
    for axes, field, title, color in zip(panels, fields, titles, (TRUTH, MODEL)):
        _draw_contours(axes, x, log_q, level)
        shades = [to_rgba(color, 1.0 if seen else 0.22) for seen in near]
        axes.quiver(*at.T, *field.T, color=shades, angles="xy", scale_units="xy", scale=scale, width=0.007, zorder=3)
        axes.set_title(title)
    top = float(np.quantile(error[inside], 0.99)) or 1.0
    image = panels[2].pcolormesh(
        x[..., 0], x[..., 1], error, cmap=ERROR_MAP, vmin=0, vmax=top, shading="nearest", rasterized=True
    )
    panels[2].contourf(x[..., 0], x[..., 1], log_q, levels=[log_q.min() - 1, level], colors=["#EDEDED"], zorder=2)
    panels[2].contour(
        x[..., 0],
        x[..., 1],
        log_q,
        levels=[level],
        colors=[INK],
        linewidths=1.1,
        linestyles="solid",
        alpha=0.6,
        zorder=3,
    )
    panels[2].set_title(r"their distance $\|\hat{s} - \nabla\log q\|$")
    figure.colorbar(
        image, ax=panels[2], extend="max" if error[inside].max() > top else "neither", fraction=0.05, pad=0.02
    )
    for axes in panels:
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$x_{t,1}$")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[0].set_ylabel("$x_{t,2}$")
    figure.suptitle(
        rf"Score at $t$ = {t} of {schedule.T}: on average over $q(x_t)$ the two are {expected:.2g} apart,"
        f" {100 * expected / norm:.2g} % of the score's length",
        fontsize=11.5,
    )
    figure.supxlabel(
        f"lines: log-density of $q(x_t)$, the dark one around {100 * mass:g} % of it;"
        " outside it training saw hardly a point: arrows pale, error not shown",
        fontsize=9,
    )
    return figure


def _score(schedule, denoiser, x_t, t):
    """Return the score that a denoiser implies."""
    flat = x_t.reshape(-1, 2)
    return (-call_denoiser(denoiser, flat, t) / schedule.noise_rate[t]).reshape(x_t.shape)


def _region_level(log_q, mass):
    """Return the log-density at the edge of the smallest region of a grid that holds `mass` of it."""
    falling = np.sort(log_q, axis=None)[::-1]
    held = np.cumsum(np.exp(falling - falling[0]))
    return falling[np.searchsorted(held, mass * held[-1])]


def _draw_contours(axes, x, log_q, level):
    top = log_q.max()
    levels = np.linspace(level, top, 6)[:-1]
    if top > level:
        axes.contour(
            x[..., 0],
            x[..., 1],
            log_q,
            levels=levels,
            colors=[INK, *[GREY] * 4],
            linewidths=[1.1, *[0.6] * 4],
            linestyles="solid",
            alpha=0.6,
            zorder=2,
        )


# ------------------------------------------------------------------------------------------------------ what they share


def _check_schedule(schedule):
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule; got {type(schedule).__name__}. Try refdiff.Schedule.vp(200).")


def _one_step(schedule, t, least=1):
    t = schedule.index(t, least=least)
    if np.ndim(t):
        raise ValueError(f"t must be one step; got shape {np.shape(t)}.")
    return t


def _signed(value, form="g"):
    """Write a number with a minus sign, not a hyphen."""
    return format(value, form).replace("-", "−")


def _number(value, name):
    value = real(value, name)
    if value.size != 1 or not np.isfinite(value).all():
        raise ValueError(f"{name} must be one finite number; got {value}.")
    return value.item()
