r"""Wrong versions of the losses of score matching: targets of another sign or scale, terms out of proportion."""

import numpy as np

from refdiff import elbo
from refdiff import score as right
from refdiff.verify.identity import erratum


@erratum(
    "score-loss-averaged-over-coordinates",
    source="a common slip: the mean squared error of a library",
    says=r"\tfrac1d\,\Vert s(x) - \nabla\log q(x)\Vert^2",
    correct=r"\Vert s(x) - \nabla\log q(x)\Vert^2",
    replaces="score.explicit_loss",
    rejected_by="score.explicit_loss",
    coincides="d = 1",
)
def loss_per_coordinate(score, true_score, x, t=None):
    return right.explicit_loss(score, true_score, x, t) / np.shape(x)[-1]


@erratum(
    "score-distance-not-squared",
    source="a common slip",
    says=r"F(q, s) = \mathbb{E}_q \Vert s(x) - \nabla\log q(x)\Vert",
    correct=r"F(q, s) = \mathbb{E}_q \Vert s(x) - \nabla\log q(x)\Vert^2",
    replaces="score.explicit_loss",
    rejected_by="score.explicit_loss",
    coincides="a distance of 0 or 1",
)
def distance(score, true_score, x, t=None):
    return np.sqrt(right.explicit_loss(score, true_score, x, t))


@erratum(
    "implicit-loss-half-in-one-term",
    source="a common slip: the factor 1/2 of the square multiplied away, the 2 of the divergence forgotten",
    says=r"\Vert s \Vert^2 + \operatorname{tr}\nabla s",
    correct=r"\Vert s \Vert^2 + 2\operatorname{tr}\nabla s",
    replaces="score.implicit_loss",
    rejected_by="score.implicit_loss",
    coincides="where the divergence is 0; its minimiser is half the true score",
)
def implicit_with_half_the_divergence(score, x, t=None, *, step=1e-3):
    x = np.asarray(x)
    square = np.sum((score(x) if t is None else score(x, t)) ** 2, axis=-1)
    return (square + right.implicit_loss(score, x, t, step=step)) / 2 + square / 2


@erratum(
    "divergence-of-all-derivatives",
    source="BioMedIA/deepali#116, there of a deformation",
    says=r"\Vert s \Vert^2 + 2\sum_{ij} \frac{\partial s_i}{\partial x_j}",
    correct=r"\Vert s \Vert^2 + 2\sum_i \frac{\partial s_i}{\partial x_i}",
    replaces="score.implicit_loss",
    rejected_by="score.implicit_loss",
    coincides="d = 1; coordinates that do not depend on each other",
)
def implicit_with_all_derivatives(score, x, t=None, *, step=1e-3):
    x = np.asarray(x)
    square = np.sum((score(x) if t is None else score(x, t)) ** 2, axis=-1)
    return square + 2 * right.jacobian(score, x, t, step).sum(axis=(-1, -2))


@erratum(
    "denoising-target-unscaled",
    source="acids-ircam/diffusion_models#5, which asks for it",
    says=r"\Vert s(x_t, t) + \epsilon \Vert^2",
    correct=r"\left\Vert s(x_t, t) + \frac{\epsilon}{\sqrt{1 - \bar\alpha_t}} \right\Vert^2",
    replaces="score.denoising_loss",
    rejected_by=("score.denoising_loss", "score.eps_loss"),
    coincides="a noise of variance 1",
)
def target_minus_eps(schedule, score, x_0, x_t, t):
    index = schedule.index(t, np.asarray(x_t))
    eps = (x_t - schedule.signal_rate[index] * x_0) / schedule.noise_rate[index]
    return np.sum((score(x_t, t) + eps) ** 2, axis=-1)


@erratum(
    "denoising-target-of-the-wrong-sign",
    source="acids-ircam/diffusion_models#7 and #11, of a notebook whose code has it right",
    says=r"\nabla_{x_t} \log q(x_t \mid x_0) = \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    correct=r"\nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    replaces="score.denoising_loss",
    rejected_by=("score.denoising_loss", "score.eps_loss"),
    coincides="s = 0; an energy's gradient in place of the score, as in soran-ghaderi/torchebm#333, is the same error",
)
def target_of_the_wrong_sign(schedule, score, x_0, x_t, t):
    return right.denoising_loss(schedule, lambda x_t, t: -score(x_t, t), x_0, x_t, t)


@erratum(
    "denoising-target-over-variance",
    source="yang-song/score_sde_pytorch#26, which asks for it",
    says=r"\left\Vert s(x_t, t) + \frac{\epsilon}{1 - \bar\alpha_t} \right\Vert^2",
    correct=r"\left\Vert s(x_t, t) + \frac{\epsilon}{\sqrt{1 - \bar\alpha_t}} \right\Vert^2",
    replaces="score.denoising_loss",
    rejected_by=("score.denoising_loss", "score.eps_loss"),
    coincides="a noise of variance 1; it is the residual x_t - sqrt(alpha_bar_t) x_0 that is divided by the variance",
)
def target_over_variance(schedule, score, x_0, x_t, t):
    index = schedule.index(t, np.asarray(x_t))
    eps = (x_t - schedule.signal_rate[index] * x_0) / schedule.noise_rate[index]
    return np.sum((score(x_t, t) + eps / schedule.one_minus_alpha_bar[index]) ** 2, axis=-1)


@erratum(
    "eps-loss-is-the-score-loss",
    source="a common slip",
    says=r"\Vert s(x_t, t) - \nabla_{x_t} \log q(x_t \mid x_0) \Vert^2 = \Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    correct=r"(1 - \bar\alpha_t)\,\Vert s(x_t, t) - \nabla_{x_t} \log q(x_t \mid x_0) \Vert^2"
    r" = \Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2",
    replaces="score.denoising_loss",
    rejected_by=("score.eps_loss", "score.denoising_loss"),
    coincides="1 - alpha_bar_t near 1",
)
def loss_of_eps(schedule, score, x_0, x_t, t):
    return schedule.one_minus_alpha_bar[schedule.index(t)] * right.denoising_loss(schedule, score, x_0, x_t, t)


@erratum(
    "denoising-loss-is-the-explicit-loss",
    source="a common slip",
    says=r"\mathbb{E}\Vert s - \nabla \log q(x_t \mid x_0) \Vert^2 = \mathbb{E}\Vert s - \nabla \log q(x_t) \Vert^2",
    correct=r"\mathbb{E}\Vert s - \nabla \log q(x_t \mid x_0) \Vert^2 = \mathbb{E}\Vert s - \nabla \log q(x_t) \Vert^2"
    r" + c_t, \quad c_t > 0",
    replaces="score.denoising_gap",
    rejected_by="score.denoising_gap",
    coincides="data at one point; their minimisers and gradients are the same, their values are not",
)
def no_gap(schedule, eps_loss, d):
    return np.zeros(schedule.T + 1)


@erratum(
    "gap-is-the-noise-alone",
    source="a common slip",
    says=r"c_t = \mathbb{E}\Vert\nabla\log q(x_t \mid x_0)\Vert^2 = \frac{d}{1 - \bar\alpha_t}",
    correct=r"c_t = \frac{d}{1 - \bar\alpha_t} - \mathbb{E}\Vert\nabla\log q(x_t)\Vert^2",
    replaces="score.denoising_gap",
    rejected_by="score.denoising_gap",
    coincides="data so wide that q(x_t) is flat: it is the denoising loss of s = 0",
)
def gap_without_fisher_information(schedule, eps_loss, d):
    return np.concatenate([[0.0], d / schedule.one_minus_alpha_bar[1:]])


@erratum(
    "gap-of-eps",
    source="a common slip",
    says=r"c_t = d\,\ell^*_t",
    correct=r"c_t = \frac{d\,\ell^*_t}{1 - \bar\alpha_t}",
    replaces="score.denoising_gap",
    rejected_by="score.denoising_gap",
    coincides="1 - alpha_bar_t near 1; it is the floor of the loss of eps",
)
def gap_of_the_eps_loss(schedule, eps_loss, d):
    return d * np.asarray(eps_loss)


@erratum(
    "weight-of-eps-for-the-score",
    source="a common slip",
    says=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    correct=r"w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t}",
    replaces="score.weight_score",
    rejected_by="score.weight_score",
    coincides="1 - alpha_bar_t near 1",
)
def weight_of_eps(schedule, t, variance="beta"):
    return elbo.weight(schedule, t, variance)


@erratum(
    "noise-variance-weighs-the-bound",
    source="follows from vlb-equals-simple",
    says=r"L_{t-1} = (1 - \bar\alpha_t)\,\mathbb{E}\Vert s - \nabla\log q(x_t \mid x_0)\Vert^2 + \text{const}",
    correct=r"L_{t-1} = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t}\,\mathbb{E}\Vert s - \nabla\log q(x_t \mid x_0)\Vert^2"
    r" + \text{const}; \text{ with } 1 - \bar\alpha_t \text{ it is } L_{\mathrm{simple}}",
    replaces="score.weight_score",
    rejected_by="score.weight_score",
    coincides="where 2 alpha_t (1 - alpha_bar_t) = beta_t, by accident",
)
def weight_of_the_simple_loss(schedule, t, variance="beta"):
    return schedule.one_minus_alpha_bar[schedule.index(t)]


def _unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@erratum(
    "sliced-along-unit-directions",
    source="ermongroup/sliced_score_matching#3, which quotes the code",
    says=r"\mathbb{E}_v\left[(v \cdot s)^2 + 2\,v^\top\nabla s\,v\right] = \Vert s\Vert^2 + 2\operatorname{tr}\nabla s,"
    r" \quad \Vert v \Vert = 1",
    correct=r"\mathbb{E}\,vv^\top = I \text{, while } \Vert v \Vert = 1 \text{ has }"
    r" \mathbb{E}\,vv^\top = I / d: \text{ a loss } d \text{ times too small, with the same minimiser}",
    replaces="score.sliced_loss",
    rejected_by="score.sliced_loss",
    coincides="d = 1 and a sign for v",
)
def sliced_along_unit_vectors(score, x, v, t=None, *, step=1e-3):
    return right.sliced_loss(score, x, _unit(v), t, step=step)


@erratum(
    "sliced-curvature-once",
    source="a common slip: the factor 1/2 of the square multiplied away, the 2 of the curvature forgotten",
    says=r"(v \cdot s)^2 + v^\top\nabla s\,v",
    correct=r"(v \cdot s)^2 + 2\,v^\top\nabla s\,v",
    replaces="score.sliced_loss",
    rejected_by="score.sliced_loss",
    coincides="where v' grad s v is 0",
)
def sliced_with_half_the_curvature(score, x, v, t=None, *, step=1e-3):
    along = np.sum(v * (score(x) if t is None else score(x, t)), axis=-1) ** 2
    return (along + right.sliced_loss(score, x, v, t, step=step)) / 2


@erratum(
    "reduced-along-unit-directions",
    source="a common slip: the directions of the plain sliced loss, where their length does not matter",
    says=r"\Vert s \Vert^2 + 2\,v^\top\nabla s\,v, \quad \Vert v \Vert = 1",
    correct=r"\mathbb{E}\,vv^\top = I; \text{ with } \Vert v \Vert = 1 \text{ the curvature counts } 1/d"
    r" \text{ and the minimiser is } \nabla\log q / d",
    replaces="score.sliced_loss_reduced",
    rejected_by="score.sliced_loss_reduced",
    coincides="d = 1 and a sign for v",
)
def reduced_along_unit_vectors(score, x, v, t=None, *, step=1e-3):
    return right.sliced_loss_reduced(score, x, _unit(v), t, step=step)
