r"""Identities of the reverse process: ancestral sampling and its variances, DDIM, the solvers, and the steps kept."""

from refdiff.verify.catalogue.reverse import ancestral, ddim, solvers, steps

__all__ = ["ancestral", "ddim", "solvers", "steps"]
