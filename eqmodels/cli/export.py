"""``eqmodels export``: a network in a file for other programs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from eqmodels.backbones import Backbone
from eqmodels.cli.flags import in_flags, pixels
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_network, files_of
from eqmodels.data.pictures import BadFile
from eqmodels.evaluation.reading import ReadPicture, read_batches, refuse_bad
from eqmodels.export import Parity, export_int8, export_network, stage_maps
from eqmodels.export.files import ENDINGS, ExportFormat
from eqmodels.export.int8 import Int8Kind
from eqmodels.export.onnx import OPSET
from eqmodels.hub.loading import load_for_images as load
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.reports import percent

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

CALIBRATING = 256
"""Images that ranges are taken from, and that a file of 8 bits is measured on."""

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
  eqmodels export NAME --out maps.onnx --stages layer2 layer3 layer4
  eqmodels export NAME --out small.onnx --int8 static --images my_images
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
    parser.add_argument(
        *("--in-chans", "--channels"), type=int, metavar="N", help="channels, if they are not those of the training"
    )
    parser.add_argument(
        "--features",
        metavar="KIND",
        choices=get_args(GlobalPoolMode),
        help=f"one of {', '.join(get_args(GlobalPoolMode))}, instead of classes (default: what was saved)",
    )
    parser.add_argument(
        "--stages",
        nargs="+",
        metavar="STAGE",
        help="their maps instead, by name, such as layer2 layer4",
    )
    parser.add_argument("--opset", type=int, metavar="N", help=f"of ONNX operators (default: {OPSET})")
    parser.add_argument(
        "--int8",
        choices=get_args(Int8Kind),
        metavar="KIND",
        help="convolutions of 8 bits in an ONNX file: static, with ranges taken from --images, or dynamic, slower and "
        "closer; prints how often file and network agree on these, and the file's equivariance error",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        metavar="PATH",
        help=f"of --int8: files or folders; {CALIBRATING} of them",
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
    if (arguments.int8 is None) != (arguments.images is None):
        given, missing = ("--int8", "--images") if arguments.int8 else ("--images", "--int8")
        raise ValueError(f"{given} needs {missing}; got none. Name the images, such as --int8 static --images FOLDER.")
    if arguments.stages and (arguments.int8 or arguments.features):
        other = "--int8" if arguments.int8 else "--features"
        raise ValueError(f"--stages is for maps as they are; got {other} too. Leave one of them out.")
    num_classes = None if arguments.features is None else 0
    model = load(arguments.name, num_classes=num_classes, in_chans=arguments.in_chans, global_pool=arguments.features)
    if arguments.int8:
        return _write_int8(arguments, model)
    options = {"format": arguments.format, "size": arguments.size, "opset": arguments.opset}
    network, classes, stages = model, list(model.classes), {"stages": arguments.stages}
    if arguments.stages:
        network, classes = in_flags(stages, lambda: stage_maps(model, **stages)), []
    result: Parity = in_flags(options, lambda: export_network(network, arguments.out, classes=classes, **options))
    if arguments.json:
        say(json.dumps(asdict(result), indent=2))
        return 0
    size, width = result.metadata["size"], model.num_classes or model.head_hidden_size
    images = "any size" if size == "any" else "x".join(map(str, size)) + " pixels"
    kind = f"{width} classes" if model.num_classes else f"{width} features"
    kind = f"maps of {', '.join(arguments.stages)}" if arguments.stages else kind
    say(f"{result.file}: {result.format}, images of {model.in_chans} channels and {images}, {kind}")
    turned = "" if result.turned is None else f", {result.turned:.1e} on turned ones"
    say(
        f"largest difference from the network: {result.upright:.1e} on upright images{turned} (outputs up to "
        f"{result.scale:.3g})"
    )
    return 0


def _write_int8(arguments: argparse.Namespace, model: Backbone) -> int:
    """Writes the file of 8 bits, and prints how it compares with the network; 0."""
    if arguments.format not in (None, "onnx") or arguments.out.suffix != ".onnx" or arguments.size == "any":
        raise ValueError(
            "--int8 is for ONNX files of one size; got another --out, --format or --size. Pass --out FILE.onnx."
        )
    images, labels = _calibration(arguments, model)
    options: dict[str, Any] = {"kind": arguments.int8, "labels": labels, "classes": list(model.classes)}
    options |= {} if arguments.opset is None else {"opset": arguments.opset}
    report = in_flags({"opset": arguments.opset}, lambda: export_int8(model, arguments.out, images, **options))
    if arguments.json:
        say(json.dumps(asdict(report), indent=2))
        return 0
    agree = "say the same class" if model.num_classes else "agree (mean cosine)"
    say(
        f"{report.file}: {report.kind} 8 bits, {report.images} images: file and network {agree}: {report.agreement:.4f}"
    )
    if report.accuracy is not None:
        say(f"accuracy: {percent(report.accuracy[0])} of the network, {percent(report.accuracy[1])} of the file")
    if report.equivariance is not None:
        say(f"equivariance error of the file: {report.equivariance:.1e}")
    return 0


def _calibration(arguments: argparse.Namespace, model: Backbone) -> tuple[Tensor, Tensor | None]:
    """Some of the images, as the network takes them, and their classes if their folders have the names of these."""
    paths = files_of(arguments.images)
    if len(paths) > CALIBRATING:
        paths = [paths[number * len(paths) // CALIBRATING] for number in range(CALIBRATING)]
    batches = read_batches(model, paths, size=arguments.size, batch_size=64, grey=False)
    read = [one for batch in batches for one in batch]
    refuse_bad([one for one in read if isinstance(one, BadFile)], len(paths), skip_bad=False)
    pictures, names = [one for one in read if isinstance(one, ReadPicture)], list(model.classes)
    places = [one.path.parent.name for one in pictures]
    known = bool(names) and all(place in names for place in places)
    labels = torch.tensor([names.index(place) for place in places]) if known else None
    return torch.stack([one.image for one in pictures]), labels
