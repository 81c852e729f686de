r"""Which steps of the chain to keep for a sampler that does not walk them all: tau_1 < ... < tau_K = T.

A solver's error depends on the spacing, in a variable of its own. Each function returns steps to be passed on as
`steps`, to :func:`refdiff.reverse.ddim`, to the solvers, or to :meth:`refdiff.schedule.Schedule.respace`.
"""

import numpy as np

from refdiff.checks import count, one_number
from refdiff.schedule import evenly_spread

__all__ = ["edm_steps", "even_steps", "log_snr_steps"]


def even_steps(schedule, number):
    r"""Return steps that are evenly spread over t, as an integer `steps` means.

    .. math:: \tau_k = \left\lfloor \frac{k T}{K} \right\rfloor, \qquad k = 1, \ldots, K

    Parameters
    ----------
    schedule : Schedule
    number : int
        K, at most T.

    Returns
    -------
    ndarray of int, shape (K,)
        Increasing, and ending at T.

    Raises
    ------
    TypeError, ValueError
        If the number is not an integer in 1..T.

    Notes
    -----
    Source: Song, Meng & Ermon (2021), appendix D.2, "linear". Identity: :eq:`eq-reverse.even_steps`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> even_steps(Schedule.linear(), 4)
    array([ 250,  500,  750, 1000])
    """
    return evenly_spread(schedule.T, number)


def log_snr_steps(schedule, number, *, first=1):
    r"""Return the steps nearest to an even grid in log SNR.

    .. math:: \ell_k = \ell(t_1) + \frac{k - 1}{K - 1}\left[\ell(T) - \ell(t_1)\right], \qquad
        \tau_k = \operatorname*{argmin}_{t \ge t_1} \left|\ell(t) - \ell_k\right|, \qquad
        \ell(t) = \log\frac{\bar\alpha_t}{1 - \bar\alpha_t}

    These are steps of equal h for :func:`dpmpp_2m`, whose lambda is half of log SNR. K = 1 keeps T alone.

    They are distinct. Where two points of the grid have one nearest step, the later moves up to the next step that is
    free, and so on; if that runs beyond T, the last ones are T - 1, T - 2, ... instead.

    Parameters
    ----------
    schedule : Schedule
    number : int
        K, at most T - first + 1.
    first : int
        t_1, where the grid begins: tau_1 for K > 1. Below it there is only the step to 0.

    Returns
    -------
    ndarray of int, shape (K,)
        Increasing, and ending at T.

    Raises
    ------
    TypeError, ValueError
        If there are not so many steps in first..T, or alpha_bar_T = 0, whose log SNR is at -inf.

    Notes
    -----
    Source: Lu et al. (2022a), DPM-Solver, "uniform in lambda". Identity: :eq:`eq-reverse.log_snr_steps`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> log_snr_steps(Schedule.vp(1000), 6)
    array([   1,   18,  141,  493,  786, 1000])
    """
    number, first = _to_choose(schedule, number, first)
    return _nearest(-schedule.log_snr, number, first)


def edm_steps(schedule, number, *, rho=7.0, first=1):
    r"""Return the steps nearest to the grid of Karras et al. in sigma, the noise beside a signal of rate 1.

    .. math:: \sigma_k^{1/\rho} = \sigma(t_1)^{1/\rho}
        + \frac{k - 1}{K - 1}\left[\sigma(T)^{1/\rho} - \sigma(t_1)^{1/\rho}\right], \qquad
        \tau_k = \operatorname*{argmin}_{t \ge t_1} \left|\sigma(t)^{1/\rho} - \sigma_k^{1/\rho}\right|, \qquad
        \sigma(t) = \sqrt{\frac{1 - \bar\alpha_t}{\bar\alpha_t}}

    rho = 1 is even in sigma; as rho grows the grid becomes :func:`log_snr_steps`, even in log sigma. K = 1 keeps T
    alone. Nearness is measured where the grid is even, in sigma^(1/rho). Where two points of the grid have one nearest
    step they are kept apart as in :func:`log_snr_steps`.

    Parameters
    ----------
    schedule : Schedule
    number : int
        K, at most T - first + 1.
    rho : float
        > 0. Karras et al. use 7.
    first : int
        t_1, whose sigma is their sigma_min; sigma(T) is their sigma_max.

    Returns
    -------
    ndarray of int, shape (K,)
        Increasing, and ending at T.

    Raises
    ------
    TypeError, ValueError
        If there are not so many steps in first..T, rho is not > 0, or alpha_bar_T = 0, whose sigma is infinite.

    Notes
    -----
    Source: Karras et al. (2022), eq. 5; they count down from sigma_max. Identity: :eq:`eq-reverse.edm_steps`.

    Examples
    --------
    >>> from refdiff import Schedule
    >>> edm_steps(Schedule.vp(1000), 6)
    array([   1,   78,  433,  711,  880, 1000])
    """
    number, first = _to_choose(schedule, number, first)
    log_sigma = -schedule.log_snr / 2
    # relative to sigma(T), which no power carries out of range; less 1, which keeps the digits where rho is large
    return _nearest(np.expm1((log_sigma - log_sigma[-1]) / one_number(rho, "rho")), number, first)


def _to_choose(schedule, number, first):
    """Return how many steps to choose and the first that may be, checked."""
    number, first = count(number, "number"), count(first, "first")
    if first > schedule.T:
        raise ValueError(f"first must be at most T = {schedule.T}; got {first}.")
    if number > schedule.T - first + 1:
        raise ValueError(
            f"number must be at most T - first + 1 = {schedule.T - first + 1}; got {number}. Steps are kept once."
        )
    if np.isneginf(schedule.log_snr[-1]):
        raise ValueError(
            f"schedule must have alpha_bar_T > 0; got alpha_bar_T = 0 at T = {schedule.T}, pure noise: log SNR is -inf"
            " there and no even grid reaches it. Choose even_steps, or steps that end below T."
        )
    return number, first


def _nearest(u, number, first):
    """Return the steps, all different, nearest to an even grid from u(first) to u(T); u increases with t."""
    grid = np.linspace(u[-1], u[first], number)[::-1]  # a single point is T
    steps = first + np.searchsorted((u[first:-1] + u[first + 1 :]) / 2, grid)
    k = np.arange(number)
    apart = np.maximum.accumulate(steps - k) + k  # none below the one before it plus 1
    return np.minimum(apart, u.size - number + k)  # nor so high that those after it have no room
