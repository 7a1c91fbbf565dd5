"""Chooses the embedded subset of clip art: ``python -m benchmarks.data.openclipart_mini``.

2,000 training and 500 test pictures of 64 pixels, of each class as many as of every other, as far as it has them, by a
fixed seed; one lossless sheet a split.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from eqmodels.data import LabelledImages, Split, load_data
from eqmodels.data.clipart_mini import SIDE

SEED = 0
COUNTS: dict[Split, int] = {"train": 2000, "test": 500}
COLUMNS = 40
FOLDER = Path(__file__).parents[2] / "eqmodels" / "data" / "openclipart_mini"


def chosen(labels: Tensor, count: int) -> Tensor:
    """Numbers of so many images, of each class at most as many as make up the count, in rising order."""
    present = labels.bincount()
    bound = next(bound for bound in range(1, len(labels) + 1) if int(present.clamp(max=bound).sum()) >= count)
    generator = torch.Generator().manual_seed(SEED)
    members = [(labels == label).nonzero()[:, 0] for label in range(len(present))]
    drawn = torch.cat([own[torch.randperm(len(own), generator=generator)[:bound]] for own in members])
    # What is too much is one picture of some classes.
    return drawn[torch.randperm(len(drawn), generator=generator)[:count]].sort().values


def write(data: LabelledImages, file: Path) -> None:
    """Writes images into one sheet, row by row; white where there are none."""
    rows = -(-len(data) // COLUMNS)
    sheet = torch.full((rows * COLUMNS, *data.images.shape[1:]), 255, dtype=torch.uint8)
    sheet[: len(data)] = data.images
    pixels = sheet.view(rows, COLUMNS, 3, SIDE, SIDE).permute(0, 3, 1, 4, 2).reshape(rows * SIDE, COLUMNS * SIDE, 3)
    Image.fromarray(pixels.numpy()).save(file, lossless=True, quality=60, method=4, exact=True)


def main() -> None:
    """Writes both splits into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="the folder of the library")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the subset goes (default: the package)")
    arguments = parser.parse_args()
    content: dict[str, object] = {}
    for split, count in COUNTS.items():
        data = load_data("openclipart", split, root=arguments.root, size=SIDE)
        assert isinstance(data, LabelledImages)
        subset = data.subset(chosen(data.labels, count))
        file = arguments.folder / f"{split}.webp"
        write(subset, file)
        content |= {"classes": list(data.classes), split: subset.labels.tolist()}
        print(f"{file}: {len(subset)} images, {file.stat().st_size / 1e6:.2f} MB, {subset.labels.bincount().tolist()}")
    (arguments.folder / "labels.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
