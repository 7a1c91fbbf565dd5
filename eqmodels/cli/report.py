"""``eqmodels report``: the equivariance report of one network, random or pretrained."""

from __future__ import annotations

import argparse
import json
import os

import torch

from eqmodels.backbones import Backbone, create_model
from eqmodels.backbones.memory import within_memory
from eqmodels.cli.flags import pixels
from eqmodels.cli.terminal import say
from eqmodels.evaluation import equivariance_report, plot_equivariance
from eqmodels.hub import load
from eqmodels.remote import is_pretrained
from eqmodels.remote.locating import HUB

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Measures, layer by layer, how far a network is from being equivariant: 1e-15 is rounding, 1 is no relation at "
    "all. The network is a pretrained one, of the zoo, of a run or of another folder, or of the Hub; or a model of "
    "this name with random weights."
)
EPILOG = """\
examples:
  eqmodels report c4_resnet18s --size 28x40
  eqmodels report runs/mine
  eqmodels report hub:organisation/name --plot curve.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the model's name and the options."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a name of the zoo, a folder, hub:organisation/name[@revision], or a model (eqmodels models)",
    )
    parser.add_argument(
        "--size", type=pixels, help="pixels of the images, 32 or 28x40 (default: as in training, 32 of a model)"
    )
    parser.add_argument("--group", help="the group to test with (default: the model's; c4 for one without a group)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the images (default: 0)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of a table")
    parser.add_argument("--plot", metavar="FILE", help="also draw the curve over the angles into a picture file")


def run(arguments: argparse.Namespace) -> int:
    """Prints the report, and draws it if asked to.

    Raises:
        ValueError: if the network or the group is unknown.
        EqmodelsError: if the model does not fit into the memory, or a network's files cannot be had.
        ModuleNotFoundError: if a picture is asked for and matplotlib is not installed.
    """
    model = _network(arguments.name, arguments.seed)
    size = arguments.size or (model.preprocessing.size if model.preprocessing else (32, 32))
    group = arguments.group or (model.group if model.group.order > 1 else "c4")
    report = equivariance_report(model, size=size, group=group, seed=arguments.seed, name=arguments.name)
    say(json.dumps(report.to_dict(), indent=2) if arguments.json else report)
    if arguments.plot:
        plot_equivariance([report], arguments.plot)
    return 0


def _network(name: str, seed: int) -> Backbone:
    """The pretrained network of this name or in this folder, else the model with random weights.

    Raises:
        ValueError: if there is neither.
        EqmodelsError: if it does not fit into the memory, or its files cannot be had.
    """
    if is_pretrained(name) or name.startswith(HUB) or os.path.isdir(name):
        return load(name)
    torch.manual_seed(seed)
    with within_memory(name):
        return create_model(name)
