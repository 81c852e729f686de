r"""The terms of the bound, each at given points: no chance in this file.

-log p(x_0) <= L_0 + L_1 + ... + L_{T-1} + L_T. Every loss enters with a plus, as in Ho, Jain & Abbeel (2020).
"""

import numpy as np

from refdiff import forward, reverse
from refdiff.bayes import posterior, smoothing
from refdiff.checks import count, points, real, same_shape
from refdiff.gaussian import Gaussian, kl


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

    Raises
    ------
    TypeError, ValueError
        If x_0 is not made of points.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5. Identity: :eq:`eq-elbo.prior_term`.

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
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

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
    Source: Ho, Jain & Abbeel (2020), eq. 5 and 8, with the constant. Identity: :eq:`eq-elbo.denoising_term`.
    """
    schedule.index(t, least=2)
    return kl(posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance))


def kl_constant(schedule, t, variance="beta"):
    r"""Return the part of L_{t-1} that no denoiser can change, per coordinate.

    .. math:: c_t = \tfrac12\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]

    Zero only where sigma_t^2 = beta_tilde_t. It is often dropped; for a bound it counts, d times.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 2..T.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray
        In nats.

    Raises
    ------
    TypeError, ValueError
        At t = 1, where beta_tilde_1 = 0, and as for :func:`refdiff.reverse.var`.

    Notes
    -----
    Source: the C of Ho, Jain & Abbeel (2020), eq. 8. Identity: :eq:`eq-elbo.kl_constant`.

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


def consistency_term(schedule, denoiser, x_prev, x_t, x_next, t, variance="beta"):
    r"""Return the log-ratio of step t seen from both sides; its mean over q(x_{t-1}, x_t, x_{t+1} | x_0) is C_t.

    .. math:: \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}, \qquad
        C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}

    It looks like the integrand of a divergence and is none: x_t is drawn with x_{t+1} known to follow it, not from
    q(x_t | x_{t-1}) alone. C_t may be negative.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; called at x_{t+1}.
    x_prev, x_t, x_next : array_like, shape (..., d)
        x_{t-1}, x_t and x_{t+1} of one chain.
    t : int or array_like of int
        In 1..T - 1.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`refdiff.reverse.transition`, and at t = T, which has no next step.

    Notes
    -----
    Source: Luo (2022), eq. 45, there written as a divergence. Identity: :eq:`eq-elbo.consistency_term`.
    """
    t = _before_the_last(schedule, t)
    x_prev, x_t, x_next = points(x_prev, "x_prev"), points(x_t, "x_t"), points(x_next, "x_next")
    same_shape(x_prev=x_prev, x_t=x_t, x_next=x_next)
    q = forward.transition(schedule, x_prev, t)
    p = reverse.transition(schedule, denoiser, x_next, t + 1, variance)
    return q.log_density(x_t) - p.log_density(x_t)


def consistency_term_integrated(schedule, denoiser, x_prev, x_next, t, variance="beta"):
    r"""Return the log-ratio of step t with x_t integrated between its neighbours: a difference of two divergences.

    .. math:: \mathbb{E}_{q(x_t \mid x_{t-1}, x_{t+1})} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}
        = \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)
        - \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, q(x_t \mid x_{t-1})\right)

    Its mean over q(x_{t-1}, x_{t+1} | x_0) is C_t as well, with less variance than :func:`consistency_term`.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        Called at x_{t+1}.
    x_prev, x_next : array_like, shape (..., d)
        x_{t-1} and x_{t+1} of one chain.
    t : int or array_like of int
        In 1..T - 1.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        As for :func:`consistency_term`.

    Notes
    -----
    Source: the tower rule on Luo (2022), eq. 44. Identity: :eq:`eq-elbo.consistency_term_integrated`.
    """
    t = _before_the_last(schedule, t)
    between = smoothing(schedule, x_prev, x_next, t)
    q = forward.transition(schedule, x_prev, t)
    p = reverse.transition(schedule, denoiser, x_next, t + 1, variance)
    return kl(between, p) - kl(between, q)


def _before_the_last(schedule, t):
    """Check that t is in 1..T - 1, for each point."""
    t = schedule.index(t)
    if np.any(np.equal(t, schedule.T)):
        raise ValueError(f"a consistency term needs a next step: t runs over 1..T - 1; got t = T = {schedule.T}.")
    return t


def consistency_prior(schedule, x_prev):
    r"""Return the prior matching term of the consistency form at one x_{T-1}.

    .. math:: \mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, \mathcal{N}(0, I)\right)
        = \tfrac12\left[\alpha_T \Vert x_{T-1}\Vert^2 - d\,\alpha_T - d\log\beta_T\right]

    Its mean over q(x_{T-1} | x_0) is larger than L_T of the denoising form, by d times
    ``consistency_constant(schedule, T)``.

    Parameters
    ----------
    schedule : Schedule
    x_prev : array_like, shape (..., d)
        x_{T-1}.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Raises
    ------
    TypeError, ValueError
        If x_{T-1} is not made of points.

    Notes
    -----
    Source: Luo (2022), eq. 45. Identity: :eq:`eq-elbo.consistency_prior`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(consistency_prior(Schedule.linear(), [1.0]).round(3))  # beside L_T = 2e-5
    1.956
    """
    q_T = forward.transition(schedule, x_prev, schedule.T)
    return kl(q_T, Gaussian(np.zeros_like(q_T.mean), 1.0))


def consistency_constant(schedule, t):
    r"""Return what a term of the consistency form exceeds that of the denoising form by, per coordinate.

    .. math:: C_t = L_t + d\,k_t, \qquad k_t = \tfrac12\log\frac{\tilde\beta_{t+1}}{\beta_t}
        \;\text{for}\; t < T, \qquad k_T = \tfrac12\log\frac{1 - \bar\alpha_T}{\beta_T}

    with L_t the mean divergence of step t + 1, and at T the two prior terms. Exact for every model, since no model
    stands in it: both forms have the same optimum, and the consistency form as good a closed form as the other. The
    T constants sum to 0.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray
        In nats, of the shape of t.

    Raises
    ------
    TypeError, ValueError
        If t is not in 1..T.

    Notes
    -----
    Source: E log q(x_t | x_{t-1}) - E log q(x_t | x_{t+1}, x_0), two Gaussian entropies.
    Identity: :eq:`eq-elbo.consistency_constant`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> consistency_constant(Schedule.constant(3, 0.5), [1, 2, 3]).round(4)
    array([-0.2027, -0.0771,  0.2798])
    """
    t = np.asarray(schedule.index(t))
    last = t == schedule.T
    next_var = np.where(last, schedule.one_minus_alpha_bar[schedule.T], schedule.beta_tilde[np.where(last, 0, t + 1)])
    return 0.5 * np.log(next_var / schedule.beta[t])


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
    Source: Ho, Jain & Abbeel (2020), eq. 5 and 13. Identities: :eq:`eq-elbo.reconstruction_gaussian`,
    :eq:`eq-elbo.reconstruction_discretized`.
    """
    x_0, x_1 = points(x_0, "x_0"), points(x_1, "x_1")
    same_shape(x_0=x_0, x_1=x_1)
    check_decoder(decoder, bins, x_0)
    sigma_2 = reverse.decoder_var(schedule, decoder_var)
    mean = reverse.transition(schedule, denoiser, x_1, 1, "beta").mean
    if decoder == "gaussian":
        return -Gaussian(mean, sigma_2).log_density(x_0)
    return -discretized_log_likelihood(x_0, mean, np.sqrt(sigma_2), bins)


def check_decoder(decoder, bins, x_0):
    """Check the name of a decoder, the number of its bins, and whether x_0 lies on them."""
    if decoder not in ("gaussian", "discretized"):
        raise ValueError(f"decoder must be 'gaussian' or 'discretized'; got {decoder!r}.")
    if decoder == "discretized":
        _levels(x_0, bins)


def _levels(x, bins):
    """Return the numbers 0..B - 1 of the bins whose values are x."""
    bins = count(bins, "bins", least=2)
    level = (x + 1) * (bins - 1) / 2
    off = ~(np.abs(level - np.round(level)) <= 1e-6) | ~(np.abs(x) <= 1 + 1e-9)
    if off.any():
        raise ValueError(
            f"x must lie on the {bins} values -1 + 2k/{bins - 1}; got {x[off].flat[0]}. Data in 0..{bins - 1}? Scale to"
            " [-1, 1]."
        )
    return np.round(level).astype(int)


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
    Source: Ho, Jain & Abbeel (2020), eq. 13. Identity: :eq:`eq-elbo.discretized_log_likelihood`.

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
    half, level = 1 / (bins - 1), _levels(x, bins)
    upper = np.where(level == bins - 1, np.inf, (x + half - mean) / std)
    lower = np.where(level == 0, -np.inf, (x - half - mean) / std)
    right = lower > 0  # mirrored into the left tail, where Phi is small and log Phi exact
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    log_upper, log_lower = log_ndtr(upper), log_ndtr(lower)
    return np.sum(log_upper + np.log(-np.expm1(log_lower - log_upper)), axis=-1)
