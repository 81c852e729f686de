r"""List wrong equations, most of them found in print, and refute each one before your eyes."""

import json
import math
import sys

from refdiff import cli
from refdiff.cli.console import write_text

HELP = "wrong formulas, most of them found in print, each one refuted"


def add_arguments(command):
    command.add_argument("keys", nargs="*", metavar="KEY", help="errata, or chapters; all by default")
    command.add_argument("--json", metavar="FILE", help="also write them there")


def refute(erratum):
    """Return (identity key, what, claimed, right, error) of the first comparison that refutes an erratum.

    `right` is the independent truth. A wrong program that only fails has NaN and its message in their place.
    """
    import refdiff
    from refdiff import verify
    from refdiff.verify.cases import DESIGNED

    wrong = verify.Provided(refdiff, {erratum.replaces: erratum.wrong})
    for key in erratum.rejected_by:
        for case in DESIGNED:
            try:
                found = verify.examine(verify.CATALOGUE[key], wrong, case, routes=("exact",))
            except Exception as error:  # a wrong program may just fail
                return key, f"{type(error).__name__}: {error}", math.nan, math.nan, math.inf
            for one in found:
                if not one.holds:
                    return key, one.what, *one.worst(), one.error
    return None


def refutation(erratum):
    """Return an erratum with what refutes it, as JSON can hold it."""
    found = refute(erratum)
    by, what, claimed, truth, error = found if found is not None else (None, None, math.nan, math.nan, math.nan)

    def number(x):
        return x if math.isfinite(x) else None

    return {
        "key": erratum.key,
        "source": erratum.source,
        "says": erratum.says,
        "correct": erratum.correct,
        "replaces": erratum.replaces,
        "coincides": erratum.coincides,
        "refuted": found is not None,
        "by": by,
        "what": what,
        "claimed": number(claimed),
        "truth": number(truth),
        "error": number(error),
    }


def run(args):
    from refdiff import verify

    chapters = {one.replaces.split(".")[0] for one in verify.ERRATA.values()}
    unknown = [key for key in args.keys if key not in verify.ERRATA and key not in chapters]
    if unknown:
        raise ValueError(f"no erratum or chapter is called {unknown[0]!r}; `refdiff errata` lists them all.")
    rows = []
    for key, erratum in verify.ERRATA.items():
        if args.keys and key not in args.keys and erratum.replaces.split(".")[0] not in args.keys:
            continue
        row = refutation(erratum)
        rows.append(row)
        print(f"{key}\n  found in   {row['source']}\n  says       {row['says']}\n  right is   {row['correct']}")
        if row["coincides"]:
            print(f"  coincides  {row['coincides']}")
        if not row["refuted"]:
            print("  NOT REFUTED\n")
        elif row["truth"] is None:
            print(f"  refuted    by {row['by']}; {row['what']}\n")
        else:
            claimed = "not finite" if row["claimed"] is None else f"{row['claimed']:.6g}"
            print(f"  refuted    by {row['by']}; {row['what']}: {claimed}, in truth {row['truth']:.6g}\n")
    for name, text in verify.SOURCES.items():
        if any(name in row["source"] for row in rows):
            print(f"{name}: {text}")
    survivors = [row["key"] for row in rows if not row["refuted"]]
    print(f"{len(rows) - len(survivors)} of {len(rows)} errata refuted.")
    if args.json:
        write_text(args.json, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if survivors:
        print(f"refdiff: not refuted: {', '.join(survivors)}", file=sys.stderr)
    return cli.REFUTED if survivors else cli.HOLDS
