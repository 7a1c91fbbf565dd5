"""The place of this process among those of one `torchrun`, as the environment says it; no other module asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Place", "by_itself", "own_place"]

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


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
    rank, size, local = (os.environ.get(name) for name in VARIABLES)
    return Place(int(rank or 0), int(size or 1), int(local or 0))


@contextmanager
def by_itself() -> Iterator[None]:
    """A context in which this process is the only one: what it computes there it shares with no other."""
    before = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
