"""Chooses the embedded subset of KiCad's parts: ``python -m benchmarks.data.kicad_parts_mini``.

Of twelve families at most 50 training and 15 test parts each, with 256 points, coordinates in 16 bits. All files of
these families are under CC-BY-SA 4.0 with KiCad's exception: those with parts under the GPL are no candidates.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from eqmodels.data import Split, load_data
from eqmodels.data.space import LabelledClouds
from eqmodels.data.space.kicad_mini import LEVELS

FAMILIES = (
    "Connector_Dsub",
    "Connector_JST",
    "Connector_Phoenix_MSTB",
    "Crystal",
    "Diode_THT",
    "Inductor_THT",
    "LED_THT",
    "Mounting_Wuerth",
    "Package_BGA",
    "Package_QFP",
    "Package_SO",
    "Package_TO_SOT_THT",
)
COUNTS: dict[Split, int] = {"train": 50, "test": 15}
"""Parts of a family, at most."""
POINTS = 256
FOLDER = Path(__file__).parents[2] / "eqmodels" / "data" / "kicad_parts_mini"


def chosen(data: LabelledClouds, most: int) -> LabelledClouds:
    """The parts of the families, at most so many of each, by a fixed seed."""
    numbers = [(data.labels == data.classes.index(name)).nonzero()[:, 0] for name in FAMILIES]
    generator = torch.Generator().manual_seed(0)
    drawn = [own[torch.randperm(len(own), generator=generator)[:most].sort().values] for own in numbers]
    labels = torch.tensor([label for label, own in enumerate(drawn) for _ in own])
    return LabelledClouds(data.name, data.images[torch.cat(drawn)], labels, FAMILIES, aligned=True)


def write(data: LabelledClouds, file: Path) -> None:
    """Writes clouds, coordinates in 16 bits."""
    points = np.round(data.points().numpy() * LEVELS).astype(np.uint16)
    np.savez_compressed(
        file, points=points, labels=data.labels.numpy().astype(np.uint8), classes=np.array(data.classes)
    )


def main() -> None:
    """Writes both splits into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="the folder of the library")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the subset goes (default: the package)")
    arguments = parser.parse_args()
    for split, most in COUNTS.items():
        data = load_data("kicad_parts", split, root=arguments.root, points=POINTS)
        assert isinstance(data, LabelledClouds)
        subset = chosen(data, most)
        file = arguments.folder / f"{split}.npz"
        write(subset, file)
        print(f"{file}: {len(subset)} parts, {file.stat().st_size / 1e6:.2f} MB, {subset.labels.bincount().tolist()}")


if __name__ == "__main__":
    main()
