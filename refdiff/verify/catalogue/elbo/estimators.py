r"""Identities of the estimators of the bound: all have one mean, and each a variance that is known in some case."""
