"""The page of conventions: every line of code on it runs, and what it asserts is true."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "conventions.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_of_the_page_runs(number):
    exec(compile(BLOCKS[number], str(PAGE), "exec"), {"__name__": "page"})


def test_each_block_asserts_something():
    assert len(BLOCKS) == 6
    assert all("assert " in block for block in BLOCKS)
