"""Writes the tables of E-SSL from the runs' results: ``python -m benchmarks.essl.tables``.

Every figure is read from a ``results.json``; means over seeds with 95% intervals (Student's t). README's section is
between two markers and is replaced as a whole.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.essl.evaluate import RESULTS
from benchmarks.essl.grid import FOLDER, SEEDS, TASKS, ZOO
from eqmodels.evaluation import Estimate, estimate
from eqmodels.evaluation.encoder import ORBIT_MEAN, TURNED_PROBE

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- essl: written by `python -m benchmarks.essl.tables` -->", "<!-- end of essl -->"
MISSING = "…"

Result = dict[str, Any]


@cache
def results_of(row: str) -> tuple[Result, ...]:
    """The results of a row, one a seed, as far as they are there."""
    files = (FOLDER / row / f"seed{seed}" / RESULTS for seed in SEEDS)
    return tuple(json.loads(file.read_text()) for file in files if file.is_file())


def over_seeds(row: str, value: Callable[[Result], float | None]) -> Estimate | None:
    """Mean and interval of a value over a row's seeds; None without any."""
    values = [found for result in results_of(row) if (found := value(result)) is not None]
    return estimate(values) if values else None


def percent(row: str, value: Callable[[Result], float | None]) -> str:
    """The same in per cent; seeds are counted if some are missing."""
    found = over_seeds(row, value)
    if found is None:
        return MISSING
    return found.as_percent() + ("" if found.count == len(SEEDS) else f" ({found.count} of {len(SEEDS)} seeds)")


def feature(name: str, score: str = "accuracy") -> Callable[[Result], float | None]:
    """Reads a score of one kind of features."""

    def read(result: Result) -> float | None:
        found = [entry for entry in result["evaluation"]["features"] if entry["features"] == name]
        value: float | None = found[0][score] if found else None
        return value

    return read


def task(score: str) -> Callable[[Result], float | None]:
    """Reads a score of the first task."""

    def read(result: Result) -> float | None:
        value: float | None = result["evaluation"]["tasks"][0][score]
        return value

    return read


def _information(result: Result) -> float | None:
    """The lower bound of I(A; Z) in nats; None if the loss is no number."""
    labels, loss = task("num_labels")(result), task("loss")(result)
    return None if labels is None or loss is None else math.log(labels) - loss


def parameters(row: str) -> str:
    """Parameters of the backbone, in thousands."""
    found = results_of(row)
    return f"{found[0]['evaluation']['parameters'] / 1e3:,.0f}k" if found else MISSING


def width_of(row: str, features: str) -> str:
    """How many features there are of a kind."""
    return next((f"{feature(features, 'width')(result)}" for result in results_of(row)), MISSING)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; rows without any figure are left out."""
    kept = [row for row in rows if any(cell != MISSING and cell for cell in row[2:])]
    lines = [header, ["---"] * len(header), *kept]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


BACKBONES = (
    ("resnet18_w16", "mlp", "ResNet, equal FLOPs"),
    ("resnet18_w8", "mlp", "ResNet, equal parameters"),
    ("c1_resnet18_w16", "mlp", "C4's code without the group"),
    ("d2_resnet18_w16", "mlp", "wrong group: half turns and flips"),
    ("resnet18_w16", "linear", "ResNet, plain head"),
    ("c4_resnet18_w16", "linear", "C4, plain head"),
    ("c4_resnet18_w16", "mlp", "C4, the paper's head"),
    ("c4_resnet18_w16", "equivariant", "C4, equivariant head"),
    ("d4_resnet18_w16", "equivariant", "D4, equivariant head"),
)


def backbones(augment: str) -> str:
    """Experiment 3 under one augmentation."""

    def rows() -> Iterator[list[str]]:
        for model, head, words in BACKBONES:
            row = f"{augment}/{model}.{head}"
            yield [
                words,
                parameters(row),
                percent(row, task("training_accuracy")),
                percent(row, task("augmented_accuracy")),
                percent(row, task("accuracy")),
                width_of(row, "regular"),
                percent(row, feature("regular")),
                percent(row, feature("canonical")),
                percent(row, feature("regular", "knn")),
            ]
        for model in ("resnet18_w16", "c4_resnet18_w16", "d4_resnet18_w16"):
            row = f"random/{model}"
            regular, knn = percent(row, feature("regular")), percent(row, feature("regular", "knn"))
            name = f"random initialisation, {model}"
            yield [name, parameters(row), "", "", "", width_of(row, "regular"), regular, "", knn]

    header = ["backbone", "parameters", "rotation, training", "held-out", "without augmentation", "width"]
    return markdown([*header, "probe, regular", "canonical", "kNN"], rows())


HEADLINE = (
    ("resnet18_w16", "mlp", "regular", "ResNet"),
    ("resnet18_w16", "mlp", "regular, turned probe", "ResNet, probe trained on turned images too"),
    ("resnet18_w16", "mlp", "orbit-mean", "ResNet, features averaged over the four turns"),
    ("resnet18_w8", "mlp", "regular", "ResNet, C4's parameters"),
    ("c1_resnet18_w16", "mlp", "regular", "C4's code without the group"),
    ("c4_resnet18_w16", "equivariant", "invariant-3", "C4, invariant (max, mean, norm)"),
    ("c4_resnet18_w16", "equivariant", "regular", "C4, regular"),
    ("c4_resnet18_w16", "equivariant", "canonical", "C4, canonical"),
    ("c4_resnet18_w16", "equivariant", "canonical-soft", "C4, canonical, soft"),
    ("d4_resnet18_w16", "equivariant", "invariant-3", "D4, invariant (max, mean, norm)"),
    ("d4_resnet18_w16", "equivariant", "regular", "D4, regular"),
    ("d4_resnet18_w16", "equivariant", "canonical", "D4, canonical"),
)


def headline(augment: str = "simclr") -> str:
    """Upright and turned test images."""

    def rows() -> Iterator[list[str]]:
        for model, head, features, words in HEADLINE:
            row = f"{augment}/{model}.{head}"
            yield [
                words,
                width_of(row, features),
                percent(row, feature(features)),
                percent(row, feature(features, "turned")),
                percent(row, feature(features, "angle_mean")),
                percent(row, feature(features, "angle_worst")),
            ]

    return markdown(["features", "width", "upright", "turned by 90, 180, 270", "all angles", "worst angle"], rows())


def tasks() -> str:
    """Experiment 1: seven tasks and none."""

    def rows() -> Iterator[list[str]]:
        for name in TASKS:
            for preset in ("paper", "fixed"):
                row = f"tasks/{name}.{preset}"
                bound = over_seeds(row, _information)
                yield [
                    name,
                    preset if name in ("jigsaw", "blur") else "",
                    percent(row, task("accuracy")),
                    MISSING if bound is None else str(bound),
                    percent(row, feature("regular")),
                    percent(row, feature("regular", "knn")),
                ]

    return markdown(["task", "preset", "task, held-out", "I(A; Z) at least, nats", "probe", "kNN"], rows())


ZOO_FEATURES = (("invariant-3", "regular", "canonical"), ("regular", ORBIT_MEAN, TURNED_PROBE))
"""The features that are shown of networks with an equivariant head, and of others."""


def zoo() -> str:
    """The pretrained networks: one seed each, intervals over the choice of the test images."""

    def rows() -> Iterator[list[str]]:
        for name, config in ZOO.items():
            file = FOLDER / name / RESULTS
            if not file.is_file():
                continue
            result = json.loads(file.read_text())
            scores = {entry["features"]: entry for entry in result["evaluation"]["features"]}
            for features in ZOO_FEATURES[config.head != "equivariant"]:
                found = scores[features]
                low, high = (100 * end for end in found["interval"])
                yield [
                    f"`{Path(name).name}`",
                    features,
                    f"{found['width']}",
                    f"{result['evaluation']['parameters'] / 1e3:,.0f}k",
                    f"{100 * found['accuracy']:.1f} ({low:.1f} .. {high:.1f})",
                    f"{100 * found['turned']:.1f}",
                    f"{100 * found['knn']:.1f}",
                    f"{100 * found['labels']['0.01']['mean']:.1f}" if found["labels"] else "",
                ]

    header = ["pretrained network", "features", "width", "parameters", "upright", "turned by 90, 180, 270"]
    return markdown([*header, "kNN", "1% of the labels"], rows())


def sections() -> dict[str, str]:
    """Every table that has a row, by the name of its file."""
    named = {f"backbones_{augment}": backbones(augment) for augment in ("simclr", "crop_flip", "none")}
    named |= {"headline": headline(), "tasks": tasks(), "zoo": zoo()}
    return {name: text for name, text in named.items() if text.count("\n") > 1}


def readme_section() -> str:
    """What README shows, between its markers."""
    tables = sections()
    shown = [tables[name] for name in ("zoo", "headline", "backbones_simclr") if name in tables]
    return "\n\n".join([BEGIN, *shown, END])


def main() -> None:
    """Writes all tables, and README's section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, text in sections().items():
        (FOLDER / f"{name}.md").write_text(text + "\n")
    readme = README.read_text()
    README.write_text(readme[: readme.index(BEGIN)] + readme_section() + readme[readme.index(END) + len(END) :])


if __name__ == "__main__":
    main()
