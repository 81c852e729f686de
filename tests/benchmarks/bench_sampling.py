"""Ancestral sampling: N points from x_T to x_0."""

from functools import partial

import numpy as np

from tests.benchmarks.bench_training import model
from tests.benchmarks.rows import EQUAL_PRODUCTS, SMALL_GROUPS, add, if_there, public

N, T = 10_000, 200


def ours(net, threads):
    from refdiff import Schedule

    sample, schedule, rng = public("reverse.sample", "threads"), Schedule.vp(T), np.random.default_rng(0)
    one = model(net, rng)

    def run(n):
        for _ in range(n):
            sample(schedule, one, N, 2, rng, threads=threads)

    return run


def contestants(net):
    from refdiff import Schedule
    from refdiff.kernels.build import small_product
    from tests.benchmarks import limits, peers

    peer, products = peers.sampling(net, Schedule.vp(T), N), limits.forward(net, T, N)
    quick = limits.forward(net, T, N, small_product())
    return {
        "ours": if_there(partial(ours, net, 1)),
        "peer": lambda n: [peer() for _ in range(n)],
        "limit": lambda n: [products() for _ in range(n)],
        SMALL_GROUPS: lambda n: [quick() for _ in range(n)],
    }


def threads(net):
    return {"ours": if_there(partial(ours, net, 2)), "peer": if_there(partial(ours, net, 1))}


for net, ratio in (("A", 4), ("B", 2.5)):
    add(
        f"sampling-{net}",
        f"ancestral sampling, net {net}, {N} points, T = {T}, per step",
        peer="torch and diffusers' DDPMScheduler.step",
        limit="the matrix products of a step, in blocks of 256 points",
        target={"ratio": ratio, "share": 0.85},
        why={"ratio": EQUAL_PRODUCTS},
        contestants=partial(contestants, net),
        per=T,
    )
    add(
        f"sampling-{net}-threads",
        f"the same, net {net}, on 2 threads",
        peer="itself on 1 thread",
        target={"ratio": 1.8},
        contestants=partial(threads, net),
        per=T,
    )
