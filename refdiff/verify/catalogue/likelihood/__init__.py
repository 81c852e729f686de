r"""Identities of the likelihood: its closed forms, and its estimates by importance weights."""

from refdiff.verify.catalogue.likelihood import exact, importance

__all__ = ["exact", "importance"]
