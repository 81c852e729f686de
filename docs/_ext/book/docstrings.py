"""What docstrings need on their way to a page: citations by key and number, and bars that are only bars."""

import importlib
import inspect
import re

import refdiff

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


def in_the_order_of_the_source(app):
    """Let the API list names as the chapters define them, and not as their `__all__`, which the linter sorts."""
    for wing in (*refdiff.CHAPTERS, "network", "toys", "points", "distance", "samplers"):
        module = importlib.import_module(f"refdiff.{wing}")
        files = [getattr(part, "__file__", "") for part in vars(module).values() if inspect.ismodule(part)]

        def place(name, module=module, files=files):
            found = getattr(module, name)
            if not (inspect.isfunction(found) or inspect.isclass(found)):
                return len(files), 0
            file = inspect.getsourcefile(found)
            return files.index(file) if file in files else len(files), inspect.getsourcelines(found)[1]

        module.__all__ = sorted(module.__all__, key=place)


def setup(app):
    """Read each docstring before it is parsed."""
    app.connect("builder-inited", in_the_order_of_the_source)
    app.connect("autodoc-process-docstring", prepare)
