"""Speed beside a peer and a limit: ``python -m tests.benchmarks training-A sampling`` (all by default)."""

import argparse
import sys

from tests.benchmarks import (
    bench_chains,  # noqa: F401 each adds its rows
    bench_elbo,  # noqa: F401
    bench_sampling,  # noqa: F401
    bench_start,  # noqa: F401
    bench_training,  # noqa: F401
    machine,
    measure,
    quality,  # noqa: F401
    record,
)
from tests.benchmarks.page import line, page
from tests.benchmarks.rows import chosen


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="of benchmarks, or how they begin: training-A; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="of each (default: 9)")
    parser.add_argument("--json", metavar="FILE", help="also write what was measured there")
    parser.add_argument("--markdown", metavar="FILE", help="also write the page there")
    parser.add_argument("--from", metavar="FILE", nargs="+", dest="sources", help="measure nothing: a page about these")
    asked = parser.parse_args()
    if asked.sources:
        text = page([record.read(one) for one in asked.sources], asked.sources, asked.markdown or "FILE")
        record.write(asked.markdown, text) if asked.markdown else print(text)
        return 0
    rows = chosen(asked.names)
    machine.renew()
    machine.warn_if_busy()
    try:
        import torch
    except ImportError:
        sys.exit('the peers need torch and diffusers: pip install -e ".[bench]"')
    import scipy.linalg.cython_blas  # noqa: F401 loaded before it is held to one thread
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    results = []
    with threadpool_limits(limits=1):
        for row in rows:
            results.append(measure.result(row, asked.rounds))
            print(line(results[-1]), flush=True)
        one = record.run("tests.benchmarks", results, rounds=asked.rounds)
    record.keep(one, asked.json, asked.markdown)
    return 1 if any("failed" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
