r"""Wrong versions of the score's equations, a file for each part of the chapter."""

from refdiff.verify.errata.score import field, matching, sampling

__all__ = ["field", "matching", "sampling"]
