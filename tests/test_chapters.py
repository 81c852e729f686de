"""What the chapters promise beside their equations: ends of the range, shapes, warnings, same seed same result."""

import warnings

import numpy as np
import pytest

from refdiff import elbo, forward, reverse, toys
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

DATA = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [0.5, -0.2]], [0.1, 0.3])


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("constructor", [Schedule.linear, Schedule.scaled_linear, Schedule.sigmoid])
def test_a_range_quoted_for_1000_steps_warns_with_50(constructor):
    with pytest.warns(UserWarning, match="quoted for T = 1000"):
        constructor(50)


def test_the_warning_stays_out_of_the_way_where_the_range_is_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Schedule.linear()
        Schedule.linear(1)
        Schedule.linear(50, 1e-3, 0.3)


def test_a_linear_schedule_of_50_steps_ends_far_from_noise():
    with pytest.warns(UserWarning, match="far from noise"):
        schedule = Schedule.linear(50)
    assert schedule.alpha_bar[-1] == pytest.approx(0.603, abs=5e-4)
    moons = toys.moons(20_000, rng())
    assert elbo.prior_term(schedule, moons).mean() > 0.5 > 1e-3 > elbo.prior_term(Schedule.vp(50), moons).mean()


def test_one_step_leaves_only_the_two_ends_of_the_bound():
    schedule = Schedule.constant(1, 0.9)
    bound = elbo.denoising_form(schedule, DATA.denoiser(schedule), DATA.sample(5, rng()), rng())
    assert bound.terms.shape == (2, 5)
    assert (bound.terms == 0).all()
    np.testing.assert_array_equal(bound.total, bound.reconstruction + bound.prior)
    assert reverse.sample(schedule, DATA.denoiser(schedule), 5, 2, rng()).shape == (5, 2)


def test_the_prior_term_leaves_gradients_as_they_are():
    schedule, x_0 = Schedule.vp(6), DATA.sample(7, rng())
    slopes = (lambda x_t, t: 0.5 * x_t, lambda x_t, t: 0.6 * x_t)
    one, other = (elbo.denoising_form(schedule, slope, x_0, rng()) for slope in slopes)
    np.testing.assert_array_equal(one.prior, other.prior)
    reduced = [bound.reconstruction + bound.between for bound in (one, other)]
    np.testing.assert_allclose(one.total - other.total, reduced[0] - reduced[1], rtol=1e-12)
    assert (one.prior > 0).all()


def test_the_bound_is_a_record_of_its_parts():
    schedule = Schedule.vp(6)
    bound = elbo.denoising_form(schedule, DATA.denoiser(schedule), DATA.sample(7, rng()), rng())
    assert bound.reconstruction.shape == bound.prior.shape == bound.total.shape == bound.bits_per_dim().shape == (7,)
    assert bound.terms.shape == (7, 7)
    assert (bound.terms[:2] == 0).all()
    assert (bound.terms[2:] > 0).all()
    np.testing.assert_allclose(bound.bits_per_dim(), bound.total / (2 * np.log(2)))


def test_what_is_printed_is_short():
    schedule, x_0 = Schedule.vp(6), DATA.sample(7, rng())
    for one in (
        schedule,
        DATA,
        DATA.reverse_kernel(schedule, x_0, 3),
        elbo.denoising_form(schedule, DATA.denoiser(schedule), x_0, rng()),
    ):
        assert repr(one).startswith(type(one).__name__)
        assert len(repr(one)) < 120


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("decoder_var", ["beta_1", "beta_tilde_2", 0.01])
def test_the_bound_of_the_ideal_denoiser_is_above_the_exact_value(variance, decoder_var):
    schedule = Schedule.vp(50)
    x_0 = DATA.sample(4_000, rng())
    bound = elbo.denoising_form(
        schedule, DATA.denoiser(schedule), x_0, rng(1), variance=variance, decoder_var=decoder_var
    )
    gap = bound.total + DATA.log_density(x_0)
    assert gap.mean() > -5 * gap.std() / np.sqrt(len(gap))


def test_many_steps_bring_the_ideal_bound_within_a_twentieth_of_a_nat():
    schedule = Schedule.cosine(300)
    x_0 = DATA.sample(40_000, rng())
    gap = elbo.denoising_form(schedule, DATA.denoiser(schedule), x_0, rng(1)).total + DATA.log_density(x_0)
    error = gap.std() / np.sqrt(len(gap))
    assert -5 * error < gap.mean() < 0.05


def test_discretized_data_cost_bits():
    schedule = Schedule.vp(20)
    x_0 = np.round((np.clip(DATA.sample(50, rng()) / 2, -1, 1) + 1) * 255 / 2) * 2 / 255 - 1
    bound = elbo.denoising_form(schedule, lambda x_t, t: np.zeros_like(x_t), x_0, rng(), decoder="discretized")
    assert (bound.reconstruction >= 0).all()
    assert (bound.bits_per_dim() > 0).all()


@pytest.mark.parametrize("std", [1e-6, 1e-3, 0.3, 10.0, 1e6])
@pytest.mark.parametrize("mean", [-3.0, -1.0, 0.001, 1.0])
@pytest.mark.parametrize("bins", [2, 3, 256])
def test_the_probabilities_of_all_bins_sum_to_one(std, mean, bins):
    x = np.linspace(-1, 1, bins)[:, None]
    log_p = elbo.discretized_log_likelihood(x, np.full_like(x, mean), std, bins=bins)
    assert not np.isnan(log_p).any()
    assert (log_p <= 0).all()
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12)


def test_a_schedule_whose_last_beta_is_1_ends_in_pure_noise():
    schedule = Schedule.from_betas([0.5, 1.0], last_may_be_one=True)
    assert schedule.alpha_bar[-1] == schedule.snr[-1] == 0
    assert schedule.log_snr[-1] == -np.inf
    assert elbo.prior_term(schedule, [100.0]) == 0
    q = forward.marginal(schedule, [100.0], 2)
    assert (q.mean[0], q.var[0]) == (0, 1)


def test_respacing_keeps_alpha_bar_at_the_steps_kept():
    schedule = Schedule.cosine(100)
    respaced = schedule.respace(7)
    assert respaced.T == 7
    kept = np.arange(1, 8) * 100 // 7
    np.testing.assert_array_equal(respaced.alpha_bar[1:], schedule.alpha_bar[kept])
    np.testing.assert_allclose(schedule.respace(100).beta, schedule.beta, rtol=1e-12)


def test_zero_terminal_snr_keeps_the_first_step():
    schedule = Schedule.linear().zero_terminal_snr()
    assert schedule.alpha_bar[-1] == 0
    assert schedule.beta[-1] == 1
    assert schedule.alpha_bar[1] == pytest.approx(1 - 1e-4, rel=1e-12)


@pytest.mark.parametrize("x_0", [0.7, [0.7, -1.0, 2.0]])
def test_points_of_any_leading_shape_agree_with_one_alone(x_0):
    schedule, x = Schedule.vp(10), np.zeros((2, 3, 4, len(np.atleast_1d(x_0)))) + x_0
    q = forward.marginal(schedule, x, np.full((2, 3, 4), 7))
    alone = forward.marginal(schedule, np.atleast_1d(x_0), 7)
    np.testing.assert_array_equal(q.mean[1, 2, 3], alone.mean)
    assert q.log_density(x).shape == (2, 3, 4)


def test_the_same_seed_gives_the_same_numbers():
    schedule, denoiser = Schedule.vp(10), DATA.denoiser(Schedule.vp(10))
    for draw in (
        lambda r: DATA.sample(5, r),
        lambda r: forward.walk(schedule, np.ones((5, 2)), r),
        lambda r: reverse.sample(schedule, denoiser, 5, 2, r),
        lambda r: elbo.denoising_form(schedule, denoiser, np.ones((5, 2)), r).total,
        lambda r: elbo.simple_loss(schedule, denoiser, np.ones((5, 2)), r),
        lambda r: DATA.reverse_kernel(schedule, np.ones((5, 2)), 5).sample(r),
        lambda r: Gaussian(np.ones((5, 2)), 1.0).sample(r),
    ):
        np.testing.assert_array_equal(draw(rng(3)), draw(rng(3)))
        assert not np.array_equal(draw(rng(3)), draw(rng(4)))


def test_samples_are_mean_plus_root_times_noise_and_not_minus():
    """Both have the same law, so only the path tells them apart, and who replays a stream relies on it."""
    mean, var = np.ones((5, 2)), 4.0
    np.testing.assert_array_equal(Gaussian(mean, var).sample(rng()), mean + 2 * rng().standard_normal((5, 2)))
    joint = FullGaussian([1.0, 2.0], [[4.0, 0.0], [0.0, 9.0]])
    np.testing.assert_array_equal(joint.sample(5, rng()), [1, 2] + rng().standard_normal((5, 2)) * [2, 3])
    one = GaussianMixture([1.0], [[1.0, 2.0]], [[4.0, 9.0]])
    replayed = rng()
    replayed.choice(1, size=5, p=[1.0])
    np.testing.assert_array_equal(one.sample(5, rng()), [1, 2] + replayed.standard_normal((5, 2)) * [2, 3])
    kernel = one.posterior_x_0(Schedule.vp(4), np.zeros((5, 2)), 2)
    replayed = rng()
    replayed.random(5)
    expected = kernel.mean + np.sqrt(kernel.var) * replayed.standard_normal((5, 2))
    np.testing.assert_allclose(kernel.sample(rng()), expected, rtol=1e-14)


def test_entry_0_is_clean_data():
    schedule = Schedule.vp(4)
    for name, value in (("beta", 0), ("alpha", 1), ("alpha_bar", 1), ("one_minus_alpha_bar", 0), ("beta_tilde", 0)):
        assert getattr(schedule, name)[0] == value
    assert schedule.snr[0] == schedule.log_snr[0] == np.inf


def test_nothing_reads_or_moves_the_global_random_state():
    schedule = Schedule.vp(10)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 the global state is what is looked at
    reverse.sample(schedule, DATA.denoiser(schedule), 5, 2, rng())
    elbo.denoising_form(schedule, DATA.denoiser(schedule), np.ones((5, 2)), rng())
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_ancestral_sampling_is_a_generator_that_ends_at_0():
    schedule = Schedule.vp(5)
    path = list(reverse.ancestral(schedule, DATA.denoiser(schedule), np.zeros((3, 2)), rng()))
    assert [t for t, _ in path] == [4, 3, 2, 1, 0]
    assert all(x_t.shape == (3, 2) for _, x_t in path)


def test_the_reverse_kernel_of_mixture_data_is_wider_than_the_posterior():
    schedule = Schedule.vp(10)
    x_t = np.array([[0.2, -0.1]])
    kernel = DATA.reverse_kernel(schedule, x_t, 5)
    assert (kernel.var > schedule.beta_tilde[5]).all()
