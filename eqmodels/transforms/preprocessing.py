"""What happens to images before a pretrained network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.checks import check_count

__all__ = ["Pixels", "Preprocessing"]


class Pixels(nn.Module):
    """The pixels ``(..., channels, H, W)`` of a picture, from whatever mode of PIL, or of a tensor.

    A photograph is turned upright as its camera noted it (EXIF), as viewers show it. Palettes and other colours become
    RGB, what has no colours grey, and what is transparent lies on white, as the colours below it are arbitrary, mostly
    black; then one channel is made of three, or three of one.

    Args:
        channels: 1 for grey, 3 for RGB; pictures for another number must have just so many.

    Raises:
        TypeError: if `channels` is not an integer; in `forward`, if the picture is none, or its pixels are integers of
            more than 8 bits.
        ValueError: if `channels` is below 1; in `forward`, if the picture has another number of channels, more than 8
            bits each, no pixels, or floats that are not in [0, 1].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_count("channels", channels)
        self.colours = v2.Grayscale() if channels == 1 else v2.RGB() if channels == 3 else nn.Identity()

    def forward(self, picture: Any) -> Tensor:  # noqa: ANN401 (anything may be given)
        """The upright pixels ``(..., channels, H, W)`` of the picture, in the type that it has."""
        if isinstance(picture, Image.Image):
            picture = self._of_plain_mode(ImageOps.exif_transpose(picture))
        pixels = v2.functional.to_image(picture) if isinstance(picture, Tensor | Image.Image | np.ndarray) else None
        if pixels is None or not (pixels.dtype == torch.uint8 or pixels.is_floating_point()):
            kind = type(picture).__name__ if pixels is None else str(pixels.dtype)
            raise TypeError(
                f"transform takes a PIL image, or pixels as uint8 or as floats in [0, 1]; got {kind}. Open files with "
                "PIL.Image.open, and convert other integers, scaled to 255, with .to(torch.uint8)."
            )
        allowed = (1, 3) if self.channels in (1, 3) else (self.channels,)
        if pixels.shape[-3] not in allowed:
            raise ValueError(
                f"transform takes images of {' or '.join(map(str, allowed))} channels, (..., channels, height, width); "
                f"got the shape {tuple(pixels.shape)}. Choose channels of them, or load the network with in_chans=."
            )
        if pixels.numel() == 0:
            raise ValueError(
                f"transform takes images of at least one pixel; got the shape {tuple(pixels.shape)}. Leave empty "
                "ones out."
            )
        if pixels.is_floating_point():
            self._check_range(pixels)
        converted: Tensor = self.colours(pixels)
        return converted

    @staticmethod
    def _check_range(pixels: Float[Tensor, "*batch C H W"]) -> None:
        """Refuses pixels outside [0, 1], but for what rounding adds in the type that they have, or had in float32."""
        low, high = (float(bound) for bound in pixels.aminmax())
        slack = 2 * max(torch.finfo(dtype).eps for dtype in (pixels.dtype, torch.float32))
        # Not `low < ...`: NaN is in no range either.
        if not -slack <= low <= high <= 1 + slack:
            raise ValueError(
                f"transform takes floats in [0, 1]; got pixels from {low:.4g} to {high:.4g}. Divide those of 0 .. 255 "
                "by 255, clamp those of an interpolation with .clamp(0, 1), and leave NaN out."
            )

    def _of_plain_mode(self, picture: Image.Image) -> Image.Image:
        """A picture whose bands are its channels: in the modes of grey and of RGB, or of as many as are asked for."""
        if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
            raise ValueError(
                f"transform takes pictures of 8 bits a channel; got one of PIL's mode {picture.mode!r}, whose range is "
                "not known. Scale its pixels to 0 .. 255 first, and pass Image.fromarray(pixels.astype('uint8'))."
            )
        # One colour of a file may be the transparent one, in any mode.
        is_opaque = "transparency" not in picture.info and picture.getbands()[-1] not in ("A", "a")
        if picture.mode in ("L", "RGB") and is_opaque:
            return picture
        if self.channels not in (1, 3) and picture.mode not in ("1", "P", "PA"):
            return picture
        plain = "L" if picture.mode in ("1", "L", "LA") else "RGB"
        try:
            return picture.convert(plain) if is_opaque else _on_white(picture).convert(plain)
        except ValueError as error:
            raise ValueError(
                f"transform takes pictures that PIL can convert to RGB; got the mode {picture.mode!r} ({error}). "
                "Convert it yourself, for instance with PIL.ImageCms."
            ) from error

    def extra_repr(self) -> str:
        """The arguments, for `print(transform)`."""
        return str(self.channels)


def _on_white(picture: Image.Image) -> Image.Image:
    """A picture that is not transparent anywhere, as it looks on white paper."""
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation and size of the images that a network was trained on.

    Attributes:
        mean: of each channel over the training images, of pixels in [0, 1].
        deviation: standard deviation of each channel.
        size: height and width of the training images.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int]

    def normalise(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """``(x - mean) / deviation``, channel by channel, of pixels in [0, 1]."""
        mean, deviation = (
            torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images - mean) / deviation

    def with_channels(self, channels: int) -> Preprocessing:
        """The same for images of another number of channels: each gets the average of the old ones."""
        if channels == len(self.mean):
            return self
        return Preprocessing((fmean(self.mean),) * channels, (fmean(self.deviation),) * channels, self.size)

    def transform(self) -> v2.Compose:
        """The whole way from a PIL image, or pixels ``(..., C, H, W)`` as uint8 or in [0, 1], to the network's input.

        Upright, to as many channels as the network takes (see `Pixels`, and what it raises), resized to `size`
        (bilinear, antialiased), to float32 in [0, 1], normalised.
        """
        return v2.Compose(
            [
                Pixels(len(self.mean)),
                v2.Resize(self.size, antialias=True),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.mean, self.deviation),
                v2.ToPureTensor(),
            ]
        )
