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
    Law,
    bent,
    bins_of,
    choices,
    close_in_nats,
    consistency_ratio,
    error_of_mean,
    expected,
    grid,
    integrated_ratio,
    judge_bins,
    knows,
    law_of_consistency_term,
    law_of_term,
    log_forward,
    log_p_of,
    log_ratio_law,
    log_tail,
    model_mean,
    model_var,
    named,
    on_bins,
    on_triple,
    posterior,
    timed,
    true_bins,
    true_term,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import gauss_hermite, log_normal, marginal, mean_log_ratio


@identity(
    "elbo.prior_term",
    judges="elbo.prior_term",
    states=r"L_T = \mathrm{KL}\left(q(x_T \mid x_0) \,\Vert\, \mathcal{N}(0, I)\right)"
    r" \qquad {} = \tfrac12\left[\bar\alpha_T \Vert x_0\Vert^2 - d\,\bar\alpha_T - d\log(1 - \bar\alpha_T)\right]",
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
    r" \qquad {} = \frac{\Vert\tilde\mu_t - \mu\Vert^2}{2\sigma_t^2}"
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
    states=r"-\log p(x_0 \mid x_1) \qquad {} = -\sum_i \log \int_{\delta_-(x_0^i)}^{\delta_+(x_0^i)}"
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


def points_for_each_step(case):
    """Return the steps 1..T - 1, each twice, and x_{t-1}, x_t, x_{t+1} anywhere, one row for each."""
    steps = np.tile(np.arange(1, case.T), 2)
    return steps, 2.0 * np.random.default_rng(case.T).standard_normal((3, len(steps), case.d))


@identity(
    "elbo.consistency_term",
    judges="elbo.consistency_term",
    states=r"C_t = \mathbb{E}_{q(x_{t-1}, x_t, x_{t+1} \mid x_0)} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}",
    source="Luo (2022), eq. 44",
    statistics=3,
    coincides="With one beta and a denoiser that does not look at t, step t + 1 taken for step t makes no difference.",
)
class ConsistencyTerm:
    """It is a difference of two log-densities that we can write down, at any three points; its mean over a chain is
    that of a quadratic form, whose noise we can list.

    The denoiser says another thing at each t: it must be asked about x_{t+1} at t + 1.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        steps, x = points_for_each_step(case)
        for variance, _ in choices(case):
            for kind, denoiser in (("affine", timed(case)), ("bent", bent(case))):
                term = claimed.elbo.consistency_term(case.schedule, denoiser, *x, steps, variance)
                truth = [consistency_ratio(case, denoiser, t, variance, *x[:, i]) for i, t in enumerate(steps)]
                close_in_nats(evidence, f"log q/p, one t per point, {kind}, {named(variance)}", term, np.array(truth))
            t = case.t - 1
            term = claimed.elbo.consistency_term(case.schedule, bent(case), *x, t, variance)
            truth = consistency_ratio(case, bent(case), t, variance, *x)
            close_in_nats(evidence, f"log q/p at one t, {named(variance)}", term, truth)
            close_in_nats(
                evidence,
                f"C_t, {named(variance)}",
                on_triple(ConsistencyTerm.at(claimed, case, t, variance), case, t),
                law_of_consistency_term(case, timed(case), t, variance).mean,
            )

    @staticmethod
    def at(claimed, case, t, variance):
        """Return the claimed term as a function of the three points."""
        return lambda *x: claimed.elbo.consistency_term(case.schedule, timed(case), *x, t, variance)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t = case.t - 1
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for variance, _ in choices(case):
            samples = consistency_ratio(case, timed(case), t, variance, *x[t - 1 : t + 2])
            claim = on_triple(ConsistencyTerm.at(claimed, case, t, variance), case, t)
            law = law_of_consistency_term(case, timed(case), t, variance)
            trial.quadratic(f"E log q/p, {named(variance)}", samples, claim, *law.axes)


@identity(
    "elbo.consistency_term_integrated",
    judges="elbo.consistency_term_integrated",
    states=r"\mathbb{E}_{q(x_t \mid x_{t-1}, x_{t+1})} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" \qquad {} = \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)"
    r" \qquad {} - \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, q(x_t \mid x_{t-1})\right)",
    source="the tower rule on Luo (2022), eq. 44",
    statistics=3,
    coincides="The divergence that is printed in its place, KL(q(x_t | x_{t-1}) || p(x_t | x_{t+1})), has another value"
    " and cannot be negative, as this can; it is least for another model.",
)
class ConsistencyTermIntegrated:
    """Between its neighbours x_t is normal, by conditioning the dense joint of the chain: the log-ratio is integrated
    over that by quadrature.

    Its mean must be that of the log-ratio itself, over walks.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        steps, (x_prev, _, x_next) = points_for_each_step(case)
        for variance, _ in choices(case):
            for kind, denoiser in (("affine", timed(case)), ("bent", bent(case))):
                term = claimed.elbo.consistency_term_integrated(
                    case.schedule, denoiser, x_prev, x_next, steps, variance
                )
                truth = [
                    integrated_ratio(case, denoiser, t, variance, x_prev[i], x_next[i]) for i, t in enumerate(steps)
                ]
                what = f"mean log q/p, one t per point, {kind}, {named(variance)}"
                close_in_nats(evidence, what, term, np.array(truth))
            t = case.t - 1
            term = claimed.elbo.consistency_term_integrated(case.schedule, bent(case), x_prev, x_next, t, variance)
            truth = integrated_ratio(case, bent(case), t, variance, x_prev, x_next)
            close_in_nats(evidence, f"mean log q/p at one t, {named(variance)}", term, truth)
            close_in_nats(
                evidence,
                f"C_t, {named(variance)}",
                on_triple(ConsistencyTermIntegrated.at(claimed, case, t, variance), case, t),
                law_of_consistency_term(case, timed(case), t, variance).mean,
            )

    @staticmethod
    def at(claimed, case, t, variance):
        """Return the claimed term as a function of the three points, the middle one not looked at."""
        return lambda x_prev, _, x_next: claimed.elbo.consistency_term_integrated(
            case.schedule, timed(case), x_prev, x_next, t, variance
        )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t = case.t - 1
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for variance, _ in choices(case):
            samples = consistency_ratio(case, timed(case), t, variance, *x[t - 1 : t + 2])
            claim = on_triple(ConsistencyTermIntegrated.at(claimed, case, t, variance), case, t)
            law = law_of_consistency_term(case, timed(case), t, variance)
            trial.quadratic(f"E log q/p, {named(variance)}", samples, claim, *law.axes)


@identity(
    "elbo.consistency_prior",
    judges="elbo.consistency_prior",
    states=r"\mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, \mathcal{N}(0, I)\right)"
    r" \qquad {} = \tfrac12\left[\alpha_T \Vert x_{T-1}\Vert^2 - d\,\alpha_T - d\log\beta_T\right]",
    source="Luo (2022), eq. 45",
    statistics=2,
    coincides="L_T of the denoising form is another number: on linear-1000 it is 2e-5 nats, this one 1.96 a coordinate,"
    " however well q(x_T | x_0) matches the prior. With T = 1 they are the same.",
)
class ConsistencyPrior:
    """A divergence is the mean of log q/p: by quadrature at given x_{T-1}, and over the last step of walks."""

    @staticmethod
    def exact(claimed, case, evidence):
        beta, x_prev = case.beta[-1], np.array([case.x_0, case.eps, case.x_t])
        truth = mean_log_ratio(math.sqrt(1 - beta) * x_prev, beta, 0.0 * x_prev, 1.0)
        close_in_nats(
            evidence, "KL(q(x_T | x_{T-1}) || N(0, I))", claimed.elbo.consistency_prior(case.schedule, x_prev), truth
        )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        T, beta, start = case.T, case.beta[-1], np.array(case.x_0)
        for name, x_0 in (("x_0", start), ("0", np.zeros(case.d))):  # at 0 there is less of x_{T-1} to hide behind
            x = walk(case.schedule, case.repeat(x_0, trial.n), trial.rng)
            log_q_over_p = log_forward(case, T, x[T - 1], x[T]) - log_normal(x[T], 0.0, 1.0)
            # the claim at x_{T-1}, averaged: it is a quadratic, and all coordinates may share their noise
            signal, var = marginal(case.beta, T - 1)
            claim = gauss_hermite(
                lambda x_prev: claimed.elbo.consistency_prior(case.schedule, x_prev), signal * x_0, var, nodes=4
            )
            law = Law(case, x_0).add(1, {T: 1.0, T - 1: -math.sqrt(1 - beta)}, 0.0, beta).add(-1, {T: 1.0}, 0.0, 1.0)
            trial.quadratic(f"E log q(x_T | x_{{T-1}}) / p(x_T) from {name}", log_q_over_p, claim, *law.axes)


@identity(
    "elbo.consistency_constant",
    judges="elbo.consistency_constant",
    states=r"C_t = L_t + d\,k_t, \qquad k_t = \tfrac12\log\frac{\tilde\beta_{t+1}}{\beta_t}, \qquad"
    r" k_T = \tfrac12\log\frac{1 - \bar\alpha_T}{\beta_T}, \qquad \sum_{t=1}^T k_t = 0",
    source="E log q(x_t | x_{t-1}) - E log q(x_t | x_{t+1}, x_0), entropies as in Cover & Thomas (2006), theorem 8.4.1",
    statistics=8,
    coincides="No gradient sees a constant: trained with either form, or with 0 in its place, a model is the same. So"
    " is the bound, since the T constants sum to 0; a single term is not.",
)
class ConsistencyConstant:
    """Both sides by quadrature: C_t over x_{t-1}, x_t, x_{t+1} as they follow each other, the denoising term over
    x_{t+1} alone; the difference must not depend on the model, affine or not, nor on its variance.

    On walks the model drops out of the difference of the two log-ratios, and a quadratic form is left.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        T, d = case.T, case.d
        found = claimed.elbo.consistency_constant(case.schedule, np.arange(1, T + 1))
        # a sine needs more nodes than the squares of an affine model
        models = ((timed(case), 4), (bent(case), 14), (timed(case), 4))
        for (variance, _), (denoiser, nodes) in zip(choices(case), models):
            gaps = [ConsistencyConstant.gap(case, denoiser, t, variance, nodes) / d for t in range(1, T)]
            gaps.append(ConsistencyConstant.gap_of_priors(case) / d)
            close_in_nats(evidence, f"(C_t - L_t) / d, {named(variance)}", found, np.array(gaps))
        close_in_nats(evidence, "sum over t", np.sum(found), 0.0)
        for t in (1, T):
            one = claimed.elbo.consistency_constant(case.schedule, t)
            close_in_nats(evidence, f"k at one t = {t}", one, gaps[t - 1])
        table = claimed.elbo.consistency_constant(case.schedule, [[T, 1], [1, T]])
        close_in_nats(evidence, "k at a table of t", table, np.array([[gaps[-1], gaps[0]], [gaps[0], gaps[-1]]]))

    @staticmethod
    def gap(case, denoiser, t, variance, nodes):
        """Return C_t - E KL(q(x_t | x_{t+1}, x_0) || p(x_t | x_{t+1}))."""
        ratio = on_triple(lambda *x: consistency_ratio(case, denoiser, t, variance, *x), case, t, nodes)
        x_0, (signal, var) = np.array(case.x_0), marginal(case.beta, t + 1)
        divergence = gauss_hermite(
            lambda x: true_term(case, t + 1, x_0, x, denoiser(x, t + 1), variance), signal * x_0, var, nodes + 4
        )
        return ratio - divergence

    @staticmethod
    def gap_of_priors(case):
        """Return E KL(q(x_T | x_{T-1}) || N(0, I)) - KL(q(x_T | x_0) || N(0, I))."""
        T, beta, (signal, var) = case.T, case.beta[-1], marginal(case.beta, case.T)
        late = expected(lambda x: mean_log_ratio(math.sqrt(1 - beta) * x, beta, 0.0 * x, 1.0), case, T - 1)
        x_0 = np.array(case.x_0)
        return late - mean_log_ratio(signal * x_0, var, 0.0 * x_0, 1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        T, x_0 = case.T, np.array(case.x_0)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        claim = case.d * claimed.elbo.consistency_constant(case.schedule, np.arange(1, T + 1))
        for t in range(1, T + 1):
            law = Law(case).add(1, {t: 1.0, t - 1: -math.sqrt(1 - case.beta[t - 1])}, 0.0, case.beta[t - 1])
            if t < T:
                mean, var = posterior(case, t + 1, x_0, x[t + 1])
                of_x_0, of_x_next = posterior(case, t + 1, 1.0, 0.0)[0], posterior(case, t + 1, 0.0, 1.0)[0]
                law.add(-1, {t: 1.0, t + 1: -of_x_next, 0: -of_x_0}, 0.0, var)
            else:
                signal, var = marginal(case.beta, T)
                mean = signal * x_0
                law.add(-1, {T: 1.0, 0: -signal}, 0.0, var)
            samples = log_forward(case, t, x[t - 1], x[t]) - log_normal(x[t], mean, var)
            trial.quadratic(f"E log q/q at t = {t}", samples, claim[t - 1], *law.axes)
