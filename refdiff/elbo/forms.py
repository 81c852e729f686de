r"""Three decompositions of one bound, on a chain that is given and as estimates that draw their own.

Undecomposed, consistency and denoising form are one and the same number on each chain, regrouped: the regrouping by
itself makes no estimate better. What differs is which parts can then be integrated in closed form, and which parts need
no common chain any more. In the denoising form nearly everything can, so it is the one that is used.
"""

import numpy as np

from refdiff import forward, reverse
from refdiff.bayes import posterior, require_signal
from refdiff.checks import check_denoiser, check_rng, real, table
from refdiff.elbo.bound import Bound
from refdiff.elbo.terms import (
    check_decoder,
    consistency_prior,
    consistency_term,
    consistency_term_integrated,
    denoising_term,
    kl_constant,
    prior_term,
    reconstruction_term,
)
from refdiff.elbo.weights import weight
from refdiff.kernels.streams import Streams, engine_of, threads_to_use

STEPS_AT_ONCE, ERRORS_AT_ONCE = 32, 2_000_000  # that compiled walks return at a time, whatever T and n


def undecomposed_on_chain(
    schedule, denoiser, chain, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256
):
    r"""Return minus the log-ratio of model and forward process on a chain, undecomposed.

    .. math:: -\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}
        = -\log p(x_T) - \log p(x_0 \mid x_1) + \log q(x_1 \mid x_0)
        + \sum_{t=2}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)}

    Its mean over chains is the bound. With the sign turned it is the log-weight log w of importance sampling, whose
    mean exp(log w) is p(x_0) itself: see :func:`refdiff.likelihood.ais`.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    chain : array_like, shape (T + 1, n, d)
        x_0, ..., x_T, as :func:`refdiff.forward.walk` returns them.
    variance : {"beta", "posterior"} or array_like
        sigma_t^2 of the reverse steps t >= 2; see :func:`refdiff.reverse.var`.
    decoder : {"gaussian", "discretized"}
        See :func:`reconstruction_term`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.
    bins : int
        Of the discretized decoder.

    Returns
    -------
    Bound
        reconstruction -log p(x_0 | x_1), prior -log p(x_T), the rest between; it has no terms.

    Raises
    ------
    TypeError, ValueError
        If the chain is not (T + 1, n, d), and as for :func:`denoising_form`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 3. Identity: :eq:`eq-elbo.pathwise`.
    """
    chain = _chain(schedule, chain)
    check_choices(schedule, denoiser, chain[0], variance, decoder, decoder_var, bins)
    return _undecomposed(schedule, denoiser, chain[0], iter(chain[1:]), variance, decoder, decoder_var, bins)


def undecomposed(
    schedule,
    denoiser,
    x_0,
    rng,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    progress=None,
):
    r"""Estimate the bound on -log p(x_0) without decomposing it: one chain per point, walked and thrown away.

    .. math:: -\log p(x_0) \le \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.
    progress : callable, optional
        Called as ``progress(t, log_ratio)`` after each step, with its part of the sum, shape (n,).

    Returns
    -------
    Bound
        See :func:`undecomposed_on_chain`. Memory does not grow with T.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 3. Identity: :eq:`eq-elbo.undecomposed`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)

    def steps():
        x_t = x_0
        for t in range(1, schedule.T + 1):
            x_t = forward.transition(schedule, x_t, t).sample(rng)
            yield x_t

    return _undecomposed(schedule, denoiser, x_0, steps(), variance, decoder, decoder_var, bins, progress)


def _undecomposed(schedule, denoiser, x_0, steps, variance, decoder, decoder_var, bins, progress=None):
    """Add up the log-ratios along x_1, ..., x_T, which are asked for one after the other."""
    x_prev = next(steps)
    reconstruction = reconstruction_term(schedule, denoiser, x_0, x_prev, decoder, decoder_var, bins)
    between = forward.transition(schedule, x_0, 1).log_density(x_prev)
    if progress is not None:
        progress(1, between + reconstruction)
    for t, x_t in enumerate(steps, 2):
        p = reverse.transition(schedule, denoiser, x_t, t, variance)
        log_ratio = forward.transition(schedule, x_prev, t).log_density(x_t) - p.log_density(x_prev)
        between += log_ratio
        x_prev = x_t
        if progress is not None:
            progress(t, log_ratio)
    prior = -reverse.prior(*x_prev.shape).log_density(x_prev)
    return Bound(reconstruction, None, prior, x_0.shape[-1], between, bins_of(decoder, bins))


def consistency_on_chain(
    schedule, denoiser, chain, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256
):
    r"""Return the log-ratio of :func:`undecomposed_on_chain`, grouped by x_t seen from both of its neighbours.

    .. math:: -\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}
        + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}

    The same number on each chain, up to rounding; the same variance, therefore.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    chain : array_like, shape (T + 1, n, d)
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        Entry t of its terms is the log-ratio of x_t, t = 1..T - 1; entries 0 and T are 0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`undecomposed_on_chain`.

    Notes
    -----
    Source: Luo (2022), eq. 41 to 44. Identity: :eq:`eq-elbo.pathwise`.
    """
    chain, T = _chain(schedule, chain), schedule.T
    check_choices(schedule, denoiser, chain[0], variance, decoder, decoder_var, bins)
    terms = np.zeros(chain.shape[:2])
    for t in range(1, T):
        terms[t] = consistency_term(schedule, denoiser, chain[t - 1], chain[t], chain[t + 1], t, variance)
    standard = reverse.prior(*chain[T].shape)
    prior = forward.transition(schedule, chain[T - 1], T).log_density(chain[T]) - standard.log_density(chain[T])
    reconstruction = reconstruction_term(schedule, denoiser, chain[0], chain[1], decoder, decoder_var, bins)
    return Bound(reconstruction, terms, prior, chain.shape[-1], bins=bins_of(decoder, bins))


def denoising_on_chain(schedule, denoiser, chain, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256):
    r"""Return the log-ratio of :func:`undecomposed_on_chain`, grouped by steps that are compared with the posterior.

    .. math:: -\log p(x_0 \mid x_1) + \sum_{t=2}^T \log\frac{q(x_{t-1} \mid x_t, x_0)}{p(x_{t-1} \mid x_t)}
        + \log\frac{q(x_T \mid x_0)}{p(x_T)}

    The same number on each chain, up to rounding. What is left over by Bayes' rule at each step,
    q(x_t | x_0) / q(x_{t-1} | x_0), telescopes to q(x_T | x_0) / q(x_1 | x_0): it does not cancel.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    chain : array_like, shape (T + 1, n, d)
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        Entry t of its terms is the log-ratio of step t, t = 2..T; entries 0 and 1 are 0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`undecomposed_on_chain`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), appendix A; Luo (2022), eq. 47 to 57. Identity: :eq:`eq-elbo.pathwise`.
    """
    chain, T = _chain(schedule, chain), schedule.T
    check_choices(schedule, denoiser, chain[0], variance, decoder, decoder_var, bins)
    terms = np.zeros(chain.shape[:2])
    for t in range(2, T + 1):
        q = posterior(schedule, chain[0], chain[t], t)
        p = reverse.transition(schedule, denoiser, chain[t], t, variance)
        terms[t] = q.log_density(chain[t - 1]) - p.log_density(chain[t - 1])
    standard = reverse.prior(*chain[T].shape)
    prior = forward.marginal(schedule, chain[0], T).log_density(chain[T]) - standard.log_density(chain[T])
    reconstruction = reconstruction_term(schedule, denoiser, chain[0], chain[1], decoder, decoder_var, bins)
    return Bound(reconstruction, terms, prior, chain.shape[-1], bins=bins_of(decoder, bins))


def denoising_kl_on_chain(
    schedule, denoiser, chain, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256
):
    r"""Return the denoising form with its divergences in closed form, all at the points of one chain.

    .. math:: -\log p(x_0 \mid x_1) + \sum_{t=2}^T
        \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right) + L_T

    Each term varies less than the log-ratio that it is the mean of. Their *sum* may vary more: along a chain the
    log-ratios of neighbouring steps make up for each other, all the more the nearer the model is to the exact
    reverse process, where log w hardly varies at all; their means no longer do. :func:`denoising_terms` draws a
    new x_t for each t, which mostly wins some of it back.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    chain : array_like, shape (T + 1, n, d)
    variance, decoder, decoder_var, bins
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        As :func:`denoising_form`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`undecomposed_on_chain`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5, which calls it Rao-Blackwellized. Identities:
    :eq:`eq-elbo.denoising_kl_on_chain`, :eq:`eq-elbo.rao_blackwell`.
    """
    chain, T = _chain(schedule, chain), schedule.T
    check_choices(schedule, denoiser, chain[0], variance, decoder, decoder_var, bins)
    terms = np.zeros(chain.shape[:2])
    for t in range(2, T + 1):
        terms[t] = denoising_term(schedule, denoiser, chain[0], chain[t], t, variance)
    reconstruction = reconstruction_term(schedule, denoiser, chain[0], chain[1], decoder, decoder_var, bins)
    return Bound(reconstruction, terms, prior_term(schedule, chain[0]), chain.shape[-1], bins=bins_of(decoder, bins))


def consistency_terms(schedule, denoiser, x_0, rng, variance="beta"):
    r"""Estimate C_1, ..., C_{T-1} one after the other, as a generator.

    .. math:: C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}

    Each t has its own triple, drawn from q(x_{t-1} | x_0) q(x_t | x_{t-1}) q(x_{t+1} | x_t): all three factors are
    needed.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Yields
    ------
    t : int
        From T - 1 down to 1.
    term : ndarray, shape (n,)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`, before the first step.

    Notes
    -----
    Source: Luo (2022), eq. 44. Identity: :eq:`eq-elbo.consistency_terms`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, "gaussian", "beta_1", bins=2)

    def steps():
        for t in range(schedule.T - 1, 0, -1):
            x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
            x_t = forward.transition(schedule, x_prev, t).sample(rng)
            x_next = forward.transition(schedule, x_t, t + 1).sample(rng)
            yield t, consistency_term(schedule, denoiser, x_prev, x_t, x_next, t, variance)

    return steps()


def consistency_terms_integrated(schedule, denoiser, x_0, rng, variance="beta"):
    r"""Estimate C_1, ..., C_{T-1} one after the other, with x_t integrated, as a generator.

    .. math:: C_t = \mathbb{E}_{q(x_{t-1}, x_{t+1} \mid x_0)}\left[
        \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)
        - \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, q(x_t \mid x_{t-1})\right)\right]

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Yields
    ------
    t : int
        From T - 1 down to 1.
    term : ndarray, shape (n,)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`, before the first step.

    Notes
    -----
    Source: the tower rule on Luo (2022), eq. 44. Identity: :eq:`eq-elbo.consistency_terms_integrated`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, "gaussian", "beta_1", bins=2)

    def steps():
        for t in range(schedule.T - 1, 0, -1):
            x_prev = forward.marginal(schedule, x_0, t - 1).sample(rng) if t > 1 else x_0
            x_next = forward.jump(schedule, x_prev, t - 1, t + 1).sample(rng)
            yield t, consistency_term_integrated(schedule, denoiser, x_prev, x_next, t, variance)

    return steps()


def consistency_form(
    schedule,
    denoiser,
    x_0,
    rng,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    keep_terms=True,
    progress=None,
):
    r"""Estimate the bound on -log p(x_0) in its consistency form.

    .. math:: -\log p(x_0) \le \mathbb{E}\left[-\log p(x_0 \mid x_1)\right]
        + \sum_{t=1}^{T-1} \mathbb{E}\log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}
        + \mathbb{E}\,\mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, p(x_T)\right)

    The same number as :func:`denoising_form`, by an estimate that mostly varies more: each term needs three points
    of the chain. The terms differ by the constants of :func:`consistency_constant` only. With T = 1 no term is between
    the other two; where the last beta is 1 it raises, as :func:`denoising_form` does.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins, keep_terms, progress
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        Unbiased. Entry t of its terms is C_t, t = 1..T - 1; entries 0 and T are 0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: Luo (2022), eq. 45, there with divergences that the terms are not. Identity: :eq:`eq-elbo.consistency_form`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    steps = consistency_terms(schedule, denoiser, x_0, rng, variance)
    return _consistency(steps, schedule, denoiser, x_0, rng, decoder, decoder_var, bins, keep_terms, progress)


def consistency_form_integrated(
    schedule,
    denoiser,
    x_0,
    rng,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    keep_terms=True,
    progress=None,
):
    r"""Estimate the bound on -log p(x_0) in its consistency form, each x_t integrated between its neighbours.

    .. math:: -\log p(x_0) \le \mathbb{E}\left[-\log p(x_0 \mid x_1)\right]
        + \sum_{t=1}^{T-1} C_t + \mathbb{E}\,\mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, p(x_T)\right)

    with the C_t of :func:`consistency_terms_integrated`.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance, decoder, decoder_var, bins, keep_terms, progress
        As for :func:`denoising_form`.

    Returns
    -------
    Bound
        As :func:`consistency_form`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`.

    Notes
    -----
    Source: the tower rule on Luo (2022), eq. 44. Identity: :eq:`eq-elbo.consistency_form_integrated`.
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    steps = consistency_terms_integrated(schedule, denoiser, x_0, rng, variance)
    return _consistency(steps, schedule, denoiser, x_0, rng, decoder, decoder_var, bins, keep_terms, progress)


def _consistency(steps, schedule, denoiser, x_0, rng, decoder, decoder_var, bins, keep_terms, progress):
    """Put the terms of the consistency form between its two ends."""
    T = schedule.T
    terms, between = _collect(steps, schedule, len(x_0), keep_terms, progress)
    x_prev = forward.marginal(schedule, x_0, T - 1).sample(rng) if T > 1 else x_0
    x_1 = forward.marginal(schedule, x_0, 1).sample(rng)
    reconstruction = reconstruction_term(schedule, denoiser, x_0, x_1, decoder, decoder_var, bins)
    prior = consistency_prior(schedule, x_prev)
    return Bound(reconstruction, terms, prior, x_0.shape[-1], between, bins_of(decoder, bins))


def denoising_terms(schedule, denoiser, x_0, rng, variance="beta", *, threads=1):
    r"""Estimate L_{T-1}, ..., L_1 one after the other, as a generator.

    .. math:: L_{t-1} = \mathbb{E}_{q(x_t \mid x_0)}\,
        \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)

    Each t has its own x_t drawn from q(x_t | x_0), not the next one of a chain: the terms are then independent.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    threads : int or None
        For a denoiser with compiled walks, as :class:`refdiff.network.MLP` is, if there is much to do: how many blocks
        of points are worked on at a time; None is one for each processor. The result is the same at any number, to the
        bit, and the noise is the same without compiled walks.

    Yields
    ------
    t : int
        From T down to 2.
    term : ndarray, shape (n,)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_form`, before the first step.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: :eq:`eq-elbo.denoising_terms`.
    """
    x_0, rng, threads = table(x_0, "x_0"), check_rng(rng), threads_to_use(threads)
    check_choices(schedule, denoiser, x_0, variance, "gaussian", "beta_1", bins=2)
    noise = Streams(rng, len(x_0))
    engine = engine_of(denoiser, schedule.T, len(x_0))
    if engine is not None:
        return _terms_from_errors(engine, schedule, x_0, noise, variance, threads)

    def steps():
        for t in range(schedule.T, 1, -1):
            q = forward.marginal(schedule, x_0, t)
            x_t = q.mean + q.std * noise.standard_normal(x_0.shape)
            yield t, denoising_term(schedule, denoiser, x_0, x_t, t, variance)

    return steps()


def _terms_from_errors(engine, schedule, x_0, noise, variance, threads):
    """Yield the terms of the denoising form from the squared errors of eps, many steps at a time."""
    at_once = max(1, min(STEPS_AT_ONCE, ERRORS_AT_ONCE // max(1, len(x_0))))
    for high in range(schedule.T, 1, -at_once):
        t = np.arange(high, max(high - at_once, 1), -1)
        errors = engine.squared_errors(x_0, t, schedule.signal_rate[t], schedule.noise_rate[t], noise, threads)
        terms = weight(schedule, t, variance)[:, None] * errors
        terms += x_0.shape[-1] * kl_constant(schedule, t, variance)[:, None]
        yield from zip(t.tolist(), terms)


def denoising_form(
    schedule,
    denoiser,
    x_0,
    rng,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    keep_terms=True,
    progress=None,
    threads=1,
):
    r"""Estimate the bound on -log p(x_0) in its denoising form, all T + 1 terms.

    .. math:: -\log p(x_0) \le L_0 + \sum_{t=2}^T L_{t-1} + L_T

    With T = 1 only L_0 and L_T are left. Where the last beta is 1, L_T is 0, but step T is out of reach of a denoiser
    that speaks of eps: x_T says nothing of x_0 there, and the call raises.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"beta", "posterior"} or array_like
        sigma_t^2 of the reverse steps t >= 2; see :func:`refdiff.reverse.var`.
    decoder : {"gaussian", "discretized"}
        See :func:`reconstruction_term`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.
    bins : int
        Of the discretized decoder.
    keep_terms : bool
        Keep each term at each point, (T + 1, n); if not, only their sum is kept, and memory does not grow with T.
    progress : callable, optional
        Called as ``progress(t, term)`` after each term, with the term at each point, shape (n,).
    threads : int or None
        See :func:`denoising_terms`.

    Returns
    -------
    Bound
        Unbiased: each entry is one draw of x_t.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_term` and :func:`reconstruction_term`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identities: :eq:`eq-elbo.denoising_form`, :eq:`eq-elbo.entropy_plus_kl`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> schedule, data = Schedule.vp(100), GaussianMixture([1.0], [[0.0]], 1.0)
    >>> rng = np.random.default_rng(0)
    >>> bound = denoising_form(schedule, data.denoiser(schedule), data.sample(2000, rng), rng)
    >>> bool(abs(bound.total.mean() - 0.5 * np.log(2 * np.pi * np.e)) < 0.1)  # the entropy of the data
    True
    """
    x_0, rng = table(x_0, "x_0"), check_rng(rng)
    check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins)
    steps = denoising_terms(schedule, denoiser, x_0, rng, variance, threads=threads)
    terms, between = _collect(steps, schedule, len(x_0), keep_terms, progress)
    x_1 = forward.marginal(schedule, x_0, 1).sample(rng)
    reconstruction = reconstruction_term(schedule, denoiser, x_0, x_1, decoder, decoder_var, bins)
    return Bound(reconstruction, terms, prior_term(schedule, x_0), x_0.shape[-1], between, bins_of(decoder, bins))


def _collect(steps, schedule, n, keep_terms, progress):
    """Return the terms (T + 1, n), or None, and their sum (n,)."""
    terms, between = np.zeros((schedule.T + 1, n)) if keep_terms else None, np.zeros(n)
    for t, term in steps:
        between += term
        if keep_terms:
            terms[t] = term
        if progress is not None:
            progress(t, term)
    return terms, between


def bins_of(decoder, bins):
    """Return what a Bound says of its decoder."""
    return int(bins) if decoder == "discretized" else None


def check_choices(schedule, denoiser, x_0, variance, decoder, decoder_var, bins):
    """Check, before any work is done, what every form of the bound is given beside its points."""
    check_denoiser(denoiser)
    require_signal(schedule, schedule.T)
    reverse.var(schedule, schedule.T, variance)
    reverse.decoder_var(schedule, decoder_var)
    check_decoder(decoder, bins, x_0)


def _chain(schedule, chain):
    """Return a chain x_0, ..., x_T as an array (T + 1, n, d)."""
    chain = real(chain, "chain")
    if chain.ndim != 3 or len(chain) != schedule.T + 1:
        raise ValueError(
            f"chain must hold x_0..x_T, shape (T + 1, n, d) with T + 1 = {schedule.T + 1}; got {chain.shape}."
            " forward.walk returns one."
        )
    for t, x_t in enumerate(chain):
        table(x_t, f"chain[{t}]")
    return chain
