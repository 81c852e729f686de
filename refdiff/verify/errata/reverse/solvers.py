r"""Wrong versions of DPM-Solver++(2M) and of Heun: the ratio of steps, what lambda is, and what is done at the ends."""

from types import SimpleNamespace

import numpy as np

from refdiff import reverse
from refdiff.parameterize import x_0_from_eps
from refdiff.reverse.walks import downwards, kept_steps, last, start
from refdiff.verify.errata.shapes import on_points
from refdiff.verify.identity import erratum


def parts(schedule, s, t, t_before=None):
    """Return the rates at s and t, and the steps h and h_before in lambda, so that they broadcast against points."""

    def at(array, step):
        return on_points(array[step])

    found = SimpleNamespace(
        a_s=at(schedule.signal_rate, s),
        a_t=at(schedule.signal_rate, t),
        std_s=at(schedule.noise_rate, s),
        std_t=at(schedule.noise_rate, t),
        h=(at(schedule.log_snr, s) - at(schedule.log_snr, t)) / 2,
    )
    if t_before is not None:
        found.h_before = (at(schedule.log_snr, t) - at(schedule.log_snr, t_before)) / 2
    return found


def multistep(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before, formula):
    """Return what a formula makes of the parts and of the D of a share of the difference, checked like the right one.

    ``formula(parts, x_t, extrapolated)``, where ``extrapolated(share)`` is x_0_hat plus so much of the difference.
    """
    reverse.dpmpp_2m_step(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before)
    x_0_hat, before, x_t = (np.asarray(one, dtype=float) for one in (x_0_hat, x_0_hat_before, x_t))
    found = parts(schedule, s, t, t_before)
    return formula(found, x_t, lambda share: x_0_hat + share * (x_0_hat - before))


def towards(p, x_t, D, h=None):
    """Return sigma_s / sigma_t x_t - a_s (e^-h - 1) D."""
    return p.std_s / p.std_t * x_t - p.a_s * np.expm1(-(p.h if h is None else h)) * D


def half(p):
    """Return 1 / (2 r)."""
    return p.h / (2 * p.h_before)


RIGHT = r"D = \left(1 + \frac1{2r}\right) \hat x_0(t) - \frac1{2r}\,\hat x_0(t_{\text{before}})"
RIGHT_STEP = r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_s \left(e^{-h} - 1\right) D"
LAMBDA = r"\lambda = \log\frac a\sigma = \tfrac12 \log\operatorname{SNR}"


@erratum(
    "dpmpp-without-the-half",
    source="a common slip",
    says=r"D = \left(1 + \frac1r\right) \hat x_0(t) - \frac1r\,\hat x_0(t_{\text{before}})",
    correct=RIGHT,
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="where both predictions are the same. It is the line at the end of the way, not at its middle: order 1",
)
def dpmpp_without_the_half(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before, lambda p, x, D: towards(p, x, D(2 * half(p)))
    )


@erratum(
    "dpmpp-ratio-inverted",
    source="a common slip",
    says=r"r = \frac h{h_{\text{before}}}",
    correct=r"r = \frac{h_{\text{before}}}h",
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="steps that are even in lambda",
)
def dpmpp_with_the_ratio_inverted(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before, lambda p, x, D: towards(p, x, D(1 / (4 * half(p))))
    )


@erratum(
    "dpmpp-step-of-the-step-before",
    source="crowsonkb/k-diffusion#56, proposed there as a correction",
    says=r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_s \left(e^{-h_{\text{before}}} - 1\right) D",
    correct=RIGHT_STEP,
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="steps that are even in lambda",
)
def dpmpp_with_the_step_before(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule,
        x_0_hat,
        x_0_hat_before,
        x_t,
        s,
        t,
        t_before,
        lambda p, x, D: towards(p, x, D(half(p)), p.h_before),
    )


@erratum(
    "dpmpp-in-the-whole-log-snr",
    source="a reading of Lu et al. (2022b), whose lambda is half of the log SNR of Kingma et al. (2021)",
    says=r"\lambda = \log\operatorname{SNR} = \log\frac{\bar\alpha}{1 - \bar\alpha}",
    correct=LAMBDA,
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="h -> 0 only in that nothing moves; r is the same in both",
)
def dpmpp_in_the_whole_log_snr(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before, lambda p, x, D: towards(p, x, D(half(p)), 2 * p.h)
    )


@erratum(
    "dpmpp-with-the-coefficients-for-noise",
    source="LuChengTHU/dpm-solver#61, where the steps for data and for noise are taken for one",
    says=r"x_s = \frac{a_s}{a_t}\,x_t - \sigma_s \left(e^h - 1\right) D",
    correct=RIGHT_STEP + r"; \quad \text{in } \hat\epsilon: \; x_s = \frac{a_s}{a_t}\,x_t"
    r" - \sigma_s \left(e^h - 1\right) \hat\epsilon",
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="nowhere but at h = 0; for a prediction of the noise in place of D it is DPM-Solver-1",
)
def dpmpp_with_the_coefficients_for_noise(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule,
        x_0_hat,
        x_0_hat_before,
        x_t,
        s,
        t,
        t_before,
        lambda p, x, D: p.a_s / p.a_t * x - p.std_s * np.expm1(p.h) * D(half(p)),
    )


@erratum(
    "dpmpp-signal-of-t",
    source="a common slip",
    says=r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_t \left(e^{-h} - 1\right) D",
    correct=RIGHT_STEP,
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="a = 1, as in the coordinates of Karras et al.; nearly for early steps",
)
def dpmpp_with_the_signal_of_t(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule,
        x_0_hat,
        x_0_hat_before,
        x_t,
        s,
        t,
        t_before,
        lambda p, x, D: p.std_s / p.std_t * x - p.a_t * np.expm1(-p.h) * D(half(p)),
    )


@erratum(
    "dpmpp-without-the-signal",
    source="lucidrains/denoising-diffusion-pytorch#148 and huggingface/diffusers#7120 have this form, for data that"
    " keep their scale; a common slip where they do not",
    says=r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - \left(e^{-h} - 1\right) D",
    correct=RIGHT_STEP,
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="a = 1, as in the coordinates of Karras et al.",
)
def dpmpp_without_the_signal(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule,
        x_0_hat,
        x_0_hat_before,
        x_t,
        s,
        t,
        t_before,
        lambda p, x, D: p.std_s / p.std_t * x - np.expm1(-p.h) * D(half(p)),
    )


@erratum(
    "dpmpp-sign-of-h",
    source="a common slip",
    says=r"x_s = \frac{\sigma_s}{\sigma_t}\,x_t - a_s \left(e^{-h} - 1\right) D, \qquad h = \lambda_t - \lambda_s",
    correct=RIGHT_STEP + r", \qquad h = \lambda_s - \lambda_t",
    replaces="reverse.dpmpp_2m_step",
    rejected_by="reverse.dpmpp_2m_step",
    coincides="h = 0",
)
def dpmpp_with_the_sign_of_h(schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before):
    return multistep(
        schedule, x_0_hat, x_0_hat_before, x_t, s, t, t_before, lambda p, x, D: towards(p, x, D(half(p)), -p.h)
    )


def walked(schedule, denoiser, x_T, steps, before):
    """Walk as the right path does, but with ``before(known, s)`` of what is known: pairs of x_0_hat and t, or None."""
    x_t, known = np.asarray(x_T, dtype=float), []
    for s, t in downwards(kept_steps(schedule, steps)):
        eps = denoiser(x_t, t)
        known.append((x_0_from_eps(schedule, x_t, eps, t), t))
        remembered = before(known, s)
        if remembered is None:
            x_t = reverse.ddim_transition(schedule, lambda _, t, eps=eps: eps, x_t, s, t).mean
        else:
            x_t = reverse.dpmpp_2m_step(schedule, known[-1][0], remembered[0], x_t, s, t, remembered[1])
        yield s, x_t


@erratum(
    "dpmpp-remembers-the-first-prediction",
    source="a common slip",
    says=r"D_k = \left(1 + \frac1{2r}\right) \hat x_0(\tau_k) - \frac1{2r}\,\hat x_0(\tau_K)",
    correct=r"D_k = \left(1 + \frac1{2r}\right) \hat x_0(\tau_k) - \frac1{2r}\,\hat x_0(\tau_{k+1})",
    replaces="reverse.dpmpp_2m_path",
    rejected_by="reverse.dpmpp_2m_path",
    coincides="up to three steps, and for data at one point",
)
def dpmpp_path_with_the_first_prediction(schedule, denoiser, x_T, steps=20):
    def first(known, s):
        return (known[0][0], known[-2][1]) if s > 0 and len(known) > 1 else None

    yield from walked(schedule, denoiser, x_T, steps, first)


@erratum(
    "dpmpp-remembers-too-early",
    source="a common slip",
    says=r"D_k = \left(1 + \frac1{2r}\right) \hat x_0(\tau_k) - \frac1{2r}\,\hat x_0(\tau_k)",
    correct=r"D_k = \left(1 + \frac1{2r}\right) \hat x_0(\tau_k) - \frac1{2r}\,\hat x_0(\tau_{k+1})",
    replaces="reverse.dpmpp_2m_path",
    rejected_by="reverse.dpmpp_2m_path",
    coincides="with DDIM at eta = 0, which it is: what was to be remembered was overwritten before use",
)
def dpmpp_path_that_remembers_too_early(schedule, denoiser, x_T, steps=20):
    yield from walked(schedule, denoiser, x_T, steps, lambda known, s: None)


@erratum(
    "dpmpp-last-step-of-second-order",
    source="a common slip; without the clip it is NaN, as in huggingface/diffusers#9007, a single-step solver",
    says=r"D_1 = \hat x_0(\tau_1) + \frac{h_1}{2 h_2}\left[\hat x_0(\tau_1) - \hat x_0(\tau_2)\right], \qquad"
    r" \lambda_0 = \log 10^5",
    correct=r"D_1 = \hat x_0(\tau_1), \quad \text{since } \lambda_0 = \infty",
    replaces="reverse.dpmpp_2m_path",
    rejected_by="reverse.dpmpp_2m_path",
    coincides="data at one point",
)
def dpmpp_path_with_a_last_step_of_second_order(schedule, denoiser, x_T, steps=20):
    predictions = []
    known = kept_steps(schedule, steps)[::-1]

    def remembering(x_t, t):
        eps = denoiser(x_t, t)
        predictions.append(x_0_from_eps(schedule, x_t, eps, t))
        return eps

    for s, x_s in reverse.dpmpp_2m_path(schedule, remembering, x_T, steps):
        if s == 0 and len(predictions) > 1:
            lambda_2, lambda_1 = schedule.log_snr[known[-3]] / 2, schedule.log_snr[known[-2]] / 2
            share = (np.log(1e5) - lambda_1) / (2 * (lambda_1 - lambda_2))
            x_s = predictions[-1] + share * (predictions[-1] - predictions[-2])
        yield s, x_s


@erratum(
    "dpmpp-last-step-stands-still",
    source="huggingface/diffusers#6477, corrected there: the last sigma was put in twice",
    says=r"x_0 = x_{\tau_1}, \quad h_1 = 0",
    correct=r"x_0 = \hat x_0(\tau_1), \quad h_1 = \infty",
    replaces="reverse.dpmpp_2m_path",
    rejected_by=("reverse.dpmpp_2m_path", "reverse.solvers_of_one_point"),
    coincides="nearly for long schedules and tau_1 = 1: linear-1000 leaves noise of a standard deviation of .01",
)
def dpmpp_path_that_stands_still(schedule, denoiser, x_T, steps=20):
    x_t = np.asarray(x_T, dtype=float)
    for s, x_s in reverse.dpmpp_2m_path(schedule, denoiser, x_T, steps):
        x_t = x_s if s > 0 else x_t
        yield s, x_t


@erratum(
    "dpmpp-is-adams-bashforth",
    source="asked of NVIDIA/physicsnemo#1932, where dpmpp_2m steps in the scheduler's own time",
    says=r"y_s = y_t + (\sigma_s - \sigma_t)\left[\left(1 + \frac1{2r}\right) \hat\epsilon(t)"
    r" - \frac1{2r}\,\hat\epsilon(t_{\text{before}})\right], \qquad"
    r" r = \frac{\sigma_t - \sigma_{t_{\text{before}}}}{\sigma_s - \sigma_t}",
    correct=RIGHT_STEP + r", \qquad " + RIGHT,
    replaces="reverse.dpmpp_2m_path",
    rejected_by="reverse.dpmpp_2m_path",
    coincides="to second order, as a method of its own: too near for chance, and not DPM-Solver++",
    by_chance=False,
)
def dpmpp_path_of_adams_and_bashforth(schedule, denoiser, x_T, steps=20):
    x_t, before = np.asarray(x_T, dtype=float), None
    sigma = np.exp(-schedule.log_snr / 2)
    for s, t in downwards(kept_steps(schedule, steps)):
        eps = denoiser(x_t, t)
        slope = eps
        if before is not None and s > 0:
            slope = eps + (sigma[s] - sigma[t]) / (2 * (sigma[t] - sigma[before[1]])) * (eps - before[0])
        x_t = schedule.signal_rate[s] * (x_t / schedule.signal_rate[t] + (sigma[s] - sigma[t]) * slope)
        before = eps, t
        yield s, x_t


@erratum(
    "dpmpp-begins-below-T",
    source="huggingface/diffusers#2585 and #5921, for DDIM",
    says=r"\tau_k = 1 + (k - 1) \lfloor T / K \rfloor, \qquad x_{\tau_K} \sim \mathcal{N}(0, I)",
    correct=r"\tau_K = T, \qquad x_T \sim \mathcal{N}(0, I)",
    replaces="reverse.dpmpp_2m",
    rejected_by="reverse.dpmpp_2m",
    coincides="K = T; nearly where alpha_bar is small long before T",
)
def dpmpp_that_begins_below_T(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    leading = 1 + np.arange(steps) * (schedule.T // steps)
    return reverse.dpmpp_2m(schedule, denoiser, n, d, rng, leading)


@erratum(
    "dpmpp-leaves-noise",
    source="huggingface/diffusers#5689: the last sigma is not 0",
    says=r"x_0 = x_{\tau_1}",
    correct=r"x_0 = \hat x_0(\tau_1), \quad \text{since } \bar\alpha_0 = 1",
    replaces="reverse.dpmpp_2m",
    rejected_by="reverse.dpmpp_2m",
    coincides="nearly for long schedules: linear-1000 leaves noise of a standard deviation of .01",
)
def dpmpp_that_leaves_noise(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    x_T, _ = start(n, d, rng)
    *_, (_, x_t), _ = reverse.dpmpp_2m_path(schedule, denoiser, x_T, steps)
    return x_t


def slopes(schedule, denoiser, x_t, s, t):
    """Return what Heun's step is made of: parts, the slope at t, y_t, sigma_s - sigma_t and the first guess of y_s."""
    reverse.heun_step(schedule, denoiser, x_t, s, t)  # which checks them
    p = parts(schedule, s, t)
    y_t, slope = np.asarray(x_t, dtype=float) / p.a_t, denoiser(x_t, t)
    span = p.std_s / p.a_s - p.std_t / p.a_t
    return p, slope, y_t, span, y_t + span * slope


HEUN = (
    r"y_s = y_t + (\sigma_s - \sigma_t)\,\tfrac12\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)\right], \qquad"
    r" x'_s = \sqrt{\bar\alpha_s}\,y'_s"
)


@erratum(
    "heun-slope-at-the-old-sigma",
    source="a common slip; huggingface/diffusers#1512 mends another mix-up of the two levels in this step",
    says=r"\tfrac12\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, t)\right]",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="where the denoiser does not look at t",
)
def heun_with_the_slope_at_the_old_sigma(schedule, denoiser, x_t, s, t):
    p, slope, y_t, span, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * (y_t + span * (slope + denoiser(p.a_s * guess, t)) / 2)


@erratum(
    "heun-sum-not-halved",
    source="a common slip",
    says=r"y_s = y_t + (\sigma_s - \sigma_t)\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)\right]",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="eps_hat = 0",
)
def heun_with_the_sum_not_halved(schedule, denoiser, x_t, s, t):
    p, slope, y_t, span, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * (y_t + span * (slope + denoiser(p.a_s * guess, s)))


@erratum(
    "heun-not-corrected",
    source="Euler's step under the name of Heun's: huggingface/diffusers#1481 asks for the missing correction",
    says=r"y_s = y_t + (\sigma_s - \sigma_t)\,\hat\epsilon(x_t, t)",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="with DDIM at eta = 0, which it is; and for data at one point",
)
def heun_not_corrected(schedule, denoiser, x_t, s, t):
    p, _, _, _, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * guess


@erratum(
    "heun-second-slope-alone",
    source="a common slip",
    says=r"y_s = y_t + (\sigma_s - \sigma_t)\,\hat\epsilon(x'_s, s)",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="data at one point",
)
def heun_with_the_second_slope_alone(schedule, denoiser, x_t, s, t):
    p, _, y_t, span, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * (y_t + span * denoiser(p.a_s * guess, s))


@erratum(
    "heun-corrects-from-the-guess",
    source="a common slip",
    says=r"y_s = y'_s + (\sigma_s - \sigma_t)\,\tfrac12\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)\right]",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="eps_hat = 0",
)
def heun_that_corrects_from_the_guess(schedule, denoiser, x_t, s, t):
    p, slope, _, span, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * (guess + span * (slope + denoiser(p.a_s * guess, s)) / 2)


@erratum(
    "heun-steps-in-the-variance",
    source="a common slip",
    says=r"y_s = y_t + (\sigma_s^2 - \sigma_t^2)\,\tfrac12\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)\right]",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="sigma_s + sigma_t = 1. In the variance the slope is eps_hat / (2 sigma)",
)
def heun_in_the_variance(schedule, denoiser, x_t, s, t):
    p, slope, y_t, span, _ = slopes(schedule, denoiser, x_t, s, t)
    span = span * (p.std_s / p.a_s + p.std_t / p.a_t)
    return p.a_s * (y_t + span * (slope + denoiser(p.a_s * (y_t + span * slope), s)) / 2)


@erratum(
    "heun-asks-about-y",
    source="a common slip: scale_model_input left out of code that is written for huggingface/diffusers, as in #3544",
    says=r"\hat\epsilon(y'_s, s)",
    correct=r"\hat\epsilon(x'_s, s), \qquad x'_s = \sqrt{\bar\alpha_s}\,y'_s",
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="nearly for early steps, where alpha_bar is near 1",
)
def heun_that_asks_about_y(schedule, denoiser, x_t, s, t):
    p, slope, y_t, span, guess = slopes(schedule, denoiser, x_t, s, t)
    return p.a_s * (y_t + span * (slope + denoiser(guess, s)) / 2)


@erratum(
    "heun-moves-x-for-y",
    source="a common slip",
    says=r"x_s = x_t + (\sigma_s - \sigma_t)\,\tfrac12\left[\hat\epsilon(x_t, t) + \hat\epsilon(x'_s, s)\right]",
    correct=HEUN,
    replaces="reverse.heun_step",
    rejected_by="reverse.heun_step",
    coincides="alpha_bar_s = alpha_bar_t = 1",
)
def heun_of_x(schedule, denoiser, x_t, s, t):
    _, slope, _, span, _ = slopes(schedule, denoiser, x_t, s, t)
    return x_t + span * (slope + denoiser(x_t + span * slope, s)) / 2


@erratum(
    "heun-corrects-at-sigma-0",
    source="a common slip; Karras et al. (2022), Algorithm 1, exempt this step",
    says=r"y_0 = y_{\tau_1} - \sigma_{\tau_1}\,\tfrac12\left[\hat\epsilon(x_{\tau_1}, \tau_1)"
    r" + \hat\epsilon(x'_0, 0)\right], \quad \hat\epsilon(x'_0, 0) = 0",
    correct=r"y_0 = y_{\tau_1} - \sigma_{\tau_1}\,\hat\epsilon(x_{\tau_1}, \tau_1)",
    replaces="reverse.heun_path",
    rejected_by=("reverse.heun_path", "reverse.solvers_of_one_point"),
    coincides="nearly for long schedules, where sigma_1 is small",
)
def heun_path_that_corrects_at_sigma_0(schedule, denoiser, x_T, steps=20):
    tau_1, sigma = kept_steps(schedule, steps)[1], np.exp(-schedule.log_snr / 2)
    slope = None

    def remembering(x_t, t):
        nonlocal slope
        slope = denoiser(x_t, t)
        return slope

    for s, x_s in reverse.heun_path(schedule, remembering, x_T, steps):
        # where no noise is left, an ideal denoiser answers 0
        yield s, x_s if s > 0 else x_s + sigma[tau_1] * slope / 2


@erratum(
    "heun-last-step-stands-still",
    source="huggingface/diffusers#6477, for DPM-Solver++, corrected there",
    says=r"x_0 = x_{\tau_1}",
    correct=r"x_0 = \hat x_0(\tau_1)",
    replaces="reverse.heun_path",
    rejected_by=("reverse.heun_path", "reverse.solvers_of_one_point"),
    coincides="nearly for long schedules and tau_1 = 1: linear-1000 leaves noise of a standard deviation of .01",
)
def heun_path_that_stands_still(schedule, denoiser, x_T, steps=20):
    x_t = np.asarray(x_T, dtype=float)
    for s, x_s in reverse.heun_path(schedule, denoiser, x_T, steps):
        x_t = x_s if s > 0 else x_t
        yield s, x_t


@erratum(
    "heun-begins-at-sigma-T",
    source="huggingface/diffusers#1503: init_noise_sigma is the largest sigma",
    says=r"y_T \sim \mathcal{N}(0, \sigma_T^2 I)",
    correct=r"y_T \sim \mathcal{N}(0, (1 + \sigma_T^2) I), \quad \text{so that } x_T \sim \mathcal{N}(0, I)",
    replaces="reverse.heun",
    rejected_by="reverse.solvers_begin_alike",
    coincides="nearly where alpha_bar_T is near 0",
)
def heun_that_begins_at_sigma_T(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    x_T, _ = start(n, d, rng)
    return last(reverse.heun_path(schedule, denoiser, schedule.noise_rate[-1] * x_T, steps))


@erratum(
    "heun-leaves-noise",
    source="huggingface/diffusers#5689, for DPM-Solver++: the last sigma is not 0",
    says=r"x_0 = x_{\tau_1}",
    correct=r"x_0 = \hat x_0(\tau_1), \quad \text{since } \bar\alpha_0 = 1",
    replaces="reverse.heun",
    rejected_by="reverse.heun",
    coincides="nearly for long schedules: linear-1000 leaves noise of a standard deviation of .01",
)
def heun_that_leaves_noise(schedule, denoiser, n, d, rng, steps=20, *, progress=None):
    x_T, _ = start(n, d, rng)
    *_, (_, x_t), _ = reverse.heun_path(schedule, denoiser, x_T, steps)
    return x_t
