"""What a channel axis means, as a value."""

from eqmodels.fields.field import Field, Regular, Scalars, Sum, check_field
from eqmodels.fields.turning import turn_back

__all__ = ["Field", "Regular", "Scalars", "Sum", "check_field", "turn_back"]
