r"""Errata as Markdown, a page a chapter: what each says, what is right, and both beside the truth."""

import re

from refdiff.cli.errata import named, percent, tally, value

__all__ = ["cited", "escaped", "mathematics", "pages"]

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


BACK = "What the three numbers are, the two cases, and the texts S0 to S4: [errata](index.md).\n"


def pages(rows):
    """Return the pages about errata by name: an index, and one a chapter."""
    from refdiff.verify.cases import DESIGNED

    cases = {
        f"the case of {number} steps": {"beta": case.beta, "t": case.t, "s": case.s, "x_0": case.x_0}
        for number, case in zip(("two", "five"), sorted(DESIGNED, key=lambda case: case.T), strict=True)
    }
    names = {named(case): name for name, case in cases.items()}
    chapters = {}
    for row in rows:
        chapters.setdefault(chapter_of(row), []).append(row)
    index = [
        HEAD.format(tally=tally(rows), cases="\n".join(f"- *{name}*: `{named(case)}`" for name, case in cases.items()))
    ]
    index.append("| chapter | errata |\n| --- | ---: |")
    index[-1] += "".join(f"\n| [{name}]({name}.md) | {len(found)} |" for name, found in chapters.items()) + "\n"
    index += [several(rows), sources(rows)]
    found = {
        name: "\n".join([f"# Errata of {name}\n", BACK, *(entry(row, names) for row in some)])
        for name, some in chapters.items()
    }
    return {"index": "\n".join(index), **found}


def chapter_of(row):
    """Return the chapter whose function an erratum would replace."""
    return row["replaces"].split(".")[0]


def entry(row, names):
    """Return one erratum: where it stands, what it says and what is right, and the three numbers."""
    lines = [
        f"## {row['key']}\n",
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

    known = {row["key"]: chapter_of(row) for row in rows}
    lines = [
        "## One finding under several functions\n",
        "A wrong statement of the texts may be wrong in several ways, or spoil what is built on it. These appear more"
        " than once.\n",
        "| the statement | also as |",
        "| --- | --- |",
    ]
    for slug, claim in CLAIMS.items():
        others = [key for key in claim.errata[1:] if key in known]
        if slug in known and others:
            lines.append(f"| {anchor(slug, known)} | {', '.join(anchor(key, known) for key in others)} |")
    return "\n".join([*lines, ""])


def sources(rows):
    """Return the list of the texts, each with its wrong statements in the order of its lines."""
    from refdiff.verify.texts import CLAIMS, SOURCES, references

    known = {row["key"]: chapter_of(row) for row in rows}
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
            lines.append(f"| {numbers} | {anchor(slug, known) if slug in known else f'`{slug}`'} | {grade} |")
        lines.append("")
    lines.append(
        "Public code and issues are cited by repository and number, papers by author and year. *A common slip* is one"
        " that is easily made and for which no source was found.\n"
    )
    return "\n".join(lines)


def anchor(key, known):
    """Return a link to an erratum, which stands on the page of its chapter."""
    return f"[{key}]({known[key]}.md#{key.lower()})"


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
