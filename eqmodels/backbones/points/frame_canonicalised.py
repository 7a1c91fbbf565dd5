"""Any network of points made invariant by turning each cloud back first, by the frame that another network predicts.

Source: Kaba et al. 2023, *Equivariance with Learned Canonicalization Functions*, arXiv 2211.06489; with vector neurons
as what predicts the pose, Deng et al. 2021, arXiv 2104.12229.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.fields import Scalars
from eqmodels.layers.scripting import NotScriptable
from eqmodels.layers.space import FramePredictor, centred, check_clouds

__all__ = ["FrameCanonicalised"]


class FrameCanonicalised(NotScriptable):
    """A network's features of a cloud that is turned back by the frame that an encoder predicts of it.

    One pass of each. Both learn together, or the encoder is one that was pretrained to say which way up clouds are. A
    cloud that has no frame (`Frames.degenerate`) is left as it is, and its features change when it turns.

    Args:
        network: from clouds to feature vectors.
        pose: an encoder with ``global_pool="canonical"``, whose `frames` are asked.

    Raises:
        TypeError: if one is no encoder of points.
        ValueError: if the encoder predicts no frames, or takes other points than the network.
    """

    preprocessing = None

    def __init__(self, network: PointBackbone, pose: PointBackbone) -> None:
        super().__init__()
        check_arguments(FrameCanonicalised, {"network": network, "pose": pose})
        if not isinstance(getattr(pose.global_pool, "pose", None), FramePredictor):
            raise ValueError(
                f"pose must predict frames; got an encoder with global_pool={pose.global_pool.mode!r}. Build it with "
                "global_pool='canonical'."
            )
        if pose.in_chans != network.in_chans:
            raise ValueError(
                f"pose must take the network's points, in_chans={network.in_chans}; got {pose.in_chans}. Build it so."
            )
        self.network, self.pose, self.group, self.in_chans = network, pose, pose.group, network.in_chans

    @property
    def out_field(self) -> Scalars:
        """Features that no turn changes."""
        return Scalars(self.network.num_classes or self.network.head_hidden_size)

    def forward(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B F2"]:
        """The features of the cloud as it is turned back, or class scores.

        Args:
            points: as the network takes them.
            features: of each point, that do not turn.
            mask: True for the points that are there; None for all.

        Raises:
            TypeError: if one is no dense tensor, or of another type than the network.
            ValueError: if a shape is another, a cloud has no point, or a number is not finite.
        """
        cloud = check_clouds(points, features, mask, self.in_chans)
        frames = self.pose.frames(cloud.positions, cloud.features, mask).matrices
        positions = centred(cloud.positions, mask)
        # Points are rows: the frame on the right is its inverse on columns.
        found: Tensor = self.network(torch.matmul(positions, frames), cloud.features, mask)
        return found
