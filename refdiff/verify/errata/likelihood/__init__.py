r"""Wrong versions of the likelihood: its closed forms, and its estimates by importance weights."""

from refdiff.verify.errata.likelihood import exact, importance

__all__ = ["exact", "importance"]
