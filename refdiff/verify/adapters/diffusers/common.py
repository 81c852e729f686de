r"""What all claims about a scheduler share: how one is entered, what options there are, how a step is taken apart.

Each identity is judged once, under all options. Steps are named as diffusers names them, t = 0..T - 1. Truth is in
:mod:`refdiff.verify.adapters.diffusers.truth`.
"""

import inspect

import numpy as np

from refdiff.verify.adapters.diffusers.bench import Probe, fit, inverse_of
from refdiff.verify.adapters.diffusers.truth import ROUNDING, Chain, ddim_law, ddpm_law, shaken, variance, whole_step
from refdiff.verify.identity import Identity

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
