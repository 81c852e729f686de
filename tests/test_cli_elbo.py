"""refdiff elbo: what it prints and writes about a trained model, and about the ideal denoiser."""

import csv
import json
import re
import warnings

import numpy as np
import pytest

from refdiff import GaussianMixture, Schedule, cli, elbo, likelihood, network, toys
from refdiff.cli import main

SMALL = ["--steps", "40", "-T", "12", "--width", "8", "--depth", "1"]


@pytest.fixture
def model(tmp_path, capsys):
    path = tmp_path / "moons.npz"
    assert main(["train", "--data", "moons", "--out", str(path), *SMALL]) == cli.HOLDS
    capsys.readouterr()
    return path


def summary(out):
    """Return mean, error and what follows of each line, by its name."""
    found = re.findall(r"^(.*?) +(-?[\d.]+) ± (\S+) +(.*)$", out, re.MULTILINE)
    return {name or rest: (float(mean), float(error)) for name, mean, error, rest in found}


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_summary_adds_up_and_so_does_the_table(model, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["elbo", str(model), "-n", "50", "--out", str(out)]) == cli.HOLDS
    lines = summary(capsys.readouterr().out)
    found = json.loads((out / "bound.json").read_text())["nats"]
    for name, value in lines.items():  # what is printed is what is kept, to the digits that its error warrants
        assert value[0] == pytest.approx(found[name][0], abs=0.06 * value[1])
    total = found["bound: their sum"][0]
    assert total == pytest.approx(sum(found[name][0] for name in ("L_T", "L_1 + ... + L_{T-1}", "L_0")), rel=1e-12)
    bits = found["bits per coordinate, of a density in the units of the data"][0]
    assert bits == pytest.approx(found["bound, one chain per point"][0] / (2 * np.log(2)), rel=1e-12)
    rows = table(out / "terms.csv")
    assert [row["term"] for row in rows] == [f"L_{k}" for k in range(13)]
    assert [int(row["t"]) for row in rows] == [*range(1, 13), 12]
    assert sum(float(row["mean"]) for row in rows) == pytest.approx(total, rel=1e-12)
    assert all(float(row["std_error"]) >= 0 for row in rows)
    assert (out / "terms.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in out.iterdir()) == ["bound.json", "terms.csv", "terms.png"]


def test_the_ideal_denoiser_is_measured_against_the_exact_value(tmp_path, capsys):
    command = ["elbo", "ideal", "--data", "eight_gaussians", "-T", "25", "-n", "2000", "--out", str(tmp_path / "out")]
    assert main(command) == cli.HOLDS
    lines = summary(capsys.readouterr().out)
    data, schedule = GaussianMixture(*toys.eight_gaussians_mixture()), Schedule.vp(25)
    entropy, (exact, error) = data.entropy(), lines["-log q(x_0) of the data"]
    assert abs(exact - entropy) < 5 * error
    (bound, error), truth = lines["bound: their sum"], likelihood.mixture_bound(schedule, data).total[0]
    assert abs(bound - truth) < 5 * error
    gap, error = lines["bound above -log q(x_0)"]
    assert abs(gap - (truth - entropy)) < 5 * error
    assert lines["the same over all data"][0] == pytest.approx(truth - entropy, abs=1e-5)


def test_points_of_the_user_are_measured_in_both_units(tmp_path, capsys):
    rng, points, model = np.random.default_rng(0), tmp_path / "points.csv", tmp_path / "model.npz"
    x = np.column_stack([rng.normal(1000, 8, 300), rng.normal(-3, 0.5, 300)])
    np.savetxt(points, x, delimiter=",")
    assert main(["train", "--data", str(points), "--out", str(model), *SMALL]) == cli.HOLDS
    capsys.readouterr()
    assert main(["elbo", str(model), "--out", str(tmp_path / "out")]) == cli.HOLDS
    out = capsys.readouterr().out
    assert "300 of 300 points" in out
    found = json.loads((tmp_path / "out" / "bound.json").read_text())["nats"]
    standardised, own = (
        found[f"bits per coordinate, of a density {of}"][0]
        for of in ("of the standardised data", "in the units of the data")
    )
    assert own - standardised == pytest.approx(np.log2(x.std(axis=0)).mean(), rel=1e-9)


def test_a_code_length_has_no_unit(tmp_path, capsys, model):
    points = tmp_path / "points.csv"
    grid = np.linspace(-1, 1, 8)
    np.savetxt(points, np.random.default_rng(0).choice(grid, size=(60, 2)), delimiter=",")
    command = ["elbo", str(model), "--data", str(points), "--decoder", "discretized", "--bins", "8"]
    assert main([*command, "--out", str(tmp_path / "out")]) == cli.HOLDS
    assert "a code length over 8 bins" in capsys.readouterr().out


def test_chains_estimate_the_model_s_own_likelihood(tmp_path, capsys):
    command = ["elbo", "ideal", "-T", "100", "-n", "40", "--chains", "100", "--out", str(tmp_path / "out")]
    assert main(command) == cli.HOLDS
    out = capsys.readouterr().out
    lines = summary(out)
    own, bound = lines["-log p(x_0) of the model"], lines["bound: their sum"]
    assert own[0] < bound[0] + 5 * bound[1]
    assert lines["bound above that"][0] > 0  # Jensen's inequality, on the same chains
    assert re.search(r"100 chains a point are worth [\d.]+ equal weights", out)


def test_an_estimate_from_too_few_equal_weights_comes_with_a_warning(tmp_path, capsys):
    command = ["elbo", "ideal", "-T", "4", "-n", "20", "--chains", "2", "--out", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(command) == cli.HOLDS
    assert "is too high by an amount that the error does not tell" in capsys.readouterr().err


def test_points_of_the_training_are_called_so_and_other_units_are_doubted(tmp_path, capsys):
    points, other, model = tmp_path / "points.csv", tmp_path / "celsius.csv", tmp_path / "model.npz"
    x = np.random.default_rng(0).normal(300, 2, (80, 2))
    np.savetxt(points, x, delimiter=",")
    np.savetxt(other, x - 273.15, delimiter=",")
    assert main(["train", "--data", str(points), "--out", str(model), *SMALL]) == cli.HOLDS
    assert main(["elbo", str(model), "--out", str(tmp_path / "out")]) == cli.HOLDS
    assert "not a held-out value" in capsys.readouterr().out
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["elbo", str(model), "--data", str(other), "--out", str(tmp_path / "out")]) == cli.HOLDS
    found = capsys.readouterr()
    assert "It was trained on" in found.out
    assert "Other units?" in found.err


def test_points_on_a_grid_are_doubted_as_a_density(tmp_path, capsys, model):
    points = tmp_path / "points.csv"
    np.savetxt(points, np.random.default_rng(0).integers(0, 4, (100, 2)), delimiter=",")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["elbo", str(model), "--data", str(points), "--out", str(tmp_path / "out")]) == cli.HOLDS
    assert "on a grid a density grows without bound" in capsys.readouterr().err


def test_a_model_trained_as_is_codes_points_on_bins(tmp_path, capsys):
    points, model = tmp_path / "points.csv", tmp_path / "model.npz"
    np.savetxt(points, np.random.default_rng(0).choice(np.linspace(-1, 1, 8), size=(60, 3)), delimiter=",")
    assert main(["train", "--data", str(points), "--out", str(model), "--as-is", *SMALL]) == cli.HOLDS
    assert "mean" not in network.load_checkpoint(model).metadata
    command = ["elbo", str(model), "--decoder", "discretized", "--bins", "8", "--out", str(tmp_path / "out")]
    assert main(command) == cli.HOLDS
    assert json.loads((tmp_path / "out" / "bound.json").read_text())["units"] == "a code length over 8 bins"


def test_the_ladder_is_printed_written_and_drawn(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["elbo", "ideal", "-T", "10", "-n", "200", "--ladder", "--out", str(out)]) == cli.HOLDS
    printed = capsys.readouterr().out
    rows = table(out / "ladder.csv")
    assert len(rows) == 9
    assert all(row["estimator"] in printed for row in rows)
    assert [float(row["calls"]) for row in rows] == [10, 10, 10, 10, 10, 20, 1, 1, 1]
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_table(model, tmp_path, capsys):
    for name in ("a", "b"):
        assert main(["elbo", str(model), "-n", "20", "--seed", "3", "--out", str(tmp_path / name)]) == cli.HOLDS
    for file in ("terms.csv", "terms.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_model_is_not_measured_on_the_points_that_it_was_trained_on(model, tmp_path, capsys, monkeypatch):
    drawn, draw = [], toys.draw
    monkeypatch.setattr(toys, "draw", lambda name, n, rng: drawn.append(draw(name, n, rng)) or drawn[-1])
    assert main(["train", "--data", "moons", "--out", str(tmp_path / "again.npz"), *SMALL]) == cli.HOLDS
    assert main(["elbo", str(model), "-n", "20", "--out", str(tmp_path / "out")]) == cli.HOLDS
    trained, held_out = drawn
    assert not (held_out[:, None] == trained).all(axis=-1).any()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nothing.npz"], "nothing.npz"),
        (["ideal", "--data", "moons"], "--data eight_gaussians or grid"),
        (["ideal", "--data", "nothing"], "--data eight_gaussians or grid"),
        (["moons.npz", "-T", "5"], "-T and --schedule are for the ideal denoiser"),
        (["moons.npz", "--schedule", "vp"], "-T and --schedule are for the ideal denoiser"),
        (["moons.npz", "--data", "three.csv"], "d = 2"),
        (["moons.npz", "--decoder-var", "beta_7"], "'beta_7'"),
        (["moons.npz", "--decoder-var", "0"], "> 0"),
        (["moons.npz", "--decoder", "discretized"], "must lie on the 256 values"),
        (["moons.npz", "--decoder", "discretized", "--ladder"], "--ladder is for the Gaussian decoder"),
        (["moons.npz", "-n", "1"], "at least 2"),
        (["moons.npz", "-n", "3", "--ladder"], "at least 4"),
        (["moons.npz", "--chains", "-1"], "at least 0"),
        (["moons.npz", "--chains", "1"], "at least 2"),
        (["moons.npz", "--bins", "16"], "--bins is for --decoder discretized"),
        (["moons.npz", "--data", "three.csv", "--ladder"], "at least four points"),
        (["moons.npz", "--seed", "-1"], "at least 0"),
        (["ideal", "-T", "0"], "T"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_used_exits_2_with_one_line(arguments, hint, model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.csv").write_text("1,2,3\n4,5,6\n")
    assert main(["elbo", *arguments]) == cli.USAGE
    error = capsys.readouterr().err
    assert error.startswith("refdiff: ")
    assert error.count("\n") == 1
    assert hint in error
    assert not list(tmp_path.glob("elbo/*"))


def test_ctrl_c_leaves_nothing_behind(model, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(elbo, "denoising_form", interrupted)
    assert main(["elbo", str(model), "-n", "20", "--out", str(tmp_path / "out")]) == cli.INTERRUPTED
    assert list((tmp_path / "out").iterdir()) == []


def test_a_checkpoint_of_the_tour_says_what_it_was_trained_on(tmp_path, capsys):
    path = tmp_path / "moons.npz"
    model = network.MLP(2, rng=np.random.default_rng(0), width=8, depth=1)
    network.save(path, model, schedule=Schedule.vp(5), metadata={"data": "moons"})
    assert main(["elbo", str(path), "-n", "20", "--out", str(tmp_path / "out")]) == cli.HOLDS
    assert "20 new points of moons" in capsys.readouterr().out


def test_a_checkpoint_without_schedule_is_refused(tmp_path, capsys):
    path = tmp_path / "bare.npz"
    network.save(path, network.MLP(2, rng=np.random.default_rng(0), width=8, depth=1))
    assert main(["elbo", str(path)]) == cli.USAGE
    assert "holds no schedule" in capsys.readouterr().err
