"""Somebody else's network made equivariant: by the orbit of its images, or by turning them upright."""

from eqmodels.backbones.adapted.canonical import Canonical, CanonicalMode
from eqmodels.backbones.adapted.canonicalised import ENERGY, Canonicalised
from eqmodels.backbones.adapted.noted import WITHOUT_IMAGES, note_original
from eqmodels.backbones.adapted.orbit import Orbit
from eqmodels.backbones.adapted.origins import ORIGINS, create_original, images_of, size_of, takes_one_size
from eqmodels.backbones.adapted.probing import answer_of
from eqmodels.backbones.adapted.symmetrised import Symmetrised, checked_size
from eqmodels.backbones.adapted.upright import TurnedUpright, Upright

__all__ = [
    "ENERGY",
    "ORIGINS",
    "WITHOUT_IMAGES",
    "Canonical",
    "CanonicalMode",
    "Canonicalised",
    "Orbit",
    "Symmetrised",
    "TurnedUpright",
    "Upright",
    "answer_of",
    "checked_size",
    "create_original",
    "images_of",
    "note_original",
    "size_of",
    "takes_one_size",
]
