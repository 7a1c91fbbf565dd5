"""Time of a step of encoders of points and of e3nn's own layers: ``python -m benchmarks.space.speed``.

Eight clouds of 256 points, 16 neighbours of each, three layers of 32 scalars, 16 vectors and, up to degree 2, 8
tensors; seconds of the processor, one thread, interleaved rounds. e3nn's are the convolutions and gates of its example
networks (`e3nn.nn.models.v2106`), on the same neighbours, which are found in the step by all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._sections import write_section
from benchmarks.speed._harness import Timings, compare, rows_of
from eqmodels import create_model
from eqmodels.backbones import PointBackbone
from eqmodels.groups.wigner import o3_of_e3nn
from eqmodels.layers.space import neighbours_of
from eqmodels.reports import Table

__all__ = ["RESULTS", "example_layers", "section"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "space.md"
RESULTS = Path(__file__).parents[1] / "results" / "space" / "speed"
FILE = "step"
BATCH, POINTS, NEIGHBOURS = 8, 256, 16
REFERENCE = "e3nn's layers, degree 2"
SETTING = f"batch {BATCH}, {POINTS} points"


class Examples(nn.Module):
    """Three of e3nn's convolutions, with its gates between them.

    Args:
        degree: the largest, of features and of harmonics.
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        from e3nn.nn.models.v2106.gate_points_message_passing import MessagePassing

        self.o3: Any = o3_of_e3nn("a comparison with e3nn")
        self.degree = degree
        hidden = "+".join(["32x0e", "16x1o", "8x2e"][: degree + 1])
        self.layers = MessagePassing(
            irreps_node_sequence=["1x0e+1x1o", hidden, hidden, hidden],
            irreps_node_attr="0e",
            irreps_edge_attr=self.o3.Irreps.spherical_harmonics(degree),
            fc_neurons=[10, 32],
            num_neighbors=float(NEIGHBOURS),
        )

    def forward(self, points: Tensor) -> Tensor:
        """Features of all points: ``(B, N, 3)`` to ``(B N, C)``."""
        positions = points - points.mean(1, keepdim=True)
        found = neighbours_of(positions, NEIGHBOURS, None)
        flat = positions.flatten(0, 1)
        first = points.shape[1] * torch.arange(len(points))[:, None, None]
        source = (found.others + first).flatten()
        target = torch.arange(len(flat)).repeat_interleave(NEIGHBOURS)
        harmonics = self.o3.spherical_harmonics(
            list(range(self.degree + 1)), flat[source] - flat[target], True, normalization="component"
        )
        nodes = torch.cat([flat.norm(dim=1, keepdim=True), flat], 1)
        features: Tensor = self.layers(
            nodes, torch.ones(len(flat), 1), source, target, harmonics, found.basis.flatten(0, 2)
        )
        return features


def example_layers(degree: int) -> nn.Module:
    """e3nn's layers, up to a degree."""
    return Examples(degree)


def _step(network: nn.Module, points: Tensor) -> Callable[[], None]:
    """One forward and one backward pass."""

    def step() -> None:
        network.zero_grad()
        features = network.forward_features(points) if isinstance(network, PointBackbone) else network(points)
        features.square().mean().backward()

    return step


def section() -> str:
    """The table for the document."""
    if not (RESULTS / f"{FILE}.json").exists():
        return "Nothing has been measured yet."
    rows = rows_of(FILE, RESULTS)
    cells = [[name, f"{row.median:.0f}", row.ratio_in_words()] for (_, name), row in rows.items()]
    return Table(["step of", "milliseconds", "ratio (quartiles)"], cells).markdown(as_it_is=True)


def main() -> None:
    """Times all, and writes the table and the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    points = torch.randn(BATCH, POINTS, 3)
    networks: dict[str, nn.Module] = {
        REFERENCE: example_layers(2),
        "`o3_points_small`": create_model("o3_points_small"),
        "`so3_points_small`": create_model("so3_points_small"),
        "e3nn's layers, degree 1": example_layers(1),
        "`o3_vectors_small`": create_model("o3_vectors_small"),
        "`so3_vectors_small`": create_model("so3_vectors_small"),
    }
    steps = {name: _step(network.train(), points) for name, network in networks.items()}
    rows = compare(
        SETTING, steps, reference=REFERENCE, rounds=arguments.rounds, clock=lambda: 1000 * time.process_time()
    )
    Timings.of(
        "Time of a step of encoders of points",
        unit="milliseconds of the processor",
        reference=REFERENCE,
        module=__spec__.name,
        rounds=arguments.rounds,
        rows=rows,
    ).save(FILE, RESULTS)
    write_section(DOCUMENT, "speed", section())


if __name__ == "__main__":
    main()
