r"""Train an MLP denoiser on a toy set or on your own points, and save it."""

import math
import sys
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import progress

HELP = "train a denoiser on a toy set or on your own points"
SCHEDULES = ("vp", "cosine", "linear")
TOY_POINTS = 20_000


def add_arguments(command):
    from refdiff import toys

    command.add_argument(
        "--data",
        default="moons",
        metavar="NAME|FILE",
        help=f"a toy set ({', '.join(toys.NAMES)}) or points in a .csv or .npy file, any number of columns",
    )
    command.add_argument("--out", default="model.npz", metavar="FILE", help="the checkpoint to write (model.npz)")
    command.add_argument("--steps", type=int, default=10_000, help="optimiser steps in all (10000)")
    command.add_argument("--schedule", choices=SCHEDULES, default="vp")
    command.add_argument("-T", type=int, default=200, metavar="T", help="diffusion steps (200)")
    command.add_argument("--width", type=int, default=128)
    command.add_argument("--depth", type=int, default=3)
    command.add_argument("--residual", action="store_true", help="residual hidden layers")
    command.add_argument("--batch-size", type=int, default=256)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--resume", action="store_true", help="go on with the checkpoint at --out")


def read_data(name, rng):
    """Return points (n, d), standardised, with their mean and std: a toy set by name, or a file."""
    from refdiff import points, toys

    if name in toys.NAMES:
        return toys.draw(name, TOY_POINTS, rng), None, None
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(f"--data must be a file or one of {', '.join(toys.NAMES)}; got {name!r}.")
    return points.standardize(points.load(name))


def run(args):
    import numpy as np

    from refdiff import Schedule, network
    from refdiff.checks import count

    out = Path(args.out)
    count(args.steps, "--steps")
    if not out.parent.is_dir():
        raise ValueError(f"--out must lie in a directory that exists; got {out}.")
    data_rng, rng = (np.random.default_rng(s) for s in np.random.SeedSequence(args.seed).spawn(2))
    data, mean, std = read_data(args.data, data_rng)
    if args.resume:
        found = network.load_checkpoint(out)
        if found.state is None:
            raise ValueError(f"{out} holds no state of training to go on with.")
        kept = {"data": args.data, "seed": args.seed}
        if any(found.metadata.get(name) != value for name, value in kept.items()):
            raise ValueError(f"--resume needs the data and seed of {out}: {found.metadata}; got {kept}.")
        model, state, metadata = found.model, found.state, found.metadata
    else:
        model = network.MLP(data.shape[1], rng=rng, width=args.width, depth=args.depth, residual=args.residual)
        state = network.TrainingState.start(model)
        metadata = {name: vars(args)[name] for name in ("data", "seed", "steps", "batch_size", "schedule", "T")}
        if mean is not None:
            metadata |= {"mean": mean.tolist(), "std": std.tolist()}

    steps = metadata["steps"]
    # by its constructor and not from the betas kept: resuming is to give the same bits
    schedule = getattr(Schedule, metadata["schedule"])(metadata["T"])

    def keep():
        network.save(out, model, schedule=schedule, metadata=metadata, state=state)

    if state.step >= steps:
        print(f"{out} has made all its {steps} steps.")
        return cli.HOLDS
    records = network.fit(model, data, schedule, rng, steps, batch_size=metadata["batch_size"], state=state)
    record = None
    with progress(steps, f"train {args.data}") as bar:
        bar.update(state.step)
        try:
            for record in records:
                bar.set_postfix(loss=f"{record.loss:.4f}", refresh=False)
                bar.update(record.step - bar.n)
                if record.step % 2_000 == 0:
                    keep()
        except KeyboardInterrupt:
            keep()
            print(f"refdiff: stopped at step {state.step} of {steps}; go on with --resume", file=sys.stderr)
            return cli.INTERRUPTED
        except network.TrainingDiverged as diverged:
            keep()
            print(f"refdiff: {diverged} {out} holds the last finite parameters.", file=sys.stderr)
            return cli.REFUTED
    keep()
    loss = record.loss if record is not None else math.nan
    print(f"{out}: {len(data)} points of d = {data.shape[1]}, {steps} steps, last loss {loss:.4f} per coordinate.")
    print(f"next: refdiff sample {out} -n 1000 --out samples.csv")
    return cli.HOLDS
