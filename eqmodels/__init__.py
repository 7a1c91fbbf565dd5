"""Exactly group-equivariant image encoders for PyTorch, with pretrained weights, behind the interface of a ResNet."""

from eqmodels.backbones import Backbone, Encoder
from eqmodels.groups import PlanarGroup
from eqmodels.hub import create_model, list_models, load
from eqmodels.storage import EqmodelsError

__all__ = ["Backbone", "Encoder", "EqmodelsError", "PlanarGroup", "create_model", "list_models", "load"]
__version__ = "0.1.0"
