"""Anything that has a length and items, as PyTorch's loaders take it, as a source: torchvision's and torchgeo's too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from eqmodels._shapes import Float, Int, Shaped
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.data.classes import numbered
from eqmodels.data.levels import from_levels
from eqmodels.data.pictures import Picture, check_channels
from eqmodels.data.planes import channels_first
from eqmodels.data.source import check_source, numbers_of
from eqmodels.errors import shown
from eqmodels.transforms import Pixels, Resize
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["TorchData", "from_torch"]

GREY = ("1", "L", "LA", "La", "F")
"""Modes of PIL of one channel, opacity apart; those that begin with an I are of one too."""


@dataclass(frozen=True, eq=False)
class TorchData:
    """The items of a data set as a `Source`, each read when it is asked for; see `from_torch`.

    Attributes:
        name: what the data set is called.
        dataset: has a length and items.
        channels: of the images.
        size: height and width of the images in pixels.
        background: the colour that transparent pictures are laid on.
        image: where the image is in an item that is a mapping.
        label: where the label is; None if labels are left out.
        named: the classes, if they are said.
        scale: what pixels are divided by; None for those of PIL, of 8 or 16 bits, or in [0, 1].
        made: makes pixels of the picture of an item.
    """

    name: str
    dataset: Any
    channels: int
    size: tuple[int, int]
    background: str
    image: str
    label: str | None
    named: tuple[str, ...] | None
    scale: float | None
    made: nn.Module

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64; all -1 where nobody labelled them. Read at once, when first asked for."""
        return self._labelling[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class; empty where nobody labelled them."""
        return self._labelling[1]

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1].

        Raises:
            ValueError: if an image has another size than the first, or other channels, or is in no known range.
        """
        numbers = numbers_of(indices, len(self)).tolist()
        if not numbers:
            return torch.empty(0, self.channels, *self.size)
        return torch.stack([self._pixels(number) for number in numbers])

    def _pixels(self, number: int) -> Float[Tensor, "C H W"]:
        try:
            picture = picture_in(self.dataset[number], self.image, self.scale, self.channels)
            pixels: Tensor = self.made(picture)
        except (ValueError, TypeError) as error:
            raise ValueError(f"image {number} of {self.name} cannot be read: {error}") from error
        if tuple(pixels.shape) != (self.channels, *self.size):
            raise ValueError(
                f"images of {self.name} must have the size of the first, {self.size}; image {number} has "
                f"{tuple(pixels.shape[1:])}. Pass size=, for instance size=64."
            )
        return from_levels(pixels) if pixels.dtype == torch.uint8 else pixels.float()

    @cached_property
    def _labelling(self) -> tuple[Int[Tensor, " N"], tuple[str, ...]]:
        """Labels and classes."""
        unlabelled = torch.tensor(-1).expand(len(self))
        first = None if self.label is None else label_in(self.dataset[0], self.label)
        if first is None:
            return unlabelled, ()
        values = _listed_labels(self.dataset)
        if values is None or len(values) != len(self) or _label(values[0]) != first:
            values = [label_in(self.dataset[number], str(self.label)) for number in range(len(self))]
        labels = [_label(value) for value in values]
        if set(labels) == {-1}:  # as torchvision marks those without
            return unlabelled, ()
        numbers, classes = numbered(labels, self.named or _named_classes(self.dataset), self.name)
        return torch.tensor(numbers), classes


def from_torch(
    dataset: object,
    *,
    name: str | None = None,
    classes: Sequence[str] | None = None,
    channels: int | None = None,
    size: int | tuple[int, int] | None = None,
    background: str = WHITE,
    image: str = "image",
    label: str | None = "label",
    scale: float | None = None,
) -> TorchData:
    """A data set of torchvision, of torchgeo or of one's own as a source; nothing is read before it is asked for.

    An item is an image and its label (and more, which is left out), a mapping that has both, or an image alone: of PIL,
    a tensor ``(C, H, W)`` or ``(H, W)``, or an array of numpy, also ``(H, W, C)``; of 8 or 16 bits, or floats in
    [0, 1]. Pictures become images as those of a folder do, see `Pixels`. Labels are integers or words; they are taken
    from `targets` or `labels` of the data set if it has them, else all items are read once when labels are asked for.

    Args:
        dataset: has `__len__` and `__getitem__`.
        name: what the source is called; None for the name of the class.
        classes: the name of each class, by the number of its label; None for what the data set says, else the labels.
        channels: of the images; None for those of the first.
        size: side of the squares that images become, or height and width; None if they are all of one size.
        background: the colour of what transparent pictures lie on, as PIL names it.
        image: the key of the image, where items are mappings.
        label: the key of the label; None to leave labels out.
        scale: what pixels of tensors and arrays are divided by, such as 10000 for reflectances; None if 8 or 16 bits or
            [0, 1] are their range.

    Raises:
        TypeError: if an argument is of another type, or the data set lacks a length or items.
        ValueError: if it is empty, its first item holds no image, or a number is out of its range.
    """
    check_arguments(from_torch, locals())
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or isinstance(dataset, str | Mapping):
        raise TypeError(
            f"dataset must have __len__ and __getitem__, as torchvision's data sets have; got {shown(dataset)}. "
            "Read what comes as a stream into a list first."
        )
    name = type(dataset).__name__ if name is None else name
    if not len(dataset):
        raise ValueError(f"{name} must have images; got none. Pass a data set that has some.")
    check_channels(channels)
    if scale is not None and not scale > 0:
        raise ValueError(f"scale must be positive; got {scale}. Pass what white is, such as 10000.")
    first = picture_in(dataset[0], image, scale, channels)
    count = check_channels(_channels_of(first) if channels is None else channels)
    sides = (size, size) if isinstance(size, int) else size
    for side in sides or ():
        check_count("size", side)
    steps: list[nn.Module] = [Pixels(count or 1, background)]
    made = nn.Sequential(*(steps if sides is None else [*steps, Resize(sides, "crop")]))
    height, width = made(first).shape[-2:]
    named = None if classes is None else tuple(classes)
    found = TorchData(name, dataset, count or 1, (height, width), background, image, label, named, scale, made)
    check_source(found, name)
    return found


def picture_in(item: Any, image: str, scale: float | None, channels: int | None) -> Picture:  # noqa: ANN401
    """The image of an item, of PIL or as pixels ``(C, H, W)``.

    Raises:
        TypeError: if there is none.
        ValueError: if it has other axes.
    """
    if isinstance(item, Mapping):
        if image not in item:
            raise TypeError(f"items have the keys {', '.join(map(str, item))}; got no {image!r}. Pass image=.")
        item = item[image]
    elif isinstance(item, tuple | list):
        item = item[0] if item else None
    if isinstance(item, Image.Image):
        return item
    if isinstance(item, np.ndarray):
        allowed = () if channels is None else (1, 3) if channels in (1, 3) else (channels,)
        array = np.ascontiguousarray(channels_first(item, allowed))
        item = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    if not isinstance(item, Tensor):
        raise TypeError(f"an item must hold an image of PIL, a tensor or an array; got {shown(item)}.")
    if item.dim() not in (2, 3):
        raise ValueError(f"an image must be (C, H, W) or (H, W); got the shape {tuple(item.shape)}.")
    pixels: Shaped[Tensor, "C H W"] = item if item.dim() == 3 else item[None]
    return pixels if scale is None else (pixels.double() / scale).float()


def label_in(item: Any, label: str) -> int | str | None:  # noqa: ANN401
    """The label of an item; None if it has none.

    Raises:
        TypeError: if it is neither an integer nor a word.
    """
    if isinstance(item, Mapping):
        return _label(item[label]) if label in item else None
    return _label(item[1]) if isinstance(item, tuple | list) and len(item) > 1 else None


def _label(value: Any) -> int | str:  # noqa: ANN401
    if isinstance(value, Tensor | np.ndarray | np.generic) and len(value.reshape(-1)) == 1:
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | str):
        return int(value) if isinstance(value, int) else value
    raise TypeError(
        f"a label must be an integer or a word; got {shown(value)}. Pass label=None to leave labels out, or a data set "
        "whose target_transform makes one of it."
    )


def _channels_of(picture: Picture) -> int:
    """Channels that a picture shows: three of one in colours, whatever its mode."""
    if isinstance(picture, Tensor):
        return picture.shape[-3]
    return 1 if picture.mode in GREY or picture.mode.startswith("I") else 3


def _listed_labels(dataset: Any) -> list[Any] | None:  # noqa: ANN401
    """All labels that a data set lists, without its images being read; None if it does not, or changes them."""
    if isinstance(dataset, torch.utils.data.Subset):
        whole = _listed_labels(dataset.dataset)
        return None if whole is None else [whole[number] for number in dataset.indices]
    if getattr(dataset, "target_transform", None) is not None:
        return None
    found = next((getattr(dataset, name) for name in ("targets", "labels") if hasattr(dataset, name)), None)
    return list(found) if isinstance(found, list | tuple | Tensor | np.ndarray) and len(found) else None


def _named_classes(dataset: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    """The names of the classes, if a data set has them."""
    while isinstance(dataset, torch.utils.data.Subset):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    is_named = isinstance(names, list | tuple) and all(isinstance(one, str) for one in names)
    return tuple(names) if is_named and names else None
