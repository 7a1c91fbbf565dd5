"""Labelled pictures that no network of the zoo was trained on, for probes: 96 pixels, RGB."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from benchmarks.distil.atlases import SHEETS, font_files, letter, tiles
from eqmodels.data import LabelledImages, load_data, to_rgb
from eqmodels.data.openclipart import drawing, fitted, on_white
from eqmodels.data.pictures import BadFile, read_pictures

__all__ = ["SETS", "SIDE"]

SIDE = 96
FEWEST = 16
"""Pictures of a class."""


def of_folders(name: str, root: Path, pattern: str) -> LabelledImages:
    """Pictures with transparency on white; the class is the first folder below the root."""
    paths = sorted(path for path in root.glob(pattern) if not path.is_symlink())
    counts = Counter(path.relative_to(root).parts[0] for path in paths)
    classes = tuple(sorted(one for one, count in counts.items() if count >= FEWEST))
    found = read_pictures(paths, lambda picture: fitted(picture, SIDE), opened=drawing)
    images, labels = [], []
    for path, square in zip(paths, found, strict=True):
        if not isinstance(square, BadFile) and path.relative_to(root).parts[0] in classes:
            images.append(on_white(square))
            labels.append(classes.index(path.relative_to(root).parts[0]))
    return LabelledImages(name, torch.stack(images), torch.tensor(labels), classes)


def stamps() -> tuple[LabelledImages, LabelledImages | None]:
    """Photographs and drawings of Debian's ``tuxpaint-stamps-default`` (GPL-2), by their 10 largest folders."""
    return of_folders("stamps", Path("/usr/share/tuxpaint/stamps"), "*/**/*.png"), None


def icons() -> tuple[LabelledImages, LabelledImages | None]:
    """Icons of Debian's ``oxygen-icon-theme`` (LGPL-3), by their purpose."""
    return of_folders("icons", Path("/usr/share/icons/oxygen/base/128x128"), "*/*.png"), None


def clipart() -> tuple[LabelledImages, LabelledImages | None]:
    """The Open Clip Art Library: its training split, whose pictures taught, and its test split, whose did not."""
    found = [load_data("openclipart", split, size=SIDE) for split in ("train", "test")]
    assert all(isinstance(data, LabelledImages) for data in found)
    return found[0], found[1]  # type: ignore[return-value]


def dungeon_tiles(count: int = 200) -> tuple[LabelledImages, LabelledImages | None]:
    """Tiles of 32 pixels of Debian's ``crawl-tiles-data`` (CC0), enlarged; classes are the sheets that hold them."""
    return _in_classes("tiles", [_some(list(tiles(sheet)), count) for sheet in SHEETS], SHEETS), None


def letters() -> tuple[LabelledImages, LabelledImages | None]:
    """The 26 capital letters in 40 fonts that are installed, drawn here: shapes alone, and some are others turned."""
    fonts = font_files()
    drawn = [[letter(font, one, SIDE) for font in fonts] for one in ascii_uppercase]
    return _in_classes("letters", drawn, tuple(ascii_uppercase)), None


def _some(pictures: list[Image.Image], count: int) -> list[Image.Image]:
    """So many of them, the same every time."""
    chosen = np.random.default_rng(0).permutation(len(pictures))[:count]
    return [pictures[number] for number in sorted(chosen)]


def _in_classes(name: str, pictures: Sequence[Sequence[Image.Image]], classes: tuple[str, ...]) -> LabelledImages:
    """Pictures class by class, on white."""
    images = [on_white(fitted(picture, SIDE)) for one in pictures for picture in one]
    labels = [label for label, one in enumerate(pictures) for _ in one]
    return LabelledImages(name, torch.stack(images), torch.tensor(labels), classes)


def clothes(count: int = 1500) -> tuple[LabelledImages, LabelledImages | None]:
    """Fashion-MNIST's embedded subset, enlarged and repeated in three channels."""
    return _enlarged("train", count), _enlarged("test", count)


def _enlarged(split: str, count: int) -> LabelledImages:
    data = load_data("fashion_mnist_mini", split)  # type: ignore[arg-type]
    assert isinstance(data, LabelledImages)
    chosen = to_rgb(data.balanced_subset(count, seed=0))
    large: Tensor = TF.resize(chosen.pixels(slice(None)), [SIDE, SIDE], antialias=True).clamp(0, 1)
    return LabelledImages("clothes", (large * 255).round().to(torch.uint8), chosen.labels, chosen.classes)


SETS: dict[str, Callable[[], tuple[LabelledImages, LabelledImages | None]]] = {
    "stamps": stamps,
    "clip art": clipart,
    "icons": icons,
    "clothes": clothes,
    "tiles": dungeon_tiles,
    "letters": letters,
}
"""All images and None where splits are drawn, or training and test images where there are some."""
