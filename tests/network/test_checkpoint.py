"""A checkpoint is read whole and right, or refused; a failed save leaves no trace."""

import hashlib
import io
import json
import os
import pickle
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdiff.network import (
    MLP,
    CheckpointError,
    TrainingState,
    checkpoint,
    fit,
    load,
    load_checkpoint,
    load_state,
    save,
)
from refdiff.schedule import Schedule

VP = Schedule.vp(8)
METADATA = {
    "data": "moons",
    "mean": [0.5, -0.25],
    "std": [1.0, 2.0],
    "note": "Zwei Monde ☾☽",
    "n": 20000,
    "nothing": None,
}


def small(seed=0, **shape):
    return MLP(**{"rng": np.random.default_rng(seed), "width": 4, "depth": 2, "time_dim": 4, **shape})


@pytest.fixture
def trained():
    model, rng = small(), np.random.default_rng(0)
    state = TrainingState.start(model)
    list(fit(model, rng.standard_normal((10, 2)), VP, rng, 3, state=state))
    return model, state


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of one checkpoint with all that it can hold."""
    path, model = tmp_path_factory.mktemp("whole") / "model.npz", small()
    save(path, model, schedule=VP, metadata=METADATA, state=TrainingState.start(model))
    return path.read_bytes()


@pytest.mark.parametrize("name", ["model.npz", "no ending", "mit Leerzeichen und Ümläuten 月.npz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_comes_back_as_it_was_saved(tmp_path, trained, name, dtype):
    model, state = trained if dtype == np.float32 else (small(dtype=dtype, dim=1, residual=True), None)
    path = tmp_path / name
    save(path, model, schedule=VP, metadata=METADATA, state=state)
    assert os.listdir(tmp_path) == [name]
    loaded = load_checkpoint(path)
    assert loaded.model.config == model.config
    assert loaded.model.theta.dtype == dtype
    np.testing.assert_array_equal(loaded.model.theta, model.theta)
    np.testing.assert_array_equal(loaded.beta, VP.beta[1:])
    np.testing.assert_allclose(loaded.schedule.alpha_bar, VP.alpha_bar, rtol=1e-14)
    assert loaded.metadata == METADATA
    x = np.ones((3, model.dim))
    np.testing.assert_array_equal(load(str(path))(x, 5), model(x, 5))
    if state is None:
        assert loaded.state is None
        with pytest.raises(CheckpointError, match="keeps no training state"):
            load_state(path)
    else:
        for f in fields(TrainingState):
            np.testing.assert_array_equal(getattr(loaded.state, f.name), getattr(state, f.name))


def test_a_model_alone_is_enough(tmp_path):
    save(tmp_path / "model.npz", small())
    loaded = load_checkpoint(tmp_path / "model.npz")
    assert (loaded.beta, loaded.schedule, loaded.metadata, loaded.state) == (None, None, {}, None)


def test_a_schedule_that_ends_in_pure_noise_comes_back(tmp_path):
    save(tmp_path / "model.npz", small(), schedule=Schedule.reciprocal(5))
    assert load_checkpoint(tmp_path / "model.npz").schedule.alpha_bar[5] == 0


def test_the_file_is_an_ordinary_archive_of_named_parameters(tmp_path):
    model = small()
    save(tmp_path / "model.npz", model)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["parameters.weight_1"], model.parameters["weight_1"])
        manifest = json.loads(archive["manifest"].tobytes())
    assert manifest["config"] == model.config
    digest = hashlib.sha256(model.parameters["weight_1"].tobytes()).hexdigest()
    assert manifest["arrays"]["parameters.weight_1"] == {"shape": [6, 4], "dtype": "<f4", "sha256": digest}


# Damage


def refused(path, content):
    path.write_bytes(content)
    for read in (load, load_state, load_checkpoint):
        with pytest.raises(CheckpointError) as raised:
            read(path)
        assert "\n" not in str(raised.value)
        assert isinstance(raised.value, ValueError)
    return str(raised.value)


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, whole, share):
    refused(tmp_path / "model.npz", whole[: int(share * len(whole))])


@pytest.mark.parametrize("missing", [1, 2, 22, 63, 64, 65, 100])
def test_a_file_that_lacks_its_last_bytes_is_refused(tmp_path, whole, missing):
    refused(tmp_path / "model.npz", whole[:-missing])


def test_a_file_with_bytes_added_is_refused(tmp_path, whole):
    refused(tmp_path / "model.npz", whole + b"\0")
    refused(tmp_path / "model.npz", b"\0" + whole)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_refused(tmp_path_factory, whole, data):
    place = data.draw(st.integers(0, 8 * len(whole) - 1))
    content = bytearray(whole)
    content[place // 8] ^= 1 << place % 8
    refused(tmp_path_factory.getbasetemp() / "flipped.npz", bytes(content))


class Payload:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.mark.parametrize("sealed", [False, True])
def test_a_pickle_is_refused_and_never_executed(tmp_path, monkeypatch, sealed):
    monkeypatch.chdir(tmp_path)
    archive = io.BytesIO()
    np.savez(archive, manifest=np.array([Payload()], dtype=object))
    for content in (pickle.dumps(Payload()), archive.getvalue()):
        refused(tmp_path / "model.npz", seal(content) if sealed else content)
    assert not (tmp_path / "executed").exists()


def seal(content):
    """What somebody would do who writes such a file on purpose; nothing but the seal is then in order."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        archive = io.BytesIO(content)
        with zipfile.ZipFile(archive, "a") as opened:
            opened.comment = b"0" * 64
        content = archive.getvalue()[:-64]
    return content + hashlib.sha256(content).hexdigest().encode()


def rewritten(whole, change):
    """The checkpoint with its manifest and arrays changed, and sealed again."""
    with np.load(io.BytesIO(whole)) as archive:
        arrays = dict(archive)
    manifest = json.loads(arrays["manifest"].tobytes())
    change(manifest, arrays)
    if "manifest" in arrays:
        arrays["manifest"] = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    return seal(archive.getvalue())


def test_rewriting_alone_changes_nothing(tmp_path, whole):
    (tmp_path / "model.npz").write_bytes(rewritten(whole, lambda manifest, arrays: None))
    np.testing.assert_array_equal(load(tmp_path / "model.npz").theta, small().theta)


def test_a_file_from_before_networks_had_classes_is_read_as_one_without(tmp_path, whole):
    (tmp_path / "old.npz").write_bytes(rewritten(whole, lambda manifest, arrays: manifest["config"].pop("classes")))
    loaded = load(tmp_path / "old.npz")
    assert loaded.config == small().config
    np.testing.assert_array_equal(loaded.theta, small().theta)


def test_a_network_keeps_its_classes(tmp_path):
    model = small(classes=3)
    save(tmp_path / "model.npz", model)
    loaded = load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded(np.ones((3, 2)), 5, [0, 2, -1]), model(np.ones((3, 2)), 5, [0, 2, -1]))


def describe(manifest, arrays, name, array):
    arrays[name] = array
    manifest["arrays"][name] = checkpoint._described(array)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m, a: m.update(version=2), "version 2, and this reads 'refdiff checkpoint' version 1"),
        (lambda m, a: m.update(format="other"), "'other' version 1"),
        (lambda m, a: m.pop("version"), "version"),
        (lambda m, a: a.pop("manifest"), "manifest"),
        (lambda m, a: m["config"].update(width=5), "theta must be"),
        (lambda m, a: m["config"].update(dim=0), "dim"),
        (lambda m, a: m["config"].update(extra=1), "extra"),
        (lambda m, a: m["config"].pop("depth"), "depth"),
        (lambda m, a: m["config"].update(dtype="float64"), "float64"),
        (lambda m, a: m["config"].update(dtype="no such"), "no such"),
        (lambda m, a: a.pop("parameters.bias_1"), "the arrays parameters.bias_1 are not those"),
        (lambda m, a: a.update(extra=np.zeros(1)), "the arrays extra are not those"),
        (lambda m, a: a.update({"parameters.bias_1": np.ones(4, np.float32)}), "the arrays parameters.bias_1"),
        (lambda m, a: describe(m, a, "parameters.weight_1", a["parameters.weight_1"].T), "shapes of MLP"),
        (lambda m, a: describe(m, a, "state.average", np.zeros(3, np.float32)), "state.average"),
        (lambda m, a: m["state"].update(step=-1), "step"),
        (lambda m, a: m.update(state={}), "step"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(tmp_path, whole, change, says):
    assert says in refused(tmp_path / "model.npz", rewritten(whole, change))


@pytest.mark.parametrize("content", [b"", b"x" * 64, b"x" * 1000, b"PK\x03\x04"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    assert "is no checkpoint or is damaged" in refused(tmp_path / "model.npz", content)
    refused(tmp_path / "model.npz", seal(content))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.npz")


# Saving


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    save(path, small(seed=1))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            save(path, small(seed=2))
    assert os.listdir(tmp_path) == ["model.npz"]
    np.testing.assert_array_equal(load(path).theta, small(seed=1).theta)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_save_that_fails_at_the_last_moment_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(error):
        save(tmp_path / "model.npz", small())
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        save(tmp_path / "directory", small())
    save(tmp_path / "directory" / "file", small())
    with pytest.raises(OSError, match="file"):
        save(tmp_path / "directory" / "file" / "model.npz", small())
    assert os.listdir(tmp_path) == ["directory"]
    assert os.listdir(tmp_path / "directory") == ["file"]


def test_saving_replaces_an_older_file_and_follows_a_link(tmp_path):
    save(tmp_path / "model.npz", small(seed=1))
    (tmp_path / "latest.npz").symlink_to("model.npz")
    save(tmp_path / "latest.npz", small(seed=2))
    assert (tmp_path / "latest.npz").is_symlink()
    np.testing.assert_array_equal(load(tmp_path / "model.npz").theta, small(seed=2).theta)


@pytest.mark.parametrize(
    "metadata", [{"a": (1, 2)}, {1: "a"}, {"a": np.float32(1)}, {"a": float("nan")}, [1], {"a": {1}}]
)
def test_metadata_that_would_come_back_changed_are_refused(tmp_path, metadata):
    with pytest.raises(TypeError, match="metadata must be a dict that JSON can hold"):
        save(tmp_path / "model.npz", small(), metadata=metadata)
    assert os.listdir(tmp_path) == []
