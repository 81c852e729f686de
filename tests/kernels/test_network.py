"""The compiled loops of the network do what the NumPy code says, and the catalogue judges them as it judges that."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from refdiff import elbo, network, reverse, verify
from refdiff.kernels import build
from refdiff.kernels import network as kernels
from refdiff.kernels.streams import Streams, one_blas_thread
from refdiff.network import MLP, TrainingState, fit, train
from refdiff.network.engine import Engine, net_of
from refdiff.schedule import Schedule

# Where Numba is switched off the loops run as Python, and few points and steps must do; elsewhere nothing changes.
FULL = build.ENABLED
BATCH, STEPS = (300, 100) if FULL else (19, 3)
compiled_only = pytest.mark.skipif(not FULL, reason="Numba is switched off")

VP = Schedule.vp(20)
SHAPES = {
    "SiLU": {},
    "residual GELU on waves": {"residual": True, "activation": "gelu", "point_dim": 6, "depth": 4},
    "one layer": {"depth": 1, "activation": "gelu", "dim": 3},
    "residual SiLU": {"residual": True, "dim": 1, "point_dim": 2, "width": 5},
    "labels": {"classes": 3, "dim": 3, "width": 15},
    "labels beside waves": {"classes": 2, "point_dim": 4, "residual": True},
}


@pytest.fixture(autouse=True)
def _loops_are_used(monkeypatch):
    """Also where they are not compiled, so that a change in one shows."""
    monkeypatch.setattr(train, "_can_compile", lambda: True)


def small(seed=0, dtype=np.float64, **shape):
    """A network with no parameter at 0."""
    rng = np.random.default_rng(seed)
    model = MLP(rng=rng, dtype=dtype, **{"width": 16, "depth": 2, "time_dim": 8, **shape})
    model.theta[...] += 0.1 * rng.standard_normal(model.theta.size)
    return model, rng


def plain(model):
    """The same network, which nobody can see the engine of."""
    return lambda x, t: model(x, t)


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


# Elementary functions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_elementary_functions_are_those_of_the_c_library_to_rounding(dtype):
    call = build.compiled(elementary)
    x = np.linspace(-20, 20, 40_001 if FULL else 401).astype(dtype)
    y = np.empty((7, x.size), dtype)
    call(x, y)
    exact = x.astype(np.float64)
    sigma = 1 / (1 + np.exp(-exact))
    bell = np.exp(-(exact**2) / 2) / np.sqrt(2 * np.pi)
    few = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(y[0], exact * sigma, rtol=few, atol=few)
    np.testing.assert_allclose(y[1], sigma * (1 + exact * (1 - sigma)), rtol=few, atol=few)
    np.testing.assert_allclose(y[2], exact * ndtr(exact), rtol=few, atol=few)
    np.testing.assert_allclose(y[3], ndtr(exact) + exact * bell, rtol=few, atol=few)
    np.testing.assert_allclose(y[4], np.sin(exact), atol=few)
    np.testing.assert_allclose(y[5], np.cos(exact), atol=few)
    np.testing.assert_allclose(y[6], exact * ndtr(exact), rtol=few, atol=few)


def elementary(x, y):
    for i in range(x.size):
        y[0, i], y[1, i] = kernels.silu(x[i])
        y[2, i], y[3, i] = kernels.gelu(x[i])
        y[4, i], y[5, i] = kernels.sine_and_cosine(x[i])
        y[6, i] = kernels.gelu_alone(x[i])


@compiled_only
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["silu", "gelu"])
def test_what_is_far_out_stays_finite(dtype, activation):
    model, _ = small(dtype=dtype, activation=activation)
    x = np.array([[1e4, -1e4], [-1e30, 1e30]])
    errors = Engine(model).squared_errors(x, [3], [1.0], [0.0], Streams(np.random.default_rng(0), 2))
    assert np.isfinite(errors[0, 0])
    assert not np.isnan(errors).any()


# Training


def trained(compiled, dtype, steps=STEPS, **shape):
    """The state and the last record after some steps; with labels, one of them missing, if there are classes."""
    model, rng = small(dtype=dtype, **shape)
    data, state = rng.standard_normal((50, model.dim)), TrainingState.start(model)
    labelled = {"labels": np.arange(50) % (model.config["classes"] + 1) - 1, "drop_label": 0.3}
    *_, record = fit(
        *(model, data, VP, rng, steps),
        **{"batch_size": BATCH, "weight_decay": 0.1, "clip_norm": 0.5, "state": state, "compiled": compiled},
        **(labelled if model.config["classes"] else {}),
    )
    return state, record


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hundred_steps_lead_where_those_of_the_numpy_code_lead(shape, dtype, tolerance):
    (found, record), (expected, twin) = (trained(compiled, dtype, **SHAPES[shape]) for compiled in (True, False))
    for name in ("theta", "average", "first_moment", "second_moment"):
        assert difference(getattr(found, name), getattr(expected, name)) < tolerance, name
    assert found.rng_state == expected.rng_state
    assert record.loss == pytest.approx(twin.loss, rel=tolerance)
    assert record.gradient_norm == pytest.approx(twin.gradient_norm, rel=tolerance)
    assert (record.step, record.learning_rate) == (twin.step, twin.learning_rate)


def gradient(model, x_0, t, eps, schedule, y=None):
    """The loss and its gradient by the compiled loop, with the signature of network.loss_and_gradients."""
    x_0, eps = np.atleast_2d(x_0), np.atleast_2d(eps)
    t, y = (np.broadcast_to(one, len(x_0)).astype(np.int64) for one in (t, -1 if y is None else y))
    net, n = net_of(model, schedule.T), len(x_0)
    x_t = schedule.signal_rate[t][:, None] * x_0 + schedule.noise_rate[t][:, None] * eps
    wide, dtype = model.parameters["weight_1"].shape[0], model.theta.dtype
    h, slopes = (np.empty((net.depth, n, net.width), dtype) for _ in range(2))
    dy, dx = (np.empty((n, net.width), dtype) for _ in range(2))
    turned, part = np.empty((net.depth, net.width, net.width), dtype), np.empty((wide, net.width), dtype)
    with one_blas_thread():
        value = kernels.gradient(
            *(net, model.gradient, x_t.astype(dtype), t, y, np.array(eps, np.float64)),
            *(np.empty((n, wide), dtype), h, slopes, dy, dx, turned, part),
        )
    return value, model.gradients


class Compiled(MLP):
    """The network whose answers come from the compiled walk: one step x = 0 x + 1 eps_hat."""

    def __call__(self, x, t, y=None):
        x, y = np.asarray(x, np.float64), -1 if y is None else y
        rows, (each, kinds) = x.reshape(-1, self.dim), (np.broadcast_to(a, x.shape[:-1]).reshape(-1) for a in (t, y))
        answers = np.empty_like(rows)
        for one, kind in {*zip(each.tolist(), kinds.tolist())}:
            mine = np.flatnonzero((each == one) & (kinds == kind))
            noise = Streams(np.random.default_rng(0), len(mine))
            answers[mine] = Engine(self, kind).reverse_walk(rows[mine], [one], [0.0], [1.0], [0.0], noise)
        return answers.reshape(x.shape)

    def forward(self, x, t, y=None):
        return self(x, t, y), MLP.forward(self, x, t, y)[1]


def compiled_fit(*args, **options):
    return network.fit(*args, **options, compiled=True)


IMPLEMENTATION = types.SimpleNamespace(
    network=types.SimpleNamespace(
        **{name: getattr(network, name) for name in network.__all__}
        | {"MLP": Compiled, "loss_and_gradients": gradient, "fit": compiled_fit}
    )
)


@compiled_only
def test_the_catalogue_judges_the_compiled_loops_as_it_judges_the_numpy_code():
    keys = ["network.forward", "network.gradient", "network.fit", "network.fit_labels"]
    report = verify.judge(IMPLEMENTATION, seed=0, only=keys, budget="quick")
    assert {key: verdict.holds for key, verdict in report.verdicts.items()} == dict.fromkeys(keys, True)


@compiled_only
def test_the_catalogue_rejects_a_compiled_loop_with_a_wrong_gradient():
    def wrong(*args):
        value, gradients = gradient(*args)
        gradients["weight_1"][0] *= 1.000001
        return value, gradients

    names = vars(IMPLEMENTATION.network) | {"loss_and_gradients": wrong}
    report = verify.judge(
        types.SimpleNamespace(network=types.SimpleNamespace(**names)), only=["network.gradient"], budget="quick"
    )
    assert report.refuted == ["network.gradient"]


@compiled_only
def test_a_gradient_in_float32_is_right_to_a_millionth_of_its_largest_entry():
    shape = {"width": 128, "depth": 4, "time_dim": 128, "residual": True, "activation": "gelu", "point_dim": 128}
    model, rng = small(dtype=np.float32, **shape)
    exact = MLP.from_theta(model.theta.astype(np.float64), **model.config | {"dtype": "float64"})
    x_0, eps, t = rng.standard_normal((64, 2)), rng.standard_normal((64, 2)), rng.integers(1, 21, 64)
    gradient(model, x_0, t, eps, VP)
    network.loss_and_gradients(exact, x_0, t, eps, VP)
    assert difference(model.gradient, exact.gradient) < 1e-6


@compiled_only
def test_resuming_continues_bit_for_bit(tmp_path):
    def run(until, state, model, rng):
        data = np.random.default_rng(5).standard_normal((100, 2))
        for record in fit(model, data, VP, rng, 60, record_every=20, state=state, compiled=True):
            if record.step == until:
                break
        return state

    model, rng = small(dtype=np.float32)
    whole = run(60, TrainingState.start(model), model, rng)
    model, rng = small(dtype=np.float32)
    first = run(40, TrainingState.start(model), model, rng)
    network.save(tmp_path / "part.npz", model, state=first)
    again, state = network.load_state(tmp_path / "part.npz")
    resumed = run(60, state, again, np.random.default_rng(99))
    for name in ("theta", "average", "first_moment", "second_moment"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    assert resumed.rng_state == whole.rng_state


@compiled_only
@pytest.mark.parametrize("record_every", [1, 7, 30])
def test_how_often_one_looks_does_not_change_what_is_learnt(record_every):
    model, rng = small()
    list(fit(model, rng.standard_normal((50, 2)), VP, rng, 30, record_every=record_every, compiled=True))
    twin, rng = small()
    list(fit(twin, rng.standard_normal((50, 2)), VP, rng, 30, compiled=True))
    np.testing.assert_array_equal(model.theta, twin.theta)


@compiled_only
def test_a_training_that_diverges_stops_at_the_step_and_keeps_the_last_record():
    model, rng = small(dtype=np.float32)
    data, state = np.full((10, 2), 1e30), TrainingState.start(model)
    training = fit(model, data, VP, rng, 100, record_every=10, state=state, compiled=True)
    before = model.theta.copy()
    with pytest.raises(network.TrainingDiverged) as raised:
        list(training)
    model_2, rng = small(dtype=np.float32)
    with pytest.raises(network.TrainingDiverged) as twin:
        list(fit(model_2, data, VP, rng, 100, record_every=10, compiled=False))
    assert raised.value.step == twin.value.step
    assert state.step == 10 * ((raised.value.step - 1) // 10)
    assert np.isfinite(model.theta).all()
    if state.step == 0:
        np.testing.assert_array_equal(model.theta, before)


# Walks


@given(
    width=st.integers(1, 20),
    depth=st.integers(1, 4),
    dim=st.integers(1, 4),
    waves=st.integers(0, 3),
    residual=st.booleans(),
    activation=st.sampled_from(["silu", "gelu"]),
    n=st.sampled_from([1, 255, 256, 257, 600] if FULL else [1, 3]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=25 if FULL else 10, deadline=None)
def test_a_walk_ends_where_the_steps_one_by_one_end(width, depth, dim, waves, residual, activation, n, dtype):
    shape = {"width": width, "depth": depth, "dim": dim, "point_dim": 2 * waves}
    model, _ = small(dtype=dtype, residual=residual, activation=activation, **shape)
    t, keep, add, std = [20, 7, 1], [0.9, 1.1, 0.5], [0.3, -0.2, 0.7], [0.5, 0.0, 0.2]
    x = np.random.default_rng(1).standard_normal((n, dim))
    noise = Streams(np.random.default_rng(2), n)
    found = Engine(model).reverse_walk(x, t, keep, add, std, Streams(np.random.default_rng(2), n), threads=2)
    for i in range(3):
        x = keep[i] * x + add[i] * model(x, t[i]) + (std[i] * noise.standard_normal(x.shape) if std[i] else 0)
    np.testing.assert_allclose(found, x, rtol=0, atol=1e-12 if dtype == np.float64 else 2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_squared_errors_are_those_of_the_answers(shape):
    model, _ = small(**SHAPES[shape])
    t, signal, noise = [20, 7, 1], [0.9, 0.1, 0.5], [0.3, 2.0, 0.7]
    x_0 = np.random.default_rng(1).standard_normal((5, model.dim))
    found = Engine(model).squared_errors(x_0, t, signal, noise, Streams(np.random.default_rng(2), 5))
    streams = Streams(np.random.default_rng(2), 5)
    for i in range(3):
        eps = streams.standard_normal(x_0.shape)
        errors = np.sum((eps - model(signal[i] * x_0 + noise[i] * eps, t[i])) ** 2, axis=1)
        np.testing.assert_allclose(found[i], errors, rtol=1e-12)


SCHEDULE = Schedule.vp(100)
SAMPLERS = {
    "ancestral, posterior": lambda *args, **given: reverse.sample(SCHEDULE, *args, **given),
    "ancestral, beta": lambda *args, **given: reverse.sample(SCHEDULE, *args, variance="beta", **given),
    "DDIM": lambda *args, **given: reverse.ddim(SCHEDULE, *args, steps=80, **given),
    "DDIM with noise": lambda *args, **given: reverse.ddim(SCHEDULE, *args, steps=[*range(10, 101)], eta=0.5, **given),
}


@compiled_only
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-2)])
def test_samples_are_those_of_the_network_called_step_by_step(name, dtype, tolerance):
    model, _ = small(dtype=dtype, **SHAPES["SiLU"])
    found, expected = (SAMPLERS[name](one, 700, 2, np.random.default_rng(3)) for one in (model, plain(model)))
    assert difference(found, expected) < tolerance


@compiled_only
@pytest.mark.parametrize("name", SAMPLERS)
def test_samples_are_the_same_at_any_number_of_threads(name):
    model, _ = small(dtype=np.float32)
    one, two, three = (SAMPLERS[name](model, 900, 2, np.random.default_rng(3), threads=k) for k in (1, 2, 3))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


@compiled_only
@pytest.mark.parametrize("variance", ["beta", "posterior"])
@pytest.mark.parametrize("shape", ["SiLU", "residual GELU on waves"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_the_bound_is_that_of_the_network_called_step_by_step(variance, shape, dtype, tolerance):
    model, rng = small(dtype=dtype, **SHAPES[shape])
    x_0 = rng.standard_normal((600, 2))
    found, expected = (
        elbo.denoising_form(SCHEDULE, one, x_0, np.random.default_rng(4), variance=variance)
        for one in (model, plain(model))
    )
    for part in ("terms", "total", "reconstruction"):
        assert difference(getattr(found, part), getattr(expected, part)) < tolerance, part


@compiled_only
def test_the_bound_is_the_same_at_any_number_of_threads_kept_or_not():
    model, rng = small(dtype=np.float32)
    x_0, seen = rng.standard_normal((600, 2)), []
    one = elbo.denoising_form(SCHEDULE, model, x_0, np.random.default_rng(4))
    two = elbo.denoising_form(
        *(SCHEDULE, model, x_0, np.random.default_rng(4)),
        **{"keep_terms": False, "threads": 3, "progress": lambda t, term: seen.append((t, term.sum()))},
    )
    np.testing.assert_array_equal(one.total, two.total)
    assert [t for t, _ in seen] == [*range(100, 1, -1)]
    np.testing.assert_array_equal([total for _, total in seen], one.terms[:1:-1].sum(axis=1))


@compiled_only
@pytest.mark.parametrize("width", [32, 100, 130])
def test_samples_are_the_same_whether_progress_is_told_or_not(width):
    model, _ = small(dtype=np.float32, width=width)
    quiet, seen = reverse.sample(SCHEDULE, model, 600, 2, np.random.default_rng(3)), []
    told = reverse.sample(SCHEDULE, model, 600, 2, np.random.default_rng(3), progress=seen.append)
    np.testing.assert_array_equal(told, quiet)
    assert seen == [*range(2, 101, 2)]


class Silent(MLP):
    """A network whose author wants another answer."""

    def __call__(self, x, t):
        return np.zeros_like(x)


@compiled_only
def test_a_subclass_that_answers_in_its_own_way_is_asked_and_not_walked_past():
    one = Silent(rng=np.random.default_rng(0), width=8)
    assert one.compiled_walks() is None
    silent = reverse.sample(SCHEDULE, one, 700, 2, np.random.default_rng(3))
    np.testing.assert_array_equal(silent, reverse.sample(SCHEDULE, one.__call__, 700, 2, np.random.default_rng(3)))


@compiled_only
@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_parameter_that_is_not_a_number_is_seen_in_the_answer(activation, dtype):
    model, _ = small(dtype=dtype, activation=activation)
    model.theta[0] = np.nan
    walked = Engine(model).reverse_walk([[0.5, 0.1]], [3], [0.0], [1.0], [0.0], Streams(np.random.default_rng(0), 1))
    assert np.isnan(walked).all()


@compiled_only
def test_waves_stay_waves_however_far_out():
    model, _ = small(dtype=np.float32, point_dim=4)
    model.parameters["weight_1"][...] = 1.0
    x = np.array([[10.0**k, 0.1] for k in range(13)])
    found = Engine(model).reverse_walk(x, [3], [0.0], [1.0], [0.0], Streams(np.random.default_rng(0), 13))
    most = np.abs(model.parameters["weight_2"]).sum() * (8 + 8) + np.abs(model.theta).sum() * 16 * 16
    assert np.abs(found).max() < most


def test_what_does_not_fit_together_is_refused_before_a_loop_reads_beyond_it():
    model, _ = small()
    engine, x = Engine(model), np.zeros((20, 2))
    with pytest.raises(ValueError, match="streams must be of these 20 points; got some of 30"):
        engine.squared_errors(x, [1], [1.0], [1.0], Streams(np.random.default_rng(0), 30))
    with pytest.raises(ValueError, match="each t needs one number of each kind"):
        engine.reverse_walk(x, [1, 2, 3], [1.0], [1.0], [1.0], Streams(np.random.default_rng(0), 20))
    assert engine.squared_errors(x[:0], [1], [1.0], [1.0], Streams(np.random.default_rng(0), 0)).shape == (1, 0)


@compiled_only
def test_points_of_another_dimension_are_refused_before_a_loop_reads_beyond_them():
    model, _ = small()
    with pytest.raises(ValueError, match="this network's dim; got"):
        reverse.sample(Schedule.vp(1000), model, 100, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="this network's dim; got"):
        elbo.denoising_form(Schedule.vp(1000), model, np.zeros((100, 1)), np.random.default_rng(0))


@pytest.mark.parametrize("threads", [0, 1.5, "2"])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    model, _ = small()
    with pytest.raises((TypeError, ValueError), match="threads"):
        reverse.sample(VP, model, 10, 2, np.random.default_rng(0), threads=threads)
    with pytest.raises((TypeError, ValueError), match="threads"):
        elbo.denoising_form(VP, model, np.zeros((10, 2)), np.random.default_rng(0), threads=threads)


def test_a_complex_network_has_no_compiled_walks():
    assert MLP(rng=np.random.default_rng(0), dtype=np.complex128).compiled_walks() is None
