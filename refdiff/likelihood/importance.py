r"""p(x_0) as the mean of a weight over forward chains: annealed importance sampling, or Jarzynski's equality.

What makes it an estimate to trust, or not, is the spread of the weights: their effective number, and the bounds that
averages of a few of them give.
"""

from dataclasses import dataclass

import numpy as np

from refdiff import elbo
from refdiff.checks import check_rng, count, real, table


def log_mean_weight(log_weights):
    r"""Return log of the mean of weights, from their logarithms, over the first axis.

    .. math:: \log \frac1K \sum_{k=1}^K e^{\log w_k}

    Parameters
    ----------
    log_weights : array_like, shape (K, ...)

    Returns
    -------
    ndarray, shape (...)
        In nats; -inf where all weights are 0.

    Raises
    ------
    ValueError
        If there is no weight, or one is NaN.

    Notes
    -----
    Source: Neal (2001), section 2, of whose estimate it is the logarithm.
    Identity: :eq:`eq-likelihood.log_mean_weight`.

    Examples
    --------
    >>> round(float(np.exp(log_mean_weight(np.log([1.0, 3.0])))), 12)
    2.0
    """
    log_weights = _log_weights(log_weights)
    top = log_weights.max(axis=0)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(under="ignore", divide="ignore"):
        return shift + np.log(np.mean(np.exp(log_weights - shift), axis=0))


def effective_sample_size(log_weights):
    r"""Return how many equal weights the given ones are worth, over the first axis.

    .. math:: \frac{\left(\sum_k w_k\right)^2}{\sum_k w_k^2}

    It tends to K (E w)^2 / E[w^2] where that exists. It cannot warn of what was never drawn: where the second moment
    is infinite it looks best before the first large weight comes. See :func:`linear_log_second_moment`.

    Parameters
    ----------
    log_weights : array_like, shape (K, ...)

    Returns
    -------
    ndarray, shape (...)
        In [1, K].

    Raises
    ------
    ValueError
        As for :func:`log_mean_weight`, and if all weights are 0.

    Notes
    -----
    Source: Kong (1992); Owen (2013), section 9.3. Identity: :eq:`eq-likelihood.effective_sample_size`.

    Examples
    --------
    >>> float(effective_sample_size(np.log([1.0, 1.0, 2.0])).round(4))
    2.6667
    """
    log_weights = _log_weights(log_weights)
    top = log_weights.max(axis=0)
    if np.isneginf(top).any():
        raise ValueError("effective_sample_size needs a weight > 0; got none.")
    with np.errstate(under="ignore"):
        w = np.exp(log_weights - top)
        return w.sum(axis=0) ** 2 / (w**2).sum(axis=0)


def importance_weighted_bound(log_weights, k):
    r"""Return the bound on -log p(x_0) that averages k weights inside the logarithm.

    .. math:: L_k = -\mathbb{E}\log\left(\frac1k\sum_{j=1}^k w_j\right), \qquad
        L_1 \ge L_2 \ge \cdots \ge -\log p(x_0)

    L_1 is the ordinary bound. The K weights are cut into K / k groups. With the same weights it falls each time that
    k is multiplied, without exception, since groups are then merged.

    Parameters
    ----------
    log_weights : array_like, shape (K, ...)
        Of independent chains.
    k : int
        A divisor of K.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        If k does not divide K.

    Notes
    -----
    Source: Burda, Grosse & Salakhutdinov (2016), eq. 8 and theorem 1, with the sign turned: theirs is a lower bound.
    Identity: :eq:`eq-likelihood.importance_weighted_bound`.

    Examples
    --------
    >>> w = np.log([1.0, 3.0])
    >>> importance_weighted_bound(w, 1).round(4), importance_weighted_bound(w, 2).round(4)
    (np.float64(-0.5493), np.float64(-0.6931))
    """
    log_weights, k = _log_weights(log_weights), count(k, "k")
    if len(log_weights) % k:
        raise ValueError(f"k must divide the number of weights, {len(log_weights)}; got {k}.")
    groups = log_weights.reshape(len(log_weights) // k, k, *log_weights.shape[1:])
    return -np.mean(log_mean_weight(np.moveaxis(groups, 1, 0)), axis=0)


def _log_weights(log_weights):
    log_weights = real(log_weights, "log_weights")
    if log_weights.ndim == 0 or len(log_weights) == 0:
        raise ValueError(f"log_weights must have shape (K, ...) with K >= 1; got {log_weights.shape}.")
    if np.isnan(log_weights).any() or np.isposinf(log_weights).any():
        raise ValueError("log_weights must be numbers or -inf; got NaN or inf.")
    return log_weights


@dataclass(frozen=True, repr=False)
class Ais:
    r"""Importance weights of chains that start at each of n points, and what they say of p(x_0).

    .. math:: p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}[w], \qquad w = \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}

    Attributes
    ----------
    log_weights : ndarray, shape (K, n)
        log w of each chain; -log w is Jarzynski's work.

    Notes
    -----
    Identity: :eq:`eq-likelihood.ais_summary`.
    """

    log_weights: np.ndarray

    def __repr__(self):
        K, n = self.log_weights.shape
        return f"Ais(n_chains={K}, n={n}, log p {self.log_density.mean():.4g} nats, ESS {np.median(self.ess):.3g})"

    @property
    def log_density(self):
        """The estimate of log p(x_0), shape (n,), in nats; its exponential is unbiased, itself it is a little low.

        Identity: :eq:`eq-likelihood.ais_summary`.
        """
        return log_mean_weight(self.log_weights)

    @property
    def ess(self):
        """The effective sample size, shape (n,): see :func:`effective_sample_size`.

        Identity: :eq:`eq-likelihood.ais_summary`.
        """
        return effective_sample_size(self.log_weights)

    @property
    def std_error(self):
        r"""The standard error of :attr:`log_density`, shape (n,), to first order.

        .. math:: \frac{\operatorname{std} w}{\sqrt K\,\bar w}
            = \sqrt{\frac{1}{K - 1}\left(\frac{K}{\text{ESS}} - 1\right)}

        It means something only where E[w^2] is finite, and with an ESS of a hundred or more. One chain does not know
        its error: NaN.

        Identity: :eq:`eq-likelihood.ais_summary`.
        """
        K, ess = len(self.log_weights), self.ess
        return np.sqrt(np.maximum(K / ess - 1, 0.0) / (K - 1)) if K > 1 else np.full_like(ess, np.nan)

    def bound(self, k=1):
        """Return the importance-weighted bound of k chains, shape (n,): see :func:`importance_weighted_bound`.

        Identity: :eq:`eq-likelihood.ais_summary`.
        """
        return importance_weighted_bound(self.log_weights, k)


def ais(
    schedule,
    denoiser,
    x_0,
    rng,
    n_chains,
    variance="beta",
    decoder="gaussian",
    decoder_var="beta_1",
    bins=256,
    *,
    progress=None,
):
    r"""Estimate p(x_0) without bias, by annealed importance sampling along the forward chain.

    .. math:: p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[
        p(x_T) \prod_{t=1}^T \frac{p(x_{t-1} \mid x_t)}{q(x_t \mid x_{t-1})}\right]

    With W = -log w this is Jarzynski's equality, E exp(-W) = p(x_0); Jensen's inequality makes of it the bound
    E W >= -log p(x_0). One chain is enough where log w does not vary: where p is the exact reverse process *and*
    p(x_T) = q(x_T). For data N(0, I) any steps of variance beta_t will do; for other data Gaussian steps are exact only
    in the quasi-static limit, many small steps to an end in noise. Small steps to an alpha_bar_T that is not near 0
    leave the spread of log p(x_T) / q(x_T), however many there are; and with the variance beta_tilde log w keeps
    varying in the first steps.

    How good the estimate is depends on the tail of w. Where E[w^2] is infinite no error can be stated, and large
    weights that decide about the mean are hardly ever drawn: :func:`linear_log_second_moment` tells for linear
    denoisers. With ``variance="beta"`` that happens for data that are narrow beside the first steps, even with their
    ideal denoiser: N(0, .09) on Schedule.vp(10), not on Schedule.vp(20). With the discretized decoder it happens at an
    outer bin, which is open, wherever beta_1 is small.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; called T times on n_chains * n points.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    n_chains : int
        K, per point.
    variance, decoder, decoder_var, bins
        As for :func:`refdiff.elbo.denoising_form`. With the discretized decoder it is a probability that is estimated.
    progress : callable, optional
        Called as ``progress(t, log_ratio)`` after each step.

    Returns
    -------
    Ais

    Raises
    ------
    TypeError, ValueError
        As for :func:`refdiff.elbo.denoising_form`, and if n_chains is not a positive integer.

    Notes
    -----
    Source: Sohl-Dickstein et al. (2015), eq. 7 to 9; Neal (2001); Jarzynski (1997).
    Identities: :eq:`eq-likelihood.ais`, :eq:`eq-likelihood.jarzynski`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> from refdiff.likelihood import linear_denoiser, linear_log_density
    >>> schedule, x_0 = Schedule.from_betas([0.3, 0.3]), [[1.0]]
    >>> found = ais(schedule, linear_denoiser(schedule, 0.6, 0.1), x_0, np.random.default_rng(0), n_chains=10_000)
    >>> bool(abs(found.log_density - linear_log_density(schedule, 0.6, 0.1, x_0)) < 5 * found.std_error)
    True
    """
    x_0, rng, n_chains = table(x_0, "x_0"), check_rng(rng), count(n_chains, "n_chains")
    many = np.tile(x_0, (n_chains, 1))
    work = elbo.undecomposed(schedule, denoiser, many, rng, variance, decoder, decoder_var, bins, progress=progress)
    return Ais(-work.total.reshape(n_chains, len(x_0)))
