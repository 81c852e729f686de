r"""Identities of how densities move: Fokker-Planck, the equation that runs backwards, and the flow without noise.

Derivatives in s are taken along the imaginary axis, to the last digit. Two further routes have no equation in them: the
mean of the past given the present, by Bayes' rule; and the quantiles of one coordinate, which a flow must carry along.
"""

from decimal import Decimal, localcontext

import numpy as np

from refdiff.verify.catalogue.continuous.processes import (
    FEW,
    Blend,
    affine,
    along,
    along_axis,
    blend,
    instants,
    line,
    normal,
    one_process,
    processes,
    rate,
    some_points,
)
from refdiff.verify.catalogue.mixture import (
    FIFTY_DIGITS,
    average_out,
    decimal_log_mixture,
    decimal_score,
    directions,
    given_component,
    guess,
    side,
    toss,
)
from refdiff.verify.identity import identity


def decimal_laplacian(x, weights, means, variances):
    """Return the Laplacian of log q at a point (d,), by second differences in fifty digits."""
    step, total = Decimal("1e-12"), Decimal(0)
    with localcontext(FIFTY_DIGITS):
        at = [Decimal(float(one)) for one in x]
        middle = decimal_log_mixture(at, weights, means, variances)
        for i in range(len(x)):
            for sign in (1, -1):
                moved = list(at)
                moved[i] += sign * step
                total += decimal_log_mixture(moved, weights, means, variances) - middle
        return float(total / step**2)


def pointwise(f, law, process, x, s):
    """Return f(x, weights, means, variances) of the law of x_s at each point with its own s."""
    return np.array([f(one, law.weights, *law.at(process, at)) for one, at in zip(x, s)])


def drawn(case, process, s, trial):
    """Return the data, the components that n points came from, their x_0 and their x_s."""
    law = blend(case)
    k, x_0 = law.draw(trial.n, trial.rng)
    return law, k, x_0, process.run(x_0, 0.0, s, trial.rng)


@identity(
    "continuous.diffused",
    judges="continuous.diffused",
    states=r"q_s(x) = \sum_k w_k\,\mathcal{N}\left(x;\; a_s m_k,\; a_s^2 v_k + \sigma_s^2\right)",
    source="Song et al. (2021), eq. 29, integrated over x_0",
    statistics=9,
    coincides="s = 0, and data at points, v = 0, whose variance is not scaled.",
)
class Diffused:
    """Mean and variance of each component by the equation; and points that were carried there show its waves."""

    @staticmethod
    def exact(claimed, case, evidence):
        law = blend(case)
        for process in processes(case):
            for s in (0.0, *instants(case), 1.0):
                found = claimed.continuous.diffused(process, law.as_mixture(case), s)
                a, var = process.by_equation(0.0, s)
                evidence.close(f"{process.name}: weights", found.weights, law.weights)
                evidence.close(f"{process.name}: means", found.means, a * law.means)
                evidence.close(f"{process.name}: variances", found.variances, a**2 * law.variances + var)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, _ = instants(case)
        for process in processes(case):
            law, _, _, x = drawn(case, process, s, trial)
            found = claimed.continuous.diffused(process, law.as_mixture(case), s)
            trial.mixture(process.name, x[:, 0], found.weights, found.means[:, 0], found.variances[:, 0])
            wide = Blend([1.0], [case.x_0], np.full((1, case.d), 4 * case.var_q))
            x = process.run(wide.draw(trial.n, trial.rng)[1], 0.0, s, trial.rng)
            found = claimed.continuous.diffused(process, wide.as_mixture(case), s)
            trial.var(f"{process.name}: one component", x, wide.at(process, s)[0][0], found.variances[0])


@identity(
    "continuous.ideal_score",
    judges="continuous.ideal_score",
    states=r"\nabla\log q_s(x) = \sum_k r_k\,u_k = -\frac{1}{\sigma_s}\,\mathbb{E}[\epsilon \mid x_s = x], \qquad"
    r" u_k = -\frac{x - a_s m_k}{a_s^2 v_k + \sigma_s^2}",
    source="Vincent (2011), in continuous time Song et al. (2021), eq. 7",
    statistics=12,
    coincides="Where all components pull alike.",
)
class IdealScore:
    """Differences of log q_s in fifty digits; and the noise that a point carries, averaged over where it came from."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law = some_points(case), blend(case)
        x = np.vstack([x, 1000 * x[:1]])  # so far out that every density underflows
        s = np.append(s, s[0])
        for process in processes(case):
            score = claimed.continuous.ideal_score(process, law.as_mixture(case))
            evidence.close(
                f"{process.name}: one s per point", score(x, s), pointwise(decimal_score, law, process, x, s)
            )
            evidence.close(f"{process.name}: one s", score(x[:4], s[1])[1], score(x, s)[1])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, _ = instants(case)
        for process in processes(case):
            law, k, _, x = drawn(case, process, s, trial)
            a, var = process.by_equation(0.0, s)
            x_0 = given_component((law.weights, law.means, law.variances), a, var, x)
            eps = (x[:, None] - a * x_0) / np.sqrt(var)
            claim = -np.sqrt(var) * claimed.continuous.ideal_score(process, law.as_mixture(case))(x, s)
            for i, way in enumerate(directions(case)):
                average_out(trial, f"{process.name}: eps along {i}", eps @ way, k, claim @ way, side(x @ way))


@identity(
    "continuous.ideal_score_divergence",
    judges="continuous.ideal_score_divergence",
    states=r"\Delta\log q_s = \sum_k r_k \left[\Vert u_k\Vert^2 - \operatorname{tr} V_k^{-1}\right]"
    r" - \Vert\nabla\log q_s\Vert^2",
    source="differentiating the score; Hyvärinen (2005), theorem 1, where it is asked for",
    statistics=6,
    coincides="One component, where it is -tr V^{-1}: the pulls and the square of the score cancel.",
)
class IdealScoreDivergence:
    """Second differences in fifty digits; and each component's Laplacian, averaged over where a point came from."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law = some_points(case), blend(case)
        for process in processes(case):
            found = claimed.continuous.ideal_score_divergence(process, law.as_mixture(case))
            truth = pointwise(decimal_laplacian, law, process, x, s)
            evidence.close(f"{process.name}: one s per point", found(x, s), truth, tolerance=1e-11)
            evidence.close(
                f"{process.name}: one s", found(x, s[1])[1], truth[1], tolerance=1e-11, scale=1 + abs(truth).max()
            )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, _ = instants(case)
        for process in processes(case):
            law, k, _, x = drawn(case, process, s, trial)
            claim = claimed.continuous.ideal_score_divergence(process, law.as_mixture(case))(x, s)
            claim = claim + np.sum(law.score(process)(x, s) ** 2, axis=-1)
            bends = law.bends(process, x, s)
            average_out(trial, f"{process.name}: Laplacian of q over q", bends, k, claim, side(x[:, 0]))


@identity(
    "continuous.log_density_rate",
    judges="continuous.log_density_rate",
    states=r"\partial_s\log q_s(x) = \sum_k r_k\,\partial_s\log\mathcal{N}\left(x; m_k(s), V_k(s)\right), \qquad"
    r" \dot m = f m, \quad \dot V = 2 f V + g^2",
    source="Särkkä & Solin (2019), eq. 5.50 and 5.51",
    statistics=3,
    coincides="Data N(0, I) under VP, whose density does not change.",
)
class LogDensityRate:
    """The density of x_s, differentiated along the imaginary axis of s; and added up, the odds that a point is late."""

    @staticmethod
    def exact(claimed, case, evidence):
        rate_is_right(claimed.continuous.log_density_rate, case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        rate_is_seen(claimed.continuous.log_density_rate, case, trial)


def rate_is_right(claim, case, evidence):
    """Record whether claim(process, mixture, x, s) is the rate of log q_s."""
    (x, s), law = some_points(case), blend(case)
    for process in processes(case):
        truth = law.log_rate(process, x, s)
        scale = 1 + np.abs(truth).max()
        found = claim(process, law.as_mixture(case), x, s)
        evidence.close(f"{process.name}: one s per point", found, truth, tolerance=1e-11, scale=scale)
        found = claim(process, law.as_mixture(case), x, s[1])
        evidence.close(f"{process.name}: one s", found, law.log_rate(process, x, s[1]), tolerance=1e-11, scale=scale)


def rate_is_seen(claim, case, trial):
    """Record whether claim(process, mixture, x, s) adds up to the odds between an early and a late point.

    A coin chooses whether x is drawn at s or at u. What log q changes by between the two is the logarithm of the odds.
    """
    (s, u), law, process = instants(case), blend(case), one_process(case)
    early, late = (process.run(law.draw(trial.n, trial.rng)[1], 0.0, at, trial.rng) for at in (s, u))
    real, x = toss(trial, late, early)
    change = sum(weight * claim(process, law.as_mixture(case), x, at) for at, weight in zip(*along(s, u, FEW)))
    guess(trial, process.name, real, change, 0.0, side(x[:, 0]))


@identity(
    "continuous.fokker_planck",
    judges="continuous.fokker_planck",
    states=r"\partial_s q_s = -\nabla\cdot(f x\,q_s) + \tfrac12 g^2\,\Delta q_s",
    source="Särkkä & Solin (2019), theorem 5.4; Song et al. (2021), appendix D.1",
    statistics=3,
    coincides="The terms with f where f = 0 (VE); all of it for data N(0, I) under VP, where both sides are 0.",
)
class FokkerPlanck:
    """The left side: the density of x_s, known without the equation, differentiated along the imaginary axis of s; and
    the right one, added up, gives the odds that a point is late.
    """

    @staticmethod
    def of(claimed, case):
        """Return the right side as a function of process, mixture, x and s, with the score of these data."""
        law = blend(case)
        return lambda process, mixture, x, s: claimed.continuous.fokker_planck(
            process, law.score(process), law.score_divergence(process), x, s
        )

    @staticmethod
    def exact(claimed, case, evidence):
        rate_is_right(FokkerPlanck.of(claimed, case), case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        rate_is_seen(FokkerPlanck.of(claimed, case), case, trial)


@identity(
    "continuous.reverse_drift",
    judges="continuous.reverse_drift",
    states=r"f x - g^2\,\nabla\log q_s(x)"
    r" = \left.\frac{\partial}{\partial r}\mathbb{E}[x_r \mid x_s = x]\right|_{r \uparrow s}",
    source="Anderson (1982); Song et al. (2021), eq. 6",
    statistics=9,
    coincides="Where the score is 0. With the noise left out, half the score gives the right densities.",
)
class ReverseDrift:
    """What x_s says of its past, by Bayes' rule in each component, differentiated; and for normal data the reverse
    equation is linear, so that mean and variance of x_s given x_u, u > s, are integrals of its drift.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law = some_points(case), blend(case)
        for process in processes(case):
            truth, score = law.past(process, x, s), law.score(process)
            found = claimed.continuous.reverse_drift(process, score, x, s)
            evidence.close(f"{process.name}: one s per point", found, truth, tolerance=1e-11)
            found = claimed.continuous.reverse_drift(process, score, x, s[1])
            evidence.close(f"{process.name}: one s", found[1], truth[1], tolerance=1e-11, scale=np.abs(truth).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), law = instants(case), normal(case)
        for process in processes(case):

            def drift(score, x, r, process=process):
                return claimed.continuous.reverse_drift(process, score, x, r)

            slope, shift = affine(drift, law.score(process), case.d)
            r, weights = along(s, u)
            kept = np.exp(-along_axis(slope, np.full(r.shape, s), r))  # from r down to s
            mean = -weights @ (kept * shift(r))
            var = weights @ (kept**2 * process.g_2(r)[:, None])
            _, x_0 = law.draw(trial.n, trial.rng)
            x_s = process.run(x_0, 0.0, s, trial.rng)
            x_u = process.run(x_s, s, u, trial.rng)
            gain = np.exp(-along_axis(slope, s, u))
            trial.conditional(f"{process.name}: x_s given x_u", x_s, gain * x_u + mean, var, x_u=x_u)


@identity(
    "continuous.probability_flow_drift",
    judges="continuous.probability_flow_drift",
    states=r"v = f x - \tfrac12 g^2\,\nabla\log q_s, \qquad \partial_s q_s = -\nabla\cdot(v\,q_s), \qquad"
    r" v = -\frac{\partial_s F_s}{q_s} \;\text{on a line}",
    source="Song et al. (2021), eq. 13 and appendix D.1",
    statistics=6,
    coincides="Where the score is 0. With the full score it is the reverse drift, right with noise.",
)
class ProbabilityFlowDrift:
    """The mean of the rates at which future and past leave the present; and on a line what carries the quantiles."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law, on_line = some_points(case), blend(case), line(case)
        for process in processes(case):
            future = (rate(process.a, s) / process.a(s))[:, None] * x
            truth, score = (future + law.past(process, x, s)) / 2, law.score(process)
            found = claimed.continuous.probability_flow_drift(process, score, x, s)
            evidence.close(f"{process.name}: one s per point", found, truth, tolerance=1e-11)
            y, at = x[:, :1], float(s[1])
            density = np.exp(on_line.diffused(process, at).log_density(y))
            quantiles = rate(lambda s, y=y, process=process: on_line.quantile(process, y, s), at)
            found = claimed.continuous.probability_flow_drift(process, on_line.score(process), y, at)
            # in units of the current, since -dF/q loses digits where q is small
            evidence.close(f"{process.name}: quantiles", found[:, 0] * density, -quantiles, tolerance=1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), law = instants(case), normal(case)
        for process in processes(case):

            def drift(score, x, r, process=process):
                return claimed.continuous.probability_flow_drift(process, score, x, r)

            slope, shift = affine(drift, law.score(process), case.d)
            r, weights = along(s, u)
            kept = np.exp(along_axis(slope, r, np.full(r.shape, u)))  # from r up to u
            gain, (mean, var) = np.exp(along_axis(slope, s, u)), law.at(process, s)
            _, x_0 = law.draw(trial.n, trial.rng)
            x_u = process.run(x_0, 0.0, u, trial.rng)
            mean, var = gain * mean[0] + weights @ (kept * shift(r)), gain**2 * var[0]
            trial.mean(f"{process.name}: mean of x_u", x_u, mean, law.at(process, u)[1][0])
            trial.var(f"{process.name}: variance of x_u", x_u, law.at(process, u)[0][0], var)
