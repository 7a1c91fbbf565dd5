"""Nearest neighbours: how well the angles between frozen features know the class, with nothing trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.measures.labelled import check_train_and_test
from eqmodels.measures.magnitude import near_one

__all__ = ["knn_accuracy"]

SIMILARITIES = 2**25
"""The number of similarities that are held in memory at a time, 128 MiB in float32."""


def knn_accuracy(
    train_features: Float[Tensor, "N F"],
    train_labels: Int[Tensor, " N"],
    test_features: Float[Tensor, "M F"],
    test_labels: Int[Tensor, " M"],
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> float:
    """The accuracy, from 0 to 1, of a vote of the k nearest training images with weights ``exp(cosine / temperature)``.

    Of equally near training images the first ones vote; of classes with equal votes the first one wins. An image whose
    features are all zero has the cosine 0 with every other. In float64 if both features are, otherwise in float32.

    Source: Wu et al. 2018, arXiv 1805.01978.

    Args:
        train_features: one row an image, of any length: they are normalised.
        train_labels: classes, from 0.
        test_features: one row an image.
        test_labels: of the classes of the training images.
        k: the number of neighbours, at most N.
        temperature: small for the nearest ones alone, large for equal votes.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the features are not finite matrices of equal width, the labels are not one a row or those of the
            test are no classes of the training, `k` is not in 1..N, or `temperature` is not positive and finite.
    """
    check_arguments(knn_accuracy, locals())
    classes = check_train_and_test(train_features, train_labels, test_features, test_labels)
    if not 1 <= k <= len(train_features):
        raise ValueError(
            f"k must be from 1 to the number of training images, {len(train_features)}; got {k}. The usual one, 200, "
            "needs at least 200 training images: pass a smaller k."
        )
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive and finite; got {temperature}. The usual one is 0.1.")

    exact = train_features.dtype == test_features.dtype == torch.float64
    dtype = torch.float64 if exact else torch.float32
    train, test = (F.normalize(near_one(x.detach()), eps=1e-300).to(dtype) for x in (train_features, test_features))
    train_labels, test_labels = train_labels.to(train.device).long(), test_labels.to(train.device).long()
    chunk = max(1, SIMILARITIES // len(train))
    correct = 0
    for queries, labels in zip(test.split(chunk), test_labels.split(chunk), strict=True):
        similarities, neighbours = _nearest(queries @ train.T, k)
        # In float64, and from the nearest on: neither overflows, and no order of summation changes the winner.
        weights = similarities.double().sub(similarities[:, :1]).div(temperature).exp()
        votes = weights.new_zeros(len(queries), classes).scatter_add_(1, train_labels[neighbours], weights)
        correct += int((votes.argmax(dim=1) == labels).sum())
    return correct / len(test)


def _nearest(similarities: Float[Tensor, "M N"], k: int) -> tuple[Float[Tensor, "M K"], Int[Tensor, "M K"]]:
    # topk leaves open which of equal similarities it takes; sorting everything is slow, so only such rows are sorted.
    values, indices = similarities.topk(min(k + 1, similarities.shape[1]))
    if k < similarities.shape[1]:
        tied = values[:, k - 1] == values[:, k]
        indices[tied, :k] = similarities[tied].argsort(dim=1, descending=True, stable=True)[:, :k]
    return values[:, :k], indices[:, :k]
