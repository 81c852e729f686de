r"""The continuous limit: stochastic differential equations, their reversal, the flow without noise, and the bound.

Time s runs over [0, 1], data at 0 and noise at 1; ``Schedule.vp(T)`` is the equation VP, looked at only at s = t/T.
"""

from refdiff.continuous.bound import diffusion_loss, mixture_bound, mixture_diffusion_loss
from refdiff.continuous.denoisers import denoiser_between_steps, score_from_denoiser
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
from refdiff.continuous.grids import edm_times, even_times, log_snr_times
from refdiff.continuous.karras import edm, edm_path
from refdiff.continuous.sampling import (
    euler,
    euler_maruyama,
    euler_maruyama_path,
    euler_maruyama_transition,
    euler_path,
    heun,
    heun_path,
    predictor_corrector,
    predictor_corrector_path,
)
from refdiff.continuous.sde import VE, VP, SubVP

__all__ = [
    "VE",
    "VP",
    "SubVP",
    "denoiser_between_steps",
    "diffused",
    "diffusion_loss",
    "divergence",
    "edm",
    "edm_path",
    "edm_times",
    "euler",
    "euler_maruyama",
    "euler_maruyama_path",
    "euler_maruyama_transition",
    "euler_path",
    "even_times",
    "fokker_planck",
    "heun",
    "heun_path",
    "hutchinson",
    "ideal_score",
    "ideal_score_divergence",
    "log_density_rate",
    "log_snr_times",
    "mixture_bound",
    "mixture_diffusion_loss",
    "predictor_corrector",
    "predictor_corrector_path",
    "probability_flow",
    "probability_flow_drift",
    "probability_flow_log_density",
    "reverse_drift",
    "score_from_denoiser",
]
