r"""The learner: a small network eps_hat(x_t, t) with hand-written derivatives, and what trains and keeps it.

:class:`MLP` is a denoiser like any other; :func:`fit` minimises the mean squared error of its eps_hat,
and :func:`save` and :func:`load` keep it in one file. With classes it is a denoiser of labelled points,
``model.given(y)``, and of all, ``model.given(None)``.
"""

from refdiff.network.checkpoint import Checkpoint, CheckpointError, load, load_checkpoint, load_state, save
from refdiff.network.mlp import MLP
from refdiff.network.optimizer import EMA, AdamW, clip_by_global_norm, cosine_learning_rate
from refdiff.network.train import (
    Record,
    TrainingDiverged,
    TrainingState,
    drop_labels,
    fit,
    loss,
    loss_and_gradients,
)

__all__ = [
    "EMA",
    "MLP",
    "AdamW",
    "Checkpoint",
    "CheckpointError",
    "Record",
    "TrainingDiverged",
    "TrainingState",
    "clip_by_global_norm",
    "cosine_learning_rate",
    "drop_labels",
    "fit",
    "load",
    "load_checkpoint",
    "load_state",
    "loss",
    "loss_and_gradients",
    "save",
]
