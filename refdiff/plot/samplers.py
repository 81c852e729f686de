"""Samplers beside each other: how far from exact mixture data they are after so many calls of the denoiser."""

import numpy as np

from refdiff.plot.scales import logarithmic_room
from refdiff.plot.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, VERMILION, Picture, styled
from refdiff.samplers import SAMPLERS, Score

COLORS = dict(zip(SAMPLERS, (VERMILION, ORANGE, BLUE, GREEN, PURPLE, SKY, INK, GREY)))
MARKERS = dict(zip(SAMPLERS, "ovosD^*P"))
TITLES = {
    "even": "steps even in $t$",
    "log_snr": "steps even in log SNR",
    "edm": r"steps as Karras et al. have them, $\rho$ = 7",
}


@styled
def sampler_race(scores):
    r"""Draw the distance of each sampler from exact mixture data over the number of calls of the denoiser.

    A panel for each spacing of the steps, on logarithmic axes, with two standard errors over the seeds, none smaller
    than that of exact points. What lies in
    the grey band cannot be told from exact points with so many points and seeds; a mean below it is drawn at its edge,
    hollow.

    Parameters
    ----------
    scores : iterable of Score
        From :func:`refdiff.samplers.race`, with that of exact points, and at least two seeds.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If something else is among the scores, there is no sampler or no exact points among them, or one seed only.

    Examples
    --------
    >>> from refdiff import GaussianMixture, samplers
    >>> data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
    >>> figure = sampler_race(samplers.race(data, [5, 10], range(2), 200, names=["ddim", "heun"], T=50))
    >>> len(figure.axes)
    1
    """
    scores = list(scores)
    for score in scores:
        if not isinstance(score, Score):
            raise TypeError(f"scores must be made of Score, as samplers.race yields them; got {type(score).__name__}.")
    exact = [score for score in scores if score.sampler == "exact"]
    raced = [score for score in scores if score.sampler != "exact"]
    if not exact or not raced:
        raise ValueError("scores must hold a sampler and exact points, which samplers.race yields first.")
    if any(len(score.values) < 2 for score in scores):
        raise ValueError("scores must be of at least two seeds: one seed has no standard error.")
    floor = 2 * exact[0].standard_error
    spacings = list(dict.fromkeys(score.spacing for score in raced))
    limits = logarithmic_room([floor, *(score.mean for score in raced if score.mean > floor)], below=0.06, above=0.1)

    near = min({score.calls for score in raced}, key=lambda calls: abs(calls - 10))

    figure = Picture(5.0)
    panels = np.atleast_1d(figure.subplots(1, len(spacings), sharey=True))
    for axes, spacing in zip(panels, spacings):
        of_spacing = [score for score in raced if score.spacing == spacing]
        _panel(axes, of_spacing, floor, limits, near, exact[0])
        axes.set_title(TITLES[spacing])
    panels[0].set_ylabel("energy distance from the exact law")
    figure.suptitle(f"With {near} calls {_nearest(raced, near, exact[0])}")
    return figure


def _nearest(scores, near, exact):
    """Say which sampler comes nearest at `near` calls, or which two do if the difference is within two errors."""
    at_near = sorted((score for score in scores if score.calls == near), key=lambda score: score.mean)
    best = at_near[0]
    other = next((score for score in at_near if score.sampler != best.sampler), None)
    where = f" with {TITLES[best.spacing]}"
    if other is not None:
        further = np.subtract(other.values, best.values)  # the same x_T
        if further.mean() < 2 * max(further.std(ddof=1) / np.sqrt(len(further)), exact.standard_error):
            both = f"{SAMPLERS[best.sampler].title} and {SAMPLERS[other.sampler].title} come nearest"
            return both + (where if other.spacing == best.spacing else "")
    return f"{SAMPLERS[best.sampler].title} comes nearest,{where}"


def _panel(axes, scores, floor, limits, near, exact):
    """Draw the curves of one spacing, named in the order in which they stand at `near` calls."""
    calls = sorted({score.calls for score in scores})
    axes.set(xscale="log", yscale="log", ylim=limits, xlim=(calls[0] / 1.15, calls[-1] * 1.15))
    axes.axhspan(limits[0], floor, color=PALE, alpha=0.6, linewidth=0, zorder=0)
    axes.annotate(
        *("not to be told from exact points", (0.02, floor), (0, -3)),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=GREY,
    )
    at_near, drawn = {}, {}
    for name in dict.fromkeys(score.sampler for score in scores):
        mine = [score for score in scores if score.sampler == name]
        at_near[name] = next((one.mean for one in mine if one.calls == near), 0.0)
        x, mean = np.array([one.calls for one in mine]), np.array([one.mean for one in mine])
        bars = 2 * np.array([one.error_beside(exact) for one in mine])
        seen, color = mean > floor, COLORS[name]
        how = {"color": color, "marker": MARKERS[name], "markersize": 5}
        drawn[name] = axes.plot(x, np.maximum(mean, floor), linewidth=1.5, zorder=2, **how)[0]
        axes.errorbar(x[seen], mean[seen], bars[seen], fmt="none", ecolor=color, capsize=2, zorder=3)
        axes.plot(x[~seen], np.full((~seen).sum(), floor), linestyle="none", zorder=4, **how | {"mfc": "white"})
    order = sorted(at_near, key=at_near.get, reverse=True)
    axes.legend(
        [drawn[name] for name in order],
        [SAMPLERS[name].title for name in order],
        title=f"furthest first, at {near} calls",
        title_fontsize=8,
        fontsize=8,
        loc="upper right",
        alignment="left",
    )
    axes.set_xticks(calls, [str(one) for one in calls])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("calls of the denoiser (logarithmic)")
