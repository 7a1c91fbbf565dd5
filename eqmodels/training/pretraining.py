"""One pretraining run: predict what was done to the image."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.data import Source
from eqmodels.objectives import prediction_loss
from eqmodels.objectives.prediction import predicted
from eqmodels.objectives.randomness import Purpose, generator_for, seed_dropout
from eqmodels.training.checkpoint import Progress, read_checkpoint, restore, save_checkpoint
from eqmodels.training.config import PretrainConfig
from eqmodels.training.distributed import World
from eqmodels.training.errors import TrainingError
from eqmodels.training.images import marks_of, preprocessing_of
from eqmodels.training.log import Row, write_log
from eqmodels.training.model import EsslModel, build_model, is_strict
from eqmodels.training.optimisation import create_optimiser, learning_rate_at
from eqmodels.training.pitfalls import check_colours, check_norms
from eqmodels.transforms import create_augmentation

__all__ = ["Pretraining"]


class Pretraining:
    """One run: its data, its task, its network, and how far it has come.

    Building it and its steps seed PyTorch's global generators.

    Args:
        config: what to do.
        data: the training images, see `training_images`.
        world: the processes that share the work; None for this one alone.

    Attributes:
        model: backbone and heads, a class head among them if the config asks for it; `network` is the same as it is
            called in training, compiled or replicated.
        task: what the heads predict.
        strict: whether images are left unturned, because the loss is that of turned ones.
        progress: how far the run has come.

    Raises:
        ValueError: if the head does not fit the task and the backbone, the images do not suit the task or a class head,
            labels cannot be told from them, layer normalisation would have a single field or batch normalisation a
            single value, there are fewer images than in a batch, or a batch does not divide over the processes.
    """

    def __init__(self, config: PretrainConfig, data: Source, world: World | None = None) -> None:
        self.config, self.data, self.world = config, data, world or World()
        _check_batches(config, data, self.world)
        if config.class_weight is not None:
            _check_classes(config.class_weight, data)
        torch.manual_seed(config.seed)
        model, self.task = build_model(config, data.channels, len(data.classes))
        self.task.check(data.pixels(slice(0, 1)))
        check_colours(self.task, data)
        check_norms(config.model, model)
        _check_statistics(config, model, data, self.world)
        self.augmentation = create_augmentation(config.augment)
        self.strict = is_strict(config, self.task)
        self.preprocessing = preprocessing_of(data)
        self.format = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model: EsslModel = model.to(self.world.device).to(memory_format=self.format)
        if self.world.shares_statistics:
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.network = self.world.replicate(self.model)
        if config.compile:
            self.network = cast("nn.Module", torch.compile(self.network))
        self.optimiser = create_optimiser(config, self.model.parameters())
        self.progress = Progress()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the images; a last, smaller batch is left out."""
        return len(self.data) // self.config.batch_size

    def batch(self, epoch: int, step: int) -> tuple[Float[Tensor, "B C H W"], Int[Tensor, " B *tasks"]]:
        """The images of one step on this process, augmented, transformed and normalised, and their labels.

        With a class head the classes are the last column of the labels.

        Order, augmentation and labels are drawn for the global batch, so that a run does not depend on the number of
        its processes; what a task draws beside its labels (the offsets of a jigsaw) is each process's own.
        """
        seed, size = self.config.seed, self.config.batch_size
        order = torch.randperm(len(self.data), generator=generator_for(seed, Purpose.ORDER, epoch))
        chosen = order[step * size : (step + 1) * size]
        uniforms = self.augmentation.draw(size, generator_for(seed, Purpose.AUGMENTATION, epoch, step))
        labels = self.task.sample(size, generator_for(seed, Purpose.LABELS, epoch, step))
        if self.strict:
            # The equivariant head's loss on a turned image and its label equals that on the upright one and label 0.
            labels = torch.zeros_like(labels)
        chosen, uniforms, labels = (self.world.share(rows) for rows in (chosen, uniforms, labels))
        images = self.data.pixels(chosen).to(self.world.device)
        nuisance = generator_for(seed, Purpose.NUISANCE, epoch, step, self.world.rank)
        images = self.task.apply(self.augmentation.apply(images, uniforms), labels, nuisance)
        images = self.preprocessing.normalise(images).contiguous(memory_format=self.format)
        if self.model.class_information is not None:
            labels = torch.cat([labels.reshape(len(labels), -1), self.data.labels[chosen, None].long()], 1)
        return images, labels.to(self.world.device)

    def loss(self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, " B *tasks"]) -> Float[Tensor, ""]:
        """The sum of all heads' cross-entropies in nats; `progress` counts them, and the labels that were predicted.

        That of the class has no weight here: its gradient is weighted where it enters the features.
        """
        progress, bf16 = self.progress, self.config.precision == "bfloat16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = self.network(images)
        pairs = list(zip(logits, labels.reshape(len(labels), -1).unbind(1), strict=True))
        # Labels are uniform, so log|A| - loss is a lower bound on I(A; Z), in nats.
        losses = [prediction_loss(scores, label) for scores, label in pairs]
        tasks = len(self.model.heads)
        loss = torch.stack(losses[:tasks]).sum()
        progress.loss += float(loss.detach()) * len(images)
        progress.seen += len(images)
        if self.model.class_information is not None:
            progress.class_loss += float(losses[-1].detach()) * len(images)
            loss = loss + losses[-1]
        correct = [int(predicted(scores, label).sum()) for scores, label in pairs]
        progress.correct = [a + b for a, b in zip(progress.correct or [0] * len(pairs), correct, strict=True)]
        return loss

    def step(self) -> None:
        """One step of the optimiser.

        Raises:
            TrainingError: if the loss or its gradient is no finite number; the parameters are then those of before.
        """
        config, progress = self.config, self.progress
        rate = learning_rate_at(config, progress.epoch * self.steps_per_epoch + progress.step, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images, labels = self.batch(progress.epoch, progress.step)
        parts = zip(images.chunk(config.accumulate), labels.chunk(config.accumulate), strict=True)
        self.optimiser.zero_grad(set_to_none=True)
        seed_dropout(config.seed, progress.epoch, progress.step, self.world.rank)
        for number, (part_images, part_labels) in enumerate(parts, start=1):
            # Gradients cross processes with the last part only.
            last = number == config.accumulate
            silent = getattr(self.network, "no_sync", contextlib.nullcontext)
            with contextlib.nullcontext() if last else silent():
                (self.loss(part_images, part_labels) / config.accumulate).backward()
        # Without a bound this only measures. A class head has the bound for itself: its own gradient does not shorten
        # the backbone's step, so that at a weight of 0 it is an observer.
        bound, parts_of_model = config.clip_norm or math.inf, self.model.separate_parameters()
        norm = math.hypot(*(float(nn.utils.clip_grad_norm_(part, bound)) for part in parts_of_model))
        loss = progress.loss + progress.class_loss
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(
                f"in epoch {progress.epoch + 1}, step {progress.step + 1}, at the learning rate {rate:g}, the loss "
                f"({loss:g} over the epoch) or its gradient (norm {norm:g}) became no finite number; the last "
                "checkpoint is from before. Start again in another folder with a lower learning_rate, with clip_norm=1 "
                "or with precision='float32'."
            )
        self.optimiser.step()
        progress.step += 1

    def epoch(self) -> Row:
        """The steps that are left of an epoch, and its end; the row of the log.

        Raises:
            TrainingError: as `step`.
        """
        self.network.train()
        while self.progress.step < self.steps_per_epoch:
            self.step()
        return self.end_epoch()

    def end_epoch(self) -> Row:
        """Turns the counts of an epoch into a row of the log, begins the next epoch, and returns the row."""
        progress, names = self.progress, [part.name for part in self.task.components]
        loss, class_loss, seen, *correct = self._totals()
        row: Row = {"epoch": progress.epoch + 1, "loss": loss / seen}
        if self.model.class_information is not None:
            row["class_loss"] = class_loss / seen
            names.append("class")
        row["learning_rate"] = self.optimiser.param_groups[0]["lr"]
        row |= {f"accuracy_{name}": right / seen for name, right in zip(names, correct, strict=True)}
        row |= {"seconds": progress.seconds, "images_per_second": seen / max(progress.seconds, 1e-9)}
        self.progress = Progress(epoch=progress.epoch + 1, log=[*progress.log, row])
        return row

    def save(self, folder: Path) -> None:
        """Writes a checkpoint and the log; all processes must call it.

        Raises:
            TrainingError: if weights are no finite numbers or a file cannot be written; the last checkpoint is then
                intact.
        """
        loss, class_loss, seen, *correct = self._totals()
        counts = [int(right) for right in correct]
        whole = replace(self.progress, loss=loss, class_loss=class_loss, seen=int(seen), correct=counts)

        def write() -> None:
            save_checkpoint(folder, self.config, self._images(), whole, self.model, self.optimiser)
            write_log(folder, whole.log)

        self.world.from_writer(write)

    def resume(self, folder: Path) -> bool:
        """Goes on from the checkpoint of a folder; whether there is one. All processes must call it.

        Raises:
            TrainingError: if it cannot be read, belongs to another run, or the log cannot be written.
        """
        content = self.world.from_writer(lambda: read_checkpoint(folder, self.config, self._images()))
        if content is None:
            return False
        self.progress = restore(content, self.model, self.optimiser)
        # The run may have been stopped between the two files.
        self.world.from_writer(lambda: write_log(folder, self.progress.log))
        if not self.world.is_writer:
            # The counts in it are those of all processes: one of them takes them on.
            none = [0] * len(self.progress.correct)
            self.progress = replace(self.progress, loss=0.0, class_loss=0.0, seen=0, correct=none)
        return True

    def _images(self) -> dict[str, object]:
        """What tells these images from others, in a checkpoint; their labels too, if they are used."""
        images = marks_of(len(self.data), self.preprocessing)
        if self.model.class_information is not None:
            digest = hashlib.sha256(self.data.labels.long().contiguous().numpy().tobytes()).hexdigest()
            images |= {"classes": len(self.data.classes), "labels": digest[:16]}
        return images

    def _totals(self) -> list[float]:
        """Loss, class loss, images and labels predicted of the epoch so far, over all processes."""
        progress, model = self.progress, self.model
        correct = progress.correct or [0] * (len(model.heads) + (model.class_information is not None))
        counts = torch.tensor([progress.loss, progress.class_loss, progress.seen, *correct], dtype=torch.float64)
        totals: list[float] = self.world.sum(counts.to(self.world.device)).tolist()
        return totals


def _check_classes(weight: float, data: Source) -> None:
    """Raises a `ValueError` unless the images are of at least two classes."""
    if len(present := data.labels.unique().tolist()) < 2:
        raise ValueError(
            f"class_weight={weight:g} needs training images labelled with at least two classes; those of {data.name} "
            f"are all of {data.classes[present[0]]!r}. Use labelled images, such as a folder with one folder of images "
            "a class, or class_weight=None."
        )


def _check_batches(config: PretrainConfig, data: Source, world: World) -> None:
    """Raises a `ValueError` unless there is a batch of images, and it divides over processes and parts."""
    parts = world.size * config.accumulate
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size must be a multiple of processes x accumulate, {world.size} x {config.accumulate}; got "
            f"{config.batch_size}. Pass batch_size={parts * max(config.batch_size // parts, 1)}."
        )
    if len(data) < config.batch_size:
        way_out = f"Pass batch_size={len(data) // parts * parts}" if len(data) >= parts else "Collect more"
        raise ValueError(
            f"a step needs batch_size={config.batch_size} images; {data.name} has {len(data)}. {way_out}, or use "
            "another data set."
        )


def _check_statistics(config: PretrainConfig, model: EsslModel, data: Source, world: World) -> None:
    """Raises a `ValueError` if batch normalisation would see a single value of a field, which has no variance."""
    parts = world.size * config.accumulate
    # The last map is the smallest. A field has a value for every element of the group.
    reduction, (height, width) = model.backbone.feature_info[-1]["reduction"], data.size
    pixels = math.ceil(height / reduction) * math.ceil(width / reduction)
    values = config.batch_size // parts * pixels * model.backbone.group.order
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    if values == 1 and normalised and not world.shares_statistics:
        raise ValueError(
            f"batch normalisation needs more than one value of a channel; model={config.model!r} makes one pixel of "
            f"{height}x{width}, and batch_size={config.batch_size} is one image at a time of processes x accumulate, "
            f"{world.size} x {config.accumulate}. Pass batch_size={2 * parts}, or larger images."
        )
