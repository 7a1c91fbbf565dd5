"""Steerable layers on plain tensors; each declares the field of its output."""

from eqmodels.layers.angle import AnglePredictor
from eqmodels.layers.basis import BasisName, default_basis, scalar_basis
from eqmodels.layers.conv import PaddingMode, SteerableConv2d
from eqmodels.layers.declared import output_field
from eqmodels.layers.dropout import FieldDropout1d, FieldDropout2d
from eqmodels.layers.filters import SteerableFilters
from eqmodels.layers.linear import SteerableLinear
from eqmodels.layers.norm import FieldBatchNorm2d, FieldLayerNorm2d
from eqmodels.layers.output_conv import OutputConv2d
from eqmodels.layers.pool import (
    AnyPoolMode,
    ExactDownsample2d,
    GlobalPool,
    GlobalPoolMode,
    GroupPool,
    GroupPoolMode,
    OddSize2d,
)
from eqmodels.layers.pose import pose_predictor
from eqmodels.layers.restriction import Restrict
from eqmodels.layers.space import pad_clouds
from eqmodels.layers.upsampling import ExactUpsample2d, JoinFields

__all__ = [
    "AnglePredictor",
    "AnyPoolMode",
    "BasisName",
    "ExactDownsample2d",
    "ExactUpsample2d",
    "FieldBatchNorm2d",
    "FieldDropout1d",
    "FieldDropout2d",
    "FieldLayerNorm2d",
    "GlobalPool",
    "GlobalPoolMode",
    "GroupPool",
    "GroupPoolMode",
    "JoinFields",
    "OddSize2d",
    "OutputConv2d",
    "PaddingMode",
    "Restrict",
    "SteerableConv2d",
    "SteerableFilters",
    "SteerableLinear",
    "default_basis",
    "output_field",
    "pad_clouds",
    "pose_predictor",
    "scalar_basis",
]
