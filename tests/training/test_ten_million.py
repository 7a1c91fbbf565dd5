"""Ten million images that nobody keeps: the memory of a run does not grow with their number.

They are simulated: a source makes each from its number, as one of files would decode it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import torch

from eqmodels.data import balanced_subset, check_source, numbers_of
from eqmodels.training import Pretraining
from tests.training.runs import tiny

MANY = 10_000_000


@dataclass(frozen=True)
class Simulated:
    """Grey images of 8 x 8 pixels, made of their numbers; they ask for an order that takes no memory."""

    count: int
    name: str = "simulated"
    channels: int = 1
    size: tuple[int, int] = (8, 8)
    classes: tuple[str, ...] = ()
    order: str = "keyed"

    def __len__(self) -> int:
        return self.count

    @property
    def labels(self) -> torch.Tensor:
        return torch.tensor(-1).expand(self.count)

    def pixels(self, indices: torch.Tensor | slice) -> torch.Tensor:
        numbers = numbers_of(indices, self.count)
        pattern = torch.arange(64, dtype=torch.uint8) * 5
        levels = (numbers * 2654435761 >> 7).to(torch.uint8)[:, None] + pattern
        return (levels.float() / 255).view(-1, 1, 8, 8)


def steps(count: int) -> float:
    """A few steps on so many images, and on a subset of them; the seconds of the median step."""
    source = check_source(Simulated(count))
    for data in (source, balanced_subset(source, count // 100)):
        run = Pretraining(tiny(), data)
        run.check_views()
        run.network.train()
        seconds = []
        for _ in range(5):
            started = time.perf_counter()
            run.step()
            seconds.append(time.perf_counter() - started)
        run.close()
    return sorted(seconds)[2]


def peak() -> int:
    """The most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure() -> None:
    """What the test asks of a process of its own."""
    torch.set_num_threads(1)
    few = steps(20_000)
    before = peak()
    many = steps(MANY)
    print(few, many, peak() - before)


@pytest.mark.slow
def test_memory_is_flat_and_a_step_costs_what_its_batch_costs():
    command = [sys.executable, "-c", "from tests.training.test_ten_million import measure; measure()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many, grown = map(float, done.stdout.split())
    assert grown < 100e6
    assert many < 3 * few


def test_simulated_images_have_steps_whatever_their_number():
    assert steps(10_000) > 0
