"""Bad input is refused at the door: one line that names rule and value, and nothing computed on a wrong axis."""

import warnings

import numpy as np
import pytest

from refdiff import bayes, elbo, forward, gaussian, likelihood, parameterize, reverse
from refdiff.elbo import Bound
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
X = np.ones((4, 4))  # n == d: the shape where a wrong axis does not show by itself
DATA = GaussianMixture([0.5, 0.5], np.array([[-1.0] * 4, [1.0] * 4]), 0.5)


WITH_A_NEXT_STEP = ["bayes.smoothing", "elbo.consistency_term", "elbo.consistency_term_integrated"]


def zero(x_t, t):
    return np.zeros_like(x_t)


ONE_POINT = {
    "forward.transition": lambda x, t: forward.transition(SCHEDULE, x, t),
    "forward.marginal": lambda x, t: forward.marginal(SCHEDULE, x, t),
    "forward.jump": lambda x, t: forward.jump(SCHEDULE, x, 0, t),
    "reverse.transition": lambda x, t: reverse.transition(SCHEDULE, zero, x, t),
    "reverse.ddim_transition": lambda x, t: reverse.ddim_transition(SCHEDULE, zero, x, 0, t),
    "mixture.denoiser": lambda x, t: DATA.denoiser(SCHEDULE)(x, t),
    "mixture.posterior_x_0": lambda x, t: DATA.posterior_x_0(SCHEDULE, x, t),
    "mixture.reverse_kernel": lambda x, t: DATA.reverse_kernel(SCHEDULE, x, t),
}
TWO_POINTS = {
    "forward.diffuse": lambda x, y, t: forward.diffuse(SCHEDULE, x, y, t),
    "bayes.posterior": lambda x, y, t: bayes.posterior(SCHEDULE, x, y, t),
    "bayes.posterior_from_eps": lambda x, y, t: bayes.posterior_from_eps(SCHEDULE, x, y, t),
    "bayes.posterior_from_precisions": lambda x, y, t: bayes.posterior_from_precisions(SCHEDULE, x, y, t),
    "bayes.quadratic_constant": lambda x, y, t: bayes.quadratic_constant(SCHEDULE, x, y, t),
    "bayes.log_c_2": lambda x, y, t: bayes.log_c_2(SCHEDULE, x, y, t),
    "bayes.smoothing": lambda x, y, t: bayes.smoothing(SCHEDULE, x, y, t),
    "elbo.denoising_term": lambda x, y, t: elbo.denoising_term(SCHEDULE, zero, x, y, t),
    "elbo.consistency_term_integrated": lambda x, y, t: elbo.consistency_term_integrated(SCHEDULE, zero, x, y, t),
    **{
        f"parameterize.{name}": lambda x, y, t, name=name: getattr(parameterize, name)(SCHEDULE, x, y, t)
        for name in parameterize.__all__
    },
}
THREE_POINTS = {"elbo.consistency_term": lambda x, y, z, t: elbo.consistency_term(SCHEDULE, zero, x, y, z, t)}
STEPPED = {
    **ONE_POINT,
    **{name: lambda x, t, f=f: f(x, x, t) for name, f in TWO_POINTS.items()},
    **{name: lambda x, t, f=f: f(x, x, x, t) for name, f in THREE_POINTS.items()},
}
WEIGHTS = ["weight", "weight_x_0", "weight_v", "weight_mean"]
SNR_WEIGHTS = ["min_snr_weight", "min_snr_weight_x_0", "min_snr_weight_v"]
ALONE = {
    "bayes.log_c_1": lambda t: bayes.log_c_1(SCHEDULE, 2, t),
    **{
        f"elbo.{name}": lambda t, name=name: getattr(elbo, name)(SCHEDULE, t)
        for name in ["kl_constant", "consistency_constant", "weight_from_snr", *WEIGHTS, *SNR_WEIGHTS]
    },
    "reverse.var": lambda t: reverse.var(SCHEDULE, t),
    "reverse.ddim_var": lambda t: reverse.ddim_var(SCHEDULE, 0, t, 1.0),
    "forward.covariance": lambda t: forward.covariance(SCHEDULE, 1, t),
    "likelihood.reverse_entropy_bounds": lambda t: likelihood.reverse_entropy_bounds(SCHEDULE, 2, t),
}
OF_POINTS = {
    "elbo.prior_term": lambda x: elbo.prior_term(SCHEDULE, x),
    "elbo.consistency_prior": lambda x: elbo.consistency_prior(SCHEDULE, x),
    "elbo.reconstruction_term": lambda x: elbo.reconstruction_term(SCHEDULE, zero, x, x),
    "elbo.discretized_log_likelihood": lambda x: elbo.discretized_log_likelihood(x, x, 1.0),
}
# From here on x_0 is a table (n, d). These draw: called as f(x_0, rng, denoiser=zero, **choices).
DECODED = {
    **{
        f"elbo.{name}": lambda x_0, rng, denoiser=zero, name=name, **choices: getattr(elbo, name)(
            SCHEDULE, denoiser, x_0, rng, **choices
        )
        for name in [
            "antithetic_form",
            "consistency_form",
            "consistency_form_integrated",
            "denoising_form",
            "mean_square_terms",
            "random_step",
            "stratified_step",
            "undecomposed",
        ]
    },
    "likelihood.ais": lambda x_0, rng, denoiser=zero, **choices: likelihood.ais(
        SCHEDULE, denoiser, x_0, rng, 2, **choices
    ),
}
WITH_VARIANCE = {
    **DECODED,
    "elbo.ladder": lambda x_0, rng, denoiser=zero, **choices: elbo.ladder(
        SCHEDULE, denoiser, x_0, rng, group=2, **choices
    ),
    **{
        f"elbo.{name}": lambda x_0, rng, denoiser=zero, name=name, **choices: [
            term for _, term in getattr(elbo, name)(SCHEDULE, denoiser, x_0, rng, **choices)
        ]
        for name in ["consistency_terms", "consistency_terms_integrated", "denoising_terms"]
    },
}
DRAWN = {
    **WITH_VARIANCE,
    "elbo.simple_loss": lambda x_0, rng, denoiser=zero: elbo.simple_loss(SCHEDULE, denoiser, x_0, rng),
    "reverse.eps_loss": lambda x_0, rng, denoiser=zero: reverse.eps_loss(SCHEDULE, denoiser, x_0, rng),
}
LINEAR = {  # f(x_0, slope, intercept, **choices)
    f"likelihood.{name}": lambda x_0, slope=0.5, intercept=0.1, name=name, **choices: getattr(likelihood, name)(
        SCHEDULE, slope, intercept, x_0, **choices
    )
    for name in [
        "linear_bound",
        "linear_consistency_bound",
        "linear_gap",
        "linear_log_density",
        "linear_log_second_moment",
    ]
}
ON_CHAIN = {  # f(chain, denoiser=zero, **choices)
    f"elbo.{name}": lambda chain, denoiser=zero, name=name, **choices: getattr(elbo, name)(
        SCHEDULE, denoiser, chain, **choices
    )
    for name in ["consistency_on_chain", "denoising_kl_on_chain", "denoising_on_chain", "undecomposed_on_chain"]
}
LOG_WEIGHTS = {
    "likelihood.effective_sample_size": likelihood.effective_sample_size,
    "likelihood.importance_weighted_bound": lambda log_weights: likelihood.importance_weighted_bound(log_weights, 1),
    "likelihood.log_mean_weight": likelihood.log_mean_weight,
}
ONE_BY_ONE = {  # each has a test of its own below
    "elbo.loss_aware_probability",
    "likelihood.linear_denoiser",
    "likelihood.linear_marginal",
    "likelihood.mixture_bound",
    "reverse.ancestral",
    "reverse.ddim",
    "reverse.ddim_path",
    "reverse.decoder_var",
    "reverse.dpmpp_2m",
    "reverse.dpmpp_2m_path",
    "reverse.dpmpp_2m_step",
    "reverse.edm_steps",
    "reverse.even_steps",
    "reverse.heun",
    "reverse.heun_path",
    "reverse.heun_step",
    "reverse.interpolated_var",
    "reverse.log_snr_steps",
    "reverse.optimal_var",
    "reverse.prior",
    "reverse.sample",
}


def rng_0():
    return np.random.default_rng(0)


def numbers(out):
    """Return what a function computed, as arrays."""
    return (out,) if isinstance(out, np.ndarray | np.float64) else (out.mean, out.var)


def refused(error, call, *, names=None):
    """Assert that the call raises `error` with one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            call()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    if names is not None:
        assert names in message, message


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("t", [0, 5, -1, np.int64(0), [1, 2, 0, 3], [1, 2, 3, 5]], ids=str)
def test_a_step_outside_1_to_T_is_refused(name, t):
    refused(ValueError, lambda: STEPPED[name](X, t), names="got")


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("t", [2.0, 2.5, True, np.True_, "2", None, [1.0, 2.0, 3.0, 4.0], [True] * 4], ids=str)
def test_a_step_that_is_no_integer_is_refused(name, t):
    refused(TypeError, lambda: STEPPED[name](X, t))


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("t", [[2, 2], [[2, 2, 2, 2]], [[2], [2], [2], [2]], [[2] * 4] * 4], ids=str)
def test_steps_that_are_not_one_per_point_are_refused_also_where_n_is_d(name, t):
    refused(ValueError, lambda: STEPPED[name](X, t), names="shape")


@pytest.mark.parametrize("name", STEPPED)
def test_one_step_per_point_runs_along_the_points_and_not_along_the_coordinates(name):
    t = np.array([2, 3, 2, 3])
    x = np.arange(16.0).reshape(4, 4) / 8
    if name in WITH_A_NEXT_STEP:
        t = np.array([1, 2, 3, 2])

    whole = STEPPED[name](x, t)
    for i in range(4):
        alone = STEPPED[name](x[i], int(t[i]))
        for of_whole, of_one in zip(numbers(whole), numbers(alone)):
            np.testing.assert_allclose(of_whole[i], of_one, rtol=1e-13)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("t", [0, 5, -1])
def test_a_step_alone_outside_1_to_T_is_refused(name, t):
    refused(ValueError, lambda: ALONE[name](t), names=str(t))


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("t", [2.0, True, None, "2"])
def test_a_step_alone_that_is_no_integer_is_refused(name, t):
    refused(TypeError, lambda: ALONE[name](t))


@pytest.mark.parametrize("name", TWO_POINTS)
@pytest.mark.parametrize("other", [np.ones((4, 1)), np.ones(4), np.ones((1, 4)), np.ones((4, 3)), np.ones((2, 4, 4))])
def test_two_points_of_different_shapes_are_refused_even_where_they_would_broadcast(name, other):
    refused(ValueError, lambda: TWO_POINTS[name](X, other, 2), names="shape")


BAD_ARRAYS = {
    "object": np.array([[1.0, None]], dtype=object),
    "complex": np.array([[1j, 2.0]]),
    "masked": np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]]),
    "text": np.array([["1", "2"]]),
    "bool": np.array([[True, False]]),
    "ragged": [[1.0, 2.0], [3.0]],
    "None": None,
}


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_points_that_are_no_real_numbers_are_refused(name, kind):
    refused(TypeError, lambda: STEPPED[name](BAD_ARRAYS[kind], 2))


@pytest.mark.parametrize("name", STEPPED)
def test_a_scalar_is_no_point(name):
    refused(ValueError, lambda: STEPPED[name](1.0, 2), names="(..., d)")


@pytest.mark.parametrize(
    "beta",
    [[], [[0.1, 0.2]], 0.1, [0.0], [1.0], [0.1, 1.0, 0.1], [-0.1], [1.5], [0.1, np.nan], [np.inf], [0.1, 1.0]],
    ids=str,
)
def test_betas_outside_0_to_1_empty_or_not_one_dimensional_are_refused(beta):
    refused(ValueError, lambda: Schedule.from_betas(beta), names="beta")


def test_the_first_bad_beta_is_named_with_the_step_of_the_paper():
    refused(ValueError, lambda: Schedule.from_betas([0.1, 0.2, 1.7]), names="beta_3 = 1.7")


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_betas_that_are_no_real_numbers_are_refused(kind):
    refused(TypeError, lambda: Schedule.from_betas(BAD_ARRAYS[kind]))


@pytest.mark.parametrize(
    "maker", [Schedule.linear, Schedule.cosine, Schedule.vp, Schedule.reciprocal, Schedule.sigmoid]
)
@pytest.mark.parametrize(("T", "error"), [(0, ValueError), (-1, ValueError), (10.0, TypeError), (True, TypeError)])
def test_a_number_of_steps_that_is_no_positive_integer_is_refused(maker, T, error):
    refused(error, lambda: maker(T), names="T")


def test_ranges_that_make_no_schedule_are_refused():
    for call in (
        lambda: Schedule.linear(10, 0.0, 0.1),
        lambda: Schedule.linear(10, 0.1, 1.0),
        lambda: Schedule.linear(10, 0.1, np.nan),
        lambda: Schedule.scaled_linear(10, -0.1, 0.1),
        lambda: Schedule.sigmoid(10, 0.1, 2.0),
        lambda: Schedule.constant(10, 1.0),
        lambda: Schedule.cosine(10, s=-1.0),
        lambda: Schedule.cosine(10, max_beta=1.0),
        lambda: Schedule.vp(10, 0.0, 1.0),
        lambda: Schedule.vp(10, 2.0, 1.0),
        lambda: SCHEDULE.respace([0, 1]),
        lambda: SCHEDULE.respace([2, 2]),
        lambda: SCHEDULE.respace([3, 1]),
        lambda: SCHEDULE.respace([5]),
        lambda: SCHEDULE.respace([]),
        lambda: SCHEDULE.respace(5),
        lambda: Schedule.constant(1, 0.1).zero_terminal_snr(),
    ):
        refused((ValueError, TypeError), call)
    refused(TypeError, lambda: SCHEDULE.respace([1.0, 2.0]))


@pytest.mark.parametrize("var", [0.0, -1.0, np.nan, [1.0, 0.0], [1.0, -2.0]], ids=str)
def test_a_variance_that_is_not_positive_is_refused(var):
    refused(ValueError, lambda: Gaussian([0.0, 0.0], var), names="var must be > 0")


def test_a_point_mass_has_no_density_entropy_or_divergence():
    point = Gaussian([0.0], 0.0, point_mass=True)
    broad = Gaussian([0.0], 1.0)
    for call in (
        lambda: point.log_density([0.0]),
        point.entropy,
        lambda: gaussian.kl(point, broad),
        lambda: gaussian.kl(broad, point),
        lambda: gaussian.cross_entropy(broad, point),
        lambda: gaussian.product(point, broad),
    ):
        refused(ValueError, call, names="var > 0")


def test_gaussians_of_other_shapes_are_refused():
    refused(ValueError, lambda: Gaussian(np.zeros((3, 2)), np.ones(3)), names="[..., None]")
    refused(ValueError, lambda: Gaussian(np.zeros((3, 2)), np.ones((5, 3, 2))))
    refused(ValueError, lambda: Gaussian([0.0, 0.0], 1.0).log_density([[1.0]]))
    refused(ValueError, lambda: gaussian.kl(Gaussian([0.0], 1.0), Gaussian([0.0, 0.0], 1.0)))
    refused(TypeError, lambda: gaussian.kl(Gaussian([0.0], 1.0), 1.0))
    refused(ValueError, lambda: gaussian.kl_equal_var(Gaussian([0.0], 1.0), Gaussian([0.0], 2.0)), names="constant")
    refused(ValueError, lambda: gaussian.linear_combination(1, Gaussian([0.0], 1.0), 1, Gaussian([0.0], 1.0), cov=2.0))
    refused(ValueError, lambda: gaussian.from_natural(-1.0, [1.0]))


def test_covariances_that_are_none_are_refused():
    refused(ValueError, lambda: FullGaussian([0.0, 0.0], [[1.0, 0.0], [0.5, 1.0]]), names="symmetric")
    refused(ValueError, lambda: FullGaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), names="-1")
    refused(ValueError, lambda: FullGaussian([0.0, 0.0], [[1.0, np.nan], [np.nan, 1.0]]))
    refused(ValueError, lambda: FullGaussian([0.0, 0.0], np.eye(3)))
    joint = FullGaussian([0.0, 0.0], np.eye(2))
    for known, value in (
        ([], []),
        ([0, 1], [0.0, 0.0]),
        ([2], [0.0]),
        ([-1], [0.0]),
        ([0, 0], [0.0, 0.0]),
        ([0], [1.0, 2.0]),
    ):
        refused(ValueError, lambda known=known, value=value: joint.condition(known, value))


def test_mixtures_that_are_none_are_refused():
    refused(ValueError, lambda: GaussianMixture([0.5, 0.6], [[0.0], [1.0]], 1.0), names="sum to 1")
    refused(ValueError, lambda: GaussianMixture([1.5, -0.5], [[0.0], [1.0]], 1.0))
    refused(ValueError, lambda: GaussianMixture([1.0], [[0.0]], 0.0), names="> 0")
    refused(ValueError, lambda: GaussianMixture([1.0], [[0.0]], np.nan))
    refused(ValueError, lambda: GaussianMixture([1.0], [[np.nan]], 1.0))
    refused(ValueError, lambda: GaussianMixture([1.0], [0.0], 1.0))
    refused(ValueError, lambda: GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [1.0, 1.0, 1.0]))
    refused(ValueError, lambda: DATA.log_density([[1.0]]), names="d = 4")


NO_GENERATORS = {
    "None": None,
    "a seed": 0,
    "the module": np.random,
    "RandomState": np.random.RandomState(0),
    "SeedSequence": np.random.SeedSequence(0),
}


@pytest.mark.parametrize("rng", NO_GENERATORS.values(), ids=NO_GENERATORS)
def test_randomness_that_is_no_generator_is_refused(rng):
    for call in (
        lambda: Gaussian([0.0], 1.0).sample(rng),
        lambda: forward.walk(SCHEDULE, X, rng),
        lambda: DATA.sample(3, rng),
        lambda: DATA.posterior_x_0(SCHEDULE, X, 2).sample(rng),
        lambda: reverse.sample(SCHEDULE, zero, 2, 2, rng),
        lambda: next(reverse.ancestral(SCHEDULE, zero, X, rng)),
        lambda: FullGaussian([0.0, 0.0], np.eye(2)).sample(2, rng),
    ):
        refused(TypeError, call, names="numpy.random.default_rng(seed)")


def test_denoisers_that_are_none_are_refused():
    refused(TypeError, lambda: reverse.transition(SCHEDULE, None, X, 2), names="callable")
    refused(TypeError, lambda: reverse.transition(SCHEDULE, lambda x, t: None, X, 2))
    refused(ValueError, lambda: reverse.transition(SCHEDULE, lambda x, t: x[:, :1], X, 2), names="shape")


def test_choices_by_another_name_are_refused():
    refused(ValueError, lambda: reverse.transition(SCHEDULE, zero, X, 2, variance="small"), names="'small'")
    for number in (0.0, -1.0, np.nan, np.inf):
        refused(ValueError, lambda n=number: reverse.decoder_var(SCHEDULE, n))
    refused(ValueError, lambda: reverse.decoder_var(Schedule.constant(1, 0.5), "beta_tilde_2"), names="T >= 2")


def test_data_that_are_not_on_the_bins_are_refused():
    for bad in ([0.3], [128.0], [-1.5], [np.nan]):
        refused(ValueError, lambda bad=bad: elbo.discretized_log_likelihood(bad, [0.0], 1.0), names="[-1, 1]")
    refused(ValueError, lambda: elbo.discretized_log_likelihood([1.0], [0.0], 0.0))
    refused(ValueError, lambda: elbo.discretized_log_likelihood([1.0], [0.0, 0.0], 1.0))
    refused(ValueError, lambda: elbo.discretized_log_likelihood([1.0], [0.0], 1.0, bins=1))


def test_a_jump_backwards_is_refused():
    refused(ValueError, lambda: forward.jump(SCHEDULE, X, 2, 2), names="s must be below t")
    refused(ValueError, lambda: forward.jump(SCHEDULE, X, [1, 1, 1, 3], [2, 2, 2, 2]))


def test_steps_at_which_a_formula_has_no_meaning_are_refused():
    for name in ("bayes.posterior_from_precisions", "bayes.quadratic_constant", "bayes.log_c_2", "elbo.denoising_term"):
        refused(ValueError, lambda f=STEPPED[name]: f(X, 1), names="2..4")
    for name in WITH_A_NEXT_STEP:
        refused(ValueError, lambda f=STEPPED[name]: f(X, 4), names="T - 1")
        refused(ValueError, lambda f=STEPPED[name]: f(X, [1, 2, 4, 3]), names="T - 1")
    for name in WEIGHTS:
        for t in (1, [2, 1]):
            refused(ValueError, lambda name=name, t=t: getattr(elbo, name)(SCHEDULE, t, "posterior"), names="t = 1")
    for name in ("elbo.kl_constant", "elbo.weight_from_snr", "likelihood.reverse_entropy_bounds"):
        for t in (1, [2, 1]):
            refused(ValueError, lambda f=ALONE[name], t=t: f(t), names="2..4")


def test_pure_noise_says_nothing_of_x_0():
    schedule = Schedule.reciprocal(4)
    for call in (
        lambda: parameterize.x_0_from_eps(schedule, X, X, 4),
        lambda: parameterize.v_from_eps(schedule, X, X, 4),
        lambda: parameterize.mean_from_eps(schedule, X, X, 4),
        lambda: parameterize.x_0_from_score(schedule, X, X, 4),
        lambda: parameterize.eps_from_mean(schedule, X, X, 4),
        lambda: bayes.posterior_from_eps(schedule, X, X, 4),
        lambda: reverse.sample(schedule, zero, 2, 2, np.random.default_rng(0)),
        lambda: elbo.weight(schedule, 4),
    ):
        refused(ValueError, call, names="t = 4")


def test_a_schedule_cannot_be_written_to_and_keeps_no_reference():
    beta = np.array([0.1, 0.2])
    schedule = Schedule.from_betas(beta)
    beta[0] = 0.9
    assert schedule.beta[1] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        schedule.beta[1] = 0.5


def test_the_caller_s_arrays_are_never_written_to():
    x = np.ones((3, 2))
    x.flags.writeable = False
    rng = np.random.default_rng(0)
    forward.walk(SCHEDULE, x, rng)
    bayes.posterior(SCHEDULE, x, x, 2)


def test_every_function_of_the_bound_is_tried_with_bad_input():
    tried = {*STEPPED, *ALONE, *OF_POINTS, *DRAWN, *LINEAR, *ON_CHAIN, *LOG_WEIGHTS, *ONE_BY_ONE}
    for module in (elbo, likelihood, reverse):
        for name in module.__all__:
            if not isinstance(getattr(module, name), type):
                assert f"{module.__name__.removeprefix('refdiff.')}.{name}" in tried


@pytest.mark.parametrize("name", OF_POINTS)
@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_points_without_a_step_that_are_no_real_numbers_are_refused(name, kind):
    refused(TypeError, lambda: OF_POINTS[name](BAD_ARRAYS[kind]))


@pytest.mark.parametrize("name", OF_POINTS)
def test_a_scalar_without_a_step_is_no_point(name):
    refused(ValueError, lambda: OF_POINTS[name](1.0), names="(..., d)")


NO_TABLES = {
    "(4,)": np.ones(4),
    "()": np.float64(1.0),
    "(1, 4, 4)": np.ones((1, 4, 4)),
    "(0, 4)": np.ones((0, 4)),
    "(4, 0)": np.ones((4, 0)),
}


@pytest.mark.parametrize("name", [*DRAWN, *LINEAR])
@pytest.mark.parametrize("shape", NO_TABLES)
def test_data_that_are_no_table_are_refused(name, shape):
    args = (rng_0(),) if name in DRAWN else ()
    refused(ValueError, lambda: {**DRAWN, **LINEAR}[name](NO_TABLES[shape], *args), names="x_0 must have")


@pytest.mark.parametrize("name", [*DRAWN, *LINEAR])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_data_that_are_not_finite_are_refused_and_the_place_is_named(name, number):
    x_0 = X.copy()
    x_0[2, 3] = number
    args = (rng_0(),) if name in DRAWN else ()
    refused(ValueError, lambda: {**DRAWN, **LINEAR}[name](x_0, *args), names="[2, 3]")


@pytest.mark.parametrize("name", [*DRAWN, *LINEAR])
@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_data_that_are_no_real_numbers_are_refused(name, kind):
    args = (rng_0(),) if name in DRAWN else ()
    refused(TypeError, lambda: {**DRAWN, **LINEAR}[name](BAD_ARRAYS[kind], *args))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("rng", NO_GENERATORS.values(), ids=NO_GENERATORS)
def test_an_estimator_s_randomness_that_is_no_generator_is_refused(name, rng):
    refused(TypeError, lambda: DRAWN[name](X, rng), names="numpy.random.default_rng(seed)")


BAD_DENOISERS = {  # the error, and what it says
    "returns None": (lambda x, t: None, TypeError, "denoiser(x_t, t)"),
    "returns another shape": (lambda x, t: x[:, :1], ValueError, "shape"),
    "returns a batch more": (lambda x, t: np.zeros((1, *x.shape)), ValueError, "shape"),
    "returns a number": (lambda x, t: 0.0, ValueError, "denoiser(x_t, t)"),
    "returns complex numbers": (lambda x, t: x + 1j, TypeError, "denoiser(x_t, t)"),
    "returns a masked array": (lambda x, t: np.ma.masked_array(x), TypeError, "denoiser(x_t, t)"),
    "is None": (None, TypeError, "eps_hat = denoiser(x_t, t)"),
    "is an array": (np.zeros((4, 4)), TypeError, "eps_hat = denoiser(x_t, t)"),
}


@pytest.mark.parametrize("name", [*sorted(DRAWN.keys() - {"elbo.ladder"}), *ON_CHAIN])
@pytest.mark.parametrize("kind", BAD_DENOISERS)
def test_a_bound_of_a_denoiser_that_is_none_is_refused(name, kind):
    denoiser, error, message = BAD_DENOISERS[kind]
    if name in DRAWN:
        refused(error, lambda: DRAWN[name](X, rng_0(), denoiser), names=message)
    else:
        refused(error, lambda: ON_CHAIN[name](np.ones((5, 4, 4)), denoiser), names=message)


MANY = np.full((64, 4), 0.3)  # so many that one random step each meets every t; on the values of no bins


def with_choices(name, **choices):
    """Call a function that takes variance, decoder_var and perhaps a decoder."""
    if name in WITH_VARIANCE:
        return WITH_VARIANCE[name](MANY, rng_0(), **choices)
    return LINEAR[name](MANY, **choices) if name in LINEAR else ON_CHAIN[name](np.ones((5, 4, 4)), **choices)


BAD_VARIANCES = {
    "another name": ("small", ValueError, "'small'"),
    "the name of an array": ("beta_tilde", ValueError, "'beta_tilde'"),
    "None": (None, TypeError, "variance"),
    "one number": (0.1, ValueError, "np.full"),
    "T of them": (np.full(4, 0.1), ValueError, "shape (T + 1,)"),
    "T + 2 of them": (np.full(6, 0.1), ValueError, "shape (T + 1,)"),
    "a row": (np.full((1, 5), 0.1), ValueError, "shape (T + 1,)"),
    "negative": ([0, 0.1, 0.1, -0.1, 0.1], ValueError, "-0.1 at t = 3"),
    "negative at t = 1": ([0, -0.1, 0.1, 0.1, 0.1], ValueError, "-0.1 at t = 1"),
    "zero": ([0, 0.1, 0.1, 0.1, 0], ValueError, "0.0 at t = 4"),
    "NaN": ([0, 0.1, np.nan, 0.1, 0.1], ValueError, "nan at t = 2"),
    "infinite": ([0, 0.1, np.inf, 0.1, 0.1], ValueError, "inf at t = 2"),
    "masked": (np.ma.masked_array(np.full(5, 0.1), mask=[0, 1, 0, 0, 0]), TypeError, "masked"),
    "bool": ([True] * 5, TypeError, "variance"),
}


@pytest.mark.parametrize("name", [*WITH_VARIANCE, *LINEAR, *ON_CHAIN])
@pytest.mark.parametrize("kind", BAD_VARIANCES)
def test_a_variance_of_the_reverse_steps_that_is_none_is_refused(name, kind):
    variance, error, message = BAD_VARIANCES[kind]
    refused(error, lambda: with_choices(name, variance=variance), names=message)


@pytest.mark.parametrize("kind", BAD_VARIANCES)
def test_such_a_variance_is_refused_for_one_step_too(kind):
    variance, error, message = BAD_VARIANCES[kind]
    x, rng = X[:1], rng_0()
    for call in (
        lambda: reverse.var(SCHEDULE, 2, variance),
        lambda: reverse.transition(SCHEDULE, zero, x, 2, variance),
        lambda: next(reverse.ancestral(SCHEDULE, zero, x, rng, variance)),
        lambda: reverse.sample(SCHEDULE, zero, 2, 2, rng, variance),
        lambda: elbo.denoising_term(SCHEDULE, zero, x, x, 2, variance),
        lambda: elbo.consistency_term(SCHEDULE, zero, x, x, x, 2, variance),
        lambda: elbo.consistency_term_integrated(SCHEDULE, zero, x, x, 2, variance),
        lambda: elbo.kl_constant(SCHEDULE, 2, variance),
        lambda: likelihood.linear_marginal(SCHEDULE, 0.5, 0.1, 2, variance=variance),
        lambda: likelihood.mixture_bound(SCHEDULE, ONE_D, variance),
        *(lambda name=name: getattr(elbo, name)(SCHEDULE, 2, variance) for name in WEIGHTS),
    ):
        refused(error, call, names=message)


@pytest.mark.parametrize("name", [*DECODED, "elbo.ladder", *LINEAR, *ON_CHAIN])
@pytest.mark.parametrize(
    ("var", "error"),
    [
        ("beta_2", ValueError),
        ("0.1", ValueError),
        (0.0, ValueError),
        (-1.0, ValueError),
        (np.nan, ValueError),
        (np.inf, ValueError),
        ([0.1], ValueError),
        ([0.1] * 5, ValueError),
        (None, TypeError),
        (True, TypeError),
        (1j, TypeError),
    ],
    ids=str,
)
def test_a_variance_of_the_decoder_that_is_none_is_refused(name, var, error):
    refused(error, lambda: with_choices(name, decoder_var=var), names="decoder_var")


@pytest.mark.parametrize("name", [*DECODED, *ON_CHAIN])
def test_decoders_by_another_name_and_data_or_numbers_that_are_no_bins_are_refused(name):
    refused(ValueError, lambda: with_choices(name, decoder="laplace"), names="'laplace'")
    refused(ValueError, lambda: with_choices(name, decoder="discretized", bins=1), names="bins must be at least 2")
    for bins in (256.0, True, None, "256"):
        refused(TypeError, lambda bins=bins: with_choices(name, decoder="discretized", bins=bins), names="bins")
    if name in DECODED:
        refused(ValueError, lambda: with_choices(name, decoder="discretized"), names="[-1, 1]")


def test_probabilities_of_steps_that_are_none_are_refused():
    for bad in (
        np.full(4, 0.25),
        np.full(6, 1 / 6),
        np.full(5, 0.2),  # a chance for t = 0
        [0, 0.5, 0.5, 0, 0],
        [0, 0.3, 0.3, 0.3, 0.3],
        [0, -0.1, 0.3, 0.4, 0.4],
        [0, np.nan, 0.3, 0.3, 0.4],
    ):
        refused(
            ValueError,
            lambda bad=bad: elbo.random_step(SCHEDULE, zero, X, rng_0(), probability=bad),
            names="probability",
        )
    refused(TypeError, lambda: elbo.random_step(SCHEDULE, zero, X, rng_0(), probability="uniform"), names="probability")
    for bad in (1.0, [], [1.0], [[0.0, 1.0]], [0, 1, 0], [0, 1, -1], [0, 1, np.nan], [0, np.inf, 1]):
        refused(ValueError, lambda bad=bad: elbo.loss_aware_probability(bad), names="mean_square")
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: elbo.loss_aware_probability(BAD_ARRAYS[kind]))


def test_a_ladder_of_too_few_points_or_groups_that_are_none_is_refused():
    refused(ValueError, lambda: elbo.ladder(SCHEDULE, zero, np.ones((127, 1)), rng_0()), names="127 points")
    refused(ValueError, lambda: elbo.ladder(SCHEDULE, zero, X, rng_0(), group=3), names="two groups of 3")
    refused(ValueError, lambda: elbo.ladder(SCHEDULE, zero, X, rng_0(), group=1), names="group must be at least 2")
    for group in (2.0, True, None):
        refused(TypeError, lambda group=group: elbo.ladder(SCHEDULE, zero, X, rng_0(), group=group), names="group")


def test_numbers_of_chains_or_coordinates_that_are_none_are_refused():
    for call, name in (
        (lambda n: likelihood.ais(SCHEDULE, zero, X, rng_0(), n), "n_chains"),
        (lambda n: likelihood.linear_marginal(SCHEDULE, 0.5, 0.1, n), "d"),
        (lambda n: likelihood.reverse_entropy_bounds(SCHEDULE, n, 2), "d"),
        (lambda n: likelihood.importance_weighted_bound(np.zeros(4), n), "k"),
        (lambda n: reverse.prior(n, 2), "n"),
        (lambda n: reverse.prior(2, n), "d"),
        (lambda n: reverse.sample(SCHEDULE, zero, n, 2, rng_0()), "n"),
    ):
        for bad in (0, -1):
            refused(ValueError, lambda call=call, bad=bad: call(bad), names=f"{name} must be at least 1")
        for bad in (2.0, True, None, "2"):
            refused(TypeError, lambda call=call, bad=bad: call(bad), names=f"{name} must be an integer")


@pytest.mark.parametrize("name", SNR_WEIGHTS)
def test_a_gamma_that_is_not_positive_is_refused(name):
    for gamma in (0.0, -1.0, np.nan, np.inf, [5.0]):
        refused(ValueError, lambda gamma=gamma: getattr(elbo, name)(SCHEDULE, 2, gamma), names="gamma")
    refused(TypeError, lambda: getattr(elbo, name)(SCHEDULE, 2, None), names="gamma")


ONE_D = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.5)


def test_a_share_of_the_variances_outside_0_to_1_is_refused():
    for v in (
        -0.1,
        1.1,
        np.nan,
        [0.5] * 4,
        [0.5] * 6,
        [[0.5] * 5],
        [0.5, 0.5, 0.5, 0.5, 2.0],
        [0, 0.5, np.nan, 0.5, 0.5],
    ):
        refused(ValueError, lambda v=v: reverse.interpolated_var(SCHEDULE, v), names="v must")
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: reverse.interpolated_var(SCHEDULE, BAD_ARRAYS[kind]))


def test_losses_that_no_denoiser_has_are_refused():
    for bad in (
        0.5,
        [0.5] * 4,
        [[0.5] * 5],
        [0, 0.5, np.inf, 0.5, 0.5],
        [0, 0.5, -0.1, 0.5, 0.5],
        [0, 0.5, np.nan, 0.5, 0.5],
    ):
        refused(ValueError, lambda bad=bad: reverse.optimal_var(SCHEDULE, bad), names="eps_loss")
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: reverse.optimal_var(SCHEDULE, BAD_ARRAYS[kind]))


def test_quadrature_in_three_dimensions_is_refused():
    data = GaussianMixture([1.0], [[0.0, 0.0, 0.0]], 1.0)
    for call in (
        lambda: data.expectation(lambda x: x[:, 0]),
        data.entropy,
        lambda: data.eps_loss(SCHEDULE),
        lambda: likelihood.mixture_bound(SCHEDULE, data),
    ):
        refused(ValueError, call, names="d <= 2; got d = 3")


def test_a_quadrature_that_does_not_settle_says_so():
    narrow = GaussianMixture([0.5, 0.5], [[0.0], [1e6]], 1e-4)  # a grid that resolves both has 2e8 points
    refused(RuntimeError, narrow.entropy, names="too narrow")
    refused(RuntimeError, lambda: ONE_D.expectation(lambda x: x[:, 0] > 0.1, tolerance=1e-14), names="not smooth")


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("argument", ["slope", "intercept"])
def test_slopes_and_intercepts_that_are_not_one_finite_number_per_step_are_refused(name, argument):
    for bad in (np.nan, np.inf, [0.5] * 4, [[0.5] * 5], [0.5, 0.5, 0.5, np.nan, 0.5]):
        refused(ValueError, lambda bad=bad: LINEAR[name](X, **{argument: bad}), names=argument)
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: LINEAR[name](X, **{argument: BAD_ARRAYS[kind]}))


def test_slopes_and_intercepts_that_are_none_make_no_denoiser_and_no_marginal():
    for bad in (np.nan, np.inf, [0.5] * 4, [[0.5] * 5]):
        for call in (
            lambda bad=bad: likelihood.linear_denoiser(SCHEDULE, bad, 0.1),
            lambda bad=bad: likelihood.linear_marginal(SCHEDULE, bad, 0.1, 2),
        ):
            refused(ValueError, call, names="slope")
        for call in (
            lambda bad=bad: likelihood.linear_denoiser(SCHEDULE, 0.5, bad),
            lambda bad=bad: likelihood.linear_marginal(SCHEDULE, 0.5, bad, 2),
        ):
            refused(ValueError, call, names="intercept")
    denoiser = likelihood.linear_denoiser(SCHEDULE, 0.5, 0.1)
    for t in (0, 5, [1, 2, 0, 3], [2, 2], np.full((4, 4), 2)):
        refused(ValueError, lambda t=t: denoiser(X, t))
    for t in (2.0, True, None):
        refused(TypeError, lambda t=t: denoiser(X, t))


def test_a_marginal_at_more_than_one_step_or_none_is_refused():
    for t in (-1, 5, [1, 2]):
        refused(ValueError, lambda t=t: likelihood.linear_marginal(SCHEDULE, 0.5, 0.1, 2, t))
    for t in (1.0, True, None):
        refused(TypeError, lambda t=t: likelihood.linear_marginal(SCHEDULE, 0.5, 0.1, 2, t))


@pytest.mark.parametrize("name", LOG_WEIGHTS)
def test_logarithms_of_weights_that_are_none_are_refused(name):
    for bad in (0.0, [], np.zeros((0, 3)), [np.nan], [0.0, np.inf]):
        refused(ValueError, lambda bad=bad: LOG_WEIGHTS[name](bad), names="log_weights")
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: LOG_WEIGHTS[name](BAD_ARRAYS[kind]))


def test_groups_that_do_not_divide_the_weights_and_weights_that_are_all_0_are_refused():
    refused(ValueError, lambda: likelihood.importance_weighted_bound(np.zeros(4), 3), names="must divide")
    refused(ValueError, lambda: likelihood.importance_weighted_bound(np.zeros(4), 8), names="must divide")
    refused(ValueError, lambda: likelihood.effective_sample_size([-np.inf, -np.inf]), names="a weight > 0")


@pytest.mark.parametrize("name", ON_CHAIN)
def test_chains_that_are_none_are_refused(name):
    for shape in ((4, 3, 2), (6, 3, 2), (5, 3), (5,), (1, 5, 3, 2)):
        refused(ValueError, lambda shape=shape: ON_CHAIN[name](np.ones(shape)), names="T + 1 = 5")
    for kind in BAD_ARRAYS:
        refused(TypeError, lambda kind=kind: ON_CHAIN[name](BAD_ARRAYS[kind]))


def test_a_bound_without_terms_or_with_units_that_are_none_is_refused():
    refused(ValueError, lambda: Bound(np.zeros(2), None, np.zeros(2), 1), names="between")
    bound = Bound(np.ones(3), np.ones((5, 3)), np.ones(3), 2)
    for std in (0.0, -1.0, np.nan, [1.0], [1.0, 2.0, 3.0], [[1.0, 2.0]], [1.0, 0.0]):
        refused(ValueError, lambda std=std: bound.bits_per_dim(std), names="std")
    for kind in BAD_ARRAYS.keys() - {"None"}:  # no std at all is the default
        refused(TypeError, lambda kind=kind: bound.bits_per_dim(BAD_ARRAYS[kind]))
    coded = Bound(np.ones(3), np.ones((5, 3)), np.ones(3), 2, bins=256)
    refused(ValueError, lambda: coded.bits_per_dim(1.0), names="256 bins")


def read_only(array):
    array = np.array(array, dtype=float)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("name", [*STEPPED, *OF_POINTS, *DRAWN, *LINEAR, *ON_CHAIN, *LOG_WEIGHTS])
def test_no_function_writes_to_what_it_is_given(name):
    """NumPy raises where a read-only array is written to."""
    x, per_step = read_only(np.ones((4, 4))), read_only([0.0, 0.2, 0.3, 0.4, 0.5])
    if name in STEPPED:
        STEPPED[name](x, 2)
        STEPPED[name](x, read_only([2, 3, 2, 3]).astype(int))
    elif name in OF_POINTS:
        OF_POINTS[name](x)
    elif name in LINEAR:
        LINEAR[name](x, per_step, per_step, variance=per_step)
    elif name in ON_CHAIN:
        ON_CHAIN[name](read_only(np.ones((5, 4, 4))), variance=per_step)
    elif name in LOG_WEIGHTS:
        LOG_WEIGHTS[name](x)
    else:
        given = {"variance": per_step} if name in WITH_VARIANCE else {}
        DRAWN[name](x, rng_0(), lambda x_t, t: read_only(x_t), **given)


def test_no_function_writes_to_arrays_over_the_steps():
    per_step, probability = read_only([0.0, 0.2, 0.3, 0.4, 0.5]), read_only([0.0, 0.1, 0.2, 0.3, 0.4])
    reverse.var(SCHEDULE, 2, per_step)
    reverse.interpolated_var(SCHEDULE, per_step)
    reverse.optimal_var(SCHEDULE, per_step)
    elbo.loss_aware_probability(per_step)
    elbo.random_step(SCHEDULE, zero, X, rng_0(), probability=probability)
    likelihood.linear_marginal(SCHEDULE, per_step, per_step, 2, variance=per_step)
    Bound(probability, read_only(np.ones((5, 5))), probability, 2).bits_per_dim(read_only([1.0, 2.0]))
    sigma_2 = reverse.interpolated_var(SCHEDULE, 1.0)
    sigma_2[2] = 7.0  # what is handed out is the caller's
    assert SCHEDULE.beta[2] == 0.1


def same(a, b):
    """Assert that two results are equal to the last bit."""
    if isinstance(a, Bound):
        a, b = a.total, b.total
    elif isinstance(a, likelihood.Ais):
        a, b = a.log_weights, b.log_weights
    elif isinstance(a, tuple):
        a, b = ([(rung.name, rung.mean, rung.var) for rung in rungs] for rungs in (a, b))
        assert a == b
        return
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [*DRAWN, *LINEAR])
def test_data_as_lists_integers_float32_and_strided_arrays_give_what_their_float64_copies_give(name):
    x = np.arange(12).reshape(4, 3) % 5 - 2
    f = {**DRAWN, **LINEAR}[name]

    def found(x_0):
        return f(x_0, *((rng_0(),) if name in DRAWN else ()))

    right, strided = found(x.astype(float)), np.repeat(x.astype(float), 2, axis=0)[::2]
    for other in (x.tolist(), x, x.astype(np.float32), x.astype(np.int8), np.asfortranarray(x.astype(float)), strided):
        same(right, found(other))


@pytest.mark.parametrize("name", TWO_POINTS)
def test_lists_integers_float32_and_strided_arrays_give_what_their_float64_copies_give(name):
    x = np.arange(12).reshape(4, 3) % 5 - 2

    t = 2
    right = numbers(TWO_POINTS[name](x.astype(float), x.astype(float), t))
    fortran = np.asfortranarray(x.astype(float))
    strided = np.repeat(x.astype(float), 2, axis=0)[::2][::-1][::-1]
    for other in (x.tolist(), x, x.astype(np.float32), x.astype(np.int8), fortran, strided):
        for a, b in zip(right, numbers(TWO_POINTS[name](other, other, t))):
            assert a.dtype == b.dtype == np.float64
            np.testing.assert_array_equal(a, b)
    for steps in (np.uint8(2), np.array(2), np.full(4, 2, dtype=np.uint8)):  # uint8 would wrap at t - 1 = -1
        for a, b in zip(right, numbers(TWO_POINTS[name](x, x, steps))):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [np.ones(4), np.ones((1, 4)), np.ones((2, 4, 4))], ids=np.shape)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_three_points_that_would_broadcast(other, place):
    points = [X, X, X]
    points[place] = other
    refused(ValueError, lambda: THREE_POINTS["elbo.consistency_term"](*points, 2), names="shape")


@pytest.mark.parametrize("other", [np.ones(4), np.ones((1, 4)), np.ones((2, 4, 4))], ids=np.shape)
def test_an_x_0_that_would_broadcast_against_x_1(other):
    refused(ValueError, lambda: elbo.reconstruction_term(SCHEDULE, zero, other, X), names="shape")


@pytest.mark.parametrize("name", ON_CHAIN)
@pytest.mark.parametrize("chain", [np.ones((5, 3, 0)), np.ones((5, 0, 2)), np.full((5, 3, 2), np.nan)], ids=np.shape)
def test_chains_that_are_empty_or_not_finite(name, chain):
    refused(ValueError, lambda: ON_CHAIN[name](chain), names="chain[0] must")


@pytest.mark.parametrize("denoiser", [None, np.zeros((4, 4))], ids=["None", "array"])
def test_a_ladder_s_denoiser_that_cannot_be_called(denoiser):
    refused(TypeError, lambda: elbo.ladder(SCHEDULE, denoiser, X, rng_0(), group=2), names="eps_hat = denoiser")


def test_an_array_in_the_place_of_the_decoder_s_variance():
    """Such as optimal_var(...) in place of its entry 1: NumPy complains of an ambiguous truth value."""
    refused(ValueError, lambda: reverse.decoder_var(SCHEDULE, np.full(5, 0.1)), names="decoder_var")


@pytest.mark.parametrize("name", ["consistency_form", "consistency_form_integrated", "denoising_form"])
@pytest.mark.parametrize(
    "choices", [{"decoder": "laplace"}, {"decoder_var": "beta_2"}, {"decoder": "discretized"}], ids=str
)
def test_a_decoder_that_is_none_before_all_steps_are_paid_for(name, choices):
    calls = []

    def counted(x_t, t):
        calls.append(t)
        return np.zeros_like(x_t)

    refused(ValueError, lambda: DECODED[f"elbo.{name}"](MANY, rng_0(), counted, **choices))
    assert len(calls) <= 1


@pytest.mark.parametrize("choices", [{"decoder": "laplace"}, {"decoder_var": "beta_2"}], ids=str)
def test_a_decoder_that_is_none_where_no_point_meets_t_1(choices):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        refused(ValueError, lambda rng=rng: elbo.random_step(SCHEDULE, zero, MANY[:1], rng, **choices))


@pytest.mark.parametrize("name", ["consistency_form", "denoising_form", "undecomposed", "random_step"])
def test_a_variance_by_another_name_where_there_is_one_step(name):
    schedule = Schedule.constant(1, 0.4)
    refused(ValueError, lambda: getattr(elbo, name)(schedule, zero, X, rng_0(), variance="small"), names="'small'")


def test_a_unit_that_is_infinite():
    refused(ValueError, lambda: Bound(np.ones(3), np.ones((5, 3)), np.ones(3), 2).bits_per_dim(np.inf), names="std")
