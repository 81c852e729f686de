r"""Identities of the weights between a training loss and the bound.

A guess of the noise in x_t is a guess of x_0, of v and of the mean of x_{t-1} too: one prediction, four squared errors,
and one price that the step pays. Each weight is judged by that price.
"""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import (
    VARIANCES,
    close_in_nats,
    expected,
    knows,
    model_mean,
    model_var,
    posterior,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, marginal, mean_log_ratio

ERROR = 5.0  # of the noise, in each coordinate: so large that the growth of a cost drowns its scatter


def said(case, t, x_t, eps):
    """Return what a guess of the noise in x_t says of eps, x_0, v and the mean of x_{t-1}."""
    signal, var = marginal(case.beta, t)
    x_0 = (x_t - math.sqrt(var) * eps) / signal
    v = signal * eps - math.sqrt(var) * x_0
    return {"eps": eps, "x_0": x_0, "v": v, "mean": posterior(case, t, x_0, x_t)[0]}


def square_errors(case, t, x_t, eps, eps_hat):
    """Return the squared error of one prediction in each of its coordinates."""
    right, guess = said(case, t, x_t, eps), said(case, t, x_t, eps_hat)
    return {name: np.sum((right[name] - guess[name]) ** 2, axis=-1) for name in right}


def cost(case, t, x_0, x_t, eps_hat, var):
    """Return the divergence that step t pays at x_t with the variance `var`; at t = 1, -log p(x_0 | x_1)."""
    mean = model_mean(case, t, x_t, eps_hat)
    return -log_normal(x_0, mean, var) if t == 1 else mean_log_ratio(*posterior(case, t, x_0, x_t), mean, var)


def choices(case):
    """Return what may stand for `variance`: its name, the argument itself, its first step and sigma_1^2..sigma_T^2."""
    steps = range(1, case.T + 1)
    own = case.var_q * (1.2 + np.sin(np.arange(case.T + 1)))  # in no relation to the betas
    named = [(name, name, 2 - (name == "beta"), [model_var(case, t, name) for t in steps]) for name in VARIANCES]
    return [*named, ("an array", own, 1, own[1:])]


def judge_weight(evidence, weight, case, coordinate, names=("beta", "posterior", "an array")):
    """Compare w_t times the squared error in one coordinate, plus what no error costs, with the cost of the error."""
    x_0 = np.array(case.x_0) + 0.1 * np.arange(case.T)[:, None]  # one point per step
    eps = np.tile(case.eps, (case.T, 1))
    for name, argument, first, sigma_2 in choices(case):
        if name not in names:
            continue
        steps, square, least, truth = np.arange(first, case.T + 1), [], [], []
        for t in steps:
            signal, var = marginal(case.beta, t)
            x_t = signal * x_0[t - 1] + math.sqrt(var) * eps[t - 1]
            eps_hat = eps[t - 1] + case.x_t
            square.append(square_errors(case, t, x_t, eps[t - 1], eps_hat)[coordinate])
            least.append(cost(case, t, x_0[t - 1], x_t, eps[t - 1], sigma_2[t - 1]))
            truth.append(cost(case, t, x_0[t - 1], x_t, eps_hat, sigma_2[t - 1]))
        square, least, truth = np.array(square), np.array(least), np.array(truth)
        found = weight(case.schedule, steps, argument) * square + least
        close_in_nats(evidence, f"w_t |error of {coordinate}|^2 + constant, {name}", found, truth)
        one, at = weight(case.schedule, case.t, argument), case.t - first
        close_in_nats(evidence, f"w at one t, {name}", one, (truth - least)[at] / square[at])


def judge_weight_by_chance(trial, weight, case, coordinate, names=("beta", "posterior", "an array")):
    """Judge a weight by how much an error of the noise adds to -log p(x_{t-1} | x_t) along a walk: a normal number."""
    t, x_0 = case.t, np.array(case.x_0)
    x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
    signal, var_t = marginal(case.beta, t)
    eps = (x[t] - signal * x_0) / math.sqrt(var_t)
    right, wrong = model_mean(case, t, x[t], eps), model_mean(case, t, x[t], eps + ERROR)
    square = square_errors(case, t, x[t], eps, eps + ERROR)[coordinate][0]  # the same at each point: all is linear
    _, var = posterior(case, t, x_0, x[t])
    shift = float((wrong - right).flat[0])
    for name, argument, _, sigma_2 in choices(case):
        if name in names:
            var_p = sigma_2[t - 1]
            growth = log_normal(x[t - 1], right, var_p) - log_normal(x[t - 1], wrong, var_p)
            claim = weight(case.schedule, t, argument) * square
            trial.mean(f"growth of -E log p, {name}", growth, claim, case.d * var * shift**2 / var_p**2)


@identity(
    "elbo.weight",
    judges="elbo.weight",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    source="Ho, Jain & Abbeel (2020), eq. 12",
    statistics=3,
)
class Weight:
    """Give the denoiser the true noise plus a known error: what the step pays then, beside what it always pays."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_weight(evidence, claimed.elbo.weight, case, "eps")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_weight_by_chance(trial, claimed.elbo.weight, case, "eps")


@identity(
    "elbo.weight_x_0",
    judges="elbo.weight_x_0",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert x_0 - \hat x_0(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)^2}",
    source="Luo (2022), eq. 99",
    statistics=3,
    coincides="The weight of eps is this one times (1 - alpha_bar_t) / alpha_bar_t: they agree where the"
    " signal-to-noise ratio is 1.",
)
class WeightX0:
    """The price of a wrong guess is a divergence, whatever the guess was of; here its error is measured on x_0."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_weight(evidence, claimed.elbo.weight_x_0, case, "x_0")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_weight_by_chance(trial, claimed.elbo.weight_x_0, case, "x_0")


@identity(
    "elbo.weight_v",
    judges="elbo.weight_v",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert v - \hat v(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)}",
    source="Salimans & Ho (2022), appendix D, whose v it is",
    statistics=3,
    coincides="Where alpha_bar_t is near 0 it is the weight of x_0, since v is -x_0 there, and where alpha_bar_t is"
    " near 1 that of eps.",
)
class WeightV:
    """The price of a wrong guess is a divergence, whatever the guess was of; here its error is measured on v."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_weight(evidence, claimed.elbo.weight_v, case, "v")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_weight_by_chance(trial, claimed.elbo.weight_v, case, "v")


@identity(
    "elbo.weight_mean",
    judges="elbo.weight_mean",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert\tilde\mu_t - \mu(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{1}{2\sigma_t^2}",
    source="Ho, Jain & Abbeel (2020), eq. 8",
    statistics=3,
    coincides="A variance and a standard deviation near 1.",
)
class WeightMean:
    """The price of a wrong guess is a divergence; here its error is that of the mean of x_{t-1}."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_weight(evidence, claimed.elbo.weight_mean, case, "mean")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_weight_by_chance(trial, claimed.elbo.weight_mean, case, "mean")


@identity(
    "elbo.weight_from_snr",
    judges="elbo.weight_from_snr",
    states=r"L_{t-1} = \tfrac12\left[\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\right]"
    r"\mathbb{E}\Vert x_0 - \hat x_0(x_t, t)\Vert^2 \qquad\text{for}\quad \sigma_t^2 = \tilde\beta_t",
    source="Kingma et al. (2021), eq. 13",
    statistics=1,
    coincides="With the variance beta_t the weight of x_0 is smaller, by beta_tilde_t / beta_t: .45 of it at t = 2 of"
    " linear-1000, .98 at t = 100.",
)
class WeightFromSNR:
    """With the variance beta_tilde a step pays for the error of x_0 and for nothing else; so does each ratio lost.

    The ratios are also taken in whole numbers, with betas of every size, and their losses add up.
    """

    @staticmethod
    def snr(beta):
        """Return SNR(1)..SNR(T) as fractions: betas are binary, and products of them exact."""
        alpha_bar, ratios = Fraction(1), []
        for one in beta:
            alpha_bar *= 1 - Fraction(one)
            ratios.append(alpha_bar / (1 - alpha_bar))
        return ratios

    @staticmethod
    def exact(claimed, case, evidence):
        def weight(schedule, t, variance):
            return claimed.elbo.weight_from_snr(schedule, t)

        judge_weight(evidence, weight, case, "x_0", names=("posterior",))
        steps = np.arange(2, case.T + 1)
        tiny = [1e-8 * one for one in case.beta]
        in_turn = [one if t % 2 else other for t, (one, other) in enumerate(zip(case.beta, tiny), 1)]
        for name, beta in (("", case.beta), (", tiny betas", tiny), (", every other beta tiny", in_turn)):
            schedule, snr = case.schedule.from_betas(beta), WeightFromSNR.snr(beta)
            found = claimed.elbo.weight_from_snr(schedule, steps)
            lost = np.array([float((snr[t - 2] - snr[t - 1]) / 2) for t in steps])
            evidence.close(f"half of what the SNR loses{name}", found / lost, np.ones(len(steps)))
        total = claimed.elbo.weight_from_snr(case.schedule, steps).sum()
        snr = WeightFromSNR.snr(case.beta)
        evidence.close("sum of the weights", total, float((snr[0] - snr[-1]) / 2))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        def weight(schedule, t, variance):
            return claimed.elbo.weight_from_snr(schedule, t)

        judge_weight_by_chance(trial, weight, case, "x_0", names=("posterior",))


def gammas(case):
    """Return three values of gamma: between the signal-to-noise ratios of s and t, below all of them, above all."""
    snr = [case.alpha_bar(t) / (1 - case.alpha_bar(t)) for t in range(1, case.T + 1)]
    return math.sqrt(snr[case.s - 1] * snr[case.t - 1]), min(snr) / 2, 2 * max(snr)


def judge_min_snr(evidence, weight, case, coordinate):
    """Compare w_t times a squared error with the objective: |error of eps|^2, or gamma |error of x_0|^2 if smaller."""
    steps, x_t, eps = np.arange(1, case.T + 1), np.array(case.x_t), np.array(case.eps)

    def errors(case):
        squares = [square_errors(case, t, x_t, eps, case.denoiser(x_t, t)) for t in steps]
        return {name: np.array([one[name] for one in squares]) for name in squares[0]}

    of = errors(case)
    for gamma in gammas(case):
        objective = np.minimum(of["eps"], gamma * of["x_0"])
        found = weight(case.schedule, steps, gamma) * of[coordinate]
        evidence.close(f"objective by the error of {coordinate}, gamma {gamma:.4g}", found / objective, np.ones(case.T))
        one = weight(case.schedule, case.t, gamma) * of[coordinate][case.t - 1]
        evidence.close("at one t", one, objective[case.t - 1])
    early = replace(case, beta=tuple(beta / 10 for beta in case.beta))  # the first ratios are then above 5
    of = errors(early)
    found = weight(early.schedule, steps) * of[coordinate]
    truth = np.minimum(of["eps"], 5 * of["x_0"])
    evidence.close("gamma left to be 5", found / truth, np.ones(case.T))


def judge_min_snr_by_chance(trial, weight, case, coordinate):
    """Judge a min-SNR weight by the mean of the objective over walks, for a denoiser that does not know x_0.

    The errors of a linear denoiser are affine in the noise of x_t, so their squares are quadratic forms in it.
    """
    t, x_0, (signal, var) = case.t, np.array(case.x_0), marginal(case.beta, case.t)

    def errors(x_t):
        return square_errors(case, t, x_t, (x_t - signal * x_0) / math.sqrt(var), case.denoiser(x_t, t))

    def error(z):
        return z - case.denoiser(signal * x_0 + math.sqrt(var) * z, t)

    mean, slope = error(0.0), error(1.0) - error(0.0)
    measured = errors(walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)[t])
    snr = signal**2 / var
    for name, gamma, factor in (("above", snr / 2, var / signal**2 * snr / 2), ("below", 2 * snr, 1.0)):
        objective = np.minimum(measured["eps"], gamma * measured["x_0"])
        claim = weight(case.schedule, t, gamma) * expected(lambda x_t: errors(x_t)[coordinate], case, t)
        law = 2 * factor * mean * slope, factor * slope**2
        trial.quadratic(f"mean objective, SNR {name} gamma", objective, claim, *law)


@identity(
    "elbo.min_snr_weight",
    judges="elbo.min_snr_weight",
    states=r"w_t\,\Vert\epsilon - \hat\epsilon\Vert^2 = \min\left(\Vert\epsilon - \hat\epsilon\Vert^2,\;"
    r" \gamma\,\Vert x_0 - \hat x_0\Vert^2\right), \qquad w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t)}",
    source="Hang et al. (2023), section 4.2",
    statistics=2,
    coincides="Where the signal-to-noise ratio is below gamma it is 1, whatever was divided by: there L_simple and"
    " min-SNR are one.",
)
class MinSNRWeight:
    """The objective is the squared error of eps, but never more than gamma times that of x_0, of one prediction."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_min_snr(evidence, claimed.elbo.min_snr_weight, case, "eps")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_min_snr_by_chance(trial, claimed.elbo.min_snr_weight, case, "eps")


@identity(
    "elbo.min_snr_weight_x_0",
    judges="elbo.min_snr_weight_x_0",
    states=r"w_t\,\Vert x_0 - \hat x_0\Vert^2 = \min\left(\Vert\epsilon - \hat\epsilon\Vert^2,\;"
    r" \gamma\,\Vert x_0 - \hat x_0\Vert^2\right), \qquad w_t = \min(\mathrm{SNR}(t), \gamma)",
    source="Hang et al. (2023), section 3.4",
    statistics=2,
    coincides="Where the signal-to-noise ratio is 1 it is the weight of eps.",
)
class MinSNRWeightX0:
    """The same objective, measured on x_0: no error of x_0 weighs more than gamma, none of eps more than 1."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_min_snr(evidence, claimed.elbo.min_snr_weight_x_0, case, "x_0")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_min_snr_by_chance(trial, claimed.elbo.min_snr_weight_x_0, case, "x_0")


@identity(
    "elbo.min_snr_weight_v",
    judges="elbo.min_snr_weight_v",
    states=r"w_t\,\Vert v - \hat v\Vert^2 = \min\left(\Vert\epsilon - \hat\epsilon\Vert^2,\;"
    r" \gamma\,\Vert x_0 - \hat x_0\Vert^2\right), \qquad"
    r" w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}",
    source="Hang et al. (2023), section 4.2, with the v of Salimans & Ho (2022)",
    statistics=2,
    coincides="Where the signal-to-noise ratio is far above 1 the + 1 is lost in it; where it is far below, the weight"
    " is near 0, and that is right: v is -x_0 there.",
)
class MinSNRWeightV:
    """The same objective, measured on v; the error of v says both others, since v, x_t, eps and x_0 lie in a plane."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_min_snr(evidence, claimed.elbo.min_snr_weight_v, case, "v")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_min_snr_by_chance(trial, claimed.elbo.min_snr_weight_v, case, "v")


@identity(
    "elbo.simple_loss",
    judges="elbo.simple_loss",
    states=r"L_\mathrm{simple} = \mathbb{E}_{t \sim U\{1, \ldots, T\},\, \epsilon}\,E_t, \qquad"
    r" E_t = \left\Vert\epsilon - \hat\epsilon(\sqrt{\bar\alpha_t}\,x_0"
    r" + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)\right\Vert^2",
    source="Ho, Jain & Abbeel (2020), eq. 14",
    statistics=2,
    coincides="At T = 1000 one step that is never drawn changes the loss by a thousandth. Mean and sum over the"
    " coordinates agree for d = 1.",
)
class SimpleLoss:
    """A denoiser that knows x_0 finds the noise again only if rates and t are right.

    Errors of size sqrt(t) put on top of it then tell which t was drawn. One that answers 0 leaves the noise itself, and
    its squared length is chi-square.
    """

    @staticmethod
    def reveals(case, scale):
        """Return a denoiser that knows x_0 and errs by sqrt(t / scale) in each coordinate."""

        def denoiser(x_t, t):
            return knows(case, np.array(case.x_0))(x_t, t) + np.sqrt(np.asarray(t) / scale)[..., None]

        return denoiser

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0 = np.random.default_rng(case.T), np.array(case.x_0)
        loss = claimed.elbo.simple_loss(case.schedule, knows(case, x_0, 0.5), case.repeat(x_0, 50), rng)
        evidence.close("loss of a constant error", loss, np.full(50, 0.25 * case.d), 1e-10)  # eps is found by division
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, 1.0), case.repeat(x_0, 1000), rng)
        # The chance that a right loss leaves a step out is below 8 (7/8)^1000 = 1e-57.
        drawn = np.unique(np.round(np.asarray(loss) / case.d, 6))
        evidence.true("the steps drawn are 1..T", np.array_equal(drawn, np.arange(1, case.T + 1)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many, T, d = case.repeat(case.x_0, trial.n), case.T, case.d
        zero = claimed.elbo.simple_loss(case.schedule, lambda x_t, t: np.zeros_like(x_t), many, trial.rng)
        trial.quadratic("E |eps|^2", zero, d, np.zeros(d), np.ones(d))
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, T), many, trial.rng)
        trial.bounded("E t / T", loss / d, (T + 1) / (2 * T), (T**2 - 1) / (12 * T**2), span=1.0)
