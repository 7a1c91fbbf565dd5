"""The images of every step: which they are, and how those of the next step are read while this one is computed.

Which images a step has is a function of the seed, the epoch and the step alone, and not of what was read before; so a
run that is resumed, or shared by several processes, has the same batches to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.data import KeyedPermutation, Source
from eqmodels.objectives import Purpose, generator_for
from eqmodels.processes import World
from eqmodels.training.config import PretrainConfig

__all__ = ["Batches", "order_of"]

Position = tuple[int, int]
"""Epoch and step, both from 0."""


def order_of(config: PretrainConfig, data: Source) -> str:
    """``"shuffled"`` or ``"keyed"``: what a config means by its order, for images that may ask for one themselves.

    Args:
        config: of the run.
        data: the training images; those with an attribute `order` ask for that one.
    """
    chosen = config.optimisation.order
    return getattr(data, "order", "shuffled") if chosen == "auto" else chosen


class Batches:
    """The batches of a run, of which a thread reads the next one.

    So at most two batches lie in memory, and in the order ``"shuffled"`` one number an image: 8 bytes. Nothing else
    reads meanwhile: a source need not be safe to be read by two. The thread is started when it is first needed, and
    ends with this object.

    Args:
        config: gives the seed, the order and the size of a batch.
        data: the training images.
        world: the processes that share every batch.

    Attributes:
        waited: seconds that steps waited for their images so far.
    """

    def __init__(self, config: PretrainConfig, data: Source, world: World) -> None:
        self.data, self.world = data, world
        self.seed, self.size = config.run.seed, config.optimisation.batch_size
        self.order = order_of(config, data)
        self.waited = 0.0
        self._drawn: tuple[int, Callable[[slice], Int[Tensor, " B"]]] | None = None
        self._ahead: tuple[Position, Future[Tensor]] | None = None
        self._reader: ThreadPoolExecutor | None = None

    def numbers(self, epoch: int, step: int) -> Int[Tensor, " B"]:
        """The numbers of the images of a step that this process computes.

        The order is drawn for the global batch, so that a run does not depend on the number of its processes.
        """
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(generator_for(self.seed, Purpose.ORDER, epoch))
        numbers: Tensor = self._drawn[1](slice(step * self.size, (step + 1) * self.size))
        return numbers[self.world.rows(self.size)]

    def read(self, epoch: int, step: int) -> tuple[Int[Tensor, " B"], Float[Tensor, "B C H W"]]:
        """The numbers of the images of a step, and these images on the device that computes.

        Args:
            epoch: from 0.
            step: within the epoch, from 0.

        Raises:
            Exception: what the source raises of these images.
        """
        asked = time.perf_counter()
        ahead, self._ahead = self._ahead, None
        # What was read of another step, when a run goes back, is waited for and left: one at a time reads a source.
        pixels = None if ahead is None else ahead[1].result()
        numbers = self.numbers(epoch, step)
        if ahead is None or pixels is None or ahead[0] != (epoch, step):
            pixels = self._pixels(numbers)
        self.waited += time.perf_counter() - asked
        # What is pinned is copied while the device computes.
        return numbers, pixels.to(self.world.device, non_blocking=True)

    def read_ahead(self, epoch: int, step: int) -> None:
        """Begins to read the images of a step, if none are being read."""
        if self._ahead is None:
            self._reader = self._reader or ThreadPoolExecutor(1, "eqmodels-reads-ahead")
            self._ahead = (epoch, step), self._reader.submit(self._pixels, self.numbers(epoch, step))

    def close(self) -> None:
        """Waits for the thread, and ends it; `read_ahead` starts it again."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        self._ahead = self._reader = None

    def _draw(self, generator: torch.Generator) -> Callable[[slice], Int[Tensor, " B"]]:
        """The numbers at positions of the order of an epoch."""
        count = len(self.data)
        if self.order == "keyed":
            permutation = KeyedPermutation(count, generator)
            return lambda part: permutation(torch.arange(part.start, min(part.stop, count)))
        return torch.randperm(count, generator=generator).__getitem__

    def _pixels(self, numbers: Int[Tensor, " B"]) -> Float[Tensor, "B C H W"]:
        pixels = self.data.pixels(numbers)
        return pixels.pin_memory() if self.world.device.type == "cuda" else pixels
