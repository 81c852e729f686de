r"""Identities of Langevin dynamics, with and without Metropolis' rule, annealed, and beside the ancestral step.

On normal data each of these chains is an AR(1) process: its mean and variance after any number of steps are recursions
of two numbers. What is Metropolis-adjusted is judged by detailed balance, and by a sample of the target that stays one.
The exact routes know a seed's noise only through the difference of two runs; that its variance is 2 h they see on
20,000 draws, within a fifth, which chance exceeds once in 1e80 runs.
"""

import math
from functools import cache

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import model_var
from refdiff.verify.catalogue.mixture import diffuse, draw, log_mixture, on_a_grid, waves
from refdiff.verify.catalogue.score.models import (
    MANY,
    ROUGHLY,
    Normal,
    accepted,
    mean_over_moves,
    mixture_score,
    spread_of,
)
from refdiff.verify.evidence import stream
from refdiff.verify.identity import identity
from refdiff.verify.oracles import condition, dense_joint, gradient, marginal

PUSH = 2.0  # a constant field that is no score, in units of the target's width
SEVERAL = 8  # steps, after which a chain that contracts by less than .8 has forgotten all but a thirtieth


def rng_of(case):
    """Return a Generator that starts afresh with each call."""
    return stream("seed", case)


def nothing(x, t=None):
    """Return the score of a flat density."""
    return np.zeros_like(x)


def two(case):
    """Return two points to start from, (2, d)."""
    return np.array([case.x_t, case.eps])


@identity(
    "score.langevin_transition",
    judges="score.langevin_transition",
    states=r"k(x' \mid x) = \mathcal{N}\left(x + h\,s(x),\; 2h I\right), \qquad"
    r" \mathbb{E}[x'] - x = h\,\frac{d}{d\tau}\mathbb{E}[x_\tau], \qquad"
    r" \operatorname{Var}[x'] = h\,\frac{d}{d\tau}\operatorname{Var}[x_\tau] \;\text{at}\; \tau = 0",
    source="Roberts & Tweedie (1996), section 1.4; Song & Ermon (2019), eq. 4",
    statistics=3,
    coincides="In texts with (h/2) s and sqrt(h) z the step called h is twice this one.",
)
class LangevinTransition:
    """Euler's step of a diffusion that is known: towards N(m, v) it is Ornstein and Uhlenbeck's, with mean
    m + (x - m) exp(-tau / v) and variance v (1 - exp(-2 tau / v)), whose derivatives at 0 the step must have.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        q, x = Normal(case), two(case)

        drift = (x - q.mean) * gradient(lambda tau: math.exp(-tau[0] / q.var), np.zeros(1))
        growth = q.var * gradient(lambda tau: 1 - math.exp(-2 * tau[0] / q.var), np.zeros(1))[0]
        for h in (0.1, q.h):
            k = claimed.score.langevin_transition(q.score, x, h)
            # finite differences leave eleven digits
            evidence.close(f"drift, h = {h:.3g}", (k.mean - x) / h, drift, 1e-9, scale=1 + np.abs(drift).max())
            evidence.close(f"growth of the variance, h = {h:.3g}", k.var / h, np.full(x.shape, growth), 1e-9)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q = Normal(case)
        x = q.draw(trial.n, trial.rng)
        k = claimed.score.langevin_transition(q.score, x, q.h)
        trial.conditional("x' given x", q.step(x, q.h, trial.rng), k.mean, k.var[0], x=x)


@identity(
    "score.langevin",
    judges=("score.langevin", "score.langevin_chain"),
    states=r"x_k = x_{k-1} + h\,s(x_{k-1}) + \sqrt{2h}\,z_k; \qquad \text{on } \mathcal{N}(m, v):\quad"
    r" \mathbb{E}[x_k \mid x_0] = m + a^k (x_0 - m), \qquad"
    r" \operatorname{Var}[x_k \mid x_0] = 2h\,\frac{1 - a^{2k}}{1 - a^2}, \qquad a = 1 - \frac hv",
    source="Roberts & Tweedie (1996), section 1.4; Song & Ermon (2019), eq. 4",
    statistics=6,
    coincides="As h goes to 0 the chain has the law of the diffusion, and MALA's too.",
)
class Langevin:
    """With the same seed two chains differ by a^k times their distance; a flat density leaves the noise alone, whose
    variance is seen in many. By chance: mean and variance after few steps and after many, exactly normal.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        q, x, score = Normal(case), two(case), claimed.score
        for steps in (1, 3):
            apart = score.langevin(q.score, x + 1, rng_of(case), q.h, steps) - score.langevin(
                q.score, x, rng_of(case), q.h, steps
            )
            evidence.close(f"two runs apart, {steps} steps", apart, np.full(x.shape, q.a**steps), scale=1.0)
        path = dict(score.langevin_chain(q.score, x, rng_of(case), q.h, 3))
        moved = dict(score.langevin_chain(q.score, x + 1, rng_of(case), q.h, 3))
        evidence.true("the chain counts its steps", list(path) == [1, 2, 3])
        for k in path:
            evidence.close(f"two chains apart, step {k}", moved[k] - path[k], np.full(x.shape, q.a**k), scale=1.0)
        told = []
        score.langevin(q.score, x, rng_of(case), q.h, 3, progress=told.append)
        evidence.true("progress is told of each step", told == [1, 2, 3])
        zeros = np.zeros((MANY, case.d))
        for steps in (1, 2):
            noise = score.langevin(nothing, zeros, rng_of(case), q.h, steps)
            evidence.close(f"variance of the noise, {steps} steps", spread_of(noise), 2 * q.h * steps, ROUGHLY)
        *_, (_, noise) = score.langevin_chain(nothing, zeros, rng_of(case), q.h, 2)
        evidence.close("variance of the noise, two steps of the chain", spread_of(noise), 4 * q.h, ROUGHLY)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, start = Normal(case), np.array(case.eps)
        x = case.repeat(start, trial.n)
        path = dict(claimed.score.langevin_chain(q.score, x, trial.rng, q.h, 20))
        three = claimed.score.langevin(q.score, x, trial.rng, q.h, 3)
        for k, what, x_k in ((3, "three steps", three), (1, "one step of the chain", path[1]), (20, "20", path[20])):
            mean, var = q.mean + q.a**k * (start - q.mean), 2 * q.h * sum(q.a ** (2 * j) for j in range(k))
            trial.mean(f"mean after {what}", x_k, mean, var)
            trial.var(f"variance after {what}", x_k, mean, var)


@identity(
    "score.langevin_var",
    judges="score.langevin_var",
    states=r"\operatorname{Var} = \frac{v}{1 - h/(2v)} = \sum_{k \ge 0} a^{2k}\,2h, \qquad a = 1 - \frac hv",
    source="Roberts & Tweedie (1996) for the algorithm; the geometric series of an AR(1) process",
    statistics=1,
    coincides="h near 0, where nothing is biased; and h / 4 for h / 2 where h means twice this h.",
)
class LangevinVar:
    """The variances that the steps add, summed. By chance: what has this variance keeps it over several steps."""

    @staticmethod
    def exact(claimed, case, evidence):
        v = case.var_q * np.array([1.0, 1.5, 2.0])
        h = Normal(case).h
        truth = [sum((1 - h / one) ** (2 * k) * 2 * h for k in range(500)) for one in v]
        evidence.close("the series", claimed.score.langevin_var(h, v), truth)
        evidence.close("of N(0, 1)", claimed.score.langevin_var(0.5), sum(0.5 ** (2 * k) for k in range(60)))
        evidence.refuses("a step too large to settle", claimed.score.langevin_var, 2.0, 1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q = Normal(case, 1)
        claim = float(claimed.score.langevin_var(q.h, q.var))
        x = q.mean + math.sqrt(max(claim, 0.0)) * trial.rng.standard_normal((trial.n, 1))
        for _ in range(SEVERAL):
            x = q.step(x, q.h, trial.rng)
        trial.var("what settled", x, q.mean, claim)


class Target:
    """Mixture data at t = case.t as a target, up to a constant; its step is of the size of the narrowest component."""

    def __init__(self, case):
        self.law = diffuse(case, case.t)
        self.h = 0.8 * float(self.law[2].min())

    def log_density(self, x):
        return log_mixture(np.asarray(x), *self.law) + 7.0

    def score(self, x):
        return mixture_score(np.asarray(x), *self.law)

    def log_move(self, x, y):
        """Return log q(x) k(y | x), from the definitions."""
        away = np.sum((y - x - self.h * self.score(x)) ** 2, axis=-1) / (4 * self.h)
        return self.log_density(x) - away  # the normaliser of k is the same everywhere


@cache
def spread_of_pushed_flow(h):
    """Return E (a(x, y) (tanh y - tanh x))^2 for x ~ N(0, 1) and moves that a constant field proposes: a bit too much.

    Sums over a grid, right to four digits for all their kinks.
    """
    x, z = np.meshgrid(np.linspace(-7, 7, 401), np.linspace(-7, 7, 401))
    y = x + h * PUSH + math.sqrt(2 * h) * z
    log_ratio = (x**2 - y**2) / 2 + ((y - x - h * PUSH) ** 2 - (x - y - h * PUSH) ** 2) / (4 * h)
    flow = np.exp(np.minimum(0.0, log_ratio)) * (np.tanh(y) - np.tanh(x))
    weight = np.exp(-(x**2 + z**2) / 2)
    return 1.01 * float((weight * flow**2).sum() / weight.sum())


@identity(
    "score.mala_log_acceptance",
    judges="score.mala_log_acceptance",
    states=r"q(x)\,k(y \mid x)\,a(x, y) = q(y)\,k(x \mid y)\,a(y, x), \qquad \max\left(a(x, y), a(y, x)\right) = 1",
    source="Besag (1994); Roberts & Tweedie (1996), section 1.4",
    statistics=2,
    coincides="Where q(x) = q(y) and the scores are opposite; and small h, where all is accepted.",
)
class MalaLogAcceptance:
    """Detailed balance between every two of several points of mixture data, and that nothing more is rejected than it
    asks for: the two determine a. By chance, on N(m, v): how much is accepted; and with a field that is no score
    there is no flow either.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        target = Target(case)
        some = np.concatenate([two(case), [np.negative(case.x_0), np.zeros(case.d), np.array(case.x_t) / 2]])
        i, j = np.array([(i, j) for i in range(len(some)) for j in range(len(some)) if i < j]).T
        x, y = some[i], some[j]
        there = claimed.score.mala_log_acceptance(target.log_density, target.score, x, y, target.h)
        back = claimed.score.mala_log_acceptance(target.log_density, target.score, y, x, target.h)
        flow = target.log_move(x, y) - target.log_move(y, x)
        scale = 1 + np.abs([target.log_move(x, y), target.log_move(y, x)]).max()
        evidence.close("detailed balance", back - there, flow, scale=scale)
        evidence.close("the larger of the two is 1", np.maximum(there, back), np.zeros(len(x)))
        q = Normal(case, 1)
        a, b = q.mean + 0.5, q.mean + 1.5
        log_a = claimed.score.mala_log_acceptance(q.log_density, q.score, a, b, q.h)
        evidence.close("of N(m, v)", log_a, -q.h * (1.5**2 - 0.5**2) / (4 * q.var**2))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q = Normal(case, 1)
        h = (1 + case.slope) * q.var  # large: much is rejected
        x = q.draw(trial.n, trial.rng)
        y = q.step(x, h, trial.rng)
        a = np.exp(claimed.score.mala_log_acceptance(q.log_density, q.score, x, y, h))
        rate = mean_over_moves(lambda x, y: accepted(x, y, h / q.var), h / q.var)
        trial.bounded("E a(x, y)", a, rate, rate * (1 - rate), span=1.0)

        # a constant field, as far from a score as can be, still has to keep the balance of every function
        def push(x):
            return np.full_like(x, PUSH / math.sqrt(q.var))

        h = 0.4 * q.var
        y = x + h * push(x) + math.sqrt(2 * h) * trial.rng.standard_normal(x.shape)
        a = np.exp(claimed.score.mala_log_acceptance(q.log_density, push, x, y, h))
        z_x, z_y = ((one - q.mean)[:, 0] / math.sqrt(q.var) for one in (x, y))
        flow = a * (np.tanh(z_y) - np.tanh(z_x))
        trial.bounded("E a(x, y) (f(y) - f(x)), another field", flow, 0.0, spread_of_pushed_flow(0.4), span=4.0)


@identity(
    "score.mala",
    judges=("score.mala", "score.mala_chain"),
    states=r"x \sim q \;\Longrightarrow\; x' \sim q, \qquad"
    r" P(x' \ne x) = \mathbb{E}\min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)",
    source="Besag (1994); Roberts & Tweedie (1996), section 1.4",
    statistics=8,
    coincides="As h goes to 0 all is accepted, and the unadjusted chain does as well; what never moves keeps q too.",
)
class Mala:
    """A rejected point stays where it is, bit for bit; a flat density accepts all. Of many points of N(m, v) the share
    that moves is known from an integral, and their mean and variance stay, even if a field that is no score proposes.
    By chance: samples of N(m, v) and of mixture data stay samples of these, exactly, and move as often as they should.
    """

    @staticmethod
    def pushed(score, q, start, rng):
        """Return where points of N(m, v) on a line are after three moves that a constant field proposes."""
        away = PUSH / math.sqrt(q.var)
        arguments = (q.log_density, lambda x: np.full_like(x, away), start, rng, 0.4 * q.var, 3)
        *_, (_, chain, _) = score.mala_chain(*arguments)
        return {"walked": score.mala(*arguments), "chain": chain}

    @staticmethod
    def exact(claimed, case, evidence):
        score, target = claimed.score, Target(case)
        _, x = draw(case, 40, rng_of(case))
        path = list(score.mala_chain(target.log_density, target.score, x, rng_of(case), target.h, 3))
        evidence.true("the chain counts its steps", [k for k, _, _ in path] == [1, 2, 3])
        before = x
        for k, now, moved in path:
            evidence.true(f"what is rejected stays, step {k}", ((now == before).all(axis=1) == ~moved).all())
            before = now
        told = []
        score.mala(
            target.log_density,
            target.score,
            x,
            rng_of(case),
            target.h,
            2,
            progress=lambda *told_of: told.append(told_of),
        )
        evidence.true("progress is told of each step", [k for k, _ in told] == [1, 2])

        zeros = np.zeros((MANY, case.d))
        flat = score.mala(lambda x: np.zeros(len(x)), nothing, zeros, rng_of(case), target.h, 1)
        evidence.close("variance of the noise on a flat density", spread_of(flat), 2 * target.h, ROUGHLY)
        q = Normal(case, 1)
        h = (1 + case.slope) * q.var
        start = q.draw(MANY, rng_of(case))
        rate = mean_over_moves(lambda x, y: accepted(x, y, h / q.var), h / q.var)
        arguments = (q.log_density, q.score, start, stream("other seed", case), h)
        # a share of so many is known to .0035
        evidence.close("share that moves", np.mean(score.mala(*arguments, 1) != start), rate, 0.1, scale=1.0)
        path = list(score.mala_chain(*arguments, 3))
        for k, _, moved in path:  # in each step, since all of them start from the target
            evidence.close(f"share accepted, step {k}", np.mean(moved), rate, 0.1, scale=1.0)
        for name, end in (("walked", score.mala(*arguments, 3)), ("chain", path[-1][1])):
            evidence.close(f"variance kept, {name}", spread_of(end - q.mean), q.var, ROUGHLY)
        for name, end in Mala.pushed(score, q, start, stream("other seed", case)).items():
            # the mean of so many is known to .007 standard deviations
            evidence.close(f"mean kept by another field, {name}", end.mean(), q.mean[0], 0.1, scale=math.sqrt(q.var))
            evidence.close(f"variance kept by another field, {name}", spread_of(end - q.mean), q.var, ROUGHLY)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, target, score = Normal(case), Target(case), claimed.score
        large = (1 + case.slope) * q.var  # much is rejected
        x = score.mala(q.log_density, q.score, q.draw(trial.n, trial.rng), trial.rng, large, 3)
        trial.mean("mean kept", x, q.mean, q.var)
        trial.var("variance kept", x, q.mean, q.var)
        _, x_0 = draw(case, trial.n, trial.rng)
        x = walk(case.schedule, x_0, trial.rng)[case.t]
        y = score.mala(target.log_density, target.score, x, trial.rng, target.h, 2)
        weights, means, variances = target.law
        waves(trial, "mixture kept", y[:, 0], weights, means[:, 0], variances[:, 0])
        line, h = Normal(case, 1), large
        start = line.draw(trial.n, trial.rng)
        rate = mean_over_moves(lambda x, y: accepted(x, y, h / line.var), h / line.var)
        end = score.mala(line.log_density, line.score, start, trial.rng, h, 1)
        trial.bounded("share that moves", (end != start).any(axis=1), rate, rate * (1 - rate), span=1.0)
        ((_, _, moved),) = score.mala_chain(line.log_density, line.score, start, trial.rng, h, 1)
        trial.bounded("share accepted", moved, rate, rate * (1 - rate), span=1.0)
        for name, end in Mala.pushed(score, line, start, trial.rng).items():
            trial.mean(f"mean kept by another field, {name}", end, line.mean, line.var)


@identity(
    "score.mala_acceptance",
    judges="score.mala_acceptance",
    states=r"\mathbb{E}\min\left(1, \frac{q(y)\,k(x \mid y)}{q(x)\,k(y \mid x)}\right)"
    r" = 1 - \frac2\pi\arctan\left(\frac{h}{2v}\right)^{3/2}, \qquad q = \mathcal{N}(m, v)",
    source="the definition of Roberts & Tweedie (1996), integrated; Roberts & Rosenthal (1998) for small steps",
    statistics=1,
    coincides="h near 0, where all is accepted.",
)
class MalaAcceptance:
    """The integral over x and y, split where Metropolis' rule has its kinks. By chance: the rule on drawn moves."""

    @staticmethod
    def exact(claimed, case, evidence):
        for ratio in (0.2, 1 - case.slope / 2, 1 + case.slope, 2.5):
            truth = mean_over_moves(lambda x, y, h=ratio: accepted(x, y, h), ratio)
            # quadrature
            evidence.close(
                f"h / v = {ratio:.3g}", claimed.score.mala_acceptance(ratio * case.var_q, case.var_q), truth, 1e-9
            )
        many = claimed.score.mala_acceptance(1.0, np.array([0.5, 1.0, 2.0]))
        truth = [mean_over_moves(lambda x, y, h=h: accepted(x, y, h), h) for h in (2.0, 1.0, 0.5)]
        evidence.close("an array of v", many, truth, 1e-9)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q = Normal(case, 1)
        h = 0.3 * q.var  # so small that the power of h tells
        x = q.draw(trial.n, trial.rng)
        y = q.step(x, h, trial.rng)
        z_x, z_y = ((one - q.mean)[:, 0] / math.sqrt(q.var) for one in (x, y))
        claim = float(claimed.score.mala_acceptance(h, q.var))
        trial.bounded("E a(x, y)", accepted(z_x, z_y, h / q.var), claim, claim * (1 - claim), span=1.0)


class Ladder:
    """Normal data N(m, v_0 I) at each noise level, and what annealed Langevin dynamics makes of a start: recursions."""

    steps = 2

    def __init__(self, case):
        self.mean, self.h = np.array(case.x_0), 0.5 + case.slope / 2
        rows = [marginal(case.beta, t) for t in range(case.T + 1)]
        self.signal, self.left = (np.array(column) for column in zip(*rows))
        self.var = self.signal**2 * case.var_q + self.left
        self.T = case.T

    def score(self, x, t):
        return -(np.asarray(x) - self.signal[t] * self.mean) / self.var[t]

    def levels(self, mean, var, flat=False):
        """Return t, and the contraction, mean and variance of x after level t, for t = T, ..., 1."""
        out, total = {}, 1.0
        for t in range(self.T, 0, -1):
            h = self.h * self.left[t]
            a, target = (1.0, 0.0) if flat else (1 - h / self.var[t], self.signal[t] * self.mean)
            for _ in range(self.steps):
                mean, var, total = target + a * (mean - target), a**2 * var + 2 * h, a * total
            out[t] = total, mean, var
            rescale = self.signal[t - 1] / self.signal[t]
            mean, var, total = rescale * mean, rescale**2 * var, rescale * total
        return out, (total, mean, var)


@identity(
    "score.annealed_langevin",
    judges=("score.annealed_langevin", "score.annealed_langevin_chain"),
    states=r"x \leftarrow x + h_t\,s(x, t) + \sqrt{2h_t}\,z, \quad h_t = h\,(1 - \bar\alpha_t), \qquad"
    r" x \leftarrow x / \sqrt{\alpha_t}, \qquad t = T, \ldots, 1",
    source="Song & Ermon (2019), Algorithm 1",
    statistics=8,
    coincides="With T = 1 and 1 - alpha_bar = 1 it is plain Langevin dynamics.",
)
class AnnealedLangevin:
    """On normal data a linear recursion through the levels: two runs with one seed differ by its contraction, a flat
    density shows the noise, and mean and variance of the result are known. The last mean of x_0, too.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        ladder, x, score = Ladder(case), two(case), claimed.score

        def run(x, **options):
            return score.annealed_langevin(case.schedule, ladder.score, x, rng_of(case), ladder.h, 2, **options)

        def levels(x):
            return dict(
                score.annealed_langevin_chain(case.schedule, ladder.score, x, rng_of(case), ladder.h, ladder.steps)
            )

        truth, (last, _, _) = ladder.levels(0.0, 0.0)
        path, moved = levels(x), levels(x + 1)
        evidence.true("levels T to 1", list(path) == list(range(case.T, 0, -1)))
        for t, (total, _, _) in truth.items():
            scale = 1 + np.abs(path[t]).max()
            evidence.close(f"two runs apart, level {t}", moved[t] - path[t], np.full(x.shape, total), scale=scale)
        end = run(x)
        scale = 1 + np.abs(end).max()
        evidence.close("two results apart", run(x + 1) - end, np.full(x.shape, last), scale=scale)
        gain = ladder.signal[1] * case.var_q / ladder.var[1]
        given = ladder.mean + gain * (ladder.signal[1] * end - ladder.signal[1] * ladder.mean)
        evidence.close("E[x_0 | x_1]", run(x, denoise=True), given, scale=scale)
        told = []
        run(x, progress=told.append)
        evidence.true("progress is told of each level", told == list(path))
        zeros = np.zeros((MANY, case.d))
        noise, (_, _, var) = ladder.levels(0.0, 0.0, flat=True)
        flat = score.annealed_langevin(case.schedule, nothing, zeros, rng_of(case), ladder.h, ladder.steps)
        evidence.close("variance of all noise", spread_of(flat), var, ROUGHLY)
        chain = score.annealed_langevin_chain(case.schedule, nothing, zeros, rng_of(case), ladder.h, ladder.steps)
        for t, one in chain:
            evidence.close(f"variance of the noise down to level {t}", spread_of(one), noise[t][2], ROUGHLY)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        ladder, start, score = Ladder(case), np.array(case.x_t), claimed.score
        x = case.repeat(start, trial.n)
        truth, (_, mean, var) = ladder.levels(start, 0.0)
        arguments = (case.schedule, ladder.score, x, trial.rng, ladder.h, ladder.steps)
        end = score.annealed_langevin(*arguments)
        trial.mean("mean", end, mean, var)
        trial.var("variance", end, mean, var)
        gain = ladder.signal[1] ** 2 * case.var_q / ladder.var[1]
        end = score.annealed_langevin(*arguments, denoise=True)
        trial.mean("mean, denoised", end, ladder.mean + gain * (mean - ladder.mean), gain**2 * var)
        trial.var("variance, denoised", end, ladder.mean + gain * (mean - ladder.mean), gain**2 * var)
        path = dict(score.annealed_langevin_chain(*arguments))
        for t in (case.T, 1):
            trial.mean(f"mean, level {'T' if t == case.T else 1}", path[t], *truth[t][1:])
            trial.var(f"variance, level {'T' if t == case.T else 1}", path[t], *truth[t][1:])


def normal_data(case, var_0):
    """Return mean (T + 1, d) and covariance (T + 1, T + 1) of x_0..x_T for data N(case.x_0, var_0), and their score."""
    mean, cov = dense_joint(case.beta, case.x_0, var_0)
    var = np.diag(cov)

    def score(x, t):
        t = np.asarray(t)
        return -(np.asarray(x) - mean[t]) / var[t][..., None]

    return mean, cov, score


@identity(
    "score.ancestral_transition",
    judges="score.ancestral_transition",
    states=r"\mathbb{E}[x_{t-1} \mid x_t] = \frac{x_t + \beta_t\,\nabla\log q(x_t)}{\sqrt{\alpha_t}}, \qquad"
    r" p(x_{t-1} \mid x_t) = \mathcal{N}\left(\mathbb{E}[x_{t-1} \mid x_t],\; \sigma_t^2 I\right)",
    source="Song et al. (2021), eq. 4; Ho, Jain & Abbeel (2020), eq. 11",
    statistics=5,
    coincides="As beta_t goes to 0 every version returns x_t; as a whole law it is exact for data N(0, I) alone.",
)
class AncestralTransition:
    """The mean for normal data from the dense joint of all steps, and for mixture data from sums over x_{t-1} on a
    grid: exact for both. The variances from the same joint. By chance: along walks.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, steps = np.array(case.x_t) + 0.1 * np.arange(case.T)[:, None], np.arange(1, case.T + 1)
        mean, cov, score = normal_data(case, case.var_q)
        truth = [condition(mean, cov, t - 1, {t: one})[0] for one, t in zip(x, steps, strict=True)]
        own = np.concatenate([[0.0], np.linspace(0.4, 1.2, case.T)])
        for variance in ("beta", "posterior", own):
            name = variance if isinstance(variance, str) else "own"
            p = claimed.score.ancestral_transition(case.schedule, score, x, steps, variance)
            evidence.close(f"E[x_{{t-1}} | x_t], {name}", p.mean, truth, at=steps)
            var = np.array([model_var(case, t, variance) for t in steps])
            evidence.close(f"variance, {name}", p.var, np.tile(var[:, None], case.d), at=steps)
        p = claimed.score.ancestral_transition(case.schedule, score, x[case.t - 1], case.t)
        evidence.close("one point", p.mean, truth[case.t - 1])
        evidence.close("variance, one point", p.var, np.full(case.d, case.beta[case.t - 1]))
        for t in (1, case.t):
            x_s, x_t, joint = on_a_grid(case, t - 1, t)
            likely = joint.sum(axis=0) > 1e-9
            weights, means, variances = diffuse(case, t)
            line = weights, means[:, :1], variances[:, :1]
            p = claimed.score.ancestral_transition(
                case.schedule, lambda x, t, line=line: mixture_score(x, *line), x_t[likely, None], t
            )
            given = (joint[:, likely] * x_s).sum(axis=0) / joint[:, likely].sum(axis=0)
            # what is cut off at 1e-18 counts beside 1e-9
            evidence.close(f"E[x_{{t-1}} | x_t], mixture, t = {t}", p.mean[:, 0], given, 1e-7, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, transition = case.t, claimed.score.ancestral_transition
        x = walk(case.schedule, trial.rng.standard_normal((trial.n, case.d)), trial.rng)
        p = transition(case.schedule, lambda x, t: -x, x[t], t)
        trial.conditional("x_{t-1} given x_t, N(0, I)", x[t - 1], p.mean, p.var[0], x_t=x[t])
        mean, cov, score = normal_data(case, case.var_q)
        x_0 = mean[0] + math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d))
        x = walk(case.schedule, x_0, trial.rng)
        p = transition(case.schedule, score, x[t], t)
        left = condition(mean, cov, t - 1, {t: mean[t]})[1]
        trial.mean("E[x_{t-1}]", x[t - 1], p.mean, left)
        trial.mean("E[x_{t-1} x_t]", x[t - 1], p.mean, left, weight=x[t])


@identity(
    "score.ancestral_vs_langevin",
    judges=("score.ancestral_transition", "score.langevin_transition"),
    states=r"\frac{x + \beta s}{\sqrt{1 - \beta}} - \left(x + \tfrac\beta2 s\right)"
    r" = \tfrac\beta2\,(x + s) + O(\beta^2); \qquad x_t \sim \mathcal{N}(m, v):\qquad"
    r" \operatorname{Var}_{\mathrm{ancestral}} = \operatorname{Var}[x_{t-1}]"
    r" + \frac{\beta_t^2}{\alpha_t}\left(\frac1v - 1\right), \qquad"
    r" \operatorname{Var}_{\mathrm{Langevin}} = v + \frac{\beta_t^2}{4v}",
    source="Song et al. (2021), eq. 2 and 4, for the two steps; a comparison of definitions",
    statistics=4,
    coincides="Where s = -x, as for data N(0, I), the two agree to first order.",
)
class AncestralVsLangevin:
    """With the same noise, h = beta / 2: the difference of the means for small beta, extrapolated; and where each step
    takes the variance of normal data, from the dense joint. By chance: points of x_t after either step.
    """

    @staticmethod
    def after(case):
        """Return mean and variance of x_t after an ancestral step and after one of Langevin's, for normal data."""
        t, beta = case.t, case.beta[case.t - 1]
        mean, cov, _ = normal_data(case, case.var_q)
        v = cov[t, t]
        ancestral = mean[t - 1], cov[t - 1, t - 1] + beta**2 / (1 - beta) * (1 / v - 1)
        return ancestral, (mean[t], v + beta**2 / (4 * v))

    @staticmethod
    def laws(claimed, case, x):
        """Return the two laws of a step from x at t = case.t."""
        t, (_, _, score) = case.t, normal_data(case, case.var_q)
        ancestral = claimed.score.ancestral_transition(case.schedule, score, x, t)
        return ancestral, claimed.score.langevin_transition(lambda x: score(x, t), x, case.beta[t - 1] / 2)

    @staticmethod
    def exact(claimed, case, evidence):
        q, x = Normal(case), two(case)

        def difference(beta):
            schedule = case.schedule.from_betas([beta])
            ancestral = claimed.score.ancestral_transition(schedule, lambda x, t: q.score(x), x, 1)
            langevin = claimed.score.langevin_transition(q.score, x, beta / 2)
            evidence.close(f"one noise, beta = {beta:.3g}", ancestral.var, langevin.var)
            return (ancestral.mean - langevin.mean) / (beta / 2)

        rough = [difference(beta) for beta in (4e-3, 2e-3, 1e-3)]
        finer = [2 * rough[1] - rough[0], 2 * rough[2] - rough[1]]
        limit = (4 * finer[1] - finer[0]) / 3
        # what is left is of third order in beta
        evidence.close("difference of the means", limit, x + q.score(x), 1e-6, scale=1 + np.abs(x + q.score(x)).max())
        mean, cov, _ = normal_data(case, case.var_q)
        m, v = mean[case.t], cov[case.t, case.t]
        at, above = (AncestralVsLangevin.laws(claimed, case, one) for one in (m, m + 1))
        for name, p, moved, (to, var) in zip(
            ("ancestral", "Langevin"), at, above, AncestralVsLangevin.after(case), strict=True
        ):
            slope = moved.mean - p.mean
            evidence.close(f"mean after, {name}", p.mean, to)
            evidence.close(f"variance after, {name}", slope**2 * v + p.var, np.full(case.d, var))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, _, _ = normal_data(case, case.var_q)
        x_0 = mean[0] + math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d))
        x_t = walk(case.schedule, x_0, trial.rng)[case.t]
        laws = AncestralVsLangevin.laws(claimed, case, x_t)
        for name, p, (to, var) in zip(("ancestral", "Langevin"), laws, AncestralVsLangevin.after(case), strict=True):
            y = p.mean + np.sqrt(p.var) * trial.rng.standard_normal(x_t.shape)
            trial.mean(f"mean after, {name}", y, to, var)
            trial.var(f"variance after, {name}", y, to, var)


@identity(
    "score.ancestral_var",
    judges="score.ancestral_var",
    states=r"\operatorname{Var} = \frac{\beta}{1 - a^2} = \frac{v}{2 - v} + O(\beta), \qquad"
    r" a = \frac{1 - \beta/v}{\sqrt{1 - \beta}} = \frac{\operatorname{Cov}(x_{t-1}, x_t)}{\operatorname{Var}[x_t]}",
    source="the step of Ho, Jain & Abbeel (2020), Algorithm 2; the geometric series of an AR(1) process",
    statistics=1,
    coincides="v = 1, where the step keeps q(x_t).",
)
class AncestralVar:
    """The regression of x_{t-1} on x_t from the dense joint of normal data, iterated: a series. Its limit for small
    beta. By chance: what has this variance keeps it over several steps.
    """

    @staticmethod
    def gain(case, t):
        """Return v and a at t, for normal data of variance at most 1."""
        _, cov = dense_joint(case.beta, 0.0, case.spread[0])
        return cov[t, t], cov[t - 1, t] / cov[t, t]

    @staticmethod
    def exact(claimed, case, evidence):
        for t in range(1, case.T + 1):
            v, a = AncestralVar.gain(case, t)
            truth = case.beta[t - 1] * sum(a ** (2 * k) for k in range(2000))
            # a series of many terms
            evidence.close(f"the series, t = {t}", claimed.score.ancestral_var(case.beta[t - 1], v), truth, 1e-11)
        v = np.array([0.3, 0.7, 1.0, 1.6])
        evidence.close("v / (2 - v)", claimed.score.ancestral_var(1e-9, v), v / (2 - v), 1e-7)
        evidence.refuses("a step that does not settle", claimed.score.ancestral_var, 0.01, 3.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        v, a = AncestralVar.gain(case, case.t)
        beta = case.beta[case.t - 1]
        claim = float(claimed.score.ancestral_var(beta, v))
        x = math.sqrt(max(claim, 0.0)) * trial.rng.standard_normal((trial.n, 4))
        for _ in range(SEVERAL):
            x = a * x + math.sqrt(beta) * trial.rng.standard_normal(x.shape)
        trial.var("what settled", x.ravel(), 0.0, claim)
