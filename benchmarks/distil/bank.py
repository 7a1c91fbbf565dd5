"""Makes the pictures that teach: ``python -m benchmarks.distil.bank FOLDER``, some 26,000 of 144 pixels, 1.6 GB.

Every training picture of the Open Clip Art Library four times: alone on white; on a patch of a photograph; on one
colour and on another patch with up to two others beside it; and 4,000 patches of photographs. The source is `array`,
which reads ``FOLDER/train.npy``. The photographs and wallpapers are those of Debian's packages
``plasma-workspace-wallpapers`` and ``mate-backgrounds`` (GPL-2+), the clip art that of ``openclipart-png`` (public
domain). The bank is not part of the repository; the same packages give the same one, bit for bit.

What is in the pictures is what teaches: 509,000 patches of landscapes taught no more than 77,000 did, and pictures of
things teach on (docs/results.md). Source of the idea: Asano and Saeed 2023, arXiv 2112.00725.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torchvision.transforms.v2 import functional as TF

from eqmodels.data import load_data, subset, to_rgb
from eqmodels.data.backgrounds import Canvas, composited, levels
from eqmodels.data.openclipart import PLACE, clipart_files, drawing, fitted
from eqmodels.data.pictures import BadFile, read_pictures

SIDE, STORED = 144, 160
"""Pixels of a picture of the bank, and of the clip art that is pasted into it."""
VIEWS, PATCHES = 4, 4000
CLOTHES = 10_000
"""Pictures of the bank of clothes."""
PHOTOGRAPHS = 1600
"""The larger side that photographs are reduced to."""
PLACES = (Path("/usr/share/wallpapers"), Path("/usr/share/backgrounds/mate"))
TOO_LARGE = "Elephants_5640x3172.jpg"
"""Of a wallpaper that is there in smaller versions too."""
BACKGROUNDS = (0, 2, 1, 2)
"""White, a colour or a photograph, of each of the four."""


@dataclass
class Painter:
    """Paints one picture after the other, from one stream of random numbers.

    Attributes:
        clipart: ``(N, 160, 160, 4)``, RGB multiplied by the opacity.
        photographs: RGB.
        numbers: the stream.
    """

    clipart: npt.NDArray[np.uint8]
    photographs: list[npt.NDArray[np.uint8]]
    numbers: np.random.Generator

    def patch(self) -> Canvas:
        """A square of a photograph, of any size from that of the bank to the whole."""
        photograph = self.photographs[self.numbers.integers(len(self.photographs))]
        height, width = photograph.shape[:2]
        side = int(np.exp(self.numbers.uniform(np.log(SIDE), np.log(min(height, width)))))
        top, left = self.numbers.integers(height - side + 1), self.numbers.integers(width - side + 1)
        square = Image.fromarray(photograph[top : top + side, left : left + side])
        return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0), np.float32)

    def background(self, kind: int) -> Canvas:
        """White, a colour, or a photograph."""
        if kind == 2:
            return self.patch().copy()
        colour = np.float32(255) if kind == 0 else self.numbers.uniform(0, 255, 3).astype(np.float32)
        return np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()

    def paste(self, canvas: Canvas, number: int, side: int, top: int, left: int) -> None:
        """Lays a picture of clip art on the canvas, as far as it lies inside."""
        picture = Image.fromarray(np.ascontiguousarray(self.clipart[number]), "RGBa")
        laid = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR), np.float32)
        y, x = max(top, 0), max(left, 0)
        below, right = min(top + side, SIDE), min(left + side, SIDE)
        part, place = laid[y - top : below - top, x - left : right - left], canvas[y:below, x:right]
        place[:] = composited(part, place)

    def painted(self, number: int, view: int) -> npt.NDArray[np.uint8]:
        """A picture of clip art, alone or among others: ``(3, 144, 144)``."""
        canvas = self.background(BACKGROUNDS[view])
        if view % 2 == 1:
            for _ in range(int(self.numbers.integers(0, 3))):
                side, other = int(self.numbers.integers(40, 90)), int(self.numbers.integers(len(self.clipart)))
                top, left = (int(self.numbers.integers(-20, SIDE - 40)) for _ in range(2))
                self.paste(canvas, other, side, top, left)
        side = int(self.numbers.integers(100, 150))
        low, high = min(0, SIDE - side), max(0, SIDE - side) + 1
        top, left = (int(self.numbers.integers(low, high)) for _ in range(2))
        self.paste(canvas, number, side, top, left)
        return levels(canvas)

    def pictures(self) -> Iterator[npt.NDArray[np.uint8]]:
        """All pictures of the bank."""
        for view in range(VIEWS):
            for number in range(len(self.clipart)):
                yield self.painted(number, view)
        for _ in range(PATCHES):
            yield levels(self.patch())


def photograph_files() -> list[Path]:
    """One file of each wallpaper, which may be there for screens of several proportions: the largest wide one."""
    largest: dict[Path, tuple[int, Path]] = {}
    for path in (path for place in PLACES for path in sorted(place.rglob("*")) if path.suffix in (".jpg", ".png")):
        size = path.stem.split("x")
        if "contents" not in path.parts and path.name != TOO_LARGE:
            largest[path] = 0, path
        elif path.parent.name == "images" and size[-1].isdigit() and 1.5 < int(size[0]) / int(size[1]) < 1.8:
            largest[path.parent] = max(largest.get(path.parent, (0, path)), (int(size[0]), path))
    return [path for _, path in largest.values()]


def photographs() -> list[npt.NDArray[np.uint8]]:
    """Wallpapers in RGB, reduced."""
    found = []
    for path in photograph_files():
        picture = Image.open(path).convert("RGB")
        scale = PHOTOGRAPHS / max(picture.size)
        width, height = (round(side * scale) for side in picture.size)
        found.append(np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)))
    return found


def write_clothes(folder: Path) -> None:
    """The bank of `CLOTHES`: training images of Fashion-MNIST, enlarged and repeated in three channels."""
    data = load_data("fashion_mnist", "train")
    images = to_rgb(subset(data, range(CLOTHES))).pixels(slice(None))
    large = [TF.resize(part, [SIDE, SIDE], antialias=True) for part in images.split(500)]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train.npy", np.concatenate([(part.clamp(0, 1) * 255).round().byte().numpy() for part in large]))


def main() -> None:
    """Writes the bank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where train.npy goes")
    parser.add_argument("--root", type=Path, default=PLACE, help="the folder of the Open Clip Art Library")
    parser.add_argument(
        "--clothes", action="store_true", help="Fashion-MNIST instead, which distilled networks go on with"
    )
    arguments = parser.parse_args()
    if arguments.clothes:
        write_clothes(arguments.folder)
        return
    paths = clipart_files(arguments.root, "train")
    read = read_pictures(paths, lambda picture: fitted(picture, STORED), opened=drawing)
    clipart = np.stack([one for one in read if not isinstance(one, BadFile)])
    painter = Painter(clipart, photographs(), np.random.default_rng(0))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    file, count = arguments.folder / "train.npy", VIEWS * len(clipart) + PATCHES
    bank = np.lib.format.open_memmap(file, "w+", np.uint8, (count, 3, SIDE, SIDE))
    for number, picture in enumerate(painter.pictures()):
        bank[number] = picture
    bank.flush()
    print(f"{file}: {count:,} pictures, of {len(clipart):,} of clip art and {len(painter.photographs)} photographs")


if __name__ == "__main__":
    main()
