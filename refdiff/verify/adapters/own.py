r"""What is claimed of a scheduler, one identity a claim: judged once, under all its options.

Steps are named as diffusers names them, t = 0..T - 1. Truth is in :mod:`refdiff.verify.adapters.truth`.
"""

import inspect
from itertools import product

import numpy as np

from refdiff.verify.adapters.bench import Probe, fit, inverse_of
from refdiff.verify.adapters.truth import (
    ROUNDING,
    Chain,
    ddim_law,
    ddpm_law,
    named_betas,
    shaken,
    spaced,
    variance,
    velocity,
    whole_step,
    zero_snr,
)
from refdiff.verify.identity import Identity

__all__ = ["OWN", "identities_of"]

OWN = {}
PREDICTIONS = ("epsilon", "sample", "v_prediction")
VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range")
SCHEDULES = {"ddpm": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")}
SCHEDULES["ddim"] = SCHEDULES["ddpm"][:3]
SPACINGS = ("leading", "linspace", "trailing")
COARSE = (0.3, 0.1, 0.5, 0.2, 0.4, 0.05, 0.6)  # few steps, large betas in no order: a wrong formula is wrong at once
DOCUMENTED = {  # what an option is where it was not given
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "prediction_type": "epsilon",
    "thresholding": False,
    "dynamic_thresholding_ratio": 0.995,
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
DOCUMENTED_BY_KIND = {"ddpm": {"variance_type": "fixed_small"}, "ddim": {"set_alpha_to_one": True}}
PLAIN = {"clip_sample": False, "thresholding": False}
TINY = 1e-43  # what float32 cannot tell apart
HO, SONG = "Ho, Jain & Abbeel (2020)", "Song, Meng & Ermon (2021)"


def own(key, *, judges, states, source, kinds=("ddpm", "ddim"), coincides=""):
    """Enter an identity that schedulers bring along; decorates a class with a static method `exact`."""

    def register(routes):
        fields = {
            "key": f"diffusers.{key}",
            "chapter": "diffusers",
            "states": states,
            "source": source,
            "judges": tuple(f"diffusers.{name}" for name in judges.split()),
            "coincides": coincides,
            "why": inspect.getdoc(routes),
            "exact": routes.exact,
            "monte_carlo": None,
            "statistics": 0,
            "once": True,
        }
        OWN[fields["key"]] = kinds, Identity(**fields)
        return routes

    return register


def identities_of(kind):
    """Return the identities for one kind of scheduler, "ddpm" or "ddim"."""
    return {key: one for key, (kinds, one) in OWN.items() if kind in kinds}


def compare(evidence, what, claimed, truth, allowed, at=None):
    """Record whether each entry is within what float32 allows it; the steps `at` run along the first axis.

    Recorded are the relative error and tolerance of the entry that is worst beside what it is allowed; the others are
    scaled to it.
    """
    claimed, truth = np.asarray(claimed, dtype=float), np.asarray(truth, dtype=float)
    allowed = np.maximum(np.broadcast_to(allowed, truth.shape), np.finfo(float).tiny)
    if not truth.size:
        return
    with np.errstate(invalid="ignore"):
        off = np.abs(claimed - truth) / allowed
    worst = np.argmax(np.where(np.isnan(off), np.inf, off))
    size = abs(truth.flat[worst])
    typical = float(allowed.flat[worst] / size) if np.isfinite(size) and size > 0 else ROUNDING
    evidence.close(what, claimed, truth, tolerance=typical, scale=allowed / typical, at=at)


def same_steps(evidence, what, found, right, at=None):
    """Record whether index arrays are equal, entry by entry."""
    found = np.asarray(found)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{what}: steps must be integers; got {found.dtype}")
    compare(evidence, what, found, right, 0.25, at=at)


def all_steps(T):
    """Return all steps where they are at most a thousand; else both ends and a thousand between."""
    if T <= 1000:
        return np.arange(T)
    return np.unique(np.concatenate([np.arange(20), np.linspace(0, T - 1, 1000).round().astype(int)]))


def few_steps(T):
    """Return the first three steps, the last two, and some between."""
    return np.unique(np.clip([0, 1, 2, 3, T // 7, T // 3, T // 2, 4 * T // 5, T - 2, T - 1], 0, T - 1))


def lucky(spacing, T, n):
    """Return whether a range of floats has the right length: where not, ``diffusers.number_of_steps`` has its say."""
    return spacing != "trailing" or len(np.arange(T, 0, -T / n)) == n


def listed(scheduler):
    """Return the steps of a scheduler's own list, each with the one that follows, -1 after the last."""
    steps = [int(t) for t in scheduler.timesteps]
    return np.array(steps), np.array([*steps[1:], -1])


def take_apart(evidence, what, scheduler, chain, t, prev, prediction, kind=None, eta=None, final=1.0, parts="mpso"):
    """Judge steps t -> prev by the weights of sample, model output and noise in what they return.

    Parts: the mean of x_prev (m), its noise (s), the predicted x_0 (p), and that there is nothing else (o).
    """
    if not len(t):
        return
    learned = kind in ("learned", "learned_range")
    probe = Probe(seed=len(t), learned=learned)
    inputs, shakes = chain.step(t, prev, final)
    if eta is None:
        law = ddpm_law(prediction, "fixed_small" if learned else kind)
    else:
        law = ddim_law(prediction, eta)
        inputs, shakes = (*inputs, 1.0), (*shakes, 6 * ROUNDING)
    truth, allowed = shaken(law, inputs, shakes)
    if learned:  # the noise of each entry has its own scale: what is measured is the share of it that is there
        truth[2] = 1.0
    if eta is None:
        truth[2] = np.where(t == 0, 0.0, truth[2])  # the last step returns the mean
    options = {} if eta is None else {"eta": eta}
    weights, over = np.zeros((5, len(t))), np.zeros((2, len(t)))
    of_two = inverse_of([probe.x, probe.m])
    of_three = None if learned else inverse_of([probe.x, probe.m, probe.z])
    for k, step in enumerate(t):
        x_prev, x_0 = probe.step(scheduler, step if k % 2 else int(step), **options)
        noise, fuzz = probe.z, 0.0
        if learned:
            one = [a[k] for a in inputs]  # a DDPM step: three inputs
            with np.errstate(divide="ignore", invalid="ignore"):
                std, fuzz = shaken(lambda *a: np.sqrt(variance(kind, *a, probe.share)), one, [s[k] for s in shakes])
            noise = np.where(std > 0, std, 1.0) * probe.z
            allowed[2, k] = np.max(fuzz / np.where(std > 0, std, 1.0))
            of_three = inverse_of([probe.x, probe.m, noise])
            allowed[:3, k] += np.abs(of_three) @ np.ravel(fuzz * np.abs(probe.z))  # an unsure noise looks like a mean
        weights[:3, k], over[0, k] = fit([probe.x, probe.m, noise], x_prev, of_three)
        weights[3:, k], over[1, k] = fit([probe.x, probe.m], x_0, of_two)
        if learned:
            over[0, k] = max(over[0, k] - np.max(fuzz * np.abs(probe.z)), 0.0)
    finite = np.isfinite(weights).all(axis=0)
    if not finite.all():
        compare(evidence, f"step: whether all that it returns are numbers, {what}", finite, np.ones(len(t)), 0.25, at=t)
        return
    allowed[:3] += ROUNDING * np.nanmax(np.abs(truth[:3]), axis=0)
    allowed[3:] += ROUNDING * np.nanmax(np.abs(truth[3:]), axis=0)
    names = (
        ("m", "weight of the sample in the mean"),
        ("m", "weight of the model output in the mean"),
        ("s", "standard deviation of the noise" if not learned else "noise over its learned standard deviation"),
        ("p", "weight of the sample in pred_original_sample"),
        ("p", "weight of the model output in pred_original_sample"),
    )
    for k, (part, name) in enumerate(names):
        if part in parts:
            compare(evidence, f"step: {name}, {what}", weights[k], truth[k], allowed[k], at=t)
    if "o" in parts:
        for k, (name, rows) in enumerate((("x_prev", slice(0, 3)), ("pred_original_sample", slice(3, 5)))):
            if "p" in parts or k == 0:
                size = 4 * np.nansum(np.abs(truth[rows]), axis=0)
                what_else = f"step: what is in {name} besides sample, output and noise, {what}"
                compare(evidence, what_else, over[k], np.zeros(len(t)), 20 * ROUNDING * size, at=t)


def entry_by_entry(
    evidence, what, scheduler, chain, t, prev, final=1.0, eta=None, spread=1.0, use_clipped=False, asked=None
):
    """Judge steps t -> prev by each entry that they return, under the options asked for, else those that it has."""
    if not len(t):
        return
    config = {**dict(scheduler.config), **(asked or {})}
    learned = config.get("variance_type") in ("learned", "learned_range") and eta is None
    probe = Probe(seed=3, spread=spread, learned=learned)
    options = {"eta": eta} if eta else {}  # 0 is the default: left to it here
    if use_clipped:
        options["use_clipped_model_output"] = True
    found = [probe.step(scheduler, int(one), **options) for one in t]
    inputs, shakes = chain.step(t, prev, final)
    along = (len(t), 1, 1, 1, 1)
    small = 2 * ROUNDING
    law = whole_step(config, eta, probe.share, use_clipped, noisy=np.reshape(np.asarray(t) > 0, along).astype(float))
    inputs = [np.reshape(a, along) for a in inputs] + [probe.x, probe.m, probe.z, 1.0]
    truth, allowed = shaken(law, inputs, [*(np.reshape(a, along) for a in shakes), small, small, small, 6 * ROUNDING])
    allowed = allowed + 4 * ROUNDING
    for k, name in enumerate(("prev_sample", "pred_original_sample")):
        compare(evidence, f"step: {name}, {what}", [one[k] for one in found], truth[k], allowed[k], at=t)


def learns(scheduler):
    """Return whether the model's output speaks of the variance too."""
    return scheduler.config.get("variance_type") in ("learned", "learned_range")


def known_chain(config):
    """Return the chain of a configuration, or None where its schedule has a name that is not published."""
    try:
        return Chain.of(config)
    except KeyError:
        return None


def settled(bench):
    """Return the chain that steps are judged by: the one the configuration names, or else the scheduler's own betas."""
    return known_chain(bench.config) or Chain(bench.given.betas.double().numpy())


def usable(chain, t, prediction, eta=None, prev=None, final=1.0):
    """Return whether each step t -> prev, the neighbour by default, is one that float32 can take.

    From pure noise, alpha_bar = 0, eps says nothing of x_0; below 1e-38 float32 loses digit after digit. With eta = 1
    next to nothing is kept of x_t where alpha_bar_t is small: see ``diffusers.ddim_from_pure_noise``.
    """
    (alpha_bar, before, alpha), _ = chain.step(t, t - 1 if prev is None else prev, final)
    held = (alpha_bar > 1e-36) | ((alpha_bar == 0) & (prediction != "epsilon"))
    return held & ((before == 1) | (alpha * (1 - before) > 64 * ROUNDING)) if eta == 1.0 else held


def final_of(scheduler, chain):
    """Return the alpha_bar to which the last step of this scheduler leads."""
    return 1.0 if scheduler.config.get("set_alpha_to_one", True) else float(chain.alpha_bar[0])


# The schedule


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


# The forward process


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


# The list of steps


def judge_list(evidence, bench, spacing, numbers):
    """Judge set_timesteps under one spacing: the steps exactly, two answers only where a fraction ends in 1/2."""
    for T, offset in ((bench.T, 0), (1000, 0), (1000, 1), (50, 0), (7, 0)):
        if offset and spacing != "leading":
            continue
        for n in numbers:
            if n > T or (offset and (n - 1) * (T // n) + offset >= T) or not lucky(spacing, T, n):
                continue
            made = [
                bench.copy(
                    betas=np.linspace(1e-4, 0.02, T) if T != bench.T else None,
                    timestep_spacing=spacing,
                    steps_offset=offset,
                )
            ]
            if n in (7, 10):
                built = bench.built(
                    num_train_timesteps=T, trained_betas=None, timestep_spacing=spacing, steps_offset=offset
                )
                made += [built] if built is not None else []
            for scheduler in made:
                bench.call("set_timesteps", scheduler.set_timesteps, n)
                allowed = spaced(spacing, T, n, offset)
                found = scheduler.timesteps.numpy()
                what = f"set_timesteps({n}), timestep_spacing={spacing}, steps_offset={offset}, num_train_timesteps={T}"
                if found.shape != (n,):
                    evidence.close(f"number of timesteps, {what}", found.size, n)
                    continue
                right = [int(one) if int(one) in ok else max(ok) for one, ok in zip(found, allowed)]
                same_steps(evidence, f"timesteps, {what}", found, right, at=range(n))
                evidence.close(f"num_inference_steps after {what}", float(scheduler.num_inference_steps), n)


@own(
    "timesteps_leading",
    judges="set_timesteps timesteps",
    states=r"\tau_i = i\,\lfloor T / n \rfloor + \text{offset}",
    source="Lin et al. (2024), table 2",
    coincides="Where n divides T, rounding does not matter.",
)
class TimestepsLeading:
    """Integer arithmetic, compared exactly, for numbers that divide T and numbers that do not."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(evidence, claimed.diffusers.bench, "leading", (1, 2, 3, 7, 10, 27, 50, 81, 243, 333, 600, 999, 1000))


@own(
    "timesteps_linspace",
    judges="set_timesteps timesteps",
    states=r"\tau_i = \operatorname{round}\left(\frac{i\,(T - 1)}{n - 1}\right)",
    source="Lin et al. (2024), table 2",
    coincides="With n = T all spacings are the same list.",
)
class TimestepsLinspace:
    """Fractions, compared exactly: one number, or two where it ends in exactly 1/2."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(
            evidence, claimed.diffusers.bench, "linspace", (1, 2, 3, 7, 10, 27, 50, 81, 243, 333, 600, 999, 1000)
        )


@own(
    "timesteps_trailing",
    judges="set_timesteps timesteps",
    states=r"\tau_i = \operatorname{round}\left(T - \frac{i\,T}{n}\right) - 1",
    source="Lin et al. (2024), table 2",
    coincides="With n = T all spacings are the same list.",
)
class TimestepsTrailing:
    """Fractions, compared exactly, for numbers of steps that are asked for every day."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(evidence, claimed.diffusers.bench, "trailing", (1, 2, 3, 7, 10, 25, 27, 50, 81, 243, 333, 600, 1000))


@own(
    "number_of_steps",
    judges="set_timesteps timesteps",
    states=r"|\{\tau_i\}| = n, \qquad T - 1 \ge \tau_n > \dots > \tau_1 \ge 0 \qquad\text{for each } n \le T",
    source="Lin et al. (2024), table 2",
    coincides="For most n a range of floats has the right length by luck.",
)
class NumberOfSteps:
    """Every n from 1 to T, under each spacing: as many steps as asked for, falling, all of them in 0..T - 1."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for spacing in SPACINGS:
            scheduler, numbers, found = bench.copy(timestep_spacing=spacing, steps_offset=0), all_steps(bench.T) + 1, []
            for n in numbers:
                bench.call("set_timesteps", scheduler.set_timesteps, int(n))
                steps = scheduler.timesteps.numpy()
                found.append((steps.size, steps.min() >= 0 and steps.max() < bench.T and (np.diff(steps) < 0).all()))
            sizes, proper = np.array([size for size, _ in found]), [bool(good) for _, good in found]
            first = np.argmin((sizes == numbers) & proper)
            what = f"set_timesteps(n), timestep_spacing={spacing}"
            if sizes[first] != numbers[first] or not proper[first]:
                what += f", first n = {numbers[first]}"
            compare(evidence, f"number of timesteps, {what}", sizes, numbers, 0.25)
            compare(evidence, f"timesteps fall and lie in 0..T - 1, {what}", proper, np.ones(len(numbers)), 0.25)


@own(
    "custom_timesteps",
    judges="set_timesteps timesteps",
    states=r"\tau = \text{the list given, falling}",
    source="definition",
    kinds=("ddpm",),
)
class CustomTimesteps:
    """A list of one's own comes back as it is; lists that rise, repeat or start too high are refused."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        T = bench.T
        for steps in custom_lists(T):
            scheduler = bench.copy(steps=steps)
            same_steps(evidence, f"timesteps, set_timesteps(timesteps={steps})", scheduler.timesteps.numpy(), steps)
        if T < 4:
            return
        n = min(10, T)
        scheduler = bench.copy(steps=[T - 1, 1], timestep_spacing="leading", steps_offset=0)
        bench.call("set_timesteps", scheduler.set_timesteps, n)
        right = [min(one) for one in spaced("leading", T, n)]
        same_steps(evidence, f"timesteps, set_timesteps({n}) after a list", scheduler.timesteps.numpy(), right)
        same_steps(
            evidence,
            f"previous_timestep after set_timesteps({n}) after a list",
            [int(scheduler.previous_timestep(t)) for t in right],
            [*right[1:], -1],
            right,
        )
        scheduler = bench.copy(steps=n)
        bench.call("set_timesteps", scheduler.set_timesteps, timesteps=[T - 1, 1])
        same_steps(evidence, "timesteps, a list after set_timesteps(n)", scheduler.timesteps.numpy(), [T - 1, 1])
        fresh = bench.copy()
        for bad, why in (
            ([1, T - 1], "rise"),
            ([1, 1, 0], "repeat"),
            ([T, 0], "start at T"),
            ([T - 1, 0, 0], "repeat at the end"),
        ):
            evidence.refuses(
                f"set_timesteps refuses lists that {why}", lambda bad=bad: fresh.set_timesteps(timesteps=bad)
            )
        evidence.refuses(
            "set_timesteps refuses a number beside a list", lambda: fresh.set_timesteps(n, timesteps=[T - 1, 0])
        )


def custom_lists(T):
    """Return lists of steps with gaps of all sizes, one of them not down to 0."""
    several = {T - 1, T - 2, 7 * T // 10, 4 * T // 10, T // 4, T // 30, 5, 1, 0}, {T - 1, 2 * T // 3, T // 2, 3}
    return [sorted(one & set(range(T)), reverse=True) for one in several]


def set_ups(bench):
    """Yield names and copies of a scheduler in each way of choosing its steps."""
    for spacing, n in product(SPACINGS, (1, 3, 10, 50, 1000)):
        if n <= bench.T and lucky(spacing, bench.T, n):
            yield (
                f"set_timesteps({n}), timestep_spacing={spacing}",
                bench.copy(steps=n, timestep_spacing=spacing, steps_offset=0),
            )
    for steps in custom_lists(bench.T):
        yield f"set_timesteps(timesteps={steps})", bench.copy(steps=steps)


@own(
    "previous_timestep",
    judges="previous_timestep",
    states=r"\operatorname{prev}(\tau_i) = \tau_{i-1}, \qquad \operatorname{prev}(\tau_1) = -1",
    source=f"{SONG}, section 4.2",
    kinds=("ddpm",),
    coincides="With leading spacing, t minus T // n is the list's next entry.",
)
class PreviousTimestep:
    """The next entry of the scheduler's own list, whatever its spacing; t - 1 where no list was asked for."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        fresh, steps = bench.copy(), np.arange(bench.T)
        before = [int(fresh.previous_timestep(int(t))) for t in steps]
        same_steps(evidence, "previous_timestep, no stride", before, steps - 1, at=steps)
        for what, scheduler in set_ups(bench):
            t, prev = listed(scheduler)
            found = [
                int(bench.call("previous_timestep", scheduler.previous_timestep, one)) for one in scheduler.timesteps
            ]
            same_steps(evidence, f"previous_timestep, {what}", found, prev, at=t)
            found = [int(bench.call("previous_timestep", scheduler.previous_timestep, int(one))) for one in t[:50]]
            same_steps(evidence, f"previous_timestep of an int, {what}", found, prev[:50], at=t[:50])


def judge_strides(evidence, bench, lists, **options):
    """Judge that a step leads to the next of the scheduler's own steps: mean, noise and predicted x_0."""
    chain = settled(bench)
    for steps in lists:
        scheduler = bench.copy(steps=steps, **PLAIN, **options)
        said = f"set_timesteps({steps if isinstance(steps, int) else f'timesteps={steps}'})"
        said += "".join(f", {name}={value}" for name, value in options.items())
        t, prev = listed(scheduler)
        for prediction, k in (("v_prediction", 0), ("epsilon", 1), ("sample", 2))[: 1 if len(t) > 500 else 3]:
            proper = usable(
                chain,
                t,
                prediction,
                (0.5, 0.0, 1.0)[k] if bench.kind == "ddim" else None,
                prev,
                final_of(scheduler, chain),
            )
            scheduler.register_to_config(prediction_type=prediction)
            what = f"{said}, prediction_type={prediction}"
            if bench.kind == "ddim":
                final = final_of(scheduler, chain)
                eta = (0.5, 0.0, 1.0)[k]
                take_apart(
                    evidence,
                    f"{what}, eta={eta}",
                    scheduler,
                    chain,
                    t[proper],
                    prev[proper],
                    prediction,
                    eta=eta,
                    final=final,
                )
                continue
            kind = ("fixed_small", "fixed_large", "learned_range")[k]
            if kind != "fixed_small":
                proper &= (prev >= 0) | (t == 0)  # how much noise such a last step may add is not agreed upon
            if proper.any():
                scheduler.variance_type = kind
                scheduler.register_to_config(variance_type=kind)
                take_apart(
                    evidence,
                    f"{what}, variance_type={kind}",
                    scheduler,
                    chain,
                    t[proper],
                    prev[proper],
                    prediction,
                    kind=kind,
                )


def stride(key, states, numbers, coincides, **options):
    """Enter the identity of one way of choosing the steps."""

    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        lists = [n for n in numbers if n <= bench.T] if numbers else custom_lists(bench.T)
        if options.get("timestep_spacing") == "trailing" and key == "stride_trailing":
            lists = [n for n in lists if bench.T % n == 0] or [1]
        if numbers:
            lists = [n for n in lists if lucky(options["timestep_spacing"], bench.T, n)]
        if options.get("steps_offset"):  # a stride of one would lead beyond T - 1, or end above clean data
            lists = [n for n in lists if bench.T // n > 1]
        judge_strides(evidence, bench, lists, **options)

    routes = type(key, (), {"exact": staticmethod(exact)})
    routes.__doc__ = (
        "To which step x_prev belongs shows in the weights of what step() returns: to the next entry of its own list."
    )
    kinds = ("ddpm", "ddim") if numbers else ("ddpm",)
    own(
        key,
        judges="step set_timesteps",
        states=states,
        source=f"{SONG}, eq. 12 and section 4.2",
        kinds=kinds,
        coincides=coincides,
    )(routes)


NEXT = r"x_{\tau_i} \mapsto x_{\tau_{i-1}}, \qquad \alpha = \bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}"
stride(
    "stride_leading", NEXT, (1, 3, 10, 50, 100), "t - T // n is right here.", timestep_spacing="leading", steps_offset=0
)
stride("stride_offset", NEXT, (3, 10, 50), "t - T // n is right here.", timestep_spacing="leading", steps_offset=1)
stride(
    "stride_trailing",
    NEXT,
    (1, 2, 10, 50, 1000),
    "Where n divides T, t - T // n is right.",
    timestep_spacing="trailing",
)
stride(
    "stride_trailing_uneven", NEXT, (3, 7, 60), "Where n divides T, t - T // n is right.", timestep_spacing="trailing"
)
stride("stride_linspace", NEXT, (3, 10, 50), "With n = T, t - T // n is right.", timestep_spacing="linspace")
stride("stride_custom", NEXT, None, "Nowhere but by luck.")


# The reverse step


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
