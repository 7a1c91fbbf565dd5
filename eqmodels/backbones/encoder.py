"""What an encoder is to those who use one: a call, what its output means, and which images it takes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from eqmodels.fields import Field
from eqmodels.transforms import Preprocessing

__all__ = ["Encoder"]


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns a batch of images, or of clouds of points, into feature vectors and says what they mean.

    A `Backbone` is one; `as_encoder` makes one of a function or of somebody else's network. Stages of feature maps are
    no part of it: who needs them asks for a `Backbone`. One that takes no images says it by an attribute `takes`, as a
    `PointBackbone` does, which is called with clouds ``(B, N, in_chans)``. One that is made for a group may name it by
    an attribute `group`, a `PlanarGroup`: scalars do not show by what they are invariant, and `evaluate` tests them
    with that group.

    Attributes:
        in_chans: channels of the images, or numbers of each point.
        preprocessing: the images that it was made for, their size and normalisation; None if nothing is known of them.
        out_field: what the channels of the output mean, as far as the group goes that the encoder is made for; None if
            nobody has said so.
    """

    in_chans: int
    preprocessing: Preprocessing | None

    @property
    def out_field(self) -> Field | None:
        """What the channels of the output mean; None if nobody has said so."""

    def __call__(self, images: Any, /) -> Any:  # noqa: ANN401 (a module's call takes anything)
        """Feature vectors ``(B, features)`` of normalised images ``(B, in_chans, H, W)``."""
