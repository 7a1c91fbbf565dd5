"""The live demo: what its networks compute, and what lies in its file. How it behaves is tested in a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace

import onnx
import onnxruntime
import pytest
import torch

from eqmodels import create_model
from eqmodels.data import balanced_subset, load_data
from eqmodels.pages import demo, write_demo
from eqmodels.pages.runtime import HASHES, NAME, VERSION, find_runtime
from eqmodels.pages.twins import exported_twin, prepared
from eqmodels.storage import StorageError
from eqmodels.transforms import Preprocessing
from tests.pages.conftest import Reader

SIDE = 24
KNOWN = Preprocessing((0.6, 0.5, 0.4), (0.3, 0.35, 0.4), (SIDE, SIDE))


def network(name):
    torch.manual_seed(0)
    found = create_model(name, num_classes=0, in_chans=3).eval()
    found.preprocessing = KNOWN
    return found


@pytest.fixture(scope="module")
def data():
    sets = {split: load_data("openclipart_mini", split) for split in ("train", "test")}
    return {split: balanced_subset(source, 32) for split, source in sets.items()}


@pytest.fixture(scope="module")
def twin(data):
    return exported_twin("ours", network("c4_resnet18s_w4"), data["train"], data["test"])


def answers(content, images):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(None, {"images": images.numpy()})), strict=True))


def test_the_file_computes_the_network_its_classes_and_its_neighbours(twin, data):
    encoder, images = network("c4_resnet18s_w4"), prepared(data["test"], KNOWN)
    found = answers(twin.content, images)
    with torch.no_grad():
        expected = encoder(images)
    assert float((found["features"] - expected).norm() / expected.norm()) < 2e-3  # filters of 16 bits
    right = found["scores"].argmax(1) == data["test"].labels
    assert float(right.double().mean()) == pytest.approx(twin.accuracy)
    assert found["similarities"].shape == (len(images), len(images))
    torch.testing.assert_close(found["similarities"].diagonal(), torch.ones(len(images)), rtol=0, atol=1e-5)


def test_a_quarter_turn_changes_no_answer(twin, data):
    images = prepared(data["test"], KNOWN)
    upright = answers(twin.content, images)
    for quarter in (1, 2, 3):
        found = answers(twin.content, images.rot90(quarter, (-2, -1)).contiguous())
        for name, expected in upright.items():
            assert float((found[name] - expected).abs().max()) < 1e-4, name
    assert twin.turned == pytest.approx(twin.accuracy)


def test_filters_take_16_bits(twin):
    kinds = {len(one.dims): one.data_type for one in onnx.load_from_string(twin.content).graph.initializer}
    assert kinds[4] == onnx.TensorProto.FLOAT16
    assert kinds[2] == onnx.TensorProto.FLOAT


def test_the_page_holds_everything_compressed(tmp_path, data, twin, monkeypatch):
    monkeypatch.setattr(demo, "find_runtime", lambda folder: ("export const x = 1;", b"\0asm"))
    monkeypatch.setattr(demo, "load_for_images", lambda name: network("c4_resnet18s_w4"))
    monkeypatch.setattr(demo, "exported_twin", lambda name, *rest: replace(twin, name=name))
    monkeypatch.setattr(demo, "load_data", lambda name, split: data[split])
    told = []
    file = write_demo(tmp_path, report=told.append)
    page = file.read_text(encoding="utf-8")
    assert told == [*demo.NETWORKS, "page"]
    blobs = dict(re.findall(r'<script type="application/octet-stream" id="([\w-]+)">([^<]*)</script>', page))
    assert list(blobs) == ["runtime", "program", "network-0", "network-1"]
    unpacked = {name: gzip.decompress(base64.b64decode(text)) for name, text in blobs.items()}
    assert unpacked["program"] == b"\0asm"
    onnx.checker.check_model(onnx.load_from_string(unpacked["network-0"]))
    settings = json.loads(re.search(r'id="settings">(.*?)</script>', page)[1])
    assert settings["size"] == [SIDE, SIDE]
    assert settings["mean"] == list(KNOWN.mean)
    assert len(settings["labels"]) == 32
    assert "Copyright (c) Microsoft Corporation" in page
    reader = Reader(page)
    assert [one for one in reader.references if not one.startswith("data:")] == []
    assert len(set(reader.ids)) == len(reader.ids)


def test_a_page_that_would_be_too_large_is_not_written(tmp_path, data, monkeypatch):
    monkeypatch.setattr(demo, "find_runtime", lambda folder: ("", b""))
    monkeypatch.setattr(demo, "load_for_images", lambda name: network("resnet18s_w4"))
    monkeypatch.setattr(demo, "load_data", lambda name, split: data[split])
    monkeypatch.setattr(demo, "exported_twin", lambda name, *rest: replace(TWIN, name=name))
    monkeypatch.setattr(demo, "LARGEST", 1000)
    with pytest.raises(StorageError, match="the demo would have"):
        write_demo(tmp_path)
    assert list(tmp_path.iterdir()) == []


TWIN = demo.Twin("", b"", 0.0, 0.0)


def test_the_runtime_that_is_not_there_is_said_to_be_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"needs {NAME} {VERSION}.*Run: npm install {NAME}@{VERSION}"):
        find_runtime()
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        find_runtime("elsewhere")


def test_another_version_of_the_runtime_is_refused(tmp_path):
    for file in HASHES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("another one")
    with pytest.raises(StorageError, match=f"is not that of {NAME} {VERSION}"):
        find_runtime(tmp_path)
