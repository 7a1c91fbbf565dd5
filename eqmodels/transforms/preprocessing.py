"""What happens to images before a pretrained network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor, ImageOps
from torch import Tensor, nn
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.transforms.resizing import FORMER, RESIZING, Resize

__all__ = ["WHITE", "Pixels", "Preprocessing", "check_background", "laid_on"]

DEEP = 2**16 - 1
"""The largest pixel of 16 bits."""

MOST_SHOWN = 4
"""Channels whose numbers a sentence shows."""

WHITE = "white"
"""What transparent pictures lie on, where nothing else is said."""


def check_background(background: str) -> str:
    """The background itself, if it is a colour.

    Raises:
        TypeError: if it is no string.
        ValueError: if PIL knows no such colour, or it is transparent itself.
    """
    if not isinstance(background, str):
        raise TypeError(f"background must be a string; got {shown(background)}. Use 'white', or '#808080'.")
    try:
        is_opaque = len(ImageColor.getrgb(background)) == 3
    except ValueError:
        is_opaque = False
    if not is_opaque:
        raise ValueError(
            f"background must be a colour that hides what is below, by its name or as '#rrggbb'; got "
            f"{shown(background)}. Use 'white', 'black' or '#808080'."
        )
    return background


def laid_on(
    background: str, colours: Float[Tensor, "C H W"], opacity: Float[Tensor, "1 H W"]
) -> Float[Tensor, "C H W"]:
    """Colours of one channel or three as they look on paper of a colour: ``opacity * colour + (1 - opacity) * paper``.

    Args:
        background: the colour of the paper, as PIL names it; grey on a paper of another colour gets three channels.
        colours: in [0, 1].
        opacity: in [0, 1].
    """
    paper = torch.tensor(ImageColor.getrgb(background)[:3], dtype=torch.float64)[:, None, None] / 255
    if len(colours) == 1 and bool((paper != paper[0]).any()):
        colours = colours.expand(3, -1, -1)
    laid: Tensor = colours.double() * opacity.double() + (1 - opacity.double()) * paper[: len(colours)]
    return laid.float()


class Pixels(nn.Module):
    """The pixels ``(..., channels, H, W)`` of a picture, from whatever mode of PIL, or of a tensor.

    A photograph is turned upright as its camera noted it (EXIF), as viewers show it. Palettes and other colours become
    RGB, what has no colours grey, and what is transparent lies on a background, as the colours below it are arbitrary,
    mostly black; then one channel is made of three, or three of one. Pictures of 8 bits stay uint8, unless they are
    transparent; of 16 bits they become floats in [0, 1].

    Args:
        channels: 1 for grey, 3 for RGB; pictures for another number must have just so many, of which none is taken for
            an opacity.
        background: the colour of what transparent pictures lie on, as PIL names it: ``"white"`` or ``"#808080"``.

    Raises:
        TypeError: if `channels` is not an integer or `background` no string; in `forward`, if the picture is none, or
            its pixels are integers other than uint8 and uint16.
        ValueError: if `channels` is below 1 or `background` no colour; in `forward`, if the picture has another number
            of channels, integers of more than 16 bits, no pixels, or floats that are not in [0, 1].
    """

    def __init__(self, channels: int, background: str = WHITE) -> None:
        super().__init__()
        self.channels, self.background = check_count("channels", channels), check_background(background)
        self.colours = v2.Grayscale() if channels == 1 else v2.RGB() if channels == 3 else nn.Identity()

    def forward(self, picture: Any) -> Tensor:  # noqa: ANN401 (anything may be given)
        """The upright pixels ``(..., channels, H, W)`` of the picture: uint8, or floats in [0, 1]."""
        if isinstance(picture, Image.Image):
            picture = self._of_plain_mode(ImageOps.exif_transpose(_of_known_range(picture)))
        elif isinstance(picture, Tensor | np.ndarray) and picture.dtype in (torch.uint16, np.uint16):
            picture = (picture.float() if isinstance(picture, Tensor) else picture.astype(np.float32)) / DEEP
        pixels = v2.functional.to_image(picture) if isinstance(picture, Tensor | Image.Image | np.ndarray) else None
        if pixels is None or not (pixels.dtype == torch.uint8 or pixels.is_floating_point()):
            kind = type(picture).__name__ if pixels is None else str(pixels.dtype)
            raise TypeError(
                f"transform takes a PIL image, or pixels as uint8, uint16 or as floats in [0, 1]; got {kind}. Open "
                "files with eqmodels.data.open_picture, and convert other integers to floats in [0, 1]."
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
            return picture.convert(plain) if is_opaque else self._laid(picture.convert("RGBA"))
        except ValueError as error:
            raise ValueError(
                f"transform takes pictures that PIL can convert to RGB; got the mode {picture.mode!r} ({error}). "
                "Convert it yourself, for instance with PIL.ImageCms."
            ) from error

    def _laid(self, picture: Image.Image) -> Float[Tensor, "3 H W"]:
        """A picture of PIL's mode RGBA as it looks on the background: floats in [0, 1], not rounded."""
        colours, opacity = (torch.from_numpy(np.array(picture)).movedim(-1, 0).double() / 255).split([3, 1])
        return laid_on(self.background, colours, opacity)

    def extra_repr(self) -> str:
        """The arguments, for `print(transform)`."""
        return str(self.channels) if self.background == WHITE else f"{self.channels}, {self.background!r}"


def _of_known_range(picture: Image.Image) -> Image.Image:
    """The same; of a portable greymap of 16 bits, which PIL holds in 32, as one of 16."""
    return picture.convert("I;16") if (picture.format, picture.mode) == ("PPM", "I") else picture


def _numbers(values: tuple[float, ...]) -> str:
    """One number a channel, of many the first ones; one alone where all are the same."""
    if len(set(values)) == 1:
        return f"{values[0]:.4g}" + (f" (of {len(values)} channels)" if len(values) > 1 else "")
    shown = ", ".join(f"{value:.4g}" for value in values[:MOST_SHOWN])
    return shown + (f", ... (of {len(values)} channels)" if len(values) > MOST_SHOWN else "")


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become what a network takes: one object for folders, `transform()`, timm's config, ONNX and cards.

    Attributes:
        mean: of each channel over the training images, of pixels in [0, 1].
        deviation: standard deviation of each channel.
        size: height and width of the training images.
        resize: the rule by which pictures of other sizes get this one, a name of `RESIZING`: ``"crop"``, the largest
            part in the middle that has its proportions; ``"crop_7_8"``, seven eighths of it; ``"squash"``, the whole;
            or ``"squash_8bit"``, of files that name none, the whole with pixels rounded to 8 bits after each axis.
        background: the colour of what transparent pictures lie on, as PIL names it.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: tuple[int, int]
    resize: str = "crop"
    background: str = WHITE

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Preprocessing:
        """What a file says, as `to_json` writes it.

        Raises:
            ValueError: if there are not as many means as deviations, or the rule of resizing or the colour of the
                background is unknown.
        """
        mean, deviation = (tuple(map(float, content[key])) for key in ("mean", "deviation"))
        if len(mean) != len(deviation):
            raise ValueError(
                f"preprocessing must have as many means as deviations; got {len(mean)} and {len(deviation)}."
            )
        rule = content.get("resize", FORMER)
        RESIZING.find(rule, plugins=False)
        height, width = map(int, content["size"])
        background = check_background(content.get("background", WHITE))
        return cls(mean, deviation, (height, width), rule, background)

    def to_json(self) -> dict[str, Any]:
        """For a file: the rule of resizing and the background are left out where they are those of files without."""
        content: dict[str, Any] = {name: list(getattr(self, name)) for name in ("mean", "deviation", "size")}
        content |= {} if self.resize == FORMER else {"resize": self.resize}
        return content if self.background == WHITE else {**content, "background": self.background}

    def describe(self) -> str:
        """What happens to pictures, in words, for cards."""
        height, width = self.size
        how = {
            "crop": "cropped to the largest part in the middle of these proportions and resized",
            "crop_7_8": "cropped to seven eighths of the largest part in the middle of these proportions and resized",
            "squash": "squashed",
            "squash_8bit": "squashed",
        }.get(self.resize, f"by the rule {self.resize} made")
        mean, deviation = (_numbers(values) for values in (self.mean, self.deviation))
        return (
            f"turned upright as their camera noted it, laid on {self.background} where they are transparent, {how} to "
            f"{height} x {width} pixels (height x width), and, as numbers in [0, 1], normalised by the mean {mean} and "
            f"the deviation {deviation}"
        )

    def normalise(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """``(x - mean) / deviation``, channel by channel, of pixels in [0, 1]."""
        mean, deviation = (
            torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images - mean) / deviation

    def restore(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """``x * deviation + mean``, channel by channel: what `normalise` was given."""
        mean, deviation = (
            torch.tensor(values, device=images.device, dtype=images.dtype)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return images * deviation + mean

    def with_channels(self, channels: int) -> Preprocessing:
        """The same for images of another number of channels: each gets the average of the old ones."""
        if channels == len(self.mean):
            return self
        mean, deviation = (fmean(self.mean),) * channels, (fmean(self.deviation),) * channels
        return replace(self, mean=mean, deviation=deviation)

    def with_size(self, size: tuple[int, int]) -> Preprocessing:
        """The same for images of another height and width."""
        return replace(self, size=size)

    def transform(self, size: int | tuple[int, int] | None = None) -> v2.Compose:
        """The whole way from a PIL image, or pixels ``(..., C, H, W)`` as uint8, uint16 or in [0, 1], to the input.

        Upright, to as many channels as the network takes (see `Pixels`, and what it raises), resized by the rule
        `resize`, to float32 in [0, 1], normalised. With ``"crop"``, ``"crop_7_8"`` and ``"squash"`` it commutes with
        quarter turns and flips of the picture, at every size: to 1e-6 before the normalisation.

        Args:
            size: height and width of the network's input, one number for both; None for those of the training images.
        """
        size = (size, size) if isinstance(size, int) else size
        return v2.Compose(
            [
                Pixels(len(self.mean), self.background),
                Resize(self.size if size is None else size, self.resize),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(self.mean, self.deviation),
                v2.ToPureTensor(),
            ]
        )
