"""Samplers at the door: `refdiff sample --sampler`, with its steps and their spacing, and `refdiff samplers`."""

import json

import numpy as np
import pytest

from refdiff import Schedule, cli, network, samplers
from refdiff.cli import main
from refdiff.cli.sample import TAKES


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learnt the moons a little."""
    path = tmp_path_factory.mktemp("samplers") / "moons.npz"
    some = ["--steps", "1000", "-T", "50", "--width", "16", "--depth", "2"]
    assert main(["train", "--data", "moons", "--out", str(path), *some]) == cli.HOLDS
    return path


def drawn(tmp_path, model, *arguments):
    out = tmp_path / "samples.npy"
    assert main(["sample", str(model), "-n", "300", "--out", str(out), *arguments]) == cli.HOLDS
    return np.load(out)


@pytest.mark.parametrize("sampler", TAKES)
def test_each_sampler_draws_something_like_the_data_and_the_same_for_the_same_seed(sampler, model, tmp_path):
    x = drawn(tmp_path, model, "--sampler", sampler)
    assert (np.abs(x.mean(axis=0)) < 0.4).all()
    assert (np.abs(x.std(axis=0) - 1) < 0.4).all()
    np.testing.assert_array_equal(x, drawn(tmp_path, model, "--sampler", sampler))
    assert (x != drawn(tmp_path, model, "--sampler", sampler, "--seed", "1")).any()


def test_every_sampler_that_is_measured_can_be_used():
    names = {"ancestral", *(name for name in samplers.SAMPLERS if not name.startswith("ancestral"))}
    assert set(TAKES) == names


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "edm"])
def test_what_is_drawn_is_where_the_path_of_the_library_ends(sampler, model, tmp_path):
    steps = ["--steps", "7", "--spacing", "log_snr", "--first", "3"]
    x = drawn(tmp_path, model, "--sampler", sampler, *steps)
    found = network.load_checkpoint(model)
    process, one = samplers.Process.of_denoiser(found.model, 50), samplers.SAMPLERS[sampler]
    rng = np.random.default_rng(0)
    x_T = rng.standard_normal((300, 2))
    if not one.in_time:  # points are drawn in blocks there
        from refdiff.reverse.walks import start

        x_T, _ = start(300, 2, np.random.default_rng(0))
    (*_, (_, end)) = one.path(process, x_T, rng, one.grid(process, 7, "log_snr", 3))
    np.testing.assert_allclose(x, end, rtol=1e-12)


@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_the_spacing_of_the_steps_makes_a_difference(sampler, model, tmp_path):
    even, named, other = (
        drawn(tmp_path, model, "--sampler", sampler, "--steps", "6", *spacing)
        for spacing in ([], ["--spacing", "even"], ["--spacing", "edm"])
    )
    np.testing.assert_array_equal(even, named)
    assert np.abs(even - other).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler", "heun", "--eta", "1"], "--eta is not for --sampler heun; that takes --steps and --spacing"),
        (["--steps", "5"], "that takes --variance. --steps is for ddim, dpmpp_2m, heun, edm, euler_maruyama"),
        (["--sampler", "edm", "--first", "3"], "--first is for --spacing log_snr or edm"),
        (["--sampler", "ddim", "--steps", "51"], "--steps must be at most T = 50; got 51."),
        (["--sampler", "edm", "--steps", "0"], "--steps must be at least 1; got 0."),
        (
            ["--sampler", "ddim", "--steps", "50", "--spacing", "edm", "--first", "2"],
            "leave room for 50 steps up to T = 50",
        ),
        (["--sampler", "edm", "--spacing", "edm", "--first", "50"], "leave room for 50 steps up to T = 50; got 50."),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message, model, tmp_path, capsys):
    out = tmp_path / "samples.npy"
    assert main(["sample", str(model), "--out", str(out), *arguments]) == cli.USAGE
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.filterwarnings("default")
def test_continuous_time_is_for_the_schedule_of_the_equation(tmp_path, capsys):
    model, path = network.MLP(2, rng=np.random.default_rng(0), width=4, depth=1), tmp_path / "cosine.npz"
    network.save(path, model, schedule=Schedule.cosine(20))
    arguments = ["sample", str(path), "-n", "5", "--out", str(tmp_path / "x.npy"), "--sampler"]
    assert main([*arguments, "euler_maruyama"]) == cli.USAGE
    assert "needs a model trained with --schedule vp" in capsys.readouterr().err
    assert main([*arguments, "dpmpp_2m", "--steps", "5"]) == cli.HOLDS
    assert "the last beta is 0.999: without noise a sampler amplifies there" in capsys.readouterr().err
    assert main([*arguments, "ddim", "--steps", "5", "--eta", "1"]) == cli.HOLDS
    assert capsys.readouterr().err == ""


def test_samplers_prints_a_table_and_writes_it_with_its_numbers_and_a_picture(tmp_path, capsys):
    out = tmp_path / "race"
    few = ["--calls", "3", "6", "-n", "200", "--seeds", "3", "-T", "50", "--samplers", "ddim", "edm"]
    assert main(["samplers", *few, "--out", str(out)]) == cli.HOLDS
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 2 * 2  # two samplers, two spacings
    assert "Exact points: " in printed
    assert sorted(file.name for file in out.iterdir()) == ["samplers.json", "samplers.md", "samplers.png"]
    record = json.loads((out / "samplers.json").read_text())
    assert (record["n"], record["first"], len(record["scores"])) == (200, 1, 1 + 2 * 2 * 2)
    again = {(one["sampler"], one["spacing"], one["calls"]): one["values"] for one in record["scores"]}
    score = list(samplers.race(eight(), [6], range(3), 200, names=["edm"], spacings=["log_snr"], T=50))[1]
    assert again[("edm", "log_snr", 6)] == list(score.values)


def eight():
    from refdiff.cli.console import mixture_of

    return mixture_of("eight_gaussians")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samplers", "ddpm"], "--samplers are ancestral, ancestral_beta, ddim"),
        (["--seeds", "1"], "--seeds must be at least 3; got 1."),
        (["--calls", "0"], "--calls must be at least 1; got 0."),
        (["--calls", "5", "20", "-T", "10"], "--calls must be at most T = 10; got 20."),
        (["--spacing", "even", "--first", "5"], "--first is for --spacing log_snr or edm"),
        (["--calls", "5", "-T", "10", "--first", "7"], "--first must leave room for 5 steps up to T = 10; got 7."),
    ],
)
def test_samplers_refuses_what_it_cannot_measure(arguments, message, tmp_path, capsys):
    out = tmp_path / "race"
    assert main(["samplers", *arguments, "--out", str(out)]) == cli.USAGE
    assert message in capsys.readouterr().err
    assert not out.exists()
