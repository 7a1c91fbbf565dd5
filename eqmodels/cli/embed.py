"""``eqmodels embed``: features of pictures, into one file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from eqmodels.cli.clouds import embed_run, names_points
from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import (
    add_network_unless_left_out,
    add_options,
    columns_of,
    files_of,
    loaded,
    progress,
    reading,
    say_skipped,
    teller,
)
from eqmodels.evaluation import embed_to_file
from eqmodels.evaluation.feature_table import ENDINGS, check_ending
from eqmodels.processes.world import joined_world

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Writes the features of pictures into one file: of a folder, all in it and in the folders inside, of files that "
    "are named, or of those that a table names, whose other columns are written too. A picture that was turned by "
    "quarters or mirrored has the same features, as far as the network's are invariant. Ctrl-C stops; the same command "
    "goes on from there, and torchrun starts it on several processes. An encoder of points is given "
    "meshes and clouds."
)
EPILOG = """\
examples:
  eqmodels embed my_images --out features.npz
  eqmodels embed c4_resnet18_w32.distil_lite0 my_images --out features.npz
  eqmodels embed runs/mine my_images --features regular --out features.safetensors
  eqmodels embed hub:organisation/name a.png b.png --out features.parquet
  eqmodels embed runs/mine my_images.csv --out features.parquet
  torchrun --nproc-per-node 2 -m eqmodels embed runs/mine my_images --out features.parquet

In Python: eqmodels.evaluation.embed(eqmodels.load(NAME, num_classes=0), paths), and embed_to_file of any number.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    add_network_unless_left_out(parser, _add_flags)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGES", help="a folder or a table of images, or images"
    )
    _add_flags(parser)
    parser.set_defaults(goes_on="from where it was")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=f"where to: {', '.join(ENDINGS)}")
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the features; 0.

    Raises:
        ValueError: if there is no such network or kind of features, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written, or another process writes it.
        ProcessError: if another of several processes was killed.
        ModuleNotFoundError: if the file is of Parquet, and pyarrow is not installed.
    """
    file = check_ending(arguments.out)
    if names_points(arguments.name):
        return embed_run(arguments)
    with joined_world(arguments.device) as world, world.together():
        # Listed and downloaded once, not by every process.
        paths = world.from_writer(lambda: files_of(arguments.images, arguments.path_column))
        columns = world.from_writer(lambda: columns_of(arguments.images, arguments.path_column))
        encoder = world.each_after_first(lambda: loaded(arguments)).to(world.device)
        with progress(arguments, len(paths)) as advance:
            found = embed_to_file(
                encoder,
                paths,
                file,
                columns=columns,
                **reading(arguments),
                progress=advance,
                report=teller(arguments),
            )
    say_skipped(found.skipped)
    if arguments.json:
        told = {"file": str(file), "images": found.images, "features": found.features, "field": found.field}
        skipped = {str(one.path): one.reason for one in found.skipped}
        say(json.dumps(told | {"resumed": found.resumed, "skipped": skipped}, indent=2))
    else:
        say(f"{file}: {found.images:,} images, {found.features} features each ({found.field})")
    return 0
