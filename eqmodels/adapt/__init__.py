"""Pretrained networks of others made exactly equivariant: encoders like those of this package, in one line."""

from eqmodels.adapt.by_orbit import symmetrise
from eqmodels.adapt.weights import Original, original

__all__ = ["Original", "original", "symmetrise"]
