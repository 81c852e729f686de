r"""Identities of denoisers in continuous time: the score that they stand for, and what lies between two steps."""

import math

import numpy as np

from refdiff.verify.catalogue.continuous.processes import beside, blend, instants, one_process, processes, some_points
from refdiff.verify.catalogue.mixture import average_out, directions, given_component, side
from refdiff.verify.identity import identity


def ideal_denoiser(law, process):
    """Return the callable eps_hat(x, s): within each component x_0 is regressed on x_s, and eps is what is left."""

    def denoiser(x, s):
        a, var = beside(process.a(s), x), beside(process.v(s), x)
        chances, u, _ = law.apart(process, x, s)
        x_0 = np.sum(chances[..., None] * (law.means - np.asarray(a)[..., None] * law.variances * u), axis=-2)
        return (x - a * x_0) / np.sqrt(var)

    return denoiser


@identity(
    "continuous.score_from_denoiser",
    judges="continuous.score_from_denoiser",
    states=r"\nabla\log q_s(x) = -\frac{\hat\epsilon(x, s)}{\sigma_s}, \qquad"
    r" \hat\epsilon(x, s) = \mathbb{E}[\epsilon \mid x_s = x]",
    source="Vincent (2011), eq. 9, in continuous time Song et al. (2021), eq. 7",
    statistics=4,
    coincides="Where sigma_s = 1, up to the sign.",
)
class ScoreFromDenoiser:
    """The score of mixture data as it is written down, from the mean of the noise by Bayes' rule. By chance: the noise
    of each component, averaged over where a point came from.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), law = some_points(case), blend(case)
        for process in processes(case):
            score = claimed.continuous.score_from_denoiser(process, ideal_denoiser(law, process))
            truth = law.score(process)(x, s)
            evidence.close(f"{process.name}: one s per point", score(x, s), truth)
            evidence.close(f"{process.name}: one s", score(x, float(s[1]))[1], truth[1], scale=np.abs(truth).max())
            evidence.refuses(f"{process.name}: without noise", score, x, 0.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, _), law, process = instants(case), blend(case), one_process(case)
        k, x_0 = law.draw(trial.n, trial.rng)
        x = process.run(x_0, 0.0, s, trial.rng)
        a, var = process.by_equation(0.0, s)
        eps = (x[:, None] - a * given_component((law.weights, law.means, law.variances), a, var, x)) / np.sqrt(var)
        score = claimed.continuous.score_from_denoiser(process, ideal_denoiser(law, process))
        claim = -math.sqrt(var) * score(x, s)
        for i, way in enumerate(directions(case)):
            average_out(trial, f"eps along {i}", eps @ way, k, claim @ way, side(x @ way))


class Table:
    """A denoiser that multiplies x by a number known at each step t = 1..T, and notes what it is asked."""

    def __init__(self, T):
        self.T, self.asked = T, []
        self.values = np.random.default_rng(T).standard_normal(T + 1)

    def __call__(self, x, t):
        self.asked.append(t)
        return beside(self.values[t], x) * x

    def between(self, s):
        """Return the number at s: linear between steps, and constant below the first."""
        return np.interp(np.asarray(s) * self.T, np.arange(1, self.T + 1), self.values[1:])


@identity(
    "continuous.denoiser_between_steps",
    judges="continuous.denoiser_between_steps",
    states=r"\hat\epsilon(x, s) = (1 - w)\,\hat\epsilon(x, t) + w\,\hat\epsilon(x, t + 1), \qquad t + w = sT \ge 1,"
    r" \quad 0 \le w < 1",
    source="the definition of linear interpolation",
    statistics=1,
    coincides="At s = t/T; and a denoiser that is the same at each step.",
)
class DenoiserBetweenSteps:
    """A table of numbers, read between its rows by NumPy; at a step it is that row, looked up once. By chance: a step
    drawn at random, the nearer one the more often, is right on average.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, s = some_points(case)
        for T in (case.T, 100):
            table = Table(T)
            eps_hat = claimed.continuous.denoiser_between_steps(table, T)
            evidence.close(f"one s per point, T = {T}", eps_hat(x, s), table.between(s)[:, None] * x)
            for at in (0.0, 0.4 / T, float(s[1]), 0.99, 1.0):
                evidence.close(f"s = {at:.3g}, T = {T}", eps_hat(x, at), table.between(at) * x)
            table.asked.clear()
            rows = np.array([eps_hat([1.0], t / T)[0] for t in range(1, T + 1)])
            evidence.close(f"at the steps, T = {T}", rows, table.values[1:])
            evidence.true(f"asked once there, T = {T}", table.asked == list(range(1, T + 1)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, _), T = instants(case), 10
        table = Table(T)
        t, share = divmod(s * T, 1)
        drawn = table.values[int(t) + (trial.rng.random(trial.n) < share)]
        claim = claimed.continuous.denoiser_between_steps(table, T)([1.0], s)[0]
        span = abs(table.values[int(t) + 1] - table.values[int(t)])
        trial.bounded("a step at random", drawn, claim, share * (1 - share) * span**2, span=span)
