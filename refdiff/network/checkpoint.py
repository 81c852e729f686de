r"""Keeping a network: one .npz file that is read whole or refused.

The file is an ordinary NumPy archive: a JSON manifest, the parameters by name, and whatever else was given.
Its last 64 characters, the archive's comment, are the SHA-256 of all bytes before them, and are compared before
anything is parsed: a file cut short or with one bit flipped is refused. Nothing in it is ever executed. The seal
guards against accidents, not against somebody who writes a new one.
"""

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refdiff.checks import count
from refdiff.files import whole
from refdiff.network.mlp import MLP
from refdiff.network.train import TrainingState
from refdiff.schedule import Schedule

__all__ = ["Checkpoint", "CheckpointError", "load", "load_checkpoint", "load_state", "save"]

FORMAT, VERSION = "refdiff checkpoint", 1
SEAL = 64  # hexadecimal digits of a SHA-256
STATE_ARRAYS = ("theta", "average", "first_moment", "second_moment")


class CheckpointError(ValueError):
    """The file is no checkpoint, is damaged, or is of another version; nothing of it was loaded."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    model : MLP
    beta : ndarray, shape (T,), or None
        beta_1..beta_T of the schedule.
    metadata : dict
        What :func:`save` was given; empty if nothing.
    state : TrainingState or None
    """

    model: MLP
    beta: np.ndarray | None = field(repr=False)
    metadata: dict
    state: TrainingState | None

    @property
    def schedule(self):
        """The schedule made of `beta`, or None; equal to the one saved up to the last digits of alpha_bar."""
        return None if self.beta is None else Schedule.from_betas(self.beta, last_may_be_one=True)


def save(path, model, *, schedule=None, metadata=None, state=None):
    """Write `model`, and what else is given, to one file.

    It appears whole or not at all, and an older file of that name stays until then: see :func:`refdiff.files.whole`.

    Parameters
    ----------
    path : str or path-like
        Taken as it is; the usual ending is .npz. A missing directory is made.
    model : MLP
    schedule : Schedule, optional
        Its beta_1..beta_T are kept.
    metadata : dict, optional
        Of what JSON can hold: text, finite numbers, true, false, null, lists and dicts with text as keys.
    state : TrainingState, optional
        To go on training.

    Raises
    ------
    TypeError
        If `metadata` would not come back from JSON as it is: tuples, NumPy numbers, NaN.
    OSError
        If the file cannot be written; nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> model = MLP(2, rng=np.random.default_rng(0))
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     save(f"{directory}/moons.npz", model, metadata={"data": "moons"})
    ...     twin = load(f"{directory}/moons.npz")
    >>> bool(np.all(twin.theta == model.theta))
    True
    """
    metadata = {} if metadata is None else metadata
    try:
        if not isinstance(metadata, dict) or json.loads(json.dumps(metadata, allow_nan=False)) != metadata:
            raise TypeError("it comes back changed. Write tuples as lists and keys as text.")
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must be a dict that JSON can hold; {error}") from None

    arrays = {f"parameters.{name}": array for name, array in model.parameters.items()}
    if schedule is not None:
        arrays["beta"] = schedule.beta[1:]
    if state is not None:
        arrays |= {f"state.{name}": getattr(state, name) for name in STATE_ARRAYS}
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "config": model.config,
        "metadata": metadata,
        "state": None if state is None else {"step": state.step, "rng_state": _to_json(state.rng_state)},
        "arrays": {name: _described(array) for name, array in arrays.items()},
    }
    text = np.frombuffer(json.dumps(manifest).encode(), np.uint8)
    archive = io.BytesIO()
    np.savez(archive, manifest=text, **arrays)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = b"0" * SEAL
    content = archive.getvalue()[:-SEAL]
    with whole(os.path.realpath(path)) as unfinished:  # through a symbolic link, to where it points
        unfinished.write_bytes(content + _seal(content))


def load(path):
    """Return the network kept at `path`.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    MLP

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, is damaged, or is of another version.
    OSError
        If there is no such file or it cannot be read.
    """
    return load_checkpoint(path).model


def load_state(path):
    """Return the network kept at `path` and the state from which to go on training it.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    model : MLP
    state : TrainingState

    Raises
    ------
    CheckpointError
        As in :func:`load`, and if the file keeps no state.
    OSError
        If there is no such file or it cannot be read.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint.state is None:
        raise CheckpointError(f"{path} keeps no training state; it was saved without state=.")
    return checkpoint.model, checkpoint.state


def load_checkpoint(path):
    """Return all that is kept at `path`.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, is damaged, or is of another version.
    OSError
        If there is no such file or it cannot be read.
    """
    raw = Path(path).read_bytes()
    content, seal = raw[:-SEAL], raw[-SEAL:]
    if seal != _seal(content):
        raise CheckpointError(f"{path} is no checkpoint or is damaged: its last {SEAL} bytes are not its SHA-256.")
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        manifest = json.loads(arrays.pop("manifest").tobytes())
        kind = manifest["format"], manifest["version"]
        if kind != (FORMAT, VERSION):
            raise ValueError(f"it is {kind[0]!r} version {kind[1]}, and this reads {FORMAT!r} version {VERSION}")
        found = {name: _described(array) for name, array in arrays.items()}
        if found != manifest["arrays"]:
            wrong = sorted(
                name for name in found | manifest["arrays"] if found.get(name) != manifest["arrays"].get(name)
            )
            raise ValueError(f"the arrays {', '.join(wrong)} are not those that its manifest lists")
        model = _model(manifest["config"], arrays)
        state = None if manifest["state"] is None else _state(manifest["state"], arrays, model)
        return Checkpoint(model, arrays.get("beta"), manifest["metadata"], state)
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}.") from error


def _model(config, arrays):
    """Return the network of this `config` with the parameters that `arrays` holds, by name."""
    stored = {name.removeprefix("parameters."): a for name, a in arrays.items() if name.startswith("parameters.")}
    theta = np.concatenate([array.ravel() for array in stored.values()])
    model = MLP.from_theta(theta, **config)
    if {name: a.shape for name, a in stored.items()} != {name: a.shape for name, a in model.parameters.items()}:
        raise ValueError(f"its parameters do not have the shapes of {model!r}")
    for name, parameter in model.parameters.items():
        parameter[...] = stored[name]
    return model


def _state(stored, arrays, model):
    """Return the training state, whose arrays must be like the parameters of `model`."""
    vectors = {name: arrays[f"state.{name}"] for name in STATE_ARRAYS}
    for name, vector in vectors.items():
        if vector.shape != model.theta.shape or vector.dtype != model.theta.dtype:
            raise ValueError(f"state.{name} is not like the parameters of {model!r}")
    return TrainingState(count(stored["step"], "step", least=0), rng_state=_from_json(stored["rng_state"]), **vectors)


def _described(array):
    """Return what the manifest says of an array."""
    digest = hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
    return {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": digest}


def _seal(content):
    return hashlib.sha256(content).hexdigest().encode()


def _to_json(value):
    """Write the arrays in a bit generator's state as lists under their dtype; MT19937 and Philox have some."""
    if isinstance(value, dict):
        return {name: _to_json(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return value.item() if isinstance(value, np.generic) else value


def _from_json(value):
    """Undo :func:`_to_json`."""
    if isinstance(value, dict) and set(value) == {"dtype", "values"}:
        return np.array(value["values"], value["dtype"])
    if isinstance(value, dict):
        return {name: _from_json(inner) for name, inner in value.items()}
    return value
