"""What samplers share: a denoiser that brings compiled walks is handed the steps, and progress is told of each."""

import inspect

import numpy as np
import pytest

from refdiff import Schedule, reverse
from refdiff.kernels.streams import WORTH_LOADING, Streams
from refdiff.reverse import chain, implicit

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
WALKS = {
    "sample": (reverse.sample, lambda: chain.ancestral_coefficients(SCHEDULE, "posterior"), 4),
    "ddim": (
        lambda *args, **how: reverse.ddim(*args, steps=3, **how),
        lambda: implicit.ddim_coefficients(SCHEDULE, 3, 0.0),
        3,
    ),
}


class Walker:
    """A denoiser that takes whole walks, and remembers what it was given."""

    def __init__(self):
        self.given = None

    def __call__(self, x_t, t):
        return 0.1 * x_t

    def compiled_walks(self):
        return self

    def reverse_walk(self, x, t, keep, add, std, streams, threads, progress):
        self.given = x, (t, keep, add, std), streams, threads, progress
        return x + 1


@pytest.mark.parametrize("name", WALKS)
def test_a_denoiser_with_compiled_walks_is_handed_start_steps_noise_threads_and_progress(name):
    draw, coefficients, steps = WALKS[name]
    denoiser, n = Walker(), WORTH_LOADING // steps + 1

    def progress(taken):
        raise AssertionError("the walker tells of its steps, or not")

    found = draw(SCHEDULE, denoiser, n, 2, np.random.default_rng(3), threads=3, progress=progress)
    x, numbers, streams, threads, told = denoiser.given
    np.testing.assert_array_equal(found, x + 1)
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(x, Streams(rng, n).standard_normal((n, 2)))  # each block's x_T from its own stream
    for ours, right in zip(numbers, coefficients(), strict=True):
        np.testing.assert_array_equal(ours, right)
    assert isinstance(streams, Streams)
    assert (threads, told) == (3, progress)
    draw(SCHEDULE, denoiser, n, 2, np.random.default_rng(3))
    assert denoiser.given[3:] == (1, None)


@pytest.mark.parametrize("name", WALKS)
def test_little_work_is_done_step_by_step(name):
    draw, _, steps = WALKS[name]
    denoiser = Walker()
    draw(SCHEDULE, denoiser, (WORTH_LOADING - 1) // steps, 1, np.random.default_rng(0))
    assert denoiser.given is None


@pytest.mark.parametrize("name", WALKS)
def test_progress_is_told_of_each_step(name):
    draw, _, steps = WALKS[name]
    taken = []
    draw(SCHEDULE, lambda x_t, t: 0 * x_t, 2, 1, np.random.default_rng(0), progress=taken.append)
    assert taken == list(range(1, steps + 1))


def test_one_thread_unless_more_are_asked_for():
    for function in (reverse.sample, reverse.ddim):
        assert inspect.signature(function).parameters["threads"].default == 1
