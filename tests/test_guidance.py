"""Guidance: conventions, ends and digits; and what it does to the law, measured: not what it is often said to do.

What samples states its bound of five standard errors; all else is exact.
"""

from itertools import pairwise

import numpy as np
import pytest

from refdiff import elbo, guidance, reverse, score
from refdiff.continuous import VE, VP, SubVP, diffused, ideal_score
from refdiff.gaussian import Gaussian
from refdiff.guidance import LabelledMixture
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

FLAT = LabelledMixture(
    GaussianMixture([0.2, 0.5, 0.3], [[-1.0, 0.5], [0.5, -0.2], [1.0, 1.5]], [[0.1, 0.3], [0.3, 0.2], [0.2, 0.2]]),
    [0, 1, 0],
)
TWO = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.5), [0, 1])  # classes that overlap
CLASS, ALL = Gaussian([1.0], [1.0]), Gaussian([0.0], [4.0])
LAWS = (guidance.tilted, guidance.guided_ancestral_limit, guidance.guided_flow_limit)
GRID, STEP = np.linspace(-5.0, 8.0, 1301)[:, None], 0.01


def rng(seed=0):
    return np.random.default_rng(seed)


# -------------------------------------------------------------------------------------------------- labels and digits


@pytest.mark.parametrize(
    ("labels", "error", "said"),
    [
        ([0, 2, 0], ValueError, "labels must count the classes 0..C-1"),
        ([1, 1, 2], ValueError, "labels must count the classes 0..C-1"),
        ([0, 1], ValueError, "labels must have one entry for each of the 3 components"),
        ([[0, 1, 0]], ValueError, "labels must have one entry"),
        ([0.0, 1.0, 0.0], TypeError, "labels must be integers"),
        ([True, False, True], TypeError, "labels must be real numbers; got dtype bool"),
    ],
)
def test_labels_that_are_none_are_refused(labels, error, said):
    with pytest.raises(error, match=said):
        LabelledMixture(FLAT.mixture, labels)


def test_a_class_without_probability_is_refused():
    with pytest.raises(ValueError, match="labels must leave each class some probability"):
        LabelledMixture(GaussianMixture([1.0, 0.0], [[0.0], [1.0]], 1.0), [0, 1])


@pytest.mark.parametrize("y", [-1, 2, 1.0, True, "one"])
def test_a_class_that_there_is_not_is_refused(y):
    for asked in (
        FLAT.given,
        lambda y: FLAT.denoiser(Schedule.vp(5), y),
        lambda y: guidance.guided_score(VP(), FLAT, y, 1),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^y must be"):
            asked(y)


def test_the_labels_are_drawn_beside_the_points_of_the_mixture():
    x, y = FLAT.sample(5000, rng())
    np.testing.assert_array_equal(x, FLAT.mixture.sample(5000, rng()))
    np.testing.assert_allclose(np.bincount(y) / 5000, FLAT.probabilities, atol=5 * 0.5 / np.sqrt(5000))


def test_one_class_cannot_be_guided():
    alone, schedule, x = LabelledMixture(FLAT.mixture, [0, 0, 0]), Schedule.vp(10), rng().standard_normal((7, 2))
    assert (alone.log_probability(schedule, x, 3) == 0).all()
    assert (alone.classifier_score(schedule, 0)(x, 3) == 0).all()
    free = guidance.classifier_free(alone.denoiser(schedule, 0), alone.denoiser(schedule), 4.0)
    np.testing.assert_allclose(free(x, 3), alone.denoiser(schedule)(x, 3), rtol=1e-13)


@pytest.mark.parametrize("t", [0, 1, 5])
def test_digits_are_kept_where_a_class_is_certain_or_impossible(t):
    """Two classes of one variance v have log-odds 2 a x / v: the logistic function, far beyond where it underflows."""
    schedule, x = Schedule.vp(10), np.array([[-300.0], [-10.0], [-1.0], [0.0], [3.0], [30.0]])
    a = schedule.signal_rate[t]
    slope = 2 * a / (0.5 * a**2 + schedule.one_minus_alpha_bar[t])
    log_p, gradient = TWO.log_probability(schedule, x, t), TWO.classifier_score(schedule, 1)(x, t)
    with np.errstate(under="ignore"):
        np.testing.assert_allclose(log_p[:, 1], -np.logaddexp(0, -slope * x[:, 0]), rtol=1e-10)
        np.testing.assert_allclose(log_p[:, 0], -np.logaddexp(0, slope * x[:, 0]), rtol=1e-10)
        np.testing.assert_allclose(gradient, slope * np.exp(-np.logaddexp(0, slope * x)), rtol=1e-10)


def test_one_step_for_each_point_agrees_with_one_alone():
    schedule, x, t = Schedule.vp(6), rng().standard_normal((3, 4, 2)), rng().integers(1, 7, size=(3, 4))
    free = guidance.classifier_free(FLAT.denoiser(schedule, 0), FLAT.denoiser(schedule), 1.5)
    by = guidance.classifier(schedule, FLAT.denoiser(schedule), FLAT.classifier_score(schedule, 0), 2.5)
    for found in (free, by, FLAT.classifier_score(schedule, 0), lambda x, t: FLAT.log_probability(schedule, x, t)):
        np.testing.assert_array_equal(found(x, t)[1, 2], found(x[1, 2], t[1, 2]))


# --------------------------------------------------------------------------------------------------- the conventions


def test_w_is_0_without_guidance_and_minus_1_without_a_label():
    schedule, x = Schedule.vp(10), rng().standard_normal((9, 2))
    with_label, without = FLAT.denoiser(schedule, 0), FLAT.denoiser(schedule)
    np.testing.assert_array_equal(guidance.classifier_free(with_label, without, 0)(x, 4), with_label(x, 4))
    np.testing.assert_array_equal(guidance.classifier_free(with_label, without, -1)(x, 4), without(x, 4))


def test_the_guidance_scale_of_others_is_1_plus_w():
    schedule, x, scale = Schedule.vp(10), rng().standard_normal((9, 2)), 7.5
    e_c, e_u = (denoiser(x, 4) for denoiser in (FLAT.denoiser(schedule, 0), FLAT.denoiser(schedule)))
    ours = guidance.classifier_free(FLAT.denoiser(schedule, 0), FLAT.denoiser(schedule), scale - 1)(x, 4)
    np.testing.assert_allclose(ours, e_u + scale * (e_c - e_u), rtol=1e-12)


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 6.5])
def test_a_classifier_is_worth_a_conditional_denoiser(w):
    schedule, x = Schedule.vp(10), 2 * rng().standard_normal((50, 2))
    with_label, without, towards = (
        FLAT.denoiser(schedule, 0),
        FLAT.denoiser(schedule),
        FLAT.classifier_score(schedule, 0),
    )
    for t in (1, 5, 10):
        free = guidance.classifier_free(with_label, without, w)(x, t)
        for denoiser, weight in ((without, 1 + w), (with_label, w)):
            guided = guidance.classifier(schedule, denoiser, towards, weight)(x, t)
            np.testing.assert_allclose(guided, free, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("w", [float("nan"), float("inf"), [0.5], None])
def test_a_weight_that_is_none_is_refused(w):
    with pytest.raises((TypeError, ValueError), match=r"^w must be"):
        guidance.classifier_free(lambda x, t: x, lambda x, t: x, w)


def test_an_error_names_the_denoiser_that_is_wrong():
    right = FLAT.denoiser(Schedule.vp(5))
    with pytest.raises(TypeError, match="unconditional must be a callable eps_hat = unconditional"):
        guidance.classifier_free(right, None, 1.0)
    with pytest.raises(ValueError, match=r"^conditional\(x_t, t\) must have the shape of x_t"):
        guidance.classifier_free(lambda x, t: x[..., :1], right, 1.0)(np.zeros((3, 2)), 1)
    with pytest.raises(ValueError, match=r"^classifier_score"):
        guidance.classifier(Schedule.vp(5), right, lambda x, t: x[..., 0], 1.0)(np.zeros((3, 2)), 1)


def test_samplers_and_bounds_take_a_guided_denoiser_and_guidance_costs_likelihood():
    """It draws towards the middle of a class; as a model of the class it is the worse the more it does."""
    schedule, x_0 = Schedule.vp(30), TWO.given(1).sample(2000, rng())
    totals = []
    for w in (0.0, 0.5, 2.0):
        guided = guidance.classifier_free(TWO.denoiser(schedule, 1), TWO.denoiser(schedule), w)
        assert reverse.sample(schedule, guided, 5, 1, rng()).shape == (5, 1)
        assert reverse.ddim(schedule, guided, 5, 1, rng(), steps=10).shape == (5, 1)
        totals.append(elbo.denoising_form(schedule, guided, x_0, rng(1)).total)
    for less, more in pairwise(totals):
        costs = more - less  # of the same points and the same noise
        assert costs.mean() > 5 * costs.std() / np.sqrt(len(costs))


# --------------------------------------------------------------------------------------------------- a normal class


@pytest.mark.parametrize("w", [0.0, -1.0])
def test_all_laws_agree_without_guidance_and_without_a_label(w):
    for law in LAWS:
        found, truth = law(CLASS, ALL, w), CLASS if w == 0 else ALL
        np.testing.assert_allclose([found.mean, found.var], [truth.mean, truth.var], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("w", [0.05, 0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("V", [1.05, 1.5, 4.0, 100.0])
def test_samplers_sharpen_more_than_the_tilted_density_and_go_further(V, w):
    """The harmonic mean of v and V with weights 1 + w and -w, what has noise, and the geometric mean: in this order."""
    tilted, noisy, flow = (law(CLASS, Gaussian([0.0], [V]), w) for law in LAWS)
    assert 1 > tilted.var > noisy.var > flow.var > 0
    assert 1 < tilted.mean < noisy.mean < flow.mean


def test_much_guidance_leads_to_the_surest_point_and_the_flow_overshoots_it():
    surest = 4 / 3  # where log N(x; 1, 1) - log N(x; 0, 4) is largest
    for law in LAWS:
        much = law(CLASS, ALL, 400.0)
        assert much.mean[0] == pytest.approx(surest, abs=5e-3)
        assert much.var[0] < 5e-3
    means = np.array([[law(CLASS, ALL, w).mean[0] for law in LAWS] for w in (0.5, 1.0, 3.0, 10.0)])
    assert (means[:, :2] < surest).all()
    assert (means[1:, 2] > surest).all()


@pytest.mark.parametrize("w", [-0.9, -0.5, -0.1])
def test_between_unconditional_and_conditional_the_order_is_reversed(w):
    tilted, noisy, flow = (law(CLASS, ALL, w) for law in LAWS)
    assert tilted.var < noisy.var < flow.var < ALL.var
    assert 1 > tilted.mean > noisy.mean > flow.mean > 0


@pytest.mark.parametrize("w", [0.5, 1.0, 3.0])
def test_a_class_of_half_the_variance(w):
    """N(0, 1) of N(0, 2): powers of two, as in the counter-example of Bradley & Nakkiran (2024)."""
    tilted, noisy, flow = (law(Gaussian([0.0], [1.0]), Gaussian([0.0], [2.0]), w).var[0] for law in LAWS)
    np.testing.assert_allclose([tilted, flow], [1 / (1 + w / 2), 2.0**-w], rtol=1e-14)
    assert noisy == pytest.approx((2 - 2.0 ** (-2 * w)) / (1 + 2 * w), rel=1e-14)


def test_a_label_that_says_nothing_of_a_coordinate_leaves_its_variance():
    for law in LAWS:
        found = law(Gaussian([1.0, 0.3], [1.0, 2.0]), Gaussian([0.0, 0.3], [4.0, 2.0]), 1.7)
        assert found.mean[1] == pytest.approx(0.3, rel=1e-14)
        assert found.var[1] == pytest.approx(2.0, rel=1e-14)


def test_a_tilted_density_that_cannot_be_normalised_is_refused():
    with pytest.raises(ValueError, match=r"^w must leave a precision"):
        guidance.tilted(CLASS, ALL, -1.5)
    assert guidance.guided_flow_limit(CLASS, ALL, -1.5).var[0] == pytest.approx(8.0)  # a flow arrives all the same
    with pytest.raises(ValueError, match=r"^w must be at least -1"):
        guidance.tilted_log_density(TWO, 1, -1.5, [[0.0]])


@pytest.mark.parametrize("sde", [VP(beta_max=60.0), VE(sigma_max=3000.0), SubVP(beta_max=60.0)], ids=repr)
def test_much_noise_is_infinite_noise(sde):
    found, limit = guidance.guided_flow(sde, CLASS, ALL, 1.3), guidance.guided_flow_limit(CLASS, ALL, 1.3)
    np.testing.assert_allclose(found.var, limit.var, rtol=1e-5)  # the rest is of the order of u, the mean's of its root
    np.testing.assert_allclose(found.mean, limit.mean, rtol=1e-3)


def linear_denoiser(schedule, law):
    """Return the ideal denoiser of normal data."""

    def denoiser(x_t, t):
        a = schedule.signal_rate[t]
        var = a**2 * law.var + schedule.one_minus_alpha_bar[t]
        return schedule.noise_rate[t] * (x_t - a * law.mean) / var

    return denoiser


def of_chains(T, w):
    """Return mean and variance of what DDIM and ancestral sampling with T steps make of N(0, 1): they are affine."""
    schedule = Schedule.vp(T, 0.1, 40.0)
    guided = guidance.classifier_free(linear_denoiser(schedule, CLASS), linear_denoiser(schedule, ALL), w)
    *_, (_, ends) = reverse.ddim_path(schedule, guided, [[0.0], [1.0]], rng(), steps=T)
    mean, var = 0.0, 1.0
    for t in range(T, 0, -1):
        step = reverse.transition(schedule, guided, [[0.0], [1.0]], t, variance="posterior")
        gain = step.mean[1, 0] - step.mean[0, 0]
        mean, var = step.mean[0, 0] + gain * mean, gain**2 * var + step.var[0, 0]
    return np.array([[ends[0, 0], (ends[1, 0] - ends[0, 0]) ** 2], [mean, var]])


def test_ddim_and_ancestral_sampling_tend_to_two_laws_with_order_one():
    w, steps = 1.0, (50, 100, 200, 400)
    limits = [(law.mean[0], law.var[0]) for law in (guidance.guided_flow_limit(CLASS, ALL, w), LAWS[1](CLASS, ALL, w))]
    errors = np.array([of_chains(T, w) - limits for T in steps])
    assert np.abs(errors[-1]).max() < 0.025
    of_var = np.abs(errors[:, :, 1])
    np.testing.assert_allclose(-np.polyfit(np.log(steps), np.log(of_var), 1)[0], 1.0, atol=0.25)
    tilted = guidance.tilted(CLASS, ALL, w)
    assert (np.abs(of_chains(400, w) - [tilted.mean[0], tilted.var[0]]) > 0.1).all()


# ------------------------------------------------------------------------------------------ two classes that overlap


def laws_of_two(w):
    """Return the log-density of the tilted law on the grid, and that of the flow from where the class has gone."""
    sde = VP()
    prior = diffused(sde, TWO.given(1), 1.0)
    flow = guidance.guided_flow_log_density(sde, TWO, 1, w, GRID, prior=prior, tolerance=1e-8)
    return guidance.tilted_log_density(TWO, 1, w, GRID), flow


def kl(log_q, log_p):
    return np.sum(np.exp(log_q) * (log_q - log_p)) * STEP


def described(log_q):
    """Return mean, variance, the mass beyond 2.5, three standard deviations out, and that on the wrong side of 0."""
    mass = np.exp(log_q) * STEP
    mean = mass @ GRID[:, 0]
    return mean, mass @ (GRID[:, 0] - mean) ** 2, mass[GRID[:, 0] > 2.5].sum(), mass[GRID[:, 0] < 0].sum()


def test_without_guidance_tilted_density_and_flow_are_the_class():
    tilted, flow = laws_of_two(0.0)
    truth = TWO.given(1).log_density(GRID)
    np.testing.assert_allclose(tilted, truth, atol=1e-12)
    np.testing.assert_allclose(flow, truth, atol=1e-6)


@pytest.mark.parametrize(
    ("w", "kl_tilted", "kl_flow", "means", "variances", "beyond"),
    [
        (0.5, 0.0895, 0.0620, (1.0824, 1.2628), (0.4248, 0.3347), (0.0179, 0.0231)),
        (1.0, 0.4492, 0.2037, (1.1306, 1.4524), (0.3882, 0.2628), (0.0188, 0.0317)),
        (3.0, 6.7398, 0.9307, (1.2297, 1.9554), (0.3288, 0.1688), (0.0211, 0.1018)),
    ],
)
def test_what_the_guided_flow_samples_is_not_the_tilted_density(w, kl_tilted, kl_flow, means, variances, beyond):
    tilted, flow = laws_of_two(w)
    for log_q in (tilted, flow):
        assert np.exp(log_q).sum() * STEP == pytest.approx(1, abs=1e-8)
    assert kl(tilted, flow) == pytest.approx(kl_tilted, abs=1e-4)
    assert kl(flow, tilted) == pytest.approx(kl_flow, abs=1e-4)
    of_tilted, of_flow = described(tilted), described(flow)
    np.testing.assert_allclose([of_tilted[0], of_flow[0]], means, atol=1e-4)
    np.testing.assert_allclose([of_tilted[1], of_flow[1]], variances, atol=1e-4)
    np.testing.assert_allclose([of_tilted[2], of_flow[2]], beyond, atol=3e-4)  # a sum that ends at an edge
    assert of_flow[3] < of_tilted[3] / 5  # hardly anything is left where the other class is


@pytest.mark.parametrize("s", [0.1, 0.3, 0.5])
def test_to_tilt_and_to_diffuse_do_not_commute(s):
    """At s = 0 the guided score is the tilted density's, and at s > 0 not that of what this one diffuses to."""
    sde, w, x = VP(), 1.0, np.linspace(-2.0, 2.0, 9)[:, None]
    guided = guidance.guided_score(sde, TWO, 1, w)
    h = 1e-3
    log_density = [guidance.tilted_log_density(TWO, 1, w, x + k * h) for k in (-2, -1, 1, 2)]
    slope = (log_density[0] - 8 * log_density[1] + 8 * log_density[2] - log_density[3]) / (12 * h)
    np.testing.assert_allclose(guided(x, 0.0)[:, 0], slope, atol=1e-9)

    a, var, log_p = sde.signal_rate(s), sde.var(s), guidance.tilted_log_density(TWO, 1, w, GRID)
    joint = np.exp(log_p - (x - a * GRID[:, 0]) ** 2 / (2 * var))
    diffused_tilted = np.sum(joint * (a * GRID[:, 0] - x) / var, axis=1) / joint.sum(axis=1)
    gap = np.abs(guided(x, s)[:, 0] - diffused_tilted)
    assert gap.max() > 0.3
    same = guidance.guided_score(sde, TWO, 1, 0.0)(x, s)
    np.testing.assert_allclose(same, ideal_score(sde, TWO.given(1))(x, s), rtol=1e-14)


def test_mala_with_the_guided_score_at_0_samples_the_tilted_density():
    w, n = 3.0, 4000
    guided = guidance.guided_score(VP(), TWO, 1, w)
    start = TWO.given(1).sample(n, rng())
    x = score.mala(
        lambda x: guidance.tilted_log_density(TWO, 1, w, x), lambda x: guided(x, 0.0), start, rng(1), 0.3, 40
    )
    mean, var, _, _ = described(guidance.tilted_log_density(TWO, 1, w, GRID))
    assert abs(x.mean() - mean) < 5 * np.sqrt(var / n)
    square = (x - mean) ** 2
    assert abs(square.mean() - var) < 5 * square.std() / np.sqrt(n)
    assert x.mean() < 1.2297 + 0.1 < 1.9554  # where the flow's mean is


def test_ddim_with_the_guided_denoiser_samples_what_the_flow_does():
    w, n, schedule = 1.0, 4000, Schedule.vp(200)
    guided = guidance.classifier_free(TWO.denoiser(schedule, 1), TWO.denoiser(schedule), w)
    x = reverse.ddim(schedule, guided, n, 1, rng(), steps=200)
    flow = guidance.guided_flow_log_density(VP(), TWO, 1, w, GRID, tolerance=1e-6)  # from N(0, 1)
    mean, var, _, _ = described(flow)
    bound, steps = 5 * np.sqrt(var / n), 0.01  # what 200 steps leave
    assert abs(x.mean() - mean) < bound + steps
    assert abs(x.mean() - 1.1306) > 5 * bound  # the tilted density's


@pytest.mark.parametrize("std", [0.03, 0.003, 0.001])
def test_a_narrow_component_of_another_class_is_seen_by_the_normaliser(std):
    """It cuts a dip into the class that a grid for the class alone steps over."""
    two = LabelledMixture(GaussianMixture([0.5, 0.5], [[0.3], [0.0]], [std**2, 1.0]), [0, 1])
    x = np.sort(np.concatenate([np.linspace(-9, 9, 20_001), 0.3 + std * np.linspace(-9, 9, 20_001)]))
    density = np.exp(guidance.tilted_log_density(two, 1, 1.0, x[:, None]))
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-5)


def test_the_tilted_density_of_a_class_in_two_parts_is_normalised_in_two_dimensions():
    axis = np.linspace(-4.0, 5.0, 361)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    for w in (-0.5, 2.0, 20.0):
        mass = np.exp(guidance.tilted_log_density(FLAT, 0, w, x)).sum() * (axis[1] - axis[0]) ** 2
        assert mass == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="d <= 2"):
        guidance.tilted_log_density(
            LabelledMixture(GaussianMixture([1.0], np.zeros((1, 3)), 1.0), [0]), 0, 1.0, [[0.0] * 3]
        )


def test_so_much_guidance_that_no_variance_is_left_is_a_point_mass():
    law = guidance.guided_flow_limit(Gaussian([1.0], 1.0), Gaussian([0.0], 4.0), 600.0)
    assert law.var == 0
    assert law.mean == pytest.approx(1 / (1 - 1 / 4), rel=1e-2)  # the surest point
