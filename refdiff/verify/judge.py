r"""The judge: runs identities on cases and says holds, refuted or inconclusive, with a stated error rate.

Over a whole run the chance of a false alarm is at most 1e-6: each of its K statistics is given 1e-6 / K, and where a
run looks at its samples more than once, each look a part of that. Random numbers derive from the identity, the seed,
the case and the chunk, so that a verdict can be replayed, and does not depend on who computed which part of it.
"""

import importlib
import itertools
import math
import pickle
import time
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace

from refdiff.verify.cases import DESIGNED, Case, RandomSource
from refdiff.verify.evidence import stream
from refdiff.verify.examine import Task, find, identities_of, portable, precision_of, precisions, run
from refdiff.verify.identity import NotProvided, Provided
from refdiff.verify.report import Report, Verdict
from refdiff.verify.smallest import smallest_counterexample

__all__ = ["ALPHA", "BUDGETS", "Budget", "alpha_per_statistic", "judge"]

ALPHA = 1e-6  # the chance that a run over right code raises any false alarm


@dataclass(frozen=True)
class Budget:
    """What a run may spend: samples of a chunk, cases drawn beside the designed ones, and the error to be known."""

    n: int
    drawn: int
    until: float | None = None


BUDGETS = {"quick": Budget(4_000, 1), "default": Budget(20_000, 4), "thorough": Budget(20_000, 1, until=0.005)}
TOGETHER = 16  # chunks of a task, at most: what is computed, and merged, in one place


def alpha_per_statistic(identities, runs, alpha=ALPHA):
    """Return the false-alarm rate of each statistic when each identity's Monte Carlo route runs `runs` times."""
    return alpha / max(1, runs * sum(one.statistics for one in identities))


def judge(
    implementation=None,
    seed=0,
    only=None,
    budget="default",
    progress=None,
    *,
    until=None,
    seconds=None,
    executor=None,
    time_limit=60.0,
):
    """Judge an implementation by the catalogue.

    Parameters
    ----------
    implementation : module or namespace, optional
        Anything with some of the public names, flat (``posterior``) or by chapter (``bayes.posterior``); refdiff itself
        by default. Functions take the arguments of refdiff's: a Schedule, points of shape (n, d) or (d,), and t as one
        integer or as an array of shape (n,). A law may be any object with ``mean`` and ``var`` of the points' shape.
        Arrays are handed over as copies.
    seed : int
        Of the whole run. The same seed gives the same report, digit for digit, whatever the executor.
    only : str or sequence of str, optional
        Keys, or chapters, to judge; all by default.
    budget : {"quick", "default", "thorough"}
        4,000 or 20,000 samples a statistic and case; thorough goes on until errors of 0.5 % are known.
    progress : callable, optional
        Called with each Verdict as it is reached.
    until : float, optional
        Go on drawing until each identity is refuted, or would have been with probability .99 were any of its
        statistics off by this relative error. The looks in between are paid for, so one may stop at any time.
    seconds : float, optional
        With `until`: stop after about so many seconds. What is not known by then is inconclusive, as after Ctrl-C.
    executor : concurrent.futures.Executor, optional
        Where to compute; here, one after another, by default. For another process the implementation must be picklable.
    time_limit : float or None
        Seconds for one route on one case and one chunk of samples. Longer counts as a refutation.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If the budget has another name, a key is not in the catalogue, or the implementation has none of the names.

    Examples
    --------
    >>> judge(only="bayes.posterior_var", budget="quick").refuted
    []

    A posterior of one's own, with the variance of the forward step:

    >>> from types import SimpleNamespace
    >>> from refdiff import Gaussian, bayes
    >>> def posterior(schedule, x_0, x_t, t):
    ...     mean = bayes.posterior(schedule, x_0, x_t, t).mean
    ...     return Gaussian(mean, schedule.beta[schedule.index(t, x_t)])
    >>> report = judge(SimpleNamespace(posterior=posterior), only="bayes", budget="quick")
    >>> report.refuted
    ['bayes.posterior_var']
    >>> smallest = report.verdicts["bayes.posterior_var"].smallest  # alpha_bar = .64, .16
    >>> smallest.case.beta, smallest.t, smallest.claimed, smallest.truth
    ((0.36, 0.75), 1, 0.36, 0.0)
    """
    if implementation is None:
        implementation = importlib.import_module("refdiff")
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}; got {budget!r}.")
    until = BUDGETS[budget].until if until is None else until
    if until is not None and not 0 < until < 1:
        raise ValueError(f"until is a relative error, between 0 and 1 (0.01 for 1 %); got {until!r}.")
    if seconds is not None and until is None:
        raise ValueError("seconds limits a run with until=...; without, the samples are what the budget says.")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive, or None for no limit; got {time_limit!r}.")
    if until is not None and until <= max(precisions(implementation).values(), default=0.0):
        raise ValueError(f"until must be above the precision that the implementation asks for; got {until!r}.")
    identities = _chosen(identities_of(implementation), only)
    hearings = [Hearing(one, _cases(implementation, one, seed, budget)) for one in identities]
    K = sum(one.identity.statistics * len(one.cases) for one in hearings)
    court = Court(implementation, seed, BUDGETS[budget].n, ALPHA / max(1, K), executor, time_limit)
    report = Report(seed, budget, K, until, precisions(implementation))
    rounds = court.once(hearings) if until is None else court.rounds(hearings, until, seconds)
    for hearing, verdict in rounds:
        if verdict is None:
            report.not_provided.append(hearing.identity.key)
            continue
        report.verdicts[verdict.key] = verdict
        if progress is not None:
            progress(verdict)
    report.interrupted = court.interrupted
    order = [one.key for one in identities]
    report.verdicts = {key: report.verdicts[key] for key in order if key in report.verdicts}
    report.not_provided.sort(key=order.index)
    if not report.verdicts:
        raise ValueError(f"the implementation has nothing that could be judged: {_wanting(implementation, identities)}")
    return report


def _wanting(implementation, identities):
    """Say what an implementation that cannot be judged would have to bring besides what it has."""
    from difflib import get_close_matches

    provided = Provided(implementation)
    for one in identities:
        lacking = [name for name in one.judges if not _has(provided, name)]
        if not lacking:
            also = "the evidence also needs other names, such as Gaussian or Schedule; refdiff's own will do"
            return f"{' and '.join(one.judges)} is there, but {also}."
        if len(lacking) < len(one.judges):
            having = [name for name in one.judges if name not in lacking]
            return f"{' and '.join(having)} is judged together with {' and '.join(lacking)}."
    names = sorted({name for identity in identities for name in identity.judges})
    own = [name for name in dir(implementation) if not name.startswith("_")]
    near = [name for mine in own for name in names if get_close_matches(mine, [name.rpartition(".")[2]], 1, 0.75)]
    known = near[:4] or names[:4]
    return f"none of {', '.join(known)}, ... A misspelt name?"


def _has(provided, name):
    try:
        provided.lookup(name)
    except NotProvided:
        return False
    return True


def _chosen(identities, only):
    """Return the identities of the keys and chapters asked for."""
    wanted = [only] if isinstance(only, str) else only
    known = {*identities, *(one.chapter for one in identities.values())}
    if wanted is not None and (unknown := sorted(set(wanted) - known)):
        raise ValueError(f"no identity or chapter is called {unknown[0]!r}; `refdiff show` lists them.")
    return [one for one in identities.values() if wanted is None or one.key in wanted or one.chapter in wanted]


def _cases(implementation, identity, seed, budget):
    """Return the cases of an identity: designed and drawn ones, or those that the implementation can be asked about."""
    if identity.once:
        return DESIGNED[:1]
    source, drawn = RandomSource(stream("cases", identity.key, seed)), BUDGETS[budget].drawn
    if callable(own := getattr(implementation, "cases", None)):
        cases = own(source, drawn)
        if not isinstance(cases, list | tuple) or not all(isinstance(one, Case) for one in cases) or not cases:
            raise TypeError(f"cases(source, drawn) of an implementation must return a list of Case; got {cases!r}.")
        return tuple(cases)
    return (*DESIGNED, *(Case.draw(source) for _ in range(drawn)))


def only_refuses(one):
    """Whether a piece of evidence is about an error that a wrong argument must raise; a wrong number says more."""
    return getattr(one, "of_refusal", False)


class Hearing:
    """What has been heard about one identity so far, case by case."""

    def __init__(self, identity, cases):
        self.identity, self.cases = identity, cases
        self.comparisons, self.tallies = [[] for _ in cases], [{} for _ in cases]
        self.failed, self.silent = [""] * len(cases), [""] * len(cases)
        self.missing, self.hung, self.seconds = False, False, 0.0
        self.chunks, self.chunks_heard, self.looks = 0, 0, 0
        self._proved = {}

    def hear(self, task, outcome):
        """Take in what a task found; tasks of a case are heard in the order of their chunks."""
        self._proved.pop(task.number, None)
        self.seconds += outcome.seconds
        self.missing |= bool(outcome.missing)
        self.hung |= outcome.hung
        self.failed[task.number] = self.failed[task.number] or outcome.failed
        self.silent[task.number] = outcome.silent
        self.comparisons[task.number] += outcome.comparisons
        known = self.tallies[task.number]
        for what, tally in outcome.tallies.items():
            known[what] = known[what].merge(tally) if what in known else tally

    def looked(self, looks, chunks):
        """Note that so many chunks are heard, and that this is look number `looks` at them."""
        self.looks, self.chunks_heard = looks, chunks

    def found(self, number, alpha):
        """Return comparisons and statistics of one case, and why it says nothing, if it does not."""
        if self._proved.get(number, (None, None))[0] != alpha:
            self._proved[number] = (alpha, self._prove(number, alpha))
        return self._proved[number][1]

    def refutes(self, number, alpha):
        """Whether one case refutes by more than a refusal that is missing: the next one may have a wrong number."""
        found, _ = self.found(number, alpha)
        return bool(self.failed[number]) or not all(one.holds or only_refuses(one) for one in found)

    def _prove(self, number, alpha):
        found, silent = list(self.comparisons[number]), self.silent[number]
        for tally in self.tallies[number].values():
            try:
                found.append(tally.statistic(alpha))
            except (ValueError, TypeError, OverflowError) as error:
                self.failed[number] = self.failed[number] or f"{tally.what}: {error}"
        return found, silent

    def verdict(self, alpha, upto, n):
        """Return the Verdict of the first cases, up to the first that refutes."""
        everything, message, status, wrong, lenient = [], "", "holds", 0, None
        for wrong in range(upto):
            found, silent = self.found(wrong, alpha)
            if self.failed[wrong]:
                return self._verdict([], "refuted", self.failed[wrong], wrong, n)
            failed = [one for one in found if not one.holds]
            if not all(map(only_refuses, failed)):
                return self._verdict([one for one in failed if not only_refuses(one)], "refuted", "", wrong, n)
            lenient = lenient or (failed and self._verdict(failed, "refuted", "", wrong, n))
            everything += found
            if silent:
                status, message = "inconclusive", silent
        if lenient:
            return lenient
        if not everything and not message:
            status, message = "inconclusive", "the routes recorded no evidence"
        return self._verdict(everything, status, message, wrong, n)

    def _verdict(self, found, status, message, number, n):
        statistics = [one for one in found if hasattr(one, "p_value")]
        comparisons = [one for one in found if hasattr(one, "error")]
        worst = min(statistics, key=lambda one: one.p_value) if statistics else None
        if comparisons and (worst is None or status == "refuted"):
            worst = max(comparisons, key=lambda one: one.excess)
        at = status == "refuted" and any(worst is one for one in comparisons)
        if at:  # its numbers are those that are reported, at the first t
            comparisons = [worst]
        claimed, measured = (math.nan, math.nan)
        if worst is not None:
            claimed, measured = worst.first() if at else worst.worst()
        if status == "refuted" and worst is not None and not math.isfinite(claimed):
            message = f"{worst.what}: the claim is {claimed}"
        return Verdict(
            self.identity.key,
            status,
            worst.what if worst is not None else "",
            claimed,
            measured,
            p_value=min((one.p_value for one in statistics), default=1.0),
            error=max((one.error for one in comparisons), default=0.0),
            detects=max((one.detects for one in statistics or comparisons), default=math.inf),
            samples=n if self.identity.monte_carlo is not None else 0,
            seconds=self.seconds,
            message=message,
            case=self.cases[number],
            functions=self.identity.judges,
            first_t=worst.first_t if at else None,
        )


class Court:
    """Sends tasks to an executor, or does them itself, and hears them in the order in which they were set."""

    def __init__(self, implementation, seed, n, alpha, executor, time_limit):
        self.implementation, self.seed, self.n, self.alpha = implementation, seed, n, alpha
        self.executor, self.time_limit, self.interrupted = executor, time_limit, False

    def once(self, hearings):
        """Yield each hearing with its verdict after one chunk of samples per case."""
        waiting = [self._start(hearing, 1) for hearing in hearings]
        try:
            for hearing, tasks in zip(hearings, waiting):
                for task, result in tasks:
                    hearing.hear(task, result())
                    if hearing.missing or hearing.refutes(task.number, self.alpha):
                        break  # the cases that follow add nothing
                for _, result in tasks:
                    result.cancel()
                yield hearing, self._final(hearing, self.alpha, task.number + 1, self.n)
        finally:
            for _, result in itertools.chain(*waiting):
                result.cancel()

    def rounds(self, hearings, until, seconds):
        """Yield each hearing as soon as its error is known; each round doubles the samples of what is left.

        Stopped early, by the clock or by Ctrl-C, yield what is known of the rest.
        """
        start, looks, chunks, stopped = time.perf_counter(), 0, 1, False
        while hearings:
            looks += 1
            waiting, left = [self._start(hearing, chunks) for hearing in hearings], []
            for hearing, tasks in zip(hearings, waiting):
                # everybody is heard once, so that there is something to be said
                stopped |= looks > 1 and seconds is not None and time.perf_counter() - start > seconds
                outcomes = []
                try:
                    for task, result in [] if stopped else tasks:
                        outcomes.append((task, result()))
                        if outcomes[-1][1].hung:
                            break  # the other cases would hang as well
                except KeyboardInterrupt:
                    stopped, self.interrupted, outcomes = True, True, []
                for _, result in tasks:
                    result.cancel()
                for task, outcome in outcomes:
                    hearing.hear(task, outcome)
                if outcomes:
                    hearing.looked(looks, chunks)
                verdict = self._look(hearing, until)
                if verdict is None or verdict.status == "refuted" or (verdict.holds and verdict.detects <= until):
                    yield hearing, verdict
                elif stopped or hearing.identity.monte_carlo is None:
                    yield hearing, self._too_early(hearing, verdict, until)
                else:
                    left.append(hearing)
            hearings, chunks = left, 2 * chunks
            if stopped:
                yield from ((one, self._too_early(one, self._look(one, until), until)) for one in left)
                return

    def _look(self, hearing, until):
        """Return the verdict on all that a hearing has heard; each look may spend a part of the false alarms."""
        if hearing.chunks_heard == 0:
            return Verdict(hearing.identity.key, "inconclusive", message="interrupted before it was heard")
        alpha = self.alpha / (hearing.looks * (hearing.looks + 1))  # sums to alpha over all looks, however many
        return self._final(hearing, alpha, len(hearing.cases), hearing.chunks_heard * self.n)

    def _too_early(self, hearing, verdict, until):
        """Return the verdict on a hearing that ends before its error is known."""
        if hearing.identity.monte_carlo is None or verdict.message:
            return verdict
        known = f"errors from {100 * verdict.detects:.2g} % on would have been seen, {100 * until:.2g} % was asked for"
        return replace(verdict, status="inconclusive", message=known)

    def _start(self, hearing, upto):
        """Set the tasks that bring each case of a hearing to so many chunks, and start them if somebody else can."""
        new, tasks = tuple(range(hearing.chunks, upto)), []
        groups = [new[i : i + TOGETHER] for i in range(0, len(new), TOGETHER)]
        for number, case in enumerate(hearing.cases):
            for chunks in groups:
                exact = chunks[0] == 0
                if exact or hearing.identity.monte_carlo is not None:
                    name = hearing.identity.key
                    tasks.append(Task(name, case, number, self.seed, self.n, chunks, exact, self.time_limit))
        hearing.chunks = upto
        implementation = self.implementation if self.executor is None else portable(self.implementation)
        return [(task, Pending(self.executor, implementation, task)) for task in tasks]

    def _final(self, hearing, alpha, upto, n):
        """Return the verdict with its counter-example; None where the implementation lacks the function."""
        if hearing.missing:
            return None
        verdict = hearing.verdict(alpha, upto, n)
        own = callable(getattr(self.implementation, "cases", None))  # it can be asked about these only
        if verdict.status != "refuted" or hearing.identity.once or hearing.hung or own:
            return verdict
        identity = find(self.implementation, verdict.key)
        smallest = smallest_counterexample(
            self.implementation,
            identity,
            verdict.case,
            what=verdict.what,
            precision=precision_of(self.implementation, identity),
            time_limit=self.time_limit,
        )
        if smallest is None:
            return verdict
        first_t = next((t for t in (verdict.first_t, smallest.t, smallest.given.get("t")) if t is not None), None)
        return replace(verdict, smallest=smallest, first_t=first_t)


class Pending:
    """A task that somebody computes, or that is computed here when its result is asked for."""

    def __init__(self, executor, implementation, task):
        self.implementation, self.task = implementation, task
        self.future = None if executor is None else executor.submit(run, implementation, task)

    def __call__(self):
        """Return the outcome."""
        if self.future is None:
            return run(self.implementation, self.task)
        try:
            return self.future.result()
        except BrokenExecutor as error:
            raise RuntimeError(
                "the workers of the executor died. With processes, a script needs its call under"
                " `if __name__ == '__main__':`; or else the implementation brought them down."
            ) from error
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # a task itself raises nothing of these
            raise TypeError(
                f"for an executor the implementation must be picklable: functions at the top level of a module that"
                f" the workers can import, no lambdas ({error})."
            ) from error

    def cancel(self):
        """Leave it, unless it runs already."""
        if self.future is not None:
            self.future.cancel()
