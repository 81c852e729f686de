r"""Wrong versions of the estimators of the bound, as found in print and in code."""
