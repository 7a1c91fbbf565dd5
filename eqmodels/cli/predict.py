"""``eqmodels predict``: the classes of pictures, into one file."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_reading_options, files_of, progress, reading, say_skipped
from eqmodels.evaluation.predicting import check_table, predict
from eqmodels.hub import load
from eqmodels.processes import usable_device

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
    add_reading_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the predictions; 0.

    Raises:
        ValueError: if there is no such network, it has no classifier, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written.
    """
    file = check_table(arguments.out)
    paths = files_of(arguments.images)
    network = load(arguments.name).to(usable_device(arguments.device))
    with progress(arguments, len(paths)) as advance:
        found = predict(network, paths, top=arguments.top, **reading(arguments), progress=advance)
    found.save(file)
    say_skipped(found.skipped)
    counts = Counter(found.classes[label] for label in found.labels[:, 0].tolist())
    if arguments.json:
        told = {"file": str(file), "images": len(found.paths), "classes": dict(counts.most_common())}
        say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in found.skipped}}, indent=2))
    else:
        shown = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(10))
        more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
        say(f"{file}: {len(found.paths):,} images: {shown}{more}")
    return 0
