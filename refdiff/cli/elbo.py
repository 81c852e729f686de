r"""Evaluate the bound on -log p(x_0) of a trained model, or of the ideal denoiser, term by term."""

import math
import time
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import progress, write_text

HELP = "the bound of a trained model or of the ideal denoiser, term by term"
IDEAL = "ideal"
LADDER_GROUP = 50


def add_arguments(command):
    from refdiff import toys

    command.add_argument(
        "model",
        metavar="FILE|ideal",
        help="a checkpoint of refdiff train, or the ideal denoiser of a toy set that is a mixture",
    )
    kinds = f"a toy set ({', '.join(toys.NAMES)}), or a .csv or .npy file with a point a row"
    command.add_argument(
        "--data", metavar="NAME|FILE", help=f"{kinds} (default: what the model was trained on; eight_gaussians)"
    )
    command.add_argument(
        "-n", type=int, help="points: drawn anew from a toy set, or chosen at random from a file (default: 1000)"
    )
    command.add_argument(
        "--variance", choices=("beta", "posterior"), default="beta", help="of the reverse steps (default: beta)"
    )
    command.add_argument(
        "--decoder",
        choices=("gaussian", "discretized"),
        default="gaussian",
        help="a density, or the probability of the bin that holds a point of [-1, 1] (default: gaussian)",
    )
    command.add_argument(
        "--decoder-var",
        default="beta_1",
        metavar="VAR",
        help="of the decoder: beta_1, beta_tilde_2 or a number (default: beta_1)",
    )
    command.add_argument("--bins", type=int, default=256, help="of the discretized decoder (default: 256)")
    command.add_argument("-T", type=int, metavar="T", help="steps, for the ideal denoiser (default: 200)")
    command.add_argument(
        "--schedule", choices=("vp", "cosine", "linear"), help="of the noise, for the ideal denoiser (default: vp)"
    )
    command.add_argument(
        "--chains", type=int, default=0, metavar="K", help="also estimate -log p(x_0) itself from K chains per point"
    )
    command.add_argument(
        "--ladder", action="store_true", help="also compare nine estimators of the bound: variance and cost"
    )
    command.add_argument(
        "--out", default="elbo", metavar="DIR", help="where tables (CSV) and pictures go (default: elbo)"
    )
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")


def mixture_of(name):
    """Return the mixture that a toy set is, or None."""
    from refdiff import GaussianMixture, toys

    law = getattr(toys, f"{name}_mixture", None)
    return GaussianMixture(*law()) if law else None


def load_model(args):
    """Return denoiser, schedule, name of the data, and mean and std of the standardisation, None if there is none."""
    from refdiff import Schedule, network, toys

    if args.model == IDEAL:
        name = args.data or "eight_gaussians"
        mixture = mixture_of(name)
        if mixture is None:
            known = [toy for toy in toys.NAMES if mixture_of(toy)]
            raise ValueError(
                f"the ideal denoiser is known where the data are a mixture: --data {' or '.join(known)}; got {name!r}."
            )
        schedule = getattr(Schedule, args.schedule or "vp")(200 if args.T is None else args.T)
        return mixture.denoiser(schedule), schedule, name, None, None
    if args.T is not None or args.schedule is not None:
        raise ValueError("-T and --schedule are for the ideal denoiser; a trained model keeps the schedule it has.")
    found = network.load_checkpoint(args.model)
    if found.beta is None:
        raise ValueError(f"{args.model} holds no schedule; `refdiff train` keeps one.")
    trained_on = found.metadata.get("plan", {}).get("data")
    if args.data is None and trained_on is None:
        raise ValueError(f"{args.model} does not say what it was trained on; give --data.")
    return found.model, found.schedule, args.data or trained_on, found.metadata.get("mean"), found.metadata.get("std")


def read_points(name, n, rng):
    """Return n points in their own units, and what to call them."""
    from refdiff import points, toys

    if name in toys.NAMES:
        n = n or 1000
        return toys.draw(name, n, rng), f"{n} new points of {name}"
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(f"--data must be a file or one of {', '.join(toys.NAMES)}; got {name!r}.")
    x = points.load(name)
    chosen = rng.permutation(x)[: n or 1000]
    return chosen, f"{len(chosen)} of {len(x)} points of {name}"


def number_or_name(text):
    """Return the number that a text spells, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def with_error(values):
    """Return mean and standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def line(name, mean, error, unit="nats", note=""):
    """Return a line of the summary."""
    return f"{name:<24} {mean:>12.5f} ± {error:<8.2g} {unit}{note}"


def run(args):
    import numpy as np

    from refdiff import elbo, likelihood, plot
    from refdiff.checks import count

    seed, chains = count(args.seed, "--seed", 0), count(args.chains, "--chains", 0)
    if args.n is not None:
        count(args.n, "-n", 2 if not args.ladder else 4)
    denoiser, schedule, name, mean, std = load_model(args)
    if args.decoder == "discretized" and (args.ladder or mean is not None):
        raise ValueError(
            "--decoder discretized is for data that lie on the bins as they are; this model standardises its data."
            if mean is not None
            else "--ladder is for the Gaussian decoder."
        )
    # streams of their own: not the points that training with the same seed has seen
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, *b"elbo"]).spawn(4)]
    x_0, what = read_points(name, args.n, streams[0])
    if len(x_0) < 2:
        raise ValueError(f"at least two points are needed for an error of the mean; {name} has {len(x_0)}.")
    if args.ladder and len(x_0) < 4:
        raise ValueError(f"--ladder needs at least four points; {name} has {len(x_0)}.")
    if (d := getattr(denoiser, "dim", x_0.shape[1])) != x_0.shape[1]:
        raise ValueError(f"{args.model} was trained on points of d = {d}; those of {name} have d = {x_0.shape[1]}.")
    truth = None
    if mean is None:
        mixture = mixture_of(name) if args.decoder == "gaussian" else None
        truth = None if mixture is None else -mixture.log_density(x_0)
    else:
        x_0 = (x_0 - mean) / std
    given = {
        "variance": args.variance,
        "decoder": args.decoder,
        "decoder_var": number_or_name(args.decoder_var),
        "bins": args.bins,
    }

    start, T, out = time.perf_counter(), schedule.T, Path(args.out)
    out.mkdir(parents=True, exist_ok=True)  # a place that cannot be written to is better known now
    means, errors = np.zeros(T + 1), np.zeros(T + 1)
    with progress(T - 1, f"elbo of {args.model}") as bar:

        def note(t, term):
            means[t], errors[t] = with_error(term)
            bar.update()

        bound = elbo.denoising_form(schedule, denoiser, x_0, streams[1], **given, keep_terms=False, progress=note)
    first, last = with_error(bound.reconstruction), with_error(bound.prior)
    print(
        f"{args.model} on {what}: d = {bound.d}, T = {T}, variance {args.variance}, {args.decoder} decoder of variance"
        f" {args.decoder_var}\n"
        + line("L_T", *last)
        + "\n"
        + line("L_1 + ... + L_{T-1}", *with_error(bound.between))
        + "\n"
        + line("L_0", *first)
        + "\n"
        + line("bound: their sum", *with_error(bound.total))
    )
    for units, bits in in_bits(bound, std):
        print(line("", *with_error(bits), "bits per coordinate", f", {units}"))
    if chains:
        with progress(T, f"{chains} chains per point") as bar:
            found = likelihood.ais(
                schedule, denoiser, x_0, streams[2], chains, **given, progress=lambda t, term: bar.update()
            )
        ess = f", or less: from {chains} chains, worth {np.median(found.ess):.3g} equal ones"
        print(line("-log p(x_0) of the model", *with_error(-found.log_density), note=ess))
    if truth is not None:
        print(
            line("-log q(x_0) of the data", *with_error(truth), note=", exact; over all data no model has a lower mean")
        )
        print(line("bound above that", *with_error(bound.total - truth)))

    means[1], errors[1] = first
    rows = [*zip(range(T), range(1, T + 1), means[1:].tolist(), errors[1:].tolist()), (T, T, *last)]
    rows = [f"L_{k},{t},{mean!r},{error!r}" for k, t, mean, error in rows]
    write_text(out / "terms.csv", "\n".join(["term,t,mean,std_error", *rows]) + "\n")
    with_truth = None if truth is None else with_error(truth)
    picture = plot.bound_per_step(schedule, means, errors, first, last, with_truth, total=with_error(bound.total))
    plot.save(picture, out / "terms.png")
    written = ["terms.csv", "terms.png"]
    if args.ladder:
        rungs = climb(schedule, denoiser, x_0, streams[3], args.variance, given["decoder_var"])
        rows = [f'"{one.name}",{one.mean!r},{one.error!r},{one.var!r},{one.var_error!r},{one.calls!r}' for one in rungs]
        head = "estimator,mean,std_error,variance,variance_error,calls"
        write_text(out / "ladder.csv", "\n".join([head, *rows]) + "\n")
        plot.save(plot.variance_ladder(rungs), out / "ladder.png")
        written += ["ladder.csv", "ladder.png"]
    print(f"{out}: {', '.join(written)}; {time.perf_counter() - start:.1f} s")
    return cli.HOLDS


def in_bits(bound, std):
    """Yield the bound in bits per coordinate, after what it is that these bits describe."""
    if bound.bins is not None:
        yield f"a code length over {bound.bins} bins", bound.bits_per_dim()
    elif std is None:
        yield "of a density in the units of the data", bound.bits_per_dim()
    else:
        yield "of a density of the standardised data", bound.bits_per_dim()
        yield "of a density in the units of the data", bound.bits_per_dim(std)


def climb(schedule, denoiser, x_0, rng, variance, decoder_var):
    """Measure the variance ladder, print it, and return it."""
    from refdiff import elbo

    head = f"{'estimator of the bound':<35} {'mean':>9} {'variance':>10}   {'error':<8}"
    print(f"\n{head} {'calls':>6} {'variance x calls':>17}")
    with progress(9, "ladder") as bar:

        def say(rung):
            var = f"{rung.var:>10.4g} ± {rung.var_error:<8.2g}"
            numbers = f"{rung.mean:>9.4f} {var} {rung.calls:>6.0f} {rung.var * rung.calls:>17.4g}"
            bar.write(f"{rung.name:<35} {numbers}", file=None)
            bar.update()

        group = min(LADDER_GROUP, len(x_0) // 2)
        return elbo.ladder(schedule, denoiser, x_0, rng, variance, decoder_var, group=group, progress=say)
