r"""What the judge says: a verdict for each identity, and the report of a run.

Two reports of the same seed are equal whatever ran them; only the seconds differ, and these do not count.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field

from refdiff.verify.cases import Case

__all__ = ["Counterexample", "Report", "Verdict"]


@dataclass(frozen=True)
class Counterexample:
    """The smallest case found that refutes, in the numbers that its evidence looked at.

    Attributes
    ----------
    case : Case
    given : dict
        The numbers of the case that the evidence used.
    what : str
        What was compared.
    claimed, truth : float
    t : int or None
        The step, where the comparison runs over steps.
    """

    case: Case
    given: dict = field(compare=False)
    what: str
    claimed: float
    truth: float
    t: int | None = None

    def __str__(self):
        given = dict(self.given) if self.t is None else {**self.given, "t": self.t}
        if "beta" in given:
            given["alpha_bar"] = tuple(math.prod(1 - b for b in given["beta"][: k + 1]) for k in range(self.case.T))
        given = ", ".join(f"{name} = {number(given[name])}" for name in sorted(given, key=_reading_order))
        return f"{given}: {self.what} claimed {two(self.claimed, self.truth)}"


def _reading_order(name):
    """Return a key that sorts the numbers of a case as a reader wants them: the schedule, the step, the points."""
    order = ("beta", "alpha_bar", "s", "t", "x_0", "x_t", "eps")
    return (order.index(name) if name in order else len(order), name)


def two(claimed, truth):
    """Return two numbers with as many digits as it takes to tell them apart."""
    digits = next((k for k in range(6, 18) if f"{claimed:.{k}g}" != f"{truth:.{k}g}"), 6)
    return f"{claimed:.{digits}g}, in truth {truth:.{digits}g}"


def number(value):
    """Return a number, or a short row of them, as a reader would write it."""
    if isinstance(value, tuple):
        return f"({', '.join(number(one) for one in value)})" if len(value) > 1 else number(value[0])
    return f"{value:.6g}"


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
        The smallest relative error that the Monte Carlo route would have caught with probability .99; without such a
        route, that the exact one catches.
    samples : int
        Per statistic and case.
    seconds : float
    message : str
        What went wrong, if anything did.
    case : Case or None
        The case that refutes, or the last one.
    functions : tuple of str
        What was judged.
    first_t : int or None
        The first step at which it is wrong, as far as the evidence runs over steps.
    smallest : Counterexample or None
        A case small enough to check by hand, if it is refuted.
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
    seconds: float = field(default=0.0, compare=False)
    message: str = ""
    case: Case | None = None
    functions: tuple = ()
    first_t: int | None = None
    smallest: Counterexample | None = None

    @property
    def holds(self):
        """Whether the claim survived all its evidence."""
        return self.status == "holds"

    @property
    def why(self):
        """What speaks against the claim, in a line; empty where it holds."""
        if self.holds:
            return ""
        if self.message:
            return self.message
        at = f", first at t = {self.first_t}" if self.first_t is not None else ""
        size = f"; off by {self.error:.2g} of the largest entry" if 0 < self.error < math.inf else ""
        if 0 < self.error < 1e-5:
            size += ". In single precision? An implementation may ask for it: precision=1e-5"
        numbers = two(self.claimed, self.measured)
        return f"{', '.join(self.functions)}: {self.what}{at}: claimed {numbers}{size}"

    def __str__(self):
        if self.message:
            return f"{self.key:36} {self.status:12} {self.message}"
        line = f"{self.key:36} {self.status:12} claimed {self.claimed:<12.6g} measured {self.measured:<12.6g}"
        line = f"{line} error {self.error:.1e}  p {self.p_value:.1e}  {self.what}"
        return f"{line}\n    {self.smallest}" if self.smallest is not None else line

    def as_json(self):
        """Return the verdict as what JSON can hold; numbers that are not finite are null."""

        def finite(x):
            return x if math.isfinite(x) else None

        return {
            "status": self.status,
            "functions": list(self.functions),
            "what": self.what,
            "claimed": finite(self.claimed),
            "measured": finite(self.measured),
            "p_value": finite(self.p_value),
            "error": finite(self.error),
            "detects": finite(self.detects),
            "first_t": self.first_t,
            "samples": self.samples,
            "seconds": round(self.seconds, 4),
            "message": self.message,
            "smallest": None if self.smallest is None else str(self.smallest),
        }


@dataclass(eq=False)
class Report:
    """The verdicts of one run.

    Attributes
    ----------
    seed : int
    budget : str
    statistics : int
        K, the number of statistics that the false-alarm budget was divided by.
    until : float or None
        The relative error that was to be known, in the anytime mode.
    precision : dict
        The relative errors that the implementation asked to be forgiven, by function, chapter or "" for all.
    verdicts : dict
        Key to Verdict.
    not_provided : list of str
        Keys of identities about functions that the implementation lacks. They were not judged.
    interrupted : bool
        Whether Ctrl-C ended the anytime mode.
    """

    seed: int
    budget: str
    statistics: int = 0
    until: float | None = None
    precision: dict = field(default_factory=dict)
    verdicts: dict = field(default_factory=dict)
    not_provided: list = field(default_factory=list)
    interrupted: bool = False

    @property
    def refuted(self):
        """Keys of the identities that were refuted."""
        return [key for key, verdict in self.verdicts.items() if verdict.status == "refuted"]

    @property
    def inconclusive(self):
        """Keys of the identities about which the evidence was too thin."""
        return [key for key, verdict in self.verdicts.items() if verdict.status == "inconclusive"]

    def __eq__(self, other):
        """Whether both runs came to the same numbers; a NaN is the same as a NaN."""
        return isinstance(other, Report) and self.fingerprint == other.fingerprint

    __hash__ = None

    def __str__(self):
        lines = [str(verdict) for verdict in self.verdicts.values()]
        if self.not_provided:
            lines.append(f"{len(self.not_provided)} identities are about functions that are not provided")
        return "\n".join(lines)

    def as_json(self):
        """Return the report as what JSON can hold."""
        return {
            "seed": self.seed,
            "budget": self.budget,
            "statistics": self.statistics,
            "until": self.until,
            "precision": self.precision,
            "fingerprint": self.fingerprint,
            "verdicts": {key: verdict.as_json() for key, verdict in self.verdicts.items()},
            "not_provided": self.not_provided,
        }

    @property
    def fingerprint(self):
        """A short hash of every digit of the report but the seconds: two runs that agree have the same one."""
        said = [
            (key, verdict.as_json() | {"seconds": 0, "case": repr(verdict.case)})
            for key, verdict in self.verdicts.items()
        ]
        run = [self.seed, self.budget, self.statistics, self.until, self.precision]
        text = json.dumps([*run, said, self.not_provided])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
