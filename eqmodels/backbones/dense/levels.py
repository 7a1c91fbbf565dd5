"""What a decoder is given: the maps of an encoder, one of each size, in regular fields of one group."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.checkpointing import recomputed
from eqmodels.backbones.describe import check_bounds
from eqmodels.backbones.input_channels import with_channels
from eqmodels.backbones.network import StagedNetwork
from eqmodels.backbones.registry import build_for_images, resolve
from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.layers import Restrict, output_field

__all__ = ["EncoderLevels", "encoder_for"]


class EncoderLevels(nn.Module):
    """The stages of an encoder; of each size, the maps of the last stage that has it, from the finest to the coarsest.

    ``(B, in_chans, H, W) -> ((B, C, H / r, W / r), ...)``, sizes rounded up. Where a stage is of a larger group than
    the encoder's output, its maps are restricted to the group of the output.

    Args:
        encoder: whose stages these are to be.

    Attributes:
        reductions: how many times smaller than the image the maps of each level are.
        fields: what their channels mean.
        recompute: whether stages are recomputed in the backward pass.

    Raises:
        ValueError: if the encoder has maps of one size alone, or a stage declares no regular fields of a group that has
            the encoder's in it.
    """

    def __init__(self, encoder: StagedNetwork) -> None:
        super().__init__()
        reductions = [info["reduction"] for info in encoder.feature_info]
        last = {reduction: index for index, reduction in enumerate(reductions)}
        if len(last) < 2:
            raise ValueError(
                f"encoder must have stages of several sizes, which a decoder puts together; got a "
                f"{type(encoder).__name__} with {len(last)}. Use a ResNet, such as 'c4_resnet18s'."
            )
        fields = [field for index, field in enumerate(_stage_fields(encoder)) if index in last.values()]
        self.reductions = tuple(last)
        self.fields = tuple(Regular(encoder.group, field.channels // encoder.group.order) for field in fields)
        self.recompute = False
        self.stages = nn.Sequential(OrderedDict((name, getattr(encoder, name)) for name in encoder.stages))
        self.restrictions = nn.ModuleList(
            nn.Identity() if field.group == encoder.group else Restrict(field.group, encoder.group) for field in fields
        )
        self._kept = {index: level for level, index in enumerate(last.values())}

    def forward(self, images: Float[Tensor, "B C H W"]) -> tuple[Tensor, ...]:
        """The maps of every level, the finest first."""
        levels, maps = [], images
        for index, stage in enumerate(self.stages):
            keeps = not (self.recompute and self.training and torch.is_grad_enabled())
            maps = stage(maps) if keeps else recomputed(stage, maps)
            if index in self._kept:
                levels.append(self.restrictions[self._kept[index]](maps))
        return tuple(levels)


def _stage_fields(encoder: StagedNetwork) -> list[Regular]:
    """The fields of the maps of every stage.

    Raises:
        ValueError: if a stage declares none, or one that is not of regular fields.
    """
    if encoder.group.order == 1:  # nothing is claimed, whatever the layers are
        return [Regular(encoder.group, info["num_chs"]) for info in encoder.feature_info]
    field: Field = Scalars(encoder.in_chans)
    found = []
    for name in encoder.stages:
        field = output_field(getattr(encoder, name), field)
        whole = isinstance(field, Regular) and field.elements is None and field.group.contains(encoder.group)
        if not whole or not isinstance(field, Regular):
            raise ValueError(
                f"encoder must put out regular fields of a group that has {encoder.group} in it at every stage; got "
                f"{field} after the stage {name}. Use a network whose stages do."
            )
        found.append(field)
    return found


def encoder_for(
    encoder: str | StagedNetwork, encoder_args: Mapping[str, Any] | None, in_chans: int | None
) -> StagedNetwork:
    """The encoder of a dense network, for images of so many channels.

    Args:
        encoder: a network, whose weights stay, or the name of an architecture, for random ones.
        encoder_args: of an encoder that is named, further options.
        in_chans: channels of the images; None for those of the network, 3 of one that is named.

    Raises:
        TypeError: if the encoder is neither, or an option is of another type.
        ValueError: if there is no such architecture, it is too large, or an option breaks its rule.
    """
    check_arguments(encoder_for, {"encoder_args": encoder_args})
    if encoder is None:
        raise ValueError(
            "encoder must be a network, or a word that names one; got None, as of a class that is not registered, of "
            "which no file can be written. Put @register_backbone('...') in front of the class."
        )
    if isinstance(encoder, StagedNetwork):
        if encoder_args:
            raise ValueError(
                f"encoder_args are for an encoder that is named; got {shown(dict(encoder_args))} and a network. Drop "
                "them."
            )
        return encoder if in_chans in (None, encoder.in_chans) else with_channels(encoder, in_chans)
    if not isinstance(encoder, str):
        raise TypeError(
            f"encoder must be a network of this package, or the name of one; got {shown(encoder)}. Use, say, "
            "'c4_resnet18s'."
        )
    if "." in encoder:
        raise ValueError(
            f"encoder must name an architecture, whose weights are random, such as 'c4_resnet18s'; got "
            f"{shown(encoder)}. For pretrained ones pass encoder=eqmodels.load(...)."
        )
    channels = 3 if in_chans is None else check_count("in_chans", in_chans)
    options = {"num_classes": 0, "in_chans": channels, **(encoder_args or {})}
    # A file may have named it: nothing is imported for it, and its size is known before it is built.
    check_bounds(resolve(encoder, plugins=False)[0], options)
    return build_for_images(encoder, plugins=False, **options)
