"""The protocol of rotated MNIST on any images: 12,000 to learn from and 50,000 to be asked about, at all angles.

Source: Larochelle et al. 2007, *An empirical evaluation of deep architectures on problems with many factors of
variation*, whose images have one random angle each; here of Fashion-MNIST, whose two splits have as many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.bench.cells import FORMAT, BenchCell, cell_of
from eqmodels.bench.suites import Suite
from eqmodels.bench.supervised import BATCH
from eqmodels.data import Source, balanced_subset, subset
from eqmodels.data.view import View
from eqmodels.groups import rotate

__all__ = ["NETWORKS", "AtAllAngles", "AtQuarterTurns", "rotated_cells", "rotated_parts"]

NETWORKS = (
    ("resnet18s_w16", False),
    ("resnet18s_w16", True),
    ("resnet18s_w26", True),
    ("c4_resnet18s_w16", False),
    ("d4_resnet18s_w16", False),
    ("c8_resnet18s_w16", False),
    ("d8_resnet18s_w16", False),
    ("c16_resnet18s_w16", False),
)
"""And whether training turns the images anew in every step. C4 and D4 have the multiply-adds of the plain network of
width 16, and C8, D8 and C16, whose filters are of 5 x 5 pixels, about those of width 26."""
MOVED = 2000
"""Test images that are turned by quarters and mirrored too."""
SEED = 0
"""Of the choice of images and of their angles, which are the same for all."""


@dataclass(frozen=True, eq=False)
class AtAllAngles(View):
    """Images that are turned by random angles, bilinearly, with black outside.

    Args:
        source: of upright images.
        seed: of the angles.
        anew: whether they are drawn in every reading; otherwise an image has one angle for ever.
    """

    seed: int = SEED
    anew: bool = False
    _generator: torch.Generator = field(default_factory=torch.Generator, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._generator.manual_seed(self.seed)

    @cached_property
    def degrees(self) -> Float[Tensor, " N"]:
        """The angle of each image."""
        return 360 * torch.rand(len(self.source), generator=torch.Generator().manual_seed(self.seed))

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, turned."""
        images = self.source.pixels(indices)
        drawn = 360 * torch.rand(len(images), generator=self._generator) if self.anew else self.degrees[indices]
        return torch.stack([rotate(image, degrees) for image, degrees in zip(images, drawn.tolist(), strict=True)])


@dataclass(frozen=True, eq=False)
class AtQuarterTurns(View):
    """Square images that are turned by quarters, drawn in every reading: the augmentation that knows of C4.

    Args:
        source: of upright images.
        seed: of the turns.
    """

    seed: int = SEED
    _generator: torch.Generator = field(default_factory=torch.Generator, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._generator.manual_seed(self.seed)

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, turned."""
        images = self.source.pixels(indices)
        quarters = torch.randint(4, (len(images),), generator=self._generator)
        return torch.stack([one.rot90(turns, (-2, -1)) for one, turns in zip(images, quarters.tolist(), strict=True)])


@dataclass(frozen=True, eq=False)
class _Joined(View):
    """Two sources of the same classes, one after the other."""

    other: Source

    def __len__(self) -> int:
        return len(self.source) + len(self.other)

    @cached_property
    def labels(self) -> Int[Tensor, " N"]:
        """The classes of both."""
        return torch.cat([self.source.labels, self.other.labels])

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice."""
        numbers, first = torch.arange(len(self))[indices], len(self.source)
        inside = numbers < first
        found = torch.empty(len(numbers), self.channels, *self.size)
        for chosen, part, start in ((inside, self.source, 0), (~inside, self.other, first)):
            if chosen.any():
                found[chosen] = part.pixels(numbers[chosen] - start)
        return found


def rotated_parts(train: Source, test: Source, counts: tuple[int, int]) -> tuple[Source, Source]:
    """Training and test images at all angles, none in both, equally many of every class for training.

    Args:
        train: upright images, of which some are for training and others, if need be, for testing.
        test: upright images, for testing.
        counts: of training and test images; fewer where there are not so many.
    """
    chosen = balanced_subset(train, counts[0], seed=SEED)
    rest = torch.ones(len(train), dtype=torch.bool)
    rest[chosen.numbers] = False
    asked: Source = test
    if rest.any() and (missing := counts[1] - len(test)) > 0:
        asked = _Joined(balanced_subset(subset(train, rest), missing, seed=SEED), test)
    elif len(test) > counts[1]:
        asked = balanced_subset(test, counts[1], seed=SEED)
    return AtAllAngles(chosen, SEED), AtAllAngles(asked, SEED + 1)


def rotated_cells(suite: Suite, data: str, pace: float) -> list[BenchCell]:
    """A cell a network and seed; none if the suite does not ask for them.

    Args:
        suite: how much is measured.
        data: the name of grey images.
        pace: seconds of an image in a forward pass of the plain network.
    """
    if suite.rotated is None:
        return []
    train, test, steps = suite.rotated
    common = {
        "format": FORMAT,
        "data": data,
        "train": train,
        "test": test,
        "steps": steps,
        "moved": MOVED,
        "bf16": True,
    }
    expected = 1 + pace * (3 * BATCH * steps + test + 8 * min(MOVED, test))
    return [
        cell_of(
            "rotated",
            f"{name}{', augmented' if augmented else ''}, seed {seed}",
            seed,
            {**common, "model": name, "augmented": augmented, "seed": seed},
            expected,
        )
        for seed in suite.seeds
        for name, augmented in NETWORKS
    ]
