"""Blocks, their streams, the threads that work on them, and the one thread of BLAS."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from refdiff.kernels.streams import Streams, blocks, each, loading, one_blas_thread, spawn


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blocks_cover_all_points_once():
    covered = np.concatenate([np.arange(700)[rows] for rows in blocks(700, 256)])
    np.testing.assert_array_equal(covered, np.arange(700))
    assert blocks(0) == []


def test_a_block_has_the_same_noise_however_many_follow():
    few, many = (Streams(np.random.default_rng(0), n).standard_normal((n, 2)) for n in (256, 1000))
    np.testing.assert_array_equal(few, many[:256])
    assert np.unique(many).size == many.size


def test_spawning_goes_on_from_the_state_of_the_generator_by_the_same_amount():
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    spawn(rng, 3)
    spawn(twin, 300)
    assert rng.bit_generator.state == twin.bit_generator.state
    assert isinstance(spawn(np.random.Generator(np.random.Philox(0)), 1)[0].bit_generator, np.random.Philox)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(threads):
    assert each(lambda job: job**2, range(20), threads) == [job**2 for job in range(20)]


@pytest.mark.parametrize("threads", [2, 3])
def test_when_one_fails_no_other_begins_even_while_an_earlier_one_runs(threads):
    failed, begun = threading.Event(), []

    def work(job):
        begun.append(job)
        if job == 0:
            assert failed.wait(10)
        elif job == 1:
            failed.set()
            raise RuntimeError("job 1")

    with pytest.raises(RuntimeError, match="job 1"):
        each(work, range(100), threads)
    assert len(begun) < 50


def test_overlapping_uses_hold_blas_until_the_last_and_then_give_it_back():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before


def test_loading_leaves_the_collector_as_it_was():
    import gc

    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
