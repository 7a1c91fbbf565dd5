"""What it costs to plug an encoder in: a training step of other libraries on ours, and on a ResNet of the same width.

Those that only wrap a network (transformers, peft, a registry) are compared with the encoder itself.

python -m benchmarks.speed.consumers [--rounds 9] [--side 96] [--threads 2]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.speed._harness import THREADS, Row, Table, compare
from eqmodels import create_model
from eqmodels.hub import register_timm, register_transformers
from eqmodels.layers import SteerableConv2d

ENCODERS = {"resnet18": "resnet18", "C4": "c4_resnet18_w64", "D4": "d4_resnet18_w64"}
REFERENCE = "resnet18"
STAGES = {"layer1": "0", "layer2": "1", "layer3": "2", "layer4": "3"}
WIDTHS = [64, 128, 256, 512]


def step(network: Callable[[Tensor], Tensor], images: Tensor) -> Callable[[], None]:
    """A forward and a backward pass."""

    def run() -> None:
        network(images).square().mean().backward()

    return run


def segmenter(name: str) -> nn.Module:
    """The U-Net of segmentation_models_pytorch."""
    import segmentation_models_pytorch

    network: nn.Module = segmentation_models_pytorch.Unet(f"tu-{name}", encoder_weights=None, classes=4)
    return network


def detector_maps(name: str) -> Callable[[Tensor], Tensor]:
    """The pyramid that torchvision's detectors read: the sum of its coarsest maps."""
    from torchvision.models import get_model
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    body = get_model(name) if name == REFERENCE else create_model(name, num_classes=0)
    pyramid = BackboneWithFPN(body, STAGES, WIDTHS, 256)
    return lambda images: pyramid(images)["0"]


def transformed(encoder: nn.Module) -> Callable[[Tensor], Tensor]:
    """The same as a model of transformers."""
    classes = register_transformers()
    model = classes["EqmodelsModel"](classes["EqmodelsConfig"](architecture=ENCODERS["C4"]), encoder)
    return lambda images: model(images).pooler_output


def adapted(encoder: nn.Module) -> nn.Module:
    """The same with adapters of rank 8 on every convolution."""
    from peft import LoraConfig, get_peft_model

    weights = [f"{name}.weight" for name, layer in encoder.named_modules() if isinstance(layer, SteerableConv2d)]
    config = LoraConfig(r=8, target_modules=[], target_parameters=weights)
    model: nn.Module = get_peft_model(encoder, config)
    return model


def main() -> None:
    """Runs the comparisons and writes their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--threads", type=int, default=THREADS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    register_timm(list(ENCODERS.values())[1:])
    images = torch.randn(4, 3, arguments.side, arguments.side)
    rows: list[Row] = []
    consumers: dict[str, Callable[[str], Callable[[Tensor], Tensor]]] = {
        "Unet of segmentation_models_pytorch": segmenter,
        "FPN of torchvision": detector_maps,
    }
    for consumer, build in consumers.items():
        steps = {label: step(build(name), images) for label, name in ENCODERS.items()}
        rows += compare(consumer, steps, reference=REFERENCE, rounds=arguments.rounds)
    wrapped: dict[str, Callable[[nn.Module], Callable[[Tensor], Tensor]]] = {
        "encoder": lambda encoder: encoder,
        "transformers": transformed,
        "peft, rank 8": adapted,
    }
    steps = {label: step(wrap(create_model(ENCODERS["C4"], num_classes=0)), images) for label, wrap in wrapped.items()}
    rows += compare("C4 encoder alone", steps, reference="encoder", rounds=arguments.rounds)
    table = Table.of(
        f"A training step of other libraries on ResNet-18s of width 64, batch 4, {arguments.side} x {arguments.side}",
        unit="s",
        reference="resnet18 (below: the encoder)",
        module="benchmarks.speed.consumers",
        rounds=arguments.rounds,
        rows=rows,
    )
    table.save("consumers")


if __name__ == "__main__":
    main()
