r"""Identities of the continuous limit."""

from refdiff.verify.catalogue.continuous import bound, evolution, flow, sde

__all__ = ["bound", "evolution", "flow", "sde"]
