r"""Estimators of the bound that choose: one step of T, chosen at random, by loss or by strata; noise used twice.

All have the same mean. :func:`ladder` measures what they cost and how much they vary, on the same data.
"""

import math
from dataclasses import dataclass

import numpy as np

from refdiff import forward
from refdiff.checks import check_rng, count, real, table
from refdiff.elbo.bound import Bound
from refdiff.elbo.forms import (
    bins_of,
    check_choices,
    consistency_form,
    consistency_form_integrated,
    denoising_form,
    denoising_kl_on_chain,
    undecomposed,
)
from refdiff.elbo.terms import denoising_term, prior_term, reconstruction_term


def random_step(
    schedule,
    denoiser,
    x_0,
    rng,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    probability=None,
):
    r"""Estimate the bound from one random step per point, as training does.

    .. math:: L_T + \frac{L_{t-1}(x_t)}{\pi_t}, \qquad t \sim \pi, \qquad
        L_{t-1}(x_t) = \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)

    with L_0 = -log p(x_0 | x_1) at t = 1. With uniform pi_t = 1/T each step stands for all T: the sum is T times the
    mean, not the mean.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        Called with one t per point, on each point once.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.
    probability : array_like, shape (T + 1,), optional
        pi_t, with entry 0 equal to 0; uniform by default. See :func:`loss_aware_probability`.

    Returns
    -------
    ndarray, shape (n,)
        In nats; the mean of each entry is the bound.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`, and if `probability` is no distribution over 1..T.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.4; with pi_t, Nichol & Dhariwal (2021), eq. 18.
    Identity: :eq:`eq-elbo.random_step`.
    """
    x_0, rng, T = table(x_0, "x_0"), check_rng(rng), schedule.T
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    probability = _probability(schedule, probability)
    t = np.minimum(1 + np.searchsorted(np.cumsum(probability[1:]), rng.random(len(x_0)), side="right"), T)
    steps = _at_steps(schedule, denoiser, x_0, t, rng, variance, decoder, decoder_var, bins)
    return prior_term(schedule, x_0) + steps / probability[t]


def stratified_step(schedule, denoiser, x_0, rng, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256):
    r"""Estimate the bound from one step per point, the steps spread evenly over the n points.

    .. math:: L_T + T\,L_{t_i-1}(x_{t_i}), \qquad t_i = 1 + \left\lfloor T\,\frac{i + u_i}{n}\right\rfloor,
        \quad u_i \sim U[0, 1), \quad i = 0, \ldots, n - 1 \text{ in random order}

    Each entry has the law of :func:`random_step`, but together they cover 1..T more evenly than chance would: over
    points drawn independently from the data their mean varies no more, and mostly less.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        Called with one t per point, on each point once.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    ndarray, shape (n,)
        In nats. The entries depend on each other: an error must come from repetitions.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: Kingma et al. (2021), appendix I, with one u for all points. Identity: :eq:`eq-elbo.stratified_step`.
    """
    x_0, rng, T = table(x_0, "x_0"), check_rng(rng), schedule.T
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    n = len(x_0)
    strata = (rng.permutation(n) + rng.random(n)) / n
    t = np.minimum(1 + (T * strata).astype(int), T)  # the minimum is for rounding alone
    return prior_term(schedule, x_0) + T * _at_steps(
        schedule, denoiser, x_0, t, rng, variance, decoder, decoder_var, bins
    )


def _at_steps(schedule, denoiser, x_0, t, rng, variance, decoder, decoder_var, bins):
    """Return one draw of L_{t-1} for each point, t of shape (n,)."""
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    first, out = t == 1, np.empty(len(x_0))
    if first.any():
        out[first] = reconstruction_term(schedule, denoiser, x_0[first], x_t[first], decoder, decoder_var, bins)
    if not first.all():
        out[~first] = denoising_term(schedule, denoiser, x_0[~first], x_t[~first], t[~first], variance)
    return out


def _probability(schedule, probability):
    """Return pi, shape (T + 1,): uniform over 1..T if None."""
    if probability is None:
        probability = np.full(schedule.T + 1, 1 / schedule.T)
        probability[0] = 0.0
        return probability
    probability = real(probability, "probability")
    if probability.shape != (schedule.T + 1,):
        raise ValueError(
            f"probability must have shape (T + 1,) = ({schedule.T + 1},), entry 0 unused; got {probability.shape}."
        )
    if probability[0] != 0 or not (probability[1:] > 0).all() or not abs(probability.sum() - 1) <= 1e-9:
        raise ValueError(
            "probability must be 0 at entry 0, > 0 at t = 1..T, where each step needs a chance, and sum to 1;"
            f" got entry 0 = {probability[0]}, least {probability[1:].min()}, sum {probability.sum()}."
        )
    return probability / probability.sum()


def mean_square_terms(
    schedule, denoiser, x_0, rng, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256
):
    r"""Estimate the mean square of each term of the bound, which loss-aware sampling weighs the steps by.

    .. math:: \mathbb{E}\left[L_{t-1}(x_t)^2\right], \qquad t = 1, \ldots, T

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    ndarray, shape (T + 1,)
        Entry t is the mean square of L_{t-1} over the points; entry 0 is 0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: Nichol & Dhariwal (2021), section 3.3, there from the last ten values at each t.
    Identity: :eq:`eq-elbo.mean_square_terms`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    squares = np.zeros(schedule.T + 1)
    for t in range(1, schedule.T + 1):
        steps = np.full(len(x_0), t)
        terms = _at_steps(schedule, denoiser, x_0, steps, rng, variance, decoder, decoder_var, bins)
        squares[t] = np.mean(terms**2)
    return squares


def loss_aware_probability(mean_square):
    r"""Return the probabilities of steps under which :func:`random_step` varies least.

    .. math:: \pi_t = \frac{\sqrt{\mathbb{E}[L_{t-1}(x_t)^2]}}{\sum_s \sqrt{\mathbb{E}[L_{s-1}(x_s)^2]}}

    Parameters
    ----------
    mean_square : array_like, shape (T + 1,)
        Of the terms, as :func:`mean_square_terms` estimates them; entry 0 is not used.

    Returns
    -------
    ndarray, shape (T + 1,)
        Entry 0 is 0.

    Raises
    ------
    ValueError
        If an entry at t = 1..T is not > 0 and finite: a step without a chance makes the estimate biased.

    Notes
    -----
    Source: Nichol & Dhariwal (2021), eq. 18. Identity: :eq:`eq-elbo.loss_aware_probability`.

    Examples
    --------
    >>> loss_aware_probability([0.0, 9.0, 1.0])
    array([0.  , 0.75, 0.25])
    """
    mean_square = real(mean_square, "mean_square")
    if mean_square.ndim != 1 or len(mean_square) < 2:
        raise ValueError(f"mean_square must have shape (T + 1,); got {mean_square.shape}.")
    if not (mean_square[1:] > 0).all() or not np.isfinite(mean_square[1:]).all():
        wrong = mean_square[1:][~((mean_square[1:] > 0) & np.isfinite(mean_square[1:]))][0]
        raise ValueError(f"mean_square must be > 0 and finite at t = 1..T; got {wrong}.")
    root = np.append(0.0, np.sqrt(mean_square[1:]))
    return root / root.sum()


def antithetic_form(schedule, denoiser, x_0, rng, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256):
    r"""Estimate the bound in its denoising form from each noise and its mirror image.

    .. math:: \tfrac12\left[L_{t-1}(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon)
        + L_{t-1}(\sqrt{\bar\alpha_t}\,x_0 - \sqrt{1 - \bar\alpha_t}\,\epsilon)\right]

    What is odd in the noise cancels, at twice the calls of the denoiser.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        As :func:`denoising_form`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: Hammersley & Morton (1956), antithetic variates. Identity: :eq:`eq-elbo.antithetic_form`.
    """
    x_0, rng, T = table(x_0, "x_0"), check_rng(rng), schedule.T
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    terms = np.zeros((T + 1, len(x_0)))
    for t in range(T, 0, -1):
        eps = rng.standard_normal(x_0.shape)
        for sign in (1, -1):
            x_t = forward.diffuse(schedule, x_0, sign * eps, t)
            if t > 1:
                terms[t] += denoising_term(schedule, denoiser, x_0, x_t, t, variance) / 2
            else:
                terms[1] += reconstruction_term(schedule, denoiser, x_0, x_t, decoder, decoder_var, bins) / 2
    reconstruction, terms[1] = terms[1].copy(), 0.0
    return Bound(reconstruction, terms, prior_term(schedule, x_0), x_0.shape[-1], bins=bins_of(decoder, bins))


@dataclass(frozen=True)
class Rung:
    """What one estimator of the bound does on given data.

    Attributes
    ----------
    name : str
    mean : float
        In nats: the same for all, but for their errors.
    error : float
        The standard error of the mean.
    var : float
        The variance of the estimate from one point, in nats squared: a mean over n points has a variance of var / n.
    calls : float
        Evaluations of the denoiser for one point. ``var * calls`` is the variance at equal cost.
    var_error : float
        The standard error of `var`, to first order: rough where values have heavy tails. NaN if it is not known.
    """

    name: str
    mean: float
    error: float
    var: float
    calls: float
    var_error: float = math.nan


def ladder(schedule, denoiser, x_0, rng, variance="beta", decoder_var="beta_1", *, group=64, progress=None):
    r"""Measure nine unbiased estimators of the bound on the same data: mean, variance and cost of each.

    .. math:: \operatorname{Var}[\hat L] \quad\text{and}\quad \operatorname{Var}[\hat L] \times \text{calls}, \qquad
        \mathbb{E}\hat L = L \;\text{for all nine}

    What to expect, and why:

    - To regroup the log-ratio into another form changes nothing: it is the same number on each chain.
    - To draw the terms of the consistency form apart, a new triple for each, mostly makes it *worse*: neighbouring
      terms made up for each other. To integrate x_t between its neighbours mends a part of that, or all of it.
    - Divergences in closed form vary less than log-ratios, each by itself. At the points of *one chain*, their sum can
      vary *more* than the raw log-ratio did, again because terms no longer make up for each other: near the exact
      reverse process log w is almost constant along a chain. With a new x_t for each t the terms are independent,
      which mostly wins a part of this back, or more.
    - Antithetic noise removes what is odd in the noise, such as the linear part of a term. A term that is even in it
      gains nothing, at twice the calls.
    - For one x_0, one t at random has at least T times the variance of a new x_t for each t, for one T-th of the calls;
      strata whose number is a multiple of T bring it down to just T times; to choose t by its loss often wins more.
      Over data, what the bound differs by from point to point is not multiplied: where that dominates, one t for each
      of T times as many points is the better use of the calls.
    - It is one t that training sees, and there closed forms pay, in the term and in its gradient: a log-ratio has the
      noise of x_{t-1} on top.

    With the Gaussian decoder only.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
        At least two groups of points, drawn independently from the data.
    rng : numpy.random.Generator
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.
    group : int
        The number of points over which :func:`stratified_step` spreads its steps.
    progress : callable, optional
        Called with each Rung as it is measured.

    Returns
    -------
    tuple of Rung
        Nine. The probabilities of loss-aware sampling come from a pilot run on the same points, whose calls are not
        counted; the strata leave out n mod group points, chosen at random.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`, and if there are fewer than two groups of points.

    Notes
    -----
    The errors are estimates too: with n not well above T, the steps that matter most to one random t, such as t = 1,
    may never have been drawn.

    Source: the estimators' own, beside Ho, Jain & Abbeel (2020), section 3.4, Nichol & Dhariwal (2021), section 3.3,
    and Kingma et al. (2021), appendix I. Identities: :eq:`eq-elbo.ladder`, :eq:`eq-elbo.ladder_variances`.
    """
    x_0, rng, group = table(x_0, "x_0"), check_rng(rng), count(group, "group", least=2)
    check_choices(schedule, denoiser, x_0, variance, "gaussian", decoder_var, bins=2)
    n = len(x_0)
    if n < 2 * group:
        raise ValueError(f"ladder needs at least two groups of {group} points; got {n} points.")
    given = {"variance": variance, "decoder_var": decoder_var}

    def one_chain(schedule, denoiser, x_0, rng, **given):
        return denoising_kl_on_chain(schedule, denoiser, forward.walk(schedule, x_0, rng), **given)

    def loss_aware(schedule, counted, x_0, rng, **given):
        pilot = mean_square_terms(schedule, denoiser, x_0, rng, **given)  # by the denoiser that is not counted
        return random_step(schedule, counted, x_0, rng, probability=loss_aware_probability(pilot), **given)

    def stratified(schedule, denoiser, x_0, rng, **given):
        groups = rng.permutation(x_0)[: n - n % group].reshape(-1, group, x_0.shape[-1])
        return np.array([stratified_step(schedule, denoiser, one, rng, **given).mean() for one in groups])

    estimators = {
        "undecomposed, one chain": undecomposed,
        "consistency, new triple for each t": consistency_form,
        "consistency, x_t integrated": consistency_form_integrated,
        "analytic KL, one chain": one_chain,
        "analytic KL, new x_t for each t": denoising_form,
        "analytic KL, antithetic noise": antithetic_form,
        "analytic KL, one random t": random_step,
        "analytic KL, one t by its loss": loss_aware,
        "analytic KL, one t, stratified": stratified,
    }
    rungs = []
    for name, estimate in estimators.items():
        calls = 0

        def counted(x_t, t):
            nonlocal calls
            calls += len(x_t)
            return denoiser(x_t, t)

        values = estimate(schedule, counted, x_0, rng, **given)
        values = values.total if isinstance(values, Bound) else values
        used = n - n % group if estimate is stratified else n  # points behind the mean of these values
        per_point = used / len(values)  # a group of points gives one value
        var = values.var(ddof=1)
        error_of_var = math.sqrt(max(np.mean((values - values.mean()) ** 4) - var**2, 0.0) / len(values))
        error = math.sqrt(var / len(values))
        rung = Rung(
            name, float(values.mean()), error, float(per_point * var), calls / used, float(per_point * error_of_var)
        )
        rungs.append(rung)
        if progress is not None:
            progress(rung)
    return tuple(rungs)
