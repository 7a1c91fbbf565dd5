"""Trains and tests every cell that is not done: ``python -m benchmarks.segmentation.train SCENES``.

A cell is a network, a number of training pictures and a seed, which draws weights, pictures and batches; its result is
a file below ``benchmarks/results/segmentation``, and what was stopped goes on with the cell that it was at. Under
torchrun the cells are shared out. All cells of the first seed come first. The mean intersection over union is over the
ten classes and the background, of the test pictures as they are, and turned by quarters and mirrored, whichever are no
rotation by zero.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.segmentation.networks import NETWORKS, OUTPUTS, cost
from eqmodels import PlanarGroup
from eqmodels._shapes import Float, Int
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.processes.world import joined_world
from eqmodels.storage import StorageError

RESULTS = Path(__file__).parents[1] / "results" / "segmentation"
SIZES, SEEDS = (50, 200, 1000), (0, 1, 2)
STEPS, BATCH, RATE, DECAY = 500, 16, 3e-3, 1e-2
BACKGROUND = 0.25
"""The weight of the background, four fifths of all pixels, in the loss."""
D4 = PlanarGroup.parse("d4")
MOTIONS = {"upright": (0,), "turned": (1, 2, 3), "mirrored": (4, 5, 6, 7)}
"""The elements by which test pictures are moved, one after the other."""

Pictures = Float[Tensor, "B 3 H W"]
Masks = Int[Tensor, "B H W"]


def scenes(folder: Path, split: str) -> tuple[Pictures, Masks]:
    """Pictures of a split, normalised, and their masks."""
    with np.load(folder / f"{split}.npz") as file:
        images = torch.from_numpy(file["images"]).float() / 255
        return (images - 0.5) / 0.25, torch.from_numpy(file["masks"]).long()


def trained(network: nn.Module, images: Pictures, masks: Masks, seed: int, turned: bool) -> nn.Module:
    """The network after `STEPS` steps of AdamW, whose rate falls as a cosine after a tenth of them."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate_at)
    weight = torch.ones(OUTPUTS)
    weight[0] = BACKGROUND
    network.train()
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,), generator=generator)
        batch, labels = images[chosen], masks[chosen]
        if turned:
            batch, labels = moved(batch, labels, torch.randint(D4.order, (BATCH,), generator=generator).tolist())
        optimiser.zero_grad()
        F.cross_entropy(network(batch), labels, weight).backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def moved(images: Pictures, masks: Masks, elements: Sequence[int]) -> tuple[Pictures, Masks]:
    """Pictures and masks, each moved by one element of D4 after the other, from the first on again."""
    pairs = [(D4.act(g, x), D4.act(g, y)) for g, x, y in zip(itertools.cycle(elements), images, masks, strict=False)]
    return torch.stack([image for image, _ in pairs]), torch.stack([mask for _, mask in pairs])


def rate_at(step: int) -> float:
    """The part of the rate that a step has."""
    first = STEPS // 10
    return min((step + 1) / first, 0.5 * (1 + math.cos(math.pi * max(step - first, 0) / (STEPS - first))))


@torch.no_grad()
def mean_iou(network: nn.Module, images: Pictures, masks: Masks) -> float:
    """The mean over classes of intersection over union, counted over all pixels."""
    counts = torch.zeros(OUTPUTS**2, dtype=torch.long)
    for batch, labels in zip(images.split(50), masks.split(50), strict=True):
        found = network(batch).argmax(1)
        counts += torch.bincount((labels * OUTPUTS + found).flatten(), minlength=OUTPUTS**2)
    table = counts.view(OUTPUTS, OUTPUTS)
    both = table.diagonal()
    return float((both / (table.sum(0) + table.sum(1) - both).clamp(min=1)).mean())


@dataclass(frozen=True)
class SegmentationCell:
    """One training.

    Attributes:
        network: its name in `NETWORKS`.
        pictures: that it is trained on.
        seed: of weights, of the choice of pictures, and of batches.
    """

    network: str
    pictures: int
    seed: int

    @property
    def name(self) -> str:
        """Its folder within `RESULTS`."""
        return f"{self.network.replace(', ', '_').replace(' ', '_').lower()}_{self.pictures}_{self.seed}"


def cells(sizes: Iterable[int] = SIZES, seeds: Iterable[int] = SEEDS) -> tuple[SegmentationCell, ...]:
    """All trainings, those of the first seed first."""
    return tuple(SegmentationCell(name, count, seed) for seed in seeds for count in sizes for name in NETWORKS)


def experiment(
    chosen: Sequence[SegmentationCell], folder: Path = RESULTS
) -> Experiment[SegmentationCell, dict[str, Any]]:
    """Some trainings, and where their results are."""
    return Experiment(folder, chosen, _read)


def _read(cell: SegmentationCell, content: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a cell, which must be of its network, pictures and seed."""
    if (content["network"], content["pictures"], content["seed"]) != (cell.network, cell.pictures, cell.seed):
        raise StorageError(f"the result of {cell.name} is of another cell. Delete it, and it is measured again.")
    return dict(content)


def measure(folder: Path, cell: SegmentationCell, report: Callable[[str], None]) -> dict[str, Any]:
    """One network trained on so many pictures, and tested."""
    torch.manual_seed(cell.seed)
    build, turned = NETWORKS[cell.network]
    network = build()
    known = cost(network)
    report("training")
    images, masks = scenes(folder, "train")
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(cell.seed))[: cell.pictures]
    trained(network, images[chosen], masks[chosen], cell.seed, turned)
    report("testing")
    images, masks = scenes(folder, "test")
    tested = {words: moved(images, masks, elements) for words, elements in MOTIONS.items()}
    return {
        "network": cell.network,
        "pictures": cell.pictures,
        "seed": cell.seed,
        **known,
        "steps": STEPS,
        **{words: mean_iou(network, *pair) for words, pair in tested.items()},
    }


def main() -> None:
    """Computes what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path, help="the folder that benchmarks.segmentation.scenes wrote")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of training pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = experiment(cells(arguments.sizes, arguments.seeds))
    with joined_world() as world, world.together(), shown_progress(quiet=not world.is_writer) as tell:
        command = command_line("benchmarks.segmentation.train")
        found.run(partial(measure, arguments.scenes), command=command, tell=tell, world=world)


if __name__ == "__main__":
    main()
