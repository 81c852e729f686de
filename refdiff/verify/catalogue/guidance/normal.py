r"""Identities of a normal class: the tilted density, and the laws that two guided samplers make of noise.

The guided equations are linear where all is normal, so mean and variance obey equations of their own, which a solver
follows to twelve digits. In them time is u = sigma^2 / a^2 on a logarithmic scale: "infinite noise" is so much of it
that its end is out of sight. By chance: draws that are kept as the tilted density demands it, and points carried along.
"""

import math
from itertools import pairwise

import numpy as np
from scipy.integrate import solve_ivp

from refdiff.verify.catalogue.continuous.processes import one_process, processes
from refdiff.verify.catalogue.guidance.models import WEIGHTS, NormalClass, strength
from refdiff.verify.identity import identity
from refdiff.verify.oracles import integrate

MUCH, LITTLE = 70.0, -40.0  # the logarithm of infinite noise, and of none: to 1e-15 of the data


def solve(rate, start, stop, state):
    """Return where a state (parts, d) is carried, to twelve digits."""
    shape = np.shape(state)
    found = solve_ivp(
        lambda r, y: np.ravel(rate(r, y.reshape(shape))),
        (start, stop),
        np.ravel(state),
        method="DOP853",
        rtol=1e-12,
        atol=1e-14,
    )
    return found.y[:, -1].reshape(shape)


def moments_of_flow(q, w, process, prior):
    """Return mean and variance (W, d) at s = 0, for each w, of the guided flow that starts from a prior at s = 1."""
    w = np.reshape(w, (-1, 1))

    def rate(s, state):
        mean, var = state
        slope, shift = q.guided(w, process.a(s), process.v(s))
        f, half = process.f(s), process.g_2(s) / 2
        return np.array([f * mean - half * (slope * mean + shift), 2 * (f - half * slope) * var])

    return solve(rate, 1.0, 0.0, [prior.mean + 0 * w, prior.var + 0 * w])


def moments_from_infinity(q, w, noise):
    """Return mean and variance (W, d), for each w, of what infinite noise becomes, in y = x / a over log u.

    Without noise dy = -score du / 2, as u falls; with it dy = -score du and noise of variance du. In units of
    sqrt(v + u) nothing changes while u is large.
    """
    part, w = (1.0 if noise else 0.5), np.reshape(w, (-1, 1))

    def rate(log_u, state):
        u, (mean, var) = math.exp(log_u), state
        slope, shift = q.guided(w, 1.0, u)
        unit = q.v + u
        mean_rate = -part * (slope * mean + shift / np.sqrt(unit)) - mean / (2 * unit)
        var_rate = -2 * part * slope * var - (noise + var) / unit
        return u * np.array([mean_rate, var_rate])

    mean, var = solve(rate, MUCH, LITTLE, [np.zeros((len(w), q.d)), np.ones((len(w), q.d))])
    return np.sqrt(q.v) * mean, q.v * var


def carried(q, w, z):
    """Return where the guided flow carries normal z (n, d) from infinite noise: it is affine, so two paths tell all."""

    def rate(log_u, y):
        u = math.exp(log_u)
        slope, shift = q.guided(w, 1.0, u)
        return -u * ((slope * y + shift / np.sqrt(q.v + u)) / 2 + y / (2 * (q.v + u)))

    at_0, at_1 = np.sqrt(q.v) * solve(rate, MUCH, LITTLE, [np.zeros(q.d), np.ones(q.d)])
    return at_0 + (at_1 - at_0) * z


def walked(q, w, n, rng, steps=60):
    """Return draws (n, d) of the guided equation with noise, from infinite noise: Gaussian steps that are exact.

    Between two u the drift is linear, so a step has the gain and the variance of Ito's isometry, by quadrature.
    """
    x = np.zeros((n, q.d))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    u = np.concatenate([np.exp(np.linspace(math.log(1e8 * q.V.max()), math.log(1e-6 * q.v.min()), steps)), [0.0]])
    x = math.sqrt(u[0]) * rng.standard_normal(x.shape)
    for high, low in pairwise(u):

        def grown(start, stop):
            """Return the integral of the slope, which falls like 1 / u, over u from start to stop."""
            half, middle = (stop - start) / 2, (stop + start) / 2
            return half * sum(one * q.guided(w, 1.0, middle + half * z)[0] for z, one in zip(nodes, weights))

        half, middle = (high - low) / 2, (high + low) / 2
        at = [middle + half * z for z in nodes]
        kept = [np.exp(grown(low, one)) for one in at]  # from `at` down to low
        shift = half * sum(k * c * q.guided(w, 1.0, one)[1] for k, c, one in zip(kept, weights, at))
        var = half * sum(k**2 * c for k, c in zip(kept, weights))
        x = np.exp(grown(low, high)) * x + shift + np.sqrt(var) * rng.standard_normal(x.shape)
    return x


def normal_is(evidence, what, law, mean, var, tolerance=1e-10):
    """Record whether a Gaussian has a mean and variances."""
    evidence.close(f"mean, {what}", law.mean, mean, tolerance, scale=1 + np.abs(mean).max())
    evidence.close(f"variance over its truth, {what}", law.var / var, np.ones_like(var), tolerance)


@identity(
    "guidance.tilted",
    judges="guidance.tilted",
    states=r"p_w(x) \propto p(x \mid y)^{1 + w}\,p(x)^{-w}: \qquad \frac1{v_w} = \frac{1 + w}{v} - \frac wV, \qquad"
    r" \frac{\mu_w}{v_w} = \frac{1 + w}{v}\,m - \frac wV\,\mu",
    source="Ho & Salimans (2022), section 3.1, for the density; the definition",
    statistics=2,
    coincides="w = 0 and w = -1, where the other laws agree as well.",
)
class Tilted:
    """Moments of the product of powers, by quadrature; by chance, draws of p(x | y) that are kept with a probability in
    proportion to p(y | x)^w have this law.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        q = NormalClass(case)
        for w in (*WEIGHTS, strength(case)):
            law = claimed.guidance.tilted(*q.claim(claimed), w)

            def integrand(x, w=w):
                x = x[:, None]
                power = (1 + w) * (x - q.m) ** 2 / q.v - w * (x - q.mu) ** 2 / q.V
                density = np.exp(-power / 2)
                return np.stack([density, x * density, x**2 * density], axis=1)

            mass, first, second = integrate(integrand, -25.0, 25.0)
            normal_is(evidence, f"w = {w}", law, first / mass, second / mass - (first / mass) ** 2)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, w = NormalClass(case), strength(case)
        law = claimed.guidance.tilted(*q.claim(claimed), w)
        x = q.tilt(w, trial.n, trial.rng)
        trial.mean("mean of what is kept", x, law.mean[-1], law.var[-1])
        trial.var("variance of what is kept", x, law.mean[-1], law.var[-1])


@identity(
    "guidance.guided_flow_limit",
    judges="guidance.guided_flow_limit",
    states=r"\operatorname{Var}[x] = v^{1 + w}\,V^{-w} \ne v_w, \qquad"
    r" \mathbb{E}[x] = \mu + (1 + w)(m - \mu)\,I \ne \mu_w, \qquad"
    r" I = \int_0^1 \left[\frac vV + \left(1 - \frac vV\right)\kappa^2\right]^{w/2} d\kappa",
    source="the definition: the linear equation solved; that it is not the tilted density, Bradley & Nakkiran (2024)",
    statistics=2,
    coincides="w = 0, which is p(x | y), and w = -1, p(x).",
)
class GuidedFlowLimit:
    """Mean and variance by their own equations, from noise as good as infinite; by chance, points from there."""

    @staticmethod
    def exact(claimed, case, evidence):
        q, several = NormalClass(case), (*WEIGHTS, strength(case))
        for w, mean, var in zip(several, *moments_from_infinity(q, several, noise=0.0)):
            law = claimed.guidance.guided_flow_limit(*q.claim(claimed), w)
            normal_is(evidence, f"w = {w}", law, mean, var)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, w = NormalClass(case), strength(case)
        law = claimed.guidance.guided_flow_limit(*q.claim(claimed), w)
        x = carried(q, w, trial.rng.standard_normal((trial.n, q.d)))
        trial.mean("mean of what arrives", x, law.mean, law.var)
        trial.var("variance of what arrives", x, law.mean, law.var)


@identity(
    "guidance.guided_flow",
    judges="guidance.guided_flow",
    states=r"\dot x_s = f x_s - \tfrac12 g^2\left[(1 + w)\,\nabla\log p_s(x_s \mid y) - w\,\nabla\log p_s(x_s)\right]:"
    r" \qquad \operatorname{Var}[x_0] = \left(\frac{v}{v + u_1}\right)^{1 + w} \left(\frac{V + u_1}{V}\right)^w"
    r" \frac{\operatorname{Var}[x_1]}{a_1^2}, \qquad u_1 = \frac{\sigma_1^2}{a_1^2}",
    source="Song et al. (2021), eq. 13, with the guided score; the definition",
    statistics=2,
    coincides="Much noise, where it is the limit.",
)
class GuidedFlow:
    """Mean and variance by their own equations, for the three processes and coarse noise; by chance, points carried
    from the prior.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        q, several = NormalClass(case), (0.0, -0.4, strength(case))
        for process in processes(case):
            for w, mean, var in zip(several, *moments_of_flow(q, several, process, process.prior(q.d))):
                law = claimed.guidance.guided_flow(process, *q.claim(claimed), w)
                normal_is(evidence, f"{process.name}, w = {w}", law, mean, var)
        start = claimed.gaussian.Gaussian(np.array(case.x_t), case.var_p)
        law = claimed.guidance.guided_flow(process, *q.claim(claimed), 0.7, prior=start)
        [mean], [var] = moments_of_flow(q, 0.7, process, start)
        normal_is(evidence, "from elsewhere", law, mean, var)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, w, process = NormalClass(case), strength(case), one_process(case)

        def rate(s, x):
            slope, shift = q.guided(w, process.a(s), process.v(s))
            return process.f(s) * x - process.g_2(s) / 2 * (slope * x + shift)

        at_0, at_1 = solve(rate, 1.0, 0.0, [np.zeros(q.d), np.ones(q.d)])  # the flow is affine
        x_1 = np.sqrt(process.prior(q.d).var) * trial.rng.standard_normal((trial.n, q.d))
        law, x_0 = claimed.guidance.guided_flow(process, *q.claim(claimed), w), at_0 + (at_1 - at_0) * x_1
        trial.mean("mean of x_0", x_0, law.mean, law.var)
        trial.var("variance of x_0", x_0, law.mean, law.var)


@identity(
    "guidance.guided_ancestral_limit",
    judges="guidance.guided_ancestral_limit",
    states=r"\operatorname{Var}[x] = \frac{v}{1 + 2w}\,\frac{1 - (v/V)^{1 + 2w}}{1 - v/V}, \qquad"
    r" \mathbb{E}[x] = \mu + (m - \mu)\,\frac{1 - (v/V)^{1 + w}}{1 - v/V}",
    source="the definition: the linear equation solved; that samplers differ, Bradley & Nakkiran (2024)",
    statistics=2,
    coincides="w = 0 and w = -1, where the flow arrives at the same law.",
)
class GuidedAncestralLimit:
    """Mean and variance by their own equations, from noise as good as infinite; by chance, points that walk from there
    in Gaussian steps.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        q, several = NormalClass(case), (*WEIGHTS, -0.5, strength(case))  # at -1/2 the formula is a limit
        for w, mean, var in zip(several, *moments_from_infinity(q, several, noise=1.0)):
            law = claimed.guidance.guided_ancestral_limit(*q.claim(claimed), w)
            normal_is(evidence, f"w = {w}", law, mean, var)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        q, w = NormalClass(case), strength(case)
        law, x = claimed.guidance.guided_ancestral_limit(*q.claim(claimed), w), walked(q, w, trial.n, trial.rng)
        trial.mean("mean of what arrives", x, law.mean, law.var)
        trial.var("variance of what arrives", x, law.mean, law.var)
