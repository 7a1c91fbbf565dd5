"""Prediction heads: from the regular features of a backbone to the logits of an E-SSL task."""

from eqmodels.heads.angle import AngleHead
from eqmodels.heads.equivariant import EquivariantHead
from eqmodels.heads.frame import FrameHead
from eqmodels.heads.linear import LinearHead
from eqmodels.heads.mlp import MLPHead
from eqmodels.heads.registry import HEADS, create_head, list_heads, register_head

__all__ = [
    "HEADS",
    "AngleHead",
    "EquivariantHead",
    "FrameHead",
    "LinearHead",
    "MLPHead",
    "create_head",
    "list_heads",
    "register_head",
]
