"""The strict head of space: a frame that turns with the cloud, predicted from equivariant features."""

from __future__ import annotations

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.errors import shown
from eqmodels.fields import Field, Irreps
from eqmodels.heads.registry import register_head
from eqmodels.layers.space import FramePredictor, Frames

__all__ = ["FrameHead"]


@register_head("frame")
class FrameHead(nn.Module):
    """Predicts how a cloud is turned, by three vectors that turn with it: ``(B, in_field.channels) -> (B, 9)``.

    The nine numbers are the columns front, left and up of the frame, one behind the other: those of an upright cloud
    should be x, y and z. As ``F(R x) = R F(x)``, ``|F(R x) - R|^2 = |F(x) - 1|^2``: the loss of a turned cloud with its
    rotation as the label *equals* that of the upright one with the identity, and no cloud needs to be turned in
    training. The labels of clouds in random poses would be noise, see `chordal_loss`.

    Args:
        in_field: irreps of an encoder's equivariant features, with vectors among them.
        label_field: three vectors, ``Irreps("3x1")``, or ``Irreps("3x1o")`` of an encoder of O(3).
        hidden: width of the hidden layer.

    Attributes:
        out_field: the label field: the frame of the turned cloud is the turned frame.
        pose: what predicts up, front and, under O(3), left; what canonical features are turned back by.

    Raises:
        TypeError: if `hidden` is not an integer.
        ValueError: if the features have no vectors, the labels are no frame, or of another group.
    """

    def __init__(self, in_field: Field, label_field: Field, *, hidden: int = 64) -> None:
        super().__init__()
        self.pose = FramePredictor(in_field, hidden)
        expected = Irreps("3x1o" if self.pose.in_field.group.reflections else "3x1")
        if label_field != expected:
            raise ValueError(
                f"a frame head predicts three vectors, the label_field {expected} for these features; got "
                f"{label_field if isinstance(label_field, Field) else shown(label_field)}. Use head='mlp' for other "
                "labels."
            )
        self.in_field, self.out_field = in_field, label_field

    def forward(self, features: Float[Tensor, "B C"]) -> Float[Tensor, "B 9"]:
        """Front, left and up of the frame; the axes themselves where it is degenerate."""
        return self.frames(features).matrices.transpose(1, 2).flatten(1)

    def frames(self, features: Float[Tensor, "B C"]) -> Frames:
        """The frames as matrices, and how far they can be trusted."""
        return self.pose.frames(features)
