r"""The source of a public name, as somebody wants to read it: in full, or without its docstring."""

import ast
import importlib
import inspect
import textwrap

__all__ = ["find", "has_source", "source"]


def find(dotted):
    """Return what a dotted name below refdiff stands for; of a property or class method, the function.

    Parameters
    ----------
    dotted : str
        Such as ``"bayes.posterior"`` or ``"schedule.Schedule.from_betas"``.

    Raises
    ------
    AttributeError
        If there is no such name.

    Examples
    --------
    >>> find("schedule.Schedule.linear").__name__
    'linear'
    """
    names = dotted.split(".")
    for upto in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(["refdiff", *names[:upto]]))
        except ModuleNotFoundError:
            continue
        for name in names[upto:]:
            found = inspect.getattr_static(found, name)
        found = getattr(found, "fget", None) or getattr(found, "__func__", found)
        return getattr(found, "py_func", found)  # the page that one reads, not the kernel that was compiled from it
    raise AttributeError(f"refdiff has no {dotted!r}")


def has_source(dotted):
    """Return whether a name stands for a function or class; a plain attribute has no source of its own.

    Examples
    --------
    >>> has_source("gaussian.kl"), has_source("gaussian.LOG_2_PI")
    (True, False)
    """
    return inspect.isfunction(find(dotted)) or inspect.isclass(find(dotted))


def source(dotted, docstrings=True):
    """Return the source of a function or class.

    Parameters
    ----------
    dotted : str
        As for :func:`find`.
    docstrings : bool
        Whether they are kept; without them a function is little more than its equation.

    Returns
    -------
    str

    Examples
    --------
    >>> print(source("gaussian.bits", docstrings=False))
    def bits(nats):
        return real(nats, "nats") / math.log(2)
    """
    text = textwrap.dedent(inspect.getsource(find(dotted))).strip("\n")
    if docstrings:
        return text
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            first, last = node.body[0].lineno, node.body[0].end_lineno
            lines[first - 1 : last] = [None] * (last - first + 1)
    return "\n".join(line for line in lines if line is not None)
