"""Makes pictures with masks: ``python -m benchmarks.segmentation.scenes FOLDER``, 1,300 of 64 pixels, 18 MB.

Stamps of Debian's package ``tuxpaint-stamps-default`` (GPL-2) lie at random places, sizes and angles on photographs of
``plasma-workspace-wallpapers`` and ``mate-backgrounds`` (GPL-2+); masks are where a stamp's opacity is above a half.
A third of the stamps and of the photographs is for testing alone. The set is not part of the repository; the same
packages give the same one, bit for bit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.distil.bank import photographs
from eqmodels.data.openclipart import drawing, fitted
from eqmodels.data.pictures import BadFile, read_pictures

SIDE, STORED = 64, 96
"""Pixels of a picture, and of the stamps that are pasted into it."""
COUNTS = {"train": 1000, "test": 300}
MOST, SMALLEST, LARGEST = 3, 20, 44
"""Stamps in a picture, and the pixels of one, before it is turned."""
ROOT = Path("/usr/share/tuxpaint/stamps")
CLASSES = {
    "letters": "symbols/alphabets",
    "money": "symbols/money",
    "mammals": "animals/mammals",
    "insects": "animals/insects",
    "houses": "town/houses",
    "fruit": "food/fruit",
    "plants": "plants",
    "vehicles": "vehicles",
    "household": "household",
    "clothes": "clothes",
}
"""Folders of stamps, by what is in them; 0 in a mask is the background, and 1 the first class."""

Bytes = npt.NDArray[np.uint8]


@dataclass
class Painter:
    """Paints one picture after the other, from one stream of random numbers.

    Attributes:
        stamps: of every class, ``(N, 96, 96, 4)``, RGB multiplied by the opacity.
        photographs: RGB.
        numbers: the stream.
    """

    stamps: list[Bytes]
    photographs: list[Bytes]
    numbers: np.random.Generator

    def scene(self) -> tuple[Bytes, Bytes]:
        """A picture ``(3, 64, 64)`` and its mask ``(64, 64)``."""
        canvas, mask = self._patch(), np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(int(self.numbers.integers(1, MOST + 1))):
            label = int(self.numbers.integers(len(self.stamps)))
            stamp = self._turned(self.stamps[label][self.numbers.integers(len(self.stamps[label]))])
            top, left = (int(self.numbers.integers(-4, SIDE + 5 - side)) for side in stamp.shape[:2])
            y, x = max(top, 0), max(left, 0)
            part = stamp[y - top : SIDE - top, x - left : SIDE - left]
            place = np.s_[y : y + part.shape[0], x : x + part.shape[1]]
            canvas[place] = part[..., :3] + canvas[place] * (1 - part[..., 3:] / 255)
            mask[place][part[..., 3] > 127] = label + 1
        return canvas.clip(0, 255).round().astype(np.uint8).transpose(2, 0, 1), mask

    def _patch(self) -> npt.NDArray[np.float32]:
        photograph = self.photographs[self.numbers.integers(len(self.photographs))]
        height, width = photograph.shape[:2]
        side = int(np.exp(self.numbers.uniform(np.log(2 * SIDE), np.log(min(height, width)))))
        top, left = self.numbers.integers(height - side + 1), self.numbers.integers(width - side + 1)
        square = Image.fromarray(np.ascontiguousarray(photograph[top : top + side, left : left + side]))
        return np.array(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0), np.float32)

    def _turned(self, stamp: Bytes) -> npt.NDArray[np.float32]:
        """A stamp of any size at any angle, cut to what can be seen of it."""
        side = int(self.numbers.integers(SMALLEST, LARGEST + 1))
        small = Image.fromarray(np.ascontiguousarray(stamp), "RGBa").resize((side, side), Image.Resampling.BILINEAR)
        # PIL turns what is premultiplied only band by band.
        bands = [
            band.rotate(angle, Image.Resampling.BILINEAR, expand=True)
            for angle in [float(self.numbers.uniform(0, 360))]
            for band in small.split()
        ]
        turned = np.stack([np.asarray(band, np.float32) for band in bands], -1)
        rows, columns = (np.flatnonzero(turned[..., 3].max(axis) > 127) for axis in (1, 0))
        return turned[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else turned


def stamps(split: str) -> list[Bytes]:
    """The stamps of every class; the third of each class that is for testing, or the rest."""
    found = []
    for folder in CLASSES.values():
        paths = sorted(path for path in (ROOT / folder).rglob("*.png") if not path.is_symlink())
        paths = [path for number, path in enumerate(paths) if (number % 3 == 0) is (split == "test")]
        squares = read_pictures(paths, lambda picture: fitted(picture, STORED), opened=drawing)
        found.append(np.stack([square for square in squares if not isinstance(square, BadFile)]))
    return found


def main() -> None:
    """Writes ``train.npz`` and ``test.npz``, of ``images`` and ``masks``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the set goes")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    backgrounds = photographs()
    for seed, (split, count) in enumerate(COUNTS.items()):
        own = [one for number, one in enumerate(backgrounds) if (number % 3 == 0) is (split == "test")]
        painter = Painter(stamps(split), own, np.random.default_rng(seed))
        scenes = [painter.scene() for _ in range(count)]
        images, masks = (np.stack(parts) for parts in zip(*scenes, strict=True))
        np.savez_compressed(folder / f"{split}.npz", images=images, masks=masks)
        shares = np.bincount(masks.ravel(), minlength=len(CLASSES) + 1) / masks.size
        print(f"{split}: {count} pictures; pixels: {', '.join(f'{share:.1%}' for share in shares)}")


if __name__ == "__main__":
    main()
