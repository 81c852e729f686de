r"""The catalogue: one file a chapter, each claim beside its evidence.

A file here never imports what it judges. It may walk the forward chain, take mixture data from the case, and use the
oracles; the functions judged come in as `claimed`.
"""

from refdiff.verify.catalogue import (
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
