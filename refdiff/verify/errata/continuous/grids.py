r"""Wrong versions of grids of times: what is even in them, and where they end."""

import numpy as np

from refdiff import continuous
from refdiff.verify.identity import erratum


@erratum(
    "even-times-without-the-last",
    source="a common slip: K + 1 times from a range that leaves its end out",
    says=r"s_k = \text{start} + \frac{k}{K + 1}\,(\text{stop} - \text{start}), \quad k = 0, \ldots, K",
    correct=r"s_k = \text{start} + \frac kK\,(\text{stop} - \text{start})",
    replaces="continuous.even_times",
    rejected_by="continuous.grids",
    coincides="k = 0, and nearly with many steps; what is left of the noise is then a step's worth",
)
def even_times_that_stop_short(steps, start=1.0, stop=1e-3):
    continuous.even_times(steps, start, stop)
    return np.linspace(start, stop, steps + 1, endpoint=False)


@erratum(
    "log-snr-times-even-in-snr",
    source="a common slip",
    says=r"\mathrm{SNR}(s_k) \text{ of even distances}",
    correct=r"\log\mathrm{SNR}(s_k) \text{ of even distances}",
    replaces="continuous.log_snr_times",
    rejected_by="continuous.grids",
    coincides="both ends; nearly all of the steps are then taken where next to no noise is left",
)
def times_even_in_snr(sde, steps, start=1.0, stop=1e-3):
    continuous.log_snr_times(sde, steps, start, stop)
    ends = np.exp(sde.log_snr(np.array([start, stop])))
    return np.concatenate([[start], sde.time(np.log(np.linspace(*ends, steps + 1)[1:-1])), [stop]])


@erratum(
    "edm-times-with-rho-inverted",
    source="a common slip",
    says=r"r(s_k)^{\rho} \text{ of even distances}",
    correct=r"r(s_k)^{1/\rho} \text{ of even distances}",
    replaces="continuous.edm_times",
    rejected_by="continuous.grids",
    coincides="rho = 1",
)
def edm_times_with_the_power_for_the_root(sde, steps, start=1.0, stop=1e-3, *, rho=7.0):
    return continuous.edm_times(sde, steps, start, stop, rho=1 / rho)


@erratum(
    "edm-times-of-the-noise-alone",
    source="LeCAR-Lab/model-based-diffusion#7, which asks why sqrt(1 - alpha_bar) stands for that over sqrt(alpha_bar)",
    says=r"\sigma_{s_k}^{1/\rho} \text{ of even distances}",
    correct=r"(\sigma_{s_k} / a_{s_k})^{1/\rho} \text{ of even distances}",
    replaces="continuous.edm_times",
    rejected_by="continuous.grids",
    coincides="a_s = 1: VE",
)
def edm_times_of_the_noise(sde, steps, start=1.0, stop=1e-3, *, rho=7.0):
    continuous.edm_times(sde, steps, start, stop, rho=rho)
    high, low = sde.noise_rate(np.array([start, stop])) ** (1 / rho)
    noise = np.linspace(high, low, steps + 1) ** rho
    before, after = np.full(noise.shape, stop), np.full(noise.shape, start)
    for _ in range(60):
        middle = (before + after) / 2
        less = sde.noise_rate(middle) < noise
        before, after = np.where(less, middle, before), np.where(less, after, middle)
    return np.concatenate([[start], after[1:-1], [stop]])
