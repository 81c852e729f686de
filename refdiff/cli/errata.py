r"""List wrong equations found in print, and refute each one before your eyes."""

import json
import math
import sys

from refdiff import cli
from refdiff.cli.console import write_text

HELP = "wrong formulas found in print, each one refuted"


def add_arguments(command):
    command.add_argument("keys", nargs="*", metavar="KEY", help="errata, or chapters; all by default")
    command.add_argument("--json", metavar="FILE", help="also write them there")


def refute(erratum):
    """Return (identity key, what, claimed, right, error) of the first designed case that refutes an erratum.

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
            failed = [one for one in found if not one.holds]
            if failed:
                worst = max(failed, key=lambda one: one.error)
                return key, worst.what, *worst.worst(), worst.error
    return None


def run(args):
    from refdiff import verify

    chapters = {one.replaces.split(".")[0] for one in verify.ERRATA.values()}
    unknown = [key for key in args.keys if key not in verify.ERRATA and key not in chapters]
    if unknown:
        raise ValueError(f"no erratum or chapter is called {unknown[0]!r}; `refdiff errata` lists them all.")
    rows, survivors = [], []
    for key, erratum in verify.ERRATA.items():
        if args.keys and key not in args.keys and erratum.replaces.split(".")[0] not in args.keys:
            continue
        refuted = refute(erratum)
        row = {
            "key": key,
            "source": erratum.source,
            "says": erratum.says,
            "correct": erratum.correct,
            "replaces": erratum.replaces,
        }
        print(f"{key}\n  found in   {erratum.source}\n  says       {erratum.says}\n  right is   {erratum.correct}")
        if erratum.coincides:
            print(f"  coincides  {erratum.coincides}")
        if refuted is None:
            survivors.append(key)
            print("  NOT REFUTED\n")
        else:
            by, what, claimed, right, error = refuted
            numbers = f"{what}: {claimed:.6g}, but the truth is {right:.6g}" if math.isfinite(right) else what
            print(f"  refuted    by {by}; {numbers}\n")
            row |= {"by": by, "what": what, "claimed": claimed, "truth": right, "error": error}
        rows.append({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()})
    print(f"{len(rows) - len(survivors)} of {len(rows)} errata refuted.")
    if args.json:
        write_text(args.json, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if survivors:
        print(f"refdiff: not refuted: {', '.join(survivors)}", file=sys.stderr)
    return cli.REFUTED if survivors else cli.HOLDS
