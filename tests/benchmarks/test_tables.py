"""The tables of E-SSL: what is missing, what does not exist, and whether the goal is reached."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from benchmarks._sections import read_section
from benchmarks.distil import tables as distilled
from benchmarks.essl import rows, tables
from benchmarks.essl.grid import CLIPART_RANDOM, GRID, RANDOM
from eqmodels.evaluation import estimate, over_seeds

RESNET, C4 = "simclr/resnet18s_w16.mlp", "simclr/c4_resnet18s_w16.equivariant"


def test_what_is_not_trained_is_told_from_what_does_not_exist():
    canonical = rows.feature("canonical")
    assert rows.cell("simclr/nothing.mlp", canonical) == "…"
    assert rows.width_of("simclr/nothing.mlp", "regular") == rows.ahead("simclr/nothing.mlp", RESNET, canonical) == "…"
    assert rows.cell(RESNET, canonical) == rows.width_of(RESNET, "canonical") == "\N{EN DASH}"
    assert rows.ahead(C4, RESNET, canonical) == "\N{EN DASH}"
    assert "±" in rows.cell(C4, canonical)


def test_how_far_a_row_is_ahead():
    text = rows.ahead(C4, RESNET, rows.feature("regular"))
    mean, low, high = map(float, re.fullmatch(r"(\S+) \((\S+) \.\. (\S+)\)", text).groups())
    assert low < mean < high
    assert math.isclose(mean, (low + high) / 2, abs_tol=0.11)


def test_signs_are_explained_where_they_are_used():
    assert tables.with_legend("| … |") == "| … |\n\n… is not trained yet."
    assert tables.with_legend("nothing") == "nothing"


def test_every_run_has_its_row():
    """What is trained is shown: no row of the grid is forgotten, and none vanishes because it is not trained yet."""
    named = {name.rpartition("/")[0] for name in GRID if not name.startswith("zoo/")}
    for place in ("simclr", "crop_flip", "none", "tasks"):
        table = tables.tables()[place if place == "tasks" else f"backbones_{place}"]
        assert table.count("\n") - 1 == sum(name.startswith(f"{place}/") for name in named)
    assert tables.tables()["untrained"].count("\n") - 1 == len(
        {name.rpartition("/")[0] for name in RANDOM if name not in CLIPART_RANDOM}
    )
    clipart = {
        *(name.rpartition("/")[0] for name in CLIPART_RANDOM),
        *(name for name in named if "clipart/" in name and "/tasks/" not in name),
    }
    assert tables.tables()["clipart"].count("\n") - 1 == len(clipart)
    assert {row for row, _ in tables.CAUSES} <= named
    assert {name for name in named if name.startswith(("few/", "epochs5/"))} <= {row for row, _ in tables.CAUSES}


def test_runs_of_a_row_differ_in_the_seed_alone():
    found = [rows.evaluation(f"{C4}/seed{seed}") for seed in range(3)]
    assert [one.config["run"]["seed"] for one in found] == [0, 1, 2]
    assert over_seeds(found).seeds == 3


@pytest.mark.parametrize(
    ("c4", "times", "word"),
    [
        ((0.95, 0.951, 0.949), 0.9, "reached"),
        ((0.95, 0.951, 0.949), 1.1, "missed"),  # dearer
        ((0.862, 0.861, 0.863), 0.9, "missed"),  # ahead by too little
        ((0.95, 0.80, 0.99), 0.9, "missed"),  # intervals overlap
        ((0.80, 0.81, 0.82), 0.9, "missed"),
    ],
)
def test_the_goal_is_reached_by_accuracy_and_by_cost(monkeypatch, c4, times, word):
    original = tables.summary

    def summary(row):
        found, values = original(row), c4 if row == C4 else (0.85, 0.851, 0.849)
        kinds = tuple(replace(entry, accuracy=estimate(values)) for entry in found.kinds)
        return replace(found, kinds=kinds)

    monkeypatch.setattr(tables, "summary", summary)
    monkeypatch.setattr(tables, "step_times", lambda: (times, times - 0.1, times + 0.1))
    text = tables.verdict("benchmarks")
    assert f"It is {word}:" in text
    assert f"{100 * (estimate(c4).mean - 0.85):+.2f} points" in text
    assert f"takes {times:.2f} times as long" in text


def test_before_all_seeds_are_there_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(tables, "summary", lambda _: None)
    assert tables.verdict("benchmarks").endswith("not measured yet.")


def test_the_document_says_whether_the_goal_is_reached():
    assert tables.sections()["verdict"] == tables.verdict("../benchmarks")
    assert "It is missed:" in tables.verdict("benchmarks")


def test_every_section_of_the_document_is_that_of_the_committed_runs():
    written = tables.sections()
    for name, text in written.items():
        assert read_section(tables.DOCUMENT, name) == text
    assert set(re.findall(r"<!-- ([\w ]+): written by", tables.DOCUMENT.read_text())) == {
        *written, *distilled.sections(), "engines", "speed", "standard",
    }  # fmt: skip
