"""Trains and measures the runs of the grid that are not done: ``python -m benchmarks.essl.run 'simclr/*'``.

Writes ``results.json`` beside every run, one line of JSON. Random initialisation, the control, needs no training:
``random/*``. Everything is measured of the runs with SimCLR's augmentation and of the zoo; of the others what their
tables show. Stop it whenever you like; the same command goes on where it was. Two processes of one thread share the
runs out and are done sooner than one of two threads, as the networks are small:
``OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 -m benchmarks.essl.run``.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.essl.grid import FOLDER, GRID, IMAGES, POOLED, RANDOM
from benchmarks.essl.pooled import pool_instead_of_striding
from eqmodels.data import load_data
from eqmodels.evaluation import EncoderEvaluation, evaluate, kinds_of
from eqmodels.experiments import Experiment, command_line, shown_progress
from eqmodels.processes.world import joined_world
from eqmodels.training import PretrainConfig, Run, prepared_images, pretrain, training_images, untrained

RESULTS = "results.json"
IN_FULL = ("simclr/*", "clipart/none/*", "zoo/*")
"""The runs of which everything is measured."""
KINDS = ("regular", "invariant-3", "canonical")
"""What is measured of the others, without few labels and without angles."""


@dataclass(frozen=True)
class EsslCell:
    """One run.

    Attributes:
        name: its folder within `FOLDER`.
    """

    name: str

    @property
    def config(self) -> PretrainConfig:
        """Of its training; of a random one, of the training that it does not get."""
        return RANDOM.get(self.name) or GRID[self.name]

    @property
    def seed(self) -> int:
        """Of its training."""
        return self.config.run.seed


def _read(_: EsslCell, content: Mapping[str, Any]) -> EncoderEvaluation:
    """What was measured of one run, with its config as today's are, which stands beside the evaluation."""
    config = PretrainConfig.from_dict(content["config"]).to_dict()
    return replace(EncoderEvaluation.from_dict(content["evaluation"]), config=config)


def experiment(names: Sequence[str], folder: Path = FOLDER) -> Experiment[EsslCell, EncoderEvaluation]:
    """Some runs, and where their results are."""
    return Experiment(folder, tuple(map(EsslCell, names)), _read, RESULTS)


def measure(root: str | None, cell: EsslCell, report: Callable[[str], None], folder: Path = FOLDER) -> dict[str, Any]:
    """Trains a run, and evaluates it with the probes' training images, and on all test images."""
    name, config = cell.name, cell.config
    # However few images a pretraining of the tables saw, their probes see the same ones.
    train = training_images(config if config.data.limit is None else config.replaced(limit=IMAGES), root)
    report("training")
    run = untrained(config, train) if name in RANDOM else pretrain(config, folder / name, root=root, quiet=True)
    if name.startswith(POOLED):
        pool_instead_of_striding(run.backbone)
    test = prepared_images(config, load_data(config.data.name, "test", root=root, **config.data.options), "test")
    started = time.monotonic()
    result = evaluate(run, train, test, report=report, **_asked(name, run))
    return {
        "name": name,
        "config": config.to_dict(),
        "provenance": run.provenance,
        "evaluation": result.to_dict(),
        "evaluation_seconds": round(time.monotonic() - started, 1),
    }


def _asked(name: str, run: Run) -> dict[str, Any]:
    """What is asked of a run."""
    if any(fnmatch.fnmatch(name, pattern) for pattern in IN_FULL):
        return {}
    return {"kinds": [kind for kind in KINDS if kind in kinds_of(run)], "fractions": (), "curve_images": 0}


def main() -> None:
    """Trains and measures what matches the patterns and has no results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"], help="names of runs, or shell patterns (default: all)")
    parser.add_argument("--root", help="the folder of the data")
    parser.add_argument("--list", action="store_true", help="only say which runs are done")
    arguments = parser.parse_args()
    # In the order of the patterns, so that a caller can say what comes first.
    every = [*RANDOM, *GRID]
    found = experiment(list(dict.fromkeys(name for one in arguments.patterns for name in fnmatch.filter(every, one))))
    if arguments.list:
        for cell in found.cells:
            print("done" if found.place(cell).exists() else "    ", cell.name)
        return
    torch.set_num_threads(1)
    with joined_world() as world, world.together(), shown_progress(quiet=not world.is_writer) as tell:
        command = command_line("benchmarks.essl.run")
        found.run(partial(measure, arguments.root), command=command, tell=tell, world=world)
    if world.is_writer:
        print(f"{len(found.cells)} runs are measured", file=sys.stderr)


if __name__ == "__main__":
    main()
