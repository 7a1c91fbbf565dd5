"""What networks of others put out, as maps: tensors, or tensors by name, vectors or maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from eqmodels._shapes import Float

__all__ = ["maps_of", "place_of_maps"]

NAMES = ("out", "pooler_output", "logits", "last_hidden_state")
"""What is taken of outputs that have names, the first that is there: of torchvision's segmentation, and of
transformers: pooled features before maps."""


def maps_of(output: object, images: int) -> Float[Tensor, "B F h w"]:
    """The maps in what a network returned; vectors are maps of one pixel.

    Args:
        output: a tensor ``(B, F)`` or ``(B, F, h, w)``, or an object that has one by one of the names in `NAMES`.
        images: that the network was given.

    Raises:
        TypeError: if there is no tensor of floating point in it.
        ValueError: if it has another shape, or not one row an image.
    """
    found, place = output, place_of_maps(output)
    if not isinstance(output, Tensor):
        found = None if place is None else _named(output)[place[1]]
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise TypeError(
            f"a network that is adapted returns a tensor of floating point, or one by the name {', '.join(NAMES)}; "
            f"this one returned a {type(output).__name__}. Wrap a function that picks it: lambda images: "
            "network(images)['features']."
        )
    if found.dim() not in (2, 4) or found.shape[0] != images:
        raise ValueError(
            "a network that is adapted returns vectors (batch, features) or maps (batch, features, height, width); "
            f"this one returned the shape {tuple(found.shape)} of {images} images. Wrap a function that pools or "
            "picks: lambda images: network(images).mean(1) of tokens, for instance."
        )
    return found[:, :, None, None] if found.dim() == 2 else found


def place_of_maps(output: object) -> tuple[Literal["key", "attribute"], str] | None:
    """Under which name of an output `maps_of` finds the tensor; None for a tensor itself, or if there is none."""
    named = {} if isinstance(output, Tensor) else _named(output)
    name = next((name for name in NAMES if isinstance(named.get(name), Tensor)), None)
    return None if name is None else ("key" if isinstance(output, Mapping) else "attribute", name)


def _named(output: object) -> Mapping[str, object]:
    return output if isinstance(output, Mapping) else getattr(output, "__dict__", {})
