"""What became of every layer of a checkpoint from elsewhere: numbers, and a short table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

__all__ = ["ConversionReport", "ConvertedLayer", "RedetReport"]


MANY = 8
"""Layers that have a note of their own each; of more with the same, it is said once."""


@dataclass(frozen=True)
class ConvertedLayer:
    """What became of one layer.

    Attributes:
        source: its name in the checkpoint.
        target: its name in the new network; None if it has none.
        status: ``"exact"`` if the weights are the same up to rounding, ``"residual"`` if they are the nearest ones that
            this package's kernels can be, ``"not mapped"`` if there is no counterpart.
        residual: ``||new filter - old filter|| / ||old filter||``; None if not mapped.
        note: where the layer computes something else than it did although its weights are the same, or why it was not
            mapped; empty if there is nothing to say.
    """

    source: str
    target: str | None
    status: Literal["exact", "residual", "not mapped"]
    residual: float | None
    note: str = ""


@dataclass(frozen=True)
class ConversionReport:
    """What became of every layer, by `from_redet` or `from_equivision`.

    Attributes:
        model: the name under which `create_model` knows the new network's architecture.
        layers: the layers in forward order, then what the checkpoint holds beside the network.
        source: what the checkpoint is of.
        notes: what is to be known of the whole, a sentence each.
    """

    model: str
    layers: tuple[ConvertedLayer, ...]
    source: str = "a ReResNet"
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> ConvertedLayer:
        """The mapped layer with the largest residual."""
        return max(self.layers, key=lambda layer: -1.0 if layer.residual is None else layer.residual)

    def text(self) -> str:
        """How many layers were mapped how, and a table of those that differ in their weights or in what they do.

        A note that many layers have is said once, and does not put them into the table.
        """
        counts = {status: sum(layer.status == status for layer in self.layers) for status in _WORDS}
        summary = ", ".join(f"{count} {_WORDS[status]}" for status, count in counts.items())
        header = ("layer", "as", "weights", "residual", "note")
        notes = Counter(layer.note for layer in self.layers if layer.note)
        common = {note: count for note, count in notes.items() if count > MANY}
        listed = [
            layer for layer in self.layers if layer.status != "exact" or (layer.note and layer.note not in common)
        ]
        rows = [header, *(_row(layer) for layer in listed)] if listed else []
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{self.model} from {self.source}: {summary}",
            f"largest relative residual of a filter: {self.worst.residual:.1e} ({self.worst.source}); "
            "layers that are not listed are the same",
            *(f"{count} layers: {note}" for note, count in common.items()),
            *self.notes,
        ]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


RedetReport = ConversionReport
"""The name of before there were reports of other checkpoints."""

_WORDS = {"exact": "mapped exactly", "residual": "with a residual", "not mapped": "not mapped"}


def _row(layer: ConvertedLayer) -> tuple[str, str, str, str, str]:
    residual = "-" if layer.residual is None else f"{layer.residual:.1e}" if layer.residual else "0"
    return layer.source, layer.target or "-", layer.status, residual, layer.note
