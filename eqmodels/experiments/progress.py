"""How far a plan is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from tqdm import tqdm

from eqmodels.arguments import check_arguments

__all__ = ["Progress", "shown_progress"]


@dataclass(frozen=True)
class Progress:
    """How far one process is with its cells.

    Attributes:
        cell: the name of the one that is at work; empty once all are done.
        what: is done of it just now, in a word; empty when it starts.
        done: cells that are done.
        total: cells.
        left: seconds that the others will take: what they are expected to, by as much slower as those were that are
            done; None where nothing is known.
    """

    cell: str
    what: str
    done: int
    total: int
    left: float | None

    def __str__(self) -> str:
        left = "" if self.left is None or not self.cell else f", about {_duration(self.left)} left"
        cell = f": {self.cell}" if self.cell else ""
        return f"{self.done} of {self.total} done{left}{cell}{f' ({self.what})' if self.what else ''}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A bar over cells that is told of every `Progress`.

    Args:
        quiet: whether to show none.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(shown_progress, locals())
    with tqdm(
        total=None, unit="cell", disable=quiet, bar_format="{percentage:3.0f}%|{bar:20}| {desc}", leave=False
    ) as bar:
        yield lambda progress: _show(bar, progress)


def _show(bar: tqdm[NoReturn], progress: Progress) -> None:
    bar.total = progress.total
    bar.set_description_str(str(progress), refresh=False)
    bar.update(progress.done - bar.n)
    bar.refresh()
