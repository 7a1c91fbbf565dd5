"""Clouds of points as a source: pictures of N x 1, whose three channels are the coordinates of N points.

So whatever chooses, counts, shares out or stores the images of a source does so with clouds. As pixels do, coordinates
lie in [0, 1]: a cloud is moved and shrunk into the ball of radius 1/2 about the middle of the unit cube, where it stays
however it is turned. Its place and its size are lost, and encoders of points read neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_tensor
from eqmodels.data.memory import LabelledImages

__all__ = ["LabelledClouds", "clouds_of", "fitted_clouds"]


@dataclass(frozen=True)
class LabelledClouds(LabelledImages):
    """Clouds of equally many points in memory, with the classes that people gave them, if any.

    Args:
        name: what the data set is called.
        images: ``(N, 3, points, 1)``, float32 in [0, 1]: coordinates as `fitted_clouds` gives them.
        labels: ``(N,)``, the class of each cloud, int64; all -1 where nobody labelled them.
        classes: the name of each class; empty where nobody labelled them.
        aligned: whether the clouds stand alike: up is z, and front, as far as they have one, is x.

    Raises:
        TypeError: as `LabelledImages`.
        ValueError: as `LabelledImages`; and if the shape is that of no clouds.
    """

    aligned: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images.shape[1] != 3 or self.images.shape[3] != 1 or not self.images.is_floating_point():
            raise ValueError(
                f"clouds of {self.name} must be float32 (N, 3, points, 1); got {self.images.dtype} "
                f"{tuple(self.images.shape)}. Make them of points (N, points, 3) with fitted_clouds(points)."
            )

    @property
    def takes(self) -> str:
        """What an encoder of these must take: ``"points"``."""
        return "points"

    def points(self, indices: Tensor | slice = slice(None)) -> Float[Tensor, "B N 3"]:
        """The clouds of such numbers, or of a slice; all if nothing is said."""
        return clouds_of(self.pixels(indices))

    def numbered(self, labels: Int[Tensor, " N"], classes: tuple[str, ...]) -> LabelledClouds:
        """The same clouds of other classes."""
        return LabelledClouds(self.name, self.images, labels, classes, aligned=self.aligned)


def clouds_of(pixels: Float[Tensor, "B C N 1"]) -> Float[Tensor, "B N C"]:
    """The clouds that a source gives as pictures, as encoders of points take them.

    Args:
        pixels: coordinates along the channels.

    Raises:
        TypeError: if it is no dense tensor.
        ValueError: if the last axis has another length than 1.
    """
    check_arguments(clouds_of, {"pixels": pixels})
    if check_tensor("pixels", pixels).dim() != 4 or pixels.shape[3] != 1:
        raise ValueError(
            f"clouds must come as pictures (batch, coordinates, points, 1); got {tuple(pixels.shape)}. Use a source of "
            "clouds, such as kicad_parts_mini."
        )
    return pixels[..., 0].transpose(1, 2)


def fitted_clouds(points: Float[Tensor, "B N 3"]) -> Float[Tensor, "B 3 N 1"]:
    """Clouds as a source gives them: each about the middle of its bounding box, in the unit cube, as float32.

    The farthest point is at a distance of 1/2 from the middle of the cube; of a cloud of one place, none is.

    Args:
        points: of any size, anywhere.

    Raises:
        TypeError: if they are no floating point tensor.
        ValueError: if the shape is another, there is no point, or a coordinate is not finite.
    """
    check_arguments(fitted_clouds, {"points": points})
    if check_tensor("points", points).dim() != 3 or points.shape[2] != 3 or not points.shape[1]:
        raise ValueError(f"points must be (clouds, points, 3), one or more; got {tuple(points.shape)}. Add an axis.")
    if not points.is_floating_point():
        raise TypeError(f"points must be floating point; got {points.dtype}. Convert them with .float().")
    if not points.isfinite().all():
        broken = int((~points.isfinite().flatten(1).all(1)).nonzero()[0])
        raise ValueError(f"points must be finite; cloud {broken} has NaN or infinity. Leave these points out.")
    exact = points.double()
    centred = exact - (exact.amin(1, keepdim=True) + exact.amax(1, keepdim=True)) / 2
    radius = centred.norm(dim=2).amax(1)[:, None, None]
    unit = centred / torch.where(radius > 0, 2 * radius, 1.0)
    return (unit + 0.5).clamp(0, 1).float().transpose(1, 2)[..., None].contiguous()
