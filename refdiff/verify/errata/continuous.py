r"""Wrong versions of the continuous limit: factors of two, roots, signs and times, as found in code and in threads."""

import numpy as np

from refdiff import continuous
from refdiff.continuous.flow import _solve
from refdiff.gaussian import LOG_2_PI, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule
from refdiff.verify.identity import erratum


@erratum(
    "vp-drift-without-half",
    source="a common slip",
    says=r"dx = -\beta(s)\,x\,ds + \sqrt{\beta(s)}\,dW",
    correct=r"dx = -\tfrac12\beta(s)\,x\,ds + \sqrt{\beta(s)}\,dW",
    replaces="continuous.VP.drift",
    rejected_by="continuous.drift",
    coincides="x = 0; it is the drift for which N(0, I / 2) would rest",
)
def vp_drift_without_half(self, x, s):
    return 2 * continuous.VP.drift(self, x, s)


@erratum(
    "vp-noise-by-beta",
    source="a common slip: a variance under the name of a standard deviation",
    says=r"g(s) = \beta(s)",
    correct=r"g(s) = \sqrt{\beta(s)}",
    replaces="continuous.VP.diffusion",
    rejected_by="continuous.diffusion",
    coincides="beta(s) = 1",
)
def vp_diffusion_is_beta(self, s):
    return self.beta(s)


@erratum(
    "ve-noise-without-the-logarithm",
    source="deepinv/deepinv#775, reported in its documentation and mended",
    says=r"g(s) = \sigma_{\min}\left(\frac{\sigma_{\max}}{\sigma_{\min}}\right)^s",
    correct=r"g(s) = \sigma_{\min}\left(\frac{\sigma_{\max}}{\sigma_{\min}}\right)^s"
    r"\sqrt{2\log\frac{\sigma_{\max}}{\sigma_{\min}}}",
    replaces="continuous.VE.diffusion",
    rejected_by="continuous.diffusion",
    coincides="sigma_max = sqrt(e) sigma_min",
)
def ve_diffusion_is_sigma(self, s):
    return self.sigma(s)


@erratum(
    "sub-vp-with-one-integral",
    source="a common slip",
    says=r"g(s) = \sqrt{\beta(s)\left(1 - e^{-B(s)}\right)}",
    correct=r"g(s) = \sqrt{\beta(s)\left(1 - e^{-2B(s)}\right)}",
    replaces="continuous.SubVP.diffusion",
    rejected_by="continuous.diffusion",
    coincides="where B is large",
)
def sub_vp_diffusion_with_one_integral(self, s):
    return np.sqrt(self.beta(s) * -np.expm1(-self.integral(s)))


@erratum(
    "ve-var-without-subtraction",
    source="yang-song/score_sde_pytorch, sde_lib.py, VESDE.marginal_prob; met as a bias in blei-lab/treeffuser#24",
    says=r"\operatorname{Var}[x_s \mid x_0] = \sigma(s)^2",
    correct=r"\operatorname{Var}[x_s \mid x_0] = \sigma(s)^2 - \sigma_{\min}^2",
    replaces="continuous.VE.var",
    rejected_by="continuous.rates",
    coincides="sigma(s) far above sigma_min; data that carry noise of standard deviation sigma_min from the start",
)
def ve_var_is_sigma_squared(self, s):
    return self.sigma(s) ** 2


@erratum(
    "sub-vp-std-for-var",
    source="a common slip: the variance of VP",
    says=r"\operatorname{Var}[x_s \mid x_0] = 1 - e^{-B(s)}",
    correct=r"\operatorname{Var}[x_s \mid x_0] = \left(1 - e^{-B(s)}\right)^2",
    replaces="continuous.SubVP.var",
    rejected_by="continuous.rates",
    coincides="where B is large",
)
def sub_vp_var_is_std(self, s):
    return self.noise_rate(s)


@erratum(
    "alpha-bar-from-the-last-beta",
    source="a common slip: the solution for a constant beta",
    says=r"\bar\alpha(s) = e^{-\beta(s)\,s}",
    correct=r"\bar\alpha(s) = \exp\left(-\int_0^s \beta(r)\,dr\right)",
    replaces="continuous.VP.signal_rate",
    rejected_by="continuous.rates",
    coincides="constant beta",
)
def vp_signal_from_last_beta(self, s):
    return np.exp(-0.5 * self.beta(s) * s)


@erratum(
    "integral-without-half",
    source="a common slip",
    says=r"\int_0^s \beta(r)\,dr = \beta_{\min}\,s + s^2\,(\beta_{\max} - \beta_{\min})",
    correct=r"\int_0^s \beta(r)\,dr = \beta_{\min}\,s + \tfrac12 s^2\,(\beta_{\max} - \beta_{\min})",
    replaces="continuous.VP.integral",
    rejected_by="continuous.rates",
    coincides="constant beta, and nearly for early s",
)
def vp_integral_without_half(self, s):
    return self.beta_min * np.asarray(s) + np.asarray(s) ** 2 * (self.beta_max - self.beta_min)


@erratum(
    "beta-max-for-the-slope",
    source="a common slip; that the slope should be 19.9 is what NVlabs/edm#5 asks of a sampler",
    says=r"\beta(s) = \beta_{\min} + s\,\beta_{\max}",
    correct=r"\beta(s) = \beta_{\min} + s\,(\beta_{\max} - \beta_{\min})",
    replaces="continuous.VP.beta",
    rejected_by="continuous.rates",
    coincides="s = 0; with the usual ends .1 and 20 it is off by half a per cent",
)
def vp_beta_max_as_slope(self, s):
    return self.beta_min + np.asarray(s) * self.beta_max


@erratum(
    "log-snr-of-amplitudes",
    source="a common slip: half of it, often called lambda too, as in Lu et al. (2022)",
    says=r"\log\mathrm{SNR} = \log\frac{a_s}{\sigma_s}",
    correct=r"\log\mathrm{SNR} = \log\frac{a_s^2}{\sigma_s^2}",
    replaces="continuous.VP.log_snr",
    rejected_by="continuous.log_snr",
    coincides="SNR = 1",
)
def vp_log_ratio_of_amplitudes(self, s):
    return continuous.VP.log_snr(self, s) / 2


@erratum(
    "variances-of-marginals-subtracted",
    source="a common slip: right for VE only",
    says=r"\operatorname{Var}[x_u \mid x_s] = \sigma_u^2 - \sigma_s^2",
    correct=r"\operatorname{Var}[x_u \mid x_s] = \sigma_u^2 - \frac{a_u^2}{a_s^2}\,\sigma_s^2",
    replaces="continuous.VP.transition",
    rejected_by="continuous.transition",
    coincides="s = 0, and wherever a_u = a_s",
)
def vp_transition_by_subtraction(self, x_s, s, u):
    right = continuous.VP.transition(self, x_s, s, u)
    var = np.broadcast_to(self.var(u) - self.var(s), np.shape(x_s)[:-1])
    return Gaussian(right.mean, var[..., None])


@erratum(
    "ve-starts-from-standard-noise",
    source="harryjo97/GDSS#26, which asks why; dirmeier/sbijax#89, by its title, withdrawn",
    says=r"p(x_1) = \mathcal{N}(0, I) \text{ for VE too}",
    correct=r"p(x_1) = \mathcal{N}(0, \sigma_{\max}^2 I)",
    replaces="continuous.VE.prior",
    rejected_by="continuous.prior",
    coincides="sigma_max = 1",
)
def ve_prior_of_unit_variance(self, d):
    return Gaussian(np.zeros(d), 1.0)


@erratum(
    "betas-not-divided-by-T",
    source="a common slip",
    says=r"\beta_t = \beta(t/T)",
    correct=r"\beta_t = \frac1T\,\beta(t/T)",
    replaces="continuous.VP.schedule",
    rejected_by="continuous.chain_limit",
    coincides="T = 1",
)
def betas_of_the_rate(self, T):
    return Schedule.from_betas(np.minimum(self.beta(np.arange(1, T + 1) / T), 0.999))


@erratum(
    "chain-from-zero",
    source="a common slip: zero-based steps",
    says=r"\beta_t = \frac1T\,\beta\!\left(\frac{t - 1}{T}\right)",
    correct=r"\beta_t = \frac1T\,\beta\!\left(\frac tT\right)",
    replaces="continuous.VP.schedule",
    rejected_by="continuous.chain_limit",
    coincides="constant beta; and in the limit, which it tends to from the other side if beta grows fast enough",
)
def betas_from_zero(self, T):
    return Schedule.from_betas(self.beta(np.arange(T) / T) / T)


@erratum(
    "component-variance-scaled-once",
    source="a common slip: D(ax) = a D(x)",
    says=r"V_k(s) = a_s v_k + \sigma_s^2",
    correct=r"V_k(s) = a_s^2 v_k + \sigma_s^2",
    replaces="continuous.diffused",
    rejected_by="continuous.diffused",
    coincides="a_s = 1: s = 0, and VE",
)
def diffused_with_variances_scaled_once(sde, mixture, s):
    a = sde.signal_rate(s)
    return GaussianMixture(mixture.weights, a * mixture.means, a * mixture.variances + sde.var(s))


@erratum(
    "continuous-eps-is-the-score",
    source="S3, line 652",
    says=r"\nabla\log q_s(x) = \epsilon^*(x, s)",
    correct=r"\nabla\log q_s(x) = -\frac{\epsilon^*(x, s)}{\sigma_s}",
    replaces="continuous.ideal_score",
    rejected_by="continuous.ideal_score",
    coincides="where the score is 0",
)
def score_is_eps(sde, mixture):
    right = continuous.ideal_score(sde, mixture)

    def score(x, s):
        std = np.asarray(sde.noise_rate(s))
        return -(std[..., None] if std.ndim else std) * right(x, s)

    return score


@erratum(
    "laplacian-of-q-for-that-of-log-q",
    source="a common slip",
    says=r"\Delta\log q = \frac{\Delta q}{q}",
    correct=r"\Delta\log q = \frac{\Delta q}{q} - \Vert\nabla\log q\Vert^2",
    replaces="continuous.ideal_score_divergence",
    rejected_by="continuous.ideal_score_divergence",
    coincides="where the score is 0",
)
def divergence_without_the_square(sde, mixture):
    right, score = continuous.ideal_score_divergence(sde, mixture), continuous.ideal_score(sde, mixture)
    return lambda x, s: right(x, s) + np.sum(score(x, s) ** 2, axis=-1)


@erratum(
    "variance-grows-by-noise-alone",
    source="a common slip: right for VE only",
    says=r"\dot V = g^2",
    correct=r"\dot V = 2 f V + g^2",
    replaces="continuous.log_density_rate",
    rejected_by="continuous.log_density_rate",
    coincides="f = 0",
)
def log_density_rate_without_shrinking(sde, mixture, x, s):
    right = continuous.log_density_rate(sde, mixture, x, s)
    steps = 1e-5
    spared = 0.0
    # what the omitted part of the variances' rate, 2 f V, does to log q: a difference along it
    f, a, var = (np.asarray(one(s), dtype=float) for one in (sde.drift_rate, sde.signal_rate, sde.var))
    f, a, var = (one[..., None, None] if one.ndim else one for one in (f, a, var))
    means, variances = a * mixture.means, a**2 * mixture.variances + var
    for sign in (1, -1):
        moved = variances * (1 + sign * steps * 2 * f)
        quadratic = LOG_2_PI + np.log(moved) + (x[..., None, :] - means) ** 2 / moved
        spared = spared + sign * np.log(np.sum(mixture.weights * np.exp(-0.5 * quadratic.sum(axis=-1)), axis=-1))
    return right - spared / (2 * steps)


@erratum(
    "drift-that-keeps-volumes",
    source="a common slip",
    says=r"\partial_s q = -f x\cdot\nabla q + \tfrac12 g^2\,\Delta q",
    correct=r"\partial_s q = -\nabla\cdot(f x\,q) + \tfrac12 g^2\,\Delta q",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="f = 0",
)
def fokker_planck_without_volume(sde, score, divergence, x, s):
    d = np.shape(x)[-1]
    return continuous.fokker_planck(sde, score, divergence, x, s) + d * sde.drift_rate(s)


@erratum(
    "noise-spreads-twice-as-fast",
    source="a common slip: the half of Ito's formula",
    says=r"\partial_s q = -\nabla\cdot(f x\,q) + g^2\,\Delta q",
    correct=r"\partial_s q = -\nabla\cdot(f x\,q) + \tfrac12 g^2\,\Delta q",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="where the Laplacian of q is 0: at the points of inflection, on a line",
)
def fokker_planck_without_half(sde, score, divergence, x, s):
    spread = 0.5 * sde.diffusion(s) ** 2 * (divergence(x, s) + np.sum(score(x, s) ** 2, axis=-1))
    return continuous.fokker_planck(sde, score, divergence, x, s) + spread


@erratum(
    "drift-without-its-rate",
    source="sony/fp-diffusion#1, which asks why x times the score stands for the drift times the score",
    says=r"\partial_s \log q = -d f + \tfrac12\,x\cdot\nabla\log q + \cdots",
    correct=r"\partial_s \log q = -d f + \tfrac12\beta\,x\cdot\nabla\log q + \cdots",
    replaces="continuous.fokker_planck",
    rejected_by="continuous.fokker_planck",
    coincides="beta(s) = 1, or where x and the score are at right angles",
)
def fokker_planck_without_beta(sde, score, divergence, x, s):
    along = np.sum(x * score(x, s), axis=-1)
    return continuous.fokker_planck(sde, score, divergence, x, s) + (0.5 + sde.drift_rate(s)) * along


def with_score_times(factor):
    """Return a drift f x - factor g^2 score."""

    def drift(sde, score, x, s):
        half = continuous.probability_flow_drift(sde, score, x, s) - continuous.reverse_drift(sde, score, x, s)
        return continuous.reverse_drift(sde, score, x, s) + 2 * (1 - factor) * half

    return drift


@erratum(
    "reverse-drift-with-half-the-score",
    source="a common slip: the drift of the flow, with the noise of the reverse equation",
    says=r"dx = \left[f x - \tfrac12 g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_half(sde, score, x, s):
    return with_score_times(0.5)(sde, score, x, s)


@erratum(
    "reverse-drift-with-the-score-twice",
    source="yang-song/score_sde_pytorch#67, which adds it to a drift that has it",
    says=r"dx = \left[f x - 2 g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_score_twice(sde, score, x, s):
    return with_score_times(2.0)(sde, score, x, s)


@erratum(
    "reverse-drift-of-the-other-sign",
    source="a common slip: ds < 0 and the sign of the step, both counted",
    says=r"dx = \left[f x + g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="where the score is 0",
)
def reverse_drift_with_other_sign(sde, score, x, s):
    return with_score_times(-1.0)(sde, score, x, s)


@erratum(
    "reverse-drift-by-g",
    source="a common slip",
    says=r"dx = \left[f x - g\,\nabla\log q_s\right] ds + g\,d\bar W",
    correct=r"dx = \left[f x - g^2\,\nabla\log q_s\right] ds + g\,d\bar W",
    replaces="continuous.reverse_drift",
    rejected_by="continuous.reverse_drift",
    coincides="g(s) = 1",
)
def reverse_drift_by_g(sde, score, x, s):
    diffusion = np.asarray(sde.diffusion(s))
    return with_score_times(1 / (diffusion[..., None] if diffusion.ndim else diffusion))(sde, score, x, s)


@erratum(
    "flow-with-the-full-score",
    source="a common slip: the drift of the reverse equation, its noise left out",
    says=r"\frac{dx}{ds} = f x - g^2\,\nabla\log q_s",
    correct=r"\frac{dx}{ds} = f x - \tfrac12 g^2\,\nabla\log q_s",
    replaces="continuous.probability_flow_drift",
    rejected_by="continuous.probability_flow_drift",
    coincides="where the score is 0",
)
def flow_with_full_score(sde, score, x, s):
    return continuous.reverse_drift(sde, score, x, s)


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


@erratum(
    "diffusion-loss-without-half",
    source="a common slip",
    says=r"L_\infty = \mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    correct=r"L_\infty = \tfrac12\,\mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="in the direction of its gradient",
)
def diffusion_loss_without_half(sde, denoiser, x_0, rng, start, stop=1.0):
    return 2 * continuous.diffusion_loss(sde, denoiser, x_0, rng, start, stop)


@erratum(
    "diffusion-loss-per-coordinate",
    source="a common slip: the mean over coordinates that frameworks take by default",
    says=r"L_\infty = \tfrac12\,\mathbb{E}\int \tfrac1d\Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    correct=r"L_\infty = \tfrac12\,\mathbb{E}\int \Vert\epsilon - \hat\epsilon\Vert^2\,d\lambda",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="d = 1",
)
def diffusion_loss_per_coordinate(sde, denoiser, x_0, rng, start, stop=1.0):
    return continuous.diffusion_loss(sde, denoiser, x_0, rng, start, stop) / np.shape(x_0)[1]


@erratum(
    "uniform-time-without-weight",
    source="a common slip: the loss that is trained, L_simple, for the bound",
    says=r"L_\infty = \tfrac12\left[\lambda(s) - \lambda(u)\right]"
    r" \mathbb{E}\Vert\epsilon - \hat\epsilon(x_r, r)\Vert^2, \qquad r \sim U(s, u)",
    correct=r"L_\infty = \tfrac12\left[\lambda(s) - \lambda(u)\right]"
    r" \mathbb{E}\Vert\epsilon - \hat\epsilon(x_r, r)\Vert^2, \qquad \lambda(r) \sim U(\lambda(u), \lambda(s))",
    replaces="continuous.diffusion_loss",
    rejected_by="continuous.diffusion_loss",
    coincides="log SNR linear in r; an error that does not depend on r, so that only chance shows the rest",
)
def diffusion_loss_at_uniform_times(sde, denoiser, x_0, rng, start, stop=1.0):
    s = start + (stop - start) * rng.random(len(x_0))
    eps = rng.standard_normal(np.shape(x_0))
    x_s = sde.signal_rate(s)[:, None] * x_0 + sde.noise_rate(s)[:, None] * eps
    width = sde.log_snr(start) - sde.log_snr(stop)
    return 0.5 * width * np.sum((eps - denoiser(x_s, s)) ** 2, axis=-1)


@erratum(
    "information-without-half",
    source="a common slip: complex channels have no half, real ones do",
    says=r"\frac{d}{d\lambda} I(x_0; x_s) = \mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2",
    correct=r"\frac{d}{d\lambda} I(x_0; x_s) = \tfrac12\,\mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2",
    replaces="continuous.mixture_diffusion_loss",
    rejected_by="continuous.mixture_diffusion_loss",
    coincides="nowhere",
)
def mixture_loss_without_half(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    return 2 * continuous.mixture_diffusion_loss(sde, mixture, start, stop, tolerance=tolerance)


@erratum(
    "bound-without-reconstruction",
    source="a common slip: left out as negligible",
    says=r"\mathbb{E}[-\log p(x_0)] \le \mathbb{E}\,\mathrm{KL}(q(x_u \mid x_0) \Vert p) + L_\infty",
    correct=r"\mathbb{E}[-\log p(x_0)] \le \mathbb{E}\,\mathrm{KL}(q(x_u \mid x_0) \Vert p) + L_\infty"
    r" - \mathbb{E}\log p(x_0 \mid x_s)",
    replaces="continuous.mixture_bound",
    rejected_by="continuous.mixture_bound",
    coincides="log SNR(s) = 1 + log 2 pi; it is negligible for discrete data only",
)
def bound_without_reconstruction(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    constant = len(mixture.mean) / 2 * (1 + LOG_2_PI - float(sde.log_snr(start)))
    return continuous.mixture_bound(sde, mixture, start, stop, tolerance=tolerance) - constant


@erratum(
    "decoder-as-wide-as-the-noise",
    source="a common slip",
    says=r"p(x_0 \mid x_s) = \mathcal{N}(x_s / a_s, \sigma_s^2 I), \text{ at a cost of }"
    r" \tfrac d2\log 2\pi e\,\sigma_s^2",
    correct=r"p(x_0 \mid x_s) = \mathcal{N}(x_s / a_s, \sigma_s^2 / a_s^2\,I), \text{ at a cost of }"
    r" \tfrac d2\log 2\pi e\,\sigma_s^2 / a_s^2",
    replaces="continuous.mixture_bound",
    rejected_by="continuous.mixture_bound",
    coincides="a_s = 1: VE",
)
def bound_with_a_narrow_decoder(sde, mixture, start, stop=1.0, *, tolerance=1e-9):
    right = continuous.mixture_bound(sde, mixture, start, stop, tolerance=tolerance)
    return right + len(mixture.mean) * float(np.log(sde.signal_rate(start)))
