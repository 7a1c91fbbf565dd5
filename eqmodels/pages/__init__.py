"""Pages of HTML that people look at: a benchmark as one file, and a demo whose networks run in the page."""

from eqmodels.pages.benchmark import write_page
from eqmodels.pages.demo import write_demo

__all__ = ["write_demo", "write_page"]
