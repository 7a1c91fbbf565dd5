"""The tables of E-SSL: what is missing, what does not exist, and whether the goal is reached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks._sections import read_section
from benchmarks.essl import tables
from benchmarks.essl.grid import FOLDER
from eqmodels.evaluation import estimate, over_seeds

RESNET, C4 = "simclr/resnet18_w16.mlp", "simclr/c4_resnet18_w16.equivariant"


def test_what_is_not_trained_is_told_from_what_does_not_exist():
    canonical = tables.feature("canonical")
    assert tables.cell("simclr/nothing.mlp", canonical) == "…"
    assert tables.width_of("simclr/nothing.mlp", "regular") == "…"
    assert tables.cell(RESNET, canonical) == tables.width_of(RESNET, "canonical") == "\N{EN DASH}"
    assert "±" in tables.cell(C4, canonical)


def test_rows_without_a_figure_are_left_out_and_signs_are_explained():
    rows = [["a", "", "…", "\N{EN DASH}"], ["b", "", "1.0", "…"]]
    table = tables.markdown(["", "", "x", "y"], rows)
    assert "| a |" not in table
    assert "| b |" in table
    assert tables.legend(table) == ["… is not trained yet."]
    assert tables.legend("nothing") == []


def test_runs_of_a_row_differ_in_the_seed_alone():
    found = [tables.evaluation(FOLDER / C4 / f"seed{seed}" / "results.json") for seed in range(3)]
    assert [one.config["seed"] for one in found] == [0, 1, 2]
    assert over_seeds(found).seeds == 3


@pytest.mark.parametrize(
    ("c4", "word"),
    [((0.862, 0.861, 0.863), "missed"), ((0.95, 0.951, 0.949), "missed"), ((0.80, 0.81, 0.82), "missed")],
)
def test_the_goal_is_missed_while_a_step_is_dearer_whatever_the_accuracy(monkeypatch, c4, word):
    def summary(row):
        return with_accuracy(row, c4 if row == C4 else (0.85, 0.851, 0.849))

    original = tables.summary

    def with_accuracy(row, values):
        found = original(row)
        features = tuple(replace(entry, accuracy=estimate(values)) for entry in found.features)
        return replace(found, features=features)

    monkeypatch.setattr(tables, "summary", summary)
    assert f"It is {word}:" in tables.verdict()
    assert f"{100 * (estimate(c4).mean - 0.85):+.2f} points" in tables.verdict()


def test_readme_says_whether_the_goal_is_reached():
    assert tables.verdict() in tables.readme_section()
    assert "missed" in tables.verdict()
    assert "intervals that overlap" in tables.verdict()


def test_every_section_of_the_document_is_that_of_the_committed_runs():
    for name, text in tables.sections().items():
        assert read_section(tables.DOCUMENT, name) == text
