"""The judge: what it says of right, wrong, missing and misbehaving implementations."""

import types

import numpy as np
import pytest

import refdiff
from refdiff import bayes, verify
from refdiff.gaussian import Gaussian
from refdiff.verify.cases import DESIGNED, Case, RandomSource
from refdiff.verify.evidence import stream
from refdiff.verify.judge import ALPHA, Overspent, alpha_per_statistic


def judged(posterior, **options):
    """Judge a flat namespace that offers `posterior` only."""
    return verify.judge(types.SimpleNamespace(posterior=posterior), only="bayes", budget="quick", **options)


def test_refdiff_holds_on_a_quick_budget():
    report = verify.judge(budget="quick")
    assert report.refuted == []
    assert report.inconclusive == []
    assert report.not_provided == []
    assert set(report.verdicts) == set(verify.CATALOGUE)


def test_what_an_implementation_lacks_is_not_provided_and_never_passed():
    report = judged(bayes.posterior)
    assert set(report.verdicts) == {"bayes.posterior_mean", "bayes.posterior_var"}
    assert report.refuted == []
    assert "bayes.posterior_from_eps" in report.not_provided
    assert set(report.verdicts).isdisjoint(report.not_provided)


def test_a_wrong_variance_is_refuted_with_both_numbers_and_the_case():
    def posterior(schedule, x_0, x_t, t):
        return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)])

    report = judged(posterior)
    assert report.refuted == ["bayes.posterior_var"]
    verdict = report.verdicts["bayes.posterior_var"]
    assert not verdict.holds
    assert verdict.claimed != verdict.measured
    assert verdict.case in DESIGNED


def test_exceptions_wrong_shapes_and_nan_are_answers_and_refute():
    def fails(schedule, x_0, x_t, t):
        raise RuntimeError("boom")

    def misshapes(schedule, x_0, x_t, t):
        return types.SimpleNamespace(mean=np.zeros(7), var=np.zeros(7))

    def loses(schedule, x_0, x_t, t):
        return types.SimpleNamespace(mean=np.full_like(x_0, np.nan), var=np.full_like(x_0, np.nan))

    def nothing(schedule, x_0, x_t, t):
        return None

    for posterior, message in ((fails, "boom"), (misshapes, "shape"), (loses, ""), (nothing, "NoneType")):
        report = judged(posterior)
        assert report.refuted == ["bayes.posterior_mean", "bayes.posterior_var"]
        assert message in report.verdicts["bayes.posterior_mean"].message


def test_an_implementation_with_no_known_name_is_an_error_and_not_a_success():
    with pytest.raises(ValueError, match="nothing that could be judged"):
        verify.judge(types.SimpleNamespace(posterier=bayes.posterior), only="bayes", budget="quick")


def test_the_same_seed_gives_the_same_report_and_another_seed_another_one():
    def numbers(seed):
        report = verify.judge(only="bayes", budget="quick", seed=seed)
        return [(v.claimed, v.measured, v.p_value) for v in report.verdicts.values()]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_unknown_keys_and_budgets_are_refused():
    with pytest.raises(ValueError, match="nonsense"):
        verify.judge(only="bayes.nonsense")
    with pytest.raises(ValueError, match="budget must be one of quick, default, thorough"):
        verify.judge(budget="huge")


def test_all_statistics_together_spend_the_budget_and_no_more():
    report = verify.judge(only="bayes", budget="quick")
    identities = [one for one in verify.CATALOGUE.values() if one.chapter == "bayes"]
    runs = report.statistics / sum(one.statistics for one in identities)
    assert alpha_per_statistic(identities, runs) * report.statistics == pytest.approx(ALPHA)


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_an_identity_records_no_more_statistics_than_its_share_of_the_budget(key):
    source = RandomSource(stream("share", key))
    for case in (*DESIGNED, Case.draw(source)):
        found = verify.examine(verify.CATALOGUE[key], verify.Provided(refdiff), case, routes=("monte_carlo",), n=4_000)
        assert 0 < len(found) <= verify.CATALOGUE[key].statistics
        exact = verify.examine(verify.CATALOGUE[key], verify.Provided(refdiff), case, routes=("exact",))
        assert exact
        assert len({one.what for one in found}) == len(found), "names tell statistics apart"


def test_spending_more_than_the_share_is_an_error():
    key = "bayes.posterior_mean"
    greedy = verify.CATALOGUE[key].__class__(**{**vars(verify.CATALOGUE[key]), "statistics": 1})
    with pytest.raises(Overspent, match="budgeted 1"):
        verify.examine(greedy, verify.Provided(refdiff), DESIGNED[0])


def test_a_refutation_does_not_carry_the_reason_of_an_earlier_case_that_was_inconclusive(monkeypatch):
    from refdiff.verify.evidence import Inconclusive

    cases_seen = []

    def says_nothing_first(claimed, case, trial):
        cases_seen.append(case)
        if len(cases_seen) == 1:
            raise Inconclusive("too few samples")
        trial.mean("x", trial.rng.standard_normal(trial.n), 100.0, 1.0)

    key = "bayes.posterior_var"
    fickle = verify.Identity(**{**vars(verify.CATALOGUE[key]), "monte_carlo": says_nothing_first})
    monkeypatch.setitem(verify.CATALOGUE, key, fickle)
    verdict = verify.judge(only=key, budget="quick").verdicts[key]
    assert (verdict.status, verdict.message) == ("refuted", "")
