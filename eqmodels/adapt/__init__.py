"""Pretrained networks of others made exactly equivariant: encoders like those of this package, in one line."""

from eqmodels.adapt.by_orbit import symmetrise
from eqmodels.adapt.by_pose import canonicalise
from eqmodels.adapt.maps import CanonicalisedMaps, SymmetrisedMaps
from eqmodels.adapt.prior import PoseFit, fit_pose
from eqmodels.adapt.weights import Original, original

__all__ = [
    "CanonicalisedMaps",
    "Original",
    "PoseFit",
    "SymmetrisedMaps",
    "canonicalise",
    "fit_pose",
    "original",
    "symmetrise",
]
