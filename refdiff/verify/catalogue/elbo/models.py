r"""Gaussian models taken apart by dense routes: what the identities of the bound compare with.

Nothing here calls a chapter. A model is what its definition makes of a linear denoiser, or of one that knows x_0.
"""

import math
from dataclasses import replace

import numpy as np

from refdiff.verify.oracles import (
    condition,
    dense_joint,
    gauss_hermite,
    log_normal,
    marginal,
    mean_log_ratio,
    path_weights,
)

NODES = 4  # Gauss-Hermite nodes: exact to degree 7, where 2 is needed
VARIANCES = ("beta", "posterior")
DECODERS = ("beta_1", "beta_tilde_2")


def posterior(case, t, x_0, x_t):
    """Return mean and variance of x_{t-1} given x_t and x_0 by the Schur complement, for any number of points."""
    start, noise = path_weights(case.beta)
    gain = noise[t - 1] @ noise[t] / (noise[t] @ noise[t])
    mean = start[t - 1] * x_0 + gain * (x_t - start[t] * x_0)
    return mean, noise[t - 1] @ noise[t - 1] - gain * (noise[t - 1] @ noise[t])


def model_mean(case, t, x_t, eps_hat):
    """Return the mean of p(x_{t-1} | x_t): that of the posterior, with the x_0 that eps_hat speaks of."""
    signal, var = marginal(case.beta, t)
    return posterior(case, t, (x_t - math.sqrt(var) * eps_hat) / signal, x_t)[0]


def model_var(case, t, variance):
    """Return the variance of p(x_{t-1} | x_t), or of p(x_0 | x_1), by the name of its choice or from an array."""
    if not isinstance(variance, str):
        return variance[t]
    if variance in ("beta", "beta_1"):
        return case.beta[t - 1]
    return posterior(case, 2 if variance == "beta_tilde_2" else t, 0.0, 0.0)[1]


def knows(case, x_0, offset=0.0):
    """Return the denoiser that knows x_0, and errs by `offset`: what it costs does not depend on x_t."""
    start, noise = path_weights(case.beta)
    std = np.sqrt((noise**2).sum(axis=1))

    def denoiser(x_t, t):
        t = np.asarray(t)
        return (x_t - start[t][..., None] * x_0) / std[t][..., None] + offset

    return denoiser


def true_term(case, t, x_0, x_t, eps_hat, variance):
    """Return KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))."""
    return mean_log_ratio(
        *posterior(case, t, x_0, x_t), model_mean(case, t, x_t, eps_hat), model_var(case, t, variance)
    )


def expected(f, case, t):
    """Return the mean of f(x_t) over q(x_t | x_0), for an f that is a sum over coordinates of quadratics."""
    signal, var = marginal(case.beta, t)
    return gauss_hermite(f, signal * np.array(case.x_0), var, nodes=NODES)


def error_of_mean(case, t):
    """Return E and slope of the error of the model's mean, posterior mean - model mean, in the noise of x_t.

    Both means are affine in x_t, so the error is E + slope z with x_t = E x_t + std z.
    """
    signal, var = marginal(case.beta, t)
    x_0, std = np.array(case.x_0), math.sqrt(var)

    def error(z):
        x_t = signal * x_0 + std * z
        return posterior(case, t, x_0, x_t)[0] - model_mean(case, t, x_t, case.denoiser(x_t, t))

    return error(0.0), error(1.0) - error(0.0)


def law_of_term(case, t, var):
    r"""Return g and h of |E + slope z|^2 / (2 var), the part of a term that depends on x_t."""
    mean, slope = error_of_mean(case, t)
    return mean * slope / var, slope**2 / (2 * var)


def affine_step(case, denoiser, t):
    """Return a and b (d,) of the mean a x_t + b of p(x_{t-1} | x_t), for a denoiser that is affine in x_t."""
    b, a_plus_b = (model_mean(case, t, x_t, denoiser(x_t, t)) for x_t in (np.zeros(case.d), np.ones(case.d)))
    return (a_plus_b - b)[0], b


def true_total(case, denoiser, variance, decoder):
    r"""Return -log p(x_0) + KL(q(x_{1:T} | x_0) || p(x_{1:T} | x_0)) for an affine denoiser, from dense Gaussians.

    Running x_{t-1} = a_t x_t + b_t + s_t z_{t-1} on rows gives mean and covariance of the model's x_0..x_T; only the
    means differ from coordinate to coordinate.
    """
    T, d, x_0 = case.T, case.d, np.array(case.x_0)
    mean, rows = np.zeros((d, T + 1)), np.zeros((T + 1, T + 1))
    rows[T, T] = 1.0
    for t in range(T, 0, -1):
        a, b = affine_step(case, denoiser, t)
        mean[:, t - 1], rows[t - 1] = a * mean[:, t] + b, a * rows[t]
        rows[t - 1, t - 1] = math.sqrt(model_var(case, t, variance if t > 1 else decoder))
    cov = rows @ rows.T
    surprise = -log_normal(x_0, mean[:, 0], cov[0, 0])

    start, noise = path_weights(case.beta)
    q_mean, q_cov = np.outer(x_0, start[1:]), noise[1:] @ noise[1:].T
    p_mean = mean[:, 1:] + np.outer(x_0 - mean[:, 0], cov[0, 1:] / cov[0, 0])
    p_cov = cov[1:, 1:] - np.outer(cov[1:, 0], cov[0, 1:]) / cov[0, 0]
    gap = p_mean - q_mean
    path = np.trace(np.linalg.solve(p_cov, q_cov)) - T + np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
    return surprise + (d * path + np.sum(gap * np.linalg.solve(p_cov, gap.T).T)) / 2


def grid(bins):
    """Return the values of the bins."""
    return np.linspace(-1.0, 1.0, bins)


def true_bins(mean, std, bins):
    """Return the log-probability of every bin, from erf and, away from the mean, from erfc."""
    half, out = 1 / (bins - 1), []
    for k, x in enumerate(grid(bins)):
        low = -math.inf if k == 0 else (x - half - mean) / (std * math.sqrt(2))
        high = math.inf if k == bins - 1 else (x + half - mean) / (std * math.sqrt(2))
        if low > 0:
            p = math.erfc(low) - math.erfc(high)
        elif high < 0:
            p = math.erfc(-high) - math.erfc(-low)
        else:
            p = math.erf(high) - math.erf(low)
        out.append(math.log(p / 2))
    return np.array(out)


def log_p_of(x, mean, std, bins):
    """Return the log-probability of one point on the bins, summed over its coordinates."""
    level = np.rint((x + 1) * (bins - 1) / 2).astype(int)
    return sum(true_bins(mu, std, bins)[k] for mu, k in zip(mean, level))


def log_tail(distance):
    """Return log P(z > distance) for a distance of hundreds, by the first terms of the asymptotic series."""
    series = sum(c / distance ** (2 * k) for k, c in enumerate((1, -1, 3, -15)))
    return -(distance**2) / 2 - math.log(distance * math.sqrt(2 * math.pi)) + math.log(series)


def round_and_clip(samples, bins):
    """Return samples as a camera would: rounded to the nearest bin and clipped to [-1, 1]."""
    return grid(bins)[np.clip(np.rint((samples + 1) * (bins - 1) / 2), 0, bins - 1).astype(int)]


def judge_bins(trial, log_p, samples, bins):
    """Judge log-probabilities of all bins by samples that are rounded and clipped."""
    values, p, drawn = grid(bins), np.exp(np.asarray(log_p)), round_and_clip(samples, bins)
    mean, square, outer = p @ values, p @ values**2, p[0] + p[-1]
    trial.bounded("E x", drawn, mean, square - mean**2)
    trial.bounded("E x^2", drawn**2, square, p @ values**4 - square**2, span=1.0)
    trial.bounded("P(x = -1 or 1)", np.abs(drawn) == 1, outer, outer * (1 - outer), span=1.0)


def on_bins(case, bins):
    """Return the case's x_0 scaled into [-1, 1] and moved to the nearest bins."""
    return round_and_clip(np.array(case.x_0) / 3, bins)


def bins_of(case):
    """Return a number of bins, 5 to 11, coarse enough for their width to matter."""
    return case.T + 3


def close_in_nats(evidence, what, claimed, truth, tolerance=1e-11):
    """Compare numbers in nats: sums that may nearly cancel, so relative to 1 nat where they are smaller."""
    evidence.close(what, claimed, truth, tolerance, scale=max(1.0, float(np.abs(truth).max())))


def log_ratio_law(error, slope, var_q, var_p):
    r"""Return g and h of log q(x_{t-1} | x_t, x_0) / p(x_{t-1} | x_t) on a walk.

    Per coordinate, with z the noise of x_{t-1} around the posterior mean and y that of x_t, it is a constant plus
    -z^2 / 2 + (sqrt(var_q) z + error + slope y)^2 / (2 var_p): a quadratic form, brought to its axes.
    """
    linear, square = [], []
    for e, k in zip(error, slope):
        row = np.array([math.sqrt(var_q), k])
        h, axes = np.linalg.eigh(np.outer(row, row) / (2 * var_p) - np.diag([0.5, 0.0]))
        linear.append(axes.T @ row * e / var_p)
        square.append(h)
    return np.array(linear), np.array(square)


class Law:
    r"""A sum of log-densities along the forward chain, as the quadratic form in its noise that it is.

    x_t = start_t x_0 + noise_t z with z ~ N(0, I_T) for each coordinate, so that log N(r; 0, var) of a residual r that
    is affine in x_1, ..., x_T is quadratic in z. Adding up factors gives c_j + l_j' z_j + z_j' Q z_j for coordinate j.
    """

    def __init__(self, case, x_0=None):
        self.x_0 = np.array(case.x_0 if x_0 is None else x_0)
        self.start, self.noise = path_weights(case.beta)
        T = case.T
        self.constant, self.linear, self.square = (
            np.zeros(len(self.x_0)),
            np.zeros((len(self.x_0), T)),
            np.zeros((T, T)),
        )

    def add(self, sign, weights, shift, var):
        """Add sign * log N(sum_t weights[t] x_t + shift; 0, var), with weights a dict over steps, 0 being x_0."""
        row = sum(w * self.noise[t] for t, w in weights.items())
        offset = sum(w * self.start[t] for t, w in weights.items()) * self.x_0 + shift
        self.constant = self.constant + sign * (-0.5 * math.log(2 * math.pi * var) - offset**2 / (2 * var))
        self.linear = self.linear - sign * np.outer(offset, row) / var
        self.square = self.square - sign * np.outer(row, row) / (2 * var)
        return self

    @property
    def mean(self):
        """The mean over the forward chain."""
        return self.constant.sum() + len(self.x_0) * np.trace(self.square)

    @property
    def var(self):
        """The variance over the forward chain."""
        return np.sum(self.linear**2) + 2 * len(self.x_0) * np.sum(self.square**2)

    @property
    def axes(self):
        """The g and h of :meth:`refdiff.verify.evidence.Trial.quadratic`, along the axes of the form."""
        h, axes = np.linalg.eigh(self.square)
        return (self.linear @ axes).ravel(), np.tile(h, len(self.x_0))


def law_of_log_ratio(case, denoiser, variance, decoder):
    """Return the Law of -log p(x_{0:T}) / q(x_{1:T} | x_0) for an affine denoiser: the undecomposed bound."""
    law = Law(case)
    for t in range(1, case.T + 1):
        law.add(1, {t: 1.0, t - 1: -math.sqrt(1 - case.beta[t - 1])}, 0.0, case.beta[t - 1])
        a, b = affine_step(case, denoiser, t)
        law.add(-1, {t - 1: 1.0, t: -a}, -b, model_var(case, t, variance if t > 1 else decoder))
    return law.add(-1, {case.T: 1.0}, 0.0, 1.0)


def choices(case):
    """Return the variances of the reverse steps and of the decoder: both names of each, and one of its own per step."""
    own = np.array([0.0, *case.beta]) * np.linspace(0.6, 1.6, case.T + 1)
    decoders = DECODERS if case.T > 1 else ("beta_1", "beta_1")  # with one step there is no beta_tilde_2
    return (*zip(VARIANCES, decoders), (own, "beta_1"))


def named(variance):
    """Return what a comparison is called after its variance."""
    return variance if isinstance(variance, str) else "own"


def timed(case):
    """Return an affine denoiser that is another at each step: it tells which t it was given."""

    def denoiser(x_t, t):
        return case.denoiser(x_t, t) + 0.3 * np.asarray(t)[..., None]

    return denoiser


def bent(case):
    """Return a denoiser that is not affine: the model's points are then no longer jointly Gaussian."""
    return lambda x_t, t: timed(case)(x_t, t) + 0.5 * np.sin(x_t)


def on_triple(f, case, t, nodes=NODES):
    """Return the mean of f(x_{t-1}, x_t, x_{t+1}) over the forward chain, for an f that is a sum over coordinates.

    As in :func:`expected`, all coordinates share their noise.
    """
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    first, second, third = (a.reshape(-1, 1) for a in np.meshgrid(z, z, z))
    weights = np.prod(np.meshgrid(w, w, w), axis=0).ravel()
    signal, var = marginal(case.beta, t - 1)
    x_prev = signal * np.array(case.x_0) + math.sqrt(var) * first
    x_t = math.sqrt(1 - case.beta[t - 1]) * x_prev + math.sqrt(case.beta[t - 1]) * second
    x_next = math.sqrt(1 - case.beta[t]) * x_t + math.sqrt(case.beta[t]) * third
    return weights @ f(x_prev, x_t, x_next) / weights.sum()


def bridge(case, t, x_prev, x_next):
    """Return mean and variance of x_t given both of its neighbours, from the dense joint of all steps.

    x_0 is given a variance: by the Markov property it does not matter, and x_{t-1} may then be x_0 itself.
    """
    known = {t - 1: np.ravel(x_prev), t + 1: np.ravel(x_next)}
    mean, cov = dense_joint(case.beta, np.zeros(np.size(x_prev)), 1.0)
    between, var = condition(mean, cov, t, known)
    return between.reshape(np.shape(x_prev)), var


def log_forward(case, t, x_prev, x_t):
    """Return log q(x_t | x_{t-1})."""
    return log_normal(x_t, math.sqrt(1 - case.beta[t - 1]) * x_prev, case.beta[t - 1])


def log_reverse(case, denoiser, t, variance, x_prev, x_t):
    """Return log p(x_{t-1} | x_t)."""
    return log_normal(x_prev, model_mean(case, t, x_t, denoiser(x_t, t)), model_var(case, t, variance))


def consistency_ratio(case, denoiser, t, variance, x_prev, x_t, x_next):
    """Return log q(x_t | x_{t-1}) / p(x_t | x_{t+1})."""
    return log_forward(case, t, x_prev, x_t) - log_reverse(case, denoiser, t + 1, variance, x_t, x_next)


def integrated_ratio(case, denoiser, t, variance, x_prev, x_next):
    """Return the mean of that log-ratio over x_t given its neighbours, by quadrature."""
    between, var = bridge(case, t, x_prev, x_next)
    return gauss_hermite(
        lambda x_t: consistency_ratio(case, denoiser, t, variance, x_prev, x_t, x_next), between, var, NODES
    )


def law_of_consistency_term(case, denoiser, t, variance):
    """Return the Law of log q(x_t | x_{t-1}) / p(x_t | x_{t+1}), for an affine denoiser."""
    law = Law(case).add(1, {t: 1.0, t - 1: -math.sqrt(1 - case.beta[t - 1])}, 0.0, case.beta[t - 1])
    a, b = affine_step(case, denoiser, t + 1)
    return law.add(-1, {t: 1.0, t + 1: -a}, -b, model_var(case, t + 1, variance))


def law_of_integrated_term(case, denoiser, t, variance):
    """Return the Law of the mean of that log-ratio over x_t given its neighbours, for an affine denoiser."""
    (prev, var), (following, _) = bridge(case, t, 1.0, 0.0), bridge(case, t, 0.0, 1.0)
    beta, sigma_2 = case.beta[t - 1], model_var(case, t + 1, variance)
    a, b = affine_step(case, denoiser, t + 1)
    law = Law(case).add(1, {t - 1: prev - math.sqrt(1 - beta), t + 1: following}, 0.0, beta)
    law.add(-1, {t - 1: prev, t + 1: following - a}, -b, sigma_2)
    law.constant = law.constant + var / 2 * (1 / sigma_2 - 1 / beta)  # what x_t varies by around its mean
    return law


def law_of_reconstruction(case, denoiser, decoder):
    """Return the Law of -log p(x_0 | x_1), for an affine denoiser."""
    a, b = affine_step(case, denoiser, 1)
    return Law(case).add(-1, {0: 1.0, 1: -a}, -b, model_var(case, 1, decoder))


def together(laws):
    """Return the g and h of a sum of independent forms."""
    linear, square = zip(*(law.axes for law in laws))
    return np.concatenate(linear), np.concatenate(square)


MILE = 1e10  # so far off that beside it the noise of a chain is 1e-8


def price_of_a_mile(case, t, var):
    """Return what being off by 1 in eps_hat adds to -log p(x_{t-1} | x_t), for an error that is large beside chance."""
    shift = model_mean(case, t, 0.0, 1.0) - model_mean(case, t, 0.0, 0.0)
    return case.d * shift**2 / (2 * var)


FAR = 1e9  # an x_0 that far out, beside which the noise of a chain is 1e-7 even where 1 % of x_0 is left


def shown_far_out(notes, case, x_0, evidence):
    """Compare the x_t that a denoiser was shown, for an x_0 times FAR, with their means: what is left is no chance."""
    for t, x_t in notes.items():
        evidence.close(f"x_{t} from x_0 far out", x_t / FAR, marginal(case.beta, t)[0] * x_0, 1e-4)


def one_step(case):
    """Return the case with its first step alone."""
    return replace(case, beta=case.beta[:1])


def still(case):
    """Return the case with all betas but the first so small that a chain stands still after its first step."""
    return replace(case, beta=(case.beta[0], *[1e-12] * (case.T - 1)))


def taking_notes(denoiser):
    """Return the denoiser, and a dict in which it notes the x_t that it was asked about at each t."""
    notes = {}

    def noting(x_t, t):
        notes[int(np.max(t))] = np.array(x_t)
        return denoiser(x_t, t)

    return noting, notes
