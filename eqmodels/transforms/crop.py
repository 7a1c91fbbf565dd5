"""Random flips and crops, each image its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.transforms.augmentation import Augmentation, check_range
from eqmodels.transforms.view import ViewParameters

__all__ = ["RandomCrop", "RandomHorizontalFlip", "RandomResizedCrop"]


MOST_PADDING = 2**16
"""Pixels: far more than an image has."""


class RandomHorizontalFlip(Augmentation):
    """Flips each image left to right with a probability.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if it is no probability.
    """

    numbers = 1

    def __init__(self, probability: float = 0.5) -> None:
        check_arguments(RandomHorizontalFlip, locals())
        self.probability = check_range("probability", probability, 0, 1)

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B 1"]) -> Float[Tensor, "B C H W"]:
        """The chosen images mirrored left to right."""
        chosen = (uniforms < self.probability).to(images.device)[:, :, None, None]
        return torch.where(chosen, v2.horizontal_flip(images), images)

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B 1"]) -> ViewParameters:
        """The flips of the chosen images."""
        return view.mirrored(uniforms[:, 0] < self.probability)


class RandomCrop(Augmentation):
    """Pads each image with zeros and crops it back to its size at a random place: a random shift.

    Args:
        padding: pixels on every side.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if it is negative, or far more than an image has pixels.
    """

    numbers = 2

    def __init__(self, padding: int = 4) -> None:
        check_arguments(RandomCrop, locals())
        check_range("padding", padding, 0, MOST_PADDING)
        self.padding = padding

    def offsets(self, uniforms: Float[Tensor, "B 2"]) -> Int[Tensor, "B 2"]:
        """Top and left of each crop in the padded image, uniform in 0 .. 2 padding."""
        return (uniforms * (2 * self.padding + 1)).long()

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B 2"]) -> Float[Tensor, "B C H W"]:
        """Each image shifted by its own offset, zeros where nothing was."""
        top, left = self.offsets(uniforms).to(images.device).unbind(1)
        height, width = images.shape[-2:]
        padded: Tensor = v2.pad(images, [self.padding])
        rows = top[:, None] + torch.arange(height, device=images.device)
        columns = left[:, None] + torch.arange(width, device=images.device)
        batch = torch.arange(len(images), device=images.device)
        cropped = padded[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return cropped.movedim(-1, 1)

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B 2"]) -> ViewParameters:
        """A box as large as the view, shifted."""
        return view.cropped(torch.cat([self.offsets(uniforms).double() - self.padding, view.image_size], 1))


class RandomResizedCrop(Augmentation):
    """Crops a rectangle of random area and aspect ratio from each image and resizes it to the image's size.

    The rectangles are distributed as those of torchvision's transform of this name, and the resizing is its bilinear
    one: ten attempts at an area and a ratio whose rectangle fits, else the largest centred one of a permitted ratio.

    Args:
        scale: least and largest area, as parts of the image's.
        ratio: least and largest width / height, drawn uniformly in the logarithm.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if an area is not in 0 .. 1, a ratio not positive, or a pair not in order.

    Source: Szegedy et al. 2015, arXiv 1409.4842.
    """

    ATTEMPTS = 10
    numbers = 2 * ATTEMPTS + 2

    def __init__(self, scale: tuple[float, float] = (0.2, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> None:
        check_arguments(RandomResizedCrop, locals())
        for name, (least, most), limit in (("scale", scale, 1.0), ("ratio", ratio, math.inf)):
            if not 0 < least <= most <= limit:
                raise ValueError(
                    f"{name} must be a pair 0 < least <= largest{' <= 1' if limit == 1 else ''}; got {(least, most)}. "
                    f"Pass, say, {'(0.2, 1.0)' if name == 'scale' else '(3 / 4, 4 / 3)'}."
                )
        self.scale, self.ratio = scale, ratio

    def boxes(self, uniforms: Float[Tensor, "B numbers"], height: int, width: int) -> Int[Tensor, "B 4"]:
        """Top, left, height and width of each rectangle, in pixels of an image of the given size."""
        tries = uniforms[:, :-2].double().unflatten(1, (self.ATTEMPTS, 2))
        area = height * width * (self.scale[0] + tries[..., 0] * (self.scale[1] - self.scale[0]))
        log_low, log_high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = (log_low + tries[..., 1] * (log_high - log_low)).exp()
        widths, heights = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        first = fits.to(torch.uint8).argmax(1, keepdim=True)
        found = fits.any(1)
        full_height, full_width = self._largest(height, width)
        h = torch.where(found, heights.gather(1, first)[:, 0], full_height)
        w = torch.where(found, widths.gather(1, first)[:, 0], full_width)
        top = (uniforms[:, -2] * (height - h + 1)).long()
        left = (uniforms[:, -1] * (width - w + 1)).long()
        top = torch.where(found, top, (height - full_height) // 2)
        left = torch.where(found, left, (width - full_width) // 2)
        return torch.stack([top, left, h, w], 1)

    def _largest(self, height: int, width: int) -> tuple[int, int]:
        """The height and width of the largest rectangle of a permitted ratio."""
        if width / height < self.ratio[0]:
            return round(width / self.ratio[0]), width
        if width / height > self.ratio[1]:
            return height, round(height * self.ratio[1])
        return height, width

    def apply(self, images: Float[Tensor, "B C H W"], uniforms: Float[Tensor, "B numbers"]) -> Float[Tensor, "B C H W"]:
        """Each image's own crop, resized to the size of the image."""
        height, width = images.shape[-2:]
        top, left, h, w = self.boxes(uniforms, height, width).unbind(1)
        # Bilinear resizing is linear and separable: one matrix an axis and image.
        rows = _resizing(top, h, height).to(images.device, images.dtype)[:, None]
        columns = _resizing(left, w, width).to(images.device, images.dtype)[:, None]
        return rows @ images @ columns.mT

    def change(self, view: ViewParameters, uniforms: Float[Tensor, "B numbers"]) -> ViewParameters:
        """The random rectangle."""
        height, width = (int(size) for size in view.image_size[0])
        return view.cropped(self.boxes(uniforms, height, width).double())


def _resizing(start: Int[Tensor, " B"], length: Int[Tensor, " B"], size: int) -> Float[Tensor, "B size size"]:
    """The matrices that stretch the pixels ``start .. start + length - 1`` of an axis over all its `size` pixels."""
    pixels = torch.arange(size, dtype=torch.float64, device=start.device)
    lengths = length[:, None].double()  # a quotient of integers would be float32
    within = ((pixels + 0.5) * (lengths / size) - 0.5).clamp(min=0).minimum(lengths - 1)
    position = start[:, None] + within
    # A pixel takes part as far as it is nearer than one pixel: the weights of two neighbours.
    return (1 - (position[:, :, None] - pixels).abs()).clamp(min=0)
