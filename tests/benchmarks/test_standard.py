"""What README and docs/results.md show of the standard suite is what the committed files say."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from benchmarks._sections import read_section
from benchmarks.standard import tables
from benchmarks.standard.figures import RESULTS, digest, measured, rows
from benchmarks.standard.picture import PICTURE, drawn_of
from eqmodels import list_models
from eqmodels.bench import SUITES, read_lines
from eqmodels.bench.results import FILES
from eqmodels.bench.supervised import SCRATCH, TUNED
from eqmodels.measures import estimate
from eqmodels.pages.benchmark import PAGE, digest_of
from eqmodels.pages.rows import bench_rows
from eqmodels.reports import percent


def test_the_sections_are_those_of_the_committed_figures():
    assert read_section(tables.README, tables.SECTION) == tables.readme_section()
    assert read_section(tables.DOCUMENT, tables.SECTION) == tables.document_section()


def test_the_picture_is_of_the_committed_figures():
    assert drawn_of(RESULTS / PICTURE) == digest()


def test_the_page_is_of_the_committed_figures():
    page = (RESULTS / PAGE).read_text("utf-8")
    assert re.findall(r'data-results="(\w+)"', page) == [digest_of(read_lines(RESULTS))]
    assert len(page.encode()) < 5_000_000


def test_all_files_are_there_and_every_network_of_the_zoo_is_in_them():
    assert {*FILES, PICTURE, PAGE} == {file.name for file in RESULTS.iterdir()}
    found = measured()
    assert {name for name, one in found.items() if one.is_pretrained} == {*list_models(pretrained=True, takes="images")}
    for one in found.values():
        assert one.quality["upright"].count == len(SUITES["standard"].seeds)
        assert ("eager", 1) in one.times
        assert (("exported", 64) in one.times) is (one.name not in SUITES["standard"].beside)


def test_the_tables_of_values_are_those_of_the_lines():
    """Each cell of quality is a row, with the same figures."""
    lines = [json.loads(line) for line in (RESULTS / "results.jsonl").read_text("utf-8").splitlines()]
    qualities = {
        (line["settings"]["model"], str(line["settings"]["seed"])): line["values"]
        for line in lines
        if line["settings"]["kind"] == "quality"
    }
    found = rows("quality")
    assert len(found) == len(qualities) > 0
    for row in found:
        values = qualities[row["model"], row["seed"]]
        assert float(row["upright"]) == pytest.approx(values["upright"], rel=1e-5)
        assert float(row["labels_20"]) == pytest.approx(values["labels"]["20"], rel=1e-5)
    assert all(line["origin"]["commit"] and not line["origin"]["commit"].endswith("+") for line in lines)


def test_who_is_behind_is_said_and_by_how_much():
    found = measured()
    text = tables.losses(found)
    for words, (plain, *others) in tables.PAIRS.items():
        for group, name in zip(("C4", "D4"), others, strict=True):
            difference = found[name].quality["upright"].mean - found[plain].quality["upright"].mean
            assert f"{group} on {words} ({100 * difference:+.1f} points" in text
    assert list(csv.reader(io.StringIO(tables.short_table(found))))


def test_what_training_gives_is_of_the_networks_that_are_named():
    def found(name, figure):
        asked = (name, "6000")
        usual = [row for row in rows("supervised") if row["training"] in (SCRATCH, TUNED)]
        own = [row for row in usual if (row["model"], row["train_images"]) == asked]
        return f"{percent(estimate(float(row[figure]) for row in own).mean)}%"

    text = tables.losses(measured())
    for plain, c4 in (("resnet18s_w16", "c4_resnet18s_w16"), tables.PAIRS["clothes"][:2]):
        upright, turned, of_c4, c4_turned = [found(name, one) for name in (plain, c4) for one in ("upright", "turned")]
        assert f"right on {upright} upright and {turned} turned, C4 on {of_c4} and {c4_turned}" in text


def test_every_line_is_read_by_pages_and_names_networks():
    results = read_lines(RESULTS)
    assert len(results.found) == len((RESULTS / "results.jsonl").read_text("utf-8").splitlines())
    # Networks that learn of rotated images alone have nothing that is compared with the others.
    assert {row.model for row in bench_rows(results)} == {*measured()}
    assert {row["model"] for row in rows("rotated")} - {*measured()}
