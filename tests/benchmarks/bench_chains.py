"""The forward process: whole chains, x_t for a given noise, and the moments of many chains at all t."""

from functools import partial

import numpy as np

from tests.benchmarks.rows import add, if_there, public

N, T = 10_000, 1000
POINTS = 1_000_000


def repeat(work):
    def run(n):
        for _ in range(n):
            work()

    return run


def trajectories(threads):
    from refdiff import Schedule
    from tests.benchmarks import limits

    rng, schedule = np.random.default_rng(0), Schedule.linear(T)
    x_0 = rng.standard_normal((N, 2))
    a, b = (np.sqrt(c).astype(np.float32) for c in (schedule.alpha, schedule.beta))
    x = np.empty((T + 1, N, 2), np.float32)

    def ours():
        walk, out = public("forward.walk", "dtype", "threads", "out"), np.empty((T + 1, N, 2), np.float32)
        return repeat(lambda: walk(schedule, x_0, rng, dtype=np.float32, threads=threads, out=out))

    def peer():
        x[0] = x_0
        rng.standard_normal(out=x[1:], dtype=np.float32)
        for t in range(1, T + 1):
            x[t] *= b[t]
            x[t] += a[t] * x[t - 1]

    return {"ours": if_there(ours), "peer": repeat(peer), "limit": repeat(limits.normals(N, 2, T, threads))}


def moments(threads):
    from refdiff import Schedule
    from tests.benchmarks import limits

    rng, schedule, x_0 = np.random.default_rng(0), Schedule.linear(T), np.array([1.0, -2.0])
    a, b = np.sqrt(schedule.alpha), np.sqrt(schedule.beta)
    z = np.empty((2, N))  # coordinates first: NumPy sums along a contiguous axis several times faster

    def ours():
        walk_moments = public("forward.walk_moments", "threads")
        return repeat(lambda: walk_moments(schedule, x_0, N, rng, threads=threads))

    def peer():
        x, mean, var = np.tile(x_0[:, None], N), np.empty((T + 1, 2)), np.empty((T + 1, 2))
        for t in range(1, T + 1):
            rng.standard_normal(out=z)
            x *= a[t]
            np.multiply(z, b[t], out=z)
            x += z
            mean[t], var[t] = x.mean(axis=1), x.var(axis=1)
        return mean, var

    return {"ours": if_there(ours), "peer": repeat(peer), "limit": repeat(limits.normals(N, 2, T, threads))}


def noise_given():
    from refdiff import Schedule
    from tests.benchmarks import peers

    rng, schedule = np.random.default_rng(0), Schedule.linear(T)
    x_0, eps = rng.standard_normal((2, POINTS, 2), dtype=np.float32)
    t, x_t = rng.integers(1, T, size=POINTS, endpoint=True), np.empty_like(x_0)

    def ours():
        diffuse = public("forward.diffuse", "dtype")
        return repeat(lambda: diffuse(schedule, x_0, eps, t, dtype=np.float32))

    return {
        "ours": if_there(ours),
        "peer": repeat(peers.add_noise(schedule, x_0, eps, t)),
        "limit": repeat(lambda: np.add(x_0, eps, out=x_t)),
    }


DRAWING = (
    "Drawing the normals takes nine tenths of our time; the rest writes 80 MB and does the arithmetic. The limit ratio"
    " says what that leaves: on this processor NumPy's own normals are quicker, beside those of a compiled loop, than"
    " where the target was measured."
)
DRAWS = "drawing as many normals from the same generators"

for threads, walk_ratio, moments_ratio in ((1, 2.6, 2.7), (2, 5, 5.2)):
    on = f"on {threads} thread{'s' if threads > 1 else ''}"
    add(
        f"trajectories-{threads}",
        f"{N} chains of {T} steps in the plane, all kept, float32, {on}",
        peer="NumPy, float32, an array allocated once (1 thread)",
        limit=DRAWS,
        target={"ratio": walk_ratio, "share": 0.9},
        why={"ratio": DRAWING, "share": DRAWING},
        contestants=partial(trajectories, threads),
    )
    add(
        f"moments-{threads}",
        f"mean and variance of {N} chains in the plane at each of {T} steps, float64, {on}",
        peer="NumPy, float64 (1 thread)",
        limit=DRAWS,
        target={"ratio": moments_ratio},
        why={"ratio": DRAWING},
        contestants=partial(moments, threads),
    )
add(
    "noise-given",
    f"x_t for {POINTS} points in the plane, each with a t of its own, noise given, float32",
    peer="diffusers' add_noise",
    limit="one addition of the two arrays into a third",
    target={"ratio": 10},
    contestants=noise_given,
)
