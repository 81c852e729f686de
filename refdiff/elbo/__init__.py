r"""The variational bound: what a model pays, in nats, to describe a point.

Three decompositions of one number (undecomposed, consistency, denoising), the terms that they are made of, the weights
that turn a training loss into them, and the estimators between which training and evaluation choose. Every loss enters
with a plus, as in Ho, Jain & Abbeel (2020).
"""

from refdiff.elbo.bound import Bound
from refdiff.elbo.estimators import (
    Rung,
    antithetic_form,
    ladder,
    loss_aware_probability,
    mean_square_terms,
    random_step,
    stratified_step,
)
from refdiff.elbo.forms import (
    consistency_form,
    consistency_form_integrated,
    consistency_on_chain,
    consistency_terms,
    consistency_terms_integrated,
    denoising_form,
    denoising_kl_on_chain,
    denoising_on_chain,
    denoising_terms,
    undecomposed,
    undecomposed_on_chain,
)
from refdiff.elbo.terms import (
    consistency_constant,
    consistency_prior,
    consistency_term,
    consistency_term_integrated,
    denoising_term,
    discretized_log_likelihood,
    kl_constant,
    prior_term,
    reconstruction_term,
)
from refdiff.elbo.weights import (
    min_snr_weight,
    min_snr_weight_v,
    min_snr_weight_x_0,
    simple_loss,
    weight,
    weight_from_snr,
    weight_mean,
    weight_v,
    weight_x_0,
)

__all__ = [
    "Bound",
    "Rung",
    "antithetic_form",
    "consistency_constant",
    "consistency_form",
    "consistency_form_integrated",
    "consistency_on_chain",
    "consistency_prior",
    "consistency_term",
    "consistency_term_integrated",
    "consistency_terms",
    "consistency_terms_integrated",
    "denoising_form",
    "denoising_kl_on_chain",
    "denoising_on_chain",
    "denoising_term",
    "denoising_terms",
    "discretized_log_likelihood",
    "kl_constant",
    "ladder",
    "loss_aware_probability",
    "mean_square_terms",
    "min_snr_weight",
    "min_snr_weight_v",
    "min_snr_weight_x_0",
    "prior_term",
    "random_step",
    "reconstruction_term",
    "simple_loss",
    "stratified_step",
    "undecomposed",
    "undecomposed_on_chain",
    "weight",
    "weight_from_snr",
    "weight_mean",
    "weight_v",
    "weight_x_0",
]
