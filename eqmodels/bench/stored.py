"""Results as they are stored: a line each, in a folder of its own and with all others in one file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from eqmodels.bench.cells import BenchCell, Kind
from eqmodels.bench.running import Found, found_of
from eqmodels.errors import shown
from eqmodels.storage import LARGEST, StorageError, read_regular, reason_of

__all__ = ["LINES", "Kept", "counting", "stored"]

LINES = "results.jsonl"
CELLS = "*/*/result.json"
TIMED = "throughput"

Kept = tuple[str, dict[str, Any], BenchCell, Found]
"""A line, what it says, its cell, and what was measured there."""


def stored(folder: Path) -> list[Kept]:
    """All results in a folder, of its lines and of cells without a line, each once.

    Raises:
        StorageError: if a file cannot be read.
    """
    found: dict[str, Kept] = {}
    for file, line in _lines(folder):
        content, cell, result = _read(file, line)
        found.setdefault(cell.name, (line, content, cell, result))
    return list(found.values())


def counting(found: Iterable[Kept]) -> list[Kept]:
    """The cells that count, in their order: of each network and images those of one way of measuring."""
    everything = list(found)
    best: dict[tuple[str, ...], tuple[int, int, str]] = {}
    for one in everything:
        about = _about(one)
        best[about] = max(best.get(about, (0, 0, "")), _weight(one))
    way_of = {_about(one): _way(one) for one in everything if _weight(one) == best[_about(one)]}
    return [one for one in everything if one[2].kind == TIMED or _way(one) == way_of[_about(one)]]


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


def _about(one: Kept) -> tuple[str, ...]:
    """What a cell says something of: a network, images if it needs them, and how it learned from how many of them."""
    settings = one[1]["settings"]
    asked = (str(settings.get(name, "")) for name in ("data", "fraction", "augmented", "how"))
    return one[2].kind, str(settings.get("model", one[2].name)), *asked


def _weight(one: Kept) -> tuple[int, int, str]:
    settings = one[1]["settings"]
    return int(settings.get("train", 0)), int(settings.get("test", 0)), str(one[1]["origin"].get("date", ""))


def _way(one: Kept) -> str:
    """All settings but the seed: cells that differ in it alone are averaged."""
    return json.dumps({name: value for name, value in one[1]["settings"].items() if name != "seed"}, sort_keys=True)
