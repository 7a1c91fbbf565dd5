"""Encoders of point clouds: equivariant ones, and the standard ones that they are compared with."""

from eqmodels.backbones.points.dgcnn import DGCNN
from eqmodels.backbones.points.frame_averaging import FrameAveraged
from eqmodels.backbones.points.frame_canonicalised import FrameCanonicalised
from eqmodels.backbones.points.irreps_network import IrrepsNetwork
from eqmodels.backbones.points.point_backbone import PointBackbone
from eqmodels.backbones.points.pointnet import PointNet
from eqmodels.backbones.points.vector_network import VectorNetwork

__all__ = [
    "DGCNN",
    "FrameAveraged",
    "FrameCanonicalised",
    "IrrepsNetwork",
    "PointBackbone",
    "PointNet",
    "VectorNetwork",
]
