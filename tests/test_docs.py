"""The book as text: each equation of the catalogue is derived once, what is named exists, and its examples run."""

import doctest
import re
from collections import Counter
from pathlib import Path

import pytest

from refdiff import verify

DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "derivation").glob("*.md"))}
PAGES = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
STEPS = re.compile(r"^`{3,}\{step\} (\S+)$", re.MULTILINE)


def test_each_equation_of_the_catalogue_is_derived_in_one_step_of_one_chapter():
    steps = Counter(key for text in CHAPTERS.values() for key in STEPS.findall(text))
    assert {key: n for key, n in steps.items() if n > 1} == {}
    assert set(verify.CATALOGUE) - set(steps) == set(), "not derived anywhere"
    assert set(steps) - set(verify.CATALOGUE) == set(), "not in the catalogue"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_shows_each_step_with_words_of_its_own(name):
    parts = STEPS.split(CHAPTERS[name])
    for key, rest in zip(parts[1::2], parts[2::2]):
        words = re.split(r"^`{3,}$", rest, maxsplit=1, flags=re.MULTILINE)[0]
        assert len(re.sub(r"^:\w+:.*$", "", words, flags=re.MULTILINE).split()) > 12, f"{key} is stated, not derived"


@pytest.mark.parametrize("name", PAGES)
def test_identities_and_errata_that_a_page_links_to_exist(name):
    for kind, known in (("identity", verify.CATALOGUE), ("erratum", verify.ERRATA)):
        for target in re.findall(rf"\{{{kind}\}}`(?:[^`<]*<)?([^`>]+)>?`", PAGES[name]):
            assert target in known, target


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if ">>> " in text])
def test_the_examples_of_a_page_print_what_stands_there(name):
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGES[name], flags=re.DOTALL))
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0
