"""Tasks that change the colours and leave every pixel where it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.tasks.registry import register_task
from eqmodels.tasks.task import Task, check_colour

__all__ = ["ColourInversion", "Grayscale"]


class _ColourTask(Task):
    """What tasks about colour share: they need three channels, and may make them of one."""

    num_labels = 2

    def __init__(self, *, to_rgb: bool = False) -> None:
        check_arguments(type(self), {"to_rgb": to_rgb})
        self.to_rgb = to_rgb

    def check(self, images: Float[Tensor, "B C H W"]) -> None:
        """Raises a `ValueError` if the images have no colour."""
        check_colour(self.name, images, self.to_rgb)

    def _coloured(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 3 H W"]:
        return images.repeat(1, 3, 1, 1) if images.shape[1] == 1 else images


@register_task("grayscale")
class Grayscale(_ColourTask):
    """Is the colour taken out of the image? Label 0: as it is; label 1: its luma, in all three channels.

    Args:
        to_rgb: repeat the channel of grey images three times, for both labels. Of such images the label cannot be told:
            it is meant for data that mix grey and coloured images.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the images do not have three channels, nor one with `to_rgb`.
    """

    name = "grayscale"

    def transform(
        self,
        images: Float[Tensor, "B C H W"],
        label: int,
        generator: torch.Generator | None,  # noqa: ARG002
    ) -> Float[Tensor, "B 3 H W"]:
        """The images in three channels, all equal for label 1."""
        if images.shape[1] == 1 or label == 0:  # a grey image is its own luma, exactly
            return self._coloured(images)
        grey: Tensor = v2.rgb_to_grayscale(images, num_output_channels=3)
        return grey


@register_task("colour_inversion")
class ColourInversion(_ColourTask):
    """Is the image a negative? Label 0: as it is; label 1: ``1 - x``.

    An action of the group of two elements, but on colours, not on the plane: `group` is None.

    Args:
        to_rgb: repeat the channel of grey images three times, for both labels.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the images do not have three channels, nor one with `to_rgb`.
    """

    name = "colour_inversion"

    def transform(
        self,
        images: Float[Tensor, "B C H W"],
        label: int,
        generator: torch.Generator | None,  # noqa: ARG002
    ) -> Float[Tensor, "B 3 H W"]:
        """The images in three channels, ``1 - x`` for label 1."""
        coloured = self._coloured(images)
        return 1 - coloured if label else coloured
