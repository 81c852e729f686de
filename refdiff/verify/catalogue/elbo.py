r"""Identities of the variational bound, judged by models that are Gaussian through and through.

With a linear denoiser every log-ratio is a quadratic form in normals: its expectation is exact by quadrature with a
few nodes, and its law is known, so that sampled log-ratios have a stated error rate. With a denoiser that knows x_0
every term is the same whatever x_t was drawn, so that even functions that draw are judged without chance.
"""

import math

import numpy as np
from scipy.integrate import quad

from refdiff.forward import walk
from refdiff.verify.identity import identity
from refdiff.verify.oracles import gauss_hermite, log_normal, marginal, mean_log_ratio, path_weights

NODES = 4  # Gauss-Hermite nodes: exact to degree 7, where 2 is needed
VARIANCES = ("beta", "posterior")
DECODERS = ("beta_1", "beta_tilde_2")
LETTERS = (1, 2, 2)  # code lengths, in bits, of letters with probabilities 1/2, 1/4, 1/4


def posterior(case, t, x_0, x_t):
    """Return mean and variance of x_{t-1} given x_t and x_0 by the Schur complement, for any number of points."""
    start, noise = path_weights(case.beta)
    gain = noise[t - 1] @ noise[t] / (noise[t] @ noise[t])
    mean = start[t - 1] * x_0 + gain * (x_t - start[t] * x_0)
    return mean, noise[t - 1] @ noise[t - 1] - gain * (noise[t - 1] @ noise[t])


def model_mean(case, t, x_t, eps_hat):
    """Return the mean of p(x_{t-1} | x_t): that of the posterior, with the x_0 that eps_hat speaks of."""
    signal, var = marginal(case.beta, t)
    return posterior(case, t, (x_t - math.sqrt(var) * eps_hat) / signal, x_t)[0]


def model_var(case, t, variance):
    """Return the variance of p(x_{t-1} | x_t), or of p(x_0 | x_1), by the name of its choice."""
    if variance in ("beta", "beta_1"):
        return case.beta[t - 1]
    return posterior(case, 2 if variance == "beta_tilde_2" else t, 0.0, 0.0)[1]


def knows(case, x_0, offset=0.0):
    """Return the denoiser that knows x_0, and errs by `offset`: what it costs does not depend on x_t."""
    start, noise = path_weights(case.beta)
    std = np.sqrt((noise**2).sum(axis=1))

    def denoiser(x_t, t):
        t = np.asarray(t)
        return (x_t - start[t][..., None] * x_0) / std[t][..., None] + offset

    return denoiser


def true_term(case, t, x_0, x_t, eps_hat, variance):
    """Return KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))."""
    return mean_log_ratio(
        *posterior(case, t, x_0, x_t), model_mean(case, t, x_t, eps_hat), model_var(case, t, variance)
    )


def expected(f, case, t):
    """Return the mean of f(x_t) over q(x_t | x_0), for an f that is a sum over coordinates of quadratics."""
    signal, var = marginal(case.beta, t)
    return gauss_hermite(f, signal * np.array(case.x_0), var, nodes=NODES)


def error_of_mean(case, t):
    """Return E and slope of the error of the model's mean, posterior mean - model mean, in the noise of x_t.

    Both means are affine in x_t, so the error is E + slope z with x_t = E x_t + std z.
    """
    signal, var = marginal(case.beta, t)
    x_0, std = np.array(case.x_0), math.sqrt(var)

    def error(z):
        x_t = signal * x_0 + std * z
        return posterior(case, t, x_0, x_t)[0] - model_mean(case, t, x_t, case.denoiser(x_t, t))

    return error(0.0), error(1.0) - error(0.0)


def law_of_term(case, t, var):
    r"""Return g and h of |E + slope z|^2 / (2 var), the part of a term that depends on x_t."""
    mean, slope = error_of_mean(case, t)
    return mean * slope / var, slope**2 / (2 * var)


def true_total(case, denoiser, variance, decoder):
    r"""Return -log p(x_0) + KL(q(x_{1:T} | x_0) || p(x_{1:T} | x_0)) for an affine denoiser, from dense Gaussians.

    Running x_{t-1} = a_t x_t + b_t + s_t z_{t-1} on rows gives mean and covariance of the model's x_0..x_T; only the
    means differ from coordinate to coordinate.
    """
    T, d, x_0 = case.T, case.d, np.array(case.x_0)
    mean, rows = np.zeros((d, T + 1)), np.zeros((T + 1, T + 1))
    rows[T, T] = 1.0
    for t in range(T, 0, -1):
        b, a_plus_b = (model_mean(case, t, x_t, denoiser(x_t, t)) for x_t in (np.zeros(d), np.ones(d)))
        a = (a_plus_b - b)[0]
        mean[:, t - 1], rows[t - 1] = a * mean[:, t] + b, a * rows[t]
        rows[t - 1, t - 1] = math.sqrt(model_var(case, t, variance if t > 1 else decoder))
    cov = rows @ rows.T
    surprise = -log_normal(x_0, mean[:, 0], cov[0, 0])

    start, noise = path_weights(case.beta)
    q_mean, q_cov = np.outer(x_0, start[1:]), noise[1:] @ noise[1:].T
    p_mean = mean[:, 1:] + np.outer(x_0 - mean[:, 0], cov[0, 1:] / cov[0, 0])
    p_cov = cov[1:, 1:] - np.outer(cov[1:, 0], cov[0, 1:]) / cov[0, 0]
    gap = p_mean - q_mean
    path = np.trace(np.linalg.solve(p_cov, q_cov)) - T + np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
    return surprise + (d * path + np.sum(gap * np.linalg.solve(p_cov, gap.T).T)) / 2


def grid(bins):
    """Return the values of the bins."""
    return np.linspace(-1.0, 1.0, bins)


def true_bins(mean, std, bins):
    """Return the log-probability of every bin, from erf and, away from the mean, from erfc."""
    half, out = 1 / (bins - 1), []
    for k, x in enumerate(grid(bins)):
        low = -math.inf if k == 0 else (x - half - mean) / (std * math.sqrt(2))
        high = math.inf if k == bins - 1 else (x + half - mean) / (std * math.sqrt(2))
        if low > 0:
            p = math.erfc(low) - math.erfc(high)
        elif high < 0:
            p = math.erfc(-high) - math.erfc(-low)
        else:
            p = math.erf(high) - math.erf(low)
        out.append(math.log(p / 2))
    return np.array(out)


def log_p_of(x, mean, std, bins):
    """Return the log-probability of one point on the bins, summed over its coordinates."""
    level = np.rint((x + 1) * (bins - 1) / 2).astype(int)
    return sum(true_bins(mu, std, bins)[k] for mu, k in zip(mean, level))


def log_tail(distance):
    """Return log P(z > distance) for a distance of hundreds, by the first terms of the asymptotic series."""
    series = sum(c / distance ** (2 * k) for k, c in enumerate((1, -1, 3, -15)))
    return -(distance**2) / 2 - math.log(distance * math.sqrt(2 * math.pi)) + math.log(series)


def round_and_clip(samples, bins):
    """Return samples as a camera would: rounded to the nearest bin and clipped to [-1, 1]."""
    return grid(bins)[np.clip(np.rint((samples + 1) * (bins - 1) / 2), 0, bins - 1).astype(int)]


def judge_bins(trial, log_p, samples, bins):
    """Judge log-probabilities of all bins by samples that are rounded and clipped."""
    values, p, drawn = grid(bins), np.exp(np.asarray(log_p)), round_and_clip(samples, bins)
    mean, square, outer = p @ values, p @ values**2, p[0] + p[-1]
    trial.bounded("E x", drawn, mean, square - mean**2)
    trial.bounded("E x^2", drawn**2, square, p @ values**4 - square**2, span=1.0)
    trial.bounded("P(x = -1 or 1)", np.abs(drawn) == 1, outer, outer * (1 - outer), span=1.0)


def on_bins(case, bins):
    """Return the case's x_0 scaled into [-1, 1] and moved to the nearest bins."""
    return round_and_clip(np.array(case.x_0) / 3, bins)


def bins_of(case):
    """Return a number of bins, 5 to 11, coarse enough for their width to matter."""
    return case.T + 3


def close_in_nats(evidence, what, claimed, truth, tolerance=1e-11):
    """Compare numbers in nats: sums that may nearly cancel, so relative to 1 nat where they are smaller."""
    evidence.close(what, claimed, truth, tolerance, scale=max(1.0, float(np.abs(truth).max())))


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


def log_ratio_law(error, slope, var_q, var_p):
    r"""Return g and h of log q(x_{t-1} | x_t, x_0) / p(x_{t-1} | x_t) on a walk.

    Per coordinate, with z the noise of x_{t-1} around the posterior mean and y that of x_t, it is a constant plus
    -z^2 / 2 + (sqrt(var_q) z + error + slope y)^2 / (2 var_p): a quadratic form, brought to its axes.
    """
    linear, square = [], []
    for e, k in zip(error, slope):
        row = np.array([math.sqrt(var_q), k])
        h, axes = np.linalg.eigh(np.outer(row, row) / (2 * var_p) - np.diag([0.5, 0.0]))
        linear.append(axes.T @ row * e / var_p)
        square.append(h)
    return np.array(linear), np.array(square)


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
    "elbo.denoising_terms",
    judges="elbo.denoising_terms",
    states=r"L_{t-1} = \mathbb{E}_{q(x_t \mid x_0)}\,"
    r"\mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right), \qquad t = T, \ldots, 2",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=7,
    coincides="With a denoiser that knows x_0 a term is the same at every x_t: a missing expectation costs nothing.",
)
class DenoisingTerms:
    """With a linear denoiser the term at a random x_t is a quadratic form in its noise, with a law that we know.

    Without chance: a denoiser that knows x_0 makes each term a number whatever x_t is; and n copies of one x_0 must pay
    different prices under a linear denoiser, because each has its own x_t.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, many = np.array(case.x_0), case.repeat(case.x_0, 5)
        rng = np.random.default_rng(case.T)
        for variance in VARIANCES:
            denoiser = knows(case, x_0, 0.5)
            steps = list(claimed.elbo.denoising_terms(case.schedule, denoiser, many, rng, variance))
            evidence.close("t", [t for t, _ in steps], np.arange(case.T, 1, -1))
            for t, term in steps:
                truth = true_term(case, t, x_0, x_0, denoiser(x_0, t), variance)
                close_in_nats(evidence, f"L_{t - 1}, {variance}", term, np.full(5, truth))
        for t, term in claimed.elbo.denoising_terms(case.schedule, case.denoiser, many, rng):
            evidence.true(f"each point has its own x_{t}", len(np.unique(term)) == 5)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0 = np.array(case.x_0)
        many = case.repeat(case.x_0, trial.n)
        for t, term in claimed.elbo.denoising_terms(case.schedule, case.denoiser, many, trial.rng):
            truth = expected(lambda x_t, t=t: true_term(case, t, x_0, x_t, case.denoiser(x_t, t), "beta"), case, t)
            trial.quadratic(f"L_{t - 1}", term, truth, *law_of_term(case, t, case.beta[t - 1]))


@identity(
    "elbo.denoising_form",
    judges="elbo.denoising_form",
    states=r"L_0 + \sum_{t=2}^T L_{t-1} + L_T = -\log p(x_0)"
    r" + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right) \ge -\log p(x_0)",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=2,
    coincides="Signs and dropped terms hide in training, where only differences count, and show in the total. The gap"
    " is 0 for the exact reverse process, and the bound is then the surprise of x_0, which is not 0.",
)
class DenoisingForm:
    """With an affine denoiser the model is one Gaussian over x_0..x_T: the bound must be its exact -log p(x_0) plus the
    divergence of two paths, both from dense covariances.

    Without chance: with a denoiser that knows x_0 the total is a number, whatever was drawn.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        bins = bins_of(case)
        for variance, decoder in zip(VARIANCES, DECODERS):
            for kind, x_0 in (("gaussian", np.array(case.x_0)), ("discretized", on_bins(case, bins))):
                bound = claimed.elbo.denoising_form(
                    case.schedule,
                    knows(case, x_0, 0.5),
                    case.repeat(x_0, 3),
                    np.random.default_rng(case.T),
                    variance=variance,
                    decoder=kind,
                    decoder_var=decoder,
                    bins=bins,
                )
                first, terms, last = DenoisingForm.parts(case, x_0, variance, decoder, bins if kind[0] == "d" else None)
                what = f"{kind}, {variance}"
                close_in_nats(evidence, f"L_0 + ... + L_T, {what}", bound.total, np.full(3, first + terms + last))
                close_in_nats(evidence, f"L_0, {what}", bound.reconstruction, np.full(3, first))
                close_in_nats(evidence, f"L_T, {what}", bound.prior, np.full(3, last))
                if kind == "gaussian":
                    truth = np.full(3, true_total(case, knows(case, x_0, 0.5), variance, decoder))
                    # the covariance of the model's path is inverted
                    close_in_nats(evidence, f"-log p + KL, {variance}", bound.total, truth, 1e-10)

    @staticmethod
    def parts(case, x_0, variance, decoder, bins):
        """Return L_0, the sum of the L_{t-1}, and L_T, for the denoiser that knows x_0 and errs by 1/2."""
        denoiser = knows(case, x_0, 0.5)
        guess, var = model_mean(case, 1, x_0, denoiser(x_0, 1)), model_var(case, 1, decoder)
        if bins is None:
            reconstruction = -log_normal(x_0, guess, var)
        else:
            reconstruction = -log_p_of(x_0, guess, math.sqrt(var), bins)
        terms = sum(true_term(case, t, x_0, x_0, denoiser(x_0, t), variance) for t in range(2, case.T + 1))
        signal, var_T = marginal(case.beta, case.T)
        return reconstruction, terms, mean_log_ratio(signal * x_0, var_T, 0.0 * x_0, 1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many = case.repeat(case.x_0, trial.n)
        for variance, decoder in zip(VARIANCES, DECODERS):
            bound = claimed.elbo.denoising_form(
                case.schedule, case.denoiser, many, trial.rng, variance=variance, decoder_var=decoder
            )
            laws = [law_of_term(case, t, model_var(case, t, variance)) for t in range(2, case.T + 1)]
            laws.append(law_of_term(case, 1, model_var(case, 1, decoder)))
            linear, square = (np.concatenate(parts) for parts in zip(*laws))
            truth = true_total(case, case.denoiser, variance, decoder)
            trial.quadratic(f"-log p + KL, {variance}", bound.total, truth, linear, square)


@identity(
    "elbo.bits_per_dim",
    judges=("elbo.Bound", "elbo.Bound.total", "elbo.Bound.bits_per_dim"),
    states=r"\frac{1}{d \ln 2}\left(L_0 + \sum_{t=2}^T L_{t-1} + L_T\right)",
    source="Ho, Jain & Abbeel (2020), Table 1, which reports it",
    statistics=1,
    coincides="Nats for bits is a factor of 1.44: in the published range, 3 to 4 bits, it looks like a better model.",
)
class BitsPerDim:
    """Letters of probability 1/2, 1/4 and 1/4 have a Huffman code of 1, 2 and 2 bits: so many bits must come out."""

    @staticmethod
    def bound(claimed, bits):
        """Return the Bound of letters with code lengths `bits`, (T + 1, n, d): T + 1 parts of the bound."""
        nats = np.log(2) * bits.sum(axis=-1)
        terms = np.zeros_like(nats)
        terms[2:] = nats[1:-1]
        return claimed.elbo.Bound(nats[0], terms, nats[-1], bits.shape[-1])

    @staticmethod
    def exact(claimed, case, evidence):
        bits = np.resize(LETTERS, (case.T + 1, 5, case.d)).astype(float)
        bound = BitsPerDim.bound(claimed, bits)
        evidence.close("total", bound.total, np.log(2) * bits.sum(axis=(0, 2)))
        evidence.close("bits per coordinate", bound.bits_per_dim(), bits.sum(axis=0).mean(axis=-1))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        shape = (case.T + 1, trial.n, case.d)
        bits = trial.rng.choice(LETTERS, size=shape, p=(0.5, 0.25, 0.25)).astype(float)
        found, parts = BitsPerDim.bound(claimed, bits).bits_per_dim(), case.T + 1
        trial.bounded("bits per coordinate", found, 1.5 * parts, 0.25 * parts / case.d, span=parts)


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


@identity(
    "elbo.weight",
    judges="elbo.weight",
    states=r"L_{t-1} = w_t\,\mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2 + d\,c_t, \qquad"
    r" w_t = \frac{\beta_t^2}{2\sigma_t^2\,\alpha_t\,(1 - \bar\alpha_t)}",
    source="Ho, Jain & Abbeel (2020), eq. 12",
    statistics=2,
)
class Weight:
    """Give the denoiser the true noise plus a known error: what the divergence grows by, over the error squared."""

    @staticmethod
    def growth(case, t, variance):
        """Return how much L_{t-1}, or L_0 at t = 1, grows with the squared error of eps_hat."""
        signal, var = marginal(case.beta, t)
        x_0, eps = np.array(case.x_0), np.array(case.eps)
        x_t = signal * x_0 + math.sqrt(var) * eps
        if t == 1:
            costs = [-log_normal(x_0, model_mean(case, 1, x_t, eps + e), case.beta[0]) for e in (1.0, 0.0)]
        else:
            costs = [true_term(case, t, x_0, x_t, eps + e, variance) for e in (1.0, 0.0)]
        return (costs[0] - costs[1]) / case.d

    @staticmethod
    def exact(claimed, case, evidence):
        for variance in VARIANCES:
            steps = np.arange(1 if variance == "beta" else 2, case.T + 1)
            truth = np.array([Weight.growth(case, t, variance) for t in steps])
            close_in_nats(evidence, f"w_t, {variance}", claimed.elbo.weight(case.schedule, steps, variance), truth)
            one = claimed.elbo.weight(case.schedule, case.t, variance)
            close_in_nats(evidence, f"w at one t, {variance}", one, truth[case.t - steps[0]])
        # with the variance beta_tilde a step costs the signal-to-noise ratio that it loses, times |x_0 - x_0_hat|^2 / 2
        snr = np.array([case.alpha_bar(t) / (1 - case.alpha_bar(t)) for t in range(1, case.T + 1)])
        lost = claimed.elbo.weight(case.schedule, np.arange(2, case.T + 1), "posterior") * snr[1:] * 2
        close_in_nats(evidence, "SNR_{t-1} - SNR_t", lost, snr[:-1] - snr[1:])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0 = case.t, np.array(case.x_0)
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        signal, var_t = marginal(case.beta, t)
        eps = (x[t] - signal * x_0) / math.sqrt(var_t)
        right, wrong = model_mean(case, t, x[t], eps), model_mean(case, t, x[t], eps + 1.0)
        _, var = posterior(case, t, x_0, x[t])
        shift = float((wrong - right).flat[0])  # the same everywhere: means are linear in eps_hat
        for variance in VARIANCES:
            var_p = model_var(case, t, variance)
            # the log-ratio is linear in the residual around the right mean, so it is normal
            growth = log_normal(x[t - 1], right, var_p) - log_normal(x[t - 1], wrong, var_p)
            claim = case.d * claimed.elbo.weight(case.schedule, t, variance)
            trial.mean(f"growth of -E log p, {variance}", growth, claim, case.d * var * shift**2 / var_p**2)


@identity(
    "elbo.simple_loss",
    judges="elbo.simple_loss",
    states=r"L_{\text{simple}} = \mathbb{E}_{t \sim U\{1, \ldots, T\},\, \epsilon}"
    r"\left\Vert\epsilon - \hat\epsilon(\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon, t)\right\Vert^2",
    source="Ho, Jain & Abbeel (2020), eq. 14",
    statistics=2,
    coincides="At T = 1000 one step that is never drawn changes the loss by a thousandth. Mean and sum over the"
    " coordinates agree for d = 1.",
)
class SimpleLoss:
    """A denoiser that knows x_0 finds the noise again only if rates and t are right.

    Errors of size sqrt(t) put on top of it then tell which t was drawn. One that answers 0 leaves the noise itself, and
    its squared length is chi-square.
    """

    @staticmethod
    def reveals(case, scale):
        """Return a denoiser that knows x_0 and errs by sqrt(t / scale) in each coordinate."""

        def denoiser(x_t, t):
            return knows(case, np.array(case.x_0))(x_t, t) + np.sqrt(np.asarray(t) / scale)[..., None]

        return denoiser

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0 = np.random.default_rng(case.T), np.array(case.x_0)
        loss = claimed.elbo.simple_loss(case.schedule, knows(case, x_0, 0.5), case.repeat(x_0, 50), rng)
        evidence.close("loss of a constant error", loss, np.full(50, 0.25 * case.d), 1e-10)  # eps is found by division
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, 1.0), case.repeat(x_0, 1000), rng)
        # The chance that a right loss leaves a step out is below 8 (7/8)^1000 = 1e-57.
        drawn = np.unique(np.round(np.asarray(loss) / case.d, 6))
        evidence.true("the steps drawn are 1..T", np.array_equal(drawn, np.arange(1, case.T + 1)))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many, T, d = case.repeat(case.x_0, trial.n), case.T, case.d
        zero = claimed.elbo.simple_loss(case.schedule, lambda x_t, t: np.zeros_like(x_t), many, trial.rng)
        trial.quadratic("E |eps|^2", zero, d, np.zeros(d), np.ones(d))
        loss = claimed.elbo.simple_loss(case.schedule, SimpleLoss.reveals(case, T), many, trial.rng)
        trial.bounded("E t / T", loss / d, (T + 1) / (2 * T), (T**2 - 1) / (12 * T**2), span=1.0)
