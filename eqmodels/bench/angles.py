"""Accuracy over all angles: a probe of upright images, asked about images turned by every angle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from eqmodels.backbones import Encoder
from eqmodels.data import Source
from eqmodels.evaluation import Orbits, encode, fit_linear_probe
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.settled import settled
from eqmodels.measures.linear_probe import STRENGTHS

__all__ = ["Angles", "measure_angles"]


@dataclass(frozen=True)
class Angles:
    """What a linear probe knows of images turned by every angle, all seen through the inscribed circle.

    Attributes:
        degrees: from 0 on, counter-clockwise.
        accuracy: at each of them, from 0 to 1.
        changed: at each of them the share of the images of which the probe says another class than upright.
    """

    degrees: tuple[float, ...]
    accuracy: tuple[float, ...]
    changed: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The accuracy over all angles."""
        return sum(self.accuracy) / len(self.accuracy)

    @property
    def worst(self) -> float:
        """The accuracy at the worst angle."""
        return min(self.accuracy)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Angles:
        """What `dataclasses.asdict` made of one, also after a way through JSON.

        Raises:
            TypeError: if names are missing or unknown.
        """
        return cls(**{name: tuple(values) for name, values in content.items()})


def measure_angles(
    encoder: Encoder,
    train: Source,
    test: Source,
    *,
    step: int,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> Angles:
    """The curve over the angles of frozen features.

    Images are turned by bilinear interpolation but at quarter turns, and seen through a circle, those of the probe too,
    so that no corner tells by how much.

    Args:
        encoder: whose features are measured as it gives them.
        train: labelled images that the probe is trained on, upright.
        test: held-out images of the same classes.
        step: degrees between angles, a divisor of 360.
        seed: of what the probe holds out.
        report: called with a word on what is being done.

    Raises:
        ValueError: if the images do not suit the encoder, or have no classes.
    """
    subject, views = settled(Subject.of(encoder)), Orbits.curve(step)
    report("probe")
    known = encode(subject, train.pixels, len(train), view=views[0])
    probe = fit_linear_probe(known, train.labels, num_classes=len(train.classes), strengths=STRENGTHS[::2], seed=seed)
    predictions = []
    for number, view in enumerate(views):
        report(f"{number * step} degrees")
        predictions.append(probe.predict(encode(subject, test.pixels, len(test), view=view)))

    def shares(of: torch.Tensor) -> tuple[float, ...]:
        return tuple(float((one == of).to(torch.float64).mean()) for one in predictions)

    changed = tuple(1 - share for share in shares(predictions[0]))
    return Angles(tuple(float(number * step) for number in range(len(views))), shares(test.labels), changed)
