r"""Identities of the five coordinates of one prediction, judged on paths whose noises are all known.

Each map is affine in (x_0, eps). On a path both are known, so what every map must return is known too, signs
included; in law alone eps and -eps are the same. What is fed in by chance comes from a walk, and what comes out must
have its exact law given x_0 and given eps.
"""

from dataclasses import dataclass

import numpy as np

from refdiff.forward import walk
from refdiff.verify.evidence import stream
from refdiff.verify.identity import identity
from refdiff.verify.oracles import dense_joint, gradient, integrate, log_normal, marginal, path_weights

VAR_0 = 0.25  # of x_0 around case.x_0 in a walk: not so large that it hides an eps which leaks into x_0


@dataclass(frozen=True)
class Paths:
    """Points of paths with their x_0 and merged noise, and how x_t and x_{t-1} depend on these two.

    x_t = signal x_0 + std eps and, given both, x_{t-1} has mean before x_0 + along eps and variance left.
    """

    t: np.ndarray
    x_0: np.ndarray
    x_t: np.ndarray
    x_prev: np.ndarray
    eps: np.ndarray
    signal: np.ndarray
    std: np.ndarray
    before: np.ndarray
    along: np.ndarray
    left: np.ndarray

    @property
    def v(self):
        """The velocity, by its definition."""
        return self.signal * self.eps - self.std * self.x_0

    @property
    def mean(self):
        """E[x_{t-1} | x_t, x_0]."""
        return self.before * self.x_0 + self.along * self.eps


def known(case):
    """Return T paths, the t-th looked at in step t, whose step noises are known and merged by their weights.

    Of one coordinate, where counter-examples are, each path starts at x_0 and its noises merge to eps of the case, so
    that they can be redone by hand; of more, all are drawn.
    """
    T, rng = case.T, stream("known", case)
    start, weights = path_weights(case.beta)
    cov, steps, each = weights @ weights.T, np.arange(1, T + 1), np.arange(T)
    std = np.sqrt(np.diag(cov)[1:])
    if case.d == 1:
        x_0 = np.tile(case.x_0, (T, 1))
        noise = weights[1:, :, None] / std[:, None, None] * np.array(case.eps)
    else:
        x_0 = np.array(case.x_0) + rng.standard_normal((T, case.d))
        noise = rng.standard_normal((T, T, case.d))  # of each path at each step
    x = start[:, None] * x_0[:, None] + weights @ noise
    eps = (weights @ noise)[each, steps] / std[:, None]
    along = np.diag(cov, 1) / std
    columns = [a[:, None] for a in (start[1:], std, start[:-1], along, np.diag(cov)[:-1] - along**2)]
    return Paths(steps, x_0, x[each, steps], x[each, steps - 1], eps, *columns)


def walked(case, trial):
    """Return n paths of a walk that start around case.x_0 with variance VAR_0, looked at in step case.t."""
    t = case.t
    x_0 = case.repeat(case.x_0, trial.n) + np.sqrt(VAR_0) * trial.rng.standard_normal((trial.n, case.d))
    x = walk(case.schedule, x_0, trial.rng)
    start, cov = dense_joint(case.beta, 1.0)
    std = np.sqrt(cov[t, t])
    along = cov[t, t - 1] / std
    eps = (x[t] - start[t] * x[0]) / std
    return Paths(t, x[0], x[t], x[t - 1], eps, start[t], std, start[t - 1], along, cov[t - 1, t - 1] - along**2)


def law(trial, what, found, on, case, of_x_0, of_eps):
    """Judge `found` = of_x_0 x_0 + of_eps eps, with x_0 ~ N(case.x_0, VAR_0) and eps ~ N(0, 1) of a walk.

    The two are independent, so given either one the other makes it normal. Where x_0 has no part in it, -eps would
    do as well as eps, and the walk's own x_{t-1} is called upon. Records 3 statistics for each of the two that takes
    part, and 1 for the sign.
    """
    if of_eps:
        trial.conditional(f"{what} given x_0", found, of_x_0 * on.x_0, of_eps**2, x_0=on.x_0)
    if of_x_0:
        mean = of_x_0 * np.array(case.x_0) + of_eps * on.eps
        trial.conditional(f"{what} given eps", found, mean, VAR_0 * of_x_0**2, eps=on.eps)
    else:
        mean = on.before * on.x_0 + on.along * found / of_eps
        trial.mean(f"x_{{t-1}} times {what}", on.x_prev, mean, on.left, weight=found)


def score_of_paths(on):
    """Return the gradient of log q(x_t | x_0) at each point, by finite differences of the density as written."""
    points = zip(on.x_t, on.signal * on.x_0, on.std**2)
    return np.array([gradient(lambda x, m=m, v=v: log_normal(x, m, v), x) for x, m, v in points])


def near(evidence, what, found, truth):
    """Record a comparison with what finite differences or quadrature give, which keep nine digits of order one."""
    evidence.close(what, found, truth, tolerance=1e-9, scale=1 + np.abs(truth).max())


def blurred_mixture(case):
    """Return E[x_0 | x_t], E[eps | x_t] and the score of q(x_t) at case.x_t, t = case.t, for mixture data.

    Each coordinate is a mixture of its own, with the weights, means and variances of the case: the density is then a
    product, and the integrals over x_0 are one-dimensional. The score is a finite difference of their logarithm.
    """
    signal, var = marginal(case.beta, case.t)
    means = np.array([case.x_0, case.eps]) * [[-1.0], [0.5]]

    def data(x_0):
        parts = zip((case.weight, 1 - case.weight), means, case.spread)
        return sum(w * np.exp(-((x_0 - m) ** 2) / (2 * v)) / np.sqrt(v) for w, m, v in parts)

    def moment(x_t, power):
        def integrand(u):
            x_0 = u[:, None]
            return x_0**power * data(x_0) * np.exp(-((x_t - signal * x_0) ** 2) / (2 * var))

        return integrate(integrand, -12.0, 12.0, points=1201)

    x_t = np.array(case.x_t)
    x_0 = moment(x_t, 1) / moment(x_t, 0)
    score = gradient(lambda x: np.sum(np.log(moment(x, 0))), x_t)
    return x_t, x_0, (x_t - signal * x_0) / np.sqrt(var), score


@identity(
    "parameterize.x_0_from_eps",
    judges="parameterize.x_0_from_eps",
    states=r"x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}",
    source="Ho, Jain & Abbeel (2020), eq. 15",
    statistics=3,
    coincides="As alpha_bar_t goes to 1 every version returns x_t.",
)
class X0FromEps:
    """From the end of a path and its merged noise, back to where it started; what is recovered must have the law of x_0
    and be independent of the noise.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("x_0", claimed.parameterize.x_0_from_eps(case.schedule, on.x_t, on.eps, on.t), on.x_0, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        x_0 = claimed.parameterize.x_0_from_eps(case.schedule, on.x_t, on.eps, on.t)
        law(trial, "x_0", x_0, on, case, of_x_0=1.0, of_eps=0.0)


@identity(
    "parameterize.eps_from_x_0",
    judges="parameterize.eps_from_x_0",
    states=r"\epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}}",
    source="Ho, Jain & Abbeel (2020), section 3.2",
    statistics=4,
    coincides="In law -eps is eps.",
)
class EpsFromX0:
    """The merged noise of a path is the weighted sum of its steps' noises, which are known. By chance it must be
    standard normal, independent of x_0, and point where the walk came from.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("eps", claimed.parameterize.eps_from_x_0(case.schedule, on.x_t, on.x_0, on.t), on.eps, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        eps = claimed.parameterize.eps_from_x_0(case.schedule, on.x_t, on.x_0, on.t)
        law(trial, "eps", eps, on, case, of_x_0=0.0, of_eps=1.0)


@identity(
    "parameterize.v_from_eps",
    judges="parameterize.v_from_eps",
    states=r"v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0"
    r" = \frac{\epsilon - \sqrt{1 - \bar\alpha_t}\,x_t}{\sqrt{\bar\alpha_t}}",
    source="Salimans & Ho (2022), appendix D",
    statistics=6,
    coincides="As alpha_bar_t goes to 1, v is eps.",
)
class VFromEps:
    """The definition of v in x_0 and eps, both known on a path; its law given either one."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("v", claimed.parameterize.v_from_eps(case.schedule, on.x_t, on.eps, on.t), on.v, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        v = claimed.parameterize.v_from_eps(case.schedule, on.x_t, on.eps, on.t)
        law(trial, "v", v, on, case, of_x_0=-on.std, of_eps=on.signal)


@identity(
    "parameterize.eps_from_v",
    judges="parameterize.eps_from_v",
    states=r"\epsilon = \sqrt{1 - \bar\alpha_t}\,x_t + \sqrt{\bar\alpha_t}\,v",
    source="Salimans & Ho (2022), appendix D",
    statistics=4,
    coincides="As alpha_bar_t goes to 1, v is eps.",
)
class EpsFromV:
    """From the v that its definition gives on a path, back to the path's noise."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("eps", claimed.parameterize.eps_from_v(case.schedule, on.x_t, on.v, on.t), on.eps, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        eps = claimed.parameterize.eps_from_v(case.schedule, on.x_t, on.v, on.t)
        law(trial, "eps", eps, on, case, of_x_0=0.0, of_eps=1.0)


@identity(
    "parameterize.x_0_from_v",
    judges="parameterize.x_0_from_v",
    states=r"x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,v",
    source="Salimans & Ho (2022), appendix D",
    statistics=3,
    coincides="As alpha_bar_t goes to 1 it is x_t whatever the sign of v.",
)
class X0FromV:
    """From the v that its definition gives on a path, back to where the path started."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("x_0", claimed.parameterize.x_0_from_v(case.schedule, on.x_t, on.v, on.t), on.x_0, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        x_0 = claimed.parameterize.x_0_from_v(case.schedule, on.x_t, on.v, on.t)
        law(trial, "x_0", x_0, on, case, of_x_0=1.0, of_eps=0.0)


@identity(
    "parameterize.v_from_x_0",
    judges="parameterize.v_from_x_0",
    states=r"v = \frac{\sqrt{\bar\alpha_t}\,x_t - x_0}{\sqrt{1 - \bar\alpha_t}}",
    source="Salimans & Ho (2022), appendix D",
    statistics=6,
    coincides="As alpha_bar_t goes to 0, v is -x_0.",
)
class VFromX0:
    """The definition of v in x_0 and eps, both known on a path; its law given either one."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("v", claimed.parameterize.v_from_x_0(case.schedule, on.x_t, on.x_0, on.t), on.v, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        v = claimed.parameterize.v_from_x_0(case.schedule, on.x_t, on.x_0, on.t)
        law(trial, "v", v, on, case, of_x_0=-on.std, of_eps=on.signal)


@identity(
    "parameterize.score_from_eps",
    judges="parameterize.score_from_eps",
    states=r"\nabla_{x_t} \log q(x_t) = -\frac{\mathbb{E}[\epsilon \mid x_t]}{\sqrt{1 - \bar\alpha_t}}, \qquad"
    r" \nabla_{x_t} \log q(x_t \mid x_0) = -\frac{\epsilon}{\sqrt{1 - \bar\alpha_t}}",
    source="Vincent (2011), eq. 9; Song et al. (2021), section 3",
    statistics=4,
    coincides="As alpha_bar_t goes to 0 the scale goes to 1; the sign and the density do not become harmless.",
)
class ScoreFromEps:
    """A score is the derivative of a log-density, taken here by finite differences: of q(x_t | x_0) on a path, and of
    q(x_t) for mixture data, with E[eps | x_t] by quadrature. By chance, its law given x_0 and its sign.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        found = claimed.parameterize.score_from_eps(case.schedule, on.x_t, on.eps, on.t)
        near(evidence, "score of q(x_t | x_0)", found, score_of_paths(on))
        x_t, _, eps, score = blurred_mixture(case)
        found = claimed.parameterize.score_from_eps(case.schedule, x_t, eps, case.t)
        near(evidence, "score of q(x_t)", found, score)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score = claimed.parameterize.score_from_eps(case.schedule, on.x_t, on.eps, on.t)
        law(trial, "score", score, on, case, of_x_0=0.0, of_eps=-1 / on.std)


@identity(
    "parameterize.eps_from_score",
    judges="parameterize.eps_from_score",
    states=r"\mathbb{E}[\epsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)",
    source="Vincent (2011), eq. 9",
    statistics=4,
    coincides="As alpha_bar_t goes to 0 the scale goes to 1.",
)
class EpsFromScore:
    """Fed with finite differences of log q(x_t | x_0) it must return the noise of the path; fed with those of
    log q(x_t) for mixture data, the expected noise by quadrature.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        found = claimed.parameterize.eps_from_score(case.schedule, on.x_t, score_of_paths(on), on.t)
        near(evidence, "eps", found, on.eps)
        x_t, _, eps, score = blurred_mixture(case)
        found = claimed.parameterize.eps_from_score(case.schedule, x_t, score, case.t)
        near(evidence, "E[eps | x_t]", found, eps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score = (on.signal * on.x_0 - on.x_t) / on.std**2  # of a normal density
        eps = claimed.parameterize.eps_from_score(case.schedule, on.x_t, score, on.t)
        law(trial, "eps", eps, on, case, of_x_0=0.0, of_eps=1.0)


@identity(
    "parameterize.x_0_from_score",
    judges="parameterize.x_0_from_score",
    states=r"\mathbb{E}[x_0 \mid x_t]"
    r" = \frac{x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    source="Robbins (1956); Efron (2011), eq. 1.4",
    statistics=3,
    coincides="As alpha_bar_t goes to 1 it is x_t, with or without the rescaling.",
)
class X0FromScore:
    """Tweedie's formula, for mixture data: the score by finite differences, the mean of x_0 by quadrature. By chance,
    with normal data: the residual of x_0 is normal and orthogonal to x_t.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x_t, x_0, _, score = blurred_mixture(case)
        found = claimed.parameterize.x_0_from_score(case.schedule, x_t, score, case.t)
        near(evidence, "E[x_0 | x_t]", found, x_0)
        on = known(case)
        found = claimed.parameterize.x_0_from_score(case.schedule, on.x_t, score_of_paths(on), on.t)
        near(evidence, "x_0", found, on.x_0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        var = on.signal**2 * VAR_0 + on.std**2  # of x_t, with x_0 ~ N(case.x_0, VAR_0)
        score = (on.signal * np.array(case.x_0) - on.x_t) / var
        mean = claimed.parameterize.x_0_from_score(case.schedule, on.x_t, score, on.t)
        trial.conditional("x_0 given x_t", on.x_0, mean, VAR_0 * on.std**2 / var, x_t=on.x_t)


@identity(
    "parameterize.score_from_x_0",
    judges="parameterize.score_from_x_0",
    states=r"\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    source="Vincent (2011), eq. 9",
    statistics=4,
    coincides="With x_0 = 0 the factor in front of it is not seen.",
)
class ScoreFromX0:
    """The derivative of log q(x_t | x_0) by finite differences; with E[x_0 | x_t] of mixture data by quadrature in
    place of x_0, that of log q(x_t).
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        found = claimed.parameterize.score_from_x_0(case.schedule, on.x_t, on.x_0, on.t)
        near(evidence, "score of q(x_t | x_0)", found, score_of_paths(on))
        x_t, x_0, _, score = blurred_mixture(case)
        found = claimed.parameterize.score_from_x_0(case.schedule, x_t, x_0, case.t)
        near(evidence, "score of q(x_t)", found, score)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score = claimed.parameterize.score_from_x_0(case.schedule, on.x_t, on.x_0, on.t)
        law(trial, "score", score, on, case, of_x_0=0.0, of_eps=-1 / on.std)


@identity(
    "parameterize.mean_from_eps",
    judges="parameterize.mean_from_eps",
    states=r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    source="Ho, Jain & Abbeel (2020), eq. 11",
    statistics=6,
    coincides="At t = 1, sqrt(beta_t) and beta_t / sqrt(1 - alpha_bar_t) are the same.",
)
class MeanFromEps:
    """The part of x_{t-1} that x_0 and the merged noise determine, from the covariances of the steps' weights."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("mu", claimed.parameterize.mean_from_eps(case.schedule, on.x_t, on.eps, on.t), on.mean, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        mean = claimed.parameterize.mean_from_eps(case.schedule, on.x_t, on.eps, on.t)
        law(trial, "mu", mean, on, case, of_x_0=on.before, of_eps=on.along)


@identity(
    "parameterize.eps_from_mean",
    judges="parameterize.eps_from_mean",
    states=r"\epsilon = \frac{\sqrt{1 - \bar\alpha_t}}{\beta_t}\left(x_t - \sqrt{\alpha_t}\,\mu\right)",
    source="Ho, Jain & Abbeel (2020), eq. 11, solved for eps",
    statistics=4,
    coincides="At t = 1, sqrt(beta_t) and beta_t / sqrt(1 - alpha_bar_t) are the same.",
)
class EpsFromMean:
    """From the mean that the steps' covariances give, back to the noise of the path."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("eps", claimed.parameterize.eps_from_mean(case.schedule, on.x_t, on.mean, on.t), on.eps, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        eps = claimed.parameterize.eps_from_mean(case.schedule, on.x_t, on.mean, on.t)
        law(trial, "eps", eps, on, case, of_x_0=0.0, of_eps=1.0)


@identity(
    "parameterize.mean_from_x_0",
    judges="parameterize.mean_from_x_0",
    states=r"\mu = \tilde\mu_t(x_t, x_0) = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0"
    r" + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t",
    source="Ho, Jain & Abbeel (2020), eq. 7",
    statistics=6,
    coincides="As beta_t goes to 0 the mean is x_t whatever x_0 is.",
)
class MeanFromX0:
    """The part of x_{t-1} that x_0 and the merged noise determine, from the covariances of the steps' weights."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        evidence.close("mu", claimed.parameterize.mean_from_x_0(case.schedule, on.x_t, on.x_0, on.t), on.mean, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        mean = claimed.parameterize.mean_from_x_0(case.schedule, on.x_t, on.x_0, on.t)
        law(trial, "mu", mean, on, case, of_x_0=on.before, of_eps=on.along)


@identity(
    "parameterize.x_0_from_mean",
    judges="parameterize.x_0_from_mean",
    states=r"x_0 = \frac{(1 - \bar\alpha_t)\,\mu - \sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})\,x_t}"
    r"{\sqrt{\bar\alpha_{t-1}}\,\beta_t}",
    source="Ho, Jain & Abbeel (2020), eq. 7, solved for x_0",
    statistics=3,
    coincides="At t = 1 it is the mean itself.",
)
class X0FromMean:
    """From the mean that the steps' covariances give, back to where the path started."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        found = claimed.parameterize.x_0_from_mean(case.schedule, on.x_t, on.mean, on.t)
        evidence.close("x_0", found, on.x_0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        x_0 = claimed.parameterize.x_0_from_mean(case.schedule, on.x_t, on.mean, on.t)
        law(trial, "x_0", x_0, on, case, of_x_0=1.0, of_eps=0.0)
