"""The routes of the catalogue on the designed cases, each a test of its own: what mutation testing runs first.

A fresh copy of the case is judged each time, so that what a case computes once and keeps (its schedule, its mixture) is
computed within the test, by the code that is under test.
"""

import dataclasses

import pytest

import refdiff
from refdiff import verify
from refdiff.verify.cases import DESIGNED

ALPHA = 1e-6 / (len(DESIGNED) * sum(one.statistics for one in verify.CATALOGUE.values()))


@pytest.mark.parametrize("case", DESIGNED, ids=lambda case: f"T={case.T}")
@pytest.mark.parametrize("route", ["exact", "monte_carlo"])
@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_identity_holds_on_a_designed_case(key, route, case):
    found = verify.examine(
        verify.CATALOGUE[key], verify.Provided(refdiff), dataclasses.replace(case), alpha=ALPHA, routes=(route,)
    )
    for one in found:
        claimed, truth = one.worst()
        assert one.holds, f"{key}: {one.what}: claimed {claimed:.12g}, found {truth:.12g}"
