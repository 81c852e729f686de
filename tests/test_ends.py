"""The bound at its ends: one step and two, a last beta of 1, a thousand steps in one call.

With one or two steps and one coordinate everything is an integral over a line, done here by the trapezoid rule, which
for these smooth integrands is exact to rounding.
"""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

from refdiff import elbo, forward, likelihood, reverse
from refdiff.elbo import Bound
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.schedule import Schedule

LINE = np.linspace(-14, 14, 1401)
CELL = LINE[1] - LINE[0]
SHORT = {1: Schedule.from_betas([0.4]), 2: Schedule.from_betas([0.3, 0.5])}
X_0 = np.array([[0.7], [-1.2], [2.5]])
ENDS_IN_NOISE = {
    "from_betas": Schedule.from_betas([0.3, 0.4, 1.0], last_may_be_one=True),
    "reciprocal": Schedule.reciprocal(6),
    "zero_terminal_snr": Schedule.vp(7).zero_terminal_snr(),
    "one step": Schedule.reciprocal(1),
}


def curved(x_t, t):
    """A denoiser that is not linear."""
    return 0.6 * np.tanh(x_t) + 0.1 * np.asarray(t, dtype=float)[..., None] - 0.2


def zero(x_t, t):
    return np.zeros_like(x_t)


def normal(x, mean, var):
    return np.exp(-((x - mean) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)


def rates(schedule):
    """M_t / x_0 and V_t of q(x_t | x_0), entries 0..T, from the betas alone."""
    alpha_bar = np.concatenate([[1.0], np.cumprod(1 - schedule.beta[1:])])
    return np.sqrt(alpha_bar), 1 - alpha_bar


def model_mean(schedule, denoiser, t):
    """The mean of p(x_{t-1} | x_t) for x_t on the line."""
    beta, (_, var) = schedule.beta[t], rates(schedule)
    eps_hat = denoiser(LINE[:, None], np.full(len(LINE), t))[:, 0]
    return (LINE - beta / np.sqrt(var[t]) * eps_hat) / np.sqrt(1 - beta)


def step_vars(schedule, variance, decoder_var):
    _, var = rates(schedule)
    small = np.array([0.0, *(schedule.beta[t] * var[t - 1] / var[t] for t in range(1, schedule.T + 1))])
    sigma_2 = (schedule.beta if variance == "beta" else small).copy()
    sigma_2[1] = schedule.beta[1] if decoder_var == "beta_1" else decoder_var
    return sigma_2


def log_density_by_quadrature(schedule, denoiser, x_0, variance="beta", decoder_var="beta_1"):
    """log p(x_0): p(x_T), then one integral over a line for each step."""
    sigma_2 = step_vars(schedule, variance, decoder_var)
    density = normal(LINE, 0.0, 1.0)
    for t in range(schedule.T, 0, -1):
        at = LINE if t > 1 else x_0[:, 0]
        density = normal(at[:, None], model_mean(schedule, denoiser, t), sigma_2[t]) @ density * CELL
    return np.log(density)


def bound_by_quadrature(schedule, denoiser, x_0, variance="beta", decoder_var="beta_1"):
    """E[log q(x_{1:T} | x_0) - log p(x_{0:T})], factor by factor, from the law of two neighbours given x_0."""
    sigma_2, (signal, var), T = step_vars(schedule, variance, decoder_var), rates(schedule), schedule.T
    total = 0.5 * (np.log(2 * np.pi) + (signal[T] * x_0[:, 0]) ** 2 + var[T])
    for t in range(1, T + 1):
        weight = normal(LINE, signal[t] * x_0, var[t]) * CELL
        cov = np.sqrt(1 - schedule.beta[t]) * var[t - 1]
        mean = signal[t - 1] * x_0 + cov / var[t] * (LINE - signal[t] * x_0)
        square = (mean - model_mean(schedule, denoiser, t)) ** 2 + var[t - 1] - cov**2 / var[t]
        total += np.sum(weight * (np.log(2 * np.pi * sigma_2[t]) + square / sigma_2[t]) / 2, axis=1)
        total -= 0.5 * np.log(2 * np.pi * np.e * schedule.beta[t])
    return total


ESTIMATORS = {
    "undecomposed": elbo.undecomposed,
    "consistency_form": elbo.consistency_form,
    "consistency_form_integrated": elbo.consistency_form_integrated,
    "denoising_form": elbo.denoising_form,
    "antithetic_form": elbo.antithetic_form,
    "random_step": elbo.random_step,
    "stratified_step": elbo.stratified_step,
}
ON_CHAIN = {
    "undecomposed_on_chain": elbo.undecomposed_on_chain,
    "consistency_on_chain": elbo.consistency_on_chain,
    "denoising_on_chain": elbo.denoising_on_chain,
    "denoising_kl_on_chain": elbo.denoising_kl_on_chain,
}


def total(found):
    return found.total if isinstance(found, Bound) else found


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("T", SHORT)
def test_with_one_step_and_two_each_form_has_the_mean_of_the_integral(T, name, variance):
    n, rng = 4_000, np.random.default_rng(T)
    given = {"variance": variance, "decoder_var": 0.15}
    truth = bound_by_quadrature(SHORT[T], curved, X_0, **given)
    for x_0, exact in zip(X_0, truth):
        values = total(ESTIMATORS[name](SHORT[T], curved, np.tile(x_0, (n, 1)), rng, **given))
        assert values.shape == (n,)
        assert abs(values.mean() - exact) < 5 * values.std() / math.sqrt(n)


@pytest.mark.parametrize("T", SHORT)
def test_with_one_step_and_two_the_rungs_of_the_ladder_agree_with_the_integral(T):
    x_0 = np.tile([[0.7], [-1.2]], (1_024, 1))
    exact = bound_by_quadrature(SHORT[T], curved, x_0[:2]).mean()
    rungs = elbo.ladder(SHORT[T], curved, x_0, np.random.default_rng(0))
    assert len(rungs) == 9
    for rung in rungs:
        assert abs(rung.mean - exact) < 5 * rung.error, rung


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("T", SHORT)
def test_with_one_step_and_two_importance_sampling_finds_the_density(T, variance):
    given = {"variance": variance, "decoder_var": 0.15}
    exact = log_density_by_quadrature(SHORT[T], curved, X_0, **given)
    found = likelihood.ais(SHORT[T], curved, X_0, np.random.default_rng(0), 20_000, **given)
    assert (found.ess > 1_000).all()
    assert (np.abs(found.log_density - exact) < 5 * found.std_error).all()
    assert (bound_by_quadrature(SHORT[T], curved, X_0, **given) > -exact).all()


def test_with_one_step_the_discretized_decoder_s_probabilities_are_those_of_the_integral():
    schedule, values = SHORT[1], np.linspace(-1, 1, 5)[:, None]
    edges = np.array([-np.inf, -0.75, -0.25, 0.25, 0.75, np.inf])
    below = [[(1 + math.erf(z / math.sqrt(0.3))) / 2 for z in edge - model_mean(schedule, curved, 1)] for edge in edges]
    exact = np.diff(below, axis=0) @ normal(LINE, 0, 1) * CELL  # with a decoder of variance .15
    assert exact.sum() == pytest.approx(1, abs=1e-12)

    given = {"decoder": "discretized", "decoder_var": 0.15, "bins": 5}
    found = likelihood.ais(schedule, curved, values, np.random.default_rng(0), 20_000, **given)
    assert (np.abs(found.log_density - np.log(exact)) < 5 * found.std_error).all()
    for form in (elbo.denoising_form, elbo.consistency_form, elbo.undecomposed):
        bound = form(schedule, curved, values, np.random.default_rng(0), **given)
        assert bound.bins == 5
        assert bound.bits_per_dim().shape == (5,)


@pytest.mark.parametrize("T", SHORT)
def test_with_one_step_and_two_all_groupings_of_one_chain_are_one_number(T):
    schedule, rng = SHORT[T], np.random.default_rng(0)
    chain = forward.walk(schedule, rng.standard_normal((50, 1)), rng)
    values = {name: form(schedule, curved, chain, decoder_var=0.2).total for name, form in ON_CHAIN.items()}
    direct = -np.log(normal(chain[T], 0, 1))
    for t in range(1, T + 1):
        beta, (_, var) = schedule.beta[t], rates(schedule)
        mean = (chain[t] - beta / np.sqrt(var[t]) * curved(chain[t], np.full(50, t))) / np.sqrt(1 - beta)
        direct += np.log(normal(chain[t], np.sqrt(1 - beta) * chain[t - 1], beta))
        direct -= np.log(normal(chain[t - 1], mean, 0.2 if t == 1 else beta))
    for name in ("undecomposed_on_chain", "consistency_on_chain", "denoising_on_chain"):
        np.testing.assert_allclose(values[name], direct[:, 0], rtol=1e-12, atol=1e-12)
    assert np.ptp(values["denoising_kl_on_chain"] - direct[:, 0]) > 0.1  # its divergences are means, not log-ratios


@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("T", SHORT)
def test_with_one_step_and_two_the_closed_forms_for_linear_denoisers_are_the_integrals(T, variance):
    schedule, slope, intercept = SHORT[T], np.array([0.0, 0.5, 0.7])[: T + 1], np.array([0.0, 0.3, -0.1])[: T + 1]

    def linear(x_t, t):
        return slope[t][..., None] * x_t + intercept[t][..., None]

    given = {"variance": variance, "decoder_var": 0.25}
    log_density = log_density_by_quadrature(schedule, linear, X_0, **given)
    bound = bound_by_quadrature(schedule, linear, X_0, **given)
    args = (schedule, slope, intercept, X_0)
    np.testing.assert_allclose(likelihood.linear_log_density(*args, **given), log_density, rtol=1e-12)
    np.testing.assert_allclose(likelihood.linear_bound(*args, **given).total, bound, rtol=1e-12)
    np.testing.assert_allclose(likelihood.linear_consistency_bound(*args, **given).total, bound, rtol=1e-12)
    np.testing.assert_allclose(likelihood.linear_gap(*args, **given), bound + log_density, rtol=1e-11, atol=1e-13)
    assert (likelihood.linear_log_second_moment(*args, **given) > 2 * log_density).all()


def test_with_one_step_the_second_moment_of_the_weight_is_its_integral():
    schedule, (signal, var) = SHORT[1], rates(SHORT[1])
    args = (schedule, 0.5, 0.3, X_0)
    mean = model_mean(schedule, lambda x, t: 0.5 * x + 0.3, 1)
    joint = normal(LINE, 0, 1) * normal(X_0, mean, schedule.beta[1])
    exact = np.log(np.sum(joint**2 / normal(LINE, signal[1] * X_0, var[1]), axis=1) * CELL)
    np.testing.assert_allclose(likelihood.linear_log_second_moment(*args), exact, rtol=1e-12)
    marginal = likelihood.linear_marginal(schedule, 0.5, 0.3, 1, t=1)
    assert (marginal.mean[0], marginal.var[0]) == (0, 1)


def test_with_one_step_the_best_denoiser_s_bound_and_the_best_variance_are_the_integrals():
    schedule, data = SHORT[1], GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [0.2, 0.1])
    signal, var = rates(schedule)
    q_0 = np.exp(data.log_density(LINE[:, None]))
    joint = q_0[:, None] * normal(LINE, signal[1] * LINE[:, None], var[1])  # (x_0, x_1)
    q_1 = joint.sum(axis=0)
    mean = LINE @ joint / q_1
    left_open = np.sum((LINE[:, None] - mean) ** 2 * joint) * CELL**2  # E Var(x_0 | x_1)

    def ideal(x_t, t):
        return (x_t - signal[1] * mean[:, None]) / np.sqrt(var[1])  # on the line alone

    losses = data.eps_loss(schedule)
    assert losses[1] == pytest.approx(1 - ideal(LINE[:, None], 1)[:, 0] ** 2 @ q_1 * CELL**2, rel=1e-9)
    np.testing.assert_allclose(reverse.optimal_var(schedule, losses), [0, left_open], rtol=1e-9)
    for decoder_var in ("beta_1", left_open, 2 * left_open):
        exact = q_0 @ bound_by_quadrature(schedule, ideal, LINE[:, None], decoder_var=decoder_var) * CELL
        found = likelihood.mixture_bound(schedule, data, decoder_var=decoder_var)
        assert found.terms.shape == (2, 1)
        np.testing.assert_allclose(found.total, exact, rtol=1e-9)
    best = likelihood.mixture_bound(schedule, data, decoder_var=left_open).total
    for other in (0.9 * left_open, 1.1 * left_open):
        assert best < likelihood.mixture_bound(schedule, data, decoder_var=other).total


def test_with_one_step_nothing_stands_between_the_two_ends():
    schedule, x_0 = SHORT[1], np.random.default_rng(0).standard_normal((5, 3))
    calls = []
    for form in (elbo.denoising_form, elbo.consistency_form, elbo.consistency_form_integrated):
        bound = form(schedule, zero, x_0, np.random.default_rng(0), progress=lambda *step: calls.append(step))
        np.testing.assert_array_equal(bound.terms, np.zeros((2, 5)))
        np.testing.assert_array_equal(bound.prior, elbo.prior_term(schedule, x_0))
        np.testing.assert_array_equal(bound.total, bound.reconstruction + bound.prior)
    assert not calls
    rng = np.random.default_rng(0)
    assert not [*elbo.denoising_terms(schedule, zero, x_0, rng), *elbo.consistency_terms(schedule, zero, x_0, rng)]
    assert not [*elbo.consistency_terms_integrated(schedule, zero, x_0, rng)]
    np.testing.assert_array_equal(elbo.consistency_prior(schedule, x_0), elbo.prior_term(schedule, x_0))
    assert elbo.consistency_constant(schedule, 1) == 0
    np.testing.assert_array_equal(elbo.loss_aware_probability(elbo.mean_square_terms(schedule, zero, x_0, rng)), [0, 1])


def test_with_one_step_a_variance_of_the_reverse_step_changes_nothing_and_the_decoder_s_does():
    schedule, x_0 = SHORT[1], X_0

    def bound(**given):
        return elbo.denoising_form(schedule, curved, x_0, np.random.default_rng(0), **given).total

    for variance in ("posterior", [0.0, 0.0], [0.0, 7.0]):
        np.testing.assert_array_equal(bound(variance=variance), bound())
    np.testing.assert_array_equal(bound(decoder_var=0.4), bound())
    assert (bound(decoder_var=0.2) != bound()).all()


def test_with_one_step_what_needs_a_second_one_is_refused():
    schedule = SHORT[1]
    x = np.ones((2, 1))
    for call in (
        lambda: reverse.decoder_var(schedule, "beta_tilde_2"),
        lambda: elbo.denoising_form(schedule, zero, x, np.random.default_rng(0), decoder_var="beta_tilde_2"),
        lambda: elbo.denoising_term(schedule, zero, x, x, 1),
        lambda: elbo.consistency_term(schedule, zero, x, x, x, 1),
        lambda: elbo.consistency_term_integrated(schedule, zero, x, x, 1),
        lambda: elbo.kl_constant(schedule, 1),
        lambda: elbo.weight(schedule, 1, "posterior"),
        lambda: elbo.weight_x_0(schedule, 1, "posterior"),
        lambda: elbo.weight_v(schedule, 1, "posterior"),
        lambda: elbo.weight_mean(schedule, 1, "posterior"),
        lambda: elbo.weight_from_snr(schedule, 1),
        lambda: likelihood.reverse_entropy_bounds(schedule, 1, 1),
    ):
        with pytest.raises(ValueError, match="got"):
            call()


def test_with_one_step_the_variances_in_between_are_beta_1_or_0():
    schedule = SHORT[1]
    np.testing.assert_array_equal(reverse.interpolated_var(schedule, 1.0), [0, 0.4])
    for v in (0.0, 0.3, [0.5, 0.999]):
        np.testing.assert_array_equal(reverse.interpolated_var(schedule, v), [0, 0])


@pytest.mark.parametrize("t", [1, [2, 1]])
def test_the_entropy_of_the_first_reverse_step_has_no_lower_bound(t):
    with pytest.raises(ValueError, match="got 1"):
        likelihood.reverse_entropy_bounds(SHORT[2], 1, t)


@pytest.mark.parametrize("end", ENDS_IN_NOISE)
def test_where_the_last_beta_is_1_what_does_not_need_eps_is_finite(end):
    schedule = ENDS_IN_NOISE[end]
    T, x = schedule.T, np.array([[3.0, -2.0], [0.0, 1.0]])
    assert schedule.beta[T] == 1
    np.testing.assert_array_equal(elbo.prior_term(schedule, x), [0, 0])
    if T > 1:
        lost = elbo.weight_from_snr(schedule, T)
        assert lost == pytest.approx(elbo.weight_x_0(schedule, T, "posterior"), rel=1e-12)
        assert lost == pytest.approx(schedule.snr[T - 1] / 2, rel=1e-12)
    np.testing.assert_array_equal(elbo.consistency_prior(schedule, x), [0, 0])
    constants = elbo.consistency_constant(schedule, np.arange(1, T + 1))
    assert np.isfinite(constants).all()
    assert abs(constants.sum()) < 1e-13
    assert constants[-1] == 0
    left = schedule.one_minus_alpha_bar[T - 1]  # beta_tilde_T: x_T says nothing of x_{T-1}
    signal_2 = schedule.alpha_bar[T - 1]
    for variance, sigma_2 in {"beta": 1.0, "posterior": left}.items():
        if sigma_2 > 0:
            for weight, square in {elbo.weight_x_0: signal_2, elbo.weight_v: signal_2, elbo.weight_mean: 1.0}.items():
                assert weight(schedule, T, variance) == pytest.approx(square / (2 * sigma_2), rel=1e-14)
        if T > 1:
            constant = (left / sigma_2 - 1 - math.log(left / sigma_2)) / 2
            assert elbo.kl_constant(schedule, T, variance) == pytest.approx(constant, rel=1e-12, abs=1e-30)
    snr_weights = [f(schedule, T) for f in (elbo.min_snr_weight, elbo.min_snr_weight_x_0, elbo.min_snr_weight_v)]
    np.testing.assert_array_equal(snr_weights, [1, 0, 0])
    loss = elbo.simple_loss(schedule, zero, x, np.random.default_rng(0))
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("end", ["from_betas", "reciprocal", "zero_terminal_snr"])
def test_where_the_last_beta_is_1_the_reverse_step_s_entropy_lies_between_its_bounds(end):
    schedule = ENDS_IN_NOISE[end]
    lower, upper = likelihood.reverse_entropy_bounds(schedule, 1, schedule.T)
    of_the_prior_step = 0.5 * math.log(2 * math.pi * math.e * schedule.one_minus_alpha_bar[schedule.T - 1])
    assert lower == pytest.approx(of_the_prior_step, rel=1e-12)
    assert upper == pytest.approx(0.5 * math.log(2 * math.pi * math.e))
    assert lower < upper


DATA = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
NEEDS_EPS = {
    **{name: lambda s, x, f=f: f(s, zero, x, np.random.default_rng(0)) for name, f in ESTIMATORS.items()},
    **{
        name: lambda s, x, f=f: f(s, zero, forward.walk(s, x, np.random.default_rng(0))) for name, f in ON_CHAIN.items()
    },
    "denoising_terms": lambda s, x: [*elbo.denoising_terms(s, zero, x, np.random.default_rng(0))],
    "consistency_terms": lambda s, x: [*elbo.consistency_terms(s, zero, x, np.random.default_rng(0))],
    "consistency_terms_integrated": lambda s, x: [
        *elbo.consistency_terms_integrated(s, zero, x, np.random.default_rng(0))
    ],
    "mean_square_terms": lambda s, x: elbo.mean_square_terms(s, zero, x, np.random.default_rng(0)),
    "ladder": lambda s, x: elbo.ladder(s, zero, np.repeat(x, 8, axis=0), np.random.default_rng(0), group=8),
    "ais": lambda s, x: likelihood.ais(s, zero, x, np.random.default_rng(0), 2),
    "denoising_term": lambda s, x: elbo.denoising_term(s, zero, x, x, s.T),
    "consistency_term": lambda s, x: elbo.consistency_term(s, zero, x, x, x, s.T - 1),
    "consistency_term_integrated": lambda s, x: elbo.consistency_term_integrated(s, zero, x, x, s.T - 1),
    "weight": lambda s, x: elbo.weight(s, s.T),
    "optimal_var": lambda s, x: reverse.optimal_var(s, np.full(s.T + 1, 0.5)),
    "reverse.sample": lambda s, x: reverse.sample(s, zero, 2, 1, np.random.default_rng(0)),
    "linear_marginal": lambda s, x: likelihood.linear_marginal(s, 0.5, 0.1, 1),
    "linear_log_density": lambda s, x: likelihood.linear_log_density(s, 0.5, 0.1, x),
    "linear_bound": lambda s, x: likelihood.linear_bound(s, 0.5, 0.1, x),
    "linear_consistency_bound": lambda s, x: likelihood.linear_consistency_bound(s, 0.5, 0.1, x),
    "linear_gap": lambda s, x: likelihood.linear_gap(s, 0.5, 0.1, x),
    "linear_log_second_moment": lambda s, x: likelihood.linear_log_second_moment(s, 0.5, 0.1, x),
    "mixture_bound": lambda s, x: likelihood.mixture_bound(s, DATA),
}


@pytest.mark.parametrize("name", NEEDS_EPS)
@pytest.mark.parametrize("end", ["from_betas", "reciprocal", "zero_terminal_snr"])
def test_where_the_last_beta_is_1_what_needs_eps_says_why_not(end, name):
    schedule = ENDS_IN_NOISE[end]
    with pytest.raises(ValueError, match=rf"t = {schedule.T}\b") as caught:
        NEEDS_EPS[name](schedule, np.ones((64, 1)))
    message = str(caught.value)
    assert "x_0" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["undecomposed", "consistency_form", "denoising_form", "ais", "linear_bound"])
def test_a_single_step_whose_beta_is_1_is_refused_too(name):
    with pytest.raises(ValueError, match="t = 1 with alpha_bar_t = 0"):
        NEEDS_EPS[name](ENDS_IN_NOISE["one step"], np.ones((4, 1)))


def test_the_errors_at_a_last_beta_of_1_say_what_to_do():
    schedule = ENDS_IN_NOISE["reciprocal"]
    for name, advice in {
        "denoising_form": "needs x_0 or v in place of eps",
        "weight": "Use weight_x_0",
    }.items():
        with pytest.raises(ValueError, match=advice):
            NEEDS_EPS[name](schedule, np.ones((4, 1)))


SMALL = MLP(2, rng=np.random.default_rng(0), width=16, depth=2)  # not trained
FORMS = {
    "denoising_form": elbo.denoising_form,
    "consistency_form": elbo.consistency_form,
    "consistency_form_integrated": elbo.consistency_form_integrated,
}
WITH_PROGRESS = {**FORMS, "undecomposed": elbo.undecomposed}


def some_points(n):
    return np.random.default_rng(1).standard_normal((n, 2))


def test_a_network_s_bound_over_a_thousand_steps_and_a_thousand_points_is_one_call():
    schedule, x_0, steps = Schedule.linear(), some_points(1_000), []

    def progress(t, term):
        assert term.shape == (1_000,)
        steps.append((t, term.sum()))

    bound = elbo.denoising_form(schedule, SMALL, x_0, np.random.default_rng(0), progress=progress)
    assert [t for t, _ in steps] == list(range(1_000, 1, -1))
    assert bound.terms.shape == (1_001, 1_000)
    assert (bound.terms[2:] > 0).all()
    np.testing.assert_array_equal(bound.terms[:2], 0)
    np.testing.assert_allclose(bound.terms.sum(), sum(s for _, s in steps), rtol=1e-12)
    np.testing.assert_allclose(bound.total, bound.reconstruction + bound.terms.sum(axis=0) + bound.prior, rtol=1e-12)
    assert np.isfinite(bound.bits_per_dim()).all()


@pytest.mark.parametrize("name", WITH_PROGRESS)
def test_progress_is_called_once_per_term_with_what_the_term_adds(name):
    schedule, x_0, steps = Schedule.vp(30), some_points(5), {}

    def progress(t, term):
        assert t not in steps
        steps[t] = term.copy()

    bound = WITH_PROGRESS[name](schedule, SMALL, x_0, np.random.default_rng(0), progress=progress)
    first, last = {"denoising_form": (30, 2), "undecomposed": (1, 30)}.get(name, (29, 1))
    assert [*steps] == list(range(first, last + 1) if first < last else range(first, last - 1, -1))
    whole = sum(steps.values()) + (bound.prior if name == "undecomposed" else bound.prior + bound.reconstruction)
    np.testing.assert_allclose(whole, bound.total, rtol=1e-12)
    if name != "undecomposed":
        for t, term in steps.items():
            np.testing.assert_array_equal(bound.terms[t], term)


@pytest.mark.parametrize("name", FORMS)
def test_a_bound_whose_terms_are_not_kept_is_the_same_bound(name):
    schedule, x_0 = Schedule.vp(40), some_points(7)
    kept, thrown = (
        FORMS[name](schedule, SMALL, x_0, np.random.default_rng(0), keep_terms=keep) for keep in (True, False)
    )
    assert thrown.terms is None
    for part in ("reconstruction", "between", "prior", "total"):
        np.testing.assert_array_equal(getattr(kept, part), getattr(thrown, part))
    np.testing.assert_allclose(kept.between, kept.terms.sum(axis=0), rtol=1e-12)


SEEDED = {
    **ESTIMATORS,
    "mean_square_terms": elbo.mean_square_terms,
    "simple_loss": elbo.simple_loss,
    "eps_loss": reverse.eps_loss,
    "ais": lambda *args: likelihood.ais(*args, 3).log_weights,
    "ladder": lambda *args: np.array([(rung.mean, rung.error) for rung in elbo.ladder(*args, group=2)]),
}


@pytest.mark.parametrize("name", SEEDED)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(name):
    schedule, x_0 = Schedule.vp(10), some_points(6)
    first, again, other = (total(SEEDED[name](schedule, SMALL, x_0, np.random.default_rng(s))) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def peak(call):
    """The most memory in use at once during a call, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(call, n):
    """What the peak grows by from T = 150 to T = 500, as a share of one float per point and step."""
    short, long = Schedule.vp(150), Schedule.vp(500)
    call(short)  # what is made once, such as buffers, is made here
    return (peak(lambda: call(long)) - peak(lambda: call(short))) / (350 * n * 8)


@pytest.mark.parametrize("name", [*FORMS, "undecomposed", "ais"])
def test_memory_does_not_grow_with_the_number_of_steps(name):
    x_0 = some_points(1_000)
    calls = {
        **{
            form: lambda s, f=f: f(s, SMALL, x_0, np.random.default_rng(0), keep_terms=False)
            for form, f in FORMS.items()
        },
        "undecomposed": lambda s: elbo.undecomposed(s, SMALL, x_0, np.random.default_rng(0)),
        "ais": lambda s: likelihood.ais(s, SMALL, x_0, np.random.default_rng(0), 1),
    }
    assert growth(calls[name], 1_000) < 0.05


def test_the_measure_of_memory_sees_terms_that_are_kept():
    x_0 = some_points(1_000)
    assert growth(lambda s: elbo.denoising_form(s, SMALL, x_0, np.random.default_rng(0)), 1_000) > 0.9


def test_the_terms_come_one_at_a_time_from_the_generators():
    schedule, x_0 = Schedule.linear(), some_points(3)
    for steps, first in (
        (elbo.denoising_terms(schedule, SMALL, x_0, np.random.default_rng(0)), 1_000),
        (elbo.consistency_terms(schedule, SMALL, x_0, np.random.default_rng(0)), 999),
        (elbo.consistency_terms_integrated(schedule, SMALL, x_0, np.random.default_rng(0)), 999),
    ):
        assert [t for t, _ in itertools.islice(steps, 3)] == [first, first - 1, first - 2]


@pytest.mark.parametrize("name", ["random_step", "stratified_step"])
def test_one_random_step_is_refused_whatever_step_it_meets_where_the_last_beta_is_1(name):
    for seed in range(10):
        with pytest.raises(ValueError, match="x_0 or v in place of eps"):
            ESTIMATORS[name](ENDS_IN_NOISE["reciprocal"], zero, np.ones((1, 1)), np.random.default_rng(seed))


def test_a_mixture_s_bound_over_a_single_step_whose_beta_is_1_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        likelihood.mixture_bound(ENDS_IN_NOISE["one step"], DATA)


def test_the_best_variance_exists_where_eps_is_known_but_for_rounding():
    schedule = Schedule.constant(60, 0.5)  # alpha_bar_T = 9e-19: the mean square comes out as 1 + 7e-16
    np.testing.assert_allclose(reverse.optimal_var(schedule, DATA.eps_loss(schedule))[60], 0.5)


def test_the_weight_of_eps_says_what_to_do_where_the_last_beta_is_1():
    with pytest.raises(ValueError, match="weight_x_0"):
        elbo.weight(ENDS_IN_NOISE["reciprocal"], 6)
