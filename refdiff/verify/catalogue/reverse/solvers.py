r"""Identities of the solvers of second order, judged by variation of constants and in the coordinates of the flow.

Rates come from weights along the path, and the integral of a step from Gauss's quadrature. An affine denoiser makes a
whole path affine in x_T, however many steps it remembers, so that two points determine the law of every sample.
"""

import math
from dataclasses import replace

import numpy as np

from refdiff.verify.catalogue.reverse.ancestral import affine
from refdiff.verify.catalogue.reverse.ddim import pairs, some_steps, step, told
from refdiff.verify.identity import identity
from refdiff.verify.oracles import marginal, path_weights


def longer(case):
    """Return the case with one more step: a step that remembers another needs three."""
    return replace(case, beta=(*case.beta, case.beta[0]))


def bent(case):
    """Return a denoiser that is not affine in x_t."""
    straight = affine(case)
    return lambda x_t, t: np.sin(straight(x_t, t))


def rates(case):
    """Return a_t and sigma_t with x_t = a_t x_0 + sigma_t eps, for t = 0..T."""
    start, noise = path_weights(case.beta)
    return start, np.linalg.norm(noise, axis=1)


def lambdas(case, *steps):
    """Return log(a_t / sigma_t) at some steps."""
    signal, std = rates(case)
    return [math.log(signal[t] / std[t]) for t in steps]


def middle(case, now, before, s, t, t_before):
    """Return the line through two predictions, over lambda, half way from t to s."""
    at_s, at_t, at_before = lambdas(case, s, t, t_before)
    return now + (now - before) / (at_t - at_before) * ((at_s + at_t) / 2 - at_t)


def variation_of_constants(case, D, x_t, s, t):
    """Return x_s = sigma_s / sigma_t x_t + sigma_s times the integral of e^lambda D, by Gauss's quadrature."""
    (_, std), (high, low) = rates(case), lambdas(case, s, t)
    nodes, weights = np.polynomial.legendre.leggauss(32)
    integral = (high - low) / 2 * weights @ np.exp((high + low) / 2 + (high - low) / 2 * nodes)
    return std[s] / std[t] * x_t + std[s] * integral * D


def multistep(case, denoiser, x_T, walked):
    """Return x_s under s of a walk down pairs (s, t): as DDIM at both ends, with what is remembered in between."""
    signal, std = rates(case)
    x, x_t, before = {}, x_T, None
    for s, t in walked:
        now = (x_t - std[t] * denoiser(x_t, t)) / signal[t]
        if before is None or s == 0:
            x_s = step(case, denoiser, x_t, s, t, 0.0)[0]
        else:
            x_s = variation_of_constants(case, middle(case, now, before[0], s, t, before[1]), x_t, s, t)
        x[s], x_t, before = x_s, x_s, (now, t)
    return x


def along_the_flow(case, denoiser, y_t, s, t):
    """Return y_s of a step of Heun's in y = x / a over sigma / a; to s = 0 there is only the slope at t."""
    signal, std = rates(case)
    span = std[s] / signal[s] - std[t] / signal[t]
    slope = denoiser(signal[t] * y_t, t)
    if s == 0:
        return y_t + span * slope
    return y_t + span * (slope + denoiser(signal[s] * (y_t + span * slope), s)) / 2


def predict_and_correct(case, denoiser, x_T, walked):
    """Return x_s under s of a walk of Heun's down pairs (s, t)."""
    signal, _ = rates(case)
    x, x_t = {}, x_T
    for s, t in walked:
        x_t = x[s] = signal[s] * along_the_flow(case, denoiser, x_t / signal[t], s, t)
    return x


def law(case, walk_down, denoiser, s, walked):
    """Return mean (d,) and variance of x_s for x_T ~ N(0, I) and a denoiser that is affine, alike along each axis."""
    mean, moved = (walk_down(case, denoiser, np.full(case.d, one), walked)[s] for one in (0.0, 1.0))
    return mean, (moved - mean)[0] ** 2


def follows(evidence, case, path, walk_down):
    """Compare a path with a loop from its definition: some steps and all, given by number and one by one."""
    x_T = np.array([case.x_t, case.eps])
    for kind, denoiser in (("affine", affine(case)), ("bent", bent(case))):
        for number in (case.T, some_steps(case), 1):
            walked = pairs(case, number)
            x, truth = dict(path(case.schedule, denoiser, x_T, number)), walk_down(case, denoiser, x_T, walked)
            evidence.true(f"steps down to 0, {number} of them, {kind}", list(x) == [s for s, _ in walked])
            for s, _ in walked:
                evidence.close(f"x at t = {s}, {number} steps, {kind}", x[s], truth[s], 1e-11)
    chosen = [1, case.t, case.T]
    walked = [(case.t, case.T), (1, case.t), (0, 1)]
    x, truth = dict(path(case.schedule, bent(case), x_T, chosen)), walk_down(case, bent(case), x_T, walked)
    evidence.true("the steps themselves", list(x) == [case.t, 1, 0])
    evidence.close("x_0 by the steps themselves", x[0], truth[0], 1e-11)


def together(trial, samples, laws):
    """Judge several samples (n, d), each with its law, as columns of two statistics."""
    mean = np.concatenate([np.broadcast_to(mean, x.shape[1:]) for x, (mean, _) in zip(samples, laws)])
    var = np.concatenate([np.full(x.shape[1:], var) for x, (_, var) in zip(samples, laws)])
    trial.mean("mean", np.hstack(samples), mean, var)
    trial.var("variance", np.hstack(samples), mean, var)


def path_is_normal(trial, case, path, walk_down):
    """Judge the law of x_0, and of x after two steps, of paths with an affine denoiser."""
    denoiser, walked = affine(case), pairs(case, case.T)
    x = dict(path(case.schedule, denoiser, trial.rng.standard_normal((trial.n, case.d)), case.T))
    where = walked[1][0], 0
    together(trial, [x[s] for s in where], [law(case, walk_down, denoiser, s, walked) for s in where])


def samples_move(evidence, case, sample, walk_down):
    """Compare the difference that another denoiser makes to samples of one seed: it is that of their means."""
    denoiser, shifted = affine(case), affine(case, shift=np.linspace(0.5, 1.0, case.d))
    for number in (case.T, some_steps(case)):
        samples = [
            sample(case.schedule, one, 4, case.d, np.random.default_rng(case.T), number) for one in (denoiser, shifted)
        ]
        means = [law(case, walk_down, one, 0, pairs(case, number))[0] for one in (denoiser, shifted)]
        scale, apart = 1 + np.abs(samples).max(), np.tile(means[1] - means[0], (4, 1))
        evidence.close(f"samples moved, {number} steps", samples[1] - samples[0], apart, 1e-11, scale=scale)


def samples_are_normal(trial, case, sample, walk_down):
    """Judge the law of samples, by all steps and by some."""
    denoiser, numbers = affine(case), (case.T, 3)
    x_0 = [sample(case.schedule, denoiser, trial.n, case.d, trial.rng, number) for number in numbers]
    together(trial, x_0, [law(case, walk_down, denoiser, 0, pairs(case, number)) for number in numbers])


@identity(
    "reverse.dpmpp_2m_step",
    judges="reverse.dpmpp_2m_step",
    states=r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_s \left(e^{-h} - 1\right) D"
    r" = \frac{\sigma_s}{\sigma_t}\,x_t + \sigma_s \int_{\lambda_t}^{\lambda_s} e^\lambda D\,d\lambda, \qquad"
    r" D = \left(1 + \frac1{2r}\right) \hat x_0(t) - \frac1{2r}\,\hat x_0(t_{\text{before}}), \qquad"
    r" r = \frac{\lambda_t - \lambda_{t_{\text{before}}}}{\lambda_s - \lambda_t}, \qquad"
    r" \lambda = \log\frac a\sigma",
    source="Lu et al. (2022b), DPM-Solver++, Algorithm 2",
    statistics=3,
    coincides="Where both predictions are the same, what is made of them does not show. Where all steps in lambda are"
    " equal, r = 1 is its own inverse, and h is the h before.",
)
class Dpmpp2mStep:
    """The integral of the variation of constants by quadrature, the prediction by a line through two of them.

    By chance: x_t has its noise and the prediction before is off by a shift, which moves x_s by so much.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        case = longer(case)
        take = claimed.reverse.dpmpp_2m_step
        now, before, x_t = (np.array(one) for one in (case.x_0, case.eps, case.x_t))
        every = [(s, t, b) for b in range(3, case.T + 1) for t in range(2, b) for s in range(1, t)]
        truth = [variation_of_constants(case, middle(case, now, before, s, t, b), x_t, s, t) for s, t, b in every]
        for one, right in zip(every, truth):
            evidence.close(f"x_s, s, t and t_before = {one}", take(case.schedule, now, before, x_t, *one), right)
        rows, steps = [np.tile(one, (len(every), 1)) for one in (now, before, x_t)], np.array(every).T
        evidence.close("x_s, steps of their own", take(case.schedule, *rows, *steps), truth, at=steps[1])
        still = variation_of_constants(case, now, x_t, case.s, case.t)
        evidence.close("no change", take(case.schedule, now, now, x_t, case.s, case.t, case.T), still)
        evidence.refuses("s = 0", take, case.schedule, now, before, x_t, 0, case.t, case.T)
        evidence.refuses("s = t", take, case.schedule, now, before, x_t, case.t, case.t, case.T)
        evidence.refuses("t = t_before", take, case.schedule, now, before, x_t, case.s, case.t, case.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = longer(case)
        s, t, t_before = case.s, case.t, case.T
        x_0 = case.spread_out(trial.n, trial.rng)
        eps, shift = trial.rng.standard_normal((2, *x_0.shape)) * np.array([1.0, 5.0])[:, None, None]
        signal, std = rates(case)
        x_s = claimed.reverse.dpmpp_2m_step(
            case.schedule, x_0, x_0 + shift, signal[t] * x_0 + std[t] * eps, s, t, t_before
        )
        D = middle(case, x_0, x_0 + shift, s, t, t_before)
        mean = variation_of_constants(case, D, signal[t] * x_0, s, t)
        trial.conditional("x_s", x_s, mean, marginal(case.beta, s)[1], shift=shift)


@identity(
    "reverse.dpmpp_2m_path",
    judges="reverse.dpmpp_2m_path",
    states=r"x_{\tau_{k-1}} = \frac{\sigma_{\tau_{k-1}}}{\sigma_{\tau_k}}\,x_{\tau_k}"
    r" - a_{\tau_{k-1}} \left(e^{-h_k} - 1\right) D_k, \qquad"
    r" D_k = \hat x_0(\tau_k) + \frac{h_k}{2 h_{k+1}}\left[\hat x_0(\tau_k) - \hat x_0(\tau_{k+1})\right], \qquad"
    r" D_K = \hat x_0(\tau_K), \quad D_1 = \hat x_0(\tau_1), \quad \tau_0 = 0",
    source="Lu et al. (2022b), DPM-Solver++, Algorithm 2",
    statistics=2,
    coincides="With one step or two there is nothing to remember: it is DDIM with eta = 0.",
)
class Dpmpp2mPath:
    """The whole path, for a denoiser that is affine and one that is not, by a loop from the definition."""

    @staticmethod
    def exact(claimed, case, evidence):
        follows(evidence, longer(case), claimed.reverse.dpmpp_2m_path, multistep)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        path_is_normal(trial, longer(case), claimed.reverse.dpmpp_2m_path, multistep)


@identity(
    "reverse.dpmpp_2m",
    judges="reverse.dpmpp_2m",
    states=r"x_T \sim \mathcal{N}(0, I), \; \hat\epsilon \text{ affine} \quad\Longrightarrow\quad x_0 = A x_T + B \sim"
    r" \mathcal{N}(B, A^2 I), \qquad A, B \text{ by recursion over two steps}",
    source="Lu et al. (2022b), DPM-Solver++, Algorithm 2",
    statistics=2,
    coincides="With many steps one more or less, and the last alpha_bar, hardly show.",
)
class Dpmpp2mSamples:
    """An affine denoiser makes samples exactly Gaussian; with the same seed its shift moves them by a recursion."""

    @staticmethod
    def exact(claimed, case, evidence):
        samples_move(evidence, longer(case), claimed.reverse.dpmpp_2m, multistep)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        samples_are_normal(trial, longer(case), claimed.reverse.dpmpp_2m, multistep)


@identity(
    "reverse.heun_step",
    judges="reverse.heun_step",
    states=r"y_s = y_t + (\sigma_s - \sigma_t)\,\frac{\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)}2, \qquad"
    r" y'_s = y_t + (\sigma_s - \sigma_t)\,\hat\epsilon(x_t, t), \qquad y = \frac x{\sqrt{\bar\alpha}}, \qquad"
    r" \sigma = \sqrt{\frac{1 - \bar\alpha}{\bar\alpha}}",
    source="Karras et al. (2022), Algorithm 1",
    statistics=2,
    coincides="Where eps_hat is the same at both ends, one slope is as good as the mean of two.",
)
class HeunStep:
    """In the coordinates of the flow, with an affine denoiser and one that is not; an affine one keeps x_s normal."""

    @staticmethod
    def truth(case, denoiser, x_t, s, t):
        """Return x_s."""
        return predict_and_correct(case, denoiser, x_t, [(s, t)])[s]

    @staticmethod
    def exact(claimed, case, evidence):
        take, x_t = claimed.reverse.heun_step, np.array(case.x_t)
        steps = np.array([(s, t) for t in range(2, case.T + 1) for s in range(1, t)])
        for kind, denoiser in (("affine", affine(case)), ("bent", bent(case))):
            truth = [HeunStep.truth(case, denoiser, x_t, s, t) for s, t in steps]
            for (s, t), right in zip(steps.tolist(), truth):
                evidence.close(f"x_s, {kind}, s and t = {s, t}", take(case.schedule, denoiser, x_t, s, t), right)
            rows = np.tile(x_t, (len(steps), 1))
            found = take(case.schedule, denoiser, rows, *steps.T)
            evidence.close(f"x_s, {kind}, steps of their own", found, truth, at=steps[:, 1])
        evidence.refuses("s = 0", take, case.schedule, affine(case), x_t, 0, case.t)
        evidence.refuses("s = t", take, case.schedule, affine(case), x_t, case.t, case.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = longer(case)
        straight, x_t = affine(case), trial.rng.standard_normal((trial.n, case.d))

        def denoiser(x_t, t):
            return 3 * t / case.T * straight(x_t, t)  # the more it differs from step to step, the more there is to see

        steps = (case.s, case.t), (case.T - 1, case.T)
        x_s = [claimed.reverse.heun_step(case.schedule, denoiser, x_t, *one) for one in steps]
        together(trial, x_s, [law(case, predict_and_correct, denoiser, one[0], [one]) for one in steps])


@identity(
    "reverse.heun_path",
    judges="reverse.heun_path",
    states=r"y_{\tau_{k-1}} = y_{\tau_k} + (\sigma_{\tau_{k-1}} - \sigma_{\tau_k})\,"
    r"\frac{\hat\epsilon(x_{\tau_k}, \tau_k) + \hat\epsilon(x'_{\tau_{k-1}}, \tau_{k-1})}2, \qquad k = K, \ldots, 2,"
    r" \qquad y_0 = y_{\tau_1} - \sigma_{\tau_1}\,\hat\epsilon(x_{\tau_1}, \tau_1)",
    source="Karras et al. (2022), Algorithm 1",
    statistics=2,
    coincides="With one step it is DDIM.",
)
class HeunPath:
    """The whole path, for a denoiser that is affine and one that is not, in the coordinates of the flow."""

    @staticmethod
    def exact(claimed, case, evidence):
        case = longer(case)
        follows(evidence, case, claimed.reverse.heun_path, predict_and_correct)
        straight, asked = affine(case), []

        def denoiser(x_t, t):
            asked.append(t)
            return straight(x_t, t)

        list(claimed.reverse.heun_path(case.schedule, denoiser, np.array([case.x_t]), case.T))
        evidence.true("2 K - 1 calls", len(asked) == 2 * case.T - 1)
        evidence.true("none at t = 0", 0 not in asked)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        path_is_normal(trial, longer(case), claimed.reverse.heun_path, predict_and_correct)


@identity(
    "reverse.heun",
    judges="reverse.heun",
    states=r"x_T \sim \mathcal{N}(0, I), \; \hat\epsilon \text{ affine} \quad\Longrightarrow\quad x_0 = A x_T + B \sim"
    r" \mathcal{N}(B, A^2 I), \qquad A, B \text{ by recursion}",
    source="Karras et al. (2022), Algorithm 1",
    statistics=2,
    coincides="Where alpha_bar_T is 0 nearly, N(0, I) and N(0, (1 - alpha_bar_T) I) are one.",
)
class HeunSamples:
    """An affine denoiser makes samples exactly Gaussian; with the same seed its shift moves them by a recursion."""

    @staticmethod
    def exact(claimed, case, evidence):
        samples_move(evidence, longer(case), claimed.reverse.heun, predict_and_correct)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        samples_are_normal(trial, longer(case), claimed.reverse.heun, predict_and_correct)


@identity(
    "reverse.solvers_of_one_point",
    judges=("reverse.ddim_path", "reverse.dpmpp_2m_path", "reverse.heun_path"),
    states=r"\hat\epsilon(x_t, t) = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{1 - \bar\alpha_t}}, \qquad"
    r" x_T = \sqrt{\bar\alpha_T}\,x_0 + \sqrt{1 - \bar\alpha_T}\,\epsilon \quad\Longrightarrow\quad"
    r" x_{\tau_k} = \sqrt{\bar\alpha_{\tau_k}}\,x_0 + \sqrt{1 - \bar\alpha_{\tau_k}}\,\epsilon"
    r" \qquad\text{whatever the steps}",
    source="definition: for data at one point x_0_hat is constant, and the flow is straight",
    statistics=2,
    coincides="Whatever is made of two predictions, if they are the same.",
)
class SolversOfOnePoint:
    """With eta = 0, for data at one point, every solver is exact in one step: x keeps the noise that it has."""

    @staticmethod
    def paths(claimed, case):
        """Return the three paths without noise, by name, as functions of x_T and the steps."""
        reverse, rng = claimed.reverse, np.random.default_rng(case.T)
        return {
            "DDIM": lambda denoiser, x_T, steps: reverse.ddim_path(case.schedule, denoiser, x_T, rng, steps, 0.0),
            "2M": lambda denoiser, x_T, steps: reverse.dpmpp_2m_path(case.schedule, denoiser, x_T, steps),
            "Heun": lambda denoiser, x_T, steps: reverse.heun_path(case.schedule, denoiser, x_T, steps),
        }

    @staticmethod
    def exact(claimed, case, evidence):
        case = longer(case)
        signal, std = rates(case)
        x_0, eps = np.array([case.x_0]), np.array([case.eps])
        for name, path in SolversOfOnePoint.paths(claimed, case).items():
            for steps in (1, 2, case.T, [1, case.t, case.T]):
                x = dict(path(told(case, x_0), signal[-1] * x_0 + std[-1] * eps, steps))
                for s, found in x.items():
                    # x_0 is found by division
                    evidence.close(f"{name}, {steps}, t = {s}", found, signal[s] * x_0 + std[s] * eps, 1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = longer(case)
        signal, std = rates(case)
        x_0 = case.spread_out(trial.n, trial.rng)
        eps = trial.rng.standard_normal(x_0.shape)
        noise, ends = [], []
        for path in SolversOfOnePoint.paths(claimed, case).values():
            (s, x), (_, end) = path(told(case, x_0), signal[-1] * x_0 + std[-1] * eps, 2)
            noise.append((x - signal[s] * x_0) / std[s])
            ends.append(end)
        trial.var("noise on the way", np.hstack(noise), 0.0, 1.0)
        x_0, eps = (np.hstack([one] * len(ends)) for one in (x_0, eps))
        trial.mean("no noise at the end", np.hstack(ends), x_0, 0.0, weight=eps)


@identity(
    "reverse.solvers_begin_alike",
    judges=("reverse.ddim", "reverse.dpmpp_2m", "reverse.heun"),
    states=r"K = 1, \; \eta = 0, \text{ one seed} \quad\Longrightarrow\quad \text{one } x_T \sim \mathcal{N}(0, I)"
    r" \text{ and one } x_0 = \hat x_0(x_T, T)",
    source="definition: a first step has nothing to remember, and a last one no second slope",
    statistics=2,
    coincides="Where alpha_bar_T is 0 nearly, N(0, I) and N(0, (1 - alpha_bar_T) I) are one.",
)
class SolversBeginAlike:
    """The three draw the same points in one step; and these have the law that x_0_hat has for x_T ~ N(0, I)."""

    @staticmethod
    def samplers(claimed, case):
        """Return the three samplers of one step, by name, as functions of the denoiser, the number and a generator."""
        reverse = claimed.reverse
        return {
            "DDIM": lambda denoiser, n, rng: reverse.ddim(case.schedule, denoiser, n, case.d, rng, 1, 0.0),
            "2M": lambda denoiser, n, rng: reverse.dpmpp_2m(case.schedule, denoiser, n, case.d, rng, 1),
            "Heun": lambda denoiser, n, rng: reverse.heun(case.schedule, denoiser, n, case.d, rng, 1),
        }

    @staticmethod
    def exact(claimed, case, evidence):
        asked = {}
        for name, sample in SolversBeginAlike.samplers(claimed, case).items():
            straight = affine(case)

            def denoiser(x_t, t, name=name, straight=straight):
                asked.setdefault(name, np.array(x_t))
                return straight(x_t, t)

            x_0 = sample(denoiser, 5, np.random.default_rng(case.T))
            evidence.close(f"x_T of {name}", asked[name], asked["DDIM"])
            evidence.close(f"x_0 of {name}", x_0, step(case, straight, asked["DDIM"], 0, case.T, 0.0)[0])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        denoiser, seed = affine(case), int(trial.rng.integers(2**32))
        mean, var = law(case, multistep, denoiser, 0, [(0, case.T)])
        samplers = SolversBeginAlike.samplers(claimed, case).values()
        x_0 = [sample(denoiser, trial.n, np.random.default_rng(seed)) for sample in samplers]
        together(trial, x_0, [(mean, var)] * len(x_0))
