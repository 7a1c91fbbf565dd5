"""``eqmodels evaluate``: what a pretrained encoder knows."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from eqmodels.cli.table import percent, table
from eqmodels.data import LabelledImages, Split, list_data, load_data
from eqmodels.evaluation import EncoderEvaluation, evaluate
from eqmodels.evaluation.encoder import CURVE_IMAGES, FRACTIONS
from eqmodels.hub import load_pretrained
from eqmodels.training import Run, prepare_folder, prepared_images, usable_device, write_atomically

__all__ = ["DESCRIPTION", "EPILOG", "SUMMARY", "add_arguments", "run"]

SUMMARY = "measure a pretrained encoder: probes of its features on upright and on turned images"
DESCRIPTION = (
    "Trains linear probes on frozen features of upright training images and measures them on held-out images, upright "
    "and turned, for every way to pool the features; and how well the head predicts its task."
)
SPLITS: tuple[Split, Split] = ("train", "test")
EPILOG = """\
Data is looked for in --root, in the folder named by the variable EQMODELS_DATA, in torchvision's folder and in Debian's
(/usr/share/datasets); else torchvision downloads it. fashion_mnist_mini is part of the package.

examples:
  eqmodels evaluate c4_resnet18_w16.rot_fmnist_simclr --data fashion_mnist_mini
  eqmodels evaluate runs/my_run --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network and the options."""
    parser.add_argument("name", metavar="NAME", help="the folder of a run, a checkpoint in it, or a name of the zoo")
    parser.add_argument("--data", help=f"{', '.join(list_data())} (default: what it was trained on)")
    parser.add_argument("--root", help="the folder that has the data")
    parser.add_argument("--size", type=int, help="with --data image_folder: side of the images in pixels")
    parser.add_argument("--device", default="cpu", help="where to compute (default: cpu)")
    parser.add_argument("--limit", type=int, help="number of training images of the probes, a balanced subset")
    parser.add_argument(
        "--quick", action="store_true", help="linear probes only: no neighbours, subsets of labels and angles"
    )
    parser.add_argument("--seed", type=int, default=0, help="of validation splits and subsets (default: 0)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write everything as JSON into a file")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Prints what was measured.

    Raises:
        ValueError: if there is no such network or data set, or they do not fit.
        TrainingError: if the network's files are damaged, or the result cannot be written.
    """
    network = load_pretrained(arguments.name)
    name = arguments.data or network.config.data
    if arguments.output:
        prepare_folder(arguments.output.parent)
    network.model.to(usable_device(arguments.device))
    size = arguments.size or network.config.size
    train, test = (load_data(name, split, root=arguments.root, size=size) for split in SPLITS)
    if arguments.limit is not None:
        train = train.balanced_subset(min(arguments.limit, len(train)))
    quick: bool = arguments.quick
    result = evaluate(
        network,
        _with_channels(network, train, "train"),
        _with_channels(network, test, "test"),
        seed=arguments.seed,
        report=_announce if sys.stderr.isatty() else lambda _: None,
        knn=not quick,
        fractions=() if quick else FRACTIONS,
        curve_images=0 if quick else CURVE_IMAGES,
    )
    print(json.dumps(result.to_dict(), indent=2) if arguments.json else evaluation_text(result), flush=True)
    if arguments.output:
        write_atomically(arguments.output, json.dumps(result.to_dict(), indent=2) + "\n")
    return 0


def _with_channels(network: Run, data: LabelledImages, split: Split) -> LabelledImages:
    """Images with the channels that the network takes: coloured as in its training, else grey or repeated."""
    channels = network.model.backbone.in_chans
    if data.channels == 1:
        data = prepared_images(network.config, data, split)
    if data.channels != channels:
        print(f"{data.name}: {data.channels} channels made {channels}, as the network takes", file=sys.stderr)
        data = data.to_grey() if channels == 1 else data.to_rgb()
    return data


def evaluation_text(result: EncoderEvaluation) -> str:
    """The result as tables."""
    rows = [
        [
            scores.features,
            str(scores.width),
            percent(scores.accuracy),
            percent(scores.turned),
            percent(scores.angle_mean),
            percent(scores.angle_worst),
            percent(scores.knn),
            *(percent(scores.labels[part].mean if part in scores.labels else None) for part in ("0.01", "0.1")),
            f"{scores.effective_rank:.1f}",
        ]
        for scores in result.features
    ]
    header = ["features", "width", "upright", "turned", "angles", "worst", "kNN", "1% labels", "10%", "rank"]
    tasks = [
        [
            scores.task,
            str(scores.num_labels),
            percent(scores.accuracy),
            percent(scores.augmented_accuracy),
            percent(scores.training_accuracy),
            f"{scores.loss:.3f}",
        ]
        for scores in result.tasks
    ]
    task_header = ["task", "labels", "held-out", "augmented", "training", "loss (nats)"]
    worst = max(result.equivariance_error.values())
    return (
        f"{result.model}: {result.parameters:,} parameters, and {result.head_parameters:,} of the head. Probes were "
        f"trained on {result.train[1]:,} images of {result.train[0]}; accuracies in % on {result.test[1]:,} held-out "
        f"ones.\n\n{table(header, rows)}\n\nturned: by 90, 180 and 270 degrees; angles, worst: every 15 degrees, seen "
        f"through a circle; rank: effective rank.\n\n{table(task_header, tasks)}\n\nWhen the image moves by an element "
        f"of {result.group}, regular features differ from the moved features (without a group: from what they were) by "
        f"at most {worst:.1e} of their length."
    )


def _announce(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr)
