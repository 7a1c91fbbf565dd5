"""From a pretrained network and images with classes to a folder with a classifier of them."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones.card import encoder_card
from eqmodels.backbones.describe import describe_network, name_of
from eqmodels.backbones.loading import load_for_images
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.saving import save_network
from eqmodels.data import Source
from eqmodels.data.source import check_of_images, skipped_of
from eqmodels.finetuning.config import FinetuneConfig
from eqmodels.finetuning.page import page
from eqmodels.finetuning.pose import let_pose_learn, pooling_that_learns
from eqmodels.finetuning.probe import fitted_classifier
from eqmodels.finetuning.result import Finetuned, scored
from eqmodels.finetuning.splitting import Together, check_classes, image_digests, validation_split
from eqmodels.finetuning.tuning import CHECKPOINT, ROWS, Tuning, differing
from eqmodels.processes import World
from eqmodels.processes.statistics import shared_statistics
from eqmodels.processes.world import joined_world
from eqmodels.reports import percent
from eqmodels.storage import (
    CONFIG,
    LARGEST,
    StorageError,
    claimed_folder,
    pack_weights,
    read_regular,
    reason_of,
)
from eqmodels.training import TrainingError
from eqmodels.training.errors import foreign_run
from eqmodels.training.interrupt import Interrupt
from eqmodels.training.skipped import SKIPPED, write_skipped
from eqmodels.transforms import Preprocessing

__all__ = ["CARD", "PAGE", "RESULTS", "finetune"]

RESULTS, PAGE, CARD = "finetuning.json", "index.html", "README.md"
"""The names of the files beside config and weights."""


def finetune(
    network: StagedNetwork,
    train: Source,
    test: Source,
    folder: str | Path,
    config: FinetuneConfig | None = None,
    *,
    validation: Source | None = None,
    name: str | None = None,
    device: str | torch.device | None = None,
    checkpoint_seconds: float = 60.0,
    quiet: bool = True,
    report: Callable[[str], object] = lambda _: None,
) -> Finetuned:
    """Makes a classifier of a pretrained network, or goes on with a fine-tuning that was stopped.

    First a linear probe is fitted to the network's frozen features and becomes its classifier; then all layers learn,
    each stage more slowly than the one after it, until the score on validation images has not become better for
    `patience` epochs. The weights are those of the epoch with the highest accuracy on these (of equal ones with the
    lowest loss), the linear probe, epoch 0, among them. Test images are looked at once, at the end. A network whose
    features do not change when the image turns stays so: its classifier reads these features. Canonical ones become
    ``"canonical-soft"``, so that what predicts the pose learns too, unless `config.learn_pose` is False.

    The folder gets ``config.json`` and ``model.safetensors``, which `eqmodels.load` reads, with the names of the
    classes; ``finetuning.json``, ``index.html`` and a card; ``skipped.csv``, if files that cannot be read were left
    out. Until then it has ``finetuning.pt``, and the same call goes on from there, to weights that are the same bit for
    bit on the same machine's CPU; or returns at once, if it was done.

    Started by ``torchrun`` on several processes, each computes its share of all that is asked of the network, and the
    first one writes. Batch statistics are those of the whole batch, so that the weights are those of one process up to
    rounding, if there is no dropout (each process drops others). If one is killed, all end, and the same command goes
    on.

    Args:
        network: pretrained, with a preprocessing, see `eqmodels.load`; it is left as it is. It has the channels of the
            images, and the pooling whose features are to be classified.
        train: images with classes.
        test: images with the same classes, of which some may have none.
        folder: where the network goes.
        config: what to do; None for the defaults.
        validation: images with the same classes to choose the epoch on; None for a part of the training images, see
            `validation_split`. Where test images are among them, the notes of the result say so.
        name: of the network that it begins with; None for that of its architecture.
        device: where to compute; None for a GPU if there is one.
        checkpoint_seconds: time between checkpoints within an epoch; there is one after every epoch.
        quiet: whether to leave the progress bar out.
        report: called with a sentence on what is being done.

    Raises:
        TypeError: if an argument is of another type.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
        ValueError: if the network knows nothing of its images or takes other channels, images have no classes or one
            alone, or no class has two images; nothing is written then.
        StorageError: if another process trains in the folder, or a file cannot be read or written.
        TrainingError: if the folder is of another fine-tuning, or the loss is no number.
    """
    check_arguments(
        finetune,
        {"network": network, "train": train, "test": test, "validation": validation, "folder": folder}
        | {"config": config, "name": name}
        | {"checkpoint_seconds": checkpoint_seconds, "quiet": quiet, "report": report},
    )
    folder, config = Path(folder), config or FinetuneConfig()
    with (
        joined_world(device) as world,
        world.together(error=TrainingError),
        torch.random.fork_rng(devices=[]),
        contextlib.ExitStack() as claim,
    ):
        say = report if world.is_writer else _ignore
        world.from_each(lambda: _check(network, train, test, validation))
        say(f"reading {len(train):,} training images")
        digests = image_digests(train, world)
        chosen_on = {} if validation is None else _about(validation, test, world)
        marks = world.from_writer(lambda: _marks(network, train, test, digests, config, name) | chosen_on)
        if (found := world.from_writer(lambda: _finished(folder, marks))) is not None:
            return found
        if validation is None:
            images, split = train, world.from_writer(lambda: validation_split(train, config.validation, digests))
        else:
            images = Together(train, validation)
            split = images.split()
        del digests
        world.from_writer(lambda: claim.enter_context(claimed_folder(folder)))
        world.from_writer(lambda: write_skipped(folder, images, test))
        own = _prepared(network, train, world.device, learn_pose=config.learn_pose)
        with shared_statistics(own, world):
            tuning = _begun(Tuning(own, images, *split, config, marks, world), folder, say)
            _train(tuning, folder, checkpoint_seconds, quiet=quiet or not world.is_writer)
        own.load_state_dict(tuning.best)
        say(f"testing on {len(test):,} images, upright, turned and mirrored")
        return _saved(folder, tuning, test)


def _ignore(_sentence: str) -> None:
    """What processes that do not speak do with what they would say."""


def _begun(tuning: Tuning, folder: Path, report: Callable[[str], object]) -> Tuning:
    """The fine-tuning as the checkpoint of a folder has it, or with a linear probe of frozen features.

    Args:
        tuning: of a network on its device; a new one is returned if it begins.
        folder: where its checkpoint is, or becomes.
        report: called with a sentence on which it is.
    """
    if tuning.resume(folder):
        epoch, step = tuning.progress.epoch, tuning.progress.step
        place = "after its last epoch" if tuning.is_done else f"from epoch {epoch + 1}, step {step + 1}"
        report(f"goes on {place}")
        return tuning
    report("linear probe of frozen features")
    own, train, fit, world = tuning.network, tuning.images, tuning.fit, tuning.world
    classes = len(train.classes)
    own.reset_classifier(0)
    features = _features(own, train, fit, world)

    def probed() -> tuple[float, dict[str, Tensor]]:
        probe = fitted_classifier(own, features, train.labels[fit], classes)
        return probe.strength, {name: value.cpu() for name, value in own.fc.state_dict().items()}

    strength, classifier = world.from_writer(probed)
    if not world.is_writer:
        own.reset_classifier(classes)
        own.fc.load_state_dict(classifier)
    own.classes = train.classes
    begun = Tuning(own, train, fit, tuning.held_out, tuning.config, tuning.marks, world)
    begun.start(strength)
    begun.save(folder)
    return begun


def _about(validation: Source, test: Source, world: World) -> dict[str, Any]:
    """What tells images to choose on from others, and how many test images are among them, ready for JSON."""
    digests = image_digests(validation, world)
    known = set(digests)
    pixels = hashlib.sha256(b"".join(digests) + validation.labels.numpy().tobytes()).hexdigest()
    return {
        "validation_images": len(validation),
        "validation_pixels": pixels,
        "tested_on_validation": sum(one in known for one in image_digests(test, world)),
    }


def _check(network: StagedNetwork, train: Source, test: Source, validation: Source | None) -> None:
    """Raises a `ValueError` unless the network can be fine-tuned on such images."""
    if network.preprocessing is None:
        raise ValueError(
            "fine-tuning begins with a pretrained network, which says how its images are normalised; this one does "
            "not. Load one with eqmodels.load, or set network.preprocessing."
        )
    describe_network(network)  # what could not be saved is not trained
    held_out = {"test": test} | ({} if validation is None else {"validation": validation})
    for data in (train, *held_out.values()):
        check_of_images(data)
        if data.channels != network.in_chans:
            raise ValueError(
                f"the network takes images of {network.in_chans} channels; {data.name} has {data.channels}. Load it "
                f"with in_chans={data.channels} (--in-chans {data.channels}), or convert the images with to_grey or "
                "to_rgb of eqmodels.data (--grey)."
            )
    check_classes(train)
    for word, data in held_out.items():
        if tuple(data.classes) != tuple(train.classes):
            raise ValueError(
                f"{word} images must have the classes of the training images, {_few(train.classes)}; got "
                f"{_few(data.classes)}. Put both into one folder, with train and {word} in it."
            )
        if data.size != train.size:
            raise ValueError(
                f"{word} images must be as large as the training images, {train.size}; got {data.size}. Pass one size."
            )


def _few(classes: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, classes[:5]))
    return f"{shown} and {len(classes) - 5} more" if len(classes) > 5 else shown or "none"


def _marks(
    network: StagedNetwork,
    train: Source,
    test: Source,
    digests: list[bytes],
    config: FinetuneConfig,
    name: str | None,
) -> dict[str, Any]:
    """What tells a fine-tuning from others, ready for JSON."""
    weights = {k: value for k, value in network.state_dict().items() if not k.startswith("fc.")}
    pixels = hashlib.sha256(b"".join(digests) + train.labels.numpy().tobytes()).hexdigest()
    architecture = str(name_of(network))
    assert network.preprocessing is not None
    return {
        "from": name or architecture,
        "from_weights": hashlib.sha256(pack_weights(weights)).hexdigest(),
        "architecture": architecture,
        "features": pooling_that_learns(network) if config.learn_pose else network.global_pool.mode,
        "channels": network.in_chans,
        "train": train.name,
        "train_images": len(train),
        "train_pixels": pixels,
        "test": test.name,
        "test_images": len(test),
        "size": list(train.size),
        **config.to_dict(),
    }


def _finished(folder: Path, marks: dict[str, Any]) -> Finetuned | None:
    """The fine-tuning that a folder holds, if it is done.

    Raises:
        TrainingError: if it is another one.
        StorageError: if the folder holds another network, or a file is damaged.
    """
    if not (folder / CONFIG).exists():
        return None
    file = folder / RESULTS
    if not file.exists():
        raise StorageError(
            f"{folder} holds another network, and nothing of it is overwritten. Choose another folder (--folder)."
        )
    try:
        content = json.loads(read_regular(file, LARGEST))
        if differences := differing(content["marks"], marks):
            raise foreign_run(folder, differences)
        return Finetuned.from_dict(content, load_for_images(folder))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{file} cannot be read ({reason_of(error)}). Choose another folder (--folder).") from error


def _prepared(network: StagedNetwork, train: Source, device: torch.device, *, learn_pose: bool) -> StagedNetwork:
    """A copy with a classifier of the classes, whose pictures become what the training images are."""
    assert network.preprocessing is not None
    own = copy.deepcopy(network)
    preprocessing: Preprocessing = replace(network.preprocessing, size=train.size, resize="crop")
    own.preprocessing = preprocessing
    if learn_pose:
        let_pose_learn(own)
    own.reset_classifier(len(train.classes))
    own.classes = tuple(train.classes)
    return own.float().to(device)


@torch.no_grad()
def _features(network: StagedNetwork, images: Source, numbers: Int[Tensor, " N"], world: World) -> Float[Tensor, "N F"]:
    """Features of a network without a classifier in eval mode, on the CPU."""
    assert network.preprocessing is not None
    normalise, device = network.preprocessing.normalise, next(network.parameters()).device
    network.eval()

    def features(part: Tensor) -> Tensor:
        found: Tensor = network(normalise(images.pixels(part).to(device))).cpu()
        return found

    return torch.cat(world.spread(features, numbers.split(ROWS)))


def _train(tuning: Tuning, folder: Path, checkpoint_seconds: float, *, quiet: bool) -> None:
    """All steps that are left, with a checkpoint now and then and after every epoch."""
    progress, steps, world = tuning.progress, tuning.steps_per_epoch, tuning.world
    done = progress.epoch * steps + progress.step
    total = tuning.config.epochs * steps
    with (
        tqdm(total=total, initial=done, desc="all layers", unit="step", disable=quiet) as bar,
        Interrupt() as interrupt,
    ):
        saved, stop = time.monotonic(), False
        while not tuning.is_done and not stop:
            started = time.monotonic()
            tuning.step()
            now = time.monotonic()
            progress.seconds += now - started
            bar.update()
            if progress.step == 0:
                bar.set_postfix(validation=f"{percent(progress.log[-1]['accuracy'])}%")
            # All processes stop or save at the same step: whichever wants to, says so to all.
            wishes = torch.tensor([interrupt.requested, now - saved >= checkpoint_seconds], dtype=torch.int64)
            stop, due = map(bool, world.sum(wishes).tolist())
            if progress.step == 0 or stop or due:
                tuning.save(folder)
                saved = time.monotonic()
        if stop or interrupt.requested:
            raise KeyboardInterrupt


def _saved(folder: Path, tuning: Tuning, test: Source) -> Finetuned:
    """Tests the network; the first process writes everything, all files or none, and removes the checkpoint."""
    progress, network, world = tuning.progress, tuning.network.eval(), tuning.world
    test_scores = scored(network, test, world)
    network.cpu()
    result = Finetuned(
        network=network,
        marks=tuning.marks,
        images={"training": len(tuning.fit), "validation": len(tuning.held_out)},
        log=progress.log,
        best=progress.best,
        strength=progress.strength,
        test=test_scores,
        seconds=round(progress.seconds, 1),
        notes=_notes(tuning, test),
        sha256=hashlib.sha256(pack_weights(network.state_dict())).hexdigest(),
    )

    def write() -> None:
        texts = {RESULTS: json.dumps(result.to_dict(), indent=1) + "\n", PAGE: page(result, test)}
        save_network(network, folder, texts | {CARD: str(encoder_card(network))})
        (folder / CHECKPOINT).unlink(missing_ok=True)

    world.from_writer(write)
    return result


def _notes(tuning: Tuning, test: Source) -> tuple[str, ...]:
    """What is odd about the images, in sentences."""
    classes, labels = tuning.images.classes, tuning.images.labels

    def without(numbers: Tensor) -> tuple[str, ...]:
        counts = numbers.bincount(minlength=len(classes)).tolist()
        return tuple(name for name, count in zip(classes, counts, strict=True) if not count)

    trained, chosen_on = without(labels[tuning.fit]), without(labels[tuning.held_out])
    is_cut = "validation_images" not in tuning.marks
    reason = "its only image is trained on" if is_cut else "the epoch was chosen on the others"
    found = (
        ("training", trained, "it is never predicted"),
        ("validation", tuple(name for name in chosen_on if name not in trained), reason),
        ("test", without(test.labels), "nothing is known of how well such a class is found"),
    )
    notes = [f"Without a {part} image: {_few(names)}; {words}." for part, names, words in found if names]
    if shared := tuning.marks.get("tested_on_validation", 0):
        which = "All" if shared == len(test) else f"{shared:,} of the {len(test):,}"
        notes.append(
            f"{which} test images are validation images, on which the epoch was chosen: their accuracy is a little too "
            "high. Keep other images for the test, or choose on a part of the training images (--validation 0.2)."
        )
    if left_out := len(skipped_of(tuning.images)) + len(skipped_of(test)):
        words = "1 file that cannot be read" if left_out == 1 else f"{left_out:,} files that cannot be read"
        notes.append(f"Left out: {words}, see {SKIPPED}.")
    return tuple(notes)
