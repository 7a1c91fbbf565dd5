"""Equal training time: as many steps as a network makes while another one makes those of a suite."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from eqmodels.backbones import Encoder
from eqmodels.bench.supervised import BATCH, EQUAL_TIME, learning_step
from eqmodels.data import Source
from eqmodels.evaluation import encode
from eqmodels.evaluation.encoding import Subject, normalised
from eqmodels.experiments import interleaved, summarise

__all__ = ["time_of_step"]

ROUNDS = 9
"""In each of which both networks make a step."""


def time_of_step(network: Encoder, reference: Encoder, train: Source) -> float:
    """The time of a step of supervised training beside that of a reference: the median quotient of interleaved rounds.

    On a CPU it is the processor's time with one thread, which other programs on the machine change little.

    Args:
        network: a module; it is not changed.
        reference: another one, of the same images.
        train: images that both take.
    """
    device = Subject.of(network).device

    def clock() -> float:
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = {"own": _step(network, train), "reference": _step(reference, train)}
        seconds = interleaved(steps, rounds=ROUNDS, warmup=2, clock=clock)
    finally:
        torch.set_num_threads(threads)
    return summarise(seconds, reference="reference")["own"].ratio


def _step(encoder: Encoder, train: Source) -> Callable[[], float]:
    """A step of the training of a copy, on the first images."""
    network: Any = copy.deepcopy(encoder)
    subject = Subject.of(network)
    chosen = torch.arange(BATCH) % len(train)
    images = normalised(train.pixels(chosen), subject.preprocessing, subject.device)
    labels = train.labels[chosen].to(subject.device)
    width = encode(subject, train.pixels, 1).shape[1]
    head = nn.Linear(width, len(train.classes)).to(subject.device)
    learn, _ = learning_step(network.train(), head, EQUAL_TIME)
    return lambda: learn(images, labels)
