"""The network computes what it says, and its hand-written derivatives are the derivatives."""

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from refdiff.network import MLP, mlp

SHAPES = [
    {"dim": 2, "depth": 3},
    {"dim": 2, "depth": 3, "residual": True},
    {"dim": 1, "depth": 1},
    {"dim": 5, "depth": 2, "residual": True},
    {"dim": 5, "depth": 1, "time_dim": 2},
    {"dim": 2, "depth": 3, "residual": True, "activation": "gelu"},
    {"dim": 3, "depth": 2, "point_dim": 4},
]


def small(seed=0, dtype=np.float64, **shape):
    """A network with no parameter at 0, so that every term of every derivative counts."""
    rng = np.random.default_rng(seed)
    model = MLP(rng=rng, dtype=dtype, **{"width": 6, "time_dim": 8, **shape})
    model.theta[...] = 0.7 * rng.standard_normal(model.theta.size)
    return model, rng


def complex_step(f, at, h=1e-30):
    """The gradient of a real-analytic f by one complex step per coordinate: exact to rounding."""
    gradient = np.empty(at.size)
    for i in range(at.size):
        moved = at.astype(np.complex128).ravel()
        moved[i] += 1j * h
        gradient[i] = f(moved.reshape(at.shape)).imag / h
    return gradient.reshape(at.shape)


def worst_error(model, rng, t=(1, 7, 200, 1000)):
    """The largest relative error of `backward` in any parameter's gradient and in the input's."""
    x, t = rng.standard_normal((len(t), model.dim)), np.array(t)
    cotangent = rng.standard_normal(x.shape)  # L = <cotangent, eps_hat>
    config = model.config | {"dtype": "complex128"}

    def of_theta(theta):
        return np.sum(cotangent * MLP.from_theta(theta, **config).forward(x, t)[0])

    def of_x(x):
        return np.sum(cotangent * MLP.from_theta(model.theta.astype(complex), **config).forward(x, t)[0])

    _, tape = model.forward(x, t)
    grad_x = model.backward(tape, cotangent)
    expected = mlp.views(complex_step(of_theta, model.theta), {n: p.shape for n, p in model.parameters.items()})
    pairs = [(grad_x, complex_step(of_x, x))] + [(model.gradients[name], expected[name]) for name in expected]
    return max(np.abs(got - exact).max() / np.abs(exact).max() for got, exact in pairs)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_gradient_is_the_derivative_by_complex_steps(shape):
    assert worst_error(*small(**shape)) < 1e-12


def wrong_silu(x):
    """A factor too few: silu' taken as sigma + y (1 - sigma) without the sigma of y."""
    sigma = (1 + np.tanh(x / 2)) / 2
    return x * sigma, lambda dy: dy * (sigma + x * (1 - sigma))


def slightly_wrong_silu(x):
    y, pullback = SILU(x)
    return y, lambda dy: pullback(dy) * 1.000001


def wrong_linear(x, weight, bias):
    y, pullback = LINEAR(x, weight, bias)
    return y, lambda dy: (*pullback(dy)[:2], dy.mean(axis=0))


def wrong_residual(x, weight, bias, activation):
    y, _ = RESIDUAL(x, weight, bias, activation)
    return y, mlp.dense(x, weight, bias, activation)[1]


def wrong_gelu(x):
    """The slope of the step, Phi, without that of its edge."""
    below = ndtr(x)
    return x * below, lambda dy: dy * below


def wrong_embedding(x, frequencies):
    y, pullback = EMBEDDING(x, frequencies)
    return y, lambda dy: pullback(dy) / frequencies.mean()


SILU, LINEAR, RESIDUAL, EMBEDDING = mlp.silu, mlp.linear, mlp.residual, mlp.point_embedding


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("silu", wrong_silu),
        ("silu", slightly_wrong_silu),
        ("linear", wrong_linear),
        ("residual", wrong_residual),
        ("gelu", wrong_gelu),
        ("point_embedding", wrong_embedding),
    ],
)
def test_the_gradient_check_rejects_a_wrong_derivative(monkeypatch, name, wrong):
    activation = name if name in mlp.ACTIVATIONS else "silu"
    model, rng = small(depth=3, residual=True, activation=activation, point_dim=4)
    if name in mlp.ACTIVATIONS:
        monkeypatch.setitem(mlp.ACTIVATIONS, name, wrong)
    else:
        monkeypatch.setattr(mlp, name, wrong)
    assert worst_error(model, rng) > 1e-7


def test_the_gradient_also_agrees_with_central_differences():
    model, rng = small(depth=2)
    x, t, cotangent, h = rng.standard_normal((3, 2)), [1, 2, 3], rng.standard_normal((3, 2)), 1e-5
    model.backward(model.forward(x, t)[1], cotangent)
    for i in range(0, model.theta.size, 7):
        values = []
        for sign in (1, -1):
            moved = model.theta.copy()
            moved[i] += sign * h
            values.append(np.sum(cotangent * MLP.from_theta(moved, **model.config).forward(x, t)[0]))
        assert model.gradient[i] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-7, abs=1e-9)


def test_backward_overwrites_and_does_not_add_up():
    model, rng = small()
    x = rng.standard_normal((4, 2))
    _, tape = model.forward(x, 3)
    model.backward(tape, x)
    first = model.gradient.copy()
    model.backward(tape, x)
    np.testing.assert_array_equal(model.gradient, first)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("point_dim", [0, 4])
def test_the_network_is_the_equation_of_its_docstring(residual, activation, point_dim):
    model, rng = small(depth=2, time_dim=4, residual=residual, activation=activation, point_dim=point_dim)
    p, x, t = model.parameters, rng.standard_normal(2), 37
    slow, fast = 2 * np.pi / 4000, 2 * np.pi / 4

    def act(a):
        return a / (1 + np.exp(-a)) if activation == "silu" else a * ndtr(a)

    waves = [f(2 * np.pi / length * one) for one in x for f in (np.sin, np.cos) for length in (16, 0.5)]
    clocks = np.array([np.sin(fast * t), np.sin(slow * t), np.cos(fast * t), np.cos(slow * t)])
    h_1 = act(np.concatenate([waves if point_dim else x, clocks]) @ p["weight_1"] + p["bias_1"])
    h_2 = act(h_1 @ p["weight_2"] + p["bias_2"]) + residual * h_1
    np.testing.assert_allclose(model(x, t), h_2 @ p["weight_3"] + p["bias_3"], rtol=1e-12)


def test_parameters_and_gradients_are_views_of_one_vector():
    model, _ = small(depth=2)
    for vector, views in ((model.theta, model.parameters), (model.gradient, model.gradients)):
        assert all(np.shares_memory(vector, view) for view in views.values())
        np.testing.assert_array_equal(np.concatenate([view.ravel() for view in views.values()]), vector)
    assert list(model.parameters) == list(model.gradients)
    assert list(model.parameters) == ["weight_1", "bias_1", "weight_2", "bias_2", "weight_3", "bias_3"]


@given(
    lead=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    dim=st.integers(1, 4),
    scalar=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_each_point_is_answered_by_itself_whatever_the_leading_axes(lead, dim, scalar, seed):
    model, rng = small(dim=dim, depth=2)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*lead, dim))
    t = 5 if scalar else rng.integers(1, 1001, size=lead)
    eps_hat = model(x, t)
    assert eps_hat.shape == x.shape
    for i in np.ndindex(lead):
        np.testing.assert_allclose(eps_hat[i], model(x[i], t if scalar else int(t[i])), rtol=1e-12, atol=1e-14)
    grad_x = model.backward(model.forward(x, t)[1], np.ones_like(x))
    assert grad_x.shape == x.shape


@pytest.mark.parametrize("t", [3, np.uint8(3)])
def test_many_points_give_the_same_as_a_few_at_a_time(t):
    model, rng = small(dtype=np.float32)
    x = rng.standard_normal((2 * mlp.BLOCK + 5, 2))
    few = np.concatenate([model(x[:700], t), model(x[700:], t)])
    np.testing.assert_allclose(model(x, t), few, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(x, np.full(len(x), t)), few, rtol=1e-4, atol=1e-5)


def test_it_answers_in_float64_and_computes_in_its_own_dtype():
    single, double = small(dtype=np.float32)[0], small(dtype=np.float64)[0]
    x = np.ones((3, 2))
    assert single(x, 1).dtype == double(x, 1).dtype == np.float64
    assert single.forward(x, 1)[0].dtype == np.float32
    assert single.backward(single.forward(x, 1)[1], x).dtype == np.float32
    np.testing.assert_allclose(single(x, 1), double(x, 1), rtol=1e-4)
    assert double(x.astype(np.float32), 1).dtype == np.float64
    assert double(np.ones((3, 2), int), 1).dtype == np.float64


def test_layout_of_the_input_does_not_matter_and_it_is_never_written_to():
    model, rng = small()
    x = rng.standard_normal((6, 2))
    for twin in (np.asfortranarray(x), x[::-1].copy()[::-1], x.tolist()):
        np.testing.assert_array_equal(model(twin, 9), model(x, 9))
    x.flags.writeable = False
    before = x.copy()
    model.backward(model.forward(x, 9)[1], x)
    np.testing.assert_array_equal(x, before)


def test_the_embedding_tells_every_two_steps_of_1000_apart():
    t = np.arange(1, 1001)
    embedding = mlp.time_embedding(t, mlp.clock_frequencies(16).astype(np.float32))
    assert embedding.dtype == np.float32
    distance = np.linalg.norm(np.diff(embedding, axis=0), axis=1)
    assert distance.min() > 1  # neighbours: the fastest clock alone moves by sqrt(2)
    slowest = mlp.time_embedding(t, mlp.clock_frequencies(16)[-1:])
    assert (np.diff(slowest[:, 0]) > 0).all()  # its sine grows all the way: no two steps look alike
    assert mlp.time_embedding(np.array(3), mlp.clock_frequencies(1)).shape == (2,)


def test_silu_stays_finite_far_out():
    x = np.array([-1e30, -1e4, 0, 1e4, 1e30], np.float32)
    y, pullback = mlp.silu(x)
    np.testing.assert_array_equal(y, np.array([0, 0, 0, 1e4, 1e30], np.float32))
    np.testing.assert_array_equal(pullback(np.ones_like(x)), [0, 0, 0.5, 1, 1])


def test_the_same_seed_gives_the_same_network():
    a, b, c = (MLP(rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.theta, b.theta)
    assert (a.theta != c.theta).any()


@pytest.mark.parametrize(
    ("x", "t", "error", "says"),
    [
        (np.zeros((4, 3)), 1, ValueError, "x must have shape (..., 2), this network's dim; got (4, 3)"),
        (np.zeros(()), 1, ValueError, "got the scalar"),
        (np.zeros((4, 2), complex), 1, TypeError, "real"),
        (np.zeros((4, 2), bool), 1, TypeError, "real"),
        (None, 1, TypeError, "real"),
        (np.zeros((4, 2)), 1.0, TypeError, "t must be an integer"),
        (np.zeros((4, 2)), True, TypeError, "t must be an integer"),
        (np.zeros((4, 2)), np.ones(4), TypeError, "t must be an integer"),
        (np.zeros((4, 2)), None, TypeError, "t must be an integer"),
        (np.zeros((4, 2)), [1, 2, 3], ValueError, "one entry per point"),
        (np.zeros((4, 2)), [1], ValueError, "one entry per point"),
        (np.zeros((4, 2)), np.ones((4, 1), int), ValueError, "one entry per point"),
        (np.zeros((2, 2)), np.ones((2, 2), int), ValueError, "one entry per point"),
        (np.zeros((3, 2, 2)), [1, 2], ValueError, "one entry per point"),
        (np.zeros(2), [1, 2], ValueError, "one entry per point"),
        (np.zeros((4, 2)), 0, ValueError, "t runs over 1..T; got 0. Zero-based steps"),
        (np.zeros((4, 2)), [1, 2, 3, -1], ValueError, "got -1"),
    ],
)
def test_a_bad_input_is_refused_in_one_line(x, t, error, says):
    model, _ = small()
    for call in (model, model.forward):
        with pytest.raises(error) as raised:
            call(x, t)
        assert says in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"dim": 0}, ValueError, "dim must be at least 1"),
        ({"dim": 2.0}, TypeError, "dim must be an integer"),
        ({"width": 0}, ValueError, "width"),
        ({"depth": 0}, ValueError, "depth"),
        ({"time_dim": 3}, ValueError, "time_dim must be even"),
        ({"time_dim": 0}, ValueError, "time_dim"),
        ({"residual": 1}, TypeError, "residual"),
        ({"dtype": np.float16}, TypeError, "dtype"),
        ({"rng": 0}, TypeError, "default_rng"),
        ({"rng": None}, TypeError, "default_rng"),
        ({"rng": np.random}, TypeError, "default_rng"),
    ],
)
def test_a_bad_shape_of_network_is_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        MLP(**{"rng": np.random.default_rng(0), **arguments})


@pytest.mark.parametrize("theta", [np.zeros(3), np.zeros(37762, np.float64), np.zeros(2 * 37762, np.float32)[::2]])
def test_parameters_of_another_network_are_refused(theta):
    with pytest.raises(ValueError, match="theta must be contiguous float32 of shape"):
        MLP.from_theta(theta, **MLP(rng=np.random.default_rng(0)).config)


def test_a_network_is_printed_with_its_shape_and_the_number_of_its_parameters():
    model = MLP(2, width=4, depth=1, time_dim=4, rng=np.random.default_rng(0))
    config = "dim=2, width=4, depth=1, time_dim=4, activation='silu', dtype='float32'"
    assert repr(model) == f"MLP({config}): {(6 * 4 + 4) + (4 * 2 + 2)} parameters"


def test_the_network_that_is_built_unless_said_otherwise():
    config = {"dim": 2, "width": 128, "depth": 3, "time_dim": 32, "residual": False, "activation": "silu"}
    assert MLP(rng=np.random.default_rng(0)).config == config | {"point_dim": 0, "classes": 0, "dtype": "float32"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_kept_in_the_precision_of_the_parameters(dtype):
    assert MLP(rng=np.random.default_rng(0), dtype=dtype).gradient.dtype == dtype


def test_a_single_clock_is_the_slowest():
    np.testing.assert_allclose(2 * np.pi / mlp.clock_frequencies(1), [4000], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "out"), [(np.float32, np.float64), (np.float64, np.float64), (np.complex128,) * 2])
def test_a_prediction_is_in_float64_or_complex_as_the_network_is(dtype, out):
    model = MLP(2, width=4, depth=1, time_dim=4, dtype=dtype, rng=np.random.default_rng(0))
    x = np.array([[0.5, -0.2], [1.0, 0.3]]) + (1e-3j if dtype == np.complex128 else 0)
    assert model(x, 3).dtype == out
    np.testing.assert_array_equal(model(x, 3), model.forward(x.astype(dtype), np.array(3))[0])


def test_each_point_goes_through_the_network_once_in_blocks_that_stay_in_the_cache():
    rows = []

    class Counting(MLP):
        def forward(self, x, t):
            rows.append(len(x))
            return super().forward(x, t)

    model = Counting(2, width=4, depth=1, time_dim=4, rng=np.random.default_rng(0))
    model(np.zeros((2 * mlp.BLOCK + 3, 2)), 1)
    assert rows == [mlp.BLOCK, mlp.BLOCK, 3]


def test_points_of_any_leading_shape_go_forward_like_the_same_points_in_a_row():
    model = MLP(2, width=4, depth=1, time_dim=4, dtype=np.float64, rng=np.random.default_rng(0))
    x, t = np.linspace(-1, 1, 12).reshape(2, 3, 2), np.arange(1, 7).reshape(2, 3)
    out = model.forward(x, t)[0]
    assert out.shape == x.shape
    np.testing.assert_array_equal(out.reshape(-1, 2), model.forward(x.reshape(-1, 2), t.reshape(-1))[0])


@pytest.mark.parametrize(
    ("width", "n", "held"),
    [
        pytest.param(32, 1, False, id="one point: BLAS does it in one thread by itself"),
        pytest.param(32, 900, True, id="its threads would wait longer than they work"),
        pytest.param(128, 64, True, id="the default width, few points"),
        pytest.param(128, 2000, True, id="the default width, in blocks"),
        pytest.param(512, 2000, False, id="wide: threads help"),
    ],
)
def test_small_products_are_left_to_one_thread(monkeypatch, width, n, held):
    under_way, seen = [], []

    @contextmanager
    def hold():
        under_way.append(True)
        yield
        under_way.pop()

    model = MLP(2, rng=np.random.default_rng(0), width=width, depth=2)
    forward = model.forward
    monkeypatch.setattr(mlp, "one_blas_thread", hold)
    monkeypatch.setattr(model, "forward", lambda *args: seen.append(bool(under_way)) or forward(*args))
    model(np.zeros((n, 2)), 1)
    assert set(seen) == {held}
    assert not under_way
