"""``eqmodels embed``: features of pictures, into one file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_network, add_options, files_of, loaded, progress, reading, say_skipped
from eqmodels.evaluation.embedding import ENDINGS, check_ending, embed

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Writes the features of pictures into one file: of a folder, all in it and in the folders inside, or of files that "
    "are named. A picture that was turned by quarters or mirrored has the same features, as far as the network's are "
    "invariant."
)
EPILOG = """\
examples:
  eqmodels embed c4_resnet18s_w16.rot_fmnist_simclr my_images --in-chans 3 --out features.npz
  eqmodels embed runs/mine my_images --features regular --out features.safetensors
  eqmodels embed hub:organisation/name a.png b.png --out features.parquet

In Python: eqmodels.evaluation.embed(eqmodels.load(NAME), paths)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    add_network(parser)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="a folder of images, or images")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=f"where to: {', '.join(ENDINGS)}")
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the features; 0.

    Raises:
        ValueError: if there is no such network or kind of features, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written.
        ModuleNotFoundError: if the file is of Parquet, and pyarrow is not installed.
    """
    file = check_ending(arguments.out)
    paths = files_of(arguments.images)
    encoder = loaded(arguments)
    with progress(arguments, len(paths)) as advance:
        found = embed(encoder, paths, **reading(arguments), progress=advance)
    found.save(file)
    say_skipped(found.skipped)
    count, width = found.features.shape
    if arguments.json:
        told = {"file": str(file), "images": count, "features": width, "field": found.field}
        say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in found.skipped}}, indent=2))
    else:
        say(f"{file}: {count:,} images, {width} features each ({found.field})")
    return 0
