"""``eqmodels predict``: the classes of pictures, into one file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.cli.with_network import add_reading_options, files_of, progress, reading, say_skipped, teller
from eqmodels.evaluation.predicting import check_table, predict_to_file
from eqmodels.hub.loading import load_for_images as load
from eqmodels.processes.world import joined_world

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Names the classes of pictures: of a folder, all in it and in the folders inside, or of files that are named. The "
    "network is one with a classifier, as eqmodels finetune writes it. Ctrl-C stops; the same command goes on from "
    "there, and torchrun starts it on several processes."
)
EPILOG = """\
examples:
  eqmodels predict runs/my_classifier my_images --out predictions.csv
  eqmodels predict runs/my_classifier a.png b.png --out predictions.json --top 5

In Python: eqmodels.evaluation.predict(eqmodels.load(FOLDER), paths), and predict_to_file of any number.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the network, the pictures and the options."""
    parser.add_argument("name", metavar="FOLDER", help="of a network with a classifier, or hub:organisation/name")
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGES", help="a folder or a table of images, or images"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where to: .csv or .json")
    parser.add_argument(
        "--top", type=int, default=1, metavar="N", help="how many of the likeliest classes (default: 1)"
    )
    parser.add_argument("--channels", type=int, metavar="N", help="refuse a classifier of others (default: its own)")
    add_reading_options(parser)
    parser.set_defaults(goes_on="from there")


def run(arguments: argparse.Namespace) -> int:
    """Writes the predictions; 0.

    Raises:
        ValueError: if there is no such network, it has no classifier, or pictures cannot be read or do not suit it.
        StorageError: if the network cannot be had or the file not be written, or another process writes it.
        ProcessError: if another of several processes was killed.
    """
    file = check_table(arguments.out)
    with joined_world(arguments.device) as world, world.together():
        # Listed and downloaded once, not by every process.
        paths = world.from_writer(lambda: files_of(arguments.images, arguments.path_column))
        network = world.each_after_first(lambda: load(arguments.name)).to(world.device)
        if arguments.channels not in (None, network.in_chans):
            raise ValueError(
                f"--channels must be what the classifier was trained on, {network.in_chans}; got {arguments.channels}. "
                "Leave it out, or fine-tune a network on such pictures: eqmodels finetune."
            )
        with progress(arguments, len(paths)) as advance:
            options = {"top": arguments.top, "progress": advance, "report": teller(arguments)}
            found = predict_to_file(network, paths, file, **options, **reading(arguments))
    say_skipped(found.skipped)
    if arguments.json:
        told = {"file": str(file), "images": found.images, "classes": dict(found.counts), "resumed": found.resumed}
        say(json.dumps(told | {"skipped": {str(one.path): one.reason for one in found.skipped}}, indent=2))
    else:
        shown = ", ".join(f"{name} ({count:,})" for name, count in [*found.counts.items()][:10])
        more = f" and {len(found.counts) - 10} more" if len(found.counts) > 10 else ""
        say(f"{file}: {found.images:,} images: {shown}{more}")
    return 0
