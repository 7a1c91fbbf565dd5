"""How figures are shown: one table, one way to write per cent, one style of pictures and one layout of pages."""

from eqmodels.reports.colours import OKABE_ITO
from eqmodels.reports.numbers import percent, percent_range
from eqmodels.reports.table import Table

__all__ = ["OKABE_ITO", "Table", "percent", "percent_range"]
