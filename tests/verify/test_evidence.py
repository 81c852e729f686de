"""The judge judged: false alarms as rare as stated, errors caught as surely as stated.

Each rate is itself measured by chance; its bounds are binomial quantiles at 1e-7, so that this file as a whole raises a
false alarm about once in 100,000 seeds. The seed is fixed.
"""

import numpy as np
import pytest
from scipy.special import bdtr, bdtrc

from refdiff.verify.evidence import Exact, Inconclusive, Trial, stream

REPLICATES = 2_000


def alarms(record, alpha, n=64, replicates=REPLICATES):
    """Return how many of the replicates raise an alarm; `record(trial)` is one."""
    rng, count = stream("alarms", record.__name__, alpha), 0
    for _ in range(replicates):
        trial = Trial(rng, n, alpha)
        record(trial)
        count += not all(one.holds for one in trial.found)
    return count


def z_test(trial):
    x = 3.0 + 2.0 * trial.rng.standard_normal((trial.n, 2))
    trial.mean("mean", x, [3.0, 3.0], 4.0)


def weighted_z_test(trial):
    known = trial.rng.uniform(-2, 2, (trial.n, 1))
    x = known + known**2 * trial.rng.standard_normal((trial.n, 1))
    trial.mean("mean", x, known, known**4, weight=known)


def chi_square_test(trial):
    trial.var("var", 3.0 + 2.0 * trial.rng.standard_normal(trial.n), 3.0, 4.0)


def chernoff_test(trial):
    z = trial.rng.standard_normal((trial.n, 2))
    trial.quadratic("W", z @ [0.5, -1.0] + (z**2 - 1) @ [0.7, -0.4], 0.0, [0.5, -1.0], [0.7, -0.4])


def bernstein_test(trial):
    trial.bounded("coin", trial.rng.random(trial.n) < 0.3, 0.3, 0.21, span=1.0)


def mixture_test(trial):
    k = trial.rng.random(trial.n) < 0.3
    x = np.where(k, -2.0, 1.0) + np.where(k, 0.3, 0.5) * trial.rng.standard_normal(trial.n)
    trial.mixture("x", x, [0.3, 0.7], [-2.0, 1.0], [0.09, 0.25])


@pytest.mark.parametrize("alpha", [0.1, 0.01])
@pytest.mark.parametrize("record", [z_test, weighted_z_test, chi_square_test])
def test_exact_laws_raise_false_alarms_as_often_as_stated(record, alpha):
    count = alarms(record, alpha)
    assert bdtrc(count - 1, REPLICATES, alpha) > 1e-7, f"{count} alarms: too many"
    # two coordinates share alpha by Bonferroni, which loses next to nothing at this size
    assert bdtr(count, REPLICATES, 0.9 * alpha) > 1e-7, f"{count} alarms: the test is blunter than it says"


@pytest.mark.parametrize("alpha", [0.1, 0.01])
@pytest.mark.parametrize("record", [chernoff_test, bernstein_test, mixture_test])
def test_bounds_raise_false_alarms_at_most_as_often_as_stated(record, alpha):
    count = alarms(record, alpha)
    statistics = 2 if record is mixture_test else 1
    assert bdtrc(count - 1, REPLICATES, statistics * alpha) > 1e-7


def test_the_central_limit_theorem_is_not_trusted_with_skewed_samples_that_are_too_few():
    rng = stream("skewed")
    few = Trial(rng, 500, 1e-9)
    few.clt("chi-square", rng.standard_normal(500) ** 2, 1.0)
    with pytest.raises(Inconclusive, match="too small for the central limit theorem"):
        few.tallies[0].statistic(few.alpha)
    enough = Trial(rng, 60_000, 1e-9)
    enough.clt("chi-square", rng.standard_normal(60_000) ** 2, 1.0)
    assert enough.found[0].holds
    enough.clt("chi-square", rng.standard_normal(60_000) ** 2, 1.1)
    assert not enough.found[1].holds


def caught(statistic, disturbed, replicates=400):
    """Return how often `disturbed(trial, size)` is rejected when the error has the size that the test detects."""
    rng = stream("power", disturbed.__name__)
    size = statistic.detects
    found = 0
    for _ in range(replicates):
        trial = Trial(rng, statistic.n, statistic.alpha)
        disturbed(trial, size)
        found += not trial.found[0].holds
    return found


def shifted_mean(trial, size):
    trial.mean("mean", trial.rng.standard_normal(trial.n), size, 1.0)


def shrunk_var(trial, size):
    trial.var("var", trial.rng.standard_normal(trial.n), 0.0, 1 / (1 + size))


def shifted_quadratic(trial, size):
    z = trial.rng.standard_normal((trial.n, 2))
    trial.quadratic("W", z @ [0.5, -1.0] + (z**2 - 1) @ [0.7, -0.4], size * np.sqrt(1.25 + 1.3), [0.5, -1], [0.7, -0.4])


@pytest.mark.parametrize("disturbed", [shifted_mean, shrunk_var, shifted_quadratic])
def test_an_error_of_the_size_that_is_said_to_be_detected_is_caught_99_times_in_100(disturbed):
    trial = Trial(stream("size", disturbed.__name__), 2_000, 1e-6)
    disturbed(trial, 0.0)
    count = caught(trial.found[0], disturbed)
    assert bdtr(count, 400, 0.99) > 1e-7, f"caught {count} of 400"


@pytest.mark.parametrize("disturbed", [shifted_mean, shrunk_var, shifted_quadratic])
def test_an_error_half_that_size_is_often_missed(disturbed):
    trial = Trial(stream("size", disturbed.__name__), 2_000, 1e-6)
    disturbed(trial, 0.0)
    half = caught(trial.found[0], lambda t, size: disturbed(t, size / 2), replicates=200)
    assert half < 150, "the test is sharper than it says: `detects` is not what it claims"


def test_a_chernoff_p_value_is_never_below_the_normal_one_it_bounds():
    trial = Trial(stream("chernoff"), 100, 1e-6)
    for shift in (0.1, 0.3, 0.5, -0.4):
        trial.quadratic("normal", np.full(100, shift), 0.0, [1.0], [0.0])
        assert trial.found[-1].p_value == pytest.approx(min(1.0, 2 * np.exp(-100 * shift**2 / 2)), rel=1e-9)


def test_evidence_of_the_wrong_kind_refutes():
    for claimed in (np.nan, np.inf):
        exact = Exact()
        exact.close("x", claimed, 1.0)
        assert not exact.found[0].holds
        trial = Trial(stream("nan"), 10, 1e-6)
        trial.mean("x", np.zeros(10), claimed, 1.0)
        assert not trial.found[0].holds
    alike = Exact()
    alike.close("x", np.nan, np.nan)
    assert not alike.found[0].holds, "a truth that is NaN supports no claim"
    with pytest.raises(ValueError, match="shape"):
        Exact().close("x", np.zeros(2), np.zeros(3))


def test_exact_comparisons_are_relative_to_the_largest_entry():
    exact = Exact()
    exact.close("near", [1e6, 1e-9], [1e6, 0.0])
    exact.close("far", [1.0, 1e-9], [1.0, 0.0])
    exact.close("zero", [0.0], [0.0])
    assert [one.holds for one in exact.found] == [True, False, True]


def test_streams_depend_on_their_names_and_on_nothing_else():
    assert stream("a", 1).random() == stream("a", 1).random()
    assert stream("a", 1).random() != stream("a", 2).random()
    assert stream("a", 1).random() != stream("b", 1).random()


@pytest.mark.parametrize(("measured", "holds"), [(0.1 + 0.2, True), (0.3001, False)])
def test_where_nothing_is_random_only_rounding_is_forgiven(measured, holds):
    trial = Trial(np.random.default_rng(0), 10, 1e-9)
    trial.bounded("a number", np.full(10, measured), 0.3, 0.0, span=0.0)
    (found,) = trial.found
    assert found.holds == holds
    assert found.worst() == (0.3, pytest.approx(measured))
