"""From features of points to those of their cloud: invariant, equivariant, or turned back by the predicted frame."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.errors import is_one_of, shown
from eqmodels.fields import Field, Irreps, Regular, Scalars, check_field
from eqmodels.fields.irreps import safe_norm
from eqmodels.layers.space.clouds import masked_mean
from eqmodels.layers.space.frames import FramePredictor, Frames

__all__ = ["PlainPointPool", "PointPool", "PointPoolMode"]

SIDELESS = 1e-4
"""Handedness below which a frame does not tell which side is left."""

PointPoolMode = Literal["invariant", "equivariant", "canonical"]
PlainPointPoolMode = Literal["max", "avg"]


class PointPool(nn.Module):
    """Features of a cloud: ``(B, C, N)`` of a field of irreps to ``(B, features)``.

    * ``"invariant"``: lengths of the mean over the points, and the largest length of each field over the points;
    * ``"equivariant"``: the mean itself, which turns with the cloud;
    * ``"canonical"``: the mean turned back by the frame that `pose` reads off it: as invariant as lengths are, and
      keeps the directions that these throw away. A cloud without a frame has its lengths, in the first channel of
      each field; where a frame of O(3) does not tell which side is left, the mean of both counts.

    Args:
        field: of the features of points.
        mode: see above.
        pose: what predicts the frame, for ``"canonical"``.

    Raises:
        ValueError: if the mode is unknown, or ``"canonical"`` without a pose.
    """

    def __init__(self, field: Irreps, mode: PointPoolMode = "invariant", pose: FramePredictor | None = None) -> None:
        super().__init__()
        if not is_one_of(mode, get_args(PointPoolMode)):
            raise ValueError(
                f"global_pool must be one of {', '.join(get_args(PointPoolMode))} for points; got {shown(mode)}. Use "
                "'invariant'."
            )
        if (mode == "canonical") != (pose is not None):
            raise ValueError(
                f"pose is what canonical features are turned back by; got {shown(pose)} for global_pool={mode!r}. Pass "
                "both, or neither."
            )
        self.in_field, self.mode, self.pose = field, mode, pose

    @property
    def is_canonical(self) -> bool:
        """Whether features are turned back."""
        return self.mode == "canonical"

    @property
    def out_field(self) -> Field:
        """What the pooled features mean."""
        if self.mode == "equivariant":
            return self.in_field
        return Scalars(self.in_field.channels if self.is_canonical else 2 * self.in_field.invariant_count)

    def forward(
        self, features: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B F"]:
        """The features of each cloud."""
        mean = masked_mean(check_field(features, self.in_field).transpose(1, 2), mask)
        if self.mode == "equivariant":
            return mean
        if self.pose is not None:
            return self.turned_back(mean, self.pose.frames(mean))
        lengths = self.in_field.invariants(features)
        if mask is not None:
            lengths = lengths.masked_fill(~mask[:, None], -torch.inf)
        return torch.cat([self.in_field.invariants(mean), lengths.amax(2)], 1)

    def turned_back(self, mean: Float[Tensor, "B C"], frames: Frames) -> Float[Tensor, "B C"]:
        """Features turned back by their frames; of a cloud without a frame the lengths, in the same channels."""
        upright = self.in_field.turned_freely(mean, frames.matrices.transpose(1, 2))
        if self.in_field.group.reflections:
            # Where nothing tells which side is left, both count; of a cloud that equals its mirror image they agree.
            other = frames.matrices * frames.matrices.new_tensor([1.0, -1.0, 1.0])
            both = (upright + self.in_field.turned_freely(mean, other.transpose(1, 2))) / 2
            upright = torch.where((frames.handedness < SIDELESS)[:, None], both, upright)
        parts = zip(self.in_field.parts, self.in_field.split(mean), strict=True)
        lengths = []
        for part, fields in parts:
            own = fields[..., 0] if part.is_invariant else safe_norm(fields, 2)
            lengths.append(torch.nn.functional.pad(own[..., None], (0, part.size - 1)).flatten(1))
        return torch.where(frames.degenerate[:, None], torch.cat(lengths, 1), upright)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return f"{self.in_field}, {self.mode!r}"


class PlainPointPool(nn.Module):
    """Features of a cloud of a network without a group: the largest of each channel over the points, or their mean.

    Args:
        channels: of the features of points.
        mode: ``"max"`` or ``"avg"``.

    Raises:
        ValueError: if the mode is unknown.
    """

    is_canonical = False

    def __init__(self, channels: int, mode: PlainPointPoolMode = "max") -> None:
        super().__init__()
        if not is_one_of(mode, get_args(PlainPointPoolMode)):
            raise ValueError(
                f"global_pool must be one of {', '.join(get_args(PlainPointPoolMode))} for points without a group; got "
                f"{shown(mode)}. Use 'max'."
            )
        self.mode, self.out_field = mode, Regular("c1", channels)

    def forward(
        self, features: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C"]:
        """The features of each cloud."""
        if self.mode == "avg":
            return masked_mean(features.transpose(1, 2), mask)
        return (features if mask is None else features.masked_fill(~mask[:, None], -torch.inf)).amax(2)

    def extra_repr(self) -> str:
        """The arguments, for `print(model)`."""
        return repr(self.mode)
