r"""Draw points from a trained model, in the units of the data that it was trained on."""

from refdiff import cli
from refdiff.cli.console import progress

HELP = "draw points from a trained model"


def add_arguments(command):
    command.add_argument("checkpoint", metavar="FILE", help="written by refdiff train")
    command.add_argument("-n", type=int, default=1000, help="how many (default: 1000)")
    command.add_argument("--out", default="samples.csv", metavar="FILE", help=".csv or .npy (default: samples.csv)")
    command.add_argument(
        "--variance",
        choices=("posterior", "beta"),
        default="posterior",
        help="of the reverse steps (default: posterior)",
    )
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")


def run(args):
    import numpy as np

    from refdiff import network, points, reverse
    from refdiff.checks import count

    n = count(args.n, "-n")
    found = network.load_checkpoint(args.checkpoint)
    if found.beta is None:
        raise ValueError(f"{args.checkpoint} holds no schedule to sample with; `refdiff train` keeps one.")
    rng = np.random.default_rng(count(args.seed, "--seed", 0))
    x_T = reverse.prior(n, found.model.dim).sample(rng)
    with progress(found.schedule.T, "sample") as bar:
        for _, x_0 in reverse.ancestral(found.schedule, found.model, x_T, rng, args.variance):  # noqa: B007
            bar.update()
    if "mean" in found.metadata:
        x_0 = points.restore(x_0, found.metadata["mean"], found.metadata["std"])
    points.save(args.out, x_0)
    mean, std = (", ".join(f"{a:.4g}" for a in of) for of in (x_0.mean(axis=0), x_0.std(axis=0)))
    print(f"{args.out}: {n} points of d = {found.model.dim}; mean {mean}; std {std}")
    return cli.HOLDS
