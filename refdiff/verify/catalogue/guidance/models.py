r"""Labelled data and normal classes as they are written down: what the identities of guidance compare with.

Nothing here calls a chapter. Class 0 owns the first and the last of three components, class 1 the second. All that
guidance does to a component's value, be it a score or a denoised point, is an average over which component a point
came from: class by Bayes' rule, then both averages with the weights 1 + w and -w.
"""

import math
from decimal import Decimal, localcontext

import numpy as np

from refdiff.verify.catalogue.continuous.processes import Blend
from refdiff.verify.catalogue.mixture import FIFTY_DIGITS, chances, data, decimal_log_mixture
from refdiff.verify.oracles import log_normal

LABELS = (0, 1, 0)
WEIGHTS = (0.0, -1.0, -0.4, 0.7, 3.0)  # of guidance; 0 is the conditional, -1 the unconditional
GRID = np.linspace(-20.0, 20.0, 4001)


def strength(case):
    """Return a weight of guidance between .9 and 2.3."""
    return 0.5 + 2 * case.slope


class Labelled:
    """A blend whose components have labels."""

    def __init__(self, law, labels=LABELS):
        self.law, self.labels = law, np.array(labels)

    def claim(self, claimed, case):
        """Return these data as the implementation builds them."""
        return claimed.guidance.LabelledMixture(self.law.as_mixture(case), self.labels)

    def probability(self, y):
        return self.law.weights[self.labels == y].sum()

    def given(self, y):
        """Return the law of one class."""
        own = self.labels == y
        weights = self.law.weights[own]
        return Blend(weights / weights.sum(), self.law.means[own], self.law.variances[own])

    def log_joint(self, x, y=None):
        """Return log p(x, y), or log p(x), of clean points (..., d): far out too, where densities underflow."""
        own = np.full(self.labels.shape, True) if y is None else self.labels == y
        law = self.law
        terms = np.log(law.weights[own]) + log_normal(x[..., None, :], law.means[own], law.variances[own])
        return np.logaddexp.reduce(terms, axis=-1)

    def log_classifier(self, y, x):
        """Return log p(y | x) of clean points."""
        return self.log_joint(x, y) - self.log_joint(x)

    def draw(self, n, rng):
        """Return the labels (n,) and the points (n, d) of n draws."""
        k, x = self.law.draw(n, rng)
        return self.labels[k], x

    def tilt(self, y, w, n, rng):
        """Return the draws of p(x | y) that are kept with probability p(y | x)^w: their law is the tilted one."""
        _, x = self.given(y).draw(n, rng)
        return x[np.log(rng.random(n)) < w * self.log_classifier(y, x)]

    def log_tilted(self, y, w, x):
        """Return the log-density of the tilted law (d = 1), normalised by a sum over a grid."""

        def power(x):
            return self.log_joint(x) + (1 + w) * self.log_classifier(y, x)

        mass = np.exp(power(GRID[:, None])).sum() * (GRID[1] - GRID[0])
        return power(x) - math.log(mass)


def labelled(case):
    """Return three components in two classes."""
    return Labelled(Blend(*data(case)))


def on_a_line(case):
    """Return the first coordinate of these data."""
    weights, means, variances = data(case)
    return Labelled(Blend(weights, means[:, :1], variances[:, :1]))


def separable(case):
    """Return such data where the label says something about the first coordinate only; the others are normal."""
    weights, means, variances = data(case)
    means, variances = means.copy(), variances.copy()
    means[:, 1:], variances[:, 1:] = means[0, 1:], variances[0, 1:]
    return Labelled(Blend(weights, means, variances))


# ------------------------------------------------------------------------------------------------- in fifty digits


def decimal_log_class(x, y, weights, means, variances):
    """Return log p(y | x) at one point, as a Decimal: the odds of the class by sums in fifty digits."""
    own = np.array(LABELS) == y
    with localcontext(FIFTY_DIGITS):
        of_class = decimal_log_mixture(x, weights[own], means[own], variances[own])
        of_others = decimal_log_mixture(x, weights[~own], means[~own], variances[~own])
        odds = (of_others - of_class).exp()
        # log(1 + odds), by its series where 1 + odds would lose what is small
        return -odds * (1 - odds / 2 + odds**2 / 3) if odds < Decimal("1e-15") else -(1 + odds).ln()


def decimal_log_tilted(x, y, w, weights, means, variances):
    """Return log of p(x) p(y | x)^(1 + w) at one point, as a Decimal."""
    with localcontext(FIFTY_DIGITS):
        of_class = decimal_log_class(x, y, weights, means, variances)
        return decimal_log_mixture(x, weights, means, variances) + Decimal(1 + w) * of_class


def decimal_gradient(f, x):
    """Return the gradient of a function of one point that returns Decimals: in fifty digits thirty are left."""
    step, gradient = Decimal("1e-15"), []
    with localcontext(FIFTY_DIGITS):
        for i in range(len(x)):
            ends = []
            for sign in (1, -1):
                moved = [Decimal(float(one)) for one in x]
                moved[i] += sign * step
                ends.append(f(moved))
            gradient.append(float((ends[0] - ends[1]) / (2 * step)))
    return np.array(gradient)


def decimal_laplacian(f, x):
    """Return the Laplacian of such a function, by second differences."""
    step, total = Decimal("1e-12"), Decimal(0)
    with localcontext(FIFTY_DIGITS):
        at = [Decimal(float(one)) for one in x]
        middle = f(at)
        for i in range(len(x)):
            for sign in (1, -1):
                moved = list(at)
                moved[i] += sign * step
                total += f(moved) - middle
        return float(total / step**2)


# ---------------------------------------------------------------------------------------------- averages by chance


def leaned(each, x, law, y, w, labels=LABELS):
    r"""Return what guidance makes of each component's value (n, K), for points x (n, d) of a mixture.

    .. math:: (1 + w)\,\frac{[y_k = y]}{p(y \mid x)}\,e_k - w\,e_k

    Its mean over where x came from is (1 + w) E[e | x, y] - w E[e | x].
    """
    own = np.array(labels) == y
    of_class = chances(x, *law)[:, own].sum(axis=1)[:, None]
    return each * ((1 + w) * own / of_class - w)


def pulls(x, weights, means, variances):
    """Return the score (n, K, d) of each component at x (n, d)."""
    return (means - x[:, None]) / variances


# --------------------------------------------------------------------------------------------------- normal classes


class NormalClass:
    """A normal class p(x | y) = N(m, v) of normal data p(x) = N(mu, V), V > v, with independent coordinates.

    They overlap so much that a draw of p(x | y) is often kept where it is kept with a probability that is in
    proportion to a power of p(y | x).
    """

    def __init__(self, case):
        apart = np.arange(case.d)
        self.v = case.spread[0] * (1 + apart / 4)
        self.V = self.v * (1 + 2 * case.var_q)
        self.m = np.array(case.x_0)
        self.mu = self.m - 0.7 * np.sqrt(self.v) * np.sign(case.eps)
        self.d = case.d

    def claim(self, claimed):
        """Return p(x | y) and p(x) as the implementation builds them."""
        return claimed.gaussian.Gaussian(self.m, self.v), claimed.gaussian.Gaussian(self.mu, self.V)

    def log_ratio(self, x):
        """Return log p(x | y) - log p(x) of the last coordinate, up to a constant."""
        m, v, mu, V = (one[-1] for one in (self.m, self.v, self.mu, self.V))
        return log_normal(x[:, None], m, v) - log_normal(x[:, None], mu, V)

    def tilt(self, w, n, rng):
        """Return draws of the last coordinate of p(x | y), kept with a probability in proportion to p(y | x)^w."""
        m, v, mu, V = (one[-1] for one in (self.m, self.v, self.mu, self.V))
        surest = (m / v - mu / V) / (1 / v - 1 / V)
        x = m + math.sqrt(v) * rng.standard_normal(n)
        return x[np.log(rng.random(n)) < w * (self.log_ratio(x) - self.log_ratio(np.array([surest])))]

    def guided(self, w, factor, left):
        """Return the slope and the shift of the guided score of factor x + N(0, left): it is linear in x."""
        v, V = factor**2 * self.v + left, factor**2 * self.V + left
        return -(1 + w) / v + w / V, (1 + w) * factor * self.m / v - w * factor * self.mu / V
