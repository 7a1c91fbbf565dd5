"""The interface that every backbone shares."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels import Backbone, PlanarGroup, create_model, list_models

CHILDREN = ["stem", "layer1", "layer2", "layer3", "layer4", "global_pool", "fc"]
POOLS = ["invariant", "regular", "invariant+regular"]
FAMILIES = [
    ("c4_resnet18s_w8", {}),
    ("d4_resnet50_w8", {}),
    ("c1_resnet34s_w4", {}),
    ("c4_wide_resnet16_8_w8", {"stem": "imagenet"}),
    ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1")}),
    ("resnet18s_w4", {}),
    ("resnet50_w4", {}),
]
each_family = pytest.mark.parametrize(("name", "options"), FAMILIES, ids=str)


def narrowest(name: str, **options) -> Backbone:
    group = name.split("_", maxsplit=1)[0]
    width = PlanarGroup.parse(group).order if group[0] in "cd" else 2
    return create_model(name, width=width, **options).eval()


@pytest.mark.parametrize("name", list_models(takes="images"))
def test_every_registered_model_has_the_whole_interface(name):
    model = narrowest(name, num_classes=5)
    assert [child for child, _ in model.named_children()] == CHILDREN
    images = torch.randn(2, 3, 16, 17)
    with torch.no_grad():
        maps = model.forward_features(images)
        features = model.forward_head(maps, pre_logits=True)
        scores = model.forward_head(maps)
        assert torch.equal(model(images), scores)
        assert torch.equal(nn.Sequential(*model.children())(images), scores)
    assert maps.shape[:2] == (2, model.feature_info[-1]["num_chs"])
    assert features.shape == (2, model.head_hidden_size)
    assert scores.shape == (2, 5)
    assert model.get_classifier() is model.fc
    assert model.describe_output()


@each_family
@pytest.mark.parametrize("size", [(32, 32), (33, 45), (16, 30)], ids=str)
def test_feature_info_is_true(name, options, size):
    model = create_model(name, num_classes=0, **options).eval()
    assert [info["module"] for info in model.feature_info] == CHILDREN[:5]
    maps = torch.randn(1, 3, *size)
    with torch.no_grad():
        for info in model.feature_info:
            maps = model.get_submodule(info["module"])(maps)
            reduced = [-(-pixels // info["reduction"]) for pixels in size]
            assert maps.shape == (1, info["num_chs"], *reduced), info


@each_family
def test_without_classes_the_features_are_the_output(name, options):
    model = create_model(name, num_classes=0, **options).eval()
    images = torch.randn(2, 3, 17, 17)
    assert isinstance(model.fc, nn.Identity)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
        assert torch.equal(model(images), features)
    assert features.shape == (2, model.head_hidden_size)


@each_family
@pytest.mark.parametrize("pool", POOLS)
def test_every_pooling_has_its_number_of_features(name, options, pool):
    model = create_model(name, num_classes=3, global_pool=pool, **options).eval()
    channels = model.feature_info[-1]["num_chs"]
    invariant, regular = channels // model.group.order, channels
    expected = {"invariant": invariant, "regular": regular, "invariant+regular": invariant + regular}[pool]
    assert model.head_hidden_size == expected == model.fc.in_features
    with torch.no_grad():
        assert model(torch.randn(2, 3, 16, 16)).shape == (2, 3)


@each_family
@pytest.mark.parametrize("pool", [None, *POOLS])
def test_the_classifier_can_be_replaced(name, options, pool):
    model = create_model(name, num_classes=3, **options).double().eval()
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        maps = model.forward_features(images)
        model.reset_classifier(7, pool)
        assert torch.equal(model.forward_features(images), maps), "the encoder is left alone"
        assert model(images).shape == (2, 7)
        assert model.num_classes == 7
        assert model.get_classifier().weight.dtype == torch.float64
        assert model.global_pool.mode == (pool or "invariant")
        model.reset_classifier(0, pool)
        assert model(images).shape == (2, model.head_hidden_size)
        assert isinstance(model.get_classifier(), nn.Identity)
    assert [child for child, _ in model.named_children()] == CHILDREN
    model.reset_classifier(2)
    assert model.global_pool.mode == (pool or "invariant"), "the pooling is kept unless another is asked for"


def test_a_refused_classifier_leaves_the_model_as_it_was():
    model = create_model("c4_resnet18s_w8", num_classes=3)
    before = model.fc, model.global_pool
    for arguments in ((-1, None), (4, "sum")):
        with pytest.raises((ValueError, TypeError)):
            model.reset_classifier(*arguments)
    assert (model.fc, model.global_pool) == before
    assert model.num_classes == 3


@pytest.mark.parametrize("mode", ["max", "mean", "norm"])
def test_replacing_the_pooling_keeps_how_the_fibre_is_pooled(mode):
    model = create_model("c4_resnet18s_w8", group_pool=mode)
    model.reset_classifier(3, "invariant+regular")
    assert model.global_pool.fibre.mode == mode


@each_family
@pytest.mark.parametrize("in_chans", [1, 5])
def test_images_have_any_number_of_channels(name, options, in_chans):
    model = create_model(name, num_classes=3, in_chans=in_chans, **options).eval()
    with torch.no_grad():
        assert model(torch.randn(2, in_chans, 16, 16)).shape == (2, 3)
    assert model.in_chans == in_chans


@each_family
def test_gradient_checkpointing_can_be_switched(name, options):
    model = create_model(name, **options)
    assert not model.grad_checkpointing
    model.set_grad_checkpointing()
    assert model.grad_checkpointing
    model.set_grad_checkpointing(enable=False)
    assert not model.grad_checkpointing


@each_family
def test_it_runs_on_the_meta_device(name, options):
    model = create_model(name, num_classes=3, **options).to("meta")
    assert model(torch.empty(2, 3, 224, 225, device="meta")).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "c4_resnet18s_w8",
            {"num_classes": 3},
            ["16 regular fields of C4 in 64", "permuted, exactly.", "max over the fibre", "3 scores, invariant"],
        ),
        (
            "d8_resnet18s_w16",
            {"num_classes": 0},
            ["8 regular fields of D8 in 128", "exactly for the 8 of its 16 elements", "else approximately"],
        ),
        (
            "c4_resnet18s_w8",
            {"global_pool": "regular"},
            ["64 features that permute", "1000 scores", "the pose as well"],
        ),
        (
            "c4_resnet18s_w8",
            {"global_pool": "invariant+regular", "group_pool": "norm"},
            ["(norm over the fibre), then 64"],
        ),
        ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1")}, ["32 regular fields of D1 in 64", "h * 32 + c"]),
        ("resnet18s_w4", {}, ["32 ordinary channels", "nothing is known"]),
        ("c1_resnet18s_w4", {}, ["32 ordinary channels", "nothing is known"]),
    ],
    ids=str,
)
def test_the_output_is_described_in_words(name, options, said):
    description = create_model(name, **options).describe_output()
    for words in said:
        assert words in description


def test_descriptions_are_true():
    model = create_model("c4_resnet18s_w8", num_classes=0, global_pool="invariant+regular").double().eval()
    group, images = model.group, torch.randn(1, 3, 20, 20, dtype=torch.float64)
    with torch.no_grad():
        upright = model(images)
        turned = model(group.act(1, images))
    fields = model.feature_info[-1]["num_chs"] // group.order
    torch.testing.assert_close(turned[:, :fields], upright[:, :fields], rtol=0, atol=1e-10)
    expected = group.permute_fibre(1, upright[:, fields:])
    torch.testing.assert_close(turned[:, fields:], expected, rtol=0, atol=1e-10)
