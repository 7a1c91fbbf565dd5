"""The place of this process among those of one `torchrun`, as the environment says it; no other module asks for it."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["Place", "own_place"]


class Place(NamedTuple):
    """A process among several.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        local: its number among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0


def own_place() -> Place:
    """The place of this process; that of the only one if torchrun did not start it."""
    rank, size, local = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    return Place(int(rank or 0), int(size or 1), int(local or 0))
