r"""Identities of guided mixture data: the tilted density, the guided score, and what its flow samples.

The tilted density is judged by its definition: draws of a class that are kept with the probability p(y | x)^w. The
guided flow by carrying points along, and its density by how far it carries two that were infinitely near: a step of
1e-30 along the imaginary axis. No divergence is needed for that.
"""

import numpy as np
from scipy.integrate import solve_ivp

from refdiff.verify.catalogue.continuous.processes import instants, one_process, processes, some_points
from refdiff.verify.catalogue.elbo.models import close_in_nats
from refdiff.verify.catalogue.guidance.models import (
    GRID,
    decimal_gradient,
    decimal_laplacian,
    decimal_log_tilted,
    labelled,
    leaned,
    on_a_line,
    pulls,
    separable,
    strength,
)
from refdiff.verify.catalogue.mixture import average_out, chances, directions, guess, side, toss
from refdiff.verify.identity import identity
from refdiff.verify.oracles import gradient, log_normal

CLASSES = (0, 1)
TINY = 1e-30


def guided(data, y, w, process):
    """Return the guided score of labelled data under a process; x may be complex, and far out."""

    def score(law, x, s):
        means, variances = law.at(process, s)
        joint = law.log_joint(x, means, variances)
        chance = np.exp(joint - joint.real.max(axis=-1, keepdims=True))
        chance = chance / chance.sum(axis=-1, keepdims=True)
        return np.sum(chance[..., None] * (means - x[..., None, :]) / variances, axis=-2)

    own = data.given(y)
    return lambda x, s: (1 + w) * score(own, x, s) - w * score(data.law, x, s)


def carried(data, y, w, process, x, start, stop, tolerance):
    """Return where the guided flow (d = 1) carries points (n,), real or complex."""
    score = guided(data, y, w, process)

    def rate(s, x):
        return process.f(s) * x - process.g_2(s) / 2 * score(x[:, None], s)[:, 0]

    return solve_ivp(rate, (start, stop), x, method="DOP853", rtol=tolerance, atol=tolerance).y[:, -1]


def within(data, y, w, process, z):
    """Return the points (n,) that the guided flow makes of z standard deviations of the prior."""
    x_1 = np.sqrt(process.prior(1).var[0]) * np.asarray(z)
    return carried(data, y, w, process, x_1, 1.0, 0.0, 1e-5)


def log_flow(data, y, w, process, x):
    """Return the log-density of the guided flow at points (n,): that of the prior where they go, and the slope."""
    there = carried(data, y, w, process, x + 1j * TINY, 0.0, 1.0, 1e-9)
    return process.prior(1).log_density(there.real[:, None]) + np.log(there.imag / TINY)


def diffused_tilted_score(data, y, w, process, s, x):
    """Return the score (n,) of what the tilted density (d = 1) diffuses to: a sum over where x came from."""
    log_p, a, var = data.log_tilted(y, w, GRID[:, None]), process.a(s), process.v(s)
    joint = log_p - (x[:, None] - a * GRID) ** 2 / (2 * var)
    chance = np.exp(joint - joint.max(axis=1, keepdims=True))
    return np.sum(chance * (a * GRID - x[:, None]) / var, axis=1) / chance.sum(axis=1)


def drawn(data, process, s, trial):
    """Return the components that n points came from, their x_s, and the law of x_s."""
    k, x_0 = data.law.draw(trial.n, trial.rng)
    x_s = process.run(x_0, 0.0, s, trial.rng) if s > 0 else x_0
    return k, x_s, (data.law.weights, *data.law.at(process, s))


def halfway(case):
    """Return a time at which to tilt first and to diffuse first lead far apart."""
    return sum(instants(case)) / 2


def score_is_an_average(claimed, case, trial, process, s, what):
    """Judge the guided score (d = 1) at points of all data: an average of pulls, leaned on a class. 2 statistics."""
    data, w, y = on_a_line(case), 1 + strength(case), 1
    k, x, law = drawn(data, process, s, trial)
    claim = claimed.guidance.guided_score(process, data.claim(claimed, case), y, w)(x, s)[:, 0]
    lean = leaned(pulls(x, *law)[..., 0], x, law, y, w)
    average_out(trial, what, lean, k, claim, side(x[:, 0]), chances(x, *law))


@identity(
    "guidance.tilted_log_density",
    judges="guidance.tilted_log_density",
    states=r"p_w(x) = \frac1Z\,p(x)\,p(y \mid x)^{1 + w} = \frac{1}{Z'}\,p(x \mid y)^{1 + w}\,p(x)^{-w}, \qquad"
    r" \int p_w(x)\,dx = 1",
    source="Ho & Salimans (2022), section 3.1",
    statistics=3,
    coincides="w = 0, where it is p(x | y), and w = -1, p(x).",
)
class TiltedLogDensity:
    """Normalised by a sum over a grid, in one dimension and in two; by chance, a guess between draws of the class that
    are kept with the probability p(y | x)^w, and a wide Gaussian.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        data, x = on_a_line(case), np.array([*case.x_0, *case.x_t, *case.eps])[:, None]
        for y in CLASSES:
            for w in (-1.0, -0.4, 0.0, strength(case)):
                found = claimed.guidance.tilted_log_density(data.claim(claimed, case), y, w, x)
                close_in_nats(evidence, f"class {y}, w = {w}", found, data.log_tilted(y, w, x), tolerance=1e-9)
        data, w = on_a_line(case), 30.0  # so much that little is left of any draw, and Z is tiny
        found = claimed.guidance.tilted_log_density(data.claim(claimed, case), 1, w, x)
        close_in_nats(evidence, f"w = {w}", found, data.log_tilted(1, w, x), tolerance=1e-8)
        if case.d == 2:
            data = separable(case)
            found = claimed.guidance.tilted_log_density(data.claim(claimed, case), 0, 1.0, np.array([case.x_t]))
            first = on_a_line(case).log_tilted(0, 1.0, np.array([case.x_t[:1]]))
            others = log_normal(np.array([case.x_t[1:]]), data.law.means[0, 1:], data.law.variances[0, 1:])
            close_in_nats(evidence, "two coordinates", found, first + others, tolerance=1e-9)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data, w = on_a_line(case), strength(case)
        kept = data.tilt(0, w, 4 * trial.n, trial.rng)
        kept = kept[: trial.n]
        center, spread = data.given(0).mean, 4 * data.given(0).var
        real, x = toss(trial, kept, center + np.sqrt(spread) * trial.rng.standard_normal(kept.shape))
        log_q = claimed.guidance.tilted_log_density(data.claim(claimed, case), 0, w, x)
        guess(trial, "kept or wide", real, log_q, log_normal(x, center, spread), side(x[:, 0]))


@identity(
    "guidance.guided_score",
    judges="guidance.guided_score",
    states=r"\tilde s(x, s) = (1 + w)\,\nabla\log p_s(x \mid y) - w\,\nabla\log p_s(x)"
    r" \qquad = \nabla\log\left[p_s(x)\,p_s(y \mid x)^{1 + w}\right]",
    source="Ho & Salimans (2022), eq. 6, as a score",
    statistics=2,
    coincides="w = 0 and w = -1, where what the tilted density diffuses to has this score as well; s = 0, for all w.",
)
class GuidedScore:
    """Differences of the power of densities in fifty digits; by chance, an average over where x_s may come from."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), data, w = some_points(case), labelled(case), strength(case)
        for y in CLASSES:
            for process in processes(case):
                score = claimed.guidance.guided_score(process, data.claim(claimed, case), y, w)
                truth = np.array([gradient_of(data, process, y, w, one, at) for one, at in zip(x, s)])
                scale, what = 1 + np.abs(truth).max(), f"{process.name}, class {y}"
                evidence.close(f"{what}: one s per point", score(x, s), truth, tolerance=1e-11, scale=scale)
                evidence.close(f"{what}: one s", score(x, s[1])[1], truth[1], tolerance=1e-11, scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        score_is_an_average(claimed, case, trial, one_process(case), halfway(case), "halfway")


def gradient_of(data, process, y, w, x, s):
    """Return the gradient of log[p_s(x) p_s(y | x)^(1 + w)] at one point, in fifty digits."""
    law = data.law.weights, *data.law.at(process, s)
    return decimal_gradient(lambda x: decimal_log_tilted(x, y, w, *law), x)


@identity(
    "guidance.tilted_score",
    judges=("guidance.guided_score", "guidance.tilted_log_density"),
    states=r"\tilde s(x, 0) = \nabla\log p_w(x), \qquad"
    r" \tilde s(x, s) \ne \nabla\log \int p_w(x_0)\,q(x_s = x \mid x_0)\,dx_0 \quad (s > 0,\; w \ne 0, -1)",
    source="Bradley & Nakkiran (2024), section 3; Chidambaram et al. (2024)",
    statistics=4,
    coincides="w = 0 and w = -1, where to tilt and to diffuse commute.",
)
class TiltedScore:
    """At s = 0 both are derivatives of one power, in fifty digits. At s > 0 the score of what the tilted density
    diffuses to, by a sum over where x came from, is another one. By chance, an average over where x came from.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, data, w = np.array([case.x_0, case.x_t, case.eps])[:, :1], on_a_line(case), strength(case)
        claim = data.claim(claimed, case)
        law = data.law.weights, data.law.means, data.law.variances
        for y in CLASSES:
            truth = np.array([decimal_gradient(lambda x, y=y: decimal_log_tilted(x, y, w, *law), one) for one in x])
            scale = 1 + np.abs(truth).max()

            def log_density(x, y=y):
                return claimed.guidance.tilted_log_density(claim, y, w, x)

            slope = [gradient(lambda at: float(log_density(at[None])[0]), one, step=1e-2) for one in x]
            # differences over a step of a hundredth: nine digits
            evidence.close(f"class {y}: slope of the log-density", slope, truth, 1e-7, scale=scale)
            for process in processes(case):
                score = claimed.guidance.guided_score(process, claim, y, w)
                what = f"{process.name}, class {y}"
                evidence.close(f"{what}: at s = 0", score(x, 0.0), truth, 1e-11, scale=scale)
        s, process = instants(case)[0], one_process(case)
        where = process.a(s) * data.given(0).mean + np.linspace(-2.0, 2.0, 9)
        other = diffused_tilted_score(data, 0, w, process, s, where)
        gap = claimed.guidance.guided_score(process, claim, 0, w)(where[:, None], s)[:, 0] - other
        # the sum leaves ten digits
        evidence.true("at s > 0 it is the score of another density", np.abs(gap).max() > 1e-6 * np.abs(other).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for name, s in {"at s = 0": 0.0, "halfway": halfway(case)}.items():
            score_is_an_average(claimed, case, trial, one_process(case), s, name)


@identity(
    "guidance.guided_score_divergence",
    judges="guidance.guided_score_divergence",
    states=r"\nabla\cdot\tilde s(x, s) = (1 + w)\,\Delta\log p_s(x \mid y) - w\,\Delta\log p_s(x)",
    source="differentiating the definition of the guided score",
    statistics=2,
    coincides="w = 0 and w = -1, where it is that of one law.",
)
class GuidedScoreDivergence:
    """Second differences in fifty digits; by chance, Laplacians of components, averaged over where x_s came from."""

    @staticmethod
    def exact(claimed, case, evidence):
        (x, s), data, w = some_points(case), labelled(case), strength(case)
        for process in processes(case):
            found = claimed.guidance.guided_score_divergence(process, data.claim(claimed, case), 0, w)
            laws = [(data.law.weights, *data.law.at(process, at)) for at in s]
            truth = np.array(
                [
                    decimal_laplacian(lambda x, law=law: decimal_log_tilted(x, 0, w, *law), one)
                    for one, law in zip(x, laws)
                ]
            )
            scale = 1 + np.abs(truth).max()
            evidence.close(f"{process.name}: one s per point", found(x, s), truth, tolerance=1e-11, scale=scale)
            evidence.close(f"{process.name}: one s", found(x, s[1])[1], truth[1], tolerance=1e-11, scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, _), data, w = instants(case), labelled(case), strength(case)
        process = one_process(case)
        k, x, law = drawn(data, process, s, trial)
        claim = claimed.guidance.guided_score_divergence(process, data.claim(claimed, case), 0, w)(x, s)
        of_class, of_all = data.given(0).score(process)(x, s), data.law.score(process)(x, s)
        claim = claim + (1 + w) * np.sum(of_class**2, axis=1) - w * np.sum(of_all**2, axis=1)
        lean = leaned(data.law.bends(process, x, s), x, law, 0, w)
        average_out(trial, "Laplacian", lean, k, claim, side(x @ directions(case)[0]), chances(x, *law))


@identity(
    "guidance.guided_flow_log_density",
    judges="guidance.guided_flow_log_density",
    states=r"\log p(x_0) = \log p_1(x_1) + \int_0^1 \left[d f"
    r" - \tfrac12 g^2\,\nabla\cdot\tilde s(x_s, s)\right] ds \qquad \ne \log p_w(x_0)",
    source="Song et al. (2021), eq. 39, with the guided score",
    statistics=3,
    coincides="w = 0, which is p(x | y) but for the prior, and w = -1.",
)
class GuidedFlowLogDensity:
    """How far apart the flow carries two points that were infinitely near, and where to; coordinates that the label
    says nothing about are carried as without guidance. By chance, a guess between points that were carried from the
    prior and a Gaussian.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        (x, _), data, process, y = some_points(case), separable(case), one_process(case), case.T % 2
        z = np.array([-1.5, -0.4, 0.5, 1.7])
        line, own, prior = on_a_line(case), separable(case).given(0), process.prior(case.d)
        for w in (0.0, strength(case)):
            x[:, 0] = within(line, y, w, process, z)
            truth = log_flow(line, y, w, process, x[:, 0])
            if case.d > 1:
                (mean, var), (mean_1, var_1) = own.at(process, 0.0), own.at(process, 1.0)
                x_1 = mean_1[0] + np.sqrt(var_1[0] / var[0]) * (x - mean[0])
                there = log_normal(x_1[:, 1:], prior.mean[1:], prior.var[1:])
                truth = truth + there + np.sum(np.log(var_1[0] / var[0])[1:]) / 2
            found = claimed.guidance.guided_flow_log_density(
                process, data.claim(claimed, case), y, w, x, tolerance=1e-8
            )
            close_in_nats(evidence, f"{process.name}, class {y}, w = {w}", found, truth, tolerance=1e-6)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data, process, w, y = on_a_line(case), one_process(case), 0.5 + strength(case), 1
        n = trial.n // 4  # a solver's points are dear
        x_0 = within(data, y, w, process, trial.rng.standard_normal(n))
        pilot = within(data, y, w, process, np.linspace(-2.0, 2.0, 9))
        center, spread = pilot.mean(), 2 * pilot.var()
        real, x = toss(trial, x_0[:, None], center + np.sqrt(spread) * trial.rng.standard_normal((n, 1)))
        log_q = claimed.guidance.guided_flow_log_density(
            process,
            data.claim(claimed, case),
            y,
            w,
            x,
            tolerance=1e-4,  # of log q: beside the chance of 400,000 points it is nothing
        )
        guess(trial, "carried or normal", real, log_q, log_normal(x, center, spread), side(x[:, 0]))
