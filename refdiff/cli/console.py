r"""What the commands share: progress, exit codes of verdicts, lines of a table, files written whole."""

import sys

from refdiff import cli
from refdiff.files import whole

__all__ = ["exit_code", "line", "progress", "write_text"]


def progress(total, what):
    """Return a progress bar on stderr, which stays silent where stderr is not a terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)


def line(verdict):
    """Return a verdict as one line: key, claimed, measured, error, verdict."""
    known = f"claimed {verdict.claimed:< 12.6g} measured {verdict.measured:< 12.6g}"
    detail = verdict.message or f"exact error {verdict.error:.0e}, p {verdict.p_value:.0e}"
    if verdict.holds:
        detail += f", would have caught {100 * verdict.detects:.2g} %"
    elif not verdict.message:
        detail = f"{verdict.what}; {detail}; {verdict.case}"
    return f"{verdict.status:<12} {verdict.key:<36} {known} {detail}"


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
