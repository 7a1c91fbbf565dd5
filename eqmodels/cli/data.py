"""``eqmodels data``: what is in a folder of images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.data import contact_sheet, summarise_folder

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Looks at every file of a folder of images before any work is done on it: splits, classes and their images, sizes, "
    "channels, bits, files that cannot be read or are no images, and images that show nothing. The exit status is 0 if "
    "all images can be read, and 1 if not."
)
EPILOG = """\
examples:
  eqmodels data my_images
  eqmodels data my_images --sheet my_images.png
  eqmodels data my_satellite_images --channels 13
  eqmodels data my_images --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder and the options."""
    parser.add_argument("root", metavar="FOLDER", help="of images, or of one folder of images a class")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a picture of some of the images, as .png")
    parser.add_argument("--channels", type=int, metavar="N", help="name the images that have others (default: any)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Prints the summary; 0 if every image can be read, else 1.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if a link in it leads elsewhere.
    """
    summary = summarise_folder(arguments.root, channels=arguments.channels)
    say(json.dumps(summary.to_dict(), indent=2) if arguments.json else summary.text())
    if arguments.sheet is not None:
        contact_sheet(arguments.root, channels=arguments.channels).save(arguments.sheet)
    return int(bool(summary.bad))
