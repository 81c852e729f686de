"""Samplers beside each other: how far from exact mixture data they are after so many calls of the denoiser."""

import numpy as np
from matplotlib.ticker import NullFormatter

from refdiff.plot.scales import label_right, logarithmic_room
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

    A panel for each spacing of the steps, on logarithmic axes, with two standard errors over the seeds. What lies in
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
    floor = 2 * float(np.std(exact[0].values, ddof=1)) / np.sqrt(len(exact[0].values))
    spacings = list(dict.fromkeys(score.spacing for score in raced))
    limits = logarithmic_room([floor, *(score.mean for score in raced if score.mean > floor)], below=0.06, above=0.1)

    figure = Picture(4.8, width=5.2 * len(spacings) if len(spacings) > 1 else 9.0)
    panels = np.atleast_1d(figure.subplots(1, len(spacings), sharey=True))
    for axes, spacing in zip(panels, spacings):
        of_spacing = [score for score in raced if score.spacing == spacing]
        _panel(axes, of_spacing, floor, limits)
        axes.set_title(TITLES[spacing])
    panels[0].set_ylabel("energy distance from the exact law")
    figure.suptitle(_finding(raced))
    return figure


def _panel(axes, scores, floor, limits):
    """Draw the curves of one spacing."""
    calls = sorted({score.calls for score in scores})
    axes.set(xscale="log", yscale="log", ylim=limits, xlim=(calls[0] / 1.15, calls[-1] * 1.15))
    axes.axhspan(limits[0], floor, color=PALE, alpha=0.6, linewidth=0, zorder=0)
    axes.text(
        *(0.02, floor, "not to be told from exact points"),
        transform=axes.get_yaxis_transform(),
        va="top",
        fontsize=8,
        color=GREY,
    )
    labels = []
    for name in dict.fromkeys(score.sampler for score in scores):
        mine = [score for score in scores if score.sampler == name]
        x, mean = np.array([one.calls for one in mine]), np.array([one.mean for one in mine])
        bars = 2 * np.array([one.standard_error for one in mine])
        seen, color = mean > floor, COLORS[name]
        y = np.maximum(mean, floor)
        axes.plot(x, y, color=color, linewidth=1.5, zorder=2)
        axes.errorbar(x[seen], y[seen], bars[seen], fmt=MARKERS[name], color=color, markersize=5, capsize=2, zorder=3)
        axes.plot(x[~seen], y[~seen], MARKERS[name], color=color, markerfacecolor="white", markersize=5, zorder=4)
        labels.append((y[-1], SAMPLERS[name].title, color))
    label_right(axes, labels)
    axes.set_xticks(calls, [str(one) for one in calls])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([], minor=True)
    axes.set_xlabel("calls of the denoiser (logarithmic)")


def _finding(scores):
    """Return what the picture shows at the number of calls next to ten."""
    near = min({score.calls for score in scores}, key=lambda calls: abs(calls - 10))
    best = {}
    for score in scores:
        if score.calls == near:
            best[score.sampler] = min(best.get(score.sampler, np.inf), score.mean)
    first = min(best, key=best.get)
    return f"With {near} calls of the exact denoiser {SAMPLERS[first].title} comes nearest: {best[first]:.2g}"
