"""A config is the same after JSON, refuses what breaks a rule, and says what differs."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib.resources import files

import pytest

from eqmodels.storage import LONGEST_LOG
from eqmodels.training import PretrainConfig

CHANGED = PretrainConfig(
    model="d4_resnet18s_w16",
    norm="layer",
    task="rotation+jigsaw",
    preset="paper",
    head="mlp",
    head_hidden=64,
    head_dropout=0.5,
    turn="always",
    class_weight=-9.0,
    class_hidden=32,
    augment="crop_flip",
    data="cifar10",
    limit=100,
    coloured=True,
    to_rgb=True,
    size=64,
    epochs=2,
    batch_size=64,
    accumulate=4,
    optimiser="adamw",
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    schedule="multistep",
    warmup_epochs=0.5,
    weight_decay=0.05,
    clip_norm=1.0,
    precision="float32",
    channels_last=False,
    compile=True,
    seed=7,
)


@pytest.mark.parametrize("config", [PretrainConfig(), CHANGED])
def test_a_config_is_the_same_after_json(config):
    assert PretrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_config_above_changes_every_field():
    assert len(CHANGED.differences(PretrainConfig())) == len(dataclasses.fields(PretrainConfig))


def test_fields_that_are_left_out_have_their_defaults():
    assert PretrainConfig.from_dict({"seed": 3}) == PretrainConfig(seed=3)


def test_what_was_added_later_is_written_only_where_it_is_used():
    """Files and folders of runs without a class head are those of before there was one."""
    assert not {"class_weight", "class_hidden"} & PretrainConfig().to_dict().keys()
    assert PretrainConfig(class_weight=0.0).to_dict()["class_weight"] == 0.0
    assert PretrainConfig().differences(PretrainConfig(class_weight=0.0)) == {"class_weight": (None, 0.0)}


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PretrainConfig().seed = 1


def test_unknown_fields_are_refused():
    with pytest.raises(ValueError, match=r"^a pretraining config has no 'lr'; it has accumulate, augment, "):
        PretrainConfig.from_dict({"lr": 0.1})


def test_differences_are_named_with_both_values():
    assert PretrainConfig(seed=1).differences(PretrainConfig(seed=2, epochs=3)) == {"seed": (1, 2), "epochs": (15, 3)}
    assert PretrainConfig().differences(PretrainConfig()) == {}


BROKEN = [
    ({"epochs": 0}, ValueError, "epochs must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"accumulate": 0}, ValueError, "accumulate must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"head_hidden": 0}, ValueError, "head_hidden must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"seed": -1}, ValueError, "seed must be at least 0; got -1. Pass a whole number of at least 0."),
    ({"seed": 2**32}, ValueError, "seed must be below 2**32; got 4294967296. Pass 0."),
    ({"limit": 0}, ValueError, "limit must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"size": 0}, ValueError, "size must be at least 1; got 0. Pass a whole number of at least 1."),
    ({"epochs": 1.5}, TypeError, "epochs must be an integer; got 1.5. Pass a whole number of at least 1."),
    ({"seed": True}, TypeError, "seed must be an integer; got True. Pass a whole number of at least 0."),
    ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a number; got '0.1'. Pass 0.05."),
    ({"weight_decay": None}, TypeError, "weight_decay must be a number; got None. Pass 0.0005."),
    ({"clip_norm": "1"}, TypeError, "clip_norm must be a number; got '1'. Pass None."),
    ({"class_weight": "1"}, TypeError, "class_weight must be a number; got '1'. Pass None."),
    ({"class_hidden": -1}, ValueError, "class_hidden must be at least 0; got -1. Pass a whole number of at least 0."),
    *(
        (
            {"class_weight": float(value)},
            ValueError,
            f"class_weight must be a finite number; got {value}. Pass 0.5 to add class information, -9 to eliminate "
            "it, or leave it out for no class head.",
        )
        for value in ("nan", "inf", "-inf")
    ),
    ({"compile": "no"}, TypeError, "compile must be True or False; got 'no'."),
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
    ({"epochs": 100_001}, ValueError, "epochs must be at most 100000; got 100001. Pass 100000 or less."),
    ({"clip_norm": 5e9}, ValueError, "clip_norm must be at most 2**32; got 5000000000.0. Pass None."),
    ({"class_weight": -1e300}, ValueError, "class_weight must be at most 2**32; got -1e+300. Pass None."),
    ({"head_hidden": 2**32 + 1}, ValueError, "head_hidden must be at most 2**32; got 4294967297. Pass 2048."),
    (
        {"warmup_epochs": 1e300},
        ValueError,
        "warmup_epochs must be at most epochs, or learning_rate is never reached; got 1e+300 and 15. Pass "
        "warmup_epochs=15, or more epochs.",
    ),
    ({"norm": "group"}, ValueError, "norm must be one of batch, layer; got 'group'. Use 'batch'."),
    ({"preset": "x"}, ValueError, "preset must be one of fixed, paper; got 'x'. Use 'fixed'."),
    ({"turn": "never"}, ValueError, "turn must be one of auto, always; got 'never'. Use 'auto'."),
    ({"head": "x"}, ValueError, "head must be one of linear, mlp, equivariant; got 'x'. Use 'linear'."),
    ({"augment": "x"}, ValueError, "augment must be one of none, crop_flip, simclr; got 'x'. Use 'none'."),
    ({"optimiser": "adam"}, ValueError, "optimiser must be one of sgd, adamw; got 'adam'. Use 'sgd'."),
    ({"schedule": "step"}, ValueError, "schedule must be one of cosine, multistep; got 'step'. Use 'cosine'."),
    ({"precision": "half"}, ValueError, "precision must be one of float32, bfloat16; got 'half'. Use 'float32'."),
]


def test_warm_up_may_be_all_there_is_and_no_epoch_too_many():
    assert PretrainConfig(epochs=1).warmup_epochs == 1
    assert PretrainConfig(epochs=3, warmup_epochs=3.0).warmup_epochs == 3
    schema = json.loads((files("eqmodels.storage") / "config.schema.json").read_text("utf-8"))
    assert PretrainConfig(epochs=schema["properties"]["log"]["maxItems"]).epochs == LONGEST_LOG


@pytest.mark.parametrize(("values", "error", "sentence"), BROKEN)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_breaks_a_rule_is_refused_in_a_sentence(values, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        PretrainConfig.from_dict(values)
