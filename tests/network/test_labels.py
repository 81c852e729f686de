"""One network for the law of each class and for that of all: labels, none, and what training makes of them."""

from types import SimpleNamespace

import numpy as np
import pytest

from refdiff import elbo, network, reverse, toys, verify
from refdiff.kernels import build
from refdiff.network import MLP, TrainingState, drop_labels, fit, load_state, loss, loss_and_gradients, save
from refdiff.network.mlp import Given
from refdiff.schedule import Schedule

VP = Schedule.vp(20)
compiled_only = pytest.mark.skipif(not build.ENABLED, reason="Numba is switched off")
either_loop = pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=compiled_only)])


def small(seed=0, classes=3, dtype=np.float64, **shape):
    """A network with no parameter at 0, and three labelled points at steps of their own."""
    rng = np.random.default_rng(seed)
    model = MLP(rng=rng, classes=classes, dtype=dtype, **{"width": 6, "depth": 2, "time_dim": 4, **shape})
    model.theta[...] = 0.7 * rng.standard_normal(model.theta.size)
    return model, rng


X, T_OF_X, Y = np.array([[0.5, -1.0], [2.0, 0.3], [-0.2, 0.1]]), np.array([1, 9, 20]), np.array([2, -1, 0])


# Answers


def test_a_label_adds_its_own_row_to_the_products_of_the_first_layer():
    model, _ = small()
    without = MLP.from_theta(np.zeros(MLP(rng=np.random.default_rng(0), **_shape(model)).theta.size), **_shape(model))
    for name, parameter in without.parameters.items():
        parameter[...] = (
            np.delete(model.parameters[name], [2, 3, 4], axis=0) if name == "weight_1" else (model.parameters[name])
        )
    np.testing.assert_allclose(model(X, T_OF_X), without(X, T_OF_X), rtol=1e-13)
    for label in range(3):
        without.parameters["bias_1"][...] = model.parameters["bias_1"] + model.parameters["weight_1"][2 + label]
        np.testing.assert_allclose(model(X, T_OF_X, label), without(X, T_OF_X), rtol=1e-13)


def _shape(model):
    return model.config | {"classes": 0}


def test_each_point_is_answered_with_its_own_label_and_minus_one_is_none():
    model, _ = small()
    found = model(X, T_OF_X, Y)
    for i, label in enumerate((2, None, 0)):
        np.testing.assert_allclose(found[i], model(X[i], int(T_OF_X[i]), label), rtol=1e-13)
    np.testing.assert_array_equal(model(X, T_OF_X, -1), model(X, T_OF_X))
    np.testing.assert_array_equal(model(X, T_OF_X, [-1, -1, -1]), model(X, T_OF_X))
    np.testing.assert_array_equal(model(X, T_OF_X, Y.astype(np.int8)), found)
    shaped = model(X.reshape(1, 3, 2), T_OF_X.reshape(1, 3), Y.reshape(1, 3))
    np.testing.assert_array_equal(shaped.reshape(3, 2), found)


def test_labels_stay_with_their_points_in_blocks():
    model, rng = small()
    x, y = rng.standard_normal((2500, 2)), rng.integers(-1, 3, 2500)
    few = np.concatenate([model(x[:700], 3, y[:700]), model(x[700:], 3, y[700:])])
    np.testing.assert_allclose(model(x, 3, y), few, rtol=1e-12)


@pytest.mark.parametrize("y", [None, -1, 1, np.int64(2), Y])
def test_the_network_given_labels_is_the_network_with_them(y):
    model, _ = small()
    given = model.given(y)
    assert isinstance(given, Given)
    assert given.dim == 2
    np.testing.assert_array_equal(given(X, T_OF_X), model(X, T_OF_X, y))


def test_a_network_without_classes_is_given_none():
    model, _ = small(classes=0)
    np.testing.assert_array_equal(model.given(None)(X, T_OF_X), model(X, T_OF_X))
    assert model.given(None).compiled_walks() is not None or not build.ENABLED


@pytest.mark.parametrize(
    ("y", "error", "says"),
    [
        (3, ValueError, "y runs over 0..2, and -1 is no label; got 3"),
        (-2, ValueError, "got -2"),
        ([0, 1, 5], ValueError, "got 5"),
        (1.0, TypeError, "y must be a label or labels, integers; got dtype float64"),
        (True, TypeError, "got dtype bool"),
        ("1", TypeError, "y must be"),
        ([0, None, 1], TypeError, "No label is -1, or None"),
        ([0, 1], ValueError, "y must be one label or have one entry per point: shape (3,)"),
        ([[0], [1], [2]], ValueError, "got (3, 1)"),
    ],
)
def test_a_label_that_is_none_is_refused_in_one_line(y, error, says):
    model, _ = small()
    for call in (model, model.forward, lambda x, t, y: model.given(y)(x, t)):
        with pytest.raises(error) as raised:
            call(X, T_OF_X, y)
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_label_for_a_network_without_classes_is_refused():
    model, _ = small(classes=0)
    for call in (lambda: model(X, 1, 0), lambda: model.forward(X, 1, [0, -1, 0]), lambda: model.given(1)):
        with pytest.raises(ValueError, match=r"y must be None for a network without classes; got .*classes="):
            call()
    with pytest.raises(ValueError, match="labels must be None for a network without classes; got 1"):
        fit(model, X, VP, np.random.default_rng(0), 5, labels=[0, 1, 1])


def test_a_network_draws_the_weights_of_a_wider_first_layer_and_without_classes_the_same_as_ever():
    assert small()[0].parameters["weight_1"].shape == (2 + 3 + 4, 6)
    plain = MLP(rng=np.random.default_rng(5), width=6, depth=2, time_dim=4)
    zero = MLP(rng=np.random.default_rng(5), width=6, depth=2, time_dim=4, classes=0)
    np.testing.assert_array_equal(plain.theta, zero.theta)
    assert "classes" not in repr(zero)
    assert "classes=3" in repr(small()[0])


def test_a_subclass_that_knows_nothing_of_labels_is_called_as_ever():
    class Halved(MLP):
        def forward(self, x, t):
            out, tape = super().forward(x, t)
            return out / 2, tape

    model = Halved(2, rng=np.random.default_rng(0), width=4, depth=1)
    plain = MLP(2, rng=np.random.default_rng(0), width=4, depth=1)
    np.testing.assert_allclose(model(X, 3), plain(X, 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(model.given(None)(X, 3), plain(X, 3) / 2, rtol=1e-6)


# Losses


def test_a_loss_with_labels_is_that_of_the_answers_with_them_and_its_gradient_is_the_derivative():
    model, rng = small()
    eps, h = rng.standard_normal(X.shape), 1e-30
    value, _ = loss_and_gradients(model, X, T_OF_X, eps, VP, Y)
    x_t = VP.signal_rate[T_OF_X][:, None] * X + VP.noise_rate[T_OF_X][:, None] * eps
    assert value == pytest.approx(np.mean((eps - model(x_t, T_OF_X, Y)) ** 2), rel=1e-13)
    assert loss(model, X, T_OF_X, eps, VP, Y) == pytest.approx(value, rel=1e-13)
    assert loss(model, X, T_OF_X, eps, VP) != pytest.approx(value, rel=1e-3)
    for i in range(model.theta.size):
        theta = model.theta.astype(complex)
        theta[i] += 1j * h
        moved = MLP.from_theta(theta, **model.config | {"dtype": "complex128"})
        slope = np.mean((eps - moved.forward(x_t, T_OF_X, Y)[0]) ** 2).imag / h
        assert model.gradient[i] == pytest.approx(slope, rel=1e-12, abs=1e-13)
    assert (model.gradients["weight_1"][3] == 0).all()  # nobody had the label 1


# Dropping


def test_dropping_draws_one_number_a_label_whatever_the_probability():
    for p in (0.0, 0.1, 1.0):
        rng, twin = np.random.default_rng(3), np.random.default_rng(3)
        y = drop_labels(np.arange(6).reshape(2, 3), p, rng)
        u = twin.random((2, 3))
        np.testing.assert_array_equal(y, np.where(u < p, -1, np.arange(6).reshape(2, 3)))
        assert rng.bit_generator.state == twin.bit_generator.state


def test_dropping_leaves_the_labels_that_it_was_given_alone():
    y = np.arange(50, dtype=np.uint8)
    dropped = drop_labels(y, 0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(y, np.arange(50))
    assert dropped.dtype == np.int64
    assert dropped.min() == -1


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (([0.0], 0.1, np.random.default_rng(0)), TypeError, "y must be labels, integers"),
        (([0], 1.1, np.random.default_rng(0)), ValueError, "probability must be one number in"),
        (([0], -0.1, np.random.default_rng(0)), ValueError, "probability"),
        (([0], np.nan, np.random.default_rng(0)), ValueError, "probability"),
        (([0], 0.1, 0), TypeError, "default_rng"),
    ],
)
def test_a_bad_argument_of_dropping_is_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        drop_labels(*arguments)


# Training


def start(seed=0, n=50, classes=2, **shape):
    """A small network, and two narrow clumps, each a class."""
    rng = np.random.default_rng(seed)
    model = MLP(rng=rng, classes=classes, **{"dim": 2, "width": 16, "depth": 2, "time_dim": 8, **shape})
    y = rng.integers(2, size=n)
    return model, 2.0 * y[:, None] - 1 + 0.1 * rng.standard_normal((n, 2)), y, rng


@either_loop
def test_a_step_draws_rows_steps_and_noise_as_without_labels_and_then_which_to_drop(compiled):
    for labelled in (False, True):
        model, data, y, _ = start()
        rng, twin = np.random.default_rng(7), np.random.default_rng(7)
        options = {"labels": y, "drop_label": 0.3} if labelled else {}
        list(fit(model, data, VP, rng, 3, batch_size=8, compiled=compiled, **options))
        for _ in range(3):
            twin.integers(len(data), size=8)
            twin.integers(1, VP.T, size=8, endpoint=True)
            twin.standard_normal((8, 2))
            if labelled:
                twin.random(8)
        assert rng.bit_generator.state == twin.bit_generator.state


@either_loop
@pytest.mark.parametrize("options", [{}, {"drop": 1.0}, {"unlabelled": True}])
def test_where_no_label_is_seen_the_rows_of_the_labels_stay_as_they_were_drawn(compiled, options):
    model, data, y, rng = start()
    labels = np.full_like(y, -1) if "unlabelled" in options else y
    given = {"labels": labels, "drop_label": options.get("drop", 0.0)} if options else {}
    before = model.parameters["weight_1"].copy()
    list(fit(model, data, VP, rng, 30, compiled=compiled, **given))
    # the average of one value is that value, up to rounding
    np.testing.assert_allclose(model.parameters["weight_1"][2:4], before[2:4], rtol=1e-6)
    assert (np.abs(model.parameters["weight_1"] - before)[[0, 1, 4, 5]] > 1e-4).any(axis=1).all()


@either_loop
def test_the_row_of_a_label_that_no_point_has_stays_as_it_was_drawn(compiled):
    model, data, y, rng = start(classes=4)
    before = model.parameters["weight_1"].copy()
    list(fit(model, data, VP, rng, 30, labels=3 * y, drop_label=0.1, compiled=compiled))
    moved = np.abs(model.parameters["weight_1"] - before)[2:6].max(axis=1)
    assert (moved[[0, 3]] > 1e-3).all()
    assert (moved[[1, 2]] < 1e-6).all()


@either_loop
def test_training_with_labels_resumed_from_a_file_is_the_same_to_the_last_bit(tmp_path, compiled):
    straight, data, y, _ = start()
    options = {"labels": y, "drop_label": 0.2, "batch_size": 32, "record_every": 20, "compiled": compiled}
    whole = TrainingState.start(straight)
    records = list(fit(straight, data, VP, np.random.default_rng(7), 60, state=whole, **options))

    model, *_ = start()
    state, first = TrainingState.start(model), []
    for record in fit(model, data, VP, np.random.default_rng(7), 60, state=state, **options):
        first.append(record)
        if record.step == 40:
            break
    save(tmp_path / "half.npz", model, state=state)
    model, state = load_state(tmp_path / "half.npz")
    assert model.config["classes"] == 2
    rest = list(fit(model, data, VP, np.random.default_rng(99), 60, state=state, **options))

    assert first + rest == records
    np.testing.assert_array_equal(model.theta, straight.theta)
    for name in ("theta", "average", "first_moment", "second_moment"):
        np.testing.assert_array_equal(getattr(state, name), getattr(whole, name))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"labels": [0, 1]}, ValueError, "labels must have one entry for each of the 50 points; got shape (2,)"),
        ({"labels": 1}, ValueError, "got shape ()"),
        ({"labels": np.zeros((50, 1), int)}, ValueError, "got shape (50, 1)"),
        ({"labels": np.full(50, 2)}, ValueError, "labels runs over 0..1, and -1 is no label; got 2"),
        ({"labels": np.full(50, -2)}, ValueError, "got -2"),
        ({"labels": np.zeros(50)}, TypeError, "labels must be a label or labels, integers; got dtype float64"),
        ({"labels": np.zeros(50, bool)}, TypeError, "labels"),
        ({"labels": np.zeros(50, int), "drop_label": 1.5}, ValueError, "drop_label must be one number in [0, 1]"),
        ({"labels": np.zeros(50, int), "drop_label": np.nan}, ValueError, "drop_label"),
        ({"labels": np.zeros(50, int), "drop_label": "0.1"}, TypeError, "drop_label"),
    ],
)
def test_a_bad_label_is_refused_at_the_call(change, error, says):
    model, data, _, rng = start()
    with pytest.raises(error) as raised:
        fit(model, data, VP, rng, 10, **change)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


# Walks under a label


def plain(denoiser):
    """The same denoiser, which nobody can see the engine of."""
    return lambda x, t: denoiser(x, t)


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


SCHEDULE = Schedule.vp(100)


@compiled_only
@pytest.mark.parametrize("y", [None, 2])
@pytest.mark.parametrize("shape", [{}, {"point_dim": 4, "residual": True, "activation": "gelu"}, {"depth": 1}])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-2)])
def test_compiled_walks_under_a_label_are_those_of_the_network_called_step_by_step(y, shape, dtype, tolerance):
    shape = {"width": 16, "depth": 2, "time_dim": 8, **shape}
    given = MLP(rng=np.random.default_rng(0), classes=3, dtype=dtype, **shape).given(y)
    assert given.compiled_walks() is not None
    found, expected = (reverse.sample(SCHEDULE, one, 500, 2, np.random.default_rng(3)) for one in (given, plain(given)))
    assert difference(found, expected) < tolerance
    x_0 = np.random.default_rng(1).standard_normal((500, 2))
    found, expected = (
        elbo.denoising_form(SCHEDULE, one, x_0, np.random.default_rng(4)).total for one in (given, plain(given))
    )
    assert difference(found, expected) < tolerance


@compiled_only
def test_labels_of_their_own_for_each_point_are_walked_step_by_step():
    model, rng = small()
    y = rng.integers(-1, 3, 600)
    given = model.given(y)
    assert given.compiled_walks() is None
    samples = reverse.sample(SCHEDULE, given, 600, 2, np.random.default_rng(3))
    for label in range(-1, 3):
        alone = reverse.sample(SCHEDULE, plain(model.given(label)), 600, 2, np.random.default_rng(3))
        np.testing.assert_allclose(samples[y == label], alone[y == label], rtol=1e-9, atol=1e-9)


@compiled_only
def test_walks_of_a_label_that_there_is_not_are_refused():
    with pytest.raises(ValueError, match=r"y runs over 0\.\.2, and -1 is no label; got 3"):
        small()[0].compiled_walks(3)


# What it is for


@compiled_only
def test_a_thousand_steps_put_the_samples_of_each_label_on_its_own_moon():
    """19 of 20 lie nearest to a point of that moon, which the other one reaches into; without a label both get some."""
    rng, schedule = np.random.default_rng(0), Schedule.vp(100)
    data, y = toys.draw_labelled("moons", 20_000, rng)
    model = MLP(rng=rng, classes=2, width=64, depth=3)
    list(fit(model, data, schedule, rng, 1_500, labels=y))

    def upper(label):
        samples = reverse.sample(schedule, model.given(label), 500, 2, np.random.default_rng(1))
        squares = ((samples[:, None] - data[:1_000]) ** 2).sum(axis=-1)
        return (y[squares.argmin(axis=1)] == 0).mean()

    assert upper(0) > 0.95
    assert upper(1) < 0.05
    assert 0.3 < upper(None) < 0.7


def test_a_loss_of_somebody_s_own_that_takes_no_labels_is_judged_without_them():
    own = SimpleNamespace(loss=lambda model, x_0, t, eps, schedule: network.loss(model, x_0, t, eps, schedule))
    report = verify.judge(own, only=["network.loss", "network.loss_given"], budget="quick")
    assert report.verdicts["network.loss"].holds
    assert "network.loss_given" in report.not_provided
    assert report.refuted == []


def test_what_is_no_label_is_not_dropped_but_refused():
    with pytest.raises(ValueError, match=r"y must be labels, 0, 1, \.\.\. or -1 for none; got -7"):
        network.drop_labels([0, -7], 0.5, np.random.default_rng(0))
