"""The bound of a network: all T terms at each of N points."""

from functools import partial

import numpy as np

from tests.benchmarks.bench_training import model
from tests.benchmarks.rows import EQUAL_PRODUCTS, SMALL_GROUPS, add, if_there, public

T = 1000


def contestants(n_points):
    from refdiff import Schedule
    from refdiff.kernels.build import small_product
    from tests.benchmarks import limits, peers

    rng, schedule = np.random.default_rng(0), Schedule.linear(T)
    x_0 = rng.standard_normal((n_points, 2))

    def ours():
        denoising_form, one = public("elbo.denoising_form", "threads"), model("B", rng)
        return lambda n: [denoising_form(schedule, one, x_0, rng, keep_terms=False, threads=1) for _ in range(n)]

    peer, points = peers.Elbo(peers.NetB(), schedule), peers.table(x_0)
    products, quick = (limits.forward("B", T, n_points, small) for small in (0, small_product()))
    return {
        "ours": if_there(ours),
        "peer": lambda n: [peer(points) for _ in range(n)],
        "limit": lambda n: [products() for _ in range(n)],
        SMALL_GROUPS: lambda n: [quick() for _ in range(n)],
    }


for n, ratio, share in ((100, 9, 0.70), (1000, 3.6, 0.82)):
    add(
        f"elbo-{n}",
        f"all terms of the bound, T = {T}, net B, {n} points",
        peer="the same terms in torch, computed as improved-diffusion does",
        limit="their matrix products, in blocks of 256 points",
        target={"ratio": ratio, "share": share},
        why={"ratio": EQUAL_PRODUCTS},
        contestants=partial(contestants, n),
    )
