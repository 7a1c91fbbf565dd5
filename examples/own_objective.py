"""Your own objective: two views of an image are told from the views of all other images (InfoNCE).

    eqmodels pretrain --import examples/own_objective.py --objective contrastive --temperature 0.1

Source: Chen et al. 2020, arXiv 2002.05709.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from eqmodels import Backbone
from eqmodels.fields import Scalars
from eqmodels.heads import MLPHead
from eqmodels.objectives import Batch, Network, Objective, Purpose, Randomness, Term, predicted, register_objective
from eqmodels.transforms import AUGMENTATIONS, create_augmentation


@register_objective("contrastive")
class Contrastive(Objective):
    """Cross-entropy of finding an image's other view among all second views of this process's share of the batch.

    Args:
        backbone: the encoder that is pretrained.
        num_classes: of the images; not used.
        augment: what makes the views.
        temperature: of the softmax over cosine similarities.
        width: of the projected features that are compared.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int = 0,  # noqa: ARG002
        *,
        augment: Annotated[str, AUGMENTATIONS] = "simclr",
        temperature: float = 0.2,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.augmentation, self.temperature = create_augmentation(augment), temperature
        self.projection = MLPHead(backbone.map_field, Scalars(width), hidden=4 * width)

    def views(self, batch: Batch, randomness: Randomness) -> tuple[Tensor, ...]:
        """Two augmented views of every image."""
        drawn = self.augmentation.draw(2 * batch.size, randomness.generator(Purpose.AUGMENTATION))
        return tuple(self.augmentation.apply(batch.images, part[batch.rows]) for part in drawn.chunk(2))

    def loss(self, network: Network, views: tuple[Tensor, ...]) -> dict[str, Term]:
        """One term, in nats, with the part of the images whose other view is the nearest."""
        first, second = (F.normalize(self.projection(network(view)).float()) for view in views)
        logits = first @ second.mT / self.temperature
        own = torch.arange(len(logits), device=logits.device)
        return {"pair": Term(F.cross_entropy(logits, own), predicted(logits, own).sum())}
