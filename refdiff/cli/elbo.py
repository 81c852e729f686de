r"""Evaluate the bound on -log p(x_0) of a trained model, or of the ideal denoiser, term by term."""

import json
import math
import time
import warnings
from pathlib import Path

from refdiff import cli
from refdiff.cli.console import mixture_of, progress, write_text

HELP = "the bound of a trained model or of the ideal denoiser, term by term"
IDEAL = "ideal"
LADDER_GROUP = 50
FEW = 30  # equal weights: below so many an estimate by importance weights tells little
QUADRATURE = 10_000  # steps times components: half a minute
FAR = 20.0  # standard deviations of the training data


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
        "--label",
        type=int,
        metavar="Y",
        help="the bound on -log p(x_0 | y) of a model trained with --labels, at points of that class: of a toy set, or"
        " of a file that has the column of labels; of a file without it all points are taken for such",
    )
    command.add_argument(
        "-n", type=int, help="points, at least 2: drawn anew from a toy set, or at random from a file (default: 1000)"
    )
    command.add_argument(
        "--variance", choices=("beta", "posterior"), default="beta", help="of the reverse steps (default: beta)"
    )
    command.add_argument(
        "--decoder",
        choices=("gaussian", "discretized"),
        default="gaussian",
        help="a density, or the probability of the bin that holds a point of [-1, 1]; the latter needs a model that"
        " was trained with --as-is (default: gaussian)",
    )
    command.add_argument(
        "--decoder-var",
        default="beta_1",
        metavar="VAR",
        help="of the decoder, a choice of its own (help(refdiff.reverse.decoder_var) says why): beta_1, beta_tilde_2,"
        " or a number in the units in which the model was trained (default: beta_1)",
    )
    command.add_argument("--bins", type=int, help="of the discretized decoder (default: 256)")
    command.add_argument("-T", type=int, metavar="T", help="steps, for the ideal denoiser (default: 200)")
    command.add_argument(
        "--schedule", choices=("vp", "cosine", "linear"), help="of the noise, for the ideal denoiser (default: vp)"
    )
    command.add_argument(
        "--chains",
        type=int,
        default=0,
        metavar="K",
        help="also estimate -log p(x_0) itself from K chains per point, by n K T evaluations of the denoiser",
    )
    command.add_argument(
        "--ladder", action="store_true", help="also compare nine estimators of the bound: variance and cost"
    )
    command.add_argument(
        "--out",
        default="elbo",
        metavar="DIR",
        help="where tables, numbers and pictures go (default: elbo)",
    )
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")


def load_model(args):
    """Return denoiser, schedule, name of the data, what training was planned, and mean and std of standardisation."""
    from refdiff import Schedule, network, toys
    from refdiff.cli.sample import conditioned

    if args.model == IDEAL:
        if args.label is not None:
            raise ValueError("--label is for a model that was trained with --labels, not for the ideal denoiser.")
        name = args.data or "eight_gaussians"
        if mixture_of(name) is None:
            known = [toy for toy in toys.NAMES if mixture_of(toy)]
            raise ValueError(
                f"the ideal denoiser is known where the data are a mixture: --data {' or '.join(known)}; got {name!r}."
            )
        schedule = getattr(Schedule, args.schedule or "vp")(200 if args.T is None else args.T)
        return mixture_of(name).denoiser(schedule), schedule, name, {}, None, None
    if args.T is not None or args.schedule is not None:
        raise ValueError("-T and --schedule are for the ideal denoiser; a trained model keeps the schedule it has.")
    found = network.load_checkpoint(args.model)
    if found.beta is None:
        raise ValueError(f"{args.model} holds no schedule; `refdiff train` keeps one.")
    plan = found.metadata.get("plan", found.metadata)
    if args.data is None and plan.get("data") is None:
        raise ValueError(f"{args.model} does not say what it was trained on; give --data.")
    mean, std = found.metadata.get("mean"), found.metadata.get("std")
    denoiser = conditioned(found.model, args.label)
    return denoiser, found.schedule, args.data or plan["data"], plan, mean, std


def read_points(name, n, rng, label, column, d):
    """Return n points in their own units, of one class if there is a label, and what to call them.

    A file with more than d columns has the labels in the `column` of that number.
    """
    from refdiff import points, toys
    from refdiff.cli.train import split

    of = "" if label is None else f", class {label}"
    if name in toys.NAMES:
        n = n or 1000
        if label is None:
            return toys.draw(name, n, rng), f"{n} new points of {name}"
        # enough of the class, but for a chance below e^-25
        x, y = toys.draw_labelled(name, 2 * toys.CLASSES.get(name, 1) * (n + 50), rng)
        x = x[y == label][:n]
        return x, f"{len(x)} new points of {name}{of}"
    if not Path(name).suffix and not Path(name).exists():
        raise ValueError(f"--data must be a file or one of {', '.join(toys.NAMES)}; got {name!r}.")
    x = points.load(name)
    if column and x.shape[1] > d:
        x, y = split(x, column, name)
        x = x if label is None else x[y == label]
    chosen = rng.permutation(x)[: n or 1000]
    return chosen, f"{len(chosen)} of {len(x)} points of {name}{of}"


def number_or_name(text):
    """Return the number that a text spells, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def doubt(x_0, standardised, decoder):
    """Warn of points in other units than the model's, and of densities for data on a grid."""
    import numpy as np

    if standardised and np.abs(x_0.mean(axis=0)).max() > FAR:
        column = int(np.argmax(np.abs(x_0.mean(axis=0))))
        warnings.warn(
            f"column {column + 1} lies {abs(x_0[:, column].mean()):.3g} standard deviations of the training data away"
            " from them, on average. Other units?",
            stacklevel=2,
        )
    values = min(len(np.unique(column)) for column in x_0.T)
    if decoder == "gaussian" and len(x_0) >= 50 and values < len(x_0) / 10:
        warnings.warn(
            f"a column has only {values} values: on a grid a density grows without bound, and its bits say nothing of"
            " a code. The discretized decoder is for such data.",
            stacklevel=2,
        )


def with_error(values):
    """Return mean and standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def line(name, mean, error, unit="nats", note=""):
    """Return a line of the summary, with as many digits as the error warrants."""
    digits = 5 if not error else min(max(1 - math.floor(math.log10(error)), 0), 10)
    return f"{name:<26} {mean:>13.{digits}f} ± {error:<8.2g} {unit}{note}"


def run(args):
    import numpy as np

    from refdiff import elbo, likelihood, plot, reverse
    from refdiff.checks import count

    seed, chains = count(args.seed, "--seed", 0), count(args.chains, "--chains", 0)
    if chains == 1:
        raise ValueError("--chains needs at least 2: one chain gives the bound again, and no error.")
    if args.n is not None:
        count(args.n, "-n", 2 if not args.ladder else 4)
    if args.bins is not None and args.decoder != "discretized":
        raise ValueError("--bins is for --decoder discretized.")
    if Path(args.out).suffix:
        raise ValueError(f"--out is a directory for several files; got {args.out!r}.")
    denoiser, schedule, name, plan, mean, std = load_model(args)
    trained_on = plan.get("data")
    if args.decoder == "discretized" and (args.ladder or mean is not None):
        raise ValueError(
            "--decoder discretized is for data that lie on the bins as they are; this model standardises its data."
            " Train it with --as-is."
            if mean is not None
            else "--ladder is for the Gaussian decoder."
        )
    # streams of their own: not the points that training with the same seed has seen
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, *b"elbo"]).spawn(5)]
    column = None if plan.get("labels") is True else plan.get("labels")  # True for the classes of a toy set
    x_0, what = read_points(name, args.n, streams[0], args.label, column, getattr(denoiser, "dim", math.inf))
    if len(x_0) < 2:
        raise ValueError(f"at least two points are needed for an error of the mean; {name} has {len(x_0)}.")
    if args.ladder and len(x_0) < 4:
        raise ValueError(f"--ladder needs at least four points; {name} has {len(x_0)}.")
    if (d := getattr(denoiser, "dim", x_0.shape[1])) != x_0.shape[1]:
        raise ValueError(f"{args.model} was trained on points of d = {d}; those of {name} have d = {x_0.shape[1]}.")
    mixture = mixture_of(name, args.label) if mean is None and args.decoder == "gaussian" else None
    truth = None if mixture is None else -mixture.log_density(x_0)
    if mean is not None:
        x_0 = (x_0 - mean) / std
    doubt(x_0, mean is not None, args.decoder)
    given = {
        "variance": args.variance,
        "decoder": args.decoder,
        "decoder_var": number_or_name(args.decoder_var),
        "bins": 256 if args.bins is None else args.bins,
    }
    sigma_2 = reverse.decoder_var(schedule, given["decoder_var"])

    start, T, out = time.perf_counter(), schedule.T, Path(args.out)
    out.mkdir(parents=True, exist_ok=True)  # a place that cannot be written to is better known now
    means, errors = np.zeros(T + 1), np.zeros(T + 1)
    with progress(2 * T, f"elbo of {args.model}") as bar:

        def note(t, term):
            means[t], errors[t] = with_error(term)
            bar.update()

        bound = elbo.denoising_form(
            *(schedule, denoiser, x_0, streams[1]),
            **given,
            **{"keep_terms": False, "progress": note, "threads": None},
        )
        walked = elbo.undecomposed(
            schedule, denoiser, x_0, streams[4], **given, progress=lambda t, log_ratio: bar.update()
        )
    units = f"a code length over {bound.bins} bins" if bound.bins else "a density of the standardised data"
    units = "a density in the units of the data" if bound.bins is None and std is None else units
    found = {
        "L_T": with_error(bound.prior),
        "L_1 + ... + L_{T-1}": with_error(bound.between),
        "L_0": with_error(bound.reconstruction),
        "bound: their sum": with_error(bound.total),
        "bound, one chain per point": with_error(walked.total),
    }
    print(
        f"{args.model} on {what}: d = {bound.d}, T = {T}, variance {args.variance}, {args.decoder} decoder of variance"
        f" {args.decoder_var}{'' if args.decoder_var == str(sigma_2) else f' = {sigma_2:.3g}'}"
    )
    if trained_on is not None and trained_on == name and Path(name).suffix:
        print("These are points that it was trained on: not a held-out value. Give others by --data.")
    elif trained_on is not None and trained_on != name:
        print(f"It was trained on {trained_on}.")
    for key, value in found.items():
        print(line(key, *value, note=f" of {units}" if key == "L_T" else ""))
    for of, bits in in_bits(walked, std):
        found[f"bits per coordinate, of {of}"] = with_error(bits)
        print(line("", *with_error(bits), "bits per coordinate", f", of {of}"))

    first, last = found["L_0"], found["L_T"]
    means[1], errors[1] = first
    rows = [*zip(range(T), range(1, T + 1), means[1:].tolist(), errors[1:].tolist()), (T, T, *last)]
    rows = [f"L_{k},{t},{mean!r},{error!r}" for k, t, mean, error in rows]
    write_text(out / "terms.csv", "\n".join(["term,t,mean,std_error", *rows]) + "\n")
    with_truth = None if truth is None else with_error(truth)
    picture = plot.bound_per_step(schedule, means, errors, first, last, with_truth, total=with_error(bound.total))
    plot.save(picture, out / "terms.png")
    written = ["terms.csv", "terms.png"]

    def say(key, value, note=""):
        found[key] = value
        print(line(key, *value, note=note))

    if chains:
        with progress(T, f"{chains} chains per point") as bar:
            weights = likelihood.ais(
                schedule, denoiser, x_0, streams[2], chains, **given, progress=lambda t, term: bar.update()
            )
        worst = float(np.quantile(weights.ess, 0.1))
        worth = f"{chains} chains a point are worth {np.median(weights.ess):.3g} equal weights"
        say("-log p(x_0) of the model", with_error(-weights.log_density), f", at most: {worth}, or {worst:.3g}")
        say("bound above that", with_error(weights.bound() + weights.log_density), ", at least")
        if worst < FEW:
            warnings.warn(
                f"for a tenth of the points {chains} chains are worth less than {worst:.3g} equal weights: the estimate"
                " of -log p(x_0) is too high by an amount that the error does not tell. More chains?",
                stacklevel=1,
            )
    if truth is not None:
        say("-log q(x_0) of the data", with_truth, ", exact; over all data no model has a lower mean")
        say("bound above -log q(x_0)", with_error(walked.total - truth), ", one chain per point")
        if args.model == IDEAL and T * len(mixture.weights) <= QUADRATURE:
            with progress(T, "the same over all data, by quadrature") as bar:
                losses = mixture.eps_loss(schedule, progress=lambda t: bar.update())
            exact = likelihood.mixture_bound(
                schedule, mixture, args.variance, given["decoder_var"], eps_loss=losses
            ).total[0]
            say("the same over all data", (float(exact - mixture.entropy()), 0.0), ", exact, by quadrature")
    if args.ladder:
        rungs = climb(schedule, denoiser, x_0, streams[3], args.variance, given["decoder_var"])
        head = "estimator,mean,std_error,variance,variance_error,calls"
        rows = [f'"{one.name}",{one.mean!r},{one.error!r},{one.var!r},{one.var_error!r},{one.calls!r}' for one in rungs]
        write_text(out / "ladder.csv", "\n".join([head, *rows]) + "\n")
        plot.save(plot.variance_ladder(rungs), out / "ladder.png")
        written += ["ladder.csv", "ladder.png"]
    record = {key: value for key, value in vars(args).items() if key not in ("run", "command")}
    record |= {"data": name, "n": len(x_0), "d": bound.d, "T": T, "decoder_var": sigma_2, "bins": bound.bins}
    record |= {"units": units, "nats": {key: list(value) for key, value in found.items()}, "files": written}
    write_text(out / "bound.json", json.dumps(record, indent=1) + "\n")
    print(f"{out}: bound.json, {', '.join(written)}; {time.perf_counter() - start:.1f} s")
    return cli.HOLDS


def in_bits(bound, std):
    """Yield the bound in bits per coordinate, after what it is that these bits describe."""
    if bound.bins is not None:
        yield f"a code length over {bound.bins} bins", bound.bits_per_dim()
    elif std is None:
        yield "a density in the units of the data", bound.bits_per_dim()
    else:
        yield "a density of the standardised data", bound.bits_per_dim()
        yield "a density in the units of the data", bound.bits_per_dim(std)


def climb(schedule, denoiser, x_0, rng, variance, decoder_var):
    """Measure the variance ladder, print it, and return it."""
    from refdiff import elbo

    head = f"{'estimator of the bound':<35} {'mean':>9} ± {'':<7} {'variance':>9} ± {'':<7}"
    print(f"\n{head} {'calls':>6} {'variance x calls':>17}")
    with progress(9, "ladder") as bar:

        def say(rung):
            numbers = f"{rung.mean:>9.4f} ± {rung.error:<7.2g} {rung.var:>9.4g} ± {rung.var_error:<7.2g}"
            bar.write(f"{rung.name:<35} {numbers} {rung.calls:>6.0f} {rung.var * rung.calls:>17.4g}", file=None)
            bar.update()

        # strata pay where a group has each step at least once
        group = schedule.T if 2 <= schedule.T <= len(x_0) // 2 else min(LADDER_GROUP, len(x_0) // 2)
        return elbo.ladder(schedule, denoiser, x_0, rng, variance, decoder_var, group=group, progress=say)
