"""A finished run on the disk: weights as safetensors, and what is needed to use them."""

from __future__ import annotations

import copy
import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones import Encoder
from eqmodels.data import LabelledImages
from eqmodels.layers import GlobalPoolMode
from eqmodels.tasks import Task
from eqmodels.training.checkpoint import Progress, open_checkpoint
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError
from eqmodels.training.files import write_atomically
from eqmodels.training.log import Row
from eqmodels.training.model import EsslModel, build_model

__all__ = ["CONFIG", "WEIGHTS", "Preprocessing", "Run", "load_run", "load_unfinished", "provenance", "save_run"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""Names of the files in a run's folder."""

FORMAT = 1


@dataclass(frozen=True)
class Preprocessing:
    """What happens to pixels in [0, 1] before the network sees them.

    Attributes:
        mean: of each channel over the training images.
        deviation: standard deviation of each channel.
        size: height and width of the training images.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int]

    @classmethod
    def of(cls, data: LabelledImages) -> Preprocessing:
        """That of a network trained on such images."""
        mean, deviation = data.statistics()
        return cls(mean, deviation, (data.images.shape[-2], data.images.shape[-1]))

    def normalise(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """``(x - mean) / deviation``, channel by channel."""
        mean, deviation = (
            torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images - mean) / deviation


@dataclass
class Run:
    """A pretrained network and where it comes from.

    Attributes:
        config: of the run.
        model: backbone and heads, in eval mode.
        task: what the heads predict.
        preprocessing: what images go through first.
        log: one row an epoch.
        provenance: versions, machine, duration and data of the training.
        sha256: of the file of weights.
    """

    config: PretrainConfig
    model: EsslModel
    task: Task
    preprocessing: Preprocessing
    log: list[Row]
    provenance: dict[str, Any]
    sha256: str = ""

    def encoder(self, global_pool: GlobalPoolMode = "invariant", *, num_classes: int = 0) -> Encoder:
        """The backbone alone, a copy in eval mode: from normalised images to feature vectors.

        Args:
            global_pool: how features are pooled; the canonical ways turn them back by the pose that the head predicts.
            num_classes: outputs of a fresh classifier; 0 for features.

        Raises:
            ValueError: if the pooling is unknown, or canonical and no head predicts the pose.
        """
        encoder, pose = copy.deepcopy(self.model.backbone), None
        if global_pool.startswith("canonical"):
            pose = copy.deepcopy(self.model.pose)
        encoder.reset_classifier(num_classes, global_pool, pose=pose)
        return encoder.eval()


def save_run(folder: str | Path, run: Run) -> str:
    """Writes weights, then config: a folder with a config is complete. Sets and returns the run's sha256.

    Raises:
        TrainingError: if a file cannot be written.
    """
    folder = Path(folder)
    # Stock PyTorch strides: what is channels-last in memory is an ordinary tensor on the disk.
    state = {name: value.detach().cpu().contiguous() for name, value in run.model.state_dict().items()}
    weights = save(state)
    run.sha256 = hashlib.sha256(weights).hexdigest()
    write_atomically(folder / WEIGHTS, weights)
    content = {
        "format": FORMAT,
        "pretraining": run.config.to_dict(),
        "preprocessing": asdict(run.preprocessing),
        "log": run.log,
        "provenance": run.provenance,
        "sha256": run.sha256,
    }
    write_atomically(folder / CONFIG, json.dumps(content, indent=2) + "\n")
    return run.sha256


def load_run(folder: str | Path) -> Run:
    """The network of a finished run, in eval mode on the CPU.

    Raises:
        TrainingError: if the folder is not that of a finished run, or its weights are damaged or another network's.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise TrainingError(
            f"{folder} holds no finished run: it needs {CONFIG} and {WEIGHTS}. Name a folder that eqmodels pretrain "
            "wrote, once it is done."
        )
    try:
        content = json.loads((folder / CONFIG).read_text())
        if content["format"] != FORMAT:
            raise TrainingError(f"{folder / CONFIG} is of format {content['format']!r}, not {FORMAT}. Update eqmodels.")
        config = PretrainConfig.from_dict(content["pretraining"])
        stored = content["preprocessing"]
        preprocessing = Preprocessing(tuple(stored["mean"]), tuple(stored["deviation"]), tuple(stored["size"]))
        weights = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(weights).hexdigest() != content["sha256"]:
            raise TrainingError(
                f"{folder / WEIGHTS} is damaged or of another run: its sha256 is not {CONFIG}'s. Train it again."
            )
        model, task = build_model(config, len(preprocessing.mean))
        model.load_state_dict(load(weights))
        return Run(config, model.eval(), task, preprocessing, content["log"], content["provenance"], content["sha256"])
    except TrainingError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(
            f"{folder} cannot be loaded: {type(error).__name__}, {reason[:300]} Train it again, or with the version of "
            "eqmodels that wrote it."
        ) from error


def load_unfinished(file: str | Path) -> Run:
    """The network of a checkpoint, of a run that is not done or was stopped, in eval mode on the CPU.

    Raises:
        TrainingError: if the file is no checkpoint, is damaged or does not say how images are normalised.
    """
    content, config = open_checkpoint(Path(file))
    try:
        stored = content["images"]
        preprocessing = Preprocessing(tuple(stored["mean"]), tuple(stored["deviation"]), tuple(stored["size"]))
        model, task = build_model(config, len(preprocessing.mean))
        model.load_state_dict(content["model"])
        progress = Progress(**content["progress"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"{file} cannot be loaded ({reason[:200]}). Let its run go on to the end first.") from error
    return Run(config, model.eval(), task, preprocessing, progress.log, {"unfinished": True, "epochs": progress.epoch})


def provenance(data: LabelledImages, seconds: float, processes: int) -> dict[str, Any]:
    """Where weights come from: data, versions, machine and duration."""
    return {
        "data": {"name": data.name, "images": len(data), "channels": data.channels, "classes": list(data.classes)},
        "seconds": round(seconds, 1),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "machine": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
