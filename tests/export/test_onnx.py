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

from eqmodels import create_model
from eqmodels.backbones.resnet import RESNET_DEPTHS
from eqmodels.export import to_onnx, to_plain
from eqmodels.transforms import Preprocessing

MISSING = "needs the packages onnx and onnxscript; onnxscript cannot be imported. Run: pip install onnxscript$"


@pytest.fixture
def shallow(monkeypatch):
    """ResNets of five blocks, which are exported in less time."""
    for name, (block, _) in RESNET_DEPTHS.items():
        monkeypatch.setitem(RESNET_DEPTHS, name, (block, (2, 1, 1, 1)))


def assert_onnxruntime_agrees(path, model, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = model.eval()(images)
    (outputs,) = session.run(["output"], {"images": images.numpy()})
    error = (torch.from_numpy(outputs) - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-4


def test_onnxruntime_agrees_at_any_batch_size(tmp_path, randomised):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, global_pool="invariant+regular"))
    path = to_onnx(model, tmp_path / "model.onnx", size=(16, 21))
    assert model.training, "the model is left in its mode"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"], "one file, and no temporary one"
    for batch in (1, 2, 5):
        assert_onnxruntime_agrees(path, model, torch.randn(batch, 3, 16, 21))


@pytest.mark.tracing
def test_onnxruntime_agrees_with_canonical_features(tmp_path, randomised):
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


def test_the_network_knows_its_size_and_the_file_says_what_it_is(tmp_path, randomised):
    model = randomised(create_model("c4_resnet18s_w8", num_classes=3, in_chans=1))
    model.preprocessing = Preprocessing((0.25,), (0.5,), (14, 18))
    path = to_onnx(model, tmp_path / "model.onnx")
    assert_onnxruntime_agrees(path, model, torch.randn(3, 1, 14, 18))
    found = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    known = found.get_modelmeta().custom_metadata_map
    assert {name: json.loads(known[name]) for name in ("mean", "std", "size", "num_classes", "group", "out_field")} == {
        "mean": [0.25],
        "std": [0.5],
        "size": [14, 18],
        "num_classes": 3,
        "group": "c4",
        "out_field": str(model.out_field),
    }
    assert vars(to_plain(model))["size"] == (14, 18)
    assert vars(to_plain(create_model("c4_resnet18s_w8")))["size"] == (32, 32)


@pytest.mark.parametrize("opset", [17, 18, 20])
def test_the_operator_set_is_the_one_that_was_asked_for_or_refused(opset, tmp_path, shallow):
    model, path = create_model("c4_resnet18s_w4", num_classes=3), tmp_path / "model.onnx"
    if opset == 18:
        to_onnx(model, path, size=16, opset=opset)
    else:  # which of the others are written depends on PyTorch
        with contextlib.suppress(ValueError):
            to_onnx(model, path, size=16, opset=opset)
    if path.is_file():
        assert [entry.version for entry in onnx.load(path).opset_import if entry.domain == ""] == [opset]


@pytest.mark.parametrize("opset", [3, 99])
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
