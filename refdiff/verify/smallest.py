r"""The smallest counter-example: a case that refutes and that a reader can check with pencil and paper.

Tried first are cases whose roots are rational (alpha_bar = .64, .16); then the case that refuted is made smaller, one
coordinate and as few steps as it takes, with short decimals.
"""

from dataclasses import replace

from refdiff.verify.cases import HAND, Watched
from refdiff.verify.evidence import Exact
from refdiff.verify.identity import Provided
from refdiff.verify.limits import Guard, within
from refdiff.verify.report import Counterexample

__all__ = ["smallest_counterexample"]


def smallest_counterexample(implementation, identity, case, *, what="", precision=0.0, time_limit=None):
    """Return the smallest Counterexample to an identity, or None where the exact route refutes nothing that small.

    Of all that is wrong in a case, `what` is shown if it is among it.
    """
    for candidate in (*HAND, *smaller(case), case):
        found = _refutes(implementation, identity, candidate, what, precision, time_limit)
        if found is not None:
            return found
    return None


def smaller(case):
    """Yield simpler versions of a case, the simplest first."""
    t, s = case.t, case.s
    for steps in (slice(t - 2, t), slice(0, t)):  # the step and the one before it; then all up to it
        beta = case.beta[steps]
        if len(beta) < 2:
            continue
        for d in sorted({1, case.d}):
            short = replace(
                case,
                beta=tuple(round(b, 1) or 0.05 for b in beta),
                t=len(beta),
                s=min(s, len(beta) - 1),
                **{name: tuple(round(x, 1) for x in getattr(case, name)[:d]) for name in ("x_0", "x_t", "eps")},
            )
            yield short
            yield replace(short, beta=beta)


def _refutes(implementation, identity, case, what, precision, time_limit):
    """Return the first comparison of the exact route that fails on a case, with the numbers that it looked at."""
    exact, watched = Exact(precision), Watched.of(case)
    provided = Provided(implementation, guard=Guard(copies=not identity.in_place))
    try:
        within(time_limit, identity.exact, provided, watched, exact)
    except KeyboardInterrupt:
        raise
    except BaseException:  # what fails before it gives a number is no counter-example in numbers
        return None
    failed = [one for one in exact.found if not one.holds]
    if not failed:
        return None
    failed.sort(key=lambda one: (one.what != what, one.of_refusal))
    first = failed[0]
    return Counterexample(case, watched.given, first.what, *first.first(), first.first_t)
