"""Images a second of networks side by side, and the time to build each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels.bench.engines import BY_ONNX, EAGER, running
from eqmodels.experiments import Timing, interleaved, summarise

__all__ = ["Speed", "build_seconds", "measure_speed", "seconds_an_image"]

BUILDS = 3


@dataclass(frozen=True)
class Speed:
    """How fast one network is in one setting.

    Attributes:
        batch: images at a time.
        size: height and width of the images in pixels.
        images_per_second: by the median step.
        timing: seconds of a step, and the ratio to the reference's within a round: above 1 it is slower.
        reference: the name of the network that it is compared with.
        rounds: that were interleaved.
        how: the network is run, see `HOWS`.
    """

    batch: int
    size: tuple[int, int]
    images_per_second: float
    timing: Timing
    reference: str
    rounds: int
    how: str = EAGER

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Speed:
        """What `to_dict` wrote.

        Raises:
            TypeError: if names are missing or unknown.
        """
        timing = dict(content["timing"])
        timing["ratio_quartiles"] = tuple(timing["ratio_quartiles"])
        return cls(**{**content, "timing": Timing(**timing), "size": tuple(content["size"])})


def build_seconds(build: Callable[[], object]) -> float:
    """The median time to build a network with its weights, once imports and files are warm."""
    build()
    return median(interleaved({"": build}, rounds=BUILDS, warmup=0)[""])


def measure_speed(
    networks: Mapping[str, nn.Module],
    channels: int,
    size: tuple[int, int],
    batch: int,
    *,
    reference: str,
    rounds: int,
    how: str = EAGER,
) -> dict[str, Speed]:
    """Forward passes in inference mode, or steps of training, channels last, every network once a round.

    In float32, unless the way says otherwise.

    Args:
        networks: by name, in eval mode, on one device.
        channels: of the images.
        size: height and width of the images in pixels.
        batch: images at a time.
        reference: the name of the network that the others are compared with.
        rounds: that count.
        how: the networks are run, one of `HOWS`.
    """
    parameter = next((one for network in networks.values() for one in network.parameters()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, channels, *size, generator=generator).to(parameter.device)
    images = images.contiguous(memory_format=torch.channels_last)

    def step(network: nn.Module) -> Callable[[], None]:
        computed = running(how, network, images)
        # ONNX Runtime takes what lies in memory as numpy does, and would copy the images in every step.
        given = images.contiguous() if how in BY_ONNX else images

        def run() -> None:
            computed(given)
            _wait(images)

        return run

    seconds = interleaved({name: step(one) for name, one in networks.items()}, rounds=rounds, warmup=2)
    return {
        name: Speed(batch, size, batch / timing.median, timing, reference, rounds, how)
        for name, timing in summarise(seconds, reference=reference).items()
    }


def seconds_an_image(network: nn.Module, channels: int, size: tuple[int, int], images: int = 8) -> float:
    """About how long an image takes, for a plan's estimate."""
    parameter = next(network.parameters(), torch.empty(0))
    given = torch.zeros(images, channels, *size).to(parameter)
    with torch.inference_mode():
        network(given)
        started = time.perf_counter()
        network(given)
        _wait(given)
    return (time.perf_counter() - started) / images


def _wait(images: Tensor) -> None:
    if images.device.type == "cuda":
        torch.cuda.synchronize()
