"""The tables of distilled networks are those of the committed results, and the recipe is that of the zoo."""

from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks._sections import read_section
from benchmarks.distil import levers, tables
from benchmarks.distil import measure as measuring
from benchmarks.distil import reach as reaching
from benchmarks.distil.bank import SIDE, Painter
from benchmarks.distil.goals import goals
from benchmarks.distil.leaves import dead_leaves
from benchmarks.distil.measure import MIRRORED, PAIR, REGULAR, TWIN, ProbeCell, Row, experiment, measure, merged, splits
from benchmarks.distil.networks import DIAGONAL
from benchmarks.distil.runs import RUNS
from benchmarks.distil.sets import SETS
from eqmodels import create_model
from eqmodels.data import LabelledImages
from eqmodels.evaluation.orbits import QUARTERS
from eqmodels.objectives import Batch, Distil, Randomness
from eqmodels.remote.locating import FOLDERS
from eqmodels.training import PretrainConfig


def test_the_sections_of_the_document_are_those_of_the_committed_results():
    for name, text in tables.sections().items():
        assert read_section(tables.DOCUMENT, name) == text, name


def test_results_and_recipe_are_those_of_the_weights_in_the_zoo():
    trained = [name for name in RUNS if (FOLDERS[0] / name).is_dir()]
    assert "c4_resnet18_w32.distil_lite0" in trained
    for name in trained:
        folder = FOLDERS[0] / name
        sha256 = json.loads((folder / "config.json").read_text())["sha256"]
        is_twin = name.startswith("resnet")  # which is measured beside the student
        student = f"{'c4_' if is_twin else ''}{name}"
        found = [one for one in experiment([ProbeCell(student, data) for data in SETS]).results().values() if one]
        assert found
        assert {one["twin" if is_twin else "sha256"] for one in found} == {sha256}
        assert PretrainConfig.from_dict(json.loads((folder / "recipe.json").read_text())) == RUNS[name]
        assert re.search(r"GPL-2\+", (folder / "NOTES.md").read_text())


@pytest.mark.parametrize("network", ["standard twin", "teacher", "random", "student"])
def test_what_was_not_measured_is_a_dash_among_the_goals(network):
    """Without ``--twin``, or with some of the networks alone; what does not need the network stays as it is."""
    rows = tables.found()["c4_resnet18_w32.distil_lite0"]["stamps"]
    some = {name: row for name, row in rows.items() if measuring.network_of(name) != network}
    assert 0 < len(some) < len(rows)
    whole, less = (goals({"stamps": found}).splitlines()[2:] for found in (rows, some))
    assert all("| - |" not in line for line in whole)
    assert any(line.endswith("| - |") for line in less)
    assert all(one == other for one, other in zip(whole, less, strict=True) if not other.endswith("| - |"))


def test_rows_that_are_measured_later_take_their_places():
    names = ["raw 16x16 pixels", "student, regular", "student, canonical", "teacher", "teacher, orbit mean"]
    there = {name: {"accuracy": {"0": [number]}} for number, name in enumerate(names)}
    there["student, regular"]["minus another"] = 8
    more = {"15": [0.5]}  # a view that was not asked for before
    new = {name: {"accuracy": there[name]["accuracy"] | more} for name in names[1:3]} | {TWIN: {"accuracy": {"0": [6]}}}
    new["student, regular"][PAIR] = 7
    found = merged(there, new)
    assert list(found) == [*names[:3], TWIN, "teacher", "teacher, orbit mean"]
    assert found == there | new | {"student, regular": {"accuracy": {"0": [1]} | more, "minus another": 8, PAIR: 7}}
    with pytest.raises(ValueError, match="student, canonical has other figures"):
        merged(there, new | {"student, canonical": {"accuracy": {"0": [9]} | more}})


def test_regular_features_are_compared_with_the_twins_picture_by_picture(tmp_path, monkeypatch):
    """Of two pictures the student knows both, and the twin one; where that is not stored, the twin is not done."""

    def measured(run, name, twin, networks):
        names = {"student": REGULAR, "standard twin": TWIN}
        right = {"student": [1.0, 1.0], "standard twin": [1.0, 0.0]}
        views = (*QUARTERS, MIRRORED, DIAGONAL)
        return {names[one]: Row({str(view): [torch.tensor(right[one])] * 5 for view in views}) for one in networks}

    monkeypatch.setattr(measuring, "measured", measured)
    cell = ProbeCell("mine", "stamps", "abc", "def", ("student", "standard twin"))
    rows = measure(None, None, cell, lambda _: None, tmp_path)["rows"]
    assert rows[REGULAR][PAIR]["upright"][0] == 0.5
    assert "student, canonical" not in rows
    assert measuring._complete(rows) == {"student", "standard twin"}
    del rows[REGULAR][PAIR]
    assert measuring._complete(rows) == {"student"}


def test_a_set_is_done_once_all_that_are_asked_for_are_there(tmp_path, monkeypatch):
    """What is missing is measured with the student, and once."""
    asked = []

    def measured(run, name, twin, networks):
        asked.append((name, *networks))
        right = torch.tensor([1.0, 0.0])
        correct = {str(view): [right] * 5 for view in (*QUARTERS, MIRRORED, DIAGONAL)}
        names = {"student": "student, canonical", "teacher": "teacher, orbit mean"}
        return {names.get(one, one): Row(correct) for one in networks}

    monkeypatch.setattr(measuring, "measured", measured)

    def run(*networks, sha256="a"):
        cell = ProbeCell("c4", "clip art", sha256, None, ("student", *networks))
        found = experiment([cell], tmp_path)
        found.run(partial(measure, None, None, folder=tmp_path))
        return found.result(cell)["rows"]

    assert list(run("teacher")) == ["student, canonical", "teacher, orbit mean"]
    assert list(run("random")) == ["random", "student, canonical", "teacher, orbit mean"]
    assert len(run("random", "teacher")) == 3
    assert asked == [("clip art", "student", "teacher"), ("clip art", "student", "random")]
    assert list(run("random", sha256="b")) == ["random", "student, canonical"]  # of other weights


def test_splits_are_stratified_and_share_no_picture():
    labels = torch.tensor([0] * 9 + [1] * 6)
    data = LabelledImages("x", torch.zeros(15, 1, 1, 1, dtype=torch.uint8), labels, ("a", "b"))
    for training, testing in splits(data, None):
        assert sorted([*training.tolist(), *testing.tolist()]) == list(range(15))
        assert labels[training].bincount().tolist() == [6, 4]
    for training, testing in splits(data, data):
        assert set(testing.tolist()) == set(range(15, 30))
        assert len(set(training.tolist())) == 15


def test_a_picture_of_the_bank_is_clip_art_on_a_background():
    square = np.zeros((160, 160, 4), np.uint8)
    square[40:120, 40:120] = (200, 0, 0, 255)
    photograph = np.full((200, 300, 3), 90, np.uint8)
    painter = Painter(square[None], [photograph], np.random.default_rng(0))
    white, photo = painter.painted(0, 0), painter.painted(0, 3)
    assert white.shape == (3, SIDE, SIDE)
    assert white[:, 0, 0].tolist() == [255, 255, 255]
    assert photo[:, 0, 0].tolist() == [90, 90, 90]
    for picture in (white, photo):
        assert ((picture[0] == 200) & (picture[1] == 0)).sum() > 2000


def test_kinds_of_pictures_are_those_of_the_bank():
    """The bank has its clip art on one background after the other, and patches of photographs at its end."""
    clipart = levers.PICTURES + 3
    bank = np.arange(levers.VIEWS * clipart + levers.PATCHES)
    assert np.array_equal(levers.IMAGES["clip art on white"](bank), np.arange(levers.PICTURES))
    assert np.array_equal(levers.IMAGES["clip art on photographs"](bank), clipart + np.arange(levers.PICTURES))
    assert np.array_equal(levers.IMAGES["photographs"](bank), bank[levers.VIEWS * clipart :])
    chosen = levers.IMAGES["5,120 of all kinds"](bank)
    assert len({*chosen.tolist()}) == levers.PICTURES
    assert (chosen >= levers.VIEWS * clipart).sum() == pytest.approx(
        levers.PICTURES * levers.PATCHES / len(bank), rel=0.1
    )


def test_short_runs_have_folders_of_their_own_but_for_the_one_that_two_tables_begin_with():
    names = [*levers.LEVERS, *levers.STUDENTS, *levers.IMAGES, *levers.VIEWED]
    folders = [levers.folder_of(name) for name in names]
    assert len({*folders}) == len(names) - 1
    assert levers.folder_of("C4") == levers.folder_of("as it is") == "as_it_is"
    assert all(re.fullmatch(r"\w+", folder) for folder in folders)


def test_a_row_is_the_recipe_but_for_what_it_names():
    plain, longer = (levers.row_config(name, 25_572) for name in ("as it is", "twice the views"))
    assert (plain.optimisation.epochs, longer.optimisation.epochs) == (2, 4)
    assert longer.differences(plain).keys() == {"epochs"}
    assert levers.row_config("logits alone", 25_572).differences(plain) == {"features_weight": (0.0, 1.0)}
    assert levers.row_config("mean of the weights", 25_572).differences(plain) == {"average": (0.99, 0.0)}
    stored = json.loads((levers.SHORT / "as_it_is" / "config.json").read_text())["pretraining"]
    assert PretrainConfig.from_dict(stored) == plain


def test_views_that_stay_are_drawn_once_and_seen_as_they_are():
    bank = np.random.default_rng(0).integers(0, 256, (6, 3, 144, 144), np.uint8)
    views = levers.fixed_views(bank)
    assert views.shape == (6, 3, 96, 96)
    config = levers.row_config("the same in every pass", levers.PICTURES)
    objective = Distil(create_model("c4_resnet18_w4"), **config.objective.options)
    images = torch.from_numpy(views) / 255
    for epoch in (0, 3):
        seen = objective.views(Batch(images, None, 6, slice(0, 6)), Randomness(0, (epoch, 0)))
        for one in (seen["teacher"], seen["student"]):
            torch.testing.assert_close(one, images, rtol=0, atol=1e-5)
    fresh, plain = (levers.row_config(name, levers.PICTURES) for name in ("new ones in every pass", "as it is"))
    assert fresh.differences(plain) == {"residual": (0.0, 0.5)}


def test_dead_leaves_cover_the_picture_and_are_of_every_size():
    pictures = dead_leaves(3)
    assert pictures.shape == (3, 3, SIDE, SIDE)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, dead_leaves(3))
    assert not np.array_equal(pictures[0], pictures[1])
    for picture in pictures:
        assert (picture.max(0) > 0).mean() > 0.98
        colours, counts = np.unique(picture.reshape(3, -1), axis=1, return_counts=True)
        assert len(colours.T) > 100
        assert counts.max() > 30 * np.median(counts)


def test_a_linear_map_finds_what_is_there_and_nothing_else():
    """Of 20 directions of the teacher a student may know all, half or none, on pictures that fitted the map or not."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(1200, 20, generator=generator)
    shown = torch.randn(20, 20, generator=generator)
    noise = torch.randn(1200, 20, generator=generator)
    for known, expected in ((teacher, 1.0), (teacher * (torch.arange(20) < 10), 0.5), (noise, 0.0)):
        features = known @ shown + 5
        fitted = reaching.fit_map(features[:1000], teacher[:1000])
        for part in (slice(1000), slice(1000, None)):
            score = reaching.explained(fitted, features[part], teacher[part])
            assert score.shape == (len(teacher[part]),)
            assert score.mean().item() == pytest.approx(expected, abs=0.04)


def test_what_is_learned_by_heart_is_asked_of_pictures_that_did_not_fit_the_map(monkeypatch):
    """The parts of the clip art share no picture, and those of the test split come under their own name."""
    count = reaching.FITTED + 40
    train, test = (
        LabelledImages(
            "clip art",
            torch.tensor([divmod(one, 256) for one in range(start, start + number)], dtype=torch.uint8)[
                :, :, None, None
            ],
            torch.zeros(number).long(),
            ("one",),
        )
        for start, number in ((0, count), (count, 30))
    )
    monkeypatch.setattr(reaching, "SETS", dict.fromkeys(reaching.SETS, lambda: (train, test)))
    found = reaching.asked.__wrapped__()
    numbers = {
        name: {256 * high + low for high, low in data.images[:, :, 0, 0].tolist()} for name, data in found.items()
    }
    assert tuple(numbers) == ("", *reaching.ASKED_SETS)
    assert numbers[""] | numbers[reaching.TAUGHT] == set(range(count))
    assert not numbers[""] & numbers[reaching.TAUGHT]
    assert numbers[reaching.NEW] == set(range(count, count + 30))
