"""One pretraining run: steps that bring a network's loss down, whatever the objective is."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from eqmodels._shapes import Int
from eqmodels.backbones.memory import within_memory
from eqmodels.backbones.registry import resolve
from eqmodels.data import Source
from eqmodels.objectives import Batch, Objective, Randomness, Term, seed_dropout
from eqmodels.processes import World
from eqmodels.processes.devices import usable_precision
from eqmodels.training.average import Average
from eqmodels.training.batches import Batches
from eqmodels.training.beginning import settled
from eqmodels.training.checkpoint import Progress, read_checkpoint, restore, save_checkpoint
from eqmodels.training.config import PretrainConfig
from eqmodels.training.images import label_marks, marks_of, preprocessing_of
from eqmodels.training.initial import initial_weights
from eqmodels.training.learner import Learner, build_learner
from eqmodels.training.log import Row, write_log
from eqmodels.training.optimisation import create_optimiser, learning_rate_at
from eqmodels.training.pitfalls import check_batches, check_norms, check_source_kind, check_statistics
from eqmodels.training.terms import Counts, moved, parts_of, total_loss
from eqmodels.training.unread import Unread, read_every

__all__ = ["Pretraining"]


class Pretraining:
    """One run: its data, its objective, its network, and how far it has come.

    Building it and its steps seed PyTorch's global generators.

    Args:
        config: what to do; what it leaves to be asked for is asked for, see `Objective.settled`.
        data: the training images, see `training_images`.
        world: the processes that share the work; None for this one alone.
        begins: whether it begins with the weights that the config names; not if a checkpoint is to take their place.

    Attributes:
        model: network and objective; `network` is the same as it is called in training, compiled or replicated.
        progress: how far the run has come; its counts are of the steps that were read back from the device.
        batches: the images of every step.
        read_every: after how many steps their losses are read back: 1 on the CPU, 16 elsewhere.
        begun: what it begins with instead of random weights, in words; empty for nothing.

    Raises:
        ValueError: if the objective does not fit the backbone or the images, layer normalisation would have a single
            field or batch normalisation a single value, there are fewer images than in a batch, or a batch does not
            divide over the processes.
        EqmodelsError: if the network does not fit into the memory.
    """

    def __init__(
        self, config: PretrainConfig, data: Source, world: World | None = None, *, begins: bool = True
    ) -> None:
        config = settled(config)
        self.config, self.data, self.world = config, data, world or World()
        check_source_kind(config.model.name, resolve(config.model.name)[1].takes, data)
        check_batches(config.optimisation, data, self.world)
        self.preprocessing = preprocessing_of(config, data)
        initial = initial_weights(config.model) if begins else None
        torch.manual_seed(config.run.seed)
        with within_memory(config.model.name):
            model = build_learner(config, self.preprocessing, len(data.classes), initial)
        self.begun = initial.words if initial else ""
        model.objective.check(data)
        check_norms(config.model.name, model)
        check_statistics(config.model.name, model.backbone, data, config.optimisation, self.world)
        memory_format = torch.channels_last if config.run.channels_last else torch.contiguous_format
        with within_memory(config.model.name):
            self.model: Learner = model.to(self.world.device).to(memory_format=memory_format)
        if self.world.shares_statistics:
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        self.network = self.world.replicate(self.model)
        if config.run.compile:
            self.network = cast("nn.Module", torch.compile(self.network))
        groups = self.objective.param_groups(self.model.network)
        self.optimiser = create_optimiser(config.optimisation, groups)
        decay = config.optimisation.average
        self.average = Average(self.model, decay) if decay else None
        self.progress = Progress(precision=usable_precision(config.run.precision, self.world.device))
        self.batches = Batches(config, data, self.world)
        self.read_every, self._unread = read_every(self.world.device), Unread()
        self._kept: dict[tuple[int, int], Any] = {}

    @property
    def objective(self) -> Objective:
        """What the network is pretrained for."""
        return self.model.objective

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the images; a last, smaller batch is left out."""
        return len(self.data) // self.config.optimisation.batch_size

    def views(self, epoch: int, step: int) -> Any:  # noqa: ANN401 (each objective has its own)
        """What the objective makes of the images of one step, on this process; or has made of them, if it keeps it."""
        position = self._shown_again(epoch, step)
        if (kept := self._kept.get(position)) is not None:
            return moved(kept, self.world.device)
        numbers, images = self.batches.read(*position)
        size, labels = self.config.optimisation.batch_size, None
        if self.objective.uses_labels:
            labels = self._labels[numbers]
        batch = Batch(images, labels, size, self.world.rows(size))
        views = self.objective.views(batch, Randomness(self.config.run.seed, position, self.world.rank))
        if self.objective.kept_passes:
            self._kept[position] = moved(views, torch.device("cpu"))
        return views

    def _shown_again(self, epoch: int, step: int) -> tuple[int, int]:
        """Epoch and step in which views were made first, if they are kept."""
        passes = self.objective.kept_passes
        return (epoch % passes if passes else epoch), step

    def _read_ahead(self, epoch: int, step: int) -> None:
        """Begins to read the images of the step after one, if its views are not kept."""
        following = (epoch, step + 1) if step + 1 < self.steps_per_epoch else (epoch + 1, 0)
        position = self._shown_again(*following)
        if following[0] < self.config.optimisation.epochs and position not in self._kept:
            self.batches.read_ahead(*position)

    def check_views(self) -> None:
        """Makes the views of the first step, so that images that the objective cannot take are refused before it.

        What it draws beside its generators is given back.

        Raises:
            ValueError: if the augmentation or the task does not take the images, or whatever the objective raises.
        """
        with torch.random.fork_rng():
            self.views(0, 0)

    def terms(self, views: Any) -> dict[str, Term]:  # noqa: ANN401
        """The terms of the loss of views, or of a part of their rows."""
        bf16 = self.progress.precision == "bfloat16"
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=bf16):
            terms: dict[str, Term] = self.network(views)
        return terms

    def step(self) -> None:
        """One step of the optimiser; the images of the next one are read meanwhile.

        Raises:
            TrainingError: if the loss or its gradient is no finite number; the parameters are then those of before the
                step, if every step is read back, see `read_every`. If not, it may have been a step before, and the
                parameters are of no use; no checkpoint has them.
        """
        config, progress, accumulate = self.config, self.progress, self.config.optimisation.accumulate
        number = progress.epoch * self.steps_per_epoch + progress.step
        rate = learning_rate_at(config.optimisation, number, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        views = self.views(progress.epoch, progress.step)
        self._read_ahead(progress.epoch, progress.step)
        self.optimiser.zero_grad(set_to_none=True)
        seed_dropout(config.run.seed, progress.epoch, progress.step, self.world.rank)
        found: list[dict[str, Term]] = []
        for index, part in enumerate(parts_of(views, accumulate), start=1):
            # Gradients cross processes with the last part only.
            silent = getattr(self.network, "no_sync", contextlib.nullcontext)
            with contextlib.nullcontext() if index == accumulate else silent():
                terms = self.terms(part)
                (total_loss(terms) / accumulate).backward()
            found.append({name: term.detached() for name, term in terms.items()})
        # Without a bound this only measures.
        bound = config.optimisation.clip_norm or math.inf
        norms = [nn.utils.clip_grad_norm_(group["params"], bound) for group in self.optimiser.param_groups]
        self._unread.add(progress.epoch, progress.step, rate, found, norms)
        if (progress.step + 1) % self.read_every == 0 or progress.step + 1 == self.steps_per_epoch:
            self._read_back()
        self.optimiser.step()
        self.objective.after_step(self.model.network)
        if self.average is not None:
            self.average.follow(self.model, number)
        progress.step += 1

    def _read_back(self) -> None:
        """Counts the steps that were not read yet, and refuses what is no finite number."""
        optimisation = self.config.optimisation
        images = optimisation.batch_size // self.world.size // optimisation.accumulate
        self._unread.count_into(self.progress.counts, images)

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
        """Turns the counts of an epoch into a row of the log, begins the next epoch, and returns the row.

        Raises:
            TrainingError: if the loss or its gradient was no finite number.
        """
        progress, counts = self.progress, self._totals()
        losses, accuracies = counts.row()
        row: Row = {"epoch": progress.epoch + 1, **losses, "learning_rate": self.optimiser.param_groups[0]["lr"]}
        row |= accuracies
        row |= {"seconds": progress.seconds, "images_per_second": counts.seen / max(progress.seconds, 1e-9)}
        self.progress = replace(
            progress, epoch=progress.epoch + 1, step=0, counts=Counts(), seconds=0.0, log=[*progress.log, row]
        )
        return row

    def save(self, folder: Path) -> None:
        """Writes a checkpoint and the log; all processes must call it.

        Raises:
            TrainingError: if the loss or weights are no finite numbers or a file cannot be written; the last checkpoint
                is then intact.
        """
        whole = replace(self.progress, counts=self._totals())

        def write() -> None:
            save_checkpoint(folder, self.config, self._images, whole, self.model, self.optimiser, self.average)
            write_log(folder, whole.log)

        self.world.from_writer(write)

    def keep_average(self) -> None:
        """Puts the mean of the weights in the place of the last ones, if there is to be one: the run is done."""
        if self.average is not None:
            self.average.put_into(self.model)

    def close(self) -> None:
        """Ends the thread that reads ahead; a further step starts it again."""
        self.batches.close()

    def resume(self, folder: Path) -> bool:
        """Goes on from the checkpoint of a folder; whether there is one. All processes must call it.

        Raises:
            TrainingError: if it cannot be read, belongs to another run, or the log cannot be written.
        """
        content = self.world.from_writer(lambda: read_checkpoint(folder, self.config, self._images))
        if content is None:
            return False
        self.progress = restore(content, self.model, self.optimiser, self.average)
        # The run may have been stopped between the two files.
        self.world.from_writer(lambda: write_log(folder, self.progress.log))
        if not self.world.is_writer:
            # The counts in it are those of all processes: one of them takes them on.
            counts = self.progress.counts
            self.progress = replace(self.progress, counts=counts.of_numbers([0.0] * len(counts.numbers())))
        return True

    @cached_property
    def _labels(self) -> Int[Tensor, " N"]:
        """The labels of all images: a source may make them each time that they are asked for."""
        return self.data.labels

    @cached_property
    def _images(self) -> dict[str, object]:
        """What tells these images from others, in a checkpoint; their labels too, if they are used."""
        images = marks_of(len(self.data), self.preprocessing)
        return images | label_marks(self.data) if self.objective.uses_labels else images

    def _totals(self) -> Counts:
        """The counts of the epoch so far, over all processes."""
        self._read_back()
        counts = self.progress.counts
        numbers = torch.tensor(counts.numbers(), dtype=torch.float64)
        return counts.of_numbers(self.world.sum(numbers).tolist())
