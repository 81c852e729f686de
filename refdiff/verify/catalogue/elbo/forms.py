r"""Identities of the whole bound: its three forms, on a chain and as estimates."""

import math

import numpy as np

from refdiff.forward import walk
from refdiff.verify.catalogue.elbo.models import (
    FAR,
    MILE,
    Law,
    affine_step,
    bent,
    bins_of,
    choices,
    close_in_nats,
    consistency_ratio,
    expected,
    integrated_ratio,
    knows,
    law_of_consistency_term,
    law_of_integrated_term,
    law_of_log_ratio,
    law_of_reconstruction,
    law_of_term,
    log_forward,
    log_p_of,
    log_reverse,
    model_mean,
    model_var,
    named,
    on_bins,
    one_step,
    posterior,
    price_of_a_mile,
    round_and_clip,
    shown_far_out,
    still,
    taking_notes,
    timed,
    together,
    true_term,
    true_total,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, marginal, mean_log_ratio

LETTERS = (1, 2, 2)  # code lengths, in bits, of letters with probabilities 1/2, 1/4, 1/4
KINDS = ("gaussian", "discretized")


def three_points(case, kind):
    """Return three different x_0, (3, d), on the bins if the decoder wants them there."""
    x_0 = np.array([case.x_0, case.x_t, case.eps])
    return x_0 if kind == "gaussian" else round_and_clip(x_0 / 3, bins_of(case))


def settings(case):
    """Yield a denoiser, affine or not, the variances of steps and decoder, and what a comparison is called after."""
    for variance, decoder in choices(case):
        for name, denoiser in (("affine", timed(case)), ("bent", bent(case))):
            yield denoiser, variance, decoder, f"{name}, {named(variance)}, T = {case.T}"


def log_decoder(case, x_0, guess, kind, var):
    """Return log p(x_0 | x_1) for the decoder's guess of x_0, both (n, d)."""
    if kind == "gaussian":
        return log_normal(x_0, guess, var)
    return np.array([log_p_of(x, mean, math.sqrt(var), bins_of(case)) for x, mean in zip(x_0, guess)])


def logs_along(case, denoiser, x, variance, kind, decoder):
    """Return all factors along chains x (T + 1, n, d), in logs.

    Entry t of the first is log q(x_t | x_{t-1}), of the second log p(x_{t-1} | x_t), both (T + 1, n); the third is
    log p(x_T).
    """
    log_q, log_p = np.zeros((2, *x.shape[:2]))
    for t in range(1, case.T + 1):
        log_q[t] = log_forward(case, t, x[t - 1], x[t])
        if t > 1:
            log_p[t] = log_reverse(case, denoiser, t, variance, x[t - 1], x[t])
    guess = model_mean(case, 1, x[1], denoiser(x[1], 1))
    log_p[1] = log_decoder(case, x[0], guess, kind, model_var(case, 1, decoder))
    return log_q, log_p, log_normal(x[case.T], 0.0, 1.0)


def true_prior(case, x_0):
    """Return KL(q(x_T | x_0) || N(0, I))."""
    signal, var = marginal(case.beta, case.T)
    return mean_log_ratio(signal * x_0, var, 0.0 * x_0, 1.0)


def judge_record(bound, what, case, kind, evidence):
    """Compare what a Bound says of its points and its decoder."""
    evidence.close(f"bits per coordinate, {what}", bound.bits_per_dim(), bound.total / (case.d * math.log(2)))
    evidence.true(f"bins, {what}", bound.bins == (bins_of(case) if kind == "discretized" else None))


def judge_what_is_kept(form, case, evidence):
    """Compare a form that keeps its terms with one that keeps only their sum, on the same noise, and what it reports.

    `form` takes a generator and the arguments `keep_terms` and `progress`.
    """
    reported = []
    full = form(np.random.default_rng(case.T))
    lean = form(
        np.random.default_rng(case.T), keep_terms=False, progress=lambda t, term: reported.append((t, np.array(term)))
    )
    told = np.zeros_like(full.terms)
    for t, term in reported:
        told[t] = term
    close_in_nats(evidence, "terms as reported", told, full.terms)
    evidence.true("no terms kept", lean.terms is None)
    close_in_nats(evidence, "total without terms", lean.total, full.total)


@identity(
    "elbo.pathwise",
    judges=("elbo.undecomposed_on_chain", "elbo.consistency_on_chain", "elbo.denoising_on_chain"),
    states=r"\sum_{t=1}^T \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)} - \log p(x_T)"
    r" \qquad {} = -\log p(x_0 \mid x_1) + \sum_{t=1}^{T-1} \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" \qquad {} + \log\frac{q(x_T \mid x_{T-1})}{p(x_T)}"
    r" \qquad {} = -\log p(x_0 \mid x_1) + \sum_{t=2}^T \log\frac{q(x_{t-1} \mid x_t, x_0)}{p(x_{t-1} \mid x_t)}"
    r" \qquad {} + \log\frac{q(x_T \mid x_0)}{p(x_T)}",
    source="Luo (2022), eq. 44 and 57",
    statistics=9,
    coincides="All three are right in the mean as soon as they are right on each chain, and have then one variance too:"
    " to regroup factors makes no estimate better.",
)
class Pathwise:
    """On one chain the three are one number: the sum of the logs of all factors, taken here one by one.

    It holds for any denoiser, variance and decoder; over walks, with an affine denoiser, the number is a quadratic form
    whose mean is -log p(x_0) plus the divergence of two paths, both from dense covariances.
    """

    FORMS = ("undecomposed", "consistency", "denoising")

    @staticmethod
    def bounds(claimed, case, denoiser, x, variance, kind, decoder):
        """Return the claimed Bound of each form on chains x."""
        forms = [getattr(claimed.elbo, f"{name}_on_chain") for name in Pathwise.FORMS]
        return [form(case.schedule, denoiser, x, variance, kind, decoder, bins_of(case)) for form in forms]

    @staticmethod
    def exact(claimed, case, evidence):
        Pathwise.compare(claimed, case, evidence)
        Pathwise.compare(claimed, one_step(case), evidence)

    @staticmethod
    def compare(claimed, case, evidence):
        """Compare totals and parts on chains of T steps."""
        T = case.T
        for kind in KINDS:
            x = walk(case.schedule, three_points(case, kind), np.random.default_rng(T))
            for denoiser, variance, decoder, name in settings(case):
                what = f"{name}, {kind}"
                log_q, log_p, last = logs_along(case, denoiser, x, variance, kind, decoder)
                truth, size = log_q.sum(0) - log_p.sum(0) - last, np.abs([*log_q, *log_p, last]).sum(axis=0)
                bounds = Pathwise.bounds(claimed, case, denoiser, x, variance, kind, decoder)
                for form, bound in zip(Pathwise.FORMS, bounds):
                    evidence.close(f"{form} on a chain, {what}", bound.total, truth, scale=size)
                    other = bounds[0].total
                    evidence.close(f"{form} and undecomposed, {what}", bound.total - other, 0.0 * truth, scale=size)
                    close_in_nats(evidence, f"-log p(x_0 | x_1), {form}, {what}", bound.reconstruction, -log_p[1])
                    judge_record(bound, f"{form}, {what}", case, kind, evidence)
                plain, consistency, denoising = bounds
                evidence.true("the undecomposed form has no terms", plain.terms is None)
                close_in_nats(evidence, f"-log p(x_T), {what}", plain.prior, -last)

                ratios = np.zeros_like(log_q)
                ratios[1:T] = log_q[1:T] - log_p[2:]
                close_in_nats(evidence, f"log q/p of each x_t, {what}", consistency.terms, ratios)
                close_in_nats(evidence, f"log q/p of x_T, {what}", consistency.prior, log_q[T] - last)

                ratios = np.zeros_like(log_q)
                for t in range(2, T + 1):
                    ratios[t] = log_normal(x[t - 1], *posterior(case, t, x[0], x[t])) - log_p[t]
                signal, var = marginal(case.beta, T)
                close_in_nats(evidence, f"log q/p of each step, {what}", denoising.terms, ratios)
                truth = log_normal(x[T], signal * x[0], var) - last
                close_in_nats(evidence, f"log q(x_T | x_0) / p(x_T), {what}", denoising.prior, truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for variance, decoder in choices(case):
            truth = true_total(case, timed(case), variance, decoder)
            law = law_of_log_ratio(case, timed(case), variance, decoder)
            bounds = Pathwise.bounds(claimed, case, timed(case), x, variance, "gaussian", decoder)
            for form, bound in zip(Pathwise.FORMS, bounds):
                trial.quadratic(f"-log p + KL, {form}, {named(variance)}", bound.total, truth, *law.axes)


@identity(
    "elbo.undecomposed",
    judges="elbo.undecomposed",
    states=r"\mathbb{E}_{q(x_{1:T} \mid x_0)}\left[-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right]"
    r" \qquad {} = -\log p(x_0) + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    source="Ho, Jain & Abbeel (2020), eq. 3",
    statistics=6,
    coincides="Points that are drawn from q(x_t | x_0), each on its own, have the right law at each t and are no chain:"
    " only what looks at two of them can tell.",
)
class Undecomposed:
    """The denoiser is shown each x_t, so it can take notes: on the chain that was walked the sum of all log-factors is
    a number. With betas of 1e-12 that chain must stand still.

    Over walks the total is a quadratic form, and the steps noted are those of the forward chain.
    """

    @staticmethod
    def noted(claimed, case, denoiser, x_0, rng, *options, **reports):
        """Return the claimed Bound, and the chain x_0, ..., x_T that it walked."""
        noting, notes = taking_notes(denoiser)
        bound = claimed.elbo.undecomposed(case.schedule, noting, x_0, rng, *options, **reports)
        return bound, np.array([x_0, *(notes[t] for t in range(1, case.T + 1))])

    @staticmethod
    def exact(claimed, case, evidence):
        Undecomposed.compare(claimed, case, evidence)
        Undecomposed.compare(claimed, one_step(case), evidence)
        calm, x_0 = still(case), three_points(case, "gaussian")
        _, x = Undecomposed.noted(claimed, calm, timed(calm), x_0, np.random.default_rng(case.T))
        # 1e-6 times a normal number, and 1e-12 times x: what is beyond 1e-4 is no chance
        evidence.true("without noise the chain stands still", np.abs(np.diff(x[1:], axis=0)).max() < 1e-4)

    @staticmethod
    def compare(claimed, case, evidence):
        """Compare total and parts with the factors along the chain of T steps that was walked."""
        T = case.T
        for kind, (variance, decoder) in ((kind, choice) for kind in KINDS for choice in choices(case)):
            parts, x_0 = [], three_points(case, kind)
            bound, x = Undecomposed.noted(
                claimed,
                case,
                bent(case),
                x_0,
                np.random.default_rng(T),
                variance,
                kind,
                decoder,
                bins_of(case),
                progress=lambda t, part, parts=parts: parts.append((t, np.array(part))),
            )
            what = f"{kind}, {named(variance)}, T = {T}"
            log_q, log_p, last = logs_along(case, bent(case), x, variance, kind, decoder)
            size = np.abs([*log_q, *log_p, last]).sum(axis=0)
            evidence.close(f"on its own chain, {what}", bound.total, log_q.sum(0) - log_p.sum(0) - last, scale=size)
            close_in_nats(evidence, f"-log p(x_0 | x_1), {what}", bound.reconstruction, -log_p[1])
            close_in_nats(evidence, f"-log p(x_T), {what}", bound.prior, -last)
            told = np.zeros_like(log_q)
            for t, part in parts:
                told[t] = part
            close_in_nats(evidence, f"parts as reported, {what}", told, log_q - log_p)
            judge_record(bound, what, case, kind, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many, t = case.repeat(case.x_0, trial.n), case.t
        for variance, decoder in choices(case):
            bound, x = Undecomposed.noted(claimed, case, timed(case), many, trial.rng, variance, "gaussian", decoder)
            truth = true_total(case, timed(case), variance, decoder)
            law = law_of_log_ratio(case, timed(case), variance, decoder)
            trial.quadratic(f"-log p + KL, {named(variance)}", bound.total, truth, *law.axes)
        beta = case.beta[t - 1]
        trial.conditional("a step noted", x[t], math.sqrt(1 - beta) * x[t - 1], beta, x_prev=x[t - 1])


@identity(
    "elbo.denoising_kl_on_chain",
    judges="elbo.denoising_kl_on_chain",
    states=r"-\log p(x_0 \mid x_1) + L_T"
    r" \qquad {} + \sum_{t=2}^T \mathrm{KL}\left(q(x_{t-1} \mid x_t, x_0) \,\Vert\, p(x_{t-1} \mid x_t)\right)",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=3,
    coincides="Each divergence has the mean of the log-ratio that it stands for. On one chain they differ, and the sum"
    " of the divergences may vary more than that of the ratios.",
)
class DenoisingKLOnChain:
    """Each term is the mean of a log-ratio over x_{t-1}, found by quadrature at the chain's x_t; no other chance is in
    it but that of the chain, so that over walks the total is a quadratic form.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        DenoisingKLOnChain.compare(claimed, case, evidence)
        DenoisingKLOnChain.compare(claimed, one_step(case), evidence)

    @staticmethod
    def compare(claimed, case, evidence):
        """Compare totals and parts on chains of T steps."""
        T = case.T
        for kind in KINDS:
            x = walk(case.schedule, three_points(case, kind), np.random.default_rng(T))
            for denoiser, variance, decoder, name in settings(case):
                what = f"{name}, {kind}"
                bound = claimed.elbo.denoising_kl_on_chain(
                    case.schedule, denoiser, x, variance, kind, decoder, bins_of(case)
                )
                terms = np.zeros(x.shape[:2])
                for t in range(2, T + 1):
                    terms[t] = true_term(case, t, x[0], x[t], denoiser(x[t], t), variance)
                guess, var = model_mean(case, 1, x[1], denoiser(x[1], 1)), model_var(case, 1, decoder)
                first, last = -log_decoder(case, x[0], guess, kind, var), true_prior(case, x[0])
                close_in_nats(evidence, f"divergences, {what}", bound.terms, terms)
                close_in_nats(evidence, f"-log p(x_0 | x_1), {what}", bound.reconstruction, first)
                close_in_nats(evidence, f"L_T, {what}", bound.prior, last)
                close_in_nats(evidence, f"total, {what}", bound.total, first + terms.sum(axis=0) + last)
                judge_record(bound, what, case, kind, evidence)

    @staticmethod
    def law(case, denoiser, variance, decoder):
        """Return the Law of the total, up to a constant: what varies are the errors of the means."""
        law = law_of_reconstruction(case, denoiser, decoder)
        for t in range(2, case.T + 1):
            a, b = affine_step(case, denoiser, t)
            of_x_0, of_x_t = posterior(case, t, 1.0, 0.0)[0], posterior(case, t, 0.0, 1.0)[0]
            law.add(-1, {0: of_x_0, t: of_x_t - a}, -b, model_var(case, t, variance))
        return law

    @staticmethod
    def monte_carlo(claimed, case, trial):
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        for variance, decoder in choices(case):
            bound = claimed.elbo.denoising_kl_on_chain(case.schedule, timed(case), x, variance, decoder_var=decoder)
            truth = true_total(case, timed(case), variance, decoder)
            law = DenoisingKLOnChain.law(case, timed(case), variance, decoder)
            trial.quadratic(f"-log p + KL, {named(variance)}", bound.total, truth, *law.axes)


def standing_still(case):
    """Return a case whose chain stands still, and variances that differ from its betas.

    Were they the same, what x_t is off by would drop out of a log-ratio that is integrated over it.
    """
    calm = still(case)
    return calm, 3 * np.array([0.0, *calm.beta])


def judge_consistency_terms(terms_of, case, evidence):
    """Judge what draws the terms of the consistency form, by what chance cannot touch.

    A denoiser that is off by a mile makes each term a number. From an x_0 far out, or with betas of 1e-12, a triple is
    where it must be, and a term at points that are none explodes.

    `terms_of` takes a case, a denoiser, x_0, a generator and the variance.
    """
    x_0, steps = three_points(case, "gaussian"), range(case.T - 1, 0, -1)
    for variance, _ in choices(case):
        found = list(terms_of(case, knows(case, x_0, MILE), x_0, np.random.default_rng(case.T), variance))
        evidence.close("t", [t for t, _ in found], np.array(steps))
        truth = [np.full(3, price_of_a_mile(case, t + 1, model_var(case, t + 1, variance))) for t in steps]
        prices = np.array([term for _, term in found]) / MILE**2
        # the noise of the chain is 1e-10 of a mile, times how many standard deviations a step is off by
        evidence.close(f"C_t a mile off, {named(variance)}", prices, np.array(truth), 1e-6)
    for t, term in terms_of(case, timed(case), case.repeat(case.x_0, 5), np.random.default_rng(case.T), "beta"):
        evidence.true(f"each point has its own triple at t = {t}", len(np.unique(term)) == 5)
    denoiser, notes = taking_notes(knows(case, FAR * x_0))
    found = terms_of(case, denoiser, FAR * x_0, np.random.default_rng(case.T), "beta")
    # the squares in a term are chi-square, and beyond 1000 once in e^450; the rest is below 50
    evidence.true("a triple is one, far out", max(np.abs(term).max() for _, term in found) < 1000)
    shown_far_out(notes, case, x_0, evidence)
    calm, variance = standing_still(case)
    found = terms_of(calm, timed(case), x_0, np.random.default_rng(case.T), variance)
    evidence.true("a triple stands still", max(np.abs(term).max() for _, term in found) < 1000)


@identity(
    "elbo.consistency_terms",
    judges="elbo.consistency_terms",
    states=r"C_t = \mathbb{E}_{q(x_{t-1} \mid x_0)\,q(x_t \mid x_{t-1})\,q(x_{t+1} \mid x_t)}"
    r" \log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}, \qquad t = T - 1, \ldots, 1",
    source="Luo (2022), eq. 44",
    statistics=7,
    coincides="At t = 1 the first factor is a point mass: what is wrong with it alone shows from T = 3 on.",
)
class ConsistencyTerms:
    """With an affine denoiser the log-ratio of three points of a walk is a quadratic form with a law that we know.

    Without chance: a denoiser that is off by a mile, an x_0 far out, a chain that stands still, and at t = 1, where the
    denoiser is shown x_2, the x_1 that two denoisers give away by what they cost on the same noise.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        judge_consistency_terms(
            lambda one, *arguments: claimed.elbo.consistency_terms(one.schedule, *arguments), case, evidence
        )
        x_0 = three_points(case, "gaussian")
        for variance, _ in choices(case):
            first, x_1, x_2 = ConsistencyTerms.first(claimed, case, x_0, variance)
            truth = consistency_ratio(case, bent(case), 1, variance, x_0, x_1, x_2)
            close_in_nats(evidence, f"log q/p at t = 1, {named(variance)}", first, truth, 1e-9)  # x_1 by differences

    @staticmethod
    def first(claimed, case, x_0, variance):
        """Return the claimed term at t = 1, and the x_1 and x_2 at which it was taken."""

        def cost(denoiser):
            return dict(
                claimed.elbo.consistency_terms(case.schedule, denoiser, x_0, np.random.default_rng(case.T), variance)
            )[1]

        denoiser, notes = taking_notes(bent(case))
        first = cost(denoiser)
        x_2 = notes[2]
        mean, var = model_mean(case, 2, x_2, bent(case)(x_2, 2)), model_var(case, 2, variance)
        shift = model_mean(case, 2, 0.0, 1.0) - model_mean(case, 2, 0.0, 0.0)
        # a mean moved by s in one coordinate costs (s^2 - 2 s r) / (2 var) more, where r is x_1 - mean
        more = [cost(lambda x, t, one=one: bent(case)(x, t) + one) - first for one in np.eye(case.d)]
        return first, mean + shift / 2 - var / shift * np.array(more).T, x_2

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many = case.repeat(case.x_0, trial.n)
        for t, term in claimed.elbo.consistency_terms(case.schedule, timed(case), many, trial.rng):
            law = law_of_consistency_term(case, timed(case), t, "beta")
            trial.quadratic(f"C_{t}", term, law.mean, *law.axes)


@identity(
    "elbo.consistency_terms_integrated",
    judges="elbo.consistency_terms_integrated",
    states=r"C_t = \mathbb{E}_{q(x_{t-1}, x_{t+1} \mid x_0)}["
    r"\mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, p(x_t \mid x_{t+1})\right)"
    r" \qquad {} - \mathrm{KL}\left(q(x_t \mid x_{t-1}, x_{t+1}) \,\Vert\, q(x_t \mid x_{t-1})\right)]",
    source="the tower rule on Luo (2022), eq. 44",
    statistics=7,
    coincides="At t = 1 x_{t-1} is given: neighbours that are drawn apart show from T = 3 on.",
)
class ConsistencyTermsIntegrated:
    """Integrated over x_t the log-ratio is a quadratic form in the two neighbours; its mean must be that of the
    log-ratio of three points.

    Without chance: as for the log-ratio itself; and at t = 1 the term is a function of x_0, which is given, and of x_2,
    which the denoiser is shown.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        terms_of = claimed.elbo.consistency_terms_integrated
        judge_consistency_terms(lambda one, *arguments: terms_of(one.schedule, *arguments), case, evidence)
        x_0 = three_points(case, "gaussian")
        for variance, _ in choices(case):
            denoiser, notes = taking_notes(bent(case))
            found = dict(terms_of(case.schedule, denoiser, x_0, np.random.default_rng(case.T), variance))
            truth = integrated_ratio(case, bent(case), 1, variance, x_0, notes[2])
            close_in_nats(evidence, f"mean log q/p at t = 1, {named(variance)}", found[1], truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many = case.repeat(case.x_0, trial.n)
        for t, term in claimed.elbo.consistency_terms_integrated(case.schedule, timed(case), many, trial.rng):
            claim = law_of_consistency_term(case, timed(case), t, "beta").mean
            law = law_of_integrated_term(case, timed(case), t, "beta")
            trial.quadratic(f"C_{t}", term, claim, *law.axes)


def judge_consistency_form(form, case, evidence):
    """Judge an estimate of the consistency form by what chance cannot touch.

    With one step it has no terms, and its ends are numbers for a denoiser that knows x_0. With more, a denoiser that is
    off by a mile makes the total a number, an x_0 far out and a chain that stands still bind the terms, and no x_{T-1}
    costs less than 0.
    """
    T, d = case.T, case.d
    for one, kind in ((one, kind) for one in (case, one_step(case)) for kind in KINDS):
        for variance, decoder in choices(one):
            x_0, what = three_points(one, kind), f"{kind}, {named(variance)}, T = {one.T}"
            options = {"variance": variance, "decoder": kind, "decoder_var": decoder, "bins": bins_of(one)}
            denoiser = knows(one, x_0, 0.5)
            guess = model_mean(one, 1, x_0, denoiser(x_0, 1))
            first = -log_decoder(one, x_0, guess, kind, model_var(one, 1, decoder))
            bound = form(one, denoiser, x_0, np.random.default_rng(T), **options)
            close_in_nats(evidence, f"L_0, {what}", bound.reconstruction, first)
            judge_record(bound, what, one, kind, evidence)
            if one.T == 1:
                close_in_nats(evidence, f"all of it, {what}", bound.total, first + true_prior(one, x_0))

    x_0 = three_points(case, "gaussian")
    for variance, decoder in choices(case):
        options = {"variance": variance, "decoder_var": decoder}
        bound = form(case, knows(case, x_0, MILE), x_0, np.random.default_rng(T), **options)
        prices = [price_of_a_mile(case, t, model_var(case, t, variance if t > 1 else decoder)) for t in range(1, T + 1)]
        truth = np.zeros((T + 1, 3))
        truth[1:T] = np.array(prices[1:])[:, None]
        # the noise of the chain is 1e-10 of a mile, times how many standard deviations a step is off by
        evidence.close(f"C_t a mile off, {named(variance)}", bound.terms / MILE**2, truth, 1e-6)
        evidence.close(f"total a mile off, {named(variance)}", bound.total / MILE**2, np.full(3, sum(prices)), 1e-6)
    judge_what_is_kept(lambda rng, **options: form(case, bent(case), x_0, rng, **options), case, evidence)

    calm, variance = standing_still(case)
    bound = form(calm, timed(case), x_0, np.random.default_rng(T), variance=variance)
    evidence.true("a triple stands still", np.abs(bound.terms).max() < 1000)  # by chance not once in e^450

    denoiser, notes = taking_notes(knows(case, FAR * x_0))
    bound = form(case, denoiser, FAR * x_0, np.random.default_rng(T))
    evidence.true("a triple is one, far out", np.abs(bound.terms).max() < 1000)
    shown_far_out(notes, case, x_0, evidence)
    truth = marginal(case.beta, T)[0] ** 2 * np.sum(x_0**2, axis=-1) / 2
    evidence.close("the prior term far out", bound.prior / FAR**2, truth, 1e-4)

    bound, beta = form(case, timed(case), np.zeros((5, d)), np.random.default_rng(T)), case.beta[-1]
    least = -d / 2 * (1 - beta + math.log(beta))  # the divergence of q(x_T | x_{T-1} = 0)
    evidence.true("each point has its own x_{T-1}", len(np.unique(bound.prior)) == 5)
    evidence.true("the prior term is least at x_{T-1} = 0", np.min(bound.prior) >= least)


def judge_total_of_consistency_form(form, law_of_term, case, trial):
    """Judge the total of an estimate of the consistency form, whose parts are independent quadratic forms."""
    many, T = case.repeat(case.x_0, trial.n), case.T
    for variance, decoder in choices(case):
        keep = isinstance(variance, str)  # the last of the three keeps no terms
        bound = form(case, timed(case), many, trial.rng, variance=variance, decoder_var=decoder, keep_terms=keep)
        laws = [law_of_term(case, timed(case), t, variance) for t in range(1, T)]
        laws.append(law_of_reconstruction(case, timed(case), decoder))
        laws.append(Law(case).add(-1, {T - 1: math.sqrt(1 - case.beta[-1])}, 0.0, 1.0))  # of the prior, by its mean
        truth = true_total(case, timed(case), variance, decoder)
        trial.quadratic(f"-log p + KL, {named(variance)}", bound.total, truth, *together(laws))


@identity(
    "elbo.consistency_form",
    judges="elbo.consistency_form",
    states=r"\mathbb{E}\left[-\log p(x_0 \mid x_1)\right]"
    r" + \sum_{t=1}^{T-1} \mathbb{E}\log\frac{q(x_t \mid x_{t-1})}{p(x_t \mid x_{t+1})}"
    r" \qquad {} + \mathbb{E}\,\mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, p(x_T)\right)"
    r" \qquad {} = -\log p(x_0) + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    source="Luo (2022), eq. 44",
    statistics=3,
    coincides="With T = 1 there are no terms, and nothing can be wrong with them. L_T in the place of the last part"
    " leaves every gradient as it is.",
)
class ConsistencyForm:
    """With an affine denoiser the total must be -log p(x_0) plus the divergence of two paths, from dense covariances.

    Without chance: with one step, a mile off, far out, and standing still, where its parts are numbers or bounded.
    """

    @staticmethod
    def form(claimed):
        """Return the form as a function of a case."""
        return lambda case, *rest, **options: claimed.elbo.consistency_form(case.schedule, *rest, **options)

    @staticmethod
    def exact(claimed, case, evidence):
        judge_consistency_form(ConsistencyForm.form(claimed), case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_total_of_consistency_form(ConsistencyForm.form(claimed), law_of_consistency_term, case, trial)


@identity(
    "elbo.consistency_form_integrated",
    judges="elbo.consistency_form_integrated",
    states=r"\mathbb{E}\left[-\log p(x_0 \mid x_1)\right] + \sum_{t=1}^{T-1} C_t"
    r" \qquad {} + \mathbb{E}\,\mathrm{KL}\left(q(x_T \mid x_{T-1}) \,\Vert\, p(x_T)\right)"
    r" \qquad {} = -\log p(x_0) + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)",
    source="the tower rule on Luo (2022), eq. 44",
    statistics=3,
    coincides="As for the form that it integrates.",
)
class ConsistencyFormIntegrated:
    """The total of :func:`consistency_form`, with a law of its own: each term is a form in two points, not in three."""

    @staticmethod
    def form(claimed):
        """Return the form as a function of a case."""
        return lambda case, *rest, **options: claimed.elbo.consistency_form_integrated(case.schedule, *rest, **options)

    @staticmethod
    def exact(claimed, case, evidence):
        judge_consistency_form(ConsistencyFormIntegrated.form(claimed), case, evidence)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        judge_total_of_consistency_form(ConsistencyFormIntegrated.form(claimed), law_of_integrated_term, case, trial)


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

    Without chance: a denoiser that knows x_0 makes each term a number whatever x_t is, and one that takes notes says
    which x_t it was. Copies of one x_0 must have an x_t each; from an x_0 far out all are at its mean.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, many = np.array(case.x_0), case.repeat(case.x_0, 5)
        rng = np.random.default_rng(case.T)
        for variance, _ in choices(case):
            denoiser = knows(case, x_0, 0.5)
            steps = list(claimed.elbo.denoising_terms(case.schedule, denoiser, many, rng, variance))
            evidence.close("t", [t for t, _ in steps], np.arange(case.T, 1, -1))
            for t, term in steps:
                truth = true_term(case, t, x_0, x_0, denoiser(x_0, t), variance)
                close_in_nats(evidence, f"L_{t - 1}, {named(variance)}", term, np.full(5, truth))
        noting, notes = taking_notes(bent(case))
        for t, term in claimed.elbo.denoising_terms(case.schedule, noting, many, rng):
            truth = true_term(case, t, x_0, notes[t], bent(case)(notes[t], t), "beta")
            close_in_nats(evidence, f"L_{t - 1} at the x_t that was shown", term, truth)
            evidence.true(f"each point has its own x_{t}", len(np.unique(term)) == 5)

        noting, notes = taking_notes(bent(case))
        list(claimed.elbo.denoising_terms(case.schedule, noting, FAR * many, rng))
        shown_far_out(notes, case, many, evidence)

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
    states=r"L_0 + \sum_{t=2}^T L_{t-1} + L_T"
    r" \qquad {} = -\log p(x_0) + \mathrm{KL}\left(q(x_{1:T} \mid x_0) \,\Vert\, p(x_{1:T} \mid x_0)\right)"
    r" \qquad {} \ge -\log p(x_0)",
    source="Ho, Jain & Abbeel (2020), eq. 5",
    statistics=3,
    coincides="Signs and dropped terms hide in training, where only differences count, and show in the total. The gap"
    " is 0 for the exact reverse process, and the bound is then the surprise of x_0, which is not 0.",
)
class DenoisingForm:
    """With an affine denoiser the model is one Gaussian over x_0..x_T: the bound must be its exact -log p(x_0) plus the
    divergence of two paths, both from dense covariances.

    Without chance: with a denoiser that knows x_0 the total is a number, whatever was drawn. Whether terms are kept or
    only their sum must not change it.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        DenoisingForm.compare(claimed, case, evidence)
        DenoisingForm.compare(claimed, one_step(case), evidence)
        x_0 = three_points(case, "gaussian")
        noting, notes = taking_notes(bent(case))
        claimed.elbo.denoising_form(case.schedule, noting, FAR * x_0, np.random.default_rng(case.T))
        shown_far_out(notes, case, x_0, evidence)
        judge_what_is_kept(
            lambda rng, **options: claimed.elbo.denoising_form(case.schedule, bent(case), x_0, rng, **options),
            case,
            evidence,
        )

    @staticmethod
    def compare(claimed, case, evidence):
        """Compare total and parts for the denoiser that knows x_0 and errs by 1/2, whose terms are numbers."""
        bins = bins_of(case)
        for variance, decoder in choices(case):
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
                first, terms, last = DenoisingForm.parts(case, x_0, variance, decoder, kind)
                what = f"{kind}, {named(variance)}, T = {case.T}"
                close_in_nats(evidence, f"L_0 + ... + L_T, {what}", bound.total, np.full(3, first + sum(terms) + last))
                close_in_nats(evidence, f"L_0, {what}", bound.reconstruction, np.full(3, first))
                close_in_nats(evidence, f"L_T, {what}", bound.prior, np.full(3, last))
                judge_record(bound, what, case, kind, evidence)
                if kind == "gaussian":
                    truth = np.full(3, true_total(case, knows(case, x_0, 0.5), variance, decoder))
                    # the covariance of the model's path is inverted
                    close_in_nats(evidence, f"-log p + KL, {what}", bound.total, truth, 1e-10)

    @staticmethod
    def parts(case, x_0, variance, decoder, kind):
        """Return L_0, the L_{t-1} for t = 2..T, and L_T, for the denoiser that knows x_0 and errs by 1/2."""
        denoiser = knows(case, x_0, 0.5)
        guess, var = model_mean(case, 1, x_0, denoiser(x_0, 1)), model_var(case, 1, decoder)
        (log_p,) = log_decoder(case, x_0[None], guess[None], kind, var)
        terms = [true_term(case, t, x_0, x_0, denoiser(x_0, t), variance) for t in range(2, case.T + 1)]
        return -log_p, terms, true_prior(case, x_0)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        many = case.repeat(case.x_0, trial.n)
        for variance, decoder in choices(case):
            keep = isinstance(variance, str)  # the last of the three keeps no terms
            bound = claimed.elbo.denoising_form(
                case.schedule, case.denoiser, many, trial.rng, variance=variance, decoder_var=decoder, keep_terms=keep
            )
            laws = [law_of_term(case, t, model_var(case, t, variance)) for t in range(2, case.T + 1)]
            laws.append(law_of_term(case, 1, model_var(case, 1, decoder)))
            linear, square = (np.concatenate(parts) for parts in zip(*laws))
            truth = true_total(case, case.denoiser, variance, decoder)
            trial.quadratic(f"-log p + KL, {named(variance)}", bound.total, truth, linear, square)


@identity(
    "elbo.bits_per_dim",
    judges=("elbo.Bound", "elbo.Bound.total", "elbo.Bound.bits_per_dim"),
    states=r"\frac{1}{d \ln 2}\left(L_0 + \sum_{t=2}^T L_{t-1} + L_T + \sum_{i=1}^d \ln s_i\right)",
    source="Ho, Jain & Abbeel (2020), Table 1, which reports it; Cover & Thomas (2006), eq. 8.71, for the units",
    statistics=2,
    coincides="Nats for bits is a factor of 1.44: in the published range, 3 to 4 bits, it looks like a better model."
    " With s = 1 units do not count, and for s around 1 the wrong sign of ln s may look like a model's doing.",
)
class BitsPerDim:
    """Letters of probability 1/2, 1/4 and 1/4 have a Huffman code of 1, 2 and 2 bits: so many bits must come out.

    A density in the units of the data is that of a normal law that we can write down in them; points drawn from it pay
    its entropy in the mean. Doubling the units halves each number, and is one bit less.
    """

    @staticmethod
    def bound(claimed, bits, keep_terms=True):
        """Return the Bound of letters with code lengths `bits`, (T + 1, n, d): T + 1 parts of the bound."""
        nats = np.log(2) * bits.sum(axis=-1)
        if not keep_terms:
            return claimed.elbo.Bound(nats[0], None, nats[-1], bits.shape[-1], between=nats[1:-1].sum(axis=0))
        terms = np.zeros_like(nats)
        terms[2:] = nats[1:-1]
        return claimed.elbo.Bound(nats[0], terms, nats[-1], bits.shape[-1])

    @staticmethod
    def units(case):
        """Return a mean and a standard deviation for each coordinate, those of data before they were standardised."""
        return np.array(case.x_0), case.var_p * np.linspace(0.3, 0.9, case.d)

    @staticmethod
    def density(claimed, case, x):
        """Return the Bound of data x (n, d) that were standardised, under the model N(0, var_q) of what came out."""
        mean, std = BitsPerDim.units(case)
        nats = -log_normal((x - mean) / std, 0.0, case.var_q)
        return claimed.elbo.Bound(nats, np.zeros((case.T + 1, len(x))), 0 * nats, case.d)

    @staticmethod
    def exact(claimed, case, evidence):
        bits = np.resize(LETTERS, (case.T + 1, 5, case.d)).astype(float)
        for what, keep_terms in (("", True), (", only the sum of the terms kept", False)):
            bound = BitsPerDim.bound(claimed, bits, keep_terms)
            evidence.close(f"total{what}", bound.total, np.log(2) * bits.sum(axis=(0, 2)))
            evidence.close(f"bits per coordinate{what}", bound.bits_per_dim(), bits.sum(axis=0).mean(axis=-1))

        (mean, std), x = BitsPerDim.units(case), three_points(case, "gaussian")
        bound = BitsPerDim.density(claimed, case, x)
        truth = -log_normal(x, mean, std**2 * case.var_q) / (case.d * math.log(2))
        evidence.close("bits of the density of the data", bound.bits_per_dim(std), truth)
        evidence.close("bits in units twice as large", bound.bits_per_dim(std / 2), truth - 1)
        evidence.close("bits with one unit for all", bound.bits_per_dim(0.5), bound.bits_per_dim() - 1)
        nothing = np.zeros(3)
        evidence.refuses("neither terms nor their sum", claimed.elbo.Bound, nothing, None, nothing, case.d)
        code = claimed.elbo.Bound(nothing, None, nothing, case.d, nothing, 256)
        evidence.refuses("a unit of a code length", code.bits_per_dim, std)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        shape = (case.T + 1, trial.n, case.d)
        bits = trial.rng.choice(LETTERS, size=shape, p=(0.5, 0.25, 0.25)).astype(float)
        found, parts = BitsPerDim.bound(claimed, bits).bits_per_dim(), case.T + 1
        trial.bounded("bits per coordinate", found, 1.5 * parts, 0.25 * parts / case.d, span=parts)

        mean, std = BitsPerDim.units(case)
        x = mean + std * math.sqrt(case.var_q) * trial.rng.standard_normal((trial.n, case.d))
        entropy = np.mean(np.log2(2 * math.pi * math.e * std**2 * case.var_q)) / 2
        square = np.full(case.d, 1 / (2 * case.d * math.log(2)))  # of log(1/p) in bits: z^2 / 2 for each coordinate
        found = BitsPerDim.density(claimed, case, x).bits_per_dim(std)
        trial.quadratic("entropy in the units of the data", found, entropy, np.zeros(case.d), square)
