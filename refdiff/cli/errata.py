r"""List wrong formulas found in texts, public code and issues, and refute each one before your eyes."""

import json
import math
import sys
from functools import cache
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import no_such, write_text

HELP = "wrong formulas found in texts, code and issues, each one refuted"


def add_arguments(command):
    command.add_argument(
        "keys", nargs="*", metavar="KEY", help="errata or chapters, in full; all, a line each, by default"
    )
    command.add_argument("--full", action="store_true", help="what each says, what is right, and where it stands")
    command.add_argument("--json", metavar="FILE", help="also write them there")
    command.add_argument("--markdown", metavar="DIR", help="also write pages about them there, one a chapter")


# ------------------------------------------------------------------------------------------------- what refutes them


def refutation(erratum):
    """Return an erratum with what refutes it, as JSON can hold it.

    ``claimed`` is its own value, ``right`` that of refdiff's function, asked for the same number in the same ``case``,
    and ``truth`` that of evidence which uses neither. A program that only fails has its message in ``what``.
    """
    found = refute(erratum) or {}
    case = found.get("case")

    def number(name):
        x = found.get(name, math.nan)
        return x if math.isfinite(x) else None

    return {
        "key": erratum.key,
        "source": erratum.source,
        "says": erratum.says,
        "correct": erratum.correct,
        "replaces": erratum.replaces,
        "rejected_by": list(erratum.rejected_by),
        "coincides": erratum.coincides,
        "fails": erratum.fails,
        "refuted": bool(found),
        "by": found.get("by"),
        "what": found.get("what"),
        "claimed": number("claimed"),
        "right": number("right"),
        "truth": number("truth"),
        "error": number("error"),
        "numbers": found.get("numbers", True),
        "case": case and {"beta": case.beta, "t": case.t, "s": case.s, "x_0": case.x_0},
    }


SAMPLES = 40_000  # where only chance has a truth that a wrong version and a right one share


def refute(erratum):
    """Return what refutes an erratum, as a dict, or None.

    That is the comparison of the exact route, in the smallest case that tells, which is most telling (:func:`tell`).
    Functions that draw are judged there by the structure of what they draw; a number comes from the other route.
    """
    import refdiff
    from refdiff import verify
    from refdiff.verify.cases import DESIGNED

    wrong = verify.Provided(refdiff, {erratum.replaces: erratum.wrong})
    # a program that only fails does so where shapes are hard; all else is easiest to check by hand where they are not
    cases = DESIGNED if erratum.fails else sorted(DESIGNED, key=lambda case: case.T)
    trials, fallback = [(key, case) for key in erratum.rejected_by for case in cases], None
    for key, case in trials:
        try:
            found = verify.examine(verify.CATALOGUE[key], wrong, case, routes=("exact",))
        except Exception as error:
            if not erratum.fails:
                raise
            return {"by": key, "what": f"{type(error).__name__}: {error}", "case": case}
        told = tell(found, exact_evidence(key, case))
        if told is not None and told["numbers"]:
            return {"by": key, "case": case, **told}
        fallback = fallback or (told and {"by": key, "case": case, **told})
    for key, case in trials if erratum.by_chance else ():
        told = tell_by_chance(chance_evidence(key, wrong, case), chance_evidence(key, verify.Provided(refdiff), case))
        if told is not None:
            return {"by": key, "case": case, **told}
    return fallback


def tell(found, of_refdiff):
    """Return the most telling comparison that refutes, with what refdiff says in its place; None where nothing does.

    Numbers whose truth is the same for both come first, and among them the one whose relative error is nearest to 1.
    """
    best = None
    for k, one in enumerate(found):
        if one.holds:
            continue
        place = furthest(one)
        which = sum(other.what == one.what for other in found[:k])  # of the comparisons of that name
        same = [other for other in of_refdiff if other.what == one.what][which : which + 1]
        claimed, truth = float(one.claimed.flat[place]), float(one.truth.flat[place])
        right = float(same[0].claimed.flat[place]) if same and same[0].claimed.shape == one.claimed.shape else math.nan
        so_or_not = one.truth.shape == () and truth == 1 and claimed == 0
        shared = abs(right - truth) <= 1e-6 * max(abs(one.truth.flat[i]) for i in range(one.truth.size)) + 1e-12
        rank = (so_or_not or not shared, abs(math.log(max(one.error, 1e-300))) if one.error < math.inf else 1e3)
        if best is None or rank < best[0]:
            best = rank, {"what": one.what, "claimed": claimed, "right": right, "truth": truth, "error": one.error}
    return best and {**best[1], "numbers": not best[0][0]}


def furthest(comparison):
    """Return the place, counted through the array, where claim and truth differ most."""
    pairs = zip(comparison.claimed.flat, comparison.truth.flat, strict=True)
    apart = [abs(claimed - truth) for claimed, truth in pairs]
    return max(range(len(apart)), key=lambda k: math.inf if math.isnan(apart[k]) else apart[k])


@cache
def exact_evidence(key, case):
    """Return what the exact route of an identity finds of refdiff itself."""
    import refdiff
    from refdiff import verify

    return verify.examine(verify.CATALOGUE[key], verify.Provided(refdiff), case, routes=("exact",))


def chance_evidence(key, provided, case):
    """Return the statistics of an identity by name; none where the samples do not suffice."""
    from refdiff import verify
    from refdiff.verify.evidence import Inconclusive

    try:
        found = verify.examine(verify.CATALOGUE[key], provided, case, n=SAMPLES, routes=("monte_carlo",))
    except Inconclusive:
        return {}
    return {one.what: one for one in found}


def tell_by_chance(of_wrong, of_refdiff):
    """Return the most telling statistic that refutes, as :func:`tell` does.

    What is claimed of samples is the truth if both draw their own; if both are given the same, the samples are.
    """
    best = None
    for what, wrong in of_wrong.items():
        right = of_refdiff.get(what)
        if wrong.holds or right is None or right.claimed.shape != wrong.claimed.shape:
            continue
        drawn = abs(wrong.measured - right.measured).max() > 1e-9 * abs(right.measured).max()
        says, said, truth = (
            (wrong.measured, right.measured, right.claimed) if drawn else (wrong.claimed, right.claimed, right.measured)
        )
        place = int(abs(says - said).argmax())
        error = float(abs(says - truth).flat[place] / right.scale.flat[place])
        rank = abs(math.log(max(error, 1e-300)))
        if best is None or rank < best[0]:
            numbers = (float(one.flat[place]) for one in (says, said, truth))
            told = dict(zip(("claimed", "right", "truth"), numbers, strict=True))
            best = rank, {"what": f"{what}, from {SAMPLES:,} samples", **told, "error": error, "numbers": True}
    return best and best[1]


# ---------------------------------------------------------------------------------------------------- in the terminal


def value(row, name):
    """Return one of the three numbers of a row as text; of a claim that is only so or not, whether it is."""
    if row[name] is None:
        return "not finite"
    return f"{row[name]:.6g}" if row["numbers"] else ("no", "yes")[bool(row[name])]


def named(case):
    """Return a case by what matters of it."""
    (x_0, *more), beta = case["x_0"], ", ".join(f"{b:g}" for b in case["beta"])
    point = f"({', '.join(f'{x:g}' for x in case['x_0'])})" if more else f"{x_0:g}"
    return f"beta = ({beta}), t = {case['t']}, s = {case['s']}, x_0 = {point}"


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
    if not row["refuted"]:
        return "\n".join([*lines, "  NOT REFUTED", ""])
    verdict = f"  refuted    by {row['by']}; {row['what']}"
    if row["truth"] is None:
        return "\n".join([*lines, verdict, ""])
    lines.append(f"{verdict}: {value(row, 'claimed')}, in truth {value(row, 'truth')}")
    off = f"; off by {percent(row['error'])}" if row["numbers"] and row["error"] is not None else ""
    lines.append(f"  refdiff    {value(row, 'right')}, in the case {named(row['case'])}{off}")
    return "\n".join([*lines, ""])


def percent(error):
    """Return a relative error as text."""
    return f"{100 * error:.3g} %"


def run(args):
    from refdiff import verify

    chapters = {one.replaces.split(".")[0] for one in verify.ERRATA.values()}
    for key in args.keys:
        if key not in verify.ERRATA and key not in chapters:
            raise no_such(key, verify.CATALOGUE, verify.ERRATA, "erratum")
    rows, in_full = [], args.full or bool(args.keys)
    if not in_full:
        print(f"{'erratum':<46} {'its value':>12} {'refdiff':>12} {'truth':>12}  {'refuted by':<28}")
    for key, erratum in verify.ERRATA.items():
        if args.keys and key not in args.keys and erratum.replaces.split(".")[0] not in args.keys:
            continue
        row = refutation(erratum)
        rows.append(row)
        if in_full:
            print(full(row))
        else:
            numbers = (
                ["–"] * 3 if row["truth"] is None else [value(row, name) for name in ("claimed", "right", "truth")]
            )
            by = row["by"] if row["refuted"] else "NOT REFUTED"
            print(f"{key:<46} {' '.join(f'{number:>12}' for number in numbers)}  {by}")
    if in_full:
        for name, text in verify.SOURCES.items():
            if any(name in row["source"] for row in rows):
                print(f"{name}: {text}")
    survivors = [row["key"] for row in rows if not row["refuted"]]
    print(f"\n{tally(rows)}")
    if not in_full:
        print("What each says, and what is right: `refdiff errata KEY`, or --full for all.")
    if args.json:
        write_text(args.json, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if args.markdown:
        from refdiff.cli.errata_pages import pages

        for name, text in pages(rows).items():
            write_text(Path(args.markdown) / f"{name}.md", text)
    if survivors:
        print(f"refdiff: not refuted: {', '.join(survivors)}", file=sys.stderr)
    return cli.REFUTED if survivors else cli.HOLDS


def tally(rows):
    """Return how many errata are refuted, and where they come from, as a sentence."""
    slips = sum(row["source"].startswith("a common slip") for row in rows)
    return (
        f"{sum(row['refuted'] for row in rows)} of {len(rows)} errata refuted: {len(rows) - slips} found in texts,"
        f" public code and issues, {slips} common slips."
    )
