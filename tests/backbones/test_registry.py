"""Names: what they build, what is listed, and what an unknown one is answered with."""

from __future__ import annotations

import pytest

from eqmodels import PlanarGroup, create_model, list_models
from eqmodels.backbones import StandardResNet, SteerableResNet, WideSteerableResNet

GROUPS = ["c1", "c4", "d4", "c8", "d8"]
RESNETS = ["resnet18s", "resnet34s", "resnet50s"]
WIDE_RESNETS = ["wide_resnet28_10", "wide_resnet16_8"]


def test_what_is_registered():
    expected = {*RESNETS, *(f"{group}_{name}" for group in GROUPS for name in [*RESNETS, *WIDE_RESNETS])}
    assert set(list_models()) == expected
    assert list_models() == sorted(expected)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("c4_*", [f"c4_{name}" for name in [*RESNETS, *sorted(WIDE_RESNETS)]]),
        ("*resnet50s", sorted(["resnet50s", *(f"{group}_resnet50s" for group in GROUPS)])),
        ("resnet??", RESNETS),
        ("d[48]_wide_resnet16_8", ["d4_wide_resnet16_8", "d8_wide_resnet16_8"]),
        ("vit*", []),
    ],
)
def test_names_are_listed_by_pattern(pattern, names):
    assert list_models(pattern) == names


@pytest.mark.parametrize(
    ("name", "family", "group", "width"),
    [
        ("resnet18s", StandardResNet, "c1", 64),
        ("resnet34s_w12", StandardResNet, "c1", 12),
        ("c1_resnet18s_w12", SteerableResNet, "c1", 12),
        ("c4_resnet18s", SteerableResNet, "c4", 64),
        ("d8_resnet50s_w32", SteerableResNet, "d8", 32),
        ("c6_resnet18s_w96", SteerableResNet, "c6", 96),
        ("d4_wide_resnet16_8", WideSteerableResNet, "d4", 128),
        ("c4_wide_resnet28_10", WideSteerableResNet, "c4", 160),
    ],
)
def test_a_name_says_family_group_and_width(name, family, group, width):
    model = create_model(name, num_classes=0)
    assert type(model) is family
    assert model.group == PlanarGroup.parse(group)
    expansion = 4 if "resnet50s" in name else 1
    assert model.feature_info[1]["num_chs"] == width * expansion


def test_the_width_can_be_an_option():
    first, second = create_model("c4_resnet18s", width=8), create_model("c4_resnet18s_w8")
    assert {key: value.shape for key, value in first.state_dict().items()} == {
        key: value.shape for key, value in second.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("c4_resnet19", "c4_resnet18s"),
        ("c4resnet18s", "c4_resnet18s"),
        ("d4_wideresnet28_10", "d4_wide_resnet28_10"),
        ("C4_ResNet18", "c4_resnet18s"),
        ("resnet", "resnet18s"),
        ("", "resnet18s"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=rf"^no model is named {name!r}; the nearest names are ") as error:
        create_model(name)
    names = str(error.value).partition("the nearest names are ")[2].partition(". ")[0].split(", ")
    assert nearest in names
    assert set(names) <= set(list_models())
    assert "list_models() gives all" in str(error.value)


def test_every_nearest_name_can_be_built():
    with pytest.raises(ValueError, match="the nearest names are") as error:
        create_model("c4_resnet18s_w")
    assert "c4_resnet18s" in str(error.value)
