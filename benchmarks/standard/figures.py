"""The committed figures of the standard suite: a row a network, with its intervals over the seeds.

They are what ``eqmodels bench --suite standard --out runs/standard`` wrote, taken over as they are.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from eqmodels.measures import Estimate, estimate

__all__ = ["RESULTS", "WORDS", "Measured", "digest", "measured", "over_seeds", "pretrained", "rows", "where"]

RESULTS = Path(__file__).parents[1] / "results" / "standard"
WORDS = {"fashion_mnist_mini": "clothes", "fashion_mnist": "all clothes", "openclipart_mini": "clip art"}
"""The images, in words."""
FIGURES = ("upright", "turned", "mirrored", "changed_turned", "changed_mirrored", "knn", "labels_20")


@dataclass(frozen=True)
class Measured:
    """One network on its images.

    Attributes:
        name: of the zoo, or of an architecture as it is initialised.
        data: the images.
        quality: by the names of `FIGURES`, over the seeds, from 0 to 1.
        parameters: in millions, those of the head that finds the pose among them.
        gmacs: multiply-adds of an image, in thousands of millions.
        error: the largest over its own moves, in float32; None of a network without a group.
        times: the ratio of a step to that of the plain network of the same images, with quartiles, by way and batch.
    """

    name: str
    data: str
    quality: Mapping[str, Estimate]
    parameters: float
    gmacs: float
    error: float | None
    times: Mapping[tuple[str, int], tuple[float, float, float]]

    @property
    def is_pretrained(self) -> bool:
        """Whether it is one of the zoo, as it is."""
        return "." in self.name and ":" not in self.name

    def time(self, how: str, batch: int) -> str:
        """The ratio of a way and batch in words."""
        found = self.times.get((how, batch))
        return "-" if found is None else "{:.2f} ({:.2f} .. {:.2f})".format(*found)


@lru_cache
def rows(name: str, folder: Path = RESULTS) -> list[dict[str, str]]:
    """The rows of one of the files."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measured(folder: Path = RESULTS) -> dict[str, Measured]:
    """All networks whose quality was measured and whose cost was counted, by name, in their order."""
    found, counted = {}, _by("model", "cost", folder)
    for name, own in _by("model", "quality", folder).items():
        if name not in counted:
            continue
        costs = counted[name][0]
        errors = [
            float(row["error"])
            for row in _by("model", "symmetry", folder).get(name, [])
            if row["own"] == "True" and row["precision"] == "float32"
        ]
        found[name] = Measured(
            name,
            own[0]["data"],
            {figure: estimate(float(row[figure]) for row in own) for figure in FIGURES},
            float(costs["param_count"]),
            float(costs["infer_gmacs"]),
            max(errors, default=None),
            {
                (row["how"], int(row["batch_size"])): (
                    float(row["ratio"]),
                    float(row["ratio_low"]),
                    float(row["ratio_high"]),
                )
                for row in _by("model", "throughput", folder).get(name, [])
            },
        )
    return found


def pretrained(found: Mapping[str, Measured]) -> list[Measured]:
    """Those of the zoo: by images, and then by width, the plain one first."""

    def place(one: Measured) -> tuple[str, int, bool, str]:
        architecture = one.name.split(".")[0]
        return one.data, int(architecture.rpartition("_w")[2]), not architecture.startswith("resnet"), architecture

    return sorted((one for one in found.values() if one.is_pretrained), key=place)


def _by(column: str, name: str, folder: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows(name, folder):
        found.setdefault(row[column], []).append(row)
    return found


def over_seeds(
    name: str, key: tuple[str, ...], read: Callable[[dict[str, str]], float], folder: Path = RESULTS
) -> dict[tuple[str, ...], Estimate]:
    """An estimate of each group of rows of a file, by the values of some columns."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows(name, folder):
        found.setdefault(tuple(row[column] for column in key), []).append(read(row))
    return {group: estimate(values) for group, values in found.items()}


def where(folder: Path = RESULTS) -> str:
    """On what, when and by which command the figures were measured."""
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]
    origins = [line["origin"] for line in lines]
    machines = ", ".join(dict.fromkeys(one["machine"] for one in origins))
    days = sorted({one["date"][:10] for one in origins})
    torch = " and ".join(dict.fromkeys(one["versions"]["torch"] for one in origins))
    return f"{machines}; PyTorch {torch}; {' and '.join(dict.fromkeys([days[0], days[-1]]))}"


def digest(folder: Path = RESULTS) -> str:
    """What tells these figures from others: of all tables of values."""
    files = sorted(folder.glob("*.csv"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
