"""The networks that are compared, of equal FLOPs: two U-Nets of this package, and one of others around a ResNet-18."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.segmentation.scenes import CLASSES, SIDE
from eqmodels import create_model

__all__ = ["NETWORKS", "OUTPUTS", "cost"]

OUTPUTS = len(CLASSES) + 1


def _ours(encoder: str) -> nn.Module:
    return create_model("unet", encoder=encoder, width=8, num_classes=OUTPUTS)


def _theirs() -> nn.Module:
    """The U-Net of segmentation_models_pytorch around timm's ResNet-18, both narrow enough to cost what ours do."""
    import segmentation_models_pytorch as smp

    network: nn.Module = smp.Unet(
        "tu-resnet18",
        encoder_weights=None,
        classes=OUTPUTS,
        channels=(30, 60, 120, 240),
        decoder_channels=(112, 56, 28, 14, 7),
    )
    return network


NETWORKS: Mapping[str, tuple[Callable[[], nn.Module], bool]] = {
    "C4 U-Net": (lambda: _ours("c4_resnet18_w32"), False),
    "D4 U-Net": (lambda: _ours("d4_resnet18_w32"), False),
    "smp U-Net": (_theirs, False),
    "smp U-Net, turned in training": (_theirs, True),
}
"""What builds each, with random weights, and whether it is trained on pictures turned by quarters and mirrored."""


def cost(network: nn.Module) -> dict[str, float]:
    """Multiplications and additions for one picture, in millions, and parameters, in millions."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, SIDE, SIDE))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"MFLOPs": counter.get_total_flops() / 1e6, "parameters": parameters / 1e6}
