"""Measures the ways to adapt a network on one set of pictures: ``python -m benchmarks.adapt.measure SET CACHE``.

The base network is EfficientNet-Lite0 at 96 pixels; CACHE is a folder for its answers, each of which is asked for once.
Of every way a linear probe of frozen features is trained on upright pictures alone (fine-tuning has a classifier of its
own besides), for three splits; what is trained is trained for each of them, on the training pictures and with the
split's number as its seed. Pictures that are turned by quarters and mirrored are whole; those at the 16 angles are seen
through a circle, and so are the training pictures of their probes.

Writes ``benchmarks/results/adapt/<set>.json``: accuracies by view and the share of predictions that change when the
picture is turned by a quarter, a number a split; and the difference from the base with a 95% interval over the test
pictures, paired. ``--ways`` measures some, whose rows then take their places among those that are there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.adapt.seen import ANGLES, IN_A_CIRCLE, MIRRORED, TURNED, Seen
from benchmarks.adapt.ways import WAYS, Way
from benchmarks.distil.measure import STRENGTHS, splits
from benchmarks.distil.sets import SETS
from eqmodels.data import LabelledImages
from eqmodels.evaluation.orbits import UPRIGHT, View
from eqmodels.measures import LinearProbe, estimate, fit_linear_probe
from eqmodels.storage import write_atomically

RESULTS = Path(__file__).parents[1] / "results" / "adapt"
SEEDS = range(3)
BASE = "base"
GROUPS = {"upright": (UPRIGHT,), "turned": TURNED, "mirrored": (MIRRORED,), "all angles": ANGLES}
"""The views that a column is the mean of."""
PLANS = ((UPRIGHT, (UPRIGHT, *TURNED, MIRRORED)), (IN_A_CIRCLE, ANGLES))
"""The view of the training pictures, and those of the test pictures."""


@dataclass
class Row:
    """What came of one kind of features: classes by view, for each split; -1 of pictures that were not tested."""

    predicted: dict[View, list[Tensor]] = field(default_factory=dict)
    notes: dict[str, list[float]] = field(default_factory=dict)
    strengths: dict[View, float] = field(default_factory=dict)


def measured(seen: Seen, name: str, parts: list[tuple[Tensor, Tensor]]) -> dict[str, Row]:
    """Every kind of features of one way."""
    rows: dict[str, Row] = {}
    for seeds in _rounds(WAYS[name]):
        built = WAYS[name].build(seen, parts[seeds[0]][0], seeds[0])
        trained, tested = (torch.cat([parts[seed][side] for seed in seeds]).unique() for side in (0, 1))
        for whole, views in PLANS:
            known = built.encode(whole, trained)
            probes: dict[tuple[str, int], LinearProbe] = {}
            for view in views:
                for kind, values in built.encode(view, tested).items():
                    row = rows.setdefault(f"{name}{', ' if kind else ''}{kind}", Row())
                    for seed in seeds:
                        training, testing = parts[seed]
                        own = values[torch.searchsorted(tested, testing)]
                        if own.is_floating_point():
                            if (kind, seed) not in probes:
                                features = known[kind][torch.searchsorted(trained, training)]
                                probes[kind, seed] = _probe(row, features, seen.data, training, whole, seed)
                            own = probes[kind, seed].predict(own)
                        found = torch.full((len(seen.data),), -1)
                        found[testing] = own
                        row.predicted.setdefault(view, []).append(found)
        for row in rows.values():
            for note, value in built.notes.items():
                row.notes.setdefault(note, []).append(round(value, 4))
    return rows


def _rounds(way: Way) -> Iterator[list[int]]:
    """The splits that share an encoder: all where nothing is trained."""
    yield from ([seed] for seed in SEEDS) if way.is_trained else [list(SEEDS)]


def _probe(row: Row, features: Tensor, data: LabelledImages, training: Tensor, view: View, seed: int) -> LinearProbe:
    """The probe of one split; the strength that the first has chosen is that of all."""
    strengths = (row.strengths[view],) if view in row.strengths else STRENGTHS
    labels, classes = data.labels[training], len(data.classes)
    probe = fit_linear_probe(features, labels, num_classes=classes, strengths=strengths, seed=seed)
    row.strengths[view] = probe.strength
    return probe


def summary(rows: dict[str, Row], base: Row, labels: Tensor) -> dict[str, Any]:
    """Accuracies, changes and paired differences, ready for JSON."""
    return {name: _summary(row, base, labels) for name, row in rows.items()}


def _summary(row: Row, base: Row, labels: Tensor) -> dict[str, Any]:
    differences = {}
    for group, views in GROUPS.items():
        found = estimate(_by_picture(row, views, labels) - _by_picture(base, views, labels))
        differences[group] = [round(found.mean, 4), round(found.low, 4), round(found.high, 4)]
    accuracies = {
        str(view): [round(float(_correct(one, labels).nanmean()), 4) for one in found]
        for view, found in row.predicted.items()
    }
    content: dict[str, Any] = {"accuracy": accuracies, "changed": _changed(row)}
    return (
        content | ({"notes": row.notes} if row.notes else {}) | ({"minus base": differences} if row is not base else {})
    )


def _correct(predicted: Tensor, labels: Tensor) -> Tensor:
    return torch.where(predicted < 0, torch.nan, (predicted == labels).float())


def _by_picture(row: Row, views: tuple[View, ...], labels: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The mean correctness of every picture that some split tests, over views and splits."""
    found = torch.stack([_correct(one, labels) for view in views for one in row.predicted[view]]).nanmean(0)
    return found[~found.isnan()].double().numpy()


def _changed(row: Row) -> list[float]:
    """The share of the test pictures, turned by one, two and three quarters, that get another class than upright."""
    shares = []
    for seed in SEEDS:
        upright = row.predicted[UPRIGHT][seed]
        turned = torch.stack([row.predicted[view][seed] for view in TURNED])[:, upright >= 0]
        shares.append(round(float((turned != upright[upright >= 0]).double().mean()), 4))
    return shares


def data_of(name: str) -> tuple[LabelledImages, list[tuple[Tensor, Tensor]]]:
    """The pictures of a set that are trained on or tested, and the splits."""
    train, test = SETS[name]()
    parts = splits(train, test)[: len(SEEDS)]
    if test is not None:
        images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
        train = LabelledImages(name, images, labels, train.classes)
    used = torch.cat([torch.cat(pair) for pair in parts]).unique()
    data = LabelledImages(name, train.images[used], train.labels[used], train.classes)
    return data, [(torch.searchsorted(used, one), torch.searchsorted(used, other)) for one, other in parts]


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=list(SETS), help="of the pictures")
    parser.add_argument("cache", type=Path, help="the folder of the base network's answers")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="default: all")
    arguments = parser.parse_args()
    data, parts = data_of(arguments.set)
    seen = Seen(data, arguments.cache)
    base = measured(seen, BASE, parts)
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{arguments.set.replace(' ', '_')}.json"
    content = json.loads(file.read_text()) if file.exists() else {"rows": {}}
    content["pictures"], content["classes"] = [len(part) for part in parts[0]], len(data.classes)
    for name in arguments.ways:
        started = time.process_time()
        rows = base if name == BASE else measured(seen, name, parts)
        content["rows"] |= summary(rows, base[BASE], data.labels)
        write_atomically(file, json.dumps(content, indent=1) + "\n")
        print(f"{name}: {time.process_time() - started:.0f} s of the processor", flush=True)


if __name__ == "__main__":
    main()
