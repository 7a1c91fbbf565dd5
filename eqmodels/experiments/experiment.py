"""Cells that are measured once each, whatever stops them in between; a cell's result is one line of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from eqmodels.experiments.origin import Origin
from eqmodels.experiments.progress import Progress
from eqmodels.processes import World
from eqmodels.storage import LARGEST, StorageError, claimed_folder, prepare_folder, read_regular, write_atomically
from eqmodels.torchrun import by_itself

__all__ = ["Cell", "Experiment"]

ORIGIN = "origin"
"""The place of the `Origin` in a line."""
WORLD = World()


@runtime_checkable
class Cell(Protocol):
    """What is measured once."""

    @property
    def name(self) -> str:
        """Its own, also its folder within that of the experiment."""

    @property
    def seed(self) -> int:
        """Of what is random in it."""


C = TypeVar("C", bound=Cell)
R = TypeVar("R")
Report = Callable[[str], None]
"""Called with a word on what is done of a cell."""


@dataclass(frozen=True)
class Experiment(Generic[C, R]):
    """A plan and the folder of what was measured of it: a file a cell, which is one line of JSON.

    A cell's file is written whole, once the cell is done. So whatever stops the plan, at most the cells at work are
    lost, one a process; what is done is not done again, whoever did it.

    Attributes:
        folder: of all results.
        cells: in the order in which they are measured; each name once.
        read: from a cell and the content of its file, without the origin, to its result; raises a `StorageError` if
            it is of another plan, and anything else if it is no result.
        file: the name of a cell's file.
        option: of the command line, that names another folder.
        expected: seconds that a cell may take, for the estimate of the time that is left; None if nobody knows: then
            all are taken for alike, once one is done.
        alone: whether a cell is measured while no other is, as whatever is timed must be.
    """

    folder: Path
    cells: Sequence[C]
    read: Callable[[C, Mapping[str, Any]], R]
    file: str = "result.json"
    option: str = "--folder"
    expected: Callable[[C], float] | None = None
    alone: Callable[[C], bool] = lambda _: False

    def place(self, cell: C) -> Path:
        """The file of a cell."""
        return self.folder / cell.name / self.file

    def result(self, cell: C) -> R | None:
        """What was measured in a cell; None if it is not done.

        Raises:
            StorageError: if its file cannot be read, or is of another plan.
        """
        found = self._content(cell)
        return None if found is None else self._read(cell, found)

    def origin(self, cell: C) -> Origin | None:
        """Where a cell's result comes from; None if it is not done, or was before origins were noted.

        Raises:
            StorageError: if its file cannot be read.
        """
        content = self._content(cell)
        if content is None or ORIGIN not in content:
            return None
        try:
            return Origin.from_dict(content[ORIGIN])
        except TypeError as error:
            raise self._unreadable(cell, error) from None

    def results(self) -> dict[C, R]:
        """What was measured, by cell; those that are not done are missing.

        Raises:
            StorageError: if a file cannot be read, or is of another plan.
        """
        return {cell: found for cell in self.cells if (found := self.result(cell)) is not None}

    def waiting(self) -> list[C]:
        """The cells that are not done.

        Raises:
            StorageError: if a file cannot be read, or is of another plan.
        """
        return [cell for cell in self.cells if self.result(cell) is None]

    def lines(self) -> Iterator[str]:
        """The results that there are, each with its origin, in one line of JSON.

        Raises:
            StorageError: if a file cannot be read.
        """
        for cell in self.cells:
            if (content := self._content(cell)) is not None:
                yield json.dumps(content)

    def run(
        self,
        measure: Callable[[C, Report], Mapping[str, Any]],
        *,
        command: str | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
        world: World = WORLD,
    ) -> None:
        """Measures what is not done yet.

        Of several processes, such as torchrun starts, each measures a share of the cells, as if it was alone; those
        that are to be measured alone come last, on the first process.

        Args:
            measure: from a cell, and what is called with a word on what is being done, to values that JSON has.
            command: for the origin; None for the one that started this process.
            tell: called whenever a cell starts, is at something else, or is done.
            world: the processes.

        Raises:
            StorageError: if another process measures in the folder, a file cannot be read or written, or is of another
                plan.
            Exception: what `measure` raises; what was done before is kept.
        """
        with ExitStack() as claimed:
            world.from_writer(
                lambda: claimed.enter_context(claimed_folder(self.folder, work="measures", option=self.option))
            )
            waiting = world.from_each(self.waiting)[0]
            together = [cell for cell in waiting if not self.alone(cell)]
            own = world.share(together)
            last = [cell for cell in waiting if self.alone(cell)]
            seconds = sum(map(self._seconds, [*own, *last]))
            known = self.expected is not None
            pace = _Pace(len(self.cells) - len(waiting), len(self.cells), seconds, world.size, known=known)

            def work(cells: Sequence[C]) -> None:
                for cell in cells:
                    self._measure(cell, measure, command, pace, tell)

            world.from_each(lambda: work(own))
            pace.done = len(self.cells) - len(last)
            world.from_writer(lambda: work(last))
            world.barrier()
            tell(Progress("", "", len(self.cells), len(self.cells), 0.0))

    def _seconds(self, cell: C) -> float:
        return 1.0 if self.expected is None else self.expected(cell)

    def _measure(
        self,
        cell: C,
        measure: Callable[[C, Report], Mapping[str, Any]],
        command: str | None,
        pace: _Pace,
        tell: Callable[[Progress], None],
    ) -> None:
        tell(pace.at(cell.name, ""))
        started = time.monotonic()
        with by_itself():
            values = measure(cell, lambda what: tell(pace.at(cell.name, what)))
        seconds = time.monotonic() - started
        content = {"name": cell.name, **values, ORIGIN: Origin.here(cell.seed, seconds, command=command).to_dict()}
        prepare_folder(self.place(cell).parent, option=self.option)
        write_atomically(self.place(cell), json.dumps(content, allow_nan=False) + "\n")
        pace.add(self._seconds(cell), seconds)

    def _content(self, cell: C) -> dict[str, Any] | None:
        file = self.place(cell)
        if not file.exists():
            return None
        try:
            content = json.loads(read_regular(file, LARGEST))
            if not isinstance(content, dict):
                raise TypeError("it is no object")
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise self._unreadable(cell, error) from None
        return content

    def _read(self, cell: C, content: Mapping[str, Any]) -> R:
        try:
            return self.read(cell, {name: value for name, value in content.items() if name != ORIGIN})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._unreadable(cell, error) from None

    def _unreadable(self, cell: C, error: Exception) -> StorageError:
        return StorageError(f"{self.place(cell)} cannot be read ({error}). Delete it, and it is measured again.")


class _Pace:
    """How far a process is, and how much slower it is than was expected."""

    def __init__(self, done: int, total: int, expected: float, processes: int, *, known: bool) -> None:
        self.done, self.total, self.expected, self.processes, self.known = done, total, expected, processes, known
        self.foreseen = self.taken = 0.0

    def add(self, expected: float, seconds: float) -> None:
        """A cell is done."""
        # What others have done meanwhile is not known: about as much.
        self.done = min(self.done + self.processes, self.total)
        self.foreseen += expected
        self.taken += seconds

    def at(self, cell: str, what: str) -> Progress:
        """How far this process is at a cell."""
        if not self.foreseen and not self.known:
            return Progress(cell, what, self.done, self.total, None)
        slower = self.taken / self.foreseen if self.foreseen else 1.0
        return Progress(cell, what, self.done, self.total, slower * (self.expected - self.foreseen))
