r"""The schedule: betas by name, their products, and the rescaling to zero terminal SNR.

Each table is compared entry by entry with its formula in float64; a wrong entry is named by its t.
"""

from itertools import product

import numpy as np

from refdiff.verify.adapters.diffusers.common import (
    COARSE,
    HO,
    PLAIN,
    SCHEDULES,
    TINY,
    compare,
    final_of,
    known_chain,
    own,
    settled,
    take_apart,
)
from refdiff.verify.adapters.diffusers.truth import ROUNDING, Chain, named_betas

__all__ = []  # claims are entered in OWN


def judge_arrays(evidence, what, scheduler, chain, at):
    """Judge alphas and alphas_cumprod, and what the end of the chain is taken for."""
    beta, alpha_bar = chain.beta, chain.alpha_bar
    compare(
        evidence, f"alphas, {what}", scheduler.alphas.double().numpy(), 1 - beta, chain.blur * (1 - beta) + ROUNDING, at
    )
    compare(
        evidence,
        f"alphas_cumprod, {what}",
        scheduler.alphas_cumprod.double().numpy(),
        alpha_bar,
        chain.drift * alpha_bar + TINY,
        at,
    )
    if hasattr(scheduler, "final_alpha_cumprod"):
        final = final_of(scheduler, chain)
        compare(
            evidence,
            f"final_alpha_cumprod, {what}",
            float(scheduler.final_alpha_cumprod),
            final,
            2 * ROUNDING + (final < 1) * chain.drift[0],
        )


@own(
    "betas",
    judges="betas",
    states=r"\beta_t \in \{\text{linear},\ \text{scaled linear},\ \text{cosine},\ \text{sigmoid}\}",
    source=f"{HO}, section 4; Rombach et al. (2022); Nichol & Dhariwal (2021), eq. 17; Xu et al. (2022), GeoDiff",
    coincides="At both ends of its range linear and sigmoid agree to a part in 400.",
)
class Betas:
    """Each named schedule has a formula of its own, here from logarithms of cosines and not from quotients."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        if (chain := known_chain(bench.config)) is not None:
            top = 4 * ROUNDING * (chain.plain.max() + 2 * chain.plain)
            if not chain.rescaled:
                compare(
                    evidence,
                    "betas, as handed over",
                    bench.given.betas.double().numpy(),
                    chain.beta,
                    top,
                    range(chain.T),
                )
        plain = {"trained_betas": None, "rescale_betas_zero_snr": False}
        for name, T, (start, end) in product(SCHEDULES[bench.kind], (1000, 7), ((1e-4, 0.02), (0.00085, 0.012))):
            made = bench.built(beta_schedule=name, num_train_timesteps=T, beta_start=start, beta_end=end, **plain)
            if made is not None:
                right = named_betas(name, T, start, end)
                what = f"betas, beta_schedule={name}, num_train_timesteps={T}"
                allowed = 4 * ROUNDING * (min(right.max(), end) + 2 * right)
                compare(evidence, what, made.betas.double().numpy(), right, allowed, range(T))
        if (
            made := bench.built(num_train_timesteps=len(COARSE), **{**plain, "trained_betas": list(COARSE)})
        ) is not None:
            right = np.array(COARSE)
            compare(
                evidence,
                "betas, trained_betas",
                made.betas.double().numpy(),
                right,
                2 * ROUNDING * right,
                range(len(right)),
            )
        if not evidence.found:
            evidence.true("betas lie in [0, 1]", bool(((bench.given.betas >= 0) & (bench.given.betas <= 1)).all()))


@own(
    "alphas_cumprod",
    judges="alphas_cumprod",
    states=r"\bar\alpha_t = \prod_{s=1}^t (1 - \beta_s)",
    source=f"{HO}, section 2",
    coincides="Where betas are small, 1 - (the sum of betas) agrees to their squares.",
)
class AlphasCumprod:
    """The product as an exponential of summed logarithms, for each named schedule; a wrong entry shows at its own t."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        given = bench.given
        judge_arrays(evidence, "as handed over", given, settled(bench), range(bench.T))
        plain = {"trained_betas": None, "rescale_betas_zero_snr": False, "beta_start": 1e-4, "beta_end": 0.02}
        for name in SCHEDULES[bench.kind]:
            made = bench.built(beta_schedule=name, num_train_timesteps=1000, **plain)
            if made is not None:
                judge_arrays(evidence, f"beta_schedule={name}", made, Chain.of({**made.config}), range(1000))
        if bench.kind == "ddim":
            for to_one in (True, False):
                made = bench.built(set_alpha_to_one=to_one)
                if made is not None and (chain := known_chain({**made.config})) is not None:
                    judge_arrays(evidence, f"set_alpha_to_one={to_one}", made, chain, range(chain.T))


@own(
    "zero_terminal_snr",
    judges="alphas_cumprod betas",
    states=r"\sqrt{\bar\alpha_t}\,' = \frac{\sqrt{\bar\alpha_1}\,(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T})}"
    r"{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}, \qquad \bar\alpha_T' = 0",
    source="Lin et al. (2024), algorithm 1",
    coincides="Where alpha_bar_T is small already, all but the last steps move by less than sqrt(alpha_bar_T).",
)
class ZeroTerminalSnr:
    """Shifted and scaled in float64: the first alpha_bar stays, the last is 0, and the betas belong to both."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for name in SCHEDULES[bench.kind]:
            made = bench.built(
                beta_schedule=name,
                beta_start=1e-4,
                beta_end=0.02,
                trained_betas=None,
                num_train_timesteps=1000,
                rescale_betas_zero_snr=True,
            )
            if made is None:
                continue
            chain = Chain.of({**made.config})
            what = f"rescale_betas_zero_snr, beta_schedule={name}"
            judge_arrays(evidence, what, made, chain, range(chain.T))
            allowed = (chain.blur + 4 * ROUNDING) * (1 - chain.beta) + 4 * ROUNDING * chain.beta
            compare(evidence, f"betas, {what}", made.betas.double().numpy(), chain.beta, allowed, range(chain.T))
            evidence.true(f"alphas_cumprod[-1] == 0, {what}", float(made.alphas_cumprod[-1]) == 0)
            evidence.true(f"betas[-1] == 1, {what}", float(made.betas[-1]) == 1)
            last = np.array([chain.T - 1])
            for prediction in ("sample", "v_prediction"):  # from pure noise eps says nothing of x_0
                scheduler = bench.built(**{**made.config, **PLAIN, "prediction_type": prediction})
                if bench.kind == "ddim":
                    scheduler.set_timesteps(chain.T)
                    options = {"eta": 0.5}
                else:
                    options = {"kind": scheduler.config.variance_type}
                    if options["kind"] not in ("fixed_small", "fixed_large"):
                        continue
                spacing = scheduler.config.get("timestep_spacing")
                said = f"{what}, prediction_type={prediction}" + (f", timestep_spacing={spacing}" if spacing else "")
                take_apart(evidence, said, scheduler, chain, last, last - 1, prediction, **options)
        if not evidence.found:
            evidence.true("the constructor takes no rescale_betas_zero_snr", True)
