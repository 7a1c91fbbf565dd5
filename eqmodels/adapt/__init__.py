"""Pretrained networks of others made exactly equivariant: encoders like those of this package, in one line."""

from eqmodels.adapt.apart import completed, save_apart
from eqmodels.adapt.by_orbit import symmetrise
from eqmodels.adapt.by_pose import canonicalise, is_model, posing
from eqmodels.adapt.maps import CanonicalisedMaps, SymmetrisedMaps
from eqmodels.adapt.prior import PoseFit, fit_pose
from eqmodels.adapt.provenance import holds_original
from eqmodels.adapt.upright import turn_upright
from eqmodels.adapt.weights import Original, original

__all__ = [
    "CanonicalisedMaps",
    "Original",
    "PoseFit",
    "SymmetrisedMaps",
    "canonicalise",
    "completed",
    "fit_pose",
    "holds_original",
    "is_model",
    "original",
    "posing",
    "save_apart",
    "symmetrise",
    "turn_upright",
]
