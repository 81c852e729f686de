r"""Are these two formulas the same? Equal, equivalent under a named reparametrisation, or different.

Most reports of a wrong posterior compare two equal forms. ``compare`` says which of the three it is: it calls both on
many cases, at all t, and where they differ it tries the maps between the usual forms of the same quantity (what the
network predicts, a standard deviation for a variance, arrays counted from 0), each fixed and named, none fitted.
"""

import copy
import difflib
import inspect
import itertools
import math
import textwrap
import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from refdiff.gaussian import FullGaussian, Gaussian, kl
from refdiff.schedule import Schedule
from refdiff.verify.identity import NotProvided, Provided
from refdiff.verify.likeness.draws import PREDICTIONS, SMALL, Linear, tables, take
from refdiff.verify.likeness.readings import KINDS, NONE, SECOND, Reparametrisation, Unlike, named, readings
from refdiff.verify.limits import OutOfTime, within

__all__ = ["Likeness", "Reparametrisation", "comparable", "compare"]

PRECISION = 1e-9  # what is left to rounding, in the units of the last digits of the arguments

ALIASES = {
    "schedule": "schedule",
    **dict.fromkeys(("x_0", "x0", "x_start", "x0_hat", "x_0_hat", "pred_x0", "pred_x_start", "x_clean"), "x_0"),
    **dict.fromkeys(("x_t", "xt", "x_noisy"), "x_t"),
    **dict.fromkeys(("eps", "epsilon", "noise", "eps_hat", "pred_noise"), "eps"),
    **dict.fromkeys(("v", "velocity"), "v"),
    "score": "score",
    **dict.fromkeys(("mean", "mu"), "mean"),
    **dict.fromkeys(("t", "timestep"), "t"),
    **dict.fromkeys(("T", "timesteps", "n_timesteps", "num_timesteps", "n_timestep", "n_steps", "num_steps"), "T"),
    **dict.fromkeys(("betas", "beta"), "beta from"),
    **dict.fromkeys(("alphas", "alpha"), "alpha from"),
    **dict.fromkeys(("alpha_bar", "alpha_bars", "alphas_bar", "alphas_cumprod", "abar"), "alpha_bar from"),
    **dict.fromkeys(("beta_tilde", "posterior_variance"), "beta_tilde from"),
    "snr": "snr from",
    "log_snr": "log_snr from",
}
MAPS = {  # the formula that leads from x_0 to each of them
    "x_0": r"x_0",
    "eps": r"\epsilon = (x_t - \sqrt{\bar\alpha_t}\,x_0) / \sqrt{1 - \bar\alpha_t}",
    "v": r"v = \sqrt{\bar\alpha_t}\,\epsilon - \sqrt{1 - \bar\alpha_t}\,x_0",
    "score": r"\nabla\log q(x_t \mid x_0) = -\epsilon / \sqrt{1 - \bar\alpha_t}",
    "mean": r"\mu = \tilde\mu_t(x_t, x_0)",
}
GREEK = {"beta": r"\beta", "alpha": r"\alpha", "alpha_bar": r"\bar\alpha", "beta_tilde": r"\tilde\beta"}


@dataclass(frozen=True)
class Likeness:
    """What a comparison of two formulas found.

    Attributes
    ----------
    name : str
        The formula that theirs is compared with, such as "bayes.posterior".
    status : {"equal", "equivalent", "different"}
    under : Reparametrisation or None
        What makes them the same, where they are equivalent: its name, and its formula in LaTeX.
    read_as : Reparametrisation or None
        Where they are different: what they come nearest under, if that is not as they stand.
    first_t : int or None
        Where they are different: the first t at which they are, in the smallest case that shows it.
    size : float
        The largest relative difference; of rounding where they are the same. Infinite where only a 0 is missed.
    nats : float or None
        At the counter-example: KL(ours || theirs) of two laws, or the difference of two numbers in nats.
    part : str
        What differs: "mean", "var", the name of an array.
    case : str
        The smallest case that shows the difference.
    counter_example : str
        Numbers that can be checked by hand.
    message : str
        What went wrong, if theirs could not be compared as a number.
    notes : tuple of str
        What else is worth knowing.
    calls : int
        How many values were compared.
    """

    name: str
    status: str
    under: Reparametrisation | None = None
    read_as: Reparametrisation | None = None
    first_t: int | None = None
    size: float = 0.0
    nats: float | None = None
    part: str = ""
    case: str = ""
    counter_example: str = ""
    message: str = ""
    notes: tuple = ()
    calls: int = 0

    @property
    def same(self):
        """Whether the two are equal or equivalent."""
        return self.status != "different"

    def __str__(self):
        under = self.under.name if self.under else ""
        if under and not under.startswith("up to"):
            under = f"under {under}"
        lines = [f"{self.name}: {self.status} {under}".rstrip()]
        if self.under:
            lines.append(f"  formula          {self.under.formula}")
        if self.same:
            lines.append(f"  compared         {self.calls:,} values, the largest relative difference {self.size:.1e}")
        else:
            if self.read_as:
                lines.append(f"  read as          {self.read_as.name}, which brings them nearest")
            if self.message:
                lines.append(f"  because          {self.message}")
            if self.case:
                lines.append(f"  smallest case    {self.case}")
            if self.first_t is not None:
                lines.append(f"  first t          {self.first_t}")
            if self.counter_example:
                text = self.counter_example.replace("; then ", "\nthen ").replace(": theirs gives", ":\n  theirs gives")
                lines.append("  counter-example  " + text.replace("\n", "\n" + " " * 19))
            if math.isfinite(self.size) and self.size > 0:
                lines.append(f"  largest          {self.size:.2g} relative to ours")
            if self.nats is not None:
                lines.append(f"  in nats          {self.nats:.6g}")
        return "\n".join([*lines, *(f"  note             {note}" for note in self.notes)])


def comparable():
    """Return the names of all formulas that something can be compared with."""
    return tuple(KINDS)


def compare(ours, theirs, *, like=None, seed=0, precision=PRECISION, time_limit=60.0):
    r"""Compare two formulas: the same, the same in another form, or different.

    They are called on cases that can be checked by hand, on the designed and drawn cases of the judge, and on
    linear-1000, cosine-1000 and scaled-linear-1000, at every t, one t at a time and as an array. Two numbers are the
    same where they differ by no more than `precision` times their size and what a relative change of the arguments by
    1 would make of them: a difference that rounding of the arguments can explain.

    Parameters
    ----------
    ours : str or callable
        The name of a formula of refdiff, such as "bayes.posterior" or "schedule.alpha_bar"; or another callable, with
        the arguments of `like` and a value of its form.
    theirs : callable
        With the arguments of ours, by position or by the usual names. A law may be any object with ``mean`` and
        ``var``.
    like : str, optional
        The formula whose arguments to draw; needed where `ours` is a callable.
    seed : int
        Of the cases that are drawn.
    precision : float
        1e-9 suits float64; a formula in float32 asks for 1e-5 or so.
    time_limit : float or None
        Seconds for one call of theirs.

    Returns
    -------
    Likeness

    Raises
    ------
    TypeError
        If `theirs` is not callable.
    ValueError
        If a name is none of :func:`comparable`, or `theirs` takes arguments of another number and of unknown names.

    Notes
    -----
    Two formulas are *equal* if they agree as they stand, *equivalent* if a named, fixed map of arguments or of the
    result makes them agree on every case, *different* otherwise. Only a term of the bound that takes a denoiser may
    differ by a constant, or a constant factor, and be equivalent: as an objective.

    Examples
    --------
    >>> from refdiff import Gaussian, bayes
    >>> def posterior(schedule, x_0, x_t, t):
    ...     q = bayes.posterior(schedule, x_0, x_t, t)
    ...     return q.mean, q.std
    >>> found = compare("bayes.posterior", posterior)
    >>> found.status, found.under.name
    ('equivalent', 'a tuple for a law; standard deviation for variance')
    """
    name = _full_name(ours if isinstance(ours, str) else like)
    formula = _formula(name)
    function = formula if isinstance(ours, str) else _plain(ours, "ours")
    theirs = _plain(theirs, "theirs")
    if not 0 < precision < 1:
        raise ValueError(f"precision must be a number in (0, 1), such as 1e-9; got {precision!r}.")
    drawn = tables(name, formula, seed)
    if function is formula:
        drawn = [_Reference(function, formula, table) for table in drawn]
    else:
        drawn = [_Reference(function, formula, *understood) for understood in _understood(function, formula, drawn)]
        _require_form(drawn[0], formula)
    search = _Search(name, KINDS[name], drawn, theirs, precision, time_limit)
    try:
        return search.run()
    except _Hangs as error:
        return Likeness(name, "different", message=str(error), size=math.inf)


def _full_name(name):
    """Return the dotted name as it stands in KINDS; what is left out is the class."""
    if not isinstance(name, str):
        raise TypeError(f"two callables need like=, the name of a formula whose arguments to draw; got {name!r}.")
    chapter, _, last = name.rpartition(".")
    matches = [
        one for one in KINDS if one == name or (chapter and one.startswith(f"{chapter}.") and one.endswith(f".{last}"))
    ]
    if name in KINDS or len(matches) == 1:
        return name if name in KINDS else matches[0]
    import refdiff

    try:
        found = Provided(refdiff).lookup(name)
    except NotProvided:
        found = None
    if inspect.isroutine(found) and "rng" in inspect.signature(found).parameters:
        raise ValueError(f"{name} draws from rng and is no formula: `verify.judge` judges it by its law.")
    ends = [one for one in KINDS if one.rpartition(".")[2] == last]
    near = matches or ends or difflib.get_close_matches(name, KINDS, 3, 0.75)
    if near:
        raise ValueError(f"no formula that can be compared is called {name!r}. Did you mean {' or '.join(near[:4])}?")
    raise ValueError(f"no formula that can be compared is called {name!r}. There are\n{listed()}")


def listed():
    """Return the names of all formulas, a line for each chapter."""
    chapters = {}
    for name in sorted(KINDS, key=lambda name: name.count(".")):
        chapter, _, rest = name.partition(".")
        chapters.setdefault(chapter, []).append(rest)
    lines = [f"{chapter}: {', '.join(names)}" for chapter, names in chapters.items()]
    return "\n".join(textwrap.fill(line, 100, initial_indent="  ", subsequent_indent="    ") for line in lines)


def _formula(name):
    """Return the function of a dotted name, of an array of a schedule too."""
    import refdiff

    chapter, _, array = name.partition(".")
    if chapter == "schedule" and array in Schedule.__dataclass_fields__:

        def over_t(schedule):
            return getattr(schedule, array)

        return over_t
    return Provided(refdiff).lookup(name)


def _plain(function, whose):
    function = getattr(function, "__func__", function) if isinstance(function, staticmethod) else function
    if not callable(function):
        raise TypeError(f"{whose} must be a callable; got {type(function).__name__}.")
    return function


def _quietly(function, arguments, options):
    """Call a function on copies of its arguments, without its warnings."""
    arguments = [np.array(a) if isinstance(a, np.ndarray) else copy.copy(a) for a in arguments]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def _understood(function, formula, drawn):
    """Yield each table of which another formula than refdiff's takes the options, or has the defaults, with those."""
    options = {p.name: p.default for p in inspect.signature(formula).parameters.values()}
    called = _called(inspect.signature(function).parameters.values(), options)
    for table in drawn:
        rest = {key: value for key, value in table.options.items() if key not in called}
        if not any(_differs(value, options[key]) for key, value in rest.items()):
            yield table, {called[key]: value for key, value in table.options.items() if key in called}


def _require_form(reference, formula):
    """Raise ValueError unless another formula than refdiff's returns what can be read as the value of refdiff's."""
    value = _quietly(formula, reference.table.arguments.values(), reference.table.options)
    if isinstance(value, np.ndarray | np.number | float):
        return
    names = [name for name in ("mean", "var", "alpha_bar", "weights", "reconstruction") if hasattr(value, name)]
    if any(callable(getattr(reference.value, name, abs)) for name in names):
        raise ValueError(f"ours returns {type(reference.value).__name__}, where {type(value).__name__} is compared.")


class _Reference:
    """A table with what ours says of it, and of the table with its arguments changed a little."""

    def __init__(self, function, formula, table, options=None):
        self.function, self.table = function, table
        self.options = table.options if options is None else options
        self.parameters = list(table.arguments)
        try:
            self.value = _quietly(function, table.arguments.values(), self.options)
        except Exception as error:
            if function is formula:
                raise
            raise ValueError(f"ours raises {type(error).__name__}: {error}") from error
        self._moved = None

    @property
    def moved(self):
        """What ours says where one of its arguments is off by 1e-7."""
        if self._moved is None:
            self._moved = []
            for arguments in self.table.perturbed():
                try:
                    self._moved.append(_quietly(self.function, arguments.values(), self.options))
                except (ValueError, TypeError):
                    continue
        return self._moved


@dataclass(frozen=True)
class _Call:
    """A way to call theirs: the quantity for each of its parameters, and what that amounts to."""

    under: Reparametrisation
    names: tuple
    fixed: tuple = ()  # options of ours that theirs does not have, at the values for which it stands
    called: tuple = ()  # (name of an option of ours, that of theirs)

    def arguments(self, table):
        """Return the values, and which of them have one entry a row."""
        found = [table.quantity(name) for name in self.names]
        return [value for value, _ in found], [rows for _, rows in found]

    def options(self, table):
        """Return the options for theirs; None where theirs does not stand for those of the table."""
        if any(key in table.options and _differs(table.options[key], value) for key, value in self.fixed):
            return None
        called = dict(self.called)
        return {called[key]: value for key, value in table.options.items() if key in called}


def _differs(option, value):
    return isinstance(option, str) != isinstance(value, str) or not np.array_equal(option, value)


def _batched(value):
    """Return one row as an array of one row."""
    if isinstance(value, Gaussian):
        return Gaussian(value.mean[None], value.var[None])
    return np.asarray(value)[None]


def _row(value, k):
    """Return row k of a value: a point, a law, or a step as an integer."""
    found = take(value, k)
    return int(found) if np.ndim(found) == 0 and np.asarray(found).dtype.kind in "iu" else found


FIELDS = ("mean", "cov", "var", "weights", "means", "variances", *SECOND, "reconstruction", "prior", "between", "total")


def _by_field(change, values):
    """Return a value like the first, each part of it changed together with those of the others."""
    first = values[0]
    if isinstance(first, tuple | list):
        return tuple(_by_field(change, list(column)) for column in zip(*values, strict=True))
    if isinstance(first, dict):
        return {key: _by_field(change, [value[key] for value in values]) for key in first}
    if isinstance(first, np.ndarray | np.number | float | int) or hasattr(first, "detach"):
        return change([np.asarray(value.detach().cpu() if hasattr(value, "detach") else value) for value in values])
    names = [name for name in dict.fromkeys(FIELDS) if hasattr(first, name) and not callable(getattr(first, name))]
    if not names:
        raise TypeError(f"{type(first).__name__} is no number and no law")
    return SimpleNamespace(**{name: _by_field(change, [getattr(value, name) for value in values]) for name in names})


def _stack(values):
    """Return values of single rows as one value of many."""
    return _by_field(np.stack, values)


def _unbatch(value):
    """Return the only row of a value of one row."""
    return _by_field(lambda arrays: arrays[0][0] if arrays[0].ndim else arrays[0], [value])


class _Failed(Exception):
    """Raised where theirs raises, with its message."""


class _Hangs(Exception):
    """Raised where theirs does not return: there is no point in trying another way to call it."""


class _Theirs:
    """What theirs says of each table, under one way to call it."""

    def __init__(self, function, call, time_limit):
        self.function, self.call, self.time_limit, self._cache = function, call, time_limit, {}
        self.arrays = True  # whether it takes an array of t

    def values(self, reference):
        """Return [(how it was called, value)]; empty where theirs does not stand for the options.

        Raises
        ------
        _Failed
            If it raises.
        """
        key = id(reference)
        if key not in self._cache:
            try:
                self._cache[key] = self._evaluate(reference.table)
            except _Failed as error:
                self._cache[key] = error
        if isinstance(self._cache[key], _Failed):
            raise self._cache[key]
        return self._cache[key]

    def _evaluate(self, table):
        options = self.call.options(table)
        if options is None:
            return []
        try:
            arguments, rows = self.call.arguments(table)
        except KeyError as error:
            raise _Failed(f"{error} is not among the arguments") from None
        if not any(rows):
            value = self._once(arguments, options)
            return [("", value if table.n is None else self._stacked([value] * table.n))]
        found = []
        if not table.long or not self.arrays:
            found.append(("one t at a time", self._one_by_one(table, arguments, rows, options)))
        if self.arrays and not table.by_hand:
            try:
                value = self._once(arguments, options)
            except _Failed:
                self.arrays = False
                if table.long:
                    found.append(("one t at a time", self._one_by_one(table, arguments, rows, options)))
            else:
                found.append(("an array of t", value))
        return found

    def _once(self, arguments, options):
        try:
            return within(self.time_limit, _quietly, self.function, arguments, options)
        except KeyboardInterrupt:
            raise
        except OutOfTime:
            raise _Hangs(f"it did not return within {self.time_limit:g} s") from None
        except BaseException as error:  # of sys.exit too: what does not answer is different
            raise _Failed(f"it raises {type(error).__name__}: {error}") from None

    def _one_by_one(self, table, arguments, rows, options):
        values = []
        for k in range(table.n):
            now = [_row(a, k) if each else a for a, each in zip(arguments, rows)]
            try:
                values.append(self._once(now, options))
            except _Failed:
                now = [_batched(a) if each else a for a, each in zip(now, rows)]
                try:
                    values.append(_unbatch(self._once(now, options)))
                except TypeError as error:
                    raise _Failed(str(error)) from None
        return self._stacked(values)

    def _stacked(self, values):
        try:
            return _stack(values)
        except (ValueError, TypeError, KeyError) as error:
            raise _Failed(f"what it returns changes its form from row to row: {error}") from None


@dataclass
class _Judged:
    """One pair of arrays, row by row: how far they are apart, and how far they may be."""

    pair: object
    how: str
    reference: _Reference
    allowed: np.ndarray
    wrong: np.ndarray
    relative: np.ndarray

    @property
    def holds(self):
        return not self.wrong.any()


def _judge(reference, how, pairs, moved, precision):
    """Judge pairs of arrays; `moved` holds the pairs of the changed arguments."""
    found = []
    for k, pair in enumerate(pairs):
        a, b = np.asarray(pair.ours, float), np.asarray(pair.theirs, float)
        with np.errstate(all="ignore"):
            change = sum((_finite(np.abs(other[k].ours - a)) for other in moved), np.zeros(a.shape)) / SMALL
            allowed = precision * (_finite(np.abs(a)) + change)
            wrong = ~(a == b) & ~((np.abs(a - b) <= allowed) & np.isfinite(a))
            relative = np.where(a == b, 0.0, np.abs(a - b) / np.abs(a))
        relative = np.where(np.isnan(relative), np.inf, relative)
        found.append(_Judged(pair, how, reference, allowed, wrong, relative))
    return found


def _finite(x):
    return np.where(np.isfinite(x), x, 0.0)


class _Search:
    """Looks for the simplest reading under which theirs is ours."""

    def __init__(self, name, kind, drawn, theirs, precision, time_limit):
        self.name, self.kind, self.drawn, self.precision = name, kind, drawn, precision
        self.ways = [_Theirs(theirs, call, time_limit) for call in _calls(theirs, drawn[0], name)]
        self.theirs = theirs

    def run(self):
        """Return the Likeness."""
        if not self.ways:
            ours = ", ".join(self.drawn[0].parameters)
            theirs = str(inspect.signature(self.theirs))
            raise ValueError(
                f"the arguments of theirs, {theirs}, are neither those of ours, ({ours}), nor of names that are known."
            )
        candidates, why = self._candidates()
        for under, way, number in candidates:
            judged = self._all(way, number, stop=True)
            if judged is not None:
                return Likeness(
                    self.name,
                    "equivalent" if under else "equal",
                    under=under or None,
                    size=max((float(_known(j.relative).max(initial=0.0)) for j in judged), default=0.0),
                    notes=self._notes(way),
                    calls=sum(j.wrong.size for j in judged),
                )
        if not candidates:
            return self._other(why)
        return self._as_objective(candidates) or self._different(candidates)

    def _candidates(self):
        """Return all (Reparametrisation, way to call theirs, number of the reading), and why there are none."""
        found, why = [], ""
        for way in self.ways:
            for reference in self.drawn:
                if way.call.under and not reference.table.by_hand:
                    break
                try:
                    values = way.values(reference)
                    if not values:
                        continue
                    if self._hands_back(way):
                        break
                    under = [what for what, _ in readings(self.kind, reference.value, values[0][1], reference.table)]
                    found += [(way.call.under + what, way, number) for number, what in enumerate(under)]
                    break
                except (_Failed, Unlike) as error:
                    why = why or str(error)
        return sorted(found, key=lambda candidate: candidate[0].cost), why

    def _hands_back(self, way):
        """Whether a substituted argument is itself what is asked for: to hand it back would prove nothing."""
        reference = self.drawn[0]
        for name in way.call.names:
            if name in PREDICTIONS and name not in reference.parameters:
                value, _ = reference.table.quantity(name)
                for part in (reference.value, getattr(reference.value, "mean", None)):
                    if np.shape(part) == value.shape and np.allclose(part, value, 1e-9, 1e-12):
                        return True
        return False

    def _judged(self, way, number, reference):
        """Return what is judged on one table, under one reading."""
        found = []
        for how, value in way.values(reference):
            alternatives = list(readings(self.kind, reference.value, value, reference.table))
            if number >= len(alternatives):
                raise Unlike("its form changes from case to case")
            _, pairs = alternatives[number]
            with np.errstate(all="ignore"):
                moved = [pairs(other) for other in reference.moved]
                found += _judge(reference, how, pairs(reference.value), moved, self.precision)
        return found

    def _all(self, way, number, stop, drawn=None):
        """Return all that is judged under one reading; None if any of it fails and `stop`, or if there is nothing."""
        found = []
        for reference in self.drawn if drawn is None else drawn:
            try:
                now = self._judged(way, number, reference)
            except (_Failed, Unlike):
                if stop:
                    return None
                continue
            found += now
            if stop and not all(judged.holds for judged in now):
                return None
        return found or None

    def _failures(self, way, number):
        """Return [(label, message)] of the tables on which theirs raises or has another form."""
        found = []
        for reference in self.drawn:
            try:
                self._judged(way, number, reference)
            except (_Failed, Unlike) as error:
                found.append((reference.table.label, str(error)))
        return found

    def _notes(self, way):
        return () if way.arrays else ("theirs takes one t at a time, ours also an array of them",)

    def _defaults(self, way):
        """Return a note for each option that has another default there."""
        ours = inspect.signature(_formula(self.name)).parameters
        theirs = inspect.signature(self.theirs).parameters
        both = [(key, ours[key].default, name, theirs[name].default) for key, name in way.call.called if name in theirs]
        return [
            f"by default {name} = {_text(other)} there, {key} = {_text(default)} here"
            for key, default, name, other in both
            if other is not inspect.Parameter.empty and _differs(default, other)
        ]

    def _other(self, message, **more):
        return Likeness(self.name, "different", message=message, size=math.inf, **more)

    def _as_objective(self, candidates):
        """Return a Likeness if a loss of a denoiser differs by a constant or by a factor only, else None."""
        if self.kind != "loss" or "denoiser" not in self.drawn[0].parameters:
            return None
        first = [reference for reference in self.drawn if not reference.table.by_hand][:2]
        for under, way, number in candidates:
            if under.cost > 1:
                break
            judged = self._all(way, number, stop=False, drawn=first)
            if judged is None or _constant(judged, self.precision) is None or self._failures(way, number):
                continue
            judged = self._all(way, number, stop=False)
            if (found := _constant(judged, self.precision)) is not None:
                what, note, nats = found
                calls = sum(j.wrong.size for j in judged)
                notes = (note, *self._notes(way))
                return Likeness(self.name, "equivalent", under + what, nats=nats, notes=notes, calls=calls)
        return None

    def _different(self, candidates):
        """Return the Likeness of two that differ, told under the reading that brings them nearest."""
        best, most = None, -math.inf
        short = [reference for reference in self.drawn if reference.table.by_hand]
        likely = [candidate for candidate in candidates if candidate[0].cost <= max(1, candidates[0][0].cost) + 1]
        for under, way, number in likely:
            judged = self._all(way, number, stop=False, drawn=short)
            if judged is None:
                continue
            telling = np.concatenate([(j.pair.ours != 0).ravel() for j in judged])
            right = np.concatenate([~j.wrong.ravel() for j in judged])
            tried = sum(way.call.options(reference.table) is not None for reference in short)
            share = len({id(j.reference) for j in judged}) / tried  # of the tables on which theirs does not raise
            score = float(right[telling].mean() if telling.any() else right.mean()) * share - 0.2 * under.cost
            if score > most:
                best, most = (under, way, number), score
        if best is None:
            return self._other(self._failures(*candidates[0][1:])[0][1])
        return self._report(*best, self._all(*best[1:], stop=False))

    def _report(self, under, way, number, judged):
        """Return the Likeness of two that differ, in numbers."""
        wrong, failures = [j for j in judged if not j.holds], self._failures(way, number)
        if not wrong:
            label, message = failures[0]
            return self._other(message, case=label, read_as=under or None)
        smallest = wrong[0].reference
        here = [j for j in wrong if j.reference is smallest and j.how == wrong[0].how]
        first_t = min((int(j.pair.t[_rows(j.wrong)].min()) for j in here if j.pair.t is not None), default=None)
        beside = [j for j in judged if j.reference is smallest and j.how == wrong[0].how]
        text, nats = self._example(here, beside)
        known = _known(np.concatenate([j.relative[j.wrong] for j in wrong]))
        notes = [*_elsewhere(wrong), *_proportional(judged), *self._notes(way), *self._defaults(way)]
        if failures:
            notes.append(f"on {failures[0][0]}, {failures[0][1]}")
        only_arrays = {j.how for j in wrong} == {"an array of t"} and not smallest.table.long
        if only_arrays:
            notes.append("it differs only where t is an array: is an axis missing, one coefficient for each point?")
        everywhere = sum(int(j.wrong.sum()) for j in wrong) > 0.3 * sum(j.wrong.size for j in judged)
        if len(known) and known.max() < 1e-3 and everywhere and self.precision < 1e-4:
            notes.append("the digits of float32? Then compare with precision=1e-3 or so")
        return Likeness(
            self.name,
            "different",
            read_as=under or None,
            first_t=first_t,
            size=float(known.max()) if len(known) else math.inf,
            nats=nats,
            part=here[0].pair.part,
            case=smallest.table.label + (", t an array" if only_arrays else ""),
            counter_example=text,
            notes=tuple(notes),
            calls=sum(j.wrong.size for j in judged),
        )

    def _example(self, here, beside):
        """Return a counter-example at the first t, with what comes next if only that has a finite number of nats."""
        worst, table = here[0], here[0].reference.table
        every = self._nats(beside)
        if worst.wrong.ndim == 0:
            nats = float(every) if every is not None and np.isfinite(every) else None
            return _numbers(here, None, table, nats), nats
        rows = np.flatnonzero(_rows(worst.wrong))
        if worst.pair.t is not None:
            rows = rows[np.argsort(worst.pair.t[rows], kind="stable")]
        finite = [k for k in rows if every is not None and len(every) == len(worst.wrong) and np.isfinite(every[k])]
        nats = float(every[finite[0]]) if finite else None
        shown = [rows[0]] if not finite or finite[0] == rows[0] else [rows[0], finite[0]]
        texts = [_numbers(here, k, table, nats if finite and k == finite[0] else None) for k in shown]
        return "; then ".join(texts), nats

    def _nats(self, beside):
        """Return the difference in nats, row by row: a divergence of laws, or a difference of numbers; or None."""
        with np.errstate(all="ignore"):
            if self.kind in ("loss", "divergence", "nats", "bound"):
                pair = next(j.pair for j in beside if not j.holds)
                back = pair.back or (lambda v: v)
                return np.abs(back(pair.theirs) - back(pair.ours))
            if self.kind != "law" or [j.pair.part for j in beside][:1] != ["mean"] or len(beside) < 2:
                return None
            mean, second = beside[0].pair, beside[1].pair
            back = second.back or (lambda v: v)
            if not mean.ours.ndim or mean.ours.shape != second.ours.shape:
                return None
            return np.array(
                [_divergence(*row) for row in zip(mean.ours, back(second.ours), mean.theirs, back(second.theirs))]
            )


def _divergence(mean_q, var_q, mean_p, var_p):
    """Return KL(q || p), or NaN where a variance is 0 or something is no number."""
    if not all(np.isfinite(x).all() for x in (mean_q, var_q, mean_p, var_p)) or not min(var_q.min(), var_p.min()) > 0:
        return math.nan
    return float(kl(Gaussian(np.atleast_1d(mean_q), var_q), Gaussian(np.atleast_1d(mean_p), var_p)))


def _known(x):
    return x[np.isfinite(x)]


def _elsewhere(wrong):
    """Return a note of where else they differ: on linear-1000, which hides most, and at which t they agree."""
    notes, judged = [], [j for j in wrong if j.pair.t is not None]
    long = [j for j in judged if j.reference.table.label.startswith("linear(1000)")]
    long = [j for j in long if j.reference is long[0].reference and j.how == long[0].how]
    if long:
        t = np.concatenate([j.pair.t[_rows(j.wrong)] for j in long])
        sizes = np.concatenate([_largest(j)[_rows(j.wrong)] for j in long])
        t, sizes, steps = t[np.isfinite(sizes)], sizes[np.isfinite(sizes)], len(set(t.tolist()))
        if len(sizes):
            many = f"at {steps} of its steps" if steps > 1 else f"at t = {t[0]} only"
            at = f", most at t = {t[np.argmax(sizes)]}" if steps > 1 else ""
            notes.append(
                f"on {long[0].reference.table.label} they differ {many}, by {sizes.min():.1e} to {sizes.max():.1e}{at}"
            )
    steps = {int(t) for j in judged for t in j.pair.t[_rows(j.wrong)]}
    if len(steps) == 1:
        notes.append(f"at all t but {steps.pop()} they agree")
    return notes


def _rows(wrong):
    """Return for each entry of the first axis whether anything in it is wrong."""
    return wrong.any(axis=tuple(range(1, wrong.ndim))) if wrong.ndim else wrong


def _largest(judged):
    relative = judged.relative
    return relative.max(axis=tuple(range(1, relative.ndim))) if relative.ndim > 1 else relative


def _calls(theirs, reference, name):
    """Return the ways to call theirs, the plainest first."""
    own = reference.parameters
    try:
        parameters = list(inspect.signature(theirs).parameters.values())
    except (ValueError, TypeError):
        parameters = [inspect.Parameter(p, inspect.Parameter.POSITIONAL_OR_KEYWORD) for p in own]
    anything = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    options = {p.name: p.default for p in inspect.signature(_formula(name)).parameters.values() if p.name not in own}
    called = _called(parameters, options)
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in places if p.default is p.empty and p.name not in called.values()]
    bases = []
    by_name = tuple(ALIASES.get(p.name, p.name) for p in needed)
    if _can_name(by_name, reference):
        bases.append(by_name)
    if anything or len(needed) <= len(own) <= len(places):
        bases.append(tuple(own))
    fixed = {key: default for key, default in options.items() if key not in called}
    stands = [fixed]
    if "variance" in fixed:
        stands += [{**fixed, "variance": other} for other in ("beta", "posterior") if other != fixed["variance"]]
    found = {}
    for base, stand in itertools.product(bases, stands):
        for names in _variants(base):
            under = _what_changed(names, own)
            if stand != fixed:
                symbol = r"\beta_t" if stand["variance"] == "beta" else r"\tilde\beta_t"
                under += named(f"variance = {stand['variance']!r} only", rf"\sigma_t^2 = {symbol}")
            key = (names, stand.get("variance"))
            found.setdefault(key, _Call(under, names, tuple(stand.items()), tuple(called.items())))
    return sorted((call for call in found.values() if call.under.cost <= 2), key=lambda call: call.under.cost)


OPTIONS = {
    "beta_1": ("beta_start", "linear_start", "start"),
    "beta_T": ("beta_end", "linear_end", "end"),
    "beta_min": ("beta_0",),
    "gamma": ("snr_gamma", "min_snr_gamma"),
}


def _called(parameters, options):
    """Return the options of ours that theirs takes by name, each with the name that it has there."""
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    keywords = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    found = {}
    for key in options:
        names = [other for other in (key, *OPTIONS.get(key, ())) if other in keywords]
        if names or anything:
            found[key] = names[0] if names else key
    return found


def _can_name(names, reference):
    """Whether each name is that of a quantity."""
    if not names:
        return False
    for name in names:
        try:
            reference.table.quantity(f"{name} 1" if name.endswith(" from") else name)
        except (KeyError, ValueError, AttributeError):
            return False
    return True


def _variants(base):
    """Yield the names of quantities in place of those of a call: as they are, and what may stand for them."""
    choices = []
    for name in base:
        if name.endswith(" from"):
            choices.append([f"{name} 1", f"{name} 0"])
        elif name == "schedule":
            choices.append(["schedule", "beta from 1", "beta from 0"])
        elif name in ("t", "s"):
            choices.append([name, f"{name} from 0"])
        elif name in PREDICTIONS and "x_t" in base:
            choices.append([name, *(other for other in PREDICTIONS if other != name)])
        elif name == "denoiser":
            choices.append([name, *(f"denoiser of {other}" for other in ("x_0", "v", "score"))])
        else:
            choices.append([name])
    for names in itertools.product(*choices):
        if ("s from 0" in names) == ("t from 0" in names) or "s" not in base:
            yield names


def _what_changed(names, own):
    """Return the reparametrisation that the names of quantities amount to, beside the parameters of ours."""
    under = NONE
    predictions = [name for name in own if name in PREDICTIONS and name not in names]
    given = [name for name in names if name in PREDICTIONS and name not in own]
    for name, instead in zip(given, predictions):
        under += named(f"{name} in place of {instead}", MAPS[name] if name != "x_0" else MAPS[instead])
    arrays = [name for name in names if " from " in name and name[:2] not in ("t ", "s ")]
    if arrays and "schedule" in own:
        said = " and ".join(dict.fromkeys(array.partition(" ")[0] for array in arrays))
        formula = r", \;".join(
            rf"({GREEK.get(array.partition(' ')[0], 'a')}_{array[-1]}, \ldots)" for array in dict.fromkeys(arrays)
        )
        from_0 = all(array.endswith("1") for array in arrays)
        if from_0 and "t from 0" in names:
            return under + named(f"arrays of {said} for a schedule, all counted from 0", rf"{formula}, \; t' = t - 1")
        # arrays with an entry 0 that are indexed by t, or (from 1) by something else than t
        first = "1" if from_0 else "0"
        under += named(f"an array of {said}, t = {first}..T, for a schedule", formula, 1 if from_0 else 2)
    if "t from 0" in names:
        under += named("t counted from 0", r"t' = t - 1")
    for name in names:
        if name.startswith("denoiser of "):
            what = name.removeprefix("denoiser of ")
            under += named(f"a denoiser that predicts {what} in place of eps", MAPS[what])
    return under


def _constant(judged, precision):
    """Return (Reparametrisation, note, nats) if theirs / ours is one number, or theirs - ours a constant of each t."""
    if any(j.pair.ours.ndim != 1 for j in judged):
        return None
    ours, theirs = (np.concatenate([getattr(j.pair, which) for j in judged]) for which in ("ours", "theirs"))
    slack = 2 * np.concatenate([j.allowed for j in judged]) + 1e-15 * (np.abs(ours) + np.abs(theirs))
    with np.errstate(all="ignore"):
        ratio, shift = theirs / ours, theirs - ours
        slack_of_ratio = slack * (1 + np.abs(ratio)) / np.abs(ours)
    if not np.isfinite(shift).all():
        return None
    best = int(np.argmin(slack_of_ratio))
    if ratio[best] > 0 and (np.abs(ratio - ratio[best]) <= slack_of_ratio + slack_of_ratio[best]).all():
        note = "as an objective: its minimum is the same; its value is another, and no bound"
        return named(f"up to the factor {ratio[best]:.6g}", rf"{ratio[best]:.6g}\,L"), note, None
    note = "as an objective: its gradient is the same; its value is another, and no bound"
    if (np.abs(shift - shift[0]) <= slack + slack[0]).all():
        c = float(shift[0])
        return named(f"up to the constant {c:.6g} nats", rf"L + ({c:.6g})"), note, abs(c)
    repeated, at = 0, 0
    for j in judged:
        rows = slice(at, at + len(j.pair.ours))
        at += len(j.pair.ours)
        steps = np.zeros(len(j.pair.ours)) if j.pair.t is None else j.pair.t
        for t in np.unique(steps):
            group, most = shift[rows][steps == t], slack[rows][steps == t].max()
            repeated += len(group) > 1
            if np.ptp(group) > 2 * most:
                return None
    if not repeated:
        return None
    first = judged[0]
    t = "" if first.pair.t is None else f"t = {int(first.pair.t[0])} of "
    note = f"{note}; at {t}{first.reference.table.label} the constant is {shift[0]:.6g} nats"
    return named("up to a constant that depends on t only", r"L_t + c_t"), note, abs(float(shift[0]))


def _proportional(judged):
    """Return a note if theirs is ours times one number, or plus one number: worth knowing, but no excuse."""
    if len({j.pair.part for j in judged}) > 1:
        return []
    ours, theirs = (np.concatenate([np.ravel(getattr(j.pair, which)) for j in judged]) for which in ("ours", "theirs"))
    known = np.isfinite(ours) & (ours != 0)
    if known.sum() < 3 or not np.isfinite(theirs[known]).all():
        return []
    ratio, shift = theirs[known] / ours[known], theirs[known] - ours[known]
    if np.ptp(ratio) <= 1e-7 * abs(ratio[0]) and abs(ratio[0]) > 0 and abs(ratio[0] - 1) > 1e-6:
        return [f"theirs is {ratio[0]:.6g} times ours, everywhere"]
    if np.ptp(shift) <= 1e-7 * abs(shift[0]) and shift[0]:
        return [f"theirs is ours {shift[0]:+.6g}, everywhere"]
    return []


def _text(value):
    """Return numbers as a reader would write them down."""
    if isinstance(value, Gaussian):
        return f"N({_text(value.mean)}, {_text(value.var)})"
    if isinstance(value, FullGaussian):
        return f"N({_text(value.mean)}, {np.round(value.cov, 6).tolist()})"
    if isinstance(value, str):
        return repr(value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return type(value).__name__
    if array.size == 1:
        return f"{float(array.ravel()[0]):.6g}"
    if array.size > 12:
        return f"[{', '.join(f'{x:.6g}' for x in array.ravel()[:3])}, ...]"
    return "[" + ", ".join(_text(x) for x in array) + "]"


def _numbers(judged, row, table, nats):
    """Return a counter-example in numbers: the arguments of a row, and what both make of it."""
    said = []
    pair = judged[0].pair
    if row is not None and pair.t is not None:
        t = int(pair.t[row])
        said.append(f"t = {t}")
        if table.schedule is not None and 1 <= t <= table.schedule.T:
            s = table.schedule
            said.append(f"beta_t = {s.beta[t]:.6g}")
            said.append(f"alpha_bar_t = {s.alpha_bar[t]:.6g}, alpha_bar_{{t-1}} = {s.alpha_bar[t - 1]:.6g}")
    by_row = table.n is not None and row is not None
    for name, value in table.arguments.items():
        if name in ("t", "schedule") or isinstance(value, Schedule):
            continue
        if isinstance(value, Linear):
            said.append(f"{name}(x_t, t) = {value}")
        elif name in table.rows and by_row:
            said.append(f"{name} = {_text(_row(value, row))}")
        elif name not in table.rows:
            said.append(f"{name} = {_text(value)}")
    if table.options:
        said += [f"{key} = {_text(value)}" for key, value in table.options.items() if not isinstance(value, str)]
    both = []
    for j in judged:
        ours, theirs = j.pair.ours, j.pair.theirs
        if row is not None and np.ndim(ours) and len(ours) > row:
            if not np.any(j.wrong[row]):
                continue
            ours, theirs = ours[row], theirs[row]
        what = "" if j.pair.part == "value" else f"{j.pair.part} = "
        both.append(f"theirs gives {what}{_text(theirs)}, ours {_text(ours)}")
    return ", ".join(said) + (": " if said else "") + "; ".join(both) + ("" if nats is None else f" ({nats:.6g} nats)")
