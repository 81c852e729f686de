r"""Train an MLP denoiser on a toy set or on your own points, and save it."""

import itertools
import sys
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import progress

HELP = "train a denoiser on a toy set or on your own points"
TOY_POINTS = 100_000
# what a run is made of: kept in the checkpoint, so that --resume needs nothing but --out
DEFAULTS = {
    "data": "moons",
    "seed": 0,
    "steps": 10_000,
    "batch_size": 256,
    "schedule": "vp",
    "T": 200,
    "max_beta": 0.999,
    "width": 128,
    "depth": 3,
    "residual": False,
    "activation": "silu",
    "as_is": False,
    "labels": False,
    # A tenth is usual. With half the bound of a class loses .01 nats, and that of all wins .15 (moons) and .27 (eight
    # Gaussians): the answer without a label is the harder one. Guidance, which goes away from it, overshoots less.
    "drop_label": 0.5,
}


def add_arguments(command):
    from refdiff import toys

    def option(flag, help, **how):
        name = flag.lstrip("-").replace("-", "_")
        command.add_argument(flag, help=f"{help} (default: {DEFAULTS[name]})", **how)

    kinds = f"a toy set ({', '.join(toys.NAMES)}), or a .csv or .npy file with a point a row, any number of columns"
    option("--data", kinds, metavar="NAME|FILE")
    command.add_argument("--out", default="model.npz", metavar="FILE", help="the checkpoint (default: model.npz)")
    option("--steps", "steps of the optimizer in all; the learning rate falls towards the last", type=int)
    option("--batch-size", "points a step", type=int)
    option("--schedule", "of the noise", choices=("vp", "cosine", "linear"))
    option("-T", "steps of the diffusion", type=int, metavar="T")
    option("--max-beta", "above which the cosine schedule is clipped; 0.02 for fine structure", type=float)
    option("--width", "of the hidden layers", type=int)
    option("--depth", "the number of hidden layers", type=int)
    option("--residual", "hidden layers add to what they receive", action="store_const", const=True)
    option("--activation", "of the hidden layers", choices=("silu", "gelu"))
    option("--as-is", "learn points of a file in their own units, not standardised", action="store_const", const=True)
    command.add_argument(
        "--labels",
        nargs="?",
        const=True,
        type=int,
        metavar="COLUMN",
        help=f"learn the law of each class beside that of all: the classes of a toy set ({', '.join(toys.CLASSES)}), or"
        " the whole numbers 0, 1, ... in this COLUMN of a file, counted from 1 (default: no labels)",
    )
    option("--drop-label", "share of the labels that each step leaves out, to learn the law of all", type=float)
    option("--seed", "of all random numbers", type=int)
    command.add_argument("--resume", action="store_true", help="go on with the checkpoint at --out, as it was planned")
    command.add_argument("--force", action="store_true", help="start anew although there is a checkpoint at --out")


def read_data(name, rng, as_is, labels=False):
    """Return points (n, d), standardised unless `as_is`, with their mean and std, and their labels or None.

    They are of a toy set by name, or of a file, with the labels in the column of that number.
    """
    from refdiff import points, toys

    if name in toys.NAMES:
        if labels is False:
            return toys.draw(name, TOY_POINTS, rng), None, None, None
        if labels is not True:
            raise ValueError(f"--labels takes a COLUMN for the points of a file; {name} has classes without one.")
        if name not in toys.CLASSES:
            raise ValueError(f"--labels: {name} comes in no classes; of the toy sets {', '.join(toys.CLASSES)} do.")
        x, y = toys.draw_labelled(name, TOY_POINTS, rng)
        return x, None, None, y
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(f"--data must be a file or one of {', '.join(toys.NAMES)}; got {name!r}.")
    if labels is True:
        raise ValueError(f"--labels COLUMN must say in which column of {name} the labels are, counted from 1.")
    x, y = points.load(name), None
    if labels is not False:
        x, y = split(x, labels, name)
        y = y.astype(int)
        gap = next(k for k in itertools.count() if not (y == k).any())
        if gap <= y.max():
            raise ValueError(
                f"--labels: column {labels} must hold 0, 1, ... without a gap; got {y.max()} and no {gap}."
            )
    return (x, None, None, y) if as_is else (*points.standardize(x), y)


def split(table, column, name):
    """Return the points of a table and their labels, which stand in a column of it, counted from 1."""
    import numpy as np

    columns = table.shape[1]
    if not 1 <= column <= columns or columns == 1:
        raise ValueError(f"--labels must be a column of {name}, in 1..{columns}, beside those of points; got {column}.")
    y = table[:, column - 1]
    wrong = (y != np.floor(y)) | (y < 0)
    if wrong.any():
        raise ValueError(f"--labels: column {column} must hold whole numbers from 0 on; got {y[wrong][0]:g}.")
    return np.delete(table, column - 1, axis=1), y


def planned(args, out):
    """Return the plan of the run, and the checkpoint that it goes on with, if any."""
    from refdiff import network

    given = {name: vars(args)[name] for name in DEFAULTS if vars(args)[name] is not None}
    if args.resume:
        found = network.load_checkpoint(out)
        plan = found.metadata.get("plan")
        if found.state is None or plan is None:
            raise ValueError(f"{out} holds no training to go on with; `refdiff train` writes one.")
        plan = DEFAULTS | plan  # of an older checkpoint
        for name, value in given.items():
            if value != plan[name]:
                raise ValueError(
                    f"{out} was planned with {name} = {plan[name]}; got {value}. --resume goes on as planned, since"
                    " the learning rate and the random numbers depend on it; start anew for another plan."
                )
        return plan, found
    if out.suffix != ".npz":
        raise ValueError(f"--out must end in .npz; got {str(out)!r}.")
    if out.exists() and not args.force:
        raise ValueError(f"{out} exists. Go on with it by --resume, or start anew over it by --force.")
    return DEFAULTS | given, None


def run(args):
    import numpy as np

    from refdiff import Schedule, network
    from refdiff.checks import count

    out = Path(args.out)
    plan, found = planned(args, out)
    steps = count(plan["steps"], "--steps")
    data_rng, rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(count(plan["seed"], "--seed", 0)).spawn(2)
    )
    if plan["drop_label"] != DEFAULTS["drop_label"] and plan["labels"] is False:
        raise ValueError("--drop-label is for --labels.")
    if not 0 < plan["drop_label"] < 1:
        raise ValueError(
            f"--drop-label must lie between 0 and 1, or the network never sees a point without its label, or none with"
            f" it; got {plan['drop_label']}."
        )
    data, mean, std, labels = read_data(plan["data"], data_rng, plan.get("as_is", False), plan["labels"])
    counts = None if labels is None else np.bincount(labels).tolist()
    # by its constructor and not from the betas kept: resuming is to give the same bits
    clipped = {"max_beta": plan["max_beta"]} if plan["schedule"] == "cosine" else {}
    if not clipped and plan["max_beta"] != DEFAULTS["max_beta"]:
        raise ValueError(f"--max-beta is for --schedule cosine; got {plan['schedule']}.")
    schedule = getattr(Schedule, plan["schedule"])(plan["T"], **clipped)
    if found is None:
        network_options = {name: plan[name] for name in ("width", "depth", "residual", "activation")}
        model = network.MLP(data.shape[1], rng=rng, classes=len(counts or ()), **network_options)
        state = network.TrainingState.start(model)
        state.rng_state = rng.bit_generator.state
        metadata = {"plan": plan} | ({} if mean is None else {"mean": mean.tolist(), "std": std.tolist()})
        metadata |= {} if counts is None else {"class_counts": counts}
    else:
        model, state, metadata = found.model, found.state, found.metadata
        same = metadata.get("class_counts") == counts
        if mean is not None:
            same &= (metadata["mean"], metadata["std"]) == (mean.tolist(), std.tolist())
        if not same:
            raise ValueError(f"{plan['data']} has changed since {out} was begun; --resume needs the same points.")

    def keep():
        network.save(out, model, schedule=schedule, metadata=metadata, state=state)

    if state.step >= steps:
        print(f"{out} has made all its {steps} steps. More would be another plan: the learning rate falls to the last.")
        return cli.HOLDS
    keep()  # before the first step: a place that cannot be written to is better known now
    labelled = {} if labels is None else {"labels": labels, "drop_label": plan["drop_label"]}
    records = network.fit(model, data, schedule, rng, steps, batch_size=plan["batch_size"], state=state, **labelled)
    record = None
    with progress(steps, f"train {plan['data']}") as bar:
        bar.update(state.step)
        try:
            for record in records:
                bar.set_postfix(loss=f"{record.loss:.4f}", refresh=False)
                bar.update(record.step - bar.n)
                if record.step % 2_000 == 0:
                    keep()
        except KeyboardInterrupt:
            keep()
            print(
                f"refdiff: stopped at step {state.step} of {steps}; go on: refdiff train --resume --out {out}",
                file=sys.stderr,
            )
            return cli.INTERRUPTED
        except network.TrainingDiverged as diverged:
            keep()
            print(f"refdiff: {diverged} {out} holds the last finite parameters.", file=sys.stderr)
            return cli.REFUTED
    keep()
    what = f"points of d = {data.shape[1]}" + ("" if counts is None else f" in {len(counts)} classes")
    print(f"{out}: {len(data)} {what}, {steps} steps, last loss {record.loss:.4f} per coordinate.")
    print(f"next: refdiff sample {out} -n 1000 --out samples.csv" + ("" if counts is None else " --label 0"))
    return cli.HOLDS
