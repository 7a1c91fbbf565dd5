"""Fine-tunes distilled networks, and the same from random weights: ``python -m benchmarks.distil.finetuned``.

On two sets of `sets`, two thirds of the pictures to train on, three splits and seeds; measured upright, turned and
mirrored on the rest. Writes one line of JSON a cell below ``benchmarks/results/distil/finetuned``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

import eqmodels
from benchmarks.distil.measure import RESULTS, splits, taken
from benchmarks.distil.sets import SETS
from eqmodels.backbones import create_model
from eqmodels.backbones.network import StagedNetwork
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.finetuning import FinetuneConfig, TestScores, finetune
from eqmodels.processes.world import joined_world

STUDENT, TWIN, RANDOM = "c4_resnet18_w32.distil_lite0", "resnet18_w32.distil_lite0", "random"
NETWORKS = (STUDENT, TWIN, RANDOM)
DATA = ("stamps", "icons")
SEEDS = range(3)
EPOCHS = 15
VIEWS = ("upright", "turned", "mirrored")


@dataclass(frozen=True)
class FinetunedCell:
    """One fine-tuning.

    Attributes:
        network: of `NETWORKS`.
        data: one of `DATA`.
        seed: of the split, of random weights, and of the training.
    """

    network: str
    data: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.network}/{self.data}/seed{self.seed}"


def cells() -> list[FinetunedCell]:
    """All of them, network by network."""
    return [FinetunedCell(network, data, seed) for data in DATA for seed in SEEDS for network in NETWORKS]


def experiment() -> Experiment[FinetunedCell, dict[str, Any]]:
    """The plan, and where its results are."""
    return Experiment(RESULTS / "finetuned", cells(), _read, "scores.json")


def _read(_: FinetunedCell, content: Mapping[str, Any]) -> dict[str, Any]:
    return dict(content) | {"test": TestScores.from_dict(content["test"])}


def network_of(cell: FinetunedCell) -> StagedNetwork:
    """What is fine-tuned: canonical features of a network with a group."""
    if cell.network != RANDOM:
        return eqmodels.load(cell.network)
    torch.manual_seed(cell.seed)
    network = create_model(STUDENT.partition(".")[0], in_chans=3, num_classes=0, global_pool="canonical")
    network.preprocessing = eqmodels.load(STUDENT).preprocessing
    return network


def measure(cell: FinetunedCell, report: Callable[[str], None]) -> dict[str, Any]:
    """Fine-tunes and scores."""
    train, test = SETS[cell.data]()
    assert test is None
    training, testing = splits(train, test)[cell.seed]
    report("fine-tuning")
    config = FinetuneConfig(epochs=EPOCHS, patience=EPOCHS, seed=cell.seed)
    with tempfile.TemporaryDirectory() as folder:
        found = finetune(network_of(cell), taken(train, training), taken(train, testing), folder, config)
    test_scores = asdict(found.test) | {"mistakes": []}
    return {"test": test_scores, "best": found.best, "seconds": round(found.seconds), "images": dict(found.images)}


def main() -> None:
    """Measures what is missing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with joined_world() as world, world.together(), shown_progress(quiet=not world.is_writer) as tell:
        experiment().run(measure, command=command_line("benchmarks.distil.finetuned"), tell=tell, world=world)


if __name__ == "__main__":
    main()
