"""What the book is made with: derivations beside code, badges from the catalogue, tables that no hand keeps.

``verdicts`` judges the library while the book is built, ``directives`` sets code and verdict beside the derivation,
``tables`` makes the pages that list everything, ``docstrings`` adapts those of the API.
"""

import inspect
import zlib

from book import directives, docstrings, tables, verdicts


def setup(app):
    """Register everything with Sphinx; what was read by other versions of these files is read again."""
    parts = (verdicts, directives, docstrings, tables)
    for part in parts:
        part.setup(app)
    version = zlib.crc32("".join(inspect.getsource(part) for part in parts).encode())
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": version}
