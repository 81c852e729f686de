r"""The bound drawn: what its terms cost, how far above the truth it lies, and how estimates of it vary."""

import itertools
import math
import re

import numpy as np

from refdiff import elbo, likelihood, reverse
from refdiff.checks import check_rng, count, real
from refdiff.elbo import Bound, Rung
from refdiff.plot.scales import (
    label_right,
    logarithmic_counts,
    logarithmic_room,
    logarithmic_steps,
    order_of,
    plain_values,
    scientific,
    short_number,
    with_error,
)
from refdiff.plot.style import (
    GREEN,
    GREY,
    INK,
    MODEL,
    PALE,
    TRUTH,
    VERMILION,
    Picture,
    check_mixture,
    check_schedule,
    signed,
    styled,
)
from refdiff.schedule import Schedule

# --------------------------------------------------------------------------------------------------- of a trained model


@styled
def elbo_terms(schedule, trained, ideal, exact, least=None):
    r"""Draw the bound of a trained model, term by term, between the best possible one and the data's -log q(x_0).

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
    least : float, optional
        What the ideal denoiser's bound exceeds the entropy of the data by, if it is known exactly:
        :func:`refdiff.likelihood.mixture_bound` less the entropy. Estimated from the points otherwise.

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
    check_schedule(schedule)
    exact = real(exact, "exact")
    for name, bound in (("trained", trained), ("ideal", ideal)):
        if not isinstance(bound, Bound):
            raise TypeError(f"{name} must be an elbo.Bound; got {type(bound).__name__}.")
        if bound.terms is None:
            raise ValueError(f"{name} must hold its terms, which keep_terms=False throws away; got None.")
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
    best, more = _mean(ideal.total - exact), _mean(trained.total - ideal.total)
    above = _mean(trained.total - exact)
    if least is not None:
        best = float(least), 0.0
        above = best[0] + more[0], more[1]
    _draw_gap(figure.add_subplot(grid[1, :]), best, more, least is not None)
    figure.suptitle(
        rf"The network's bound lies {with_error(*above)} nats above $-\log q(x_0)$,"
        rf" of which {with_error(*more)} are not learnt yet",
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
    # room for L_0 below and for the names above
    low, high = logarithmic_room([*itertools.chain(*means.values()), L_T, *L_0], below=0.3, above=0.4)
    axes.set_ylim(low, high)
    for value, color in zip(L_0, (TRUTH, MODEL)):
        if value > 0:
            axes.plot(1, value, "s", color=color, markersize=6)
    if min(L_0) > 0:
        text, at = f"$L_0$ = {L_0[1]:.3g} (ideal {L_0[0]:.3g})", (1, L_0[1])
    else:
        axes.plot(1, low * (high / low) ** 0.03, "v", color=MODEL, markersize=7)
        text, at = (
            f"$L_0$ = {signed(L_0[1], '.2f')} (ideal {signed(L_0[0], '.2f')}) lies below:\na density may exceed 1",
            (1, low * (high / low) ** 0.03),
        )
    axes.annotate(text, at, (9, -4), textcoords="offset points", va="bottom", fontsize=9)
    if L_T > 0:
        axes.plot(schedule.T, L_T, "D", color=INK, markersize=6)
        text = rf"$L_T$ = ${scientific(L_T)}$"
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
    logarithmic_steps(axes, schedule.T)
    axes.set_xlim(right=schedule.T * (schedule.T / 0.8) ** 0.33)  # room for L_T, beyond the last step


def _averaged(t, values, bins=24):
    """Return the mean of t and of the values over bins of equal width in log t."""
    edges = np.unique(np.geomspace(t[0], t[-1] + 1, bins + 1).astype(int))
    size = np.diff(np.append(np.searchsorted(t, edges[:-1]), t.size))
    return tuple(np.add.reduceat(x, np.searchsorted(t, edges[:-1])) / size for x in (t, values))


def _draw_running_sum(axes, schedule, trained, ideal, exact):
    """Draw L_T + L_0 + ... + L_{t-1} over t, which ends at the whole bound, and the exact value."""
    t = np.arange(1, schedule.T + 1)
    axes.axhline(exact, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="exact")
    for bound, style in ((ideal, BENEATH), (trained, ON_TOP)):
        start = bound.prior.mean() + bound.reconstruction.mean()
        axes.plot(t, start + np.cumsum(bound.terms[1:].mean(axis=1)), **style)
    axes.margins(y=0.14)
    axes.annotate(
        rf"exact $-\log q(x_0)$ = {signed(exact, '.3f')} nats",
        (0.02, exact),
        (0, 3),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        fontsize=9,
    )
    axes.set_title("Running sum $L_T + L_0 + L_1 + \\dots + L_{t-1}$")
    axes.set_ylabel("nats")
    logarithmic_steps(axes, schedule.T)


def _draw_gap(axes, gap, excess, known):
    """Draw what the bounds exceed the exact value by: of the ideal denoiser, and what the network adds to it."""
    (best, best_error), (more, more_error) = gap, excess
    bar = {"height": 0.3, "linewidth": 0}
    axes.barh([1, 0], best, color=TRUTH, **bar)
    axes.barh(0, more, left=best, color=MODEL, **bar)
    axes.errorbar(
        [best, best + more], [1, 0], xerr=[best_error, more_error], fmt="none", ecolor=INK, elinewidth=1, capsize=3
    )
    axes.axvline(0, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
    words = (
        rf"ideal denoiser: {signed(best, '.4f') if known else with_error(best, best_error)}, the least possible:"
        r" reverse steps are Gaussian of fixed variance, $q(x_{t-1}\,|\,x_t)$ is not",
        f"trained network: {with_error(more, more_error)} more, for what it has not learnt",
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


# -------------------------------------------------------------------------------------------------- of a table of means


@styled
def bound_per_step(schedule, mean, error, reconstruction, prior, exact=None, *, total=None):
    r"""Draw what each step of a bound costs, and the sum of it, from a table of means and errors.

    .. math:: L_T + \sum_{t=2}^T L_{t-1} + L_0 \ge -\log p(x_0) \quad\text{on average over}\quad q(x_{0:T})

    L_0 stands at t = 1 and L_T at t = T + 1, as the letters say. A logarithmic axis has no place for a term that is
    not > 0; it counts in the sum all the same.

    Parameters
    ----------
    schedule : Schedule
    mean, error : array_like, shape (T + 1,)
        The mean of L_{t-1} over the points and its standard error; entries 0 and 1 are not used.
    reconstruction, prior : pair of float
        Mean and standard error of L_0 and of L_T.
    exact : pair of float, optional
        Mean and standard error of the exact -log p(x_0) of the model, or of -log q(x_0) of the data: no model has a
        lower mean than that.
    total : pair of float, optional
        Mean and standard error of the whole bound. The mean is the sum of the others. The error does not follow from
        theirs, since terms at the same points depend on each other: without it none is written.

    Returns
    -------
    matplotlib.figure.Figure
        Left the terms over t, with one standard error; right the running sum in the order of generation, from L_T
        down to L_0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> figure = bound_per_step(Schedule.vp(3), [0, 0, 0.5, 0.2], [0, 0, 0.01, 0.01], (-0.1, 0.02), (1e-4, 1e-5))
    >>> len(figure.axes)
    2
    """
    check_schedule(schedule)
    T = schedule.T
    mean, error = _over_steps(schedule, mean, "mean"), _over_steps(schedule, error, "error", least=0.0)
    first, last = _pair(reconstruction, "reconstruction"), _pair(prior, "prior")
    exact = None if exact is None else _pair(exact, "exact")
    sums = np.cumsum([last[0], *mean[:1:-1], first[0]])  # at t = T + 1, T, ..., 2, 1
    if total is not None:
        total = _pair(total, "total")
        if not abs(total[0] - sums[-1]) <= 1e-6 * max(1.0, np.abs(np.diff(sums)).sum()):
            raise ValueError(f"total must be the sum of all terms, {sums[-1]:.6g}; got {total[0]:.6g}.")
    written = signed(sums[-1], ".3f") if total is None else with_error(*total)

    figure = Picture(4.0)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _draw_steps(left, T, mean[2:], error[2:], first, last)
    _draw_sum(right, T, sums, written, exact)
    title = f"The bound is {written} nats"
    if exact is not None:
        title += f", the exact value {with_error(*exact)}"
    paid = np.cumsum(mean[2:])
    if T > 2 and paid[-1] > 0:
        half = 2 + int(np.argmax(paid >= paid[-1] / 2))
        title += rf"; half of $L_1 + \dots + L_{{T-1}}$ is paid at $t$ ≤ {half}"
    figure.suptitle(title, fontsize=11)
    return figure


def _over_steps(schedule, value, name, least=-math.inf):
    """Return an array (T + 1,), checked from entry 2 on."""
    value = real(value, name)
    if value.shape != (schedule.T + 1,):
        raise ValueError(f"{name} must have shape (T + 1,) = ({schedule.T + 1},); got {value.shape}.")
    right = np.isfinite(value) & (value >= least)
    right[:2] = True
    if not right.all():
        t = int(np.argmin(right))
        rule = "finite" if least == -math.inf else f"finite and >= {least:g}"
        raise ValueError(f"{name} must be {rule} at t = 2..T; got {value[t]} at t = {t}.")
    return value


def _pair(value, name):
    """Return a mean and its standard error."""
    value = real(value, name)
    if value.shape != (2,) or not np.isfinite(value).all() or value[1] < 0:
        raise ValueError(f"{name} must be a pair (mean, standard error >= 0), both finite; got {value}.")
    return value.tolist()


def _draw_steps(axes, T, mean, error, first, last):
    """Draw each L_{t-1} with its error on logarithmic axes, with L_0 and L_T at the ends."""
    t = np.arange(2, T + 1)
    shown = np.where(mean > 0, mean, np.nan)
    low, high = logarithmic_room([*shown, last[0], first[0]], below=0.2, above=0.15)
    axes.set(xscale="log", yscale="log", ylim=(low, high))
    plain_values(axes.yaxis, 2.5)
    whiskers = {"elinewidth": 1, "capsize": 2.5, "markersize": 6}
    if T <= 30:
        axes.errorbar(t, shown, _positive_error(mean, error), fmt="o-", color=TRUTH, linewidth=1.2, **whiskers)
    else:
        axes.fill_between(t, np.maximum(shown - error, low / 10), shown + error, color=TRUTH, alpha=0.3, linewidth=0)
        axes.plot(t, shown, color=TRUTH, linewidth=1.8)
    for t_end, (value, spread), marker in ((1, first, "s"), (T + 1, last, "D")):
        if value > 0:
            axes.errorbar([t_end], [value], _positive_error([value], [spread]), fmt=marker, color=INK, **whiskers)
        else:
            axes.plot(t_end, low * (high / low) ** 0.03, "v", color=INK, markersize=7)
    text, height = f"$L_0$ = {short_number(first[0])}", max(first[0], low * (high / low) ** 0.03)
    if first[0] < 0:
        text += " lies below:\na density may exceed 1"
    # away from the curve, which falls from t = 2 on
    side = -1 if first[0] > 0 and mean.size and first[0] <= mean[0] else 1
    label = {"textcoords": "offset points", "fontsize": 9}
    axes.annotate(text, (1, height), (-4, 7 * side), va="bottom" if side > 0 else "top", **label)
    height = max(last[0], low * (high / low) ** 0.03)
    axes.annotate(f"$L_T$ = {short_number(last[0])}", (T + 1, height), (8, 0), va="center", **label)
    if hidden := int(np.sum(mean <= 0)):
        text = f"{hidden} of {mean.size} terms are not > 0:\nnot shown, but in the sum"
        axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", fontsize=9, color=GREY)
    axes.set_title(r"What each step costs: $L_{t-1}$ with one standard error")
    axes.set_ylabel("nats (logarithmic)")
    logarithmic_steps(axes, T)
    axes.set_xlim(right=1.1 * (T + 1) ** 1.03)
    axes.spines["bottom"].set_bounds(0.8, T + 1)


def _positive_error(mean, error):
    """Return the lengths of whiskers down and up that stay on a logarithmic axis."""
    return np.stack([np.minimum(error, (1 - 1e-9) * np.abs(mean)), error])


def _draw_sum(axes, T, sums, written, exact):
    """Draw the running sum from L_T at t = T + 1 to the whole bound at t = 1, and the exact value."""
    t = np.arange(T + 1, 0, -1)
    labels = [(sums[-1], f"bound\n{written}", TRUTH)]
    if exact is not None:
        axes.axhline(exact[0], color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="exact")
        axes.axhspan(exact[0] - exact[1], exact[0] + exact[1], color=INK, alpha=0.1, linewidth=0)
        labels.append((exact[0], f"exact\n{with_error(*exact)}", INK))
    axes.plot(t, sums, color=TRUTH, linewidth=1.8, marker="o" if T <= 30 else None, markersize=4, label="sum")
    axes.plot(t[0], sums[0], "D", color=INK, markersize=6)
    axes.plot(t[-1], sums[-1], "s", color=TRUTH, markersize=7, clip_on=False, zorder=5)
    axes.annotate("$L_T$", (t[0], sums[0]), (0, 7), textcoords="offset points", ha="center", va="bottom", fontsize=9)
    if abs(sums[-1] - sums[-2]) > 0.15 * np.ptp(sums):
        middle = (math.sqrt(2), (sums[-1] + sums[-2]) / 2)
        side = "right" if sums[-1] < sums[-2] else "left"
        offset = (-6 if side == "right" else 6, 0)
        axes.annotate("$L_0$", middle, offset, textcoords="offset points", ha=side, va="center", fontsize=9)
    axes.margins(y=0.1)
    logarithmic_steps(axes, T)
    axes.set_xlim(1.25 * (T + 1), 0.9)
    axes.spines["bottom"].set_bounds(0.9, T + 1)
    axes.set_xlabel("step $t$, from noise (left) to data (right)")
    axes.set_title("Running sum from $L_T$ down to $L_0$")
    axes.set_ylabel("nats")
    label_right(axes, labels)


# ------------------------------------------------------------------------------------------------ of the ideal denoiser


@styled
def bound_gap(mixture, schedules):
    r"""Draw what the bound of the ideal denoiser exceeds the entropy of the data by, over the number of steps.

    .. math:: \mathbb{E}[L] - H[q(x_0)] = \mathrm{KL}\left(q(x_{0:T}) \,\Vert\, p(x_{0:T})\right)
        \;\to\; \begin{cases} \mathrm{KL}(q(x_T) \,\Vert\, p(x_T)) & \sigma_t^2 = \beta_t \text{ or the best} \\
        \frac d2\gamma + \mathrm{KL}(q(x_T) \,\Vert\, p(x_T)) & \sigma_t^2 = \tilde\beta_t,\; \sigma_1^2 = \beta_1
        \end{cases} \qquad (T \to \infty)

    for schedules such as :meth:`refdiff.schedule.Schedule.vp`, whose first betas become small and alike as T grows.
    With the variance beta_t, and with the best one, what is above the limit is of order 1/T, and where x_T is noise
    the limit is next to 0. With beta_tilde_t it is not: where the data are smooth on the scale of the first steps,
    x_{t-1} given x_t has a variance of beta_t, but the model takes beta_tilde_t = beta_t (t - 1) / t. Each coordinate
    pays

    .. math:: \sum_{t=2}^\infty \frac12\left(\frac{1}{t-1} - \log\frac{t}{t-1}\right) = \frac\gamma2, \qquad
        \gamma = 0.5772\ldots \;\text{(Euler--Mascheroni)}

    and more where the first betas grow; so the limit comes slowly.

    Parameters
    ----------
    mixture : GaussianMixture
        With d <= 2: the gap comes from quadrature, without chance. With d = 2 that takes its time: a second for fifty
        steps.
    schedules : sequence of Schedule
        At least two, with increasing T.

    Returns
    -------
    matplotlib.figure.Figure
        Three curves on logarithmic axes: variance "beta", "posterior" (both with the decoder's variance beta_1) and
        the best, :func:`refdiff.reverse.optimal_var`. The orders are slopes over the last half of the T.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :meth:`refdiff.mixture.GaussianMixture.eps_loss`.

    Notes
    -----
    What is drawn: :func:`refdiff.likelihood.mixture_bound` less :meth:`refdiff.mixture.GaussianMixture.entropy`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])
    >>> figure = bound_gap(data, [Schedule.vp(T) for T in (5, 10, 20)])
    >>> len(figure.axes[0].lines)
    4
    """
    check_mixture(mixture)
    schedules, steps = _check_schedules(schedules)
    gaps = np.array([_gaps(mixture, schedule) for schedule in schedules]).T
    level = len(mixture.mean) * np.euler_gamma / 2

    figure = Picture(4.6)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", ylim=logarithmic_room([*gaps.flat, level], below=0.08, above=0.12))
    plain_values(axes.yaxis, 2.5)
    axes.axhline(level, color=VERMILION, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    axes.annotate(
        rf"the limit with $\tilde\beta_t$: $d\,\gamma / 2$ = {level:.3f}, because the first"
        "\n"
        r"steps' $\tilde\beta_t = \beta_t\,(t - 1)/t$ are too small",
        (0.99, level),
        (0, -4),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color=VERMILION,
    )
    orders, labels = [order_of(steps, gap) for gap in gaps], []
    names = (r"$\sigma_t^2 = \beta_t$", r"$\sigma_t^2 = \tilde\beta_t$, $\sigma_1^2 = \beta_1$", r"best $\sigma_t^2$")
    for name, gap, order, color, marker in zip(names, gaps, orders, (TRUTH, VERMILION, GREEN), "osD"):
        axes.plot(steps, gap, color=color, linewidth=1.8, marker=marker, markersize=5, zorder=3)
        if np.isnan(gap[-1]):
            labels.append((math.nan, f"{name}: 0", color))
        elif color == VERMILION:
            labels.append((gap[-1], f"{name}:\n{gap[-1]:.3f} at $T$ = {steps[-1]}", color))
        else:
            labels.append((gap[-1], f"{name}: order {signed(round(order, 2) + 0.0, '.2f')}", color))
    logarithmic_counts(axes, steps)
    label_right(axes, labels)
    axes.set_ylabel("gap above the entropy of the data, in nats")
    axes.set_title(
        "The bound of the ideal denoiser, exact: what remains is the price of Gaussian steps of fixed variance"
    )
    figure.suptitle(
        rf"With the variance $\beta_t$ the gap {_power(orders[0])}; with $\tilde\beta_t$ it is still"
        rf" {gaps[1, -1]:.2f} nats at $T$ = {steps[-1]}"
    )
    return figure


def _check_schedules(schedules):
    """Return at least two schedules as a tuple, and their numbers of steps, checked to increase."""
    if isinstance(schedules, Schedule):
        raise TypeError("schedules must be a sequence of them, with increasing T; got one Schedule.")
    schedules = tuple(schedules)
    for schedule in schedules:
        check_schedule(schedule)
    steps = np.array([schedule.T for schedule in schedules])
    if steps.size < 2 or not (np.diff(steps) > 0).all():
        raise ValueError(f"schedules must be at least two, with increasing T; got T = {steps.tolist()}.")
    return schedules, steps


def _gaps(mixture, schedule):
    """Return the gaps for the variances beta, posterior and the best one; NaN where there is none but rounding."""
    losses, entropy = mixture.eps_loss(schedule), mixture.entropy()
    best = reverse.optimal_var(schedule, losses)
    choices = (("beta", "beta_1"), ("posterior", "beta_1"), (best, best[1]))
    bounds = [likelihood.mixture_bound(schedule, mixture, *choice, eps_loss=losses) for choice in choices]
    return [_more_than_rounding(bound.total[0] - entropy) for bound in bounds]


@styled
def quasi_static(mixture, schedules, rng, n=2000, *, noise=0.5):
    r"""Draw how much log w varies from chain to chain: small steps alone do not make one chain enough.

    .. math:: \log w - \log q(x_0) = \log\frac{p(x_T)}{q(x_T)}
        + \sum_{t=1}^T \log\frac{p(x_{t-1} \mid x_t)}{q(x_{t-1} \mid x_t)}, \qquad
        w = \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}

    If this does not vary, one chain gives log p(x_0). With the ideal denoiser the sum fades as the steps get smaller.
    The first part does not: it depends on where the chain ends, not on its steps. To show it, the schedules given are
    put beside those with the same T and beta_t = noise / T: their steps are smaller still, but they stop at
    alpha_bar_T = exp(-noise), where p(x_T) = N(0, I) is not q(x_T).

    Parameters
    ----------
    mixture : GaussianMixture
        With d <= 2: the law of log p(x_T)/q(x_T) comes from quadrature.
    schedules : sequence of Schedule
        At least two, with increasing T; they should end in noise.
    rng : numpy.random.Generator
    n : int
        Chains for each schedule, from the same points x_0 of the mixture.
    noise : float
        T beta_t of the schedules beside; below the smallest T.

    Returns
    -------
    matplotlib.figure.Figure
        Two curves with one standard error, and as broken lines what no number of steps removes: the std of
        log p(x_T)/q(x_T). The power of T is the slope over the last half of the T.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    RuntimeError
        As for :meth:`refdiff.mixture.GaussianMixture.expectation`.

    Notes
    -----
    What is drawn: :func:`refdiff.elbo.undecomposed` with its sign turned, less
    :meth:`refdiff.mixture.GaussianMixture.log_density`. By Sohl-Dickstein et al. (2015), section 2.3, a single sample
    is enough where forward and reverse trajectories have one law. Raya (2022; S3, line 255) takes infinitesimal beta
    for that; the second curve says that it is not.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])
    >>> figure = quasi_static(data, [Schedule.vp(T) for T in (5, 10, 20)], np.random.default_rng(0), n=100)
    >>> len(figure.axes)
    1
    """
    check_mixture(mixture)
    (schedules, steps), rng, n = _check_schedules(schedules), check_rng(rng), count(n, "n", least=2)
    noise = real(noise, "noise")
    if noise.ndim or not 0 < noise < steps[0]:
        raise ValueError(f"noise must be one number between 0 and the smallest T, {steps[0]}; got {noise}.")
    x_0 = mixture.sample(n, rng)
    families = (schedules, [Schedule.constant(T, noise / T) for T in steps.tolist()])
    found = [np.array([_log_weight(mixture, one, x_0, rng) for one in family]).T for family in families]
    full, short = found

    figure = Picture(4.4)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    shown = [*full[0], *full[0] + full[1], *short[0], *short[0] + short[1], *short[2]]
    axes.set_ylim(logarithmic_room(shown, below=0.2, above=0.1))
    plain_values(axes.yaxis, 2.5)
    for (std, error, rest), color, marker in zip(found, (TRUTH, VERMILION), "os"):
        axes.errorbar(steps, std, error, color=color, linewidth=1.8, marker=marker, markersize=5, capsize=2.5, zorder=3)
        axes.plot(steps, rest, color=color, linewidth=1.2, linestyle=(0, (4, 2)), zorder=2)
    if short[2, -1] > 0:
        axes.annotate(
            "what no number of steps removes:\nthe std of $\\log p(x_T)/q(x_T)$",
            (0.99, short[2, -1]),
            (0, -7),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
            color=VERMILION,
        )
    ends = [rf"$\bar\alpha_T$ = {short_number(family[-1].alpha_bar[-1])}" for family in families]
    power = _power(order_of(steps, full[0]))
    labels = [
        (full[0, -1], f"ends in noise,\n{ends[0]}:\n{power},\nlimit {short_number(full[2, -1])}", TRUTH),
        (
            short[0, -1],
            f"smaller steps,\n$\\beta_t$ = {noise:g}$/T$, but\n{ends[1]}:\nlimit {short_number(short[2, -1])}",
            VERMILION,
        ),
    ]
    logarithmic_counts(axes, steps)
    label_right(axes, labels)
    axes.set_ylabel(r"std of $\log w - \log q(x_0)$, in nats")
    axes.set_title(f"How much the weight of a chain varies, ideal denoiser, {n} chains for each $T$")
    figure.suptitle(
        "Small steps alone do not make one chain enough: it must also end in noise"
        if short[0, -1] > full[0, -1]
        else "Here chains that stop early vary no more than chains that end in noise"
    )
    return figure


def _log_weight(mixture, schedule, x_0, rng):
    """Return std and error of log w - log q(x_0), and the std of its part log p(x_T)/q(x_T); NaN for rounding."""
    log_w = -elbo.undecomposed(schedule, mixture.denoiser(schedule), x_0, rng).total
    residual = log_w - mixture.log_density(x_0)
    residual -= residual.mean()
    std, law = _more_than_rounding(residual.std()), mixture.diffused(schedule, schedule.T)
    error = np.std(residual**2) / (2 * std * math.sqrt(residual.size))

    def log_ratio(x):
        return reverse.prior(*x.shape).log_density(x) - law.log_density(x)

    mean = law.expectation(log_ratio)
    rest = math.sqrt(law.expectation(lambda x: (log_ratio(x) - mean) ** 2))
    return std, error, _more_than_rounding(rest)


def _power(order):
    """Say how values of that order depend on T."""
    if math.isnan(order):
        return "is 0"
    return rf"falls as $T^{{-{order:.2f}}}$" if order > 0.05 else "does not fall"


def _more_than_rounding(nats):
    """Return a number of nats, or NaN, which no axis shows, where it is nothing but rounding."""
    return nats if nats > 1e-9 else math.nan


# -------------------------------------------------------------------------------------------------------- of estimators


@styled
def variance_ladder(rungs):
    r"""Draw how much unbiased estimators of one bound vary, from one point and at equal cost.

    .. math:: \operatorname{Var}[\hat L], \qquad \operatorname{Var}[\hat L] \times \text{calls}, \qquad
        \mathbb{E}\hat L = L \;\text{for all}

    With a budget of N evaluations of the denoiser an estimator sees N / calls points, so that its mean has the variance
    Var x calls / N: that is what the middle column compares.

    Parameters
    ----------
    rungs : sequence of refdiff.elbo.Rung
        As :func:`refdiff.elbo.ladder` returns them.

    Returns
    -------
    matplotlib.figure.Figure
        One row for each; the least variances are set bold. Right the means with two standard errors beside their
        average, weighted by 1 / error^2.

    Raises
    ------
    TypeError, ValueError
        If a rung is none, or holds a number that has no place on the axes.

    Examples
    --------
    >>> from refdiff.elbo import Rung
    >>> figure = variance_ladder([Rung("all t", 1.20, 0.01, 0.4, 50.0), Rung("one t", 1.15, 0.14, 160.0, 1.0)])
    >>> len(figure.axes)
    3
    """
    rungs = _rungs(rungs)
    mean, error, var, calls = np.array([(one.mean, one.error, one.var, one.calls) for one in rungs]).T
    rows = np.arange(len(rungs))[::-1]
    colors = [VERMILION if one == calls.min() < calls.max() else TRUTH for one in calls]

    figure = Picture(1.5 + 0.34 * len(rungs))
    alone, at_cost, means = figure.subplots(1, 3, sharey=True, width_ratios=[1.1, 1.1, 1])
    for axes, values in ((alone, var), (at_cost, var * calls)):
        low, high = logarithmic_room(values, below=0.12, above=0.3)  # room for the numbers
        axes.set(xscale="log", xlim=(low, high))
        plain_values(axes.xaxis, 1.5)
        axes.hlines(rows, low, values, color=PALE, linewidth=1.2, zorder=1)
        axes.scatter(values, rows, s=42, c=colors, zorder=3)
        for row, value, color in zip(rows, values, colors):
            weight = "bold" if value == values.min() else "normal"
            label = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": color, "weight": weight}
            axes.annotate(short_number(value), (value, row), (7, 0), **label)
    average = np.average(mean, weights=1 / error**2)
    means.axvline(average, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    means.errorbar(mean, rows, xerr=2 * error, fmt="none", ecolor=GREY, elinewidth=1.2, capsize=2.5, zorder=2)
    means.scatter(mean, rows, s=30, c=colors, zorder=3)
    for row, one in zip(rows, calls):
        label = {"transform": at_cost.get_yaxis_transform(), "ha": "right", "va": "center", "fontsize": 9}
        at_cost.text(-0.03, row, f"× {short_number(one)}", color=GREY, **label)
    alone.set_yticks(rows, [re.sub(r"\b(x_t|t)\b", r"$\1$", one.name) for one in rungs])
    alone.set_ylim(-0.6, len(rungs) - 0.4)
    for axes in figure.axes:
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    alone.set(title="variance from one point", xlabel="nats²")
    at_cost.set(title="× calls: at equal cost", xlabel="nats²")
    means.set(title="mean ± 2 standard errors", xlabel="nats")
    figure.suptitle(
        f"{len(rungs)} unbiased estimators of one bound, {signed(average, '.3f')} nats: the variances differ"
        f" {_about(var.max() / var.min())}-fold, at equal cost"
        f" {_about((var * calls).max() / (var * calls).min())}-fold",
        fontsize=11,
    )
    return figure


def _about(ratio):
    """Return a ratio of variances that were measured: more than two digits of it mean nothing."""
    return short_number(float(f"{ratio:.2g}"))


def _rungs(rungs):
    """Return the rungs as a tuple, each checked to have its place on the axes."""
    rungs = (rungs,) if isinstance(rungs, Rung) else tuple(rungs)
    if len(rungs) < 2:
        raise ValueError(f"rungs must be at least two, to be compared; got {len(rungs)}.")
    for one in rungs:
        if not isinstance(one, Rung):
            raise TypeError(f"rungs must be elbo.Rung, as elbo.ladder returns them; got {type(one).__name__}.")
        if not math.isfinite(one.mean) or not all(0 < x < math.inf for x in (one.error, one.var, one.calls)):
            raise ValueError(f"a rung must have a finite mean, and error, var and calls > 0 and finite; got {one}.")
    return rungs
