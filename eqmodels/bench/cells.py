"""What is measured at once: a cell, named after everything that decides its figures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["FORMAT", "KINDS", "BenchCell", "Kind", "cell_of"]

Kind = Literal[
    "quality", "angles", "supervised", "growth", "rotated", "capacity", "symmetry", "forms", "cost", "scaling",
    "throughput",
]  # fmt: skip
KINDS: tuple[Kind, ...] = (
    "quality", "symmetry", "forms", "angles", "growth", "supervised", "rotated", "capacity", "cost", "scaling",
    "throughput",
)  # fmt: skip
"""In the order in which they are measured; what is timed comes last."""
FORMAT = 1
"""Of the settings of a cell: another one when the same settings would give other figures."""


@dataclass(frozen=True)
class BenchCell:
    """What is measured at once.

    Attributes:
        kind: ``quality`` of a network on images, and its ``angles`` and ``growth``; its ``supervised`` training, also
            on ``rotated`` images; its ``symmetry``, ``forms`` and ``cost``; training of a family by ``capacity``, and
            the ``scaling`` of its time; ``throughput`` of all networks that take the same images, side by side.
        label: for people, and the beginning of its folder's name.
        seed: of what is random in it.
        settings: all that decides the figures, in JSON.
        expected: seconds that it may take.
    """

    kind: Kind
    label: str
    seed: int
    settings: str
    expected: float = field(default=1.0, compare=False)

    @property
    def name(self) -> str:
        """Its folder: the label, and a digest of the settings."""
        digest = hashlib.sha256(self.settings.encode()).hexdigest()[:10]
        return f"{self.kind}/{re.sub(r'[^A-Za-z0-9._-]+', '_', self.label)}.{digest}"

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        found: dict[str, Any] = json.loads(self.settings)
        return found


def cell_of(kind: Kind, label: str, seed: int, settings: Mapping[str, Any], expected: float) -> BenchCell:
    """A cell of settings by name."""
    return BenchCell(kind, label, seed, json.dumps({"kind": kind, **settings}, sort_keys=True), expected)
