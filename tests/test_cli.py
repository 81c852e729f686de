"""The commands: what they print, what they write, and the code that they exit with."""

import csv
import json
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from refdiff import cli, network, verify
from refdiff.cli import main


def test_verify_prints_a_line_per_identity_and_exits_0_where_all_hold(capsys):
    assert main(["verify", "bayes", "--budget", "quick"]) == cli.HOLDS
    out = capsys.readouterr().out
    keys = [key for key, identity in verify.CATALOGUE.items() if identity.chapter == "bayes"]
    for key in keys:
        assert re.search(rf"^holds +{re.escape(key)} +[-\d.e+]+ +[-\d.e+]+ ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 104
    assert f"{len(keys)} of {len(keys)} identities hold" in out


def test_verify_writes_what_it_found_as_json(tmp_path, capsys):
    path = tmp_path / "report.json"
    assert main(["verify", "bayes.posterior_var", "--budget", "quick", "--seed", "3", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["seed"] == 3
    assert report["verdicts"]["bayes.posterior_var"]["status"] == "holds"
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_verify_exits_1_where_an_identity_is_refuted_and_says_by_what(capsys, monkeypatch):
    from refdiff import bayes

    wrong = verify.ERRATA["posterior-var-beta"].wrong
    monkeypatch.setattr(bayes, "posterior", wrong)
    assert main(["verify", "bayes.posterior_var", "--budget", "quick"]) == cli.REFUTED
    assert "refuted      bayes.posterior_var" in capsys.readouterr().out


def test_verify_exits_3_where_the_evidence_is_too_thin(capsys, monkeypatch):
    from refdiff.verify.evidence import Inconclusive

    def says_nothing(claimed, case, evidence):
        raise Inconclusive("too few samples")

    key = "bayes.posterior_var"
    thin = verify.Identity(**{**vars(verify.CATALOGUE[key]), "monte_carlo": says_nothing})
    monkeypatch.setitem(verify.CATALOGUE, key, thin)
    assert main(["verify", key, "--budget", "quick"]) == cli.INCONCLUSIVE
    assert "too few samples" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "nonsense"],
        ["errata", "nonsense"],
        ["show", "nonsense"],
        ["sample", "nothing.npz"],
        ["train", "--data", "nothing"],
        ["train", "--data", "nothing.csv"],
        ["train", "--out", "model.txt"],
        ["train", "--resume"],
        ["train", "--seed", "-1"],
        ["verify", "--seed", "-1"],
        ["tour", "--seed", "-1"],
        ["train", "--steps", "0"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_exits_2_with_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == cli.USAGE
    error = capsys.readouterr().err
    assert error.startswith("refdiff: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_command_and_unknown_options_exit_2(capsys):
    for arguments in ([], ["dance"], ["verify", "--budget", "huge"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == cli.USAGE


def test_errata_refutes_each_and_prints_both_numbers(capsys):
    assert main(["errata", "bayes", "--full"]) == cli.HOLDS
    out = capsys.readouterr().out
    number = sum(erratum.replaces.startswith("bayes.") for erratum in verify.ERRATA.values())
    assert f"{number} of {number} errata refuted" in out
    assert re.search(
        r"^posterior-var-beta\n(  .*\n)+  refuted    by bayes.posterior_var; .*: 0.5, in truth 0"
        r"\n  refdiff    0, in the case beta = \(0.5, 0.5\), t = 2, s = 1, x_0 = 2; off by 150 %$",
        out,
        re.M,
    )


def test_errata_are_a_line_each_where_nothing_else_is_asked_for(capsys):
    assert main(["errata"]) == cli.HOLDS
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(verify.ERRATA)]] == list(verify.ERRATA)
    assert f"{len(verify.ERRATA)} of {len(verify.ERRATA)} errata refuted" in out
    assert main(["errata", "posterior-var-beta"]) == cli.HOLDS
    assert "found in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["verify", "bays"], "Did you mean bayes?"),
        (["show", "bayes.posterior_vra"], "bayes.posterior_var"),
        (["errata", "bayes.posterior_var"], "is an identity: `refdiff show bayes.posterior_var`"),
        (["show", "posterior-var-beta"], "is an erratum: `refdiff errata posterior-var-beta`"),
    ],
    ids=" ".join,
)
def test_a_key_that_is_not_known_is_answered_with_what_is_near(arguments, hint, capsys):
    assert main(arguments) == cli.USAGE
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_show_prints_equation_source_code_and_evidence_of_every_identity(key, capsys, monkeypatch):
    monkeypatch.setattr(verify, "judge", lambda **options: _one_verdict(options["only"]))
    assert main(["show", key]) == cli.HOLDS
    out = capsys.readouterr().out
    identity = verify.CATALOGUE[key]
    assert identity.states in out
    assert identity.source in out
    assert "def exact" in out
    assert "def monte_carlo" in out
    assert "--- the code judged" in out


def _one_verdict(key):
    return verify.Report(seed=0, budget="quick", verdicts={key: verify.Verdict(key, "holds")})


def test_show_lists_all_keys_and_helps_with_a_near_miss(capsys):
    assert main(["show"]) == cli.HOLDS
    assert set(verify.CATALOGUE) <= set(capsys.readouterr().out.split())
    assert main(["show", "posterior_vra"]) == cli.USAGE
    assert "Did you mean bayes.posterior_var" in capsys.readouterr().err


def test_show_takes_the_short_names_of_the_exercises(capsys):
    assert main(["show", "posterior.var"]) == cli.HOLDS
    assert capsys.readouterr().out.startswith("bayes.posterior_var ")


def test_train_then_sample_gives_points_in_the_units_of_the_user_s_file(tmp_path, capsys):
    rng = np.random.default_rng(0)
    data = np.column_stack([rng.normal(1000, 5, 400), rng.normal(-3, 0.1, 400), rng.normal(0, 1, 400)])
    points, model, samples = tmp_path / "my points.csv", tmp_path / "model.npz", tmp_path / "samples.csv"
    with open(points, "w", newline="") as file:
        csv.writer(file).writerows(data)
    small = ["--steps", "300", "-T", "20", "--width", "16", "--depth", "1"]
    assert main(["train", "--data", str(points), "--out", str(model), *small]) == 0
    assert main(["sample", str(model), "-n", "500", "--out", str(samples)]) == 0
    found = np.loadtxt(samples, delimiter=",")
    assert found.shape == (500, 3)
    assert np.abs(found.mean(axis=0) - data.mean(axis=0)).max() < 5
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.npz", "my points.csv", "samples.csv"]


def test_a_bad_row_is_named_by_its_line(tmp_path, capsys):
    points = tmp_path / "points.csv"
    points.write_text("x,y\n1,2\n3,oops\n")
    assert main(["train", "--data", str(points), "--out", str(tmp_path / "model.npz")]) == cli.USAGE
    error = capsys.readouterr().err
    assert "line 3" in error
    assert "oops" in error
    assert not (tmp_path / "model.npz").exists()


def test_the_same_seed_gives_the_same_model_and_the_same_samples(tmp_path, capsys):
    files = []
    for run in ("a", "b"):
        model, samples = tmp_path / f"{run}.npz", tmp_path / f"{run}.npy"
        small = ["--steps", "100", "-T", "10", "--width", "8", "--depth", "1", "--seed", "5"]
        assert main(["train", "--out", str(model), *small]) == 0
        assert main(["sample", str(model), "-n", "20", "--out", str(samples), "--seed", "6"]) == 0
        files.append((network.load(model).theta, np.load(samples)))
    np.testing.assert_array_equal(files[0][0], files[1][0])
    np.testing.assert_array_equal(files[0][1], files[1][1])


def test_ctrl_c_leaves_a_checkpoint_that_resume_takes_to_the_same_end(tmp_path, capsys, monkeypatch):
    fit = network.fit

    def interrupted(*arguments, **options):
        for record in fit(*arguments, **options):
            yield record
            if record.step == 200:
                raise KeyboardInterrupt

    command = ["train", "--steps", "500", "-T", "10", "--width", "8", "--depth", "1"]
    broken, straight = tmp_path / "broken.npz", tmp_path / "straight.npz"
    with monkeypatch.context() as patch:
        patch.setattr(network, "fit", interrupted)
        assert main([*command, "--out", str(broken)]) == cli.INTERRUPTED
    assert f"stopped at step 200 of 500; go on: refdiff train --resume --out {broken}" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(broken)]) == cli.HOLDS
    assert main([*command, "--out", str(straight)]) == cli.HOLDS
    np.testing.assert_array_equal(network.load(broken).theta, network.load(straight).theta)


def test_train_writes_over_nothing_unless_told_to(tmp_path, capsys):
    model, data = tmp_path / "model.npz", tmp_path / "points.csv"
    data.write_text("1,2\n3,4\n5,7\n")
    small = ["--steps", "10", "-T", "5", "--width", "4", "--depth", "1"]
    assert main(["train", "--data", str(data), "--out", str(data), *small]) == cli.USAGE
    assert data.read_text() == "1,2\n3,4\n5,7\n"
    assert main(["train", "--data", str(data), "--out", str(model), *small]) == cli.HOLDS
    before = model.read_bytes()
    assert main(["train", "--data", str(data), "--out", str(model), *small]) == cli.USAGE
    assert "--resume" in capsys.readouterr().err
    assert model.read_bytes() == before
    assert main(["train", "--data", str(data), "--out", str(model), "--seed", "1", "--force", *small]) == cli.HOLDS
    assert model.read_bytes() != before


def test_resuming_keeps_to_the_plan(tmp_path, capsys):
    model, data = tmp_path / "model.npz", tmp_path / "points.csv"
    data.write_text("1,2\n3,4\n5,7\n")
    small = ["--steps", "10", "-T", "5", "--width", "4", "--depth", "1"]
    assert main(["train", "--data", str(data), "--out", str(model), *small]) == cli.HOLDS
    assert main(["train", "--resume", "--out", str(model), "--steps", "20"]) == cli.USAGE
    assert "was planned with steps = 10; got 20" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(model)]) == cli.HOLDS
    data.write_text("1,2\n3,4\n5,8\n")
    assert main(["train", "--resume", "--out", str(model)]) == cli.USAGE
    assert "has changed since" in capsys.readouterr().err


def test_a_warning_is_one_line_on_stderr(tmp_path, capsys):
    small = ["--schedule", "linear", "-T", "50", "--steps", "1", "--width", "4", "--depth", "1"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["train", "--out", str(tmp_path / "model.npz"), *small]) == cli.HOLDS
    error = capsys.readouterr().err
    assert error.startswith("refdiff: warning: linear(T=50)")
    assert error.count("\n") == 1


def test_progress_is_silent_where_stderr_is_no_terminal(tmp_path):
    command = [sys.executable, "-m", "refdiff", "verify", "bayes", "--budget", "quick"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
