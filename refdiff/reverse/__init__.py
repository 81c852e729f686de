r"""The reverse process p: a Markov chain of Gaussians that turns noise into data with the help of a denoiser.

A denoiser is any callable ``eps_hat = denoiser(x_t, t)``: a network, the ideal denoiser of mixture data, a lambda.
The variance of a step is a choice: beta_t, beta_tilde_t, what lies between, or the best number for given data. So is
the sampler: ancestral sampling walks every step of the chain, DDIM some of them, with as much noise as wanted, and
DPM-Solver++(2M) and Heun follow its flow without noise to second order. Which steps is a choice as well.
"""

from refdiff.reverse.chain import ancestral, sample, transition
from refdiff.reverse.implicit import ddim, ddim_path, ddim_transition, ddim_var
from refdiff.reverse.solvers import dpmpp_2m, dpmpp_2m_path, dpmpp_2m_step, heun, heun_path, heun_step
from refdiff.reverse.steps import edm_steps, even_steps, log_snr_steps
from refdiff.reverse.variance import decoder_var, eps_loss, interpolated_var, optimal_var, var
from refdiff.reverse.walks import prior

__all__ = [
    "ancestral",
    "ddim",
    "ddim_path",
    "ddim_transition",
    "ddim_var",
    "decoder_var",
    "dpmpp_2m",
    "dpmpp_2m_path",
    "dpmpp_2m_step",
    "edm_steps",
    "eps_loss",
    "even_steps",
    "heun",
    "heun_path",
    "heun_step",
    "interpolated_var",
    "log_snr_steps",
    "optimal_var",
    "prior",
    "sample",
    "transition",
    "var",
]
