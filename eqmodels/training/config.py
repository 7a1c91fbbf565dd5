"""Everything that decides a pretraining run, in one frozen object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from eqmodels.checks import check_count
from eqmodels.heads import list_heads
from eqmodels.storage import LARGEST_NUMBER, LONGEST_LOG
from eqmodels.tasks import PRESETS
from eqmodels.training.pitfalls import check_augmentation
from eqmodels.transforms import AugmentationName

__all__ = ["CHOICES", "OptimiserName", "PrecisionName", "PretrainConfig", "ScheduleName"]

OptimiserName = Literal["sgd", "adamw"]
ScheduleName = Literal["cosine", "multistep"]
PrecisionName = Literal["float32", "bfloat16"]

CHOICES: dict[str, tuple[str, ...]] = {
    "norm": ("batch", "layer"),
    "preset": PRESETS,
    "turn": ("auto", "always"),
    "head": tuple(list_heads()),
    "augment": get_args(AugmentationName),
    "optimiser": get_args(OptimiserName),
    "schedule": get_args(ScheduleName),
    "precision": get_args(PrecisionName),
}
"""The values of a config that are one of a few words."""

ADDED_LATER = ("class_weight", "class_hidden")
"""Values that configs are written without at their default: files, and the names of folders that are made of a config,
are those of before, and earlier versions read them."""


@dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run: two runs of one config give the same weights, bit for bit, on one machine's CPU.

    (On as many threads and processes: a sum depends, in its last bits, on how it is cut into parts.)

    The folder that holds the data is not part of it, nor the folder of the run.

    Args:
        model: the backbone's name, see `create_model`.
        norm: the backbone's normalisation, ``"batch"`` or ``"layer"``; the standard networks have the former only.
        task: the task's name, see `create_task`.
        preset: of the task, ``"paper"`` or ``"fixed"``.
        head: ``"linear"``, ``"mlp"`` or ``"equivariant"``.
        head_hidden: dense channels of the head's hidden layer.
        head_dropout: dropout in the hidden layer of ``"mlp"``.
        turn: ``"auto"`` leaves images unturned where an equivariant head makes turned ones superfluous, and there is no
            class head; ``"always"`` turns them.
        class_weight: of a head that predicts the class, the dose of its gradient that reaches the backbone: above 0
            adds class information, 0 observes it, below 0 eliminates it (see `class_information_loss`); None for no
            class head. Classes are used here and by `limit`, and nowhere else.
        class_hidden: channels of the class head's hidden layer; 0 for a linear one.
        augment: ``"none"``, ``"crop_flip"`` or ``"simclr"``, see `create_augmentation`.
        data: the data set, see `load_data`.
        limit: number of training images, equally many of every class, the same for every `seed`; None for all.
        coloured: whether grey images get random colours that do not depend on the class (see
            `eqmodels.data.coloured`).
        to_rgb: whether a grey channel is repeated three times.
        size: for ``image_folder``, the side of the images in pixels.
        epochs: passes over the training images, at most 100,000.
        batch_size: images of one step, over all processes and accumulated parts; a last, smaller batch is left out.
        accumulate: parts that a step's images are cut into on each process, to save memory.
        optimiser: ``"sgd"`` (Nesterov, momentum 0.9) or ``"adamw"``.
        learning_rate: the largest.
        final_learning_rate: of ``"cosine"``, what it falls to.
        schedule: ``"cosine"``, or ``"multistep"``: times 0.2 after 30, 60 and 80% of the steps.
        warmup_epochs: of linear growth from 0, at the start, at most `epochs`; with ``epochs=1`` and the default, of
            all there is.
        weight_decay: L2 penalty (``"sgd"``) or decoupled decay (``"adamw"``).
        clip_norm: largest norm of the gradient, a finite number; None for no clipping.
        precision: ``"bfloat16"`` runs the networks under autocast; weights are always float32.
        channels_last: memory format of images and filters.
        compile: whether to run through `torch.compile`.
        seed: of weights, order, augmentation, labels, dropout and the colours of `coloured`, below ``2**32``.

    No number may be above ``2**32``, which is the largest that a file of a finished run holds.

    Raises:
        TypeError: if a count is not an integer, another number no number, or a switch neither True nor False.
        ValueError: if a value breaks its rule, or the augmentation hides what the task did; the sentence names it.
    """

    model: str = "c4_resnet18s_w16"
    norm: Literal["batch", "layer"] = "batch"
    task: str = "rotation"
    preset: Literal["paper", "fixed"] = "fixed"
    head: str = "equivariant"
    head_hidden: int = 2048
    head_dropout: float = 0.0
    turn: Literal["auto", "always"] = "auto"
    class_weight: float | None = None
    class_hidden: int = 2048
    augment: AugmentationName = "simclr"
    data: str = "fashion_mnist_mini"
    limit: int | None = None
    coloured: bool = False
    to_rgb: bool = False
    size: int | None = None
    epochs: int = 15
    batch_size: int = 128
    accumulate: int = 1
    optimiser: OptimiserName = "sgd"
    learning_rate: float = 0.05
    final_learning_rate: float = 0.0
    schedule: ScheduleName = "cosine"
    warmup_epochs: float = 1.0
    weight_decay: float = 5e-4
    clip_norm: float | None = None
    precision: PrecisionName = "bfloat16"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_types()
        if self.seed >= 2**32:
            raise ValueError(f"seed must be below 2**32; got {self.seed}. Pass 0.")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size must be a multiple of accumulate; got {self.batch_size} and {self.accumulate}. "
                f"Pass batch_size={self.accumulate * max(self.batch_size // self.accumulate, 1)}."
            )
        for name in ("learning_rate", "weight_decay", "warmup_epochs"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite number of at least 0; got {getattr(self, name)}. "
                    f"Pass {getattr(type(self), name)}."
                )
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs must be at most epochs, or learning_rate is never reached; got {self.warmup_epochs} "
                f"and {self.epochs}. Pass warmup_epochs={self.epochs}, or more epochs."
            )
        if not 0 <= self.final_learning_rate <= self.learning_rate:
            raise ValueError(
                f"final_learning_rate must lie between 0 and learning_rate; got {self.final_learning_rate}. Pass 0."
            )
        if not 0 <= self.head_dropout < 1:
            raise ValueError(f"head_dropout must be at least 0 and below 1; got {self.head_dropout}. Pass 0.")
        if self.class_weight is not None and not math.isfinite(self.class_weight):
            raise ValueError(
                f"class_weight must be a finite number; got {self.class_weight}. Pass 0.5 to add class information, -9 "
                "to eliminate it, or leave it out for no class head."
            )
        if self.clip_norm is not None and not 0 < self.clip_norm < float("inf"):
            raise ValueError(
                f"clip_norm must be a positive finite number; got {self.clip_norm}. Pass 1, or leave it out."
            )
        self._check_largest()
        for name, allowed in CHOICES.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}. Use {allowed[0]!r}.")
        check_augmentation(self.augment, self.task)

    def _check_types(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("accumulate", 1), ("head_hidden", 1), ("seed", 0)):
            check_count(name, getattr(self, name), least)
        check_count("class_hidden", self.class_hidden, 0)
        for name in ("limit", "size"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        reals = ("learning_rate", "final_learning_rate", "weight_decay", "warmup_epochs", "head_dropout")
        for name in (*reals, "clip_norm", "class_weight"):
            value = getattr(self, name)
            if not isinstance(value, int | float) and not (name not in reals and value is None):
                raise TypeError(f"{name} must be a number; got {value!r}. Pass {getattr(type(self), name)}.")
        for name in ("coloured", "to_rgb", "channels_last", "compile"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False; got {getattr(self, name)!r}.")

    def _check_largest(self) -> None:
        """What could not be written when the run is done is refused before it starts."""
        if self.epochs > LONGEST_LOG:
            raise ValueError(f"epochs must be at most {LONGEST_LOG}; got {self.epochs}. Pass {LONGEST_LOG} or less.")
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
                raise ValueError(f"{name} must be at most 2**32; got {value}. Pass {getattr(type(self), name)}.")

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON; of `ADDED_LATER` only those that are not the default."""
        values = asdict(self)
        return {
            name: values[name]
            for name in values
            if name not in ADDED_LATER or values[name] != getattr(PretrainConfig, name)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PretrainConfig:
        """The config of such values; those that are left out have their defaults.

        Raises:
            ValueError: if a name is unknown or a value breaks its rule.
            TypeError: if a value is of a wrong type.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"a pretraining config has no {unknown[0]!r}; it has {', '.join(sorted(known))}.")
        return cls(**values)

    def differences(self, other: PretrainConfig) -> dict[str, tuple[Any, Any]]:
        """The values that differ, own and other's, by name."""
        own, others = asdict(self), asdict(other)
        return {name: (own[name], others[name]) for name in own if own[name] != others[name]}
