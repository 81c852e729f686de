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
from refdiff.verify.evidence import Inconclusive
from refdiff.verify.judge import alpha_per_statistic
from tests.verify.strategies import cases

SEED = int(os.environ.get("REFDIFF_SEED", "0"))
EXAMPLES = 25
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


@pytest.mark.parametrize("key", verify.ERRATA)
def test_erratum_is_rejected_without_chance(key):
    erratum = verify.ERRATA[key]
    wrong = verify.Provided(refdiff, {erratum.replaces: erratum.wrong})
    for rejecting in erratum.rejected_by:
        identity = verify.CATALOGUE[rejecting]
        assert erratum.replaces in identity.judges
        verdicts = [_exactly_rejected(identity, wrong, case) for case in DESIGNED]
        assert any(verdicts), f"{rejecting} does not reject {key} on the exact route"


def _exactly_rejected(identity, wrong, case):
    try:
        return not all(one.holds for one in verify.examine(identity, wrong, case, routes=("exact",)))
    except Exception:  # a wrong program may also just fail
        return True


@pytest.mark.parametrize(
    ("key", "rejecting"),
    [(key, by) for key, erratum in verify.ERRATA.items() if erratum.by_chance for by in erratum.rejected_by],
)
def test_erratum_is_rejected_by_chance_with_certified_power(key, rejecting):
    erratum, identity = verify.ERRATA[key], verify.CATALOGUE[rejecting]
    wrong = verify.Provided(refdiff, {erratum.replaces: erratum.wrong})
    for n, case in itertools.product((N, 4 * N), DESIGNED):
        try:
            certified = verify.power_is_certified(identity, RIGHT, wrong, case, seed=SEED, n=n, alpha=ALPHA)
        except Inconclusive:
            continue
        except Exception:
            return  # the wrong program fails whenever it runs
        if certified:
            found = verify.examine(identity, wrong, case, seed=SEED, n=n, alpha=ALPHA, routes=("monte_carlo",))
            assert not all(one.holds for one in found), f"{rejecting} should have rejected {key} on {case}"
            return
    pytest.fail(f"no designed case certifies a power of .99 of {rejecting} against {key}")


def test_every_identity_rejects_at_least_one_erratum():
    rejecting = {key for erratum in verify.ERRATA.values() for key in erratum.rejected_by}
    assert sorted(set(verify.CATALOGUE) - rejecting) == []
