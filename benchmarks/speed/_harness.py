"""What scripts that time write down: interleaved rounds, with the command and the machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
from tqdm import tqdm

from eqmodels import experiments
from eqmodels.experiments import command_line, interleaved, processor
from eqmodels.reports import Table

__all__ = ["RESULTS", "Row", "Timings", "compare", "rows_of", "summarise", "timed"]

RESULTS = Path(__file__).parents[1] / "results" / "speed"
THREADS = 2
"""Of the scripts that do not say otherwise."""


@dataclass(frozen=True)
class Row:
    """One contender in one setting: seconds (or the unit of the table) over the rounds, and its ratio to the reference.

    The ratio is the median over rounds of the quotient within a round, with its quartiles; these are None in tables
    that were written before they were noted.
    """

    setting: str
    contender: str
    median: float
    minimum: float
    maximum: float
    ratio: float | None
    ratio_quartiles: tuple[float, float] | None = None

    def ratio_in_words(self) -> str:
        """Such as ``1.24 (1.10 .. 1.31)``; empty without a ratio."""
        if self.ratio is None or self.ratio_quartiles is None:
            return "" if self.ratio is None else f"{self.ratio:.2f}"
        return "{:.2f} ({:.2f} .. {:.2f})".format(self.ratio, *self.ratio_quartiles)


@dataclass(frozen=True)
class Timings:
    """What a script measured, and what is needed to measure it again."""

    title: str
    unit: str
    reference: str
    command: str
    machine: str
    rounds: int
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, title: str, *, unit: str, reference: str, module: str, rounds: int, rows: Sequence[Row]) -> Timings:
        """The table of this run: adds the command and the machine."""
        return cls(title, unit, reference, command_line(module), _machine(), rounds, tuple(rows))

    def save(self, name: str, folder: Path | None = None) -> None:
        """Writes ``<name>.json`` and ``<name>.md`` to a folder, by default `RESULTS`, and prints the latter."""
        folder = folder or RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        (folder / f"{name}.md").write_text(self.markdown())
        print(self.markdown())

    def markdown(self) -> str:
        """The table as a document."""
        head = [
            f"# {self.title}",
            "",
            f"`{self.command}`, {self.machine}; {self.rounds} interleaved rounds; median (minimum .. maximum) in "
            f"{self.unit}; the ratio is the median over rounds of the quotient with {self.reference}.",
        ]
        body = [
            [
                row.setting,
                row.contender,
                f"{row.median:.3g} ({row.minimum:.3g} .. {row.maximum:.3g})",
                row.ratio_in_words(),
            ]
            for row in self.rows
        ]
        table = Table(["setting", "contender", self.unit, "ratio (quartiles)"], body).markdown(as_it_is=True)
        return "\n".join([*head, "", table, ""])


def rows_of(table: str, folder: Path | None = None) -> dict[tuple[str, str], Row]:
    """The rows of a saved table by setting and contender."""
    rows = [Row(**row) for row in json.loads(((folder or RESULTS) / f"{table}.json").read_text())["rows"]]
    return {(row.setting, row.contender): row for row in rows}


def compare(
    setting: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    reference: str,
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Row]:
    """Times every contender once a round, in an order that rotates, after `warmup` rounds that do not count."""
    seconds = timed(setting, contenders, rounds=rounds, warmup=warmup, clock=clock)
    return summarise(setting, seconds, reference=reference)


def timed(
    setting: str,
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """The seconds of every contender, round by round; see `compare`."""
    with tqdm(total=warmup + rounds, desc=setting, leave=False) as bar:
        return interleaved(contenders, rounds=rounds, warmup=warmup, clock=clock, each_round=lambda _: bar.update())


def summarise(setting: str, values: Mapping[str, Sequence[float]], *, reference: str) -> list[Row]:
    """Medians, ranges and ratios of values that were measured round by round."""
    found = experiments.summarise(values, reference=reference)
    return [Row(setting, name, **asdict(timing)) for name, timing in found.items()]


def _machine() -> str:
    threads = torch.get_num_threads()
    version = torch.__version__.partition("+")[0]
    return f"{processor()}, {threads} thread{'s' * (threads > 1)}, PyTorch {version}, {date.today().isoformat()}"
