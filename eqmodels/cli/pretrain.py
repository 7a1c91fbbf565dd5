"""``eqmodels pretrain``: equivariant self-supervised pretraining."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

from eqmodels.data import list_data
from eqmodels.training import PretrainConfig, Run, pretrain
from eqmodels.training.config import CHOICES

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Pretrains an encoder without labels: images are turned (or flipped, cut into a puzzle, ...), and a head on the "
    "encoder's features predicts what was done. Writes a checkpoint, a log and, at the end, the weights into a folder. "
    "Ctrl-C stops after a checkpoint; the same command goes on from there."
)
EPILOG = """\
examples:
  eqmodels pretrain --model c4_resnet18s_w16 --epochs 5
  eqmodels pretrain --model resnet18s_w16 --head mlp --epochs 5
  eqmodels pretrain --model resnet18s_w16 --head mlp --epochs 5 --class-weight -9
  torchrun --nproc-per-node 2 -m eqmodels pretrain --model c4_resnet18s_w16 --norm layer
"""

HELP: dict[str, str] = {
    "model": "the backbone: <group>_<architecture>[_w<width>]; see eqmodels models",
    "norm": "normalisation of the backbone: batch or layer",
    "task": "what is predicted: rotation, horizontal_flip, vertical_flip, dihedral, grayscale, colour_inversion, "
    "jigsaw, blur, none, rotation8 (any number of angles up to 36), or several joined by +",
    "preset": "of jigsaw and blur: 'paper' as published, 'fixed' without its shortcuts",
    "head": "linear, mlp (the paper's), or equivariant (its predictions turn with the image, so that images need not "
    "be turned in training)",
    "head_hidden": "channels of the head's hidden layer",
    "head_dropout": "dropout in the hidden layer of mlp",
    "turn": "always: turn images even where an equivariant head makes it superfluous",
    "class_weight": "also train a head that predicts the class, which takes labels, and let so many times its gradient "
    "into the backbone: above 0 adds class information (0.5 in the paper), 0 only observes it, below 0 eliminates it "
    "(-9 in the paper; the head itself still learns); images are then always turned",
    "class_hidden": "channels of the class head's hidden layer; 0: a linear head",
    "augment": "augmentation before the task: none, crop_flip or simclr",
    "data": f"the images: {', '.join(list_data())}",
    "limit": "number of training images, equally many of every class",
    "coloured": "give grey images random colours that do not depend on the class",
    "to_rgb": "repeat a grey channel three times, for tasks about colour",
    "size": "with --data image_folder: side of the images in pixels",
    "epochs": "passes over the images",
    "batch_size": "images of one step, over all processes",
    "accumulate": "parts that a step's images are cut into, to save memory",
    "optimiser": "sgd (Nesterov, momentum 0.9) or adamw",
    "learning_rate": "the largest learning rate",
    "final_learning_rate": "the last one, of the cosine schedule",
    "schedule": "cosine, or multistep (times 0.2 after 30, 60 and 80%% of the steps)",
    "warmup_epochs": "epochs of linear growth of the learning rate, at most all of them",
    "weight_decay": "L2 penalty of sgd, decoupled decay of adamw",
    "clip_norm": "largest norm of the gradient",
    "precision": "bfloat16 (autocast) or float32",
    "channels_last": "memory format of images and filters",
    "compile": "run through torch.compile",
    "seed": "of weights, order, augmentation, labels and random colours",
}
"""What each value of the config is, for a newcomer."""

TYPES: dict[str, Any] = {"limit": int, "size": int, "clip_norm": float, "class_weight": float}
"""Of the values whose default is None."""

METAVARS: dict[type, str] = {int: "N", float: "X", str: "NAME"}
"""What stands for a value in the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds one option a value of the config, and what is not part of it."""
    for field in fields(PretrainConfig):
        option, default = f"--{field.name.replace('_', '-')}", field.default
        text = f"{HELP[field.name]} (default: {'none' if default is None else default})"
        if isinstance(default, bool):
            text = f"{HELP[field.name]} (default: {'yes' if default else 'no'})"
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=text)
        elif field.name in CHOICES:
            parser.add_argument(option, choices=CHOICES[field.name], help=text)
        else:
            kind = TYPES.get(field.name, type(default))
            parser.add_argument(option, type=kind, metavar=METAVARS[kind], help=text)
    parser.add_argument("--recipe", type=Path, metavar="FILE", help="take values from a recipe (JSON); options win")
    parser.add_argument("--folder", type=Path, help="of the run (default: one for every config, in runs/)")
    parser.add_argument("--root", help="the folder that has the data (default: see eqmodels evaluate --help)")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard files too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Trains to the end and says where the weights are.

    Raises:
        ValueError: if a value breaks its rule.
        TrainingError: if the training cannot go on.
    """
    config = config_of(arguments)
    folder = arguments.folder or Path("runs") / run_name(config)
    result = pretrain(
        config,
        folder,
        root=arguments.root,
        device=arguments.device,
        tensorboard=arguments.tensorboard,
        quiet=arguments.quiet or arguments.json,
    )
    if int(os.environ.get("RANK", "0")) == 0:
        print(
            json.dumps(summary(result, folder), indent=2)
            if arguments.json
            else _sentence(result, folder, arguments.root)
        )
    return 0


def config_of(arguments: argparse.Namespace) -> PretrainConfig:
    """The config of a command line: the recipe's values, then the options that were given.

    Raises:
        ValueError: if the recipe cannot be read, or a value breaks its rule.
    """
    values: dict[str, Any] = {}
    if arguments.recipe:
        try:
            values = json.loads(arguments.recipe.read_text("utf-8"))
        except OSError as error:
            raise ValueError(
                f"--recipe must name a file that can be read; {arguments.recipe} is none ({error.strerror or error}). "
                "Every pretrained network has a recipe.json to start from."
            ) from error
        except ValueError as error:
            raise ValueError(
                f"--recipe must be a JSON file; {arguments.recipe} is none ({error}). Name a recipe.json."
            ) from error
    names = [field.name for field in fields(PretrainConfig)]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if not isinstance(values, dict):
        raise ValueError(
            f"--recipe must hold an object of names and values; {arguments.recipe} holds {values!r}. "
            'Write, for instance, {"epochs": 5}.'
        )
    try:
        return PretrainConfig.from_dict(values | given)
    except TypeError as error:
        raise ValueError(str(error)) from error


def run_name(config: PretrainConfig) -> str:
    """A name for a run's folder: what is most telling, and a digest of the whole config."""
    digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode()).hexdigest()
    return f"{config.model}.{config.task}_{config.data}_{config.augment}_{config.head}_{digest[:8]}"


def summary(result: Run, folder: Path) -> dict[str, Any]:
    """What a run came to, ready for JSON."""
    return {
        "folder": str(folder),
        "sha256": result.sha256,
        "config": result.config.to_dict(),
        "last_epoch": result.log[-1],
        "provenance": result.provenance,
    }


def _sentence(result: Run, folder: Path, root: str | None) -> str:
    last = result.log[-1]
    accuracies = ", ".join(
        f"{name.removeprefix('accuracy_')} {100 * value:.1f}%"
        for name, value in last.items()
        if name.startswith("accuracy_")
    )
    command = ["eqmodels", "evaluate", str(folder), *(["--root", root] if root else [])]
    return (
        f"{result.config.model}: loss {last['loss']:.3f}, {accuracies} on the augmented training images after "
        f"{last['epoch']:.0f} epochs ({result.provenance['seconds']:.0f} s).\nWeights: {folder}\n"
        f"Next: {shlex.join(command)}"
    )
