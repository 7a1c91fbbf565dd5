"""A dense network whose maps turn with the image: pixels are turned back, of all copies or of the upright one."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.fx
from torch import Tensor
from torchvision.transforms import v2

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.adapted import (
    WITHOUT_IMAGES,
    Canonicalised,
    Orbit,
    answer_of,
    checked_size,
    size_of,
    takes_one_size,
)
from eqmodels.checks import check_count, check_images
from eqmodels.fields import Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import GroupPool
from eqmodels.layers.scripting import NotScriptable
from eqmodels.transforms import Preprocessing

__all__ = ["CanonicalisedMaps", "SymmetrisedMaps"]


torch.fx.wrap("check_images")


class _Maps(NotScriptable):
    """What both say of themselves."""

    group: PlanarGroup
    out_field: Scalars
    in_chans: int
    preprocessing: Preprocessing | None
    way: str

    def transform(self, size: int | tuple[int, int] | None = None) -> v2.Compose:
        """From a PIL image of any mode, or pixels, to the network's input: upright, resized, normalised.

        Args:
            size: height and width of the input, one number for both; None for those of the network's training.

        Raises:
            ValueError: if nothing is known of the images it was trained on.
        """
        if self.preprocessing is None:
            raise ValueError(
                "transform is the preprocessing that the network was trained with; this one does not say it. "
                f"{WITHOUT_IMAGES}"
            )
        return self.preprocessing.transform(size)

    def describe_output(self) -> str:
        """How the maps change when the image is turned."""
        channels = f"maps of {self.out_field.channels} channels"
        return f"A network {self.way}: {channels} that the elements of {self.group} leave, and whose pixels they move."


class SymmetrisedMaps(_Maps):
    """A segmentation, or whatever puts out maps, made equivariant: ``m(g x) = g m(x)``.

    ``(B, C, H, W) -> (B, F, h, w)``, the mean over g of ``g N(g^-1 x)``.

    Args:
        network: from images to maps ``(B, F, h, w)``.
        group: whose elements permute pixels, or its name.
        in_chans: channels of the images.
        size: height and width of the images that the network is asked about once; None for those of `preprocessing`,
            32 x 32 if nothing is known of them.
        preprocessing: the images that it was made for; None if nothing is known of them.
        at_a_time: copies of each image in one batch, which bounds the memory; None for what `Orbit` chooses.
        drawn: copies, drawn anew at each call, that the network is asked about in train mode; None for all.

    Attributes:
        group: of the maps.
        out_field: of the maps, scalars: elements move their pixels and leave their channels.

    Raises:
        TypeError: if the network cannot be called, or a count is no integer.
        ValueError: if an element of the group permutes no pixels, or the network does not run on its images.
    """

    def __init__(
        self,
        network: Callable[[Tensor], object],
        group: PlanarGroup | str = "d4",
        *,
        in_chans: int = 3,
        size: tuple[int, int] | None = None,
        preprocessing: Preprocessing | None = None,
        at_a_time: int | None = None,
        drawn: int | None = None,
    ) -> None:
        super().__init__()
        self.in_chans, self.preprocessing = check_count("in_chans", in_chans), preprocessing
        asked = size_of(network) or (32, 32) if preprocessing is None else preprocessing.size
        asked = asked if size is None else checked_size(size)
        fields, _ = answer_of(network, in_chans, asked)
        only = size_of(network) if takes_one_size(network) else None
        self.orbit = Orbit(network, group, fields, size=only, at_a_time=at_a_time, drawn=drawn)
        self.group = self.orbit.group
        self.way = f"asked about {self.group.order} moved copies of an image, without any training"
        self.pool = GroupPool(self.group, "mean")
        self.out_field = Scalars(fields)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The mean of the maps of all moved copies, turned back.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another shape, or the maps do not fit together.
        """
        maps: Tensor = self.pool(self.orbit(check_images(images, self.in_chans)))
        return maps


class CanonicalisedMaps(_Maps):
    """A segmentation, or whatever puts out maps, that sees images upright: ``m(g x) = g m(x)``, for one pass.

    ``(B, C, H, W) -> (B, F, h, w)``.

    Args:
        encoder: the network and its pose.

    Attributes:
        group: of the maps.
        out_field: of the maps, scalars: elements move their pixels and leave their channels.

    Raises:
        TypeError: if the encoder is none that sees images upright.
    """

    def __init__(self, encoder: Canonicalised) -> None:
        check_arguments(CanonicalisedMaps, {"encoder": encoder})
        super().__init__()
        # The stage alone, not what pools its maps: so that `to_plain` finds nothing but what it knows.
        self.canonical, self.group, self.out_field = encoder.canonical, encoder.group, encoder.map_field
        self.in_chans, self.preprocessing = encoder.in_chans, encoder.preprocessing
        self.way = f"that sees images turned upright ({self.canonical.mode})"
        self.train(encoder.training)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        """The maps of the upright images, turned back.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they have another shape, or the maps do not fit together.
        """
        maps: Tensor = self.canonical(check_images(images, self.in_chans))
        return maps
