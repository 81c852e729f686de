r"""Identities of the weights between a training loss and the bound."""

import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import (
    VARIANCES,
    close_in_nats,
    knows,
    model_mean,
    model_var,
    posterior,
    true_term,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, marginal


@identity(
    "elbo.weight",
    judges="elbo.weight",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    source="Ho, Jain & Abbeel (2020), eq. 12",
    statistics=2,
)
class Weight:
    """Give the denoiser the true noise plus a known error: what the divergence grows by, over the error squared."""

    @staticmethod
    def growth(case, t, variance):
        """Return how much L_{t-1}, or L_0 at t = 1, grows with the squared error of eps_hat."""
        signal, var = marginal(case.beta, t)
        x_0, eps = np.array(case.x_0), np.array(case.eps)
        x_t = signal * x_0 + math.sqrt(var) * eps
        if t == 1:
            costs = [-log_normal(x_0, model_mean(case, 1, x_t, eps + e), case.beta[0]) for e in (1.0, 0.0)]
        else:
            costs = [true_term(case, t, x_0, x_t, eps + e, variance) for e in (1.0, 0.0)]
        return (costs[0] - costs[1]) / case.d

    @staticmethod
    def exact(claimed, case, evidence):
        for variance in VARIANCES:
            steps = np.arange(1 if variance == "beta" else 2, case.T + 1)
            truth = np.array([Weight.growth(case, t, variance) for t in steps])
            close_in_nats(evidence, f"w_t, {variance}", claimed.elbo.weight(case.schedule, steps, variance), truth)
            one = claimed.elbo.weight(case.schedule, case.t, variance)
            close_in_nats(evidence, f"w at one t, {variance}", one, truth[case.t - steps[0]])
        # with the variance beta_tilde a step costs the signal-to-noise ratio that it loses, times |x_0 - x_0_hat|^2 / 2
        snr = np.array([case.alpha_bar(t) / (1 - case.alpha_bar(t)) for t in range(1, case.T + 1)])
        lost = claimed.elbo.weight(case.schedule, np.arange(2, case.T + 1), "posterior") * snr[1:] * 2
        close_in_nats(evidence, "SNR_{t-1} - SNR_t", lost, snr[:-1] - snr[1:])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0 = case.t, np.array(case.x_0)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        signal, var_t = marginal(case.beta, t)
        eps = (x[t] - signal * x_0) / math.sqrt(var_t)
        right, wrong = model_mean(case, t, x[t], eps), model_mean(case, t, x[t], eps + 1.0)
        _, var = posterior(case, t, x_0, x[t])
        shift = float((wrong - right).flat[0])  # the same everywhere: means are linear in eps_hat
        for variance in VARIANCES:
            var_p = model_var(case, t, variance)
            # the log-ratio is linear in the residual around the right mean, so it is normal
            growth = log_normal(x[t - 1], right, var_p) - log_normal(x[t - 1], wrong, var_p)
            claim = case.d * claimed.elbo.weight(case.schedule, t, variance)
            trial.mean(f"growth of -E log p, {variance}", growth, claim, case.d * var * shift**2 / var_p**2)


@identity(
    "elbo.simple_loss",
    judges="elbo.simple_loss",
    states=r"L_{\text{simple}} = \mathbb{E}_{t \sim U\{1, \ldots, T\},\, \epsilon}"
    r"\left\Vert\epsilon - \hat\epsilon(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)\right\Vert^2",
    source="Ho, Jain & Abbeel (2020), eq. 14",
    statistics=2,
    coincides="At T = 1000 one step that is never drawn changes the loss by a thousandth. Mean and sum over the"
    " coordinates agree for d = 1.",
)
class SimpleLoss:
    """A denoiser that knows x_0 finds the noise again only if rates and t are right.

    Errors of size sqrt(t) put on top of it then tell which t was drawn. One that answers 0 leaves the noise itself, and
    its squared length is chi-square.
    """

    @staticmethod
    def reveals(case, scale):
        """Return a denoiser that knows x_0 and errs by sqrt(t / scale) in each coordinate."""

        def denoiser(x_t, t):
            return knows(case, np.array(case.x_0))(x_t, t) + np.sqrt(np.asarray(t) / scale)[..., None]

        return denoiser

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0 = np.random.default_rng(case.T), np.array(case.x_0)
        loss = claimed.elbo.simple_loss(case.schedule, knows(case, x_0, 0.5), case.repeat(x_0, 50), rng)
        evidence.close("loss of a constant error", loss, np.full(50, 0.25 * case.d), 1e-10)  # eps is found by division
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, 1.0), case.repeat(x_0, 1000), rng)
        # The chance that a right loss leaves a step out is below 8 (7/8)^1000 = 1e-57.
        drawn = np.unique(np.round(np.asarray(loss) / case.d, 6))
        evidence.true("the steps drawn are 1..T", np.array_equal(drawn, np.arange(1, case.T + 1)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many, T, d = case.repeat(case.x_0, trial.n), case.T, case.d
        zero = claimed.elbo.simple_loss(case.schedule, lambda x_t, t: np.zeros_like(x_t), many, trial.rng)
        trial.quadratic("E |eps|^2", zero, d, np.zeros(d), np.ones(d))
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, T), many, trial.rng)
        trial.bounded("E t / T", loss / d, (T + 1) / (2 * T), (T**2 - 1) / (12 * T**2), span=1.0)
