"""Numbers of any size brought near one, exactly, so that their squares are numbers too."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float

__all__ = ["near_one"]

BIAS, FRACTION = 1023, 52
"""Of float64: what is added to an exponent, and the bits behind it."""


def near_one(rows: Float[Tensor, "N F"]) -> Float[Tensor, "N F"]:
    """Each row times the power of two that brings its largest number between 1/2 and 1, in float64; zeros stay.

    What does not depend on the scale of a row is, bit for bit, that of the row itself, unless squares of it would have
    overflowed or vanished.
    """
    rows = rows.double()
    _, exponents = torch.frexp(rows.abs().amax(1, keepdim=True))
    # Bit by bit, since no power function promises to be exact; what is clamped comes near enough to one.
    powers = (BIAS - exponents.long().clamp(-1000, BIAS - 1)) << FRACTION
    return rows * powers.view(torch.float64)
