"""Names: what they build, what is listed, and what an unknown one is answered with."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import pytest
import torch
from torch import nn

from eqmodels import Backbone, Encoder, EqmodelsError, PlanarGroup, create_model, list_models, load
from eqmodels.backbones import (
    BACKBONES,
    StandardResNet,
    SteerableResNet,
    WideSteerableResNet,
    register_backbone,
)
from eqmodels.backbones.describe import describe_network, name_of
from eqmodels.layers import SteerableConv2d

GROUPS = ["c1", "c4", "d4", "c8", "d8"]
RESNETS = sorted(f"resnet{depth}{stem}" for depth in (18, 34, 50, 101) for stem in ("", "s"))
WIDE_RESNETS = ["wide_resnet28_10", "wide_resnet16_8"]


def test_what_is_registered():
    expected = {*RESNETS, *(f"{group}_{name}" for group in GROUPS for name in [*RESNETS, *WIDE_RESNETS])}
    points = {
        "dgcnn",
        "pointnet",
        *(f"{g}_{name}" for g in ("so3", "o3") for name in ("points_base", "points_small", "vectors_small")),
    }
    assert set(list_models(takes="images")) == expected
    assert set(list_models(takes="points")) == points
    assert list_models() == sorted(expected | points)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("c4_*", [f"c4_{name}" for name in [*RESNETS, *sorted(WIDE_RESNETS)]]),
        ("*resnet50s", sorted(["resnet50s", *(f"{group}_resnet50s" for group in GROUPS)])),
        ("resnet??", ["resnet18", "resnet34", "resnet50"]),
        ("resnet??s", ["resnet18s", "resnet34s", "resnet50s"]),
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
        ("C4_ResNet18", "c4_resnet18"),
        ("resnet", "resnet18"),
        ("resnet5", "resnet50"),
        ("so3_vectors", "so3_vectors_small"),
        ("", "so3_vectors_small"),
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


# A name alone builds the network.

PARTS = {
    "c4_resnet18s_k5_w8": {"kernel_size": 5},
    "c4_resnet18s_harmonic_w8": {"basis": "harmonic"},
    "c4_resnet18s_ln_w8": {"norm": "layer"},
    "c4_resnet18s_strided_w8": {"downsampling": "stride"},
    "c4_resnet18_harmonic_k5_ln_strided_w8": {
        "basis": "harmonic",
        "kernel_size": 5,
        "norm": "layer",
        "downsampling": "stride",
    },
    "d4_wide_resnet16_8_imagenet_w8": {"stem": "imagenet"},
    "d4_wide_resnet16_8_imagenet_ln_w8": {"stem": "imagenet", "norm": "layer"},
    "c8_resnet18s_k3_w8": {"kernel_size": 3},
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_a_name_are_options(name):
    group, rest = name.split("_", maxsplit=1)
    architecture = next(known for known in ("wide_resnet16_8", "resnet18s", "resnet18") if rest.startswith(known))
    model, expected = create_model(name), create_model(f"{group}_{architecture}_w8", **PARTS[name])
    assert model.structure == expected.structure
    assert str(name_of(expected)) == name, "and the network knows its name"


def test_the_order_of_parts_is_free_and_the_width_is_the_last():
    assert str(name_of(create_model("c4_resnet18s_strided_k5_w8"))) == "c4_resnet18s_k5_strided_w8"
    with pytest.raises(ValueError, match="no model is named"):
        create_model("c4_resnet18s_w8_k5")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c4_resnet18s_w8", {"kernel_size": 3}),
        ("c4_resnet18s_w8", {"basis": "pixel", "norm": "batch", "downsampling": "pool"}),
        ("c8_resnet18s_w8", {"kernel_size": 5, "basis": "harmonic"}),
        ("resnet18_w4", {}),
        ("d4_wide_resnet16_8_w8", {"stem": "small"}),
    ],
)
def test_what_is_the_default_has_no_part(name, options):
    assert str(name_of(create_model(name, **options))) == name


@pytest.mark.parametrize(
    "name", ["resnet18_strided", "resnet18s_k5_w4", "c4_wide_resnet16_8_strided", "c4_resnet18_imagenet"]
)
def test_a_part_for_which_the_class_has_no_option_is_refused(name):
    with pytest.raises(TypeError, match=f"{name!r} has no option"):
        create_model(name)


@pytest.mark.parametrize("name", ["c4_resnet18s_k5_k7", "c4_resnet18s_pixel_harmonic", "c4_resnet18s_w8_w8"])
def test_a_part_stands_once(name):
    with pytest.raises(ValueError, match="no model is named"):
        create_model(name)


def test_an_option_is_not_given_twice():
    with pytest.raises(ValueError, match="the kernel_size is given twice, in the name 'c4_resnet18s_k5'"):
        create_model("c4_resnet18s_k5", kernel_size=5)


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_the_usual_names_have_the_usual_reductions(depth):
    reductions = {"": [2, 4, 8, 16, 32], "s": [1, 1, 2, 4, 8]}
    for suffix, expected in reductions.items():
        for group, width in (("", 2), ("c4_", 4)):
            with torch.device("meta"):
                model = create_model(f"{group}resnet{depth}{suffix}_w{width}")
            assert [info["reduction"] for info in model.feature_info] == expected


# Anybody may register.


class Plain(Backbone):
    def __init__(self, group="c4", *, width=8, num_classes=2, in_chans=3):
        super().__init__(group, in_chans, num_classes)
        lifting = SteerableConv2d(self.group, in_chans, width // self.group.order, 3, lifting=True)
        self.add_stage("stem", lifting, width, 1)
        self.finish()


def test_a_class_is_known_by_its_name():
    cls = register_backbone("plain_net")(Plain)
    assert cls is Plain
    model = create_model("d4_plain_net_w16", num_classes=5)
    assert type(model) is Plain
    assert model.structure == {"group": "d4", "width": 16}
    assert model.stages == ("stem",)
    assert str(name_of(model)) == "d4_plain_net_w16"
    assert "c4_plain_net" in list_models()
    assert "plain_net" not in list_models()
    assert isinstance(model, Encoder)


def test_of_two_architectures_the_longer_counts():
    register_backbone("resnet18s_tall")(Plain)
    assert type(create_model("c4_resnet18s_tall_w8")) is Plain
    assert type(create_model("c4_resnet18s_w8")) is SteerableResNet


@pytest.mark.parametrize("name", ["", "Two", "c4", "c4_net", "a-b", "resnet18s_w8", "net k5", "net_k5"])
def test_a_name_that_the_grammar_could_not_read_is_refused(name):
    with pytest.raises(ValueError, match="lower-case"):
        register_backbone(name)(type("Own", (Plain,), {}))
    assert "resnet18s_w8" not in BACKBONES


def test_a_name_that_another_class_has_is_refused():
    with pytest.raises(
        ValueError, match=r"the backbone 'resnet18s' is registered already, by eqmodels.backbones.resnet"
    ):
        register_backbone("resnet18s")(Plain)
    assert type(create_model("c4_resnet18s_w4")) is SteerableResNet


def test_what_is_no_backbone_is_not_given_for_one():
    register_backbone("function_net")(lambda group="c4": nn.Identity())
    # Under run-time shape checks it is they who refuse it.
    with pytest.raises(TypeError, match=r"must be a Backbone; got a Identity|checking the return value of .*built"):
        create_model("c4_function_net")


def test_a_class_that_is_not_registered_has_no_name():
    own = type("Own", (SteerableResNet,), {})
    with pytest.raises(ValueError, match=r"Bare is not\. Put @register_backbone"):
        name_of(type("Bare", (Plain,), {})())
    with pytest.raises(ValueError, match="or its class is not registered"):
        describe_network(own("resnet18s", width=4))


def test_a_backend_is_refused_where_it_does_not_build():
    with pytest.raises(ValueError, match="wide_resnet16_8 has the backends 'native'; got 'escnn'"):
        create_model("c4_wide_resnet16_8", backend="escnn")
    with pytest.raises(ValueError, match="resnet18 with backend='escnn' needs a group"):
        create_model("resnet18", backend="escnn")
    with pytest.raises(ValueError, match="Use 'c4_wide_resnet16_8', or 'c1_wide_resnet16_8'"):
        create_model("wide_resnet16_8")


# Other distributions.


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """A distribution that announces an architecture; its module is written into a folder of the path."""
    (tmp_path / "own_net_of_a_plugin.py").write_text(
        "from eqmodels.backbones import register_backbone\n"
        "from tests.backbones.test_registry import Plain\n"
        "class Announced(Plain):\n    pass\n"
        "register_backbone('announced')(Announced)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    information = tmp_path / "own_distribution-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-distribution\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[eqmodels.backbones]\nannounced = own_net_of_a_plugin\n")
    found = {entry.name: entry for entry in entry_points(group="eqmodels.backbones")}
    monkeypatch.setattr(BACKBONES, "_plugins", lambda: found)
    yield
    sys.modules.pop("own_net_of_a_plugin", None)


def test_a_distribution_is_imported_when_somebody_asks(plugin):
    assert "c4_announced" in list_models()
    assert "own_net_of_a_plugin" not in sys.modules
    assert type(create_model("c4_announced_w8")).__name__ == "Announced"


def test_a_distribution_is_not_imported_because_of_a_file(plugin, tmp_path):
    create_model("c4_resnet18s_w4", num_classes=2).save_pretrained(tmp_path / "saved")
    file = tmp_path / "saved" / "config.json"
    file.write_text(file.read_text().replace("c4_resnet18s_w4", "c4_announced_w4"))
    with pytest.raises(EqmodelsError, match="is of the distribution own-distribution, and no file of weights"):
        load(tmp_path / "saved")
    assert "own_net_of_a_plugin" not in sys.modules
