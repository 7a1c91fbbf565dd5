"""``eqmodels embed``: features of pictures, into one file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from eqmodels.cli.flags import pixels
from eqmodels.cli.terminal import say
from eqmodels.data.image_files import image_paths
from eqmodels.evaluation.embedding import check_ending, embed
from eqmodels.hub import load
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.training import usable_device

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
  eqmodels embed hub:organisation/name a.png b.png --out features.npz

In Python: eqmodels.evaluation.embed(eqmodels.load(NAME), paths)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    parser.add_argument("name", metavar="NAME", help="a name of the zoo, a folder, or hub:organisation/name[@revision]")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="a folder of images, or images")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where to: .npz or .safetensors")
    parser.add_argument(
        "--features",
        metavar="KIND",
        choices=get_args(GlobalPoolMode),
        help=f"one of {', '.join(get_args(GlobalPoolMode))} (default: what was saved, of the zoo canonical)",
    )
    parser.add_argument("--size", type=pixels, help="of what the network sees, 64 or 48x64 (default: as in training)")
    parser.add_argument("--in-chans", type=int, metavar="N", help="channels, if they are not those of the training")
    parser.add_argument("--grey", action="store_true", help="give a network of one channel pictures without colours")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="pictures at a time (default: 64)")
    parser.add_argument("--skip-bad", action="store_true", help="go on without files that cannot be read")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Writes the features; 0.

    Raises:
        ValueError: if there is no such network or kind of features, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written.
    """
    file = check_ending(arguments.out)
    paths = [path for place in arguments.images for path in (image_paths(place) if place.is_dir() else [place])]
    encoder = load(arguments.name, num_classes=0, in_chans=arguments.in_chans, global_pool=arguments.features)
    encoder = encoder.to(usable_device(arguments.device))
    # A bar is for people who look.
    with tqdm(total=len(paths), unit="image", disable=arguments.quiet or not sys.stderr.isatty()) as bar:
        found = embed(
            encoder,
            paths,
            size=arguments.size,
            batch_size=arguments.batch_size,
            grey=arguments.grey,
            skip_bad=arguments.skip_bad,
            progress=bar.update,
        )
    found.save(file)
    for one in found.skipped:
        say(f"left out: {one.path}: {one.reason}", file=sys.stderr)
    count, width = found.features.shape
    if arguments.json:
        told = {"file": str(file), "images": count, "features": width, "field": found.field}
        say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in found.skipped}}, indent=2))
    else:
        say(f"{file}: {count:,} images, {width} features each ({found.field})")
    return 0
