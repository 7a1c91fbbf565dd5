"""What tells the images of a run from others, in checkpoints of today and of before there was a rule of resizing."""

from __future__ import annotations

from eqmodels.training.images import differing_images, marks_of
from eqmodels.transforms import Preprocessing

FORMER = {"number": 40, "mean": (0.5,), "deviation": (0.25,), "size": (28, 28)}
"""As checkpoints had it, whose values PyTorch gives back as tuples."""


def test_the_same_images_are_those_of_an_earlier_checkpoint():
    here = marks_of(40, Preprocessing((0.5,), (0.25,), (28, 28)))
    assert differing_images(FORMER, here) == {}
    assert differing_images(here, here) == {}


def test_others_are_not():
    here = marks_of(41, Preprocessing((0.5,), (0.25,), (28, 30)))
    assert differing_images(FORMER, here) == {"images' number": (40, 41), "images' size": ((28, 28), (28, 30))}


def test_another_background_makes_others():
    white, black = (
        marks_of(40, Preprocessing((0.5,), (0.25,), (28, 28), background=one)) for one in ("white", "black")
    )
    assert "background" not in white
    assert differing_images(FORMER, black) == {"images' background": ("white", "black")}
    assert differing_images(black, white) == {"images' background": ("black", "white")}
    assert differing_images(black, black) == {}
