"""Networks that are adapted for a benchmark: averaged over the orbit of a group, or shown upright images."""

from __future__ import annotations

from typing import Any

from eqmodels.adapt import canonicalise, symmetrise
from eqmodels.backbones import Encoder
from eqmodels.backbones.foreign import ForeignEncoder

__all__ = ["ADAPTATIONS", "adapted", "split_adapted"]

ADAPTATIONS = ("symmetrised:", "canonicalised:")
"""The mean over the orbit, and one pass of an image that a pose turned upright."""


def split_adapted(name: str) -> tuple[str, str, str]:
    """The adaptation, by which group or network, and which network is adapted.

    Raises:
        ValueError: if one of them is missing.

    Example:
        >>> split_adapted("symmetrised:c4:random:timm:resnet18")
        ('symmetrised:', 'c4', 'random:timm:resnet18')
    """
    kind = next(one for one in ADAPTATIONS if name.startswith(one))
    by, _, inner = name.removeprefix(kind).partition(":")
    if not by or not inner:
        raise ValueError(
            f"an adapted network is called symmetrised:GROUP:NAME or canonicalised:BY:NAME; got {name!r}. Name, say, "
            "symmetrised:c4:resnet18s_w16."
        )
    return kind, by, inner


def adapted(name: str, network: Encoder) -> Encoder:
    """A network as its name says that it is adapted, without any training.

    Args:
        name: see `split_adapted`.
        network: that is adapted.

    Raises:
        ValueError: if there is no such group, one of its elements permutes no pixels, or nothing predicts a pose.
    """
    kind, by, _ = split_adapted(name)
    # What says which images a network of others takes is the network itself, and not what was put around it.
    inner: Any = network.network if isinstance(network, ForeignEncoder) else network
    if kind == ADAPTATIONS[0]:
        built: Any = symmetrise(inner, by, in_chans=network.in_chans)
    else:
        built = canonicalise(inner, by, in_chans=network.in_chans)
    built.preprocessing = network.preprocessing
    encoder: Encoder = built
    return encoder
