"""Supervised training with few labels and with all: from scratch, or of pretrained weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels._shapes import Int
from eqmodels.backbones import Encoder
from eqmodels.bench.quality import MIRRORED, TURNED
from eqmodels.data import Source
from eqmodels.evaluation import encode
from eqmodels.evaluation.encoding import Subject, normalised
from eqmodels.evaluation.orbits import UPRIGHT

__all__ = ["BATCH", "EQUAL_TIME", "OF_TURNED", "SCRATCH", "TUNED", "Supervised", "learning_step", "measure_supervised"]

BATCH = 64
SCRATCH, TUNED = "from scratch", "fine-tuned"
OF_TURNED, EQUAL_TIME = "from scratch, turned", "from scratch, equal time"
"""Of images that are turned by random quarters in every step; for as long as another network learns."""
RATES = {SCRATCH: 3e-3, OF_TURNED: 3e-3, EQUAL_TIME: 3e-3, TUNED: 1e-3}
"""Of AdamW at its highest."""
DECAY, WARM_UP = 0.02, 0.1


@dataclass(frozen=True)
class Supervised:
    """A network that was trained with a linear classifier behind its features, on upright images but for one way.

    Attributes:
        how: it was trained, a key of `RATES`.
        images: that it was trained on, equally many of every class.
        steps: of training, of 64 images each, whatever the number of images.
        upright: accuracy on held-out images, from 0 to 1.
        turned: on the same turned by 90, 180 and 270 degrees, on average.
        mirrored: on the same mirrored, and turned then by 0, 90, 180 and 270 degrees.
        changed_turned: share of the turned images of which it says another class than of the upright one.
        loss: of the last tenth of the training, in nats.
        pace: where training time is equal, the time of a step beside that of the network that it is equal to.
    """

    how: str
    images: int
    steps: int
    upright: float
    turned: float
    mirrored: float
    changed_turned: float
    loss: float
    pace: float | None = None


def measure_supervised(
    encoder: Encoder,
    train: Source,
    test: Source,
    *,
    how: str,
    steps: int,
    seed: int = 0,
    moved: Source | None = None,
    bf16: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Supervised:
    """Trains a copy of a network by AdamW, on images as they are read, and asks about moved images.

    Args:
        encoder: whose weights training starts from; it is not changed.
        train: labelled images.
        test: held-out images of the same classes.
        how: a key of `RATES`, which chooses the rate.
        steps: of 64 images.
        seed: of the classifier and of the batches.
        moved: held-out images that are turned and mirrored; None for those of the test.
        bf16: whether training runs under autocast of 16 bits, which takes two thirds of the time where the machine has
            such products; tests are in float32.
        report: called with a word on what is being done.

    Raises:
        ValueError: if the images do not suit the encoder, or have no classes.
        TypeError: if the encoder is no module, which alone can be trained.
    """
    if not isinstance(encoder, nn.Module):
        raise TypeError(f"a module is trained here; got {type(encoder).__name__}. Leave it out of supervised training.")
    network = copy.deepcopy(encoder)
    subject = Subject.of(network)
    width = encode(subject, train.pixels, 1).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(width, len(train.classes)).to(subject.device)
        losses = _trained(network, head, subject, train, (how, steps, seed, bf16), report)
    network.eval()
    head.eval()
    report("testing")

    def predicted(of: Source, view: Any) -> Int[Tensor, " N"]:  # noqa: ANN401
        with torch.no_grad():
            scores: Tensor = head(encode(subject, of.pixels, len(of), view=view).to(subject.device))
        return scores.argmax(1).cpu()

    upright = predicted(test, UPRIGHT)
    moved, unmoved = (test, upright) if moved is None else (moved, predicted(moved, UPRIGHT))
    turned, mirrored = ([predicted(moved, view) for view in views] for views in (TURNED, MIRRORED))
    return Supervised(
        how=how,
        images=len(train),
        steps=steps,
        upright=_share([upright], test.labels),
        turned=_share(turned, moved.labels),
        mirrored=_share(mirrored, moved.labels),
        changed_turned=1 - _share(turned, unmoved),
        loss=sum(losses[-max(steps // 10, 1) :]) / max(steps // 10, 1),
    )


def _trained(
    network: nn.Module,
    head: nn.Module,
    subject: Subject,
    train: Source,
    asked: tuple[str, int, int, bool],
    report: Callable[[str], None],
) -> list[float]:
    """The losses of every step, the network and its head trained in place."""
    how, steps, seed, bf16 = asked
    learn, optimiser = learning_step(network, head, how, bf16=bf16)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    generator = torch.Generator().manual_seed(seed)
    network.train()
    losses, order = [], torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if step % 20 == 0:
            report(f"step {step} of {steps}")
        while len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(train), generator=generator)])
        chosen, order = order[:BATCH], order[BATCH:]
        images = normalised(train.pixels(chosen), subject.preprocessing, subject.device)
        losses.append(learn(images, train.labels[chosen].to(subject.device)))
        schedule.step()
    return losses


def learning_step(
    network: nn.Module, head: nn.Module, how: str, *, bf16: bool = False
) -> tuple[Callable[[Tensor, Tensor], float], torch.optim.Optimizer]:
    """A step of training, from normalised images and their classes to the loss, and its optimiser.

    Args:
        network: to features, in train mode.
        head: from features to scores.
        how: a key of `RATES`.
        bf16: whether the forward pass runs under autocast of 16 bits.
    """
    parameters = [one for one in (*network.parameters(), *head.parameters()) if one.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=RATES[how], weight_decay=DECAY)

    def learn(images: Tensor, labels: Tensor) -> float:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(head(network(images)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return learn, optimiser


def _rate(step: int, steps: int) -> float:
    """The part of the rate that a step has: it rises in the first tenth and falls as a cosine."""
    first = max(WARM_UP * steps, 1)
    return min((step + 1) / first, 0.5 * (1 + math.cos(math.pi * max(step - first, 0) / max(steps - first, 1))))


def _share(predictions: list[Tensor], labels: Tensor) -> float:
    """How often predictions are the labels, over several views."""
    return float(torch.stack([(one == labels).to(torch.float64).mean() for one in predictions]).mean())
