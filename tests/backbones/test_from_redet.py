"""ReDet's ReResNet in our layers: every layer against escnn's, the whole against ReDet's own computation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eqmodels import PlanarGroup, create_model
from eqmodels.backbones import RedetReport, SteerableResNet, from_redet
from eqmodels.backbones.escnn_modules import import_escnn
from eqmodels.backbones.escnn_weights import pair_kernels
from eqmodels.evaluation import assert_equivariant
from eqmodels.fields import Regular
from eqmodels.layers import FieldBatchNorm2d, SteerableConv2d

BASIS = "_basisexpansion.block_expansion_('regular', 'regular').sampled_basis"
STRIDED = [f"layer{stage}.0.{name}" for stage in (2, 3, 4) for name in ("conv2", "downsample.0")]
FORMS = ["coefficients", "filters"]


def build(architecture: str = "resnet50", group: str = "c8", **options) -> SteerableResNet:
    """A narrow network of ReDet's layers, two fields in the first stage."""
    width = 2 * PlanarGroup.parse(group).order
    options = {"kernel_size": 3, "basis": "harmonic", "global_pool": "regular"} | options
    return SteerableResNet(architecture, group, width=width, num_classes=5, **options)


def redet_state(model: SteerableResNet, form: str = "coefficients") -> dict[str, Tensor]:
    """The state dict that e2cnn would save of the same network: field-major, in a basis that is not ours."""
    order = model.group.order
    state: dict[str, Tensor] = {}
    bases: dict[tuple[int, bool], tuple[Tensor, Tensor]] = {}
    for name, module in model.named_modules():
        layer = {"stem.conv": "conv1", "stem.bn": "bn1"}.get(name, name)
        if isinstance(module, SteerableConv2d):
            if form == "filters":
                state[f"{layer}.filter"] = field_major_filter(module)
                continue
            key = (module.kernel_size, module.lifting)
            if key not in bases:
                kernels = pair_kernels(module)
                mixture = torch.linalg.qr(torch.randn(len(kernels), len(kernels), dtype=torch.float64)).Q
                bases[key] = mixture, (mixture @ kernels).view(len(kernels), order, module.fibre, -1).float()
            mixture, functions = bases[key]
            state[f"{layer}.weights"] = (mixture @ module.weight.double().flatten(1)).T.flatten().float()
            state[f"{layer}.{BASIS}"] = functions
        elif isinstance(module, FieldBatchNorm2d):
            state |= {f"{layer}.batch_norm_[{order}].{key}": value for key, value in module.bn.state_dict().items()}
            state[f"{layer}.indices_{order}"] = torch.tensor([0, order * module.fields])
    state["head.fc.weight"] = model.map_field.to_escnn(model.fc.weight)
    state["head.fc.bias"] = model.fc.bias
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def field_major_filter(conv: SteerableConv2d) -> Tensor:
    order = conv.group.order
    blocks = conv.expanded().unflatten(0, (order, conv.out_fields)).unflatten(2, (conv.fibre, conv.in_fields))
    return blocks.permute(1, 0, 3, 2, 4, 5).flatten(2, 3).flatten(0, 1)


def redet_stages(state: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    """What ReDet's network computes of its expanded filters, by stages: strided convolutions, field-major."""

    def conv(maps, name, stride=1):
        filters = state[f"{name}.filter"]
        return F.conv2d(maps, filters, stride=stride, padding=filters.shape[-1] // 2)

    def norm(maps, name):
        scale, shift, mean, variance = (
            state[f"{name}.batch_norm_[8].{key}"] for key in ("weight", "bias", "running_mean", "running_var")
        )
        fields = maps.unflatten(1, (-1, 8))
        return F.batch_norm(fields, mean, variance, scale, shift, eps=1e-5).flatten(1, 2)

    maps = F.max_pool2d(norm(conv(images, "conv1", 2), "bn1").relu(), 3, 2, 1)
    stages = []
    for stage, depth in enumerate((3, 4, 6, 3), start=1):
        for number in range(depth):
            block, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            residual = norm(conv(maps, f"{block}.conv1"), f"{block}.bn1").relu()
            residual = norm(conv(residual, f"{block}.conv2", stride), f"{block}.bn2").relu()
            residual = norm(conv(residual, f"{block}.conv3"), f"{block}.bn3")
            if number == 0:
                maps = norm(conv(maps, f"{block}.downsample.0", stride), f"{block}.downsample.1")
            maps = (residual + maps).relu()
        stages.append(maps)
    return stages


def our_stages(model: SteerableResNet, images: Tensor) -> list[Tensor]:
    maps, stages = model.stem(images), []
    for name in ("layer1", "layer2", "layer3", "layer4"):
        maps = model.get_submodule(name)(maps)
        stages.append(Regular(model.group, maps.shape[1] // model.group.order).to_escnn(maps))
    return stages


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


@pytest.fixture(scope="module")
def network() -> SteerableResNet:
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.3)
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2.0)
    return model


@pytest.fixture(scope="module")
def converted(network) -> tuple[SteerableResNet, RedetReport]:
    model, report = from_redet(redet_state(network))
    return model.eval(), report


@pytest.fixture(scope="module")
def small() -> SteerableResNet:
    """A network with few layers, for what does not depend on them."""
    torch.manual_seed(0)
    return build("resnet18")


@pytest.fixture(scope="module")
def small_state(small) -> dict[str, Tensor]:
    return redet_state(small)


# Equality -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_both_forms_give_the_network_that_the_checkpoint_is_of(network, form):
    model, report = from_redet(redet_state(network, form))
    assert model.structure == network.structure
    assert model.global_pool.mode == "regular"
    for (name, ours), expected in zip(model.state_dict().items(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5, msg=name)
    assert {layer.status for layer in report.layers} == {"exact"}
    assert report.worst.residual < 1e-6


def test_stem_and_first_stage_are_redets_at_sizes_4n_plus_1(network, converted):
    images = torch.randn(2, 3, 17, 21)
    with torch.no_grad():
        ours, theirs = our_stages(converted[0], images), redet_stages(redet_state(network, "filters"), images)
    assert distance(ours[0], theirs[0]) < 1e-5
    # From there on ReDet takes every second pixel and we a mean: the same shapes, other values.
    assert [stage.shape for stage in ours] == [stage.shape for stage in theirs]
    assert distance(ours[1], theirs[1]) > 0.1


def test_with_redets_strides_the_whole_network_is_redets(network):
    state = redet_state(network, "filters")
    model, report = from_redet(state, downsampling="stride")
    assert not any(layer.note for layer in report.layers)
    model.double().eval()
    with pytest.raises(ValueError, match=r"got size 1024\. Nearest valid sizes: 1023 and 1025"):
        model(torch.zeros(1, 3, 1024, 1024, dtype=torch.float64))
    images = torch.randn(2, 3, 33, 65, dtype=torch.float64)
    with torch.no_grad():
        ours = our_stages(model, images)
        theirs = redet_stages({name: tensor.double() for name, tensor in state.items()}, images)
        for mine, yours in zip(ours, theirs, strict=True):
            assert distance(mine, yours) < 1e-5
        scores = F.linear(theirs[-1].mean((2, 3)), state["head.fc.weight"].double(), state["head.fc.bias"].double())
        assert distance(model(images), scores) < 1e-5


def test_the_whole_network_turns_with_the_image(converted):
    # Without the classifier, whose scores are a learned function of the pose.
    features = torch.nn.Sequential(*list(converted[0].children())[:-1])
    assert_equivariant(features, size=(33, 40), randomised=False)


@pytest.mark.parametrize(("architecture", "group"), [("resnet18", "c4"), ("resnet18", "c6"), ("resnet34", "c4")])
def test_depth_group_and_channels_are_read_off_the_checkpoint(architecture, group):
    theirs = build(architecture, group, in_chans=1)
    model, report = from_redet(redet_state(theirs))
    assert model.structure == theirs.structure
    assert (model.in_chans, model.num_classes) == (1, 5)
    assert create_model(report.model).structure == model.structure, "the name alone builds the network"
    assert report.worst.residual < 1e-6


# Against escnn ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def escnn_layers() -> dict[str, nn.Module]:
    """escnn's layers with ReDet's options, at three places of the network, in eval mode: there they hold filters."""
    escnn, group = import_escnn(), PlanarGroup.parse("c8")
    images, two, eight = escnn.images(group, 3), escnn.regular(group, 2), escnn.regular(group, 8)

    def conv(in_type, out_type, kernel_size, stride=1):
        options = {"bias": False, "sigma": None, "frequencies_cutoff": lambda r: 3 * r, "initialize": False}
        layer = escnn.nn.R2Conv(in_type, out_type, kernel_size, stride=stride, padding=kernel_size // 2, **options)
        nn.init.normal_(layer.weights)
        return layer

    layers = {
        "conv1": conv(images, two, 7, 2),
        "layer1.0.conv2": conv(two, two, 3),
        "layer1.0.conv3": conv(two, eight, 1),
    }
    norm = escnn.nn.InnerBatchNorm(two)
    for statistic in norm.parameters():
        nn.init.uniform_(statistic, 0.5, 1.5)
    getattr(norm, "batch_norm_[8]").running_mean.normal_()
    return {name: layer.eval() for name, layer in {**layers, "bn1": norm}.items()}


@pytest.mark.escnn
@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_layer_is_escnns(network, escnn_layers, form):
    state = redet_state(network)
    for name, layer in escnn_layers.items():
        state = {key: value for key, value in state.items() if not key.startswith(f"{name}.")}
        own = {f"{name}.{key}": value for key, value in layer.state_dict().items()}
        unwanted = ("filter",) if form == "coefficients" else ("weights", "sampled_basis")
        state |= {key: value for key, value in own.items() if not key.endswith(unwanted)}
    model, report = from_redet(state)
    model.eval()
    ours = {layer.source: model.get_submodule(layer.target) for layer in report.layers}
    residuals = {layer.source: layer.residual for layer in report.layers}
    for name, theirs in escnn_layers.items():
        assert residuals[name] < 1e-6
        maps = torch.randn(2, theirs.in_type.size, 17, 21)
        grouped = ours[name].in_field.from_escnn(maps)
        with torch.no_grad():
            expected = ours[name].out_field.from_escnn(theirs(theirs.in_type(maps)).tensor)
            assert distance(ours[name](grouped), expected) < 1e-5, name


# Checkpoints in the wild --------------------------------------------------------------------------------------------


def test_a_stale_copy_of_the_filter_is_ignored(small, small_state):
    state = small_state
    expected, _ = from_redet(state)
    stale = {
        name: torch.zeros_like(tensor) for name, tensor in redet_state(small, "filters").items() if "filter" in name
    }
    model, _ = from_redet(state | stale)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected.parameters(), strict=True))


def test_of_a_detector_only_the_backbone_is_mapped(small_state):
    state = dict(small_state)
    classifier = {name: state.pop(name) for name in ("head.fc.weight", "head.fc.bias")}
    detector = {f"backbone.{name}": tensor for name, tensor in state.items()}
    detector |= {"neck.0.weights": torch.ones(2), "neck.0.filter": torch.ones(3), "rpn_head.bias": torch.ones(1)}
    model, report = from_redet({f"module.{name}": tensor for name, tensor in detector.items()})
    assert (model.num_classes, model.global_pool.mode) == (0, "invariant")
    rest = [(layer.source, layer.target, layer.note) for layer in report.layers if layer.status == "not mapped"]
    assert rest == [
        ("neck.*", None, "no part of the encoder, tensors: 2"),
        ("rpn_head.*", None, "no part of the encoder, tensors: 1"),
    ]
    assert "0 with a residual, 2 not mapped" in str(report)
    raw, _ = from_redet({f"backbone.{name}": tensor for name, tensor in state.items()} | classifier)
    assert raw.num_classes == 5
    assert torch.equal(raw.fc.weight, raw.map_field.from_escnn(classifier["head.fc.weight"]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_dtype_is_kept_and_its_rounding_reported(small, dtype):
    filters = redet_state(small, "filters")
    model, report = from_redet({n: t.to(dtype) if t.is_floating_point() else t for n, t in filters.items()})
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert report.worst.status == ("residual" if dtype == torch.bfloat16 else "exact")
    assert report.worst.residual < 2e-3


def test_the_report_says_what_differs(converted):
    _, report = converted
    assert report.model == "c8_resnet50_k3_w16"
    assert len(report.layers) == 2 * 53 + 2
    assert [layer.source for layer in report.layers if layer.note] == ["conv1", "maxpool", *STRIDED]
    assert all("stride 2 there" in layer.note for layer in report.layers if layer.source in STRIDED)
    assert [report.layers[0].source, report.layers[-1].source] == ["conv1", "head.fc"]
    lines = str(report).splitlines()
    assert lines[0] == "c8_resnet50_k3_w16 from a ReResNet: 108 mapped exactly, 0 with a residual, 0 not mapped"
    assert len(lines) == 2 + 1 + 8
    assert max(map(len, lines)) <= 160


# What is refused ----------------------------------------------------------------------------------------------------


def test_a_filter_outside_of_the_kernels(small):
    state = redet_state(small, "filters")
    state["layer1.0.conv1.filter"] = torch.randn_like(state["layer1.0.conv1.filter"])
    message = r"relative residual of 1e-02; 1 of 20 are not, the worst is 'layer1.0.conv1' with 9\.\de-01"
    with pytest.raises(ValueError, match=message):
        from_redet(state)
    _, report = from_redet(state, tolerance=0.99)
    assert (report.worst.source, report.worst.status) == ("layer1.0.conv1", "residual")


def test_filters_of_another_group_of_the_same_order():
    filters = redet_state(build("resnet18", "d4"), "filters")
    with pytest.raises(ValueError, match=r"must be a kernel of C8 .* Networks of another group"):
        from_redet(filters)


def test_another_order_than_the_filters_have(small):
    for form in FORMS:
        state = redet_state(small, form)
        renamed = {n.replace("[8]", "[4]").replace("indices_8", "indices_4"): t for n, t in state.items()}
        with pytest.raises(ValueError, match=r"conv1\..* must be floating point and have the shape \("):
            from_redet(renamed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bn1.batch_norm_[8].weight": None}, "names the order N of its group; got 0 such names"),
        ({"bn1.batch_norm_[8].bias": None}, r"it lacks 1 tensor, the first is 'bn1.batch_norm_\[8\].bias'"),
        ({"layer4.1.conv2.weights": None}, "it lacks 1 tensor, the first is 'layer4.1.conv2.weights'"),
        ({"head.fc.bias": None}, "it lacks 1 tensor, the first is 'head.fc.bias'"),
        ({f"layer4.1.conv2.{BASIS}": None}, "1 convolutions have neither, the first is 'layer4.1.conv2.weights'"),
        ({"layer1.0.conv1.expanded_bias": torch.ones(2)}, "it has beyond it 1 tensor.*'layer1.0.conv1.expanded_bias'"),
        ({"layer5.0.conv1.weights": torch.ones(2)}, "it has beyond it 1 tensor.*'layer5.0.conv1.weights'"),
        ({"layer1.0.conv1.weights": torch.ones(2)}, r"'layer1.0.conv1.weights' .* the shape \(256,\).*got .*\(2,\)"),
        ({f"conv1.{BASIS}": torch.ones(40, 8, 49)}, "must have 4 axes, none of them empty"),
        ({f"conv1.{BASIS}": torch.ones(0, 8, 1, 49)}, "must have 4 axes, none of them empty"),
        ({"layer1.0.bn1.batch_norm_[8].bias": torch.ones(3)}, r"the shape \(2,\), .* got torch.float32 and \(3,\)"),
        ({"bn1.batch_norm_[8].weight": torch.ones(2, dtype=torch.int64)}, "must be floating point.*got torch.int64"),
        ({"head.fc.weight": torch.ones(5, 64)}, r"'head.fc.weight' .* the shape \(5, 128\)"),
        ({"layer1.0.conv1.weights": torch.full((256,), torch.nan)}, "weights must be finite; 1 of .*'layer1.0.conv1"),
        ({"layer3.2.conv1.weights": torch.ones(2)}, r"got \(2, 2, 3, 2\) blocks of 2 convolutions"),
    ],
    ids=lambda value: next(iter(value)).partition("[")[0].partition("(")[0] if isinstance(value, dict) else "",
)
def test_a_checkpoint_that_is_not_whole(small_state, changes, message):
    state = {name: tensor for name, tensor in (small_state | changes).items() if tensor is not None}
    with pytest.raises(ValueError, match=message):
        from_redet(state)


def test_torchvisions_networks_have_their_own_function(small_state):
    torchvisions = {name.replace("batch_norm_[8].", ""): tensor for name, tensor in small_state.items()}
    with pytest.raises(ValueError, match="there is from_torchvision"):
        from_redet(torchvisions)


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_an_impossible_tolerance(tolerance):
    with pytest.raises(ValueError, match=r"tolerance must be a relative residual in \[0, 1\); got"):
        from_redet({}, tolerance=tolerance)
