r"""Identities of the exact likelihood, beside which the bound is measured."""
