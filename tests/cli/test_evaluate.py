"""``eqmodels evaluate``: tables for people, JSON for programs."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace

import pytest
import torch

from eqmodels import load
from eqmodels.cli import evaluate as command
from eqmodels.cli import main
from eqmodels.cli.kept_results import keep_results, place_of_results
from eqmodels.cli.probed_images import with_probed_classes
from eqmodels.data import LabelledImages, load_data
from eqmodels.evaluation import EncoderEvaluation
from eqmodels.hub import load_pretrained
from eqmodels.hub.entries import read_results
from tests.cli.conftest import TEST_IMAGES, TINY, few
from tests.data.files import write_image_folder

FEW = ["--limit", "100", "--quick"]
ONE = ["--kind", "regular", *FEW]


def test_it_prints_every_kind_of_features_and_the_task(capsys, tiny_run, few_images):
    assert main(["evaluate", str(tiny_run), *FEW]) == 0
    out = capsys.readouterr().out
    for word in ("regular", "invariant-3", "canonical-soft", "rotation", "fashion_mnist_mini", "held-out"):
        assert word in out


@pytest.fixture(scope="module")
def own_run(tiny_run, tmp_path_factory):
    """The folder of a finished run that nothing was measured of before."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((tiny_run / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def measured(own_run, tmp_path_factory):
    """What a measurement printed on standard output and on standard error, and wrote into a file."""
    file = tmp_path_factory.mktemp("results") / "results.json"
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        patch.setattr(command, "loaded", few)
        assert main(["evaluate", str(own_run), *ONE, "--json", "--output", str(file)]) == 0
    return out.getvalue(), err.getvalue(), file.read_text()


def test_json_and_the_file_are_the_same(measured):
    content = json.loads(measured[0])
    assert content == json.loads(measured[2])
    assert content["test"] == ["fashion_mnist_mini", TEST_IMAGES]


def test_it_says_what_it_is_doing_on_standard_error(measured):
    told = [line for line in measured[1].splitlines() if line.startswith("measuring")]
    assert told[:2] == [f"measuring c4_resnet18s_w4: {what}" for what in ("features", "regular")]


def test_it_says_what_it_leaves_out_and_no_bar_is_in_a_log(measured):
    assert [line for line in measured[1].splitlines() if line.startswith("left out")] == [
        "left out: 5,900 of 6,000 training images (--limit)",
        "left out: features of other kinds (--kind)",
        "left out: nearest neighbours, few labels, the curve over the angles and heads on augmented images (--quick)",
    ]
    assert "step" not in measured[1]
    assert "\r" not in measured[1]


def test_what_was_measured_is_in_the_run_and_fuller_results_stay(measured, own_run, capsys):
    """The card and `verify` read it there; a checkpoint and a name of the zoo have no such place."""
    run, result = load_pretrained(own_run), EncoderEvaluation.from_dict(json.loads(measured[0]))
    file = own_run / "results.json"
    assert place_of_results(str(own_run), run) == file
    assert place_of_results(str(own_run / "checkpoint.pt"), run) is None
    assert place_of_results("c4_resnet18s_w16.rot_fmnist_simclr", run) is None
    assert place_of_results(str(own_run), run.backbone) == file
    assert f"Results: {file}" in measured[1].splitlines()
    assert read_results(own_run) == result
    assert main(["verify", str(own_run)]) == 0
    assert f"of these weights, on {TEST_IMAGES} images" in capsys.readouterr().out
    fewer = replace(result, train=(result.train[0], 50))
    assert "stays as it is: it was measured with more images, 100 and 200. Name another" in keep_results(file, fewer)
    none = replace(result, kinds=())
    assert "it has features that were not measured now, regular" in keep_results(file, none)
    keep_results(file, augmented := replace(result, tasks=(replace(result.tasks[0], augmented_accuracy=0.5),)))
    assert "it has heads on augmented images, which were not measured now" in keep_results(file, result)
    assert read_results(own_run) == augmented
    file.unlink()
    more = replace(result, train=(result.train[0], 101))
    assert keep_results(file, more) == f"Results: {file}"
    assert read_results(own_run) == more
    file.write_text(json.dumps({"evaluation": more.to_dict(), "name": "mine"}))
    assert "it tells more than evaluate writes" in keep_results(file, more)


def test_classes_without_training_images_are_left_out_by_name():
    labels = torch.tensor([0, 0, 2, 2, 1, 3])
    data = LabelledImages("four", torch.zeros(6, 1, 4, 4, dtype=torch.uint8), labels, ("a", "b", "c", "d"))
    train, test = data.subset([0, 1, 2, 3]), data.subset([0, 3, 4, 4, 5])
    few_train, few_test, told = with_probed_classes(train, test)
    assert told == ["classes 'b', 'd': no training images (of the held-out ones 3 are left out)"]
    assert few_train.classes == few_test.classes == ("a", "c")
    assert few_train.labels.tolist() == [0, 0, 1, 1]
    assert few_test.labels.tolist() == [0, 1]
    assert few_test.pixels(slice(0, 2)).shape == (2, 1, 4, 4)
    same_train, same_test, told = with_probed_classes(data, test.subset([0, 1, 2]))
    assert (len(same_train), len(same_test)) == (6, 3)
    assert told == ["class 'd': no held-out images, so the accuracies do not tell of it"]
    *_, told = with_probed_classes(data, test.subset([0, 1]))
    assert told == ["classes 'b', 'd': no held-out images, so the accuracies do not tell of them"]


def test_an_encoder_alone_is_measured_on_images_that_are_named(capsys, tiny_run, tmp_path, few_images):
    encoder = load(tiny_run, num_classes=3)
    encoder.save_pretrained(tmp_path / "encoder")
    assert main(["evaluate", str(tmp_path / "encoder"), *ONE]) == 2
    assert "does not say what it was trained on. Name the images" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "encoder"), str(tiny_run), *ONE]) == 2
    assert "several networks must be runs" in capsys.readouterr().err
    invariant = ["--kind", "invariant", *FEW]
    assert main(["evaluate", str(tmp_path / "encoder"), "--data", "fashion_mnist_mini", *invariant, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["model"] == "c4_resnet18s_w4"
    assert content["tasks"] == []
    assert content["kinds"][0]["width"] == encoder.head_hidden_size


@pytest.fixture(scope="module")
def other_seed(tmp_path_factory):
    """The folder of a run that differs from `tiny_run` in the seed."""
    folder = tmp_path_factory.mktemp("runs") / "seed 1"
    assert main(["pretrain", *TINY, "--seed", "1", "--folder", str(folder), "--quiet"]) == 0
    return folder


def test_one_kind_of_features_is_measured_if_it_is_named(capsys, tiny_run, few_images):
    assert main(["evaluate", str(tiny_run), *ONE, "--kind", "canonical", "--json"]) == 0
    assert [scores["kind"] for scores in json.loads(capsys.readouterr().out)["kinds"]] == ["regular", "canonical"]
    assert main(["evaluate", str(tiny_run), *FEW, "--kind", "irregular"]) == 2
    assert capsys.readouterr().err.endswith("got 'irregular'. Name these alone.\n")


def test_several_runs_are_summed_up(capsys, tiny_run, other_seed, tmp_path, few_images):
    file = tmp_path / "results.json"
    assert main(["evaluate", str(tiny_run), str(other_seed), *ONE, "--output", str(file)]) == 0
    assert "2 runs: means with 95% intervals" in capsys.readouterr().out
    content = json.loads(file.read_text())
    assert content["summary"]["seeds"] == len(content["evaluations"]) == 2
    assert [one["config"]["run"]["seed"] for one in content["evaluations"]] == [0, 1]
    accuracy = content["summary"]["kinds"][0]["accuracy"]
    assert accuracy["values"] == [one["kinds"][0]["accuracy"] for one in content["evaluations"]]
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]


def test_runs_that_are_no_seeds_of_one_config_are_refused_before_they_are_measured(
    capsys, tiny_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(command, "evaluate", None)
    assert main(["evaluate", str(tiny_run), str(tiny_run), *ONE]) == 2
    assert "2 times. Name each run once" in capsys.readouterr().err
    assert main(["evaluate", str(tiny_run), "c4_resnet18s_w16.rot_fmnist_simclr", *ONE]) == 2
    assert "must differ in the seed alone; got batch_size=32 and 128" in capsys.readouterr().err


@pytest.fixture
def asked(monkeypatch):
    """What `evaluate` is asked, which then stops."""
    calls = []

    def stop(_, train, test, **options):
        calls.append({"train": len(train), "test": len(test), **options})
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "evaluate", stop)
    return calls


@pytest.mark.parametrize(
    ("arguments", "train", "curve"),
    [
        ([], 6000, 2000),
        (["--limit", "6000"], 6000, 2000),
        (["--limit", "100000"], 6000, 2000),
        (["--limit", "300"], 300, 300),
        (["--limit", "300", "--quick"], 300, 0),
    ],
)
def test_a_limit_bounds_the_images_of_the_probes_and_of_the_curve(asked, capsys, tiny_run, arguments, train, curve):
    assert main(["evaluate", str(tiny_run), *arguments]) == 130
    assert (asked[0]["train"], asked[0]["test"], asked[0]["curve_images"]) == (train, 2000, curve)
    stopped = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("left out: ")]
    assert stopped == ["eqmodels: stopped"]  # no checkpoint from which it would go on


def test_a_limit_beyond_the_images_takes_them_all_though_classes_are_unequal(asked, tiny_run, monkeypatch):
    data = load_data("fashion_mnist_mini").subset(range(50, 100))
    monkeypatch.setattr(command, "loaded", lambda *_, **__: data)
    assert len(set(data.labels.bincount().tolist())) > 1
    assert main(["evaluate", str(tiny_run), "--limit", "50"]) == 130
    assert asked[0]["train"] == 50


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--limit", "5"], "--limit must be at least 10, one image a class of fashion_mnist_mini; got 5."),
        (["--limit", "0"], "--limit must be at least 10"),
        (
            ["--size", "0"],
            "--size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 0 for fashion_mnist",
        ),
        (
            ["--data", "fashion_mnist_mini", "--size", "9"],
            "--size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 9 for fashion",
        ),
        (["--output", "."], "--output must name a file; . is a folder"),
        (["--device", "abacus"], "device must be one that PyTorch can use here; got abacus"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(asked, capsys, tiny_run, arguments, sentence):
    assert main(["evaluate", str(tiny_run), *arguments]) == 2
    captured = capsys.readouterr().err
    assert sentence in captured
    assert captured.count("\n") == 1
    assert not asked


def test_pictures_of_no_pixels_are_refused_at_once(asked, capsys, tiny_run, tmp_path):
    write_image_folder(tmp_path)
    assert main(["evaluate", str(tiny_run), "--data", "image_folder", "--root", str(tmp_path), "--size", "0"]) == 2
    assert "--size must be at least one pixel; got 0" in capsys.readouterr().err
    assert not asked


def test_an_output_that_cannot_be_written_names_its_option(asked, capsys, tiny_run, tmp_path):
    (tmp_path / "file").touch()
    assert main(["evaluate", str(tiny_run), "--output", str(tmp_path / "file" / "in")]) == 1
    assert "Choose another (--output)" in capsys.readouterr().err
    assert not asked


def test_a_checkpoint_is_a_network_like_the_finished_run(tiny_run):
    """Here the last checkpoint holds the final weights."""
    finished, checkpoint = load_pretrained(tiny_run), load_pretrained(tiny_run / "checkpoint.pt")
    assert checkpoint.preprocessing == finished.preprocessing
    assert checkpoint.config == finished.config
    weights = finished.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in checkpoint.model.state_dict().items())
    assert not checkpoint.model.training


def test_a_run_that_is_not_done_is_measured_and_said_to_be_none(asked, capsys, tiny_run, tmp_path):
    content = torch.load(tiny_run / "checkpoint.pt", weights_only=True)
    content["config"]["optimisation"]["epochs"] = 4
    torch.save(content, tmp_path / "checkpoint.pt")
    assert main(["evaluate", str(tmp_path), *ONE]) == 130
    assert f"{tmp_path} is not done: measuring its checkpoint, after 1 of 4 epochs" in capsys.readouterr().err
    assert main(["evaluate", str(tiny_run / "checkpoint.pt"), *ONE]) == 130
    assert "is not done" not in capsys.readouterr().err
    assert len(asked) == 2


def test_a_damaged_checkpoint_is_one_line_on_standard_error(capsys, tiny_run, tmp_path):
    broken = tmp_path / "checkpoint.pt"
    broken.write_bytes((tiny_run / "checkpoint.pt").read_bytes()[:5000])
    assert main(["evaluate", str(broken), *ONE]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nobody"], 2, "neither the folder of a run nor a pretrained network"),
        (["."], 1, "is not the folder of a network"),
    ],
)
def test_what_is_no_network_is_one_line_on_standard_error(capsys, arguments, status, sentence):
    assert main(["evaluate", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
