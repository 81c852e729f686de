"""The three-valued comparison: false alarms are settled, differences are found, and no error is excused."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from refdiff import Gaussian, Schedule, bayes, cli, elbo, forward, gaussian, parameterize, reverse
from refdiff.cli.console import load_attribute
from refdiff.verify import ERRATA, comparable, compare
from refdiff.verify.likeness.draws import tables
from refdiff.verify.likeness.search import _formula

# ------------------------------------------------------------------ equal: the false alarms of public threads


def posterior_through_eps(schedule, x_0, x_t, t):
    """The form of Algorithm 2, at the eps that leads from x_0 to x_t."""
    return bayes.posterior_from_eps(schedule, parameterize.eps_from_x_0(schedule, x_t, x_0, t), x_t, t)


def posterior_by_beta_prod(schedule, x_0, x_t, t):
    """Two coefficients with 1 - alpha_prod under the name beta_prod, and a current alpha and beta."""
    t = schedule.index(t, x_t)
    beta_prod_t, beta_prod_prev = 1 - schedule.alpha_bar[t], 1 - schedule.alpha_bar[t - 1]
    current_alpha = schedule.alpha_bar[t] / schedule.alpha_bar[t - 1]
    current_beta = 1 - current_alpha
    x_0_coefficient = schedule.alpha_bar[t - 1] ** 0.5 * current_beta / beta_prod_t
    x_t_coefficient = current_alpha**0.5 * beta_prod_prev / beta_prod_t
    var = beta_prod_prev / beta_prod_t * current_beta
    return Gaussian(x_0_coefficient * x_0 + x_t_coefficient * x_t, var, point_mass=True)


def mean_of_algorithm_2(schedule, x_t, eps, t):
    t = schedule.index(t, x_t)
    scale = (1 - schedule.alpha[t]) / np.sqrt(1 - schedule.alpha_bar[t])
    return 1 / np.sqrt(schedule.alpha[t]) * (x_t - scale * eps)


def mean_through_predicted_x_0(schedule, x_t, eps, t):
    i = schedule.index(t, x_t)
    x_0 = np.sqrt(1 / schedule.alpha_bar[i]) * x_t - np.sqrt(1 / schedule.alpha_bar[i] - 1) * eps
    return posterior_by_beta_prod(schedule, x_0, x_t, t).mean


def score_through_eps(schedule, x_t, x_0, t):
    i = schedule.index(t, x_t)
    return -parameterize.eps_from_x_0(schedule, x_t, x_0, t) / np.sqrt(1 - schedule.alpha_bar[i])


def weight_of_eps_times_snr(schedule, t):
    beta, one_minus = schedule.beta[t], 1 - schedule.alpha_bar[t]
    return beta**2 / (2 * schedule.beta_tilde[t] * schedule.alpha[t] * one_minus) * schedule.alpha_bar[t] / one_minus


def weight_by_snr_difference(schedule, t):
    return 0.5 * (schedule.snr[np.asarray(t) - 1] - schedule.snr[t])


def cosine_by_ratio(timesteps, s=0.008):
    """The cosine schedule as a ratio of squared cosines, normalised by its first and clipped."""
    x = np.linspace(0, timesteps, timesteps + 1)
    alphas_cumprod = np.cos((x / timesteps + s) / (1 + s) * np.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    return np.clip(1 - alphas_cumprod[1:] / alphas_cumprod[:-1], 0, 0.999)


def cosine_by_function(timesteps, s=0.008):
    """The same, beta by beta, and never normalised: f(0) cancels in the ratio."""

    def f(u):
        return math.cos((u + s) / (1 + s) * math.pi / 2) ** 2

    T = timesteps
    return np.array([min(1 - f((t + 1) / T) / f(t / T), 0.999) for t in range(T)])


EQUAL = [
    ("bayes.posterior", posterior_through_eps),
    ("bayes.posterior", posterior_by_beta_prod),
    ("bayes.posterior_from_eps", lambda schedule, eps, x_t, t: Gaussian(
        mean_through_predicted_x_0(schedule, x_t, eps, t), schedule.beta_tilde[schedule.index(t, x_t)], point_mass=True
    )),
    ("parameterize.mean_from_eps", mean_of_algorithm_2),
    ("parameterize.mean_from_eps", mean_through_predicted_x_0),
    ("parameterize.score_from_x_0", score_through_eps),
    ("elbo.weight_from_snr", weight_of_eps_times_snr),
    ("elbo.weight_from_snr", weight_by_snr_difference),
    ("elbo.min_snr_weight", lambda schedule, t, gamma=5.0: np.minimum(schedule.snr[t], gamma) / schedule.snr[t]),
    ("gaussian.kl", lambda q, p: np.sum(
        np.log(p.std / q.std) + (q.var + (q.mean - p.mean) ** 2) / (2 * p.var) - 0.5, axis=-1
    )),
    ("schedule.beta_tilde", lambda schedule: np.append(
        0.0, (1 - schedule.alpha_bar[:-1]) / (1 - schedule.alpha_bar[1:]) * schedule.beta[1:]
    )),
]  # fmt: skip


@pytest.mark.parametrize(("name", "theirs"), EQUAL, ids=[f"{n}-{f.__name__}" for n, f in EQUAL])
def test_two_forms_of_the_same_formula_are_equal(name, theirs):
    found = compare(name, theirs)
    assert (found.status, found.under, found.first_t) == ("equal", None, None)
    assert found.same
    assert found.size < 1e-6


def test_two_cosine_schedules_that_a_thread_holds_against_each_other_are_the_same():
    for theirs in (cosine_by_ratio, cosine_by_function):
        found = compare("schedule.cosine", theirs)
        assert found.status == "equivalent"
        assert found.under.name == "an array of beta, t = 1..T, for a schedule"
    two = compare(
        lambda T, s=0.008: Schedule.from_betas(cosine_by_ratio(T, s)), cosine_by_function, like="schedule.cosine"
    )
    assert two.same


# ------------------------------------------------------------------ equivalent: each map by its name


def posterior_from_betas(betas, x_0, x_t, t):
    """As one writes it in plain NumPy: arrays without an entry 0, and t counted from 0."""
    alpha_bar = np.cumprod(1 - betas)
    before = np.append(1.0, alpha_bar[:-1])
    var = betas * (1 - before) / (1 - alpha_bar)
    c_0 = betas * np.sqrt(before) / (1 - alpha_bar)
    c_t = (1 - before) * np.sqrt(1 - betas) / (1 - alpha_bar)
    return c_0[t] * x_0 + c_t[t] * x_t, var[t]


def denoising_term_without_constant(schedule, denoiser, x_0, x_t, t, variance="beta"):
    q, p = bayes.posterior(schedule, x_0, x_t, t), reverse.transition(schedule, denoiser, x_t, t, variance)
    return np.sum((q.mean - p.mean) ** 2 / (2 * p.var), axis=-1)


def with_x_0_predicted(schedule, denoiser, x_t, t, variance="posterior"):
    law = reverse.transition(schedule, lambda x, s: parameterize.eps_from_x_0(schedule, x, denoiser(x, s), s), x_t, t)
    return Gaussian(law.mean, np.expand_dims(reverse.var(schedule, t, variance), -1), point_mass=True)


STD, LOG, HALF = (
    "standard deviation for variance",
    "log-variance for variance",
    "half log-variance (log standard deviation) for variance",
)
EQUIVALENT = [
    # arguments
    ("bayes.posterior", bayes.posterior_from_eps, "eps in place of x_0"),
    ("bayes.posterior_from_eps", bayes.posterior, "x_0 in place of eps"),
    ("parameterize.x_0_from_eps", lambda s, x, v, t: parameterize.x_0_from_v(s, x, v, t), "v in place of eps"),
    ("parameterize.eps_from_v", parameterize.eps_from_score, "score in place of v"),
    ("parameterize.mean_from_eps", parameterize.mean_from_x_0, "x_0 in place of eps"),
    ("parameterize.score_from_eps", lambda schedule, x_t, mean, t: parameterize.score_from_eps(
        schedule, x_t, parameterize.eps_from_mean(schedule, x_t, mean, t), t), "mean in place of eps"),
    ("forward.marginal", lambda s, x_0, t: forward.marginal(s, x_0, t + 1), "t counted from 0"),
    ("reverse.transition", with_x_0_predicted, "a denoiser that predicts x_0 in place of eps"),
    ("elbo.weight_x_0", elbo.weight_from_snr, "variance = 'posterior' only"),
    # results
    ("bayes.posterior", lambda *a: SimpleNamespace(mean=bayes.posterior(*a).mean, var=bayes.posterior(*a).std), STD),
    ("forward.marginal", lambda *a: (forward.marginal(*a).mean, forward.marginal(*a).var), "a tuple for a law"),
    ("forward.marginal", lambda *a: (forward.marginal(*a).mean, forward.marginal(*a).std), f"a tuple for a law; {STD}"),
    ("forward.marginal", lambda *a: (forward.marginal(*a).mean, np.log(forward.marginal(*a).var)),
     f"a tuple for a law; {LOG}"),
    ("forward.marginal", lambda *a: (
        forward.marginal(*a).mean, forward.marginal(*a).var, np.log(forward.marginal(*a).var)), "a tuple for a law"),
    ("forward.marginal", lambda *a: {"mean": forward.marginal(*a).mean, "std": forward.marginal(*a).std},
     "a dict for a law"),
    ("bayes.posterior", lambda *a: bayes.posterior(*a).mean, "the mean of the law, without its variance"),
    ("bayes.posterior", mean_of_algorithm_2, "eps in place of x_0; the mean of the law, without its variance"),
    ("reverse.var", lambda *a: np.exp(0.5 * np.log(reverse.var(*a))), STD),
    ("reverse.ddim_transition", lambda *a, **k: (
        reverse.ddim_transition(*a, **k).mean, reverse.ddim_transition(*a, **k).std), f"a tuple for a law; {STD}"),
    ("reverse.var", lambda *a: np.log(reverse.var(*a)), LOG),
    ("reverse.var", lambda *a: 0.5 * np.log(reverse.var(*a)), HALF),
    ("schedule.one_minus_alpha_bar", lambda s: 1 / s.one_minus_alpha_bar, "precision for variance"),
    ("schedule.alpha_bar", lambda s: s.signal_rate, "rate of the amplitude for that of the power"),
    ("schedule.signal_rate", lambda s: s.alpha_bar, "rate of the power for that of the amplitude"),
    ("schedule.snr", lambda s: s.log_snr, "log-SNR for SNR"),
    ("schedule.snr", lambda s: s.log_snr / 2, "half log-SNR for SNR"),
    ("schedule.snr", lambda s: s.noise_rate / s.signal_rate, "noise level for SNR"),
    ("schedule.log_snr", lambda s: np.log(1 - s.alpha_bar) - np.log(s.alpha_bar), "gamma for log-SNR"),
    ("schedule.beta", lambda s: s.beta[1:], "array of t = 1..T, counted from 0"),
    ("schedule.alpha_bar", lambda betas: np.cumprod(1 - betas),
     "an array of beta, t = 1..T, for a schedule; array of t = 1..T, counted from 0"),
    ("gaussian.Gaussian.log_density", lambda law, x: -law.log_density(x), "opposite sign"),
    ("gaussian.kl", lambda q, p: gaussian.bits(gaussian.kl(q, p)), "bits for nats"),
    ("elbo.discretized_log_likelihood", lambda x, mean, std, bins=256: -gaussian.bits(
        elbo.discretized_log_likelihood(x, mean, std, bins)) / x.shape[-1],
     "opposite sign; bits for nats; mean over the coordinates for their sum"),
    ("elbo.prior_term", lambda s, x_0: 0.5 * (
        s.alpha_bar[-1] * x_0**2 - s.alpha_bar[-1] - np.log(s.one_minus_alpha_bar[-1])),
     "one value a coordinate, not summed"),
    ("elbo.denoising_kl_on_chain", lambda *a, **o: elbo.denoising_kl_on_chain(*a, **o).bits_per_dim(),
     "the total without its parts; bits for nats; mean over the coordinates for their sum"),
    # pairs
    ("bayes.posterior", posterior_from_betas, "arrays of beta for a schedule, all counted from 0; a tuple for a law"),
    # objectives
    ("elbo.denoising_term", lambda *a: elbo.denoising_term(*a) + 1.5, "up to the constant 1.5 nats"),
    ("elbo.denoising_term", lambda *a: 1000 * elbo.denoising_term(*a), "up to the factor 1000"),
    ("elbo.denoising_term", denoising_term_without_constant, "up to a constant that depends on t only"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "theirs", "under"), EQUIVALENT, ids=[f"{n}-{u}" for n, _, u in EQUIVALENT])
def test_a_reparametrisation_is_called_by_its_name(name, theirs, under):
    found = compare(name, theirs)
    assert found.status == "equivalent", found
    assert found.under.name == under
    assert found.under.formula
    assert under in str(found)


def test_the_constant_of_an_objective_is_said_in_nats():
    found = compare("elbo.denoising_term", denoising_term_without_constant)
    assert found.nats == pytest.approx(0.137935, rel=1e-5)  # 1/2 (beta_tilde / beta - 1 - log of it), at 3/7
    assert "its gradient is the same; its value is another, and no bound" in str(found)


# ------------------------------------------------------------------ different


def posterior_with_beta(schedule, x_0, x_t, t):
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)])


def posterior_with_beta_after_the_first(schedule, x_0, x_t, t):
    t = schedule.index(t, x_t)
    q = bayes.posterior(schedule, x_0, x_t, np.squeeze(t, -1) if np.ndim(t) else t)
    return Gaussian(q.mean, np.where(np.equal(t, 1), 0.0, schedule.beta[t]), point_mass=True)


def test_beta_for_beta_tilde_is_answered_by_numbers_to_check_by_hand():
    found = compare("bayes.posterior", posterior_with_beta)
    assert (found.status, found.first_t, found.part) == ("different", 1, "var")
    assert found.case == "beta = (0.36, 0.75)"
    assert "t = 1, beta_t = 0.36, alpha_bar_t = 0.64, alpha_bar_{t-1} = 1" in found.counter_example
    assert "theirs gives var = 0.36, ours 0" in found.counter_example
    assert "theirs gives var = 0.75, ours 0.321429" in found.counter_example  # .36 / .84 * .75
    assert found.nats == pytest.approx(0.5 * (3 / 7 - 1 - math.log(3 / 7)), rel=1e-12)  # KL at t = 2
    assert any("linear(1000)" in note for note in found.notes)


def test_beta_for_beta_tilde_after_the_first_step_differs_from_t_2():
    found = compare("bayes.posterior", posterior_with_beta_after_the_first)
    assert (found.status, found.first_t) == ("different", 2)
    assert found.size == pytest.approx(1.2, abs=3)  # beta_t / beta_tilde_t - 1
    assert found.nats == pytest.approx(0.137935, rel=1e-5)


def test_an_error_in_the_convention_of_its_author_is_read_in_it():
    def theirs(betas, x_0, x_t, t):
        return posterior_from_betas(betas, x_0, x_t, t)[0], betas[t]

    found = compare("bayes.posterior", theirs)
    assert found.status == "different"
    assert found.under is None
    assert found.read_as.name == "arrays of beta for a schedule, all counted from 0; a tuple for a law"
    assert (found.first_t, found.part) == (1, "var")


def test_a_clip_at_the_first_step_is_found_there_and_nowhere_else():
    found = compare(
        "reverse.var", lambda s, t, variance="posterior": np.log(np.maximum(reverse.var(s, t, variance), 1e-20))
    )
    assert (found.status, found.first_t) == ("different", 1)
    assert found.read_as.name == LOG
    assert "at all t but 1 they agree" in found.notes


DIFFERENT = [
    ("forward.marginal", lambda s, x_0, t: forward.marginal(s, x_0, np.maximum(t - 1, 1)), 2),
    ("forward.marginal", lambda s, x_0, t: Gaussian(
        s.signal_rate[s.index(t, x_0)] * x_0, s.one_minus_alpha_bar[np.maximum(s.index(t, x_0) - 1, 1)]), 2),
    ("forward.diffuse", lambda s, x_0, eps, t: s.signal_rate[s.index(t, x_0)] * x_0
     + s.one_minus_alpha_bar[s.index(t, x_0)] * eps, 1),
    ("parameterize.score_from_eps", lambda s, x_t, eps, t: eps / s.noise_rate[s.index(t, x_t)], 1),
    ("parameterize.score_from_eps", lambda s, x_t, eps, t: eps, 1),
    ("parameterize.eps_from_x_0", lambda s, x_t, x_0, t: x_0, 1),
    ("parameterize.v_from_eps", lambda s, x_t, eps, t: -parameterize.v_from_eps(s, x_t, eps, t), 1),
    ("parameterize.mean_from_eps", lambda s, x_t, eps, t: x_t, 1),
    ("parameterize.mean_from_x_0", lambda s, x_t, mean, t: mean, 2),
    ("bayes.posterior", lambda s, x_0, x_t, t: x_0, 2),
    ("elbo.weight", lambda s, t, variance="beta": 2 * elbo.weight(s, t, variance), 1),
    ("elbo.weight_from_snr", lambda s, t: -elbo.weight_from_snr(s, t), 2),
    ("gaussian.kl", lambda q, p: -gaussian.kl(q, p), None),
    ("gaussian.kl", lambda q, p: gaussian.kl(q, p) + 1, None),
    ("bayes.log_c_1", lambda s, d, t: bayes.log_c_1(s, 1, t), 2),
    ("schedule.alpha_bar", lambda s: 1 - s.alpha_bar, 0),
    ("schedule.linear", lambda T=1000, beta_1=1e-4, beta_T=0.02: np.linspace(beta_1, beta_T, T + 1)[1:], 1),
    ("schedule.linear", lambda T=1000, beta_1=1e-4, beta_T=0.02: np.linspace(beta_1, beta_T * (1 + 1e-7), T), 2),
    # linear in x_0, as it should be, but for its square
    ("elbo.denoising_term", lambda s, f, x_0, x_t, t, variance="beta": elbo.denoising_term(s, f, x_0, x_t, t, variance)
     + 1e-4 * np.sum(x_0, axis=-1), 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "theirs", "first_t"), DIFFERENT, ids=[f"{n}-{k}" for k, (n, *_) in enumerate(DIFFERENT)]
)
def test_a_difference_is_no_reparametrisation(name, theirs, first_t):
    found = compare(name, theirs)
    assert (found.status, found.under) == ("different", None), found
    assert found.first_t == first_t
    assert found.counter_example or found.message


def test_what_only_a_long_schedule_shows_is_found_there():
    def theirs(schedule, x_0, t):
        q = forward.marginal(schedule, x_0, t)
        return Gaussian(q.mean, np.where(schedule.one_minus_alpha_bar[schedule.index(t, x_0)] > 0.9999, 1.0, q.var))

    found = compare("forward.marginal", theirs)
    assert (found.status, found.case) == ("different", "linear(1000)")
    assert found.first_t == int(np.argmax(Schedule.linear().one_minus_alpha_bar > 0.9999))
    assert 1e-5 < found.size < 2e-4


def test_one_coefficient_a_point_on_the_wrong_axis_is_told_from_a_wrong_formula():
    def theirs(schedule, x_0, eps, t):  # right for one t; the points of a batch are taken for its coordinates
        if np.ndim(t):
            return forward.diffuse(schedule, x_0, eps, t[::-1])
        return forward.diffuse(schedule, x_0, eps, t)

    found = compare("forward.diffuse", theirs)
    assert found.status == "different"
    assert "it differs only where t is an array" in str(found)


# ------------------------------------------------------------------ errata: none is excused

ROUNDING_OR_SHAPE = {  # their error lies outside the numbers compared, or is one of the last digits
    "one-minus-abar-by-subtraction",
    "snr-loss-from-two-logarithms",
    "batch-coefficients-broadcast",
}
NAMED = {  # what the mistake is, said precisely
    "ddim-sigma-for-its-square": STD,
    "marginal-variance-is-a-std": STD,
    "posterior-sample-variance-sigma": STD,
    "variance-is-sqrt-beta": STD,
    "optimal-var-is-a-standard-deviation": STD,
    "term-constant-dropped": "up to a constant that depends on t only",
    "l0-sign-conflict": "opposite sign",
    "consistency-term-sign": "opposite sign",
}


@pytest.mark.parametrize("key", [key for key, one in ERRATA.items() if one.replaces in comparable()])
def test_no_erratum_is_excused(key):
    found = compare(ERRATA[key].replaces, ERRATA[key].wrong)
    if key in ROUNDING_OR_SHAPE:
        assert found.status == "equal"
    elif key in NAMED:
        assert (found.status, found.under.name) == ("equivalent", NAMED[key])
    else:
        assert found.status == "different", found
        assert found.counter_example or found.message
        assert found.size > 1e-8


# ------------------------------------------------------------------ every formula, and how it is called


@pytest.mark.parametrize("name", comparable())
def test_a_formula_is_equal_to_itself_and_to_no_noise(name):
    formula = _formula(name)
    assert compare(name, formula).status == "equal"
    assert not tables(name, formula)[0].long

    def noisy(*arguments, **options):
        return noise(formula(*arguments, **options))

    assert compare(name, noisy).status == "different"


def noise(value):
    """Return a value with all its parts a little off, by less than a reader would see."""
    if isinstance(value, tuple):
        return tuple(noise(one) for one in value)
    if isinstance(value, np.ndarray | np.number | float):
        return np.asarray(value) * (1 + 1e-6 * np.sin(7 * np.where(np.isfinite(value), value, 0.0)))
    names = ("beta", "alpha_bar", "mean", "var", "cov", "weights", "means", "variances", "reconstruction", "prior")
    return SimpleNamespace(**{name: noise(getattr(value, name)) for name in names if hasattr(value, name)})


def test_arguments_are_taken_by_their_names_in_any_order():
    assert (
        compare("bayes.posterior", lambda x_t, x_0, t, schedule: bayes.posterior(schedule, x_0, x_t, t)).status
        == "equal"
    )
    assert compare("bayes.posterior", lambda *arguments: bayes.posterior(*arguments)).status == "equal"


def test_a_formula_for_one_t_at_a_time_is_compared_so():
    def theirs(schedule, x_0, x_t, t):
        return bayes.posterior(schedule, x_0, x_t, int(t))

    found = compare("bayes.posterior", theirs)
    assert found.status == "equal"
    assert "theirs takes one t at a time" in found.notes[0]


def test_a_formula_for_batches_only_is_compared_so():
    def theirs(schedule, x_0, x_t, t):
        n, _ = x_0.shape
        return bayes.posterior(schedule, x_0, x_t, t.reshape(n))

    assert compare("bayes.posterior", theirs).status == "equal"


def test_single_precision_asks_for_its_own():
    def theirs(schedule, x_0, t):
        q = forward.marginal(schedule, x_0, t)
        return Gaussian(np.float32(q.mean), np.float32(q.var))

    found = compare("forward.marginal", theirs)
    assert found.status == "different"
    assert any("float32" in note for note in found.notes)
    assert compare("forward.marginal", theirs, precision=1e-6).status == "equal"


def test_rounding_is_forgiven_where_the_arguments_round_away_too():
    def theirs(schedule, x_t, eps, t):  # 1 - alpha_bar by subtraction: 1e-12 off at the first step of linear-1000
        i = schedule.index(t, x_t)
        return (x_t - np.sqrt(1 - np.cumprod(1 - schedule.beta)[i]) * eps) / np.sqrt(np.cumprod(1 - schedule.beta)[i])

    assert compare("parameterize.x_0_from_eps", theirs).status == "equal"


def test_what_theirs_does_to_its_arguments_is_done_to_copies():
    def theirs(schedule, x_0, eps, t):
        x_0 *= schedule.signal_rate[schedule.index(t, x_0)]
        x_0 += schedule.noise_rate[schedule.index(t, x_0)] * eps
        return x_0

    assert compare("forward.diffuse", theirs).status == "equal"


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (lambda schedule, x_0, x_t, t: 1 / 0, "it raises ZeroDivisionError: division by zero"),
        (lambda schedule, x_0, x_t, t: None, "is no number and no law"),
        (lambda schedule, x_0, x_t, t: "N(0, 1)", "is no number and no law"),
    ],
)
def test_what_cannot_be_compared_as_numbers_says_why(theirs, message):
    found = compare("bayes.posterior", theirs)
    assert found.status == "different"
    assert message in str(found)


def test_nan_is_never_equal():
    found = compare("forward.diffuse", lambda schedule, x_0, eps, t: np.nan * x_0)
    assert (found.status, found.size) == ("different", math.inf)


@pytest.mark.parametrize(
    ("name", "theirs", "options", "message"),
    [
        ("forward.walk", abs, {}, "forward.walk draws from rng and is no formula: `verify.judge`"),
        ("elbo.simple_loss", abs, {}, "draws from rng"),
        ("posterior", abs, {}, "Did you mean bayes.posterior?"),
        ("bayes.posterior_mean", abs, {}, "Did you mean bayes.posterior"),
        ("nonsense", abs, {}, "There are\n"),
        ("bayes.posterior", lambda a, b: a, {}, r"(a, b), are neither those of ours"),
        ("bayes.posterior", bayes.posterior, {"precision": 0}, "precision must be"),
        (lambda schedule, x_0, x_t, t: 1 / 0, bayes.posterior, {"like": "bayes.posterior"}, "ours raises ZeroDivision"),
        (lambda schedule, x_0, x_t, t: x_0, bayes.posterior, {"like": "bayes.posterior"}, "ours returns ndarray"),
    ],
)
def test_what_cannot_be_asked_is_said_at_the_door(name, theirs, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 its message is looked at below
        compare(name, theirs, **options)
    assert message in str(error.value)


def test_two_callables_need_the_name_of_a_formula_and_theirs_must_be_one():
    with pytest.raises(TypeError, match="like="):
        compare(bayes.posterior, bayes.posterior)
    with pytest.raises(TypeError, match="theirs must be a callable; got float"):
        compare("bayes.posterior", 1.0)
    found = compare(posterior_with_beta, posterior_with_beta, like="bayes.posterior")
    assert (found.status, found.name) == ("equal", "bayes.posterior")
    assert compare(posterior_with_beta, bayes.posterior, like="bayes.posterior").status == "different"


def test_options_go_by_their_usual_names_and_another_default_is_named():
    def betas(n_timestep, linear_start=1e-4, linear_end=0.02):
        return np.linspace(linear_start**0.5, linear_end**0.5, n_timestep) ** 2

    found = compare("schedule.scaled_linear", betas)
    assert (found.status, found.case) == ("different", "T = 1000")
    assert "by default linear_start = 0.0001 there, beta_1 = 0.00085 here" in found.notes
    assert compare(
        "schedule.linear", lambda T, beta_start=1e-4, beta_end=0.02: np.linspace(beta_start, beta_end, T)
    ).same


def test_the_same_seed_gives_the_same_answer():
    one, two = (compare("bayes.posterior", posterior_with_beta, seed=3) for _ in range(2))
    assert one == two


# ------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return tmp_path


RIGHT = "from refdiff.bayes import posterior\n"
WRONG = """
from refdiff import Gaussian, bayes

def posterior(schedule, x_0, x_t, t):
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)])
"""


def test_compare_prints_its_verdict_and_exits_by_it(folder, capsys):
    (folder / "compare_right.py").write_text(RIGHT)
    (folder / "compare_wrong.py").write_text(WRONG)
    assert cli.main(["compare", "bayes.posterior", "compare_right:posterior"]) == cli.HOLDS
    assert capsys.readouterr().out.startswith("bayes.posterior: equal\n")
    assert cli.main(["compare", "bayes.posterior_from_eps", "compare_right.py:posterior"]) == cli.HOLDS
    assert "equivalent under x_0 in place of eps" in capsys.readouterr().out
    assert cli.main(["compare", "bayes.posterior", "compare_wrong:posterior", "--json", "found.json"]) == cli.REFUTED
    out = capsys.readouterr().out
    assert "first t          1" in out
    assert max(map(len, out.splitlines())) <= 110
    found = json.loads((folder / "found.json").read_text())
    assert (found["status"], found["first_t"], found["part"], found["under"]) == ("different", 1, "var", None)
    assert found["nats"] == pytest.approx(0.137935, rel=1e-5)


def test_compare_lists_what_it_knows_and_refuses_what_it_does_not(folder, capsys):
    assert cli.main(["compare"]) == cli.HOLDS
    assert "bayes: posterior, posterior_from_eps" in capsys.readouterr().out
    (folder / "compare_number.py").write_text("x = 3\n")
    for arguments, message in [
        (["bayes.posterior"], "with what?"),
        (["bayes.posterior", "compare_number:x"], "compare_number:x is no function but int"),
        (["bayes.posterior", "compare_number"], "write MODULE:ATTRIBUTE"),
        (["bayes.posteriors", "refdiff.bayes:posterior"], "Did you mean bayes.posterior"),
    ]:
        assert cli.main(["compare", *arguments]) == cli.USAGE
        assert message in capsys.readouterr().err


# ------------------------------------------------------------------ module:attribute


def test_an_attribute_is_loaded_by_module_or_file(folder):
    (folder / "loaded_neighbour.py").write_text("number = 7\n")
    (folder / "loaded_own.py").write_text("import loaded_neighbour\n\nclass A:\n    b = loaded_neighbour.number\n")
    (folder / "inner").mkdir()
    (folder / "inner" / "loaded_inner.py").write_text("c = 8\n")
    assert load_attribute("loaded_own:A.b") == 7
    assert load_attribute("loaded_own.py:A.b") == 7
    assert load_attribute(f"{folder}/loaded_own.py:A.b") == 7
    assert load_attribute("inner/loaded_inner.py:c") == 8
    assert load_attribute("refdiff.bayes:posterior") is bayes.posterior
    assert load_attribute("loaded_own:A") is load_attribute("loaded_own.py:A")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loaded", "write MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE, such as loaded:posterior"),
        ("loaded.posterior", "such as loaded:posterior"),
        ("loaded.py", "such as loaded.py:posterior"),
        ("", "such as mymodule:posterior"),
        ("loaded_missing:x", "no module 'loaded_missing', neither in the working directory"),
        ("loaded_miss.py:x", "there is no file"),
        ("loaded_faulty:x", "importing loaded_faulty raised ZeroDivisionError: division by zero"),
        ("loaded_needs:x", "importing loaded_needs raised ModuleNotFoundError: No module named 'surely_not_installed'"),
        ("loaded_syntax.py:x", "importing loaded_syntax.py raised SyntaxError"),
        ("loaded_exits:x", "importing loaded_exits raised SystemExit: 3"),
        ("loaded_good:postrior", "loaded_good has no attribute 'postrior'. Did you mean posterior?"),
        ("loaded_good:posterior.x", "loaded_good:posterior has no attribute 'x'"),
        ("loaded_goud:posterior", "Did you mean loaded_good"),
    ],
)
def test_what_cannot_be_loaded_says_why(folder, text, message):
    files = {
        "faulty": "1 / 0\n",
        "needs": "import surely_not_installed\n",
        "syntax": "def (\n",
        "exits": "raise SystemExit(3)\n",
        "good": "def posterior():\n    pass\n",
    }
    for name, code in files.items():
        (folder / f"loaded_{name}.py").write_text(code)
    with pytest.raises(ValueError) as error:  # noqa: PT011 its message is looked at below
        load_attribute(text)
    assert message in str(error.value)


def test_what_does_not_return_or_leaves_is_different():
    def hangs(schedule, x_0, x_t, t):
        while True:
            pass

    def leaves(schedule, x_0, x_t, t):
        sys.exit(0)

    found = compare("bayes.posterior", hangs, time_limit=0.2)
    assert (found.status, found.message) == ("different", "it did not return within 0.2 s")
    found = compare("bayes.posterior", leaves)
    assert found.status == "different"
    assert "SystemExit" in found.message
