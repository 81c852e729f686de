r"""Guidance in miniature: data with labels, two ways to lean on a label, and what that does to the law of the samples.

For mixture data all is exact: p(y | x_t), both denoisers, the guided score, the density that is hoped for and the one
that comes out. They differ. The guided score at noise level t is the gradient of the logarithm of
p_t(x | y)^(1 + w) p_t(x)^(-w), and these are not the laws of one process: what the tilted density p(x) p(y | x)^(1 + w)
diffuses to has another score at every t > 0. So w sharpens, but what is sampled depends on the sampler, and none of
them samples the tilted density; Langevin dynamics at t = 0 does, whose score the guided one is there.
"""

from refdiff.guidance.denoisers import classifier, classifier_free
from refdiff.guidance.flow import guided_flow_log_density, guided_score, guided_score_divergence, tilted_log_density
from refdiff.guidance.labelled import LabelledMixture
from refdiff.guidance.normal import guided_ancestral_limit, guided_flow, guided_flow_limit, tilted

__all__ = [
    "LabelledMixture",
    "classifier",
    "classifier_free",
    "guided_ancestral_limit",
    "guided_flow",
    "guided_flow_limit",
    "guided_flow_log_density",
    "guided_score",
    "guided_score_divergence",
    "tilted",
    "tilted_log_density",
]
