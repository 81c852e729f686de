r"""The reverse step: means, variances, noise, the last step, clipping, and DDIM.

What step() returns is fitted by sample, model output and known noise; where it clips, it is compared entry by entry.
"""

from itertools import product

import numpy as np

from refdiff.verify.adapters.diffusers.bench import Probe, fit
from refdiff.verify.adapters.diffusers.common import (
    COARSE,
    HO,
    PLAIN,
    PREDICTIONS,
    SONG,
    VARIANCES,
    all_steps,
    compare,
    entry_by_entry,
    few_steps,
    final_of,
    listed,
    own,
    settled,
    take_apart,
    usable,
)
from refdiff.verify.adapters.diffusers.timesteps import set_ups
from refdiff.verify.adapters.diffusers.truth import ROUNDING, Chain, ddpm_law, named_betas, zero_snr

__all__ = []  # claims are entered in OWN


def each_chain(bench):
    """Yield names, chains, steps and what to pass to bench.copy: the scheduler's own chain, all t, and a coarse one."""
    chain = settled(bench)
    yield "as handed over", chain, all_steps(chain.T), {}
    yield "coarse betas", Chain(np.float32(COARSE)), np.arange(len(COARSE)), {"betas": COARSE}


def judge_step(evidence, bench, kind="fixed_small", predictions=PREDICTIONS, parts="mspo"):
    """Judge DDPM steps without stride at all t."""
    for (name, chain, t, options), prediction in product(each_chain(bench), predictions):
        t = t[usable(chain, t, prediction)]
        scheduler = bench.copy(**options, **PLAIN, prediction_type=prediction, variance_type=kind)
        what = f"prediction_type={prediction}, variance_type={kind}, {name}"
        take_apart(evidence, what, scheduler, chain, t, t - 1, prediction, kind=kind, parts=parts)


@own(
    "posterior_mean",
    judges="step",
    states=r"\tilde\mu_t = \tilde\beta_t\left(\frac{\sqrt{\alpha_t}}{\beta_t}\,x_t"
    r" + \frac{\sqrt{\bar\alpha_{t-1}}}{1 - \bar\alpha_{t-1}}\,\hat x_0\right), \qquad"
    r" \frac{1}{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}",
    source=f"{HO}, eq. 7",
    kinds=("ddpm",),
    coincides="Late in a long chain the weight of x_0 is 1e-4 of that of x_t.",
)
class PosteriorMean:
    """What step() returns, fitted by sample, model output and known noise: the weights of the first two, at all t."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_step(evidence, claimed.diffusers.bench, parts="mo")


def judge_prediction(evidence, bench, prediction):
    """Judge the predicted x_0 at all t."""
    if bench.kind == "ddpm":
        judge_step(evidence, bench, predictions=(prediction,), parts="po")
        return
    for name, chain, t, options in each_chain(bench):
        t = t[usable(chain, t, prediction)]
        scheduler = bench.copy(**options, **PLAIN, prediction_type=prediction)
        what, final = f"prediction_type={prediction}, {name}", final_of(scheduler, chain)
        take_apart(evidence, what, scheduler, chain, t, t - 1, prediction, eta=0.0, final=final, parts="po")


@own(
    "x_0_from_epsilon",
    judges="step",
    states=r"\hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\,\hat\epsilon}{\sqrt{\bar\alpha_t}}",
    source=f"{HO}, eq. 15",
    coincides="At t = 0 of a long chain x_0 and x_t agree to a part in a hundred.",
)
class X0FromEpsilon:
    """Two equations, x_t and what was predicted, solved for x_0; both weights at all t."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_prediction(evidence, claimed.diffusers.bench, "epsilon")


@own(
    "x_0_from_sample",
    judges="step",
    states=r"\hat x_0 = \text{the model's output}",
    source="definition",
)
class X0FromSample:
    """The model's output comes back, with nothing of x_t in it."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_prediction(evidence, claimed.diffusers.bench, "sample")


@own(
    "x_0_from_v_prediction",
    judges="step",
    states=r"\hat x_0 = \sqrt{\bar\alpha_t}\,x_t - \sqrt{1 - \bar\alpha_t}\,\hat v",
    source="Salimans & Ho (2022), appendix D",
)
class X0FromV:
    """Two equations, x_t and what was predicted, solved for x_0; both weights at all t."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_prediction(evidence, claimed.diffusers.bench, "v_prediction")


def fixed(kind, states, source, coincides):
    """Enter the identity of one choice of the variance."""

    def exact(claimed, case, evidence):
        parts = "so" if kind.endswith("small") else "mspo"
        judge_step(evidence, claimed.diffusers.bench, kind, ("v_prediction",), parts)
        bench = claimed.diffusers.bench
        chain = Chain(np.float32(COARSE))
        for prediction in PREDICTIONS:  # the choice of variance must not change what the output is taken for
            scheduler = bench.copy(betas=COARSE, **PLAIN, prediction_type=prediction, variance_type=kind)
            t = np.arange(len(COARSE))
            take_apart(
                evidence,
                f"prediction_type={prediction}, variance_type={kind}",
                scheduler,
                chain,
                t,
                t - 1,
                prediction,
                kind=kind,
            )

    routes = type(
        kind,
        (),
        {
            "exact": staticmethod(exact),
            "__doc__": (
                "The noise of a seeded generator is known: its weight in what step() returns is the standard deviation."
            ),
        },
    )
    own(f"variance_{kind}", judges="step", states=states, source=source, kinds=("ddpm",), coincides=coincides)(routes)


SMALL = r"\sigma_t^2 = \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\,\beta_t, \qquad \sigma_1 = 0"
LARGE = r"\sigma_t^2 = \beta_t \quad (t > 1), \qquad \sigma_1 = 0"
ALIKE = "beta_t and beta_tilde_t differ by 8e-7 of themselves at the end of linear-1000."
fixed("fixed_small", SMALL, f"{HO}, section 3.2", ALIKE)
fixed("fixed_small_log", SMALL, "Janner et al. (2022), code: the same variance by its logarithm", ALIKE)
fixed("fixed_large", LARGE, f"{HO}, section 3.2", ALIKE)
fixed("fixed_large_log", LARGE, "Nichol et al. (2021), GLIDE: the same variance by its logarithm", ALIKE)
fixed(
    "learned", r"\sigma_t^2 = v", "definition: the model's second output is the variance", "Where v = 1 so is its root."
)
fixed(
    "learned_range",
    r"\log\sigma_t^2 = \tfrac{v + 1}{2} \log\beta_t + \tfrac{1 - v}{2} \log\tilde\beta_t",
    "Nichol & Dhariwal (2021), eq. 15",
    "Late in a long chain both ends of the range are the same.",
)


@own(
    "last_step",
    judges="step",
    states=r"x_{\text{prev}} = \hat x_0 \qquad\text{at the last step of the list}",
    source=f"{HO}, algorithm 2",
    kinds=("ddpm",),
    coincides="With linear betas the noise of the first step is a hundredth: it is lost beside anything but itself.",
)
class LastStep:
    """At the end of each list what is returned is the predicted x_0 and nothing else, whatever the generator holds."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for kind, prediction in product(VARIANCES, PREDICTIONS):
            scheduler = bench.copy(variance_type=kind, prediction_type=prediction, **PLAIN)
            probe = Probe(seed=1, learned=kind.startswith("learned"))
            x_prev, x_0 = probe.step(scheduler, 0)
            what = f"step at t = 0: x_prev is x_0, variance_type={kind}, prediction_type={prediction}"
            compare(evidence, what, x_prev, x_0, 8 * ROUNDING * (np.abs(x_0) + 1))
        for what, scheduler in set_ups(bench):
            scheduler.variance_type = "fixed_small"
            scheduler.register_to_config(variance_type="fixed_small", prediction_type="sample", **PLAIN)
            t = scheduler.timesteps[-1]
            x_prev, x_0 = Probe(seed=2).step(scheduler, t)
            compare(
                evidence,
                f"step at t = {int(t)}, the last: x_prev is x_0, {what}",
                x_prev,
                x_0,
                8 * ROUNDING * (np.abs(x_0) + 1),
            )
            # with other variances a last step from t > 0 adds its noise or none: practice differs, but nothing between
            for kind in ("fixed_large", "learned_range") if t > 0 else ():
                scheduler.variance_type = kind
                scheduler.register_to_config(variance_type=kind)
                probe = Probe(seed=2, learned=kind == "learned_range")
                x_prev, x_0 = probe.step(scheduler, t)
                (of_z,), rest = fit([probe.z], x_prev - x_0)
                std = np.sqrt(1 - settled(bench).alpha_bar[int(t)])
                said = f"step at t = {int(t)}, the last: noise, variance_type={kind}, {what}"
                if kind == "fixed_large":
                    right = std if of_z > std / 2 else 0.0
                    compare(evidence, said, [of_z, rest], [right, 0.0], 1e-3 * std + 64 * ROUNDING, at=None)
                else:
                    evidence.true(
                        f"{said}, at most sqrt(beta)",
                        bool((np.abs(x_prev - x_0) <= 1.001 * std * np.abs(probe.z) + 1e-5).all()),
                    )


@own(
    "noise",
    judges="step",
    states=r"z \sim \mathcal{N}(0, I), \text{ fresh for each entry and each step}",
    source=f"{HO}, algorithm 2",
    coincides="With t fixed and one generator, noise made once and kept looks right.",
)
class Noise:
    """Of a generator, what it gives next; without one, the global state; one sample after the other from a list."""

    @staticmethod
    def exact(claimed, case, evidence):
        import torch

        bench = claimed.diffusers.bench
        options = {"eta": 1.0} if bench.kind == "ddim" else {}
        kinds = ("fixed_small", "fixed_large") if bench.kind == "ddpm" else (None,)
        for kind in kinds:
            choice = {} if kind is None else {"variance_type": kind}
            scheduler = bench.copy(betas=COARSE, prediction_type="sample", **PLAIN, **choice)
            chain, t = Chain(np.float32(COARSE)), np.array([2])
            inputs, _ = chain.step(t, t - 1)
            std = float(ddpm_law("sample", kind or "fixed_small")(*inputs)[2][0])
            zero = torch.zeros(3, 2, 5, 7)

            def drawn(generator, zero=zero, scheduler=scheduler, std=std):
                found = scheduler.step(zero.clone(), 2, zero.clone(), generator=generator, return_dict=False, **options)
                return found[0].double().numpy() / std

            said = "" if kind is None else f", variance_type={kind}"
            allowed = 64 * ROUNDING
            for seed in (0, 41):
                generator, other = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
                for what in ("first", "second"):
                    right = torch.randn(zero.shape, generator=other).double().numpy()
                    compare(
                        evidence, f"step: noise, {what} draw of a generator{said}", drawn(generator), right, allowed
                    )
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(5)
                kept = torch.random.get_rng_state()
                drawn(torch.Generator().manual_seed(3))
                evidence.true(
                    f"a generator given leaves the global one alone{said}",
                    torch.equal(kept, torch.random.get_rng_state()),
                )
                right = torch.randn(zero.shape).double().numpy()
                torch.manual_seed(5)
                compare(evidence, f"step: noise without a generator{said}", drawn(None), right, allowed)
            several = [torch.Generator().manual_seed(k) for k in (7, 8, 9)]
            right = [torch.randn(zero.shape[1:], generator=torch.Generator().manual_seed(k)).numpy() for k in (7, 8, 9)]
            compare(evidence, f"step: noise of a list of generators{said}", drawn(several), right, allowed)
            if bench.kind == "ddim":
                z = torch.randn(zero.shape, generator=torch.Generator().manual_seed(1))
                found = scheduler.step(
                    zero.clone(), 2, zero.clone(), eta=1.0, variance_noise=z.clone(), return_dict=False
                )
                compare(evidence, "step: variance_noise", found[0].double().numpy() / std, z.double().numpy(), allowed)
                evidence.refuses(
                    "step refuses variance_noise beside a generator",
                    lambda scheduler=scheduler, zero=zero, z=z: scheduler.step(
                        zero, 2, zero, eta=1.0, variance_noise=z, generator=torch.Generator()
                    ),
                )


def judge_clipped(evidence, bench, spread, choices, strided=True):
    """Judge steps entry by entry, with predictions in and out of range."""
    for (name, chain, t, arrays), prediction, choice in product(each_chain(bench), PREDICTIONS, choices):
        t = few_steps(chain.T)
        t = t[usable(chain, t, prediction, 1.0 if bench.kind == "ddim" else None, final=0.999)]
        what = ", ".join(f"{key}={value}" for key, value in choice.items())
        scheduler = bench.copy(
            **arrays,
            prediction_type=prediction,
            **choice,
            **({"variance_type": "fixed_small"} if bench.kind == "ddpm" else {}),
        )
        what = f"prediction_type={prediction}, {what}, {name}"
        if bench.kind == "ddpm":
            entry_by_entry(evidence, what, scheduler, chain, t, t - 1, spread=spread, asked=choice)
            continue
        for eta, again in ((0.0, False), (0.7, True), (1.0, False)):
            said = f"{what}, eta={eta}, use_clipped_model_output={again}"
            final = final_of(scheduler, chain)
            entry_by_entry(evidence, said, scheduler, chain, t, t - 1, final, eta, spread, again)


@own(
    "clipping",
    judges="step",
    states=r"\hat x_0 \leftarrow \min(\max(\hat x_0, -r), r), \qquad x_{\text{prev}} \text{ from the clipped}",
    source=f"{HO}, code: the prediction of x_0 is clipped before the mean is taken",
    coincides="Where all predictions lie in range.",
)
class Clipping:
    """Predictions on both sides of the range, entry by entry, for three ranges; none clipped where none should be."""

    @staticmethod
    def exact(claimed, case, evidence):
        off = {"thresholding": False}
        choices = [{"clip_sample": True, "clip_sample_range": r, **off} for r in (1.0, 0.5, 2.0)]
        judge_clipped(
            evidence, claimed.diffusers.bench, 1.5, [*choices, {"clip_sample": False, "clip_sample_range": 0.5, **off}]
        )


@own(
    "thresholding",
    judges="step",
    states=r"\hat x_0 \leftarrow \frac{\min(\max(\hat x_0, -s), s)}{s}, \qquad"
    r" s = \min(\max(\text{quantile of } |\hat x_0|, 1), s_{\max})",
    source="Saharia et al. (2022), section 2.3",
    coincides="With sample_max_value = 1, the default, it is clipping to [-1, 1].",
)
class Thresholding:
    """The quantile by sorting, sample by sample, below 1, between, and above the largest value allowed."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for spread, ratio, top in ((1.5, 0.9, 3.0), (0.3, 0.9, 3.0), (4.0, 0.995, 2.0), (1.5, 0.6, 1.0)):
            choice = {
                "thresholding": True,
                "dynamic_thresholding_ratio": ratio,
                "sample_max_value": top,
                "clip_sample": spread < 2,  # which must make no difference
                "clip_sample_range": 0.25,
            }
            judge_clipped(evidence, bench, spread, [choice])


@own(
    "ddim_step",
    judges="step",
    states=r"x_{\text{prev}} = \sqrt{\bar\alpha_{\text{prev}}}\,\hat x_0"
    r" + \sqrt{1 - \bar\alpha_{\text{prev}} - \sigma^2}\,\hat\epsilon + \sigma z, \qquad"
    r" \sigma = \eta \sqrt{\tilde\beta}",
    source=f"{SONG}, eq. 12 and 16",
    kinds=("ddim",),
    coincides="With eta = 0 nothing is seen of sigma; with eta = 1 sigma and sigma squared times eta agree.",
)
class DdimStep:
    """Weights at all t for eta = 0, 1/2 and 1, with sigma from adding precisions; the marginal is kept for each eta."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for (name, chain, t, options), prediction, eta in product(each_chain(bench), PREDICTIONS, (0.0, 0.5, 1.0)):
            if eta != 0.5 and prediction != "epsilon" and len(t) > len(COARSE):
                continue  # every eta for eps, every prediction for one eta; all of them on the coarse chain
            scheduler = bench.copy(**options, **PLAIN, prediction_type=prediction)
            what, final = f"prediction_type={prediction}, eta={eta}, {name}", final_of(scheduler, chain)
            t = t[usable(chain, t, prediction, eta, final=final)]
            take_apart(evidence, what, scheduler, chain, t, t - 1, prediction, eta=eta, final=final, parts="mso")


@own(
    "ddim_from_pure_noise",
    judges="step",
    states=r"x_{\text{prev}} = \sqrt{\bar\alpha_{\text{prev}}}\,\hat x_0 + \sqrt{1 - \bar\alpha_{\text{prev}}}\,z"
    r" \qquad\text{where } \bar\alpha_t = 0,\ \eta = 1",
    source=f"{SONG}, eq. 12 and 16; Lin et al. (2024), algorithm 1",
    kinds=("ddim",),
    coincides="Where rounding leaves 1 - alpha_bar_prev - sigma^2 at or above 0.",
)
class DdimFromPureNoise:
    """The first step of a chain with zero terminal SNR, for strides of all sizes: its noise is fresh and finite."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for name in ("linear", "scaled_linear"):
            betas = np.float32(zero_snr(named_betas(name, 1000, 1e-4, 0.02)))
            betas[-1] = 1.0
            for n, prediction in product((2, 5, 10, 20, 25, 50, 100, 200, 500), ("v_prediction", "sample")):
                choice = {"prediction_type": prediction, "timestep_spacing": "trailing"}
                scheduler = bench.copy(betas=betas, steps=n, **PLAIN, **choice)
                t, prev = listed(scheduler)
                what = f"{name} with zero terminal SNR, set_timesteps({n}), prediction_type={prediction}, eta=1"
                chain = Chain(named_betas(name, 1000, 1e-4, 0.02), rescaled=True)
                take_apart(evidence, what, scheduler, chain, t[:1], prev[:1], prediction, eta=1.0)
