"""What a benchmark left in a folder, without the networks and the images that it was made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from eqmodels.arguments import check_arguments
from eqmodels.bench.plan import BenchCell, BenchPlan, Kind
from eqmodels.bench.results import FILES, BenchResults
from eqmodels.bench.running import Found, found_of
from eqmodels.bench.suites import Suite
from eqmodels.errors import shown
from eqmodels.storage import LARGEST, StorageError, read_regular, reason_of

__all__ = ["read_lines"]

LINES = FILES[0]
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
    found: dict[str, tuple[str, dict[str, Any], BenchCell, Found]] = {}
    for file, line in _lines(place):
        content, cell, result = _read(file, line)
        found.setdefault(cell.name, (line, content, cell, result))
    if not found:
        raise FileNotFoundError(
            f"folder must be one that eqmodels bench wrote; {shown(str(place))} has neither {LINES} nor cells. "
            "Write one: eqmodels bench --out FOLDER."
        )
    kept = _counting(found.values())
    cells = tuple(cell for _, _, cell, _ in kept)
    suite = Suite((), _numbers(kept, "seed"), None, None, _labels(kept), _numbers(kept, "batch"), 0, {})
    plan = BenchPlan(suite, cells, {}, None, None)
    return BenchResults(plan, {cell: one for _, _, cell, one in kept}, tuple(line for line, *_ in kept))


Kept = tuple[str, dict[str, Any], BenchCell, Found]
"""A line, what it says, its cell, and what was measured there."""


def _lines(folder: Path) -> Iterator[tuple[Path, str]]:
    """The text of every cell, with the file that it is from, for a sentence about it."""
    together = folder / LINES
    files = [*([together] if together.is_file() else []), *sorted(folder.glob(CELLS))]
    for file in files:
        try:
            text = read_regular(file, LARGEST).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{file} cannot be read ({reason_of(error)}). Delete it, and measure again.") from error
        for line in text.splitlines():
            if line.strip():
                yield file, line


def _read(file: Path, line: str) -> tuple[dict[str, Any], BenchCell, Found]:
    try:
        content = json.loads(line)
        settings, kind = content["settings"], content["settings"]["kind"]
        if kind not in get_args(Kind):
            raise ValueError(f"no kind of cells is called {shown(kind)}")
        label = str(content["name"]).partition("/")[2].rpartition(".")[0]
        seed = int(settings.get("seed", content["origin"]["seed"]))
        cell = BenchCell(kind, label, seed, json.dumps(settings, sort_keys=True))
        return content, cell, found_of(kind, content["values"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{file} holds a line that is no result of this version ({type(error).__name__}: {reason_of(error)}). "
            "Delete it, and measure again: eqmodels bench."
        ) from error


def _counting(found: Iterable[Kept]) -> list[Kept]:
    """The cells that count, in their order: of each network and images those of one way of measuring."""
    everything = list(found)
    best: dict[tuple[str, ...], tuple[int, int, str]] = {}
    for one in everything:
        about = _about(one)
        best[about] = max(best.get(about, (0, 0, "")), _weight(one))
    way_of = {_about(one): _way(one) for one in everything if _weight(one) == best[_about(one)]}
    return [one for one in everything if one[2].kind == TIMED or _way(one) == way_of[_about(one)]]


def _about(one: Kept) -> tuple[str, ...]:
    """What a cell says something of: a network, images if it needs them, and how many of them it learned from."""
    settings = one[1]["settings"]
    asked = (str(settings.get(name, "")) for name in ("data", "fraction", "augmented"))
    return one[2].kind, str(settings.get("model", one[2].name)), *asked


def _weight(one: Kept) -> tuple[int, int, str]:
    settings = one[1]["settings"]
    return int(settings.get("train", 0)), int(settings.get("test", 0)), str(one[1]["origin"].get("date", ""))


def _way(one: Kept) -> str:
    """All settings but the seed: cells that differ in it alone are averaged."""
    return json.dumps({name: value for name, value in one[1]["settings"].items() if name != "seed"}, sort_keys=True)


def _numbers(kept: Iterable[Kept], name: str) -> tuple[int, ...]:
    return tuple(sorted({one[1]["settings"][name] for one in kept if name in one[1]["settings"]}))


def _labels(kept: Iterable[Kept]) -> tuple[int, ...]:
    """The numbers of few labels that every network was asked with, as the tables have a column of each."""
    asked = [set(one[1]["settings"]["labels"]) for one in kept if one[2].kind == "quality"]
    return tuple(sorted(set.intersection(*asked))) if asked else ()
