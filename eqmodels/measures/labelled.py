"""Features with labels: what they must be, and random orders within every class."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int

__all__ = ["check_labelled", "check_train_and_test", "class_ranks"]


MOST_CLASSES = 2**24
"""A count of each is made."""


def check_labelled(
    features: Float[Tensor, "N F"], labels: Int[Tensor, " N"], *, prefix: str = "", num_classes: int | None = None
) -> None:
    """Refuses what is not a matrix of finite features with a class a row; `prefix` is of the arguments' names.

    Raises:
        ValueError: if so.
    """
    if features.dim() != 2 or 0 in features.shape or not features.is_floating_point():
        raise ValueError(
            f"{prefix}features must be a matrix (images, features) of floating-point numbers and not empty; got "
            f"shape {tuple(features.shape)} of {features.dtype}. Pool feature maps to vectors first."
        )
    if (
        labels.shape != features.shape[:1]
        or labels.dtype == torch.bool
        or labels.is_floating_point()
        or labels.is_complex()
    ):
        raise ValueError(
            f"{prefix}labels must be one integer an image, shape ({len(features)},); got shape {tuple(labels.shape)} "
            f"of {labels.dtype}. Take features and labels from the same pass over the data."
        )
    bad = len(features) - int(features.isfinite().all(dim=1).sum())
    if bad:
        raise ValueError(
            f"{prefix}features must be finite; those of {bad} of {len(features)} images are not. Look for a diverged "
            "training or overflow in half precision."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= (MOST_CLASSES if num_classes is None else num_classes):
        rule = "not be negative" if low < 0 else f"be below {MOST_CLASSES}"
        rule = rule if num_classes is None else f"lie in 0..{num_classes - 1}"
        raise ValueError(f"{prefix}labels must {rule}; got {low} to {high}. Leave out or renumber the other images.")


def check_train_and_test(
    train_features: Float[Tensor, "N F"],
    train_labels: Int[Tensor, " N"],
    test_features: Float[Tensor, "M F"],
    test_labels: Int[Tensor, " M"],
) -> int:
    """Refuses what `check_labelled` does, of both parts, and parts that do not fit; the number of training classes.

    Raises:
        ValueError: if so.
    """
    check_labelled(train_features, train_labels, prefix="train_")
    classes = int(train_labels.max()) + 1
    check_labelled(test_features, test_labels, prefix="test_", num_classes=classes)
    if train_features.shape[1] != test_features.shape[1]:
        raise ValueError(
            f"test_features must be as wide as train_features, {train_features.shape[1]}; got "
            f"{test_features.shape[1]}. Take both from the same encoder and pooling."
        )
    return classes


def class_ranks(labels: Int[Tensor, " N"], *, seed: int) -> tuple[Int[Tensor, " N"], Int[Tensor, " N"]]:
    """A random order within every class: the rank of every image in it, from 0, and the size of its class."""
    labels = labels.long()  # bytes would choose as True and False do
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    order = order[labels[order].argsort(stable=True)]
    sizes = labels.bincount()
    firsts = (sizes.cumsum(0) - sizes)[labels[order]]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(labels), device=labels.device) - firsts
    return ranks, sizes[labels]
