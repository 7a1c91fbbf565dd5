"""equivision's networks in our layers, against networks of the same structure, built of escnn's modules here."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.imports.bases import functions_of_escnn
from benchmarks.imports.reference import Reference
from eqmodels import PlanarGroup, load
from eqmodels.backbones import SteerableResNet, from_equivision
from eqmodels.backbones.convert.escnn_bases import default_functions
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d

SIDE = 33


def drawn(architecture: str, name: str, fields: int = 2) -> Reference:
    """A network with random weights and statistics, of moderate activations, in train mode."""
    torch.manual_seed(0)
    network = Reference(architecture, name, fields, 5)
    with torch.no_grad():
        for module in network.modules():
            if hasattr(module, "basisexpansion"):
                nn.init.normal_(module.weights, std=(2 / module.in_type.size / module.kernel_size) ** 0.5)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(std=0.2)
                module.running_mean.normal_(std=0.2)
                module.running_var.uniform_(0.5, 2.0)
    return network


CASES = [
    ("resnet18", "d1"),
    ("resnet50", "c4"),
    ("resnet18", "c8"),
    ("resnet34", "c4"),
    ("resnet101", "c4"),
    ("resnet18", "d4"),
]


@pytest.mark.escnn
@pytest.mark.parametrize(("architecture", "name"), CASES)
def test_outputs_are_equal_in_both_modes_of_the_file_and_turn_exactly(architecture, name):
    reference = drawn(architecture, name, 2 if name == "d1" else 1)
    in_train_mode = {key: value.clone() for key, value in reference.train().state_dict().items()}
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        theirs = reference.eval()(images)
    in_eval_mode = reference.state_dict()
    assert any(key.endswith("filter") for key in in_eval_mode)
    assert not any(key.endswith("filter") for key in in_train_mode)
    for state in (in_train_mode, in_eval_mode):
        model, report = from_equivision(state)
        assert model.group.name == name
        assert {layer.status for layer in report.layers} == {"exact"}
        check_equal(model.eval(), images, theirs)


@pytest.mark.escnn
@pytest.mark.parametrize(("name", "target"), [("c8", "c4"), pytest.param("d8", "d4", marks=pytest.mark.slow)])
def test_larger_groups_become_c4_and_d4_with_equal_outputs_also_in_train_mode(name, target):
    reference = drawn("resnet18", name, 1)
    images = torch.randn(3, 3, SIDE, SIDE)
    model, report = from_equivision(reference.state_dict(), group=target)
    assert model.group.name == target
    assert model.structure["basis"] == "pixel"
    assert model.head_hidden_size == 8
    assert any("tied" in note for note in report.notes)
    with torch.no_grad():
        torch.testing.assert_close(model.train()(images), reference.train()(images), rtol=1e-3, atol=1e-3)
        check_equal(model.eval(), images, reference.eval()(images))
    for ours, theirs in zip(statistics(model), statistics(reference), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.escnn
@pytest.mark.parametrize(
    ("name", "target"),
    [("c4", None), ("d4", None), pytest.param("d8", "d4", marks=pytest.mark.slow)],  # escnn builds D8 in ten seconds
)
def test_at_the_size_of_the_weights_outputs_are_equal_and_turn_exactly(name, target):
    """225 pixels; narrow networks, whose maps are as large as those of wide ones."""
    reference = drawn("resnet18", name, 1)
    images = torch.randn(1, 3, 225, 225)
    model, _ = from_equivision(reference.state_dict(), group=target)
    assert model.preprocessing.size == (225, 225)
    with torch.no_grad():
        check_equal(model.eval(), images, reference.eval()(images))


def statistics(network: nn.Module) -> list[Tensor]:
    """The running statistics of all its norms."""
    kind = nn.modules.batchnorm._BatchNorm
    found = [norm for norm in network.modules() if isinstance(norm, kind)]
    return [statistic for norm in found for statistic in (norm.running_mean, norm.running_var)]


@pytest.mark.escnn
def test_the_stored_functions_are_escnns():
    layers = [("d1", 7, True), ("c4", 3, False), ("c8", 7, True), ("c8", 1, False), ("c1", 3, False)]
    for group, pixels, lifting in layers:
        known = PlanarGroup.parse(group)
        functions = default_functions(known, pixels, lifting).flatten(1)
        torch.testing.assert_close(functions, functions_of_escnn(known, pixels, lifting), rtol=1e-5, atol=1e-6)


def check_equal(model: nn.Module, images: Tensor, theirs: Tensor) -> None:
    """Outputs that are those of the reference, and do not change when the image turns."""
    with torch.no_grad():
        ours = model(images)
        scale = float(theirs.abs().max())
        assert float((ours - theirs).abs().max()) <= 1e-4 * max(1.0, scale)
        for g in model.group.exact_elements:
            assert float((model(model.group.act(g, images)) - ours).abs().max()) <= 1e-5 * max(1.0, scale)


# Without escnn: files as it writes them, of the functions that are stored ---------------------------------------------


def saved(network: SteerableResNet, *, functions: bool) -> dict[str, Tensor]:
    """The state dict that escnn would save of a network over the coefficients that are drawn for it, in train mode."""
    order = network.group.order
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        layer = {"stem.conv": "conv1", "stem.bn": "bn1"}.get(name, name)
        if isinstance(module, SteerableConv2d):
            basis = default_functions(module.group, module.kernel_size, module.lifting)
            state[f"{layer}.weights"] = torch.randn(module.out_fields * module.in_fields * len(basis)) * 0.2
            if functions:
                key = f"{layer}._basisexpansion.block_expansion_('regular', 'regular').sampled_basis"
                state[key] = basis.float()
        elif isinstance(module, FieldBatchNorm2d):
            state |= {f"{layer}.batch_norm_[{order}].{key}": value for key, value in module.bn.state_dict().items()}
            state[f"{layer}.indices_{order}"] = torch.tensor([0, order * module.fields])
    state |= {f"fc.{key}": value for key, value in network.fc.state_dict().items()}
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def small(group: str) -> SteerableResNet:
    order = PlanarGroup.parse(group).order
    return SteerableResNet("resnet18", group, width=order, num_classes=5, kernel_size=3, downsampling="stride")


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return saved(small("c8"), functions=True)


def bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("sampled_basis")}


def test_functions_that_the_file_lacks_are_put_in_and_named(whole):
    model, _ = from_equivision(whole)
    again, report = from_equivision(bare(whole), of="c8")
    notes = {layer.note for layer in report.layers if layer.source.endswith(("conv1", "conv2"))}
    assert notes == {"its basis, which the file lacks, is that of escnn 1.0.11"}
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "target"), [("c8", "c4"), ("d8", "d4"), ("d4", "c4"), ("c4", "c2")])
def test_read_as_a_subgroup_it_is_the_same_function(name, target):
    state = saved(small(name), functions=True)
    images = torch.randn(2, 3, SIDE, SIDE)
    (own, _), (other, _) = from_equivision(state), from_equivision(state, group=target)
    assert (own.group.name, other.group.name) == (name, target)
    with torch.no_grad():
        check_equal(other.eval(), images, own.eval()(images))
        torch.testing.assert_close(other.train()(images), own.train()(images), rtol=1e-3, atol=1e-3)


def test_of_coefficients_alone_the_group_must_be_said(whole):
    with pytest.raises(ValueError, match=r"C8 or D4 fit it alike\. Say which by of='d4' or of='c8'"):
        from_equivision(bare(whole))
    with pytest.raises(ValueError, match="of must be C8 or D4"):
        from_equivision(bare(whole), of="c4")
    as_d4, _ = from_equivision(bare(whole), of="d4")
    assert as_d4.group.name == "d4"


def test_functions_that_nobody_knows_are_refused():
    state = saved(small("c4"), functions=False)
    renamed = {name.replace("_[4]", "_[6]").replace("_4", "_6"): tensor for name, tensor in state.items()}
    with pytest.raises(ValueError, match="'conv1' has neither, and those of escnn"):
        from_equivision(renamed)


def test_every_tensor_is_used_or_named(whole):
    with pytest.raises(ValueError, match=r"has beyond it 1 tensor, the first is 'conv9\.weights'"):
        from_equivision({**whole, "conv9.weights": torch.ones(3)})
    with pytest.raises(ValueError, match=r"lacks 1 tensor, the first is 'layer2\.0\.bn1"):
        from_equivision({name: value for name, value in whole.items() if name != "layer2.0.bn1.batch_norm_[8].bias"})
    with pytest.raises(ValueError, match="have the shape"):
        from_equivision({**whole, "layer2.0.conv1.weights": torch.ones(7)})
    with pytest.raises(ValueError, match="must be filters of C8 or D4"):
        from_equivision(with_filter(whole))
    with pytest.raises(ValueError, match="group must be a subgroup of C8"):
        from_equivision(whole, group="d4")


def with_filter(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with first filters that are of no group."""
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("conv1.")}
    return kept | {"conv1.filter": torch.randn(8, 3, 7, 7)}


def test_it_is_saved_and_loaded_with_what_belongs_to_it(whole, tmp_path):
    prefixed = {f"model.{name}": tensor for name, tensor in whole.items()}
    model, report = from_equivision(prefixed, group="c4")
    model.eval().save_pretrained(tmp_path)
    loaded = load(tmp_path)
    images = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(loaded(images), model(images))
    assert loaded.preprocessing.size == (225, 225)
    assert loaded.structure["tied"] == 2
    assert report.model == "c4_resnet18_strided_w8"
    with pytest.raises(ValueError, match="Nearest valid sizes"):
        loaded(torch.randn(1, 3, 32, 32))
