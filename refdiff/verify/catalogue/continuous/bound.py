r"""Identities of the bound in continuous time: an integral over log SNR, which is a difference of informations.

Entropies on a grid give the integral without any loss in it. For normal data the squared errors at the nodes of a
quadrature are sampled, and their weighted sum is a quadratic form.
"""

import math

import numpy as np

from refdiff.verify.catalogue.continuous.processes import (
    Blend,
    Process,
    along,
    instants,
    line,
    normal,
    one_process,
    processes,
)
from refdiff.verify.catalogue.elbo.models import close_in_nats
from refdiff.verify.identity import identity

FAR = 1e9  # an x_0 that far out, beside which noise is nothing


@identity(
    "continuous.diffusion_loss",
    judges="continuous.diffusion_loss",
    states=r"L_\infty = \tfrac12\,\mathbb{E}\int_{\lambda(u)}^{\lambda(s)}"
    r" \Vert\epsilon - \hat\epsilon(x_r, r)\Vert^2\,d\lambda, \qquad \lambda = \log\mathrm{SNR}(r)",
    source="Kingma et al. (2021), section 5",
    statistics=4,
    coincides="An estimate at uniform r is right too, with the weight -lambda'(r).",
)
class DiffusionLoss:
    """A denoiser that knows x_0, and errs by a constant, leaves no chance. One that errs by the cosine of lambda tells
    the law of the time drawn, and one that says 0 that of the noise.
    """

    @staticmethod
    def knows(process, x_0, error):
        """Return a denoiser that knows x_0 and errs by error(lambda); and notes what it was asked."""
        notes = {}

        def denoiser(x, s):
            notes["s"], notes["x"] = s, x
            std = np.sqrt(process.v(s))[:, None]
            return (x - process.a(s)[:, None] * x_0) / std + error(process.log_snr(s))[:, None]

        return denoiser, notes

    @staticmethod
    def exact(claimed, case, evidence):
        (s, u), rng, x_0 = instants(case), np.random.default_rng(case.T), case.repeat(case.x_0, 50)
        for process in processes(case):
            denoiser, notes = DiffusionLoss.knows(process, x_0, lambda log_snr: np.full(log_snr.shape, case.slope))
            found = claimed.continuous.diffusion_loss(process, denoiser, x_0, rng, s, u)
            width = process.log_snr(s) - process.log_snr(u)
            truth = np.full(50, width * case.d * case.slope**2 / 2)
            evidence.close(f"{process.name}: an error that is constant", found, truth, tolerance=1e-10)
            r = notes["s"]
            evidence.true(f"{process.name}: times within", ((s <= r) & (r <= u)).all() and np.unique(r).size == 50)
            denoiser, notes = DiffusionLoss.knows(process, FAR * x_0, np.cos)
            claimed.continuous.diffusion_loss(process, denoiser, FAR * x_0, rng, s, u)
            mean = process.a(notes["s"])[:, None] * x_0
            evidence.close(f"{process.name}: x_s from x_0 far out", notes["x"] / FAR, mean, 1e-6)
            # four tenths of all log SNR are lost before s = 1e-6: of 50 times, at least one is there but for 1e-11
            claimed.continuous.diffusion_loss(process, denoiser, x_0, rng, 1e-12, u)
            evidence.true(f"{process.name}: uniform in log SNR, not in time", notes["s"].min() < 1e-6)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), process, x_0 = instants(case), one_process(case), case.repeat(case.x_0, trial.n)
        high, low = process.log_snr(s), process.log_snr(u)
        waves, notes = DiffusionLoss.knows(process, x_0, np.cos)
        found = claimed.continuous.diffusion_loss(process, waves, x_0, trial.rng, s, u)
        r, weights = along(low, high)
        mean, square = (weights @ np.cos(r) ** k / (high - low) for k in (2, 4))
        span = (high - low) * case.d / 2
        trial.bounded("the law of lambda", found, span * mean, span**2 * (square - mean**2), span=span)
        at = notes["s"]
        eps = (notes["x"] - process.a(at)[:, None] * x_0) / np.sqrt(process.v(at))[:, None]
        trial.mean("noise: mean", eps, 0.0, 1.0)
        trial.var("noise: variance", eps, 0.0, 1.0)
        found = claimed.continuous.diffusion_loss(process, lambda x, s: np.zeros_like(x), x_0, trial.rng, s, u)
        h = np.full(case.d, (high - low) / 2)
        trial.quadratic("noise alone", found, h.sum(), np.zeros(case.d), h)


def entropies(law, process, *times):
    """Return the entropy of x_s (d = 1) at each time."""
    return [law.diffused(process, s).entropy() for s in times]


def information(law, process, s):
    """Return I(x_0; x_s) (d = 1): the entropy of x_s less that of its noise."""
    return entropies(law, process, s)[0] - math.log(2 * math.pi * math.e * process.v(s)) / 2


def errors(law, process, high, low, trial):
    """Return the samples of half the weighted sum of squared errors at the nodes of a quadrature over lambda, and h.

    For one normal component per coordinate eps is regressed on x_s, and what is left is normal.
    """
    log_snr, weights = along(low, high)
    mean, var = law.means[0], law.variances[0]
    total, h = 0.0, []
    for at, weight in zip(log_snr, weights):
        s = float(process.time(at))
        a, v = process.a(s), process.v(s)
        eps = trial.rng.standard_normal((trial.n, law.d))
        x_0 = mean + np.sqrt(var) * trial.rng.standard_normal((trial.n, law.d))
        x_s = a * x_0 + math.sqrt(v) * eps
        left = eps - math.sqrt(v) / (a**2 * var + v) * (x_s - a * mean)
        total = total + weight / 2 * np.sum(left**2, axis=1)
        h.append(weight / 2 * a**2 * var / (a**2 * var + v))
    return total, np.concatenate(h)


@identity(
    "continuous.mixture_diffusion_loss",
    judges="continuous.mixture_diffusion_loss",
    states=r"\tfrac12\int_{\lambda(u)}^{\lambda(s)} \mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2\,d\lambda"
    r" = I(x_0; x_s) - I(x_0; x_u)",
    source="Kingma et al. (2021), section 5.1; Guo, Shamai & Verdú (2005), theorem 1",
    statistics=1,
    coincides="Two equations with the same log SNR at both ends give the same number.",
)
class MixtureDiffusionLoss:
    """Informations from entropies on a grid; and squared errors at the nodes of a quadrature, sampled."""

    @staticmethod
    def exact(claimed, case, evidence):
        (s, u), law, process = instants(case), line(case), one_process(case)
        mixture = law.as_mixture(case)
        found = claimed.continuous.mixture_diffusion_loss(process, mixture, s, u)
        truth = information(law, process, s) - information(law, process, u)
        # the tolerance of the integral over lambda
        close_in_nats(evidence, f"{process.name}: information lost", found, truth, tolerance=1e-8)
        vp, _, _ = processes(case)
        steep, truth = Process("VP", vp.low, 2 * vp.high), information(law, vp, s) - information(law, vp, u)
        same = [float(steep.time(vp.log_snr(r))) for r in (s, u)]
        found = claimed.continuous.mixture_diffusion_loss(steep, mixture, *same)
        close_in_nats(evidence, "another schedule with the same ends", found, truth, tolerance=1e-8)
        alone = normal(case)
        alone = Blend([1.0], alone.means[:, :2], alone.variances[:, :2])  # quadrature goes to d = 2
        known = [np.log1p(np.exp(vp.log_snr(r)) * alone.variances).sum() / 2 for r in (s, u)]
        found = claimed.continuous.mixture_diffusion_loss(vp, alone.as_mixture(case), s, u)
        close_in_nats(evidence, "normal data", found, known[0] - known[1], tolerance=1e-8)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), process, law = instants(case), one_process(case), normal(case)
        law = Blend([1.0], law.means[:, :2], law.variances[:, :2])
        claim = claimed.continuous.mixture_diffusion_loss(process, law.as_mixture(case), s, u)
        total, h = errors(law, process, process.log_snr(s), process.log_snr(u), trial)
        trial.quadratic("half the squared errors", total, claim, np.zeros(h.size), h)


@identity(
    "continuous.mixture_bound",
    judges="continuous.mixture_bound",
    states=r"\mathbb{E}\,\mathrm{KL}\left(q(x_u \mid x_0) \Vert p\right) + L_\infty - \mathbb{E}\log p(x_0 \mid x_s)"
    r" \qquad = H[q_s] - d\log a_s + \mathrm{KL}(q_u \Vert p) \qquad \ge H[q_0] + \mathrm{KL}(q_u \Vert p)",
    source="Kingma et al. (2021), sections 3.5 and 5",
    statistics=1,
    coincides="KL(q_u || p) is next to nothing where the noise has won, and with it any slip in that term.",
)
class MixtureBound:
    """All three terms come to entropies, found on a grid; and each of them is sampled, as a quadratic form."""

    @staticmethod
    def exact(claimed, case, evidence):
        (s, u), law, process = instants(case), line(case), one_process(case)
        found = claimed.continuous.mixture_bound(process, law.as_mixture(case), s, u)
        before, after = entropies(law, process, s, u)
        end, prior = law.diffused(process, u), process.prior(1).var[0]
        cross = (math.log(2 * math.pi * prior) + (end.var[0] + end.mean[0] ** 2) / prior) / 2
        truth = before - math.log(process.a(s)) + cross - after
        close_in_nats(evidence, process.name, found, truth, tolerance=1e-8)
        evidence.true(f"{process.name}: at least the entropy", found >= law.entropy())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        (s, u), process, law = instants(case), one_process(case), normal(case)
        law = Blend([1.0], law.means[:, :2], law.variances[:, :2])
        claim = claimed.continuous.mixture_bound(process, law.as_mixture(case), s, u)
        total, h = errors(law, process, process.log_snr(s), process.log_snr(u), trial)
        linear, square = [np.zeros(h.size)], [h]

        a, v, prior = process.a(u), process.v(u), process.prior(law.d).var
        eps, y = trial.rng.standard_normal((2, trial.n, law.d))
        mean, std = law.means[0], np.sqrt(law.variances[0])
        x_u = a * (mean + std * y) + math.sqrt(v) * eps
        total = total + np.sum((np.log(prior / v) - eps**2 + x_u**2 / prior) / 2, axis=1)
        for m, width, var in zip(mean, std, prior):
            row = np.array([math.sqrt(v), a * width])
            values, axes = np.linalg.eigh(np.outer(row, row) / (2 * var) - np.diag([0.5, 0.0]))
            linear.append(axes.T @ row * a * m / var)
            square.append(values)

        eps = trial.rng.standard_normal((trial.n, law.d))  # x_s / a - x_0 in units of its spread
        total = total + np.sum(np.log(2 * math.pi * process.v(s) / process.a(s) ** 2) + eps**2, axis=1) / 2
        linear.append(np.zeros(law.d))
        square.append(np.full(law.d, 0.5))
        trial.quadratic("the whole", total, claim, np.concatenate(linear), np.concatenate(square))
