"""``eqmodels finetune``: a classifier of one's own images out of a pretrained encoder."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from eqmodels.backbones import Backbone
from eqmodels.cli.chosen_data import add_data_flags, flags_given, loaded
from eqmodels.cli.flags import add_flag, in_flags
from eqmodels.cli.images import own_size
from eqmodels.cli.terminal import FROM_CHECKPOINT, has_watchers, say
from eqmodels.cli.with_network import add_network, teller
from eqmodels.data import READING, SOURCES, Source, list_data, to_grey
from eqmodels.data.registry import has_validation
from eqmodels.data.table_file import is_table
from eqmodels.finetuning import FinetuneConfig, Finetuned, finetune
from eqmodels.finetuning.finetuning import PAGE
from eqmodels.hub.loading import load_for_images as load
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.options import options_of
from eqmodels.processes.world import joined_world
from eqmodels.reports import Table, percent

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Makes a classifier of your own images out of a pretrained network: a linear probe of its frozen features first, "
    "then all layers, those near the image more slowly, until validation images are not told apart any better: those "
    "of a split val, or else some that are held out from the training images. Test images are looked at once, at the "
    "end, upright, turned and mirrored. Writes a folder that eqmodels.load and eqmodels predict read, with a page of "
    "what is taken for what. Ctrl-C stops after a checkpoint; the same command goes on from there."
)
EPILOG = """\
The images: a folder with one folder a class, which may lie in train, val and test, or a table with a column of the
class (--label-column) and maybe one of the split; else a fifth of them is for testing. With --validation X the epoch is
chosen on this part of the training images, also where there is val.

examples:
  eqmodels finetune c4_resnet18_w32.distil_lite0 my_images
  eqmodels finetune runs/mine my_images --folder runs/my_classifier --epochs 50
  eqmodels finetune c4_resnet18s_w16.rot_fmnist_simclr --data fashion_mnist_mini --epochs 0
  torchrun --nproc-per-node 2 -m eqmodels finetune runs/mine my_images --folder runs/my_classifier
  eqmodels predict runs/my_classifier more_images --out predictions.csv

In Python: eqmodels.finetuning.finetune(eqmodels.load(NAME, num_classes=0), train, test, folder)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the images and the options."""
    add_network(parser)
    parser.add_argument(
        "images", nargs="?", metavar="IMAGES", help="a folder with one folder of images a class, or a table"
    )
    parser.add_argument("--data", metavar="NAME", help=f"other images than of a folder: {', '.join(list_data())}")
    parser.add_argument("--root", metavar="FOLDER", help="the folder that has the data")
    parser.add_argument("--folder", type=Path, help="where the network goes (default: one for every choice, in runs/)")
    parser.add_argument(
        "--features",
        metavar="KIND",
        choices=get_args(GlobalPoolMode),
        help=f"that are classified, one of {', '.join(get_args(GlobalPoolMode))} (default: what was saved, of the zoo "
        "canonical, which --learn-pose makes soft); only with invariant and canonical ones a turned image is sure to "
        "be of the same class",
    )
    parser.add_argument("--grey", action="store_true", help="give a network of one channel images without colours")
    group = parser.add_argument_group("the training")
    for name, option in options_of(FinetuneConfig).items():
        add_flag(group, name, option)
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, and no word on what is being done")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(goes_on=FROM_CHECKPOINT)
    add_data_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fine-tunes to the end, and says what it came to; 0.

    Raises:
        ValueError: if there is no such network, images cannot be read, have no classes or do not suit it, or a value
            breaks its rule.
        StorageError: if the network cannot be had or a file not be written.
        TrainingError: if the training cannot go on.
    """
    names = tuple(options_of(FinetuneConfig))
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    config: FinetuneConfig = in_flags(names, lambda: FinetuneConfig(**given))
    with joined_world(arguments.device) as world, world.together():
        network, train, test, validation = world.each_after_first(lambda: _network_and_images(arguments))
        folder = arguments.folder or Path("runs") / _folder_name(arguments, network, train, validation, config)

        result: Finetuned = in_flags(
            names,
            lambda: finetune(
                network,
                train,
                test,
                folder,
                config,
                validation=validation,
                name=arguments.name,
                device=arguments.device,
                quiet=arguments.quiet or not has_watchers(),
                report=teller(arguments),
            ),
        )
    content = {"folder": str(folder), "page": str(folder / PAGE), **result.to_dict()}
    say(json.dumps(content, indent=2) if arguments.json else _text(result, folder))
    return 0


def _network_and_images(arguments: argparse.Namespace) -> tuple[Backbone, Source, Source, Source | None]:
    """The network, with as many channels as the images have, and training, test and maybe validation images.

    Raises:
        ValueError: if there is no such network, or images cannot be read; see also `_images`.
        StorageError: if the network cannot be had.
    """
    network = load(arguments.name, num_classes=0, global_pool=arguments.features)
    train, test, validation = _images(arguments, network)
    if train.channels != network.in_chans:
        told = (
            f"{train.channels} channels, and {arguments.name} takes {network.in_chans}: its first filters are adapted"
        )
        grey = "; with --grey the colours are left out instead" if (network.in_chans, train.channels) == (1, 3) else ""
        say(f"{train.name} has {told}{grey}", file=sys.stderr)
        network = load(arguments.name, num_classes=0, global_pool=arguments.features, in_chans=train.channels)
    return network, train, test, validation


def _images(arguments: argparse.Namespace, network: Backbone) -> tuple[Source, Source, Source | None]:
    """Training and test images, as they are asked for, and those to choose on if there are such.

    Raises:
        ValueError: if it is not said which, or twice; see also `loaded`.
    """
    if (arguments.images is None) == (arguments.data is None):
        got = "neither" if arguments.images is None else "both"
        raise ValueError(f"finetune needs a folder of IMAGES or --data NAME; got {got}. Name the images once.")
    name, root, options = arguments.data, arguments.root, flags_given(arguments)
    if arguments.images is not None:
        if root is not None:
            raise ValueError(f"--root goes with --data NAME; got the folder {arguments.images} too. Leave out --root.")
        name, root = "table" if is_table(Path(arguments.images)) else "image_folder", arguments.images
    if arguments.images is not None or name == "image_folder":
        options = {**own_size(network.preprocessing, name), **options}
    if network.in_chans not in (1, 3) and name in SOURCES:  # pictures become grey or RGB, and others what is in them
        known = options_of(SOURCES.find(name), without=READING)
        options = {"channels": network.in_chans, **options} if "channels" in known else options
    train, test = (loaded(name, split, options, root=root) for split in ("train", "test"))
    validation = None
    if arguments.validation is None and has_validation(name):
        with suppress(FileNotFoundError):  # there are none
            validation = loaded(name, "validation", options, root=root)
    if arguments.grey:
        train, test = to_grey(train), to_grey(test)
        validation = None if validation is None else to_grey(validation)
    return train, test, validation


def _folder_name(
    arguments: argparse.Namespace,
    network: Backbone,
    train: Source,
    validation: Source | None,
    config: FinetuneConfig,
) -> str:
    """A name for the folder: what is most telling, and a digest of all that was asked for."""
    asked: dict[str, Any] = {
        "name": arguments.name,
        "images": arguments.images,
        "data": [arguments.data, arguments.root, flags_given(arguments)],
        "features": network.global_pool.mode,
        "grey": arguments.grey,
        "config": config.to_dict(),
    } | ({} if validation is None else {"validation": validation.name})
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    words = (Path(arguments.name).name.partition("@")[0], train.name.rpartition(":")[2])
    network_name, data = (re.sub(r"[^\w.-]+", "_", word) for word in words)
    return f"{network_name}.finetuned_{data}_{digest[:8]}"


def _text(result: Finetuned, folder: Path) -> str:
    """The result in words, with one table."""
    test, best = result.test, result.log[result.best]
    stopped = "the linear probe, which no epoch surpassed" if result.best == 0 else f"epoch {result.best}"
    rows = [
        [words, percent(one.mean), f"{percent(one.low)} to {percent(one.high)}"]
        for words, one in (("upright", test.upright), ("turned", test.turned), ("mirrored", test.mirrored))
    ]
    is_cut = "validation_images" not in result.marks
    chosen_on = "of the training images, which were held out" if is_cut else "validation images"
    notes = "".join(f"\n{note}" for note in result.notes)
    command = shlex.join(["eqmodels", "predict", str(folder), "IMAGES", "--out", "predictions.csv"])
    return (
        f"{result.marks['from']}, fine-tuned on {result.images['training']:,} images of {len(result.classes)} classes. "
        f"On {result.images['validation']:,} {chosen_on}: linear probe {percent(result.log[0]['accuracy'])}%, "
        f"kept {stopped}, {percent(best['accuracy'])}% (of {len(result.log) - 1}, {result.seconds:.0f} s).\n\n"
        f"{Table([f'{test.images:,} test images', 'accuracy, %', '95% interval'], rows).text()}\n\n"
        f"Taken for the same class however they are turned by quarters: {percent(test.same_turned)}% of them; also "
        f"when they are mirrored: {percent(test.same_mirrored)}%.{notes}\n"
        f"Network: {folder}\nPage: {folder / PAGE}\nNext: {command}"
    )
