r"""Wrong versions of the variational bound, a file for each part of the chapter."""

from refdiff.verify.errata.elbo import estimators, forms, terms, weights

__all__ = ["estimators", "forms", "terms", "weights"]
