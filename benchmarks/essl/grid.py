"""Every pretraining run of the tables and of the zoo, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eqmodels.training import PretrainConfig

__all__ = ["CLIPART_RANDOM", "FOLDER", "GRID", "IMAGES", "POOLED", "RANDOM", "SEEDS", "STANDARD", "TASKS", "ZOO"]

FOLDER = Path(__file__).parents[1] / "results" / "essl"
"""Where runs are kept, one folder each; weights stay out of the repository, see .gitignore."""

SEEDS = (0, 1, 2)
IMAGES = 20_000
"""Training images of the tables: of most pretrainings, and of all their probes."""

STANDARD = [("resnet18s_w16", "mlp"), ("c4_resnet18s_w16", "equivariant")]
"""The comparison itself: equal FLOPs."""
CONTROLS = [
    ("resnet18s_w8", "mlp"),  # as many parameters as C4's
    ("c1_resnet18s_w16", "mlp"),  # C4's code without the group
    ("d4_resnet18s_w16", "equivariant"),
    ("c4_resnet18s_w16", "mlp"),  # the paper's head on the equivariant backbone
]
HEADS = [
    ("d2_resnet18s_w16", "mlp"),  # as many elements as C4, but the wrong ones: half turns and flips
    ("resnet18s_w16", "linear"),
    ("c4_resnet18s_w16", "linear"),
]
POOLED = "random/resnet18s_w16.pooled"
"""The standard network of the same weights, with the downsampling of the others (see `pool_instead_of_striding`)."""
TASKS = ("none", "horizontal_flip", "vertical_flip", "rotation", "grayscale", "colour_inversion", "jigsaw", "blur")


def _config(**values: Any) -> PretrainConfig:  # noqa: ANN401 (the config checks them)
    """A run of the tables: `IMAGES` images, 15 epochs, unless the values say otherwise."""
    common = {"data": "fashion_mnist", "limit": IMAGES, "augment": "simclr"}
    common |= {"epochs": 15, "batch_size": 128, "precision": "bfloat16"}
    return PretrainConfig.of(**common | values)


def _model_equivariance() -> Iterator[tuple[str, PretrainConfig]]:
    """The paper's experiment 3: backbones and heads, three augmentations."""
    for augment in ("simclr", "crop_flip", "none"):
        for seed in SEEDS:
            for model, head in STANDARD + CONTROLS + HEADS:
                config = _config(model=model, head=head, augment=augment, seed=seed)
                yield f"{augment}/{model}.{head}/seed{seed}", config


def _causes() -> Iterator[tuple[str, PretrainConfig]]:
    """Why the gain is what it is: with a third of the training, and with as many steps on a tenth of the images."""
    for seed in SEEDS:
        for model, head in STANDARD:
            yield f"epochs5/{model}.{head}/seed{seed}", _config(model=model, head=head, epochs=5, seed=seed)
            # The same 780 steps, 156 of them to warm up.
            few = {"limit": IMAGES // 10, "epochs": 52, "warmup_epochs": 10.4}
            yield f"few/{model}.{head}/seed{seed}", _config(model=model, head=head, seed=seed, **few)


def _random() -> Iterator[tuple[str, PretrainConfig]]:
    """The control without any training."""
    for seed in SEEDS:
        for model, head in STANDARD + CONTROLS[:3]:
            yield f"random/{model}/seed{seed}", _config(model=model, head=head, seed=seed)
        yield f"{POOLED}/seed{seed}", _config(model="resnet18s_w16", head="mlp", seed=seed)


def _tasks() -> Iterator[tuple[str, PretrainConfig]]:
    """The paper's experiment 1: seven tasks and none, on images in colours that do not depend on the class."""
    yield from _each_task("tasks", coloured=True, limit=10_000)


def _clipart_tasks() -> Iterator[tuple[str, PretrainConfig]]:
    """Experiment 1 on real colours, which do depend on the class."""
    yield from _each_task("clipart/tasks", data="openclipart_mini", limit=None, batch_size=64)


def _each_task(place: str, **values: Any) -> Iterator[tuple[str, PretrainConfig]]:  # noqa: ANN401 (the config checks)
    """Runs of ten epochs, three seeds a task."""
    for seed in SEEDS:
        # Nothing before the task: what augmentation did must not be asked about.
        common = {"augment": "none", "epochs": 10, "seed": seed, "model": "c1_resnet18s_w16", "head": "mlp"}
        for task in TASKS:
            for preset in ("paper", "fixed") if task in ("jigsaw", "blur") else ("fixed",):
                yield f"{place}/{task}.{preset}/seed{seed}", _config(task=task, preset=preset, **common, **values)


def _clipart() -> Iterator[tuple[str, PretrainConfig]]:
    """Experiment 3 on colour pictures, the embedded clip art of 64 pixels: does it hold beyond grey clothes?"""
    for augment in ("simclr", "none"):
        for seed in SEEDS:
            for model, head in STANDARD + CONTROLS + HEADS[1:]:
                values = {"data": "openclipart_mini", "limit": None, "epochs": 10, "batch_size": 64, "augment": augment}
                config = _config(model=model, head=head, seed=seed, **values, precision="float32")
                yield f"clipart/{augment}/{model}.{head}/seed{seed}", config


def _clipart_random() -> Iterator[tuple[str, PretrainConfig]]:
    """Its control without any training."""
    values = {"data": "openclipart_mini", "limit": None, "precision": "float32"}
    for seed in SEEDS:
        for model, head in STANDARD + CONTROLS[:3]:
            yield f"clipart/random/{model}/seed{seed}", _config(model=model, head=head, seed=seed, **values)


def _zoo() -> Iterator[tuple[str, PretrainConfig]]:
    """The published weights: all training images, SimCLR's augmentation."""
    for width in (16, 32):
        # The wide standard network's file is to stay below 12 MB with its head.
        values = {"limit": None, "epochs": 20, "head_hidden": 2048 if width == 16 else 512}
        for model, head in (("resnet18s", "mlp"), ("c4_resnet18s", "equivariant"), ("d4_resnet18s", "equivariant")):
            yield f"zoo/{model}_w{width}.rot_fmnist_simclr", _config(model=f"{model}_w{width}", head=head, **values)


def _clipart_zoo() -> Iterator[tuple[str, PretrainConfig]]:
    """The published weights that learned of the whole Open Clip Art Library: 64 pixels, in colour."""
    values = {"data": "openclipart", "limit": None, "size": 64, "augment": "crop_flip", "batch_size": 64}
    for model, head in (("c4_resnet18s_w32", "equivariant"), ("resnet18s_w32", "mlp")):
        config = _config(model=model, head=head, epochs=30, head_hidden=512, **values)
        yield f"zoo/{model}.rot_openclipart", config


ZOO = dict(_zoo()) | dict(_clipart_zoo())
"""The runs of the zoo, by name."""
CLIPART_RANDOM = dict(_clipart_random())
"""Those of the clip art as they are initialised, by name."""
RANDOM = dict(_random()) | CLIPART_RANDOM
"""Networks that are measured as they are initialised, by name."""
GRID = dict(_model_equivariance()) | dict(_causes()) | dict(_tasks()) | dict(_clipart()) | dict(_clipart_tasks()) | ZOO
"""All runs, by name."""
