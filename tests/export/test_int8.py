"""A file of 8 bits is near its network and as equivariant, and says how near."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from eqmodels import create_model
from eqmodels.cli import main
from eqmodels.export import Int8Report, export_int8
from eqmodels.transforms import Preprocessing

pytestmark = [pytest.mark.tracing, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def network(randomised, shallow):
    made = randomised(create_model("c4_resnet18s_w8", in_chans=3, num_classes=2)).eval()
    made.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (12, 12))
    return made


@pytest.mark.parametrize("kind", ["static", pytest.param("dynamic", marks=pytest.mark.slow)])
def test_convolutions_are_of_8_bits_and_turned_images_still_get_the_same(network, tmp_path, kind):
    images, file = torch.randn(8, 3, 12, 12), tmp_path / "small.onnx"
    labels = network(images).argmax(1)
    report = export_int8(network, file, images, kind=kind, labels=labels, classes=["a", "b"])
    assert report.agreement >= 0.75
    assert report.accuracy == (1.0, report.agreement)
    assert report.equivariance < 1e-4
    program = onnx.load(file)
    assert {one.data_type for one in program.graph.initializer} & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    assert {one.key: json.loads(one.value) for one in program.metadata_props} == report.metadata
    assert report.metadata["classes"] == ["a", "b"]
    (found,) = onnxruntime.InferenceSession(file).run(None, {"images": images.numpy()})
    expected = network(images).detach()
    assert 0 < float((torch.from_numpy(found) - expected).norm() / expected.norm()) < 0.3


def test_what_cannot_be_quantised_is_refused(network, tmp_path):
    images = torch.randn(2, 3, 12, 12)
    for given, options, sentence in (
        (images, {"kind": "half"}, "^kind must be one of static, dynamic; got 'half'"),
        (images[:, :1], {}, r"^images must be some of the shape \(N, 3, H, W\); got \(2, 1, 12, 12\)"),
        (images, {"labels": torch.zeros(3)}, "^labels must be one an image; got 3 of 2"),
    ):
        with pytest.raises(ValueError, match=sentence):
            export_int8(network, tmp_path / "small.onnx", given, **options)
    with pytest.raises(FileNotFoundError, match=r"^file must be a name in a folder that exists"):
        export_int8(network, tmp_path / "nowhere" / "small.onnx", images)


def test_the_command_takes_its_images_and_classes_from_folders(network, tmp_path, capsys, monkeypatch):
    network.classes = ("cat", "dog")
    network.save_pretrained(tmp_path / "small")
    for number in range(4):
        file = tmp_path / "mine" / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (12, 12, 3), np.uint8)).save(file)
    command = ["export", str(tmp_path / "small"), "--out", str(tmp_path / "small.onnx"), "--int8", "static"]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("eqmodels: --int8 needs --images; got none.")
    command += ["--images", str(tmp_path / "mine")]
    assert main([*command, "--size", "any"]) == 2
    assert capsys.readouterr().err.startswith("eqmodels: --int8 is for ONNX files of one size")
    assert main(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert "static 8 bits, 4 images: file and network say the same class" in said[0]
    assert said[1].startswith("accuracy: ")
    assert said[2].startswith("equivariance error of the file: ")
    asked = []
    report = Int8Report("small.onnx", "static", {}, 4, 1.0, None, None)
    monkeypatch.setattr("eqmodels.cli.export.export_int8", lambda *_, **options: asked.append(options) or report)
    assert main([*command, "--opset", "20", "--json"]) == 0
    assert (asked[0]["opset"], asked[0]["kind"]) == (20, "static")
    assert json.loads(capsys.readouterr().out)["agreement"] == 1.0
