"""The index of the zoo: one reviewed file that says what each pretrained network is and where it lies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from eqmodels.evaluation import EncoderEvaluation
from eqmodels.groups import PlanarGroup
from eqmodels.storage import CONFIG, WEIGHTS, StorageError, read_config, reason_of, sha256_of
from eqmodels.training import PretrainConfig

__all__ = ["RESULTS", "ZooEntry", "entry_of", "read_index", "read_results"]

RESULTS = "results.json"
"""The name of the file in a folder of weights that holds what was measured of them."""


@dataclass(frozen=True)
class ZooEntry:
    """One pretrained network.

    Attributes:
        name: ``<architecture>.<task>_<data>``.
        repository: on the Hugging Face Hub, ``organisation/name``.
        commit: of the repository, 40 hexadecimal digits; None if it is not published yet.
        file: of the weights.
        size: of the file, in bytes.
        sha256: of the file.
        license: of the weights, an SPDX identifier in lower case.
        task: that it was pretrained by.
        data: that it was pretrained on.
        group: under which its features are equivariant; ``"c1"`` for none.
        metrics: accuracies of linear probes from 0 to 1, by what was measured.
    """

    name: str
    repository: str
    commit: str | None
    file: str
    size: int
    sha256: str
    license: str
    task: str
    data: str
    group: str
    metrics: dict[str, float]

    def line(self) -> str:
        """The entry as a line of the index."""
        return json.dumps(asdict(self))


@cache
def read_index() -> dict[str, ZooEntry]:
    """All entries by name."""
    content = json.loads((files("eqmodels.hub") / "zoo.json").read_text("utf-8"))
    return {entry["name"]: ZooEntry(**entry) for entry in content}


def entry_of(folder: Path, repository: str, commit: str | None) -> ZooEntry:
    """The entry of a folder of the zoo, from its files.

    Args:
        folder: with config, weights and results; its name is the network's.
        repository: on the Hub, ``organisation/name``.
        commit: of the repository, 40 hexadecimal digits; None if it is not published yet.

    Raises:
        StorageError: if a file is missing or is not what it should be.
    """
    config = read_config(folder / CONFIG)
    if "pretraining" not in config or "license" not in config["pretrained_cfg"]:
        raise StorageError(
            f"{folder / CONFIG} does not say how the network was pretrained or under which license it is, and "
            "the index and the card tell of it. Publish a run of eqmodels pretrain; other encoders have push_to_hub."
        )
    evaluation = read_results(folder)
    pretraining = PretrainConfig().to_dict() | config["pretraining"]
    sha256 = sha256_of(folder / WEIGHTS)
    metrics = {}
    for scores in evaluation.kinds:
        metrics[f"{scores.kind}, upright"] = scores.accuracy
        metrics[f"{scores.kind}, turned"] = round(scores.turned, 4)
    architecture = config["architecture"]
    return ZooEntry(
        name=folder.name,
        repository=repository,
        commit=commit,
        file=WEIGHTS,
        size=(folder / WEIGHTS).stat().st_size,
        sha256=sha256,
        license=config["pretrained_cfg"]["license"],
        task=pretraining["task"],
        data=pretraining["data"],
        group=PlanarGroup.parse(architecture.split("_")[0]).name if "_resnet" in architecture else "c1",
        metrics=metrics,
    )


def read_results(folder: Path) -> EncoderEvaluation:
    """What was measured of the weights in a folder, as the benchmarks or `eqmodels evaluate` wrote it.

    Raises:
        StorageError: if there are no results, they cannot be read, or are of other weights.
    """
    file = folder / RESULTS
    try:
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
        evaluation = EncoderEvaluation.from_dict(content.get("evaluation", content))
        if not isinstance(evaluation.sha256, str):
            raise TypeError("the sha256 is no word")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{file} holds no results ({type(error).__name__}: {reason_of(error)}). Measure the network first: "
            f"eqmodels evaluate {folder} --output {file}"
        ) from error
    if evaluation.sha256 != (found := sha256_of(folder / WEIGHTS)):
        raise StorageError(
            f"{file} belongs to other weights: those of sha256 {evaluation.sha256[:12]}..., and {WEIGHTS} has "
            f"{found[:12]}.... Measure them again with eqmodels evaluate."
        )
    return evaluation
