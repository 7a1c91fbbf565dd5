"""Trains and tests every cell that is not done: ``python -m benchmarks.segmentation.train SCENES``.

A cell is a network, a number of training pictures and a seed, which draws weights, pictures and batches; its result is
a file of ``benchmarks/results/segmentation``, and a run that was stopped goes on with the cell that it was at. All
cells of the first seed come first. The mean intersection over union is over the ten classes and the background, of
the test pictures as they are, and turned by quarters and mirrored, whichever are no rotation by zero.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.segmentation.networks import NETWORKS, OUTPUTS, cost
from eqmodels import PlanarGroup
from eqmodels._shapes import Float, Int
from eqmodels.storage import write_atomically

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


def cell(folder: Path, name: str, count: int, seed: int) -> dict[str, Any]:
    """One network trained on so many pictures, and tested."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    build, turned = NETWORKS[name]
    network = build()
    known = cost(network)
    images, masks = scenes(folder, "train")
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    trained(network, images[chosen], masks[chosen], seed, turned)
    images, masks = scenes(folder, "test")
    tested = {words: moved(images, masks, elements) for words, elements in MOTIONS.items()}
    return {
        "network": name,
        "pictures": count,
        "seed": seed,
        **known,
        "steps": STEPS,
        **{words: mean_iou(network, *pair) for words, pair in tested.items()},
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    """Computes what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", type=Path, help="the folder that benchmarks.segmentation.scenes wrote")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of training pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for count in arguments.sizes:
            for name in NETWORKS:
                file = RESULTS / f"{name.replace(', ', '_').replace(' ', '_').lower()}_{count}_{seed}.json"
                if not file.exists():
                    result = cell(arguments.scenes, name, count, seed)
                    write_atomically(file, json.dumps(result, indent=1) + "\n")
                    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
