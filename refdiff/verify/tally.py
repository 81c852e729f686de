r"""What samples leave behind: the sums that a statistic needs, for chunks of samples that were drawn anywhere.

A tally of one chunk merges with that of the next, in any order up to rounding; :meth:`statistic` then says what all of
them prove at a false-alarm rate alpha. The laws are exact (normal, chi-square) or bounds (Chernoff, Bernstein).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv, ndtr, ndtri

__all__ = ["Inconclusive", "Moments", "Statistic"]

MISS = 0.01  # the chance to miss an error of the size that a statistic says it detects
ROUNDING = 1e-12  # the relative error that float64 itself is allowed, where nothing else is random


class Inconclusive(Exception):
    """Raised where a trial is too small to say anything at the error rate asked for."""


@dataclass(frozen=True)
class Statistic:
    """A claimed mean beside a measured one, with the law of the measured one under the claim.

    `accepts` is the interval of measured values that the claim survives, `typical` the one that a right
    claim leaves with probability at most 1 % on either side. Where `accepts` of a wrong claim and `typical` of
    the right one have nothing in common, the wrong claim is rejected with probability at least .99. `margin` is
    the standard error of the measured mean, estimated from the samples themselves. `detects` is the smallest relative
    error that is caught with probability .99, in whichever entry and direction it is.
    """

    what: str
    claimed: np.ndarray
    measured: np.ndarray
    p_value: float
    accepts: tuple
    typical: tuple
    alpha: float
    n: int
    scale: np.ndarray
    margin: np.ndarray
    detects: float

    @property
    def holds(self):
        """Whether the claim survives."""
        return self.p_value >= self.alpha

    def worst(self):
        """Return the entry (claimed, measured) furthest outside, or least far inside, what the claim accepts."""
        width = np.maximum(self.accepts[1] - self.accepts[0], np.finfo(float).tiny)
        return worst(self.claimed, self.measured, np.abs(self.measured - self.claimed) / width)


def worst(claimed, other, distance):
    """Return the two entries whose distance is largest; NaN counts as infinitely far."""
    if distance.size == 0:
        return math.nan, math.nan
    k = np.argmax(np.where(np.isnan(distance), np.inf, distance))
    return float(claimed.flat[k]), float(other.flat[k])


@dataclass(frozen=True)
class Moments:
    r"""The number of samples, their mean, and the sum of squares around it, which two chunks can merge exactly.

    .. math:: M_2 = \sum_i (x_i - \bar x)^2

    Merging follows Chan, Golub & LeVeque (1983): no sum of raw squares is ever formed, so that a mean far from zero
    costs no digits.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(1000) + 1e6
    >>> both = Moments.of(x[:300]).merge(Moments.of(x[300:]))
    >>> bool(np.isclose(both.var, x.var(), rtol=1e-9))
    True
    """

    n: int
    mean: np.ndarray
    M2: np.ndarray

    @classmethod
    def of(cls, samples):
        """Return the moments of samples (n, ...) over their first axis."""
        samples = np.asarray(samples, dtype=float)
        if len(samples) == 0:
            raise ValueError("moments need at least one sample; got none.")
        mean = samples.mean(axis=0)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite refutes later, and says so
            return cls(len(samples), mean, ((samples - mean) ** 2).sum(axis=0))

    def merge(self, other):
        """Return the moments of both sets of samples together."""
        n, delta = self.n + other.n, other.mean - self.mean
        share = other.n / n
        with np.errstate(invalid="ignore", over="ignore"):
            mean = self.mean + share * delta
            return Moments(n, mean, self.M2 + other.M2 + self.n * share * delta**2)

    @property
    def var(self):
        """The variance, divided by n."""
        return self.M2 / self.n

    @property
    def std_error(self):
        """The standard error of the mean."""
        return np.sqrt(self.var / self.n)


@dataclass(frozen=True)
class Tally:
    """What is known of one statistic: its name, and the moments of the numbers whose mean is judged."""

    what: str
    moments: Moments
    claimed: np.ndarray

    @property
    def n(self):
        """The number of samples."""
        return self.moments.n

    def merge(self, other):
        """Return this tally and another one of the same statistic as one."""
        kept = {name: self.weigh(name, other) for name in self.averages}
        return replace(self, moments=self.moments.merge(other.moments), **kept)

    averages = ("claimed",)  # what merges as a mean over samples

    def weigh(self, name, other):
        """Return the mean over both sets of samples of what each knows as the mean over its own."""
        mine, theirs = getattr(self, name), getattr(other, name)
        if np.array_equal(mine, theirs):
            return mine  # to the last digit, whatever n
        return (self.n * mine + other.n * theirs) / (self.n + other.n)

    def record(self, alpha, claimed, p_value, accepts, typical, scale, detects=None):
        """Return the statistic over m entries, with the `p_value` of each corrected for their number.

        An error shifts what is measured, unless `detects` says how large one must be.
        """
        measured, margin = np.atleast_1d(self.moments.mean), np.atleast_1d(self.moments.std_error)
        claimed, p_value = np.atleast_1d(claimed), np.atleast_1d(p_value)
        accepts, typical = [np.atleast_1d(a) for a in accepts], [np.atleast_1d(a) for a in typical]
        scale = np.broadcast_to(np.where(np.asarray(scale) > 0, scale, 1.0), claimed.shape)
        # a claim that is no number, or a variance below zero, leaves a p-value that is no number: refuted, not passed
        known = np.isfinite(claimed) & np.isfinite(measured) & np.isfinite(p_value)
        p = float(min(1.0, p_value.size * np.where(known, p_value, 0.0).min()))
        if detects is None:
            detects = np.max(np.maximum(accepts[1] - typical[0], typical[1] - accepts[0]) / scale)
        detects = float(detects)
        return Statistic(self.what, claimed, measured, p, accepts, typical, alpha, self.n, scale, margin, detects)


@dataclass(frozen=True)
class NormalMean(Tally):
    """The mean of weighted normal samples whose variances are known.

    `var` is the mean of weight^2 variance, `size` that of |claims|, of which `slack` is forgiven.
    """

    var: np.ndarray
    size: np.ndarray
    slack: float  # the relative error that an implementation in few digits is allowed
    averages = ("claimed", "var", "size")

    def statistic(self, alpha):
        """Return what the samples prove: a z-test."""
        claimed, measured, n = self.claimed, self.moments.mean, self.n
        with np.errstate(divide="ignore", invalid="ignore"):  # a claim that is not finite is refuted in `record`
            std = np.sqrt(self.var / n)
            scale = np.maximum(np.abs(claimed), np.sqrt(self.var))
            slack = max(ROUNDING, self.slack) * np.maximum(self.size, np.sqrt(self.var))
            z = np.maximum(np.abs(measured - claimed) - slack, 0.0) / std
            z = np.where(np.abs(measured - claimed) <= slack, 0.0, z)
            reach = -ndtri(alpha / 2 / claimed.size) * std + slack
            usual = -ndtri(MISS) * std
            bounds = (claimed - reach, claimed + reach), (claimed - usual, claimed + usual)
            return self.record(alpha, claimed, 2 * ndtr(-z), *bounds, scale)


@dataclass(frozen=True)
class NormalVar(Tally):
    """The variance of normal samples around a known mean; `ratio` is the mean of squares over what is claimed."""

    ratio: np.ndarray
    slack: float
    averages = ("claimed", "ratio")

    def statistic(self, alpha):
        """Return what the samples prove: a chi-square test."""
        n, claimed = self.n, self.claimed
        half = n * (self.ratio - np.clip(self.ratio - 1, -self.slack, self.slack)) / 2
        with np.errstate(invalid="ignore"):
            p_value = 2 * np.minimum(gammainc(n / 2, half), gammaincc(n / 2, half))
        tail = alpha / 2 / claimed.size
        (low, high), (least, most) = chi_square(n, tail), chi_square(n, MISS)
        low, high = low - self.slack, high + self.slack
        bounds = ([c * claimed for c in pair] for pair in ((low, high), (least, most)))
        # an error multiplies what is measured: the claim may be too small by a factor, or too large
        return self.record(alpha, claimed, p_value, *bounds, claimed, detects=max(high / least, most / low) - 1)


@dataclass(frozen=True)
class QuadraticMean(Tally):
    """The mean of quadratic forms in normals, of which `law` bounds the cumulants."""

    law: object
    slack: float

    def merge(self, other):
        """Return this tally and another one as one; where their laws differ, the common one is a bound."""
        both = super().merge(other)
        same = self.law.same(other.law)
        return both if same else replace(both, law=SubGamma.average((self.n, self.law), (other.n, other.law)))

    def statistic(self, alpha):
        """Return what the samples prove: Chernoff's bound."""
        n, claimed, measured = self.n, self.claimed, float(self.moments.mean)
        scale = max(abs(claimed), self.law.std)
        slack = self.slack * scale
        error = measured - claimed
        error = math.copysign(max(abs(error) - slack, 0.0), error)
        p_value = min(1.0, 2 * math.exp(-n * self.law.rate(error)))
        bounds = (
            tuple(claimed + self.law.deviation(math.log(chances) / n, sign) + sign * more for sign in (-1, 1))
            for chances, more in ((2 / alpha, slack), (1 / MISS, 0.0))
        )
        return self.record(alpha, claimed, p_value, *bounds, scale)


@dataclass(frozen=True)
class BoundedMean(Tally):
    """The mean of samples from an interval of length `span`, whose variance is known."""

    var: float
    span: float
    slack: float
    averages = ("claimed", "var")

    def merge(self, other):
        """Return this tally and another one as one."""
        return replace(super().merge(other), span=max(self.span, other.span))

    def statistic(self, alpha):
        """Return what the samples prove: Bernstein's inequality."""
        n, mean, var, span, measured = self.n, self.claimed, self.var, self.span, float(self.moments.mean)
        rounding = max(ROUNDING, self.slack) * max(abs(mean), span)  # all that is left where nothing is random
        error = max(abs(measured - mean) - rounding, 0.0)
        spread = var + span * error / 3
        p_value = 2 * math.exp(-n * error**2 / (2 * spread)) if spread else float(error == 0)
        bounds = []
        for log in (math.log(2 / alpha), math.log(1 / MISS)):
            reach = (span * log / 3 + math.sqrt((span * log / 3) ** 2 + 2 * n * log * var)) / n + rounding
            bounds.append((mean - reach, mean + reach))
        return self.record(alpha, mean, min(1.0, p_value), *bounds, max(abs(mean), math.sqrt(var)))


def chi_square(n, tail):
    """Return the quantiles at `tail` and 1 - `tail` of a chi-square variable with n degrees, over n."""
    return 2 * gammaincinv(n / 2, tail) / n, 2 * gammainccinv(n / 2, tail) / n


class SubGamma:
    r"""A bound of the cumulants of a quadratic form that keeps three numbers of it, and so merges with any other.

    .. math:: \psi(\lambda) \le \frac{\lambda^2 \sigma^2}{2(1 - c\lambda)}, \qquad
        c = 2\max_j h_j^+ \quad (\lambda > 0), \qquad c = 2\max_j h_j^- \quad (\lambda < 0)

    since -x - log(1 - 2x)/2 <= x^2 / (1 - 2x) for x in [0, 1/2) and <= x^2 below (Boucheron, Lugosi & Massart (2013),
    section 2.4). Next to nothing is lost where many small terms make up the form.
    """

    def __init__(self, var, up, down):
        self.var, self.up, self.down = var, up, down
        self.std = math.sqrt(var)

    @classmethod
    def average(cls, *counted):
        """Return the bound for a mean over samples of several laws, each with its number of samples."""
        n = sum(count for count, _ in counted)
        var = sum(count * law.var for count, law in counted) / n
        return cls(var, max(law.up for _, law in counted), max(law.down for _, law in counted))

    def same(self, other):
        """Whether another law is this one."""
        return type(other) is SubGamma and (self.var, self.up, self.down) == (other.var, other.up, other.down)

    def rate(self, deviation):
        """Return sup over lambda of lambda d - psi(lambda), which bounds P(mean - E >= d) by exp(-n rate)."""
        if self.var == 0:
            return 0.0 if abs(deviation) < 1e-12 else math.inf
        c, d = (self.up if deviation > 0 else self.down), abs(deviation)
        if not math.isfinite(d):
            return math.inf
        u = c * d / self.var
        # (1 + u - sqrt(1 + 2u)) var / c^2, without the cancellation at small u
        return d**2 / self.var / (1 + u + math.sqrt(1 + 2 * u))

    def deviation(self, rate, sign):
        """Return the deviation on this side whose rate is `rate`."""
        return sign * (math.sqrt(2 * self.var * rate) + (self.up if sign > 0 else self.down) * rate)


class QuadraticForm:
    """W = sum_j g_j z_j + h_j (z_j^2 - 1): its cumulant generating function and what Chernoff makes of it."""

    def __init__(self, g, h):
        self.g, self.h = g, h
        self.var = float((g**2).sum() + 2 * (h**2).sum())
        self.std = math.sqrt(self.var)
        self.up, self.down = (2 * float((sign * h).max(initial=0.0)) for sign in (1, -1))

    def same(self, other):
        """Whether another law is this one."""
        return type(other) is QuadraticForm and np.array_equal(self.g, other.g) and np.array_equal(self.h, other.h)

    def cumulant(self, lam):
        """Return psi(lambda) = log E exp(lambda W)."""
        u = 1 - 2 * lam * self.h
        return (-lam * self.h - np.log(u) / 2 + lam**2 * self.g**2 / (2 * u)).sum()

    def slope(self, lam):
        """Return psi'(lambda)."""
        u = 1 - 2 * lam * self.h
        return (-self.h + self.h / u + lam * self.g**2 / u + lam**2 * self.g**2 * self.h / u**2).sum()

    def _limit(self, sign):
        """Return the largest |lambda| on this side for which the cumulant is finite."""
        top = (sign * self.h).max(initial=0.0)
        return 1 / (2 * top) if top > 0 else math.inf

    def _solve(self, function, target, sign):
        """Return the lambda on this side where an increasing function of |lambda| reaches `target`."""
        if self.std == 0:
            return 0.0
        limit = self._limit(sign)
        low, high = 0.0, min(1 / self.std, limit / 2)
        while function(sign * high) < target and high < 1e12:
            low, high = high, min(2 * high, (high + limit) / 2)
            if limit - high < 1e-14 * limit:
                break
        if function(sign * high) <= target:  # beyond what W can reach
            return sign * high
        return sign * brentq(lambda x: function(sign * x) - target, low, high, xtol=1e-15 * high, rtol=1e-12)

    def rate(self, deviation):
        """Return sup over lambda of lambda d - psi(lambda), which bounds P(mean - E >= d) by exp(-n rate)."""
        if deviation == 0 or not math.isfinite(deviation):
            return 0.0 if deviation == 0 else math.inf
        if self.std == 0:
            return 0.0 if abs(deviation) < 1e-12 else math.inf
        sign = math.copysign(1.0, deviation)
        lam = self._solve(lambda x: sign * self.slope(x), abs(deviation), sign)
        return lam * deviation - self.cumulant(lam)

    def deviation(self, rate, sign):
        """Return the deviation on this side whose rate is `rate`."""
        lam = self._solve(lambda x: x * self.slope(x) - self.cumulant(x), rate, sign)
        return float((rate + self.cumulant(lam)) / lam) if lam else 0.0
