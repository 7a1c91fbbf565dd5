"""Shards by the convention of webdataset: files of tar in which what has one name before the point is one image."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from eqmodels.data.classes import numbered
from eqmodels.data.file_images import read_listed
from eqmodels.data.image_files import ARRAY, ENDINGS, SPLITS, check_link, split_of
from eqmodels.data.places import Listed, Place, within
from eqmodels.data.planes import optional
from eqmodels.data.registry import Split, named_splits, register_source
from eqmodels.data.source import Source
from eqmodels.data.table_file import Cell, ReadWhenAsked
from eqmodels.data.table_labels import NONE, class_words
from eqmodels.storage import open_regular, reason_of
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["read_shards"]

IMAGES = tuple(ending.removeprefix(".") for ending in (*ENDINGS, ARRAY))
"""Of a sample, what is an image."""

LABEL = "cls"
"""Of a sample, what is its label."""

KEYS = ("label", "class")
"""Of what a sample says in JSON, what is its label."""

OWN = re.compile(r"__[^/]*__($|/)")
"""Names of members that webdataset keeps for itself."""


@register_source("shards", validation=True)
def read_shards(
    split: Split,
    *,
    root: str | Path | None = None,
    label_column: str | None = None,
    size: int | None = None,
    channels: int = 3,
    background: str = WHITE,
    skip_bad: bool = False,
    stream: bool = False,
    cache: str | Path | None = None,
    workers: int = 0,
) -> Source:
    """Images of shards, ``root/*.tar``, ``root/train-*.tar`` and ``root/test-*.tar``, or such folders train and test.

    By webdataset's convention: ``0001.jpg`` and ``0001.cls`` are one image and its label, a number or a word; a label
    may also stand in ``0001.json``, as `label` or `class`. Shards whose names or folders begin with ``train``,
    ``test``, ``val``, ``valid`` or ``validation`` are of this split (without ``test``, those to validate on are for
    testing too); unless all are called so, a fifth of the images
    are for testing, by a hash of the name before the point. All splits number the classes of all shards. Pictures
    become images as those of `image_folder` do.

    Args:
        split: ``"train"``, ``"test"`` or ``"validation"``.
        root: the folder of the shards, or one shard.
        label_column: what the labels are called in 0001.json, or cls for those of 0001.cls; left out, cls, label or
            class; - for none; A,B for both as one class; A:WORD for whether WORD is among the labels of A.
        size: side in pixels of the squares that images become; None keeps the images, which must then have one size.
        channels: of the images, up to 64: 3 makes pictures RGB and 1 grey, any other number must be in the files.
        background: the colour of what transparent pictures lie on, such as ``black`` or ``#808080``.
        skip_bad: whether to go on without files that cannot be read, and list them on stderr, instead of stopping.
        stream: whether images are decoded when they are asked for, and not kept in memory; they are read once before.
        cache: a folder that keeps the decoded images, unrounded, so that no later command decodes them; they are read
            from there when they are asked for.
        workers: processes that decode; 0 for threads of this process, one a processor.

    Raises:
        FileNotFoundError: if there are no shards, or the split has no images.
        BadFilesError: if images cannot be read, or have other channels; lists all of them.
        ValueError: if no folder is named, a shard is damaged or compressed, some images have labels and others none,
            there is no such label, or an option is out of its range.
        StorageError: if the cache cannot be written, or is damaged.
        ModuleNotFoundError: if webdataset is not installed, or what an image needs.
    """
    if root is None:
        raise ValueError("shards needs the folder of the files of tar; got none. Name it by root= (--root).")
    base = Path(root).expanduser()
    if label_column in (None, NONE):
        samples = list(_samples(base, _shards(base), _label if label_column is None else lambda _: None))
        numbers, classes = _numbered([sample.label for sample in samples], base)
    else:
        samples = list(_samples(base, _shards(base), _told))
        names = list(dict.fromkeys(name for sample in samples for name in sample.label))
        columns = ReadWhenAsked(names, lambda name: [sample.label.get(name, "") for sample in samples])
        numbers, classes = numbered(class_words(columns, base, (), label_column), None, str(base))
    wanted = named_splits({sample.split for sample in samples}).get(split)
    chosen = [number for number, sample in enumerate(samples) if sample.split == wanted]
    if not chosen:
        raise FileNotFoundError(
            f"{base} has no images for split={split!r}. Add some, five or more, as 0001.jpg in a tar."
        )
    places = [samples[number].image for number in chosen]
    return read_listed(
        Listed(f"shards:{base.stem}", base, places, [numbers[number] for number in chosen], classes),
        size=size,
        channels=channels,
        background=background,
        skip_bad=skip_bad,
        stream=stream,
        cache=cache,
        workers=workers,
    )


@dataclass(frozen=True, slots=True)
class Member(Place):
    """A picture, or a label, that is a member of a tar.

    Args:
        name: of the member.
        start: the byte of the tar with which its content begins.
        length: bytes of it.
        version: the time of the last change of the tar, in nanoseconds.
    """

    name: str
    start: int
    length: int
    version: int

    @property
    def path(self) -> Path:
        """What sentences call it."""
        return self.file / self.name

    def content(self) -> bytes:
        """What the member holds.

        Raises:
            OSError: if the tar cannot be read.
            ValueError: if it became shorter.
        """
        with open_regular(self.file) as stream:
            stream.seek(self.start)
            content = stream.read(self.length)
        if len(content) < self.length:
            raise ValueError("the file of tar ends before it does")
        return bytes(content)

    def mark(self, root: Path) -> str:
        """The tar, its last change, and the place in it."""
        return f"{within(self.file, root)}\0{self.name}\0{self.start}\0{self.length}\0{self.version}"


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is of one name before the point: where its image is, what it is labelled, what its split is called."""

    image: Member
    label: Any
    split: str


def _numbered(labels: list[str | None], base: Path) -> tuple[list[int], tuple[str, ...]]:
    """Labels as numbers, all -1 if there are none, and the classes.

    Raises:
        ValueError: if some images have labels and others none.
    """
    given = [label for label in labels if label is not None]
    if not given:
        return [-1] * len(labels), ()
    if len(given) < len(labels):
        raise ValueError(
            f"all images of {base} must have a label, or none; {len(labels) - len(given):,} of {len(labels):,} have "
            "none. Add them as 0001.cls, or leave the images out."
        )
    return numbered(given, None, str(base))


def _shards(base: Path) -> list[tuple[Path, str | None]]:
    """The shards of a folder and what the split of each is called; None for all if none is called like one.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if a link leads out of the folder.
    """
    files = [base] if base.is_file() else sorted([*base.glob("*.tar"), *base.glob("*/*.tar")])
    files = [file for file in files if not file.name.startswith(".")]
    if not files:
        raise FileNotFoundError(
            f"shards reads files of tar; {base} has none. Name a folder of *.tar by root= (--root)."
        )
    splits: list[str | None] = []
    for file in files:
        check_link(file, base)
        words = (file.name, file.parent.name) if file.parent != base else (file.name,)
        names = [
            name for word in words for name in SPLITS if word.partition(".")[0].split("-")[0].split("_")[0] == name
        ]
        splits.append(names[0] if names else None)
    if None in splits:  # a name alone that begins so is none
        splits = [None] * len(files)
    return list(zip(files, splits, strict=True))


def _samples(
    base: Path, shards: list[tuple[Path, str | None]], labelled: Callable[[dict[str, Any]], Any]
) -> Iterator[_Sample]:
    """Every sample of every shard that has an image, as webdataset groups the members; of these, labels alone are read.

    Args:
        base: for sentences.
        shards: and what the split of each is called.
        labelled: gives the label of a sample, or whatever it is labelled; a `ValueError` is why the shard is damaged.

    Raises:
        ValueError: if a shard is damaged, compressed, or claims to hold more than it has bytes.
        ModuleNotFoundError: if webdataset is not installed.
    """
    library = optional("webdataset.tariterators", "a shard")
    for file, split in shards:
        try:
            members = ({"fname": member.name, "data": member, "__url__": str(file)} for member in _members(file))
            keys: set[str] = set()
            for sample in library.group_by_keys(members):
                if sample["__key__"] in keys:
                    raise ValueError(f"what is called {sample['__key__']} does not lie together in it")
                keys.add(sample["__key__"])
                # An ending may have a word before it, as in 0001.rgb.png.
                endings = {name.rpartition(".")[2]: member for name, member in sample.items() if name[:2] != "__"}
                image = next((endings[name] for name in IMAGES if name in endings), None)
                if image is not None:
                    by_name = split_of(PurePosixPath(sample["__key__"]))
                    yield _Sample(image, labelled(sample), split or by_name)
        except (OSError, tarfile.TarError, ValueError) as error:
            reason = reason_of(error)
            raise ValueError(
                f"{file} cannot be read as a shard, a tar that is not compressed ({reason}). Write it anew, or move it "
                f"out of {base}."
            ) from error


def _members(file: Path) -> Iterator[Member]:
    """The files in a tar, but for those that webdataset keeps for itself.

    Raises:
        ValueError: if one would be larger than the whole of it, or has holes.
        OSError: if it is no regular file.
        tarfile.TarError: if it is no tar, compressed, or damaged.
    """
    with open_regular(file) as stream, tarfile.open(fileobj=stream, mode="r:") as members:
        status = file.stat()
        for member in members:
            if member.size > status.st_size:
                raise ValueError(f"{member.name} claims {member.size:,} bytes, more than the {status.st_size:,} of it")
            if member.issparse():
                raise ValueError(f"{member.name} has holes")
            if member.isreg() and not OWN.match(member.name):
                yield Member(file, member.name, member.offset_data, member.size, status.st_mtime_ns)


def _label(sample: dict[str, Any]) -> str | None:
    """The label of a sample; None if it has none.

    Raises:
        ValueError: if it is neither a number nor a word.
    """
    if LABEL in sample:
        return str(sample[LABEL].content().decode("utf-8").strip())
    said = json.loads(sample["json"].content()) if "json" in sample else None
    value = next((said[key] for key in KEYS if key in said), None) if isinstance(said, dict) else None
    if value is not None and not isinstance(value, int | str):
        raise ValueError(f"the label of {sample['__key__']} must be a number or a word; got {value!r}. Correct it.")
    return None if value is None else str(value)


def _told(sample: dict[str, Any]) -> dict[str, Cell]:
    """All that may be a label of a sample, by name: words and numbers, and lists of them."""
    told: dict[str, Cell] = {}
    said = json.loads(sample["json"].content()) if "json" in sample else None
    for name, value in said.items() if isinstance(said, dict) else ():
        if isinstance(value, list) and all(isinstance(one, int | str) for one in value):
            told[str(name)] = tuple(map(str, value))
        elif isinstance(value, int | float | str):
            told[str(name)] = str(value)
    return told | ({LABEL: str(sample[LABEL].content().decode("utf-8").strip())} if LABEL in sample else {})
