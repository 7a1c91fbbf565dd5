"""``eqmodels synergy``: from options to a study and its report, or to a ranking of transformations."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import replace
from functools import partial

import pytest
from PIL import Image

from eqmodels.cli import main
from eqmodels.cli import synergy as command
from eqmodels.cli.chosen_data import PREFIX
from eqmodels.data import at_most, load_data
from eqmodels.measures import FilmFamily, LinearFamily, information
from eqmodels.studies import SynergyPlan, encoder, measure, read_study, study

TINY = ["--model", "c1_resnet18s_w4", "--limit", "60", "--batch-size", "30", "--test-limit", "60", "--folds", "2"]
ONE_TASK = [
    "--tasks",
    "rotation",
    "--augment",
    "none",
    "--groups",
    "c1_resnet18s_w4",
    "--doses",
    "0.5",
    "--epochs",
    "1",
]
FEW = ["--test-limit", "60", "--folds", "2", "--data", "fashion_mnist_mini"]
STUDY = ["synergy", "--quick", *TINY, *ONE_TASK, "--data", "fashion_mnist_mini"]


@pytest.fixture(scope="module", autouse=True)
def _few_fits():
    """What is printed does not depend on a choice of strengths, nor on the numbers of images and epochs."""
    quick = SynergyPlan.quick

    def few(name, split, **options):
        data = load_data(name, split, **options)
        return data if split == "train" else at_most(data, 100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "load_data", few)
        patch.setattr(SynergyPlan, "quick", lambda: replace(quick(), samples=300))
        for module in (information, encoder):
            patch.setattr(module, "LinearFamily", partial(LinearFamily, strengths=(0.1,)))
        for module in (measure, encoder):
            patch.setattr(module, "FilmFamily", partial(FilmFamily, hidden=16, epochs=5))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a finished study."""
    folder = tmp_path_factory.mktemp("study")
    assert main([*STUDY, "--folder", str(folder)]) == 0
    return folder


def test_a_study_is_printed_and_its_page_written(capsys, folder):
    assert main([*STUDY, "--folder", str(folder)]) == 0
    out = capsys.readouterr().out
    for word in ("rotation", "c1_resnet18s_w4", "pose, cue right in 50%", str(folder / "report" / "index.html")):
        assert word in out
    assert "<img" in (folder / "report" / "index.html").read_text()


def test_json_has_the_plan_and_every_cell(capsys, folder):
    assert main([*STUDY, "--folder", str(folder), "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    study = read_study(folder)
    assert SynergyPlan.from_dict(json.loads(json.dumps(out["plan"]))) == study.plan
    assert [cell["name"] for cell in out["cells"]] == [cell.name for cell in study.plan.cells()]


def test_without_matplotlib_the_study_is_printed_and_the_page_left_out(capsys, folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    words = "No page with pictures: matplotlib is not installed; run: pip install matplotlib"
    assert main([*STUDY, "--folder", str(folder)]) == 0
    assert capsys.readouterr().out.strip().endswith(words)
    assert main([*STUDY, "--folder", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["cells"]
    assert words in err


def test_another_study_in_the_same_folder_is_refused(capsys, folder):
    assert main([*STUDY, "--folder", str(folder), "--epochs", "2"]) == 1
    assert "holds another study: its epochs is 1, not 2" in capsys.readouterr().err


@pytest.fixture
def planned(monkeypatch):
    """The plans that `run_study` is given, which then stops."""
    plans = []

    def stop(plan, *_, **__):
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_study", stop)
    return plans


def test_options_change_the_plan_that_they_start_from(planned):
    assert main(["synergy", "--quick"]) == 130
    assert main(["synergy", "--quick", "--tasks", "blur", "jigsaw", "--doses", "-3", "1e-1", "--no-coloured"]) == 130
    quick, changed = planned
    assert quick == SynergyPlan.quick()
    assert (changed.tasks, changed.doses, changed.coloured) == (("blur", "jigsaw"), (-3.0, 0.1), False)
    assert changed.models == quick.models


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tasks", "rotation", "rotation"], "tasks must be different"),
        (["--tasks", "rotation+grayscale"], "one at a time"),
        (["--tasks", "turning"], "turning"),
        (["--data", "fashion"], "fashion_mnist"),
    ],
)
def test_bad_options_are_one_sentence(capsys, tmp_path, options, sentence):
    assert main(["synergy", "--quick", *options, "--folder", str(tmp_path / "study")]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "study").exists()


@pytest.fixture
def photographs(tmp_path):
    """A folder of images of one's own: two classes of coloured squares, for training and test."""
    for split, number in (("train", 30), ("test", 15)):
        for colour in ("red", "blue"):
            (tmp_path / "photographs" / split / colour).mkdir(parents=True)
            for i in range(number):
                image = Image.new("RGB", (24, 24), colour)
                image.paste("white", (0, 0, 6 + i % 7, 5))
                image.save(tmp_path / "photographs" / split / colour / f"{i}.png")
    return tmp_path / "photographs"


def test_tasks_are_ranked_for_a_folder_of_ones_own_images(capsys, photographs):
    own = ["--data", "image_folder", "--root", str(photographs), "--size", "16"]
    tasks = ["--tasks", "vertical_flip", "rotation", "--rank-tasks"]
    assert main(["synergy", *TINY, *own, *tasks]) == 0
    out, err = capsys.readouterr()
    assert "synergy, % of log|A|" in out
    assert "measuring tasks: rotation" in err
    assert main(["synergy", *TINY, *own, *tasks, "--json"]) == 0
    ranks = json.loads(capsys.readouterr().out)["ranks"]
    assert {rank["task"] for rank in ranks} == {"vertical_flip", "rotation"}
    assert ranks[0]["score"] >= ranks[1]["score"]


def test_a_task_that_the_augmentation_hides_is_named_with_the_reason(capsys):
    tasks = ["--tasks", "grayscale", "rotation", "--augment", "simclr", "--rank-tasks"]
    assert main(["synergy", *TINY, "--data", "fashion_mnist_mini", *tasks]) == 0
    assert "grayscale cannot be asked: " in capsys.readouterr().out


def test_pretrained_networks_are_measured_beside_their_initialisation(capsys, tiny_run):
    assert main(["synergy", str(tiny_run), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["pretrained"], one["terms"]["family"]) for one in found] == [
        (True, "linear"),
        (True, "mlp"),
        (False, "linear"),
        (False, "mlp"),
    ]
    assert {one["terms"]["images"] for one in found} == {60}
    assert [bool(one["sha256"]) for one in found] == [True, True, False, False]
    assert main(["synergy", str(tiny_run), *FEW]) == 0
    assert f"{tiny_run}, as initialised" in capsys.readouterr().out


GIVEN = {
    "--model": ["c1_resnet18s_w4"],
    "--tasks": ["rotation"],
    "--augment": ["none"],
    "--groups": ["c4_resnet18s_w4"],
    "--doses": ["0.5"],
    "--seeds": ["1"],
    "--coloured": [],
    "--no-coloured": [],
    "--limit": ["60"],
    "--epochs": ["0"],
    "--batch-size": ["30"],
    "--folder": ["runs/synergy"],
    "--quick": [],
    "--rank-tasks": [],
}
"""Every option that is of no use to a network that is pretrained, with values."""


@pytest.mark.parametrize("option", GIVEN)
def test_an_option_that_would_change_nothing_of_pretrained_networks_is_refused(capsys, tiny_run, option):
    assert main(["synergy", str(tiny_run), *FEW, option, *GIVEN[option]]) == 2
    err = capsys.readouterr().err
    assert "takes --data, --root, --test-limit, --folds, --json and the options of the images; got " in err
    assert f"got {option.replace('--no-', '--')} too" in err


@pytest.mark.parametrize("option", ["--groups", "--doses", "--folder"])
def test_an_option_that_would_change_nothing_of_a_ranking_is_refused(capsys, option):
    assert main(["synergy", "--rank-tasks", "--quick", option, *GIVEN[option]]) == 2
    assert f"; got {option} too. Leave out" in capsys.readouterr().err


def test_every_option_is_of_a_study_alone_or_of_a_table():
    """A new option must be given a place, or it is refused where there is no study."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = {name for name in vars(parser.parse_args([])) if not name.startswith(PREFIX)} - {"names"}
    known = {option.removeprefix("--no-").removeprefix("--").replace("-", "_") for option in GIVEN}
    assert options == known | set(command.READING)
    assert all(set(taken) <= options for _, taken in command.TAKEN.values())


@pytest.mark.parametrize(
    ("option", "values"), [("--model", ("a", "b")), ("--augment", ("none", "simclr")), ("--seeds", ("1", "0"))]
)
def test_a_ranking_takes_one_model_one_augmentation_and_one_seed(capsys, option, values):
    assert main(["synergy", "--rank-tasks", option, *values]) == 2
    assert f"--rank-tasks takes one value of {option}; got {', '.join(values)}." in capsys.readouterr().err


@pytest.fixture
def ranked(monkeypatch):
    """What `rank_tasks` is asked by name, which then stops."""
    asked = []

    def stop(*_, **options):
        asked.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "rank_tasks", stop)
    return asked


def test_a_ranking_of_few_images_takes_all_of_them(tmp_path, monkeypatch):
    """Of a folder of somebody's own, whose classes differ in number; the default is a limit of thousands."""
    for number in range(20):
        place = tmp_path / ("train" if number % 5 else "test") / ("ant" if number < 10 else "bee")
        place.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"{number:02}.png")
    asked = []

    def stop(train, test, *_, **options):
        asked.extend((len(train), len(test)))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "rank_tasks", stop)
    assert main(["synergy", "--rank-tasks", "--data", "image_folder", "--root", str(tmp_path)]) == 130
    assert asked == [16, 4]


def test_a_ranking_uses_what_is_given_and_else_the_first_default(ranked):
    assert main(["synergy", "--rank-tasks", "--data", "fashion_mnist_mini"]) == 130
    given = ["--model", "c4_resnet18s_w4", "--augment", "simclr", "--seeds", "3", "--epochs", "0"]
    assert main(["synergy", "--rank-tasks", "--data", "fashion_mnist_mini", *given]) == 130
    names = ("model", "augment", "seed", "epochs")
    plan = SynergyPlan()
    assert [tuple(asked[name] for name in names) for asked in ranked] == [
        (plan.models[0], plan.augments[0], plan.seeds[0], 1),
        ("c4_resnet18s_w4", "simclr", 3, 0),
    ]
