r"""Wrong versions of importance weights and of what is made of them, as found in print and in code."""

import numpy as np

from refdiff import elbo, forward, likelihood, reverse
from refdiff.likelihood import Ais
from refdiff.verify.identity import erratum


@erratum(
    "log-of-mean-as-mean-of-logs",
    source="a common slip; of a bound, arahuja/generative-tf#1",
    says=r"\log\frac1K\sum_k w_k = \frac1K\sum_k \log w_k",
    correct=r"\log\frac1K\sum_k w_k \ge \frac1K\sum_k \log w_k, \text{ which estimates the bound and not } \log p(x_0)",
    replaces="likelihood.log_mean_weight",
    rejected_by="likelihood.log_mean_weight",
    coincides="where all weights are equal",
)
def mean_of_logs(log_weights):
    return np.mean(log_weights, axis=0)


@erratum(
    "weights-added-without-a-shift",
    source="OnlinePhylo/sts#30, which asks whether it may",
    says=r"\log\frac1K\sum_k w_k = \log\frac1K\sum_k \exp(\log w_k) \text{ in floating point}",
    correct=r"m + \log\frac1K\sum_k \exp(\log w_k - m), \quad m = \max_k \log w_k",
    replaces="likelihood.log_mean_weight",
    rejected_by="likelihood.log_mean_weight",
    coincides="for log-weights between -700 and 700 nats",
)
def mean_without_shift(log_weights):
    with np.errstate(over="ignore", divide="ignore", under="ignore", invalid="ignore"):
        return np.log(np.mean(np.exp(log_weights), axis=0))


@erratum(
    "weights-shifted-by-a-constant",
    source="stevengiacalone/triceratops#42, where the constant was 600",
    says=r"\log\frac1K\sum_k w_k = \log\frac1K\sum_k \exp(\log w_k + 600) - 600 \text{ in floating point}",
    correct=r"m + \log\frac1K\sum_k \exp(\log w_k - m), \quad m = \max_k \log w_k",
    replaces="likelihood.log_mean_weight",
    rejected_by="likelihood.log_mean_weight",
    coincides="for log-weights between -1300 and 100 nats",
)
def mean_with_constant_shift(log_weights):
    return mean_without_shift(log_weights + 600) - 600


@erratum(
    "one-maximum-for-all-points",
    source="a common slip; asked about in twitter-archive/torch-autograd#166",
    says=r"\log\frac1K\sum_k w_{ki} = m + \log\frac1K\sum_k \exp(\log w_{ki} - m), \quad m = \max_{k, i} \log w_{ki},"
    r" \text{ in floating point}",
    correct=r"m_i = \max_k \log w_{ki} \text{ for each point } i",
    replaces="likelihood.log_mean_weight",
    rejected_by="likelihood.log_mean_weight",
    coincides="for points whose log-weights differ by less than 700 nats",
)
def mean_with_common_shift(log_weights):
    shift = max(np.max(log_weights), -1e300)  # where all weights are 0
    return mean_without_shift(log_weights - shift) + shift


@erratum(
    "ess-of-weights-that-sum-to-one",
    source="pyprob/pyprob#36",
    says=r"\mathrm{ESS} = \frac{1}{\sum_k w_k^2}",
    correct=r"\mathrm{ESS} = \frac{(\sum_k w_k)^2}{\sum_k w_k^2}",
    replaces="likelihood.effective_sample_size",
    rejected_by="likelihood.effective_sample_size",
    coincides="for weights that sum to 1",
)
def ess_as_if_normalised(log_weights):
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        return 1 / np.sum(np.exp(2 * np.asarray(log_weights)), axis=0)


@erratum(
    "ess-from-variance-of-weights",
    source="Robert & Casella (2010), formula 4.3, as put right on xianblog.wordpress.com, 24 September 2010",
    says=r"\mathrm{ESS} = \frac{K}{1 + \operatorname{Var} w}",
    correct=r"\mathrm{ESS} = \frac{K}{1 + \operatorname{Var} w / \bar w^2}",
    replaces="likelihood.effective_sample_size",
    rejected_by="likelihood.effective_sample_size",
    coincides="for weights with mean 1",
)
def ess_from_variance(log_weights):
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return len(log_weights) / (1 + np.var(np.exp(log_weights), axis=0))


@erratum(
    "ess-squares-inside-the-sum",
    source="a common slip",
    says=r"\mathrm{ESS} = \frac{\sum_k w_k^2}{(\sum_k w_k)^2}",
    correct=r"\mathrm{ESS} = \frac{(\sum_k w_k)^2}{\sum_k w_k^2}",
    replaces="likelihood.effective_sample_size",
    rejected_by="likelihood.effective_sample_size",
    coincides="where one weight is all that counts",
)
def ess_upside_down(log_weights):
    return 1 / likelihood.effective_sample_size(log_weights)


def groups(log_weights, k):
    """Return the weights as (k, K / k, ...)."""
    log_weights = np.asarray(log_weights)
    return np.moveaxis(log_weights.reshape(-1, k, *log_weights.shape[1:]), 1, 0)


@erratum(
    "importance-weighted-bound-without-log-k",
    source="YosefLab/scVI-dev#8",
    says=r"L_k = -\mathbb{E}\log\sum_{j=1}^k w_j",
    correct=r"L_k = -\mathbb{E}\log\frac1k\sum_{j=1}^k w_j",
    replaces="likelihood.importance_weighted_bound",
    rejected_by="likelihood.importance_weighted_bound",
    coincides="at k = 1; otherwise it promises log k nats that are not there",
)
def bound_without_log_k(log_weights, k):
    return likelihood.importance_weighted_bound(log_weights, k) - np.log(k)


@erratum(
    "importance-weighted-bound-of-losses",
    source="YosefLab/scVI-dev#8, put right in scverse/scvi-tools#13; phlippe/CategoricalNF#2",
    says=r"L_k = \mathbb{E}\log\frac1k\sum_{j=1}^k e^{L^{(j)}}, \quad L^{(j)} = -\log w_j",
    correct=r"L_k = -\mathbb{E}\log\frac1k\sum_{j=1}^k e^{-L^{(j)}}",
    replaces="likelihood.importance_weighted_bound",
    rejected_by="likelihood.importance_weighted_bound",
    coincides="at k = 1; from there on it rises with k instead of falling",
)
def bound_of_losses(log_weights, k):
    return np.mean(likelihood.log_mean_weight(-groups(log_weights, k)), axis=0)


@erratum(
    "importance-weighted-bound-with-log-inside",
    source="arahuja/generative-tf#1",
    says=r"L_k = -\mathbb{E}\,\frac1k\sum_{j=1}^k \log w_j",
    correct=r"L_k = -\mathbb{E}\log\frac1k\sum_{j=1}^k w_j",
    replaces="likelihood.importance_weighted_bound",
    rejected_by="likelihood.importance_weighted_bound",
    coincides="at k = 1, and is L_1 at each other k",
)
def bound_with_log_inside(log_weights, k):
    return -np.mean(groups(log_weights, k), axis=(0, 1))


@erratum(
    "importance-weighted-bound-with-log-outside",
    source="a common slip",
    says=r"L_k = -\log\mathbb{E}\left[\frac1k\sum_{j=1}^k w_j\right]",
    correct=r"L_k = -\mathbb{E}\log\frac1k\sum_{j=1}^k w_j",
    replaces="likelihood.importance_weighted_bound",
    rejected_by="likelihood.importance_weighted_bound",
    coincides="where there is one group, k = K; it is that number at each other k",
)
def bound_with_log_outside(log_weights, k):
    return -likelihood.log_mean_weight(log_weights)


@erratum(
    "points-inside-the-logarithm",
    source="breze-no-salt/breze#85",
    says=r"\sum_i L_k(x_i) = -\mathbb{E}\log\frac1k\sum_{j=1}^k \prod_i w_{ji}",
    correct=r"\sum_i L_k(x_i) = -\sum_i \mathbb{E}\log\frac1k\sum_{j=1}^k w_{ji}",
    replaces="likelihood.importance_weighted_bound",
    rejected_by="likelihood.importance_weighted_bound",
    coincides="for one point",
)
def bound_with_points_inside(log_weights, k):
    log_weights = np.asarray(log_weights)
    if log_weights.ndim == 1:
        return likelihood.importance_weighted_bound(log_weights, k)
    n = log_weights.shape[1]
    return np.full(n, likelihood.importance_weighted_bound(log_weights.sum(axis=1), k) / n)


@erratum(
    "standard-error-of-log-weights",
    source="AI4LIFE-GROUP/OpenXAI#31, where it is put beside the log of a mean of scores",
    says=r"\operatorname{se} \log\hat p(x_0) = \frac{\operatorname{std} \log w}{\sqrt K}",
    correct=r"\operatorname{se} \log\hat p(x_0) = \frac{\operatorname{std} w}{\sqrt K\,\bar w}",
    replaces="likelihood.Ais.std_error",
    rejected_by="likelihood.ais_summary",
    coincides="to first order, where weights are nearly equal; it never warns of a heavy tail",
)
@property
def error_of_log_weights(self):
    return np.std(self.log_weights, axis=0) / np.sqrt(len(self.log_weights))


@erratum(
    "standard-error-in-proportion",
    source="lenstronomy/lenstronomy#841",
    says=r"\operatorname{se} \log\hat p(x_0) = \frac{\log\hat p(x_0)}{\sqrt{\mathrm{ESS}}}",
    correct=r"\frac{\operatorname{se} \hat p(x_0)}{\hat p(x_0)} \text{ is the error of the logarithm already: }"
    r" \sqrt{\frac{1}{K - 1}\left(\frac{K}{\mathrm{ESS}} - 1\right)}",
    replaces="likelihood.Ais.std_error",
    rejected_by="likelihood.ais_summary",
)
@property
def error_in_proportion(self):
    return self.log_density / np.sqrt(self.ess)


@erratum(
    "std-as-standard-error",
    source="a common slip",
    says=r"\operatorname{se} \log\hat p(x_0) = \frac{\operatorname{std} w}{\bar w}",
    correct=r"\operatorname{se} \log\hat p(x_0) = \frac{\operatorname{std} w}{\sqrt K\,\bar w}",
    replaces="likelihood.Ais.std_error",
    rejected_by="likelihood.ais_summary",
)
@property
def error_of_one_weight(self):
    return np.sqrt(len(self.log_weights)) * Ais(self.log_weights).std_error


@erratum(
    "bound-as-log-density",
    source="a common slip",
    says=r"\log\hat p(x_0) = \frac1K\sum_k \log w_k",
    correct=r"\log\hat p(x_0) = \log\frac1K\sum_k w_k",
    replaces="likelihood.Ais.log_density",
    rejected_by="likelihood.ais_summary",
    coincides="in the quasi-static limit, where log w does not vary",
)
@property
def bound_as_log_density(self):
    return -self.bound(1)


@erratum(
    "ess-of-all-points-together",
    source="a common slip",
    says=r"\mathrm{ESS} = \frac{(\sum_{k, i} w_{ki})^2}{\sum_{k, i} w_{ki}^2} \text{ for each point } i",
    correct=r"\mathrm{ESS}_i = \frac{(\sum_k w_{ki})^2}{\sum_k w_{ki}^2}",
    replaces="likelihood.Ais.ess",
    rejected_by="likelihood.ais_summary",
    coincides="for one point",
)
@property
def ess_of_all(self):
    return np.full(self.log_weights.shape[1], likelihood.effective_sample_size(self.log_weights.ravel()))


@erratum(
    "bound-of-all-chains",
    source="a common slip",
    says=r"L_k = -\log\frac1K\sum_{j=1}^K w_j \text{ for each } k",
    correct=r"L_k = -\frac kK \sum_{\text{groups}} \log\frac1k\sum_{j=1}^k w_j",
    replaces="likelihood.Ais.bound",
    rejected_by="likelihood.ais_summary",
    coincides="at k = K",
)
def bound_of_all_chains(self, k=1):
    return -self.log_density


def chains_of(schedule, x_0, rng, n_chains):
    """Return n_chains chains to each point, (T + 1, n_chains * n, d)."""
    return forward.walk(schedule, np.tile(x_0, (n_chains, 1)), rng)


def as_ais(log_weights, n_chains):
    """Return log-weights of all chains, one after the other, as Ais."""
    return Ais(np.reshape(log_weights, (n_chains, -1)))


@erratum(
    "weights-inverted",
    source="a common slip",
    says=r"w = \frac{q(x_{1:T} \mid x_0)}{p(x_{0:T})}",
    correct=r"w = \frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}",
    replaces="likelihood.ais",
    rejected_by="likelihood.jarzynski",
)
def ais_with_inverted_weights(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    return Ais(-likelihood.ais(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs).log_weights)


@erratum(
    "weight-without-prior",
    source="a common slip; of the evidence of any model, LaplacesDemonR/LaplacesDemon#43",
    says=r"p(x_0) = \mathbb{E}_q\left[\prod_{t=1}^T \frac{p(x_{t-1} \mid x_t)}{q(x_t \mid x_{t-1})}\right]",
    correct=r"p(x_0) = \mathbb{E}_q\left[p(x_T) \prod_{t=1}^T \frac{p(x_{t-1} \mid x_t)}{q(x_t \mid x_{t-1})}\right]",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
)
def ais_without_prior(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    work = elbo.undecomposed_on_chain(schedule, denoiser, chains_of(schedule, x_0, rng, n_chains), *args, **kwargs)
    return as_ais(-(work.reconstruction + work.between), n_chains)


@erratum(
    "weight-without-forward-factors",
    source="a common slip",
    says=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[p(x_{0:T})\right]",
    correct=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
)
def ais_without_forward_factors(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    chains = chains_of(schedule, x_0, rng, n_chains)
    log_w = -elbo.undecomposed_on_chain(schedule, denoiser, chains, *args, **kwargs).total
    for t in range(1, schedule.T + 1):
        log_w += forward.transition(schedule, chains[t - 1], t).log_density(chains[t])
    return as_ais(log_w, n_chains)


@erratum(
    "likelihood-from-one-reconstruction",
    source="hwalsuklee/tensorflow-generative-model-collections#13, there of one latent variable",
    says=r"p(x_0) \approx p(x_0 \mid x_1), \quad x_1 \sim q(x_1 \mid x_0)",
    correct=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[p(x_0 \mid x_1)"
    r"\,\frac{p(x_{1:T})}{q(x_{1:T} \mid x_0)}\right]",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
)
def ais_from_reconstruction(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    work = elbo.undecomposed_on_chain(schedule, denoiser, chains_of(schedule, x_0, rng, n_chains), *args, **kwargs)
    return as_ais(-work.reconstruction, n_chains)


@erratum(
    "weight-with-divergence-added",
    source="scverse/scvi-tools#369, there of one of two latent variables",
    says=r"\log w = \log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}"
    r" - \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, p(x_T)\right)",
    correct=r"\log w = \log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}, \text{ which has } p(x_T) \text{ in it already}",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
    coincides="nearly where alpha_bar_T is nearly 0",
)
def ais_with_prior_twice(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    found = likelihood.ais(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs)
    return Ais(found.log_weights - elbo.prior_term(schedule, x_0))


@erratum(
    "weights-divided-by-steps",
    source="tensorflow/probability#267, in a test",
    says=r"p(x_0) \approx \frac1T\sum_{k=1}^K w_k",
    correct=r"p(x_0) \approx \frac1K\sum_{k=1}^K w_k",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
    coincides="with as many chains as steps",
)
def ais_divided_by_steps(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    found = likelihood.ais(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs)
    return Ais(found.log_weights + np.log(n_chains / schedule.T))


@erratum(
    "chains-drawn-from-the-model",
    source="a common slip",
    says=r"p(x_0) = \mathbb{E}_{p(x_{1:T})}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]",
    correct=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]"
    r" = \mathbb{E}_{p(x_{1:T})}\left[p(x_0 \mid x_1)\right]",
    replaces="likelihood.ais",
    rejected_by="likelihood.jarzynski",
    coincides="for the exact reverse process, whose weights are p(x_0) on whatever path",
)
def ais_from_model(schedule, denoiser, x_0, rng, n_chains, variance="beta", *args, **kwargs):
    x_0 = np.tile(x_0, (n_chains, 1))
    chain = [rng.standard_normal(x_0.shape)]
    for t in range(schedule.T, 1, -1):
        chain.append(reverse.transition(schedule, denoiser, chain[-1], t, variance).sample(rng))
    chains = np.array([x_0, *reversed(chain)])
    return as_ais(-elbo.undecomposed_on_chain(schedule, denoiser, chains, variance, *args, **kwargs).total, n_chains)


@erratum(
    "steps-drawn-independently",
    source="a common slip, since the denoising form of the bound allows it",
    says=r"p(x_0) = \mathbb{E}_{\prod_t q(x_t \mid x_0)}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]",
    correct=r"p(x_0) = \mathbb{E}_{q(x_{1:T} \mid x_0)}\left[\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right],"
    r" \text{ the steps being those of one chain}",
    replaces="likelihood.ais",
    rejected_by="likelihood.ais",
    coincides="for the exact reverse process, whose weights are p(x_0) on whatever path",
)
def ais_from_independent_steps(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    x_0 = np.tile(x_0, (n_chains, 1))
    steps = [forward.marginal(schedule, x_0, t).sample(rng) for t in range(1, schedule.T + 1)]
    work = elbo.undecomposed_on_chain(schedule, denoiser, np.array([x_0, *steps]), *args, **kwargs)
    return as_ais(-work.total, n_chains)


@erratum(
    "bound-exponentiated",
    source="a common slip",
    says=r"p(x_0) = \mathbb{E}\,e^{-L}, \quad L = L_0 + \sum_{t=2}^T L_{t-1} + L_T"
    r" \text{ with divergences in closed form}",
    correct=r"p(x_0) = \mathbb{E}\,e^{-W}, \quad W = -\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}; \quad \mathbb{E} L ="
    r" \mathbb{E} W, \text{ but only } e^{-W} \text{ is unbiased}",
    replaces="likelihood.ais",
    rejected_by=("likelihood.ais", "likelihood.jarzynski"),
    coincides="in its mean -E log w, which is the bound",
)
def ais_from_divergences(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    bound = elbo.denoising_form(schedule, denoiser, np.tile(x_0, (n_chains, 1)), rng, *args, **kwargs)
    return as_ais(-bound.total, n_chains)


@erratum(
    "sampling-single-trajectory-claim",
    source="S3, line 255",
    says=r"p(x_0) = w \text{ for a single chain, since the steps are small}",
    correct=r"p(x_0) = \mathbb{E}\,w; \text{ from } x_0 \text{ to a given } \bar\alpha_T \text{ small steps are enough}"
    r" \text{ only if } p \text{ is the exact reverse process and } p(x_T) = q(x_T)",
    replaces="likelihood.ais",
    rejected_by="likelihood.ais",
    coincides="in its mean over repetitions, and in the quasi-static limit, where log w does not vary",
)
def ais_from_one_chain(schedule, denoiser, x_0, rng, n_chains, *args, **kwargs):
    one = likelihood.ais(schedule, denoiser, x_0, rng, 1, *args, **kwargs)
    return Ais(np.tile(one.log_weights, (n_chains, 1)))
