"""``eqmodels data``: what is in a folder or a table of images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from eqmodels.cli.terminal import say
from eqmodels.data import contact_sheet, summarise_folder

__all__ = ["DESCRIPTION", "EPILOG", "add_arguments", "run"]

DESCRIPTION = (
    "Looks at every file of a folder or a table of images before any work is done on it: splits, classes and their "
    "images, every column of labels, sizes, channels, bits, files that cannot be read or are no images, and images "
    "that show nothing. The exit status is 0 if all images can be read, and 1 if not."
)
EPILOG = """\
examples:
  eqmodels data my_images
  eqmodels data my_images --sheet my_images.png
  eqmodels data my_satellite_images --channels 13
  eqmodels data my_images --json
  eqmodels data my_images.csv --label-column species,stage
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder and the options."""
    parser.add_argument(
        "root",
        metavar="FOLDER",
        help="of images, or of one folder of images a class; or a table of images, .csv, .tsv or .parquet",
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a picture of some of the images, as .png")
    parser.add_argument("--channels", type=int, metavar="N", help="name the images that have others (default: any)")
    parser.add_argument("--path-column", metavar="NAME", help="of a table, the column of the paths")
    parser.add_argument(
        "--label-column",
        metavar="NAME",
        help="of a table, the column of the classes; A,B for both as one class; A:WORD for whether A has WORD",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Prints the summary; 0 if every image can be read, else 1.

    Raises:
        FileNotFoundError: if there is no such folder or table.
        ValueError: if a link in it leads elsewhere, the table cannot be read or has no such column.
    """
    table = {"channels": arguments.channels, "path_column": arguments.path_column}
    summary = summarise_folder(arguments.root, label_column=arguments.label_column, **table)
    say(json.dumps(summary.to_dict(), indent=2) if arguments.json else summary.text())
    if arguments.sheet is not None:
        contact_sheet(arguments.root, **table).save(arguments.sheet)
    return int(bool(summary.bad))
