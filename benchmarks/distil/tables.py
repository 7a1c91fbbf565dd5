"""Writes the tables of distilled networks into docs/results.md: ``python -m benchmarks.distil.tables``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks._sections import write_section
from benchmarks.distil import finetuned
from benchmarks.distil.angles import ALL
from benchmarks.distil.angles import experiment as of_angles
from benchmarks.distil.goals import TEACHER, goals
from benchmarks.distil.levers import IMAGES, LEVERS, SHORT, STUDENTS, VIEWED, folder_of
from benchmarks.distil.measure import GROUPS, PAIR, PROBES, REGULAR, RESULTS, TWIN, ProbeCell, experiment, group_mean
from benchmarks.distil.reach import ASKED_SETS, ReachCell
from benchmarks.distil.reach import experiment as of_reach
from eqmodels.measures import estimate
from eqmodels.reports import Table, percent, percent_range

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"
ORDER = ("stamps", "icons", "clothes", "clip art", "tiles", "letters")
"""Of the sets in the document."""
SCALARS = ("kNN", "5 labels a class", "20 labels a class")
REFERENCE = "student, canonical"
Columns = tuple[tuple[str, str], ...]
MISSING = "…"
"""Is not measured yet."""


def tables(name: str, content: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A table a set of pictures, and one of the differences."""
    for data, rows in content.items():
        columns = [*GROUPS, *SCALARS]
        yield f"`{name}` on {data}, in %, means over 5 splits:\n"
        cells = [
            [row, *(percent(group_mean(found["accuracy"], one)) for one in columns)] for row, found in rows.items()
        ]
        yield Table(["features", *columns], cells).markdown(as_it_is=True)
        yield ""
        if REFERENCE not in rows:  # a student without a group has no pose
            continue
        groups = [group for group in GROUPS if group != "worst angle"]
        yield f"Canonical features of the student minus others, in points, 95% intervals over the pictures of {data}:\n"
        minus = {row: found["student, canonical minus it"] for row, found in rows.items() if row != REFERENCE}
        cells = [[row, *(_difference(found.get(group)) for group in groups)] for row, found in minus.items()]
        yield Table(["minus", *groups], cells).markdown(as_it_is=True)
        yield ""


def _difference(values: list[float] | None) -> str:
    if values is None:
        return "-"
    mean, low, high = values
    return f"{percent(mean, signed=True)} {percent_range(low, high, signed=True)}"


def _measured_cells() -> list[ProbeCell]:
    """All sets of all networks of which something is measured."""
    names = sorted({file.parents[1].name for file in RESULTS.glob(f"*/*/{PROBES}")} - {SHORT.name})
    return [ProbeCell(name, data) for name in names for data in ORDER]


def found() -> dict[str, dict[str, Mapping[str, Any]]]:
    """The rows of all sets that were measured, by network and set."""
    cells = _measured_cells()
    content: dict[str, dict[str, Mapping[str, Any]]] = {cell.run: {} for cell in cells}
    for cell, result in experiment(cells).results().items():
        if result is not None:
            content[cell.run][cell.set] = result["rows"]
    return content


SHORT_COLUMNS = (
    ("regular", "upright"),
    ("regular", "turned"),
    ("regular", "45 degrees"),
    ("canonical", "upright"),
    ("canonical", "45 degrees"),
    ("canonical", "5 labels a class"),
)
"""Of short runs: features of the student, and column."""


def _names(columns: Columns) -> list[str]:
    return [f"{kind.removesuffix('-3')}, {column}" for kind, column in columns]


def _scores(rows: Mapping[str, Any], columns: Columns) -> list[str]:
    """What the student has in each column; nothing where it has no features of this kind."""
    return [
        percent(group_mean(rows.get(f"student, {kind}", {}).get("accuracy", {}), column)) for kind, column in columns
    ]


def short_runs(names: Iterable[str], what: str) -> str:
    """Stamps after short runs, a row for each that is measured."""
    cell = ProbeCell(".", "stamps")
    results = {name: experiment([cell], SHORT / folder_of(name)).result(cell) for name in names}
    rows = [[name, *_scores(found["rows"], SHORT_COLUMNS)] for name, found in results.items() if found is not None]
    return Table([what, *_names(SHORT_COLUMNS)], rows).markdown(as_it_is=True)


FINETUNED = {
    finetuned.STUDENT: "distilled, C4",
    finetuned.TWIN: "distilled, standard twin",
    finetuned.RANDOM: "C4, random weights",
}
"""How rows of fine-tuning are called."""


def finetuning() -> str:
    """Accuracy after fine-tuning, with intervals over seeds; MISSING where one is not measured yet."""
    results = finetuned.experiment().results()
    rows = []
    for data in finetuned.DATA:
        for network, words in FINETUNED.items():
            own = [one["test"] for cell, one in results.items() if one and (cell.network, cell.data) == (network, data)]
            scores = [_over_seeds([getattr(one, view).mean for one in own]) for view in finetuned.VIEWS]
            rows.append([data, words, *scores])
    return Table(["pictures", "network", *finetuned.VIEWS], rows).markdown(as_it_is=True)


def _over_seeds(values: list[float]) -> str:
    if len(values) < len(finetuned.SEEDS):
        return MISSING
    found = estimate(values)
    return _with_width([found.mean, found.low, found.high])


DEGREES = {
    "upright": "0°",
    "upright, in a circle": "0° in a circle",
    "45 degrees": "45° in a circle",
    "all angles": ALL,
}
"""Columns of the errors of angles, and their keys in the files."""


def angles() -> str:
    """By how many degrees the head of the angle errs, of all networks that were asked."""
    names = sorted({file.parents[1].name for file in RESULTS.glob("*/*/angle.json")})
    measured = of_angles([ProbeCell(name, data) for name in names for data in ORDER]).results()
    rows = [
        [f"`{cell.run}`", cell.set, *(f"{result['degrees'][key]:.0f}" for key in DEGREES.values())]
        for cell, result in measured.items()
        if result is not None
    ]
    return Table(["network", "pictures", *DEGREES], rows).markdown(as_it_is=True)


CIRCLE = {f"{finetuned.STUDENT}_crops": "crops alone", finetuned.STUDENT: "half through a circle"}
"""Two trainings that differ in what turned views show, by the folders of their results."""
CIRCLE_COLUMNS = (
    ("regular", "upright"),
    ("regular", "45 degrees"),
    ("invariant-3", "45 degrees"),
    ("canonical", "upright"),
    ("canonical", "45 degrees"),
    ("canonical", "worst angle"),
)


def beside(networks: Mapping[str, str], what: str, columns: Columns = CIRCLE_COLUMNS) -> str:
    """Networks beside each other, set by set, where all were measured.

    Args:
        networks: from the folders of their results to words.
        what: the words tell.
        columns: features of the student, and views.
    """
    every = found()
    rows = [
        [data, words, *_scores(every[run][data], columns)]
        for data in ORDER
        if all(data in every.get(run, {}) for run in networks)
        for run, words in networks.items()
    ]
    return Table(["pictures", what, *_names(columns)], rows).markdown(as_it_is=True)


WITHOUT_GROUP = {
    "c1_resnet18_w32.distil_lite0": "C4's code without the group",
    finetuned.STUDENT: "C4",
}
"""What the group is worth: the same code and training, four times the parameters without it."""
GROUP_COLUMNS = (
    ("regular", "upright"),
    ("regular", "turned"),
    ("regular", "45 degrees"),
    ("canonical", "upright"),
    ("canonical", "turned"),
    ("canonical", "45 degrees"),
)

WIDE = "c4_resnet18_w64.distil_lite0"
WIDTHS = {finetuned.STUDENT: "32", WIDE: "64"}
"""What twice the width is worth, by the folders of their results."""


WIDE_LONGER = {WIDE: "306,000", f"{WIDE}_longer": "613,000"}
"""What more views are worth to the wider C4, all of them different, by the folders of their results."""
LONGER = {finetuned.STUDENT: "0.6", f"{finetuned.STUDENT}_longer": "2.0"}
"""What more views are worth, of C4 and its twin alike: millions, by the folders of their results."""


def longer() -> str:
    """C4 and its standard twin after few and many views, and how far apart they are, set by set."""
    every, columns = found(), ("upright", "turned", "45 degrees")
    rows = []
    for data in ORDER:
        if not all(data in every.get(run, {}) for run in LONGER):
            continue
        for run, millions in LONGER.items():
            of = every[run][data]
            scores = [
                percent(group_mean(of[features]["accuracy"], column))
                for features in (REGULAR, REFERENCE, TWIN)
                for column in columns
            ]
            upright, turned = of[REGULAR][PAIR]["upright"], of[TWIN][f"{REFERENCE} minus it"]["turned"]
            rows.append([data, millions, *scores, _difference(upright), _difference(turned)])
    kinds = [f"{kind}, {column}" for kind in ("C4 regular", "C4 canonical", "twin") for column in columns]
    apart = ["C4 regular minus twin, upright", "C4 canonical minus twin, turned"]
    return Table(["pictures", "million views", *kinds, *apart], rows).markdown(as_it_is=True)


REACHED = {
    "d4_resnet18_w32.distil_lite0": "D4",
    finetuned.STUDENT: "C4",
    f"{finetuned.STUDENT}_longer": "C4, 2.0 million views",
    WIDE: "C4, twice as wide",
    finetuned.TWIN: "standard twin",
    f"{finetuned.TWIN}_longer": "standard twin, 2.0 million views",
    "c1_resnet18_w32.distil_lite0": "C4's code without the group",
}
"""Whose features were asked for the teacher's, by the folders of their results; of some with random weights too."""
UNTRAINED = (finetuned.STUDENT, finetuned.TWIN)


def _asked_for_the_teacher() -> dict[str, dict[str, Any]]:
    """What is known of the networks of `REACHED`, by the folders of their results, where they were measured."""
    results = of_reach([ReachCell(run) for run in REACHED]).results()
    return {cell.run: found for cell, found in results.items() if found is not None}


def reached() -> str:
    """How much of the teacher's variance each network knows, with half the width of a 95% interval."""
    results = _asked_for_the_teacher()
    chosen = [(run, "random", f"{REACHED[run]}, random weights") for run in UNTRAINED]
    chosen += [(run, "student", words) for run, words in REACHED.items()]
    rows = [
        [words, *(_with_width(results[run]["rows"][network][name]) for name in ASKED_SETS)]
        for run, network, words in chosen
        if run in results
    ]
    return Table(["network", *ASKED_SETS], rows).markdown(as_it_is=True)


def poses() -> str:
    """How often each network's head knows that a picture is upright."""
    rows = [
        [REACHED[run], *(_with_width(found["pose"][name]) for name in ASKED_SETS)]
        for run, found in _asked_for_the_teacher().items()
        if "pose" in found
    ]
    return Table(["network", *ASKED_SETS], rows).markdown(as_it_is=True)


def _with_width(score: list[float]) -> str:
    mean, low, high = score
    return f"{percent(mean)} ± {percent((high - low) / 2)}"


def _with_teacher(run: str) -> dict[str, dict[str, Any]]:
    """The rows of a network; if need be with the accuracies of the teacher beside C4, which sees the same pictures."""
    every = found()
    teacher = {data: every[finetuned.STUDENT][data][TEACHER]["accuracy"] for data in ORDER}
    return {data: {TEACHER: {"accuracy": teacher[data]}, **every[run][data]} for data in ORDER}


def section() -> str:
    """The tables of all networks that were measured, but for the first of `CIRCLE`."""
    shown = {name: content for name, content in found().items() if name != next(iter(CIRCLE))}
    return "\n".join(line for name, content in shown.items() for line in tables(name, content)).strip()


def sections() -> dict[str, str]:
    """All sections of the document that are written here, by name."""
    return {
        "goals": goals(found()[finetuned.STUDENT]),
        "goals of D4": goals(_with_teacher("d4_resnet18_w32.distil_lite0"), "D4"),
        "goals of w64": goals(_with_teacher(WIDE), "C4, twice as wide"),
        "levers": short_runs(LEVERS, "recipe"),
        "students": short_runs(STUDENTS, "network"),
        "images": short_runs(("as it is", *IMAGES), "pictures"),
        "views": short_runs(VIEWED, "views"),
        "finetuned": finetuning(),
        "angle": angles(),
        "circle": beside(CIRCLE, "views"),
        "group": beside(WITHOUT_GROUP, "network", GROUP_COLUMNS),
        "width": beside(WIDTHS, "width"),
        "longer": longer(),
        "wide longer": beside(WIDE_LONGER, "views", GROUP_COLUMNS),
        "reach": reached(),
        "poses": poses(),
        "distil": section(),
    }


def main() -> None:
    """Writes the sections."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for name, text in sections().items():
        write_section(DOCUMENT, name, text)


if __name__ == "__main__":
    main()
