"""What a representation shows of transformed images: features with the transformation and the class of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.measures.labelled import check_labelled

__all__ = ["Observations"]


@dataclass(frozen=True, eq=False)
class Observations:
    """Features of transformed images, and what is to be known of them.

    Attributes:
        features: Z, a row a transformed image.
        labels: A, which transformation, from 0.
        classes: C, from 0.
        images: which image a row was made of; all rows of an image are of its class.
        num_labels: ``|A|``.
        num_classes: of the data set.
        predicted: the class that a classifier which was trained on other images sees in the transformed image; None if
            there is none.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the features are not a finite matrix or do not vary, there is not one integer in range a row of
            each of the others, there is one class only, rows of an image differ in the class, or a class has fewer than
            two images.
    """

    features: Float[Tensor, "N F"]
    labels: Int[Tensor, " N"]
    classes: Int[Tensor, " N"]
    images: Int[Tensor, " N"]
    num_labels: int
    num_classes: int
    predicted: Int[Tensor, " N"] | None = None

    def __post_init__(self) -> None:
        check_arguments(Observations, vars(self))
        for name in ("num_labels", "num_classes"):
            check_count(name, getattr(self, name), 0, bits=24)  # a count of each is made
        check_labelled(self.features, self.labels, num_classes=self.num_labels)
        _check_integers("classes", self.classes, len(self.features), self.num_classes)
        _check_integers("images", self.images, len(self.features), None)
        if self.predicted is not None:
            _check_integers("predicted", self.predicted, len(self.features), self.num_classes)
        if bool((self.features == self.features[:1]).all()):
            raise ValueError(
                f"features must vary; those of all {len(self.features)} rows are equal, so they know nothing. Look for "
                "a collapsed training, or a pooling of nothing."
            )
        images, classes = self.by_image()
        if len(classes) != len(images.unique()):
            raise ValueError(
                "all rows of an image must be of one class; some images have several. Number every image once."
            )
        sizes = classes.bincount(minlength=self.num_classes)
        if self.num_classes < 2 or int(sizes.min()) < 2:
            raise ValueError(
                f"classes must be at least two, with two images each; got {self.num_classes} classes, the smallest of "
                f"{int(sizes.min())} of {len(images)} images. Take more images, or renumber the classes."
            )

    def by_image(self) -> tuple[Int[Tensor, " M"], Int[Tensor, " M"]]:
        """Every image once, in increasing order, and its class."""
        pairs = torch.stack([self.images, self.classes]).unique(dim=1)
        return pairs[0].contiguous(), pairs[1].contiguous()

    def with_permuted_classes(self, seed: int) -> Observations:
        """The same with the classes of the images permuted: a class that knows nothing."""
        images, classes = self.by_image()
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        return replace(self, classes=classes[order][torch.searchsorted(images, self.images)])

    def with_shuffled_labels(self, seed: int) -> Observations:
        """The same with the labels of all rows shuffled: a transformation that leaves no trace."""
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        return replace(self, labels=self.labels[order])


def _check_integers(name: str, values: Tensor, rows: int, count: int | None) -> None:
    no_integers = values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
    if values.shape != (rows,) or no_integers:
        raise ValueError(
            f"{name} must be one integer a row of features, shape ({rows},); got shape {tuple(values.shape)} of "
            f"{values.dtype}. Take all of them from the same pass over the data."
        )
    low, high = int(values.min()), int(values.max())
    if count is not None and not 0 <= low <= high < count:
        raise ValueError(
            f"{name} must lie in 0..{count - 1}; got {low} to {high}. Renumber them, or pass their number."
        )
