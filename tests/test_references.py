"""The page of references: whatever the catalogue, the errata and docstrings cite by author and year has an entry."""

import re
import unicodedata
from pathlib import Path

import pytest

import refdiff
from refdiff import verify

PAGE = Path(__file__).parents[1] / "docs" / "references.md"
PACKAGE = Path(refdiff.__file__).parent
NAME = r"\b(?:de )?[A-Z][^\W\d_]+(?:-[^\W\d_]+)*"
CITED = re.compile(rf"({NAME}(?:, {NAME})*(?: & {NAME}| et al\.)?)(?:'s)? \((\d{{4}}[a-z]?)\)")
SOURCE = re.compile(r"^ +Source: (.+(?:\n +[^\s:].*)*)", re.MULTILINE)  # of a docstring
ENTRIES = re.findall(r"^\*\*(.+)\*\*\n: (.+(?:\n  .+)*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def cited(source):
    """Return the works that a source names, as "Authors (year)"."""
    return {f"{authors} ({year})" for authors, year in CITED.findall(" ".join(source.split()))}


WORKS = {work for terms, _ in ENTRIES for work in cited(terms)}


def test_citations_are_read():
    assert cited("used by Ho, Jain & Abbeel (2020), eq. 5; Rao (1945) and Blackwell (1947), in Lu et al. (2022b)") == {
        "Ho, Jain & Abbeel (2020)",
        "Rao (1945)",
        "Blackwell (1947)",
        "Lu et al. (2022b)",
    }
    assert cited("Sohl-Dickstein et al.\n    (2015); Särkkä & Solin (2019); Tenenbaum, de Silva & Langford (2000)") == {
        "Sohl-Dickstein et al. (2015)",
        "Särkkä & Solin (2019)",
        "Tenenbaum, de Silva & Langford (2000)",
    }
    assert cited("a decay that is TensorFlow's (2015); huggingface/diffusers#2090, step (7)") == {"TensorFlow (2015)"}


@pytest.mark.parametrize("kind", ["CATALOGUE", "ERRATA"])
def test_what_the_judge_cites_has_an_entry(kind):
    works = {work for one in getattr(verify, kind).values() for work in cited(one.source)}
    assert len(works) > 10
    assert sorted(works - WORKS) == []


def test_what_docstrings_cite_has_an_entry():
    sources = [text for file in PACKAGE.rglob("*.py") for text in SOURCE.findall(file.read_text(encoding="utf-8"))]
    works = {work for text in sources for work in cited(text)}
    assert len(works) > 60
    assert sorted(works - WORKS) == []


def test_entries_are_in_alphabetical_order_and_complete():
    def folded(name):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        return re.sub(r"[^a-z0-9 ]", "", plain.replace("et al", "").replace("&", " ")).split()

    names = [terms for terms, _ in ENTRIES]
    assert len(names) > 70
    assert names == sorted(names, key=folded)
    for name, text in ENTRIES:
        assert cited(name), name
        assert text.count("*") == 2, name  # a title
        assert text.endswith("."), name
