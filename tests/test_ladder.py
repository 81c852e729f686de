"""What the documentation of the ladder says about nine estimators of one bound, each claim with the number behind it.

With an affine denoiser every variance is exact: the estimates are quadratic polynomials in the noise. A variance that
is measured is compared with it in standard errors, five of them, found from repetitions.
"""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from refdiff import elbo, forward
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule
from refdiff.verify.cases import DESIGNED, Case, RandomSource
from refdiff.verify.catalogue.elbo.estimators import (
    exact_reverse,
    laws_of_terms,
    mean_terms,
    quadratic_form,
    true_variances,
)
from refdiff.verify.catalogue.elbo.models import knows, timed, true_total
from refdiff.verify.evidence import stream

RAW, TRIPLES, INTEGRATED, ONE_CHAIN, NEW_POINTS, ANTITHETIC, RANDOM, BY_LOSS, STRATIFIED = range(9)

FOUR_STEPS = replace(DESIGNED[0], beta=(0.1, 0.2, 0.3, 0.4), x_0=(0.6,), x_t=(1.0,), eps=(1.0,))
MIXTURE = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])


def rng(seed=0):
    return np.random.default_rng(seed)


@functools.cache
def drawn():
    """Return 40 cases, and the nine exact variances of each."""
    source = RandomSource(stream("ladder"))
    cases = [Case.draw(source) for _ in range(40)]
    return [(case, true_variances(case, case.denoiser)) for case in cases]


MODELS = {
    "five steps": (DESIGNED[0], timed(DESIGNED[0])),
    "two steps": (DESIGNED[1], timed(DESIGNED[1])),
    "four steps": (FOUR_STEPS, FOUR_STEPS.denoiser),
    "exact reverse process": (FOUR_STEPS, exact_reverse(FOUR_STEPS)),
}
EVERY_MODEL = pytest.mark.parametrize(("case", "denoiser"), MODELS.values(), ids=MODELS)


def variance_on_chain(function, case, denoiser, part=lambda bound: bound.total):
    """Return the exact variance over chains of what a function of a chain returns, from its polynomial in the noise."""
    schedule, x_0 = case.schedule, np.array(case.x_0)

    def on_noise(z):
        chain = np.zeros((case.T + 1, len(z), case.d))
        chain[0] = x_0
        for t in range(1, case.T + 1):
            eps = z.reshape(-1, case.T, case.d)[:, t - 1]
            chain[t] = np.sqrt(schedule.alpha[t]) * chain[t - 1] + np.sqrt(schedule.beta[t]) * eps
        return part(function(schedule, denoiser, chain))

    _, linear, square = quadratic_form(on_noise, case.T * case.d)
    return np.sum(linear**2, axis=-1) + 2 * np.sum(square**2, axis=(-2, -1))


@EVERY_MODEL
def test_regrouping_changes_neither_a_chain_nor_the_variance(case, denoiser):
    chain = forward.walk(case.schedule, case.repeat(case.x_0, 50), rng())
    raw = elbo.undecomposed_on_chain(case.schedule, denoiser, chain).total
    var = variance_on_chain(elbo.undecomposed_on_chain, case, denoiser)
    assert var == pytest.approx(true_variances(case, denoiser)[RAW], abs=1e-10)
    for regrouped in (elbo.consistency_on_chain, elbo.denoising_on_chain):
        np.testing.assert_allclose(regrouped(case.schedule, denoiser, chain).total, raw, atol=1e-11)
        assert variance_on_chain(regrouped, case, denoiser) == pytest.approx(var, abs=1e-10)


@EVERY_MODEL
def test_each_divergence_varies_less_than_its_log_ratio(case, denoiser):
    def terms(bound):
        return bound.terms[2:]

    raw = variance_on_chain(elbo.denoising_on_chain, case, denoiser, terms)
    analytic = variance_on_chain(elbo.denoising_kl_on_chain, case, denoiser, terms)
    assert (analytic < raw).all()


@EVERY_MODEL
def test_gradients_of_divergences_vary_less_by_what_the_step_itself_leaves_open(case, denoiser):
    def gradients(form):
        """Return the gradient of each term in the slope of the denoiser: a difference, for terms quadratic in it."""

        def on_chain(schedule, denoiser, chain):
            ends = (form(schedule, lambda x_t, t, h=h: denoiser(x_t, t) + h * x_t, chain) for h in (0.5, -0.5))
            high, low = (bound.terms[2:] for bound in ends)
            return high - low

        return variance_on_chain(on_chain, case, denoiser, part=lambda terms: terms)

    raw, analytic = gradients(elbo.denoising_on_chain), gradients(elbo.denoising_kl_on_chain)
    t, schedule = np.arange(2, case.T + 1), case.schedule
    c_eps = schedule.beta[t] / np.sqrt(schedule.alpha[t] * schedule.one_minus_alpha_bar[t])
    x_t_square = schedule.alpha_bar[t] * np.sum(np.square(case.x_0)) + case.d * schedule.one_minus_alpha_bar[t]
    left_open = (c_eps / schedule.beta[t]) ** 2 * schedule.beta_tilde[t] * x_t_square
    np.testing.assert_allclose(raw - analytic, left_open, rtol=1e-9)
    assert (raw > 1.05 * analytic).all()


def test_divergences_on_one_chain_vary_where_the_raw_form_does_not_vary_at_all():
    denoiser = exact_reverse(FOUR_STEPS)
    assert variance_on_chain(elbo.undecomposed_on_chain, FOUR_STEPS, denoiser) == pytest.approx(0.0, abs=1e-12)
    assert variance_on_chain(elbo.denoising_kl_on_chain, FOUR_STEPS, denoiser) == pytest.approx(0.9349, abs=5e-5)
    var = true_variances(FOUR_STEPS, denoiser)
    assert var[NEW_POINTS] == pytest.approx(0.6258, abs=5e-5)
    assert var[INTEGRATED] == pytest.approx(0.6382, abs=5e-5)
    assert var[TRIPLES] == pytest.approx(2.9484, abs=5e-5)


@pytest.mark.parametrize("case", DESIGNED, ids=("five steps", "two steps"))
def test_divergences_on_one_chain_vary_more_also_with_a_rough_model(case):
    denoiser = timed(case)
    raw = variance_on_chain(elbo.undecomposed_on_chain, case, denoiser)
    analytic = variance_on_chain(elbo.denoising_kl_on_chain, case, denoiser)
    assert analytic == pytest.approx(true_variances(case, denoiser)[ONE_CHAIN])
    assert analytic > 2.5 * raw


def test_divergences_on_one_chain_may_also_vary_less():
    # "can vary more" is not "does"
    case = replace(DESIGNED[1], x_0=(1.0,), slope=0.9, intercept=-0.6)
    var = true_variances(case, case.denoiser)
    assert var[ONE_CHAIN] == pytest.approx(0.0441, abs=5e-5)
    assert var[RAW] == pytest.approx(0.2639, abs=5e-5)


def stepwise(slopes, intercepts):
    """Return a linear denoiser with a slope and an intercept for each step."""
    slopes, intercepts = np.append(0.0, slopes), np.append(0.0, intercepts)
    return lambda x_t, t: slopes[t][..., None] * np.asarray(x_t) + intercepts[t][..., None]


@pytest.mark.parametrize("model", ["five steps", "two steps", "four steps", "exact reverse process"])
def test_terms_apart_vary_more_and_integrating_x_t_mends_a_part(model):
    var = true_variances(*MODELS[model])
    assert var[TRIPLES] > var[RAW]
    assert var[TRIPLES] > var[INTEGRATED]


def test_terms_apart_may_also_vary_less():
    case = replace(FOUR_STEPS, beta=(0.7, 0.35), t=2, s=1, x_0=(2.29,))
    var = true_variances(case, stepwise([1.33, 2.25], [-0.4, -1.6]))
    assert var[RAW] == pytest.approx(4.4461, abs=5e-5)
    assert var[TRIPLES] == pytest.approx(1.4558, abs=5e-5)


def test_integrating_x_t_may_mend_more_than_was_lost():
    case = replace(DESIGNED[1], x_0=(1.0,), slope=0.9, intercept=-0.6)
    var = true_variances(case, case.denoiser)
    assert var[INTEGRATED] == pytest.approx(0.1674, abs=5e-5)
    assert var[RAW] == pytest.approx(0.2639, abs=5e-5)


def test_new_points_for_each_t_mostly_win_something_back():
    assert np.mean([var[NEW_POINTS] < var[ONE_CHAIN] for _, var in drawn()]) > 0.5
    case = replace(FOUR_STEPS, beta=(0.64, 0.07), t=2, s=1, x_0=(3.19,))
    var = true_variances(case, stepwise([1.06, -0.52], [0.0, -2.17]))
    assert var[ONE_CHAIN] == pytest.approx(0.2124, abs=5e-5)
    assert var[NEW_POINTS] == pytest.approx(1.0166, abs=5e-5)


def test_one_random_t_varies_most_among_the_analytic_ones_only():
    # Var(sum) <= T sum Var <= T sum(mu^2 + s^2) - (sum mu)^2: on one chain, with strata, with new points
    for _, var in drawn():
        assert var[RANDOM] >= max(var[ONE_CHAIN:])
    var = true_variances(FOUR_STEPS, exact_reverse(FOUR_STEPS))
    assert var[RANDOM] == pytest.approx(2.7630, abs=5e-5)
    assert var[TRIPLES] > var[RANDOM]


def test_at_equal_cost_one_random_t_is_never_better_than_all_of_them_for_one_x_0():
    for case, var in drawn():
        assert var[RANDOM] >= case.T * var[NEW_POINTS]


def test_at_equal_cost_one_random_t_is_better_where_the_points_differ_more():
    schedule, x_0 = Schedule.vp(4), 30 * rng().standard_normal((6400, 1))  # far out for a model of N(0, 1)

    def denoiser(x_t, t):
        return np.sqrt(schedule.one_minus_alpha_bar[t])[..., None] * x_t

    rungs = elbo.ladder(schedule, denoiser, x_0, rng(1))
    assert rungs[RANDOM].calls * rungs[RANDOM].var < rungs[NEW_POINTS].calls * rungs[NEW_POINTS].var


def test_at_equal_cost_one_t_by_its_loss_may_be_better_than_all_of_them():
    case = DESIGNED[0]
    var = true_variances(case, case.denoiser)
    assert var[BY_LOSS] == pytest.approx(9.8121, abs=5e-5)
    assert case.T * var[NEW_POINTS] == pytest.approx(16.0171, abs=5e-5)


def test_no_other_probabilities_vary_less_than_those_by_loss():
    case = DESIGNED[0]
    square = mean_terms(case, case.denoiser) ** 2 + [law.var for law in laws_of_terms(case, case.denoiser)]
    best = elbo.loss_aware_probability(np.append(0.0, square))[1:]
    total = mean_terms(case, case.denoiser).sum()
    assert np.sum(square / best) - total**2 == pytest.approx(true_variances(case, case.denoiser)[BY_LOSS])
    others = rng().dirichlet(np.ones(case.T), size=1000)
    assert (np.sum(square / others, axis=1) > np.sum(square / best)).all()


def test_strata_that_T_divides_cost_just_what_the_whole_sum_costs():
    for case, var in drawn():
        assert var[STRATIFIED] == pytest.approx(case.T * var[NEW_POINTS])  # at a T-th of the calls
        assert var[STRATIFIED] < var[RANDOM]


def test_neither_of_loss_and_strata_is_always_the_better():
    case = DESIGNED[0]
    var = true_variances(case, case.denoiser)
    assert var[BY_LOSS] < var[STRATIFIED]
    case = replace(DESIGNED[1], beta=(0.1, 0.6), x_0=(-1.0,), slope=0.9, intercept=0.6)
    var = true_variances(case, case.denoiser)
    assert var[BY_LOSS] == pytest.approx(0.6811, abs=5e-5)
    assert var[STRATIFIED] == pytest.approx(0.4416, abs=5e-5)


def test_antithetic_noise_removes_the_linear_part_and_nothing_else():
    for case, var in drawn()[:10]:
        odd = sum(np.sum(law.linear**2) for law in laws_of_terms(case, case.denoiser))
        assert var[NEW_POINTS] - var[ANTITHETIC] == pytest.approx(odd)


def test_antithetic_noise_gains_nothing_where_the_error_is_even():
    # a denoiser that always answers 0 is as linear as can be, and its squared error |eps|^2 is even
    var = true_variances(DESIGNED[1], lambda x_t, t: 0.0 * x_t)
    assert var[[ANTITHETIC, NEW_POINTS]] == pytest.approx([26 / 9, 26 / 9])


@pytest.mark.parametrize(("variance", "decoder"), [("beta", "beta_1"), ("posterior", "beta_tilde_2")])
@EVERY_MODEL
def test_all_nine_means_and_variances_are_those_of_the_linear_model(case, denoiser, variance, decoder):
    group, repetitions, generator = 40 * case.T, 50, rng(1)
    given = {"variance": variance, "decoder_var": decoder, "group": group}
    x_0 = case.repeat(case.x_0, 2 * group)
    found = [elbo.ladder(case.schedule, denoiser, x_0, generator, **given) for _ in range(repetitions)]
    means, variances = (np.array([[getattr(rung, name) for rung in one] for one in found]) for name in ("mean", "var"))
    truth = true_variances(case, denoiser, variance, decoder)
    for values, right in (
        (means, np.full(9, true_total(case, denoiser, variance, decoder))),
        (variances[:, :STRATIFIED], truth[:STRATIFIED]),  # two groups are too few for the last: see the next test
    ):
        error = values.std(axis=0, ddof=1) / math.sqrt(repetitions)
        assert (np.abs(values.mean(axis=0) - right) < 5 * error + 1e-10).all()


@EVERY_MODEL
def test_the_variance_of_strata_is_measured_from_groups(case, denoiser):
    group, generator = 2 * case.T, rng(2)
    x_0, truth = case.repeat(case.x_0, 20 * group), true_variances(case, denoiser)[STRATIFIED]
    found = [elbo.ladder(case.schedule, denoiser, x_0, generator, group=group)[STRATIFIED].var for _ in range(20)]
    assert abs(np.mean(found) - truth) < 5 * np.std(found, ddof=1) / math.sqrt(20)


def test_near_the_exact_reverse_process_of_a_mixture_the_raw_form_wins_over_1000_steps():
    schedule, x_0 = Schedule.linear(), MIXTURE.sample(400, rng(3))
    chain, denoiser = forward.walk(schedule, x_0, rng(4)), MIXTURE.denoiser(schedule)
    raw = elbo.undecomposed_on_chain(schedule, denoiser, chain).total
    analytic = elbo.denoising_kl_on_chain(schedule, denoiser, chain).total
    # about 8 against .5, of which all but a hundredth is the variance of log q(x_0) over the data
    excess = (analytic - analytic.mean()) ** 2 - (raw - raw.mean()) ** 2
    assert excess.mean() > 5 * excess.std(ddof=1) / math.sqrt(len(excess))
    surprise = -MIXTURE.log_density(x_0)
    assert np.var(raw - surprise) < 0.1 * np.var(surprise)


@pytest.mark.parametrize("beta", [(0.6,), (0.5, 0.5)], ids=("T = 1", "T = 2"))
def test_few_steps(beta):
    schedule, T = Schedule.from_betas(beta), len(beta)
    case = replace(DESIGNED[1], beta=beta, t=T)
    knowing, x_0 = knows(case, np.array(case.x_0), 2.0), case.repeat(case.x_0, 8)
    rungs = elbo.ladder(schedule, knowing, x_0, rng(), group=2)
    assert [rung.calls for rung in rungs] == [T, T, T, T, T, 2 * T, 1, 1, 1]
    total = elbo.denoising_form(schedule, knowing, x_0, rng()).total[0]
    without_noise = [ONE_CHAIN, NEW_POINTS, ANTITHETIC, BY_LOSS, STRATIFIED]
    np.testing.assert_allclose([rungs[k].mean for k in without_noise], total)
    np.testing.assert_allclose([rungs[k].var for k in without_noise], 0.0, atol=1e-20)


def test_with_one_step_a_random_t_is_the_whole_sum():
    schedule = Schedule.constant(1, 0.6)
    x_0, denoiser = MIXTURE.sample(6, rng()), knows(replace(DESIGNED[1], beta=(0.6,)), np.array([1.0]))
    whole = elbo.denoising_form(schedule, denoiser, x_0, rng()).total
    for one in (elbo.random_step, elbo.stratified_step):
        np.testing.assert_allclose(one(schedule, denoiser, x_0, rng()), whole)
    np.testing.assert_array_equal(elbo.loss_aware_probability([0.0, 3.0]), [0.0, 1.0])


def test_the_same_seed_gives_the_same_ladder():
    schedule, x_0 = Schedule.vp(4), MIXTURE.sample(40, rng())
    seen = []
    first = elbo.ladder(schedule, MIXTURE.denoiser(schedule), x_0, rng(5), group=8, progress=seen.append)
    second = elbo.ladder(schedule, MIXTURE.denoiser(schedule), x_0, rng(5), group=8)
    assert first == second == tuple(seen)
    assert first != elbo.ladder(schedule, MIXTURE.denoiser(schedule), x_0, rng(6), group=8)
    assert len({rung.name for rung in first}) == 9


@pytest.mark.parametrize("estimate", [elbo.random_step, elbo.stratified_step, elbo.mean_square_terms])
def test_the_same_seed_gives_the_same_estimate(estimate):
    schedule, x_0 = Schedule.vp(4), MIXTURE.sample(40, rng())
    one, two = (estimate(schedule, MIXTURE.denoiser(schedule), x_0, rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("estimate", [elbo.random_step, elbo.stratified_step, elbo.antithetic_form])
def test_points_stay_as_they_were_given(estimate):
    schedule, x_0 = Schedule.vp(4), MIXTURE.sample(10, rng())
    before = x_0.copy()
    estimate(schedule, MIXTURE.denoiser(schedule), x_0, rng())
    np.testing.assert_array_equal(x_0, before)


def test_a_denoiser_is_called_with_one_t_per_point_and_on_each_point_once():
    schedule, x_0 = Schedule.vp(5), MIXTURE.sample(40, rng())
    for estimate in (elbo.random_step, elbo.stratified_step):
        asked = []

        def noting(x_t, t, asked=asked):
            asked.append((x_t.shape, np.shape(t)))
            return MIXTURE.denoiser(schedule)(x_t, t)

        estimate(schedule, noting, x_0, rng())
        assert sum(shape[0] for shape, _ in asked) == len(x_0)


@pytest.mark.parametrize(
    ("probability", "rule"),
    [
        ([0.5, 0.5], "shape"),
        ([[0.0, 0.25, 0.25, 0.25, 0.25]], "shape"),
        ([0.25, 0.25, 0.25, 0.25], "shape"),
        ([0.2, 0.2, 0.2, 0.2, 0.2], "entry 0"),
        ([0.0, 0.5, 0.0, 0.25, 0.25], "needs a chance"),
        ([0.0, 0.5, -0.5, 0.5, 0.5], "needs a chance"),
        ([0.0, 0.25, 0.25, 0.25, 0.3], "sum"),
        ([0.0, 0.25, np.nan, 0.25, 0.25], "needs a chance"),
    ],
)
def test_probabilities_that_are_none_are_refused(probability, rule):
    schedule = Schedule.vp(4)
    with pytest.raises(ValueError, match=rule):
        elbo.random_step(schedule, MIXTURE.denoiser(schedule), [[1.0]], rng(), probability=probability)


def test_probabilities_of_another_kind_are_refused():
    schedule = Schedule.vp(2)
    with pytest.raises(TypeError, match="probability"):
        elbo.random_step(schedule, MIXTURE.denoiser(schedule), [[1.0]], rng(), probability="uniform")


@pytest.mark.parametrize("mean_square", [[0.0, 1.0, 0.0], [0.0, 1.0, -1.0], [0.0, np.nan, 1.0], [0.0, np.inf, 1.0]])
def test_a_step_without_a_loss_gets_no_probability(mean_square):
    with pytest.raises(ValueError, match="> 0 and finite"):
        elbo.loss_aware_probability(mean_square)


@pytest.mark.parametrize("mean_square", [1.0, [1.0], [[0.0, 1.0]]])
def test_mean_squares_of_another_shape_are_refused(mean_square):
    with pytest.raises(ValueError, match="shape"):
        elbo.loss_aware_probability(mean_square)


def test_a_ladder_needs_two_groups():
    schedule = Schedule.vp(2)
    denoiser = MIXTURE.denoiser(schedule)
    with pytest.raises(ValueError, match="two groups of 64 points; got 127"):
        elbo.ladder(schedule, denoiser, MIXTURE.sample(127, rng()), rng())
    assert len(elbo.ladder(schedule, denoiser, MIXTURE.sample(128, rng()), rng())) == 9
    with pytest.raises(ValueError, match="group"):
        elbo.ladder(schedule, denoiser, MIXTURE.sample(8, rng()), rng(), group=1)


def test_strata_that_leave_points_over_are_not_biased():
    """Points 2, 2, 2, -30, -30 in groups of two: which one is left over must be left to chance."""
    schedule, x_0 = Schedule.vp(2), np.array([[2.0], [2.0], [2.0], [-30.0], [-30.0]])
    stream, denoiser = rng(), MIXTURE.denoiser(schedule)
    means = np.array([elbo.ladder(schedule, denoiser, x_0, stream, group=2)[STRATIFIED].mean for _ in range(400)])
    truth = np.mean([elbo.denoising_form(schedule, denoiser, x_0, stream).total.mean() for _ in range(400)])
    assert abs(means.mean() - truth) < 5 * means.std() / np.sqrt(len(means))


def test_a_ladder_needs_points_and_a_generator():
    schedule = Schedule.vp(2)
    denoiser = MIXTURE.denoiser(schedule)
    with pytest.raises(TypeError, match="rng"):
        elbo.ladder(schedule, denoiser, MIXTURE.sample(8, rng()), 0, group=2)
    with pytest.raises(ValueError, match="shape"):
        elbo.ladder(schedule, denoiser, np.zeros(8), rng(), group=2)
    with pytest.raises(ValueError, match="variance"):
        elbo.ladder(schedule, denoiser, MIXTURE.sample(8, rng()), rng(), variance="betas", group=2)
