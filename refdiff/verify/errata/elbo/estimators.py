r"""Wrong versions of the estimators of the bound, as found in print and in code."""

from dataclasses import replace

import numpy as np

from refdiff import elbo, forward, gaussian, reverse
from refdiff.bayes import posterior
from refdiff.verify.identity import erratum


def terms_at(schedule, denoiser, x_0, t, x_t, variance="beta", decoder="gaussian", decoder_var="beta_1", bins=256):
    """Return L_{t-1} of each point at x_t, t of shape (n,): what the estimators have in common."""
    first = elbo.reconstruction_term(schedule, denoiser, x_0, x_t, decoder, decoder_var, bins)
    others = [np.zeros(len(x_0)), first]
    others += [elbo.denoising_term(schedule, denoiser, x_0, x_t, s, variance) for s in range(2, schedule.T + 1)]
    return np.array(others)[t, np.arange(len(x_0))]


@erratum(
    "one-step-for-all-T",
    source="instadeepai/InstaNovo, multinomial_diffusion.py, where L_T is added to the mean over steps; whether a"
    " factor T belongs there is asked in openai/improved-diffusion#114, #147 and #153 and in cvignac/DiGress#35",
    says=r"L \approx L_T + L_{t-1}(x_t), \quad t \sim U\{1, \ldots, T\}",
    correct=r"L \approx L_T + T\,L_{t-1}(x_t)",
    replaces="elbo.random_step",
    rejected_by="elbo.random_step",
    coincides="in where the gradient of the terms points; only L_T is too heavy, and that is constant",
)
def step_without_T(schedule, denoiser, x_0, rng, *args, **kwargs):
    prior = elbo.prior_term(schedule, x_0)
    return prior + (elbo.random_step(schedule, denoiser, x_0, rng, *args, **kwargs) - prior) / schedule.T


@erratum(
    "probability-not-divided-by",
    source="a common slip where a sampler of t returns weights and the training loop drops them",
    says=r"L \approx L_T + T\,L_{t-1}(x_t), \quad t \sim \pi",
    correct=r"L \approx L_T + L_{t-1}(x_t) / \pi_t",
    replaces="elbo.random_step",
    rejected_by="elbo.random_step",
    coincides="for uniform pi_t = 1/T, whose weights are all 1",
)
def step_not_divided(schedule, denoiser, x_0, rng, *args, probability=None, **kwargs):
    if probability is None:
        return elbo.random_step(schedule, denoiser, x_0, rng, *args, **kwargs)
    t = rng.choice(schedule.T + 1, size=len(x_0), p=probability)
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    terms = terms_at(schedule, denoiser, x_0, t, x_t, *args, **kwargs)
    return elbo.prior_term(schedule, x_0) + schedule.T * terms


@erratum(
    "bound-never-draws-T",
    source="instadeepai/InstaNovo, multinomial_diffusion.py, with randint(0, T - 1) for steps 0..T - 1",
    says=r"t \sim U\{1, \ldots, T - 1\}",
    correct=r"t \sim U\{1, \ldots, T\}",
    replaces="elbo.random_step",
    rejected_by="elbo.random_step",
    coincides="nearly for T = 1000, where the last step of a schedule that ends in noise pays next to nothing",
)
def step_without_last(schedule, denoiser, x_0, rng, *args, probability=None, **kwargs):
    pi = np.full(schedule.T + 1, 1 / schedule.T) if probability is None else probability
    t = rng.integers(1, schedule.T, size=len(x_0))
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    return elbo.prior_term(schedule, x_0) + terms_at(schedule, denoiser, x_0, t, x_t, *args, **kwargs) / pi[t]


@erratum(
    "strata-in-order",
    source="a common slip: a low-discrepancy sequence of t beside points in an order of their own",
    says=r"t_i = 1 + \lfloor T\,(i + u_i)/n\rfloor \text{ for point } i",
    correct=r"\text{the same } t_i, \text{ in random order}",
    replaces="elbo.stratified_step",
    rejected_by="elbo.stratified_step",
    coincides="in the mean over points that are all alike, or that come in random order themselves",
)
def strata_in_order(schedule, denoiser, x_0, rng, *args, **kwargs):
    n = len(x_0)
    t = np.minimum(1 + (schedule.T * (np.arange(n) + rng.random(n)) / n).astype(int), schedule.T)
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    return elbo.prior_term(schedule, x_0) + schedule.T * terms_at(schedule, denoiser, x_0, t, x_t, *args, **kwargs)


@erratum(
    "strata-from-zero",
    source="a common slip: steps counted from 0, and 0 clipped to 1",
    says=r"t_i = \max(1, \lfloor T\,(i + u_i)/n\rfloor)",
    correct=r"t_i = 1 + \lfloor T\,(i + u_i)/n\rfloor",
    replaces="elbo.stratified_step",
    rejected_by="elbo.stratified_step",
    coincides="nearly for T = 1000, but that L_0, often the largest, counts twice",
)
def strata_from_zero(schedule, denoiser, x_0, rng, *args, **kwargs):
    n = len(x_0)
    t = np.maximum((schedule.T * (rng.permutation(n) + rng.random(n)) / n).astype(int), 1)
    x_t = forward.marginal(schedule, x_0, t).sample(rng)
    return elbo.prior_term(schedule, x_0) + schedule.T * terms_at(schedule, denoiser, x_0, t, x_t, *args, **kwargs)


@erratum(
    "square-of-mean-loss",
    source="a common slip: a running mean of the loss is kept in place of that of its square",
    says=r"\pi_t \propto \mathbb{E}[L_{t-1}] = \sqrt{\mathbb{E}[L_{t-1}]^2}",
    correct=r"\pi_t \propto \sqrt{\mathbb{E}[L_{t-1}^2]}",
    replaces="elbo.mean_square_terms",
    rejected_by="elbo.mean_square_terms",
    coincides="where a term hardly varies",
)
def square_of_mean(schedule, denoiser, x_0, rng, *args, **kwargs):
    squares = np.zeros(schedule.T + 1)
    for t in range(1, schedule.T + 1):
        steps = np.full(len(x_0), t)
        x_t = forward.marginal(schedule, x_0, steps).sample(rng)
        squares[t] = terms_at(schedule, denoiser, x_0, steps, x_t, *args, **kwargs).mean() ** 2
    return squares


@erratum(
    "probability-by-mean-square",
    source="a common slip",
    says=r"\pi_t \propto \mathbb{E}[L_{t-1}^2]",
    correct=r"\pi_t \propto \sqrt{\mathbb{E}[L_{t-1}^2]}",
    replaces="elbo.loss_aware_probability",
    rejected_by="elbo.loss_aware_probability",
    coincides="where the terms are of one size; the second moment is that of uniform t: T times the sum of squares",
)
def probability_by_mean_square(mean_square):
    pi = np.append(0.0, mean_square[1:])
    return pi / pi.sum()


@erratum(
    "decoder-drawn-like-the-next-step",
    source="the line asked about in microsoft/VQ-Diffusion#36, which overwrites the loss of t = 1 by that of t = 2",
    says=r"\pi_1 = \pi_2",
    correct=r"\pi_1 \propto \sqrt{\mathbb{E}[L_0^2]}",
    replaces="elbo.loss_aware_probability",
    rejected_by="elbo.loss_aware_probability",
    coincides="in the mean, which any probabilities leave right that are divided by",
)
def probability_with_first_overwritten(mean_square):
    root = np.append(0.0, np.sqrt(mean_square[1:]))
    root[1] = root[2]
    return root / root.sum()


@erratum(
    "step-zero-has-a-chance",
    source="a common slip with arrays of T + 1 entries",
    says=r"\pi_t = \frac{\sqrt{\mathbb{E}[L_{t-1}^2]}}{\sum_{s=0}^T \sqrt{\mathbb{E}[L_{s-1}^2]}}",
    correct=r"\pi_t = \frac{\sqrt{\mathbb{E}[L_{t-1}^2]}}{\sum_{s=1}^T \sqrt{\mathbb{E}[L_{s-1}^2]}}, \quad \pi_0 = 0",
    replaces="elbo.loss_aware_probability",
    rejected_by="elbo.loss_aware_probability",
    coincides="where entry 0 is 0",
)
def probability_of_step_zero(mean_square):
    root = np.sqrt(mean_square)
    return root / root.sum()


def pairs(schedule, denoiser, x_0, first, second, weight, variance="beta", *args, **kwargs):
    """Return the Bound with weight [L_{t-1}(first(t)) + L_{t-1}(second(t))] for each t."""
    terms = np.zeros((schedule.T + 1, len(x_0)))
    for t in range(schedule.T, 0, -1):
        steps, x_t = np.full(len(x_0), t), first(t)
        for one in (x_t, second(t, x_t)):
            terms[t] += weight * terms_at(schedule, denoiser, x_0, steps, one, variance, *args, **kwargs)
    reconstruction, terms[1] = terms[1].copy(), 0.0
    return elbo.Bound(reconstruction, terms, elbo.prior_term(schedule, x_0), x_0.shape[-1])


@erratum(
    "antithetic-pair-summed",
    source="a common slip",
    says=r"L_{t-1} \approx L_{t-1}(x_t^+) + L_{t-1}(x_t^-)",
    correct=r"L_{t-1} \approx \tfrac12\left[L_{t-1}(x_t^+) + L_{t-1}(x_t^-)\right]",
    replaces="elbo.antithetic_form",
    rejected_by="elbo.antithetic_form",
)
def antithetic_sum(schedule, denoiser, x_0, rng, *args, **kwargs):
    q = {t: forward.marginal(schedule, x_0, t) for t in range(1, schedule.T + 1)}
    return pairs(
        schedule, denoiser, x_0, lambda t: q[t].sample(rng), lambda t, x_t: 2 * q[t].mean - x_t, 1.0, *args, **kwargs
    )


@erratum(
    "antithetic-point-mirrored",
    source="a common slip",
    says=r"x_t^- = -x_t^+",
    correct=r"x_t^- = \sqrt{\bar\alpha_t}\,x_0 - \sqrt{1 - \bar\alpha_t}\,\epsilon = 2\sqrt{\bar\alpha_t}\,x_0 - x_t^+",
    replaces="elbo.antithetic_form",
    rejected_by="elbo.antithetic_form",
    coincides="for x_0 = 0",
)
def antithetic_point(schedule, denoiser, x_0, rng, *args, **kwargs):
    q = {t: forward.marginal(schedule, x_0, t) for t in range(1, schedule.T + 1)}
    return pairs(schedule, denoiser, x_0, lambda t: q[t].sample(rng), lambda t, x_t: -x_t, 0.5, *args, **kwargs)


@erratum(
    "antithetic-pair-independent",
    source="a common slip: the noise is drawn again for the second of the pair",
    says=r"x_t^\pm = \sqrt{\bar\alpha_t}\,x_0 \pm \sqrt{1 - \bar\alpha_t}\,\epsilon^\pm,"
    r" \quad \epsilon^+, \epsilon^- \text{ independent}",
    correct=r"\epsilon^- = \epsilon^+",
    replaces="elbo.antithetic_form",
    rejected_by="elbo.antithetic_form",
    coincides="in the mean; what is odd in the noise loses half of its variance and should lose all",
)
def antithetic_independent(schedule, denoiser, x_0, rng, *args, **kwargs):
    q = {t: forward.marginal(schedule, x_0, t) for t in range(1, schedule.T + 1)}
    return pairs(
        schedule, denoiser, x_0, lambda t: q[t].sample(rng), lambda t, _: q[t].sample(rng), 0.5, *args, **kwargs
    )


@erratum(
    "ladder-mean-over-steps",
    source="a reading of the code discussed in openai/improved-diffusion#114 and #147",
    says=r"\hat L = L_T + L_{t-1}(x_t) \text{ estimates the bound}",
    correct=r"\hat L = L_T + T\,L_{t-1}(x_t) \text{ does}",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder",
)
def ladder_with_mean_over_steps(schedule, denoiser, x_0, rng, *args, **kwargs):
    T, prior = schedule.T, elbo.prior_term(schedule, x_0).mean()
    return tuple(
        replace(rung, mean=prior + (rung.mean - prior) / T, error=rung.error / T, var=rung.var / T**2)
        if rung.calls == 1
        else rung
        for rung in elbo.ladder(schedule, denoiser, x_0, rng, *args, **kwargs)
    )


@erratum(
    "antithetic-noise-for-free",
    source="a common slip",
    says=r"\text{antithetic noise: } T \text{ calls of the denoiser}",
    correct=r"\text{antithetic noise: } 2T \text{ calls, for each point is asked about twice}",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder",
    coincides="in means and variances, which is all that chance can see",
    by_chance=False,
)
def ladder_with_free_noise(schedule, *args, **kwargs):
    rungs = elbo.ladder(schedule, *args, **kwargs)
    return tuple(replace(rung, calls=min(rung.calls, schedule.T)) for rung in rungs)


@erratum(
    "variance-of-the-mean",
    source="a common slip",
    says=r"\operatorname{Var}[\hat L] = \frac{1}{n (n - 1)} \sum_i (\hat L_i - \bar L)^2",
    correct=r"\operatorname{Var}[\hat L] = \frac{1}{n - 1} \sum_i (\hat L_i - \bar L)^2",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder_variances",
    coincides="where nothing varies; in the order of the estimators",
)
def ladder_with_variance_of_mean(*args, **kwargs):
    return tuple(replace(rung, var=rung.error**2) for rung in elbo.ladder(*args, **kwargs))


@erratum(
    "strata-taken-for-independent",
    source="a common slip",
    says=r"\operatorname{Var}[\bar L] = \frac1n \operatorname{Var}[\hat L_i] \text{ for stratified } t_i",
    correct=r"\operatorname{Var}[\bar L] \text{ from repetitions: the } \hat L_i \text{ of a group are dependent}",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder_variances",
    coincides="where all terms are of one size",
)
def ladder_with_independent_strata(schedule, denoiser, x_0, rng, *args, **kwargs):
    rungs = elbo.ladder(schedule, denoiser, x_0, rng, *args, **kwargs)
    given = {name: kwargs[name] for name in ("variance", "decoder_var") if name in kwargs}
    var = elbo.stratified_step(schedule, denoiser, x_0, rng, **given).var(ddof=1)
    return *rungs[:-1], replace(rungs[-1], var=var, error=np.sqrt(var / len(x_0)))


@erratum(
    "one-chain-does-not-vary",
    source="S3, line 255",
    says=r"\operatorname{Var}\left[-\log\frac{p(x_{0:T})}{q(x_{1:T} \mid x_0)}\right] = 0 \text{ for small } \beta_t:"
    r" \text{ one sample is enough}",
    correct=r"\text{so only if also } p(x_T) = q(x_T) \text{ and } p(x_{t-1} \mid x_t) = q(x_{t-1} \mid x_t)",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder_variances",
    coincides="for one x_0 and the exact reverse process, whatever the betas are",
)
def ladder_of_one_trajectory(*args, **kwargs):
    rungs = elbo.ladder(*args, **kwargs)
    return replace(rungs[0], var=0.0, error=0.0), *rungs[1:]


@erratum(
    "rao-blackwell-for-the-sum",
    source="a reading of Ho, Jain & Abbeel (2020), section 2, which is right for each term",
    says=r"\operatorname{Var}\Big[\sum_t \mathrm{KL}_t\Big] = \operatorname{Var}[-\log w]"
    r" - \sum_t \mathbb{E}\operatorname{Var}\left[\log\tfrac{q}{p} \,\big|\, x_t, x_0\right] \text{ on one chain}",
    correct=r"\text{it falls by that much term by term; the sum loses covariances too and may vary more than } -\log w",
    replaces="elbo.ladder",
    rejected_by="elbo.ladder_variances",
    coincides="where the log-ratio of each step has no covariance with the rest of the sum",
)
def ladder_with_terms_added_up(schedule, denoiser, x_0, rng, *args, **kwargs):
    rungs = elbo.ladder(schedule, denoiser, x_0, rng, *args, **kwargs)
    given = {name: kwargs[name] for name in ("variance", "decoder_var") if name in kwargs}
    chain = forward.walk(schedule, x_0, rng)
    raw = elbo.denoising_on_chain(schedule, denoiser, chain, **given)
    analytic = elbo.denoising_kl_on_chain(schedule, denoiser, chain, **given)
    lost = (raw.terms.var(axis=1) - analytic.terms.var(axis=1)).sum() + raw.prior.var() - analytic.prior.var()
    return *rungs[:3], replace(rungs[3], var=rungs[0].var - lost), *rungs[4:]


@erratum(
    "rewriting-reduces-variance",
    source="S3, line 291; S0, lines 87-89",
    says=r"\text{to write } \sum_t \log\frac{q(x_t \mid x_{t-1})}{p(x_{t-1} \mid x_t)} \text{ as }"
    r" \sum_t \log\frac{q(x_{t-1} \mid x_t, x_0)}{p(x_{t-1} \mid x_t)} + \ldots \text{ reduces the variance}",
    correct=r"\text{the two are one number on each chain; a divergence in place of each log-ratio varies less}",
    replaces="elbo.denoising_kl_on_chain",
    rejected_by="elbo.rao_blackwell",
    coincides="in the mean",
)
def kl_on_chain_only_rewritten(schedule, denoiser, chain, *args, **kwargs):
    return elbo.denoising_on_chain(schedule, denoiser, chain, *args, **kwargs)


@erratum(
    "divergence-turned-round",
    source="a common slip",
    says=r"\mathbb{E}\left[\log\tfrac{q(x_{t-1} \mid x_t, x_0)}{p(x_{t-1} \mid x_t)} \,\Big|\, x_t, x_0\right]"
    r" = \mathrm{KL}(p \,\Vert\, q)",
    correct=r"= \mathrm{KL}(q \,\Vert\, p)",
    replaces="elbo.denoising_kl_on_chain",
    rejected_by="elbo.rao_blackwell",
    coincides="where the variances are equal",
)
def kl_on_chain_turned_round(schedule, denoiser, chain, variance="beta", *args, **kwargs):
    right = elbo.denoising_kl_on_chain(schedule, denoiser, chain, variance, *args, **kwargs)
    terms = np.zeros_like(right.terms)
    for t in range(2, schedule.T + 1):
        p = reverse.transition(schedule, denoiser, chain[t], t, variance)
        terms[t] = gaussian.kl(p, posterior(schedule, chain[0], chain[t], t))
    return elbo.Bound(right.reconstruction, terms, right.prior, right.d)


@erratum(
    "integrated-over-x-t-too",
    source="a common slip: the divergence is evaluated at the mean of x_t",
    says=r"\mathbb{E}\left[\log\tfrac qp \,\Big|\, x_t, x_0\right] = \mathrm{KL}_t(\sqrt{\bar\alpha_t}\,x_0)",
    correct=r"\mathbb{E}\left[\log\tfrac qp \,\Big|\, x_t, x_0\right] = \mathrm{KL}_t(x_t)",
    replaces="elbo.denoising_kl_on_chain",
    rejected_by="elbo.rao_blackwell",
    coincides="where the error of the model's mean does not depend on x_t",
)
def kl_at_means(schedule, denoiser, chain, *args, **kwargs):
    steps = range(1, schedule.T + 1)
    means = np.array([chain[0], *(forward.marginal(schedule, chain[0], t).mean for t in steps)])
    return elbo.denoising_kl_on_chain(schedule, denoiser, means, *args, **kwargs)


@erratum(
    "bound-zero-for-exact-reverse-process",
    source="S3, line 808",
    says=r"\mathbb{E}_{q(x_0)} L = \mathrm{KL}(q(x_{0:T}) \,\Vert\, p(x_{0:T})),"
    r" \text{ so that } \mathrm{LLR} = 0 \Rightarrow L = 0",
    correct=r"\mathbb{E}_{q(x_0)} L = H[q(x_0)] + \mathrm{KL}(q(x_{0:T}) \,\Vert\, p(x_{0:T})),"
    r" \quad 1.4189\,d \text{ for data } \mathcal{N}(0, I)",
    replaces="elbo.denoising_form",
    rejected_by="elbo.entropy_plus_kl",
    coincides="in gradients and in differences between models of the same data",
)
def form_without_entropy(schedule, denoiser, x_0, rng, *args, **kwargs):
    right = elbo.denoising_form(schedule, denoiser, x_0, rng, *args, **kwargs)
    entropy = right.d / 2 * np.log(2 * np.pi * np.e)  # of standardised data, if they are normal
    return elbo.Bound(right.reconstruction - entropy, right.terms, right.prior, right.d)
