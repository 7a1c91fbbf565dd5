"""Trains encoders of points for the zoo: ``python -m benchmarks.space.zoo --root FOLDER --cache FOLDER``, resumable.

``eqmodels evaluate FOLDER --points 512`` measures one, and ``python -m benchmarks.space.zoo --put`` copies what is
trained and measured into the zoo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.essl.zoo import put
from benchmarks.space.runs import COMMON, FOLDER
from eqmodels.training import PretrainConfig, pretrain

__all__ = ["RUNS"]


def _config(model: str, *, epochs: int, seen_points: int) -> PretrainConfig:
    """A run of the strict head over the parts of KiCad."""
    own = {"model": model, "learning_rate": 0.01, "epochs": epochs, "seen_points": seen_points}
    return PretrainConfig.of(**{**COMMON, **own}, warmup_epochs=1)


RUNS = {
    "so3_points_small.frame_kicad": _config("so3_points_small", epochs=10, seen_points=256),
    "so3_vectors_small.frame_kicad": _config("so3_vectors_small", epochs=32, seen_points=256),
}
"""The runs, by their names in the zoo."""


def main() -> None:
    """Trains, or copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", nargs="+", default=list(RUNS), choices=list(RUNS), help="default: all")
    parser.add_argument("--root", help="the folder of the library of parts")
    parser.add_argument("--cache", help="a folder that keeps the clouds")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the runs")
    parser.add_argument("--put", action="store_true", help="copy what is trained and measured into the zoo")
    arguments = parser.parse_args()
    for name in arguments.names:
        if arguments.put:
            put(name, arguments.folder / name, RUNS[name])
        else:
            pretrain(RUNS[name], arguments.folder / name, root=arguments.root, reading={"cache": arguments.cache})


if __name__ == "__main__":
    main()
