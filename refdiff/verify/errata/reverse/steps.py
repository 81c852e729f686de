r"""Wrong choices of steps: another grid, the inverse exponent, and what rounding does to steps that coincide."""

import numpy as np

from refdiff import reverse
from refdiff.verify.identity import erratum


def nearest(u, number, first):
    """Return the steps nearest to an even grid of u from u(first) to u(T), increasing; some may coincide."""
    grid = np.linspace(u[first], u[-1], number) if number > 1 else u[-1:]
    return first + np.abs(u[first:] - grid[:, None]).argmin(axis=1)


def apart(steps, T):
    """Return steps moved up to the next one that is free, or down from T."""
    k = np.arange(len(steps))
    return np.minimum(np.maximum.accumulate(steps - k) + k, T - len(steps) + 1 + k)


def chosen(choose, u, schedule, number, first, **options):
    """Return the steps nearest to an even grid of u(), checked as the right ones are."""
    choose(schedule, number, first=first, **options)
    return apart(nearest(u(), number, first), schedule.T)


@erratum(
    "even-steps-lead",
    source="huggingface/diffusers#2585 and #5921",
    says=r"\tau_k = 1 + (k - 1) \left\lfloor \frac T K \right\rfloor",
    correct=r"\tau_k = \left\lfloor \frac{k T}{K} \right\rfloor",
    replaces="reverse.even_steps",
    rejected_by="reverse.even_steps",
    coincides="K = T",
)
def even_steps_that_lead(schedule, number):
    reverse.even_steps(schedule, number)  # which checks it
    return 1 + np.arange(number) * (schedule.T // number)


@erratum(
    "even-steps-by-stride",
    source="huggingface/diffusers#11347 and #12633",
    says=r"\tau_k = k \left\lfloor \frac T K \right\rfloor",
    correct=r"\tau_k = \left\lfloor \frac{k T}{K} \right\rfloor",
    replaces="reverse.even_steps",
    rejected_by="reverse.even_steps",
    coincides="where K divides T",
)
def even_steps_by_stride(schedule, number):
    reverse.even_steps(schedule, number)  # which checks it
    return np.arange(1, number + 1) * (schedule.T // number)


@erratum(
    "log-snr-steps-even-in-snr",
    source="a common slip",
    says=r"\text{a grid even in } \operatorname{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    correct=r"\text{a grid even in } \log\operatorname{SNR}(t)",
    replaces="reverse.log_snr_steps",
    rejected_by="reverse.log_snr_steps",
    coincides="K = 2 and K = T",
)
def steps_even_in_snr(schedule, number, *, first=1):
    return chosen(reverse.log_snr_steps, lambda: -schedule.snr, schedule, number, first)


@erratum(
    "log-snr-steps-coincide",
    source="huggingface/diffusers#12771, where repeated steps end out of bounds",
    says=r"\tau_k = \operatorname*{argmin}_t |\ell(t) - \ell_k|, \text{ several of them perhaps the same}",
    correct=r"\tau_1 < \ldots < \tau_K",
    replaces="reverse.log_snr_steps",
    rejected_by="reverse.log_snr_steps",
    coincides="few steps of a long schedule",
)
def steps_that_coincide(schedule, number, *, first=1):
    reverse.log_snr_steps(schedule, number, first=first)  # which checks them
    return nearest(-schedule.log_snr, number, first)


@erratum(
    "edm-steps-are-fewer",
    source="huggingface/diffusers#4122: 95 steps where 100 are asked for",
    says=r"\{\tau_k\} \text{ without those that coincide, fewer than } K",
    correct=r"\tau_1 < \ldots < \tau_K, \; K \text{ of them}",
    replaces="reverse.edm_steps",
    rejected_by="reverse.edm_steps",
    coincides="few steps of a long schedule. Of a step that is missing there is nothing to measure by chance",
    by_chance=False,
)
def edm_steps_without_those_that_coincide(schedule, number, *, rho=7.0, first=1):
    reverse.edm_steps(schedule, number, rho=rho, first=first)  # which checks them
    return np.unique(nearest(np.exp(-schedule.log_snr / (2 * rho)), number, first))


@erratum(
    "edm-steps-with-rho-inverted",
    source="a common slip",
    says=r"\text{a grid even in } \sigma^\rho",
    correct=r"\text{a grid even in } \sigma^{1/\rho}",
    replaces="reverse.edm_steps",
    rejected_by="reverse.edm_steps",
    coincides="rho = 1, and K = 2",
)
def edm_steps_with_rho_inverted(schedule, number, *, rho=7.0, first=1):
    return chosen(reverse.edm_steps, lambda: np.exp(-schedule.log_snr * rho / 2), schedule, number, first, rho=rho)


@erratum(
    "edm-steps-from-the-noise-rate",
    source="a reading of Karras et al. (2022), whose sigma is the noise beside a signal of rate 1",
    says=r"\sigma(t) = \sqrt{1 - \bar\alpha_t}",
    correct=r"\sigma(t) = \sqrt{\frac{1 - \bar\alpha_t}{\bar\alpha_t}}",
    replaces="reverse.edm_steps",
    rejected_by="reverse.edm_steps",
    coincides="nearly where alpha_bar is near 1",
)
def edm_steps_from_the_noise_rate(schedule, number, *, rho=7.0, first=1):
    return chosen(reverse.edm_steps, lambda: schedule.noise_rate ** (1 / rho), schedule, number, first, rho=rho)


@erratum(
    "edm-steps-in-the-variance",
    source="a common slip",
    says=r"\text{a grid even in } (\sigma^2)^{1/\rho}",
    correct=r"\text{a grid even in } \sigma^{1/\rho}",
    replaces="reverse.edm_steps",
    rejected_by="reverse.edm_steps",
    coincides="rho large, where both are even in log sigma",
)
def edm_steps_in_the_variance(schedule, number, *, rho=7.0, first=1):
    return chosen(reverse.edm_steps, lambda: np.exp(-schedule.log_snr / rho), schedule, number, first, rho=rho)
