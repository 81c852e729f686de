r"""List wrong formulas found in texts, public code and issues, and refute each one before your eyes."""

import json
import math
import sys

from refdiff import cli
from refdiff.cli.console import no_such, write_text

HELP = "wrong formulas found in texts, code and issues, each one refuted"


def add_arguments(command):
    command.add_argument(
        "keys", nargs="*", metavar="KEY", help="errata or chapters, in full; all, a line each, by default"
    )
    command.add_argument("--full", action="store_true", help="what each says, what is right, and where it stands")
    command.add_argument("--json", metavar="FILE", help="also write them there")


def refute(erratum):
    """Return (identity key, what, claimed, right, error) of the most telling comparison that refutes an erratum.

    That is the one of the first case refuted whose relative error is nearest to 1.

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
            except Exception as error:
                if not erratum.fails:
                    raise
                return key, f"{type(error).__name__}: {error}", math.nan, math.nan, math.inf
            failed = [one for one in found if not one.holds]
            if failed:
                telling = min(
                    failed, key=lambda one: abs(math.log(max(one.error, 1e-300))) if one.error < math.inf else 1e3
                )
                return key, telling.what, *telling.worst(), telling.error
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


def full(row):
    """Return an erratum in full, as text."""
    lines = [
        row["key"],
        f"  found in   {row['source']}",
        f"  says       {row['says']}",
        f"  right is   {row['correct']}",
    ]
    if row["coincides"]:
        lines.append(f"  coincides  {row['coincides']}")
    verdict = f"refuted    by {row['by']}; {row['what']}" if row["refuted"] else "NOT REFUTED"
    if row["truth"] is not None:
        verdict += f": {value(row['claimed'])}, in truth {value(row['truth'])}"
    return "\n".join([*lines, f"  {verdict}", ""])


def value(x):
    """Return a number as text."""
    return "not finite" if x is None else f"{x:.6g}"


def run(args):
    from refdiff import verify

    chapters = {one.replaces.split(".")[0] for one in verify.ERRATA.values()}
    for key in args.keys:
        if key not in verify.ERRATA and key not in chapters:
            raise no_such(key, verify.CATALOGUE, verify.ERRATA, "erratum")
    rows, in_full = [], args.full or bool(args.keys)
    if not in_full:
        print(f"{'erratum':<44} {'its value':>12} {'truth':>12}  {'refuted by':<28}")
    for key, erratum in verify.ERRATA.items():
        if args.keys and key not in args.keys and erratum.replaces.split(".")[0] not in args.keys:
            continue
        row = refutation(erratum)
        rows.append(row)
        if in_full:
            print(full(row))
        else:
            claimed, truth = ("–", "–") if row["truth"] is None else (value(row["claimed"]), value(row["truth"]))
            print(f"{key:<44} {claimed:>12} {truth:>12}  {row['by'] if row['refuted'] else 'NOT REFUTED'}")
    if in_full:
        for name, text in verify.SOURCES.items():
            if any(name in row["source"] for row in rows):
                print(f"{name}: {text}")
    survivors = [row["key"] for row in rows if not row["refuted"]]
    slips = sum(row["source"].startswith("a common slip") for row in rows)
    print(
        f"\n{len(rows) - len(survivors)} of {len(rows)} errata refuted: {len(rows) - slips} found in texts, public code"
        f" and issues, {slips} common slips."
    )
    if not in_full:
        print("What each says, and what is right: `refdiff errata KEY`, or --full for all.")
    if args.json:
        write_text(args.json, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if survivors:
        print(f"refdiff: not refuted: {', '.join(survivors)}", file=sys.stderr)
    return cli.REFUTED if survivors else cli.HOLDS
