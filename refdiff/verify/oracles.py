r"""Truth by other routes: the dense joint Gaussian of a chain, quadrature, and finite differences.

Everything starts from the definition, x_t = sqrt(alpha_t) x_{t-1} + sqrt(beta_t) eps_t, and from the list of
betas; nothing here calls a chapter of the library.
"""

import math

import numpy as np

__all__ = [
    "condition",
    "dense_joint",
    "gauss_hermite",
    "gradient",
    "integrate",
    "log_normal",
    "marginal",
    "mean_log_ratio",
    "path_weights",
]


def path_weights(beta):
    """Return how x_0..x_T depend on x_0 and on each step's noise: vectors (T + 1,) and (T + 1, T).

    Row t of the second holds the weights of eps_1..eps_T in x_t, by running the recursion on rows.
    """
    T = len(beta)
    start, noise = np.zeros(T + 1), np.zeros((T + 1, T))
    start[0] = 1.0
    for t in range(1, T + 1):
        start[t] = math.sqrt(1 - beta[t - 1]) * start[t - 1]
        noise[t] = math.sqrt(1 - beta[t - 1]) * noise[t - 1]
        noise[t, t - 1] = math.sqrt(beta[t - 1])
    return start, noise


def dense_joint(beta, mean_0, var_0=0.0):
    """Return mean (T + 1, d) and covariance (T + 1, T + 1) of x_0..x_T for x_0 ~ N(mean_0, var_0 I).

    The covariance is that of each coordinate. With var_0 = 0 it is the law given x_0, whose row 0 is zero.
    """
    start, noise = path_weights(beta)
    return np.outer(start, np.atleast_1d(mean_0)), noise @ noise.T + var_0 * np.outer(start, start)


def marginal(beta, t):
    """Return the weight of x_0 in x_t, and the variance of x_t given x_0."""
    start, noise = path_weights(beta)
    return start[t], noise[t] @ noise[t]


def condition(mean, cov, target, known):
    """Return mean (d,) and variance of one step given others, by the Schur complement.

    `known` maps steps to their values, each of shape (d,).
    """
    steps = list(known)
    k = cov[np.ix_(steps, steps)]
    gain = np.linalg.solve(k, cov[steps, target])
    values = np.array([np.atleast_1d(known[s]) for s in steps])
    return mean[target] + gain @ (values - mean[steps]), cov[target, target] - gain @ cov[steps, target]


def log_normal(x, mean, var):
    """Return the log-density of independent normals, summed over the last axis."""
    x, mean, var = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (x, mean, var)))
    return np.sum(-0.5 * np.log(2 * math.pi * var) - (x - mean) ** 2 / (2 * var), axis=-1)


def gauss_hermite(f, mean, var, nodes=32):
    """Return E f(x) for x ~ N(mean, var), f a sum over coordinates; exact for polynomials of degree 2 nodes - 1.

    All coordinates share one normal variable: that changes the law of such a sum, but not its mean.
    """
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    return np.tensordot(w / w.sum(), np.array([f(mean + np.sqrt(var) * one) for one in z]), axes=1)


def mean_log_ratio(q_mean, q_var, p_mean, p_var):
    """Return KL(q || p) of independent normals from its definition, the mean of log q/p under q: a quadratic form."""
    return gauss_hermite(lambda x: log_normal(x, q_mean, q_var) - log_normal(x, p_mean, p_var), q_mean, q_var, nodes=4)


def integrate(f, low, high, points=4001):
    """Return the integral of a smooth f that vanishes at both ends: the trapezoid rule, spectrally accurate there.

    f maps (points,) to (points, ...).
    """
    x = np.linspace(low, high, points)
    values = np.asarray(f(x))
    return values.sum(axis=0) * ((high - low) / (points - 1))


def gradient(f, x, step=1e-3):
    """Return the gradient of a scalar f at x (d,), by central differences extrapolated twice: error O(step^6)."""
    x = np.asarray(x, dtype=float)
    out = np.empty_like(x)
    for i in range(x.size):
        e = np.zeros_like(x)
        e[i] = 1.0
        rough = [(f(x + h * e) - f(x - h * e)) / (2 * h) for h in (step, step / 2, step / 4)]
        finer = [(4 * rough[1] - rough[0]) / 3, (4 * rough[2] - rough[1]) / 3]
        out[i] = (16 * finer[1] - finer[0]) / 15
    return out
