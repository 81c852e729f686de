r"""Evidence with stated error rates: what a check may say, and how sure it is.

:class:`Exact` compares numbers with an independent truth. :class:`Trial` draws samples and compares their mean
with a claim under a law that is known: normal, chi-square, or bounded by Chernoff and Bernstein. A p-value is
never smaller than the truth allows (but for :meth:`Trial.clt`, which says so), so a budget of false alarms holds.
"""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv, ndtr, ndtri

__all__ = ["Comparison", "Exact", "Inconclusive", "Statistic", "Trial", "stream"]

MISS = 0.01  # the chance to miss an error of the size that a statistic says it detects


class Inconclusive(Exception):
    """Raised where a trial is too small to say anything at the error rate asked for."""


def stream(*names):
    """Return a Generator that depends on `names` and on nothing else: replayable, and fresh for other names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "big")))


@dataclass(frozen=True)
class Comparison:
    """A claimed number beside the truth, found without chance."""

    what: str
    claimed: np.ndarray
    truth: np.ndarray
    error: float
    tolerance: float

    @property
    def holds(self):
        """Whether the relative error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def detects(self):
        """The smallest relative error that this comparison notices."""
        return self.tolerance

    def worst(self):
        """Return the entry (claimed, truth) that differs most."""
        return _worst(self.claimed, self.truth, np.abs(self.claimed - self.truth))


@dataclass(frozen=True)
class Statistic:
    """A claimed mean beside a measured one, with the law of the measured one under the claim.

    `accepts` is the interval of measured values that the claim survives, `typical` the one that a right
    claim leaves with probability at most 1 % on either side. Where `accepts` of a wrong claim and `typical` of
    the right one have nothing in common, the wrong claim is rejected with probability at least .99. `margin` is
    the standard error of the measured mean, estimated from the samples themselves.
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

    @property
    def holds(self):
        """Whether the claim survives."""
        return self.p_value >= self.alpha

    @property
    def detects(self):
        """The smallest relative error that is caught with probability .99, in the most sensitive direction."""
        reach = np.maximum(self.accepts[1] - self.typical[0], self.typical[1] - self.accepts[0])
        return float(np.min(reach / self.scale))

    def worst(self):
        """Return the entry (claimed, measured) furthest outside, or least far inside, what the claim accepts."""
        width = np.maximum(self.accepts[1] - self.accepts[0], np.finfo(float).tiny)
        return _worst(self.claimed, self.measured, np.abs(self.measured - self.claimed) / width)


def _worst(claimed, other, distance):
    if distance.size == 0:
        return math.nan, math.nan
    k = np.argmax(np.where(np.isnan(distance), np.inf, distance))
    return float(claimed.flat[k]), float(other.flat[k])


@dataclass
class Exact:
    """Collects comparisons with a truth that is computed by another route."""

    found: list = field(default_factory=list)

    def close(self, what, claimed, truth, tolerance=1e-12, scale=None):
        """Record whether `claimed` equals `truth`, relative to the largest entry of `truth` (or to `scale`)."""
        claimed, truth = np.asarray(claimed, dtype=float), np.asarray(truth, dtype=float)
        if claimed.shape != truth.shape:
            raise ValueError(f"{what}: shape {claimed.shape} where {truth.shape} is right")
        if scale is None:
            scale = np.abs(truth).max(initial=0.0) or 1.0
        same = claimed == truth  # NaN is never the same: two that fail alike prove nothing
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.where(same, 0.0, np.abs(claimed - truth) / scale)
        error = float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
        self.found.append(Comparison(what, claimed, truth, error, tolerance))

    def true(self, what, claim):
        """Record a claim that is either so or not."""
        self.close(what, float(bool(claim)), 1.0)

    def refuses(self, what, function, *arguments):
        """Record whether a call raises the error of a wrong argument."""
        try:
            function(*arguments)
        except (TypeError, ValueError):
            self.true(what, True)
        else:
            self.true(what, False)


@dataclass
class Trial:
    """Collects statistics of n samples drawn from `rng`, each with a false-alarm rate of at most `alpha`."""

    rng: np.random.Generator
    n: int
    alpha: float
    found: list = field(default_factory=list)

    def _record(self, what, claimed, measured, p_value, accepts, typical, scale, summands):
        """Record one statistic over m entries; `p_value` of each entry is corrected for their number.

        `measured` is the mean of `summands` over their first axis.
        """
        claimed, measured, p_value = np.atleast_1d(claimed), np.atleast_1d(measured), np.atleast_1d(p_value)
        margin = np.atleast_1d(summands.std(axis=0)) / math.sqrt(len(summands))
        accepts, typical = [np.atleast_1d(a) for a in accepts], [np.atleast_1d(a) for a in typical]
        scale = np.broadcast_to(np.where(np.asarray(scale) > 0, scale, 1.0), claimed.shape)
        # a claim that is no number, or a variance below zero, leaves a p-value that is no number: refuted, not passed
        known = np.isfinite(claimed) & np.isfinite(measured) & np.isfinite(p_value)
        p = float(min(1.0, p_value.size * np.where(known, p_value, 0.0).min()))
        self.found.append(Statistic(what, claimed, measured, p, accepts, typical, self.alpha, self.n, scale, margin))

    def mean(self, what, samples, mean, var, weight=1.0):
        r"""Judge the mean of normal samples: a z-test with known variance, exact.

        Samples are (n,) or (n, d). `mean` and `var` are what is claimed of them, and may differ from sample to
        sample (a conditional law); `weight` may be anything that was conditioned on.

        .. math:: \frac{\sum_i w_i (x_i - \mu_i)}{\sqrt{\sum_i w_i^2 \sigma_i^2}} \sim \mathcal{N}(0, 1)
        """
        samples = _column(samples)
        mean, var, weight = (_beside(a, samples) for a in (mean, var, weight))
        claimed, measured = (weight * mean).mean(axis=0), (weight * samples).mean(axis=0)
        std = np.sqrt((weight**2 * var).sum(axis=0)) / len(samples)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.abs(measured - claimed) / std
        z = np.where(measured == claimed, 0.0, z)
        reach = -ndtri(self.alpha / 2 / claimed.size) * std
        usual = -ndtri(MISS) * std
        scale = np.maximum(np.abs(claimed), np.sqrt((weight**2 * var).mean(axis=0)))
        bounds = (claimed - reach, claimed + reach), (claimed - usual, claimed + usual)
        self._record(what, claimed, measured, 2 * ndtr(-z), *bounds, scale, weight * samples)

    def var(self, what, samples, mean, var):
        r"""Judge the variance of normal samples around a known mean: a chi-square test, exact.

        `mean` may differ from sample to sample; `var` is one number, or one per coordinate.

        .. math:: \sum_i \frac{(x_i - \mu_i)^2}{\sigma^2} \sim \chi^2_n
        """
        samples = _column(samples)
        n, d = samples.shape
        squares = (samples - _beside(mean, samples)) ** 2
        measured = squares.mean(axis=0)
        claimed = np.broadcast_to(np.asarray(var, dtype=float), (d,))
        with np.errstate(divide="ignore", invalid="ignore"):
            half = n * measured / claimed / 2
        p_value = 2 * np.minimum(gammainc(n / 2, half), gammaincc(n / 2, half))
        tail = self.alpha / 2 / d
        accepts = _chi_square(n, tail)
        typical = _chi_square(n, MISS)
        bounds = [c * claimed for c in accepts], [c * claimed for c in typical]
        self._record(what, claimed, measured, p_value, *bounds, claimed, squares)

    def conditional(self, what, samples, mean, var, **conditioned_on):
        """Judge a conditional normal law without binning: mean, variance, and independence of what is known.

        The residual around the claimed conditional mean is normal and independent of everything conditioned
        on, so its product with each of these has mean zero. Records 2 + len(conditioned_on) statistics.
        """
        self.mean(f"{what}: mean", samples, mean, var)
        self.var(f"{what}: variance", samples, mean, var)
        for name, known in conditioned_on.items():
            self.mean(f"{what}: mean times {name}", samples, mean, var, weight=known)

    def quadratic(self, what, samples, claimed, linear, square):
        r"""Judge the mean of a quadratic form in normals by Chernoff's bound: log-ratios of Gaussians are such.

        .. math:: W = \mathbb{E}W + \sum_j \left[g_j z_j + h_j (z_j^2 - 1)\right], \qquad z_j \sim \mathcal{N}(0, 1)

        `linear` are the g_j and `square` the h_j, taken from the definition of the case and not from the claim.
        """
        samples = np.asarray(samples, dtype=float)
        law = _QuadraticForm(np.ravel(linear), np.ravel(square))
        n, claimed = samples.size, float(np.asarray(claimed))
        measured = samples.mean()
        p_value = min(1.0, 2 * math.exp(-n * law.rate(measured - claimed)))
        low, high = (law.deviation(math.log(2 / self.alpha) / n, sign) for sign in (-1, 1))
        usual_low, usual_high = (law.deviation(math.log(1 / MISS) / n, sign) for sign in (-1, 1))
        bounds = (claimed + low, claimed + high), (claimed + usual_low, claimed + usual_high)
        self._record(what, claimed, measured, p_value, *bounds, max(abs(claimed), law.std), samples.ravel())

    def bounded(self, what, samples, mean, var, span=2.0):
        r"""Judge the mean of samples from an interval of length `span` by Bernstein's inequality.

        .. math:: P\left(|\bar x - \mu| \ge e\right)
            \le 2\exp\left(-\frac{n e^2}{2(\sigma^2 + \text{span}\cdot e/3)}\right)
        """
        samples = np.asarray(samples, dtype=float).ravel()
        n, mean, var = samples.size, float(np.asarray(mean)), max(float(np.asarray(var)), 0.0)
        measured = samples.mean()
        rounding = 1e-12 * max(abs(mean), span)  # all that is left where nothing is random
        error = max(abs(measured - mean) - rounding, 0.0)
        spread = var + span * error / 3
        p_value = 2 * math.exp(-n * error**2 / (2 * spread)) if spread else float(error == 0)
        reach, usual = (
            (span * log / 3 + math.sqrt((span * log / 3) ** 2 + 2 * n * log * var)) / n
            for log in (math.log(2 / self.alpha), math.log(1 / MISS))
        )
        reach, usual = reach + rounding, usual + rounding
        bounds = (mean - reach, mean + reach), (mean - usual, mean + usual)
        self._record(what, mean, measured, min(1.0, p_value), *bounds, max(abs(mean), math.sqrt(var)), samples)

    def mixture(self, what, samples, weights, means, variances):
        r"""Judge samples of a one-dimensional Gaussian mixture by its characteristic function at one frequency.

        .. math:: \mathbb{E}\cos\omega x = \sum_k w_k e^{-\omega^2 v_k/2}\cos\omega m_k, \qquad
            \operatorname{Var}\cos\omega x = \frac{1 + \mathbb{E}\cos 2\omega x}{2} - (\mathbb{E}\cos\omega x)^2

        Sines likewise. Records 2 statistics; omega is one over the standard deviation of the claimed mixture.
        """
        weights, means, variances = (np.ravel(a) for a in (weights, means, variances))
        center = weights @ means
        omega = 1 / math.sqrt(weights @ (variances + (means - center) ** 2))
        shift = omega * center  # around the centre, so that neither cosine nor sine sits at a flat spot

        def phi(k):
            waves = np.exp(-((k * omega) ** 2) * variances / 2 + 1j * k * (omega * means - shift))
            return complex(weights @ waves)

        once, twice = phi(1), phi(2)
        wave = omega * np.asarray(samples, dtype=float).ravel() - shift
        self.bounded(f"{what}: E cos", np.cos(wave), once.real, (1 + twice.real) / 2 - once.real**2)
        self.bounded(f"{what}: E sin", np.sin(wave), once.imag, (1 - twice.real) / 2 - once.imag**2)

    def clt(self, what, samples, mean, var=None):
        """Judge the mean of samples whose law is not known, by the central limit theorem: the last resort.

        The variance is estimated unless given. The p-value is doubled, and n must be so large that the skewness
        cannot distort the tail by more than that: n >= (z^3 |skew| / (6 ln 2))^2; else :class:`Inconclusive`.
        """
        samples = np.asarray(samples, dtype=float).ravel()
        n, mean, measured = samples.size, float(np.asarray(mean)), samples.mean()
        centred = samples - measured
        var = (centred**2).mean() if var is None else float(np.asarray(var))
        if var == 0:
            z = 0.0 if math.isclose(measured, mean, rel_tol=1e-12, abs_tol=1e-12) else math.inf
        else:
            z = abs(measured - mean) / math.sqrt(var / n)
        z_alpha = -float(ndtri(self.alpha / 4))
        skew = abs((centred**3).mean()) / (centred**2).mean() ** 1.5 if var else 0.0
        needed = (z_alpha**3 * skew / (6 * math.log(2))) ** 2
        if n < needed:
            raise Inconclusive(f"{what}: n = {n} is too small for the central limit theorem; needs {math.ceil(needed)}")
        std = math.sqrt(var / n)
        reach, usual = z_alpha * std, -float(ndtri(MISS)) * std
        bounds = (mean - reach, mean + reach), (mean - usual, mean + usual)
        scale = max(abs(mean), math.sqrt(var))
        self._record(what, mean, measured, min(1.0, 4 * float(ndtr(-z))), *bounds, scale, samples)


def _column(a):
    """Return `a` as floats, (n,) turned into (n, 1)."""
    a = np.asarray(a, dtype=float)
    return a[:, None] if a.ndim == 1 else a


def _beside(a, samples):
    """Return `a`, given for all samples, for each (n,), for each coordinate (d,) or for both, in their shape (n, d)."""
    a = np.asarray(a, dtype=float)
    return np.broadcast_to(a[:, None] if a.shape == (len(samples),) else a, samples.shape)


def _chi_square(n, tail):
    """Return the quantiles at `tail` and 1 - `tail` of a chi-square variable with n degrees, over n."""
    return 2 * gammaincinv(n / 2, tail) / n, 2 * gammainccinv(n / 2, tail) / n


class _QuadraticForm:
    """W = sum_j g_j z_j + h_j (z_j^2 - 1): its cumulant generating function and what Chernoff makes of it."""

    def __init__(self, g, h):
        self.g, self.h = g, h
        self.std = math.sqrt((g**2).sum() + 2 * (h**2).sum())

    def cumulant(self, lam):
        u = 1 - 2 * lam * self.h
        return (-lam * self.h - np.log(u) / 2 + lam**2 * self.g**2 / (2 * u)).sum()

    def slope(self, lam):
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
