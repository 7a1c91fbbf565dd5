"""`to_onnx`: onnxruntime computes what the model computes."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from eqmodels import create_model
from eqmodels.backbones import as_encoder
from eqmodels.export import to_onnx, to_plain
from eqmodels.layers import ExactDownsample2d, GroupPool, OddSize2d, SteerableConv2d
from eqmodels.transforms import Preprocessing

MISSING = "needs the packages onnx and onnxscript; onnxscript cannot be imported. Run: pip install onnxscript$"


def assert_onnxruntime_agrees(path, model, images, tolerance=1e-4):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = model.eval()(images)
    (outputs,) = session.run(["output"], {"images": images.numpy()})
    error = (torch.from_numpy(outputs) - expected).abs().max() / expected.abs().max()
    assert float(error) < tolerance


def test_onnxruntime_agrees_at_any_batch_size(tmp_path, randomised, shallow):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, global_pool="invariant+regular"))
    path = to_onnx(model, tmp_path / "model.onnx", size=(16, 21))
    assert model.training, "the model is left in its mode"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"], "one file, and no temporary one"
    for batch in (1, 2, 5):
        assert_onnxruntime_agrees(path, model, torch.randn(batch, 3, 16, 21))


@pytest.mark.tracing
def test_onnxruntime_agrees_with_canonical_features(tmp_path, randomised, shallow):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, global_pool="canonical"))
    path = to_onnx(model, tmp_path / "model.onnx", size=16)
    assert_onnxruntime_agrees(path, model, torch.randn(3, 3, 16, 16))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1"), "dropout": 0.1}),
        ("d4_resnet50_w8", {"group_pool": "norm", "num_classes": 0}),
        ("c4_resnet18s_w8", {"norm": "layer", "group_pool": "mean", "in_chans": 1}),
        ("resnet18s_w4", {}),
    ],
)
def test_onnxruntime_agrees_with_every_family(name, options, tmp_path, randomised):
    model = randomised(create_model(name, **options))
    path = to_onnx(model, tmp_path / "model.onnx", size=33, batch=2)
    assert_onnxruntime_agrees(path, model, torch.randn(2, model.in_chans, 33, 33))


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    class Program:
        model = SimpleNamespace(opset_imports={"": 18}, metadata_props={})

        def save(self, path, **options):
            with open(path, "w", encoding="utf-8") as file:
                file.write("half of")
            raise OSError("disk full")

    path = tmp_path / "model.onnx"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **options: Program())
    with pytest.raises(OSError, match="disk full"):
        to_onnx(create_model("c4_resnet18s_w8"), path, size=16)
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ModuleNotFoundError, match=MISSING):
        to_onnx(create_model("c4_resnet18s_w8"), tmp_path / "model.onnx")


def test_the_network_knows_its_size_and_the_file_says_what_it_is(tmp_path, randomised, shallow):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, in_chans=1))
    model.preprocessing = Preprocessing((0.25,), (0.5,), (14, 18))
    path = to_onnx(model, tmp_path / "model.onnx")
    assert_onnxruntime_agrees(path, model, torch.randn(3, 1, 14, 18))
    found = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    known = found.get_modelmeta().custom_metadata_map
    said = ("mean", "std", "resize", "size", "num_classes", "group", "out_field")
    assert {name: json.loads(known[name]) for name in said} == {
        "mean": [0.25],
        "resize": "crop",
        "std": [0.5],
        "size": [14, 18],
        "num_classes": 3,
        "group": "c4",
        "out_field": str(model.out_field),
    }
    assert vars(to_plain(model))["size"] == (14, 18)
    assert vars(to_plain(create_model("c4_resnet18s_w8")))["size"] == (32, 32)


@pytest.mark.parametrize(
    "opset", [pytest.param(17, marks=pytest.mark.slow), 18, pytest.param(20, marks=pytest.mark.slow)]
)
def test_the_operator_set_is_the_one_that_was_asked_for_or_refused(opset, tmp_path, shallow):
    model, path = create_model("c4_resnet18s_w4", num_classes=3), tmp_path / "model.onnx"
    if opset == 18:
        to_onnx(model, path, size=16, opset=opset)
    else:  # which of the others are written depends on PyTorch
        with contextlib.suppress(ValueError):
            to_onnx(model, path, size=16, opset=opset)
    if path.is_file():
        assert [entry.version for entry in onnx.load(path).opset_import if entry.domain == ""] == [opset]


@pytest.mark.parametrize("opset", [pytest.param(3, marks=pytest.mark.slow), 99])
def test_an_operator_set_that_is_not_written_is_refused(opset, tmp_path, shallow):
    with pytest.raises(
        ValueError, match=rf"^opset must be one that PyTorch .* got {opset}, and it wrote \d+\. Pass opset="
    ):
        to_onnx(create_model("c4_resnet18s_w4", num_classes=3), tmp_path / "model.onnx", size=16, opset=opset)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("opset", "error"), [("18", TypeError), (0, ValueError), (True, TypeError)])
@pytest.mark.usefixtures("no_shape_checks")
def test_a_wrong_operator_set_is_refused(opset, error, tmp_path):
    with pytest.raises(error, match=r"^opset must be "):
        to_onnx(create_model("c4_resnet18s_w8"), tmp_path / "model.onnx", opset=opset)


@pytest.mark.parametrize("batch", [0, -1, "any", True])
@pytest.mark.usefixtures("no_shape_checks")
def test_a_wrong_batch_is_refused(batch, tmp_path):
    with pytest.raises(
        ValueError, match=rf"batch must be a positive integer or 'dynamic'; got {batch!r}\. Use 'dynamic'"
    ):
        to_onnx(create_model("c4_resnet18s_w8"), tmp_path / "model.onnx", batch=batch)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"path must lie in a folder that exists; got .* Create .*absent first\."
    ):
        to_onnx(create_model("c4_resnet18s_w8"), tmp_path / "absent" / "model.onnx")


# Any size.

SIZES = [(16, 16), (36, 36), (33, 31), (17, 40), (9, 23), (65, 34)]


@pytest.mark.parametrize(
    "name",
    [
        # Each layer of open sizes is exported each time.
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("c4_resnet18s_w4", "d4_resnet18_w8", "d8_wide_resnet16_8_w16", "resnet18s_w8")
        ),
    ],
)
def test_one_file_is_exact_at_every_size(name, tmp_path, randomised, shallow):
    model = randomised(create_model(name, num_classes=3)).eval()
    if not hasattr(torch.compiler, "is_exporting"):  # earlier versions close sizes, some without a word: it is noticed
        with pytest.raises(ValueError, match=r"holds at every size; got 'any'\. Pass the size, or use PyTorch"):
            to_onnx(model, tmp_path / "model.onnx", size="any")
        return
    before = torch.get_rng_state()
    path = to_onnx(model, tmp_path / "model.onnx", size="any")
    assert torch.equal(torch.get_rng_state(), before), "random numbers are the caller's"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for height, width in SIZES:
        image = torch.randn(2, 3, height, width)
        assert_onnxruntime_agrees(path, model, image, tolerance=5e-6)
        if model.group.order > 1:
            scores, turned = (session.run(None, {"images": x.numpy()})[0] for x in (image, image.rot90(1, (-2, -1))))
            assert abs(scores - turned).max() < 1e-5 * abs(scores).max()
    assert session.get_modelmeta().custom_metadata_map["size"] == '"any"'
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]


@pytest.mark.parametrize("layer", [ExactDownsample2d("mean"), ExactDownsample2d("max"), OddSize2d()], ids=repr)
def test_a_layer_that_others_export_with_open_sizes_is_exact(layer):
    images = torch.randn(2, 3, 8, 12)
    sizes = {2: torch.export.Dim("height", min=2), 3: torch.export.Dim("width", min=2)}
    try:
        program = torch.onnx.export(layer.eval(), (images,), dynamo=True, dynamic_shapes=(sizes,), verbose=False)
    except torch.onnx.errors.OnnxExporterError:
        # PyTorch 2.6 does not tell the layer that a size is open, and refuses; `to_onnx` exports it all the same.
        assert not hasattr(torch.compiler, "is_exporting")
        return
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in [(9, 9), (8, 8), (2, 3), (5, 12)]:
        images = torch.randn(2, 3, height, width)
        (outputs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        torch.testing.assert_close(torch.from_numpy(outputs), layer(images), rtol=0, atol=1e-6)


def test_a_network_that_is_exact_at_some_sizes_alone_is_not_for_any(tmp_path, shallow):
    model = create_model("c4_resnet18_w4", num_classes=3, downsampling="stride")
    sentence = (
        r"^size must be a number, as the network has strided .* got 'any'\. Pass the size of the images\. \(With 64"
    )
    with pytest.raises(ValueError, match=sentence):
        to_onnx(model, tmp_path / "model.onnx", size="any")
    with pytest.raises(ValueError, match=sentence):
        to_onnx(nn.Sequential(model), tmp_path / "model.onnx", size="any", in_chans=3)
    assert not list(tmp_path.iterdir())


# Modules that are no encoders of this package.


class Several(nn.Module):
    """Feature maps, and what is pooled of them, by their names."""

    def __init__(self):
        super().__init__()
        self.lifting = SteerableConv2d("c4", 3, 2, 3, lifting=True)
        self.halve, self.pool = ExactDownsample2d(), GroupPool("c4")

    def forward(self, images):
        maps = self.halve(self.lifting(images).relu())
        return {"maps": maps, "invariant": self.pool(maps)}


def test_a_module_with_several_outputs_is_exported_with_their_names(tmp_path):
    model = Several().eval()
    path, images = to_onnx(model, tmp_path / "model.onnx", in_chans=3, size=15), torch.randn(3, 3, 15, 15)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["maps", "invariant"]
    with torch.no_grad():
        expected = model(images)
    for name, found in zip(expected, session.run(None, {"images": images.numpy()}), strict=True):
        torch.testing.assert_close(torch.from_numpy(found), expected[name], rtol=0, atol=1e-5)


def test_an_encoder_of_somebody_elses_says_its_images_itself(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    encoder = as_encoder(network, in_chans=1, size=(12, 10), mean=[0.5], std=[0.25])
    path = to_onnx(encoder, tmp_path / "model.onnx")
    assert_onnxruntime_agrees(path, encoder, torch.randn(3, 1, 12, 10))
    known = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_modelmeta()
    assert {name: json.loads(known.custom_metadata_map[name]) for name in ("size", "mean", "std")} == {
        "size": [12, 10],
        "mean": [0.5],
        "std": [0.25],
    }


class Nothing(nn.Module):
    def forward(self, images):
        return None


@pytest.mark.parametrize(
    ("model", "options", "error", "sentence"),
    [
        (
            nn.Flatten(),
            {},
            ValueError,
            "in_chans must be given, as a Flatten does not say how many",
        ),
        (nn.Flatten(), {"in_chans": 0}, ValueError, "in_chans must be at least 1; got 0."),
        (as_encoder(nn.Flatten(), in_chans=2), {"in_chans": 3}, ValueError, "in_chans must be 2, the channels of the "),
        (torch.flatten, {}, TypeError, "model must be a torch.nn.Module; got "),
        (Several(), {"in_chans": 1, "size": "all"}, TypeError, "size must be an integer or a pair "),
        (
            Nothing(),
            {"in_chans": 1},
            TypeError,
            "model must return a tensor, or tensors in a list or by name",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_cannot_be_exported_is_refused(model, options, error, sentence, tmp_path):
    with pytest.raises(error, match=f"^{sentence}"):
        to_onnx(model, tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())
