"""The pages of the built book, read once."""

import html
import os
import re
from functools import cache
from pathlib import Path

import pytest

bs4 = pytest.importorskip("bs4", reason="the book is read by BeautifulSoup, which its theme brings along: extra [docs]")

SITE = Path(os.environ.get("REFDIFF_SITE", Path(__file__).parents[2] / "build" / "docs"))
if not (SITE / "index.html").exists():
    pytest.skip(f"there is no book in {SITE}: sphinx-build -W -n docs build/docs makes it", allow_module_level=True)

NAMES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if "_static" not in path.parts)


@cache
def text(name):
    """Return a page as it stands."""
    return (SITE / name).read_text(encoding="utf-8")


@cache
def page(name):
    """Return a page, parsed: slow, for the few pages whose structure matters."""
    return bs4.BeautifulSoup(text(name), "html.parser")


@cache
def anchors(name):
    """Return all places of a page that a link may lead to."""
    return frozenset(html.unescape(place) for place in re.findall(r'\sid="([^"]+)"', text(name)))


@cache
def links(name):
    """Return what a page leads to or fetches: pairs of a tag and an address."""
    found = re.findall(r'<(a|link|img|script|iframe|source)\b[^>]*?\s(?:href|src)="([^"]*)"', text(name))
    return tuple((tag, html.unescape(address)) for tag, address in found)
