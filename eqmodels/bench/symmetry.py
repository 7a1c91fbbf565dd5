"""How exactly features turn with the image, element by element, in the precisions that people compute in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from eqmodels.backbones.golden import fitting_size
from eqmodels.backbones.network import StagedNetwork
from eqmodels.bench.layers import Layers, read_layers, worst_of_layers
from eqmodels.evaluation import equivariance_report
from eqmodels.groups import PlanarGroup

__all__ = ["PRECISIONS", "Symmetry", "measure_symmetry"]

PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}
SQUARE = PlanarGroup(4, True)
"""All that permutes the pixels of a square: what every network is asked about, whatever it was built for."""
LARGEST = 64
"""The largest side of the images that it is asked about."""


@dataclass(frozen=True)
class Symmetry:
    """How far the features of one network are from turning with the image.

    Attributes:
        group: its own; ``"c1"`` if it names none.
        tested: whose elements were asked about: of D4, or of its own group if that is no part of D4.
        size: height and width of the images in pixels.
        errors: by precision and element in words, ``|f(g x) - rho(g) f(x)| / |f(x)|`` of the features; where nobody
            says how they move, how far they change; None if that is not finite.
        own: the elements, in words, that the network's group has and that permute pixels.
        worst_layer: in float64, the largest error of any layer for these elements; None without such elements.
        worst_layer_name: of that layer.
        layers: by precision and layer, the largest error for these elements, and which; empty without such elements.
    """

    group: str
    tested: str
    size: tuple[int, int]
    errors: dict[str, dict[str, float | None]]
    own: tuple[str, ...]
    worst_layer: float | None
    worst_layer_name: str
    layers: dict[str, Layers] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Symmetry:
        """What `dataclasses.asdict` made of one, also after a way through JSON.

        Raises:
            TypeError: if names are missing or unknown.
        """
        values = {**content, "size": tuple(content["size"]), "own": tuple(content["own"])}
        return cls(**{**values, "layers": read_layers(content.get("layers", {}))})

    def worst(self, precision: str, *, own: bool) -> float | None:
        """The largest error over the elements that are the network's own, or over the others; None without any."""
        found = self.errors.get(precision, {})
        chosen = [error for element, error in found.items() if (element in self.own) is own]
        if not chosen:
            return None
        return max(math.inf if error is None else error for error in chosen)


def measure_symmetry(
    encoder: nn.Module,
    size: tuple[int, int],
    *,
    precisions: Iterable[str] = tuple(PRECISIONS),
    report: Callable[[str], None] = lambda _: None,
) -> Symmetry:
    """The errors of a network as it is, in some of `PRECISIONS`, on two smooth images.

    Args:
        encoder: a module of images.
        size: of the images; at most 64 pixels a side are taken, and what the network runs at.
        precisions: their names.
        report: called with a word on what is being done.

    Raises:
        ValueError: if it runs at no such size.
    """
    own = getattr(encoder, "group", None)
    own = own if isinstance(own, PlanarGroup) else PlanarGroup(1)
    tested = SQUARE if SQUARE.contains(own) else own
    height, width = (min(side, LARGEST) for side in size)
    if isinstance(encoder, StagedNetwork):
        height, width = fitting_size(encoder, (height, width))
    errors: dict[str, dict[str, float | None]] = {}
    layers: dict[str, Layers] = {}
    shared = (tested.embed(own, g) for g in own.elements if g != own.identity)
    exact = tuple(tested.describe(g) for g in shared if tested.is_exact(g))
    worst, layer = None, ""
    for name in precisions:
        report(name)
        dtype = PRECISIONS[name]
        found = equivariance_report(encoder, size=(height, width), dtype=dtype, group=tested, angles=())
        outputs = [one for one in found.layers if one.layer == "output"]
        errors[name] = {
            one.description: one.error if math.isfinite(one.error) else None
            for one in sorted(outputs, key=lambda one: one.element)
        }
        if exact:
            layers[name] = worst_of_layers(found.layers, exact, encoder)
        if name == "float64" and exact:
            top = next(one for one in found.layers if one.description in exact)
            worst, layer = top.error, top.layer
    return Symmetry(own.name, tested.name, (height, width), errors, exact, worst, layer, layers)
