r"""The continuous limit drawn: the flow without noise, the equation run backwards, and the bound as an integral."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from refdiff import continuous
from refdiff.checks import check_rng, count, real
from refdiff.continuous import VE, VP, SubVP
from refdiff.continuous.bound import ideal_loss
from refdiff.plot.scales import label_right, logarithmic_counts, logarithmic_room, order_of, plain_values, short_number
from refdiff.plot.style import (
    BLUE,
    BROKEN,
    GREEN,
    GREY,
    INK,
    MODEL,
    NOISE,
    PURPLE,
    TRUTH,
    VERMILION,
    Picture,
    check_line,
    check_mixture,
    check_sde,
    signed,
    styled,
)
from refdiff.schedule import Schedule

DENSITY_MAP = LinearSegmentedColormap.from_list("density", ["#FFFFFF", "#CFE3F0", "#8FBFDD", BLUE])
NAMES = {"SubVP": "sub-VP"}

# ------------------------------------------------------------------------------------------ from data to noise and back


@styled
def probability_flow(sde, mixture, rng, *, n=2000, paths=9, steps=400):
    r"""Draw two ways from noise to data through the same densities: the flow without noise, and the reverse equation.

    .. math:: \frac{dx}{ds} = f x - \tfrac12 g^2\,\nabla\log q_s(x) \qquad\text{and}\qquad
        dx = \left[f x - g^2\,\nabla\log q_s(x)\right] ds + g\,d\bar W

    In one dimension the trajectories of the flow cannot cross, so each keeps its quantile: the squares are quantiles of
    q_s, found from its density alone. Paths of the reverse equation wander and mix, and have the same law at each s.

    Parameters
    ----------
    sde : VP, VE or SubVP
    mixture : GaussianMixture
        With d = 1.
    rng : numpy.random.Generator
    n : int
        Points drawn from q_1, which both ways take to data.
    paths : int
        Trajectories to show, at evenly spaced quantiles of q_1.
    steps : int
        Of the Euler-Maruyama method, by which the reverse equation is followed.

    Returns
    -------
    matplotlib.figure.Figure
        Above the flow, below the reverse equation, over the density of x_s, each column scaled to its maximum. At the
        ends the density, and histograms of the n points; how far these end from the law of the data is their
        Kolmogorov distance, beside its mean for points of that law.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :func:`refdiff.continuous.probability_flow`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1)
    >>> figure = probability_flow(VP(), data, np.random.default_rng(0), n=50, steps=20)
    >>> len(figure.axes)
    6
    """
    check_sde(sde)
    check_line(mixture, "probability_flow")
    rng, n, paths = check_rng(rng), count(n, "n", least=2), count(paths, "paths")
    steps = count(steps, "steps", least=2)
    field = continuous.ideal_score(sde, mixture)
    s = np.linspace(0, 1, 61)
    laws = [continuous.diffused(sde, mixture, one) for one in s]
    reach = max(float(np.max(np.abs(law.means) + 3.6 * np.sqrt(law.variances))) for law in laws)
    x = np.linspace(-reach, reach, 301)
    density = np.exp([law.log_density(x[:, None]) for law in laws]).T

    levels = (np.arange(paths) + 0.5) / paths
    flow = [_quantiles(laws[-1], levels)[:, None]]
    for i in range(s.size - 1, 0, -1):
        flow.append(continuous.probability_flow(sde, field, flow[-1], s[i], s[i - 1], tolerance=1e-6))
    noise = laws[-1].sample(n, rng)
    carried = continuous.probability_flow(sde, field, noise, tolerance=1e-6)
    times, starts = continuous.even_times(steps, stop=0.0), np.concatenate([flow[0], noise])
    path = continuous.euler_maruyama_path(sde, field, starts, rng, times)
    walked = np.array([starts, *(x for _, x in path)])[..., 0]
    flow = np.array(flow)[..., 0]

    figure = Picture(6.4)
    grid = figure.subplots(2, 3, sharey=True, width_ratios=[1, 5, 1])
    figure.get_layout_engine().set(wspace=0.01, w_pad=0.04)
    rows = (
        (s[::-1], flow, carried, "Probability flow: no noise, no crossing; each keeps its quantile"),
        (
            times,
            walked[:, :paths],
            walked[-1, paths:, None],
            f"Reverse equation, {steps} steps: paths from the same starts wander and mix",
        ),
    )
    edges = np.linspace(-reach, reach, 81)
    for (data, image, end), (at, lines, arrived, title) in zip(grid, rows):
        scaled = density / density.max(axis=0)
        image.contourf(s, x, scaled, np.linspace(0, 1, 13), cmap=DENSITY_MAP, vmin=0, vmax=1.4)
        image.plot(at, lines, color=MODEL, linewidth=0.9)
        image.plot(at, lines[:, paths // 2], color=INK, linewidth=1.5, zorder=3)
        image.set(title=title, xlim=(0, 1))
        _draw_marginal(data, x, density[:, 0], edges, arrived)
        _draw_marginal(end, x, density[:, -1], edges, noise)
        data.set(ylabel="$x_s$", ylim=(-reach, reach))
        data.invert_xaxis()
    shown = np.linspace(0, s.size - 1, 5).astype(int)
    exact = np.stack([_quantiles(laws[i], levels) for i in shown])
    grid[0, 1].plot(s[shown], exact, "s", color=INK, markersize=3.5, clip_on=False, zorder=4)
    grid[1, 1].set_xlabel("time $s$, from data (0) to noise (1); both ways are followed from right to left")
    grid[0, 0].set_title("$q_0$: data")
    grid[0, 2].set_title("$q_1$: noise")
    worst = float(np.max(np.abs(flow[::-1][shown] - exact)))
    off = [_distance(laws[0], arrived) for _, _, arrived, _ in rows]
    figure.supxlabel(
        f"dark: from the same start; squares: quantiles of $q_s$, from which the flow is at most {short_number(worst)}"
        f" off\ndistribution function of the {n} points at $s$ = 0: {off[0]:.3f} (flow) and {off[1]:.3f} off that of"
        f" $q_0$; chance alone: {math.sqrt(math.pi / 2 / n) * math.log(2):.3f}",  # the mean of Kolmogorov's law
        fontsize=9,
    )
    figure.suptitle(
        "Two ways back from noise through the same densities: one keeps each quantile, the other mixes them",
        fontsize=11,
    )
    return figure


def _distribution(law):
    """Return points on a line and the distribution function of a mixture there, from its density."""
    spread = np.sqrt(law.variances)
    x = np.linspace(float(np.min(law.means - 9 * spread)), float(np.max(law.means + 9 * spread)), 20_001)
    density = np.exp(law.log_density(x[:, None]))
    return x, np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)]) * (x[1] - x[0])


def _quantiles(law, levels):
    """Return quantiles of a mixture over a line."""
    x, below = _distribution(law)
    return np.interp(levels, below, x)


def _distance(law, points):
    """Return Kolmogorov's distance: by how much the distribution function of the points is off, at most."""
    below = np.interp(np.sort(points, axis=None), *_distribution(law))
    steps = np.arange(points.size + 1) / points.size
    return float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))


def _draw_marginal(axes, x, density, edges, points):
    """Draw a density on its side, and the histogram of points."""
    axes.fill_betweenx(x, density, color=TRUTH, alpha=0.25, linewidth=0)
    axes.plot(density, x, color=TRUTH, linewidth=1.4)
    found = np.histogram(points, edges)[0] / (points.size * np.diff(edges))
    axes.stairs(found, edges, orientation="horizontal", color=MODEL, linewidth=1)
    axes.set(xlim=(0, 1.1 * max(density.max(), found.max())), xticks=[])
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


# ------------------------------------------------------------------------------------------------- the limit of a chain


@styled
def chain_limit(sde, steps=(30, 100, 300, 1000, 3000, 10_000)):
    r"""Draw how the chain whose betas are read off beta(s) tends to the equation VP as its steps become small.

    .. math:: \beta_t = \frac1T\,\beta\!\left(\frac tT\right), \qquad
        \left|\log\bar\alpha_T + \int_0^1\beta(s)\,ds\right| = O\!\left(\frac1T\right)

    ``Schedule.vp`` takes integrals of beta over the steps instead, and is the equation, looked at only at s = t/T.

    Parameters
    ----------
    sde : VP
    steps : sequence of int
        At least two T, increasing, all above beta_max.

    Returns
    -------
    matplotlib.figure.Figure
        Left alpha_bar of the first three chains over s = t/T beside that of the equation; right how far off log
        alpha_bar_T is, over T. Order: the slope over the last half of the T.

    Raises
    ------
    TypeError, ValueError
        If the equation is not VP, the T do not increase, or as for :meth:`refdiff.continuous.VP.schedule`.

    Examples
    --------
    >>> figure = chain_limit(VP(), (30, 100, 300))
    >>> len(figure.axes)
    2
    """
    if not isinstance(sde, VP):
        raise TypeError(f"sde must be a VP, the equation that has a chain; got {type(sde).__name__}.")
    steps = np.array([count(T, "T") for T in np.ravel(steps)])
    if steps.size < 2 or not (np.diff(steps) > 0).all():
        raise ValueError(f"steps must be at least two, and increase; got {steps.tolist()}.")
    chains = [sde.schedule(T) for T in steps]
    exact = [Schedule.vp(int(T), sde.beta_min, sde.beta_max) for T in steps]
    limit = -float(sde.integral(1.0))
    off, none = (np.array([abs(np.log(one.alpha_bar[-1]) - limit) for one in family]) for family in (chains, exact))
    order = order_of(steps, off)

    figure = Picture(4.4)
    curves, errors = figure.subplots(1, 2, width_ratios=[1, 1.15])
    s = np.linspace(0, 1, 401)
    lowest = min(chain.alpha_bar[-1] for chain in chains)
    curves.set(yscale="log", xlabel="$s = t/T$", xlim=(0, 1), ylim=(lowest / 3, 3))
    curves.plot(s, sde.signal_rate(s) ** 2, color=TRUTH, linewidth=3, alpha=0.75)
    labels = [(math.exp(limit), "the equation", TRUTH)]
    for chain, color in zip(chains[:3], (VERMILION, PURPLE, INK)):
        t = np.arange(chain.T + 1)
        curves.plot(t / chain.T, chain.alpha_bar, color=color, linewidth=1.3, linestyle=BROKEN)
        labels.append((chain.alpha_bar[-1], f"$T$ = {chain.T}", color))
    dots = exact[0].alpha_bar
    curves.plot(np.arange(dots.size) / (dots.size - 1), dots, "o", color=GREEN, markersize=3.5, zorder=4)
    curves.annotate(
        f"dots: Schedule.vp({steps[0]})",
        (0.5, dots[dots.size // 2]),
        (8, 8),
        textcoords="offset points",
        fontsize=9,
        color=GREEN,
    )
    label_right(curves, labels)
    curves.set_title(r"$\bar\alpha$ over $s$: too few steps lose too much")
    errors.set(xscale="log", yscale="log", ylim=logarithmic_room(off, below=0.35, above=0.15))
    plain_values(errors.yaxis, 4.5)
    errors.plot(steps, off, "o-", color=VERMILION, linewidth=1.8, markersize=5)
    shown = none >= errors.get_ylim()[0]
    errors.plot(steps[shown], none[shown], "s", color=GREEN, markersize=5)
    errors.plot(
        steps[~shown], np.zeros((~shown).sum()), "v", color=GREEN, transform=errors.get_xaxis_transform(), clip_on=False
    )
    logarithmic_counts(errors, steps)
    errors.annotate(
        f"$\\beta_t$ read off $\\beta(s)$:\nfalls as $T^{{-{order:.2f}}}$",
        (steps[steps.size // 2], off[steps.size // 2]),
        (6, 8),
        textcoords="offset points",
        fontsize=9,
        color=VERMILION,
    )
    errors.text(
        0.03,
        0.05,
        "Schedule.vp, whose $\\beta_t$ are integrals over a step:\nbelow this axis, off by at"
        f" most {short_number(none.max())} at any of these $T$",
        transform=errors.transAxes,
        fontsize=9,
        color=GREEN,
    )
    errors.set_title(r"How far $\log\bar\alpha_T$ is off")
    near = int(np.argmin(np.abs(np.log(steps / 1000))))
    figure.suptitle(
        f"The chain tends to its equation with order {order:.2f}: $T$ = {steps[near]} steps lose"
        f" {-100 * math.expm1(-off[near]):.1f} % of $\\bar\\alpha_T$",
        fontsize=11,
    )
    return figure


# ------------------------------------------------------------------------------------------------------------ the bound


@styled
def bound_over_log_snr(mixture, sdes=None, *, high=5.0, cells=60):
    r"""Draw what the bound in continuous time is the integral of: over log SNR one curve for all, over s one for each.

    .. math:: L_\infty = \int \tfrac12\,\mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2\,d\lambda
        = \int \tfrac12\,\mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2\left(-\frac{d\lambda}{ds}\right) ds, \qquad
        \lambda = \log\mathrm{SNR}

    The ideal denoiser's error depends on how much noise there is, not on which equation brought it. So the equation, or
    the schedule, decides only how fast one runs through lambda; the area stays.

    Parameters
    ----------
    mixture : GaussianMixture
        With d <= 2: the error comes from quadrature.
    sdes : sequence of VP, VE or SubVP, optional
        One to four; by default one of each kind.
    high : float
        Where the integral starts, in log SNR; it ends at the lowest that all equations reach.
    cells : int
        Points of each curve, less one.

    Returns
    -------
    matplotlib.figure.Figure
        The areas beside the names are :func:`refdiff.continuous.mixture_diffusion_loss` of each equation.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :func:`refdiff.continuous.mixture_diffusion_loss`.

    Examples
    --------
    >>> from refdiff import GaussianMixture
    >>> figure = bound_over_log_snr(GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1), cells=8)
    >>> len(figure.axes)
    2
    """
    check_mixture(mixture)
    if isinstance(sdes, VP | SubVP | VE):
        raise TypeError(f"sdes must be a sequence of them; got one {type(sdes).__name__}.")
    sdes = (VP(), SubVP(), VE()) if sdes is None else tuple(sdes)
    for one in sdes:
        check_sde(one)
    if not 1 <= len(sdes) <= 4:
        raise ValueError(f"sdes must be one to four; got {len(sdes)}.")
    cells, high = count(cells, "cells", least=2), real(high, "high")
    low = max(float(one.log_snr(1.0)) for one in sdes)
    if high.ndim or not low < high < np.inf:
        raise ValueError(f"high must be one number above log_snr(1), here {low:.3g}; got {high}.")
    log_snr = np.linspace(low, float(high), cells + 1)
    found = []
    for one in sdes:
        s = one.time(log_snr)
        integrand = 0.5 * np.array([ideal_loss(one, mixture, float(at)) for at in s])
        rate = one.diffusion(s) ** 2 / one.var(s)  # at which log SNR falls
        area = continuous.mixture_diffusion_loss(one, mixture, float(s[-1]), float(s[0]))
        found.append((s, integrand, rate * integrand, area))

    figure = Picture(4.4)
    left, right = figure.subplots(1, 2)
    looks = ((BLUE, 5, "solid"), (GREEN, 2.6, "solid"), (VERMILION, 1.5, (0, (4, 3))), (PURPLE, 1, (0, (1, 2))))
    for one, (color, width, dashes), (s, integrand, over_s, area) in zip(sdes, looks, found):
        name = NAMES.get(type(one).__name__, type(one).__name__)
        left.plot(log_snr, integrand, color=color, linewidth=width, linestyle=dashes, label=name)
        right.plot(s, over_s, color=color, linewidth=1.8, label=f"{name}: {area:.6f} nats")
        right.fill_between(s, over_s, color=color, alpha=0.12, linewidth=0)
    left.fill_between(log_snr, found[0][1], color=NOISE, alpha=0.12, linewidth=0)
    half = len(mixture.mean) / 2
    left.axhline(half, color=GREY, linewidth=0.9, linestyle=BROKEN)
    left.annotate(
        f"$d/2$ = {half:g}: noise too small to be seen",
        (low, half),
        (0, 4),
        textcoords="offset points",
        fontsize=9,
        color=GREY,
        ha="right",
    )
    left.set(xlim=(log_snr[-1], low), ylim=(0, 1.18 * half), xlabel=r"$\lambda$ = log SNR, from data to noise")
    left.set_ylabel(r"$\frac{1}{2}\,E\,\|\epsilon - \epsilon^*\|^2$")
    left.set_title("Over log SNR: one curve")
    left.legend(loc="lower left")
    tops = [over_s.max() for _, _, over_s, _ in found]
    right.set(xlim=(0, 1), ylim=(0, 1.08 * np.sort(tops)[-1]), xlabel="$s$, from data to noise")
    right.set_title(r"Over $s$: times the rate at which log SNR falls")
    right.legend(loc="upper right", title="area under each curve")
    areas = [area for *_, area in found]
    figure.suptitle(
        f"{_number_word(len(sdes))} one bound: the area is {areas[0]:.4f} nats from log SNR {signed(float(high))} to"
        f" {signed(low, '.3g')}, whichever way",
        fontsize=11,
    )
    return figure


def _number_word(n):
    """Return how a title begins that speaks of n equations."""
    return ("One equation,", "Two equations,", "Three equations,", "Four equations,")[n - 1]
