"""Interleaved rounds, with each library held to the threads that a row speaks of."""

import math
import time

from tests.benchmarks import machine
from tests.benchmarks.rows import Missing

LEAST = 0.1  # seconds that one measurement takes at least


def seconds(run, n):
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def pieces(run):
    """Return how many pieces of work take LEAST seconds. The first run, which may compile, does not count."""
    run(1)
    n = 1
    while (taken := seconds(run, n)) < LEAST / 4:
        n *= 4
    return max(1, math.ceil(n * LEAST / taken))


def rounds(contestants, number):
    """Return the seconds per piece, a list for each contestant, and the share of moments at which others ran."""
    many = {name: pieces(run) for name, run in contestants.items()}
    times, busy = {name: [] for name in contestants}, []
    for _ in range(number):
        for name, run in contestants.items():
            busy.append(machine.others() > 0)
            times[name].append(seconds(run, many[name]) / many[name])
    return times, sum(busy) / len(busy)


def result(row, number):
    """Measure a row; return what goes into the JSON. What is missing or fails is said there, and nothing stops."""
    out = {name: getattr(row, name) for name in ("name", "work", "peer", "limit", "target")}
    try:
        if row.values is not None:
            return out | {"values": row.values(number)}
        contestants = row.contestants()
        there = {name: run for name, run in contestants.items() if not isinstance(run, Missing)}
        missing = [f"{name}: {run}" for name, run in contestants.items() if isinstance(run, Missing)]
        if missing:
            out["skipped"] = "; ".join(missing)
        if there:
            times, out["busy"] = rounds(there, number)
            out["times"] = {name: [one / row.per for one in each] for name, each in times.items()}
    except Missing as missing:
        out["skipped"] = str(missing)
    except Exception as error:  # one row that fails is no reason to lose the others
        out["failed"] = f"{type(error).__name__}: {error}"
    return out
