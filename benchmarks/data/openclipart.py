"""Divides the Open Clip Art Library: ``python -m benchmarks.data.openclipart``.

Writes ``eqmodels/data/openclipart.txt``, a line for each picture that is not for training. Pictures whose thumbnails
correlate by more than .99, directly or through others, are near-duplicates; a hash of the first one's path decides for
all of them. Left out are pictures that can hardly be seen, that have more than 40 million pixels or that are damaged.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.nn import functional as F

from eqmodels.data.openclipart import PLACE, TABLE, drawing, fitted
from eqmodels.data.pictures import BadFile, read_pictures

TARGET = Path(__file__).parents[2] / "eqmodels" / "data" / TABLE
SIDE, THUMBNAIL = 160, 16
FAINTEST = 4
"""The smallest mean opacity, of 255, of a picture in its square."""
LARGEST = 40_000_000
ALIKE = 0.99
TEST_BYTE = 51
"""A first byte of the hash below it is a fifth of all."""


def thumbnails(paths: list[Path]) -> dict[int, torch.Tensor]:
    """The picture on white and its opacity, 16x16 each, of every picture that can be seen, by its number."""

    def small(picture: Image.Image) -> torch.Tensor | None:
        if picture.size[0] * picture.size[1] > LARGEST:
            return None
        square = torch.from_numpy(fitted(picture, SIDE)).float().movedim(-1, 0) / 255
        if square[3].mean() * 255 < FAINTEST:
            return None
        seen = torch.cat([square[:3] + (1 - square[3:]), square[3:]])
        return F.adaptive_avg_pool2d(seen, THUMBNAIL).flatten()

    found = enumerate(read_pictures(paths, small, opened=drawing))
    return {number: one for number, one in found if one is not None and not isinstance(one, BadFile)}


def groups(rows: torch.Tensor) -> npt.NDArray[np.int32]:
    """The number of the group of near-duplicates of each picture."""
    directions = F.normalize(rows - rows.mean(0), dim=1)
    pairs = [((part @ directions.T) > ALIKE).nonzero() for part in directions.split(1000)]
    first, second = torch.cat([torch.cat([pair[:, :1] + 1000 * i, pair[:, 1:]], 1) for i, pair in enumerate(pairs)]).T
    alike = coo_array((np.ones(len(first)), (first.numpy(), second.numpy())), shape=(len(rows), len(rows)))
    found: npt.NDArray[np.int32] = connected_components(alike, directed=False)[1]
    return found


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=PLACE, help="the folder of the library")
    root = parser.parse_args().root
    paths = sorted(path for path in root.rglob("*.png") if path.is_file() and not path.is_symlink())
    names = [path.relative_to(root).as_posix() for path in paths]
    seen = thumbnails(paths)
    numbers = list(seen)
    found = groups(torch.stack(list(seen.values())))
    _, first = np.unique(found, return_index=True)
    are_tests = [hashlib.sha256(names[numbers[one]].encode()).digest()[0] < TEST_BYTE for one in first]
    uses = dict.fromkeys(range(len(names)), "out")
    uses |= {number: "test" if are_tests[group] else "train" for number, group in zip(numbers, found, strict=True)}
    rows = [(uses[number], name) for number, name in enumerate(names)]
    TARGET.write_text("".join(f"{use}\t{name}\n" for use, name in rows if use != "train"), "utf-8")
    count = sum(use == "test" for use, _ in rows)
    print(f"{len(seen)} of {len(names)} pictures are used, in {len(first)} groups; {count} of them for testing")


if __name__ == "__main__":
    main()
