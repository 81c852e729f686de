r"""Measure how near few calls of the denoiser bring each sampler to exact mixture data: a table and a picture."""

import json
from dataclasses import asdict
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import mixture_of, progress, write_text

HELP = "all samplers beside each other, on mixture data with the exact score"
CALLS = (5, 10, 20, 50, 200)


def add_arguments(command):
    from refdiff import toys

    command.add_argument(
        "--data",
        default="eight_gaussians",
        choices=[name for name in toys.NAMES if mixture_of(name)],
        help="a toy set that is a mixture (default: eight_gaussians)",
    )
    from refdiff.samplers import SAMPLERS

    command.add_argument("--samplers", nargs="+", metavar="NAME", help=f"some of {', '.join(SAMPLERS)} (default: all)")
    command.add_argument(
        "--calls",
        type=int,
        nargs="+",
        default=list(CALLS),
        metavar="K",
        help="of the denoiser, at most; a sampler with two calls a step makes half as many (default: 5 ... 200)",
    )
    command.add_argument(
        "--spacing",
        nargs="+",
        choices=("even", "log_snr", "edm"),
        default=["even", "log_snr"],
        help="how the steps are spread (default: even log_snr)",
    )
    command.add_argument(
        "--first",
        type=int,
        metavar="t",
        help="where a spacing other than even begins; the last step leads from there to clean data (default: T // 50)",
    )
    command.add_argument("--seeds", type=int, default=10, help="how many, at least 3 (default: 10)")
    command.add_argument("-n", type=int, default=3000, help="points for each seed (default: 3000)")
    command.add_argument("-T", type=int, default=1000, metavar="T", help="steps of the chain (default: 1000)")
    command.add_argument(
        "--out", default="samplers", metavar="DIR", help="where table, numbers and picture go (default: samplers)"
    )


def table(scores):
    """Return the lines of a Markdown table: a sampler and spacing a row, a number of calls a column."""
    from refdiff.plot.scales import with_error
    from refdiff.samplers import SAMPLERS

    exact = next(score for score in scores if score.sampler == "exact")
    calls = sorted({score.calls for score in scores if score.calls})
    heads = " | ".join("1 call" if one == 1 else f"{one} calls" for one in calls)
    yield f"| sampler | order | steps even in | {heads} |"
    yield f"|---|---|---|{'---:|' * len(calls)}"
    found = {(score.sampler, score.spacing, score.calls): score for score in scores}
    for name, spacing in dict.fromkeys(key[:2] for key in found if key[2]):
        cells = [found.get((name, spacing, one)) for one in calls]
        numbers = [with_error(1e3 * one.mean, 1e3 * one.error_beside(exact)) if one else "–" for one in cells]
        where = {"even": "t", "log_snr": "log SNR", "edm": "σ^(1/7)"}[spacing]
        yield f"| {SAMPLERS[name].title} | {SAMPLERS[name].order} | {where} | {' | '.join(numbers)} |"


def run(args):
    from refdiff import plot, samplers
    from refdiff.checks import count

    names = list(samplers.SAMPLERS) if args.samplers is None else list(dict.fromkeys(args.samplers))
    for name in names:
        if name not in samplers.SAMPLERS:
            raise ValueError(f"--samplers are {', '.join(samplers.SAMPLERS)}; got {name!r}.")
    calls = sorted({count(one, "--calls") for one in args.calls})
    seeds, n = range(count(args.seeds, "--seeds", 3)), count(args.n, "-n", 2)
    spacings = list(dict.fromkeys(args.spacing))
    T = count(args.T, "-T")
    if calls[-1] > T:
        raise ValueError(f"--calls must be at most T = {T}; got {calls[-1]}.")
    if args.first is not None and set(spacings) == {"even"}:
        raise ValueError("--first is for --spacing log_snr or edm; steps that are even in t begin at T / K.")
    first = max(1, T // 50) if args.first is None else count(args.first, "--first")
    if set(spacings) != {"even"} and first > T - calls[-1] + 1:
        raise ValueError(f"--first must leave room for {calls[-1]} steps up to T = {T}; got {first}.")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    scores, how = [], {"names": names, "spacings": spacings, "first": first, "T": T}
    with progress(1 + len(names) * len(spacings) * len(calls), "samplers") as bar:
        for score in samplers.race(mixture_of(args.data), calls, seeds, n, **how):
            scores.append(score)
            bar.update(1)
    exact, lines = scores[0], list(table(scores))
    print(f"Energy distance from the exact law of {args.data}, times 1000; mean and standard error over {len(seeds)}")
    print(f"seeds of {n} points each. Exact points: {1e3 * exact.mean:.3f} ± {1e3 * exact.standard_error:.3f}.\n")
    print("\n".join(lines))
    record = {"data": args.data, "n": n, "T": T, "first": first, "scores": [asdict(score) for score in scores]}
    write_text(out / "samplers.json", json.dumps(record, indent=1) + "\n")
    write_text(out / "samplers.md", "\n".join(lines) + "\n")
    plot.save(plot.sampler_race(scores), out / "samplers.png")
    print(f"\n{out}: samplers.png, samplers.md, samplers.json")
    return cli.HOLDS
