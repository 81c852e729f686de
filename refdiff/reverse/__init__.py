r"""The reverse process p: a Markov chain of Gaussians that turns noise into data with the help of a denoiser.

A denoiser is any callable ``eps_hat = denoiser(x_t, t)``: a network, the ideal denoiser of mixture data, a lambda.
The variance of a step is a choice: beta_t, beta_tilde_t, what lies between, or the best number for given data. So is
the sampler: ancestral sampling walks every step of the chain, DDIM some of them, with as much noise as wanted.
"""

from refdiff.reverse.chain import ancestral, sample, transition
from refdiff.reverse.implicit import ddim, ddim_path, ddim_transition, ddim_var
from refdiff.reverse.variance import decoder_var, eps_loss, interpolated_var, optimal_var, var
from refdiff.reverse.walks import prior

__all__ = [
    "ancestral",
    "ddim",
    "ddim_path",
    "ddim_transition",
    "ddim_var",
    "decoder_var",
    "eps_loss",
    "interpolated_var",
    "optimal_var",
    "prior",
    "sample",
    "transition",
    "var",
]
