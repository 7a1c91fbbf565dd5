"""``eqmodels report``: the equivariance report of one model."""

from __future__ import annotations

import argparse
import json

import torch

from eqmodels.backbones import create_model
from eqmodels.backbones.memory import within_memory
from eqmodels.cli.flags import pixels
from eqmodels.cli.terminal import say
from eqmodels.evaluation import equivariance_report, plot_equivariance

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Builds a model with random weights and measures, layer by layer, how far it is from being equivariant: 1e-15 is "
    "rounding, 1 is no relation at all."
)
EPILOG = "example: eqmodels report c4_resnet18s --size 28x40"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the model's name and the options."""
    parser.add_argument(
        "name", metavar="NAME", help="a model, such as c4_resnet18s or d4_resnet50s_w16; see eqmodels models"
    )
    parser.add_argument("--size", type=pixels, default=(32, 32), help="pixels of the images, 32 or 28x40 (default: 32)")
    parser.add_argument("--group", help="the group to test with (default: the model's; c4 for one without a group)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and of the images (default: 0)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of a table")
    parser.add_argument("--plot", metavar="FILE", help="also draw the curve over the angles into a picture file")


def run(arguments: argparse.Namespace) -> int:
    """Prints the report, and draws it if asked to.

    Raises:
        ValueError: if the model or the group is unknown.
        EqmodelsError: if the model does not fit into the memory.
        ModuleNotFoundError: if a picture is asked for and matplotlib is not installed.
    """
    torch.manual_seed(arguments.seed)
    with within_memory(arguments.name):
        model = create_model(arguments.name)
    group = arguments.group or (model.group if model.group.order > 1 else "c4")
    report = equivariance_report(model, size=arguments.size, group=group, seed=arguments.seed, name=arguments.name)
    say(json.dumps(report.to_dict(), indent=2) if arguments.json else report)
    if arguments.plot:
        plot_equivariance([report], arguments.plot)
    return 0
