r"""The score: what it knows of the data, how it is learnt, and how it samples.

Tweedie's formulas turn the score of q(x_t) into the mean and the covariance of x_0. Score matching learns it, by four
losses with one minimiser. Langevin dynamics samples with it: biased without a Metropolis test, exact with one, and
annealed over the noise levels of a schedule. A score is any callable ``score(x_t, t)``, or ``score(x)`` for one law.

Why a score at all: a density has to be normalised, and over many coordinates the normaliser cannot be computed. The
gradient of its logarithm does not have one.
"""

from refdiff.score.field import from_denoiser, jacobian, to_denoiser
from refdiff.score.matching import (
    denoising_gap,
    denoising_loss,
    explicit_loss,
    implicit_loss,
    sliced_loss,
    sliced_loss_reduced,
    weight_score,
)
from refdiff.score.moments import tweedie, tweedie_cov
from refdiff.score.sampling import (
    ancestral_transition,
    ancestral_var,
    annealed_langevin,
    annealed_langevin_chain,
    langevin,
    langevin_chain,
    langevin_transition,
    langevin_var,
    mala,
    mala_acceptance,
    mala_chain,
    mala_log_acceptance,
)

__all__ = [
    "ancestral_transition",
    "ancestral_var",
    "annealed_langevin",
    "annealed_langevin_chain",
    "denoising_gap",
    "denoising_loss",
    "explicit_loss",
    "from_denoiser",
    "implicit_loss",
    "jacobian",
    "langevin",
    "langevin_chain",
    "langevin_transition",
    "langevin_var",
    "mala",
    "mala_acceptance",
    "mala_chain",
    "mala_log_acceptance",
    "sliced_loss",
    "sliced_loss_reduced",
    "to_denoiser",
    "tweedie",
    "tweedie_cov",
    "weight_score",
]
