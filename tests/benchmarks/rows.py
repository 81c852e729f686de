"""What is measured: a row of a table each, with its target and, by hand, why it is missed where it is."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

ROWS = {}

# Why several ratios are missed that the products decide.
SMALL_GROUPS = "the products alone, in small groups"
EQUAL_PRODUCTS = (
    "On this processor, an AMD Zen 4, torch's products (MKL) are as fast as OpenBLAS's: 100 Gflop/s each at 1024 × 128"
    " × 128, float32. What was asked for comes from a Zen 5, where OpenBLAS's were twice as fast, 204 beside 97."
)


class Missing(Exception):
    """What is to be measured does not exist here."""


@dataclass(frozen=True)
class Row:
    """One line of the page.

    Either `contestants` returns a dict of callables run(n), each doing n pieces of the work: "ours", "peer", "limit",
    and others by a name that says what they are; `per` pieces of the unit of the work make one piece. Or `values`
    returns what was measured, a dict of lists. Rows with neither are measured by a command of their own.

    `target` and `why` go by measure: "ratio" is peer / ours, "share" limit / ours.
    """

    name: str
    work: str
    peer: str = ""
    limit: str = ""
    target: dict = field(default_factory=dict)
    why: dict = field(default_factory=dict)
    contestants: Callable | None = None
    values: Callable | None = None
    per: int = 1


def add(name, work, **fields):
    ROWS[name] = Row(name, work, **fields)


def chosen(names):
    """Return the rows to be measured whose names begin with one of `names`; all without any."""
    rows = [row for row in ROWS.values() if row.contestants or row.values]
    unknown = [name for name in names if not any(row.name.startswith(name) for row in rows)]
    if unknown:
        raise SystemExit(f"no benchmark begins with {', '.join(unknown)}; there are {', '.join(r.name for r in rows)}.")
    return [row for row in rows if not names or row.name.startswith(tuple(names))]


def public(name, *parameters):
    """Return a function of refdiff by its dotted name, if it takes these parameters."""
    module, _, function = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(f"refdiff.{module}"), function)
    except (ImportError, AttributeError):
        raise Missing(f"there is no {name}") from None
    lacks = [one for one in parameters if one not in inspect.signature(found).parameters]
    if lacks:
        raise Missing(f"{name} takes no {', '.join(lacks)}")
    return found


def if_there(contestant):
    """Return the contestant that a function without arguments makes, or the Missing that it raises."""
    try:
        return contestant()
    except Missing as missing:
        return missing
