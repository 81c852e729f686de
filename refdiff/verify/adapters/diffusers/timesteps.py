r"""The list of steps: which steps each spacing chooses, and which one follows which.

A stride is judged by what step() returns under it: the law must be that of the list's next entry.
"""

from itertools import product

import numpy as np

from refdiff.verify.adapters.diffusers.common import (
    PLAIN,
    SONG,
    SPACINGS,
    all_steps,
    compare,
    final_of,
    listed,
    lucky,
    own,
    same_steps,
    settled,
    take_apart,
    usable,
)
from refdiff.verify.adapters.diffusers.truth import spaced

__all__ = ["set_ups"]


def judge_list(evidence, bench, spacing, numbers):
    """Judge set_timesteps under one spacing: the steps exactly, two answers only where a fraction ends in 1/2."""
    for T, offset in ((bench.T, 0), (1000, 0), (1000, 1), (50, 0), (7, 0)):
        if offset and spacing != "leading":
            continue
        for n in numbers:
            if n > T or (offset and (n - 1) * (T // n) + offset >= T) or not lucky(spacing, T, n):
                continue
            made = [
                bench.copy(
                    betas=np.linspace(1e-4, 0.02, T) if T != bench.T else None,
                    timestep_spacing=spacing,
                    steps_offset=offset,
                )
            ]
            if n in (7, 10):
                built = bench.built(
                    num_train_timesteps=T, trained_betas=None, timestep_spacing=spacing, steps_offset=offset
                )
                made += [built] if built is not None else []
            for scheduler in made:
                bench.call("set_timesteps", scheduler.set_timesteps, n)
                allowed = spaced(spacing, T, n, offset)
                found = scheduler.timesteps.numpy()
                what = f"set_timesteps({n}), timestep_spacing={spacing}, steps_offset={offset}, num_train_timesteps={T}"
                if found.shape != (n,):
                    evidence.close(f"number of timesteps, {what}", found.size, n)
                    continue
                right = [int(one) if int(one) in ok else max(ok) for one, ok in zip(found, allowed)]
                same_steps(evidence, f"timesteps, {what}", found, right, at=range(n))
                evidence.close(f"num_inference_steps after {what}", float(scheduler.num_inference_steps), n)


@own(
    "timesteps_leading",
    judges="set_timesteps timesteps",
    states=r"\tau_i = i\,\lfloor T / n \rfloor + \text{offset}",
    source="Lin et al. (2024), table 2",
    coincides="Where n divides T, rounding does not matter.",
)
class TimestepsLeading:
    """Integer arithmetic, compared exactly, for numbers that divide T and numbers that do not."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(evidence, claimed.diffusers.bench, "leading", (1, 2, 3, 7, 10, 27, 50, 81, 243, 333, 600, 999, 1000))


@own(
    "timesteps_linspace",
    judges="set_timesteps timesteps",
    states=r"\tau_i = \operatorname{round}\left(\frac{i\,(T - 1)}{n - 1}\right)",
    source="Lin et al. (2024), table 2",
    coincides="With n = T all spacings are the same list.",
)
class TimestepsLinspace:
    """Fractions, compared exactly: one number, or two where it ends in exactly 1/2."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(
            evidence, claimed.diffusers.bench, "linspace", (1, 2, 3, 7, 10, 27, 50, 81, 243, 333, 600, 999, 1000)
        )


@own(
    "timesteps_trailing",
    judges="set_timesteps timesteps",
    states=r"\tau_i = \operatorname{round}\left(T - \frac{i\,T}{n}\right) - 1",
    source="Lin et al. (2024), table 2",
    coincides="With n = T all spacings are the same list.",
)
class TimestepsTrailing:
    """Fractions, compared exactly, for numbers of steps that are asked for every day."""

    @staticmethod
    def exact(claimed, case, evidence):
        judge_list(evidence, claimed.diffusers.bench, "trailing", (1, 2, 3, 7, 10, 25, 27, 50, 81, 243, 333, 600, 1000))


@own(
    "number_of_steps",
    judges="set_timesteps timesteps",
    states=r"|\{\tau_i\}| = n, \qquad T - 1 \ge \tau_n > \dots > \tau_1 \ge 0 \qquad\text{for each } n \le T",
    source="Lin et al. (2024), table 2",
    coincides="For most n a range of floats has the right length by luck.",
)
class NumberOfSteps:
    """Every n from 1 to T, under each spacing: as many steps as asked for, falling, all of them in 0..T - 1."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        for spacing in SPACINGS:
            scheduler, numbers, found = bench.copy(timestep_spacing=spacing, steps_offset=0), all_steps(bench.T) + 1, []
            for n in numbers:
                bench.call("set_timesteps", scheduler.set_timesteps, int(n))
                steps = scheduler.timesteps.numpy()
                found.append((steps.size, steps.min() >= 0 and steps.max() < bench.T and (np.diff(steps) < 0).all()))
            sizes, proper = np.array([size for size, _ in found]), [bool(good) for _, good in found]
            first = np.argmin((sizes == numbers) & proper)
            what = f"set_timesteps(n), timestep_spacing={spacing}"
            if sizes[first] != numbers[first] or not proper[first]:
                what += f", first n = {numbers[first]}"
            compare(evidence, f"number of timesteps, {what}", sizes, numbers, 0.25)
            compare(evidence, f"timesteps fall and lie in 0..T - 1, {what}", proper, np.ones(len(numbers)), 0.25)


@own(
    "custom_timesteps",
    judges="set_timesteps timesteps",
    states=r"\tau = \text{the list given, falling}",
    source="definition",
    kinds=("ddpm",),
)
class CustomTimesteps:
    """A list of one's own comes back as it is; lists that rise, repeat or start too high are refused."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        T = bench.T
        for steps in custom_lists(T):
            scheduler = bench.copy(steps=steps)
            same_steps(evidence, f"timesteps, set_timesteps(timesteps={steps})", scheduler.timesteps.numpy(), steps)
        if T < 4:
            return
        n = min(10, T)
        scheduler = bench.copy(steps=[T - 1, 1], timestep_spacing="leading", steps_offset=0)
        bench.call("set_timesteps", scheduler.set_timesteps, n)
        right = [min(one) for one in spaced("leading", T, n)]
        same_steps(evidence, f"timesteps, set_timesteps({n}) after a list", scheduler.timesteps.numpy(), right)
        same_steps(
            evidence,
            f"previous_timestep after set_timesteps({n}) after a list",
            [int(scheduler.previous_timestep(t)) for t in right],
            [*right[1:], -1],
            right,
        )
        scheduler = bench.copy(steps=n)
        bench.call("set_timesteps", scheduler.set_timesteps, timesteps=[T - 1, 1])
        same_steps(evidence, "timesteps, a list after set_timesteps(n)", scheduler.timesteps.numpy(), [T - 1, 1])
        fresh = bench.copy()
        for bad, why in (
            ([1, T - 1], "rise"),
            ([1, 1, 0], "repeat"),
            ([T, 0], "start at T"),
            ([T - 1, 0, 0], "repeat at the end"),
        ):
            evidence.refuses(
                f"set_timesteps refuses lists that {why}", lambda bad=bad: fresh.set_timesteps(timesteps=bad)
            )
        evidence.refuses(
            "set_timesteps refuses a number beside a list", lambda: fresh.set_timesteps(n, timesteps=[T - 1, 0])
        )


def custom_lists(T):
    """Return lists of steps with gaps of all sizes, one of them not down to 0."""
    several = {T - 1, T - 2, 7 * T // 10, 4 * T // 10, T // 4, T // 30, 5, 1, 0}, {T - 1, 2 * T // 3, T // 2, 3}
    return [sorted(one & set(range(T)), reverse=True) for one in several]


def set_ups(bench):
    """Yield names and copies of a scheduler in each way of choosing its steps."""
    for spacing, n in product(SPACINGS, (1, 3, 10, 50, 1000)):
        if n <= bench.T and lucky(spacing, bench.T, n):
            yield (
                f"set_timesteps({n}), timestep_spacing={spacing}",
                bench.copy(steps=n, timestep_spacing=spacing, steps_offset=0),
            )
    for steps in custom_lists(bench.T):
        yield f"set_timesteps(timesteps={steps})", bench.copy(steps=steps)


@own(
    "previous_timestep",
    judges="previous_timestep",
    states=r"\operatorname{prev}(\tau_i) = \tau_{i-1}, \qquad \operatorname{prev}(\tau_1) = -1",
    source=f"{SONG}, section 4.2",
    kinds=("ddpm",),
    coincides="With leading spacing, t minus T // n is the list's next entry.",
)
class PreviousTimestep:
    """The next entry of the scheduler's own list, whatever its spacing; t - 1 where no list was asked for."""

    @staticmethod
    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        fresh, steps = bench.copy(), np.arange(bench.T)
        before = [int(fresh.previous_timestep(int(t))) for t in steps]
        same_steps(evidence, "previous_timestep, no stride", before, steps - 1, at=steps)
        for what, scheduler in set_ups(bench):
            t, prev = listed(scheduler)
            found = [
                int(bench.call("previous_timestep", scheduler.previous_timestep, one)) for one in scheduler.timesteps
            ]
            same_steps(evidence, f"previous_timestep, {what}", found, prev, at=t)
            found = [int(bench.call("previous_timestep", scheduler.previous_timestep, int(one))) for one in t[:50]]
            same_steps(evidence, f"previous_timestep of an int, {what}", found, prev[:50], at=t[:50])


def judge_strides(evidence, bench, lists, **options):
    """Judge that a step leads to the next of the scheduler's own steps: mean, noise and predicted x_0."""
    chain = settled(bench)
    for steps in lists:
        scheduler = bench.copy(steps=steps, **PLAIN, **options)
        said = f"set_timesteps({steps if isinstance(steps, int) else f'timesteps={steps}'})"
        said += "".join(f", {name}={value}" for name, value in options.items())
        t, prev = listed(scheduler)
        for prediction, k in (("v_prediction", 0), ("epsilon", 1), ("sample", 2))[: 1 if len(t) > 500 else 3]:
            proper = usable(
                chain,
                t,
                prediction,
                (0.5, 0.0, 1.0)[k] if bench.kind == "ddim" else None,
                prev,
                final_of(scheduler, chain),
            )
            scheduler.register_to_config(prediction_type=prediction)
            what = f"{said}, prediction_type={prediction}"
            if bench.kind == "ddim":
                final = final_of(scheduler, chain)
                eta = (0.5, 0.0, 1.0)[k]
                take_apart(
                    evidence,
                    f"{what}, eta={eta}",
                    scheduler,
                    chain,
                    t[proper],
                    prev[proper],
                    prediction,
                    eta=eta,
                    final=final,
                )
                continue
            kind = ("fixed_small", "fixed_large", "learned_range")[k]
            if kind != "fixed_small":
                proper &= (prev >= 0) | (t == 0)  # how much noise such a last step may add is not agreed upon
            if proper.any():
                scheduler.variance_type = kind
                scheduler.register_to_config(variance_type=kind)
                take_apart(
                    evidence,
                    f"{what}, variance_type={kind}",
                    scheduler,
                    chain,
                    t[proper],
                    prev[proper],
                    prediction,
                    kind=kind,
                )


def stride(key, states, numbers, coincides, **options):
    """Enter the identity of one way of choosing the steps."""

    def exact(claimed, case, evidence):
        bench = claimed.diffusers.bench
        lists = [n for n in numbers if n <= bench.T] if numbers else custom_lists(bench.T)
        if options.get("timestep_spacing") == "trailing" and key == "stride_trailing":
            lists = [n for n in lists if bench.T % n == 0] or [1]
        if numbers:
            lists = [n for n in lists if lucky(options["timestep_spacing"], bench.T, n)]
        if options.get("steps_offset"):  # a stride of one would lead beyond T - 1, or end above clean data
            lists = [n for n in lists if bench.T // n > 1]
        judge_strides(evidence, bench, lists, **options)

    routes = type(key, (), {"exact": staticmethod(exact)})
    routes.__doc__ = (
        "To which step x_prev belongs shows in the weights of what step() returns: to the next entry of its own list."
    )
    kinds = ("ddpm", "ddim") if numbers else ("ddpm",)
    own(
        key,
        judges="step set_timesteps",
        states=states,
        source=f"{SONG}, eq. 12 and section 4.2",
        kinds=kinds,
        coincides=coincides,
    )(routes)


NEXT = r"x_{\tau_i} \mapsto x_{\tau_{i-1}}, \qquad \alpha = \bar\alpha_{\tau_i} / \bar\alpha_{\tau_{i-1}}"
stride(
    "stride_leading", NEXT, (1, 3, 10, 50, 100), "t - T // n is right here.", timestep_spacing="leading", steps_offset=0
)
stride("stride_offset", NEXT, (3, 10, 50), "t - T // n is right here.", timestep_spacing="leading", steps_offset=1)
stride(
    "stride_trailing",
    NEXT,
    (1, 2, 10, 50, 1000),
    "Where n divides T, t - T // n is right.",
    timestep_spacing="trailing",
)
stride(
    "stride_trailing_uneven", NEXT, (3, 7, 60), "Where n divides T, t - T // n is right.", timestep_spacing="trailing"
)
stride("stride_linspace", NEXT, (3, 10, 50), "With n = T, t - T // n is right.", timestep_spacing="linspace")
stride("stride_custom", NEXT, None, "Nowhere but by luck.")
