r"""Identities of importance weights: of what is made of them, and of annealed importance sampling, which draws them.

Weights of two values have a binomial law, so whatever is made of K of them has an exact mean. A model whose reverse
steps are narrower than those of N(0, I) data has weights that are bounded, so that their mean can be judged without
trusting a second moment. And the denoiser is asked at each point of each chain: it is a witness of what was drawn.
"""

import decimal
import math
from dataclasses import replace
from itertools import product

import numpy as np

from refdiff.verify.catalogue.elbo.models import (
    DECODERS,
    VARIANCES,
    Law,
    affine_step,
    bins_of,
    close_in_nats,
    law_of_log_ratio,
    log_p_of,
    model_mean,
    model_var,
    on_bins,
    true_total,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, path_weights

K = 4  # weights to a point where their number is ours to choose
FAR = 1e4  # nats: what the log-density of an image comes to


def decimals(log_weights):
    """Return weights as decimals, from their logarithms."""
    return [decimal.Decimal(float(one)).exp() for one in log_weights]


def true_log_mean(log_weights):
    """Return the log of the mean weight, over the first axis, with fifty digits."""

    def one(column):
        with decimal.localcontext(prec=50):
            return float((sum(decimals(column)) / len(column)).ln())

    return np.apply_along_axis(one, 0, log_weights)


def true_ess(log_weights):
    """Return the square of the sum over the sum of the squares, over the first axis, with fifty digits."""

    def one(column):
        with decimal.localcontext(prec=50):
            w = decimals(column)
            return float(sum(w) ** 2 / sum(x * x for x in w))

    return np.apply_along_axis(one, 0, log_weights)


def true_relative_error(log_weights):
    """Return the standard error of the mean weight over the mean weight, with fifty digits."""

    def one(column):
        with decimal.localcontext(prec=50):
            w = decimals(column)
            mean = sum(w) / len(w)
            return float((sum((x - mean) ** 2 for x in w) / (len(w) * (len(w) - 1))).sqrt() / mean)

    return np.apply_along_axis(one, 0, log_weights)


def some_weights(case, *shape):
    """Return log-weights in general position."""
    return 2 * np.random.default_rng(case.T).standard_normal(shape)


class TwoValues:
    """Weights of two values: how many of K are the higher one has a binomial law."""

    def __init__(self, case):
        self.log_low, self.gap, self.chance = -case.var_p, 1 + case.var_q, case.weight

    def draw(self, trial):
        """Return log-weights of K chains to each of n / K points."""
        high = trial.rng.random((K, trial.n // K)) < self.chance
        return self.log_low + self.gap * high

    def law(self, f, k=K):
        """Return mean, variance and span of f(mean of w, mean of w^2) over k weights."""
        high = np.arange(k + 1)
        p = np.array([math.comb(k, j) * self.chance**j * (1 - self.chance) ** (k - j) for j in high])
        mean, square = (
            math.exp(power * self.log_low) * (1 + high / k * math.expm1(power * self.gap)) for power in (1, 2)
        )
        values = f(mean, square)
        return p @ values, p @ (values - p @ values) ** 2, np.ptp(values)

    def bound(self, k):
        """Return mean, variance and span of L_k, averaged over K / k groups."""
        mean, var, span = self.law(lambda mean, _: -np.log(mean), k)
        return mean, var / (K // k), span


@identity(
    "likelihood.log_mean_weight",
    judges="likelihood.log_mean_weight",
    states=r"\log \frac1K \sum_{k=1}^K e^{\log w_k}",
    source="Neal (2001), section 2",
    statistics=1,
    coincides="Without a shift of the exponents it is right from -700 to 700 nats. A shift by the largest weight of all"
    " points is right where they are equally likely.",
)
class LogMeanWeight:
    """Decimal numbers with fifty digits neither overflow nor underflow. By chance: the mean of K weights of two values
    has the mean of one, though some points lie 10,000 nats below the others.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        log_mean, log_w = claimed.likelihood.log_mean_weight, some_weights(case, 6, 3)
        shifts = {"": 0.0, ", far above": FAR, ", far below": -FAR, ", all of these": np.array([0.0, FAR, -FAR])}
        for where, shift in shifts.items():
            truth = true_log_mean(log_w + shift)
            evidence.close(f"log of the mean{where}", log_mean(log_w + shift), truth, 1e-11, scale=1.0)
        evidence.close("one point", log_mean(log_w[:, 0]), true_log_mean(log_w[:, 0]), 1e-11, scale=1.0)
        deep = log_w.reshape(3, 2, 3)
        evidence.close("more axes", log_mean(deep), true_log_mean(deep), 1e-11, scale=1.0)
        evidence.close("one weight", log_mean(log_w[:1] - FAR), log_w[0] - FAR)

        some, none = log_w.copy(), np.full((6, 3), -np.inf)
        some[1] = none[1]
        evidence.close("one weight of 0", log_mean(some), true_log_mean(some), 1e-11, scale=1.0)
        evidence.true("all weights 0", (log_mean(none) == -np.inf).all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights = TwoValues(case)
        log_w = weights.draw(trial)
        below = np.where(np.arange(log_w.shape[1]) % 2, 0.0, -FAR)
        found = np.exp(claimed.likelihood.log_mean_weight(log_w + below) - below)
        trial.bounded("mean of K weights", found, *weights.law(lambda mean, _: mean))


@identity(
    "likelihood.effective_sample_size",
    judges="likelihood.effective_sample_size",
    states=r"\mathrm{ESS} = \frac{\left(\sum_k w_k\right)^2}{\sum_k w_k^2} \in [1, K]",
    source="Kong (1992); Owen (2013), section 9.3",
    statistics=1,
    coincides="1 / sum w^2 is right for weights that sum to 1, and K / (1 + Var w) for weights with mean 1. Those of a"
    " path do neither: their mean is p(x_0).",
)
class EffectiveSampleSize:
    """K equal weights are worth K and a single large one is worth 1, whatever their unit; what lies between is had with
    fifty digits. By chance: over K weights of two values its mean is a sum over the binomial law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        ess, log_w = claimed.likelihood.effective_sample_size, some_weights(case, 6, 3)
        truth = true_ess(log_w)
        for where, shift in (("", 0.0), (", far above", FAR), (", far below", -FAR), (", both", [0.0, FAR, -FAR])):
            # log-weights of 1e4 nats are known to 2e-12 themselves
            evidence.close(f"ESS{where}", ess(log_w + np.array(shift)), truth, 1e-11)
        evidence.close("one point", ess(log_w[:, 0]), truth[0])

        equal, one = np.full((5, 2), -3.0), np.full((5, 2), -3.0)
        one[2] = FAR
        evidence.close("equal weights", ess(equal), [5.0, 5.0])
        evidence.close("one large weight", ess(one), [1.0, 1.0])
        equal[:2] = -np.inf
        evidence.close("weights of 0 count for nothing", ess(equal), [3.0, 3.0])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights = TwoValues(case)
        found = claimed.likelihood.effective_sample_size(weights.draw(trial))
        trial.bounded("E ESS", found, *weights.law(lambda mean, square: K * mean**2 / square))


@identity(
    "likelihood.importance_weighted_bound",
    judges="likelihood.importance_weighted_bound",
    states=r"L_k = -\mathbb{E}\log\left(\frac1k\sum_{j=1}^k w_j\right), \qquad L_1 \ge L_2 \ge \cdots \ge -\log p(x_0)",
    source="Burda, Grosse & Salakhutdinov (2016), eq. 8 and theorem 1",
    statistics=3,
    coincides="At k = 1 a logarithm inside or outside the mean is the same, log k is 0, and the two signs of the bound"
    " of losses agree. With equal weights no k is better than another.",
)
class ImportanceWeightedBound:
    """L_1 is the mean of -log w and L_K the log of the mean weight. In a table of products u_i u_j rows and columns are
    the same groups, so that no order is preferred in between. Merging groups can only lower the bound.

    By chance: the log of the mean of k weights of two values has a mean that is a sum over the binomial law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        bound = claimed.likelihood.importance_weighted_bound
        log_u = some_weights(case, 3, case.d + 1)
        log_w = (log_u[:, None] + log_u[None, :]).reshape(9, case.d + 1) - FAR
        levels = {
            1: -log_w.mean(axis=0),
            3: FAR - log_u.mean(axis=0) - true_log_mean(log_u),
            9: FAR - 2 * true_log_mean(log_u),
        }
        for k, truth in levels.items():
            evidence.close(f"L_{k}", bound(log_w, k), truth, 1e-11, scale=1.0)  # 1e4 nats have 12 digits after them
            evidence.close(f"L_{k} of one point", bound(log_w[:, 0], k), truth[0], 1e-11, scale=1.0)

        log_w = some_weights(case, 12, 2)
        falling = np.array([bound(log_w, k) for k in (1, 2, 4, 12)])
        evidence.true("L_1 > L_2 > L_4 > L_12", (np.diff(falling, axis=0) < 0).all())
        evidence.close("L_K is -log of the mean weight", falling[-1], -true_log_mean(log_w), 1e-11, scale=1.0)
        evidence.refuses("k does not divide K", bound, log_w, 5)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights = TwoValues(case)
        log_w = weights.draw(trial)
        for k in (1, 2, K):
            found = claimed.likelihood.importance_weighted_bound(log_w, k)
            trial.bounded(f"L_{k}", found, *weights.bound(k))


@identity(
    "likelihood.ais_summary",
    judges=(
        "likelihood.Ais",
        "likelihood.Ais.log_density",
        "likelihood.Ais.ess",
        "likelihood.Ais.std_error",
        "likelihood.Ais.bound",
    ),
    states=r"\log \hat p(x_0) = \log \frac1K \sum_k w_k, \qquad"
    r" \operatorname{se} \log \hat p(x_0) \approx \frac{\operatorname{std} w}{\sqrt K\,\bar w}"
    r" = \sqrt{\frac{1}{K - 1}\left(\frac{K}{\mathrm{ESS}} - 1\right)}",
    source="Neal (2001), section 2; Owen (2013), section 9.3",
    statistics=4,
    coincides="The standard deviation of log w is that of w over its mean, to first order, where weights are nearly"
    " equal. For log-normal weights with a standard deviation of 1 nat the two are 1 and 1.31.",
)
class AisSummary:
    """The weights are given: their mean and its relative error with fifty digits, and the bounds from the table of
    products. By chance: weights of two values, whose summaries have means that are sums over the binomial law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        log_u = some_weights(case, 3, 2)
        log_w = (log_u[:, None] + log_u[None, :]).reshape(9, 2) + np.array([0.0, -FAR])
        found = claimed.likelihood.Ais(log_w)
        evidence.close("log p(x_0)", found.log_density, true_log_mean(log_w), 1e-11, scale=1.0)
        evidence.close("ESS", found.ess, true_ess(log_w), 1e-11)
        evidence.close("standard error", found.std_error, true_relative_error(log_w), 1e-11)
        evidence.close("L_1", found.bound(), -log_w.mean(axis=0), 1e-11, scale=1.0)
        truth = -log_u.mean(axis=0) - true_log_mean(log_u) + np.array([0.0, FAR])
        evidence.close("L_3", found.bound(3), truth, 1e-11, scale=1.0)
        evidence.close("L_9", found.bound(9), -true_log_mean(log_w), 1e-11, scale=1.0)
        evidence.close("standard error of equal weights", claimed.likelihood.Ais(np.zeros((4, 1))).std_error, [0.0])
        alone = claimed.likelihood.Ais(np.zeros((1, 1))).std_error
        evidence.true("one weight does not know its error", np.isnan(alone).all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights = TwoValues(case)
        found = claimed.likelihood.Ais(weights.draw(trial))
        trial.bounded("log p(x_0)", found.log_density, *weights.law(lambda mean, _: np.log(mean)))
        trial.bounded("ESS", found.ess, *weights.law(lambda mean, square: K * mean**2 / square))
        error = weights.law(lambda mean, square: np.sqrt(np.maximum(square - mean**2, 0.0) / (K - 1)) / mean)
        trial.bounded("standard error", found.std_error, *error)
        trial.bounded("L_2", found.bound(2), *weights.bound(2))


def ideal(case):
    """Return the ideal denoiser of N(0, I) data."""
    _, noise = path_weights(case.beta)
    std = np.sqrt((noise**2).sum(axis=1))
    return lambda x_t, t: std[np.asarray(t)][..., None] * np.asarray(x_t)


def bent(case):
    """Return a denoiser that is not affine in x_t."""
    return lambda x_t, t: case.slope * np.tanh(x_t) + case.intercept * np.asarray(t)[..., None] / case.T


class Witness:
    """A denoiser that remembers the points that it is asked about."""

    def __init__(self, denoiser):
        self.denoiser, self.seen = denoiser, {}

    def __call__(self, x_t, t):
        x_t = np.asarray(x_t)
        rows, steps = x_t.reshape(-1, x_t.shape[-1]), np.broadcast_to(t, x_t.shape[:-1]).ravel()
        for step in np.unique(steps):
            self.seen.setdefault(int(step), []).append(rows[steps == step])
        return self.denoiser(x_t, t)

    def chains(self, case, x_0, n_chains):
        """Return x_0, x_1, ..., x_T of each chain, (T + 1, n_chains, d), or None where they were not all asked for."""
        steps = [np.concatenate(self.seen.get(t, [np.empty((0, len(x_0)))]))[-n_chains:] for t in range(1, case.T + 1)]
        if any(len(step) < n_chains for step in steps):
            return None
        return np.array([np.tile(x_0, (n_chains, 1)), *steps])


def log_weights_of(case, denoiser, chains, variance, decoder, bins=None):
    """Return log p(x_{0:T}) / q(x_{1:T} | x_0) of given chains, factor by factor."""
    guess, sigma_2 = model_mean(case, 1, chains[1], denoiser(chains[1], 1)), model_var(case, 1, decoder)
    if bins is None:
        log_w = log_normal(chains[0], guess, sigma_2)
    else:
        log_w = np.array([log_p_of(x, mean, math.sqrt(sigma_2), bins) for x, mean in zip(chains[0], guess)])
    for t in range(1, case.T + 1):
        log_w = log_w - log_normal(chains[t], math.sqrt(1 - case.beta[t - 1]) * chains[t - 1], case.beta[t - 1])
        if t > 1:
            mean = model_mean(case, t, chains[t], denoiser(chains[t], t))
            log_w = log_w + log_normal(chains[t - 1], mean, model_var(case, t, variance))
    return log_w + log_normal(chains[case.T], 0.0, 1.0)


def log_density(case, denoiser, sigma_2):
    """Return log p(x_0) for a denoiser that is affine in x_t, by recursion down the chain."""
    mean, var = np.zeros(case.d), 1.0
    for t in range(case.T, 0, -1):
        a, b = affine_step(case, denoiser, t)
        mean, var = a * mean + b, a**2 * var + sigma_2[t]
    return log_normal(np.array(case.x_0), mean, var)


def log_moment(constant, linear, square, power=1):
    """Return log E exp(power W) for W = c_j + l_j' z_j + z_j' Q z_j summed over j, z normal; inf where it diverges."""
    form = np.eye(len(square)) - 2 * power * square
    if np.linalg.eigvalsh(form).min() <= 0:
        return math.inf
    shift = power**2 / 2 * np.sum(linear * np.linalg.solve(form, linear.T).T)
    return power * np.sum(constant) - len(linear) / 2 * np.linalg.slogdet(form)[1] + shift


class Narrow:
    r"""A model with weights that are bounded: N(0, I) data's own reverse process, but four fifths of its variances.

    log w is a quadratic form in the noise of the chain, with matrix -(Lambda_p - Lambda_q) / 2 in other coordinates.
    Lambda_p > Lambda_q, and therefore 2 Lambda_p > Lambda_q, because every factor of p but p(x_T) is that of q made
    narrower; both are read off the form again, for every case, before anything is judged by them.
    """

    def __init__(self, case):
        self.case, self.denoiser = case, ideal(case)
        self.sigma_2 = np.array([0.0, *(0.8 * beta for beta in case.beta)])
        law = Law(case)
        for t in range(1, case.T + 1):
            law.add(-1, {t: 1.0, t - 1: -math.sqrt(1 - case.beta[t - 1])}, 0.0, case.beta[t - 1])
            a, b = affine_step(case, self.denoiser, t)
            law.add(1, {t - 1: 1.0, t: -a}, -b, self.sigma_2[t])
        self.law = law.add(1, {case.T: 1.0}, 0.0, 1.0)
        self.log_p = log_density(case, self.denoiser, self.sigma_2)

    def weights(self, claimed, rng, n, n_chains):
        """Return w / p(x_0) as claimed, (n_chains, n)."""
        found = claimed.likelihood.ais(
            self.case.schedule,
            self.denoiser,
            self.case.repeat(self.case.x_0, n),
            rng,
            n_chains,
            variance=self.sigma_2,
            decoder_var=self.sigma_2[1],
        )
        return np.exp(found.log_weights - self.log_p)

    @property
    def square(self):
        """E[w^2] / p(x_0)^2."""
        return math.exp(log_moment(self.law.constant, self.law.linear, self.law.square, 2) - 2 * self.log_p)

    def alike(self, omega):
        """E cos(omega (W_1 - W_2)) for two independent chains: the square of the characteristic function of W."""
        g, h = self.law.axes
        u = 1 + (2 * omega * h) ** 2
        return np.exp(-((omega * g) ** 2 / u + np.log(u) / 2).sum())

    @property
    def largest(self):
        """The bound on w / p(x_0); inf, with which nothing is ever judged, if there were none."""
        if np.linalg.eigvalsh(self.law.square).max() >= 0:
            return math.inf
        top = np.sum(self.law.linear * np.linalg.solve(-4 * self.law.square, self.law.linear.T).T)
        return math.exp(self.law.constant.sum() + top - self.log_p)


@identity(
    "likelihood.ais",
    judges="likelihood.ais",
    states=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left["
    r"p(x_T) \prod_{t=1}^T \frac{p(x_{t-1} \mid x_t)}{q(x_t \mid x_{t-1})}\right]",
    source="Sohl-Dickstein et al. (2015), eq. 7 to 9",
    statistics=2,
    coincides="With the exact reverse process each weight is p(x_0), on whatever path, so that the path may be drawn"
    " from anything. Where E[w^2] is infinite, estimates that are far too low agree with each other.",
)
class AnnealedImportanceSampling:
    """With data N(0, I) and their own reverse process every weight is p(x_0) itself; for other models the denoiser saw
    the chains that were drawn, so each weight can be had from them; and a step of nearly no variance stands still.

    By chance: the mean of weights that are bounded; and how different two chains of one point are, by the
    characteristic function of log w.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        rng, n_chains = np.random.default_rng(case.T), case.T + 2
        x_0 = np.array([case.x_0, case.eps, case.x_t])
        found = claimed.likelihood.ais(case.schedule, ideal(case), x_0, rng, n_chains)
        truth = log_normal(x_0, 0.0, 1.0)
        close_in_nats(evidence, "log w, exact reverse process", found.log_weights, np.tile(truth, (n_chains, 1)))
        close_in_nats(evidence, "log p(x_0), exact reverse process", found.log_density, truth)

        gaussian = "gaussian", None, np.array(case.x_0)
        discretized = "discretized", bins_of(case), on_bins(case, bins_of(case))
        for (kind, bins, x_0), (variance, decoder) in product((gaussian, discretized), zip(VARIANCES, DECODERS)):
            witness = Witness(bent(case))
            found = claimed.likelihood.ais(
                case.schedule,
                witness,
                x_0[None],
                rng,
                n_chains,
                variance=variance,
                decoder=kind,
                decoder_var=decoder,
                bins=bins_of(case),
            )
            chains, what = witness.chains(case, x_0, n_chains), f"{kind}, {variance}"
            evidence.true(f"{n_chains} chains were drawn, {what}", chains is not None)
            evidence.true(f"and no two alike, {what}", len(np.unique(found.log_weights)) == n_chains)
            if chains is not None:
                truth = log_weights_of(case, bent(case), chains, variance, decoder, bins)
                close_in_nats(evidence, f"log w, {what}", found.log_weights[:, 0], truth)

        still, witness = replace(case, beta=(case.beta[0], 1e-14)), Witness(ideal(case))
        claimed.likelihood.ais(still.schedule, witness, np.array([case.x_0]), rng, n_chains)
        chains = witness.chains(still, case.x_0, n_chains)
        evidence.true("chains of a step that stands still were drawn", chains is not None)
        if chains is not None:  # the step is of size 1e-7, and no normal number is above 40
            evidence.close("x_2 after a step of variance 1e-14", chains[2], chains[1], 1e-5, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        model = Narrow(case)
        w = model.weights(claimed, trial.rng, trial.n // 2, 2)
        trial.bounded("E w / p(x_0)", w, 1.0, model.square - 1, span=model.largest)
        omega = 1 / math.sqrt(model.law.var)
        once, twice = model.alike(omega), model.alike(2 * omega)
        trial.bounded("E cos(W_1 - W_2)", np.cos(omega * np.log(w[0] / w[1])), once, (1 + twice) / 2 - once**2)


@identity(
    "likelihood.jarzynski",
    judges="likelihood.ais",
    states=r"\mathbb{E}\,e^{-W} = p(x_0), \qquad \mathbb{E}\,W = -\log p(x_0)"
    r" + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right) \ge -\log p(x_0),"
    r" \qquad W = -\log w",
    source="Jarzynski (1997), eq. 1 and 2; Sohl-Dickstein et al. (2015), section 2.3",
    statistics=3,
    coincides="In a quasi-static process W is the same on each chain: both then hold for any mean of it, and one chain"
    " is enough. Small steps from x_0 to a given alpha_bar_T do not make it so unless p is the exact reverse process,"
    " and p(x_T) = q(x_T).",
)
class Jarzynski:
    """With an affine denoiser W is a quadratic form in the noise of the chain. Its law is known: so is the mean of W.

    Without chance: so many chains as the form has coefficients tell it exactly, and its Gaussian integral must be the
    p(x_0) of the model; its mean, the bound from dense covariances. And for an x_0 far out the noise does not matter.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        one, rng = replace(case, x_0=case.x_0[:1]), np.random.default_rng(case.T)
        for variance, decoder in zip(VARIANCES, DECODERS):
            form = Jarzynski.form(claimed, one, variance, decoder, rng, evidence)
            if form is None:
                continue
            constant, linear, square = form
            sigma_2 = [0.0, *(model_var(one, t, variance if t > 1 else decoder) for t in range(1, one.T + 1))]
            log_p, mean = log_density(one, one.denoiser, sigma_2), constant + np.trace(square)
            # up to 45 coefficients come out of a linear system, and go into a determinant
            free_energy = log_moment(-constant, -linear[None], -square)
            close_in_nats(evidence, f"log E exp(-W), {variance}", free_energy, log_p, 1e-9)
            truth = true_total(one, one.denoiser, variance, decoder)
            close_in_nats(evidence, f"E W, {variance}", mean, truth, 1e-9)
            evidence.true(f"E W > -log p(x_0), {variance}", mean > -log_p)

        far = replace(case, x_0=tuple(1e8 * x for x in case.x_0))
        x_0 = np.array([far.x_0])
        found = claimed.likelihood.ais(case.schedule, case.denoiser, x_0, rng, 3)
        truth = law_of_log_ratio(far, case.denoiser, "beta", "beta_1").constant.sum() / np.sum(x_0**2)
        # noise is 1e-8 of x_0, and no normal number is above 40
        evidence.close("W / |x_0|^2, far out", -found.log_weights[:, 0] / np.sum(x_0**2), np.full(3, truth), 1e-5)

    @staticmethod
    def form(claimed, case, variance, decoder, rng, evidence):
        """Return c, l and Q of the work c + l'z + z'Qz that is claimed, z the noise of the chain.

        Found from twice as many chains as there are coefficients: what is left over must be rounding.
        None if not so many chains were drawn.
        """
        T, (row, column) = case.T, np.triu_indices(case.T)
        n_chains, witness, x_0 = 2 * (1 + T + len(row)), Witness(case.denoiser), np.array(case.x_0)
        found = claimed.likelihood.ais(
            case.schedule, witness, x_0[None], rng, n_chains, variance=variance, decoder_var=decoder
        )
        work, chains = -found.log_weights[:, 0], witness.chains(case, x_0, n_chains)
        evidence.true(f"{n_chains} chains were drawn, {variance}", chains is not None)
        if chains is None:
            return None
        beta = np.array(case.beta)[:, None]
        z = ((chains[1:, :, 0] - np.sqrt(1 - beta) * chains[:-1, :, 0]) / np.sqrt(beta)).T
        terms = np.hstack([np.ones((n_chains, 1)), z, z[:, row] * z[:, column]])
        fitted = np.linalg.lstsq(terms, work, rcond=None)[0]
        close_in_nats(evidence, f"W is quadratic, {variance}", terms @ fitted, work, 1e-10)
        square = np.zeros((T, T))
        square[row, column] = fitted[1 + T :]
        return fitted[0], fitted[1 : 1 + T], (square + square.T) / 2

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = np.array([case.x_0])
        for variance, decoder in zip(VARIANCES, DECODERS):
            law = law_of_log_ratio(case, case.denoiser, variance, decoder)
            found = claimed.likelihood.ais(
                case.schedule, case.denoiser, x_0, trial.rng, trial.n, variance=variance, decoder_var=decoder
            )
            trial.quadratic(f"E W, {variance}", -found.log_weights, law.mean, *law.axes)
        model = Narrow(case)
        exp_minus_work = model.weights(claimed, trial.rng, 1, trial.n)
        trial.bounded("E exp(-W) / p(x_0)", exp_minus_work, 1.0, model.square - 1, span=model.largest)
