"""What happens to images before a pretrained network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.checks import check_count
from eqmodels.transforms.resizing import FORMER, RESIZING, Resize

__all__ = ["Pixels", "Preprocessing"]

DEEP = 2**16 - 1
"""The largest pixel of 16 bits."""


class Pixels(nn.Module):
    """The pixels ``(..., channels, H, W)`` of a picture, from whatever mode of PIL, or of a tensor.

    A photograph is turned upright as its camera noted it (EXIF), as viewers show it. Palettes and other colours become
    RGB, what has no colours grey, and what is transparent lies on white, as the colours below it are arbitrary, mostly
    black; then one channel is made of three, or three of one. Pictures of 8 bits stay uint8, unless they are
    transparent; of 16 bits they become floats in [0, 1].

    Args:
        channels: 1 for grey, 3 for RGB; pictures for another number must have just so many.

    Raises:
        TypeError: if `channels` is not an integer; in `forward`, if the picture is none, or its pixels are integers
            other than uint8.
        ValueError: if `channels` is below 1; in `forward`, if the picture has another number of channels, integers of
            more than 16 bits, no pixels, or floats that are not in [0, 1].
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_count("channels", channels)
        self.colours = v2.Grayscale() if channels == 1 else v2.RGB() if channels == 3 else nn.Identity()

    def forward(self, picture: Any) -> Tensor:  # noqa: ANN401 (anything may be given)
        """The upright pixels ``(..., channels, H, W)`` of the picture: uint8, or floats in [0, 1]."""
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

    def _of_plain_mode(self, picture: Image.Image) -> Image.Image | Tensor:
        """A picture whose bands are its channels, grey, RGB or as many as are asked for; or its pixels as floats."""
        if picture.mode.startswith("I;16"):
            return torch.from_numpy(np.asarray(picture).astype(np.float32) / DEEP)[None]
        if picture.mode == "F":
            return torch.from_numpy(np.array(picture))[None]
        if picture.mode.startswith("I"):
            raise ValueError(
                f"transform takes pictures of 8 or 16 bits a channel; got one of PIL's mode {picture.mode!r}, whose "
                "range is not known. Divide its pixels by the largest that they can be, and pass floats in [0, 1]."
            )
        # One colour of a file may be the transparent one, in any mode.
        is_opaque = "transparency" not in picture.info and picture.getbands()[-1] not in ("A", "a")
        if picture.mode in ("L", "RGB") and is_opaque:
            return picture
        if self.channels not in (1, 3) and picture.mode not in ("1", "P", "PA"):
            return picture
        plain = "L" if picture.mode in ("1", "L", "LA") else "RGB"
        try:
            return picture.convert(plain) if is_opaque else _on_white(picture.convert("RGBA"))
        except ValueError as error:
            raise ValueError(
                f"transform takes pictures that PIL can convert to RGB; got the mode {picture.mode!r} ({error}). "
                "Convert it yourself, for instance with PIL.ImageCms."
            ) from error

    def extra_repr(self) -> str:
        """The arguments, for `print(transform)`."""
        return str(self.channels)


def _on_white(picture: Image.Image) -> Float[Tensor, "3 H W"]:
    """A picture of PIL's mode RGBA as it looks on white paper: floats in [0, 1], not rounded."""
    colours, opacity = (torch.from_numpy(np.array(picture)).movedim(-1, 0).double() / 255).split([3, 1])
    laid: Tensor = colours * opacity + (1 - opacity)
    return laid.float()


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become what a network takes: one object for folders, `transform()`, timm's config, ONNX and cards.

    Attributes:
        mean: of each channel over the training images, of pixels in [0, 1].
        deviation: standard deviation of each channel.
        size: height and width of the training images.
        resize: the rule by which pictures of other sizes get this one, a name of `RESIZING`: ``"crop"``, the largest
            part in the middle that has its proportions; ``"squash"``, the whole; or ``"squash_8bit"``, of files that
            name none, the whole with pixels rounded to 8 bits after each axis.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int]
    resize: str = "crop"

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Preprocessing:
        """What a file says, as `to_json` writes it.

        Raises:
            ValueError: if there are not as many means as deviations, or the rule of resizing is unknown.
        """
        mean, deviation = (tuple(map(float, content[key])) for key in ("mean", "deviation"))
        if len(mean) != len(deviation):
            raise ValueError(
                f"preprocessing must have as many means as deviations; got {len(mean)} and {len(deviation)}."
            )
        rule = content.get("resize", FORMER)
        RESIZING.find(rule, plugins=False)
        height, width = map(int, content["size"])
        return cls(mean, deviation, (height, width), rule)

    def to_json(self) -> dict[str, Any]:
        """For a file: the rule of resizing is left out where it is that of files that name none."""
        content: dict[str, Any] = {name: list(getattr(self, name)) for name in ("mean", "deviation", "size")}
        return content if self.resize == FORMER else {**content, "resize": self.resize}

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
        mean, deviation = (fmean(self.mean),) * channels, (fmean(self.deviation),) * channels
        return replace(self, mean=mean, deviation=deviation)

    def transform(self, size: tuple[int, int] | None = None) -> v2.Compose:
        """The whole way from a PIL image, or pixels ``(..., C, H, W)`` as uint8 or in [0, 1], to the network's input.

        Upright, to as many channels as the network takes (see `Pixels`, and what it raises), resized by the rule
        `resize`, to float32 in [0, 1], normalised. With ``"crop"`` and ``"squash"`` it commutes with quarter turns and
        flips of the picture, at every size: to 1e-6 before the normalisation.

        Args:
            size: height and width of the network's input; None for those of the training images.
        """
        return v2.Compose(
            [
                Pixels(len(self.mean)),
                Resize(self.size if size is None else size, self.resize),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.mean, self.deviation),
                v2.ToPureTensor(),
            ]
        )
