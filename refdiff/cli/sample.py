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
    command.add_argument(
        "--label", type=int, metavar="Y", help="the class to draw, for a model trained with --labels (default: of any)"
    )
    command.add_argument(
        "--guidance",
        type=float,
        default=0.0,
        metavar="W",
        help="by how much to go beyond the answer with --label, away from that without: (1 + W) eps(x, y) - W eps(x)"
        " (default: 0)",
    )
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    command.add_argument("--threads", type=int, help="the points are the same at any number (default: all cores)")


def conditioned(model, label, w=0.0):
    """Return the denoiser of a label, guided by w: the model itself where none is asked for."""
    if not 0 <= w < float("inf"):
        raise ValueError(f"--guidance must be at least 0 and finite; got {w}.")
    if label is None:
        if w:
            raise ValueError("--guidance goes away from the answer without a label; it needs --label.")
        return model
    classes = model.config["classes"]
    if not classes:
        raise ValueError(f"--label is for a model that was trained with --labels; got {label} for one without classes.")
    if not 0 <= label < classes:
        raise ValueError(f"--label must be one of the model's classes, 0..{classes - 1}; got {label}.")
    return _classifier_free(model.given(label), model.given(None), w) if w else model.given(label)


def _classifier_free(conditional, unconditional, w):
    """Return the guided denoiser of Ho & Salimans (2022), eq. 6; the place of ``guidance.classifier_free``."""
    return lambda x_t, t: (1 + w) * conditional(x_t, t) - w * unconditional(x_t, t)


def run(args):
    import numpy as np

    from refdiff import network, points, reverse
    from refdiff.checks import count

    n = count(args.n, "-n")
    found = network.load_checkpoint(args.checkpoint)
    if found.beta is None:
        raise ValueError(f"{args.checkpoint} holds no schedule to sample with; `refdiff train` keeps one.")
    denoiser = conditioned(found.model, args.label, args.guidance)
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
        x_0 = draw(schedule, denoiser, n, found.model.dim, rng, **options, **given)
    if "mean" in found.metadata:
        x_0 = points.restore(x_0, found.metadata["mean"], found.metadata["std"])
    points.save(args.out, x_0)
    mean, std = (", ".join(f"{a:.4g}" for a in of) for of in (x_0.mean(axis=0), x_0.std(axis=0)))
    of = "" if args.label is None else f", class {args.label}"
    print(f"{args.out}: {n} points of d = {found.model.dim}{of}; mean {mean}; std {std}")
    return cli.HOLDS
