r"""Identities of score matching: four losses, one minimiser, and the constants between them.

By chance all losses of affine fields are quadratic forms in normals, whose laws are known.
"""

import itertools
import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.weights import judge_weight, judge_weight_by_chance
from refdiff.verify.catalogue.mixture import Even, diffuse, eps_loss_on_a_grid, on_a_grid
from refdiff.verify.catalogue.parameterize import known, near, score_of_paths
from refdiff.verify.catalogue.score.field import points_of
from refdiff.verify.catalogue.score.models import Affine, Normal, at_each_t, form, mixture_score, square
from refdiff.verify.identity import identity
from refdiff.verify.oracles import dense_joint, integrate, marginal, path_weights


def tensor(d, nodes=3):
    """Return nodes (m, d) and weights (m,) of N(0, I): exact for each polynomial of degree 2 nodes - 1 per axis."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.array(list(itertools.product(z, repeat=d)))
    weights = np.array([math.prod(one) for one in itertools.product(w / w.sum(), repeat=d)])
    return grid, weights


@identity(
    "score.explicit_loss",
    judges="score.explicit_loss",
    states=r"F(q, s) = \mathbb{E}_q\Vert s(x) - \nabla \log q(x) \Vert^2, \qquad"
    r" \text{for } q = \mathcal{N}(m, vI),\; s = \nabla\log\mathcal{N}(m', v'I):\qquad"
    r" F(q, s) = d\,v\left(\frac1v - \frac1{v'}\right)^2 + \frac{\Vert m - m' \Vert^2}{v'^2}",
    source="Hyvärinen (2005), eq. 2",
    statistics=1,
    coincides="Mean and sum over coordinates, where d = 1.",
)
class ExplicitLoss:
    """The Fisher divergence of two Gaussians in closed form; the mean over q by Gauss-Hermite sums, exact for it."""

    @staticmethod
    def setting(case):
        q = Normal(case)
        m, v = np.array(case.eps), case.var_p
        kappa = math.sqrt(q.var) * (1 / q.var - 1 / v)
        return q, lambda x, t=None: (m - np.asarray(x)) / v, (m - q.mean) / v, kappa

    @staticmethod
    def exact(claimed, case, evidence):
        q, score, delta, kappa = ExplicitLoss.setting(case)
        z, w = tensor(case.d)
        found = w @ claimed.score.explicit_loss(score, q.score, q.mean + math.sqrt(q.var) * z)
        evidence.close("Fisher divergence", found, case.d * kappa**2 + delta @ delta)
        field, (x, t) = Affine(case), points_of(case)
        truth = [sum(float(a) ** 2 for a in field(x_i, t_i) - score(x_i)) for x_i, t_i in zip(x, t, strict=True)]
        evidence.close("with t", claimed.score.explicit_loss(field, score, x, t), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, score, delta, kappa = ExplicitLoss.setting(case)
        loss = claimed.score.explicit_loss(score, q.score, q.draw(trial.n, trial.rng))
        mean, g, h = square(delta, kappa * np.eye(case.d))
        trial.quadratic("Fisher divergence", loss, mean, g, h)


@identity(
    "score.implicit_loss",
    judges="score.implicit_loss",
    states=r"\mathbb{E}_q\left[\Vert s \Vert^2 + 2 \operatorname{tr}\nabla s\right]"
    r" = \mathbb{E}_q\Vert s - \nabla\log q \Vert^2 - \mathbb{E}_q\Vert \nabla \log q \Vert^2",
    source="Hyvärinen (2005), theorem 1",
    statistics=1,
    coincides="With the factors 1/2 and 1 in place of 1 and 2 it has the same minimiser and half the value.",
)
class ImplicitLoss:
    """Both sides by quadrature over mixture data, with a bent score; and point by point for a field that is affine and
    no gradient. By chance over normal data, where it is a quadratic form.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = diffuse(case, case.s)
        first = weights, means[:, :1], variances[:, :1]
        of_q = np.sqrt(2 * math.pi * variances[:, 0])

        def bent(x, t=None):
            return -0.7 * x + np.sin(2 * x)

        def both(x):
            q = np.exp(-((x[:, None] - means[:, 0]) ** 2) / (2 * variances[:, 0])) / of_q @ weights
            true = mixture_score(x[:, None], *first)[:, 0]
            implicit = claimed.score.implicit_loss(bent, x[:, None])
            return np.stack([q * implicit, q * ((bent(x) - true) ** 2 - true**2)], axis=1)

        found, truth = integrate(both, -9.0, 9.0, points=1801)
        # differences of doubles leave nine digits
        evidence.close("mean over mixture data", found, truth, 1e-8, scale=1 + abs(truth))
        field, (x, t) = Affine(case), points_of(case)
        truth = np.sum(field(x, t) ** 2, axis=1) + 2 * np.trace(field.A)
        near(evidence, "affine, with t", claimed.score.implicit_loss(field, x, t), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, field = Normal(case), Affine(case)
        std, c = math.sqrt(q.var), field(q.mean)
        loss = claimed.score.implicit_loss(field, q.draw(trial.n, trial.rng))
        explicit, _, _ = square(c, std * field.A + np.eye(case.d) / std)  # s - grad log q in units of the noise
        _, g, h = square(c, std * field.A)
        trial.quadratic("implicit = explicit - Fisher information", loss, explicit - case.d / q.var, g, h)


@identity(
    "score.denoising_loss",
    judges="score.denoising_loss",
    states=r"\Vert s(x_t, t) - \nabla_{x_t} \log q(x_t \mid x_0) \Vert^2, \qquad"
    r" \nabla_{x_t} \log q(x_t \mid x_0) = -\frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{1 - \bar\alpha_t}",
    source="Vincent (2011), eq. 9 and 10",
    statistics=1,
    coincides="Where s = 0 the sign of the target does not matter; at 1 - alpha_bar_t = 1 its scale does not.",
)
class DenoisingLoss:
    """The target by finite differences of log q(x_t | x_0) on paths, all t at once. By chance over walks, where with an
    affine field it is a quadratic form.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on, field = known(case), Affine(case)
        truth = np.sum((field(on.x_t, on.t) - score_of_paths(on)) ** 2, axis=1)
        found = claimed.score.denoising_loss(case.schedule, field, on.x_0, on.x_t, on.t)
        at_each_t(evidence, "at all t", found, truth, on.t)
        i = case.t - 1
        one = claimed.score.denoising_loss(case.schedule, field, on.x_0[i], on.x_t[i], case.t)
        near(evidence, "one pair", one, truth[i])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        field, (signal, var) = Affine(case), marginal(case.beta, case.t)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        loss = claimed.score.denoising_loss(case.schedule, field, x[0], x[case.t], case.t)
        c, std = field(signal * np.array(case.x_0), case.t), math.sqrt(var)
        trial.quadratic("mean over q(x_t | x_0)", loss, *square(c, std * field.A + np.eye(case.d) / std))


@identity(
    "score.eps_loss",
    judges="score.denoising_loss",
    states=r"\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 = (1 - \bar\alpha_t)\,"
    r"\Vert s(x_t, t) - \nabla_{x_t} \log q(x_t \mid x_0) \Vert^2, \qquad s = -\hat\epsilon / \sqrt{1 - \bar\alpha_t}",
    source="Ho, Jain & Abbeel (2020), section 3.2; Vincent (2011), section 4",
    statistics=1,
    coincides="At t with 1 - alpha_bar_t near 1 the two losses are one.",
)
class EpsLoss:
    """The noise of a path is known from its steps, and so is how far a denoiser is from it."""

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        var = np.diag(path_weights(case.beta)[1] @ path_weights(case.beta)[1].T)[1:]
        eps_hat = case.denoiser(on.x_t, on.t)
        loss = claimed.score.denoising_loss(case.schedule, lambda x, t: -eps_hat / on.std, on.x_0, on.x_t, on.t)
        # what is judged subtracts signal x_0 from x_t, which costs a digit or two
        evidence.close("(1 - alpha_bar) loss", var * loss, np.sum((on.eps - eps_hat) ** 2, axis=1), 1e-11, at=on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        signal, var = marginal(case.beta, case.t)
        std = math.sqrt(var)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        loss = claimed.score.denoising_loss(
            case.schedule, lambda x, t: -case.denoiser(x, t) / std, x[0], x[case.t], case.t
        )
        law = square(-case.denoiser(signal * np.array(case.x_0), case.t), (1 - case.slope * std) * np.eye(case.d))
        trial.quadratic("(1 - alpha_bar) loss", var * loss, *law)


@identity(
    "score.denoising_gap",
    judges="score.denoising_gap",
    states=r"\mathbb{E}\Vert s - \nabla \log q(x_t \mid x_0) \Vert^2 = \mathbb{E}\Vert s - \nabla \log q(x_t) \Vert^2"
    r" + c_t, \qquad c_t = \frac{d\,\ell^*_t}{1 - \bar\alpha_t}"
    r" = \frac{d}{1 - \bar\alpha_t} - \mathbb{E}\Vert\nabla\log q(x_t)\Vert^2",
    source="Vincent (2011), section 4.2",
    statistics=2,
    coincides="For data at one point it is 0: there the two losses are one.",
)
class DenoisingGap:
    """Both losses by sums over x_0 and x_t of mixture data: for three scores they differ by the same number. With
    normal data of d coordinates all is closed. By chance: along chains, part by part.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        gap = np.asarray(claimed.score.denoising_gap(case.schedule, eps_loss_on_a_grid(case), 1))
        for t in (1, case.t):
            factor, left = marginal(case.beta, t)
            x_0, x_t, joint = on_a_grid(case, 0, t)
            target = -(x_t - factor * x_0) / left
            weights, means, variances = diffuse(case, t)
            true = mixture_score(x_t[:, None], weights, means[:, :1], variances[:, :1])[:, 0]
            for name, s in (("0", 0 * x_t), ("-x", -x_t), ("sin", np.sin(3 * x_t) - 1)):
                denoising = np.sum(joint * (s - target) ** 2)
                explicit = np.sum(joint * (s - true) ** 2)
                # quadrature on both sides
                evidence.close(f"t = {t}, s = {name}", gap[t], denoising - explicit, 1e-9, scale=1 + denoising)
        cov, var_0 = dense_joint(case.beta, 0.0, case.var_q)[1], case.var_q
        start, var = path_weights(case.beta)[0], np.diag(dense_joint(case.beta, 0.0)[1])[1:]
        losses = np.concatenate([[0.0], start[1:] ** 2 * var_0 / np.diag(cov)[1:]])
        truth = np.concatenate([[0.0], case.d * (1 / var - 1 / np.diag(cov)[1:])])  # E|target|^2 - E|score|^2
        found = claimed.score.denoising_gap(case.schedule, losses, case.d)
        evidence.close("normal data", found, truth, at=range(case.T + 1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        even, (factor, left) = Even(case, case.d), marginal(case.beta, case.t)
        claim = claimed.score.denoising_gap(case.schedule, even.eps_loss(), case.d)[case.t]
        even.judge(trial, "E|target - score|^2", claim, 0, case.t, scale=case.d * factor**2 / left**2)


@identity(
    "score.weight_score",
    judges="score.weight_score",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert s(x_t, t) - \nabla\log q(x_t \mid x_0)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t}",
    source="Ho, Jain & Abbeel (2020), eq. 12; Song et al. (2021), section 3.3",
    statistics=3,
    coincides="The weight of eps is the same where 1 - alpha_bar_t is near 1.",
)
class WeightScore:
    """Give the denoiser the true noise plus a known error: what the step pays then, beside what it always pays. The
    error of the score is that of eps over the noise's standard deviation.
    """

    @staticmethod
    def of_eps(claimed, case):
        var = np.diag(dense_joint(case.beta, 0.0)[1])
        return lambda schedule, t, variance: claimed.score.weight_score(schedule, t, variance) / var[t]

    @staticmethod
    def exact(claimed, case, evidence):
        judge_weight(evidence, WeightScore.of_eps(claimed, case), case, "eps")

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_weight_by_chance(trial, WeightScore.of_eps(claimed, case), case, "eps")


def over_signs(loss, field, x, t):
    """Return the mean of a loss over all directions of signs, shape (n,)."""
    signs = itertools.product((-1.0, 1.0), repeat=x.shape[1])
    return np.mean([loss(field, x, np.tile(v, (len(x), 1)), t) for v in signs], axis=0)


@identity(
    "score.sliced_loss",
    judges="score.sliced_loss",
    states=r"\mathbb{E}_v\left[(v \cdot s)^2 + 2\,v^\top \nabla s\,v\right]"
    r" = \Vert s \Vert^2 + 2\operatorname{tr}\nabla s, \qquad \mathbb{E}\,vv^\top = I",
    source='Song et al. (2019), "Sliced score matching", section 3',
    statistics=1,
    coincides="d = 1 and a sign for v: there is nothing to average.",
)
class SlicedLoss:
    """Over all 2^d directions of signs the mean is exact. By chance with normal directions: a quadratic form."""

    @staticmethod
    def exact(claimed, case, evidence):
        field, (x, t) = Affine(case), points_of(case)
        truth = np.sum(field(x, t) ** 2, axis=1) + 2 * np.trace(field.A)
        near(evidence, "mean over signs", over_signs(claimed.score.sliced_loss, field, x, t), truth)
        v = np.array(case.eps)
        truth = (v @ field(x[0])) ** 2 + 2 * v @ field.A @ v
        near(evidence, "one direction, no t", claimed.score.sliced_loss(field, x[0], v), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        field, x = Affine(case), case.repeat(case.x_t, trial.n)
        loss = claimed.score.sliced_loss(field, x, trial.rng.standard_normal(x.shape))
        s = field(x[0])
        _, g, h = form(0 * s, np.outer(s, s) + 2 * field.A)
        trial.quadratic("mean over directions", loss, s @ s + 2 * np.trace(field.A), g, h)


@identity(
    "score.sliced_loss_reduced",
    judges="score.sliced_loss_reduced",
    states=r"\mathbb{E}_v\left[\Vert s \Vert^2 + 2\,v^\top \nabla s\,v\right]"
    r" = \Vert s \Vert^2 + 2\operatorname{tr}\nabla s, \qquad \mathbb{E}\,vv^\top = I",
    source='Song et al. (2019), "Sliced score matching", section 3',
    statistics=1,
    coincides="d = 1: it is the sliced loss.",
)
class SlicedLossReduced:
    """Over all 2^d directions of signs the mean is exact. By chance with normal directions: a quadratic form."""

    @staticmethod
    def exact(claimed, case, evidence):
        field, (x, t) = Affine(case), points_of(case)
        truth = np.sum(field(x, t) ** 2, axis=1) + 2 * np.trace(field.A)
        near(evidence, "mean over signs", over_signs(claimed.score.sliced_loss_reduced, field, x, t), truth)
        v = np.array(case.eps)
        s = field(x[0])
        near(
            evidence,
            "one direction, no t",
            claimed.score.sliced_loss_reduced(field, x[0], v),
            s @ s + 2 * v @ field.A @ v,
        )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        field, x = Affine(case), case.repeat(case.x_t, trial.n)
        loss = claimed.score.sliced_loss_reduced(field, x, trial.rng.standard_normal(x.shape))
        s = field(x[0])
        _, g, h = form(0 * s, 2 * field.A)
        trial.quadratic("mean over directions", loss, s @ s + 2 * np.trace(field.A), g, h)
