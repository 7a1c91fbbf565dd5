"""``eqmodels pretrain``: what a newcomer types, and what comes back."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
from torchvision.transforms.functional import to_pil_image

from eqmodels.cli import build_parser, flags, main, pretrain
from eqmodels.data import load_data
from eqmodels.training import PretrainConfig, load_run
from eqmodels.training.config import config_options, flat_fields
from tests.cli.conftest import TINY


def parsed(*typed):
    """The arguments of a command line."""
    return build_parser().parse_args(["pretrain", *typed])


def help_of(capsys, *typed):
    """What ``--help`` says, in one line."""
    with pytest.raises(SystemExit):
        main(["pretrain", *typed, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_every_value_of_a_config_is_an_option_with_words(capsys):
    text = help_of(capsys)
    documented = {name: option for name, (_, _, option) in flat_fields().items()}
    for options in config_options({}).values():
        documented |= options
    for name, option in documented.items():
        assert f"--{name.replace('_', '-')}" in text
        assert " ".join(option.help.rstrip(".").split()) in text
        assert option.help
    assert set(parsed().names) == set(documented)


@pytest.mark.parametrize(
    ("typed", "there", "absent"),
    [
        (["--objective", "relative"], "--head-hidden N", "--task"),
        (["--model", "resnet18s_w8"], "--model NAME", "--kernel-size"),
        (["--model", "c4_resnet18s"], "--width N", "--size N"),
        (["--optimiser=adamw"], "--beta1 X", "--momentum"),
        (["--data", "image_folder"], "--size N", "--beta1"),
        (["--backend", "escnn"], "--backend {native,escnn}", "--downsampling"),
    ],
)
def test_the_options_are_those_of_what_is_named(capsys, typed, there, absent):
    text = help_of(capsys, *typed)
    assert there in text
    assert absent not in text


def test_what_was_typed_is_the_config():
    typed = ["--kernel-size", "5", "--basis", "harmonic", "--backend", "escnn", "--model", "c4_resnet18s_w16"]
    assert pretrain.config_of(parsed(*typed, "--momentum", "0.5", "--no-channels-last")) == PretrainConfig.of(
        kernel_size=5, basis="harmonic", backend="escnn", momentum=0.5, channels_last=False
    )
    assert pretrain.config_of(parsed()) == PretrainConfig()


def test_images_without_colours_get_an_augmentation_that_changes_none(tmp_path):
    images, said = ["--data", "image_folder", "--size", "16"], []
    for typed, augment in (
        (["--channels", "5"], "crop_flip"),
        (["--channels", "5", "--objective", "relative"], "crop_flip"),
        (["--channels", "5", "--augment", "simclr"], "simclr"),
        (["--channels", "1"], "simclr"),
    ):
        config = pretrain.config_of(parsed(*images, *typed), said.append)
        assert config.objective.options["augment"] == augment, typed
    assert said == ["images of 5 channels have no colours to change, so --augment crop_flip, as none is named"] * 2
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"augment": "simclr"}))
    recipe_named = pretrain.config_of(parsed(*images, "--channels", "5", "--recipe", str(recipe)))
    assert recipe_named.objective.options["augment"] == "simclr"


def test_it_says_where_the_weights_are_and_what_to_do_next(capsys, tmp_path):
    folder = tmp_path / "run"
    assert main(["pretrain", *TINY, "--folder", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no bar is in a log
    assert " after 1 epoch (" in out
    assert f"Weights: {folder}" in out
    assert f"Next: eqmodels evaluate {folder}" in out
    assert load_run(folder).name == "c4_resnet18s_w4"


SMALL = ["--model", "c4_resnet18s_w4", "--batch-size", "32", "--epochs", "1", "--head-hidden", "16", "--quiet"]


def folder_of_images(root, numbers):
    images = load_data("fashion_mnist_mini").subset(numbers)
    for number, (image, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
        (root / f"class {label}").mkdir(parents=True, exist_ok=True)
        to_pil_image(image).save(root / f"class {label}" / f"{number}.png")
    return ["--data", "image_folder", "--root", str(root)]


def test_the_next_step_finds_the_same_data(capsys, tmp_path):
    root = tmp_path / "my images"
    cache = ["--cache", str(tmp_path / "cache")]
    options = [*folder_of_images(root, range(80)), *cache, "--folder", str(tmp_path / "run")]
    assert main(["pretrain", *SMALL, *options]) == 0
    (line,) = re.findall("^Next: eqmodels (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert line == f"evaluate {tmp_path}/run --root '{root}' --cache {tmp_path}/cache"
    assert build_parser().parse_args(shlex.split(line)).root == str(root)
    assert len(list((tmp_path / "cache").glob("*/pixels.bin"))) == 1
    assert load_run(tmp_path / "run").config.data.options == {}  # how images are read is not what a run is
    # Which images there are may not be said beside the config, nor how others are read.
    assert main(["pretrain", *SMALL, "--cache", "elsewhere", "--folder", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert re.search("--cache is for .*image_folder, .* only; got 'elsewhere' for fashion_mnist_mini", said), said


def test_of_images_without_labels_the_next_step_is_their_features(capsys, tmp_path):
    images = load_data("fashion_mnist_mini").images[:40]
    (tmp_path / "mine").mkdir()
    for number, image in enumerate(images):
        to_pil_image(image).save(tmp_path / f"mine/{number}.png")
    options = ["--data", "image_folder", "--root", str(tmp_path / "mine"), "--folder", str(tmp_path / "run")]
    assert main(["pretrain", *SMALL, "--batch-size", "8", *options]) == 0
    (line,) = re.findall("^Next: eqmodels (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert line == f"embed {tmp_path}/run {tmp_path}/mine --out features.npz"
    assert build_parser().parse_args(shlex.split(line)).images == [tmp_path / "mine"]


def test_images_of_a_folder_have_a_size_and_other_data_keep_theirs(capsys, tmp_path, few_images):
    options = [*folder_of_images(tmp_path / "mine", range(80)), "--size", "16", "--folder", str(tmp_path / "run")]
    assert main(["pretrain", *SMALL, *options]) == 0
    evaluation = ["evaluate", str(tmp_path / "run"), "--quick", "--limit", "50", "--json"]
    capsys.readouterr()
    assert main([*evaluation, "--data", "fashion_mnist_mini"]) == 0
    assert json.loads(capsys.readouterr().out)["train"][0] == "fashion_mnist_mini"
    assert main([*evaluation, "--data", "fashion_mnist_mini", "--size", "16"]) == 2
    assert (
        "size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 16 for fashion_mnist_mini"
        in capsys.readouterr().err
    )


def test_the_run_on_one_folder_of_images_is_not_that_on_another(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = (folder_of_images(tmp_path / name, range(*at)) for name, at in (("a", (0, 80)), ("b", (80, 160))))
    assert main(["pretrain", *SMALL, *first]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    before = (run / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert main(["pretrain", *SMALL, *second]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"eqmodels: runs/{run.name} belongs to another run: images' ")
    assert "Nothing was changed; choose another folder (--folder)" in captured.err
    assert captured.err.count("\n") == 1
    assert (run / "model.safetensors").read_bytes() == before
    assert main(["pretrain", *SMALL, *first]) == 0
    assert main(["pretrain", *SMALL, *second, "--folder", "runs/of b"]) == 0
    assert (tmp_path / "runs/of b/model.safetensors").read_bytes() != before


def test_the_help_has_every_default_and_no_types(capsys):
    text = help_of(capsys)
    assert "--channels-last, --no-channels-last memory format of images and filters (default: yes)" in text
    assert "--compile, --no-compile run through torch.compile (default: no)" in text
    assert "--epochs N passes" in text
    assert not re.search(r"\b(INT|STR|FLOAT)\b", text)


def test_the_result_is_json(capsys, tiny_run):
    assert main(["pretrain", *TINY, "--folder", str(tiny_run), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["sha256"] == load_run(tiny_run).sha256
    assert content["last_epoch"]["epoch"] == 1
    assert PretrainConfig.from_dict(content["config"]).objective.options["head_hidden"] == 16


def test_class_information_is_eliminated_and_evaluated(capsys, tmp_path, few_images):
    options = ["--class-weight", "-9", "--class-hidden", "8", "--quiet"]
    assert main(["pretrain", *TINY, "--folder", str(tmp_path / "run"), *options]) == 0
    assert "class " in capsys.readouterr().out
    assert load_run(tmp_path / "run").class_information.weight == -9.0
    output = tmp_path / "results.json"
    assert main(["evaluate", str(tmp_path / "run"), "--quick", "--limit", "100", "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "class (-9)" in out
    assert "class: its head, in brackets the dose" in out
    assert "rank: effective rank; -: not measured." in out
    assert "; training: on its own augmented training images, in the last epoch of pretraining." in out
    scores = json.loads(output.read_text())["class_head"]
    assert (scores["weight"], scores["num_classes"]) == (-9.0, 10)
    assert 0 <= scores["accuracy"] <= 1 < scores["loss"]


def test_options_win_over_a_recipe(tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"model": "resnet18s_w4", "head": "mlp", "epochs": 7}))
    config = pretrain.config_of(parsed("--recipe", str(recipe), "--epochs", "2", "--to-rgb"))
    assert config == PretrainConfig.of(model="resnet18s_w4", head="mlp", epochs=2, to_rgb=True)


@pytest.mark.parametrize("typed", ["d8,d4,d1", "d8, d4, d1", '["d8", "d4", "d1"]'])
def test_a_list_is_typed_with_commas_or_as_json(typed, capsys):
    name = ["--model", "d8_wide_resnet16_8_w16"]
    config = pretrain.config_of(parsed(*name, "--restrict", typed))
    assert list(config.model.options["restrict"]) == ["d8", "d4", "d1"]
    assert "--restrict A,B" in help_of(capsys, *name)


def test_options_of_the_head_are_an_object_and_none_is_given_twice():
    assert pretrain.config_of(parsed("--head-options", "{}")).objective.options["head_options"] == {}
    with pytest.raises(ValueError, match=r"head-options are those beside hidden and dropout; got 'hidden'"):
        pretrain.config_of(parsed("--head", "mlp", "--head-options", '{"hidden": 8}'))


def test_a_recipe_of_any_format_says_which_options_there_are(tmp_path):
    recipe = tmp_path / "recipe.json"
    for config in (PretrainConfig.of(objective="relative", head_hidden=8), PretrainConfig.of(backend="escnn")):
        recipe.write_text(json.dumps(config.to_dict()))
        assert pretrain.config_of(parsed("--recipe", str(recipe))) == config
        again = pretrain.config_of(parsed("--recipe", str(recipe), "--head-hidden", "16", "--kernel-size", "5"))
        assert again == config.replaced(head_hidden=16, kernel_size=5)
    recipe.write_text(json.dumps(PretrainConfig.of(objective="relative", seed=3).to_dict()))
    typed = ["--recipe", str(recipe), "--objective", "prediction", "--task", "jigsaw", "--head", "mlp"]
    other = pretrain.config_of(parsed(*typed))
    assert other == PretrainConfig.of(task="jigsaw", head="mlp", seed=3)


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        ("batch_size must be at least 1; got 0.", "--batch-size must be at least 1; got 0."),
        ("Pass batch_size=8, or more.", "Pass --batch-size 8, or more."),
        ("model='c4_w4' has it. Use norm='batch'.", "--model c4_w4 has it. Use --norm batch."),
        ("Pass coloured=True (--coloured), or another.", "Pass --coloured, or another."),
        ("Leave it, or class_weight=None.", "Leave it, or no --class-weight."),
        ("restrict must be a list; got 3. Use ('d8', 'd4').", "--restrict must be a list; got 3. Use d8,d4."),
        ("my_task='x' and its seed are left", "my_task='x' and its seed are left"),
    ],
)
def test_complaints_are_in_terms_of_the_command_line(sentence, spoken):
    names = ["model", "norm", "task", "batch_size", "coloured", "class_weight", "seed", "restrict"]
    assert flags.in_options(sentence, names) == spoken


def test_every_config_has_a_folder_of_its_own():
    names = {
        pretrain.run_name(PretrainConfig.of(**values))
        for values in ({}, {"seed": 1}, {"model": "d4_resnet18s"}, {"epochs": 3}, {"norm": "layer"})
    }
    assert len(names) == 5


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--epochs", "0"], 2, "--epochs must be at least 1"),
        (["--head", "big"], 2, "invalid choice: 'big'"),
        (["--task", "rotatoin"], 2, "rotation"),
        (["--task", "rot"], 2, "got 'rot'. Use 'rotation', or import"),
        (["--objective", "relativ"], 2, "; got 'relativ'. Use 'relative', or import"),
        (["--model", "c4_resnet18s_w4000000"], 1, "c4_resnet18s_w4000000 needs more memory than this machine can give"),
        (["--model", "resnet18s_w4"], 2, "an equivariant head needs a backbone whose group contains the task's"),
        (["--task", "grayscale", "--head", "mlp", "--augment", "none"], 2, "(--coloured)"),
        (["--data", "imagined"], 2, "data must be one of"),
        (
            ["--recipe", "/nowhere/recipe.json"],
            2,
            "--recipe must name a file that can be read; /nowhere/recipe.json is",
        ),
        (["--recipe", "/"], 2, "/ is none (it is a folder, and no regular file)"),
        (["--recipe", sys.executable], 2, "--recipe must be a JSON file"),
        (["--norm", "layer"], 2, "--norm layer needs at least 2 fields of C4"),
        (["--task", "rotation+vertical_flip", "--head", "mlp"], 2, "flips every other image before the task"),
        (["--task", "grayscale", "--head", "mlp", "--augment", "none", "--to-rgb"], 2, "--coloured"),
        (["--limit", "10", "--batch-size", "64"], 2, "a step needs --batch-size 64 images; fashion_mnist_mini has 10"),
        (["--class-weight", "nan"], 2, "--class-weight must be a finite number; got nan. Pass 0.5 to add"),
        (["--clip-norm", "inf"], 2, "--clip-norm must be a positive finite number"),
        (["--warmup-epochs", "2"], 2, "--warmup-epochs must be at most epochs"),
        (["--head-hidden", "1000004"], 1, "this run could not be saved when it is done, and was not started"),
        (["--class-weight", "a lot"], 2, "invalid float value: 'a lot'"),
        (["--objective", "predicton"], 2, "got 'predicton'. Use 'prediction', or import the file that reg"),
        (["--model", "c4_resnet19"], 2, "no model is named 'c4_resnet19'; the nearest names are c4_resnet"),
        (
            ["--optimiser", "adamw", "--momentum", "0.5"],
            2,
            "unrecognized arguments: --momentum 0.5; see eqmodels pretrain --help",
        ),
        (
            ["--folders", "run"],
            2,
            "unrecognized arguments: --folders run (did you mean --folder?); see eqmodels pretrain",
        ),
    ],
)
def test_bad_input_is_one_line_on_standard_error(capsys, tmp_path, arguments, status, sentence):
    folder = tmp_path / "run"
    assert main(["pretrain", *TINY, "--folder", str(folder), "--quiet", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("eqmodels: ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
    assert not folder.exists()


def test_a_folder_of_another_run_is_refused_and_left_alone(capsys, tiny_run):
    before = (tiny_run / "model.safetensors").read_bytes()
    assert main(["pretrain", *TINY, "--folder", str(tiny_run), "--seed", "5", "--quiet"]) == 1
    assert "seed=0 there and 5 here" in capsys.readouterr().err
    assert (tiny_run / "model.safetensors").read_bytes() == before


@pytest.mark.slow  # that of the function is tried each time, in tests/training/test_resume.py
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "eqmodels", "pretrain", *TINY, "--epochs", "60", "--folder", str(folder)]
    process = subprocess.Popen([*command, "--quiet"], stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while not (folder / "log.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on from the last checkpoint" in error
    assert "Traceback" not in error
    assert (folder / "checkpoint.pt").exists()
