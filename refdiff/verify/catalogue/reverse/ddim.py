r"""Identities of DDIM, judged with the joint Gaussian of a chain and with denoisers that are told the noise.

An affine denoiser makes each step affine, so the law of every sample follows from a recursion on means and variances.
"""

import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.reverse.ancestral import affine, from_a_point, sigma_2, step_mean
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, marginal, path_weights

SHARES = (0.0, 0.6, 1.0)  # of eta; .6 and its square differ by .24


def every_pair(case):
    """Return all s and t with 0 <= s < t <= T, as two arrays."""
    return np.array([(s, t) for t in range(1, case.T + 1) for s in range(t)]).T


def posterior_var(case, s, t):
    """Return Var[x_s | x_t, x_0] from the dense joint."""
    return condition(*dense_joint(case.beta, 0.0), s, {t: 0.0})[1]


def step(case, denoiser, x_t, s, t, eta):
    """Return mean and variance of x_s given x_t: so much new noise, and so much of the old that the marginal stays."""
    start, noise = path_weights(case.beta)
    eps, var = denoiser(x_t, t), eta**2 * posterior_var(case, s, t)
    x_0 = (x_t - np.linalg.norm(noise[t]) * eps) / start[t]
    return start[s] * x_0 + math.sqrt(max(noise[s] @ noise[s] - var, 0.0)) * eps, var


def pairs(case, number):
    """Return the pairs (s, t) of a walk down `number` steps, spread evenly over 1..T."""
    kept = [k * case.T // number for k in range(number, -1, -1)]
    return [*zip(kept[1:], kept)]


def some_steps(case):
    """Return a number of steps that leaves some out, if there are more than two."""
    return max(2, case.T - 1)


def chain(case, denoiser, number, eta):
    """Return s, t, a, b (d,) and sigma^2 of x_s = a x_t + b + sigma z for each step of a walk down.

    The step is affine in x_t, so two points determine it.
    """
    steps = []
    for s, t in pairs(case, number):
        b, var = step(case, denoiser, np.zeros(case.d), s, t, eta)
        a = (step(case, denoiser, np.ones(case.d), s, t, eta)[0] - b)[0]
        steps.append((s, t, a, b, var))
    return steps


def law_of_samples(case, denoiser, number, eta):
    """Return mean (d,) and variance of x_0 for x_T ~ N(0, I), by recursion down the chain."""
    mean, var = np.zeros(case.d), 1.0
    for _, _, a, b, step_var in chain(case, denoiser, number, eta):
        mean, var = a * mean + b, a**2 * var + step_var
    return mean, var


def told(case, x_0):
    """Return a denoiser that knows the x_0 of each point."""
    start, noise = path_weights(case.beta)
    std = np.linalg.norm(noise, axis=1)

    def denoiser(x_t, t):
        at = np.asarray(t)
        at = at[..., None] if at.ndim else at
        return (x_t - start[at] * x_0) / std[at]

    return denoiser


@identity(
    "reverse.ddim_var",
    judges="reverse.ddim_var",
    states=r"\sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}"
    r"\left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right) = \eta^2 \operatorname{Var}_q[x_s \mid x_t, x_0]",
    source="Song, Meng & Ermon (2021), eq. 16",
    statistics=2,
    coincides="At eta = 0 and s = 0 all versions are 0; at eta = 1 it does not show whether eta scales the variance or"
    " the standard deviation.",
)
class DdimVar:
    """At eta = 1 it is the variance of x_s given x_t and x_0, a Schur complement; eta scales its square root."""

    @staticmethod
    def exact(claimed, case, evidence):
        ddim_var, (s, t) = claimed.reverse.ddim_var, every_pair(case)
        truth = np.array([posterior_var(case, *pair) for pair in zip(s, t)])
        for eta in SHARES:
            evidence.close(f"sigma^2, eta = {eta}", ddim_var(case.schedule, s, t, eta), eta**2 * truth, at=t)
        one = posterior_var(case, case.s, case.t)
        evidence.close("sigma^2, one pair", ddim_var(case.schedule, case.s, case.t, 1.0), one)
        evidence.true("0 at s = 0, not only small", np.all(np.equal(ddim_var(case.schedule, 0, t, 1.0), 0.0)))
        evidence.refuses("eta above 1", ddim_var, case.schedule, case.s, case.t, 1.5)
        evidence.refuses("eta below 0", ddim_var, case.schedule, case.s, case.t, -0.5)
        evidence.refuses("s = t", ddim_var, case.schedule, case.t, case.t, 1.0)
        evidence.refuses("s above t", ddim_var, case.schedule, case.t, case.s, 1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, t, x = case.s, case.t, from_a_point(case, trial)
        mean, cov = dense_joint(case.beta, case.x_0)
        known = mean[s] + cov[t, s] / cov[t, t] * (x[t] - mean[t])
        for eta in (1.0, 0.6):
            claim = claimed.reverse.ddim_var(case.schedule, s, t, eta)
            trial.var(f"Var[x_s | x_t, x_0] by eta = {eta}", x[s], known, claim / eta**2)


@identity(
    "reverse.ddim_transition",
    judges="reverse.ddim_transition",
    states=r"q_\sigma(x_s \mid x_t, \hat x_0) = \mathcal{N}\left(\sqrt{\bar\alpha_s}\,\hat x_0"
    r" + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon(x_t, t),\; \sigma^2 I\right), \qquad"
    r" \hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon(x_t, t)}{\sqrt{\bar\alpha_t}}",
    source="Song, Meng & Ermon (2021), eq. 7, 12 and 16",
    statistics=3,
    coincides="With eta = 0 nothing is subtracted from 1 - alpha_bar_s, and with s = 0 only x_0_hat is left.",
)
class DdimTransition:
    """Coefficients from weights along the path and a Schur complement, for every pair of steps.

    By chance: x_s and x_t are made as normals with the right marginals and the correlation that leaves sigma^2 open.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        transition, denoiser, (s, t) = claimed.reverse.ddim_transition, affine(case), every_pair(case)
        x_t = np.array(case.x_t)
        x = np.linspace(0.5, 1.5, len(t))[:, None] * x_t
        for eta in SHARES:
            truth = [step(case, denoiser, *one, eta) for one in zip(x, s, t)]
            mean, var = np.array([one[0] for one in truth]), np.tile([[one[1]] for one in truth], case.d)
            p = transition(case.schedule, denoiser, x, s, t, eta)
            evidence.close(f"E[x_s | x_t], eta = {eta}", p.mean, mean, at=t)
            evidence.close(f"Var[x_s | x_t], eta = {eta}", p.var, var, at=t)
            mean, var = step(case, denoiser, x_t, case.s, case.t, eta)
            p = transition(case.schedule, denoiser, x_t, case.s, case.t, eta)
            evidence.close(f"E[x_s | x_t], one point, eta = {eta}", p.mean, mean)
            evidence.close(f"Var[x_s | x_t], one point, eta = {eta}", p.var, np.full(case.d, var))
        default = transition(case.schedule, denoiser, x_t, case.s, case.t)
        evidence.true("eta is 0 if nothing is said", np.all(np.equal(default.var, 0.0)))
        evidence.refuses("s = t", transition, case.schedule, denoiser, x_t, case.t, case.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, t, x_0 = case.s, case.t, case.spread_out(trial.n, trial.rng)
        (signal_s, var_s), (signal_t, var_t) = marginal(case.beta, s), marginal(case.beta, t)
        eps, z = trial.rng.standard_normal((2, *x_0.shape))
        open_ = 0.6**2 * posterior_var(case, s, t) / var_s  # the share of var_s that x_t says nothing of
        x_t = signal_t * x_0 + math.sqrt(var_t) * eps
        x_s = signal_s * x_0 + math.sqrt(var_s) * (math.sqrt(1 - open_) * eps + math.sqrt(open_) * z)
        p = claimed.reverse.ddim_transition(case.schedule, told(case, x_0), x_t, s, t, 0.6)
        trial.conditional("x_s", x_s, p.mean, p.var[0], x_t=x_t)


@identity(
    "reverse.ddim_keeps_the_marginals",
    judges="reverse.ddim_transition",
    states=r"\int q_\sigma(x_s \mid x_t, x_0)\,q(x_t \mid x_0)\,dx_t = q(x_s \mid x_0) \qquad\text{for every } \eta",
    source="Song, Meng & Ermon (2021), lemma 1",
    statistics=6,
    coincides="It does not know sigma^2: any share of the noise may be new, if the rest is kept.",
)
class DdimKeepsTheMarginals:
    """If the denoiser knows x_0, the step is affine in the noise of x_t: what it keeps and what it adds make one whole.

    By chance: x_t from a walk, x_s from the step, judged by the closed form of the marginal.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        start, noise = path_weights(case.beta)
        (s, t), x_0 = every_pair(case), np.array(case.x_0)
        std_t, var_s = np.linalg.norm(noise[t], axis=1)[:, None], (noise[s] ** 2).sum(axis=1)
        for eta in SHARES:
            without, once = (
                claimed.reverse.ddim_transition(
                    case.schedule, told(case, x_0), start[t][:, None] * x_0 + std_t * eps, s, t, eta
                )
                for eps in (0.0, 1.0)
            )
            # x_0 is found by division
            evidence.close(f"mean at no noise, eta = {eta}", without.mean, np.outer(start[s], x_0), 1e-11, at=t)
            kept, var = once.mean - without.mean, np.asarray(once.var)
            whole = np.tile(var_s[:, None], case.d)
            evidence.close(f"kept and new variance, eta = {eta}", kept**2 + var, whole, 1e-11, at=t)
            evidence.true(f"what is kept has its sign, eta = {eta}", np.all(kept[s > 0] > 0))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = case.spread_out(trial.n, trial.rng)
        x = walk(case.schedule, x_0, trial.rng)
        signal, var = marginal(case.beta, case.s)
        for eta in SHARES:
            p = claimed.reverse.ddim_transition(case.schedule, told(case, x_0), x[case.t], case.s, case.t, eta)
            x_s = p.mean + np.sqrt(p.var) * trial.rng.standard_normal(x_0.shape)
            trial.mean(f"E[x_s | x_0], eta = {eta}", x_s, signal * x_0, var)
            trial.var(f"Var[x_s | x_0], eta = {eta}", x_s, signal * x_0, var)


@identity(
    "reverse.ddim_vs_ancestral",
    judges="reverse.ddim_transition",
    states=r"\eta = 1: \quad q_\sigma(x_s \mid x_t, x_0) = q(x_s \mid x_t, x_0), \qquad"
    r" q_\sigma(x_{t-1} \mid x_t, \hat x_0) = p(x_{t-1} \mid x_t) \text{ with } \sigma_t^2 = \tilde\beta_t",
    source="Song, Meng & Ermon (2021), section 4.1",
    statistics=4,
    coincides="The noise of one step of a long schedule is small beside what is kept, whatever eta.",
)
class DdimVsAncestral:
    """With eta = 1 the step is the chain's own: conditioning of the dense joint, the residuals of a walk."""

    @staticmethod
    def exact(claimed, case, evidence):
        transition, denoiser, x_t = claimed.reverse.ddim_transition, affine(case), np.array(case.x_t)
        x, t = np.tile(x_t, (case.T, 1)), np.arange(1, case.T + 1)
        p = transition(case.schedule, denoiser, x, t - 1, t, 1.0)
        evidence.close("E[x_{t-1} | x_t]", p.mean, [step_mean(case, denoiser, x_t, one) for one in t], at=t)
        var = np.array([sigma_2(case, one, "posterior") for one in t])
        evidence.close("Var[x_{t-1} | x_t]", p.var, np.tile(var[:, None], case.d), at=t)
        joint, start = dense_joint(case.beta, case.x_0), path_weights(case.beta)[0]
        (s, t), x_0 = every_pair(case), np.array(case.x_0)
        x = start[t][:, None] * x_0 + x_t
        p = transition(case.schedule, told(case, x_0), x, s, t, 1.0)
        truth = [condition(*joint, one, {other: at}) for one, other, at in zip(s, t, x)]
        evidence.close("E[x_s | x_t, x_0]", p.mean, np.array([one[0] for one in truth]), 1e-11, at=t)
        evidence.close("Var[x_s | x_t, x_0]", p.var, np.tile([[one[1]] for one in truth], case.d), at=t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = case.spread_out(trial.n, trial.rng)
        x = walk(case.schedule, x_0, trial.rng)
        p = claimed.reverse.ddim_transition(case.schedule, told(case, x_0), x[case.t], case.s, case.t, 1.0)
        trial.conditional("x_s", x[case.s], p.mean, p.var[0], x_0=x_0, x_t=x[case.t])


@identity(
    "reverse.ddim_path",
    judges="reverse.ddim_path",
    states=r"x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k}, \hat x_0), \quad k = K, \ldots, 1, \qquad"
    r" \tau_k = \lfloor k T / K \rfloor, \quad \tau_0 = 0, \quad \tau_K = T",
    source="Song, Meng & Ermon (2021), section 4.2 and eq. 12",
    statistics=10,
    coincides="Where K divides T, the steps are T / K apart, so that a stride finds them as well.",
)
class DdimPath:
    """Without noise the whole path follows from x_T; with noise, two paths of one seed differ by a recursion.

    By chance: the residuals of the steps are standard normal, and x_0 is normal with a known law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser, x_T = affine(case), np.array([case.x_t, case.eps])

        def path(x_T, steps, eta, seed=case.T):
            rng = np.random.default_rng(seed)
            walked = claimed.reverse.ddim_path(case.schedule, denoiser, x_T, rng, steps, eta)
            return {t: np.array(x) for t, x in walked}

        for number in (case.T, some_steps(case)):
            where = [s for s, _ in pairs(case, number)]
            for eta in SHARES:
                x, moved = path(x_T, number, eta), path(x_T + 1.0, number, eta)
                evidence.true(f"steps down to 0, {number} of them, eta = {eta}", list(x) == where)
                apart = np.ones_like(x_T)
                for s, _, a, _, _ in chain(case, denoiser, number, eta):
                    apart = a * apart
                    # the difference of two paths is as exact as the paths are
                    scale = 1 + np.abs(x[s]).max()
                    evidence.close(f"two paths apart, t = {s}, eta = {eta}", moved[s] - x[s], apart, scale=scale)
            x, x_t = path(x_T, number, 0.0, seed=case.T + 1), x_T
            for s, t in pairs(case, number):
                x_t = np.array([step(case, denoiser, one, s, t, 0.0)[0] for one in x_t])
                evidence.close(f"the path without noise, t = {s}", x[s], x_t)
        chosen = sorted({1, case.s, case.T})
        evidence.true("the steps themselves", list(path(x_T, chosen, 0.0)) == [*chosen[-2::-1], 0])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        denoiser, number = affine(case), some_steps(case)
        for eta in (0.6, 1.0):
            x_T = trial.rng.standard_normal((trial.n, case.d))
            walked = claimed.reverse.ddim_path(case.schedule, denoiser, x_T, trial.rng, number, eta)
            x, steps = {case.T: x_T, **dict(walked)}, chain(case, denoiser, number, eta)
            z = {s: (x[s] - a * x[t] - b) / math.sqrt(var) for s, t, a, b, var in steps if s > 0}
            every, (s, t, *_) = np.concatenate(list(z.values())), steps[0]
            trial.mean(f"mean of z, eta = {eta}", every, 0.0, 1.0)
            trial.var(f"variance of z, eta = {eta}", every, 0.0, 1.0)
            trial.mean(f"z times x_t, eta = {eta}", z[s], 0.0, 1.0, weight=x[t])
            mean, var = law_of_samples(case, denoiser, number, eta)
            trial.mean(f"mean of x_0, eta = {eta}", x[0], mean, var)
            trial.var(f"variance of x_0, eta = {eta}", x[0], mean, var)


@identity(
    "reverse.ddim",
    judges="reverse.ddim",
    states=r"x_T \sim \mathcal{N}(0, I), \; x_{\tau_{k-1}} \sim q_\sigma(x_{\tau_{k-1}} \mid x_{\tau_k}, \hat x_0)"
    r" \quad\Longrightarrow\quad x_0 \sim \mathcal{N}(m_0, v_0), \qquad m_s = a m_t + b, \quad v_s = a^2 v_t + \sigma^2"
    r" \quad\text{where}\quad \mathbb{E}[x_s \mid x_t] = a x_t + b",
    source="Song, Meng & Ermon (2021), eq. 12",
    statistics=6,
    coincides="With T = 1000 and many steps, one step more or less and the last alpha_bar hardly show.",
)
class DdimSamples:
    """An affine denoiser makes samples exactly Gaussian; with the same seed its shift moves them by a recursion."""

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser, shifted = affine(case), affine(case, shift=np.linspace(0.5, 1.0, case.d))
        for number in (case.T, some_steps(case)):
            for eta in SHARES:
                samples = [
                    claimed.reverse.ddim(
                        case.schedule, one, 4, case.d, np.random.default_rng(case.T), steps=number, eta=eta
                    )
                    for one in (denoiser, shifted)
                ]
                laws = [law_of_samples(case, one, number, eta)[0] for one in (denoiser, shifted)]
                scale, apart = 1 + np.abs(samples).max(), np.tile(laws[1] - laws[0], (4, 1))
                what = f"samples moved, {number} steps, eta = {eta}"
                evidence.close(what, samples[1] - samples[0], apart, scale=scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        denoiser, number = affine(case), some_steps(case)
        for eta in SHARES:
            x_0 = claimed.reverse.ddim(case.schedule, denoiser, trial.n, case.d, trial.rng, steps=number, eta=eta)
            mean, var = law_of_samples(case, denoiser, number, eta)
            trial.mean(f"mean of x_0, eta = {eta}", x_0, mean, var)
            trial.var(f"variance of x_0, eta = {eta}", x_0, mean, var)
