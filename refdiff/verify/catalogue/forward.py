r"""Identities of the forward process, judged by the dense joint Gaussian of the chain and by walking it.

The walk is the definition, so it is judged from the outside: by what x_0 adds to it, by what its noise may depend on,
and by the law of each of its steps given all that came before.
"""

import numpy as np

from refdiff.forward import walk
from refdiff.verify.evidence import stream
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, gauss_hermite, marginal, path_weights


def side_by_side(x):
    """Return steps of shape (k, n, d) as the columns of one array (n, k d), to be judged at once."""
    return np.concatenate(list(x), axis=1)


@identity(
    "forward.walk",
    judges="forward.walk",
    states=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon_t, \qquad"
    r" \epsilon_t \sim \mathcal{N}(0, I) \text{ independent of } x_0, \ldots, x_{t-1}",
    source="Ho, Jain & Abbeel (2020), eq. 2",
    statistics=6,
    coincides="Walks that jump from x_0 to each x_t afresh have the right marginals: only pairs of steps tell.",
)
class Walk:
    """The noise of a step, divided by what it should be scaled with, depends on the stream of random numbers alone:
    not on x_0 and not on the betas. By chance, each step is regressed on x_0, the step before and the whole past.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        def run(schedule, x_0):
            return claimed.forward.walk(schedule, x_0.copy(), stream("walk", case))

        def noise(x, beta):
            beta = np.array(beta)[:, None, None]
            return (x[1:] - np.sqrt(1 - beta) * x[:-1]) / np.sqrt(beta)

        x_0 = np.array([case.x_0, case.x_t])
        start, _ = path_weights(case.beta)
        x, from_zero = run(case.schedule, x_0), run(case.schedule, 0 * x_0)
        evidence.close("where the walk starts", x[0], x_0)
        evidence.close("what x_0 adds to x_t", x - from_zero, start[:, None, None] * x_0)
        half = [beta / 2 for beta in case.beta]
        gentle = run(case.schedule.from_betas(half), x_0)
        evidence.close("the noise under other betas", noise(gentle, half), noise(x, case.beta))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = case.spread_out(trial.n, trial.rng)
        x = claimed.forward.walk(case.schedule, x_0.copy(), trial.rng)
        x = np.concatenate([[x_0], x[1:]])  # from where it was asked to start
        beta = np.repeat(case.beta, case.d)
        before, after = side_by_side(x[:-1]), side_by_side(x[1:])
        mean = np.sqrt(1 - beta) * before
        trial.conditional(
            "x_t given its past",
            after,
            mean,
            beta,
            x_0=np.tile(x_0, case.T),
            x_prev=before,
            past=side_by_side(np.cumsum(x[:-1], axis=0)),
            other=np.roll(after - mean, 1, axis=1),  # the noise of another coordinate or step
        )


@identity(
    "forward.walk_moments",
    judges="forward.walk_moments",
    states=r"\mathbb{E}\,\frac1n \sum_i x_t^{(i)} = \sqrt{\bar\alpha_t}\,x_0, \qquad"
    r" \mathbb{E}\,\frac{1}{n - 1} \sum_i \left(x_t^{(i)} - \bar x_t\right)^2 = 1 - \bar\alpha_t,"
    r" \qquad n \text{ chains from } x_0",
    source="from Ho, Jain & Abbeel (2020), eq. 4",
    statistics=6,
    coincides="Of many chains it makes no difference whether the variance is divided by n or n - 1: of two it does.",
)
class WalkMoments:
    """x_0 moves the mean by the product of the factors and the variance not at all, and the noise of the mean depends
    on the stream of random numbers alone. By chance: two chains from each of many points, and many chains from one.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        def run(schedule, x_0, n):
            mean, var = claimed.forward.walk_moments(schedule, x_0.copy(), n, stream("walk_moments", case))
            return np.asarray(mean), np.asarray(var)

        def noise(mean, beta):
            beta = np.array(beta)[:, None, None]
            return (mean[1:] - np.sqrt(1 - beta) * mean[:-1]) / np.sqrt(beta)

        x_0, steps = np.array([case.x_0, case.x_t]), range(case.T + 1)
        start, _ = path_weights(case.beta)
        half = [beta / 2 for beta in case.beta]
        for n in (2, 5, 75):  # of which several share a sum, and some are left over
            (mean, var), (of_noise, from_zero) = run(case.schedule, x_0, n), run(case.schedule, 0 * x_0, n)
            gentle, gentle_var = run(case.schedule.from_betas(half), x_0, n)
            evidence.close(f"where {n} chains start", mean[0], x_0)
            evidence.close(f"what x_0 adds to the mean of {n} chains", mean - of_noise, start[:, None, None] * x_0)
            evidence.close(
                f"the mean noise of {n} chains under other betas", noise(gentle, half), noise(mean, case.beta)
            )
            evidence.close(f"variance of {n} chains from elsewhere", var, from_zero, at=steps)
            evidence.close(f"variance of {n} chains at t = 0", var[0], 0 * x_0)
            evidence.close(f"variance of {n} first steps over beta", gentle_var[1] / half[0], var[1] / case.beta[0])
            evidence.true(f"{n} chains differ", (var[1:] > 0).all())
        evidence.refuses("one chain has no variance", run, case.schedule, x_0, 1)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, n = case.t, trial.n
        signal, v = marginal(case.beta, t)
        x_0 = case.spread_out(n // 2, trial.rng)
        mean, var = claimed.forward.walk_moments(case.schedule, x_0.copy(), 2, trial.rng)
        trial.conditional("the mean of two", mean[t], signal * x_0, v / 2, x_0=x_0)
        # half the square of the difference of two is the square of one normal of their variance
        trial.var("the variance of two", np.sqrt(np.maximum(var[t], 0.0)), 0.0, v)
        x_0 = np.array(case.x_0)
        mean, var = claimed.forward.walk_moments(case.schedule, x_0.copy(), n, trial.rng)
        trial.mean("the mean of many", mean[[t]], signal * x_0, v / n)
        trial.quadratic("the variance of many", var[t], v, np.zeros(n - 1), np.full(n - 1, v / (n - 1)))


@identity(
    "forward.transition",
    judges="forward.transition",
    states=r"q(x_t \mid x_{t-1}) = \mathcal{N}\left(\sqrt{\alpha_t}\,x_{t-1},\; \beta_t I\right)",
    source="Ho, Jain & Abbeel (2020), eq. 2",
    statistics=3,
    coincides="Where two betas in a row are equal, a variance with the index of the step before is right.",
)
class Transition:
    """Given the step before, each step of the dense joint has this mean and variance; so have those of a walk."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0, case.var_q)
        steps = np.arange(1, case.T + 1)
        truth = [condition(mean, cov, t, {t - 1: case.x_t}) for t in steps]
        q = claimed.forward.transition(case.schedule, case.repeat(case.x_t, case.T), steps)
        evidence.close("E[x_t | x_{t-1}]", q.mean, [m for m, _ in truth], at=steps)
        evidence.close("Var[x_t | x_{t-1}]", q.var, [[v] * case.d for _, v in truth], at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        q = claimed.forward.transition(case.schedule, x[case.t - 1], case.t)
        trial.conditional("x_t given x_{t-1}", x[case.t], q.mean, q.var[0], x_prev=x[case.t - 1])


@identity(
    "forward.step_size",
    judges="forward.transition",
    states=r"\mathbb{E}\left[\Vert x_t - x_{t-1}\Vert^2 \mid x_{t-1}\right]"
    r" = \left(1 - \sqrt{\alpha_t}\right)^2 \Vert x_{t-1}\Vert^2 + d\,\beta_t,"
    r" \qquad \text{which grows with } \beta_t",
    source="from Ho, Jain & Abbeel (2020), eq. 2",
    statistics=1,
    coincides="Small steps are d beta_t long, squared, whatever is thought of the mean: its share is of order beta^2.",
)
class StepSize:
    """The definition, with its noise integrated; and the steps of a walk, whose lengths are quadratic in its noises."""

    @staticmethod
    def squared(claimed, case, x_prev, t):
        """Return the expected square of the step from x_prev, by mean and variance as claimed."""
        q = claimed.forward.transition(case.schedule, x_prev, t)
        return np.sum((q.mean - x_prev) ** 2 + q.var, axis=-1)

    @staticmethod
    def exact(claimed, case, evidence):
        x = np.array(case.x_t)

        def truth(beta):
            return gauss_hermite(lambda z: np.sum((np.sqrt(1 - beta) * x + np.sqrt(beta) * z - x) ** 2), 0.0, 1.0)

        found = StepSize.squared(claimed, case, case.repeat(x, case.T), np.arange(1, case.T + 1))
        evidence.close("E |x_t - x_{t-1}|^2", found, [truth(beta) for beta in case.beta], at=range(1, case.T + 1))
        evidence.true("it grows with beta_t", (np.diff(found[np.argsort(case.beta)]) >= 0).all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0, (start, noise) = case.t, np.array(case.x_0), path_weights(case.beta)
        x = walk(case.schedule, case.repeat(x_0, trial.n), trial.rng)
        mean, var = (start[t] - start[t - 1]) * x_0, np.sum((noise[t] - noise[t - 1]) ** 2)
        signal, var_prev = marginal(case.beta, t - 1)
        claim = gauss_hermite(lambda x_prev: StepSize.squared(claimed, case, x_prev, t), signal * x_0, var_prev)
        squares = np.sum((x[t] - x[t - 1]) ** 2, axis=-1)
        trial.quadratic("E |x_t - x_{t-1}|^2", squares, claim, 2 * mean * np.sqrt(var), np.full(case.d, var))


@identity(
    "forward.jump",
    judges="forward.jump",
    states=r"q(x_t \mid x_s) = \mathcal{N}\left(\sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,x_s,\;"
    r" \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) I\right), \qquad s < t",
    source="Kingma et al. (2021), appendix A",
    statistics=4,
    coincides="With s = t - 1 it is the transition, with s = 0 the marginal: wrong ratios may be right at one of them.",
)
class Jump:
    """Given any earlier step, a step of the dense joint has this mean and variance, and x_0 adds nothing."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0, case.var_q)
        s, t = np.triu_indices(case.T + 1, k=1)  # every pair 0 <= s < t <= T
        truth = [condition(mean, cov, b, {a: case.x_t}) for a, b in zip(s, t)]
        q = claimed.forward.jump(case.schedule, case.repeat(case.x_t, len(s)), s, t)
        evidence.close("E[x_t | x_s]", q.mean, [m for m, _ in truth], at=t)
        evidence.close("Var[x_t | x_s]", q.var, [[v] * case.d for _, v in truth], at=t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        s, t = np.array([case.s, 0]), np.array([case.t, case.T])  # between two steps, and across the whole chain
        q = claimed.forward.jump(case.schedule, x[s], np.tile(s[:, None], trial.n), np.tile(t[:, None], trial.n))
        x_s, x_t, mean = side_by_side(x[s]), side_by_side(x[t]), side_by_side(q.mean)
        trial.conditional("x_t given x_s", x_t, mean, q.var[:, 0].ravel(), x_s=x_s, x_0=side_by_side(x[[0, 0]]))


@identity(
    "forward.marginal",
    judges="forward.marginal",
    states=r"q(x_t \mid x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_t}\,x_0,\; (1 - \bar\alpha_t) I\right)",
    source="Ho, Jain & Abbeel (2020), eq. 4",
    statistics=3,
    coincides="At t = 1 the marginal is the transition, and formulas that confuse the two agree.",
)
class Marginal:
    """The weights with which x_0 and each step's noise enter x_t, by running the recursion; and walks, at two steps at
    once, so that a step per point is asked for.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = dense_joint(case.beta, case.x_0)
        steps = np.arange(1, case.T + 1)
        q = claimed.forward.marginal(case.schedule, case.repeat(case.x_0, case.T), steps)
        evidence.close("E[x_t | x_0]", q.mean, mean[1:], at=steps)
        evidence.close("Var[x_t | x_0]", q.var, np.tile(np.diag(cov)[1:, None], case.d), at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        steps = np.array([case.s, case.t])
        q = claimed.forward.marginal(case.schedule, x[[0, 0]], np.tile(steps[:, None], trial.n))
        mean, var = side_by_side(q.mean), q.var[:, 0].ravel()
        trial.conditional("x_t given x_0", side_by_side(x[steps]), mean, var, x_0=side_by_side(x[[0, 0]]))


@identity(
    "forward.variance",
    judges="forward.marginal",
    states=r"\operatorname{Var}[x_t] = \bar\alpha_t \operatorname{Var}[x_0] + 1 - \bar\alpha_t, \qquad"
    r" \operatorname{Var}[x_t] = 1 \iff \operatorname{Var}[x_0] = 1 \text{ (for } \bar\alpha_t > 0\text{)}",
    source="Song et al. (2021), section 3.4 and appendix B, which name the process after it",
    statistics=2,
    coincides="From Var[x_0] = 1 on it stays 1, and nothing is proved of how it gets there.",
)
class Variance:
    """The law of total variance: the mean's share grows with that of x_0, and what the claim adds is the rest.

    The truth is the variance that runs down the dense joint; by chance, that of walks from Gaussian data.
    """

    @staticmethod
    def total(claimed, case, var_0, t):
        """Return Var[x_t] by mean and variance as claimed, for data of variance var_0: the mean is linear in x_0."""
        at_0, at_1 = (claimed.forward.marginal(case.schedule, case.repeat([x_0], t.size), t) for x_0 in (0.0, 1.0))
        return (at_1.mean - at_0.mean)[:, 0] ** 2 * var_0 + at_0.var[:, 0]

    @staticmethod
    def exact(claimed, case, evidence):
        steps = np.arange(1, case.T + 1)
        for var_0 in (case.var_q, case.var_p, 0.0):
            _, cov = dense_joint(case.beta, 0.0, var_0)
            evidence.close(
                f"Var x_t, Var x_0 = {var_0}", Variance.total(claimed, case, var_0, steps), np.diag(cov)[1:], at=steps
            )
        evidence.close("Var x_t, Var x_0 = 1", Variance.total(claimed, case, 1.0, steps), np.ones(case.T), at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        start, _ = path_weights(case.beta)
        for var_0 in (case.var_q, 1.0):
            x_0 = case.repeat(case.x_0, trial.n) + np.sqrt(var_0) * trial.rng.standard_normal((trial.n, case.d))
            x_t = walk(case.schedule, x_0, trial.rng)[case.t]
            (var,) = Variance.total(claimed, case, var_0, np.array([case.t]))
            trial.var(f"Var x_t, Var x_0 = {var_0}", x_t, start[case.t] * np.array(case.x_0), var)


@identity(
    "forward.diffuse",
    judges="forward.diffuse",
    states=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon, \qquad \epsilon ="
    r" \frac{1}{\sqrt{1 - \bar\alpha_t}} \sum_{s \le t} \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}\,\beta_s}\,\epsilon_s",
    source="Ho, Jain & Abbeel (2020), section 3.2",
    statistics=4,
    coincides="The law of x_t does not see the sign of the noise; a path does.",
)
class Diffuse:
    """Fed with the merged noise of a path, it must land where the path went: the law alone would let a sign pass.
    By chance, fresh noise must give the marginal, and the walk's own noise must predict the walk's own x_{t-1}.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        start, weights = path_weights(case.beta)
        noise = stream("diffuse", case).standard_normal((case.T, case.d))
        x = np.outer(start, case.x_0) + weights @ noise
        eps = (weights @ noise)[1:] / np.linalg.norm(weights[1:], axis=1, keepdims=True)
        steps = np.arange(1, case.T + 1)
        found = claimed.forward.diffuse(case.schedule, case.repeat(case.x_0, case.T), eps, steps)
        evidence.close("x_t of a path", found, x[1:], at=range(1, case.T + 1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x = case.t, walk(case.schedule, case.spread_out(trial.n, trial.rng), trial.rng)
        start, _ = path_weights(case.beta)
        _, cov = dense_joint(case.beta, case.x_0)
        merged = (x[t] - start[t] * x[0]) / np.sqrt(cov[t, t])
        eps = np.stack([trial.rng.standard_normal(merged.shape), merged])
        drawn, retraced = claimed.forward.diffuse(case.schedule, x[[0, 0]], eps, np.full((2, trial.n), t))
        trial.conditional("x_t given x_0", drawn, start[t] * x[0], cov[t, t], x_0=x[0])
        gain = cov[t, t - 1] / cov[t, t]
        mean = start[t - 1] * x[0] + gain * (retraced - start[t] * x[0])
        trial.mean("x_{t-1} times eps", x[t - 1], mean, cov[t - 1, t - 1] - gain * cov[t, t - 1], weight=merged)


@identity(
    "forward.covariance",
    judges="forward.covariance",
    states=r"\operatorname{Cov}(x_s, x_t \mid x_0) = \sqrt{\frac{\bar\alpha_t}{\bar\alpha_s}}\,(1 - \bar\alpha_s),"
    r" \qquad s \le t",
    source="from q(x_t | x_s), Kingma et al. (2021), appendix A",
    statistics=2,
    coincides="At s = t it is the variance of the marginal, which wrong paths may have too.",
)
class Covariance:
    """Two steps are made of the same noises: the inner products of their weights are their covariance. By chance, the
    mean of the product of two steps of a walk, a quadratic form in normals.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        _, cov = dense_joint(case.beta, case.x_0)
        steps = np.arange(1, case.T + 1)
        evidence.close("all pairs", claimed.forward.covariance(case.schedule, steps[:, None], steps), cov[1:, 1:])
        evidence.close("one pair", claimed.forward.covariance(case.schedule, case.t, case.s), cov[case.s, case.t])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, t = case.s, case.t
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        mean, cov = dense_joint(case.beta, case.x_0)
        product = (x[s] - mean[s]) * (x[t] - mean[t])
        # a product of normals with covariance c and variances a, b has the eigenvalues (c +- sqrt(a b)) / 2
        square = (cov[s, t] + np.sqrt(cov[s, s] * cov[t, t]) * np.array([1, -1])) / 2
        claim = claimed.forward.covariance(case.schedule, s, t)
        trial.quadratic("Cov(x_s, x_t)", product, claim, np.zeros(2), square)
        trial.var("Cov(x_t, x_t)", x[t], mean[t], claimed.forward.covariance(case.schedule, t, t))
