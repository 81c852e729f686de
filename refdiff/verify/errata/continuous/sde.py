r"""Wrong versions of the three equations: factors of two, roots and variances, as found in code and in threads."""

import numpy as np

from refdiff import continuous
from refdiff.gaussian import Gaussian
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
