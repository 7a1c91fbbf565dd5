"""Collapse: how much features depend on the image. A network that ignores it is equivariant, and worthless."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.fields import Field
from eqmodels.measures.magnitude import near_one

__all__ = ["Collapse", "effective_rank", "measure_collapse", "relative_spread"]


@dataclass(frozen=True)
class Collapse:
    """How much the last feature map depends on the image; a network that ignores it is equivariant and worthless.

    Attributes:
        effective_rank: see `effective_rank`, of the feature vectors (one a pixel and image, minus the mean over the
            images at that pixel); from 0 to `channels`.
        channels: of the feature map.
        spread: ``||f(x) - mean over images|| / ||f(x)||`` of the feature maps; 0 if they are the same for all images.
        between_images: ``||f(x) - f(x')|| / ||f(x)||`` (root mean squares) of the invariant features of different
            images: what the curve over the angles is to be compared with.
    """

    effective_rank: float
    channels: int
    spread: float
    between_images: float


def measure_collapse(maps: Float[Tensor, "B F *space"], field: Field) -> Collapse:
    """How much features of a field depend on the image, as `Collapse` has it; NaN if they are not finite."""
    # Half precision has neither the distances nor the range.
    maps, channels = maps.double(), maps.shape[1]
    if not maps.isfinite().all():
        return Collapse(math.nan, channels, math.nan, math.nan)
    invariants = field.invariants(maps.flatten(2).mean(2) if maps.dim() > 2 else maps)
    mean_distance = float(torch.cdist(invariants, invariants).square().sum()) / (len(maps) * (len(maps) - 1))
    mean_square = float(invariants.square().sum()) / len(maps)
    vectors = _deviations(maps).flatten(2).movedim(1, -1).flatten(0, -2) if maps.dim() > 2 else _deviations(maps)
    return Collapse(
        effective_rank=effective_rank(vectors),
        channels=channels,
        spread=relative_spread(maps),
        between_images=math.sqrt(mean_distance / mean_square) if mean_square else 0.0,
    )


def effective_rank(features: Float[Tensor, "N F"]) -> float:
    """The effective number of dimensions that features fill: ``exp(-sum p log p)`` with ``p = s / sum s``.

    Here s are the singular values of the features minus their mean. Features that fill r orthogonal directions equally
    have rank r; 1 if they lie on a line, 0 if they are all the same. At most ``min(N - 1, F)``, so ranks are to be
    compared at equal numbers of images.

    Source: Roy and Vetterli, *The effective rank: a measure of effective dimensionality*, EUSIPCO 2007.

    Args:
        features: one row an image; any scale, computed in float64.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if `features` is not a matrix, or empty, or a number of it is not finite.
    """
    check_arguments(effective_rank, locals())
    if features.dim() != 2 or 0 in features.shape or features.is_complex():
        raise ValueError(
            f"features must be a matrix (images, features) and not empty; got shape {tuple(features.shape)}. "
            "Pool feature maps to vectors first."
        )
    if broken := len(features) - int(features.isfinite().all(dim=1).sum()):
        raise ValueError(
            f"features must be finite; those of {broken} of {len(features)} images are not. Look for a diverged "
            "training or overflow in half precision."
        )
    features = near_one(features.flatten()[None]).view_as(features)
    # What the mean of equal numbers loses to rounding is no dimension.
    rounding = torch.finfo(features.dtype).eps * max(features.shape) * float(features.norm())
    values = torch.linalg.svdvals(features - features.mean(0))
    values = values[values > rounding]
    return math.exp(float(torch.special.entr(values / values.sum()).sum())) if len(values) else 0.0


def _deviations(maps: Float[Tensor, "B F *space"]) -> Float[Tensor, "B F *space"]:
    # Centred over the images pixel by pixel: what the border does to every image alike is no information about it.
    return maps - maps.mean(0)


def relative_spread(maps: Float[Tensor, "B F *space"]) -> float:
    """``||f(x) - mean over images|| / ||f(x)||``, pixel by pixel; 0 if all features are."""
    norm = float(maps.norm())
    return float(_deviations(maps).norm()) / norm if norm else 0.0
