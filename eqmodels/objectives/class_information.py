"""Class information, injected into features or eliminated from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float, Int
from eqmodels.checks import check_count, check_placed, check_tensor
from eqmodels.errors import shown
from eqmodels.fields import Scalars
from eqmodels.heads import LinearHead, MLPHead
from eqmodels.objectives.gradient import scale_gradient
from eqmodels.objectives.losses import prediction_loss

__all__ = ["ClassInformation", "check_weight", "class_information_loss"]


MOST = 1e30
"""Of a weight: what is larger leaves nothing of float32."""


def class_information_loss(
    features: Float[Tensor, "B F"],
    labels: Int[Tensor, " B"],
    head: Callable[[Tensor], Tensor],
    *,
    weight: float,
) -> Float[Tensor, ""]:
    """The cross-entropy of the class in nats, whose gradient reaches the features `weight` times.

    ``L = CE(head(z), c)``; the head receives ``dL/dhead`` and the features ``weight dL/dz``. So the head descends *its
    own* loss at rate one, whatever the weight, and of what made the features a positive weight asks to know the class
    ("add"), 0 nothing (the head is an online probe) and a negative one to hide it ("eliminate").

    Not ``weight * L``, as in the public code of the paper: with a negative weight that head ascends its own loss, gets
    worse than chance by itself, and the features can keep all they know of the class.

    That this head is at chance does not yet show that the features know nothing: they have learned to hide from *it*,
    and a fresh probe often finds the class again (Elazar & Goldberg 2018, arXiv 1808.06640). Report `fit_linear_probe`
    on held-out images beside it.

    Source: experiment 2 of Wang et al. 2024, arXiv 2411.06508 (weights 0.5 and -9), with the gradient reversal of Ganin
    & Lempitsky 2015, arXiv 1409.7495.

    Args:
        features: what is to know of the class, or not.
        labels: classes, from 0.
        head: from features to the logits of the classes, ``(B, F) -> (B, classes)``.
        weight: the dose, a finite number.

    Raises:
        TypeError: if features or labels are no dense tensor, the features not of the head's type, or the labels no
            integers.
        ValueError: if there is not one label an image, a label is no class of the head, the features are not what the
            head takes, something is on another device, or the weight is not finite.
    """
    check_tensor("labels", labels)
    if labels.shape != check_tensor("features", features).shape[:1]:
        raise ValueError(
            f"class information needs one label an image; got {len(features)} images and labels of the shape "
            f"{tuple(labels.shape)}. Pass the labels of the same batch."
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integers; got {labels.dtype}. Convert them with .long().")
    if labels.device != features.device:
        raise ValueError(
            f"labels must be on the device of the features, {features.device}; got {labels.device}. Move them with "
            f".to({str(features.device)!r})."
        )
    logits = head(scale_gradient(_suited(features, head), check_weight("weight", weight)))
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise ValueError(
            f"labels must lie in 0 .. {logits.shape[1] - 1}, the classes of the head; got {int(labels.min())} .. "
            f"{int(labels.max())}. Use a head with num_classes={int(labels.max()) + 1}, or number the classes from 0."
        )
    return prediction_loss(logits, labels.long())


def _suited(features: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    """The features themselves, if a head can take them, as far as a head of modules tells."""
    if not features.is_floating_point():
        raise TypeError(f"features must be floating point; got {features.dtype}. Convert them with .float().")
    layer = head[0] if isinstance(head, nn.Sequential) and len(head) else head
    if not isinstance(layer, nn.Linear) or layer.weight.is_meta:  # which is what an offloaded one seems to be
        return features
    if features.dim() != 2 or features.shape[1] != layer.in_features:
        raise ValueError(
            f"features must have the shape (batch, {layer.in_features}), which the head takes; got "
            f"{tuple(features.shape)}. Pass those of the encoder that it was built for."
        )
    return check_placed(features, layer.weight, "features")


class ClassInformation(nn.Module):
    """A class head on features, and the dose of its gradient that reaches them; see `class_information_loss`.

    ``(B, in_features) -> (B, num_classes)``: the cross-entropy of these logits *is* that loss, so they can be computed
    with those of other heads, in one call of a network that is compiled or replicated.

    Args:
        in_features: length of the feature vectors.
        num_classes: number of classes.
        weight: the dose: above 0 adds class information, 0 observes it, below 0 eliminates it.
        hidden: width of the head's hidden layer; 0 for a linear head.

    Attributes:
        head: from features to the logits of the classes.
        num_classes: number of classes.
        weight: the dose.

    Raises:
        TypeError: if a count is not an integer.
        ValueError: if a count is too small, or the weight is no finite number.
    """

    def __init__(self, in_features: int, num_classes: int, *, weight: float, hidden: int = 2048) -> None:
        super().__init__()
        if check_count("num_classes", num_classes, 0) < 2:
            raise ValueError(
                f"num_classes must be at least 2, as a single class holds no information; got {num_classes}. Use "
                "images of several classes, or no class head."
            )
        self.num_classes, self.weight = num_classes, check_weight("weight", weight)
        self.head: nn.Module
        if check_count("hidden", hidden, 0):
            self.head = MLPHead(Scalars(in_features), Scalars(num_classes), hidden=hidden)
        else:
            self.head = LinearHead(Scalars(in_features), Scalars(num_classes))

    def forward(self, features: Float[Tensor, "B in_features"]) -> Float[Tensor, "B num_classes"]:
        """Logits of the classes, whose gradient reaches the features `weight` times."""
        logits: Tensor = self.head(scale_gradient(features, self.weight))
        return logits

    def loss(self, features: Float[Tensor, "B in_features"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """The cross-entropy of the class in nats, whose gradient reaches the features `weight` times."""
        return class_information_loss(features, labels, self.head, weight=self.weight)

    def extra_repr(self) -> str:
        """The dose, for `print(model)`."""
        return f"weight={self.weight:g}"


def check_weight(name: str, weight: float) -> float:
    """The weight itself, if it is a finite number.

    Args:
        name: of the argument, for the sentence.
        weight: of class information.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) < MOST:
        raise ValueError(
            f"{name} must be a finite number; got {shown(weight)}. Pass 0.5 to add class information, 0 to observe it "
            "or -9 to eliminate it."
        )
    return weight
