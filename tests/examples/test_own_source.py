"""A user's images that no tensor holds: read, chosen from and pretrained on, by a file outside the package."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from eqmodels.data import (
    SOURCES,
    LabelledImages,
    at_most,
    check_source,
    coloured,
    list_data,
    load_data,
    statistics,
    subset,
    to_rgb,
)
from eqmodels.options import options_of
from eqmodels.training import PretrainConfig, load_run, pretrain

FILE = Path(__file__).parents[2] / "examples" / "own_source.py"
COUNTS = {"train": 40, "test": 12}


@pytest.fixture
def example(monkeypatch):
    """The file as Python runs it; what it registers is forgotten after the test."""
    spec = importlib.util.spec_from_file_location("own_source", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "own_source", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def recording(tmp_path) -> Path:
    """A folder of two arrays of real images."""
    for split, count in COUNTS.items():
        np.save(tmp_path / f"{split}.npy", load_data("fashion_mnist_mini", split).images[:count].numpy())
    return tmp_path


def in_memory(folder: Path, split: str = "train") -> LabelledImages:
    """The same frames, read without the example."""
    images = torch.from_numpy(np.load(folder / f"{split}.npy"))
    return LabelledImages("frames", images, torch.full((len(images),), -1), ())


def test_it_is_data_by_its_name_with_an_option_of_its_own(example, recording):
    assert "frames" in list_data()
    assert options_of(SOURCES.find("frames"))["every"].help == "takes every so many-th frame, as neighbours look alike."
    for split, count in COUNTS.items():
        assert len(load_data("frames", split, root=recording)) == count
    some, every = load_data("frames", root=recording, every=4), load_data("frames", root=recording)
    assert torch.equal(some.pixels(slice(None)), every.pixels(slice(0, 40, 4)))
    with pytest.raises(
        TypeError, match=r"^data 'frames' has no option 'evry'; its options are root, every\. Use 'every'"
    ):
        load_data("frames", root=recording, evry=4)


def test_no_tensor_holds_its_images(example, recording):
    frames = load_data("frames", root=recording)
    assert check_source(frames) is frames
    assert isinstance(frames.frames, np.memmap)
    assert not [value for value in vars(frames).values() if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize(
    "chosen",
    [
        lambda data: data,
        lambda data: subset(data, [5, 1, 39]),
        lambda data: at_most(data, 7, seed=2),
        lambda data: to_rgb(at_most(data, 7)),
        lambda data: coloured(data, seed=3),
    ],
)
def test_what_is_chosen_and_measured_of_it_is_as_in_memory(example, recording, chosen):
    ours, theirs = chosen(load_data("frames", root=recording)), chosen(in_memory(recording))
    assert torch.equal(ours.pixels(slice(None)), theirs.pixels(slice(None)))
    assert torch.equal(ours.labels, theirs.labels)
    assert statistics(ours) == statistics(theirs)


def test_pretraining_on_it_gives_the_weights_of_pretraining_in_memory(example, recording, tmp_path):
    config = PretrainConfig.of(
        model="c4_resnet18s_w4", data="frames", limit=32, coloured=True, batch_size=8, epochs=1, warmup_epochs=0.0
    )
    run = pretrain(config, tmp_path / "ours", root=recording, quiet=True)
    data = coloured(at_most(in_memory(recording), 32), seed=0)
    pretrain(config, tmp_path / "theirs", data=data, quiet=True)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert run.provenance["data"]["images"] == 32


def test_frames_that_the_augmentation_does_not_take_are_refused_before_anything_is_written(example, tmp_path):
    for split in COUNTS:
        np.save(tmp_path / f"{split}.npy", np.random.default_rng(0).integers(0, 256, (40, 2, 12, 12), np.uint8))
    config = PretrainConfig.of(model="c4_resnet18s_w4", data="frames", batch_size=8, epochs=1, head_hidden=8)
    with pytest.raises(ValueError, match="channels"):
        pretrain(config, tmp_path / "run", root=tmp_path, quiet=True)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    run = pretrain(config.replaced(augment="crop_flip"), tmp_path / "run", root=tmp_path, quiet=True)
    assert run.backbone.in_chans == 2


def test_the_command_line_pretrains_on_it_with_its_option(command, recording, tmp_path):
    options = ["--every", "2", "--model", "c4_resnet18s_w4", "--batch-size", "8", "--epochs", "1", "--quiet"]
    places = ["--root", str(recording), "--folder", str(tmp_path / "run")]
    out = command("pretrain", "--import", str(FILE), "--data", "frames", *options, *places)
    expected = ["eqmodels", "evaluate", "--import", str(FILE), str(tmp_path / "run"), "--root", str(recording)]
    assert out.rstrip().endswith(f"Next: {shlex.join(expected)}")
    assert load_run(tmp_path / "run").provenance["data"]["images"] == COUNTS["train"] // 2
