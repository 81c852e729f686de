r"""Somebody's own function in the place of refdiff's, judged where it stands: in a notebook, in a line."""

import ast
import dataclasses
import importlib
import inspect
import re
from dataclasses import dataclass
from html import escape

from refdiff import verify
from refdiff.learn.layers import OWN, SOURCES
from refdiff.learn.sources import find, has_source, source
from refdiff.schedule import Schedule
from refdiff.verify.evidence import REFUSAL
from refdiff.verify.report import Verdict

__all__ = ["Answer", "Heard", "Solution", "answer", "check", "known", "resolve", "solution"]

ARRAYS = {field.name for field in dataclasses.fields(Schedule)}  # what a schedule is asked for as a function of beta
FROM_BETAS = "schedule.Schedule.from_betas"


@dataclass(frozen=True)
class Answer:
    """What the judge says of somebody's function: true where it is right.

    Attributes
    ----------
    key : str
        Of the identity.
    replaces : tuple of str
        The names of refdiff in whose place the functions stood.
    verdict : Verdict or None
        None where there is nothing to judge yet.
    says : str
        The answer in a sentence, and a counter-example where there is one.
    """

    key: str
    replaces: tuple
    verdict: Verdict | None
    says: str

    @property
    def solved(self):
        """Whether the identity holds; what a function should refuse, and does not, is only mentioned."""
        return self.verdict is not None and (self.verdict.holds or self.verdict.what.endswith(REFUSAL))

    def __bool__(self):
        return self.solved

    def __repr__(self):
        mark = "✓" if self.solved else "…" if self.verdict is None else "✗"
        return f"{mark} {self.key}: {self.says}"

    def _repr_html_(self):
        colour = "#2e8b57" if self.solved else "#8a6d00" if self.verdict is None else "#c0392b"
        style = f"border-left: .25rem solid {colour}; padding: .3rem .8rem; white-space: pre-wrap"
        return f'<div style="{style}">{escape(repr(self))}</div>'


class Solution(str):
    """The library's own source, shown as code."""

    __slots__ = ()

    def __repr__(self):
        return str(self)

    def _repr_markdown_(self):
        return f"```python\n{self}\n```"


def known():
    """Return all identities that a function of yours can be judged by: the catalogue's, and those of the exercises."""
    return verify.CATALOGUE | OWN


def resolve(key):
    """Return the key of an identity: as it stands, or its name without the chapter, with dots for underscores.

    Raises
    ------
    ValueError
        If no identity is called so, or more than one.

    Examples
    --------
    >>> resolve("posterior.mean")
    'bayes.posterior_mean'
    """
    identities = known()
    if key in identities:
        return key
    name = key.replace(".", "_")
    found = [one for one in identities if one.partition(".")[2] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{key!r} may be {' or '.join(found)}; give the whole key.")
    from difflib import get_close_matches

    near = get_close_matches(key, identities, 3, 0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`refdiff show` lists them."
    raise ValueError(f"no identity is called {key!r}. {hint}")


def check(key, function=None, **functions):
    """Judge a function of yours in the place of refdiff's, by the evidence of one identity.

    Parameters
    ----------
    key : str
        Of the identity: ``"bayes.posterior_mean"``, or ``"posterior.mean"`` for short.
    function : callable
        With the arguments of refdiff's function, and what it returns. A law may be the pair (mean, var). For an array
        of a schedule, such as "schedule.beta_tilde", a function of beta_1..beta_T that returns T + 1 numbers, entry 0
        for clean data.
    **functions : callable
        Where an identity is about several functions: each under the name of refdiff's. Those that you leave out are
        refdiff's own. For the methods of a class, the class's name and theirs, joined by two underscores:
        ``GaussianMixture__score=...``.

    Returns
    -------
    Answer
        True where the identity holds; it prints itself. What your function raises or prints does not stop anything.

    Raises
    ------
    ValueError
        If there is no such identity, or it is not about a function of that name.

    Examples
    --------
    >>> from refdiff import Gaussian, bayes
    >>> def posterior(schedule, x_0, x_t, t):
    ...     return bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)]
    >>> check("posterior.mean", posterior).solved
    True
    >>> print(check("posterior.var", posterior).says)
    posterior is refuted. beta = (0.36, 0.75), alpha_bar = (0.64, 0.16), t = 1, x_0 = 2, x_t = 1:
    Var[x_{t-1} | x_t, x_0] claimed 0.36, in truth 0
    """
    key = resolve(key)
    return answer(key, _by_dotted_name(known()[key], function, functions))


def answer(key, given, *, time_limit=20.0, heard=None):
    """Judge functions under the dotted names that they replace, by one identity.

    Parameters
    ----------
    key : str
        Of the identity, in full.
    given : dict
        Dotted name to function.
    time_limit : float
        Seconds for one piece of evidence.
    heard : Heard, optional
        Who listens to the functions while they are judged.

    Returns
    -------
    Answer
    """
    replaces, names = tuple(given), ", ".join(_spoken(name, key) for name in given)
    heard = Heard() if heard is None else heard
    report = verify.judge(
        Classroom(_refdiff(), {name: heard(_fitted(name, key, one), _is_silent(name)) for name, one in given.items()}),
        only=key,
        budget="quick",
        time_limit=time_limit,
    )
    verdict = report.verdicts[key]
    if heard.unwritten and not verdict.holds:
        return Answer(key, replaces, None, f"{names} is not written yet: it returns nothing.")
    if verdict.holds:
        caught = sum(key in erratum.rejected_by for erratum in verify.ERRATA.values())
        wrong = f"{caught} wrong versions" if caught > 1 else "A wrong version"
        wrong = f" {wrong}, known from print or practice, would not." if caught else ""
        return Answer(key, replaces, verdict, f"{names} holds.{wrong}")
    if verdict.what.endswith(REFUSAL):
        return Answer(key, replaces, verdict, f"{names} holds. Not asked of you, but of refdiff's: {verdict.what}.")
    if verdict.status == "inconclusive":
        return Answer(key, replaces, verdict, f"{names} could not be judged: {verdict.why}")
    if verdict.smallest is not None:
        where, _, what = str(verdict.smallest).partition(": ")
        lined_up = "".join(f"\n{LINE_UP}" for one in given.values() if _leaves_t_alone(one))
        return Answer(key, replaces, verdict, f"{names} is refuted. {where}:\n{what}{lined_up}")
    why = verdict.why.removeprefix(f"{', '.join(verdict.functions)}: ")
    return Answer(key, replaces, verdict, f"{names} is refuted: {why.removesuffix('.')}.")


def solution(key):
    """Return the source of refdiff's own functions for an identity, without docstrings.

    A function that only hands its arguments to another one is followed by that one, where the equation stands.

    Examples
    --------
    >>> solution("gaussian.bits")
    def bits(nats):
        return real(nats, "nats") / math.log(2)
    """
    key = resolve(key)
    judged = [SOURCES.get(name, name) for name in known()[key].judges]
    if FROM_BETAS in judged and _short(key) in ARRAYS:
        return Solution(f"{source('schedule.running_sum', docstrings=False)}\n\n\n{_lines_of_array(_short(key))}")
    names = [name for name in judged if has_source(name)]
    for name in names:  # which grows
        names += [beneath for beneath in _handed_to(name) if beneath not in names]
    parts = [source(name, docstrings=False) for name in names]
    if any("schedule.beta_tilde" in part for part in parts):
        parts.append(f"# in Schedule: {_lines_of_array('beta_tilde').splitlines()[-1]}")
    return Solution("\n\n\n".join(parts))


def _handed_to(dotted):
    """Return the names of the functions where the equation goes on.

    Those are the function whose call, or an attribute of it, is all that a function returns, and public ones of its
    own file that it calls.
    """
    function, whole = find(dotted), ast.parse(source(dotted, docstrings=False)).body[0]
    value = whole.body[0].value if len(whole.body) == 1 and isinstance(whole.body[0], ast.Return) else None
    while isinstance(value, ast.Attribute):
        value = value.value
    handed = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else None
    calls = [node.func for node in ast.walk(whole) if isinstance(node, ast.Call)]
    public = importlib.import_module(f"refdiff.{dotted.partition('.')[0]}").__all__
    found = []
    for name in dict.fromkeys(one.id for one in calls if isinstance(one, ast.Name)):
        beneath = getattr(function, "__globals__", {}).get(name)
        if not inspect.isfunction(beneath) or not beneath.__module__.startswith("refdiff."):
            continue
        if name == handed or (beneath.__module__ == function.__module__ and name in public):
            found.append(f"{beneath.__module__.removeprefix('refdiff.')}.{beneath.__qualname__}")
    return found


def _lines_of_array(array):
    """Return the lines of the library that make one array of a schedule, and those that it is made of."""
    lines = {}
    for name in (FROM_BETAS, "schedule.Schedule._from_logs"):
        for node in ast.walk(ast.parse(source(name, docstrings=False))):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                lines.setdefault(node.targets[0].id, []).append(node.value)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values):
                    if key.value != ast.unparse(value):
                        lines.setdefault(key.value, []).append(value)
    wanted, told = [array], []
    for name in wanted:  # which grows
        parts = [part for value in lines.get(name, ()) for part in ast.walk(value) if isinstance(part, ast.Name)]
        wanted += [part.id for part in parts if part.id in lines and part.id not in wanted]
    for name, values in lines.items():
        if name in wanted and name != "beta":
            told += [f"{name} = {ast.unparse(value)}" for value in values]
    return "\n".join(line for line in told if "np.inf" not in line)  # where the last beta is 1


class Classroom(verify.Provided):
    """refdiff with some functions replaced, and the identities of the exercises beside those of the catalogue."""

    identities = OWN


LINE_UP = "t may also be one for each point: t = schedule.index(t, x) lines it up with points x."


def _leaves_t_alone(function):
    """Return whether a function of a schedule and points uses t as it comes: the likeliest slip of a beginner."""
    try:
        names, text = set(inspect.signature(function).parameters), inspect.getsource(function)
    except (TypeError, ValueError, OSError):
        return False
    return {"schedule", "t"} < names and "schedule.index(" not in text and "[t]" in text


def _is_empty(function):
    """Return whether a function has no body but an ellipsis or a docstring."""

    def empty(): ...

    code = getattr(function, "__code__", empty.__code__)
    return code.co_code[::2] == empty.__code__.co_code[::2]  # the operations without their arguments


def _is_silent(dotted):
    """Return whether refdiff's own function changes something in place, and returns nothing."""
    return not re.search(r"^(Returns|Yields)$", inspect.getdoc(find(SOURCES.get(dotted, dotted))) or "", re.MULTILINE)


def _refdiff():
    return importlib.import_module("refdiff")


def _short(dotted):
    """Return a name without its chapter."""
    return dotted.partition(".")[2]


def _spoken(dotted, key):
    """Return the name that an answer uses: of an array of a schedule, that array's."""
    return _short(key) if dotted == FROM_BETAS and _short(key) in ARRAYS else _short(dotted)


def _by_dotted_name(identity, function, functions):
    """Return the functions given under the dotted names that they replace."""
    known = {_short(name).replace(".", "__"): name for name in identity.judges}
    if function is not None:
        name = getattr(function, "__name__", "").removeprefix("my_")
        own = next((dotted for short, dotted in known.items() if short.split("__")[-1] == name), identity.judges[0])
        functions = {own.partition(".")[2].replace(".", "__"): function, **functions}
    if not functions:
        raise ValueError(f"{identity.key} needs a function of yours, in the place of {', '.join(identity.judges)}.")
    for name, one in functions.items():
        if name not in known:
            raise ValueError(f"{identity.key} is not about {name!r}, but about {', '.join(known)}.")
        if not callable(one):
            raise ValueError(f"{name} must be a function; got {one!r}. Usual cause: it was called, not handed over.")
    return {known[name]: one for name, one in functions.items()}


def _fitted(dotted, key, function):
    """Return a function as the judge calls it: one of beta alone makes an array of a schedule."""
    array = key.partition(".")[2]
    if dotted != FROM_BETAS or array not in ARRAYS:
        return function

    def from_betas(beta, *, last_may_be_one=False):
        whole = Schedule.from_betas(beta, last_may_be_one=last_may_be_one)
        made = function(whole.beta[1:].copy())
        return None if made is None else dataclasses.replace(whole, **{array: made})

    return from_betas


class Heard:
    """Listens whether functions answer at all, and in which line of a file they fail.

    Parameters
    ----------
    path : str, optional
        Of that file.

    Attributes
    ----------
    unwritten : bool
        Whether one returned nothing, or said that it is not written.
    line : int or None
        Where the last one failed.
    """

    def __init__(self, path=None):
        self.path, self.unwritten, self.line = path, False, None

    def __call__(self, function, silent=False):
        """Return the function as the judge may call it; a silent one may return nothing."""
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            signature = None

        def answered(*args, **options):
            try:
                found = function(*args, **options)
            except BaseException as error:
                self.unwritten |= isinstance(error, NotImplementedError)
                self.line = line_of(error, self.path)
                raise
            if found is ... or (found is None and (not silent or _is_empty(function))):
                self.unwritten = True
                raise NotImplementedError("it returns nothing")
            return self._followed(found)

        answered.__signature__, answered.__name__ = signature, getattr(function, "__name__", "function")
        return answered

    def _followed(self, found):
        """Return what a function returned; of a function in it, it shall be known as well where it fails."""
        if inspect.isfunction(found):
            return self(found)
        if type(found) is tuple and any(inspect.isfunction(one) for one in found):
            return tuple(self._followed(one) for one in found)
        return found


def line_of(error, path):
    """Return the last line of a file that was running when an error was raised; None if none was."""
    trace, line = error.__traceback__, None
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == path else line
        trace = trace.tb_next
    return line
