"""Runs that would train to their end and not learn what they are asked: refused before they start."""

from __future__ import annotations

import math

from torch import nn

from eqmodels.backbones import Backbone, PointBackbone
from eqmodels.data import Source
from eqmodels.data.source import takes_of
from eqmodels.layers import FieldLayerNorm2d
from eqmodels.processes import World
from eqmodels.training.parts import OptimisationConfig

__all__ = ["check_batches", "check_norms", "check_source_kind", "check_statistics"]


def check_source_kind(name: str, takes: str, data: Source) -> None:
    """Refuses images for an encoder of points, and clouds for one of images.

    Args:
        name: of the encoder.
        takes: what it takes.
        data: what it is to be trained on.

    Raises:
        ValueError: if it is another thing.
    """
    if takes_of(data) != takes:
        example = "kicad_parts_mini" if takes == "points" else "fashion_mnist_mini"
        raise ValueError(
            f"model={name!r} takes {takes}; got {data.name}, which has {takes_of(data)}. Use data of {takes}, such as "
            f"{example}."
        )


def check_norms(name: str, model: nn.Module) -> None:
    """Refuses layer normalisation over the fibre of a single field.

    Where the image is flat, the channels of one field are equal, because the network is equivariant: what layer
    normalisation divides by is then ``sqrt(eps)``, and it multiplies rounding, and gradients, by 1000 from layer to
    layer. Measured on Fashion-MNIST with ``c4_resnet18s_w4``: a first gradient of norm 2e13 in bfloat16, and features
    in float32 that turn with the image only to 10%; no ``eps`` up to 1e-3 mends it, and two fields are exact to 5e-7.

    Raises:
        ValueError: if there is such a layer.
    """
    narrow = [module for module in model.modules() if isinstance(module, FieldLayerNorm2d) and module.fields == 1]
    if narrow:
        raise ValueError(
            f"norm='layer' needs at least 2 fields of {narrow[0].group} at every layer, as it blows rounding up where "
            f"an image is flat and the channels of a single field are equal; model={name!r} has a layer of 1 field. "
            "Use a name of twice the width (_w<width>), or norm='batch'."
        )


def check_batches(config: OptimisationConfig, data: Source, world: World) -> None:
    """Refuses a batch that does not divide over processes and parts, and fewer images than a batch.

    Raises:
        ValueError: if it is such.
    """
    parts = world.size * config.accumulate
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size must be a multiple of processes x accumulate, {world.size} x {config.accumulate}; got "
            f"{config.batch_size}. Pass batch_size={parts * max(config.batch_size // parts, 1)}."
        )
    if len(data) < config.batch_size:
        way_out = f"Pass batch_size={len(data) // parts * parts}" if len(data) >= parts else "Collect more"
        raise ValueError(
            f"a step needs batch_size={config.batch_size} images; {data.name} has {len(data)}. {way_out}, or use "
            "another data set."
        )


def check_statistics(
    name: str, backbone: Backbone | PointBackbone, data: Source, config: OptimisationConfig, world: World
) -> None:
    """Refuses batch normalisation of a single value of a field, which has no variance.

    Args:
        name: of the backbone.
        backbone: the network.
        data: the images.
        config: how a batch is cut.
        world: the processes that share it.

    Raises:
        ValueError: if there would be one.
    """
    if isinstance(backbone, PointBackbone):  # which has no batch normalisation
        return
    parts = world.size * config.accumulate
    # The last map is the smallest. A field has a value for every element of the group.
    reduction, (height, width) = backbone.feature_info[-1]["reduction"], data.size
    pixels = math.ceil(height / reduction) * math.ceil(width / reduction)
    values = config.batch_size // parts * pixels * backbone.group.order
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    if values == 1 and normalised and not world.shares_statistics:
        raise ValueError(
            f"batch normalisation needs more than one value of a channel; model={name!r} makes one pixel of "
            f"{height}x{width}, and batch_size={config.batch_size} is one image at a time of processes x accumulate, "
            f"{world.size} x {config.accumulate}. Pass batch_size={2 * parts}, or larger images."
        )
