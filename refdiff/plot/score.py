r"""The score drawn: what it knows of the data, how it is learnt, and where Langevin dynamics ends with it."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from refdiff import forward, score
from refdiff.checks import check_rng, count, one_number, real
from refdiff.gaussian import Gaussian
from refdiff.mixture import GaussianMixture, log_components, responsibilities
from refdiff.plot.scales import label_right, short_number, with_error
from refdiff.plot.style import (
    BROKEN,
    GREEN,
    GREY,
    INK,
    MODEL,
    PALE,
    PURPLE,
    TRUTH,
    VERMILION,
    Picture,
    check_line,
    check_mixture,
    check_schedule,
    one_step,
    signed,
    styled,
)

WHISKERS = {"elinewidth": 1.2, "capsize": 2.5, "markersize": 5, "zorder": 4}
BESIDE = {"textcoords": "offset points", "fontsize": 9}
CHAIN_MAP = LinearSegmentedColormap.from_list("chains", ["#FFFFFF", "#F7C9AE", VERMILION, "#7A2F00"])

# ------------------------------------------------------------------------------------------------------------- Langevin


@styled
def langevin_bias(rng, *, sizes=(0.1, 0.4, 0.7, 1.0, 1.3, 1.5, 1.7, 2.0, 2.4, 2.8), n=10_000, steps=100):
    r"""Draw what Langevin dynamics makes of N(0, 1) at each step size, with and without a Metropolis test.

    .. math:: \operatorname{Var} = \frac{1}{1 - h/2} \quad (h < 2), \qquad
        \mathbb{E}\,a(x, y) = 1 - \frac2\pi \arctan\left[\left(\frac h2\right)^{3/2}\right]

    All chains start as a sample of N(0, 1), so whatever else they end in is the algorithm's own doing. From h = 2 on
    unadjusted chains do not settle, and none is run.

    Parameters
    ----------
    rng : numpy.random.Generator
    sizes : sequence of float
        Step sizes h at which chains are run; at least one below 2.
    n : int
        Chains at each.
    steps : int
        Of each chain; what is left of the start after them is (1 - h)^(2 steps) of the bias.

    Returns
    -------
    matplotlib.figure.Figure
        Above the variance after the last step, about its own mean, below the share of moves that MALA accepts in the
        last step; both with two standard errors, beside :func:`refdiff.score.langevin_var` and
        :func:`refdiff.score.mala_acceptance`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> figure = langevin_bias(np.random.default_rng(0), sizes=(0.5, 1.0), n=100, steps=10)
    >>> len(figure.axes)
    2
    """
    rng, n, steps = check_rng(rng), count(n, "n", least=2), count(steps, "steps")
    sizes = np.sort(np.ravel(real(sizes, "sizes")))
    if not sizes.size or not ((sizes > 0) & np.isfinite(sizes)).all() or sizes[0] >= 2:
        raise ValueError(f"sizes must be > 0 and finite, at least one below 2; got {sizes.tolist()}.")
    law = Gaussian([0.0], 1.0)
    plain, adjusted, accepted = [], [], []
    for h in sizes:
        if h < 2:
            plain.append(_variance(score.langevin(_standard, rng.standard_normal((n, 1)), rng, h, steps)))
        *_, (_, x, moved) = score.mala_chain(law.log_density, _standard, rng.standard_normal((n, 1)), rng, h, steps)
        adjusted.append(_variance(x))
        accepted.append(_mean(moved))
    settles = sizes[sizes < 2]
    end = max(2.2, 1.05 * sizes[-1])
    top = 1.12 * max(var + 2 * error for var, error in plain)

    figure = Picture(5.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.9, 1])
    curve = np.linspace(0.0, 2.0, 402)[1:-1]
    variances = np.array([score.langevin_var(h) for h in curve])
    above.axvspan(2, end, color=PALE, alpha=0.5, linewidth=0, zorder=0)
    above.axhline(1, color=TRUTH, linewidth=1.4, linestyle=BROKEN, zorder=1)
    above.plot(curve, variances, color=VERMILION, linewidth=1.8, zorder=2, label="exact")
    _measured(above, settles, plain, VERMILION, "o")
    _measured(above, sizes, adjusted, GREEN, "s")
    above.set(ylim=(0, top), xlim=(0, end), ylabel="variance of the chains")
    above.annotate(
        "unadjusted Langevin: exactly $1/(1 - h/2)$",
        (settles[-1], plain[-1][0]),
        (-12, 0) if settles[-1] > 1 else (12, 0),
        ha="right" if settles[-1] > 1 else "left",
        va="center",
        color=VERMILION,
        **BESIDE,
    )
    above.annotate("MALA: 1, as it should be", (end, 1), (-4, 9), ha="right", color=GREEN, **BESIDE)
    above.text(
        (2 + end) / 2,
        0.72 * top,
        "from $h$ = 2 on\nunadjusted chains\ndo not settle",
        ha="center",
        fontsize=9,
        color=GREY,
    )
    above.annotate("the law that both are after", (0, 1), (6, -4), va="top", color=TRUTH, **BESIDE)
    above.set_title(f"{n} chains, {steps} steps from N(0, 1) itself; bars: two standard errors")
    curve = np.linspace(0.0, end, 401)[1:]
    below.plot(curve, [score.mala_acceptance(h) for h in curve], color=GREEN, linewidth=1.8, zorder=2, label="exact")
    _measured(below, sizes, accepted, GREEN, "s")
    half = float(score.mala_acceptance(2.0))
    below.plot([2, 2, 0], [0, half, half], color=GREY, linewidth=0.8, linestyle=BROKEN, zorder=1)
    below.annotate(
        f"at $h$ = 2 it accepts {100 * half:g} % of all moves",
        (2, half),
        (-8, -5),
        ha="right",
        va="top",
        **BESIDE,
    )
    below.set(ylim=(0, 1.05), ylabel="share accepted", xlabel="step size $h$ (drift $h\\,s$, noise of variance $2h$)")
    below.set_title("What the exactness costs: MALA stays where it is when a move is rejected")
    near = int(np.argmin(np.abs(settles - 1)))
    exact = float(score.langevin_var(settles[near]))
    figure.suptitle(
        f"Unadjusted Langevin misses its target at every step size: at $h$ = {settles[near]:g} the variance is"
        f" {with_error(*plain[near])} (exact {exact:.3g}), not 1",
        fontsize=11,
    )
    return figure


def _standard(x):
    """Return the score of N(0, I)."""
    return -x


def _mean(values):
    """Return the mean and its standard error."""
    return float(np.mean(values)), float(np.std(values)) / math.sqrt(len(values))


def _variance(x):
    """Return the variance of points (n, 1) and its standard error."""
    return _mean((x - x.mean()) ** 2)


def _measured(axes, at, found, color, marker):
    """Draw means with two standard errors."""
    values, errors = np.array(found).T
    axes.errorbar(at, values, 2 * errors, fmt=marker, color=color, **WHISKERS)


@styled
def langevin_modes(mixture, schedule, rng, n=2000, *, h=0.2, steps=10):
    r"""Draw where Langevin dynamics ends between two modes: at one noise level, and annealed over all of them.

    .. math:: x \leftarrow x + h_t\,\nabla\log q(x_t) + \sqrt{2h_t}\,z, \qquad t = 1 \;\text{or}\; t = T, \ldots, 1

    All chains of both start at one point, the mean of the first component, and take as many steps; both have q(x_1) as
    their aim, the data with the little noise of the first step. Annealed, the weights are near and not exact: few steps
    leave a level before the chains have settled, and steps of finite size have a bias.

    Parameters
    ----------
    mixture : GaussianMixture
        With d = 1 and two components, far apart.
    schedule : Schedule
        Its levels; the last should be noise, so that the start is forgotten.
    rng : numpy.random.Generator
    n : int
        Chains of each.
    h : float
        The step size, in units of the noise variance where annealed, of the narrowest component of q(x_1) where not.
    steps : int
        At each level; plain chains take T times as many.

    Returns
    -------
    matplotlib.figure.Figure
        Left all chains over time, each column a histogram; right the last one beside the exact density. The weight of
        a component is the mean of its probability given x, with one standard error.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :func:`refdiff.score.langevin`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.3, 0.7], [[-4.0], [4.0]], 0.25)
    >>> figure = langevin_modes(data, Schedule.vp(10), np.random.default_rng(0), n=50, steps=3)
    >>> len(figure.axes)
    4
    """
    check_line(mixture, "langevin_modes")
    if len(mixture.weights) != 2:
        raise ValueError(f"langevin_modes needs a mixture of two components; got {len(mixture.weights)}.")
    check_schedule(schedule)
    rng, n, h, steps = check_rng(rng), count(n, "n", least=2), one_number(h, "h"), count(steps, "steps")
    if h >= 2:
        raise ValueError(f"h must be below 2, or no level is ever settled; got {h}.")
    aim = mixture.diffused(schedule, 1)
    start = np.full((n, 1), mixture.means[0, 0])

    def field(x_t, t):
        return mixture.diffused(schedule, t).score(x_t)

    plain = [start]
    for _ in range(schedule.T):
        plain.append(score.langevin(aim.score, plain[-1], rng, h * aim.variances.min(), steps))
    annealed = [start, *(x_t for _, x_t in score.annealed_langevin_chain(schedule, field, start, rng, h, steps))]

    figure = Picture(6.0)
    grid = figure.subplots(2, 2, sharey=True, width_ratios=[2.4, 1])
    reach = float(np.max(np.abs(aim.means) + 4.5 * np.sqrt(aim.variances)))
    edges = np.linspace(-max(reach, 3.5), max(reach, 3.5), 121)
    names = (
        f"Plain: {schedule.T * steps} steps at the level $t$ = 1",
        f"Annealed: {steps} steps at each level $t$ = {schedule.T}, ..., 1",
    )
    weights = []
    for (strip, ends), chains, name in zip(grid, (plain, annealed), names):
        columns = np.stack([np.histogram(x, edges)[0] for x in chains], axis=-1)
        strip.pcolormesh(
            np.arange(schedule.T + 2) - 0.5,
            edges,
            np.sqrt(columns / np.maximum(columns.max(axis=0), 1)),
            cmap=CHAIN_MAP,
            vmin=0,
            vmax=1,
            rasterized=True,
        )
        strip.set(title=name, ylabel="$x$", xlim=(-0.5, schedule.T + 0.5))
        weights.append(_draw_ends(ends, aim, chains[-1], edges))
    levels = np.stack([mixture.diffused(schedule, t).means[:, 0] for t in range(schedule.T, 0, -1)])
    for mean in aim.means[:, 0]:
        grid[0, 0].axhline(mean, color=TRUTH, linewidth=1.2, linestyle=BROKEN)
    grid[1, 0].plot(np.arange(1, schedule.T + 1), levels, color=TRUTH, linewidth=1.2, linestyle=BROKEN)
    grid[1, 0].annotate(
        "broken: the means of the components",
        (schedule.T / 2, edges[0]),
        (0, 5),
        ha="center",
        va="bottom",
        color=TRUTH,
        **BESIDE,
    )
    for strip in grid[:, 0]:
        strip.annotate("start", (0, start[0, 0]), (7, -9), va="top", color=INK, **BESIDE)
    grid[0, 0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ticks = np.arange(0, schedule.T + 1, max(1, round(schedule.T / 6)))
    grid[0, 0].set_xticks(ticks, [str(k * steps) for k in ticks])
    grid[0, 0].set_xlabel("steps taken")
    grid[1, 0].set_xticks(ticks[1:], [str(schedule.T + 1 - k) for k in ticks[1:]])
    grid[1, 0].set_xlabel("level $t$, from noise to data")
    grid[0, 1].set_title("after the last step")
    (plainly, _), other = weights[0][1], _share(weights[1][1])
    figure.suptitle(
        f"Weight of the mode that no chain started in: plain Langevin {plainly:.3f}, annealed {other},"
        f" exact {mixture.weights[1]:g}",
        fontsize=11,
    )
    return figure


def _share(weight):
    """Write a weight and its standard error, which may be 0."""
    return "{:.3f} ± {:.3f}".format(*weight)


def _draw_ends(axes, law, x, edges):
    """Draw the histogram of the points on its side, beside the density; return the weights that they have."""
    at = np.linspace(edges[0], edges[-1], 801)
    density = np.exp(law.log_density(at[:, None]))
    found = np.histogram(x, edges)[0] / (x.size * np.diff(edges))
    axes.fill_betweenx(at, density, color=TRUTH, alpha=0.25, linewidth=0)
    axes.plot(density, at, color=TRUTH, linewidth=1.4, label="exact")
    axes.stairs(found, edges, orientation="horizontal", color=MODEL, linewidth=1.4)
    right = 1.05 * max(density.max(), found.max())
    axes.set(xlim=(0, right), xticks=[], xlabel="density", ylim=(edges[0], edges[-1]))
    r = responsibilities(log_components(x, law.weights, law.means, law.variances))
    weights = [_mean(r[:, k]) for k in range(2)]
    for weight, exact, mean, std in zip(weights, law.weights, law.means[:, 0], np.sqrt(law.variances[:, 0])):
        sign, side = (-1, "top") if mean > law.mean[0] else (1, "bottom")
        at = right, mean + 2.1 * sign * std
        axes.annotate(f"exact {exact:g}", at, (0, 0), ha="right", va=side, color=TRUTH, **BESIDE)
        axes.annotate(f"found {_share(weight)}", at, (0, 12 * sign), ha="right", va=side, color=MODEL, **BESIDE)
    return weights


@styled
def ancestral_vs_langevin(schedule, t, rng, *, var=0.05, steps=50, n=40_000):
    r"""Draw the variance of points on which one step is repeated at one t: the ancestral, and that of Langevin.

    .. math:: x \leftarrow \frac{x + \beta_t\,s(x)}{\sqrt{\alpha_t}} + \sqrt{\beta_t}\,z \qquad\text{and}\qquad
        x \leftarrow x + \frac{\beta_t}{2}\,s(x) + \sqrt{\beta_t}\,z, \qquad s = \nabla\log q(x_t)

    The data are N(0, v_0), and all points start as a sample of q(x_t) = N(0, v). Both steps add the same noise. Only
    Langevin's aims at q(x_t): the ancestral one leads to q(x_{t-1}), once, and is not meant to be repeated.

    Parameters
    ----------
    schedule : Schedule
    t : int
        In 1..T.
    rng : numpy.random.Generator
    var : float
        v_0, the variance of the data.
    steps : int
        Repetitions.
    n : int
        Points of each.

    Returns
    -------
    matplotlib.figure.Figure
        Lines: the exact recursion of the variance, from the law of one step. Dots: the variance of the points about
        their mean, with two standard errors. Broken: :func:`refdiff.score.ancestral_var` and
        :func:`refdiff.score.langevin_var`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or as for these two.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> figure = ancestral_vs_langevin(Schedule.vp(40), 12, np.random.default_rng(0), n=100)
    >>> len(figure.axes)
    1
    """
    check_schedule(schedule)
    t, rng, var = one_step(schedule, t), check_rng(rng), one_number(var, "var")
    steps, n = count(steps, "steps", least=2), count(n, "n", least=2)
    data, beta = GaussianMixture([1.0], [[0.0]], var), schedule.beta[t]
    law = data.diffused(schedule, t)
    v, before = float(law.var[0]), float(data.diffused(schedule, t - 1).var[0])
    ends = float(score.ancestral_var(beta, v)), float(score.langevin_var(beta / 2, v))

    def ancestral(x):
        return score.ancestral_transition(schedule, lambda x, t: law.score(x), x, t)

    def langevin(x):
        return score.langevin_transition(law.score, x, beta / 2)

    exact, found = [], []
    for step in (ancestral, langevin):
        one = step(np.ones(1))  # its mean is the factor of x
        variances, x = [v], law.sample(n, rng)
        measured = [_variance(x)]
        for _ in range(steps):
            variances.append(float((one.mean**2 * variances[-1] + one.var).item()))
            x = step(x).sample(rng)
            measured.append(_variance(x))
        exact.append(variances)
        found.append(measured)

    figure = Picture(4.4)
    axes = figure.subplots()
    every = np.unique([0, 1, *np.arange(0, steps + 1, max(1, steps // 20))])
    for variances, measured, end, color, marker in zip(exact, found, ends, (VERMILION, GREEN), "os"):
        axes.axhline(end, color=color, linewidth=1.1, linestyle=BROKEN, zorder=1)
        axes.plot(variances, color=color, linewidth=1.8, zorder=2)
        _measured(axes, every, [measured[k] for k in every], color, marker)
    axes.axhline(v, color=TRUTH, linewidth=1.1, linestyle=BROKEN, zorder=1)
    values = [*exact[0], *exact[1], *ends, before, *(mean + 2 * error for mean, error in found[1])]
    room = 0.12 * np.ptp(values)
    axes.set(ylim=(min(values) - room, max(values) + room), xlim=(-0.02 * steps, 1.02 * steps))
    axes.annotate(
        f"one ancestral step: near Var $x_{{t-1}}$ = {before:.3f},\nwhich is what it is for",
        (1, exact[0][1]),
        (60, -18),
        va="center",
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkB": 5},
        **BESIDE,
    )
    label_right(
        axes,
        [
            (ends[1], f"Langevin, repeated:\n{ends[1]:.3f}", GREEN),
            (v, f"$q(x_t)$: $v$ = {v:.3f}", TRUTH),
            (ends[0], f"ancestral, repeated:\n{ends[0]:.3f}", VERMILION),
        ],
    )
    axes.set(xlabel=f"how often the step is repeated, always at $t$ = {t}", ylabel="variance")
    axes.set_title(
        rf"Both add noise of variance $\beta_t$ = {beta:.3g}; lines exact, dots {n} points with two standard errors"
    )
    figure.suptitle(
        f"The ancestral step is no Langevin step: repeated at one $t$, it takes {v:.3f} to {ends[0]:.3f};"
        f" Langevin's stays at {ends[1]:.3f}",
        fontsize=11,
    )
    return figure


# ------------------------------------------------------------------------------------------------------- score matching


@styled
def score_matching_losses(mixture, schedule, t, rng, n=4000, *, scales=None):
    r"""Draw four losses of score matching over one family of scores, c times the true one: parallel curves.

    .. math:: s_c = c\,\nabla\log q(x_t), \qquad
        \mathbb{E}\Vert s_c - \nabla\log q(x_t \mid x_0)\Vert^2 - c_t = \mathbb{E}\Vert s_c - \nabla\log q(x_t)\Vert^2
        = \mathbb{E}\left[\Vert s_c \Vert^2 + 2 \operatorname{tr} \nabla s_c\right]
        + \mathbb{E}\Vert\nabla\log q(x_t)\Vert^2

    Only the explicit loss needs the truth, and it differs from each of the others by what no score changes. The sliced
    loss has the mean of the implicit one.

    Parameters
    ----------
    mixture : GaussianMixture
        With d <= 2: the lines come from quadrature.
    schedule : Schedule
        A short one: the gap of the denoising loss is found at each t.
    t : int
        In 1..T.
    rng : numpy.random.Generator
    n : int
        Points (x_0, x_t), and a normal direction for each, from which the dots are found: the same for each scale.
    scales : sequence of float, optional
        The c of the dots, at least three; by default nine from 0 to 2.

    Returns
    -------
    matplotlib.figure.Figure
        Dots are means of :func:`refdiff.score.explicit_loss`, ``denoising_loss``, ``implicit_loss`` and
        ``sliced_loss`` with two standard errors. Lines are the mean of the explicit loss, moved by
        :func:`refdiff.score.denoising_gap` and by minus the Fisher information. "Least at": of the parabola through
        the dots.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :meth:`refdiff.mixture.GaussianMixture.expectation`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])
    >>> figure = score_matching_losses(data, Schedule.vp(5), 2, np.random.default_rng(0), n=100)
    >>> len(figure.axes)
    1
    """
    check_mixture(mixture)
    check_schedule(schedule)
    t, rng, n = one_step(schedule, t), check_rng(rng), count(n, "n", least=2)
    scales = np.linspace(0, 2, 9) if scales is None else np.sort(np.ravel(real(scales, "scales")))
    if np.unique(scales).size < 3 or not np.isfinite(scales).all():
        raise ValueError(f"scales must be at least three, and finite; got {scales.tolist()}.")
    law, d = mixture.diffused(schedule, t), len(mixture.mean)
    gap = float(score.denoising_gap(schedule, mixture.eps_loss(schedule), d)[t])
    information = float(law.expectation(lambda x: score.explicit_loss(lambda x: 0 * x, law.score, x)))
    x_0 = mixture.sample(n, rng)
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    v = rng.standard_normal((n, d))

    def scaled(c):
        return lambda x, t=None: c * law.score(x)

    losses = {
        "denoising": lambda s: score.denoising_loss(schedule, s, x_0, x_t, t),
        "explicit": lambda s: score.explicit_loss(s, law.score, x_t),
        "implicit": lambda s: score.implicit_loss(s, x_t),
        "sliced": lambda s: score.sliced_loss(s, x_t, v),
    }
    fine = np.linspace(scales[0], scales[-1], 41)
    exact = [float(law.expectation(lambda x, c=c: score.explicit_loss(scaled(c), law.score, x))) for c in fine.tolist()]
    shifts = {"denoising": gap, "explicit": 0.0, "implicit": -information, "sliced": -information}
    colors = {"denoising": VERMILION, "explicit": TRUTH, "implicit": GREEN, "sliced": PURPLE}

    figure = Picture(5.2)
    axes = figure.subplots()
    axes.axvline(1, color=GREY, linewidth=0.9, linestyle=BROKEN, zorder=0)
    beside = 0.012 * np.ptp(scales)
    words = {
        "denoising": f"+{gap:.3f},\nnoise of its target",
        "explicit": "needs the true score",
        "implicit": f"{signed(-information, '.3f')}, minus\nthe Fisher information",
        "sliced": "the same mean",
    }
    labels = []
    for (name, loss), marker in zip(losses.items(), "osDv"):
        found = [_mean(loss(scaled(c))) for c in scales.tolist()]
        bend, slope, _ = np.polyfit(scales, [mean for mean, _ in found], 2)
        if name != "sliced":
            axes.plot(fine, np.add(exact, shifts[name]), color=colors[name], linewidth=1.8, zorder=2, label=name)
        side = {"implicit": -beside, "sliced": beside}.get(name, 0)
        _measured(axes, scales + side, found, colors[name], marker)
        text = f"{name}: {words[name]}\nleast at {-slope / (2 * bend):.2f}"
        labels.append((exact[-1] + shifts[name] - (0.001 if name == "sliced" else 0), text, colors[name]))
    arrow = {"arrowstyle": "<->", "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    for shift in (gap, -information):
        axes.annotate("", (1, 0), (1, shift), arrowprops=arrow, zorder=3)
        axes.annotate(short_number(abs(shift)), (1, shift / 2), (6, 0), va="center", color=GREY, **BESIDE)
    axes.set_xlim(scales[0] - 0.03 * np.ptp(scales), scales[-1] + 0.03 * np.ptp(scales))
    label_right(axes, labels)
    axes.set(
        xlabel=r"scale $c$ of the score $s_c(x) = c\,\nabla\log q(x_t)$; the true one at $c$ = 1",
        ylabel="mean loss (squared distance)",
    )
    axes.set_title(f"$t$ = {t} of {schedule.T}; lines exact, dots the mean over {n} points with two standard errors")
    figure.suptitle("Four losses, one minimiser: they differ by constants that no score changes")
    return figure


# -------------------------------------------------------------------------------------------------------------- Tweedie


@styled
def tweedie(mixture, schedule, steps):
    r"""Draw what x_t says of x_0 at some t: mean and standard deviation, and what Tweedie's formulas make of them.

    .. math:: \mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}, \qquad
        \operatorname{Var}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}
        \left(1 + (1 - \bar\alpha_t)\,\nabla^2\log q(x_t)\right)

    Line and band come from the mixture, by Bayes' rule; dots and whiskers from the score of q(x_t) alone.

    Parameters
    ----------
    mixture : GaussianMixture
        With d = 1.
    schedule : Schedule
    steps : sequence of int
        The t to show, in 1..T; up to four.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each t, over nearly all of q(x_t), whose density is filled below.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])
    >>> figure = tweedie(data, Schedule.vp(10), [2, 5, 8])
    >>> len(figure.axes)
    3
    """
    check_line(mixture, "tweedie")
    check_schedule(schedule)
    steps = [one_step(schedule, t) for t in np.ravel(steps)]
    if not 1 <= len(steps) <= 4:
        raise ValueError(f"steps must be one to four; got {len(steps)}.")

    def field(x_t, t):
        return mixture.diffused(schedule, t).score(x_t)

    figure = Picture(4.2)
    panels = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    std = np.sqrt(mixture.variances[:, 0])
    low, high = np.min(mixture.means[:, 0] - 3.2 * std), np.max(mixture.means[:, 0] + 3.2 * std)
    floor, foot = low - 0.22 * (high - low), 0.2 * (high - low)
    open_share = []
    for axes, t in zip(panels, steps):
        law = mixture.diffused(schedule, t)
        spread = np.sqrt(law.variances[:, 0])
        ends = np.min(law.means[:, 0] - 2.6 * spread), np.max(law.means[:, 0] + 2.6 * spread)
        x_t = np.linspace(*ends, 401)[:, None]
        truth = mixture.posterior_x_0(schedule, x_t, t)
        mean, band = truth.mean[:, 0], np.sqrt(truth.var[:, 0])
        dots = np.linspace(*ends, 17)[1:-1, None]
        found = score.tweedie(schedule, field, dots, t)[:, 0]
        width = np.sqrt(score.tweedie_cov(schedule, field, dots, t)[:, 0, 0])
        axes.fill_between(x_t[:, 0], mean - band, mean + band, color=TRUTH, alpha=0.2, linewidth=0)
        axes.plot(x_t[:, 0], mean, color=TRUTH, linewidth=1.8, label="truth")
        axes.plot(ends, np.divide(ends, schedule.signal_rate[t]), color=GREY, linewidth=1, linestyle=BROKEN, zorder=1)
        axes.errorbar(dots[:, 0], found, width, fmt="o", color=INK, elinewidth=0.8, capsize=2, markersize=3.5, zorder=3)
        density = np.exp(law.log_density(x_t))
        axes.fill_between(x_t[:, 0], floor, floor + foot * density / density.max(), color=PALE, linewidth=0, zorder=0)
        left_open = float(law.expectation(lambda x, t=t: mixture.posterior_x_0(schedule, x, t).var[:, 0]))
        open_share.append(left_open / mixture.var[0])
        axes.set(xlim=ends, ylim=(floor, high + 0.06 * (high - low)), xlabel=f"$x_t$ at $t$ = {t}")
        axes.set_title(
            rf"$\bar\alpha_t$ = {schedule.alpha_bar[t]:.2g}: {100 * open_share[-1]:.2g} % of Var $x_0$ left open"
        )
    panels[0].set_ylabel("$x_0$")
    figure.suptitle(
        "Tweedie: the score of $q(x_t)$ alone gives mean and spread of $x_0$; with more noise $x_t$ says less of it",
        fontsize=11,
    )
    figure.supxlabel(
        "line and band: E[$x_0\\,|\\,x_t$] ± one std by Bayes' rule; dots and whiskers: from the score;"
        r" broken: $x_t/\sqrt{\bar\alpha_t}$; below: density of $q(x_t)$",
        fontsize=9,
    )
    return figure
