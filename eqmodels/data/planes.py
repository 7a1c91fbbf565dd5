"""Pixels of files that PIL does not read whole: arrays of numpy, TIFF of many channels, colours of 16 bits."""

from __future__ import annotations

import importlib
import io
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = [
    "MOST_CHANNELS",
    "NUMPY",
    "Planes",
    "channels_first",
    "check_extent",
    "check_kind",
    "deep_png",
    "is_tiff",
    "numpy_planes",
    "optional",
    "tiff_planes",
    "upright",
]

MOST_CHANNELS = 64
"""Of an image."""

NUMPY = b"\x93NUMPY"
"""The first bytes of an array as numpy writes it."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF, of 32 bits or 64."""

INVERTED, PLAIN = 0, (1, 2, 5)
"""Colours of a TIFF whose samples are channels: grey of which 0 is white, and grey, RGB and CMYK."""

OPACITIES = {1: "associated", 2: "straight"}
"""What a sample beside the colours of a TIFF may be."""

Array = npt.NDArray[Any]


def channels_first(array: Array, channels: tuple[int, ...] = ()) -> Array:
    """An image ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` as ``(C, H, W)``.

    The axis of the channels is the first or the last, never the one between: whichever has as many entries as an image
    may have channels.

    Args:
        array: of the image.
        channels: how many it may have; empty for any number up to 64.

    Raises:
        ValueError: if it has other axes, neither can be that of the channels, or both; gives the reason alone.
    """
    if array.ndim == 2:
        return array[None]
    if array.ndim != 3:
        raise ValueError(f"its shape {array.shape} is none of (H, W), (C, H, W) and (H, W, C)")
    fits = [
        axis for axis in (0, 2) if (array.shape[axis] in channels if channels else array.shape[axis] <= MOST_CHANNELS)
    ]
    words = " or ".join(map(str, channels)) or f"up to {MOST_CHANNELS}"
    if len(fits) == 2:
        way_out = "save it as TIFF" if channels else "say how many by channels= (--channels)"
        raise ValueError(f"its shape {array.shape} may have its {words} channels first or last: {way_out}")
    if not fits:
        raise ValueError(f"its shape {array.shape} has {words} channels neither first nor last")
    return np.moveaxis(array, fits[0], 0)


def check_kind(array: Array) -> Array:
    """The array itself if its pixels are of 8 or 16 bits without a sign, or floats; floats of 32 bits.

    Raises:
        ValueError: if they are something else; gives the reason alone.
    """
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return array.astype(array.dtype.newbyteorder("="))  # in the order of the bytes that PyTorch takes
    raise ValueError(
        f"its pixels are {array.dtype}, and uint8, uint16 and floats in [0, 1] are read: the white of others is not "
        "known"
    )


def check_extent(shape: tuple[int, ...]) -> None:
    """Refuses more pixels than any picture that PIL opens has, of all channels: a few bytes may claim to be so many.

    Raises:
        ValueError: if there are; gives the reason alone.
    """
    limit = 3 * 2 * (Image.MAX_IMAGE_PIXELS or math.inf)
    if math.prod(shape) > limit:
        raise ValueError(f"its {math.prod(shape):,} pixels of all channels exceed the limit of {limit:,}: cut it up")
    if 0 in shape:
        raise ValueError(f"its shape {shape} has no pixels")


def numpy_planes(content: bytes) -> Array:
    """The array in a file of numpy, whose header is believed only as far as there are bytes.

    Raises:
        ValueError: if it is damaged, or holds anything but numbers; gives the reason alone.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is an array of the format {version}, and 1.0 and 2.0 are read")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "uif":
        raise ValueError(f"its pixels are {dtype}, and no numbers")
    check_extent(shape)
    there = len(content) - stream.tell()
    if there < math.prod(shape) * dtype.itemsize:
        raise ValueError(f"it is truncated: {shape} of {dtype} take more than the {there} bytes that it has")
    flat = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def is_tiff(content: bytes) -> bool:
    """Whether a file begins as a TIFF does."""
    return content[:4] in TIFF


@dataclass(frozen=True)
class Planes:
    """Pixels of a file.

    Attributes:
        pixels: ``(C, H, W)``, uint8, uint16 or float32.
        opacity: whether the last channel is one, and has been multiplied with the others (``"associated"``) or not
            (``"straight"``); empty if it is a channel like the others.
    """

    pixels: Array
    opacity: str = ""


def tiff_planes(content: bytes) -> Planes:
    """The pixels of a TIFF: its pages of full size, or the samples of its one page; upright.

    Raises:
        ValueError: if it is damaged or has images of several sizes, axes of which none can be that of the channels, or
            colours that are no channels; gives the reason alone.
        ModuleNotFoundError: if tifffile is not installed.
    """
    tifffile = optional("tifffile", "a TIFF of several pages, or of other channels than PIL knows,")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        series = [one for one in file.series if not one.keyframe.is_reduced]
        if len(series) != 1:
            sizes = ", ".join(" x ".join(map(str, one.shape)) for one in series[:4])
            raise ValueError(f"it has images of several sizes ({sizes}): keep one of them")
        axes, shape, page = series[0].axes, series[0].shape, series[0].keyframe
        check_extent(shape)
        others = [side for axis, side in zip(axes, shape, strict=True) if axis not in "XY" and side > 1]
        if axes.count("X") != 1 or axes.count("Y") != 1 or axes.index("Y") > axes.index("X") or len(others) > 1:
            raise ValueError(f"of its axes {axes}, {shape}, it is not known which is that of the channels")
        if int(page.photometric) not in (INVERTED, *PLAIN):
            raise ValueError(f"its colours ({page.photometric.name.lower()}) are no channels: save it as RGB")
        # Some layouts need a codec, which tifffile asks for by an error of its own.
        planes = check_kind(series[0].asarray(maxworkers=1))
        orientation = getattr(page.tags.get("Orientation"), "value", 1)
        opacity = OPACITIES.get(int(page.extrasamples[-1]), "") if page.extrasamples and "S" in axes else ""
    if int(page.photometric) == INVERTED:
        planes = (1 if planes.dtype.kind == "f" else np.iinfo(planes.dtype).max) - planes
    planes = np.moveaxis(planes, (axes.index("Y"), axes.index("X")), (-2, -1))
    return Planes(upright(planes.reshape(-1, *planes.shape[-2:]), int(orientation)), opacity)


def upright(planes: Array, orientation: int) -> Array:
    """Planes ``(C, H, W)`` as the eight orientations of EXIF say that they are to be seen."""
    if orientation in (5, 6, 7, 8):  # the rows are columns
        planes = planes.swapaxes(1, 2)
    rows = orientation in (3, 4, 7, 8)
    columns = orientation in (2, 3, 6, 7)
    return planes[:, :: -1 if rows else 1, :: -1 if columns else 1]


def deep_png(content: bytes, orientation: int) -> Planes:
    """The pixels of a PNG of 16 bits, of which PIL gives 8; upright.

    Args:
        content: of the file.
        orientation: of EXIF.

    Raises:
        ModuleNotFoundError: if imagecodecs is not installed.
    """
    pixels: Array = optional("imagecodecs", "a PNG of colours of 16 bits").png_decode(content)
    planes = upright(np.moveaxis(pixels, -1, 0), orientation)
    return Planes(planes, "straight" if len(planes) in (2, 4) else "")


def optional(name: str, what: str) -> ModuleType:
    """A package that few images need.

    Args:
        name: of the package.
        what: needs it, for the sentence.

    Raises:
        ModuleNotFoundError: if it is not installed; says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{what} needs {name}, which is not installed; run: pip install {name.partition('.')[0]}", name=name
        ) from error
