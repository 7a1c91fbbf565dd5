"""What the equivariant head saves: a pretraining step on upright images against RotNet's four turned copies.

python -m benchmarks.speed.pretraining_step [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.speed._harness import THREADS, Row, Timings, compare
from eqmodels.backbones import Backbone
from eqmodels.data import load_data
from eqmodels.objectives import Batch, Prediction, Randomness, register_objective
from eqmodels.training import PretrainConfig, Pretraining

UPRIGHT, ONCE, COPIES = "upright", "turned once", "four turned copies"
STANDARD_ONCE, STANDARD_COPIES = "resnet18s_w16, turned once", "resnet18s_w16, four copies"


@register_objective("rotnet")
class FourCopies(Prediction):
    """RotNet's protocol: every image at every turn in every step (Gidaris et al. 2018, arXiv 1803.07728).

    Args:
        backbone: the encoder that is pretrained.
        num_classes: of the images; not used.
        head: on the features.
    """

    def __init__(self, backbone: Backbone, num_classes: int = 0, *, head: str = "equivariant") -> None:
        super().__init__(backbone, num_classes, head=head)
        # Upright images to turn.
        self.strict = True

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Nothing is refused."""

    def views(self, batch: Batch, randomness: Randomness) -> tuple[torch.Tensor, torch.Tensor]:
        """All turns of the images of a step."""
        images, _ = super().views(batch, randomness)
        group = self.task.group
        assert group is not None
        turned = [group.act(g, images) for g in self.task.elements]
        labels = torch.arange(len(turned)).repeat_interleave(len(images))
        return torch.cat(turned), labels[:, None]


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
        ours = PretrainConfig.of(model="c4_resnet18s_w16", batch_size=batch)
        standard = PretrainConfig.of(model="resnet18s_w16", batch_size=batch, head="mlp")
        steps = {
            UPRIGHT: endless(Pretraining(ours, data)),
            ONCE: endless(Pretraining(ours.replaced(turn="always"), data)),
            COPIES: endless(Pretraining(ours.replaced(objective="rotnet"), data)),
            STANDARD_ONCE: endless(Pretraining(standard, data)),
            STANDARD_COPIES: endless(Pretraining(standard.replaced(objective="rotnet", head="mlp"), data)),
        }
        rows += compare(f"batch {batch}, bf16", steps, reference=UPRIGHT, rounds=arguments.rounds)
    Timings.of(
        "A pretraining step of c4_resnet18s_w16 with the equivariant head, and of resnet18s_w16, on 28 x 28 images",
        unit="s",
        reference=UPRIGHT,
        module="benchmarks.speed.pretraining_step",
        rounds=arguments.rounds,
        rows=rows,
    ).save("pretraining_step")


if __name__ == "__main__":
    main()
