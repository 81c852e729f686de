r"""List wrong formulas found in texts, public code and issues, and refute each one before your eyes."""

import json
import math
import re
import sys
from functools import cache

from refdiff import cli
from refdiff.cli.console import no_such, write_text

HELP = "wrong formulas found in texts, code and issues, each one refuted"


def add_arguments(command):
    command.add_argument(
        "keys", nargs="*", metavar="KEY", help="errata or chapters, in full; all, a line each, by default"
    )
    command.add_argument("--full", action="store_true", help="what each says, what is right, and where it stands")
    command.add_argument("--json", metavar="FILE", help="also write them there")
    command.add_argument("--markdown", metavar="FILE", help="also write a page about them there")


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
        write_text(args.markdown, page(rows))
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


# ------------------------------------------------------------------------------------------------------ as Markdown

HEAD = """\
# Errata

Wrong formulas about denoising diffusion, found in published texts, public code and issues, and slips that are easily
made. Each is a function that could take the place of one of refdiff's, and each is refuted by an identity of the
catalogue. Three numbers say so: that of the wrong version, that of refdiff's own function asked for the same, and the
truth, by a route that uses neither. `refdiff errata KEY` computes them again.

{tally}

The numbers are those of one of two cases, the smaller one where it tells the two apart:

{cases}

Points are $x_t$, steps are $t = 1, \\ldots, T$, losses enter with a plus, variances are never called $\\sigma$. What an
erratum is off by is relative to the largest entry of what was compared.
"""


def page(rows):
    """Return a page about errata, a section a chapter: what each says, what is right, and both beside the truth."""
    from refdiff.verify.cases import DESIGNED

    cases = {
        f"the case of {number} steps": {"beta": case.beta, "t": case.t, "s": case.s, "x_0": case.x_0}
        for number, case in zip(("two", "five"), sorted(DESIGNED, key=lambda case: case.T), strict=True)
    }
    names = {named(case): name for name, case in cases.items()}
    parts = [
        HEAD.format(tally=tally(rows), cases="\n".join(f"- *{name}*: `{named(case)}`" for name, case in cases.items()))
    ]
    chapters = {}
    for row in rows:
        chapters.setdefault(row["replaces"].split(".")[0], []).append(row)
    parts.append("| chapter | errata |\n| --- | ---: |")
    parts[-1] += "".join(f"\n| [{chapter}](#{chapter}) | {len(found)} |" for chapter, found in chapters.items()) + "\n"
    for chapter, found in chapters.items():
        parts.append(f"## {chapter}\n")
        parts += [entry(row, names) for row in found]
    parts += [several(rows), sources(rows)]
    return "\n".join(parts)


def entry(row, names):
    """Return one erratum: where it stands, what it says and what is right, and the three numbers."""
    lines = [
        f"### {row['key']}\n",
        f"- found in: {cited(row['source'])}",
        f"- says: {mathematics(row['says'])}",
        f"- right is: {mathematics(row['correct'])}",
    ]
    where = f"`{row['what']}`, {names.get(named(row['case']), named(row['case']))}" if row["case"] else ""
    if not row["refuted"]:
        lines.append("- **not refuted**")
    elif row["truth"] is None:
        lines.append(f"- does not run: `{row['what']}`")
    else:
        off = f", off by {percent(row['error'])}" if row["numbers"] and row["error"] is not None else ""
        lines.append(
            f"- its value **{value(row, 'claimed')}**, refdiff's {value(row, 'right')}, the truth"
            f" {value(row, 'truth')}{off} ({where})"
        )
    if row["coincides"]:
        lines.append(f"- coincides: {escaped(row['coincides'])}")
    rejected = ", ".join(f"`{key}`" for key in row["rejected_by"])
    lines.append(f"- in the place of `{row['replaces']}`; rejected by {rejected}\n")
    return "\n".join(lines)


def several(rows):
    """Return the table of findings that are errata under more than one function."""
    from refdiff.verify.texts import CLAIMS

    known = {row["key"] for row in rows}
    lines = [
        "## One finding under several functions\n",
        "A wrong statement of the texts may be wrong in several ways, or spoil what is built on it. These appear more"
        " than once above.\n",
        "| the statement | also as |",
        "| --- | --- |",
    ]
    for slug, claim in CLAIMS.items():
        others = [key for key in claim.errata[1:] if key in known]
        if slug in known and others:
            lines.append(f"| {anchor(slug)} | {', '.join(map(anchor, others))} |")
    return "\n".join([*lines, ""])


def sources(rows):
    """Return the list of the texts, each with its wrong statements in the order of its lines."""
    from refdiff.verify.texts import CLAIMS, SOURCES, references

    known = {row["key"] for row in rows}
    lines = [
        "## Sources\n",
        "Five published texts are cited by name and line. Grade A is false as it stands, B misleads or lacks a"
        " condition, C is a slip of the pen that changes a number.\n",
    ]
    for name, source in SOURCES.items():
        url = f" <{source.url}>." if source.url else ""
        lines += [f"### {name}\n", f"{escaped(str(source))}; {source.lines} lines.{url}\n"]
        found = []
        for slug, claim in CLAIMS.items():
            places = [(first, last) for where, first, last in references(claim.stands) if where == name]
            if places:
                found.append((places, slug, claim.grade))
        lines += ["| lines | wrong statement | grade |", "| --- | --- | --- |"]
        for places, slug, grade in sorted(found):
            numbers = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in places)
            lines.append(f"| {numbers} | {anchor(slug) if slug in known else f'`{slug}`'} | {grade} |")
        lines.append("")
    lines.append(
        "Public code and issues are cited by repository and number, papers by author and year. *A common slip* is one"
        " that is easily made and for which no source was found.\n"
    )
    return "\n".join(lines)


def anchor(key):
    """Return a link to an erratum of the page."""
    return f"[{key}](#{key.lower()})"


def cited(source):
    """Return where an erratum stands, with the titles of the texts, and a link for each issue or pull request."""
    from refdiff.verify.texts import SOURCES

    with_links = re.sub(r"([\w.-]+/[\w.-]+)#(\d+)", r"[\1#\2](https://github.com/\1/issues/\2)", source)
    titles = [f"{name}: “{text.title}”" for name, text in SOURCES.items() if re.search(rf"\b{name}, line", source)]
    return escaped(with_links, keep="[]()") + (f" ({escaped('; '.join(titles))})" if titles else "")


def escaped(text, keep=""):
    """Return plain text whose characters mean themselves in Markdown: indices and stars above all."""
    return re.sub(r"[\\`*_{}<>|$]", lambda sign: sign[0] if sign[0] in keep else "\\" + sign[0], text)


SPACING = {  # what Markdown would take for an escaped sign of punctuation, by names that it leaves alone
    r"\,": r"\thinspace ",
    r"\;": r"\thickspace ",
    r"\:": r"\medspace ",
    r"\!": r"\negthinspace ",
    r"\{": r"\lbrace ",
    r"\}": r"\rbrace ",
    r"\|": r"\Vert ",
    r"\\": r"\cr ",
    r"\ ": "~",
    r"\#": r"\text{no.}",
    "*": r"\ast ",
    "<": r"\lt ",
    ">": r"\gt ",
}
WORDS = r"\\operatorname\*|\\(?:text|texttt|mathtt)\{(?:[^{}\\]|\\.)*\}"  # left as they are


def mathematics(latex):
    r"""Return LaTeX as Markdown with ``$...$`` that survives it: no escaped punctuation, program text as code."""
    parts = []
    for k, part in enumerate(re.split(r"(\\texttt\{(?:[^{}\\]|\\.)*\\[_{}](?:[^{}\\]|\\.)*\})", latex)):
        if k % 2:
            parts.append("`" + re.sub(r"\\(.)", r"\1", part[len(r"\texttt{") : -1]) + "`")
        elif re.fullmatch(r"(?:[,;:.\s]|\\text\{[^{}$]*\})*", part):
            parts.append(escaped(re.sub(r"\\text\{([^{}]*)\}", r"\1", part)).strip())
        else:
            sign, formula = re.fullmatch(r"([,;:.\s]*)(.*)", part, re.DOTALL).groups()
            parts += [sign.strip(), f"${plain(formula).strip()}$"]
    return re.sub(r" (?=[,;:.])", "", " ".join(re.sub(" +", " ", part) for part in parts if part))


def plain(latex):
    """Return LaTeX without the signs that Markdown takes for its own."""
    spaced = re.compile("|".join(map(re.escape, SPACING)))
    pieces = re.split(f"({WORDS})", latex)
    return "".join(
        piece if k % 2 else spaced.sub(lambda sign: SPACING[sign[0]], piece) for k, piece in enumerate(pieces)
    )
