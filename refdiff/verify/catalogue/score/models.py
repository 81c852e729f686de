r"""What the identities of the score compare with: mixture data as they are written down, and affine fields.

Nothing here calls a chapter.
"""

import math
from decimal import Decimal, localcontext

import numpy as np

from refdiff.verify.catalogue.mixture import FIFTY_DIGITS, chances, decimal_log_mixture, diffuse
from refdiff.verify.oracles import integrate

MANY = 20_000  # draws so many that chance moves their variance by a hundredth
ROUGHLY = 0.2  # twenty standard errors of the variance of so many: what chance exceeds once in 1e80 runs


def mixture_score(x, weights, means, variances):
    """Return the gradient of log q at points x (n, d): each component's pull, by its chance."""
    r = chances(x, weights, means, variances)
    return np.sum(r[..., None] * (means - x[:, None]) / variances, axis=1)


def score_of(case):
    """Return the score of q(x_t) of the mixture data, as a callable of points (n, d) and one t or one for each."""

    def score(x, t):
        x, t = np.asarray(x), np.asarray(t)
        if x.ndim == 1:
            return mixture_score(x[None], *diffuse(case, int(t)))[0]
        if t.ndim == 0:
            return mixture_score(x, *diffuse(case, int(t)))
        return np.concatenate([mixture_score(one[None], *diffuse(case, int(s))) for one, s in zip(x, t, strict=True)])

    return score


def decimal_hessian(x, weights, means, variances):
    """Return the second derivatives of log q at x (d,), by central differences in fifty digits."""
    d, step = len(x), Decimal("1e-12")
    hessian = np.empty((d, d))
    with localcontext(FIFTY_DIGITS):

        def f(i, j, a, b):
            moved = [Decimal(float(one)) for one in x]
            moved[i] += a * step
            moved[j] += b * step
            return decimal_log_mixture(moved, weights, means, variances)

        for i in range(d):
            for j in range(i + 1):
                cross = f(i, j, 1, 1) - f(i, j, 1, -1) - f(i, j, -1, 1) + f(i, j, -1, -1)
                hessian[i, j] = hessian[j, i] = float(cross / (4 * step**2))
    return hessian


def moments_given(prior, factor, left, y):
    """Return E[x | y] (d,) and Cov[x | y] (d, d) for y = factor x + N(0, left), x from a mixture: Bayes' integral.

    Within a component the coordinates are independent, so the integrals are one-dimensional.
    """
    weights, means, variances = prior

    def integrand(x):
        x = x[:, None, None]
        joint = np.exp(-((x - means) ** 2) / (2 * variances) - (y - factor * x) ** 2 / (2 * left)) / np.sqrt(variances)
        return np.stack([joint, x * joint, x**2 * joint], axis=1)

    mass, first, second = integrate(integrand, -20.0, 20.0, points=1601)
    given = weights * mass.prod(axis=-1)
    given = given / given.sum()
    of_k, var_k = first / mass, second / mass - (first / mass) ** 2
    mean = given @ of_k
    apart = of_k - mean
    return mean, np.einsum("k,ki,kj->ij", given, apart, apart) + np.diag(given @ var_k)


class Affine:
    """A field s(x, t) = A x + b + t / 5 whose Jacobian A is not symmetric: no gradient, as a network's need not be."""

    def __init__(self, case):
        i, j = np.indices((case.d, case.d))
        self.A = -np.diag(0.5 + case.slope * np.arange(1, case.d + 1)) + 0.4 * (i - j) + 0.8 * (i != j)
        self.b = case.intercept + np.array(case.eps) / 2

    def __call__(self, x, t=None):
        at = 0.0 if t is None else np.asarray(t)[..., None] / 5
        return np.asarray(x) @ self.A.T + self.b + at


def at_each_t(evidence, what, found, truth, t, tolerance=1e-9):
    """Record a comparison of numbers at each t with what differences or quadrature give, which keep nine digits."""
    evidence.close(what, found, truth, tolerance, scale=1 + np.abs(truth).max(), at=t)


def square(c, B):
    """Return mean, g and h of |c + B z|^2 for z ~ N(0, I), as Trial.quadratic wants them."""
    h, axes = np.linalg.eigh(B.T @ B)
    return c @ c + np.sum(B**2), axes.T @ (2 * B.T @ c), h


def form(c, M):
    """Return mean, g and h of c . z + z' M z for z ~ N(0, I)."""
    h, axes = np.linalg.eigh((M + M.T) / 2)
    return np.trace(M), axes.T @ c, h


def spread_of(samples):
    """Return the mean square of draws around 0, for the exact route: chance moves it by a hundredth."""
    return float(np.mean(np.asarray(samples) ** 2))


class Normal:
    """The law N(m, v I) as a target, and a step size under which Langevin dynamics settles quickly and far off.

    m is case.x_t and v case.var_q; x - m contracts by a = 1 - h / v in each step.
    """

    def __init__(self, case, d=None):
        self.mean = np.array(case.x_t)[:d]
        self.var = case.var_q
        self.h = (0.5 + case.slope / 2) * self.var
        self.a = 1 - self.h / self.var

    def score(self, x):
        return -(np.asarray(x) - self.mean) / self.var

    def log_density(self, x):
        return -np.sum((np.asarray(x) - self.mean) ** 2, axis=-1) / (2 * self.var)

    def draw(self, n, rng):
        return self.mean + math.sqrt(self.var) * rng.standard_normal((n, len(self.mean)))

    def step(self, x, h, rng):
        """Return one Langevin step by its definition."""
        return x + h * self.score(x) + math.sqrt(2 * h) * rng.standard_normal(x.shape)


def mean_over_moves(f, h, points=160):
    r"""Return E f(x, y) for x ~ N(0, 1) and y a Langevin step of size h from x: sums over three panels of y.

    Metropolis' rule has its kinks where |y| = |x|; between them all is smooth, and Gauss's rule exact to rounding. f
    has to be even: f(-x, -y) = f(x, y).
    """
    z, w = np.polynomial.legendre.leggauss(points)
    x = 4.5 * (z + 1)  # 0..9
    far = 9 + 9 * math.sqrt(2 * h) + abs(1 - h) * 9
    total = 0.0
    for low, high in ((np.full_like(x, -far), -x), (-x, x), (x, np.full_like(x, far))):
        y = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * z
        density = np.exp(-(x[:, None] ** 2) / 2 - (y - (1 - h) * x[:, None]) ** 2 / (4 * h))
        inner = (f(x[:, None], y) * density) @ w * (high - low) / 2
        total += inner @ w * 4.5
    return 2 * total / (2 * math.pi * math.sqrt(2 * h))


def accepted(x, y, h):
    """Return the probability with which MALA moves from x to y on N(0, 1), by its definition."""

    def log_joint(x, y):
        return -(x**2) / 2 - (y - (1 - h) * x) ** 2 / (4 * h)

    return np.exp(np.minimum(0.0, log_joint(y, x) - log_joint(x, y)))
