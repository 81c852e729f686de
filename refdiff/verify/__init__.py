r"""The judge: a catalogue of identities, the errata that it rejects, and what runs one on the other.

``judge()`` tries refdiff, or any implementation with some of its names, on evidence that does not use the functions
judged. ``CATALOGUE`` holds the identities, ``ERRATA`` wrong formulas found in print.
"""

from refdiff import CHAPTERS
from refdiff.verify import adapters, catalogue, errata  # noqa: F401  the latter two fill CATALOGUE and ERRATA
from refdiff.verify.examine import examine, identities_of, power_is_certified
from refdiff.verify.identity import CATALOGUE, ERRATA, Erratum, Identity, NotProvided, Provided, sort_by_chapter
from refdiff.verify.judge import ALPHA, BUDGETS, judge
from refdiff.verify.likeness import Likeness, comparable, compare
from refdiff.verify.report import Counterexample, Report, Verdict
from refdiff.verify.texts import SOURCES

__all__ = [
    "ALPHA",
    "BUDGETS",
    "CATALOGUE",
    "ERRATA",
    "SOURCES",
    "Counterexample",
    "Erratum",
    "Identity",
    "Likeness",
    "NotProvided",
    "Provided",
    "Report",
    "Verdict",
    "adapters",
    "comparable",
    "compare",
    "examine",
    "identities_of",
    "judge",
    "power_is_certified",
]

sort_by_chapter((*CHAPTERS, "network"))
