"""Networks whose first weights do not matter, because those of a file take their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["to_be_overwritten"]


@contextmanager
def to_be_overwritten() -> Iterator[None]:
    """Networks are built on the CPU, and the caller's random numbers go on as if nothing had been drawn for them.

    On the CPU, whatever the default device is: random numbers of an accelerator are not drawn then.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        yield
