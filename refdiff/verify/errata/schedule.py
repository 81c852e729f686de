r"""Wrong versions of schedules: products with an index off, lost digits, and betas of another parametrisation."""

from dataclasses import replace

import numpy as np

from refdiff.schedule import Schedule
from refdiff.verify.identity import erratum


def with_alpha_bar(schedule, alpha_bar):
    """Return a schedule that says another alpha_bar, and what follows from it."""
    return replace(
        schedule,
        alpha_bar=alpha_bar,
        one_minus_alpha_bar=1 - alpha_bar,
        signal_rate=np.sqrt(alpha_bar),
        noise_rate=np.sqrt(1 - alpha_bar),
    )


@erratum(
    "abar-product-from-zero",
    source="S2, line 31",
    says=r"\bar\alpha_t = \prod_{i=0}^t \alpha_i\,i",
    correct=r"\bar\alpha_t = \prod_{i=1}^t \alpha_i, \qquad \bar\alpha_0 = 1",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.alpha_bar",
    coincides="never: the factor i = 0 makes every product 0",
)
@staticmethod
def from_betas_product_from_zero(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, alpha_bar=np.cumprod(schedule.alpha * np.arange(schedule.T + 1)))


@erratum(
    "abar-one-step-ahead",
    source="S2, line 31, read with arrays that start at beta_1; LinghaoChan/HumanMAC#19 asks which t is meant",
    says=r"\bar\alpha_t = \prod_{i=1}^{t+1} \alpha_i",
    correct=r"\bar\alpha_t = \prod_{i=1}^t \alpha_i",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.alpha_bar",
    coincides="never; nearly so on long schedules",
)
@staticmethod
def from_betas_one_step_ahead(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, alpha_bar=np.append(1.0, schedule.alpha_bar[np.r_[2 : schedule.T + 1, schedule.T]]))


@erratum(
    "abar-order",
    source="S3, line 187",
    says=r"\bar\alpha_1 < \dots < \bar\alpha_T",
    correct=r"\bar\alpha_1 > \dots > \bar\alpha_T",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.alpha_bar",
    coincides="T = 1",
)
@staticmethod
def from_betas_in_rising_order(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, alpha_bar=np.append(1.0, np.sort(schedule.alpha_bar[1:])))


@erratum(
    "abar-product-of-betas",
    source="a comment in LuChengTHU/dpm-solver, see its #13",
    says=r"\bar\alpha_t = \prod_{s=1}^t \beta_s",
    correct=r"\bar\alpha_t = \prod_{s=1}^t (1 - \beta_s)",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.alpha_bar",
    coincides="all betas 1/2",
)
@staticmethod
def from_betas_product_of_betas(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, alpha_bar=np.append(1.0, np.cumprod(schedule.beta[1:])))


@erratum(
    "limit-because-beta-grows",
    source="S2, line 52",
    says=r"\alpha_t \text{ gets small, therefore } \mathbb{E}[x_t \mid x_0] = \sqrt{\alpha_t}\,x_0 \to 0",
    correct=r"\mathbb{E}[x_t \mid x_0] = \sqrt{\bar\alpha_t}\,x_0: \text{ the product vanishes, at constant beta too}",
    replaces="schedule.Schedule.from_betas",
    rejected_by=("schedule.alpha_bar", "schedule.limit"),
    coincides="t = 1",
)
@staticmethod
def from_betas_without_product(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, alpha_bar=schedule.alpha)


@erratum(
    "alphas-below-one-imply-limit",
    source="S1, line 123; also S3, line 134, S2, lines 52-54 and S4, line 218",
    says=r"0 < \alpha_t < 1 \Rightarrow \bar\alpha_t \to 0, \text{ so that } \bar\alpha_t = 0 \text{ for large } t",
    correct=r"\bar\alpha_t \to 0 \iff \textstyle\sum_t \beta_t = \infty",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.limit",
    coincides="in the limit, whenever the betas add up to infinity",
)
@staticmethod
def from_betas_vanishing(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    large = np.arange(schedule.T + 1) >= 100
    return replace(schedule, alpha_bar=np.where(large, 0.0, schedule.alpha_bar))


@erratum(
    "accumulated-noise-unchanged",
    source="S0, line 31",
    says=r"\text{the variance of the noise stays unchanged: } \operatorname{Var}[x_t \mid x_0] = \beta_1",
    correct=r"\operatorname{Var}[x_t \mid x_0] = 1 - \bar\alpha_t \text{ grows; }"
    r" \operatorname{Var}[x_t] = 1 \text{ if } \operatorname{Var}[x_0] = 1",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.one_minus_alpha_bar",
    coincides="t = 1",
)
@staticmethod
def from_betas_unchanged_noise(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    unchanged = np.append(0.0, np.full(schedule.T, schedule.beta[1]))
    return replace(schedule, one_minus_alpha_bar=unchanged)


@erratum(
    "noise-recursion-missing-plus",
    source="S3, line 175",
    says=r"1 - \bar\alpha_t = \alpha_t (1 - \bar\alpha_{t-1}) \cdot 1 - \alpha_t",
    correct=r"1 - \bar\alpha_t = \alpha_t (1 - \bar\alpha_{t-1}) + 1 - \alpha_t",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.one_minus_alpha_bar",
    coincides="never: what is printed is a negative variance",
)
@staticmethod
def from_betas_missing_plus(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    alpha, one_minus = schedule.alpha[1:], schedule.one_minus_alpha_bar[:-1]
    return replace(schedule, one_minus_alpha_bar=np.append(0.0, alpha * one_minus * 1 - alpha))


@erratum(
    "one-minus-abar-by-subtraction",
    source="common code, in single precision too: 1 - cumprod(1 - beta)",
    says=r"1 - \bar\alpha_t \text{ computed as } 1 \ominus \textstyle\prod_s (1 \ominus \beta_s)",
    correct=r"1 - \bar\alpha_t = -\operatorname{expm1}\left(\textstyle\sum_s \operatorname{log1p}(-\beta_s)\right)",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.one_minus_alpha_bar",
    coincides="to 13 digits unless betas are tiny; it is 2e-5 off at 1e-12, and no sample is large enough to show it",
    by_chance=False,
)
@staticmethod
def from_betas_by_subtraction(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, one_minus_alpha_bar=1 - np.cumprod(1 - schedule.beta))


@erratum(
    "noise-rate-is-the-variance",
    source="huggingface/diffusion-models-class#18: standard deviation and variance confused, there the other way round",
    says=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + (1 - \bar\alpha_t)\,\epsilon",
    correct=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.rates",
    coincides="alpha_bar_t = 0 or 1",
)
@staticmethod
def from_betas_noise_rate_without_root(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, noise_rate=schedule.one_minus_alpha_bar)


@erratum(
    "signal-rate-is-noise-rate",
    source="google-research/vdm, colab/2D_VDM_Example.ipynb, sample_step",
    says=r"\text{signal rate } \sqrt{1 - \operatorname{sigmoid}(\log\mathrm{SNR}_t)}",
    correct=r"\text{signal rate } \sqrt{\operatorname{sigmoid}(\log\mathrm{SNR}_t)} = \sqrt{\bar\alpha_t}",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.rates",
    coincides="alpha_bar_t = 1/2",
)
@staticmethod
def from_betas_signal_is_noise(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, signal_rate=np.sqrt(1 - 1 / (1 + np.exp(-schedule.log_snr))))


@erratum(
    "log-snr-sign",
    source="google-research/vdm#7, which asks about the sign of gamma = -log SNR",
    says=r"\log\mathrm{SNR}_t = \log\frac{1 - \bar\alpha_t}{\bar\alpha_t}",
    correct=r"\log\mathrm{SNR}_t = \log\frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.snr",
    coincides="alpha_bar_t = 1/2",
)
@staticmethod
def from_betas_with_gamma(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, log_snr=-schedule.log_snr)


@erratum(
    "snr-of-amplitudes",
    source="a common slip: the ratio of the rates for that of the powers",
    says=r"\mathrm{SNR}_t = \sqrt{\bar\alpha_t} \Big/ \sqrt{1 - \bar\alpha_t}",
    correct=r"\mathrm{SNR}_t = \bar\alpha_t / (1 - \bar\alpha_t)",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.snr",
    coincides="alpha_bar_t = 1/2",
)
@staticmethod
def from_betas_snr_of_amplitudes(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, snr=np.sqrt(schedule.snr))


@erratum(
    "posterior-variance-undivided",
    source="a common slip: the marginal variance of x_{t-1} times beta_t, with the denominator forgotten",
    says=r"\tilde\beta_t = (1 - \bar\alpha_{t-1})\,\beta_t",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.beta_tilde",
    coincides="t = 1; nearly so where alpha_bar_t is near 0",
)
@staticmethod
def from_betas_undivided(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    one_minus = np.append(0.0, schedule.one_minus_alpha_bar[:-1])
    return replace(schedule, beta_tilde=one_minus * schedule.beta)


@erratum(
    "beta-tilde-is-beta",
    source="jhbastek/PhysicsInformedDiffusionModels#4: betas in the code where the text says posterior variance",
    says=r"\tilde\beta_t = \beta_t",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.beta_tilde",
    coincides="never exactly; to 8e-7 at the end of linear-1000",
)
@staticmethod
def from_betas_with_beta(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    return replace(schedule, beta_tilde=schedule.beta)


@erratum(
    "posterior-variance-in-single-precision",
    source="huggingface/diffusers, whose tables are float32: 3.9e-4 off at t = 4 of linear-1000",
    says=r"\tilde\beta_t \text{ from } 1 \ominus \bar\alpha_{t-1}, \; 1 \ominus \bar\alpha_t, \;"
    r" 1 \ominus \bar\alpha_t \oslash \bar\alpha_{t-1} \text{ in 24 bits}",
    correct=r"\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t"
    r" \text{ with no difference of like numbers}",
    replaces="schedule.Schedule.from_betas",
    rejected_by="schedule.beta_tilde",
    coincides="to six digits where betas are large; no sample is large enough to show it",
    by_chance=False,
)
@staticmethod
def from_betas_in_single_precision(beta, **options):
    schedule = Schedule.from_betas(beta, **options)
    alpha_bar = np.cumprod(1 - schedule.beta.astype(np.float32), dtype=np.float32)
    before, now, one = alpha_bar[:-1], alpha_bar[1:], np.float32(1)
    with np.errstate(invalid="ignore"):  # where betas are so small that alpha_bar stays 1, it is 0 / 0
        beta_tilde = (one - before) / (one - now) * (one - now / before)
    return replace(schedule, beta_tilde=np.append(0.0, beta_tilde))


@erratum(
    "linear-from-zero",
    source="a common slip: t / T for (t - 1) / (T - 1)",
    says=r"\beta_t = \beta_1 + \frac tT\,(\beta_T - \beta_1)",
    correct=r"\beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1)",
    replaces="schedule.Schedule.linear",
    rejected_by="schedule.linear",
    coincides="t = T",
)
@staticmethod
def linear_from_zero(T=1000, beta_1=1e-4, beta_T=0.02):
    t = np.arange(1, T + 1)
    return Schedule.from_betas(beta_1 + t / T * (beta_T - beta_1))


@erratum(
    "scaled-linear-is-linear",
    source="a common slip: the line drawn through the variances",
    says=r"\beta_t = \beta_1 + \frac{t - 1}{T - 1}\,(\beta_T - \beta_1)",
    correct=r"\sqrt{\beta_t} = \sqrt{\beta_1} + \frac{t - 1}{T - 1}\,(\sqrt{\beta_T} - \sqrt{\beta_1})",
    replaces="schedule.Schedule.scaled_linear",
    rejected_by="schedule.scaled_linear",
    coincides="both ends",
)
@staticmethod
def scaled_linear_is_linear(T=1000, beta_1=0.00085, beta_T=0.012):
    return Schedule.from_betas(np.linspace(beta_1, beta_T, T))


@erratum(
    "cosine-starts-at-one",
    source="Project-MONAI/GenerativeModels#489, corrected in Project-MONAI/MONAI#8427",
    says=r"\bar\alpha_t = f(t - 1) / f(0), \text{ so that } \bar\alpha_1 = 1",
    correct=r"\bar\alpha_t = f(t) / f(0)",
    replaces="schedule.Schedule.cosine",
    rejected_by="schedule.cosine",
    coincides="never; 1 - alpha_bar_1 = 0 is then divided by",
)
@staticmethod
def cosine_starts_at_one(T=1000, s=0.008, max_beta=0.999):
    schedule = Schedule.cosine(T, s, max_beta)
    return with_alpha_bar(schedule, np.append(1.0, schedule.alpha_bar[:-1]))


@erratum(
    "cosine-without-square",
    source="a common slip: alpha_bar taken for the rate of the signal",
    says=r"\bar\alpha_t = \cos(a_t) / \cos(a_0)",
    correct=r"\bar\alpha_t = \cos^2(a_t) / \cos^2(a_0), \qquad a_t = \frac{t/T + s}{1 + s}\,\frac\pi2",
    replaces="schedule.Schedule.cosine",
    rejected_by="schedule.cosine",
    coincides="t = 0",
)
@staticmethod
def cosine_without_square(T=1000, s=0.008, max_beta=0.999):
    f = np.cos((np.arange(T + 1) / T + s) / (1 + s) * np.pi / 2)
    return Schedule.from_betas(np.minimum(1 - f[1:] / f[:-1], max_beta))


@erratum(
    "sigmoid-not-shifted",
    source="a common slip: the curve is scaled to the range, but not moved to where it starts",
    says=r"\beta_t = (\beta_T - \beta_1)\,\operatorname{sigmoid}(u_t)",
    correct=r"\beta_t = \beta_1 + (\beta_T - \beta_1)\,\operatorname{sigmoid}(u_t)",
    replaces="schedule.Schedule.sigmoid",
    rejected_by="schedule.sigmoid",
    coincides="never",
)
@staticmethod
def sigmoid_not_shifted(T=1000, beta_1=1e-4, beta_T=0.02):
    u = np.linspace(-6, 6, T)
    return Schedule.from_betas((beta_T - beta_1) / (1 + np.exp(-u)))


@erratum(
    "constant-as-exponential",
    source="a common slip: the continuous limit used for finite steps",
    says=r"\bar\alpha_t = e^{-t\beta}",
    correct=r"\bar\alpha_t = (1 - \beta)^t",
    replaces="schedule.Schedule.constant",
    rejected_by="schedule.constant",
    coincides="to first order in beta",
)
@staticmethod
def constant_as_exponential(T, beta):
    return with_alpha_bar(Schedule.constant(T, beta), np.exp(-np.arange(T + 1) * beta))


@erratum(
    "reciprocal-never-one",
    source="a common slip: one added below the line to keep the last beta below 1",
    says=r"\beta_t = \frac{1}{T - t + 2}",
    correct=r"\beta_t = \frac{1}{T - t + 1}",
    replaces="schedule.Schedule.reciprocal",
    rejected_by="schedule.reciprocal",
    coincides="never: it is the schedule of T + 1 steps without its last",
)
@staticmethod
def reciprocal_never_one(T):
    return Schedule.from_betas(1 / (T - np.arange(1, T + 1) + 2))


@erratum(
    "vp-rate-for-power",
    source="a common slip: Song et al. (2021), eq. 33, has the 1/2 of the mean, whose square is alpha_bar",
    says=r"\bar\alpha_t = \exp\left(-\tfrac12 \int_0^{t/T} \beta(u)\,du\right)",
    correct=r"\bar\alpha_t = \exp\left(-\int_0^{t/T} \beta(u)\,du\right)",
    replaces="schedule.Schedule.vp",
    rejected_by="schedule.vp",
    coincides="t = 0",
)
@staticmethod
def vp_rate_for_power(T, beta_min=0.1, beta_max=20.0):
    schedule = Schedule.vp(T, beta_min, beta_max)
    return with_alpha_bar(schedule, schedule.signal_rate)


@erratum(
    "vp-by-euler",
    source="a common slip: the discretisation of Song et al. (2021), appendix B, taken for the law itself",
    says=r"\beta_t = \beta(t/T) / T",
    correct=r"\beta_t = 1 - \exp\left(-\int_{(t-1)/T}^{t/T} \beta(u)\,du\right)",
    replaces="schedule.Schedule.vp",
    rejected_by="schedule.vp",
    coincides="as T grows",
)
@staticmethod
def vp_by_euler(T, beta_min=0.1, beta_max=20.0):
    u = np.arange(1, T + 1) / T
    return Schedule.from_betas((beta_min + u * (beta_max - beta_min)) / T)


@erratum(
    "betas-of-1000-steps-for-any-T",
    source="tanelp/tiny-diffusion, whose default is 50 steps of the range for 1000; see huggingface/diffusers#12341",
    says=r"\bar\alpha_t = \exp\left(-\frac{T}{1000} \int_0^{t/T} \beta(u)\,du\right):"
    r" \text{ each step takes a thousandth, however many there are}",
    correct=r"\bar\alpha_t = \exp\left(-\int_0^{t/T} \beta(u)\,du\right): \text{ each step takes its share}",
    replaces="schedule.Schedule.vp",
    rejected_by="schedule.vp",
    coincides="T = 1000; at T = 50 alpha_bar_T is .60, so x_T is far from the N(0, I) that sampling starts from",
)
@staticmethod
def vp_in_thousandths(T, beta_min=0.1, beta_max=20.0):
    return Schedule.from_betas(1 - Schedule.vp(T, beta_min, beta_max).alpha[1:] ** (T / 1000))


@erratum(
    "respaced-with-the-old-beta",
    source="huggingface/diffusers, corrected in its #2076 and #3006; #5130 asks why",
    says=r"\beta'_k = \beta_{\tau_k}",
    correct=r"\beta'_k = 1 - \bar\alpha_{\tau_k} / \bar\alpha_{\tau_{k-1}}",
    replaces="schedule.Schedule.respace",
    rejected_by="schedule.respace",
    coincides="steps next to each other",
)
def respace_with_the_old_beta(self, steps):
    if np.ndim(steps) == 0:
        steps = np.arange(1, steps + 1) * self.T // steps
    return Schedule.from_betas(self.beta[np.asarray(steps)])


@erratum(
    "respaced-by-a-constant-stride",
    source="huggingface/diffusers, DDIMScheduler.step with linspace spacing: #11347, #12633, #14357; in DDPMScheduler"
    " corrected by #9384",
    says=r"\beta'_k = 1 - \frac{\bar\alpha_{\tau_k}}{\bar\alpha_s}, \quad s = \tau_k - \lfloor T / K \rfloor",
    correct=r"\beta'_k = 1 - \frac{\bar\alpha_{\tau_k}}{\bar\alpha_s}, \quad s = \tau_{k-1},"
    r" \text{ the step before in the list}",
    replaces="schedule.Schedule.respace",
    rejected_by="schedule.respace",
    coincides="steps that are a constant stride apart, as with leading spacing",
)
def respace_by_a_constant_stride(self, steps):
    if np.ndim(steps) == 0:
        steps = np.arange(1, steps + 1) * self.T // steps
    steps = np.asarray(steps)
    before = np.maximum(steps - self.T // len(steps), 0)
    return Schedule.from_betas(1 - self.alpha_bar[steps] / self.alpha_bar[before])


@erratum(
    "zero-terminal-snr-of-the-power",
    source="a common slip: alpha_bar moved and stretched in the place of its root",
    says=r"\bar\alpha'_t = (\bar\alpha_t - \bar\alpha_T) \frac{\bar\alpha_1}{\bar\alpha_1 - \bar\alpha_T}",
    correct=r"\sqrt{\bar\alpha'_t} = \left(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\right)"
    r" \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}",
    replaces="schedule.Schedule.zero_terminal_snr",
    rejected_by="schedule.zero_terminal_snr",
    coincides="t = 1 and t = T",
)
def zero_terminal_snr_of_the_power(self):
    first, last = self.alpha_bar[1], self.alpha_bar[-1]
    moved = (self.alpha_bar[1:] - last) * first / (first - last)
    return with_alpha_bar(Schedule.zero_terminal_snr(self), np.append(1.0, moved))


@erratum(
    "snr-computed-before-the-rescaling",
    source="kohya-ss/sd-scripts#1263 and #1905",
    says=r"\mathrm{SNR}'_t = \frac{\bar\alpha_t}{1 - \bar\alpha_t}",
    correct=r"\mathrm{SNR}'_t = \frac{\bar\alpha'_t}{1 - \bar\alpha'_t}",
    replaces="schedule.Schedule.zero_terminal_snr",
    rejected_by="schedule.zero_terminal_snr",
    coincides="t = 1",
)
def zero_terminal_snr_with_the_old_snr(self):
    return replace(Schedule.zero_terminal_snr(self), snr=self.snr)


@erratum(
    "one-coefficient-a-column",
    source="S4, lines 86-92",
    says=r"\bar\alpha_{t_i} \text{ multiplies column } i",
    correct=r"\bar\alpha_{t_i} \text{ multiplies row } i: \text{ an axis is to be added, } (n) \to (n, 1)",
    replaces="schedule.Schedule.index",
    rejected_by="schedule.index",
    coincides="one t for all points; where n and d differ it raises instead",
)
def index_without_axis(self, t, x=None, *, name="t", least=1):
    return np.asarray(t)


@erratum(
    "index-zero-based",
    source="a common slip: the place of arrays that start at beta_1, in arrays that start at beta_0 = 0",
    says=r"\bar\alpha_t \text{ stands at place } t - 1",
    correct=r"\bar\alpha_t \text{ stands at place } t: \text{ the arrays start with } \bar\alpha_0 = 1",
    replaces="schedule.Schedule.index",
    rejected_by="schedule.index",
    coincides="never: a cleaner step is read",
)
def index_zero_based(self, t, x=None, *, name="t", least=1):
    return Schedule.index(self, t, x, name=name, least=least) - 1
