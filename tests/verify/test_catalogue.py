"""Every identity of the catalogue holds for refdiff, and every erratum is rejected, with certified power.

REFDIFF_SEED chooses the cases and the streams of the whole suite (0 by default). In one run of this file the chance of
any false alarm is at most 1e-6: each statistic has 1e-6 / K.
"""

import itertools
import os

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings

import refdiff
from refdiff import verify
from refdiff.verify.cases import DESIGNED
from refdiff.verify.judge import alpha_per_statistic
from tests.verify.strategies import cases

SEED = int(os.environ.get("REFDIFF_SEED", "0"))
EXAMPLES = 12
N = 4_000
RUNS = EXAMPLES + len(DESIGNED)
ALPHA = alpha_per_statistic(verify.CATALOGUE.values(), RUNS)
RIGHT = verify.Provided(refdiff)


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_identity_holds(key):
    identity = verify.CATALOGUE[key]

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )
    @example(DESIGNED[1])
    @example(DESIGNED[0])
    @given(cases())
    def holds(case):
        for one in verify.examine(identity, RIGHT, case, seed=SEED, n=N, alpha=ALPHA):
            claimed, found = one.worst()
            assert one.holds, f"{key}: {one.what}: claimed {claimed:.12g}, found {found:.12g} on {case}"

    holds()


RUNNING = [key for key, erratum in verify.ERRATA.items() if not erratum.fails]
PAIRS = [(key, by) for key in RUNNING for by in verify.ERRATA[key].rejected_by]


def replaced(key):
    """Return refdiff with the function of an erratum in place of the right one."""
    erratum = verify.ERRATA[key]
    return verify.Provided(refdiff, {erratum.replaces: erratum.wrong})


@pytest.mark.parametrize(("key", "rejecting"), PAIRS)
def test_erratum_is_rejected_without_chance(key, rejecting):
    identity = verify.CATALOGUE[rejecting]
    assert verify.ERRATA[key].replaces in identity.judges
    found = [verify.examine(identity, replaced(key), case, routes=("exact",)) for case in DESIGNED]
    assert not all(one.holds for one in itertools.chain(*found)), f"{rejecting} accepts {key} on the exact route"


@pytest.mark.parametrize(("key", "rejecting"), [pair for pair in PAIRS if verify.ERRATA[pair[0]].by_chance])
def test_erratum_is_rejected_by_chance_with_certified_power(key, rejecting):
    identity, wrong = verify.CATALOGUE[rejecting], replaced(key)
    for n, case in itertools.product((N, 4 * N), DESIGNED):
        if verify.power_is_certified(identity, RIGHT, wrong, case, seed=SEED, n=n, alpha=ALPHA):
            found = verify.examine(identity, wrong, case, seed=SEED, n=n, alpha=ALPHA, routes=("monte_carlo",))
            assert not all(one.holds for one in found), f"{rejecting} should have rejected {key} on {case}"
            return
    pytest.fail(f"no designed case certifies a power of .99 of {rejecting} against {key}")


@pytest.mark.parametrize("key", sorted(set(verify.ERRATA) - set(RUNNING)))
def test_erratum_that_is_no_program_fails_to_run(key):
    for rejecting in verify.ERRATA[key].rejected_by:
        # the first designed case has d = 2 and more points than coordinates, where shapes matter
        with pytest.raises((SyntaxError, ValueError)):
            verify.examine(verify.CATALOGUE[rejecting], replaced(key), DESIGNED[0])


def test_every_identity_rejects_at_least_one_erratum():
    rejecting = {by for _, by in PAIRS}  # a program that fails to run proves nothing about a formula
    assert sorted(set(verify.CATALOGUE) - rejecting) == []
