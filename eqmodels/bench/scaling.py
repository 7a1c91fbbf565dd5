"""How the time of a network grows with its width and with the size of its images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eqmodels.backbones import create_model
from eqmodels.bench.exponents import Exponent, fit_exponent
from eqmodels.experiments import interleaved, summarise

__all__ = ["FAMILIES", "Scaling", "measure_scaling"]

FAMILIES = ("resnet18s", "c4_resnet18s", "d4_resnet18s")
AXES = ("width", "size")
IMAGES = 4
"""At a time."""
WIDTH, SIZE = 16, 32
"""Of what does not grow."""


@dataclass(frozen=True)
class Scaling:
    """The time of a forward pass of four images, over one quantity.

    Attributes:
        axis: ``width`` in dense channels, or ``size``, pixels of a side.
        values: of it.
        seconds: of each, the median over rounds in which all are timed.
        exponent: of ``seconds = c value^a``. Multiply-adds grow by the power 2 of either.
    """

    axis: str
    values: tuple[int, ...]
    seconds: tuple[float, ...]
    exponent: Exponent

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Scaling:
        """What `to_dict` made of one.

        Raises:
            TypeError: if names are missing or unknown.
        """
        exponent = Exponent.from_dict(content["exponent"])
        return cls(content["axis"], tuple(content["values"]), tuple(content["seconds"]), exponent)

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return {
            "axis": self.axis,
            "values": self.values,
            "seconds": self.seconds,
            "exponent": self.exponent.to_dict(),
        }


def measure_scaling(
    family: str,
    axis: str,
    values: Iterable[int],
    *,
    rounds: int,
    report: Callable[[str], None] = lambda _: None,
) -> Scaling:
    """Times one architecture at several widths, or on images of several sizes, interleaved.

    Args:
        family: an architecture that has widths, such as ``c4_resnet18s``.
        axis: ``width`` or ``size``.
        values: of it, at least two.
        rounds: that count.
        report: called with a word on what is being done.

    Raises:
        ValueError: if there is no such architecture or width, or no such axis.
    """
    if axis not in AXES:
        raise ValueError(f"axis must be one of {', '.join(AXES)}; got {axis!r}. Name one.")
    chosen = tuple(values)
    report("building")
    steps = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for value in chosen:
            width, size = (value, SIZE) if axis == "width" else (WIDTH, value)
            network = create_model(f"{family}_w{width}", num_classes=0).eval()
            steps[str(value)] = _step(network, torch.randn(IMAGES, 3, size, size))
    report("timing")
    seconds = summarise(interleaved(steps, rounds=rounds, warmup=2), reference=str(chosen[0]))
    medians = tuple(seconds[str(value)].median for value in chosen)
    return Scaling(axis, chosen, medians, fit_exponent(chosen, medians))


def _step(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    given = images.contiguous(memory_format=torch.channels_last)

    def run() -> None:
        with torch.inference_mode():
            network(given)

    return run
