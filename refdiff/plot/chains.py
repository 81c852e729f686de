"""Chains drawn: the forward process as a figure and as an animation, and data turning to noise and back."""

import itertools
import math

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.artist import Artist
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.patches import Circle

from refdiff import forward, reverse
from refdiff.checks import check_rng, count, real, table
from refdiff.files import whole
from refdiff.plot.style import (
    CORNER_COLORS,
    GREY,
    INK,
    MODEL,
    NOISE,
    PALE,
    TRUTH,
    VERMILION,
    Picture,
    check_schedule,
    must_end_in,
    signed,
    styled,
)

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


@styled
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
    >>> from refdiff import Schedule
    >>> figure = forward_figure(Schedule.vp(20), np.random.default_rng(0))
    >>> len(figure.axes)
    3
    """
    check_schedule(schedule)
    x_0, which = _corners(corner, repeats)
    x = forward.walk(schedule, x_0, rng)
    figure, plane, signal, noise = _forward_axes(schedule, corner)
    for k, color in enumerate(CORNER_COLORS):
        for chain in np.flatnonzero(which == k):
            plane.plot(x[:, chain, 0], x[:, chain, 1], color=color, linewidth=0.7, alpha=0.75, zorder=2)
        start = x_0[which == k][0]
        plane.plot(*start, "s", color=color, markersize=6, zorder=5)
        plane.annotate(
            f"$x_0$ = ({signed(start[0])}, {signed(start[1])})",
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


@styled
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
    check_schedule(schedule)
    if not 0 < fps < math.inf:
        raise ValueError(f"fps must be > 0 frames per second; got {fps}.")
    steps = schedule.T * np.linspace(0, 1, count(frames, "frames", least=2)) ** 1.5
    steps = np.unique(np.round(steps).astype(int))
    x_0, which = _corners(corner, repeats)
    must_end_in(path, ".gif")
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


@styled
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
    >>> from refdiff import Schedule
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
    check_schedule(schedule)
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
