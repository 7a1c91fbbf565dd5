"""Layers of point clouds: neighbours, equivariant maps of irreps, frames and pooling; plain tensors in and out."""

from eqmodels.layers.space.clouds import Cloud, centred, check_clouds, masked_mean, pad_clouds
from eqmodels.layers.space.frames import FramePredictor, Frames
from eqmodels.layers.space.neighbours import Neighbours, gathered, neighbours_of
from eqmodels.layers.space.pool import PlainPointPool, PointPool, PointPoolMode
from eqmodels.layers.space.vectors import VectorLayer

__all__ = [
    "Cloud",
    "FramePredictor",
    "Frames",
    "Neighbours",
    "PlainPointPool",
    "PointPool",
    "PointPoolMode",
    "VectorLayer",
    "centred",
    "check_clouds",
    "gathered",
    "masked_mean",
    "neighbours_of",
    "pad_clouds",
]
