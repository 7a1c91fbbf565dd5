"""Puts trained and measured runs into the zoo: ``python -m benchmarks.essl.zoo``."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from benchmarks.essl.grid import FOLDER, ZOO
from benchmarks.essl.run import RESULTS
from eqmodels.storage import CONFIG, WEIGHTS
from eqmodels.training import LOG, PretrainConfig

TARGET = Path(__file__).parents[2] / "zoo"
LICENCE = "mit"
"""Of the zoo's weights; a run of anybody's names none."""
LIMIT = 12e6
"""Largest size of a file of weights, in bytes."""


def put(name: str, source: Path, config: PretrainConfig) -> None:
    """Copies weights, config, log and results of a run into the zoo, with its recipe; says so, or that it is not done.

    The config gets the licence of the zoo.

    Raises:
        SystemExit: if the weights are too large for the zoo.
    """
    if not (source / RESULTS).is_file() or not (source / WEIGHTS).is_file():
        print("not complete:", name)
        return
    if (size := (source / WEIGHTS).stat().st_size) > LIMIT:
        raise SystemExit(f"{name}: weights take {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f} MB.")
    target = TARGET / name
    target.mkdir(parents=True, exist_ok=True)
    for file in (WEIGHTS, LOG, RESULTS):
        shutil.copyfile(source / file, target / file)
    content = json.loads((source / CONFIG).read_text())
    content["pretrained_cfg"].setdefault("license", LICENCE)
    (target / CONFIG).write_text(json.dumps(content, indent=2) + "\n")
    (target / "recipe.json").write_text(json.dumps(config.to_dict(), indent=2) + "\n")
    print(f"{name}: {size / 1e6:.2f} MB")


def main() -> None:
    """Copies every run of the zoo that is complete."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, config in ZOO.items():
        put(Path(name).name, FOLDER / name, config)


if __name__ == "__main__":
    main()
