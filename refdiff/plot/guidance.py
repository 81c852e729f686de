r"""Guidance drawn: the density that is hoped for beside what the samplers make, exactly, and what a network makes."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from refdiff import continuous, guidance, reverse
from refdiff.checks import check_rng, count, real, table
from refdiff.continuous import VP
from refdiff.distance import energy_distance
from refdiff.gaussian import Gaussian, from_natural
from refdiff.guidance import LabelledMixture
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.network.mlp import as_labels
from refdiff.plot.scales import label_right, logarithmic_room, plain_values, short_number
from refdiff.plot.style import (
    BLUE,
    BROKEN,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    Picture,
    check_schedule,
    check_sde,
    signed,
    styled,
)
from refdiff.schedule import Schedule

TILTED, NOISY, FLOW = BLUE, GREEN, VERMILION
LABEL_COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK, GREY)
REACH = 9.0  # standard deviations: beyond them there is nothing that a quadrature would see
DASHED = (0, (5, 1.5))
BESIDE = {"textcoords": "offset points", "fontsize": 9}


def _weights(weights, least=-1.0, most=3):
    """Return up to `most` weights of guidance, some of which guide: others than 0 and -1."""
    weights = np.ravel(real(weights, "weights"))
    if not weights.size or not (np.isfinite(weights) & (weights >= least)).all():
        raise ValueError(f"weights must be finite and at least {signed(least)}; got {weights.tolist()}.")
    if np.isin(weights, (-1.0, 0.0)).all():
        raise ValueError(f"weights must hold another than 0 and −1, which do not guide; got {weights.tolist()}.")
    if len(weights) > most:
        raise ValueError(f"weights must be one to {most}, a panel for each; got {len(weights)}.")
    return weights


# ------------------------------------------------------------------------------------ two densities of one guided score


@styled
def guidance_laws(labelled, y, weights=(0, 1, 3), *, sde=None, cells=800):
    r"""Draw what guidance is said to sample, and what its flow does: on a line, for each weight, both exact.

    .. math:: p_w(x) \propto p(x \mid y)\,p(y \mid x)^w \qquad\text{and}\qquad
        \dot x_s = f x_s - \tfrac12 g^2 \left[(1 + w)\,\nabla\log p_s(x_s \mid y) - w\,\nabla\log p_s(x_s)\right]

    The flow starts from where the class has gone, p_1(x | y), so that without guidance it arrives at the class, and
    whatever it misses with guidance is guidance's own doing.

    Parameters
    ----------
    labelled : LabelledMixture
        With d = 1.
    y : int
        The class, in 0..C-1.
    weights : sequence of float
        One to three w, at least -1; not all of them 0 or -1.
    sde : VP, VE or SubVP, optional
        By default ``VP()``.
    cells : int
        Of the grid, for curves and sums.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each w: grey p(x | y), dashed :func:`refdiff.guidance.tilted_log_density`, solid
        :func:`refdiff.guidance.guided_flow_log_density`. Means, variances and the divergence KL(tilted || flow), in
        nats, are sums over the grid.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for these two.

    Examples
    --------
    >>> data = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.5), [0, 1])
    >>> figure = guidance_laws(data, 1, (0, 1), cells=100)
    >>> len(figure.axes)
    2
    """
    if not isinstance(labelled, LabelledMixture):
        raise TypeError(f"labelled must be a LabelledMixture; got {type(labelled).__name__}.")
    if (d := len(labelled.mixture.mean)) != 1:
        raise ValueError(f"guidance_laws draws densities over a line: labelled must have d = 1; got d = {d}.")
    given, weights, cells = labelled.given(y), _weights(weights), count(cells, "cells", least=50)
    sde = VP() if sde is None else sde
    check_sde(sde)
    prior = continuous.diffused(sde, given, 1.0)

    x = _grid(sde, labelled, y, weights, prior, cells)
    step, of_class = x[1] - x[0], given.log_density(x[:, None])
    laws = []
    for w in weights:
        tilted = guidance.tilted_log_density(labelled, y, w, x[:, None])
        flow = guidance.guided_flow_log_density(sde, labelled, y, w, x[:, None], prior=prior, tolerance=1e-7)
        if abs((mass := float(np.exp(flow).sum() * step)) - 1) > 1e-4:
            raise ValueError(
                f"weights must leave the flow wider than a cell of the grid, {step:.2g}; at w = {signed(w)} its density"
                f" adds up to {mass:.3g}. More cells help."
            )
        laws.append((tilted, flow))
    moments = np.array([[_moments(x, log_p) for log_p in (of_class, *pair)] for pair in laws])
    divergences = [float(np.sum(np.exp(tilted) * (tilted - flow)) * step) for tilted, flow in laws]

    figure = Picture(4.0)
    figure.get_layout_engine().set(w_pad=0.06)
    panels = figure.subplots(1, len(weights), sharex=True, sharey=True, squeeze=False)[0]
    densities = np.exp([of_class, *(log_p for pair in laws for log_p in pair)])
    top = densities.max()
    seen = x[(densities > 4e-3 * densities.max(axis=1, keepdims=True)).any(axis=0)]
    for axes, w, pair, of_w, divergence in zip(panels, weights, laws, moments, divergences):
        tilted, flow = np.exp(pair)
        axes.fill_between(x, densities[0], color=PALE, linewidth=0, zorder=0)
        axes.plot(x, densities[0], color=GREY, linewidth=1, zorder=1, label="class")
        axes.plot(x, flow, color=FLOW, linewidth=1.9, zorder=2, label="flow")
        axes.plot(x, tilted, color=TILTED, linewidth=1.9, linestyle=DASHED, zorder=3, label="tilted")
        axes.set(xlabel="$x$", yticks=[], xlim=(seen[0], seen[-1]), ylim=(0, 1.55 * top))
        axes.spines["left"].set_visible(False)
        axes.set_title(f"$w$ = {signed(w)}:  KL(tilted ∥ flow) = {_nats(divergence)}")
        _write_moments(axes, of_w)
    far = int(np.argmax(divergences))
    (_, tilted_var), (_, flow_var) = moments[far, 1:]
    figure.suptitle(
        f"Guidance does not sample the tilted density: at $w$ = {signed(weights[far])} that has the variance"
        f" {tilted_var:.3f}, what the flow samples {flow_var:.3f}",
        fontsize=11,
    )
    figure.supxlabel(
        f"grey: the class, $p(x\\,|\\,y)$ for $y$ = {y}; dashed: the tilted density, $p(x\\,|\\,y)\\,p(y\\,|\\,x)^w$"
        " normalised; solid: what the guided flow samples, exactly",
        fontsize=9,
    )
    return figure


def _grid(sde, labelled, y, weights, prior, cells):
    """Return a grid over all that one of the densities has: the data's range, and where the flow takes its start's."""
    means, std = labelled.mixture.means[:, 0], np.sqrt(labelled.mixture.variances[:, 0])
    ends = [np.min(means - REACH * std), np.max(means + REACH * std)]
    begun = prior.means[:, 0, None] + REACH * np.sqrt(prior.variances) * [-1, 1]
    begun = np.array([[begun.min()], [begun.max()]])
    for w in weights:  # on a line the flow keeps the order of points
        score = guidance.guided_score(sde, labelled, y, w)
        ends.extend(continuous.probability_flow(sde, score, begun, tolerance=1e-4).ravel())
    return np.linspace(min(ends), max(ends), cells + 1)


def _moments(x, log_p):
    """Return mean and variance of a density on a grid."""
    mass = np.exp(log_p) * (x[1] - x[0])
    mean = mass @ x
    return mean, mass @ (x - mean) ** 2


def _nats(value):
    """Write a divergence, which rounding may have left below what it is known to."""
    return "0" if value < 5e-4 else f"{value:.3f} nats" if value < 100 else f"{value:.0f} nats"


def _write_moments(axes, moments):
    """Write mean and variance of class, tilted density and flow into the room above the curves."""
    heads = (("", INK), ("class", GREY), ("tilted", TILTED), ("flow", FLOW))
    how = {"transform": axes.transAxes, "fontsize": 9, "va": "top"}
    for row, (head, color) in enumerate(heads):
        y = 0.985 - 0.068 * row
        axes.text(0.03, y, head, color=color, **how)
        cells = ("mean", "variance") if row == 0 else (signed(one, ".3f") for one in moments[row - 1])
        for place, cell in zip((0.42, 0.74), cells):
            axes.text(place, y, cell, color=color, ha="right", **how)


# ---------------------------------------------------------------------------------------------------- a normal class


@styled
def guided_variance(conditional, unconditional, *, weights=(-1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 6), schedule=None):
    r"""Draw variance and mean of three laws over the weight, for a normal class: tilted, with noise and without.

    .. math:: \frac{1}{v_w} = \frac{1 + w}{v} - \frac wV, \qquad
        \frac{v}{1 + 2w}\,\frac{1 - (v/V)^{1 + 2w}}{1 - v/V}, \qquad v \left(\frac vV\right)^w

    They agree at w = 0, where they are p(x | y), and at w = -1, where they are p(x), and nowhere else.

    Parameters
    ----------
    conditional, unconditional : Gaussian
        p(x | y) and p(x), with d = 1; the class is narrower than the whole.
    weights : sequence of float
        w at which samplers are followed, at least -1 and not all 0 or -1. The curves run over their range.
    schedule : Schedule, optional
        Of the samplers; by default ``Schedule.vp(1000)``.

    Returns
    -------
    matplotlib.figure.Figure
        Curves: :func:`refdiff.guidance.tilted`, :func:`refdiff.guidance.guided_ancestral_limit` and
        :func:`refdiff.guidance.guided_flow_limit`. Squares and dots: ancestral sampling and DDIM from N(0, 1) by
        :func:`refdiff.guidance.classifier_free`. Each of their steps is linear, so that mean and variance after all of
        them are exact, without points.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> figure = guided_variance(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), schedule=Schedule.vp(50))
    >>> len(figure.axes)
    2
    """
    for name, law in (("conditional", conditional), ("unconditional", unconditional)):
        if not isinstance(law, Gaussian):
            raise TypeError(f"{name} must be a Gaussian; got {type(law).__name__}.")
        if law.mean.shape != (1,):
            raise ValueError(f"{name} must have d = 1, and be one law; got a mean of shape {law.mean.shape}.")
    v, V = float(conditional.var.item()), float(unconditional.var.item())
    if not 0 < v < V:
        raise ValueError(f"conditional must be narrower than unconditional, and no point; got variances {v} and {V}.")
    weights = np.unique(_weights(weights, most=np.inf))
    schedule = Schedule.vp(1000) if schedule is None else schedule
    check_schedule(schedule)

    laws = (guidance.tilted, guidance.guided_ancestral_limit, guidance.guided_flow_limit)
    w = np.linspace(min(weights[0], -1.0), max(weights[-1], 0.0), 281)
    curves = np.array([[_mean_and_var(law(conditional, unconditional, one)) for one in w] for law in laws])
    exact = np.array([[_mean_and_var(law(conditional, unconditional, one)) for one in weights] for law in laws[1:]])
    found = np.array([_by_chains(schedule, conditional, unconditional, one) for one in weights]).swapaxes(0, 1)

    figure = Picture(4.6)
    panels = figure.subplots(1, 2)
    colors = (TILTED, NOISY, FLOW)
    for axes, k in zip(panels, (1, 0)):
        for curve, color, name in zip(curves[..., k], colors, ("tilted", "ancestral", "flow")):
            axes.plot(w, curve, color=color, linewidth=1.8, linestyle=DASHED if color == TILTED else "-", label=name)
        for dots, color, marker in zip(found[..., k], colors[1:], "so"):
            axes.plot(weights, dots, marker, color=color, markersize=5.5, markeredgecolor="white", mew=0.7, zorder=4)
        for at, name in ((-1.0, "$p(x)$"), (0.0, "$p(x\\,|\\,y)$")):
            axes.axvline(at, color=GREY, linewidth=0.8, linestyle=BROKEN, zorder=0)
            axes.annotate(name, (at, 0), (3, 4), xycoords=axes.get_xaxis_transform(), color=GREY, **BESIDE)
        axes.set(xlabel="weight of guidance $w$", xlim=(w[0] - 0.15, w[-1] + 0.15))
    of_var, of_mean = panels
    beside = {"transform": of_var.transAxes, "fontsize": 9}
    of_var.set(
        yscale="log", ylim=logarithmic_room([*curves[..., 1].ravel(), *found[..., 1].ravel()], below=0.12, above=0.05)
    )
    plain_values(of_var.yaxis, 4.5)
    of_var.set_title("Variance (logarithmic)")
    of_var.text(0.98, 0.98, "weighted harmonic\nmean of $v$ and $V$", ha="right", va="top", color=TILTED, **beside)
    of_var.text(0.21, 0.12, "weighted geometric\nmean of $v$ and $V$", color=FLOW, **beside)
    room = 0.12 * max(np.ptp(curves[..., 0]), 0.01 * np.sqrt(V))
    of_mean.set(ylim=(curves[..., 0].min() - room, curves[..., 0].max() + room))
    of_mean.set_title("Mean")
    likelihood = from_natural(1 / v - 1 / V, conditional.mean / v - unconditional.mean / V)  # p(y | x), over x
    surest = likelihood.mean.item()
    of_mean.axhline(surest, color=GREY, linewidth=0.8, linestyle=BROKEN, zorder=0)
    names = ("the tilted density", "ancestral sampling", "DDIM, without noise")
    ends = [(curve[-1], name, color) for curve, name, color in zip(curves[..., 0], names, colors)]
    label_right(of_mean, [*ends, (surest, "where $p(y\\,|\\,x)$ is largest", GREY)])
    of_means, of_vars = np.abs(found - exact)[..., 0], np.abs(found[..., 1] / exact[..., 1] - 1)
    figure.supxlabel(
        f"curves: infinite noise, infinitely many steps; dots: {schedule.T} steps from N(0, 1), exactly, at most"
        f" {short_number(of_means.max())} (mean) and {short_number(100 * of_vars.max())} % (variance) off",
        fontsize=9,
    )
    at = int(np.argmin(np.abs(weights - 3) + np.where(np.isin(weights, (-1, 0)), np.inf, 0)))
    tilted, noisy, flow = (short_number(law(conditional, unconditional, weights[at]).var.item()) for law in laws)
    figure.suptitle(
        f"Three laws, alike only at $w$ = −1 and 0: at $w$ = {signed(weights[at])} the variance is {tilted} tilted,"
        f" {noisy} ancestral, {flow} by DDIM",
        fontsize=11,
    )
    return figure


def _mean_and_var(law):
    """Return mean and variance of a law on a line."""
    return law.mean.item(), law.var.item()


def _by_chains(schedule, conditional, unconditional, w):
    """Return mean and variance, exact, of what ancestral sampling and DDIM make of N(0, 1).

    A step takes x to a law of mean b + g x: two points tell b and g, at all t at once.
    """
    with_label, without = (
        GaussianMixture([1.0], law.mean[None], law.var.item()).denoiser(schedule)
        for law in (conditional, unconditional)
    )
    guided = guidance.classifier_free(with_label, without, w)
    t = np.broadcast_to(np.arange(1, schedule.T + 1), (2, schedule.T))
    x_t = np.broadcast_to([[[0.0]], [[1.0]]], (*t.shape, 1))
    ends = []
    for step in (
        reverse.transition(schedule, guided, x_t, t, variance="posterior"),
        reverse.ddim_transition(schedule, guided, x_t, t - 1, t),
    ):
        (b, at_1), noise = step.mean[..., 0], np.broadcast_to(step.var, x_t.shape)[0, :, 0]
        mean, var = 0.0, 1.0
        for k in range(schedule.T - 1, -1, -1):
            g = at_1[k] - b[k]
            mean, var = b[k] + g * mean, g**2 * var + noise[k]
        ends.append((mean, var))
    return ends


# --------------------------------------------------------------------------------------------- what a network makes


@styled
def guided_samples(model, schedule, data, labels, rng, *, weights=(0, 1, 3), n=300, steps=50):
    r"""Draw samples of a network with classes, by label and for each weight, beside the data.

    .. math:: \tilde\epsilon(x_t, t) = (1 + w)\,\hat\epsilon(x_t, t, y) - w\,\hat\epsilon(x_t, t)

    All panels start from the same noise and DDIM adds none, so a point is elsewhere only for what guidance does.

    Parameters
    ----------
    model : MLP
        With d = 2 and two to eight classes, trained with some of the labels dropped.
    schedule : Schedule
        The one that it was trained on.
    data : array_like, shape (N, 2)
    labels : array_like of int, shape (N,)
        In 0..classes - 1, at least two points of each.
    rng : numpy.random.Generator
        Draws the noise, and which of the data are shown.
    weights : sequence of float
        One to three w; not all of them 0 or -1.
    n : int
        Points of each label.
    steps : int
        Of DDIM, at most T.

    Returns
    -------
    matplotlib.figure.Figure
        Left the data, at most n of each label. Above each panel how far its points are from the data of their label,
        the mean over labels of :func:`refdiff.distance.energy_distance`, and their variance about the mean of their
        label, as a share of the data's.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> model, data = MLP(2, rng=rng, classes=2), rng.standard_normal((20, 2))
    >>> figure = guided_samples(model, Schedule.vp(20), data, np.arange(20) % 2, rng, n=5, steps=4)
    >>> len(figure.axes)
    4
    """
    if not isinstance(model, MLP):
        raise TypeError(f"model must be an MLP; got {type(model).__name__}.")
    classes = model.config["classes"]
    if model.dim != 2 or not 2 <= classes <= len(LABEL_COLORS):
        raise ValueError(
            f"model must have d = 2 and 2 to {len(LABEL_COLORS)} classes; got d = {model.dim} and {classes} classes."
        )
    check_schedule(schedule)
    data, labels = table(data, "data"), as_labels(labels, classes, "labels")
    if data.shape[1] != 2 or labels.shape != data.shape[:1]:
        raise ValueError(f"data must be (N, 2) and labels (N,); got {data.shape} and {labels.shape}.")
    sizes = [int(np.sum(labels == y)) for y in range(classes)]
    if min(sizes) < 2:
        raise ValueError(f"labels must give at least two points to each of the {classes} classes; got {sizes}.")
    weights = _weights(weights, least=-np.inf)
    rng, n, steps = check_rng(rng), count(n, "n", least=2), count(steps, "steps")

    of_data = [data[labels == y] for y in range(classes)]
    y = np.repeat(np.arange(classes), n)
    x_T = rng.standard_normal((len(y), 2))
    sets = []
    for w in weights:
        guided = guidance.classifier_free(model.given(y), model.given(None), w)
        *_, (_, x) = reverse.ddim_path(schedule, guided, x_T, rng, steps)
        sets.append(x.reshape(classes, n, 2))
    spread = sum(_within(one) for one in of_data)
    distances = [float(np.mean([energy_distance(a, b) for a, b in zip(x, of_data)])) for x in sets]
    shares = [sum(_within(one) for one in x) / spread for x in sets]

    number = 1 + len(weights)
    figure = Picture(1.0 + 8.6 / number)
    figure.get_layout_engine().set(w_pad=0.05, wspace=0.02)
    panels = figure.subplots(1, number, sharex=True, sharey=True)
    shown = [one if len(one) <= n else one[rng.choice(len(one), n, replace=False)] for one in of_data]
    everything = np.concatenate([*shown, *np.concatenate(sets)])
    centre, half = (everything.max(axis=0) + everything.min(axis=0)) / 2, 0.53 * np.ptp(everything, axis=0).max()
    for axes, points in zip(panels, [shown, *sets]):
        for one, color in zip(points, LABEL_COLORS):
            axes.plot(*one.T, ".", color=color, markersize=3.5, alpha=0.8, markeredgewidth=0)
        axes.set(aspect="equal", xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[0].set_title("the data;\ncolours are labels")
    for axes, w, distance, share in zip(panels[1:], weights, distances, shares):
        axes.set_title(
            f"$w$ = {signed(w)}: distance {short_number(distance)},\n{short_number(100 * share)} % of the variance"
        )
    grows = np.array_equal(np.argsort(weights), np.argsort(distances))
    figure.suptitle(
        f"{'The more guidance, the further' if grows else 'How far guided samples are'} from the data of their label:"
        f" energy distance {', '.join(map(short_number, distances))}"
        f" at $w$ = {', '.join(signed(w) for w in weights)}",
        fontsize=11,
    )
    return figure


def _within(points):
    """Return the variance of points about their mean, summed over the axes."""
    return float(np.var(points, axis=0).sum())
