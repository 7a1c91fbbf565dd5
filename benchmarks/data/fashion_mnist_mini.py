"""Chooses the subset of Fashion-MNIST that the package embeds: ``python -m benchmarks.data.fashion_mnist_mini``.

6,000 training and 2,000 test images, equally many of every class, by a fixed seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from eqmodels.data import LabelledImages, Split, balanced_subset, in_memory, load_data

SEED = 0
COUNTS: dict[Split, int] = {"train": 6000, "test": 2000}
FOLDER = Path(__file__).parents[2] / "eqmodels" / "data" / "fashion_mnist_mini"


def write(data: LabelledImages, file: Path) -> None:
    """Writes images, labels and names of classes, compressed and without pickles."""
    np.savez_compressed(
        file,
        images=data.images[:, 0].numpy(),
        labels=data.labels.numpy().astype(np.uint8),
        classes=np.array(data.classes),
    )


def main() -> None:
    """Writes both splits into the package."""
    parser = argparse.ArgumentParser(description="Chooses the embedded subset of Fashion-MNIST.")
    parser.add_argument("--root", help="the folder of the full data set")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the subset goes (default: the package)")
    arguments = parser.parse_args()
    for split, count in COUNTS.items():
        subset = balanced_subset(load_data("fashion_mnist", split, root=arguments.root), count, seed=SEED)
        file = arguments.folder / f"{split}.npz"
        write(in_memory(subset), file)
        print(f"{file}: {len(subset)} images, {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
