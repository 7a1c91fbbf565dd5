"""``eqmodels verify``: every check of a pretrained network."""

from __future__ import annotations

import argparse
import json

from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_network
from eqmodels.hub import verify

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Checks a pretrained network: config, size and sha256, safetensors header, names, shapes and values of the "
    "weights, the features of a fixed image, its results, and the equivariance of every layer. A dash stands before a "
    "check for which there is nothing. The exit status is 0 if all is well, and 1 if not."
)
EPILOG = """\
examples:
  eqmodels verify c4_resnet18s_w16.rot_fmnist_simclr
  eqmodels verify runs/my_run
  eqmodels verify hub:organisation/name@v1
"""

WORDS = {True: "ok", False: "FAILED", None: "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network and the options."""
    add_network(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Prints the checks; 0 if none failed, else 1.

    Raises:
        ValueError: if there is no such network.
    """
    result = verify(arguments.name)
    if arguments.json:
        say(json.dumps(result.to_dict(), indent=2))
        return int(not result.passed)
    for check in result.checks:
        say(f"{WORDS[check.passed]:<6} {check.name}: {check.found}")
    if result.equivariance is not None:
        say(f"\n{result.equivariance.text(rows=5)}")
    return int(not result.passed)
