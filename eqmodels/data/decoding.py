"""Pictures of files as pixels of one preprocessing, decoded by threads of this process, or by other processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from eqmodels.data.pictures import AHEAD, BadFile, Picture, picture_at, read_pictures
from eqmodels.errors import EqmodelsError

__all__ = ["Decoding"]


class Decoding:
    """From paths to pixels, the same whoever decodes.

    At most `AHEAD` pictures that are done lie in memory, and as many that are not as there are threads or processes.

    Args:
        steps: from a picture to its pixels ``(C, H, W)``, uint8 or float32 in [0, 1].
        opened: from a file to its picture; a function that other processes can be given.
        workers: processes that decode, which are started when the first picture is asked for and end with this object;
            0 for threads of this process, one a processor. PIL decodes without Python's lock, resizing to parts of a
            pixel only partly.
    """

    def __init__(self, steps: nn.Module, opened: Callable[[Path], Picture] = picture_at, *, workers: int = 0) -> None:
        self.steps, self.opened, self.workers = steps, opened, workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, paths: Sequence[Path]) -> Iterator[Tensor | BadFile]:
        """The pixels of each file, in their order; a `BadFile` where one cannot be read.

        Raises:
            EqmodelsError: if a process that decodes ended.
        """
        return self._by_processes(paths) if self.workers else self._by_threads(paths)

    def _by_threads(self, paths: Sequence[Path]) -> Iterator[Tensor | BadFile]:
        return read_pictures(paths, self.steps, opened=self.opened, workers=os.cpu_count() or 1)

    def _by_processes(self, paths: Sequence[Path]) -> Iterator[Tensor | BadFile]:
        if self._pool is None:
            # Not forked: this process has threads, and locks that they may hold.
            ways = multiprocessing.get_all_start_methods()
            context = multiprocessing.get_context("forkserver" if "forkserver" in ways else "spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _start)
        share = max(1, AHEAD // (2 * self.workers))
        try:
            for start in range(0, len(paths), AHEAD):
                chosen = paths[start : start + AHEAD]
                decoded = partial(_decoded, self.steps, self.opened)
                for path, found in zip(chosen, self._pool.map(decoded, chosen, chunksize=share), strict=True):
                    yield BadFile(path, found) if isinstance(found, str) else torch.from_numpy(found)
        except BrokenProcessPool as error:
            self._pool = None
            raise EqmodelsError(
                f"one of {self.workers} processes that decode images ended before it was done, as if it was killed or "
                "memory ran out. Start the same command again, with fewer of them (--workers), or with none."
            ) from error


def _start() -> None:
    """One thread each: there are as many processes as are to work."""
    torch.set_num_threads(1)


def _decoded(
    steps: nn.Module, opened: Callable[[Path], Picture], path: Path
) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32] | str:
    """Pixels, or the reason why there are none; no tensor, which would be a file descriptor to be passed on."""
    try:
        pixels: npt.NDArray[np.uint8] = steps(opened(path)).numpy()
    except ValueError as error:
        return str(error)
    return pixels
