r"""The three equations by their definitions, and data that diffuse by them: what the identities compare with.

Nothing here calls a chapter. A process has two faces: the equation, of which Ito's isometry and quadrature make a
transition; and the law of x_s given x_0 as it is known without the equation: a product of infinitely many steps of the
chain, or a ladder of noise levels. Functions of s take complex numbers, so that a step of 1e-30 i differentiates them
to the last digit.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf

from refdiff.verify.catalogue.mixture import data
from refdiff.verify.oracles import integrate, log_normal

MANY, FEW = np.polynomial.legendre.leggauss(40), np.polynomial.legendre.leggauss(14)
TINY = 1e-30


def along(low, high, rule=MANY):
    """Return Gauss-Legendre nodes and weights between two times, each (..., n)."""
    (nodes, weights), low, high = rule, np.asarray(low)[..., None], np.asarray(high)[..., None]
    return low + (high - low) * (1 + nodes) / 2, (high - low) * weights / 2


def over(f, low, high):
    """Return the integral of f, which maps times to values, between times of any shape."""
    s, weights = along(low, high)
    return np.sum(weights * f(s), axis=-1)


def rate(f, s):
    """Return the derivative of a real analytic f at s: the imaginary part of a step along the imaginary axis."""
    return np.imag(f(s + 1j * TINY)) / TINY


class Process:
    """One of the equations dx = f(s) x ds + g(s) dW, with the methods that the functions judged ask of one."""

    def __init__(self, name, low, high):
        self.name, self.low, self.high = name, low, high

    def claim(self, claimed):
        """Return the equation as the implementation builds it."""
        return getattr(claimed.continuous, self.name)(self.low, self.high)

    # the equation, as it is written down

    def beta(self, s):
        return self.low + (self.high - self.low) * s

    def sigma(self, s):
        return self.low * (self.high / self.low) ** s

    def f(self, s):
        return 0.0 * s if self.name == "VE" else -self.beta(s) / 2

    def lost(self, s):
        """Return the integral of beta from 0 to s: the midpoint rule, exact for a line."""
        return s * self.beta(s / 2)

    def g_2(self, s):
        if self.name == "VE":
            return rate(lambda s: self.sigma(s) ** 2, s)
        if self.name == "VP":
            return self.beta(s)
        return self.beta(s) * -np.expm1(-2 * self.lost(s))

    def by_equation(self, s, u):
        """Return the factor of x_s in the mean of x_u, and the variance of x_u given x_s: Ito's isometry."""
        r, weights = along(s, u)
        left = np.exp(2 * over(self.f, r, np.broadcast_to(np.asarray(u)[..., None], r.shape)))
        return np.exp(over(self.f, s, u)), np.sum(weights * left * self.g_2(r), axis=-1)

    # the law of x_s given x_0, as it is known without the equation

    def a(self, s):
        return 1.0 + 0.0 * s if self.name == "VE" else np.exp(-self.lost(s) / 2)

    def v(self, s):
        if self.name == "VE":
            return self.sigma(s) ** 2 - self.low**2
        left = -np.expm1(-self.lost(s))
        return left if self.name == "VP" else left**2

    def step(self, x, s, u, rng):
        """Return x_u (n, d), drawn given x_s by the equation."""
        factor, var = self.by_equation(s, u)
        return factor * x + math.sqrt(var) * rng.standard_normal(x.shape)

    def run(self, x, s, u, rng, steps=3):
        """Return x_u (n, d), drawn given x_s in several steps."""
        times = np.linspace(s, u, steps + 1)
        for before, after in pairwise(times):
            x = self.step(x, before, after, rng)
        return x

    # what an equation offers to the functions judged

    def drift_rate(self, s):
        return self.f(np.asarray(s, dtype=float))

    def drift(self, x, s):
        return self.drift_rate(beside(s, x)) * x

    def diffusion(self, s):
        return np.sqrt(self.g_2(np.asarray(s, dtype=float)))

    def signal_rate(self, s):
        return self.a(np.asarray(s, dtype=float))

    def var(self, s):
        return self.v(np.asarray(s, dtype=float))

    def noise_rate(self, s):
        return np.sqrt(self.var(s))

    def log_snr(self, s):
        return 2 * np.log(self.signal_rate(s)) - np.log(self.var(s))

    def time(self, log_snr):
        """Return where log SNR has a value, by bisection; one value by Brent's method, which asks less often."""
        if np.ndim(log_snr) == 0:
            low, high = 1e-9, 1.0  # where the variance of VE still has a digit
            gap = self.log_snr(high) - log_snr
            return high if gap >= 0 else brentq(lambda s: self.log_snr(s) - log_snr, low, high, xtol=1e-300, rtol=1e-15)
        low, high = np.zeros(np.shape(log_snr)), np.ones(np.shape(log_snr))
        for _ in range(60):
            middle = (low + high) / 2
            above = self.log_snr(middle) > log_snr
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return (low + high) / 2

    def prior(self, d):
        return Blend([1.0], np.zeros((1, d)), np.full((1, d), self.high**2 if self.name == "VE" else 1.0))


class Blend:
    """A mixture of normals with independent coordinates: weights (K,), means and variances (K, d)."""

    def __init__(self, weights, means, variances):
        self.weights, self.means, self.variances = (np.asarray(one, dtype=float) for one in (weights, means, variances))
        self.d = self.means.shape[1]

    @property
    def mean(self):
        return self.weights @ self.means

    @property
    def var(self):
        return self.weights @ (self.variances + self.means**2) - self.mean**2

    def as_mixture(self, case):
        """Return it as the mixture that functions judged are handed."""
        return type(case.mixture)(self.weights, self.means, self.variances)

    def draw(self, n, rng):
        """Return the components (n,) and n points (n, d)."""
        k = np.searchsorted(np.cumsum(self.weights)[:-1], rng.random(n))
        return k, self.means[k] + np.sqrt(self.variances[k]) * rng.standard_normal((n, self.d))

    def log_density(self, x):
        return np.log(np.sum(self.weights * np.exp(log_normal(x[..., None, :], self.means, self.variances)), axis=-1))

    def entropy(self):
        """Return the entropy (d = 1) on a grid."""
        reach = 12 * math.sqrt(self.variances.max()) + np.abs(self.means).max()

        def surprise(x):
            density = np.exp(self.log_density(x[:, None]))
            return np.where(density > 0, -density * np.log(np.where(density > 0, density, 1.0)), 0.0)

        return integrate(surprise, -reach, reach, points=8001)

    # the mixture that it is at s under a process: each function of s takes complex s

    def at(self, process, s):
        """Return means and variances of x_s, (K, d), or (..., K, d) for s of shape (...)."""
        a, v = (np.asarray(f(s))[..., None, None] for f in (process.a, process.v))
        return a * self.means, a**2 * self.variances + v

    def diffused(self, process, s):
        """Return the law of x_s."""
        return Blend(self.weights, *self.at(process, s))

    def log_joint(self, x, means, variances):
        """Return log(w_k N(x; m_k, v_k)), (..., K)."""
        quadratic = np.log(2 * math.pi * variances) + (x[..., None, :] - means) ** 2 / variances
        return np.log(self.weights) - np.sum(quadratic, axis=-1) / 2

    def apart(self, process, x, s):
        """Return for each component its chance given x, (..., K), u = -(x - m) / v, (..., K, d), and 1 / v."""
        means, variances = self.at(process, s)
        joint = self.log_joint(x, means, variances)
        joint = np.exp(joint - joint.max(axis=-1, keepdims=True))  # far out, where a wrong sampler goes, all underflow
        return joint / joint.sum(axis=-1, keepdims=True), (means - x[..., None, :]) / variances, 1 / variances

    def score(self, process):
        """Return the callable score(x, s)."""

        def score(x, s):
            chances, u, _ = self.apart(process, x, s)
            return np.sum(chances[..., None] * u, axis=-2)

        return score

    def bends(self, process, x, s):
        """Return the Laplacian of each component's density over that density, (..., K)."""
        _, u, precisions = self.apart(process, x, s)
        return np.sum(u**2 - precisions, axis=-1)

    def score_divergence(self, process):
        """Return the callable divergence(x, s) of that score."""

        def divergence(x, s):
            chances, u, precisions = self.apart(process, x, s)
            bend = np.sum(chances * np.sum(u**2 - precisions, axis=-1), axis=-1)
            return bend - np.sum(np.sum(chances[..., None] * u, axis=-2) ** 2, axis=-1)

        return divergence

    def log_rate(self, process, x, s):
        """Return how fast log q_s(x) changes with s."""
        return rate(lambda s: np.log(np.sum(np.exp(self.log_joint(x, *self.at(process, s))), axis=-1)), s)

    def past(self, process, x, s):
        """Return the rate at which E[x_r | x_s] leaves x_s as r falls below s: its derivative in r at s.

        Within a component x_r is regressed on x_s, whose covariance is a_s / a_r times the variance of x_r.
        """
        means, variances = self.at(process, s)
        chances, _, _ = self.apart(process, x, s)

        def expected(r):
            means_r, variances_r = self.at(process, r)
            gain = np.asarray(process.a(s) / process.a(r))[..., None, None] * variances_r / variances
            given = means_r + gain * (x[..., None, :] - means)
            return np.sum(chances[..., None] * given, axis=-2)

        return rate(expected, s)

    def quantile(self, process, x, s):
        """Return the probability of the first coordinate to be below that of x, (...), for one s."""
        means, variances = self.at(process, s)
        z = (x[..., :1] - means[:, 0]) / np.sqrt(2 * variances[:, 0])
        return np.sum(self.weights * (1 + erf(z)) / 2, axis=-1)


def beside(s, x):
    """Return s lined up with x."""
    s = np.asarray(s, dtype=float)
    return s[..., None] if s.ndim else s


def processes(case):
    """Return the three equations, coarse enough for the usual slips to show."""
    low, sigma = 0.2 + case.spread[0], 0.3 + case.spread[1]
    high = low + 3 + 2 * case.var_p
    return Process("VP", low, high), Process("VE", sigma, sigma * (3 + case.var_q)), Process("SubVP", low, high)


def one_process(case):
    """Return one of the three, where all of them would take too long."""
    return processes(case)[(case.T + case.d) % 3]


def instants(case):
    """Return two times s < u in general position."""
    return 0.15 + 0.25 * case.weight, 0.6 + 0.4 * case.slope


def some_points(case):
    """Return points (4, d), and a time for each."""
    s, u = instants(case)
    points = np.array([case.x_0, case.x_t, case.eps, np.zeros(case.d)])
    return points, np.linspace(s, u, 4)


def blend(case):
    """Return data of three components, no two of them alike."""
    return Blend(*data(case))


def normal(case):
    """Return data of one component, with another variance in each coordinate."""
    _, means, variances = data(case)
    return Blend([1.0], means[:1], variances[:1])


def line(case):
    """Return data of two components on a line."""
    weights, means, variances = data(case)
    return Blend(weights[:2] / weights[:2].sum(), means[:2, :1], variances[:2, :1])


def separable(case):
    """Return data whose coordinates are independent: two components in the first, one normal in each of the others."""
    weights, means, variances = data(case)
    means, variances = means[:2].copy(), variances[:2].copy()
    means[1, 1:], variances[1, 1:] = means[0, 1:], variances[0, 1:]
    return Blend(weights[:2] / weights[:2].sum(), means, variances)


def affine(drift, score, d):
    """Return functions A(r) and b(r), (..., d), of a drift that is A x + b where the score is that of normals."""

    def at(x, r):
        r = np.asarray(r)
        points = np.full((r.size, d), x)
        return np.asarray(drift(score, points, r.ravel())).reshape(*r.shape, d)

    return lambda r: at(1.0, r) - at(0.0, r), lambda r: at(0.0, r)


def along_axis(f, low, high):
    """Return the integral of f, which maps times (...) to (..., d), between times of any shape."""
    s, weights = along(low, high)
    return np.sum(weights[..., None] * f(s), axis=-2)
