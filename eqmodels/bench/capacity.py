"""How the error of supervised training falls with the width of a network, and with the size of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones.adapted.orbit import resized
from eqmodels.bench.cells import FORMAT, BenchCell, cell_of
from eqmodels.bench.contenders import Contender
from eqmodels.bench.scaling import WIDTH
from eqmodels.bench.suites import Suite
from eqmodels.bench.supervised import BATCH, SCRATCH, Supervised, measure_supervised
from eqmodels.data import Source
from eqmodels.data.view import View

__all__ = ["FAMILIES", "Resized", "capacity_cells", "measure_capacity"]

FAMILIES = ("resnet18s", "c4_resnet18s")
ASKED = 1000
"""Test images, at most."""
PACE = 3e-4
"""Seconds of a pass of 28 pixels a side at width 16; times the squares of both, a guess of the time of a cell."""


@dataclass(frozen=True, eq=False)
class Resized(View):
    """Images of another size, antialiased and bilinear.

    Args:
        source: of images of any size.
        side: in pixels.
    """

    side: int = 28

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.side, self.side

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice."""
        # Bilinear weights may round a hair above 1.
        return resized(self.source.pixels(indices), self.size).clamp(0, 1)


def measure_capacity(
    family: str,
    axis: str,
    value: int,
    parts: tuple[Source, Source],
    *,
    steps: int,
    seed: int = 0,
    bf16: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Supervised:
    """Trains a network of one width from scratch on images of one size.

    Args:
        family: an architecture without a width.
        axis: ``width``, of which `value` is one, on images as they are; or ``size``, at width 16.
        value: the width in dense channels, or the pixels of a side.
        parts: labelled images for training, and held-out ones.
        steps: of 64 images.
        seed: of the weights, of the classifier and of the batches.
        bf16: whether training runs under autocast of 16 bits.
        report: called with a word on what is being done.

    Raises:
        ValueError: if there is no such architecture, or it does not take such images.
    """
    train, test = parts if axis == "width" else (Resized(part, value) for part in parts)
    network = Contender(f"{family}_w{value if axis == 'width' else WIDTH}").build(seed, train.channels)
    return measure_supervised(network, train, test, how=SCRATCH, steps=steps, seed=seed, bf16=bf16, report=report)


def capacity_cells(suite: Suite) -> Iterator[BenchCell]:
    """A cell a family, width or size, and seed, on the images that the suite has for each."""
    axes = {"width": (suite.trained_widths, 1, 28), "size": (suite.trained_sizes, 3, None)}
    for seed in suite.seeds:
        for family in FAMILIES:
            for axis, (values, channels, side) in axes.items():
                for value in values:
                    settings = {
                        "format": FORMAT,
                        "family": family,
                        "axis": axis,
                        "value": value,
                        "data": suite.data.get(channels),
                        "asked": ASKED,
                        "steps": suite.steps,
                        "seed": seed,
                        "bf16": True,
                    }
                    wide = (value if side else WIDTH) / WIDTH
                    pace = PACE * wide**2 * ((side or value) / 28) ** 2
                    expected = 1 + pace * (3 * BATCH * suite.steps + 8 * ASKED)
                    label = f"{family}, {axis} {value}, seed {seed}"
                    yield cell_of("capacity", label, seed, settings, expected)
