r"""Wrong versions of the probability flow and of its likelihood: signs, sums, and ends that are left out."""

import numpy as np

from refdiff import continuous
from refdiff.continuous.flow import _solve
from refdiff.verify.identity import erratum


@erratum(
    "divergence-per-coordinate",
    source="a common slip: a mean where a sum is meant",
    says=r"\nabla\cdot\nabla\log q = \frac1d \sum_i \partial_i [\nabla\log q]_i",
    correct=r"\nabla\cdot\nabla\log q = \sum_i \partial_i [\nabla\log q]_i",
    replaces="continuous.divergence",
    rejected_by="continuous.divergence",
    coincides="d = 1",
)
def divergence_per_coordinate(score, x, s, step=1e-4):
    return continuous.divergence(score, x, s, step) / np.shape(x)[-1]


@erratum(
    "hutchinson-sum",
    source="bayesflow-org/bayesflow#772, reported and mended",
    says=r"\operatorname{tr} J \approx \sum_{k=1}^K \epsilon_k^\top J\,\epsilon_k",
    correct=r"\operatorname{tr} J \approx \frac1K\sum_{k=1}^K \epsilon_k^\top J\,\epsilon_k",
    replaces="continuous.hutchinson",
    rejected_by="continuous.hutchinson",
    coincides="K = 1",
)
def hutchinson_as_a_sum(score, x, s, probes, step=1e-4):
    return len(probes) * continuous.hutchinson(score, x, s, probes, step)


@erratum(
    "flow-back-with-the-sign-turned",
    source="hustvl/LightningDiT#89: time falls, and the field is turned as well",
    says=r"x_s = x_u + \int_s^u v(x_r, r)\,dr \text{ for } s < u",
    correct=r"x_s = x_u - \int_s^u v(x_r, r)\,dr \text{ for } s < u",
    replaces="continuous.probability_flow",
    rejected_by="continuous.probability_flow",
    coincides="from data to noise",
)
def flow_back_with_sign_turned(sde, score, x, start=1.0, stop=0.0, *, tolerance=1e-8):
    sign = 1 if start < stop else -1
    return _solve(
        lambda s, x: [sign * continuous.probability_flow_drift(sde, score, x, s)], [x], start, stop, tolerance
    )[0]


@erratum(
    "flow-by-the-reverse-drift",
    source="a common slip: a sampler of the reverse equation, its noise left out",
    says=r"x_u = x_s + \int_s^u \left[f x - g^2\,\nabla\log q_r\right] dr",
    correct=r"x_u = x_s + \int_s^u \left[f x - \tfrac12 g^2\,\nabla\log q_r\right] dr",
    replaces="continuous.probability_flow",
    rejected_by="continuous.probability_flow",
    coincides="where the score is 0 all the way",
)
def flow_by_reverse_drift(sde, score, x, start=1.0, stop=0.0, *, tolerance=1e-8):
    return _solve(lambda s, x: [continuous.reverse_drift(sde, score, x, s)], [x], start, stop, tolerance)[0]


class Noting:
    """A law that notes the last log-densities that it was asked for, and where."""

    def __init__(self, law):
        self.law = law

    def log_density(self, x):
        """Return the log-density of x, and note both."""
        self.x, self.noted = x, self.law.log_density(x)
        return self.noted


def parts_of(sde, score, x, prior, choices):
    """Return the law at the end, which has noted x_stop and its log-density, and the integral of the divergence."""
    end = Noting(sde.prior(np.shape(x)[1]) if prior is None else prior)
    whole = continuous.probability_flow_log_density(sde, score, x, prior=end, **choices)
    return end, whole - end.noted


@erratum(
    "volume-of-the-wrong-sign",
    source="a common slip; asked about in HosseinEbrahimiK/ScNormFlows#1",
    says=r"\log q_s(x_s) = \log q_u(x_u) - \int_s^u \nabla\cdot v\,dr",
    correct=r"\log q_s(x_s) = \log q_u(x_u) + \int_s^u \nabla\cdot v\,dr",
    replaces="continuous.probability_flow_log_density",
    rejected_by="continuous.probability_flow_log_density",
    coincides="where volumes come out as they went in",
)
def log_density_with_wrong_sign(sde, score, x, *, prior=None, **choices):
    end, volume = parts_of(sde, score, x, prior, choices)
    return end.noted - volume


@erratum(
    "volume-left-out",
    source="yang-song/score_sde#24, a comment that reads the code so",
    says=r"\log q_s(x_s) = \log q_u(x_u)",
    correct=r"\log q_s(x_s) = \log q_u(x_u) + \int_s^u \nabla\cdot v\,dr",
    replaces="continuous.probability_flow_log_density",
    rejected_by="continuous.probability_flow_log_density",
    coincides="where volumes come out as they went in",
)
def log_density_of_the_end(sde, score, x, *, prior=None, **choices):
    return parts_of(sde, score, x, prior, choices)[0].noted


@erratum(
    "end-left-out",
    source="a common slip",
    says=r"\log q_s(x_s) = \int_s^u \nabla\cdot v\,dr",
    correct=r"\log q_s(x_s) = \log q_u(x_u) + \int_s^u \nabla\cdot v\,dr",
    replaces="continuous.probability_flow_log_density",
    rejected_by="continuous.probability_flow_log_density",
    coincides="where the density at the end is 1",
)
def log_density_of_the_volume(sde, score, x, *, prior=None, **choices):
    return parts_of(sde, score, x, prior, choices)[1]


@erratum(
    "likelihood-in-the-wrong-direction",
    source="openai/consistency_models_cifar10#12: from s = 1 to 0, starting at the data",
    says=r"\log q_0(x) = \log p(x_0) + \int_0^1 \nabla\cdot v\,ds, \qquad x_1 = x",
    correct=r"\log q_0(x) = \log p(x_1) + \int_0^1 \nabla\cdot v\,ds, \qquad x_0 = x",
    replaces="continuous.probability_flow_log_density",
    rejected_by="continuous.probability_flow_log_density",
    coincides="data N(0, I) under VP",
)
def log_density_backwards(
    sde, score, x, *, divergence=None, probes=None, rng=None, prior=None, start=0.0, stop=1.0, tolerance=1e-10
):
    def rate(s, x, _):
        of_score = divergence(x, s) if divergence else continuous.divergence(score, x, s)
        spread = x.shape[1] * sde.drift_rate(s) - 0.5 * sde.diffusion(s) ** 2 * of_score
        return continuous.probability_flow_drift(sde, score, x, s), -spread

    arrived, gathered = _solve(rate, [x, np.zeros(len(x))], stop, start, tolerance)
    return (sde.prior(x.shape[1]) if prior is None else prior).log_density(arrived) + gathered


@erratum(
    "prior-around-the-data",
    source="yang-song/score_sde_pytorch#64, for VE",
    says=r"p(x_1) = \mathcal{N}(x_1; x_0, \sigma_{\max}^2 I)",
    correct=r"p(x_1) = \mathcal{N}(x_1; 0, \sigma_{\max}^2 I)",
    replaces="continuous.probability_flow_log_density",
    rejected_by="continuous.probability_flow_log_density",
    coincides="x_0 = 0; and where the law at the end is given, as the Monte Carlo route gives it, so that no chance"
    " shows it there",
    by_chance=False,
)
def log_density_with_prior_around_x(sde, score, x, *, prior=None, **choices):
    end, volume = parts_of(sde, score, x, prior, choices)
    return volume + (end.law.log_density(end.x - x) if prior is None else end.noted)
