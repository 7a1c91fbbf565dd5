"""Charts show what was measured, and say what they do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eqmodels.bench import read_lines
from eqmodels.hub.entries import read_results
from eqmodels.pages.charts import (
    SHOWN,
    SMALLEST,
    angle_chart,
    cost_chart,
    fractions_chart,
    kinds_chart,
    label_chart,
    layer_chart,
    training_chart,
)
from eqmodels.pages.rows import MEASURES, bench_rows
from tests.pages.conftest import FRESH, OURS, PLAIN

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rows(folder):
    return bench_rows(read_lines(folder))


def values(chart):
    return chart["data"]["values"]


def fronts(chart, measure):
    return {one["network"] for one in values(chart) if one["front"] and one["measure"] == measure}


def test_accuracy_stands_against_what_it_costs_with_the_front_of_each_measure(rows):
    chart = cost_chart(rows, "throughput", ["c1", "c4"])
    assert len(values(chart)) == len(rows) * len(MEASURES)
    ours = next(one for one in values(chart) if one["network"] == OURS and one["measure"] == "turned")
    assert (ours["accuracy"], ours["throughput"], ours["group"]) == (80.0, 900.0, "c4")
    assert fronts(chart, "upright") == {PLAIN}
    assert fronts(chart, "turned") == {OURS, PLAIN}
    # Of parameters fewer are better.
    assert fronts(cost_chart(rows, "parameters", ["c1", "c4"]), "turned") == {OURS, FRESH}


def test_names_are_laid_out_after_the_line_and_the_points_that_they_avoid(rows):
    chart = cost_chart(rows, "throughput", ["c1", "c4"])
    (patch,) = chart["usermeta"]["embedOptions"]["patch"]
    kinds = [layer["mark"]["type"] for layer in chart["layer"]]
    assert patch["path"] == f"/marks/{kinds.index('text')}/transform"
    (layout,) = patch["value"]
    assert layout["avoidMarks"] == [f"layer_{kinds.index(kind)}_marks" for kind in ("line", "point")]
    assert layout["sort"]["field"] == "datum.front"


def test_the_reader_chooses_among_all_measures(rows):
    choice, _ = cost_chart(rows, "throughput", ["c1", "c4"])["params"]
    assert choice["bind"]["options"] == list(MEASURES)
    assert choice["value"] in MEASURES


def test_without_a_cost_there_is_no_chart(rows):
    assert cost_chart([replace(row, speeds={}) for row in rows], "throughput", ["c4"]) is None
    assert cost_chart([replace(row, counted=None) for row in rows], "parameters", ["c4"]) is None


def test_few_labels_are_in_their_order_and_only_seeds_have_intervals(rows):
    chart = label_chart(rows)
    assert chart["encoding"]["x"]["sort"] == ["1", "20", "all 1,000 images"]
    widths = {one["network"]: "low" in one for one in values(chart) if one["labels"] == "1"}
    assert widths == {OURS: False, PLAIN: False, FRESH: True}
    whole = {one["network"]: one["accuracy"] for one in values(chart) if one["labels"].startswith("all")}
    assert whole == {OURS: 80.0, PLAIN: 84.0, FRESH: 55.0}


def test_angles_are_those_of_the_evaluation_and_the_circle_is_closed():
    evaluation = read_results(ROOT / "zoo" / OURS)
    found = values(angle_chart({OURS: evaluation}))
    scores = evaluation.of("canonical")
    assert [one["angle"] for one in found] == [*range(0, 360, 15), 360]
    assert found[0]["accuracy"] == found[-1]["accuracy"] == pytest.approx(100 * scores.curve[0][1], abs=0.01)
    assert angle_chart({OURS: replace(evaluation, kinds=())}) is None


def test_charts_of_networks_show_those_that_the_table_shows_in_colours_that_stay(rows):
    """Which the page says by a parameter; a chart of one network's own features has none."""
    evaluation = read_results(ROOT / "zoo" / OURS)
    of_all = [cost_chart(rows, "parameters", ["c1"]), label_chart(rows), angle_chart({OURS: evaluation})]
    for chart in of_all:
        assert chart["params"][-1] == {"name": SHOWN, "value": None}
        assert "indexof(shown, split(datum.network, ', ')[0])" in chart["transform"][-1]["filter"]
        assert {one["network"].split(", ")[0] for one in values(chart)} <= {row.model for row in rows}
    assert of_all[1]["layer"][0]["encoding"]["color"]["scale"]["domain"] == [row.model for row in rows]
    assert of_all[2]["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert "params" not in kinds_chart(evaluation)


def test_the_kinds_of_features_of_one_network_and_parts_of_its_labels_are_drawn():
    evaluation = read_results(ROOT / "zoo" / OURS)
    kinds = {one["network"] for one in values(kinds_chart(evaluation))}
    assert {"canonical", "regular"} <= kinds <= {scores.kind for scores in evaluation.kinds}
    found = {(one["network"], one["share"]): one["accuracy"] for one in values(fractions_chart(evaluation))}
    scores = evaluation.of("canonical")
    assert found["canonical", 1.0] == pytest.approx(100 * scores.labels["0.01"].mean, abs=0.01)
    assert found["canonical", 100.0] == pytest.approx(100 * scores.accuracy, abs=0.01)
    bare = replace(evaluation, kinds=tuple(replace(one, angles={}, labels={}) for one in evaluation.kinds))
    assert kinds_chart(bare) is fractions_chart(bare) is None


def test_layers_are_in_the_order_of_the_network_and_no_error_is_drawn_at_the_edge():
    chart = layer_chart({"stem": 0.0, "layer1": 1e-3})
    assert values(chart) == [{"layer": "stem", "error": SMALLEST}, {"layer": "layer1", "error": 1e-3}]
    assert chart["encoding"]["y"]["sort"] == ["stem", "layer1"]


def test_a_training_is_its_loss():
    chart = training_chart([{"epoch": 1.0, "loss": 2.0, "seconds": 3.0}, {"epoch": 2.0, "loss": 1.0}])
    assert values(chart) == [{"epoch": 1.0, "loss": 2.0}, {"epoch": 2.0, "loss": 1.0}]
    assert training_chart([{"epoch": 1.0}]) is None


def test_every_chart_is_json_and_described(rows):
    for chart in (cost_chart(rows, "throughput", ["c1", "c4"]), label_chart(rows), layer_chart({"a": 1.0})):
        assert json.loads(json.dumps(chart, allow_nan=False)) == chart
        assert chart["description"]
