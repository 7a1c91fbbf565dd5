"""A config is the same after JSON, refuses what breaks a rule, reads what was written before, and says what differs."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from eqmodels.cli import main
from eqmodels.objectives import Distil
from eqmodels.storage import LONGEST_LOG
from eqmodels.training import DataConfig, ModelConfig, ObjectiveConfig, OptimisationConfig, PretrainConfig, RunConfig
from eqmodels.training.config import flat_fields
from eqmodels.training.formats import FORMAT

ROOT = Path(__file__).parents[2]
CHANGED = PretrainConfig.of(
    model="d4_resnet18s_w8",
    kernel_size=5,
    basis="harmonic",
    norm="layer",
    downsampling="stride",
    task="rotation+jigsaw",
    init="c4_resnet18s_w16.rot_fmnist_simclr",
    init_sha256="0" * 64,
    preset="paper",
    head="mlp",
    head_hidden=64,
    head_dropout=0.5,
    head_options={"depth": 2},
    turn="always",
    class_weight=-9.0,
    class_hidden=32,
    augment="crop_flip",
    data="image_folder",
    limit=100,
    coloured=True,
    to_rgb=True,
    size=64,
    epochs=2,
    batch_size=64,
    accumulate=4,
    optimiser="adamw",
    beta1=0.8,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    schedule="multistep",
    warmup_epochs=0.5,
    weight_decay=0.05,
    clip_norm=1.0,
    order="keyed",
    average=0.5,
    precision="float32",
    channels_last=False,
    compile=True,
    seed=7,
)


@pytest.mark.parametrize("config", [PretrainConfig(), CHANGED])
def test_a_config_is_the_same_after_json(config):
    content = json.loads(json.dumps(config.to_dict()))
    assert content["format"] == 2
    assert PretrainConfig.from_dict(content) == config
    assert hash(PretrainConfig.from_dict(content)) == hash(config)
    assert PretrainConfig.of(**config.flat()) == config


def test_the_config_above_changes_every_value_but_the_objective():
    same = {"objective"}
    names = {*flat_fields(), *PretrainConfig().objective.options} - same
    assert names <= set(CHANGED.differences(PretrainConfig()))


def test_values_are_brought_to_their_parts():
    assert PretrainConfig.of(
        model="c4_resnet18s_w16", kernel_size=5, size=32, data="image_folder", task="dihedral", head="mlp",
        augment="none", momentum=0.5, epochs=3, seed=2,
    ) == PretrainConfig(
        ModelConfig("c4_resnet18s_w16", {"kernel_size": 5}),
        DataConfig("image_folder", options={"size": 32}),
        ObjectiveConfig("prediction", {"task": "dihedral", "head": "mlp", "augment": "none"}),
        OptimisationConfig(epochs=3, options={"momentum": 0.5}),
        RunConfig(seed=2),
    )  # fmt: skip


def test_what_is_left_out_has_its_default():
    assert PretrainConfig.from_dict({"seed": 3}) == PretrainConfig.of(seed=3)
    assert PretrainConfig.from_dict({"format": 2, "run": {"seed": 3}}) == PretrainConfig.of(seed=3)
    assert PretrainConfig.of() == PretrainConfig()
    assert PretrainConfig().model.options == {}
    assert PretrainConfig.of(kernel_size=None, norm="batch") == PretrainConfig()


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PretrainConfig().run.seed = 1
    with pytest.raises(TypeError):
        PretrainConfig().objective.options["task"] = "jigsaw"
    values = {"task": "jigsaw", "head": "mlp"}
    config = ObjectiveConfig("prediction", values)
    values["task"] = "rotation"
    assert config.options["task"] == "jigsaw"


@pytest.mark.parametrize(
    ("values", "nearest"),
    [
        ({"kernel_sizes": 5}, "Use 'kernel_size', or drop it."),
        ({"taks": "rotation"}, "Use 'task', or drop it."),
        ({"momentun": 0.5}, "Use 'momentum', or drop it."),
        ({"batchsize": 5}, "Use 'batch_size', or drop it."),
        ({"objective": "relative", "head_hiden": 5}, "Use 'head_hidden', or drop it."),
    ],
)
def test_what_nothing_has_is_refused_with_the_nearest_name(values, nearest):
    with pytest.raises(TypeError, match=rf"^a pretraining of c4_resnet18s_w16, \w+ has no '\w+'; .*{nearest}$"):
        PretrainConfig.of(**values)


def test_options_of_another_network_are_refused_with_its_own():
    with pytest.raises(
        TypeError, match=r"^model 'resnet18s' has no option 'norm'; its options are width, output_stride\. Drop it"
    ):
        PretrainConfig(model=ModelConfig("resnet18s", {"norm": "layer"}))
    with pytest.raises(TypeError, match="has no 'kernel_size'"):
        PretrainConfig.of(model="c4_resnet18s_k5_w16", kernel_size=5)  # the name says so already
    with pytest.raises(ValueError, match="backend must be one of native, escnn; got 'e2cnn'"):
        PretrainConfig.of(backend="e2cnn")


def test_a_flat_config_of_before_means_what_it_meant():
    """In them `resnet18` had the small stem, and the standard networks a norm that they had no option for."""
    old = {"model": "c4_resnet18_w16", "norm": "layer", "task": "jigsaw", "head": "mlp", "size": None, "epochs": 3}
    expected = PretrainConfig.of(model="c4_resnet18s_w16", norm="layer", task="jigsaw", head="mlp", epochs=3)
    assert PretrainConfig.from_dict(old) == expected
    old = {"model": "resnet50", "norm": "batch", "head": "linear", "data": "image_folder", "size": 64}
    expected = PretrainConfig.of(model="resnet50s", head="linear", data="image_folder", size=64)
    assert PretrainConfig.from_dict(old) == expected
    assert PretrainConfig.from_dict({"model": "c4_wide_resnet16_8"}).model.name == "c4_wide_resnet16_8"
    with pytest.raises(ValueError, match=r"^a pretraining config has no 'lr'; it has accumulate, augment, "):
        PretrainConfig.from_dict({"lr": 0.1})


RECIPES = sorted((ROOT / "zoo").glob("*/recipe.json"))
RESULTS = sorted((ROOT / "benchmarks" / "results" / "essl").glob("*/*/seed0/config.json"))


@pytest.mark.parametrize("file", [*RECIPES, *RESULTS], ids=lambda file: str(file.relative_to(ROOT).parent))
def test_every_committed_recipe_is_that_of_its_folder(file):
    content = json.loads(file.read_text())
    old = content.get("pretraining", content)
    config = PretrainConfig.from_dict(old)
    assert config.model.name in str(file.parent) or file.parts[-4] == "tasks"
    if "format" in old:
        assert config.to_dict() == old
        return
    values = config.flat()
    for name in old.keys() - {"model", "norm", "size"}:
        assert values[name] == old[name], name


def test_a_file_causes_no_import_and_no_unknown_format():
    with pytest.raises(ValueError, match="objective must be one of"):
        PretrainConfig.from_dict({"format": 2, "objective": {"name": "own"}})
    with pytest.raises(
        ValueError, match=r"^a pretraining config is of format 1 \(flat\) or 2; got 3\. Update eqmodels"
    ):
        PretrainConfig.from_dict({"format": 3})
    with pytest.raises(ValueError, match=r"^a pretraining config has no 'lr'; it has model, data, objective, optim"):
        PretrainConfig.from_dict({"format": 2, "lr": 0.1})
    with pytest.raises(TypeError, match=r"^the run of a pretraining config has no 'lr'; it has precision, channels_la"):
        PretrainConfig.from_dict({"format": 2, "run": {"lr": 0.1}})
    with pytest.raises(
        ValueError, match=r" of format 1 \(flat\) or 2; got '2' \(str\)\. Write the number, 2, or leave"
    ):
        PretrainConfig.from_dict({"format": "2"})
    with pytest.raises(ValueError, match=r"got 'True' \(bool\)\. Write the number, 2"):
        PretrainConfig.from_dict({"format": True})
    with pytest.raises(
        ValueError, match=r"^a pretraining config has no 'modle'; it has model, .* Use 'model', or drop"
    ):
        PretrainConfig.from_dict({"format": 2, "modle": {}})
    with pytest.raises(TypeError, match=r"^the run of a pretraining config has no 'sed'; .* Use 'seed', or drop it\.$"):
        PretrainConfig.from_dict({"format": 2, "run": {"sed": 1}})
    with pytest.raises(ValueError, match=r"^a pretraining config has no 'epoch'; .* Use 'epochs', or drop it\.$"):
        PretrainConfig.from_dict({"epoch": 3})
    with pytest.raises(ValueError, match=r"^a pretraining config has no '3'; .* Drop it\.$"):
        PretrainConfig.from_dict({3: 3, "b": 2})
    for part, example in (("model", "c4_resnet18s_w16"), ("run", "seed")):
        sentence = rf"^{part} of a pretraining config must be an object of names and values; .* Write, .*{example}"
        with pytest.raises(TypeError, match=sentence):
            PretrainConfig.from_dict({"format": 2, part: [1]})


@pytest.mark.parametrize("content", [[], Path("x"), "{}", 3])
@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_config_at_all_is_refused_in_a_sentence(content):
    for read in (PretrainConfig.from_dict, PretrainConfig.of):
        with pytest.raises(
            TypeError, match=r"^a pretraining config must be an object of names and values; got .* Pass "
        ):
            read(content)


@pytest.mark.parametrize("name", [None, 3, ["c4_resnet18s"]])
@pytest.mark.usefixtures("no_shape_checks")
def test_a_model_without_a_name_is_refused_as_what_it_was_passed_for(name):
    with pytest.raises(TypeError, match=r"^model must be a name, such as 'c4_resnet18s_w16'; got .* list_models\(\)"):
        PretrainConfig.of(model=name)
    with pytest.raises(TypeError, match=r"^model must be a name"):
        PretrainConfig.from_dict({"format": 2, "model": {"name": name}})


def test_differences_are_named_with_both_values():
    first, second = PretrainConfig.of(seed=1), PretrainConfig.of(seed=2, epochs=3)
    assert first.differences(second) == {"epochs": (15, 3), "seed": (1, 2)}
    assert PretrainConfig().differences(PretrainConfig()) == {}
    assert PretrainConfig().differences(PretrainConfig.of(kernel_size=5)) == {"kernel_size": (None, 5)}
    assert PretrainConfig().differences(PretrainConfig.of(class_weight=0.0)) == {"class_weight": (None, 0.0)}


def test_another_objective_leaves_the_options_of_the_first():
    config = PretrainConfig.of(task="jigsaw", head="mlp", kernel_size=5, seed=3)
    other = config.replaced(objective="relative", head_hidden=16)
    assert other == PretrainConfig.of(objective="relative", head_hidden=16, kernel_size=5, seed=3)
    assert config.replaced(seed=4).objective == config.objective
    assert config.replaced() == config


BROKEN = [
    ({"epochs": 0}, ValueError, "epochs must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"accumulate": 0}, ValueError, "accumulate must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"head_hidden": 0}, ValueError, "head_hidden must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"seed": -1}, ValueError, "seed must be at least 0; got -1. Pass a whole number of at least 0."),
    ({"seed": 2**32}, ValueError, "seed must be below 2**32; got 4294967296. Pass 0."),
    ({"limit": 0}, ValueError, "limit must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"epochs": 1.5}, TypeError, "epochs must be an integer; got 1.5. Use 15."),
    ({"seed": True}, TypeError, "seed must be an integer; got True. Use 0."),
    ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a number; got '0.1'. Use 0.05."),
    ({"weight_decay": None}, TypeError, "weight_decay must be a number; got None. Use 0.0005."),
    ({"clip_norm": "1"}, TypeError, "clip_norm must be a number; got '1'. Use None."),
    ({"class_weight": "1"}, TypeError, "class_weight must be a number; got '1'. Use None."),
    ({"class_hidden": -1}, ValueError, "class_hidden must be at least 0; got -1. Pass a whole number of at least 0."),
    *(
        (
            {"class_weight": float(value)},
            ValueError,
            f"class_weight must be a finite number; got {value}. Pass 0.5 to add class information, 0 to observe "
            "it or -9 to eliminate it.",
        )
        for value in ("nan", "inf", "-inf")
    ),
    ({"compile": "no"}, TypeError, "compile must be True or False; got 'no'. Use False."),
    (
        {"batch_size": 10, "accumulate": 4},
        ValueError,
        "batch_size must be a multiple of accumulate; got 10 and 4. Pass batch_size=8.",
    ),
    (
        {"batch_size": 2, "accumulate": 4},
        ValueError,
        "batch_size must be a multiple of accumulate; got 2 and 4. Pass batch_size=4.",
    ),
    ({"learning_rate": -1.0}, ValueError, "learning_rate must be a finite number of at least 0; got -1.0. Pass 0.05."),
    (
        {"learning_rate": float("nan")},
        ValueError,
        "learning_rate must be a finite number of at least 0; got nan. Pass 0.05.",
    ),
    (
        {"weight_decay": float("inf")},
        ValueError,
        "weight_decay must be a finite number of at least 0; got inf. Pass 0.0005.",
    ),
    ({"warmup_epochs": -1}, ValueError, "warmup_epochs must be a finite number of at least 0; got -1. Pass 1.0."),
    (
        {"warmup_epochs": 2.5, "epochs": 2},
        ValueError,
        "warmup_epochs must be at most epochs, or learning_rate is never reached; got 2.5 and 2. Pass warmup_epochs=2, "
        "or more epochs.",
    ),
    (
        {"final_learning_rate": 0.1},
        ValueError,
        "final_learning_rate must lie between 0 and learning_rate; got 0.1. Pass 0.",
    ),
    ({"head_dropout": 1.0}, ValueError, "head_dropout must be at least 0 and below 1; got 1.0. Pass 0."),
    *(
        (
            {"clip_norm": float(value)},
            ValueError,
            f"clip_norm must be a positive finite number; got {value}. Pass 1, or leave it out.",
        )
        for value in ("0.0", "nan", "inf")
    ),
    ({"epochs": 10_001}, ValueError, "epochs must be at most 10000; got 10001. Pass 10000 or less."),
    ({"clip_norm": 5e9}, ValueError, "clip_norm must be at most 2**32; got 5000000000.0. Pass a smaller number."),
    (
        {"class_weight": -1e300},
        ValueError,
        "class_weight must be a finite number; got -1e+300. Pass 0.5 to add class information, 0 to observe it or -9 "
        "to eliminate it.",
    ),
    (
        {"head_hidden": 2**32 + 1},
        ValueError,
        "head_hidden must be below 2^31; got 4294967297. Pass a smaller whole number.",
    ),
    (
        {"warmup_epochs": 1e300},
        ValueError,
        "warmup_epochs must be at most epochs, or learning_rate is never reached; got 1e+300 and 15. Pass "
        "warmup_epochs=15, or more epochs.",
    ),
    ({"norm": "group"}, ValueError, "norm must be one of batch, layer; got 'group'. Use 'batch'."),
    ({"preset": "x"}, ValueError, "preset must be one of fixed, paper; got 'x'. Use 'fixed'."),
    ({"turn": "never"}, ValueError, "turn must be one of auto, always; got 'never'. Use 'auto'."),
    (
        {"head": "x"},
        ValueError,
        "head must be one of angle, equivariant, frame, linear, mlp; got 'x'. Use 'equivariant', or import the file "
        "that registers it (--import FILE).",
    ),
    (
        {"augment": "x"},
        ValueError,
        "augment must be one of crop_flip, none, simclr; got 'x'. Use 'simclr', or import the file that registers it "
        "(--import FILE).",
    ),
    (
        {"optimiser": "adam"},
        ValueError,
        "optimiser must be one of adamw, sgd; got 'adam'. Use 'adamw', or import the file that registers it (--import "
        "FILE).",
    ),
    ({"schedule": "step"}, ValueError, "schedule must be one of cosine, multistep; got 'step'. Use 'cosine'."),
    ({"precision": "half"}, ValueError, "precision must be one of auto, float32, bfloat16; got 'half'. Use 'auto'."),
]


def test_warm_up_may_be_all_there_is_and_no_epoch_too_many():
    assert PretrainConfig.of(epochs=1).optimisation.warmup_epochs == 1
    assert PretrainConfig.of(epochs=3, warmup_epochs=3.0).optimisation.warmup_epochs == 3
    schema = json.loads((files("eqmodels.storage") / "config.schema.json").read_text("utf-8"))
    assert PretrainConfig.of(epochs=schema["properties"]["log"]["maxItems"]).optimisation.epochs == LONGEST_LOG


@pytest.mark.parametrize(("values", "error", "sentence"), BROKEN)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_breaks_a_rule_is_refused_in_a_sentence(values, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        PretrainConfig.of(**values)


def test_an_objective_brings_the_optimisation_that_fits_it():
    """Where it is named and no optimiser is; one value may be said, and what a base says of optimisation stays."""
    fitting = dict(Distil.optimisation)
    assert fitting.keys() <= PretrainConfig().flat().keys()
    named = PretrainConfig.of(objective="distil")
    assert {name: getattr(named.optimisation, name) for name in fitting} == fitting
    assert named.replaced(epochs=3).optimisation == dataclasses.replace(named.optimisation, epochs=3)
    one = PretrainConfig.of(objective="distil", learning_rate=1e-3).optimisation
    assert one == dataclasses.replace(named.optimisation, learning_rate=1e-3)
    usual = PretrainConfig().optimisation
    assert PretrainConfig.of(objective="distil", optimiser="sgd").optimisation == usual
    assert PretrainConfig().replaced(objective="distil").optimisation == usual
    assert PretrainConfig.of({"format": FORMAT}, objective="distil").optimisation == named.optimisation
    # A file means what it has always meant.
    assert PretrainConfig.from_dict({"format": FORMAT, "objective": {"name": "distil"}}).optimisation == usual


def test_the_help_shows_the_optimisation_of_the_objective(capsys):
    for words, batch in (
        ([], 128),
        (["--objective", "distil"], 64),
        (["--objective=distil", "--optimiser", "sgd"], 128),
    ):
        with pytest.raises(SystemExit):
            main(["pretrain", *words, "--help"])
        assert f"(default: {batch})" in re.sub(r"\s+", " ", capsys.readouterr().out)
