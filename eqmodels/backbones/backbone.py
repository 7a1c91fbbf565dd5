"""The base class of every backbone of this package, and of those that users write."""

from __future__ import annotations

from typing import Any

from eqmodels.backbones.hub_mixin import HubNetwork
from eqmodels.backbones.named import Noted
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.registry import build
from eqmodels.groups import PlanarGroup

__all__ = ["Backbone", "create_model"]

LATER = {"output_stride": 32}
"""Arguments that came after files had been written, and their defaults, of which no file says anything."""


class Backbone(Noted, HubNetwork):
    """An image encoder of stages, `global_pool` and `fc`, in this order, with files of its own.

    A subclass calls ``super().__init__(group, in_chans, num_classes)``, hands each stage to `add_stage`, and ends with
    `finish`. Its arguments must be plain values (words, numbers, lists, groups): they are noted in `structure`, so that
    a file can hold them. Registered by `register_backbone` it has names, and everything that takes a name builds it.

    Every child takes a tensor and returns a tensor, with nothing between them, so that
    ``nn.Sequential(*encoder.children())`` is the same network.

    Args:
        group: the group under which the output is equivariant (C1: none), or its name.
        in_chans: channels of the images.
        num_classes: outputs of `fc`; 0 if the features themselves are the output.

    Attributes:
        feature_info: channels, reduction and child of every stage, in order.
        grad_checkpointing: whether stages are recomputed in the backward pass.
        structure: the arguments that fix the layers, by name.
        usual: of `structure`, what arguments that were left out stand for, where that is not the signature's default.
        preprocessing: what images went through in training; None if nothing is known of it.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is too small, or the group is none.
    """

    def __init__(self, group: PlanarGroup | str, in_chans: int, num_classes: int) -> None:
        super().__init__(group, in_chans, num_classes)
        # The group that was given may not be the one of the output, if that is restricted along the depth.
        self.structure = {k: v for k, v in self.noted().items() if k not in LATER or v != LATER[k]}


def create_model(name: str, **options: Any) -> Backbone | Any:  # noqa: ANN401 (each class checks its own)
    """Builds a network by its name, with random weights: a `Backbone` of images, or a `PointBackbone` of points.

    Args:
        name: ``<group>_<architecture>[_<parts>][_w<width>]``, for instance ``"c4_resnet18s"``,
            ``"c4_resnet18_strided"`` or ``"d4_wide_resnet16_8_w64"``; without a group the standard network
            (torchvision's). The width counts dense channels of the first stage. Another distribution that announces
            the architecture is imported for it.
        **options: arguments of the class that is registered for it, `SteerableResNet`, `WideSteerableResNet` or
            `StandardResNet` for instance: `in_chans`, `num_classes`, `global_pool`, `basis`, ...; those of
            `regularise`: `drop_rate`, `drop_path_rate`, ...; and ``backend="escnn"`` for a ResNet built of escnn's
            modules.

    Raises:
        ValueError: if the name is unknown (the nearest ones are given) or an option breaks its rule.
        TypeError: if the name is no string, the network does not have such an option, or what is registered is no
            `Backbone`.
        ModuleNotFoundError: if ``backend="escnn"`` and escnn is not installed.

    Example:
        >>> model = create_model("c4_resnet18s_w16", num_classes=0, in_chans=1)
        >>> model.num_features, model.head_hidden_size, str(model.group)
        (128, 32, 'C4')
    """
    network = build(name, **options)
    if not isinstance(network, Backbone | PointBackbone):
        raise TypeError(
            f"what is registered under {name!r} must be a Backbone; got a {type(network).__name__}. Derive its class "
            "from eqmodels.Backbone, or wrap the network with as_encoder."
        )
    return network
