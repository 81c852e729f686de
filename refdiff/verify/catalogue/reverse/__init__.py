r"""Identities of the reverse process: ancestral sampling and the variances of its steps, and DDIM."""

from refdiff.verify.catalogue.reverse import ancestral, ddim, solvers, steps

__all__ = ["ancestral", "ddim", "solvers", "steps"]
