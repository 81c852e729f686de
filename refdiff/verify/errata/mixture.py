r"""Wrong versions of the mixture truth: above all, of the reverse kernel that x_0 is needed for and is not known."""

import numpy as np

from refdiff.bayes import posterior
from refdiff.mixture import GaussianMixture, PointwiseMixture, log_components, log_sum_exp
from refdiff.parameterize import x_0_from_eps
from refdiff.verify.identity import erratum


def one_gaussian(mean, var):
    """Return a Gaussian as a mixture of one; a point mass as one so narrow that it makes no difference."""
    var = np.maximum(np.broadcast_to(var, mean.shape), 1e-12)
    return PointwiseMixture(np.ones((*mean.shape[:-1], 1)), mean[..., None, :], var[..., None, :])


@erratum(
    "reverse-equals-posterior",
    source="S4, line 118",
    says=r"q(x_{t-1} \mid x_t) = q(x_{t-1} \mid x_t, x_0)",
    correct=r"q(x_{t-1} \mid x_t) = \int q(x_{t-1} \mid x_t, x_0)\,q(x_0 \mid x_t)\,dx_0",
    replaces="mixture.GaussianMixture.reverse_kernel",
    rejected_by="mixture.reverse_kernel",
    coincides="data at one point",
)
def reverse_without_x_0(self, schedule, x_t, t):
    x_0 = np.broadcast_to(self.mean, np.shape(x_t))  # if x_0 made no difference, any x_0 would do
    q = posterior(schedule, x_0, x_t, t)
    return one_gaussian(q.mean, q.var)


@erratum(
    "network-noise-gives-the-posterior",
    source="S1, lines 583-589; S4, line 140",
    says=r"q(x_{t-1} \mid x_t, \hat x_0) \text{ with } \hat x_0 = \mathbb{E}[x_0 \mid x_t]"
    r" \text{ is the law of } x_{t-1}, \text{ so its variance is } \tilde\beta_t",
    correct=r"\operatorname{Var}[x_{t-1} \mid x_t] = \tilde\beta_t"
    r" + \left(\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t}\right)^2 \operatorname{Var}[x_0 \mid x_t]",
    replaces="mixture.GaussianMixture.reverse_kernel",
    rejected_by=("mixture.reverse_kernel", "mixture.gaussian_limit"),
    coincides="the mean is right; the variance is for data at one point",
)
def posterior_of_the_expected_x_0(self, schedule, x_t, t):
    q = posterior(schedule, self.posterior_x_0(schedule, x_t, t).mean, x_t, t)
    return one_gaussian(q.mean, q.var)


@erratum(
    "reverse-kernel-is-normal",
    source="S4, lines 114-119, where it is assumed; that beta_t must be small is said at line 108",
    says=r"q(x_{t-1} \mid x_t) = \mathcal{N}\left(\mathbb{E}[x_{t-1} \mid x_t],\;"
    r" \operatorname{Var}[x_{t-1} \mid x_t]\right)",
    correct=r"\text{a mixture; its skewness goes to 0 as } \beta_t^{3/2}",
    replaces="mixture.GaussianMixture.reverse_kernel",
    rejected_by="mixture.gaussian_limit",
    coincides="mean and variance are right; all of it is for Gaussian data, and nearly for small beta_t",
)
def reverse_with_the_same_moments(self, schedule, x_t, t):
    q = GaussianMixture.reverse_kernel(self, schedule, x_t, t)
    return one_gaussian(q.mean, q.var)


@erratum(
    "zero-is-attainable",
    source="S3, lines 618-624",
    says=r"\min_\theta \mathbb{E}\Vert\tilde\mu_t - \mu_\theta(x_t, t)\Vert^2 = 0,"
    r" \text{ hence } \operatorname{Var}[x_0 \mid x_t] = 0",
    correct=r"\mu_\theta(x_t, t) = \mathbb{E}[\tilde\mu_t \mid x_t]"
    r" \text{ at best, and } \operatorname{Var}[x_0 \mid x_t] > 0 \text{ is left}",
    replaces="mixture.GaussianMixture.posterior_x_0",
    rejected_by=("mixture.posterior_x_0", "mixture.loss_floor"),
    coincides="data at one point",
)
def x_0_determined_by_x_t(self, schedule, x_t, t):
    eps = self.denoiser(schedule)(x_t, t)
    return one_gaussian(x_0_from_eps(schedule, x_t, eps, t), 0.0)


@erratum(
    "eps-is-the-score",
    source="S3, line 652",
    says=r"\epsilon^*(x_t, t) = \nabla_{x_t} \log q(x_t)",
    correct=r"\epsilon^*(x_t, t) = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)",
    replaces="mixture.GaussianMixture.denoiser",
    rejected_by=("mixture.denoiser", "mixture.loss_floor"),
    coincides="where the score is 0",
)
def score_as_denoiser(self, schedule):
    def denoiser(x_t, t):
        eps = GaussianMixture.denoiser(self, schedule)(x_t, t)
        return -eps / schedule.noise_rate[schedule.index(t, x_t)]

    return denoiser


@erratum(
    "model-not-given-t",
    source="S4, lines 43 and 97",
    says=r"\hat\epsilon(x_t), \text{ at best } \mathbb{E}[\epsilon \mid x_t]"
    r" \text{ over all } t \text{ that } x_t \text{ may belong to}",
    correct=r"\hat\epsilon(x_t, t)",
    replaces="mixture.GaussianMixture.denoiser",
    rejected_by="mixture.denoiser",
    coincides="T = 1",
)
def denoiser_without_t(self, schedule):
    steps = range(1, schedule.T + 1)

    def denoiser(x_t, t):  # t is not looked at
        eps = np.stack([GaussianMixture.denoiser(self, schedule)(x_t, s) for s in steps])
        log_q = np.stack([self.diffused(schedule, s).log_density(x_t) for s in steps])
        chance = np.exp(log_q - log_q.max(axis=0))
        return np.sum((chance / chance.sum(axis=0))[..., None] * eps, axis=0)

    return denoiser


@erratum(
    "score-without-the-log",
    source="S3, line 652",
    says=r"\text{the score is the gradient of the density, } \nabla_x q(x)",
    correct=r"\nabla_x \log q(x) = \nabla_x q(x) \,/\, q(x)",
    replaces="mixture.GaussianMixture.score",
    rejected_by="mixture.score",
    coincides="where the density is 1, and where the score is 0",
)
def gradient_of_the_density(self, x):
    return np.exp(self.log_density(x))[..., None] * GaussianMixture.score(self, x)


@erratum(
    "mixture-of-logs",
    source="a common slip",
    says=r"\log q(x) = \sum_k w_k \log \mathcal{N}(x; m_k, v_k)",
    correct=r"\log q(x) = \log \sum_k w_k\,\mathcal{N}(x; m_k, v_k)",
    replaces="mixture.GaussianMixture.log_density",
    rejected_by="mixture.log_density",
    coincides="one component; otherwise it is lower, by Jensen's inequality",
)
def mean_of_logs(self, x):
    log_weighted = log_components(np.asarray(x), self.weights, self.means, self.variances)
    return (log_weighted - np.log(self.weights)) @ self.weights


@erratum(
    "mixture-var-within-only",
    source="a common slip",
    says=r"\operatorname{Var}[x] = \sum_k w_k v_k",
    correct=r"\operatorname{Var}[x] = \sum_k w_k \left(v_k + m_k^2\right) - \mathbb{E}[x]^2",
    replaces="mixture.GaussianMixture.var",
    rejected_by="mixture.moments",
    coincides="components with one mean",
)
@property
def variance_within_components(self):
    return self.weights @ self.variances


@erratum(
    "mixture-sample-by-var",
    source="a common slip",
    says=r"x = m_k + v_k\,z",
    correct=r"x = m_k + \sqrt{v_k}\,z",
    replaces="mixture.GaussianMixture.sample",
    rejected_by="mixture.sample",
    coincides="v_k = 1",
)
def sample_by_variance(self, n, rng):
    k = rng.choice(len(self.weights), size=n, p=self.weights)
    return self.means[k] + self.variances[k] * rng.standard_normal((n, self.means.shape[1]))


@erratum(
    "mixture-sample-is-a-blend",
    source="a common slip",
    says=r"x = \sum_k w_k \left(m_k + \sqrt{v_k}\,z_k\right)",
    correct=r"x = m_k + \sqrt{v_k}\,z \text{ with } k \sim w",
    replaces="mixture.GaussianMixture.sample",
    rejected_by="mixture.sample",
    coincides="one component; the mean is always right",
)
def sum_of_components(self, n, rng):
    z = rng.standard_normal((n, *self.means.shape))
    return np.sum(self.weights[:, None] * (self.means + np.sqrt(self.variances) * z), axis=1)


@erratum(
    "diffused-components-keep-their-width",
    source="a common slip",
    says=r"\operatorname{Var}[x_t \mid k] = v_k + 1 - \bar\alpha_t",
    correct=r"\operatorname{Var}[x_t \mid k] = \bar\alpha_t v_k + 1 - \bar\alpha_t",
    replaces="mixture.GaussianMixture.diffused",
    rejected_by="mixture.diffused",
    coincides="t = 0",
)
def noise_without_shrinking(self, schedule, t):
    variances = self.variances + schedule.one_minus_alpha_bar[t]
    return GaussianMixture(self.weights, schedule.signal_rate[t] * self.means, variances)


@erratum(
    "pointwise-var-within-only",
    source="a common slip",
    says=r"\operatorname{Var}[y \mid x] = \sum_k r_k v_k",
    correct=r"\operatorname{Var}[y \mid x] = \sum_k r_k \left(v_k + (m_k - \mathbb{E}[y \mid x])^2\right)",
    replaces="mixture.PointwiseMixture.var",
    rejected_by="mixture.pointwise_moments",
    coincides="where one component has all the weight",
)
@property
def pointwise_variance_within_components(self):
    return np.sum(self.weights[..., None] * self.variances, axis=-2)


@erratum(
    "pointwise-density-unweighted",
    source="a common slip",
    says=r"q(y \mid x) = \frac1K \sum_k \mathcal{N}(y; m_k, v_k)",
    correct=r"q(y \mid x) = \sum_k r_k(x)\,\mathcal{N}(y; m_k, v_k)",
    replaces="mixture.PointwiseMixture.log_density",
    rejected_by="mixture.pointwise_log_density",
    coincides="equal weights",
)
def unweighted_density(self, y):
    equal = np.full_like(self.weights, 1 / self.weights.shape[-1])
    return log_sum_exp(log_components(np.asarray(y), equal, self.means, self.variances))


@erratum(
    "pointwise-sample-likeliest",
    source="a common slip",
    says=r"k = \operatorname{arg\,max}_k r_k(x)",
    correct=r"k \sim r(x)",
    replaces="mixture.PointwiseMixture.sample",
    rejected_by="mixture.pointwise_sample",
    coincides="where one component has nearly all the weight",
)
def sample_of_the_likeliest(self, rng):
    k = np.argmax(self.weights, axis=-1)[..., None, None]
    mean = np.take_along_axis(self.means, k, axis=-2)[..., 0, :]
    var = np.take_along_axis(self.variances, k, axis=-2)[..., 0, :]
    return mean + np.sqrt(var) * rng.standard_normal(mean.shape)


@erratum(
    "posterior-x-0-keeps-prior-weights",
    source="a common slip",
    says=r"q(x_0 \mid x_t) = \sum_k w_k\,q(x_0 \mid x_t, k)",
    correct=r"q(x_0 \mid x_t) = \sum_k r_k(x_t)\,q(x_0 \mid x_t, k), \qquad r_k(x_t) \propto w_k\,q(x_t \mid k)",
    replaces="mixture.GaussianMixture.posterior_x_0",
    rejected_by="mixture.posterior_x_0",
    coincides="one component; late t, when x_t has forgotten where it came from",
)
def origin_with_prior_weights(self, schedule, x_t, t):
    right = GaussianMixture.posterior_x_0(self, schedule, x_t, t)
    return PointwiseMixture(np.broadcast_to(self.weights, right.weights.shape), right.means, right.variances)
