r"""Judge refdiff by its catalogue: each identity on exact and on Monte Carlo evidence."""

import json
import math

from refdiff.cli.console import EXPLAINED, HEAD, exit_code, line, no_such, progress, write_text

HELP = "judge refdiff, identity by identity"


def add_arguments(command):
    command.add_argument("keys", nargs="*", metavar="KEY", help="identities or chapters, such as bayes; all by default")
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    command.add_argument(
        "--budget",
        choices=("quick", "default", "thorough"),
        default="default",
        help="samples a statistic, and cases: quick takes seconds, thorough minutes",
    )
    command.add_argument("--json", metavar="FILE", help="also write the report there")


def run(args):
    from refdiff import verify
    from refdiff.checks import count

    keys = args.keys or None
    chapters = {one.chapter for one in verify.CATALOGUE.values()}
    for key in args.keys:
        if key not in verify.CATALOGUE and key not in chapters:
            raise no_such(key, verify.CATALOGUE, verify.ERRATA)
    count(args.seed, "--seed", 0)
    number = sum(keys is None or one.key in keys or one.chapter in keys for one in verify.CATALOGUE.values())
    print(HEAD)
    with progress(number, "verify") as bar:

        def say(verdict):
            bar.write(line(verdict), file=None)  # above the bar, on stdout
            bar.update()

        report = verify.judge(seed=args.seed, only=keys, budget=args.budget, progress=say)
    seconds = sum(verdict.seconds for verdict in report.verdicts.values())
    held = len(report.verdicts) - len(report.refuted) - len(report.inconclusive)
    print(
        f"\n{held} of {len(report.verdicts)} identities hold, {len(report.refuted)} refuted,"
        f" {len(report.inconclusive)} inconclusive; seed {report.seed}, {seconds:.1f} s.\n"
        f"{EXPLAINED}\n{report.statistics:,} statistics share a chance of {verify.ALPHA:g} of any false alarm."
    )
    if args.json:
        write_text(args.json, json.dumps(as_json(report), indent=2) + "\n")
    return exit_code(report)


def as_json(report):
    """Return a Report as what JSON can hold."""

    def number(x):
        return x if math.isfinite(x) else None

    verdicts = {
        key: {
            "status": one.status,
            "what": one.what,
            "claimed": number(one.claimed),
            "measured": number(one.measured),
            "p_value": number(one.p_value),
            "error": number(one.error),
            "detects": number(one.detects),
            "samples": one.samples,
            "seconds": round(one.seconds, 4),
            "message": one.message,
        }
        for key, one in report.verdicts.items()
    }
    return {
        "seed": report.seed,
        "budget": report.budget,
        "statistics": report.statistics,
        "verdicts": verdicts,
        "not_provided": report.not_provided,
    }
