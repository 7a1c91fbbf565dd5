"""What a step of distillation spends its time on: python -m benchmarks.speed.distillation_step [--rounds 15].

The pictures are noise of the bank's size: how long a step takes does not depend on what they show.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from benchmarks.distil.bank import SIDE
from benchmarks.distil.runs import RUNS
from benchmarks.speed._harness import Row, Timings, compare
from benchmarks.speed.pretraining_step import endless
from eqmodels.data import LabelledImages
from eqmodels.objectives import Distil
from eqmodels.training import Pretraining

WHOLE, VIEWS, TEACHER, KEPT = "a step", "making the views", "the teacher's pass", "a step whose views are kept"
NAMES = ("c4_resnet18_w32.distil_lite0", "resnet18_w32.distil_lite0")


def parts(run: Pretraining, keeping: Pretraining) -> dict[str, Callable[[], object]]:
    """A whole step, those parts of it that views that are kept spare, and what is left of it."""
    objective = run.objective
    assert isinstance(objective, Distil)
    teacher, views = objective.teacher, run.views(0, 0)
    assert teacher is not None

    def asked() -> None:
        with torch.autocast(run.world.device.type, torch.bfloat16):
            teacher(views["teacher"])

    again = endless(keeping)
    for _ in range(keeping.steps_per_epoch):  # the pass that is kept
        again()
    return {WHOLE: endless(run), VIEWS: lambda: run.views(0, 0), TEACHER: asked, KEPT: again}


def main() -> None:
    """Times the parts and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # what the networks of the zoo were trained on
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (256, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    data = LabelledImages("noise", pixels, torch.zeros(len(pixels), dtype=torch.int64), ("noise",))
    rows: list[Row] = []
    for name in NAMES:
        run, keeping = (Pretraining(RUNS[name].replaced(kept_passes=passes), data) for passes in (0, 1))
        rows += compare(RUNS[name].model.name, parts(run, keeping), reference=WHOLE, rounds=arguments.rounds)
    Timings.of(
        "A step of distillation, 64 views of 96 x 96 in bf16, and parts of it",
        unit="s",
        reference=WHOLE,
        module="benchmarks.speed.distillation_step",
        rounds=arguments.rounds,
        rows=rows,
    ).save("distillation_step")


if __name__ == "__main__":
    main()
