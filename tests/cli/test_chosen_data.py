"""Commands that read images: with the options of their source, those of the command line or those of the run."""

from __future__ import annotations

import argparse

import pytest
import torch

from eqmodels.cli import evaluate, main, synergy
from eqmodels.cli.chosen_data import add_data_flags, flags_given
from eqmodels.data import SOURCES, LabelledImages, register_source
from eqmodels.studies import SynergyPlan
from tests.registering import forgotten

RUN = ["--model", "c4_resnet18s_w4", "--batch-size", "8", "--epochs", "1", "--head-hidden", "16", "--quiet"]


def noise(split, *, root=None, chans=5, every=1):
    """Noise.

    Args:
        split: ``"train"`` or ``"test"``.
        root: no folder.
        chans: channels of the images.
        every: takes every so many-th image.
    """
    images = torch.randint(0, 256, (40, chans, 12, 12), dtype=torch.uint8)[::every]
    return LabelledImages("noise5", images, torch.arange(len(images)) % 2, ("a", "b"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, registries):
    """The folder of a run on every second image of one channel; the source is forgotten after the tests."""
    folder = tmp_path_factory.mktemp("runs") / "noise"
    few = ["--data", "noise5", "--chans", "1", "--every", "2"]
    with forgotten(registries):
        register_source("noise5")(noise)
        assert main(["pretrain", *few, *RUN, "--folder", str(folder)]) == 0
        yield str(folder)


@pytest.fixture
def seen(monkeypatch):
    """The sources that commands measure on, which then stop."""
    found = []

    def stop(_, *sources, **__):
        found.extend((source.channels, len(source)) for source in sources[-1:])
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "evaluate", stop)
    monkeypatch.setattr(synergy, "encoder_synergy", stop)
    return found


@pytest.mark.parametrize("command", ["evaluate", "synergy"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (1, 20)),
        (["--data", "noise5"], (1, 20)),
        (["--every", "4"], (1, 10)),
        (["--data", "noise5", "--every", "1"], (1, 40)),
        (["--chans", "3"], (1, 20)),
        (["--data", "fashion_mnist_mini"], (1, 2000)),
    ],
)
def test_the_images_of_a_run_have_its_options_but_for_those_that_are_given(run, seen, command, options, expected):
    assert main([command, run, *options]) == 130
    assert seen == [expected]


@pytest.mark.parametrize("command", ["evaluate", "synergy"])
def test_an_option_that_the_images_do_not_have_is_one_sentence(run, seen, capsys, command):
    assert main([command, run, "--size", "9"]) == 2
    assert (
        "--size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 9 for noise5. Leave it out"
        in capsys.readouterr().err
    )
    assert main([command, run, "--data", "fashion_mnist_mini", "--every", "2"]) == 2
    assert "--every is for noise5 only; got 2 for fashion_mnist_mini. Leave it out" in capsys.readouterr().err
    assert seen == []


def parser_of(*typed):
    parser = argparse.ArgumentParser()
    parser.typed = list(typed)
    parser.add_argument("--data")
    parser.add_argument("--seed", type=int)
    add_data_flags(parser)
    return parser


def parsed(*typed):
    return parser_of(*typed).parse_args(typed)


def test_flags_that_are_shown_are_those_of_the_source_that_is_named_else_of_all(run):
    named, everything = (parser_of(*typed).format_help() for typed in (["--data", "noise5"], []))
    assert [flag in named for flag in ("--chans", "--every", "--size", "--download")] == [True, True, False, False]
    assert "channels of the images (default: 5)" in named
    assert all(flag in everything for flag in ("--chans", "--every", "--size", "--download"))
    assert "of noise5: channels of the images" in everything


def test_an_option_that_the_command_has_itself_is_the_commands(run, monkeypatch):
    def seeded(split, *, root=None, every=1, seed: str = "a"):
        """Others."""

    monkeypatch.setitem(SOURCES._found, "seeded", seeded)
    for named in ([], ["--data", "seeded"]):
        arguments = parsed(*named, "--every", "3", "--seed", "7")
        assert flags_given(arguments) == {"every": 3}
        assert arguments.seed == 7


def test_of_two_sources_whose_options_differ_in_type_either_value_is_taken(run, monkeypatch):
    def words(split, *, root=None, every: str = "day"):
        """Others."""

    monkeypatch.setitem(SOURCES._found, "words", words)
    assert flags_given(parsed("--every", "week")) == {"every": "week"}
    assert flags_given(parsed("--every", "3")) == {"every": 3}


def test_a_study_has_the_options_of_its_images(run, monkeypatch):
    plans = []

    def stop(plan, *_, **__):
        plans.append(plan)
        raise KeyboardInterrupt

    monkeypatch.setattr(synergy, "run_study", stop)
    assert main(["synergy", "--quick", "--data", "noise5", "--chans", "3", "--every", "2", "--limit", "10"]) == 130
    (plan,) = plans
    assert plan.data_options == {"chans": 3, "every": 2}
    assert plan.cells()[0].config.data.options == {"chans": 3, "every": 2}
    assert SynergyPlan.from_dict(plan.to_dict()) == plan
    assert not plan.coloured


def test_a_plan_of_before_had_the_size_alone():
    content = SynergyPlan.quick().to_dict()
    del content["data_options"]
    old = content | {"format": 2}
    assert SynergyPlan.from_dict(old | {"size": 16}).data_options == {"size": 16}
    assert SynergyPlan.from_dict(old | {"size": None}) == SynergyPlan.quick()
    with pytest.raises(ValueError, match="a plan has the values"):
        SynergyPlan.from_dict(SynergyPlan.quick().to_dict() | {"size": 16})
