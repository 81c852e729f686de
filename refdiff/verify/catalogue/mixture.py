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


def on_a_grid(case, s, t):
    """Return x_s (n, 1) and x_t (m,) on grids, and the joint probability (n, m), of the first coordinate of the data.

    Sums over it are trapezoid rules. Along x_s all is Gaussian and at least two steps wide. What is known of x_s given
    x_t is smooth only within the distance from the real line where the components may cancel: x_t has finer steps.
    What has no probability is cut off.
    """
    weights, means, variances = diffuse(case, s)
    (start, _), (factor, left) = marginal(case.beta, s), marginal(case.beta, t)
    factor, left = factor / start, 1 - (factor / start) ** 2
    x_s, x_t = np.linspace(-13.0, 13.0, 261)[:, None], np.linspace(-13.0, 13.0, 651)
    density = np.exp(-((x_s - means[:, 0]) ** 2) / (2 * variances[:, 0])) / np.sqrt(variances[:, 0]) @ weights
    joint = density[:, None] * np.exp(-((x_t - factor * x_s) ** 2) / (2 * left))
    joint = joint / joint.sum()
    some_s, some_t = joint.sum(axis=1) > 1e-18, joint.sum(axis=0) > 1e-18
    return x_s[some_s], x_t[some_t], joint[np.ix_(some_s, some_t)]


def eps_loss_on_a_grid(case):
    """Return E Var[eps | x_t] for t = 0..T, of the first coordinate of the data: sums over x_0 and x_t."""
    losses = np.zeros(case.T + 1)
    for t in range(1, case.T + 1):
        factor, left = marginal(case.beta, t)
        x_0, x_t, joint = on_a_grid(case, 0, t)
        eps = (x_t - factor * x_0) / math.sqrt(left)
        losses[t] = np.sum(joint * (eps - np.sum(joint * eps, axis=0) / joint.sum(axis=0)) ** 2)
    return losses


class Even:
    """Data of two components of one width, all of whose uncertainty is bounded or normal.

    The two components' guesses of x_0, of eps or of x_{t-1} are the same distance apart whatever x_t is. So the
    variance of such an unknown given x_t has two parts: within a component, normal, of a constant variance; and
    between the two, that of a coin r(x_t) times the distance squared.
    """

    def __init__(self, case, d):
        weights, means, _ = data(case)
        self.case, self.weights, self.means = case, weights[:2] / weights[:2].sum(), means[:2, :d]
        self.d, self.var = d, case.spread[0]

    def law(self, t):
        """Return weights (2,), means (2, d) and the variance of x_t."""
        factor, left = marginal(self.case.beta, t)
        return self.weights, factor * self.means, factor**2 * self.var + left

    def walk(self, trial):
        """Return the components (n,) and the chains (T + 1, n, d)."""
        k = (trial.rng.random(trial.n) > self.weights[0]).astype(int)
        x_0 = self.means[k] + math.sqrt(self.var) * trial.rng.standard_normal((trial.n, self.d))
        return k, walk(self.case.schedule, x_0, trial.rng)

    def back(self, s, t):
        """Return the gain and the residual variance of x_s given x_t within a component, and the step between them."""
        (start, _), (factor, _) = marginal(self.case.beta, s), marginal(self.case.beta, t)
        factor, (_, means, var) = factor / start, self.law(s)
        var_t = self.law(t)[2]
        return factor * var / var_t, var * (1 - factor**2) / var_t, means

    def guesses(self, s, t, x_t):
        """Return E[x_s | x_t, k], shape (n, 2, d)."""
        gain, _, means = self.back(s, t)
        return means + gain * (x_t[:, None] - self.law(t)[1])

    def coin(self, t):
        """Return E r(1 - r), with r the chance of the first component given x_t: an integral along their connection."""
        weights, means, var = self.law(t)
        half = np.linalg.norm(means[1] - means[0]) / 2

        def both(x):
            one, other = (w * np.exp(-((x - m) ** 2) / (2 * var)) for w, m in zip(weights, (-half, half), strict=True))
            return one * other / (one + other) / math.sqrt(2 * math.pi * var)

        reach = half + 9 * math.sqrt(var)
        return integrate(both, -reach, reach)

    def parts(self, s, t):
        """Return E Var[x_s | x_t] per coordinate in its two parts, within and between, and the distance squared."""
        gain, within, means = self.back(s, t)
        apart = np.sum((means[1] - means[0] - gain * (self.law(t)[1][1] - self.law(t)[1][0])) ** 2)
        return within, apart * self.coin(t) / self.d, apart

    def eps_loss(self):
        """Return E |eps - E[eps | x_t]|^2 / d for t = 0..T: what x_t leaves open of x_0, in units of the noise."""
        losses = np.zeros(self.case.T + 1)
        for t in range(1, self.case.T + 1):
            factor, left = marginal(self.case.beta, t)
            within, between, _ = self.parts(0, t)
            losses[t] = factor**2 / left * (within + between)
        return losses

    def judge(self, trial, what, claim, s, t, scale=1.0):
        """Judge a claim about `scale` times E Var[x_s | x_t] per coordinate, along chains: part by part, each exactly.

        Each part is the claim less the other one. Records 2 statistics.
        """
        k, x = self.walk(trial)
        within, between, apart = self.parts(s, t)
        residual = x[s] - self.guesses(s, t, x[t])[np.arange(trial.n), k]
        trial.var(f"{what}: within", residual.ravel(), 0.0, float(claim) / scale - between)
        r = chances(x[t], *self.law(t))[:, 0]
        most = apart / self.d / 4
        mean = float(claim) / scale - within
        # no variable between 0 and its most has a larger variance with this mean
        trial.bounded(f"{what}: between", apart / self.d * r * (1 - r), mean, mean * (most - mean), span=most)


def toss(trial, drawn, fake):
    """Return a coin (n,) and points that are drawn where it shows heads, fake elsewhere."""
    real = trial.rng.random(len(drawn)) < 0.5
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
            density = np.sum(density * weights[:, None], axis=1)
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
            mixture = claimed.mixture.GaussianMixture(weights, means, variances)
            x = mixture.sample(DRAWS, np.random.default_rng(case.T))
            evidence.close("number of points", len(x), DRAWS)
            return x[:DRAWS]

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
    coincides="t = 0; nearly for components that are narrow beside 1, where shrinking v_k or not makes no difference.",
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
    r" \qquad = \mathbb{E}\Vert\epsilon - \epsilon^*\Vert^2 = d - \mathbb{E}\Vert\epsilon^*\Vert^2"
    r" \qquad = \frac{\bar\alpha_t}{1 - \bar\alpha_t}\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[x_0 \mid x_t] > 0",
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


def product(case):
    """Return the weights, means and variances of two mixtures on the line, as two lists of components."""
    one = [(case.weight, -case.x_0[0], case.spread[0] + 0.3), (1 - case.weight, case.eps[0] / 2, case.spread[1] + 0.3)]
    return one, [(0.4, -1.0, case.var_q + 0.3), (0.6, case.x_t[0] / 2, 0.8)]


def multiply(claimed, one, other):
    """Return the mixture on the plane whose coordinates are independent, each from its own mixture."""
    both = [(w * v, (m, n), (a, b)) for w, m, a in one for v, n, b in other]
    return claimed.mixture.GaussianMixture(*(list(part) for part in zip(*both, strict=True)))


def surprise(components):
    """Return -E log q of a mixture on the line, given as (weight, mean, variance): a sum of q log q over a grid."""
    weights, means, variances = (np.array(part) for part in zip(*components, strict=True))

    def integrand(x):
        log_q = log_mixture(x[:, None], weights, means[:, None], variances[:, None])
        return -np.exp(log_q) * log_q

    return integrate(integrand, -14.0, 14.0, points=2001)


def plane(case):
    """Return the data, cut off after two coordinates: a grid has no more."""
    weights, means, variances = data(case)
    return weights, means[:, :2], variances[:, :2]


@identity(
    "mixture.expectation",
    judges="mixture.GaussianMixture.expectation",
    states=r"\mathbb{E}[f(x)] = \int f(x)\,q(x)\,dx = \sum_k w_k\,\mathbb{E}_{\mathcal{N}(m_k, v_k)}[f(x)]",
    source="Trefethen & Weideman (2014), section 5, for the rule; Cover & Thomas (2006), eq. 2.4, for what it computes",
    statistics=3,
    coincides="A grid too coarse by a factor of two still has five digits right for one Gaussian: the error falls like"
    " exp(-2 (pi std / step)^2), so half a step too many shows in nothing that is drawn.",
)
class Expectation:
    """Moments and waves have closed forms within a component. By chance, bounded functions that have none."""

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = plane(case)
        omega = np.linspace(0.7, 1.1, means.shape[1])

        def f(x):
            wave = x @ omega
            return np.stack([np.ones(len(x)), x[:, 0], x[:, 0] * x[:, -1], x[:, 0] ** 4, np.cos(wave), np.sin(wave)], 1)

        m, v = means[:, 0], variances[:, 0]
        twice = m * means[:, -1] + (v if means.shape[1] == 1 else 0.0)
        wave = np.exp(1j * means @ omega - variances @ omega**2 / 2)
        each = [np.ones(3), m, twice, m**4 + 6 * m**2 * v + 3 * v**2, wave.real, wave.imag]
        found = claimed.mixture.GaussianMixture(weights, means, variances).expectation(f)
        # what the rule is asked for
        for name, one, truth in zip(("1", "x", "x x'", "x^4", "cos", "sin"), found, each, strict=True):
            evidence.close(f"E {name}", one, weights @ truth, 1e-10, scale=max(1.0, abs(weights @ truth)))
        solid = claimed.mixture.GaussianMixture(weights, np.tile(means[:, :1], 3), 1.0)
        evidence.refuses("three coordinates", solid.expectation, lambda x: x[:, 0])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights, means, variances = plane(case)
        x = draw(case, trial.n, trial.rng)[1][:, :2]

        def f(x):
            square = np.sum((x - 0.5) ** 2, axis=1)
            return np.stack([np.tanh(x[:, 0]), np.sin(x[:, -1] + 1.0) * np.cos(x[:, 0]), np.exp(-square / 4)], axis=1)

        mixture = claimed.mixture.GaussianMixture(weights, means, variances)
        claim = np.asarray(mixture.expectation(lambda x: np.concatenate([f(x), f(x) ** 2], axis=1)))
        for i, name in enumerate(("tanh x", "sin x cos x'", "exp(-|x - 1/2|^2 / 4)")):
            trial.bounded(f"E {name}", f(x)[:, i], claim[i], claim[3 + i] - claim[i] ** 2)


@identity(
    "mixture.entropy",
    judges="mixture.GaussianMixture.entropy",
    states=r"H[q] = -\mathbb{E}[\log q(x)] = \sum_k w_k\,H[\mathcal{N}(m_k, v_k)] + H[w] - H[k \mid x]",
    source="Cover & Thomas (2006), eq. 8.1; its parts are eq. 2.43, twice",
    statistics=1,
    coincides="Components far apart: H[k | x] is 0, and the entropy the weighted mean plus H[w]. Components in one"
    " place: it is that of one Gaussian.",
)
class Entropy:
    """The sum of q log q over a grid; entropies of independent coordinates add up, and a scale adds its logarithm.

    By chance: what a point leaves open about its component is what the entropy lacks of the components' own.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = data(case)

        def entropy(factor=1.0):
            mixture = claimed.mixture.GaussianMixture(weights, factor * means[:, :1], factor**2 * variances[:, :1])
            return mixture.entropy()

        truth = surprise(list(zip(weights, means[:, 0], variances[:, 0], strict=True)))
        # quadrature on both sides
        evidence.close("-E log q", entropy(), truth, 1e-10, scale=max(1.0, abs(truth)))
        evidence.close("in units a tenth as large", entropy(10.0) - entropy(), math.log(10.0), 1e-9)
        one, other = product(case)
        truth = surprise(one) + surprise(other)
        evidence.close("on the plane", multiply(claimed, one, other).entropy(), truth, 1e-10, scale=max(1.0, truth))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        weights, means, variances = plane(case)
        x = draw(case, trial.n, trial.rng)[1][:, :2]
        r = chances(x, weights, means, variances)
        left_open = -np.sum(r * np.log(np.maximum(r, 1e-300)), axis=1)
        known = weights @ np.log(2 * math.pi * math.e * variances).sum(axis=1) / 2 - weights @ np.log(weights)
        claim, most = known - claimed.mixture.GaussianMixture(weights, means, variances).entropy(), math.log(3.0)
        # no variable between 0 and its most has a larger variance with this mean
        trial.bounded("H[k | x]", left_open, claim, claim * (most - claim), span=most)


@identity(
    "mixture.eps_loss",
    judges="mixture.GaussianMixture.eps_loss",
    states=r"\frac1d\,\mathbb{E}\Vert\epsilon - \epsilon^*(x_t, t)\Vert^2"
    r" = \frac1d\,\mathbb{E}\operatorname{tr}\operatorname{Cov}[\epsilon \mid x_t]",
    source="the law of total variance; Bao et al. (2022), theorem 1",
    statistics=2,
    coincides="Sum and mean over the coordinates agree for d = 1. Late x_t is nearly noise: there it is nearly 0, for"
    " all data.",
)
class EpsLoss:
    """The noise that x_t came from, averaged over x_0 on a grid; independent coordinates are averaged.

    By chance: what x_t leaves open of the noise along chains from two components of one width.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        weights, means, variances = data(case)
        line, truth = (weights, means[:, :1], variances[:, :1]), eps_loss_on_a_grid(case)
        found = claimed.mixture.GaussianMixture(*line).eps_loss(case.schedule)
        evidence.close("for all t", found, truth, 1e-10, scale=1.0)  # quadrature on both sides
        one = list(zip(weights, means[:, 0], variances[:, 0], strict=True))
        once = case.schedule.from_betas([1 - case.alpha_bar(case.T)])  # the last step alone: a plane is slow
        factor, left = marginal(case.beta, case.T)
        both = multiply(claimed, one, [(1.0, 0.5, case.var_p)]).eps_loss(once)
        of_normal = factor**2 * case.var_p / (factor**2 * case.var_p + left)
        evidence.close("on the plane", both, [0.0, (truth[case.T] + of_normal) / 2], 1e-10, scale=1.0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, even = case.t, Even(case, min(case.d, 2))
        once = case.schedule.from_betas([1 - case.alpha_bar(t)])  # x_t in one step: a plane is slow
        claim = claimed.mixture.GaussianMixture(even.weights, even.means, even.var).eps_loss(once)[1]
        factor, left = marginal(case.beta, t)
        even.judge(trial, "E Var[eps | x_t]", claim, 0, t, scale=factor**2 / left)


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
