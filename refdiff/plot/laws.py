"""Laws drawn: Bayes' rule on one step, and the score of q(x_t) beside the one that a denoiser implies."""

import math

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator

from refdiff import bayes, forward
from refdiff.checks import call_denoiser, count, real
from refdiff.gaussian import Gaussian
from refdiff.plot.style import (
    BLUE,
    ERROR_MAP,
    GREEN,
    GREY,
    INK,
    MODEL,
    TRUTH,
    VERMILION,
    Picture,
    check_mixture,
    check_schedule,
    one_step,
    signed,
    styled,
)

# ---------------------------------------------------------------------------------------------------------- Bayes' rule


@styled
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
    >>> from refdiff import Schedule
    >>> figure = posterior_product(Schedule.vp(10), 1.5, -0.5, 4)
    >>> len(figure.axes)
    2
    """
    check_schedule(schedule)
    x_0, x_t = _number(x_0, "x_0"), _number(x_t, "x_t")
    t = one_step(schedule, t, least=2)
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
        mean, std, precision = signed(law.mean.item(), ".3f"), law.std.item(), 1 / law.var.item()
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
        rf" {schedule.alpha_bar[t - 1]:.3g},  $x_0$ = {signed(x_0)},  $x_t$ = {signed(x_t)}"
    )
    return figure


# ------------------------------------------------------------------------------------------------------------ the score


@styled
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
    check_mixture(mixture)
    if mixture.means.shape[1] != 2:
        raise ValueError(f"score_field draws a plane: the mixture must have d = 2; got d = {mixture.means.shape[1]}.")
    check_schedule(schedule)
    t = one_step(schedule, t)
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
        rf"Score at $t$ = {t} of {schedule.T}: on average over $q(x_t)$ the two are {_two_digits(expected)} apart,"
        f" {_two_digits(100 * expected / norm)} % of the score's length",
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


def _two_digits(value):
    """Return a number rounded to two digits, as text: 250 and not 2.5e+02."""
    return f"{float(f'{value:.2g}'):g}"


def _number(value, name):
    value = real(value, name)
    if value.size != 1 or not np.isfinite(value).all():
        raise ValueError(f"{name} must be one finite number; got {value}.")
    return value.item()
