"""A data set in memory: images, labels, and what the labels mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from eqmodels._shapes import Float, Int, Shaped

__all__ = ["LabelledImages"]


@dataclass(frozen=True)
class LabelledImages:
    """Images of one size with their classes, in memory.

    Args:
        name: what the data set is called.
        images: ``(N, C, H, W)``, uint8.
        labels: ``(N,)``, the class of each image, int64.
        classes: the name of each class.

    Raises:
        ValueError: if there are no images, shapes do not match or a label names no class.
        TypeError: if the images are not uint8.
    """

    name: str
    images: Shaped[Tensor, "N C H W"]
    labels: Int[Tensor, " N"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8:
            raise TypeError(f"images of {self.name} must be uint8; got {self.images.dtype}. Scale them to 0 .. 255.")
        if self.images.dim() != 4 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"{self.name} needs images (N, channels, height, width) and N labels; got {tuple(self.images.shape)} "
                f"and {tuple(self.labels.shape)}."
            )
        if not len(self.images):
            raise ValueError(f"{self.name} has no images; got 0. Name a folder or a split that has some.")
        if not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"labels of {self.name} must name one of its {len(self.classes)} classes; got "
                f"{int(self.labels.min())} .. {int(self.labels.max())}. Number them from 0, and name every class."
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def has_colour(self) -> bool:
        """Whether the channels of any image differ."""
        # Most data sets show it in their first images.
        return any(bool((part != part[:, :1]).any()) for part in self.images.split(1024))

    def pixels(self, indices: Tensor | slice = slice(None)) -> Float[Tensor, "B C H W"]:
        """The chosen images as float32 in [0, 1]."""
        return self.images[indices].float() / 255

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel, of all pixels in [0, 1]; a deviation of 0 becomes 1."""
        means, deviations = [], []
        for channel in range(self.channels):
            # Integers, so that sums are exact whatever the number of pixels, and a constant channel's deviation is 0.
            counts = torch.bincount(self.images[:, channel].flatten(), minlength=256).tolist()
            number = sum(counts)
            total = sum(count * value for value, count in enumerate(counts))
            squares = sum(count * value**2 for value, count in enumerate(counts))
            means.append(total / number / 255)
            deviations.append(math.sqrt(number * squares - total**2) / number / 255 or 1.0)
        return tuple(means), tuple(deviations)

    def subset(self, indices: Sequence[int] | Tensor) -> LabelledImages:
        """The chosen images, in the given order.

        Raises:
            ValueError: if none is chosen.
        """
        chosen = torch.as_tensor(indices)
        if not chosen.numel():
            chosen = chosen.long()  # an empty list has no type of its own
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

    def balanced_subset(self, count: int, *, seed: int = 0) -> LabelledImages:
        """A random subset with equally many images of every class (one more of the first classes, if need be).

        Args:
            count: number of images.
            seed: of the choice.

        Raises:
            ValueError: if `count` is below 1, or a class has too few images.
        """
        if count < 1:
            raise ValueError(
                f"a subset needs at least one image; got count={count}. Ask for, say, {len(self.classes)}."
            )
        generator = torch.Generator().manual_seed(seed)
        share, rest = divmod(count, len(self.classes))
        chosen = []
        for label, class_name in enumerate(self.classes):
            members = (self.labels == label).nonzero()[:, 0]
            wanted = share + (label < rest)
            if wanted > len(members):
                raise ValueError(
                    f"a balanced subset of {count} images needs {wanted} of the class {class_name!r}; {self.name} has "
                    f"{len(members)}. Ask for fewer."
                )
            chosen.append(members[torch.randperm(len(members), generator=generator)[:wanted]])
        return self.subset(torch.cat(chosen).sort().values)

    def at_most(self, count: int | None, *, seed: int = 0) -> LabelledImages:
        """All images, if there are no more than `count` or it is None; else a balanced subset.

        Args:
            count: number of images, or None.
            seed: of the choice.

        Raises:
            ValueError: as `balanced_subset`.
        """
        return self if count is None or count >= len(self) else self.balanced_subset(count, seed=seed)

    def to_rgb(self) -> LabelledImages:
        """Grey images repeated in three channels; others as they are."""
        return replace(self, images=self.images.expand(-1, 3, -1, -1)) if self.channels == 1 else self

    def to_grey(self) -> LabelledImages:
        """Images of three channels as grey ones, by the usual weights (ITU-R 601-2); grey ones as they are."""
        if self.channels == 1:
            return self
        return replace(self, images=rgb_to_grayscale(self.images))

    def coloured(self, *, seed: int = 0) -> LabelledImages:
        """Grey images in random colours that do not depend on the class: ``(N, 1, H, W) -> (N, 3, H, W)``.

        The grey value blends between a dark and a light colour of the image's own, uniform in [0, 0.3] and [0.4, 1] in
        each channel.

        Args:
            seed: of the colours.

        Raises:
            ValueError: if the images have colours already.
        """
        if self.channels != 1:
            raise ValueError(
                f"only grey images can be coloured; {self.name} has {self.channels} channels. "
                "Leave out coloured (--coloured)."
            )
        generator = torch.Generator().manual_seed(seed)
        dark, light = torch.rand(2, len(self), 3, 1, 1, generator=generator)
        coloured = torch.empty(len(self), 3, *self.images.shape[-2:], dtype=torch.uint8)
        for start in range(0, len(self), 4096):
            part = slice(start, start + 4096)
            low, high = 0.3 * dark[part], 0.4 + 0.6 * light[part]
            coloured[part] = ((low + (high - low) * self.pixels(part)) * 255).round().to(torch.uint8)
        return replace(self, name=f"{self.name}, coloured", images=coloured)
