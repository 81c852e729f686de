r"""One identity on one case: what the two routes find, and how surely they would find a wrong formula."""

import importlib
import re
import sys
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np

from refdiff.verify.evidence import Exact, Inconclusive, Misshapen, Trial, stream
from refdiff.verify.identity import CATALOGUE, NotProvided, Provided
from refdiff.verify.limits import Guard, OutOfTime, within

__all__ = ["Outcome", "Overspent", "Task", "examine", "power_is_certified", "run"]


class Overspent(Exception):
    """Raised where a route records more statistics than it was budgeted, or two of one name.

    That is a fault of the catalogue, of nobody judged.
    """


def examine(
    identity, provided, case, *, seed=0, n=4_000, alpha=1e-9, routes=("exact", "monte_carlo"), precision=0.0, chunk=0
):
    """Return the evidence of one identity on one case: a list of comparisons and statistics.

    Raises
    ------
    NotProvided
        If a function judged is missing.
    Inconclusive
        If n is too small for what the route needs.
    Overspent
        If the route recorded more statistics than its share of the budget.
    """
    for name in identity.judges:
        provided.lookup(name)
    found = []
    if "exact" in routes:
        exact = Exact(precision)
        identity.exact(provided, case, exact)
        found += exact.found
    if "monte_carlo" in routes and identity.monte_carlo is not None:
        found += _tried(identity, provided, case, seed, n, alpha, precision, chunk).found
    return found


def _tried(identity, provided, case, seed, n, alpha, precision, chunk):
    """Return the Trial of one chunk of samples, whose stream depends on identity, seed, case and chunk alone."""
    names = (identity.key, seed, case, chunk) if chunk else (identity.key, seed, case)
    trial = Trial(stream(*names), n, alpha, precision)
    identity.monte_carlo(provided, case, trial)
    if len(trial.tallies) > identity.statistics:
        raise Overspent(f"{identity.key} recorded {len(trial.tallies)} statistics, budgeted {identity.statistics}")
    if len({tally.what for tally in trial.tallies}) < len(trial.tallies):  # chunks are merged by name
        raise Overspent(f"{identity.key} recorded two statistics of one name")
    return trial


@dataclass(frozen=True)
class Task:
    """A piece of work that any process can do: one identity on one case, its exact route and some chunks of samples."""

    key: str
    case: object
    number: int
    seed: int
    n: int
    chunks: tuple
    exact: bool
    time_limit: float | None


@dataclass
class Outcome:
    """What a task found: comparisons, tallies by name, and why it found no more."""

    comparisons: list = field(default_factory=list)
    tallies: dict = field(default_factory=dict)
    failed: str = ""
    missing: str = ""
    silent: str = ""
    hung: bool = False
    seconds: float = 0.0


def portable(implementation):
    """Return an implementation as it can be sent to another process: a module by its name.

    Raises
    ------
    TypeError
        If importing that name would give another module.
    """
    if not isinstance(implementation, types.ModuleType):
        return implementation
    if sys.modules.get(implementation.__name__) is not implementation:
        raise TypeError(
            f"for an executor a module must be importable by its name; {implementation.__name__!r} is another one, or"
            " none. Put it on the path, and import it."
        )
    return implementation.__name__


def run(implementation, task):
    """Do one task, and return its Outcome; whatever the implementation raises is part of that."""
    if isinstance(implementation, str):
        implementation = importlib.import_module(implementation)
    start, outcome, identity = time.perf_counter(), Outcome(), find(implementation, task.key)
    guard = Guard(copies=not identity.in_place)
    provided = Provided(implementation, guard=guard)
    precision = precision_of(implementation, identity)
    case = replace(task.case)  # a case of its own, with a schedule that nobody else has had in hand
    try:
        # whatever the caller has set, here and in any other process
        with np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"):
            for name in identity.judges:
                provided.lookup(name)
            if task.exact:
                exact = Exact(precision)
                within(task.time_limit, identity.exact, provided, case, exact)
                outcome.comparisons = exact.found
            for chunk in task.chunks if identity.monte_carlo is not None else ():
                trial = within(
                    task.time_limit, _tried, identity, provided, case, task.seed, task.n, 1.0, precision, chunk
                )
                for tally in trial.tallies:
                    known = outcome.tallies.get(tally.what)
                    outcome.tallies[tally.what] = tally if known is None else known.merge(tally)
    except NotProvided as name:
        outcome.missing = str(name)
    except Inconclusive as reason:
        outcome.silent = str(reason)
    except (Overspent, KeyboardInterrupt):
        raise
    except OutOfTime:
        outcome.hung = True
        outcome.failed = f"{guard.running or 'the evidence'} did not return within {task.time_limit:g} s"
    except Misshapen as error:
        outcome.failed = f"{', '.join(identity.judges)}: {error}"
    except BaseException as error:  # whatever an implementation raises is its answer, and it is the wrong one
        judged = ", ".join(identity.judges)
        where = f"{guard.running} raised" if guard.running else f"what {judged} returned is of no use:"
        said = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error))  # an address is another one in each process
        outcome.failed = f"{where} {type(error).__name__}: {said}"
    outcome.seconds = time.perf_counter() - start
    return outcome


def identities_of(implementation):
    """Return all identities that an implementation is judged by: the catalogue, and those it brings along."""
    own = getattr(implementation, "identities", None)
    if not isinstance(own, Mapping):
        return CATALOGUE
    if clash := sorted(set(own) & set(CATALOGUE)):
        raise ValueError(f"identities of an implementation need keys of their own; {clash[0]!r} is the catalogue's.")
    return CATALOGUE | dict(own)


def find(implementation, key):
    """Return one identity by its key."""
    return identities_of(implementation)[key]


def precision_of(implementation, identity):
    """Return the smallest relative error that counts for the functions of an identity, as the implementation says."""
    said = precisions(implementation)
    return max(
        (said.get(name, said.get(name.partition(".")[0], said.get("", 0.0))) for name in identity.judges), default=0.0
    )


def precisions(implementation):
    """Return the precision that an implementation asks for, by function, chapter or "" for all.

    Raises
    ------
    ValueError
        If one of them is not a number in [0, 0.1): whatever is off by a tenth of itself is no rounding.
    """
    said = getattr(implementation, "precision", 0.0)
    if not isinstance(said, Real | Mapping) or isinstance(said, bool):
        return {}  # a function of that name, say
    said = said if isinstance(said, Mapping) else {"": said}
    for name, one in said.items():
        if not isinstance(one, Real) or isinstance(one, bool) or not 0 <= one < 0.1:
            raise ValueError(f"precision is a relative error in [0, 0.1), such as 1e-6; got {one!r} for {name!r}.")
    return {name: float(one) for name, one in said.items()}


def power_is_certified(identity, right, wrong, case, *, seed=0, n=4_000, alpha=1e-9):
    """Return whether the Monte Carlo route rejects `wrong` on this case with probability at least .99.

    Both are given the same stream. Where the samples do not depend on the claim, the proof is that what the wrong
    claim accepts and what the right claim makes typical have nothing in common. Where they do (a wrong sampler draws
    its own samples), it is that their mean lies outside what is accepted by more than four and a half of its
    standard errors, which a repetition makes up for with probability below .01.
    """
    claims = []
    for provided in (right, wrong):
        trial = Trial(stream(identity.key, seed, case), n, alpha)
        identity.monte_carlo(provided, case, trial)
        claims.append({one.what: one for one in trial.found})
    of_right, of_wrong = claims
    for what, truth in of_right.items():
        claim = of_wrong.get(what)
        if claim is None or claim.claimed.shape != truth.claimed.shape:
            continue
        same_samples = abs(claim.measured - truth.measured) <= 1e-9 * truth.scale
        apart = (truth.typical[0] > claim.accepts[1]) | (truth.typical[1] < claim.accepts[0])
        outside = np.maximum(claim.measured - claim.accepts[1], claim.accepts[0] - claim.measured)
        if np.where(same_samples, apart, outside > 4.5 * claim.margin).any():
            return True
    return False
