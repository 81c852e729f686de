"""The bound: what it says of itself, its defaults, and the ends of what is allowed."""

import numpy as np
import pytest

from refdiff import elbo, forward, likelihood
from refdiff.elbo import Bound
from refdiff.likelihood import Ais
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

ONE, TWO, THREE = np.full(3, 1.0), np.full((4, 3), 0.5), np.full(3, 0.25)
FOUR = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
BYTES = np.array([[0, 1], [7, 100], [254, 255]]) * 2 / 255 - 1


@pytest.mark.parametrize(("bins", "what"), [(None, "density of x_0"), (256, "256 bins")])
def test_a_bound_is_printed_with_its_mean_its_parts_and_what_it_codes(bins, what):
    bound = Bound(ONE, TWO, THREE, 2, bins=bins)
    assert repr(bound) == f"Bound(n=3, d=2, mean 3.25 = 1 + 2 + 0.25 nats, {what})"


def shrunk(x_t, t):
    return 0.3 * x_t


@pytest.mark.parametrize(
    "form",
    [
        elbo.antithetic_form,
        elbo.consistency_form,
        elbo.consistency_form_integrated,
        elbo.denoising_form,
        elbo.mean_square_terms,
        elbo.random_step,
        elbo.stratified_step,
        elbo.undecomposed,
        lambda *args, **choices: likelihood.ais(*args, 2, **choices),
        lambda s, f, x_0, r, **c: elbo.consistency_on_chain(s, f, forward.walk(s, x_0, r), **c),
        lambda s, f, x_0, r, **c: elbo.denoising_on_chain(s, f, forward.walk(s, x_0, r), **c),
        lambda s, f, x_0, r, **c: elbo.denoising_kl_on_chain(s, f, forward.walk(s, x_0, r), **c),
        lambda s, f, x_0, r, **c: elbo.undecomposed_on_chain(s, f, forward.walk(s, x_0, r), **c),
        lambda s, f, x_0, r, **c: elbo.reconstruction_term(s, f, x_0, x_0, **c),
    ],
)
def test_discretized_data_are_bytes_unless_said_otherwise(form):
    def numbers(**choices):
        out = form(FOUR, shrunk, BYTES, np.random.default_rng(0), decoder="discretized", **choices)
        return getattr(out, "total", getattr(out, "log_weights", out))

    np.testing.assert_array_equal(numbers(), numbers(bins=256))
    with pytest.raises(ValueError, match="x must lie on the 257 values"):
        numbers(bins=257)


def test_a_loss_of_0_where_eps_is_known_and_of_1_where_it_is_forgotten_are_losses():
    bound = likelihood.mixture_bound(
        FOUR, GaussianMixture([1.0], [[0.0, 0.0]], 1.0), eps_loss=[0.5, 0.0, 0.5, 0.5, 1.0]
    )
    assert np.isfinite(bound.total).all()


@pytest.mark.parametrize(
    "bound_of",
    [
        lambda x_0: likelihood.mixture_bound(FOUR, GaussianMixture([1.0], [[0.0, 1.0]], 1.0)),
        lambda x_0: likelihood.linear_bound(FOUR, 0.5, 0.1, x_0),
        lambda x_0: likelihood.linear_consistency_bound(FOUR, 0.5, 0.1, x_0),
        lambda x_0: elbo.denoising_form(FOUR, shrunk, x_0, np.random.default_rng(0)),
        lambda x_0: elbo.antithetic_form(FOUR, shrunk, x_0, np.random.default_rng(0)),
        lambda x_0: elbo.consistency_form(FOUR, shrunk, x_0, np.random.default_rng(0)),
        lambda x_0: elbo.consistency_form_integrated(FOUR, shrunk, x_0, np.random.default_rng(0)),
    ],
)
def test_a_bound_knows_the_dimension_of_its_data(bound_of):
    bound = bound_of(BYTES)
    np.testing.assert_allclose(bound.bits_per_dim(), bound.total / 2 / np.log(2), rtol=1e-14)


def test_weights_that_are_lost_beside_others_count_for_nothing_whatever_numpy_is_told():
    with np.errstate(all="raise"):
        assert likelihood.effective_sample_size([0.0, -800.0]) == 1
        assert likelihood.log_mean_weight([0.0, -800.0]) == pytest.approx(-np.log(2), rel=1e-15)


def test_two_chains_are_enough_for_a_standard_error_and_one_is_not():
    # the delta method: the standard deviation of the weights over their mean, over the root of their number
    w = np.array([1.0, 3.0])
    expected = w.std(ddof=1) / w.mean() / np.sqrt(2)
    np.testing.assert_allclose(Ais(np.log(w)[:, None]).std_error, [expected], rtol=1e-14)
    assert np.isnan(Ais(np.zeros((1, 1))).std_error).all()


def test_the_rungs_of_the_ladder_are_called_by_what_is_exact_in_them():
    rungs = elbo.ladder(FOUR, shrunk, BYTES.repeat(2, axis=0), np.random.default_rng(0), group=2)
    assert [rung.name for rung in rungs] == [
        "undecomposed, one chain",
        "consistency, new triple for each t",
        "consistency, x_t integrated",
        "analytic KL, one chain",
        "analytic KL, new x_t for each t",
        "analytic KL, antithetic noise",
        "analytic KL, one random t",
        "analytic KL, one t by its loss",
        "analytic KL, one t, stratified",
    ]


def test_points_that_make_no_whole_group_are_left_out_of_the_strata():
    rungs = elbo.ladder(FOUR, shrunk, BYTES.repeat(2, axis=0)[:5], np.random.default_rng(0), group=2)
    assert [rung.calls for rung in rungs[-3:]] == [1, 1, 1]


@pytest.mark.parametrize("form", [elbo.antithetic_form, elbo.consistency_form, elbo.denoising_form])
def test_a_bound_knows_the_bins_of_its_decoder(form):
    for decoder, bins in (("gaussian", None), ("discretized", 256)):
        assert form(FOUR, shrunk, BYTES, np.random.default_rng(0), decoder=decoder).bins == bins


def test_probabilities_that_sum_to_1_but_for_rounding_are_put_right():
    def estimate(probability):
        return elbo.random_step(FOUR, shrunk, BYTES, np.random.default_rng(0), probability=probability)

    p = np.array([0.0, 0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(estimate(p * (1 + 5e-10)), estimate(p), rtol=1e-13)


def test_what_a_linear_denoiser_does_at_entry_0_is_not_asked_and_at_t_1_it_is():
    slope = np.array([np.nan, 0.1, 0.2, 0.3, 0.4])
    assert likelihood.linear_denoiser(FOUR, slope, 0.0)(np.ones(2), 1) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="slope must be one finite number"):
        likelihood.linear_denoiser(FOUR, [0.0, np.nan, 0.2, 0.3, 0.4], 0.0)


def test_bins_that_are_none_are_refused_before_the_denoiser_is_asked():
    def never(x_t, t):
        raise AssertionError("asked")

    with pytest.raises(ValueError, match="bins must be at least 2"):
        elbo.denoising_form(FOUR, never, BYTES, np.random.default_rng(0), decoder="discretized", bins=1)


def test_each_stratum_draws_its_own_step():
    def steps(seed):
        seen = []

        def denoiser(x_t, t):
            seen.extend(np.ravel(t))
            return np.zeros_like(x_t)

        elbo.stratified_step(Schedule.vp(1000), denoiser, np.zeros((2, 1)), np.random.default_rng(seed))
        return sorted(seen)

    apart = {late - early for early, late in map(steps, range(5))}
    assert len(apart) > 1  # one draw for both would put them T/2 apart each time


def test_a_rung_states_the_standard_error_of_its_variance():
    x_0 = 0.1 * np.random.default_rng(2).standard_normal((400, 2))
    rung = elbo.ladder(FOUR, shrunk, x_0, np.random.default_rng(0), group=2)[0]
    values = elbo.undecomposed(FOUR, shrunk, x_0, np.random.default_rng(0)).total
    away = (values - values.mean()) ** 2
    assert rung.var == pytest.approx(away.sum() / 399, rel=1e-12)
    assert rung.var_error == pytest.approx(away.std() / np.sqrt(400), rel=1e-2)  # but for 399 in place of 400
    still = elbo.ladder(FOUR, shrunk, np.zeros((4, 2)), np.random.default_rng(0), group=2)[-1]
    assert still.var_error < 1
