"""The list of survivors is about the code as it stands."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", Path(__file__).with_name("survivors.md").read_text(), re.M | re.S)


@pytest.mark.parametrize(("name", "text"), SECTIONS, ids=[name for name, _ in SECTIONS])
def test_each_line_that_is_mutated_stands_in_its_function_and_each_has_its_reason(name, text):
    module, path = next(
        (importlib.import_module(f"refdiff.{name.rsplit('.', k)[0]}"), name.split(".")[-k:])
        for k in (1, 2)
        if (ROOT / f"refdiff/{name.rsplit('.', k)[0].replace('.', '/')}.py").exists()
    )
    found = module
    for one in path:
        found = inspect.getattr_static(found, one)
    source = inspect.getsource(getattr(found, "fget", None) or getattr(found, "__func__", found)).splitlines()
    lines = re.findall(r"^- (.*)$", text, re.M)
    assert lines
    assert {one.strip() for one in lines} <= {one.strip() for one in source}
    diffs = re.findall(r"```diff\n.*?```\n(.*?)\n", text, re.S)
    assert all(reason.strip() for reason in diffs)
