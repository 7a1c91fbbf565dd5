"""An encoder that predicts the pose as a canonicalisation network of equiadapt."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones.backbone import Backbone

__all__ = ["as_equiadapt"]


def as_equiadapt(encoder: Backbone) -> nn.Module:
    """An encoder as equiadapt's ``GroupEquivariantImageCanonicalization`` takes its networks: one logit an element.

    The logits ``(B, |G|)`` are those of the encoder's `global_pool`, in the order of equiadapt, which mirrors an image
    before it turns it. The encoder is the child `encoder`, not a copy. It is trained where its pooling is
    ``"canonical-soft"``; ``"canonical"`` keeps what predicts the pose as it is.

    Args:
        encoder: with a canonical pooling.

    Raises:
        TypeError: if it is no encoder of this package.
        ValueError: if it predicts no pose.

    Source: Mondal et al. 2023, arXiv 2310.01647.
    """
    check_arguments(as_equiadapt, locals())
    if not encoder.global_pool.is_canonical:
        raise ValueError(
            f"encoder must predict the pose, and has {encoder.global_pool.mode} features. Build it with "
            "global_pool='canonical-soft' and train it, or load one of the zoo."
        )
    return PoseNetwork(encoder)


class PoseNetwork(nn.Module):
    """The logits of an encoder's pose, with what equiadapt asks of a network.

    Attributes:
        group_type: ``"rotation"`` or ``"roto-reflection"``.
        num_rotations: of the group.
    """

    def __init__(self, encoder: Backbone) -> None:
        super().__init__()
        self.encoder = encoder
        turns, mirrored = encoder.group.rotations, encoder.group.order - encoder.group.rotations
        self.group_type, self.num_rotations = ("roto-reflection" if mirrored else "rotation"), turns
        # Ours turn an image that was mirrored: the other way round, the turn changes its sense.
        self._order = [*range(turns), *(turns + -turn % turns for turn in range(mirrored))]

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """One logit an element, of which the largest says how each image is turned and mirrored."""
        logits: Tensor = self.encoder.global_pool.pose(self.encoder.regular_features(images))
        return logits[:, self._order]
