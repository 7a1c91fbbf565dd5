"""A wider encoder begins where a narrower one stands, and its copies of a field come apart in training."""

import pytest
import torch
from torch import nn

from eqmodels import create_model, load
from eqmodels.backbones import UNet, with_width


def settled(name, **options):
    """A network whose norms have seen something."""
    network = create_model(name, num_classes=3, **options).train()
    for _ in range(3):
        network(torch.randn(4, 3, 33, 33))
    return network.eval()


def copies(maps, order, count):
    """Of the maps of a wider network the first copy of each field, and how far the others are from it."""
    fields = maps.unflatten(1, (order, -1, count))
    return fields[..., 0, :, :].flatten(1, 2), (fields - fields[..., :1, :, :]).abs().max().item()


@pytest.mark.parametrize(
    ("name", "times", "options"),
    [
        ("c4_resnet18s_w8", 2, {}),
        ("d4_resnet18s_w8", 3, {"basis": "harmonic"}),
        ("c8_resnet18s_w8", 2, {"norm": "layer"}),
        ("c4_wide_resnet16_8_w16", 2, {}),
        ("resnet18s_w4", 4, {}),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_computes_what_the_narrow_one_computes(name, times, options, training):
    narrow = settled(name, **options).double()
    wide = with_width(narrow, times * narrow.structure["width"])
    assert str(next(wide.parameters()).dtype) == "torch.float64"
    images = torch.randn(3, 3, 33, 33, dtype=torch.float64)
    narrow.train(training)
    wide.train(training)
    maps, apart = copies(wide.forward_features(images), narrow.group.order, times)
    assert torch.allclose(maps, narrow.forward_features(images), rtol=0, atol=1e-10)
    assert apart < 1e-10


def test_copies_come_apart_and_the_group_stays():
    wide = with_width(settled("c4_resnet18s_w8"), 16).train()
    optimiser = torch.optim.SGD(wide.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        wide(torch.randn(8, 3, 32, 32)).square().mean().backward()
        optimiser.step()
    wide.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        maps = wide.forward_features(images)
        turned = wide.forward_features(images.rot90(1, (-2, -1)))
    assert copies(maps, 4, 2)[1] > 1e-3
    assert torch.allclose(turned, wide.map_field.transform(wide.group, 1, maps).rot90(1, (-2, -1)), atol=1e-4)


def test_what_is_said_of_its_images_goes_with_it(tmp_path):
    narrow = load("c4_resnet18_w32.distil_lite0")
    wide = with_width(narrow, 64)
    assert (wide.preprocessing, wide.license) == (narrow.preprocessing, narrow.license)
    wide.save_pretrained(tmp_path)
    assert load(tmp_path).num_features == 2 * narrow.num_features


@pytest.mark.parametrize("pooling", ["canonical", "canonical-soft", "weighted"])
def test_the_pose_is_told_as_before(pooling):
    narrow = create_model("c4_resnet18s_w8", num_classes=0, global_pool=pooling, pose_hidden=16).double().eval()
    torch.nn.init.normal_(narrow.global_pool.pose.logits.weight)
    images = torch.randn(8, 3, 32, 32, dtype=torch.float64)
    expected, found = narrow(images), with_width(narrow, 16)(images)
    # Features of a fibre are fields of their own, each twice in a row.
    fields = found.unflatten(1, (-1, 2))[..., 0]
    torch.testing.assert_close(fields, expected)


def test_layers_that_do_not_grow_alike_are_refused():
    with pytest.raises(ValueError, match=r"^width must make every layer as many times as wide; of width 96 the tensor"):
        with_width(create_model("c4_wide_resnet16_8_w48", num_classes=0), 96)


@pytest.mark.parametrize("width", [12, 4])
def test_other_widths_are_refused(width):
    narrow = create_model("c4_resnet18s_w8", num_classes=0)
    rule = rf"^width must be a multiple of the encoder's, .*; got {width} for .* Pass, say, 16"
    with pytest.raises(ValueError, match=rule):
        with_width(narrow, width)


def test_what_is_no_width_and_other_layers_are_refused():
    narrow = create_model("c4_resnet18s_w8", num_classes=0)
    with pytest.raises(TypeError, match=r"^width must be an integer"):
        with_width(narrow, 16.0)
    with pytest.raises(ValueError, match=r"^encoder must give one answer an image; got a UNet"):
        with_width(UNet("c4_resnet18s_w8", num_classes=3), 16)
    narrow.layer1 = nn.Identity()
    with pytest.raises(ValueError, match=r"can be made wider"):
        with_width(narrow, 16)
