"""Shapes in signatures: `Float`, `Int`, `Bool` and `Shaped`, as in ``Float[Tensor, "B C H W"]``.

They are jaxtyping's if the program imported jaxtyping before this package, as the test suite does to check every shape
at run time. Otherwise they are stand-ins that give back the array type, ``Float[Tensor, "B C H W"] is Tensor``: the
package does not depend on jaxtyping, and does not spend the time to import it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

__all__ = ["Bool", "Float", "Int", "Shaped"]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, Shaped
else:

    class Shaped:
        """An array of a given shape and of any type; without jaxtyping, simply the array."""

        def __class_getitem__(cls, array_and_shape: tuple[object, str]) -> object:
            """Return the array type, the first of the two parameters."""
            array, _ = array_and_shape
            return array

    class Float(Shaped):
        """An array of floating-point numbers."""

    class Int(Shaped):
        """An array of integers."""

    class Bool(Shaped):
        """An array of truth values."""
