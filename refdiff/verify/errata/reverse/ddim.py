r"""Wrong versions of DDIM: the square and the root of sigma, what is kept of the noise, and which step comes before."""

import numpy as np

from refdiff import reverse
from refdiff.gaussian import Gaussian
from refdiff.parameterize import x_0_from_eps
from refdiff.verify.errata.shapes import on_points
from refdiff.verify.identity import erratum

OF_THE_STEP = ("reverse.ddim_transition", "reverse.ddim_keeps_the_marginals")


def keeping(schedule, denoiser, x_t, s, t, eta, kept_var):
    """Return the step that keeps so much of the variance at s, a function of 1 - alpha_bar_s and sigma^2 at eta."""
    right = reverse.ddim_transition(schedule, denoiser, x_t, s, t, eta)
    eps = denoiser(x_t, t)
    kept = np.sqrt(kept_var(on_points(schedule.one_minus_alpha_bar[s]), right.var))
    x_0 = x_0_from_eps(schedule, x_t, eps, t)
    return Gaussian(on_points(schedule.signal_rate[s]) * x_0 + kept * eps, right.var, point_mass=True)


@erratum(
    "ddim-sigma-for-its-square",
    source="a common slip",
    says=r"\sigma^2 = \eta\,\sqrt{\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}}"
    r"\,\sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}",
    correct=r"\sigma = \eta\,\sqrt{\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}}"
    r"\,\sqrt{1 - \frac{\bar\alpha_t}{\bar\alpha_s}}",
    replaces="reverse.ddim_var",
    rejected_by="reverse.ddim_var",
    coincides="eta = 0 and s = 0",
)
def ddim_std_for_var(schedule, s, t, eta):
    return np.sqrt(reverse.ddim_var(schedule, s, t, eta))


@erratum(
    "ddim-eta-scales-the-variance",
    source="a common slip; inbarhub/DDPM_inversion#12 has it in the direction alone",
    says=r"\sigma^2 = \eta\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}"
    r" \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)",
    correct=r"\sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}"
    r" \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)",
    replaces="reverse.ddim_var",
    rejected_by="reverse.ddim_var",
    coincides="eta = 0 and eta = 1",
)
def ddim_var_by_eta(schedule, s, t, eta):
    reverse.ddim_var(schedule, s, t, eta)  # which checks them
    return eta * reverse.ddim_var(schedule, s, t, 1.0)


@erratum(
    "ddim-logarithm-for-sigma",
    source="mathpluscode/ImgX-DiffSeg, imgx/diffusion/gaussian_diffusion.py, ddim_sample",
    says=r"\sigma = \eta \log\tilde\beta_t",
    correct=r"\sigma = \eta\,e^{\frac12 \log\tilde\beta_t}",
    replaces="reverse.ddim_var",
    rejected_by="reverse.ddim_var",
    coincides="eta = 0, the default there",
)
def ddim_var_of_a_logarithm(schedule, s, t, eta):
    reverse.ddim_var(schedule, s, t, eta)  # which checks them
    return (eta * np.log(np.maximum(reverse.ddim_var(schedule, s, t, 1.0), 1e-20))) ** 2


@erratum(
    "ddim-eta-1-is-the-variance-beta",
    source="a reading of Song, Meng & Ermon (2021), section 5; how the two differ is asked in ermongroup/ddim#8",
    says=r"\sigma^2 = \eta^2 \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)",
    correct=r"\sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}"
    r" \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right); \quad \hat\sigma^2 = 1 - \frac{\bar\alpha_t}{\bar\alpha_s}"
    r" \text{ is another choice, with the mean of } \eta = 1",
    replaces="reverse.ddim_var",
    rejected_by="reverse.ddim_var",
    coincides="eta = 0; nearly for late steps of long schedules",
)
def ddim_var_of_sigma_hat(schedule, s, t, eta):
    reverse.ddim_var(schedule, s, t, eta)  # which checks them
    return eta**2 * -np.expm1(schedule.log_alpha_bar[t] - schedule.log_alpha_bar[s])


@erratum(
    "noise-of-all-steps-at-once",
    source="jsboige/CoursIA#16158, its own DDIM at eta = 1, corrected there",
    says=r"\sigma^2 = \eta^2\,(1 - \bar\alpha_t)",
    correct=r"\sigma^2 = \eta^2\,\frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}"
    r" \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)",
    replaces="reverse.ddim_var",
    rejected_by="reverse.ddim_var",
    coincides="eta = 0",
)
def ddim_var_of_all_steps(schedule, s, t, eta):
    reverse.ddim_var(schedule, s, t, eta)  # which checks them
    return eta**2 * np.broadcast_to(schedule.one_minus_alpha_bar[t], np.broadcast_shapes(np.shape(s), np.shape(t)))


@erratum(
    "ddim-direction-keeps-all-noise",
    source="a common slip",
    says=r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s}\;\hat\epsilon + \sigma z",
    correct=r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon + \sigma z",
    replaces="reverse.ddim_transition",
    rejected_by=(*OF_THE_STEP, "reverse.ddim_vs_ancestral"),
    coincides="eta = 0 and s = 0",
)
def ddim_with_all_noise(schedule, denoiser, x_t, s, t, eta=0.0):
    return keeping(schedule, denoiser, x_t, s, t, eta, lambda one_minus, sigma_2: one_minus + 0 * sigma_2)


@erratum(
    "ddim-direction-is-sigma",
    source="jsboige/CoursIA#16158, its own DDIM, found in review",
    says=r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sigma\,\hat\epsilon + \sigma z",
    correct=r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon + \sigma z",
    replaces="reverse.ddim_transition",
    rejected_by=(*OF_THE_STEP, "reverse.ddim_vs_ancestral"),
    coincides="where sigma^2 is half of 1 - alpha_bar_s. With eta = 0 it jumps to sqrt(alpha_bar_s) x_0_hat each time",
)
def ddim_along_sigma(schedule, denoiser, x_t, s, t, eta=0.0):
    return keeping(schedule, denoiser, x_t, s, t, eta, lambda one_minus, sigma_2: sigma_2)


@erratum(
    "ddim-direction-with-eta-times-variance",
    source="inbarhub/DDPM_inversion#12",
    says=r"\sqrt{1 - \bar\alpha_s - \eta \operatorname{Var}[x_s \mid x_t, x_0]}\;\hat\epsilon",
    correct=r"\sqrt{1 - \bar\alpha_s - \eta^2 \operatorname{Var}[x_s \mid x_t, x_0]}\;\hat\epsilon",
    replaces="reverse.ddim_transition",
    rejected_by=OF_THE_STEP,
    coincides="eta = 0 and eta = 1",
)
def ddim_with_eta_times_variance(schedule, denoiser, x_t, s, t, eta=0.0):
    whole = on_points(reverse.ddim_var(schedule, s, t, 1.0))
    # the root of what is below 0 by rounding, at eta = 1
    return keeping(
        schedule, denoiser, x_t, s, t, eta, lambda one_minus, sigma_2: np.maximum(one_minus - eta * whole, 0.0)
    )


@erratum(
    "ddim-alphas-of-the-step-before",
    source="lucidrains/denoising-diffusion-pytorch#81, corrected in #83",
    says=r"x_s = \sqrt{\bar\alpha_{s-1}}\,\hat x_0 + \sqrt{1 - \bar\alpha_{s-1} - \sigma^2}\;\hat\epsilon + \sigma z,"
    r" \quad \sigma \text{ at } s - 1 \text{ and } t - 1",
    correct=r"x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon + \sigma z",
    replaces="reverse.ddim_transition",
    rejected_by=(*OF_THE_STEP, "reverse.ddim_vs_ancestral"),
    coincides="s = 0; nearly for long schedules and many steps",
)
def ddim_of_the_step_before(schedule, denoiser, x_t, s, t, eta=0.0):
    right = reverse.ddim_transition(schedule, denoiser, x_t, s, t, eta)
    eps = denoiser(x_t, t)
    before, last = np.maximum(np.asarray(s) - 1, 0), np.maximum(np.asarray(t) - 1, 1)
    moves = before < last  # else t = 1, whose step adds nothing
    sigma_2 = np.where(moves, reverse.ddim_var(schedule, np.where(moves, before, 0), last, eta), 0.0)
    kept = np.sqrt(np.maximum(schedule.one_minus_alpha_bar[before] - sigma_2, 0.0))
    mean = on_points(schedule.signal_rate[before]) * x_0_from_eps(schedule, x_t, eps, t) + on_points(kept) * eps
    return Gaussian(mean, np.broadcast_to(on_points(sigma_2), right.var.shape), point_mass=True)


@erratum(
    "ddim-alpha-is-not-cumulative",
    source="a reading of Song, Meng & Ermon (2021), whose alpha is alpha_bar; asked in ermongroup/ddim#44",
    says=r"x_s = \sqrt{\alpha_s}\,\frac{x_t - \sqrt{1 - \alpha_t}\,\hat\epsilon}{\sqrt{\alpha_t}}"
    r" + \sqrt{1 - \alpha_s - \sigma^2}\;\hat\epsilon + \sigma z",
    correct=r"x_s = \sqrt{\bar\alpha_s}\,\frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon}{\sqrt{\bar\alpha_t}}"
    r" + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\hat\epsilon + \sigma z",
    replaces="reverse.ddim_transition",
    rejected_by=(*OF_THE_STEP, "reverse.ddim_vs_ancestral"),
    coincides="t = 1",
)
def ddim_with_alpha(schedule, denoiser, x_t, s, t, eta=0.0):
    right = reverse.ddim_transition(schedule, denoiser, x_t, s, t, eta)
    eps, alpha_s, alpha_t = denoiser(x_t, t), on_points(schedule.alpha[s]), on_points(schedule.alpha[t])
    x_0 = (x_t - np.sqrt(1 - alpha_t) * eps) / np.sqrt(alpha_t)
    sigma_2 = eta**2 * (1 - alpha_s) / (1 - alpha_t) * np.maximum(1 - alpha_t / alpha_s, 0.0)
    kept = np.sqrt(np.maximum(1 - alpha_s - sigma_2, 0.0))
    mean = np.sqrt(alpha_s) * x_0 + kept * eps
    return Gaussian(mean, np.broadcast_to(sigma_2, right.var.shape), point_mass=True)


@erratum(
    "ddim-previous-step-by-stride",
    source="huggingface/diffusers#11347 and #12633",
    says=r"s = \tau_k - \lfloor T / K \rfloor",
    correct=r"s = \tau_{k-1}",
    replaces="reverse.ddim_path",
    rejected_by="reverse.ddim_path",
    coincides="where K divides T",
)
def ddim_path_by_stride(schedule, denoiser, x_T, rng, steps=50, eta=0.0):
    number = steps if np.ndim(steps) == 0 else len(steps)
    x_t, where = x_T, [t for t, _ in reverse.ddim_path(schedule, denoiser, x_T, rng, steps, 0.0)]
    for s, t in zip(where, [schedule.T, *where]):
        step = reverse.ddim_transition(schedule, denoiser, x_t, max(t - schedule.T // number, 0), t, eta)
        x_t = step.sample(rng)
        yield s, x_t


@erratum(
    "ddim-ends-at-alpha-bar-1",
    source="Stability-AI/stablediffusion#345; rohitg00/ai-engineering-from-scratch#43; set_alpha_to_one=False in"
    " huggingface/diffusers",
    says=r"x_0 = \sqrt{\bar\alpha_1}\,\hat x_0 + \sqrt{1 - \bar\alpha_1 - \sigma^2}\;\hat\epsilon + \sigma z",
    correct=r"x_0 = \hat x_0, \quad \text{since } \bar\alpha_0 = 1",
    replaces="reverse.ddim",
    rejected_by="reverse.ddim",
    coincides="nearly for long schedules: linear-1000 leaves noise of a standard deviation of .01",
)
def ddim_that_ends_at_step_1(schedule, denoiser, n, d, rng, steps=50, eta=0.0):
    x_t, last = reverse.prior(n, d).sample(rng), schedule.T
    for s, x_s in reverse.ddim_path(schedule, denoiser, x_t, rng, steps, eta):
        if s > 0:
            x_t, last = x_s, s
    # from step 1 to step 1 nothing happens
    return x_t if last == 1 else reverse.ddim_transition(schedule, denoiser, x_t, 1, last, eta).sample(rng)


@erratum(
    "ddim-begins-below-T",
    source="huggingface/diffusers#2585 and #5921",
    says=r"\tau_k = 1 + (k - 1) \lfloor T / K \rfloor, \qquad x_{\tau_K} \sim \mathcal{N}(0, I)",
    correct=r"\tau_K = T, \qquad x_T \sim \mathcal{N}(0, I)",
    replaces="reverse.ddim",
    rejected_by="reverse.ddim",
    coincides="K = T; nearly where alpha_bar is small long before T",
)
def ddim_that_begins_below_T(schedule, denoiser, n, d, rng, steps=50, eta=0.0):
    leading = 1 + np.arange(steps) * (schedule.T // steps)
    return reverse.ddim(schedule, denoiser, n, d, rng, leading, eta)
