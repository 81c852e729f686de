"""The notebooks as files: without outputs, importing only what a reader has, with exercises that can be solved."""

import ast
import json
import re
from pathlib import Path

import pytest

from refdiff import learn, verify

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in PATHS]
each_notebook = pytest.mark.parametrize("path", PATHS, ids=NAMES)


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def code(path):
    return ["".join(cell["source"]) for cell in cells(path, "code")]


def words(path):
    return ["".join(cell["source"]) for cell in cells(path, "markdown")]


def checked(path):
    """Yield the key and the other arguments of each exercise's check."""
    for cell in code(path):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "learn.check":
                yield ast.literal_eval(node.args[0])


EXERCISES = sorted({key for path in PATHS for key in checked(path)})


def test_there_are_ten_in_order():
    assert [name[:2] for name in NAMES] == [f"{k:02}" for k in range(1, 11)]


def test_the_table_beside_them_names_all_and_leads_where_it_says():
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \d\d \| \[[^]]*\]\((\w+)\.ipynb\)", table, re.MULTILINE) == NAMES
    for link in re.findall(r"\]\(([^)]+)\)", table):
        assert (FOLDER / link.partition("#")[0]).exists(), link


@each_notebook
def test_a_notebook_is_committed_without_what_running_it_leaves(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert json.loads(path.read_text(encoding="utf-8"))["nbformat"] == 4


@each_notebook
def test_a_notebook_imports_only_refdiff_and_what_comes_with_it(path):
    for cell in code(path):
        for node in ast.walk(ast.parse(cell)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {"refdiff", "numpy", "matplotlib", "types"}


@each_notebook
def test_a_notebook_says_what_one_can_do_afterwards_and_asks_before_it_shows(path):
    first, *others = words(path)
    assert first.startswith(f"# {path.stem[:2]} ")
    assert re.search(r"^After this notebook you can", first, re.MULTILINE)
    assert sum("**Predict first.**" in text for text in others) >= 3
    assert sum("hide-output" in cell["metadata"].get("tags", []) for cell in cells(path, "code")) >= 3


@each_notebook
def test_what_the_book_hides_jupyterlab_hides_too(path):
    for cell in cells(path, "code"):
        tags, hidden = cell["metadata"].get("tags", []), cell["metadata"].get("jupyter", {})
        assert ("hide-output" in tags) == hidden.get("outputs_hidden", False)
        assert ("hide-input" in tags) == hidden.get("source_hidden", False)


@each_notebook
def test_a_notebook_ends_with_exercises(path):
    assert len(list(checked(path))) >= 2
    assert any("learn.check" in cell for cell in code(path)[-4:])


@each_notebook
def test_what_a_notebook_links_to_is_there(path):
    for text in words(path):
        for link in re.findall(r"\]\(([^):]+)\)", text):
            assert (FOLDER / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("key", EXERCISES)
def test_the_librarys_own_answer_to_an_exercise_passes(key):
    identity = verify.CATALOGUE[learn.resolve(key)]
    own = {
        name.partition(".")[2].replace(".", "__"): learn.find(name)
        for name in identity.judges
        if learn.has_source(name)
    }
    assert own
    if "schedule.Schedule.from_betas" in identity.judges:
        from refdiff import Schedule

        array = identity.key.partition(".")[2]
        assert learn.check(key, lambda beta: getattr(Schedule.from_betas(beta), array)).solved
        return
    if all("__" not in name for name in own):
        assert learn.check(key, **own).solved
    assert learn.solution(key)


@pytest.mark.parametrize("key", EXERCISES)
def test_an_exercise_left_blank_is_called_unwritten(key):
    answer = learn.check(key, lambda *args, **options: None)
    assert not answer.solved
    assert "not written yet" in answer.says
