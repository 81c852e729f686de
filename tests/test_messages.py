"""What a wrong argument is answered, word by word: the rule, the value received, and often the usual cause.

Who changes a message reads it once more here, where it stands beside the call that it answers.
"""

import numpy as np
import pytest

from refdiff import bayes, elbo, forward, gaussian, likelihood, parameterize, reverse
from refdiff.elbo import Bound
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.schedule import Schedule

FOUR = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
X = np.full((3, 2), 0.5)
LAW, POINT_MASS = Gaussian([0.0], 1.0), Gaussian([0.0], 0.0, point_mass=True)
JOINT = FullGaussian([0.0, 0.0], np.eye(2))
DATA = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], 0.5)


def zero(x_t, t):
    return np.zeros_like(x_t)


def rng():
    return np.random.default_rng(0)


SMALL = MLP(2, width=4, depth=1, time_dim=4, dtype=np.float64, rng=rng())

ANSWERS = [
    # gaussian
    (
        lambda: Gaussian([0.0, 0.0], -1.0),
        "var must be > 0; got -1.0. Usual cause: a log-variance, or a difference that lost its digits.",
    ),
    (
        lambda: Gaussian([0.0, 0.0], [1.0, 0.0]),
        "var must be > 0; got 0.0. A variance of 0 is a point mass: pass point_mass=True if that is meant.",
    ),
    (
        lambda: Gaussian(np.zeros((3, 2)), np.ones(3)),
        "var must be one number, (..., 1) or (..., d) beside a mean of shape (3, 2); got (3,). One variance "
        "per point? Add an axis: var[..., None].",
    ),
    (
        lambda: POINT_MASS.log_density([0.0]),
        "log_density needs var > 0; got 0. A point mass has none: at t = 1 the posterior is exactly x_0 "
        "(beta_tilde_1 = 0), and the decoder takes its place.",
    ),
    (
        lambda: POINT_MASS.entropy(),
        "entropy needs var > 0; got 0. A point mass has none: at t = 1 the posterior is exactly x_0 "
        "(beta_tilde_1 = 0), and the decoder takes its place.",
    ),
    (
        lambda: gaussian.kl(LAW, POINT_MASS),
        "kl needs var > 0; got 0. A point mass has none: at t = 1 the posterior is exactly x_0 (beta_tilde_1 "
        "= 0), and the decoder takes its place.",
    ),
    (
        lambda: gaussian.kl(1.0, LAW),
        "q must be a Gaussian; got float.",
    ),
    (
        lambda: gaussian.kl(LAW, 1.0),
        "p must be a Gaussian; got float.",
    ),
    (
        lambda: gaussian.kl(LAW, Gaussian([0.0, 0.0], 1.0)),
        "q and p must have the same d; got 1 and 2.",
    ),
    (
        lambda: LAW.log_density([0.0, 0.0]),
        "x must have d = 1 on its last axis; got shape (2,).",
    ),
    (
        lambda: gaussian.kl_equal_var(LAW, Gaussian([0.0], 2.0)),
        "kl_equal_var needs equal variances; got 1.0 and 2.0. Use kl, which keeps the constant 1/2 sum(var_q "
        "/ var_p - 1 - log(var_q / var_p)).",
    ),
    (
        lambda: gaussian.linear_combination(1, LAW, 1, LAW, cov=2.0),
        "cov must satisfy cov^2 <= var_p var_q; got cov = 2.0.",
    ),
    (
        lambda: gaussian.linear_combination(1, LAW, 1, Gaussian([0.0, 0.0], 1.0)),
        "p.mean and q.mean must have the same shape; got p.mean (1,), q.mean (2,). Broadcast explicitly if meant.",
    ),
    (
        lambda: gaussian.from_natural([1.0, -2.0], [0.0, 0.0]),
        "precision must be > 0; got -2.0. Usual cause: a variance of the wrong sign.",
    ),
    (
        lambda: gaussian.from_natural([1.0, 0.0], [0.0, 0.0]),
        "precision must be > 0; got 0.0. Usual cause: a variance of the wrong sign.",
    ),
    (
        lambda: FullGaussian([0.0, 0.0], np.eye(3)),
        "mean must be (d,) and cov (d, d); got (2,) and (3, 3).",
    ),
    (
        lambda: FullGaussian([0.0, 0.0], [[1.0, 0.0], [0.5, 1.0]]),
        "cov must be symmetric; it differs from its transpose by 0.5.",
    ),
    (
        lambda: FullGaussian([0.0, 0.0], [[np.inf, 0.0], [0.0, 1.0]]),
        "cov must be finite; got inf.",
    ),
    (
        lambda: FullGaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]),
        "cov must be positive definite; its smallest eigenvalue is -1.0.",
    ),
    (
        lambda: JOINT.log_density([0.0]),
        "x must have d = 2 on its last axis; got shape (1,).",
    ),
    (
        lambda: JOINT.condition([0, 0], [0.0, 0.0]),
        "known must be some, not all, distinct coordinates of 0..1; got [0 0].",
    ),
    (
        lambda: JOINT.condition([0], [0.0, 0.0]),
        "value must have shape (1,); got (2,).",
    ),
    (
        lambda: gaussian.full_kl(JOINT, FullGaussian([0.0], np.eye(1))),
        "q and p must have the same d; got 2 and 1.",
    ),
    # schedule
    (
        lambda: Schedule.from_betas([[0.1, 0.2]]),
        "beta must be a one-dimensional array of T >= 1 variances; got shape (1, 2).",
    ),
    (
        lambda: Schedule.from_betas([0.1, 1.7]),
        "beta must lie in (0, 1); got beta_2 = 1.7. Usual cause: percentages, standard deviations, or a "
        "beta_0 = 0 in front.",
    ),
    (
        lambda: Schedule.from_betas([0.1, 1.0, 0.1]),
        "beta must lie in (0, 1); got beta_2 = 1.0. alpha_bar would be 0 from there on; only the last may be "
        "1, with last_may_be_one=True.",
    ),
    (
        lambda: Schedule.linear(10, 0.0, 0.1),
        "beta_1 must lie in (0, 1); got 0.0.",
    ),
    (
        lambda: Schedule.linear(10, 0.1, 1.0),
        "beta_T must lie in (0, 1); got 1.0.",
    ),
    (
        lambda: Schedule.cosine(10, s=-1.0),
        "cosine needs s >= 0 and 0 < max_beta < 1; got s = -1.0, max_beta = 0.999.",
    ),
    (
        lambda: Schedule.vp(10, 2.0, 1.0),
        "vp needs 0 < beta_min <= beta_max; got 2.0 and 1.0.",
    ),
    (
        lambda: Schedule.vp(10, 1.0, np.inf),
        "vp needs 0 < beta_min <= beta_max; got 1.0 and inf.",
    ),
    (
        lambda: FOUR.respace(5),
        "steps must be at most T = 4; got 5.",
    ),
    (
        lambda: FOUR.respace([1.0, 2.0]),
        "steps must be integers; got dtype float64.",
    ),
    (
        lambda: FOUR.respace([3, 1]),
        "steps must increase strictly within 1..4; got [3 1].",
    ),
    (
        lambda: Schedule.constant(1, 0.1).zero_terminal_snr(),
        "zero_terminal_snr needs T >= 2; got T = 1, whose alpha_bar_1 is also the last.",
    ),
    (
        lambda: FOUR.index(2.0),
        "t must be an integer or integers; got dtype float64. Steps are counted 1..4.",
    ),
    (
        lambda: FOUR.index([1, 0]),
        "t runs over 1..4; got 0. Zero-based steps, as in diffusers? Add 1.",
    ),
    (
        lambda: FOUR.index(1, least=2),
        "t runs over 2..4; got 1. The step from t = 1 stands apart: beta_tilde_1 = 0.",
    ),
    (
        lambda: FOUR.index(5, name="s"),
        "s runs over 1..4; got 5. Is it the schedule with another T?",
    ),
    (
        lambda: FOUR.index([1, 2], X),
        "t must be one integer or have one entry per point: shape (3,) beside points of shape (3, 2); got "
        "(2,). The last axis of the points is the event.",
    ),
    (
        lambda: FOUR.index([1, 2], X[None]),
        "t must be one integer or have one entry per point: shape (1, 3) beside points of shape (1, 3, 2); got "
        "(2,). The last axis of the points is the event.",
    ),
    # forward, bayes
    (
        lambda: forward.jump(FOUR, X, 3, 2),
        "s must be below t; got s = 3 and t = 2. The chain runs forward in t.",
    ),
    (
        lambda: forward.jump(FOUR, X, [0, 1, 2], [1, 2, 2]),
        "s must be below t; got s = 2 and t = 1. The chain runs forward in t.",
    ),
    (
        lambda: forward.covariance(FOUR, 0, 2),
        "s runs over 1..4; got 0. Zero-based steps, as in diffusers? Add 1.",
    ),
    (
        lambda: bayes.posterior(FOUR, X, X[:1], 2),
        "x_0 and x_t must have the same shape; got x_0 (3, 2), x_t (1, 2). Broadcast explicitly if meant.",
    ),
    (
        lambda: bayes.log_c_1(FOUR, 2, [2, 1]),
        "t runs over 2..4; got 1. The step from t = 1 stands apart: beta_tilde_1 = 0.",
    ),
    (
        lambda: bayes.smoothing(FOUR, X, X, 4),
        "smoothing needs a next step: t runs over 1..T - 1; got t = T = 4.",
    ),
    (
        lambda: parameterize.x_0_from_eps(Schedule.reciprocal(4), X, X, [3, 4, 4]),
        "eps determines x_0 only where alpha_bar_t > 0; got t = 4 with alpha_bar_t = 0, where x_t is pure "
        "noise. A schedule whose last beta is 1, or whose betas leave nothing, needs x_0 or v in place of eps"
        " there.",
    ),
    (
        lambda: parameterize.v_from_eps(FOUR, X, X[:1], 2),
        "x_t and eps must have the same shape; got x_t (3, 2), eps (1, 2). Broadcast explicitly if meant.",
    ),
    # mixture
    (
        lambda: GaussianMixture([0.5, 0.5], [[0.0]], 1.0),
        "weights must be (K,) and means (K, d); got (2,) and (1, 1).",
    ),
    (
        lambda: GaussianMixture([0.5, 0.6], [[0.0], [1.0]], 1.0),
        "weights must be >= 0 and sum to 1; got [0.5 0.6] with sum 1.1.",
    ),
    (
        lambda: GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [1.0, 0.0]),
        "variances must be > 0 and finite; got 0.0. A standard deviation squared?",
    ),
    (
        lambda: GaussianMixture([1.0], [[np.nan]], 1.0),
        "means must be finite; got NaN or inf.",
    ),
    (
        lambda: GaussianMixture([0.5, 0.5], [[0.0], [1.0]], np.ones(3)),
        "variances must be one number, (K,) or (K, d) = (2, 1); got (3,).",
    ),
    (
        lambda: DATA.log_density([0.0]),
        "x must have d = 2 on its last axis; got shape (1,).",
    ),
    (
        lambda: GaussianMixture([1.0], np.zeros((1, 3)), 1.0).entropy(),
        "expectation needs d <= 2; got d = 3. Use the mean of f over a sample.",
    ),
    (
        lambda: GaussianMixture([1.0], [[0.0]], 1.0).expectation(lambda x: np.sign(x[:, 0] - 0.1), tolerance=1e-15),
        "the quadrature did not settle to 1e-15 on 16,000,000 points: components too narrow for their "
        "distance, or f not smooth. Use the mean of f over a sample.",
    ),
    (
        lambda: DATA.expectation(lambda x: 1.0),
        "f must map (n, d) to (n, ...); got () for points (1927, 2).",
    ),
    (
        lambda: DATA.denoiser(FOUR)([0.0], 1),
        "x_t must have d = 2 on its last axis; got shape (1,).",
    ),
    (
        lambda: DATA.diffused(FOUR, [1, 2]),
        "diffused takes one step t; got shape (2,).",
    ),
    # reverse
    (
        lambda: reverse.var(FOUR, 2, "fixed"),
        "variance must be 'posterior' (beta_tilde_t), 'beta' (beta_t) or an array (T + 1,); got 'fixed'.",
    ),
    (
        lambda: reverse.var(FOUR, 2, None),
        "variance must be real numbers; got dtype object. Usual cause: None, strings or rows of unequal length in a "
        "list.",
    ),
    (
        lambda: reverse.var(FOUR, 2, np.ones(4)),
        "variance must have shape (T + 1,) = (5,), entry 0 unused; got (4,). One number for all steps? "
        "np.full(T + 1, number).",
    ),
    (
        lambda: reverse.var(FOUR, 2, [0.0, 0.0, 0.1, 0.0, 0.1]),
        "variance must be > 0 and finite at each t; got 0.0 at t = 3. A log-variance?",
    ),
    (
        lambda: reverse.var(FOUR, 2, [0.0, -1.0, 0.1, 0.1, 0.1]),
        "variance must be > 0 and finite at each t; got -1.0 at t = 1. A log-variance?",
    ),
    (
        lambda: reverse.interpolated_var(FOUR, np.ones(4)),
        "v must be one number or (T + 1,) = (5,); got (4,).",
    ),
    (
        lambda: reverse.interpolated_var(FOUR, [-0.5, 0.0, 0.5, 1.0, 0.5]),
        "v must lie in [0, 1]; got -0.5 to 1.0. An output in [-1, 1]? (output + 1) / 2.",
    ),
    (
        lambda: reverse.optimal_var(FOUR, np.ones(4)),
        "eps_loss must have shape (T + 1,) = (5,); got (4,).",
    ),
    (
        lambda: reverse.optimal_var(FOUR, [9.0, -0.2, 0.1, 0.3, 0.4]),
        "eps_loss must be >= 0 and finite at t = 1..T; got -0.2 to 0.4.",
    ),
    (
        lambda: reverse.optimal_var(FOUR, [-9.0, 0.9, 0.1, -0.3, 0.4]),
        "eps_loss must be >= 0 and finite at t = 1..T; got -0.3 to 0.9.",
    ),
    (
        lambda: reverse.decoder_var(FOUR, "beta_2"),
        "decoder_var must be 'beta_1', 'beta_tilde_2' or a number; got 'beta_2'.",
    ),
    (
        lambda: reverse.decoder_var(Schedule.constant(1, 0.1), "beta_tilde_2"),
        "decoder_var='beta_tilde_2' needs T >= 2; got T = 1. Use 'beta_1' or a number.",
    ),
    (
        lambda: reverse.decoder_var(FOUR, True),
        "decoder_var must be real numbers; got dtype bool. Masks are not numbers; convert with .astype(float) if you "
        "mean 0 and 1.",
    ),
    (
        lambda: reverse.decoder_var(FOUR, np.ones(5)),
        "decoder_var must be one number; got shape (5,). Variances of all steps? Entry 1.",
    ),
    (
        lambda: reverse.decoder_var(FOUR, 0.0),
        "decoder_var must be one number > 0; got 0.0.",
    ),
    # elbo
    (
        lambda: Bound(np.ones(3), None, np.ones(3), 2),
        "a Bound needs its terms, or their sum as `between`; got None for both.",
    ),
    (
        lambda: Bound(np.ones(3), np.ones((5, 3)), np.ones(3), 2, bins=256).bits_per_dim(std=2.0),
        "std is for densities; got one beside a code length of 256 bins, which has no unit.",
    ),
    (
        lambda: Bound(np.ones(3), np.ones((5, 3)), np.ones(3), 2).bits_per_dim(std=0.0),
        "std must be one finite number > 0, or one per coordinate, d = 2; got 0.0.",
    ),
    (
        lambda: elbo.random_step(FOUR, zero, X, rng(), probability=np.ones(4)),
        "probability must have shape (T + 1,) = (5,), entry 0 unused; got (4,).",
    ),
    (
        lambda: elbo.random_step(FOUR, zero, X, rng(), probability=[0.1, 0.2, 0.3, 0.4, 0.0]),
        "probability must be 0 at entry 0, > 0 at t = 1..T, where each step needs a chance, and sum to 1; got"
        " entry 0 = 0.1, least 0.0, sum 1.0.",
    ),
    (
        lambda: elbo.loss_aware_probability(np.ones((5, 2))),
        "mean_square must have shape (T + 1,); got (5, 2).",
    ),
    (
        lambda: elbo.random_step(FOUR, zero, X, rng(), probability=[0.0, -0.1, 0.3, 0.4, 0.4]),
        "probability must be 0 at entry 0, > 0 at t = 1..T, where each step needs a chance, and sum to 1; "
        "got entry 0 = 0.0, least -0.1, sum 1.0.",
    ),
    (
        lambda: elbo.loss_aware_probability([0.0, -1.0, 2.0, 3.0, 1.0]),
        "mean_square must be > 0 and finite at t = 1..T; got -1.0.",
    ),
    (
        lambda: elbo.loss_aware_probability([0.0, 1.0, -2.0, -3.0, 1.0]),
        "mean_square must be > 0 and finite at t = 1..T; got -2.0.",
    ),
    (
        lambda: elbo.ladder(FOUR, zero, X, rng(), group=2),
        "ladder needs at least two groups of 2 points; got 3 points.",
    ),
    (
        lambda: elbo.denoising_on_chain(FOUR, zero, np.zeros((4, 3, 2))),
        "chain must hold x_0..x_T, shape (T + 1, n, d) with T + 1 = 5; got (4, 3, 2). forward.walk returns one.",
    ),
    (
        lambda: elbo.denoising_on_chain(FOUR, zero, np.full((5, 3, 2), np.inf)),
        "chain[0] must be finite; got inf at [0, 0]. Drop or repair the row.",
    ),
    (
        lambda: elbo.consistency_term(FOUR, zero, X, X, X, 4),
        "a consistency term needs a next step: t runs over 1..T - 1; got t = T = 4.",
    ),
    (
        lambda: elbo.reconstruction_term(FOUR, zero, X, X, decoder="bernoulli"),
        "decoder must be 'gaussian' or 'discretized'; got 'bernoulli'.",
    ),
    (
        lambda: elbo.reconstruction_term(FOUR, zero, X, X, decoder="discretized", bins=1),
        "bins must be at least 2; got 1.",
    ),
    (
        lambda: elbo.discretized_log_likelihood([1 + 2 / 4], [0.0], 1.0, bins=5),
        "x must lie on the 5 values -1 + 2k/4; got 1.5. Data in 0..4? Scale to [-1, 1].",
    ),
    (
        lambda: elbo.discretized_log_likelihood([0.5], [0.0], 1.0, bins=4),
        "x must lie on the 4 values -1 + 2k/3; got 0.5. Data in 0..3? Scale to [-1, 1].",
    ),
    (
        lambda: elbo.discretized_log_likelihood([1.0], [0.0], [1.0, -2.0], bins=4),
        "std must be > 0; got -2.0.",
    ),
    (
        lambda: elbo.discretized_log_likelihood([1.0], [0.0, 0.0], 1.0, bins=4),
        "x and mean must have one shape (..., d); got (1,) and (2,).",
    ),
    (
        lambda: elbo.weight(Schedule.reciprocal(4), [3, 4]),
        "weight needs alpha_t > 0; got t = 4 with beta_t = 1, where eps says nothing of x_0. Use weight_x_0 there.",
    ),
    (
        lambda: elbo.weight_x_0(FOUR, 1, variance="posterior"),
        "a weight needs sigma_t^2 > 0; got 0 at t = 1, where beta_tilde_1 = 0: that step is the decoder's.",
    ),
    (
        lambda: elbo.min_snr_weight(FOUR, 2, gamma=-1.0),
        "gamma must be one number > 0; got -1.0.",
    ),
    # likelihood
    (
        lambda: likelihood.linear_denoiser(FOUR, np.ones(4), 0.0),
        "slope must be one finite number, or (T + 1,) = (5,) of them; got [1. 1. 1. 1.].",
    ),
    (
        lambda: likelihood.linear_denoiser(FOUR, 0.5, 0.1)(1.0, 1),
        "x_t must have shape (..., d); got the scalar 1.0. Write [1.0] for d = 1.",
    ),
    (
        lambda: likelihood.linear_denoiser(FOUR, 0.5, np.inf),
        "intercept must be one finite number, or (T + 1,) = (5,) of them; got inf.",
    ),
    (
        lambda: likelihood.linear_marginal(FOUR, 0.5, 0.0, d=1, t=[1, 2]),
        "linear_marginal takes one step t; got shape (2,).",
    ),
    (
        lambda: likelihood.mixture_bound(FOUR, [1.0]),
        "mixture must be a GaussianMixture; got list.",
    ),
    (
        lambda: likelihood.mixture_bound(FOUR, DATA, eps_loss=np.full(4, 0.5)),
        "eps_loss must have shape (T + 1,) = (5,), with entries in [0, 1]; got [0.5 0.5 0.5 0.5].",
    ),
    (
        lambda: likelihood.mixture_bound(FOUR, DATA, eps_loss=np.full(5, 2.0)),
        "eps_loss must have shape (T + 1,) = (5,), with entries in [0, 1]; got [2. 2. 2. 2. 2.].",
    ),
    (
        lambda: likelihood.effective_sample_size([-np.inf, -np.inf]),
        "effective_sample_size needs a weight > 0; got none.",
    ),
    (
        lambda: likelihood.importance_weighted_bound(np.zeros(6), 4),
        "k must divide the number of weights, 6; got 4.",
    ),
    (
        lambda: likelihood.log_mean_weight(np.empty((0, 2))),
        "log_weights must have shape (K, ...) with K >= 1; got (0, 2).",
    ),
    (
        lambda: likelihood.log_mean_weight([0.0, np.inf]),
        "log_weights must be numbers or -inf; got NaN or inf.",
    ),
    # network
    (
        lambda: MLP(2, time_dim=1, rng=rng()),
        "time_dim must be at least 2; got 1.",
    ),
    (
        lambda: MLP(2, time_dim=5, rng=rng()),
        "time_dim must be even, a sine and a cosine for each frequency; got 5.",
    ),
    (
        lambda: MLP(2, residual=1, rng=rng()),
        "residual must be True or False; got 1.",
    ),
    (
        lambda: MLP(2, dtype=np.float16, rng=rng()),
        "dtype must be float32, float64 or complex128; got float16.",
    ),
    (
        lambda: MLP.from_theta(np.zeros(3), **SMALL.config),
        "theta must be contiguous float64 of shape (38,); got float64 of shape (3,).",
    ),
    (
        lambda: SMALL(np.zeros((3, 3)), 1),
        "x must have shape (..., 2), this network's dim; got (3, 3).",
    ),
    (
        lambda: SMALL(["1", "2"], 1),
        "x must be real numbers; got dtype <U1. Convert to float first.",
    ),
    (
        lambda: SMALL(X, 1.0),
        "t must be an integer or integers; got dtype float64. Steps are counted 1..T.",
    ),
    (
        lambda: SMALL(X, [1, 2]),
        "t must be one integer or have one entry per point: shape (3,) beside points of shape (3, 2); got "
        "(2,). The last axis of the points is the event.",
    ),
    (
        lambda: SMALL(X[None], [1, 2]),
        "t must be one integer or have one entry per point: shape (1, 3) beside points of shape (1, 3, 2); got "
        "(2,). The last axis of the points is the event.",
    ),
    (
        lambda: SMALL(X, [1, 0, 2]),
        "t runs over 1..T; got 0. Zero-based steps, as in diffusers? Add 1.",
    ),
]


@pytest.mark.parametrize(("call", "answer"), ANSWERS, ids=[answer.partition(";")[0] for _, answer in ANSWERS])
def test_a_wrong_argument_is_answered_with_the_rule_and_the_value(call, answer):
    with pytest.raises((TypeError, ValueError, RuntimeError)) as refusal:
        call()
    assert str(refusal.value) == answer
