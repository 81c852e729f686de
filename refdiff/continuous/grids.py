r"""Grids of times for samplers that take a fixed number of steps, from noise down to data.

A grid has K + 1 times for K steps. It decreases, and both of its ends are times of it: where it starts, and where the
last step arrives.
"""

import numpy as np

from refdiff.checks import count, one_number
from refdiff.continuous.flow import one_instant
from refdiff.continuous.sde import times as in_range

__all__ = ["check_times", "edm_times", "even_times", "log_snr_times", "noise_to_signal"]


def check_times(times):
    """Return a grid as floats, shape (K + 1,) with K >= 1, checked to decrease within [0, 1]."""
    times = in_range(times, name="times")
    if times.ndim != 1 or len(times) < 2:
        raise ValueError(f"times must be K + 1 numbers for K >= 1 steps, both ends included; got shape {times.shape}.")
    late = np.flatnonzero(times[1:] >= times[:-1])
    if late.size:
        u, s = times[late[0] : late[0] + 2]
        raise ValueError(f"times must decrease, from noise to data; got {u} before {s}. Built upwards? times[::-1].")
    return times


def noise_to_signal(sde, s):
    """Return sigma_s / a_s, the standard deviation of the noise in x_s / a_s."""
    return sde.noise_rate(s) / sde.signal_rate(s)


def _ends(steps, start, stop):
    """Return the number of steps and both ends, checked: 0 <= stop < start <= 1."""
    steps, start, stop = count(steps, "steps"), one_instant(start, "start"), one_instant(stop, "stop")
    if not stop < start:
        raise ValueError(f"start must be above stop; got {start} and {stop}. Samplers go from noise, s = 1, to data.")
    return steps, start, stop


def _check_signal(sde, start):
    """Raise unless some signal is left at the start, in floating-point numbers."""
    if not sde.signal_rate(start) > 0:
        raise ValueError(f"start must be where some signal is left, for log SNR to be finite; got {start}.")


def even_times(steps, start=1.0, stop=1e-3):
    r"""Return times with even distances.

    .. math:: s_k = \text{start} + \frac kK\,(\text{stop} - \text{start}), \qquad k = 0, \ldots, K

    They do not look at the equation. For VE they are levels sigma(s) in geometric progression; for VP and sub-VP log
    SNR falls faster at both ends than in between.

    Parameters
    ----------
    steps : int
        K.
    start, stop : float
        0 <= stop < start <= 1.

    Returns
    -------
    ndarray, shape (K + 1,)

    Raises
    ------
    TypeError, ValueError
        If `steps` is no positive integer, or the ends are not in order within [0, 1].

    Notes
    -----
    Source: the convention of Song et al. (2021), whose code stops at 1e-3. Identity: :eq:`eq-continuous.grids`.

    Examples
    --------
    >>> even_times(4, stop=0.0)
    array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    steps, start, stop = _ends(steps, start, stop)
    return np.linspace(start, stop, steps + 1)


def log_snr_times(sde, steps, start=1.0, stop=1e-3):
    r"""Return times at which the logarithm of the signal-to-noise ratio has even distances.

    .. math:: \lambda(s_k) = \lambda(\text{start}) + \frac kK\left[\lambda(\text{stop}) - \lambda(\text{start})\right],
        \qquad k = 0, \ldots, K

    Each step multiplies the ratio sigma_s / a_s by the same factor. There is no such grid down to s = 0, which is
    infinitely many factors away.

    Parameters
    ----------
    sde : VP, VE or SubVP
    steps : int
        K.
    start, stop : float
        0 < stop < start <= 1.

    Returns
    -------
    ndarray, shape (K + 1,)

    Raises
    ------
    TypeError, ValueError
        If `steps` is no positive integer, the ends are not in order, or stop is 0.

    Notes
    -----
    Source: Lu et al. (2022), whose lambda is half of this one. Identity: :eq:`eq-continuous.grids`.

    Examples
    --------
    >>> from refdiff.continuous import VP
    >>> log_snr_times(VP(), 4).round(4)
    array([1.    , 0.7223, 0.3046, 0.0317, 0.001 ])
    """
    steps, start, stop = _ends(steps, start, stop)
    if stop == 0:
        raise ValueError(
            "stop must be > 0: log SNR is infinite at s = 0, and no even steps lead there. Stop at 1e-3 and add 0 as a"
            " last time, or take edm_times."
        )
    _check_signal(sde, start)
    inner = np.linspace(sde.log_snr(start), sde.log_snr(stop), steps + 1)[1:-1]
    return np.concatenate([[start], sde.time(inner), [stop]])


def edm_times(sde, steps, start=1.0, stop=1e-3, *, rho=7.0):
    r"""Return times at which a root of the noise-to-signal ratio has even distances.

    .. math:: r(s_k)^{1/\rho} = r(\text{start})^{1/\rho}
        + \frac kK\left[r(\text{stop})^{1/\rho} - r(\text{start})^{1/\rho}\right], \qquad
        r(s) = \frac{\sigma_s}{a_s}, \qquad k = 0, \ldots, K

    With rho = 1 the ratio itself has even distances; the larger rho is, the more of the steps are taken at little
    noise, and as it grows the grid becomes :func:`log_snr_times`. It may end at s = 0, where the ratio is 0. Karras et
    al. end another way: their N steps are ``np.append(edm_times(sde, N - 1, start, stop), 0.0)``.

    Parameters
    ----------
    sde : VP, VE or SubVP
    steps : int
        K.
    start, stop : float
        0 <= stop < start <= 1.
    rho : float
        > 0.

    Returns
    -------
    ndarray, shape (K + 1,)

    Raises
    ------
    TypeError, ValueError
        If `steps` is no positive integer, the ends are not in order, or rho is not > 0.

    Notes
    -----
    Source: Karras et al. (2022), eq. 5. Identity: :eq:`eq-continuous.grids`.

    Examples
    --------
    >>> from refdiff.continuous import VE
    >>> sde = VE(1.0, 5.0)
    >>> times = edm_times(sde, 4, stop=0.0, rho=1.0)
    >>> sde.noise_rate(times).round(6)  # a_s = 1: from sqrt(24) in even steps
    array([4.898979, 3.674235, 2.44949 , 1.224745, 0.      ])
    """
    steps, start, stop = _ends(steps, start, stop)
    rho = one_number(rho, "rho")
    _check_signal(sde, start)
    with np.errstate(divide="ignore"):  # of the logarithm of 0, where stop is 0
        log_high, log_low = np.log(noise_to_signal(sde, np.array([start, stop])))
    # relative to the start, which no power carries out of range; less 1, which keeps the digits where rho is large
    inner = np.linspace(0.0, np.expm1((log_low - log_high) / rho), steps + 1)[1:-1]
    return np.concatenate([[start], sde.time(-2 * (log_high + rho * np.log1p(inner))), [stop]])
