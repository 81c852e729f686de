r"""Identities of noise schedules, judged in exact rational arithmetic and by walking chains.

A float is a fraction with a power of two below the line, so products of 1 - beta have an exact value, and so have
their distances from 1, however small. The walks take their betas from formulas in plain Python, never from a schedule.
"""

import math
from collections import deque
from fractions import Fraction

import numpy as np

from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, path_weights

FAR = 10.0  # where chains start: far out, so that the mean of x_t tells sqrt(alpha_bar_t) to two digits


def chain(beta, n, rng):
    """Yield x_1, ..., x_T of n chains that start at FAR: the definition, one step after the other."""
    x = np.full(n, FAR)
    for b in beta:
        x = math.sqrt(1 - b) * x + math.sqrt(b) * rng.standard_normal(n)
        yield x


def walked(beta, trial):
    """Return trial.n chains from FAR, one a row, without their start: shape (n, T)."""
    return np.stack(list(chain(beta, trial.n, trial.rng)), axis=1)


def products(beta):
    """Return alpha_bar_1..alpha_bar_T as exact fractions."""
    out = [1 - Fraction(beta[0])]
    for b in beta[1:]:
        out.append(out[-1] * (1 - Fraction(b)))
    return out


def floats(fractions):
    """Return fractions as an array."""
    return np.array([float(f) for f in fractions])


def remainders(beta):
    """Return 1 - alpha_bar_1..T, rounded only at the end."""
    return floats(1 - product for product in products(beta))


def tiny(case):
    """Return the case's betas times 1e-12: there 1 - alpha_bar does not survive a subtraction."""
    return tuple(1e-12 * b for b in case.beta)


def two_ends(case):
    """Return beta_1 < beta_T in general position, and a number of steps between them."""
    return case.beta[0] / 5, 0.3 + case.beta[-1] / 2, case.T + 3


def follows(evidence, schedule, beta):
    """Record whether a schedule has these betas and the products that follow from them, in exact arithmetic."""
    evidence.close("beta", schedule.beta[1:], beta, at=range(1, len(beta) + 1))
    evidence.close("alpha_bar", schedule.alpha_bar[1:], floats(products(beta)), at=range(1, len(beta) + 1))
    evidence.close("1 - alpha_bar", schedule.one_minus_alpha_bar[1:], remainders(beta), at=range(1, len(beta) + 1))


def is_walked(trial, schedule, beta):
    """Record whether chains with these betas have the mean and the variance that a schedule says, at each step."""
    x, one_minus = walked(beta, trial), remainders(beta)
    start = np.sqrt(floats(products(beta)))
    trial.mean("E[x_t | x_0]", x, schedule.signal_rate[None, 1:] * FAR, one_minus[None])
    trial.var("Var[x_t | x_0]", x, start[None] * FAR, schedule.one_minus_alpha_bar[1:])


@identity(
    "schedule.alpha_bar",
    judges=("schedule.Schedule.from_betas", "schedule.Schedule.T"),
    states=r"\bar\alpha_t = \prod_{s=1}^t \alpha_s = \prod_{s=1}^t (1 - \beta_s), \qquad \bar\alpha_0 = 1, \qquad"
    r" \bar\alpha_0 > \bar\alpha_1 > \dots > \bar\alpha_T",
    source="Ho, Jain & Abbeel (2020), eq. 4",
    statistics=1,
    coincides="At t = 1 of a schedule with equal betas an index off by one says nothing of alpha_t.",
)
class AlphaBar:
    """The product in exact fractions; and the mean of a chain that starts at x_0, over x_0, is its square root."""

    @staticmethod
    def exact(claimed, case, evidence):
        for betas in (case.beta, tiny(case)):
            schedule = claimed.schedule.Schedule.from_betas(betas)
            evidence.close(
                "alpha_bar", schedule.alpha_bar, np.append(1.0, floats(products(betas))), at=range(case.T + 1)
            )
            evidence.close("beta", schedule.beta, np.append(0.0, betas), at=range(case.T + 1))
            evidence.close("alpha", schedule.alpha, np.append(1.0, [1 - b for b in betas]), at=range(case.T + 1))
            evidence.true("alpha_bar falls", (np.diff(schedule.alpha_bar) < 0).all())
            evidence.close("T", schedule.T, case.T)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        alpha_bar = claimed.schedule.Schedule.from_betas(case.beta).alpha_bar[1:]
        x = walked(case.beta, trial)
        trial.mean("E[x_t | x_0]", x, np.sqrt(alpha_bar)[None] * FAR, remainders(case.beta)[None])


@identity(
    "schedule.one_minus_alpha_bar",
    judges="schedule.Schedule.from_betas",
    states=r"1 - \bar\alpha_t = \alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = \operatorname{Var}[x_t \mid x_0]",
    source="Ho, Jain & Abbeel (2020), eq. 4",
    statistics=1,
    coincides="Subtraction loses its digits where betas are tiny: 2e-5 of the value at 1e-12, which no sample shows.",
)
class OneMinusAlphaBar:
    """A fraction loses no digits to subtraction: each entry is compared by itself, with betas down to 1e-14."""

    @staticmethod
    def exact(claimed, case, evidence):
        for name, betas in (("1 - alpha_bar", case.beta), ("1 - alpha_bar, all betas times 1e-12", tiny(case))):
            one_minus = claimed.schedule.Schedule.from_betas(betas).one_minus_alpha_bar
            truth = remainders(betas)
            evidence.close(name, one_minus[1:], truth, scale=truth, at=range(1, case.T + 1))
            evidence.close(f"{name} at t = 0", one_minus[0], 0.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        one_minus = claimed.schedule.Schedule.from_betas(case.beta).one_minus_alpha_bar[1:]
        start, _ = path_weights(case.beta)
        trial.var("Var[x_t | x_0]", walked(case.beta, trial), start[None, 1:] * FAR, one_minus)


@identity(
    "schedule.rates",
    judges="schedule.Schedule.from_betas",
    states=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\bar\epsilon: \qquad"
    r" \text{signal rate } \sqrt{\bar\alpha_t}, \qquad \text{noise rate } \sqrt{1 - \bar\alpha_t},"
    r" \qquad \text{the sum of their squares is } 1",
    source="Ho, Jain & Abbeel (2020), eq. 4",
    statistics=2,
    coincides="Where alpha_bar_t = 1/2 the two are equal.",
)
class Rates:
    """Run the recursion on weights: x_0 keeps the signal rate, and those of the noises have the noise rate as norm."""

    @staticmethod
    def exact(claimed, case, evidence):
        schedule = claimed.schedule.Schedule.from_betas(case.beta)
        start, noise = path_weights(case.beta)
        evidence.close("weight of x_0", schedule.signal_rate, start, at=range(case.T + 1))
        evidence.close(
            "norm of the weights of the noises",
            schedule.noise_rate,
            np.linalg.norm(noise, axis=1),
            at=range(case.T + 1),
        )
        evidence.close("sum of squares", schedule.signal_rate**2 + schedule.noise_rate**2, np.ones(case.T + 1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        schedule = claimed.schedule.Schedule.from_betas(case.beta)
        x, (start, noise) = walked(case.beta, trial), path_weights(case.beta)
        trial.mean("E[x_t | x_0]", x, schedule.signal_rate[None, 1:] * FAR, (noise**2).sum(axis=1)[None, 1:])
        trial.var("Var[x_t | x_0]", x, start[None, 1:] * FAR, schedule.noise_rate[1:] ** 2)


@identity(
    "schedule.snr",
    judges="schedule.Schedule.from_betas",
    states=r"\mathrm{SNR}_t = \frac{\bar\alpha_t}{1 - \bar\alpha_t}, \qquad \log\mathrm{SNR}_t"
    r" = \log\bar\alpha_t - \log(1 - \bar\alpha_t)",
    source="Kingma et al. (2021), section 3.1",
    statistics=2,
    coincides="At SNR = 1 neither a root nor a sign makes a difference.",
)
class Snr:
    """The ratio in exact fractions; and a chain divided by its standard deviation stands at sqrt(SNR) times x_0."""

    @staticmethod
    def exact(claimed, case, evidence):
        for name, betas in (("SNR", case.beta), ("SNR, all betas times 1e-12", tiny(case))):
            schedule = claimed.schedule.Schedule.from_betas(betas)
            truth = floats(product / (1 - product) for product in products(betas))
            evidence.close(name, schedule.snr[1:], truth, scale=truth, at=range(1, case.T + 1))
            evidence.close(f"log {name}", schedule.log_snr[1:], np.log(truth), scale=1 + np.abs(np.log(truth)))
            evidence.true(f"{name} at t = 0 is infinite", schedule.snr[0] == np.inf == schedule.log_snr[0])
            evidence.true(f"{name} falls", (schedule.snr[1:] < schedule.snr[:-1]).all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        schedule = claimed.schedule.Schedule.from_betas(case.beta)
        standardised = walked(case.beta, trial) / np.sqrt(remainders(case.beta))
        trial.mean("sqrt(SNR) x_0", standardised, np.sqrt(schedule.snr)[None, 1:] * FAR, 1.0)
        trial.mean("exp(log SNR / 2) x_0", standardised, np.exp(schedule.log_snr / 2)[None, 1:] * FAR, 1.0)


@identity(
    "schedule.beta_tilde",
    judges="schedule.Schedule.from_betas",
    states=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t"
    r" = \operatorname{Var}[x_{t-1} \mid x_t, x_0], \qquad \tilde\beta_1 = 0",
    source="Ho, Jain & Abbeel (2020), eq. 7",
    statistics=1,
    coincides="It differs from beta_t by 8e-7 at t = 1000 of linear-1000: nothing is proved there.",
)
class BetaTilde:
    r"""One step of a Kalman filter in exact fractions; and what a walk leaves of x_{t-1} once x_t is known.

    With V the variance of x_{t-1}, that of x_t is alpha_t V + beta_t, and once x_t is known V shrinks to
    V - alpha_t V^2 / (alpha_t V + beta_t).
    """

    @staticmethod
    def exact(claimed, case, evidence):
        for name, betas in (("beta_tilde", case.beta), ("beta_tilde, all betas times 1e-12", tiny(case))):
            var, truth = Fraction(0), []
            for b in map(Fraction, betas):
                after = (1 - b) * var + b
                truth.append(var - (1 - b) * var**2 / after)
                var = after
            beta_tilde = claimed.schedule.Schedule.from_betas(betas).beta_tilde
            evidence.close(f"{name} at t = 1", beta_tilde[1], 0.0)
            evidence.close(name, beta_tilde[2:], floats(truth[1:]), scale=floats(truth[1:]), at=range(2, case.T + 1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x, (mean, cov) = walked(case.beta, trial), dense_joint(case.beta, FAR)
        steps = range(2, case.T + 1)
        # the dense joint gives the line E[x_{t-1} | x_t]: its value at 0 and its slope
        lines = [[condition(mean, cov, t - 1, {t: at})[0][0] for at in (0.0, 1.0)] for t in steps]
        at_0, at_1 = np.array(lines).T
        expected = at_0 + (at_1 - at_0) * x[:, 1:]
        beta_tilde = claimed.schedule.Schedule.from_betas(case.beta).beta_tilde
        trial.var("Var[x_{t-1} | x_t, x_0]", x[:, :-1], expected, beta_tilde[2:])


@identity(
    "schedule.limit",
    judges="schedule.Schedule.from_betas",
    states=r"\lim_{T \to \infty} \bar\alpha_T = 0 \iff \sum_{t=1}^\infty \beta_t = \infty: \qquad"
    r" \prod_{t=1}^T \left(1 - \frac{1}{(t + k)^2}\right) = \frac{k (k + T + 1)}{(k + 1)(k + T)}"
    r" \to \frac{k}{k + 1}",
    source="Rudin (1987), theorem 15.5",
    statistics=2,
    coincides="Betas that are bounded away from 0 always add up to infinity, as those in use do.",
)
class Limit:
    """Two telescoping products, both of factors below one: 1/(t + k) erases the signal, 1/(t + k)^2 never does."""

    @staticmethod
    def exact(claimed, case, evidence):
        k, t = case.t, np.arange(1, 2001)
        from_betas = claimed.schedule.Schedule.from_betas
        kept = from_betas(1.0 / (t + k) ** 2).alpha_bar[1:]
        evidence.close("beta = 1 / (t + k)^2", kept, k * (k + t + 1) / ((k + 1) * (k + t)))
        evidence.close("beta = 1 / (t + k)", from_betas(1.0 / (t + k)).alpha_bar[1:], k / (k + t))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, T = case.t, 100
        beta = [1.0 / (t + k) ** 2 for t in range(1, T + 1)]
        truth = k * (k + T + 1) / ((k + 1) * (k + T))
        alpha_bar = claimed.schedule.Schedule.from_betas(beta).alpha_bar[T]
        x = deque(chain(beta, trial.n, trial.rng), maxlen=1).pop()  # only the last step is kept
        trial.mean("E[x_T | x_0]", x, math.sqrt(alpha_bar) * FAR, 1 - truth)
        trial.var("Var[x_T | x_0]", x, math.sqrt(truth) * FAR, 1 - alpha_bar)


@identity(
    "schedule.linear",
    judges="schedule.Schedule.linear",
    states=r"\beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1), \qquad T = 1000:\ 10^{-4}, \dots, 0.02",
    source="Ho, Jain & Abbeel (2020), section 4",
    statistics=2,
    coincides="On 1000 steps t / T for (t - 1) / (T - 1) changes alpha_bar_T by 2e-6.",
)
class Linear:
    """The straight line in exact fractions, and the chain walked with it."""

    @staticmethod
    def betas(low, high, T):
        """Return T points of the line from `low` to `high`."""
        low, high = Fraction(low), Fraction(high)
        return [float(low + Fraction(t - 1, T - 1) * (high - low)) for t in range(1, T + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        low, high, T = two_ends(case)
        follows(evidence, claimed.schedule.Schedule.linear(T, low, high), Linear.betas(low, high, T))
        evidence.close("one step", claimed.schedule.Schedule.linear(1, low, high).beta, [0.0, low])
        evidence.close("by default", claimed.schedule.Schedule.linear().beta[1:], Linear.betas(1e-4, 0.02, 1000))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        low, high, T = two_ends(case)
        is_walked(trial, claimed.schedule.Schedule.linear(T, low, high), Linear.betas(low, high, T))


@identity(
    "schedule.scaled_linear",
    judges="schedule.Schedule.scaled_linear",
    states=r"\sqrt{\beta_t} = \sqrt{\beta_1} + \frac{t - 1}{T - 1}\,(\sqrt{\beta_T} - \sqrt{\beta_1})",
    source="Rombach et al. (2022), as in their published code",
    statistics=2,
    coincides="With two steps there are only the ends, which a line through the variances has too.",
)
class ScaledLinear:
    """The standard deviations lie on a line, and the chain walked with their squares."""

    @staticmethod
    def betas(low, high, T):
        """Return the squares of T points of the line from sqrt(low) to sqrt(high)."""
        return [((math.sqrt(low) * (T - t) + math.sqrt(high) * (t - 1)) / (T - 1)) ** 2 for t in range(1, T + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        low, high, T = two_ends(case)
        scaled_linear = claimed.schedule.Schedule.scaled_linear
        follows(evidence, scaled_linear(T, low, high), ScaledLinear.betas(low, high, T))
        evidence.close("by default", scaled_linear().beta[1:], ScaledLinear.betas(0.00085, 0.012, 1000))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        low, high, T = two_ends(case)
        is_walked(trial, claimed.schedule.Schedule.scaled_linear(T, low, high), ScaledLinear.betas(low, high, T))


@identity(
    "schedule.cosine",
    judges="schedule.Schedule.cosine",
    states=r"\bar\alpha_t = \frac{f(t)}{f(0)} \text{ until a step is clipped}, \qquad"
    r" f(t) = \cos^2\left(\frac{t/T + s}{1 + s}\,\frac\pi2\right), \qquad"
    r" \beta_t = \min\left(1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}, \beta_{\max}\right)",
    source="Nichol & Dhariwal (2021), eq. 17",
    statistics=2,
    coincides="f(T) = 0, so that the last beta is clipped whatever the rest is.",
)
class Cosine:
    """Before anything is clipped alpha_bar is the cosine itself; after that, the minimum taken in plain Python."""

    @staticmethod
    def f(T, s):
        """Return f(0), ..., f(T)."""
        return [math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2 for t in range(T + 1)]

    @staticmethod
    def betas(T, s, max_beta):
        """Return the clipped betas of f."""
        f = Cosine.f(T, s)
        return [min(1 - f[t] / f[t - 1], max_beta) for t in range(1, T + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        T, s, cosine = case.T + 3, case.slope / 10, claimed.schedule.Schedule.cosine
        f = np.array(Cosine.f(T, s))
        evidence.close("f(t) / f(0) for t < T", cosine(T, s).alpha_bar[:-1], f[:-1] / f[0])
        follows(evidence, cosine(T, s), Cosine.betas(T, s, 0.999))
        evidence.close("clipped early", cosine(T, s, case.weight).beta[1:], Cosine.betas(T, s, case.weight))
        # with 1000 steps the fraction here loses the digits that it is judged by
        evidence.close("by default", cosine().beta[1:], Cosine.betas(1000, 0.008, 0.999), tolerance=1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        T, s = case.T + 3, case.slope / 10
        is_walked(trial, claimed.schedule.Schedule.cosine(T, s), Cosine.betas(T, s, 0.999))


@identity(
    "schedule.sigmoid",
    judges="schedule.Schedule.sigmoid",
    states=r"\beta_t = \beta_1 + \frac{\beta_T - \beta_1}{1 + e^{-u_t}}, \qquad u_t = -6 + 12\,\frac{t - 1}{T - 1}",
    source="Xu et al. (2022), GeoDiff, as in their published code",
    statistics=2,
    coincides="In the middle of an odd number of steps, where u = 0, every width of the curve gives the same beta.",
)
class Sigmoid:
    """The logistic curve by the hyperbolic tangent, and the chain walked with it."""

    @staticmethod
    def betas(low, high, T):
        """Return T points of the curve: sigmoid(u) = (1 + tanh(u / 2)) / 2."""
        u = [-6 + 12 * (t - 1) / (T - 1) for t in range(1, T + 1)]
        return [low + (high - low) * (1 + math.tanh(one / 2)) / 2 for one in u]

    @staticmethod
    def exact(claimed, case, evidence):
        low, high, T = two_ends(case)
        sigmoid = claimed.schedule.Schedule.sigmoid
        follows(evidence, sigmoid(T, low, high), Sigmoid.betas(low, high, T))
        evidence.close("by default", sigmoid().beta[1:], Sigmoid.betas(1e-4, 0.02, 1000))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        low, high, T = two_ends(case)
        is_walked(trial, claimed.schedule.Schedule.sigmoid(T, low, high), Sigmoid.betas(low, high, T))


@identity(
    "schedule.constant",
    judges="schedule.Schedule.constant",
    states=r"\beta_t = \beta, \qquad \bar\alpha_t = (1 - \beta)^t",
    source="Ho, Jain & Abbeel (2020), appendix B, as one of the schedules tried",
    statistics=2,
    coincides="For small t beta every first-order form of the power agrees.",
)
class Constant:
    """A power of one fraction, and the chain walked with equal betas."""

    @staticmethod
    def exact(claimed, case, evidence):
        schedule, alpha = claimed.schedule.Schedule.constant(case.T, case.beta[0]), 1 - Fraction(case.beta[0])
        follows(evidence, schedule, [case.beta[0]] * case.T)
        evidence.close("a power", schedule.alpha_bar, floats(alpha**t for t in range(case.T + 1)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        is_walked(trial, claimed.schedule.Schedule.constant(case.T, case.beta[0]), [case.beta[0]] * case.T)


@identity(
    "schedule.reciprocal",
    judges="schedule.Schedule.reciprocal",
    states=r"\beta_t = \frac{1}{T - t + 1}, \qquad \bar\alpha_t = 1 - \frac tT",
    source="Sohl-Dickstein et al. (2015), section 2.4.1",
    statistics=2,
    coincides="On long schedules T + 1 for T hardly shows before the end, where alpha_bar_T = 0 is the point.",
)
class Reciprocal:
    """Each step takes the same share of what there was at first: the telescoping product, in fractions to the end."""

    @staticmethod
    def betas(T):
        """Return 1/T, ..., 1/2, 1."""
        return [1 / (T - t + 1) for t in range(1, T + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        T, schedule = case.T, claimed.schedule.Schedule.reciprocal(case.T)
        follows(evidence, schedule, Reciprocal.betas(T))
        evidence.close("1 - t / T", schedule.alpha_bar, floats(1 - Fraction(t, T) for t in range(T + 1)))
        evidence.true("alpha_bar_T is 0 and nothing else", schedule.alpha_bar[T] == 0 == schedule.snr[T])
        listed = claimed.schedule.Schedule.from_betas(Reciprocal.betas(T), last_may_be_one=True)
        evidence.close("from the list of its betas", listed.alpha_bar, schedule.alpha_bar)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        is_walked(trial, claimed.schedule.Schedule.reciprocal(case.T), Reciprocal.betas(case.T))


@identity(
    "schedule.vp",
    judges="schedule.Schedule.vp",
    states=r"\bar\alpha_t = \exp\left(-\int_0^{t/T} \beta(u)\,du\right), \qquad"
    r" \beta(u) = \beta_{\min} + u\,(\beta_{\max} - \beta_{\min})",
    source="Song et al. (2021), eq. 32 and 33",
    statistics=2,
    coincides="As T grows beta_t tends to beta(t/T) / T: at T = 1000 they differ by 9 % at t = 1, by 1 % at the end.",
)
class Vp:
    """The trapezoid rule is exact for a line; the steps that two numbers of steps share have the same law."""

    @staticmethod
    def betas(T, low, high):
        """Return 1 - exp(-integral over step t), t = 1..T."""
        rate = [low + t / T * (high - low) for t in range(T + 1)]
        return [-math.expm1(-(rate[t - 1] + rate[t]) / (2 * T)) for t in range(1, T + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        T, low, high = case.T + 3, case.slope, case.slope + 2
        vp = claimed.schedule.Schedule.vp
        follows(evidence, vp(T, low, high), Vp.betas(T, low, high))
        evidence.close("every other of twice as many", vp(2 * T, low, high).alpha_bar[::2], vp(T, low, high).alpha_bar)
        last = math.exp(-10.05)
        evidence.close("alpha_bar_T by default", vp(1000).alpha_bar[-1], last)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        T, low, high = case.T + 3, case.slope, case.slope + 2
        is_walked(trial, claimed.schedule.Schedule.vp(T, low, high), Vp.betas(T, low, high))


@identity(
    "schedule.respace",
    judges="schedule.Schedule.respace",
    states=r"\beta'_k = 1 - \frac{\bar\alpha_{\tau_k}}{\bar\alpha_{\tau_{k-1}}}, \qquad"
    r" \bar\alpha'_k = \bar\alpha_{\tau_k}",
    source="Nichol & Dhariwal (2021), section 4",
    statistics=3,
    coincides="Between neighbouring steps the new beta is the old one.",
)
class Respace:
    """A chain that is looked at only at s and t is a chain again: its step is the law of x_t given x_s."""

    @staticmethod
    def exact(claimed, case, evidence):
        schedule, product = claimed.schedule.Schedule.from_betas(case.beta), products(case.beta)
        kept = [product[case.s - 1], product[case.t - 1]]
        respaced = schedule.respace([case.s, case.t])
        evidence.close("beta", respaced.beta, [0.0, *floats([1 - kept[0], 1 - kept[1] / kept[0]])])
        evidence.close("alpha_bar", respaced.alpha_bar, [1.0, *floats(kept)])
        evidence.close("1 - alpha_bar", respaced.one_minus_alpha_bar[1:], floats(1 - k for k in kept))
        evidence.close("all steps", schedule.respace(case.T).beta, np.append(0.0, case.beta))
        evidence.close("one step", schedule.respace(1).beta, [0.0, float(1 - product[-1])])
        evidence.close("an even spread ends at T", schedule.respace(2).alpha_bar[2], float(product[-1]))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walked(case.beta, trial)
        x_s, x_T = x[:, case.s - 1], x[:, -1]
        respaced = claimed.schedule.Schedule.from_betas(case.beta).respace([case.s, case.T])
        trial.conditional("x_T given x_s", x_T, np.sqrt(respaced.alpha[2]) * x_s, respaced.beta[2], x_s=x_s)


@identity(
    "schedule.zero_terminal_snr",
    judges="schedule.Schedule.zero_terminal_snr",
    states=r"\sqrt{\bar\alpha'_t} = \left(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\right)"
    r" \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}",
    source="Lin et al. (2024), Algorithm 1",
    statistics=3,
    coincides="With two steps everything is fixed by the ends: alpha_bar_1 stays and alpha_bar_2 = 0.",
)
class ZeroTerminalSnr:
    """Roots of exact products, moved and stretched in plain Python; and the chain walked with what follows."""

    @staticmethod
    def alpha_bars(case):
        """Return alpha_bar'_0..alpha_bar'_T."""
        root = np.sqrt(floats(products(case.beta)))
        return np.append(1.0, ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2)

    @staticmethod
    def exact(claimed, case, evidence):
        schedule = claimed.schedule.Schedule.from_betas(case.beta).zero_terminal_snr()
        alpha_bar = ZeroTerminalSnr.alpha_bars(case)
        evidence.close("alpha_bar", schedule.alpha_bar, alpha_bar)
        evidence.close("beta", schedule.beta[1:], 1 - alpha_bar[1:] / alpha_bar[:-1])
        evidence.close("SNR", schedule.snr[1:], alpha_bar[1:] / (1 - alpha_bar[1:]))
        evidence.true("SNR_T is 0 and nothing else", schedule.snr[case.T] == 0 == schedule.alpha_bar[case.T])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        schedule = claimed.schedule.Schedule.from_betas(case.beta).zero_terminal_snr()
        alpha_bar = ZeroTerminalSnr.alpha_bars(case)
        x, one_minus = walked(1 - alpha_bar[1:] / alpha_bar[:-1], trial), 1 - alpha_bar[1:]
        trial.mean("E[x_t | x_0]", x, np.sqrt(schedule.alpha_bar)[None, 1:] * FAR, one_minus[None])
        trial.var("Var[x_t | x_0]", x, np.sqrt(alpha_bar[None, 1:]) * FAR, schedule.one_minus_alpha_bar[1:])
        standardised = x / np.sqrt(one_minus)
        trial.mean("sqrt(SNR) x_0", standardised, np.sqrt(schedule.snr)[None, 1:] * FAR, 1.0)


@identity(
    "schedule.index",
    judges="schedule.Schedule.index",
    states=r"t = (t_1, \dots, t_n) \quad\Longrightarrow\quad \bar\alpha_{t_i} \text{ multiplies row } i \text{ of } x",
    source="the convention of this library: t runs over 1..T, and one t belongs to one point",
    statistics=2,
    coincides="With one t for all points, or d = 1, no axis can be mistaken for another.",
)
class Index:
    """Three points in three dimensions, each at a step of its own: a coefficient on the wrong axis still multiplies."""

    @staticmethod
    def steps(case):
        """Return one step for each of three points."""
        return [case.t, case.s, case.T]

    @staticmethod
    def exact(claimed, case, evidence):
        schedule, x = claimed.schedule.Schedule.from_betas(case.beta), np.ones((3, 3))
        steps = Index.steps(case)
        rows = [[float(products(case.beta)[t - 1])] * 3 for t in steps]
        evidence.close("a step for each point", schedule.alpha_bar[schedule.index(np.array(steps), x)] * x, rows)
        evidence.close("one step for all", schedule.beta[schedule.index(case.t, x)] * x, x * case.beta[case.t - 1])
        for name, t in (("t = 0", 0), ("t = T + 1", case.T + 1), ("t = 1.0", 1.0), ("t = True", True)):
            evidence.refuses(f"{name} is refused", schedule.index, t)
        evidence.refuses("two steps for three points are refused", schedule.index, np.array([1, 1]), x)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        schedule, one = claimed.schedule.Schedule.from_betas(case.beta), np.ones((3, 3))
        t, product = schedule.index(np.array(Index.steps(case)), one), floats(products(case.beta))
        x = np.stack(list(chain(case.beta, (trial.n, 3, 3), trial.rng)))
        x = np.stack([x[step - 1, :, row] for row, step in enumerate(Index.steps(case))], axis=1).reshape(trial.n, 9)
        truth = np.repeat(product[np.array(Index.steps(case)) - 1], 3)
        mean, var = schedule.signal_rate[t] * one * FAR, schedule.one_minus_alpha_bar[t] * one
        trial.mean("E[x_t | x_0], row by row", x, mean.reshape(1, 9), 1 - truth[None])
        trial.var("Var[x_t | x_0], row by row", x, np.sqrt(truth)[None] * FAR, var.ravel())
