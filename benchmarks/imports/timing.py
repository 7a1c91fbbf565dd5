"""Builds and runs equivision's c4resnet18 in escnn and here: ``python -m benchmarks.imports.timing``.

Writes ``benchmarks/results/imports.md``. Both in one process, on one thread, by turns; ratios are what counts.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.imports.reference import Reference
from eqmodels.backbones import SteerableResNet, from_equivision
from eqmodels.export import to_plain

RESULT = Path(__file__).parents[1] / "results" / "imports.md"
FIELDS, CLASSES, SIDE = 39, 1000, 225


def seconds(function: Callable[[], object]) -> float:
    """Processor time of a call, which other processes on the machine do not lengthen much."""
    start = time.process_time()
    function()
    return time.process_time() - start


@torch.no_grad()
def main() -> None:
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=5, help="passes of each, of which the median counts (default: 5)"
    )
    repeats: int = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.process_time()
    reference = Reference("resnet18", "c4", FIELDS, CLASSES).eval()
    escnn_build = time.process_time() - start
    convs: list[Any] = [module for module in reference.modules() if hasattr(module, "basisexpansion")]
    for conv in convs:
        torch.nn.init.normal_(conv.weights, std=(2 / conv.in_type.size / conv.kernel_size) ** 0.5)
    state = reference.train().state_dict()
    convert = seconds(lambda: from_equivision(state))
    build = seconds(lambda: SteerableResNet("resnet18", "c4", width=4 * FIELDS, downsampling="stride", kernel_size=3))
    ours = from_equivision(state)[0].eval()
    reference.eval()
    plain = to_plain(ours, size=SIDE, fold_batch_norm=True)
    images = torch.randn(2, 3, SIDE, SIDE)
    networks: dict[str, torch.nn.Module] = {"escnn": reference, "here": ours, "here, exported (`to_plain`)": plain}
    difference = float((ours(images) - reference(images)).abs().max())
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(repeats):
        for name, network in networks.items():
            times[name].append(seconds(partial(network, images)))
    passes = {name: median(found) for name, found in times.items()}
    files = {"escnn": state, "here": ours.state_dict()}
    sizes = {name: sum(value.nbytes for value in held.values()) for name, held in files.items()}
    rows = [
        "| c4resnet18 of equivision, 225 pixels | escnn 1.0.11 | here | ratio |",
        "|---|---|---|---|",
        f"| build (without drawing weights there) | {escnn_build:.1f} s | {build:.2f} s | {escnn_build / build:.0f} |",
        f"| import a checkpoint, built included | | {convert:.1f} s | {escnn_build / convert:.1f} |",
        *(
            f"| a pass of 2 images, {name} | {passes['escnn']:.2f} s | {found:.2f} s | {passes['escnn'] / found:.2f} |"
            for name, found in passes.items()
            if name != "escnn"
        ),
        f"| tensors of the state dict | {sizes['escnn'] / 1e6:.0f} MB | {sizes['here'] / 1e6:.0f} MB | "
        f"{sizes['escnn'] / sizes['here']:.2f} |",
    ]
    machine = f"{platform.machine()}, PyTorch {torch.__version__.partition('+')[0]}"
    head = (
        f"`python -m benchmarks.imports.timing`, one thread of a shared machine ({machine}), processor time: only the "
        f"ratios within this run mean anything. Random weights; the largest difference of a score: {difference:.1e}."
    )
    RESULT.write_text("# Imported networks beside escnn's own\n\n" + head + "\n\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
