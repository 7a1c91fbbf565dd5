"""Labels as people write them, as numbers of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["numbered"]


def numbered(
    labels: Sequence[int | str], named: Sequence[str] | None, source: str
) -> tuple[list[int], tuple[str, ...]]:
    """The number of the class of each label, and the names of the classes.

    Classes that have names are numbered as these are, and labels are their numbers or names; else every label that
    occurs is a class: numbers by their size, words by the alphabet.

    Args:
        labels: numbers or words.
        named: the name of each class; None if they have none.
        source: what sentences call the data.

    Raises:
        ValueError: if a label is of none of the named classes.
    """
    if named is None:
        values = sorted(set(labels), key=_order)
        numbers = {value: number for number, value in enumerate(values)}
        return [numbers[label] for label in labels], tuple(map(str, values))
    places: dict[int | str, int] = {name: number for number, name in enumerate(named)}
    places |= {number: number for number in range(len(named))}
    unknown = next((label for label in labels if label not in places), None)
    if unknown is not None:
        raise ValueError(
            f"labels of {source} must be of its {len(named)} classes ({', '.join(named[:5])}, ...), by number or name; "
            f"got {unknown!r}. Name every class, or leave the names out."
        )
    return [places[label] for label in labels], tuple(named)


def _order(value: int | str) -> tuple[int, int, str]:
    """By which numbers come first, also those that are written as words."""
    is_number = isinstance(value, int) or re.fullmatch(r"-?\d{1,18}", value) is not None
    return (0, int(value), str(value)) if is_number else (1, 0, str(value))
