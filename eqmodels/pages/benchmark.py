"""The page of a benchmark: one file with its table, its charts, and a page of every network's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup

from eqmodels.arguments import check_arguments
from eqmodels.bench import BenchResults, read_lines
from eqmodels.bench.symmetry import PRECISIONS
from eqmodels.data import load_data
from eqmodels.fields import Regular
from eqmodels.pages import libraries
from eqmodels.pages.charts import (
    angle_chart,
    cost_chart,
    fractions_chart,
    kinds_chart,
    label_chart,
    layer_chart,
    training_chart,
)
from eqmodels.pages.maps import STEP, TurningMaps, turning_maps
from eqmodels.pages.markdown import as_html
from eqmodels.pages.networks import KnownNetwork, known_network
from eqmodels.pages.rows import MEASURES, BenchRow, anchor, bench_rows
from eqmodels.reports.pages import rendered
from eqmodels.storage import StorageError, prepare_folder, write_atomically

__all__ = ["PAGE", "digest_of", "write_page"]

PAGE, DEMO = "index.html", "demo.html"
LARGEST = 5_000_000
"""Bytes of a page."""
SHOWN_IMAGES = {"openclipart_mini": 3, "fashion_mnist_mini": 0}
"""By the images of a benchmark: the test image whose maps are shown."""
SHALLOW = 1
"""Points in the names of the layers that the chart shows; the table below it has all."""
SCRIPTS = ("datatables.net", "vega", "vega-lite", "vega-embed")
Chart = Callable[[dict[str, Any] | None], str]
"""From a specification to the name under which the page finds it; empty if there is none."""


def write_page(folder: str | Path, *, report: Callable[[str], None] = lambda _: None) -> Path:
    """Writes ``index.html`` into the folder of a benchmark: one file that needs no other and no network.

    It has a table to sort and to filter, accuracy against throughput and parameters with Pareto fronts, probes of few
    labels, curves over the angles of what ``eqmodels evaluate`` measured of the same networks, feature maps of an image
    that turns, and of every network a page of its own: card, errors of its layers, recipe and training. Maps and errors
    of layers are computed here, which takes some seconds a network; nothing is fetched.

    Args:
        folder: that ``eqmodels bench --out`` wrote.
        report: called with a word on what is being done.

    Returns:
        The path of the page.

    Raises:
        TypeError: if an argument is of another type.
        FileNotFoundError: if nothing is there that a benchmark wrote.
        StorageError: if a file cannot be read or written, or the page would be larger than 5 MB.
    """
    check_arguments(write_page, locals())
    place = Path(folder)
    results = read_lines(place)
    report("results")
    rows = bench_rows(results)
    # Networks of which another measurement alone was made, such as training on rotated images, have no row to lead to.
    models = tuple(dict.fromkeys(row.model for row in rows))
    known = {}
    for model in models:
        report(model)
        known[model] = known_network(model)
    report("feature maps")
    text = rendered(
        "index.html.j2", "eqmodels.pages", **_content(results, rows, known, has_demo=(place / DEMO).is_file())
    )
    if (size := len(text.encode())) > LARGEST:
        raise StorageError(
            f"the page of {len(models)} networks would have {size / 1e6:.1f} MB, more than 5. Measure fewer networks "
            "into one folder: eqmodels bench --models ... --out ..."
        )
    prepare_folder(place)
    write_atomically(place / PAGE, text)
    return place / PAGE


def digest_of(results: BenchResults) -> str:
    """What tells the results that a page shows from others; the page has it as ``data-results``."""
    return hashlib.sha256("\n".join(results.lines).encode()).hexdigest()


def _content(
    results: BenchResults, rows: Sequence[BenchRow], known: Mapping[str, KnownNetwork], *, has_demo: bool
) -> dict[str, Any]:
    """Everything that the template shows."""
    evaluations = {name: one.evaluation for name, one in known.items() if one.evaluation is not None}
    charts: dict[str, dict[str, Any]] = {}

    def chart(spec: dict[str, Any] | None) -> str:
        """The name under which the page finds a chart; empty if there is none."""
        if spec is None:
            return ""
        charts[f"chart-{len(charts)}"] = spec
        return f"chart-{len(charts) - 1}"

    tested = {name: one.test for name, one in evaluations.items()}
    angles = [
        {
            "data": data,
            "chart": chart(angle_chart({name: evaluations[name] for name, test in tested.items() if test[0] == data})),
        }
        for data in dict.fromkeys(test[0] for test in tested.values())
    ]
    models, turning = list(known), list(_turning(rows, known))
    return {
        "digest": digest_of(results),
        "rows": rows,
        "sets": list(_sets(rows, chart)),
        "angles": [one for one in angles if one["chart"]],
        "turning": turning,
        "turning_data": [[vars(one) for one in maps] for _, maps in turning],
        "step": STEP,
        "quarter": 90 // STEP,
        "networks": [_network(one, models, results, rows, chart) for one in known.values()],
        "origins": results.origins(),
        "precisions": list(PRECISIONS),
        "batches": results.plan.suite.batches,
        "labels": results.plan.suite.labels,
        "measures": MEASURES,
        "changed": lambda one: one.changed_turned,
        "error": lambda value: "" if value is None else f"{value:.1e}",
        "place": lambda model: anchor(model, models),
        "charts": charts,
        "has_demo": has_demo,
        "scripts": [libraries.script(name) for name in SCRIPTS],
        "table_style": libraries.style("datatables.net-dt"),
        "libraries": libraries.versions(),
        "licenses": libraries.licenses(),
    }


def _sets(rows: Sequence[BenchRow], chart: Chart) -> Iterator[dict[str, Any]]:
    """By set of images: how many there were, and its charts."""
    by_data: dict[str, list[BenchRow]] = {}
    for row in rows:
        by_data.setdefault(row.data, []).append(row)
    groups = sorted({row.group for row in rows})
    for data, own in by_data.items():
        yield {
            "data": data,
            "train": sorted({one.train for row in own for one in row.qualities}),
            "test": sorted({one.test for row in own for one in row.qualities}),
            "throughput": chart(cost_chart(own, "throughput", groups)),
            "parameters": chart(cost_chart(own, "parameters", groups)),
            "labels": chart(label_chart(own)),
        }


def _network(
    one: KnownNetwork,
    models: Sequence[str],
    results: BenchResults,
    rows: Sequence[BenchRow],
    chart: Chart,
) -> dict[str, Any]:
    """What the page of one network shows."""
    shallow = {layer: error for layer, error in one.layers.items() if layer.count(".") <= SHALLOW}
    card, notes = Markup(""), one.notes
    if one.card:
        try:
            card = as_html(one.card)
        except ModuleNotFoundError as error:
            notes = (*notes, f"No card: {error}")
    symmetry = next((row.symmetry for row in rows if row.model == one.name and row.symmetry is not None), None)
    return {
        "name": one.name,
        "place": anchor(one.name, models),
        "rows": [row for row in rows if row.model == one.name],
        "symmetry": symmetry,
        "layers": one.layers,
        "claims": one.claims,
        "layer_chart": chart(layer_chart(shallow)) if shallow else "",
        "training": chart(training_chart(one.log)),
        "kinds": chart(kinds_chart(one.evaluation)) if one.evaluation else "",
        "fractions": chart(fractions_chart(one.evaluation)) if one.evaluation else "",
        "evaluated": one.evaluation,
        "recipe": one.recipe,
        "card": card,
        "notes": notes,
        "origins": results.origins(one.name),
    }


@torch.no_grad()
def _turning(rows: Sequence[BenchRow], known: Mapping[str, KnownNetwork]) -> Iterator[tuple[str, list[TurningMaps]]]:
    """By images that are in the package: maps of a network with a group and of one without, the first of each."""
    for data, number in SHOWN_IMAGES.items():
        own = [known[row.model] for row in rows if row.data == data and _can_be_shown(known[row.model])]
        pair = [next((one for one in own if _has_group(one) is has), None) for has in (True, False)]
        chosen = [one for one in pair if one is not None]
        if chosen:
            image = load_data(data, "test").pixels(slice(number, number + 1))[0]
            yield data, [turning_maps(one.name, one.encoder, image) for one in chosen if one.encoder is not None]


def _can_be_shown(one: KnownNetwork) -> bool:
    """Whether it is here, and all its maps are regular fields of its group."""
    field = None if one.encoder is None else one.encoder.map_field
    return one.encoder is not None and isinstance(field, Regular) and field.group == one.encoder.group


def _has_group(one: KnownNetwork) -> bool:
    return one.encoder is not None and one.encoder.group.order > 1
