"""Bad input is refused at the door: one line that names rule and value, and nothing computed on a wrong axis."""

import warnings

import numpy as np
import pytest

from refdiff import bayes, elbo, forward, gaussian, parameterize, reverse
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
X = np.ones((4, 4))  # n == d: the shape where a wrong axis does not show by itself
DATA = GaussianMixture([0.5, 0.5], np.array([[-1.0] * 4, [1.0] * 4]), 0.5)


def zero(x_t, t):
    return np.zeros_like(x_t)


ONE_POINT = {
    "forward.transition": lambda x, t: forward.transition(SCHEDULE, x, t),
    "forward.marginal": lambda x, t: forward.marginal(SCHEDULE, x, t),
    "forward.jump": lambda x, t: forward.jump(SCHEDULE, x, 0, t),
    "reverse.transition": lambda x, t: reverse.transition(SCHEDULE, zero, x, t),
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
    **{
        f"parameterize.{name}": lambda x, y, t, name=name: getattr(parameterize, name)(SCHEDULE, x, y, t)
        for name in parameterize.__all__
    },
}
STEPPED = {**ONE_POINT, **{name: lambda x, t, f=f: f(x, x, t) for name, f in TWO_POINTS.items()}}
ALONE = {
    "bayes.log_c_1": lambda t: bayes.log_c_1(SCHEDULE, 2, t),
    "elbo.kl_constant": lambda t: elbo.kl_constant(SCHEDULE, t),
    "elbo.weight": lambda t: elbo.weight(SCHEDULE, t),
    "reverse.var": lambda t: reverse.var(SCHEDULE, t),
    "forward.covariance": lambda t: forward.covariance(SCHEDULE, 1, t),
}


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
@pytest.mark.parametrize("t", [[2, 2], [[2, 2, 2, 2]], [[2], [2], [2], [2]], np.full((4, 4), 2)], ids=str)
def test_steps_that_are_not_one_per_point_are_refused_also_where_n_is_d(name, t):
    refused(ValueError, lambda: STEPPED[name](X, t), names="shape")


@pytest.mark.parametrize("name", STEPPED)
def test_one_step_per_point_runs_along_the_points_and_not_along_the_coordinates(name):
    t = np.array([2, 3, 2, 3])
    x = np.arange(16.0).reshape(4, 4) / 8
    if name == "bayes.smoothing":
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


@pytest.mark.parametrize("rng", [None, 0, np.random, np.random.RandomState(0), np.random.SeedSequence(0)], ids=str)
def test_randomness_that_is_no_generator_is_refused(rng):
    for call in (
        lambda: Gaussian([0.0], 1.0).sample(rng),
        lambda: forward.walk(SCHEDULE, X, rng),
        lambda: DATA.sample(3, rng),
        lambda: DATA.posterior_x_0(SCHEDULE, X, 2).sample(rng),
        lambda: reverse.sample(SCHEDULE, zero, 2, 2, rng),
        lambda: next(reverse.ancestral(SCHEDULE, zero, X, rng)),
        lambda: elbo.denoising_form(SCHEDULE, zero, X, rng),
        lambda: elbo.simple_loss(SCHEDULE, zero, X, rng),
        lambda: FullGaussian([0.0, 0.0], np.eye(2)).sample(2, rng),
    ):
        refused(TypeError, call, names="numpy.random.default_rng(seed)")


def test_denoisers_that_are_none_are_refused():
    refused(TypeError, lambda: reverse.transition(SCHEDULE, None, X, 2), names="callable")
    refused(TypeError, lambda: reverse.transition(SCHEDULE, lambda x, t: None, X, 2))
    refused(ValueError, lambda: reverse.transition(SCHEDULE, lambda x, t: x[:, :1], X, 2), names="shape")


def test_choices_by_another_name_are_refused():
    rng = np.random.default_rng(0)
    refused(ValueError, lambda: reverse.transition(SCHEDULE, zero, X, 2, variance="small"), names="'small'")
    refused(ValueError, lambda: elbo.denoising_form(SCHEDULE, zero, X, rng, decoder="laplace"), names="'laplace'")
    refused(ValueError, lambda: elbo.denoising_form(SCHEDULE, zero, X, rng, decoder_var="beta_2"), names="'beta_2'")
    for number in (0.0, -1.0, np.nan, np.inf):
        refused(ValueError, lambda n=number: reverse.decoder_var(SCHEDULE, n))
    refused(ValueError, lambda: reverse.decoder_var(Schedule.constant(1, 0.5), "beta_tilde_2"), names="T >= 2")
    refused(ValueError, lambda: elbo.denoising_form(SCHEDULE, zero, np.ones(4), rng), names="(n, d)")


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
    refused(ValueError, lambda: bayes.smoothing(SCHEDULE, X, X, 4), names="T - 1")
    refused(ValueError, lambda: elbo.weight(SCHEDULE, 1, "posterior"))


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
    elbo.denoising_form(SCHEDULE, zero, x, rng)
    elbo.simple_loss(SCHEDULE, zero, x, rng)


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
