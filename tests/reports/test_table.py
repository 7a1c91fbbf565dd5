"""One table in every form, and one way to write per cent."""

from __future__ import annotations

import csv
import io

import pytest

from eqmodels.reports import Table, percent, percent_range

TABLE = Table(["name", "value"], [["a", "1.0"], ["longer", "10.0"]])


def test_columns_are_aligned():
    assert TABLE.text().splitlines() == ["name    value", "------  -----", "a         1.0", "longer   10.0"]


def test_words_do_nothing_in_markdown_unless_they_are_markdown():
    table = Table(["a", "b", "c"], [["[x](y) | z", "`1`", "2"]], left=2)
    assert table.markdown().splitlines() == ["| a | b | c |", "| --- | --- | ---: |", "| (x)(y) / z | '1' | 2 |"]
    assert table.markdown(as_it_is=True).splitlines()[-1] == "| [x](y) | z | `1` | 2 |"


def test_values_survive_their_file():
    words = [["a, b", 'c "d"'], ["", "e"]]
    assert list(csv.reader(io.StringIO(Table(["x", "y"], words).csv()))) == [["x", "y"], *words]


@pytest.mark.parametrize("rows", [[["1"]], [["1", 2]], ["12"]])
def test_rows_that_are_no_words_of_every_column_are_refused(rows):
    with pytest.raises((TypeError, ValueError), match="rows must"):
        Table(["a", "b"], rows)


@pytest.mark.parametrize(("fraction", "text"), [(0.8484, "84.8"), (None, "-"), (float("nan"), "-"), (1.0, "100.0")])
def test_fractions_in_per_cent(fraction, text):
    assert percent(fraction) == text


def test_differences_have_a_sign_and_what_is_missing_its_own():
    assert percent(0.0149, digits=2, signed=True) == "+1.49"
    assert percent(None, missing="") == ""
    assert percent_range(-0.01, 0.02, signed=True) == "(-1.0 .. +2.0)"
