"""How often the classifier of a network is right, as it is: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from eqmodels._shapes import Bool, Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.backbones import Backbone
from eqmodels.data import Source, check_source, in_parts
from eqmodels.groups import PlanarGroup

__all__ = ["ClassifierAccuracy", "classifier_accuracy"]

QUARTERS = PlanarGroup(4)


@dataclass(frozen=True)
class ClassifierAccuracy:
    """What a classifier gets right, as parts of one.

    Attributes:
        images: their number.
        top1: the likeliest class is right.
        top5: the class is among the five likeliest.
        turned: `top1` on the images turned by 90, 180 and 270 degrees, on average.
        changed: share of the turned images whose likeliest class is another than that of the upright image.
    """

    images: int
    top1: float
    top5: float
    turned: float
    changed: float


@torch.no_grad()
def classifier_accuracy(
    encoder: Backbone,
    source: Source,
    *,
    progress: Callable[[int], object] | None = None,
) -> ClassifierAccuracy:
    """The accuracy of a network's own classifier on labelled images, upright and turned by quarters.

    Args:
        encoder: with a classifier of the classes of the images, in their order; is put into eval mode.
        source: labelled images in [0, 1], of the size that the network takes.
        progress: called with the number of images that are done since the last call.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the network has no classifier, or one of other classes than the images have, or there are none.
    """
    check_arguments(classifier_accuracy, {"encoder": encoder, "progress": progress})
    check_source(source)
    labels = source.labels
    fits = len(source) > 0 and int(labels.min()) >= 0 and int(labels.max()) < encoder.num_classes
    if not fits:
        raise ValueError(
            f"the network must have a classifier of the classes of {source.name}; got {encoder.num_classes} classes "
            f"for {len(source)} images of {len(source.classes)}. Fine-tune it on them first."
        )
    encoder.eval()
    reference = next(encoder.parameters())
    found = torch.zeros(4, dtype=torch.float64)
    for part, images in in_parts(source):
        found += _counts(encoder, images.to(reference), labels[part].to(reference.device)).cpu()
        if progress is not None:
            progress(len(images))
    shares = (found / len(source)).tolist()
    return ClassifierAccuracy(len(source), shares[0], shares[1], shares[2], shares[3])


def _counts(encoder: Backbone, images: Float[Tensor, "B C H W"], labels: Int[Tensor, " B"]) -> Float[Tensor, " 4"]:
    """How many are right, right among five, right when turned, and other when turned, the last two a turn."""
    seen = images if encoder.preprocessing is None else encoder.preprocessing.normalise(images)
    likeliest = encoder(seen).topk(min(5, encoder.num_classes), 1).indices
    among: Bool[Tensor, "B K"] = likeliest == labels[:, None]
    turned = [encoder(QUARTERS.act(g, seen)).argmax(1) for g in (1, 2, 3)]
    right = sum(int((one == labels).sum()) for one in turned) / len(turned)
    other = sum(int((one != likeliest[:, 0]).sum()) for one in turned) / len(turned)
    return torch.tensor([int(among[:, 0].sum()), int(among.sum()), right, other], dtype=torch.float64)
