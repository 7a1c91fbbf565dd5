"""Collapse: how much features depend on the image. A network that ignores it is equivariant, and worthless."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.evaluation.fibres import Fibre

__all__ = ["Collapse", "measure_collapse", "relative_spread"]


@dataclass(frozen=True)
class Collapse:
    """How much the last feature map depends on the image; a network that ignores it is equivariant and worthless.

    Attributes:
        effective_rank: the exponential of the entropy of the normalised singular values of the feature vectors (one a
            pixel and image, minus the mean over the images at that pixel); from 0 to `channels`. Source: Roy and
            Vetterli, *The effective rank*, EUSIPCO 2007.
        channels: of the feature map.
        spread: ``||f(x) - mean over images|| / ||f(x)||`` of the feature maps; 0 if they are the same for all images.
        between_images: ``||f(x) - f(x')|| / ||f(x)||`` (root mean squares) of the invariant features of different
            images: what the curve over the angles is to be compared with.
    """

    effective_rank: float
    channels: int
    spread: float
    between_images: float


def measure_collapse(maps: Float[Tensor, "B F *space"], fibre: Fibre) -> Collapse:
    """How much the features depend on the image: see `Collapse`; NaN if they are not finite."""
    # Half precision has neither the distances nor the range.
    maps, channels = maps.double(), maps.shape[1]
    if not maps.isfinite().all():
        return Collapse(math.nan, channels, math.nan, math.nan)
    invariants = fibre.invariants(maps)
    mean_distance = float(torch.cdist(invariants, invariants).square().sum()) / (len(maps) * (len(maps) - 1))
    mean_square = float(invariants.square().sum()) / len(maps)
    vectors = _deviations(maps).flatten(2).movedim(1, -1).flatten(0, -2) if maps.dim() > 2 else _deviations(maps)
    values = torch.linalg.svdvals(vectors)
    total = float(values.sum())
    entropy = float(torch.special.entr(values / total).sum()) if total else 0.0
    return Collapse(
        effective_rank=math.exp(entropy) if total else 0.0,
        channels=channels,
        spread=relative_spread(maps),
        between_images=math.sqrt(mean_distance / mean_square) if mean_square else 0.0,
    )


def _deviations(maps: Float[Tensor, "B F *space"]) -> Float[Tensor, "B F *space"]:
    # Centred over the images pixel by pixel: what the border does to every image alike is no information about it.
    return maps - maps.mean(0)


def relative_spread(maps: Float[Tensor, "B F *space"]) -> float:
    """``||f(x) - mean over images|| / ||f(x)||``, pixel by pixel; 0 if all features are."""
    norm = float(maps.norm())
    return float(_deviations(maps).norm()) / norm if norm else 0.0
