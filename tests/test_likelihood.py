"""The bound beside the exact likelihood: closed forms, three decompositions, and the gap for many steps.

One test samples, and states its chance of a false alarm; nothing else is random but the choice of cases.
"""

import math

import numpy as np
import pytest

from refdiff import elbo, forward, likelihood, reverse
from refdiff.gaussian import Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule
from refdiff.verify.cases import Case, RandomSource
from refdiff.verify.catalogue.likelihood.exact import Model

CHOICES = (("beta", "beta_1"), ("posterior", "beta_tilde_2"), ("posterior", 0.2))
CASES = range(50)
CLOSED_FORMS = [
    likelihood.linear_log_density,
    likelihood.linear_bound,
    likelihood.linear_consistency_bound,
    likelihood.linear_gap,
    likelihood.linear_log_second_moment,
]
SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5])
GAMMA = np.euler_gamma


def drawn(number):
    """Return a random schedule, a model on it whose slope and intercept differ from step to step, and points x_0."""
    rng = np.random.default_rng([12, number])
    case = Case.draw(RandomSource(rng))
    slope, intercept = rng.uniform(0.2, 0.9, case.T + 1), rng.uniform(-0.6, 0.6, case.T + 1)
    return case, Model(case, slope, intercept, *CHOICES[number % 3]), np.array([case.x_0, case.x_t, case.eps])


@pytest.mark.parametrize("number", CASES)
def test_both_closed_forms_of_the_bound_are_minus_log_p_plus_gap(number):
    _, model, x_0 = drawn(number)
    surprise = -model.claim(likelihood.linear_log_density, x_0)
    dense = [model.path_kl(one) - model.log_density(one) for one in x_0]
    for total in (
        model.claim(likelihood.linear_bound, x_0).total,
        model.claim(likelihood.linear_consistency_bound, x_0).total,
        surprise + model.claim(likelihood.linear_gap, x_0),
    ):
        np.testing.assert_allclose(total, dense, rtol=1e-10, atol=1e-10)
        assert (total >= surprise).all()


def variances(case, model, x_0):
    """Return the variance of one sample of each form of the bound at x_0 (d,): quadratic forms in normals."""
    T, (mean, var) = case.T, np.array([(case.alpha_bar(t) ** 0.5, 1 - case.alpha_bar(t)) for t in range(case.T + 1)]).T

    def square(offset, slope, of):  # of |offset + slope z|^2 / (2 of)
        return np.sum((offset * slope / of) ** 2) + len(x_0) * slope**4 / (2 * of**2)

    first = model.reconstruction().law(x_0).var
    denoising, consistency = first, first + sum(model.consistency(t).law(x_0).var for t in range(1, T))
    for t in range(2, T + 1):
        back = model.denoising(t).above[0][0]  # x_{t-1} - A_t x_t - B_t x_0
        slope = -back[t] - model.a[t]
        offset = slope * mean[t] * x_0 - back[0] * x_0 - model.b[t]
        denoising += square(offset, slope * math.sqrt(var[t]), model.var[t])
    alpha = 1 - case.beta[-1]
    consistency += square(mean[T - 1] * x_0, math.sqrt(var[T - 1]), 1 / alpha)
    return {
        elbo.denoising_form: denoising,
        elbo.consistency_form: consistency,
        elbo.undecomposed: model.work().law(x_0).var,
    }


def test_a_million_samples_of_each_form_agree_with_the_closed_form():
    """150 means of 20,000 samples with known variances: one beyond 5 standard errors happens in 1 of 10,000 runs."""
    n, z = 20_000, {}
    for number in CASES:
        case, model, _ = drawn(number)
        x_0, schedule = np.array(case.x_0), case.schedule
        denoiser = likelihood.linear_denoiser(schedule, *model.denoiser)
        truth = model.claim(likelihood.linear_bound, x_0[None]).total[0]
        for form, var in variances(case, model, x_0).items():
            rng = np.random.default_rng([34, number])
            total = form(schedule, denoiser, np.tile(x_0, (n, 1)), rng, **model.choices).total
            z[form.__name__, number] = (total.mean() - truth) / math.sqrt(var / n)
    assert max(map(abs, z.values())) <= 5, max(z, key=lambda one: abs(z[one]))
    spread = np.std(list(z.values()))  # of 150 standard normals: 1, give or take .06
    assert 0.7 < spread < 1.3


# ---- a denoiser that is not linear, by quadrature ----

BETAS = (0.1, 0.2, 0.3, 0.4)
DATA = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.09, 0.25])
NODES = np.arange(-8.1, 8.11, 0.3)  # the trapezoid rule: tanh(1.5 x) has poles at +-1.05i, which leaves 1e-11
WEIGHTS = np.exp(-(NODES**2) / 2) / np.exp(-(NODES**2) / 2).sum()


def not_linear(schedule):
    """Return a denoiser that makes the mean of p(x_{t-1} | x_t) .6 sqrt(alpha_t) x + .8 tanh(1.5 x) + b_t."""

    def denoiser(x_t, t):
        root = math.sqrt(schedule.alpha[t])
        mean = 0.6 * root * x_t + 0.8 * np.tanh(1.5 * x_t) + 0.1 * t - 0.2
        return (x_t - root * mean) * schedule.noise_rate[t] / schedule.beta[t]

    return denoiser


class Grid:
    """Points of several steps, each (n, 1), and their weights (n,): expectations over some steps of the chain."""

    def __init__(self, law):
        """Start with one step that follows a mixture."""
        std = np.sqrt(law.variances)
        self.steps = [(law.means + std * NODES).reshape(-1, 1)]
        self.weights = np.outer(law.weights, WEIGHTS).ravel()

    def then(self, conditional):
        """Add a step, given its law at the last one."""
        law, n = conditional(self.steps[-1]), len(NODES)
        self.steps = [np.repeat(one, n, axis=0) for one in self.steps]
        self.steps.append((law.mean + np.sqrt(law.var) * NODES).reshape(-1, 1))
        self.weights = np.outer(self.weights, WEIGHTS).ravel()
        return self

    def mean(self, f):
        """Return E f(x, ...) over all steps, in their order."""
        return self.weights @ f(*self.steps)


def expectations(schedule, denoiser, data, variance, decoder_var):
    """Return the denoising, the consistency and the integrated consistency form, from the terms of the chapter."""
    T = schedule.T

    def marginal(t):
        return lambda x_0: forward.marginal(schedule, x_0, t)

    def step(t):
        return lambda x_prev: forward.transition(schedule, x_prev, t)

    def jump(s, t):
        return lambda x_s: forward.jump(schedule, x_s, s, t)

    first = (
        Grid(data)
        .then(marginal(1))
        .mean(lambda x_0, x_1: elbo.reconstruction_term(schedule, denoiser, x_0, x_1, decoder_var=decoder_var))
    )
    denoising = Grid(data).mean(lambda x_0: elbo.prior_term(schedule, x_0))
    for t in range(2, T + 1):
        pairs = Grid(data).then(marginal(t))
        denoising += pairs.mean(lambda x_0, x_t, t=t: elbo.denoising_term(schedule, denoiser, x_0, x_t, t, variance))
    last = Grid(data.diffused(schedule, T - 1)).mean(lambda x_prev: elbo.consistency_prior(schedule, x_prev))
    triples = pairs = 0.0
    for t in range(1, T):
        before = data.diffused(schedule, t - 1)
        triples += (
            Grid(before)
            .then(step(t))
            .then(step(t + 1))
            .mean(lambda a, b, c, t=t: elbo.consistency_term(schedule, denoiser, a, b, c, t, variance))
        )
        pairs += (
            Grid(before)
            .then(jump(t - 1, t + 1))
            .mean(lambda a, c, t=t: elbo.consistency_term_integrated(schedule, denoiser, a, c, t, variance))
        )
    return np.array([first + denoising, first + triples + last, first + pairs + last])


@pytest.mark.parametrize(("variance", "decoder_var"), CHOICES)
def test_the_forms_agree_for_a_denoiser_that_is_not_linear(variance, decoder_var):
    schedule = Schedule.from_betas(BETAS)
    found = expectations(schedule, not_linear(schedule), DATA, variance, decoder_var)
    np.testing.assert_allclose(found, found[0], rtol=0, atol=1e-10)
    assert found[0] > DATA.entropy() + 0.5  # far from ideal


@pytest.mark.parametrize(("variance", "decoder_var"), CHOICES)
def test_the_forms_agree_with_the_undecomposed_one_on_a_grid_over_the_whole_chain(variance, decoder_var):
    schedule = Schedule.from_betas(BETAS[-2:])
    denoiser = not_linear(schedule)
    found = expectations(schedule, denoiser, DATA, variance, decoder_var)
    chains = Grid(DATA)
    for t in (1, 2):
        chains.then(lambda x, t=t: forward.transition(schedule, x, t))

    def total(*chain):
        return elbo.undecomposed_on_chain(schedule, denoiser, chain, variance, decoder_var=decoder_var).total

    np.testing.assert_allclose(found, chains.mean(total), rtol=0, atol=1e-10)


# ---- what is left of the gap for many steps ----


@pytest.fixture(scope="module")
def gaps():
    """Return what the bound of the ideal denoiser exceeds the entropy of the data by, for T = 50, 100, ..., 1600."""
    found = {"beta": [], "optimal": [], "posterior": []}
    for T in 50 * 2 ** np.arange(6):
        schedule = Schedule.vp(int(T))
        losses = DATA.eps_loss(schedule)
        best = reverse.optimal_var(schedule, losses)
        for name, choice in {"beta": (), "optimal": (best, best[1]), "posterior": ("posterior",)}.items():
            bound = likelihood.mixture_bound(schedule, DATA, *choice, eps_loss=losses)
            found[name].append(bound.total[0] - DATA.entropy())
    return {name: np.array(gap) for name, gap in found.items()}


@pytest.mark.parametrize(("variance", "off"), [("beta", 0.03), ("optimal", 0.01)])
def test_the_gap_of_the_ideal_denoiser_falls_as_1_over_T(gaps, variance, off):
    order = np.log2(gaps[variance][:-1] / gaps[variance][1:])
    assert np.abs(order - 1).max() < off
    assert gaps[variance][-1] < 0.002


def test_the_optimal_variance_is_the_better_one_at_each_T(gaps):
    assert (gaps["optimal"] < gaps["beta"]).all()
    assert (gaps["beta"] < gaps["posterior"]).all()


def test_the_gap_with_the_variance_of_the_posterior_does_not_vanish(gaps):
    """It ends at gamma / 2: see below. Between 50 and 1600 steps it hardly halves."""
    order = np.log2(gaps["posterior"][:-1] / gaps["posterior"][1:])
    assert order.max() < 0.3
    assert gaps["posterior"].min() > GAMMA / 2


def rises(schedule):
    r"""Return r_t = \beta_t SNR(t-1) for t = 2..T; \beta_t / \tilde\beta_t is 1 + r_t."""
    t = np.arange(2, schedule.T + 1)
    return schedule.beta[t] * schedule.snr[t - 1]


def excess(schedule, *choice):
    """Return KL(q(x_{0:T}) || p(x_{0:T})) for data N(0, 1) and their ideal denoiser, from the bound in closed form.

    The bound is linear in x_0^2, so its value at x_0 = 1 is its mean over the data.
    """
    bound = likelihood.linear_bound(schedule, schedule.noise_rate, 0.0, [[1.0]], *choice)
    return bound.total[0] - Gaussian(np.zeros(1), 1.0).entropy()


@pytest.mark.parametrize("schedule", [Schedule.vp(1000), Schedule.cosine(300), SCHEDULE], ids=repr)
def test_what_the_variance_of_the_posterior_costs_data_of_variance_1_is_a_sum_over_steps(schedule):
    r"""\tfrac12 \sum_{t=2}^T \left[r_t - \log(1 + r_t)\right], whose logarithms telescope."""
    r, one_minus = rises(schedule), schedule.one_minus_alpha_bar
    assert excess(schedule) == pytest.approx(0, abs=1e-12)
    cost = excess(schedule, "posterior")
    assert cost == pytest.approx((r - np.log1p(r)).sum() / 2, abs=1e-12)
    assert cost == pytest.approx((r.sum() - math.log(one_minus[-1] / one_minus[1])) / 2, abs=1e-12)
    constants = elbo.kl_constant(schedule, np.arange(2, schedule.T + 1)).sum()
    assert constants == pytest.approx((np.log1p(r) - r / (1 + r)).sum() / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "within"),
    [
        (lambda T: Schedule.vp(T, 5.0, 5.0), 2e-4),  # one beta for all steps: no other scale than T
        (Schedule.vp, 5e-3),  # beta grows 200-fold: 1000 steps are not many yet
        (Schedule.cosine, 5e-3),
    ],
    ids=["constant", "vp", "cosine"],
)
def test_many_steps_leave_half_of_euler_s_constant(make, within):
    r"""For a fixed t and T \to \infty, r_t \to 1/(t-1), since 1 - \bar\alpha_t grows linearly at first.

    So the cost tends to \tfrac12 \sum_{n=1}^\infty \left[\tfrac1n - \log(1 + \tfrac1n)\right] = \gamma / 2, the sum of
    the constants c_t to \tfrac12 \sum_n \left[\log(1 + \tfrac1n) - \tfrac1{n+1}\right] = (1 - \gamma) / 2, and
    their sum to \tfrac12 \sum_n \tfrac1{n(n+1)} = \tfrac12. r_t is at most a constant over t - 1, and the summands at
    most its square: limit and sum may be exchanged.
    """
    limits = np.array([GAMMA / 2, (1 - GAMMA) / 2, 1 / 2])
    errors = []
    for T in (1_000, 10_000, 100_000):
        schedule = make(T)
        cost, constants = excess(schedule, "posterior"), elbo.kl_constant(schedule, np.arange(2, T + 1)).sum()
        errors.append(np.abs([cost, constants, cost + constants] - limits))
    assert (errors[0] > 3 * errors[1]).all()
    assert (errors[1] > 5 * errors[2]).all()
    assert (errors[2][:2] < within).all()


@pytest.mark.parametrize(("T", "cost"), [(100, 0.8631), (1_000, 0.4518), (10_000, 0.3163), (100_000, 0.2925)])
def test_the_limit_is_far_off_for_usual_numbers_of_steps(T, cost):
    assert excess(Schedule.vp(T), "posterior") == pytest.approx(cost, abs=5e-5)


def test_a_decoder_of_variance_beta_tilde_2_costs_more():
    """beta_1 / beta_tilde_2 tends to 2: (1 - log 2) / 2 nats more."""
    schedule = Schedule.vp(100_000, 5.0, 5.0)
    more = excess(schedule, "posterior", "beta_tilde_2") - excess(schedule, "posterior")
    assert more == pytest.approx((1 - math.log(2)) / 2, abs=1e-4)


# ---- ends of the range ----


def test_one_step_leaves_two_ends_in_both_forms():
    schedule, x_0 = Schedule.from_betas([0.6]), [[2.0, -1.0], [0.0, 0.5]]
    for variance, decoder_var in (("beta", "beta_1"), ("posterior", 0.3)):
        arguments = schedule, 0.7, -0.2, x_0, variance, decoder_var
        bound, other = likelihood.linear_bound(*arguments), likelihood.linear_consistency_bound(*arguments)
        assert bound.terms.shape == other.terms.shape == (2, 2)
        assert (bound.terms == 0).all()
        assert (other.terms == 0).all()
        np.testing.assert_allclose(other.total, bound.total, rtol=1e-13)
        exact = likelihood.linear_gap(*arguments) - likelihood.linear_log_density(*arguments)
        np.testing.assert_allclose(bound.total, exact, rtol=1e-12)
        assert (likelihood.linear_log_second_moment(*arguments) > 2 * likelihood.linear_log_density(*arguments)).all()
    data = GaussianMixture([1.0], [[0.0]], 1.0)  # the exact reverse of one step: nothing is lost
    assert likelihood.mixture_bound(schedule, data).total[0] == pytest.approx(data.entropy(), abs=1e-9)


def test_one_step_of_a_linear_denoiser_by_hand():
    """x_0 = a x_1 + b + sqrt(beta) z with beta = 1/2: a = sqrt(2) (1 - s / sqrt(2)), b = -c."""
    s, c = 0.5, 0.25
    a, b = math.sqrt(2) - s, -c
    p = likelihood.linear_marginal(Schedule.from_betas([0.5]), s, c, d=2)
    np.testing.assert_allclose(p.mean, [b, b], rtol=1e-15)
    np.testing.assert_allclose(p.var, [a**2 + 0.5] * 2, rtol=1e-15)


def test_two_steps_have_one_term():
    schedule, x_0 = Schedule.from_betas([0.3, 0.5]), [[1.5]]
    bound = likelihood.linear_bound(schedule, 0.6, 0.1, x_0)
    other = likelihood.linear_consistency_bound(schedule, 0.6, 0.1, x_0)
    assert (np.flatnonzero(bound.terms), np.flatnonzero(other.terms)) == ([2], [1])
    assert other.terms[1, 0] - bound.terms[2, 0] == pytest.approx(elbo.consistency_constant(schedule, 1), abs=1e-14)
    assert other.prior[0] - bound.prior[0] == pytest.approx(elbo.consistency_constant(schedule, 2), abs=1e-14)


@pytest.mark.parametrize("function", CLOSED_FORMS, ids=lambda one: one.__name__)
def test_a_schedule_that_ends_in_pure_noise_is_refused_with_the_reason(function):
    schedule = Schedule.from_betas([0.3, 1.0], last_may_be_one=True)
    with pytest.raises(ValueError, match=r"alpha_bar_t > 0; got t = 2.*needs x_0 or v in place of eps"):
        function(schedule, 0.5, 0.0, [[1.0]])


def test_the_marginal_and_the_mixture_refuse_pure_noise_as_well():
    schedule = Schedule.from_betas([0.3, 1.0], last_may_be_one=True)
    with pytest.raises(ValueError, match="alpha_bar_t > 0; got t = 2"):
        likelihood.linear_marginal(schedule, 0.5, 0.0, d=1)
    with pytest.raises(ValueError, match="alpha_bar_t > 0; got t = 2"):
        likelihood.mixture_bound(schedule, DATA)


BAD = {
    "x_0 without points": ({"x_0": [1.0]}, ValueError, r"x_0 must have shape \(n, d\)"),
    "x_0 one number": ({"x_0": 1.0}, ValueError, r"x_0 must have shape \(n, d\)"),
    "x_0 of no row": ({"x_0": np.zeros((0, 1))}, ValueError, "at least one row"),
    "x_0 NaN": ({"x_0": [[np.nan]]}, ValueError, "x_0 must be finite"),
    "x_0 complex": ({"x_0": [[1j]]}, TypeError, "x_0 must be real"),
    "slope of T entries": ({"slope": [0.5] * 3}, ValueError, r"slope must be .* \(T \+ 1,\) = \(4,\)"),
    "slope of two axes": ({"slope": [[0.5]]}, ValueError, "slope must be one finite number"),
    "slope NaN": ({"slope": np.nan}, ValueError, "slope must be one finite number"),
    "slope inf": ({"slope": [0.5, 0.5, np.inf, 0.5]}, ValueError, "slope must be one finite number"),
    "slope of words": ({"slope": "steep"}, TypeError, "slope must be real"),
    "intercept NaN": ({"intercept": np.nan}, ValueError, "intercept must be one finite number"),
    "variance of another name": ({"variance": "beta_tilde"}, ValueError, "variance must be 'posterior'"),
    "variance of 0": ({"variance": [0.0, 0.1, 0.0, 0.1]}, ValueError, "variance must be > 0"),
    "decoder of variance 0": ({"decoder_var": 0.0}, ValueError, "decoder_var must be one number > 0"),
    "decoder of another name": ({"decoder_var": "beta_2"}, ValueError, "decoder_var must be 'beta_1'"),
}


@pytest.mark.parametrize("function", CLOSED_FORMS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line_that_names_the_argument(function, name):
    given, error, message = BAD[name]
    good = {"slope": 0.5, "intercept": 0.0, "x_0": [[1.0]], "variance": "beta", "decoder_var": "beta_1"}
    with pytest.raises(error, match=message) as caught:
        function(SCHEDULE, **(good | given))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: likelihood.linear_marginal(SCHEDULE, 0.5, 0.0, d=0), ValueError, "d must be at least 1"),
        (lambda: likelihood.linear_marginal(SCHEDULE, 0.5, 0.0, d=1, t=4), ValueError, "t runs over 0..3"),
        (lambda: likelihood.linear_marginal(SCHEDULE, 0.5, 0.0, d=1, t=[1, 2]), ValueError, "one step t"),
        (lambda: likelihood.linear_denoiser(SCHEDULE, [0.5], 0.0), ValueError, r"\(T \+ 1,\) = \(4,\)"),
        (lambda: likelihood.linear_denoiser(SCHEDULE, 0.5, 0.0)(np.ones((2, 1)), 0), ValueError, "t runs over 1..3"),
        (
            lambda: likelihood.linear_gap(Schedule.from_betas([0.5]), 0, 0, [[1.0]], "beta", "beta_tilde_2"),
            ValueError,
            "T >= 2",
        ),
        (lambda: likelihood.mixture_bound(SCHEDULE, GaussianMixture([1.0], [[0.0] * 3], 1.0)), ValueError, "d <= 2"),
        (lambda: likelihood.mixture_bound(SCHEDULE, DATA, eps_loss=[0.5] * 3), ValueError, r"\(T \+ 1,\) = \(4,\)"),
        (lambda: likelihood.reverse_entropy_bounds(SCHEDULE, 1, 1), ValueError, "t runs over 2..3"),
        (lambda: likelihood.reverse_entropy_bounds(SCHEDULE, 1.5, 2), TypeError, "d must be an integer"),
    ],
)
def test_what_is_out_of_range_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_numbers_and_arrays_of_one_number_mean_the_same():
    x_0 = [[1.0, -2.0]]
    for function in CLOSED_FORMS:
        one = function(SCHEDULE, 0.5, 0.25, x_0)
        many = function(SCHEDULE, np.full(4, 0.5), np.full(4, 0.25), x_0, SCHEDULE.beta, SCHEDULE.beta[1])
        np.testing.assert_array_equal(getattr(many, "total", many), getattr(one, "total", one))


def test_entry_0_of_slope_and_intercept_and_entry_1_of_the_variance_are_not_looked_at():
    x_0, slope, sigma_2 = [[1.0, -2.0]], np.array([0.5, 0.6, 0.7, 0.8]), np.array([0.0, 0.1, 0.2, 0.3])
    for function in CLOSED_FORMS:
        one = function(SCHEDULE, slope, slope, x_0, sigma_2)
        slope[0], sigma_2[:2] = 1e9, 1e9
        other = function(SCHEDULE, slope, slope, x_0, sigma_2)
        slope[0], sigma_2[:2] = 0.5, 0.1
        np.testing.assert_array_equal(getattr(other, "total", other), getattr(one, "total", one))


def test_data_of_less_entropy_than_noise_may_break_the_upper_entropy_bound_as_well():
    """What counts is whether the entropy of x_t falls at this step, not how much the data have."""
    schedule = Schedule.vp(100)
    data = GaussianMixture([0.5, 0.5], [[-5.0], [5.0]], 0.01)  # two needles, far apart
    noise = Gaussian(np.zeros(1), 1.0).entropy()
    assert data.entropy() < noise
    entropy = np.array([data.diffused(schedule, t).entropy() for t in range(schedule.T + 1)])
    step = Gaussian(np.zeros((schedule.T, 1)), schedule.beta[1:, None]).entropy()
    reverse_step = entropy[:-1] + step - entropy[1:]
    _, upper = likelihood.reverse_entropy_bounds(schedule, 1, np.arange(2, schedule.T + 1))
    breaks = reverse_step[1:] > upper + 1e-9
    assert not breaks[:20].any()
    assert breaks[60:90].all()
