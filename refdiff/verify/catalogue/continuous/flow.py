r"""Identities of the probability-flow ODE: where it carries points, and what it says of their density.

On a line a flow keeps the order of points, so it has to keep their quantiles: truth without an equation. Data with
independent coordinates move each by itself, and random signs then give the divergence without error.
"""

import numpy as np

from refdiff.verify.catalogue.continuous.processes import (
    blend,
    instants,
    normal,
    one_process,
    processes,
    separable,
    some_points,
)
from refdiff.verify.catalogue.elbo.models import close_in_nats
from refdiff.verify.catalogue.mixture import guess, side, toss
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal


def tilted(case):
    """Return a matrix (d, d) without any symmetry, and the linear field that it is the Jacobian of."""
    rows = np.array([case.x_0, case.x_t, case.eps])[: case.d]
    matrix = rows + np.diag(np.array(case.eps) ** 2)
    return matrix, lambda x, s: x @ matrix.T


@identity(
    "continuous.divergence",
    judges="continuous.divergence",
    states=r"\nabla\cdot\nabla\log q_s(x) = \sum_i \partial_i [\nabla\log q_s(x)]_i",
    source="Abramowitz & Stegun (1964), table 25.2",
    statistics=1,
    coincides="d = 1, where the trace is the whole Jacobian.",
)
class Divergence:
    """Closed forms of mixtures, and the trace of a matrix; which is the mean of z' A z over normal z."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law, (matrix, field) = some_points(case), blend(case), tilted(case)
        trace = np.full(len(x), np.trace(matrix))
        # the rounding of differences over a step of 1e-4
        scale = 1 + np.abs(matrix).sum()
        evidence.close("a linear field", claimed.continuous.divergence(field, x, s), trace, 1e-9, scale=scale)
        for process in processes(case):
            truth = law.score_divergence(process)(x, s)
            found = claimed.continuous.divergence(law.score(process), x, s)
            # the fifth derivative of the score times the fourth power of the step
            evidence.close(process.name, found, truth, tolerance=1e-8, scale=1 + np.abs(truth).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        matrix, field = tilted(case)
        claim = claimed.continuous.divergence(field, np.array([case.x_t]), 0.5)[0]
        z = trial.rng.standard_normal((trial.n, case.d))
        h = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        trial.quadratic("z' A z", np.sum(z * (z @ matrix.T), axis=1), claim, np.zeros(case.d), h)


@identity(
    "continuous.hutchinson",
    judges="continuous.hutchinson",
    states=r"\operatorname{tr} J = \mathbb{E}\left[\epsilon^\top J\,\epsilon\right]"
    r" \approx \frac1K\sum_{k=1}^K \epsilon_k^\top J\,\epsilon_k, \qquad \mathbb{E}[\epsilon\epsilon^\top] = I",
    source="Hutchinson (1990); Song et al. (2021), eq. 40",
    statistics=1,
    coincides="One probe, where sum and mean are the same.",
)
class Hutchinson:
    """Probes whose outer products average to the identity leave no chance; normal ones give a quadratic form."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law, (matrix, field) = some_points(case), blend(case), tilted(case)
        probes = np.sqrt(case.d) * np.concatenate([np.eye(case.d), -np.eye(case.d)])[:, None]
        probes = probes * np.ones((1, len(x), 1))
        trace, scale = np.full(len(x), np.trace(matrix)), 1 + np.abs(matrix).sum()
        evidence.close("a linear field", claimed.continuous.hutchinson(field, x, s, probes), trace, 1e-9, scale=scale)
        turned, _ = np.linalg.qr(matrix)  # any orthogonal basis will do
        around = np.sqrt(case.d) * turned[:, None] * np.ones((1, len(x), 1))
        evidence.close("another basis", claimed.continuous.hutchinson(field, x, s, around), trace, 1e-9, scale=scale)
        for process in processes(case):
            truth = law.score_divergence(process)(x, s)
            found = claimed.continuous.hutchinson(law.score(process), x, s, probes)
            evidence.close(process.name, found, truth, tolerance=1e-7, scale=1 + np.abs(truth).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        K, (matrix, field) = 3, tilted(case)
        probes = trial.rng.standard_normal((K, trial.n, case.d))
        x = trial.rng.standard_normal((trial.n, case.d))
        found = claimed.continuous.hutchinson(field, x, 0.5, probes)
        h = np.tile(np.linalg.eigvalsh((matrix + matrix.T) / 2) / K, K)
        trial.quadratic("mean over 3 probes", found, np.trace(matrix), np.zeros(h.size), h)


@identity(
    "continuous.probability_flow",
    judges="continuous.probability_flow",
    states=r"x_u = x_s + \int_s^u v(x_r, r)\,dr, \qquad F_u(x_u) = F_s(x_s) \;\text{on a line}, \qquad"
    r" x_s \sim q_s \Rightarrow x_u \sim q_u",
    source="Song et al. (2021), section 4.3",
    statistics=2,
    coincides="Data N(0, I) under VP, where no point moves.",
)
class ProbabilityFlow:
    """Each point keeps its quantile, coordinate by coordinate; and points of one law arrive with the other."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, _), law, (s, u), process = some_points(case), separable(case), instants(case), one_process(case)
        for what, start, stop in (("to noise", 0.0, u), ("to data", u, s)):
            y = law.mean + x * np.sqrt(law.diffused(process, start).var) / 3
            found = claimed.continuous.probability_flow(process, law.score(process), y, start, stop, tolerance=1e-10)
            before, after = law.quantile(process, y, start), law.quantile(process, found, stop)
            # what a solver with a tolerance of 1e-10 in each step leaves
            evidence.close(f"{process.name}: quantiles, {what}", after, before, tolerance=1e-8)
            (mean, var), (mean_2, var_2) = law.at(process, start), law.at(process, stop)
            others = mean_2[0] + np.sqrt(var_2[0] / var[0]) * (y - mean[0])
            if case.d > 1:
                evidence.close(f"{process.name}: others, {what}", found[:, 1:], others[:, 1:], tolerance=1e-8)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), law, process = instants(case), separable(case), one_process(case)
        _, x_0 = law.draw(trial.n // 4, trial.rng)  # a solver's points are dear
        x_u = process.run(x_0, 0.0, u, trial.rng)
        x_s = claimed.continuous.probability_flow(process, law.score(process), x_u, u, s, tolerance=1e-6)
        then = law.diffused(process, s)
        trial.mixture("x_s", x_s[:, 0], then.weights, then.means[:, 0], then.variances[:, 0])


@identity(
    "continuous.probability_flow_log_density",
    judges="continuous.probability_flow_log_density",
    states=r"\log q_s(x_s) = \log q_u(x_u) + \int_s^u \nabla\cdot v(x_r, r)\,dr, \qquad"
    r" \nabla\cdot v = d f - \tfrac12 g^2\,\Delta\log q_r",
    source="Chen et al. (2018), theorem 1; Song et al. (2021), eq. 39",
    statistics=3,
    coincides="Data N(0, I) under VP: no point moves and no volume changes.",
)
class ProbabilityFlowLogDensity:
    """The density of mixture data as it is written down, by exact, numerical and random divergences; with N(0, I) at
    the end the log-ratio of the two laws is what is off. And odds between two densities win a guessing game.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        (x, _), law, (s, u) = some_points(case), separable(case), instants(case)
        flow = claimed.continuous.probability_flow_log_density
        process = one_process(case)
        score, of_score, truth = law.score(process), law.score_divergence(process), law.log_density(x)
        end = {"prior": law.diffused(process, 1.0)}
        found = flow(process, score, x, divergence=of_score, **end)
        close_in_nats(evidence, "tolerance 1e-10", found, truth, tolerance=1e-8)
        start, loose = law.diffused(process, s).log_density(x), {"tolerance": 1e-7}
        found = flow(process, score, x, start=s, stop=u, prior=law.diffused(process, u), **loose)
        close_in_nats(evidence, "from s to u, by differences", found, start, tolerance=1e-5)
        found = flow(process, score, x, probes=2, rng=np.random.default_rng(case.T), **end, **loose)
        close_in_nats(evidence, "random signs", found, truth, tolerance=1e-5)
        alone = normal(case)
        (mean, var), (mean_1, var_1) = alone.at(process, 0.0), alone.at(process, 1.0)
        x_1 = mean_1[0] + np.sqrt(var_1[0] / var[0]) * (x - mean[0])
        gap = process.prior(case.d).log_density(x_1) - log_normal(x_1, mean_1[0], var_1[0])
        found = flow(process, alone.score(process), x, divergence=alone.score_divergence(process), **loose)
        close_in_nats(evidence, "the prior in place of the law", found, alone.log_density(x) + gap, tolerance=1e-5)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), law, process = instants(case), separable(case), one_process(case)
        at_s = law.diffused(process, s)
        n = trial.n // 4  # a solver's points are dear
        wide = 2 * np.sqrt(at_s.var) * trial.rng.standard_normal((n, case.d)) + at_s.mean
        real, x = toss(trial, process.run(law.draw(n, trial.rng)[1], 0.0, s, trial.rng), wide)
        log_q = claimed.continuous.probability_flow_log_density(
            process,
            law.score(process),
            x,
            divergence=law.score_divergence(process),
            prior=law.diffused(process, u),
            start=s,
            stop=u,
            tolerance=1e-4,  # of log q: beside the chance of 400,000 points it is nothing
        )
        guess(trial, "x_s or wide", real, log_q, log_normal(x, at_s.mean, 4 * at_s.var), side(x[:, 0]))
