"""What a channel axis means, as a value."""

from eqmodels.fields.field import Field, Regular, Scalars, Sum, check_field
from eqmodels.fields.irreps import Irreps, IrrepsPart
from eqmodels.fields.turning import turn_back
from eqmodels.fields.vectors import Vectors

__all__ = ["Field", "Irreps", "IrrepsPart", "Regular", "Scalars", "Sum", "Vectors", "check_field", "turn_back"]
