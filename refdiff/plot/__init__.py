r"""Every picture: the chapters' numbers drawn, none of their formulas repeated.

Each function returns a figure, and :func:`save` writes it whole or not at all; only :func:`forward_animation`
writes by itself. Nothing here needs a display, touches pyplot or leaves a trace in matplotlib's settings.
"""

from refdiff.plot.bound import bound_gap, bound_per_step, elbo_terms, quasi_static, variance_ladder
from refdiff.plot.chains import diffusion_strip, forward_animation, forward_figure
from refdiff.plot.laws import posterior_product, score_field
from refdiff.plot.style import Picture, save

__all__ = [
    "Picture",
    "bound_gap",
    "bound_per_step",
    "diffusion_strip",
    "elbo_terms",
    "forward_animation",
    "forward_figure",
    "posterior_product",
    "quasi_static",
    "save",
    "score_field",
    "variance_ladder",
]
