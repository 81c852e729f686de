r"""Draw points from a trained model, in the units of the data that it was trained on."""

from refdiff import cli
from refdiff.cli.console import progress

HELP = "draw points from a trained model"


def add_arguments(command):
    command.add_argument("checkpoint", metavar="FILE", help="written by refdiff train")
    command.add_argument("-n", type=int, default=1000, help="how many (default: 1000)")
    command.add_argument("--out", default="samples.csv", metavar="FILE", help=".csv or .npy (default: samples.csv)")
    command.add_argument(
        "--sampler",
        choices=("ancestral", "ddim"),
        default="ancestral",
        help="every step of the chain, or some of them (default: ancestral)",
    )
    command.add_argument(
        "--variance", choices=("posterior", "beta"), help="of the reverse steps of ancestral (default: posterior)"
    )
    command.add_argument("--steps", type=int, metavar="K", help="of ddim, at most T (default: 50)")
    command.add_argument("--eta", type=float, help="of ddim: 0 no noise, 1 all of it (default: 0)")
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    command.add_argument("--threads", type=int, help="the points are the same at any number (default: all cores)")


def run(args):
    import numpy as np

    from refdiff import network, points, reverse
    from refdiff.checks import count

    n = count(args.n, "-n")
    found = network.load_checkpoint(args.checkpoint)
    if found.beta is None:
        raise ValueError(f"{args.checkpoint} holds no schedule to sample with; `refdiff train` keeps one.")
    rng = np.random.default_rng(count(args.seed, "--seed", 0))
    schedule, draw, names = found.schedule, reverse.sample, ("variance",)
    if args.sampler == "ddim":
        draw, names = reverse.ddim, ("steps", "eta")
    for name in {"variance", "steps", "eta"} - set(names):
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} is not for --sampler {args.sampler}; that takes --{' and --'.join(names)}.")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    steps = schedule.T if args.sampler == "ancestral" else options.get("steps", 50)
    with progress(steps, "sample") as bar:

        def note(taken):
            bar.update(taken - bar.n)

        given = {"threads": args.threads, "progress": note}
        x_0 = draw(schedule, found.model, n, found.model.dim, rng, **options, **given)
    if "mean" in found.metadata:
        x_0 = points.restore(x_0, found.metadata["mean"], found.metadata["std"])
    points.save(args.out, x_0)
    mean, std = (", ".join(f"{a:.4g}" for a in of) for of in (x_0.mean(axis=0), x_0.std(axis=0)))
    print(f"{args.out}: {n} points of d = {found.model.dim}; mean {mean}; std {std}")
    return cli.HOLDS
