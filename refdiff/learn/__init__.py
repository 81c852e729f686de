r"""The classroom: your own function in the place of the library's, with the catalogue as its judge.

``check("posterior.mean", my_posterior)`` answers in a line, with the smallest counter-example where it is wrong;
``solution("posterior.mean")`` shows how refdiff does it.
"""

from refdiff.learn.answer import Answer, Solution, check, resolve, solution
from refdiff.learn.sources import find, has_source, source

__all__ = ["Answer", "Solution", "check", "find", "has_source", "resolve", "solution", "source"]
