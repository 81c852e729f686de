r"""Errata: wrong equations found in published texts and code, each under the function that it would replace.

They are re-stated in the notation used here and run like any implementation. Each must be rejected by an identity, on
the exact route and, where chance can see it, with a certified power of .99 on the Monte Carlo route.
"""

from refdiff.verify.errata import (
    bayes,
    continuous,
    elbo,
    forward,
    gaussian,
    guidance,
    likelihood,
    mixture,
    network,
    parameterize,
    reverse,
    schedule,
    score,
)

__all__ = [
    "bayes",
    "continuous",
    "elbo",
    "forward",
    "gaussian",
    "guidance",
    "likelihood",
    "mixture",
    "network",
    "parameterize",
    "reverse",
    "schedule",
    "score",
]
