r"""Wrong versions of the reverse process: of ancestral sampling and its variances, of DDIM, of solvers and of steps."""

from refdiff.verify.errata.reverse import ancestral, ddim, solvers, steps

__all__ = ["ancestral", "ddim", "solvers", "steps"]
