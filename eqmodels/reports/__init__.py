"""How figures are shown: one table and one way to write per cent, for the terminal, Markdown, pages and cards."""

from eqmodels.reports.numbers import percent, percent_range
from eqmodels.reports.table import Table

__all__ = ["Table", "percent", "percent_range"]
