"""What no program that needs these matrix products, or these normals, can undercut: only the products, only the draws.

The products are OpenBLAS's, called from a compiled loop, in place; all operands stay where they are. Of the ways to
call it, all points at once or in groups so small that it does not copy the operands first, the quicker is taken.
"""

import time

import numpy as np
from numba import njit

from refdiff.kernels.build import small_product
from refdiff.kernels.streams import BLOCK, Streams, blocks, each

WIDTH = 128
INPUTS = {"A": 3 * 128, "B": 34}  # of a step of training, in which each point has a t of its own
SHARED_T = {"A": 2 * 128, "B": 2}  # where all points share t: its part of the first layer is one vector for each t
DEPTH = {"A": 4, "B": 3}


@njit(nogil=True)
def product(x, w, out, small):
    """Write x w to `out`, in groups of rows of at most `small` multiplications, if it is not 0."""
    rows = small // w.size // 8 * 8
    if rows < 8 or rows >= len(x):
        np.dot(x, w, out)
    else:
        for low in range(0, len(x), rows):
            np.dot(x[low : low + rows], w, out[low : low + rows])


@njit(nogil=True)
def products_of_training(n, small, x, h, s, g, out, w_in, w, w_out, d_in, d, d_out):
    depth = len(h)
    for _ in range(n):
        product(x, w_in, s[0], small)
        for k in range(1, depth):
            product(h[k - 1], w[k - 1], s[k], small)
        np.dot(h[depth - 1], w_out, out)
        np.dot(h[depth - 1].T, out, d_out)
        np.dot(out, w_out.T, g)
        for k in range(depth - 1, 0, -1):  # small groups would not be quicker here
            np.dot(h[k - 1].T, s[k], d[k - 1])
            np.dot(s[k], w[k - 1].T, g)
        np.dot(x.T, s[0], d_in)


@njit(nogil=True)
def products_forward(n, small, x, h, out, w_in, w, w_out):
    depth = len(h)
    for _ in range(n):
        product(x, w_in, h[0], small)
        for k in range(1, depth):
            product(h[k - 1], w[k - 1], h[k], small)
        np.dot(h[depth - 1], w_out, out)


@njit(nogil=True)
def draw(generator, steps, number):
    total = 0.0
    for _ in range(steps):
        total += generator.standard_normal(number)[0]
    return total


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=np.float32) / 16 for shape in shapes]


def training(net, batch):
    """Return run(n): the products of n steps: forward, the gradient of what goes into a layer, and of its weights."""
    depth, inputs, hidden = DEPTH[net], INPUTS[net], (batch, WIDTH)
    weights = [(inputs, WIDTH), (DEPTH[net] - 1, WIDTH, WIDTH), (WIDTH, 2)]
    operands = arrays((batch, inputs), (depth, *hidden), (depth, *hidden), hidden, (batch, 2), *weights, *weights)
    return quickest([lambda n, small=small: products_of_training(n, small, *operands) for small in groups()])


def groups():
    """Return how many multiplications a product may have at a time, 0 for any: the ways that there are."""
    return sorted({0, small_product()})


def quickest(ways):
    """Return the one of several callables run(n) that takes the least time, by the least of five."""

    def least(run):
        run(1)
        n = 1 + int(0.01 / timed(run, 1))
        return min(timed(run, n) / n for _ in range(5))

    return min(ways, key=least)


def timed(run, n):
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def forward(net, steps, n):
    """Return a function that does the products of `steps` steps of n points, a block at a time through all steps."""
    depth, inputs = DEPTH[net], SHARED_T[net]
    weights = arrays((inputs, WIDTH), (depth - 1, WIDTH, WIDTH), (WIDTH, 2))
    sizes = [rows.stop - rows.start for rows in blocks(n, BLOCK)]
    operands = {m: arrays((m, inputs), (depth, m, WIDTH), (m, 2)) for m in set(sizes)}

    def way(small):
        def run(n_steps):
            for m in sizes:
                products_forward(n_steps, small, *operands[m], *weights)

        return run

    run = quickest([way(small) for small in groups()])
    return lambda: run(steps)


def normals(n, d, steps, threads):
    """Return a function that draws d normals for each of n points at each step, for a block of points at a time."""
    streams = Streams(np.random.default_rng(0), n, -(-n // 8))
    jobs = [(one, steps, d * (rows.stop - rows.start)) for one, rows in zip(streams.generators, streams.rows)]
    return lambda: each(lambda job: draw(*job), jobs, threads)
