"""Equivariant self-supervised pretraining."""

from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError
from eqmodels.training.images import prepared_images, training_images
from eqmodels.training.loop import pretrain
from eqmodels.training.model import EsslModel, build_model
from eqmodels.training.pretraining import Pretraining
from eqmodels.training.run import Preprocessing, Run, load_run, load_unfinished, save_run

__all__ = [
    "EsslModel",
    "Preprocessing",
    "PretrainConfig",
    "Pretraining",
    "Run",
    "TrainingError",
    "build_model",
    "load_run",
    "load_unfinished",
    "prepared_images",
    "pretrain",
    "save_run",
    "training_images",
]
