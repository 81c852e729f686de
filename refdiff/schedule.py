r"""Noise schedules over t = 0..T, and the one place that checks t and lines it up with x.

Everything follows from beta: alpha = 1 - beta, alpha_bar = their running product. The product is kept
as a compensated sum of logarithms, so that 1 - alpha_bar keeps its digits from T = 1 to T = 1,000,000.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from refdiff.checks import count, real

__all__ = ["Schedule"]


def running_sum(x):
    """Return the running sums of `x`, with the rounding error of each addition summed up and put back.

    np.cumsum adds from left to right, so the error of its k-th addition is what Knuth's TwoSum says of
    (sum up to k - 1, x_k), and all of them are found at once. A plain running sum loses 1e-13 at a million terms.
    """
    total = np.cumsum(x)
    before = np.concatenate([[0.0], total[:-1]])
    added = total - before
    error = (before - (total - added)) + (x - added)
    return total + np.cumsum(error)


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    r"""The variances beta_t of the forward process and all that follows from them.

    .. math:: \alpha_t = 1 - \beta_t, \qquad \bar\alpha_t = \prod_{s=1}^t \alpha_s, \qquad
        \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t

    Build one with :meth:`from_betas` or a named constructor. Arrays have T + 1 entries, indexed by the t of
    the paper; entry 0 is clean data: beta_0 = 0, alpha_bar_0 = 1, beta_tilde_1 = 0. They are read-only.

    Attributes
    ----------
    beta, alpha, alpha_bar, one_minus_alpha_bar : ndarray, shape (T + 1,)
        1 - alpha_bar is computed as -expm1(log alpha_bar), never by subtraction.
    log_alpha_bar : ndarray, shape (T + 1,)
    signal_rate, noise_rate : ndarray, shape (T + 1,)
        sqrt(alpha_bar) and sqrt(1 - alpha_bar).
    snr, log_snr : ndarray, shape (T + 1,)
        alpha_bar / (1 - alpha_bar) and its logarithm; infinite at t = 0.
    beta_tilde : ndarray, shape (T + 1,)
        The variance of q(x_{t-1} | x_t, x_0). Entry 0 is 0 and has no meaning.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), section 2 and eq. 7. Identities: ``schedule.*``.

    Examples
    --------
    >>> schedule = Schedule.linear()
    >>> schedule
    Schedule(T=1000, beta 0.0001..0.02, alpha_bar_T=4.036e-05)
    >>> float(schedule.alpha_bar[0]), float(schedule.beta_tilde[1])
    (1.0, 0.0)
    """

    beta: np.ndarray  #: The variance of step t; entry 0 is 0.
    alpha: np.ndarray  #: 1 - beta.
    log_alpha_bar: np.ndarray  #: The running sum of log(1 - beta), compensated.
    alpha_bar: np.ndarray  #: The running product of alpha; entry 0 is 1.
    one_minus_alpha_bar: np.ndarray  #: The variance of x_t given x_0.
    signal_rate: np.ndarray  #: sqrt(alpha_bar): what is left of x_0 in x_t.
    noise_rate: np.ndarray  #: sqrt(1 - alpha_bar): the standard deviation of x_t given x_0.
    log_snr: np.ndarray  #: The logarithm of snr; entry 0 is infinite.
    snr: np.ndarray  #: alpha_bar / (1 - alpha_bar); entry 0 is infinite.
    beta_tilde: np.ndarray  #: The variance of x_{t-1} given x_t and x_0; entry 1 is 0, entry 0 has no meaning.

    def __repr__(self):
        beta = self.beta[1:]
        return f"Schedule(T={self.T}, beta {beta[0]:.4g}..{beta[-1]:.4g}, alpha_bar_T={self.alpha_bar[-1]:.4g})"

    @property
    def T(self):
        """The number of steps."""
        return self.beta.size - 1

    @classmethod
    def from_betas(cls, beta, *, last_may_be_one=False):
        r"""Return the schedule of the variances beta_1..beta_T.

        Parameters
        ----------
        beta : array_like, shape (T,)
            beta[0] is beta_1. Any order: nothing in the derivation needs them to grow.
        last_may_be_one : bool
            Allow beta_T = 1, which ends at alpha_bar_T = 0: x_T is pure noise and says nothing of x_0.
            What divides by sqrt(alpha_bar_T), such as x_0 from eps, then raises at t = T.

        Returns
        -------
        Schedule

        Raises
        ------
        TypeError
            If `beta` is not made of real numbers.
        ValueError
            If it is empty, not one-dimensional, or has an entry outside (0, 1) or NaN.

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), section 2 and eq. 7. Identities: :eq:`eq-schedule.alpha_bar`,
        :eq:`eq-schedule.one_minus_alpha_bar`, :eq:`eq-schedule.rates`, :eq:`eq-schedule.snr`,
        :eq:`eq-schedule.beta_tilde`,
        :eq:`eq-schedule.limit`.

        Examples
        --------
        >>> Schedule.from_betas([0.1, 0.2]).alpha_bar
        array([1.  , 0.9 , 0.72])
        """
        beta = real(beta, "beta")
        if beta.ndim != 1 or beta.size == 0:
            raise ValueError(f"beta must be a one-dimensional array of T >= 1 variances; got shape {beta.shape}.")
        allowed = (beta > 0) & (beta < 1)
        allowed[-1] |= last_may_be_one and beta[-1] == 1
        if not allowed.all():
            first = int(np.argmin(allowed))
            cause = (
                "alpha_bar would be 0 from there on; only the last may be 1, with last_may_be_one=True."
                if beta[first] == 1
                else "Usual cause: percentages, standard deviations, or a beta_0 = 0 in front."
            )
            raise ValueError(f"beta must lie in (0, 1); got beta_{first + 1} = {beta[first]}. {cause}")
        with np.errstate(divide="ignore"):  # log1p(-1) = -inf is the right answer where the last beta is 1
            log_alpha = np.log1p(-beta)
        if np.isneginf(log_alpha[-1]):
            log_alpha_bar = np.append(running_sum(log_alpha[:-1]), -np.inf)
        else:
            log_alpha_bar = running_sum(log_alpha)
        return cls._from_logs(beta, log_alpha_bar)

    @classmethod
    def _from_logs(cls, beta, log_alpha_bar):
        """Fill all arrays from beta_1..beta_T and log alpha_bar_1..T, which belong together."""
        beta = np.concatenate([[0.0], beta])
        log_alpha_bar = np.concatenate([[0.0], log_alpha_bar])
        with np.errstate(divide="ignore", over="ignore", under="ignore"):  # t = 0: SNR is inf; late t: alpha_bar is 0
            alpha_bar = np.exp(log_alpha_bar)
            one_minus_alpha_bar = 0.0 - np.expm1(log_alpha_bar)  # 0.0 -, since a unary minus leaves -0.0 at t = 0
            log_snr = log_alpha_bar - np.log(one_minus_alpha_bar)
            arrays = {
                "beta": beta,
                "alpha": 1 - beta,
                "log_alpha_bar": log_alpha_bar,
                "alpha_bar": alpha_bar,
                "one_minus_alpha_bar": one_minus_alpha_bar,
                "signal_rate": np.exp(log_alpha_bar / 2),
                "noise_rate": np.sqrt(one_minus_alpha_bar),
                "log_snr": log_snr,
                "snr": np.exp(log_snr),
                "beta_tilde": np.append(0.0, one_minus_alpha_bar[:-1] / one_minus_alpha_bar[1:] * beta[1:]),
            }
        for array in arrays.values():
            array.flags.writeable = False
        return cls(**arrays)

    @classmethod
    def linear(cls, T=1000, beta_1=1e-4, beta_T=0.02):
        r"""Return the linear schedule.

        .. math:: \beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1)

        The range 1e-4..0.02 belongs to T = 1000. With few steps it ends far from noise (T = 50 at
        alpha_bar_T = 0.60), and sampling that starts from N(0, I) starts at the wrong law: a warning says so
        where the default range meets T < 500.
        T = 1 has the one step beta_1.

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), section 4. Identity: :eq:`eq-schedule.linear`.

        Examples
        --------
        >>> Schedule.linear(3, 0.1, 0.3).beta
        array([0. , 0.1, 0.2, 0.3])
        """
        T = count(T, "T")
        _warn_of_quoted_range("linear", T, (beta_1, beta_T) == (1e-4, 0.02))
        return cls.from_betas(np.linspace(*_ends(beta_1, beta_T), T))

    @classmethod
    def scaled_linear(cls, T=1000, beta_1=0.00085, beta_T=0.012):
        r"""Return the schedule whose standard deviations are linear in t.

        .. math:: \sqrt{\beta_t} = \sqrt{\beta_1} + \frac{t - 1}{T - 1}\,(\sqrt{\beta_T} - \sqrt{\beta_1})

        Notes
        -----
        Source: Rombach et al. (2022), as in their published code. Identity: :eq:`eq-schedule.scaled_linear`.
        """
        T = count(T, "T")
        _warn_of_quoted_range("scaled_linear", T, (beta_1, beta_T) == (0.00085, 0.012))
        return cls.from_betas(np.linspace(*np.sqrt(_ends(beta_1, beta_T)), T) ** 2)

    @classmethod
    def cosine(cls, T=1000, s=0.008, max_beta=0.999):
        r"""Return the cosine schedule.

        .. math:: \beta_t = \min\left(1 - \frac{f(t)}{f(t-1)}, \beta_{\max}\right), \qquad
            f(t) = \cos^2\left(\frac{t/T + s}{1 + s}\,\frac\pi2\right)

        The ratio is taken as sin(a - b) sin(a + b) / cos(b)^2 with a, b the two angles, which keeps the
        digits that 1 - f(t)/f(t-1) loses near t = 1. Since beta is clipped, alpha_bar_T is not quite f(T)/f(0).

        Parameters
        ----------
        T : int
        s : float
            Not negative: what keeps beta_1 from being much smaller than the pixels' grid.
        max_beta : float
            In (0, 1).

        Returns
        -------
        Schedule

        Notes
        -----
        Source: Nichol & Dhariwal (2021), eq. 17. Identity: :eq:`eq-schedule.cosine`.
        """
        T = count(T, "T")
        s, max_beta = float(real(s, "s")), float(real(max_beta, "max_beta"))
        if not (s >= 0 and 0 < max_beta < 1):
            raise ValueError(f"cosine needs s >= 0 and 0 < max_beta < 1; got s = {s}, max_beta = {max_beta}.")
        angle = (np.arange(T + 1) / T + s) / (1 + s) * (np.pi / 2)
        a, b = angle[1:], angle[:-1]
        step = np.pi / 2 / (T * (1 + s))
        return cls.from_betas(np.minimum(np.sin(step) * np.sin(a + b) / np.cos(b) ** 2, max_beta))

    @classmethod
    def sigmoid(cls, T=1000, beta_1=1e-4, beta_T=0.02):
        r"""Return the schedule that climbs from beta_1 to beta_T along a logistic curve over [-6, 6].

        .. math:: \beta_t = \beta_1 + (\beta_T - \beta_1)\,\operatorname{sigmoid}(u_t), \qquad
            u_t = -6 + 12\,\frac{t - 1}{T - 1}

        The ends are approached, not reached: sigmoid(-6) = 0.0025.

        Notes
        -----
        Source: Xu et al. (2022), GeoDiff, section 5, as in their published code. Identity: :eq:`eq-schedule.sigmoid`.
        """
        T = count(T, "T")
        _warn_of_quoted_range("sigmoid", T, (beta_1, beta_T) == (1e-4, 0.02))
        beta_1, beta_T = _ends(beta_1, beta_T)
        curve = 1 / (1 + np.exp(-np.linspace(-6, 6, T)))
        return cls.from_betas(beta_1 + (beta_T - beta_1) * curve)

    @classmethod
    def constant(cls, T, beta):
        r"""Return the schedule with the same variance at each step.

        .. math:: \beta_t = \beta

        Notes
        -----
        Source: Ho, Jain & Abbeel (2020), appendix B, as one of the schedules tried.
        Identity: :eq:`eq-schedule.constant`.

        Examples
        --------
        >>> Schedule.constant(2, 0.5).alpha_bar
        array([1.  , 0.5 , 0.25])
        """
        return cls.from_betas(np.full(count(T, "T"), float(real(beta, "beta"))))

    @classmethod
    def reciprocal(cls, T):
        r"""Return the schedule that erases an equal share of the signal's power at each step.

        .. math:: \beta_t = \frac{1}{T - t + 1}, \qquad \bar\alpha_t = 1 - \frac tT

        Its last beta is 1, so alpha_bar_T = 0 exactly: q(x_T | x_0) is N(0, I) whatever x_0 is, L_T = 0, and
        x_T says nothing of x_0. Formulas that recover x_0 from eps at t = T divide by zero; they raise.

        Notes
        -----
        Source: Sohl-Dickstein et al. (2015), section 2.4.1. Identity: :eq:`eq-schedule.reciprocal`.

        Examples
        --------
        >>> Schedule.reciprocal(4).alpha_bar
        array([1.  , 0.75, 0.5 , 0.25, 0.  ])
        """
        T = count(T, "T")
        t = np.arange(1, T + 1)
        with np.errstate(divide="ignore"):
            return cls._from_logs(1 / (T - t + 1), np.log1p(-t / T))

    @classmethod
    def vp(cls, T, beta_min=0.1, beta_max=20.0):
        r"""Return the variance-preserving diffusion on [0, 1], cut into T equal steps.

        .. math:: \bar\alpha_t = \exp\left(-\int_0^{t/T} \beta(u)\,du\right), \qquad
            \beta(u) = \beta_{\min} + u\,(\beta_{\max} - \beta_{\min})

        Unlike a range of betas it means the same at each T: alpha_bar_T = exp(-(beta_min + beta_max)/2).

        Notes
        -----
        Source: Song et al. (2021), eq. 32 and 33. Identity: :eq:`eq-schedule.vp`.

        Examples
        --------
        >>> [round(float(Schedule.vp(T).alpha_bar[-1]), 8) for T in (10, 1000)]
        [4.319e-05, 4.319e-05]
        """
        T = count(T, "T")
        low, high = float(real(beta_min, "beta_min")), float(real(beta_max, "beta_max"))
        if not (0 < low <= high < np.inf):
            raise ValueError(f"vp needs 0 < beta_min <= beta_max; got {low} and {high}.")
        t = np.arange(1, T + 1)
        step = (low + (high - low) * (t - 0.5) / T) / T  # the integral over one step; the midpoint is exact
        u = t / T
        return cls._from_logs(-np.expm1(-step), -(low * u + (high - low) * u**2 / 2))

    def respace(self, steps):
        r"""Return the schedule of the chain that is looked at only at some of its steps.

        .. math:: \beta'_k = 1 - \frac{\bar\alpha_{\tau_k}}{\bar\alpha_{\tau_{k-1}}}, \qquad \tau_0 = 0

        Parameters
        ----------
        steps : int or array_like of int
            The steps tau_1 < ... < tau_K kept, in 1..T; or their number, then evenly spread and ending at T.

        Returns
        -------
        Schedule
            With T = K. Its alpha_bar_k is alpha_bar at tau_k.

        Raises
        ------
        TypeError
            If the steps are not integers.
        ValueError
            If they are not strictly increasing in 1..T.

        Notes
        -----
        Source: Nichol & Dhariwal (2021), section 4. Identity: :eq:`eq-schedule.respace`.

        Examples
        --------
        >>> schedule = Schedule.vp(10)
        >>> bool(schedule.respace([5, 10]).alpha_bar[1] == schedule.alpha_bar[5])
        True
        """
        steps = kept_of(self.T, steps)
        kept = self.log_alpha_bar[np.concatenate([[0], steps])]
        return Schedule._from_logs(-np.expm1(np.diff(kept)), kept[1:])

    def zero_terminal_snr(self):
        r"""Return the schedule shifted and scaled so that alpha_bar_T = 0 and alpha_bar_1 stays.

        .. math:: \sqrt{\bar\alpha'_t} = \left(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\right)
            \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}

        Returns
        -------
        Schedule
            Its last beta is 1; what that means is said at :meth:`reciprocal`.

        Raises
        ------
        ValueError
            If T = 1: alpha_bar_1 cannot stay and be 0.

        Notes
        -----
        Source: Lin et al. (2024), Algorithm 1. Identity: :eq:`eq-schedule.zero_terminal_snr`.
        """
        if self.T == 1:
            raise ValueError("zero_terminal_snr needs T >= 2; got T = 1, whose alpha_bar_1 is also the last.")
        # 1 - rate_t / rate_1 by expm1: the early rates are nearly equal, and a difference would lose their digits
        lost = -np.expm1((self.log_alpha_bar[1:] - self.log_alpha_bar[1]) / 2)
        with np.errstate(divide="ignore"):
            log_alpha_bar = self.log_alpha_bar[1] + 2 * np.log1p(-lost / lost[-1])
        beta = -np.expm1(np.diff(log_alpha_bar, prepend=0.0))
        return Schedule._from_logs(beta, log_alpha_bar)

    def index(self, t, x=None, *, name="t", least=1):
        """Check t and line it up with x, so that ``schedule.beta[index]`` broadcasts against x.

        Parameters
        ----------
        t : int or array_like of int
            In `least`..T: one step for all points, or one for each, of shape x.shape[:-1].
        x : ndarray, shape (..., d), optional
            The points. Without them t is only checked.
        name : str
            What to call t in an error.
        least : int
            The smallest step allowed.

        Returns
        -------
        int or ndarray
            t itself, or t with an axis added for the event, shape (..., 1).

        Raises
        ------
        TypeError
            If t is a float or a bool.
        ValueError
            If t is out of range or does not have one entry for each point.

        Notes
        -----
        Source: the convention of this library. Identity: :eq:`eq-schedule.index`.

        Examples
        --------
        >>> Schedule.linear().index([1, 1000], np.zeros((2, 3))).shape
        (2, 1)
        """
        t = np.asarray(t)
        if t.dtype.kind not in "iu":
            raise TypeError(
                f"{name} must be an integer or integers; got dtype {t.dtype}. Steps are counted 1..{self.T}."
            )
        wrong = (t < least) | (t > self.T)
        if wrong.any():
            value = t[wrong].flat[0]
            cause = {
                0: "Zero-based steps, as in diffusers? Add 1.",
                1: "The step from t = 1 stands apart: beta_tilde_1 = 0.",
            }.get(value, "Is it the schedule with another T?")
            raise ValueError(f"{name} runs over {least}..{self.T}; got {value}. {cause}")
        if t.ndim == 0:
            return int(t)
        t = t.astype(np.int64)
        if x is None:
            return t
        if t.shape != x.shape[:-1]:
            raise ValueError(
                f"{name} must be one integer or have one entry per point: shape {x.shape[:-1]} beside points of shape"
                f" {x.shape}; got {t.shape}. The last axis of the points is the event."
            )
        return t[..., None]


def evenly_spread(T, number, name="number"):
    """Return `number` of the steps 1..T, evenly spread and ending at T: k T / number, rounded down."""
    number = count(number, name)
    if number > T:
        raise ValueError(f"{name} must be at most T = {T}; got {number}.")
    return np.arange(1, number + 1) * T // number


def kept_of(T, steps):
    """Return the steps kept of 1..T, an increasing array: those given, checked, or as many as asked for."""
    if np.ndim(steps) == 0:
        return evenly_spread(T, steps, "steps")
    steps = np.asarray(steps)
    if steps.dtype.kind not in "iu":
        raise TypeError(f"steps must be integers; got dtype {steps.dtype}.")
    steps = steps.astype(np.int64)
    if steps.ndim != 1 or steps.size == 0 or steps[0] < 1 or steps[-1] > T or (np.diff(steps) < 1).any():
        raise ValueError(f"steps must increase strictly within 1..{T}; got {steps}.")
    return steps


def _ends(beta_1, beta_T):
    """Return the two ends as floats, each in (0, 1)."""
    ends = float(real(beta_1, "beta_1")), float(real(beta_T, "beta_T"))
    for name, end in zip(("beta_1", "beta_T"), ends):
        if not 0 < end < 1:
            raise ValueError(f"{name} must lie in (0, 1); got {end}.")
    return ends


def _warn_of_quoted_range(name, T, quoted):
    """Warn where a range of betas quoted for T = 1000 meets a T that leaves the signal standing.

    T = 1 is exempt: one step is for looking at the algebra, nobody samples with it.
    """
    if quoted and 1 < T < 500:
        warnings.warn(
            f"{name}(T={T}) with the range of beta quoted for T = 1000 ends far from noise, yet sampling starts from"
            " N(0, I). Use Schedule.vp(T) or Schedule.cosine(T), or state the range that is meant.",
            stacklevel=3,
        )
