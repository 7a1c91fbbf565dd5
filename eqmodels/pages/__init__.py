"""Pages of HTML that people look at: a benchmark as one file, and a demo whose networks run in the page."""

from eqmodels.pages.benchmark import write_page

__all__ = ["write_page"]
