"""The built book: nothing leads nowhere, and catalogue, errata, API and the texts are all there."""

import importlib
import inspect
import re
from collections import Counter
from urllib.parse import unquote, urldefrag

import pytest

import refdiff
from refdiff import verify
from refdiff.verify.texts import EQUATIONS
from tests.site.pages import NAMES, SITE, anchors, links, page, text

LABEL = re.compile(r"equation-eq-")
QUESTIONS = range(1, 36)


def label(key):
    return "equation-eq-" + re.sub(r"[^a-z0-9]+", "-", key)


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_a_page_leads_somewhere(name):
    for _, link in links(name):
        if re.match(r"[a-z]+:", link):
            continue
        path, fragment = urldefrag(unquote(link))
        path = path.partition("?")[0]
        target = (SITE / name).parent / path if path else SITE / name
        target = target.resolve()
        assert target.exists(), link
        if fragment and target.suffix == ".html" and "_static" not in target.parts:
            assert fragment in anchors(str(target.relative_to(SITE.resolve()))), link


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fetches_nothing_from_elsewhere_and_holds_no_failed_reference(name):
    fetched = [link for tag, link in links(name) if tag != "a" and re.match(r"(https?:)?//", link)]
    assert fetched + re.findall(r"url\(['\"]?https?:[^)]*\)", text(name)) == []
    assert re.findall(r'class="[^"]*\b(?:problematic|system-message)\b', text(name)) == []


def test_every_identity_has_its_label_once_and_every_label_its_identity():
    found = Counter(place for name in NAMES for place in anchors(name) if LABEL.match(place))
    assert found == Counter(label(key) for key in verify.CATALOGUE)


def test_every_label_stands_beside_an_equation_with_a_number_of_its_own():
    numbers = Counter()
    for name in NAMES:
        for equation in page(name).select("div.math.states"):
            numbers[equation.find(class_="eqno").text.strip("()¶ \n")] += 1
    assert sum(numbers.values()) == len(verify.CATALOGUE)
    assert set(numbers.values()) == {1}
    assert all(re.fullmatch(r"\d+\.\d+", number) for number in numbers), numbers


def test_every_identity_of_the_book_holds():
    chapters = [name for name in NAMES if name.startswith("derivation/")]
    verdicts = [verdict.text for name in chapters for verdict in page(name).select(".judged .verdict")]
    assert len(verdicts) >= len(verify.CATALOGUE)
    assert set(verdicts) == {"holds"}


def test_every_erratum_has_an_entry():
    pages = [name for name in NAMES if name.startswith("errata/")]
    headings = {heading.text.rstrip("¶") for name in pages for heading in page(name).find_all("h2")}
    assert set(verify.ERRATA) - headings == set()


PUBLIC = {
    f"{wing}.{name}": getattr(importlib.import_module(f"refdiff.{wing}"), name)
    for wing in (*refdiff.CHAPTERS, "network")
    for name in importlib.import_module(f"refdiff.{wing}").__all__
}
JUDGED = {name for identity in verify.CATALOGUE.values() for name in identity.judges}
CALLABLE = [name for name, found in PUBLIC.items() if callable(found)]


@pytest.mark.parametrize("name", CALLABLE)
def test_a_public_name_is_in_the_api(name):
    assert f"refdiff.{name}" in anchors(f"api/{name.split('.')[0]}.html")


@pytest.mark.parametrize("name", [name for name in CALLABLE if name in JUDGED and inspect.isfunction(PUBLIC[name])])
def test_a_function_of_the_api_shows_its_equation_and_cites_the_book(name):
    entry = page(f"api/{name.split('.')[0]}.html").find(id=f"refdiff.{name}").find_next_sibling("dd")
    assert entry.find("div", class_="math") is not None, "no equation"
    assert entry.find("a", href=re.compile(r"derivation/\w+\.html#equation-eq-")) is not None, "no citation"


@pytest.mark.parametrize("key", EQUATIONS)
def test_the_texts_equation_is_traced_to_its_lines_and_to_what_holds_it(key):
    row = next(row for row in page("traceability.html").find_all("tr") if row.find("strong", string=key))
    cells = row.find_all("td")
    one = EQUATIONS[key]
    assert one.stands in cells[1].text
    assert one.near in cells[1].text
    linked = {link["href"].partition("#")[2] for link in cells[3].find_all("a")}
    assert linked == {label(held) for held in one.held_by}


@pytest.mark.parametrize("number", QUESTIONS)
def test_a_question_is_answered_with_its_threads_its_evidence_and_its_derivation(number):
    found = page("questions.html").find(id=f"question-{number}")
    assert found is not None
    section = found if found.name == "section" else found.find_parent("section") or found.find_next("section")
    hrefs = [link["href"] for link in section.find_all("a", href=True)]
    assert any("github.com" in link for link in hrefs), "no thread"
    assert any("#equation-eq-" in link or link.startswith("errata/") for link in hrefs), "no evidence"
    assert any(link.startswith("derivation/") for link in hrefs), "no derivation"


def test_every_notebook_was_run_without_an_error():
    notebooks = [name for name in NAMES if name.startswith("notebooks/")]
    assert len(notebooks) == 10
    for name in notebooks:
        assert page(name).select(".cell_output"), name
        assert page(name).select(".traceback, .stderr") == [], name
