r"""From denoisers to scores: what lets a network that predicts noise use all of this chapter."""

import numpy as np

from refdiff.checks import check_denoiser, count, points
from refdiff.continuous.sde import times

__all__ = ["denoiser_between_steps", "score_from_denoiser"]

SAME = 1e-9  # of a step: nearer than that s T is a step, and rounding what it differs by


def _answer(denoiser, x, at, name):
    """Return denoiser(x, at), checked to have the shape of x; a copy, for it may use its buffer again."""
    eps_hat = points(denoiser(x, at), f"denoiser(x, {name})")
    if eps_hat.shape != x.shape:
        raise ValueError(f"denoiser(x, {name}) must have the shape of x, {x.shape}; got {eps_hat.shape}.")
    return eps_hat.copy()


def score_from_denoiser(sde, denoiser):
    r"""Return the score that a denoiser in continuous time stands for.

    .. math:: \nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s}

    A network with steps t is one in continuous time by :func:`denoiser_between_steps`.

    Parameters
    ----------
    sde : VP, VE or SubVP
    denoiser : callable
        ``eps_hat = denoiser(x, s)``.

    Returns
    -------
    callable
        ``score(x, s)``: x of shape (..., d), s one number or one per point, > 0: without noise nothing is said of the
        density.

    Raises
    ------
    TypeError
        If the denoiser is not callable.

    Notes
    -----
    Source: Vincent (2011), eq. 9, in continuous time Song et al. (2021), eq. 7.
    Identity: :eq:`eq-continuous.score_from_denoiser`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> from refdiff.continuous import VP, heun, log_snr_times
    >>> schedule, sde = Schedule.vp(1000), VP()
    >>> standard = lambda x_t, t: schedule.noise_rate[t] * x_t  # ideal for data N(0, 1): a point stays where it is
    >>> score = score_from_denoiser(sde, denoiser_between_steps(standard, 1000))
    >>> heun(sde, score, [[1.0]], log_snr_times(sde, 100)).round(2)
    array([[1.]])
    """
    check_denoiser(denoiser)

    def score(x, s):
        x = points(x, "x")
        std = sde.noise_rate(times(s, x))
        if not np.all(std > 0):
            raise ValueError(
                "s must be > 0: at s = 0 there is no noise, and a denoiser says nothing of the score. End the times at"
                " 1e-3, say; edm goes on to 0 without asking there."
            )
        return -_answer(denoiser, x, s, "s") / std

    return score


def denoiser_between_steps(denoiser, T):
    r"""Return the denoiser in continuous time that a denoiser of T steps stands for, linear between steps.

    .. math:: \hat\epsilon(x, s) = (\lceil sT \rceil - sT)\,\hat\epsilon(x, \lfloor sT \rfloor)
        + (sT - \lfloor sT \rfloor)\,\hat\epsilon(x, \lceil sT \rceil), \qquad
        \hat\epsilon(x, s) = \hat\epsilon(x, 1) \text{ for } sT < 1

    At s = t/T it is the given denoiser, asked once; elsewhere it is asked twice, **and an approximation**: in between
    no network was trained, and the ideal one is not linear in s. It bends most where noise begins: for mixture data
    with components of standard deviation .3 and .5 and T = 1000 the ideal denoiser is missed, half-way between two
    steps, by 1.1 % of its root mean square from t = 1 to 2, by .05 % from 5 to 6 and by less than .01 % from t = 20 on.
    Below s = 1/T what is returned is too large, half-way down by the factor 1.45, and without bound towards 0. So let
    times end at 1/T or above.

    Parameters
    ----------
    denoiser : callable
        ``eps_hat = denoiser(x_t, t)``, with t an integer or integers of shape x.shape[:-1]. A trained MLP is one.
    T : int
        The number of steps that it knows.

    Returns
    -------
    callable
        ``eps_hat(x, s)``, with s in [0, 1] one number or one per point, for the equation whose law at s = t/T is that
        of the schedule at t: ``VP(beta_min, beta_max)`` for ``Schedule.vp(T, beta_min, beta_max)``. Other schedules
        have other equations.

    Raises
    ------
    TypeError, ValueError
        If the denoiser is not callable or T no positive integer.

    Notes
    -----
    Source: the definition of linear interpolation. Identity: :eq:`eq-continuous.denoiser_between_steps`.

    Examples
    --------
    >>> eps_hat = denoiser_between_steps(lambda x_t, t: t * x_t, 10)
    >>> [float(eps_hat([1.0], s)[0]) for s in (0.3, 0.375, 0.05)]
    [3.0, 3.75, 1.0]
    """
    check_denoiser(denoiser)
    T = count(T, "T")

    def eps_hat(x, s):
        x = points(x, "x")
        times(s, x)  # checked here, and used as it is
        at = np.maximum(np.asarray(s) * T, 1.0)
        step = np.rint(at)
        at = np.where(np.abs(at - step) < SAME, step, at)
        below = np.floor(at)
        share = at - below
        eps = _answer(denoiser, x, _steps(below), "t")
        if share.any():
            share = share[..., None] if share.ndim else share
            eps = eps + share * (_answer(denoiser, x, _steps(np.ceil(at)), "t") - eps)
        return eps

    return eps_hat


def _steps(t):
    """Return whole numbers as integers, as denoisers are asked with."""
    return t.astype(np.int64) if t.ndim else int(t)
