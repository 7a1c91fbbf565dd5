"""The table of engines: what stands in the docs is what was measured."""

from __future__ import annotations

from benchmarks._sections import read_section
from benchmarks.speed import engines


def test_the_section_is_that_of_the_committed_table():
    assert read_section(engines.DOCUMENT, engines.SECTION) == engines.section()
    rows = engines.rows_of(engines.TABLE)
    for batch in (1, 64):
        for name in engines.NAMES:
            for engine in engines.ENGINES:
                row = rows[f"batch {batch}, {engine}", f"{name}, {engine}"]
                assert f"{batch / row.median:.0f}" in engines.section()
                assert (row.ratio == 1.0) == (name == engines.RESNET)
