r"""Derive, verify, refute, train, sample and measure a diffusion model, and write it all into one report."""

import json
import os
import signal
import time
import warnings
from contextlib import ExitStack
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np

HELP = "everything once, in two minutes, as a report to look at"

TOYS = ("moons", "pinwheel")
TRAINING_POINTS = 50_000
T_TOYS = 200
T_MIXTURE = 300
STEPS = {"toys": 7_000, "mixture": 6_000}
HELD_OUT = 4_000
BOUND_POINTS = 20_000
LADDER_POINTS = 1_600
LADDER_T = 50
GAP_T = (5, 10, 20, 40, 80, 160, 320, 640)


def add_arguments(command):
    command.add_argument("--out", default="tour", metavar="DIR", help="where to put it (default: tour)")
    command.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")


def mixture_data(scale=1.0):
    """Return the mixture whose truth the tour knows: three overlapping Gaussians, nearly of unit variance, scaled."""
    from refdiff import GaussianMixture

    means = scale * np.array([[-1.3, -0.6], [1.1, -0.8], [0.1, 1.1]])
    return GaussianMixture([0.3, 0.3, 0.4], means, scale**2 * np.array([0.20, 0.16, 0.24]))


def streams(seed, name):
    """Return independent generators for the data, the training and the sampling of one part of the tour."""
    digits = [seed, *name.encode()]
    return [np.random.default_rng(s) for s in np.random.SeedSequence(digits).spawn(3)]


def learn(name, draw, schedule, steps, seed, path):
    """Train a model on 50,000 points, save it, and return it with its loss curve and seconds."""
    from refdiff import network

    data_rng, rng, _ = streams(seed, name)
    start = time.perf_counter()
    model = network.MLP(2, rng=rng)
    state = network.TrainingState.start(model)
    records = list(network.fit(model, draw(TRAINING_POINTS, data_rng), schedule, rng, steps, state=state))
    metadata = {"data": name, "seed": seed, "steps": steps, "batch_size": 256}
    network.save(path, model, schedule=schedule, metadata=metadata, state=state)
    curve = {"step": [r.step for r in records], "loss": [r.loss for r in records]}
    return model, {"T": schedule.T, "steps": steps, "seconds": time.perf_counter() - start, "loss": curve}


def prepare_worker():
    """Leave Ctrl-C to the parent, and hold BLAS to one thread: the other core has work of its own."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1, user_api="blas")


def toy_task(name, steps, n, seed, out):
    """Train on a toy set, sample, and measure the samples against points that the model has not seen."""
    from refdiff import Schedule, reverse, toys
    from refdiff.distance import energy_distance

    schedule = Schedule.vp(T_TOYS)
    model, facts = learn(name, getattr(toys, name), schedule, steps, seed, Path(out) / f"{name}.npz")
    *_, rng = streams(seed, name)
    start = time.perf_counter()
    samples = reverse.sample(schedule, model, n, 2, rng)
    facts["sampling_seconds"] = time.perf_counter() - start
    # the median of five comparisons each: what one held-out set happens to be moves the distance by half of itself
    held_out = [toys.draw(name, n, rng) for _ in range(6)]
    facts["energy_distance"] = float(np.median([energy_distance(samples, x) for x in held_out[1:]]))
    facts["energy_distance_of_data"] = float(np.median([energy_distance(*two) for two in pairwise(held_out)]))
    facts["energy_ratio"] = facts["energy_distance"] / facts["energy_distance_of_data"]
    return facts, samples, held_out[0]


def mixture_task(steps, seed, out):
    """Train on mixture data."""
    from refdiff import Schedule

    _, facts = learn("mixture", mixture_data().sample, Schedule.vp(T_MIXTURE), steps, seed, Path(out) / "mixture.npz")
    return facts


def measure_bounds(schedule, model, seed):
    """Return the bounds of the ideal and of the learnt denoiser on mixture data, exact -log q, and the facts.

    The gap of the ideal one is exact, by quadrature; that of the learnt one is measured from there, point by point.
    """
    from refdiff import elbo, likelihood

    data, rng = mixture_data(), streams(seed, "bound")[0]
    x_0 = data.sample(BOUND_POINTS, rng)
    exact = -data.log_density(x_0)
    bounds, facts = {}, {"exact": float(exact.mean()), "points": BOUND_POINTS}
    for name, denoiser in (("ideal", data.denoiser(schedule)), ("learnt", model)):
        # both on the same noise, which then cancels in their difference
        bounds[name] = bound = elbo.denoising_form(schedule, denoiser, x_0, streams(seed, "bound")[1])
        facts[name] = {
            "bound": float(bound.total.mean()),
            "L_0": float(bound.reconstruction.mean()),
            "L_1..L_T-1": float(bound.terms.sum(axis=0).mean()),
            "L_T": float(bound.prior.mean()),
            "gap_at_these_points": float((bound.total - exact).mean()),
            "bits_per_dim": float(bound.bits_per_dim().mean()),
        }
    least = float(likelihood.mixture_bound(schedule, data).total[0] - data.entropy())
    more = bounds["learnt"].total - bounds["ideal"].total
    facts["ideal"] |= {"gap": least, "gap_standard_error": 0.0}
    facts["learnt"] |= {"gap": least + float(more.mean()), "gap_standard_error": float(more.std() / np.sqrt(len(more)))}
    return bounds, exact, facts


def line_mixture():
    """Return a mixture on the line, where quadrature makes all that is known of the bound exact."""
    from refdiff import GaussianMixture

    return GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.25])


def anatomy(seed):
    """Draw how the bound is estimated, how tight it is over T, and what is left to chance; return facts and figures."""
    from refdiff import Schedule, elbo, likelihood, plot, reverse

    data, figures = line_mixture(), {}
    x_rng, rng, _ = streams(seed, "anatomy")
    schedule, x_0 = Schedule.vp(LADDER_T), data.sample(LADDER_POINTS, x_rng)
    rungs = elbo.ladder(schedule, data.denoiser(schedule), x_0, rng, group=LADDER_T)
    figures["ladder"] = plot.variance_ladder(rungs)
    schedules = [Schedule.vp(T) for T in GAP_T]
    figures["gap"] = plot.bound_gap(data, schedules)
    figures["quasi_static"] = plot.quasi_static(data, schedules, rng)
    losses = data.eps_loss(schedule)
    best = reverse.optimal_var(schedule, losses)
    choices = {"beta": ("beta", "beta_1"), "posterior": ("posterior", "beta_1"), "optimal": (best, best[1])}
    facts = {
        "T": LADDER_T,
        "entropy": data.entropy(),
        "rungs": {
            one.name: {"mean": one.mean, "error": one.error, "var": one.var, "calls": one.calls} for one in rungs
        },
        "gap": {
            name: float(likelihood.mixture_bound(schedule, data, *choice, eps_loss=losses).total[0] - data.entropy())
            for name, choice in choices.items()
        },
    }
    return facts, figures


def endings(seed):
    """Measure how schedules end, and what that does to samples that the ideal denoiser draws from N(0, I).

    On mixture data of unit variance, and on the same data 1.8 times as wide.
    """
    from refdiff import Schedule, elbo, reverse
    from refdiff.distance import energy_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warning about linear(50) is the point of this table
        schedules = {
            "linear, T = 50": Schedule.linear(50),
            "cosine, T = 50": Schedule.cosine(50),
            "vp, T = 50": Schedule.vp(50),
            "linear, T = 1000": Schedule.linear(1000),
        }
    rows = [{"schedule": name, "alpha_bar_T": float(one.alpha_bar[-1])} for name, one in schedules.items()]
    for name, scale in (("standardized", 1.0), ("wide", 1.8)):
        data, rng = mixture_data(scale), np.random.default_rng([seed, 50])
        held_out = [data.sample(HELD_OUT, rng) for _ in range(4)]
        null = np.median([energy_distance(*two) for two in pairwise(held_out)])
        for row, schedule in zip(rows, schedules.values()):
            samples = reverse.sample(schedule, data.denoiser(schedule), HELD_OUT, 2, rng)
            distance = np.median([energy_distance(samples, x) for x in held_out[1:]])
            row[name] = {
                # L_T is linear in the square of x_0, so this is its exact mean over the data
                "L_T": float(elbo.prior_term(schedule, np.sqrt(data.mean**2 + data.var))),
                "energy_ratio": float(distance / null),
            }
    return rows


def run(args):
    from threadpoolctl import threadpool_limits

    from refdiff import Schedule, network, plot, verify
    from refdiff.checks import count
    from refdiff.cli import report as pages
    from refdiff.cli.console import exit_code, progress, write_text
    from refdiff.cli.errata import refutation
    from refdiff.kernels.streams import announce
    from refdiff.network.engine import compile_loops

    start = time.perf_counter()
    count(args.seed, "--seed", 0)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK):
        raise PermissionError(f"--out must be a directory that can be written to; got {out}.")
    results, figures, rng = {"seed": args.seed}, {}, np.random.default_rng([args.seed, 1])
    total = len(verify.CATALOGUE) + 60 * (2 + len(TOYS)) + 100  # a unit of the bar is about a tenth of a second
    with progress(total, "refdiff tour") as bar, ExitStack() as stack:

        def say(part):
            bar.write(f"[{time.perf_counter() - start:5.1f} s] {part}", file=None)

        with announce(cache(lambda: say("compiling kernels, once; then they come from disk")), lambda: None):
            compile_loops()  # here, and not in each worker
        # terminated on any way out
        pool = stack.enter_context(get_context("spawn").Pool(2, initializer=prepare_worker))

        def submit(task, *arguments):
            return pool.apply_async(task, arguments, callback=lambda _: bar.update(60))

        say(f"training three small networks in the background: {', '.join(TOYS)}, and a mixture whose truth is known")
        mixture = submit(mixture_task, STEPS["mixture"], args.seed, out)
        toys = {name: submit(toy_task, name, STEPS["toys"], HELD_OUT, args.seed, out) for name in TOYS}

        linear = Schedule.linear()
        figures["forward"] = plot.forward_figure(linear, rng)
        plot.forward_animation(linear, out / "forward.gif", rng)
        figures["posterior"] = plot.posterior_product(Schedule.from_betas([0.3, 0.2, 0.4, 0.3]), 1.5, -0.5, 3)
        bar.update(50)
        say("the forward process, walked from its definition: forward.gif")

        judged = verify.judge(seed=args.seed, progress=lambda _: bar.update())
        results["verify"] = judged.as_json()
        held = sum(verdict.holds for verdict in judged.verdicts.values())
        say(f"{held} of {len(judged.verdicts)} identities hold")
        results["errata"] = [refutation(erratum) for erratum in verify.ERRATA.values()]
        say(f"{sum(row['refuted'] for row in results['errata'])} of {len(results['errata'])} errata refuted")
        results["endings"] = endings(args.seed)
        bar.update(30)

        results["mixture"] = mixture.get()
        schedule, model = Schedule.vp(T_MIXTURE), network.load(out / "mixture.npz")
        with threadpool_limits(1, user_api="blas"):
            bounds, exact, facts = measure_bounds(schedule, model, args.seed)
        results["mixture"] |= facts
        figures["elbo"] = plot.elbo_terms(schedule, bounds["learnt"], bounds["ideal"], exact, facts["ideal"]["gap"])
        figures["score"] = plot.score_field(mixture_data(), schedule, T_MIXTURE // 5, model)
        results["anatomy"], drawn = anatomy(args.seed)
        figures |= drawn
        bar.update(60)
        say(
            f"mixture data: the bound is {facts['learnt']['bound']:.3f} nats with the learnt denoiser,"
            f" {facts['ideal']['bound']:.3f} with the ideal one; -log q(x_0) of the data {facts['exact']:.3f}"
        )
        rows, results["toys"] = [], {}
        for name, task in toys.items():
            results["toys"][name], samples, held_out = task.get()
            rows.append((name, held_out, Schedule.vp(T_TOYS), samples))
            say(f"{name}: energy distance {results['toys'][name]['energy_ratio']:.2f} times that of data to data")
        figures["strip"] = plot.diffusion_strip(rows, rng)
        for name, figure in figures.items():
            plot.save(figure, out / f"{name}.png")
        bar.update(20)
    results["seconds"] = time.perf_counter() - start
    write_text(out / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_text(out / "report.html", pages.render(results, out))
    print(f"{out / 'report.html'}: open it in a browser. {results['seconds']:.0f} s.")
    return exit_code(judged)
