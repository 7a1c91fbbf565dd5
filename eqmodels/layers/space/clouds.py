"""Batches of point clouds: what an encoder of points asks of its input, and clouds of several sizes in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.checks import check_tensor, is_open
from eqmodels.errors import shown

__all__ = ["Cloud", "centred", "check_clouds", "masked_mean", "pad_clouds"]


class Cloud(NamedTuple):
    """A batch of clouds as layers see it.

    Attributes:
        positions: of the points, about the centroid of their cloud.
        features: numbers of each point that do not turn; None if there are none.
        mask: which points are there; None for all. The positions of the others are zero.
    """

    positions: Float[Tensor, "B N 3"]
    features: Float[Tensor, "B N F"] | None
    mask: Bool[Tensor, "B N"] | None

    def beside(self, own: Float[Tensor, "B N C"]) -> Float[Tensor, "B N D"]:
        """Numbers of each point with its features behind them, if there are any."""
        return own if self.features is None else torch.cat([own, self.features], 2)


def check_clouds(points: Tensor, features: Tensor | None, mask: Tensor | None, in_chans: int) -> Cloud:
    """The input of an encoder, if it is what the encoder takes; points that are masked out become zero.

    Args:
        points: ``(B, N, 3)``, or with the features behind the coordinates ``(B, N, in_chans)``.
        features: ``(B, N, in_chans - 3)``, or None.
        mask: ``(B, N)``, True for the points that are there; None for all.
        in_chans: numbers of each point, its coordinates among them.

    Raises:
        TypeError: if one is no dense tensor, points or features are not floating point, or the mask not of bools.
        ValueError: if a shape is another, a cloud has no point, or a number of a point that is there is not finite.
    """
    if isinstance(cast("object", points), list | tuple):
        raise TypeError(
            f"points must be one tensor (batch, points, 3); got a {type(points).__name__}. Put clouds of several sizes "
            "into one batch with points, mask = pad_clouds(clouds), of eqmodels.layers, and call encoder(points, "
            "mask=mask)."
        )
    check_tensor("points", points)
    extra = in_chans - 3
    joined = features is None and extra > 0
    expected = in_chans if joined else 3
    if points.dim() != 3 or points.shape[-1] != expected:
        raise ValueError(
            f"points must have the shape (batch, points, {expected}); got {tuple(points.shape)}. "
            f"{_way_out(points, expected)}"
        )
    if not points.is_floating_point():
        raise TypeError(f"points must be floating point; got {points.dtype}. Convert them with .float().")
    if not is_open() and points.shape[1] == 0:
        raise ValueError(
            f"a cloud must have at least one point; got the shape {tuple(points.shape)}. Leave empty ones out."
        )
    _check_mask(points, mask)
    if joined:
        points, features = points[..., :3], points[..., 3:]
    _check_features(points, features, extra)
    if mask is not None:
        points = points.masked_fill(~mask[..., None], 0)
        features = None if features is None else features.masked_fill(~mask[..., None], 0)
    for name, values in (("points", points), ("features", features)):
        if values is not None and not is_open() and not values.is_meta and not values.isfinite().all():
            broken = int((~values.isfinite().flatten(1).all(1)).sum())
            raise ValueError(
                f"{name} must be finite; {broken} of {len(values)} clouds have NaN or infinity. Leave these points "
                "out, or mask them with mask=."
            )
    return Cloud(points, features, mask)


def _way_out(points: Tensor, expected: int) -> str:
    if points.dim() == 2 and points.shape[-1] == expected:
        return "Add the batch axis with points[None]."
    if points.dim() == 3 and points.shape[1] == expected:
        return "Put coordinates last with points.transpose(1, 2)."
    return "Build the encoder with in_chans=3 + the number of features of a point, for points that have some."


def _check_mask(points: Tensor, mask: Tensor | None) -> None:
    if mask is None:
        return
    check_tensor("mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be of bools, True for points that are there; got {mask.dtype}. Use mask.bool().")
    if mask.device != points.device:
        raise ValueError(f"mask must be on the points' device, {points.device}; got {mask.device}. Move it there.")
    if mask.shape != points.shape[:2]:
        raise ValueError(
            f"mask must have the shape (batch, points), {tuple(points.shape[:2])}; got {tuple(mask.shape)}. Pass one "
            "value a point."
        )
    if not is_open() and not mask.is_meta and not mask.any(1).all():
        empty = int((~mask.any(1)).nonzero()[0])
        raise ValueError(f"a cloud must have at least one point; cloud {empty} of the mask has none. Leave it out.")


def _check_features(points: Tensor, features: Tensor | None, extra: int) -> None:
    if features is None:
        return
    check_tensor("features", features)
    if extra == 0 or features.shape != (*points.shape[:2], extra):
        way_out = (
            f"Build the encoder with in_chans={3 + features.shape[-1]}."
            if features.dim() == 3
            else "Pass one row a point."
        )
        raise ValueError(
            f"features must have the shape (batch, points, {extra}), the encoder's in_chans - 3; got "
            f"{tuple(features.shape)} for points of the shape {tuple(points.shape)}. {way_out}"
        )
    if features.device != points.device:
        raise ValueError(f"features must be on the points' device, {points.device}; got {features.device}. Move them.")
    if features.dtype != points.dtype:
        raise TypeError(
            f"features must be of the type of the points, {points.dtype}; got {features.dtype}. Convert them."
        )


def masked_mean(values: Float[Tensor, "B N *rest"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, " B *rest"]:
    """The mean over the points that are there."""
    if mask is None:
        return values.mean(1)
    weights = mask.to(values.dtype).reshape(*mask.shape, *[1] * (values.dim() - 2))
    return (values * weights).sum(1) / weights.sum(1)


def centred(positions: Float[Tensor, "B N 3"], mask: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B N 3"]:
    """Positions about the mean of the points that are there; those that are not lie at 0."""
    about = positions - masked_mean(positions, mask)[:, None]
    return about if mask is None else about.masked_fill(~mask[..., None], 0)


def pad_clouds(clouds: Sequence[Float[Tensor, "_ C"]]) -> tuple[Float[Tensor, "B most C"], Bool[Tensor, "B most"]]:
    """Clouds of several sizes in one batch: points filled up with zeros, and the mask of those that are there.

    Args:
        clouds: each ``(N, C)``, of the same C.

    Raises:
        TypeError: if they are no list of floating point tensors.
        ValueError: if there is none, or they are not of the shape ``(N, C)`` with one C.

    Example:
        >>> points, mask = pad_clouds([torch.ones(2, 3), torch.ones(1, 3)])
        >>> points.shape, mask.tolist()
        (torch.Size([2, 2, 3]), [[True, True], [True, False]])
    """
    if not isinstance(clouds, list | tuple) or not all(isinstance(c, Tensor) and c.is_floating_point() for c in clouds):
        raise TypeError(f"clouds must be a list of floating point tensors (points, 3); got {shown(clouds)}. Pass one.")
    shapes = [tuple(cloud.shape) for cloud in clouds]
    if not clouds or any(len(shape) != 2 or shape[1] != shapes[0][1] for shape in shapes):
        raise ValueError(
            f"clouds must be at least one tensor of the shape (points, 3), all with as many numbers a point; got the "
            f"shapes {shown(shapes)}. Pass one tensor a cloud."
        )
    most = max(shape[0] for shape in shapes)
    points = torch.stack([torch.nn.functional.pad(cloud, (0, 0, 0, most - len(cloud))) for cloud in clouds])
    lengths = torch.tensor([shape[0] for shape in shapes], device=points.device)
    return points, torch.arange(most, device=points.device) < lengths[:, None]
