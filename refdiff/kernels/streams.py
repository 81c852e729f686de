r"""What is common to compiled loops: blocks of points with a stream of noise each, threads, and how Numba is loaded.

The blocks are the same at any number of threads, and so are their streams: same seed, same bits. Nothing here imports
Numba; what needs it learns here whether it is worth loading, and who wants to be told that it compiles.
"""

import functools
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from refdiff.checks import count

__all__ = [
    "BLOCK",
    "Streams",
    "announce",
    "blocks",
    "each",
    "engine_of",
    "loading",
    "one_blas_thread",
    "spawn",
    "tell_of_compiling",
    "threads_to_use",
]

WORTH_LOADING = 50_000  # calls of a network, each with one point: NumPy needs longer than Numba takes to be imported
BLOCK = 256  # points that go through all steps together: they and their hidden layers stay in the cache


def blocks(n, size=BLOCK):
    """Return the slices that cut n points into blocks of `size`; the last may be shorter.

    Parameters
    ----------
    n, size : int

    Returns
    -------
    list of slice
    """
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def spawn(rng, number):
    """Return `number` independent generators, seeded by what `rng` draws next.

    The seed is drawn, not ``rng.spawn``ed, because what is drawn is part of the state that a checkpoint keeps.

    Parameters
    ----------
    rng : numpy.random.Generator
        Moves on by the same amount whatever the `number`.
    number : int

    Returns
    -------
    list of numpy.random.Generator
        Of the same bit generator as `rng`.
    """
    seed = np.random.SeedSequence([int(word) for word in rng.integers(2**32, size=8, dtype=np.uint32)])
    return [np.random.Generator(type(rng.bit_generator)(child)) for child in seed.spawn(number)]


class Streams:
    """One stream of noise for each block of n points, drawn as one array.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
        The number of points.
    size : int
        Of a block.

    Attributes
    ----------
    rows : list of slice
    generators : list of numpy.random.Generator
        One for each of `rows`. A kernel that draws a block's noise from its generator finds the same numbers.
    """

    def __init__(self, rng, n, size=BLOCK):
        self.rows = blocks(n, size)
        self.generators = spawn(rng, len(self.rows))

    def standard_normal(self, shape):
        """Return an array of `shape` (n, d), each block of rows drawn from its own stream."""
        z = np.empty(shape)
        for rows, generator in zip(self.rows, self.generators):
            generator.standard_normal(out=z[rows])
        return z


def engine_of(denoiser, T, n):
    """Return the compiled walks of a denoiser that brings some, if n points through T steps are worth the loading.

    Parameters
    ----------
    denoiser : callable
        One with a method ``compiled_walks()``, as :class:`refdiff.network.MLP` has, or any other.
    T, n : int

    Returns
    -------
    refdiff.network.engine.Engine or None
    """
    make = getattr(denoiser, "compiled_walks", None)
    return make() if make is not None and n * T >= WORTH_LOADING else None


def threads_to_use(threads=None):
    """Return how many threads: as many as asked for, or one for each processor that this process may use.

    Parameters
    ----------
    threads : int, optional

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.
    """
    if threads is not None:
        return count(threads, "threads")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work, jobs, threads=1):
    """Do `work` for each of the `jobs`, in threads; return the results in the order of the jobs.

    If one raises, or Ctrl-C is pressed, what has not begun is not begun any more.

    Parameters
    ----------
    work : callable
        Of one job. Kernels let go of Python's lock, so they run beside each other.
    jobs : iterable
    threads : int

    Returns
    -------
    list
    """
    jobs = list(jobs)
    if threads == 1 or len(jobs) <= 1:
        return [work(job) for job in jobs]
    stop = threading.Event()

    def unless_stopped(job):
        if stop.is_set():
            return None
        try:
            return work(job)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(min(threads, len(jobs))) as pool:
        futures = [pool.submit(unless_stopped, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            raise


_TO_TELL = []


@contextmanager
def announce(begin, end):
    """Have `begin` and `end` called around the compiling of kernels: that takes seconds, at the first use of all.

    Parameters
    ----------
    begin, end : callable
        Without arguments.
    """
    _TO_TELL.append((begin, end))
    try:
        yield
    finally:
        _TO_TELL.remove((begin, end))


def tell_of_compiling(begins):
    """Call what :func:`announce` was given, for the beginning or for the end."""
    for begin, end in _TO_TELL:
        begin() if begins else end()


@contextmanager
def loading():
    """Pause the search for garbage while Numba and compiled code are loaded.

    There is none to be found among modules, and looking for it takes a fifth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@functools.cache
def _blas():
    """Return what holds the BLAS libraries: NumPy's, and SciPy's, which compiled code calls."""
    import scipy.linalg.cython_blas  # noqa: F401 only a library that is loaded can be held
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class _Held:
    """How many uses of :func:`one_blas_thread` are under way, and what the last of them lifts."""

    lock, uses, limit = threading.Lock(), 0, None


@contextmanager
def one_blas_thread():
    """Hold BLAS to one thread: with more it adds in another order, and blocks in threads are the better use of cores.

    The limit is the process's. Uses may overlap, in several threads: the first sets it, the last lifts it.
    """
    blas = _blas()
    with _Held.lock:
        if _Held.uses == 0:
            _Held.limit = blas.limit(limits=1)
        _Held.uses += 1
    try:
        yield
    finally:
        with _Held.lock:
            _Held.uses -= 1
            if _Held.uses == 0:
                _Held.limit.restore_original_limits()
