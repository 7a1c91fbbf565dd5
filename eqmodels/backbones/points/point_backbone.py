"""The base class of encoders of points: from clouds to features of points, to features of clouds, to class scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqmodels._shapes import Bool, Float
from eqmodels.backbones.hub_mixin import HubMethods
from eqmodels.backbones.named import Noted, Takes, group_named
from eqmodels.backbones.points.prose import output_prose
from eqmodels.checks import check_count, check_placed
from eqmodels.errors import is_one_of
from eqmodels.fields import Field, Irreps, Regular, Scalars
from eqmodels.groups import Group
from eqmodels.layers.space import (
    Cloud,
    FramePredictor,
    Frames,
    PlainPointPool,
    PointPool,
    centred,
    check_clouds,
    masked_mean,
)

__all__ = ["PointBackbone", "fixed_cloud"]


class PointBackbone(Noted, HubMethods):
    """An encoder of clouds of points ``(B, N, 3)``, perhaps with features of each point that do not turn, and a mask.

    What is computed does not depend on where the cloud lies, as positions are taken about its centroid, nor on the
    order of its points; nor on its size, unless `normalise` is False. A subclass calls ``super().__init__``, makes its
    layers, writes `encode` and `map_field`, and ends with `finish`. Its arguments must be plain values: they are noted
    in `structure`, so that a file can hold them. Registered by `register_backbone` it has names.

    Args:
        group: SO(3) or O(3), or its name; None for a network that knows of no turns.
        in_chans: numbers of each point: 3 coordinates, and then its features.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.
        normalise: whether positions are divided by the root of their mean square, so that units do not matter.

    Attributes:
        takes: ``"points"``.
        global_pool: from features of points to those of the cloud.
        fc: from these to class scores.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is too small, or the group is none.
    """

    takes: ClassVar[Takes] = "points"

    global_pool: PointPool | PlainPointPool

    def __init__(self, group: Group | str | None, in_chans: int, num_classes: int, *, normalise: bool = True) -> None:
        known = group_named("c1" if group is None else group)
        super().__init__(known, check_count("in_chans", in_chans, 3), num_classes)
        self.structure = self.noted()
        self.normalise = normalise

    def finish(self, global_pool: str, pose_hidden: int = 64) -> None:
        """Builds `global_pool` and `fc`, once the layers are there.

        Args:
            global_pool: how features are pooled, see `PointPool`, and `PlainPointPool` without a group.
            pose_hidden: of canonical features, width of the hidden layer of what predicts the frame.

        Raises:
            ValueError: if the mode is unknown.
        """
        self.global_pool = self._pool(global_pool, pose_hidden)
        self.fc = self._classifier()

    def _pool(self, mode: str, pose_hidden: int, pose: FramePredictor | None = None) -> PointPool | PlainPointPool:
        field = self.map_field
        if not isinstance(field, Irreps):
            return PlainPointPool(field.channels, mode)  # type: ignore[arg-type]  # which checks it
        if not is_one_of(mode, ("canonical",)):
            return PointPool(field, mode)  # type: ignore[arg-type]  # which checks it
        return PointPool(field, "canonical", FramePredictor(field, pose_hidden) if pose is None else pose)

    def _classifier(self) -> nn.Module:
        return nn.Linear(self.head_hidden_size, self.num_classes) if self.num_classes else nn.Identity()

    @property
    def num_features(self) -> int:
        """Features of a point."""
        return self.map_field.channels

    @property
    def head_hidden_size(self) -> int:
        """The length of the pooled feature vector, which `fc` takes."""
        return self.pooled_field.channels

    @property
    def pooled_field(self) -> Field:
        """What the pooled features mean."""
        return self.global_pool.out_field

    @property
    def out_field(self) -> Field | None:
        """What the output means: the pooled features, or the class scores, if these do not depend on the pose."""
        if not self.num_classes:
            return self.pooled_field
        if isinstance(self.map_field, Regular):
            return Regular("c1", self.num_classes)
        return Scalars(self.num_classes) if isinstance(self.pooled_field, Scalars) else None

    @abstractmethod
    def encode(self, cloud: Cloud) -> Float[Tensor, "B C N"]:
        """Features of the points, of the field `map_field`; of those that are masked out, anything.

        Args:
            cloud: with positions about the centroid, and of size 1 if the network normalises.
        """

    def prepared(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Cloud:
        """The input as layers see it: checked, about the centroid, of size 1.

        Raises:
            TypeError: if one is no dense tensor, or of another type than the network.
            ValueError: if a shape is another, a cloud has no point, or a number is not finite.
        """
        cloud = check_clouds(points, features, mask, self.in_chans)
        check_placed(cloud.positions, next(self.parameters()), "points")
        positions = centred(cloud.positions, mask)
        if self.normalise:
            square = masked_mean(positions.square().sum(-1), mask)[:, None, None]
            # A cloud of one place has no size but the rounding errors of its centroid.
            rounding = (64 * torch.finfo(square.dtype).eps * cloud.positions.abs().amax((1, 2), keepdim=True)).square()
            has_size = square > rounding
            positions = positions * torch.where(has_size, torch.where(has_size, square, 1.0).rsqrt(), 0.0)
        return Cloud(positions, cloud.features, mask)

    def forward_features(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        """Features of every point, of the field `map_field`; zero for points that are masked out.

        Args:
            points: ``(B, N, 3)``, or with the features behind the coordinates ``(B, N, in_chans)``.
            features: of each point, ``(B, N, in_chans - 3)``, that do not turn.
            mask: True for the points that are there; None for all.

        Raises:
            TypeError: as `prepared`.
            ValueError: as `prepared`.
        """
        maps = self.encode(self.prepared(points, features, mask))
        return maps if mask is None else maps.masked_fill(~mask[:, None], 0)

    def regular_features(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C"]:
        """The mean of the features of the points: vectors of the field `map_field`, which keep the pose.

        Args:
            points: as `forward_features`.
            features: as `forward_features`.
            mask: as `forward_features`.

        Raises:
            TypeError: as `prepared`.
            ValueError: as `prepared`.
        """
        return masked_mean(self.forward_features(points, features, mask).transpose(1, 2), mask)

    def forward(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B F2"]:
        """Class scores, or the pooled features if `num_classes` is 0.

        Args:
            points: as `forward_features`.
            features: as `forward_features`.
            mask: as `forward_features`.

        Raises:
            TypeError: as `prepared`.
            ValueError: as `prepared`.
        """
        scores: Tensor = self.fc(self.global_pool(self.forward_features(points, features, mask), mask))
        return scores

    def frames(
        self, points: Tensor, features: Float[Tensor, "B N F"] | None = None, mask: Bool[Tensor, "B N"] | None = None
    ) -> Frames:
        """The frame of every cloud that canonical features are turned back by, and whether there is one.

        Args:
            points: as `forward_features`.
            features: as `forward_features`.
            mask: as `forward_features`.

        Raises:
            TypeError: as `prepared`.
            ValueError: as `prepared`; and if nothing predicts frames.
        """
        pose = getattr(self.global_pool, "pose", None)
        if not isinstance(pose, FramePredictor):
            raise ValueError(
                f"frames are predicted for canonical features; this network has global_pool={self.global_pool.mode!r}. "
                "Call reset_classifier(0, 'canonical'), with pose= for a trained predictor."
            )
        return pose.frames(self.regular_features(points, features, mask))

    def reset_classifier(
        self, num_classes: int, global_pool: str | None = None, *, pose: FramePredictor | None = None
    ) -> None:
        """A fresh `fc` for another number of classes (0: features) and, if given, another pooling before it.

        Args:
            num_classes: outputs of the new `fc`.
            global_pool: the new pooling; None keeps the old one.
            pose: for canonical features, what predicts the frame; None keeps the one that is there, or makes one with
                random weights.

        Raises:
            TypeError: if `num_classes` is not an integer.
            ValueError: if it is negative, the pooling unknown, or a pose is given for another pooling than canonical.
        """
        count = check_count("num_classes", num_classes, 0)
        reference = next(self.parameters())
        mode = self.global_pool.mode if global_pool is None else global_pool
        if pose is not None and mode != "canonical":
            raise ValueError(f"pose is for global_pool='canonical'; got one for {mode!r}. Leave it out.")
        if global_pool is not None or pose is not None:
            known = getattr(self.global_pool, "pose", None) if pose is None else pose
            pool = self._pool(mode, 64, known)
            self.global_pool = pool.to(reference.device, reference.dtype).train(self.training)
        self.num_classes, self.classes = count, ()
        self.fc = self._classifier().to(reference.device, reference.dtype)

    def describe_output(self) -> str:
        """How features of points, of clouds, and scores change when the cloud is turned, in one paragraph."""
        scores = self.out_field if self.num_classes else None
        return output_prose(self.group, self.map_field, self.pooled_field, scores, self.num_classes)

    def pool_settings(self) -> dict[str, Any]:
        """The arguments of `finish` that give the pooling that is there now."""
        pose = getattr(self.global_pool, "pose", None)
        hidden = {"pose_hidden": pose.hidden.out_features} if isinstance(pose, FramePredictor) else {}
        return {"global_pool": self.global_pool.mode, **hidden}

    @torch.no_grad()
    def fixed_outputs(self, size: tuple[int, int]) -> dict[str, Tensor]:
        """What the network computes of `fixed_cloud`: features of points, of the cloud, and its frame's vectors.

        Args:
            size: points of the cloud, and 3.
        """
        maps = self.forward_features(fixed_cloud(size[0], self.in_chans))
        mean = maps.mean(2)
        found = {"features": mean[0], "pooled": self.global_pool(maps)[0]}
        pose = getattr(self.global_pool, "pose", None)
        return found | ({"pose": pose(mean)[0].flatten()} if isinstance(pose, FramePredictor) else {})


def fixed_cloud(points: int, in_chans: int) -> Float[Tensor, "1 N C"]:
    """A cloud without any symmetry, by a formula, so that it is the same everywhere; features behind coordinates."""
    n, c = torch.meshgrid(*(torch.arange(k, dtype=torch.float64) for k in (points, in_chans)), indexing="ij")
    waves = torch.sin(0.7 * n + 1.3 * c + 0.11 * n * c) + 0.4 * torch.cos(0.23 * n * n + 2 * c) + 0.02 * n * (c - 1)
    return waves.to(torch.float32)[None]
