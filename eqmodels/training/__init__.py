"""Equivariant self-supervised pretraining."""

from eqmodels.processes import usable_device
from eqmodels.training.checkpoint import CHECKPOINT
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError
from eqmodels.training.images import prepared_images, training_images
from eqmodels.training.learner import Learner, build_learner
from eqmodels.training.log import LOG
from eqmodels.training.loop import pretrain
from eqmodels.training.optimisers import OPTIMISERS, register_optimiser
from eqmodels.training.origin import provenance
from eqmodels.training.parts import DataConfig, ModelConfig, ObjectiveConfig, OptimisationConfig, Options, RunConfig
from eqmodels.training.pretraining import Pretraining
from eqmodels.training.run import (
    Run,
    load_run,
    load_unfinished,
    save_run,
)
from eqmodels.training.snapshots import snapshot, untrained

__all__ = [
    "CHECKPOINT",
    "LOG",
    "OPTIMISERS",
    "DataConfig",
    "Learner",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimisationConfig",
    "Options",
    "PretrainConfig",
    "Pretraining",
    "Run",
    "RunConfig",
    "TrainingError",
    "build_learner",
    "load_run",
    "load_unfinished",
    "prepared_images",
    "pretrain",
    "provenance",
    "register_optimiser",
    "save_run",
    "snapshot",
    "training_images",
    "untrained",
    "usable_device",
]
