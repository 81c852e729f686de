r"""What the commands share: progress, exit codes of verdicts, lines of a table, files written whole."""

import math
import sys

from refdiff import cli
from refdiff.files import whole

__all__ = ["EXPLAINED", "HEAD", "exit_code", "line", "progress", "write_text"]


def progress(total, what):
    """Return a progress bar on stderr, which stays silent where stderr is not a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)


HEAD = f"{'verdict':<12} {'identity':<34} {'claimed':>12} {'measured':>12} {'error':>6} {'p':>6} {'catches':>8}"
EXPLAINED = (
    "error: the largest relative error on the exact route; p: the smallest p-value of the Monte Carlo route;\n"
    "catches: the smallest relative error that the Monte Carlo route would have caught with probability .99."
)


def line(verdict):
    """Return a verdict as one line of the table under HEAD, and a second one that says why if it does not hold."""
    found = f"{verdict.claimed:>12.6g} {verdict.measured:>12.6g} {verdict.error:>6.0e} {verdict.p_value:>6.0e}"
    catches = f"{100 * verdict.detects:>6.2g} %" if verdict.detects < math.inf else f"{'–':>8}"
    row = f"{verdict.status:<12} {verdict.key:<34} {found} {catches}"
    if verdict.holds:
        return row
    return f"{row}\n{'':<12} {verdict.message or f'{verdict.what}, on {verdict.case}'}"


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


def write_text(path, text):
    """Write text to a file that appears whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
