"""``eqmodels export``: a network in a file for other programs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

from eqmodels.cli.flags import in_flags, pixels
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_network
from eqmodels.export import Parity, export_network
from eqmodels.export.files import ENDINGS, ExportFormat
from eqmodels.hub import load
from eqmodels.layers.pool import GlobalPoolMode

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Writes a network into one file that other programs run without this package, and compares what the file computes "
    "with the network, on upright and on turned images: a file that computes something else is not written. How images "
    "become its input, its group and its classes stand in the file's metadata."
)
EPILOG = """\
examples:
  eqmodels export NAME --out network.onnx
  eqmodels export runs/mine --out network.onnx --size any
  eqmodels export NAME --out network.pt2 --features invariant
  eqmodels export NAME --out network.pt        (stock modules of PyTorch, pickled: for yourself)

In Python: eqmodels.export.export_network(eqmodels.load(NAME), file); to_plain and to_onnx beside it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the file and the options."""
    add_network(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=f"where to: {', '.join(ENDINGS)}, ...")
    formats = get_args(ExportFormat)
    parser.add_argument(
        "--format", choices=formats, metavar="KIND", help=f"one of {', '.join(formats)} (default: by FILE's ending)"
    )
    parser.add_argument("--size", type=_size, help="of the images, 64, 48x64 or any (default: as in training)")
    parser.add_argument("--in-chans", type=int, metavar="N", help="channels, if they are not those of the training")
    parser.add_argument(
        "--features",
        metavar="KIND",
        choices=get_args(GlobalPoolMode),
        help=f"one of {', '.join(get_args(GlobalPoolMode))}, instead of classes (default: what was saved)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _size(text: str) -> tuple[int, int] | Literal["any"]:
    """Pixels, or any."""
    return "any" if text == "any" else pixels(text)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file, and prints how far it is from the network; 0.

    Raises:
        ValueError: if there is no such network, or format and size do not fit.
        EqmodelsError: if the file would compute something else, or cannot be written.
        ModuleNotFoundError: if the packages that ONNX needs are not installed.
    """
    num_classes = None if arguments.features is None else 0
    model = load(arguments.name, num_classes=num_classes, in_chans=arguments.in_chans, global_pool=arguments.features)
    options = {"format": arguments.format, "size": arguments.size}
    classes = list(model.classes)
    result: Parity = in_flags(options, lambda: export_network(model, arguments.out, classes=classes, **options))
    if arguments.json:
        say(json.dumps(asdict(result), indent=2))
        return 0
    size, width = result.metadata["size"], model.num_classes or model.head_hidden_size
    images = "any size" if size == "any" else "x".join(map(str, size)) + " pixels"
    kind = "classes" if model.num_classes else "features"
    say(f"{result.file}: {result.format}, images of {model.in_chans} channels and {images}, {width} {kind}")
    turned = "" if result.turned is None else f", {result.turned:.1e} on turned ones"
    say(
        f"largest difference from the network: {result.upright:.1e} on upright images{turned} (outputs up to "
        f"{result.scale:.3g})"
    )
    return 0
