"""The law that everything rests on: for every element g, layer and image, ``f(g x) = rho(g) f(x)``."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eqmodels import PlanarGroup, create_model, list_models
from eqmodels.evaluation import assert_equivariant, equivariance_report, smooth_images
from eqmodels.fields import Regular, Scalars
from eqmodels.layers import SteerableConv2d

NAMES = [name for name in list_models("[cd]*", takes="images") if not name.startswith("c1_")]
WITHOUT_A_GROUP = [name for name in list_models(takes="images") if name not in NAMES]
PIXEL_GROUPS = ["c4", "d4"]
SIZES = [*range(16, 66), (28, 40), 96]
REMAINDERS = [*range(16, 32), (28, 40), 96]
"""A network that halves three or four times treats sizes alike that differ by 16."""

SHALLOW = [
    name
    for name in list_models(takes="images")
    if name.endswith(("resnet18", "resnet18s", "resnet50s", "wide_resnet16_8"))
]
LARGE_SIZES = [224, 225]
SIZES_FOR_THE_IMAGENET_STEM = [16, 17, 28, 31, 64, 65, (28, 40), (17, 30), 96, *LARGE_SIZES]
IMAGENET_STEMS = [name for name in NAMES if name.endswith("resnet18")]


def group_of(name: str) -> PlanarGroup:
    return PlanarGroup.parse(name.split("_", maxsplit=1)[0])


def narrowest(name: str, **options) -> nn.Module:
    """The model with one field in its first stage: equivariance does not depend on the width, time does."""
    return create_model(name, width=group_of(name).order, **options)


def each_size(sizes: list, often: set) -> pytest.MarkDecorator:
    """Every size for D4, whose turns and flips are all that keep the grid of pixels; for C4 each time some of them."""
    slow = [pytest.param("c4", size, marks=pytest.mark.slow) for size in sizes if size not in often]
    fast = [("c4", size) for size in sizes if size in often] + [("d4", size) for size in sizes]
    return pytest.mark.parametrize(("group", "size"), [*fast, *slow], ids=str)


@pytest.mark.parametrize(
    "name", [name if name in SHALLOW else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_every_layer_turns_with_the_image(name):
    assert_equivariant(narrowest(name, num_classes=5), size=32)


@pytest.mark.parametrize("name", IMAGENET_STEMS)
def test_every_layer_turns_with_an_odd_rectangular_image_under_the_imagenet_stem(name):
    assert_equivariant(narrowest(name, num_classes=5), size=(47, 38))


@pytest.mark.parametrize("name", ["c4_resnet18s", pytest.param("d4_resnet50s", marks=pytest.mark.slow)])
def test_at_the_default_width(name):
    assert_equivariant(create_model(name), size=32)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "c4_resnet18s"])
def test_at_the_default_width_for_every_name(name):
    assert_equivariant(create_model(name), size=24)


@each_size(REMAINDERS, {16, 17, 31, (28, 40)})
def test_at_every_size(group, size):
    assert_equivariant(narrowest(f"{group}_resnet18s"), size=size)


@each_size(SIZES_FOR_THE_IMAGENET_STEM, {16, 17, (28, 40)})
def test_at_odd_and_even_sizes_under_the_imagenet_stem(group, size):
    assert_equivariant(narrowest(f"{group}_resnet18"), size=size)


@pytest.mark.parametrize("size", LARGE_SIZES)
def test_at_large_sizes(size):
    assert_equivariant(narrowest("c4_resnet18s"), size=size)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] in PIXEL_GROUPS])
def test_every_name_at_every_size(name):
    for size in [*SIZES, *LARGE_SIZES]:
        assert_equivariant(narrowest(name), size=size)


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("basis", ["pixel", "harmonic"])
@pytest.mark.parametrize("group", PIXEL_GROUPS)
def test_with_both_bases_and_both_norms(group, basis, norm):
    assert_equivariant(narrowest(f"{group}_resnet18s", basis=basis, norm=norm), size=(28, 21))
    assert_equivariant(narrowest(f"{group}_wide_resnet16_8", basis=basis, norm=norm), size=(21, 28))


# What pools no fibres each time under the default alone.
@pytest.mark.parametrize(
    ("global_pool", "group_pool"),
    [
        *(
            (mode, "max")
            for mode in ("invariant", "regular", "invariant+regular", "canonical", "canonical-soft", "weighted")
        ),
        *((mode, pool) for mode in ("invariant", "invariant+regular") for pool in ("mean", "norm")),
        *(
            pytest.param(mode, pool, marks=pytest.mark.slow)
            for mode in ("regular", "canonical", "canonical-soft")
            for pool in ("mean", "norm")
        ),
    ],
)
def test_pooled_features_are_invariant_or_permute(global_pool, group_pool):
    options = {"global_pool": global_pool, "group_pool": group_pool, "num_classes": 0}
    assert_equivariant(narrowest("d4_resnet18s", **options), size=(20, 29))


@pytest.mark.parametrize("restrict", [("d8", "d4", "d1"), ("d8", "c8", "c2")])
def test_restricted_along_the_depth(restrict):
    """Until the restriction the layers obey the larger group, and all of them obey the last one."""
    model = create_model("d8_wide_resnet16_8", width=16, restrict=restrict)
    assert_equivariant(model, size=33)
    report = equivariance_report(model, size=33, group="d8", angles=())
    before = [error.error for error in report.layers if error.layer.startswith(("stem", "layer1")) and error.exact]
    after = [error.error for error in report.layers if error.layer.startswith("layer3") and error.exact]
    assert max(before) < 1e-10
    assert max(after) > 1e-2


@pytest.mark.parametrize("group", ["c2", "d1", "d2", "c6", "d6", "c12"])
def test_for_groups_that_are_not_listed(group):
    order = PlanarGroup.parse(group).order
    assert_equivariant(create_model(f"{group}_resnet18s_w{order}"), size=(22, 27))


@pytest.mark.parametrize("name", ["c4_resnet18s", "d4_resnet50s", "c8_resnet18s", "d8_wide_resnet16_8"])
def test_in_float32(name):
    assert_equivariant(narrowest(name, num_classes=5), size=32, dtype=torch.float32, tolerance=1e-5)


@pytest.mark.parametrize("name", ["c4_resnet18s_w16", "d4_resnet18s_w16", "c8_resnet18s_w16", "d4_wide_resnet16_8_w16"])
def test_in_float32_after_training_steps(name):
    model = create_model(name, num_classes=3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        images = smooth_images(8, 3, 24, seed=step).float()
        labels = torch.randint(3, (8,), generator=generator)
        optimiser.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimiser.step()
    assert_equivariant(model, size=24, dtype=torch.float32, tolerance=1e-5, randomised=False)


@pytest.mark.parametrize("name", ["c8_resnet18s", "d8_wide_resnet16_8"])
def test_45_degrees_are_reported_and_only_approximate(name):
    report = equivariance_report(narrowest(name), angles=())
    others = [error for error in report.layers if not error.exact]
    assert {error.description.split(", then ")[-1] for error in others} == {"45°", "135°", "225°", "315°"}
    assert 1e-4 < max(error.error for error in others) < 2


def test_a_strided_convolution_refuses_a_size_that_breaks_exactness():
    conv = SteerableConv2d("c4", 1, 2, 3, stride=2, lifting=True)
    assert_equivariant(conv, size=33)
    with pytest.raises(ValueError, match=r"got size 32\. Nearest valid sizes: 31 and 33"):
        assert_equivariant(conv, size=32)


# Controls: the law can be broken, and the test sees it.


@pytest.mark.parametrize(
    "name", [name if name in SHALLOW else pytest.param(name, marks=pytest.mark.slow) for name in WITHOUT_A_GROUP]
)
def test_a_network_without_a_group_claims_nothing_and_fails_what_is_claimed_for_it(name):
    model = create_model(name, width=4)
    with pytest.raises(ValueError, match=r"is declared as 1000 x regular\(c1\), which says nothing of 90°"):
        assert_equivariant(model, size=20, group="c4")
    with pytest.raises(AssertionError, match="is not C4-equivariant"):
        assert_equivariant(model, size=20, group="c4", out_field=Scalars(1000))


def test_regular_features_of_another_group_cannot_be_judged():
    model = narrowest("c4_resnet18s", num_classes=0, global_pool="regular")
    assert_equivariant(model, size=20, group="c2")
    with pytest.raises(ValueError, match=r"says nothing of flip, then 0° \(element 4 of D4\)"):
        assert_equivariant(model, size=20, group="d4")


def test_a_network_of_the_wrong_group_fails():
    with pytest.raises(AssertionError, match="flip"):
        assert_equivariant(narrowest("c4_resnet18s"), size=20, group="d4")


class _Strided(nn.Module):
    """The usual way to halve a map: every second pixel."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps[..., ::2, ::2]


def test_the_usual_stride_at_an_even_size_fails():
    model = narrowest("c4_resnet18s")
    model.layer2[0].pool = _Strided()
    assert_equivariant(model, size=33)
    with pytest.raises(AssertionError, match=r"at 32x32 is not C4-equivariant"):
        assert_equivariant(model, size=32)


class _OneWeightOff(SteerableConv2d):
    def expanded(self) -> torch.Tensor:
        filters = super().expanded().clone()
        filters[0, 0, 0, 1] *= 1 + 1e-6
        return filters


def test_one_perturbed_filter_fails():
    model = narrowest("d4_resnet18s")
    model.layer3[1].conv2.__class__ = _OneWeightOff
    with pytest.raises(AssertionError, match=r"worst of its layers is layer3\.1\."):
        assert_equivariant(model, size=20, randomised=False)


def test_one_channel_scaled_alone_fails():
    model = nn.Sequential(narrowest("c4_resnet18s").stem, _OneChannelLouder())
    with pytest.raises(AssertionError, match=r"worst of its layers is output,"):
        assert_equivariant(model, size=20, out_field=Regular("c4", 1))


class _OneChannelLouder(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        scale = torch.ones(maps.shape[1], 1, 1).to(maps)
        scale[0] = 1 + 1e-6
        return maps * scale


def test_a_network_that_ignores_its_input_fails():
    model = narrowest("c4_resnet18s")
    with torch.no_grad():
        model.stem.bn.bn.weight.zero_()
    with pytest.raises(AssertionError, match="hardly depends on the image"):
        assert_equivariant(model, size=20, randomised=False)


def test_not_a_number_fails():
    model = narrowest("c4_resnet18s")
    with torch.no_grad():
        model.layer4[1].conv2.weight.fill_(float("nan"))
    with pytest.raises(AssertionError, match="nan"):
        assert_equivariant(model, size=20, randomised=False)
