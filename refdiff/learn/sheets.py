r"""The files that a learner writes in: a signature, a docstring with its equation, and a blank.

Signature and docstring are cut out of the library, so that nothing is written twice.
"""

import ast
import inspect
import re
import textwrap
from pathlib import Path

from refdiff.files import whole
from refdiff.learn.answer import known
from refdiff.learn.exercises import exercises
from refdiff.learn.sources import find, source
from refdiff.schedule import Schedule

__all__ = ["blank", "blanks", "defined", "docstring", "home", "is_blank", "sheet", "signature", "start"]

OBJECTS = {  # what a method's function takes first: its name, its type, and what is asked of it
    "Gaussian": ("law", "Gaussian", "With ``law.mean`` and ``law.var``, both of shape (..., d)."),
    "FullGaussian": ("law", "FullGaussian", "With ``law.mean``, shape (d,), and ``law.cov``, shape (d, d)."),
    "Schedule": ("schedule", "Schedule", "Its arrays have T + 1 entries; entry 0 is clean data."),
    "GaussianMixture": (
        *("mixture", "GaussianMixture"),
        "With ``mixture.weights``, shape (K,), ``mixture.means`` and ``mixture.variances``, both of shape (K, d).",
    ),
    "AdamW": (
        *("adam", "AdamW"),
        "With ``adam.step``, ``adam.first_moment``, ``adam.second_moment``, ``adam.beta_1``, ``adam.beta_2``,"
        " ``adam.epsilon`` and ``adam.weight_decay``.",
    ),
}
IMPORTS = {  # of the laws that a chapter's functions may return
    "gaussian": "from refdiff.gaussian import FullGaussian, Gaussian\n",
    "schedule": "from refdiff import Schedule\n",
    "likelihood": "from refdiff import Gaussian\n",
}
OPENING = '''"""Exercises of the chapter `{chapter}`. Write what is missing, save, and ask: `refdiff learn check`.

t = 1..T as on paper; arrays of a schedule have T + 1 entries, entry 0 is clean data. Points are (..., d): coordinates
on the last axis. Where t is one per point, `t = schedule.index(t, x)` lines it up with them. Where a docstring says
Gaussian, the pair (mean, var) will do.
"""

import numpy as np
{imports}'''


def signature(exercise):
    """Return the arguments of the function to write, as text.

    Examples
    --------
    >>> from refdiff.learn.exercises import exercises
    >>> signature(exercises()[0]), signature(exercises()[5])
    ('law, x', 'beta')
    """
    if exercise.signature:
        return exercise.signature.replace("'", '"')
    if exercise.array:
        return "beta"
    arguments = ast.parse(source(exercise.original)).body[0].args
    names = ast.unparse(arguments).replace("'", '"')
    if first := _object(exercise):
        return ", ".join([first[0], *names.split(", ")[1:]])
    return names.removeprefix("cls, ")


def _object(exercise):
    """Return what the function of a method takes first: name, type and description; of any other function None."""
    *_, owner, name = exercise.original.split(".")
    if owner not in OBJECTS or isinstance(inspect.getattr_static(find(_owner(exercise)), name), classmethod):
        return None
    return OBJECTS[owner]


def _owner(exercise):
    return exercise.original.rpartition(".")[0]


def docstring(exercise):
    """Return what the library's docstring says of the equation, the parameters and what is returned.

    Examples
    --------
    >>> from refdiff.learn.exercises import exercises
    >>> docstring(exercises()[1]).splitlines()[0]
    'Return the differential entropy, summed over the last axis, in nats.'
    """
    if exercise.array:
        return _of_an_array(exercise)
    parts = _sections(inspect.getdoc(find(exercise.original)))
    words, first = parts[""], _object(exercise)
    if "math::" not in words and first and first[1] != "Schedule":  # of a method whose class has the equation
        words += "\n\n" + "\n\n".join(_equations(_sections(inspect.getdoc(find(_owner(exercise))))[""]))
    words, returns = exercise.summary or words, exercise.returns or parts.get("Returns", "")
    if "math::" not in words:
        words += f"\n\n{_equation(exercise)}"
    parameters = parts.get("Parameters", "")
    if exercise.signature:
        parameters = _only(parameters, re.findall(r"(\w+)(?:=[^,]*)?(?:, |$)", exercise.signature))
    if first:
        parameters = f"{first[0]} : {first[1]}\n{textwrap.indent(textwrap.fill(first[2], 100), '    ')}\n{parameters}"
    text = words.strip()
    for title, body in (("Parameters", parameters), ("Returns", returns)):
        if body.strip():
            text += f"\n\n{title}\n{'-' * len(title)}\n{body.rstrip()}"
    return _plain(text, exercise.chapter)


def _of_an_array(exercise):
    """Return the docstring of a function of beta, from what the schedule's says of its array."""
    told = _sections(inspect.getdoc(Schedule))["Attributes"]
    about = [body for names, body in _entries(told) if names.partition(" :")[0].split(", ")[-1] == exercise.array]
    about = " ".join("".join([*about, "" if about else "Entry 0 is that of clean data."]).split())
    return _plain(
        f"Return {exercise.array}_0, ..., {exercise.array}_T for the variances beta_1..beta_T."
        f"\n\n{_equation(exercise)}"
        "\n\nParameters\n----------\nbeta : ndarray, shape (T,)\n    beta[0] is beta_1."
        f"\n\nReturns\n-------\nndarray, shape (T + 1,)\n{textwrap.indent(textwrap.fill(about, 100), '    ')}".rstrip(),
        exercise.chapter,
    )


def _equation(exercise):
    """Return what the catalogue states, as a docstring has it."""
    options = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": "    "}
    return textwrap.fill(f".. math:: {known()[exercise.name].states}", 100, **options)


def _sections(text):
    """Return the parts of a docstring by title; what stands above the first one under an empty title."""
    parts = re.split(r"^([A-Z]\w+)\n-+\n", text, flags=re.MULTILINE)
    return {"": parts[0].strip(), **{title: body.rstrip() for title, body in zip(parts[1::2], parts[2::2])}}


def _equations(words):
    return [one for one in words.split("\n\n") if one.lstrip().startswith(".. math::")]


def _entries(section):
    """Return the head and the body of each entry of a list of parameters."""
    return re.findall(r"^(\S[^\n]*)\n((?:[ ]+[^\n]*\n?|\n)*)", section + "\n", flags=re.MULTILINE)


def _only(section, names):
    """Return the entries of some parameters; those without words of their own are left as their names."""
    kept = []
    for head, body in _entries(section):
        listed, colon, kind = head.partition(" : ")
        listed = [name for name in listed.split(", ") if name in names]
        if listed:
            kept.append(f"{', '.join(listed)}{colon}{kind}\n{body}".rstrip())
    return "\n".join(kept)


def _plain(text, chapter):
    """Return a docstring without the roles of Sphinx, which nobody follows in an editor."""
    text = re.sub(r":func:`(\w+)`", rf"`{chapter}.\1`", text)
    return re.sub(r":[a-z]+:`~?(?:refdiff\.)?([\w.]+)`", r"`\1`", text)


def blank(some):
    """Return the text of one function that one or more exercises ask for."""
    first = some[0]
    heads = "\n".join(f"# {one.number}  {one.name}  ({one.derivation})" for one in some)
    words = textwrap.indent(docstring(first), "    ").strip()
    return (
        f'{heads}\ndef {first.function}({signature(first)}):\n    r"""{words}\n    """\n    raise NotImplementedError\n'
    )


def sheet(chapter, some):
    """Return the text of a file with these exercises of a chapter."""
    functions = {}
    for one in some:
        functions.setdefault(one.function, []).append(one)
    opening = OPENING.format(chapter=chapter, imports=IMPORTS.get(chapter, ""))
    return "\n\n".join([opening, *map(blank, functions.values())])


def home(folder, exercise):
    """Return the file in which the function of an exercise is, or in which one would look for it first."""
    first, more = _files(folder, exercise.chapter)
    return more if exercise.function not in defined(first) and exercise.function in defined(more) else first


def _files(folder, chapter):
    return Path(folder) / f"{chapter}.py", Path(folder) / f"{chapter}_more.py"


def defined(path):
    """Return the names of the functions that a file defines, as far as its text says; it need not be right."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(re.findall(r"^(?:async\s+)?def\s+(\w+)", text, re.MULTILINE)) | set(
        re.findall(r"^(\w+)\s*=[^=]", text, re.MULTILINE)
    )


def blanks(path):
    """Return the names of functions that nobody has written anything in; none where the file cannot be parsed."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    last = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            last[node.name] = is_blank(node)
        else:
            last |= {name.id: False for name in ast.walk(node) if isinstance(name, ast.Name)}
    return {name for name, empty in last.items() if empty}


def is_blank(node):
    """Return whether a function's body is what it was when the file was written, or no more than that."""
    words = isinstance(node.body[0], ast.Expr) and isinstance(getattr(node.body[0].value, "value", None), str)
    body = [ast.unparse(one) for one in node.body[words:]]
    return body in ([], ["raise NotImplementedError"], ["pass"], ["..."]) and not node.decorator_list


def start(folder, path=False):
    """Write the files of all exercises, or of the ten of the path; what is there is left as it is.

    A file that is there, but lacks functions, gets a second one beside it with these: ``bayes_more.py``.

    Parameters
    ----------
    folder : str or os.PathLike
        Made if it is missing.
    path : bool
        Whether to write the ten of the path only.

    Returns
    -------
    written, kept : list of str
        Names of files.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder, written, kept, chapters = Path(folder), [], [], {}
    for one in exercises(path):
        chapters.setdefault(one.chapter, []).append(one)
    for chapter, some in chapters.items():
        first, more = _files(folder, chapter)
        target = first
        if first.exists():
            kept.append(first.name)
            there, target = defined(first) | defined(more), more
            some = [one for one in some if one.function not in there]
            if more.exists():
                kept.append(more.name)
                continue
        if some:
            with whole(target) as unfinished:
                unfinished.write_text(sheet(chapter, some), encoding="utf-8")
            written.append(target.name)
    return written, kept
