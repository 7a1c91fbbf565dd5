"""Equivariant self-supervised pretraining: predict what was done to the image."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from eqmodels._shapes import Float, Int
from eqmodels.data import LabelledImages, load_data
from eqmodels.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from eqmodels.training.config import PretrainConfig
from eqmodels.training.distributed import World, joined_world
from eqmodels.training.errors import TrainingError
from eqmodels.training.files import prepare_folder
from eqmodels.training.interrupt import Interrupt
from eqmodels.training.log import write_log, write_tensorboard
from eqmodels.training.model import EsslModel, build_model, components, is_strict
from eqmodels.training.optimisation import create_optimiser, learning_rate_at
from eqmodels.training.randomness import Purpose, generator_for
from eqmodels.training.run import CONFIG, Preprocessing, Run, load_run, provenance, save_run
from eqmodels.transforms import create_augmentation

__all__ = ["Pretraining", "prepared_images", "pretrain", "training_images"]


def training_images(config: PretrainConfig, root: str | Path | None = None) -> LabelledImages:
    """The training images of a config.

    Raises:
        ValueError: if the data set is unknown or has fewer images than `limit`.
        FileNotFoundError: if its files are nowhere.
    """
    data = load_data(config.data, "train", root=root, size=config.size)
    if config.limit is not None and config.limit < len(data):
        data = data.balanced_subset(config.limit)
    return prepared_images(config, data)


def prepared_images(config: PretrainConfig, data: LabelledImages) -> LabelledImages:
    """Images of a data set with the colours and channels that a config asks for."""
    if config.coloured:
        data = data.coloured(seed=config.seed)
    return data.to_rgb() if config.to_rgb else data


class Pretraining:
    """One run: its data, its task, its network, and how far it has come.

    Args:
        config: what to do.
        data: the training images, see `training_images`.
        world: the processes that share the work.

    Raises:
        ValueError: if the head does not fit the task and the backbone, or a batch does not divide over the processes.
        TrainingError: if there are no images for a single step.
    """

    def __init__(self, config: PretrainConfig, data: LabelledImages, world: World = World()) -> None:  # noqa: B008
        self.config, self.data, self.world = config, data, world
        parts = world.size * config.accumulate
        self.batch_size = min(config.batch_size, len(data) // parts * parts)
        if self.batch_size == 0 or self.batch_size % parts:
            raise ValueError(
                f"batch_size must be a multiple of processes x accumulate = {parts}, with as many images; got "
                f"{config.batch_size} and {len(data)} images. Pass a multiple of {parts}."
            )
        torch.manual_seed(config.seed)
        model, self.task = build_model(config, data.channels)
        self.augmentation = create_augmentation(config.augment)
        self.strict = is_strict(config, self.task)
        self.preprocessing = Preprocessing.of(data)
        self.format = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model: EsslModel = model.to(world.device, memory_format=self.format)
        if world.size > 1 and world.device.type == "cuda":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        replica = world.replicate(self.model)
        self.network = torch.compile(replica) if config.compile else replica
        self.optimiser = create_optimiser(config, self.model.parameters())
        self.progress = Progress()

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the images; a last, smaller batch is left out."""
        return len(self.data) // self.batch_size

    def batch(self, epoch: int, step: int) -> tuple[Float[Tensor, "B C H W"], Int[Tensor, "..."]]:
        """The images of one step on this process, augmented, transformed and normalised, and their labels.

        Draws are those of the global batch, so that a run does not depend on the number of its processes.
        """
        seed, size = self.config.seed, self.batch_size
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
        return images, labels.to(self.world.device)

    def step(self) -> None:
        """One step of the optimiser.

        Raises:
            TrainingError: if the loss is no number.
        """
        config, progress = self.config, self.progress
        rate = learning_rate_at(config, progress.epoch * self.steps_per_epoch + progress.step, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images, labels = self.batch(progress.epoch, progress.step)
        parts = zip(images.chunk(config.accumulate), labels.chunk(config.accumulate), strict=True)
        self.optimiser.zero_grad(set_to_none=True)
        for number, (part_images, part_labels) in enumerate(parts, start=1):
            # Gradients cross processes with the last part only.
            last = number == config.accumulate
            silent = getattr(self.network, "no_sync", contextlib.nullcontext)
            with contextlib.nullcontext() if last else silent():
                loss = self._loss(part_images, part_labels)
                (loss / config.accumulate).backward()
        if not math.isfinite(progress.loss):
            raise TrainingError(
                f"the loss became {progress.loss} in epoch {progress.epoch + 1}, step {progress.step + 1}, at the "
                f"learning rate {rate:g}; the last checkpoint is from before. Lower learning_rate, set clip_norm=1 or "
                "use precision='float32'."
            )
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_norm)
        self.optimiser.step()
        progress.step += 1

    def _loss(self, images: Float[Tensor, "B C H W"], labels: Int[Tensor, "..."]) -> Tensor:
        """The sum of the tasks' cross-entropies in nats; counts it, and the labels that were predicted."""
        progress, bf16 = self.progress, self.config.precision == "bfloat16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            logits = self.network(images)
        # Labels are uniform, so log|A| - loss is a lower bound on I(A; Z), in nats.
        columns = labels.reshape(len(labels), -1).unbind(1)
        pairs = list(zip(logits, columns, strict=True))
        loss = torch.stack([cross_entropy(scores.float(), label) for scores, label in pairs]).sum()
        progress.loss += float(loss.detach()) * len(images)
        progress.seen += len(images)
        correct = [int((scores.argmax(1) == label).sum()) for scores, label in pairs]
        progress.correct = [a + b for a, b in zip(progress.correct or [0] * len(pairs), correct, strict=True)]
        return loss

    def end_epoch(self) -> None:
        """Turns the counts of an epoch into a row of the log, and begins the next."""
        progress, names = self.progress, [part.name for part in components(self.task)]
        loss, seen, *correct = self._totals()
        row = {"epoch": progress.epoch + 1, "loss": loss / seen, "learning_rate": self.optimiser.param_groups[0]["lr"]}
        row |= {f"accuracy_{name}": right / seen for name, right in zip(names, correct, strict=True)}
        row |= {"seconds": progress.seconds, "images_per_second": seen / max(progress.seconds, 1e-9)}
        self.progress = Progress(epoch=progress.epoch + 1, log=[*progress.log, row])

    def save(self, folder: Path) -> None:
        """Writes a checkpoint; all processes must call it.

        Raises:
            TrainingError: if the file cannot be written; the last checkpoint is then intact.
        """
        loss, seen, *correct = self._totals()
        if self.world.is_writer:
            whole = Progress(**vars(self.progress))
            whole.loss, whole.seen, whole.correct = loss, int(seen), [int(right) for right in correct]
            save_checkpoint(folder, self.config, whole, self.model, self.optimiser)
            write_log(folder, whole.log)
        self.world.barrier()

    def resume(self, folder: Path) -> bool:
        """Goes on from the checkpoint of a folder; whether there is one.

        Raises:
            TrainingError: if it cannot be read or belongs to another run.
        """
        progress = load_checkpoint(folder, self.config, self.model, self.optimiser)
        if progress is None:
            return False
        if not self.world.is_writer:
            # The counts in it are those of all processes: one of them takes them on.
            progress.loss, progress.seen, progress.correct = 0.0, 0, [0] * len(progress.correct)
        self.progress = progress
        return True

    def _totals(self) -> list[float]:
        """Loss, images and labels predicted of the epoch so far, over all processes."""
        progress = self.progress
        correct = progress.correct or [0] * len(components(self.task))
        counts = torch.tensor([progress.loss, progress.seen, *correct], dtype=torch.float64)
        totals: list[float] = self.world.sum(counts.to(self.world.device)).tolist()
        return totals


def pretrain(
    config: PretrainConfig,
    folder: str | Path,
    *,
    root: str | Path | None = None,
    data: LabelledImages | None = None,
    device: str | torch.device | None = None,
    checkpoint_seconds: float = 60.0,
    tensorboard: bool = False,
    quiet: bool = False,
) -> Run:
    """Runs a pretraining to its end, or goes on with one that was stopped.

    The folder gets ``checkpoint.pt`` (everything that is needed to go on), ``log.csv`` (one row an epoch) and, at the
    end, ``model.safetensors`` and ``config.json``. Called again with the same config and folder, it goes on from the
    last checkpoint, to weights that are the same bit for bit on the same machine; or returns at once, if it was done.

    Args:
        config: what to do.
        folder: of the run.
        root: the folder of the data, see `load_data`.
        data: the training images, instead of those that the config names.
        device: where to compute; None for a GPU if there is one.
        checkpoint_seconds: time between checkpoints within an epoch; there is one after every epoch.
        tensorboard: whether to write TensorBoard files too.
        quiet: whether to leave the progress bar out.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        TrainingError: if the loss is no number, a file cannot be written or belongs to another run; the last good
            checkpoint is intact.
        ValueError: if the config does not fit the data, or a name in it is unknown.
    """
    folder = Path(folder)
    with joined_world(device) as world, torch.random.fork_rng(devices=[]):
        if world.is_writer:
            prepare_folder(folder)
        images = training_images(config, root) if data is None else data
        run = Pretraining(config, images, world)
        resumed = run.resume(folder)
        if (folder / CONFIG).exists() and run.progress.epoch == config.epochs:
            return load_run(folder)
        if not resumed:
            run.save(folder)
        _train(run, folder, checkpoint_seconds, tensorboard=tensorboard, quiet=quiet)
        seconds = sum(row["seconds"] for row in run.progress.log)
        finished = Run(
            config,
            run.model.eval(),
            run.task,
            run.preprocessing,
            run.progress.log,
            provenance(images, seconds, world.size),
        )
        if world.is_writer:
            save_run(folder, finished)
        world.barrier()
        return finished


def _train(run: Pretraining, folder: Path, checkpoint_seconds: float, *, tensorboard: bool, quiet: bool) -> None:
    """All steps that are left, with a checkpoint now and then and after every epoch."""
    config, world = run.config, run.world
    run.network.train()
    bar = tqdm(
        total=config.epochs * run.steps_per_epoch,
        initial=run.progress.epoch * run.steps_per_epoch + run.progress.step,
        desc=config.model,
        unit="step",
        disable=quiet or not world.is_writer,
    )
    with bar, Interrupt() as interrupt:
        saved = time.monotonic()
        while run.progress.epoch < config.epochs:
            started = time.monotonic()
            run.step()
            run.progress.seconds += time.monotonic() - started
            bar.update()
            due = started - saved > checkpoint_seconds and world.is_writer
            # All processes stop or save at the same step: whichever wants to, says so to all.
            wants = world.sum(torch.tensor([int(interrupt.requested), int(due)], device=world.device)).tolist()
            done = run.progress.step == run.steps_per_epoch
            if done:
                run.end_epoch()
                row = run.progress.log[-1]
                bar.set_postfix(loss=f"{row['loss']:.3f}")
                if tensorboard and world.is_writer:
                    write_tensorboard(folder, row)
            if done or any(wants):
                run.save(folder)
                saved = time.monotonic()
            if wants[0]:
                raise KeyboardInterrupt
