r"""Every picture: the chapters' numbers drawn, none of their formulas repeated.

Each function returns a figure, and :func:`save` writes it whole or not at all; only :func:`forward_animation`
writes by itself. Nothing here needs a display, touches pyplot or leaves a trace in matplotlib's settings.
"""

from refdiff.plot.bound import bound_gap, bound_per_step, elbo_terms, quasi_static, variance_ladder
from refdiff.plot.chains import diffusion_strip, forward_animation, forward_figure
from refdiff.plot.continuous import bound_over_log_snr, chain_limit, probability_flow
from refdiff.plot.guidance import guidance_laws, guided_samples, guided_variance
from refdiff.plot.laws import posterior_product, score_field
from refdiff.plot.movie import Movie, movie
from refdiff.plot.samplers import sampler_race
from refdiff.plot.score import (
    ancestral_vs_langevin,
    langevin_bias,
    langevin_modes,
    score_matching_losses,
    tweedie,
)
from refdiff.plot.style import Picture, save

__all__ = [
    "Movie",
    "Picture",
    "ancestral_vs_langevin",
    "bound_gap",
    "bound_over_log_snr",
    "bound_per_step",
    "chain_limit",
    "diffusion_strip",
    "elbo_terms",
    "forward_animation",
    "forward_figure",
    "guidance_laws",
    "guided_samples",
    "guided_variance",
    "langevin_bias",
    "langevin_modes",
    "movie",
    "posterior_product",
    "probability_flow",
    "quasi_static",
    "sampler_race",
    "save",
    "score_field",
    "score_matching_losses",
    "tweedie",
    "variance_ladder",
]
