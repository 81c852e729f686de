"""The same seed gives the same report, digit for digit, wherever and in whatever order the work is done."""

import multiprocessing
import random
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from refdiff import verify
from refdiff.verify.examine import run

ONLY = ["bayes", "forward", "elbo.consistency_form", "network.adam", "mixture.score", "mixture.entropy"]


class Shuffled(Executor):
    """Does nothing until a result is asked for, and then everything that waits, in an order of its own."""

    def __init__(self, seed):
        self.random, self.waiting = random.Random(seed), []

    def submit(self, function, *arguments):
        future = Future()
        self.waiting.append((future, function, arguments))
        future.result = lambda: self.work(future)
        return future

    def work(self, future):
        self.random.shuffle(self.waiting)
        while self.waiting:
            waits, function, arguments = self.waiting.pop()
            waits.set_result(function(*arguments))
        return Future.result(future)


@pytest.fixture(scope="module")
def here():
    return verify.judge(only=ONLY, budget="quick", seed=5)


@pytest.fixture(scope="module")
def here_until():
    return verify.judge(only="bayes.posterior_var", seed=5, budget="quick", until=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_work_does_not_show(seed, here, here_until):
    assert verify.judge(only=ONLY, budget="quick", seed=5, executor=Shuffled(seed)) == here
    until = verify.judge(only="bayes.posterior_var", budget="quick", seed=5, until=0.02, executor=Shuffled(seed))
    assert until == here_until


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_give_the_same_report(workers, here):
    with ThreadPoolExecutor(workers) as executor:
        report = verify.judge(only=ONLY, budget="quick", seed=5, executor=executor)
    assert report == here
    assert report.fingerprint == here.fingerprint


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_processes_give_the_same_report(processes, here, here_until):
    assert verify.judge(only=ONLY, budget="quick", seed=5, executor=processes) == here
    until = verify.judge(only="bayes.posterior_var", budget="quick", seed=5, until=0.02, executor=processes)
    assert until == here_until
    assert until.fingerprint == here_until.fingerprint


def test_a_dask_cluster_gives_the_same_report(here):
    distributed = pytest.importorskip("distributed", reason="extra [scale]")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True) as cluster,
        distributed.Client(cluster) as client,
    ):
        report = verify.judge(only=ONLY, budget="quick", seed=5, executor=client.get_executor())
    assert report == here
    assert report.fingerprint == here.fingerprint


def test_another_seed_gives_another_fingerprint(here):
    assert verify.judge(only=ONLY, budget="quick", seed=6).fingerprint != here.fingerprint


def test_what_cannot_be_sent_to_a_process_is_said_so_and_is_no_verdict(processes):
    from types import SimpleNamespace

    with pytest.raises(TypeError, match="picklable"):
        verify.judge(SimpleNamespace(posterior=lambda *_: None), only="bayes", budget="quick", executor=processes)


def test_a_task_carries_all_that_its_outcome_depends_on(here):
    tasks = []

    class Noting(Shuffled):
        def submit(self, function, implementation, task):
            tasks.append((implementation, task))
            return super().submit(function, implementation, task)

    verify.judge(only="bayes.posterior_mean", budget="quick", seed=5, executor=Noting(0))
    implementation, task = tasks[-1]
    assert implementation == "refdiff"
    once, again = run(implementation, task), run(implementation, task)
    assert [tally.moments.mean.tolist() for tally in once.tallies.values()] == [
        tally.moments.mean.tolist() for tally in again.tallies.values()
    ]
