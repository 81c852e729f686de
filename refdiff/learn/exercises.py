r"""The exercises: which function to write, which identities judge it, what is known to be wrong, and hints.

A key of the catalogue is the name of its exercise. What an exercise asks for is not written here: signature and
docstring are those of the library's own function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refdiff import verify
from refdiff.gaussian import Gaussian
from refdiff.learn.answer import ARRAYS, FROM_BETAS, Solution, known, solution
from refdiff.learn.layers import SOURCES
from refdiff.learn.sources import source

__all__ = ["EXERCISES", "Exercise", "exercises"]

PAGES = {"bayes": "posterior", "network": "backprop"}  # where a chapter of the book has another name than its module


@dataclass(frozen=True)
class Exercise:
    """One function to write, and what judges it.

    Attributes
    ----------
    keys : tuple of str
        The identities that must hold; the first is the name of the exercise.
    wrong : str or callable
        A version that must be refused: the key of an erratum, or a function.
    hints : tuple of str
        From the idea to nearly the answer.
    path : bool
        Whether it is one of the ten for an afternoon.
    signature : str
        The arguments, where they are fewer than those of refdiff's own function.
    shows : tuple of str
        What a solution is printed of besides that function: dotted names.
    page : str
        The chapter of the book, where it is not that of the module.
    summary, returns : str
        What it does and returns, where that is not what refdiff's own function does.
    """

    keys: tuple
    wrong: str | Callable
    hints: tuple
    path: bool = False
    signature: str = ""
    shows: tuple = ()
    page: str = ""
    summary: str = ""
    returns: str = ""

    @property
    def name(self):
        """The key of its first identity."""
        return self.keys[0]

    @property
    def chapter(self):
        """The chapter, which is also the name of its file."""
        return self.name.partition(".")[0]

    @property
    def number(self):
        """Its place in the list, from 1."""
        return EXERCISES.index(self) + 1

    @property
    def replaces(self):
        """The dotted name that the judge knows the function by."""
        return known()[self.name].judges[0]

    @property
    def array(self):
        """The array of a schedule that is asked for, as a function of beta; or an empty string."""
        own = self.name.partition(".")[2]
        return own if self.replaces == FROM_BETAS and own in ARRAYS else ""

    @property
    def original(self):
        """The dotted name of refdiff's own function."""
        return SOURCES.get(self.replaces, self.replaces)

    @property
    def function(self):
        """The name of the function to write."""
        return self.array or self.replaces.rpartition(".")[2]

    @property
    def derivation(self):
        """The page of the book that derives it."""
        return f"docs/derivation/{self.page or PAGES.get(self.chapter, self.chapter)}.md"

    @property
    def all_hints(self):
        """The hints, and as the last one where everything stands."""
        return (*self.hints, f"{self.derivation} derives it; `refdiff learn solution {self.name}` shows refdiff's own.")

    def solution(self):
        """Return refdiff's own source, as :func:`refdiff.learn.solution` does, and what belongs to it elsewhere."""
        first = solution(self.name)
        others = [source(name, docstrings=False) for name in self.shows]
        return Solution("\n\n\n".join([first, *(text for text in others if text not in first)]))

    def mistake(self, *args, **options):
        """Return what the wrong version answers."""
        if not isinstance(self.wrong, str):
            return self.wrong(*args, **options)
        found = verify.ERRATA[self.wrong].wrong(*args, **options)
        return getattr(found, self.array) if self.array else found


def exercises(path=False):
    """Return all exercises in the order of the chapters, or the ten of the path.

    Examples
    --------
    >>> len(exercises(path=True))
    10
    """
    return tuple(one for one in EXERCISES if one.path or not path)


def linear_without_sum(x, weight, bias):
    """A pullback that forgets that the bias serves all rows."""
    return x @ weight + bias, lambda dy: (dy @ weight.T, x.T @ dy, dy[0])


def silu_without_product_rule(x):
    """The derivative of the sigmoid alone."""
    sigma = (1 + np.tanh(x / 2)) / 2
    return x * sigma, lambda dy: dy * sigma * (1 - sigma)


def dense_without_activation(x, weight, bias):
    """A pullback that goes around the activation."""
    a = x @ weight + bias
    return a * (1 + np.tanh(a / 2)) / 2, lambda dy: (dy @ weight.T, x.T @ dy, dy.sum(axis=0))


def log_weight_without_prior(schedule, denoiser, chain):
    """The weight without p(x_T)."""
    from refdiff import elbo

    prior = Gaussian(np.zeros_like(chain[-1]), 1.0).log_density(chain[-1])
    return -elbo.undecomposed_on_chain(schedule, denoiser, chain).total - prior


EXERCISES = (
    Exercise(
        ("gaussian.log_density",),
        "log-density-up-to-a-constant",
        (
            "Coordinates are independent: the density is a product over them, so its logarithm is a sum over the last"
            " axis.",
            "Of one coordinate: three terms, the squared distance over twice the variance, log var / 2, and log(2 pi)"
            " / 2.",
            "-np.sum((x - law.mean)**2 / (2 * law.var) + ..., axis=-1), and the two logarithms belong inside the sum.",
        ),
    ),
    Exercise(
        ("gaussian.entropy",),
        "entropy-without-e",
        (
            "It is the mean of -log q(x) under q itself: take the log-density, and average its square.",
            "E (x - mean)^2 / (2 var) = 1/2 for each coordinate; that is where the e comes from.",
            "Each coordinate gives (1 + log(2 pi var)) / 2. Sum them over the last axis; the mean does not matter.",
        ),
    ),
    Exercise(
        ("gaussian.kl",),
        "kl-reversed",
        (
            "The average over q of log q - log p. Ask of each term which law it is averaged over.",
            "Under q, E (x - p.mean)^2 = q.var + (q.mean - p.mean)^2.",
            "With u = q.var / p.var, each coordinate gives (u - 1 - log u + (q.mean - p.mean)^2 / p.var) / 2.",
        ),
        path=True,
    ),
    Exercise(
        ("gaussian.product",),
        "product-as-sum",
        (
            "Two exponents add up to one that is quadratic in x: precisions (1 / var) add, and so do precision times"
            " mean.",
            "Return two things: the law, and log Z. Z is a density too: that of one mean under the other law.",
            "log Z is the log-density of p.mean under N(q.mean, p.var + q.var); Gaussian(...).log_density gives it.",
        ),
    ),
    Exercise(
        ("gaussian.condition",),
        "conditioning-keeps-the-covariance",
        (
            "Cut the covariance into blocks: A, which stays, and B, which is known. np.ix_ cuts blocks out of a"
            " matrix.",
            "The gain K_AB K_BB^-1 moves the mean by what surprised you, and takes away the variance that was"
            " explained.",
            "gain = np.linalg.solve(K_BB, K_BA).T; the mean is m_A + gain @ (value - m_B), the covariance K = K_AA -"
            " gain @ K_BA, and FullGaussian wants it symmetric to the last bit: (K + K.T) / 2.",
        ),
    ),
    Exercise(
        ("schedule.alpha_bar",),
        "abar-product-of-betas",
        (
            "What is left of x_0 after t steps: each step keeps the share alpha = 1 - beta of its square.",
            "A running product. And the answer has T + 1 entries: what is alpha_bar_0, before any step?",
            "np.cumprod(1 - beta), with 1.0 put in front.",
        ),
        path=True,
    ),
    Exercise(
        ("schedule.one_minus_alpha_bar",),
        "one-minus-abar-by-subtraction",
        (
            "1 - np.cumprod(1 - beta) is right on paper. With beta = 1e-12 it has four digits left.",
            "Stay with logarithms: log alpha_bar_t is the running sum of log(1 - beta). np.log1p and np.expm1 keep"
            " digits.",
            "-np.expm1(np.cumsum(np.log1p(-beta))), with 0.0 in front.",
        ),
    ),
    Exercise(
        ("schedule.beta_tilde",),
        "beta-tilde-is-beta",
        (
            "The variance of x_{t-1} once x_t and x_0 are both known: smaller than beta_t, which knows nothing of x_0.",
            "It needs 1 - alpha_bar at t and at t - 1, and so the entry 0. That makes beta_tilde_1 what?",
            "With m = 1 - alpha_bar, T + 1 entries: entry t is m[t - 1] / m[t] * beta_t. Put a 0 in front for t = 0.",
        ),
    ),
    Exercise(
        ("schedule.cosine",),
        "cosine-starts-at-one",
        (
            "Here alpha_bar is what is drawn, and the betas follow from it: alpha_bar_t / alpha_bar_{t-1} = 1 -"
            " beta_t.",
            "f runs over t = 0..T; alpha_bar_t = f(t) / f(0). So at t = 0 it is 1 although f(0) is not.",
            "beta = np.minimum(1 - f[1:] / f[:-1], max_beta), and return Schedule.from_betas(beta).",
        ),
    ),
    Exercise(
        ("schedule.zero_terminal_snr",),
        "zero-terminal-snr-of-the-power",
        (
            "The roots sqrt(alpha_bar_t) are moved and stretched, not alpha_bar: the last becomes 0, the first stays.",
            "root = schedule.signal_rate[1:]; the new roots are (root - root[-1]) * root[0] / (root[0] - root[-1]).",
            "Their squares are alpha_bar_1..T; the betas are 1 - alpha_bar_t / alpha_bar_{t-1}, and the last of them"
            " is 1: Schedule.from_betas(beta, last_may_be_one=True).",
        ),
    ),
    Exercise(
        ("forward.transition",),
        "noise-beta-not-std",
        (
            "One step shrinks the point and adds noise, so that data of variance 1 keep the variance 1.",
            "The mean is sqrt(1 - beta_t) x_{t-1}; the second entry of the pair is a variance, not a standard"
            " deviation.",
            "return np.sqrt(schedule.alpha[t]) * x_prev, schedule.beta[t], where t = schedule.index(t, x_prev) lines"
            " up one t per point with the coordinates.",
        ),
        path=True,
    ),
    Exercise(
        ("forward.jump",),
        "steps-skipped-with-the-old-beta",
        (
            "t - s steps in one: multiply what they keep, and let the noise make up the rest.",
            "They keep alpha_bar_t / alpha_bar_s of the square.",
            "With r = alpha_bar[t] / alpha_bar[s], both lined up by schedule.index(..., x_s) (name='s', least=0 for"
            " s): mean sqrt(r) x_s, variance 1 - r. (one_minus[t] - r * one_minus[s] keeps more digits.)",
        ),
    ),
    Exercise(
        ("forward.marginal", "forward.variance"),
        "marginal-variance-is-a-std",
        (
            "All steps from 0 to t at once, still a normal law: t coefficients multiply, t variances add up.",
            "Each step keeps alpha_s of the square, so sqrt(alpha_bar_t) of the point; with variance-preserving noise"
            " the rest is 1 - alpha_bar_t.",
            "t = schedule.index(t, x_0); return schedule.signal_rate[t] * x_0, schedule.one_minus_alpha_bar[t].",
        ),
        path=True,
    ),
    Exercise(
        ("forward.diffuse",),
        "noise-without-the-root",
        (
            "A draw from the marginal, with the noise given: mean plus standard deviation times eps.",
            "schedule.noise_rate is sqrt(1 - alpha_bar). One t for each point must be lined up with the coordinates.",
            "t = schedule.index(t, x_0); return schedule.signal_rate[t] * x_0 + ...",
        ),
        signature="schedule, x_0, eps, t",
    ),
    Exercise(
        ("bayes.posterior_mean",),
        "alpha-bar-prev-padded-on-the-right",
        (
            "Bayes' rule for two Gaussians in x_{t-1}: q(x_{t-1} | x_0) is the prior, q(x_t | x_{t-1}) the likelihood.",
            "Two coefficients, one of x_0 and one of x_t. At t = 1 the answer is x_0, so that of x_t is 0 there:"
            " which factor does that?",
            "Of x_0: sqrt(alpha_bar[t-1]) beta[t] / one_minus[t]. Of x_t: sqrt(alpha[t]) one_minus[t-1] /"
            " one_minus[t]. Any variance will do for this exercise; the next one asks for it.",
        ),
        path=True,
    ),
    Exercise(
        ("bayes.posterior_var",),
        "posterior-var-beta",
        (
            "It is not beta_t: x_0 is known too, and what is known twice varies less.",
            "Precisions add: 1 / (1 - alpha_bar_{t-1}) of the prior and alpha_t / beta_t of the likelihood.",
            "The sum of the two is (1 - alpha_bar_t) / ((1 - alpha_bar_{t-1}) beta_t); the schedule has its inverse"
            " as beta_tilde.",
        ),
        path=True,
    ),
    Exercise(
        ("bayes.posterior_from_eps",),
        "merged-noise-undone-in-one-step",
        (
            "The posterior again, with x_0 replaced by what x_t and eps say of it.",
            "x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t); put it in, and the coefficient of x_t"
            " collapses.",
            "What is left is (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t). The variance is the"
            " posterior's.",
        ),
    ),
    Exercise(
        ("bayes.smoothing",),
        "next-step-left-out",
        (
            "x_t between two neighbours: the step that led to it is the prior, the step that leaves it the likelihood.",
            "Precisions add: 1 / beta_t from behind, alpha_{t+1} / beta_{t+1} from ahead. So do precision times mean.",
            "Precision times mean: sqrt(alpha_t) x_{t-1} / beta_t + sqrt(alpha_{t+1}) x_{t+1} / beta_{t+1}; divide by"
            " the precision.",
        ),
    ),
    Exercise(
        ("parameterize.x_0_from_eps",),
        "noise-outside-fraction",
        (
            "Solve x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps for x_0.",
            "Both the point and the noise are divided by sqrt(alpha_bar_t), schedule.signal_rate.",
            "t = schedule.index(t, x_t); (x_t - schedule.noise_rate[t] * eps) / ...",
        ),
    ),
    Exercise(
        ("parameterize.v_from_eps",),
        "v-of-the-noisy-point",
        (
            "v is the direction at a right angle to x_t: with x_t = cos x_0 + sin eps it is cos eps - sin x_0.",
            "x_0 is not given, but x_t and eps say what it is: the exercise before.",
            "Put x_0 in, and use signal^2 + noise^2 = 1: v = (eps - noise_rate * x_t) / signal_rate.",
        ),
    ),
    Exercise(
        ("parameterize.score_from_eps",),
        "noise-read-as-the-score",
        (
            "The score of q(x_t | x_0) is -(x_t - mean) / var. What is x_t - mean, in terms of eps?",
            "x_t - mean = sqrt(1 - alpha_bar_t) eps, and var = 1 - alpha_bar_t: one root remains.",
            "It points against the noise: mind the sign.",
        ),
    ),
    Exercise(
        ("parameterize.mean_from_eps",),
        "all-noise-taken-in-one-step",
        (
            "The mean of the posterior at the x_0 that eps stands for. One step takes away a part of the noise only.",
            "eps is the merged noise of t steps, of standard deviation sqrt(1 - alpha_bar_t); step t added beta_t of"
            " that variance.",
            "(x_t - beta_t / sqrt(1 - alpha_bar_t) * eps) / sqrt(alpha_t).",
        ),
        path=True,
    ),
    Exercise(
        ("mixture.log_density",),
        "mixture-of-logs",
        (
            "The logarithm of a sum of densities, which is not the sum of their logarithms.",
            "log w_k + log N(x; m_k, v_k) for all points and components at once: x[..., None, :] - mixture.means has"
            " shape (..., K, d).",
            "np.logaddexp.reduce(log_joint, axis=-1), or take the maximum out by hand: far out all densities"
            " underflow.",
        ),
        shows=("mixture.log_components", "mixture.log_sum_exp"),
    ),
    Exercise(
        ("mixture.score",),
        "score-without-the-log",
        (
            "The gradient of log q is the gradient of q over q. Each component gives a Gaussian's score, -(x - m_k) /"
            " v_k.",
            "Averaged with the probabilities r_k(x) that x came from component k, which depend on x.",
            "r = exp(log_joint - log q(x)[..., None]); then sum r[..., None] * (means - x[..., None, :]) / variances"
            " over k.",
        ),
        shows=("mixture.log_components", "mixture.responsibilities"),
    ),
    Exercise(
        ("mixture.denoiser",),
        "eps-is-the-score",
        (
            "Return a function denoiser(x_t, t). The best guess of eps is its conditional mean, and Tweedie knows it.",
            "mixture.diffused(schedule, t) is the law of x_t, a mixture again, for one t; .score(x_t) is its"
            " gradient. With one t per point, do it for each t that occurs, or diffuse means and variances yourself.",
            "eps_hat = -sqrt(1 - alpha_bar_t) * score. Component k of q(x_t): mean signal_rate[t] * means[k],"
            " variance alpha_bar[t] * variances[k] + one_minus_alpha_bar[t].",
        ),
        shows=("mixture.GaussianMixture._at", "mixture.log_components", "mixture.responsibilities"),
    ),
    Exercise(
        ("reverse.transition_mean",),
        "sampling-missing-fraction",
        (
            "p(x_{t-1} | x_t) is the posterior with eps_hat in place of eps: ask denoiser(x_t, t).",
            "parameterize.mean_from_eps is the mean; you may have written it. Any variance will do here.",
            "(x_t - beta_t / sqrt(1 - alpha_bar_t) * denoiser(x_t, t)) / sqrt(alpha_t), with t = schedule.index(t,"
            " x_t) in the coefficients and the plain t for the denoiser.",
        ),
        path=True,
    ),
    Exercise(
        ("reverse.transition_var",),
        "sigma-equals-beta",
        (
            "sigma_t^2 is a choice: beta_tilde_t, beta_t, or an array of T + 1 numbers that is handed over.",
            "variance is the text 'posterior' or 'beta', or an array: find entry t of the right one.",
            "at = schedule.index(t, x_t); schedule.beta_tilde[at] for 'posterior', schedule.beta[at] for 'beta', else"
            " np.asarray(variance)[at].",
        ),
        shows=("reverse.var",),
    ),
    Exercise(
        ("reverse.sample",),
        "loop-skips-T",
        (
            "Start from N(0, I), and walk t = T, ..., 1 by the transition of the exercises before.",
            "The last step, from t = 1, returns its mean: no noise is added to what is handed out.",
            "for t in range(schedule.T, 0, -1): law = ...; x = law.mean, and + sqrt(law.var) *"
            " rng.standard_normal((n, d)) if t > 1. refdiff.reverse.transition gives the law, if you did not write it.",
        ),
        signature="schedule, denoiser, n, d, rng, variance='posterior'",
        shows=("reverse.transition", "reverse.chain._ancestral", "reverse.walks.descend"),
    ),
    Exercise(
        ("reverse.ddim_keeps_the_marginals", "reverse.ddim_vs_ancestral"),
        "ddim-direction-keeps-all-noise",
        (
            "Find x_0_hat, then go to step s: with the same eps_hat, of which a share is drawn anew.",
            "sigma^2 = eta^2 (1 - alpha_bar_s) / (1 - alpha_bar_t) (1 - alpha_bar_t / alpha_bar_s). s may be 0, and s"
            " and t may be one per point: schedule.index(s, x_t, name='s', least=0).",
            "The mean is sqrt(alpha_bar_s) x_0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat: new and kept noise"
            " together have the variance 1 - alpha_bar_s. (At s = t - 1 rounding may leave -1e-17 below the root:"
            " np.maximum(..., 0).)",
        ),
        shows=("reverse.ddim_var", "reverse.implicit._kept_var"),
    ),
    Exercise(
        ("elbo.prior_term",),
        "prior-variance-as-std",
        (
            "L_T is a divergence: of q(x_T | x_0) from N(0, I). No sample is needed.",
            "q(x_T | x_0) has the mean signal_rate[T] x_0 and the variance one_minus_alpha_bar[T].",
            "gaussian.kl with p = N(0, 1): the sum over the last axis of (var - 1 - log var + mean^2) / 2.",
        ),
    ),
    Exercise(
        ("elbo.denoising_term",),
        "term-constant-dropped",
        (
            "The divergence of the posterior from the step of the model: both are normal laws that you have written.",
            "q = bayes.posterior(schedule, x_0, x_t, t), p = reverse.transition(schedule, denoiser, x_t, t, variance).",
            "gaussian.kl(q, p): the constant d/2 (r - 1 - log r) stays although no network can change it.",
        ),
    ),
    Exercise(
        ("elbo.weight",),
        "weight-with-sigma-equal-beta",
        (
            "Write the squared distance of the two means in terms of eps - eps_hat: both have the form mean_from_eps.",
            "The distance is beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)) times that of the eps; then square it.",
            "beta_t^2 / (2 sigma_t^2 alpha_t (1 - alpha_bar_t)), where sigma_t^2 is a variance:"
            " refdiff.reverse.var(schedule, t, variance).",
        ),
        shows=("elbo.weights._step_and_var",),
        page="losses",
    ),
    Exercise(
        ("elbo.simple_loss",),
        "randint-excludes-T",
        (
            "For each point draw one t and one eps, make x_t, ask the denoiser, and square what it gets wrong.",
            "rng.integers(low, high) leaves high out: T must be drawn as well.",
            "t = rng.integers(1, schedule.T + 1, size=len(x_0)); then np.sum((eps - denoiser(x_t, t))**2, axis=-1).",
        ),
        path=True,
        page="losses",
    ),
    Exercise(
        ("likelihood.log_mean_weight",),
        "weights-added-without-a-shift",
        (
            "The logarithm of a mean, not the mean of logarithms. And exp(-800) is 0 in floating point.",
            "Take the largest log-weight of each point out of the sum, and put it back after the logarithm.",
            "top = log_weights.max(axis=0); top + np.log(np.mean(np.exp(log_weights - top), axis=0)). If all weights"
            " are 0, top is -inf: subtract 0 there.",
        ),
        shows=("likelihood.importance._log_weights",),
    ),
    Exercise(
        ("likelihood.effective_sample_size",),
        "ess-of-weights-that-sum-to-one",
        (
            "K equal weights are worth K; one large weight is worth 1, whatever stands beside it.",
            "A factor in all weights cancels, so take the largest out before exp.",
            "w = np.exp(log_weights - log_weights.max(axis=0)); (sum w)^2 / sum w^2, over the first axis.",
        ),
        shows=("likelihood.importance._log_weights",),
    ),
    Exercise(
        ("likelihood.log_weight",),
        log_weight_without_prior,
        (
            "chain[t] is x_t, shape (n, d). One factor p(x_T), then for each t one factor p over one factor q.",
            "refdiff.reverse.transition(schedule, denoiser, x_t, t, variance='beta') is p(x_{t-1} | x_t), also for t"
            " = 1; refdiff.forward.transition(schedule, x_prev, t) is q(x_t | x_{t-1}). Both have .log_density(x).",
            "log_w = Gaussian(np.zeros_like(chain[-1]), 1.0).log_density(chain[-1]); then for t in 1..T add p's"
            " log-density of chain[t - 1] and subtract q's of chain[t].",
        ),
        signature="schedule, denoiser, chain",
        summary="Return the logarithm of the importance weight of each chain, in nats, with sigma_t^2 = beta_t.",
        returns="ndarray, shape (n,)",
        shows=("elbo.forms._undecomposed",),
    ),
    Exercise(
        ("score.langevin_transition",),
        "langevin-noise-of-variance-h",
        (
            "A step along the score, and noise: without it all points would run to the nearest maximum.",
            "Here the drift is h times the score. Then the noise that keeps q is twice as large as you may expect.",
            "Mean x + h score(x), variance 2 h.",
        ),
    ),
    Exercise(
        ("score.mala_log_acceptance",),
        "hastings-correction-reversed",
        (
            "How likely is the way there, and how likely the way back? Their ratio decides, capped at 1.",
            "k(y | x) is the transition of the exercise before; its log-density sums over coordinates, and the"
            " constants cancel.",
            "np.minimum(0, log_density(y) + log k(x | y) - log_density(x) - log k(y | x)), with log k(y | x) = -sum"
            " (y - x - h score(x))^2 / (4 h).",
        ),
        shows=("score.sampling._Place.__init__", "score.sampling._Place.log_ratio"),
    ),
    Exercise(
        ("continuous.reverse_drift",),
        "reverse-drift-with-half-the-score",
        (
            "Backwards the drift is the old one, less what the noise would undo: the score enters, by g squared.",
            "f is sde.drift_rate(s), a rate that multiplies x; g is sde.diffusion(s). s may be one number per point.",
            "sde.drift_rate(s) * x - sde.diffusion(s)**2 * score(x, s), and if s has an axis, s[..., None] in the"
            " coefficients.",
        ),
        shows=("continuous.evolution.score_at",),
    ),
    Exercise(
        ("continuous.probability_flow_drift",),
        "flow-with-the-full-score",
        (
            "The same densities without any noise: the mean of the forward and the reverse drift.",
            "f x is the one, f x - g^2 score the other.",
            "sde.drift_rate(s) * x - sde.diffusion(s)**2 * score(x, s) / 2.",
        ),
        shows=("continuous.evolution.flow_velocity", "continuous.evolution.score_at"),
    ),
    Exercise(
        ("guidance.classifier_free",),
        "guidance-scale-for-w",
        (
            "Return a function denoiser(x_t, t): beyond the conditional one, away from the unconditional one.",
            "The weights add up to 1, and w = 0 is the conditional denoiser. Others write s = 1 + w.",
            "(1 + w) * conditional(x_t, t) - w * unconditional(x_t, t).",
        ),
    ),
    Exercise(
        ("network.linear",),
        linear_without_sum,
        (
            "Return y and a function: given dy = dL/dy, it returns dL/dx, dL/dW and dL/db.",
            "Each derivative has the shape of what it belongs to: (n, a), (a, b), (b,). There is one way to make them.",
            "dy @ weight.T, x.T @ dy, and for the bias, which every row uses, a sum over the rows.",
        ),
        page="backprop",
    ),
    Exercise(
        ("network.silu",),
        silu_without_product_rule,
        (
            "Return y = x sigma(x), and a function that multiplies dy with the derivative. It is a product of two"
            " functions of x.",
            "sigma'(x) = sigma (1 - sigma). And (1 + np.tanh(x / 2)) / 2 is sigma without overflow.",
            "The derivative is sigma + x sigma (1 - sigma).",
        ),
        path=True,
    ),
    Exercise(
        ("network.dense",),
        dense_without_activation,
        (
            "Two operations one after the other: linear, then silu. Backwards they come in the other order.",
            "a = x W + b and y = silu(a). dy goes through silu first, at a, and gives da; da goes through linear.",
            "With the two exercises before: a, through_linear = linear(x, weight, bias); y, through_silu = silu(a);"
            " the pullback is through_linear(through_silu(dy)).",
        ),
        signature="x, weight, bias",
        summary="A hidden layer, y = silu(x W + b), and its pullback.",
    ),
    Exercise(
        ("network.adam",),
        "adam-without-bias-correction",
        (
            "Change theta in place, and return nothing. adam.step counts, adam.first_moment and adam.second_moment"
            " remember.",
            "Both moments begin at 0 and are too small at first: divide m by 1 - beta_1^k and v by 1 - beta_2^k, k ="
            " adam.step after counting this one.",
            "theta -= learning_rate * (m_hat / (np.sqrt(v_hat) + adam.epsilon) + adam.weight_decay * theta). `theta ="
            " ...` would change nothing for the caller.",
        ),
    ),
)
