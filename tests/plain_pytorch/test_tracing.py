"""FX, torchvision's feature extraction, `torch.compile` and `torch.export` take a network as they take a ResNet."""

from __future__ import annotations

import copy

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from eqmodels import create_model
from tests.plain_pytorch.conftest import FAMILIES

pytestmark = pytest.mark.tracing

# What takes seconds is asked each time of one network of every kind of layer and of the standard one.
some = pytest.mark.parametrize(
    "model",
    [
        *("restricted", "canonical", "standard"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("basic", "bottleneck", "layer_norm", "wide")),
    ],
    indirect=True,
)
FEW = ("canonical", "standard")
OTHER_SIZES = [(4, 3, 16, 20), (2, 3, 17, 23), (1, 3, 32, 32)]


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


def assert_close(outputs, expected, tolerance=1e-5):
    torch.testing.assert_close(outputs, expected, rtol=0, atol=tolerance * float(expected.detach().abs().max()))


def test_a_symbolic_trace_is_the_network_at_every_size_and_batch(model):
    model.eval()
    traced = torch.fx.symbolic_trace(model)
    with torch.no_grad():
        for shape in OTHER_SIZES:
            images = torch.randn(shape)
            assert_close(traced(images), model(images))


def test_a_symbolic_trace_still_checks_its_input(model):
    traced = torch.fx.symbolic_trace(model)
    with pytest.raises(
        ValueError, match=r"images must have the shape \(batch, 3, height, width\); got \(1, 4, 16, 16\)"
    ):
        traced(torch.zeros(1, 4, 16, 16))


def test_a_symbolic_trace_trains_as_the_network_does(model, images):
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    model, twin = model.double(), copy.deepcopy(model).double()
    traced = torch.fx.symbolic_trace(twin)
    assert_close(traced(images.double()), model(images.double()), tolerance=1e-10)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(traced.state_dict()[name], value, rtol=1e-9, atol=1e-12)


def test_torchvision_extracts_every_stage(model, images):
    model.eval()
    stages = {info["module"]: info["module"] for info in model.feature_info}
    extractor = create_feature_extractor(model, stages)
    getter = IntermediateLayerGetter(model, stages)
    with torch.no_grad():
        maps, extracted, got = images, extractor(images), getter(images)
        for info in model.feature_info:
            maps = model.get_submodule(info["module"])(maps)
            assert_close(extracted[info["module"]], maps)
            assert torch.equal(got[info["module"]], maps)


def test_torchvision_extracts_pooled_features(model, images):
    extractor = create_feature_extractor(model.eval(), ["global_pool"])
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        (features,) = extractor(images).values()
        assert_close(features, expected)


def compiled_step(model, images, backend):
    """Outputs, gradients and state of one training step of the compiled network, and of the network itself."""
    for module in model.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend=backend)
    labels = torch.arange(len(images)) % 3
    expected, outputs = model(images), compiled(images)
    assert_close(outputs, expected, tolerance=1e-4)
    F.cross_entropy(expected, labels).backward()
    F.cross_entropy(outputs, labels).backward()
    for (name, parameter), same in zip(model.named_parameters(), twin.parameters(), strict=True):
        tolerance = 1e-3 * float(parameter.grad.abs().max())
        torch.testing.assert_close(same.grad, parameter.grad, rtol=0, atol=tolerance, msg=lambda m, n=name: n + m)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name], value, rtol=1e-4, atol=1e-4)


@some
def test_compiles_as_one_graph_and_trains(model, images):
    compiled_step(model.double(), images.double(), backend="eager")


@pytest.mark.parametrize(
    "model", ["basic", pytest.param("restricted", marks=pytest.mark.slow), "standard"], indirect=True
)
def test_compiles_as_one_graph_in_eval_mode(model, images):
    compiled = torch.compile(model.eval(), fullgraph=True, backend="eager")
    with torch.no_grad():
        assert_close(compiled(images), model(images))


@pytest.mark.slow  # the standard compiler, beside the graph that every family has and what inductor trains
def test_compiles_its_backward_pass(images, randomised, shallow):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3))
    compiled_step(model.double(), images.double(), backend="aot_eager")


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.slow
@pytest.mark.parametrize("name", ["c4_resnet18s_w8", "resnet18s_w8"])
def test_compiles_with_gradient_checkpointing(name, backend, images, randomised, shallow):
    model = randomised(create_model(name, num_classes=3)).double()
    model.set_grad_checkpointing()
    compiled_step(model, images.double(), backend=backend)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_one_graph_is_compiled_for_every_size(mode, randomised, shallow):
    """`dynamic=True`, with checkpointing: another batch or size, odd or even, is no reason to compile again."""
    model = randomised(create_model("c4_resnet18s_w4", num_classes=3)).double().train(mode == "train")
    model.set_grad_checkpointing()
    twin, backend = copy.deepcopy(model), CompileCounterWithBackend("eager")
    compiled = torch.compile(twin, fullgraph=True, dynamic=True, backend=backend)
    # The first sizes are those of no other axis, which PyTorch would take for the same.
    for shape in ((5, 3, 22, 26), (3, 3, 17, 23), (2, 3, 30, 31)):
        images = torch.randn(shape, dtype=torch.float64)
        expected, outputs = model(images), compiled(images)
        assert_close(outputs, expected, tolerance=1e-10)
        for one in (expected, outputs):
            one.square().sum().backward()
        assert backend.frame_count == 1
    for (name, parameter), same in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(same.grad, parameter.grad, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: n + m)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["c4_resnet18s_w8", "d4_resnet50s_w8", "d8_wide_resnet16_8_w16", "resnet18s_w8"])
def test_inductor_compiles_and_trains(name, images, randomised, shallow):
    compiled_step(randomised(create_model(name, num_classes=3)), images, backend="inductor")


def test_compiles_under_autocast(images, shallow):
    model = create_model("c4_resnet18s_w8", num_classes=3).eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert_close(compiled(images).float(), model(images).float(), tolerance=0.05)


# A restriction is an index: what traces it in a compiled step traces it here.
@pytest.mark.parametrize(
    "model",
    [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES if name not in FEW)],
    indirect=True,
)
def test_torch_export_with_any_batch(model):
    model.eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.randn(2, 3, 16, 20),), dynamic_shapes=({0: batch},))
    module = program.module()
    with torch.no_grad():
        for size in (2, 5):
            images = torch.randn(size, 3, 16, 20)
            assert_close(module(images), model(images))


def test_the_choice_of_a_pose_is_traced_and_compiled(images, randomised, shallow):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, global_pool="canonical")).double().eval()
    images = images.double()
    traced = torch.fx.symbolic_trace(model)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    exported = torch.export.export(model, (images,)).module()
    with torch.no_grad():
        for network in (traced, compiled, exported):
            assert_close(network(images), model(images), tolerance=1e-12)
