"""The steerable ResNets: a ResNet in everything but the group."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels import create_model, load
from eqmodels.backbones.resnet import BasicBlock, Bottleneck
from eqmodels.evaluation import assert_equivariant
from eqmodels.export import to_plain
from eqmodels.hub import verify
from eqmodels.layers import ExactDownsample2d, OddSize2d, SteerableConv2d

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


@pytest.mark.parametrize("name", DEPTHS)
def test_blocks_and_depths_are_a_resnets(name):
    model = create_model(f"c4_{name}s_w4")
    block = Bottleneck if name == "resnet50" else BasicBlock
    for index, depth in enumerate(DEPTHS[name]):
        stage = getattr(model, f"layer{index + 1}")
        assert [type(child) for child in stage] == [block] * depth
        assert isinstance(stage[0].pool, ExactDownsample2d if index else nn.Identity)
    convolutions = sum(isinstance(module, SteerableConv2d) for module in model.modules())
    assert convolutions == sum(isinstance(m, nn.Conv2d) for m in create_model(f"{name}s_w4").modules())


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("stem", ["s", ""])
def test_the_control_differs_in_the_group_alone(name, stem):
    control, model = (create_model(f"{group}_{name}{stem}_w8", num_classes=0) for group in ("c1", "c4"))
    assert [(key, type(module)) for key, module in control.named_modules()] == [
        (key, type(module)) for key, module in model.named_modules()
    ]
    # Expanded, every layer has the same shape: equal widths cost equal FLOPs.
    shapes, control_shapes = (
        {key: value.shape for key, value in to_plain(network).state_dict().items()} for network in (model, control)
    )
    assert shapes == control_shapes


@pytest.mark.parametrize("name", DEPTHS)
def test_the_control_has_the_parameters_of_the_standard_network(name):
    def convolutions(model):
        return [value.numel() for value in model.parameters() if value.dim() > 2]

    assert convolutions(create_model(f"c1_{name}_w8")) == convolutions(create_model(f"{name}_w8"))


@pytest.mark.parametrize(("group", "order"), [("c4", 4), ("d4", 8)])
def test_regular_convolutions_have_one_parameter_where_the_control_has_a_group_of_them(group, order):
    model, control = create_model(f"{group}_resnet18s_w16"), create_model("c1_resnet18s_w16")
    for (key, weight), ordinary in zip(model.named_parameters(), control.parameters(), strict=True):
        if "conv" in key and not key.startswith("stem"):
            assert weight.numel() * order == ordinary.numel()


@pytest.mark.parametrize(("group", "size"), [("c4", 3), ("d4", 3), ("c8", 5), ("d8", 5), ("c6", 5)])
def test_finer_groups_have_larger_kernels_by_default(group, size):
    model = create_model(f"{group}_resnet18s", width=48)
    sizes = {module.kernel_size for module in model.modules() if isinstance(module, SteerableConv2d)}
    assert sizes == {1, size}


def test_the_kernel_and_the_basis_can_be_chosen():
    model = create_model("c4_resnet18s_w8", kernel_size=5, basis="harmonic")
    convs = [module for module in model.modules() if isinstance(module, SteerableConv2d) and module.kernel_size > 1]
    assert {(conv.kernel_size, conv.basis) for conv in convs} == {(5, "harmonic")}


def test_stems():
    small, imagenet = (create_model(name) for name in ("c4_resnet18s_w8", "c4_resnet18_w8"))
    assert [name for name, _ in small.stem.named_children()] == ["conv", "bn", "relu"]
    assert [name for name, _ in imagenet.stem.named_children()] == ["odd", "conv", "bn", "relu"]
    assert isinstance(imagenet.stem.odd, OddSize2d)
    assert imagenet.layer1.pool.mode == "max"
    assert (imagenet.stem.conv.kernel_size, imagenet.stem.conv.stride) == (7, 2)
    maps = imagenet.eval()(torch.randn(1, 3, 96, 97))
    assert maps.shape == (1, 1000)


def test_two_models_of_one_seed_are_equal_and_of_two_are_not():
    def weights(seed):
        torch.manual_seed(seed)
        return create_model("c4_resnet18s_w8").stem.conv.weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


# Strides where the default pools.


@pytest.mark.parametrize(
    ("name", "size"),
    [("c4_resnet18s_strided_w8", 33), ("d4_resnet18_strided_w8", 65), ("c4_resnet50s_strided_w4", 17)],
)
def test_strides_are_exact_where_sides_are_one_more_than_what_they_divide(name, size, no_shape_checks):
    assert_equivariant(create_model(name, num_classes=0, global_pool="regular"), size=size, tolerance=1e-10)


@pytest.mark.parametrize(("name", "size"), [("c4_resnet18s_strided_w8", 32), ("c4_resnet18_strided_w8", 224)])
def test_strides_are_refused_at_other_sizes(name, size):
    with pytest.raises(ValueError, match=r"exactly C4-equivariant only if .* Nearest valid sizes"):
        create_model(name)(torch.zeros(1, 3, size, size))


@pytest.mark.parametrize("architecture", ["resnet18", "resnet18s", "resnet50"])
def test_the_strided_control_is_the_standard_network(architecture, randomised):
    control = randomised(create_model(f"c1_{architecture}_strided_w4", num_classes=3)).double().eval()
    standard = create_model(f"{architecture}_w4", num_classes=3).double().eval()
    standard.load_state_dict(to_plain(control, size=65).state_dict())
    images = torch.randn(2, 3, 65, 65, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(control(images), standard(images), rtol=1e-10, atol=1e-10)


def test_striding_changes_no_parameter():
    pooled, strided = (create_model(name).state_dict() for name in ("c4_resnet18_w8", "c4_resnet18_strided_w8"))
    assert {key: value.shape for key, value in pooled.items()} == {key: value.shape for key, value in strided.items()}


def test_a_strided_network_is_saved_and_loads(tmp_path):
    """Its fixed image has a size that it takes."""
    model = create_model("c4_resnet18_strided_w8", num_classes=2).eval()
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.structure == model.structure
    images = torch.randn(1, 3, 65, 65)
    assert torch.equal(again(images), model(images))
    assert verify(tmp_path).passed
