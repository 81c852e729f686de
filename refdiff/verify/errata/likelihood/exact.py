r"""Wrong versions of likelihoods and of their bounds in closed form, as found in print and in code."""

from dataclasses import replace

import numpy as np

from refdiff import elbo, likelihood, reverse
from refdiff.gaussian import LOG_2_PI, Gaussian
from refdiff.likelihood import exact
from refdiff.verify.identity import erratum


def steps(schedule, slope, intercept, variance, decoder_var):
    """Return a_t, b_t and sigma_t^2, arrays (T + 1,), of the steps x_{t-1} = a_t x_t + b_t + sigma_t z."""
    model = exact._LinearModel(schedule, slope, intercept, variance, decoder_var)
    return model.a, model.b, model.var


@erratum(
    "linear-denoiser-from-zero",
    source="a common slip: zero-based code beside arrays over t = 0..T",
    says=r"\hat\epsilon(x_t, t) = s_{t-1}\,x_t + i_{t-1}",
    correct=r"\hat\epsilon(x_t, t) = s_t\,x_t + i_t",
    replaces="likelihood.linear_denoiser",
    rejected_by="likelihood.linear_denoiser",
    coincides="one slope and one intercept for all steps",
)
def denoiser_from_zero(schedule, slope, intercept):
    slope, intercept = (np.roll(np.broadcast_to(one, schedule.T + 1), 1) for one in (slope, intercept))
    return likelihood.linear_denoiser(schedule, slope, intercept)


@erratum(
    "reverse-variance-without-square",
    source="S1, line 605, where a + bA has the variance b",
    says=r"v_{t-1} = a_t v_t + \sigma_t^2",
    correct=r"v_{t-1} = a_t^2 v_t + \sigma_t^2",
    replaces="likelihood.linear_marginal",
    rejected_by="likelihood.linear_marginal",
    coincides="a_t = 1 and a_t = 0",
)
def marginal_without_square(schedule, slope, intercept, d, t=0, variance="beta", decoder_var="beta_1"):
    a, _, sigma_2 = steps(schedule, slope, intercept, variance, decoder_var)
    var = 1.0
    for s in range(schedule.T, t, -1):
        var = a[s] * var + sigma_2[s]
    right = likelihood.linear_marginal(schedule, slope, intercept, d, t, variance, decoder_var)
    return Gaussian(right.mean, var)


@erratum(
    "model-without-its-last-noise",
    source="S4, line 145, which takes the z = 0 of Algorithm 2 for a variance that is 0",
    says=r"v_0 = a_1^2 v_1",
    correct=r"v_0 = a_1^2 v_1 + \sigma_1^2: \text{ the sampler returns a mean, the model has a decoder}",
    replaces="likelihood.linear_marginal",
    rejected_by="likelihood.linear_marginal",
    coincides="at t > 0; it is the law of what the sampler returns",
)
def marginal_of_the_sampler(schedule, slope, intercept, d, t=0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_marginal(schedule, slope, intercept, d, t, variance, decoder_var)
    return Gaussian(right.mean, right.var - (reverse.decoder_var(schedule, decoder_var) if t == 0 else 0.0))


@erratum(
    "marginal-without-intercepts",
    source="a common slip",
    says=r"m_{t-1} = a_t m_t, \text{ so } m_t = 0",
    correct=r"m_{t-1} = a_t m_t + b_t",
    replaces="likelihood.linear_marginal",
    rejected_by="likelihood.linear_marginal",
    coincides="intercepts of 0: data of mean 0",
)
def marginal_without_intercepts(schedule, slope, intercept, d, t=0, variance="beta", decoder_var="beta_1"):
    return likelihood.linear_marginal(schedule, slope, 0.0, d, t, variance, decoder_var)


@erratum(
    "bound-for-likelihood",
    source="openai/improved-diffusion#33, where the sum of the bound answers the question for p(x_0)",
    says=r"\log p(x_0) = -(L_0 + L_1 + \cdots + L_T)",
    correct=r"\log p(x_0) \ge -(L_0 + L_1 + \cdots + L_T)",
    replaces="likelihood.linear_log_density",
    rejected_by="likelihood.linear_log_density",
    coincides="the exact reverse process, where the gap is 0",
)
def bound_as_log_density(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    return -likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var).total


@erratum(
    "log-density-of-the-sampler",
    source="S4, line 145, carried on into the likelihood",
    says=r"\log p(x_0) = \log \mathcal{N}(x_0; m_0, a_1^2 v_1 I)",
    correct=r"\log p(x_0) = \log \mathcal{N}(x_0; m_0, (a_1^2 v_1 + \sigma_1^2) I)",
    replaces="likelihood.linear_log_density",
    rejected_by="likelihood.linear_log_density",
    coincides="nearly for a beta_1 that is small beside the variance of the data",
)
def log_density_of_the_sampler(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    d = np.shape(x_0)[-1]
    return marginal_of_the_sampler(schedule, slope, intercept, d, 0, variance, decoder_var).log_density(x_0)


@erratum(
    "constants-dropped-in-closed-form",
    source="S3, lines 519, 547",
    says=r"L_{t-1} = \frac{1}{2\sigma_t^2}\,\mathbb{E}\Vert\tilde\mu_t - \mu\Vert^2",
    correct=r"L_{t-1} = \frac{1}{2\sigma_t^2}\,\mathbb{E}\Vert\tilde\mu_t - \mu\Vert^2 + d\,c_t",
    replaces="likelihood.linear_bound",
    rejected_by="likelihood.linear_bound",
    coincides="the variance beta_tilde",
)
def bound_without_constants(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    terms, t = right.terms.copy(), np.arange(2, schedule.T + 1)
    terms[2:] -= right.d * elbo.kl_constant(schedule, t, variance)[:, None]
    return elbo.Bound(right.reconstruction, terms, right.prior, right.d)


@erratum(
    "closed-form-l0-as-squared-error",
    source="a reading of Ho, Jain & Abbeel (2020), section 3.4; see lucidrains/denoising-diffusion-pytorch#30",
    says=r"L_0 = \frac{1}{2\sigma_1^2}\,\mathbb{E}\Vert x_0 - \mu(x_1, 1)\Vert^2",
    correct=r"L_0 = \frac{1}{2\sigma_1^2}\,\mathbb{E}\Vert x_0 - \mu(x_1, 1)\Vert^2 + \frac d2 \log 2\pi\sigma_1^2",
    replaces="likelihood.linear_bound",
    rejected_by="likelihood.linear_bound",
    coincides="in gradients; and where 2 pi sigma_1^2 = 1",
)
def bound_with_squared_error(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    constant = right.d / 2 * (LOG_2_PI + np.log(reverse.decoder_var(schedule, decoder_var)))
    return elbo.Bound(right.reconstruction - constant, right.terms, right.prior, right.d)


@erratum(
    "l0-is-the-entropy-of-x1",
    source="Sohl-Dickstein/Diffusion-Probabilistic-Models, model.py, whose first step is fixed, read as a rule",
    says=r"L_0 = H(x_1 \mid x_0) = \tfrac d2 \log 2\pi e\beta_1",
    correct=r"L_0 = -\mathbb{E}\log p(x_0 \mid x_1), \text{ which depends on } x_0 \text{ and on the model}",
    replaces="likelihood.linear_bound",
    rejected_by="likelihood.linear_bound",
    coincides="p(x_0 | x_1) = N(sqrt(alpha_1) x_1, beta_1 I) and E |x_0|^2 = d: there it is right on average",
)
def bound_with_entropy_of_x_1(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    entropy = right.d / 2 * (1 + LOG_2_PI + np.log(schedule.beta[1]))
    return elbo.Bound(np.full_like(right.prior, entropy), right.terms, right.prior, right.d)


@erratum(
    "mean-divergence-times-T",
    source="Sohl-Dickstein/Diffusion-Probabilistic-Models, model.py: one of T - 1 steps is drawn, and T the factor",
    says=r"L = L_0 + T \cdot \frac{1}{T - 1} \sum_{t=2}^T L_{t-1} + L_T",
    correct=r"L = L_0 + \sum_{t=2}^T L_{t-1} + L_T: \text{ there are } T - 1 \text{ divergences of steps}",
    replaces="likelihood.linear_bound",
    rejected_by="likelihood.linear_bound",
    coincides="nearly for large T: it is a part in T of the divergences",
)
def bound_times_one_step_more(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    return elbo.Bound(right.reconstruction, right.terms * schedule.T / (schedule.T - 1), right.prior, right.d)


def consistency(schedule, slope, intercept, x_0, variance, decoder_var, cov):
    """Return the bound in consistency form, with another covariance of x_t and x_{t+1}, over sqrt(alpha_{t+1})."""
    right = likelihood.linear_consistency_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    a, _, sigma_2 = steps(schedule, slope, intercept, variance, decoder_var)
    terms, t = right.terms.copy(), np.arange(1, schedule.T)
    missing = schedule.one_minus_alpha_bar[t] - cov[t]
    terms[t] += (right.d * a[t + 1] * np.sqrt(schedule.alpha[t + 1]) * missing / sigma_2[t + 1])[:, None]
    return elbo.Bound(right.reconstruction, terms, right.prior, right.d)


@erratum(
    "consistency-of-independent-neighbours",
    source="S0, line 87, where one factor of q(x_{t-1}, x_t, x_{t+1} | x_0) is missing",
    says=r"C_t \text{ with } x_t \text{ and } x_{t+1} \text{ drawn each from its own } q(\cdot \mid x_0)",
    correct=r"\operatorname{Cov}(x_t, x_{t+1} \mid x_0) = \sqrt{\alpha_{t+1}}\,(1 - \bar\alpha_t)\,I",
    replaces="likelihood.linear_consistency_bound",
    rejected_by="likelihood.linear_consistency_bound",
    coincides="a_{t+1} = 0, a model that does not look at x_{t+1}",
)
def consistency_of_independent(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    cov = np.zeros(schedule.T + 1)
    return consistency(schedule, slope, intercept, x_0, variance, decoder_var, cov)


@erratum(
    "closed-form-consistency-as-kl",
    source="S0, line 79; the reading of it that can be computed",
    says=r"C_t = \mathbb{E}_{q(x_{t-1}, x_{t+1} \mid x_0)}"
    r" \mathrm{KL}\left(q(x_t \mid x_{t-1}) \,\Vert\, p(x_t \mid x_{t+1})\right) \ge 0",
    correct=r"C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)}"
    r" \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}, \text{ which may be negative}",
    replaces="likelihood.linear_consistency_bound",
    rejected_by="likelihood.linear_consistency_bound",
    coincides="a_{t+1} = 0, a model that does not look at x_{t+1}",
)
def consistency_as_kl(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    # the x_t of the divergence shares with x_{t+1} only what both have from x_{t-1}
    cov = schedule.one_minus_alpha_bar - schedule.beta
    return consistency(schedule, slope, intercept, x_0, variance, decoder_var, cov)


@erratum(
    "consistency-is-the-next-divergence",
    source="a reading of S0, line 87, after which the consistency form is the denoising form without a closed form",
    says=r"C_t = L_t, \text{ the divergence of step } t + 1",
    correct=r"C_t = L_t + \tfrac d2 \log\frac{\tilde\beta_{t+1}}{\beta_t}",
    replaces="likelihood.linear_consistency_bound",
    rejected_by="likelihood.linear_consistency_bound",
    coincides="in gradients, and in the total if the prior part is L_T as well: the constants add up to 0",
)
def consistency_without_constants(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    right = likelihood.linear_consistency_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    denoising = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    terms = np.zeros_like(right.terms)
    terms[1:-1] = denoising.terms[2:]
    return elbo.Bound(right.reconstruction, terms, right.prior, right.d)


def mean_of(exponent):
    """Return the mean of the path that an exponent describes."""
    linear = exponent.linear
    return np.linalg.solve(exponent.precision, linear.reshape(len(linear), -1)).reshape(linear.shape)


def path(schedule, slope, intercept, x_0, variance, decoder_var):
    """Return the exponents of the model's and of the forward process in x_1..x_T."""
    model = exact._LinearModel(schedule, slope, intercept, variance, decoder_var)
    x_0 = np.asarray(x_0, dtype=float)
    return exact._exponent_of_model(schedule, model, x_0), exact._exponent_of_forward(schedule, x_0)


@erratum(
    "gap-with-arguments-exchanged",
    source="a common slip",
    says=r"L + \log p(x_0) = \mathrm{KL}\left(p(x_{1:T} \mid x_0) \,\Vert\, q(x_{1:T} \mid x_0)\right)",
    correct=r"L + \log p(x_0) = \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    replaces="likelihood.linear_gap",
    rejected_by="likelihood.linear_gap",
    coincides="0, and nearly where the gap is small",
)
def gap_exchanged(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    p, q = path(schedule, slope, intercept, x_0, variance, decoder_var)
    apart = mean_of(p) - mean_of(q)
    log_det = np.linalg.slogdet(p.precision)[1] - np.linalg.slogdet(q.precision)[1]
    spread = np.trace(np.linalg.solve(p.precision, q.precision)) - schedule.T + log_det
    square = np.einsum("snd,st,tnd->n", apart, q.precision, apart)
    return (np.shape(x_0)[-1] * spread + square) / 2


@erratum(
    "gap-is-the-sum-of-divergences",
    source="a common slip: the terms with KL in their name, taken for the KL of the gap",
    says=r"L + \log p(x_0) = L_1 + \cdots + L_T = \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T})\right)",
    correct=r"L + \log p(x_0) = \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    replaces="likelihood.linear_gap",
    rejected_by="likelihood.linear_gap",
    coincides="a decoder that does not look at x_1; with the exact reverse process the gap is 0, and their sum is not",
)
def gap_from_the_prior_path(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    bound = likelihood.linear_bound(schedule, slope, intercept, x_0, variance, decoder_var)
    return bound.between + bound.prior


@erratum(
    "second-moment-always-finite",
    source="a common slip: the formula of a Gaussian integral, its condition not looked at",
    says=r"\log\mathbb{E}[w^2] = c + \tfrac12 h^\top \Lambda^{-1} h + \tfrac T2 \log 2\pi - \tfrac12 \log|\det\Lambda|,"
    r" \qquad \Lambda = 2\Lambda_p - \Lambda_q \text{, since } \Lambda_p \succ 0",
    correct=r"\text{the same, where } 2\Lambda_p - \Lambda_q \succ 0, \text{ and } \infty \text{ elsewhere}",
    replaces="likelihood.linear_log_second_moment",
    rejected_by="likelihood.linear_log_second_moment",
    coincides="wherever E w^2 is finite. Where it is not, a sample still has a mean square: chance cannot tell",
    by_chance=False,
)
def second_moment_of_any_sign(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    p, q = path(schedule, slope, intercept, x_0, variance, decoder_var)
    precision, linear = 2 * p.precision - q.precision, 2 * p.linear - q.linear
    log_det = np.linalg.slogdet(precision)[1]
    square = np.einsum("snd,st,tnd->nd", linear, np.linalg.inv(precision), linear)
    each = 2 * p.constant - q.constant + (square + schedule.T * LOG_2_PI - log_det) / 2
    return each.sum(axis=-1)


@erratum(
    "second-moment-of-equal-weights",
    source="a common slip: weights whose logarithms vary little, taken for weights that do not vary",
    says=r"\mathbb{E}[w^2] = p(x_0)^2",
    correct=r"\mathbb{E}[w^2] = p(x_0)^2 + \operatorname{Var} w",
    replaces="likelihood.linear_log_second_moment",
    rejected_by="likelihood.linear_log_second_moment",
    coincides="the exact reverse process, whose weights do not vary",
)
def second_moment_of_equal_weights(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    return 2 * likelihood.linear_log_density(schedule, slope, intercept, x_0, variance, decoder_var)


@erratum(
    "weights-as-if-log-normal",
    source="a common slip: an expansion to second order, taken for an equality",
    says=r"\log\mathbb{E}[w^2] = 2\,\mathbb{E}\log w + 2 \operatorname{Var}\log w,"
    r" \qquad \operatorname{Var}\log w = 2\left(\log p(x_0) - \mathbb{E}\log w\right)",
    correct=r"\log w \text{ is a quadratic form in normals: skewed, and } \mathbb{E}[w^2] \text{ may be infinite}",
    replaces="likelihood.linear_log_second_moment",
    rejected_by="likelihood.linear_log_second_moment",
    coincides="nearly where the variance of log w is small",
)
def second_moment_of_log_normal(schedule, slope, intercept, x_0, variance="beta", decoder_var="beta_1"):
    log_p = likelihood.linear_log_density(schedule, slope, intercept, x_0, variance, decoder_var)
    return 2 * log_p + 2 * likelihood.linear_gap(schedule, slope, intercept, x_0, variance, decoder_var)


@erratum(
    "inequality-should-be-equality",
    source="S3, lines 273, 759",
    says=r"\mathbb{E}_{q(x_0)} \mathbb{E}_{q(x_{1:T} \mid x_0)}[-\log w] \le \mathbb{E}_{q(x_{0:T})}[-\log w],"
    r" \text{ as if a gap were left, say of a tenth of a nat}",
    correct=r"\mathbb{E}_{q(x_0)} \mathbb{E}_{q(x_{1:T} \mid x_0)}[-\log w] = \mathbb{E}_{q(x_{0:T})}[-\log w]"
    r" = L: \text{ only the first } \le \text{ is Jensen's}",
    replaces="likelihood.mixture_bound",
    rejected_by="likelihood.mixture_bound",
    coincides="never, if the sign is read as strict; as it stands it is true and says too little",
)
def bound_above_its_own_mean(*args, **kwargs):
    right = likelihood.mixture_bound(*args, **kwargs)
    return replace(right, between=right.between + 0.1)


@erratum(
    "bound-without-loss-floor",
    source="S3, lines 618-624, where a denoiser with no error at all is the minimum",
    says=r"\min \mathbb{E}\,L_{t-1} = d\,c_t, \qquad \min \mathbb{E}\,L_0 = \tfrac d2 \log 2\pi\sigma_1^2",
    correct=r"\min \mathbb{E}\,L_{t-1} = d\left[w_t\,\ell_t + c_t\right]:"
    r" \text{ no denoiser sees } x_0, \text{ only } x_t",
    replaces="likelihood.mixture_bound",
    rejected_by="likelihood.mixture_bound",
    coincides="data at one point",
)
def bound_without_floor(schedule, mixture, variance="beta", decoder_var="beta_1", *, eps_loss=None):
    right, t = (
        likelihood.mixture_bound(schedule, mixture, variance, decoder_var, eps_loss=eps_loss),
        np.arange(2, schedule.T + 1),
    )
    terms = np.zeros_like(right.terms)
    terms[2:] = right.d * elbo.kl_constant(schedule, t, variance)[:, None]
    reconstruction = right.d / 2 * (LOG_2_PI + np.log(reverse.decoder_var(schedule, decoder_var)))
    return elbo.Bound(np.array([reconstruction]), terms, right.prior, right.d)


@erratum(
    "ideal-bound-is-zero",
    source="S3, line 808, which takes the model whose log-ratios are 0 for one whose bound is 0",
    says=r"\min \mathbb{E}\,L = 0",
    correct=r"\min \mathbb{E}\,L \ge H(x_0), \text{ and no more only if the exact reverse process is Gaussian}",
    replaces="likelihood.mixture_bound",
    rejected_by="likelihood.mixture_bound",
    coincides="nowhere; the entropy of data may happen to be 0",
)
def bound_of_zero(schedule, mixture, variance="beta", decoder_var="beta_1", *, eps_loss=None):
    right = likelihood.mixture_bound(schedule, mixture, variance, decoder_var, eps_loss=eps_loss)
    return elbo.Bound(0 * right.reconstruction, 0 * right.terms, 0 * right.prior, right.d)


@erratum(
    "prior-term-at-the-mean",
    source="a common slip",
    says=r"\mathbb{E}\,L_T = L_T(\mathbb{E}\,x_0)",
    correct=r"\mathbb{E}\,L_T = L_T(\mathbb{E}\,x_0) + \tfrac12\,\bar\alpha_T \operatorname{tr}\operatorname{Cov}[x_0]",
    replaces="likelihood.mixture_bound",
    rejected_by="likelihood.mixture_bound",
    coincides="data at one point; nearly where alpha_bar_T is nearly 0",
)
def bound_with_prior_at_the_mean(schedule, mixture, variance="beta", decoder_var="beta_1", *, eps_loss=None):
    right = likelihood.mixture_bound(schedule, mixture, variance, decoder_var, eps_loss=eps_loss)
    prior = elbo.prior_term(schedule, mixture.mean)
    return elbo.Bound(right.reconstruction, right.terms, np.array([prior]), right.d)


@erratum(
    "entropy-bounds-exchanged",
    source="a common slip: the process runs backwards, so its bounds are turned round",
    says=r"\tfrac d2 \log 2\pi e\beta_t \le H(x_{t-1} \mid x_t) \le \tfrac d2 \log 2\pi e\tilde\beta_t",
    correct=r"\tfrac d2 \log 2\pi e\tilde\beta_t \le H(x_{t-1} \mid x_t) \le \tfrac d2 \log 2\pi e\beta_t",
    replaces="likelihood.reverse_entropy_bounds",
    rejected_by="likelihood.reverse_entropy_bounds",
    coincides="nearly for late t of long schedules",
)
def entropy_bounds_exchanged(schedule, d, t):
    return likelihood.reverse_entropy_bounds(schedule, d, t)[::-1]


@erratum(
    "entropy-of-the-posterior",
    source="S4, line 118, by which q(x_{t-1} | x_t) is q(x_{t-1} | x_t, x_0)",
    says=r"H(x_{t-1} \mid x_t) = H(x_{t-1} \mid x_t, x_0) = \tfrac d2 \log 2\pi e\tilde\beta_t",
    correct=r"H(x_{t-1} \mid x_t) = H(x_{t-1} \mid x_t, x_0) + I(x_{t-1}; x_0 \mid x_t)",
    replaces="likelihood.reverse_entropy_bounds",
    rejected_by="likelihood.reverse_entropy_bounds",
    coincides="data at one point",
)
def entropy_bounds_that_meet(schedule, d, t):
    lower, _ = likelihood.reverse_entropy_bounds(schedule, d, t)
    return lower, lower


@erratum(
    "entropy-with-std",
    source="S3, lines 474, 670, where sigma_t is beta_t",
    says=r"H = \tfrac d2 \log 2\pi e\sqrt{\beta_t}",
    correct=r"H = \tfrac d2 \log 2\pi e\beta_t",
    replaces="likelihood.reverse_entropy_bounds",
    rejected_by="likelihood.reverse_entropy_bounds",
    coincides="a variance of 1",
)
def entropy_bounds_of_std(schedule, d, t):
    unit = d / 2 * (1 + LOG_2_PI)
    return tuple((bound + unit) / 2 for bound in likelihood.reverse_entropy_bounds(schedule, d, t))
