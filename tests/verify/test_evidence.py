"""The judge judged: false alarms as rare as stated, errors caught as surely as stated.

Each rate is itself measured by chance; its bounds are binomial quantiles at 1e-7, so that this file as a whole raises a
false alarm about once in 100,000 seeds. The seed is fixed.
"""

import numpy as np
import pytest
from scipy.special import bdtr, bdtrc, gammainc, gammaincc

from refdiff.verify.evidence import Exact, Trial, stream

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


@pytest.mark.parametrize(("n", "alpha"), [(200, 1e-6), (4_000, 5e-10)])
@pytest.mark.parametrize("factor", ["too small", "too large"])
def test_the_power_against_a_wrong_variance_is_what_is_said_exactly(n, alpha, factor):
    trial = Trial(stream("power"), n, alpha)
    trial.var("var", trial.rng.standard_normal(n), 0.0, 1.0)
    (found,) = trial.found
    truth = 1 + found.detects if factor == "too small" else 1 / (1 + found.detects)
    low, high = (n * one[0] / truth for one in found.accepts)
    assert gammainc(n / 2, low / 2) + gammaincc(n / 2, high / 2) >= 0.99 * (1 - 1e-9)


def test_the_least_sensitive_entry_is_the_one_that_counts():
    trial = Trial(stream("entries"), 1_000, 1e-6)
    trial.mean("x", np.array([100.0, 0.0]) + trial.rng.standard_normal((1_000, 2)), [100.0, 0.0], 1.0)
    alone = Trial(stream("entries"), 1_000, 1e-6)
    alone.mean("x", trial.rng.standard_normal((1_000, 2)), [0.0, 0.0], 1.0)
    assert trial.found[0].detects == pytest.approx(alone.found[0].detects)


def test_nothing_to_compare_and_infinite_truths_prove_nothing():
    with pytest.raises(ValueError, match="no numbers"):
        Exact().close("x", [], [])
    exact = Exact()
    exact.close("x", [np.inf, 2.0], [np.inf, 1.0])
    assert not exact.found[0].holds


def test_equal_numbers_merged_are_still_equal():
    rng, tallies = stream("equal"), []
    for n in (7, 11, 13):
        x = rng.standard_normal(n)
        trial = Trial(None, n, 1e-6)
        trial.mean("x", x, x, 0.0)
        tallies.append(trial.tallies[0])
    merged = tallies[0].merge(tallies[1]).merge(tallies[2])
    assert merged.statistic(1e-6).p_value == 1.0


@pytest.mark.parametrize("record", ["mean", "var", "quadratic", "bounded"])
def test_every_law_forgives_the_precision_that_an_implementation_asks_for(record):
    def found(precision, off):
        trial = Trial(stream("precision", record), 1_000_000, 1e-9, precision)
        z = trial.rng.standard_normal(trial.n)
        match record:
            case "mean":
                trial.mean("x", z + 5, 5 * off, 1.0)
            case "var":
                trial.var("x", z, 0.0, off)
            case "quadratic":
                trial.quadratic("x", 5 + z, 5 * off, [1.0], [0.0])
            case "bounded":
                trial.bounded("x", z < 0, 0.5 * off, 0.25, span=1.0)
        return trial.found[0].holds

    assert not found(0.0, 1.015)
    assert found(0.02, 1.015)
    assert not found(0.02, 1.06)


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
