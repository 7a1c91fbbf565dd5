"""What relative prediction asks for: what changed from one view of an image to another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float
from eqmodels.arguments import check_arguments
from eqmodels.transforms import ViewParameters

__all__ = ["RelativeTarget", "relative_target"]


@dataclass(frozen=True, eq=False)
class RelativeTarget:
    """The change from a first view to a second; all zero (and not flipped) if they are equal.

    Args:
        offset: how far the crop's centre moved down and to the right, in heights and widths of the raw image.
        log_scale: logarithms of the ratios of the crops' heights and widths.
        log_colour: logarithms of the ratios of the factors of brightness, contrast and saturation.
        hue: the difference of the hues' shifts, in turns, not wrapped around.
        flip: whether one view is flipped and the other is not.
    """

    offset: Float[Tensor, "B 2"]
    log_scale: Float[Tensor, "B 2"]
    log_colour: Float[Tensor, "B 3"]
    hue: Float[Tensor, " B"]
    flip: Bool[Tensor, " B"]

    def numbers(self) -> Float[Tensor, "B 8"]:
        """Everything but the flip side by side, for a regression: offset, log_scale, log_colour, hue."""
        return torch.cat([self.offset, self.log_scale, self.log_colour, self.hue[:, None]], dim=1)


def relative_target(first: ViewParameters, second: ViewParameters) -> RelativeTarget:
    """What changed from the first view to the second.

    ``offset = (centre_2 - centre_1) / image_size``, ``log_scale = log(size_2 / size_1)``, ``log_colour =
    log(factor_2 / factor_1)``, ``hue = hue_2 - hue_1``, ``flip = flipped_1 xor flipped_2``. Every number is the
    difference of something that belongs to one view. So exchanging the views changes its sign, and changes add up: from
    the first view to the third is from the first to the second plus from the second to the third (flips: exclusive or).
    An offset in units of the first crop would have neither property. Offsets are directions in the raw image, whether
    or not the views are flipped.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the views are not of the same raw images, as far as their number and sizes tell.

    Source: Lee et al. 2021, arXiv 2111.09613, which takes differences of crop boxes and of colour parameters; the
    logarithms are ours.
    """
    check_arguments(relative_target, locals())
    if not torch.equal(first.image_size, second.image_size):
        raise ValueError(
            "first and second must be views of the same raw images; got different image_size. "
            "Pass both views in the same order."
        )
    return RelativeTarget(
        offset=(_centre(second) - _centre(first)) / first.image_size,
        log_scale=second.crop[:, 2:].log() - first.crop[:, 2:].log(),
        log_colour=second.colour[:, :3].log() - first.colour[:, :3].log(),
        hue=second.colour[:, 3] - first.colour[:, 3],
        flip=first.flipped ^ second.flipped,
    )


def _centre(view: ViewParameters) -> Float[Tensor, "B 2"]:
    return view.crop[:, :2] + view.crop[:, 2:] / 2
