r"""DDIM: from any step to any earlier one, with as much noise as wanted."""

import functools

import numpy as np

from refdiff.checks import call_denoiser, check_rng, points, real
from refdiff.gaussian import Gaussian
from refdiff.kernels.streams import threads_to_use
from refdiff.parameterize import x_0_from_eps
from refdiff.reverse.walks import check_below, descend, end, kept_steps, linear, start

__all__ = ["ddim", "ddim_path", "ddim_transition", "ddim_var"]


def ddim_var(schedule, s, t, eta):
    r"""Return sigma^2, the variance of the DDIM step from t to s.

    .. math:: \sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}
        \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) = \eta^2 \operatorname{Var}_q[x_s \mid x_t, x_0]

    eta scales the standard deviation: 0 adds no noise, 1 as much as the posterior has, beta_tilde_t for s = t - 1.

    Parameters
    ----------
    schedule : Schedule
    s, t : int or ndarray of int
        0 <= s < t <= T; they broadcast.
    eta : float
        In [0, 1].

    Returns
    -------
    ndarray
        0 for s = 0.

    Raises
    ------
    TypeError, ValueError
        If s is not below t, one of them is no step, or eta is not one number in [0, 1].

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 16; their alpha is alpha_bar. Identity: :eq:`eq-reverse.ddim_var`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.5, 0.5])
    >>> [round(float(ddim_var(schedule, 1, 2, eta)), 4) for eta in (0.0, 0.5, 1.0)]
    [0.0, 0.0833, 0.3333]
    """
    s, t, eta = schedule.index(s, name="s", least=0), schedule.index(t), _share(eta)
    check_below(s=s, t=t)
    one_minus, log_alpha_bar = schedule.one_minus_alpha_bar, schedule.log_alpha_bar
    return eta**2 * one_minus[s] / one_minus[t] * -np.expm1(log_alpha_bar[t] - log_alpha_bar[s])


def _share(eta):
    """Return eta as a float, checked."""
    number = real(eta, "eta")
    if number.ndim or not 0 <= number <= 1:
        raise ValueError(f"eta must be one number in [0, 1]; got {eta!r}. 0 is DDIM, 1 is ancestral sampling.")
    return float(number)


def ddim_transition(schedule, denoiser, x_t, s, t, eta=0.0):
    r"""Return q_sigma(x_s | x_t, x_0) at the x_0 that the denoiser predicts: one step of DDIM.

    .. math:: q_\sigma(x_s \mid x_t, \hat x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_s}\,\hat x_0
        + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon(x_t, t),\; \sigma^2 I\right), \qquad
        \hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon(x_t, t)}{\sqrt{\bar\alpha_t}}

    It goes from any step to any earlier one. Of the noise at s it takes the share sigma^2 anew and keeps the rest: if
    x_t is from q(x_t | x_0) and the denoiser knows x_0, then x_s is from q(x_s | x_0), **for every eta**. That is all
    that training asks for, which is why one network serves them all. eta = 1 is the posterior, and with s = t - 1 the
    ancestral step with ``variance="posterior"``; eta = 0 adds no noise. The step to s = 0 returns x_0_hat.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    x_t : array_like, shape (..., d)
    s : int or array_like of int
        In 0..T - 1, below t; one step, or one per point.
    t : int or array_like of int
        In 1..T.
    eta : float
        In [0, 1]; see :func:`ddim_var`.

    Returns
    -------
    Gaussian
        With eta = 0 or s = 0 a point mass.

    Raises
    ------
    TypeError, ValueError
        If s and t are not steps for each point with s < t, the denoiser returns another shape, eta is not one number
        in [0, 1], or alpha_bar_t = 0, where eps says nothing of x_0.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 7, 12 and 16; their alpha is alpha_bar. Identities:
    :eq:`eq-reverse.ddim_transition`, :eq:`eq-reverse.ddim_keeps_the_marginals`, :eq:`eq-reverse.ddim_vs_ancestral`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.36, 0.75])  # signal rates .8 and .4
    >>> ddim_transition(schedule, lambda x_t, t: np.zeros_like(x_t), [1.0], 1, 2).mean
    array([2.])
    """
    x_t = points(x_t, "x_t")
    at_s, at_t = schedule.index(s, x_t, name="s", least=0), schedule.index(t, x_t)
    sigma_2 = ddim_var(schedule, at_s, at_t, eta)
    kept = np.sqrt(_kept_var(schedule, at_s, at_t, _share(eta)))
    eps_hat = call_denoiser(denoiser, x_t, t)
    x_0_hat = x_0_from_eps(schedule, x_t, eps_hat, t)
    return Gaussian(schedule.signal_rate[at_s] * x_0_hat + kept * eps_hat, sigma_2, point_mass=True)


def _kept_var(schedule, s, t, eta):
    """Return 1 - alpha_bar_s - sigma^2 as a sum of what is not negative.

    The difference would have no digits left, nor a sign, where eta = 1 and alpha_bar_t is small.
    """
    one_minus, log_alpha_bar = schedule.one_minus_alpha_bar, schedule.log_alpha_bar
    correlated = np.exp(log_alpha_bar[t] - log_alpha_bar[s]) * one_minus[s] / one_minus[t]  # corr(x_s, x_t | x_0)^2
    return one_minus[s] * ((1 - eta) * (1 + eta) + eta**2 * correlated)


def ddim_path(schedule, denoiser, x_T, rng, steps=50, eta=0.0):
    r"""Walk down some of the steps from x_T, as a generator: DDIM.

    .. math:: x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k}, \hat x_0), \qquad k = K, \ldots, 1,
        \qquad \tau_0 = 0

    With eta = 0 the path is a function of x_T, and `rng` is not used. Nothing is drawn for the last step in any case.

    K calls of the denoiser. With eta = 0 it is Euler's method for the probability flow, dy / dsigma = eps_hat with
    y = x / sqrt(alpha_bar), of order 1; :func:`dpmpp_2m_path` and :func:`heun_path` are of order 2. With eta = 1 it is
    of weak order 1.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``; it is asked at tau_K, ..., tau_1.
    x_T : array_like, shape (n, d)
        Where to begin, at step tau_K.
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T: then tau_k is k T / K, rounded down, so that tau_K = T. Or tau_1 < ... < tau_K themselves. As for
        :meth:`refdiff.schedule.Schedule.respace`.
    eta : float
        In [0, 1]; see :func:`ddim_var`.

    Yields
    ------
    t : int
        From tau_{K-1} down to tau_0 = 0.
    x_t : ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`ddim_transition` and :meth:`refdiff.schedule.Schedule.respace`.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), section 4.2 and eq. 12. Identities: :eq:`eq-reverse.ddim_path`,
    :eq:`eq-reverse.solvers_of_one_point`.
    """
    yield from _ddim(schedule, denoiser, x_T, check_rng(rng).standard_normal, steps, eta)


def _ddim(schedule, denoiser, x_T, draw, steps, eta):
    """Walk as :func:`ddim_path` does, with noise from ``draw(shape)``."""

    def step(x_t, s, t):
        return ddim_transition(schedule, denoiser, x_t, s, t, eta)

    yield from descend(step, kept_steps(schedule, steps), points(x_T, "x_T"), draw)


def ddim_coefficients(schedule, steps, eta):
    """Return t, a, b, c, each (K,), of the steps of :func:`ddim_path` as it walks: t = tau_K, ..., tau_1."""
    kept = kept_steps(schedule, steps)
    s, t = kept[-2::-1], kept[:0:-1]
    return linear(lambda denoiser, x_t: ddim_transition(schedule, denoiser, x_t, s, t, eta), t, s)


def ddim(schedule, denoiser, n, d, rng, steps=50, eta=0.0, *, threads=1, progress=None):
    r"""Draw n points by DDIM: few steps, and with eta = 0 no noise but that of x_T.

    .. math:: x_T \sim \mathcal{N}(0, I), \qquad x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k},
        \hat x_0), \quad k = K, \ldots, 1, \qquad \tau_K = T, \; \tau_0 = 0

    Of order 1, as :func:`ddim_path` says, with K calls of the denoiser: its error falls with the number of steps. For
    data N(0, I) and their ideal denoiser each step with eta = 0 multiplies x by cos(theta_t - theta_s), where
    cos^2 theta = alpha_bar, so that K steps draw points of a variance that is short of 1 by (pi / 2)^2 / K if the
    angles are even.

    Parameters
    ----------
    schedule : Schedule
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``.
    n, d : int
    rng : numpy.random.Generator
    steps : int or array_like of int
        K, at most T, or the steps themselves; see :func:`ddim_path`.
    eta : float
        In [0, 1]: 0 is DDIM, 1 is ancestral sampling on these steps; see :func:`ddim_var`.
    threads, progress
        As for :func:`sample`.

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`ddim_path`.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), eq. 12; :func:`ddim_path` gives the path. Identities: :eq:`eq-reverse.ddim`,
    :eq:`eq-reverse.solvers_begin_alike`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> standard = lambda x_t, t: np.sqrt(schedule.one_minus_alpha_bar[t]) * x_t  # ideal for data N(0, I)
    >>> schedule = Schedule.vp(1000)
    >>> ddim(schedule, standard, 4, 2, np.random.default_rng(0), steps=10).shape
    (4, 2)
    """
    threads = threads_to_use(threads)
    path = functools.partial(_ddim, schedule, denoiser, steps=steps, eta=eta)
    return end(path, ddim_coefficients(schedule, steps, eta), denoiser, start(n, d, rng), threads, progress)
