r"""Wrong versions of guidance: weights that count from elsewhere, signs, gradients of other things, and its law."""

import numpy as np

from refdiff import guidance
from refdiff.continuous import ideal_score, ideal_score_divergence, probability_flow_log_density
from refdiff.gaussian import Gaussian
from refdiff.guidance import LabelledMixture
from refdiff.mixture import GaussianMixture
from refdiff.verify.identity import erratum

# ------------------------------------------------------------------------------------------------- labelled data


@erratum(
    "class-probabilities-by-counting-components",
    source="a common slip",
    says=r"p(y) = \frac{1}{K}\,\#\{k: y_k = y\}",
    correct=r"p(y) = \sum_{k:\,y_k = y} w_k",
    replaces="guidance.LabelledMixture.probabilities",
    rejected_by="guidance.probabilities",
    coincides="components of one weight",
)
@property
def probabilities_by_counting(self):
    return np.bincount(self.labels) / len(self.labels)


@erratum(
    "class-of-equal-components",
    source="a common slip",
    says=r"p(x \mid y) = \frac{1}{K_y} \sum_{k:\,y_k = y} \mathcal{N}(x; m_k, v_k)",
    correct=r"p(x \mid y) = \sum_{k:\,y_k = y} \frac{w_k}{p(y)}\,\mathcal{N}(x; m_k, v_k)",
    replaces="guidance.LabelledMixture.given",
    rejected_by="guidance.given",
    coincides="classes of one component, or of components of one weight",
)
def class_of_equal_components(self, y):
    law = LabelledMixture.given(self, y)
    return GaussianMixture(np.full(len(law.weights), 1 / len(law.weights)), law.means, law.variances)


@erratum(
    "class-is-one-gaussian",
    source="a common slip: linear discriminant analysis assumes it",
    says=r"p(x \mid y) = \mathcal{N}\left(\mathbb{E}[x \mid y],\; \operatorname{Var}[x \mid y]\right)",
    correct=r"p(x \mid y) = \sum_{k:\,y_k = y} \frac{w_k}{p(y)}\,\mathcal{N}(x; m_k, v_k)",
    replaces="guidance.LabelledMixture.given",
    rejected_by="guidance.given",
    coincides="classes of one component; the two moments are right",
)
def class_as_one_gaussian(self, y):
    law = LabelledMixture.given(self, y)
    return GaussianMixture([1.0], [law.mean], [law.var])


@erratum(
    "classes-drawn-evenly",
    source="a common slip: a loader that balances the classes",
    says=r"y \sim \text{uniform}, \quad x \sim p(x \mid y)",
    correct=r"y \sim p(y), \quad x \sim p(x \mid y)",
    replaces="guidance.LabelledMixture.sample",
    rejected_by="guidance.labelled_sample",
    coincides="classes as likely as one another; the law of x given y is right",
)
def sample_of_balanced_classes(self, n, rng):
    y = rng.integers(len(self.classes), size=n)
    each = np.stack([self.given(c).sample(n, rng) for c in self.classes])
    return each[y, np.arange(n)], y


@erratum(
    "labels-of-another-order",
    source="a common slip: points and labels shuffled apart",
    says=r"x \sim p(x), \quad y \sim p(y) \text{ on its own}",
    correct=r"k \sim w, \quad y = y_k, \quad x \sim \mathcal{N}(m_k, v_k)",
    replaces="guidance.LabelledMixture.sample",
    rejected_by="guidance.labelled_sample",
    coincides="one class; each of the two laws by itself is right",
)
def sample_with_shuffled_labels(self, n, rng):
    x, y = LabelledMixture.sample(self, n, rng)
    return x, rng.permutation(y)


@erratum(
    "classifier-without-prior",
    source="omegafragger/DDU#6, asked of a mixture with labels; cardmagic/classifier#4, where it was mended",
    says=r"p(y \mid x_t) = \frac{p(x_t \mid y)}{\sum_{y'} p(x_t \mid y')}",
    correct=r"p(y \mid x_t) = \frac{p(y)\,p(x_t \mid y)}{\sum_{y'} p(y')\,p(x_t \mid y')}",
    replaces="guidance.LabelledMixture.log_probability",
    rejected_by="guidance.log_probability",
    coincides="classes as likely as one another",
)
def log_probability_without_prior(self, schedule, x_t, t):
    joint = LabelledMixture.log_probability(self, schedule, x_t, t) - np.log(self.probabilities)
    return joint - np.logaddexp.reduce(joint, axis=-1)[..., None]


@erratum(
    "classifier-of-clean-points",
    source="a common slip: a classifier trained without noise; that of Dhariwal & Nichol (2021), section 4, sees noise",
    says=r"p(y \mid x_t) = p(y \mid x_0 = x_t)",
    correct=r"p(y \mid x_t) = \int p(y \mid x_0)\,q(x_0 \mid x_t)\,dx_0",
    replaces="guidance.LabelledMixture.log_probability",
    rejected_by="guidance.log_probability",
    coincides="t = 0",
)
def log_probability_of_clean_points(self, schedule, x_t, t):
    return LabelledMixture.log_probability(self, schedule, x_t, 0)


@erratum(
    "logarithm-of-a-softmax",
    source="a common slip",
    says=r"\log p(y \mid x_t) = \log\left(\text{softmax in float64}\right)",
    correct=r"\log p(y \mid x_t) = -\log\left(1 + e^{\text{log-odds of the others}}\right)",
    replaces="guidance.LabelledMixture.log_probability",
    rejected_by="guidance.log_probability",
    coincides="to fifteen digits, where neither class is certain: chance does not go where they differ",
    by_chance=False,
)
def log_of_softmax(self, schedule, x_t, t):
    with np.errstate(divide="ignore"):
        return np.log(np.exp(LabelledMixture.log_probability(self, schedule, x_t, t)))


@erratum(
    "label-is-ignored",
    source="a common slip: the null label is passed on, always",
    says=r"\hat\epsilon(x_t, t, y) = \mathbb{E}[\epsilon \mid x_t]",
    correct=r"\hat\epsilon(x_t, t, y) = \mathbb{E}[\epsilon \mid x_t, y]",
    replaces="guidance.LabelledMixture.denoiser",
    rejected_by="guidance.denoiser",
    coincides="where x_t leaves no doubt of its class; guidance with it has no effect at all",
)
def denoiser_without_label(self, schedule, y=None):
    return self.mixture.denoiser(schedule)


@erratum(
    "null-label-averages-by-prior",
    source="a common slip: as if x_t said nothing of its class",
    says=r"\hat\epsilon(x_t, t) = \sum_y p(y)\,\hat\epsilon(x_t, t, y)",
    correct=r"\hat\epsilon(x_t, t) = \sum_y p(y \mid x_t)\,\hat\epsilon(x_t, t, y)",
    replaces="guidance.LabelledMixture.denoiser",
    rejected_by="guidance.denoiser",
    coincides="as alpha_bar_t goes to 0",
)
def unconditional_by_prior(self, schedule, y=None):
    if y is not None:
        return LabelledMixture.denoiser(self, schedule, y)
    each = [LabelledMixture.denoiser(self, schedule, c) for c in self.classes]
    return lambda x_t, t: sum(p * one(x_t, t) for p, one in zip(self.probabilities, each))


@erratum(
    "gradient-of-the-probability",
    source="a common slip: the gradient of the softmax, not of its logarithm",
    says=r"\nabla_{x_t}\,p(y \mid x_t)",
    correct=r"\nabla_{x_t} \log p(y \mid x_t) = \nabla_{x_t}\,p(y \mid x_t) \,/\, p(y \mid x_t)",
    replaces="guidance.LabelledMixture.classifier_score",
    rejected_by="guidance.classifier_score",
    coincides="where the class is certain; where it is least likely, and guidance needed most, it vanishes",
)
def gradient_of_probability(self, schedule, y):
    right = LabelledMixture.classifier_score(self, schedule, y)
    return lambda x_t, t: np.exp(self.log_probability(schedule, x_t, t)[..., y, None]) * right(x_t, t)


@erratum(
    "gradient-of-the-likelihood",
    source="a common slip: which of the two is conditioned on",
    says=r"\nabla_{x_t} \log p(x_t \mid y)",
    correct=r"\nabla_{x_t} \log p(y \mid x_t) = \nabla_{x_t} \log p(x_t \mid y) - \nabla_{x_t} \log p(x_t)",
    replaces="guidance.LabelledMixture.classifier_score",
    rejected_by="guidance.classifier_score",
    coincides="where log p(x_t) is stationary",
)
def gradient_of_likelihood(self, schedule, y):
    right, everything = LabelledMixture.classifier_score(self, schedule, y), self.mixture

    def classifier_score(x_t, t):
        steps = np.broadcast_to(t, np.shape(x_t)[:-1])
        score = [everything.diffused(schedule, int(s)).score(x) for x, s in zip(x_t, steps)]
        return right(x_t, t) + np.array(score)

    return classifier_score


@erratum(
    "classifier-score-by-subtraction",
    source="a common slip",
    says=r"\nabla \log p(x_t \mid y) - \nabla \log p(x_t), \text{ as it stands, in float64}",
    correct=r"p(\text{not } y \mid x_t)\left[\nabla \log p(x_t \mid y) - \nabla \log p(x_t \mid \text{not } y)\right]",
    replaces="guidance.LabelledMixture.classifier_score",
    rejected_by="guidance.classifier_score",
    coincides="to fifteen digits, where the class is in doubt: chance does not go where they differ",
    by_chance=False,
)
def classifier_score_by_subtraction(self, schedule, y):
    own, everything = self.given(y), self.mixture

    def classifier_score(x_t, t):
        steps = np.broadcast_to(t, np.shape(x_t)[:-1])
        laws = [[law.diffused(schedule, int(s)) for law in (own, everything)] for s in steps]
        return np.array([one.score(x) - both.score(x) for x, (one, both) in zip(x_t, laws)])

    return classifier_score


# ---------------------------------------------------------------------------------------------- guided denoisers


@erratum(
    "classifier-free-with-the-sign-lost",
    source="labmlai/annotated_deep_learning_paper_implementations#177, of its text; the code beside it is right",
    says=r"\tilde\epsilon = s\,\hat\epsilon(x_t, t, y) + (s - 1)\,\hat\epsilon(x_t, t), \qquad s = 1 + w",
    correct=r"\tilde\epsilon = s\,\hat\epsilon(x_t, t, y) - (s - 1)\,\hat\epsilon(x_t, t)",
    replaces="guidance.classifier_free",
    rejected_by=("guidance.classifier_free", "guidance.equivalence"),
    coincides="s = 1, which is w = 0",
)
def classifier_free_with_lost_sign(conditional, unconditional, w):
    return lambda x_t, t: (1 + w) * conditional(x_t, t) + w * unconditional(x_t, t)


@erratum(
    "guidance-scale-for-w",
    source="the two conventions taken for one, as asked in huggingface/diffusers#5882, and in"
    " lucidrains/denoising-diffusion-pytorch#155 and #207",
    says=r"\tilde\epsilon = \hat\epsilon(x_t, t) + w\left[\hat\epsilon(x_t, t, y) - \hat\epsilon(x_t, t)\right]",
    correct=r"\tilde\epsilon = \hat\epsilon(x_t, t) + s\left[\hat\epsilon(x_t, t, y) - \hat\epsilon(x_t, t)\right]"
    r" \text{ with } s = 1 + w: \text{ one counts from 1, the other from 0}",
    replaces="guidance.classifier_free",
    rejected_by=("guidance.classifier_free", "guidance.equivalence"),
    coincides="where the two denoisers agree; for large w by a part 1/w of the effect",
)
def classifier_free_by_scale(conditional, unconditional, w):
    return lambda x_t, t: unconditional(x_t, t) + w * (conditional(x_t, t) - unconditional(x_t, t))


@erratum(
    "guidance-interpolates",
    source="Gaurav14cs17/GenAI, 01_soflow/docs/06-cfg/README.md, says so; its formula extrapolates",
    says=r"\tilde\epsilon = \frac{1}{1 + w}\,\hat\epsilon(x_t, t, y) + \frac{w}{1 + w}\,\hat\epsilon(x_t, t)",
    correct=r"\tilde\epsilon = (1 + w)\,\hat\epsilon(x_t, t, y) - w\,\hat\epsilon(x_t, t):"
    r" \text{ beyond the conditional one, not between the two}",
    replaces="guidance.classifier_free",
    rejected_by="guidance.classifier_free",
    coincides="w = 0",
)
def classifier_free_between(conditional, unconditional, w):
    share = 1 / (1 + w) if w > -1 else 0.0
    return lambda x_t, t: share * conditional(x_t, t) + (1 - share) * unconditional(x_t, t)


@erratum(
    "conditional-and-unconditional-swapped",
    source="the order of a batch mixed up, as of its pooled embeddings in Nerogar/OneTrainer#775",
    says=r"\tilde\epsilon = (1 + w)\,\hat\epsilon(x_t, t) - w\,\hat\epsilon(x_t, t, y)",
    correct=r"\tilde\epsilon = (1 + w)\,\hat\epsilon(x_t, t, y) - w\,\hat\epsilon(x_t, t)",
    replaces="guidance.classifier_free",
    rejected_by="guidance.classifier_free",
    coincides="w = -1/2, halfway",
)
def classifier_free_swapped(conditional, unconditional, w):
    return lambda x_t, t: (1 + w) * unconditional(x_t, t) - w * conditional(x_t, t)


@erratum(
    "classifier-pushes-away",
    source="a common slip: the sign of the score under the name of a noise; whether there is one too many is asked in"
    " dangeng/motion_guidance#7, where all is right",
    says=r"\tilde\epsilon = \hat\epsilon + w\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)",
    correct=r"\tilde\epsilon = \hat\epsilon - w\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)",
    replaces="guidance.classifier",
    rejected_by=("guidance.classifier", "guidance.equivalence"),
    coincides="w = 0, and where the gradient is 0",
)
def classifier_with_plus(schedule, denoiser, classifier_score, w):
    return guidance.classifier(schedule, denoiser, classifier_score, -w)


@erratum(
    "classifier-gradient-unscaled",
    source="a common slip; so a question paraphrases it in arpitbansal297/Universal-Guided-Diffusion#5",
    says=r"\tilde\epsilon = \hat\epsilon - w\,\nabla\log p(y \mid x_t)",
    correct=r"\tilde\epsilon = \hat\epsilon - w\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)",
    replaces="guidance.classifier",
    rejected_by="guidance.classifier",
    coincides="as alpha_bar_t goes to 0; at small t it is many times too strong",
)
def classifier_without_noise_rate(schedule, denoiser, classifier_score, w):
    return lambda x_t, t: denoiser(x_t, t) - w * classifier_score(x_t, t)


@erratum(
    "classifier-gradient-by-variance",
    source="a common slip: the variance that the mean of Algorithm 1 of Dhariwal & Nichol (2021) is shifted by has no"
    " place beside eps",
    says=r"\tilde\epsilon = \hat\epsilon - w\,(1 - \bar\alpha_t)\,\nabla\log p(y \mid x_t)",
    correct=r"\tilde\epsilon = \hat\epsilon - w\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)",
    replaces="guidance.classifier",
    rejected_by="guidance.classifier",
    coincides="as alpha_bar_t goes to 0",
)
def classifier_by_variance(schedule, denoiser, classifier_score, w):
    def guided(x_t, t):
        return denoiser(x_t, t) - w * schedule.one_minus_alpha_bar[schedule.index(t, x_t)] * classifier_score(x_t, t)

    return guided


@erratum(
    "classifier-weight-counted-from-zero",
    source="a common slip: the w of classifier-free guidance, which counts from 0, for a classifier's weight",
    says=r"\tilde\epsilon = \hat\epsilon - (1 + w)\,\sqrt{1 - \bar\alpha_t}\,\nabla\log p(y \mid x_t)"
    r" \text{ whatever } \hat\epsilon \text{ is}",
    correct=r"1 + w \text{ beside } \hat\epsilon(x_t, t), \; w \text{ beside } \hat\epsilon(x_t, t, y)",
    replaces="guidance.classifier",
    rejected_by=("guidance.classifier", "guidance.equivalence"),
    coincides="where the gradient is 0",
)
def classifier_with_one_more(schedule, denoiser, classifier_score, w):
    return guidance.classifier(schedule, denoiser, classifier_score, 1 + w)


# --------------------------------------------------------------------------------------------- laws of a normal class


@erratum(
    "tilted-by-w",
    source="a common slip: p(x) p(y | x)^w, where the w of classifier-free guidance is meant",
    says=r"\frac{1}{v_w} = \frac{w}{v} + \frac{1 - w}{V}",
    correct=r"\frac{1}{v_w} = \frac{1 + w}{v} - \frac wV",
    replaces="guidance.tilted",
    rejected_by="guidance.tilted",
    coincides="V = v and m = mu. It is refuted for w >= 0 alone: below, there need be no such density",
)
def tilted_counted_from_one(conditional, unconditional, w):
    return guidance.tilted(conditional, unconditional, w - 1 if w >= 0 else w)


@erratum(
    "tilted-is-low-temperature",
    source="a common slip: the power of p(x | y) without what p(x) is divided by",
    says=r"p_w(x) \propto p(x \mid y)^{1 + w}: \quad \mathcal{N}\left(m, \frac{v}{1 + w}\right)",
    correct=r"p_w(x) \propto p(x \mid y)^{1 + w}\,p(x)^{-w}",
    replaces="guidance.tilted",
    rejected_by="guidance.tilted",
    coincides="w = 0; data as wide as you like beside the class",
)
def tilted_as_temperature(conditional, unconditional, w):
    return Gaussian(conditional.mean, conditional.var / (1 + w) if w > -1 else unconditional.var)


@erratum(
    "guidance-samples-the-tilted-density",
    source="a common claim, refuted by Bradley & Nakkiran (2024) and by Chidambaram et al. (2024)",
    says=r"\text{guided flow: } \operatorname{Var}[x] = \left(\frac{1 + w}{v} - \frac wV\right)^{-1}",
    correct=r"\operatorname{Var}[x] = v^{1 + w}\,V^{-w}: \text{ the geometric mean, not the harmonic one}",
    replaces="guidance.guided_flow_limit",
    rejected_by="guidance.guided_flow_limit",
    coincides="w = 0 and w = -1",
)
def flow_limit_as_tilted(conditional, unconditional, w):
    return guidance.tilted(conditional, unconditional, w)


@erratum(
    "guided-flow-keeps-the-mean",
    source="a common slip: guidance only sharpens",
    says=r"\mathbb{E}[x] = \mathbb{E}[x \mid y] = m",
    correct=r"\mathbb{E}[x] = \mu + (1 + w)(m - \mu) \int_0^1 \left[\frac vV"
    r" + \left(1 - \frac vV\right)\kappa^2\right]^{w/2} d\kappa:"
    r" \text{ it leaves } \mu \text{ further behind}",
    replaces="guidance.guided_flow_limit",
    rejected_by="guidance.guided_flow_limit",
    coincides="w = 0, and where m = mu; the variance is right",
)
def flow_limit_with_the_mean_of_the_class(conditional, unconditional, w):
    return Gaussian(conditional.mean, guidance.guided_flow_limit(conditional, unconditional, w).var)


@erratum(
    "finite-noise-is-infinite",
    source="a common slip",
    says=r"\operatorname{Var}[x_0] = v^{1 + w}\,V^{-w} \text{ from any noise}",
    correct=r"\operatorname{Var}[x_0] = \left(\frac{v}{v + u_1}\right)^{1 + w} \left(\frac{V + u_1}{V}\right)^w"
    r" \frac{\operatorname{Var}[x_1]}{a_1^2}",
    replaces="guidance.guided_flow",
    rejected_by="guidance.guided_flow",
    coincides="as the noise grows",
)
def flow_as_its_limit(sde, conditional, unconditional, w, *, prior=None):
    return guidance.guided_flow_limit(conditional, unconditional, w)


@erratum(
    "guided-flow-is-tilted",
    source="a common claim, refuted by Bradley & Nakkiran (2024) and by Chidambaram et al. (2024)",
    says=r"x_0 \sim p_w(x) \propto p(x)\,p(y \mid x)^{1 + w}",
    correct=r"\text{another Gaussian: powers of densities do not diffuse into powers of densities}",
    replaces="guidance.guided_flow",
    rejected_by="guidance.guided_flow",
    coincides="w = 0 and w = -1, but for the prior",
)
def flow_as_tilted(sde, conditional, unconditional, w, *, prior=None):
    return guidance.tilted(conditional, unconditional, w)


@erratum(
    "samplers-agree-under-guidance",
    source="a common slip: that flow and reverse equation have one law holds for scores of one process only; see"
    " Bradley & Nakkiran (2024)",
    says=r"\operatorname{Var}[x] = v^{1 + w}\,V^{-w} \text{ with noise as well}",
    correct=r"\operatorname{Var}[x] = \frac{v}{1 + 2w}\,\frac{1 - (v/V)^{1 + 2w}}{1 - v/V}",
    replaces="guidance.guided_ancestral_limit",
    rejected_by="guidance.guided_ancestral_limit",
    coincides="w = 0 and w = -1",
)
def ancestral_as_flow(conditional, unconditional, w):
    return guidance.guided_flow_limit(conditional, unconditional, w)


@erratum(
    "ancestral-guidance-samples-the-tilted-density",
    source="a common claim, refuted by Bradley & Nakkiran (2024)",
    says=r"\operatorname{Var}[x] = \left(\frac{1 + w}{v} - \frac wV\right)^{-1}",
    correct=r"\operatorname{Var}[x] = \frac{v}{1 + 2w}\,\frac{1 - (v/V)^{1 + 2w}}{1 - v/V}",
    replaces="guidance.guided_ancestral_limit",
    rejected_by="guidance.guided_ancestral_limit",
    coincides="w = 0 and w = -1",
)
def ancestral_as_tilted(conditional, unconditional, w):
    return guidance.tilted(conditional, unconditional, w)


# ----------------------------------------------------------------------------------------------------- mixture data


@erratum(
    "tilted-without-normaliser",
    source="a common slip",
    says=r"\log p_w(x) = \log p(x) + (1 + w) \log p(y \mid x)",
    correct=r"\log p_w(x) = \log p(x) + (1 + w) \log p(y \mid x) - \log Z",
    replaces="guidance.tilted_log_density",
    rejected_by="guidance.tilted_log_density",
    coincides="w = -1; its gradient is right",
)
def tilted_unnormalised(labelled, y, w, x):
    return labelled.mixture.log_density(x) + (1 + w) * log_classifier(labelled, y, x)


def log_classifier(labelled, y, x):
    """Return log p(y | x) of clean points."""
    joint = np.log(labelled.probabilities[y]) + labelled.given(y).log_density(x)
    return joint - labelled.mixture.log_density(x)


@erratum(
    "tilted-mixture-by-w",
    source="a common slip: p(x) p(y | x)^w, where the w of classifier-free guidance is meant",
    says=r"p_w(x) \propto p(x)\,p(y \mid x)^w",
    correct=r"p_w(x) \propto p(x)\,p(y \mid x)^{1 + w}",
    replaces="guidance.tilted_log_density",
    rejected_by="guidance.tilted_log_density",
    coincides="where p(y | x) is the same for all x. It is refuted for w >= 0: below, there may be none",
)
def tilted_mixture_counted_from_one(labelled, y, w, x):
    return guidance.tilted_log_density(labelled, y, w - 1 if w >= 0 else w, x)


@erratum(
    "tilted-is-what-the-flow-samples",
    source="a common claim, refuted by Bradley & Nakkiran (2024) and by Chidambaram et al. (2024)",
    says=r"\text{density of the guided flow} = \frac1Z\,p(x)\,p(y \mid x)^{1 + w}",
    correct=r"\log p_1(x_1) + \int_0^1 \left[d f - \tfrac12 g^2\,\nabla\cdot\tilde s(x_s, s)\right] ds",
    replaces="guidance.guided_flow_log_density",
    rejected_by="guidance.guided_flow_log_density",
    coincides="w = 0 and w = -1, but for the prior",
)
def flow_density_as_tilted(sde, labelled, y, w, x, *, prior=None, tolerance=1e-10):
    return guidance.tilted_log_density(labelled, y, w, x)


@erratum(
    "guided-flow-density-of-the-class",
    source="a common slip: the divergence of the conditional score, along the guided path",
    says=r"\log p_1(x_1) + \int_0^1 \left[d f - \tfrac12 g^2\,\Delta\log p_s(x_s \mid y)\right] ds",
    correct=r"\log p_1(x_1) + \int_0^1 \left[d f - \tfrac12 g^2\,\nabla\cdot\tilde s(x_s, s)\right] ds",
    replaces="guidance.guided_flow_log_density",
    rejected_by="guidance.guided_flow_log_density",
    coincides="w = 0",
)
def flow_density_with_conditional_divergence(sde, labelled, y, w, x, *, prior=None, tolerance=1e-10):
    score, of_class = guidance.guided_score(sde, labelled, y, w), ideal_score_divergence(sde, labelled.given(y))
    return probability_flow_log_density(sde, score, x, divergence=of_class, prior=prior, tolerance=tolerance)


@erratum(
    "guided-score-is-that-of-the-diffused-tilted-density",
    source="a common claim, refuted by Bradley & Nakkiran (2024) and by Chidambaram et al. (2024)",
    says=r"\tilde s(x, s) = \nabla\log \int p_w(x_0)\,q(x_s = x \mid x_0)\,dx_0",
    correct=r"\tilde s(x, s) = (1 + w)\,\nabla\log p_s(x \mid y) - w\,\nabla\log p_s(x):"
    r" \text{ to tilt and to diffuse do not commute}",
    replaces="guidance.guided_score",
    rejected_by=("guidance.guided_score", "guidance.tilted_score"),
    coincides="s = 0; w = 0 and w = -1",
)
def score_of_the_diffused_tilted_density(sde, labelled, y, w):
    law = labelled.mixture
    low, high = (law.means - 9 * np.sqrt(law.variances)).min(axis=0), (law.means + 9 * np.sqrt(law.variances)).max(0)
    axes = [np.linspace(a, b, 1601 if len(low) == 1 else 201) for a, b in zip(low, high)]
    x_0 = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
    log_p = guidance.tilted_log_density(labelled, y, w, x_0)

    def at(x, s):
        a, var = float(sde.signal_rate(s)), float(sde.var(s))
        if var == 0:
            return guidance.guided_score(sde, labelled, y, w)(x, 0.0)
        joint = log_p - np.sum((x - a * x_0) ** 2, axis=-1) / (2 * var)
        chance = np.exp(joint - joint.max())
        return chance @ (a * x_0 - x) / var / chance.sum()

    def score(x, s):
        return np.array([at(one, float(r)) for one, r in zip(x, np.broadcast_to(s, len(x)))])

    return score


@erratum(
    "guided-score-with-the-sign-lost",
    source="labmlai/annotated_deep_learning_paper_implementations#177, of its text, as a score",
    says=r"\tilde s = (1 + w)\,\nabla\log p_s(x \mid y) + w\,\nabla\log p_s(x)",
    correct=r"\tilde s = (1 + w)\,\nabla\log p_s(x \mid y) - w\,\nabla\log p_s(x)",
    replaces="guidance.guided_score",
    rejected_by=("guidance.guided_score", "guidance.tilted_score"),
    coincides="w = 0",
)
def guided_score_with_lost_sign(sde, labelled, y, w):
    of_class, of_all = ideal_score(sde, labelled.given(y)), ideal_score(sde, labelled.mixture)
    return lambda x, s: (1 + w) * of_class(x, s) + w * of_all(x, s)


@erratum(
    "divergence-of-the-conditional-score",
    source="a common slip: the unconditional part left out",
    says=r"\nabla\cdot\tilde s = \Delta\log p_s(x \mid y)",
    correct=r"\nabla\cdot\tilde s = (1 + w)\,\Delta\log p_s(x \mid y) - w\,\Delta\log p_s(x)",
    replaces="guidance.guided_score_divergence",
    rejected_by="guidance.guided_score_divergence",
    coincides="w = 0",
)
def divergence_without_guidance(sde, labelled, y, w):
    return ideal_score_divergence(sde, labelled.given(y))


@erratum(
    "divergence-with-the-sign-lost",
    source="labmlai/annotated_deep_learning_paper_implementations#177, of its text, as a divergence",
    says=r"\nabla\cdot\tilde s = (1 + w)\,\Delta\log p_s(x \mid y) + w\,\Delta\log p_s(x)",
    correct=r"\nabla\cdot\tilde s = (1 + w)\,\Delta\log p_s(x \mid y) - w\,\Delta\log p_s(x)",
    replaces="guidance.guided_score_divergence",
    rejected_by="guidance.guided_score_divergence",
    coincides="w = 0",
)
def divergence_with_lost_sign(sde, labelled, y, w):
    of_class, of_all = (ideal_score_divergence(sde, law) for law in (labelled.given(y), labelled.mixture))
    return lambda x, s: (1 + w) * of_class(x, s) + w * of_all(x, s)
