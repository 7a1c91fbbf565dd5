"""Backbones: the protocol, the base class, the registry, and one file or folder a family, which registers itself."""

from eqmodels.backbones.adapted import ORIGINS, Canonical, Canonicalised, Orbit, Symmetrised, TurnedUpright, Upright
from eqmodels.backbones.backbone import Backbone, create_model
from eqmodels.backbones.convert import (
    ConversionReport,
    ConvertedLayer,
    RedetReport,
    from_equivision,
    from_redet,
    from_torchvision,
)
from eqmodels.backbones.dense import FPN, UNet
from eqmodels.backbones.encoder import Encoder
from eqmodels.backbones.equiadapt_adapter import as_equiadapt
from eqmodels.backbones.escnn_adapter import as_escnn
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_weights import from_escnn, to_escnn
from eqmodels.backbones.foreign import as_encoder
from eqmodels.backbones.input_channels import with_channels
from eqmodels.backbones.network import FeatureInfo
from eqmodels.backbones.points import (
    DGCNN,
    FrameAveraged,
    FrameCanonicalised,
    IrrepsNetwork,
    PointBackbone,
    PointNet,
    VectorNetwork,
)
from eqmodels.backbones.registry import BACKBONES, list_models, register_backbone
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.backbones.standard_resnet import StandardResNet
from eqmodels.backbones.wide_resnet import WideSteerableResNet
from eqmodels.backbones.width import with_width

__all__ = [
    "BACKBONES",
    "DGCNN",
    "FPN",
    "ORIGINS",
    "Backbone",
    "Canonical",
    "Canonicalised",
    "ConversionReport",
    "ConvertedLayer",
    "Encoder",
    "EscnnResNet",
    "FeatureInfo",
    "FrameAveraged",
    "FrameCanonicalised",
    "IrrepsNetwork",
    "Orbit",
    "PointBackbone",
    "PointNet",
    "RedetReport",
    "StandardResNet",
    "SteerableResNet",
    "Symmetrised",
    "TurnedUpright",
    "UNet",
    "Upright",
    "VectorNetwork",
    "WideSteerableResNet",
    "as_encoder",
    "as_equiadapt",
    "as_escnn",
    "create_model",
    "from_equivision",
    "from_escnn",
    "from_redet",
    "from_torchvision",
    "list_models",
    "register_backbone",
    "to_escnn",
    "with_channels",
    "with_width",
]
