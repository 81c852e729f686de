"""Quality of what a short training reaches: ``python -m tests.benchmarks.quality moons`` (all toy sets by default)."""

import argparse
import ast
import sys
import time
from functools import partial

import numpy as np

from refdiff import GaussianMixture, Schedule, distance, likelihood, network, reverse, toys
from tests.benchmarks import machine, record
from tests.benchmarks.page import line
from tests.benchmarks.rows import ROWS, Missing, add, public

MIXTURES = {"eight_gaussians": toys.eight_gaussians_mixture, "grid": toys.grid_mixture}
# What was chosen by experiment: steps where the noise is small, which is where fine structure is learnt, but none so
# large that x_0 is divided by next to nothing; and depth. Waves resolve more, but samples far out run away with them.
OPTIONS = {
    "schedule-options": {"max_beta": 0.02},
    "model": {"width": 96, "depth": 5, "residual": True, "activation": "gelu"},
    "bound-model": {"point_dim": 16},
}
OF_VARIANCE = 4000  # points on which the best variances of the reverse steps are estimated

for name in toys.NAMES:
    strict = name == "moons"
    add(
        f"quality-{name}",
        f"samples of {name.replace('_', ' ')}",
        target={"energy": 1.5, "sliced": 1.5, "seconds": 10}
        if strict
        else {"energy": 2.5, "sliced": 2.5, "seconds": 20},
    )
for name in MIXTURES:
    add(
        f"bound-{name}",
        f"bound of {name.replace('_', ' ')}",
        target={"gap": 0.05, "seconds": 20},
    )


def trained(asked, name, T, steps, rng, options):
    """Return schedule, model, and the seconds that training took."""
    schedule = getattr(Schedule, asked.schedule)(T, **dict(asked.schedule_options))
    data = toys.draw(name, asked.points, rng)
    start = time.perf_counter()
    model = network.MLP(2, rng=rng, **dict(options))
    for _ in network.fit(model, data, schedule, rng, steps, **dict(asked.fit)):
        pass
    return schedule, model, time.perf_counter() - start, data


def sampler(asked, schedule, model):
    """Return a function of rng that draws the points to be judged."""
    choices = {"steps": asked.sampling_steps, "eta": asked.eta}
    if asked.sampler == "ancestral":
        choices = {"variance": asked.variance}
    sample = on_threads("reverse.ddim" if asked.sampler == "ddim" else "reverse.sample", asked.threads)
    return lambda rng: sample(schedule, model, asked.samples, 2, rng, **choices)


def on_threads(name, threads):
    """Return a function of refdiff, on so many threads if it can be."""
    try:
        return partial(public(name, "threads"), threads=threads)
    except Missing:
        return public(name)


def distances(asked, one, other, number, rng):
    """Return the median of each distance between two laws, each given as a function that draws, over fresh pairs."""
    pairs = [(one(rng), other(rng)) for _ in range(number)]
    energy = np.median([distance.energy_distance(x, y) for x, y in pairs])
    return energy, np.median([distance.sliced_w2(x, y) for x, y in pairs])


def samples(asked, name):
    """Return both distances to fresh data, relative to those between two true samples, for each seed of training."""

    def true(rng):
        return toys.draw(name, asked.samples, rng)

    of_truth = distances(asked, true, true, asked.true_comparisons, np.random.default_rng(10**6))
    values = {"energy": [], "sliced": [], "seconds": []}
    for seed in range(asked.seeds):
        rng = np.random.default_rng(seed)
        schedule, model, seconds, _ = trained(asked, name, asked.T, asked.steps, rng, asked.model)
        found = distances(asked, sampler(asked, schedule, model), true, asked.comparisons, rng)
        for key, value in zip(values, [*(float(a / b) for a, b in zip(found, of_truth)), seconds]):
            values[key].append(value)
    return values


def bound(asked, name):
    """Return by how much the bound exceeds -log p at fresh points, on average over them, for each seed of training."""
    mixture, values = GaussianMixture(*MIXTURES[name]()), {"gap": [], "standard error": [], "seconds": []}
    form = on_threads("elbo.denoising_form", asked.threads)
    for seed in range(asked.seeds):
        rng = np.random.default_rng(seed)
        schedule, model, seconds, data = trained(asked, name, asked.bound_T, asked.bound_steps, rng, asked.bound_model)
        choice = {"variance": asked.bound_variance}
        if asked.bound_variance == "optimal":
            best = reverse.optimal_var(schedule, reverse.eps_loss(schedule, model, data[:OF_VARIANCE], rng))
            choice = {"variance": best, "decoder_var": best[1]}
        x = toys.draw(name, asked.bound_points, rng)
        gap = form(schedule, model, x, rng, keep_terms=False, **choice).total + mixture.log_density(x)
        values["gap"].append(float(gap.mean()))
        values["standard error"].append(float(gap.std() / np.sqrt(len(gap))))
        values["seconds"].append(seconds)
    if asked.ideal:
        loss = mixture.eps_loss(schedule)
        if asked.bound_variance == "optimal":
            best = reverse.optimal_var(schedule, loss)
            choice = {"variance": best, "decoder_var": best[1]}
        ideal = likelihood.mixture_bound(schedule, mixture, eps_loss=loss, **choice)
        values["gap of the ideal denoiser"] = [float(np.sum(ideal.total)) - float(mixture.entropy())]
    return values


def option(text):
    """Read KEY=VALUE."""
    key, _, value = text.partition("=")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def method(asked):
    """Say what the numbers of this run are."""
    given = asked.model, asked.bound_model, asked.fit, asked.schedule_options
    model, other, fit, noise = (", ".join(f"{k}={v!r}" for k, v in one) or "defaults" for one in given)
    how = f"ancestral steps, variance {asked.variance!r}"
    if asked.sampler == "ddim":
        how = f"DDIM, {asked.sampling_steps} steps, eta = {asked.eta:g}"
    yield (
        f"Quality: {asked.seeds} seeds of training; {asked.points} points drawn i.i.d.; {asked.steps} steps, `fit` with"
        f" {fit}, `MLP` with {model}; schedule {asked.schedule}({asked.T}) with {noise}; sampling by {how}."
        f" A distance is that of {asked.samples} samples to as many fresh points of the law, the median of"
        f" {asked.comparisons} such pairs,"
        f" over the median of {asked.true_comparisons} pairs of true samples; energy distance is the V-statistic,"
        " sliced W2 over 64 evenly spaced directions. The number is the median over the seeds, with the lowest and the"
        " highest. Seconds are those of training, wall time, the longest."
    )
    if asked.only == "quality":
        return
    estimated = f", estimated on {OF_VARIANCE} points of training" if asked.bound_variance == "optimal" else ""
    yield (
        f"The bound: {asked.bound_steps} steps on {asked.schedule}({asked.bound_T}), `MLP` with {other}; its mean over"
        f" {asked.bound_points} fresh points minus that of the exact -log p at the same points; variance of the reverse"
        f" steps {asked.bound_variance!r}{estimated}."
    )


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*toys.NAMES, []], metavar="name", help=", ".join(toys.NAMES))
    parser.add_argument("--only", choices=("quality", "bound"), help="only samples, or only the bound")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--points", type=int, default=100_000, help="to train on")
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("-T", type=int, default=1000, help="steps of the diffusion")
    parser.add_argument("--sampler", default="ddim", choices=("ancestral", "ddim"), help="in T steps, or in fewer")
    parser.add_argument("--sampling-steps", type=int, default=200, help="of ddim")
    parser.add_argument("--eta", type=float, default=0.0, help="of ddim")
    parser.add_argument("--variance", default="posterior", choices=("posterior", "beta"), help="of ancestral")
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--comparisons", type=int, default=5, help="pairs of samples and data for each seed")
    parser.add_argument("--true-comparisons", type=int, default=25, help="pairs of data")
    parser.add_argument("--bound-T", type=int, default=1000)
    parser.add_argument("--bound-steps", type=int, default=20_000)
    parser.add_argument("--bound-points", type=int, default=10_000)
    parser.add_argument("--bound-variance", default="optimal", choices=("optimal", "beta", "posterior"))
    parser.add_argument("--ideal", action="store_true", help="also the exact bound of the ideal denoiser: minutes")
    for name, default in OPTIONS.items():
        parser.add_argument(f"--{name}", type=option, nargs="*", default=[*default.items()], metavar="KEY=VALUE")
    parser.add_argument("--fit", type=option, nargs="*", default=[], metavar="KEY=VALUE", help="batch_size=512")
    parser.add_argument("--threads", type=int, default=2, help="of sampling and of the bound")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    asked = parser.parse_args()
    machine.renew()
    machine.warn_if_busy()
    results = []
    for kind, measured, names in (("quality", samples, toys.NAMES), ("bound", bound, MIXTURES)):
        for name in names:
            if (asked.names and name not in asked.names) or asked.only not in (None, kind):
                continue
            row = ROWS[f"{kind}-{name}"]
            out = {key: getattr(row, key) for key in ("name", "work", "peer", "limit", "target")}
            results.append(out | {"values": measured(asked, name)})
            print(line(results[-1]), flush=True)
    record.keep(record.run("tests.benchmarks.quality", results, method=list(method(asked))), asked.json, asked.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
