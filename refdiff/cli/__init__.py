r"""The door, a file a command: ``refdiff tour | verify | compare | errata | show | learn | train | sample | elbo |
samplers``.

Exit codes: 0 holds, 1 refuted, 2 usage, 3 inconclusive, 130 interrupted. Results go to stdout, progress to stderr and
only where that is a terminal.
"""

import argparse
import sys
import warnings

from refdiff import __version__

__all__ = ["HOLDS", "INCONCLUSIVE", "INTERRUPTED", "REFUTED", "USAGE", "main"]

HOLDS, REFUTED, USAGE, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130
EPILOG = "Exit codes: 0 holds, 1 refuted, 2 usage, 3 inconclusive, 130 interrupted."


def parser():
    """Return the parser of all commands."""
    from refdiff.cli import compare, elbo, errata, learn, sample, samplers, show, tour, train, verify

    top = argparse.ArgumentParser(
        prog="refdiff",
        description="Denoising diffusion with verified mathematics: every equation runs, is checked on independent"
        " evidence, and is shown to be refutable.",
        epilog=EPILOG,
    )
    top.add_argument("--version", action="version", version=f"refdiff {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (tour, verify, compare, errata, show, learn, train, sample, elbo, samplers):
        name = module.__name__.rpartition(".")[2]
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__, epilog=EPILOG)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(argv=None):
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"refdiff: warning: {message}", file=sys.stderr)
            return args.run(args)
    except KeyboardInterrupt:
        print("refdiff: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `refdiff verify | head`: whoever read has seen enough
        sys.stderr.close()
        return HOLDS
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        print(f"refdiff: {what}", file=sys.stderr)
        return USAGE
    except (ValueError, TypeError) as error:
        print(f"refdiff: {error}", file=sys.stderr)
        return USAGE
