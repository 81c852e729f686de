"""A step of training: batch, t, eps, forward, backward, clipping, AdamW; ours keeps a moving average too."""

import math
from functools import partial
from unittest.mock import patch

import numpy as np

from tests.benchmarks.rows import EQUAL_PRODUCTS, SMALL_GROUPS, add, if_there, public

NET_A = {"width": 128, "depth": 4, "time_dim": 128, "residual": True, "activation": "gelu", "point_dim": 128}
BETA_1 = 0.9  # of AdamW, its default
RECORD = 100  # steps between two records of fit, its default: a piece of the work


def model(net, rng):
    options = NET_A if net == "A" else {}
    return public("network.MLP", *options)(2, rng=rng, **options)


def contestants(net, batch):
    from refdiff import Schedule, network
    from refdiff.kernels.build import small_product
    from tests.benchmarks import limits, peers

    rng, schedule = np.random.default_rng(0), Schedule.vp(1000)
    data = rng.standard_normal((4000, 2))

    def ours():
        records = network.fit(
            model(net, rng), data, schedule, rng, 10**9, batch_size=batch, learning_rate=1e-3, record_every=RECORD
        )

        def run(n):
            for _ in range(n):
                next(records)

        return run

    torch, fused = (peers.training(net, data, schedule, batch, **adam) for adam in ({}, {"fused": True}))
    products, quick = limits.training(net, batch), limits.training(net, batch, small_product())
    return {
        "ours": if_there(ours),
        "peer": lambda n: torch(n * RECORD),
        "limit": lambda n: products(n * RECORD),
        "torch with AdamW(fused=True)": lambda n: fused(n * RECORD),
        SMALL_GROUPS: lambda n: quick(n * RECORD),
    }


def errors(net, rounds):
    """Return the largest error of a gradient over its largest entry, ours and torch's in float32, a batch a round."""
    import torch

    from refdiff import Schedule, network
    from refdiff.network import mlp
    from tests.benchmarks import peers

    rng, schedule = np.random.default_rng(0), Schedule.vp(1000)
    data = rng.standard_normal((4000, 2))
    found = {"error": [], "of the NumPy loop": [], "torch in float32": []}
    for seed in range(rounds):
        one = model(net, rng)
        twin, state = network.MLP.from_theta(one.theta.copy(), **one.config), network.TrainingState.start(one)
        next(network.fit(one, data, schedule, np.random.default_rng(seed), 1, clip_norm=math.inf, state=state))
        same = np.random.default_rng(seed)  # the draws of fit, in its order
        x_0 = data[same.integers(len(data), size=256)]
        t, eps = same.integers(1, schedule.T, size=256, endpoint=True), same.standard_normal((256, 2))
        with patch.object(mlp, "linear", wraps=mlp.linear) as linear:
            network.loss_and_gradients(twin, x_0, t, eps, schedule)
        features = linear.call_args_list[0].args[0]  # what the first layer receives
        true, theirs = (peers.gradient(twin, features, eps, dtype) for dtype in (torch.float64, torch.float32))
        first = state.first_moment / (1 - BETA_1)  # of AdamW, after one step: the gradient
        for name, gradient in zip(found, (first, twin.gradient, theirs)):
            found[name].append(float(abs(gradient - true).max() / abs(true).max()))
    return found


TARGETS = {  # ratio, share
    ("A", 32): (8.5, 0.78),
    ("A", 128): (4, 0.82),
    ("A", 256): (3.1, 0.82),
    ("A", 1024): (2.4, 0.82),
    ("B", 32): (11, 0.72),
    ("B", 128): (4.2, 0.76),
    ("B", 256): (3.1, 0.78),
    ("B", 1024): (2.2, 0.78),
}

for (net, batch), (ratio, share) in TARGETS.items():
    add(
        f"training-{net}-{batch}",
        f"training step, net {net}, batch {batch}",
        peer="torch, eager, AdamW",
        limit="the matrix products of the step",
        target={"ratio": ratio, "share": share},
        why={"ratio": EQUAL_PRODUCTS},
        contestants=partial(contestants, net, batch),
        per=RECORD,
    )
for net in "AB":
    add(
        f"gradient-{net}",
        f"largest error of the gradient / its largest entry, net {net}, float32, batch 256",
        peer="torch's autograd in float64, given the same parameters and features",
        target={"error": 1e-6},
        values=partial(errors, net),
    )
