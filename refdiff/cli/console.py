r"""What the commands share: progress, exit codes, lines of a table, code and data by name, files written whole."""

import importlib
import importlib.util
import math
import sys
from contextlib import contextmanager
from pathlib import Path

from refdiff import cli
from refdiff.files import whole

__all__ = [
    *("EXPLAINED", "HEAD", "exit_code", "line", "load_attribute", "mixture_of", "no_such", "progress", "write_text"),
]


@contextmanager
def progress(total, what):
    """Yield a progress bar on stderr, which stays silent where stderr is not a terminal.

    It says so where kernels are compiled: that takes seconds, at the first use of all.
    """
    from tqdm import tqdm

    from refdiff.kernels.streams import announce

    bar = tqdm(total=total, desc=what, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)
    begin, end = (lambda: bar.set_description("compiling kernels, once")), (lambda: bar.set_description(what))
    with bar, announce(begin, end):
        yield bar


HEAD = f"{'verdict':<12} {'identity':<34} {'claimed':>12} {'measured':>12} {'error':>6} {'p':>6} {'catches':>8}"
EXPLAINED = (
    "claimed, measured: the numbers of the comparison or statistic that comes nearest to failing;\n"
    "error: the largest relative error on the exact route; p: the smallest p-value of the Monte Carlo route;\n"
    "catches: the smallest relative error that the Monte Carlo route would have caught with probability .99."
)


def line(verdict):
    """Return a verdict as one line of the table under HEAD, and lines that say why if it does not hold."""
    found = f"{verdict.claimed:>12.6g} {verdict.measured:>12.6g} {verdict.error:>6.0e} {verdict.p_value:>6.0e}"
    if math.isnan(verdict.claimed) and math.isnan(verdict.measured):
        found = f"{'–':>12} {'–':>12} {'–':>6} {'–':>6}"
    catches = f"{100 * verdict.detects:>6.2g} %" if verdict.detects < math.inf else f"{'–':>8}"
    row = f"{verdict.status:<12} {verdict.key:<34} {found} {catches}"
    if verdict.holds:
        return row
    rows = [row, f"{'':<12} {verdict.why}"]
    if verdict.smallest is not None:
        rows.append(f"{'':<12} smallest: {verdict.smallest}")
    return "\n".join(rows)


def no_such(key, identities, errata, wanted="identity"):
    """Return the error for a key that is not known: what is near it, or which command knows it."""
    from difflib import get_close_matches

    other, command = (errata, "errata") if wanted == "identity" else (identities, "show")
    if key in other:
        return ValueError(
            f"{key!r} is an {'erratum' if command == 'errata' else 'identity'}: `refdiff {command} {key}`."
        )
    known = identities if wanted == "identity" else errata
    chapters = {one.split(".")[0] for one in identities}
    near = [one for one in known if one.endswith(f".{key}")] or get_close_matches(key, [*known, *chapters], 3, 0.6)
    hint = (
        f"Did you mean {' or '.join(near)}?"
        if near
        else f"`refdiff {'show' if wanted == 'identity' else 'errata'}` lists them."
    )
    return ValueError(f"no {wanted} or chapter is called {key!r}. {hint}")


def exit_code(report):
    """Return the exit code that a Report stands for."""
    if report.refuted:
        return cli.REFUTED
    if report.inconclusive or not report.verdicts:
        return cli.INCONCLUSIVE
    return cli.HOLDS


def mixture_of(name, label=None):
    """Return the mixture that a toy set is, or that of one class of it; or None."""
    from refdiff import GaussianMixture, toys

    law = getattr(toys, f"{name}_mixture", None)
    if law is None:
        return None
    weights, means, variances = law()
    if label is not None:  # the components are the classes
        weights, means, variances = [1.0], means[label : label + 1], variances[label : label + 1]
    return GaussianMixture(weights, means, variances)


def write_text(path, text):
    """Write text to a file that appears whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def load_attribute(text):
    """Return what ``module:attribute`` or ``path/to/file.py:attribute`` names; the attribute may be dotted.

    The module is searched in the working directory first, and a file may import its neighbours.

    Raises
    ------
    ValueError
        If there is no colon, no such module or file, no such attribute, or if importing it raises.
    """
    where, colon, attribute = text.rpartition(":")
    if not colon or not where.strip(".") or not attribute or (where[0] == "." and where[1:2] not in "./\\"):
        module, _, name = text.strip(":.").rpartition(".")
        meant = f"{module}:{name}" if module and name != "py" else f"{text.strip(':.') or 'mymodule'}:posterior"
        raise ValueError(
            f"{text!r} names nothing that can be loaded: write MODULE:ATTRIBUTE or FILE.py:ATTRIBUTE, such as {meant}."
        )
    is_file = where.endswith(".py") or "/" in where or "\\" in where
    found, path = _load_file(where) if is_file else _load_module(where), where
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = [one for one in dir(found) if not one.startswith("_")]
            raise ValueError(f"{path} has no attribute {name!r}. {_nearest(name, names)}") from None
        path = f"{path}.{name}" if ":" in path else f"{path}:{name}"
    return found


def _load_module(name):
    """Import a module by its dotted name, from the working directory first."""
    _search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _raised(name, error) from error
        near = _nearest(name, [one.stem for one in Path.cwd().glob("*.py")], "")
        raise ValueError(
            f"there is no module {name!r}, neither in the working directory, {Path.cwd()}, nor among those installed."
            f" {near or 'A file elsewhere? Write path/to/file.py:ATTRIBUTE.'}"
        ) from None
    except (Exception, SystemExit) as error:
        raise _raised(name, error) from error


def _load_file(where):
    """Import a file by its path; it becomes the module of its name, as if its folder were the working directory."""
    path = Path(where if where.endswith(".py") else f"{where}.py").resolve()
    if not path.is_file():
        near = _nearest(path.stem, [one.stem for one in path.parent.glob("*.py")], "")
        raise ValueError(f"there is no file {path}. {near}".rstrip())
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    _search(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    if loaded is None:
        sys.modules[path.stem] = module  # so that its functions can be sent to other processes
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if loaded is None:
            del sys.modules[path.stem]
        raise _raised(where, error) from error
    return module


def _search(folder):
    """Let a folder be searched first, as Python does with that of a script."""
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _raised(name, error):
    """Return the error for a module that could not be imported because its own code raised."""
    return ValueError(f"importing {name} raised {type(error).__name__}: {error}")


def _nearest(name, names, otherwise=None):
    """Return a hint at the names that are like this one, or else at those that there are."""
    from difflib import get_close_matches

    if near := get_close_matches(name, names, 3, 0.5):
        return f"Did you mean {' or '.join(near)}?"
    if otherwise is not None:
        return otherwise
    return f"It has {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}." if names else "It has no public names."
