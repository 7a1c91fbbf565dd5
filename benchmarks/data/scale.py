"""Writes the tables of docs/scale.md from the committed throughputs: python -m benchmarks.data.scale."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._sections import write_section
from benchmarks.data.throughput import DATA_RESULTS, MODEL, SIDE, STEP
from benchmarks.speed._harness import rows_of
from eqmodels import create_model
from eqmodels.reports import Table, percent

__all__ = ["ASSUMPTIONS", "SCALE", "Assumptions", "section"]

SCALE = Path(__file__).parents[2] / "docs" / "scale.md"
RUNS = {10**5: 100, 10**7: 30, 10**9: 1}
"""Images, and the epochs that they are trained for: the fewer the more there are."""


@dataclass(frozen=True)
class Assumptions:
    """What was not measured here.

    Attributes:
        file_bytes: of an image as it is collected: a JPEG file of 256 pixels.
        peak: floating-point operations a second that a GPU can do, of an A100 in bfloat16 (its data sheet).
        used: share of them that a training does.
        passes: of forward and backward together, in forward passes.
        together: share of their speed that 8 GPUs of one node keep, waiting for each other.
        apart: the same of the GPUs of several nodes.
        nodes: how many.
    """

    file_bytes: float = 25e3
    peak: float = 312e12
    used: float = 0.05
    passes: float = 3.0
    together: float = 0.9
    apart: float = 0.8
    nodes: int = 4

    def words(self) -> str:
        """All of them, as a list."""
        rows = [
            f"an image as a file: {self.file_bytes / 1e3:.0f} kB",
            f"a GPU: {self.peak / 1e12:.0f} TFLOP/s in bfloat16, of which a training does "
            f"{percent(self.used, digits=0)}%",
            f"a step: {self.passes:g} times the operations of a forward pass",
            f"8 GPUs of a node keep {percent(self.together, digits=0)}% of their speed, those of {self.nodes} nodes "
            f"{percent(self.apart, digits=0)}%",
            "epochs: " + ", ".join(f"{epochs} of {_count(number)} images" for number, epochs in RUNS.items()),
        ]
        return "\n".join(f"- {row}" for row in rows)


ASSUMPTIONS = Assumptions()


def operations() -> float:
    """Floating-point operations of a forward pass of one image."""
    network = create_model(MODEL, in_chans=3).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 3, SIDE, SIDE))
    return float(counter.get_total_flops())


def rates(assumed: Assumptions = ASSUMPTIONS) -> dict[str, float]:
    """Images a second of a training, by what it runs on."""
    measured = rows_of("throughput", DATA_RESULTS)["images", STEP].median
    one = assumed.peak * assumed.used / (assumed.passes * operations())
    return {
        "1 CPU (measured)": measured,
        "1 GPU": one,
        "8 GPUs": 8 * one * assumed.together,
        f"{assumed.nodes} nodes of 8 GPUs": 8 * assumed.nodes * one * assumed.apart,
    }


def section(assumed: Assumptions = ASSUMPTIONS) -> str:
    """What stands between the marks."""
    stages = rows_of("throughput", DATA_RESULTS)
    decoding = stages["images", "reading, decoded by 1 process"].median
    cached = 4 * 3 * SIDE**2
    storage = [
        [
            _count(number),
            _bytes(number * assumed.file_bytes),
            _bytes(number * cached),
            _bytes(number * cached / 4),
            _bytes(8 * number),
        ]
        for number in RUNS
    ]
    time = [
        [
            _count(number),
            machine,
            f"{rate:,.0f}",
            _duration(number * epochs / rate),
            f"{_bytes(rate * cached)}/s",
            f"{_bytes(rate * assumed.file_bytes)}/s",
            f"{rate / decoding:,.1f}",
        ]
        for number, epochs in RUNS.items()
        for machine, rate in rates(assumed).items()
    ]
    document = json.loads((DATA_RESULTS / "throughput.json").read_text())
    return "\n\n".join(
        [
            f"Measured on {document['machine']} (`{document['command']}`): a step of `{MODEL}` on images of "
            f"{SIDE} x {SIDE} pixels does {stages['images', STEP].median:,.0f} images/s, one process decodes "
            f"{decoding:,.0f} images/s, and {stages['images', 'reading, from the cache'].median:,.0f} images/s are "
            f"read from a cache. A forward pass of an image takes {operations() / 1e9:.2f} GFLOP. Assumed:",
            assumed.words(),
            Table(["images", "files", "cache, float32", "cache, bytes", "labels in memory"], storage).markdown(
                as_it_is=True
            ),
            Table(
                ["images", "on", "images/s", "time", "read from a cache", "or from files", "decoded by processes"], time
            ).markdown(as_it_is=True),
        ]
    )


def _count(number: int) -> str:
    return f"10^{len(str(number)) - 1}"


def _bytes(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number / 1e3:,.0f} kB"


def _duration(seconds: float) -> str:
    for unit, size in (("years", 365.25 * 86400), ("days", 2 * 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / (86400 if unit == 'days' else size):,.1f} {unit}"
    return f"{seconds / 60:,.1f} min"


def main() -> None:
    """Replaces the section in place."""
    write_section(SCALE, "scale", section())


if __name__ == "__main__":
    main()
