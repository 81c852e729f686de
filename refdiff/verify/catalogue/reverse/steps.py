r"""Identities of the choices of steps, judged by looking for the nearest of them one by one.

The noise at each step comes from weights along the path; the chains are cut finer than a case's own, so that there is
something to choose from.
"""

from dataclasses import replace

import numpy as np

from refdiff.forward import walk
from refdiff.verify.identity import identity
from refdiff.verify.oracles import path_weights

CUT = 8  # each step of a case becomes so many, of a quarter of its variance


def finer(case):
    """Return the case with a chain of CUT times as many steps, which ends further out in noise."""
    return replace(case, beta=tuple(b / 4 for b in case.beta for _ in range(CUT)))


def log_sigma(case):
    """Return the log of noise over signal at t = 0..T, entry 0 unused."""
    start, noise = path_weights(case.beta)
    return np.append(np.nan, np.log(np.linalg.norm(noise[1:], axis=1) / start[1:]))


def nearest(u, number, first):
    """Return the steps nearest to an even grid of u from u[first] to u[-1]: one by one, each free, and room for all."""
    T, kept = len(u) - 1, []
    for k in range(number):
        point = u[T] if number == 1 else u[first] + k / (number - 1) * (u[T] - u[first])
        t = min(range(first, T + 1), key=lambda t: (abs(u[t] - point), t))
        kept.append(t if not kept else max(t, kept[-1] + 1))
    return [min(t, T - (number - 1 - k)) for k, t in enumerate(kept)]


def same(evidence, what, claimed, truth):
    """Record whether steps are so many and the right ones."""
    evidence.true(f"how many, {what}", np.shape(claimed) == np.shape(truth))
    if np.shape(claimed) == np.shape(truth):
        evidence.close(f"steps, {what}", claimed, truth, 0.0)


def numbers(case):
    """Return how many steps to choose: the fewest, some, and so many that some have to move."""
    return [number for number in sorted({1, 2, 3, case.T // 3, case.T - 1, case.T}) if 1 <= number <= case.T]


def noise_found(trial, case, claimed, truth):
    """Judge the variance of x at the steps chosen, for data 0: those that are right have so much noise there."""
    x, noise = walk(case.schedule, np.zeros((trial.n, 1)), trial.rng)[..., 0], path_weights(case.beta)[1]
    claimed, truth = np.concatenate(claimed), np.concatenate(truth)
    trial.var("noise at the steps", x[claimed].T, 0.0, (noise[truth] ** 2).sum(axis=1))


@identity(
    "reverse.even_steps",
    judges="reverse.even_steps",
    states=r"\tau_k = \left\lfloor \frac{k T}{K} \right\rfloor, \qquad k = 1, \ldots, K",
    source='Song, Meng & Ermon (2021), appendix D.2, "linear"',
    statistics=1,
    coincides="With K = T all steps are kept, and with K = 1 the last.",
)
class EvenSteps:
    """Each step is counted off: how many m there are with m K <= k T. A chain is walked, and its noise is found."""

    @staticmethod
    def truth(case, number):
        """Return tau_1..tau_K."""
        return [sum(m * number <= k * case.T for m in range(1, case.T + 1)) for k in range(1, number + 1)]

    @staticmethod
    def exact(claimed, case, evidence):
        for one in (case, finer(case)):
            for number in numbers(one):
                found = claimed.reverse.even_steps(one.schedule, number)
                same(evidence, f"{number} of {one.T}", found, EvenSteps.truth(one, number))
        evidence.refuses("more steps than there are", claimed.reverse.even_steps, case.schedule, case.T + 1)
        evidence.refuses("none", claimed.reverse.even_steps, case.schedule, 0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = finer(case)
        numbers = 3, case.T // 2 + 1
        chosen = [claimed.reverse.even_steps(case.schedule, number) for number in numbers]
        noise_found(trial, case, chosen, [EvenSteps.truth(case, number) for number in numbers])


@identity(
    "reverse.log_snr_steps",
    judges="reverse.log_snr_steps",
    states=r"\tau_k = \operatorname*{argmin}_{t \ge t_1} \left|\ell(t) - \ell_k\right|, \qquad"
    r" \ell_k = \ell(t_1) + \frac{k - 1}{K - 1}\left[\ell(T) - \ell(t_1)\right], \qquad"
    r" \ell(t) = \log\frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    source="Lu et al. (2022a), DPM-Solver",
    statistics=1,
    coincides="With K = 2 there are only the ends, and with K = T all steps. Half of log SNR, or the log of sigma, has"
    " the same grid.",
)
class LogSnrSteps:
    """The nearest step is looked for among all, for each point of a grid that is even in the log of sigma."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps = claimed.reverse.log_snr_steps
        for one in (case, finer(case)):
            u = log_sigma(one)
            for number in numbers(one):
                what = f"{number} of {one.T}"
                same(evidence, what, steps(one.schedule, number), nearest(u, number, 1))
            for number in (2, one.T // 2):
                if number <= one.T - 1:
                    what = f"{number} of {one.T}, from t = 2"
                    same(evidence, what, steps(one.schedule, number, first=2), nearest(u, number, 2))
        evidence.refuses("more steps than there are", steps, case.schedule, case.T, first=2)
        evidence.refuses("first above T", steps, case.schedule, 1, first=case.T + 1)
        evidence.refuses("alpha_bar_T = 0", steps, case.schedule.zero_terminal_snr(), 2)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = finer(case)
        numbers, u = (5, case.T // 2), log_sigma(case)
        chosen = [claimed.reverse.log_snr_steps(case.schedule, number) for number in numbers]
        noise_found(trial, case, chosen, [nearest(u, number, 1) for number in numbers])


@identity(
    "reverse.edm_steps",
    judges="reverse.edm_steps",
    states=r"\tau_k = \operatorname*{argmin}_{t \ge t_1} \left|\sigma(t)^{1/\rho} - \sigma_k^{1/\rho}\right|, \qquad"
    r" \sigma_k^{1/\rho} = \sigma(t_1)^{1/\rho}"
    r" + \frac{k - 1}{K - 1}\left[\sigma(T)^{1/\rho} - \sigma(t_1)^{1/\rho}\right], \qquad"
    r" \sigma(t) = \sqrt{\frac{1 - \bar\alpha_t}{\bar\alpha_t}}",
    source="Karras et al. (2022), eq. 5",
    statistics=1,
    coincides="With K = 2 there are only the ends, and with K = T all steps; rho = 1 is its own inverse.",
)
class EdmSteps:
    """The nearest step is looked for among all, for each point of the grid, with sigma from weights along the path."""

    @staticmethod
    def truth(case, number, rho, first=1):
        """Return tau_1..tau_K."""
        return nearest(np.exp(log_sigma(case) / rho), number, first)

    @staticmethod
    def exact(claimed, case, evidence):
        steps = claimed.reverse.edm_steps
        for one in (case, finer(case)):
            for number in numbers(one):
                what = f"{number} of {one.T}"
                same(evidence, what, steps(one.schedule, number), EdmSteps.truth(one, number, 7.0))
                for rho in (0.5, 1.0, 3.0):
                    found = steps(one.schedule, number, rho=rho)
                    same(evidence, f"{what}, rho = {rho}", found, EdmSteps.truth(one, number, rho))
            for number in (2, one.T // 2):
                if number <= one.T - 1:
                    found = steps(one.schedule, number, first=2)
                    same(evidence, f"{number} of {one.T}, from t = 2", found, EdmSteps.truth(one, number, 7.0, 2))
        evidence.refuses("more steps than there are", steps, case.schedule, case.T, first=2)
        evidence.refuses("rho = 0", steps, case.schedule, 2, rho=0.0)
        evidence.refuses("alpha_bar_T = 0", steps, case.schedule.zero_terminal_snr(), 2)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        case = finer(case)
        choices = (5, 7.0), (5, 2.0), (case.T // 2, 7.0)
        chosen = [claimed.reverse.edm_steps(case.schedule, number, rho=rho) for number, rho in choices]
        noise_found(trial, case, chosen, [EdmSteps.truth(case, *one) for one in choices])
