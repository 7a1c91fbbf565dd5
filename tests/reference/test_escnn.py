"""The native networks against the same ones built of escnn's layers: kernel spaces, weights both ways, interface."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import nn

from eqmodels import PlanarGroup, create_model
from eqmodels.backbones import escnn_modules
from eqmodels.backbones.escnn_modules import EscnnConv2d, import_escnn
from eqmodels.backbones.escnn_resnet import EscnnResNet
from eqmodels.backbones.escnn_weights import from_escnn, pair_kernels, to_escnn
from eqmodels.backbones.resnet import SteerableResNet
from eqmodels.layers import SteerableConv2d

pytestmark = pytest.mark.escnn

NETWORKS = [
    ("resnet18s", "c1", 32),
    ("resnet18", "d1", 64),
    ("resnet18s", "c4", 32),
    ("resnet18s", "d4", 29),
    ("resnet18s", "c8", 32),
    ("resnet50", "c4", 64),
    pytest.param("resnet18", "d4", 64, marks=pytest.mark.slow),
    # For D8 alone escnn solves equations for 20 seconds.
    pytest.param("resnet18s", "d8", 32, marks=pytest.mark.slow),
    pytest.param("resnet18", "c4", 64, marks=pytest.mark.slow),
    pytest.param("resnet18", "c8", 64, marks=pytest.mark.slow),
    pytest.param("resnet18", "d8", 64, marks=pytest.mark.slow),
    pytest.param("resnet50s", "d4", 32, marks=pytest.mark.slow),
]
each_network = pytest.mark.parametrize(("architecture", "group", "size"), NETWORKS)


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def randomise_norms(model: nn.Module) -> None:
    """Other scales, shifts and statistics than those of a fresh network, under which a permutation would go unseen."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
            norm.running_mean.normal_(std=0.3)
            norm.running_var.uniform_(0.5, 2.0)
            norm.num_batches_tracked.fill_(7)


def build(architecture: str, group: str, **options) -> SteerableResNet:
    width = PlanarGroup.parse(group).order * (1 if group == "d8" else 2)
    model = SteerableResNet(architecture, group, width=width, basis="harmonic", num_classes=5, **options)
    randomise_norms(model)
    return model


@cache
def _built(architecture: str, group: str) -> tuple[SteerableResNet, EscnnResNet]:
    native = build(architecture, group, global_pool="invariant+regular")
    return native, to_escnn(native)


def twins(architecture: str, group: str) -> tuple[SteerableResNet, EscnnResNet]:
    """A native network and its conversion, which a test may change."""
    return copy.deepcopy(_built(architecture, group))


def assert_same(ours: nn.Module, theirs: nn.Module, size: int) -> None:
    """The same features, outputs and running statistics, in eval and in train mode."""
    images = torch.randn(4, 3, size, size)
    exact = copy.deepcopy(theirs).double()
    for mode in (False, True):
        features, expected = (model.train(mode).forward_features(images) for model in (ours, theirs))
        # In train mode the many norms of a ResNet-50 amplify the rounding of float32 itself to several 1e-5.
        rounding = distance(expected, exact.train(mode).forward_features(images.double()))
        tolerance = max(1e-5, 4 * rounding)
        assert distance(features, expected) < tolerance
        assert distance(ours.forward_head(features), theirs.forward_head(expected)) < tolerance
    statistics = zip(running_statistics(ours), running_statistics(theirs), strict=True)
    assert max(distance(mine, yours) for mine, yours in statistics) < tolerance


def running_statistics(model: nn.Module) -> list[torch.Tensor]:
    names = ("running_mean", "running_var", "num_batches_tracked")
    return [buffer for name, buffer in model.named_buffers() if name.rpartition(".")[2] in names]


def escnn_conv(group: str, kernel_size: int, *, lifting: bool) -> EscnnConv2d:
    escnn, planar = import_escnn(), PlanarGroup.parse(group)
    in_type = escnn.images(planar, 1) if lifting else escnn.regular(planar, 1)
    return EscnnConv2d(in_type, escnn.regular(planar, 1), kernel_size, initialize=False)


@pytest.mark.parametrize(
    ("group", "kernel_size", "lifting", "dimension"),
    [
        ("c4", 3, False, 32),
        ("c8", 3, False, 64),
        ("c8", 5, False, 168),
        ("d4", 3, False, 64),
        pytest.param("d8", 3, False, 128, marks=pytest.mark.slow),
        pytest.param("d8", 5, False, 336, marks=pytest.mark.slow),
        ("d4", 3, True, 8),
        ("c8", 5, True, 21),
        ("c4", 7, True, 40),
        ("d4", 1, False, 8),
    ],
)
def test_the_harmonic_kernels_are_those_of_escnn(group, kernel_size, lifting, dimension):
    native = SteerableConv2d(group, 1, 1, kernel_size, basis="harmonic", lifting=lifting)
    ours = pair_kernels(native)
    theirs = escnn_conv(group, kernel_size, lifting=lifting).functions.double().flatten(1)
    assert len(ours) == len(theirs) == dimension
    for kernels in (ours, theirs, torch.cat([ours / ours.norm(), theirs / theirs.norm()])):
        # escnn samples its functions in float32, so that rounding alone has singular values around 1e-7.
        assert torch.linalg.matrix_rank(kernels, rtol=1e-5) == dimension
    for source, target in ((ours, theirs), (theirs, ours)):
        coefficients = torch.linalg.lstsq(target.T, source.T).solution
        assert (target.T @ coefficients - source.T).norm() < 1e-6 * source.norm()


def test_pair_kernels_are_the_filters_that_the_weights_combine():
    conv = SteerableConv2d("d4", 2, 3, 3, basis="harmonic", bias=False).double()
    filters = conv.expanded().unflatten(0, (8, 3)).unflatten(2, (8, 2))
    combined = torch.einsum("koi,kv->oiv", conv.weight, pair_kernels(conv))
    torch.testing.assert_close(filters.permute(1, 3, 0, 2, 4, 5).flatten(2), combined)


@each_network
def test_a_network_converted_to_escnn_and_back_stays_the_same(architecture, group, size):
    native, other = twins(architecture, group)
    back = from_escnn(other)
    assert back.structure == native.structure
    for (key, ours), (name, theirs) in zip(back.state_dict().items(), native.state_dict().items(), strict=True):
        assert key == name
        assert distance(ours, theirs) < 1e-5
    assert_same(other, native, size)


@pytest.mark.parametrize(("architecture", "group"), [("resnet18s", "d4"), ("resnet50", "c4")])
def test_a_network_with_the_weights_that_escnn_drew_is_the_same_converted(architecture, group):
    other = EscnnResNet(architecture, group, width=16, num_classes=5)
    randomise_norms(other)
    assert_same(from_escnn(other), other, 64 if architecture == "resnet50" else 24)


def test_a_conversion_keeps_head_mode_and_type():
    native = build("resnet18s", "c4", in_chans=1, group_pool="norm").double().eval()
    native.reset_classifier(3, "regular")
    other = to_escnn(native)
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    assert not other.training
    assert other(images).shape == (2, 3)
    for model in (other, from_escnn(other)):
        assert (model.global_pool.mode, model.global_pool.fibre.mode) == ("regular", "norm")
        # escnn's functions are rounded to float32, whatever the network's type.
        assert distance(model(images), native(images)) < 1e-5


def test_the_interface_is_that_of_the_native_network():
    native, other = twins("resnet18", "d4")
    assert [name for name, _ in other.named_children()] == [name for name, _ in native.named_children()]
    assert other.feature_info == native.feature_info
    assert other.head_hidden_size == native.head_hidden_size
    assert other.describe_output() == native.describe_output()
    native.eval()
    other.eval()
    images = torch.randn(2, 3, 64, 64)
    ours, theirs = images, images
    for name, info in zip(native.stages, native.feature_info, strict=True):
        ours, theirs = getattr(native, name)(ours), getattr(other, name)(theirs)
        assert theirs.shape[1] == info["num_chs"]
        assert distance(theirs, ours) < 1e-5
    assert torch.equal(nn.Sequential(*other.children())(images), other(images))


def test_create_model_builds_it_and_it_trains():
    model = create_model("c4_resnet18s_w8", backend="escnn", num_classes=3)
    assert isinstance(model, EscnnResNet)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert any(parameter.grad.any() for parameter in model.stem.parameters())


def test_checkpointing_changes_neither_gradients_nor_statistics():
    _, plain = twins("resnet18s", "c4")
    frugal = copy.deepcopy(plain)
    frugal.set_grad_checkpointing()
    images = torch.randn(4, 3, 16, 16)
    for model in (plain, frugal):
        model.train()(images).square().sum().backward()
    for ours, theirs in zip(frugal.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for ours, theirs in zip(running_statistics(frugal), running_statistics(plain), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("group", ["c4", "d4"])
@pytest.mark.parametrize("size", [(16, 16), (17, 28)])
def test_features_turn_with_the_image(group, size):
    _, model = twins("resnet18s", group)
    model.eval()
    images = torch.randn(2, 3, *size)
    features = model.forward_features(images)
    for g in model.group.elements:
        turned = model.group.act_on_fields(g, features)
        assert distance(model.forward_features(model.group.act(g, images)), turned) < 1e-5


def test_the_state_does_not_depend_on_the_mode():
    _, model = twins("resnet50s", "c4")
    trained = model.train().state_dict()
    evaluated = model.eval().state_dict()
    assert list(trained) == list(evaluated)
    parameters = [name for name, _ in model.named_parameters()]
    assert all(key in parameters or "batch_norm" in key for key in trained)
    assert {key.rpartition(".")[2] for key in trained.keys() - parameters} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_weights_loaded_in_eval_mode_count():
    _, source = twins("resnet18s", "c4")
    source.eval()
    target = EscnnResNet(**source.structure, num_classes=5, global_pool="invariant+regular").eval()
    images = torch.randn(2, 3, 16, 16)
    target(images)
    target.load_state_dict(source.state_dict())
    assert torch.equal(target(images), source(images))


def test_a_teacher_in_eval_mode_follows_its_average():
    _, student = twins("resnet18s", "c4")
    teacher = copy.deepcopy(student).eval()
    images = torch.randn(2, 3, 16, 16)
    before = teacher(images)
    with torch.no_grad():
        for averaged, parameter in zip(teacher.parameters(), student.parameters(), strict=True):
            averaged.data.mul_(0.5).add_(parameter + 1, alpha=0.5)
    expected = copy.deepcopy(teacher).train().eval()(images)
    assert torch.equal(teacher(images), expected)
    assert not torch.equal(before, expected)


def test_casting_one_network_leaves_another_as_it_is():
    _, first = twins("resnet18s", "c4")
    second = EscnnResNet(**first.structure, num_classes=0).double()
    assert first(torch.randn(2, 3, 16, 16)).dtype == torch.float32
    assert second(torch.randn(2, 3, 16, 16).double()).dtype == torch.float64


def test_half_precision_and_channels_last_are_accepted():
    _, model = twins("resnet18s", "c4")
    images = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        model.to(memory_format=torch.channels_last)(images).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_pixel_kernels_have_no_counterpart():
    with pytest.raises(ValueError, match="Build it with basis='harmonic'"):
        to_escnn(SteerableResNet("resnet18s", "c4", width=8))


def test_layer_norms_have_no_counterpart():
    with pytest.raises(ValueError, match="norm 'batch' only; got 'layer'"):
        to_escnn(SteerableResNet("resnet18s", "c4", width=8, basis="harmonic", norm="layer"))


def test_an_escnn_of_other_kernels_is_refused(monkeypatch):
    monkeypatch.setattr(escnn_modules, "_cutoff", lambda radius: 2 * radius)
    with pytest.raises(RuntimeError, match="must span the same kernels; got dimensions 6 and 8"):
        to_escnn(build("resnet18s", "c4"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "resnet7"}, "architecture must be one of .*'resnet7'"),
        ({"basis": "pixel"}, "basis 'harmonic' only; got 'pixel'"),
        ({"norm": "layer"}, "norm 'batch' only; got 'layer'"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
        ({"width": 10}, "multiple of the order 4 of C4; got 10"),
        ({"num_classes": -1}, "num_classes must be at least 0"),
    ],
)
def test_an_option_that_breaks_its_rule_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EscnnResNet(**({"width": 4} | options), initialize=False)
