r"""Is this formula the same as that one? Equal, equivalent under a named reparametrisation, or different.

``draws`` makes the arguments, ``readings`` holds the fixed maps between the usual forms of a quantity, and ``search``
calls both formulas and finds the simplest map under which they agree.
"""

from refdiff.verify.likeness.search import Likeness, Reparametrisation, comparable, compare, listed

__all__ = ["Likeness", "Reparametrisation", "comparable", "compare", "listed"]
