"""Writes all that is shown of the standard suite: README's picture and table, docs/results.md, and the page.

``python -m benchmarks.standard runs/standard`` takes over what ``eqmodels bench --suite standard --out runs/standard``
measured first; ``python -m benchmarks.standard`` writes of what is committed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.standard.figures import RESULTS
from benchmarks.standard.tables import write_sections
from eqmodels.bench.results import FILES
from eqmodels.pages import write_page


def main() -> None:
    """Copies the files of a folder if one is named, and writes what is made of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standard", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="what eqmodels bench wrote; without it, nothing is copied")
    folder = parser.parse_args().folder
    if folder is not None:
        for name in FILES:
            (RESULTS / name).write_bytes((folder / name).read_bytes())
    write_sections()
    write_page(RESULTS)


if __name__ == "__main__":
    main()
