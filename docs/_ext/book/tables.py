"""The pages that list everything: where each equation of the five texts is held, and every identity with its verdict.

``{traceability}``, ``{catalogue} CHAPTER``, ``{exercises}`` and ``{errata-of} CHAPTER`` are made anew by each build,
from the catalogue, the exercises, and what the texts are recorded to say.
"""

import inspect
import re

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from book.directives import link, number, reference_to_api
from book.verdicts import VERDICTS
from refdiff import learn, verify
from refdiff.learn.exercises import exercises
from refdiff.learn.sheets import signature
from refdiff.verify.texts import CLAIMS, EQUATIONS, SOURCES, references


def table(head, rows, classes=()):
    """Return a table of cells, each a list of nodes."""
    found = nodes.table(classes=["wide", *classes])
    group = nodes.tgroup(cols=len(head))
    found += group
    group += [nodes.colspec(colwidth=1) for _ in head]
    group += nodes.thead("", row_of([[nodes.Text(name)] for name in head]))
    group += nodes.tbody("", *(row_of(row) for row in rows))
    return nodes.container("", found, classes=["table-wrapper"])


def row_of(cells):
    """Return a row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def separated(parts):
    """Return nodes with commas between them."""
    found = []
    for k, part in enumerate(parts):
        found += [nodes.Text(", "), part] if k else [part]
    return found or [nodes.Text("–")]


def with_mathematics(text):
    """Return a line of text with LaTeX in dollars as nodes."""
    found = []
    for k, part in enumerate(re.split(r"(?<!\\)\$", text)):
        found += [] if not part else [nodes.math(part, part)] if k % 2 else [nodes.Text(part)]
    return found


def overlap(one, other):
    """Return whether two citations share a line of a text."""
    return any(
        a == b and first <= until and begin <= last
        for a, first, last in references(one)
        for b, begin, until in references(other)
    )


class Traceability(SphinxDirective):
    """A table for each part: equation, the lines of the texts, functions, identities, errata at those lines."""

    def run(self):
        """Return the tables."""
        found = []
        for part in dict.fromkeys(one.part for one in EQUATIONS.values()):
            rows = [self._row(key, one) for key, one in EQUATIONS.items() if one.part == part]
            section = nodes.section("", nodes.title(part, part), ids=[nodes.make_id(f"part-{part}")])
            section += table(("equation", "stands in", "function", "held by", "errata there"), rows, ["traceability"])
            found.append(section)
        return found

    def _row(self, key, one):
        functions = dict.fromkeys(
            name for held in one.held_by for name in verify.CATALOGUE[held].judges if learn.has_source(name)
        )
        errata = [claim.errata for claim in CLAIMS.values() if one.stands and overlap(claim.stands, one.stands)]
        wanted = f"wanted at {one.near}" if one.near else ""
        stands = "; ".join(part for part in (one.stands or "not there, but needed", wanted) if part)
        held = [link("identity", name) for name in one.held_by]
        held += [nodes.literal(test, test) for test in one.tested_by]
        return (
            [nodes.strong(key, key), nodes.Text(" "), *with_mathematics(one.states)],
            [nodes.Text(stands)],
            separated([reference_to_api(self.env, name, short=True) for name in functions]),
            separated(held),
            separated([link("erratum", name) for name in dict.fromkeys(name for some in errata for name in some)]),
        )


class Texts(SphinxDirective):
    """The five texts, and what they are."""

    def run(self):
        """Return a table."""
        rows = []
        for key, one in SOURCES.items():
            told = [nodes.Text(str(one))]
            if one.url:
                told += [nodes.Text(", "), nodes.reference(one.url, one.url, refuri=one.url)]
            rows.append(([nodes.Text(key)], told, [nodes.Text(f"{one.lines} lines")]))
        return [table(("cited as", "what it is", "length"), rows)]


class Catalogue(SphinxDirective):
    """All identities of a chapter, each with what the judge says."""

    required_arguments = 1

    def run(self):
        """Return the table."""
        rows = []
        for key, one in verify.CATALOGUE.items():
            if one.chapter != self.arguments[0]:
                continue
            verdict = VERDICTS[key]
            detects = "–" if verdict["detects"] is None else f"{100 * verdict['detects']:.2g} %"
            rejects = sum(key in erratum.rejected_by for erratum in verify.ERRATA.values())
            rows.append(
                (
                    [link("identity", key)],
                    [nodes.inline(text=verdict["status"], classes=["verdict", verdict["status"]])],
                    [nodes.Text(number(verdict["claimed"]))],
                    [nodes.Text(number(verdict["measured"]))],
                    [nodes.Text(detects)],
                    [nodes.Text(str(rejects))],
                    [nodes.Text(one.source)],
                )
            )
        return [table(("identity", "verdict", "claimed", "measured", "would catch", "rejects", "source"), rows)]


class Exercises(SphinxDirective):
    """All exercises of ``refdiff learn``, or with ``:path:`` the ten of an afternoon."""

    option_spec = {"path": directives.flag}

    def run(self):
        """Return a table: number, name, the function to write, and what must be refused."""
        rows = []
        for one in exercises(path="path" in self.options):
            own = [link("identity", key) if key in verify.CATALOGUE else nodes.literal(key, key) for key in one.keys]
            call = f"{one.function}({signature(one)})"
            wrong = [link("erratum", one.wrong)] if isinstance(one.wrong, str) else [nodes.Text(summary(one.wrong))]
            rows.append(([nodes.Text(str(one.number))], separated(own), [nodes.literal(call, call)], wrong))
        return [table(("", "exercise", "you write", "must be refused, for example"), rows, ["exercises"])]


def summary(function):
    """Return the first sentence of a docstring."""
    return inspect.getdoc(function).partition("\n")[0]


def note_errata(app, doctree):
    """Remember where each erratum stands."""
    here = app.env.docname
    for section in doctree.findall(nodes.section):
        name = section[0].astext()
        if here.startswith("errata/") and name in verify.ERRATA:
            app.env.book_errata[name] = (here, section["ids"][0])


def list_errata(app, docname, source):
    """Let the first page of the errata lead to the others; on its own it is plain Markdown."""
    if docname == "errata/index":
        chapters = dict.fromkeys(one.replaces.split(".")[0] for one in verify.ERRATA.values())
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", "", *chapters, "```", ""])


PLAIN = ("errata/", "gallery", "samplers", "judge", "benchmarks")  # pages that read well without being built, too


def link_names(app, doctree):
    """Let what plain Markdown names as code lead there: an identity, an erratum, a public function."""
    if not app.env.docname.startswith(PLAIN):
        return
    for literal in list(doctree.findall(nodes.literal)):
        name = literal.astext()
        if isinstance(literal.parent, nodes.reference | nodes.title):
            continue
        if name in verify.CATALOGUE:
            literal.replace_self(link("identity", name))
        elif name in verify.ERRATA:
            literal.replace_self(link("erratum", name))
        elif name in PUBLIC:
            literal.replace_self(reference_to_api(app.env, name, short=True))


PUBLIC = {
    name for one in verify.CATALOGUE.values() for name in one.judges if learn.has_source(name) and "__" not in name
}


def prepare(app, env, docnames):
    """Make the place to remember errata in."""
    if not hasattr(env, "book_errata"):
        env.book_errata = {}


def merge(app, env, docnames, other):
    """Take over what another process of a parallel build has found."""
    env.book_errata.update(other.book_errata)


def purge(app, env, docname):
    """Forget what a page said that is read anew."""
    if hasattr(env, "book_errata"):
        env.book_errata = {key: at for key, at in env.book_errata.items() if at[0] != docname}


def setup(app):
    """Register the directives."""
    app.add_directive("traceability", Traceability)
    app.add_directive("texts", Texts)
    app.add_directive("catalogue", Catalogue)
    app.add_directive("exercises", Exercises)
    app.connect("env-before-read-docs", prepare)
    app.connect("env-merge-info", merge)
    app.connect("env-purge-doc", purge)
    app.connect("source-read", list_errata)
    app.connect("doctree-read", note_errata)
    app.connect("doctree-read", link_names)
