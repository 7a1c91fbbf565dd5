"""Where a run begins: from which weights, or from which checkpoint, and with what that was to be asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eqmodels.backbones.formats import read_network_config
from eqmodels.objectives import OBJECTIVES
from eqmodels.remote import locate
from eqmodels.storage import CHECKPOINT, CONFIG, PREVIOUS_CHECKPOINT, StorageError
from eqmodels.training.checkpoint import last_checkpoint
from eqmodels.training.config import PretrainConfig

__all__ = ["has_checkpoint", "pinned", "settled"]


def has_checkpoint(folder: Path) -> bool:
    """Whether a run in a folder goes on from a checkpoint, and needs no weights to begin with."""
    return any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS_CHECKPOINT))


def pinned(config: PretrainConfig, folder: Path) -> PretrainConfig:
    """The config with the sha256 of the weights that it begins with.

    Args:
        config: of a run.
        folder: of the run, whose checkpoint knows the sha256 if the weights are gone.

    Raises:
        StorageError: if the weights cannot be had.
        ValueError: if there is no such network.
    """
    model = config.model
    if model.init is None or model.init_sha256 is not None:
        return config
    try:
        sha256 = read_network_config(locate(model.init).folder / CONFIG)["sha256"]
    except (StorageError, ValueError):
        found = last_checkpoint(folder) if has_checkpoint(folder) else None
        if found is None or found[2].model.init != model.init:
            raise
        sha256 = found[2].model.init_sha256
    return config.replaced(init_sha256=sha256)


def settled(config: PretrainConfig) -> PretrainConfig:
    """The config with the options of its objective that are asked for, see `Objective.settled`.

    Args:
        config: of a run that begins or goes on.

    Raises:
        ValueError, ModuleNotFoundError, StorageError: if something cannot be found out.
    """
    objective = config.objective
    options = OBJECTIVES.find(objective.name).settled(objective.options)
    return replace(config, objective=replace(objective, options=options))
