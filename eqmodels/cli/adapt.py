"""``eqmodels adapt``: a pretrained network of others, made equivariant, in a folder like every other."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from eqmodels.adapt import original, symmetrise
from eqmodels.backbones import Backbone
from eqmodels.cli.flags import in_flags, pixels
from eqmodels.cli.terminal import say
from eqmodels.hub.card import NOTES
from eqmodels.storage import prepare_folder, write_atomically

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Makes a network of timm or torchvision exactly equivariant, as it is, and writes it into a folder that every "
    "other command takes: embed, evaluate, report, finetune, predict, export. By symmetrise it is asked about all "
    "turned and mirrored copies of a picture: exact, without any training, for as many passes as there are copies."
)
EPILOG = """\
examples:
  eqmodels adapt timm:resnet18 --group d4 --out adapted
  eqmodels adapt timm:resnet18 --weights resnet18.safetensors --group c4 --output regular --out adapted
  eqmodels adapt lite0 --out adapted
  eqmodels evaluate adapted --data openclipart_mini

In Python: eqmodels.adapt.symmetrise("timm:resnet18", "d4")
"""

METHODS = ("symmetrise",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the way and the folder."""
    parser.add_argument(
        "source", metavar="SOURCE", help="timm:NAME, torchvision:NAME, lite0, or a name that --import FILE registers"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where to")
    parser.add_argument("--group", default="d4", help="c1, c2, c4, d1, d2 or d4 (default: d4)")
    parser.add_argument("--method", choices=METHODS, default="symmetrise", help="how (default: symmetrise)")
    parser.add_argument(
        "--output",
        choices=("mean", "max", "regular"),
        default="mean",
        help="over the copies: mean and max are invariant, regular is all of it (default: mean)",
    )
    parser.add_argument(
        "--weights",
        default="pretrained",
        metavar="FILE",
        help="a safetensors file with the network's own names; or pretrained, as timm fetches them; or random "
        "(default: pretrained)",
    )
    parser.add_argument("--size", type=pixels, help="of what the network sees, 64 or 48x64 (default: as in training)")
    parser.add_argument("--in-chans", type=int, default=3, metavar="N", help="channels of the pictures (default: 3)")
    parser.add_argument("--at-a-time", type=int, metavar="N", help="copies in one batch, to save memory (default: all)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder; 0.

    Raises:
        ValueError: if there is no such network, or a group or a count breaks its rule.
        StorageError: if weights cannot be had or are not the network's, or the folder cannot be written.
        ModuleNotFoundError: if the package that has the network is not installed.
    """
    names = ("weights", "group", "output", "size", "in_chans", "at_a_time")
    options: dict[str, Any] = {name: getattr(arguments, name) for name in names[1:]}
    known = in_flags(names, lambda: original(arguments.source, arguments.weights, in_chans=arguments.in_chans))
    encoder: Backbone = in_flags(names, lambda: symmetrise(known.network, source=known.source, **options))
    encoder.license = known.license
    prepare_folder(arguments.out, option="--out")
    encoder.save_pretrained(arguments.out)
    write_atomically(arguments.out / NOTES, f"Made of {known.source}, whose weights are {known.weights}.\n")
    told = {
        "folder": str(arguments.out),
        "source": known.source,
        "weights": known.weights,
        "license": known.license,
        "group": encoder.group.name,
        "method": arguments.method,
        "features": encoder.num_features,
        "field": str(encoder.out_field),
    }
    if arguments.json:
        say(json.dumps(told, indent=2))
        return 0
    size = "any size" if encoder.preprocessing is None else "x".join(map(str, encoder.preprocessing.size)) + " pixels"
    say(
        f"{arguments.out}: {known.source} ({known.weights}), asked about {encoder.group.order} copies of a picture of "
        f"{size}, {encoder.num_features} features ({encoder.out_field})"
    )
    say(f"licence of the weights: {known.license or 'not known'}")
    say(f"Next: eqmodels embed {arguments.out} IMAGES --out FILE")
    return 0
