"""The law that every layer obeys: it commutes with the group."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from eqmodels.groups import PlanarGroup

GROUPS = ("c1", "c2", "c3", "c4", "c6", "c8", "d1", "d2", "d3", "d4", "d6", "d8")
PIXEL_GROUPS = ("c1", "c2", "c4", "d1", "d2", "d4")
TOLERANCE = 1e-10


def enough_elements(group: PlanarGroup, inputs: Tensor) -> list[int]:
    """Exact elements that prove the law for all of them: on squares, two whose products are all the others."""
    if inputs.shape[-1] != inputs.shape[-2]:
        return list(group.exact_elements)
    turns = [g for g in group.exact_elements if not group.reflected(g)]
    return turns[:2] + ([group.rotations] if group.reflections else [])


@torch.no_grad()
def equivariance_error(
    layer: Callable[[Tensor], Tensor],
    inputs: Tensor,
    act_before: Callable[[int, Tensor], Tensor],
    act_after: Callable[[int, Tensor], Tensor],
    elements: Iterable[int],
) -> float:
    """The largest relative difference of ``layer(g x)`` and ``g layer(x)``; infinite where the shapes differ."""
    outputs, errors = layer(inputs), [0.0]
    for g in elements:
        moved_first, moved_after = layer(act_before(g, inputs)), act_after(g, outputs)
        if moved_first.shape != moved_after.shape:
            return float("inf")
        errors.append(float((moved_first - moved_after).norm() / moved_after.norm()))
    return max(errors)


def assert_commutes(
    layer: Callable[[Tensor], Tensor],
    group: PlanarGroup,
    inputs: Tensor,
    *,
    before: str = "act_on_fields",
    after: str = "act_on_fields",
    elements: Iterable[int] | None = None,
) -> None:
    """``layer(g x) == g layer(x)`` for every exact g, where `before` and `after` name methods of the group."""
    outputs = layer(inputs)
    assert outputs.isfinite().all()
    assert (outputs != 0).any(), "zero is equivariant under everything"
    chosen = enough_elements(group, inputs) if elements is None else elements
    error = equivariance_error(layer, inputs, getattr(group, before), getattr(group, after), chosen)
    assert error < TOLERANCE


def unmoved(_: int, features: Tensor) -> Tensor:
    """The trivial action."""
    return features


def randomise(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer in float64 with every parameter drawn afresh, so that no zero bias or unit scale hides a mistake."""
    layer = layer.double()
    with torch.no_grad():
        for value in layer.parameters():
            value.normal_()
    return layer
