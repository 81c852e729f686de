"""The loss is the paper's, its gradient is its derivative, and training can stop and go on at any record."""

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from refdiff.network import MLP, TrainingDiverged, TrainingState, fit, load_state, loss, loss_and_gradients, save
from refdiff.schedule import Schedule

VP = Schedule.vp(20)


def start(seed=0, n=50, **arguments):
    """A small network and data: two narrow clumps on the line y = x, of unit variance."""
    rng = np.random.default_rng(seed)
    model = MLP(**{"dim": 2, "rng": rng, "width": 16, "depth": 2, "time_dim": 8, **arguments})
    data = rng.choice([-1.0, 1.0], size=(n, 1)) + 0.1 * rng.standard_normal((n, model.dim))
    return model, data, rng


# The loss


def test_the_loss_is_the_mean_over_points_of_the_squared_error_per_coordinate():
    rng = np.random.default_rng(0)
    x_0, eps, t = rng.standard_normal((3, 2)), rng.standard_normal((3, 2)), np.array([1, 9, 20])
    expected = 0.0
    for i in range(3):
        alpha_bar = math.prod(1 - VP.beta[s] for s in range(1, t[i] + 1))
        x_t = math.sqrt(alpha_bar) * x_0[i] + math.sqrt(1 - alpha_bar) * eps[i]
        expected += ((eps[i] - (0.3 * x_t + t[i])) ** 2).sum() / 2 / 3
    value = loss(lambda x_t, t: 0.3 * x_t + np.reshape(t, (-1, 1)), x_0, t, eps, VP)
    assert value == pytest.approx(expected, rel=1e-12)
    assert isinstance(value, float)


@pytest.mark.parametrize("dim", [1, 5])
def test_an_answer_of_zero_scores_one_in_any_dimension_and_the_truth_scores_zero(dim):
    eps = np.random.default_rng(0).standard_normal((20000, dim))
    assert loss(lambda x_t, t: np.zeros_like(x_t), np.zeros_like(eps), 7, eps, VP) == pytest.approx(1, abs=0.05)
    assert loss(lambda x_t, t: x_t / VP.noise_rate[7], np.zeros_like(eps), 7, eps, VP) < 1e-25


@pytest.mark.parametrize("residual", [False, True])
def test_the_gradients_are_the_derivatives_of_the_loss(residual):
    model, x_0, rng = start(dtype=np.float64, residual=residual)
    t, eps, h = rng.integers(1, 21, 50), rng.standard_normal(x_0.shape), 1e-5
    value, gradients = loss_and_gradients(model, x_0, t, eps, VP)
    assert value == pytest.approx(loss(model, x_0, t, eps, VP), rel=1e-12)
    assert gradients is model.gradients
    gradient = model.gradient.copy()
    for i in range(0, model.theta.size, 5):
        ends = []
        for sign in (1, -1):
            theta = model.theta.copy()
            theta[i] += sign * h
            ends.append(loss(MLP.from_theta(theta, **model.config), x_0, t, eps, VP))
        assert gradient[i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(
    ("x_0", "t", "eps", "error", "says"),
    [
        (np.zeros((4, 2)), 1, np.zeros((4, 1)), ValueError, "same shape"),
        (np.zeros((4, 2)), 0, np.zeros((4, 2)), ValueError, "t runs over 1..20; got 0"),
        (np.zeros((4, 2)), 21, np.zeros((4, 2)), ValueError, "got 21"),
        (np.zeros((4, 2)), 1.0, np.zeros((4, 2)), TypeError, "integer"),
        (np.zeros((2, 2)), np.ones((2, 1), int), np.zeros((2, 2)), ValueError, "one entry per point"),
        (np.zeros((0, 2)), 1, np.zeros((0, 2)), ValueError, "got none"),
        ([["a", "b"]], 1, np.zeros((1, 2)), TypeError, "real"),
    ],
)
def test_a_loss_of_bad_inputs_is_refused(x_0, t, eps, error, says):
    model, *_ = start()
    for call in (loss, loss_and_gradients):
        with pytest.raises(error) as raised:
            call(model, x_0, t, eps, VP)
        assert says in str(raised.value)


# Training


def held_out(model, data):
    rng = np.random.default_rng(99)
    t = rng.integers(1, 21, len(data))
    return loss(model, data, t, rng.standard_normal(data.shape), VP)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_reduces_the_loss(dtype):
    model, data, rng = start(n=400, dtype=dtype)
    before = held_out(model, data)
    records = list(fit(model, data, VP, rng, 600, batch_size=64, learning_rate=1e-2))
    assert [record.step for record in records] == [100, 200, 300, 400, 500, 600]
    assert records[-1].loss < records[0].loss < before
    assert held_out(model, data) < 0.4 * before
    assert model.theta.dtype == dtype


def test_training_approaches_the_ideal_denoiser():
    """For x_0 ~ N(0, I) it is known: E[eps | x_t] = sqrt(1 - alpha_bar_t) x_t, with error alpha_bar_t."""
    model, _, rng = start(dim=1, width=32)
    x_0 = rng.standard_normal((5000, 1))
    list(fit(model, x_0, VP, rng, 1500, batch_size=128, learning_rate=1e-2))
    x_t = np.linspace(-2, 2, 41)[:, None]
    for t in (1, 5, 20):
        assert np.abs(model(x_t, t) - VP.noise_rate[t] * x_t).max() < 0.2


def test_the_same_seed_gives_the_same_training_at_any_number_of_threads():
    thetas = []
    for threads in (1, 2, 2):
        model, data, rng = start(width=128)
        with threadpool_limits(threads, user_api="blas"):
            list(fit(model, data, VP, rng, 20))
        thetas.append(model.theta)
    np.testing.assert_array_equal(thetas[0], thetas[1])
    np.testing.assert_array_equal(thetas[0], thetas[2])
    model, data, rng = start(seed=1, width=128)
    list(fit(model, data, VP, rng, 20))
    assert (model.theta != thetas[0]).any()


def test_between_two_records_threads_and_warnings_are_as_the_caller_set_them():
    model, data, rng = start()

    def setting():
        return [pool["num_threads"] for pool in threadpool_info()], np.geterr()

    with np.errstate(over="raise"):
        before = setting()
        for _ in fit(model, data, VP, rng, 4, record_every=2):
            assert setting() == before


def test_a_record_tells_the_mean_since_the_last():
    def records(every):
        model, data, rng = start()
        return list(fit(model, data, VP, rng, 7, record_every=every))

    single, grouped = records(1), records(3)
    assert [record.step for record in grouped] == [3, 6, 7]
    for record, part in zip(grouped, (single[:3], single[3:6], single[6:])):
        assert record.loss == pytest.approx(np.mean([r.loss for r in part]))
        assert record.gradient_norm == pytest.approx(np.mean([r.gradient_norm for r in part]))
        assert record.learning_rate == part[-1].learning_rate


def test_the_data_are_never_written_to_and_one_point_is_enough():
    model, data, rng = start(n=1)
    data.flags.writeable = False
    before = data.copy()
    list(fit(model, data, VP, rng, 3, batch_size=500))
    np.testing.assert_array_equal(data, before)


# Stopping and going on


def test_the_model_holds_the_average_and_the_state_the_rest():
    model, data, rng = start()
    state = TrainingState.start(model)
    for record in fit(model, data, VP, rng, 30, record_every=10, state=state):
        np.testing.assert_array_equal(model.theta, state.average)
        assert state.step == record.step
        assert (state.theta != state.average).any()
        assert not np.shares_memory(model.theta, state.average)
        assert state.rng_state == rng.bit_generator.state


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_training_resumed_from_a_file_is_the_same_to_the_last_bit(tmp_path, bits):
    arguments = {"batch_size": 32, "weight_decay": 0.01, "record_every": 50}
    straight, data, _ = start()
    whole = TrainingState.start(straight)
    records = list(fit(straight, data, VP, np.random.Generator(bits(7)), 200, state=whole, **arguments))

    model, data, _ = start()
    state = TrainingState.start(model)
    first = []
    for record in fit(model, data, VP, np.random.Generator(bits(7)), 200, state=state, **arguments):
        first.append(record)
        if record.step == 100:
            break
    save(tmp_path / "half.npz", model, state=state)
    del model, state
    model, state = load_state(tmp_path / "half.npz")
    rest = list(fit(model, data, VP, np.random.Generator(bits(999)), 200, state=state, **arguments))

    assert first + rest == records
    np.testing.assert_array_equal(model.theta, straight.theta)
    for name in ("theta", "average", "first_moment", "second_moment"):
        np.testing.assert_array_equal(getattr(state, name), getattr(whole, name))
    assert state.step == whole.step == 200


class InterruptedRNG(np.random.Generator):
    """Raises KeyboardInterrupt in the middle of a step."""

    def __init__(self, bit_generator, draws):
        super().__init__(bit_generator)
        self.draws = draws

    def standard_normal(self, *args, **kwargs):
        self.draws -= 1
        if self.draws < 0:
            raise KeyboardInterrupt
        return super().standard_normal(*args, **kwargs)


def test_an_interrupted_training_goes_on_from_the_last_record():
    straight, data, _ = start()
    list(fit(straight, data, VP, np.random.default_rng(7), 60, record_every=20))

    model, data, _ = start()
    state = TrainingState.start(model)
    with pytest.raises(KeyboardInterrupt):
        list(fit(model, data, VP, InterruptedRNG(np.random.PCG64(7), 33), 60, record_every=20, state=state))
    assert state.step == 20
    np.testing.assert_array_equal(model.theta, state.average)
    list(fit(model, data, VP, np.random.default_rng(0), 60, record_every=20, state=state))
    np.testing.assert_array_equal(model.theta, straight.theta)


def test_closing_the_generator_leaves_the_last_record():
    model, data, rng = start()
    training = fit(model, data, VP, rng, 1000, record_every=10)
    next(training)
    average = model.theta.copy()
    training.close()
    np.testing.assert_array_equal(model.theta, average)


def test_a_finished_training_has_nothing_left():
    model, data, rng = start()
    state = TrainingState.start(model)
    list(fit(model, data, VP, rng, 10, state=state))
    assert list(fit(model, data, VP, rng, 10, state=state)) == []
    with pytest.raises(ValueError, match="the state has made 10"):
        fit(model, data, VP, rng, 5, state=state)


# What goes wrong


@pytest.mark.parametrize(("learning_rate", "scale", "step"), [(1e30, 1.0, 2), (1e-3, 1e200, 1)])
def test_a_diverged_training_is_stopped_and_the_model_stays_finite(learning_rate, scale, step):
    model, data, rng = start()
    before = model.theta.copy()
    with pytest.raises(TrainingDiverged, match=f"not finite at step {step}") as raised:
        list(fit(model, scale * data, VP, rng, 50, learning_rate=learning_rate))
    assert isinstance(raised.value, RuntimeError)
    assert raised.value.step == step
    assert "\n" not in str(raised.value)
    np.testing.assert_array_equal(model.theta, before)


def test_a_step_that_blows_up_the_parameters_is_not_recorded():
    """The loss was finite before the last step; what the step left is not."""
    model, data, rng = start()
    before = model.theta.copy()
    with pytest.raises(TrainingDiverged):
        list(fit(model, data, VP, rng, 1, learning_rate=1e39))
    np.testing.assert_array_equal(model.theta, before)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"data": np.zeros((5, 3))}, ValueError, "data must have shape (n, 2), the model's dim; got (5, 3)"),
        ({"data": np.zeros(5)}, ValueError, "got (5,)"),
        ({"data": np.zeros((5, 2, 2))}, ValueError, "got (5, 2, 2)"),
        ({"data": np.zeros((0, 2))}, ValueError, "at least one point"),
        ({"data": [[0.0, 1.0], [np.nan, 0.0]]}, ValueError, "data must be finite; row 1 is not"),
        ({"data": [[0.0, np.inf]]}, ValueError, "row 0"),
        ({"data": None}, TypeError, "real"),
        ({"data": np.ma.masked_equal([[0.0, 1.0]], 0)}, TypeError, "masked"),
        ({"schedule": np.linspace(0.1, 0.2, 5)}, TypeError, "schedule must be a Schedule; got ndarray"),
        ({"rng": 0}, TypeError, "default_rng"),
        ({"rng": None}, TypeError, "default_rng"),
        ({"rng": np.random}, TypeError, "default_rng"),
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": 10.0}, TypeError, "steps"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": True}, TypeError, "batch_size"),
        ({"record_every": 0}, ValueError, "record_every"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be one number > 0 and finite; got 0"),
        ({"learning_rate": -1e-3}, ValueError, "learning_rate"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate"),
        ({"learning_rate": "1e-3"}, TypeError, "learning_rate"),
        ({"learning_rate": [1e-3]}, ValueError, "learning_rate"),
        ({"weight_decay": -1}, ValueError, "weight_decay"),
        ({"ema_decay": 1.0}, ValueError, "ema_decay"),
        ({"ema_decay": np.nan}, ValueError, "ema_decay"),
        ({"clip_norm": 0}, ValueError, "clip_norm"),
        ({"clip_norm": None}, TypeError, "clip_norm"),
        ({"model": lambda x, t: x}, TypeError, "fit trains an MLP"),
        ({"model": MLP(rng=np.random.default_rng(0), dtype=complex)}, TypeError, "complex"),
        ({"state": {}}, TypeError, "TrainingState"),
        ({"state": TrainingState.start(MLP(rng=np.random.default_rng(0), width=3))}, ValueError, "another network"),
    ],
)
def test_a_bad_argument_is_refused_at_the_call(change, error, says):
    model, data, rng = start()
    arguments = {"model": model, "data": data, "schedule": VP, "rng": rng, "steps": 10, **change}
    with pytest.raises(error) as raised:
        fit(**arguments)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_state_goes_on_only_with_the_generator_it_was_drawn_with():
    model, data, rng = start()
    state = TrainingState.start(model)
    list(fit(model, data, VP, rng, 10, state=state))
    with pytest.raises(ValueError, match=r"drawn with PCG64.*got MT19937"):
        fit(model, data, VP, np.random.Generator(np.random.MT19937(0)), 20, state=state)
