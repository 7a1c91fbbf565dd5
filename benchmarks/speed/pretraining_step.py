"""What the equivariant head saves: a pretraining step on upright images against RotNet's four turned copies.

python -m benchmarks.speed.pretraining_step [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks.speed._harness import THREADS, Row, Table, compare
from eqmodels.data import Source, load_data
from eqmodels.training import PretrainConfig, Pretraining

UPRIGHT, ONCE, COPIES = "upright", "turned once", "four turned copies"
STANDARD_ONCE, STANDARD_COPIES = "resnet18s_w16, turned once", "resnet18s_w16, four copies"


class FourCopies(Pretraining):
    """RotNet's protocol: every image at every turn in every step (Gidaris et al. 2018, arXiv 1803.07728)."""

    def __init__(self, config: PretrainConfig, data: Source) -> None:
        super().__init__(config, data)
        # Upright images to turn.
        self.strict = True

    def batch(self, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """All turns of the images of a step."""
        images, _ = super().batch(epoch, step)
        group = self.task.group
        assert group is not None
        turned = [group.act(g, images) for g in self.task.elements]
        labels = torch.arange(len(turned)).repeat_interleave(len(images))
        return torch.cat(turned).contiguous(memory_format=self.format), labels


def endless(run: Pretraining) -> Callable[[], None]:
    """A step that starts the epoch again when it is over."""
    run.network.train()

    def step() -> None:
        if run.progress.step == run.steps_per_epoch:
            run.progress.step = 0
        run.step()

    return step


def main() -> None:
    """Times the steps and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=THREADS, help="1 is what the runs of benchmarks.essl train on")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = load_data("fashion_mnist_mini")
    rows: list[Row] = []
    for batch in (32, 128):
        ours = PretrainConfig(model="c4_resnet18s_w16", batch_size=batch)
        standard = replace(ours, model="resnet18s_w16", head="mlp")
        steps = {
            UPRIGHT: endless(Pretraining(ours, data)),
            ONCE: endless(Pretraining(replace(ours, turn="always"), data)),
            COPIES: endless(FourCopies(ours, data)),
            STANDARD_ONCE: endless(Pretraining(standard, data)),
            STANDARD_COPIES: endless(FourCopies(standard, data)),
        }
        rows += compare(f"batch {batch}, bf16", steps, reference=UPRIGHT, rounds=arguments.rounds)
    Table.of(
        "A pretraining step of c4_resnet18s_w16 with the equivariant head, and of resnet18s_w16, on 28 x 28 images",
        unit="s",
        reference=UPRIGHT,
        module="benchmarks.speed.pretraining_step",
        rounds=arguments.rounds,
        rows=rows,
    ).save("pretraining_step")


if __name__ == "__main__":
    main()
