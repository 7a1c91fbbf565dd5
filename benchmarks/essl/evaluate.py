"""Measures the runs that are trained and not measured yet: ``python -m benchmarks.essl.evaluate 'simclr/*'``.

Writes ``results.json`` beside every run. Random initialisation, the control, needs no training: ``random/*``.
Everything is measured of the runs with SimCLR's augmentation and of the zoo; of the others what their tables show.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
from pathlib import Path

import torch

from benchmarks.essl.grid import FOLDER, GRID, IMAGES, POOLED, RANDOM
from benchmarks.essl.pooled import pool_instead_of_striding
from eqmodels.data import load_data
from eqmodels.evaluation import evaluate, kinds_of
from eqmodels.storage import CONFIG, write_atomically
from eqmodels.training import load_run, prepared_images, training_images, untrained

RESULTS = "results.json"
IN_FULL = ("simclr/*", "zoo/*")
"""The runs of which everything is measured."""
KINDS = ("regular", "invariant-3", "canonical")
"""What is measured of the others, without few labels and without angles."""


def measure(name: str, root: str | None) -> None:
    """Evaluates one run with the probes' training images, and on all test images."""
    folder = FOLDER / name
    config = RANDOM.get(name) or GRID[name]
    # However few images a pretraining of the tables saw, their probes see the same ones.
    train = training_images(config if config.data.limit is None else config.replaced(limit=IMAGES), root)
    run = untrained(config, train) if name in RANDOM else load_run(folder)
    if name.startswith(POOLED):
        pool_instead_of_striding(run.backbone)
    test = prepared_images(config, load_data(config.data.name, "test", root=root), "test")
    started = time.monotonic()
    if any(fnmatch.fnmatch(name, pattern) for pattern in IN_FULL):
        result = evaluate(run, train, test)
    else:
        kinds = [kind for kind in KINDS if kind in kinds_of(run)]
        result = evaluate(run, train, test, kinds=kinds, fractions=(), curve_images=0)
    content = {
        "name": name,
        "config": config.to_dict(),
        "provenance": run.provenance,
        "evaluation": result.to_dict(),
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RESULTS, json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Evaluates what matches the patterns and has no results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"], help="names of runs, or shell patterns (default: all)")
    parser.add_argument("--root", help="the folder of the data")
    parser.add_argument("--again", action="store_true", help="also those that have results")
    parser.add_argument("--wait", action="store_true", help="wait for runs that are still in training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    every = [*RANDOM, *GRID]
    names = list(dict.fromkeys(name for pattern in arguments.patterns for name in fnmatch.filter(every, pattern)))
    waiting = [name for name in names if arguments.again or not (FOLDER / name / RESULTS).exists()]
    while waiting:
        ready = next((name for name in waiting if name in RANDOM or _is_trained(FOLDER / name)), None)
        if ready is None and not arguments.wait:
            break
        if ready is None:
            time.sleep(20)
            continue
        waiting.remove(ready)
        measure(ready, arguments.root)
        print("measured", ready, flush=True)


def _is_trained(folder: Path) -> bool:
    return (folder / CONFIG).exists()


if __name__ == "__main__":
    main()
