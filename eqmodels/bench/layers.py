"""How exactly every layer of a network turns with the image, by its worst move."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn

from eqmodels.evaluation.equivariance_results import LayerError

__all__ = ["Layers", "read_layers", "worst_of_layers"]

Layers = dict[str, tuple[float | None, str]]
"""By layer, in the order of the network: its largest error, None if that is not finite, and the move in words."""


def worst_of_layers(errors: Iterable[LayerError], moves: Collection[str], network: nn.Module) -> Layers:
    """The largest error of every layer over some moves.

    Args:
        errors: of all layers and moves, the worst first.
        moves: in words, that count.
        network: whose layers they are.
    """
    found: dict[str, LayerError] = {}
    for one in errors:
        if one.description in moves:
            found.setdefault(one.layer, one)
    places = {name: number for number, (name, _) in enumerate(network.named_modules())}
    ordered = sorted(found, key=lambda layer: places.get(layer.partition("#")[0], len(places)))
    return {
        layer: (found[layer].error if math.isfinite(found[layer].error) else None, found[layer].description)
        for layer in ordered
    }


def read_layers(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Layers]:
    """Those of several precisions or forms, after a way through JSON."""
    return {name: {layer: (error, move) for layer, (error, move) in layers.items()} for name, layers in content.items()}
