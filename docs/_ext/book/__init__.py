"""What the book is made with: derivations beside code, badges from the catalogue, tables that no hand keeps.

``verdicts`` judges the library while the book is built, ``directives`` sets code and verdict beside the derivation,
``tables`` makes the pages that list everything, ``docstrings`` adapts those of the API.
"""

from book import directives, docstrings, tables, verdicts


def setup(app):
    """Register everything with Sphinx."""
    for part in (verdicts, directives, docstrings, tables):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
