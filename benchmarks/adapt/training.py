"""The few trainings of the comparison: a classifier of turned pictures, and the weights of an orbit's mean."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.adapt.seen import TURNS
from eqmodels.data import LabelledImages

__all__ = ["moved_at_random", "trained_on_turned", "trained_weights"]

BATCH = 32
DECAY = 0.02
WEIGHTS_EPOCHS, WEIGHTS_RATE = 10, 1e-3


def trained_on_turned(network: nn.Module, images: LabelledImages, *, epochs: int, rate: float, seed: int) -> nn.Module:
    """A network after some passes over pictures that are turned and mirrored at random, in eval mode.

    Args:
        network: from pixels in [0, 1] to features and scores.
        images: the training pictures.
        epochs: passes.
        rate: of AdamW; it rises during the first pass and then falls as a cosine does.
        seed: of the order and the motions.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _part(step, steps, epochs * steps))
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for chosen in order[: steps * BATCH].split(BATCH):
            seen = moved_at_random(images.pixels(chosen), generator)
            loss = F.cross_entropy(network(seen)[1], images.labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def moved_at_random(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by an element of `TURNS`; through the circle where the angle would show in its corners."""
    moved = torch.randint(TURNS.order, (len(pixels),), generator=generator).tolist()
    pairs = zip(moved, pixels, strict=True)
    return torch.stack([TURNS.act(g, one, circular=not TURNS.is_exact(g)) for g, one in pairs])


def _part(step: int, rising: int, steps: int) -> float:
    return min((step + 1) / rising, 0.5 * (1 + math.cos(math.pi * step / steps)))


def trained_weights(pool: nn.Module, orbits: Tensor, labels: Tensor, classes: int, seed: int) -> nn.Module:
    """What weighs an orbit, trained with a linear classifier of the weighted mean that is then left out.

    Args:
        pool: a weighted pooling, from regular maps to features.
        orbits: ``(N, |G|, F)``, the answers about the training pictures.
        labels: their classes.
        classes: how many there are.
        seed: of the weights and the order.
    """
    generator = torch.Generator().manual_seed(seed)
    normalise = nn.BatchNorm1d(orbits.shape[2], affine=False)
    classifier = nn.Linear(orbits.shape[2], classes)
    parameters = [*pool.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=WEIGHTS_RATE, weight_decay=DECAY)
    pool.train()
    for _ in range(WEIGHTS_EPOCHS):
        for chosen in torch.randperm(len(labels), generator=generator).split(BATCH):
            features = pool(orbits[chosen].flatten(1)[:, :, None, None])
            loss = F.cross_entropy(classifier(normalise(features)), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return pool.eval()
