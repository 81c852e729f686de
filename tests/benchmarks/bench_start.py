"""From the start of a process to the first trained step, with kernels that an earlier process has compiled."""

import subprocess
import sys

from tests.benchmarks.rows import add

FIRST_STEP = """
import numpy as np
from refdiff import Schedule, network, toys
rng = np.random.default_rng(0)
next(network.fit(network.MLP(2, rng=rng), toys.moons(4000, rng), Schedule.vp(200), rng, 1))
"""


def process(code):
    def run(n):
        for _ in range(n):
            subprocess.run([sys.executable, "-c", code], check=True)

    return run


add(
    "warm-start",
    "from process start to its end after one step of training, kernels cached",
    peer="import numpy",
    limit="import numpy and numba",
    target={"difference": 0.5},
    contestants=lambda: {
        "ours": process(FIRST_STEP),
        "peer": process("import numpy"),
        "limit": process("import numpy, numba"),
    },
)
