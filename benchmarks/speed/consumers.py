"""What it costs to plug an encoder in: a training step of other libraries on ours, and on a ResNet of the same width.

Those that only build, wrap or adapt a network (timm, lightly, transformers, peft, equiadapt) are compared with the
encoder itself. With ``--processor``, the time of the processor is taken, not that of the clock: of a machine that has
other work to do.

python -m benchmarks.speed.consumers [--rounds 9] [--side 96] [--threads 2] [--processor]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.speed._harness import THREADS, Row, Timings, compare
from eqmodels import create_model
from eqmodels.backbones import as_equiadapt
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


def of_timm(_: nn.Module) -> nn.Module:
    """The network that timm builds by the same name."""
    import timm

    network: nn.Module = timm.create_model(ENCODERS["C4"], num_classes=0)
    return network


def of_lightly(encoder: nn.Module) -> nn.Module:
    """The children but for the last, as lightly's examples take them."""
    return nn.Sequential(*list(encoder.children())[:-1], nn.Flatten())


def of_accelerate(encoder: nn.Module) -> nn.Module:
    """The same as accelerate prepares it for a training on one processor."""
    from accelerate import Accelerator

    network: nn.Module = Accelerator(cpu=True).prepare(encoder)
    return network


def of_lightning(encoder: nn.Module) -> Callable[[Tensor], Tensor]:
    """The same as lightning's Fabric sets it up, which its Trainer stands on."""
    from lightning.fabric import Fabric

    network: Callable[[Tensor], Tensor] = Fabric(accelerator="cpu", devices=1).setup_module(encoder)
    return network


def turned_upright(encoder: nn.Module, side: int) -> Callable[[Tensor], Tensor]:
    """The same behind equiadapt, which turns images by the pose that another such network predicts."""
    from equiadapt.images import GroupEquivariantImageCanonicalization
    from omegaconf import DictConfig

    pose = create_model(ENCODERS["C4"], num_classes=0, global_pool="canonical-soft", pose_hidden=64)
    options = DictConfig({"input_crop_ratio": 1.0, "resize_shape": (side, side), "beta": 1.0})
    upright = GroupEquivariantImageCanonicalization(as_equiadapt(pose), options, (3, side, side))
    return lambda images: encoder(upright(images))


def main() -> None:
    """Runs the comparisons and writes their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--processor", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    register_timm(list(ENCODERS.values())[1:])
    clock = time.process_time if arguments.processor else time.perf_counter
    images = torch.randn(4, 3, arguments.side, arguments.side)
    rows: list[Row] = []
    consumers: dict[str, Callable[[str], Callable[[Tensor], Tensor]]] = {
        "Unet of segmentation_models_pytorch": segmenter,
        "FPN of torchvision": detector_maps,
    }
    for consumer, build in consumers.items():
        steps = {label: step(build(name), images) for label, name in ENCODERS.items()}
        rows += compare(consumer, steps, reference=REFERENCE, rounds=arguments.rounds, clock=clock)
    wrapped: dict[str, Callable[[nn.Module], Callable[[Tensor], Tensor]]] = {
        "encoder": lambda encoder: encoder,
        "timm": of_timm,
        "lightly": of_lightly,
        "lightning": of_lightning,
        "accelerate": of_accelerate,
        "transformers": transformed,
        "peft, rank 8": adapted,
        "equiadapt": lambda encoder: turned_upright(encoder, arguments.side),
    }
    steps = {label: step(wrap(create_model(ENCODERS["C4"], num_classes=0)), images) for label, wrap in wrapped.items()}
    rows += compare("C4 encoder alone", steps, reference="encoder", rounds=arguments.rounds, clock=clock)
    table = Timings.of(
        f"A training step of other libraries on ResNet-18s of width 64, batch 4, {arguments.side} x {arguments.side}",
        unit="s of the processor" if arguments.processor else "s",
        reference="resnet18 (below: the encoder)",
        module="benchmarks.speed.consumers",
        rounds=arguments.rounds,
        rows=rows,
    )
    table.save("consumers")


if __name__ == "__main__":
    main()
