r"""The exact log p(x_0) beside the bound: closed forms for linear denoisers and mixture data, and an estimate by
importance weights that is unbiased for any model.
"""

from refdiff.likelihood.exact import (
    linear_bound,
    linear_consistency_bound,
    linear_denoiser,
    linear_gap,
    linear_log_density,
    linear_log_second_moment,
    linear_marginal,
    mixture_bound,
    reverse_entropy_bounds,
)
from refdiff.likelihood.importance import Ais, ais, effective_sample_size, importance_weighted_bound, log_mean_weight

__all__ = [
    "Ais",
    "ais",
    "effective_sample_size",
    "importance_weighted_bound",
    "linear_bound",
    "linear_consistency_bound",
    "linear_denoiser",
    "linear_gap",
    "linear_log_density",
    "linear_log_second_moment",
    "linear_marginal",
    "log_mean_weight",
    "mixture_bound",
    "reverse_entropy_bounds",
]
