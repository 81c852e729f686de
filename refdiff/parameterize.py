r"""One prediction in five coordinates: x_0, eps, v, the score, and the posterior mean.

Given x_t and t each determines the others by an affine map, so a network may predict any of them. Every
function takes (schedule, x_t, prediction, t); each pair is an inverse.
"""

import numpy as np

from refdiff.bayes import posterior, posterior_from_eps, require_signal
from refdiff.checks import points, same_shape

__all__ = [
    "eps_from_mean",
    "eps_from_score",
    "eps_from_v",
    "eps_from_x_0",
    "mean_from_eps",
    "mean_from_x_0",
    "score_from_eps",
    "score_from_x_0",
    "v_from_eps",
    "v_from_x_0",
    "x_0_from_eps",
    "x_0_from_mean",
    "x_0_from_score",
    "x_0_from_v",
]


def _rates(schedule, x_t, t, **prediction):
    """Check one prediction beside x_t; return both with the signal and noise rate at t."""
    ((name, value),) = prediction.items()
    x_t, value = points(x_t, "x_t"), points(value, name)
    same_shape(**{"x_t": x_t, name: value})
    t = schedule.index(t, x_t)
    return x_t, value, schedule.signal_rate[t], schedule.noise_rate[t], t


def x_0_from_eps(schedule, x_t, eps, t):
    r"""Return the x_0 from which the noise eps leads to x_t.

    .. math:: x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}

    Parameters
    ----------
    schedule : Schedule
    x_t, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T; one step, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, t is not a step for each point, or alpha_bar_t = 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 15. Identity: :eq:`eq-parameterize.x_0_from_eps`.
    """
    x_t, eps, signal, noise, t = _rates(schedule, x_t, t, eps=eps)
    require_signal(schedule, t)
    return (x_t - noise * eps) / signal


def eps_from_x_0(schedule, x_t, x_0, t):
    r"""Return the noise that leads from x_0 to x_t.

    .. math:: \epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}}

    Parameters
    ----------
    schedule : Schedule
    x_t, x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or t is not a step for each point.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.2. Identity: :eq:`eq-parameterize.eps_from_x_0`.
    """
    x_t, x_0, signal, noise, _ = _rates(schedule, x_t, t, x_0=x_0)
    return (x_t - signal * x_0) / noise


def v_from_eps(schedule, x_t, eps, t):
    r"""Return the velocity v in terms of x_t and eps.

    .. math:: v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0
        = \frac{\epsilon - \sqrt{1 - \bar\alpha_t}\,x_t}{\sqrt{\bar\alpha_t}}

    Parameters
    ----------
    schedule : Schedule
    x_t, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`x_0_from_eps`.

    Notes
    -----
    Source: Salimans & Ho (2022), appendix D. Identity: :eq:`eq-parameterize.v_from_eps`.
    """
    x_t, eps, signal, noise, t = _rates(schedule, x_t, t, eps=eps)
    require_signal(schedule, t)
    return (eps - noise * x_t) / signal


def eps_from_v(schedule, x_t, v, t):
    r"""Return eps in terms of x_t and the velocity v: a rotation, so it never divides.

    .. math:: \epsilon = \sqrt{1 - \bar\alpha_t}\,x_t + \sqrt{\bar\alpha_t}\,v

    Parameters
    ----------
    schedule : Schedule
    x_t, v : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Salimans & Ho (2022), appendix D. Identity: :eq:`eq-parameterize.eps_from_v`.
    """
    x_t, v, signal, noise, _ = _rates(schedule, x_t, t, v=v)
    return noise * x_t + signal * v


def x_0_from_v(schedule, x_t, v, t):
    r"""Return x_0 in terms of x_t and the velocity v.

    .. math:: x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,v

    Parameters
    ----------
    schedule : Schedule
    x_t, v : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Salimans & Ho (2022), appendix D. Identity: :eq:`eq-parameterize.x_0_from_v`.
    """
    x_t, v, signal, noise, _ = _rates(schedule, x_t, t, v=v)
    return signal * x_t - noise * v


def v_from_x_0(schedule, x_t, x_0, t):
    r"""Return the velocity v in terms of x_t and x_0.

    .. math:: v = \frac{\sqrt{\bar\alpha_t}\,x_t - x_0}{\sqrt{1 - \bar\alpha_t}}

    Parameters
    ----------
    schedule : Schedule
    x_t, x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Salimans & Ho (2022), appendix D. Identity: :eq:`eq-parameterize.v_from_x_0`.
    """
    x_t, x_0, signal, noise, _ = _rates(schedule, x_t, t, x_0=x_0)
    return (signal * x_t - x_0) / noise


def score_from_eps(schedule, x_t, eps, t):
    r"""Return the score of q(x_t) in terms of the expected noise, or of q(x_t | x_0) in terms of the noise.

    .. math:: \nabla_{x_t} \log q(x_t) = -\frac{\mathbb{E}[\epsilon \mid x_t]}{\sqrt{1 - \bar\alpha_t}}

    Mind the sign, the scale, and the density: that of the noised data at t, not of the data.

    Parameters
    ----------
    schedule : Schedule
    x_t, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Vincent (2011), eq. 9; Song et al. (2021), section 3. Identity: :eq:`eq-parameterize.score_from_eps`.
    """
    _, eps, _, noise, _ = _rates(schedule, x_t, t, eps=eps)
    return -eps / noise


def eps_from_score(schedule, x_t, score, t):
    r"""Return the expected noise in terms of the score of q(x_t).

    .. math:: \mathbb{E}[\epsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)

    Parameters
    ----------
    schedule : Schedule
    x_t, score : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Vincent (2011), eq. 9. Identity: :eq:`eq-parameterize.eps_from_score`.
    """
    _, score, _, noise, _ = _rates(schedule, x_t, t, score=score)
    return -noise * score


def x_0_from_score(schedule, x_t, score, t):
    r"""Return E[x_0 | x_t] in terms of the score of q(x_t): Tweedie's formula.

    .. math:: \mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)}{\sqrt{\bar\alpha_t}}

    Parameters
    ----------
    schedule : Schedule
    x_t, score : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`x_0_from_eps`.

    Notes
    -----
    Source: Robbins (1956); Efron (2011), eq. 1.4. Identity: :eq:`eq-parameterize.x_0_from_score`.
    """
    return x_0_from_eps(schedule, x_t, eps_from_score(schedule, x_t, score, t), t)


def score_from_x_0(schedule, x_t, x_0, t):
    r"""Return the score of q(x_t) in terms of E[x_0 | x_t], or of q(x_t | x_0) in terms of x_0.

    .. math:: \nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}

    Parameters
    ----------
    schedule : Schedule
    x_t, x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Vincent (2011), eq. 9. Identity: :eq:`eq-parameterize.score_from_x_0`.
    """
    return score_from_eps(schedule, x_t, eps_from_x_0(schedule, x_t, x_0, t), t)


def mean_from_eps(schedule, x_t, eps, t):
    r"""Return mu, the mean of p(x_{t-1} | x_t) that a prediction of eps stands for.

    .. math:: \mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)

    Parameters
    ----------
    schedule : Schedule
    x_t, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`x_0_from_eps`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 11. Identity: :eq:`eq-parameterize.mean_from_eps`.
    """
    return posterior_from_eps(schedule, eps, x_t, t).mean


def eps_from_mean(schedule, x_t, mean, t):
    r"""Return the prediction of eps that the mean of p(x_{t-1} | x_t) stands for.

    .. math:: \epsilon = \frac{\sqrt{1 - \bar\alpha_t}}{\beta_t}\left(x_t - \sqrt{\alpha_t}\,\mu\right)

    Parameters
    ----------
    schedule : Schedule
    x_t, mean : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`x_0_from_eps`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 11, solved for eps. Identity: :eq:`eq-parameterize.eps_from_mean`.
    """
    x_t, mean, _, noise, t = _rates(schedule, x_t, t, mean=mean)
    require_signal(schedule, t)
    return noise / schedule.beta[t] * (x_t - np.sqrt(schedule.alpha[t]) * mean)


def mean_from_x_0(schedule, x_t, x_0, t):
    r"""Return mu, the mean of p(x_{t-1} | x_t) that a prediction of x_0 stands for.

    .. math:: \mu = \tilde\mu_t(x_t, x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0
        + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t

    Parameters
    ----------
    schedule : Schedule
    x_t, x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 7. Identity: :eq:`eq-parameterize.mean_from_x_0`.
    """
    return posterior(schedule, x_0, x_t, t).mean


def x_0_from_mean(schedule, x_t, mean, t):
    r"""Return the prediction of x_0 that the mean of p(x_{t-1} | x_t) stands for.

    .. math:: x_0 = \frac{(1 - \bar\alpha_t)\,\mu - \sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})\,x_t}
        {\sqrt{\bar\alpha_{t-1}}\,\beta_t}

    Parameters
    ----------
    schedule : Schedule
    x_t, mean : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`eps_from_x_0`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 7, solved for x_0. Identity: :eq:`eq-parameterize.x_0_from_mean`.
    """
    x_t, mean, _, _, t = _rates(schedule, x_t, t, mean=mean)
    one_minus_alpha_bar = schedule.one_minus_alpha_bar
    weighted = one_minus_alpha_bar[t] * mean - np.sqrt(schedule.alpha[t]) * one_minus_alpha_bar[t - 1] * x_t
    return weighted / (schedule.signal_rate[t - 1] * schedule.beta[t])
