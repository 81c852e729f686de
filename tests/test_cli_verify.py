"""`refdiff verify` on somebody's own implementation, until an error is known, on several processes."""

import json
import re

import pytest

from refdiff import cli
from refdiff.cli import main

MODULE = """
from types import SimpleNamespace
from refdiff import Gaussian, bayes

def posterior(schedule, x_0, x_t, t):
    return Gaussian(bayes.posterior(schedule, x_0, x_t, t).mean, schedule.beta[schedule.index(t, x_t)])

right = SimpleNamespace(posterior=bayes.posterior)
nothing = SimpleNamespace(posterier=bayes.posterior)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_a_student.py").write_text(MODULE)


def test_a_function_of_ones_own_is_judged_under_its_name(capsys):
    code = main(["verify", "bayes", "--budget", "quick", "--implementation", "of_a_student:posterior"])
    out = capsys.readouterr().out
    assert code == cli.REFUTED
    assert re.search(r"^refuted +bayes\.posterior_var ", out, re.MULTILINE)
    assert "bayes.posterior: Var[x_{t-1} | x_t, x_0], first at t = 1" in out
    assert "smallest: beta = (0.36, 0.75), alpha_bar = (0.64, 0.16), t = 1, x_0 = 2, x_t = 1" in out
    assert re.search(r"^holds +bayes\.posterior_mean ", out, re.MULTILINE)
    assert "8 identities are about functions that are not provided, and were not judged." in out


def test_a_namespace_from_a_file_is_judged(capsys):
    code = main(["verify", "bayes", "--budget", "quick", "--implementation", "of_a_student.py:right"])
    assert code == cli.HOLDS
    assert "2 of 2 identities hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("of_a_student", "MODULE:ATTRIBUTE"),
        ("no_such_module:x", "no_such_module"),
        ("of_a_student:posterier", "posterior"),
        ("of_a_student:nothing", "nothing that could be judged"),
    ],
)
def test_what_cannot_be_judged_is_a_usage_error(what, message, capsys):
    assert main(["verify", "bayes", "--budget", "quick", "--implementation", what]) == cli.USAGE
    assert message in capsys.readouterr().err


def test_until_names_the_error_that_would_have_been_caught(tmp_path, capsys):
    code = main(["verify", "bayes.posterior_var", "--budget", "quick", "--until", "8%", "--json", "r.json"])
    assert code == cli.HOLDS
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["until"] == 0.08
    assert report["verdicts"]["bayes.posterior_var"]["detects"] <= 0.08
    assert f"Fingerprint {report['fingerprint']}" in capsys.readouterr().out


def test_what_time_leaves_open_is_inconclusive(capsys):
    arguments = ["verify", "bayes.posterior_var", "--until", "0.01%", "--seconds", "0.01", "--budget", "quick"]
    assert main(arguments) == cli.INCONCLUSIVE
    assert "0.01 % was asked for" in capsys.readouterr().out


@pytest.mark.parametrize("error", ["0", "100%", "-1%", "much"])
def test_an_error_that_is_none_is_refused(error, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["verify", f"--until={error}"])
    assert stopped.value.code == cli.USAGE
    assert "such as 1% or 0.01" in capsys.readouterr().err


def test_jobs_do_not_change_the_report(capsys):
    reports = []
    for jobs in ("1", "2"):
        assert main(["verify", "bayes", "--budget", "quick", "--jobs", jobs, "--json", "r.json"]) == cli.HOLDS
        with open("r.json", encoding="utf-8") as file:
            reports.append(json.load(file))
    assert reports[0]["fingerprint"] == reports[1]["fingerprint"]


def test_ctrl_c_leaves_what_is_known_and_exits_as_interrupted(capsys, monkeypatch):
    import sys

    module = sys.modules["refdiff.verify.judge"]
    run, count = module.run, []

    def interrupted(implementation, task):
        count.append(task)
        if len(count) > 8:
            raise KeyboardInterrupt
        return run(implementation, task)

    monkeypatch.setattr(module, "run", interrupted)
    assert main(["verify", "bayes.posterior_var", "--budget", "quick", "--until", "0.1%"]) == cli.INTERRUPTED
    assert "would have been seen" in capsys.readouterr().out
