r"""Identities of the variational bound, judged by models that are Gaussian through and through.

With a linear denoiser every log-ratio is a quadratic form in normals: its expectation is exact by quadrature with a
few nodes, and its law is known, so that sampled log-ratios have a stated error rate. With a denoiser that knows x_0
every term is the same whatever x_t was drawn, so that even functions that draw are judged without chance.
"""

import math

import numpy as np
from scipy.integrate import quad

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import (
    DECODERS,
    VARIANCES,
    bins_of,
    close_in_nats,
    error_of_mean,
    expected,
    grid,
    judge_bins,
    knows,
    law_of_term,
    log_p_of,
    log_ratio_law,
    log_tail,
    model_mean,
    model_var,
    on_bins,
    posterior,
    true_bins,
    true_term,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, marginal, mean_log_ratio


@identity(
    "elbo.prior_term",
    judges="elbo.prior_term",
    states=r"L_T = \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, \mathcal{N}(0, I)\right)"
    r" = \tfrac12\left[\bar\alpha_T \Vert x_0\Vert^2 - d\,\bar\alpha_T - d\log(1 - \bar\alpha_T)\right]",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=2,
    coincides="On linear-1000 with unit x_0 it is 2e-5 nats: to drop it there shows in no digit that is printed.",
)
class PriorTerm:
    """A divergence is the mean of log q/p: by quadrature, and over walks to x_T."""

    @staticmethod
    def exact(claimed, case, evidence):
        signal, var = marginal(case.beta, case.T)
        x_0 = np.array([case.x_0, case.eps])
        truth = mean_log_ratio(signal * x_0, var, 0.0 * x_0, 1.0)
        close_in_nats(evidence, "KL(q(x_T | x_0) || N(0, I))", claimed.elbo.prior_term(case.schedule, x_0), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        signal, var = marginal(case.beta, case.T)
        square = np.full(case.d, (var - 1) / 2)
        for name, x_0 in (("x_0", np.array(case.x_0)), ("0", np.zeros(case.d))):  # at 0 only the variance counts
            x_T = walk(case.schedule, case.repeat(x_0, trial.n), trial.rng)[-1]
            log_ratio = log_normal(x_T, signal * x_0, var) - log_normal(x_T, 0.0, 1.0)
            claim = claimed.elbo.prior_term(case.schedule, x_0)
            linear = signal * x_0 * math.sqrt(var)
            trial.quadratic(f"E log q(x_T | x_0) / p(x_T) from {name}", log_ratio, claim, linear, square)


@identity(
    "elbo.denoising_term",
    judges="elbo.denoising_term",
    states=r"\mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)"
    r" = \frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}"
    r" + \frac d2\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]",
    source="Ho, Jain & Abbeel (2020), eq. 5 and 8",
    statistics=4,
    coincides="With the variance beta_tilde the bracket is 0, so to drop it is no error. With beta_t it is .12 nats a"
    " coordinate at t = 2 of linear-1000, and below 1e-4 from t = 100 on.",
)
class DenoisingTerm:
    """The divergence is the mean of log q/p, and on a walk both conditionals are Gaussians that we can write down.

    Once with the linear denoiser, where x_t matters, and once with one that knows x_0, where only the constant is left.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, x_t = np.array(case.x_0), np.array(case.x_t)
        for variance in VARIANCES:
            for t in range(2, case.T + 1):
                term = claimed.elbo.denoising_term(case.schedule, case.denoiser, x_0, x_t, t, variance)
                truth = true_term(case, t, x_0, x_t, case.denoiser(x_t, t), variance)
                close_in_nats(evidence, f"KL at t = {t}, {variance}", term, truth)
        steps, many = np.arange(2, case.T + 1), np.tile(x_0, (case.T - 1, 1))
        term = claimed.elbo.denoising_term(case.schedule, knows(case, x_0, 1.0), many, many, steps)
        truth = [true_term(case, t, x_0, x_0, knows(case, x_0, 1.0)(x_0, t), "beta") for t in steps]
        close_in_nats(evidence, "KL with one t per point", term, np.array(truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0 = case.t, np.array(case.x_0)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        mean, var = posterior(case, t, x_0, x[t])
        log_q = log_normal(x[t - 1], mean, var)
        for variance in VARIANCES:
            var_p = model_var(case, t, variance)
            for name, denoiser in (("linear", case.denoiser), ("knows x_0", knows(case, x_0, 0.5))):
                log_p = log_normal(x[t - 1], model_mean(case, t, x[t], denoiser(x[t], t)), var_p)
                claim = expected(
                    lambda x_t, denoiser=denoiser, variance=variance: claimed.elbo.denoising_term(
                        case.schedule, denoiser, x_0, x_t, t, variance
                    ),
                    case,
                    t,
                )
                if name == "linear":
                    error, slope = error_of_mean(case, t)
                else:
                    at = denoiser(x_0, t)
                    error, slope = posterior(case, t, x_0, x_0)[0] - model_mean(case, t, x_0, at), np.zeros(case.d)
                law = log_ratio_law(error, slope, var, var_p)
                trial.quadratic(f"E log q/p, {name}, {variance}", log_q - log_p, claim, *law)


@identity(
    "elbo.reconstruction_gaussian",
    judges="elbo.reconstruction_term",
    states=r"L_0 = -\mathbb{E}_{q(x_1 \mid x_0)} \log \mathcal{N}\left(x_0; \mu(x_1, 1), \sigma_1^2 I\right),"
    r" \qquad \sigma_1^2 = \beta_1 \text{ or } \tilde\beta_2 \text{ or as you choose}",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=2,
    coincides="beta_tilde_1 = 0 is no choice: it makes L_0 infinite. The squared error alone is right only where"
    " 2 pi sigma_1^2 = 1.",
)
class ReconstructionGaussian:
    """At t = 1 the model's mean is its guess of x_0; the cost of x_0 under a normal around it is a quadratic form."""

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, x_1 = np.array([case.x_0, case.eps]), np.array([case.x_t, case.x_0])
        mean = model_mean(case, 1, x_1, case.denoiser(x_1, 1))
        for decoder, var in [(name, model_var(case, 1, name)) for name in DECODERS] + [(case.var_p, case.var_p)]:
            cost = claimed.elbo.reconstruction_term(case.schedule, case.denoiser, x_0, x_1, decoder_var=decoder)
            close_in_nats(evidence, f"-log p(x_0 | x_1), {decoder}", cost, -log_normal(x_0, mean, var))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = np.array(case.x_0)
        x_1 = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)[1]
        mean = model_mean(case, 1, x_1, case.denoiser(x_1, 1))
        for decoder in DECODERS:
            var = model_var(case, 1, decoder)
            claim = expected(
                lambda x, decoder=decoder: claimed.elbo.reconstruction_term(
                    case.schedule, case.denoiser, x_0, x, decoder_var=decoder
                ),
                case,
                1,
            )
            law = law_of_term(case, 1, var)
            trial.quadratic(f"-E log p(x_0 | x_1), {decoder}", -log_normal(x_0, mean, var), claim, *law)


@identity(
    "elbo.reconstruction_discretized",
    judges="elbo.reconstruction_term",
    states=r"-\log p(x_0 \mid x_1) = -\sum_i \log \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)}"
    r" \mathcal{N}\left(x; \mu^i(x_1, 1), \sigma_1^2\right) dx",
    source="Ho, Jain & Abbeel (2020), eq. 13",
    statistics=3,
)
class ReconstructionDiscretized:
    """A decoder is a way to make data: draw from its Gaussian, round, clip, and count how often each value comes."""

    @staticmethod
    def exact(claimed, case, evidence):
        bins = bins_of(case)
        x_0, x_1 = on_bins(case, bins), np.array(case.x_t) / 3
        mean = model_mean(case, 1, x_1, case.denoiser(x_1, 1))
        for decoder in DECODERS:
            std = math.sqrt(model_var(case, 1, decoder))
            cost = claimed.elbo.reconstruction_term(
                case.schedule, case.denoiser, x_0, x_1, "discretized", decoder, bins
            )
            close_in_nats(evidence, f"-log p(x_0 | x_1), {decoder}", cost, -log_p_of(x_0, mean, std, bins))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        bins = bins_of(case)
        every, x_1 = grid(bins)[:, None], np.full((bins, 1), case.x_t[0] / 3)
        cost = claimed.elbo.reconstruction_term(case.schedule, case.denoiser, every, x_1, "discretized", "beta_1", bins)
        mean = model_mean(case, 1, x_1[0], case.denoiser(x_1[0], 1))
        samples = mean + math.sqrt(case.beta[0]) * trial.rng.standard_normal(trial.n)
        judge_bins(trial, -np.asarray(cost), samples, bins)


@identity(
    "elbo.discretized_log_likelihood",
    judges="elbo.discretized_log_likelihood",
    states=r"\log p(x) = \sum_i \log \int_{\delta_-(x_i)}^{\delta_+(x_i)} \mathcal{N}(u; \mu_i, \sigma^2)\,du, \qquad"
    r" \delta_\pm(x) = x \pm \tfrac{1}{B - 1}, \quad \delta_+(1) = \infty, \quad \delta_-(-1) = -\infty",
    source="Ho, Jain & Abbeel (2020), eq. 13",
    statistics=3,
    coincides="Density times width agrees to 1e-4 where the bins are narrow beside the standard deviation and the ends"
    " far away. The tanh approximation of the CDF, common in code, is off by at most 1.8e-4 in probability: no number"
    " of samples that one would draw shows that, only the exact route.",
)
class DiscretizedLogLikelihood:
    """Rounding to the nearest value and clipping is what open outer bins describe: so much is their probability.

    Without chance: they sum to 1, each is a difference of error functions and an integral of the density, and for a
    tiny standard deviation they follow the tail of the normal law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        mean, std = case.x_t[0] / 3, math.sqrt(case.var_q) / 2
        log_p = claimed.elbo.discretized_log_likelihood
        for bins in (bins_of(case), 256):
            values = grid(bins)[:, None]
            found = log_p(values, np.full((bins, 1), mean), std, bins)
            close_in_nats(evidence, f"log p of all {bins} bins", found, true_bins(mean, std, bins))
            evidence.close(f"sum of p over {bins} bins", np.exp(found).sum(), 1.0)

        bins = bins_of(case)
        x, means = on_bins(case, bins), np.array(case.eps) / 3
        truth = log_p_of(x, means, std, bins)
        close_in_nats(evidence, "log p of a point, summed over its coordinates", log_p(x, means, std, bins), truth)

        low, high = grid(bins)[1] - 1 / (bins - 1), grid(bins)[1] + 1 / (bins - 1)
        area, _ = quad(lambda u: math.exp(log_normal([u], mean, std**2)), low, high, epsabs=0, epsrel=1e-11)
        inner = log_p(grid(bins)[[1]], np.array([mean]), std, bins)
        evidence.close("p of an inner bin as an integral", np.exp(inner), area, 1e-10)  # what quad promises

        tiny = 1e-6  # from the middle bin's centre to the edge of another: at least 1e4 standard deviations
        far = np.array([[1.0], [-1.0], [grid(bins)[1]]])
        centre = np.full((3, 1), grid(bins)[bins // 2])
        edge = (np.abs(far - centre)[:, 0] - 1 / (bins - 1)) / tiny
        truth = np.array([log_tail(distance) for distance in edge])
        evidence.close("log p in the far tail", log_p(far, centre, tiny, bins), truth, 1e-9)  # the edge has 10 digits

    @staticmethod
    def monte_carlo(claimed, case, trial):
        bins, mean, std = bins_of(case), case.x_t[0] / 3, math.sqrt(case.var_q) / 2
        log_p = claimed.elbo.discretized_log_likelihood(grid(bins)[:, None], np.full((bins, 1), mean), std, bins)
        judge_bins(trial, log_p, mean + std * trial.rng.standard_normal(trial.n), bins)


@identity(
    "elbo.kl_constant",
    judges="elbo.kl_constant",
    states=r"c_t = \tfrac12\left[\frac{\tilde\beta_t}{\sigma_t^2} - 1 - \log\frac{\tilde\beta_t}{\sigma_t^2}\right]",
    source="the C of Ho, Jain & Abbeel (2020), eq. 8",
    statistics=1,
    coincides="It is 0 where sigma_t^2 = beta_tilde_t, so that to leave it out is then no error.",
)
class KLConstant:
    """What is left of the divergence where the means agree: the mean of log q/p over residuals of a walk."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps, zero = np.arange(2, case.T + 1), np.zeros(1)
        for variance in VARIANCES:
            truth = np.array(
                [
                    mean_log_ratio(zero, model_var(case, t, "posterior"), zero, model_var(case, t, variance))
                    for t in steps
                ]
            )
            close_in_nats(evidence, f"c_t, {variance}", claimed.elbo.kl_constant(case.schedule, steps, variance), truth)
            one = claimed.elbo.kl_constant(case.schedule, case.t, variance)
            close_in_nats(evidence, f"c at one t, {variance}", one, truth[case.t - 2])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0 = case.t, np.array(case.x_0)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        mean, var = posterior(case, t, x_0, x[t])
        residual = (x[t - 1] - mean).reshape(-1, 1)
        log_ratio = log_normal(residual, 0.0, var) - log_normal(residual, 0.0, case.beta[t - 1])
        claim = claimed.elbo.kl_constant(case.schedule, t)
        trial.quadratic("E log q/p of the residual", log_ratio, claim, [0.0], [(var / case.beta[t - 1] - 1) / 2])
