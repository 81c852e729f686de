"""Compiled chains are the NumPy lines of the chapter, to the bit, at any number of threads."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from refdiff import forward
from refdiff.kernels import build, chains, streams
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2, 0.4])
ENDS = Schedule.reciprocal(4)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def compiled(monkeypatch):
    """Make short walks take the way of long ones."""
    monkeypatch.setattr(forward, "WORTH_LOADING", 0)


def plain(kernel):
    """Return a kernel as it stands in the source."""
    return getattr(kernel, "py_func", kernel)


COEFFICIENTS = np.sqrt(SCHEDULE.alpha), np.sqrt(SCHEDULE.beta)


@DTYPES
def test_a_walk_is_the_same_compiled_as_in_the_source(dtype):
    found = []
    for kernel in (chains.walk, plain(chains.walk)):
        x = np.full((6, 20), np.nan, dtype)
        x[0] = np.linspace(-3, 3, 20)
        kernel(x, 3, 17, *COEFFICIENTS, rng())
        assert np.isnan(x[1:, :3]).all()
        assert np.isnan(x[1:, 17:]).all()
        found.append(x[:, 3:17])
    assert np.isfinite(found[0]).all()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(("values", "columns", "chains_"), [(1, 4, 11), (3, 6, 4), (2, 8, 3), (5, 5, 7)])
def test_sums_are_the_same_compiled_as_in_the_source_and_in_numpy(values, columns, chains_):
    found = []
    for walked in (chains.moments, plain(chains.moments), forward._sums):
        x, first, sums = np.full(values * chains_, 2.0), np.zeros((6, values)), np.zeros((2, 6, columns))
        walked(x, first, *sums, *COEFFICIENTS, rng())
        np.testing.assert_array_equal(first[5], x[:values])
        found.append((x, first, sums))
    for one in found[1:]:
        for mine, other in zip(one, found[0]):
            np.testing.assert_array_equal(mine, other)


@DTYPES
@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_blend_is_the_same_compiled_as_in_the_source(dtype, d):
    a, b, weights = rng().random((5, d)).astype(dtype), rng(1).random((5, d)).astype(dtype), rng(2).random((4, 2))
    t, found = np.array([3, 1, 2, 2, 3], np.uint64), []
    for kernel in (chains.blend, plain(chains.blend)):
        found.append(np.empty_like(a))
        assert kernel(found[-1], a, b, weights.astype(dtype), t)
        for wrong in (0, 4, -1):
            bad = np.array([3, 1, wrong, 2, 3]).view(np.uint64)
            assert not kernel(np.empty_like(a), a, b, weights.astype(dtype), bad)
    np.testing.assert_array_equal(*found)


def test_walking_points_two_at_a_time_needs_no_compiled_caller():
    a, weights, out = np.ones((3, 2)), np.ones((3, 2)), np.empty((3, 2))
    assert plain(chains.blend_pairs)(out, a, a, weights, np.array([1, 2, 2], np.uint64))
    assert not plain(chains.blend_pairs)(out, a, a, weights, np.array([1, 0, 2], np.uint64))
    np.testing.assert_array_equal(out, 2.0)


@DTYPES
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2500, 3), (3, 5000)])
def test_a_walk_is_the_same_with_and_without_numba_at_any_number_of_threads(monkeypatch, compiled, dtype, shape):
    x_0, found = rng().standard_normal(shape), []
    for enabled in (True, False):
        monkeypatch.setattr(build, "ENABLED", enabled)
        for threads in (1, 2, 3):
            found.append(forward.walk(SCHEDULE, x_0, rng(), dtype=dtype, threads=threads))
    assert found[0].dtype == dtype
    np.testing.assert_array_equal(found[0][0], x_0.astype(dtype))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("n", [2, 31, 33, 3000, 70_000])
@pytest.mark.parametrize("x_0", [[1.0], [[2.0, -1.0, 0.5], [3.0, 0.0, 1.0]]])
def test_moments_are_the_same_with_and_without_numba_at_any_number_of_threads(monkeypatch, compiled, n, x_0):
    found = []
    for enabled in (True, False):
        monkeypatch.setattr(build, "ENABLED", enabled)
        for threads in (1, 2, 3):
            found.append(forward.walk_moments(SCHEDULE, x_0, n, rng(), threads=threads))
    for mean, var in found[1:]:
        np.testing.assert_array_equal(mean, found[0][0])
        np.testing.assert_array_equal(var, found[0][1])


@DTYPES
@pytest.mark.parametrize("shape", [(4, 2), (3, 4, 3), (5, 1)])
def test_points_are_diffused_the_same_with_and_without_numba(monkeypatch, dtype, shape):
    x_0, eps = rng().standard_normal(shape), rng(1).standard_normal(shape)
    for t in (2, rng(2).integers(1, 5, size=shape[:-1], endpoint=True), np.full(shape[:-1], 3, np.int16)):
        right = forward.diffuse(SCHEDULE, x_0, eps, t, dtype=dtype)
        monkeypatch.setattr(forward, "WORTH_LOADING", 0)
        found = forward.diffuse(SCHEDULE, x_0, eps, t, dtype=dtype)
        monkeypatch.undo()
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, right)


def test_points_that_do_not_lie_one_after_the_other_are_diffused_all_the_same(compiled):
    wide = rng().standard_normal((6, 8)).astype(np.float32)
    wide.flags.writeable = False
    x_0, eps, t = wide[::2, ::4], wide[1::2, 1::4], np.array([1, 0, 2, 0, 3, 0])[::2]
    right = forward.diffuse(SCHEDULE, x_0.copy(), eps.copy(), t.copy())
    np.testing.assert_allclose(forward.diffuse(SCHEDULE, x_0, eps, t, dtype=np.float32), right, rtol=1e-6)
    np.testing.assert_array_equal(forward.diffuse(SCHEDULE, x_0, eps, t), right)
    turned = np.asfortranarray(x_0)
    np.testing.assert_array_equal(forward.diffuse(SCHEDULE, turned, eps, t), right)
    assert forward.walk(SCHEDULE, turned, rng()).shape == (6, 3, 2)


@pytest.mark.parametrize("wrong", [0, 6, -1, 2**40])
def test_a_step_out_of_range_is_refused_by_the_rule_in_the_quick_way_too(compiled, wrong):
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match=f"t runs over 1..5; got {wrong}"):
        forward.diffuse(SCHEDULE, x, x, [1, 2, wrong, 3])


def test_steps_that_are_no_steps_of_the_points_are_refused_in_the_quick_way_too(compiled):
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match="one entry per point"):
        forward.diffuse(SCHEDULE, x, x, [1, 2, 3])
    with pytest.raises(TypeError, match="t must be an integer"):
        forward.diffuse(SCHEDULE, x, x, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="same shape"):
        forward.diffuse(SCHEDULE, x, x[:, :1], [1, 2, 3, 4])


def test_single_precision_is_the_double_one_rounded_at_each_step():
    x_0 = rng().standard_normal((50, 2))
    double, single = forward.walk(SCHEDULE, x_0, rng()), forward.walk(SCHEDULE, x_0, rng(), dtype=np.float32)
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-6)
    eps = rng(1).standard_normal(x_0.shape)
    double, single = (forward.diffuse(SCHEDULE, x_0, eps, 3, dtype=one) for one in (np.float64, "float32"))
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-6)


def test_a_short_walk_draws_from_the_generator_itself_one_step_after_the_other():
    """Evidence replays such streams."""
    x_0, replayed = np.zeros((7, 2)), rng()
    x = forward.walk(SCHEDULE, x_0, rng())
    for t in range(1, 6):
        z = replayed.standard_normal((7, 2))
        np.testing.assert_array_equal(x[t], np.sqrt(SCHEDULE.beta[t]) * z + np.sqrt(SCHEDULE.alpha[t]) * x[t - 1])


def test_no_two_chains_of_a_long_walk_share_their_noise(compiled):
    x = forward.walk(SCHEDULE, np.zeros((5000, 1)), rng())
    assert len(np.unique(x[1:])) == 5 * 5000


def test_blocks_of_a_walk_are_alike_and_a_multiple_of_four():
    for n in (1, 5, 100, 101, 10_000, 99_999):
        size = forward._share(n, 100)
        number = len(streams.blocks(n, size))
        assert size <= 100
        assert number == 1 or number % 4 == 0 or n < 1000
        assert number * size - n < max(number, 4)


@pytest.mark.parametrize("n", [2, 40, 700])
def test_moments_are_those_of_the_chains_that_were_walked(compiled, n):
    """By the same generator: the chains are walked again, and kept."""
    x_0 = np.array([2.0, -1.0])
    mean, var = forward.walk_moments(SCHEDULE, x_0, n, rng())
    (generator,) = streams.spawn(rng(), 1)
    x = [np.tile(x_0, (n, 1))]
    for t in range(1, 6):
        x.append(np.sqrt(SCHEDULE.alpha[t]) * x[-1] + np.sqrt(SCHEDULE.beta[t]) * generator.standard_normal((n, 2)))
    np.testing.assert_allclose(mean, np.mean(x, axis=1), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(var, np.var(x, axis=1, ddof=1), rtol=1e-12)


def test_sets_of_chains_merge_into_the_moments_of_all_of_them():
    x = rng().standard_normal((100, 3, 2)) + 5

    def of(chains):
        return len(chains), chains.mean(axis=0), ((chains - chains.mean(axis=0)) ** 2).sum(axis=0)

    n, mean, squares = forward._merged(forward._merged(of(x[:7]), of(x[7:8])), of(x[8:]))
    assert n == 100
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(squares / n, x.var(axis=0), rtol=1e-13)


def test_moments_far_from_zero_keep_their_digits(compiled):
    """The sum of raw squares would lose them all: 1e18 times the variance."""
    _, near = forward.walk_moments(ENDS, [0.0], 300, rng())
    _, far = forward.walk_moments(ENDS, [1e9], 300, rng())
    np.testing.assert_allclose(far, near, rtol=1e-5)


def test_many_blocks_give_the_moments_of_the_marginal(compiled):
    x_0, n = np.array([3.0, -2.0]), 300_000
    mean, var = forward.walk_moments(SCHEDULE, x_0, n, rng())
    truth = SCHEDULE.one_minus_alpha_bar[:, None]
    assert (np.abs(mean - SCHEDULE.signal_rate[:, None] * x_0) <= 6 * np.sqrt(truth / n)).all()
    assert (np.abs(var - truth) <= 6 * np.sqrt(2 / n) * truth).all()


@pytest.mark.parametrize("x_0", [[[1.0, 2.0], [3.0, 4.0]], np.ones((2, 3, 1)), [5.0]])
def test_entry_0_of_the_moments_is_exact_and_the_shape_that_of_the_points(x_0):
    mean, var = forward.walk_moments(SCHEDULE, x_0, 40, rng())
    assert mean.shape == var.shape == (6, *np.shape(x_0))
    np.testing.assert_array_equal(mean[0], x_0)
    np.testing.assert_array_equal(var[0], np.zeros(np.shape(x_0)))


def test_the_moments_need_no_more_memory_for_more_chains(compiled):
    def peak(n):
        tracemalloc.start()
        forward.walk_moments(ENDS, [1.0, 2.0], n, rng())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    batch = forward.AT_A_TIME * forward.SIDE_BY_SIDE // 2
    assert peak(8 * batch) < peak(2 * batch) + 200_000  # one step of 6 more batches, kept, would be 6,000,000 bytes


@pytest.mark.parametrize(
    "call",
    [
        lambda **given: forward.walk(SCHEDULE, np.ones((4, 2)), rng(), **given),
        lambda **given: forward.walk_moments(SCHEDULE, np.ones(2), 4, rng(), **given),
    ],
)
def test_threads_that_are_no_number_of_threads_are_refused(call):
    for wrong in (1.5, "two", True):
        with pytest.raises(TypeError, match="threads must be an integer"):
            call(threads=wrong)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="threads must be at least 1"):
            call(threads=wrong)
    call(threads=None)


@pytest.mark.parametrize("wrong", [np.float16, np.longdouble, int, complex, "text", object, np.dtype(">f8")])
def test_other_precisions_are_refused(wrong):
    x = np.ones((4, 2))
    for call in (
        lambda: forward.walk(SCHEDULE, x, rng(), dtype=wrong),
        lambda: forward.diffuse(SCHEDULE, x, x, 1, dtype=wrong),
    ):
        with pytest.raises(TypeError, match="dtype must be float64 or float32"):
            call()


@pytest.mark.parametrize("n", [50, 300_000])  # short and long
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_walk_may_be_written_to_an_array_that_is_there(n, dtype):
    x_0, out = np.ones((n, 1)), np.empty((6, n, 1), dtype)
    assert forward.walk(SCHEDULE, x_0, rng(), dtype=dtype, out=out) is out
    np.testing.assert_array_equal(out, forward.walk(SCHEDULE, x_0, rng(), dtype=dtype))


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "out",
    [
        np.empty((6, 4, 1)),
        np.empty((5, 4, 2)),
        np.empty((6, 4, 2), np.float32),
        np.empty((6, 2, 4)).transpose(0, 2, 1),
        read_only(np.empty((6, 4, 2))),
    ],
    ids=["one coordinate", "no row 0", "float32", "transposed", "read-only"],
)
def test_an_array_that_a_walk_does_not_fit_is_refused_and_left_alone(out):
    before = out.copy()
    with pytest.raises(ValueError, match="out must be contiguous, writeable, float64 and of shape"):
        forward.walk(SCHEDULE, np.ones((4, 2)), rng(), out=out)
    np.testing.assert_array_equal(out, before)
    with pytest.raises(TypeError, match="out must be an array; got list"):
        forward.walk(SCHEDULE, np.ones((4, 2)), rng(), out=[])


def test_moments_of_what_has_none_are_refused():
    for n in (1, 0, -3):
        with pytest.raises(ValueError, match="n must be at least 2"):
            forward.walk_moments(SCHEDULE, [1.0], n, rng())
    with pytest.raises(TypeError, match="n must be an integer"):
        forward.walk_moments(SCHEDULE, [1.0], 10.0, rng())
    for x_0 in (1.0, [], np.ones((0, 2)), np.ones((2, 0)), [np.nan], [[1.0, np.inf]]):
        with pytest.raises(ValueError, match=r"^x_0 must"):
            forward.walk_moments(SCHEDULE, x_0, 4, rng())
    with pytest.raises(TypeError, match=r"^x_0 must"):
        forward.walk_moments(SCHEDULE, ["one"], 4, rng())


@pytest.mark.parametrize(
    "call",
    [
        lambda threads: forward.walk(SCHEDULE, np.ones((20_000, 2)), rng(), threads=threads),
        lambda threads: forward.walk_moments(SCHEDULE, np.ones(2), 100_000, rng(), threads=threads),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_walk_before_its_next_block(monkeypatch, compiled, call, threads):
    begun = []

    def interrupted(*arguments):
        begun.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "ENABLED", True)
    monkeypatch.setattr(chains, "walk", interrupted)
    monkeypatch.setattr(chains, "moments", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(threads)
    assert len(begun) <= 2 * threads


CODE = """
import sys
import numpy as np
from refdiff import Schedule, forward
rng = np.random.default_rng(0)
x = forward.walk(Schedule.vp(8), np.ones((16_000, 3)), rng)
forward.walk(Schedule.linear(), np.ones((5, 2)), rng, threads=2)
forward.walk_moments(Schedule.vp(8), np.ones(2), 10_000, rng)
forward.diffuse(Schedule.vp(8), x[0], x[1], rng.integers(1, 8, size=16_000))
loaded = "numba" in sys.modules
total = forward.walk(Schedule.vp(60), np.ones((10_000, 2)), rng).sum()
total += forward.walk_moments(Schedule.vp(60), np.ones(2), 10_000, rng)[1].sum()
print(loaded, "numba" in sys.modules, float(total).hex())
"""


def test_small_walks_do_not_load_numba_and_long_ones_are_the_same_without_it():
    def run(**changed):
        environment = os.environ | changed
        out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=environment)
        return out.stdout.split()

    with_it, without = run(NUMBA_DISABLE_JIT="0"), run(NUMBA_DISABLE_JIT="1")
    assert with_it[:2] == ["False", "True"]
    assert with_it == without
