"""Which pooling canonical features are fine-tuned with, chosen on training images that are held out.

``python -m benchmarks.standard.poolings`` measures what is not there yet. The network is C4 of the standard suite, its
training that of the suite's supervised cells, and no test image is looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from eqmodels.bench.supervised import Supervised, measure_supervised
from eqmodels.data import Source, at_most, balanced_subset, load_data, subset
from eqmodels.experiments import Experiment, command_line
from eqmodels.hub.loading import load_for_images
from eqmodels.measures import estimate
from eqmodels.reports import Table
from eqmodels.storage import StorageError

RESULTS = Path(__file__).parents[1] / "results" / "poolings"
NETWORK, DATA = "c4_resnet18s_w16.rot_fmnist_simclr", "fashion_mnist_mini"
WORDS = {
    "canonical": "`canonical`: the pose is chosen, its head stays",
    "canonical-soft": "`canonical-soft`: averaged over the poses, its head learns",
    "invariant": "`invariant`: the maximum over the group",
}
IMAGES, SEEDS, STEPS = (500, 5000), (0, 1, 2), 200
HELD_OUT, CHOICE = 1000, 99
"""Training images to choose on, and the seed that they are drawn by."""


@dataclass(frozen=True)
class PoolingCell:
    """One fine-tuning: a pooling, a number of training images, and the seed of choice and batches."""

    pooling: str
    images: int
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.pooling}_{self.images}_{self.seed}"


def experiment(folder: Path = RESULTS) -> Experiment[PoolingCell, Supervised]:
    """All fine-tunings, those of the first seed first, and where their results are."""
    cells = [PoolingCell(pooling, count, seed) for seed in SEEDS for count in IMAGES for pooling in WORDS]
    return Experiment(folder, cells, _read)


def _read(cell: PoolingCell, content: Mapping[str, Any]) -> Supervised:
    found = Supervised(**content["values"])
    if content["name"] != cell.name or found.images != cell.images:
        raise StorageError(f"the result of {cell.name} is of another cell. Delete it, and it is measured again.")
    return found


def parts() -> tuple[Source, Source]:
    """The training images without those that are held out, and these."""
    train = load_data(DATA, "train")
    chosen = balanced_subset(train, HELD_OUT, seed=CHOICE)
    rest = torch.ones(len(train), dtype=torch.bool)
    rest[chosen.numbers] = False
    return subset(train, rest), chosen


def measure(cell: PoolingCell, report: Callable[[str], None]) -> dict[str, Any]:
    """One fine-tuning, asked about the images that are held out."""
    rest, held_out = parts()
    network = load_for_images(NETWORK, num_classes=0, global_pool=cell.pooling)
    train = at_most(rest, cell.images, seed=cell.seed)
    asked: dict[str, Any] = {"how": "fine-tuned", "steps": STEPS, "seed": cell.seed, "report": report}
    return {"values": asdict(measure_supervised(network, train, held_out, **asked))}


def section(folder: Path = RESULTS) -> Iterator[str]:
    """What docs/results.md shows of it."""
    found = experiment(folder).results()
    if not found:
        return
    yield (
        f"Why that pooling: `{NETWORK}`, fine-tuned so, and asked about {HELD_OUT:,} training images that were held "
        "out, upright, in %; turned by quarters, all three are right on as many:"
    )
    rows = []
    for pooling, words in WORDS.items():
        own = [[one for cell, one in found.items() if (cell.pooling, cell.images) == (pooling, n)] for n in IMAGES]
        rows.append([words, *(estimate(one.upright for one in some).as_percent() for some in own)])
    yield Table(["features", *(f"{count:,} images" for count in IMAGES)], rows).markdown(as_it_is=True)


def main() -> None:
    """Measures what is not there yet."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    experiment().run(measure, command=command_line("benchmarks.standard.poolings"))


if __name__ == "__main__":
    main()
