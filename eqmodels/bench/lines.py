"""What a benchmark left in a folder, without the networks and the images that it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from eqmodels.arguments import check_arguments
from eqmodels.bench.plan import BenchPlan
from eqmodels.bench.results import BenchResults
from eqmodels.bench.stored import LINES, Kept, counting, stored
from eqmodels.bench.suites import Suite
from eqmodels.errors import shown

__all__ = ["read_lines"]


CELLS = "*/*/result.json"
TIMED = "throughput"


def read_lines(folder: str | Path) -> BenchResults:
    """All that was measured into a folder, whatever the plans were: of its lines, and of cells without a line.

    Of a network that was measured on the same images in several ways (a suite's own numbers of images, weights that
    have changed since) the way with the most training and test images counts, of equal ones the last. The plan of what
    is returned has cells and no encoders: nothing can be measured by it.

    Args:
        folder: that ``eqmodels bench --out`` wrote, or a part of it: ``results.jsonl`` alone is enough.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if nothing is there that a benchmark wrote.
        StorageError: if a file cannot be read.
    """
    check_arguments(read_lines, locals())
    place = Path(folder)
    found = stored(place)
    if not found:
        raise FileNotFoundError(
            f"folder must be one that eqmodels bench wrote; {shown(str(place))} has neither {LINES} nor cells. "
            "Write one: eqmodels bench --out FOLDER."
        )
    kept = counting(found)
    cells = tuple(cell for _, _, cell, _ in kept)
    suite = Suite((), _numbers(kept, "seed"), None, None, _labels(kept), _numbers(kept, "batch"), 0, {})
    plan = BenchPlan(suite, cells, {}, None, None)
    return BenchResults(plan, {cell: one for _, _, cell, one in kept}, tuple(line for line, *_ in kept))


def _numbers(kept: Iterable[Kept], name: str) -> tuple[int, ...]:
    return tuple(sorted({one[1]["settings"][name] for one in kept if name in one[1]["settings"]}))


def _labels(kept: Iterable[Kept]) -> tuple[int, ...]:
    """The numbers of few labels that every network was asked with, as the tables have a column of each."""
    asked = [set(one[1]["settings"]["labels"]) for one in kept if one[2].kind == "quality"]
    return tuple(sorted(set.intersection(*asked))) if asked else ()
