"""What was measured of a pretrained network, as numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from eqmodels.evaluation.task_scores import ClassScores, TaskScores
from eqmodels.measures.intervals import Estimate

__all__ = ["EncoderEvaluation", "FeatureScores", "finite"]


@dataclass(frozen=True)
class FeatureScores:
    """What one kind of features knows of the class. Accuracies are of held-out images, from 0 to 1.

    Attributes:
        features: which; a pooling, ``"orbit-mean"`` (of a network without a group: averaged over the four turned copies
            of the image) or ``"regular, turned probe"`` (the probe is trained on all four turned copies).
        width: their number.
        accuracy: of the linear probe on upright images.
        interval: its 95% interval over the choice of the test images (Wilson), for one network.
        turned: of the same probe on images turned by quarters, the mean over 90, 180 and 270 degrees.
        elements: of the same probe on images moved by each element of the test group, by its description; those that
            are turned by no quarter are seen through a circle.
        knn: of 200 nearest neighbours on upright images; NaN if it was not asked for.
        effective_rank: of the features of the upright test images.
        strength: L2 strength of the probe, chosen on a part of the training images.
        labels: accuracy by the fraction of training labels, on upright images, mean and interval over three subsets;
            of the main kinds of features; empty of others.
        angles: accuracy by angle in degrees, of images seen through a circle.
        angle_mean: the mean of that curve; NaN without one.
        angle_worst: its lowest point; NaN without one.
    """

    features: str
    width: int
    accuracy: float
    interval: tuple[float, float]
    turned: float
    elements: dict[str, float]
    knn: float
    effective_rank: float
    strength: float
    labels: dict[str, Estimate]
    angles: dict[str, float]
    angle_mean: float
    angle_worst: float


@dataclass(frozen=True)
class EncoderEvaluation:
    """What was measured of a pretrained network.

    Attributes:
        model: the backbone's name.
        sha256: of the weights.
        parameters: of the backbone.
        head_parameters: of the tasks' heads.
        train: name and number of the images that probes were trained on.
        test: name and number of the images that everything is measured on.
        group: the test group, whose elements move the test images: the network's, if it has the quarter turns.
        features: one entry a kind of features.
        tasks: one entry a head.
        equivariance_error: ``|f(g x) - rho(g) f(x)| / |f(x)|`` of the regular features by element, see `change_under`.
        class_head: of the class head; None if there is none, or the test images are of other classes.
    """

    model: str
    sha256: str
    parameters: int
    head_parameters: int
    train: tuple[str, int]
    test: tuple[str, int]
    group: str
    features: tuple[FeatureScores, ...]
    tasks: tuple[TaskScores, ...]
    equivariance_error: dict[str, float]
    class_head: ClassScores | None = None

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name, ready for JSON (NaN as None); without a class head nothing of it."""
        content = {name: finite(value) for name, value in asdict(self).items()}
        if self.class_head is None:
            del content["class_head"]
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EncoderEvaluation:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
        """
        values = {name: _restored(value) for name, value in content.items()}
        features = (
            entry | {"labels": {part: Estimate.from_dict(found) for part, found in entry["labels"].items()}}
            for entry in values["features"]
        )
        values["features"] = tuple(FeatureScores(**entry) for entry in features)
        values["tasks"] = tuple(TaskScores(**entry) for entry in values["tasks"])
        if "class_head" in values:
            values["class_head"] = ClassScores(**values["class_head"])
        return cls(**values)

    def of(self, features: str) -> FeatureScores:
        """The scores of one kind of features.

        Raises:
            KeyError: if there are none.
        """
        found = {scores.features: scores for scores in self.features}
        return found[features]


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None for numbers that are not finite, which JSON does not have, and lists for tuples."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    return [finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _restored(value: Any) -> Any:  # noqa: ANN401
    """What `finite` made: NaN for None, and tuples for lists."""
    if value is None:
        return math.nan
    if isinstance(value, dict):
        return {key: _restored(entry) for key, entry in value.items()}
    return tuple(map(_restored, value)) if isinstance(value, list) else value
