"""How a view of an image was made: where it was cropped, what was done to its colours, whether it was flipped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.checks import check_tensor

__all__ = ["ViewParameters"]


@dataclass(frozen=True, eq=False)
class ViewParameters:
    """How one view of every image of a batch was made. Views are as large as the raw images: a crop is resized.

    Args:
        image_size: height and width of the raw images, in pixels.
        crop: top, left, height and width of the crop, in pixels of the raw image (before any resizing or flip); the
            left and top are negative where a crop reaches beyond the image.
        colour: factors of brightness, contrast and saturation (1 for no change), and the shift of the hue in turns of
            the colour circle (0 for no change).
        flipped: whether the crop was flipped left to right.

    Raises:
        TypeError: if a part is no dense tensor, or of another type.
        ValueError: if the parts are not of these shapes or not on one device that holds values, or a size or a factor
            is not positive.
    """

    image_size: Float[Tensor, "B 2"]
    crop: Float[Tensor, "B 4"]
    colour: Float[Tensor, "B 4"]
    flipped: Bool[Tensor, " B"]

    def __post_init__(self) -> None:
        self._check_parts()
        batch = len(self.flipped)
        for part, columns in (("image_size", 2), ("crop", 4), ("colour", 4)):
            shape = tuple(getattr(self, part).shape)
            if shape != (batch, columns):
                raise ValueError(
                    f"{part} must have the shape ({batch}, {columns}), a row for each of the {batch} flags; "
                    f"got {shape}. Add a missing batch axis with x[None]."
                )
        for what, values in (
            ("the height and width of image_size", self.image_size),
            ("the height and width of crop", self.crop[:, 2:]),
            ("the factors of brightness, contrast and saturation in colour", self.colour[:, :3]),
        ):
            if bool((values <= 0).any()):
                raise ValueError(
                    f"{what} must be positive, as their ratios are compared; got {float(values.min()):g}. "
                    "Clamp them to a small positive number."
                )

    def _check_parts(self) -> None:
        """Refuses parts that cannot be compared; no value is looked at."""
        for part in ("flipped", "image_size", "crop", "colour"):
            values, flags = check_tensor(part, getattr(self, part)), part == "flipped"
            if (values.dtype != torch.bool) if flags else not values.is_floating_point():
                raise TypeError(
                    f"{part} must be {'True or False' if flags else 'floating point'}; got {values.dtype}. Convert it "
                    f"with .{'bool' if flags else 'double'}()."
                )
            if values.is_meta or values.device != self.flipped.device:
                raise ValueError(
                    f"{part} must hold values, on the device of the others; got {values.device} beside "
                    f"{self.flipped.device}. Make all parts on the CPU."
                )
        if self.flipped.dim() != 1:
            raise ValueError(
                f"flipped must be one flag an image, of the shape (batch,); got {tuple(self.flipped.shape)}. Pass one "
                "each."
            )

    @classmethod
    def of_raw(cls, batch: int, height: int, width: int) -> ViewParameters:
        """Images that are their own views: the whole of each, unchanged."""
        size = torch.tensor([[height, width]], dtype=torch.float64).expand(batch, 2)
        colour = torch.tensor([[1.0, 1.0, 1.0, 0.0]], dtype=torch.float64).expand(batch, 4)
        return cls(size, torch.cat([torch.zeros_like(size), size], 1), colour, torch.zeros(batch, dtype=torch.bool))

    def cropped(self, box: Float[Tensor, "B 4"]) -> ViewParameters:
        """The view of which a box (top, left, height and width in its own pixels) is taken and resized."""
        top, left, height, width = box.unbind(1)
        # A flipped view shows the right side of the crop on its left.
        left = torch.where(self.flipped, self.image_size[:, 1] - left - width, left)
        scale = self.crop[:, 2:] / self.image_size
        start = self.crop[:, :2] + torch.stack([top, left], 1) * scale
        return replace(self, crop=torch.cat([start, torch.stack([height, width], 1) * scale], 1))

    def recoloured(self, factors: Float[Tensor, "B 3"], hue: Float[Tensor, " B"]) -> ViewParameters:
        """The view with brightness, contrast and saturation times `factors`, and the hue shifted by so many turns."""
        return replace(self, colour=torch.cat([self.colour[:, :3] * factors, self.colour[:, 3:] + hue[:, None]], 1))

    def mirrored(self, chosen: Bool[Tensor, " B"]) -> ViewParameters:
        """The view of which the chosen images are flipped left to right."""
        return replace(self, flipped=self.flipped ^ chosen)
