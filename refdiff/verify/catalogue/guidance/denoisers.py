r"""Identities of guided denoisers: what is combined with which weights, and that both ways are one if all is exact."""

import math

import numpy as np

from refdiff.verify.catalogue.guidance.models import (
    WEIGHTS,
    decimal_gradient,
    decimal_log_tilted,
    leaned,
    pulls,
    strength,
)
from refdiff.verify.catalogue.mixture import average_out, chains, chances, diffuse, directions, side
from refdiff.verify.identity import identity
from refdiff.verify.oracles import marginal

Y = 1  # the class that is asked for


def fields(case):
    """Return points (T, d) with a step t each, and two fields that are no gradients."""
    steps = np.arange(1, case.T + 1)
    x = np.tile(case.x_t, (case.T, 1)) * (1 + steps[:, None] / 10)

    def one(x_t, t):
        return case.slope * x_t + case.intercept + np.asarray(t)[..., None] / 5

    def other(x_t, t):
        return np.tanh(x_t) - np.array(case.eps) * np.asarray(t)[..., None]

    return x, steps, one, other


def asked_once(evidence, what, field, x, t):
    """Return a field that notes what it is asked, and a function that records whether that was x and t, once."""
    asked = []

    def noted(x_t, s):
        asked.append((x_t, s))
        return field(x_t, s)

    def judge():
        evidence.true(f"{what} is asked once", len(asked) == 1)
        evidence.close(f"{what}: x_t", asked[0][0], x)
        evidence.close(f"{what}: t", asked[0][1], t)

    return noted, judge


def guided_truth(case, t, w, x):
    """Return -sqrt(1 - alpha_bar_t) times the gradient of log[p(x_t) p(y | x_t)^(1 + w)] in fifty digits."""
    law = diffuse(case, t)
    gradient = decimal_gradient(lambda x: decimal_log_tilted(x, Y, w, *law), x)
    return -math.sqrt(marginal(case.beta, t)[1]) * gradient


class Ideal:
    """The ideal denoisers of mixture data, and the gradient of the ideal classifier, by Bayes' sums."""

    def __init__(self, case):
        self.case = case

    def mean(self, w, x_t, t):
        """Return (1 + w) E[eps | x_t, y] - w E[eps | x_t], for one t or one per point."""
        t = np.broadcast_to(t, x_t.shape[:-1])
        out = np.empty_like(x_t)
        for s in set(t.ravel().tolist()):
            here, law = t == s, diffuse(self.case, s)
            each, chance = pulls(x_t[here], *law), chances(x_t[here], *law)
            for i in range(x_t.shape[-1]):
                lean = leaned(each[..., i], x_t[here], law, Y, w)
                out[here, i] = -math.sqrt(marginal(self.case.beta, s)[1]) * np.sum(chance * lean, axis=1)
        return out

    def conditional(self, x_t, t):
        return self.mean(0.0, x_t, t)

    def unconditional(self, x_t, t):
        return self.mean(-1.0, x_t, t)

    def classifier_score(self, x_t, t):
        left = np.array([marginal(self.case.beta, s)[1] for s in np.atleast_1d(t)])
        left = left[0] if np.ndim(t) == 0 else left[:, None]
        return (self.unconditional(x_t, t) - self.conditional(x_t, t)) / np.sqrt(left)


def guided_by_chance(trial, case, what, w, guided, ways=2):
    """Judge a guided denoiser of mixture data along chains: an average over where x_s came from, leaned on the class.

    It is asked at the earlier step, where the noise is far from 1.
    """
    k, x = chains(case, trial)
    x_t, law = x[case.s], diffuse(case, case.s)
    eps_hat, chance = guided(x_t, case.s), chances(x_t, *law)
    for i, u in enumerate(directions(case)[:ways]):
        each = -math.sqrt(marginal(case.beta, case.s)[1]) * pulls(x_t, *law) @ u
        lean = leaned(each, x_t, law, Y, w)
        average_out(trial, f"{what}, direction {i + 1}", lean, k, eps_hat @ u, side(x_t @ u), chance)


@identity(
    "guidance.classifier_free",
    judges="guidance.classifier_free",
    states=r"\tilde\epsilon(x_t, t) = (1 + w)\,\hat\epsilon(x_t, t, y) - w\,\hat\epsilon(x_t, t), \qquad"
    r" \epsilon^*:\; \tilde\epsilon = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t}"
    r" \log\left[p(x_t)\,p(y \mid x_t)^{1 + w}\right]",
    source="Ho & Salimans (2022), eq. 6",
    statistics=4,
    coincides="w = 0, but for conventions that count from 1; wherever the two denoisers agree.",
)
class ClassifierFree:
    """Two fields that have nothing to do with each other, each asked once; and the ideal denoisers of a mixture, whose
    combination is a gradient, in fifty digits. By chance, an average over where x_t may come from.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, steps, one, other = fields(case)
        for w in WEIGHTS:
            conditional, judge_one = asked_once(evidence, f"conditional, w = {w}", one, x, steps)
            unconditional, judge_other = asked_once(evidence, f"unconditional, w = {w}", other, x, steps)
            found = claimed.guidance.classifier_free(conditional, unconditional, w)(x, steps)
            truth = one(x, steps) + w * (one(x, steps) - other(x, steps))
            evidence.close(f"w = {w}", found, truth, at=steps)
            judge_one()
            judge_other()
        ideal, w, t = Ideal(case), strength(case), case.t
        guided = claimed.guidance.classifier_free(ideal.conditional, ideal.unconditional, w)
        truth = guided_truth(case, t, w, case.x_t)
        found = guided(np.array([case.x_t]), t)[0]
        evidence.close("mixture", found, truth, tolerance=1e-10, scale=1 + np.abs(truth).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        ideal, w = Ideal(case), strength(case)
        guided = claimed.guidance.classifier_free(ideal.conditional, ideal.unconditional, w)
        guided_by_chance(trial, case, "guided eps", w, guided)


@identity(
    "guidance.classifier",
    judges="guidance.classifier",
    states=r"\tilde\epsilon(x_t, t) = \hat\epsilon(x_t, t)"
    r" - w\,\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log p(y \mid x_t), \qquad"
    r" \epsilon^*(x_t, t):\; w = 1 \text{ gives } \epsilon^*(x_t, t, y)",
    source="Dhariwal & Nichol (2021), eq. 14",
    statistics=8,
    coincides="Where the classifier's gradient is 0; as alpha_bar_t goes to 0 its scale goes to 1.",
)
class Classifier:
    """Two fields that have nothing to do with each other, each asked once; and the ideal denoiser of a mixture with the
    gradient of its exact classifier, of weight 1 and of another one, in fifty digits and by chance.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x, steps, one, other = fields(case)
        std = np.sqrt([marginal(case.beta, t)[1] for t in steps])[:, None]
        for w in WEIGHTS:
            denoiser, judge_one = asked_once(evidence, f"denoiser, w = {w}", one, x, steps)
            gradient, judge_other = asked_once(evidence, f"classifier_score, w = {w}", other, x, steps)
            found = claimed.guidance.classifier(case.schedule, denoiser, gradient, w)(x, steps)
            evidence.close(f"w = {w}", found, one(x, steps) - w * std * other(x, steps), at=steps)
            judge_one()
            judge_other()
        ideal, t = Ideal(case), case.t
        for w in (0.0, strength(case)):
            guided = claimed.guidance.classifier(case.schedule, ideal.unconditional, ideal.classifier_score, 1 + w)
            truth = guided_truth(case, t, w, case.x_t)
            found = guided(np.array([case.x_t]), t)[0]
            evidence.close(f"mixture, weight {1 + w}", found, truth, tolerance=1e-10, scale=1 + np.abs(truth).max())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        ideal = Ideal(case)
        for name, w in (("weight 1", 0.0), ("more", strength(case))):
            guided = claimed.guidance.classifier(case.schedule, ideal.unconditional, ideal.classifier_score, 1 + w)
            guided_by_chance(trial, case, name, w, guided)


@identity(
    "guidance.equivalence",
    judges=("guidance.classifier", "guidance.classifier_free"),
    states=r"(1 + w)\,\epsilon^*(x_t, t, y) - w\,\epsilon^*(x_t, t)"
    r" \qquad = \epsilon^*(x_t, t, y) - w\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)"
    r" \qquad = \epsilon^*(x_t, t) - (1 + w)\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)",
    source="Ho & Salimans (2022), section 3.2; Bayes' rule",
    statistics=6,
    coincides="w = 0 for the first two, where no classifier is needed.",
)
class Equivalence:
    """Three ways to one gradient in fifty digits: classifier-free, a classifier beside the conditional denoiser with
    the weight w, and beside the unconditional one with 1 + w. By chance, one average that all three have to be.
    """

    @staticmethod
    def ways(claimed, case, w):
        ideal, guidance = Ideal(case), claimed.guidance
        return {
            "classifier-free": guidance.classifier_free(ideal.conditional, ideal.unconditional, w),
            "w beside conditional": guidance.classifier(case.schedule, ideal.conditional, ideal.classifier_score, w),
            "1 + w beside unconditional": guidance.classifier(
                case.schedule, ideal.unconditional, ideal.classifier_score, 1 + w
            ),
        }

    @staticmethod
    def exact(claimed, case, evidence):
        steps = np.arange(1, case.T + 1)
        x = np.tile(case.x_t, (case.T, 1))
        for w in (-0.4, strength(case)):
            truth = np.array([guided_truth(case, t, w, case.x_t) for t in steps])
            for name, guided in Equivalence.ways(claimed, case, w).items():
                scale = 1 + np.abs(truth).max()
                evidence.close(f"{name}, w = {w}", guided(x, steps), truth, tolerance=1e-10, scale=scale, at=steps)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        w = strength(case)
        for name, guided in Equivalence.ways(claimed, case, w).items():
            guided_by_chance(trial, case, name, w, guided, ways=1)
