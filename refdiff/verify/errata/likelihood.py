r"""Wrong versions of likelihoods and of their estimates, as found in print and in code."""
