"""What docstrings need on their way to a page: citations by key and number, and bars that are only bars."""

import re

PROSE_BAR = re.compile(r"\|(?=\S)")


def prepare(app, what, name, obj, options, lines):
    """Let ``:eq:`eq-KEY``` show the key beside the number, and ``|z|`` stand for a norm."""
    block = None  # the indentation of a directive whose body is not prose
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block is not None and line.strip() and indent <= block:
            block = None
        if line.lstrip().startswith(".. "):
            block = indent
        elif block is None and not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``|:\w+:`.*?`)", line)
            lines[k] = "".join(part if i % 2 else PROSE_BAR.sub(r"\\|", part) for i, part in enumerate(parts))
        lines[k] = re.sub(r":eq:`eq-([\w.]+)`", r":identity:`\1` (:eq:`eq-\1`)", lines[k])


def setup(app):
    """Read each docstring before it is parsed."""
    app.connect("autodoc-process-docstring", prepare)
