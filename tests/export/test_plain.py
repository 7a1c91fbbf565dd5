"""`to_plain`: the same function of the image, made of nothing but torch."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from torch import fx, nn
from torch.testing import assert_close

from eqmodels import create_model, list_models
from eqmodels.export import to_plain
from eqmodels.layers import SteerableConv2d, SteerableLinear

each_fold = pytest.mark.parametrize(
    "fold", [pytest.param(False, marks=pytest.mark.slow, id="as_is"), pytest.param(True, id="folded")]
)
RESTRICTED = {"restrict": ("d8", "d4", "d1")}
OFTEN = {"c1_resnet18s", "c4_resnet18", "c8_resnet34s", "d4_resnet50s", "d8_wide_resnet16_8", "resnet18", "resnet50s"}
"""Of every group, stem, block and depth one that is tested each time; the rest is among the long checks."""


def assert_children_agree(plain, model, images, tolerance=1e-5):
    """Every child gives the same output for the same input, relative to the largest value, and so does the whole."""
    assert [name for name, _ in plain.named_children()] == [name for name, _ in model.named_children()]
    with torch.no_grad():
        maps = images
        for (name, child), stock in zip(model.named_children(), plain.children(), strict=True):
            before = maps.clone()
            expected, maps = child(maps), stock(maps)
            assert_close(
                maps, expected, rtol=0, atol=tolerance * float(expected.abs().max()), msg=lambda m, n=name: n + m
            )
            maps = expected
            assert child is not stock
            assert name == "stem" or not torch.equal(before, torch.zeros_like(before)), "the test sees no signal"
        assert_close(plain(images), maps, rtol=0, atol=tolerance * float(maps.abs().max()))


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in list_models(takes="images")],
)
def test_every_registered_model_keeps_its_children_and_outputs(name, randomised):
    model = randomised(create_model(name, width=16, num_classes=5)).eval()
    images = torch.randn(2, 3, 16, 24)
    for fold in (False, True):
        assert_children_agree(to_plain(model, size=(16, 24), fold_batch_norm=fold), model, images)


@pytest.mark.parametrize(
    "size", [17, (28, 40), *(pytest.param(size, marks=pytest.mark.slow) for size in (30, (33, 18)))], ids=str
)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c4_resnet18_w8", {}),
        ("d4_resnet50_w8", {}),
        ("d8_wide_resnet16_8_w16", RESTRICTED),
        ("resnet18_w4", {}),
    ],
    ids=str,
)
def test_at_every_size(name, options, size, randomised):
    model = randomised(create_model(name, num_classes=3, **options)).eval()
    height, width = size if isinstance(size, tuple) else (size, size)
    plain = to_plain(model, size=size, fold_batch_norm=True)
    assert_children_agree(plain, model, torch.randn(2, 3, height, width))


@each_fold
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[("c4_resnet18s_w8", {"group_pool": mode}) for mode in ("max", "mean", "norm")],
        *[("c4_resnet18s_w8", {"global_pool": mode}) for mode in ("regular", "invariant+regular")],
        ("c4_resnet18s_w8", {"norm": "layer"}),
        ("c4_resnet18s_w8", {"basis": "harmonic", "kernel_size": 5}),
        ("c4_resnet18s_w8", {"num_classes": 0, "in_chans": 1}),
        ("c6_resnet18_w12", {}),
        ("d8_wide_resnet16_8_w16", RESTRICTED | {"norm": "layer", "dropout": 0.2}),
        ("d4_wide_resnet16_8_w8", {"stem": "imagenet", "restrict": ("d4", "c4", "c1")}),
    ],
    ids=str,
)
def test_with_every_option(name, options, fold, randomised):
    model = randomised(create_model(name, **({"num_classes": 3} | options))).eval()
    plain = to_plain(model, size=20, fold_batch_norm=fold)
    assert_children_agree(plain, model, torch.randn(2, model.in_chans, 20, 20))


@pytest.mark.escnn
def test_a_network_of_escnns_layers_becomes_the_same_plain_network(randomised):
    model = randomised(create_model("c4_resnet18s_w8", backend="escnn", num_classes=3)).eval()
    plain, images = to_plain(model, size=(16, 21)), torch.randn(2, 3, 16, 21)
    with torch.no_grad():
        expected = model(images)
        assert_close(plain(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert not [type(module) for module in plain.modules() if "escnn" in type(module).__module__]


def test_in_double_precision_the_outputs_are_equal_to_rounding(randomised):
    model = randomised(create_model("d4_resnet18s_w8", num_classes=3)).double().eval()
    plain = to_plain(model, size=(20, 25), fold_batch_norm=True)
    assert {value.dtype for value in plain.state_dict().values()} == {torch.float64}
    assert_children_agree(plain, model, torch.randn(2, 3, 20, 25, dtype=torch.float64), tolerance=1e-13)


@pytest.mark.tracing
@pytest.mark.parametrize(
    ("name", "mode", "fold"),
    [
        ("c4_resnet18s_w8", "canonical", False),
        ("c4_resnet18s_w8", "canonical-soft", True),
        ("c4_resnet18s_w8", "weighted", True),
        ("d8_wide_resnet16_8_w16", "canonical", True),
        ("resnet18s_w4", "canonical", False),
    ],
)
def test_canonical_features_are_exported_with_their_pose(name, mode, fold, randomised, tmp_path):
    model = randomised(create_model(name, num_classes=3, global_pool=mode)).double().eval()
    plain, images = to_plain(model, size=16, fold_batch_norm=fold), torch.randn(3, 3, 16, 16, dtype=torch.float64)
    assert_children_agree(plain, model, images, tolerance=1e-12)
    assert type(plain.global_pool.pose.hidden) is nn.Linear
    for g in model.group.exact_elements:
        assert_close(plain(model.group.act(g, images)), plain(images), rtol=0, atol=1e-10)
    for twin in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain))):
        assert torch.equal(twin(images), plain(images))
    torch.save((plain, images, plain(images)), tmp_path / "plain.pt")
    assert b"eqmodels" not in (tmp_path / "plain.pt").read_bytes()


@pytest.mark.tracing
@pytest.mark.escnn
def test_a_network_of_escnns_layers_is_exported_with_its_pose(randomised):
    model = randomised(create_model("c4_resnet18s_w4", backend="escnn", num_classes=3, global_pool="canonical")).eval()
    plain, images = to_plain(model, size=16), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected = model(images)
        assert_close(plain(images), expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "circular"])
def test_padding_and_bias_of_a_convolution_are_kept(padding_mode):
    model = create_model("c4_resnet18s_w8", num_classes=3).eval()
    conv = SteerableConv2d("c4", 3, 2, 5, padding_mode=padding_mode, lifting=True)
    nn.init.normal_(conv.bias)
    model.stem.conv = conv
    plain = to_plain(model, size=16, fold_batch_norm=True)
    assert_children_agree(plain, model, torch.randn(2, 3, 16, 16))
    assert plain.stem.conv.padding_mode == padding_mode


def test_a_steerable_head_becomes_linear():
    model = create_model("c4_resnet18s_w8", num_classes=3, global_pool="regular").eval()
    model.fc = SteerableLinear("c4", 16, 2)
    nn.init.normal_(model.fc.bias)
    plain = to_plain(model, size=16)
    assert_children_agree(plain, model, torch.randn(2, 3, 16, 16))
    assert type(plain.fc) is nn.Linear


@pytest.mark.parametrize("stem", ["s", ""])
def test_state_dict_reads_like_a_resnets(stem):
    plain = to_plain(create_model(f"c4_resnet18{stem}_w8", global_pool="regular"), size=32).state_dict()
    resnet = create_model(f"resnet18{stem}_w8").state_dict()
    assert {key: value.shape for key, value in plain.items()} == {key: value.shape for key, value in resnet.items()}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("c4_resnet50_w8", {"global_pool": "invariant+regular"}),
        ("d8_wide_resnet16_8_w16", RESTRICTED | {"dropout": 0.1, "norm": "layer"}),
        ("resnet18s_w4", {}),
    ],
)
def test_everything_inside_is_torchs(name, options):
    plain = to_plain(create_model(name, **options), size=33)
    assert type(plain) is nn.Sequential
    for module in plain.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                if node.op == "call_function":
                    assert node.target.__module__ in ("_operator", "torch", "torch._C._linalg"), node.target
        else:
            assert type(module).__module__.startswith("torch.nn.modules."), type(module)
    assert not [
        name
        for name, _ in plain.named_buffers()
        if name.split(".")[-1] not in ("running_mean", "running_var", "num_batches_tracked")
    ]


def test_it_loads_where_this_package_is_not_installed(tmp_path, randomised):
    model = randomised(
        create_model("d8_wide_resnet16_8_w16", num_classes=3, norm="layer", dropout=0.1, **RESTRICTED)
    ).eval()
    plain, images = to_plain(model, size=20), torch.randn(2, 3, 20, 20)
    torch.save((plain, images, plain(images)), tmp_path / "plain.pt")
    program = (
        "import sys; sys.modules['eqmodels'] = sys.modules['jaxtyping'] = None\n"
        "import torch\n"
        f"plain, images, outputs = torch.load({str(tmp_path / 'plain.pt')!r}, weights_only=False)\n"
        "assert torch.equal(plain(images), outputs) and plain.size == (20, 20)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda plain: pickle.loads(pickle.dumps(plain))])
def test_it_can_be_copied_and_pickled(duplicate):
    plain, images = to_plain(create_model("c4_resnet18s_w8").eval(), size=(16, 18)), torch.randn(2, 3, 16, 18)
    twin = duplicate(plain)
    assert torch.equal(twin(images), plain(images))
    assert twin.size == (16, 18)


def test_it_serves_every_size_with_the_same_parities_and_no_other(randomised):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3)).eval()
    plain = to_plain(model, size=32)
    for size in ((16, 40), (64, 32)):
        assert_children_agree(plain, model, torch.randn(2, 3, *size))
    images = torch.randn(2, 3, 28, 28)
    assert not torch.allclose(plain(images), model(images), atol=1e-3)


def test_it_is_as_equivariant_as_the_model(randomised):
    model = randomised(create_model("d4_resnet18_w8", num_classes=3)).double().eval()
    plain, images = to_plain(model, size=(20, 20)), torch.randn(2, 3, 20, 20, dtype=torch.float64)
    for g in model.group.elements:
        assert_close(plain(model.group.act(g, images)), plain(images), rtol=0, atol=1e-12)


def test_the_model_is_left_as_it_was_and_nothing_is_shared(randomised):
    model = randomised(create_model("d8_wide_resnet16_8_w16", num_classes=3, **RESTRICTED))
    before = copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    plain = to_plain(model, size=20)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert type(model.layer1[0].bn1).__name__ == "FieldBatchNorm2d"
    used = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
    assert not used & {value.untyped_storage().data_ptr() for value in plain.state_dict().values()}


def test_it_has_the_models_modes_dtypes_and_trainable_weights():
    model = create_model("c4_resnet18s_w8", num_classes=3, norm="batch").to(torch.bfloat16)
    model.layer1.eval()
    model.stem.requires_grad_(False)
    plain = to_plain(model, size=16)
    assert plain.training
    assert plain.layer2[0].bn1.training
    assert not plain.layer1[0].bn1.training
    assert not any(parameter.requires_grad for parameter in plain.stem.parameters())
    assert all(parameter.requires_grad for parameter in plain.layer1.parameters())
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.bfloat16}
    assert not any(module.training for module in to_plain(model.eval(), size=16).modules())


def test_autocast_does_not_lower_the_precision_of_the_weights():
    model = create_model("c4_resnet18s_w8").eval()
    with torch.autocast("cpu", torch.bfloat16):
        plain = to_plain(model, size=16)
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}


def test_memory_is_the_callers_choice():
    model = create_model("c4_resnet18s_w8").eval()
    plain, images = to_plain(model, size=16), torch.randn(2, 3, 16, 16)
    assert all(parameter.is_contiguous() for parameter in plain.parameters())
    outputs = plain(images)
    plain = plain.to(memory_format=torch.channels_last)
    maps = nn.Sequential(*list(plain.children())[:-2])(images.to(memory_format=torch.channels_last))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert_close(plain(images), outputs, rtol=1e-5, atol=1e-5)


def test_folding_leaves_no_batch_norm_but_those_after_a_sum():
    def norms(name):
        plain = to_plain(create_model(name).eval(), size=16, fold_batch_norm=True)
        return {name for name, module in plain.named_modules() if isinstance(module, nn.BatchNorm2d)}

    assert not norms("c4_resnet18s_w8")
    assert not norms("resnet50s_w4")
    assert norms("c4_wide_resnet16_8_w8") == {
        *(f"layer{stage}.{block}.bn1" for stage in (1, 2, 3) for block in (0, 1)),
        "layer4.bn",
    }


def test_dropout_still_drops_whole_fields():
    model = create_model("c4_wide_resnet16_8_w16", dropout=0.5)
    dropout = to_plain(model, size=16).layer1[0].dropout
    dropped = dropout(torch.ones(4, 16, 3, 3)).unflatten(1, (4, 4))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropped[:, :1, :, :1, :1].expand_as(dropped))
    assert torch.equal(dropout.eval()(torch.ones(1, 16, 2, 2)), torch.ones(1, 16, 2, 2))


def test_the_size_is_recorded():
    model = create_model("c4_resnet18s_w8")
    assert to_plain(model).size == (32, 32)
    assert to_plain(model, size=(17, 20)).size == (17, 20)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, r"size must be at least one pixel along both axes; got 0\. Pass"),
        ((32, -1), ValueError, r"size must be at least one pixel along both axes; got \(32, -1\)\. Pass"),
        (32.0, TypeError, r"size must be an integer or a pair .* got 32\.0\. Pass"),
        ((32, 32, 3), TypeError, r"size must be an integer or a pair .* got \(32, 32, 3\)\. Pass"),
        (True, TypeError, r"size must be an integer or a pair .* got True\. Pass"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_a_wrong_size_is_refused(size, error, message):
    with pytest.raises(error, match=message):
        to_plain(create_model("c4_resnet18s_w8"), size=size)


@pytest.mark.usefixtures("no_shape_checks")
def test_another_module_is_refused():
    with pytest.raises(
        TypeError, match=r"must be an encoder of this package, or a module around one; got a Linear, in which there is"
    ):
        to_plain(nn.Linear(2, 2))


def test_folding_in_train_mode_is_refused():
    with pytest.raises(ValueError, match=r"must be in eval mode; got train mode\. Call model\.eval\(\) first\."):
        to_plain(create_model("c4_resnet18s_w8"), fold_batch_norm=True)


def test_what_cannot_be_traced_is_named():
    class Moody(nn.Module):
        def forward(self, maps):
            return maps if maps.shape[2] > 4 else -maps

    model = create_model("c4_resnet18s_w8")
    model.layer1 = Moody()
    with pytest.raises(TypeError, match=r"no stock equivalent of Moody and cannot trace it .* Export a native model"):
        to_plain(model)
