"""Charts as Vega-Lite specifications: what is drawn is said here, and drawn by the library in the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eqmodels.evaluation import ORBIT_MEAN, TURNED_BACK, EncoderEvaluation, FeatureScores
from eqmodels.pages.rows import MEASURES, BenchRow, on_front
from eqmodels.reports import OKABE_ITO

__all__ = [
    "CONFIG",
    "SHOWN",
    "angle_chart",
    "cost_chart",
    "fractions_chart",
    "kinds_chart",
    "label_chart",
    "layer_chart",
    "training_chart",
]

Spec = dict[str, Any]
COLOURS = [colour for colour in OKABE_ITO if colour != "#000000"]
MORE = ["#8c6d31", "#7f7f7f", "#882255", "#44aa99", "#999933", "#aa4499"]
"""Those of every picture, but black, which is not seen on dark paper; and more for many networks (Tol, *muted*)."""
WEIGHTS = ["pretrained", "as initialised"]
INK = "currentColor"
"""Of words and lines: that of the page, in light and in dark."""
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": INK,
        "tickColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.15,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 220,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "orient": "bottom",
        "columns": 1,
        "labelLimit": 320,
        "title": None,
        "symbolBaseFillColor": INK,
        "symbolBaseStrokeColor": INK,
    },
    "range": {"category": [*COLOURS, *MORE]},
}
HEIGHT, LINE, ENTRY = 340, 15, 13
"""Of a chart, of a line of one with names, and of an entry of a legend, in pixels."""
SMALLEST = 1e-18
"""What an error of nothing is drawn as, on an axis of logarithms."""
CURVES = ("canonical", "invariant", "invariant-3", "regular")
"""The kinds of features whose curve stands for a network: the first that was measured."""
MAIN = (*CURVES, ORBIT_MEAN, TURNED_BACK)
"""Those that are drawn of one network."""


_PLACED: Spec = {
    "op": "add",
    "path": "/marks/2/transform",
    "value": [
        {
            "type": "label",
            "size": {"signal": "[width, height]"},
            "anchor": ["right", "left", "top", "bottom", "top-right", "top-left", "bottom-right", "bottom-left"],
            "offset": [8],
            "avoidMarks": ["layer_0_marks", "layer_1_marks"],
            "sort": {"field": "datum.front", "order": "descending"},
        }
    ],
}
"""Vega's layout of labels, which Vega-Lite has no word for: names of the front first, none on a point or on another."""


SHOWN = "shown"
"""The parameter of a chart that the page sets to the names of the networks that the table shows, or to null for all."""


def _filtered(spec: Spec) -> Spec:
    """A chart of networks, of which those are drawn that the table shows.

    What stands behind a comma in a name is no part of the network's.
    """
    seen = {"filter": f"{SHOWN} === null || indexof({SHOWN}, split(datum.network, ', ')[0]) >= 0"}
    params = [*spec.get("params", []), {"name": SHOWN, "value": None}]
    return {**spec, "params": params, "transform": [*spec.get("transform", []), seen]}


def cost_chart(rows: Sequence[BenchRow], cost: str, groups: Sequence[str]) -> Spec | None:
    """Accuracy against what a network costs, with the Pareto front; None if the cost was not measured of any.

    Which accuracy it is, the reader chooses.

    Args:
        rows: of one set of images.
        cost: ``"throughput"``, of the largest batch, or ``"parameters"``.
        groups: of all charts, so that each has one colour in all of them.
    """
    values = _points(rows, cost)
    if not values:
        return None
    words = "images a second" if cost == "throughput" else "parameters"
    x = {
        "field": cost,
        "type": "quantitative",
        "title": words,
        "scale": {"type": "log", "padding": 30, "nice": False},
        "axis": {"format": "~s", "tickCount": 5},
    }
    y = {"field": "accuracy", "type": "quantitative", "title": "accuracy, %", "scale": {"zero": False, "padding": 15}}
    seen = {"filter": "datum.measure == chosen"}
    spec = {
        **_base(f"Accuracy against {words}, with the Pareto front", values),
        "params": [
            {
                "name": "chosen",
                "value": "turned",
                "bind": {
                    "input": "select",
                    "options": list(MEASURES),
                    "name": "Accuracy of the features on images that are ",
                },
            }
        ],
        "transform": [seen],
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "transform": [{"filter": "datum.front"}],
                "mark": {"type": "line", "color": INK, "opacity": 0.45, "strokeDash": [5, 4], "aria": False},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 0.9},
                "encoding": {
                    "color": {"field": "group", "type": "nominal", "scale": {"domain": list(groups)}},
                    "shape": {"field": "weights", "type": "nominal", "scale": _shapes()},
                    "tooltip": [
                        {"field": "network", "type": "nominal"},
                        {"field": "accuracy", "type": "quantitative", "title": "accuracy, %"},
                        {"field": cost, "type": "quantitative", "title": words, "format": ",.0f"},
                    ],
                },
            },
            _names(),
        ],
        "usermeta": {"embedOptions": {"patch": [_PLACED]}},
    }
    return _filtered(spec)


def _points(rows: Sequence[BenchRow], cost: str) -> list[dict[str, Any]]:
    """A value a network and measure of those whose cost is known."""
    sign = 1 if cost == "throughput" else -1
    known = [(row, value) for row in rows if (value := _cost(row, cost)) is not None]
    values = []
    for measure, read in MEASURES.items():
        accuracies = [row.measured(read).mean for row, _ in known]
        front = on_front([(sign * value, accuracy) for (_, value), accuracy in zip(known, accuracies, strict=True)])
        values += [
            {
                "network": row.model,
                "group": row.group,
                "weights": WEIGHTS[row.is_random],
                "measure": measure,
                "accuracy": round(100 * accuracy, 2),
                cost: round(value, 1),
                "front": is_front,
            }
            for (row, value), accuracy, is_front in zip(known, accuracies, front, strict=True)
        ]
    return values


def _shapes() -> Spec:
    return {"domain": WEIGHTS, "range": ["circle", "triangle-up"]}


def _names() -> Spec:
    """The names of the networks, wherever there is room for them, see `_PLACED`."""
    return {
        "mark": {"type": "text", "fontSize": 11, "color": INK, "limit": 220, "aria": False},
        "encoding": {"text": {"field": "network", "type": "nominal"}},
    }


def _cost(row: BenchRow, cost: str) -> float | None:
    if cost == "throughput":
        return None if row.speed is None else row.speed.images_per_second
    return None if row.counted is None else float(row.counted.parameters)


def label_chart(rows: Sequence[BenchRow]) -> Spec | None:
    """Accuracy of probes of few labels a class, up to all; None if none were trained.

    Args:
        rows: of one set of images.
    """
    values, order = [], []
    for row in rows:
        everything = f"all {max(one.train for one in row.qualities):,} images"
        points = {str(count): row.few(count) for count in row.labels}
        points[everything] = row.measured(MEASURES["upright"])
        for place, found in points.items():
            order.append(place)
            ends = {} if math.isnan(found.low) else {"low": _percent(found.low), "high": _percent(found.high)}
            about = {"network": row.model, "weights": WEIGHTS[row.is_random]}
            values.append({**about, "labels": place, "accuracy": _percent(found.mean), **ends})
    if len(set(order)) < 2:
        return None
    places = sorted(dict.fromkeys(order), key=lambda place: (not place.isdigit(), int(place) if place.isdigit() else 0))
    x = {"field": "labels", "type": "ordinal", "sort": places, "title": "labels a class", "axis": {"labelAngle": 0}}
    # Colours stay where some are not shown.
    lines: list[Spec] = [_line("accuracy", [{"field": "labels", "type": "ordinal"}])]
    names = {"scale": {"domain": [row.model for row in rows]}}
    lines[0]["encoding"]["color"] = {**_by_network(), **names}
    dash = {"field": "weights", "type": "nominal", "scale": {"domain": WEIGHTS, "range": [[1, 0], [4, 3]]}}
    lines[0]["encoding"]["strokeDash"] = {**dash, "legend": None}
    if any("low" in value for value in values):
        band = {"y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}}
        band["color"] = lines[0]["encoding"]["color"]
        lines.append({"mark": {"type": "rule", "strokeWidth": 6, "opacity": 0.25, "aria": False}, "encoding": band})
    return _filtered(
        {
            **_base("Accuracy on upright images, of probes of few labels a class", values, len(rows)),
            "encoding": {"x": x},
            "layer": lines,
        }
    )


def angle_chart(evaluations: Mapping[str, EncoderEvaluation]) -> Spec | None:
    """Accuracy over the angle by which images are turned; None if nobody measured it.

    Args:
        evaluations: by the name of the network.
    """
    shown = {name: _shown(evaluation) for name, evaluation in evaluations.items()}
    lines = {f"{name}, {scores.kind}": scores for name, scores in shown.items() if scores is not None}
    palette = dict(zip(lines, [*COLOURS, *MORE] * len(lines), strict=False))
    spec = _angles(lines, palette)
    return None if spec is None else _filtered(spec)


def kinds_chart(evaluation: EncoderEvaluation) -> Spec | None:
    """The same of one network, a line a kind of its features; None if nobody measured it."""
    kinds = {scores.kind: scores for scores in evaluation.kinds if scores.kind in MAIN and scores.angles}
    return _angles(kinds, _own_colours(kinds))


def _angles(lines: Mapping[str, FeatureScores], colours: Mapping[str, str] | None = None) -> Spec | None:
    values = []
    for name, scores in lines.items():
        curve = sorted(scores.curve)
        values += [
            {"network": name, "angle": angle, "accuracy": _percent(accuracy)}
            for angle, accuracy in [*curve, (360.0, curve[0][1])]
        ]
    if not values:
        return None
    x = {
        "field": "angle",
        "type": "quantitative",
        "title": "angle of the test images, degrees",
        "scale": {"domain": [0, 360]},
        "axis": {"values": list(range(0, 361, 45))},
    }
    return {
        **_base("Accuracy over the angle of the test images", values, len(lines)),
        "encoding": {"x": x},
        "layer": [_line("accuracy", [{"field": "angle", "type": "quantitative"}], colours, point=False)],
    }


def fractions_chart(evaluation: EncoderEvaluation) -> Spec | None:
    """Accuracy of probes of a part of the labels, a line a kind of features; None if nobody measured it."""
    shown = [scores for scores in evaluation.kinds if scores.kind in MAIN]
    values = [
        {"network": scores.kind, "share": 100 * float(share), "accuracy": _percent(found.mean)}
        for scores in shown
        for share, found in scores.labels.items()
    ]
    if not values:
        return None
    x = {"field": "share", "type": "quantitative", "title": "training labels, %", "scale": {"type": "log"}}
    kinds = dict.fromkeys(str(value["network"]) for value in values)
    return {
        **_base("Accuracy of probes of a part of the labels", values, len(kinds)),
        "encoding": {"x": {**x, "axis": {"values": sorted({value["share"] for value in values})}}},
        "layer": [_line("accuracy", [{"field": "share", "type": "quantitative"}], _own_colours(kinds))],
    }


def _shown(evaluation: EncoderEvaluation) -> FeatureScores | None:
    """The features whose curve stands for a network."""
    measured = {scores.kind: scores for scores in evaluation.kinds if scores.angles}
    return next((measured[kind] for kind in CURVES if kind in measured), None)


def layer_chart(errors: Mapping[str, float]) -> Spec:
    """The error of every layer, on an axis of logarithms.

    Args:
        errors: by the layer's name, in the order of the network.
    """
    values = [{"layer": layer, "error": max(error, SMALLEST)} for layer, error in errors.items()]
    x = {
        "field": "error",
        "type": "quantitative",
        "title": "largest error over the moves",
        "scale": {"type": "log", "domain": [SMALLEST, 10]},
        "axis": {"format": ".0e", "tickCount": 5},
    }
    y = {"field": "layer", "type": "nominal", "sort": list(errors), "title": None}
    return {
        **_base("Largest error of every layer", values),
        "height": LINE * len(errors) + 60,
        "encoding": {
            "x": x,
            "y": y,
            "tooltip": [
                {"field": "layer", "type": "nominal"},
                {"field": "error", "type": "quantitative", "format": ".1e"},
            ],
        },
        "mark": {"type": "point", "filled": True, "size": 60, "color": COLOURS[0]},
    }


def training_chart(log: Iterable[Mapping[str, float]]) -> Spec | None:
    """The loss over the epochs; None if the log has none."""
    values = [{"epoch": row["epoch"], "loss": row["loss"]} for row in log if {"epoch", "loss"} <= row.keys()]
    if not values:
        return None
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1, "format": "d"}}
    y = {"field": "loss", "type": "quantitative", "title": "loss of the training", "scale": {"zero": False}}
    return {
        **_base("Loss of the training over the epochs", values),
        "height": 220,
        "encoding": {"x": x, "y": y, "tooltip": [{"field": "epoch"}, {"field": "loss", "format": ".4f"}]},
        "mark": {"type": "line", "point": True, "color": COLOURS[0]},
    }


def _base(description: str, values: list[dict[str, Any]], entries: int = 3) -> Spec:
    """A chart with a legend of so many entries, which is a part of its height."""
    return {
        "description": description,
        "width": "container",
        "height": HEIGHT + ENTRY * entries,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": values},
        "config": CONFIG,
    }


def _line(field: str, also: list[Spec], colours: Mapping[str, str] | None = None, *, point: bool = True) -> Spec:
    """A line a network; in colours of their own, or in those of the palette in turn."""
    y = {"field": field, "type": "quantitative", "title": "accuracy, %", "scale": {"zero": False}}
    shown = [{"field": "network", "type": "nominal"}, *also, {"field": field, "type": "quantitative"}]
    return {
        "mark": {"type": "line", "point": point, "strokeWidth": 2, "tooltip": True},
        "encoding": {"y": y, "color": _by_network(colours), "tooltip": shown},
    }


def _own_colours(kinds: Iterable[str]) -> dict[str, str]:
    """Of kinds of features: the same in every chart."""
    return {kind: COLOURS[MAIN.index(kind)] for kind in kinds}


def _by_network(colours: Mapping[str, str] | None = None) -> Spec:
    scale = {"scale": {"domain": list(colours), "range": list(colours.values())}} if colours else {}
    return {"field": "network", "type": "nominal", "sort": None, **scale}


def _percent(share: float) -> float:
    return round(100 * share, 2)
