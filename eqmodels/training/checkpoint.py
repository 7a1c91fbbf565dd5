"""Checkpoints from which a run goes on as if it had never stopped."""

from __future__ import annotations

import io
import itertools
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqmodels.objectives import Objective, Prediction
from eqmodels.storage import CHECKPOINT, PREVIOUS_CHECKPOINT, open_regular, printable, reason_of, write_atomically
from eqmodels.training.average import Average
from eqmodels.training.checkpoint_parts import check_optimiser, check_parts
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import DamagedCheckpointError, TrainingError, foreign_run
from eqmodels.training.formats import nested
from eqmodels.training.images import differing_images
from eqmodels.training.learner import Learner, load_moving_state, moving_state
from eqmodels.training.log import Row
from eqmodels.training.terms import Counts

__all__ = [
    "CHECKPOINT",
    "Progress",
    "last_checkpoint",
    "open_checkpoint",
    "progress_of",
    "read_checkpoint",
    "restore",
    "save_checkpoint",
]

FORMAT, FIRST_FORMAT = 2, 1
"""Of checkpoints: what is written, and what is read too."""


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        epoch: the epoch that the next step belongs to, from 0.
        step: the number of that step within the epoch, from 0.
        counts: what was counted of the epoch's images so far.
        seconds: duration of the epoch so far.
        log: one row for every epoch that is done.
        precision: that is computed in, which a run keeps on another machine too.
    """

    epoch: int = 0
    step: int = 0
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    log: list[Row] = field(default_factory=list)
    precision: str = "float32"


def save_checkpoint(
    folder: Path,
    config: PretrainConfig,
    images: Mapping[str, Any],
    progress: Progress,
    model: Learner,
    optimiser: torch.optim.Optimizer,
    average: Average | None = None,
) -> None:
    """Writes all that a run goes on from, whole: also its config, and what identifies the images.

    The checkpoint from before is kept beside it, see `last_checkpoint`.

    Raises:
        TrainingError: if a weight or a running statistic is no finite number, or the file cannot be written; the last
            checkpoint is then intact.
    """
    state: dict[str, Tensor] = model.state_dict()
    teachers = moving_state(model.objective)
    every = state | {f"{place}.{name}": value for place, its in teachers.items() for name, value in its.items()}
    if ruined := [name for name, value in every.items() if not value.isfinite().all()]:
        raise TrainingError(
            f"{ruined[0]} and {len(ruined) - 1} other tensors of the network are no finite numbers any more, and were "
            "not saved; the last checkpoint is from before. Start again in another folder with a lower learning_rate, "
            "or with clip_norm=1."
        )
    buffer = io.BytesIO()
    content = {
        "format": FORMAT,
        "config": config.to_dict(),
        "images": dict(images),
        "progress": vars(progress) | {"counts": vars(progress.counts)},
        "model": state,
        "teachers": teachers,
        **({} if average is None else {"average": average.state}),
        "optimiser": optimiser.state_dict(),
        # What is random in a run is a function of the seed and of the progress; this is for what else draws numbers.
        "random_state": torch.get_rng_state(),
    }
    torch.save(content, buffer)
    write_atomically(folder / CHECKPOINT, buffer.getvalue(), keep_as=folder / PREVIOUS_CHECKPOINT)


def open_checkpoint(file: Path) -> tuple[dict[str, Any], PretrainConfig]:
    """What a checkpoint holds, and its config.

    Raises:
        DamagedCheckpointError: if it cannot be read.
        TrainingError: if it could run code, is of another format or version, or a part of it is missing or odd.
    """
    try:
        with open_regular(file) as stream:
            with zipfile.ZipFile(stream) as archive:  # PyTorch itself does not notice a bit that flipped
                if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                    raise zipfile.BadZipFile("a part of it is compressed, as PyTorch writes none")
                if damaged := archive.testzip():
                    raise zipfile.BadZipFile(f"{damaged} is damaged")
            stream.seek(0)
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make the unpickler stumble in many ways
        # PyTorch's own words are a paragraph that advises to open the file all the same.
        is_foreign = isinstance(error, pickle.UnpicklingError) and "Weights only" in str(error)
        reason = "it holds more than tensors and numbers, and could run any code" if is_foreign else reason_of(error)
        kind = TrainingError if is_foreign else DamagedCheckpointError
        raise kind(f"{file} cannot be read ({reason}). Delete it to start the run again.") from error
    if not isinstance(content, dict) or content.get("format") not in (FIRST_FORMAT, FORMAT):
        raise TrainingError(
            f"{file} is no checkpoint of format {FIRST_FORMAT} or {FORMAT}. Choose another folder (--folder)."
        )
    try:
        config = PretrainConfig.from_dict(content["config"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"{file} was written by another version: {error} Choose another folder.") from error
    try:
        check_parts(content)
    except ValueError as error:
        raise TrainingError(f"{file} is no whole checkpoint: {error} Delete it to start the run again.") from error
    return content, config


def last_checkpoint(folder: Path) -> tuple[Path, dict[str, Any], PretrainConfig] | None:
    """The last checkpoint of a folder that can be read: its file, content and config; None if there is none.

    Of a last one that is damaged or gone, a warning says so, and the one before it counts. One that could run code, or
    that another version wrote, is no damaged one.

    Raises:
        TrainingError: if none can be read, or the last one could run code or is of another format or version.
    """
    last, previous = folder / CHECKPOINT, folder / PREVIOUS_CHECKPOINT
    if not previous.exists():
        return (last, *open_checkpoint(last)) if last.exists() else None
    try:
        return (last, *open_checkpoint(last))
    except DamagedCheckpointError as error:
        try:
            found = (previous, *open_checkpoint(previous))
        except DamagedCheckpointError as second:
            raise DamagedCheckpointError(
                f"{last} cannot be read ({reason_of(error.__cause__ or error)}), nor can {previous.name}, the one "
                f"before it ({reason_of(second.__cause__ or second)}). Delete both to start the run again."
            ) from second
        warnings.warn(
            f"{printable(str(last))} cannot be read ({reason_of(error.__cause__ or error)}); the checkpoint before it, "
            f"{previous.name}, is taken in its place.",
            stacklevel=2,
        )
        return found


def read_checkpoint(folder: Path, config: PretrainConfig, images: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last checkpoint of a folder, see `last_checkpoint`, for `restore`; None if there is none.

    One that was taken in the place of a damaged one is moved there, so that the next one does not displace it.

    Raises:
        TrainingError: if it cannot be read, or belongs to a run of another config or on other images.
    """
    found = last_checkpoint(folder)
    if found is None:
        return None
    file, content, written = found
    stored = content.get("images", images)  # the first checkpoints of this format did not have it
    if differences := written.differences(config) | differing_images(stored, images):
        raise foreign_run(file, differences)
    if file.name != CHECKPOINT:
        file.replace(folder / CHECKPOINT)
    return content


def progress_of(content: Mapping[str, Any], objective: Objective) -> Progress:
    """The progress that a checkpoint holds, of either format.

    Args:
        content: of the checkpoint.
        objective: of the run; the first format counted by position, and there was `Prediction` alone.

    Raises:
        KeyError, TypeError, ValueError: if it holds none.
    """
    values = dict(content["progress"])
    # When it was not noted, it was that of the config.
    values.setdefault("precision", nested(content["config"])["run"].get("precision", "bfloat16"))
    if content["format"] == FORMAT:
        return Progress(**values | {"counts": Counts(**values["counts"])})
    counts = Counts(seen=values.pop("seen"))
    loss, class_loss, correct = values.pop("loss"), values.pop("class_loss", 0.0), values.pop("correct")
    if correct:
        assert isinstance(objective, Prediction)
        separate = {} if objective.class_information is None else {"class": class_loss}
        counts.losses = {"loss": loss, **{f"{name}_loss": total for name, total in separate.items()}}
        names = [*(part.name for part in objective.task.components), *separate]
        counts.correct = dict(zip(names, correct, strict=True))
    return Progress(**values, counts=counts)


def restore(
    content: Mapping[str, Any], model: Learner, optimiser: torch.optim.Optimizer, average: Average | None = None
) -> Progress:
    """Puts model, mean, optimiser and random state where a checkpoint has them, and returns its progress.

    Raises:
        TrainingError: if it does not fit the network.
    """
    try:
        model.load_state_dict(content["model"])
        load_moving_state(model.objective, content.get("teachers", {}))  # of before there were any
        if average is not None:
            average.restore(content["average"])
        state = _optimiser_state(content, optimiser)
        check_optimiser(state, [parameter for group in optimiser.param_groups for parameter in group["params"]])
        optimiser.load_state_dict(state)
        torch.set_rng_state(content["random_state"])
        return progress_of(content, model.objective)
    except (KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"the checkpoint belongs to another network ({reason_of(error)}). Nothing was changed; choose another "
            "folder (--folder)."
        ) from error


def _optimiser_state(content: Mapping[str, Any], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state of a checkpoint; the first format had all parameters in one group, in the same order."""
    state: dict[str, Any] = content["optimiser"]
    if content["format"] == FORMAT:
        return state
    (whole,) = state["param_groups"]
    ends = itertools.accumulate(len(group["params"]) for group in optimiser.param_groups)
    starts = [0, *ends]
    groups = [whole | {"params": whole["params"][i:j]} for i, j in itertools.pairwise(starts)]
    return {"state": state["state"], "param_groups": groups}
