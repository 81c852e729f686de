"""A step of a derivation: the words left, the code that implements it right, and below both what the judge says.

``{step} KEY`` holds the derivation and ends with the equation of that identity under its label; ``{source} NAME``
prints code anywhere, ``{badge}`` the judge's word; the roles ``{identity}`` and ``{erratum}`` link by key.
"""

import importlib
import textwrap

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

import refdiff
from book.verdicts import VERDICTS
from refdiff import learn, verify

logger = logging.getLogger(__name__)

WITH_API = (*refdiff.CHAPTERS, "network", "toys", "points", "distance", "samplers", "plot", "verify", "learn", "files")


def in_the_api(dotted):
    """Return whether a name has an entry of its own in the API; the code of others can be printed all the same."""
    wing, name, *inner = dotted.split(".")
    public = getattr(importlib.import_module(f"refdiff.{wing}"), "__all__", ())
    return wing in WITH_API and name in public and not any(part.startswith("_") for part in inner)


def label_of(key):
    """Return the label of an identity's equation."""
    return f"eq-{key}"


def in_lines(latex):
    """Return an equation, unless it is short, with a line for each of the parts that wide blanks set apart."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(latex):
        for opening in ("{", r"\left", r"\begin"):
            depth += latex.startswith(opening, at) and not latex.startswith(r"\leftarrow", at)
        for closing in ("}", r"\right", r"\end"):
            depth -= latex.startswith(closing, at) and not latex.startswith(r"\rightarrow", at)
        if depth == 0 and latex.startswith(r"\qquad", at):
            parts.append(latex[start:at])
            start = at + len(r"\qquad")
        if depth == 0 and latex.startswith(r"\quad\Longrightarrow\quad", at):
            parts.append(latex[start:at])
            start = at
        at += 2 if latex.startswith((r"\{", r"\}"), at) else 1
    parts = [part.strip() for part in (*parts, latex[start:])]
    if len(parts) == 1 or len(latex) < 90:
        return latex
    return "\\begin{gathered}\n" + " \\\\[.3em]\n".join(parts) + "\n\\end{gathered}"


def number(x):
    """Return a number as a badge shows it."""
    return "–" if x is None else f"{x:.6g}".replace("-", "−")


def code_blocks(directive, names, lines=None):
    """Return a block of code for each name, under a link to its entry in the API.

    `lines` is "first-last" of what would be printed, both part of it.
    """
    found = []
    for name in names:
        text = learn.source(name, docstrings=False)
        if lines:
            first, last = (int(k) for k in lines.split("-"))
            text = textwrap.dedent("\n".join(text.splitlines()[first - 1 : last]))
        head = nodes.paragraph(classes=["code-name"])
        if in_the_api(name):
            head += reference_to_api(directive.env, name)
        else:
            head += nodes.literal(f"refdiff.{name}", f"refdiff.{name}")
        block = nodes.literal_block(text, text, language="python")
        found.append(nodes.container("", head, block, classes=["code-of"]))
    return found


def reference_to_api(env, name, short=False):
    """Return a link to an entry of the API, to be resolved when all pages are read."""
    reference = addnodes.pending_xref(
        "", refdomain="py", reftype="obj", reftarget=f"refdiff.{name}", refdoc=env.docname, refwarn=True
    )
    reference += name_of(name if short else f"refdiff.{name}", classes=["xref", "py"])
    return reference


def name_of(dotted, **attributes):
    """Return a dotted name as code that may be broken after a dot, and can still be copied."""
    parts = dotted.split(".")
    found = nodes.literal(dotted, "", **attributes)
    for part in parts[:-1]:
        found += [nodes.Text(f"{part}."), nodes.raw("", "<wbr>", format="html")]
    found += nodes.Text(parts[-1])
    return found


class reference_by_key(nodes.General, nodes.Inline, nodes.Element):
    """A link to the equation of an identity, or to an erratum, to be resolved when all pages are read."""


def link(kind, key, text=None):
    """Return a link by key to be resolved later."""
    return reference_by_key("", nodes.literal(text, text) if text else name_of(key), kind=kind, key=key)


def resolve(app, doctree, docname):
    """Put real links in the place of those by key."""
    for node in list(doctree.findall(reference_by_key)):
        if node["kind"] == "identity":
            place = app.env.domains["math"].equations.get(label_of(node["key"]))
            target = None if place is None else (place[0], nodes.make_id(f"equation-{label_of(node['key'])}"))
        else:
            target = app.env.book_errata.get(node["key"])
        if target is None:
            logger.warning("no %s has the key %r on any page", node["kind"], node["key"], location=docname)
            node.replace_self(node.children)
        else:
            node.replace_self(make_refnode(app.builder, docname, *target, node.children))


def badge(key):
    """Return what the judge says of an identity: verdict, the two numbers, how strict, and what it rejects."""
    verdict, identity = VERDICTS[key], verify.CATALOGUE[key]
    holds = verdict["status"] == "holds"
    line = nodes.paragraph(classes=["badge", "holds" if holds else "fails"])
    line += nodes.inline(text=verdict["status"], classes=["verdict"])
    line += nodes.Text(" ")
    line += link("identity", key)
    if verdict["claimed"] is not None:
        line += nodes.Text(f" claimed {number(verdict['claimed'])}, measured {number(verdict['measured'])}")
        line += nodes.inline(text=f" ({verdict['what']})", classes=["what"])
    strict = []
    if verdict["error"]:
        strict.append(f"exact route within {verdict['error']:.0e}".replace("-0", "−").replace("-", "−"))
    if verdict["samples"]:
        strict.append(f"smallest p {verdict['p_value']:.1e}".replace("-0", "−").replace("-", "−"))
    if verdict["detects"] is not None:
        strict.append(f"errors from {100 * verdict['detects']:.2g} % on would have been caught")
    found = nodes.container("", line, classes=["judged"])
    if strict:
        found += nodes.paragraph(text="; ".join(strict) + ".", classes=["strict"])
    rejected = [one.key for one in verify.ERRATA.values() if key in one.rejected_by]
    if rejected:
        wrong = nodes.paragraph(classes=["rejects"])
        wrong += nodes.Text(f"Rejects {len(rejected)} wrong version{'s' * (len(rejected) > 1)}: ")
        for k, one in enumerate(rejected):
            wrong += [nodes.Text(", ")] if k else []
            wrong += link("erratum", one)
        wrong += nodes.Text(".")
        found += wrong
    if identity.coincides:
        told = nodes.paragraph(classes=["coincides"])
        told += nodes.Text(f"Where wrong versions coincide: {identity.coincides.rstrip('.')}.")
        found += told
    return found


class Step(SphinxDirective):
    """One step of a derivation, which ends with, or begins with, the labelled equation of an identity."""

    required_arguments = 1
    option_spec = {"code": directives.unchanged, "lines": directives.unchanged, "first": directives.flag}
    has_content = True

    def run(self):
        """Return the step: words and equation, code, and the judge's word."""
        key = self.arguments[0]
        if key not in verify.CATALOGUE:
            raise self.error(f"no identity is called {key!r}")
        names = self.options.get("code")
        if names is None:
            names = [name for name in verify.CATALOGUE[key].judges if learn.has_source(name)][:2]
        else:
            names = [name for name in names.replace(",", " ").split() if name != "none"]
        words, equation = nodes.container(classes=["words"]), self._equation(key)
        if "first" in self.options:
            words += equation
        self.state.nested_parse(self.content, self.content_offset, words)
        if "first" not in self.options:
            words += equation
        both = nodes.container("", words, classes=["step"])
        if names:
            blocks = code_blocks(self, names, self.options.get("lines"))
            both += nodes.container("", *blocks, classes=["codes"])
        else:
            both["classes"].append("no-code")
        both += badge(key)
        return [both]

    def _equation(self, key):
        """Return the equation of an identity with its label and number."""
        latex, label = in_lines(verify.CATALOGUE[key].states), label_of(key)
        block = nodes.math_block(latex, latex, classes=["states"], docname=self.env.docname, label=label, number=None)
        domain = self.env.get_domain("math")
        domain.note_equation(self.env.docname, label, location=block)
        block["number"] = domain.get_equation_number_for(label)
        target = nodes.target("", "", ids=[nodes.make_id(f"equation-{label}")])
        self.state.document.note_explicit_target(target)
        self.set_source_info(block)
        return [target, block]


class SourceOf(SphinxDirective):
    """The code of one or more public names."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"lines": directives.unchanged}

    def run(self):
        """Return the code."""
        blocks = code_blocks(self, self.arguments[0].replace(",", " ").split(), self.options.get("lines"))
        return [nodes.container("", *blocks, classes=["codes", "alone"])]


class Evidence(SphinxDirective):
    """The code of both routes of an identity."""

    required_arguments = 1

    def run(self):
        """Return the code."""
        text = textwrap.dedent(verify.CATALOGUE[self.arguments[0]].code).strip("\n")
        block = nodes.literal_block(text, text, language="python")
        return [nodes.container("", block, classes=["codes", "alone"])]


class Judged(SphinxDirective):
    """The judge's word on one identity."""

    required_arguments = 1

    def run(self):
        """Return the badge."""
        return [badge(self.arguments[0])]


class Count(SphinxRole):
    """How many there are of what the catalogue holds."""

    def run(self):
        """Return the number."""
        slips = sum(one.source.startswith("a common slip") for one in verify.ERRATA.values())
        counts = {
            "identities": len(verify.CATALOGUE),
            "statistics": sum(one.statistics for one in verify.CATALOGUE.values()),
            "errata": len(verify.ERRATA),
            "slips": slips,
            "found": len(verify.ERRATA) - slips,
            "exercises": len(learn.EXERCISES),
        }
        return [nodes.Text(str(counts[self.text]))], []


class ByKey(SphinxRole):
    """A link to an identity or an erratum: its key, or ``text <key>``."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.known = kind, verify.CATALOGUE if kind == "identity" else verify.ERRATA

    def run(self):
        """Return the link."""
        text, _, key = self.text.rpartition("<")
        key = key.rstrip(">").strip()
        if key not in self.known:
            logger.warning("no %s is called %r", self.kind, key, location=self.get_location())
            return [nodes.literal(self.text, self.text)], []
        return [link(self.kind, key, text.strip() or None)], []


def break_lines(app, doctree):
    """Give the parts of a docstring's equation lines of their own, as those of a chapter have."""
    if app.env.docname.startswith("api/"):
        for block in doctree.findall(nodes.math_block):
            latex = in_lines(block.astext())
            block.children = [nodes.Text(latex)]
            block.rawsource = latex


def setup(app):
    """Register directives, roles and the resolution of links by key."""
    app.add_node(reference_by_key)
    app.add_directive("step", Step)
    app.add_directive("source", SourceOf)
    app.add_directive("badge", Judged)
    app.add_directive("evidence", Evidence)
    app.add_role("count", Count())
    for kind in ("identity", "erratum"):
        app.add_role(kind, ByKey(kind))
    app.connect("doctree-read", break_lines)
    app.connect("doctree-resolved", resolve)
