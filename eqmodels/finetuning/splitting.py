"""Training images that are held out to choose on: the same ones for every seed, by what the images are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data import Source, is_labelled
from eqmodels.data.pictures import BadFile
from eqmodels.data.source import numbers_of, parts_of, skipped_of
from eqmodels.data.view import View
from eqmodels.errors import shown
from eqmodels.processes import World

__all__ = ["Together", "check_classes", "image_digests", "validation_split"]


@dataclass(frozen=True, eq=False)
class Together(View):
    """Images to train on and images to choose on, as one source.

    Args:
        source: the training images.
        others: those to choose on, numbered after them, of the same channels, size and classes.
    """

    others: Source

    def __len__(self) -> int:
        return len(self.source) + len(self.others)

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image, int64."""
        return torch.cat([self.source.labels, self.others.labels])

    @property
    def skipped(self) -> tuple[BadFile, ...]:
        """Files of both that were left out, as was asked for, because they could not be read."""
        return (*skipped_of(self.source), *skipped_of(self.others))

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        numbers, first = numbers_of(indices, len(self)), len(self.source)
        images = torch.empty(len(numbers), self.channels, *self.size)
        for part, source, before in ((numbers < first, self.source, 0), (numbers >= first, self.others, first)):
            if part.any():
                images[part] = source.pixels(numbers[part] - before)
        return images

    def split(self) -> tuple[Int[Tensor, " N"], Int[Tensor, " M"]]:
        """The numbers of the images to train on, and of those to choose on."""
        first, second = torch.arange(len(self)).split([len(self.source), len(self.others)])
        return first, second


def check_classes(source: Source) -> None:
    """Refuses images that no classifier can learn from.

    Raises:
        ValueError: if they have no labels, or are all of one class.
    """
    if not is_labelled(source):
        raise ValueError(
            f"fine-tuning needs a class of every image; {source.name} has none. Put the images into one folder a "
            "class, or use the features as they are (eqmodels embed)."
        )
    present = source.labels.unique().tolist()
    if len(present) < 2:
        raise ValueError(
            f"fine-tuning learns to tell classes apart and needs at least two; all {len(source)} training images of "
            f"{source.name} are of {source.classes[present[0]]!r}. Add images of another class."
        )


def image_digests(source: Source, world: World | None = None) -> list[bytes]:
    """A number of 128 bits for each image, equal for equal pixels; in one pass.

    Args:
        source: of the images.
        world: the processes that share the work; None for this one alone.
    """

    def digests(part: slice) -> list[bytes]:
        images = source.pixels(part)
        return [hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest() for image in images]

    return [digest for part in (world or World()).spread(digests, parts_of(source)) for digest in part]


def validation_split(
    source: Source, fraction: float, digests: list[bytes] | None = None
) -> tuple[Int[Tensor, " N"], Int[Tensor, " M"]]:
    """The numbers of the images to train on, and of those to choose on, both rising.

    Of every class the part `fraction` is held out, rounded to the nearest and at least one image; the only image of a
    class is trained on. Which ones are held out says a hash of their pixels: so an image that is added moves at most
    one other, and copies of an image are all on one side (but where a class has nothing else).

    Args:
        source: of all training images, with classes.
        fraction: of the images of every class, above 0 and at most 0.5.
        digests: of `image_digests`, if they are known.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the fraction is out of range, the images have no labels or one class alone, or no class has two
            images.
    """
    check_arguments(validation_split, {"source": source, "fraction": fraction})
    if not 0 < fraction <= 0.5:
        raise ValueError(f"fraction must be above 0 and at most 0.5; got {shown(fraction)}. Pass 0.2 for a fifth.")
    check_classes(source)
    keys = image_digests(source) if digests is None else digests
    held_out = torch.zeros(len(source), dtype=torch.bool)
    labels = source.labels
    for label in labels.unique().tolist():
        members = sorted((labels == label).nonzero().flatten().tolist(), key=lambda number: (keys[number], number))
        if len(members) > 1:
            held_out[members[: _count([keys[number] for number in members], fraction)]] = True
    if not held_out.any():
        raise ValueError(
            "fine-tuning holds training images out to choose on, of classes that have at least two; every class of "
            f"{source.name} has one. Add images."
        )
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()


def _count(keys: list[bytes], fraction: float) -> int:
    """How many of the sorted keys of a class are held out: at a place where two neighbours differ, if there is one."""
    wanted = min(max(round(fraction * len(keys)), 1), len(keys) - 1)
    borders = [place for place in range(1, len(keys)) if keys[place - 1] != keys[place]]
    return min(borders, key=lambda place: abs(place - wanted), default=wanted)
