"""Logarithmic axes, labels beside curves, and how numbers are written."""

import itertools
import math

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from refdiff.plot.style import signed


def logarithmic_steps(axes, T):
    """Let the horizontal axis be t = 1..T, logarithmic, with whole numbers at its ticks."""
    axes.set(xscale="log", xlim=(0.8, 1.25 * T), xlabel=f"step $t$ of 1..{T} (logarithmic)")
    digits = (1,) if T >= 100 else (1, 2, 5)
    ticks = [tick for k in range(len(str(T))) for digit in digits if (tick := digit * 10**k) <= T]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.spines["bottom"].set_bounds(0.8, T)


def logarithmic_counts(axes, steps):
    """Let the horizontal axis be the number of steps T, logarithmic, with ticks at those that have room."""
    near = 0.055 * math.log(steps[-1] / steps[0])
    ticks = [steps[-1]]
    for T in steps[-2::-1]:
        if math.log(ticks[-1] / T) >= near:
            ticks.append(T)
    axes.set_xticks(ticks, [str(T) for T in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("number of steps $T$ (logarithmic)")
    room = (steps[-1] / steps[0]) ** 0.05
    axes.set_xlim(steps[0] / room, steps[-1] * room)


def logarithmic_room(values, below, above):
    """Return limits of a logarithmic axis for those values that are > 0, with room as shares of their range."""
    positive = [value for value in values if value > 0] or [1e-6, 1.0]
    low, high = min(positive), max(2 * min(positive), *positive)
    return low / (high / low) ** below, high * (high / low) ** above


def plain_values(axis, decades):
    """Write plain numbers at the ticks of a logarithmic axis, if it is so short that powers of ten would be too few."""
    low, high = axis.get_view_interval()
    if math.log10(high / low) > decades:
        return
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def label_right(axes, labels):
    """Write (height, text, colour) beyond the right end of the axes, moved apart where they would touch."""
    points = 72 * 0.75 * axes.figure.get_figheight()  # about the height of the axes
    share = [12.5 * (1 + text.count("\n")) / points for _, text, _ in labels]
    heights = (axes.transScale + axes.transLimits).transform([(1, y) for y, _, _ in labels])[:, 1]
    heights = np.clip(np.nan_to_num(heights), 0, 1)  # what is not on the axes has its label below
    order = np.argsort(heights)
    places = heights[order]
    for _ in range(100):  # each pair that is too near moves apart by the same amount
        for i, (a, b) in enumerate(itertools.pairwise(order)):
            lack = (share[a] + share[b]) / 2 - (places[i + 1] - places[i])
            if lack > 0:
                places[i : i + 2] += -lack / 2, lack / 2
    places += max(0.0, share[order[0]] / 2 - places[0])
    for i, place in zip(order, places):
        _, text, color = labels[i]
        axes.text(1.02, place, text, transform=axes.transAxes, va="center", fontsize=9, color=color)


def order_of(steps, values):
    """Return the slope of log value over log 1/T in the last half; NaN if two values are wanting there."""
    half = slice(min(len(steps) // 2, len(steps) - 2), None)
    T, values = steps[half], values[half]
    seen = values > 0
    if seen.sum() < 2:
        return math.nan
    return -float(np.polyfit(np.log(T[seen]), np.log(values[seen]), 1)[0])


def short_number(value):
    """Write a number with three digits, or as TeX with a power of ten where it is small or large; NaN as 0."""
    value = 0.0 if math.isnan(value) else value
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"${scientific(value)}$"
    return signed(value, ".3g" if abs(value) < 100 else ".0f")


def scientific(value):
    """Write a number as TeX, with one digit and a power of ten."""
    digit, power = f"{value:.0e}".split("e")
    return rf"{digit} \times 10^{{{int(power)}}}"


def with_error(value, error):
    """Write a value and its standard error with as many decimals as the error allows."""
    decimals = min(max(-math.floor(math.log10(error)), 0), 6) if error > 0 else 3
    return f"{signed(value, f'.{decimals}f')} ± {error:.{decimals}f}"
