"""Everything that decides a fine-tuning beside the network and the images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from eqmodels.checks import check_count
from eqmodels.errors import shown
from eqmodels.options import options_of
from eqmodels.storage import LONGEST_LOG
from eqmodels.transforms import AUGMENTATIONS

__all__ = ["FinetuneConfig"]


@dataclass(frozen=True)
class FinetuneConfig:
    """How a network is fine-tuned: two of one config, network and images give the same weights on one machine's CPU.

    Args:
        epochs: passes over the training images in which all layers learn, at most; 0 for the linear probe alone.
        patience: epochs in a row without a better validation score after which it stops.
        batch_size: images of one step, at least two.
        learning_rate: of the classifier, the largest; it grows for one epoch and falls in half a cosine wave.
        layer_decay: factor of the learning rate from each stage to the one before it, 1 for the same everywhere.
        weight_decay: decoupled decay of filters (AdamW); none of biases and normalisation.
        augment: of the training images of all layers, as in pretraining.
        learn_pose: whether the head that predicts the pose of canonical features learns too, which averages them over
            the predicted poses (``"canonical-soft"``); else a pose is chosen, and the head stays as it is.
        validation: part of the training images of every class to choose the epoch on, where no others are given.
        seed: of order, augmentation and dropout, below 2**32.

    Raises:
        TypeError: if a value is of another type.
        ValueError: if one breaks its rule, or there is no such augmentation.
    """

    epochs: int = 30
    patience: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    layer_decay: float = 0.7
    weight_decay: float = 0.05
    augment: Annotated[str, AUGMENTATIONS] = "crop_flip"
    learn_pose: bool = True
    validation: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        for name, option in options_of(type(self)).items():
            option.check(getattr(self, name))
        AUGMENTATIONS.find(self.augment)
        for name, least in {"epochs": 0, "patience": 1, "batch_size": 2, "seed": 0}.items():
            check_count(name, getattr(self, name), least, bits=64)
        for name, most in {"epochs": LONGEST_LOG, "seed": 2**32 - 1}.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}; got {shown(getattr(self, name))}. Pass {most}.")
        for name in ("learning_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite number of at least 0; got {shown(getattr(self, name))}. "
                    f"Pass {getattr(type(self), name)}."
                )
        if not 0 < self.layer_decay <= 1:
            raise ValueError(
                f"layer_decay must be above 0 and at most 1; got {shown(self.layer_decay)}. Pass 1 for one learning "
                "rate everywhere."
            )
        if not 0 < self.validation <= 0.5:
            raise ValueError(
                f"validation must be above 0 and at most 0.5; got {shown(self.validation)}. Pass 0.2 for a fifth."
            )

    def to_dict(self) -> dict[str, Any]:
        """All values by name, ready for JSON."""
        return asdict(self)
