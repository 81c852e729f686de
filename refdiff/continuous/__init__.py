r"""The continuous limit: stochastic differential equations, their reversal, the flow without noise, and the bound.

Time s runs over [0, 1], data at 0 and noise at 1; ``Schedule.vp(T)`` is the equation VP, looked at only at s = t/T.
"""

from refdiff.continuous.bound import diffusion_loss, mixture_bound, mixture_diffusion_loss
from refdiff.continuous.evolution import (
    diffused,
    fokker_planck,
    ideal_score,
    ideal_score_divergence,
    log_density_rate,
    probability_flow_drift,
    reverse_drift,
)
from refdiff.continuous.flow import divergence, hutchinson, probability_flow, probability_flow_log_density
from refdiff.continuous.sde import VE, VP, SubVP

__all__ = [
    "VE",
    "VP",
    "SubVP",
    "diffused",
    "diffusion_loss",
    "divergence",
    "fokker_planck",
    "hutchinson",
    "ideal_score",
    "ideal_score_divergence",
    "log_density_rate",
    "mixture_bound",
    "mixture_diffusion_loss",
    "probability_flow",
    "probability_flow_drift",
    "probability_flow_log_density",
    "reverse_drift",
]
