r"""The forward process: add_noise and get_velocity.

Each is compared entry by entry, all t in one batch and in no order; then shapes, types and single steps.
"""

import numpy as np

from refdiff.verify.adapters.diffusers.common import COARSE, HO, TINY, compare, own, settled
from refdiff.verify.adapters.diffusers.truth import ROUNDING, Chain, shaken, velocity

__all__ = []  # claims are entered in OWN


def judge_forward(evidence, bench, name, law):
    """Judge add_noise or get_velocity, law(alpha_bar, a, b): all t at once, then shapes, types and single steps."""
    import torch

    coarse = bench.copy(betas=COARSE)
    for what, scheduler, chain in (
        ("as handed over", bench.given, settled(bench)),
        ("coarse betas", coarse, Chain.of({**coarse.config})),
    ):
        method, T = getattr(scheduler, name), chain.T
        rng = np.random.default_rng(5)
        steps = rng.permutation(T)  # in no order: a step read off the place in the batch shows
        for shape, t in (
            ((T, 3, 2), steps),
            ((2, 3, 4, 5), steps[:2]),
            ((T,), steps),
            ((3, 2, 4), steps[-1:]),
            ((2, 1, 3, 2, 5), steps[-2:]),
        ):
            a, b = (torch.tensor(rng.standard_normal(shape) + shift, dtype=torch.float32) for shift in (0.4, -0.3))
            found = bench.call(name, method, a.clone(), b.clone(), torch.tensor(t)).double().numpy()
            along = np.reshape(chain.alpha_bar[t], (-1,) + (1,) * (len(shape) - 1))
            drift = np.reshape(chain.drift[t], along.shape)
            inputs = along, a.double().numpy(), b.double().numpy()
            truth, allowed = shaken(law, inputs, (drift, 2 * ROUNDING, 2 * ROUNDING))
            order = np.argsort(t) if len(t) == shape[0] else slice(None)
            at = np.broadcast_to(t[order], shape[:1])
            compare(evidence, f"{name}, shape {shape}, {what}", found[order], truth[order], allowed[order], at)
        double = method(a.double(), b.double(), torch.tensor(t))
        compare(evidence, f"{name} in float64, {what}", double.numpy(), truth, allowed)
        evidence.true(f"{name} keeps float64, {what}", double.dtype == torch.float64)
        evidence.true(
            f"{name} keeps float16, {what}", method(a.half(), b.half(), torch.tensor(t)).dtype == torch.float16
        )
        before = a.clone(), b.clone()
        method(a, b, torch.tensor(t))
        evidence.true(
            f"{name} leaves its arguments alone, {what}", torch.equal(a, before[0]) and torch.equal(b, before[1])
        )
        kept = scheduler.alphas_cumprod.double().numpy()
        compare(
            evidence,
            f"alphas_cumprod after {name}, {what}",
            kept,
            chain.alpha_bar,
            chain.drift * chain.alpha_bar + TINY,
            range(T),
        )


@own(
    "add_noise",
    judges="add_noise",
    states=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon",
    source=f"{HO}, eq. 4",
    coincides="Early, 1 - alpha_bar and its root are both near 0 beside x_0; late, alpha_bar is.",
)
class AddNoise:
    """All t at once, in no order, for arrays of one to five axes."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_forward(
            evidence, claimed.diffusers.bench, "add_noise", lambda c, a, b: np.sqrt(c) * a + np.sqrt(1 - c) * b
        )


@own(
    "get_velocity",
    judges="get_velocity",
    states=r"v = \frac{\mathrm{d} x}{\mathrm{d}\varphi} = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0,"
    r" \qquad \cos^2\varphi = \bar\alpha_t",
    source="Salimans & Ho (2022), appendix D",
)
class GetVelocity:
    """The derivative of x = cos(phi) x_0 + sin(phi) eps by its angle, taken by a complex step."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_forward(evidence, claimed.diffusers.bench, "get_velocity", lambda c, a, b: velocity(a, b, c))
