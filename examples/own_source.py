"""Your own images: frames of an instrument in a memory-mapped array, of which only those asked for are ever read.

    eqmodels pretrain --import examples/own_source.py --data frames --root my/recording --folder runs/frames

The folder has `train.npy` and `test.npy`, uint8 arrays (frames, channels, height, width). Nobody labelled them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eqmodels.data import Split, numbers_of, register_source


@dataclass(frozen=True)
class Frames:
    """Frames on disk as a `Source`: no base class, only what the protocol asks for."""

    name: str
    frames: NDArray[np.uint8]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def channels(self) -> int:
        """Channels of the frames."""
        return int(self.frames.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames.shape[2], self.frames.shape[3]

    @property
    def labels(self) -> torch.Tensor:
        """All -1, without taking memory: nobody labelled them."""
        return torch.tensor(-1).expand(len(self))

    def pixels(self, indices: torch.Tensor | slice) -> torch.Tensor:
        """Reads the frames of such numbers, as float32 in [0, 1]."""
        return torch.from_numpy(self.frames[numbers_of(indices, len(self)).numpy()]).float() / 255


@register_source("frames")
def frames(split: Split, *, root: str | Path | None = None, every: int = 1) -> Frames:
    """Frames of a recording.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of train.npy and test.npy.
        every: takes every so many-th frame, as neighbours look alike.
    """
    return Frames("frames", np.load(Path(root or ".") / f"{split}.npy", mmap_mode="r")[::every])
