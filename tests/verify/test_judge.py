"""The judge: what it says of right, wrong, missing and misbehaving implementations."""

import sys
import types

import numpy as np
import pytest
from scipy.special import bdtr, bdtrc

import refdiff
from refdiff import bayes, verify
from refdiff.gaussian import Gaussian
from refdiff.verify.cases import DESIGNED, HAND, Case, RandomSource
from refdiff.verify.evidence import stream
from refdiff.verify.examine import Overspent
from refdiff.verify.judge import ALPHA, alpha_per_statistic


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


def test_whole_numbers_that_are_wrong_are_refuted_though_their_tolerance_is_0():
    def even_steps(schedule, number):
        if not 1 <= number <= schedule.T:
            raise ValueError("number runs over 1..T")
        return 1 + schedule.T // number * np.arange(number)

    report = verify.judge(types.SimpleNamespace(even_steps=even_steps), only="reverse", budget="quick")
    assert report.refuted == ["reverse.even_steps"]
    verdict = report.verdicts["reverse.even_steps"]
    assert verdict.what.startswith("steps, ")
    assert verdict.claimed != verdict.measured


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
    with pytest.raises(ValueError, match=r"gaussian.kl is there, but the evidence also needs .* such as Gaussian"):
        verify.judge(types.SimpleNamespace(kl=lambda q, p: 0.0), only="gaussian.kl")
    with pytest.raises(ValueError, match=r"continuous.euler is judged together with continuous.euler_path"):
        verify.judge(types.SimpleNamespace(euler=lambda *_: None), budget="quick")
    with pytest.raises(ValueError, match=r"none of bayes.posterior, .* A misspelt name\?"):
        verify.judge(types.SimpleNamespace(posteriors=lambda *_: None), budget="quick")
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


def test_two_statistics_of_one_name_are_an_error():
    def twice(claimed, case, trial):
        for _ in range(2):
            trial.mean("x", trial.rng.standard_normal(trial.n), 0.0, 1.0)

    key = "bayes.posterior_mean"
    alike = verify.Identity(**{**vars(verify.CATALOGUE[key]), "monte_carlo": twice})
    with pytest.raises(Overspent, match="two statistics of one name"):
        verify.examine(alike, verify.Provided(refdiff), DESIGNED[0])


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


def wrong_var(schedule, x_0, x_t, t):
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)])


def wrong_after_the_first_step(schedule, x_0, x_t, t):
    at = schedule.index(t, x_t)
    var = np.where(at == 1, 0.0, schedule.beta[at])
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, var, point_mass=True)


@pytest.mark.parametrize(
    ("posterior", "t", "claimed", "truth"),
    [(wrong_var, 1, 0.36, 0.0), (wrong_after_the_first_step, 2, 0.75, 0.27 / 0.84)],
)
def test_a_refutation_comes_with_a_case_that_can_be_checked_by_hand(posterior, t, claimed, truth):
    verdict = judged(posterior).verdicts["bayes.posterior_var"]
    assert verdict.functions == ("bayes.posterior",)
    assert verdict.first_t == t
    smallest = verdict.smallest
    assert (smallest.t, smallest.claimed, smallest.truth) == (t, claimed, pytest.approx(truth))
    assert smallest.case.beta == (0.36, 0.75)  # alpha_bar = .64, .16: beta_tilde_2 = .36 .75 / .84
    assert smallest.case.d == 1
    assert f"t = {t}" in str(smallest)
    assert "weight" not in smallest.given, "only what the evidence looked at is shown"
    assert f"first at t = {t}" in verdict.why


def test_a_counterexample_of_a_path_can_be_redone_from_the_numbers_it_gives():
    def x_0_from_v(schedule, x_t, v, t):  # the sign of v turned
        i = schedule.index(t, x_t)
        return schedule.signal_rate[i] * x_t + schedule.noise_rate[i] * v

    report = verify.judge(types.SimpleNamespace(x_0_from_v=x_0_from_v), only="parameterize.x_0_from_v", budget="quick")
    smallest = report.verdicts["parameterize.x_0_from_v"].smallest
    assert smallest.given == {"beta": (0.36, 0.75), "x_0": (2.0,), "eps": (-1.0,)}
    x_t, v = 0.8 * 2 + 0.6 * -1, 0.8 * -1 - 0.6 * 2  # at t = 1
    assert (smallest.t, smallest.claimed) == (1, pytest.approx(0.8 * x_t + 0.6 * v))
    assert smallest.truth == pytest.approx(2.0)


def test_to_draw_numbers_from_a_case_or_to_copy_it_is_not_to_look_at_it():
    report = verify.judge(
        types.SimpleNamespace(even_steps=lambda schedule, number: np.arange(1, number + 1)),
        only="reverse.even_steps",
        budget="quick",
    )
    assert set(report.verdicts["reverse.even_steps"].smallest.given) == {"beta"}


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_refdiff_holds_on_the_cases_that_are_checked_by_hand(key):
    for case in HAND:
        found = verify.examine(verify.CATALOGUE[key], verify.Provided(refdiff), case, routes=("exact",))
        wrong = [one for one in found if not one.holds]
        assert not wrong, f"{wrong[0].what}: {wrong[0].first()} on {case}"


def test_a_counterexample_is_found_for_what_only_a_larger_case_shows():
    def posterior(schedule, x_0, x_t, t):
        q = bayes.posterior(schedule, x_0, x_t, t)
        return Gaussian(q.mean[..., ::-1], q.var, point_mass=True)  # right in one dimension

    verdict = judged(posterior).verdicts["bayes.posterior_mean"]
    assert verdict.status == "refuted"
    assert verdict.smallest.case.d == 2
    assert verdict.smallest.case.T == 2


def test_not_a_number_is_called_by_its_name():
    def posterior(schedule, x_0, x_t, t):
        q = bayes.posterior(schedule, x_0, x_t, t)
        return types.SimpleNamespace(mean=q.mean, var=q.var * np.nan)

    assert "the claim is nan" in judged(posterior).verdicts["bayes.posterior_var"].message


def test_precision_forgives_rounding_of_its_size_and_no_more():
    def posterior(schedule, x_0, x_t, t):
        q = bayes.posterior(schedule, x_0, x_t, t)
        return types.SimpleNamespace(mean=q.mean.astype(np.float32), var=q.var.astype(np.float32))

    assert judged(posterior).refuted == ["bayes.posterior_mean", "bayes.posterior_var"]
    for precision in (1e-6, {"": 1e-6}, {"bayes": 1e-6}, {"bayes.posterior": 1e-6}):
        honest = types.SimpleNamespace(posterior=posterior, precision=precision)
        assert verify.judge(honest, only="bayes", budget="quick").refuted == []
    coarse = types.SimpleNamespace(posterior=posterior, precision={"forward": 1e-6})
    assert verify.judge(coarse, only="bayes", budget="quick").refuted
    assert verify.judge(honest, only="bayes", budget="quick").as_json()["precision"] == {"bayes.posterior": 1e-6}


@pytest.mark.parametrize("precision", [0.6, -1e-6, np.nan, {"bayes": 0.1}, {"": True}])
def test_a_precision_that_would_hide_errors_is_refused(precision):
    with pytest.raises(ValueError, match=r"precision is a relative error in \[0, 0.1\)"):
        verify.judge(types.SimpleNamespace(posterior=wrong_var, precision=precision), only="bayes")


def test_until_cannot_be_finer_than_the_precision():
    with pytest.raises(ValueError, match="above the precision"):
        verify.judge(types.SimpleNamespace(posterior=wrong_var, precision=0.01), only="bayes", until=0.005)


def test_an_implementation_cannot_bring_its_own_version_of_an_identity():
    own = {"bayes.posterior_var": verify.CATALOGUE["bayes.posterior_mean"]}
    with pytest.raises(ValueError, match="keys of their own"):
        verify.judge(types.SimpleNamespace(posterior=wrong_var, identities=own), only="bayes")


def test_cases_of_an_implementation_must_be_cases():
    mine = types.SimpleNamespace(posterior=bayes.posterior, cases=lambda source, drawn: [1, 2])
    with pytest.raises(TypeError, match="list of Case"):
        verify.judge(mine, only="bayes")


def test_an_implementation_may_bring_its_own_cases_and_identities():
    def exact(claimed, case, evidence):
        evidence.close("x", claimed.lookup("own.double")(2.0), 4.0, at=None)

    own = verify.Identity("own.double", "own", "2x", "definition", ("own.double",), "", "twice", exact, once=True)
    right = types.SimpleNamespace(double=lambda x: 2 * x, identities={"own.double": own})
    wrong = types.SimpleNamespace(double=lambda x: x * x + 1, identities={"own.double": own})
    assert verify.judge(right).verdicts["own.double"].holds
    assert verify.judge(wrong, only="own").refuted == ["own.double"]
    asked = []

    def cases(source, drawn):
        asked.append(drawn)
        return (DESIGNED[1],)

    mine = types.SimpleNamespace(posterior=bayes.posterior, cases=cases)
    report = verify.judge(mine, only="bayes", budget="quick")
    assert asked == [1] * len([one for one in verify.CATALOGUE.values() if one.chapter == "bayes"])
    assert {verdict.case for verdict in report.verdicts.values()} == {DESIGNED[1]}


def test_until_goes_on_until_the_error_is_known_and_no_look_is_free():
    coarse = verify.judge(only="bayes", budget="quick", until=0.1)
    fine = verify.judge(only="bayes", budget="quick", until=0.05)
    assert coarse.refuted == coarse.inconclusive == fine.refuted == fine.inconclusive == []
    for key, verdict in fine.verdicts.items():
        assert verdict.detects <= 0.05
        assert coarse.verdicts[key].detects <= 0.1
        assert verdict.samples > coarse.verdicts[key].samples
    once = verify.judge(only="bayes.posterior_var", budget="quick")
    assert once.verdicts["bayes.posterior_var"].samples == 4_000
    twice = verify.judge(only="bayes.posterior_var", budget="quick", until=0.15)
    few = twice.verdicts["bayes.posterior_var"]
    assert few.samples == 8_000
    # a second look halves what a first one may spend and takes a sixth: wider than one look at as many samples
    assert few.detects > once.verdicts["bayes.posterior_var"].detects / np.sqrt(2)


def test_until_refutes_as_soon_as_it_can():
    wrong = types.SimpleNamespace(posterior=wrong_var)
    report = verify.judge(wrong, only="bayes.posterior_var", budget="quick", until=0.001)
    verdict = report.verdicts["bayes.posterior_var"]
    assert (verdict.status, verdict.samples) == ("refuted", 4_000)


def test_what_is_not_known_when_time_is_up_is_inconclusive():
    report = verify.judge(only="bayes.posterior_var", budget="quick", until=1e-4, seconds=0.05)
    assert report.inconclusive == ["bayes.posterior_var"]
    assert "0.01 % was asked for" in report.verdicts["bayes.posterior_var"].message


def test_ctrl_c_ends_the_anytime_mode_with_what_is_known(monkeypatch):
    module = sys.modules["refdiff.verify.judge"]
    count, run = [], module.run

    def interrupted(implementation, task):
        count.append(task)
        if len(count) == 15:  # in the second round, which the first one has left with ten identities
            raise KeyboardInterrupt
        return run(implementation, task)

    monkeypatch.setattr(module, "run", interrupted)
    report = verify.judge(only=["bayes.posterior_var", "bayes.posterior_mean"], budget="quick", until=0.001)
    assert report.interrupted
    assert report.inconclusive == ["bayes.posterior_mean", "bayes.posterior_var"]
    assert report.verdicts["bayes.posterior_var"].detects < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": 0.0}, "between 0 and 1"),
        ({"until": 5}, "0.01 for 1 %"),
        ({"seconds": 3.0}, "seconds limits a run with until"),
        ({"time_limit": 0.0}, "time_limit must be positive"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        verify.judge(only="bayes", **options)


def test_false_alarms_of_whole_runs_are_no_more_frequent_than_stated():
    """With a chance of one half of any false alarm per run, alarms in 60 runs stay below the binomial quantile at 1e-7.

    The bound of Bonferroni is not far from the truth for the z and chi-square tests of these identities, so that there
    must be some alarms as well: none in 60 runs would mean that the judge is blunter than it says.
    """
    identities = [verify.CATALOGUE[key] for key in ("bayes.posterior_mean", "bayes.posterior_var", "forward.jump")]
    alpha, alarms = alpha_per_statistic(identities, len(DESIGNED), alpha=0.5), 0
    for seed in range(60):
        alarms += not all(
            one.holds
            for identity in identities
            for case in DESIGNED
            for one in verify.examine(
                identity, verify.Provided(refdiff), case, seed=seed, n=200, alpha=alpha, routes=("monte_carlo",)
            )
        )
    assert bdtrc(alarms - 1, 60, 0.5) > 1e-7, f"{alarms} alarms in 60 runs"
    assert bdtr(alarms, 60, 0.25) > 1e-7, f"only {alarms} alarms in 60 runs"


def test_looking_again_and_again_does_not_add_false_alarms():
    """A walk of samples, looked at ten times as the anytime mode does it: alarms at most as often as one look may."""
    alpha, alarms = 0.1, 0
    for seed in range(400):
        rng, tally = stream("looks", seed), None
        for look in range(1, 11):
            trial = verify.evidence.Trial(rng, 2 ** (look - 1) * 8, 1.0)
            trial.mean("x", rng.standard_normal(trial.n), 0.0, 1.0)
            tally = trial.tallies[0] if tally is None else tally.merge(trial.tallies[0])
            if not tally.statistic(alpha / (look * (look + 1))).holds:
                alarms += 1
                break
    assert bdtrc(alarms - 1, 400, alpha) > 1e-7, f"{alarms} of 400"


def test_the_number_of_statistics_is_raised_knowingly():
    """K divides the budget of false alarms: whoever adds evidence makes all other evidence a little blunter.

    At this many statistics an error must be 5 % larger than at a tenth of them to be caught as surely.
    """
    assert sum(one.statistics for one in verify.CATALOGUE.values()) <= 850
