"""The feature pyramid: maps of one width at every size, each of which has seen the coarser ones, and their sum.

Source: Lin et al. 2017, arXiv 1612.03144; the sum for dense outputs: Kirillov et al. 2019, arXiv 1901.02446.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.dense.dense_network import Decoder, DenseNetwork
from eqmodels.backbones.dense.layers import HEAD_FIELDS, DecoderOptions
from eqmodels.backbones.dense.levels import EncoderLevels, encoder_for
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import register_backbone
from eqmodels.backbones.stages import NormName
from eqmodels.checks import check_images
from eqmodels.fields import Field, Regular
from eqmodels.layers import BasisName, ExactUpsample2d, SteerableConv2d

__all__ = ["FPN"]


@register_backbone("fpn", groups=False)
class FPN(DenseNetwork):
    """A feature pyramid around any encoder of this package, with an output for every pixel, at every size.

    `pyramid` gives the maps of all sizes, of as many channels each, for heads of one's own, such as those of detectors.

    Args:
        encoder: a network, whose stages (and weights) become this network's, or the name of an architecture with
            random weights, such as ``"c4_resnet18s_w32"``.
        encoder_args: of an encoder that is named, further options.
        width: dense channels of the pyramid at every size; None for those of the encoder's first stage.
        kernel_size: of the decoder's convolutions; None for 3 (pixel groups) or 5 (the others).
        basis: ``"pixel"``, ``"harmonic"`` or None for the group's default.
        norm: ``"batch"`` or ``"layer"``.
        head_fields: regular fields of the hidden layer that the output is read off, pixel by pixel.
        in_chans: channels of the images; None for the encoder's, 3 of one that is named.
        num_classes: channels of the output; 0 for the decoder's maps; None for those of `out_field`, or 1.
        out_field: what the output means, a field or its text, such as ``"1 x vector(c4)"``; None for scalars.

    Raises:
        TypeError: if a count is not an integer, or the encoder or the field is none.
        ValueError: if an argument breaks its rule; the sentence names it.

    Example:
        >>> import torch
        >>> fpn = FPN("c4_resnet18s_w8", out_field="1 x vector(c4)")
        >>> fpn(torch.rand(1, 3, 30, 27)).shape, [tuple(one.shape[1:]) for one in fpn.pyramid(torch.rand(1, 3, 30, 27))]
        (torch.Size([1, 2, 30, 27]), [(8, 30, 27), (8, 15, 14), (8, 8, 7), (8, 4, 4)])
    """

    def __init__(
        self,
        encoder: str | StagedNetwork,
        *,
        encoder_args: Mapping[str, Any] | None = None,
        width: int | None = None,
        kernel_size: int | None = None,
        basis: BasisName | None = None,
        norm: NormName = "batch",
        head_fields: int = HEAD_FIELDS,
        in_chans: int | None = None,
        num_classes: int | None = None,
        out_field: Field | str | None = None,
    ) -> None:
        own = encoder_for(encoder, encoder_args, in_chans)
        super().__init__(own, num_classes, out_field)
        levels = EncoderLevels(own)
        channels = own.feature_info[0]["num_chs"] if width is None else width
        options = DecoderOptions(self.group, channels, kernel_size, basis, norm, head_fields)
        self.decode("fpn", _Decoder(levels, options), options)

    def pyramid(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        """The maps of every size, from the finest to the coarsest, each of the field `map_field`.

        Raises:
            TypeError: if the images are not floating point.
            ValueError: if they do not have the shape ``(batch, in_chans, height, width)``.
        """
        decoder = self.decoder
        levels: tuple[Tensor, ...] = decoder.pyramid(decoder.encoder(check_images(images, self.in_chans)))  # type: ignore[operator]
        return levels


class _Decoder(Decoder):
    """From images to maps of their size, the sum of the pyramid's: ``(B, in_chans, H, W) -> (B, |G| fields, H, W)``."""

    def __init__(self, levels: EncoderLevels, options: DecoderOptions) -> None:
        super().__init__()
        self.encoder = levels
        self.pyramid = _Pyramid(levels, options)
        self.up = ExactUpsample2d()
        self.merged = options.convolution(options.fields(), options.fields())
        self.out_field = Regular(options.group, options.fields())
        # Noted here, and not asked of children, whose place others take in an export.
        self._levels, self._reduced = len(levels.reductions), levels.reductions[0] > 1

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H W"]:
        """The maps of all sizes at the size of the finest, summed, convolved, and at the size of the image."""
        levels = self.pyramid(self.encoder(images))
        total = levels[0]
        for index in range(1, self._levels):
            total = total + self.up(levels[index], levels[0].shape[-2:])
        maps: Tensor = self.merged(total)
        return self.up(maps, images.shape[-2:]) if self._reduced else maps


class _Pyramid(nn.Module):
    """Maps of every size in as many fields: each is the encoder's and the next coarser one, summed and convolved."""

    def __init__(self, levels: EncoderLevels, options: DecoderOptions) -> None:
        super().__init__()
        group, fields = options.group, options.fields()
        self.count = len(levels.fields)
        self.up = ExactUpsample2d()
        self.lateral = nn.ModuleList(SteerableConv2d(group, field.count, fields, 1) for field in levels.fields)
        self.smooth = nn.ModuleList(options.convolution(fields, fields) for _ in levels.fields)

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The maps, the finest first."""
        maps = self.lateral[self.count - 1](levels[self.count - 1])
        found = [self.smooth[self.count - 1](maps)]
        for index in range(self.count - 2, -1, -1):
            lateral = self.lateral[index](levels[index])
            maps = lateral + self.up(maps, lateral.shape[-2:])
            found.append(self.smooth[index](maps))
        return tuple(found[::-1])
