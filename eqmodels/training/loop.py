"""The training loop: from a config to a folder with a pretrained network."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from eqmodels.arguments import check_arguments
from eqmodels.data import Source
from eqmodels.processes.world import joined_world
from eqmodels.storage import CONFIG, PREVIOUS_CHECKPOINT, claimed_folder
from eqmodels.training.beginning import has_checkpoint, pinned, settled
from eqmodels.training.config import PretrainConfig
from eqmodels.training.errors import TrainingError, foreign_run
from eqmodels.training.images import differing_images, marks_of, preprocessing_of, training_images
from eqmodels.training.interrupt import Interrupt
from eqmodels.training.learner import without_scaffold
from eqmodels.training.log import check_tensorboard, tensorboard_rows
from eqmodels.training.pretraining import Pretraining
from eqmodels.training.run import Run, check_savable, load_run, save_run
from eqmodels.training.skipped import write_skipped
from eqmodels.training.snapshots import snapshot

__all__ = ["pretrain"]


def pretrain(
    config: PretrainConfig,
    folder: str | Path,
    *,
    root: str | Path | None = None,
    data: Source | None = None,
    reading: Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
    checkpoint_seconds: float = 60.0,
    tensorboard: bool = False,
    quiet: bool = False,
    report: Callable[[str], object] = lambda _: None,
) -> Run:
    """Runs a pretraining to its end, or goes on with one that was stopped.

    The folder gets ``checkpoint.pt`` (everything that is needed to go on) and, until the run is done, the one before,
    ``checkpoint.previous.pt``; ``log.csv`` (one row an epoch); ``skipped.csv``, if files were left out that cannot be
    read; and, at the end, ``model.safetensors`` and ``config.json``. Called again with the same config and folder, it
    goes on from the last checkpoint, to weights that are the same bit for bit on the same machine's CPU; or returns at
    once, if it was done. If the last checkpoint is damaged, a warning says so, and the run goes on from the one before.
    Images of one's own (`data`, ``"image_folder"`` or ``"array"``) are compared with those of the run; what is
    published under a name is not read for that.

    Started by ``torchrun`` on several processes, each computes its share of every batch, and the first one writes. If
    one is killed, all end, and the same command goes on.

    Args:
        config: what to do.
        folder: of the run.
        root: the folder of the data, see `load_data`.
        data: the training images, instead of those that the config names.
        reading: how the images that the config names are read, such as ``{"cache": folder}``, see `training_images`.
        device: where to compute; None for a GPU if there is one.
        checkpoint_seconds: time between checkpoints within an epoch; there is one after every epoch.
        tensorboard: whether to write TensorBoard files too.
        quiet: whether to leave the progress bar out.
        report: called with a sentence where a run goes on, or begins with the weights of another network.

    Raises:
        TypeError: if an argument is of another type.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        StorageError: if another process trains in the folder, or a file cannot be written; the last good checkpoint is
            intact.
        TrainingError: if the loss is no number, or a file belongs to another run; so is it then. Before the first step,
            if the run could not be saved when it is done.
        ValueError: if the config does not fit the data, or a name in it is unknown; nothing is written then.
        ModuleNotFoundError: if TensorBoard is asked for and not installed.
    """
    check_arguments(
        pretrain,
        {
            "config": config,
            "folder": folder,
            "root": root,
            "data": data,
            "reading": reading,
            "checkpoint_seconds": checkpoint_seconds,
            "tensorboard": tensorboard,
            "quiet": quiet,
            "report": report,
        },
    )
    folder = Path(folder)
    if tensorboard:
        check_tensorboard()
    with (
        joined_world(device) as world,
        world.together(error=TrainingError),
        torch.random.fork_rng(devices=[]),
        contextlib.ExitStack() as claim,
    ):
        begins_with = pinned(config, folder)
        config = world.each_after_first(lambda: settled(begins_with))
        finished = world.from_writer(lambda: _finished_run(config, folder, data, root, reading))
        if finished is not None:
            return finished
        world.from_writer(lambda: claim.enter_context(claimed_folder(folder)))
        images = world.each_after_first(lambda: training_images(config, root, reading)) if data is None else data
        run = Pretraining(config, images, world, begins=not has_checkpoint(folder))
        run.check_views()
        world.from_writer(lambda: check_savable(snapshot(run)))
        said = _gone_on(run, folder)
        if said and world.is_writer:
            report(said)
        world.from_writer(lambda: write_skipped(folder, images))
        _train(run, folder, checkpoint_seconds, tensorboard=tensorboard, quiet=quiet)
        run.keep_average()
        finished = snapshot(run)
        finished.sha256 = world.from_writer(lambda: save_run(folder, finished))
        without_scaffold(finished.model)  # as whoever loads it has it
        world.from_writer(lambda: _remove_previous(folder))
        return finished


def _gone_on(run: Pretraining, folder: Path) -> str:
    """Goes on from the checkpoint of a folder, or writes the first; says which, if there is something to say."""
    if not run.resume(folder):
        run.save(folder)
        return f"begins with {run.begun}" if run.begun else ""
    epoch, step = run.progress.epoch, run.progress.step
    is_trained = epoch == run.config.optimisation.epochs
    return "goes on after its last epoch" if is_trained else f"goes on from epoch {epoch + 1}, step {step + 1}"


def _remove_previous(folder: Path) -> None:
    """Of a run that is done no checkpoint is needed; the last one stays, for what it knows beside the weights."""
    with contextlib.suppress(OSError):
        (folder / PREVIOUS_CHECKPOINT).unlink()


def _finished_run(
    config: PretrainConfig,
    folder: Path,
    data: Source | None,
    root: str | Path | None,
    reading: Mapping[str, Any] | None,
) -> Run | None:
    """The run that a folder holds, if it is done.

    Raises:
        TrainingError: if it is of another config or on other images.
        StorageError: if it is damaged.
        ValueError, FileNotFoundError: if the images in the folder that was named cannot be read.
    """
    if not (folder / CONFIG).exists():
        return None
    run = load_run(folder)
    differences = run.config.differences(config)
    if data is None and root is not None and not differences:  # other images may be there
        data = training_images(config, root, reading)
    if data is not None:
        differences |= differing_images(run.image_marks(), marks_of(len(data), preprocessing_of(config, data)))
    if differences.keys() == {"epochs"} and config.optimisation.epochs > (done := run.config.optimisation.epochs):
        more = config.optimisation.epochs - done
        place = "" if root is None else f"--root {root} "
        raise TrainingError(
            f"{folder} holds a run that is done after epochs={done}, when its learning rate has fallen; nothing was "
            f"changed. Train its network for {more} more in another folder: eqmodels pretrain --extend {folder} "
            f"{place}--epochs {more}, or config.replaced(init={str(folder)!r}, epochs={more}) in Python."
        )
    if differences:
        raise foreign_run(folder, differences)
    return run


def _train(run: Pretraining, folder: Path, checkpoint_seconds: float, *, tensorboard: bool, quiet: bool) -> None:
    """All steps that are left, with a checkpoint now and then and after every epoch."""
    world, steps, epochs = run.world, run.steps_per_epoch, run.config.optimisation.epochs
    run.network.train()
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(
                total=epochs * steps,
                initial=run.progress.epoch * steps + run.progress.step,
                desc=run.config.model.name,
                unit="step",
                disable=quiet or not world.is_writer,
            )
        )
        rows = tensorboard_rows(folder, run.progress.epoch + 1) if tensorboard and world.is_writer else None
        add_row = stack.enter_context(rows) if rows else None
        interrupt = stack.enter_context(Interrupt())
        stack.callback(run.close)
        saved = time.monotonic()
        while run.progress.epoch < epochs:
            started = time.monotonic()
            run.step()
            now = time.monotonic()
            run.progress.seconds += now - started
            bar.update()
            done, stop, due = run.progress.step == steps, False, False
            if done or run.progress.step % run.read_every == 0:
                # All processes stop or save at the same step: whichever wants to, says so to all. That waits for the
                # device, as reading the losses does, and so happens when that does.
                wishes = torch.tensor([interrupt.requested, now - saved >= checkpoint_seconds], dtype=torch.int64)
                stop, due = map(bool, world.sum(wishes).tolist())
            if done:
                row = run.end_epoch()
                bar.set_postfix(loss=f"{row['loss']:.3f}")
                if add_row:
                    add_row(row)
            if done or stop or due:
                run.save(folder)
                saved = time.monotonic()
            if stop:
                raise KeyboardInterrupt
        if interrupt.requested:
            raise KeyboardInterrupt
