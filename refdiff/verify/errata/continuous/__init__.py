r"""Wrong versions of the continuous limit, a file for each part of the chapter."""

from refdiff.verify.errata.continuous import bound, evolution, flow, sde

__all__ = ["bound", "evolution", "flow", "sde"]
