"""What was measured of an encoder of points, and its form in a file of results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["BARS", "CloudEvaluation", "CloudScores"]

FORMAT = 1
"""The number of the format that results are written in."""

BARS = tuple(range(0, 181, 15))
"""Bounds, in degrees, of the bars of errors of up."""


@dataclass(frozen=True)
class CloudScores:
    """What features of clouds know of the class.

    Attributes:
        kind: of the features.
        width: features of a cloud.
        accuracy: of a linear probe on upright test clouds, from 0 to 1.
        turned: of the same probe on test clouds in random poses.
        knn: of a vote of the nearest 20 training clouds, on upright test clouds.
        knn_turned: the same on test clouds in random poses.
        change: how far features of turned clouds are from those of upright ones, as a part of these; root mean squares.
    """

    kind: str
    width: int
    accuracy: float
    turned: float
    knn: float
    knn_turned: float
    change: float


@dataclass(frozen=True)
class CloudEvaluation:
    """What `evaluate_clouds` measured.

    Attributes:
        model: the encoder's name.
        sha256: of the weights; empty if they are in no file.
        parameters: of the encoder.
        group: that the features turn with; C1 if there is none.
        points: of a cloud.
        train: name and number of the clouds that probes learn from.
        test: name and number of the clouds that they are asked about.
        kinds: of each kind of features.
        up: median of the degrees between the predicted and the true up of turned test clouds; None if no pose is
            predicted.
        frame: the same of the whole frame.
        degenerate: the part of the test clouds that have no frame.
        errors_of_up: how many turned test clouds have an error of up between two of `BARS`, which are 15 degrees apart.
    """

    model: str
    sha256: str
    parameters: int
    group: str
    points: int
    train: tuple[str, int]
    test: tuple[str, int]
    kinds: tuple[CloudScores, ...]
    up: float | None = None
    frame: float | None = None
    degenerate: float | None = None
    errors_of_up: tuple[int, ...] = ()

    @property
    def near(self) -> float | None:
        """The part of the turned test clouds whose up is found to 15 degrees; None if no pose is predicted."""
        return self.errors_of_up[0] / sum(self.errors_of_up) if self.errors_of_up else None

    def to_dict(self) -> dict[str, Any]:
        """Everything by name, ready for JSON."""
        return {"takes": "points", "format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> CloudEvaluation:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
            ValueError: if these are results of images, or the format is a later one.
        """
        values = dict(content)
        takes, number = values.pop("takes", "images"), values.pop("format", None)
        if takes != "points" or number != FORMAT:
            raise ValueError(
                f"results of clouds have takes='points' and format={FORMAT}; got {takes!r} and {number!r}. Measure the "
                "encoder anew with eqmodels evaluate."
            )
        values["kinds"] = tuple(CloudScores(**entry) for entry in values["kinds"])
        pairs = {name: tuple(values[name]) for name in ("train", "test", "errors_of_up")}
        return cls(**values | pairs)
