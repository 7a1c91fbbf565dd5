"""Backbones, one file a family, behind the interface of `Encoder`."""

from eqmodels.backbones.convert import ConvertedLayer, RedetReport, from_redet, from_torchvision
from eqmodels.backbones.encoder import Encoder, FeatureInfo
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_weights import from_escnn, to_escnn
from eqmodels.backbones.input_channels import with_channels
from eqmodels.backbones.registry import create_model, list_models
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.backbones.standard_resnet import StandardResNet
from eqmodels.backbones.wide_resnet import WideSteerableResNet

__all__ = [
    "ConvertedLayer",
    "Encoder",
    "EscnnResNet",
    "FeatureInfo",
    "RedetReport",
    "StandardResNet",
    "SteerableResNet",
    "WideSteerableResNet",
    "create_model",
    "from_escnn",
    "from_redet",
    "from_torchvision",
    "list_models",
    "to_escnn",
    "with_channels",
]
