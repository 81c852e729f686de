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
    source="S4, lines 43, 97; S3, line 631, on its left-hand side",
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
    "n-plus-one-samples",
    source="S3, line 110",
    says=r"N \text{ inputs } \{x_0^n\}_{n=0}^N \sim q(x_0)",
    correct=r"N \text{ inputs } \{x_0^n\}_{n=1}^N \sim q(x_0): \text{ those from 0 to } N \text{ are } N + 1",
    replaces="mixture.GaussianMixture.sample",
    rejected_by="mixture.sample",
    coincides="in the law of each point, which is all that chance can see",
    by_chance=False,
)
def sample_from_zero_to_n(self, n, rng):
    return np.concatenate([GaussianMixture.sample(self, 1, rng) for _ in range(n + 1)])


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


@erratum(
    "expectation-at-the-mean",
    source="a common slip",
    says=r"\mathbb{E}[f(x)] = f(\mathbb{E}[x])",
    correct=r"\mathbb{E}[f(x)] = \int f(x)\,q(x)\,dx",
    replaces="mixture.GaussianMixture.expectation",
    rejected_by="mixture.expectation",
    coincides="f that is affine",
)
def f_of_the_mean(self, f, tolerance=1e-10):
    return f(self.mean[None])[0]


@erratum(
    "expectation-of-one-gaussian",
    source="a common slip",
    says=r"\mathbb{E}[f(x)] = \int f(x)\,\mathcal{N}\left(x; \mathbb{E}[x], \operatorname{Var}[x]\right) dx",
    correct=r"\mathbb{E}[f(x)] = \int f(x)\,q(x)\,dx",
    replaces="mixture.GaussianMixture.expectation",
    rejected_by="mixture.expectation",
    coincides="one component; otherwise f that is a polynomial of degree 2, without products of coordinates",
)
def expectation_of_matched_moments(self, f, tolerance=1e-10):
    return GaussianMixture([1.0], [self.mean], [self.var]).expectation(f, tolerance)


@erratum(
    "expectation-with-equal-weights",
    source="a common slip",
    says=r"\mathbb{E}[f(x)] = \frac1K \sum_k \mathbb{E}_{\mathcal{N}(m_k, v_k)}[f(x)]",
    correct=r"\mathbb{E}[f(x)] = \sum_k w_k\,\mathbb{E}_{\mathcal{N}(m_k, v_k)}[f(x)]",
    replaces="mixture.GaussianMixture.expectation",
    rejected_by="mixture.expectation",
    coincides="equal weights",
)
def expectation_without_weights(self, f, tolerance=1e-10):
    K = len(self.weights)
    return GaussianMixture(np.full(K, 1 / K), self.means, self.variances).expectation(f, tolerance)


@erratum(
    "quadrature-never-refined",
    source="a common slip",
    says=r"\int f(x)\,q(x)\,dx = h \sum_i f(x_i)\,q(x_i) \text{ with } h = \min_k \sqrt{v_k}",
    correct=r"h \text{ is halved until nothing changes: } f \text{ may ask for more than the density does}",
    replaces="mixture.GaussianMixture.expectation",
    rejected_by="mixture.expectation",
    coincides="to 5e-9 for each of the narrowest components, if f is as smooth as a polynomial: no number of samples"
    " shows that",
    by_chance=False,
)
def one_coarse_grid(self, f, tolerance=1e-10):
    std = np.sqrt(self.variances)
    low, high, step = (self.means - 10 * std).min(axis=0), (self.means + 10 * std).max(axis=0), std.min(axis=0)
    axes = [np.arange(*one) for one in zip(low, high, step, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return np.tensordot(np.exp(self.log_density(x)), f(x), axes=1) * step.prod()


@erratum(
    "entropy-in-bits",
    source="a common slip",
    says=r"H[q] = -\mathbb{E}[\log_2 q(x)] \text{ nats}",
    correct=r"H[q] = -\mathbb{E}[\ln q(x)] \text{ nats}",
    replaces="mixture.GaussianMixture.entropy",
    rejected_by="mixture.entropy",
    coincides="an entropy of 0",
)
def entropy_in_bits(self):
    return GaussianMixture.entropy(self) / np.log(2)


@erratum(
    "entropy-is-the-mean-of-the-components",
    source="a common slip; ericsiyuanma/530Project, calculate_entropy.py, calls it the expected value of entropy",
    says=r"H[q] = \sum_k w_k\,H[\mathcal{N}(m_k, v_k)]",
    correct=r"H[q] = \sum_k w_k\,H[\mathcal{N}(m_k, v_k)] + H[w] - H[k \mid x]",
    replaces="mixture.GaussianMixture.entropy",
    rejected_by="mixture.entropy",
    coincides="components that are all alike; otherwise it is too low",
)
def mean_entropy_of_components(self):
    return float(self.weights @ np.log(2 * np.pi * np.e * self.variances).sum(axis=1) / 2)


@erratum(
    "entropy-of-component-and-point",
    source="a common slip; in Huber et al. (2008) it is an upper bound",
    says=r"H[q] = \sum_k w_k\,H[\mathcal{N}(m_k, v_k)] + H[w] = H[k, x]",
    correct=r"H[q] = H[k, x] - H[k \mid x]",
    replaces="mixture.GaussianMixture.entropy",
    rejected_by="mixture.entropy",
    coincides="components so far apart that a point tells its own",
)
def joint_entropy(self):
    return mean_entropy_of_components(self) - float(self.weights @ np.log(self.weights))


@erratum(
    "entropy-of-one-gaussian",
    source="a common slip",
    says=r"H[q] = \tfrac12 \sum_i \log\left(2\pi e \operatorname{Var}[x_i]\right)",
    correct=r"H[q] = -\mathbb{E}[\log q(x)]",
    replaces="mixture.GaussianMixture.entropy",
    rejected_by="mixture.entropy",
    coincides="one component; otherwise it is too high, since no law of that covariance has more",
)
def entropy_of_matched_moments(self):
    return float(np.log(2 * np.pi * np.e * self.var).sum() / 2)


@erratum(
    "eps-loss-summed",
    source="a common slip",
    says=r"\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2",
    correct=r"\tfrac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2",
    replaces="mixture.GaussianMixture.eps_loss",
    rejected_by="mixture.eps_loss",
    coincides="d = 1",
)
def eps_loss_summed(self, schedule):
    return self.means.shape[1] * GaussianMixture.eps_loss(self, schedule)


@erratum(
    "eps-loss-at-clean-data",
    source="a common slip",
    says=r"1 - \tfrac1d\,\mathbb{E}_{q(x_0)} \Vert\epsilon^*(x_0, t)\Vert^2",
    correct=r"1 - \tfrac1d\,\mathbb{E}_{q(x_t)} \Vert\epsilon^*(x_t, t)\Vert^2",
    replaces="mixture.GaussianMixture.eps_loss",
    rejected_by="mixture.eps_loss",
    coincides="data N(0, I), which diffusion leaves as they are",
)
def eps_loss_at_clean_data(self, schedule):
    denoiser, steps = self.denoiser(schedule), range(1, schedule.T + 1)
    said = [self.expectation(lambda x, t=t: np.mean(denoiser(x, t) ** 2, axis=-1)) for t in steps]
    return np.array([0.0, *(1 - one for one in said)])


@erratum(
    "eps-loss-of-zero",
    source="S3, lines 618-624, where a denoiser without error is the minimum",
    says=r"\min \mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 = 0",
    correct=r"\min \mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2"
    r" = \mathbb{E}\operatorname{tr}\operatorname{Cov}[\epsilon \mid x_t] > 0",
    replaces="mixture.GaussianMixture.eps_loss",
    rejected_by="mixture.eps_loss",
    coincides="data at one point; nearly for late t",
)
def eps_loss_of_zero(self, schedule):
    return np.zeros(schedule.T + 1)


@erratum(
    "eps-loss-of-one-gaussian",
    source="a common slip",
    says=r"\frac1d \sum_i \frac{\bar\alpha_t \operatorname{Var}[x_0^i]}"
    r"{\bar\alpha_t \operatorname{Var}[x_0^i] + 1 - \bar\alpha_t}",
    correct=r"1 - (1 - \bar\alpha_t)\,\tfrac1d\,\mathbb{E}\Vert\nabla \log q(x_t)\Vert^2,"
    r" \text{ which is smaller unless } q(x_t) \text{ is normal}",
    replaces="mixture.GaussianMixture.eps_loss",
    rejected_by="mixture.eps_loss",
    coincides="one component; nearly for late t",
)
def eps_loss_of_matched_moments(self, schedule):
    return GaussianMixture([1.0], [self.mean], [self.var]).eps_loss(schedule)
