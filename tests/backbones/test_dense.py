"""Dense networks as backbones: built by name, trained, saved with their encoder, and refused where they are none."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import eqmodels
from eqmodels import create_model, list_models, load
from eqmodels.backbones import FPN, UNet, with_channels
from eqmodels.backbones.dense import DenseNetwork
from eqmodels.fields import Scalars, Vectors
from eqmodels.hub import verify
from eqmodels.storage import StorageError

ZOO = "c4_resnet18s_w16.rot_fmnist_simclr"
ENCODER = "c4_resnet18s_w4"


@pytest.fixture(params=["unet", "fpn"])
def model(request, randomised):
    return randomised(create_model(request.param, encoder=ENCODER, out_field="2 x scalar + 1 x vector(c4)")).eval()


def images(channels=3):
    return torch.randn(2, channels, 18, 15, generator=torch.Generator().manual_seed(1))


def test_an_output_has_the_size_of_the_images(model):
    with torch.no_grad():
        assert model(images()).shape == (2, 4, 18, 15)
        assert torch.equal(nn.Sequential(*model.children())(images()), model(images()))
    assert model.num_classes == 4
    assert model.out_field == Scalars(2) + Vectors("c4", 1)
    assert "2 x scalar + 1 x vector(c4)" in model.describe_output()


def test_standard_networks_have_decoders_too_and_claim_nothing():
    model = UNet("resnet18_w4", num_classes=3)
    assert model(images()).shape == (2, 3, 18, 15)
    assert str(model.out_field) == "3 x regular(c1)"
    assert "nothing is known" in model.describe_output()


def test_files_hold_the_encoder_by_name_and_all_weights(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert type(again) is type(model)
    assert torch.equal(again(images()), model(images()))
    config = json.loads((tmp_path / "config.json").read_text())
    kind = "unet" if isinstance(model, UNet) else "fpn"
    assert config["architecture"] == f"{kind}_w{model.structure['width']}"
    assert (config["out_field"], config["model_args"]["encoder"]) == (str(model.out_field), ENCODER)
    assert type(model).from_pretrained(tmp_path).group == model.group


def test_a_folder_is_verified(tmp_path):
    create_model("unet", encoder=ENCODER, num_classes=2).save_pretrained(tmp_path)
    report = verify(tmp_path)
    assert report.passed, report.first_failure


def test_a_pretrained_encoder_comes_with_its_weights(tmp_path):
    encoder = load(ZOO)
    model = create_model("unet", encoder=ZOO, num_classes=5)
    for name in encoder.stages:
        own, given = model.unet.encoder.stages.get_submodule(name), encoder.get_submodule(name)
        assert all(torch.equal(one, two) for one, two in zip(own.parameters(), given.parameters(), strict=True))
    assert (model.preprocessing, model.in_chans) == (encoder.preprocessing, 1)
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.preprocessing == encoder.preprocessing
    assert "c4_resnet18s_w16" in (tmp_path / "config.json").read_text()


def test_another_output_and_other_channels(model):
    with_grey = with_channels(model, 1)
    assert with_grey(images(1)).shape == (2, 4, 18, 15)
    model.reset_classifier(3)
    assert (model.out_field, model(images()).shape) == (Scalars(3), (2, 3, 18, 15))
    model.reset_classifier(2, out_field=Vectors("c4", 1))
    assert model.out_field == Vectors("c4", 1)
    model.reset_classifier(0)
    assert model.out_field == model.map_field
    assert torch.equal(model(images()), model.forward_features(images()))


def test_what_was_changed_is_what_is_saved(model, tmp_path):
    model.reset_classifier(7)
    model.classes = tuple("abcdefg")
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert (again.num_classes, again.classes, again.structure["out_field"]) == (7, tuple("abcdefg"), None)
    assert load(tmp_path, num_classes=2)(images()).shape == (2, 2, 18, 15)


def test_checkpointing_changes_no_gradient():
    gradients = []
    for enable in (False, True):
        torch.manual_seed(0)
        model = create_model("unet", encoder=ENCODER, num_classes=2)
        model.set_grad_checkpointing(enable)
        model.train()(images()).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_every_weight_learns():
    for kind in (UNet, FPN):
        model = kind("d4_resnet18s_w8", out_field="1 x vector(d4) + 1 x scalar").train()
        model(images()).square().mean().backward()
        assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_scores_have_more_dimensions_than_the_decoder_has_fields(randomised):
    model = randomised(create_model("unet", encoder="d4_resnet18s_w8", width=8, num_classes=6)).eval()
    assert model.map_field.count == 1
    scores = model(images()).movedim(1, -1).flatten(0, -2).detach().double()
    assert torch.linalg.matrix_rank(scores - scores.mean(0), rtol=1e-4) == 6


def test_networks_with_decoders_are_not_listed_as_encoders():
    assert [name for name in list_models() if "unet" in name or "fpn" in name] == []
    assert issubclass(UNet, eqmodels.Backbone)
    assert issubclass(FPN, DenseNetwork)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"encoder": "c4_resnet17s"}, ValueError, "no model is named 'c4_resnet17s'"),
        ({"encoder": "unet"}, TypeError, "needs the option 'encoder'"),
        ({"encoder": ENCODER, "num_classes": 3, "out_field": "1 x vector(c4)"}, ValueError, "2 of the field"),
        ({"encoder": ENCODER, "out_field": "1 x vector(d4)"}, ValueError, "of the whole group C4"),
        ({"encoder": ENCODER, "width": 6}, ValueError, r"multiple of the order 4 of C4; got 6"),
        ({"encoder": ENCODER, "global_pool": "invariant"}, ValueError, "has an output for every pixel"),
        ({"encoder": "c4_symmetrised", "encoder_args": {"source": "timm:test_vit"}}, ValueError, "of several sizes"),
        ({}, TypeError, "needs the option 'encoder'"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(options, error, words):
    with pytest.raises(error, match=words):
        create_model("unet", **options)


def test_a_pooling_is_refused_afterwards_too(model, tmp_path):
    with pytest.raises(ValueError, match=r"pools nothing.*got global_pool='canonical'"):
        model.reset_classifier(2, "canonical")
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="pools nothing"):
        load(tmp_path, num_classes=2, global_pool="invariant")


@pytest.mark.parametrize("encoder", ["hub:somebody/something", ZOO, "c4_resnet18s_w99996", "unet", 3])
def test_a_file_names_an_architecture_and_fetches_nothing(encoder, tmp_path):
    create_model("unet", encoder=ENCODER).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["model_args"]["encoder"] = encoder
    file.write_text(json.dumps(config))
    with pytest.raises(StorageError, match=r"describes no network.*Nothing was built"):
        load(tmp_path)
