r"""Identities of the score as a field: its denoiser, its Jacobian, and Tweedie's formulas."""

import numpy as np

from refdiff.verify.catalogue.mixture import bayes_integral, data, decimal_score, diffuse
from refdiff.verify.catalogue.parameterize import VAR_0, blurred_mixture, known, law, near, score_of_paths, walked
from refdiff.verify.catalogue.score.models import Affine, at_each_t, decimal_hessian, form, moments_given, score_of
from refdiff.verify.identity import identity
from refdiff.verify.oracles import marginal


def points_of(case):
    """Return T points (T, d), one for each t, and t (T,)."""
    return np.array(case.x_t) + 0.1 * np.arange(case.T)[:, None], np.arange(1, case.T + 1)


def of_normal_data(case):
    """Return the score of q(x_t) for data N(case.x_0, VAR_0), t = case.t, and the moments of x_0 given x_t.

    That is: the score, the variance of x_t, E[x_0 | x_t] as a function of x_t, and Var[x_0 | x_t].
    """
    signal, left = marginal(case.beta, case.t)
    var, x_0 = signal**2 * VAR_0 + left, np.array(case.x_0)

    def score(x_t, t):
        return (signal * x_0 - np.asarray(x_t)) / var

    return score, var, lambda x_t: x_0 + VAR_0 * signal / var * (x_t - signal * x_0), VAR_0 * left / var


@identity(
    "score.from_denoiser",
    judges="score.from_denoiser",
    states=r"s(x_t, t) = -\frac{\hat\epsilon(x_t, t)}{\sqrt{1 - \bar\alpha_t}}, \qquad"
    r" \hat\epsilon = \mathbb{E}[\epsilon \mid x_t] \;\Longrightarrow\; s = \nabla_{x_t} \log q(x_t)",
    source="Vincent (2011), eq. 9; Song et al. (2021), section 3",
    statistics=4,
    coincides="As alpha_bar_t goes to 0 the scale goes to 1; the sign does not become harmless.",
)
class FromDenoiser:
    """A denoiser that knows the noise must become the derivative of log q(x_t | x_0), and the ideal one, by quadrature,
    that of log q(x_t). By chance: the law of the score given x_0, and its sign.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        score = claimed.score.from_denoiser(case.schedule, lambda x_t, t: on.eps)
        at_each_t(evidence, "score of q(x_t | x_0)", score(on.x_t, on.t), score_of_paths(on), on.t)
        x_t, _, eps, truth = blurred_mixture(case)
        score = claimed.score.from_denoiser(case.schedule, lambda x_t, t: eps)
        near(evidence, "score of q(x_t)", score(x_t, case.t), truth)
        asked = []
        score = claimed.score.from_denoiser(case.schedule, lambda x_t, t: asked.append((x_t, t)) or on.eps)
        score(on.x_t, on.t)
        evidence.true("the denoiser is asked once", len(asked) == 1)
        evidence.close("at x_t", asked[0][0], on.x_t)
        evidence.close("and at t", asked[0][1], on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score = claimed.score.from_denoiser(case.schedule, lambda x_t, t: on.eps)(on.x_t, on.t)
        law(trial, "score", score, on, case, of_x_0=0.0, of_eps=-1 / on.std)


@identity(
    "score.to_denoiser",
    judges="score.to_denoiser",
    states=r"\hat\epsilon(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;s(x_t, t), \qquad"
    r" s = \nabla_{x_t} \log q(x_t) \;\Longrightarrow\; \hat\epsilon = \mathbb{E}[\epsilon \mid x_t]",
    source="Vincent (2011), eq. 9",
    statistics=4,
    coincides="As alpha_bar_t goes to 0 the scale goes to 1.",
)
class ToDenoiser:
    """Made of finite differences of log q(x_t | x_0), the denoiser must say the noise of the path; of those of
    log q(x_t), the expected noise by quadrature.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        on = known(case)
        denoiser = claimed.score.to_denoiser(case.schedule, lambda x_t, t: score_of_paths(on))
        at_each_t(evidence, "eps", denoiser(on.x_t, on.t), on.eps, on.t)
        x_t, _, eps, score = blurred_mixture(case)
        denoiser = claimed.score.to_denoiser(case.schedule, lambda x_t, t: score)
        near(evidence, "E[eps | x_t]", denoiser(x_t, case.t), eps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score = (on.signal * on.x_0 - on.x_t) / on.std**2  # of a normal density
        eps = claimed.score.to_denoiser(case.schedule, lambda x_t, t: score)(on.x_t, on.t)
        law(trial, "eps", eps, on, case, of_x_0=0.0, of_eps=1.0)


@identity(
    "score.jacobian",
    judges="score.jacobian",
    states=r"J_{ij} = \frac{\partial s_i}{\partial x_j}, \qquad"
    r" J_{ij} = \mathbb{E}_{z \sim \mathcal{N}(0, I)}[s_i(z)\,z_j] \;\text{for an affine field}",
    source="the definition; by chance, Stein (1981), lemma 2",
    statistics=2,
    coincides="The Jacobian of a gradient is symmetric: there it equals its transpose.",
)
class Jacobian:
    """An affine field that is no gradient, at points with a t each; and the score of mixture data, against second
    derivatives in fifty digits. By chance: Stein's lemma, a quadratic form in normals.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        field, (x, t) = Affine(case), points_of(case)
        # differences of doubles leave ten digits, and seven where the density is narrow beside the step
        found = claimed.score.jacobian(field, x, t)
        evidence.close("affine", found, np.tile(field.A, (case.T, 1, 1)), 1e-9)
        evidence.close("affine, one point, no t", claimed.score.jacobian(field, x[0]), field.A, 1e-9)
        law = diffuse(case, case.t)
        found = claimed.score.jacobian(score_of(case), x[:2], case.t)
        near_seven = np.array([decimal_hessian(one, *law) for one in x[:2]])
        evidence.close("mixture", found, near_seven, 1e-7)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        field, last = Affine(case), case.d - 1
        J = np.asarray(claimed.score.jacobian(field, np.array(case.x_t)))
        z = trial.rng.standard_normal((trial.n, case.d))
        for i, j in dict.fromkeys([(0, last), (last, 0)]):  # one entry where d = 1
            axis = np.eye(case.d)[j]
            _, g, h = form(field.b[i] * axis, np.outer(field.A[i], axis))
            trial.quadratic(f"E s_{i} z_{j}", field(z)[:, i] * z[:, j], J[i, j], g, h)


@identity(
    "score.tweedie",
    judges="score.tweedie",
    states=r"\mathbb{E}[x_0 \mid x_t]"
    r" = \frac{x_t + (1 - \bar\alpha_t)\,\nabla_{x_t}\log q(x_t)}{\sqrt{\bar\alpha_t}}",
    source="Robbins (1956); Efron (2011), eq. 1.4",
    statistics=3,
    coincides="As alpha_bar_t goes to 1 it is x_t, with or without the rescaling; variance and standard deviation are"
    " alike where 1 - alpha_bar_t is near 1.",
)
class Tweedie:
    """Mixture data, at all t at once: the score in fifty digits, the mean of x_0 by Bayes' integral. By chance, with
    normal data: the residual of x_0 is normal and orthogonal to x_t.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, t = points_of(case)
        score = np.array([decimal_score(one, *diffuse(case, s)) for one, s in zip(x, t, strict=True)])
        truth = np.array([bayes_integral(data(case), *marginal(case.beta, s), one)[1] for one, s in zip(x, t)])
        found = claimed.score.tweedie(case.schedule, lambda x_t, t: score, x, t)
        at_each_t(evidence, "E[x_0 | x_t]", found, truth, t)
        one = claimed.score.tweedie(case.schedule, lambda x_t, t: score[case.t - 1], x[case.t - 1], case.t)
        near(evidence, "E[x_0 | x_t], one point", one, truth[case.t - 1])
        on = known(case)
        found = claimed.score.tweedie(case.schedule, lambda x_t, t: score_of_paths(on), on.x_t, on.t)
        at_each_t(evidence, "x_0, data at one point", found, on.x_0, on.t)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score, _, _, left = of_normal_data(case)
        mean = claimed.score.tweedie(case.schedule, score, on.x_t, on.t)
        trial.conditional("x_0 given x_t", on.x_0, mean, left, x_t=on.x_t)


@identity(
    "score.tweedie_cov",
    judges="score.tweedie_cov",
    states=r"\operatorname{Cov}[x_0 \mid x_t] = \frac{1 - \bar\alpha_t}{\bar\alpha_t}"
    r" \left(I + (1 - \bar\alpha_t)\,\nabla^2_{x_t} \log q(x_t)\right)",
    source="Efron (2011), section 2; Meng et al. (2021), theorem 1",
    statistics=1,
    coincides="Without the Hessian it is right where the data say nothing, q(x_0) flat beside q(x_t | x_0).",
)
class TweedieCov:
    """Mixture data, at all t at once: second derivatives of log q(x_t) in fifty digits, the covariance of x_0 by Bayes'
    integral, off the diagonal too. By chance, with normal data: the residual of x_0 has that variance.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, t = points_of(case)
        hessian = np.array([decimal_hessian(one, *diffuse(case, s)) for one, s in zip(x, t, strict=True)])
        truth = np.array([moments_given(data(case), *marginal(case.beta, s), one)[1] for one, s in zip(x, t)])
        cov, score = claimed.score.tweedie_cov, score_of(case)
        found = cov(case.schedule, score, x, t, hessian=lambda x_t, t: hessian)
        at_each_t(evidence, "Cov[x_0 | x_t]", found, truth, t)
        one = cov(case.schedule, score, x[0], 1, hessian=lambda x_t, t: hessian[0])
        near(evidence, "Cov[x_0 | x_t], one point", one, truth[0])
        # by differences of the score: ten digits, amplified where little signal is left
        scale = 1 + 1 / min(marginal(case.beta, s)[0] ** 2 for s in t)
        evidence.close("Cov[x_0 | x_t], Hessian by differences", cov(case.schedule, score, x, t), truth, 1e-7, scale)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        on = walked(case, trial)
        score, var, mean, _ = of_normal_data(case)
        hessian = np.diag(np.full(case.d, -1 / var))
        cov = claimed.score.tweedie_cov(
            case.schedule, score, np.array(case.x_t), case.t, hessian=lambda x_t, t: hessian
        )
        trial.var("Var[x_0 | x_t]", on.x_0, mean(on.x_t), np.diag(cov))
