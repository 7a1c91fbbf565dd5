"""Every pretraining run of the tables and of the zoo, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eqmodels.training import PretrainConfig

__all__ = ["FOLDER", "GRID", "RANDOM", "SEEDS", "ZOO"]

FOLDER = Path(__file__).parents[1] / "results" / "essl"
"""Where runs are kept, one folder each; weights stay out of the repository, see .gitignore."""

SEEDS = (0, 1, 2)
BASE = {"data": "fashion_mnist", "limit": 20_000, "epochs": 15, "batch_size": 128}

STANDARD = [("resnet18_w16", "mlp"), ("c4_resnet18_w16", "equivariant")]
"""The comparison itself: equal FLOPs."""
CONTROLS = [
    ("resnet18_w8", "mlp"),  # as many parameters as C4's
    ("c1_resnet18_w16", "mlp"),  # C4's code without the group
    ("d4_resnet18_w16", "equivariant"),
    ("c4_resnet18_w16", "mlp"),  # the paper's head on the equivariant backbone
]
HEADS = [
    ("d2_resnet18_w16", "mlp"),  # as many elements as C4, but the wrong ones: half turns and flips
    ("resnet18_w16", "linear"),
    ("c4_resnet18_w16", "linear"),
]


def _model_equivariance() -> Iterator[tuple[str, PretrainConfig]]:
    """The paper's experiment 3: backbones and heads, three augmentations."""
    for augment, rows in (
        ("simclr", STANDARD + CONTROLS + HEADS),
        ("none", STANDARD + CONTROLS),
        ("crop_flip", STANDARD + CONTROLS),
    ):
        for seed in SEEDS:
            for model, head in rows:
                name = f"{augment}/{model}.{head}/seed{seed}"
                yield name, PretrainConfig.from_dict(BASE | dict(model=model, head=head, augment=augment, seed=seed))


def _random() -> Iterator[tuple[str, PretrainConfig]]:
    """The control without any training."""
    for seed in SEEDS:
        for model, head in STANDARD + CONTROLS[:3]:
            yield f"random/{model}/seed{seed}", PretrainConfig.from_dict(BASE | dict(model=model, head=head, seed=seed))


TASKS = ("none", "horizontal_flip", "vertical_flip", "rotation", "grayscale", "colour_inversion", "jigsaw", "blur")


def _tasks() -> Iterator[tuple[str, PretrainConfig]]:
    """The paper's experiment 1: seven tasks and none, on images in colours that do not depend on the class."""
    for seed in SEEDS:
        for task in TASKS:
            for preset in ("paper", "fixed") if task in ("jigsaw", "blur") else ("fixed",):
                values = BASE | dict(model="c1_resnet18_w16", head="mlp", task=task, preset=preset, seed=seed)
                # Only a shift before the task, as in the paper, so that no task is asked about what augmentation did.
                values |= dict(augment="none", coloured=True, limit=10_000, epochs=10)
                yield f"tasks/{task}.{preset}/seed{seed}", PretrainConfig.from_dict(values)


def _zoo() -> Iterator[tuple[str, PretrainConfig]]:
    """The published weights: all training images, SimCLR's augmentation."""
    for width in (16, 32):
        for model, head in (("resnet18", "mlp"), ("c4_resnet18", "equivariant"), ("d4_resnet18", "equivariant")):
            values = dict(model=f"{model}_w{width}", head=head, augment="simclr", data="fashion_mnist", epochs=20)
            # The standard network's file is to stay below 12 MB with its head.
            values |= dict(batch_size=128, head_hidden=2048 if width == 16 else 512)
            yield f"zoo/{model}_w{width}.rot_fmnist_simclr", PretrainConfig.from_dict(values)


ZOO = dict(_zoo())
"""The runs of the zoo, by name."""
RANDOM = dict(_random())
"""Networks that are measured as they are initialised, by name."""
GRID = dict(_model_equivariance()) | dict(_tasks()) | ZOO
"""All runs, by name."""
