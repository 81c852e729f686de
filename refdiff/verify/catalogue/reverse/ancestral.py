r"""Identities of the reverse process, judged with denoisers for which all of it is Gaussian and known.

A denoiser that is affine in x_t makes each step affine, so the law of every sample follows from a recursion on means
and variances. A denoiser that is told the noise turns the step into a conditional law of the forward chain.
"""

import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.mixture import Even, eps_loss_on_a_grid, on_a_grid
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, gradient, log_normal, marginal, path_weights

CHOICES = ("posterior", "beta")
CALLS = 40  # of a function that gives only a mean: so many means show how much they scatter


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
    r" \sigma_t^2 = \beta_t = \operatorname{Var}[x_{t-1} \mid x_t] \text{ for data } \mathcal{N}(0, I)"
    r" \qquad\text{or as given}",
    source="Ho, Jain & Abbeel (2020), section 3.2",
    statistics=3,
    coincides="Late steps of long schedules, where both choices agree to many digits.",
)
class Var:
    """Each choice is the exact variance of the step back for some data: at one point, N(0, I), or N(0, v I)."""

    @staticmethod
    def given(case):
        """Return Var[x_{t-1} | x_t] for t = 0..T and data N(0, var_q), entry 0 unused: neither beta nor beta_tilde."""
        mean, cov = dense_joint(case.beta, 0.0, case.var_q)
        return np.array([9.0, *(condition(mean, cov, t - 1, {t: 0.0})[1] for t in range(1, case.T + 1))])

    @staticmethod
    def exact(claimed, case, evidence):
        steps, var = np.arange(1, case.T + 1), claimed.reverse.var
        for choice in CHOICES:
            truth = np.array([sigma_2(case, t, choice) for t in steps])
            evidence.close(f"sigma_t^2, {choice}, for all t", var(case.schedule, steps, choice), truth, at=steps)
            evidence.close(f"sigma_t^2, {choice}, for one t", var(case.schedule, case.t, choice), truth[case.t - 1])
        evidence.true("beta_tilde_1 is 0, not only small", np.all(np.equal(var(case.schedule, 1, "posterior"), 0.0)))
        own = Var.given(case)
        for first in (own[1], 0.0):
            own[1] = first
            evidence.close("an array, for all t", var(case.schedule, steps[::-1], own), own[:0:-1])
            evidence.close("an array, for one t", var(case.schedule, case.t, own), own[case.t])
        evidence.refuses("an array without t = 0", var, case.schedule, 1, own[1:])
        evidence.refuses("one number", var, case.schedule, 1, own[case.t])
        evidence.refuses("logarithms", var, case.schedule, case.t, np.log(0.5 * case.schedule.beta + 0.1))
        evidence.refuses("another name", var, case.schedule, 1, "fixed_small")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        var = claimed.reverse.var
        of_data = walk(case.schedule, math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d)), trial.rng)
        for name, choice, x, var_0 in (
            ("posterior", "posterior", from_a_point(case, trial), 0.0),
            ("beta", "beta", from_noise(case, trial), 1.0),
            ("an array", Var.given(case), of_data, case.var_q),
        ):
            claim = var(case.schedule, case.t, choice)
            trial.var(f"sigma_t^2, {name}", *residual(case, x, case.t, var_0), claim)


@identity(
    "reverse.interpolated_var",
    judges="reverse.interpolated_var",
    states=r"\log\sigma_t^2 = v_t \log\beta_t + (1 - v_t) \log\tilde\beta_t",
    source="Nichol & Dhariwal (2021), eq. 15",
    statistics=4,
    coincides="v = 0 and v = 1, whatever is interpolated in between. On linear-1000 the means of variances and of"
    " logarithms differ by 8 % at t = 2 and by 4e-5 at t = 100.",
)
class InterpolatedVar:
    """With v = k/8 its eighth power is a product of beta_t and beta_tilde_t, which both are variances of a step back.

    By chance: powers of what is claimed and of one end give the other end, and that is measured.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        interpolated_var, steps = claimed.reverse.interpolated_var, np.arange(2, case.T + 1)
        low, high = (np.array([sigma_2(case, t, choice) for t in steps]) for choice in CHOICES)
        for k in range(9):
            found = np.asarray(interpolated_var(case.schedule, k / 8))
            product = np.prod([high] * k + [low] * (8 - k), axis=0)
            evidence.close(f"sigma_t^16, v = {k}/8", found[2:] ** 8 / product, np.ones(case.T - 1))
            evidence.close(f"t = 0 and 1, v = {k}/8", found[:2], [0.0, case.beta[0] if k == 8 else 0.0])
        k = (3 * np.arange(case.T + 1) + case.t) % 9
        found = np.asarray(interpolated_var(case.schedule, k / 8))
        truth = high ** k[2:] * low ** (8 - k[2:])
        evidence.close("sigma_t^16, another v at each t", found[2:] ** 8 / truth, np.ones(case.T - 1))
        evidence.refuses("an output of -1", interpolated_var, case.schedule, -1.0)
        evidence.refuses("v without t = 0", interpolated_var, case.schedule, k[1:] / 8)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        interpolated_var, t = claimed.reverse.interpolated_var, case.t
        low, high = (sigma_2(case, t, choice) for choice in CHOICES)
        (x, mean), (y, at) = (
            residual(case, from_a_point(case, trial), t, 0.0),
            residual(case, from_noise(case, trial), t, 1.0),
        )
        for name, k in (("v = 0", 0), ("v = 7/8", 7)):
            claim = float(interpolated_var(case.schedule, k / 8)[t])
            trial.var(f"beta_tilde_t by {name}", (x - mean).ravel(), 0.0, (claim / high ** (k / 8)) ** (8 / (8 - k)))
        for name, k in (("v = 1", 8), ("v = 1/8", 1)):
            claim = float(interpolated_var(case.schedule, k / 8)[t])
            trial.var(f"beta_t by {name}", (y - at).ravel(), 0.0, (claim / low ** (1 - k / 8)) ** (8 / k))


@identity(
    "reverse.eps_loss",
    judges="reverse.eps_loss",
    states=r"\ell_t = \frac1d\,\mathbb{E}_{q(x_0),\,\epsilon} \Vert\epsilon"
    r" - \hat\epsilon(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)\Vert^2",
    source="Ho, Jain & Abbeel (2020), eq. 14, not averaged over t",
    statistics=2,
    coincides="Sum and mean over the coordinates agree for d = 1; for the ideal denoiser of data at a point all is 0.",
)
class EpsLoss:
    """A denoiser that knows x_0 finds the noise again: what it is off by is what must come back.

    One that takes notes shows that each point has its own noise. By chance: a linear denoiser's squared errors are
    quadratic forms in the noise of x_t.
    """

    @staticmethod
    def points(case, n):
        """Return n points of data, two different ones in turn."""
        return np.resize([case.x_0, case.eps], (n, case.d))

    @staticmethod
    def exact(claimed, case, evidence):
        x_0 = EpsLoss.points(case, 5)
        pattern = np.outer([1.0, -1.0, 2.0, -0.5, 1.0], 1.0 + np.arange(case.d))
        start, noise = path_weights(case.beta)
        std, seen = np.sqrt((noise**2).sum(axis=1)), {}

        def denoiser(x_t, t):
            t = np.asarray(t)
            eps = (x_t - start[t][..., None] * x_0) / std[t][..., None]
            for step, row in zip(np.broadcast_to(t, len(x_t)), eps, strict=True):
                seen.setdefault(int(step), []).append(row)
            return eps + np.sqrt(t)[..., None] * pattern

        found = claimed.reverse.eps_loss(case.schedule, denoiser, x_0, np.random.default_rng(case.T))
        # eps is found by division
        evidence.close("t times a pattern", found, np.arange(case.T + 1) * np.mean(pattern**2), 1e-11)
        for t, eps in seen.items():
            evidence.true(f"each x_{t} has its own noise", len(np.unique(np.round(eps, 9))) == x_0.size)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = EpsLoss.points(case, max(2, trial.n // CALLS))
        found = [claimed.reverse.eps_loss(case.schedule, case.denoiser, x_0, trial.rng) for _ in range(CALLS)]
        for t in (1, case.t):
            signal, var = marginal(case.beta, t)
            mean, slope = -case.denoiser(signal * x_0, t), 1 - case.slope * math.sqrt(var)
            law = 2 * mean * slope / mean.size, np.full(mean.size, slope**2 / mean.size)
            truth = np.mean(mean**2) + slope**2
            trial.quadratic(f"E |eps - eps_hat|^2 / d, t = {t}", np.array(found)[:, t], truth, *law)


@identity(
    "reverse.optimal_var",
    judges="reverse.optimal_var",
    states=r"\sigma_t^{*2} = \tilde\beta_t + \frac{\beta_t^2}{\alpha_t\,(1 - \bar\alpha_t)}\,"
    r"\tfrac1d\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2"
    r" \qquad = \tfrac1d\,\mathbb{E}\Vert x_{t-1} - \mu(x_t, t)\Vert^2",
    source="Bao et al. (2022), theorem 1, for the ideal denoiser",
    statistics=2,
    coincides="With the ideal denoiser it is beta_t for data N(0, I) and beta_tilde_t for data at one point; on late"
    " steps of long schedules these are nearly one.",
)
class OptimalVar:
    """Gaussian data: the dense joint knows how far any linear denoiser is from eps, and its mean from x_{t-1}.

    Mixture data and their ideal denoiser: sums over grids. By chance: the residual of a walk is as large as claimed.
    """

    @staticmethod
    def of_gaussian(case, var_0):
        """Return Var[eps | x_t] and Var[x_{t-1} | x_t] for t = 0..T and data N(m, var_0), by conditioning."""
        (mean, cov), start = dense_joint(case.beta, 0.0, var_0), path_weights(case.beta)[0]
        losses, left = np.zeros(case.T + 1), np.zeros(case.T + 1)
        for t in range(1, case.T + 1):
            losses[t] = start[t] ** 2 * var_0 / cov[t, t]  # the share of x_t's variance that is not noise
            left[t] = condition(mean, cov, t - 1, {t: 0.0})[1]
        return losses, left

    @staticmethod
    def of_linear(case, var_0):
        """Return E|eps - eps_hat|^2 and E|x_{t-1} - mu|^2 per coordinate, linear denoiser and data N(0, var_0)."""
        cov, noise = dense_joint(case.beta, 0.0, var_0)[1], path_weights(case.beta)[1]
        losses, errors = np.zeros(case.T + 1), np.zeros(case.T + 1)
        zero, one = np.zeros(1), np.ones(1)
        for t in range(1, case.T + 1):
            std = np.linalg.norm(noise[t])  # Cov(eps, x_t)
            losses[t] = 1 - 2 * case.slope * std + case.slope**2 * cov[t, t] + case.intercept**2
            b = float(step_mean(case, case.denoiser, zero, t)[0])
            a = float(step_mean(case, case.denoiser, one, t)[0]) - b
            errors[t] = cov[t - 1, t - 1] - 2 * a * cov[t, t - 1] + a**2 * cov[t, t] + b**2
        return losses, errors

    @staticmethod
    def exact(claimed, case, evidence):
        optimal_var = claimed.reverse.optimal_var
        for name, variances in (
            ("N(0, I)", [1.0]),
            ("nearly a point", [1e-9]),
            ("a point", [0.0]),
            ("unlike coordinates", case.var_q * 2.0 ** np.arange(case.d)),
        ):
            losses, left = np.mean([OptimalVar.of_gaussian(case, var) for var in variances], axis=0)
            evidence.close(f"E Var[x_{{t-1}} | x_t], {name}", optimal_var(case.schedule, losses), left, 1e-11)
        losses, errors = OptimalVar.of_linear(case, case.var_q)
        evidence.close("E|x_{t-1} - mu|^2, linear", optimal_var(case.schedule, losses), errors, 1e-11)
        left = np.zeros(case.T + 1)
        for t in range(1, case.T + 1):
            x, _, joint = on_a_grid(case, t - 1, t)
            given = joint / joint.sum(axis=0)
            left[t] = np.sum(joint * (x - np.sum(given * x, axis=0)) ** 2)
        found = optimal_var(case.schedule, eps_loss_on_a_grid(case))
        evidence.close("E Var[x_{t-1} | x_t], mixture", found, left, 1e-10)  # quadrature on both sides

    @staticmethod
    def monte_carlo(claimed, case, trial):
        losses, _ = OptimalVar.of_gaussian(case, case.var_q)
        claim = np.asarray(claimed.reverse.optimal_var(case.schedule, losses))
        x = walk(case.schedule, math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d)), trial.rng)
        for t in (1, case.t):
            samples, mean = residual(case, x, t, case.var_q)
            trial.var(f"Var[x_{t - 1} | x_{t}]", (samples - mean).ravel(), 0.0, float(claim[t]))


@identity(
    "reverse.optimal_var_is_optimal",
    judges="reverse.optimal_var",
    states=r"\sigma_t^{*2} = \operatorname*{arg\,min}_{s^2} \mathbb{E}_{q(x_t)}\,\mathrm{KL}\left(q(x_{t-1} \mid x_t)"
    r" \,\Vert\, \mathcal{N}(\mathbb{E}[x_{t-1} \mid x_t], s^2 I)\right)",
    source="Bao et al. (2022), theorem 1",
    statistics=2,
    coincides="Near the optimum the divergence is flat: 10 % too much variance costs .0022 nats a coordinate.",
)
class OptimalVarIsOptimal:
    """The part of the divergence that s^2 is in, by sums over a grid: flat at what is claimed, and nowhere lower.

    By chance: over walks from two components of one width it is the mean squared residual, part by part.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        best = np.asarray(claimed.reverse.optimal_var(case.schedule, eps_loss_on_a_grid(case)))
        for t in (1, case.t):
            x, _, joint = on_a_grid(case, t - 1, t)
            mean = np.sum(joint * x, axis=0) / joint.sum(axis=0)

            def price(log_var, x=x, joint=joint, mean=mean):  # -E log N(x_{t-1}; E[x_{t-1} | x_t], s^2)
                return -np.sum(joint * log_normal((x - mean)[..., None], 0.0, np.exp(log_var)))

            best_t = max(best[t], 1e-9)  # what claims that nothing is left open is wrong by a finite number
            at = np.log([best_t])
            # central differences of a sum that is right to 1e-13
            evidence.close(f"slope in log s^2 at t = {t}", gradient(price, at), [0.0], 1e-9)
            others = (0.3, 0.9, 0.99, 1.01, 1.1, 3.0, case.beta[t - 1] / best_t)
            lower = [one for one in others if price(at + math.log(one)) < price(at) - 1e-12]
            evidence.true(f"no other s^2 is better at t = {t}", not lower)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        even = Even(case, case.d)
        claim = claimed.reverse.optimal_var(case.schedule, even.eps_loss())[case.t]
        even.judge(trial, "E |x_{t-1} - E[x_{t-1} | x_t]|^2 / d", claim, case.t - 1, case.t)


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
        evidence.refuses("beta_tilde_1", decoder_var, case.schedule, "beta_tilde_1")
        evidence.refuses("no variance", decoder_var, case.schedule, 0.0)
        evidence.refuses("beta_tilde_2 with one step", decoder_var, case.schedule.from_betas([0.5]), "beta_tilde_2")

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
        what = "E[x_{t-1} | x_t], eps_hat = slope x_t + intercept, one t a point"
        evidence.close(what, claimed.reverse.transition(case.schedule, denoiser, x, steps).mean, truth, at=steps)

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
            evidence.close(
                f"Var[x_{{t-1}} | x_t], {choice}, for all t", p.var, np.tile(truth[:, None], case.d), at=steps
            )
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
    states=r"x_{t-1} = \mu(x_t, t) + \sigma_t z, \qquad z \sim \mathcal{N}(0, I) \text{ for } t > 1,"
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
    states=r"x_T \sim \mathcal{N}(0, I), \; x_{t-1} \sim p(x_{t-1} \mid x_t) \quad\Longrightarrow\quad"
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
