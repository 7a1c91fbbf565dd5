"""Writes the tables of E-SSL from the runs' results: ``python -m benchmarks.essl.tables``.

Every figure is read from a ``results.json``; means over seeds with 95% intervals (Student's t). They stand in
``docs/results.md``, and the first of them in README, each between two marks, and are replaced as a whole.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from benchmarks._sections import write_section
from benchmarks.essl.evaluate import RESULTS
from benchmarks.essl.grid import FOLDER, SEEDS, STANDARD, TASKS, ZOO
from eqmodels.evaluation import EncoderEvaluation, Estimate, SeedSummary, estimate, over_seeds
from eqmodels.evaluation.encoder import ORBIT_MEAN, TURNED_PROBE
from eqmodels.studies.tables import StudyTable

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.parent / "docs" / "results.md"
SECTION = "essl"
MISSING, ABSENT = "…", "\N{EN DASH}"
"""Cells of what is not trained yet, and of what a network does not have."""
LEGEND = {
    MISSING: f"{MISSING} is not trained yet.",
    ABSENT: f"{ABSENT} does not exist, or was not measured.",
    "±": "Intervals over seeds leave out the choice of the training images, which is the same for all seeds, in "
    "pretraining and for the probes.",
}
"""What is said beside tables that have such a sign."""

Read = Callable[[SeedSummary], Estimate | None]
"""What a cell shows of a row."""


@cache
def summary(row: str) -> SeedSummary | None:
    """A row over its seeds, as far as they are there; None without any."""
    files = (FOLDER / row / f"seed{seed}" / RESULTS for seed in SEEDS)
    found = [evaluation(file) for file in files if file.is_file()]
    return over_seeds(found) if found else None


def evaluation(file: Path) -> EncoderEvaluation:
    """What was measured of one run, with its config, which the first results have beside the evaluation."""
    content = json.loads(file.read_text())
    return replace(EncoderEvaluation.from_dict(content["evaluation"]), config=content["config"])


def cell(row: str, read: Read, shown: Callable[[Estimate], str] = Estimate.as_percent) -> str:
    """A value of a row, in per cent, if the network has it; seeds are counted if some are missing."""
    found = summary(row)
    if found is None:
        return MISSING
    if (value := read(found)) is None:
        return ABSENT
    return shown(value) + ("" if found.seeds == len(SEEDS) else f" ({found.seeds} of {len(SEEDS)} seeds)")


def feature(name: str, score: str = "accuracy") -> Read:
    """Reads a score of one kind of features; None if the row does not have the kind."""

    def read(found: SeedSummary) -> Estimate | None:
        value: Estimate | None = next((getattr(one, score) for one in found.features if one.features == name), None)
        return value

    return read


def task(score: str) -> Read:
    """Reads a score of the first task."""

    def read(found: SeedSummary) -> Estimate | None:
        value: Estimate | None = getattr(found.tasks[0], score)
        return value

    return read


def _information(found: SeedSummary) -> Estimate:
    """The lower bound of I(A; Z) in nats."""
    entropy = math.log(found.tasks[0].num_labels)
    return estimate(entropy - loss for loss in found.tasks[0].loss.values)


def parameters(row: str) -> str:
    """Parameters of the backbone, in thousands."""
    found = summary(row)
    return MISSING if found is None else f"{found.parameters / 1e3:,.0f}k"


def width_of(row: str, features: str) -> str:
    """How many features there are of a kind."""
    found = summary(row)
    if found is None:
        return MISSING
    return next((f"{one.width}" for one in found.features if one.features == features), ABSENT)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; rows without any figure are left out."""
    kept = [row for row in rows if any(cell not in (MISSING, ABSENT) for cell in row[2:])]
    return StudyTable("", header, kept).markdown()


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
                cell(row, task("training_accuracy")),
                cell(row, task("augmented_accuracy")),
                cell(row, task("accuracy")),
                width_of(row, "regular"),
                cell(row, feature("regular")),
                cell(row, feature("canonical")),
                cell(row, feature("regular", "knn")),
            ]
        for model in ("resnet18_w16", "c4_resnet18_w16", "d4_resnet18_w16"):
            row = f"random/{model}"
            regular, knn = cell(row, feature("regular")), cell(row, feature("regular", "knn"))
            name = f"random initialisation, {model}"
            yield [name, parameters(row), *[ABSENT] * 3, width_of(row, "regular"), regular, ABSENT, knn]

    header = ["backbone", "parameters", "rotation, training", "held-out", "without augmentation", "width"]
    return markdown([*header, "probe, regular", "canonical", "kNN"], rows())


CAUSES = (
    ("few/resnet18_w16.mlp", "ResNet, 2,000 images, 52 epochs"),
    ("few/c4_resnet18_w16.equivariant", "C4, 2,000 images, 52 epochs"),
    ("epochs5/resnet18_w16.mlp", "ResNet, 5 epochs"),
    ("epochs5/c4_resnet18_w16.equivariant", "C4, 5 epochs"),
    ("simclr/resnet18_w16.mlp", "ResNet, 15 epochs"),
    ("simclr/c4_resnet18_w16.equivariant", "C4, 15 epochs"),
    # Its head sees one turn of an image a step, as the ResNet's does; the equivariant head learns of all four.
    ("simclr/c4_resnet18_w16.mlp", "C4, 15 epochs, the paper's head"),
    ("simclr/resnet18_w8.mlp", "ResNet of C4's parameters, 15 epochs"),
)


def causes() -> str:
    """Under SimCLR's augmentation: less training, one turn of an image a step, and fewer parameters."""

    def rows() -> Iterator[list[str]]:
        for row, words in CAUSES:
            yield [
                words,
                parameters(row),
                cell(row, task("augmented_accuracy")),
                cell(row, _information, str),
                cell(row, feature("regular")),
                cell(row, feature("regular", "knn")),
            ]

    header = [
        "pretraining",
        "parameters",
        "rotation, augmented held-out",
        "I(A; Z) at least, nats, without augmentation",
    ]
    return markdown([*header, "probe, regular", "kNN"], rows())


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
                cell(row, feature(features)),
                cell(row, feature(features, "turned")),
                cell(row, feature(features, "angle_mean")),
                cell(row, feature(features, "angle_worst")),
            ]

    return markdown(["features", "width", "upright", "turned by 90, 180, 270", "all angles", "worst angle"], rows())


def tasks() -> str:
    """Experiment 1: seven tasks and none."""

    def rows() -> Iterator[list[str]]:
        for name in TASKS:
            for preset in ("paper", "fixed"):
                row = f"tasks/{name}.{preset}"
                yield [
                    name,
                    preset if name in ("jigsaw", "blur") else "",
                    cell(row, task("accuracy")),
                    cell(row, _information, str),
                    cell(row, feature("regular")),
                    cell(row, feature("regular", "knn")),
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
            result = evaluation(file)
            for features in ZOO_FEATURES[config.head != "equivariant"]:
                found = result.of(features)
                low, high = (100 * end for end in found.interval)
                yield [
                    f"`{Path(name).name}`",
                    features,
                    f"{found.width}",
                    f"{result.parameters / 1e3:,.0f}k",
                    f"{100 * found.accuracy:.1f} ({low:.1f} .. {high:.1f})",
                    f"{100 * found.turned:.1f}",
                    f"{100 * found.knn:.1f}",
                    f"{100 * found.labels['0.01'].mean:.1f}" if found.labels else ABSENT,
                ]

    header = ["pretrained network", "features", "width", "parameters", "upright", "turned by 90, 180, 270"]
    return markdown([*header, "kNN", "1% of the labels"], rows())


GOAL = 3.0
"""Points of the linear probe by which C4 was to be ahead of the ResNet of equal FLOPs."""


def verdict() -> str:
    """Whether the goal is reached, in words; empty until all seeds are there."""
    ours, theirs = (summary(f"simclr/{model}.{head}") for model, head in reversed(STANDARD))
    if ours is None or theirs is None or min(ours.seeds, theirs.seeds) < len(SEEDS):
        return ""
    c4, resnet = ours.of("regular").accuracy, theirs.of("regular").accuracy
    ahead, apart = 100 * (c4.mean - resnet.mean), not c4.overlaps(resnet)
    steps = json.loads((FOLDER.parent / "speed" / "pretraining_step.json").read_text())["rows"]
    (ratio,) = (
        row["ratio"]
        for row in steps
        if (row["setting"], row["contender"]) == ("batch 128, bf16", "resnet18_w16, turned once")
    )
    missed = ahead < GOAL or not apart or ratio < 1
    return (
        f"**The goal was C4 ahead of a ResNet of equal FLOPs by {GOAL:g} points of linear probe, with intervals apart, "
        f"and cheaper to train. It is {'missed' if missed else 'reached'}:** {c4.as_percent()} against "
        f"{resnet.as_percent()}, {ahead:+.2f} points, intervals {'apart' if apart else 'that overlap'}; and a step of "
        f"pretraining takes {1 / ratio:.2f} times as long ([measured](benchmarks/results/speed/pretraining_step.md))."
    )


def legend(text: str) -> list[str]:
    """What the signs in a table mean, as one paragraph, if there are any."""
    meanings = [meaning for sign, meaning in LEGEND.items() if sign in text]
    return [" ".join(meanings)] if meanings else []


def sections() -> dict[str, str]:
    """The sections of the document, by name, without those of which nothing is trained."""
    named = {f"backbones_{augment}": backbones(augment) for augment in ("simclr", "crop_flip", "none")}
    named |= {"headline": headline(), "causes": causes(), "tasks": tasks(), "zoo": zoo()}
    written = {name: "\n\n".join([text, *legend(text)]) for name, text in named.items() if text.count("\n") > 1}
    return {"verdict": verdict(), **written}


def readme_section() -> str:
    """What README shows."""
    tables = [zoo(), headline()]
    return "\n\n".join([*filter(None, [verdict()]), *tables, *legend("".join(tables))])


def main() -> None:
    """Writes all tables into the document, and README's section."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, text in sections().items():
        write_section(DOCUMENT, name, f"\n{text}\n")
    write_section(README, SECTION, f"\n{readme_section()}\n")


if __name__ == "__main__":
    main()
