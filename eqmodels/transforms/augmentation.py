"""Random augmentation of a batch, with draws of its own for every image and as an argument."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.transforms.view import ViewParameters

__all__ = ["Augmentation", "Compose", "NoAugmentation", "check_range"]


def check_range(name: str, value: int | float, least: int | float, most: int | float = math.inf) -> int | float:
    """The number itself, if it is finite and lies in ``[least, most]``.

    Raises:
        ValueError: if it does not.
    """
    if not least <= value <= most or value == math.inf:
        raise ValueError(f"{name} must lie in {least:g} .. {most:g}; got {value!r}. Pass, say, {least:g}.")
    return value


class Augmentation(ABC):
    """A random transformation of images whose randomness is a matrix of uniform numbers, one row an image.

    Drawing and applying are two steps, so that a batch that is split over processes is augmented as if it were whole,
    on whatever device: ``augmentation(images, generator)`` is both.

    Attributes:
        numbers: how many uniform numbers an image needs.
    """

    numbers: int

    def draw(self, batch: int, generator: torch.Generator | None = None) -> Float[Tensor, "B numbers"]:
        """Uniform numbers in [0, 1) for so many images, on the CPU.

        Args:
            batch: number of images.
            generator: a generator on the CPU; None for the global one.
        """
        return torch.rand(batch, self.numbers, generator=generator, device="cpu")

    @abstractmethod
    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B numbers"]) -> Float[Tensor, "B C H W"]:
        """The augmentation that the numbers stand for, image by image.

        Args:
            images: values in [0, 1], on any device.
            uniforms: as `draw` makes them.
        """

    def view(self, uniforms: Float[Tensor, "B numbers"], height: int, width: int) -> ViewParameters:
        """How `apply` makes views of images of the given size from the same numbers, in float64 on the CPU."""
        return self.change(ViewParameters.of_raw(len(uniforms), height, width), uniforms)

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B numbers"]) -> ViewParameters:  # noqa: ARG002
        """What becomes of a view; what `ViewParameters` has no word for (taking all colour out) leaves it as it is."""
        return view

    def __call__(
        self, images: Float[Tensor, "B C H W"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "B C H W"]:
        """Draws and applies.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they are no batch of images.
        """
        if images.dim() != 4:
            raise ValueError(
                f"images must have the shape (batch, channels, height, width); got {tuple(images.shape)}. "
                "Add a missing batch axis with images[None]."
            )
        if not images.is_floating_point():
            raise TypeError(
                f"images must be floating point with values in [0, 1]; got {images.dtype}. Convert with images / 255."
            )
        return self.apply(images, self.draw(len(images), generator))


class NoAugmentation(Augmentation):
    """Images as they are."""

    numbers = 0

    def apply(
        self,
        images: Float[Tensor, "B C H W"],
        uniforms: Float[Tensor, "B numbers"],  # noqa: ARG002
    ) -> Float[Tensor, "B C H W"]:
        """The images themselves."""
        return images


class Compose(Augmentation):
    """Augmentations one after the other, each with its own columns of the numbers.

    Raises:
        TypeError: if an argument is of another type.
    """

    def __init__(self, *parts: Augmentation) -> None:
        check_arguments(Compose, locals())
        self.parts = parts
        self.numbers = sum(part.numbers for part in parts)

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B numbers"]) -> Float[Tensor, "B C H W"]:
        """What the parts make of the images, in their order."""
        for part, columns in zip(self.parts, uniforms.split([part.numbers for part in self.parts], 1), strict=True):
            images = part.apply(images, columns)
        return images

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B numbers"]) -> ViewParameters:
        """The changes of all parts."""
        for part, columns in zip(self.parts, uniforms.split([part.numbers for part in self.parts], 1), strict=True):
            view = part.change(view, columns)
        return view
