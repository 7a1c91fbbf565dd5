"""Decoded images on the disk: what was decoded once is mapped into memory by every later command.

A cache belongs to the pictures (path in the folder, size in bytes and time of the last change of each file) and to what
is made of them (every value of the preprocessing, and the versions of the libraries that decode). Digests of the
contents would also notice a file that changed without its time; but taking them reads every byte, which costs as much
as decoding does where images are small. Another key is another folder: nothing is ever changed in place.

Pixels are bytes if all are multiples of 1/255 to the last bit, and else float32: nothing is rounded, so a network
trained from a cache is the same to the last bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.data.decoding import Decoding
from eqmodels.data.first_reading import FirstReading, read_once
from eqmodels.data.levels import are_levels, from_levels, to_levels
from eqmodels.data.pictures import BadFile
from eqmodels.data.pixel_statistics import Statistics
from eqmodels.data.places import Listed
from eqmodels.data.source import numbers_of
from eqmodels.storage import StorageError, read_regular, reason_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["CachedImages", "cached_images"]

FORMAT = 1
PIXELS, ABOUT = "pixels.bin", "about.json"
CHUNK = 2**22
"""Bytes that are read at once where a cache of bytes turns out to need floats."""

Array = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CachedImages:
    """Images of a cache: a `Source`. The file is mapped into memory, of which the system takes back what it needs.

    Args:
        name: what the data set is called.
        array: ``(N, C, H, W)``, uint8 or float32.
        labels: ``(N,)``, the class of each image, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        known_statistics: mean and deviation of each channel.
        background: the colour that transparent pictures were laid on.
        skipped: files that could not be read and were left out, as was asked for.
    """

    name: str
    array: Array
    labels: Int[Tensor, " N"]
    classes: tuple[str, ...]
    known_statistics: Statistics
    background: str = WHITE
    skipped: tuple[BadFile, ...] = ()

    def __len__(self) -> int:
        return len(self.array)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.array.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return int(self.array.shape[2]), int(self.array.shape[3])

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]; these alone are read."""
        # Numbers and not the slice itself, whose images would be the file's own memory, which nobody may write.
        found = torch.from_numpy(self.array[numbers_of(indices, len(self)).numpy()])
        return from_levels(found) if found.dtype == torch.uint8 else found


def cached_images(cache: Path, listed: Listed, decoding: Decoding) -> tuple[Array | None, FirstReading]:
    """The decoded images of a data set from its cache, which is written first if there is none yet.

    It is written whole or not at all: beside its place, and then moved there. Of several processes that want it one
    writes, and the others wait.

    Args:
        cache: the folder that has a folder for every cache.
        listed: the pictures.
        decoding: from places to pixels.

    Returns:
        The images of all files that can be read, and what the reading of them found; no images if there are none, or
        they have several sizes, and then nothing is written.

    Raises:
        StorageError: if the cache cannot be written, or is damaged.
    """
    about = _key_of(listed, decoding.steps)
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
    place = cache.expanduser() / name
    if not (place / ABOUT).exists():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with _alone(place.with_name(f".{name}.lock")):
                if not (place / ABOUT).exists():
                    reading = _write(place, about, listed, decoding)
                    if len(reading.shapes) != 1:
                        return None, reading
        except OSError as error:
            raise StorageError(
                f"decoded images could not be written into {cache} ({reason_of(error)}), and nothing was left there. "
                "Free some space, name another folder (--cache), or go on without one."
            ) from error
    return _open(place)


def _key_of(listed: Listed, steps: nn.Module) -> dict[str, Any]:
    """What decoded images depend on, in JSON."""
    digest = hashlib.sha256()
    for place in listed.places:
        digest.update(place.mark(listed.root).encode("utf-8", "surrogateescape") + b"\n")
    return {
        "format": FORMAT,
        "files": len(listed.places),
        "digest": digest.hexdigest(),
        "steps": [
            [type(step).__name__, {name: repr(value) for name, value in sorted(vars(step).items()) if _tells(name)}]
            for step in steps.modules()
        ],
        "versions": {name: version(name) for name in ("pillow", "torchvision")},
    }


def _tells(name: str) -> bool:
    """Whether an attribute of a module says what it does; a function's text would be its place in memory."""
    return name[0] != "_" and name not in ("training", "resize")


def _write(place: Path, about: dict[str, Any], listed: Listed, decoding: Decoding) -> FirstReading:
    """Decodes all pictures into a folder beside the place, and moves it there if there are images of one size."""
    for left in place.parent.glob(f".{place.name}.*.part"):  # by a process that was killed: nobody else writes now
        shutil.rmtree(left, ignore_errors=True)
    if place.exists():  # without its last file: somebody removed it
        shutil.rmtree(place)
    part = place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    part.mkdir()
    try:
        with contextlib.closing(_Writer(part / PIXELS)) as writer:
            reading = read_once(listed.places, decoding, writer.add)
        if len(reading.shapes) == 1:
            dtype = "uint8" if writer.are_levels else "float32"
            content: dict[str, Any] = {"of": about, "dtype": dtype, "shape": reading.shapes[0]}
            content |= {"statistics": reading.statistics, "bad": reading.bad}
            with (part / ABOUT).open("w") as stream:
                json.dump(content, stream, indent=1)
                _to_disk(stream.fileno(), stream)
            part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return reading


def _open(place: Path) -> tuple[Array, FirstReading]:
    """What a cache holds.

    Raises:
        StorageError: if a file of it is not what was written.
    """
    try:
        about = json.loads(read_regular(place / ABOUT))
        shape, (means, deviations) = tuple(map(int, about["shape"])), about["statistics"]
        bad = tuple((int(number), str(reason)) for number, reason in about["bad"])
        count = int(about["of"]["files"]) - len(bad)
        dtype = {"uint8": np.uint8, "float32": np.float32}[about["dtype"]]
        array = np.memmap(place / PIXELS, dtype, "r").reshape(count, *shape)
        reading = FirstReading(((*shape,),), (tuple(means), tuple(deviations)), bad)  # type: ignore[arg-type]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StorageError(
            f"{place} is no whole cache of decoded images ({reason_of(error)}). Delete this folder, and start the same "
            "command again."
        ) from error
    return array, reading


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Waits until no other process is in here; where a file system has no locks, nobody waits."""
    lock = FileLock(file)
    with contextlib.suppress(NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _to_disk(number: int, stream: Any) -> None:  # noqa: ANN401 (of text or of bytes)
    stream.flush()
    os.fsync(number)


class _Writer:
    """Writes images into a file, as bytes until the first that would lose something, and then as float32.

    Attributes:
        are_levels: whether all are bytes.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.are_levels = file, True
        self._stream: BinaryIO = file.open("wb")

    def add(self, images: Float[Tensor, "B C H W"]) -> None:
        """Writes images behind the others."""
        if self.are_levels and not are_levels(images):
            self._become_floats()
        self._stream.write((to_levels(images) if self.are_levels else images).contiguous().numpy().tobytes())

    def close(self) -> None:
        """Makes sure that all of it is on the disk."""
        try:
            _to_disk(self._stream.fileno(), self._stream)
        finally:
            self._stream.close()

    def _become_floats(self) -> None:
        self.close()
        levels = self.file.with_name(f"levels.{self.file.name}")
        self.file.replace(levels)
        self.are_levels, self._stream = False, self.file.open("wb")
        with levels.open("rb") as stream:
            while part := stream.read(CHUNK):
                self._stream.write(from_levels(torch.frombuffer(bytearray(part), dtype=torch.uint8)).numpy().tobytes())
        levels.unlink()
