"""The kinds of features that are scored: poolings, and what a network without a group can do about turned images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.evaluation.features import pool_features, poolings_of
from eqmodels.groups import PlanarGroup
from eqmodels.training import Run

__all__ = [
    "CONTROLS",
    "ORBIT_MEAN",
    "TURNED_BACK",
    "TURNED_PROBE",
    "FeatureKind",
    "MovedFeatures",
    "feature_kind",
    "kinds_of",
]

ORBIT_MEAN, TURNED_BACK, TURNED_PROBE = "orbit-mean", "turned back by head", "regular, turned probe"
CONTROLS: dict[str, str] = {
    ORBIT_MEAN: "averaged over the four turned copies of the image: four passes",
    TURNED_BACK: "of the image turned back by what the head says: two passes",
    TURNED_PROBE: "as they are, the probe trained on all four turned copies of its images",
}
"""What a network without a group can do about images that are turned by quarters, and what it pays.

Source of the second: Kaba et al. 2023, arXiv 2211.06489, where a network that is equivariant says how to turn back.
"""


@dataclass(frozen=True)
class MovedFeatures:
    """Regular features of images that were moved.

    Attributes:
        train: of the training images, by quarter turns; the upright ones, 0, at least.
        test: of the test images, by the element of the test group.
        curve: of some test images, by the angle in degrees.
    """

    train: dict[int, Float[Tensor, "N C"]]
    test: dict[int, Float[Tensor, "M C"]]
    curve: dict[int, Float[Tensor, "K C"]]


@dataclass(frozen=True)
class FeatureKind:
    """One kind of features.

    Attributes:
        name: of the kind.
        train: of the training images, as many copies of them one after the other.
        test: of the test images, by element.
        curve: of the images of the curve, by angle in degrees.
        copies: how often every training image is there.
    """

    name: str
    train: Float[Tensor, "N F"]
    test: dict[int, Float[Tensor, "M F"]]
    curve: dict[int, Float[Tensor, "K F"]]
    copies: int = 1


def kinds_of(run: Run) -> tuple[str, ...]:
    """The kinds of features that a network has: its poolings, and without a group the controls."""
    if run.backbone.group.order > 1:
        return poolings_of(run)
    controls = (name for name in CONTROLS if name != TURNED_BACK or _rotation_head(run) is not None)
    return (*poolings_of(run), *controls)


def feature_kind(run: Run, name: str, moved: MovedFeatures) -> FeatureKind:
    """One of the kinds that `kinds_of` names.

    Args:
        run: the network.
        name: of the kind.
        moved: regular features of all that is scored; of the training images, for a control, in all four turns.
    """
    if name == ORBIT_MEAN:
        # Once for all four turns of an image, so that they are equal bit for bit.
        means = [torch.stack(list(part.values())).mean(0) for part in (moved.train, moved.test)]
        curve = {angle: torch.stack(_orbit(moved.curve, angle, 90)).mean(0) for angle in moved.curve}
        return FeatureKind(name, means[0], dict.fromkeys(moved.test, means[1]), curve)
    if name == TURNED_PROBE:
        return FeatureKind(name, torch.cat(list(moved.train.values())), moved.test, moved.curve, len(moved.train))
    if name == TURNED_BACK:
        back = (
            _turned_back(run, moved.train, 1)[0],
            _turned_back(run, moved.test, 1),
            _turned_back(run, moved.curve, 90),
        )
        return FeatureKind(name, *back)
    pooled = {g: pool_features(run, regular, name) for g, regular in moved.test.items()}
    curve = {angle: pool_features(run, regular, name) for angle, regular in moved.curve.items()}
    return FeatureKind(name, pool_features(run, moved.train[0], name), pooled, curve)


def _rotation_head(run: Run) -> nn.Module | None:
    """The head that says by how many quarters an image is turned, its labels their number; None if there is none."""
    quarters = PlanarGroup(4)
    parts = zip(run.task.components, run.heads, strict=True)
    return next(
        (head for part, head in parts if part.group == quarters and part.elements == tuple(quarters.elements)), None
    )


def _orbit(copies: dict[int, Tensor], turn: int, quarter: int) -> list[Tensor]:
    """The copies of the images that are turned back from `turn` by no, one, two and three quarters."""
    return [copies[(turn - number * quarter) % (4 * quarter)] for number in range(4)]


def _turned_back(run: Run, copies: dict[int, Tensor], quarter: int) -> dict[int, Tensor]:
    """Of the images in every turn, the features of the copy that the head takes for the upright one."""
    head = _rotation_head(run)
    assert head is not None
    return {turn: _chosen(_quarters(head, copies[turn]), _orbit(copies, turn, quarter)) for turn in copies}


@torch.no_grad()
def _quarters(head: nn.Module, features: Float[Tensor, "N C"]) -> Int[Tensor, " N"]:
    """By how many quarters the head takes images to be turned."""
    device = next(head.parameters()).device
    # In parts, as its hidden layer is wide.
    return torch.cat([head(part.to(device)).argmax(1).cpu() for part in features.split(4096)])


def _chosen(numbers: Int[Tensor, " N"], orbit: list[Float[Tensor, "N F"]]) -> Float[Tensor, "N F"]:
    """Of every image the features of the copy with its number."""
    return torch.stack(orbit, 1)[torch.arange(len(numbers)), numbers]
