"""Grey images in colours that say nothing of their class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.data.levels import to_levels
from eqmodels.data.source import Source
from eqmodels.data.view import View

__all__ = ["Coloured", "coloured"]


@dataclass(frozen=True, eq=False)
class Coloured(View):
    """Grey images blended between two colours of their own, in steps of 1/255: ``(N, 1, H, W) -> (N, 3, H, W)``.

    Args:
        source: of the grey images.
        dark: the colour of what is black in each image, in [0, 1].
        light: the colour of what is white in each image, in [0, 1].
    """

    dark: Float[Tensor, "N 3 1 1"]
    light: Float[Tensor, "N 3 1 1"]

    @property
    def name(self) -> str:
        """What the data set is called."""
        return f"{self.source.name}, coloured"

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return 3

    def pixels(self, indices: Tensor | slice) -> Float[Tensor, "B 3 H W"]:
        """The images of such numbers, or of a slice, as float32 in [0, 1]."""
        dark, light = self.dark[indices], self.light[indices]
        return to_levels(dark + (light - dark) * self.source.pixels(indices)).float() / 255


def coloured(source: Source, *, seed: int = 0) -> Coloured:
    """Grey images in random colours that do not depend on the class: ``(N, 1, H, W) -> (N, 3, H, W)``.

    The grey value blends between a dark and a light colour of the image's own, uniform in [0, 0.3] and [0.4, 1] in
    each channel.

    Args:
        source: of the grey images.
        seed: of the colours.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the images have colours already.
    """
    check_arguments(coloured, locals())
    if source.channels != 1:
        raise ValueError(
            f"only grey images can be coloured; {source.name} has {source.channels} channels. "
            "Leave out coloured (--coloured)."
        )
    dark, light = torch.rand(2, len(source), 3, 1, 1, generator=torch.Generator().manual_seed(seed))
    return Coloured(source, 0.3 * dark, 0.4 + 0.6 * light)
