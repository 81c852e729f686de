"""What is judged is kept at arm's length: copies of its arguments, a limit of time, its name when it fails."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import refdiff
from refdiff import bayes, verify
from refdiff.gaussian import Gaussian
from refdiff.verify.limits import Guard, OutOfTime, within


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
