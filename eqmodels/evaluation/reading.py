"""Pictures of files as a network takes them, batch by batch: what features and predictions of files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones.network import StagedNetwork
from eqmodels.checks import check_count
from eqmodels.data.pictures import BadFile, BadFilesError, Picture, picture_at, read_pictures
from eqmodels.errors import shown
from eqmodels.transforms.preprocessing import WHITE

__all__ = [
    "ReadPicture",
    "files_of",
    "input_of_picture",
    "opened_for",
    "outputs_of_pictures",
    "read_batches",
    "refuse_bad",
]

GREY = ("1", "L", "LA", "La", "F")
"""Modes of PIL that have no colours; so have those that begin with an I."""

T = TypeVar("T")


def outputs_of_pictures(
    network: StagedNetwork,
    paths: Sequence[str | Path],
    outputs: Callable[[Float[Tensor, "B C H W"]], T],
    *,
    caller: str,
    size: tuple[int, int] | None,
    batch_size: int,
    grey: bool,
    skip_bad: bool,
    progress: Callable[[int], object] | None,
) -> tuple[tuple[str, ...], list[T], tuple[BadFile, ...]]:
    """The paths that could be read, what a network makes of the pictures there, a batch at a time, and the bad files.

    Args:
        network: in any mode; it is put into eval mode.
        paths: of the files.
        outputs: from the normalised pictures of a batch, on the CPU, to what is kept of them.
        caller: what needs them, for a sentence.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: pictures at a time.
        grey: whether a network of one channel is given pictures that have colours without these.
        skip_bad: whether to leave out files that cannot be read, instead of stopping.
        progress: called with a number of files whenever so many are done.

    Raises:
        TypeError: if the batch size is no integer.
        ValueError: if it is below 1, the network knows nothing of its images, there are no files, or a picture has
            colours and the network takes none.
        BadFilesError: if files cannot be read; lists all of them.
    """
    check_count("batch_size", batch_size)
    files = files_of(paths)
    if not files:
        raise ValueError(f"{caller} needs images; got no file. Name images, or a folder of them.")
    found: list[T] = []
    good: list[str] = []
    bad: list[BadFile] = []
    for batch in read_batches(network, files, size=size, batch_size=batch_size, grey=grey):
        images = [one for one in batch if isinstance(one, ReadPicture)]
        bad += [one for one in batch if isinstance(one, BadFile)]
        # Once a file is bad, the rest is read to list all of them, not to be asked about.
        if images and (skip_bad or not bad):
            good += [str(one.path) for one in images]
            found.append(outputs(torch.stack([one.image for one in images])))
        if progress is not None:
            progress(len(batch))
    refuse_bad(bad, len(files), skip_bad=skip_bad)
    return tuple(good), found, tuple(bad)


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """A picture that was read.

    Attributes:
        path: of its file.
        image: ``(C, H, W)``, the input that the network makes of it.
        beside: what else was made of it.
    """

    path: Path
    image: Tensor
    beside: Any = None


def read_batches(
    network: StagedNetwork,
    files: Sequence[Path],
    *,
    size: tuple[int, int] | None,
    batch_size: int,
    grey: bool,
    beside: Callable[[Picture], Any] | None = None,
) -> Iterator[list[ReadPicture | BadFile]]:
    """So many files at a time, each with the input that a network makes of its picture, or why it cannot be read.

    Args:
        network: in any mode; it is put into eval mode.
        files: in the order in which they come.
        size: height and width of what the network sees; None for the size of its training images.
        batch_size: files at a time; the last batch may have fewer.
        grey: whether a network of one channel is given pictures that have colours without these.
        beside: what else is made of each picture; None for nothing.

    Raises:
        ValueError: if the network knows nothing of its images.
    """
    input_of = input_of_picture(network, size, grey=grey)

    def made_of(picture: Picture) -> tuple[Tensor, Any]:
        return input_of(picture), None if beside is None else beside(picture)

    batch: list[ReadPicture | BadFile] = []
    for path, found in zip(files, read_pictures(files, made_of, opened=opened_for(network)), strict=True):
        batch.append(found if isinstance(found, BadFile) else ReadPicture(path, *found))
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def files_of(paths: Sequence[str | Path]) -> list[Path]:
    """The paths of several files.

    Raises:
        TypeError: if they are no sequence of paths: one word, whose letters would be taken for files, among others.
    """
    if not _are_paths(paths):
        raise TypeError(f"paths must be a list of files; got {shown(paths)}. Pass [path], or the files of a folder.")
    return [Path(path) for path in paths]


def _are_paths(paths: object) -> bool:
    words = isinstance(paths, Sequence) and not isinstance(paths, (str, bytes))
    return words and all(isinstance(path, (str, Path)) for path in cast("Sequence[object]", paths))


def refuse_bad(bad: Sequence[BadFile], total: int, *, skip_bad: bool) -> None:
    """Refuses files that cannot be read, unless they are to be left out and others are there.

    Raises:
        BadFilesError: lists all of them.
    """
    if bad and (not skip_bad or len(bad) == total):
        way_out = "Remove them, or pass skip_bad=True (--skip-bad) to go on without them."
        raise BadFilesError(bad, total, way_out if len(bad) < total else "Name images that can be read.")


def input_of_picture(
    network: StagedNetwork, size: tuple[int, int] | None, *, grey: bool
) -> Callable[[Picture], Tensor]:
    """The way from a picture to the input ``(C, H, W)`` of a network, which is put into eval mode.

    Args:
        network: in any mode.
        size: height and width of what the network sees; None for the size of its training images.
        grey: whether a network of one channel is given pictures that have colours without these.

    Raises:
        ValueError: if the network knows nothing of its images; when it is called, if a picture has colours and the
            network takes none.
    """
    network.eval()
    transform = network.transform(size)

    def made_of(picture: Picture) -> Tensor:
        if network.in_chans == 1 and not grey and (colours := _colours(picture)):
            raise ValueError(
                f"it has colours ({colours}) and the network takes one channel: load the network with "
                "in_chans=3 (--in-chans 3), or pass grey=True (--grey) to leave the colours out"
            )
        pixels: Tensor = transform(picture)
        return pixels

    return made_of


def opened_for(network: StagedNetwork) -> Callable[[Path], Picture]:
    """The way from a file to a picture of as many channels as a network takes, and on the background of its images."""
    background = WHITE if network.preprocessing is None else network.preprocessing.background
    return partial(picture_at, channels=network.in_chans, background=background, option="in_chans")


def _colours(picture: Picture) -> str:
    """What shows that a picture has colours; empty if it has none."""
    if isinstance(picture, Tensor):
        return f"{len(picture)} channels" if len(picture) > 1 else ""
    return "" if picture.mode in GREY or picture.mode.startswith("I") else f"mode {picture.mode}"
