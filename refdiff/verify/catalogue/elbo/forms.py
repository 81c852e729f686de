r"""Identities of the whole bound: its three forms, on a chain and as estimates."""

import math

import numpy as np

from refdiff.verify.catalogue.elbo.models import (
    DECODERS,
    VARIANCES,
    bins_of,
    close_in_nats,
    expected,
    knows,
    law_of_term,
    log_p_of,
    model_mean,
    model_var,
    on_bins,
    true_term,
    true_total,
)
from refdiff.verify.identity import identity
from refdiff.verify.oracles import log_normal, marginal, mean_log_ratio

LETTERS = (1, 2, 2)  # code lengths, in bits, of letters with probabilities 1/2, 1/4, 1/4


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
