r"""Fast solvers of the probability-flow ODE on a chain's own steps: DPM-Solver++(2M), and Heun as Karras et al. use it.

With eta = 0 DDIM follows the flow by Euler's method; these two are of second order. They draw nothing but x_T. In
y = x / sqrt(alpha_bar), whose noise is sigma = sqrt((1 - alpha_bar) / alpha_bar), the flow is dy / dsigma = eps_hat.
"""

import numpy as np

from refdiff.bayes import require_signal
from refdiff.checks import call_denoiser, points, same_shape
from refdiff.parameterize import x_0_from_eps
from refdiff.reverse.walks import check_below, downwards, kept_steps, last, start

__all__ = ["dpmpp_2m", "dpmpp_2m_path", "dpmpp_2m_step", "heun", "heun_path", "heun_step"]


def dpmpp_2m_step(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    r"""Return x_s of the second-order multistep of DPM-Solver++, from the data predicted at t and at the step before.

    .. math:: x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_s \left(e^{-h} - 1\right) D, \qquad
        D = \left(1 + \frac1{2r}\right) \hat x_0(t) - \frac1{2r}\,\hat x_0(t_{\text{before}}), \qquad
        r = \frac{h_{\text{before}}}{h}

    with the chain's own rates a = sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar), and steps in lambda:
    h = lambda_s - lambda_t and h_before = lambda_t - lambda_{t_before}, both > 0.

    **lambda is log(a / sigma), half of** ``Schedule.log_snr``, which is log(a^2 / sigma^2). With the whole of it
    the step is wrong.

    It is the exact solution of the flow, by variation of constants, for a prediction that stays at D all the way:

    .. math:: x_s = \frac{\sigma_s}{\sigma_t}\,x_t + \sigma_s \int_{\lambda_t}^{\lambda_s} e^\lambda D\,d\lambda

    and D is the line through both predictions at the middle of the way, lambda_t + h / 2. Of order 2: the error of a
    step falls as h^3. No call of a denoiser.

    Parameters
    ----------
    schedule : Schedule
    x_0_hat, x_0_hat_before : array_like, shape (..., d)
        What a denoiser took x_0 for at t and at t_before: :func:`refdiff.parameterize.x_0_from_eps`.
    x_t : array_like, shape (..., d)
    s, t, t_before : int or array_like of int
        1 <= s < t < t_before <= T; one step, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or s, t and t_before are not steps in that order; at s = 0 h is infinite.

    Notes
    -----
    Source: Lu et al. (2022b), DPM-Solver++, Algorithm 2. Identity: :eq:`eq-reverse.dpmpp_2m_step`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.2, 0.5, 0.6])  # 2 lambda = log 4, log 2/3 and log 4/21
    >>> dpmpp_2m_step(schedule, [1.0], [1.0], [0.0], 1, 2, 3).round(6)  # sqrt(.8) (1 - sqrt(1/6))
    array([0.529279])
    """
    x_0_hat, x_0_hat_before = points(x_0_hat, "x_0_hat"), points(x_0_hat_before, "x_0_hat_before")
    x_t = points(x_t, "x_t")
    same_shape(x_0_hat=x_0_hat, x_0_hat_before=x_0_hat_before, x_t=x_t)
    s, t = _between(schedule, x_t, s, t)
    t_before = schedule.index(t_before, x_t, name="t_before")
    check_below(t=t, t_before=t_before)
    h, h_before = _h(schedule, s, t), _h(schedule, t, t_before)
    r = h_before / h
    D = (1 + 1 / (2 * r)) * x_0_hat - 1 / (2 * r) * x_0_hat_before
    return _towards(schedule, D, x_t, s, t)


def _h(schedule, s, t):
    """Return lambda_s - lambda_t, of lambda = log(a / sigma): HALF of log SNR."""
    return (schedule.log_snr[s] - schedule.log_snr[t]) / 2


def _towards(schedule, D, x_t, s, t):
    """Return x_s where the prediction of x_0 is D all the way; at s = 0, where h is infinite, it is D."""
    shrunk = schedule.noise_rate[s] / schedule.noise_rate[t]
    return shrunk * x_t - schedule.signal_rate[s] * np.expm1(-_h(schedule, s, t)) * D


def _between(schedule, x_t, s, t):
    """Return s and t, checked, lined up with x_t: neither of them is 0."""
    s, t = schedule.index(s, x_t, name="s", least=0), schedule.index(t, x_t)
    if np.any(np.equal(s, 0)):
        raise ValueError(
            "s must be at least 1 in a step of second order; got 0, where lambda is infinite and there is no noise to"
            " predict. The step to 0 is of first order: it returns x_0_hat."
        )
    check_below(s=s, t=t)
    return s, t


def dpmpp_2m_path(schedule, denoiser, x_T, steps=20):
    r"""Walk down some of the steps from x_T by DPM-Solver++(2M), as a generator.

    .. math:: x_{\tau_{k-1}} = \frac{\sigma_{\tau_{k-1}}}{\sigma_{\tau_k}}\,x_{\tau_k}
        - a_{\tau_{k-1}} \left(e^{-h_k} - 1\right) D_k, \qquad k = K, \ldots, 1, \qquad \tau_0 = 0

    D_k is what :func:`dpmpp_2m_step` makes of the predictions at tau_k and tau_{k+1}. The first step has none before
    it, and on the last h is infinite: there D_k = x_0_hat(tau_k), so that both are steps of DDIM with eta = 0, of
    first order. A step to 0 returns x_0_hat.

    Of order 2 in the largest h, down to tau_1; the error of the last step is a matter of tau_1 alone. K calls of the
    denoiser.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; it is asked at tau_K, ..., tau_1.
    x_T : array_like, shape (n, d)
        Where to begin, at step tau_K.
    steps : int or array_like of int
        K, at most T: then :func:`even_steps`. Or tau_1 < ... < tau_K themselves, from :func:`log_snr_steps`, say.

    Yields
    ------
    t : int
        From tau_{K-1} down to tau_0 = 0.
    x_t : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If the denoiser returns another shape, the steps do not increase within 1..T, or alpha_bar = 0 at one of them,
        where eps says nothing of x_0.

    Notes
    -----
    Source: Lu et al. (2022b), DPM-Solver++, Algorithm 2. Identities: :eq:`eq-reverse.dpmpp_2m_path`,
    :eq:`eq-reverse.solvers_of_one_point`.
    """
    x_t, x_0_hat_before, t_before = points(x_T, "x_T"), None, None
    for s, t in downwards(kept_steps(schedule, steps)):
        x_0_hat = x_0_from_eps(schedule, x_t, call_denoiser(denoiser, x_t, t), t)
        if x_0_hat_before is None or s == 0:
            x_t = _towards(schedule, x_0_hat, x_t, s, t)
        else:
            x_t = dpmpp_2m_step(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before)
        x_0_hat_before, t_before = x_0_hat, t
        yield s, x_t


def dpmpp_2m(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    r"""Draw n points by DPM-Solver++(2M): no noise but that of x_T, one call of the denoiser a step, second order.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad x_{\tau_{k-1}} = \frac{\sigma_{\tau_{k-1}}}{\sigma_{\tau_k}}
        \,x_{\tau_k} - a_{\tau_{k-1}} \left(e^{-h_k} - 1\right) D_k, \quad k = K, \ldots, 1, \qquad
        \tau_K = T, \; \tau_0 = 0

    The x_T is that of :func:`ddim` for the same seed. Of order 2; K calls of the denoiser.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T, or the steps themselves; see :func:`dpmpp_2m_path`.
    progress : callable, optional
        Called as ``progress(taken)`` after each step.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`dpmpp_2m_path`.

    Notes
    -----
    Source: Lu et al. (2022b), DPM-Solver++, Algorithm 2; :func:`dpmpp_2m_path` gives the path.
    Identities: :eq:`eq-reverse.dpmpp_2m`,
    :eq:`eq-reverse.solvers_begin_alike`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> standard = lambda x_t, t: np.sqrt(schedule.one_minus_alpha_bar[t]) * x_t  # ideal for data N(0, I)
    >>> schedule = Schedule.vp(1000)
    >>> dpmpp_2m(schedule, standard, 4, 2, np.random.default_rng(0), steps=10).shape
    (4, 2)
    """
    x_T, _ = start(n, d, rng)
    return last(dpmpp_2m_path(schedule, denoiser, x_T, steps), progress)


def heun_step(schedule, denoiser, x_t, s, t):
    r"""Return x_s of one step of Heun's method: Euler's, and again with the mean of the slopes at both its ends.

    .. math:: y_s = y_t + (\sigma_s - \sigma_t)\,\frac{\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)}2, \qquad
        y'_s = y_t + (\sigma_s - \sigma_t)\,\hat\epsilon(x_t, t)

    with y = x / sqrt(alpha_bar), for which sigma = sqrt((1 - alpha_bar) / alpha_bar) and the flow is
    dy / dsigma = eps_hat; the denoiser is always asked about x = sqrt(alpha_bar) y. Of order 2: the error of a step
    falls as its third power. Two calls of the denoiser, at t and at s.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_t : array_like, shape (..., d)
    s, t : int or array_like of int
        1 <= s < t <= T; one step, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If s and t are not steps for each point with s < t, s = 0, where there is no second slope, the denoiser returns
        another shape, or alpha_bar_t = 0, where sigma is infinite.

    Notes
    -----
    Source: Karras et al. (2022), Algorithm 1, with the s(t) and sigma(t) of this chain. Identity:
    :eq:`eq-reverse.heun_step`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.6])  # sigma = 1 and 2, signal rates sqrt(.5) and sqrt(.2)
    >>> x_t = [[2 * np.sqrt(0.2)]]  # y = 2
    >>> heun_step(schedule, lambda x_t, t: np.full_like(x_t, float(t == 2)), x_t, 1, 2) / np.sqrt(0.5)  # 2 - (1 + 0)/2
    array([[1.5]])
    """
    x_t = points(x_t, "x_t")
    at_s, at_t = _between(schedule, x_t, s, t)
    require_signal(schedule, at_t)
    eps_hat = call_denoiser(denoiser, x_t, t)
    eps_hat_s = call_denoiser(denoiser, _along(schedule, eps_hat, x_t, at_s, at_t), s)
    return _along(schedule, (eps_hat + eps_hat_s) / 2, x_t, at_s, at_t)


def _along(schedule, slope, x_t, s, t):
    """Return x_s for y_s = y_t + (sigma_s - sigma_t) slope.

    Times a_s, the difference is sigma'_s (1 - e^h) with sigma' = sqrt(1 - alpha_bar), which keeps its digits.
    """
    grown = np.exp((schedule.log_alpha_bar[s] - schedule.log_alpha_bar[t]) / 2)
    return grown * x_t - schedule.noise_rate[s] * np.expm1(_h(schedule, s, t)) * slope


def heun_path(schedule, denoiser, x_T, steps=20):
    r"""Walk down some of the steps from x_T by Heun's method, as a generator: no churn.

    .. math:: y_{\tau_{k-1}} = y_{\tau_k} + (\sigma_{\tau_{k-1}} - \sigma_{\tau_k})\,
        \frac{\hat\epsilon(x_{\tau_k}, \tau_k) + \hat\epsilon(x'_{\tau_{k-1}}, \tau_{k-1})}2, \quad k = K, \ldots, 2,
        \qquad y_0 = y_{\tau_1} - \sigma_{\tau_1}\,\hat\epsilon(x_{\tau_1}, \tau_1)

    The last step is Euler's, since at sigma = 0 there is no noise to predict: it returns x_0_hat, as DDIM's does.

    It is the twin of :func:`refdiff.continuous.edm` without churn. :func:`refdiff.continuous.heun` is another sampler:
    its steps are of x in s.

    What is wrong with a second slope counts (sigma_t - sigma_s) / 2 times, in y: beside the noise at s that is much if
    sigma_t is many times sigma_s. So a few steps are better spread evenly, :func:`even_steps`, than over log SNR.

    Of order 2 in the largest step, down to tau_1; the error of the last step is a matter of tau_1 alone. 2 K - 1 calls
    of the denoiser: K = (calls + 1) // 2 steps cost no more than `calls`.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; it is asked at each of tau_K, ..., tau_1, at all but tau_K twice.
    x_T : array_like, shape (n, d)
        Where to begin, at step tau_K.
    steps : int or array_like of int
        K, at most T: then :func:`even_steps`. Or tau_1 < ... < tau_K themselves, from :func:`edm_steps`, say.

    Yields
    ------
    t : int
        From tau_{K-1} down to tau_0 = 0.
    x_t : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`dpmpp_2m_path`.

    Notes
    -----
    Source: Karras et al. (2022), Algorithm 1.
    Identities: :eq:`eq-reverse.heun_path`, :eq:`eq-reverse.solvers_of_one_point`.
    """
    x_t = points(x_T, "x_T")
    for s, t in downwards(kept_steps(schedule, steps)):
        if s == 0:
            x_t = x_0_from_eps(schedule, x_t, call_denoiser(denoiser, x_t, t), t)
        else:
            x_t = heun_step(schedule, denoiser, x_t, s, t)
        yield s, x_t


def heun(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    r"""Draw n points by Heun's method: no noise but that of x_T, two calls of the denoiser a step, second order.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad y_{\tau_{k-1}} = y_{\tau_k} + (\sigma_{\tau_{k-1}}
        - \sigma_{\tau_k})\,\frac{\hat\epsilon(x_{\tau_k}, \tau_k) + \hat\epsilon(x'_{\tau_{k-1}}, \tau_{k-1})}2,
        \qquad \tau_K = T, \; \tau_0 = 0

    The x_T is that of :func:`ddim` for the same seed. Of order 2; 2 K - 1 calls of the denoiser.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T, or the steps themselves; see :func:`heun_path`.
    progress : callable, optional
        Called as ``progress(taken)`` after each step.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`dpmpp_2m_path`.

    Notes
    -----
    Source: Karras et al. (2022), Algorithm 1; :func:`heun_path` gives the path. Identities: :eq:`eq-reverse.heun`,
    :eq:`eq-reverse.solvers_begin_alike`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> standard = lambda x_t, t: np.sqrt(schedule.one_minus_alpha_bar[t]) * x_t  # ideal for data N(0, I)
    >>> schedule = Schedule.vp(1000)
    >>> heun(schedule, standard, 4, 2, np.random.default_rng(0), steps=10).shape
    (4, 2)
    """
    x_T, _ = start(n, d, rng)
    return last(heun_path(schedule, denoiser, x_T, steps), progress)
