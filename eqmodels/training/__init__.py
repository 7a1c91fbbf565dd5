"""Equivariant self-supervised pretraining."""

from eqmodels.training.checkpoint import CHECKPOINT
from eqmodels.training.config import PretrainConfig
from eqmodels.training.distributed import usable_device
from eqmodels.training.errors import TrainingError
from eqmodels.training.images import prepared_images, training_images
from eqmodels.training.log import LOG
from eqmodels.training.loop import pretrain
from eqmodels.training.model import EsslModel, build_model
from eqmodels.training.pretraining import Pretraining
from eqmodels.training.run import (
    Run,
    load_run,
    load_unfinished,
    provenance,
    save_run,
)
from eqmodels.training.snapshot import snapshot, untrained

__all__ = [
    "CHECKPOINT",
    "LOG",
    "EsslModel",
    "PretrainConfig",
    "Pretraining",
    "Run",
    "TrainingError",
    "build_model",
    "load_run",
    "load_unfinished",
    "prepared_images",
    "pretrain",
    "provenance",
    "save_run",
    "snapshot",
    "training_images",
    "untrained",
    "usable_device",
]
