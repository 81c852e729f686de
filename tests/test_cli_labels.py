"""Classes at the door: training with labels, drawing a class, guided or not, and the bound of a class."""

import json

import numpy as np
import pytest

from refdiff import cli, network, toys
from refdiff.cli import main
from refdiff.cli.train import read_data

SMALL = ["--steps", "120", "-T", "10", "--width", "8", "--depth", "1"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learnt the two moons a little."""
    path = tmp_path_factory.mktemp("labels") / "moons.npz"
    some = ["--steps", "1000", "-T", "20", "--width", "16", "--depth", "2"]
    assert main(["train", "--data", "moons", "--labels", "--out", str(path), *some]) == cli.HOLDS
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Points of two columns in units of their own, with the label between them."""
    path, rng = tmp_path_factory.mktemp("labels") / "table.csv", np.random.default_rng(0)
    y = rng.integers(3, size=300)
    x = rng.normal(10 * y, 1), 1000 + rng.normal(-y, 1)
    np.savetxt(path, np.column_stack([x[0], y, x[1]]), delimiter=",", header="a,kind,b", comments="")
    return path


def drawn(tmp_path, model, *arguments):
    out = tmp_path / "samples.npy"
    assert main(["sample", str(model), "-n", "400", "--out", str(out), *arguments]) == cli.HOLDS
    return np.load(out)


def test_the_classes_of_a_toy_set_are_learnt_and_kept(model, capsys):
    found = network.load_checkpoint(model)
    assert found.model.config["classes"] == 2
    assert found.metadata["plan"]["labels"] is True
    assert sum(found.metadata["class_counts"]) == 100_000


def test_each_label_draws_points_of_its_own_and_none_draws_of_any(model, tmp_path, capsys):
    lower, upper, either = (drawn(tmp_path, model, *label) for label in (["--label", "1"], ["--label", "0"], []))
    assert lower[:, 1].mean() < either[:, 1].mean() < upper[:, 1].mean()
    assert (either == drawn(tmp_path, model)).all()


def test_guidance_takes_the_answer_beyond_that_with_the_label_away_from_that_without(model, tmp_path, monkeypatch):
    from refdiff import reverse

    def seen(schedule, denoiser, n, d, rng, **options):
        answers.append(denoiser(np.ones((3, 2)), 5))
        return np.zeros((n, d))

    answers = []
    monkeypatch.setattr(reverse, "sample", seen)
    for arguments in ([], ["--label", "1"], ["--label", "1", "--guidance", "2"]):
        drawn(tmp_path, model, *arguments)
    without, with_label, guided = answers
    assert (without != with_label).all()
    np.testing.assert_allclose(guided, 3 * with_label - 2 * without, rtol=1e-12)


@pytest.mark.parametrize("sampler", [["ancestral"], ["ddim", "--steps", "5"]])
def test_guidance_is_for_every_sampler(model, tmp_path, sampler, capsys):
    plain, guided = (drawn(tmp_path, model, "--label", "1", "--guidance", w, "--sampler", *sampler) for w in "02")
    assert (plain != guided).any()
    assert "class 1" in capsys.readouterr().out


def test_the_labels_of_a_file_are_a_column_of_it(table, tmp_path, capsys):
    path = tmp_path / "model.npz"
    assert main(["train", "--data", str(table), "--labels", "2", "--out", str(path), *SMALL]) == cli.HOLDS
    assert "300 points of d = 2 in 3 classes" in capsys.readouterr().out
    found = network.load_checkpoint(path)
    rows = np.loadtxt(table, delimiter=",", skiprows=1)
    assert found.model.config["classes"] == 3
    assert found.metadata["class_counts"] == np.bincount(rows[:, 1].astype(int)).tolist()
    np.testing.assert_allclose(found.metadata["mean"], rows[:, [0, 2]].mean(axis=0))
    means = [drawn(tmp_path, path, "--label", str(k)).mean(axis=0)[0] for k in range(3)]
    assert means[0] < means[1] < means[2]


def test_points_and_labels_of_a_file_stay_together(table):
    x, _, _, y = read_data(str(table), None, True, 2)
    rows = np.loadtxt(table, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(np.column_stack([x[:, 0], y, x[:, 1]]), rows)


def test_interrupted_training_with_labels_is_resumed_bit_for_bit(tmp_path, capsys, monkeypatch):
    fit = network.fit

    def interrupted(*arguments, **options):
        for record in fit(*arguments, **options):
            yield record
            if record.step == 200:
                raise KeyboardInterrupt

    command = ["train", "--data", "circles", "--labels", "--drop-label", "0.3", "--steps", "300", *SMALL[2:]]
    broken, straight = tmp_path / "broken.npz", tmp_path / "straight.npz"
    with monkeypatch.context() as patch:
        patch.setattr(network, "fit", interrupted)
        assert main([*command, "--out", str(broken)]) == cli.INTERRUPTED
    assert main(["train", "--resume", "--out", str(broken)]) == cli.HOLDS
    assert main([*command, "--out", str(straight)]) == cli.HOLDS
    np.testing.assert_array_equal(network.load(broken).theta, network.load(straight).theta)


def test_other_labels_of_the_same_points_are_not_resumed_with(table, tmp_path, capsys):
    path, data = tmp_path / "model.npz", tmp_path / "points.csv"
    data.write_text(table.read_text())
    assert main(["train", "--data", str(data), "--labels", "2", "--out", str(path), *SMALL]) == cli.HOLDS
    rows = np.loadtxt(table, delimiter=",", skiprows=1)
    rows[np.argmax(rows[:, 1] == 0), 1] = 1
    np.savetxt(data, rows, delimiter=",")
    capsys.readouterr()
    assert main(["train", "--resume", "--out", str(path)]) == cli.USAGE
    assert "has changed since" in capsys.readouterr().err


def test_the_bound_of_a_class_is_taken_at_points_of_it(model, tmp_path, capsys):
    out = tmp_path / "bound"
    assert main(["elbo", str(model), "--label", "1", "-n", "40", "--out", str(out)]) == cli.HOLDS
    assert "40 new points of moons, class 1" in capsys.readouterr().out
    assert json.loads((out / "bound.json").read_text())["label"] == 1


@pytest.mark.parametrize(("arguments", "number"), [([], 300), (["--label", "2"], None)])
def test_the_bound_knows_the_column_of_labels_of_the_file(table, tmp_path, capsys, arguments, number):
    path, out = tmp_path / "model.npz", str(tmp_path / "bound")
    assert main(["train", "--data", str(table), "--labels", "2", "--out", str(path), *SMALL]) == cli.HOLDS
    y = np.loadtxt(table, delimiter=",", skiprows=1)[:, 1]
    number = number or int((y == 2).sum())
    assert main(["elbo", str(path), *arguments, "--out", out]) == cli.HOLDS
    assert f"{number} of {number} points of" in capsys.readouterr().out


def test_points_of_a_file_for_a_model_of_a_toy_set_have_no_column_of_labels(model, table, tmp_path, capsys):
    assert main(["elbo", str(model), "--data", str(table), "--out", str(tmp_path / "bound")]) == cli.USAGE
    assert "was trained on points of d = 2" in capsys.readouterr().err


def test_of_a_mixture_a_class_is_a_component_and_its_entropy_is_known(tmp_path, capsys):
    path = tmp_path / "eight.npz"
    assert main(["train", "--data", "eight_gaussians", "--labels", "--out", str(path), *SMALL]) == cli.HOLDS
    assert main(["elbo", str(path), "--label", "3", "-n", "400", "--out", str(tmp_path / "bound")]) == cli.HOLDS
    found = json.loads((tmp_path / "bound" / "bound.json").read_text())["nats"]["-log q(x_0) of the data"]
    entropy = np.log(2 * np.pi * np.e * toys.EIGHT_GAUSSIANS_STD**2 / toys.EIGHT_GAUSSIANS_VAR)
    assert abs(found[0] - entropy) < 6 * found[1]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "--labels", "--data", "swiss_roll"], "swiss_roll comes in no classes"),
        (["train", "--labels", "2"], "moons has classes without one"),
        (["train", "--labels", "--data", "TABLE"], "--labels COLUMN must say in which column"),
        (["train", "--labels", "0", "--data", "TABLE"], "in 1..3, beside those of points; got 0"),
        (["train", "--labels", "0"], "moons has classes without one"),
        (["train", "--labels", "--drop-label", "0"], "--drop-label must lie between 0 and 1, or"),
        (["train", "--labels", "4", "--data", "TABLE"], "in 1..3, beside those of points; got 4"),
        (["train", "--labels", "1", "--data", "TABLE"], "column 1 must hold whole numbers from 0 on"),
        (["train", "--drop-label", "0.2"], "--drop-label is for --labels"),
        (["train", "--labels", "--drop-label", "1.5"], "--drop-label must lie between 0 and 1, or"),
        (["sample", "MODEL", "--label", "2"], "--label must be one of the model's classes, 0..1; got 2"),
        (["sample", "MODEL", "--label", "-1"], "0..1; got -1"),
        (["sample", "MODEL", "--guidance", "1"], "it needs --label"),
        (["sample", "MODEL", "--label", "1", "--guidance", "-1"], "--guidance must be at least 0"),
        (["sample", "MODEL", "--label", "1", "--guidance", "nan"], "--guidance must be at least 0"),
        (["sample", "PLAIN", "--label", "1"], "--label is for a model that was trained with --labels"),
        (["elbo", "PLAIN", "--label", "1"], "--label is for a model that was trained with --labels"),
        (["elbo", "MODEL", "--label", "2"], "0..1; got 2"),
        (["elbo", "MODEL", "--label", "1", "--data", "swiss_roll"], "which come in classes; got 'swiss_roll'"),
        (["elbo", "ideal", "--label", "1"], "not for the ideal denoiser"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_labels_cannot_do_is_said_in_one_line(arguments, hint, model, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / "plain.npz"
    if "PLAIN" in arguments:
        assert main(["train", "--out", str(plain), *SMALL]) == cli.HOLDS
    capsys.readouterr()
    names = {"MODEL": str(model), "TABLE": str(table), "PLAIN": str(plain)}
    assert main([names.get(one, one) for one in arguments]) == cli.USAGE
    error = capsys.readouterr().err
    assert error.startswith("refdiff: ")
    assert error.count("\n") == 1
    assert hint in error


def test_labels_with_a_gap_are_refused(tmp_path, capsys):
    data = tmp_path / "points.csv"
    for column, says in (
        ("1 2 3", "got 3 and no 0"),
        ("0 1 3", "got 3 and no 2"),
        ("0 -1 1", "got -1"),
        ("0 .5 1", "got 0.5"),
    ):
        data.write_text("".join(f"{x * x},{y}\n" for x, y in enumerate(column.split())))
        assert main(["train", "--data", str(data), "--labels", "2", "--out", str(tmp_path / "m.npz")]) == cli.USAGE
        assert says in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["points.csv"]
