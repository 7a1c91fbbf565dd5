"""Images as a pretrained network takes them."""

from __future__ import annotations

import sys

from eqmodels.data import LabelledImages, Split
from eqmodels.training import Run, prepared_images

__all__ = ["with_channels"]


def with_channels(network: Run, data: LabelledImages, split: Split) -> LabelledImages:
    """Images with the channels that the network takes: coloured as in its training, else grey or repeated."""
    channels = network.backbone.in_chans
    if data.channels == 1:
        data = prepared_images(network.config, data, split)
    if data.channels != channels:
        print(f"{data.name}: {data.channels} channels made {channels}, as the network takes", file=sys.stderr)
        data = data.to_grey() if channels == 1 else data.to_rgb()
    return data
