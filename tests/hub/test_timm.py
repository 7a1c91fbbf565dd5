"""timm builds and loads our networks by its own functions, from the one config that also serves us."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models._hub import load_model_config_from_hf

import eqmodels
from eqmodels.hub import load_pretrained, register_timm
from eqmodels.remote.locating import FOLDERS
from tests.hub_server import HubServer

NAMES = ("c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr")


def published(server, name):
    files = {file.name: file.read_bytes() for file in (FOLDERS[0] / name).iterdir()}
    server.publish(f"org/{name}", files)
    return f"hf-hub:org/{name}"


def test_timm_loads_what_we_load(tmp_path):
    register_timm()
    images = torch.rand(3, 1, 28, 28)
    with HubServer() as server, server.client(tmp_path):
        for name in NAMES:
            ours = eqmodels.load(name)
            theirs = timm.create_model(published(server, name), pretrained=True).eval()
            assert type(theirs) is type(ours)
            with torch.no_grad():
                assert torch.equal(theirs(images), ours(images))
            config, architecture, _ = load_model_config_from_hf(f"org/{name}")
            assert architecture == name.split(".")[0]
            assert list(config["mean"]) == list(load_pretrained(name).preprocessing.mean)
            transform = timm.data.create_transform(**timm.data.resolve_model_data_config(theirs))
            assert transform is not None


def test_timm_adapts_classes_and_channels_as_we_do(tmp_path):
    register_timm()
    images = torch.rand(2, 3, 28, 28)
    with HubServer() as server, server.client(tmp_path):
        model = timm.create_model(published(server, NAMES[0]), pretrained=True, in_chans=3, num_classes=5).eval()
        features = eqmodels.load(NAMES[0], in_chans=3)
        with torch.no_grad():
            assert model(images).shape == (2, 5)
            torch.testing.assert_close(
                model.forward_head(model.forward_features(images), pre_logits=True), features(images)
            )


def test_random_weights_come_by_name():
    names = register_timm(["c4_resnet18s_w24"])
    assert {"c4_resnet18s", "d4_resnet50s", "c4_resnet18s_w16", "c4_resnet18s_w24", "resnet18s"} <= set(names)
    assert not {"resnet18", "resnet34", "resnet50", "resnet101"} & set(names), "timm has its own"
    assert type(timm.create_model("resnet18")) is timm.models.ResNet
    assert timm.is_model("c4_resnet18s_w24")
    assert timm.create_model("c4_resnet18s_w24", num_classes=3, in_chans=1)(torch.rand(1, 1, 28, 28)).shape == (1, 3)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("names", "error", "sentence"),
    [
        ("c4_resnet18s_w28", TypeError, "^names must be several names; got 'c4_resnet18s_w28'. Pass "),
        (["bo_gus"], ValueError, "^no model is named 'bo_gus'; the nearest names are"),
        (["_"], ValueError, "^no model is named '_'"),
        (["c4_resnet18s_w28", "bo_gus"], ValueError, "^no model is named 'bo_gus'"),
        ([NAMES[0]], ValueError, "^no model is named"),
        (["wide_resnet16_8"], ValueError, "^wide_resnet16_8 .* needs a group; .* 'c1_wide_resnet16_8' for the plain"),
        (["resnet18"], ValueError, "got 'resnet18', which is one of its own.*'resnet18_w64'"),
        (["c4_resnet18s_w28", "resnet101"], ValueError, "got 'resnet101', which is one of its own"),
        (["resnet18_k5"], TypeError, "^'resnet18_k5' has no option 'kernel_size'"),
        ([5], TypeError, "^name must be a string"),
    ],
    ids=repr,
)
def test_what_is_no_name_of_a_network_is_not_registered(names, error, sentence):
    before = set(timm.list_models())
    with pytest.raises(error, match=sentence):
        register_timm(names)
    assert set(timm.list_models()) == before
