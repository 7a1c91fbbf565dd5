"""``eqmodels predict``: the classes of pictures, into one file."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from eqmodels.cli.flags import pixels
from eqmodels.cli.terminal import say
from eqmodels.data.image_files import image_paths
from eqmodels.evaluation.predicting import check_table, predict
from eqmodels.hub import load
from eqmodels.training import usable_device

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Names the classes of pictures: of a folder, all in it and in the folders inside, or of files that are named. The "
    "network is one with a classifier, as eqmodels finetune writes it."
)
EPILOG = """\
examples:
  eqmodels predict runs/my_classifier my_images --out predictions.csv
  eqmodels predict runs/my_classifier a.png b.png --out predictions.json --top 5

In Python: eqmodels.evaluation.predict(eqmodels.load(FOLDER), paths)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    parser.add_argument("name", metavar="FOLDER", help="of a network with a classifier, or hub:organisation/name")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="a folder of images, or images")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where to: .csv or .json")
    parser.add_argument(
        "--top", type=int, default=1, metavar="N", help="how many of the likeliest classes (default: 1)"
    )
    parser.add_argument("--size", type=pixels, help="of what the network sees, 64 or 48x64 (default: as in training)")
    parser.add_argument("--grey", action="store_true", help="give a network of one channel pictures without colours")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="pictures at a time (default: 64)")
    parser.add_argument("--skip-bad", action="store_true", help="go on without files that cannot be read")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Writes the predictions; 0.

    Raises:
        ValueError: if there is no such network, it has no classifier, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written.
    """
    file = check_table(arguments.out)
    paths = [path for place in arguments.images for path in (image_paths(place) if place.is_dir() else [place])]
    network = load(arguments.name).to(usable_device(arguments.device))
    # A bar is for people who look.
    with tqdm(total=len(paths), unit="image", disable=arguments.quiet or not sys.stderr.isatty()) as bar:
        found = predict(
            network,
            paths,
            top=arguments.top,
            size=arguments.size,
            batch_size=arguments.batch_size,
            grey=arguments.grey,
            skip_bad=arguments.skip_bad,
            progress=bar.update,
        )
    found.save(file)
    for one in found.skipped:
        say(f"left out: {one.path}: {one.reason}", file=sys.stderr)
    counts = Counter(found.classes[label] for label in found.labels[:, 0].tolist())
    if arguments.json:
        told = {"file": str(file), "images": len(found.paths), "classes": dict(counts.most_common())}
        say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in found.skipped}}, indent=2))
    else:
        shown = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(10))
        more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
        say(f"{file}: {len(found.paths):,} images: {shown}{more}")
    return 0
