"""Images as a pretrained network takes them."""

from __future__ import annotations

import sys

from eqmodels.backbones import Backbone
from eqmodels.cli.terminal import say
from eqmodels.data import Source, Split, to_grey, to_rgb
from eqmodels.training import Run, prepared_images

__all__ = ["with_channels"]


def with_channels(network: Run | Backbone, data: Source, split: Split) -> Source:
    """Images with the channels that the network takes: coloured as in its training, else grey or repeated.

    Args:
        network: says how many channels it takes and, if it is a run, how the images of its training were coloured.
        data: the images as they are loaded.
        split: where they are from: images of the two splits have different colours.

    Raises:
        ValueError: if the images have other channels, and are not grey ones or coloured ones of the other kind.
    """
    channels = (network.backbone if isinstance(network, Run) else network).in_chans
    if isinstance(network, Run) and data.channels == 1:
        data = prepared_images(network.config, data, split)
    if data.channels == channels:
        return data
    if {data.channels, channels} != {1, 3}:
        raise ValueError(
            f"the network takes images of {channels} channels; {data.name} has {data.channels}. Name data that has as "
            "many (--data)."
        )
    say(f"{data.name}: {data.channels} channels made {channels}, as the network takes", file=sys.stderr)
    return to_grey(data) if channels == 1 else to_rgb(data)
