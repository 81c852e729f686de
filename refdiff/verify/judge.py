r"""The judge: runs identities on cases and says holds, refuted or inconclusive, with a stated error rate.

Over a whole run the chance of a false alarm is at most 1e-6: each of its K statistics is given 1e-6 / K.
Streams of random numbers derive from the identity, the seed and the case, so a verdict can be replayed.
"""

import importlib
import math
import time
from dataclasses import dataclass, field

import numpy as np

from refdiff.verify.cases import DESIGNED, Case, RandomSource
from refdiff.verify.evidence import Exact, Inconclusive, Trial, stream
from refdiff.verify.identity import CATALOGUE, NotProvided, Provided

__all__ = ["ALPHA", "BUDGETS", "Report", "Verdict", "alpha_per_statistic", "examine", "judge", "power_is_certified"]

ALPHA = 1e-6  # the chance that a run over right code raises any false alarm
BUDGETS = {  # samples per statistic, and cases drawn beside the designed ones
    "quick": (4_000, 1),
    "default": (20_000, 4),
    "thorough": (400_000, 16),
}


class Overspent(Exception):
    """Raised where a route records more statistics than it was budgeted: a fault of the catalogue, of nobody judged."""


@dataclass(frozen=True)
class Verdict:
    """What the evidence says about one identity.

    Attributes
    ----------
    key : str
    status : {"holds", "refuted", "inconclusive"}
    what : str
        The comparison or statistic that is reported: the worst one.
    claimed, measured : float
        Its two numbers.
    p_value : float
        The smallest p-value of all statistics; 1.0 where there were none.
    error : float
        The largest relative error of all exact comparisons.
    detects : float
        The smallest relative error that the Monte Carlo route would have caught with probability .99.
    samples : int
        Per statistic, over all cases.
    seconds : float
    message : str
        What went wrong, if anything did.
    case : Case or None
        The case that refutes, or the last one.
    """

    key: str
    status: str
    what: str = ""
    claimed: float = math.nan
    measured: float = math.nan
    p_value: float = 1.0
    error: float = 0.0
    detects: float = math.inf
    samples: int = 0
    seconds: float = 0.0
    message: str = ""
    case: Case | None = None

    @property
    def holds(self):
        """Whether the claim survived all its evidence."""
        return self.status == "holds"

    def __str__(self):
        if self.message:
            return f"{self.key:36} {self.status:12} {self.message}"
        line = f"{self.key:36} {self.status:12} claimed {self.claimed:<12.6g} measured {self.measured:<12.6g}"
        return f"{line} error {self.error:.1e}  p {self.p_value:.1e}  {self.what}"


@dataclass
class Report:
    """The verdicts of one run.

    Attributes
    ----------
    verdicts : dict
        Key to Verdict.
    not_provided : list of str
        Keys of identities about functions that the implementation lacks. They were not judged.
    statistics : int
        K, the number of statistics that the false-alarm budget was divided by.
    """

    seed: int
    budget: str
    statistics: int = 0
    verdicts: dict = field(default_factory=dict)
    not_provided: list = field(default_factory=list)

    @property
    def refuted(self):
        """Keys of the identities that were refuted."""
        return [key for key, verdict in self.verdicts.items() if verdict.status == "refuted"]

    @property
    def inconclusive(self):
        """Keys of the identities about which the evidence was too thin."""
        return [key for key, verdict in self.verdicts.items() if verdict.status == "inconclusive"]

    def __str__(self):
        lines = [str(verdict) for verdict in self.verdicts.values()]
        if self.not_provided:
            lines.append(f"{len(self.not_provided)} identities are about functions that are not provided")
        return "\n".join(lines)


def alpha_per_statistic(identities, runs, alpha=ALPHA):
    """Return the false-alarm rate of each statistic when each identity's Monte Carlo route runs `runs` times."""
    return alpha / max(1, runs * sum(one.statistics for one in identities))


def examine(identity, provided, case, *, seed=0, n=4_000, alpha=1e-9, routes=("exact", "monte_carlo")):
    """Return the evidence of one identity on one case: a list of comparisons and statistics.

    Raises
    ------
    NotProvided
        If a function judged is missing.
    Inconclusive
        If n is too small for what the route needs.
    Overspent
        If the route recorded more statistics than its share of the budget.
    """
    for name in identity.judges:
        provided.lookup(name)
    found = []
    if "exact" in routes:
        exact = Exact()
        identity.exact(provided, case, exact)
        found += exact.found
    if "monte_carlo" in routes:
        trial = Trial(stream(identity.key, seed, case), n, alpha)
        identity.monte_carlo(provided, case, trial)
        if len(trial.found) > identity.statistics:
            raise Overspent(f"{identity.key} recorded {len(trial.found)} statistics, budgeted {identity.statistics}")
        found += trial.found
    return found


def _verdict(identity, provided, cases, seed, n, alpha):
    """Run one identity over cases, and stop at the first that refutes it."""
    start, found, status, message = time.perf_counter(), [], "holds", ""
    case = None
    for case in cases:
        try:
            now = examine(identity, provided, case, seed=seed, n=n, alpha=alpha)
        except (NotProvided, Overspent):
            raise
        except Inconclusive as reason:
            status, message = "inconclusive", str(reason)
            continue
        except Exception as error:  # whatever an implementation raises is its answer, and it is the wrong one
            status, message = "refuted", f"raised {type(error).__name__}: {error}"
            found = []
            break
        found += now
        if not all(one.holds for one in now):
            found, status, message = [one for one in now if not one.holds], "refuted", ""
            break
    statistics = [one for one in found if hasattr(one, "p_value")]
    comparisons = [one for one in found if hasattr(one, "error")]
    if not found and not message:
        status, message = "inconclusive", "the routes recorded no evidence"
    worst = min(statistics, key=lambda one: one.p_value) if statistics else None
    if comparisons and (worst is None or status == "refuted"):
        worst = max(comparisons, key=lambda one: one.error / one.tolerance)
    what, (claimed, measured) = (worst.what, worst.worst()) if worst else ("", (math.nan, math.nan))
    return Verdict(
        identity.key,
        status,
        what,
        claimed,
        measured,
        p_value=min((one.p_value for one in statistics), default=1.0),
        error=max((one.error for one in comparisons), default=0.0),
        detects=max((one.detects for one in statistics), default=math.inf),
        samples=n,
        seconds=time.perf_counter() - start,
        message=message,
        case=case,
    )


def judge(implementation=None, seed=0, only=None, budget="default", progress=None):
    """Judge an implementation by the catalogue.

    Parameters
    ----------
    implementation : module or namespace, optional
        Anything with some of the public names, flat (``posterior``) or by chapter (``bayes.posterior``); refdiff itself
        by default. Functions take the arguments of refdiff's: a Schedule, points of shape (n, d) or (d,), and t as one
        integer or as an array of shape (n,). A law may be any object with ``mean`` and ``var`` of the points' shape.
    seed : int
        Of the whole run. The same seed gives the same report.
    only : str or sequence of str, optional
        Keys, or chapters, to judge; all by default.
    budget : {"quick", "default", "thorough"}
    progress : callable, optional
        Called with each Verdict as it is reached.

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
    >>> judge(SimpleNamespace(posterior=posterior), only="bayes", budget="quick").refuted
    ['bayes.posterior_var']
    """
    if implementation is None:
        implementation = importlib.import_module("refdiff")
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}; got {budget!r}.")
    n, drawn = BUDGETS[budget]
    wanted = [only] if isinstance(only, str) else only
    identities = [one for one in CATALOGUE.values() if wanted is None or one.key in wanted or one.chapter in wanted]
    known = {*CATALOGUE, *(one.chapter for one in CATALOGUE.values())}
    if wanted is not None and (unknown := sorted(set(wanted) - known)):
        raise ValueError(f"no identity or chapter is called {unknown[0]!r}; `refdiff show` lists them.")
    report = Report(seed, budget, statistics=(len(DESIGNED) + drawn) * sum(one.statistics for one in identities))
    alpha, provided = alpha_per_statistic(identities, len(DESIGNED) + drawn), Provided(implementation)
    for identity in identities:
        source = RandomSource(stream("cases", identity.key, seed))
        cases = (*DESIGNED, *(Case.draw(source) for _ in range(drawn)))
        try:
            verdict = _verdict(identity, provided, cases, seed, n, alpha)
        except NotProvided:
            report.not_provided.append(identity.key)
            continue
        report.verdicts[identity.key] = verdict
        if progress is not None:
            progress(verdict)
    if not report.verdicts:
        names = sorted({name for identity in identities for name in identity.judges})
        raise ValueError(
            f"the implementation has nothing that could be judged: none of {', '.join(names[:4])}, ... A misspelt name?"
        )
    return report


def power_is_certified(identity, right, wrong, case, *, seed=0, n=4_000, alpha=1e-9):
    """Return whether the Monte Carlo route rejects `wrong` on this case with probability at least .99.

    Both are given the same stream. Where the samples do not depend on the claim, the proof is that what the wrong
    claim accepts and what the right claim makes typical have nothing in common. Where they do (a wrong sampler draws
    its own samples), it is that their mean lies outside what is accepted by more than four and a half of its
    standard errors, which a repetition makes up for with probability below .01.
    """
    claims = []
    for provided in (right, wrong):
        trial = Trial(stream(identity.key, seed, case), n, alpha)
        identity.monte_carlo(provided, case, trial)
        claims.append({one.what: one for one in trial.found})
    of_right, of_wrong = claims
    for what, truth in of_right.items():
        claim = of_wrong.get(what)
        if claim is None or claim.claimed.shape != truth.claimed.shape:
            continue
        same_samples = abs(claim.measured - truth.measured) <= 1e-9 * truth.scale
        apart = (truth.typical[0] > claim.accepts[1]) | (truth.typical[1] < claim.accepts[0])
        outside = np.maximum(claim.measured - claim.accepts[1], claim.accepts[0] - claim.measured)
        if np.where(same_samples, apart, outside > 4.5 * claim.margin).any():
            return True
    return False
