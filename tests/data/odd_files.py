"""Odd files of images, of many formats, sizes and kinds of damage, with what is to become of each beside it.

``python -m tests.data.odd_files FOLDER`` writes them all.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

__all__ = ["ODD_FILES", "OddFile", "write_odd_files"]

H, W = 6, 8
FOREIGN = r"it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"


@dataclass(frozen=True)
class OddFile:
    """A file, how it is made, and what it is read as.

    Attributes:
        name: of the file.
        write: makes it.
        shape: of the image that it becomes; None if it is bad.
        corner: of a good one, the pixel of every channel at the upper left, in [0, 1]; None if it may be any.
        reason: of a bad one, a pattern that what is said begins with.
        channels: that are read.
    """

    name: str
    write: Callable[[Path], object]
    shape: tuple[int, int, int] | None = (3, H, W)
    corner: tuple[float, ...] | None = None
    reason: str = ""
    channels: int = 3


def pixels(*shape: int, kind: type = np.uint8, seed: int = 0) -> np.ndarray:
    """Random pixels over the whole range; the first of each channel is known to `corner`."""
    generator = np.random.default_rng(seed)
    if kind is np.float32:
        return generator.random(shape, dtype=np.float32)
    return generator.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def corner(array: np.ndarray) -> tuple[float, ...]:
    """The pixels at the upper left of ``(H, W, C)``, in [0, 1]."""
    first = np.atleast_1d(array[0, 0])
    return tuple(map(float, first / (1 if first.dtype.kind == "f" else np.iinfo(first.dtype).max)))


RGB, GREY, RGBA = pixels(H, W, 3), pixels(H, W), pixels(H, W, 4)
DEEP, DEEP_RGB, DEEP_RGBA = (pixels(*shape, kind=np.uint16) for shape in ((H, W), (H, W, 3), (H, W, 4)))
BANDS = pixels(13, H, W, kind=np.uint16)
THIRTEEN = tuple(float(value) / 65535 for value in BANDS[:, 0, 0])
DEEP_CORNER = (float(DEEP[0, 0]) / 65535,) * 3
NOTED = Image.Exif()
NOTED[0x0112] = 6  # turn clockwise to see it


def on_white(array: np.ndarray) -> tuple[float, ...]:
    """The pixel at the upper left of ``(H, W, colours and opacity)`` on white, in [0, 1]."""
    *colours, opacity = corner(array)
    return tuple(colour * opacity + 1 - opacity for colour in colours)


def pil(array: np.ndarray, mode: str | None = None, **options: object) -> Callable[[Path], None]:
    """What PIL writes, by the ending."""

    def write(file: Path) -> None:
        picture = Image.fromarray(array)
        (picture if mode is None else picture.convert(mode)).save(file, **options)

    return write


def tiff(array: np.ndarray, **options: object) -> Callable[[Path], None]:
    """What tifffile writes."""
    return lambda file: tifffile.imwrite(file, array, **options)


def numpy(array: np.ndarray) -> Callable[[Path], None]:
    """What numpy writes."""
    return lambda file: np.save(file, array)


def raw(content: bytes) -> Callable[[Path], object]:
    """These bytes."""
    return lambda file: file.write_bytes(content)


def cut(write: Callable[[Path], object], share: float) -> Callable[[Path], object]:
    """The beginning of what is written."""

    def shortened(file: Path) -> None:
        write(file)
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return shortened


def two_sizes(file: Path, *, is_reduced: bool) -> None:
    """A TIFF of two pages, the second smaller."""
    with tifffile.TiffWriter(file) as pages:
        pages.write(RGB, photometric="rgb", metadata=None)
        pages.write(RGB[:4, :5], photometric="rgb", metadata=None, subfiletype=1 if is_reduced else 0)


def saved(array: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture in a file."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """The start of a PNG that claims to be so large."""
    head = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + struct.pack(">I", 99) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + chunks + bytes(99)


def npy_of(shape: str, kind: str) -> bytes:
    """The start of an array of numpy that claims to be of a shape and a kind."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def huge_tiff(file: Path) -> None:
    """A TIFF that claims to have 2^32 pixels."""
    tiff(pixels(4, H, W), photometric="minisblack")(file)
    with tifffile.TiffFile(file, mode="r+b") as pages:
        for page in pages.pages:
            page.tags["ImageWidth"].overwrite(65500)
            page.tags["ImageLength"].overwrite(65500)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\n0 0 8 6 rectfill\nshowpage\n%%EOF\n"

GOOD = [
    OddFile("rgb.png", pil(RGB), corner=corner(RGB)),
    OddFile("UPPER.PNG", lambda file: file.write_bytes(saved(RGB, "PNG")), corner=corner(RGB)),
    OddFile("a name of words, é and 图.png", pil(RGB), corner=corner(RGB)),
    OddFile("a_jpeg_called.png", raw(saved(RGB, "JPEG"))),
    OddFile("one_pixel.png", pil(RGB[:1, :1]), (3, 1, 1), corner(RGB)),
    OddFile("thin.png", pil(pixels(300, 1, 3)), (3, 300, 1)),
    OddFile("grey.png", pil(GREY), corner=corner(GREY) * 3),
    OddFile("one_bit.png", pil(GREY, "1")),
    OddFile("palette.png", pil(RGB, "P")),
    OddFile(
        "grey_alpha.png", pil(np.stack([GREY, RGB[..., 0]], -1)), corner=on_white(np.stack([GREY, RGB[..., 0]], -1)) * 3
    ),
    OddFile("rgba.png", pil(RGBA), corner=on_white(RGBA)),
    OddFile("deep_grey.png", pil(DEEP), corner=DEEP_CORNER),
    OddFile(
        "deep_colour.png", lambda file: file.write_bytes(imagecodecs.png_encode(DEEP_RGB)), corner=corner(DEEP_RGB)
    ),
    OddFile(
        "deep_alpha.png", lambda file: file.write_bytes(imagecodecs.png_encode(DEEP_RGBA)), corner=on_white(DEEP_RGBA)
    ),
    OddFile("transparent.gif", pil(RGBA)),
    OddFile("moving.gif", pil(RGB, save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])),
    OddFile("grey.jpg", pil(GREY)),
    OddFile("cmyk.jpg", pil(RGB, "CMYK")),
    OddFile("progressive.jpeg", pil(RGB, progressive=True)),
    OddFile("turned.jfif", raw(saved(RGB, "JPEG", exif=NOTED)), (3, W, H)),
    OddFile("rgba.webp", pil(RGBA, lossless=True, exact=True), corner=on_white(RGBA)),
    OddFile("rgb.bmp", pil(RGB), corner=corner(RGB)),
    OddFile("grey.pgm", pil(GREY), corner=corner(GREY) * 3),
    OddFile("deep.pgm", raw(b"P5 8 6 65535\n" + DEEP.astype(">u2").tobytes()), corner=DEEP_CORNER),
    OddFile("rgb.ppm", pil(RGB), corner=corner(RGB)),
    OddFile("lzw.tif", pil(RGB, compression="tiff_lzw"), corner=corner(RGB)),
    OddFile("cmyk.tiff", pil(RGB, "CMYK")),
    OddFile("deep.tif", tiff(DEEP), corner=DEEP_CORNER),
    OddFile("deep_colour.tif", tiff(DEEP_RGB, photometric="rgb"), corner=corner(DEEP_RGB)),
    OddFile("deep_alpha.tif", tiff(DEEP_RGBA, photometric="rgb", extrasamples=[2]), corner=on_white(DEEP_RGBA)),
    OddFile("float.tif", tiff(pixels(H, W, kind=np.float32)), corner=corner(pixels(H, W, kind=np.float32)) * 3),
    OddFile("float_colour.tif", tiff(pixels(H, W, 3, kind=np.float32), photometric="rgb", compression="lzw")),
    OddFile("thumbnail.tif", lambda file: two_sizes(file, is_reduced=True), corner=corner(RGB)),
    OddFile("three_pages.tif", tiff(np.moveaxis(RGB, -1, 0), photometric="minisblack"), corner=corner(RGB)),
    OddFile("flat.npy", numpy(GREY), corner=corner(GREY) * 3),
    OddFile("colour.npy", numpy(np.asfortranarray(RGB)), corner=corner(RGB)),
    OddFile("floats.npy", numpy(RGB / 255), corner=corner(RGB)),
]
"""Read as pictures are."""


def many(
    name: str, write: Callable[[Path], object], values: tuple[float, ...] | None = THIRTEEN, count: int = 13
) -> OddFile:
    """A file of so many channels, of which the upper left pixel has these values."""
    return OddFile(name, write, (count, H, W), values, channels=count)


LAST = np.moveaxis(BANDS, 0, -1)
TWO = np.stack([GREY, RGB[..., 0]], -1)
NOTED_TIFF = {"metadata": None, "extratags": [(274, "H", 1, 3, True)]}  # turned by half

MANY = [
    many("pages.tif", tiff(BANDS, photometric="minisblack")),
    many("samples.tif", tiff(LAST, planarconfig="contig", photometric="minisblack")),
    many("planar.tif", tiff(BANDS, planarconfig="separate", photometric="minisblack", compression="zlib")),
    many("imagej.tif", tiff(BANDS, imagej=True)),
    many("turned.tif", tiff(BANDS, photometric="minisblack", **NOTED_TIFF), corner(LAST[::-1, ::-1])),
    many("inverted.tif", tiff(BANDS, photometric="miniswhite"), tuple(1 - value for value in THIRTEEN)),
    many("first.npy", numpy(BANDS)),
    many("last.npy", numpy(LAST)),
    many("swapped_bytes.npy", numpy(BANDS.astype(">u2"))),
    many("two.png", pil(TWO), corner(TWO), 2),
    many("four.tif", tiff(RGBA, photometric="separated"), corner(RGBA), 4),
    many("most.npy", numpy(pixels(64, H, W)), None, 64),
    many("one_of_three.png", pil(GREY), corner(GREY), 1),
]
"""Read as so many channels as they have."""


def bad(name: str, write: Callable[[Path], object], reason: str, channels: int = 3) -> OddFile:
    """A file that cannot be read."""
    return OddFile(name, write, None, None, reason, channels)


BAD = [
    bad("empty.png", raw(b""), FOREIGN),
    bad("text.jpg", raw(b"no image"), FOREIGN),
    bad("postscript.png", raw(EPS), FOREIGN),
    bad("drawing.png", raw(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), FOREIGN),
    bad("short.png", cut(pil(pixels(60, 80, 3)), 0.5), ".*truncated"),
    bad("short.jpg", cut(pil(pixels(60, 80, 3)), 0.5), ".*truncated"),
    bad("short.tif", cut(tiff(pixels(13, 60, 80), photometric="minisblack"), 0.5), ".", 13),
    bad("header_alone.tif", raw(b"II*\0"), "."),
    bad("short.npy", cut(numpy(RGB), 0.8), r"it is truncated: \(6, 8, 3\) of uint8 take more than the"),
    bad("magic_alone.npy", raw(b"\x93NUMPY"), "."),
    bad(
        "pickled.npy", lambda file: np.save(file, np.array([{}]), allow_pickle=True), "its pixels are object, and no n"
    ),
    bad("bomb.png", raw(png_of(60000, 60000)), "Image size .* exceeds limit"),
    bad("bomb.npy", raw(npy_of("(1000000, 1000000, 3)", "|u1")), "its 3,000,000,000,000 pixels .* exceed the limit"),
    bad("bomb.tif", huge_tiff, ".", 4),
    bad("signed.tif", tiff(BANDS[0].astype(np.int16)), "transform takes pictures of 8 or 16 bits a channel; got"),
    bad(
        "signed_bands.tif",
        tiff(BANDS.astype(np.int16), photometric="minisblack"),
        "its pixels are int16, and uint8",
        13,
    ),
    bad("complex.npy", numpy(RGB * 1j), "its pixels are complex128, and no numbers"),
    bad("wide.npy", numpy(RGB.astype(np.int64)), "its pixels are int64, and uint8, uint16 and floats"),
    bad("large_floats.npy", numpy(RGB.astype(np.float32)), r"transform takes floats in \[0, 1\]; got pixels from"),
    bad("nan.npy", numpy(np.full((H, W), np.nan)), r"transform takes floats in \[0, 1\]; got pixels from nan"),
    bad("either.npy", numpy(pixels(3, W, 3)), r"its shape \(3, 8, 3\) may have its 1 or 3 channels first or last"),
    bad("neither.npy", numpy(pixels(70, 70, 70)), r"its shape \(70, 70, 70\) has up to 64 channels neither first nor"),
    bad("video.npy", numpy(pixels(5, 3, H, W)), r"its shape \(5, 3, 6, 8\) is none of \(H, W\), \(C, H, W\)"),
    bad("no_pixels.npy", numpy(pixels(3, 0, W)), r"its shape \(3, 0, 8\) has no pixels"),
    bad("too_many.npy", numpy(pixels(65, 300, 300)), r"its shape \(65, 300, 300\) has up to 64 channels neither"),
    bad(
        "five.tif",
        tiff(pixels(H, W, 5), photometric="rgb"),
        "it has 5 channels where 3 are read: pass channels=, here 5 ",
    ),
    bad(
        "pages_of_13.tif",
        tiff(BANDS, photometric="minisblack"),
        "it has 13 channels where 3 are read: pass channels=, here 13 ",
    ),
    bad("bands.npy", numpy(pixels(13, 70, 80)), "it has 13 channels where 3 are read: pass channels=, here 13"),
    bad("rgb_for_13.png", pil(RGB), "it has 3 channels where 13 are read: pass channels=, here 3", 13),
    bad("two_sizes.tif", lambda file: two_sizes(file, is_reduced=False), "it has images of several sizes"),
    bad("stack.tif", tiff(pixels(4, 3, H, W), photometric="minisblack"), "of its axes .*, it is not known which is"),
    bad("loop.png", lambda file: file.symlink_to(file.name), ".*[Tt]oo many levels of symbolic links"),
    bad("pipe.png", os.mkfifo, "it is a named pipe, and no regular file"),
]
"""Refused, each for its own reason."""

ODD_FILES = [*GOOD, *MANY, *BAD]


def write_odd_files(folder: Path, files: list[OddFile]) -> None:
    """Writes files into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in files:
        one.write(folder / one.name)


if __name__ == "__main__":
    write_odd_files(Path(sys.argv[1]), ODD_FILES)
