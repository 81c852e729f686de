"""Runs on disk: what was measured, where and when, as JSON that appears whole or not at all."""

import datetime
import json
import shlex
import sys
from pathlib import Path

from refdiff.files import whole
from tests.benchmarks import machine
from tests.benchmarks.page import page

FORMAT = "refdiff benchmarks 1"


def run(module, rows, **about):
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    measured = datetime.date.today().isoformat()
    return {"format": FORMAT, "command": command, "measured": measured, "machine": machine.describe(), **about} | {
        "rows": rows
    }


def read(path):
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    if found.get("format") != FORMAT:
        raise SystemExit(f"{path} is not of the format {FORMAT!r}.")
    return found


def write(path, text):
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def keep(one, json_file, markdown_file):
    """Write one run to either file, if asked to."""
    if json_file:
        write(json_file, json.dumps(one, indent=1, ensure_ascii=False) + "\n")
    if markdown_file:
        write(markdown_file, page([one], [json_file or "FILE"], markdown_file))
