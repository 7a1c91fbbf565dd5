"""How well networks learn to put out rotations by what they put them out as: ``python -m benchmarks.space.rotations``.

The controlled task of Zhou et al. 2019 (arXiv 1812.07035): a perceptron is given the nine numbers of a rotation drawn
by Haar's measure, and is to say the same rotation in numbers of a kind. Network, steps, batches, optimiser and loss
(the chordal one, of matrices) are the same for all; only what turns the last numbers into a matrix differs. What no
continuous function can do shows in the largest errors: quaternions and angles must be torn somewhere, six and nine
numbers not.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks._sections import write_section
from eqmodels.groups import (
    euler_matrix,
    matrix_from_quaternion,
    matrix_from_six,
    nearest_rotation,
    random_rotations,
    rotation_angle,
)
from eqmodels.measures import estimate
from eqmodels.objectives import chordal_loss
from eqmodels.reports import Table

__all__ = ["KINDS", "RESULTS", "errors_of", "section"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "space.md"
RESULTS = Path(__file__).parents[1] / "results" / "space" / "rotations" / "kinds.json"

Decoder = Callable[[Tensor], Tensor]
"""From the numbers of a batch to its matrices."""

KINDS: dict[str, tuple[int, Decoder, Decoder]] = {
    "six numbers, Gram-Schmidt": (6, matrix_from_six, matrix_from_six),
    "nine numbers, SVD": (9, lambda x: nearest_rotation(x.unflatten(1, (3, 3))), nearest_rotation),
    "nine numbers, SVD in the end alone": (9, lambda x: x.unflatten(1, (3, 3)), nearest_rotation),
    "quaternion": (4, matrix_from_quaternion, matrix_from_quaternion),
    "Euler angles": (3, lambda x: euler_matrix(x * (180 / math.pi)), lambda x: euler_matrix(x * (180 / math.pi))),
}
"""By what they are called: how many numbers, and what makes matrices of them in training and in the end."""

WIDTH, BATCH, TESTED = 128, 128, 50_000


def errors_of(kind: str, seed: int, steps: int) -> Tensor:
    """Degrees between rotations and what a network that was trained for so many steps says of them, sorted."""
    size, trained, asked = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs in (9, WIDTH, WIDTH, WIDTH):
            layers += [nn.Linear(inputs, WIDTH), nn.LeakyReLU()]
        network = nn.Sequential(*layers, nn.Linear(WIDTH, size))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        truth = random_rotations(BATCH, generator, dtype=torch.float32)
        loss = chordal_loss(trained(network(truth.flatten(1))), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    truth = random_rotations(TESTED, torch.Generator().manual_seed(10_000 + seed), dtype=torch.float32)
    with torch.no_grad():
        numbers = network(truth.flatten(1))
        found = asked(numbers.unflatten(1, (3, 3)) if asked is nearest_rotation else numbers)
    return rotation_angle(found.transpose(1, 2) @ truth).sort()[0]


def section() -> str:
    """A row of each kind: errors in degrees, over the seeds."""
    if not RESULTS.exists():
        return "Nothing has been measured yet."
    content = json.loads(RESULTS.read_text())
    rows = []
    for kind, runs in content["kinds"].items():
        cells = []
        for column in ("mean", "of the worst thousandth", "largest"):
            found = estimate([run[column] for run in runs])
            cells.append(f"{found.mean:.2f} ± {found.high - found.mean:.2f}")
        rows.append([kind, *cells])
    lines = [
        f"{content['steps']:,} steps of {BATCH} rotations for each kind and each of {content['seeds']} seeds; degrees "
        f"over {TESTED:,} others (mean over the seeds ± half of the 95% interval).",
        "",
    ]
    table = Table(["a rotation is put out as", "mean error", "least of the worst thousandth", "largest"], rows)
    return "\n".join(lines) + "\n" + table.markdown(as_it_is=True)


def main() -> None:
    """Trains all of them, and writes figures and section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="only write the section of what was measured")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.write:
        kinds: dict[str, list[dict[str, float]]] = {}
        for kind in KINDS:
            for seed in range(arguments.seeds):
                errors = errors_of(kind, seed, arguments.steps)
                worst = float(errors[-TESTED // 1000])
                one = {"mean": float(errors.mean()), "of the worst thousandth": worst, "largest": float(errors[-1])}
                kinds.setdefault(kind, []).append(one)
                print(kind, seed, one, flush=True)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        content = {"steps": arguments.steps, "seeds": arguments.seeds, "kinds": kinds}
        RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    write_section(DOCUMENT, "rotations", section())


if __name__ == "__main__":
    main()
