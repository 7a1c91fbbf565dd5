"""Features of pictures in files: those that the network gives, in any batch, of a picture however it lies."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from safetensors import safe_open

from eqmodels import create_model, load
from eqmodels.cli import main
from eqmodels.data.pictures import BadFilesError
from eqmodels.evaluation import embed
from eqmodels.transforms import Preprocessing
from tests.data.test_folder import save

NAME = "c4_resnet18s_w16.rot_fmnist_simclr"


@pytest.fixture
def paths(tmp_path):
    """Seven colour pictures of different sizes."""
    for number in range(7):
        save(tmp_path / f"mine/{number % 2}/{number}.png", size=(20 + 3 * number, 31 - number), seed=number)
    return sorted((tmp_path / "mine").rglob("*.png"))


@pytest.fixture
def network(randomised):
    def build(pool="regular", in_chans=3):
        made = randomised(create_model("c4_resnet18s_w8", in_chans=in_chans, num_classes=0, global_pool=pool))
        made.preprocessing = Preprocessing((0.5,) * in_chans, (0.25,) * in_chans, (16, 16))
        return made.eval()

    return build


@pytest.mark.parametrize("pool", ["invariant", "regular", "canonical"])
def test_features_are_those_of_the_network_in_every_batch(network, paths, pool):
    encoder = network(pool)
    transform = encoder.transform()
    with torch.no_grad():
        expected = encoder(torch.stack([transform(Image.open(path)) for path in paths]))
    done = []
    for batch_size in (1, 3, 64):
        found = embed(encoder.train(), paths, batch_size=batch_size, progress=done.append)
        assert found.paths == tuple(map(str, paths))
        assert found.field == str(encoder.out_field)
        torch.testing.assert_close(found.features, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
        assert (found.pose is None) == (pool != "canonical")
    assert done == [1] * 7 + [3, 3, 1] + [7]


@pytest.mark.parametrize("size", [None, (17, 17), (16, 20)])
def test_a_turned_picture_has_the_same_invariant_features_and_another_pose(network, paths, size):
    encoder = network("canonical")
    upright = embed(encoder, paths, size=size)
    for path in paths:
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    turned = embed(encoder, paths, size=None if size is None else size[::-1])
    scale = float(upright.features.abs().max())
    torch.testing.assert_close(turned.features, upright.features, rtol=0, atol=1e-5 * scale)
    assert torch.equal(turned.pose, (upright.pose + 1) % 4)
    torch.testing.assert_close(turned.confidence, upright.confidence)
    assert ((upright.confidence > 0.25) & (upright.confidence <= 1)).all()


def test_a_network_for_grey_pictures_takes_no_colours_in_silence(network, paths, tmp_path):
    encoder = network(in_chans=1)
    with pytest.raises(
        BadFilesError, match=r"(?s)^7 of 7 files .*it has colours \(mode RGB\) .*--in-chans 3\), or .*grey"
    ):
        embed(encoder, paths)
    assert embed(encoder, paths, grey=True).features.shape == (7, 64)
    for path in paths:
        Image.open(path).convert("L").save(path)
    assert torch.equal(embed(encoder, paths).features, embed(encoder, paths, grey=True).features)
    assert embed(network(in_chans=3), paths).features.shape == (7, 64)  # three equal channels


def test_bad_files_are_listed_or_left_out(network, paths):
    paths[2].write_text("no image")
    paths[5].write_bytes(b"")
    with pytest.raises(BadFilesError, match=r"^2 of 7 files cannot be read as images") as caught:
        embed(network(), paths, batch_size=2)
    assert [one.path for one in caught.value.bad] == [paths[2], paths[5]]
    found = embed(network(), paths, batch_size=2, skip_bad=True)
    assert found.paths == tuple(str(path) for path in paths if path not in (paths[2], paths[5]))
    assert found.features.shape == (5, 64)
    assert [one.path for one in found.skipped] == [paths[2], paths[5]]


def test_a_table_of_parquet_has_a_row_a_picture(network, paths, tmp_path):
    for pool in ("canonical", "regular"):
        found, file = embed(network(pool), paths), tmp_path / f"{pool}.parquet"
        found.save(file)
        table = parquet.read_table(file)
        assert table["paths"].to_pylist() == list(found.paths)
        assert table.schema.field("features").type.list_size == found.features.shape[1]
        np.testing.assert_array_equal(np.array(table["features"].to_pylist(), dtype=np.float32), found.features)
        assert table.schema.metadata[b"field"].decode() == found.field
        assert table.column_names == ["paths", "features", *(["pose", "confidence"] if pool == "canonical" else [])]
        if pool == "canonical":
            assert table["pose"].to_pylist() == found.pose.tolist()
            assert table["confidence"].to_pylist() == found.confidence.tolist()


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_what_is_written_is_read_again(network, paths, tmp_path, ending):
    found, file = embed(network("canonical"), paths), tmp_path / f"features{ending}"
    found.save(file)
    if ending == ".npz":
        with np.load(file) as content:
            assert content["paths"].tolist() == list(found.paths)
            assert str(content["field"]) == found.field
            arrays = {name: torch.from_numpy(content[name]) for name in ("features", "pose", "confidence")}
    else:
        with safe_open(file, framework="pt") as content:
            assert json.loads(content.metadata()["paths"]) == list(found.paths)
            assert content.metadata()["field"] == found.field
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 (no mapping)
    for name, value in arrays.items():
        assert torch.equal(value, getattr(found, name))


def test_what_is_asked_for_in_vain_is_refused(network, paths, tmp_path):
    with pytest.raises(ValueError, match=r"^embed needs images; got no file\."):
        embed(network(), [])
    with pytest.raises(ValueError, match=r"this one has 3 classes\. Load it with num_classes=0"):
        embed(create_model("c4_resnet18s_w8", num_classes=3), paths)
    with pytest.raises(ValueError, match="transform is the preprocessing that belongs to pretrained weights"):
        embed(create_model("c4_resnet18s_w8", num_classes=0), paths)
    with pytest.raises(
        ValueError, match=r"^features are written as \.npz, \.parquet or \.safetensors; got features\.csv"
    ):
        embed(network(), paths).save(tmp_path / "features.csv")


def test_the_command_writes_what_the_function_gives(paths, tmp_path, capsys):
    file, folder = tmp_path / "features.npz", paths[0].parents[1]
    command = ["embed", NAME, str(folder), "--out", str(file), "--channels", "3", "--features", "canonical"]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    told = json.loads(out)
    assert told == {"file": str(file), "images": 7, "features": 128, "field": "128 x scalar"} | {
        "resumed": 0,
        "skipped": {},
    }
    expected = embed(load(NAME, num_classes=0, in_chans=3, global_pool="canonical"), paths)
    with np.load(file) as content:
        torch.testing.assert_close(torch.from_numpy(content["features"]), expected.features)
        assert content["paths"].tolist() == [str(path) for path in paths]
    paths[0].write_text("no image")
    before = file.read_bytes()
    assert main(command) == 2
    assert "1 of 7 files cannot be read as images. Remove them, or pass" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main([*command, "--skip-bad"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: 6 images, 128 features each (128 x scalar)\n"
    assert err.startswith(f"left out: {paths[0]}: it is of none of the formats")
    for wrong, sentence in (
        (["--out", "features.csv"], "features are written as .npz, .parquet or .safetensors; got features.csv"),
        (["--features", "all"], "argument --features: invalid choice: 'all'"),
        (["--size", "0"], "a size is a number of pixels, 32, or height x width"),
    ):
        assert main([*command, *wrong]) == 2
        assert sentence in capsys.readouterr().err
