"""Time of a training step (forward, backward, SGD with momentum) at 32 x 32.

One thread, and its processor time, which other programs on the machine change little. torchvision's ResNet has the
stem for small images that it is usually given there: 3x3, without a stride, and no pooling.

python -m benchmarks.speed.train_step [--rounds 7] [--batches 64 256] [--without-escnn]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from benchmarks.speed._harness import Row, Timings, compare
from eqmodels.backbones import create_model

TORCHVISION = "torchvision's resnet18"
CONTENDERS: dict[str, dict[str, object]] = {
    TORCHVISION: {},
    "c1_resnet18s": {},
    "resnet18s": {},
    "c4_resnet18s": {},
    "d4_resnet18s": {},
    "c4_resnet18s (escnn)": {"backend": "escnn"},
    "d4_resnet18s (escnn)": {"backend": "escnn"},
}
FINE_ANGLES: dict[str, dict[str, object]] = {
    "c1_resnet18s, 5x5": {"kernel_size": 5},
    "c8_resnet18s": {},
    "d8_resnet18s": {},
    "c8_resnet18s (escnn)": {"backend": "escnn"},
}
"""Networks of 5 x 5 kernels, compared with a plain network of such kernels."""


def small_resnet18() -> nn.Module:
    """torchvision's, with the stem of small images."""
    network: nn.Module = resnet18(num_classes=10)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


def built(label: str, options: dict[str, object]) -> nn.Module:
    """The contender of a label."""
    if label == TORCHVISION:
        return small_resnet18()
    return create_model(label.replace(",", " ").split()[0], num_classes=10, **options)


def training_step(model: nn.Module, images: Tensor, labels: Tensor, bf16: bool) -> Callable[[], None]:
    """One step of SGD on fixed data."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()

    return step


def measure(
    models: dict[str, nn.Module], reference: str, batch: int, bf16: bool, memory: str, rounds: int
) -> list[Row]:
    """All contenders in one setting."""
    channels_last = memory == "channels-last"
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=memory_format)
    labels = torch.randint(0, 10, (batch,))
    steps = {}
    for name, model in models.items():
        model.to(memory_format=memory_format)
        steps[name] = training_step(model.train(), images, labels, bf16)
    setting = f"batch {batch}, {'bf16' if bf16 else 'float32'}, {memory}"
    return compare(setting, steps, reference=reference, rounds=rounds, clock=time.process_time)


def main() -> None:
    """Runs the comparisons and writes their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--without-escnn", action="store_true")
    parser.add_argument("--kernels", choices=["3x3", "5x5", "both"], default="both")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    families = [("3x3", "train_step", CONTENDERS, arguments.batches)]
    families.append(("5x5", "train_step_5x5", FINE_ANGLES, arguments.batches[:1]))
    for kernels, file, contenders, batches in families:
        if arguments.kernels not in (kernels, "both"):
            continue
        models: dict[str, nn.Module] = {
            label: built(label, options)
            for label, options in contenders.items()
            if not (arguments.without_escnn and "backend" in options)
        }
        reference = next(iter(models))
        rows = [
            row
            for batch in batches
            for bf16 in (False, True)
            for memory in ("contiguous", "channels-last")
            for row in measure(models, reference, batch, bf16, memory, arguments.rounds)
        ]
        table = Timings.of(
            f"Training step of a ResNet-18 of width 64, 32 x 32, {kernels} kernels",
            unit="s of processor time",
            reference=reference,
            module="benchmarks.speed.train_step",
            rounds=arguments.rounds,
            rows=rows,
        )
        table.save(file)


if __name__ == "__main__":
    main()
