"""The terms of a loss as the trainer handles them: summed, cut into parts, counted and turned into a row of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.objectives import Term
from eqmodels.training.log import Row

__all__ = ["Counts", "measured", "moved", "part_of", "parts_of", "total_loss"]


def total_loss(terms: Mapping[str, Term]) -> Float[Tensor, ""]:
    """What is minimised: the sum of all terms."""
    total = _main_loss(terms)
    for term in terms.values():
        if term.separate:
            total = total + term.loss
    return total


def parts_of(views: Any, count: int) -> Iterator[Any]:  # noqa: ANN401 (each objective has its own)
    """Views cut into so many parts of equally many rows."""
    return (part_of(views, number, count) for number in range(count))


def part_of(views: Any, number: int, count: int) -> Any:  # noqa: ANN401
    """One of `count` parts of views: every tensor in tuples, lists and dicts is cut along its first axis."""
    return _each(views, lambda tensor: tensor.chunk(count)[number])


def moved(views: Any, device: torch.device) -> Any:  # noqa: ANN401
    """The same views on a device."""
    return _each(views, lambda tensor: tensor.to(device))


def _each(views: Any, of: Callable[[Tensor], Tensor]) -> Any:  # noqa: ANN401
    """Views with something made of every tensor in tuples, lists and dicts."""
    if isinstance(views, Tensor):
        return of(views)
    if isinstance(views, Mapping):
        return {name: _each(view, of) for name, view in views.items()}
    if isinstance(views, tuple) and hasattr(views, "_fields"):
        return type(views)(*(_each(view, of) for view in views))
    if isinstance(views, tuple | list):
        return type(views)(_each(view, of) for view in views)
    return views


@dataclass
class Counts:
    """What was counted of the images of an epoch so far.

    Attributes:
        seen: number of images.
        losses: sums over the images of their losses, by column: ``loss`` for all terms that have none of their own.
        correct: number of images predicted right, by term.
    """

    seen: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    correct: dict[str, int] = field(default_factory=dict)

    def add(self, names: Mapping[str, Term], numbers: list[float], images: int) -> int:
        """Counts images, of whose terms `measured` gave the first of the numbers; gives how many these were."""
        self.seen += images
        columns = _columns(names)
        rest = iter(numbers)
        for column in columns:
            self.losses[column] = self.losses.get(column, 0.0) + next(rest) * images
        for name, term in names.items():
            if term.correct is not None:
                self.correct[name] = self.correct.get(name, 0) + int(next(rest))
        return len(columns) + sum(term.correct is not None for term in names.values())

    def row(self) -> tuple[Row, Row]:
        """Mean losses by column, and accuracies by column."""
        losses: Row = {column: total / self.seen for column, total in self.losses.items()}
        return losses, {f"accuracy_{name}": right / self.seen for name, right in self.correct.items()}

    def numbers(self) -> list[float]:
        """All of it in one list, for a sum over processes."""
        return [float(self.seen), *self.losses.values(), *map(float, self.correct.values())]

    def of_numbers(self, numbers: list[float]) -> Counts:
        """Counts of the same names with the numbers of such a list."""
        seen, *rest = numbers
        losses, correct = rest[: len(self.losses)], rest[len(self.losses) :]
        return Counts(
            int(seen),
            dict(zip(self.losses, losses, strict=True)),
            dict(zip(self.correct, map(int, correct), strict=True)),
        )


def measured(terms: Mapping[str, Term]) -> Float[Tensor, " N"]:
    """The numbers that are counted of terms, in one tensor, which is read back from the device at once."""
    losses = [_main_loss(terms), *(term.loss for term in terms.values() if term.separate)]
    correct = [term.correct for term in terms.values() if term.correct is not None]
    dtype = torch.promote_types(losses[0].dtype, torch.float32)
    return torch.stack([value.to(dtype) for value in (*losses, *correct)])


def _main_loss(terms: Mapping[str, Term]) -> Float[Tensor, ""]:
    """The sum of the terms without a column of their own."""
    losses = [term.loss for term in terms.values() if not term.separate]
    if not losses:
        raise TypeError(
            f"an objective must have a term that counts into the loss; got {', '.join(terms) or 'none'}, each with a "
            "column of its own. Leave out separate=True of one."
        )
    return torch.stack(losses).sum()


def _columns(terms: Mapping[str, Term]) -> list[str]:
    return ["loss", *(f"{name}_loss" for name, term in terms.items() if term.separate)]
