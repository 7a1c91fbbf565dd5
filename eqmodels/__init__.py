"""Pretrained, exactly group-equivariant encoders for PyTorch, and the laboratory that makes them."""

from eqmodels.backbones import Encoder, create_model, list_models
from eqmodels.groups import PlanarGroup

__all__ = ["Encoder", "PlanarGroup", "create_model", "list_models"]
__version__ = "0.1.0"
