r"""Identities of samplers with a fixed number of steps, judged by the fields that they follow, known without the score.

What x_s says of its past, by Bayes' rule, is the drift of the reverse equation; the mean of past and future is that of
the flow; and what it says of x_0 is the slope of x_s / a_s over the noise-to-signal ratio. For normal data all of them
are affine, so every step is, and mean and variance follow by recursion. The exact routes know a seed's noise only
through the difference of two runs; that its variance is right they see on 20,000 draws, within a fifth, which chance
exceeds once in 1e80 runs.
"""

import math
from itertools import pairwise

import numpy as np

from refdiff.verify.catalogue.continuous.processes import Blend, blend, instants, normal, one_process, processes, rate
from refdiff.verify.catalogue.score.models import MANY, ROUGHLY, spread_of
from refdiff.verify.evidence import stream
from refdiff.verify.identity import identity


def rng_of(case):
    """Return a Generator that starts afresh with each call."""
    return stream("seed", case)


def grid(case):
    """Return four times, no two distances alike."""
    s, u = instants(case)
    return np.array([u, 0.6 * u + 0.4 * s, s, s / 3])


def two(case):
    """Return two points to start from, (2, d)."""
    return np.array([case.x_t, case.eps])


def other(law):
    """Return the law with another mean: under it a step has the same slope and another shift."""
    return Blend(law.weights, 1.5 - law.means, law.variances)


def flat(x, s):
    """Return the score of a flat density."""
    return np.zeros_like(x)


def g_2(process, s):
    """Return g^2, by what the variance of x_s grows by beyond 2 f v."""
    return rate(process.v, s) - 2 * rate(process.a, s) / process.a(s) * process.v(s)


def velocity(law, process, x, s):
    """Return the mean of the rates at which past and future leave the present."""
    return (law.past(process, x, s) + rate(process.a, s) / process.a(s) * x) / 2


def pull(law, process, x, s):
    """Return the gradient of log q_s; a flat density has none."""
    return flat(x, s) if law is None else law.score(process)(x, s)


def ahead(law, process, x, u, s):
    """Return the mean of an Euler-Maruyama step of the reverse equation, and the variance of its noise."""
    past = rate(process.a, u) / process.a(u) * x if law is None else law.past(process, x, u)
    return x - (u - s) * past, (u - s) * g_2(process, u)


def affine_step(step, d):
    """Return slope and shift, (d,), of a step that is affine in each coordinate."""
    shift = step(np.zeros(d))
    return step(np.ones(d)) - shift, shift


def laws(steps, mean, var):
    """Return mean and variance after each of some steps, each a list of parts (slope, shift, variance of the noise)."""
    out = []
    for parts in steps:
        for slope, shift, noise in parts:
            mean, var = slope * mean + shift, slope**2 * var + noise
        out.append((mean, var))
    return out


def reverse_parts(law, process, u, s, d):
    """Return the parts of one step of Euler and Maruyama."""
    return [(*affine_step(lambda x: ahead(law, process, x, u, s)[0], d), ahead(law, process, np.zeros(d), u, s)[1])]


def corrected_parts(law, process, u, s, d, h, corrections):
    """Return the parts of such a step and of the Langevin steps that follow, each of size h v(s)."""
    h_s = h * process.v(s)
    langevin = (*affine_step(lambda x: x + h_s * pull(law, process, x, s), d), 2 * h_s)
    return [*reverse_parts(law, process, u, s, d), *[langevin] * corrections]


def walked(evidence, what, path, truth, times, tolerance=1e-11):
    """Record whether a path has the right times, and the right points at each."""
    evidence.close(f"{what}: times", [s for s, _ in path], times[1:])
    for k, ((_, found), right) in enumerate(zip(path, truth, strict=True), start=1):
        evidence.close(f"{what}: step {k}", found, right, tolerance, scale=1 + np.abs(right).max())


def one_seed_two_laws(evidence, what, run, parts, case, law, times):
    """Record what two runs of one seed differ by: other starts, other means, and the same noise, which cancels.

    ``run(law, x)`` walks a path, and ``parts(law, u, s)`` are those of a step.
    """
    x, steps = two(case), list(pairwise(times))
    ours, theirs = ([parts(one, u, s) for u, s in steps] for one in (law, other(law)))
    truth = [b[0] - a[0] for a, b in zip(laws(ours, x, 0.0), laws(theirs, x + 1, 0.0))]
    paths = [list(run(one, start)) for one, start in ((law, x), (other(law), x + 1))]
    found = [(s, there - here) for (s, here), (_, there) in zip(*paths)]
    walked(evidence, f"{what}, two runs apart", found, truth, times, tolerance=1e-10)


def noise_alone(evidence, what, path, steps):
    """Record the variance of the noise of a path of many points from 0 under a flat density."""
    for (s, found), (_, var) in zip(path, laws(steps, 0.0, 0.0), strict=True):
        evidence.close(f"{what}, noise down to {s:.3g}", spread_of(found), float(np.mean(var)), ROUGHLY)


def ends_as_its_path(evidence, what, end, path, steps):
    """Record whether a function ends where its path does, and tells its progress on the way."""
    told = []
    found, (*_, (_, last)) = end(progress=told.append), path
    evidence.close(f"{what}: ends where its path does", found, last, scale=1 + np.abs(last).max())
    evidence.true(f"{what}: progress is told of each step", told == list(range(1, steps + 1)))


def arrives(trial, path, end, truth):
    """Judge mean and variance after the first step of a path, and where a function ends."""
    _, x = next(iter(path))
    for what, found, (mean, var) in (("the first step", x, truth[0]), ("the end", end, truth[-1])):
        trial.mean(f"mean after {what}", found, mean, var)
        trial.var(f"variance after {what}", found, mean, var)


@identity(
    "continuous.euler_maruyama_transition",
    judges="continuous.euler_maruyama_transition",
    states=r"p(x_s \mid x_u) = \mathcal{N}\left(x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u(x_u)\right],\;"
    r" (u - s)\,g^2 I\right), \qquad f, g \text{ at } u > s",
    source="Maruyama (1955), for the equation of Anderson (1982); Song et al. (2021), section 4.1",
    statistics=3,
    coincides="As s comes near u the true p(x_s | x_u) is the same.",
)
class EulerMaruyamaTransition:
    """The rate at which x_u leaves its past, by Bayes' rule in each component, and that at which noise was gathered."""

    @staticmethod
    def exact(claimed, case, evidence):
        (s, u), law = instants(case), blend(case)
        x = np.array([case.x_0, case.x_t, case.eps, np.zeros(case.d)])
        before, after = np.linspace(s, u, 4), np.linspace(0.0, s, 4)
        for process in processes(case):
            p = claimed.continuous.euler_maruyama_transition(process, law.score(process), x, before, after)
            h = (before - after)[:, None]
            evidence.close(f"{process.name}: mean", p.mean, x - h * law.past(process, x, before), 1e-11)
            evidence.close(f"{process.name}: var", p.var, h * g_2(process, before)[:, None] + 0 * x, 1e-11)
            p = claimed.continuous.euler_maruyama_transition(process, law.score(process), x, u, s)
            mean, var = ahead(law, process, x, u, s)
            evidence.close(f"{process.name}: mean, one pair of times", p.mean, mean, 1e-11)
            evidence.close(f"{process.name}: var, one pair of times", p.var, var + 0 * x, 1e-11)
            evidence.refuses(
                f"{process.name}: forwards",
                claimed.continuous.euler_maruyama_transition,
                *(process, law.score(process), x, s, u),
            )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), law, process = instants(case), blend(case), one_process(case)
        x_u = process.run(law.draw(trial.n, trial.rng)[1], 0.0, u, trial.rng)
        mean, var = ahead(law, process, x_u, u, s)
        x_s = mean + math.sqrt(var) * trial.rng.standard_normal(x_u.shape)
        p = claimed.continuous.euler_maruyama_transition(process, law.score(process), x_u, u, s)
        trial.conditional("x_s given x_u", x_s, p.mean, p.var[0], x_u=x_u)


@identity(
    "continuous.euler_maruyama",
    judges=("continuous.euler_maruyama", "continuous.euler_maruyama_path"),
    states=r"x_s = x_u - (u - s)\left[f x_u - g^2\,\nabla\log q_u(x_u)\right] + \sqrt{u - s}\;g\,z, \qquad"
    r" z \sim \mathcal{N}(0, I) \text{ anew in each step, the last one too}",
    source="Maruyama (1955); Song et al. (2021), section 4.1",
    statistics=4,
    coincides="As the steps become short, with any sampler whose law at s is q_s.",
)
class EulerMaruyama:
    """Normal data make each step affine: two runs of one seed differ by a recursion, and by chance mean and variance
    follow one. A flat density shows the noise.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        law, times = normal(case), grid(case)
        steps = list(pairwise(times))
        for process in processes(case):

            def run(law, x, process=process):
                score = flat if law is None else law.score(process)
                return claimed.continuous.euler_maruyama_path(process, score, x, rng_of(case), times)

            def parts(law, u, s, process=process):
                return reverse_parts(law, process, u, s, case.d)

            one_seed_two_laws(evidence, process.name, run, parts, case, law, times)
            zeros = np.zeros((MANY, case.d))
            noise_alone(evidence, process.name, run(None, zeros), [parts(None, u, s) for u, s in steps])

            def end(process=process, **options):
                arguments = process, law.score(process), two(case), rng_of(case), times
                return claimed.continuous.euler_maruyama(*arguments, **options)

            ends_as_its_path(evidence, process.name, end, run(law, two(case)), len(steps))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        law, times, process, start = normal(case), grid(case), one_process(case), np.array(case.x_t)
        arguments = process, law.score(process), case.repeat(start, trial.n), trial.rng, times
        steps = [reverse_parts(law, process, u, s, case.d) for u, s in pairwise(times)]
        path, end = claimed.continuous.euler_maruyama_path(*arguments), claimed.continuous.euler_maruyama(*arguments)
        arrives(trial, path, end, laws(steps, start, 0.0))


def euler_step(law, process, x, u, s):
    """Return where the flow carries x from u to s if it keeps its first velocity."""
    return x - (u - s) * velocity(law, process, x, u)


def heun_step(law, process, x, u, s):
    """Return where it does with the mean of its velocity here and of that where the first one would lead."""
    there = velocity(law, process, euler_step(law, process, x, u, s), s)
    return x - (u - s) * (velocity(law, process, x, u) + there) / 2


def flow_is_followed(name, step, claimed, case, evidence):
    """Record whether a path of the flow, on mixture data, takes the steps that it should."""
    law, x = blend(case), np.array([case.x_0, case.x_t, case.eps])
    chapter = claimed.continuous
    for process in processes(case):
        for what, times in (("", grid(case)), (" to data", np.array([0.4, 0.15, 0.0]))):
            arguments = process, law.score(process), x, times
            truth, now = [], x
            for u, s in pairwise(times):
                now = step(law, process, now, u, s)
                truth.append(now)
            path = list(getattr(chapter, f"{name}_path")(*arguments))
            walked(evidence, process.name + what, path, truth, times)

            def end(arguments=arguments, **options):
                return getattr(chapter, name)(*arguments, **options)

            ends_as_its_path(evidence, process.name + what, end, path, len(times) - 1)


def flow_carries_normals(name, step, claimed, case, trial):
    """Judge mean and variance of points that a path of the flow carries, from those of normal data at its start.

    The first of its steps is long: what is wrong in a step grows with it.
    """
    (s, u), law, process = instants(case), normal(case), one_process(case)
    times = np.array([u, s / 2, s / 4])
    start = law.diffused(process, times[0])
    _, x = start.draw(trial.n, trial.rng)
    arguments = process, law.score(process), x, times
    steps = [[(*affine_step(lambda x, u=u, s=s: step(law, process, x, u, s), case.d), 0.0)] for u, s in pairwise(times)]
    path, end = (getattr(claimed.continuous, called)(*arguments) for called in (f"{name}_path", name))
    arrives(trial, path, end, laws(steps, start.means[0], start.variances[0]))


@identity(
    "continuous.euler",
    judges=("continuous.euler", "continuous.euler_path"),
    states=r"x_s = x_u - (u - s)\,v(x_u, u), \qquad v(x, u) = f(u)\,x - \tfrac12 g(u)^2\,\nabla\log q_u(x)",
    source="Euler (1768); Song et al. (2021), section 4.3",
    statistics=4,
    coincides="Data N(0, I) under VP, where no point moves.",
)
class Euler:
    """The velocity is the mean of the rates of past and future; for normal data each step is affine."""

    @staticmethod
    def exact(claimed, case, evidence):
        flow_is_followed("euler", euler_step, claimed, case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        flow_carries_normals("euler", euler_step, claimed, case, trial)


@identity(
    "continuous.heun",
    judges=("continuous.heun", "continuous.heun_path"),
    states=r"x_s = x_u - \frac{u - s}{2}\left[v(x_u, u) + v(\tilde x, s)\right], \qquad"
    r" \tilde x = x_u - (u - s)\,v(x_u, u)",
    source="Heun (1900); Karras et al. (2022), Algorithm 1",
    statistics=4,
    coincides="Data N(0, I) under VP, where no point moves; a velocity that stays the same, where it is Euler's step.",
)
class Heun:
    """The velocity is the mean of the rates of past and future; for normal data each step is affine."""

    @staticmethod
    def exact(claimed, case, evidence):
        flow_is_followed("heun", heun_step, claimed, case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        flow_carries_normals("heun", heun_step, claimed, case, trial)


class Churned:
    """The sampler of Karras et al. in y = x / a and r = sigma / a: D(y) is the mean of x_0 given x, and
    dy / dr = (y - D) / r.
    """

    def __init__(self, process, churn=0.0, inflation=1.0, steps=3):
        self.process, self.inflation = process, inflation
        self.gamma = min(churn / steps, math.sqrt(2) - 1)

    def ratio(self, s):
        return math.sqrt(self.process.v(s)) / self.process.a(s)

    def slope(self, law, y, s):
        """Return (y - D) / r; a flat density leaves y where it is."""
        if law is None:
            return np.zeros_like(y)
        a = self.process.a(s)
        chances, u, _ = law.apart(self.process, a * y, s)
        x_0 = np.sum(chances[..., None] * (law.means - a * law.variances * u), axis=-2)
        return (y - x_0) / self.ratio(s)

    def raised(self, u):
        """Return the level that noise raises u to, as ratio and time, and the variance of that noise."""
        r = self.ratio(u)
        high = min((1 + self.gamma) * r, self.ratio(1.0))
        return high, float(self.process.time(-2 * math.log(high))), self.inflation**2 * (high**2 - r**2)

    def down(self, law, y, high, u, s):
        """Return where Heun's step leads from the raised level; to s = 0 Euler's."""
        low, first = self.ratio(s), self.slope(law, y, u)
        if s == 0:
            return y - high * first
        return y + (low - high) * (first + self.slope(law, y + (low - high) * first, s)) / 2

    def parts(self, law, u, s, d):
        """Return the parts of one step, in x."""
        (high, raised, var), a = self.raised(u), self.process.a
        step = affine_step(lambda y: self.down(law, y, high, raised, s), d)
        return [(1 / a(u), 0.0, var), (*step, 0.0), (a(s), 0.0, 0.0)]


def down_to_data(case):
    """Return three steps from s = 1 to 0."""
    s, u = instants(case)
    return np.array([1.0, u, s, 0.0])


@identity(
    "continuous.edm",
    judges=("continuous.edm", "continuous.edm_path"),
    states=r"\hat y = y + \sqrt{\hat r^2 - r_k^2}\;S z, \quad \hat r = (1 + \gamma)\,r_k, \qquad"
    r" \tilde y = \hat y + (r_{k+1} - \hat r)\,d(\hat y, \hat r), \qquad"
    r" y \leftarrow \hat y + \tfrac12 (r_{k+1} - \hat r)\left[d(\hat y, \hat r) + d(\tilde y, r_{k+1})\right], \qquad"
    r" d(y, r) = \frac{y - D}{r}, \quad y = \frac{x_s}{a_s}, \quad r = \frac{\sigma_s}{a_s}",
    source="Karras et al. (2022), Algorithm 2",
    statistics=4,
    coincides="For VE there is no scale; without churn there is no noise, and short steps follow the flow, as Heun's.",
)
class Edm:
    """The denoiser's answer is the mean of x_0 by Bayes' rule. Without churn each step is compared, on mixture data;
    with churn, on normal data, two runs of one seed differ by a recursion, and mean and variance follow one. A flat
    density shows the noise, which stops at s = 1, and its inflation.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, mixture, law = np.array([case.x_0, case.x_t, case.eps]), blend(case), normal(case)
        for process in processes(case):
            for what, times in (("", grid(case)), (" to data", down_to_data(case))):
                Edm.without_churn(claimed, case, evidence, process, process.name + what, mixture, x, times)
            for what, churn, inflation, times in (
                ("some churn", 0.6, 1.3, grid(case)),
                ("much churn, to data", 9.0, 1.0, down_to_data(case)),
            ):
                truth = Churned(process, churn, inflation)

                def run(law, x, process=process, churn=churn, inflation=inflation, times=times):
                    score = flat if law is None else law.score(process)
                    return claimed.continuous.edm_path(process, score, x, rng_of(case), times, churn, inflation)

                def parts(law, u, s, truth=truth):
                    return truth.parts(law, u, s, case.d)

                one_seed_two_laws(evidence, f"{process.name}: {what}", run, parts, case, law, times)
                steps = [parts(None, u, s) for u, s in pairwise(times)]
                path = list(run(None, np.zeros((MANY, case.d))))
                if times[0] == 1:  # nothing is above: the first step has no noise
                    evidence.true(f"{process.name}: {what}, none at s = 1", not path[0][1].any())
                    path, steps = path[1:], steps[1:]
                noise_alone(evidence, f"{process.name}: {what}", path, steps)

                def end(process=process, churn=churn, inflation=inflation, times=times, **options):
                    arguments = process, law.score(process), two(case), rng_of(case), times, churn, inflation
                    return claimed.continuous.edm(*arguments, **options)

                ends_as_its_path(evidence, f"{process.name}: {what}", end, run(law, two(case)), 3)

    @staticmethod
    def without_churn(claimed, case, evidence, process, what, law, x, times):
        """Record each step, that nothing is drawn, and which scores are asked for."""
        asked, score, truth, now = [], law.score(process), [], x

        def noting(x, s):
            asked.append(float(s))
            return score(x, s)

        for u, s in pairwise(times):
            one = Churned(process)
            now = process.a(s) * one.down(law, now / process.a(u), one.ratio(u), u, s)
            truth.append(now)
        rng = rng_of(case)
        walked(evidence, what, list(claimed.continuous.edm_path(process, noting, x, rng, times)), truth, times)
        evidence.true(f"{what}: nothing drawn", rng.random() == rng_of(case).random())
        pairs = [one for u, s in pairwise(times.tolist()) for one in ((u, s) if s else (u,))]
        evidence.close(f"{what}: two scores a step, none at 0", asked, pairs)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        law, times, process, start = normal(case), grid(case), one_process(case), np.array(case.x_t)
        truth = Churned(process, 0.9, 1.2)
        arguments = process, law.score(process), case.repeat(start, trial.n), trial.rng, times, 0.9, 1.2
        steps = [truth.parts(law, u, s, case.d) for u, s in pairwise(times)]
        path, end = claimed.continuous.edm_path(*arguments), claimed.continuous.edm(*arguments)
        arrives(trial, path, end, laws(steps, start, 0.0))


@identity(
    "continuous.predictor_corrector",
    judges=("continuous.predictor_corrector", "continuous.predictor_corrector_path"),
    states=r"x \sim p(x_s \mid x_u), \qquad\text{then}\qquad"
    r" x \leftarrow x + h_s\,\nabla\log q_s(x) + \sqrt{2h_s}\,z, \qquad h_s = h\,\sigma_s^2",
    source="Song et al. (2021), section 4.2 and Algorithm 1",
    statistics=4,
    coincides="h near 0, where nothing is corrected.",
)
class PredictorCorrector:
    """Normal data make both steps affine: two runs of one seed differ by a recursion, and by chance mean and variance
    follow one. A flat density shows the noise.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        law, times, h = normal(case), down_to_data(case), 0.3 + case.slope / 2
        steps = list(pairwise(times))
        for process in processes(case):
            for corrections in (0, 1, 2):

                def run(law, x, process=process, corrections=corrections):
                    score = flat if law is None else law.score(process)
                    arguments = process, score, x, rng_of(case), times, h, corrections
                    return claimed.continuous.predictor_corrector_path(*arguments)

                def parts(law, u, s, process=process, corrections=corrections):
                    return corrected_parts(law, process, u, s, case.d, h, corrections if s else 0)

                what = f"{process.name}: {corrections} corrections"
                one_seed_two_laws(evidence, what, run, parts, case, law, times)
                zeros = np.zeros((MANY, case.d))
                noise_alone(evidence, what, run(None, zeros), [parts(None, u, s) for u, s in steps])

                def end(process=process, corrections=corrections, **options):
                    arguments = process, law.score(process), two(case), rng_of(case), times, h, corrections
                    return claimed.continuous.predictor_corrector(*arguments, **options)

                ends_as_its_path(evidence, what, end, run(law, two(case)), len(steps))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        law, times, process, start = normal(case), grid(case), one_process(case), np.array(case.x_t)
        h = 0.3 + case.slope / 2
        arguments = process, law.score(process), case.repeat(start, trial.n), trial.rng, times, h
        steps = [corrected_parts(law, process, u, s, case.d, h, 1) for u, s in pairwise(times)]
        path = claimed.continuous.predictor_corrector_path(*arguments)
        arrives(trial, path, claimed.continuous.predictor_corrector(*arguments), laws(steps, start, 0.0))
