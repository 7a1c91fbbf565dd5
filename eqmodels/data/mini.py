"""The embedded subset of Fashion-MNIST: real images without a download.

Source: Xiao et al. 2017, arXiv 1708.07747; MIT licence, beside the file.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch

from eqmodels.data.memory import LabelledImages
from eqmodels.data.registry import Split, register_source

__all__ = ["check_no_root", "read_fashion_mnist_mini"]


@register_source("fashion_mnist_mini")
def read_fashion_mnist_mini(split: Split, *, root: str | Path | None = None) -> LabelledImages:
    """6,000 training and 2,000 test images of Fashion-MNIST, balanced over the ten classes, in memory.

    They were chosen from the splits of the same name by `benchmarks/data/fashion_mnist_mini.py`.

    Args:
        split: ``"train"`` or ``"test"``.
        root: none: the files are part of the package.

    Raises:
        ValueError: if `root` is given.
    """
    check_no_root("fashion_mnist", root)
    file = resources.files("eqmodels.data") / "fashion_mnist_mini" / f"{split}.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images, labels, classes = arrays["images"], arrays["labels"], arrays["classes"]
        return LabelledImages(
            "fashion_mnist_mini",
            torch.from_numpy(images)[:, None],
            torch.from_numpy(labels).long(),
            tuple(str(name) for name in classes),
        )


def check_no_root(whole: str, root: str | Path | None, folder: str = "image_folder") -> None:
    """Refuses a folder for the embedded subset of a data set.

    Args:
        whole: the name of the data set that the subset is of.
        root: the folder; None for none.
        folder: the source that reads any folder of such data.

    Raises:
        ValueError: if there is one.
    """
    if root is not None:
        raise ValueError(
            f"{whole}_mini is part of the package and has no folder; got root={str(root)!r}. Leave it out "
            f"(--root), or name the data that lies there (--data {whole}, --data {folder})."
        )
