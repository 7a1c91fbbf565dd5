"""State dicts of torchvision's ResNets become our networks with the same outputs, and nothing else does."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from eqmodels.backbones import StandardResNet, from_torchvision

RESNETS = ["resnet18", "resnet34", "resnet50", "resnet101"]


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def narrow_state(architecture: str = "resnet18", **options) -> dict[str, Tensor]:
    """The state dict of a narrow network under torchvision's names."""
    state = StandardResNet(architecture, **({"width": 4, "num_classes": 3} | options)).state_dict()
    return {name.replace("stem.conv.", "conv1.").replace("stem.bn.", "bn1."): value for name, value in state.items()}


# Deeper networks have more of the blocks of these; that their names are read off rightly is seen of narrow ones below.
@pytest.mark.parametrize(
    ("name", "stem"),
    [
        *(("resnet18", ""), ("resnet50", ""), ("resnet18", "s")),
        *(pytest.param(name, "", marks=pytest.mark.slow) for name in RESNETS if name not in ("resnet18", "resnet50")),
    ],
)
def test_outputs_are_torchvisions(name, stem, randomised):
    theirs = torchvision.models.get_model(name, weights=None, num_classes=7)
    if stem == "s":
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    theirs = randomised(theirs).eval()
    ours = from_torchvision(theirs.state_dict()).eval()
    assert ours.structure["architecture"] == name + stem
    images = torch.randn(1, 3, 16, 17) if stem == "s" else torch.randn(1, 3, 64, 49)
    with torch.no_grad():
        assert distance(ours(images), theirs(images)) <= 1e-6


@pytest.mark.parametrize("options", [{"width": 12}, {"in_chans": 1}, {"num_classes": 11}], ids=lambda o: next(iter(o)))
@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("stem", ["s", ""])
def test_widths_channels_classes_and_stem_are_read_off_the_shapes(name, stem, options):
    name += stem
    state = narrow_state(name, **options)
    model = from_torchvision(state)
    assert model.structure == {"architecture": name, "width": options.get("width", 4)}
    assert model.in_chans == options.get("in_chans", 3)
    assert model.num_classes == options.get("num_classes", 3)
    for ours, theirs in zip(model.state_dict().values(), state.values(), strict=True):
        assert torch.equal(ours, theirs)


def test_without_a_classifier_the_features_are_the_output():
    state = narrow_state()
    scores, features = (
        from_torchvision({name: tensor for name, tensor in state.items() if keep or "fc." not in name}).eval()
        for keep in (True, False)
    )
    assert features.num_classes == 0
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(scores(images), scores.fc(features(images)))


def test_the_prefix_of_data_parallel_is_dropped():
    state = narrow_state()
    ours = from_torchvision({f"module.{name}": tensor for name, tensor in state.items()})
    for value, expected in zip(ours.state_dict().values(), state.values(), strict=True):
        assert torch.equal(value, expected)


def test_the_oldest_checkpoints_count_no_batches():
    state = {name: value for name, value in narrow_state().items() if not name.endswith("num_batches_tracked")}
    counts = [v for n, v in from_torchvision(state).state_dict().items() if n.endswith("num_batches_tracked")]
    assert len(counts) == 20
    assert not any(counts)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_dtype_is_kept(dtype):
    state = {n: v.to(dtype) if v.is_floating_point() else v for n, v in narrow_state().items()}
    model = from_torchvision(state)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert torch.equal(model.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])


def test_the_state_is_copied():
    state = narrow_state()
    before = state["fc.weight"].clone()
    model = from_torchvision(state)
    nn.init.zeros_(model.fc.weight)
    assert torch.equal(state["fc.weight"], before)


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {f"layer3.{number}.conv3.weight": torch.ones(1) for number in range(6, 36)},
            r"one of resnet18 \(2, 2, 2, 2\), .*; got \(3, 4, 36, 3\) blocks of 3 convolutions",
        ),
        (
            {"layer1.0.conv1.weight": torch.ones(8, 4, 1, 1)},
            r"'layer1.0.conv1.weight' .* the shape \(4, 4, 1, 1\), .*widths 1, 2, 4 and 8 .* and \(8, 4, 1, 1\)",
        ),
        (
            {"layer1.0.conv2.weight": torch.ones(4, 1, 3, 3)},
            r"'layer1.0.conv2.weight' .* the shape \(4, 4, 3, 3\), .*grouped convolutions have no counterpart",
        ),
    ],
    ids=["ResNet-152", "wide bottlenecks", "ResNeXt"],
)
def test_other_resnets(changes, message):
    with pytest.raises(ValueError, match=message):
        from_torchvision(narrow_state("resnet50") | changes)


def test_other_networks():
    with pytest.raises(ValueError, match=r"got \(0, 0, 0, 0\) blocks"):
        from_torchvision({"features.0.weight": torch.ones(4, 3, 3, 3)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1.weight": None}, "it lacks 1 tensor, the first is 'conv1.weight'. Pass the whole state dict"),
        (
            {"bn1.running_var": None, "layer4.1.bn2.weight": None},
            "it lacks 2 tensors, the first is 'bn1.running_var'",
        ),
        ({"fc.bias": None}, "it lacks 1 tensor, the first is 'fc.bias'"),
        ({"fc.weight": None}, "it lacks 1 tensor, the first is 'fc.weight'"),
        ({"aux.weight": torch.ones(1)}, "it has beyond it 1 tensor, the first is 'aux.weight'"),
        ({"conv1.weight": torch.ones(4, 3, 5, 5)}, "must have 7 x 7 .* or 3 x 3 pixels .*; got 5 x 5"),
        ({"conv1.weight": torch.ones(4, 3)}, r"'conv1.weight' .* must have 4 axes.*; got the shape \(4, 3\)"),
        ({"conv1.weight": torch.ones(0, 3, 7, 7)}, "'conv1.weight' .* none of them empty"),
        ({"conv1.weight": torch.ones(4, 3, 7, 7).int()}, "'conv1.weight' .* floating point .*; got torch.int32"),
        ({"fc.weight": torch.ones(0, 32)}, "'fc.weight' .* none of them empty"),
        ({"fc.bias": torch.ones(5)}, r"'fc.bias' .* have the shape \(3,\).*; got torch.float32 and \(5,\)"),
        ({"layer2.0.conv1.weight": torch.ones(8, 4, 3, 5)}, r"'layer2.0.conv1.weight' .* the shape \(8, 4, 3, 3\)"),
        ({"fc.bias": torch.full((3,), torch.inf)}, "weights must be finite; 1 of 122 .* the first is 'fc.bias'"),
        ({"fc.bias": torch.ones(3, device="meta")}, "NaN, infinity or no values, the first is 'fc.bias'"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
)
def test_a_state_that_is_not_whole(changes, message):
    state = {name: tensor for name, tensor in (narrow_state() | changes).items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        from_torchvision(state)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "a mapping from names to tensors; got NoneType. Pass model.state_dict"),
        ([torch.ones(1)], "got list"),
        (nn.Linear(1, 1), "got Linear"),
        ({}, r"got \(0, 0, 0, 0\) blocks"),
        ({"state_dict": {"conv1.weight": torch.ones(1)}}, r"'state_dict' holds dict. Pass state\['state_dict'\]"),
        ({"conv1.weight": [1.0]}, "'conv1.weight' holds list. Pass model.state_dict"),
        ({0: torch.ones(1)}, "0 holds Tensor"),
    ],
    ids=["None", "list", "module", "empty", "checkpoint", "numbers", "number"],
)
def test_what_is_no_state_dict(state, message):
    with pytest.raises(ValueError, match=message):
        from_torchvision(state)
