r"""Compare a formula of yours with refdiff's: equal, equivalent under a named reparametrisation, or different."""

import json
import math

from refdiff import cli
from refdiff.cli.console import load_attribute, write_text

HELP = "compare a formula of yours with refdiff's"


def add_arguments(command):
    command.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="of the formula, such as bayes.posterior or schedule.alpha_bar; without it all are listed",
    )
    command.add_argument(
        "theirs",
        nargs="?",
        metavar="MODULE:ATTRIBUTE",
        help="your function: mymodule:posterior, or path/to/file.py:posterior",
    )
    command.add_argument("--like", metavar="NAME", help="NAME is MODULE:ATTRIBUTE too, with the arguments of this one")
    command.add_argument("--seed", type=int, default=0, help="of the cases that are drawn (default: 0)")
    command.add_argument(
        "--precision", type=float, default=1e-9, help="the rounding to forgive (default: 1e-9; 1e-5 for float32)"
    )
    command.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="seconds for a call (default: 60)")
    command.add_argument("--json", metavar="FILE", help="also write what was found there")


def run(args):
    from refdiff import verify
    from refdiff.checks import count
    from refdiff.verify.likeness import listed

    if args.name is None:
        print(listed())
        return cli.HOLDS
    if args.theirs is None:
        raise ValueError(f"compare {args.name} with what? `refdiff compare {args.name} mymodule:posterior`.")
    count(args.seed, "--seed", 0)
    theirs = load_attribute(args.theirs)
    if not callable(theirs):
        raise ValueError(f"{args.theirs} is no function but {type(theirs).__name__}.")
    ours = args.name if args.like is None else load_attribute(args.name)
    if not args.time_limit > 0:
        raise ValueError(f"--time-limit must be positive; got {args.time_limit:g}.")
    options = {"like": args.like, "seed": args.seed, "precision": args.precision, "time_limit": args.time_limit}
    found = verify.compare(ours, theirs, **options)
    print(found)
    if args.json:
        write_text(args.json, json.dumps(as_json(found, args.theirs), indent=2, ensure_ascii=False) + "\n")
    return cli.HOLDS if found.same else cli.REFUTED


def as_json(found, theirs):
    """Return a Likeness as what JSON can hold."""

    def reading(under):
        return None if under is None else {"name": under.name, "formula": under.formula}

    return {
        "name": found.name,
        "theirs": theirs,
        "status": found.status,
        "under": reading(found.under),
        "read_as": reading(found.read_as),
        "first_t": found.first_t,
        "size": found.size if math.isfinite(found.size) else None,
        "nats": found.nats,
        "part": found.part,
        "case": found.case,
        "counter_example": found.counter_example,
        "message": found.message,
        "notes": list(found.notes),
        "values": found.calls,
    }
