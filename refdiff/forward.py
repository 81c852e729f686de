r"""The forward process q: a fixed Markov chain that turns data into noise.

Its definition is one line, q(x_t | x_{t-1}), and :func:`walk` is that line run T times. All other laws
here follow from it, and the catalogue judges each of them against the walk.
"""

import numpy as np

from refdiff.checks import check_rng, points, same_shape, table
from refdiff.gaussian import Gaussian

__all__ = ["covariance", "diffuse", "jump", "marginal", "transition", "walk"]


def transition(schedule, x_prev, t):
    r"""Return q(x_t | x_{t-1}), the definition of the forward process.

    .. math:: q(x_t \mid x_{t-1}) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_{t-1},\; \beta_t I\right)

    Parameters
    ----------
    schedule : Schedule
    x_prev : array_like, shape (..., d)
        x_{t-1}.
    t : int or array_like of int
        In 1..T; one step, or one per point.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        If x is not made of points or t is not a step for each of them.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 2. Identities: ``forward.transition``, ``forward.step_size``,
    ``bayes.markov``, ``bayes.rule``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> transition(Schedule.constant(3, 0.75), [2.0], 1).mean
    array([1.])
    """
    x_prev = points(x_prev, "x_prev")
    t = schedule.index(t, x_prev)
    return Gaussian(np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t])


def jump(schedule, x_s, s, t):
    r"""Return q(x_t | x_s) for s < t: several steps at once.

    .. math:: q(x_t \mid x_s) = \mathcal{N}\left(\sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,x_s,\;
        \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) I\right)

    Parameters
    ----------
    schedule : Schedule
    x_s : array_like, shape (..., d)
    s : int or array_like of int
        In 0..T - 1, below t. With s = 0 this is the marginal q(x_t | x_0).
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`, and if s >= t.

    Notes
    -----
    Source: Kingma et al. (2021), appendix A. Identity: ``forward.jump``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> jump(Schedule.constant(3, 0.75), [4.0], 1, 3).mean
    array([1.])
    """
    x_s = points(x_s, "x_s")
    s, t = schedule.index(s, x_s, name="s", least=0), schedule.index(t, x_s)
    if not np.all(np.less(s, t)):
        raise ValueError(f"s must be below t; got s = {np.max(s)} and t = {np.min(t)}. The chain runs forward in t.")
    log_ratio = schedule.log_alpha_bar[t] - schedule.log_alpha_bar[s]
    return Gaussian(np.exp(log_ratio / 2) * x_s, -np.expm1(log_ratio))


def marginal(schedule, x_0, t):
    r"""Return q(x_t | x_0), the closed form of t steps.

    .. math:: q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    Gaussian

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 4. Identities: ``forward.marginal``, ``forward.variance``,
    ``bayes.rule``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> marginal(Schedule.from_betas([0.1, 0.2]), [1.0], 2).var
    array([0.28])
    """
    x_0 = points(x_0, "x_0")
    t = schedule.index(t, x_0)
    return Gaussian(schedule.signal_rate[t] * x_0, schedule.one_minus_alpha_bar[t])


def diffuse(schedule, x_0, eps, t):
    r"""Return x_t for a given noise: the reparameterised marginal.

    .. math:: x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon

    This eps is the merged noise of t steps. It is not the noise of step t, with which it correlates by
    sqrt(beta_t / (1 - alpha_bar_t)).

    Parameters
    ----------
    schedule : Schedule
    x_0, eps : array_like, shape (..., d)
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (..., d)

    Raises
    ------
    TypeError, ValueError
        As for :func:`transition`, and if the shapes of x_0 and eps differ.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 3.2. Identity: ``forward.diffuse``.
    """
    x_0, eps = points(x_0, "x_0"), points(eps, "eps")
    same_shape(x_0=x_0, eps=eps)
    t = schedule.index(t, x_0)
    return schedule.signal_rate[t] * x_0 + schedule.noise_rate[t] * eps


def covariance(schedule, s, t):
    r"""Return Cov(x_s, x_t | x_0) of one coordinate of the chain.

    .. math:: \operatorname{Cov}(x_s, x_t \mid x_0) = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,(1 - \bar\alpha_s),
        \qquad s \le t

    Parameters
    ----------
    schedule : Schedule
    s, t : int or array_like of int
        In 1..T; symmetric in the two, and they broadcast.

    Returns
    -------
    ndarray

    Notes
    -----
    Source: from q(x_t | x_s), Kingma et al. (2021), appendix A. Identity: ``forward.covariance``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(covariance(Schedule.constant(3, 0.75), 1, 2))
    0.375
    """
    s, t = schedule.index(s, name="s"), schedule.index(t)
    s, t = np.minimum(s, t), np.maximum(s, t)
    log_alpha_bar = schedule.log_alpha_bar
    return np.exp((log_alpha_bar[t] - log_alpha_bar[s]) / 2) * schedule.one_minus_alpha_bar[s]


def walk(schedule, x_0, rng):
    r"""Draw whole chains x_0, x_1, ..., x_T: the definition of the forward process and nothing else.

    .. math:: x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \qquad \epsilon_t \sim \mathcal{N}(0, I)

    Parameters
    ----------
    schedule : Schedule
    x_0 : array_like, shape (n, d)
        Where the n chains start.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (T + 1, n, d)
        Entry t holds x_t; entry 0 is x_0.

    Raises
    ------
    TypeError
        If `rng` is not a Generator or x_0 is not made of real numbers.
    ValueError
        If x_0 is not of shape (n, d) and finite.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 2. Identity: ``forward.walk``.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> walk(Schedule.linear(), np.zeros((5, 2)), np.random.default_rng(0)).shape
    (1001, 5, 2)
    """
    x_0 = table(x_0, "x_0")
    x = np.empty((schedule.T + 1, *x_0.shape))
    x[0] = x_0
    check_rng(rng).standard_normal(out=x[1:])
    for t in range(1, schedule.T + 1):
        x[t] *= np.sqrt(schedule.beta[t])
        x[t] += np.sqrt(schedule.alpha[t]) * x[t - 1]
    return x
