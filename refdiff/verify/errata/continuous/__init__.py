r"""Wrong versions of the continuous limit, a file for each part of the chapter."""

from refdiff.verify.errata.continuous import bound, denoisers, evolution, flow, grids, sampling, sde

__all__ = ["bound", "denoisers", "evolution", "flow", "grids", "sampling", "sde"]
