"""An encoder is written whole, so that it loads, or not at all, so that what was there before still does."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as parse
from safetensors.torch import load_file
from torch import nn

from eqmodels import EqmodelsError, create_model, load
from eqmodels.backbones.golden import golden_features
from eqmodels.hub import verify
from eqmodels.storage import pack_weights
from eqmodels.transforms import Preprocessing
from tests.hub_server import HubServer, User

pytestmark = pytest.mark.usefixtures("no_shape_checks")

TOKEN = "hf_writer"


@pytest.fixture
def encoder(randomised):
    torch.manual_seed(1)
    model = create_model("c4_resnet18s_w8", in_chans=1, num_classes=3, global_pool="canonical", pose_hidden=16)
    model.preprocessing = Preprocessing((0.5,), (0.25,), (70, 80))
    model.license = "mit"
    return randomised(model).eval()


@pytest.fixture
def folder(encoder, tmp_path):
    """Where it has been saved."""
    encoder.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def rewrite(folder, change):
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


# A failure leaves what was there.


def exchanged(encoder):
    encoder.fc = nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 3))


def ruined(value, name="fc.weight"):
    return lambda encoder: encoder.get_parameter(name).data.view(-1)[:1].fill_(value)


UNFIT = {
    "other layers": (exchanged, ValueError, "only networks as create_model builds them can be written"),
    "NaN": (
        ruined(torch.nan),
        EqmodelsError,
        "^weights must be finite; 1 of .* the first is fc.weight. Nothing",
    ),
    "infinity": (ruined(torch.inf, "stem.conv.weight"), EqmodelsError, "the first is stem.conv.weight"),
    "no values": (lambda encoder: encoder.to("meta"), EqmodelsError, "^weights must be finite; .* or no values"),
    "more than float32 holds": (
        lambda encoder: ruined(1e300)(encoder.double()),
        EqmodelsError,
        "^weights must be finite; 1 of",
    ),
    "features that overflow": (
        ruined(3e38, "stem.conv.weight"),
        EqmodelsError,
        "^features of the fixed image are no",
    ),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_what_cannot_be_saved_leaves_the_folder_as_it_was(encoder, folder, tmp_path, fault):
    spoil, error, sentence = UNFIT[fault]
    before = contents(folder)
    spoil(encoder)
    for place in (folder, tmp_path / "new"):
        with pytest.raises(error, match=sentence):
            encoder.save_pretrained(place)
    assert contents(folder) == before
    assert not (tmp_path / "new").exists()
    load(folder)


@pytest.mark.parametrize("written", [0, 1])
@pytest.mark.parametrize("card", [True, False])
def test_a_full_disk_leaves_a_network_that_loads(encoder, folder, monkeypatch, written, card):
    """Whichever of the files it is that the space ends at."""
    if not card:
        (folder / "README.md").unlink()
    before, calls, fsync = contents(folder), [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > written:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    ruined(0.5)(encoder)
    with pytest.raises(EqmodelsError, match=r"could not be written \(No space left on device\)"):
        encoder.save_pretrained(folder)
    assert contents(folder) == before
    load(folder)


def test_a_folder_in_the_place_of_a_file_is_seen_before_any_is_moved(encoder, folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    before = (folder / "model.safetensors").read_bytes()
    ruined(0.5)(encoder)
    with pytest.raises(EqmodelsError, match=r"config.json could not be written \(Is a directory\)"):
        encoder.save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x", "x" * 5000])
def test_a_folder_that_cannot_be_is_one_sentence(encoder, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EqmodelsError, match=r"^files are to be written into .*, which cannot be done") as caught:
        encoder.save_pretrained(place)
    assert "\n" not in str(caught.value)


def test_saving_again_replaces_the_network_and_keeps_the_card(encoder, folder):
    (folder / "README.md").write_text("mine")
    ruined(0.5)(encoder)
    encoder.save_pretrained(folder)
    assert torch.equal(load(folder).fc.weight, encoder.fc.weight)
    assert (folder / "README.md").read_text() == "mine"
    assert set(contents(folder)) == {"README.md", "config.json", "model.safetensors"}


@pytest.mark.parametrize("option", [{"config": {"a": 1}}, {"model_card_kwargs": {"a": 1}}, {"private": True}])
def test_options_that_would_change_nothing_are_refused(encoder, tmp_path, option):
    with pytest.raises(TypeError, match=f"got '{next(iter(option))}', which would change nothing"):
        encoder.save_pretrained(tmp_path / "new", **option)
    assert not (tmp_path / "new").exists()


def test_saving_and_pushing_is_one_call(encoder, tmp_path):
    with HubServer({TOKEN: User("org", write=True)}) as server, server.client(tmp_path / "home", TOKEN) as api:
        encoder.save_pretrained(tmp_path / "own", push_to_hub=True, repo_id="org/own", private=True)
        assert api.model_info("org/own").private
        assert torch.equal(load("hub:org/own").fc.weight, load(tmp_path / "own").fc.weight)


# What is written loads.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_is_saved_in_float32(encoder, tmp_path, dtype):
    encoder.to(dtype)
    encoder.save_pretrained(tmp_path)
    again = load(tmp_path)
    for name, value in encoder.state_dict().items():
        found = again.state_dict()[name]
        assert found.dtype == (torch.float32 if value.is_floating_point() else value.dtype)
        assert torch.equal(found, value.to(found.dtype))
    assert {parameter.dtype for parameter in encoder.parameters()} == {dtype}
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {torch.float32, torch.int64}


def test_tied_weights_are_written_twice(encoder, tmp_path):
    encoder.layer1[1].conv2.weight = encoder.layer1[1].conv1.weight
    encoder.layer2[1].conv2.weight = encoder.layer2[1].conv1.weight
    encoder.save_pretrained(tmp_path)
    other = load(tmp_path)
    state = other.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    assert other.layer1[1].conv2.weight is not other.layer1[1].conv1.weight


def test_parts_of_one_memory_are_written_each_for_itself():
    whole = torch.arange(12.0)
    state = {"first": whole[:4], "second": whole[4:], "all": whole, "repeated": torch.ones(1).expand(5)}
    written = parse(pack_weights(state))
    assert written.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in written.items())


def test_what_the_schema_refuses_is_not_written(tmp_path):
    model = create_model("c1_resnet18s_w4", in_chans=1025)
    with pytest.raises(EqmodelsError, match=r"at most 1024 channels of the images; got 1025.*Nothing was written"):
        model.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


# A config says of an encoder what it is.


def within(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def without(*keys):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


LIES = {
    "classes": (within("num_classes", value=77), r"contradicts itself at \['num_classes'\]: .* has 3, and it says 77"),
    "classes of timm": (
        within("pretrained_cfg", "num_classes", value=77),
        r"contradicts itself at \['pretrained_cfg'\]\['num_classes'\]: the network .* has 3, and it says 77",
    ),
    "features": (within("num_features", value=3), r"contradicts itself at \['num_features'\]"),
    "mean": (within("pretrained_cfg", "mean", value=[0.1]), r"contradicts itself at \['pretrained_cfg'\]\['mean'\]"),
    "deviation": (within("pretrained_cfg", "std", value=[0.1]), r"contradicts itself at \['pretrained_cfg'\]\['std'\]"),
    "no mean": (without("pretrained_cfg", "mean"), r"\['mean'\]: .* has \[0.5\], and it says 'nothing'"),
    "size of timm": (
        within("pretrained_cfg", "input_size", value=[1, 9, 9]),
        r"\['input_size'\]: .* has \[1, 70, 80\]",
    ),
    "size": (within("preprocessing", "size", value=[2048, 80]), r"contradicts itself at \['pretrained_cfg'\]"),
    "absurd size": (within("preprocessing", "size", value=[8192, 70]), r"8192 is greater than the maximum of 2048"),
    "width": (within("architecture", value="c4_resnet18s"), r"contradicts itself at \['architecture'\]"),
    "mean of the group": (within("model_args", "group_pool", value="mean"), "gives pooled features that differ"),
    "norm over the group": (within("model_args", "group_pool", value="norm"), "gives pooled features that differ"),
    "soft poses": (within("model_args", "global_pool", value="canonical-soft"), "gives pooled features that differ"),
    "stored features": (
        within("golden", "pooled", value=[0.0]),
        "gives pooled features of length 80, and 1 are",
    ),
    "infinite features": (
        within("golden", "pooled", value=[1e300]),
        r"at \['golden'\]: pooled must be finite in float32",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_config_that_says_something_else_is_refused(folder, lie):
    change, sentence = LIES[lie]
    rewrite(folder, change)
    with pytest.raises(EqmodelsError, match=sentence) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        without("golden", "pooled"),
        without("pretrained_cfg", "license"),
        within("pretrained_cfg", "license", value="cc0-1.0"),
    ],
    ids=["without pooled features", "without a license", "another license"],
)
def test_what_may_be_missing_or_otherwise_loads(folder, encoder, change):
    rewrite(folder, change)
    assert torch.equal(load(folder).fc.weight, encoder.fc.weight)


def test_a_pose_that_is_a_tie_is_not_stored(encoder, tmp_path):
    """Another processor may break it otherwise, and the network is the same."""
    assert len(golden_features(encoder, pooled=True)["pooled"]) == 80
    assert "pooled" not in golden_features(encoder)
    with torch.no_grad():
        encoder.global_pool.pose.logits.weight.zero_()
    assert "pooled" not in golden_features(encoder, pooled=True)
    encoder.save_pretrained(tmp_path)
    assert load(tmp_path).head_hidden_size == 64


def test_a_size_that_a_config_names_does_not_cost_a_huge_report(encoder, tmp_path, monkeypatch):
    encoder.preprocessing = Preprocessing((0.5,), (0.25,), (2048, 10))
    encoder.save_pretrained(tmp_path)
    module, sizes = import_module("eqmodels.hub.verification"), []
    report = module.equivariance_report

    def small(network, *, size):
        sizes.append(size)
        return report(network, size=(8, 8))

    monkeypatch.setattr(module, "equivariance_report", small)
    assert verify(tmp_path).passed
    assert sizes == [(128, 10)]


def test_the_committed_networks_have_no_more_than_features():
    """The optional part of the format: those that are older than it load without it."""
    for config in Path("zoo").glob("*fmnist*/config.json"):
        assert set(json.loads(config.read_text())["golden"]) == {"size", "features"}
