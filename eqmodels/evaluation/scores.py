"""What was measured of a pretrained network, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from eqmodels.evaluation.task_scores import ClassScores, TaskScores
from eqmodels.measures.intervals import Estimate

__all__ = ["EncoderEvaluation", "FeatureScores", "entry_of", "finite"]


@runtime_checkable
class _OfFeatures(Protocol):
    """What is known of one kind of features."""

    @property
    def features(self) -> str:
        """Which kind."""


Entry = TypeVar("Entry", bound=_OfFeatures)


@dataclass(frozen=True)
class FeatureScores:
    """What one kind of features knows of the class. Accuracies are of held-out images, from 0 to 1.

    Attributes:
        features: which; a pooling, or of a network without a group one of the controls: ``"orbit-mean"`` (averaged over
            the four turned copies of the image), ``"turned back by head"`` (of the image turned back by what the
            rotation head says) or ``"regular, turned probe"`` (the probe is trained on all four turned copies).
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
            of the main kinds of features; empty of others. These probes choose among every other strength.
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
        config: of the pretraining; None in results that were written before it was noted.
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
    config: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All numbers by name, ready for JSON (NaN as None); of what is optional and not there, nothing."""
        content = {name: finite(value) for name, value in asdict(self).items()}
        for name in ("class_head", "config"):
            if content[name] is None:
                del content[name]
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
        # A config's None is no number that was not finite.
        return cls(**values | {"config": content.get("config")})

    def of(self, features: str) -> FeatureScores:
        """The scores of one kind of features.

        Raises:
            KeyError: if there are none; names those that there are.
        """
        return entry_of(self.features, features)


def entry_of(entries: Sequence[Entry], features: str) -> Entry:
    """The entry of one kind of features.

    Raises:
        KeyError: if there is none; names those that there are.
    """
    found = {entry.features: entry for entry in entries}
    if features not in found:
        raise KeyError(f"features must be one of {', '.join(found)}; got {features!r}.")
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
