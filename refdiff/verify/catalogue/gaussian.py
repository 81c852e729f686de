r"""Identities of Gaussians, judged by quadrature, by the one-step definition of a chain, and by samples.

A chain x_1..x_T given x_0 is the standing example of a full covariance: its density, entropy and divergence are sums
over single steps, so that no determinant and no inverse of the matrix judged is needed for the truth. In Monte Carlo
each sample z is used together with -z: whatever is linear in z cancels, and what is left has a law known exactly.
Means and log-densities may come out as 0, where a relative error means nothing: they are measured beside 1.
"""

import math

import numpy as np

from refdiff.verify.identity import identity
from refdiff.verify.oracles import dense_joint, gauss_hermite, integrate, log_normal, mean_log_ratio, path_weights


def variances(case):
    """Return a variance of its own for each coordinate, shape (d,)."""
    return np.linspace(case.var_q, case.var_p, case.d)


def two_means(case):
    """Return two means that differ in each coordinate."""
    return np.array(case.eps), np.array(case.eps) + np.array(case.x_0)


def rows_of(mean):
    """Return three points, one a row: what sums over all axes instead of the last is wrong on them."""
    return np.array(mean) + np.arange(3.0)[:, None]


def chain_joint(case):
    """Return mean (T,) and covariance (T, T) of the first coordinate of x_1..x_T given x_0."""
    mean, cov = dense_joint(case.beta, case.x_0[:1])
    return mean[1:, 0], cov[1:, 1:]


def step_matrix(beta):
    """Return the matrix D that takes a centred chain x_1..x_T back to its steps, x_t - sqrt(alpha_t) x_{t-1}."""
    return np.eye(len(beta)) - np.diag(np.sqrt(1 - np.asarray(beta[1:])), -1)


def log_chain(x, x_0, beta):
    """Return log q(x_1..x_T | x_0) as the sum over steps, for x of shape (..., T)."""
    previous = np.concatenate([np.full((*x.shape[:-1], 1), x_0), x[..., :-1]], axis=-1)
    return log_normal(x, np.sqrt(1 - np.asarray(beta)) * previous, beta)


def chain_noise(case, rng, n):
    """Return mean (T,) of a chain given x_0 and n deviations from it, (n, T), built from the noise of each step."""
    start, noise = path_weights(case.beta)
    return start[1:] * case.x_0[0], rng.standard_normal((n, case.T)) @ noise[1:].T


@identity(
    "gaussian.log_density",
    judges="gaussian.Gaussian.log_density",
    states=r"\log \mathcal{N}(x; \mu, \sigma^2) \qquad = -\tfrac12 \sum_i"
    r" \left[\log 2\pi\sigma_i^2 + \frac{(x_i - \mu_i)^2}{\sigma_i^2}\right]",
    source="Ho, Jain & Abbeel (2020), eq. 2",
    statistics=2,
    coincides="At sigma = 1 a standard deviation in the place of the variance does no harm.",
)
class LogDensity:
    """A density integrates to one, its characteristic function says which one it is, and coordinates add up."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, std = case.x_0[0], math.sqrt(case.var_q)
        q = claimed.gaussian.Gaussian([mean], case.var_q)

        def waves(x):
            z = (x - mean) / std
            return np.exp(q.log_density(x[:, None]))[:, None] * np.stack(
                [np.ones_like(z), np.cos(z), np.sin(z), np.cos(2 * z), np.sin(2 * z)], axis=1
            )

        found = integrate(waves, mean - 12 * std, mean + 12 * std)
        evidence.close("mass, E cos z, E sin z, E cos 2z, E sin 2z", found, [1, math.exp(-0.5), 0, math.exp(-2), 0])
        mean, var, x = np.array(case.x_0), variances(case), np.array(case.x_t)
        alone = [log_normal([x[i]], [mean[i]], [var[i]]) for i in range(case.d)]
        evidence.close(
            "sum over coordinates",
            claimed.gaussian.Gaussian(mean, var).log_density(x),
            sum(alone),
            scale=1 + abs(sum(alone)),
        )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, var = np.array(case.x_0), variances(case)
        z = trial.rng.standard_normal((2, trial.n, case.d))
        q = claimed.gaussian.Gaussian(mean, var)
        truth = -0.5 * np.log(2 * math.pi * math.e * var).sum()
        g, h = np.zeros(case.d), np.full(case.d, -0.5)
        trial.quadratic("E log q(x)", q.log_density(mean + np.sqrt(var) * z[0]), truth, g, h)
        wide = mean + np.sqrt(2 * var) * z[1]  # the ratio to twice the variance is bounded by 2^(d / 2)
        ratio = np.exp(q.log_density(wide) - log_normal(wide, mean, 2 * var))
        trial.bounded("mass", ratio, 1.0, (2 / math.sqrt(3)) ** case.d - 1, span=2 ** (case.d / 2))


@identity(
    "gaussian.entropy",
    judges="gaussian.Gaussian.entropy",
    states=r"H[q] = -\mathbb{E}_q \log q = \tfrac12 \sum_i \log 2\pi e \sigma_i^2",
    source="Cover & Thomas (2006), eq. 8.9",
    statistics=1,
    coincides="log sigma_i^2 adds up to 0 where the variances multiply to 1: nothing is proved of it there.",
)
class Entropy:
    """The entropy is an expectation of -log q: a quadratic function, which Gauss-Hermite integrates exactly."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, var = np.array(case.x_0), variances(case)
        truth = gauss_hermite(lambda x: -log_normal(x, mean, var), mean, var)
        evidence.close("-E log q", claimed.gaussian.Gaussian(mean, var).entropy(), truth, scale=1 + abs(truth))
        several = claimed.gaussian.Gaussian(rows_of(mean), var).entropy()
        evidence.close("-E log q of three laws", several, np.full(3, truth), scale=1 + abs(truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, var = np.array(case.x_0), variances(case)
        x = mean + np.sqrt(var) * trial.rng.standard_normal((trial.n, case.d))
        entropy = claimed.gaussian.Gaussian(mean, var).entropy()
        trial.quadratic("-E log q", -log_normal(x, mean, var), entropy, np.zeros(case.d), np.full(case.d, 0.5))


@identity(
    "gaussian.sample",
    judges=(
        "gaussian.Gaussian.sample",
        "gaussian.Gaussian.mean",
        "gaussian.Gaussian.var",
        "gaussian.Gaussian.std",
    ),
    states=r"x = \mu + \sigma z, \quad z \sim \mathcal{N}(0, I) \quad\Longrightarrow\quad"
    r" x \sim \mathcal{N}(\mu, \sigma^2 I)",
    source="Ho, Jain & Abbeel (2020), Algorithm 2",
    statistics=3,
    coincides="At sigma = 1 the variance does as well as the standard deviation.",
)
class Sample:
    """The same stream gives the same z, moved and stretched; and samples have the mean and variance asked for."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean = case.repeat(case.x_0, 5) + np.arange(5.0)[:, None]
        var = variances(case)
        q, standard = claimed.gaussian.Gaussian(mean, var), claimed.gaussian.Gaussian(np.zeros_like(mean), 1.0)
        z, x = (one.sample(np.random.default_rng(case.T)) for one in (standard, q))
        evidence.close("mu + sigma z", x, mean + np.sqrt(var) * z)
        evidence.true("each coordinate of each point has a noise of its own", np.unique(z).size == z.size)
        evidence.close("mean", q.mean, mean)
        evidence.close("variance", q.var, np.tile(var, (5, 1)))
        evidence.close("standard deviation", q.std, np.tile([math.sqrt(v) for v in var], (5, 1)))
        certain = claimed.gaussian.Gaussian(mean, 0.0, point_mass=True)
        evidence.close("a point mass", certain.sample(np.random.default_rng(0)), mean)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, var = np.array(case.x_0), variances(case)
        x = claimed.gaussian.Gaussian(np.tile(mean, (trial.n, 1)), var).sample(trial.rng)
        trial.mean("E x", x, mean[None], var[None])
        trial.var("Var x", x, mean[None], var)
        z = ((x - mean) / np.sqrt(var)).ravel()
        pairs = z[: z.size // 2 * 2].reshape(-1, 2)  # neighbours: coordinates of a point, or points where d = 1
        trial.mean("neighbours are independent", pairs[:, 0], 0.0, 1.0, weight=pairs[:, 1])


@identity(
    "gaussian.kl",
    judges="gaussian.kl",
    states=r"\mathrm{KL}(q \Vert p) = \mathbb{E}_q \log\frac{q}{p} \qquad = \tfrac12 \sum_i \left["
    r"\log\frac{\sigma_{p,i}^2}{\sigma_{q,i}^2}"
    r" + \frac{\sigma_{q,i}^2 + (\mu_{q,i} - \mu_{p,i})^2}{\sigma_{p,i}^2} - 1\right]",
    source="Kullback (1959), ch. 9; Ho, Jain & Abbeel (2020), eq. 5 and 8",
    statistics=1,
    coincides="With equal variances the constant vanishes and the two directions agree.",
)
class Kl:
    """The divergence is the mean log-ratio; averaged over z and -z, only a multiple of chi-square is left of it."""

    @staticmethod
    def exact(claimed, case, evidence):
        (m_q, m_p), v_q, v_p = two_means(case), variances(case), variances(case)[::-1] * case.var_p / case.var_q
        truth = mean_log_ratio(m_q, v_q, m_p, v_p)
        Gaussian = claimed.gaussian.Gaussian
        of = "q.mean = eps, p.mean = eps + x_0"
        evidence.close(f"E_q log q / p, {of}", claimed.gaussian.kl(Gaussian(m_q, v_q), Gaussian(m_p, v_p)), truth)
        evidence.close("of q and q", claimed.gaussian.kl(Gaussian(m_q, v_q), Gaussian(m_q, v_q)), 0.0)
        several = claimed.gaussian.kl(Gaussian(rows_of(m_q), v_q), Gaussian(m_p, v_p))
        evidence.close("of three q", several, [mean_log_ratio(mean, v_q, m_p, v_p) for mean in rows_of(m_q)])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        m_q, m_p = two_means(case)
        moved = math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d))
        ratios = [log_normal(x, m_q, case.var_q) - log_normal(x, m_p, case.var_p) for x in (m_q + moved, m_q - moved)]
        Gaussian = claimed.gaussian.Gaussian
        kl = claimed.gaussian.kl(Gaussian(m_q, case.var_q), Gaussian(m_p, case.var_p))
        h = np.full(case.d, (case.var_q / case.var_p - 1) / 2)
        trial.quadratic("E_q log q / p", np.mean(ratios, axis=0), kl, np.zeros(case.d), h)


@identity(
    "gaussian.kl_equal_var",
    judges="gaussian.kl_equal_var",
    states=r"\sigma_q^2 = \sigma_p^2 = \sigma^2 \quad\Longrightarrow\quad"
    r" \mathrm{KL}(q \Vert p) = \frac{\Vert \mu_q - \mu_p \Vert^2}{2\sigma^2}",
    source="Ho, Jain & Abbeel (2020), eq. 8, where C = 0",
    statistics=1,
    coincides="Where the means agree too, everything is 0.",
)
class KlEqualVar:
    r"""With equal variances the squares cancel, and the log-ratio is linear in x: a normal with a known law."""

    @staticmethod
    def exact(claimed, case, evidence):
        (m_q, m_p), v = two_means(case), case.var_q
        Gaussian = claimed.gaussian.Gaussian
        q, p = Gaussian(m_q, v), Gaussian(m_p, v)
        evidence.close("E_q log q / p", claimed.gaussian.kl_equal_var(q, p), mean_log_ratio(m_q, v, m_p, v))
        several = claimed.gaussian.kl_equal_var(Gaussian(rows_of(m_q), v), p)
        evidence.close("of three q", several, [mean_log_ratio(mean, v, m_p, v) for mean in rows_of(m_q)])
        wider = Gaussian(m_p, case.var_p)
        evidence.refuses("unequal variances are refused", claimed.gaussian.kl_equal_var, q, wider)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        m_q, v = np.array(case.eps), case.var_q
        m_p = m_q + np.array(case.x_0) / 3  # near, since the noise of the log-ratio grows with the distance
        Gaussian = claimed.gaussian.Gaussian
        kl = claimed.gaussian.kl_equal_var(Gaussian(m_q, v), Gaussian(m_p, v))
        x = m_q + math.sqrt(v) * trial.rng.standard_normal((trial.n, case.d))
        trial.mean("E_q log q / p", log_normal(x, m_q, v) - log_normal(x, m_p, v), kl, ((m_p - m_q) ** 2).sum() / v)


@identity(
    "gaussian.cross_entropy",
    judges="gaussian.cross_entropy",
    states=r"H[q, p] = -\mathbb{E}_q \log p \qquad = \tfrac12 \sum_i \left[\log 2\pi\sigma_{p,i}^2"
    r" + \frac{\sigma_{q,i}^2 + (\mu_{q,i} - \mu_{p,i})^2}{\sigma_{p,i}^2}\right]",
    source="Cover & Thomas (2006), section 8.6",
    statistics=1,
    coincides="H[q, q] = H[q]: with p = q it says nothing of the order of the two.",
)
class CrossEntropy:
    """Minus the mean of log p under q: exact by Gauss-Hermite, and a multiple of chi-square over z and -z."""

    @staticmethod
    def exact(claimed, case, evidence):
        (m_q, m_p), v_q, v_p = two_means(case), variances(case), np.full(case.d, case.var_p)
        truth = gauss_hermite(lambda x: -log_normal(x, m_p, v_p), m_q, v_q)
        Gaussian = claimed.gaussian.Gaussian
        cross = claimed.gaussian.cross_entropy(Gaussian(m_q, v_q), Gaussian(m_p, v_p))
        evidence.close("-E_q log p", cross, truth, scale=1 + abs(truth))
        several = claimed.gaussian.cross_entropy(Gaussian(rows_of(m_q), v_q), Gaussian(m_p, v_p))
        truths = [gauss_hermite(lambda x: -log_normal(x, m_p, v_p), mean, v_q) for mean in rows_of(m_q)]
        evidence.close("-E_q log p of three q", several, truths, scale=1 + abs(truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        m_q, m_p = two_means(case)
        moved = math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d))
        both = (log_normal(m_q + moved, m_p, case.var_p) + log_normal(m_q - moved, m_p, case.var_p)) / 2
        Gaussian = claimed.gaussian.Gaussian
        cross = claimed.gaussian.cross_entropy(Gaussian(m_q, case.var_q), Gaussian(m_p, case.var_p))
        h = np.full(case.d, case.var_q / case.var_p / 2)
        trial.quadratic("-E_q log p", -both, cross, np.zeros(case.d), h)


@identity(
    "gaussian.bits",
    judges="gaussian.bits",
    states=r"\text{bits} = \frac{\text{nats}}{\ln 2}",
    source="Cover & Thomas (2006), section 2.1",
    statistics=1,
    coincides="only at 0",
)
class Bits:
    r"""With probabilities 1/2, 1/4, ... a Huffman code is as short as the entropy in bits: its length is the truth."""

    @staticmethod
    def lengths(case):
        """Return code lengths 1, 2, ..., T, T of T + 1 symbols that have the probabilities 2^-length."""
        return np.append(np.arange(1.0, case.T + 1), case.T)

    @staticmethod
    def exact(claimed, case, evidence):
        lengths = Bits.lengths(case)
        p = 2.0**-lengths
        evidence.close("mean code length", claimed.gaussian.bits(-(p * np.log(p)).sum()), (p * lengths).sum())
        evidence.close("one of 2^k", claimed.gaussian.bits(np.log(2.0 ** np.arange(9))), np.arange(9.0))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        lengths = Bits.lengths(case)
        p = 2.0**-lengths
        used = trial.rng.choice(lengths, size=trial.n, p=p)
        var = (p * lengths**2).sum() - (p * lengths).sum() ** 2
        trial.bounded("mean code length", used, claimed.gaussian.bits(-(p * np.log(p)).sum()), var, span=case.T - 1)


@identity(
    "gaussian.linear_combination",
    judges="gaussian.linear_combination",
    states=r"aX + bY \sim \mathcal{N}(\mu, \sigma^2): \qquad \mu = a\mu_p + b\mu_q, \qquad \sigma^2 ="
    r" a^2\sigma_p^2 + b^2\sigma_q^2 + 2ab\operatorname{Cov}(X, Y)",
    source="used at each step by Sohl-Dickstein et al. (2015), appendix B",
    statistics=4,
    coincides="With a = b = 1 and no covariance the weights cannot be told from their squares.",
)
class LinearCombination:
    """Two steps of one chain are dependent, two noises are not: each sum is built from the noises underneath."""

    @staticmethod
    def exact(claimed, case, evidence):
        a, b, (start, noise) = case.slope, case.intercept, path_weights(case.beta)
        Gaussian, x_0 = claimed.gaussian.Gaussian, np.array(case.x_0)
        ends = [Gaussian(start[k] * x_0, (noise[k] ** 2).sum()) for k in (case.s, case.t)]
        both = claimed.gaussian.linear_combination(a, ends[0], b, ends[1], noise[case.s] @ noise[case.t])
        weights = a * noise[case.s] + b * noise[case.t]
        evidence.close("mean of a x_s + b x_t", both.mean, (a * start[case.s] + b * start[case.t]) * x_0, scale=1.0)
        evidence.close("variance of a x_s + b x_t", both.var, np.full(case.d, weights @ weights))
        x, y = Gaussian(x_0, case.var_q), Gaussian(np.array(case.eps), case.var_p)
        apart = claimed.gaussian.linear_combination(a, x, b, y)
        weights = np.array([a * math.sqrt(case.var_q), b * math.sqrt(case.var_p)])
        evidence.close("mean of a sum of independents", apart.mean, a * x_0 + b * np.array(case.eps), scale=1.0)
        evidence.close("variance of a sum of independents", apart.var, np.full(case.d, weights @ weights))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        a, b, (start, noise) = case.slope, case.intercept, path_weights(case.beta)
        Gaussian, x_0, eps = claimed.gaussian.Gaussian, np.array(case.x_0), np.array(case.eps)
        z = trial.rng.standard_normal((trial.n, case.d, case.T))
        ends = [start[k] * x_0 + z @ noise[k] for k in (case.s, case.t)]
        laws = [Gaussian(start[k] * x_0, (noise[k] ** 2).sum()) for k in (case.s, case.t)]
        law = claimed.gaussian.linear_combination(a, laws[0], b, laws[1], noise[case.s] @ noise[case.t])
        sums = a * ends[0] + b * ends[1]
        weights = a * noise[case.s] + b * noise[case.t]
        trial.mean("E[a x_s + b x_t]", sums, law.mean[None], weights @ weights)
        trial.var("Var[a x_s + b x_t]", sums, ((a * start[case.s] + b * start[case.t]) * x_0)[None], law.var)
        z = trial.rng.standard_normal((2, trial.n, case.d))
        sums = a * (x_0 + math.sqrt(case.var_q) * z[0]) + b * (eps + math.sqrt(case.var_p) * z[1])
        law = claimed.gaussian.linear_combination(a, Gaussian(x_0, case.var_q), b, Gaussian(eps, case.var_p))
        trial.mean("mean of a sum of independents", sums, law.mean[None], a**2 * case.var_q + b**2 * case.var_p)
        trial.var("variance of a sum of independents", sums, (a * x_0 + b * eps)[None], law.var)


@identity(
    "gaussian.from_natural",
    judges="gaussian.from_natural",
    states=r"\exp\left(-\tfrac12(P x^2 - 2 h x)\right) \propto \mathcal{N}\left(x; \frac{h}{P}, \frac1P\right)",
    source="Bishop (2006), eq. 2.70 and 2.71",
    statistics=3,
    coincides="At P = 1 a forgotten division does no harm.",
)
class FromNatural:
    """Integrals of the exponential give mean and variance; a prior times an observation gives such an exponential."""

    @staticmethod
    def exact(claimed, case, evidence):
        precision = 1 / variances(case)
        h = precision * np.array(case.x_0)

        def moments(x):
            exponent = -0.5 * (precision * x[:, None] ** 2 - 2 * h * x[:, None])
            return np.exp(exponent - exponent.max(axis=0))[..., None] * np.stack([x**0, x, x**2], axis=-1)[:, None]

        mass, first, second = integrate(moments, -40.0, 40.0).T
        q = claimed.gaussian.from_natural(precision, h)
        # the second moment loses a digit or two where it is far larger than the variance
        evidence.close("mean", q.mean, first / mass, tolerance=1e-11)
        evidence.close("variance", q.var, second / mass - (first / mass) ** 2, tolerance=1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        z = trial.rng.standard_normal((2, trial.n, case.d))
        x = math.sqrt(case.var_q) * z[0]
        y = x + math.sqrt(case.var_p) * z[1]
        q = claimed.gaussian.from_natural(1 / case.var_q + 1 / case.var_p, y / case.var_p)
        trial.conditional("x given x + noise", x, q.mean, q.var[0], y=y)


@identity(
    "gaussian.product",
    judges="gaussian.product",
    states=r"\mathcal{N}(x; \mu_p, \sigma_p^2)\,\mathcal{N}(x; \mu_q, \sigma_q^2) \qquad = Z\,\mathcal{N}\left(x;"
    r" \frac{\mu_p/\sigma_p^2 + \mu_q/\sigma_q^2}{1/\sigma_p^2 + 1/\sigma_q^2},"
    r" \frac{1}{1/\sigma_p^2 + 1/\sigma_q^2}\right), \qquad Z = \mathcal{N}(\mu_p; \mu_q, \sigma_p^2 + \sigma_q^2)",
    source="Petersen & Pedersen (2012), section 8.1.8",
    statistics=4,
    coincides="With equal variances the mean is the midpoint, whatever the weights are thought to be.",
)
class Product:
    """Quadrature of the product; and Bayes: prior times likelihood is the posterior, Z is the law of what was seen."""

    @staticmethod
    def exact(claimed, case, evidence):
        m_p, m_q, v_p, v_q = np.array(case.x_0), np.array(case.eps), variances(case), np.full(case.d, case.var_p)

        def moments(x):
            logs = log_normal(x[:, None, None], m_p[:, None], v_p[:, None])
            logs = logs + log_normal(x[:, None, None], m_q[:, None], v_q[:, None])
            return np.exp(logs)[..., None] * np.stack([x**0, x, x**2], axis=-1)[:, None]

        mass, first, second = integrate(moments, -40.0, 40.0).T
        Gaussian = claimed.gaussian.Gaussian
        both, log_z = claimed.gaussian.product(Gaussian(m_p, v_p), Gaussian(m_q, v_q))
        # the second moment loses a digit or two where it is far larger than the variance
        truth = np.log(mass).sum()
        evidence.close("log Z", log_z, truth, tolerance=1e-11, scale=1 + abs(truth))
        evidence.close("mean", both.mean, first / mass, tolerance=1e-11, scale=1.0)
        evidence.close("variance", both.var, second / mass - (first / mass) ** 2, tolerance=1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        prior = case.repeat(case.x_0, trial.n)
        z = trial.rng.standard_normal((2, trial.n, case.d))
        x = prior + math.sqrt(case.var_q) * z[0]
        y = x + math.sqrt(case.var_p) * z[1]
        Gaussian = claimed.gaussian.Gaussian
        both, log_z = claimed.gaussian.product(Gaussian(prior, case.var_q), Gaussian(y, case.var_p))
        trial.conditional("x given x + noise", x, both.mean, both.var[0], y=y)
        truth = -0.5 * case.d * math.log(2 * math.pi * math.e * (case.var_q + case.var_p))
        trial.quadratic("E log Z", log_z, truth, np.zeros(case.d), np.full(case.d, -0.5))


@identity(
    "gaussian.full_log_density",
    judges="gaussian.FullGaussian.log_density",
    states=r"\log\mathcal{N}(x; m, K) \qquad"
    r" = -\tfrac12\left[d\log 2\pi + \log\det K + (x - m)^\top K^{-1} (x - m)\right]",
    source="Bishop (2006), eq. 2.43",
    statistics=1,
    coincides="A diagonal covariance says nothing of the correlations.",
)
class FullLogDensity:
    """The density of a whole chain is the product of its steps: q(x_1..x_T | x_0) needs no determinant."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = chain_joint(case)
        angle = np.arange(case.T) + np.array(case.x_t)[:, None]
        x = np.array(case.x_0)[:, None] * np.cos(angle) + np.array(case.eps)[:, None] * np.sin(angle)  # d paths
        density = claimed.gaussian.FullGaussian(mean, cov).log_density(x)
        truth = log_chain(x, case.x_0[0], case.beta)
        evidence.close("log q(x_1..x_T | x_0)", density, truth, tolerance=1e-11, scale=1 + np.abs(truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, moved = chain_noise(case, trial.rng, trial.n)
        density = claimed.gaussian.FullGaussian(*chain_joint(case)).log_density(mean + moved)
        truth = -0.5 * np.log(2 * math.pi * math.e * np.array(case.beta)).sum()
        trial.quadratic("E log q(x_1..x_T | x_0)", density, truth, np.zeros(case.T), np.full(case.T, -0.5))


@identity(
    "gaussian.full_entropy",
    judges="gaussian.FullGaussian.entropy",
    states=r"H = \tfrac12 \log\det(2\pi e K)",
    source="Cover & Thomas (2006), theorem 8.4.1",
    statistics=1,
    coincides="A diagonal covariance says nothing of the correlations.",
)
class FullEntropy:
    """Entropy obeys the chain rule: that of x_1..x_T given x_0 is the sum over steps of that of one step."""

    @staticmethod
    def exact(claimed, case, evidence):
        truth = sum(0.5 * math.log(2 * math.pi * math.e * beta) for beta in case.beta)
        entropy = claimed.gaussian.FullGaussian(*chain_joint(case)).entropy()
        evidence.close("sum over steps", entropy, truth, tolerance=1e-11, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, moved = chain_noise(case, trial.rng, trial.n)
        entropy = claimed.gaussian.FullGaussian(*chain_joint(case)).entropy()
        surprise = -log_chain(mean + moved, case.x_0[0], case.beta)
        trial.quadratic("-E log q(x_1..x_T | x_0)", surprise, entropy, np.zeros(case.T), np.full(case.T, 0.5))


@identity(
    "gaussian.full_sample",
    judges=("gaussian.FullGaussian.sample", "gaussian.FullGaussian.mean", "gaussian.FullGaussian.cov"),
    states=r"x = m + L z, \quad L L^\top = K \quad\Longrightarrow\quad x \sim \mathcal{N}(m, K)",
    source="Bishop (2006), section 11.1.1",
    statistics=3,
    coincides="With K = I the factor, its transpose and its square are the same.",
)
class FullSample:
    """The same stream gives the same z times some A with A A' = K; and chains drawn whole fall apart into steps."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = chain_joint(case)
        q = claimed.gaussian.FullGaussian(mean, cov)
        standard = claimed.gaussian.FullGaussian(np.zeros(case.T), np.eye(case.T))
        z, x = (one.sample(50, np.random.default_rng(case.T)) for one in (standard, q))
        factor = np.linalg.lstsq(z, x - mean, rcond=None)[0]
        evidence.close("x - m is linear in z", z @ factor, x - mean, tolerance=1e-11)
        evidence.close("A A'", factor.T @ factor, cov, tolerance=1e-11)
        evidence.close("mean", q.mean, mean)
        evidence.close("covariance", q.cov, cov)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, cov = chain_joint(case)
        x = claimed.gaussian.FullGaussian(mean, cov).sample(trial.n, trial.rng) - mean
        steps, beta = x @ step_matrix(case.beta).T, np.array(case.beta)
        trial.mean("E step noise", steps, 0.0, beta[None])
        trial.var("Var step noise", steps, 0.0, beta)
        trial.mean("step noise times what came before", steps[:, 1:], 0.0, beta[None, 1:], weight=x[:, :-1])


@identity(
    "gaussian.condition",
    judges="gaussian.FullGaussian.condition",
    states=r"x_A \mid x_B = b \;\sim\; \mathcal{N}(m', K'): \qquad m' = m_A + K_{AB} K_{BB}^{-1} (b - m_B),"
    r" \qquad K' = K_{AA} - K_{AB} K_{BB}^{-1} K_{BA}",
    source="Bishop (2006), eq. 2.81 and 2.82",
    statistics=3,
    coincides="Where A and B are independent nothing changes, and nothing is proved.",
)
class Condition:
    """The precision of a chain is known from its steps; conditioning on B only strikes rows and columns from it."""

    @staticmethod
    def exact(claimed, case, evidence):
        mean, cov = chain_joint(case)
        q = claimed.gaussian.FullGaussian(mean, cov)
        steps = step_matrix(case.beta)
        precision = steps.T @ np.diag(1 / np.array(case.beta)) @ steps
        values = np.resize(case.x_t, case.T)
        others = [k for k in range(case.T) if k != case.s - 1]
        for name, known in (("one step", [case.t - 1]), ("all other steps", others)):
            rest = [k for k in range(case.T) if k not in known]
            law = q.condition(known, values[known])
            within = np.linalg.inv(precision[np.ix_(rest, rest)])
            shift = within @ precision[np.ix_(rest, known)] @ (values - mean)[known]
            evidence.close(f"mean given {name}", law.mean, mean[rest] - shift, tolerance=1e-11, scale=1.0)
            evidence.close(f"covariance given {name}", law.cov, within, tolerance=1e-11)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, moved = chain_noise(case, trial.rng, trial.n)
        q, known = claimed.gaussian.FullGaussian(*chain_joint(case)), case.t - 1
        rest = [k for k in range(case.T) if k != known]
        at_0, at_1 = (q.condition([known], [value]) for value in (0.0, 1.0))  # the mean is affine in the value
        x, value = (mean + moved)[:, rest], (mean + moved)[:, [known]]
        expected = at_0.mean + value * (at_1.mean - at_0.mean)
        var = np.diag(at_0.cov)
        trial.mean("E[the rest | x_t]", x, expected, var[None])
        trial.var("Var[the rest | x_t]", x, expected, var)
        trial.mean("E[the rest times x_t]", x, expected, var[None], weight=value)


@identity(
    "gaussian.full_kl",
    judges="gaussian.full_kl",
    states=r"\mathrm{KL}(q \Vert p) \qquad = \tfrac12\left[\operatorname{tr}(K_p^{-1} K_q) - d"
    r" + (m_p - m_q)^\top K_p^{-1} (m_p - m_q) + \log\frac{\det K_p}{\det K_q}\right]",
    source="Kullback (1959), ch. 9",
    statistics=1,
    coincides="Where both covariances are diagonal it is a sum over coordinates, and correlations are not tested.",
)
class FullKl:
    """The divergence of two chains is the sum of those of their steps, averaged over where the first one stands.

    The second chain has half the betas and another start.
    """

    @staticmethod
    def laws(claimed, case):
        """Return the two chains as joint Gaussians."""
        mean, cov = dense_joint(tuple(b / 2 for b in case.beta), case.x_t[:1])
        FullGaussian = claimed.gaussian.FullGaussian
        return FullGaussian(*chain_joint(case)), FullGaussian(mean[1:, 0], cov[1:, 1:])

    @staticmethod
    def exact(claimed, case, evidence):
        total, mean, var, other = 0.0, case.x_0[0], 0.0, case.x_t[0]
        for beta in case.beta:
            rate, rate_p = math.sqrt(1 - beta), math.sqrt(1 - beta / 2)
            distance = (rate * mean - rate_p * other) ** 2 + (rate - rate_p) ** 2 * var
            total += 0.5 * (2 - 1 - math.log(2) + distance / (beta / 2))
            mean, var = rate * mean, rate**2 * var + beta
            other = mean  # from the first step on, both stand where q does
        q, p = FullKl.laws(claimed, case)
        evidence.close("sum over steps", claimed.gaussian.full_kl(q, p), total, tolerance=1e-11)
        evidence.close("of q and q", claimed.gaussian.full_kl(q, q), 0.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        half = tuple(b / 2 for b in case.beta)
        mean, moved = chain_noise(case, trial.rng, trial.n)
        ratios = [
            log_chain(x, case.x_0[0], case.beta) - log_chain(x, case.x_t[0], half) for x in (mean + moved, mean - moved)
        ]
        mixed = step_matrix(half) @ path_weights(case.beta)[1][1:] / np.sqrt(half)[:, None]
        h = np.linalg.eigvalsh(mixed.T @ mixed - np.eye(case.T)) / 2
        kl = claimed.gaussian.full_kl(*FullKl.laws(claimed, case))
        trial.quadratic("E_q log q / p", np.mean(ratios, axis=0), kl, np.zeros(case.T), h)
