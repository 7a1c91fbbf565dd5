"""Gap, dipole and polarisability of QM9's molecules: ``python -m benchmarks.space.molecules``.

They are those of the package qm9pack, if it is installed, or of ``--root``. 10,000 are drawn by a seed: 8,000 to train
on and 1,000 to stop by, of the training split, and 1,000 to test on, of the other. Of each property what a linear fit
on the numbers of each element predicts is taken away first; that fit is the baseline. One network learns the rest.

Source: Ramakrishnan et al. 2014, *Quantum chemistry structures and properties of 134 kilo molecules*.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from benchmarks._sections import write_section
from eqmodels import create_model
from eqmodels.data import LabelledMolecules, balanced_subset, load_data, targets_of
from eqmodels.measures import estimate
from eqmodels.reports import Table

__all__ = ["PROPERTIES", "RESULTS", "Parts", "counts_of", "measured", "read_parts", "section", "wanted_of"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "space.md"
RESULTS = Path(__file__).parents[1] / "results" / "space" / "molecules"

PROPERTIES = ("gap (meV)", "dipole (D)", "polarisability (bohr³)")
"""Of `eqmodels.data.space.qm9`, by what they are called."""

PUBLISHED = {"TFN": (58, 0.064, 0.223), "Cormorant": (61, 0.038, 0.085), "EGNN": (48, 0.029, 0.071)}
"""Mean absolute errors from Satorras et al. 2021 (arXiv 2102.09844), table 3: trained on 100,000 molecules."""

MODEL = "o3_vectors_small"
LEARNED, HELD = 8_000, 1_000
BATCH = 64


class Parts(NamedTuple):
    """Molecules of a measurement.

    Attributes:
        train: what the network learns from.
        stop: what says which epoch is kept.
        test: what it is asked about.
    """

    train: LabelledMolecules
    stop: LabelledMolecules
    test: LabelledMolecules


def counts_of(molecules: LabelledMolecules) -> Tensor:
    """How many atoms of each element every molecule has, and a one: ``(molecules, 6)``, float64."""
    numbers = molecules.images[:, 3:, :, 0].sum(2).double()
    return torch.cat([numbers, torch.ones(len(numbers), 1, dtype=torch.float64)], 1)


def wanted_of(molecules: LabelledMolecules) -> Tensor:
    """The properties of `PROPERTIES`, ``(molecules, 3)``."""
    return targets_of(molecules)[:, [molecules.target_names.index(name) for name in PROPERTIES]]


def read_parts(root: Path | None) -> Parts:
    """Molecules to train on and to stop by, of the training split, and to test on, of the other; the same each time."""
    train, test = (cast("LabelledMolecules", load_data("qm9", split, root=root)) for split in ("train", "test"))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    few = test.subset(balanced_subset(test, HELD).numbers)
    return Parts(train.subset(order[HELD : LEARNED + HELD]), train.subset(order[:HELD]), few)


def measured(parts: Parts, seed: int, epochs: int) -> dict[str, Any]:
    """Mean absolute errors of the linear fit and of a network that was trained for so many epochs."""
    train, stop, test = parts
    wanted = wanted_of(train)
    fit = torch.linalg.lstsq(counts_of(train), wanted).solution
    rest = wanted - counts_of(train) @ fit
    mean, scale = rest.mean(0), rest.std(0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = create_model(MODEL, in_chans=8, num_classes=len(PROPERTIES), normalise=False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.01)
    steps = epochs * (len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps, pct_start=0.05)
    generator, best, kept = torch.Generator().manual_seed(seed), float("inf"), {}
    start = time.process_time()
    for epoch in range(epochs):
        for numbers in torch.randperm(len(train), generator=generator).split(BATCH):
            if len(numbers) == BATCH:
                points, mask = shown_of(train, numbers)
                aim = ((rest[numbers] - mean) / scale).float()
                optimiser.zero_grad()
                (network.train()(points, mask=mask) - aim).abs().mean().backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
        errors = (predicted(network, stop) * scale + mean + counts_of(stop) @ fit - wanted_of(stop)).abs().mean(0)
        if (score := float((errors / scale).mean())) < best:
            best, kept = score, {name: value.clone() for name, value in network.state_dict().items()}
        print(seed, epoch, errors.tolist(), round(time.process_time() - start), flush=True)
    network.load_state_dict(kept)
    found = (predicted(network, test) * scale + mean + counts_of(test) @ fit - wanted_of(test)).abs().mean(0)
    return {
        "seed": seed,
        "epochs": epochs,
        "train": len(train),
        "test": len(test),
        "parameters": sum(value.numel() for value in network.parameters()),
        "processor_seconds": round(time.process_time() - start, 1),
        "counts": (counts_of(test) @ fit - wanted_of(test)).abs().mean(0).tolist(),
        "network": found.tolist(),
    }


def shown_of(molecules: LabelledMolecules, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Molecules and masks of such numbers, without the places that all of them leave empty."""
    points, mask = molecules.atoms(numbers)
    most = int(mask.sum(1).max())
    return points[:, :most], mask[:, :most]


@torch.no_grad()
def predicted(network: nn.Module, molecules: LabelledMolecules) -> Tensor:
    """What the network says of molecules, in float64."""
    found = []
    for numbers in torch.arange(len(molecules)).split(2 * BATCH):
        points, mask = shown_of(molecules, numbers)
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
    parser.add_argument("--root", type=Path, help="the folder qm9pack/data, if the package is not installed")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(read_parts(arguments.root), arguments.seed, arguments.epochs)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{MODEL}-{arguments.seed}.json").write_text(json.dumps(found, indent=1) + "\n")
    write_section(DOCUMENT, "molecules", section())


if __name__ == "__main__":
    main()
