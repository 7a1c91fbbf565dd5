"""How the error falls with the number of labelled images, of frozen features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eqmodels.backbones import Encoder
from eqmodels.bench.exponents import Exponent, fit_exponent
from eqmodels.data import Source, balanced_subset
from eqmodels.evaluation import encode, fit_linear_probe
from eqmodels.evaluation.encoding import Subject
from eqmodels.evaluation.settled import settled
from eqmodels.measures.linear_probe import STRENGTHS

__all__ = ["Growth", "measure_growth"]


@dataclass(frozen=True)
class Growth:
    """The error of a linear probe over the number of its training images.

    Attributes:
        counts: of training images.
        errors: of the probe on held-out upright images, from 0 to 1; at least half an image, to have a logarithm.
        exponent: of ``error = c counts^a``: negative, as the error falls.
    """

    counts: tuple[int, ...]
    errors: tuple[float, ...]
    exponent: Exponent

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Growth:
        """What `to_dict` made of one.

        Raises:
            TypeError: if names are missing or unknown.
        """
        exponent = Exponent.from_dict(content["exponent"])
        return cls(tuple(content["counts"]), tuple(content["errors"]), exponent)

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return {"counts": self.counts, "errors": self.errors, "exponent": self.exponent.to_dict()}


def measure_growth(
    encoder: Encoder,
    train: Source,
    test: Source,
    counts: Iterable[int],
    *,
    seed: int = 0,
    report: Callable[[str], None] = lambda _: None,
) -> Growth:
    """Probes of more and more training images, of which each choice is balanced.

    Args:
        encoder: whose features are measured as it gives them.
        train: labelled images; counts above their number are left out.
        test: held-out images of the same classes.
        counts: of training images, at least two of them possible.
        seed: of the choices.
        report: called with a word on what is being done.

    Raises:
        ValueError: if the images do not suit the encoder, or less than two counts are possible.
    """
    subject = settled(Subject.of(encoder))
    report("features")
    known, asked = (encode(subject, data.pixels, len(data)) for data in (train, test))
    possible = tuple(count for count in counts if count <= len(train))
    errors = []
    for count in possible:
        report(f"{count} images")
        chosen = balanced_subset(train, count, seed=seed).numbers
        probe = fit_linear_probe(
            known[chosen],
            train.labels[chosen],
            num_classes=len(train.classes),
            strengths=STRENGTHS[::2],
            seed=seed,
        )
        errors.append(max(1 - probe.accuracy(asked, test.labels), 0.5 / len(test)))
    return Growth(possible, tuple(errors), fit_exponent(possible, errors))
