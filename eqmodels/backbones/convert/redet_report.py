"""What became of every layer of a ReResNet: numbers, and a short table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ConvertedLayer", "RedetReport"]


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
class RedetReport:
    """What became of every layer of a ReResNet, by `from_redet`.

    Attributes:
        model: the name under which `create_model` knows the new network's architecture.
        layers: the layers in forward order, then what the checkpoint holds beside the network.
    """

    model: str
    layers: tuple[ConvertedLayer, ...]

    @property
    def worst(self) -> ConvertedLayer:
        """The mapped layer with the largest residual."""
        return max(self.layers, key=lambda layer: -1.0 if layer.residual is None else layer.residual)

    def text(self) -> str:
        """How many layers were mapped how, and a table of those that differ in their weights or in what they do."""
        counts = {status: sum(layer.status == status for layer in self.layers) for status in _WORDS}
        summary = ", ".join(f"{count} {_WORDS[status]}" for status, count in counts.items())
        header = ("layer", "as", "weights", "residual", "note")
        listed = [layer for layer in self.layers if layer.note or layer.status != "exact"]
        rows = [header, *(_row(layer) for layer in listed)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{self.model} from a ReResNet: {summary}",
            f"largest relative residual of a filter: {self.worst.residual:.1e} ({self.worst.source}); "
            "layers that are not listed are the same",
        ]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


_WORDS = {"exact": "mapped exactly", "residual": "with a residual", "not mapped": "not mapped"}


def _row(layer: ConvertedLayer) -> tuple[str, str, str, str, str]:
    residual = "-" if layer.residual is None else f"{layer.residual:.1e}" if layer.residual else "0"
    return layer.source, layer.target or "-", layer.status, residual, layer.note
