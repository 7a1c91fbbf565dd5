"""A file computes what its network does, says what belongs to it, and is not there otherwise."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import onnx
import pytest
import torch

from eqmodels import EqmodelsError, create_model
from eqmodels.cli import main
from eqmodels.export import export_network, files
from eqmodels.transforms import Preprocessing

pytestmark = [pytest.mark.tracing, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

NOTES = {
    "size": [12, 12],
    "num_classes": 2,
    "group": "c4",
    "out_field": "2 x scalar",
    "mean": [0.5],
    "std": [0.25],
    "resize": "crop",
    "background": "white",
    "classes": ["cat", "dog"],
}


@pytest.fixture
def network(randomised, shallow):
    made = randomised(create_model("c4_resnet18s_w4", in_chans=1, num_classes=2)).eval()
    made.preprocessing = Preprocessing((0.5,), (0.25,), (12, 12))
    return made


def read(file):
    """What a file computes, and its metadata, as people read them."""
    if file.suffix == ".onnx":
        return None, {one.key: json.loads(one.value) for one in onnx.load(file).metadata_props}
    found = {"eqmodels.json": ""}
    if file.suffix == ".pt2":
        return torch.export.load(file, extra_files=found).module(), json.loads(found["eqmodels.json"])
    if file.suffix == ".ts":
        return torch.jit.load(file, _extra_files=found), json.loads(found["eqmodels.json"])
    made = torch.load(file, weights_only=False)
    return made, made.metadata


@pytest.mark.parametrize("ending", [".onnx", ".pt2", ".ts", ".pt"])
def test_a_file_computes_what_its_network_does(network, tmp_path, ending):
    file = tmp_path / f"network{ending}"
    parity = export_network(network, file, classes=["cat", "dog"])
    assert (parity.file, parity.format, parity.metadata) == (str(file), files.ENDINGS[ending], NOTES)
    assert max(parity.upright, parity.turned) < 1e-5 * parity.scale
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    computed, notes = read(file)
    assert notes == NOTES
    if computed is not None:
        images = torch.randn(5, 1, 12, 12)
        with torch.no_grad():
            torch.testing.assert_close(computed(images), network(images), rtol=0, atol=1e-5 * parity.scale)


def test_a_file_that_computes_something_else_is_not_written(network, tmp_path, monkeypatch):
    def wrong(model, asked):
        other, content = create_model("c4_resnet18s_w4", in_chans=1, num_classes=2).eval(), io.BytesIO()
        torch.save(other, content)
        return content.getvalue()

    monkeypatch.setitem(files._WRITERS, "plain", wrong)
    file = tmp_path / "network.pt"
    file.write_text("before")
    with pytest.raises(EqmodelsError, match=r"^the exported network differs by .* was not written"):
        export_network(network, file)
    assert file.read_text() == "before"


def test_what_no_file_can_be_is_refused(network, tmp_path):
    for file, options, sentence in (
        ("network.bin", {}, r"^format is known by the endings \.onnx, \.pt2, \.ts, \.pt; got network\.bin\."),
        ("network.pt", {"format": "jpeg"}, "^format must be one of onnx, torch.export, torchscript, plain; got 'jpeg'"),
        ("network.ts", {"size": "any"}, "^size='any' is for ONNX and plain networks; got format 'torchscript'"),
        ("network.pt", {"size": 0}, "^size must"),
    ):
        with pytest.raises(ValueError, match=sentence):
            export_network(network, tmp_path / file, **options)


def test_the_command_prints_how_far_the_file_is_from_the_network(network, tmp_path, capsys):
    network.save_pretrained(tmp_path / "small")
    command = ["export", str(tmp_path / "small"), "--out", str(tmp_path / "network.pt")]
    assert main(command) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path / 'network.pt'}: plain, images of 1 channels and 12x12 pixels, 2 classes"
    assert second.startswith("largest difference from the network: ")
    assert main([*command, "--json", "--features", "regular", "--size", "any"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content.keys() == asdict(export_network(network, tmp_path / "again.pt")).keys()
    assert (content["metadata"]["size"], content["metadata"]["num_classes"]) == ("any", 0)
    assert main([*command[:3], str(tmp_path / "network.ts"), "--size", "any"]) == 2
    assert capsys.readouterr().err.startswith("eqmodels: --size any is for ONNX and plain networks; got")


def test_the_command_writes_the_maps_of_stages(network, tmp_path, capsys):
    network.save_pretrained(tmp_path / "small")
    command = ["export", str(tmp_path / "small"), "--out", str(tmp_path / "maps.pt"), "--stages", "layer2", "layer4"]
    assert main(command) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith("maps.pt: plain, images of 1 channels and 12x12 pixels, maps of layer2, layer4")
    found = torch.load(tmp_path / "maps.pt", weights_only=False)(torch.zeros(2, 1, 12, 12))
    assert {name: tuple(maps.shape) for name, maps in found.items()} == {
        "layer2": (2, 8, 6, 6),
        "layer4": (2, 32, 2, 2),
    }
    assert main([*command[:-1], "layer9"]) == 2
    assert capsys.readouterr().err.startswith("eqmodels: --stages must be some of stem, layer1, layer2,")
    assert main([*command, "--features", "regular"]) == 2
    assert capsys.readouterr().err.startswith("eqmodels: --stages is for maps as they are; got --features too.")


def test_the_operator_set_is_one_of_onnx(network, tmp_path):
    with pytest.raises(ValueError, match=r"^opset is of ONNX files; got 20 and format 'plain'"):
        export_network(network, tmp_path / "network.pt", opset=20)
