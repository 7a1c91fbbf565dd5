"""The images of a data set that probes can be trained on and asked about, and what is left out, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Int
from eqmodels.data import Source, is_labelled, subset
from eqmodels.data.view import View

__all__ = ["with_probed_classes"]

NAMED = 5
"""Classes that are named one by one; of more, the number is told."""


@dataclass(frozen=True, eq=False)
class _OfClasses(View):
    """A source whose images are all of some classes, which are numbered anew.

    Args:
        source: of these images.
        kept: the numbers of the classes in it, in rising order.
    """

    kept: tuple[int, ...]

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """The class of each image among those that are kept, int64."""
        return torch.searchsorted(torch.tensor(self.kept), self.source.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of those that are kept."""
        return tuple(self.source.classes[number] for number in self.kept)


def with_probed_classes(train: Source, test: Source) -> tuple[Source, Source, list[str]]:
    """Training and test images without the classes that have no training images, and what is left out.

    Where nobody labelled the images, or all classes have some, they are what they were. With fewer than two classes
    there is nothing to classify, which `evaluate` says.

    Args:
        train: images for the probes.
        test: held-out images, of the same classes.
    """
    if not (is_labelled(train) and is_labelled(test) and train.classes == test.classes):
        return train, test, []
    count = len(train.classes)
    there, asked = (data.labels.bincount(minlength=count) for data in (train, test))
    told = []
    kept = tuple((there > 0).nonzero().flatten().tolist())
    if unasked := [train.classes[number] for number in kept if not asked[number]]:
        pronoun = "it" if len(unasked) == 1 else "them"
        told.append(f"{_classes(unasked)}: no held-out images, so the accuracies do not tell of {pronoun}")
    if len(kept) == count or len(kept) < 2:
        return train, test, told
    gone = there == 0
    held_out = int(gone[test.labels].sum())
    names = [train.classes[number] for number in gone.nonzero().flatten().tolist()]
    told.insert(0, f"{_classes(names)}: no training images (of the held-out ones {held_out:,} are left out)")
    if held_out:
        if held_out == len(test):
            return train, test, told
        test = subset(test, (~gone[test.labels]).nonzero().flatten())
    return _OfClasses(train, kept), _OfClasses(test, kept), told


def _classes(names: Sequence[str]) -> str:
    """The classes of these names: ``class 'a'``, ``classes 'a', 'b'`` or ``12 classes``."""
    if len(names) > NAMED:
        return f"{len(names)} classes"
    return f"class{'es' if len(names) > 1 else ''} {', '.join(map(repr, names))}"
