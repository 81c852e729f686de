r"""Score matching: four losses with one minimiser, what separates them, and what they have to do with the bound.

All are given per point, as the squared distance without a factor 1/2 and summed over coordinates; the losses are their
means. Directions and noise are arguments, so nothing here draws.
"""

import numpy as np

from refdiff import reverse
from refdiff.checks import count, one_number, points, real, same_shape
from refdiff.parameterize import score_from_x_0
from refdiff.score.field import along, call_score, check_t, directions, jacobian


def explicit_loss(score, true_score, x, t=None):
    r"""Return the squared distance of a score from the true one, at each point.

    .. math:: \Vert s(x) - \nabla \log q(x) \Vert^2, \qquad
        \text{with mean } F(q, s) = \mathbb{E}_q \Vert s - \nabla \log q \Vert^2

    The mean over q is the Fisher divergence. It needs the true score, which only data made for it have.

    Parameters
    ----------
    score, true_score : callable
        ``score(x, t)``, or ``score(x)`` if t is not given.
    x : array_like, shape (..., d)
        Points of q.
    t : int or array_like of int, optional

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError, ValueError
        If a score is not callable or returns another shape.

    Notes
    -----
    Source: Hyvärinen (2005), eq. 2, there with a factor 1/2. Identity: :eq:`eq-score.explicit_loss`.

    Examples
    --------
    >>> explicit_loss(lambda x: -x, lambda x: -2 * x, [[1.0, 2.0]])
    array([5.])
    """
    x = points(x, "x")
    check_t(t, x)
    return np.sum((call_score(score, x, t) - call_score(true_score, x, t, "true_score")) ** 2, axis=-1)


def implicit_loss(score, x, t=None, *, step=1e-3):
    r"""Return what is left of the explicit loss when the true score is integrated away, at each point.

    .. math:: \Vert s(x) \Vert^2 + 2 \operatorname{tr} \nabla s(x), \qquad
        \mathbb{E}_q \left[\Vert s \Vert^2 + 2 \operatorname{tr} \nabla s\right]
        = F(q, s) - \mathbb{E}_q \Vert \nabla \log q \Vert^2

    By parts, if q s vanishes far out: the cross term E s . grad log q is minus the mean divergence. The constant does
    not depend on s, so it has the same minimiser, at which it is minus the Fisher information: it may be negative.

    Parameters
    ----------
    score : callable
        ``score(x, t)``, or ``score(x)`` if t is not given; it is called 6 d + 1 times.
    x : array_like, shape (..., d)
        Points of q.
    t : int or array_like of int, optional
    step : float
        Of :func:`jacobian`.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError, ValueError
        As for :func:`jacobian`.

    Notes
    -----
    Source: Hyvärinen (2005), theorem 1, there with a factor 1/2. Identity: :eq:`eq-score.implicit_loss`.

    Examples
    --------
    >>> implicit_loss(lambda x: -x, [[0.0, 0.0], [1.0, 2.0]]).round(9)
    array([-4.,  1.])
    """
    x, J = points(x, "x"), jacobian(score, x, t, step)
    return np.sum(call_score(score, x, t) ** 2, axis=-1) + 2 * np.trace(J, axis1=-2, axis2=-1)


def denoising_loss(schedule, score, x_0, x_t, t):
    r"""Return the squared distance of a score from that of q(x_t | x_0), at each pair of points.

    .. math:: \Vert s(x_t, t) - \nabla_{x_t} \log q(x_t \mid x_0) \Vert^2
        = \frac{\Vert \epsilon - \hat\epsilon(x_t, t) \Vert^2}{1 - \bar\alpha_t}

    The target is known, unlike that of the explicit loss, and noisy: its mean given x_t is the score of q(x_t). So the
    two losses differ by a constant, :func:`denoising_gap`, below which this one cannot fall. The equation on the right
    is the loss of the denoiser that belongs to s: L_simple is this loss with the weights 1 - alpha_bar_t.

    Parameters
    ----------
    schedule : Schedule
    score : callable
        ``score(x_t, t)``.
    x_0, x_t : array_like, shape (..., d)
        x_t drawn from q(x_t | x_0).
    t : int or array_like of int
        In 1..T.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, t is not a step for each point, or the score is not callable or returns another shape.

    Notes
    -----
    Source: Vincent (2011), eq. 9 and 10, there with a factor 1/2. Identities: :eq:`eq-score.denoising_loss`,
    :eq:`eq-score.eps_loss`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> denoising_loss(Schedule.from_betas([0.75]), lambda x_t, t: 0 * x_t, [[2.0]], [[4.0]], 1)
    array([16.])
    """
    x_0, x_t = points(x_0, "x_0"), points(x_t, "x_t")
    same_shape(x_0=x_0, x_t=x_t)
    schedule.index(t, x_t)
    return np.sum((call_score(score, x_t, t) - score_from_x_0(schedule, x_t, x_0, t)) ** 2, axis=-1)


def denoising_gap(schedule, eps_loss, d):
    r"""Return by how much the denoising loss lies above the explicit one, at each t: for every score the same.

    .. math:: c_t = \mathbb{E}\Vert s - \nabla \log q(x_t \mid x_0) \Vert^2 - \mathbb{E}\Vert s - \nabla \log q(x_t)
        \Vert^2 = \mathbb{E} \operatorname{tr} \operatorname{Cov}[\nabla \log q(x_t \mid x_0) \mid x_t]
        = \frac{d\,\ell^*_t}{1 - \bar\alpha_t} = \frac{d}{1 - \bar\alpha_t} - \mathbb{E}\Vert\nabla\log q(x_t)\Vert^2

    with l*_t the mean squared error per coordinate of the ideal denoiser.

    Parameters
    ----------
    schedule : Schedule
    eps_loss : array_like, shape (T + 1,)
        l*_t, entry 0 unused: of mixture data by :meth:`refdiff.mixture.GaussianMixture.eps_loss`.
    d : int
        The number of coordinates.

    Returns
    -------
    ndarray, shape (T + 1,)
        Entry 0 is 0.

    Raises
    ------
    TypeError, ValueError
        If eps_loss has another shape or an entry that is not >= 0 and finite, or d is not a positive integer.

    Notes
    -----
    Source: Vincent (2011), section 4.2, whose constant it is. Identity: :eq:`eq-score.denoising_gap`.

    Examples
    --------
    >>> from refdiff import GaussianMixture, Schedule
    >>> schedule, data = Schedule.from_betas([0.5, 0.5]), GaussianMixture([1.0], [[0.0]], 1.0)
    >>> denoising_gap(schedule, data.eps_loss(schedule), 1).round(9)  # N(0, 1): alpha_bar / (1 - alpha_bar)
    array([0.        , 1.        , 0.33333333])
    """
    loss, d = real(eps_loss, "eps_loss"), count(d, "d")
    if loss.shape != (schedule.T + 1,):
        raise ValueError(f"eps_loss must have shape (T + 1,) = ({schedule.T + 1},); got {loss.shape}.")
    if not ((loss[1:] >= 0) & np.isfinite(loss[1:])).all():
        raise ValueError(f"eps_loss must be >= 0 and finite at t = 1..T; got {loss[1:].min()} to {loss[1:].max()}.")
    return np.concatenate([[0.0], d * loss[1:] / schedule.one_minus_alpha_bar[1:]])


def weight_score(schedule, t, variance="beta"):
    r"""Return the factor that turns the squared error of the score into L_{t-1}.

    .. math:: L_{t-1} = w_t\,\mathbb{E}\Vert s(x_t, t) - \nabla \log q(x_t \mid x_0)\Vert^2 + d\,c_t, \qquad
        w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t}

    with c_t of :func:`refdiff.elbo.kl_constant`: the bound is denoising score matching over all t, with these weights.
    With sigma_t^2 = beta_t that is beta_t / (2 alpha_t). At t = 1 it is the weight within L_0 of a Gaussian decoder of
    variance sigma_1^2.

    Parameters
    ----------
    schedule : Schedule
    t : int or array_like of int
        In 1..T; in 2..T for ``variance="posterior"``, since beta_tilde_1 = 0.
    variance : {"beta", "posterior"} or array_like
        See :func:`refdiff.reverse.var`.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        Where sigma_t^2 = 0, as beta_tilde_1 is, and where alpha_t = 0.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 12, times 1 - alpha_bar_t; Song et al. (2021), section 3.3.
    Identity: :eq:`eq-score.weight_score`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> float(weight_score(Schedule.from_betas([0.5, 0.5]), 2))
    0.5
    """
    t, sigma_2 = schedule.index(t), reverse.var(schedule, t, variance)
    for name, values in (("sigma_t^2", sigma_2), ("alpha_t", schedule.alpha[t])):
        if np.any(values == 0):
            raise ValueError(f"weight_score needs {name} > 0; got 0 at t = {np.ravel(t)[np.ravel(values == 0)][0]}.")
    return schedule.beta[t] ** 2 / (2 * sigma_2 * schedule.alpha[t])


def sliced_loss(score, x, v, t=None, *, step=1e-3):
    r"""Return the implicit loss seen along one direction for each point: one derivative instead of d.

    .. math:: (v \cdot s(x))^2 + 2\,v^\top \nabla s(x)\,v, \qquad \mathbb{E}_v
        = \Vert s \Vert^2 + 2 \operatorname{tr} \nabla s \quad\text{if}\quad \mathbb{E}\,v v^\top = I

    Normal directions and random signs both will do; directions of length 1 have E v v' = I / d, and their loss is 1/d
    of the implicit one.

    Parameters
    ----------
    score : callable
        ``score(x, t)``, or ``score(x)`` if t is not given; it is called 7 times, whatever d is.
    x, v : array_like, shape (..., d)
        Points of q, and a direction for each, drawn independently of them.
    t : int or array_like of int, optional
    step : float
        Of the coarsest of three differences along v.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or as for :func:`jacobian`.

    Notes
    -----
    Source: Song et al. (2019), "Sliced score matching", section 3, there with a factor 1/2.
    Identity: :eq:`eq-score.sliced_loss`.

    Examples
    --------
    >>> sliced_loss(lambda x: -x, [[1.0, 2.0]], [[1.0, -1.0]]).round(9)
    array([-3.])
    """
    (x, v), step = directions(x, v, t), one_number(step, "step")
    return np.sum(v * call_score(score, x, t), axis=-1) ** 2 + 2 * np.sum(v * along(score, x, v, t, step), axis=-1)


def sliced_loss_reduced(score, x, v, t=None, *, step=1e-3):
    r"""Return the sliced loss with its first term averaged over the directions: its mean at the same price.

    .. math:: \Vert s(x) \Vert^2 + 2\,v^\top \nabla s(x)\,v, \qquad \mathbb{E}_v
        = \Vert s \Vert^2 + 2 \operatorname{tr} \nabla s \quad\text{if}\quad \mathbb{E}\,v v^\top = I

    Known for less variance, which holds where the score is large: over normal directions it varies by
    2 |s|^4 + 8 s' (grad s) s less than :func:`sliced_loss` at each point, and near a mode, where s' (grad s) s is
    negative and s small, by that much more. Directions of length 1 are no matter of scale here: they would weigh the
    two terms differently, and another score would have the least loss.

    Parameters
    ----------
    score : callable
        ``score(x, t)``, or ``score(x)`` if t is not given.
    x, v : array_like, shape (..., d)
    t : int or array_like of int, optional
    step : float
        As for :func:`sliced_loss`.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    TypeError, ValueError
        As for :func:`sliced_loss`.

    Notes
    -----
    Source: Song et al. (2019), "Sliced score matching", section 3. Identity: :eq:`eq-score.sliced_loss_reduced`.

    Examples
    --------
    >>> sliced_loss_reduced(lambda x: -x, [[1.0, 2.0]], [[1.0, -1.0]]).round(9)
    array([1.])
    """
    (x, v), step = directions(x, v, t), one_number(step, "step")
    return np.sum(call_score(score, x, t) ** 2, axis=-1) + 2 * np.sum(v * along(score, x, v, t, step), axis=-1)
