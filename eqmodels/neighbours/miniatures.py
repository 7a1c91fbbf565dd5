"""Miniatures of any number of pictures, on the disk."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from eqmodels.neighbours.comparing import Miniature

__all__ = ["Miniatures", "packed"]


def packed(miniatures: Sequence[Miniature]) -> dict[str, Tensor]:
    """Several miniatures as tensors, a row each: as levels of 8 bits where none is deep, else as floats."""
    are_deep = torch.tensor([one.is_deep for one in miniatures])
    pixels = [one.pixels if one.is_deep or not are_deep.any() else one.pixels.float() / 255 for one in miniatures]
    sizes = torch.tensor([[one.height, one.width] for one in miniatures])
    return {"pixels": torch.stack(pixels), "deep": are_deep, "sizes": sizes}


class Miniatures:
    """Miniatures that are read when they are asked for, from a file without a name; as a context, which closes it.

    Args:
        folder: where there is room for the file: 12 kB a picture, or 16 kB a channel of those beside deep ones.

    Raises:
        OSError: if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self._stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as this is there)
        self._places: list[tuple[int, bool, bool, list[int]]] = []
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> Miniatures:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def add(self, part: Mapping[str, Tensor]) -> None:
        """Takes more, as `packed` gives them, of as many channels as all others."""
        pixels = part["pixels"]
        self._shape = tuple(pixels.shape[1:])
        start, length = self._stream.seek(0, os.SEEK_END), pixels[0].numel() * pixels.element_size()
        self._stream.write(pixels.contiguous().numpy().tobytes())
        known = zip(part["deep"].tolist(), part["sizes"].tolist(), strict=True)
        self._places += [
            (start + number * length, pixels.is_floating_point(), is_deep, size)
            for number, (is_deep, size) in enumerate(known)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Miniature:
        start, are_floats, is_deep, (height, width) = self._places[number]
        self._stream.seek(start)
        content = bytearray(self._stream.read(math.prod(self._shape) * (4 if are_floats else 1)))
        pixels = torch.frombuffer(content, dtype=torch.float32 if are_floats else torch.uint8).view(self._shape)
        if are_floats and not is_deep:
            pixels = (pixels * 255).round().to(torch.uint8)
        return Miniature(pixels, height, width)
