r"""Wrong versions of the score as a field, and of Tweedie's formulas: sign, scale, and which density it is of."""

import numpy as np

from refdiff import score as right
from refdiff.parameterize import eps_from_score, score_from_eps
from refdiff.verify.identity import erratum


@erratum(
    "denoiser-taken-for-the-score",
    source="follows from eps-is-the-score",
    says=r"s(x_t, t) = \hat\epsilon(x_t, t)",
    correct=r"s(x_t, t) = -\hat\epsilon(x_t, t) \,/ \sqrt{1 - \bar\alpha_t}",
    replaces="score.from_denoiser",
    rejected_by="score.from_denoiser",
    coincides="where the score is 0",
)
def noise_as_score(schedule, denoiser):
    return lambda x_t, t: denoiser(x_t, t)


@erratum(
    "score-is-noise-over-variance",
    source="a common slip",
    says=r"s(x_t, t) = -\frac{\hat\epsilon(x_t, t)}{1 - \bar\alpha_t}",
    correct=r"s(x_t, t) = -\frac{\hat\epsilon(x_t, t)}{\sqrt{1 - \bar\alpha_t}}",
    replaces="score.from_denoiser",
    rejected_by="score.from_denoiser",
    coincides="1 - alpha_bar_t near 1, as at the end of a schedule; where the score is 0",
)
def noise_over_variance(schedule, denoiser):
    def score(x_t, t):
        return -denoiser(x_t, t) / schedule.one_minus_alpha_bar[schedule.index(t, np.asarray(x_t))]

    return score


@erratum(
    "noise-along-the-score",
    source="a common slip",
    says=r"\hat\epsilon(x_t, t) = \sqrt{1 - \bar\alpha_t}\;s(x_t, t)",
    correct=r"\hat\epsilon(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;s(x_t, t)",
    replaces="score.to_denoiser",
    rejected_by="score.to_denoiser",
    coincides="where the score is 0; the score points to the data, the noise away from them",
)
def denoiser_of_the_wrong_sign(schedule, score):
    return lambda x_t, t: -eps_from_score(schedule, x_t, score(x_t, t), t)


@erratum(
    "noise-divided-once-more",
    source="a common slip",
    says=r"\hat\epsilon(x_t, t) = -s(x_t, t) \,/ \sqrt{1 - \bar\alpha_t}",
    correct=r"\hat\epsilon(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;s(x_t, t)",
    replaces="score.to_denoiser",
    rejected_by="score.to_denoiser",
    coincides="1 - alpha_bar_t near 1",
)
def denoiser_not_inverse(schedule, score):
    return lambda x_t, t: score_from_eps(schedule, x_t, score(x_t, t), t)


@erratum(
    "jacobian-transposed",
    source="a common slip",
    says=r"J_{ij} = \frac{\partial s_j}{\partial x_i}",
    correct=r"J_{ij} = \frac{\partial s_i}{\partial x_j}",
    replaces="score.jacobian",
    rejected_by="score.jacobian",
    coincides="a true score, whose Jacobian is symmetric; d = 1",
)
def jacobian_transposed(score, x, t=None, step=1e-3):
    return np.swapaxes(right.jacobian(score, x, t, step), -1, -2)


@erratum(
    "jacobian-one-sided",
    source="a common slip",
    says=r"J_{ij} = \frac{s_i(x + h e_j) - s_i(x)}{h}",
    correct=r"\text{central differences: the error is of second order in } h\text{, and can be extrapolated away}",
    replaces="score.jacobian",
    rejected_by="score.jacobian",
    coincides="affine fields, for which there is no error; else it is of the size of the step: chance does not see it",
    by_chance=False,
)
def jacobian_one_sided(score, x, t=None, step=1e-3):
    x = np.asarray(x, dtype=float)

    def s(x):
        return score(x) if t is None else score(x, t)

    return np.stack([(s(x + step * axis) - s(x)) / step for axis in np.eye(x.shape[-1])], axis=-1)


@erratum(
    "denoised-not-rescaled",
    source="a common slip: the formula for data plus noise, x_0 + sigma eps, taken over",
    says=r"\mathbb{E}[x_0 \mid x_t] = x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)",
    correct=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    replaces="score.tweedie",
    rejected_by="score.tweedie",
    coincides="alpha_bar_t near 1; it is E[sqrt(alpha_bar_t) x_0 | x_t]",
)
def mean_of_the_scaled_x_0(schedule, score, x_t, t):
    return schedule.signal_rate[schedule.index(t, x_t)] * right.tweedie(schedule, score, x_t, t)


@erratum(
    "tweedie-by-the-standard-deviation",
    source="sony/ctm#1, in the correction proposed there: x_t + t grad log p_t, where t is the standard deviation",
    says=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t + \sqrt{1 - \bar\alpha_t}\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    correct=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    replaces="score.tweedie",
    rejected_by="score.tweedie",
    coincides="a noise of variance 1",
)
def tweedie_by_std(schedule, score, x_t, t):
    index = schedule.index(t, x_t)
    return (x_t + schedule.noise_rate[index] * score(x_t, t)) / schedule.signal_rate[index]


@erratum(
    "denoised-is-the-score",
    source="sony/ctm#1, of the paper's text: the denoiser as another expression for the score",
    says=r"\mathbb{E}[x_0 \mid x_t] = \nabla\log q(x_t)",
    correct=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    replaces="score.tweedie",
    rejected_by="score.tweedie",
    coincides="nowhere in general: each determines the other, but they are not the same",
)
def score_as_denoised(schedule, score, x_t, t):
    return score(x_t, t)


@erratum(
    "tweedie-away-from-the-data",
    source="a common slip: the sign that eps has there, given to the score",
    says=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t - (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    correct=r"\mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1 - \bar\alpha_t)\,\nabla\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    replaces="score.tweedie",
    rejected_by="score.tweedie",
    coincides="where the score is 0",
)
def tweedie_of_the_wrong_sign(schedule, score, x_t, t):
    return right.tweedie(schedule, lambda x_t, t: -score(x_t, t), x_t, t)


def _cov(schedule, score, x_t, t, hessian, step, scale, of_hessian):
    """Return scale(t) (I + of_hessian(t) H), with t lined up with (..., d, d)."""
    H = right.jacobian(score, x_t, t, step) if hessian is None else hessian(x_t, t)
    index = schedule.index(t, np.asarray(x_t))
    index = index if np.ndim(index) == 0 else index[..., None]
    return scale(index) * (np.eye(np.shape(x_t)[-1]) + of_hessian(index) * H)


@erratum(
    "tweedie-cov-without-hessian",
    source="a common slip",
    says=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}\,I",
    correct=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}"
    r" \left(I + (1 - \bar\alpha_t)\,\nabla^2 \log q(x_t)\right)",
    replaces="score.tweedie_cov",
    rejected_by="score.tweedie_cov",
    coincides="data that are flat on the scale of the noise; otherwise it ignores what is known of x_0 beforehand",
)
def cov_of_the_noise_alone(schedule, score, x_t, t, *, hessian=None, step=1e-3):
    left, signal_2 = schedule.one_minus_alpha_bar, schedule.alpha_bar
    return _cov(schedule, score, x_t, t, hessian, step, lambda i: left[i] / signal_2[i], lambda i: 0.0)


@erratum(
    "tweedie-cov-hessian-unscaled",
    source="a common slip",
    says=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}"
    r" \left(I + \nabla^2 \log q(x_t)\right)",
    correct=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}"
    r" \left(I + (1 - \bar\alpha_t)\,\nabla^2 \log q(x_t)\right)",
    replaces="score.tweedie_cov",
    rejected_by="score.tweedie_cov",
    coincides="1 - alpha_bar_t near 1",
)
def cov_with_the_hessian_unscaled(schedule, score, x_t, t, *, hessian=None, step=1e-3):
    left, signal_2 = schedule.one_minus_alpha_bar, schedule.alpha_bar
    return _cov(schedule, score, x_t, t, hessian, step, lambda i: left[i] / signal_2[i], lambda i: 1.0)


@erratum(
    "tweedie-cov-divided-once",
    source="a common slip: the Jacobian of the mean, with the factor of the mean",
    says=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\sqrt{\bar\alpha_t}}"
    r" \left(I + (1 - \bar\alpha_t)\,\nabla^2 \log q(x_t)\right)",
    correct=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\sqrt{\bar\alpha_t}}\,"
    r"\nabla_{x_t} \mathbb{E}[x_0 \mid x_t]",
    replaces="score.tweedie_cov",
    rejected_by="score.tweedie_cov",
    coincides="alpha_bar_t near 1",
)
def cov_divided_once(schedule, score, x_t, t, *, hessian=None, step=1e-3):
    left, signal = schedule.one_minus_alpha_bar, schedule.signal_rate
    return _cov(schedule, score, x_t, t, hessian, step, lambda i: left[i] / signal[i], lambda i: left[i])
