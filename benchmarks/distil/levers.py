"""Short distillations that differ in one thing each: ``python -m benchmarks.distil.levers BANK``.

What decides how much of the teacher arrives? Every run has some 51,200 views where its row does not say otherwise, its
learning rate goes down to zero, and `c4_resnet18_w32` learns where nothing else is said. Four tables come of them:
what was changed of the recipe, on the whole bank; which network learns; which pictures teach, where each kind has
5,120 pictures (of patches of photographs there are 4,000); and whether views may stay the same. Probes on stamps judge,
as in `measure`. Runs are resumable, and measured as soon as they are trained. ``--part 0/2`` takes every second one,
for two processes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.distil.atlases import emoji
from benchmarks.distil.bank import PATCHES, STORED, VIEWS, Painter, photographs
from benchmarks.distil.leaves import dead_leaves
from benchmarks.distil.measure import RESULTS, ProbeCell, experiment, keep_origin, measure
from benchmarks.distil.runs import FOLDER, distil_config
from eqmodels import create_model
from eqmodels.data.openclipart import fitted
from eqmodels.experiments import command_line
from eqmodels.objectives import Batch, Distil, Randomness
from eqmodels.training import OptimisationConfig, PretrainConfig, load_run, pretrain

SEEN = 51_200
"""Views of a short run."""
PICTURES = 5120
"""Of a kind."""
SHORT = RESULTS / "short"

OTHERS = {name: getattr(OptimisationConfig(), name) for name in Distil.optimisation}
"""A config's defaults, which most objectives learn with."""

LEVERS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "as it is, another seed": {"seed": 1},
    "crops of 15% and more": {"smallest_area": 0.15},
    "crops of 60% and more": {"smallest_area": 0.6},
    "no CutMix": {"cutmix": 0.0},
    "no logits": {"logits_weight": 0.0},
    "logits five times": {"logits_weight": 0.1},
    "logits alone": {"features_weight": 0.0},
    "twice the learning rate": {"learning_rate": 4e-3},
    "the optimisation of other objectives": OTHERS,
    "half the jitter": {"jitter": 0.2},
    "no residual angles": {"residual": 0.0},
    "half through a circle": {"circle": 0.5},
    "the teacher sees 144 pixels": {"teacher_size": 144},
    "mean of the weights": {"average": 0.99},
    "twice the views": {"seen": 2 * SEEN},
}
"""What is changed of the recipe, by the name of the row."""

STUDENT = "c4_resnet18_w32"
STUDENTS: Mapping[str, Mapping[str, Any]] = {
    "C4": {"model": STUDENT},
    "C4, twice as wide": {"model": "c4_resnet18_w64"},
    "D4": {"model": "d4_resnet18_w32"},
    "C8, filters of 5x5": {"model": "c8_resnet18_w32"},
    "D8, filters of 5x5": {"model": "d8_resnet18_w32"},
    "C4's code without the group": {"model": "c1_resnet18_w32"},
    "standard": {"model": "resnet18_w32"},
    "standard, no residual angles": {"model": "resnet18_w32", "residual": 0.0},
}
"""Which network learns, after the recipe as it is; of the standard one also what its residual angles are worth."""

Pictures = npt.NDArray[np.uint8]


def folder_of(name: str) -> str:
    """The folder of a row within `SHORT`."""
    # The networks' table begins with the row that the recipe's begins with.
    return "as_it_is" if name == next(iter(STUDENTS)) else re.sub(r"[^\w]+", "_", name)


def some(bank: Pictures) -> Pictures:
    """Pictures of all kinds."""
    return bank[np.sort(np.random.default_rng(0).permutation(len(bank))[:PICTURES])]


def on_background(bank: Pictures, number: int) -> Pictures:
    """Clip art on one of the backgrounds: the bank has all of it on one after the other, and patches at its end."""
    first = number * ((len(bank) - PATCHES) // VIEWS)
    return bank[first : first + PICTURES]


def fixed_views(bank: Pictures) -> Pictures:
    """One view of each of `some`, as a run draws them: a teacher could be asked about them once and for all."""
    objective = Distil(create_model(STUDENT), **distil_config(STUDENT, 1, residual=0.0).objective.options)
    views = []
    for number, part in enumerate(torch.from_numpy(some(bank)).split(256)):
        batch = Batch(part / 255, None, len(part), slice(0, len(part)))
        views.append(objective.views(batch, Randomness(0, (0, number)))["teacher"])
    return (255 * torch.cat(views)).round().byte().numpy()


def painted_emoji(count: int) -> Pictures:
    """So many pictures of emoji, which are evenly chosen, each on the four backgrounds of the bank."""
    every = list(emoji())
    chosen = np.linspace(0, len(every) - 1, count // VIEWS).round().astype(int)
    known = np.stack([fitted(every[number], STORED) for number in chosen])
    painter = Painter(known, photographs(), np.random.default_rng(0))
    return np.stack([painter.painted(number // VIEWS, number % VIEWS) for number in range(count)])


IMAGES: Mapping[str, Callable[[Pictures], Pictures]] = {
    "5,120 of all kinds": some,
    "clip art on white": lambda bank: on_background(bank, 0),
    "clip art on photographs": lambda bank: on_background(bank, 1),
    "emoji": lambda _: painted_emoji(PICTURES),
    "clip art and emoji": lambda bank: np.concatenate([some(bank)[::2], painted_emoji(PICTURES // 2)]),
    "photographs": lambda bank: bank[-PATCHES:],
    "dead leaves": lambda _: dead_leaves(PICTURES),
}
"""Which pictures teach: from the bank to some of its pictures, or to others."""

VIEWED: Mapping[str, Mapping[str, Any]] = {
    "new ones in every pass": {"residual": 0.0},
    "the same in every pass": {"residual": 0.0, "smallest_area": 1.0, "jitter": 0.0, "cutmix": 0.0},
}
"""Which views of `some` teach, upright ones alone: of views that stay the teacher's features could be stored."""

OF_PICTURES = {**IMAGES, **dict(zip(VIEWED, (some, fixed_views), strict=True))}
"""All rows that do not learn from the whole bank."""


def row_config(name: str, count: int) -> PretrainConfig:
    """The training of one of the rows, on so many pictures."""
    changes = {"model": STUDENT, "seen": SEEN, **{**LEVERS, **STUDENTS, **VIEWED}.get(name, {})}
    return distil_config(epochs=round(changes.pop("seen") / count), **changes)


def train(name: str, bank: Path) -> Path:
    """Trains one of the rows, and gives its folder."""
    root = bank
    if name in OF_PICTURES:
        root = bank / folder_of(name)
        if not (root / "train.npy").is_file():
            root.mkdir(exist_ok=True)
            np.save(root / "train.npy", OF_PICTURES[name](np.load(bank / "train.npy", mmap_mode="r")))
    count = len(np.load(root / "train.npy", mmap_mode="r"))
    config = row_config(name, count)
    folder = FOLDER / "short" / folder_of(name)
    pretrain(config, folder, root=root, quiet=True)
    return folder


def judge(folder: Path) -> None:
    """Probes on stamps, of the student alone."""
    run, results = load_run(folder), SHORT / folder.name
    cell = ProbeCell(".", "stamps", run.sha256, None, ("student",))
    # A folder of its own, so that several processes can measure at a time.
    experiment([cell], results).run(
        partial(measure, run, None, folder=results), command=command_line("benchmarks.distil.levers")
    )
    keep_origin(folder, results)


def main() -> None:
    """Trains and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path, help="the folder of train.npy")
    parser.add_argument("--names", nargs="+", default=[*LEVERS, *STUDENTS, *IMAGES, *VIEWED], help="default: all")
    parser.add_argument("--part", default="0/1", help="which of how many processes this is, such as 0/2")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    for name in arguments.names[part::parts]:
        judge(train(name, arguments.bank))


if __name__ == "__main__":
    main()
