"""Pictures as pixels of one preprocessing, decoded by threads of this process, or by other processes."""

from __future__ import annotations

import multiprocessing
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from eqmodels.data.pictures import AHEAD, BadFile, in_threads
from eqmodels.data.places import Place
from eqmodels.errors import EqmodelsError
from eqmodels.transforms.preprocessing import WHITE

__all__ = ["Decoding"]

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""``(C, H, W)``"""


class Decoding:
    """From places to pixels, the same whoever decodes.

    At most `AHEAD` pictures that are done lie in memory, and as many that are not as there are threads or processes.

    Args:
        steps: from a picture to its pixels ``(C, H, W)``, uint8 or float32 in [0, 1].
        channels: of the pictures.
        background: the colour of what transparent pictures lie on.
        workers: processes that decode, which are started when the first picture is asked for and end with this object;
            0 for threads of this process, one a processor. PIL decodes without Python's lock, resizing to parts of a
            pixel only partly.
    """

    def __init__(self, steps: nn.Module, channels: int = 3, background: str = WHITE, *, workers: int = 0) -> None:
        self.steps, self.channels, self.background, self.workers = steps, channels, background, workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, places: Sequence[Place]) -> Iterator[Tensor | BadFile]:
        """The pixels of each picture, in their order; a `BadFile` where one cannot be read.

        Raises:
            EqmodelsError: if a process that decodes ended.
        """
        decoded = partial(_decoded, self.steps, self.channels, self.background)
        if self.workers:
            found = self._by_processes(decoded, places)
        else:
            found = in_threads(decoded, places, os.cpu_count() or 1)
        for place, pixels in zip(places, found, strict=True):
            yield BadFile(place.path, pixels) if isinstance(pixels, str) else torch.from_numpy(pixels)

    def _by_processes(self, decoded: partial[Pixels | str], places: Sequence[Place]) -> Iterator[Pixels | str]:
        if self._pool is None:
            # Not forked: this process has threads, and locks that they may hold.
            ways = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context("forkserver" if "forkserver" in ways else "spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _start)
            # Also where Python ends first: a pool that is left to it stumbles over modules that are gone.
            weakref.finalize(self, self._pool.shutdown)
        share = max(1, AHEAD // (2 * self.workers))
        try:
            for start in range(0, len(places), AHEAD):
                yield from self._pool.map(decoded, places[start : start + AHEAD], chunksize=share)
        except BrokenProcessPool as error:
            self._pool = None
            raise EqmodelsError(
                f"one of {self.workers} processes that decode images ended before it was done, as if it was killed or "
                "memory ran out. Start the same command again, with fewer of them (--workers), or with none."
            ) from error


def _start() -> None:
    """One thread each: there are as many processes as are to work."""
    torch.set_num_threads(1)


def _decoded(steps: nn.Module, channels: int, background: str, place: Place) -> Pixels | str:
    """Pixels, or the reason why there are none; no tensor, which would be a file descriptor to be passed on."""
    try:
        pixels: Pixels = steps(place.picture(channels, background)).numpy()
    except ValueError as error:
        return str(error)
    return pixels
