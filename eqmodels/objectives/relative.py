"""The objective of two views: predict what changed from one augmented view of an image to the other.

Source: Lee et al. 2021, arXiv 2111.09613 (AugSelf), whose targets are differences of crops, of colours and of flips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.backbones import Backbone
from eqmodels.checks import check_count
from eqmodels.fields import Scalars
from eqmodels.heads import MLPHead
from eqmodels.objectives.losses import predicted, prediction_loss
from eqmodels.objectives.network import Network
from eqmodels.objectives.objective import Batch, Objective, Term
from eqmodels.objectives.randomness import Purpose, Randomness
from eqmodels.objectives.registry import check_given, register_objective
from eqmodels.tasks import relative_target
from eqmodels.transforms import AUGMENTATIONS, create_augmentation

__all__ = ["RelativePrediction"]

NUMBERS, LABELS = 8, 2
"""What is predicted of a pair of views: `RelativeTarget.numbers`, and whether one of them is flipped."""


@register_objective("relative")
class RelativePrediction(Objective):
    """A perceptron on the features of two views predicts how the second was made otherwise than the first.

    Two terms: ``change``, the mean squared error of the eight numbers of `RelativeTarget`, each in units of its root
    mean square over the batch, so that who always says 0 has a loss of 1; and ``flip``, a cross-entropy in nats.

    Args:
        backbone: the encoder that is pretrained.
        num_classes: of the images; not used.
        augment: what makes the views.
        head_hidden: channels of the head's hidden layer.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is unknown, a count is too small, or the augmentation leaves nothing to predict.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int = 0,
        *,
        augment: Annotated[str, AUGMENTATIONS] = "simclr",
        head_hidden: int = 512,
    ) -> None:
        check_given(RelativePrediction, locals())
        super().__init__()
        self.augmentation = create_augmentation(augment)
        self.head = MLPHead(backbone.map_field + backbone.map_field, Scalars(NUMBERS + LABELS), hidden=head_hidden)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuses an augmentation that leaves nothing to predict.

        Raises:
            ValueError: if it is such, or the head too narrow.
        """
        check_count("head_hidden", options["head_hidden"], 1)
        if not create_augmentation(options["augment"]).numbers:
            raise ValueError(
                f"objective='relative' predicts how views differ; got augment={options['augment']!r}, which leaves all "
                "images as they are. Use augment='simclr'."
            )

    def views(self, batch: Batch, randomness: Randomness) -> dict[str, Tensor]:
        """Two views of every image, and what changed from the first to the second.

        Raises:
            ValueError: if the augmentation took all of a colour's strength away (a factor of 0 has no logarithm).
        """
        height, width = batch.images.shape[-2:]
        drawn = self.augmentation.draw(2 * batch.size, randomness.generator(Purpose.AUGMENTATION))
        uniforms = drawn.reshape(batch.size, 2, -1)
        change = relative_target(*(self.augmentation.view(uniforms[:, i], height, width) for i in (0, 1)))
        numbers = change.numbers()
        # What never changes has a root mean square of 0, and is 0.
        numbers = numbers / numbers.square().mean(0).sqrt().clamp_min(1e-12)
        first, second = (self.augmentation.apply(batch.images, uniforms[batch.rows, i]) for i in (0, 1))
        device = batch.images.device
        return {
            "first": first,
            "second": second,
            "numbers": numbers[batch.rows].to(device, torch.float32),
            "flip": change.flip[batch.rows].long().to(device),
        }

    def loss(self, network: Network, views: dict[str, Tensor]) -> dict[str, Term]:
        """The squared error of the numbers, and the cross-entropy of the flip."""
        both = torch.cat([network(views["first"]), network(views["second"])], 1)
        numbers, logits = self.head(both).split([NUMBERS, LABELS], 1)
        return {"change": Term(_squared(numbers, views["numbers"])), "flip": _flip(logits, views["flip"])}

    def outputs(self, features: Float[Tensor, "B F"]) -> dict[str, Tensor]:
        """What the head says of a view and itself."""
        return {"change": self.head(torch.cat([features, features], 1))}


def _squared(numbers: Float[Tensor, "B N"], targets: Float[Tensor, "B N"]) -> Float[Tensor, ""]:
    return (numbers.to(targets.dtype) - targets).square().mean()


def _flip(logits: Float[Tensor, "B 2"], labels: Int[Tensor, " B"]) -> Term:
    return Term(prediction_loss(logits, labels), predicted(logits, labels).sum())
