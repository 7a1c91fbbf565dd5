"""Memory that the machine does not have: a sentence in the place of what an allocator says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from eqmodels.errors import EqmodelsError

__all__ = ["machine_memory", "within_memory"]

_ALLOCATOR = re.compile(r"can't allocate memory|not enough memory|out of memory|Storage size calculation overflowed")
"""What PyTorch says of memory that it does not get: on Linux, on Windows, of a GPU, and of sizes beyond any memory."""


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """A context in which a network is built or moved; what lacks memory for it is one sentence.

    Args:
        what: is built, for the sentence.

    Raises:
        EqmodelsError: if the machine cannot give as much memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_allocator = isinstance(error, MemoryError | torch.OutOfMemoryError) or _ALLOCATOR.search(str(error))
        if isinstance(error, EqmodelsError) or not is_allocator:
            raise
        raise EqmodelsError(
            f"{what} needs more memory than this machine can give. Name a narrower network (_w<width>), or use a "
            "larger machine."
        ) from error


def machine_memory() -> float:
    """Bytes of memory of this machine; infinite where it does not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError):  # Windows has no sysconf
        return float("inf")
