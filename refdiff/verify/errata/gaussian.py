r"""Wrong versions of Gaussian facts: variances for standard deviations, sums without independence, lost constants."""

import numpy as np

from refdiff.gaussian import FullGaussian, Gaussian, from_natural, kl, kl_equal_var, linear_combination, product
from refdiff.verify.identity import erratum

LOG_2_PI = np.log(2 * np.pi)


@erratum(
    "covariance-parenthesis",
    source="S3, line 145",
    says=r"\mathcal{N}(x_t; \sqrt{\alpha_t}\,x_{t-1}, 1 - \alpha_t I)",
    correct=r"\mathcal{N}(x_t; \sqrt{\alpha_t}\,x_{t-1}, (1 - \alpha_t) I)",
    replaces="gaussian.Gaussian.log_density",
    rejected_by="gaussian.log_density",
    coincides="d = 1; beyond that the matrix printed has ones off its diagonal and an eigenvalue -alpha_t, so that what"
    " is taken here for its density, with the size of its determinant, is none",
)
def density_of_one_minus_alpha_i(self, x):
    d, alpha = self.mean.shape[-1], 1 - self.var.flat[0]
    printed, residual = 1 - alpha * np.eye(d), x - self.mean
    squares = np.sum(residual * np.linalg.solve(printed, residual[..., None])[..., 0], axis=-1)
    return -0.5 * (d * LOG_2_PI + np.log(np.abs(np.linalg.det(printed))) + squares)


@erratum(
    "log-density-up-to-a-constant",
    source="a common slip: the squared error taken for the log-likelihood",
    says=r"\log\mathcal{N}(x; \mu, \sigma^2) = -\sum_i \frac{(x_i - \mu_i)^2}{2\sigma_i^2}",
    correct=r"-\tfrac12 \sum_i \left[\log 2\pi\sigma_i^2 + \frac{(x_i - \mu_i)^2}{\sigma_i^2}\right]",
    replaces="gaussian.Gaussian.log_density",
    rejected_by="gaussian.log_density",
    coincides="sigma^2 = 1 / (2 pi)",
)
def log_density_without_normaliser(self, x):
    return -np.sum((x - self.mean) ** 2 / (2 * self.var), axis=-1)


@erratum(
    "entropy-without-e",
    source="a common slip: the log-density at the mean taken for its average",
    says=r"H = \tfrac12 \sum_i \log 2\pi\sigma_i^2",
    correct=r"H = \tfrac12 \sum_i \log 2\pi e\sigma_i^2",
    replaces="gaussian.Gaussian.entropy",
    rejected_by="gaussian.entropy",
    coincides="never: 1/2 nat is missing in each coordinate",
)
def entropy_at_the_mean(self):
    return 0.5 * np.sum(LOG_2_PI + np.log(self.var), axis=-1)


@erratum(
    "affine-gaussian-variance",
    source="S1, line 605",
    says=r"A \sim \mathcal{N}(0, 1) \Rightarrow a + bA \sim \mathcal{N}(a, b)",
    correct=r"a + bA \sim \mathcal{N}(a, b^2)",
    replaces="gaussian.Gaussian.sample",
    rejected_by="gaussian.sample",
    coincides="b = 1",
)
def sample_with_var_for_std(self, rng):
    return self.mean + self.var * rng.standard_normal(self.mean.shape)


@erratum(
    "uniform-sample",
    source="acids-ircam/diffusion_models, diffusion_02_model.ipynb, forward_process; its issues #1 and #8",
    says=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \beta_t u, \quad u \sim \mathcal{U}[0, 1]",
    correct=r"x_t = \sqrt{\alpha_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon, \quad \epsilon \sim \mathcal{N}(0, I)",
    replaces="gaussian.Gaussian.sample",
    rejected_by="gaussian.sample",
    coincides="never",
)
def sample_uniform(self, rng):
    return self.mean + self.var * rng.random(self.mean.shape)


@erratum(
    "one-noise-for-all-coordinates",
    source="a common slip: the noise drawn with one entry a point",
    says=r"x_i = \mu_i + \sigma_i z \text{ with one } z",
    correct=r"x_i = \mu_i + \sigma_i z_i, \quad z_i \text{ independent}",
    replaces="gaussian.Gaussian.sample",
    rejected_by="gaussian.sample",
    coincides="d = 1, and in mean and variance of each coordinate",
)
def sample_with_one_noise(self, rng):
    return self.mean + self.std * rng.standard_normal((*self.mean.shape[:-1], 1))


@erratum(
    "kl-constant-dropped",
    source="S3, lines 519, 547; likewise the text of labmlai/annotated_deep_learning_paper_implementations, ddpm",
    says=r"L_{t-1} = \mathrm{KL} = \frac{\Vert \tilde\mu_t - \mu_\theta \Vert^2}{2\sigma_t^2}",
    correct=r"\frac{\Vert \tilde\mu_t - \mu_\theta \Vert^2}{2\sigma_t^2} + \frac d2\left["
    r"\log\frac{\sigma_t^2}{\tilde\beta_t} + \frac{\tilde\beta_t}{\sigma_t^2} - 1\right]",
    replaces="gaussian.kl",
    rejected_by="gaussian.kl",
    coincides="equal variances",
)
def kl_without_constant(q, p):
    return np.sum((q.mean - p.mean) ** 2 / (2 * p.var), axis=-1)


@erratum(
    "kl-reversed",
    source="a common slip: the divergence is not symmetric",
    says=r"\mathrm{KL}(q \Vert p) = \mathbb{E}_p \log\frac{p}{q}",
    correct=r"\mathrm{KL}(q \Vert p) = \mathbb{E}_q \log\frac{q}{p}",
    replaces="gaussian.kl",
    rejected_by="gaussian.kl",
    coincides="equal variances",
)
def kl_reversed(q, p):
    return kl(p, q)


@erratum(
    "llr-missing-square",
    source="S3, line 518",
    says=r"\log\frac qp = -\frac{(x - \tilde\mu_t)^2}{2\sigma_t} + \frac{(x - \mu_\theta)^2}{2\sigma_t^2}",
    correct=r"-\frac{(x - \tilde\mu_t)^2}{2\sigma_t^2} + \frac{(x - \mu_\theta)^2}{2\sigma_t^2}"
    r" \text{ where } \tilde\beta_t = \sigma_t^2",
    replaces="gaussian.kl_equal_var",
    rejected_by="gaussian.kl_equal_var",
    coincides="sigma = 1",
)
def mean_llr_missing_square(q, p):
    missing = -0.5 * np.sum(q.std, axis=-1) + 0.5 * q.mean.shape[-1]  # E_q of what the two first terms differ by
    return kl_equal_var(q, p) + missing


@erratum(
    "cross-entropy-at-the-mean",
    source="a common slip: an expectation replaced by the value at the mean",
    says=r"-\mathbb{E}_q \log p = -\log p(\mu_q)",
    correct=r"-\mathbb{E}_q \log p = -\log p(\mu_q) + \sum_i \frac{\sigma_{q,i}^2}{2\sigma_{p,i}^2}",
    replaces="gaussian.cross_entropy",
    rejected_by="gaussian.cross_entropy",
    coincides="never: q would have to be a point mass",
)
def cross_entropy_at_the_mean(q, p):
    return -p.log_density(q.mean)


@erratum(
    "bits-vs-nats",
    source="S3, line 750",
    says=r"-\sum_i p_i \ln p_i \text{ is the average number of bits}",
    correct=r"\text{bits} = \text{nats} / \ln 2",
    replaces="gaussian.bits",
    rejected_by="gaussian.bits",
    coincides="0",
)
def bits_are_nats(nats):
    return np.asarray(nats)


@erratum(
    "gaussian-sum-without-independence",
    source="S1, line 89; also S3, line 163 and S0, line 44",
    says=r"A + B \sim \mathcal{N}(\mu_1 + \mu_2, \sigma_1^2 + \sigma_2^2)",
    correct=r"A + B \sim \mathcal{N}(\mu_1 + \mu_2, \sigma_1^2 + \sigma_2^2 + 2\operatorname{Cov}(A, B))",
    replaces="gaussian.linear_combination",
    rejected_by="gaussian.linear_combination",
    coincides="independent summands, which x_t and x_{t-1} are not",
)
def sum_without_covariance(a, p, b, q, cov=0.0):
    return Gaussian(a * p.mean + b * q.mean, a**2 * p.var + b**2 * q.var)


@erratum(
    "weighted-gaussian-sum",
    source="S4, line 194",
    says=r"aX + bY \sim \mathcal{N}(a\mu_1 + b\mu_2, (\sigma_1^2 + \sigma_2^2) I)",
    correct=r"aX + bY \sim \mathcal{N}(a\mu_1 + b\mu_2, (a^2\sigma_1^2 + b^2\sigma_2^2) I)",
    replaces="gaussian.linear_combination",
    rejected_by="gaussian.linear_combination",
    coincides="a^2 = b^2 = 1",
)
def sum_without_weights(a, p, b, q, cov=0.0):
    return Gaussian(a * p.mean + b * q.mean, p.var + q.var + 2 * a * b * cov)


@erratum(
    "one-epsilon-in-a-sum",
    source="S2, lines 33-43",
    says=r"\sqrt{\alpha_t (1 - \alpha_{t-1})}\,\epsilon + \sqrt{1 - \alpha_t}\,\epsilon \text{ with one } \epsilon",
    correct=r"\text{independent noises: the variances add, not the standard deviations}",
    replaces="gaussian.linear_combination",
    rejected_by="gaussian.linear_combination",
    coincides="one of the two weights is 0",
)
def sum_of_one_noise(a, p, b, q, cov=0.0):
    return Gaussian(a * p.mean + b * q.mean, (a * p.std + b * q.std) ** 2)


@erratum(
    "guidance-weights-that-do-not-add-up",
    source="the text of labmlai/annotated_deep_learning_paper_implementations, stable_diffusion/sampler, see its #177;"
    " the code beside it is right",
    says=r"\hat\epsilon = s\,\hat\epsilon_c + (s - 1)\,\hat\epsilon_u",
    correct=r"\hat\epsilon = s\,\hat\epsilon_c + (1 - s)\,\hat\epsilon_u: \text{ a sum } aX + bY"
    r" \text{ with } a + b = 1, \text{ here with the sign of } b \text{ lost}",
    replaces="gaussian.linear_combination",
    rejected_by="gaussian.linear_combination",
    coincides="s = 1, where nothing is added; and in the variance of independent X and Y",
)
def sum_with_the_sign_of_a_weight_lost(a, p, b, q, cov=0.0):
    return linear_combination(a, p, -b, q, cov)


@erratum(
    "square-without-its-half",
    source="a common slip in completing the square: the 1/2 in front of the bracket is lost",
    says=r"\exp(-\tfrac12(P x^2 - 2hx)) \propto \mathcal{N}\left(\frac hP, \frac{1}{2P}\right)",
    correct=r"\mathcal{N}\left(\frac hP, \frac1P\right)",
    replaces="gaussian.from_natural",
    rejected_by="gaussian.from_natural",
    coincides="in the mean",
)
def natural_with_half_the_variance(precision, precision_mean):
    q = from_natural(precision, precision_mean)
    return Gaussian(q.mean, q.var / 2)


@erratum(
    "product-as-sum",
    source="a common slip: the product of two densities taken for the law of a sum",
    says=r"\mathcal{N}(x; \mu_p, \sigma_p^2)\,\mathcal{N}(x; \mu_q, \sigma_q^2)"
    r" \propto \mathcal{N}(x; \mu_p + \mu_q, \sigma_p^2 + \sigma_q^2)",
    correct=r"\text{precisions add, not variances}",
    replaces="gaussian.product",
    rejected_by="gaussian.product",
    coincides="never",
)
def product_as_sum(p, q):
    return Gaussian(p.mean + q.mean, p.var + q.var), product(p, q)[1]


@erratum(
    "product-is-normalised",
    source="a common slip: the product of two densities taken for a density",
    says=r"Z = 1",
    correct=r"Z = \mathcal{N}(\mu_p; \mu_q, \sigma_p^2 + \sigma_q^2)",
    replaces="gaussian.product",
    rejected_by="gaussian.product",
    coincides="in mean and variance",
)
def product_without_normaliser(p, q):
    both, log_z = product(p, q)
    return both, np.zeros_like(log_z)


@erratum(
    "joint-as-product-of-marginals",
    source="a common slip: the steps of a chain taken as independent",
    says=r"\log q(x_{1:T} \mid x_0) = \sum_t \log q(x_t \mid x_0)",
    correct=r"\log q(x_{1:T} \mid x_0) = \sum_t \log q(x_t \mid x_{t-1})",
    replaces="gaussian.FullGaussian.log_density",
    rejected_by="gaussian.full_log_density",
    coincides="diagonal covariances",
)
def density_of_marginals(self, x):
    return Gaussian(self.mean, np.diag(self.cov)).log_density(x)


@erratum(
    "entropy-of-marginals",
    source="a common slip: entropies added as if the coordinates were independent",
    says=r"H = \tfrac12 \sum_i \log 2\pi e K_{ii}",
    correct=r"H = \tfrac12 \log\det(2\pi e K)",
    replaces="gaussian.FullGaussian.entropy",
    rejected_by="gaussian.full_entropy",
    coincides="diagonal covariances",
)
def entropy_of_marginals(self):
    return float(Gaussian(self.mean, np.diag(self.cov)).entropy())


@erratum(
    "cholesky-transposed",
    source="a common slip: z L for z L' where points are rows",
    says=r"x^\top = m^\top + z^\top L",
    correct=r"x^\top = m^\top + z^\top L^\top, \quad L L^\top = K",
    replaces="gaussian.FullGaussian.sample",
    rejected_by="gaussian.full_sample",
    coincides="diagonal covariances",
)
def sample_with_transposed_factor(self, n, rng):
    return self.mean + rng.standard_normal((n, self.mean.size)) @ np.linalg.cholesky(self.cov)


@erratum(
    "covariance-as-factor",
    source="a common slip: the covariance in the place of its root",
    says=r"x = m + K z",
    correct=r"x = m + L z, \quad L L^\top = K",
    replaces="gaussian.FullGaussian.sample",
    rejected_by="gaussian.full_sample",
    coincides="K = I",
)
def sample_with_covariance(self, n, rng):
    return self.mean + rng.standard_normal((n, self.mean.size)) @ self.cov


@erratum(
    "conditioning-keeps-the-covariance",
    source="a common slip: only the mean is updated",
    says=r"\operatorname{Cov}[x_A \mid x_B] = K_{AA}",
    correct=r"\operatorname{Cov}[x_A \mid x_B] = K_{AA} - K_{AB} K_{BB}^{-1} K_{BA}",
    replaces="gaussian.FullGaussian.condition",
    rejected_by="gaussian.condition",
    coincides="A and B independent",
)
def condition_only_the_mean(self, known, value):
    rest = np.setdiff1d(np.arange(self.mean.size), known)
    law = FullGaussian(self.mean, self.cov).condition(known, value)
    return FullGaussian(law.mean, self.cov[np.ix_(rest, rest)])


@erratum(
    "kl-of-marginals",
    source="a common slip: a full divergence computed from the diagonals",
    says=r"\mathrm{KL}(q \Vert p) = \sum_i \mathrm{KL}(q_i \Vert p_i)",
    correct=r"\tfrac12\left[\operatorname{tr}(K_p^{-1} K_q) - d + (m_p - m_q)^\top K_p^{-1} (m_p - m_q)"
    r" + \log\frac{\det K_p}{\det K_q}\right]",
    replaces="gaussian.full_kl",
    rejected_by="gaussian.full_kl",
    coincides="diagonal covariances",
)
def kl_of_marginals(q, p):
    return float(kl(Gaussian(q.mean, np.diag(q.cov)), Gaussian(p.mean, np.diag(p.cov))))
