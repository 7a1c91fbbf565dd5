"""What train mode drops, and kernels that are dilated, leave a network as equivariant as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant, smooth_images
from eqmodels.layers import FieldDropout1d, GlobalPool

FAMILIES = ["c4_resnet18s_w4", "d4_wide_resnet16_8_w8", "d4_resnet50s_w8"]
POOLS = [
    "invariant",
    "regular",
    "invariant+regular",
    "canonical",
    "canonical-soft",
    "weighted",
    "max",
    "avgmax",
    "catavgmax",
    "",
]


def in_train_mode(model, images):
    """The output with the masks of one seed."""
    torch.manual_seed(5)
    with torch.no_grad():
        return model.train()(images)


def is_moved(model, g, moved, upright):
    """Whether the output of a moved batch is the moved output."""
    expected = model.out_field.act(model.group, g, upright)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "pool"), [*((FAMILIES[0], pool) for pool in POOLS), *((name, "catavgmax") for name in FAMILIES[1:])]
)
def test_with_its_masks_fixed_a_network_turns_with_the_image(name, pool):
    options = {"num_classes": 0, "global_pool": pool, "drop_rate": 0.5, "drop_path_rate": 0.5}
    model = create_model(name, **options, **({"pose_hidden": 64} if "canonical" in pool else {})).double()
    images = smooth_images(4, 3, (11, 14))
    upright = in_train_mode(model, images)
    assert (upright == 0).any(), "something is dropped"
    assert (upright != 0).any()
    for g in model.group.exact_elements:
        is_moved(model, g, in_train_mode(model, model.group.act(g, images)), upright)


def test_what_drops_features_one_by_one_fails_the_same_law():
    model = create_model("c4_resnet18s_w4", num_classes=0, global_pool="regular").double()
    images = smooth_images(4, 3, 12)
    plain = nn.Sequential(model, nn.Dropout(0.5))
    upright = in_train_mode(plain, images)
    with pytest.raises(AssertionError):
        is_moved(model, 1, in_train_mode(plain, model.group.act(1, images)), upright)


def test_a_field_is_dropped_with_its_fibre_and_an_image_with_its_branch():
    torch.manual_seed(0)
    features = FieldDropout1d("c4", 0.5)(torch.ones(64, 12)).unflatten(1, (4, 3))
    assert (features == features[:, :1]).all()
    assert set(features.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < float((features == 0).double().mean()) < 0.6
    block = create_model("c4_resnet18s_w4", drop_path_rate=0.5).train().layer4[1]
    residual = block.kept(torch.ones(64, 32, 2, 2))
    assert (residual == residual[:, :1, :1, :1]).all()
    assert set(residual.unique().tolist()) == {0.0, 2.0}


def test_blocks_are_left_out_the_more_often_the_deeper_they_are():
    model = create_model("c4_resnet18s_w4", drop_path_rate=0.7)
    blocks = [block for name in ("layer1", "layer2", "layer3", "layer4") for block in getattr(model, name)]
    rates = [0.0 if block.drop_path is None else block.drop_path.p for block in blocks]
    assert rates == pytest.approx([0.7 * index / 7 for index in range(8)])
    assert (model.drop_rate, model.drop_path_rate) == (0.0, 0.7)
    assert [child for child, _ in model.named_children()][-2:] == ["global_pool", "fc"]


@pytest.mark.parametrize("name", ["c4_resnet18s_w4", "resnet18s_w4", "resnet50s_w4", "c4_wide_resnet16_8_w4"])
def test_in_eval_mode_and_at_a_rate_of_zero_nothing_is_dropped(name):
    images = torch.rand(2, 3, 12, 12)
    plain = create_model(name, num_classes=2)
    dropping = create_model(name, num_classes=2, drop_rate=0.5, drop_path_rate=0.5)
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(dropping.eval()(images), plain.eval()(images))
    assert not torch.equal(in_train_mode(dropping, images), in_train_mode(plain, images))
    dropping.regularise()
    assert [module for module, _ in dropping.named_modules()] == [module for module, _ in plain.named_modules()]
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(in_train_mode(dropping, images), in_train_mode(plain, images))


def test_rates_outlive_another_classifier_and_norms_follow_their_numbers():
    model = create_model("c4_resnet18s_w4", drop_rate=0.25, drop_path_rate=0.5, bn_momentum=0.01, bn_eps=1e-3).eval()
    model.reset_classifier(0, "avg")
    assert model.global_pool.drop.fields.drop.p == 0.25
    assert model.eval()(images := torch.rand(2, 3, 8, 8)).equal(model(images))
    assert {(norm.momentum, norm.eps) for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)} == {(0.01, 1e-3)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"drop_rate": 1.5}, "^drop_rate must be a probability between 0 and 1; got 1.5"),
        ({"drop_path_rate": -0.1}, "^drop_path_rate must be a probability"),
        ({"bn_momentum": 2.0}, "^bn_momentum must be a probability"),
        ({"bn_eps": 0.0}, "^bn_eps must be a positive number; got 0.0. Use 1e-5"),
        ({"output_stride": 12}, r"^output_stride must be one of 1, 2, 4, 8, 16, 32, .* got 12\. Use 32"),
        ({"global_pool": "", "num_classes": 3}, "^classes are told by vectors, and global_pool='' leaves maps"),
        ({"global_pool": "sum"}, "^global_pool must be one of invariant, regular, .* in timm's words avg|^global_pool"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_rate_or_stride_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model("c4_resnet18s_w4", **options)


# Dilation ------------------------------------------------------------------------------------------------------------

DILATED = [
    ("d4_resnet18s_w8", 2, (21, 14)),
    ("c4_resnet18_w4", 8, (37, 50)),
    ("c4_resnet18_w4", 16, (37, 50)),
    ("c4_resnet18_strided_w4", 8, 33),
    ("c4_resnet50s_w4", 2, 13),
    ("d4_wide_resnet16_8_w8", 1, (9, 14)),
]


@pytest.mark.parametrize(("name", "stride", "size"), DILATED, ids=str)
def test_dilated_kernels_turn_with_the_image(name, stride, size):
    model = create_model(name, output_stride=stride, num_classes=0, global_pool="regular")
    assert model.feature_info[-1]["reduction"] == stride
    assert_equivariant(model, size=size)
    usual = create_model(name, num_classes=0, global_pool="regular")
    usual.load_state_dict(model.state_dict())
    side = 33
    images = torch.rand(1, 3, side, side)
    maps = model.eval().forward_features(images)
    assert maps.shape[-1] == -(-side // stride) > usual.eval().forward_features(images).shape[-1]
    assert not torch.equal(model(images), usual(images)), "the features are others"


@pytest.mark.parametrize("name", ["resnet18_w8", "resnet50_w8"])
def test_standard_networks_are_dilated_as_those_of_timm(name):
    import timm

    theirs = timm.create_model(name.split("_")[0], output_stride=8, num_classes=0).eval()
    ours = create_model(name.split("_")[0], output_stride=8, num_classes=0).eval()
    state = dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True))
    ours.load_state_dict(state)
    images = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(ours.forward_features(images), theirs.forward_features(images))


# Words of timm for pooling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", "catavgmax", ""])
def test_poolings_of_timm_are_those_of_timm_and_equivariant(pool):
    from timm.layers import SelectAdaptivePool2d

    maps = torch.rand(2, 8, 5, 4)
    theirs = SelectAdaptivePool2d(pool_type=pool, flatten=bool(pool))(maps)
    assert torch.allclose(GlobalPool("c4", pool)(maps), theirs, atol=1e-6)
    model = create_model("d4_resnet18s_w8", num_classes=0, global_pool=pool)
    assert_equivariant(model, size=(13, 18))
    assert model.head_hidden_size == model.out_field.channels == theirs.shape[1] // 8 * model.num_features
    assert model.num_features == 64
