r"""Tweedie's formulas: mean and covariance of x_0 given x_t, from the score of q(x_t) and its Jacobian alone."""

import numpy as np

from refdiff.bayes import require_signal
from refdiff.checks import points
from refdiff.parameterize import x_0_from_score
from refdiff.score.field import call_score, check_score, jacobian


def tweedie(schedule, score, x_t, t):
    r"""Return E[x_0 | x_t], the best guess of where x_t came from.

    .. math:: \mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)}{\sqrt{\bar\alpha_t}}

    Exact for any data and any t, since q(x_t | x_0) is Gaussian. The score is that of q(x_t), at the same t. For a
    score known only at given points: :func:`refdiff.parameterize.x_0_from_score`.

    Parameters
    ----------
    schedule : Schedule
    score : callable
        ``score(x_t, t)``, the gradient of log q(x_t); from a denoiser by :func:`from_denoiser`.
    x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T; one step, or one per point.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        If t is not a step for each point, the score is not callable or returns another shape, or alpha_bar_t = 0.

    Notes
    -----
    Source: Robbins (1956); Efron (2011), eq. 1.4. Identity: :eq:`eq-score.tweedie`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.75])
    >>> tweedie(schedule, lambda x_t, t: -x_t, [2.0], 1)  # data N(0, 1): sqrt(alpha_bar) x_t
    array([1.])
    """
    x_t = points(x_t, "x_t")
    schedule.index(t, x_t)
    return x_0_from_score(schedule, x_t, call_score(score, x_t, t), t)


def tweedie_cov(schedule, score, x_t, t, *, hessian=None, step=1e-3):
    r"""Return Cov[x_0 | x_t], what x_t leaves open of x_0: Tweedie's formula of second order.

    .. math:: \operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}
        \left(I + (1 - \bar\alpha_t)\,\nabla^2_{x_t} \log q(x_t)\right)

    It is (1 - alpha_bar_t) / sqrt(alpha_bar_t) times the Jacobian of :func:`tweedie`. For a true score it is symmetric
    and not negative, so the Hessian of log q(x_t) is never below -I / (1 - alpha_bar_t); a network's score promises
    neither. Where little is left open the two terms cancel: mind the digits.

    Parameters
    ----------
    schedule : Schedule
    score : callable
        ``score(x_t, t)``.
    x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.
    hessian : callable, optional
        ``hessian(x_t, t)``, the Jacobian of the score, shape (..., d, d); by :func:`jacobian` if not given.
    step : float
        Of :func:`jacobian`.

    Returns
    -------
    ndarray, shape (..., d, d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`tweedie`, and if the Hessian has another shape.

    Notes
    -----
    Source: Efron (2011), section 2; Meng et al. (2021), theorem 1. Identity: :eq:`eq-score.tweedie_cov`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> schedule = Schedule.from_betas([0.75])
    >>> tweedie_cov(schedule, lambda x_t, t: -x_t, [2.0], 1).round(9)  # data N(0, 1): 1 - alpha_bar
    array([[0.75]])
    """
    x_t = points(x_t, "x_t")
    index = schedule.index(t, x_t)
    require_signal(schedule, index)
    if hessian is None:
        curvature = jacobian(score, x_t, t, step)
    else:
        check_score(score)
        check_score(hessian, "hessian")
        curvature = points(hessian(x_t, t), "hessian(x_t, t)")
    if curvature.shape != (*x_t.shape, x_t.shape[-1]):
        raise ValueError(f"hessian(x_t, t) must be {(*x_t.shape, x_t.shape[-1])}; got {curvature.shape}.")
    index = index if np.ndim(index) == 0 else index[..., None]
    var, alpha_bar = schedule.one_minus_alpha_bar[index], schedule.alpha_bar[index]
    return var / alpha_bar * (np.eye(x_t.shape[-1]) + var * curvature)
