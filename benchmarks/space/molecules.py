"""Gap, dipole and polarisability of QM9's molecules: ``python -m benchmarks.space.molecules --root FOLDER``.

FOLDER is ``qm9pack/data`` of the package qm9pack (MIT; ``pip install --no-deps qm9pack``). 10,000 molecules are drawn
by a seed: 8,000 to train on, 1,000 to stop by, 1,000 to test. Of each property what a linear fit on the numbers of each
element predicts is taken away first; that fit is the baseline. One network learns the rest of all three at once.

Source: Ramakrishnan et al. 2014, *Quantum chemistry structures and properties of 134 kilo molecules*.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._sections import write_section
from eqmodels import create_model
from eqmodels.layers.space import pad_clouds
from eqmodels.measures import estimate
from eqmodels.reports import Table

__all__ = ["ELEMENTS", "PROPERTIES", "RESULTS", "Molecules", "read_molecules", "section"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "space.md"
RESULTS = Path(__file__).parents[1] / "results" / "space" / "molecules"

ELEMENTS = ("H", "C", "N", "O", "F")
HARTREE = 27_211.386
"""Millielectronvolts of a hartree."""
PROPERTIES = {
    "gap (meV)": ("HOMO_LUMO_gap_au", HARTREE),
    "dipole (D)": ("Dipole_debye", 1.0),
    "polarisability (bohr³)": ("Polarizability_bohr3", 1.0),
}
"""By what they are called: the column, and what its numbers are multiplied by."""

PUBLISHED = {"TFN": (58, 0.064, 0.223), "Cormorant": (61, 0.038, 0.085), "EGNN": (48, 0.029, 0.071)}
"""Mean absolute errors from Satorras et al. 2021 (arXiv 2102.09844), table 3: trained on 100,000 molecules."""

MODEL = "o3_vectors_small"
COUNT, HELD = 10_000, 1_000
BATCH = 64


@dataclass(frozen=True)
class Molecules:
    """Molecules of several sizes.

    Attributes:
        atoms: of each ``(N, 3 + 5)``: positions in angstrom, and which element it is.
        targets: ``(molecules, 3)``, in the units of `PROPERTIES`.
    """

    atoms: list[Tensor]
    targets: Tensor

    def counts(self) -> Tensor:
        """How many atoms of each element every molecule has, and a one: ``(molecules, 6)``, float64."""
        numbers = torch.stack([one[:, 3:].sum(0) for one in self.atoms]).double()
        return torch.cat([numbers, torch.ones(len(numbers), 1, dtype=torch.float64)], 1)

    def part(self, numbers: list[int]) -> Molecules:
        """Those of such numbers."""
        return Molecules([self.atoms[n] for n in numbers], self.targets[numbers])


def read_molecules(root: Path, count: int, seed: int) -> Molecules:
    """Molecules drawn from the tables of a folder, in the order in which they were drawn.

    Raises:
        FileNotFoundError: if the folder has no such tables.
    """
    tables = sorted(root.glob("qm9_part*.csv"))
    if not tables:
        raise FileNotFoundError(
            f"{root} has no qm9_part1.csv, .... Name the folder qm9pack/data of the package qm9pack."
        )
    rows = [row for table in tables for row in _rows(table)]
    chosen = random.Random(seed).sample(rows, min(count, len(rows)))
    atoms, targets = [], []
    for row in chosen:
        positions = torch.tensor(json.loads(row["XYZ_Ang"]), dtype=torch.float32)
        elements = [ELEMENTS.index(name) for name in json.loads(row["Elements"].replace("'", '"'))]
        atoms.append(torch.cat([positions, nn.functional.one_hot(torch.tensor(elements), 5).float()], 1))
        targets.append([float(row[column]) * unit for column, unit in PROPERTIES.values()])
    return Molecules(atoms, torch.tensor(targets, dtype=torch.float64))


def _rows(table: Path) -> Iterator[dict[str, str]]:
    wanted = ("XYZ_Ang", "Elements", *(column for column, _ in PROPERTIES.values()))
    with table.open(newline="") as stream:
        for row in csv.DictReader(stream):
            yield {name: row[name] for name in wanted}


def measured(molecules: Molecules, seed: int, epochs: int) -> dict[str, Any]:
    """Mean absolute errors of the linear fit and of a network that was trained for so many epochs."""
    order = list(range(len(molecules.atoms)))
    random.Random(1000 + seed).shuffle(order)
    parts = (order[2 * HELD :], order[:HELD], order[HELD : 2 * HELD])
    train, stop, test = (molecules.part(numbers) for numbers in parts)
    fit = torch.linalg.lstsq(train.counts(), train.targets).solution
    rest = train.targets - train.counts() @ fit
    mean, scale = rest.mean(0), rest.std(0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = create_model(MODEL, in_chans=8, num_classes=len(PROPERTIES), normalise=False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    steps = epochs * (len(train.atoms) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.05)
    generator, best, kept = torch.Generator().manual_seed(seed), float("inf"), {}
    start = time.process_time()
    for epoch in range(epochs):
        for numbers in torch.randperm(len(train.atoms), generator=generator).split(BATCH):
            if len(numbers) == BATCH:
                points, mask = pad_clouds([train.atoms[n] for n in numbers.tolist()])
                aim = ((rest[numbers] - mean) / scale).float()
                optimiser.zero_grad()
                (network.train()(points, mask=mask) - aim).abs().mean().backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
        errors = (predicted(network, stop) * scale + mean + stop.counts() @ fit - stop.targets).abs().mean(0)
        if (score := float((errors / scale).mean())) < best:
            best, kept = score, {name: value.clone() for name, value in network.state_dict().items()}
        print(seed, epoch, errors.tolist(), round(time.process_time() - start), flush=True)
    network.load_state_dict(kept)
    found = (predicted(network, test) * scale + mean + test.counts() @ fit - test.targets).abs().mean(0)
    return {
        "seed": seed,
        "epochs": epochs,
        "train": len(train.atoms),
        "test": len(test.atoms),
        "parameters": sum(value.numel() for value in network.parameters()),
        "processor_seconds": round(time.process_time() - start, 1),
        "counts": (test.counts() @ fit - test.targets).abs().mean(0).tolist(),
        "network": found.tolist(),
    }


@torch.no_grad()
def predicted(network: nn.Module, molecules: Molecules) -> Tensor:
    """What the network says of molecules, in float64."""
    found = []
    for first in range(0, len(molecules.atoms), 2 * BATCH):
        points, mask = pad_clouds(molecules.atoms[first : first + 2 * BATCH])
        found.append(network.eval()(points, mask=mask).double())
    return torch.cat(found)


def section() -> str:
    """The table for the document."""
    cells = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    if not cells:
        return "Nothing has been measured yet."
    first = cells[0]
    rows = []
    for kind, words in (("counts", "numbers of each element, linear"), ("network", f"`{MODEL}`")):
        values = [estimate([cell[kind][n] for cell in cells]) for n in range(len(PROPERTIES))]
        seconds = "-" if kind == "counts" else f"{sum(c['processor_seconds'] for c in cells) / len(cells):.0f}"
        rows.append([words, f"{first['train']:,}", seconds, *(f"{one.mean:.3g}" for one in values)])
    rows += [[f"{name}, published", "100,000", "-", *map(str, values)] for name, values in PUBLISHED.items()]
    header = ["predicted by", "molecules", "seconds", *PROPERTIES]
    words = f"Mean absolute errors on {first['test']:,} molecules, seeds: {len(cells)}."
    return f"{words}\n\n{Table(header, rows).markdown(as_it_is=True)}"


def main() -> None:
    """Trains, measures, and writes a file of each seed and the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder qm9pack/data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    molecules = read_molecules(arguments.root, COUNT, 0)
    found = measured(molecules, arguments.seed, arguments.epochs)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{MODEL}-{arguments.seed}.json").write_text(json.dumps(found, indent=1) + "\n")
    write_section(DOCUMENT, "molecules", section())


if __name__ == "__main__":
    main()
