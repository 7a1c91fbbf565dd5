"""Time of a forward pass in eval mode at 32 x 32, of networks as they are and as exported to stock layers.

escnn is not among them: its layers, as they are used here, expand their filters at every call so that averaged and
loaded weights count, which its own eval mode avoids by storing them; exported, its networks are the same as ours.

python -m benchmarks.speed.inference [--rounds 15] [--batches 1 64]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.speed._harness import THREADS, Row, Timings, compare
from eqmodels import create_model
from eqmodels.export import to_plain


def forward(model: nn.Module, images: Tensor, bf16: bool) -> Callable[[], None]:
    """One forward pass without gradients."""

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            model(images)

    return run


def contenders(names: list[str], folded: bool) -> dict[str, nn.Module]:
    """Every network as it is or exported."""
    models: dict[str, nn.Module] = {}
    for name in names:
        model = create_model(name, num_classes=10).eval()
        models[f"{name}, exported" if folded else name] = (
            to_plain(model, size=32, fold_batch_norm=True) if folded else model
        )
    return models


def main() -> None:
    """Runs the comparisons and writes their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    names = ["c1_resnet18s", "resnet18s", "c4_resnet18s", "d4_resnet18s"]
    for folded, file in ((False, "inference"), (True, "inference_exported")):
        models = contenders(names, folded)
        reference = next(iter(models))
        rows: list[Row] = []
        for batch in arguments.batches:
            for bf16 in (False, True):
                for memory, memory_format in (
                    ("contiguous", torch.contiguous_format),
                    ("channels-last", torch.channels_last),
                ):
                    images = torch.randn(batch, 3, 32, 32).contiguous(memory_format=memory_format)
                    passes = {}
                    for label, model in models.items():
                        model.to(memory_format=memory_format)
                        passes[label] = forward(model, images, bf16)
                    setting = f"batch {batch}, {'bf16' if bf16 else 'float32'}, {memory}"
                    rows += compare(setting, passes, reference=reference, rounds=arguments.rounds, warmup=2)
        kind = "exported with batch-norm folded" if folded else "as they are"
        table = Timings.of(
            f"Inference of ResNet-18s of width 64, 32 x 32, {kind}",
            unit="s",
            reference=reference,
            module="benchmarks.speed.inference",
            rounds=arguments.rounds,
            rows=rows,
        )
        table.save(file)


if __name__ == "__main__":
    main()
