"""Training of all layers: one epoch after the other, of which the best on held-out images counts."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqmodels._shapes import Int
from eqmodels.backbones.network import StagedNetwork
from eqmodels.data import Source
from eqmodels.finetuning.config import FinetuneConfig
from eqmodels.objectives import Purpose, generator_for, seed_dropout
from eqmodels.processes import World
from eqmodels.storage import open_regular, reason_of, write_atomically
from eqmodels.training import OptimisationConfig, TrainingError
from eqmodels.training.errors import foreign_run
from eqmodels.training.optimisation import learning_rate_at
from eqmodels.transforms import Preprocessing, create_augmentation

__all__ = ["CHECKPOINT", "Progress", "Tuning", "logits_of"]

CHECKPOINT = "finetuning.pt"
"""The name of the file in the folder of a fine-tuning that is not done."""

FORMAT = 1
"""Of checkpoints."""

ROWS = 256
"""Images that a network is asked about at a time."""


@dataclass
class Progress:
    """How far a fine-tuning has come.

    Attributes:
        epoch: the epoch that the next step belongs to, from 0.
        step: of that step within the epoch, from 0.
        loss: sum of the losses of the epoch's images so far, in nats.
        log: one row an epoch, that of the linear probe (epoch 0) first.
        best: the epoch with the best validation score so far.
        strength: of the linear probe's penalty.
        seconds: duration so far.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    log: list[dict[str, float | int]] = field(default_factory=list)
    best: int = 0
    strength: float = math.nan
    seconds: float = 0.0


class Tuning:
    """One fine-tuning: its network, its images, and how far it has come.

    Args:
        network: with a classifier that was fitted, on its device; it is trained.
        images: all training images.
        fit: the numbers of those to train on.
        held_out: the numbers of those to choose on.
        config: what to do.
        marks: what tells this fine-tuning from others, ready for JSON.
        world: the processes that share the work; None for this one alone.

    Raises:
        ValueError: if a step has fewer images than there are processes.
    """

    def __init__(
        self,
        network: StagedNetwork,
        images: Source,
        fit: Int[Tensor, " N"],
        held_out: Int[Tensor, " M"],
        config: FinetuneConfig,
        marks: Mapping[str, Any],
        world: World | None = None,
    ) -> None:
        assert network.preprocessing is not None
        self.world = world or World()
        self.network, self.images, self.fit, self.held_out = network, images, fit, held_out
        self.config, self.marks = config, dict(marks)
        self.preprocessing: Preprocessing = network.preprocessing
        self.augmentation = create_augmentation(config.augment)
        # No batch of one image: batch normalisation could not do with it.
        wanted = math.ceil(len(fit) / config.batch_size)
        self.steps_per_epoch = max(min(wanted, len(fit) // 2), 1)
        if (least := len(fit) // self.steps_per_epoch) < self.world.size:
            raise self.world.told(
                ValueError(
                    f"batch_size must be at least the number of processes, {self.world.size}, each of which computes a "
                    f"part of every step; the smallest step has {least} images. Start fewer processes, or pass "
                    f"batch_size={max(2 * self.world.size, config.batch_size)} and more images."
                )
            )
        self.optimiser = torch.optim.AdamW(_groups(network, config), lr=config.learning_rate)
        self.progress = Progress()
        self.best = _copied(network)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return next(self.network.parameters()).device

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left, or as many as `patience` in a row were no better."""
        progress, config = self.progress, self.config
        return progress.epoch >= config.epochs or progress.epoch - progress.best >= config.patience

    def start(self, strength: float) -> None:
        """Notes the score of the linear probe, which is the network's before any step, as that of epoch 0.

        Args:
            strength: of its penalty.
        """
        accuracy, loss = self._score()
        row = {"epoch": 0, "accuracy": accuracy, "loss": loss}
        self.progress.log, self.progress.strength = [row], strength

    def step(self) -> None:
        """One step of the optimiser; after the last one of an epoch, its validation.

        Raises:
            TrainingError: if the loss is no finite number.
        """
        progress, config = self.progress, self.config
        seed, position = config.seed, (progress.epoch, progress.step)
        self.network.train()
        # Drawn for the position, so that a fine-tuning that goes on draws what it would have drawn.
        order = torch.randperm(len(self.fit), generator=generator_for(seed, Purpose.ORDER, progress.epoch))
        chosen = self.fit[order.tensor_split(self.steps_per_epoch)[progress.step]]
        uniforms = self.augmentation.draw(len(chosen), generator_for(seed, Purpose.AUGMENTATION, *position))
        rows, rank = self.world.rows(len(chosen)), self.world.rank
        own, uniforms = chosen[rows], uniforms[rows]
        images = self.augmentation.apply(self.images.pixels(own).to(self.device), uniforms.to(self.device))
        labels = self.images.labels[own].to(self.device)
        self._set_rate(progress.epoch * self.steps_per_epoch + progress.step)
        seed_dropout(seed, *position, *([rank] if rank else []))  # each process drops others
        self.optimiser.zero_grad(set_to_none=True)
        # Its part of the mean over the images of all processes, whose gradients are summed.
        part = F.cross_entropy(self.network(self.preprocessing.normalise(images)), labels) * (len(own) / len(chosen))
        part.backward()
        self.world.sum_gradients(value for _, value in _trained(self.network))
        self.optimiser.step()
        value = float(self.world.sum(part.detach()))
        if not math.isfinite(value):
            raise self.world.told(
                TrainingError(
                    f"in epoch {progress.epoch + 1}, step {progress.step + 1}, the loss became no finite number; the "
                    "last checkpoint is from before. Start again in another folder with a lower learning_rate."
                )
            )
        progress.loss += value * len(chosen)
        progress.step += 1
        if progress.step == self.steps_per_epoch:
            self._end_epoch()

    def _end_epoch(self) -> None:
        progress = self.progress
        accuracy, loss = self._score()
        progress.epoch, progress.step = progress.epoch + 1, 0
        row = {"epoch": progress.epoch, "accuracy": accuracy, "loss": loss}
        progress.log.append(row | {"training_loss": progress.loss / len(self.fit)})
        progress.loss = 0.0
        before = progress.log[progress.best]
        if (accuracy, -loss) > (before["accuracy"], -before["loss"]):
            progress.best, self.best = progress.epoch, _copied(self.network)

    def _score(self) -> tuple[float, float]:
        """Accuracy and mean loss in nats on the images that are held out; a loss that is no number counts as large."""

        def asked(numbers: Tensor) -> tuple[int, float]:
            logits = logits_of(self.network, self.images.pixels(numbers)).double()
            labels = self.images.labels[numbers]
            return int((logits.argmax(1) == labels).sum()), float(F.cross_entropy(logits, labels, reduction="sum"))

        found = self.world.spread(asked, self.held_out.split(ROWS))
        correct, loss = sum(right for right, _ in found), sum(loss for _, loss in found)
        count = len(self.held_out)
        return correct / count, loss / count if math.isfinite(loss) else 1e30

    def _set_rate(self, number: int) -> None:
        config = self.config
        schedule = OptimisationConfig(
            epochs=config.epochs, learning_rate=config.learning_rate, warmup_epochs=min(1.0, config.epochs)
        )
        rate = learning_rate_at(schedule, number, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]

    def save(self, folder: Path) -> None:
        """The first process writes a checkpoint, whole.

        Raises:
            StorageError: if it cannot be written; the one from before is then intact.
        """
        self.world.from_writer(lambda: self._write(folder / CHECKPOINT))

    def _write(self, file: Path) -> None:
        content = {
            "format": FORMAT,
            "marks": self.marks,
            "progress": asdict(self.progress),
            "model": self.network.state_dict(),
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(file, buffer.getvalue())

    def resume(self, folder: Path) -> bool:
        """Goes on from the checkpoint of a folder; whether there is one.

        Raises:
            TrainingError: if it cannot be read, or belongs to another fine-tuning.
        """
        file = folder / CHECKPOINT
        content = self.world.from_writer(lambda: _read(file, self.marks) if file.exists() else None)
        if content is None:
            return False
        try:
            self.network.load_state_dict(content["model"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.best, self.progress = content["best"], Progress(**content["progress"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{file} does not fit the network ({reason_of(error)}). Delete it to start again."
            ) from error
        return True


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The marks that differ, those of a folder and those of what is asked for now, by name."""
    names = dict.fromkeys((*there, *here))
    return {name: (there.get(name), here.get(name)) for name in names if there.get(name) != here.get(name)}


@torch.no_grad()
def logits_of(network: StagedNetwork, images: Tensor) -> Tensor:
    """The logits of images in [0, 1] in eval mode, on the CPU."""
    assert network.preprocessing is not None
    device = next(network.parameters()).device
    network.eval()
    logits: Tensor = network(network.preprocessing.normalise(images.to(device)))
    return logits.float().cpu()


def _read(file: Path, marks: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        TrainingError: if it is damaged, or of another format, or of a fine-tuning of other marks.
    """
    try:
        with open_regular(file) as stream:
            with zipfile.ZipFile(stream) as archive:  # PyTorch itself does not notice a bit that flipped
                if damaged := archive.testzip():
                    raise zipfile.BadZipFile(f"{damaged} is damaged")
            stream.seek(0)
            content: dict[str, Any] = torch.load(stream, map_location="cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise ValueError(f"it is of format {content['format']}, not {FORMAT}")
        found = {name: content[name] for name in ("marks", "progress", "model", "best", "optimiser")}
    except Exception as error:  # damaged files make the unpickler stumble in many ways
        raise TrainingError(f"{file} cannot be read ({reason_of(error)}). Delete it to start again.") from error
    if differences := differing(found["marks"], marks):
        raise foreign_run(file, differences)
    return found


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _groups(network: StagedNetwork, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Groups of parameters, by their distance from the classifier, those that decay apart from those that do not."""
    depths = {name: depth for depth, name in enumerate(("fc", *reversed(network.stages)))} | {"global_pool": 1}
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in _trained(network):
        key = (depths.get(name.partition(".")[0], len(network.stages)), parameter.dim() > 1)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "scale": config.layer_decay**depth,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (depth, decays), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def _trained(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, value) for name, value in network.named_parameters() if value.requires_grad)
