r"""Closed forms beside the bound: models with a linear denoiser, and mixture data with their ideal one.

With a linear denoiser the model is one Gaussian over x_0..x_T, so nothing about it is left to chance. With mixture
data and the ideal denoiser each term of the bound has an exact mean.
"""

import math

import numpy as np

from refdiff import elbo, reverse
from refdiff.bayes import require_signal
from refdiff.checks import count, points, real, table
from refdiff.elbo import Bound
from refdiff.gaussian import LOG_2_PI, Gaussian, kl
from refdiff.mixture import GaussianMixture


def linear_denoiser(schedule, slope, intercept):
    r"""Return the denoiser that is linear in x_t.

    .. math:: \hat\epsilon(x_t, t) = s_t\,x_t + i_t

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        s_t and i_t: one number for all steps, or one for each, entry 0 unused.

    Returns
    -------
    callable
        ``denoiser(x_t, t) -> eps_hat``.

    Raises
    ------
    TypeError, ValueError
        If slope or intercept have another shape or are not finite.

    Notes
    -----
    Source: the convention of this library. Identity: :eq:`eq-likelihood.linear_denoiser`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> linear_denoiser(Schedule.from_betas([0.5, 0.5]), 0.5, 1.0)(np.array([2.0]), 1)
    array([2.])
    """
    slope, intercept = _per_step(schedule, slope=slope, intercept=intercept)

    def denoiser(x_t, t):
        x_t = points(x_t, "x_t")
        t = schedule.index(t, x_t)
        return slope[t] * x_t + intercept[t]

    return denoiser


def _per_step(schedule, **given):
    """Return each argument as an array (T + 1,)."""
    arrays = []
    for name, value in given.items():
        value = real(value, name)
        if value.shape not in ((), (schedule.T + 1,)) or not np.isfinite(value if value.ndim == 0 else value[1:]).all():
            raise ValueError(
                f"{name} must be one finite number, or (T + 1,) = ({schedule.T + 1},) of them; got {value}."
            )
        arrays.append(np.broadcast_to(value, (schedule.T + 1,)))
    return arrays


class _LinearModel:
    r"""The steps x_{t-1} = a_t x_t + b_t + sigma_t z of a model with a linear denoiser: arrays (T + 1,) from t = 1.

    .. math:: a_t = \frac{1}{\sqrt{\alpha_t}}\left(1 - \frac{\beta_t\,s_t}{\sqrt{1 - \bar\alpha_t}}\right), \qquad
        b_t = -\frac{\beta_t\,i_t}{\sqrt{\alpha_t}\,\sqrt{1 - \bar\alpha_t}}
    """

    def __init__(self, schedule, slope, intercept, variance, decoder_var):
        slope, intercept = _per_step(schedule, slope=slope, intercept=intercept)
        t = np.arange(1, schedule.T + 1)
        require_signal(schedule, t)
        sqrt_alpha, c_eps = np.sqrt(schedule.alpha[t]), schedule.beta[t] / schedule.noise_rate[t]
        self.a, self.b, self.var = np.zeros((3, schedule.T + 1))
        self.a[t] = (1 - c_eps * slope[t]) / sqrt_alpha
        self.b[t] = -c_eps * intercept[t] / sqrt_alpha
        self.var[t] = reverse.var(schedule, t, variance)
        self.var[1] = reverse.decoder_var(schedule, decoder_var)

    def marginals(self):
        """Return mean and variance of p(x_t) for t = 0..T, of one coordinate: all are alike."""
        mean, var = np.zeros(len(self.a)), np.ones(len(self.a))
        for t in range(len(self.a) - 1, 0, -1):
            mean[t - 1], var[t - 1] = self.a[t] * mean[t] + self.b[t], self.a[t] ** 2 * var[t] + self.var[t]
        return mean, var


def linear_marginal(schedule, slope, intercept, d, t=0, variance="beta", decoder_var="beta_1"):
    r"""Return p(x_t) of a model with a linear denoiser: a Gaussian, at each t.

    .. math:: p(x_t) = \mathcal{N}(m_t, v_t I), \qquad m_T = 0,\; v_T = 1, \qquad
        m_{t-1} = a_t m_t + b_t, \qquad v_{t-1} = a_t^2 v_t + \sigma_t^2

    with a_t x_t + b_t the mean of p(x_{t-1} | x_t).

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    d : int
        The number of coordinates, all alike.
    t : int
        In 0..T; 0 is what the model takes for data.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`. It is counted: :func:`refdiff.reverse.sample` leaves it out.

    Returns
    -------
    Gaussian
        Of shape (d,).

    Raises
    ------
    TypeError, ValueError
        If t is not one integer in 0..T, and as for :func:`linear_denoiser` and :func:`refdiff.reverse.var`.

    Notes
    -----
    Source: the law of total variance along Ho, Jain & Abbeel (2020), eq. 1.
    Identity: :eq:`eq-likelihood.linear_marginal`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> ideal = schedule.noise_rate  # of data N(0, 1)
    >>> linear_marginal(schedule, ideal, 0.0, d=1).var.round(12)
    array([1.])
    """
    t = schedule.index(t, least=0)
    if np.ndim(t):
        raise ValueError(f"linear_marginal takes one step t; got shape {np.shape(t)}.")
    model = _LinearModel(schedule, slope, intercept, variance, decoder_var)
    mean, var = model.marginals()
    return Gaussian(np.full(count(d, "d"), mean[t]), var[t])


def linear_log_density(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    r"""Return the exact log p(x_0) of a model with a linear denoiser, in nats.

    .. math:: \log p(x_0) = \log \mathcal{N}(x_0; m_0, v_0 I)

    with m_0 and v_0 of :func:`linear_marginal`. It is what the bound is a bound on.

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    x_0 : array_like, shape (n, d)
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    TypeError, ValueError
        As for :func:`linear_marginal`, and if x_0 is not (n, d).

    Notes
    -----
    Source: the integral over x_1..x_T of Ho, Jain & Abbeel (2020), eq. 1, which is Gaussian here.
    Identity: :eq:`eq-likelihood.linear_log_density`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> linear_log_density(schedule, schedule.noise_rate, 0.0, [[0.0]]).round(6)  # ideal for data N(0, 1)
    array([-0.918939])
    """
    x_0 = table(x_0, "x_0")
    return linear_marginal(schedule, slope, intercept, x_0.shape[-1], 0, variance, decoder_var).log_density(x_0)


def linear_bound(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    r"""Return the bound of a model with a linear denoiser, in its denoising form, exactly.

    .. math:: L_0 = \frac d2\log 2\pi\sigma_1^2
        + \frac{\Vert x_0 - a_1 M_1 - b_1\Vert^2 + d\,a_1^2 V_1}{2\sigma_1^2}, \qquad
        L_{t-1} = d\,c_t + \frac{\Vert(A_t - a_t) M_t + B_t x_0 - b_t\Vert^2 + d\,(A_t - a_t)^2 V_t}{2\sigma_t^2}

    with a_t x_t + b_t the mean of p(x_{t-1} | x_t), A_t x_t + B_t x_0 that of the posterior, M_t and V_t mean and
    variance of q(x_t | x_0), and c_t of :func:`refdiff.elbo.kl_constant`. It is the mean of each part of
    :func:`refdiff.elbo.denoising_form`.

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    x_0 : array_like, shape (n, d)
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.

    Returns
    -------
    Bound

    Raises
    ------
    TypeError, ValueError
        As for :func:`linear_log_density`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 5, its expectations carried out. Identity: :eq:`eq-likelihood.linear_bound`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> bound = linear_bound(schedule, schedule.noise_rate, 0.0, [[0.0]])
    >>> bound.total.round(6) >= -linear_log_density(schedule, schedule.noise_rate, 0.0, [[0.0]]).round(6)
    array([ True])
    """
    x_0, model = table(x_0, "x_0"), _LinearModel(schedule, slope, intercept, variance, decoder_var)
    d, t = x_0.shape[-1], np.arange(2, schedule.T + 1)
    signal_rate, one_minus_alpha_bar = schedule.signal_rate, schedule.one_minus_alpha_bar
    of_x_0 = signal_rate[t - 1] * schedule.beta[t] / one_minus_alpha_bar[t]
    of_x_t = np.sqrt(schedule.alpha[t]) * one_minus_alpha_bar[t - 1] / one_minus_alpha_bar[t]
    slope_of_error = of_x_t - model.a[t]
    error = np.multiply.outer(slope_of_error * signal_rate[t] + of_x_0, x_0) - model.b[t, None, None]
    square = np.sum(error**2, axis=-1) + d * (slope_of_error**2 * one_minus_alpha_bar[t])[:, None]
    terms = np.zeros((schedule.T + 1, len(x_0)))
    terms[2:] = d * elbo.kl_constant(schedule, t, variance)[:, None] + square / (2 * model.var[t, None])

    return Bound(_linear_reconstruction(schedule, model, x_0), terms, elbo.prior_term(schedule, x_0), d)


def _linear_reconstruction(schedule, model, x_0):
    """Return -E log p(x_0 | x_1), shape (n,)."""
    d, sigma_2 = x_0.shape[-1], model.var[1]
    error = (1 - model.a[1] * schedule.signal_rate[1]) * x_0 - model.b[1]
    square = np.sum(error**2, axis=-1) + d * model.a[1] ** 2 * schedule.one_minus_alpha_bar[1]
    return 0.5 * d * (LOG_2_PI + np.log(sigma_2)) + square / (2 * sigma_2)


def linear_consistency_bound(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    r"""Return the bound of a model with a linear denoiser, in its consistency form, exactly.

    .. math:: C_t = \frac d2\log\frac{\sigma_{t+1}^2}{\beta_t} - \frac d2
        + \frac{\Vert M_t - a_{t+1} M_{t+1} - b_{t+1}\Vert^2
        + d\left(V_t + a_{t+1}^2 V_{t+1} - 2 a_{t+1}\sqrt{\alpha_{t+1}}\,V_t\right)}{2\sigma_{t+1}^2}

    with M_t and V_t mean and variance of q(x_t | x_0), sqrt(alpha_{t+1}) V_t the covariance of x_t and x_{t+1}, and the
    prior part -d/2 log(e beta_T) + (|M_T|^2 + d V_T)/2. The total is that of :func:`linear_bound`: the form has as
    good a closed form as the other.

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    x_0 : array_like, shape (n, d)
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.

    Returns
    -------
    Bound
        As :func:`refdiff.elbo.consistency_form`: entry t of its terms is C_t, t = 1..T - 1.

    Raises
    ------
    TypeError, ValueError
        As for :func:`linear_log_density`.

    Notes
    -----
    Source: Luo (2022), eq. 44, its expectations carried out. Identity: :eq:`eq-likelihood.linear_consistency_bound`.
    """
    x_0, model, T = table(x_0, "x_0"), _LinearModel(schedule, slope, intercept, variance, decoder_var), schedule.T
    d, t = x_0.shape[-1], np.arange(1, T)
    mean, var = np.multiply.outer(schedule.signal_rate, x_0), schedule.one_minus_alpha_bar
    a, sigma_2 = model.a[t + 1], model.var[t + 1]
    error = mean[t] - a[:, None, None] * mean[t + 1] - model.b[t + 1, None, None]
    spread = var[t] + a**2 * var[t + 1] - 2 * a * np.sqrt(schedule.alpha[t + 1]) * var[t]
    square = np.sum(error**2, axis=-1) + d * spread[:, None]
    terms = np.zeros((T + 1, len(x_0)))
    terms[1:T] = 0.5 * d * (np.log(sigma_2 / schedule.beta[t]) - 1)[:, None] + square / (2 * sigma_2[:, None])

    prior = 0.5 * (np.sum(mean[T] ** 2, axis=-1) + d * var[T] - d * (1 + np.log(schedule.beta[T])))
    return Bound(_linear_reconstruction(schedule, model, x_0), terms, prior, d)


class _Exponent:
    r"""log p(x_{0:T}) or log q(x_{1:T} | x_0) as a quadratic form in x = (x_1, ..., x_T), coordinate by coordinate.

    .. math:: -\tfrac12 x^\top \Lambda x + h^\top x + c

    with Lambda tridiagonal, shape (T, T); h of shape (T, n, d) and c of shape (n, d).
    """

    def __init__(self, precision, linear, constant):
        self.precision, self.linear, self.constant = precision, linear, constant

    def log_integral(self):
        """Return the log of the integral of its exponential over x, shape (n,); inf where it diverges."""
        T, n, d = self.linear.shape
        try:
            chol = np.linalg.cholesky(self.precision)
        except np.linalg.LinAlgError:
            return np.full(n, np.inf)
        half = np.linalg.solve(chol, self.linear.reshape(T, -1)).reshape(T, n, d)
        log_det = 2 * np.log(np.diag(chol)).sum()
        return np.sum(self.constant + 0.5 * (T * LOG_2_PI - log_det) + 0.5 * np.sum(half**2, axis=0), axis=-1)


def _exponent_of_model(schedule, model, x_0):
    r"""Return log p(x_{0:T}), of factors N(x_{t-1}; a_t x_t + b_t, sigma_t^2) and N(x_T; 0, 1)."""
    T, (a, b, var) = schedule.T, (model.a[1:], model.b[1:], model.var[1:])
    precision, linear = np.diag(a**2 / var), np.zeros((T, *x_0.shape))
    linear -= (a * b / var)[:, None, None]
    linear[0] += a[0] * x_0 / var[0]
    precision[T - 1, T - 1] += 1
    inner = np.arange(T - 1)  # x_t of the factor p(x_t | x_{t+1})
    precision[inner, inner] += 1 / var[1:]
    precision[inner, inner + 1] = precision[inner + 1, inner] = -a[1:] / var[1:]
    linear[:-1] += (b[1:] / var[1:])[:, None, None]
    constant = -0.5 * ((T + 1) * LOG_2_PI + np.log(var).sum() + np.sum(b[1:] ** 2 / var[1:]))
    return _Exponent(precision, linear, constant - (x_0 - b[0]) ** 2 / (2 * var[0]))


def _exponent_of_forward(schedule, x_0):
    r"""Return log q(x_{1:T} | x_0), of factors N(x_t; sqrt(alpha_t) x_{t-1}, beta_t)."""
    T, alpha, beta = schedule.T, schedule.alpha[1:], schedule.beta[1:]
    precision, linear = np.diag(1 / beta), np.zeros((T, *x_0.shape))
    inner = np.arange(T - 1)
    precision[inner, inner] += alpha[1:] / beta[1:]
    precision[inner, inner + 1] = precision[inner + 1, inner] = -np.sqrt(alpha[1:]) / beta[1:]
    linear[0] = np.sqrt(alpha[0]) * x_0 / beta[0]
    constant = -0.5 * (T * LOG_2_PI + np.log(beta).sum())
    return _Exponent(precision, linear, constant - alpha[0] * x_0**2 / (2 * beta[0]))


def linear_gap(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    r"""Return what the bound of a model with a linear denoiser exceeds -log p(x_0) by, exactly, in nats.

    .. math:: \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)
        = \sum_{t=1}^T \mathbb{E}_{q(x_{t-1} \mid x_0)}\,
        \mathrm{KL}\left(q(x_t \mid x_{t-1}) \,\Vert\, p(x_t \mid x_{t-1})\right), \qquad
        p(x_t \mid x_{t-1}) = \mathcal{N}\left(m_t + \frac{a_t v_t}{v_{t-1}}(x_{t-1} - m_{t-1}),\;
        \frac{\sigma_t^2 v_t}{v_{t-1}} I\right)

    Read upwards, the model is a Markov chain too: p(x_t | x_{t-1}) is Bayes' rule on its steps, a_t x_t + b_t plus
    noise of variance sigma_t^2, and its marginals, m_t and v_t of :func:`linear_marginal`. No term is negative, and
    none is a difference of bound and log-density.

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    x_0 : array_like, shape (n, d)
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.

    Returns
    -------
    ndarray, shape (n,)
        At least 0; 0 only if the model is the exact reverse process of x_0.

    Raises
    ------
    TypeError, ValueError
        As for :func:`linear_log_density`.

    Notes
    -----
    Source: Kingma & Welling (2014), eq. 1, by the chain rule of divergences, Cover & Thomas (2006), theorem 2.5.3.
    Identity: :eq:`eq-likelihood.linear_gap`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> linear_gap(schedule, schedule.noise_rate, 0.0, [[3.0]]).round(12)  # the exact reverse process of N(0, 1)
    array([0.])
    """
    x_0, model = table(x_0, "x_0"), _LinearModel(schedule, slope, intercept, variance, decoder_var)
    mean, var = model.marginals()
    gap = np.zeros(len(x_0))
    for t in range(1, schedule.T + 1):
        gain = model.a[t] * var[t] / var[t - 1]
        p_var = model.var[t] * var[t] / var[t - 1]
        slope_of_error = np.sqrt(schedule.alpha[t]) - gain
        error = slope_of_error * schedule.signal_rate[t - 1] * x_0 - (mean[t] - gain * mean[t - 1])
        spread = slope_of_error**2 * schedule.one_minus_alpha_bar[t - 1]
        at_the_mean = kl(Gaussian(error, schedule.beta[t]), Gaussian(np.zeros_like(error), p_var))
        gap += at_the_mean + x_0.shape[-1] * spread / (2 * p_var)
    return gap


def linear_log_second_moment(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    r"""Return log E[w^2] of the importance weight of a model with a linear denoiser: inf where it does not exist.

    .. math:: \mathbb{E}_q[w^2] = \int \frac{p(x_{0:T})^2}{q(x_{1:T} \mid x_0)}\,dx_{1:T} < \infty
        \iff 2\Lambda_p - \Lambda_q \succ 0, \qquad w = \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}

    Where it is infinite, the mean of the weights still is p(x_0), but has no standard error: no z-test of it means
    anything, and the estimate is nearly always too low. Where it is finite, n weights are worth
    n (E w)^2 / E[w^2] that are all alike.

    Parameters
    ----------
    schedule : Schedule
    slope, intercept : float or array_like, shape (T + 1,)
        Of the denoiser: see :func:`linear_denoiser`.
    x_0 : array_like, shape (n, d)
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.

    Returns
    -------
    ndarray, shape (n,)
        In nats; at least 2 log p(x_0).

    Raises
    ------
    TypeError, ValueError
        As for :func:`linear_log_density`.

    Notes
    -----
    Source: a Gaussian integral; why it has to be looked at first, Owen (2013), section 9.1.
    Identity: :eq:`eq-likelihood.linear_log_second_moment`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.3, 0.3])
    >>> linear_log_second_moment(schedule, 0.6, 0.0, [[1.0]]).round(4)
    array([-2.8222])
    >>> linear_log_second_moment(schedule, 0.6, 0.0, [[1.0]], decoder_var=1.0)  # too wide a decoder
    array([inf])
    """
    x_0, model = table(x_0, "x_0"), _LinearModel(schedule, slope, intercept, variance, decoder_var)
    p, q = _exponent_of_model(schedule, model, x_0), _exponent_of_forward(schedule, x_0)
    square = _Exponent(2 * p.precision - q.precision, 2 * p.linear - q.linear, 2 * p.constant - q.constant)
    return square.log_integral()


def mixture_bound(schedule, mixture, variance="beta", decoder_var="beta_1", *, eps_loss=None):
    r"""Return the mean of the bound over mixture data with their ideal denoiser, exactly.

    .. math:: \mathbb{E}\,L_{t-1} = d\left[w_t\,\ell_t + c_t\right], \qquad
        \mathbb{E}\,L_0 = \frac d2\left[\log 2\pi\sigma_1^2
        + \frac{\beta_1\,\ell_1}{\alpha_1\,\sigma_1^2}\right], \qquad
        \ell_t = \tfrac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2

    No denoiser has a lower mean. What it exceeds the entropy of the data by is
    KL(q(x_{0:T}) || p(x_{0:T})): what Gaussian steps of a fixed variance, and N(0, I) in place of q(x_T), cost.

    Parameters
    ----------
    schedule : Schedule
    mixture : GaussianMixture
        With d <= 2: the losses come from quadrature.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.
    decoder_var : {"beta_1", "beta_tilde_2"} or float
        See :func:`refdiff.reverse.decoder_var`.
    eps_loss : array_like, shape (T + 1,), optional
        The losses, if they are known already: the quadrature is what takes time.

    Returns
    -------
    Bound
        Of one entry, n = 1: the mean over the data.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As for :meth:`refdiff.mixture.GaussianMixture.eps_loss`.

    Notes
    -----
    On schedules such as Schedule.vp, whose steps shrink as T grows and which end in noise, the gap with
    ``variance="beta"`` falls as 1/T, and so does that with the best variances, which is smaller by a factor that
    depends on the data: 0 for one Gaussian, 0.65 for the mixture below. With ``variance="posterior"`` it does not
    vanish, whatever the decoder. For data N(0, 1), a decoder of variance beta_1 and any alpha_bar_T it is exactly
    sum_t [r_t - log(1 + r_t)]/2 over t = 2..T, with beta_t / beta_tilde_t = 1 + r_t. As T grows r_t tends to
    1/(t - 1), and the sum falls to gamma/2 = 0.289 nats a coordinate, with Euler's gamma, slowly: 0.96, 0.45, 0.32 for
    T = 50, 1000, 10,000 on Schedule.vp.

    Source: Ho, Jain & Abbeel (2020), eq. 5 and 12, their expectations carried out.
    Identity: :eq:`eq-likelihood.mixture_bound`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
    >>> gap = mixture_bound(Schedule.vp(50), data).total - data.entropy()
    >>> gap.round(3)
    array([0.067])
    """
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")
    d, T = len(mixture.mean), schedule.T
    require_signal(schedule, T)
    loss = real(mixture.eps_loss(schedule) if eps_loss is None else eps_loss, "eps_loss")
    if loss.shape != (T + 1,) or not ((loss[1:] >= 0) & (loss[1:] <= 1)).all():
        raise ValueError(f"eps_loss must have shape (T + 1,) = ({T + 1},), with entries in [0, 1]; got {loss}.")
    t = np.arange(2, T + 1)
    terms = np.zeros((T + 1, 1))
    weight, constant = elbo.weight(schedule, t, variance), elbo.kl_constant(schedule, t, variance)
    terms[2:, 0] = d * (weight * loss[t] + constant)
    sigma_2, beta_1 = reverse.decoder_var(schedule, decoder_var), schedule.beta[1]
    error = beta_1 * loss[1] / schedule.alpha[1]  # E |x_0 - mu(x_1, 1)|^2 per coordinate
    reconstruction = 0.5 * d * (LOG_2_PI + math.log(sigma_2) + error / sigma_2)
    # L_T is linear in the square of x_0, so its value at the root of the mean square is its mean
    prior = elbo.prior_term(schedule, np.sqrt(mixture.mean**2 + mixture.var))
    return Bound(np.array([reconstruction]), terms, np.array([prior]), d)


def reverse_entropy_bounds(schedule, d, t):
    r"""Return Sohl-Dickstein's bounds on the conditional entropy of a reverse step, H(x_{t-1} | x_t), in nats.

    .. math:: \tfrac d2\log 2\pi e\tilde\beta_t = H(x_{t-1} \mid x_t, x_0) \;\le\; H(x_{t-1} \mid x_t)
        \;\le\; H(x_t \mid x_{t-1}) = \tfrac d2\log 2\pi e\beta_t

    They do not know the data. The lower one is reached by data at one point, the upper one by data N(0, I). The upper
    one needs that the entropy does not fall at this step, H(x_t) >= H(x_{t-1}). It falls where x_{t-1} is spread wider
    than noise: data N(0, 4 I) break the bound at each t, two needles at +-5 from the step on at which they blur.

    Parameters
    ----------
    schedule : Schedule
    d : int
    t : int or array_like of int
        In 2..T: at t = 1 the lower bound is -inf.

    Returns
    -------
    lower, upper : ndarray
        Of the shape of t.

    Raises
    ------
    TypeError, ValueError
        If t is not in 2..T or d no positive integer.

    Notes
    -----
    Source: Sohl-Dickstein et al. (2015), eq. 24. Identity: :eq:`eq-likelihood.reverse_entropy_bounds`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> lower, upper = reverse_entropy_bounds(Schedule.from_betas([0.5, 0.5]), 1, 2)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.8696, 1.0724)
    """
    t, d = schedule.index(t, least=2), count(d, "d")
    return tuple(0.5 * d * (1 + LOG_2_PI + np.log(var)) for var in (schedule.beta_tilde[t], schedule.beta[t]))
