r"""Identities of the variational bound, a file for each part of the chapter, and the models that they compare with."""

from refdiff.verify.catalogue.elbo import estimators, forms, terms, weights

__all__ = ["estimators", "forms", "terms", "weights"]
