"""The page and the lines that are printed: nothing here measures, all comes from what the JSON holds."""

from statistics import median

from tests.benchmarks.rows import ROWS

AT_MOST = {"difference", "error", "energy", "sliced", "gap", "seconds"}  # the others are to be reached from below
OFTEN = 0.2  # share of moments at which other processes ran, above which the page warns: housekeeping stays below
WORST = {"error", "seconds"}  # judged by their largest value, the others by their median
NAMES = {
    "ratio": "times as fast as the peer",
    "share": "share of the limit",
    "difference": "seconds more than the peer",
    "error": "error",
    "energy": "energy distance, relative",
    "sliced": "sliced W2, relative",
    "gap": "bound minus truth, nats",
    "seconds": "seconds of training",
}
GROUPS = {
    "training": "Training",
    "gradient": "Precision of the gradients",
    "sampling": "Sampling",
    "elbo": "The bound",
    "trajectories": "The forward process",
    "moments": "The forward process",
    "noise": "The forward process",
    "warm": "First use",
    "quality": "Quality at that speed",
    "bound": "Quality at that speed",
}
HEAD = """\
# Benchmarks

How fast refdiff is, beside whom, and how near to what the machine can do.
*Written by `python -m tests.benchmarks --from {sources} --markdown {page}`; do not edit it.*
"""
COLUMNS = """\
**ratio** is the peer's time over ours, **share** the time of the limit over ours, and **limit ratio** the peer's time
over that of the limit: what a program would reach on this machine that did nothing else than the matrix products, one
call of BLAS each, or nothing else than drawing the normals. OpenBLAS has a quicker path for small products, which our
loops use; the time of these alone, over ours, stands beside the tables. Each number is the median of the ratios within
a round, with the lowest and the highest. What was asked for stands behind; where it lies above the limit ratio, "above
the limit ratio" says so."""
METHOD = """\
Ours, the peer and the limit take turns in one process, a round at a time ({rounds} rounds), each for at least a tenth
of a second; what compiles, compiles before. Threads are set explicitly: BLAS 1 (threadpoolctl), torch 1
(`torch.set_num_threads`); refdiff 1 where the row does not say 2. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE are not set,
so that OpenBLAS takes the kernel of the processor. The peers are written from their published descriptions, in plain
PyTorch as a user writes them: eager, float32, embeddings worked out at each call as published code does. *Net A*:
sinusoidal embeddings (128 each) of both coordinates and t, 384 → 128, three residual GELU blocks, → 2. *Net B*: the
point and an embedding of t (32), 34 → 128 × 3 SiLU → 2. A limit is OpenBLAS's time for only the matrix products that
are needed, the thin ones at the last layer included, called from a compiled loop: for training, forward, the gradient
of what goes into each layer but the first, and of the weights; where all points share t, without that part of the
first layer. Or it is the time of only drawing as many normals, from the same generators."""


# ----------------------------------------------------------------------------------------------------- what is measured


def measures(result):
    """Return (value, lowest, highest) of each measure of a row, by name."""
    times, found = result.get("times", {}), {}

    def compare(name, above, below, how):
        if above in times and below in times:
            found[name] = [how(a, b) for a, b in zip(times[above], times[below])]

    if "difference" in result["target"]:
        compare("difference", "ours", "peer", lambda a, b: a - b)
    else:
        compare("ratio", "peer", "ours", lambda a, b: a / b)
        compare("share", "limit", "ours", lambda a, b: a / b)
        compare("limit ratio", "peer", "limit", lambda a, b: a / b)
        for name in sorted(times.keys() - {"ours", "peer", "limit"}):
            compare(f"beside: {name}", name, "ours", lambda a, b: a / b)
    found |= result.get("values", {})
    return {name: ((max if name in WORST else median)(each), min(each), max(each)) for name, each in found.items()}


def met(name, value, target):
    return value <= target if name in AT_MOST else value >= target


def out_of_reach(name, found, target):
    return name == "ratio" and "limit ratio" in found and found["limit ratio"][0] < target


def verdict(name, found, target):
    """Return "met", "missed", or what else there is to say of one target."""
    if name not in found:
        return "not measured"
    if met(name, found[name][0], target):
        return "met"
    return "missed, above the limit ratio" if out_of_reach(name, found, target) else "missed"


def missed(results):
    """Yield each result and the name of a target that it misses."""
    for result in results:
        found = measures(result)
        for name, target in result["target"].items():
            if name in found and not met(name, found[name][0], target):
                yield result, name


# ------------------------------------------------------------------------------------------------------------ as text


def number(x):
    """Return three digits, plain where that is readable."""
    return f"{x:.1e}" if x and abs(x) < 1e-3 else f"{x:.{max(0, 2 - len(str(int(abs(x)))) + 1)}f}"


def duration(seconds):
    unit, size = next((one for one in (("s", 1), ("ms", 1e-3)) if seconds >= one[1]), ("µs", 1e-6))
    return f"{number(seconds / size)} {unit}"


def spread(value):
    middle, low, high = map(number, value)
    return middle if low == high else f"{middle} ({low}–{high})"


def line(result):
    """Return one row as a line to be printed."""
    found, said = measures(result), []
    for name, each in result.get("times", {}).items():
        about = f" ({result['peer']})" if name == "peer" else ""
        said.append(f"{name}{about} {duration(median(each))}")
    for name, value in found.items():
        target = result["target"].get(name)
        asked = "" if target is None else f", asked {target:g}: {verdict(name, found, target)}"
        said.append(f"{name} {spread(value)}{asked}")
    said += [f"{word}: {result[word]}" for word in ("skipped", "failed") if word in result]
    return f"{result['name']}: " + "; ".join(said)


def asked(result, found, name):
    target = result["target"].get(name)
    return "" if target is None else f"{target:g}: {verdict(name, found, target)}"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def timed(results):
    """Return the table of rows that are times, and what is to be said below it."""
    rows, below = [], []
    for result in results:
        found, times = measures(result), result.get("times", {})
        row = [result["work"]]
        row += [duration(median(times[name])) if name in times else "—" for name in ("ours", "peer", "limit")]
        first = "difference" if "difference" in result["target"] else "ratio"
        value = "—" if first not in found else spread(found[first]) + (" s more" if first == "difference" else "")
        row += [value, asked(result, found, first)]
        row += [spread(found["share"]) if "share" in found else "—", asked(result, found, "share")]
        row += [spread(found["limit ratio"]) if "limit ratio" in found else "—"]
        rows.append(row)
        extra = [
            f"{name.removeprefix('beside: ')} {spread(value)}"
            for name, value in found.items()
            if name.startswith("beside: ")
        ]
        if extra:
            below.append(f"{result['work']}: {', '.join(extra)}.")
    head = ["work", "ours", "peer", "limit", "ratio", "asked", "share", "asked", "limit ratio"]
    pairs = {}
    for result in results:
        limit = f" *Limit*: {result['limit']}." if result["limit"] else ""
        pairs.setdefault(f"*Peer*: {result['peer']}.{limit}", []).append(result["work"])
    notes = [f"- {', and '.join(works)}. {said}" for said, works in pairs.items()] if len(pairs) > 1 else list(pairs)
    notes += ["", "Beside the peer of the table:", "", *(f"- {one}" for one in below)] if below else []
    return table(head, rows) + "\n\n" + "\n".join(notes)


def valued(results):
    """Return the table of rows that are numbers."""
    names = list(dict.fromkeys(name for result in results for name in measures(result)))
    rows = []
    for result in results:
        found, row = measures(result), [result["work"]]
        for name in names:
            about = asked(result, found, name)
            row.append("—" if name not in found else spread(found[name]) + (f"; {about}" if about else ""))
        rows.append(row)
    peers = dict.fromkeys(result["peer"] for result in results if result["peer"])
    below = f"\n\nBeside: {'; '.join(peers)}." if peers else ""
    return table(["what", *(NAMES.get(name, name) for name in names)], rows) + below


def reasons(results):
    """Return what was missed as lines, by the reason."""
    by_reason = {}
    for result, name in missed(results):
        found, target = measures(result), result["target"][name]
        said = f"- {result['work']}: {NAMES[name]} {number(found[name][0])}, asked {target:g}."
        if out_of_reach(name, found, target):
            said += (
                f" The limit alone is {number(found['limit ratio'][0])} times as fast as the peer: who does no better"
                f" than it cannot reach {target:g} here."
            )
        why = ROWS[result["name"]].why.get(name, "") if result["name"] in ROWS else ""
        by_reason.setdefault(why, []).append(said)
    lines = []
    for why, rows in by_reason.items():
        lines += [why or "Not explained yet:", "", *rows, ""]
    return lines


def page(runs, sources, name="docs/benchmarks.md"):
    """Return the page about some runs, each as the JSON holds it."""
    results = [result for run in runs for result in run["rows"]]
    number_of, number_met = 0, 0
    for result in results:
        found = measures(result)
        for one, target in result["target"].items():
            number_of += 1
            number_met += one in found and met(one, found[one][0], target)
    parts = [HEAD.format(sources=" ".join(sources), page=name), f"Of {number_of} targets, {number_met} are met.\n"]
    busy = max((result["busy"] for result in results if "busy" in result), default=0)
    if busy > OFTEN:
        parts.append(
            f"**Other processes were running** in up to {busy:.0%} of the measurements of a row: do not trust.\n"
        )
    timed_too = any("times" in result for result in results)
    parts += [COLUMNS + "\n"] if timed_too else []
    groups = {}
    for result in results:
        groups.setdefault(GROUPS[result["name"].partition("-")[0]], []).append(result)
    for title in dict.fromkeys(title for title in GROUPS.values() if title in groups):
        rows = groups[title]
        said = valued if any("values" in row for row in rows) else timed
        parts += [f"## {title}\n", said(rows) + "\n"]
        parts += [f"- {row['work']}: {w}: {row[w]}." for row in rows for w in ("skipped", "failed") if w in row]
        parts += [""] if parts[-1].startswith("- ") else []
    lost = reasons(results)
    parts += ["## What was not won\n", *(lost or ["Everything asked for was reached."]), ""]
    parts.append("## How it was measured\n")
    if timed_too:
        parts.append(METHOD.format(rounds=" and ".join(dict.fromkeys(str(r["rounds"]) for r in runs if "rounds" in r))))
        parts.append("")
    for run in runs:
        parts += [*(f"{said}\n" for said in run.get("method", [])), f"`{run['command']}`, {run['measured']}:\n"]
        parts += [f"- {key}: {value}" for key, value in run["machine"].items()]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"
