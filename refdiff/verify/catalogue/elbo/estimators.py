r"""Identities of the estimators of the bound: all have one mean, and each a variance that is known in some case.

Two kinds of denoiser make the law of an estimator known. With one that knows x_0, or believes in another point, what
is paid depends on t and not on the noise. With an affine one each term is a quadratic form in normals.
"""

import math

import numpy as np
from scipy.special import ndtr

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import (
    DECODERS,
    VARIANCES,
    Law,
    affine_step,
    bins_of,
    close_in_nats,
    expected,
    knows,
    law_of_consistency_term,
    law_of_integrated_term,
    law_of_log_ratio,
    law_of_reconstruction,
    log_p_of,
    model_mean,
    model_var,
    on_bins,
    posterior,
    taking_notes,
    timed,
    together,
    true_term,
    true_total,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import dense_joint, log_normal, marginal, mean_log_ratio, path_weights

MEDIAN = 0.6744897501960817  # of the size of a standard normal
SURE = 2.0  # an error of eps_hat by which L_0 > 0 too: no decoder's variance is below .025, and 2 > -log(2 pi .025) / 2


def prior_of(case, x_0):
    """Return KL(q(x_T | x_0) || N(0, I)) of each point."""
    signal, var = marginal(case.beta, case.T)
    return mean_log_ratio(signal * x_0, var, 0.0 * x_0, 1.0)


def term_at(case, denoiser, t, x_0, x_t, variance, decoder):
    """Return L_{t-1} at one x_t, with the decoder's -log p(x_0 | x_1) as L_0."""
    if t == 1:
        return -log_normal(x_0, model_mean(case, 1, x_t, denoiser(x_t, 1)), model_var(case, 1, decoder))
    return true_term(case, t, x_0, x_t, denoiser(x_t, t), variance)


def fixed_terms(case, denoiser, x_0, variance="beta", decoder="beta_1"):
    """Return L_0, ..., L_{T-1} of each point, (T, n), where they do not depend on x_t."""
    return np.array([term_at(case, denoiser, t, x_0, x_0, variance, decoder) for t in range(1, case.T + 1)])


def mean_terms(case, denoiser, variance="beta", decoder="beta_1"):
    """Return the means of L_0, ..., L_{T-1} over x_t, shape (T,), for an affine denoiser."""
    x_0 = np.array(case.x_0)
    return np.array(
        [
            expected(lambda x_t, t=t: term_at(case, denoiser, t, x_0, x_t, variance, decoder), case, t)
            for t in range(1, case.T + 1)
        ]
    )


def add_error(law, case, denoiser, t, variance, decoder):
    """Add to a Law what of L_{t-1} depends on x_t: the square of the error of the model's mean over two variances."""
    a, b = affine_step(case, denoiser, t)
    if t == 1:
        return law.add(-1, {0: 1.0, 1: -a}, -b, model_var(case, 1, decoder))
    at_x_t, at_x_0 = posterior(case, t, 0.0, 1.0)[0], posterior(case, t, 1.0, 0.0)[0]
    return law.add(-1, {t: at_x_t - a, 0: at_x_0}, -b, model_var(case, t, variance))


def laws_of_terms(case, denoiser, variance="beta", decoder="beta_1"):
    """Return the Law of each of L_0, ..., L_{T-1}, up to a constant, for an affine denoiser."""
    return [add_error(Law(case), case, denoiser, t, variance, decoder) for t in range(1, case.T + 1)]


def law_on_chain(case, denoiser, variance="beta", decoder="beta_1"):
    """Return the Law of L_0 + ... + L_{T-1}, up to a constant, at the points of one chain."""
    law = Law(case)
    for t in range(1, case.T + 1):
        add_error(law, case, denoiser, t, variance, decoder)
    return law


def laws_of_rungs(case, denoiser, variance="beta", decoder="beta_1"):
    """Return, for each of the first five rungs of the ladder, the Laws whose independent sum it is.

    Up to constants: their variances and axes are right, their means are not.
    """
    between = range(1, case.T)
    last = Law(case).add(-1, {case.T - 1: math.sqrt(1 - case.beta[-1])}, 0.0, 1.0)  # KL(q(x_T | x_{T-1}) || N(0, I))
    ends = [law_of_reconstruction(case, denoiser, decoder), last]
    return [
        [law_of_log_ratio(case, denoiser, variance, decoder)],
        [law_of_consistency_term(case, denoiser, t, variance) for t in between] + ends,
        [law_of_integrated_term(case, denoiser, t, variance) for t in between] + ends,
        [law_on_chain(case, denoiser, variance, decoder)],
        laws_of_terms(case, denoiser, variance, decoder),
    ]


def true_variances(case, denoiser, variance="beta", decoder="beta_1"):
    r"""Return the variance for one point of each of the nine rungs, for an affine denoiser, at x_0.

    With mu_t and s_t^2 the mean and the variance of a term, one random t costs T sum(mu_t^2 + s_t^2) - (sum mu_t)^2,
    the best choice of t (sum sqrt(mu_t^2 + s_t^2))^2 - (sum mu_t)^2, and strata that T divides T sum s_t^2.
    """
    first = [sum(law.var for law in laws) for laws in laws_of_rungs(case, denoiser, variance, decoder)]
    laws, mean = laws_of_terms(case, denoiser, variance, decoder), mean_terms(case, denoiser, variance, decoder)
    within = np.array([law.var for law in laws])
    even = sum(2 * case.d * np.sum(law.square**2) for law in laws)
    square = mean**2 + within
    return np.array(
        [
            *first,
            even,
            case.T * square.sum() - mean.sum() ** 2,
            np.sqrt(square).sum() ** 2 - mean.sum() ** 2,
            case.T * within.sum(),
        ]
    )


def characteristic(omega, mean, linear, square):
    r"""Return E exp(i omega W) of W = mean + sum_j [linear_j z_j + square_j (z_j^2 - 1)]."""
    u = 1 - 2j * omega * square
    return np.exp(1j * omega * (mean - square.sum()) - np.log(u).sum() / 2 - omega**2 * np.sum(linear**2 / u) / 2)


def judge_waves(trial, what, samples, mean, std, law):
    """Judge the law of samples by its characteristic function at one over the standard deviation. Records 2."""
    omega = 1 / std
    once, twice = (law(k * omega) * np.exp(-1j * k * omega * mean) for k in (1, 2))
    wave = omega * (np.asarray(samples) - mean)
    trial.bounded(f"{what}: E cos", np.cos(wave), once.real, (1 + twice.real) / 2 - once.real**2)
    trial.bounded(f"{what}: E sin", np.sin(wave), once.imag, (1 - twice.real) / 2 - once.imag**2)


def as_points(means, n):
    """Return len(means) * n numbers with the mean of `means`, and their standard error.

    Each of them is itself a mean over n points. The bounds of Chernoff and of Bernstein see such a mean as n points, so
    that the law of one point is the one to give beside these numbers.
    """
    means = np.asarray(means)
    return np.repeat(means.mean() + math.sqrt(n) * (means - means.mean()), n)


def true_total_at(case, denoiser, x_0, variance="beta", decoder="beta_1"):
    """Return the bound of each point, (n,), where no term depends on x_t."""
    return fixed_terms(case, denoiser, x_0, variance, decoder).sum(axis=0) + prior_of(case, x_0)


def two_points(case, n):
    """Return n points, x_0 and eps of the case by turns, of which a denoiser believes that all are the first."""
    return np.resize([case.x_0, case.eps], (n, case.d))


def unequal(T):
    """Return probabilities of steps that differ, entry 0 being 0."""
    return np.arange(T + 1) / (T * (T + 1) / 2)


def all_come(values, atoms):
    """Return whether each atom, (T, n), is the value of some point."""
    return all(np.abs(values - row).min() < 1e-9 * max(1.0, np.abs(row).max()) for row in atoms)


@identity(
    "elbo.random_step",
    judges="elbo.random_step",
    states=r"L_T + \frac{L_{t-1}(x_t)}{\pi_t}, \quad t \sim \pi: \qquad \mathbb{E} = L_T + \sum_{t=1}^T L_{t-1}",
    source="Ho, Jain & Abbeel (2020), section 3.4; with pi_t, Nichol & Dhariwal (2021), eq. 18",
    statistics=6,
    coincides="The mean over steps is the sum over T: for gradients another learning rate, for a bound another number."
    " With uniform probabilities 1 / pi_t is T, so that only others show whether it is divided by.",
)
class RandomStep:
    """A denoiser that believes in one point makes each value tell which t was drawn: so the values are finitely many,
    with known probabilities.

    With an affine one the value is a mixture of quadratic forms, one for each t, judged by its characteristic function.
    """

    @staticmethod
    def choices(case):
        """Return names, probabilities, and the arguments that ask for them."""
        uniform, other = np.append(0.0, np.full(case.T, 1 / case.T)), unequal(case.T)
        return ("uniform", uniform, {}), ("unequal", other, {"probability": other})

    @staticmethod
    def exact(claimed, case, evidence):
        n = 3000  # the chance that a right function leaves a step out is below 8 (1 - 1/36)^1500 = 1e-17
        rng, x_0, denoiser = np.random.default_rng(case.T), two_points(case, n), knows(case, np.array(case.x_0), 0.5)
        for variance, decoder in zip(VARIANCES, DECODERS):
            for name, probability, given in RandomStep.choices(case):
                terms = fixed_terms(case, denoiser, x_0, variance, decoder)
                atoms = prior_of(case, x_0) + terms / probability[1:, None]
                values = claimed.elbo.random_step(
                    case.schedule, denoiser, x_0, rng, variance=variance, decoder_var=decoder, **given
                )
                nearest = np.take_along_axis(atoms, np.abs(atoms - values).argmin(axis=0)[None], axis=0)[0]
                close_in_nats(evidence, f"each value belongs to a step, {name}, {variance}", values, nearest)
                evidence.true(f"all steps come, {name}, {variance}", all_come(values[::2], atoms[:, ::2]))

        bins, point = bins_of(case), on_bins(case, bins_of(case))
        denoiser = knows(case, point, 0.5)
        atoms = fixed_terms(case, denoiser, point)
        atoms[0] = -log_p_of(point, model_mean(case, 1, point, denoiser(point, 1)), math.sqrt(case.beta[0]), bins)
        atoms = (prior_of(case, point) + case.T * atoms)[:, None]
        values = claimed.elbo.random_step(
            case.schedule, denoiser, case.repeat(point, n), rng, decoder="discretized", bins=bins
        )
        nearest = atoms[np.abs(atoms - values).argmin(axis=0), 0]
        close_in_nats(evidence, "each value belongs to a step, discretized", values, nearest)
        evidence.true("all steps come, discretized", all_come(values, atoms))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0, many = np.array(case.x_0), case.repeat(case.x_0, trial.n)
        affine, prior = timed(case), prior_of(case, x_0)
        mean, laws = mean_terms(case, affine), laws_of_terms(case, affine)
        axes = [law.axes for law in laws]
        for name, probability, given in RandomStep.choices(case):
            denoiser, pi = knows(case, x_0, 0.5), probability[1:]
            atoms = prior + fixed_terms(case, denoiser, x_0) / pi
            total, span = pi @ atoms, np.ptp(atoms)
            values = claimed.elbo.random_step(case.schedule, denoiser, many, trial.rng, **given)
            trial.bounded(f"sum of all terms, {name}", values, total, pi @ (atoms - total) ** 2, span)

            square = np.array([law.var for law in laws]) + mean**2
            std = math.sqrt(np.sum(square / pi) - mean.sum() ** 2)

            def law(omega, pi=pi):
                waves = [characteristic(omega / p, m, *a) for p, m, a in zip(pi, mean, axes)]
                return np.exp(1j * omega * prior) * (pi @ waves)

            values = claimed.elbo.random_step(case.schedule, affine, many, trial.rng, **given)
            judge_waves(trial, f"affine denoiser, {name}", values, prior + mean.sum(), std, law)


@identity(
    "elbo.stratified_step",
    judges="elbo.stratified_step",
    states=r"L_T + T\,L_{t_i-1}(x_{t_i}), \qquad t_i = 1 + \left\lfloor T\,\frac{i + u_i}{n}\right\rfloor,"
    r" \quad u_i \sim U[0, 1), \qquad i = 0, \ldots, n - 1 \text{ in random order}",
    source="Kingma et al. (2021), appendix I, with one u for all points",
    statistics=2,
    coincides="Without the random order the mean over points that are all alike is right, and so is that over points"
    " which come in random order themselves; over points in any other order it is biased.",
)
class StratifiedStep:
    """Where T divides n each step comes n/T times: the mean is then that of the whole sum over n/T points.

    Any half of the values is a sample without replacement from all of them, whose mean varies at most like that of one
    with replacement (Hoeffding, 1963, theorem 4).
    """

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0, T = np.random.default_rng(case.T), np.array(case.x_0), case.T
        denoiser = knows(case, x_0, 0.5)
        for variance, decoder in zip(VARIANCES, DECODERS):
            atoms = prior_of(case, x_0) + T * fixed_terms(case, denoiser, x_0, variance, decoder)
            values = claimed.elbo.stratified_step(
                case.schedule, denoiser, case.repeat(x_0, 60 * T), rng, variance=variance, decoder_var=decoder
            )
            close_in_nats(evidence, f"each step 60 times, {variance}", np.sort(values), np.sort(np.repeat(atoms, 60)))
            close_in_nats(evidence, f"the mean of them, {variance}", np.mean(values), atoms.mean())
            # by chance the order is that of the steps once in (60 T)! / 60!^T > 1e34 cases
            in_order = np.allclose(values, np.repeat(atoms, 60))
            evidence.true(f"in random order, {variance}", not in_order)

        points = two_points(case, 3 * T + 1)
        atoms = prior_of(case, points) + T * fixed_terms(case, denoiser, points)
        values = claimed.elbo.stratified_step(case.schedule, denoiser, points, rng)
        nearest = np.take_along_axis(atoms, np.abs(atoms - values).argmin(axis=0)[None], axis=0)[0]
        close_in_nats(evidence, "each value belongs to a step of its own point", values, nearest)
        values = claimed.elbo.stratified_step(case.schedule, denoiser, case.repeat(x_0, 3 * T + 1), rng)
        evidence.true("all steps come where T does not divide n", all_come(values, atoms[:, :1]))
        # one point alone: the chance that a right function leaves a step out is below T exp(-40) = 1e-16
        alone = [claimed.elbo.stratified_step(case.schedule, denoiser, x_0[None], rng)[0] for _ in range(40 * T)]
        atoms = prior_of(case, x_0) + T * fixed_terms(case, denoiser, x_0)
        evidence.true("all steps come to one point alone", all_come(np.array(alone), atoms[:, None]))

        bins, point = bins_of(case), on_bins(case, bins_of(case))
        denoiser = knows(case, point, 0.5)
        atoms = fixed_terms(case, denoiser, point)
        atoms[0] = -log_p_of(point, model_mean(case, 1, point, denoiser(point, 1)), math.sqrt(case.beta[0]), bins)
        values = claimed.elbo.stratified_step(
            case.schedule, denoiser, case.repeat(point, T), rng, decoder="discretized", bins=bins
        )
        close_in_nats(evidence, "the mean, discretized", np.mean(values), prior_of(case, point) + atoms.sum())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0, T, k = np.array(case.x_0), case.T, trial.n // case.T
        many, affine, knowing = case.repeat(x_0, k * T), timed(case), knows(case, x_0, 0.5)
        values = claimed.elbo.stratified_step(case.schedule, affine, many, trial.rng)
        truth = prior_of(case, x_0) + mean_terms(case, affine).sum()
        law = together(laws_of_terms(case, affine))
        trial.quadratic("mean of all steps", values.reshape(k, T).mean(axis=1), truth, *law)  # that of k sums

        atoms = prior_of(case, x_0) + T * fixed_terms(case, knowing, x_0)
        values = claimed.elbo.stratified_step(case.schedule, knowing, many, trial.rng)
        trial.bounded("mean of the first half", values[: k * T // 2], atoms.mean(), atoms.var(), np.ptp(atoms))


def sided(case, x_0, low, high):
    """Return a denoiser that knows x_0 and errs in its first coordinate, by `high` where that noise is > 0."""
    right = knows(case, x_0)

    def denoiser(x_t, t):
        eps = right(x_t, t)
        error = np.zeros_like(eps)
        error[..., 0] = np.where(eps[..., 0] > 0, high, low)
        return eps + error

    return denoiser


def two_sides(case, denoiser, x_0, variance="beta", decoder="beta_1"):
    """Return the terms, (T,), where the noise is 1 in each coordinate and where it is -1."""

    def x_t(t, sign):
        signal, var = marginal(case.beta, t)
        return signal * x_0 + sign * math.sqrt(var)

    steps = range(1, case.T + 1)
    return [
        np.array([term_at(case, denoiser, t, x_0, x_t(t, sign), variance, decoder) for t in steps]) for sign in (1, -1)
    ]


@identity(
    "elbo.mean_square_terms",
    judges="elbo.mean_square_terms",
    states=r"\mathbb{E}\left[L_{t-1}(x_t)^2\right], \qquad t = 1, \ldots, T",
    source="Nichol & Dhariwal (2021), section 3.3",
    statistics=2,
    coincides="Where a term is the same at each point, the mean of its square is the square of its mean.",
)
class MeanSquareTerms:
    """A denoiser that believes in one point makes the terms of other points numbers, to be squared and averaged.

    One that errs on one side of the noise only makes a term one of two numbers, each half of the time.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        rng, points = np.random.default_rng(case.T), two_points(case, 7)
        denoiser = knows(case, np.array(case.x_0), 0.5)
        for variance, decoder in zip(VARIANCES, DECODERS):
            found = claimed.elbo.mean_square_terms(
                case.schedule, denoiser, points, rng, variance=variance, decoder_var=decoder
            )
            truth = np.mean(fixed_terms(case, denoiser, points, variance, decoder) ** 2, axis=1)
            close_in_nats(evidence, f"E L^2, {variance}", found, np.append(0.0, truth))

        bins, point = bins_of(case), on_bins(case, bins_of(case))
        denoiser = knows(case, point, 0.5)
        found = claimed.elbo.mean_square_terms(
            case.schedule, denoiser, point[None], rng, decoder="discretized", bins=bins
        )
        cost = -log_p_of(point, model_mean(case, 1, point, denoiser(point, 1)), math.sqrt(case.beta[0]), bins)
        close_in_nats(evidence, "L_0^2, discretized", found[1], cost**2)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0, calls = np.array(case.x_0), 20
        n = trial.n // calls
        denoiser, many = sided(case, x_0, 0.0, SURE), case.repeat(case.x_0, n)
        found = np.array(
            [claimed.elbo.mean_square_terms(case.schedule, denoiser, many, trial.rng) for _ in range(calls)]
        )
        high, low = (side**2 for side in two_sides(case, denoiser, x_0))
        mean, step = (high + low) / 2, np.abs(high - low)
        for what, t in (("at t", slice(case.t - 1, case.t)), ("at all t", slice(None))):
            summed = as_points(found[:, 1:][:, t].sum(axis=1), n)
            trial.bounded(f"E L^2 {what}", summed, mean[t].sum(), np.sum(step[t] ** 2) / 4, step[t].sum())


@identity(
    "elbo.loss_aware_probability",
    judges="elbo.loss_aware_probability",
    states=r"\pi_t \propto \sqrt{\mathbb{E}[L_{t-1}^2]} \quad\text{minimises} \qquad"
    r"\mathbb{E}\left[\frac{L_{t-1}^2}{\pi_t^2}\right] = \sum_{t=1}^T \frac{\mathbb{E}[L_{t-1}^2]}{\pi_t}"
    r" \qquad \ge \left(\sum_{t=1}^T \sqrt{\mathbb{E}[L_{t-1}^2]}\right)^2",
    source="Nichol & Dhariwal (2021), eq. 18",
    statistics=2,
    coincides="Any probabilities that are divided by again leave the mean right: only the variance tells which are"
    " best. All agree where the terms are of one size.",
)
class LossAwareProbability:
    """No probabilities reach below the square of the sum of roots, by Cauchy and Schwarz: these must attain it, and
    moving some of the probability from one step to another must do harm.
    """

    @staticmethod
    def mean_square(case):
        """Return the mean square of each term with an affine denoiser, (T,)."""
        laws = laws_of_terms(case, timed(case))
        return mean_terms(case, timed(case)) ** 2 + np.array([law.var for law in laws])

    @staticmethod
    def exact(claimed, case, evidence):
        square = LossAwareProbability.mean_square(case)
        probability = claimed.elbo.loss_aware_probability(np.append(7.0, square))  # entry 0 is not used
        pi = probability[1:]
        evidence.close("pi_0", probability[0], 0.0)
        evidence.close("sum of pi", probability.sum(), 1.0)
        evidence.close("the least second moment", np.sum(square / pi), np.sqrt(square).sum() ** 2)
        move = 1e-3 * pi.min()
        for s in range(case.T):
            other = pi.copy()
            other[s], other[s - 1] = pi[s] + move, pi[s - 1] - move
            evidence.true(f"no gain at t = {s + 1}", np.sum(square / other) > np.sum(square / pi))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        square = np.append(0.0, LossAwareProbability.mean_square(case))
        probability = claimed.elbo.loss_aware_probability(np.append(7.0, square[1:]))
        t = trial.rng.choice(case.T + 1, size=trial.n, p=probability)
        factor = np.sqrt([0.5, 1.5])  # a term is more or less than the root of its mean square, half of the time each
        ratio = np.sqrt(square[t]) * trial.rng.choice(factor, size=trial.n) / probability[t]
        sum_of_roots = np.sqrt(square).sum()
        spread = np.ptp(factor) * sum_of_roots
        trial.bounded("E L / pi", ratio, factor.mean() * sum_of_roots, (spread / 2) ** 2, spread)
        trial.bounded("E (L / pi)^2", ratio**2, sum_of_roots**2, (sum_of_roots**2 / 2) ** 2, sum_of_roots**2)


def lopsided(case, x_0):
    """Return a denoiser that knows x_0 and whose squared error is 1/4 plus something odd in the noise."""
    right = knows(case, x_0)

    def denoiser(x_t, t):
        eps = right(x_t, t)
        return eps + 0.5 * np.sqrt(1 + np.tanh(eps))

    return denoiser


@identity(
    "elbo.antithetic_form",
    judges="elbo.antithetic_form",
    states=r"\tfrac12\left[L_{t-1}(x_t^+) + L_{t-1}(x_t^-)\right], \qquad"
    r" x_t^\pm = \sqrt{\bar\alpha_t}\,x_0 \pm \sqrt{1 - \bar\alpha_t}\,\epsilon",
    source="Hammersley & Morton (1956), antithetic variates",
    statistics=3,
    coincides="A pair of independent noises has the same mean: only the law shows that they are no mirror images.",
)
class AntitheticForm:
    """What is odd in the noise cancels: of a quadratic form in normals only the squares are left.

    Without chance: where the squared error of a denoiser is a constant plus an odd function, the pair always pays
    the constant.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0 = np.random.default_rng(case.T), np.array(case.x_0)
        for variance, decoder in zip(VARIANCES, DECODERS):
            terms = fixed_terms(case, knows(case, x_0, 0.5), x_0, variance, decoder)
            for name, denoiser in (("knows x_0", knows(case, x_0, 0.5)), ("odd", lopsided(case, x_0))):
                bound = claimed.elbo.antithetic_form(
                    case.schedule, denoiser, case.repeat(x_0, 3), rng, variance=variance, decoder_var=decoder
                )
                what = f"{name}, {variance}"
                # eps is found by division, and the root is steep where tanh is -1: 1e-9 of it is noise of rounding
                close_in_nats(evidence, f"L_0, {what}", bound.reconstruction, np.full(3, terms[0]), 1e-9)
                close_in_nats(evidence, f"L_(t-1), {what}", bound.terms[2:], np.tile(terms[1:, None], 3), 1e-9)
                evidence.close(f"no other terms, {what}", bound.terms[:2], np.zeros((2, 3)))
                close_in_nats(evidence, f"L_T, {what}", bound.prior, np.full(3, prior_of(case, x_0)))

        points, believing = two_points(case, 5), knows(case, x_0, 0.5)
        bound = claimed.elbo.antithetic_form(case.schedule, believing, points, rng)
        close_in_nats(evidence, "total of points that differ", bound.total, true_total_at(case, believing, points))

        bins, point = bins_of(case), on_bins(case, bins_of(case))
        denoiser = knows(case, point, 0.5)
        bound = claimed.elbo.antithetic_form(
            case.schedule, denoiser, point[None], rng, decoder="discretized", bins=bins
        )
        cost = -log_p_of(point, model_mean(case, 1, point, denoiser(point, 1)), math.sqrt(case.beta[0]), bins)
        close_in_nats(evidence, "L_0, discretized", bound.reconstruction, [cost])

    @staticmethod
    def monte_carlo(claimed, case, trial):
        affine, many = timed(case), case.repeat(case.x_0, trial.n)
        total = claimed.elbo.antithetic_form(case.schedule, affine, many, trial.rng).total
        truth = true_total(case, affine, "beta", "beta_1")
        linear, square = together(laws_of_terms(case, affine))
        law = 0 * linear, square
        trial.quadratic("the bound", total, truth, *law)
        std = math.sqrt(2 * np.sum(square**2))
        judge_waves(trial, "the bound", total, truth, std, lambda omega: characteristic(omega, truth, *law))


def exact_reverse(case):
    """Return the denoiser of data N(0, I): with the variance beta it makes the reverse process exact."""
    std = np.sqrt([marginal(case.beta, t)[1] if t else 0.0 for t in range(case.T + 1)])
    return lambda x_t, t: std[np.asarray(t)][..., None] * x_t


def surprise(x_0):
    """Return -log q(x_0) of data N(0, I)."""
    return -log_normal(x_0, 0.0, 1.0)


@identity(
    "elbo.ladder",
    judges="elbo.ladder",
    states=r"\mathbb{E}\hat L = L \;\text{for all nine}, \qquad"
    r"\text{calls} = T, T, T, T, T, 2T, 1, 1, 1",
    source="Ho, Jain & Abbeel (2020), section 3.4, Nichol & Dhariwal (2021), section 3.3, Kingma et al. (2021),"
    " appendix I",
    statistics=9,
    coincides="Where all terms are alike, the mean over steps times T is right whichever steps are left out.",
)
class Ladder:
    """An affine denoiser makes the bound the exact number of a dense Gaussian: all nine means must be near it.

    Without chance: with a denoiser that knows x_0 the analytic ones are that number, however t is chosen; with the
    exact reverse process of normal data the undecomposed one is -log q(x_0) on each chain.
    """

    @staticmethod
    def means(rungs):
        """Return the nine means."""
        return np.array([rung.mean for rung in rungs])

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0, T = np.random.default_rng(case.T), np.array(case.x_0), case.T
        calls = np.array([T, T, T, T, T, 2 * T, 1, 1, 1])
        for variance, decoder in zip(VARIANCES, DECODERS):
            knowing = knows(case, x_0, SURE)
            rungs = claimed.elbo.ladder(
                case.schedule,
                knowing,
                case.repeat(x_0, 4 * T),
                rng,
                variance=variance,
                decoder_var=decoder,
                group=2 * T,
            )
            evidence.close("calls of the denoiser for one point", [rung.calls for rung in rungs], calls)
            truth = true_total(case, knowing, variance, decoder)
            without_noise = [3, 4, 5, 7, 8]
            # as in elbo.denoising_form, the covariance of the model's path is inverted
            found = Ladder.means(rungs)[without_noise]
            close_in_nats(evidence, f"analytic means, {variance}", found, np.full(5, truth), 1e-10)

        points, seen = two_points(case, 4 * T), []
        rungs = claimed.elbo.ladder(case.schedule, exact_reverse(case), points, rng, group=2 * T, progress=seen.append)
        close_in_nats(evidence, "undecomposed, exact reverse process", rungs[0].mean, surprise(points).mean())
        evidence.true("each rung is shown as it is measured", list(rungs) == seen)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        affine, T, times = timed(case), case.T, 4
        half = max(trial.n // times // (2 * T), 1) * T  # two groups, whose size T divides
        n = 2 * half

        def measure(denoiser, points):
            """Return the nine means of each of `times` ladders, (times, 9)."""
            return np.array(
                [
                    Ladder.means(claimed.elbo.ladder(case.schedule, denoiser, points, trial.rng, group=half))
                    for _ in range(times)
                ]
            )

        means, truth = measure(affine, case.repeat(case.x_0, n)), true_total(case, affine, "beta", "beta_1")
        rungs = [together(laws) for laws in laws_of_rungs(case, affine)]
        linear, square = rungs[4]
        rungs.append((0 * linear, square))
        for k, law in enumerate(rungs):
            trial.quadratic(f"rung {k + 1}", as_points(means[:, k], n), truth, *law)
        trial.quadratic("rung 9", as_points(means[:, 8], n // T), truth, linear, square)  # n/T points of each step

        points, believing = two_points(case, n), knows(case, np.array(case.x_0), 0.5)
        means = measure(believing, points)
        terms, prior = fixed_terms(case, believing, points[:2]), prior_of(case, points[:2])
        root, truth = np.sqrt(np.mean(terms**2, axis=1)), terms.sum(axis=0) + prior
        for k, pi in ((6, np.full(T, 1 / T)), (7, root / root.sum())):
            atoms = terms / pi[:, None] + prior
            var = np.mean(pi @ (atoms - truth) ** 2)
            trial.bounded(f"rung {k + 1}", as_points(means[:, k], n), truth.mean(), var, np.ptp(atoms - truth))


def uneven(case, x_0):
    """Return a denoiser that knows x_0 and errs in its first coordinate, by what depends on the noise there.

    The square of the error is one of four numbers, by the sign of the noise and by whether its size is above the
    median: it has an odd and an even part, each with two values, half of the time each.
    """
    right = knows(case, x_0)

    def denoiser(x_t, t):
        eps = right(x_t, t)
        error = np.zeros_like(eps)
        error[..., 0] = np.sqrt(1.0 + 2.0 * (eps[..., 0] > 0) + 1.0 * (np.abs(eps[..., 0]) > MEDIAN))
        return eps + error

    return denoiser


def odd_and_even(case, denoiser, x_0):
    """Return by how much each term is larger where the noise is > 0, and where it is large: two arrays (T,)."""

    def terms(z):
        out = []
        for t in range(1, case.T + 1):
            signal, var = marginal(case.beta, t)
            out.append(term_at(case, denoiser, t, x_0, signal * x_0 + math.sqrt(var) * z, "beta", "beta_1"))
        return np.array(out)

    return terms(0.5) - terms(-0.5), terms(-1.0) - terms(-0.5)


def same_side(rho):
    """Return the covariances of z > 0 and y > 0 for standard normals with correlations rho (Sheppard, 1899)."""
    return np.arcsin(np.minimum(rho, 1.0)) / (2 * math.pi)


def both_large(rho):
    """Return the covariances of |z| > median and |y| > median, by integrating over z."""
    x, w = np.polynomial.legendre.leggauss(100)
    z = MEDIAN + 4.5 * (x + 1)  # to 9.7 standard deviations
    weights = 4.5 * w * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    rest = np.sqrt(np.maximum(1 - rho**2, 1e-30))[..., None]  # on the diagonal y is z
    along = rho[..., None] * z
    return 2 * (ndtr((along - MEDIAN) / rest) + ndtr((-along - MEDIAN) / rest)) @ weights - 0.25


def judge_var(trial, what, variances, n, truth, var, span):
    """Judge sample variances, each of n bounded values, by Bernstein's inequality.

    A sample variance is the mean of (x - y)^2 / 2 over all pairs. To the inequality it is at least as good as the mean
    over n // 2 separate pairs (Hoeffding, 1963, section 5): `var` and `span` are those of one pair.
    """
    trial.bounded(what, as_points(variances, n // 2), truth, var, span)


def pair(var, fourth):
    """Return the variance of (x - y)^2 / 2 for two copies with that variance and fourth central moment."""
    return (fourth + var**2) / 2


@identity(
    "elbo.ladder_variances",
    judges="elbo.ladder",
    states=r"\operatorname{Var}[\hat L] \;\text{of one point}, \qquad"
    r"\text{error} = \sqrt{\operatorname{Var}[\hat L] / n}",
    source="the estimators' own; Hoeffding (1963) for the law of a sample variance",
    statistics=6,
    coincides="Where each estimate is a number, all variances are 0. The variances of the two consistency forms are"
    " those of polynomials without bound, for whose sample variance no law is known: here only their errors are held"
    " to them, and it takes tests with standard errors to compare them with a linear model.",
)
class LadderVariances:
    """The variance of a sample variance is known where the values are bounded: denoisers are chosen that make them so.

    An error of eps_hat that depends on the sign and the size of the noise makes terms with two values each, whose
    covariances along a chain are probabilities of two normals; the exact reverse process makes the undecomposed form
    -log q(x_0), with two values for two points; so does a denoiser that believes in one of them.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        rng, x_0, T = np.random.default_rng(case.T), np.array(case.x_0), case.T
        points, n = two_points(case, 4 * T), 4 * T

        def measure(denoiser, points):
            return claimed.elbo.ladder(case.schedule, denoiser, points, rng, group=2 * T)

        believing = knows(case, x_0, 0.5)
        truth = true_total_at(case, believing, points).var(ddof=1)
        for k, rung in enumerate(measure(believing, points)[3:6], 4):
            close_in_nats(evidence, f"rung {k}: points that differ", rung.var, truth)
        truth = surprise(points).var(ddof=1)
        rungs = measure(exact_reverse(case), points)
        close_in_nats(evidence, "rung 1: exact reverse process", rungs[0].var, truth)

        rungs = measure(knows(case, x_0, SURE), case.repeat(x_0, n))
        found = [rungs[k].var for k in (3, 4, 5, 7, 8)]
        close_in_nats(evidence, "nothing varies: one point, and a denoiser that knows it", found, np.zeros(5))

        rungs = measure(lopsided(case, x_0), case.repeat(x_0, n))
        close_in_nats(evidence, "nothing varies that is odd in the noise", rungs[5].var, 0.0)
        rungs = measure(timed(case), case.repeat(x_0, n))
        evidence.true("all vary with an affine denoiser", min(rung.var for rung in rungs) > 1e-6)
        found, truth = (np.array([getattr(rung, name) for rung in rungs]) for name in ("error", "var"))
        evidence.close("n error^2 = var", n * found**2, truth, scale=np.where(truth > 0, truth, 1.0))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x_0, T, times = np.array(case.x_0), case.T, 2
        n = trial.n // 4

        def measure(denoiser, draw, group):
            """Return the nine variances of each of `times` ladders, (times, 9)."""
            rungs = [claimed.elbo.ladder(case.schedule, denoiser, draw(), trial.rng, group=group) for _ in range(times)]
            return np.array([[rung.var for rung in ladder] for ladder in rungs])

        denoiser = uneven(case, x_0)
        found = measure(denoiser, lambda: case.repeat(x_0, n), n // 2)
        odd, even = odd_and_even(case, denoiser, x_0)
        _, noise = path_weights(case.beta)
        cov = (noise @ noise.T)[1:, 1:]
        rho = cov / np.sqrt(np.outer(cov.diagonal(), cov.diagonal()))
        on_chain = odd @ same_side(rho) @ odd + even @ both_large(rho) @ even
        span = np.sum(odd + even) ** 2 / 2
        judge_var(trial, "rung 4", found[:, 3], n, on_chain, on_chain * (span - on_chain), span)
        for k, parts in ((5, np.append(odd, even)), (6, even)):
            truth = np.sum(parts**2) / 4
            fourth = 3 * truth**2 - np.sum(parts**4) / 8  # each part has a fourth cumulant of -parts^4 / 8
            judge_var(trial, f"rung {k}", found[:, k - 1], n, truth, pair(truth, fourth), np.sum(parts) ** 2 / 2)

        def coins(m):
            """Return m points, x_0 or 0 by the toss of a coin."""
            return np.where(trial.rng.random((m, 1)) < 0.5, x_0, 0.0)

        found = measure(exact_reverse(case), lambda: coins(n), n // 2)
        gap = x_0 @ x_0 / 2
        judge_var(trial, "rung 1", found[:, 0], n, gap**2 / 4, pair(gap**2 / 4, gap**4 / 16), gap**2 / 2)

        groups = trial.n // 40  # so that more samples mean more power
        both, believing = np.array([x_0, 0.0 * x_0]), knows(case, x_0, 0.5)
        found = measure(believing, lambda: coins(groups * T), T)
        atoms = prior_of(case, both) + T * fixed_terms(case, believing, both)
        truth, fourth = atoms.var(), np.mean((atoms - atoms.mean()) ** 4)
        judge_var(trial, "rung 7", found[:, 6], groups * T, truth, pair(truth, fourth), np.ptp(atoms) ** 2 / 2)
        gap = atoms[:, 1] - atoms[:, 0]  # a group has each step once: what varies is which point it came to
        truth = np.mean(gap**2) / 4
        fourth = 3 * truth**2 - np.sum(gap**4) / (8 * T**2)
        span = np.sum(np.abs(gap)) ** 2 / T / 2
        judge_var(trial, "rung 9", found[:, 8], groups, truth, pair(truth, fourth), span)


def quadratic_form(f, size):
    """Return constant, linear and square part of a quadratic polynomial f, which maps (N, size) to (..., N)."""
    rows, columns = np.triu_indices(size, 1)
    unit = np.eye(size)
    values = f(np.concatenate([np.zeros((1, size)), unit, -unit, unit[rows] + unit[columns]]))
    constant, plus, minus = values[..., 0], values[..., 1 : size + 1], values[..., size + 1 : 2 * size + 1]
    square = np.zeros((*constant.shape, size, size))
    cross = values[..., 2 * size + 1 :] - plus[..., rows] - plus[..., columns] + constant[..., None]
    square[..., rows, columns] = square[..., columns, rows] = cross / 2
    square[..., range(size), range(size)] = (plus + minus) / 2 - constant[..., None]
    return constant, (plus - minus) / 2, square


@identity(
    "elbo.rao_blackwell",
    judges="elbo.denoising_kl_on_chain",
    states=r"\mathrm{KL}_t(x_t) = \mathbb{E}\left[\log\tfrac{q(x_{t-1} \mid x_t, x_0)}{p(x_{t-1} \mid x_t)}"
    r"\,\Big|\, x_t, x_0\right], \qquad \operatorname{Var}\log\tfrac qp = \operatorname{Var}\mathrm{KL}_t"
    r" + \mathbb{E}\operatorname{Var}\left[\log\tfrac qp \,\Big|\, x_t, x_0\right]",
    source="Rao (1945) and Blackwell (1947); for the bound, Ho, Jain & Abbeel (2020), eq. 5",
    statistics=6,
    coincides="The mean is the same before and after, and so is the value on each chain as long as log-ratios are only"
    " regrouped: what falls is the variance of each term. That of their sum along one chain may rise.",
)
class RaoBlackwell:
    """Each divergence, as a function of a chain's noise, is a quadratic polynomial: its coefficients, read off at a few
    chains, give its variance, and that must be less than the log-ratio's by what x_{t-1} varies by on its own.

    By chance: the log-ratios of walks, weighed by anything known from x_t, have the mean that the divergences have.
    """

    @staticmethod
    def conditional(case, denoiser, t, var):
        """Return error and slope of the model's mean in the noise of x_t, and g and h of log q/p given an error of 1.

        Given x_t the log-ratio is KL + g e z + h (z^2 - 1), with e the error and z the noise of x_{t-1}.
        """
        x_0 = np.array(case.x_0)
        signal, var_t = marginal(case.beta, t)

        def error(z):
            x_t = signal * x_0 + math.sqrt(var_t) * z
            return posterior(case, t, x_0, x_t)[0] - model_mean(case, t, x_t, denoiser(x_t, t))

        _, var_q = posterior(case, t, 0.0, 0.0)
        return error(0.0), error(1.0) - error(0.0), math.sqrt(var_q) / var, (var_q / var - 1) / 2

    @staticmethod
    def exact(claimed, case, evidence):
        T, d, x_0 = case.T, case.d, np.array(case.x_0)
        start, noise = path_weights(case.beta)
        denoiser = timed(case)

        def chain(z):
            """Return the chains (T + 1, N, d) of noise (N, T d)."""
            return start[:, None, None] * x_0 + np.einsum("ts,nsd->tnd", noise, z.reshape(-1, T, d))

        for variance, decoder in zip(VARIANCES, DECODERS):

            def on_chain(z, variance=variance, decoder=decoder):
                bound = claimed.elbo.denoising_kl_on_chain(
                    case.schedule, denoiser, chain(z), variance=variance, decoder_var=decoder
                )
                return np.concatenate([bound.terms[2:], bound.total[None]])

            constant, linear, square = quadratic_form(on_chain, T * d)
            mean = constant + np.trace(square, axis1=-2, axis2=-1)
            var = np.sum(linear**2, axis=-1) + 2 * np.sum(square**2, axis=(-2, -1))
            for t in range(2, T + 1):
                var_p = model_var(case, t, variance)
                a, b = affine_step(case, denoiser, t)
                to_0, to_t = posterior(case, t, 1.0, 0.0)[0], posterior(case, t, 0.0, 1.0)[0]
                ratio = Law(case).add(1, {t - 1: 1.0, t: -to_t, 0: -to_0}, 0.0, posterior(case, t, 0.0, 0.0)[1])
                ratio.add(-1, {t - 1: 1.0, t: -a}, -b, var_p)
                error, slope, g, h = RaoBlackwell.conditional(case, denoiser, t, var_p)
                lost = g**2 * np.sum(error**2 + slope**2) + 2 * d * h**2
                what = f"of KL at t = {t}, {variance}"
                # sums of squares that may be large: 1e-10 is relative to the largest of them
                scale = max(1.0, ratio.var)
                evidence.close(f"mean {what}", mean[t - 2], ratio.mean, 1e-10, max(1.0, abs(ratio.mean)))
                evidence.close(f"variance {what}", var[t - 2], ratio.var - lost, 1e-10, scale)
            whole = law_on_chain(case, denoiser, variance, decoder).var
            evidence.close(f"variance of the sum, {variance}", var[-1], whole, 1e-10, whole)

        far = np.array([case.x_t, case.eps]) / 2
        points = chain(np.tile(far, (1, T)))
        terms = claimed.elbo.denoising_kl_on_chain(case.schedule, denoiser, points).terms
        for t in range(2, T + 1):
            truth = true_term(case, t, x_0, points[t], denoiser(points[t], t), "beta")
            close_in_nats(evidence, f"E log q/p given x_{t}", terms[t], truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        t, x_0, denoiser, var = case.t, np.array(case.x_0), timed(case), case.beta[case.t - 1]
        x = walk(case.schedule, case.repeat(x_0, trial.n), trial.rng)
        bound = claimed.elbo.denoising_kl_on_chain(case.schedule, denoiser, x)
        mean, var_q = posterior(case, t, x_0, x[t])
        guess = model_mean(case, t, x[t], denoiser(x[t], t))
        ratio = log_normal(x[t - 1], mean, var_q) - log_normal(x[t - 1], guess, var)

        law = laws_of_terms(case, denoiser)[t - 1]
        expectation = mean_terms(case, denoiser)[t - 1]
        std = math.sqrt(law.var)
        _, _, g, h = RaoBlackwell.conditional(case, denoiser, t, var)
        # a weight that is known from x_t, and goes with the divergence
        known = true_term(case, t, x_0, x[t], denoiser(x[t], t), "beta")
        for name, weight in (("1", np.ones(trial.n)), ("the divergence", (known - expectation) / std)):
            linear = (weight[:, None] * g * (mean - guess)).ravel() / trial.n
            square = np.repeat(weight * h, case.d) / trial.n
            weighed = [np.mean(weight * ratio)]  # given all x_t, one quadratic form
            trial.quadratic(f"E log q/p times {name}", weighed, np.mean(weight * bound.terms[t]), linear, square)

        axes = law.axes
        judge_waves(trial, "KL", bound.terms[t], expectation, std, lambda w: characteristic(w, expectation, *axes))
        law, truth = law_on_chain(case, denoiser), true_total(case, denoiser, "beta", "beta_1")
        judge_waves(
            trial, "the sum", bound.total, truth, math.sqrt(law.var), lambda w: characteristic(w, truth, *law.axes)
        )


def joint_of_model(case, denoiser, variance, decoder):
    """Return mean (T + 1, d) and covariance (T + 1, T + 1) of the model's x_0..x_T, for an affine denoiser."""
    mean, rows = np.zeros((case.T + 1, case.d)), np.zeros((case.T + 1, case.T + 1))
    rows[case.T, case.T] = 1.0
    for t in range(case.T, 0, -1):
        a, b = affine_step(case, denoiser, t)
        mean[t - 1], rows[t - 1] = a * mean[t] + b, a * rows[t]
        rows[t - 1, t - 1] = math.sqrt(model_var(case, t, variance if t > 1 else decoder))
    return mean, rows @ rows.T


def kl_of_joints(q, p):
    """Return KL(q || p) of Gaussians over x_0..x_T, each a mean (T + 1, d) and a covariance shared by coordinates."""
    (q_mean, q_cov), (p_mean, p_cov) = q, p
    gap, d = p_mean - q_mean, q_mean.shape[1]
    spread = np.trace(np.linalg.solve(p_cov, q_cov)) - len(q_cov)
    spread += np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
    return (d * spread + np.sum(gap * np.linalg.solve(p_cov, gap))) / 2


@identity(
    "elbo.entropy_plus_kl",
    judges="elbo.denoising_form",
    states=r"\mathbb{E}_{q(x_0)}\left[L_0 + \sum_{t=2}^T L_{t-1} + L_T\right]"
    r" \qquad {} = H[q(x_0)] + \mathrm{KL}\left(q(x_{0:T}) \,\Vert\, p(x_{0:T})\right) \ge H[q(x_0)]",
    source="Cover & Thomas (2006), theorem 2.5.3, the chain rule, on Ho, Jain & Abbeel (2020), eq. 3",
    statistics=2,
    coincides="An entropy that is left out is a constant: it shows in no gradient and in no difference of two models."
    " It would be 0 by chance only for data of variance 1 / (2 pi e).",
)
class EntropyPlusKL:
    """Data N(0, I) and an affine denoiser make two Gaussians over all of x_0..x_T, whose divergence is dense algebra.

    With the exact reverse process it is 0, and the bound is the entropy, 1.4189 a coordinate. Without chance: what a
    bound deviates by from its mean is a quadratic form in the points that were drawn, and the denoiser has seen those.
    """

    @staticmethod
    def models(case):
        """Return names, denoisers, and the choices of variance; the first is the exact reverse process."""
        exact = ("exact reverse process", exact_reverse(case), "beta", "beta_1")
        return exact, *(("affine", timed(case), *names) for names in zip(VARIANCES, DECODERS))

    @staticmethod
    def truth(case, denoiser, variance, decoder):
        """Return entropy and divergence."""
        entropy = case.d / 2 * math.log(2 * math.pi * math.e)
        q = dense_joint(case.beta, np.zeros(case.d), 1.0)
        return entropy, kl_of_joints(q, joint_of_model(case, denoiser, variance, decoder))

    @staticmethod
    def squares(case, denoiser, variance, decoder):
        """Return the sum of squares by which the bound varies: (row, shift (d,), variance) for each of L_0, ..., L_T.

        A row has the weights of x_0 and of the noise of its own x_t, and each square is (row . z + shift)^2 / (2 var).
        """
        out = []
        for t in range(1, case.T + 1):
            signal, var_t = marginal(case.beta, t)
            a, b = affine_step(case, denoiser, t)
            to_0, to_t = (1.0, 0.0) if t == 1 else (posterior(case, t, *z)[0] for z in ((1.0, 0.0), (0.0, 1.0)))
            row = np.zeros(case.T + 1)
            row[0], row[t] = to_0 + (to_t - a) * signal, (to_t - a) * math.sqrt(var_t)
            out.append((row, -b, model_var(case, t, variance if t > 1 else decoder)))
        signal, _ = marginal(case.beta, case.T)
        return [*out, (np.eye(case.T + 1)[0] * signal, np.zeros(case.d), 1.0)]

    @staticmethod
    def exact(claimed, case, evidence):
        rng, n = np.random.default_rng(case.T), 7
        for name, affine, variance, decoder in EntropyPlusKL.models(case):
            denoiser, seen = taking_notes(affine)
            x_0 = 2 * rng.standard_normal((n, case.d))  # any points: what they deviate by is taken off
            bound = claimed.elbo.denoising_form(
                case.schedule, denoiser, x_0, rng, variance=variance, decoder_var=decoder
            )
            z = [x_0]
            for t in range(1, case.T + 1):
                signal, var_t = marginal(case.beta, t)
                z.append((seen[t] - signal * x_0) / math.sqrt(var_t))
            z, deviation = np.array(z), 0.0
            for row, shift, var in EntropyPlusKL.squares(case, affine, variance, decoder):
                square = np.sum((np.einsum("t,tnd->nd", row, z) + shift) ** 2, axis=-1)
                deviation += (square - case.d * row @ row - shift @ shift) / (2 * var)
            entropy, divergence = EntropyPlusKL.truth(case, affine, variance, decoder)
            what = f"{name}, {variance}"
            if name[0] == "e":
                evidence.close("KL(q || p) of the exact reverse process", divergence, 0.0, 1e-10)
            truth = np.full(n, entropy + divergence)
            # the covariance of the model's x_0..x_T is inverted
            close_in_nats(evidence, f"mean bound, {what}", bound.total - deviation, truth, 1e-10)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for name, affine, variance, decoder in EntropyPlusKL.models(case)[:2]:
            x_0 = trial.rng.standard_normal((trial.n, case.d))
            total = claimed.elbo.denoising_form(case.schedule, affine, x_0, trial.rng).total
            linear, square = np.zeros((case.d, case.T + 1)), np.zeros((case.T + 1, case.T + 1))
            for row, shift, var in EntropyPlusKL.squares(case, affine, variance, decoder):
                linear, square = linear + np.outer(shift, row) / var, square + np.outer(row, row) / (2 * var)
            h, axes = np.linalg.eigh(square)
            truth = sum(EntropyPlusKL.truth(case, affine, variance, decoder))
            trial.quadratic(f"mean bound, {name}", total, truth, linear @ axes, np.tile(h, case.d))
