"""The objective of E-SSL on clouds of points: say how a cloud is turned.

The strict head predicts a frame that turns with the cloud, so that its loss on a turned cloud *equals* that on the
upright one, and no cloud is turned in training (`FrameHead`). A perceptron predicts which of 24 turns was made, as in
the paper, from any encoder's features.

Source: Wang et al. 2024, arXiv 2411.06508 (E-SSL); Poursaeed et al. 2020, arXiv 2008.00305 (turns of clouds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import PointBackbone
from eqmodels.backbones.named import Takes
from eqmodels.checks import check_count
from eqmodels.data import Source
from eqmodels.data.source import is_aligned
from eqmodels.errors import shown
from eqmodels.fields import Irreps
from eqmodels.heads import HEADS, FrameHead, create_head
from eqmodels.objectives.frames import check_upright, frame_loss
from eqmodels.objectives.losses import predicted, prediction_loss
from eqmodels.objectives.network import Network
from eqmodels.objectives.objective import Batch, Objective, Term
from eqmodels.objectives.randomness import Purpose, Randomness
from eqmodels.objectives.registry import check_given, register_objective
from eqmodels.options import options_of
from eqmodels.tasks import Orientations

__all__ = ["OrientationPrediction"]

AXES = {"up": 2, "front": 0, "left": 1}
"""The numbers of the axes that the vectors of a frame should be, in their order."""

NEAR = 15.0
"""Degrees below which a predicted axis counts as right, for the log."""


@register_objective("orientation")
class OrientationPrediction(Objective):
    """A head says how a cloud is turned from where it stands upright, from the mean features of its points.

    Clouds come as `LabelledClouds` has them, and must stand alike. Two terms of ``head="frame"`` with
    ``loss="vectors"``: the squared errors of the vectors ``up`` and ``front`` against z and x, before they are made a
    frame; where the cloud's symmetry leaves no front, that vector shrinks to zero, and teaches nothing more. (Under
    O(3) ``left`` too.) With ``loss="chordal"`` one term, ``frame``: that of the frame itself. One term of other heads:
    ``turn``, the cross-entropy of 24 turns, in nats.

    Args:
        backbone: the encoder of points that is pretrained.
        num_classes: of the clouds; not used.
        head: ``"frame"``, or the name of any other head, which then classifies turns; ``"mlp"`` has a batch norm here.
        head_hidden: width of the head's hidden layer, if it has one.
        loss: of a frame.
        seen_points: drawn anew from each cloud for every step; 0 for all of them.
        jitter: deviation of the noise that is added to coordinates, as a part of the diameter of the cloud.
        stretch: largest factor by which each axis of the upright cloud is stretched or shrunk, less 1.

    Attributes:
        head: from features to the nine numbers of a frame, or to logits.
        task: the turns that are classified; None for a frame.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is unknown, a number is out of its range, or the head does not fit the backbone.
    """

    takes: ClassVar[Takes] = "points"

    def __init__(
        self,
        backbone: PointBackbone,
        num_classes: int = 0,
        *,
        head: Annotated[str, HEADS] = "frame",
        head_hidden: int = 64,
        loss: Literal["vectors", "chordal"] = "vectors",
        seen_points: int = 256,
        jitter: float = 0.005,
        stretch: float = 0.25,
    ) -> None:
        check_given(OrientationPrediction, locals())
        super().__init__()
        field, kind = backbone.map_field, HEADS.find(head)
        self.task = None if kind is FrameHead else Orientations()
        reflects = isinstance(field, Irreps) and field.group.reflections
        labels = Irreps("3x1o" if reflects else "3x1") if self.task is None else self.task.label_field
        known: dict[str, Any] = {"hidden": head_hidden, "batch_norm": True}
        options = {name: value for name, value in known.items() if name in options_of(kind)}
        self.head = create_head(head, field, labels, **options)
        self.of_vectors, self.seen_points, self.jitter, self.stretch = loss == "vectors", seen_points, jitter, stretch

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuses numbers out of their ranges.

        Raises:
            ValueError: if there are such; the sentence names them.
        """
        check_count("head_hidden", options["head_hidden"], 1)
        check_count("seen_points", options["seen_points"], 0)
        for name, most in (("jitter", 0.1), ("stretch", 1.0)):
            if not 0 <= options[name] <= most:
                raise ValueError(f"{name} must be from 0 to {most:g}; got {shown(options[name])}. Pass 0 for none.")

    @classmethod
    def seen_size(cls, options: Mapping[str, Any], size: tuple[int, int]) -> tuple[int, int]:
        """Points of what the network is given, and coordinates of each."""
        return options["seen_points"] or size[0], 3

    def check(self, data: Source) -> None:
        """Refuses clouds in random poses, of which no head can know how they are turned, and those of too few points.

        Raises:
            ValueError: if they are such.
        """
        check_upright(is_aligned(data), data.name)
        if self.seen_points > data.size[0]:
            raise ValueError(
                f"seen_points must be at most {data.size[0]}, those of a cloud of {data.name}; got {self.seen_points}. "
                "Pass 0 for all of them."
            )

    def views(self, batch: Batch, randomness: Randomness) -> tuple[Float[Tensor, "B 3 P 1"], Tensor]:
        """Clouds of fewer points, stretched, with noise, and turned where turns are classified; and their labels.

        All of it is drawn for the global batch.
        """
        drawn, clouds = randomness.generator(Purpose.AUGMENTATION), batch.images
        total = clouds.shape[2]
        if self.seen_points:
            order = torch.rand(batch.size, total, generator=drawn)[batch.rows].argsort(1)[:, : self.seen_points]
            index = order.to(clouds.device)[:, None, :, None]
            clouds = clouds.gather(2, index.expand(-1, clouds.shape[1], -1, -1))
        scales = (1 + self.stretch) ** (2 * torch.rand(batch.size, 3, 1, 1, generator=drawn) - 1)
        noise = self.jitter * torch.randn(batch.size, *clouds.shape[1:], generator=drawn)
        clouds = (clouds - 0.5) * scales[batch.rows].to(clouds) + noise[batch.rows].to(clouds)
        if self.task is None:
            return clouds, torch.zeros(len(clouds), dtype=torch.int64, device=clouds.device)
        labels = self.task.sample(batch.size, randomness.generator(Purpose.LABELS))[batch.rows]
        turned = self.task.apply(clouds[..., 0].transpose(1, 2), labels)
        return turned.transpose(1, 2)[..., None], labels.to(clouds.device)

    def loss(self, network: Network, views: tuple[Float[Tensor, "B 3 P 1"], Tensor]) -> dict[str, Term]:
        """The squared errors of vectors, the chordal loss of frames, or the cross-entropy of turns in nats."""
        clouds, labels = views
        features = network(clouds)
        if self.task is not None:
            logits = self.head(features)
            return {"turn": Term(prediction_loss(logits, labels), predicted(logits, labels).sum())}
        head = cast("FrameHead", self.head)
        if not self.of_vectors:
            frames = head.frames(features.float())
            near = _near(frames.matrices[:, :, 2], 2) & _near(frames.matrices[:, :, 0], 0)
            return {"frame": Term(frame_loss(frames), near.sum())}
        found: dict[str, Term] = {}
        predictions = head.pose(features).float().unbind(1)
        for (name, axis), vectors in zip(AXES.items(), predictions, strict=False):
            error = vectors - torch.eye(3, device=vectors.device)[axis]
            found[name] = Term(error.square().sum(1).mean(), _near(vectors, axis).sum())
        return found

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """The vectors of the frame, or the logits of turns."""
        if self.task is not None:
            return {"turn": self.head(features)}
        return {"frame": cast("FrameHead", self.head).pose(features).flatten(1)}

    @property
    def pose(self) -> nn.Module | None:
        """What predicts the vectors of the frame, for canonical features; None where turns are classified."""
        return self.head.pose if isinstance(self.head, FrameHead) else None


def _near(vectors: Float[Tensor, "B 3"], axis: int) -> Tensor:
    """Whether each vector is within 15 degrees of an axis."""
    return nn.functional.normalize(vectors.detach(), dim=1)[:, axis] > torch.cos(torch.deg2rad(torch.tensor(NEAR)))
