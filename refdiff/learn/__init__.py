r"""The classroom: your own function in the place of the library's, with the catalogue as its judge.

``check("posterior.mean", my_posterior)`` answers in a line, with the smallest counter-example where it is wrong;
``solution("posterior.mean")`` shows how refdiff does it. ``EXERCISES`` are what ``refdiff learn`` asks for: ``start``
writes them into files, ``examine`` judges those.
"""

from refdiff.learn.answer import Answer, Solution, check, resolve, solution
from refdiff.learn.examination import Result, examine
from refdiff.learn.exercises import EXERCISES, Exercise
from refdiff.learn.sheets import start
from refdiff.learn.sources import find, has_source, source

__all__ = [
    "EXERCISES",
    "Answer",
    "Exercise",
    "Result",
    "Solution",
    "check",
    "examine",
    "find",
    "has_source",
    "resolve",
    "solution",
    "source",
    "start",
]
