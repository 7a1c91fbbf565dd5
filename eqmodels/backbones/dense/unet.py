"""The U-Net: from the coarsest maps of an encoder back to the size of the image, with the finer ones beside.

Source: Ronneberger, Fischer and Brox 2015, arXiv 1505.04597; as a decoder of ResNets with the widths that
segmentation_models_pytorch has made usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.dense.dense_network import Decoder, DenseNetwork
from eqmodels.backbones.dense.layers import HEAD_FIELDS, DecoderOptions, decoder_width
from eqmodels.backbones.dense.levels import EncoderLevels, encoder_for
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import register_backbone
from eqmodels.backbones.stages import NormName
from eqmodels.fields import Field, Regular
from eqmodels.layers import BasisName, ExactUpsample2d, JoinFields

__all__ = ["UNet"]


@register_backbone("unet", groups=False)
class UNet(DenseNetwork):
    """A U-Net around any encoder of this package: class scores, heatmaps or vectors for every pixel, at every size.

    Maps are upsampled bilinearly to the very size of those that they are joined with, so that odd sizes need no
    padding, and quarter turns and flips of the image turn and flip the output exactly.

    Args:
        encoder: a network, whose stages (and weights) become this network's, or the name of an architecture with
            random weights, such as ``"c4_resnet18s_w32"``.
        encoder_args: of an encoder that is named, further options.
        width: dense channels of the decoder at the size of the image; r times as many where maps are r times smaller.
            None for half of the encoder's first stage, a quarter if that halves the image.
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
        >>> unet = UNet("c4_resnet18s_w8", num_classes=3)
        >>> unet(torch.rand(1, 3, 30, 27)).shape
        torch.Size([1, 3, 30, 27])
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
        options = DecoderOptions(self.group, decoder_width(own, width), kernel_size, basis, norm, head_fields)
        self.decode("unet", _Decoder(levels, options), options)


class _Decoder(Decoder):
    """From images to maps of their size: ``(B, in_chans, H, W) -> (B, |G| fields, H, W)``."""

    def __init__(self, levels: EncoderLevels, options: DecoderOptions) -> None:
        super().__init__()
        self.encoder = levels
        blocks, fields = [], levels.fields[-1].count
        for reduction, skip in zip(levels.reductions[-2::-1], levels.fields[-2::-1], strict=True):
            blocks.append(_UpBlock(options, fields, skip.count, reduction))
            fields = blocks[-1].out_field.count
        self.blocks = nn.ModuleList(blocks)
        # A stem that halves the image leaves no maps of its size to join.
        self.last = None if levels.reductions[0] == 1 else _LastBlock(options, fields)
        self.out_field = Regular(options.group, options.fields(1))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F H W"]:
        """The finest maps, to which all levels have come."""
        levels = self.encoder(images)
        maps = levels[len(self.blocks)]
        for index, block in enumerate(self.blocks):
            maps = block(maps, levels[len(self.blocks) - 1 - index])
        finest: Tensor = maps if self.last is None else self.last(maps, images)
        return finest


class _UpBlock(nn.Module):
    """Maps upsampled to the size of the encoder's, both joined, and two convolutions."""

    def __init__(self, options: DecoderOptions, in_fields: int, skip_fields: int, reduction: int) -> None:
        super().__init__()
        fields = options.fields(reduction)
        self.up = ExactUpsample2d()
        self.join = JoinFields(options.group, in_fields, skip_fields)
        self.conv1 = options.convolution(in_fields + skip_fields, fields)
        self.conv2 = options.convolution(fields, fields)
        self.out_field = Regular(options.group, fields)

    def forward(self, maps: Float[Tensor, "B C H W"], skip: Float[Tensor, "B C2 H2 W2"]) -> Float[Tensor, "B C3 H2 W2"]:
        """Maps of the size of `skip`."""
        joined = self.join(self.up(maps, skip.shape[-2:]), skip)
        convolved: Tensor = self.conv2(self.conv1(joined))
        return convolved


class _LastBlock(nn.Module):
    """Maps upsampled to the size of the image, and two convolutions."""

    def __init__(self, options: DecoderOptions, in_fields: int) -> None:
        super().__init__()
        fields = options.fields(1)
        self.up = ExactUpsample2d()
        self.conv1 = options.convolution(in_fields, fields)
        self.conv2 = options.convolution(fields, fields)
        self.out_field = Regular(options.group, fields)

    def forward(
        self, maps: Float[Tensor, "B C H W"], images: Float[Tensor, "B I H2 W2"]
    ) -> Float[Tensor, "B C2 H2 W2"]:
        """Maps of the size of the images."""
        convolved: Tensor = self.conv2(self.conv1(self.up(maps, images.shape[-2:])))
        return convolved
