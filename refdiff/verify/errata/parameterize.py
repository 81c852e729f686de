"""Wrong conversions between x_0, eps, v, the score and the mean, as found in print."""

import numpy as np

from refdiff.verify.identity import erratum


def _at(schedule, x_t, t):
    """Return the index t with the signal and noise rate there."""
    t = schedule.index(t, x_t)
    return t, schedule.signal_rate[t], schedule.noise_rate[t]


@erratum(
    "noise-outside-fraction",
    source="S1, line 371",
    says=r"x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}}{\sqrt{\bar\alpha_t}}\,\epsilon",
    correct=r"x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}",
    replaces="parameterize.x_0_from_eps",
    rejected_by="parameterize.x_0_from_eps",
    coincides="where eps = 1",
)
def x_0_times_the_noise(schedule, x_t, eps, t):
    _, signal, noise = _at(schedule, x_t, t)
    return (x_t - noise) / signal * eps


@erratum(
    "x-0-without-the-root",
    source="jcwang-gh/classifier-free-diffusion-guidance-Pytorch#12",
    says=r"x_0 = \frac{x_t - (1 - \bar\alpha_t)\,\epsilon}{\sqrt{\bar\alpha_t}}",
    correct=r"x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}",
    replaces="parameterize.x_0_from_eps",
    rejected_by="parameterize.x_0_from_eps",
    coincides="as alpha_bar_t goes to 0 or 1",
)
def x_0_without_root(schedule, x_t, eps, t):
    t, signal, _ = _at(schedule, x_t, t)
    return (x_t - schedule.one_minus_alpha_bar[t] * eps) / signal


@erratum(
    "root-of-a-difference-misread",
    source="w86763777/pytorch-ddpm#8",
    says=r"x_0 = \frac{x_t}{\sqrt{\bar\alpha_t}} - \left(\sqrt{1/\bar\alpha_t} - 1\right)\epsilon",
    correct=r"x_0 = \frac{x_t}{\sqrt{\bar\alpha_t}} - \sqrt{1/\bar\alpha_t - 1}\;\epsilon",
    replaces="parameterize.x_0_from_eps",
    rejected_by="parameterize.x_0_from_eps",
    coincides="as alpha_bar_t goes to 1; it was a misreading, and the code was right",
)
def x_0_with_the_one_outside(schedule, x_t, eps, t):
    _, signal, _ = _at(schedule, x_t, t)
    return x_t / signal - (1 / signal - 1) * eps


@erratum(
    "sample-taken-for-noise",
    source="huggingface/diffusers#1486",
    says=r"\epsilon := \hat x_0 \text{ where the network predicts } x_0",
    correct=r"\epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\,\hat x_0}{\sqrt{1 - \bar\alpha_t}}",
    replaces="parameterize.eps_from_x_0",
    rejected_by="parameterize.eps_from_x_0",
    coincides="where x_0 happens to equal eps",
)
def eps_left_as_x_0(schedule, x_t, x_0, t):
    return np.array(x_0)


@erratum(
    "v-of-the-noisy-point",
    source="threestudio-project/threestudio#126",
    says=r"v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_t",
    correct=r"v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0",
    replaces="parameterize.v_from_eps",
    rejected_by="parameterize.v_from_eps",
    coincides="as alpha_bar_t goes to 1",
)
def v_of_x_t(schedule, x_t, eps, t):
    _, signal, noise = _at(schedule, x_t, t)
    return signal * eps - noise * x_t


@erratum(
    "eps-from-v-of-the-noisy-point",
    source="threestudio-project/threestudio#126",
    says=r"\epsilon = \frac{v + \sqrt{1 - \bar\alpha_t}\,x_t}{\sqrt{\bar\alpha_t}}",
    correct=r"\epsilon = \sqrt{\bar\alpha_t}\,v + \sqrt{1 - \bar\alpha_t}\,x_t",
    replaces="parameterize.eps_from_v",
    rejected_by="parameterize.eps_from_v",
    coincides="as alpha_bar_t goes to 1",
)
def eps_with_x_t_for_x_0(schedule, x_t, v, t):
    _, signal, noise = _at(schedule, x_t, t)
    return (v + noise * x_t) / signal


@erratum(
    "v-prediction-sign",
    source="huggingface/diffusers#1421",
    says=r"x_0 = \sqrt{\bar\alpha_t}\,x_t + \sqrt{1 - \bar\alpha_t}\,v",
    correct=r"x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,v",
    replaces="parameterize.x_0_from_v",
    rejected_by="parameterize.x_0_from_v",
    coincides="as alpha_bar_t goes to 1",
)
def x_0_with_plus_v(schedule, x_t, v, t):
    _, signal, noise = _at(schedule, x_t, t)
    return signal * x_t + noise * v


@erratum(
    "v-of-rectified-flow",
    source="a common slip: the velocity that huggingface/diffusers#8567 settles for another process",
    says=r"v = \epsilon - x_0",
    correct=r"v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0",
    replaces="parameterize.v_from_x_0",
    rejected_by="parameterize.v_from_x_0",
    coincides="nowhere: the two rates are never both 1",
)
def v_of_a_straight_line(schedule, x_t, x_0, t):
    _, signal, noise = _at(schedule, x_t, t)
    return (x_t - signal * x_0) / noise - x_0


@erratum(
    "noise-read-as-the-score",
    source="S3, line 652",
    says=r"\epsilon_\theta(x_t, t) \text{ is a learned gradient of the data density}",
    correct=r"\nabla_{x_t} \log q(x_t) = -\frac{\epsilon^*(x_t, t)}{\sqrt{1 - \bar\alpha_t}}:"
    r" \text{ sign, scale, and the density of the noised data}",
    replaces="parameterize.score_from_eps",
    rejected_by="parameterize.score_from_eps",
    coincides="where eps = 0",
)
def score_left_as_eps(schedule, x_t, eps, t):
    return np.array(eps)


@erratum(
    "score-scaled-by-the-variance",
    source="a common slip",
    says=r"\mathbb{E}[\epsilon \mid x_t] = -(1 - \bar\alpha_t)\,\nabla_{x_t} \log q(x_t)",
    correct=r"\mathbb{E}[\epsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)",
    replaces="parameterize.eps_from_score",
    rejected_by="parameterize.eps_from_score",
    coincides="as alpha_bar_t goes to 0",
)
def eps_by_the_variance(schedule, x_t, score, t):
    return -schedule.one_minus_alpha_bar[schedule.index(t, x_t)] * score


@erratum(
    "tweedie-not-rescaled",
    source="a common slip: right where the signal is not scaled; compare pals-ttic/sjc#13 on the two meanings of sigma",
    says=r"\mathbb{E}[x_0 \mid x_t] = x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)",
    correct=r"\mathbb{E}[x_0 \mid x_t]"
    r" = \frac{x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    replaces="parameterize.x_0_from_score",
    rejected_by="parameterize.x_0_from_score",
    coincides="as alpha_bar_t goes to 1",
)
def x_0_not_rescaled(schedule, x_t, score, t):
    return x_t + schedule.one_minus_alpha_bar[schedule.index(t, x_t)] * score


@erratum(
    "score-sign",
    source="acids-ircam/diffusion_models#7 and #11",
    says=r"\nabla_{x_t} \log q(x_t \mid x_0) = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    correct=r"\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    replaces="parameterize.score_from_x_0",
    rejected_by="parameterize.score_from_x_0",
    coincides="in law: only what goes with the sign of the noise tells",
)
def score_uphill_from_x_0(schedule, x_t, x_0, t):
    t, signal, _ = _at(schedule, x_t, t)
    return (x_t - signal * x_0) / schedule.one_minus_alpha_bar[t]


@erratum(
    "score-with-alpha-bar",
    source="pals-ttic/sjc#13",
    says=r"\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \bar\alpha_t\,x_0}{1 - \bar\alpha_t}",
    correct=r"\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    replaces="parameterize.score_from_x_0",
    rejected_by="parameterize.score_from_x_0",
    coincides="where x_0 = 0, and as alpha_bar_t goes to 0 or 1",
)
def score_around_alpha_bar_x_0(schedule, x_t, x_0, t):
    t = schedule.index(t, x_t)
    return -(x_t - schedule.alpha_bar[t] * x_0) / schedule.one_minus_alpha_bar[t]


@erratum(
    "all-noise-taken-in-one-step",
    source="coleygroup/shepherd#14",
    says=r"\mu = \frac{1}{\sqrt{\alpha_t}}"
    r"\left(x_t - \frac{1 - \bar\alpha_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    correct=r"\mu = \frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)",
    replaces="parameterize.mean_from_eps",
    rejected_by="parameterize.mean_from_eps",
    coincides="at t = 1",
)
def mean_without_any_noise(schedule, x_t, eps, t):
    t, _, noise = _at(schedule, x_t, t)
    return (x_t - noise * eps) / np.sqrt(schedule.alpha[t])


@erratum(
    "denoise-step-syntax",
    source="S4, line 151",
    says=r"\texttt{mean = one\_by\_sqrt\_alpha\_t * (X\_t - (beta\_t / s) * pred\_noise}",
    correct=r"\texttt{mean = one\_by\_sqrt\_alpha\_t * (X\_t - (beta\_t / s) * pred\_noise)}",
    replaces="parameterize.mean_from_eps",
    rejected_by="parameterize.mean_from_eps",
    coincides="never: it does not compile; with the parenthesis closed it is right",
    fails=True,
)
def mean_as_printed(schedule, x_t, eps, t):
    return eval("one_by_sqrt_alpha_t * (X_t - (beta_t / s) * pred_noise")


@erratum(
    "step-noise-from-the-mean",
    source="S3, line 156: one symbol for the noise of a step and for that of t steps",
    says=r"\epsilon = \frac{x_t - \sqrt{\alpha_t}\,\mu}{\sqrt{\beta_t}}",
    correct=r"\epsilon = \frac{\sqrt{1 - \bar\alpha_t}}{\beta_t}\left(x_t - \sqrt{\alpha_t}\,\mu\right)",
    replaces="parameterize.eps_from_mean",
    rejected_by="parameterize.eps_from_mean",
    coincides="at t = 1, where the merged noise is that of the step",
)
def eps_of_the_step(schedule, x_t, mean, t):
    t = schedule.index(t, x_t)
    return (x_t - np.sqrt(schedule.alpha[t]) * mean) / np.sqrt(schedule.beta[t])


@erratum(
    "mean-with-alpha-bar-of-the-same-step",
    source="a common slip",
    says=r"\mu = \frac{\sqrt{\bar\alpha_t}\,\beta_t}{1 - \bar\alpha_t}\,x_0"
    r" + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t",
    correct=r"\mu = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\,x_0"
    r" + \frac{\sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}\,x_t",
    replaces="parameterize.mean_from_x_0",
    rejected_by="parameterize.mean_from_x_0",
    coincides="as beta_t goes to 0",
)
def mean_one_index_late(schedule, x_t, x_0, t):
    t, signal, _ = _at(schedule, x_t, t)
    c_0 = signal * schedule.beta[t] / schedule.one_minus_alpha_bar[t]
    c_t = np.sqrt(schedule.alpha[t]) * schedule.one_minus_alpha_bar[t - 1] / schedule.one_minus_alpha_bar[t]
    return c_0 * x_0 + c_t * x_t


@erratum(
    "posterior-mean-read-as-marginal",
    source="a common slip",
    says=r"\mu = \sqrt{\bar\alpha_{t-1}}\,x_0, \quad x_0 = \mu / \sqrt{\bar\alpha_{t-1}}",
    correct=r"x_0 = \frac{(1 - \bar\alpha_t)\,\mu - \sqrt{\alpha_t}\,(1 - \bar\alpha_{t-1})\,x_t}"
    r"{\sqrt{\bar\alpha_{t-1}}\,\beta_t}",
    replaces="parameterize.x_0_from_mean",
    rejected_by="parameterize.x_0_from_mean",
    coincides="at t = 1, and wherever eps = 0",
)
def x_0_by_unscaling_the_mean(schedule, x_t, mean, t):
    return mean / schedule.signal_rate[schedule.index(t, x_t) - 1]
