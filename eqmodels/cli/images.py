"""Images as a pretrained network takes them."""

from __future__ import annotations

import sys
from typing import Any

from eqmodels.backbones import Backbone
from eqmodels.cli.terminal import say
from eqmodels.data import SOURCES, Source, Split, at_size, to_grey, to_rgb
from eqmodels.options import options_of
from eqmodels.training import Run, prepared_images
from eqmodels.transforms import Preprocessing

__all__ = ["as_taken", "own_size"]


def own_size(preprocessing: Preprocessing | None, name: str) -> dict[str, Any]:
    """The option of a source for the size of a network's images; none of a source that makes no images in a size.

    Args:
        preprocessing: of the network, if it is known.
        name: of the source.
    """
    if preprocessing is None or name not in SOURCES or "size" not in options_of(SOURCES.find(name)):
        return {}
    return {"size": min(preprocessing.size)}


def as_taken(network: Run | Backbone, data: Source, split: Split, *, resized: bool = True) -> Source:
    """Images with the channels and of the size that the network takes.

    Args:
        network: says how many channels it takes, what size its images have, if it knows that, and, if it is a run, how
            the images of its training were coloured.
        data: the images as they are loaded.
        split: where they are from: images of the two splits have different colours.
        resized: False to leave them in their size.

    Raises:
        ValueError: if the images have other channels, and are not grey ones or coloured ones of the other kind.
    """
    channels = (network.backbone if isinstance(network, Run) else network).in_chans
    if isinstance(network, Run) and data.channels == 1:
        data = prepared_images(network.config, data, split)
    if data.channels != channels:
        if {data.channels, channels} != {1, 3}:
            raise ValueError(
                f"the network takes images of {channels} channels; {data.name} has {data.channels}. Name data that has "
                "as many (--data)."
            )
        say(f"{data.name}: {data.channels} channels made {channels}, as the network takes", file=sys.stderr)
        data = to_grey(data) if channels == 1 else to_rgb(data)
    seen = network.preprocessing
    if resized and seen is not None and seen.size != data.size:
        old, new = (" x ".join(map(str, size)) for size in (data.size, seen.size))
        say(f"{data.name}: {old} pixels made {new}, as the network takes", file=sys.stderr)
        return at_size(data, seen.size, seen.resize)
    return data
