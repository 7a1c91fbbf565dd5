"""Short distillations that differ in one thing each: ``python -m benchmarks.distil.levers BANK``.

What decides how much of the teacher arrives? Every run has some 51,200 views, its learning rate goes down to zero, and
`c4_resnet18_w32` learns where nothing else is said. Three tables come of them: what was changed of the recipe, on the
whole bank; which network learns; and which pictures teach, where each kind has 5,120 pictures (of patches of
photographs there are 4,000). Probes on stamps judge, as in `measure`.
Runs are resumable, and measured as soon as they are trained. ``--part 0/2`` takes every second one, for two processes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.distil.atlases import emoji
from benchmarks.distil.bank import PATCHES, STORED, VIEWS, Painter, photographs
from benchmarks.distil.leaves import dead_leaves
from benchmarks.distil.measure import ProbeCell, experiment, measure
from benchmarks.distil.runs import FOLDER, distil_config
from eqmodels.data.openclipart import fitted
from eqmodels.experiments import command_line
from eqmodels.training import load_run, pretrain

SEEN = 51_200
"""Views of a short run."""
PICTURES = 5120
"""Of a kind."""
SHORT = FOLDER / "short"
ALL = "all kinds"

LEVERS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "as it is, another seed": {"seed": 1},
    "crops of 15% and more": {"smallest_area": 0.15},
    "no CutMix": {"cutmix": 0.0},
    "no logits": {"logits_weight": 0.0},
    "logits five times": {"logits_weight": 0.1},
    "twice the learning rate": {"learning_rate": 4e-3},
    "half the jitter": {"jitter": 0.2},
    "no residual angles": {"residual": 0.0},
}
"""What is changed of the recipe, by the name of the row."""

STUDENTS: Mapping[str, str] = {
    "C4": "c4_resnet18_w32",
    "D4": "d4_resnet18_w32",
    "C8, filters of 5x5": "c8_resnet18_w32",
    "D8, filters of 5x5": "d8_resnet18_w32",
    "C4's code without the group": "c1_resnet18_w32",
    "standard": "resnet18_w32",
}
"""Which network learns, after the recipe as it is."""

IMAGES = (
    "5,120 of all kinds",
    "clip art on white",
    "clip art on photographs",
    "emoji",
    "clip art and emoji",
    "photographs",
    "dead leaves",
)
"""Which pictures teach."""


def folder_of(name: str) -> str:
    """The folder of a row within `SHORT`."""
    # The networks' table begins with the row that the recipe's begins with.
    return "as_it_is" if name == next(iter(STUDENTS)) else re.sub(r"[^\w]+", "_", name)


def kind_of_pictures(bank: np.ndarray[Any, np.dtype[np.uint8]], name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of one kind: the bank has all clip art on one background after the other, and patches at its end."""
    clipart = (len(bank) - PATCHES) // VIEWS
    if name == "dead leaves":
        return dead_leaves(PICTURES)
    if name == "photographs":
        return bank[-PATCHES:]
    if name == "emoji":
        return painted_emoji(PICTURES)
    if name == "clip art and emoji":
        half = kind_of_pictures(bank, "5,120 of all kinds")[::2]
        return np.concatenate([half, painted_emoji(PICTURES - len(half))])
    if name == "5,120 of all kinds":
        return bank[np.sort(np.random.default_rng(0).permutation(len(bank))[:PICTURES])]
    first = {"clip art on white": 0, "clip art on photographs": clipart}[name]
    return bank[first : first + PICTURES]


def painted_emoji(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """So many pictures of emoji, which are evenly chosen, each on the four backgrounds of the bank."""
    every = list(emoji())
    chosen = np.linspace(0, len(every) - 1, count // VIEWS).round().astype(int)
    known = np.stack([fitted(every[number], STORED) for number in chosen])
    painter = Painter(known, photographs(), np.random.default_rng(0))
    return np.stack([painter.painted(number // VIEWS, number % VIEWS) for number in range(count)])


def train(name: str, bank: Path) -> Path:
    """Trains one of the rows, and gives its folder."""
    root = bank
    if name in IMAGES:
        root = bank / folder_of(name)
        if not (root / "train.npy").is_file():
            root.mkdir(exist_ok=True)
            np.save(root / "train.npy", kind_of_pictures(np.load(bank / "train.npy", mmap_mode="r"), name))
    count = len(np.load(root / "train.npy", mmap_mode="r"))
    model = STUDENTS.get(name, STUDENTS["C4"])
    config = distil_config(model, round(SEEN / count), **LEVERS.get(name, {}))
    folder = SHORT / folder_of(name)
    pretrain(config, folder, root=root, quiet=True)
    return folder


def judge(folder: Path) -> None:
    """Probes on stamps, of the student alone."""
    run = load_run(folder)
    cell = ProbeCell(".", "stamps", run.sha256, None, ("student",))
    # A folder of its own, so that several processes can measure at a time.
    experiment([cell], folder).run(
        partial(measure, run, None, folder=folder), command=command_line("benchmarks.distil.levers")
    )


def main() -> None:
    """Trains and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path, help="the folder of train.npy")
    parser.add_argument("--names", nargs="+", default=[*LEVERS, *STUDENTS, *IMAGES], help="default: all")
    parser.add_argument("--part", default="0/1", help="which of how many processes this is, such as 0/2")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    for name in arguments.names[part::parts]:
        judge(train(name, arguments.bank))


if __name__ == "__main__":
    main()
