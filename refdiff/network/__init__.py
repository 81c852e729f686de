r"""The learner: a small network eps_hat(x_t, t) with hand-written derivatives, and what trains and keeps it.

:class:`MLP` is a denoiser like any other; :func:`fit` minimises the mean squared error of its eps_hat,
and :func:`save` and :func:`load` keep it in one file.
"""

from refdiff.network.checkpoint import Checkpoint, CheckpointError, load, load_checkpoint, load_state, save
from refdiff.network.mlp import MLP
from refdiff.network.optimizer import EMA, AdamW, clip_by_global_norm, cosine_learning_rate
from refdiff.network.train import Record, TrainingDiverged, TrainingState, fit, loss, loss_and_gradients

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
    "fit",
    "load",
    "load_checkpoint",
    "load_state",
    "loss",
    "loss_and_gradients",
    "save",
]
