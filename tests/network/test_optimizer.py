"""The optimizer's steps are those of the papers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdiff.network import EMA, AdamW, clip_by_global_norm, cosine_learning_rate


def test_adam_takes_the_step_computed_by_hand():
    theta = np.array([1.0])
    adam = AdamW(theta)
    adam.update(theta, np.array([0.5]), 0.1)
    # m = .05, v = .00025, m_hat = .5, v_hat = .25: theta = 1 - .1 * .5 / (.5 + 1e-8)
    assert theta[0] == pytest.approx(1 - 0.05 / (0.5 + 1e-8), rel=1e-15)
    adam.update(theta, np.array([-0.25]), 0.1)
    # m = .045 - .025 = .02, m_hat = .02/.19; v = .00024975 + .0000625 = .00031225, v_hat = .00031225/.001999
    step = 0.1 * (0.02 / 0.19) / (math.sqrt(0.00031225 / 0.001999) + 1e-8)
    assert theta[0] == pytest.approx(1 - 0.05 / (0.5 + 1e-8) - step, rel=1e-14)


@given(gradients=st.lists(st.floats(-10, 10).filter(lambda g: abs(g) > 1e-3), min_size=1, max_size=8))
def test_adam_agrees_with_the_moments_written_as_weighted_sums(gradients):
    """Unrolled, m_hat and v_hat are averages of all past gradients with weights b^(k-i): no recursion."""
    theta = np.array([0.3])
    adam = AdamW(theta, beta_1=0.8, beta_2=0.95)
    expected = 0.3
    for k in range(1, len(gradients) + 1):
        adam.update(theta, np.array([gradients[k - 1]]), 0.01)
        past = np.array(gradients[:k])
        m_hat = np.average(past, weights=0.8 ** np.arange(k)[::-1])
        v_hat = np.average(past**2, weights=0.95 ** np.arange(k)[::-1])
        expected -= 0.01 * m_hat / (math.sqrt(v_hat) + 1e-8)
    assert theta[0] == pytest.approx(expected, rel=1e-10)
    assert adam.step == len(gradients)


def test_weight_decay_is_decoupled_from_the_gradient():
    theta = np.array([2.0, 2.0])
    AdamW(theta, weight_decay=0.1).update(theta, np.array([0.0, 0.0]), 0.5)
    np.testing.assert_allclose(theta, 2.0 * (1 - 0.5 * 0.1), rtol=1e-15)  # no gradient: pure shrinking

    # As a penalty in the gradient, 1e6 and 1e-6 would be shrunk by one and the same length, the learning rate.
    decayed, plain, gradient = np.array([1e6, 1e-6]), np.array([1e6, 1e-6]), np.array([1e-3, 1e3])
    AdamW(decayed, weight_decay=0.1).update(decayed, gradient, 0.5)
    AdamW(plain).update(plain, gradient, 0.5)
    np.testing.assert_allclose(plain - decayed, 0.5 * 0.1 * np.array([1e6, 1e-6]), rtol=1e-8)


def test_a_step_stays_in_float32():
    theta = np.ones(3, np.float32)
    adam, ema = AdamW(theta, weight_decay=0.1), EMA(theta)
    adam.update(theta, np.ones(3, np.float32), cosine_learning_rate(1, 10, 0.1))
    ema.update(theta)
    assert {a.dtype for a in (theta, adam.first_moment, adam.second_moment, ema.average)} == {np.dtype(np.float32)}


def test_the_average_is_the_weighted_sum_of_the_path():
    rng = np.random.default_rng(0)
    path = rng.standard_normal((40, 3))
    ema = EMA(path[0], decay=0.8)
    for theta in path[1:]:
        ema.update(theta)
    decays = [min(0.8, (1 + k) / (10 + k)) for k in range(1, 40)]
    weights = [math.prod(decays)] + [(1 - d) * math.prod(decays[k + 1 :]) for k, d in enumerate(decays)]
    assert sum(weights) == pytest.approx(1)
    np.testing.assert_allclose(ema.average, weights @ path, rtol=1e-12)


def test_the_average_of_a_short_path_forgets_its_start():
    ema = EMA(np.array([1000.0]), decay=0.9999)
    for _ in range(200):
        ema.update(np.array([0.0]))
    assert abs(ema.average[0]) < 1e-4  # with a constant decay: 980


def test_the_average_is_a_copy():
    theta = np.zeros(2)
    ema = EMA(theta)
    theta += 1
    np.testing.assert_array_equal(ema.average, 0)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero():
    rates = [cosine_learning_rate(k, 1000, 2.0, warmup=100) for k in range(1, 1001)]
    assert rates[0] == pytest.approx(2 / 101)
    assert rates[100] == max(rates) == 2.0
    assert rates[550] == pytest.approx(1.0)  # half way down
    assert 0 < rates[-1] < 1e-5
    assert np.all(np.diff(rates[:101]) > 0)
    assert np.all(np.diff(rates[100:]) < 0)


def test_the_learning_rate_of_a_single_step_is_the_peak():
    assert cosine_learning_rate(1, 1, 0.3) == 0.3
    assert isinstance(cosine_learning_rate(1, 1, np.float64(0.3)), float)


@pytest.mark.parametrize(("step", "steps", "warmup"), [(0, 5, 0), (6, 5, 0), (1, 0, 0), (1, 5, 5), (1, 5, -1)])
def test_a_step_outside_the_training_has_no_learning_rate(step, steps, warmup):
    with pytest.raises(ValueError, match=r"must be at least|runs over"):
        cosine_learning_rate(step, steps, 1.0, warmup)


@given(scale=st.floats(1e-3, 1e3), limit=st.floats(1e-2, 1e2))
def test_clipping_keeps_the_direction_and_bounds_the_norm(scale, limit):
    before = scale * np.array([3.0, -4.0, 12.0])
    gradient = before.copy()
    norm = clip_by_global_norm(gradient, limit)
    assert norm == pytest.approx(13 * scale)
    np.testing.assert_allclose(gradient, before * min(1, limit / norm), rtol=1e-12)


def test_clipping_at_infinity_only_measures():
    gradient = np.array([3e10, 4e10])
    assert clip_by_global_norm(gradient, math.inf) == 5e10
    np.testing.assert_array_equal(gradient, [3e10, 4e10])
