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
