r"""Evidence with stated error rates: what a check may say, and how sure it is.

:class:`Exact` compares numbers with an independent truth. :class:`Trial` draws samples and compares their mean
with a claim under a law that is known: normal, chi-square, or bounded by Chernoff and Bernstein. The central limit
theorem is never asked: a p-value is never smaller than the truth allows, so a budget of false alarms holds.
"""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from refdiff.verify.tally import (
    BoundedMean,
    Inconclusive,
    Moments,
    NormalMean,
    NormalVar,
    QuadraticForm,
    QuadraticMean,
    Statistic,
    worst,
)

__all__ = ["Comparison", "Exact", "Inconclusive", "Misshapen", "Statistic", "Trial", "stream"]


REFUSAL = "raises TypeError or ValueError"


class Misshapen(ValueError):
    """Raised where a claim does not have the shape of what it is compared with."""


def stream(*names):
    """Return a Generator that depends on `names` and on nothing else: replayable, and fresh for other names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "big")))


@dataclass(frozen=True)
class Comparison:
    """A claimed number beside the truth, found without chance.

    `at` are the steps t along the first axis, where the arrays run over them.
    """

    what: str
    claimed: np.ndarray
    truth: np.ndarray
    error: float
    tolerance: float
    scale: float = 1.0
    at: tuple | None = None

    @property
    def holds(self):
        """Whether the relative error is within the tolerance."""
        return self.error <= self.tolerance

    @property
    def excess(self):
        """How many times the tolerance the error is; one of 0, for whole numbers, is kept or exceeded without bound."""
        if self.tolerance > 0:
            return self.error / self.tolerance
        return math.inf if self.error > 0 else 0.0

    @property
    def detects(self):
        """The smallest relative error that this comparison notices."""
        return self.tolerance

    @property
    def of_refusal(self):
        """Whether it is not about numbers, but about an error that a wrong argument must raise."""
        return self.what.endswith(REFUSAL)

    def _errors(self):
        """Return the relative error of each entry; NaN where a claim is none."""
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(self.claimed - self.truth) / self.scale
        return np.where(self.claimed == self.truth, 0.0, error)

    def worst(self):
        """Return the entry (claimed, truth) that differs most, measured by its scale."""
        return worst(self.claimed, self.truth, self._errors())

    @property
    def first_t(self):
        """The first t whose entries are wrong; None where all are right, or the arrays do not run over t."""
        if self.at is None:
            return None
        wrong = (~(self._errors() <= self.tolerance)).reshape(len(self.at), -1).any(axis=1)
        return min((t for t, is_wrong in zip(self.at, wrong) if is_wrong), default=None)

    def first(self):
        """Return the entry (claimed, truth) that is worst at the first t, or worst of all without t."""
        if (t := self.first_t) is None:
            return self.worst()
        here = np.array(self.at) == t
        return worst(self.claimed[here], self.truth[here], self._errors()[here])


@dataclass
class Exact:
    """Collects comparisons with a truth that is computed by another route.

    `precision` is the smallest relative error that counts: 0 for float64, more for an implementation in few digits.
    """

    precision: float = 0.0
    found: list = field(default_factory=list)

    def close(self, what, claimed, truth, tolerance=1e-12, scale=None, at=None):
        """Record whether `claimed` equals `truth`, relative to the largest entry of `truth` (or to `scale`).

        Where the arrays run over steps, `at` names the t of each entry of their first axis.
        """
        claimed, truth = np.asarray(claimed, dtype=float), np.asarray(truth, dtype=float)
        if claimed.shape != truth.shape:
            raise Misshapen(f"{what} has shape {claimed.shape}, {truth.shape} is right")
        if truth.size == 0:
            raise ValueError(f"{what}: no numbers to compare")
        if at is not None:
            at = tuple(int(t) for t in at)
        if scale is None:
            scale = np.abs(truth[np.isfinite(truth)]).max(initial=0.0) or 1.0
        same = claimed == truth  # NaN is never the same: two that fail alike prove nothing
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.where(same, 0.0, np.abs(claimed - truth) / scale)
        error = float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
        tolerance = max(tolerance, self.precision)
        self.found.append(Comparison(what, claimed, truth, error, tolerance, scale, at))

    def true(self, what, claim):
        """Record a claim that is either so or not."""
        self.close(what, float(bool(claim)), 1.0)

    def refuses(self, what, function, *arguments, **options):
        """Record whether a call raises the error of a wrong argument."""
        what = f"{what} {REFUSAL}"
        try:
            function(*arguments, **options)
        except (TypeError, ValueError):
            self.true(what, True)
        else:
            self.true(what, False)


@dataclass
class Trial:
    """Collects statistics of n samples drawn from `rng`, each with a false-alarm rate of at most `alpha`.

    `tallies` are their sums, which merge with those of other chunks of samples; `found` is what they prove.
    """

    rng: np.random.Generator
    n: int
    alpha: float
    precision: float = 0.0
    tallies: list = field(default_factory=list)

    @property
    def found(self):
        """What the samples drawn so far prove: a list of Statistic."""
        return [tally.statistic(self.alpha) for tally in self.tallies]

    def mean(self, what, samples, mean, var, weight=1.0):
        r"""Judge the mean of normal samples: a z-test with known variance, exact.

        Samples are (n,) or (n, d). `mean` and `var` are what is claimed of them, and may differ from sample to
        sample (a conditional law); `weight` may be anything that was conditioned on.

        .. math:: \frac{\sum_i w_i (x_i - \mu_i)}{\sqrt{\sum_i w_i^2 \sigma_i^2}} \sim \mathcal{N}(0, 1)
        """
        samples = _column(samples)
        mean, var, weight = (_beside(a, samples) for a in (mean, var, weight))
        claimed, var = (weight * mean).mean(axis=0), (weight**2 * var).mean(axis=0)
        size = np.abs(weight * mean).mean(axis=0)
        self.tallies.append(NormalMean(what, Moments.of(weight * samples), claimed, var, size, self.precision))

    def var(self, what, samples, mean, var):
        r"""Judge the variance of normal samples around a known mean: a chi-square test, exact.

        `mean` may differ from sample to sample; `var` is one number, or one per coordinate.

        .. math:: \sum_i \frac{(x_i - \mu_i)^2}{\sigma^2} \sim \chi^2_n
        """
        samples = _column(samples)
        squares = Moments.of((samples - _beside(mean, samples)) ** 2)
        claimed = np.broadcast_to(np.asarray(var, dtype=float), samples.shape[1:])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = squares.mean / claimed
        self.tallies.append(NormalVar(what, squares, claimed, ratio, self.precision))

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
        law = QuadraticForm(np.ravel(linear), np.ravel(square))
        self.tallies.append(QuadraticMean(what, Moments.of(np.ravel(samples)), _number(claimed), law, self.precision))

    def bounded(self, what, samples, mean, var, span=2.0):
        r"""Judge the mean of samples from an interval of length `span` by Bernstein's inequality.

        .. math:: P\left(|\bar x - \mu| \ge e\right)
            \le 2\exp\left(-\frac{n e^2}{2(\sigma^2 + \text{span}\cdot e/3)}\right)
        """
        moments = Moments.of(np.ravel(samples))
        self.tallies.append(BoundedMean(what, moments, _number(mean), max(_number(var), 0.0), span, self.precision))

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


def _number(a):
    """Return one number as a float; more than one is an error of the claim."""
    return float(np.asarray(a, dtype=float))


def _column(a):
    """Return `a` as floats, (n,) turned into (n, 1)."""
    a = np.asarray(a, dtype=float)
    return a[:, None] if a.ndim == 1 else a


def _beside(a, samples):
    """Return `a`, given for all samples, for each (n,), for each coordinate (d,) or for both, in their shape (n, d)."""
    a = np.asarray(a, dtype=float)
    return np.broadcast_to(a[:, None] if a.shape == (len(samples),) else a, samples.shape)
