r"""Draw points from a trained model, in the units of the data that it was trained on."""

import warnings

from refdiff import cli
from refdiff.cli.console import progress

HELP = "draw points from a trained model"
STEPS = 50
MOST_BETA = 0.9  # beyond which sqrt(alpha), by which a step divides, is below a third
WITHOUT_NOISE = ("ddim", "dpmpp_2m", "heun")
SPREAD = ("steps", "spacing", "first")
TAKES = {  # which options belong to which sampler
    "ancestral": ("variance",),
    "ddim": (*SPREAD, "eta"),
    **dict.fromkeys(("dpmpp_2m", "heun", "edm", "euler_maruyama", "predictor_corrector"), SPREAD),
}


def add_arguments(command):
    command.add_argument("checkpoint", metavar="FILE", help="written by refdiff train")
    command.add_argument("-n", type=int, default=1000, help="how many (default: 1000)")
    command.add_argument("--out", default="samples.csv", metavar="FILE", help=".csv or .npy (default: samples.csv)")
    command.add_argument(
        "--sampler",
        choices=TAKES,
        default="ancestral",
        help="ancestral walks every step of the chain, ddim, dpmpp_2m and heun some of them; edm (with churn 10),"
        " euler_maruyama and predictor_corrector (with h = 1/K) walk in continuous time, for a model trained with"
        " --schedule vp (default: ancestral); `refdiff samplers` measures them",
    )
    command.add_argument(
        "--variance", choices=("posterior", "beta"), help="of the reverse steps of ancestral (default: posterior)"
    )
    command.add_argument("--steps", type=int, metavar="K", help="of all but ancestral (default: 50)")
    command.add_argument(
        "--spacing",
        choices=("even", "log_snr", "edm"),
        help="of these steps: even in t, in log SNR (best for dpmpp_2m), or as Karras et al. (2022) have it"
        " (default: even)",
    )
    command.add_argument(
        "--first",
        type=int,
        metavar="t",
        help="where log_snr and edm begin; a last step leads from there to 0 (default: 1)",
    )
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
    if not w:
        return model.given(label)
    from refdiff import guidance

    return guidance.classifier_free(model.given(label), model.given(None), w)


def in_few_steps(args, found, denoiser, n, rng, steps, options, note):
    """Return points drawn by a sampler that takes `steps` steps, spread as the options say."""
    from refdiff import Schedule, reverse, samplers

    schedule, sampler = found.schedule, samplers.SAMPLERS[args.sampler]
    if options.get("first") is not None and options.get("spacing", "even") == "even":
        raise ValueError("--first is for --spacing log_snr or edm; steps that are even in t begin at T / K.")
    if not sampler.in_time and steps > schedule.T:
        raise ValueError(f"--steps must be at most T = {schedule.T}; got {steps}.")
    first = options.get("first", 1)
    if not 1 <= first <= (schedule.T - 1 if sampler.in_time else schedule.T - steps + 1):
        raise ValueError(
            f"--first must be at least 1 and leave room for {steps} steps up to T = {schedule.T}; got {first}."
        )
    if schedule.beta[-1] > MOST_BETA and args.sampler in WITHOUT_NOISE and not args.eta:
        warnings.warn(
            f"the last beta is {schedule.beta[-1]:.3g}: without noise a sampler amplifies there what the network does"
            " not know. Use --sampler ancestral, or train with --max-beta 0.02.",
            stacklevel=2,
        )
    spread = {name: options.pop(name) for name in ("spacing", "first") if name in options}
    if sampler.in_time:
        vp = Schedule.vp(schedule.T)
        if not abs(schedule.log_alpha_bar - vp.log_alpha_bar).max() < 1e-9 * abs(vp.log_alpha_bar[-1]):
            raise ValueError(
                f"--sampler {args.sampler} walks in continuous time, and needs a model trained with --schedule vp."
            )
        process = samplers.Process.of_denoiser(denoiser, schedule.T)
        x_1 = rng.standard_normal((n, found.model.dim))
        return samplers.draw(args.sampler, process, x_1, rng, steps, **spread, progress=note)
    grid, how = sampler.grid(samplers.Process(schedule, denoiser), steps, **spread), {"progress": note}
    if args.sampler == "ddim":
        how["threads"] = args.threads
    return getattr(reverse, args.sampler)(schedule, denoiser, n, found.model.dim, rng, grid, **options, **how)


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
    names = TAKES[args.sampler]
    for name in dict.fromkeys(option for options in TAKES.values() for option in options):
        if name not in names and getattr(args, name) is not None:
            others = ", ".join(sampler for sampler, options in TAKES.items() if name in options)
            raise ValueError(
                f"--{name} is not for --sampler {args.sampler}; that takes --{' and --'.join(names)}."
                f" --{name} is for {others}."
            )
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    steps = found.schedule.T if args.sampler == "ancestral" else count(options.pop("steps", STEPS), "--steps")
    with progress(steps, "sample") as bar:

        def note(taken):
            bar.update(taken - bar.n)

        if args.sampler == "ancestral":
            how = {"threads": args.threads, "progress": note}
            x_0 = reverse.sample(found.schedule, denoiser, n, found.model.dim, rng, **options, **how)
        else:
            x_0 = in_few_steps(args, found, denoiser, n, rng, steps, options, note)
    if "mean" in found.metadata:
        x_0 = points.restore(x_0, found.metadata["mean"], found.metadata["std"])
    points.save(args.out, x_0)
    mean, std = (", ".join(f"{a:.4g}" for a in of) for of in (x_0.mean(axis=0), x_0.std(axis=0)))
    of = "" if args.label is None else f", class {args.label}"
    print(f"{args.out}: {n} points of d = {found.model.dim}{of}; mean {mean}; std {std}")
    return cli.HOLDS
