r"""Identities of the exact likelihood and of the bound beside it: linear denoisers, and mixture data.

With a linear denoiser x_0..x_T are jointly Gaussian under the model, and log w is a quadratic form in the noise of the
forward chain: dense covariances and eigenvalues say all that the closed forms say, and give sampled log-ratios a law.
With mixture data quadrature over one coordinate does the same.
"""

import math
from dataclasses import replace

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import Law, close_in_nats, model_mean, model_var, posterior
from refdiff.verify.catalogue.mixture import given_component, guess, side, toss
from refdiff.verify.identity import identity
from refdiff.verify.oracles import (
    condition,
    dense_joint,
    gauss_hermite,
    integrate,
    log_normal,
    marginal,
    mean_log_ratio,
    path_weights,
)

NEAR = 0.5  # an x_0 (one coordinate) near the middle of the model, where no weight is much above their mean


class Model:
    r"""A model with a linear denoiser: the arguments that describe it, and what they mean by the definition.

    x_{t-1} = a_t x_t + b_t + sqrt(var_t) z for t = T, ..., 1, from x_T ~ N(0, I); all coordinates alike.
    """

    def __init__(self, case, slope, intercept, variance, decoder_var):
        self.case, self.denoiser = case, (slope, intercept)
        self.choices = {"variance": variance, "decoder_var": decoder_var}
        slopes, intercepts = (np.broadcast_to(one, case.T + 1) for one in self.denoiser)
        self.a, self.b, self.var = np.zeros((3, case.T + 1))
        for t in range(1, case.T + 1):
            self.b[t], at_one = (model_mean(case, t, x_t, slopes[t] * x_t + intercepts[t]) for x_t in (0.0, 1.0))
            self.a[t] = at_one - self.b[t]
            self.var[t] = var_of(case, t, variance if t > 1 else decoder_var)

    def claim(self, function, *arguments):
        """Return what a function judged says of this model."""
        return function(self.case.schedule, *self.denoiser, *arguments, **self.choices)

    def run(self, n, rng):
        """Return n chains of the model, (T + 1, n, d), by its definition."""
        x = rng.standard_normal((self.case.T + 1, n, self.case.d))
        for t in range(self.case.T, 0, -1):
            x[t - 1] = self.a[t] * x[t] + self.b[t] + math.sqrt(self.var[t]) * x[t - 1]
        return x

    def joint(self):
        """Return mean (T + 1,) and covariance (T + 1, T + 1) of x_0..x_T, by running the recursion on rows."""
        T = self.case.T
        mean, rows = np.zeros(T + 1), np.zeros((T + 1, T + 1))
        rows[T, T] = 1.0
        for t in range(T, 0, -1):
            mean[t - 1], rows[t - 1] = self.a[t] * mean[t] + self.b[t], self.a[t] * rows[t]
            rows[t - 1, t - 1] = math.sqrt(self.var[t])
        return mean, rows @ rows.T

    def log_density(self, x_0):
        """Return log p(x_0) by the joint law."""
        mean, cov = self.joint()
        return log_normal(x_0, mean[0], cov[0, 0])

    def path_kl(self, x_0):
        """Return KL(q(x_{1:T} | x_0) || p(x_{1:T} | x_0)) at one x_0 (d,), from dense covariances."""
        (mean, cov), (start, noise) = self.joint(), path_weights(self.case.beta)
        q_mean, q_cov = np.outer(x_0, start[1:]), noise[1:] @ noise[1:].T
        p_mean = mean[1:] + np.outer(x_0 - mean[0], cov[0, 1:] / cov[0, 0])
        p_cov = cov[1:, 1:] - np.outer(cov[1:, 0], cov[0, 1:]) / cov[0, 0]
        apart = p_mean - q_mean
        spread = np.trace(np.linalg.solve(p_cov, q_cov)) - len(q_cov)
        spread += np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
        return (len(x_0) * spread + np.sum(apart * np.linalg.solve(p_cov, apart.T).T)) / 2

    def back(self, t):
        """Return p(x_{t-1} | x_t), as a factor of a :class:`LogRatio`."""
        return {t - 1: 1.0, t: -self.a[t]}, -self.b[t], self.var[t]

    def reconstruction(self):
        """Return -log p(x_0 | x_1)."""
        return LogRatio(self.case, [], [self.back(1)])

    def denoising(self, t):
        """Return log q(x_{t-1} | x_t, x_0) / p(x_{t-1} | x_t), whose mean is L_{t-1}."""
        mean, var = posterior(self.case, t, np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        known = {t - 1: 1.0, t: -mean[1], 0: -mean[0]}, 0.0, var
        return LogRatio(self.case, [known], [self.back(t)])

    def consistency(self, t):
        """Return log q(x_t | x_{t-1}) / p(x_t | x_{t+1}), whose mean is C_t, or for t = T the prior part."""
        return LogRatio(self.case, [step(self.case, t)], [self.back(t + 1) if t < self.case.T else prior(self.case)])

    def log_weight(self):
        """Return log w = log p(x_{0:T}) / q(x_{1:T} | x_0), the logarithm of what has the mean p(x_0)."""
        steps = range(1, self.case.T + 1)
        return LogRatio(self.case, [*map(self.back, steps), prior(self.case)], [step(self.case, t) for t in steps])

    def work(self):
        """Return W = -log w, whose mean is the bound."""
        log_w = self.log_weight()
        return LogRatio(self.case, log_w.below, log_w.above)


def var_of(case, t, choice):
    """Return sigma_t^2 of a choice that has a name, or is a number, or an array over t."""
    if isinstance(choice, str):
        return model_var(case, t, choice)
    return choice[t] if np.ndim(choice) else choice


def step(case, t):
    """Return q(x_t | x_{t-1}), as a factor of a :class:`LogRatio`."""
    return {t: 1.0, t - 1: -math.sqrt(1 - case.beta[t - 1])}, 0.0, case.beta[t - 1]


def prior(case):
    """Return p(x_T), as a factor of a :class:`LogRatio`."""
    return {case.T: 1.0}, 0.0, 1.0


class LogRatio:
    """The logarithm of some conditional normals over others, along the forward chain: its law, and its samples.

    A factor (weights, shift, var) is the density of sum_t weights[t] x_t + shift, normal around 0.
    """

    def __init__(self, case, above, below):
        self.case, self.above, self.below = case, above, below
        self.factors = [(1, *one) for one in above] + [(-1, *one) for one in below]

    def law(self, x_0):
        """Return its Law over chains from x_0 (d,)."""
        law = Law(self.case, x_0)
        for factor in self.factors:
            law.add(*factor)
        return law

    def means(self, points):
        """Return its mean for each x_0 of points (n, d)."""
        return np.array([self.law(x_0).mean for x_0 in points])

    def on(self, x):
        """Return its values (n,) on chains x (T + 1, n, d)."""
        return sum(
            sign * log_normal(sum(w * x[t] for t, w in weights.items()) + shift, 0.0, var)
            for sign, weights, shift, var in self.factors
        )

    def judge(self, trial, what, x, claim, shift=0.0):
        """Judge a claim about its mean plus `shift` by forward chains x from one x_0: a quadratic form in normals."""
        trial.quadratic(what, self.on(x) + shift, claim, *self.law(x[0, 0]).axes)


def models(case):
    """Return models with numbers and with arrays for their arguments, and with both variances and one between."""
    waves = np.sin(1.0 + np.arange(case.T + 1))  # entry 0 is to be left alone
    slope, intercept = case.slope * (1 + waves / 2), case.intercept * (1 - waves)
    beta = np.array([9.0, *case.beta])
    return (
        Model(case, case.slope, case.intercept, "beta", "beta_1"),
        Model(case, slope, intercept, "posterior", "beta_tilde_2"),
        Model(case, slope, case.intercept, beta * (1 + waves / 2), 0.8 * case.var_q),
    )


def exact_reverse(case, of=1.0, intercept=0.0):
    """Return the exact reverse process of data N(0, I), its variances times `of`, its denoiser shifted.

    With `of` < 1 its path, given x_0, is narrower than that of q in every direction: w is bounded then.
    """
    std = [math.sqrt(marginal(case.beta, t)[1]) for t in range(case.T + 1)]
    return Model(case, np.array(std), intercept, of * np.array([0.0, *case.beta]), of * case.beta[0])


def wide(case):
    """Return a model that does not look at x_t, a_t = 0, its variances 4 beta_t: E w^2 is infinite.

    Along x_1 alone 2 Lambda_p - Lambda_q is 1 / (2 beta_2) - 1 / beta_1 - (1 - beta_2) / beta_2, which is below 0.
    """
    beta = np.array([1.0, *case.beta])
    slope = np.array([math.sqrt(marginal(case.beta, t)[1]) for t in range(case.T + 1)]) / beta
    return Model(case, slope, case.intercept, 4 * beta, 4 * beta[1])


def log_moment(law, k):
    """Return log E exp(k X) for X of a Law, inf where it does not exist, and what is left to that border, at most 1."""
    g, h = law.axes
    left = 1 - 2 * k * h
    if not (left > 0).all():
        return math.inf, 1.0
    return k * law.constant.sum() + np.sum((k * g) ** 2 / left - np.log(left)) / 2, min(1.0, left.min())


def weights_of(case):
    """Return a model of bounded weights, the Law of log w at x_0 = NEAR, and the largest log w: each h is below 0."""
    model = exact_reverse(case, 0.5, case.intercept / 4)
    law = model.log_weight().law(np.array([NEAR]))
    g, h = law.axes
    return model, law, law.constant.sum() - np.sum(g**2 / (4 * h))


def points_of(case):
    """Return two points x_0, shape (2, d)."""
    return np.array([case.x_0, case.eps])


@identity(
    "likelihood.linear_denoiser",
    judges="likelihood.linear_denoiser",
    states=r"\hat\epsilon(x_t, t) = s_t\,x_t + i_t",
    source="the convention of this library",
    statistics=3,
    coincides="With one slope for all steps an index that is off by one does not show.",
)
class LinearDenoiser:
    """Two values of a line give its slope and intercept; by chance, x_t of a chain turns into a normal variable."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps = np.arange(1, case.T + 1)
        zero, one = (np.full((case.T, case.d), value) for value in (0.0, 1.0))
        for model in models(case):
            denoiser = claimed.likelihood.linear_denoiser(case.schedule, *model.denoiser)
            slopes, intercepts = (np.broadcast_to(part, case.T + 1)[steps, None] + zero for part in model.denoiser)
            evidence.close("intercepts", denoiser(zero, steps), intercepts)
            evidence.close("slopes", denoiser(one, steps) - denoiser(zero, steps), slopes)
            at_t = slopes[case.t - 1] * case.x_t + intercepts[case.t - 1]
            evidence.close("one point at one step", denoiser(np.array(case.x_t), case.t), at_t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        slopes, intercepts = models(case)[1].denoiser
        denoiser = claimed.likelihood.linear_denoiser(case.schedule, slopes, intercepts)
        x, t = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng), case.t
        signal, var = marginal(case.beta, t)
        mean = slopes[t] * signal * np.array(case.x_0) + intercepts[t]
        trial.mean("eps_hat: mean", denoiser(x[t], t), mean, slopes[t] ** 2 * var)
        trial.var("eps_hat: variance", denoiser(x[t], t), mean, slopes[t] ** 2 * var)
        steps = 1 + np.arange(trial.n) % case.T
        signal, var = np.array([marginal(case.beta, t) for t in range(case.T + 1)])[steps].T
        mean = (slopes[steps] * signal)[:, None] * case.x_0 + intercepts[steps, None]
        eps_hat = denoiser(x[steps, np.arange(trial.n)], steps)
        trial.mean("eps_hat, each point at its own step", eps_hat, mean, slopes[steps] ** 2 * var)


@identity(
    "likelihood.linear_marginal",
    judges="likelihood.linear_marginal",
    states=r"p(x_t) = \mathcal{N}(m_t, v_t I), \qquad m_T = 0,\; v_T = 1, \qquad"
    r" m_{t-1} = a_t m_t + b_t, \qquad v_{t-1} = a_t^2 v_t + \sigma_t^2",
    source="the law of total variance along Ho, Jain & Abbeel (2020), eq. 1",
    statistics=6,
    coincides="With the exact reverse process of data N(0, I) each v_t is 1, and a slip in a_t may keep it. The sampler"
    " leaves out the noise of its last step, so what it returns has v_0 - sigma_1^2, 1e-4 less for linear-1000.",
)
class LinearMarginal:
    """The model's own recursion, on the rows of a matrix and on chains that start from noise."""

    @staticmethod
    def exact(claimed, case, evidence):
        for model in models(case):
            mean, cov = model.joint()
            for t in range(case.T + 1):
                p = model.claim(claimed.likelihood.linear_marginal, case.d, t)
                evidence.close(f"m_{t}", p.mean, np.full(case.d, mean[t]), scale=1.0)
                evidence.close(f"v_{t}", p.var, np.full(case.d, cov[t, t]))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for name, model, steps in zip(("one model", "another"), models(case), ((0, case.s), (0,))):
            x = model.run(trial.n, trial.rng)
            for t in steps:
                p = model.claim(claimed.likelihood.linear_marginal, case.d, t)
                trial.mean(f"x_{t} of {name}: mean", x[t], p.mean, p.var)
                trial.var(f"x_{t} of {name}: variance", x[t], p.mean, p.var)


@identity(
    "likelihood.linear_log_density",
    judges="likelihood.linear_log_density",
    states=r"\log p(x_0) = \log \int p(x_T) \prod_{t=1}^T p(x_{t-1} \mid x_t)\,dx_{1:T}"
    r" \qquad {} = \log \mathcal{N}(x_0; m_0, v_0 I)",
    source="the integral over x_1..x_T of Ho, Jain & Abbeel (2020), eq. 1",
    statistics=4,
    coincides="The bound is log p(x_0), and needs no integral, only where the model is the exact reverse process.",
)
class LinearLogDensity:
    """What is joint, over what is conditional: log p(x_{0:T}) - log p(x_{1:T} | x_0) at any path, from precisions.

    Two steps are integrated on a grid. By chance: a guess whether a point came from the model, and the mean of the
    importance weights, for a model under which these are bounded.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        log_density = claimed.likelihood.linear_log_density
        for i, model in enumerate(models(case), 1):
            truth = [LinearLogDensity.by_precisions(model, x_0) for x_0 in points_of(case)]
            found = model.claim(log_density, points_of(case))
            close_in_nats(evidence, f"log p(x_0), model {i}", found, np.array(truth))
        two = replace(case, beta=case.beta[:2], t=2, s=1)
        for i, model in enumerate(models(two), 1):
            truth = LinearLogDensity.on_a_grid(model, case.x_0[0])
            found = model.claim(log_density, [case.x_0[:1]])
            close_in_nats(evidence, f"log p(x_0) of two steps, model {i}", found, np.array([truth]))

    @staticmethod
    def by_precisions(model, x_0):
        """Return log p(x_0) as log p(x_{0:T}) - log p(x_{1:T} | x_0) at the path 0, coordinate by coordinate."""
        T, d = model.case.T, len(x_0)
        path = np.vstack([x_0, np.zeros((T, d))])
        rows, shift, var = np.eye(T + 1), np.zeros(T + 1), np.append(model.var[1:], 1.0)
        rows[np.arange(T), np.arange(1, T + 1)] = -model.a[1:]
        shift[:T] = -model.b[1:]
        joint = log_normal(rows @ path + shift[:, None], 0.0, var[:, None]).sum()

        precision = rows.T @ (rows / var[:, None])  # of x_0..x_T; the block of x_1..x_T is that of the path
        inner = precision[1:, 1:]
        mean = np.linalg.solve(inner, -np.outer(precision[1:, 0], x_0) - (rows.T @ (shift / var))[1:, None])
        given = d * (np.linalg.slogdet(inner)[1] - T * math.log(2 * math.pi)) - np.sum(mean * (inner @ mean))
        return joint - given / 2

    @staticmethod
    def on_a_grid(model, x_0):
        """Return log p(x_0) of a model of two steps at x_0, a number, by the trapezoid rule."""
        mean, cov = model.joint()
        reach = 10 * np.sqrt(np.diag(cov)) + abs(x_0)

        def density(x, mean, var):
            return np.exp(-((x - mean) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)

        def p_1(x_1):
            p = density(x_1[:, None], model.a[2] * x_2 + model.b[2], model.var[2])
            return p @ density(x_2, 0.0, 1.0) * (x_2[1] - x_2[0])

        x_2 = np.linspace(-10.0, 10.0, 401)
        area = integrate(
            lambda x_1: p_1(x_1) * density(x_0, model.a[1] * x_1 + model.b[1], model.var[1]),
            mean[1] - reach[1],
            mean[1] + reach[1],
            points=401,
        )
        return math.log(area)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        model = models(case)[0]
        real, x_0 = toss(trial, model.run(trial.n, trial.rng)[0], 2 * trial.rng.standard_normal((trial.n, case.d)))
        log_p = model.claim(claimed.likelihood.linear_log_density, x_0)
        known = side(np.sum(x_0**2, axis=-1))
        guess(trial, "p(x_0)", real, log_p, log_normal(x_0, 0.0, 4.0), known)

        model, law, top = weights_of(case)
        w = np.exp(model.log_weight().on(walk(case.schedule, np.full((trial.n, 1), NEAR), trial.rng)) - top)
        claim = math.exp(model.claim(claimed.likelihood.linear_log_density, [[NEAR]])[0] - top)
        first, second = (math.exp(log_moment(law, k)[0] - k * top) for k in (1, 2))
        trial.bounded("E w over the largest w", w, claim, second - first**2, span=1.0)


@identity(
    "likelihood.linear_bound",
    judges="likelihood.linear_bound",
    states=r"L_{t-1} = d\,c_t + \frac{\Vert(A_t - a_t) M_t + B_t x_0 - b_t\Vert^2 + d\,(A_t - a_t)^2 V_t}"
    r"{2\sigma_t^2}, \qquad L_0 + \sum_{t=2}^T L_{t-1} + L_T = -\log p(x_0)"
    r" + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    source="Ho, Jain & Abbeel (2020), eq. 5, its expectations carried out",
    statistics=5,
    coincides="The constants c_t are 0 for the variance beta_tilde. V_t is what the expectation over x_t adds; the"
    " exact reverse process of data at x_0 has A_t = a_t, and no such part.",
)
class LinearBound:
    """Each part is a mean over x_t, by quadrature; their sum is what dense Gaussians say of log p and of the paths.

    By chance, log-ratios along the forward chain, whose mean the parts are.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        T, points = case.T, points_of(case)
        for i, model in enumerate(models(case), 1):
            bound = model.claim(claimed.likelihood.linear_bound, points)
            parts, none = LinearBound.parts(model, points), np.zeros(len(points))
            close_in_nats(evidence, f"L_0, model {i}", bound.reconstruction, parts[0])
            close_in_nats(evidence, f"L_1, ..., model {i}", bound.terms, np.array([none, none, *parts[1:T]]))
            close_in_nats(evidence, f"L_T, model {i}", bound.prior, parts[T])
            total = [model.path_kl(x_0) - model.log_density(x_0) for x_0 in points]
            # the covariance of the model's path is inverted
            close_in_nats(evidence, f"-log p + KL, model {i}", bound.total, np.array(total), 1e-10)

    @staticmethod
    def parts(model, x_0):
        """Return L_0, L_1, ..., L_T at points x_0 (n, d): means over x_t of a log-density and of divergences."""
        case, found = model.case, []
        for t in range(1, case.T + 1):

            def cost(x_t, t=t):
                mean = model.a[t] * x_t + model.b[t]
                if t == 1:
                    return -log_normal(x_0, mean, model.var[1])
                return mean_log_ratio(*posterior(case, t, x_0, x_t), mean, model.var[t])

            signal, var = marginal(case.beta, t)
            found.append(gauss_hermite(cost, signal * x_0, var, nodes=4))
        return np.array([*found, mean_log_ratio(signal * x_0, var, 0 * x_0, 1.0)])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for i, model in enumerate(models(case)[:2], 1):
            bound = model.claim(claimed.likelihood.linear_bound, x[0, :1])
            model.work().judge(trial, f"bound, model {i}", x, bound.total[0])
            model.reconstruction().judge(trial, f"L_0, model {i}", x, bound.reconstruction[0])
        model.denoising(case.t).judge(trial, f"L_{case.t - 1}, model {i}", x, bound.terms[case.t, 0])


@identity(
    "likelihood.linear_consistency_bound",
    judges="likelihood.linear_consistency_bound",
    states=r"C_t = \mathbb{E}\log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})} = \frac d2\log\frac{\sigma_{t+1}^2}"
    r"{\beta_t} - \frac d2 \qquad {} + \frac{\Vert M_t - a_{t+1} M_{t+1} - b_{t+1}\Vert^2}{2\sigma_{t+1}^2}"
    r"\qquad {} + \frac{d\left(V_t + a_{t+1}^2 V_{t+1} - 2 a_{t+1}\sqrt{\alpha_{t+1}}\,V_t\right)}{2\sigma_{t+1}^2}",
    source="Luo (2022), eq. 44, its expectations carried out",
    statistics=5,
    coincides="With a_{t+1} = 0 the covariance of x_t and x_{t+1} does not matter. The constants between C_t and L_t"
    " add up to 0 with those of the prior parts, so a total alone does not show them.",
)
class LinearConsistencyBound:
    """A log-ratio is a constant plus a quadratic form in the noise of the chain: its mean is constant plus trace.

    The sum is what dense Gaussians say of log p and of the two paths; by chance, log-ratios along the forward chain.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        T, points = case.T, points_of(case)
        for i, model in enumerate(models(case), 1):
            bound = model.claim(claimed.likelihood.linear_consistency_bound, points)
            close_in_nats(evidence, f"L_0, model {i}", bound.reconstruction, model.reconstruction().means(points))
            terms, none = [model.consistency(t).means(points) for t in range(1, T)], np.zeros(len(points))
            close_in_nats(evidence, f"C_1, ..., model {i}", bound.terms, np.array([none, *terms, none]))
            close_in_nats(evidence, f"prior, model {i}", bound.prior, model.consistency(T).means(points))
            total = [model.path_kl(x_0) - model.log_density(x_0) for x_0 in points]
            # the covariance of the model's path is inverted
            close_in_nats(evidence, f"-log p + KL, model {i}", bound.total, np.array(total), 1e-10)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for i, model in enumerate(models(case)[:2], 1):
            bound = model.claim(claimed.likelihood.linear_consistency_bound, x[0, :1])
            model.work().judge(trial, f"bound, model {i}", x, bound.total[0])
            model.consistency(case.s).judge(trial, f"C_{case.s}, model {i}", x, bound.terms[case.s, 0])
        model.consistency(case.T).judge(trial, f"prior, model {i}", x, bound.prior[0])


@identity(
    "likelihood.linear_gap",
    judges="likelihood.linear_gap",
    states=r"L - (-\log p(x_0)) = \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right) \ge 0",
    source="Kingma & Welling (2014), eq. 1",
    statistics=2,
    coincides="For the exact reverse process it is 0, and so is the divergence with its arguments exchanged. The"
    " divergence from p(x_{1:T}), in place of p(x_{1:T} | x_0), is what L_1 to L_T add up to: no gap.",
)
class LinearGap:
    """Dense covariances of both paths; 0 for the exact reverse process; by chance, log p(x_0) - log w."""

    @staticmethod
    def exact(claimed, case, evidence):
        points = points_of(case)
        for i, model in enumerate(models(case), 1):
            gap = model.claim(claimed.likelihood.linear_gap, points)
            truth = np.array([model.path_kl(x_0) for x_0 in points])
            # covariances are inverted on this side, precisions on the other
            close_in_nats(evidence, f"KL of the paths, model {i}", gap, truth, 1e-10)
        gap = exact_reverse(case).claim(claimed.likelihood.linear_gap, points)
        close_in_nats(evidence, "KL of the paths, exact reverse process", gap, np.zeros(len(points)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for i, model in enumerate(models(case)[:2], 1):
            gap = model.claim(claimed.likelihood.linear_gap, x[0, :1])[0]
            log_p = model.log_density(x[0, 0])
            model.work().judge(trial, f"E log p(x_0) - log w, model {i}", x, gap, shift=log_p)


@identity(
    "likelihood.linear_log_second_moment",
    judges="likelihood.linear_log_second_moment",
    states=r"\mathbb{E}_q[w^2] = \int \frac{p(x_{0:T})^2}{q(x_{1:T} \mid x_0)}\,dx_{1:T} < \infty"
    r" \iff 2\Lambda_p - \Lambda_q \succ 0",
    source="a Gaussian integral; why it has to be looked at first, Owen (2013), section 9.1",
    statistics=1,
    coincides="Where the weights hardly vary it is nearly 2 log p(x_0), and more nearly what log-normal weights have,"
    " 2 E log w + 2 Var log w. Where it is infinite no sample shows that: what makes it so is never drawn.",
)
class LinearLogSecondMoment:
    """log w is a quadratic form in normals: along its axes E w^2 is a product, infinite if one factor is.

    By chance, the mean of w^2 for a model under which w is bounded, with the exact variance from E w^4.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        points = points_of(case)
        named = {f"model {i}": model for i, model in enumerate(models(case), 1)}
        named["narrow"] = exact_reverse(case, 0.5, case.intercept / 4)
        named["wide"] = wide(case)
        for name, model in named.items():
            found = model.claim(claimed.likelihood.linear_log_second_moment, points)
            truth, left = zip(*(log_moment(model.log_weight().law(x_0), 2) for x_0 in points))
            evidence.true(f"E w^2 exists or not, {name}", (np.isfinite(found) == np.isfinite(truth)).all())
            if np.isfinite(truth).all():
                # near the border of existence both routes lose the digits that the border is close by
                close_in_nats(evidence, f"log E w^2, {name}", found, np.array(truth), 1e-11 / min(left))
        evidence.true("a model that is too wide has no E w^2", np.isposinf(found).all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        model, law, top = weights_of(case)
        w = np.exp(model.log_weight().on(walk(case.schedule, np.full((trial.n, 1), NEAR), trial.rng)) - top)
        claim = math.exp(model.claim(claimed.likelihood.linear_log_second_moment, [[NEAR]])[0] - 2 * top)
        second, fourth = (math.exp(log_moment(law, k)[0] - k * top) for k in (2, 4))
        trial.bounded("E w^2 over the largest w^2", w**2, claim, fourth - second**2, span=1.0)


CHOICES = (("beta", "beta_1"), ("posterior", "beta_tilde_2"))


def line(case, even=False):
    """Return weights (K,), means and variances (K, 1) of two components on the line, of one variance where `even`."""
    variances = np.array([[case.spread[0]], [case.spread[0 if even else 1]]])
    return np.array([case.weight, 1 - case.weight]), np.array([[-case.x_0[0]], [case.eps[0] / 2]]), variances


def mixture(case, weights, means, variances):
    """Return mixture data to hand to the functions judged."""
    return type(case.mixture)(weights, means, variances)


def density(x, weights, means, variances):
    """Return the density of a mixture on the line at points x (n,)."""
    each = np.exp(-((x[:, None] - means[:, 0]) ** 2) / (2 * variances[:, 0]))
    return each / np.sqrt(2 * math.pi * variances[:, 0]) @ weights


def entropy(law):
    """Return the entropy of a mixture on the line, by quadrature."""
    return integrate(lambda x: -density(x, *law) * np.log(np.maximum(density(x, *law), 1e-300)), -20.0, 20.0)


def noisy(law, factor, left):
    """Return the mixture that y = factor x + N(0, left) follows, for x from a mixture on the line."""
    weights, means, variances = law
    return weights, factor * means, factor**2 * variances + left


def left_open(law, factor, left, y):
    """Return E[(x - E[x | y])^2 | y, k] for y = factor x + N(0, left), and the chance of k given y: both (n, K)."""
    weights, means, variances = noisy(law, factor, left)
    log_chance = np.log(weights) + log_normal(y[:, None, None], means, variances)
    chance = np.exp(log_chance - log_chance.max(axis=1, keepdims=True))
    chance = chance / chance.sum(axis=1, keepdims=True)
    each = given_component(law, factor, left, y[:, None])[..., 0]
    within = (left * law[2] / variances)[:, 0]
    return within + (each - np.sum(chance * each, axis=1, keepdims=True)) ** 2, chance


def mean_left_open(law, factor, left, power=1):
    """Return the mean of a power of what y, and k, leave open of x, by quadrature over y."""

    def integrand(y):
        square, chance = left_open(law, factor, left, y)
        return density(y, *noisy(law, factor, left)) * np.sum(chance * square**power, axis=1)

    return integrate(integrand, -20.0, 20.0, points=1601)


@identity(
    "likelihood.mixture_bound",
    judges="likelihood.mixture_bound",
    states=r"\mathbb{E}\,L_{t-1} = d\left[w_t\,\ell_t + c_t\right], \qquad"
    r" \mathbb{E}\,L = \sum_{t=1}^T \left(\mathbb{E}\left[-\log p(x_{t-1} \mid x_t)\right]"
    r" - H(x_t \mid x_{t-1})\right) \qquad {} - \mathbb{E}\log p(x_T) \ge H(x_0)",
    source="Ho, Jain & Abbeel (2020), eq. 5 and 12, their expectations carried out",
    statistics=5,
    coincides="For data N(0, I) and the variance beta the bound is the entropy of the data: no step costs anything.",
)
class MixtureBound:
    """Each part from the variance that x_t leaves open of x_0; their sum from one-step variances, without any x_0.

    By chance: given x_t, and the component that a point came from, what a step costs is bounded if the components have
    one variance; the rest of x_0 is integrated.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        two = replace(case, beta=case.beta[:2], t=2, s=1)  # for the plane, where quadrature takes time
        law, other = line(case), (np.ones(1), np.array([[0.5]]), np.array([[case.var_q]]))
        open_x_0, one_step = MixtureBound.open_x_0(case, law), MixtureBound.one_step(case, law)
        array = 1.3 * np.array([9.0, *case.beta]), 0.8 * case.var_q
        for name, choice in zip(("beta", "posterior", "an array"), (*CHOICES, array)):
            bound = claimed.likelihood.mixture_bound(case.schedule, mixture(case, *law), *choice)
            found = np.concatenate([bound.reconstruction, bound.terms[2:, 0], bound.prior])
            # quadrature that settles to 1e-10 is divided by variances down to .03
            close_in_nats(
                evidence, f"L_0, ..., L_T, {name}", found, MixtureBound.parts(case, law, open_x_0, *choice), 1e-9
            )
            truth = MixtureBound.undecomposed(case, law, one_step, *choice)
            close_in_nats(evidence, f"the whole, {name}", bound.total, np.array([truth]), 1e-9)

        loss, left = np.linspace(0.2, 0.8, case.T + 1), np.array([marginal(case.beta, t)[1] for t in range(case.T + 1)])
        bound = claimed.likelihood.mixture_bound(case.schedule, mixture(case, *law), eps_loss=loss)
        open_x_0 = (loss * left / (1 - left))[1:]  # eps is what x_t leaves open of x_0, to scale
        truth = MixtureBound.parts(case, law, open_x_0, *CHOICES[0]).sum()
        close_in_nats(evidence, "the whole, losses given", bound.total, np.array([truth]))

        if case.d == 2:  # the plane: the second coordinate is normal, and independent of the first
            plane = law[0], *(np.hstack([a, np.broadcast_to(b, a.shape)]) for a, b in zip(law[1:], other[1:]))
            bound = claimed.likelihood.mixture_bound(two.schedule, mixture(case, *plane))
            parts = [MixtureBound.parts(two, one, MixtureBound.open_x_0(two, one), *CHOICES[0]) for one in (law, other)]
            found = np.concatenate([bound.reconstruction, bound.terms[2:, 0], bound.prior])
            close_in_nats(evidence, "two coordinates", found, sum(parts), 1e-9)

    @staticmethod
    def open_x_0(case, law):
        """Return E Var[x_0 | x_t] for t = 1, ..., T."""
        return [mean_left_open(law, *marginal(case.beta, t)) for t in range(1, case.T + 1)]

    @staticmethod
    def one_step(case, law):
        """Return E Var[x_{t-1} | x_t] for t = 1, ..., T."""
        found = []
        for beta in case.beta:
            found.append(mean_left_open(law, math.sqrt(1 - beta), beta))
            law = noisy(law, math.sqrt(1 - beta), beta)
        return found

    @staticmethod
    def price(case, t, variance, decoder):
        """Return factor and constant that turn what x_t leaves open of x_0 into E L_{t-1}."""
        sigma_2, zero = var_of(case, t, variance if t > 1 else decoder), np.zeros(1)
        if t == 1:
            return 1 / (2 * sigma_2), math.log(2 * math.pi * sigma_2) / 2
        (of_x_0, _), tilde = posterior(case, t, np.array([1.0, 0.0]), np.zeros(2))
        return of_x_0**2 / (2 * sigma_2), mean_log_ratio(zero, tilde, zero, sigma_2)

    @staticmethod
    def prior(case, law):
        """Return E[KL(q(x_T | x_0) || N(0, 1)) | k] for each component (K,)."""
        signal, var = marginal(case.beta, case.T)
        return gauss_hermite(lambda x: mean_log_ratio(signal * x, var, 0 * x, 1.0), law[1], law[2], nodes=4)

    @staticmethod
    def parts(case, law, open_x_0, variance, decoder):
        """Return E L_0, ..., E L_T of the ideal denoiser, for data on the line."""
        prices = [MixtureBound.price(case, t, variance, decoder) for t in range(1, case.T + 1)]
        found = [factor * one + constant for (factor, constant), one in zip(prices, open_x_0)]
        return np.array([*found, law[0] @ MixtureBound.prior(case, law)])

    @staticmethod
    def undecomposed(case, law, one_step, variance, decoder):
        """Return the mean of -log p(x_{0:T}) + log q(x_{1:T} | x_0), for data on the line.

        The mean of p(x_{t-1} | x_t) is E[x_{t-1} | x_t]: that is what an ideal denoiser makes of it.
        """
        sigma_2 = np.array([var_of(case, t, variance if t > 1 else decoder) for t in range(1, case.T + 1)])
        of_x_T = noisy(law, *marginal(case.beta, case.T))
        last = math.log(2 * math.pi) + of_x_T[0] @ (of_x_T[1] ** 2 + of_x_T[2])[:, 0]
        return (np.sum(np.log(sigma_2 / case.beta) + one_step / sigma_2 - 1) + last) / 2

    @staticmethod
    def monte_carlo(claimed, case, trial):
        law, n, open_x_0 = line(case, even=True), trial.n, {}

        def draw():
            k = (trial.rng.random(n) >= law[0][0]).astype(int)
            return k, law[1][k] + np.sqrt(law[2][k]) * trial.rng.standard_normal((n, 1))

        for t in range(1, case.T + 1):  # each step on chains of its own, so that variances add up
            (signal, left), (k, x_0) = marginal(case.beta, t), draw()
            square, _ = left_open(law, signal, left, walk(case.schedule, x_0, trial.rng)[t, :, 0])
            apart = np.ptp(law[1]) * left / (signal**2 * law[2][0, 0] + left)  # of E[x_0 | x_t, k]
            first, second = (mean_left_open(law, signal, left, power) for power in (1, 2))
            open_x_0[t] = square[np.arange(n), k], second - first**2, apart**2
        each = MixtureBound.prior(case, law)
        last = each[draw()[0]], law[0] @ (each - law[0] @ each) ** 2, np.ptp(each)

        for variance, decoder in CHOICES:
            bound = claimed.likelihood.mixture_bound(case.schedule, mixture(case, *law), variance, decoder)
            parts = [last]
            for t, (square, var, span) in open_x_0.items():
                factor, constant = MixtureBound.price(case, t, variance, decoder)
                parts.append((factor * square + constant, factor**2 * var, factor * span))
            whole = [sum(one) for one in zip(*parts)]
            trial.bounded(f"the whole, {variance}", whole[0], bound.total[0], *whole[1:])
            if variance == "beta":
                for what, t, claim in (
                    ("L_T", 0, bound.prior[0]),
                    ("L_0", 1, bound.reconstruction[0]),
                    (f"L_{case.t - 1}", case.t, bound.terms[case.t, 0]),
                ):
                    trial.bounded(what, parts[t][0], claim, *parts[t][1:])


@identity(
    "likelihood.reverse_entropy_bounds",
    judges="likelihood.reverse_entropy_bounds",
    states=r"\tfrac d2\log 2\pi e\tilde\beta_t \le H(x_{t-1} \mid x_t) \le \tfrac d2\log 2\pi e\beta_t,"
    r" \qquad \text{the latter if } H(x_t) \ge H(x_{t-1})",
    source="Sohl-Dickstein et al. (2015), eq. 24",
    statistics=2,
    coincides="Late in a long schedule beta_tilde_t is nearly beta_t, and the bounds meet. Data N(0, 4 I) break the"
    " upper one at every step: 1.25 nats a coordinate where it says 1.07, for betas 1/2 and t = 2.",
)
class ReverseEntropyBounds:
    """Data at a point reach the lower bound, data N(0, I) the upper one: both from the dense joint law of the chain.

    Mixture data of a variance below 1 lie between, by H(x_{t-1} | x_t) = H(x_{t-1}) + H(x_t | x_{t-1}) - H(x_t); data
    N(0, 4 I) do not. By chance, the mean surprise of x_{t-1} on chains.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        steps = np.arange(2, case.T + 1)
        lower, upper = claimed.likelihood.reverse_entropy_bounds(case.schedule, case.d, steps)
        point, normal, broad = (
            np.array([case.d * ReverseEntropyBounds.of_normal(case, t, var_0) for t in steps])
            for var_0 in (0.0, 1.0, 4.0)
        )
        close_in_nats(evidence, "lower bound, data at a point", lower, point)
        close_in_nats(evidence, "upper bound, data N(0, I)", upper, normal)
        evidence.true("data N(0, 4 I) break the upper bound", (broad > upper).all())
        at_t = claimed.likelihood.reverse_entropy_bounds(case.schedule, case.d, case.t)
        close_in_nats(evidence, "at one step", at_t, np.array([point[case.t - 2], normal[case.t - 2]]))

        lower, upper = claimed.likelihood.reverse_entropy_bounds(case.schedule, 1, steps)
        weights, means, variances = line(case)
        scale = 1 + abs(means).max() + variances.max()  # so that the variance is below 1
        law = weights, means / scale, variances / scale**2
        of_x = np.array([entropy(noisy(law, *marginal(case.beta, t))) for t in range(1, case.T + 1)])
        between = of_x[:-1] + ReverseEntropyBounds.nats(case.beta[1:]) - of_x[1:]
        slack = 1e-10  # quadrature; late steps hardly raise the entropy
        evidence.true("mixture data above the lower bound", (between >= lower - slack).all())
        evidence.true("mixture data below the upper bound", (between <= upper + slack).all())

    @staticmethod
    def nats(var):
        """Return the entropy of normals, by quadrature of -log p."""
        var = np.asarray(var)
        return gauss_hermite(lambda x: -log_normal(x[..., None], 0.0, var[..., None]), 0 * var, var, nodes=4)

    @staticmethod
    def of_normal(case, t, var_0):
        """Return H(x_{t-1} | x_t) of one coordinate for data N(0, var_0)."""
        return ReverseEntropyBounds.nats(condition(*dense_joint(case.beta, 0.0, var_0), t - 1, {t: 0.0})[1])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, half = case.t, np.full(case.d, 0.5)
        claims = claimed.likelihood.reverse_entropy_bounds(case.schedule, case.d, t)
        for name, var_0, claim in zip(("data at a point", "data N(0, I)"), (0.0, 1.0), claims):
            x_0 = math.sqrt(var_0) * trial.rng.standard_normal((trial.n, case.d))
            x = walk(case.schedule, x_0, trial.rng)
            mean, cov = dense_joint(case.beta, 0.0, var_0)
            gain, (_, var) = cov[t - 1, t] / cov[t, t], condition(mean, cov, t - 1, {t: 0.0})
            surprise = -log_normal(x[t - 1], gain * x[t], var)
            trial.quadratic(f"mean of -log q(x_{t - 1} | x_{t}), {name}", surprise, claim, 0 * half, half)
