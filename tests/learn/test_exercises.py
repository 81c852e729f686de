"""The exercises: each is solved by what is right, refuses what is wrong, and asks for what the library has."""

import ast
import re
from pathlib import Path

import pytest

from refdiff import CHAPTERS, learn, verify
from refdiff.learn.exercises import EXERCISES, exercises
from refdiff.learn.layers import OWN
from refdiff.learn.sheets import docstring
from tests.learn.folders import BY_FUNCTION, fill, of_a_learner, of_a_mistake, of_the_library

NAMES = [one.name for one in EXERCISES]
DERIVATION = Path(__file__).parents[2] / "docs" / "derivation"


@pytest.fixture(scope="module")
def by_the_library(tmp_path_factory):
    return learn.examine(fill(tmp_path_factory.mktemp("library"), of_the_library), EXERCISES, 30.0)


@pytest.fixture(scope="module")
def by_a_learner(tmp_path_factory):
    return learn.examine(fill(tmp_path_factory.mktemp("learner"), of_a_learner), EXERCISES, 30.0)


@pytest.fixture(scope="module")
def by_mistake(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("mistake"), of_a_mistake)
    results, notes = learn.examine(folder, EXERCISES, 30.0)
    shared = [one for one in EXERCISES if BY_FUNCTION[one.chapter, one.function] is not one]  # second of a function

    def second(one):
        return of_a_mistake(next((other for other in shared if other.function == one.function), one))

    folder = fill(tmp_path_factory.mktemp("second"), second, {one.chapter for one in shared})
    more, further = learn.examine(folder, shared, 30.0)
    return results | more, notes + further


@pytest.mark.parametrize("name", NAMES)
def test_the_librarys_own_function_solves_it(name, by_the_library):
    results, notes = by_the_library
    assert results[name].solved, results[name]
    assert notes == []


@pytest.mark.parametrize("name", NAMES)
def test_plain_lines_solve_it(name, by_a_learner):
    results, notes = by_a_learner
    assert results[name].solved, results[name]
    assert notes == []


@pytest.mark.parametrize("name", NAMES)
def test_its_wrong_version_is_refused_with_a_counter_example(name, by_mistake):
    results, notes = by_mistake
    result = results[name]
    assert result.state == "refuted", result
    assert "in truth" in result.numbers
    assert "\n" not in result.given + result.numbers
    assert re.fullmatch(rf"{name.partition('.')[0]}\.py:\d+", result.place)
    assert notes == []


def test_there_are_some_forty_in_the_order_of_the_chapters_and_ten_on_the_path():
    assert 40 <= len(EXERCISES) <= 45
    assert len(set(NAMES)) == len(NAMES)
    order = [*CHAPTERS, "network"]
    chapters = [one.chapter for one in EXERCISES]
    assert chapters == sorted(chapters, key=order.index)
    assert len(exercises(path=True)) == 10
    assert {"schedule.alpha_bar", "bayes.posterior_mean", "network.silu"} <= {one.name for one in exercises(path=True)}


@pytest.mark.parametrize("one", EXERCISES, ids=NAMES)
def test_it_stands_on_identities_that_refuse_its_wrong_version(one):
    for key in one.keys:
        assert key in verify.CATALOGUE or key in OWN
    if isinstance(one.wrong, str):
        assert set(one.keys) & set(verify.ERRATA[one.wrong].rejected_by)
    assert not set(OWN) & set(verify.CATALOGUE)


@pytest.mark.parametrize("one", EXERCISES, ids=NAMES)
def test_it_has_two_or_three_hints_and_then_says_where_all_stands(one):
    assert 2 <= len(one.hints) <= 3
    assert one.name in one.all_hints[-1]
    assert (Path(__file__).parents[2] / one.derivation).is_file()


@pytest.mark.parametrize("one", EXERCISES, ids=NAMES)
def test_its_page_is_the_one_that_derives_it(one):
    if one.name in OWN:
        return
    step = re.compile(rf"^`{{3,}}\{{step\}} {re.escape(one.name)}$", re.MULTILINE)
    holders = [f"docs/derivation/{page.name}" for page in DERIVATION.glob("*.md") if step.search(page.read_text())]
    assert holders in ([one.derivation], [])  # that it is derived somewhere is tested with the book


@pytest.mark.parametrize("one", EXERCISES, ids=NAMES)
def test_its_docstring_has_the_equation_and_neither_notes_nor_examples(one):
    text = docstring(one)
    assert ".. math::" in text
    assert "Returns\n-------" in text or one.name == "network.adam"
    assert not re.search(r"^(Notes|Examples|Raises)$|>>>|:eq:|:func:", text, re.MULTILINE)


@pytest.mark.parametrize("one", EXERCISES, ids=NAMES)
def test_its_solution_is_source_of_the_library_that_parses(one):
    text = one.solution()
    ast.parse(text)
    assert "def " in text
    assert '"""' not in text


@pytest.mark.parametrize("key", OWN)
def test_an_identity_of_the_exercises_says_what_it_claims_and_why(key):
    assert OWN[key].states
    assert OWN[key].why
    assert OWN[key].coincides
