"""Builds and runs equivision's c4resnet18 in escnn and here: ``python -m benchmarks.imports.timing``.

Writes ``benchmarks/results/imports.md``. Both in one process, on one thread, by turns; ratios are what counts, of
passes the median over rounds with its quartiles. escnn keeps the bases that it computed, so builds are timed once.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.imports.reference import Reference
from eqmodels.backbones import SteerableResNet, from_equivision
from eqmodels.experiments import interleaved, summarise
from eqmodels.export import to_plain

RESULT = Path(__file__).parents[1] / "results" / "imports.md"
FIELDS, CLASSES, SIDE = 39, 1000, 225


def seconds(function: Callable[[], object]) -> float:
    """Processor time of a call, which other processes on the machine do not lengthen much."""
    start = time.process_time()
    function()
    return time.process_time() - start


def drawn(reference: Reference) -> dict[str, Tensor]:
    """The file that escnn would save of the network in train mode, with random weights."""
    convs: list[Any] = [module for module in reference.modules() if hasattr(module, "basisexpansion")]
    for conv in convs:
        torch.nn.init.normal_(conv.weights, std=(2 / conv.in_type.size / conv.kernel_size) ** 0.5)
    state: dict[str, Tensor] = reference.train().state_dict()
    return state


def passes(networks: Mapping[str, torch.nn.Module], images: Tensor, rounds: int) -> list[str]:
    """A line of the table for each network but escnn's: its pass beside escnn's."""
    contenders = {name: partial(network, images) for name, network in networks.items()}
    times = interleaved(contenders, rounds=rounds, clock=time.process_time)
    lines = []
    for name in times:
        if name != "escnn":
            # How many times as long escnn takes: the quotient within each round.
            found = summarise(times, reference=name)
            theirs, low, high = found["escnn"], *found["escnn"].ratio_quartiles
            lines.append(
                f"| a pass of {len(images)} images, {name} | {theirs.median:.2f} s | {found[name].median:.2f} s | "
                f"{theirs.ratio:.2f} ({low:.2f} .. {high:.2f}) |"
            )
    return lines


@torch.no_grad()
def main() -> None:
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of passes (default: 15)")
    rounds: int = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    start = time.process_time()
    reference = Reference("resnet18", "c4", FIELDS, CLASSES).eval()
    escnn_build = time.process_time() - start
    state = drawn(reference)
    convert = seconds(lambda: from_equivision(state))
    build = seconds(lambda: SteerableResNet("resnet18", "c4", width=4 * FIELDS, downsampling="stride", kernel_size=3))
    ours = from_equivision(state)[0].eval()
    reference.eval()
    plain = to_plain(ours, size=SIDE, fold_batch_norm=True)
    images = torch.randn(2, 3, SIDE, SIDE)
    networks: dict[str, torch.nn.Module] = {"escnn": reference, "here": ours, "here, exported (`to_plain`)": plain}
    difference = float((ours(images) - reference(images)).abs().max())
    files = {"escnn": state, "here": ours.state_dict()}
    sizes = {name: sum(value.nbytes for value in held.values()) for name, held in files.items()}
    rows = [
        "| c4resnet18 of equivision, 225 pixels | escnn 1.0.11 | here | escnn / here |",
        "|---|---|---|---|",
        f"| build (without drawing weights there) | {escnn_build:.1f} s | {build:.2f} s | {escnn_build / build:.0f} |",
        f"| import a checkpoint, built included | | {convert:.1f} s | {escnn_build / convert:.1f} |",
        *passes(networks, images, rounds),
        f"| tensors of the state dict | {sizes['escnn'] / 1e6:.0f} MB | {sizes['here'] / 1e6:.0f} MB | "
        f"{sizes['escnn'] / sizes['here']:.2f} |",
    ]
    machine = f"{platform.machine()}, PyTorch {torch.__version__.partition('+')[0]}"
    head = (
        f"`python -m benchmarks.imports.timing`, one thread of a shared machine ({machine}), processor time: only the "
        f"ratios within this run mean anything. Builds and the import once; of passes the medians of {rounds} "
        "interleaved rounds, the ratio with quartiles. Random weights; the largest difference of a score: "
        f"{difference:.1e}."
    )
    RESULT.write_text("# Imported networks beside escnn's own\n\n" + head + "\n\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
