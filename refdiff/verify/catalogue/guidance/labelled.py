r"""Identities of labelled mixtures: classes, their laws, what a noisy point says of them, and how that changes."""

import math
from decimal import localcontext

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.guidance.models import (
    LABELS,
    decimal_gradient,
    decimal_log_class,
    labelled,
    leaned,
    pulls,
)
from refdiff.verify.catalogue.mixture import (
    DRAWS,
    FIFTY_DIGITS,
    average_out,
    bayes_integral,
    chains,
    chances,
    decimal_log_mixture,
    diffuse,
    directions,
    given_component,
    side,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import integrate, marginal

CLASSES = (0, 1)


def far(case):
    """Return points where a class is nearly certain, and so far out that one is impossible: digits are lost there."""
    return np.array([np.multiply(case.x_0, -4.0), np.multiply(case.eps, 4.0), np.full(case.d, 40.0)])


def class_chains(case, y, trial):
    """Return the components (n,) and the forward chains (T + 1, n, d) of one class."""
    data = labelled(case)
    k, x_0 = data.given(y).draw(trial.n, trial.rng)
    return k, walk(case.schedule, x_0, trial.rng)


@identity(
    "guidance.probabilities",
    judges=("guidance.LabelledMixture.probabilities", "guidance.LabelledMixture.classes"),
    states=r"p(y) = \sum_{k:\,y_k = y} w_k, \qquad \sum_y p(y) = 1",
    source="Bishop (2006), section 4.2, for the definition",
    statistics=2,
    coincides="Components of one weight, as many in each class.",
)
class Probabilities:
    """The sum over the components of a class; by chance, how often each label is drawn."""

    @staticmethod
    def exact(claimed, case, evidence):
        data = labelled(case)
        found = data.claim(claimed, case)
        evidence.close("p(y)", found.probabilities, [data.probability(y) for y in CLASSES])
        evidence.close("classes", list(found.classes), CLASSES)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data = labelled(case)
        y, _ = data.draw(trial.n, trial.rng)
        for one, p in zip(CLASSES, data.claim(claimed, case).probabilities, strict=True):
            trial.bounded(f"label {one}", (y == one) * 1.0, p, p * (1 - p), span=1.0)


@identity(
    "guidance.given",
    judges="guidance.LabelledMixture.given",
    states=r"p(x \mid y) = \sum_{k:\,y_k = y} \frac{w_k}{p(y)}\,\mathcal{N}(x; m_k, v_k), \qquad"
    r" p(x) = \sum_y p(y)\,p(x \mid y)",
    source="Bishop (2006), section 4.2, for the definition",
    statistics=4,
    coincides="A class of one component.",
)
class Given:
    """The density that is asked for, summed in fifty digits, and its mass; by chance, the waves of draws of a class."""

    @staticmethod
    def exact(claimed, case, evidence):
        data, x = labelled(case), np.array([case.x_0, case.x_t, np.zeros(case.d)])
        for y in CLASSES:
            own, law = np.array(LABELS) == y, data.claim(claimed, case).given(y)
            parts = data.law.weights[own] / data.probability(y), data.law.means[own], data.law.variances[own]
            truth = np.array([float(decimal_log_mixture(one, *parts)) for one in x])
            evidence.close(f"log p(x | {y})", law.log_density(x), truth, scale=1 + np.abs(truth).max())
            line = claimed.mixture.GaussianMixture(law.weights, law.means[:, :1], law.variances[:, :1])
            mass = integrate(lambda x, line=line: np.exp(line.log_density(x[:, None])), -20.0, 20.0)
            evidence.close(f"mass of class {y}", mass, 1.0, tolerance=1e-10)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data = labelled(case)
        drawn, x = data.draw(trial.n, trial.rng)
        for y in CLASSES:
            law = data.claim(claimed, case).given(y)
            u = directions(case)[0]
            trial.mixture(f"class {y}", x[drawn == y] @ u, law.weights, law.means @ u, law.variances @ u**2)


@identity(
    "guidance.labelled_sample",
    judges="guidance.LabelledMixture.sample",
    states=r"k \sim w, \quad y = y_k, \quad x = m_k + \sqrt{v_k}\,z \quad\Longrightarrow\quad"
    r" y \sim p(y), \quad x \mid y \sim p(x \mid y)",
    source="Bishop (2006), section 8.1.2",
    statistics=5,
    coincides="Classes as likely as one another, where drawing the class evenly is right.",
)
class LabelledSample:
    """Components so narrow that the nearest is a point's own: the label has to be its. By chance, how often a label is
    drawn, and the waves of the points that have it.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        law = labelled(case).law
        narrow = type(case.mixture)(law.weights, law.means, 1e-12 * law.variances)
        x, y = claimed.guidance.LabelledMixture(narrow, LABELS).sample(DRAWS, np.random.default_rng(case.T))
        evidence.close("number of points", len(x), DRAWS)
        k = np.argmin(((x[:, None] - law.means) ** 2).sum(axis=-1), axis=1)
        evidence.true("every component occurs", set(k) == {0, 1, 2})
        evidence.close("labels", y, np.array(LABELS)[k])
        evidence.close("points", x, law.means[k], tolerance=1e-4)
        z = (x - law.means[k]) / np.sqrt(1e-12 * law.variances[k])
        wide = type(case.mixture)(law.weights, law.means, 1e-10 * law.variances)
        again, _ = claimed.guidance.LabelledMixture(wide, LABELS).sample(DRAWS, np.random.default_rng(case.T))
        # a residual of 1e-6 beside a mean of 1 keeps ten digits
        evidence.close("x - m_k for other variances", again - law.means[k], 1e-5 * np.sqrt(law.variances[k]) * z, 1e-7)
        rare = type(case.mixture)([1 - 2e-12, 2e-12, 0.0], law.means, law.variances)
        _, y = claimed.guidance.LabelledMixture(rare, LABELS).sample(DRAWS, np.random.default_rng(case.T))
        evidence.true("a class of probability 2e-12 is not drawn", (y == 0).all())  # but once in 1e9 runs

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data = labelled(case)
        x, y = data.claim(claimed, case).sample(trial.n, trial.rng)
        p = data.probability(0)
        trial.bounded("label 0", (y == 0) * 1.0, p, p * (1 - p), span=1.0)
        for one in CLASSES:
            law, u = data.given(one), directions(case)[0]
            trial.mixture(f"class {one}", x[y == one] @ u, law.weights, law.means @ u, law.variances @ u**2)


@identity(
    "guidance.log_probability",
    judges="guidance.LabelledMixture.log_probability",
    states=r"p(y \mid x_t) = \frac{p(y)\,p(x_t \mid y)}{\sum_{y'} p(y')\,p(x_t \mid y')}",
    source="Bishop (2006), eq. 4.62",
    statistics=3,
    coincides="Classes as likely as one another, where their probabilities cancel; t = 0, where nothing is diffused.",
)
class LogProbability:
    """Bayes' rule in fifty digits, to the last of them where a class is certain or impossible; by chance, labels of
    chains are as frequent as is claimed of where they are, however sure that is.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        data = labelled(case).claim(claimed, case)
        x = np.array([case.x_0, case.x_t, case.eps, *far(case)])
        for t in (0, case.s, case.T):
            found = data.log_probability(case.schedule, x, t)
            with localcontext(FIFTY_DIGITS):
                truth = [[float(decimal_log_class(one, y, *diffuse(case, t))) for y in CLASSES] for one in x]
            # relative to each entry by itself, tiny or huge: what x^2 / v rounds off is in the exponent of a tiny one
            evidence.close(f"log p(y | x_t) at t = {t}", *relative(found, np.array(truth)), tolerance=1e-10)
        steps, x_t = np.arange(1, case.T + 1), np.tile(case.x_t, (case.T, 1))
        truth = [[float(decimal_log_class(case.x_t, y, *diffuse(case, t))) for y in CLASSES] for t in steps]
        evidence.close("log p(y | x_t), one t per point", data.log_probability(case.schedule, x_t, steps), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, is_0 = x[case.t], np.array(LABELS)[k] == 0
        p = np.exp(labelled(case).claim(claimed, case).log_probability(case.schedule, x_t, case.t)[:, 0])
        known = {"": np.ones_like(p), " times how sure": 2 * p - 1, " times side": side(x_t @ directions(case)[0])}
        for name, weight in known.items():
            trial.bounded(f"label 0{name}", weight * (is_0 - p), 0.0, np.mean(weight**2 * p * (1 - p)), span=1.0)


def relative(found, truth):
    """Return found / truth and 1, so that tiny entries count like others; where both have underflown, 1."""
    gone = (np.abs(found) < 1e-300) & (np.abs(truth) < 1e-300)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(gone, 1.0, found / truth), np.ones_like(truth)


@identity(
    "guidance.denoiser",
    judges="guidance.LabelledMixture.denoiser",
    states=r"\epsilon^*(x_t, t, y) = \mathbb{E}[\epsilon \mid x_t, y], \qquad"
    r" \epsilon^*(x_t, t) = \mathbb{E}[\epsilon \mid x_t] = \sum_y p(y \mid x_t)\,\epsilon^*(x_t, t, y)",
    source="Ho & Salimans (2022), section 3.2; Vincent (2011)",
    statistics=4,
    coincides="Where x_t leaves no doubt of its class, that class's denoiser is the one without a label.",
)
class Denoiser:
    """E[x_0 | x_t] of a class by quadrature; by chance, an average over which of its components x_t came from."""

    @staticmethod
    def exact(claimed, case, evidence):
        data, steps = labelled(case), np.arange(1, case.T + 1)
        x_t = np.tile(case.x_t, (case.T, 1))
        claim = data.claim(claimed, case)
        for name, law, found in (
            ("all", data.law, claim.denoiser(case.schedule)),
            *((f"class {y}", data.given(y), claim.denoiser(case.schedule, y)) for y in CLASSES),
        ):
            eps_hat = found(x_t, steps)
            for t in steps:
                factor, left = marginal(case.beta, t)
                _, origin, _ = bayes_integral((law.weights, law.means, law.variances), factor, left, x_t[0])
                truth = (x_t[0] - factor * origin) / math.sqrt(left)
                evidence.close(f"{name}: E[eps | x_t] at t = {t}", eps_hat[t - 1], truth, tolerance=1e-10, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        data, (factor, left) = labelled(case), marginal(case.beta, case.t)
        claim = data.claim(claimed, case)
        (k, x), (own, path) = chains(case, trial), class_chains(case, 0, trial)
        for name, law, drawn, x_t, found in (
            ("all", data.law, k, x[case.t], claim.denoiser(case.schedule)),
            ("class 0", data.given(0), own, path[case.t], claim.denoiser(case.schedule, 0)),
        ):
            parts = law.weights, law.means, law.variances
            each = (x_t[:, None] - factor * given_component(parts, factor, left, x_t)) / math.sqrt(left)
            eps_hat = found(x_t, case.t)
            u = directions(case)[0]
            average_out(trial, f"{name}: eps", each @ u, drawn, eps_hat @ u, known=side(x_t @ u))


@identity(
    "guidance.classifier_score",
    judges="guidance.LabelledMixture.classifier_score",
    states=r"\nabla_{x_t} \log p(y \mid x_t) = \nabla_{x_t} \log p(x_t \mid y) - \nabla_{x_t} \log p(x_t)"
    r" \qquad = p(\text{not } y \mid x_t)\left[\nabla_{x_t} \log p(x_t \mid y)"
    r" - \nabla_{x_t} \log p(x_t \mid \text{not } y)\right]",
    source="Dhariwal & Nichol (2021), section 4.2, where it is asked for; the definition",
    statistics=4,
    coincides="Where p(y | x_t) is stationary, on the way from certain to certain.",
)
class ClassifierScore:
    """Differences of log p(y | x_t) in fifty digits, also where the class is nearly certain and the gradient tiny; by
    chance, an average over where x_t may come from.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        data = labelled(case).claim(claimed, case)
        x = np.array([case.x_0, case.x_t, case.eps, *far(case)[:2]])
        for y in CLASSES:
            found = data.classifier_score(case.schedule, y)
            for t in (0, case.s, case.T):
                law = diffuse(case, t)
                truth = [decimal_gradient(lambda x, law=law, y=y: decimal_log_class(x, y, *law), one) for one in x]
                for one, gradient, true in zip(x, found(x, t), truth, strict=True):
                    at = f"class {y}, t = {t}, at {np.round(one, 3)}"
                    # what cancels between the pulls of two classes, each of this size
                    pull = np.abs((law[1] - one) / law[2]).max()
                    size = min(1.0, 10 * np.abs(true).max())
                    evidence.close(at, gradient, true, tolerance=1e-10, scale=pull * size)
        steps, x_t = np.arange(1, case.T + 1), np.tile(case.x_t, (case.T, 1))
        truth = [decimal_gradient(lambda x, t=t: decimal_log_class(x, 1, *diffuse(case, t)), case.x_t) for t in steps]
        found = data.classifier_score(case.schedule, 1)(x_t, steps)
        evidence.close("one t per point", found, truth, tolerance=1e-10, scale=1 + np.abs(truth).max(), at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, law = x[case.t], diffuse(case, case.t)
        y, chance = 1, chances(x_t, *law)
        found = labelled(case).claim(claimed, case).classifier_score(case.schedule, y)(x_t, case.t)
        for i, u in enumerate(directions(case)):
            each = pulls(x_t, *law) @ u
            lean = leaned(each, x_t, law, y, 0.0) - each
            average_out(trial, f"direction {i + 1}", lean, k, found @ u, side(x_t @ u), chance)
