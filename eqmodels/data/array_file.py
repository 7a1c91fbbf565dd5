"""Images in one array on the disk, mapped into memory: as many as the disk holds, none read before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.data.levels import from_levels
from eqmodels.data.registry import Split, register_source
from eqmodels.data.source import Source, numbers_of
from eqmodels.storage import reason_of

__all__ = ["ArrayFile", "read_array"]


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Images of one array, without labels: a `Source`.

    Args:
        name: what the data set is called.
        array: ``(N, C, H, W)``, uint8, in memory or mapped into it.

    Raises:
        TypeError: if an argument is of another type.
    """

    name: str
    array: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        check_arguments(ArrayFile, vars(self))

    def __len__(self) -> int:
        return len(self.array)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.array.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return int(self.array.shape[2]), int(self.array.shape[3])

    @property
    def labels(self) -> Int[Tensor, " N"]:
        """All -1, without taking memory: nobody labelled them."""
        return torch.tensor(-1).expand(len(self))

    @property
    def classes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B C H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]; these alone are read."""
        # Numbers and not the slice itself, whose images would be the file's own memory, which nobody may write.
        return from_levels(torch.from_numpy(self.array[numbers_of(indices, len(self)).numpy()]))


@register_source("array")
def read_array(split: Split, *, root: str | Path | None = None) -> Source:
    """Images of ``<root>/train.npy`` or ``<root>/test.npy``, ``(N, C, H, W)`` in uint8, mapped into memory.

    Args:
        split: ``"train"`` or ``"test"``.
        root: the folder of the files.

    Raises:
        ValueError: if no folder is named, or the file holds another array.
        FileNotFoundError: if there is no such file.
    """
    if root is None:
        raise ValueError("array needs the folder of train.npy and test.npy; got none. Name it by root= (--root).")
    file = Path(root).expanduser() / f"{split}.npy"
    if not file.is_file():
        raise FileNotFoundError(f"array reads {file}, which is no file. Write it with numpy.save, or name its folder.")
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{file} must be an array as numpy.save writes it; it cannot be read ({reason_of(error)}). Write it anew."
        ) from error
    if array.dtype != np.uint8 or array.ndim != 4 or not array.size:
        raise ValueError(
            f"{file} must hold images (N, channels, height, width) in uint8, at least one; got {array.dtype} "
            f"{array.shape}. Scale them to 0 .. 255 and move the channels before the height."
        )
    return ArrayFile(f"array:{file.parent.resolve().name}", array)
