r"""Identities of the score, a file for each part of the chapter, and what they compare with."""

from refdiff.verify.catalogue.score import field, matching, sampling

__all__ = ["field", "matching", "sampling"]
