r"""Judge refdiff, or an implementation of your own, identity by identity, on exact and on Monte Carlo evidence."""

import contextlib
import inspect
import json
import re
from types import SimpleNamespace

from refdiff import cli
from refdiff.cli.console import EXPLAINED, HEAD, exit_code, line, load_attribute, no_such, progress, write_text

HELP = "judge refdiff, or your own implementation, identity by identity"


def percent(text):
    """Return a relative error given as "1%" or "0.01"."""
    import argparse

    try:
        error = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        error = 0.0
    if not 0 < error < 1:
        raise argparse.ArgumentTypeError(f"an error such as 1% or 0.01 is wanted; got {text!r}.")
    return error


def add_arguments(command):
    command.add_argument("keys", nargs="*", metavar="KEY", help="identities or chapters, such as bayes; all by default")
    command.add_argument(
        "--implementation",
        metavar="MODULE:ATTRIBUTE",
        help="what to judge: a module or namespace with some of refdiff's names, or a scheduler of diffusers;"
        " also FILE.py:ATTRIBUTE",
    )
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    command.add_argument(
        "--budget",
        choices=("quick", "default", "thorough"),
        default="default",
        help="samples a statistic, and cases: quick and default take seconds, thorough (all errors of 0.5%%) hours",
    )
    command.add_argument(
        "--until",
        type=percent,
        metavar="ERROR",
        help="go on until relative errors of this size, such as 1%%, would have been caught; Ctrl-C at any time",
    )
    command.add_argument("--seconds", type=float, help="with --until: stop after about so many")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1); same report")
    command.add_argument(
        "--time-limit", type=float, default=60.0, metavar="S", help="seconds for one piece of evidence (default: 60)"
    )
    command.add_argument("--json", metavar="FILE", help="also write the report there")


def run(args):
    from refdiff import verify
    from refdiff.checks import count

    count(args.seed, "--seed", 0)
    count(args.jobs, "--jobs", 1)
    implementation = loaded(args.implementation) if args.implementation else None
    identities = verify.identities_of(implementation)
    keys = args.keys or None
    for key in args.keys:
        if key not in identities and key not in {one.chapter for one in identities.values()}:
            raise no_such(key, identities, verify.ERRATA)
    number = sum(keys is None or one.key in keys or one.chapter in keys for one in identities.values())
    head = [HEAD]
    with progress(number, "verify") as bar, workers(args.jobs) as executor:

        def say(verdict):
            while head:
                bar.write(head.pop(), file=None)
            bar.write(line(verdict), file=None)  # above the bar, on stdout
            bar.update()

        report = verify.judge(
            implementation,
            seed=args.seed,
            only=keys,
            budget=args.budget,
            progress=say,
            until=args.until,
            seconds=args.seconds,
            executor=executor,
            time_limit=args.time_limit,
        )
    print(summary(report, whole=not report.interrupted and args.seconds is None))
    if args.json:
        write_text(args.json, json.dumps(report.as_json(), indent=2) + "\n")
    return cli.INTERRUPTED if report.interrupted else exit_code(report)


def loaded(text):
    """Return the implementation that ``module:attribute`` names; a scheduler of diffusers gets its adapter."""
    from refdiff import verify
    from refdiff.verify import adapters

    found = load_attribute(text)
    names = {dotted.rpartition(".")[2] for one in verify.CATALOGUE.values() for dotted in one.judges}
    if (typed := re.split(r"[:.]", text)[-1]) in names and callable(found) and not hasattr(found, typed):
        return SimpleNamespace(**{typed: found})  # a function, under the name that it has on the command line
    if inspect.isfunction(found):
        return SimpleNamespace(**{found.__name__: found})
    if not all(hasattr(found, name) for name in ("set_timesteps", "add_noise", "step")):
        return found
    return adapters.from_diffusers(found() if isinstance(found, type) else found)


@contextlib.contextmanager
def workers(jobs):
    """Give an executor of so many processes, or None for one."""
    if jobs == 1:
        yield None
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # a forked copy of a process with threads may hang; a fresh one takes a second more
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def summary(report, whole=True):
    """Return what a run found, in a few lines; a run cut short by a clock cannot be repeated digit for digit."""
    from refdiff import verify

    seconds = sum(verdict.seconds for verdict in report.verdicts.values())
    held = len(report.verdicts) - len(report.refuted) - len(report.inconclusive)
    lines = [
        "",
        f"{held} of {len(report.verdicts)} identities hold, {len(report.refuted)} refuted,"
        f" {len(report.inconclusive)} inconclusive; seed {report.seed}, {seconds:.1f} s of work.",
        EXPLAINED,
        f"{report.statistics:,} statistics share a chance of {verify.ALPHA:g} of any false alarm.",
    ]
    if whole:
        lines.append(f"Fingerprint {report.fingerprint}: the same seed gives the same one, whatever --jobs.")
    if report.not_provided:
        judged = sorted({name for key in report.verdicts for name in report.verdicts[key].functions})
        lines.append(
            f"{len(report.not_provided)} identities are about functions that are not provided, and were not judged.\n"
            f"Judged: {', '.join(judged)}."
        )
    return "\n".join(lines)
