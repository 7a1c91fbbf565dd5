"""The embedded subset of Fashion-MNIST: real images without a download.

Source: Xiao et al. 2017, arXiv 1708.07747; MIT licence, beside the file.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch

from eqmodels.data.images import LabelledImages

__all__ = ["read_fashion_mnist_mini"]


def read_fashion_mnist_mini(split: str) -> LabelledImages:
    """6,000 training and 2,000 test images of Fashion-MNIST, balanced over the ten classes.

    They were chosen from the splits of the same name by `benchmarks/data/fashion_mnist_mini.py`.
    """
    file = resources.files("eqmodels.data") / "fashion_mnist_mini" / f"{split}.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        images, labels, classes = arrays["images"], arrays["labels"], arrays["classes"]
        return LabelledImages(
            "fashion_mnist_mini",
            torch.from_numpy(images)[:, None],
            torch.from_numpy(labels).long(),
            tuple(str(name) for name in classes),
        )
