r"""Identities of the three equations: drift, diffusion, the law of x_s, and the chain whose limit VP is.

The equation is judged by the law, and the law by the equation: which are known from different ends.
"""

import math

import numpy as np

from refdiff.verify.catalogue.continuous.processes import (
    Process,
    along,
    instants,
    over,
    processes,
    rate,
    some_points,
)
from refdiff.verify.catalogue.schedule import is_walked
from refdiff.verify.identity import identity

SDES = ("VP", "VE", "SubVP")


def each(*methods, sdes=SDES):
    """Return the dotted names of methods of the equations."""
    return tuple(f"continuous.{sde}.{method}" for sde in sdes for method in methods)


def by_law(process, s, u):
    """Return the factor and the variance of the step from s to u that the laws of x_s and x_u leave for it."""
    factor = process.a(u) / process.a(s)
    return factor, process.v(u) - factor**2 * process.v(s)


def stepped(process, case, trial):
    """Return x_s (n, d) far apart, and x_u drawn given it by the law."""
    s, u = instants(case)
    x_s = case.spread_out(trial.n, trial.rng)
    factor, var = by_law(process, s, u)
    return x_s, factor * x_s + math.sqrt(var) * trial.rng.standard_normal(x_s.shape), factor, var


@identity(
    "continuous.drift",
    judges=each("drift", "drift_rate"),
    states=r"f(s)\,x\,ds = \mathbb{E}[x_{s+ds} - x_s \mid x_s]: \qquad f = -\tfrac12\beta(s)"
    r" \;\text{(VP, sub-VP)}, \qquad f = 0 \;\text{(VE)}",
    source="Song et al. (2021), eq. 30 and 32",
    statistics=3,
    coincides="At x = 0. With beta = 0, and for VE, whatever is done to beta.",
)
class Drift:
    """The mean of x_s has the factor a_s, so f is a'/a; integrated along a step it is the slope of x_u over x_s."""

    @staticmethod
    def exact(claimed, case, evidence):
        x, s = some_points(case)
        for process in processes(case):
            sde = process.claim(claimed)
            f = rate(process.a, s) / process.a(s)
            evidence.close(f"{process.name}: one s per point", sde.drift(x, s), f[:, None] * x)
            evidence.close(f"{process.name}: one s", sde.drift(x, s[1]), f[1] * x)
            evidence.close(f"{process.name}: f", sde.drift_rate(s), f)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, u = instants(case)
        r, weights = along(s, u)
        for process in processes(case):
            x_s, x_u, _, var = stepped(process, case, trial)
            drift = process.claim(claimed).drift(np.ones((r.size, case.d)), r)
            trial.mean(f"{process.name}: x_u over x_s", x_u, np.exp(weights @ drift) * x_s, var, weight=x_s)


@identity(
    "continuous.diffusion",
    judges=each("diffusion"),
    states=r"g(s)^2\,ds = \operatorname{Var}[x_{s+ds} \mid x_s]: \qquad g = \sqrt{\beta} \;\text{(VP)}, \qquad"
    r" g = \sqrt{\tfrac{d}{ds}\sigma^2} \;\text{(VE)}, \qquad g = \sqrt{\beta(1 - e^{-2B})} \;\text{(sub-VP)}",
    source="Song et al. (2021), eq. 9, 11 and section 3.4",
    statistics=3,
    coincides="beta for its root where beta = 1. Sub-VP and VP where B is large.",
)
class Diffusion:
    """The variance of x_s changes at the rate 2 f v + g^2, which leaves g^2; integrated, the variance of a step."""

    @staticmethod
    def exact(claimed, case, evidence):
        _, s = some_points(case)
        for process in processes(case):
            f = rate(process.a, s) / process.a(s)
            g_2 = rate(process.v, s) - 2 * f * process.v(s)
            evidence.close(process.name, process.claim(claimed).diffusion(s), np.sqrt(g_2))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, u = instants(case)
        r, weights = along(s, u)
        for process in processes(case):
            x_s, x_u, factor, _ = stepped(process, case, trial)
            kept = process.a(u) / process.a(r)
            var = weights @ (kept**2 * process.claim(claimed).diffusion(r) ** 2)
            trial.var(f"{process.name}: Var[x_u | x_s]", x_u, factor * x_s, var)


@identity(
    "continuous.rates",
    judges=(
        *each("signal_rate", "noise_rate", "var"),
        *each("beta", "integral", sdes=("VP", "SubVP")),
        "continuous.VE.sigma",
    ),
    states=r"x_s \mid x_0 \sim \mathcal{N}(a_s x_0, \sigma_s^2 I): \qquad a = e^{-B/2},\; \sigma^2 = 1 - e^{-B}"
    r" \;\text{(VP)}, \qquad a = 1,\; \sigma^2 = \sigma(s)^2 - \sigma(0)^2 \;\text{(VE)}, \qquad"
    r" a = e^{-B/2},\; \sigma = 1 - e^{-B} \;\text{(sub-VP)}, \qquad B(s) = \int_0^s \beta(r)\,dr",
    source="Song et al. (2021), eq. 29",
    statistics=14,
    coincides="The variance of VP and the standard deviation of sub-VP are one number. VE without the subtraction is"
    " off by sigma_min^2, which late s hides.",
)
class Rates:
    """Solving the equation by quadrature, or running it in steps, gives mean and variance of x_s."""

    @staticmethod
    def exact(claimed, case, evidence):
        _, s = some_points(case)
        s = np.append(s, 1.0)
        for process in processes(case):
            sde, (a, var) = process.claim(claimed), process.by_equation(0.0 * s, s)
            evidence.close(f"{process.name}: a", sde.signal_rate(s), a)
            evidence.close(f"{process.name}: var", sde.var(s), var)
            evidence.close(f"{process.name}: std", sde.noise_rate(s), np.sqrt(var))
            early = math.log(process.by_equation(0.0, 1e-9)[1])  # a subtraction would leave seven digits
            evidence.close(f"{process.name}: log var at 1e-9", math.log(sde.var(1e-9)), early, 1e-11)
            evidence.close(f"{process.name}: log std at 1e-9", math.log(sde.noise_rate(1e-9)), early / 2, 1e-11)
            evidence.close(f"{process.name}: a and var of data", [sde.signal_rate(0.0), sde.var(0.0)], [1.0, 0.0])
            if process.name == "VE":
                evidence.close("sigma", sde.sigma(s), np.sqrt(var + process.low**2))
            else:
                evidence.close(f"{process.name}: beta", sde.beta(s), -2 * rate(process.a, s) / process.a(s))
                evidence.close(f"{process.name}: its integral", sde.integral(s), -2 * np.log(a))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s = np.array(instants(case))
        for process in processes(case):
            x_0 = np.full((trial.n, 1), 20 * case.x_0[0])  # so far out that the mean tells a to three digits
            first = process.run(x_0, 0.0, s[0], trial.rng)
            x = np.hstack([first, process.run(first, s[0], s[1], trial.rng)])
            sde, (a, var) = process.claim(claimed), process.by_equation(0.0 * s, s)

            def mean(what, factor, x=x, x_0=x_0, var=var, name=process.name):
                trial.mean(f"{name}: {what}", x, factor[None] * x_0, var[None])

            mean("a", sde.signal_rate(s))
            trial.var(f"{process.name}: var", x, a[None] * x_0, sde.var(s))
            trial.var(f"{process.name}: std", x, a[None] * x_0, sde.noise_rate(s) ** 2)
            if process.name == "VE":
                trial.var("sigma", x, a[None] * x_0, sde.sigma(s) ** 2 - sde.sigma(0.0) ** 2)
            else:
                mean("a from beta", np.exp(-over(sde.beta, 0.0 * s, s) / 2))
                mean("a from the integral", np.exp(-sde.integral(s) / 2))


@identity(
    "continuous.log_snr",
    judges=each("log_snr", "time"),
    states=r"\lambda(s) = \log\frac{a_s^2}{\sigma_s^2}, \qquad \frac{d\lambda}{ds} = -\frac{g^2}{\sigma_s^2}, \qquad"
    r" s = \lambda^{-1}(\lambda(s))",
    source="Kingma et al. (2021), section 3.1",
    statistics=6,
    coincides="The ratio of standard deviations has half the logarithm: the same where it is 0.",
)
class LogSnr:
    """Mean and variance come from the equation; and what a ratio says of the variance is seen in samples."""

    @staticmethod
    def exact(claimed, case, evidence):
        _, s = some_points(case)
        s = np.append(s, [1e-6, 1.0])
        for process in processes(case):
            sde, (a, var) = process.claim(claimed), process.by_equation(0.0 * s, s)
            log_snr = 2 * np.log(a) - np.log(var)
            evidence.close(f"{process.name}: log SNR", sde.log_snr(s), log_snr)
            evidence.true(f"{process.name}: infinite at s = 0", sde.log_snr(0.0) == math.inf)
            evidence.close(f"{process.name}: its inverse", sde.time(log_snr) / s, np.ones(s.size))
            evidence.refuses(f"{process.name}: a ratio below the last", sde.time, log_snr[-1] - 1)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        _, u = instants(case)
        for process in processes(case):
            sde, (a, var) = process.claim(claimed), process.by_equation(0.0, u)
            x_0 = case.repeat(case.x_0, trial.n)
            x = process.run(x_0, 0.0, u, trial.rng)
            trial.var(f"{process.name}: log SNR", x, a * x_0, a**2 * math.exp(-sde.log_snr(u)))
            then = float(sde.time(2 * math.log(a) - math.log(var)))
            trial.var(f"{process.name}: its inverse", x, a * x_0, process.v(then))


@identity(
    "continuous.transition",
    judges=each("transition", "marginal"),
    states=r"x_u \mid x_s \sim \mathcal{N}\left(\frac{a_u}{a_s}\,x_s,\;"
    r" \left[\sigma_u^2 - \frac{a_u^2}{a_s^2}\sigma_s^2\right] I\right), \qquad s \le u",
    source="Kingma et al. (2021), appendix A",
    statistics=15,
    coincides="s = 0, where it is the marginal. For VE the factor is 1, and the variance a plain difference.",
)
class Transition:
    """The equation from s to u by quadrature; and by steps, x_s being known: the residual is independent of it."""

    @staticmethod
    def exact(claimed, case, evidence):
        x, s = some_points(case)
        for process in processes(case):
            sde = process.claim(claimed)
            for what, u in {"far": s + 0.5 * (1 - s), "near": s + 1e-9, "to the end": np.ones(4)}.items():
                q, (factor, var) = sde.transition(x, s, u), process.by_equation(s, u)
                evidence.close(f"{process.name}: mean, {what}", q.mean, factor[:, None] * x)
                # u - s has itself but seven digits where it is 1e-9
                evidence.close(f"{process.name}: var, {what}", q.var, np.repeat(var[:, None], case.d, axis=1))
            q, (factor, var) = sde.marginal(x, s[2]), process.by_equation(0.0, s[2])
            evidence.close(f"{process.name}: marginal mean", q.mean, factor * x)
            evidence.close(f"{process.name}: marginal var", q.var, np.full(x.shape, var))
            evidence.refuses(f"{process.name}: u before s", sde.transition, x, 0.5, 0.4)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        s, u = instants(case)
        for process in processes(case):
            sde, x_0 = process.claim(claimed), case.repeat(case.x_0, trial.n)
            x_s = process.run(x_0, 0.0, s, trial.rng)
            x_u = process.run(x_s, s, u, trial.rng)
            q = sde.marginal(x_0, s)
            trial.mean(f"{process.name}: x_s given x_0: mean", x_s, q.mean, q.var)
            trial.var(f"{process.name}: x_s given x_0: variance", x_s, q.mean, q.var[0])
            q = sde.transition(x_s, s, u)
            trial.conditional(f"{process.name}: x_u given x_s", x_u, q.mean, q.var[0], x_s=x_s)


@identity(
    "continuous.prior",
    judges=each("prior"),
    states=r"p(x_1) = \mathcal{N}(0, I) \;\text{(VP, sub-VP)}, \qquad \mathcal{N}(0, \sigma_{\max}^2 I) \;\text{(VE)}",
    source="Song et al. (2021), appendix C",
    statistics=6,
    coincides="Any of them where sigma_max = 1.",
)
class Prior:
    """VP and sub-VP forget x_0 and come to rest where 2 f v + g^2 = 0; VE adds up noise on top of sigma_min."""

    @staticmethod
    def long(case):
        """Return the three equations, with so much noise that VP and sub-VP have forgotten x_0 at s = 1."""
        _, ve, _ = processes(case)
        return Process("VP", 30.0, 30 + 9 * case.var_q), ve, Process("SubVP", 30.0, 30 + 9 * case.var_q)

    @staticmethod
    def exact(claimed, case, evidence):
        for process in Prior.long(case):
            rest = -process.g_2(1.0) / (2 * process.f(1.0)) if process.name != "VE" else process.v(1.0) + process.low**2
            law = process.claim(claimed).prior(case.d)
            evidence.close(f"{process.name}: mean", law.mean, np.zeros(case.d))
            evidence.close(f"{process.name}: var", law.var, np.full(case.d, rest))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        for process in Prior.long(case):
            x_0 = case.spread_out(trial.n, trial.rng)
            if process.name == "VE":
                x_0 = process.low * trial.rng.standard_normal(x_0.shape)
            x, law = process.run(x_0, 0.0, 1.0, trial.rng, steps=6), process.claim(claimed).prior(case.d)
            trial.mean(f"{process.name}: mean", x, law.mean, law.var)
            trial.var(f"{process.name}: variance", x, law.mean, law.var)


@identity(
    "continuous.chain_limit",
    judges="continuous.VP.schedule",
    states=r"\beta_t = \frac1T\,\beta\!\left(\frac tT\right): \qquad T\left[\log\bar\alpha_{sT} + B(s)\right]"
    r" \to -\tfrac12\left[\beta(s) - \beta(0) + \int_0^s \beta(r)^2\,dr\right]",
    source="Song et al. (2021), appendix B, eq. 22 to 25",
    statistics=2,
    coincides="In the limit: at T = 1000 the betas and the integrals of beta over the steps differ by 1 % at most.",
)
class ChainLimit:
    """The betas in plain Python; and the products come to the solution of the equation as c/T, c being known."""

    @staticmethod
    def exact(claimed, case, evidence):
        vp, _, _ = processes(case)
        low, high, T = ChainLimit.gentle(case)
        schedule = claimed.continuous.VP(low, high).schedule(T)
        evidence.close("beta", schedule.beta[1:], ChainLimit.betas(low, high, T))
        evidence.close("T", schedule.T, T)
        T = 2000
        chains = [vp.claim(claimed).schedule(n) for n in (T, 2 * T)]
        for s in (0.5, 1.0):
            limit = vp.by_equation(0.0, s)[0] ** 2
            once, twice = (max(chain.alpha_bar[round(s * chain.T)] / limit, 1e-300) for chain in chains)
            evidence.close(f"order at s = {s}", math.log2((1 - once) / (1 - twice)), 1.0, tolerance=0.1)
            leading = 2 * (2 * T * math.log(twice)) - T * math.log(once)  # what 1/T leaves is taken out
            constant = -(vp.beta(s) - vp.beta(0.0) + over(lambda r: vp.beta(r) ** 2, 0.0, s)) / 2
            evidence.close(f"constant at s = {s}", leading, constant, tolerance=1e-3)

    @staticmethod
    def gentle(case):
        """Return a range of beta below 1, where any T will do, and a small T."""
        return 0.1 + 0.3 * case.slope, 0.6 + 0.3 * case.slope, case.T + 2

    @staticmethod
    def betas(low, high, T):
        """Return beta(t / T) / T."""
        return [(low + (high - low) * t / T) / T for t in range(1, T + 1)]

    @staticmethod
    def monte_carlo(claimed, case, trial):
        low, high, T = ChainLimit.gentle(case)
        is_walked(trial, claimed.continuous.VP(low, high).schedule(T), ChainLimit.betas(low, high, T))
