"""The nearest neighbours of every point, and what an equivariant layer asks of each: direction, distance, weight.

The weight falls to zero at the distance of the first point that is no neighbour any more. So a point that becomes a
neighbour, or ceases to be one, does it without a jump, and of two that are equally far it does not matter which counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int
from eqmodels.fields.irreps import safe_norm

__all__ = ["BASIS", "Neighbours", "gathered", "nearest", "neighbours_of"]

SMALLEST, BLURRED = 1e-3, 1e-2
"""The least reach, and the part of the reach below which a direction fades: what lies closer may lie there by rounding,
and no direction is to be made of that."""

BASIS = 10
"""Numbers that say how far a neighbour is: eight bumps over the share of the reach, the distance, and the reach."""


class Neighbours(NamedTuple):
    """The neighbours of every point of a batch of clouds, at most k of each.

    Attributes:
        others: the number of each neighbour in its cloud.
        direction: from the point to the neighbour, of length 1; shorter for one nearby, zero for one at the same place.
        basis: what says how far it is, invariant numbers for a perceptron.
        weight: how much it counts, from ``1 / sqrt(k)`` for a near one to 0; 0 for none.
    """

    others: Int[Tensor, "B N k"]
    direction: Float[Tensor, "B N k 3"]
    basis: Float[Tensor, "B N k basis"]
    weight: Float[Tensor, "B N k"]


@torch.no_grad()
def nearest(
    values: Float[Tensor, "B N C"], count: int, mask: Bool[Tensor, "B N"] | None
) -> tuple[Int[Tensor, "B N k"], Float[Tensor, "B N k"]]:
    """The nearest other points of each, by the distance of their values: index and distance, infinite for none."""
    # Not by the expansion of the square, whose rounding errors depend on where the cloud lies.
    distances = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
    distances = distances.masked_fill(torch.eye(values.shape[1], dtype=torch.bool, device=values.device), torch.inf)
    if mask is not None:
        distances = distances.masked_fill(~mask[:, None, :], torch.inf)
    found = distances.topk(min(count, values.shape[1] - 1), largest=False)
    return found.indices, found.values


def neighbours_of(positions: Float[Tensor, "B N 3"], count: int, mask: Bool[Tensor, "B N"] | None) -> Neighbours:
    """The nearest neighbours of every point: as many as there are, if these are fewer than asked for.

    Args:
        positions: of the points.
        count: of neighbours, at most.
        mask: which points are there; None for all.
    """
    index, distances = nearest(positions, count + 1, mask)
    is_there = distances[..., :count].isfinite()
    index = index[..., :count]
    offset = gathered(positions, index) - positions[:, :, None]
    distance = safe_norm(offset, -1)
    # Beyond the last neighbour lies the next point; where there is none, every point is a neighbour, without an end.
    reach = distances[..., -1:] if distances.shape[-1] > count else torch.full_like(distances[..., :1], torch.inf)
    share = (distance / reach.clamp_min(SMALLEST)).clamp_max(1)
    # Sums over neighbours: of a fixed number, so that a cloud is the same alone and in a batch of larger ones.
    weight = (1 - share.square()).square() * is_there / count**0.5
    soft = BLURRED * reach.clamp(10 * SMALLEST, 1)
    direction = offset / (distance.square() + soft.square()).sqrt()[..., None]
    centres = torch.linspace(0, 1, BASIS - 2, dtype=positions.dtype, device=positions.device)
    bumps = torch.exp(-((share[..., None] - centres) * (BASIS - 2)).square())
    bounded = torch.stack([distance / (1 + distance), (1 / (1 + reach)).expand_as(distance)], -1)
    return Neighbours(index, direction, torch.cat([bumps, bounded], -1), weight)


def gathered(values: Float[Tensor, "B N *rest"], index: Int[Tensor, "B N k"]) -> Float[Tensor, "B N k *rest"]:
    """The values of every neighbour."""
    # By numbers of the whole batch: adding up gradients by rows takes a third of the time that pairs of numbers take.
    first = values.shape[1] * torch.arange(len(values), device=values.device)[:, None, None]
    found: Tensor = values.flatten(0, 1).index_select(0, (index + first).flatten()).unflatten(0, index.shape)
    return found
