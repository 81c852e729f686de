r"""Show one identity: its equation, its source, the code that claims it, the evidence, and what it rejects."""

import importlib
import inspect
import textwrap

from refdiff.cli.console import HEAD, exit_code, line

HELP = "equation, source, code and evidence of one identity"


def add_arguments(command):
    command.add_argument("key", nargs="?", metavar="KEY", help="of an identity; without one, all are listed")


def code_of(dotted):
    """Return the source of a public name such as "bayes.posterior"."""
    chapter, *names = dotted.split(".")
    found = importlib.import_module(f"refdiff.{chapter}")
    for name in names:
        found = inspect.getattr_static(found, name)
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    return textwrap.dedent(inspect.getsource(found))


def run(args):
    from refdiff import verify

    if args.key is None:
        for key, identity in verify.CATALOGUE.items():
            print(f"{key:<38} {identity.source}")
        return 0
    if args.key not in verify.CATALOGUE:
        near = [key for key in verify.CATALOGUE if args.key.split(".")[-1] in key]
        hint = f" Did you mean {', '.join(near[:3])}?" if near else " `refdiff show` lists them."
        raise ValueError(f"no identity is called {args.key!r}.{hint}")
    identity = verify.CATALOGUE[args.key]
    print(f"{identity.key}\n\n  {identity.states}\n\nSource: {identity.source}\n")
    for dotted in identity.judges:
        print(f"--- the code judged: {dotted}\n\n{code_of(dotted)}")
    print(f"--- the evidence\n\n{identity.why}\n\n{textwrap.dedent(identity.code)}")
    if identity.coincides:
        print(f"--- where wrong versions coincide\n\n{identity.coincides}\n")
    print("--- what it rejects\n")
    for erratum in verify.ERRATA.values():
        if identity.key in erratum.rejected_by:
            print(f"{erratum.key}: {erratum.says}    ({erratum.source})")
    report = verify.judge(only=identity.key)
    print(f"\n--- verdict\n\n{HEAD}\n{line(report.verdicts[identity.key])}")
    return exit_code(report)
