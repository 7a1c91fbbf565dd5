"""Exactly group-equivariant image encoders for PyTorch, behind the interface of a ResNet."""

from eqmodels.backbones import Encoder, create_model, list_models
from eqmodels.groups import PlanarGroup

__all__ = ["Encoder", "PlanarGroup", "create_model", "list_models"]
__version__ = "0.1.0"
