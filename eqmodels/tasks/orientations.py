"""Which of a few orientations a cloud is turned into: the labels of rotation prediction on points, as on images.

Source: Poursaeed et al. 2020, *Self-supervised Learning of Point Clouds via Orientation Estimation*, arXiv 2008.00305.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_tensor
from eqmodels.fields import Scalars
from eqmodels.groups import PointGroup

__all__ = ["Orientations"]


class Orientations:
    """The 24 orientations of a cube as the labels of clouds: label 0 leaves a cloud as it is.

    A standard network learns them by a perceptron on its features, as in the paper; an equivariant one has the strict
    head `FrameHead`, which turns nothing.

    Args:
        group: whose elements are the labels: ``"o"``, the rotations of the cube, or another finite one of space.

    Attributes:
        num_labels: the number of orientations.

    Raises:
        ValueError: if there is no such group.
    """

    def __init__(self, group: PointGroup | str = "o") -> None:
        self.group = group if isinstance(group, PointGroup) else PointGroup(group)
        self.num_labels = self.group.order

    @property
    def label_field(self) -> Scalars:
        """What the logits of a head are: one a label, of which nothing is declared."""
        return Scalars(self.num_labels)

    def sample(self, batch: int, generator: torch.Generator | None = None) -> Int[Tensor, " B"]:
        """Uniform labels, one a cloud.

        Args:
            batch: number of clouds.
            generator: a generator on the CPU; None for the global one.
        """
        return torch.randint(self.num_labels, (batch,), generator=generator, device="cpu")

    def apply(self, points: Float[Tensor, "B N C"], labels: Int[Tensor, " B"]) -> Float[Tensor, "B N C"]:
        """Every cloud turned about the origin as its label says; what stands behind coordinates stays.

        Args:
            points: coordinates, and perhaps features behind them.
            labels: as `sample` draws them.

        Raises:
            TypeError: if an argument is of another type, or the points are not floating point.
            ValueError: if the shape is another, or there is not one label in range a cloud.
        """
        check_arguments(Orientations.apply, {"points": points, "labels": labels})
        if check_tensor("points", points).dim() != 3 or points.shape[-1] < 3:
            raise ValueError(f"points must have the shape (batch, points, 3); got {tuple(points.shape)}. Add an axis.")
        if not points.is_floating_point():
            raise TypeError(f"points must be floating point; got {points.dtype}. Convert them with .float().")
        in_range = labels.dtype == torch.int64 and (
            not len(labels) or 0 <= labels.min() <= labels.max() < self.num_labels
        )
        if labels.shape != points.shape[:1] or not in_range:
            raise ValueError(
                f"labels must be one integer of 0 .. {self.num_labels - 1} for each of {len(points)} clouds; got "
                f"{labels.dtype} of the shape {tuple(labels.shape)}. Draw them with sample({len(points)})."
            )
        matrices = self.group.matrices[labels.cpu()].to(points)
        turned: Tensor = points[..., :3] @ matrices.transpose(1, 2)
        return torch.cat([turned, points[..., 3:]], 2)
