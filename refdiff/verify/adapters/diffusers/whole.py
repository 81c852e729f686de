r"""The scheduler as a whole: where its last step leads, its own options, all options, and what surrounds the formulas.

Here options meet each other: what is right for each alone must be right for all together.
"""

from itertools import product

import numpy as np

from refdiff.verify.adapters.diffusers.bench import Probe
from refdiff.verify.adapters.diffusers.common import (
    DOCUMENTED,
    DOCUMENTED_BY_KIND,
    HO,
    PLAIN,
    PREDICTIONS,
    SCHEDULES,
    SONG,
    SPACINGS,
    VARIANCES,
    all_steps,
    compare,
    entry_by_entry,
    few_steps,
    final_of,
    learns,
    listed,
    own,
    same_steps,
    settled,
    take_apart,
    usable,
)
from refdiff.verify.adapters.diffusers.truth import ROUNDING, Chain, named_betas

__all__ = []  # claims are entered in OWN


@own(
    "final_alpha_cumprod",
    judges="step final_alpha_cumprod",
    states=r"\bar\alpha_{\text{prev}} = 1 \text{ or } \bar\alpha_1 \text{ at the last step}",
    source=f"{SONG}, section 4.2, and set_alpha_to_one as documented",
    kinds=("ddim",),
)
class FinalAlphaCumprod:
    """The last step of each list, under both answers to where it leads."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        chain = settled(bench)
        for to_one, n, eta in product((True, False), (1, 10, bench.T), (0.0, 0.6)):
            final = 1.0 if to_one else float(chain.alpha_bar[0])
            for scheduler in (
                bench.copy(
                    steps=min(n, bench.T),
                    set_alpha_to_one=to_one,
                    timestep_spacing="leading",
                    steps_offset=0,
                    prediction_type="v_prediction",
                    **PLAIN,
                ),
            ):
                t, prev = listed(scheduler)
                what = f"set_alpha_to_one={to_one}, set_timesteps({n}), eta={eta}"
                take_apart(evidence, what, scheduler, chain, t[-2:], prev[-2:], "v_prediction", eta=eta, final=final)


@own(
    "as_configured",
    judges="step",
    states=r"x_{\text{prev}} = \tilde\mu(x_t, \hat x_0) + \sigma z \quad\text{under the options as they are}",
    source=f"{HO}, algorithm 2; {SONG}, eq. 12",
)
class AsConfigured:
    """The scheduler just as it was handed over, with its own options and list of steps, entry by entry."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        chain, scheduler = settled(bench), bench.given
        if scheduler.num_inference_steps is None and not getattr(scheduler, "custom_timesteps", False):
            scheduler = bench.copy()
            t = all_steps(chain.T)
            prev = t - 1
        else:
            t, prev = listed(scheduler)
        eta, final = 1.0 if bench.kind == "ddim" else None, final_of(scheduler, chain)
        proper = usable(chain, t, scheduler.config.prediction_type, eta, prev, final)
        if scheduler.config.get("variance_type", "fixed_small") not in ("fixed_small", "fixed_small_log"):
            proper &= (prev >= 0) | (t == 0)
        etas = (None,) if bench.kind == "ddpm" else (0.0, 1.0)
        for eta in etas:
            what = "as handed over" if eta is None else f"as handed over, eta={eta}"
            entry_by_entry(evidence, what, scheduler, chain, t[proper], prev[proper], final, eta)


@own(
    "options",
    judges="step",
    states=r"x_{\text{prev}} = \tilde\mu(x_t, \hat x_0) + \sigma z \quad\text{under all options}",
    source=f"{HO}, algorithm 2; {SONG}, eq. 12",
)
class Options:
    """All options beside each other, on new objects of the class and on copies of the object: each must be heeded."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        kinds = [kind for kind in VARIANCES if kind != "fixed_large_log"] if bench.kind == "ddpm" else [None]
        clips = [
            {"clip_sample": False, "thresholding": False},
            {"clip_sample": True, "clip_sample_range": 0.8, "thresholding": False},
            {"clip_sample": True, "thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 2.5},
        ]
        T = 40
        for k, (prediction, kind, clip) in enumerate(product(PREDICTIONS, kinds, clips)):
            choice = {"prediction_type": prediction, **clip} | ({} if kind is None else {"variance_type": kind})
            names = SCHEDULES[bench.kind]
            name, spacing = names[k % len(names)], SPACINGS[k % 3 if bench.kind == "ddpm" else 0]
            made = bench.built(
                num_train_timesteps=T,
                beta_schedule=name,
                trained_betas=None,
                rescale_betas_zero_snr=False,
                beta_start=1e-3,
                beta_end=0.3,
                timestep_spacing=spacing,
                steps_offset=0,
                **choice,
            )
            copied = bench.copy(
                betas=np.float32(named_betas(name, T, 1e-3, 0.3)), timestep_spacing=spacing, steps_offset=0, **choice
            )
            for how, scheduler in (("new", made), ("copy", copied)):
                if scheduler is None:
                    continue
                chain = Chain(named_betas(name, T, 1e-3, 0.3))
                said = ", ".join(f"{key}={value}" for key, value in choice.items())
                for n in (None, 8):
                    if n is None and bench.kind == "ddpm":
                        t = few_steps(T)
                        prev = t - 1
                    else:
                        bench.call("set_timesteps", scheduler.set_timesteps, n or T)
                        t, prev = listed(scheduler)
                        keep = (prev >= 0) | (t == 0) | (kind in (None, "fixed_small", "fixed_small_log"))
                        t, prev = t[keep], prev[keep]
                    what = f"{said}, beta_schedule={name}, timestep_spacing={spacing}, set_timesteps({n}), {how}"
                    eta, final = (
                        (None, 0.0, 0.4, 1.0)[0 if bench.kind == "ddpm" else 1 + k % 3],
                        final_of(scheduler, chain),
                    )
                    entry_by_entry(evidence, what, scheduler, chain, t, prev, final, eta, spread=1.3, asked=choice)


@own(
    "surface",
    judges="step scale_model_input set_timesteps",
    states=r"x_T \sim \mathcal{N}(0, I), \qquad x_t \text{ goes to the model unscaled}",
    source=f"{HO}, algorithm 2",
)
class Surface:
    """What surrounds the formulas: the noise to start from, inputs unscaled and left alone, both ways of returning."""

    @staticmethod
    def exact(claimed, case, evidence):
        import torch

        bench = claimed.diffusers.bench
        given = bench.given
        evidence.close("init_noise_sigma", float(given.init_noise_sigma), 1.0)
        evidence.close("len(scheduler)", len(given), bench.T)
        if given.num_inference_steps is None and not getattr(given, "custom_timesteps", False):
            same_steps(evidence, "timesteps before set_timesteps", given.timesteps.numpy(), np.arange(bench.T)[::-1])
        for T in (1000, 7):
            made = bench.built(num_train_timesteps=T, trained_betas=None)
            if made is not None:
                same_steps(
                    evidence,
                    f"timesteps of a new scheduler, num_train_timesteps={T}",
                    made.timesteps.numpy(),
                    np.arange(T)[::-1],
                )
                evidence.close("len of a new scheduler", len(made), T)
                evidence.close("init_noise_sigma of a new scheduler", float(made.init_noise_sigma), 1.0)
        documented = {**DOCUMENTED, **DOCUMENTED_BY_KIND[bench.kind]}
        for name in dict(given.config).get("_use_default_values", ()):
            if name in documented:
                evidence.true(
                    f"default of {name}, documented as {documented[name]}", bench.config[name] == documented[name]
                )
        evidence.close("order", float(getattr(given, "order", 1)), 1.0)
        scheduler = bench.copy(prediction_type="sample", thresholding=True)
        zero = torch.zeros(1, 2, 2, 2, dtype=torch.float16)
        found = scheduler.step(
            torch.cat([zero, zero + 0.5], 1) if learns(scheduler) else zero, 0, zero, return_dict=False
        )
        evidence.true("thresholding keeps float16", all(one.dtype == torch.float16 for one in found))
        evidence.refuses("set_timesteps refuses more steps than T", lambda: given.set_timesteps(bench.T + 1))
        if bench.kind == "ddim":
            fresh = bench.copy()
            fresh.num_inference_steps = None
            zero = torch.zeros(1, 1, 2, 2)
            evidence.refuses("step refuses to run before set_timesteps", lambda: fresh.step(zero, 1, zero))
        scheduler, probe = bench.copy(prediction_type="v_prediction"), Probe(seed=4)
        if bench.kind == "ddpm":
            scheduler = bench.copy(prediction_type="v_prediction", variance_type="fixed_small")
        chain, steps = settled(bench), few_steps(bench.T)
        for t in steps[usable(chain, steps, "epsilon")]:
            scaled = scheduler.scale_model_input(probe.sample.clone(), int(t)).double().numpy()
            compare(evidence, f"scale_model_input at t = {t}", scaled, probe.x, ROUNDING)
            kept = probe.sample.clone(), probe.output.clone()
            two = [
                scheduler.step(kept[1], int(t), kept[0], generator=torch.Generator().manual_seed(6), return_dict=named)
                for named in (True, False)
            ]
            compare(
                evidence, "step: prev_sample of return_dict", two[0].prev_sample.numpy(), two[1][0].numpy(), ROUNDING
            )
            compare(
                evidence,
                "step: pred_original_sample of return_dict",
                two[0].pred_original_sample.numpy(),
                two[1][1].numpy(),
                ROUNDING,
            )
            generator = torch.Generator().manual_seed(6)
            half = scheduler.step(kept[1].half(), int(t), kept[0].half(), generator=generator, return_dict=False)
            evidence.true(f"step keeps float16, t = {t}", all(one.dtype == torch.float16 for one in half))
            untouched = torch.equal(kept[0], probe.sample) and torch.equal(kept[1], probe.output)
            evidence.true(f"step leaves its arguments alone, t = {t}", untouched)
