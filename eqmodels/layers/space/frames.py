"""Reading the pose of a cloud off its features: a frame that turns with the cloud, and whether there is one at all.

``F = (front, left, up)`` has the images of the axes x, y and z as columns: the identity for a cloud that stands
upright, and ``F(R x) = R F(x)``. Up is the first vector predicted, front the second made orthogonal to it, left their
cross product; under O(3), where that does not change sign as left must, a third vector says on which side left is.

No vector can be read off a cloud whose symmetry leaves none, and numbers that are rounding errors would still give a
frame. So two figures are kept: how long the shortest vector is beside the features, and how independent the two are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.fields import Field, Irreps, check_field
from eqmodels.fields.irreps import safe_norm

__all__ = ["FramePredictor", "Frames"]

SHORTEST, FLATTEST = 1e-4, 1e-3
"""Below which a vector is rounding beside the features, and the second singular value of two beside the first."""

torch.fx.wrap("check_field")


class Frames(NamedTuple):
    """Frames of a batch of clouds, and how far they can be trusted.

    Attributes:
        matrices: orthogonal ones; the identity where a frame is degenerate.
        degenerate: whether the cloud has no frame: the features do not tell one.
        length: of the shorter of the two vectors, as a part of the length of the features.
        independence: the second singular value of the two vectors as a part of the first: 0 if they are parallel.
        handedness: under O(3), how far the third vector leaves the plane of the two, from 0 to 1: at 0 the features do
            not tell which side is left, as of a cloud that equals its mirror image, for which either will do.
    """

    matrices: Float[Tensor, "B 3 3"]
    degenerate: Bool[Tensor, " B"]
    length: Float[Tensor, " B"]
    independence: Float[Tensor, " B"]
    handedness: Float[Tensor, " B"]


class FramePredictor(nn.Module):
    """An equivariant perceptron from features of a cloud to vectors: sums of its vectors with invariant weights.

    ``(B, C) -> (B, K, 3)``, with K = 2 vectors (up and front) under SO(3) and 3 (and left) under O(3). Vectors of the
    turned cloud are the turned vectors.

    Args:
        field: of the features, with vectors among them that the inversion reverses.
        hidden: width of the hidden layer, which reads the invariants.

    Raises:
        TypeError: if `hidden` is not an integer.
        ValueError: if it is below 1, or the field has no such vectors.
    """

    def __init__(self, field: Field, hidden: int = 64) -> None:
        super().__init__()
        parts = field.parts if isinstance(field, Irreps) else ()
        vectors = [part.count for part in parts if part.degree == 1 and part.parity <= 0]
        if not isinstance(field, Irreps) or not sum(vectors):
            raise ValueError(
                "a frame is made of vectors among the features (1x1, or 1x1o with parities); got the field "
                f"{field if isinstance(field, Field) else shown(field)}. Use equivariant features of an encoder, "
                "such as so3_vectors_small."
            )
        self.in_field, self.count = field, 3 if field.group.reflections else 2
        self.hidden = nn.Linear(field.invariant_count, check_count("hidden", hidden))
        self.weights = nn.Linear(hidden, self.count * sum(vectors))

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B K 3"]:
        """Up, front and, under O(3), left: not of length 1 and not orthogonal yet."""
        parts = self.in_field.split(check_field(features, self.in_field))
        kinds = zip(self.in_field.parts, parts, strict=True)
        vectors = torch.cat([part for kind, part in kinds if kind.degree == 1 and kind.parity <= 0], 1)
        weights = self.weights(torch.nn.functional.silu(self.hidden(self.in_field.invariants(features))))
        return torch.einsum("bkv,bvx->bkx", weights.unflatten(1, (self.count, -1)), vectors)

    def frames(self, features: Float[Tensor, "B C"]) -> Frames:
        """The frame of every cloud; it can be differentiated where it is not degenerate."""
        vectors = self(features)
        reference = safe_norm(features, 1)
        length, independence = _trust(vectors.detach(), reference.detach())
        degenerate = ~((length > SHORTEST) & (independence > FLATTEST))  # NaN too
        axes = torch.eye(3, dtype=features.dtype, device=features.device)[[2, 0, 1][: self.count]]
        up, front, *sides = torch.where(degenerate[:, None, None], axes, vectors).unbind(1)
        up = nn.functional.normalize(up, dim=1)
        front = nn.functional.normalize(front - (front * up).sum(1, keepdim=True) * up, dim=1)
        left = torch.linalg.cross(up, front)
        handedness = torch.ones_like(length)
        if sides:  # which side is left is a pseudo-scalar: the volume that the three vectors span
            volume = (left * nn.functional.normalize(sides[0], dim=1)).sum(1, keepdim=True)
            left, handedness = torch.where(volume < 0, -left, left), volume.detach().abs()[:, 0]
        return Frames(torch.stack([front, left, up], 2), degenerate, length, independence, handedness)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.in_field}, vectors={self.count}"


def _trust(vectors: Float[Tensor, "B K 3"], reference: Float[Tensor, " B"]) -> tuple[Tensor, Tensor]:
    """The length of the shorter of the first two vectors beside a reference, and their independence."""
    tiny = torch.finfo(vectors.dtype).tiny
    up, front = vectors[:, 0], vectors[:, 1]
    lengths = vectors[:, :2].norm(dim=2)
    # The singular values of two vectors, by the eigenvalues of their two-by-two Gram matrix.
    total = lengths.square().sum(1)
    area = torch.linalg.cross(up, front).norm(dim=1)
    root = (total.square() - 4 * area.square()).clamp_min(0).sqrt()
    largest = ((total + root) / 2).clamp_min(tiny)
    return lengths.amin(1) / reference.clamp_min(tiny), area / largest
