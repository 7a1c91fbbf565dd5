"""What was measured of an encoder, as numbers, and the files that keep them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from eqmodels.evaluation.former_results import FORMAT, modern_content
from eqmodels.evaluation.scoring_heads import ClassScores, TaskScores
from eqmodels.measures.intervals import Estimate

__all__ = ["EncoderEvaluation", "FeatureScores", "entry_of", "finite"]


@runtime_checkable
class _OfOneKind(Protocol):
    """What is known of one kind of features."""

    @property
    def kind(self) -> str:
        """Which kind."""


Entry = TypeVar("Entry", bound=_OfOneKind)


@dataclass(frozen=True)
class FeatureScores:
    """What one kind of features knows of the class. Accuracies are of held-out images, from 0 to 1.

    Attributes:
        kind: of the features; a pooling, or where no group acts on them one of the controls: ``"orbit-mean"`` (averaged
            over the four turned copies of the image), ``"turned back by head"`` (of the image turned back by what the
            rotation head says) or ``"regular, turned probe"`` (the probe is trained on all four turned copies).
        width: their number.
        accuracy: of the linear probe on upright images.
        interval: its 95% interval over the choice of the test images (Wilson), for one network.
        turned: of the same probe on images turned by quarters, the mean over 90, 180 and 270 degrees; whatever the
            group, so that all networks can be compared: of a group without quarter turns it is a control, what becomes
            of its features under turns that it was not built for.
        elements: by view (see `View`), such as ``"flip, then 90°"``: of the same probe on images moved by the elements
            of the group that permute pixels and by quarter turns; and, as ``"45° in a circle"``, on images that are
            moved by the other elements and seen through a circle, beside upright ones that are seen so; the probe of
            these was trained on such images (see `EncoderEvaluation.circular_probes`).
        knn: of 200 nearest neighbours on upright images; NaN if it was not asked for.
        effective_rank: of the features of the upright test images.
        strength: L2 strength of the probe, chosen on a part of the training images.
        labels: accuracy by the fraction of training labels, on upright images, mean and interval over three subsets;
            of the main kinds of features; empty of others. These probes choose among every other strength.
        angles: by view, such as ``"15° in a circle"``: accuracy on images that are turned by any angle and seen through
            a circle; the probe is that of such images. Of square images, features of angles that differ by quarter
            turns follow from those of one of them, where the field says how and no whole test image contradicts it by
            more than the rounding of float32.
        angle_mean: the mean of that curve; NaN without one.
        angle_worst: its lowest point; NaN without one.
    """

    kind: str
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

    @property
    def curve(self) -> list[tuple[float, float]]:
        """Pairs of the angle in degrees and the accuracy there."""
        return [(float(view.partition("°")[0]), accuracy) for view, accuracy in self.angles.items()]


@dataclass(frozen=True)
class EncoderEvaluation:
    """What was measured of an encoder.

    Attributes:
        model: what it is called; of a pretrained network its name.
        sha256: of the weights; empty if they are in no file.
        parameters: of the encoder.
        head_parameters: of the tasks' heads; 0 without any.
        train: name and number of the images that probes were trained on.
        test: name and number of the images that everything is measured on.
        group: the group that acts on the features; C1 if none does.
        kinds: one entry a kind of features.
        tasks: one entry a head; empty without any.
        equivariance_error: by view, ``|f(g x) - rho(g) f(x)| / |f(x)|`` of the encoder's own features, see
            `change_under`; where ``g x`` is seen through a circle so is ``x``.
        class_head: of the class head; None if there is none, or the test images are of other classes.
        config: of the pretraining; None in results that were written before it was noted, and without one.
        field: what the features are, as `Field.parse` reads it; None if nobody declared it, or before it was noted.
        circular_probes: whether probes that were asked about images seen through a circle were trained on such images,
            and the reference of equivariance errors was seen so too; False of results before format 2, whose probes
            and references knew whole images only.
    """

    model: str
    sha256: str
    parameters: int
    head_parameters: int
    train: tuple[str, int]
    test: tuple[str, int]
    group: str
    kinds: tuple[FeatureScores, ...]
    tasks: tuple[TaskScores, ...]
    equivariance_error: dict[str, float]
    class_head: ClassScores | None = None
    config: dict[str, Any] | None = None
    field: str | None = None
    circular_probes: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The format and all numbers by name, ready for JSON (NaN as None); of what is not there, nothing."""
        content: dict[str, Any] = {"format": FORMAT, **{name: finite(value) for name, value in asdict(self).items()}}
        for name in ("class_head", "config", "field"):
            if content[name] is None:
                del content[name]
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EncoderEvaluation:
        """What `to_dict` wrote, today or before files had a format.

        Raises:
            TypeError: if names are missing or unknown.
            ValueError: if the format is a later one.
        """
        content = dict(modern_content(content))
        del content["format"]
        values = {name: _restored(value) for name, value in content.items()}
        kinds = (
            entry | {"labels": {part: Estimate.from_dict(found) for part, found in entry["labels"].items()}}
            for entry in values["kinds"]
        )
        values["kinds"] = tuple(FeatureScores(**entry) for entry in kinds)
        values["tasks"] = tuple(TaskScores(**entry) for entry in values["tasks"])
        if "class_head" in values:
            values["class_head"] = ClassScores(**values["class_head"])
        # A config's None is no number that was not finite.
        return cls(**values | {"config": content.get("config")})

    def of(self, kind: str) -> FeatureScores:
        """The scores of one kind of features.

        Raises:
            KeyError: if there are none; names those that there are.
        """
        return entry_of(self.kinds, kind)


def entry_of(entries: Sequence[Entry], kind: str) -> Entry:
    """The entry of one kind of features.

    Raises:
        KeyError: if there is none; names those that there are.
    """
    found = {entry.kind: entry for entry in entries}
    if kind not in found:
        raise KeyError(f"kind must be one of {', '.join(found)}; got {kind!r}. Measure it, or choose one of these.")
    return found[kind]


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
