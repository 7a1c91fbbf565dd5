"""What commands that give pictures to a network have in common: their options, the network, the files, and the bar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, get_args

from tqdm import tqdm

from eqmodels.backbones import Backbone
from eqmodels.cli.flags import pixels
from eqmodels.cli.terminal import has_watchers, say
from eqmodels.data.image_files import image_paths
from eqmodels.data.pictures import BadFile
from eqmodels.data.table import open_table
from eqmodels.data.table_file import Cell, Columns, is_table
from eqmodels.hub.loading import load_for_images as load
from eqmodels.layers.pool import GlobalPoolMode
from eqmodels.processes import usable_device
from eqmodels.storage import CHECKPOINT, CONFIG, PREVIOUS_CHECKPOINT

__all__ = [
    "USUAL",
    "add_network",
    "add_network_unless_left_out",
    "add_options",
    "add_reading_options",
    "columns_of",
    "files_of",
    "loaded",
    "progress",
    "reading",
    "say_skipped",
    "teller",
]


USUAL = "c4_resnet18_w32.distil_lite0"
"""The network of commands on pictures that can do without a name: that of photographs."""

NAME_HELP = "a name of the zoo, a folder, or hub:organisation/name[@revision]"


def add_network(parser: argparse.ArgumentParser) -> None:
    """Adds the network's name."""
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)


def add_network_unless_left_out(
    parser: argparse.ArgumentParser, add_flags: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Adds the network's name, which is `USUAL` where what was typed begins with pictures, or names neither.

    What begins with a folder or file that is there, and holds no network, begins with pictures. So a name that is
    mistyped is still looked for, and its nearest are told.

    Args:
        parser: may say in `typed` what was typed.
        add_flags: adds the options of the command, whose values are no names.
    """
    first = _First(add_help=False)
    add_flags(first)
    first.add_argument("--import", action="append")
    first.add_argument("words", nargs="*")
    typed = list(getattr(parser, "typed", []))
    words: list[str] = []
    with suppress(argparse.ArgumentError):  # the parser proper says what is wrong
        words = first.parse_known_intermixed_args(typed)[0].words
    if {"-h", "--help"} & set(typed) or (words and not _are_pictures(Path(words[0]))):
        parser.add_argument("name", metavar="NAME", help=f"{NAME_HELP} (default: {USUAL})")
    else:
        parser.set_defaults(name=USUAL)


class _First(argparse.ArgumentParser):
    """A parser that says nothing, as another one parses the same after it."""

    def error(self, message: str) -> NoReturn:
        raise argparse.ArgumentError(None, message)


def _are_pictures(place: Path) -> bool:
    return place.exists() and not any((place / name).exists() for name in (CONFIG, CHECKPOINT, PREVIOUS_CHECKPOINT))


def add_options(parser: argparse.ArgumentParser, *, features: GlobalPoolMode | None = None) -> None:
    """Adds the options of the network and of its pictures.

    Args:
        parser: of the command.
        features: the kind that is taken if none is asked for; None for what was saved.
    """
    usual = "what was saved, of the zoo canonical" if features is None else features
    parser.add_argument(
        "--features",
        metavar="KIND",
        choices=get_args(GlobalPoolMode),
        default=features,
        help=f"one of {', '.join(get_args(GlobalPoolMode))} (default: {usual})",
    )
    parser.add_argument(
        *("--in-chans", "--channels"), type=int, metavar="N", help="channels, if they are not those of the training"
    )
    add_reading_options(parser)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options by which pictures are read, computed and told of, whatever the network is asked for."""
    parser.add_argument("--size", type=pixels, help="of what the network sees, 64 or 48x64 (default: as in training)")
    parser.add_argument("--grey", action="store_true", help="give a network of one channel pictures without colours")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="pictures at a time (default: 64)")
    parser.add_argument("--path-column", metavar="NAME", help="of a table of pictures, the column of the paths")
    parser.add_argument("--skip-bad", action="store_true", help="go on without files that cannot be read")
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def files_of(places: Sequence[Path], path_column: str | None = None) -> list[Path]:
    """The images in folders, those that tables name, and files that are named.

    Raises:
        FileNotFoundError: if a folder has no images, or there is no such table.
        ValueError: if a link in a folder leads elsewhere, or a table cannot be read or has no such column.
        ModuleNotFoundError: if a table is of Parquet, and pyarrow is not installed.
    """
    return [path for paths, _ in _listed(places, path_column) for path in paths]


def columns_of(places: Sequence[Path], path_column: str | None = None) -> dict[str, list[Cell]]:
    """The columns of tables beside their paths, a row each of the files; empty cells for what no table names.

    Raises:
        As `files_of`.
    """
    found = list(_listed(places, path_column))
    names = dict.fromkeys(name for _, columns in found for name in columns)
    return {name: [cell for paths, columns in found for cell in columns.get(name, [""] * len(paths))] for name in names}


def _listed(places: Sequence[Path], path_column: str | None) -> Iterator[tuple[Sequence[Path], Columns]]:
    """The files of each place, and what is told of them."""
    for place in places:
        if is_table(place):
            table = open_table(place, path_column)
            yield table.paths, table.columns
        else:
            yield image_paths(place) if place.is_dir() else [place], {}


def loaded(arguments: argparse.Namespace) -> Backbone:
    """The network that is named, for features, where it is to compute.

    Raises:
        ValueError: if there is no such network, kind of features or device.
        StorageError: if the network cannot be had.
    """
    encoder = load(arguments.name, num_classes=0, in_chans=arguments.in_chans, global_pool=arguments.features)
    return encoder.to(usable_device(arguments.device))


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options by which pictures are read, as functions of the package call them."""
    return {name: getattr(arguments, name) for name in ("size", "batch_size", "grey", "skip_bad")}


def teller(arguments: argparse.Namespace) -> Callable[[str], None]:
    """What says a sentence on standard error, unless nothing is to be said."""

    def tell(sentence: str) -> None:
        if not arguments.quiet:
            say(sentence, file=sys.stderr, flush=True)

    return tell


@contextmanager
def progress(arguments: argparse.Namespace, total: int) -> Iterator[Any]:
    """A bar over images, for people who look: where the standard error is a terminal."""
    with tqdm(total=total, unit="image", disable=arguments.quiet or not has_watchers()) as bar:
        yield bar.update


def say_skipped(skipped: Iterable[BadFile]) -> None:
    """Names each file that was left out, on standard error."""
    for one in skipped:
        say(f"left out: {one.path}: {one.reason}", file=sys.stderr)
