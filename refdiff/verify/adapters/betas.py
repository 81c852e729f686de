r"""Tables and functions over one fixed schedule as an implementation that the judge can be given.

The catalogue asks for short schedules of its own; code with a fixed one cannot answer that. But what happens at step t
depends on the betas through alpha_bar_{t-1} and beta_t alone, so the chain of t steps can be folded:

.. math:: (\beta_1, \ldots, \beta_T) \mapsto \left(1 - \bar\alpha_s,\; 1 - \frac{\bar\alpha_{t-1}}{\bar\alpha_s},\;
    \beta_t\right)

has the same marginals at s, t - 1 and t, the same posterior, the same parameterisations. The judge is given such cases,
and the functions are called at their own t. Where a folded chain has a step that the schedule has not, refdiff's own
answer stands in: nothing is proved there.
"""

import importlib
import inspect
import types
from dataclasses import replace
from difflib import get_close_matches
from functools import partial

import numpy as np

from refdiff.checks import real
from refdiff.schedule import Schedule
from refdiff.verify.cases import Case
from refdiff.verify.identity import Identity

__all__ = ["from_betas"]

LEVEL, STEP, JUMP = (
    "level",
    "step",
    "jump",
)  # what a function at t depends on: alpha_bar_t, also alpha_bar_{t-1}, s and t
FUNCTIONS = {
    "forward": {"transition": STEP, "marginal": LEVEL, "diffuse": LEVEL, "jump": JUMP},
    "bayes": {
        "posterior": STEP,
        "posterior_from_eps": STEP,
        "posterior_from_precisions": STEP,
        "quadratic_constant": STEP,
        "log_c_1": STEP,
        "log_c_2": STEP,
    },
    "parameterize": {
        "x_0_from_eps": LEVEL,
        "eps_from_x_0": LEVEL,
        "v_from_eps": LEVEL,
        "eps_from_v": LEVEL,
        "x_0_from_v": LEVEL,
        "v_from_x_0": LEVEL,
        "score_from_eps": LEVEL,
        "eps_from_score": LEVEL,
        "x_0_from_score": LEVEL,
        "score_from_x_0": LEVEL,
        "mean_from_eps": STEP,
        "eps_from_mean": STEP,
        "mean_from_x_0": STEP,
        "x_0_from_mean": STEP,
    },
}
BLUNT = ("score_from_eps", "eps_from_score", "x_0_from_score", "score_from_x_0")  # judged by finite differences
LATER = {"posterior_from_precisions", "quadratic_constant", "log_c_1", "log_c_2", "jump"}  # t >= 2 here
LAWS = {"transition", "marginal", "jump", "posterior", "posterior_from_eps", "posterior_from_precisions"}
CHAPTER = {name: chapter for chapter, names in FUNCTIONS.items() for name in names}
TABLES = {
    "beta": r"\beta_t",
    "alpha": r"\alpha_t = 1 - \beta_t",
    "alpha_bar": r"\bar\alpha_t = \prod_{s=1}^t (1 - \beta_s)",
    "log_alpha_bar": r"\log\bar\alpha_t",
    "one_minus_alpha_bar": r"1 - \bar\alpha_t",
    "signal_rate": r"\sqrt{\bar\alpha_t}",
    "noise_rate": r"\sqrt{1 - \bar\alpha_t}",
    "snr": r"\bar\alpha_t / (1 - \bar\alpha_t)",
    "log_snr": r"\log \bar\alpha_t - \log(1 - \bar\alpha_t)",
    "beta_tilde": r"\tilde\beta_t = \left(\frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}\right)^{-1}",
}
SHALLOWEST = 5e-5  # of 1 - alpha_bar_t: with less, finite differences of a log-density do not resolve it
DEEPEST = 1e-5  # folding goes no further than this alpha_bar_{t-1}: beyond, 1 - alpha_bar has lost its digits


def from_betas(betas, *, first_t=1, precision=1e-9, **functions):
    """Return code over one fixed schedule as an implementation for :func:`refdiff.verify.judge`.

    Parameters
    ----------
    betas : array_like, shape (T,)
        beta_1..beta_T, each in (0, 1), T >= 2.
    first_t : {1, 0}
        What your functions call the first step: 1 as on paper, 0 as most code does.
    precision : float
        The smallest relative error that counts: 1e-9 for float64; for float32 over a thousand steps, 1e-3.
    **functions
        By refdiff's names: functions such as ``posterior``, ``marginal``, ``x_0_from_eps``, and tables over t such as
        ``alpha_bar`` or ``beta_tilde``. A function takes refdiff's arguments without the schedule, or with it if its
        first parameter is called ``schedule``: NumPy points of shape (n, d) and one integer t. A law is anything with
        ``mean`` and ``var``, or a pair (mean, var). A table has T entries, or T + 1 with clean data in front.

    Returns
    -------
    BetasImplementation

    Raises
    ------
    TypeError, ValueError
        If the betas are no betas, a name is not known, a table has another length, or nothing is given.

    Examples
    --------
    A posterior with the variance of the forward step, beside a right marginal:

    >>> import numpy as np
    >>> from refdiff import verify
    >>> betas = np.linspace(1e-4, 0.02, 1000)
    >>> alpha_bar = np.cumprod(1 - betas)
    >>> def marginal(x_0, t):
    ...     return np.sqrt(alpha_bar[t]) * x_0, 1 - alpha_bar[t]
    >>> mine = from_betas(betas, first_t=0, marginal=marginal, beta_tilde=betas)
    >>> report = verify.judge(mine, budget="quick")
    >>> report.refuted
    ['table.beta_tilde']
    >>> report.verdicts["table.beta_tilde"].first_t
    0
    """
    betas = real(_plain(betas), "betas")
    if betas.ndim != 1 or betas.size < 2:
        raise ValueError(f"betas must be one-dimensional with T >= 2 entries; got shape {betas.shape}.")
    wrong = ~((betas > 0) & (betas < 1))
    if wrong.any():
        k = int(np.argmax(wrong))
        cause = " A beta_0 = 0 in front? Leave it out." if k == 0 and betas[0] == 0 else ""
        raise ValueError(f"betas must lie in (0, 1); got betas[{k}] = {betas[k]}.{cause}")
    if np.median(betas) > 0.9 or (betas.size > 2 and betas[0] > 0.9 and (np.diff(betas) < 0).all()):
        name = "alpha_bar" if betas[-1] < 0.5 else "1 - beta"
        raise ValueError(f"betas look like {name}: betas[0] = {betas[0]:.6g}, betas[-1] = {betas[-1]:.6g}. Pass beta.")
    if isinstance(first_t, bool) or first_t not in (0, 1):
        raise ValueError(f"first_t is what the first step is called, 1 or 0; got {first_t!r}.")
    if not 0 < precision < 1:
        raise ValueError(f"precision is a relative error, such as 1e-9, or 1e-3 for float32; got {precision!r}.")
    if not functions:
        raise ValueError("from_betas needs something to judge: posterior=..., alpha_bar=..., ...")
    schedule, known = Schedule.from_betas(betas), [*TABLES, *CHAPTER]
    for name, one in functions.items():
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:4]
            raise ValueError(f"no function or table over t is called {name!r}; nearest: {', '.join(near)}.")
        if name in CHAPTER and not callable(one):
            raise TypeError(f"{name} must be a function; got {type(one).__name__}.")
    tables = {name: _table(name, one, schedule, first_t) for name, one in functions.items() if name in TABLES}
    own = {name: one for name, one in functions.items() if name in CHAPTER}
    return BetasImplementation(schedule, first_t, precision, tables, own)


def _table(name, given, schedule, first_t):
    """Return a table for t = 1..T."""
    if callable(given):
        given = [given(t + first_t - 1) for t in range(1, schedule.T + 1)]
    table = real(_plain(given), name)
    if table.shape not in ((schedule.T,), (schedule.T + 1,)):
        raise ValueError(
            f"{name} must have T = {schedule.T} entries, or T + 1 with clean data in front; got shape {table.shape}."
        )
    return table[-schedule.T :]


def _plain(found):
    """Return a tensor of torch as a NumPy array, and anything else as it is."""
    return found.detach().cpu().numpy() if hasattr(found, "detach") else found


def _array(found):
    """Return what a function gave as a float64 array."""
    return np.asarray(_plain(found), dtype=float)


class BetasImplementation:
    """Functions and tables over one schedule, and the cases on which the catalogue can ask them."""

    def __init__(self, schedule, first_t, precision, tables, functions):
        self._schedule, self._first_t, self._own = schedule, first_t, functions
        self._precision = precision
        blunt = {f"parameterize.{name}": max(precision, 1e-6) for name in BLUNT}
        self.precision = {"": precision, **blunt}
        self.table = types.SimpleNamespace(**tables)
        self.every_t = types.SimpleNamespace(**{name: partial(self._at, name) for name in functions})
        for chapter, names in FUNCTIONS.items():
            offered = {name: partial(self._folded, name) for name in functions if name in names}
            setattr(self, chapter, types.SimpleNamespace(**offered))

    def __repr__(self):
        return f"from_betas(T={self._schedule.T}, {', '.join([*vars(self.table), *self._own])})"

    @property
    def identities(self):
        """What is judged at every t of the schedule itself: key to Identity."""
        own = {f"table.{name}": _table_identity(name, self) for name in vars(self.table)}
        return own | {f"every_t.{name}": _every_t_identity(name, self) for name in self._own}

    def cases(self, source, drawn):
        """Return cases folded from this schedule: early steps, the last, and some between, drawn from `source`.

        They take the place of the judge's own cases. The catalogue's finite differences need a little noise, folding
        needs a little signal: what lies before and behind is left to the identities about every t.
        """
        schedule = self._schedule
        last = int(np.flatnonzero(schedule.alpha_bar[:-1] > DEEPEST).max(initial=1)) + 1
        first = min(max(2, int(np.argmax(schedule.one_minus_alpha_bar > SHALLOWEST))), last)
        steps = [min(first + 1, last), first, last, *(source.integer(first, last) for _ in range(drawn))]
        return [self._fold(source, t) for t in dict.fromkeys(steps)]

    def _fold(self, source, t):
        level, s = self._schedule.log_alpha_bar, source.integer(1, max(t - 2, 1))
        beta = [-np.expm1(level[s]), -np.expm1(level[t - 1] - level[s]), self._schedule.beta[t]]
        if t == 2:
            del beta[1]
        return replace(Case.draw(source), beta=tuple(float(b) for b in beta), t=len(beta), s=1)

    def _levels(self, schedule):
        """Return for t' = 0..T' of a folded schedule the t of ours that has the same alpha_bar; -1 where none has."""
        ours = self._schedule.log_alpha_bar
        nearest = np.abs(ours[:, None] - schedule.log_alpha_bar).argmin(axis=0)
        off = np.abs(ours[nearest] - schedule.log_alpha_bar)
        return np.where(off <= 1e-6 * np.maximum(self._schedule.beta[nearest], 1e-300) + 1e-300, nearest, -1)

    def _ask(self, name, arguments):
        """Return what the function itself says, at one t of its own schedule."""
        function = self._own[name]
        first = next(iter(inspect.signature(function).parameters), "")
        steps = {key: int(arguments[key]) + self._first_t - 1 for key in ("s", "t") if key in arguments}
        ordered = [steps.get(key, value) for key, value in arguments.items()]
        return function(*([self._schedule] if first == "schedule" else []), *ordered)

    def _at(self, name, t, **arguments):
        """Return the parts of the function's answer at one t: its value, or mean and variance."""
        order = _arguments(name)
        found = self._ask(name, {key: {**arguments, "t": t}[key] for key in order})
        if name not in LAWS:
            return [_array(found)]
        pair = found if isinstance(found, tuple | list) else (getattr(found, "mean", None), getattr(found, "var", None))
        if len(pair) != 2 or any(one is None or callable(one) for one in pair):
            raise TypeError(f"{name} must return a law: mean and var, or the pair; got {type(found).__name__}")
        return [_array(one) for one in pair]

    def _folded(self, name, schedule, *args, **options):
        """Answer for a folded schedule: with the function at its own t where there is one, else with refdiff."""
        reference = _reference(name)
        arguments = inspect.signature(reference).bind(schedule, *args, **options).arguments
        arguments.pop("schedule")
        right = reference(schedule, **arguments)
        parts = [np.array(p, dtype=float) for p in ((right.mean, right.var) if name in LAWS else (right,))]
        if name in LAWS:
            parts = [np.array(np.broadcast_to(p, np.shape(right.mean))) for p in parts]
        points = {key: real(value, key) for key, value in arguments.items() if key not in ("s", "t", "d")}
        shape = next(iter(points.values())).shape[:-1] if points else np.shape(arguments["t"])
        t, s = (np.broadcast_to(np.asarray(arguments.get(key, 0)), shape).ravel() for key in "ts")
        levels, kind = self._levels(schedule), FUNCTIONS[CHAPTER[name]][name]
        rows = {key: value.reshape(-1, value.shape[-1]) for key, value in points.items()}
        flat = [p.reshape(len(t), *p.shape[len(shape) :]) for p in parts]
        for step, start in sorted(set(zip(t.tolist(), s.tolist()))):
            mine = levels[step]
            follows = kind != STEP or levels[step - 1] == mine - 1
            if mine < 1 or not follows or (kind == JUMP and levels[start] < 0):
                continue
            here = (t == step) & (s == start)
            asked = {
                key: rows[key][here] if key in rows else {"t": mine, "s": levels[start]}.get(key, value)
                for key, value in arguments.items()
            }
            asked.pop("t")
            for into, answer in zip(flat, self._at(name, mine, **asked)):
                if kind != JUMP and answer.shape not in ((), into[here].shape, (here.sum(), 1)):
                    raise ValueError(f"{name}: shape {answer.shape} where {into[here].shape} is right")
                into[here] = answer
        whole = [p.reshape(q.shape) for p, q in zip(flat, parts)]
        return types.SimpleNamespace(mean=whole[0], var=whole[1]) if len(whole) == 2 else whole[0]


def _reference(name):
    return getattr(importlib.import_module(f"refdiff.{CHAPTER[name]}"), name)


def _right(name, schedule, arguments):
    return _reference(name)(schedule, **arguments)


def _identity(key, judges, states, why, exact):
    return Identity(
        key=key,
        chapter=key.partition(".")[0],
        states=states,
        source="definition" if key.startswith("table") else "refdiff, which the catalogue judges",
        judges=(judges,),
        coincides="",
        why=why,
        exact=exact,
        once=True,
    )


def _table_identity(name, implementation):
    """Return the claim that a table is right at each t."""
    why = "Every entry against sums of logarithms, with 1 - alpha_bar from expm1; the posterior by adding precisions."
    exact = partial(_compare_table, name, implementation)
    return _identity(f"table.{name}", f"table.{name}", TABLES[name], why, exact)


def _compare_table(name, implementation, claimed, case, evidence):
    beta = implementation._schedule.beta[1:]
    level = np.cumsum(np.log1p(-beta))
    before = np.append(0.0, level[:-1])
    alpha_bar, rest = np.exp(level), -np.expm1(level)
    with np.errstate(divide="ignore"):
        truth = {
            "beta": beta,
            "alpha": 1 - beta,
            "alpha_bar": alpha_bar,
            "log_alpha_bar": level,
            "one_minus_alpha_bar": rest,
            "signal_rate": np.exp(level / 2),
            "noise_rate": np.sqrt(rest),
            "snr": alpha_bar / rest,
            "log_snr": level - np.log(rest),
            "beta_tilde": 1 / ((1 - beta) / beta - 1 / np.expm1(before)),
        }[name]
    scale = np.where(truth == 0, 1.0, np.abs(truth)) if name != "log_snr" else np.maximum(np.abs(truth), 1.0)
    shift = implementation._first_t - 1
    steps = np.arange(1, len(beta) + 1) + shift
    evidence.close(name, getattr(implementation.table, name), truth, implementation._precision, scale, at=steps)


def _arguments(name):
    """Return what refdiff's function of this name takes after the schedule; options by keyword are its own affair."""
    parameters = inspect.signature(_reference(name)).parameters.values()
    return [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY][1:]


def _every_t_identity(name, implementation):
    """Return the claim that a function agrees with refdiff at each t of its schedule."""
    why = "At every t, beside refdiff's own function, which the catalogue judges: the first t that differs is named."
    exact = partial(_compare_function, name, implementation)
    return _identity(f"every_t.{name}", f"every_t.{name}", rf"\text{{{name}}} \text{{ at }} t = 1..T", why, exact)


def _compare_function(name, implementation, claimed, case, evidence):
    schedule, rng = implementation._schedule, np.random.default_rng(11)
    names = [one for one in _arguments(name) if one not in ("s", "t", "d")]
    points = {one: rng.standard_normal((3, 2)) + 0.4 for one in names}
    least = 2 if name in LATER else 1
    steps = np.arange(least, schedule.T + 1)
    if schedule.T > 2000:
        steps = np.unique(np.concatenate([steps[:20], np.linspace(least, schedule.T, 1000).astype(int)]))
    claims, truths = [], []
    for t in steps:
        extra = {"d": 2} if name == "log_c_1" else {}
        if FUNCTIONS[CHAPTER[name]][name] == JUMP:
            extra["s"] = int(t) // 2
        right = _right(name, schedule, {**points, **extra, "t": int(t)})
        right = (right.mean, right.var) if name in LAWS else (right,)
        asked = {key: value.copy() for key, value in points.items()} | extra
        found = implementation._at(name, int(t), **asked)
        shapes = [np.broadcast_shapes(np.shape(one), np.shape(right[0])) for one in right]
        truths.append([np.broadcast_to(one, shape).ravel() for one, shape in zip(right, shapes)])
        claims.append([np.broadcast_to(one, shape).ravel() for one, shape in zip(found, shapes)])
    for k, what in enumerate(("mean", "var") if name in LAWS else (name,)):
        truth = np.array([one[k] for one in truths])
        size = np.abs(truth).max(axis=1, keepdims=True)
        claim = np.array([one[k] for one in claims])
        shift = implementation._first_t - 1
        evidence.close(
            f"{what} of {name}" if what != name else name,
            claim,
            truth,
            implementation._precision,
            np.where(size > 0, size, 1.0) * np.ones_like(truth),
            at=steps + shift,
        )
