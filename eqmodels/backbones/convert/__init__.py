"""Checkpoints that others trained, read into the networks of this package."""

from eqmodels.backbones.convert.equivision import from_equivision
from eqmodels.backbones.convert.redet import from_redet
from eqmodels.backbones.convert.report import ConversionReport, ConvertedLayer, RedetReport
from eqmodels.backbones.convert.torchvision_resnet import from_torchvision

__all__ = ["ConversionReport", "ConvertedLayer", "RedetReport", "from_equivision", "from_redet", "from_torchvision"]
