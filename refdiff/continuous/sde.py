r"""Three stochastic differential equations that turn data into noise while s runs over [0, 1].

Each is dx = f(s) x ds + g(s) dW. The drift is linear and the noise does not look at x, so every transition is Gaussian,
and two functions of s say all about x_s given x_0: the factor of its mean and its variance. Any object with the methods
of these classes may take their place.
"""

import numpy as np

from refdiff.checks import count, points, real
from refdiff.gaussian import Gaussian
from refdiff.schedule import Schedule

__all__ = ["VE", "VP", "SubVP", "times"]


def times(s, x=None, name="s"):
    """Return s as floats in [0, 1], lined up with x: s itself, or for one per point with an axis for the event.

    Raises
    ------
    TypeError
        If s is not made of real numbers.
    ValueError
        If it leaves [0, 1], or does not have one entry for each point.
    """
    s = real(s, name)
    outside = ~((s >= 0) & (s <= 1))
    if outside.any():
        raise ValueError(f"{name} runs over [0, 1]; got {s[outside].flat[0]}. A step t of a schedule? s = t / T.")
    if x is None or s.ndim == 0:
        return s
    if s.shape != x.shape[:-1]:
        raise ValueError(
            f"{name} must be one number or have one entry per point: shape {x.shape[:-1]} beside points of shape"
            f" {x.shape}; got {s.shape}. The last axis of the points is the event."
        )
    return s[..., None]


def _ends(low, high, names):
    """Return two ends as floats with 0 < low <= high < inf."""
    low, high = float(real(low, names[0])), float(real(high, names[1]))
    if not 0 < low <= high < np.inf:
        raise ValueError(f"{names[0]} and {names[1]} must satisfy 0 < {names[0]} <= {names[1]}; got {low} and {high}.")
    return low, high


class _Linear:
    """What follows, for any of the three, from f, g, the factor of the mean and the variance."""

    def __repr__(self):
        arguments = ", ".join(f"{name}={value:g}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    def drift(self, x, s):
        r"""Return the drift of the forward equation, dx = drift ds + diffusion dW.

        .. math:: f(s)\,x

        Parameters
        ----------
        x : array_like, shape (..., d)
        s : float or array_like
            In [0, 1]; one number, or one per point.

        Returns
        -------
        ndarray, shape (..., d)

        Notes
        -----
        Source: Song et al. (2021), eq. 30 and 32. Identity: :eq:`eq-continuous.drift`.
        """
        x = points(x, "x")
        return self.drift_rate(times(s, x)) * x

    def noise_rate(self, s):
        r"""Return the standard deviation of x_s given x_0: the root of :meth:`var`.

        .. math:: \sigma_s = \sqrt{\operatorname{Var}[x_s \mid x_0]}

        Identity: :eq:`eq-continuous.rates`.
        """
        return np.sqrt(self.var(s))

    def marginal(self, x_0, s):
        r"""Return q(x_s | x_0).

        .. math:: q(x_s \mid x_0) = \mathcal{N}\left(a_s\,x_0,\; \sigma_s^2 I\right)

        Parameters
        ----------
        x_0 : array_like, shape (..., d)
        s : float or array_like
            In [0, 1]; one number, or one per point. At s = 0 it is a point mass.

        Returns
        -------
        Gaussian

        Notes
        -----
        Source: Song et al. (2021), eq. 29. Identity: :eq:`eq-continuous.transition`.
        """
        x_0 = points(x_0, "x_0")
        s = times(s, x_0)
        return Gaussian(self.signal_rate(s) * x_0, self.var(s), point_mass=True)

    def transition(self, x_s, s, u):
        r"""Return q(x_u | x_s) for s <= u.

        .. math:: q(x_u \mid x_s) = \mathcal{N}\left(\frac{a_u}{a_s}\,x_s,\;
            \left[\sigma_u^2 - \frac{a_u^2}{a_s^2}\,\sigma_s^2\right] I\right)

        The variance is computed from products, not from this difference: between near times it keeps its digits.

        Parameters
        ----------
        x_s : array_like, shape (..., d)
        s, u : float or array_like
            In [0, 1], s <= u; one number each, or one per point.

        Returns
        -------
        Gaussian
            At u = s a point mass.

        Raises
        ------
        TypeError, ValueError
            If x_s is not made of points, a time leaves [0, 1] or u < s.

        Notes
        -----
        Source: Kingma et al. (2021), appendix A. Identity: :eq:`eq-continuous.transition`.

        Examples
        --------
        >>> VP(2.0, 2.0).transition([1.0], 0.25, 0.75).mean.round(4)  # exp(-1/2)
        array([0.6065])
        """
        x_s = points(x_s, "x_s")
        s, u = times(s, x_s), times(u, x_s, "u")
        if not np.all(s <= u):
            raise ValueError(f"u must not be before s; got s = {np.max(s)} and u = {np.min(u)}. Time runs forward.")
        return Gaussian(self._factor(s, u) * x_s, self._spread(s, u), point_mass=True)


class _Beta(_Linear):
    """The two equations whose drift is -beta(s) x / 2, with beta linear in s."""

    def __init__(self, beta_min=0.1, beta_max=20.0):
        self.beta_min, self.beta_max = _ends(beta_min, beta_max, ("beta_min", "beta_max"))

    def beta(self, s):
        r"""Return the rate at which signal is lost.

        .. math:: \beta(s) = \beta_{\min} + s\,(\beta_{\max} - \beta_{\min})

        Identity: :eq:`eq-continuous.rates`.
        """
        return self.beta_min + times(s) * (self.beta_max - self.beta_min)

    def integral(self, s):
        r"""Return the integral of beta from 0 to s.

        .. math:: B(s) = \int_0^s \beta(r)\,dr = \beta_{\min}\,s + \tfrac12 s^2\,(\beta_{\max} - \beta_{\min})

        Identity: :eq:`eq-continuous.rates`.
        """
        return self._between(0.0, times(s))

    def _between(self, s, u):
        """Return the integral of beta from s to u: a line's value in the middle times the distance."""
        return (u - s) * (self.beta_min + 0.5 * (s + u) * (self.beta_max - self.beta_min))

    def _time_of(self, integral):
        """Return the s with B(s) = integral: the root of a quadratic that loses no digits."""
        slope = self.beta_max - self.beta_min
        return 2 * integral / (self.beta_min + np.sqrt(self.beta_min**2 + 2 * integral * slope))

    def _factor(self, s, u):
        return np.exp(-0.5 * self._between(s, u))

    def drift_rate(self, s):
        r"""Return f(s), the factor of x in the drift.

        .. math:: f(s) = -\tfrac12\beta(s)

        Identity: :eq:`eq-continuous.drift`.
        """
        return -0.5 * self.beta(s)

    def signal_rate(self, s):
        r"""Return the factor of x_0 in the mean of x_s.

        .. math:: a_s = e^{-B(s)/2} = \sqrt{\bar\alpha(s)}

        Identity: :eq:`eq-continuous.rates`.
        """
        return np.exp(-0.5 * self.integral(s))

    def prior(self, d):
        r"""Return the law that stands in for that of x_1, and that a sampler starts from.

        .. math:: p(x_1) = \mathcal{N}(0, I)

        Parameters
        ----------
        d : int

        Returns
        -------
        Gaussian
            Of one point, shape (d,).

        Notes
        -----
        Source: Song et al. (2021), appendix C. Identity: :eq:`eq-continuous.prior`.
        """
        return Gaussian(np.zeros(count(d, "d")), 1.0)


class VP(_Beta):
    r"""The variance-preserving equation: the limit of the forward chain as its steps become small.

    .. math:: dx = -\tfrac12\beta(s)\,x\,ds + \sqrt{\beta(s)}\,dW, \qquad
        \beta(s) = \beta_{\min} + s\,(\beta_{\max} - \beta_{\min})

    ``Schedule.vp(T)`` is this process, looked at only at s = t/T; :meth:`schedule` is the chain whose betas are read
    off beta(s), and tends to it as 1/T. What is preserved is a variance of 1, not any variance.

    Parameters
    ----------
    beta_min, beta_max : float
        0 < beta_min <= beta_max.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers or not in that order.

    Notes
    -----
    Source: Song et al. (2021), eq. 11 and 32.

    Examples
    --------
    >>> VP()
    VP(beta_min=0.1, beta_max=20)
    >>> float(VP().signal_rate(1.0).round(6))
    0.006572
    """

    def diffusion(self, s):
        r"""Return the factor of the noise, dW.

        .. math:: g(s) = \sqrt{\beta(s)}

        Identity: :eq:`eq-continuous.diffusion`.
        """
        return np.sqrt(self.beta(s))

    def var(self, s):
        r"""Return the variance of x_s given x_0.

        .. math:: \sigma_s^2 = 1 - e^{-B(s)} = 1 - \bar\alpha(s)

        Identity: :eq:`eq-continuous.rates`.
        """
        return 0.0 - np.expm1(-self.integral(s))

    def _spread(self, s, u):
        return 0.0 - np.expm1(-self._between(s, u))

    def log_snr(self, s):
        r"""Return the logarithm of the signal-to-noise ratio; infinite at s = 0.

        .. math:: \lambda(s) = \log\frac{a_s^2}{\sigma_s^2} = -B(s) - \log\left(1 - e^{-B(s)}\right)

        It falls at the rate g(s)^2 / sigma_s^2, for all three equations.

        Identity: :eq:`eq-continuous.log_snr`.
        """
        with np.errstate(divide="ignore"):
            return -self.integral(s) - np.log(self.var(s))

    def time(self, log_snr):
        r"""Return the s at which the signal-to-noise ratio has a given logarithm: the inverse of :meth:`log_snr`.

        .. math:: B = \log\left(1 + e^{-\lambda}\right), \qquad
            s = \frac{2B}{\beta_{\min} + \sqrt{\beta_{\min}^2 + 2 B\,(\beta_{\max} - \beta_{\min})}}

        Parameters
        ----------
        log_snr : array_like
            At least ``log_snr(1.0)``.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If so low a ratio is not reached by s = 1.

        Notes
        -----
        Source: solving the definitions. Identity: :eq:`eq-continuous.log_snr`.
        """
        return _reached(self._time_of(np.logaddexp(0.0, -real(log_snr, "log_snr"))), log_snr)

    def schedule(self, T):
        r"""Return the chain whose betas are read off beta(s): the one whose limit this equation is.

        .. math:: \beta_t = \frac1T\,\beta\!\left(\frac tT\right), \qquad
            \log\bar\alpha_T + B(1) \simeq -\frac1{2T}\left[\beta(1) - \beta(0) + \int_0^1 \beta(s)^2\,ds\right]

        Its error is of order 1/T, with the default range of beta exp(-77/T) in alpha_bar_T: 1000 steps lose 7.5 % of
        it. ``Schedule.vp(T)`` has no such error, since its betas are integrals over a step.

        Parameters
        ----------
        T : int
            More than beta_max, so that every beta is below 1.

        Returns
        -------
        Schedule

        Raises
        ------
        TypeError, ValueError
            If T is no integer above beta_max.

        Notes
        -----
        Source: Song et al. (2021), appendix B, eq. 22 to 25. Identity: :eq:`eq-continuous.chain_limit`.

        Examples
        --------
        >>> [float(VP().schedule(T).alpha_bar[-1].round(8)) for T in (100, 1000, 10_000)]
        [1.832e-05, 3.996e-05, 4.285e-05]
        """
        T = count(T, "T")
        if not self.beta_max < T:
            raise ValueError(
                f"T must be above beta_max = {self.beta_max:g}, or beta_T = beta_max / T is no variance below 1; got"
                f" {T}. Schedule.vp works with any T."
            )
        return Schedule.from_betas(self.beta(np.arange(1, T + 1) / T) / T)


class SubVP(_Beta):
    r"""The sub-VP equation: the drift of VP with less noise, so that its variance stays below that of VP.

    .. math:: dx = -\tfrac12\beta(s)\,x\,ds + \sqrt{\beta(s)\left(1 - e^{-2B(s)}\right)}\,dW, \qquad
        B(s) = \int_0^s \beta(r)\,dr

    Its *standard deviation* is what the variance of VP is.

    Parameters
    ----------
    beta_min, beta_max : float
        0 < beta_min <= beta_max.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers or not in that order.

    Notes
    -----
    Source: Song et al. (2021), section 3.4 and appendix C.

    Examples
    --------
    >>> half = 0.4
    >>> bool(SubVP().noise_rate(half) == VP().var(half))
    True
    """

    def diffusion(self, s):
        r"""Return the factor of the noise, dW.

        .. math:: g(s) = \sqrt{\beta(s)\left(1 - e^{-2B(s)}\right)}

        Identity: :eq:`eq-continuous.diffusion`.
        """
        return np.sqrt(self.beta(s) * -np.expm1(-2 * self.integral(s)))

    def noise_rate(self, s):
        r"""Return the standard deviation of x_s given x_0.

        .. math:: \sigma_s = 1 - e^{-B(s)}

        Identity: :eq:`eq-continuous.rates`.
        """
        return 0.0 - np.expm1(-self.integral(s))

    def var(self, s):
        r"""Return the variance of x_s given x_0.

        .. math:: \sigma_s^2 = \left(1 - e^{-B(s)}\right)^2

        Identity: :eq:`eq-continuous.rates`.
        """
        return self.noise_rate(s) ** 2

    def _spread(self, s, u):
        # var(u) - exp(-B(s, u)) var(s), multiplied out: both factors vanish without a difference
        return np.expm1(-self._between(s, u)) * np.expm1(-self._between(0.0, s) - self._between(0.0, u))

    def log_snr(self, s):
        r"""Return the logarithm of the signal-to-noise ratio; infinite at s = 0.

        .. math:: \lambda(s) = \log\frac{a_s^2}{\sigma_s^2} = -B(s) - 2\log\left(1 - e^{-B(s)}\right)

        Identity: :eq:`eq-continuous.log_snr`.
        """
        with np.errstate(divide="ignore"):
            return -self.integral(s) - 2 * np.log(self.noise_rate(s))

    def time(self, log_snr):
        r"""Return the s at which the signal-to-noise ratio has a given logarithm: the inverse of :meth:`log_snr`.

        .. math:: \sigma = \frac{2}{1 + \sqrt{1 + 4 e^{\lambda}}}, \qquad e^{-B} = e^{\lambda}\sigma^2 = 1 - \sigma

        Then s follows from B as for :class:`VP`.

        Parameters
        ----------
        log_snr : array_like
            At least ``log_snr(1.0)``.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If so low a ratio is not reached by s = 1.

        Notes
        -----
        Source: solving the definitions. Identity: :eq:`eq-continuous.log_snr`.
        """
        log_snr = real(log_snr, "log_snr")
        # sigma = 2 / (1 + root) with the root scaled by e^(-lambda/2), which does not overflow where lambda is large
        small = np.exp(-np.abs(log_snr) / 2)
        high = 2 * small / (small + np.sqrt(small**2 + 4))  # lambda >= 0
        low = 2 / (1 + np.sqrt(1 + 4 * small**2))  # lambda < 0
        # 1 - sigma loses digits where sigma is near 1, and e^lambda sigma^2 where it is near 0
        integral = np.where(log_snr >= 0, -np.log1p(-high), -log_snr - 2 * np.log(low))
        return _reached(self._time_of(integral), log_snr)


class VE(_Linear):
    r"""The variance-exploding equation: the signal stays as it is, and noise grows around it geometrically.

    .. math:: dx = \sigma(s)\sqrt{2\log\frac{\sigma_{\max}}{\sigma_{\min}}}\,dW, \qquad
        \sigma(s) = \sigma_{\min}\left(\frac{\sigma_{\max}}{\sigma_{\min}}\right)^s

    From s = 0 on the noise that x_0 has received has the variance sigma(s)^2 - sigma_min^2. Often sigma(s)^2 is given:
    that is the law where data already carry noise of standard deviation sigma_min.

    Parameters
    ----------
    sigma_min, sigma_max : float
        0 < sigma_min < sigma_max.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers or not in that order.

    Notes
    -----
    Source: Song et al. (2021), eq. 9 and 30.

    Examples
    --------
    >>> float(VE(1.0, 3.0).var(0.5).round(12))
    2.0
    """

    def __init__(self, sigma_min=0.01, sigma_max=50.0):
        self.sigma_min, self.sigma_max = _ends(sigma_min, sigma_max, ("sigma_min", "sigma_max"))
        if self.sigma_min == self.sigma_max:
            raise ValueError(f"sigma_max must be above sigma_min, or there is no noise; both are {self.sigma_max}.")

    @property
    def _growth(self):
        """The rate of sigma: sigma(s) = sigma_min e^(growth s)."""
        return np.log(self.sigma_max / self.sigma_min)

    def sigma(self, s):
        r"""Return sigma(s), which noise levels are read off; not the standard deviation of x_s given x_0.

        .. math:: \sigma(s) = \sigma_{\min}\left(\frac{\sigma_{\max}}{\sigma_{\min}}\right)^s

        Identity: :eq:`eq-continuous.rates`.
        """
        return self.sigma_min * np.exp(self._growth * times(s))

    def drift_rate(self, s):
        r"""Return f(s), the factor of x in the drift.

        .. math:: f(s) = 0

        Identity: :eq:`eq-continuous.drift`.
        """
        return np.zeros_like(times(s))

    def diffusion(self, s):
        r"""Return the factor of the noise, dW.

        .. math:: g(s) = \sqrt{\frac{d}{ds}\sigma(s)^2} = \sigma(s)\sqrt{2\log\frac{\sigma_{\max}}{\sigma_{\min}}}

        Identity: :eq:`eq-continuous.diffusion`.
        """
        return self.sigma(s) * np.sqrt(2 * self._growth)

    def signal_rate(self, s):
        r"""Return the factor of x_0 in the mean of x_s.

        .. math:: a_s = 1

        Identity: :eq:`eq-continuous.rates`.
        """
        return np.ones_like(times(s))

    def var(self, s):
        r"""Return the variance of x_s given x_0.

        .. math:: \sigma_s^2 = \sigma(s)^2 - \sigma_{\min}^2

        Identity: :eq:`eq-continuous.rates`.
        """
        return self._spread(0.0, times(s))

    def _factor(self, s, u):
        return np.ones_like(s)

    def _spread(self, s, u):
        return self.sigma(s) ** 2 * np.expm1(2 * self._growth * (u - s))

    def log_snr(self, s):
        r"""Return the logarithm of the signal-to-noise ratio; infinite at s = 0.

        .. math:: \lambda(s) = -\log\left(\sigma(s)^2 - \sigma_{\min}^2\right)

        Identity: :eq:`eq-continuous.log_snr`.
        """
        with np.errstate(divide="ignore"):
            return -np.log(self.var(s))

    def time(self, log_snr):
        r"""Return the s at which the signal-to-noise ratio has a given logarithm: the inverse of :meth:`log_snr`.

        .. math:: s = \frac{\log\left(1 + e^{-\lambda}/\sigma_{\min}^2\right)}
            {2\log(\sigma_{\max}/\sigma_{\min})}

        Parameters
        ----------
        log_snr : array_like
            At least ``log_snr(1.0)``.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If so low a ratio is not reached by s = 1.

        Notes
        -----
        Source: solving the definitions. Identity: :eq:`eq-continuous.log_snr`.
        """
        log_snr = real(log_snr, "log_snr")
        return _reached(np.logaddexp(0.0, -log_snr - 2 * np.log(self.sigma_min)) / (2 * self._growth), log_snr)

    def prior(self, d):
        r"""Return the law that stands in for that of x_1, and that a sampler starts from.

        .. math:: p(x_1) = \mathcal{N}\left(0, \sigma_{\max}^2 I\right)

        It is the law of x_1 for data N(0, sigma_min^2 I); for other data the two differ by what sigma_max leaves of
        them.

        Parameters
        ----------
        d : int

        Returns
        -------
        Gaussian
            Of one point, shape (d,).

        Notes
        -----
        Source: Song et al. (2021), appendix C. Identity: :eq:`eq-continuous.prior`.
        """
        return Gaussian(np.zeros(count(d, "d")), self.sigma_max**2)


def _reached(s, log_snr):
    """Return s, where rounding may have carried it beyond 1 put back."""
    beyond = ~(s <= 1 + 1e-12)
    if np.any(beyond):
        raise ValueError(
            f"log_snr must be reached by s = 1; got {np.broadcast_to(log_snr, np.shape(s))[beyond].flat[0]}, which is"
            " lower. See log_snr(1.0)."
        )
    return np.minimum(s, 1.0)
