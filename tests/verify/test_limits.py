"""What is judged is kept at arm's length: copies of its arguments, a limit of time, its name when it fails."""

import importlib
import inspect
import re
import sys
import threading
import time
import types
from types import SimpleNamespace

import numpy as np
import pytest

import refdiff
from refdiff import bayes, forward, verify
from refdiff.gaussian import Gaussian
from refdiff.verify.limits import LAWS, Guard, OutOfTime, within


def in_main_thread(function):
    function()


def in_another_thread(function):
    errors = []

    def work():
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def busy():
    while True:
        pass


def stubborn():
    while True:
        try:
            while True:
                pass
        except Exception:
            continue


@pytest.mark.parametrize("where", [in_main_thread, in_another_thread])
@pytest.mark.parametrize("hangs", [busy, stubborn, lambda: threading.Event().wait(30)])
def test_what_does_not_return_is_stopped_in_time(where, hangs):
    start = time.perf_counter()
    with pytest.raises(OutOfTime):
        where(lambda: within(0.2, hangs))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("where", [in_main_thread, in_another_thread])
def test_what_returns_in_time_is_left_alone(where):
    results = []
    where(lambda: results.append(within(30, lambda x: x + 1, 1)))
    where(lambda: results.append(within(None, lambda x: x + 1, 2)))
    assert results == [2, 3]
    with pytest.raises(ZeroDivisionError):
        where(lambda: within(30, lambda: 1 / 0))


def test_functions_that_hang_are_refuted_by_name():
    def posterior(schedule, x_0, x_t, t):
        busy()

    report = verify.judge(
        SimpleNamespace(posterior=posterior), only="bayes.posterior_var", budget="quick", time_limit=0.2
    )
    assert report.refuted == ["bayes.posterior_var"]
    assert report.verdicts["bayes.posterior_var"].message == "bayes.posterior did not return within 0.2 s"


def test_a_generator_that_never_yields_is_refuted_as_well():
    def ancestral(*arguments, **options):
        busy()
        yield

    report = verify.judge(SimpleNamespace(ancestral=ancestral), only="reverse", budget="quick", time_limit=0.2)
    assert report.refuted == list(report.verdicts)
    assert all("within 0.2 s" in verdict.message for verdict in report.verdicts.values())


def test_arrays_are_handed_over_as_copies():
    x = np.ones(3)

    def spoils(points, *, also):
        points[:] = 0
        also[:] = 0

    Guard().wrap(spoils, "spoils")(x, also=x)
    assert (x == 1).all()
    Guard(copies=False).wrap(spoils, "spoils")(x, also=x)
    assert (x == 0).all()


def test_an_implementation_that_writes_into_its_arguments_is_judged_by_what_it_returns():
    def posterior(schedule, x_0, x_t, t):
        q = bayes.posterior(schedule, x_0, x_t, t)
        result = Gaussian(q.mean.copy(), q.var.copy(), point_mass=True)
        x_0[...], x_t[...] = np.nan, np.nan
        return result

    report = verify.judge(SimpleNamespace(posterior=posterior), only="bayes.posterior_mean", budget="quick")
    assert report.refuted == []


def test_methods_of_a_class_get_copies_too():
    class Spoils:
        def __init__(self, k):
            self.k = k

        def method(self, x):
            x[:] = self.k

        @classmethod
        def of(cls, x):
            x[:] = 5
            return cls(1)

        @staticmethod
        def static(x):
            x[:] = 6

    x, guarded = np.zeros(2), Guard().wrap(Spoils, "Spoils")
    guarded(7).method(x)
    assert isinstance(guarded.of(x), Spoils)
    guarded.static(x)
    assert (x == 0).all()


def test_what_raises_is_named():
    def posterior(schedule, x_0, x_t, t):
        raise RuntimeError("boom")

    report = verify.judge(SimpleNamespace(posterior=posterior), only="bayes.posterior_mean", budget="quick")
    assert report.verdicts["bayes.posterior_mean"].message == "bayes.posterior raised RuntimeError: boom"


def test_the_guard_does_not_change_what_is_computed():
    report = verify.judge(only=["gaussian", "schedule", "network"], budget="quick")
    bare = {
        key: verify.examine(verify.CATALOGUE[key], verify.Provided(refdiff), verdict.case, n=10, routes=("exact",))
        for key, verdict in report.verdicts.items()
    }
    for key, verdict in report.verdicts.items():
        assert verdict.holds
        assert max(one.error for one in bare[key]) <= max(one.tolerance for one in bare[key])


def leaves(schedule, x_0, x_t, t):
    sys.exit(0)


def interrupts(schedule, x_0, x_t, t):
    raise GeneratorExit


@pytest.mark.parametrize("posterior", [leaves, interrupts])
def test_leaving_the_process_is_no_way_to_pass(posterior):
    report = verify.judge(SimpleNamespace(posterior=posterior), only="bayes.posterior_var", budget="quick")
    assert report.refuted == ["bayes.posterior_var"]


def test_what_swallows_its_interruption_and_answers_late_is_late():
    def swallows():
        start = time.perf_counter()
        while time.perf_counter() - start < 0.6:
            try:
                while time.perf_counter() - start < 0.6:
                    pass
            except:  # noqa: E722  as one should not
                pass
        return "an answer"

    with pytest.raises(OutOfTime):
        within(0.1, swallows)


def test_a_timer_of_the_caller_goes_on():
    signal = pytest.importorskip("signal")
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timers here")
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 50.0)
        within(5.0, lambda: None)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 40 < left <= 50
        within(0.05, time.sleep, 0.0)
        assert signal.getsignal(signal.SIGALRM) is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_case_that_is_spoilt_is_spoilt_for_nobody_else():
    def posterior(schedule, x_0, x_t, t):
        object.__setattr__(schedule, "beta", np.zeros(schedule.T + 1))
        return np.zeros_like(x_0), np.ones_like(x_0)

    assert verify.judge(SimpleNamespace(posterior=posterior), only="bayes", budget="quick").refuted
    assert verify.judge(only=["bayes", "forward"], budget="quick").refuted == []


def test_a_module_is_judged_itself_and_not_by_its_name():
    impostor = types.ModuleType("refdiff")
    impostor.posterior = leaves
    assert verify.judge(impostor, only="bayes.posterior_var", budget="quick").refuted == ["bayes.posterior_var"]


@pytest.mark.parametrize("law", [tuple, list, lambda pair: SimpleNamespace(mean=pair[0], var=pair[1])])
def test_a_law_may_be_a_pair_or_anything_with_mean_and_var(law):
    def posterior(schedule, x_0, x_t, t):
        q = bayes.posterior(schedule, x_0, x_t, t)
        return law((q.mean, q.var))

    mine = SimpleNamespace(posterior=posterior, transition=forward.transition, marginal=forward.marginal)
    report = verify.judge(mine, only="bayes", budget="quick")
    assert {"bayes.posterior_mean", "bayes.posterior_var", "bayes.rule"} <= set(report.verdicts)
    assert report.refuted == []


def test_whatever_returns_one_normal_law_may_return_a_pair():
    found = set()
    for chapter in refdiff.CHAPTERS:
        module = importlib.import_module(f"refdiff.{chapter}")
        for name in module.__all__:
            returns = inspect.getdoc(getattr(module, name)).partition("Returns\n-------\n")[2].partition("\n\n")[0]
            if re.findall(r"^\S.*", returns, re.M) == ["Gaussian"]:
                found.add(f"{chapter}.{name}")
    assert found == LAWS


def test_what_is_no_law_is_said_to_be_none():
    report = verify.judge(SimpleNamespace(posterior=lambda *_: "none"), only="bayes.posterior_var", budget="quick")
    assert "bayes.posterior returned str" in report.verdicts["bayes.posterior_var"].message


def test_a_chapters_name_does_not_hide_flat_functions():
    flat = SimpleNamespace(forward=lambda x: x, marginal=forward.marginal)  # as every torch module has a `forward`
    assert verify.judge(flat, only="forward", budget="quick").refuted == []


def test_what_the_caller_does_with_floating_point_errors_does_not_show():
    with np.errstate(all="raise"):
        loud = verify.judge(only="mixture", budget="quick")
    assert loud == verify.judge(only="mixture", budget="quick")
