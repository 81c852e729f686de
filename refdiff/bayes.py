r"""The posterior q(x_{t-1} | x_t, x_0): the forward step turned round by Bayes' rule, given where it began.

Three forms of the same law (in x_0, in eps, and as a sum of precisions), the constants that the derivation
completes the square with, and the smoothing law of a step between its two neighbours.
"""

import numpy as np

from refdiff.checks import points, same_shape
from refdiff.gaussian import LOG_2_PI, Gaussian, from_natural

__all__ = [
    "log_c_1",
    "log_c_2",
    "posterior",
    "posterior_from_eps",
    "posterior_from_precisions",
    "quadratic_constant",
    "smoothing",
]


def posterior(schedule, x_0, x_t, t):
    r"""Return q(x_{t-1} | x_t, x_0) in terms of x_0 and x_t.

    .. math:: q(x_{t-1} \mid x_t, x_0) = \mathcal{N}\left(\tilde\mu_t,\; \tilde\beta_t I\right), \qquad
        \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0
        + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t, \qquad
        \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t

    Exact for every beta. At t = 1 it is a point mass at x_0, since beta_tilde_1 = 0. It is not
    q(x_{t-1} | x_t), which does not know x_0 and is a mixture of these: see
    :meth:`refdiff.mixture.GaussianMixture.reverse_kernel`.

    Parameters
    ----------
    schedule : Schedule
    x_0, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T; one step, or one per point.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If the shapes of x_0 and x_t differ or t is not a step for each point.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 6 and 7. Identities: :eq:`eq-bayes.posterior_mean`,
    :eq:`eq-bayes.posterior_var`, :eq:`eq-bayes.rule`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> q = posterior(Schedule.from_betas([0.5, 0.5]), [1.0], [1.0], 2)
    >>> q.mean.round(4), q.var.round(4)
    (array([0.9428]), array([0.3333]))
    """
    x_0, x_t = points(x_0, "x_0"), points(x_t, "x_t")
    same_shape(x_0=x_0, x_t=x_t)
    t = schedule.index(t, x_t)
    alpha, signal_rate, one_minus_alpha_bar = schedule.alpha, schedule.signal_rate, schedule.one_minus_alpha_bar
    c_0 = signal_rate[t - 1] * schedule.beta[t] / one_minus_alpha_bar[t]
    c_t = np.sqrt(alpha[t]) * one_minus_alpha_bar[t - 1] / one_minus_alpha_bar[t]
    return Gaussian(c_0 * x_0 + c_t * x_t, schedule.beta_tilde[t], point_mass=True)


def posterior_from_eps(schedule, eps, x_t, t):
    r"""Return q(x_{t-1} | x_t, x_0) in terms of the noise that leads from x_0 to x_t.

    .. math:: \tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}
        \left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)

    The same law as :func:`posterior` where eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t).

    Parameters
    ----------
    schedule : Schedule
    eps, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`posterior`, and where alpha_t = 0: eps = x_t then says nothing of x_0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 10. Identity: :eq:`eq-bayes.posterior_from_eps`.
    """
    eps, x_t = points(eps, "eps"), points(x_t, "x_t")
    same_shape(eps=eps, x_t=x_t)
    t = schedule.index(t, x_t)
    require_signal(schedule, t)
    c_eps = schedule.beta[t] / schedule.noise_rate[t]
    return Gaussian((x_t - c_eps * eps) / np.sqrt(schedule.alpha[t]), schedule.beta_tilde[t], point_mass=True)


def posterior_from_precisions(schedule, x_0, x_t, t):
    r"""Return q(x_{t-1} | x_t, x_0) as Bayes' rule gives it: precisions add, and so do precision-weighted means.

    .. math:: \frac{1}{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}, \qquad
        \frac{\tilde\mu_t}{\tilde\beta_t} = \frac{\sqrt{\alpha_t}}{\beta_t}\,x_t
        + \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\,x_0

    Parameters
    ----------
    schedule : Schedule
    x_0, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 2..T: at t = 1 the second precision is infinite.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`posterior`, and at t = 1.

    Notes
    -----
    Source: the exponent before the square is completed, Luo (2022), eq. 71 to 84.
    Identity: :eq:`eq-bayes.posterior_from_precisions`.
    """
    x_0, x_t = points(x_0, "x_0"), points(x_t, "x_t")
    same_shape(x_0=x_0, x_t=x_t)
    t = schedule.index(t, x_t, least=2)
    likelihood = schedule.alpha[t] / schedule.beta[t]
    prior = 1 / schedule.one_minus_alpha_bar[t - 1]
    weighted = np.sqrt(schedule.alpha[t]) / schedule.beta[t] * x_t + schedule.signal_rate[t - 1] * prior * x_0
    return from_natural(likelihood + prior, weighted)


def quadratic_constant(schedule, x_0, x_t, t):
    r"""Return C(x_0, x_t), the part of the posterior's exponent that does not contain x_{t-1}.

    .. math:: C(x_0, x_t) = \frac{\Vert x_t\Vert^2}{\beta_t}
        + \frac{\bar\alpha_{t-1}\Vert x_0\Vert^2}{1 - \bar\alpha_{t-1}}
        - \frac{\Vert x_t - \sqrt{\bar\alpha_t}\,x_0\Vert^2}{1 - \bar\alpha_t}
        = \frac{\Vert\tilde\mu_t\Vert^2}{\tilde\beta_t}

    That it equals the last expression is what lets the square be completed with nothing left over.

    Parameters
    ----------
    schedule : Schedule
    x_0, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 2..T.

    Returns
    -------
    ndarray, shape (...)

    Notes
    -----
    Source: Luo (2022), eq. 73 to 84. Identity: :eq:`eq-bayes.quadratic_constant`.
    """
    x_0, x_t = points(x_0, "x_0"), points(x_t, "x_t")
    same_shape(x_0=x_0, x_t=x_t)
    t = schedule.index(t, x_t, least=2)
    alpha_bar, one_minus_alpha_bar = schedule.alpha_bar, schedule.one_minus_alpha_bar
    return np.sum(
        x_t**2 / schedule.beta[t]
        + alpha_bar[t - 1] * x_0**2 / one_minus_alpha_bar[t - 1]
        - (x_t - schedule.signal_rate[t] * x_0) ** 2 / one_minus_alpha_bar[t],
        axis=-1,
    )


def log_c_1(schedule, d, t):
    r"""Return log C_1, the factor in front of the completed square in d dimensions.

    .. math:: q(x_{t-1} \mid x_t, x_0)
        = C_1 \exp\left(-\frac{\Vert x_{t-1} - \tilde\mu_t\Vert^2}{2\tilde\beta_t}\right), \qquad
        C_1 = \left(\frac{1 - \bar\alpha_t}{2\pi\,\beta_t\,(1 - \bar\alpha_{t-1})}\right)^{d/2}

    Parameters
    ----------
    schedule : Schedule
    d : int
    t : int or array_like of int
        In 2..T.

    Returns
    -------
    ndarray
        In nats, of the shape of t.

    Notes
    -----
    Source: normalisation of Ho, Jain & Abbeel (2020), eq. 6. Identity: :eq:`eq-bayes.log_c_1`.
    """
    t = schedule.index(t, least=2)
    return -0.5 * d * (LOG_2_PI + np.log(schedule.beta_tilde[t]))


def log_c_2(schedule, x_0, x_t, t):
    r"""Return log C_2, the factor in front of the exponent whose square is not completed.

    .. math:: q(x_{t-1} \mid x_t, x_0) = C_2 \exp\left(-\tfrac12\left[\frac{\Vert x_{t-1}\Vert^2}{\tilde\beta_t}
        - 2\,\frac{\tilde\mu_t^\top x_{t-1}}{\tilde\beta_t}\right]\right), \qquad
        C_2 = C_1 \exp\left(-\frac{\Vert\tilde\mu_t\Vert^2}{2\tilde\beta_t}\right)

    Parameters
    ----------
    schedule : Schedule
    x_0, x_t : array_like, shape (..., d)
    t : int or array_like of int
        In 2..T.

    Returns
    -------
    ndarray, shape (...)
        In nats.

    Notes
    -----
    Source: normalisation of Ho, Jain & Abbeel (2020), eq. 6, the square expanded. Identity: :eq:`eq-bayes.log_c_2`.
    """
    d = points(x_t, "x_t").shape[-1]
    constant = quadratic_constant(schedule, x_0, x_t, t)
    return log_c_1(schedule, d, t) - 0.5 * constant


def smoothing(schedule, x_prev, x_next, t):
    r"""Return q(x_t | x_{t-1}, x_{t+1}): a step between its two neighbours.

    .. math:: q(x_t \mid x_{t-1}, x_{t+1}) = \mathcal{N}\left(v\left(\frac{\sqrt{\alpha_t}\,x_{t-1}}{\beta_t}
        + \frac{\sqrt{\alpha_{t+1}}\,x_{t+1}}{\beta_{t+1}}\right),\; v I\right), \qquad
        \frac1v = \frac{1}{\beta_t} + \frac{\alpha_{t+1}}{\beta_{t+1}}

    By the Markov property x_0 adds nothing. It is what the consistency form of the bound needs.

    Parameters
    ----------
    schedule : Schedule
    x_prev, x_next : array_like, shape (..., d)
        x_{t-1} and x_{t+1}.
    t : int or array_like of int
        In 1..T - 1.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`posterior`, and at t = T, which has no next step.

    Notes
    -----
    Source: Bayes' rule on two forward steps; see Luo (2022), section on variational diffusion
    models. Identity: :eq:`eq-bayes.smoothing`.
    """
    x_prev, x_next = points(x_prev, "x_prev"), points(x_next, "x_next")
    same_shape(x_prev=x_prev, x_next=x_next)
    t = schedule.index(t, x_prev)
    if np.any(np.equal(t, schedule.T)):
        raise ValueError(f"smoothing needs a next step: t runs over 1..T - 1; got t = T = {schedule.T}.")
    alpha, beta = schedule.alpha, schedule.beta
    weighted = np.sqrt(alpha[t]) / beta[t] * x_prev + np.sqrt(alpha[t + 1]) / beta[t + 1] * x_next
    return from_natural(1 / beta[t] + alpha[t + 1] / beta[t + 1], weighted)


def require_signal(schedule, t):
    """Raise ValueError where alpha_bar_t = 0, so that x_t and its noise say nothing of x_0."""
    if np.any(schedule.alpha_bar[t] == 0):
        raise ValueError(
            f"eps determines x_0 only where alpha_bar_t > 0; got t = {np.max(t)} with alpha_bar_t = 0, where x_t is"
            " pure noise. A schedule whose last beta is 1, or whose betas leave nothing, needs x_0 or v in place of eps"
            " there."
        )
