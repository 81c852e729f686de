r"""The variational bound in its denoising form: what a model pays, in nats, to describe a point.

-log p(x_0) <= L_0 + L_1 + ... + L_{T-1} + L_T. Every loss enters with a plus, as in Ho, Jain & Abbeel (2020).
L_simple, the objective that is trained, is the same sum with other weights, and the weights are here.
"""

from dataclasses import dataclass

import numpy as np

from refdiff import forward, reverse
from refdiff.bayes import posterior
from refdiff.checks import call_denoiser, check_rng, count, real, table
from refdiff.gaussian import Gaussian, bits, kl

__all__ = [
    "Bound",
    "denoising_form",
    "denoising_term",
    "denoising_terms",
    "discretized_log_likelihood",
    "kl_constant",
    "prior_term",
    "reconstruction_term",
    "simple_loss",
    "weight",
]


@dataclass(frozen=True, repr=False)
class Bound:
    r"""A bound on -log p(x_0) for n points, in nats, in its parts.

    .. math:: -\log p(x_0) \le \underbrace{L_0}_{\text{reconstruction}}
        + \sum_{t=2}^T \underbrace{L_{t-1}}_{\text{terms}} + \underbrace{L_T}_{\text{prior}}

    Attributes
    ----------
    reconstruction : ndarray, shape (n,)
        L_0.
    terms : ndarray, shape (T + 1, n)
        Entry t is L_{t-1}, the divergence at step t; entries 0 and 1 are 0, for L_0 stands apart.
    prior : ndarray, shape (n,)
        L_T.
    d : int
        The number of coordinates of a point.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: ``elbo.bits_per_dim``.
    """

    reconstruction: np.ndarray
    terms: np.ndarray
    prior: np.ndarray
    d: int

    def __repr__(self):
        n, parts = len(self.prior), (self.reconstruction, self.terms.sum(axis=0), self.prior)
        means = " + ".join(f"{part.mean():.4g}" for part in parts)
        return f"Bound(n={n}, d={self.d}, mean {self.total.mean():.4g} = {means} nats)"

    @property
    def total(self):
        """The whole bound, shape (n,), in nats. Identity: ``elbo.bits_per_dim``."""
        return self.reconstruction + self.terms.sum(axis=0) + self.prior

    def bits_per_dim(self):
        r"""Return the whole bound in bits per coordinate, shape (n,).

        .. math:: \frac{L}{d \ln 2}

        With the Gaussian decoder this codes a density in the units of x_0 and may be negative: for data scaled by
        c it changes by log2(c). With the discretized decoder it is a code length.

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), Table 1, which reports it. Identity: ``elbo.bits_per_dim``.
        """
        return bits(self.total) / self.d


def prior_term(schedule, x_0):
    r"""Return L_T, what is lost because x_T is not quite noise.

    .. math:: L_T = \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, \mathcal{N}(0, I)\right)
        = \tfrac12\left[\bar\alpha_T \Vert x_0\Vert^2 - d\,\bar\alpha_T - d\log(1 - \bar\alpha_T)\right]

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (..., d)

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: ``elbo.prior_term``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(prior_term(Schedule.linear(), [1.0]).round(10))
    2.01796e-05
    """
    q_T = forward.marginal(schedule, x_0, schedule.T)
    return kl(q_T, Gaussian(np.zeros_like(q_T.mean), 1.0))


def denoising_term(schedule, denoiser, x_0, x_t, t, variance="beta"):
    r"""Return the divergence of step t at one x_t; its mean over q(x_t | x_0) is L_{t-1}.

    .. math:: \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)
        = \frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}
        + \frac d2\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 2..T; the step from t = 1 is the decoder's, see :func:`reconstruction_term`.
    variance : {"beta", "posterior"}

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`refdiff.reverse.transition`, and at t = 1.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5 and 8, with the constant. Identity: ``elbo.denoising_term``.
    """
    schedule.index(t, least=2)
    return kl(posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance))


def reconstruction_term(schedule, denoiser, x_0, x_1, decoder="gaussian", decoder_var="beta_1", bins=256):
    r"""Return -log p(x_0 | x_1) at one x_1; its mean over q(x_1 | x_0) is L_0.

    .. math:: -\log p(x_0 \mid x_1) = -\log \mathcal{N}\left(x_0; \mu(x_1, 1), \sigma_1^2\right)
        \qquad\text{or}\qquad -\log \int_{\text{bin of } x_0} \mathcal{N}\left(x; \mu(x_1, 1), \sigma_1^2\right) dx

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
    x_0, x_1 : array_like, shape (..., d)
    decoder : {"gaussian", "discretized"}
        A density, or the probability of the bin that holds x_0: see :func:`discretized_log_likelihood`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.
    bins : int
        Of the discretized decoder.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        If a name is another one, or x_0 is not on the bins of the discretized decoder.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5 and 13. Identities: ``elbo.reconstruction_gaussian``,
    ``elbo.reconstruction_discretized``.
    """
    mean = reverse.transition(schedule, denoiser, x_1, 1, "beta").mean
    sigma_2 = reverse.decoder_var(schedule, decoder_var)
    if decoder == "gaussian":
        return -Gaussian(mean, sigma_2).log_density(x_0)
    if decoder == "discretized":
        return -discretized_log_likelihood(x_0, mean, np.sqrt(sigma_2), bins)
    raise ValueError(f"decoder must be 'gaussian' or 'discretized'; got {decoder!r}.")


def discretized_log_likelihood(x, mean, std, bins=256):
    r"""Return the log-probability of the bins that hold x, under a Gaussian, summed over the last axis.

    .. math:: \log p(x) = \sum_i \log \int_{\delta_-(x_i)}^{\delta_+(x_i)} \mathcal{N}(u; \mu_i, \sigma^2)\,du, \qquad
        \delta_\pm(x) = x \pm \tfrac{1}{B - 1}, \quad \delta_+(1) = \infty, \quad \delta_-(-1) = -\infty

    The B values are -1, -1 + 2/(B - 1), ..., 1. The outer bins are open, so the probabilities sum to 1. They are
    differences of log-CDFs, taken in the tail where they keep their digits.

    Parameters
    ----------
    x : array_like, shape (..., d)
        Values of the bins.
    mean : array_like, shape (..., d)
    std : array_like
        The standard deviation, > 0; broadcasts against the mean.
    bins : int
        B, at least 2.

    Returns
    -------
    ndarray, shape (...)
        In nats; at most 0.

    Raises
    ------
    TypeError, ValueError
        If x is not on the bins (usual cause: data in 0..255 that were not scaled), or std is not > 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 13. Identity: ``elbo.discretized_log_likelihood``.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 256)[:, None]
    >>> p = np.exp(discretized_log_likelihood(x, np.zeros_like(x), 0.3))
    >>> round(float(p.sum()), 12)
    1.0
    """
    from scipy.special import log_ndtr  # imported late: it would double the cost of `import refdiff`

    x, mean, std, bins = real(x, "x"), real(mean, "mean"), real(std, "std"), count(bins, "bins", least=2)
    if not (std > 0).all():
        raise ValueError(f"std must be > 0; got {std.min()}.")
    if x.ndim == 0 or mean.shape != x.shape:
        raise ValueError(f"x and mean must have one shape (..., d); got {x.shape} and {mean.shape}.")
    half = 1 / (bins - 1)
    level = (x + 1) / (2 * half)
    if not (np.abs(level - np.round(level)) <= 1e-6).all() or not (np.abs(x) <= 1 + 1e-9).all():
        worst = x.flat[np.argmax(np.maximum(np.abs(level - np.round(level)), np.abs(x) > 1 + 1e-9))]
        raise ValueError(
            f"x must lie on the {bins} values -1 + 2k/{bins - 1}; got {worst}. Data in 0..{bins - 1}? Scale to [-1, 1]."
        )
    upper = np.where(np.round(level) == bins - 1, np.inf, (x + half - mean) / std)
    lower = np.where(np.round(level) == 0, -np.inf, (x - half - mean) / std)
    right = lower > 0  # mirrored into the left tail, where Phi is small and log Phi exact
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    log_upper, log_lower = log_ndtr(upper), log_ndtr(lower)
    return np.sum(log_upper + np.log(-np.expm1(log_lower - log_upper)), axis=-1)


def denoising_terms(schedule, denoiser, x_0, rng, variance="beta"):
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
    variance : {"beta", "posterior"}

    Yields
    ------
    t : int
        From T down to 2.
    term : ndarray, shape (n,)
        In nats.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: ``elbo.denoising_terms``.
    """
    x_0 = table(x_0, "x_0")
    for t in range(schedule.T, 1, -1):
        x_t = forward.marginal(schedule, x_0, t).sample(rng)
        yield t, denoising_term(schedule, denoiser, x_0, x_t, t, variance)


def denoising_form(schedule, denoiser, x_0, rng, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256):
    r"""Estimate the bound on -log p(x_0) in its denoising form, all T + 1 terms.

    .. math:: -\log p(x_0) \le L_0 + \sum_{t=2}^T L_{t-1} + L_T

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator
    variance : {"beta", "posterior"}
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
        Unbiased: each term is the mean of one draw of x_t per point.

    Raises
    ------
    TypeError, ValueError
        As for :func:`denoising_term` and :func:`reconstruction_term`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: ``elbo.denoising_form``.

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
    terms = np.zeros((schedule.T + 1, len(x_0)))
    for t, term in denoising_terms(schedule, denoiser, x_0, rng, variance):
        terms[t] = term
    x_1 = forward.marginal(schedule, x_0, 1).sample(rng)
    reconstruction = reconstruction_term(schedule, denoiser, x_0, x_1, decoder, decoder_var, bins)
    return Bound(reconstruction, terms, prior_term(schedule, x_0), x_0.shape[-1])


def kl_constant(schedule, t, variance="beta"):
    r"""Return the part of L_{t-1} that no denoiser can change, per coordinate.

    .. math:: c_t = \tfrac12\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]

    Zero only where sigma_t^2 = beta_tilde_t. It is often dropped; for a bound it counts, d times.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 2..T.
    variance : {"beta", "posterior"}

    Returns
    -------
    ndarray
        In nats.

    Notes
    -----
    Source: the C of Ho, Jain & Abbeel (2020), eq. 8. Identity: ``elbo.kl_constant``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(kl_constant(Schedule.linear(), 2).round(4))
    0.1214
    """
    t = schedule.index(t, least=2)
    ratio = schedule.beta_tilde[t] / reverse.var(schedule, t, variance)
    zero = np.zeros((*np.shape(t), 1))
    return kl(Gaussian(zero, np.expand_dims(ratio, -1)), Gaussian(zero, 1.0))


def weight(schedule, t, variance="beta"):
    r"""Return w_t, which turns the squared error of eps into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}

    L_simple puts 1 in its place. At t = 1 with ``variance="beta"`` it is the weight within L_0 of a Gaussian
    decoder of variance beta_1.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``, since beta_tilde_1 = 0.
    variance : {"beta", "posterior"}

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        At t = 1 with the variance beta_tilde, and where alpha_t = 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 12. Identity: ``elbo.weight``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight(Schedule.linear(), 1).round(5))
    0.50005
    """
    t = schedule.index(t, least=2 if variance == "posterior" else 1)
    if np.any(schedule.alpha[t] == 0):
        raise ValueError(
            f"weight needs alpha_t > 0; got t = {np.max(t)} with beta_t = 1, where eps says nothing of x_0."
        )
    sigma_2 = reverse.var(schedule, t, variance)
    return schedule.beta[t] ** 2 / (2 * sigma_2 * schedule.alpha[t] * schedule.one_minus_alpha_bar[t])


def simple_loss(schedule, denoiser, x_0, rng):
    r"""Estimate L_simple, the objective that is trained, by one random step per point.

    .. math:: L_{\text{simple}} = \mathbb{E}_{t \sim U\{1, \ldots, T\},\, \epsilon}
        \left\Vert\epsilon - \hat\epsilon(x_t, t)\right\Vert^2, \qquad
        x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon

    The norm sums over the d coordinates, as in the paper; code often takes their mean. It is an objective, not
    a bound: L_{t-1} with all weights set to 1, averaged over t rather than summed.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        Called once, with one t per point.
    x_0 : array_like, shape (n, d)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n,)
        Its mean estimates L_simple.

    Raises
    ------
    TypeError, ValueError
        If x_0 is not (n, d) or the denoiser returns another shape.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 14. Identity: ``elbo.simple_loss``.
    """
    x_0 = table(x_0, "x_0")
    t = check_rng(rng).integers(1, schedule.T + 1, size=len(x_0))  # the upper end is exclusive
    eps = rng.standard_normal(x_0.shape)
    eps_hat = call_denoiser(denoiser, forward.diffuse(schedule, x_0, eps, t), t)
    return np.sum((eps - eps_hat) ** 2, axis=-1)
