r"""Identities of grids of times: what they are even in, seen in how much noise a point has there."""

import math

import numpy as np

from refdiff.verify.catalogue.continuous.processes import instants, one_process, processes
from refdiff.verify.identity import identity

STEPS = 5


def ratio(process, s):
    """Return sigma_s / a_s."""
    return np.sqrt(process.v(s)) / process.a(s)


def evenly(first, last, k=None):
    """Return the numbers k = 0, ..., K on the way from the first to the last, or one of them."""
    return np.array([first + (last - first) * j / STEPS for j in (range(STEPS + 1) if k is None else [k])])


@identity(
    "continuous.grids",
    judges=("continuous.even_times", "continuous.log_snr_times", "continuous.edm_times"),
    states=r"s_k, \quad \lambda(s_k), \quad r(s_k)^{1/\rho} \quad\text{of even distances},"
    r" \qquad \lambda = \log\mathrm{SNR}, \quad r = \frac{\sigma_s}{a_s}, \qquad k = 0, \ldots, K",
    source="the convention of Song et al. (2021); Lu et al. (2022); Karras et al. (2022), eq. 5",
    statistics=6,
    coincides="One step, which has only its ends; even in s and in log SNR for VE, where sigma_min is next to nothing.",
)
class Grids:
    """The law of x_s, known without the equation, says what a time means. By chance: the noise that points have there
    when the equation has run, and of a Brownian motion, whose variance is its time.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        chapter, (stop, start) = claimed.continuous, instants(case)
        for low in (stop, 0.0):
            times = chapter.even_times(STEPS, start, low)
            evidence.close(f"even, down to {low:.3g}", times, evenly(start, low))
        evidence.close("even, by default", chapter.even_times(STEPS), evenly(1.0, 1e-3))
        for process in processes(case):
            for what, first, last in (("between", start, stop), ("from the end to nearly data", 1.0, 1e-6)):
                times = chapter.log_snr_times(process, STEPS, first, last)
                truth = evenly(process.log_snr(first), process.log_snr(last))
                evidence.close(f"{process.name}: log SNR, {what}", process.log_snr(times), truth, 1e-9)
            # towards 0 the variance of VE, here a difference, loses the digits that a high power would ask for
            for last, rho in ((stop, 2 + 10 * case.slope), (0.0, 1 + case.slope)):
                times = chapter.edm_times(process, STEPS, start, last, rho=rho)
                root = evenly(ratio(process, start) ** (1 / rho), ratio(process, last) ** (1 / rho))
                evidence.close(f"{process.name}: ratio, to {last:.3g}", ratio(process, times) ** (1 / rho), root, 1e-9)
                evidence.close(f"{process.name}: ends, to {last:.3g}", times[[0, -1]], [start, last])
            root = evenly(*(ratio(process, s) ** (1 / 7) for s in (1.0, 1e-3)))
            times = chapter.edm_times(process, STEPS)
            evidence.close(f"{process.name}: rho = 7 by default", ratio(process, times) ** (1 / 7), root, 1e-9)
            evidence.refuses(f"{process.name}: log SNR at 0", chapter.log_snr_times, process, STEPS, start, 0.0)
        evidence.refuses("upwards", chapter.even_times, STEPS, stop, start)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        chapter, (stop, start), rho = claimed.continuous, instants(case), 2 + 10 * case.slope
        process, x_0 = one_process(case), case.repeat(case.x_0, trial.n)
        ends = [ratio(process, s) for s in (start, stop)]
        levels = {
            "log SNR": (chapter.log_snr_times(process, STEPS, start, stop), np.exp(evenly(*np.log(ends)))),
            "ratio": (chapter.edm_times(process, STEPS, start, stop, rho=rho), evenly(*np.power(ends, 1 / rho)) ** rho),
        }
        even = chapter.even_times(STEPS, start, stop)
        for k in (1, STEPS - 1):
            brownian = math.sqrt(even[k]) * trial.rng.standard_normal((trial.n, case.d))
            trial.var(f"even in s, time {k}", brownian, 0.0, evenly(start, stop, k)[0])
            for what, (times, truth) in levels.items():
                s = float(times[k])
                x_s, a = process.run(x_0, 0.0, s, trial.rng), process.a(s)
                trial.var(f"even in {what}, time {k}", x_s / a, x_0, truth[k] ** 2)
