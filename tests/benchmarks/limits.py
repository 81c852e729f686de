"""What no program that needs these matrix products, or these normals, can undercut: only the products, only the draws.

The products are OpenBLAS's, called from a compiled loop, in place; all operands stay where they are. A limit is one
call for each product. Beside it stands the same in groups so small that OpenBLAS does not copy the operands first,
where it has such a path: what our loops do, which may therefore be quicker than the limit.
"""

import numpy as np
from numba import njit

from refdiff.kernels.network import columns_product, product
from refdiff.kernels.streams import BLOCK, Streams, blocks, each

WIDTH = 128
INPUTS = {"A": 3 * 128, "B": 34}  # of a step of training, in which each point has a t of its own
SHARED_T = {"A": 2 * 128, "B": 2}  # where all points share t: its part of the first layer is one vector for each t
DEPTH = {"A": 4, "B": 3}


@njit(nogil=True)
def products_of_training(n, small, x, h, s, g, out, w_in, w, w_out, d_in, d, d_out, w_turned):
    depth = len(h)
    for _ in range(n):
        product(x, w_in, s[0], small)
        for k in range(1, depth):
            product(h[k - 1], w[k - 1], s[k], small)
        np.dot(h[depth - 1], w_out, out)
        np.dot(h[depth - 1].T, out, d_out)
        np.dot(out, w_out.T, g)
        for k in range(depth - 1, 0, -1):
            columns_product(h[k - 1], s[k], d[k - 1], w_turned[k - 1], small)
            if small:
                product(s[k], w_turned[k - 1], g, small)
            else:
                np.dot(s[k], w[k - 1].T, g)
        columns_product(x, s[0], d_in, w_in, small)


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


def training(net, batch, small=0):
    """Return run(n): the products of n steps: forward, the gradient of what goes into a layer, and of its weights.

    With `small` they are done in groups of so many multiplications, and the weights are turned beforehand.
    """
    depth, inputs, hidden = DEPTH[net], INPUTS[net], (batch, WIDTH)
    weights = [(inputs, WIDTH), (DEPTH[net] - 1, WIDTH, WIDTH), (WIDTH, 2)]
    room = (batch, inputs), (depth, *hidden), (depth, *hidden), hidden, (batch, 2)
    operands = arrays(*room, *weights, *weights, weights[1])
    return lambda n: products_of_training(n, small, *operands)


def forward(net, steps, n, small=0):
    """Return a function that does the products of `steps` steps of n points, a block at a time through all steps."""
    depth, inputs = DEPTH[net], SHARED_T[net]
    weights = arrays((inputs, WIDTH), (depth - 1, WIDTH, WIDTH), (WIDTH, 2))
    sizes = [rows.stop - rows.start for rows in blocks(n, BLOCK)]
    operands = {m: arrays((m, inputs), (depth, m, WIDTH), (m, 2)) for m in set(sizes)}

    def run():
        for m in sizes:
            products_forward(steps, small, *operands[m], *weights)

    return run


def normals(n, d, steps, threads):
    """Return a function that draws d normals for each of n points at each step, for a block of points at a time."""
    streams = Streams(np.random.default_rng(0), n, -(-n // 8))
    jobs = [(one, steps, d * (rows.stop - rows.start)) for one, rows in zip(streams.generators, streams.rows)]
    return lambda: each(lambda job: draw(*job), jobs, threads)
