r"""Identities of mixture data: the density of x_t, its score, the ideal denoiser, and the true reverse kernel.

Truth comes from direct sums in fifty digits, and from Bayes' integral over the unknown, one coordinate and component at
a time, by quadrature. By chance it comes from chains: which component a point came from is discrete, so residuals are
bounded, and a density is judged by the odds that it gives in a guessing game. Both obey Bernstein's inequality.
"""

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

import numpy as np
from scipy.special import expit

from refdiff.forward import walk
from refdiff.verify.identity import identity
from refdiff.verify.oracles import integrate, log_normal, marginal

FIFTY_DIGITS = Context(prec=50, Emin=MIN_EMIN, Emax=MAX_EMAX)
PI = Decimal("3.14159265358979323846264338327950288419716939937511")
DRAWS = 400  # so many that each of three components occurs
FAR = 1000.0  # so far out that every density underflows, and only its logarithm is left


def data(case):
    """Return weights (K,), means and variances (K, d) of three components, no two of them alike."""
    weights = np.array([0.7 * case.weight, 0.7 * (1 - case.weight), 0.3])
    means = np.array([np.negative(case.x_0), np.copysign(case.eps, case.x_0) / 2, np.zeros(case.d)])
    variances = np.outer([*case.spread, case.var_q], 1 + 0.25 * np.arange(case.d))
    return weights, means, variances


def claim(claimed, case):
    """Return these data as the implementation builds them."""
    return claimed.mixture.GaussianMixture(*data(case))


def diffuse(case, t):
    """Return the mixture of x_t: each component is an affine map of its x_0, plus independent noise."""
    weights, means, variances = data(case)
    factor, left = marginal(case.beta, t)
    return weights, factor * means, factor**2 * variances + left


def log_mixture(x, weights, means, variances):
    """Return log q(x) of a mixture as it is written down; x is (..., d), and q may differ from point to point."""
    return np.log(np.sum(weights * np.exp(log_normal(x[..., None, :], means, variances)), axis=-1))


def decimal_log_mixture(x, weights, means, variances):
    """Return log q(x) at one point in fifty digits and without underflow; x may hold Decimals."""
    with localcontext(FIFTY_DIGITS):
        total = Decimal(0)
        for w, mean, var in zip(weights, means, variances, strict=True):
            exponent, factor = Decimal(0), Decimal(1)
            for one, m, v in zip(x, mean, var, strict=True):
                exponent -= (Decimal(one) - Decimal(m)) ** 2 / Decimal(v) / 2
                factor *= 2 * PI * Decimal(v)
            total += Decimal(w) * exponent.exp() / factor.sqrt()
        return total.ln()


def decimal_score(x, weights, means, variances):
    """Return the gradient of log q by central differences: in fifty digits a step of 1e-15 leaves thirty right."""
    step, score = Decimal("1e-15"), []
    with localcontext(FIFTY_DIGITS):
        for i in range(len(x)):
            ends = []
            for sign in (1, -1):
                moved = [Decimal(float(one)) for one in x]
                moved[i] += sign * step
                ends.append(decimal_log_mixture(moved, weights, means, variances))
            score.append(float((ends[0] - ends[1]) / (2 * step)))
    return np.array(score)


def decimal_curvature(x, weights, means, variances):
    """Return the second and third derivative of log q at a point of the line, by central differences in fifty digits.

    A step of 1e-10 leaves twenty digits right.
    """
    step = Decimal("1e-10")
    with localcontext(FIFTY_DIGITS):
        f = {j: decimal_log_mixture([Decimal(float(x)) + j * step], weights, means, variances) for j in range(-2, 3)}
        second = (f[1] - 2 * f[0] + f[-1]) / step**2
        third = (f[2] - 2 * f[1] + 2 * f[-1] - f[-2]) / (2 * step**3)
    return float(second), float(third)


def bayes_integral(prior, factor, left, y):
    """Return log q(y), E[x | y] and Var[x | y] for y = factor x + N(0, left), x from a mixture, by quadrature over x.

    Within a component the coordinates are independent, so the integral is a product of one-dimensional ones.
    """
    weights, means, variances = prior

    def integrand(x):
        x = x[:, None, None]
        joint = np.exp(-((x - means) ** 2) / (2 * variances) - (y - factor * x) ** 2 / (2 * left))
        joint = joint / (2 * math.pi * np.sqrt(variances * left))
        return np.stack([joint, x * joint, x**2 * joint], axis=1)

    mass, first, second = integrate(integrand, -20.0, 20.0, points=1601)
    joint = weights * mass.prod(axis=-1)
    given = joint / joint.sum()
    mean = given @ (first / mass)
    return math.log(joint.sum()), mean, given @ (second / mass) - mean**2


def draw(case, n, rng):
    """Return the components (n,) and the points (n, d) of n draws from the data."""
    weights, means, variances = data(case)
    k = np.searchsorted(np.cumsum(weights)[:-1], rng.random(n))
    return k, means[k] + np.sqrt(variances[k]) * rng.standard_normal((n, case.d))


def chains(case, trial):
    """Return the components (n,) and the forward chains (T + 1, n, d) that start from the data."""
    k, x_0 = draw(case, trial.n, trial.rng)
    return k, walk(case.schedule, x_0, trial.rng)


def directions(case):
    """Return one or two directions to look along: where the first two components differ, and the last axis."""
    _, means, _ = data(case)
    apart = means[1] - means[0]
    apart = apart / np.linalg.norm(apart)
    return [apart] if case.d == 1 else [apart, np.eye(case.d)[-1]]


def side(x):
    """Return on which side of the middle each point lies, smoothly between -1 and 1."""
    return np.tanh((x - x.mean()) / x.std())


def average_out(trial, what, values, drawn, claimed, known=None, chance=None):
    """Judge a conditional mean over a discrete unknown, such as the component that a point came from.

    `values` (n, K) are the answers for each value of the unknown, `drawn` (n,) says which one was true, `claimed` (n,)
    is their mean given all else. Each residual stays within the range of its values, and by Popoviciu its variance
    is at most a quarter of that range squared, or known if the `chance` (n, K) of each value is. It is orthogonal to
    all that is `known`, a function in [-1, 1]. Records 1 statistic, or 2.
    """
    width = values.max(axis=1) - values.min(axis=1)
    var = width**2 / 4 if chance is None else (chance * values**2).sum(axis=1) - (chance * values).sum(axis=1) ** 2
    residual = values[np.arange(len(drawn)), drawn] - claimed
    for name, of_known in {"": 1.0, " times known": known}.items():
        if of_known is not None:
            weight = of_known / (1 + width)
            trial.bounded(what + name, weight * residual, 0.0, np.mean(weight**2 * var), span=1.0)


def guess(trial, what, real, log_q, log_p, known):
    """Judge a density q by a game: a coin chose whether a point was drawn from q or from p; which was it?

    Given the point the coin is Bernoulli with q / (q + p), whatever the two are. Its residual is bounded, of known
    variance, and orthogonal to every function of the point: `known`, in [-1, 1], or how sure the odds are.
    Records 3 statistics.
    """
    odds = expit(log_q - log_p)
    for name, weight in {"": np.ones_like(odds), " times how sure": 2 * odds - 1, " times side": known}.items():
        var = np.mean(weight**2 * odds * (1 - odds))
        trial.bounded(f"{what}: real or not{name}", weight * (real - odds), 0.0, var, span=1.0)


def given_component(prior, factor, left, y):
    """Return E[x | y, k] (n, K, d) for y = factor x + N(0, left): within a component x is regressed on y."""
    _, means, variances = prior
    gain = factor * variances / (factor**2 * variances + left)  # Cov(x, y) / Var(y)
    return means + gain * (y[:, None] - factor * means)


def chances(x, weights, means, variances):
    """Return the probability (n, K) with which each point of a mixture came from each component: Bayes' rule."""
    joint = weights * np.exp(log_normal(x[:, None], means, variances))
    return joint / joint.sum(axis=1, keepdims=True)


def waves(trial, what, y, weights, means, variances, known=None):
    """Judge draws (n,) of mixtures in one dimension, one for all or one for each, by their characteristic functions.

    The frequency is one over the typical width of a component. What is `known` of each law, in [-1, 1], may weigh the
    waves. Records 2 statistics.
    """
    omega = 1 / np.sqrt(np.mean(variances))

    def phi(k):
        exponent = 1j * k * omega * means - (k * omega) ** 2 * variances / 2
        return np.sum(weights * np.exp(exponent), axis=-1)

    once, twice, known = phi(1), phi(2).real, np.ones(len(y)) if known is None else known
    for name, wave, mean, square in (
        ("cos", np.cos(omega * y), once.real, (1 + twice) / 2),
        ("sin", np.sin(omega * y), once.imag, (1 - twice) / 2),
    ):
        trial.bounded(f"{what}: E {name}", known * (wave - mean), 0.0, np.mean(known**2 * (square - mean**2)))


def same_seed_same_z(evidence, draw, means, variances):
    """Judge DRAWS points of mixtures of three, by how they change with the mixture while the seed stays the same.

    The components are so narrow that the nearest mean is a point's own: what is left of it is sqrt(v_k) z.
    """

    def residuals(ratio, shift=0.0):
        x = draw(means + shift, 1e-12 * ratio * variances)[:, None] - (means + shift)
        k = np.argmin((x**2).sum(axis=-1), axis=1)
        return k, x[np.arange(DRAWS), k]

    ratio = 1.0 + np.arange(means.size).reshape(means.shape) % 7
    (k, z), (again, stretched), (_, shifted) = residuals(1.0), residuals(ratio), residuals(1.0, shift=1.0)
    evidence.true("every component occurs, the same ones for the same seed", set(k) == {0, 1, 2} and (k == again).all())
    evidence.true("each point lies at a component", np.abs(z).max() < 10 * np.sqrt(1e-12 * variances.max()))
    # a residual of 1e-6 beside a mean of 1 keeps ten digits
    of_k = np.broadcast_to(ratio, (DRAWS, *ratio.shape[-2:]))[np.arange(DRAWS), k]
    evidence.close("x - m_k for other variances", stretched, np.sqrt(of_k) * z, tolerance=1e-8)
    evidence.close("x - m_k for the mean m_k + 1", shifted, z, tolerance=1e-8)


def toss(trial, drawn, fake):
    """Return a coin (n,) and points that are drawn where it shows heads, fake elsewhere."""
    real = trial.rng.random(trial.n) < 0.5
    return real, np.where(real[:, None], drawn, fake)


@identity(
    "mixture.moments",
    judges=("mixture.GaussianMixture.mean", "mixture.GaussianMixture.var"),
    states=r"\mathbb{E}[x] = \sum_k w_k m_k, \qquad"
    r" \operatorname{Var}[x] = \sum_k w_k \left(v_k + m_k^2\right) - \mathbb{E}[x]^2",
    source="Bishop (2006), section 9.3.3",
    statistics=2,
    coincides="Components with one mean, where nothing lies between them.",
)
class Moments:
    """The density is integrated; by chance, half the squared distance of two draws is the variance on average."""

    @staticmethod
    def exact(claimed, case, evidence):
        mixture = claim(claimed, case)
        weights, means, variances = data(case)

        def integrand(x):  # (points, 3, d): the density of each coordinate, times 1, x and x^2
            x = x[:, None, None]
            density = np.exp(-((x - means) ** 2) / (2 * variances)) / np.sqrt(2 * math.pi * variances)
            density = np.tensordot(density, weights, axes=(1, 0))
            return np.stack([density, x[..., 0] * density, x[..., 0] ** 2 * density], axis=1)

        _, first, second = integrate(integrand, -20.0, 20.0, points=1601)
        evidence.close("E[x]", mixture.mean, first, scale=np.abs(means).max())
        evidence.close("Var[x]", mixture.var, second - first**2)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mixture = claim(claimed, case)
        weights, means, variances = data(case)
        one, other = draw(case, trial.n, trial.rng)[0], draw(case, trial.n, trial.rng)[0]
        u = directions(case)[0]
        average_out(trial, "E[x]", np.tile(means @ u, (trial.n, 1)), one, np.tile(mixture.mean @ u, trial.n))
        half = (variances[:, None] + variances + (means[:, None] - means) ** 2).sum(axis=-1) / 2
        pairs = np.tile(half.ravel(), (trial.n, 1))
        average_out(trial, "Var[x]", pairs, len(weights) * one + other, np.tile(mixture.var.sum(), trial.n))


@identity(
    "mixture.sample",
    judges="mixture.GaussianMixture.sample",
    states=r"k \sim w, \quad x = m_k + \sqrt{v_k}\,z \quad\Longrightarrow\quad"
    r" \mathbb{E}\,e^{i\omega^\top x}"
    r" = \sum_k w_k \exp\left(i\omega^\top m_k - \tfrac12 \omega^\top v_k\,\omega\right)",
    source="Bishop (2006), section 8.1.2",
    statistics=4,
    coincides="A standard deviation and a variance near 1 cannot be told apart.",
)
class Sample:
    """Same seed, same z: other variances stretch each residual by their root. By chance, characteristic functions."""

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = data(case)

        def draw(means, variances):
            return claimed.mixture.GaussianMixture(weights, means, variances).sample(
                DRAWS, np.random.default_rng(case.T)
            )

        same_seed_same_z(evidence, draw, means, variances)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights, means, variances = data(case)
        x = claim(claimed, case).sample(trial.n, trial.rng)
        for i, u in enumerate(directions(case)):
            waves(trial, f"x along direction {i + 1}", x @ u, weights, means @ u, variances @ u**2)


@identity(
    "mixture.log_density",
    judges="mixture.GaussianMixture.log_density",
    states=r"\log q(x) = \log \sum_k w_k\,\mathcal{N}(x; m_k, v_k)",
    source="Bishop (2006), eq. 2.188",
    statistics=3,
    coincides="One component; or a point so far out that a single one is left of the sum.",
)
class LogDensity:
    """The sum in fifty digits, far out as well, and its mass; by chance, a guess between data and a wide Gaussian."""

    @staticmethod
    def exact(claimed, case, evidence):
        mixture, (weights, means, variances) = claim(claimed, case), data(case)
        x = np.array([case.x_0, case.x_t, case.eps, np.full(case.d, FAR)])
        truth = [float(decimal_log_mixture(one, weights, means, variances)) for one in x]
        for one, log_q, true in zip(x, mixture.log_density(x), truth, strict=True):
            evidence.close(f"log q at {np.round(one, 3)}", log_q, true, scale=1 + abs(true))
        line = claimed.mixture.GaussianMixture(weights, means[:, :1], variances[:, :1])
        mass = integrate(lambda x: np.exp(line.log_density(x[:, None])), -20.0, 20.0)
        evidence.close("mass of the first coordinate", mass, 1.0, tolerance=1e-10)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        fake = 2.0 * trial.rng.standard_normal((trial.n, case.d))
        real, x = toss(trial, draw(case, trial.n, trial.rng)[1], fake)
        known = side(x @ directions(case)[0])
        guess(trial, "q(x)", real, claim(claimed, case).log_density(x), log_normal(x, 0.0, 4.0), known)


@identity(
    "mixture.score",
    judges="mixture.GaussianMixture.score",
    states=r"\nabla_x \log q(x) = -\sum_k r_k(x)\,\frac{x - m_k}{v_k}, \qquad"
    r" r_k(x) = \frac{w_k\,\mathcal{N}(x; m_k, v_k)}{q(x)}",
    source="Hyvärinen (2005), section 2, for the definition",
    statistics=4,
    coincides="Where one component is alone, its own score is that of the mixture.",
)
class Score:
    """Differences of log q in fifty digits; by chance, the score averages those of the components it may come from."""

    @staticmethod
    def exact(claimed, case, evidence):
        mixture, (weights, means, variances) = claim(claimed, case), data(case)
        for one in (case.x_0, case.x_t, np.zeros(case.d), np.full(case.d, FAR)):
            x = np.array(one)
            largest = np.abs((x - means) / variances).max()  # the components' scores may cancel in the sum
            truth = decimal_score(x, weights, means, variances)
            evidence.close(f"score at {np.round(x, 3)}", mixture.score(x), truth, scale=largest)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        _, means, variances = data(case)
        k, x = draw(case, trial.n, trial.rng)
        each, score = (means - x[:, None]) / variances, claim(claimed, case).score(x)
        for i, u in enumerate(directions(case)):
            average_out(trial, f"score along direction {i + 1}", each @ u, k, score @ u, known=side(x @ u))


@identity(
    "mixture.diffused",
    judges="mixture.GaussianMixture.diffused",
    states=r"q(x_t) = \int q(x_t \mid x_0)\,q(x_0)\,dx_0 = \sum_k w_k\,"
    r"\mathcal{N}\left(x_t; \sqrt{\bar\alpha_t}\,m_k,\; \bar\alpha_t v_k + 1 - \bar\alpha_t\right)",
    source="Ho, Jain & Abbeel (2020), eq. 4, integrated over x_0",
    statistics=4,
    coincides="Components of variance 1 keep it, so that shrinking v_k or not makes no difference.",
)
class Diffused:
    """The integral over x_0 by quadrature; by chance, where chains that start from the data are at t."""

    @staticmethod
    def exact(claimed, case, evidence):
        mixture, x_t = claim(claimed, case), np.array(case.x_t)
        for t in (1, case.t, case.T):
            log_q, _, _ = bayes_integral(data(case), *marginal(case.beta, t), x_t)
            found = mixture.diffused(case.schedule, t).log_density(x_t)
            evidence.close(f"log q(x_t) at t = {t}", found, log_q, tolerance=1e-10, scale=1 + abs(log_q))
        log_q = log_mixture(x_t, *data(case))
        found = mixture.diffused(case.schedule, 0).log_density(x_t)
        evidence.close("log q(x_0)", found, log_q, scale=1 + abs(log_q))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        _, x = chains(case, trial)
        law = claim(claimed, case).diffused(case.schedule, case.t)
        for i, u in enumerate(directions(case)):
            of_u = law.weights, law.means @ u, law.variances @ u**2
            trial.mixture(f"x_t along direction {i + 1}", x[case.t] @ u, *of_u)


@identity(
    "mixture.denoiser",
    judges="mixture.GaussianMixture.denoiser",
    states=r"\epsilon^*(x_t, t) = \mathbb{E}[\epsilon \mid x_t] = -\sqrt{1 - \bar\alpha_t}\;\nabla_{x_t} \log q(x_t)",
    source="Vincent (2011); Ho, Jain & Abbeel (2020), section 3.2",
    statistics=4,
    coincides="At a mode of q(x_t) every multiple of the score is 0.",
)
class Denoiser:
    """E[x_0 | x_t] by quadrature, and differences of log q; by chance, an average over where x_t may come from."""

    @staticmethod
    def exact(claimed, case, evidence):
        denoiser = claim(claimed, case).denoiser(case.schedule)
        steps = np.arange(1, case.T + 1)
        x = np.tile(case.x_t, (case.T, 1))
        eps_hat = denoiser(x, steps)
        for t in steps:
            factor, left = marginal(case.beta, t)
            _, origin, _ = bayes_integral(data(case), factor, left, x[0])
            expected = (x[0] - factor * origin) / math.sqrt(left)
            evidence.close(f"E[eps | x_t] at t = {t}, Bayes", eps_hat[t - 1], expected, tolerance=1e-10, scale=1.0)
        t = case.t
        score = decimal_score(x[0], *diffuse(case, t))
        found = denoiser(x[0], t)
        evidence.close(
            f"E[eps | x_t] at t = {t}, score", found, -math.sqrt(marginal(case.beta, t)[1]) * score, scale=1.0
        )

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, (factor, left) = x[case.t], marginal(case.beta, case.t)
        each = (x_t[:, None] - factor * given_component(data(case), factor, left, x_t)) / math.sqrt(left)
        eps_hat = claim(claimed, case).denoiser(case.schedule)(x_t, case.t)
        for i, u in enumerate(directions(case)):
            average_out(trial, f"E[eps | x_t] along direction {i + 1}", each @ u, k, eps_hat @ u, known=side(x_t @ u))


@identity(
    "mixture.loss_floor",
    judges=("mixture.GaussianMixture.denoiser", "mixture.GaussianMixture.posterior_x_0"),
    states=r"\min_{\hat\epsilon} \mathbb{E}\Vert\epsilon - \hat\epsilon(x_t, t)\Vert^2"
    r" = \mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2 = d - \mathbb{E}\Vert\epsilon^*\Vert^2"
    r" = \frac{\bar\alpha_t}{1 - \bar\alpha_t}\,\mathbb{E}\operatorname{tr}\operatorname{Var}[x_0 \mid x_t] > 0",
    source="Bishop (2006), section 1.5.5, for the least squared error; Vincent (2011)",
    statistics=1,
    coincides="With all data at one point x_t tells the noise, and the floor is 0.",
)
class LossFloor:
    """No function of x_t finds the noise itself: what the ideal denoiser misses is how uncertain x_0 remains.

    One coordinate of x_0 and x_t on a grid of both; by chance, the squared error of the noise of a chain, beside the
    variance of x_0 that is claimed at its x_t.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = data(case)
        factor, left = marginal(case.beta, case.t)
        x_0, x_t = np.linspace(-13.0, 13.0, 401)[:, None], np.linspace(-13.0, 13.0, 1041)
        normals = np.exp(-((x_0 - means[:, 0]) ** 2) / (2 * variances[:, 0])) / np.sqrt(variances[:, 0])
        eps = (x_t - factor * x_0) / math.sqrt(left)
        joint = (normals @ weights)[:, None] * np.exp(-(eps**2) / 2)
        joint /= joint.sum()
        chance = joint.sum(axis=0)  # of x_t
        floor = np.sum(joint * (eps - np.sum(joint * eps, axis=0) / chance) ** 2)

        line = claimed.mixture.GaussianMixture(weights, means[:, :1], variances[:, :1])
        eps_hat = line.denoiser(case.schedule)(x_t[:, None], case.t)[:, 0]
        var = line.posterior_x_0(case.schedule, x_t[:, None], case.t).var[:, 0]
        # sums on a grid: the rest of their series is below 1e-14, and differences cancel a few digits
        evidence.close("E (eps - eps*)^2", np.sum(joint * (eps - eps_hat) ** 2), floor, tolerance=1e-10)
        evidence.close("1 - E eps*^2", 1 - chance @ eps_hat**2, floor, tolerance=1e-10)
        evidence.close("E Var[x_0 | x_t] SNR_t", factor**2 / left * (chance @ var), floor, tolerance=1e-10)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, (factor, left), (_, _, variances) = x[case.t], marginal(case.beta, case.t), data(case)
        mixture = claim(claimed, case)
        eps_hat = mixture.denoiser(case.schedule)(x_t, case.t)
        var = mixture.posterior_x_0(case.schedule, x_t, case.t).var
        mean = (x_t[:, None] - factor * given_component(data(case), factor, left, x_t)) / math.sqrt(left)
        within = factor**2 * variances / (factor**2 * variances + left)  # Var[eps | x_t, k]
        each = np.sum(within + (mean - eps_hat[:, None]) ** 2, axis=-1)
        average_out(trial, "E[|eps - eps*|^2 | x_t]", each, k, factor**2 / left * var.sum(axis=-1))


@identity(
    "mixture.posterior_x_0",
    judges="mixture.GaussianMixture.posterior_x_0",
    states=r"q(x_0 \mid x_t) = \frac{q(x_t \mid x_0)\,q(x_0)}{q(x_t)}, \qquad \operatorname{Var}[x_0 \mid x_t] > 0",
    source="Bishop (2006), eq. 2.116, within each component",
    statistics=5,
    coincides="With little noise x_t nearly determines x_0.",
)
class PosteriorX0:
    """Bayes' rule with q(x_t) integrated; by chance, a guess between the true x_0 and one made up from x_t."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps, x = np.arange(1, case.T + 1), np.tile(case.x_t, (case.T, 1))
        q = claim(claimed, case).posterior_x_0(case.schedule, x, steps)
        _bayes(evidence, "x_0", q, x, [(data(case), *marginal(case.beta, t)) for t in steps], np.array(case.eps))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, (factor, left) = x[case.t], marginal(case.beta, case.t)
        fake = factor * x_t + math.sqrt(left) * trial.rng.standard_normal(x_t.shape)  # as if the data were N(0, I)
        real, x_0 = toss(trial, x[0], fake)
        q = claim(claimed, case).posterior_x_0(case.schedule, x_t, case.t)
        u = directions(case)[0]
        known = side(x_0 @ u) * side(x_t @ u)
        guess(trial, "q(x_0 | x_t)", real, q.log_density(x_0), log_normal(x_0, factor * x_t, left), known)
        each = given_component(data(case), factor, left, x_t) @ u
        average_out(trial, "E[x_0 | x_t]", each, k, q.mean @ u, known=side(x_t @ u))


def _bayes(evidence, name, q, y, routes, x):
    """Compare laws of x given y, one for each point y, with Bayes' rule: `routes` hold (prior, factor, left)."""
    log_q, means, variances = q.log_density(x), q.mean, q.var
    for i, (prior, factor, left) in enumerate(routes):
        log_y, mean, var = bayes_integral(prior, factor, left, y[i])
        log_x = log_mixture(x, *prior) + log_normal(y[i], factor * x, left) - log_y
        at = f"{name} | x_{i + 1}"
        # the differences of integrals and of logarithms cancel a few digits
        evidence.close(f"E[{at}]", means[i], mean, tolerance=1e-10, scale=1.0)
        evidence.close(f"Var[{at}]", variances[i], var, tolerance=1e-9)
        evidence.close(f"log q({at})", log_q[i], log_x, tolerance=1e-9, scale=1 + abs(log_x))


@identity(
    "mixture.reverse_kernel",
    judges="mixture.GaussianMixture.reverse_kernel",
    states=r"q(x_{t-1} \mid x_t) = \frac{q(x_t \mid x_{t-1})\,q(x_{t-1})}{q(x_t)}"
    r" \ne q(x_{t-1} \mid x_t, x_0), \qquad"
    r" \mathbb{E}[x_{t-1} \mid x_t] = \frac{x_t + \beta_t \nabla \log q(x_t)}{\sqrt{\alpha_t}}",
    source="Sohl-Dickstein et al. (2015), section 2.2",
    statistics=5,
    coincides="It is the posterior only for data at one point. As beta_t goes to 0 it becomes Gaussian.",
)
class ReverseKernel:
    """Bayes' rule on one step, which never mentions x_0; by chance, a guess between the true x_{t-1} and a fake."""

    @staticmethod
    def exact(claimed, case, evidence):
        mixture = claim(claimed, case)
        steps, x = np.arange(1, case.T + 1), np.tile(case.x_t, (case.T, 1))
        q = mixture.reverse_kernel(case.schedule, x, steps)
        routes = [(diffuse(case, t - 1), math.sqrt(1 - case.beta[t - 1]), case.beta[t - 1]) for t in steps]
        _bayes(evidence, "x_{t-1}", q, x, routes, np.array(case.eps))
        beta = case.beta[case.t - 1]
        mean = (x[0] + beta * decimal_score(x[0], *diffuse(case, case.t))) / math.sqrt(1 - beta)
        found = mixture.reverse_kernel(case.schedule, x[0], case.t).mean
        evidence.close("E[x_{t-1} | x_t] by the score", found, mean, scale=1 + np.abs(x[0]).max() / math.sqrt(1 - beta))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, beta = x[case.t], case.beta[case.t - 1]
        mean = math.sqrt(1 - beta) * x_t  # what the step back would be if the data were N(0, I)
        real, x_prev = toss(trial, x[case.t - 1], mean + math.sqrt(beta) * trial.rng.standard_normal(x_t.shape))
        q = claim(claimed, case).reverse_kernel(case.schedule, x_t, case.t)
        u = directions(case)[0]
        known = side(x_prev @ u) * side(x_t @ u)
        guess(trial, "q(x_{t-1} | x_t)", real, q.log_density(x_prev), log_normal(x_prev, mean, beta), known)
        each = given_component(diffuse(case, case.t - 1), math.sqrt(1 - beta), beta, x_t) @ u
        average_out(trial, "E[x_{t-1} | x_t]", each, k, q.mean @ u, known=side(x_t @ u))


@identity(
    "mixture.gaussian_limit",
    judges="mixture.GaussianMixture.reverse_kernel",
    states=r"\operatorname{Var}[x_{t-1} \mid x_t] = \frac{\beta_t}{\alpha_t}"
    r" \left(1 + \beta_t\,\partial^2 \log q(x_t)\right), \qquad"
    r" \operatorname{skew}[x_{t-1} \mid x_t] = \frac{\beta_t^{3/2}\,\partial^3 \log q(x_t)}"
    r"{\left(1 + \beta_t\,\partial^2 \log q(x_t)\right)^{3/2}} \to 0 \text{ as } \beta_t \to 0",
    source="Efron (2011), section 2, for the cumulants; Sohl-Dickstein et al. (2015), section 2.2, for the limit",
    statistics=4,
    coincides="Gaussian data have a Gaussian reverse kernel at every beta_t. With beta_t = .001 the skewness is some"
    " 1e-5: there no sample tells the kernel from a Gaussian, and that is what the reverse process lives on.",
)
class GaussianLimit:
    """Bayes' rule on one step is an exponential family in x_t, so derivatives of log q(x_t) are its cumulants.

    For one coordinate: in fifty digits, at the case's own beta and at one of .001; by chance, second and third moment
    of the step back of a chain, given the component that it came from.
    """

    BETA = 1e-3

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = data(case)
        means, variances, x_t = means[:, :1], variances[:, :1], case.x_t[0]
        line = claimed.mixture.GaussianMixture(weights, means, variances)
        betas = (*case.beta, GaussianLimit.BETA)
        schedule = case.schedule.from_betas(betas)
        for t in (case.t, case.T + 1):
            factor, left = marginal(betas, t)
            second, third = decimal_curvature(x_t, weights, factor * means, factor**2 * variances + left)
            beta, root = betas[t - 1], math.sqrt(1 - betas[t - 1])
            q = line.reverse_kernel(schedule, np.array([x_t]), t)
            mean, std = q.mean[0], math.sqrt(q.var[0])
            truth, at = beta / root**2 * (1 + beta * second), f"at beta = {beta}"
            # as much as the summands, which may cancel
            evidence.close(f"Var[x_{{t-1}} | x_t] {at}", q.var[0], truth, scale=beta / root**2)
            skew = integrate(
                lambda y, q=q, mean=mean, std=std: ((y - mean) / std) ** 3 * np.exp(q.log_density(y[:, None])),
                -20.0,
                20.0,
                points=8001,
            )
            # quadrature over forty units, beside a standard deviation that may be a thousandth of that
            truth = (beta / root / math.sqrt(truth)) ** 3 * third
            evidence.close(f"skewness {at}", skew, truth, tolerance=1e-10, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        k, x = chains(case, trial)
        x_t, beta, prior = x[case.t], case.beta[case.t - 1], diffuse(case, case.t - 1)
        chance = chances(x_t, *diffuse(case, case.t))
        var = beta * prior[2][:, 0] / ((1 - beta) * prior[2][:, 0] + beta)  # Var[x_{t-1} | x_t, k]
        q = claim(claimed, case).reverse_kernel(case.schedule, x_t, case.t)
        apart = given_component(prior, math.sqrt(1 - beta), beta, x_t)[..., 0] - q.mean[:, :1]
        third = apart**3 + 3 * apart * var
        known = np.sign((chance * third).sum(axis=1))  # the kernel leans one way here, the other way there
        average_out(trial, "variance of x_{t-1}", apart**2 + var, k, q.var[:, 0], known, chance)
        leans = q.means[..., 0] - q.mean[:, :1]
        claimed_third = np.sum(q.weights * (leans**3 + 3 * leans * q.variances[..., 0]), axis=-1)
        average_out(trial, "third moment of x_{t-1}", third, k, claimed_third, known, chance)


def laws(case, n):
    """Return n mixtures, no two alike: weights (n, K), means and variances (n, K, d)."""
    weights, means, variances = data(case)
    phase = np.arange(n)[:, None]
    weights = weights * [8.0, 1.0, 1.0] * (1.5 + np.sin(phase + np.arange(3)))
    weights = weights / weights.sum(axis=1, keepdims=True)
    return weights, means + np.cos(phase)[..., None], variances * (1.2 + np.sin(2.0 * phase))[..., None]


def draw_each(weights, means, variances, rng):
    """Return one component (n,) and one point (n, d) of each of n mixtures."""
    n = len(weights)
    edges = np.cumsum(weights, axis=1)[:, :-1]
    k = (edges < rng.random(n)[:, None]).sum(axis=1)
    row = np.arange(n)
    return k, means[row, k] + np.sqrt(variances[row, k]) * rng.standard_normal(means[:, 0].shape)


@identity(
    "mixture.pointwise_moments",
    judges=("mixture.PointwiseMixture.mean", "mixture.PointwiseMixture.var"),
    states=r"\mathbb{E}[y \mid x] = \sum_k r_k m_k, \qquad \operatorname{Var}[y \mid x]"
    r" = \sum_k r_k \left(v_k + (m_k - \mathbb{E}[y \mid x])^2\right)",
    source="Bishop (2006), section 5.6",
    statistics=2,
    coincides="Where one component has all the weight.",
)
class PointwiseMoments:
    """Plain sums over components; by chance, half the squared distance of two draws is the variance on average."""

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = laws(case, 5)
        q = claimed.mixture.PointwiseMixture(weights, means, variances)
        for n in range(5):
            for i in range(case.d):
                law = list(zip(weights[n], means[n, :, i], variances[n, :, i], strict=True))
                mean = math.fsum(w * m for w, m, _ in law)
                square = math.fsum(w * (v + m * m) for w, m, v in law)
                evidence.close(f"E[y_{i + 1} | x], law {n + 1}", q.mean[n, i], mean, scale=1.0)
                evidence.close(f"Var[y_{i + 1} | x], law {n + 1}", q.var[n, i], square - mean**2, scale=square)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights, means, variances = laws(case, trial.n)
        q = claimed.mixture.PointwiseMixture(weights, means, variances)
        (one, _), (other, _) = (draw_each(weights, means, variances, trial.rng) for _ in range(2))
        u = directions(case)[0]
        average_out(trial, "E[y | x]", means @ u, one, q.mean @ u)
        distance = (means[:, :, None] - means[:, None]) ** 2
        half = (variances[:, :, None] + variances[:, None] + distance).sum(axis=-1) / 2
        average_out(trial, "Var[y | x]", half.reshape(trial.n, -1), 3 * one + other, q.var.sum(axis=-1))


@identity(
    "mixture.pointwise_log_density",
    judges="mixture.PointwiseMixture.log_density",
    states=r"\log q(y \mid x) = \log \sum_k r_k\,\mathcal{N}(y; m_k, v_k)",
    source="Bishop (2006), section 5.6",
    statistics=3,
    coincides="Equal weights may be left out.",
)
class PointwiseLogDensity:
    """The sum in fifty digits, far out as well; by chance, a guess between a draw from q and one made up."""

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = laws(case, 4)
        y = np.array([case.x_0, case.x_t, case.eps, np.full(case.d, FAR)])
        log_q = claimed.mixture.PointwiseMixture(weights, means, variances).log_density(y)
        for n in range(4):
            truth = float(decimal_log_mixture(y[n], weights[n], means[n], variances[n]))
            evidence.close(f"log q(y | x), law {n + 1}", log_q[n], truth, scale=1 + abs(truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        law = laws(case, trial.n)
        real, y = toss(trial, draw_each(*law, trial.rng)[1], 2.0 * trial.rng.standard_normal((trial.n, case.d)))
        log_q = claimed.mixture.PointwiseMixture(*law).log_density(y)
        guess(trial, "q(y | x)", real, log_q, log_normal(y, 0.0, 4.0), side(y @ directions(case)[0]))


@identity(
    "mixture.pointwise_sample",
    judges="mixture.PointwiseMixture.sample",
    states=r"k \sim r(x), \quad y = m_k + \sqrt{v_k}\,z \quad\Longrightarrow\quad"
    r" \mathbb{E}\left[e^{i\omega^\top y} \mid x\right]"
    r" = \sum_k r_k \exp\left(i\omega^\top m_k - \tfrac12 \omega^\top v_k\,\omega\right)",
    source="Bishop (2006), section 8.1.2",
    statistics=8,
    coincides="Where one component has nearly all the weight, choosing it each time looks right.",
)
class PointwiseSample:
    """Same seed, same z: other variances stretch each residual by their root. By chance, characteristic functions."""

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = laws(case, DRAWS)

        def draw(means, variances):
            return claimed.mixture.PointwiseMixture(weights, means, variances).sample(np.random.default_rng(case.T))

        same_seed_same_z(evidence, draw, means, variances)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights, means, variances = laws(case, trial.n)
        y = claimed.mixture.PointwiseMixture(weights, means, variances).sample(trial.rng)
        for i, u in enumerate(directions(case)):
            law = weights, means @ u, variances @ u**2
            waves(trial, f"y along direction {i + 1}", y @ u, *law)
            waves(trial, f"y along direction {i + 1}, law by law", y @ u, *law, known=np.sin(2.0 * np.arange(trial.n)))
