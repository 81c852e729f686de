"""Denoising diffusion in NumPy, with verified mathematics.

Each chapter of the derivation is a module: gaussian, schedule, forward, bayes, parameterize,
mixture, reverse, elbo, likelihood, score, continuous, guidance. Data are in toys, the learner in network, the judge
in verify, the classroom in learn.
Modules are loaded when they are first asked for, so that ``import refdiff`` costs little more than NumPy.
"""

import importlib

__version__ = "0.1.0"

CHAPTERS = (
    *("gaussian", "schedule", "forward", "bayes", "parameterize", "mixture", "reverse", "elbo", "likelihood"),
    *("score", "continuous", "guidance"),
)
_MODULES = (
    *CHAPTERS,
    *("checks", "files", "toys", "points", "distance", "samplers", "network", "verify", "learn", "plot"),
)
_SHORTCUTS = {"Schedule": "schedule", "Gaussian": "gaussian", "GaussianMixture": "mixture"}

__all__ = ["CHAPTERS", *_MODULES, *_SHORTCUTS]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _SHORTCUTS:
        return getattr(importlib.import_module(f"{__name__}.{_SHORTCUTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
