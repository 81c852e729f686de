r"""Identities of the reverse process, judged with denoisers for which all of it is Gaussian and known.

A denoiser that is affine in x_t makes each step affine, so the law of every sample follows from a recursion on means
and variances. A denoiser that is told the noise turns the step into a conditional law of the forward chain.
"""

import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, path_weights

CHOICES = ("posterior", "beta")


def affine(case, shift=0.0):
    """Return a denoiser that is affine in x_t, and differs from step to step and from axis to axis."""

    def denoiser(x_t, t):
        t = t if np.ndim(t) == 0 else np.asarray(t)[..., None]
        slope, intercept = case.slope * (0.5 + 0.5 * t / case.T), case.intercept * t / case.T
        return slope * x_t + intercept * np.array(case.eps) + shift

    return denoiser


def step_mean(case, denoiser, x_t, t):
    """Return E[x_{t-1} | x_t, x_0] from the dense joint, with x_0 replaced by what the denoiser takes it for."""
    start, noise = path_weights(case.beta)
    x_0 = (x_t - np.linalg.norm(noise[t]) * denoiser(x_t, t)) / start[t]
    mean, cov = dense_joint(case.beta, x_0)
    return condition(mean, cov, t - 1, {t: x_t})[0]


def sigma_2(case, t, choice):
    """Return Var[x_{t-1} | x_t] for data at one point ("posterior") or N(0, 1) ("beta"), from the dense joint."""
    mean, cov = dense_joint(case.beta, 0.0, {"posterior": 0.0, "beta": 1.0}[choice])
    return condition(mean, cov, t - 1, {t: 0.0})[1]


def chain(case, denoiser, choice):
    """Return a_t, b_t (d,) and sigma_t^2 of x_{t-1} = a_t x_t + b_t + sigma_t z for t = 1..T, under key t.

    The step is affine in x_t, so two points determine it. Nothing is added at t = 1.
    """
    steps = {}
    for t in range(1, case.T + 1):
        b = step_mean(case, denoiser, np.zeros(case.d), t)
        a = (step_mean(case, denoiser, np.ones(case.d), t) - b)[0]
        steps[t] = a, b, sigma_2(case, t, choice) if t > 1 else 0.0
    return steps


def law_of_samples(case, denoiser, choice):
    """Return mean (d,) and variance of x_0 for x_T ~ N(0, I), by recursion down the chain."""
    mean, var = np.zeros(case.d), 1.0
    for a, b, sigma_2 in reversed(chain(case, denoiser, choice).values()):
        mean, var = a * mean + b, a**2 * var + sigma_2
    return mean, var


def residual(case, x, t, var_0):
    """Return x_{t-1} and its mean given x_t, along chains x that start at one point (var_0 = 0) or from N(0, I)."""
    mean, cov = dense_joint(case.beta, x[0, 0] if var_0 == 0 else np.zeros(case.d), var_0)
    return x[t - 1], mean[t - 1] + cov[t, t - 1] / cov[t, t] * (x[t] - mean[t])


def from_a_point(case, trial):
    """Return chains that all start at case.x_0."""
    return walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)


def from_noise(case, trial):
    """Return chains whose data are N(0, I), so that every step of them is N(0, I)."""
    return walk(case.schedule, trial.rng.standard_normal((trial.n, case.d)), trial.rng)


@identity(
    "reverse.prior",
    judges="reverse.prior",
    states=r"p(x_T) = \mathcal{N}(0, I)",
    source="Ho, Jain & Abbeel (2020), eq. 1",
    statistics=2,
    coincides="With few steps or small betas the forward chain forgets little of any start.",
)
class Prior:
    """N(0, I) is the one law that the forward chain leaves as it is, whatever the betas."""

    @staticmethod
    def exact(claimed, case, evidence):
        p = claimed.reverse.prior(3, case.d)
        evidence.close("mean", p.mean, np.zeros((3, case.d)))
        evidence.close("variance", p.var, np.ones((3, case.d)))
        mean, cov = dense_joint(case.beta, p.mean[0], p.var[0, 0])
        evidence.close("mean after the chain", p.mean[0], mean[-1])
        evidence.close("variance after the chain", p.var[0, 0], cov[-1, -1])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        p = claimed.reverse.prior(trial.n, case.d)
        x = walk(case.schedule, p.mean + np.sqrt(p.var) * trial.rng.standard_normal(p.mean.shape), trial.rng)
        trial.mean("mean after the chain", x[-1], p.mean, p.var)
        trial.var("variance after the chain", x[-1], p.mean, p.var[0])


@identity(
    "reverse.var",
    judges="reverse.var",
    states=r"\sigma_t^2 = \tilde\beta_t = \operatorname{Var}[x_{t-1} \mid x_t, x_0] \qquad\text{or}\qquad"
    r" \sigma_t^2 = \beta_t = \operatorname{Var}[x_{t-1} \mid x_t] \text{ for data } \mathcal{N}(0, I)",
    source="Ho, Jain & Abbeel (2020), section 3.2",
    statistics=2,
    coincides="Late steps of long schedules, where both choices agree to many digits.",
)
class Var:
    """Each choice is the exact variance of the step back for some data: at one point, or N(0, I)."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps = np.arange(1, case.T + 1)
        for choice in CHOICES:
            truth = np.array([sigma_2(case, t, choice) for t in steps])
            evidence.close(f"sigma_t^2, {choice}, for all t", claimed.reverse.var(case.schedule, steps, choice), truth)
            one = claimed.reverse.var(case.schedule, case.t, choice)
            evidence.close(f"sigma_t^2, {choice}, for one t", one, truth[case.t - 1])
        first = claimed.reverse.var(case.schedule, 1, "posterior")
        evidence.true("beta_tilde_1 is 0, not only small", np.all(np.equal(first, 0.0)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for choice, x, var_0 in (("posterior", from_a_point(case, trial), 0.0), ("beta", from_noise(case, trial), 1.0)):
            var = claimed.reverse.var(case.schedule, case.t, choice)
            trial.var(f"sigma_t^2, {choice}", *residual(case, x, case.t, var_0), var)


@identity(
    "reverse.decoder_var",
    judges="reverse.decoder_var",
    states=r"\sigma_1^2 = \beta_1 = \operatorname{Var}[x_0 \mid x_1] \text{ for data } \mathcal{N}(0, I)"
    r" \qquad\text{or}\qquad \sigma_1^2 = \tilde\beta_2 = \operatorname{Var}[x_1 \mid x_2, x_0]",
    source="Ho, Jain & Abbeel (2020), section 3.3, and its published code",
    statistics=2,
    coincides="beta_tilde_1 = 0 is neither: it would make the decoder a point mass.",
)
class DecoderVar:
    """Each convention is the exact variance of a step back, and neither is that of the posterior at t = 1."""

    @staticmethod
    def exact(claimed, case, evidence):
        decoder_var = claimed.reverse.decoder_var
        evidence.close("beta_1", decoder_var(case.schedule, "beta_1"), sigma_2(case, 1, "beta"))
        evidence.close("beta_tilde_2", decoder_var(case.schedule, "beta_tilde_2"), sigma_2(case, 2, "posterior"))
        evidence.close("a number", decoder_var(case.schedule, case.var_p), case.var_p)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        decoder_var = claimed.reverse.decoder_var
        x = from_noise(case, trial)
        trial.var("Var[x_0 | x_1]", *residual(case, x, 1, 1.0), decoder_var(case.schedule, "beta_1"))
        x = from_a_point(case, trial)
        trial.var("Var[x_1 | x_2, x_0]", *residual(case, x, 2, 0.0), decoder_var(case.schedule, "beta_tilde_2"))


@identity(
    "reverse.transition_mean",
    judges="reverse.transition",
    states=r"\mathbb{E}_p[x_{t-1} \mid x_t] = \frac{1}{\sqrt{\alpha_t}}"
    r"\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\hat\epsilon(x_t, t)\right) = \tilde\mu_t(x_t, \hat x_0)",
    source="Ho, Jain & Abbeel (2020), eq. 11",
    statistics=3,
    coincides="As beta_t goes to 0 every version returns x_t.",
)
class TransitionMean:
    """A denoiser that is told the noise makes the step the posterior: its residual is orthogonal to x_0 and x_t."""

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser, x_t = affine(case), np.array(case.x_t)
        truth = np.array([step_mean(case, denoiser, x_t, t) for t in range(1, case.T + 1)])
        for choice in CHOICES:
            p = claimed.reverse.transition(case.schedule, denoiser, x_t, case.t, choice)
            evidence.close(f"E[x_{{t-1}} | x_t], {choice}", p.mean, truth[case.t - 1])
        x, steps = np.tile(x_t, (case.T, 1)), np.arange(1, case.T + 1)
        evidence.close("for all t", claimed.reverse.transition(case.schedule, denoiser, x, steps).mean, truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = case.spread_out(trial.n, trial.rng)
        x = walk(case.schedule, x_0, trial.rng)
        x_t, (start, noise) = x[case.t], path_weights(case.beta)
        eps = (x_t - start[case.t] * x_0) / np.linalg.norm(noise[case.t])
        mean = claimed.reverse.transition(case.schedule, lambda x_t, t: eps, x_t, case.t).mean
        var = sigma_2(case, case.t, "posterior")
        trial.mean("E[x_{t-1}]", x[case.t - 1], mean, var)
        trial.mean("E[x_{t-1} x_0]", x[case.t - 1], mean, var, weight=x_0)
        trial.mean("E[x_{t-1} x_t]", x[case.t - 1], mean, var, weight=x_t)


@identity(
    "reverse.transition_var",
    judges="reverse.transition",
    states=r"\operatorname{Var}_p[x_{t-1} \mid x_t] = \sigma_t^2 I, \qquad \sigma_t^2 \in \{\tilde\beta_t, \beta_t\}",
    source="Ho, Jain & Abbeel (2020), section 3.2",
    statistics=2,
    coincides="A variance and a standard deviation near 1; the two choices on late steps of long schedules.",
)
class TransitionVar:
    """With "posterior" the step is that of data at one point, with "beta" that of data N(0, I), exactly."""

    @staticmethod
    def exact(claimed, case, evidence):
        x, steps = np.tile(case.x_t, (case.T, 1)), np.arange(1, case.T + 1)
        for choice in CHOICES:
            truth = np.array([sigma_2(case, t, choice) for t in steps])
            p = claimed.reverse.transition(case.schedule, affine(case), x, steps, choice)
            evidence.close(f"Var[x_{{t-1}} | x_t], {choice}, for all t", p.var, np.tile(truth[:, None], case.d))
            p = claimed.reverse.transition(case.schedule, affine(case), x[0], case.t, choice)
            evidence.close(f"Var[x_{{t-1}} | x_t], {choice}", p.var, np.full(case.d, truth[case.t - 1]))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for choice, x, var_0 in (("posterior", from_a_point(case, trial), 0.0), ("beta", from_noise(case, trial), 1.0)):
            p = claimed.reverse.transition(case.schedule, affine(case), x[case.t], case.t, choice)
            trial.var(f"Var[x_{{t-1}} | x_t], {choice}", *residual(case, x, case.t, var_0), p.var[0])


@identity(
    "reverse.ancestral",
    judges="reverse.ancestral",
    states=r"x_{t-1} = \mu(x_t, t) + \sigma_t z, \quad z \sim \mathcal{N}(0, I) \text{ for } t > 1,"
    r" \quad z = 0 \text{ for } t = 1, \qquad t = T, \ldots, 1",
    source="Ho, Jain & Abbeel (2020), Algorithm 2",
    statistics=10,
    coincides='With variance="posterior" noise at t = 1 would have variance 0 anyway.',
)
class Ancestral:
    """With the same seed two paths differ by a recursion without noise; the steps' residuals are standard normal."""

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser, x_T = affine(case), np.array([case.x_t, case.eps])

        def path(x_T, choice):
            walked = claimed.reverse.ancestral(case.schedule, denoiser, x_T, np.random.default_rng(case.T), choice)
            return {t: np.array(x) for t, x in walked}

        for choice in CHOICES:
            x, moved = path(x_T, choice), path(x_T + 1.0, choice)
            evidence.true(f"steps T - 1 down to 0, {choice}", list(x) == list(range(case.T - 1, -1, -1)))
            steps, apart = chain(case, denoiser, choice), np.ones_like(x_T)
            for t in range(case.T, 0, -1):
                apart = steps[t][0] * apart
                # the difference of two paths is as exact as the paths are
                scale = 1 + np.abs(x[t - 1]).max()
                evidence.close(f"two paths apart, t = {t - 1}, {choice}", moved[t - 1] - x[t - 1], apart, scale=scale)
            a, b, _ = steps[1]
            evidence.close(f"x_0 is the mean given x_1, {choice}", x[0], a * x[1] + b, scale=1 + np.abs(x[1]).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        denoiser = affine(case)
        for choice in CHOICES:
            x_T = trial.rng.standard_normal((trial.n, case.d))
            x = {case.T: x_T, **dict(claimed.reverse.ancestral(case.schedule, denoiser, x_T, trial.rng, choice))}
            steps = chain(case, denoiser, choice)
            z = {t: (x[t - 1] - a * x[t] - b) / math.sqrt(var) for t, (a, b, var) in steps.items() if t > 1}
            every = np.concatenate(list(z.values()))
            trial.mean(f"mean of z, {choice}", every, 0.0, 1.0)
            trial.var(f"variance of z, {choice}", every, 0.0, 1.0)
            trial.mean(f"z times x_t, {choice}", z[case.t], 0.0, 1.0, weight=x[case.t])
            mean, var = law_of_samples(case, denoiser, choice)
            trial.mean(f"mean of x_0, {choice}", x[0], mean, var)
            trial.var(f"variance of x_0, {choice}", x[0], mean, var)


@identity(
    "reverse.sample",
    judges="reverse.sample",
    states=r"x_T \sim \mathcal{N}(0, I), \; x_{t-1} \sim p(x_{t-1} \mid x_t) \;\Longrightarrow\;"
    r" x_0 \sim \mathcal{N}(m_0, v_0), \qquad m_{t-1} = a_t m_t + b_t, \quad v_{t-1} = a_t^2 v_t + \sigma_t^2"
    r" \quad\text{for}\quad \mu(x_t, t) = a_t x_t + b_t",
    source="Ho, Jain & Abbeel (2020), Algorithm 2",
    statistics=4,
    coincides="A step more or less, or another variance, hardly shows with T = 1000.",
)
class Samples:
    """An affine denoiser makes samples exactly Gaussian; with the same seed its shift moves them by a recursion."""

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser, shifted = affine(case), affine(case, shift=np.linspace(0.5, 1.0, case.d))
        for choice in CHOICES:
            samples = [
                claimed.reverse.sample(case.schedule, one, 4, case.d, np.random.default_rng(case.T), choice)
                for one in (denoiser, shifted)
            ]
            apart = law_of_samples(case, shifted, choice)[0] - law_of_samples(case, denoiser, choice)[0]
            scale = 1 + np.abs(samples).max()
            moved = samples[1] - samples[0]
            evidence.close(f"samples moved, {choice}", moved, np.tile(apart, (4, 1)), scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        denoiser = affine(case)
        for choice in CHOICES:
            x_0 = claimed.reverse.sample(case.schedule, denoiser, trial.n, case.d, trial.rng, choice)
            mean, var = law_of_samples(case, denoiser, choice)
            trial.mean(f"mean of x_0, {choice}", x_0, mean, var)
            trial.var(f"variance of x_0, {choice}", x_0, mean, var)
