r"""Wrong versions of weights and objectives, as found in print and in code."""

import numpy as np

from refdiff import elbo, forward, reverse
from refdiff.verify.identity import erratum


@erratum(
    "weight-with-sigma-equal-beta",
    source="S3, lines 474, 567",
    says=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}, \quad \sigma_t = \beta_t"
    r" \text{ or } \tilde\beta_t",
    correct=r"\sigma_t^2 = \beta_t \text{ or } \tilde\beta_t",
    replaces="elbo.weight",
    rejected_by="elbo.weight",
)
def weight_with_sigma_equal_beta(schedule, t, variance="beta"):
    sigma = reverse.var(schedule, t, variance)
    return schedule.beta[t] ** 2 / (2 * sigma**2 * schedule.alpha[t] * schedule.one_minus_alpha_bar[t])


@erratum(
    "weight-without-two",
    source="a common slip",
    says=r"w_t = \frac{\beta_t^2}{\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    correct=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    replaces="elbo.weight",
    rejected_by="elbo.weight",
)
def weight_without_two(schedule, t, variance="beta"):
    return 2 * elbo.weight(schedule, t, variance)


@erratum(
    "lvlb-weight-of-x-0",
    source="CompVis/stable-diffusion#674 and #698",
    says=r"w_t = \frac{\frac12 \sqrt{\bar\alpha_t}}{2 - \bar\alpha_t}",
    correct=r"w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)^2}",
    replaces="elbo.weight_x_0",
    rejected_by="elbo.weight_x_0",
    coincides="never but by accident: no beta_t, no sigma_t^2 stands in it",
)
def lvlb_weight_x_0(schedule, t, variance="beta"):
    alpha_bar = schedule.alpha_bar[t]
    return 0.5 * np.sqrt(alpha_bar) / (2.0 * 1 - alpha_bar)


@erratum(
    "lvlb-weight-of-x-0-with-its-bracket",
    source="Doubiiu/DynamiCrafter#168, which puts the missing bracket into the weight of CompVis/stable-diffusion#674",
    says=r"w_t = \frac{\frac12 \sqrt{\bar\alpha_t}}{2\,(1 - \bar\alpha_t)}",
    correct=r"w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)^2}",
    replaces="elbo.weight_x_0",
    rejected_by="elbo.weight_x_0",
    coincides="never but by accident: no beta_t, no sigma_t^2 stands in it",
)
def lvlb_weight_x_0_with_bracket(schedule, t, variance="beta"):
    return 0.5 * np.sqrt(schedule.alpha_bar[t]) / (2.0 * schedule.one_minus_alpha_bar[t])


@erratum(
    "weight-of-eps-for-x-0",
    source="a common slip",
    says=r"L_{t-1} = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}"
    r"\,\mathbb{E}\Vert x_0 - \hat x_0\Vert^2 + d\,c_t",
    correct=r"L_{t-1} = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)^2}"
    r"\,\mathbb{E}\Vert x_0 - \hat x_0\Vert^2 + d\,c_t",
    replaces="elbo.weight_x_0",
    rejected_by="elbo.weight_x_0",
    coincides="where the signal-to-noise ratio is 1",
)
def weight_eps_for_x_0(schedule, t, variance="beta"):
    return elbo.weight(schedule, t, variance)


@erratum(
    "lvlb-weight-of-v-is-one",
    source="CompVis/stable-diffusion#698",
    says=r"w_t = 1",
    correct=r"w_t = \frac{\bar\alpha_{t-1}\,\beta_t^2}{2\sigma_t^2\,(1 - \bar\alpha_t)}",
    replaces="elbo.weight_v",
    rejected_by="elbo.weight_v",
    coincides="never but by accident; as an objective of its own it is no error, but no bound either",
)
def weight_v_of_one(schedule, t, variance="beta"):
    return np.ones(np.shape(t))


@erratum(
    "weight-of-v-without-rescaling",
    source="a common slip",
    says=r"\Vert v - \hat v\Vert^2 = (1 - \bar\alpha_t)\,\Vert x_0 - \hat x_0\Vert^2",
    correct=r"\Vert v - \hat v\Vert^2 = \Vert x_0 - \hat x_0\Vert^2 \,/\, (1 - \bar\alpha_t):"
    r" \text{ the error of eps counts in it too}",
    replaces="elbo.weight_v",
    rejected_by="elbo.weight_v",
    coincides="where alpha_bar_t is 0",
)
def weight_v_of_x_0_alone(schedule, t, variance="beta"):
    return elbo.weight_x_0(schedule, t, variance) / schedule.one_minus_alpha_bar[t]


@erratum(
    "mean-weight-with-sigma-equal-beta",
    source="S3, lines 474, 547",
    says=r"w_t = \frac{1}{2\sigma_t^2}, \quad \sigma_t = \beta_t \text{ or } \tilde\beta_t",
    correct=r"w_t = \frac{1}{2\sigma_t^2}, \quad \sigma_t^2 = \beta_t \text{ or } \tilde\beta_t",
    replaces="elbo.weight_mean",
    rejected_by="elbo.weight_mean",
    coincides="a variance of 1",
)
def mean_weight_with_sigma_equal_beta(schedule, t, variance="beta"):
    return 1 / (2 * reverse.var(schedule, t, variance) ** 2)


@erratum(
    "snr-weight-turned-around",
    source="a common slip",
    says=r"w_t = \tfrac12\left[\mathrm{SNR}(t) - \mathrm{SNR}(t-1)\right]",
    correct=r"w_t = \tfrac12\left[\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\right] > 0",
    replaces="elbo.weight_from_snr",
    rejected_by="elbo.weight_from_snr",
    coincides="never: it is negative, and the loss falls as the error grows",
)
def snr_weight_turned_around(schedule, t):
    return 0.5 * (schedule.snr[t] - schedule.snr[np.asarray(t) - 1])


@erratum(
    "snr-weight-without-half",
    source="a common slip",
    says=r"w_t = \mathrm{SNR}(t-1) - \mathrm{SNR}(t)",
    correct=r"w_t = \tfrac12\left[\mathrm{SNR}(t-1) - \mathrm{SNR}(t)\right]",
    replaces="elbo.weight_from_snr",
    rejected_by="elbo.weight_from_snr",
)
def snr_weight_without_half(schedule, t):
    return 2 * elbo.weight_from_snr(schedule, t)


@erratum(
    "snr-of-standard-deviations",
    source="a common slip",
    says=r"\mathrm{SNR}(t) = \sqrt{\bar\alpha_t} \,/\, \sqrt{1 - \bar\alpha_t}",
    correct=r"\mathrm{SNR}(t) = \bar\alpha_t \,/\, (1 - \bar\alpha_t): \text{ a ratio of powers}",
    replaces="elbo.weight_from_snr",
    rejected_by="elbo.weight_from_snr",
    coincides="where one step leads from SNR a^2 to b^2 with a + b = 1",
)
def snr_weight_of_rates(schedule, t):
    ratio = np.sqrt(schedule.snr)
    return 0.5 * (ratio[np.asarray(t) - 1] - ratio[t])


@erratum(
    "snr-weight-of-eps-for-x-0",
    source="a reading of Kingma et al. (2021), eq. 14, whose expm1 weighs the error of eps",
    says=r"L_{t-1} = \tfrac12\left[\frac{\mathrm{SNR}(t-1)}{\mathrm{SNR}(t)} - 1\right]"
    r"\mathbb{E}\Vert x_0 - \hat x_0\Vert^2",
    correct=r"L_{t-1} = \tfrac12\left[\frac{\mathrm{SNR}(t-1)}{\mathrm{SNR}(t)} - 1\right]"
    r"\mathbb{E}\Vert\epsilon - \hat\epsilon\Vert^2",
    replaces="elbo.weight_from_snr",
    rejected_by="elbo.weight_from_snr",
    coincides="where the signal-to-noise ratio is 1",
)
def snr_weight_of_eps(schedule, t):
    return 0.5 * np.expm1(schedule.log_snr[np.asarray(t) - 1] - schedule.log_snr[t])


@erratum(
    "min-snr-clips-nothing",
    source="a common slip",
    says=r"w_t = \gamma \,/\, \mathrm{SNR}(t)",
    correct=r"w_t = \min(\mathrm{SNR}(t), \gamma) \,/\, \mathrm{SNR}(t) \le 1",
    replaces="elbo.min_snr_weight",
    rejected_by="elbo.min_snr_weight",
    coincides="where the signal-to-noise ratio is gamma or more",
)
def min_snr_weight_without_min(schedule, t, gamma=5.0):
    return gamma / schedule.snr[t]


@erratum(
    "min-snr-of-x-0-for-eps",
    source="a common slip",
    says=r"w_t\,\Vert\epsilon - \hat\epsilon\Vert^2 \text{ with } w_t = \min(\mathrm{SNR}(t), \gamma)",
    correct=r"w_t = \min(\mathrm{SNR}(t), \gamma) \,/\, \mathrm{SNR}(t)",
    replaces="elbo.min_snr_weight",
    rejected_by="elbo.min_snr_weight",
    coincides="where the signal-to-noise ratio is 1",
)
def min_snr_weight_not_divided(schedule, t, gamma=5.0):
    return np.minimum(schedule.snr[t], gamma)


@erratum(
    "min-snr-is-max-snr",
    source="lucidrains/recurrent-interface-network-pytorch#11",
    says=r"w_t = \max(\mathrm{SNR}(t), \gamma)",
    correct=r"w_t = \min(\mathrm{SNR}(t), \gamma)",
    replaces="elbo.min_snr_weight_x_0",
    rejected_by="elbo.min_snr_weight_x_0",
    coincides="where the signal-to-noise ratio is gamma",
)
def max_snr_weight(schedule, t, gamma=5.0):
    return np.maximum(schedule.snr[t], gamma)


@erratum(
    "min-snr-of-eps-for-x-0",
    source="huggingface/diffusers#6307, the code that it replaces",
    says=r"w_t\,\Vert x_0 - \hat x_0\Vert^2 \text{ with } w_t = \min(\mathrm{SNR}(t), \gamma) \,/\, \mathrm{SNR}(t)",
    correct=r"w_t = \min(\mathrm{SNR}(t), \gamma)",
    replaces="elbo.min_snr_weight_x_0",
    rejected_by="elbo.min_snr_weight_x_0",
    coincides="where the signal-to-noise ratio is 1",
)
def min_snr_weight_eps_for_x_0(schedule, t, gamma=5.0):
    return elbo.min_snr_weight(schedule, t, gamma)


@erratum(
    "snr-of-alpha-bar-squared",
    source="kohya-ss/sd-scripts#308, a comment there",
    says=r"\mathrm{SNR}(t) = \bar\alpha_t^2 \,/\, (1 - \bar\alpha_t)",
    correct=r"\mathrm{SNR}(t) = \bar\alpha_t \,/\, (1 - \bar\alpha_t)",
    replaces="elbo.min_snr_weight_x_0",
    rejected_by="elbo.min_snr_weight_x_0",
    coincides="where gamma is smaller than both, and nearly where alpha_bar_t is near 1",
)
def min_snr_weight_of_alpha_bar_squared(schedule, t, gamma=5.0):
    return np.minimum(schedule.alpha_bar[t] * schedule.snr[t], gamma)


@erratum(
    "min-snr-plus-one-in-the-minimum",
    source="huggingface/diffusers#5654; bmaltais/kohya_ss#1555",
    says=r"w_t = \frac{\min(\mathrm{SNR}(t) + 1, \gamma)}{\mathrm{SNR}(t) + 1}",
    correct=r"w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}",
    replaces="elbo.min_snr_weight_v",
    rejected_by="elbo.min_snr_weight_v",
    coincides="where the signal-to-noise ratio is gamma or more",
)
def min_snr_weight_v_with_one_too_many(schedule, t, gamma=5.0):
    snr = schedule.snr[t] + 1
    return np.minimum(snr, gamma) / snr


@erratum(
    "min-snr-plus-one-on-the-weight",
    source="huggingface/diffusers#8466",
    says=r"w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t)} + 1",
    correct=r"w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}",
    replaces="elbo.min_snr_weight_v",
    rejected_by="elbo.min_snr_weight_v",
    coincides="never: it is above 1, and the right one below",
)
def min_snr_weight_v_plus_one(schedule, t, gamma=5.0):
    return elbo.min_snr_weight(schedule, t, gamma) + 1


@erratum(
    "min-snr-of-v-not-divided",
    source="TiankaiHang/Min-SNR-Diffusion-Training#3, which has since been corrected",
    says=r"w_t\,\Vert v - \hat v\Vert^2 \text{ with } w_t = \min(\mathrm{SNR}(t), \gamma)",
    correct=r"w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}",
    replaces="elbo.min_snr_weight_v",
    rejected_by="elbo.min_snr_weight_v",
    coincides="nearly where the signal-to-noise ratio is near 0",
)
def min_snr_weight_x_0_for_v(schedule, t, gamma=5.0):
    return elbo.min_snr_weight_x_0(schedule, t, gamma)


@erratum(
    "min-snr-of-v-without-plus-one",
    source="bmaltais/kohya_ss#1555, the code that it would replace",
    says=r"w_t\,\Vert v - \hat v\Vert^2 \text{ with } w_t = \min(\mathrm{SNR}(t), \gamma) \,/\, \mathrm{SNR}(t)",
    correct=r"w_t = \frac{\min(\mathrm{SNR}(t), \gamma)}{\mathrm{SNR}(t) + 1}",
    replaces="elbo.min_snr_weight_v",
    rejected_by="elbo.min_snr_weight_v",
    coincides="nearly where the signal-to-noise ratio is far above 1",
)
def min_snr_weight_eps_for_v(schedule, t, gamma=5.0):
    return elbo.min_snr_weight(schedule, t, gamma)


@erratum(
    "randint-excludes-T",
    source="S4, line 95",
    says=r"t \sim \mathtt{randint}(1, T) = U\{1, \ldots, T - 1\}",
    correct=r"t \sim \mathtt{randint}(1, T + 1) = U\{1, \ldots, T\}",
    replaces="elbo.simple_loss",
    rejected_by="elbo.simple_loss",
)
def simple_loss_without_T(schedule, denoiser, x_0, rng):
    t = rng.integers(1, schedule.T, size=len(x_0))
    eps = rng.standard_normal(x_0.shape)
    return np.sum((eps - denoiser(forward.diffuse(schedule, x_0, eps, t), t)) ** 2, axis=-1)


@erratum(
    "loss-not-given-t",
    source="S4, lines 43, 97; S3, line 631",
    says=r"\hat\epsilon = \hat\epsilon(x_t)",
    correct=r"\hat\epsilon = \hat\epsilon(x_t, t)",
    replaces="elbo.simple_loss",
    rejected_by="elbo.simple_loss",
    coincides="for a denoiser that does not look at t; the best of those is worse than the best that does",
)
def simple_loss_without_t(schedule, denoiser, x_0, rng):
    t = rng.integers(1, schedule.T + 1, size=len(x_0))
    eps = rng.standard_normal(x_0.shape)
    x_t = forward.diffuse(schedule, x_0, eps, t)
    return np.sum((eps - denoiser(x_t, np.ones_like(t))) ** 2, axis=-1)  # whatever t was, it hears the same


@erratum(
    "snr-loss-from-two-logarithms",
    source="Kingma et al. (2021), eq. 13 in its stable form, taken from two rounded log-SNRs",
    says=r"\lambda_{t-1} - \lambda_t \text{ as the difference of two rounded logarithms, and expm1 of it}",
    correct=r"\mathrm{SNR}(t-1) - \mathrm{SNR}(t) = \frac{\bar\alpha_{t-1}\,\beta_t}"
    r"{(1 - \bar\alpha_{t-1})(1 - \bar\alpha_t)}, \text{ with no difference of like numbers}",
    replaces="elbo.weight_from_snr",
    rejected_by="elbo.weight_from_snr",
    coincides="to 1.4e-13 on linear-1000; where betas of .1 and 1e-12 follow each other by turns, twenty in all, to"
    " 1.2e-4 only, which no sample shows",
    by_chance=False,
)
def snr_loss_from_two_logarithms(schedule, t):
    return 0.5 * schedule.snr[t] * np.expm1(schedule.log_snr[t - 1] - schedule.log_snr[t])
