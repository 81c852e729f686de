r"""How one value may be read as another: the fixed, named maps between the forms in which formulas come.

Each map is one of these and has no parameter that could be fitted, so that it cannot excuse an error: it says which
one it is. The maps take our value to the form of theirs, where sign and domain can still be seen.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from refdiff.schedule import Schedule

__all__ = ["KINDS", "Pair", "Reparametrisation", "Unlike", "readings"]

# What the value of each formula is, which says how it may be rewritten.
_KINDS = {
    "law": {  # an object with mean and var
        "forward": ("transition", "jump", "marginal"),
        "bayes": ("posterior", "posterior_from_eps", "posterior_from_precisions", "smoothing"),
        "reverse": ("transition", "ddim_transition"),
        "gaussian": ("linear_combination", "from_natural"),
        "likelihood": ("linear_marginal",),
    },
    "mixture": {"mixture.GaussianMixture": ("posterior_x_0", "reverse_kernel")},
    "points": {
        "forward": ("diffuse",),
        "parameterize": (
            *("x_0_from_eps", "x_0_from_v", "x_0_from_score", "x_0_from_mean", "eps_from_x_0", "eps_from_v"),
            *("eps_from_score", "eps_from_mean", "v_from_x_0", "v_from_eps", "score_from_x_0", "score_from_eps"),
            *("mean_from_x_0", "mean_from_eps"),
        ),
        "reverse": ("dpmpp_2m_step", "heun_step"),
        "mixture.GaussianMixture": ("score",),
    },
    "loss": {  # in nats; the sign is a convention, and so is whether coordinates are summed
        "gaussian.Gaussian": ("log_density",),
        "gaussian.FullGaussian": ("log_density",),
        "mixture.GaussianMixture": ("log_density",),
        "elbo": (
            *("prior_term", "denoising_term", "consistency_term", "consistency_term_integrated", "consistency_prior"),
            *("reconstruction_term", "discretized_log_likelihood"),
        ),
        "likelihood": ("linear_log_density",),
    },
    "bound": {  # in its parts
        "elbo": ("undecomposed_on_chain", "consistency_on_chain", "denoising_on_chain", "denoising_kl_on_chain"),
        "likelihood": ("linear_bound", "linear_consistency_bound"),
    },
    "divergence": {  # in nats, and entropies; the sign is no convention
        "gaussian": ("kl", "kl_equal_var", "full_kl", "cross_entropy"),
        "gaussian.Gaussian": ("entropy",),
        "gaussian.FullGaussian": ("entropy",),
        "likelihood": ("linear_gap",),
    },
    "nats": {
        "bayes": ("log_c_1", "log_c_2"),
        "elbo": ("kl_constant", "consistency_constant"),
        "likelihood": ("log_mean_weight", "importance_weighted_bound", "reverse_entropy_bounds"),
    },
    "variance": {
        "schedule": ("beta", "beta_tilde", "one_minus_alpha_bar"),
        "reverse": ("var", "interpolated_var", "optimal_var", "decoder_var", "ddim_var"),
    },
    "power": {"schedule": ("alpha", "alpha_bar")},
    "rate": {"schedule": ("signal_rate", "noise_rate")},
    "snr": {"schedule": ("snr",)},
    "log-snr": {"schedule": ("log_snr",)},
    "log-power": {"schedule": ("log_alpha_bar",)},
    "schedule": {
        "schedule.Schedule": (
            *("from_betas", "linear", "scaled_linear", "cosine", "sigmoid", "constant", "reciprocal", "vp"),
            *("respace", "zero_terminal_snr"),
        ),
    },
    "number": {  # in one form only
        "forward": ("covariance",),
        "bayes": ("quadratic_constant",),
        "gaussian": ("bits", "product"),
        "gaussian.FullGaussian": ("condition",),
        "elbo": (
            *("weight", "weight_x_0", "weight_v", "weight_mean", "weight_from_snr"),
            *("min_snr_weight", "min_snr_weight_x_0", "min_snr_weight_v", "loss_aware_probability"),
        ),
        "likelihood": ("effective_sample_size",),
    },
}
KINDS = {
    f"{place}.{name}": kind for kind, places in _KINDS.items() for place, names in places.items() for name in names
}


class Unlike(Exception):
    """Raised where a value has not the form that a reading expects."""


@dataclass(frozen=True)
class Reparametrisation:
    """One or more named maps that make two formulas the same.

    Attributes
    ----------
    name : str
        In words, "theirs for ours": "standard deviation for variance".
    formula : str
        In LaTeX.
    cost : int
        How far it is fetched: mostly the number of its maps; 0 for none.
    """

    name: str = ""
    formula: str = ""
    cost: int = 0

    def __str__(self):
        return self.name

    def __bool__(self):
        return self.cost > 0

    def __add__(self, other):
        if not (self and other):
            return self or other
        formula = rf"{self.formula}, \quad {other.formula}"
        return Reparametrisation(f"{self.name}; {other.name}", formula, self.cost + other.cost)


NONE = Reparametrisation()


def named(name, formula, cost=1):
    """Return a reparametrisation of one map."""
    return Reparametrisation(name, formula, cost)


@dataclass(frozen=True)
class Pair:
    """Two arrays that should be equal: ours, brought into the form of theirs, and theirs.

    `t` holds the step of each entry of the first axis, where there is one a step. `back` takes theirs to our form.
    """

    part: str
    ours: np.ndarray
    theirs: np.ndarray
    t: np.ndarray | None = None
    back: object = None


LAW = (
    (NONE, lambda v: v, lambda v: v),
    (named("standard deviation for variance", r"\sigma = \sqrt{\sigma^2}"), np.sqrt, np.square),
    (named("log-variance for variance", r"\ell = \log\sigma^2"), np.log, np.exp),
    (
        named("half log-variance (log standard deviation) for variance", r"\ell = \tfrac12\log\sigma^2"),
        lambda v: np.log(v) / 2,
        lambda v: np.exp(2 * v),
    ),
    (named("precision for variance", r"\lambda = 1 / \sigma^2"), lambda v: 1 / v, lambda v: 1 / v),
)
ARRAYS = {
    "variance": LAW,
    "power": (
        LAW[0],
        (named("rate of the amplitude for that of the power", r"\sqrt{\bar\alpha_t}"), np.sqrt, np.square),
        (named("its logarithm", r"\log\bar\alpha_t"), np.log, np.exp),
    ),
    "log-power": (
        LAW[0],
        (named("not its logarithm", r"\bar\alpha_t"), np.exp, np.log),
    ),
    "rate": (
        LAW[0],
        (named("rate of the power for that of the amplitude", r"r^2"), np.square, np.sqrt),
    ),
    "snr": (
        LAW[0],
        (named("log-SNR for SNR", r"\lambda = \log\mathrm{SNR}"), np.log, np.exp),
        (
            named("half log-SNR for SNR", r"\lambda = \tfrac12\log\mathrm{SNR}"),
            lambda v: np.log(v) / 2,
            lambda v: np.exp(2 * v),
        ),
        (named("ratio of the amplitudes for SNR", r"\sqrt{\mathrm{SNR}} = \alpha / \sigma"), np.sqrt, np.square),
        (
            named("noise level for SNR", r"\mathrm{SNR}^{-1/2} = \sigma / \alpha"),
            lambda v: 1 / np.sqrt(v),
            lambda v: v**-2.0,
        ),
        (named("gamma for SNR", r"\gamma = -\log\mathrm{SNR}"), lambda v: -np.log(v), lambda v: np.exp(-v)),
    ),
    "log-snr": (
        LAW[0],
        (named("half of it", r"\tfrac12\log\mathrm{SNR} = \log(\alpha / \sigma)"), lambda v: v / 2, lambda v: 2 * v),
        (named("SNR for log-SNR", r"\mathrm{SNR}"), np.exp, np.log),
        (named("gamma for log-SNR", r"\gamma = -\log\mathrm{SNR}"), lambda v: -v, lambda v: -v),
    ),
}
SIGN = named("opposite sign", r"\log p \text{ for } -\log p")
BITS = named("bits for nats", r"1\ \text{bit} = \ln 2\ \text{nats}")
AVERAGE = named("mean over the coordinates for their sum", r"\tfrac1d \sum_i \text{ for } \sum_i")
UNSUMMED = named("one value a coordinate, not summed", r"\sum_i")
WITHOUT_ZERO = named("array of t = 1..T, counted from 0", r"a[t - 1] = a_t")
FROM_NATS = {"loss": (SIGN, BITS, AVERAGE), "divergence": (BITS, AVERAGE), "nats": (BITS,)}


def readings(kind, ours, theirs, table):
    """Yield all readings of theirs as ours, as (Reparametrisation, function of ours that returns pairs).

    The simplest come first. A reading whose form does not fit is left out; `ours` decides on what forms there are.
    """
    makers = {"law": _laws, "schedule": _schedules, "mixture": _mixtures, "bound": _bounds}
    if kind in makers:
        yield from makers[kind](theirs, table)
    elif kind in ("loss", "divergence", "nats"):
        yield from _nats(kind, theirs, table)
    elif kind in ARRAYS:
        yield from _arrays(kind, ours, theirs, table)
    else:
        yield NONE, lambda value: _alike("value", value, theirs, table.t)


def _number(value, what="value"):
    """Return something as an array of floats, also what only claims to be one."""
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except Exception as error:
        raise Unlike(f"{what} is no array: {error}") from None
    if array.dtype.kind not in "fiu":
        raise Unlike(f"{what} is no array of real numbers but {type(value).__name__}")
    return array.astype(float)


def _beside(array, like, part):
    """Return an array of theirs in the shape of ours."""
    array = _number(array, part)
    if array.shape != like.shape:
        raise Unlike(f"{part} has shape {array.shape} where {like.shape} is right")
    return array


def _alike(part, ours, theirs, t=None):
    """Pair two values of one structure, whatever that is."""
    if isinstance(ours, tuple):
        if not isinstance(theirs, tuple | list) or len(theirs) != len(ours):
            raise Unlike(f"{part} is no tuple of {len(ours)}")
        return [pair for k, (a, b) in enumerate(zip(ours, theirs)) for pair in _alike(f"entry {k}", a, b, t)]
    names = [name for name in ("mean", "cov", "var") if hasattr(ours, name) and not isinstance(ours, np.ndarray)]
    if names:
        for name in names:
            if not hasattr(theirs, name) or callable(getattr(theirs, name)):
                raise Unlike(f"{part} is {type(theirs).__name__}, which has no {' and '.join(names)}")
        return [p for name in names for p in _alike(name, getattr(ours, name), getattr(theirs, name), t)]
    ours = np.asarray(ours, dtype=float)
    return [Pair(part, ours, _beside(theirs, ours, part), t)]


SECOND = {
    "var": 0, "variance": 0, "std": 1, "stddev": 1, "sigma": 1, "log_var": 2, "logvar": 2, "log_variance": 2,
    "log_std": 3, "precision": 4,
}  # fmt: skip


def _parts_of_law(theirs):
    """Return (Reparametrisation of the container, mean, second parameter, place of its map in LAW or None)."""
    if isinstance(theirs, dict):
        names = [name for name in SECOND if name in theirs]
        if "mean" not in theirs or not names:
            raise Unlike(f"value is a dict of {', '.join(map(str, theirs))}, not of mean and var")
        key = names[0]
        return named("a dict for a law", rf"(\mu, \text{{{key}}})"), theirs["mean"], theirs[key], SECOND[key]
    if hasattr(theirs, "mean") and not callable(theirs.mean):
        for name, place in SECOND.items():
            if hasattr(theirs, name) and not callable(getattr(theirs, name)):
                return NONE, theirs.mean, getattr(theirs, name), None if name == "var" else place
        raise Unlike(f"value is {type(theirs).__name__}, which has a mean but no var")
    if isinstance(theirs, tuple | list) and len(theirs) in (2, 3):
        return named("a tuple for a law", r"(\mu, \sigma^2)"), theirs[0], theirs[1], None
    raise Unlike(f"value is {type(theirs).__name__}, not a law with mean and var")


def _laws(theirs, table):
    """Yield the readings of a law: an object, a dict or a tuple, its second parameter a variance or what follows."""
    t = table.t
    try:
        container, mean, second, place = _parts_of_law(theirs)
    except Unlike as why:
        try:
            array = _number(theirs)
        except Unlike:
            raise why from None
        yield from _halves_of_law(array, t)
        return
    third = theirs[2] if isinstance(theirs, tuple | list) and len(theirs) == 3 else None
    for k, (what, there, back) in enumerate(LAW):
        if place is not None and place != k:
            continue

        def pairs(ours, there=there, back=back, k=k):
            found = [Pair("mean", ours.mean, _beside(mean, ours.mean, "mean"), t)]
            like = there(np.asarray(ours.var))
            name = ("var", "std", "log var", "log std", "precision")[k]
            found.append(Pair(name, like, _spread(second, like, name), t, back))
            if third is not None:
                logs = np.log(np.asarray(ours.var))
                found.append(Pair("log var", logs, _spread(third, logs, "log var"), t, np.exp))
            return found

        what = what if k == 0 or place is None else NONE
        if container.name.startswith("a tuple"):
            symbol = (r"\sigma^2", r"\sigma", r"\log\sigma^2", r"\log\sigma", r"\sigma^{-2}")[k]
            symbols = rf"{symbol}, \log\sigma^2" if third is not None else symbol
            yield named("a tuple for a law", rf"(\mu, {symbols})") + what, pairs
        else:
            yield container + what, pairs


def _halves_of_law(array, t):
    """Yield the readings of an array as one half of a law, of which the other is not claimed."""
    yield (
        named("the mean of the law, without its variance", r"\mu \text{ for } (\mu, \sigma^2)"),
        lambda ours: [Pair("mean", ours.mean, _beside(array, ours.mean, "mean"), t)],
    )
    alone = named("the variance of the law, without its mean", r"\sigma^2 \text{ for } (\mu, \sigma^2)")
    for what, there, back in LAW:

        def pairs(ours, there=there, back=back, name=what.name or "var"):
            like = there(np.asarray(ours.var))
            return [Pair(name, like, _spread(array, like, name), t, back)]

        yield alone + what, pairs


def _spread(array, like, part):
    """Return a variance of theirs in the shape of ours: one number, one per row, or one per coordinate."""
    array = _number(array, part)
    if array.shape == like.shape[:-1] and array.ndim:
        array = array[..., None]
    try:
        return np.broadcast_to(array, like.shape)
    except ValueError:
        raise Unlike(f"{part} has shape {array.shape}, which does not fit {like.shape}") from None


def _schedules(theirs, table):
    """Yield the readings of a schedule: an object with its arrays, or one of its arrays."""
    names = [name for name in Schedule.__dataclass_fields__ if hasattr(theirs, name)]
    if names:

        def all_arrays(ours):
            steps = np.arange(ours.T + 1)
            return [
                Pair(name, getattr(ours, name), _beside(getattr(theirs, name), getattr(ours, name), name), steps)
                for name in names
            ]

        yield NONE, all_arrays
        return
    array = _number(theirs)
    for name, symbol in (("beta", r"\beta"), ("alpha_bar", r"\bar\alpha"), ("alpha", r"\alpha")):
        for first in (1, 0):

            def pairs(ours, name=name, first=first):
                like = getattr(ours, name)[first:]
                return [Pair(name, like, _beside(array, like, name), np.arange(first, ours.T + 1))]

            yield (
                named(
                    f"an array of {name}, t = {first}..T, for a schedule", rf"({symbol}_{first}, \ldots, {symbol}_T)"
                ),
                pairs,
            )


def _mixtures(theirs, table):
    """Yield the readings of a mixture: an object or a tuple with weights, means and variances."""
    names = ("weights", "means", "variances")
    if isinstance(theirs, tuple | list) and len(theirs) == 3:
        parts, what = theirs, named("a tuple for a mixture", r"(w, m, v)")
    elif all(hasattr(theirs, name) for name in names):
        parts, what = [getattr(theirs, name) for name in names], NONE
    else:
        raise Unlike(f"value is {type(theirs).__name__}, not a mixture with weights, means and variances")

    def pairs(ours):
        t = table.t if np.ndim(ours.weights) > 1 else None
        like = [np.asarray(getattr(ours, name)) for name in names]
        return [
            Pair(name, a, _spread(b, a, name) if name == "variances" else _beside(b, a, name), t)
            for name, a, b in zip(names, like, parts)
        ]

    yield what, pairs


def _bounds(theirs, table):
    """Yield the readings of a bound: an object with its parts, or its total alone."""
    names = ("reconstruction", "prior", "between", "terms", "total")
    if all(hasattr(theirs, name) for name in names[:2]):

        def pairs(ours):
            found = []
            for name in names:
                a, b = getattr(ours, name), getattr(theirs, name, None)
                if a is not None and b is not None:
                    t = np.arange(len(a)) if name == "terms" else None
                    found.append(Pair(name, a, _beside(b, a, name), t))
            return found

        yield NONE, pairs
        return
    for under, pairs in _nats("loss", theirs, table):
        yield (
            named("the total without its parts", r"L = L_0 + \sum_t L_{t-1} + L_T") + under,
            lambda ours, pairs=pairs: pairs(ours.total),
        )


def _arrays(kind, ours, theirs, table):
    """Yield the readings of an array over t, or at t."""
    array, over_t = _number(theirs), table.t is None and np.ndim(ours) == 1
    firsts = (0, 1) if over_t else (0,)
    for first in firsts:
        for what, there, back in ARRAYS[kind]:

            def pairs(value, there=there, back=back, first=first):
                like = there(np.asarray(value, dtype=float)[first:] if over_t else np.asarray(value, dtype=float))
                t = np.arange(first, len(value)) if over_t else table.t
                return [Pair("value", like, _beside(array, like, "value"), t, back)]

            yield (WITHOUT_ZERO + what if first else what), pairs


def _nats(kind, theirs, table):
    """Yield the readings of a number in nats."""
    if isinstance(theirs, tuple | list):
        yield NONE, lambda value: _alike("value", value, theirs, table.t)
        return
    array, maps = _number(theirs), FROM_NATS[kind]
    for size in range(len(maps) + 1):
        for chosen in itertools.combinations(maps, size):
            if AVERAGE in chosen and table.d is None:
                continue
            factor = 1.0
            for what in chosen:
                factor *= {SIGN: -1.0, BITS: 1 / math.log(2), AVERAGE: 1 / (table.d or 1)}[what]

            def pairs(value, factor=factor, summed=False):
                like = factor * np.asarray(value, dtype=float)
                these = array.sum(axis=-1) if summed else array
                return [Pair("value", like, _beside(these, like, "value"), table.t, lambda v: v / factor)]

            under = sum(chosen, NONE)
            yield under, pairs
            if AVERAGE not in chosen and maps[-1] is AVERAGE and array.ndim:
                yield UNSUMMED + under, lambda value, pairs=pairs: pairs(value, summed=True)
