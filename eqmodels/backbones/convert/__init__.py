"""Checkpoints that others trained, read into the networks of this package."""

from eqmodels.backbones.convert.redet import from_redet
from eqmodels.backbones.convert.redet_report import ConvertedLayer, RedetReport
from eqmodels.backbones.convert.torchvision_resnet import from_torchvision

__all__ = ["ConvertedLayer", "RedetReport", "from_redet", "from_torchvision"]
