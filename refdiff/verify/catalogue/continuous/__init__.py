r"""Identities of the continuous limit."""

from refdiff.verify.catalogue.continuous import bound, denoisers, evolution, flow, grids, sampling, sde

__all__ = ["bound", "denoisers", "evolution", "flow", "grids", "sampling", "sde"]
