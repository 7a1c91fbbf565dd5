"""What docs/results.md says of the protocol of rotated MNIST on clothes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.standard.figures import over_seeds, rows
from eqmodels.bench import Contender
from eqmodels.bench.counting import count_cost
from eqmodels.measures import Estimate
from eqmodels.reports import Table, percent

__all__ = ["section"]

SIZE = (28, 28)
KEY = ("model", "augmented")
COMPARED = (
    (("resnet18s_w16", "False"), ("c4_resnet18s_w16", "False"), "C4 instead of no group"),
    (("resnet18s_w16", "False"), ("resnet18s_w16", "True"), "turning the images of the plain network anew"),
    (("resnet18s_w16", "True"), ("c4_resnet18s_w16", "False"), "C4 instead of that"),
    (("c4_resnet18s_w16", "False"), ("c8_resnet18s_w16", "False"), "C8 instead of C4, for 2.8 times the work,"),
    (("resnet18s_w26", "True"), ("c8_resnet18s_w16", "False"), "C8 instead of as much work without a group"),
    (("c8_resnet18s_w16", "False"), ("c16_resnet18s_w16", "False"), "C16 instead of C8"),
    (("c4_resnet18s_w16", "False"), ("d4_resnet18s_w16", "False"), "D4 instead of C4"),
)
"""Pairs of networks, and what tells the second from the first."""


def section() -> Iterator[str]:
    """The table and what to conclude; nothing where it was not measured."""
    found = over_seeds("rotated", KEY, lambda row: float(row["accuracy"]))
    if not found:
        return
    first = rows("rotated")[0]
    seeds = {estimate.count for estimate in found.values()}
    yield (
        f"Rotated clothes (`eqmodels bench --suite full --kinds rotated`): {int(first['train_images']):,} training and "
        f"{int(first['test_images']):,} test images, each turned by an angle of its own, {first['steps']} steps of 64 "
        f"images, {' or '.join(map(str, sorted(seeds)))} seeds; accuracy in %. Multiply-adds in millions an image:"
    )
    cells = []
    for (name, augmented), accuracy in found.items():
        network: Any = Contender(name).build(0, 1)
        counted = count_cost(network, 1, SIZE)
        words = "turned anew in every step" if augmented == "True" else "as they are"
        about = [f"`{name}`", words, f"{counted.parameters / 1e6:.2f}M", f"{1e3 * counted.gmacs:.0f}"]
        cells.append([*about, accuracy.as_percent()])
    header = ["network", "training images", "parameters", "multiply-adds", "accuracy"]
    yield Table(header, cells, left=2).markdown(as_it_is=True)
    said = [
        f"{words} {_difference(found[first], found[second])}"
        for first, second, words in COMPARED
        if first in found and second in found
    ]
    yield f"To conclude, in points with 95% intervals: {'; '.join(said)}."


def _difference(first: Estimate, second: Estimate) -> str:
    """By how much the second is ahead."""
    gain = second.minus(first)
    low, mean, high = (percent(value, signed=True) for value in (gain.low, gain.mean, gain.high))
    return f"{mean} ({low} .. {high})"
