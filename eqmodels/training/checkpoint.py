"""Checkpoints from which a run goes on as if it had never stopped."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError
from eqmodels.training.files import write_atomically

__all__ = ["CHECKPOINT", "Progress", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
"""The name of the checkpoint in a run's folder."""

FORMAT = 1


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the epoch that the next step belongs to, from 0.
        step: the number of that step within the epoch, from 0.
        loss: sum of the losses of the epoch's steps so far, in nats.
        correct: number of the epoch's labels predicted so far, a task.
        seen: number of the epoch's images so far.
        seconds: duration of the epoch so far.
        log: one row for every epoch that is done.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    correct: list[int] = field(default_factory=list)
    seen: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


def save_checkpoint(
    folder: Path, config: PretrainConfig, progress: Progress, model: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Writes weights, optimiser, progress, random state and config, atomically.

    Raises:
        TrainingError: if the file cannot be written; the last checkpoint is then intact.
    """
    buffer = io.BytesIO()
    content = {
        "format": FORMAT,
        "config": config.to_dict(),
        "progress": vars(progress),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        # Everything else that is random is a function of the seed and of the progress.
        "random_state": torch.get_rng_state(),
    }
    torch.save(content, buffer)
    write_atomically(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(
    folder: Path, config: PretrainConfig, model: nn.Module, optimiser: torch.optim.Optimizer
) -> Progress | None:
    """Puts model, optimiser and random state where the checkpoint has them.

    Returns:
        The progress; None if the folder has no checkpoint.

    Raises:
        TrainingError: if the checkpoint cannot be read, or belongs to a run of another config.
    """
    file = folder / CHECKPOINT
    if not file.exists():
        return None
    content = _read(file)
    try:
        written = PretrainConfig.from_dict(content["config"])
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{file} was written by another version: {error} Choose another folder.") from error
    if differences := written.differences(config):
        shown = ", ".join(f"{name}={a!r} there and {b!r} here" for name, (a, b) in differences.items())
        raise TrainingError(
            f"{file} belongs to another run: {shown}. Nothing was changed; choose another folder (--folder), or delete "
            "this one."
        )
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    state: Tensor = content["random_state"]
    torch.set_rng_state(state)
    return Progress(**content["progress"])


def _read(file: Path) -> dict[str, Any]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise TrainingError(f"{file} cannot be read ({reason}). Delete it to start the run again.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(f"{file} is no checkpoint of format {FORMAT}. Choose another folder (--folder).")
    return content
