r"""Identities of the posterior, judged by the dense joint Gaussian of the chain and by walking it.

Nothing is conditioned by binning: a conditional normal law leaves a residual that is independent of all that was
conditioned on, whatever that was.
"""

import numpy as np

from refdiff.forward import walk
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, integrate, log_normal


def dense_posterior(case, least=1):
    """Return steps least..T with mean (., d) and variance (., 1) of x_{t-1} given x_t and x_0 at each of them."""
    mean, cov = dense_joint(case.beta, case.x_0)
    steps = np.arange(least, case.T + 1)
    found = [condition(mean, cov, t - 1, {t: case.x_t}) for t in steps]
    return steps, np.array([m for m, _ in found]), np.array([[v] for _, v in found])


def log_pair(case, t, x_prev, x_t):
    """Return log q(x_{t-1}, x_t | x_0), from the dense joint, and the square in its exponent."""
    mean, cov = dense_joint(case.beta, case.x_0)
    pair = [t - 1, t]
    cov, centred = cov[np.ix_(pair, pair)], np.array([x_prev, x_t]) - mean[pair]
    square = np.sum(centred * np.linalg.solve(cov, centred))
    return -0.5 * (case.d * np.log(np.linalg.det(2 * np.pi * cov)) + square), square


def regression(case):
    """Return how x_{t-1} depends on x_0 and x_t at case.t, and the variance that is left, from dense covariances."""
    start, cov = dense_joint(case.beta, 1.0)
    gain = cov[case.t, case.t - 1] / cov[case.t, case.t]
    of_x_0 = start[case.t - 1, 0] - gain * start[case.t, 0]
    return of_x_0, gain, cov[case.t - 1, case.t - 1] - gain * cov[case.t, case.t - 1]


def both(case, steps):
    """Return x_0 and x_t once for each of the steps."""
    return case.repeat(case.x_0, len(steps)), case.repeat(case.x_t, len(steps))


def both_ways(claimed, case, x_prev, x_t):
    """Return the log-density of the two steps as factorised backwards and forwards."""
    schedule, t, x_0 = case.schedule, case.t, np.broadcast_to(case.x_0, x_t.shape).copy()
    backwards = claimed.bayes.posterior(schedule, x_0, x_t, t), claimed.forward.marginal(schedule, x_0, t)
    forwards = claimed.forward.marginal(schedule, x_0, t - 1), claimed.forward.transition(schedule, x_prev, t)
    return [
        log_normal(x_prev, first.mean, first.var) + log_normal(x_t, second.mean, second.var)
        for first, second in (backwards, forwards)
    ]


@identity(
    "bayes.markov",
    judges="forward.transition",
    states=r"q(x_t \mid x_{t-1}, x_{t-2}, \ldots, x_0) = q(x_t \mid x_{t-1}, x_0) = q(x_t \mid x_{t-1})",
    source="Sohl-Dickstein et al. (2015), section 2.1",
    statistics=5,
    coincides="At t = 1 there is nothing more to know than x_0.",
)
class Markov:
    """Conditioning the dense joint on the whole past, x_0 included, must give what the step before gives alone; the
    residual of a walk's step is orthogonal to its whole past.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0, case.var_q)
        past = np.array(case.x_t) - 0.5 * np.arange(case.T)[:, None] * np.array(case.eps)
        truth = [condition(mean, cov, t, {s: past[s] for s in range(t)}) for t in range(1, case.T + 1)]
        q = claimed.forward.transition(case.schedule, past, np.arange(1, case.T + 1))
        evidence.close("E[x_t | x_{t-1}, ..., x_0]", q.mean, [m for m, _ in truth], at=range(1, case.T + 1))
        evidence.close("Var[x_t | x_{t-1}, ..., x_0]", q.var, [[v] * case.d for _, v in truth], at=range(1, case.T + 1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        q = claimed.forward.transition(case.schedule, x[case.t - 1], case.t)
        past = x[: case.t].sum(axis=0)
        trial.conditional("x_t given its past", x[case.t], q.mean, q.var[0], x_0=x[0], x_s=x[case.s], past=past)


@identity(
    "bayes.rule",
    judges=("bayes.posterior", "forward.transition", "forward.marginal"),
    states=r"q(x_{t-1} \mid x_t, x_0)\,q(x_t \mid x_0) = q(x_t \mid x_{t-1})\,q(x_{t-1} \mid x_0)"
    r" = q(x_{t-1}, x_t \mid x_0)",
    source="Sohl-Dickstein et al. (2015), appendix B; Luo (2022), eq. 71",
    statistics=2,
    coincides="Two sides may agree and both be wrong: each is held against the dense joint of the two steps. A mean"
    " log-density is second order in an error of mean or variance: by chance this is the bluntest check here.",
)
class Rule:
    """The joint density of two steps, factorised forwards and backwards, equals that of the dense joint Gaussian; under
    it the mean log-density is minus the entropy, and any other density has less (Gibbs' inequality).
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x = np.array([case.eps, case.x_t])
        truth, square = log_pair(case, case.t, *x)
        scale = case.d + square  # the terms of the sum, which may cancel
        for way, found in zip(("backwards", "forwards"), both_ways(claimed, case, *x)):
            evidence.close(f"log q(x_{{t-1}}, x_t | x_0) {way}", found, truth, scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        _, cov = dense_joint(case.beta, case.x_0)
        pair = [case.t - 1, case.t]
        entropy = 0.5 * case.d * np.log(np.linalg.det(2 * np.pi * np.e * cov[np.ix_(pair, pair)]))
        zero, half = np.zeros(2 * case.d), np.full(2 * case.d, 0.5)
        for way, found in zip(("backwards", "forwards"), both_ways(claimed, case, x[case.t - 1], x[case.t])):
            trial.quadratic(f"-E log q(x_{{t-1}}, x_t | x_0) {way}", -found, entropy, zero, half)


@identity(
    "bayes.posterior_mean",
    judges="bayes.posterior",
    states=r"\mathbb{E}[x_{t-1} \mid x_t, x_0] = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0"
    r" + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t",
    source="Ho, Jain & Abbeel (2020), eq. 7",
    statistics=3,
    coincides="At t = 1 it is x_0, which versions with a wrong factor on a term in 1 - alpha_bar_0 = 0 return as well.",
)
class PosteriorMean:
    """A conditional mean leaves a residual orthogonal to everything that it was conditioned on."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps, mean, _ = dense_posterior(case)
        q = claimed.bayes.posterior(case.schedule, *both(case, steps), steps)
        evidence.close("E[x_{t-1} | x_t, x_0]", q.mean, mean, at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        *_, var = regression(case)
        mean = claimed.bayes.posterior(case.schedule, x[0], x[case.t], case.t).mean
        trial.mean("E[x_{t-1} | x_t, x_0]", x[case.t - 1], mean, var)
        trial.mean("E[x_{t-1} x_0]", x[case.t - 1], mean, var, weight=x[0])
        trial.mean("E[x_{t-1} x_t]", x[case.t - 1], mean, var, weight=x[case.t])


@identity(
    "bayes.posterior_var",
    judges="bayes.posterior",
    states=r"\operatorname{Var}[x_{t-1} \mid x_t, x_0] = \tilde\beta_t"
    r" = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t, \qquad \tilde\beta_1 = 0",
    source="Ho, Jain & Abbeel (2020), eq. 7",
    statistics=1,
    coincides="beta_t and beta_tilde_t differ by 8e-7 of themselves at t = 1000 of linear-1000: nothing is proved"
    " there. A wrong variance at t = 1 shows at t = 1 only.",
)
class PosteriorVar:
    """The residual around the dense conditional mean has exactly the claimed variance."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps, _, var = dense_posterior(case)
        q = claimed.bayes.posterior(case.schedule, *both(case, steps), steps)
        evidence.close("Var[x_{t-1} | x_t, x_0]", q.var, np.tile(var, case.d), at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        of_x_0, of_x_t, _ = regression(case)
        var = claimed.bayes.posterior(case.schedule, x[0], x[case.t], case.t).var
        trial.var("Var[x_{t-1} | x_t, x_0]", x[case.t - 1], of_x_0 * x[0] + of_x_t * x[case.t], var[0])


@identity(
    "bayes.posterior_from_eps",
    judges="bayes.posterior_from_eps",
    states=r"\tilde\mu_t = \frac{1}{\sqrt{\alpha_t}}"
    r"\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    source="Ho, Jain & Abbeel (2020), eq. 10",
    statistics=4,
    coincides="Leaving out 1 / sqrt(alpha_t) costs a relative beta_t / 2: 5e-5 at t = 1 of linear-1000. At t = 1 the"
    " merged noise is that of the step.",
)
class PosteriorFromEps:
    """The merged noise of a walk, put in place of x_0, must give the same law as conditioning the dense joint."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0)
        steps, eps = np.arange(1, case.T + 1), case.repeat(case.eps, case.T)
        x_t = mean[1:] + np.sqrt(np.diag(cov)[1:, None]) * eps
        truth = [condition(mean, cov, t - 1, {t: x_t[t - 1]}) for t in steps]
        q = claimed.bayes.posterior_from_eps(case.schedule, eps, x_t, steps)
        evidence.close("E[x_{t-1} | x_t, eps]", q.mean, [m for m, _ in truth], at=steps)
        evidence.close("Var[x_{t-1} | x_t, eps]", q.var, [[v] * case.d for _, v in truth], at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        start, cov = dense_joint(case.beta, 1.0)
        eps = (x[case.t] - start[case.t] * x[0]) / np.sqrt(cov[case.t, case.t])
        q = claimed.bayes.posterior_from_eps(case.schedule, eps, x[case.t], case.t)
        trial.conditional("x_{t-1}", x[case.t - 1], q.mean, q.var[0], eps=eps, x_t=x[case.t])


@identity(
    "bayes.posterior_from_precisions",
    judges="bayes.posterior_from_precisions",
    states=r"\frac{1}{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}, \qquad"
    r" \frac{\tilde\mu_t}{\tilde\beta_t} = \frac{\sqrt{\alpha_t}}{\beta_t}\,x_t"
    r" + \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\,x_0",
    source="Luo (2022), eq. 71 to 84",
    statistics=4,
    coincides="At t = 1 it is not defined: the precision of x_0 given x_0 is infinite.",
)
class PosteriorFromPrecisions:
    """The dense joint is conditioned by covariances, which never meet a precision; so do the residuals of a walk."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps, mean, var = dense_posterior(case, least=2)
        q = claimed.bayes.posterior_from_precisions(case.schedule, *both(case, steps), steps)
        evidence.close("E[x_{t-1} | x_t, x_0]", q.mean, mean, scale=np.abs([case.x_0, case.x_t]).max(), at=steps)
        evidence.close("Var[x_{t-1} | x_t, x_0]", q.var, np.tile(var, case.d), at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        q = claimed.bayes.posterior_from_precisions(case.schedule, x[0], x[case.t], case.t)
        trial.conditional("x_{t-1}", x[case.t - 1], q.mean, q.var[0], x_0=x[0], x_t=x[case.t])


@identity(
    "bayes.quadratic_constant",
    judges="bayes.quadratic_constant",
    states=r"C(x_0, x_t) = \frac{\Vert x_t\Vert^2}{\beta_t}"
    r" + \frac{\bar\alpha_{t-1}\Vert x_0\Vert^2}{1 - \bar\alpha_{t-1}}"
    r" - \frac{\Vert x_t - \sqrt{\bar\alpha_t}\,x_0\Vert^2}{1 - \bar\alpha_t}"
    r" = \frac{\Vert\tilde\mu_t\Vert^2}{\tilde\beta_t}",
    source="Luo (2022), eq. 73 to 84",
    statistics=1,
    coincides="In the density it is absorbed by the normaliser: a wrong C never shows in mean or variance.",
)
class QuadraticConstant:
    """It must be the squared dense mean over the dense variance; under a walk from a fixed x_0 that is a noncentral
    chi-square variable, whose mean is known.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        steps, mean, var = dense_posterior(case, least=2)
        found = claimed.bayes.quadratic_constant(case.schedule, *both(case, steps), steps)
        beta, alpha_bar = np.array(case.beta)[1:], np.cumprod(1 - np.array(case.beta))[:-1]
        # two large terms, from which a third is taken away
        large = np.sum(np.square(case.x_t)) / beta + alpha_bar / (1 - alpha_bar) * np.sum(np.square(case.x_0))
        evidence.close("|mu|^2 / beta_tilde", found, np.sum(mean**2 / var, axis=-1), scale=large)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        center, spread, var = law_of_posterior_mean(case)
        found = claimed.bayes.quadratic_constant(case.schedule, x[0], x[case.t], case.t)
        expected = np.sum(center**2 + spread) / var
        linear, square = 2 * center * np.sqrt(spread) / var, np.full(case.d, spread / var)
        trial.quadratic("E |mu|^2 / beta_tilde", found, expected, linear, square)


def law_of_posterior_mean(case):
    """Return mean (d,) and variance of mu_tilde when only x_t is random, and beta_tilde, from dense covariances."""
    mean, cov = dense_joint(case.beta, case.x_0)
    spread = cov[case.t, case.t - 1] ** 2 / cov[case.t, case.t]
    return mean[case.t - 1], spread, cov[case.t - 1, case.t - 1] - spread


@identity(
    "bayes.log_c_1",
    judges="bayes.log_c_1",
    states=r"q(x_{t-1} \mid x_t, x_0)"
    r" = C_1 \exp\left(-\frac{\Vert x_{t-1} - \tilde\mu_t\Vert^2}{2\tilde\beta_t}\right), \qquad"
    r" C_1 = \left(\frac{1 - \bar\alpha_t}{2\pi\,\beta_t\,(1 - \bar\alpha_{t-1})}\right)^{d/2}",
    source="normalisation of Ho, Jain & Abbeel (2020), eq. 6",
    statistics=1,
    coincides="With d = 1 a forgotten power of d is not seen.",
)
class LogC1:
    """A normaliser is one over an integral: here by the trapezoid rule, coordinate by coordinate. It is also the height
    of the density, which fixes a Gaussian's variance: measured on a walk.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        steps, _, var = dense_posterior(case, least=2)
        reach = 12 * np.sqrt(var.max())
        area = integrate(lambda u: np.exp(-(u[:, None] ** 2) / (2 * var[:, 0])), -reach, reach)
        found = claimed.bayes.log_c_1(case.schedule, case.d, steps)
        evidence.close("-log of the integral", found, -case.d * np.log(area), scale=case.d)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        of_x_0, of_x_t, _ = regression(case)
        height = np.exp(claimed.bayes.log_c_1(case.schedule, case.d, case.t) / case.d)  # of one coordinate
        mean = of_x_0 * x[0] + of_x_t * x[case.t]
        trial.var("1 / (2 pi height^2)", x[case.t - 1], mean, 1 / (2 * np.pi * height**2))


@identity(
    "bayes.log_c_2",
    judges="bayes.log_c_2",
    states=r"q(x_{t-1} \mid x_t, x_0) = C_2 \exp\left(-\tfrac12\left[\frac{\Vert x_{t-1}\Vert^2}{\tilde\beta_t}"
    r" - 2\,\frac{\tilde\mu_t^\top x_{t-1}}{\tilde\beta_t}\right]\right), \qquad"
    r" C_2 = C_1 \exp\left(-\frac{\Vert\tilde\mu_t\Vert^2}{2\tilde\beta_t}\right)",
    source="normalisation of Ho, Jain & Abbeel (2020), eq. 6, the square expanded",
    statistics=1,
    coincides="Where mu_tilde = 0 it is C_1.",
)
class LogC2:
    """At x_{t-1} = 0 the exponent vanishes, so C_2 is the density there: that of the two steps jointly over that of the
    later one, both dense. By chance, its logarithm on a walk is a quadratic form in normals.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0)
        steps, zero = np.arange(2, case.T + 1), np.zeros(case.d)
        truth = [log_pair(case, t, zero, case.x_t)[0] - log_normal(case.x_t, mean[t], cov[t, t]) for t in steps]
        found = claimed.bayes.log_c_2(case.schedule, *both(case, steps), steps)
        scale = 10 * case.d + np.abs(truth)  # the joint and the marginal cancel in part
        evidence.close("log q(x_{t-1} = 0 | x_t, x_0)", found, truth, scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        center, spread, var = law_of_posterior_mean(case)
        found = claimed.bayes.log_c_2(case.schedule, x[0], x[case.t], case.t)
        expected = -0.5 * case.d * np.log(2 * np.pi * var) - np.sum(center**2 + spread) / (2 * var)
        linear, square = -center * np.sqrt(spread) / var, np.full(case.d, -spread / (2 * var))
        trial.quadratic("E log q(x_{t-1} = 0 | x_t, x_0)", found, expected, linear, square)


@identity(
    "bayes.smoothing",
    judges="bayes.smoothing",
    states=r"q(x_t \mid x_{t-1}, x_{t+1}) = \mathcal{N}\left(v\left(\frac{\sqrt{\alpha_t}\,x_{t-1}}{\beta_t}"
    r" + \frac{\sqrt{\alpha_{t+1}}\,x_{t+1}}{\beta_{t+1}}\right),\; v I\right), \qquad"
    r" \frac1v = \frac{1}{\beta_t} + \frac{\alpha_{t+1}}{\beta_{t+1}}",
    source="Bayes' rule on two forward steps; compare Luo (2022), section on variational diffusion models",
    statistics=5,
    coincides="As beta_{t+1} goes to 1 the next step says nothing, and q(x_t | x_{t-1}) is right.",
)
class Smoothing:
    """The dense joint, conditioned on both neighbours; on a walk the residual is orthogonal to them and to x_0."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0, case.var_q)
        steps = np.arange(1, case.T)
        truth = [condition(mean, cov, t, {t - 1: case.x_t, t + 1: case.x_0}) for t in steps]
        x_next, x_prev = both(case, steps)
        q = claimed.bayes.smoothing(case.schedule, x_prev, x_next, steps)
        scale = np.abs([case.x_t, case.x_0]).max()  # the mean lies between the two, perhaps at zero
        evidence.close("E[x_t | x_{t-1}, x_{t+1}]", q.mean, [m for m, _ in truth], scale=scale, at=steps)
        evidence.close("Var[x_t | x_{t-1}, x_{t+1}]", q.var, [[v] * case.d for _, v in truth], at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        x_prev, x_t, x_next = x[case.t - 2 : case.t + 1]
        q = claimed.bayes.smoothing(case.schedule, x_prev, x_next, case.t - 1)
        trial.conditional("x_t given its neighbours", x_t, q.mean, q.var[0], x_prev=x_prev, x_next=x_next, x_0=x[0])
