"""What a predicted frame of a cloud is compared by, and what may be compared."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.groups import check_orthogonal
from eqmodels.layers.space import Frames

__all__ = ["check_upright", "chordal_loss", "frame_loss"]


def chordal_loss(
    frames: Float[Tensor, "B 3 3"], targets: Float[Tensor, "B 3 3"] | None = None, *, reduction: str = "mean"
) -> Float[Tensor, "*shape"]:
    """``|F - T|^2``, the sum of squares over nine numbers: ``4 (1 - cos angle)`` of two rotations, from 0 to 8.

    Unlike the angle itself, which has no gradient at 0 and 180 degrees, it is smooth everywhere.

    Args:
        frames: as predicted; any matrices, so that nine numbers can be trained and made a rotation afterwards.
        targets: the rotation by which each cloud was turned from where it stands upright; None for upright clouds.
        reduction: ``"mean"`` over the clouds, or ``"none"``.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if frames are not 3 by 3, targets not orthogonal or not one a frame, or the reduction is unknown.
    """
    check_arguments(chordal_loss, locals())
    if frames.dim() != 3 or frames.shape[1:] != (3, 3) or not frames.is_floating_point() or not len(frames):
        raise ValueError(
            f"frames must be floating point (batch, 3, 3), one or more; got {shown(frames)}. Pass matrices."
        )
    if targets is None:
        targets = torch.eye(3, dtype=frames.dtype, device=frames.device).expand_as(frames)
    if check_orthogonal("targets", targets).shape != frames.shape:
        raise ValueError(
            f"targets must be one rotation a frame, {tuple(frames.shape)}; got {tuple(targets.shape)}. Leave them out "
            "for upright clouds."
        )
    if reduction not in ("mean", "none"):
        raise ValueError(f"reduction must be 'mean' or 'none'; got {shown(reduction)}. Use 'mean'.")
    losses = (frames - targets.to(frames)).square().sum((1, 2))
    return losses.mean() if reduction == "mean" else losses


def frame_loss(frames: Frames, targets: Float[Tensor, "B 3 3"] | None = None) -> Float[Tensor, ""]:
    """The chordal loss of the frames that are none of the degenerate ones; zero if all are, with no gradient.

    Args:
        frames: of a `FrameHead` or an encoder.
        targets: as `chordal_loss` takes them.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: as `chordal_loss`.
    """
    check_arguments(frame_loss, {"targets": targets})
    if not isinstance(frames, Frames):
        raise TypeError(f"frames must be Frames, as head.frames(features) gives them; got {shown(frames)}. Pass these.")
    losses = chordal_loss(frames.matrices, targets, reduction="none")
    told = (~frames.degenerate).to(losses.dtype)
    return (losses * told).sum() / told.sum().clamp_min(1)


def check_upright(aligned: bool, name: str) -> None:
    """Refuses data in random poses for heads whose label is how a cloud is turned from where it stands upright.

    Args:
        aligned: whether the clouds stand alike, as parts of a library do and scanned or simulated ones do not.
        name: of the data, for the sentence.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if they do not.
    """
    check_arguments(check_upright, locals())
    if not aligned:
        raise ValueError(
            f"how a cloud is turned is learned from clouds that stand alike; got {shown(name)}, whose clouds are in "
            "random poses, so that labels would be noise. Use aligned data, such as kicad_parts, or say that yours are "
            "(aligned=True)."
        )
