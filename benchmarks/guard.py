"""Figures that are the same on every machine: ``python -m benchmarks.guard`` writes them, and a test compares them.

Parameters, multiply-adds, activations and megabytes of every network of the zoo, counted; how exactly each turns with
the image, in float64; and what its committed weights know of embedded images. Of an encoder of points, its parameters
and how exactly it turns with drawn rotations. Who changes one of them on purpose runs the script, and commits what it
wrote.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eqmodels.bench import Contender
from eqmodels.bench.counting import count_cost
from eqmodels.bench.quality import measure_quality
from eqmodels.bench.symmetry import measure_symmetry
from eqmodels.data import at_most, load_data
from eqmodels.evaluation import equivariance_report
from eqmodels.hub import list_pretrained, load_pretrained

FILE = Path(__file__).parent / "results" / "guard.json"
DATA = {1: "fashion_mnist_mini", 3: "openclipart_mini"}
IMAGES = 200
"""To train probes, and to test them."""
POINTS = 32
"""Of clouds."""
PROBED = ("resnet18s_w16.rot_fmnist_simclr", "c4_resnet18s_w16.rot_fmnist_simclr")
"""Networks whose accuracy is measured too: a probe takes seconds."""
ACCURACIES = ("upright", "turned", "mirrored", "changed_turned", "knn")


def figures(name: str) -> dict[str, Any]:
    """All figures of one network."""
    run = load_pretrained(name)
    if run.backbone.takes == "points":
        worst = equivariance_report(run.encoder("regular"), size=POINTS).worst.error
        cost = {"size": [POINTS, 3], "parameters": sum(value.numel() for value in run.backbone.parameters())}
        return {"cost": cost, "own": ["rotations"], "errors": {"rotations": worst}}
    encoder: Any = Contender(name).build()
    train, test = (at_most(load_data(DATA[encoder.in_chans], split), IMAGES) for split in ("train", "test"))
    symmetry = measure_symmetry(encoder, test.size, precisions=("float64",))
    found = {
        "cost": asdict(count_cost(encoder, test.channels, test.size)),
        "own": list(symmetry.own),
        "errors": symmetry.errors["float64"],
    }
    if name in PROBED:
        quality = measure_quality(encoder, train, test)
        found["accuracy"] = {one: getattr(quality, one) for one in ACCURACIES}
    return found


def main() -> None:
    """Writes the figures of all networks."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    FILE.write_text(json.dumps({name: figures(name) for name in list_pretrained()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
