"""What is registered for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqmodels.registry import Registry


@contextmanager
def forgotten(registries: Sequence[Registry[Any]]) -> Iterator[None]:
    """A context after which the registries hold what they held before it."""
    before = [dict(registry._found) for registry in registries]
    try:
        yield
    finally:
        for registry, found in zip(registries, before, strict=True):
            registry._found.clear()
            registry._found.update(found)
