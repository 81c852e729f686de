r"""Wrong versions of the reverse process: of ancestral sampling and the variances of its steps, and of DDIM."""

from refdiff.verify.errata.reverse import ancestral, ddim, solvers, steps

__all__ = ["ancestral", "ddim", "solvers", "steps"]
