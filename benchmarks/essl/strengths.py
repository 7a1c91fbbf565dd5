"""What it costs that probes' strengths are judged by rough fits: ``python -m benchmarks.essl.strengths``.

Probes every run whose weights lie here twice, with strengths that are judged as `fit_linear_probe` does and by fits of
as many steps as the last one has, and adds what it finds to ``strengths.json``.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import torch

from benchmarks.essl.grid import FOLDER, GRID, IMAGES
from eqmodels.data import load_data
from eqmodels.evaluation import encode
from eqmodels.measures import linear_probe
from eqmodels.storage import CONFIG, WEIGHTS, write_atomically
from eqmodels.training import load_run, prepared_images, training_images

TARGET = FOLDER / "strengths.json"


class _Converged(linear_probe.LogisticObjective):
    """The objective, never minimised roughly."""

    def minimise(
        self, strength: float, start: linear_probe.LinearProbe | None, *, roughly: bool = False
    ) -> linear_probe.LinearProbe:
        """As it is when the strength is chosen."""
        del roughly
        return super().minimise(strength, start)


def measure(name: str, root: str | None) -> dict[str, Any]:
    """Strength and test accuracy of both probes of a run."""
    config, run = GRID[name], load_run(FOLDER / name)
    train = training_images(config.replaced(limit=IMAGES), root)
    test = prepared_images(config, load_data(config.data.name, "test", root=root), "test")
    fitted, held_out = (encode(run, data.pixels, len(data)) for data in (train, test))
    found: dict[str, Any] = {"name": name}
    usual = linear_probe.LogisticObjective
    for judged, objective in (("rough", usual), ("converged", _Converged)):
        linear_probe.LogisticObjective = objective  # type: ignore[misc]
        try:
            probe = linear_probe.fit_linear_probe(fitted, train.labels)
        finally:
            linear_probe.LogisticObjective = usual  # type: ignore[misc]
        found[judged] = {"strength": probe.strength, "accuracy": probe.accuracy(held_out, test.labels)}
    return found


def main() -> None:
    """Measures what is not measured yet, and says what came out in all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="the folder of the data")
    root = parser.parse_args().root
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = json.loads(TARGET.read_text()) if TARGET.is_file() else []
    known = {row["name"] for row in rows}
    for name in GRID:
        if name not in known and (FOLDER / name / CONFIG).is_file() and (FOLDER / name / WEIGHTS).is_file():
            rows.append(measure(name, root))
            write_atomically(TARGET, json.dumps(rows, indent=1) + "\n")
    changes = torch.tensor([100 * (row["converged"]["accuracy"] - row["rough"]["accuracy"]) for row in rows])
    others = sum(row["converged"]["strength"] != row["rough"]["strength"] for row in rows)
    print(
        f"{others} of {len(rows)} get another strength; points of test accuracy: mean {changes.mean():+.2f}, "
        f"mean size {changes.abs().mean():.2f}, largest {changes.abs().max():.2f}"
    )


if __name__ == "__main__":
    main()
