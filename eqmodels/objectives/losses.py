"""What predictions are judged by: cross-entropy in nats, the divergence from a teacher, and what counts as right."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from eqmodels._shapes import Bool, Float, Int
from eqmodels.checks import check_labels, check_tensor
from eqmodels.errors import shown

__all__ = ["distillation_divergence", "predicted", "prediction_loss"]


def prediction_loss(logits: Float[Tensor, "B labels"], labels: Int[Tensor, " B"]) -> Float[Tensor, ""]:
    """The mean cross-entropy in nats, ``mean_i log sum_k exp(logit_ik) - logit_i,label_i``, in float32 at least.

    For labels A it is an upper bound on ``H(A | Z)`` where it is measured on held-out images.

    Args:
        logits: of every label, of any floating point type; those of autocast have too few digits for the logarithm.
        labels: from 0.

    Raises:
        TypeError: if one is no dense tensor, the logits are not floating point, or the labels not integers.
        ValueError: if there is not one label a row of logits.
    """
    check_labels(check_tensor("logits", logits), labels)
    return cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)


def predicted(logits: Float[Tensor, "B labels"], labels: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Whether the label's logit is above all others.

    Not `argmax`, which gives ties to the first label: where images are not turned, all labels are the first one, and a
    network that knows nothing, all its logits equal, would seem to know everything.

    Args:
        logits: of every label.
        labels: from 0.

    Raises:
        TypeError: if one is no dense tensor, the logits are not floating point, or the labels not integers.
        ValueError: if there is not one label a row of logits.
    """
    check_labels(check_tensor("logits", logits), labels)
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -math.inf)
    return own[:, 0] > others.amax(1)


def distillation_divergence(
    student: Float[Tensor, "B K"], teacher: Float[Tensor, "B K"], temperature: float
) -> Float[Tensor, ""]:
    """``T^2 KL(softmax(teacher / T) | softmax(student / T))`` in nats, the mean over the images.

    Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531.

    Args:
        student: logits, of float32 at least.
        teacher: logits.
        temperature: ``T``, by which probabilities are softened.

    Raises:
        TypeError: if logits are no dense tensor of floating point.
        ValueError: if student and teacher differ in shape or device, or the temperature is not positive.
    """
    if check_tensor("student", student).shape != check_tensor("teacher", teacher).shape or student.dim() != 2:
        raise ValueError(
            f"student and teacher must be logits of one shape (batch, labels); got {tuple(student.shape)} and "
            f"{tuple(teacher.shape)}. Pass both of the same batch."
        )
    for name, logits in (("student", student), ("teacher", teacher)):
        if not logits.is_floating_point():
            raise TypeError(f"{name} must be floating point; got {logits.dtype}. Convert it with .float().")
    if student.device != teacher.device:
        raise ValueError(
            f"student and teacher must be on one device; got {student.device} and {teacher.device}. Move one of them "
            "with .to(...)."
        )
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 < temperature < 1e6:
        raise ValueError(f"temperature must be a positive number below 10^6; got {shown(temperature)}. Pass, say, 8.0.")
    own, target = ((logits / temperature).log_softmax(1) for logits in (student, teacher))
    return temperature**2 * kl_div(own, target, reduction="batchmean", log_target=True)
