"""What the API says beyond a docstring: each citation of an equation goes by its key and its number."""

import re


def cite_by_key(app, what, name, obj, options, lines):
    """Let ``:eq:`eq-KEY``` show the key beside the number."""
    lines[:] = [re.sub(r":eq:`eq-([\w.]+)`", r":identity:`\1` (:eq:`eq-\1`)", line) for line in lines]


def setup(app):
    """Read each docstring before it is parsed."""
    app.connect("autodoc-process-docstring", cite_by_key)
