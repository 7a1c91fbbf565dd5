"""The kinds of features that are scored: poolings, and what a network without a group can do about turned images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.evaluation.encoding import Encodable, Subject
from eqmodels.evaluation.orbits import View
from eqmodels.evaluation.poolings import ROWS, pool_features, poolings_of
from eqmodels.evaluation.specimen import device_of

__all__ = ["CONTROLS", "ORBIT_MEAN", "TURNED_BACK", "TURNED_PROBE", "FeatureKind", "feature_kind", "kinds_of"]

ORBIT_MEAN, TURNED_BACK, TURNED_PROBE = "orbit-mean", "turned back by head", "regular, turned probe"
CONTROLS: dict[str, str] = {
    ORBIT_MEAN: "averaged over the four turned copies of the image: four passes",
    TURNED_BACK: "of the image turned back by what the head says: two passes",
    TURNED_PROBE: "as they are, the probe trained on all four turned copies of its images",
}
"""What a network without a group can do about images that are turned by quarters, and what it pays.

Source of the second: Kaba et al. 2023, arXiv 2211.06489, where a network that is equivariant says how to turn back.
"""

Copies = Mapping[View, Tensor]
"""An encoder's features of the same images in several views."""


class FeatureKind(ABC):
    """One kind of features, made of the encoder's own.

    Attributes:
        name: of the kind.
        needs_quarters: whether the features of an image are made of those of its four turned copies.
        copies: how often every training image of the probe is there.
    """

    name: str
    needs_quarters = False
    copies = 1

    @abstractmethod
    def of(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """The features of images in a view.

        Args:
            copies: the encoder's features in that view; in the other three quarter turns of it too, if it needs them.
            view: which.
        """

    def train(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """Those that the probe is trained on, of training images that are upright in this view: `copies` of each."""
        return self.of(copies, view)


class _Pooled(FeatureKind):
    """Features pooled by one of `POOLINGS`."""

    def __init__(self, subject: Subject, name: str) -> None:
        self.subject, self.name = subject, name

    def of(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """The pooled features of this view."""
        return pool_features(self.subject, copies[view], self.name)


class _OrbitMean(FeatureKind):
    name, needs_quarters = ORBIT_MEAN, True

    def of(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """The mean over the four turned copies, bit for bit the same for all four."""
        orbit = sorted((view.turned(number) for number in range(4)), key=lambda turned: turned.motion.turn)
        return torch.stack([copies[turned] for turned in orbit]).mean(0)


class _TurnedProbe(FeatureKind):
    name, needs_quarters, copies = TURNED_PROBE, True, 4

    def of(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """The features as they are."""
        return copies[view]

    def train(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """Those of all four turned copies, one copy of all images after the other."""
        return torch.cat([copies[view.turned(number)] for number in range(4)])


class _TurnedBack(FeatureKind):
    name, needs_quarters = TURNED_BACK, True

    def __init__(self, head: nn.Module) -> None:
        self.head = head

    def of(self, copies: Copies, view: View) -> Float[Tensor, "N F"]:
        """Of every image, the features of the copy that the head takes for the upright one."""
        quarters = self._quarters(copies[view])
        orbit = torch.stack([copies[view.turned(-number)] for number in range(4)], 1)
        return orbit[torch.arange(len(quarters)), quarters]

    @torch.no_grad()
    def _quarters(self, features: Float[Tensor, "N C"]) -> Int[Tensor, " N"]:
        """By how many quarters the head takes images to be turned."""
        device = device_of(self.head)
        return torch.cat([self.head(part.to(device)).argmax(1).cpu() for part in features.split(ROWS)])


def kinds_of(encoder: Encodable | Subject) -> tuple[str, ...]:
    """The kinds of features that an encoder has: its poolings; where these have no fibre, the controls too."""
    subject = Subject.of(encoder)
    if subject.has_fibres:
        return poolings_of(subject)
    return (*poolings_of(subject), *(name for name in CONTROLS if name != TURNED_BACK or subject.turn is not None))


def feature_kind(subject: Subject, name: str) -> FeatureKind:
    """One of the kinds that `kinds_of` names."""
    if name == ORBIT_MEAN:
        return _OrbitMean()
    if name == TURNED_PROBE:
        return _TurnedProbe()
    if name == TURNED_BACK and subject.turn is not None:
        return _TurnedBack(subject.turn)
    return _Pooled(subject, name)
