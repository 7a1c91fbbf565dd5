"""The wide ResNets: widths, depths, pre-activation and the restriction of the group along the depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels import PlanarGroup, create_model
from eqmodels.backbones.wide_resnet import PreActivationBlock
from eqmodels.layers import FieldDropout2d, Restrict, SteerableConv2d


@pytest.mark.parametrize(("name", "blocks", "width"), [("wide_resnet28_10", 4, 160), ("wide_resnet16_8", 2, 128)])
def test_widths_and_depths_are_those_of_the_paper(name, blocks, width):
    model = create_model(f"c1_{name}")
    channels = [info["num_chs"] for info in model.feature_info]
    assert channels == [16, width, 2 * width, 4 * width, 4 * width]
    for stage in (model.layer1, model.layer2, model.layer3):
        assert [type(child) for child in stage] == [PreActivationBlock] * blocks
    spatial = [m for m in model.modules() if isinstance(m, SteerableConv2d) and m.kernel_size > 1]
    # Depth n: n - 4 convolutions in blocks, and the stem, three projections and the classifier.
    assert len(spatial) == int(name.split("resnet")[1].split("_")[0]) - 4 + 1
    assert [reduction["reduction"] for reduction in model.feature_info] == [1, 1, 2, 4, 4]


def test_parameters_of_the_control_are_those_of_the_paper():
    """Zagoruyko and Komodakis, table 4: 36.5 million for 28-10 and 11.0 million for 16-8, on CIFAR-10."""
    for name, millions in (("wide_resnet28_10", 36.5), ("wide_resnet16_8", 11.0)):
        model = create_model(f"c1_{name}", num_classes=10)
        assert sum(value.numel() for value in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize(
    "groups",
    [("d8", "d4", "d1"), ("d8", "d8", "c1"), ("c8", "c4", "c4"), ("d4", "c4", "c2"), ("d4", "d4", "d4")],
    ids=str,
)
def test_the_group_is_restricted_along_the_depth(groups):
    model = create_model(f"{groups[0]}_wide_resnet16_8_w16", restrict=groups, num_classes=3)
    stages = [model.layer1, model.layer2, model.layer3]
    assert [str(stage[-1].group).lower() for stage in stages] == list(groups)
    assert model.group == PlanarGroup.parse(groups[-1])
    for stage, before, after in zip(stages[1:], groups, groups[1:], strict=False):
        restrictions = [module for module in stage if isinstance(module, Restrict)]
        assert len(restrictions) == (before != after)
    assert model.eval()(torch.randn(1, 3, 17, 20)).shape == (1, 3)


@pytest.mark.parametrize("groups", [("d8", "d4", "d1"), ("d4", "c4", "c2"), ("c4", "c4", "c1")], ids=str)
def test_the_stages_are_equivariant_under_their_own_groups(groups, randomised):
    model = create_model(f"{groups[0]}_wide_resnet16_8_w16", restrict=groups, num_classes=3)
    model = randomised(model).double().eval()
    images = torch.randn(1, 3, 18, 18, dtype=torch.float64)
    with torch.no_grad():
        for index, name in enumerate(groups):
            group, stages = PlanarGroup.parse(name), ["stem", *(f"layer{i + 1}" for i in range(index + 1))]
            network = nn.Sequential(*(model.get_submodule(stage) for stage in stages))
            maps = network(images)
            for g in group.exact_elements:
                moved = network(group.act(g, images))
                torch.testing.assert_close(
                    moved, group.act_on_fields(g, maps), rtol=0, atol=1e-10 * float(maps.abs().max())
                )


def test_after_restriction_the_larger_symmetry_is_gone(randomised):
    model = (
        randomised(create_model("d4_wide_resnet16_8_w8", restrict=("d4", "d4", "d1"), num_classes=3)).double().eval()
    )
    images = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        flipped, turned = model(images.flip(-1)), model(images.rot90(1, (2, 3)))
        torch.testing.assert_close(flipped, model(images), rtol=0, atol=1e-10)
        assert not torch.allclose(turned, model(images), rtol=0, atol=1e-3)


def test_dropout_sits_between_the_convolutions_of_every_block():
    model = create_model("c4_wide_resnet16_8_w8", dropout=0.3)
    dropouts = [name for name, module in model.named_modules() if isinstance(module, FieldDropout2d)]
    assert dropouts == [f"layer{stage}.{block}.dropout" for stage in (1, 2, 3) for block in (0, 1)]
    assert not any(isinstance(m, FieldDropout2d) for m in create_model("c4_wide_resnet16_8_w8").modules())


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_last_child_is_norm_and_relu(norm):
    model = create_model("c4_wide_resnet16_8_w8", norm=norm).eval()
    with torch.no_grad():
        maps = model.forward_features(torch.randn(2, 3, 16, 16))
    assert [name for name, _ in model.layer4.named_children()] == ["bn", "relu"]
    assert float(maps.min()) >= 0
