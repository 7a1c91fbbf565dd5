"""A layer of scalars and vectors of space, in plain PyTorch: messages from neighbours, then an update of each point.

The update also knows the mean over the cloud, of vectors and of half of the scalars: what no neighbourhood shows.

Scalars are multiplied by anything invariant; vectors by invariant numbers alone, added and turned into one another by
matrices that mix vectors, never their components. A chiral layer also takes cross products, which rotations keep and
reflections do not: SO(3), and not O(3).

Source: Schuett, Unke and Gastegger 2021, *Equivariant message passing for the prediction of tensorial properties and
molecular spectra*, arXiv 2102.03150.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.fields.irreps import safe_norm
from eqmodels.layers.space.clouds import masked_mean
from eqmodels.layers.space.neighbours import BASIS, Neighbours, gathered

__all__ = ["VectorLayer", "VectorNorm"]


class VectorNorm(nn.Module):
    """Vectors divided by the root of their mean square over the channels of a point; directions stay.

    Args:
        epsilon: added to the mean square.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, vectors: Float[Tensor, "B N V 3"]) -> Float[Tensor, "B N V 3"]:
        """The scaled vectors."""
        square = vectors.square().sum(-1).mean(-1)
        return vectors * (square + self.epsilon).rsqrt()[..., None, None]


class VectorLayer(nn.Module):
    """Messages and an update, both residual: ``(B, N, S)`` scalars and ``(B, N, V, 3)`` vectors in and out.

    Args:
        scalars: S.
        vectors: V.
        chiral: whether cross products are taken: equivariant under rotations, and not under reflections.
    """

    def __init__(self, scalars: int, vectors: int, *, chiral: bool) -> None:
        super().__init__()
        self.sizes, self.chiral = (scalars, *[vectors] * (3 if chiral else 2)), chiral
        self.scalar_norm, self.vector_norm = nn.LayerNorm(scalars), VectorNorm()
        self.sent = nn.Sequential(nn.Linear(scalars, scalars), nn.SiLU(), nn.Linear(scalars, sum(self.sizes)))
        self.radial = nn.Sequential(nn.Linear(BASIS, scalars), nn.SiLU(), nn.Linear(scalars, sum(self.sizes)))
        self.mixed = nn.Linear(2 * vectors, 2 * vectors, bias=False)
        self.update_norm = nn.LayerNorm(scalars)
        known = scalars + scalars // 2 + 2 * vectors
        self.update = nn.Sequential(nn.Linear(known, scalars), nn.SiLU(), nn.Linear(scalars, sum(self.sizes[:-1])))

    def forward(
        self,
        scalars: Float[Tensor, "B N S"],
        vectors: Float[Tensor, "B N V 3"],
        neighbours: Neighbours,
        mask: Bool[Tensor, "B N"] | None = None,
    ) -> tuple[Float[Tensor, "B N S"], Float[Tensor, "B N V 3"]]:
        """Scalars and vectors after a look at the neighbours and at the whole cloud."""
        to_scalars, to_vectors = self._messages(scalars, self.vector_norm(vectors), neighbours)
        scalars, vectors = scalars + to_scalars, vectors + to_vectors
        # Beside what is here the mean over the cloud: products of both tell a point where it lies along what the cloud
        # as a whole points at, so that an axis which few points show each alone can sharpen from layer to layer.
        here, own = self.vector_norm(vectors), self.update_norm(scalars)
        local, whole = self.mixed.weight.chunk(2, 1)
        pairs = torch.einsum("bnvx,wv->bnwx", here, local)
        pairs = pairs + torch.einsum("bvx,wv->bwx", masked_mean(here, mask), whole)[:, None]
        first, second = pairs.chunk(2, 2)
        mean = masked_mean(own[..., : own.shape[2] // 2], mask)[:, None].expand(-1, own.shape[1], -1)
        known = [own, mean, safe_norm(first, -1), (first * second).sum(-1)]
        gates = self.update(torch.cat(known, -1)).split(self.sizes[:-1], -1)
        scalars, vectors = scalars + gates[0], vectors + gates[1][..., None] * first
        if self.chiral:
            vectors = vectors + gates[2][..., None] * torch.linalg.cross(first, second)
        return scalars, vectors

    def _messages(
        self, scalars: Float[Tensor, "B N S"], vectors: Float[Tensor, "B N V 3"], neighbours: Neighbours
    ) -> tuple[Float[Tensor, "B N S"], Float[Tensor, "B N V 3"]]:
        index, direction, basis, weight = neighbours
        sent = gathered(self.sent(self.scalar_norm(scalars)), index)
        parts = (sent * self.radial(basis)).split(self.sizes, -1)
        # Weights go with directions and vectors, which are smaller than what is sent.
        there = weight[..., None, None] * gathered(vectors, index)
        moved = parts[1].transpose(2, 3) @ (weight[..., None] * direction) + (parts[2][..., None] * there).sum(2)
        if self.chiral:
            # Products of all components, summed over the neighbours by one matrix product: of these the cross product.
            weighted = (parts[3][..., None] * there).flatten(3).transpose(2, 3)
            pairs = (weighted @ direction).unflatten(2, (-1, 3))
            rows = [pairs[..., i, j] - pairs[..., j, i] for i, j in ((1, 2), (2, 0), (0, 1))]
            moved = moved + torch.stack(rows, -1)
        return (weight[:, :, None] @ parts[0])[:, :, 0], moved

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.sizes[0]}, {self.sizes[1]}, chiral={self.chiral}"
