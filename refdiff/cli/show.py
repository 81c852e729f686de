r"""Show one identity: its equation, its source, the code that claims it, the evidence, and what it rejects."""

import contextlib
import textwrap

from refdiff import cli
from refdiff.cli.console import HEAD, exit_code, line, no_such

HELP = "equation, source, code and evidence of one identity"


def add_arguments(command):
    command.add_argument("key", nargs="?", metavar="KEY", help="of an identity; a chapter, or nothing, lists them")


def run(args):
    from refdiff import learn, verify

    chapters = {one.chapter for one in verify.CATALOGUE.values()}
    if args.key is None or args.key in chapters:
        for key, identity in verify.CATALOGUE.items():
            if args.key in (None, identity.chapter):
                print(f"{key:<36} {textwrap.shorten(identity.source, 64, placeholder=' …')}")
        return cli.HOLDS
    with contextlib.suppress(ValueError):
        args.key = learn.resolve(args.key)  # a short name, such as posterior.var
    if args.key not in verify.CATALOGUE:
        raise no_such(args.key, verify.CATALOGUE, verify.ERRATA)
    identity = verify.CATALOGUE[args.key]
    print(f"{identity.key}    (its label in the book: eq-{identity.key})\n")
    print(f"  {identity.states}\n\nSource: {identity.source}\n")
    for dotted in identity.judges:
        print(f"--- the code judged: {dotted}\n\n{learn.source(dotted)}\n")
    print(f"--- the evidence\n\n{identity.why}\n\n{textwrap.dedent(identity.code)}")
    if identity.coincides:
        print(f"--- where wrong versions coincide\n\n{identity.coincides}\n")
    print("--- what it rejects\n")
    for erratum in verify.ERRATA.values():
        if identity.key in erratum.rejected_by:
            print(f"{erratum.key}: {erratum.says}    ({erratum.source})")
    report = verify.judge(only=identity.key)
    print(f"\n--- verdict\n\n{HEAD}\n{line(report.verdicts[identity.key])}")
    print(f"claimed and measured: {report.verdicts[identity.key].what}")
    return exit_code(report)
